// SPDX-License-Identifier: GPL-2.0
/* dsmd: its configuration, and who is let in: hello, garbage, crowds. */
#include "dsmd-test.h"

static void handshake(void)
{
	struct node *a, *b;

	REQUIRE(pair_new(&a, &b));
	CHECK(a->incarnation[1] == 0x2222);
	CHECK(b->incarnation[0] == 0x1111);
	CHECK(!strcmp(a->states[1], "u") && !strcmp(b->states[0], "u"));
	CHECK(a->links.up == 1 && b->links.up == 1);
	CHECK(a->session[1] && a->session[1] == b->session[0]);
	WAIT(a, b, strstr(log_text, "is up"));
	node_free(a);
	node_free(b);
}

static const char *speaks(int peer, int its_min, int its, int our_min, int our)
{
	static char text[100];

	snprintf(text, sizeof(text), "peer %d speaks protocol %d to %d, we speak %d to %d",
		 peer, its_min, its, our_min, our);
	return text;
}

static void version_mismatch(void)
{
	struct raw_hello hello = raw_hello(1, 2);
	struct node *node = server_new(2);
	struct node *a, *b;
	int fd;

	hello.hello.version_min = htole16(DSM_WIRE_VERSION + 1);
	hello.hello.version = htole16(DSM_WIRE_VERSION + 2);
	fd = raw_connect(node);
	raw_write(fd, &hello, sizeof(hello));
	WAIT(node, NULL, raw_closed(fd));
	CHECK(strstr(log_text, speaks(1, DSM_WIRE_VERSION + 1, DSM_WIRE_VERSION + 2,
				      DSM_WIRE_VERSION_MIN, DSM_WIRE_VERSION)));
	CHECK(!*node->states[1]);
	close(fd);

	/* Older than we can speak. */
	log_clear();
	hello.hello.version_min = htole16(DSM_WIRE_VERSION_MIN - 1);
	hello.hello.version = htole16(DSM_WIRE_VERSION_MIN - 1);
	fd = raw_connect(node);
	raw_write(fd, &hello, sizeof(hello));
	WAIT(node, NULL, raw_closed(fd));
	CHECK(strstr(log_text, speaks(1, DSM_WIRE_VERSION_MIN - 1, DSM_WIRE_VERSION_MIN - 1,
				      DSM_WIRE_VERSION_MIN, DSM_WIRE_VERSION)));
	CHECK(!*node->states[1]);
	close(fd);

	/* Newer than we know, and able to speak ours. */
	hello.hello.version_min = htole16(1);
	hello.hello.version = htole16(DSM_WIRE_VERSION + 2);
	fd = raw_connect(node);
	raw_write(fd, &hello, sizeof(hello));
	raw_ready(node, fd, 1);
	WAIT(node, NULL, node_up(node, 1));
	close(fd);
	node_free(node);

	/* Both say so. */
	log_clear();
	a = server_new(2);
	b = node_new(1, 2, 0, node_port(a));
	b->links.version_min = DSM_WIRE_VERSION + 1;
	b->links.version = DSM_WIRE_VERSION + 6;
	node_start(b);
	WAIT(a, b, strstr(log_text, speaks(1, DSM_WIRE_VERSION + 1, DSM_WIRE_VERSION + 6,
					   DSM_WIRE_VERSION_MIN, DSM_WIRE_VERSION)));
	WAIT(a, b, strstr(log_text, speaks(0, DSM_WIRE_VERSION_MIN, DSM_WIRE_VERSION,
					   DSM_WIRE_VERSION + 1, DSM_WIRE_VERSION + 6)));
	CHECK(!*a->states[1] && !*b->states[0]);
	node_free(a);
	node_free(b);
}

static void wrong_hello(void)
{
	const char *const said[] = {
		"peer 1 is configured for 5 nodes, we are for 2",
		"peer 1 has pages of 65536 bytes",
		"a node that says it is 0; we are 0",
		"a node that says it is 9",
		"writes 3 as a frame's source",
	};
	struct node *node = server_new(2);
	int fd;

	for (unsigned int i = 0; i < sizeof(said) / sizeof(said[0]); i++) {
		struct raw_hello hello = raw_hello(1, 2);

		switch (i) {
		case 0:
			hello.hello.nodes = htole32(5);
			break;
		case 1:
			hello.hello.page_size = htole32(65536);
			break;
		case 2:
			hello.hello.node = 0;
			break;
		case 3:
			hello.hello.node = htole32(9);
			break;
		case 4:
			hello.hdr.src = htole16(3);
			break;
		}
		fd = raw_connect(node);
		raw_write(fd, &hello, sizeof(hello));
		WAIT(node, NULL, raw_closed(fd));
		CHECK(strstr(log_text, said[i]));
		close(fd);
	}
	CHECK(!*node->states[1]);
	node_free(node);
}

struct garbage {
	const char *what;
	bool hello_first;
	uint32_t magic;
	uint32_t length;
	uint8_t type;
	uint16_t src;
};

static const struct garbage garbage_cases[] = {
	{ "another magic",		false, 0x20544547, 0, DSM_HELLO, 1 },
	{ "no hello first",		false, DSM_WIRE_MAGIC, 0, DSM_GET_S, 1 },
	{ "data first",			false, DSM_WIRE_MAGIC, 4096, DSM_DATA, 1 },
	{ "ping first",			false, DSM_WIRE_MAGIC, 0, DSM_PING, 1 },
	{ "a hello without a body",	false, DSM_WIRE_MAGIC, 0, DSM_HELLO, 1 },
	{ "a hello too long",		false, DSM_WIRE_MAGIC, 4096, DSM_HELLO, 1 },
	{ "another magic later",	true, 0, 0, DSM_GET_S, 1 },
	{ "data too long",		true, DSM_WIRE_MAGIC, DSM_WIRE_BODY_MAX + 1, DSM_DATA, 1 },
	{ "a length of 4 GiB",		true, DSM_WIRE_MAGIC, UINT32_MAX, DSM_DATA, 1 },
	{ "a control frame too long",	true, DSM_WIRE_MAGIC, LINKS_INLINE_MAX + 1, DSM_GET_S, 1 },
	{ "an unknown helper's type",	true, DSM_WIRE_MAGIC, 0, DSM_REFUSE + 1, 1 },
	{ "the last type there is",	true, DSM_WIRE_MAGIC, 0, 255, 1 },
	{ "a session first",		false, DSM_WIRE_MAGIC, 16, DSM_SESSION, 1 },
	{ "ready first",		false, DSM_WIRE_MAGIC, 16, DSM_READY, 1 },
	{ "ready again",		true, DSM_WIRE_MAGIC, 16, DSM_READY, 1 },
	{ "refused too late",		true, DSM_WIRE_MAGIC, 0, DSM_REFUSE, 1 },
	{ "hello again",		true, DSM_WIRE_MAGIC, 32, DSM_HELLO, 1 },
	{ "a ping with a body",		true, DSM_WIRE_MAGIC, 8, DSM_PING, 1 },
	{ "another's name",		true, DSM_WIRE_MAGIC, 0, DSM_GET_S, 2 },
	{ "our own name",		true, DSM_WIRE_MAGIC, 0, DSM_PING, 0 },
};

static void garbage(void)
{
	struct node *node = server_new(2);
	int fd;

	for (unsigned int i = 0; i < sizeof(garbage_cases) / sizeof(garbage_cases[0]); i++) {
		const struct garbage *it = &garbage_cases[i];
		struct dsm_wire_hdr hdr = frame_header(it->type, it->src, it->length);

		hdr.magic = htole32(it->magic);
		fd = it->hello_first ? raw_up(node, 1) : raw_connect(node);
		raw_write(fd, &hdr, sizeof(hdr));
		if (!WAIT(node, NULL, raw_closed(fd)))
			printf("# %s\n", it->what);
		close(fd);
		CHECK(!node_up(node, 1));
		CHECK(!node->told_count);
	}
	fd = raw_up(node, 1);
	CHECK(node_up(node, 1));
	close(fd);
	node_free(node);
}

/* Frames with a few bytes changed, and plain noise; it lives on. */
static void fuzz(void)
{
	struct node *node = server_new(2);
	unsigned char bytes[2048];
	int fd;

	for (unsigned int i = 0; i < 1500; i++) {
		bool noise = i % 3 == 0;
		size_t length = 0;

		fd = raw_connect(node);
		if (i % 2) {
			struct raw_hello hello = raw_hello(1, 2);

			raw_write(fd, &hello, sizeof(hello));
		}
		while (length + 600 < sizeof(bytes)) {
			uint8_t type = (uint8_t)random();
			struct dsm_wire_hdr hdr = frame_header(type, 1, (uint32_t)random() % 500);

			memcpy(bytes + length, &hdr, sizeof(hdr));
			length += sizeof(hdr) + le32toh(hdr.len);
		}
		if (noise)
			for (size_t j = 0; j < length; j++)
				bytes[j] = (unsigned char)random();
		else
			for (int j = 0; j < (int)(random() % 8); j++)
				bytes[(size_t)random() % length] = (unsigned char)random();
		raw_write(fd, bytes, length);
		for (int j = 0; j < 4; j++)
			loop_once(&node->loop, 0);
		close(fd);
		loop_once(&node->loop, 0);
		node->told_count = 0;
		node->states[1][0] = '\0';
	}
	CHECK(zero(node->memory, REGION_SIZE));
	WAIT(node, NULL, !node->links.stranger_count && !node->links.peers[1].conn);
	fd = raw_up(node, 1);
	CHECK(node_up(node, 1));
	close(fd);
	node_free(node);
}

static void crowd(void)
{
	struct node *node = server_new(2);
	int fds[200];
	int fd;

	for (int i = 0; i < 200; i++) {
		fds[i] = raw_connect(node);
		if (i % 50 == 49)
			pump_for(node, NULL, 2);
	}
	pump_for(node, NULL, 5);
	CHECK(node->links.stranger_count <= 64);
	fd = raw_up(node, 1);
	CHECK(node_up(node, 1));
	for (int i = 0; i < 200; i++)
		close(fds[i]);
	close(fd);
	node_free(node);
}

/* A host with many connections loses one of them, and another host none. */
static void crowd_of_one_host(void)
{
	struct node *node = server_new(2);
	int fd = raw_connect(node), fds[200];

	for (int i = 0; i < 200; i++) {
		fds[i] = raw_connect_from("127.0.0.2", node_port(node));
		if (i % 50 == 49)
			pump_for(node, NULL, 2);
	}
	pump_for(node, NULL, 5);
	CHECK(node->links.stranger_count == 64);
	CHECK(raw_closed(fds[0]) && !raw_closed(fds[199]) && !raw_closed(fd));
	for (int i = 0; i < 200; i++)
		close(fds[i]);
	close(fd);
	node_free(node);
}

/* Both modules are told the same session: theirs, if they have one, or else a new one. */
static void sessions(void)
{
	static const struct {
		uint64_t a, b;
		bool kept;
	} cases[] = {
		{ 0, 0, false }, { 7, 7, true }, { 7, 8, false }, { 0, 8, false }, { 7, 0, false },
	};
	uint64_t last = 0;

	for (unsigned int i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct node *a = server_new(2), *b = node_new(1, 2, 0, node_port(a));

		a->session[1] = cases[i].a;
		b->session[0] = cases[i].b;
		node_start(b);
		WAIT(a, b, node_up(a, 1) && node_up(b, 0));
		CHECK(a->session[1] && a->session[1] == b->session[0]);
		CHECK((a->session[1] == cases[i].a || a->session[1] == cases[i].b) == cases[i].kept);
		CHECK(a->session[1] != last);
		last = a->session[1];
		node_free(a);
		node_free(b);
	}
}

/*
 * A stray: it says some of what is said before a link is up, and is not heard of
 * again. Neither the module nor the link that there is takes notice.
 */
static void strays(void)
{
	struct raw_hello hello = raw_hello(1, 2);
	struct {
		struct raw_hello hello;
		struct raw_ready ready;
	} all = {
		.hello = hello,
		.ready = {
			.session_hdr = frame_header(DSM_SESSION, 1, sizeof(struct dsm_wire_session)),
			.session = { htole64(0x5555), htole64(3) },
			.ready_hdr = frame_header(DSM_READY, 1, sizeof(struct dsm_wire_ready)),
			.ready = { .session = htole64(0x5555) },
		},
	};
	static const size_t lengths[] = {
		sizeof(struct raw_hello),
		sizeof(struct raw_hello) + sizeof(struct dsm_wire_hdr),
		sizeof(struct raw_hello) + offsetof(struct raw_ready, ready_hdr),
		/* Ready for what was not agreed on. */
		sizeof(struct raw_hello) + sizeof(struct raw_ready),
	};
	struct node *a, *b;

	/* While nobody is up ... */
	for (unsigned int i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		struct node *node = server_new(2);
		int fd = raw_connect(node);

		node->session[1] = 7;
		raw_write(fd, &all, lengths[i]);
		pump_for(node, NULL, 20);
		close(fd);
		WAIT(node, NULL, !node->links.stranger_count);
		CHECK(!*node->states[1] && node->session[1] == 7);
		node_free(node);
	}
	/* ... and while somebody is, with the same incarnation. */
	REQUIRE(pair_new(&a, &b));
	all.hello.hello.incarnation = htole64(0x2222);
	for (unsigned int i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		int fd = raw_connect(a);

		raw_write(fd, &all, lengths[i]);
		pump_for(a, b, 20);
		close(fd);
		WAIT(a, b, !a->links.stranger_count);
	}
	CHECK(!strcmp(a->states[1], "u") && !strcmp(b->states[0], "u"));
	CHECK(a->session[1] == b->session[0]);
	node_free(a);
	node_free(b);
}

/* Two nodes with one id: who came first stays, and both logs say so, with addresses. */
static void same_id(void)
{
	struct node *a, *b, *c;
	char text[200];

	REQUIRE(pair_new(&a, &b));
	log_clear();
	c = node_new(1, 2, 0, node_port(a));
	if (links_start(&c->links, 0x3333, CREDITS))
		abort();
	WAIT(a, c, strstr(log_text, "refuses us"));
	snprintf(text, sizeof(text), "says that it is node 1, which is up already, from %s: "
		 "do two nodes have the same id?", a->links.peers[1].conn->address);
	CHECK(strstr(log_text, text));
	snprintf(text, sizeof(text), "peer 0 (127.0.0.1:%u): it refuses us: node 1 is up already, "
		 "from %s: does another node have the same id?", node_port(a),
		 a->links.peers[1].conn->address);
	CHECK(strstr(log_text, text));
	pump_for(a, b, 50);
	CHECK(!strcmp(a->states[1], "u") && !strcmp(b->states[0], "u") && !*c->states[0]);
	/* When the first is gone, the other one may be it. */
	node_free(b);
	WAIT(a, c, node_up(a, 1) && node_up(c, 0));
	CHECK(a->incarnation[1] == 0x3333);
	node_free(c);

	/* Ours. */
	log_clear();
	{
		struct raw_hello hello = raw_hello(0, 2);
		int fd = raw_connect(a);
		char bytes[1024];
		ssize_t n, have = 0;

		raw_write(fd, &hello, sizeof(hello));
		WAIT(a, NULL, strstr(log_text, "a node that says it is 0; we are 0"));
		while ((n = recv(fd, bytes + have, sizeof(bytes) - (size_t)have, 0)) > 0)
			have += n;
		CHECK(have > 96 + 64 && bytes[96 + offsetof(struct dsm_wire_hdr, type)] ==
		      (char)DSM_REFUSE);
		close(fd);
	}
	node_free(a);
}

/* What another says is shown as text, whatever it is. */
static void refused_by_other(void)
{
	struct dsm_wire_hdr refuse = frame_header(DSM_REFUSE, 1, 12);
	struct raw_hello hello = raw_hello(1, 2);
	struct node *node = server_new(2);
	int fd = raw_connect(node);

	raw_write(fd, &hello, sizeof(hello));
	raw_write(fd, &refuse, sizeof(refuse));
	raw_write(fd, "go\n\033[2J\0%n%", 12);
	WAIT(node, NULL, raw_closed(fd));
	CHECK(strstr(log_text, "it refuses us: go??[2J?%n%"));
	CHECK(!*node->states[1]);
	close(fd);
	node_free(node);
}

/* A module that cannot begin a session says why, and the other one is not up. */
static void stale(void)
{
	struct node *a = server_new(2), *b = node_new(1, 2, 0, node_port(a));

	a->session_error = ESTALE;
	a->up_error = ESTALE;
	node_start(b);
	WAIT(a, b, strstr(log_text, "this node has lost its memory, and the other one still has"));
	WAIT(a, b, strstr(log_text, "it has lost its memory, and this node still has regions"));
	CHECK(!*b->states[0]);
	a->session_error = 0;
	a->up_error = 0;
	WAIT(a, b, node_up(a, 1) && node_up(b, 0));
	CHECK(a->session[1] == b->session[0]);
	node_free(a);
	node_free(b);
}

static void wrong_way_round(void)
{
	struct raw_hello hello = raw_hello(0, 2);
	struct node *node = node_new(1, 2, 0, 1);
	int fd;

	node_start(node);
	fd = raw_connect(node);
	raw_write(fd, &hello, sizeof(hello));
	WAIT(node, NULL, raw_closed(fd));
	CHECK(strstr(log_text, "peer 0 connected to us, who have the higher id"));
	close(fd);
	node_free(node);
}

static const struct {
	const char *args[8];
	const char *said;
} config_cases[] = {
	{ { NULL }, "no node id: say --node ID" },
	{ { "--node", "x" }, "'x' is not a node id, 0 to 4095" },
	{ { "--node", "4096" }, "'4096' is not a node id, 0 to 4095" },
	{ { "--node", "0", "--peer", "1" }, "'1' is not ID=HOST:PORT" },
	{ { "--node", "0", "--peer", "1=10.0.0.1" }, "peer 1: '10.0.0.1' is not HOST:PORT" },
	{ { "--node", "0", "--peer", "1=fd00::1:80" }, "'fd00::1:80' is not HOST:PORT" },
	{ { "--node", "0", "--peer", "1=1.2.3.4:65536" }, "is not HOST:PORT" },
	{ { "--node", "0", "--peer", "2=1.2.3.4:1" },
	  "peer 1 is missing: with 1 peers the node ids are 0 to 1" },
	{ { "--node", "2", "--peer", "0=1.2.3.4:1" },
	  "node 2: with 1 peers there are 2 nodes, and their ids are 0 to 1" },
	{ { "--node", "0", "--peer", "0=1.2.3.4:1" }, "peer 0 is this node itself" },
	{ { "--node", "0", "--listen", "nonsense" }, "listen: 'nonsense' is not HOST:PORT" },
	{ { "--node", "0", "--log-level", "loud" }, "none of error, warning, info, debug" },
	{ { "--node", "0", "--config", "/nonexistent" }, "/nonexistent: No such file" },
	{ { "--node", "0", "surplus" }, "'surplus' is no option" },
	{ { "--node", "0" }, "there is no key: make one with 'dsmctl keygen" },
	{ { "--node", "0", "--key", "k", "--insecure" }, "insecure = yes, and there is a key" },
	{ { "--node", "0", "--key", "" }, "key: the name of a file is missing" },
};

static enum config_result config_try(struct config *config, const char *const *args)
{
	char *argv[12] = { (char *)"dsmd" };
	int argc = 1;

	while (argc <= 8 && args[argc - 1]) {
		argv[argc] = (char *)args[argc - 1];
		argc++;
	}
	log_clear();
	config_init(config);
	return config_read(config, argc, argv);
}

static void configuration(void)
{
	static struct config config;
	char path[] = "/tmp/dsmd-hello-test.XXXXXX";
	const char *args[8] = { "--config", path, "--peer", "2=127.0.0.1:99", NULL };
	int fd = mkstemp(path);

	for (unsigned int i = 0; i < sizeof(config_cases) / sizeof(config_cases[0]); i++) {
		CHECK(config_try(&config, config_cases[i].args) == CONFIG_BAD);
		if (!strstr(log_text, config_cases[i].said)) {
			CHECK(!"the complaint says something else");
			printf("# case %u: %s\n", i, log_text);
		}
		config_exit(&config);
	}

	dprintf(fd, "# a comment\n\n node = 1 # us\npeer = 0 127.0.0.1:71\n"
		"peer=2\t[::1]:72\nlisten = 127.0.0.1:73\nlost_ms = 500\nheartbeat_ms=50\n"
		"log_level = debug\nkey=/a\nrecord_limit = 64");
	CHECK(config_try(&config, args) == CONFIG_OK);
	CHECK(config.node == 1 && config.nodes == 3);
	CHECK(!strcmp(config.peers[2].text, "127.0.0.1:99"));
	CHECK(config.lost_ms == 500 && config.heartbeat_ms == 50);
	CHECK(config.log_level == LOG_DEBUG);
	CHECK(!strcmp(config.key, "/a") && !config.insecure && config.record_limit == 64);
	config_exit(&config);

	dprintf(fd, "\nnonsense = 3\n");
	CHECK(config_try(&config, args) == CONFIG_BAD);
	CHECK(strstr(log_text, ":12: 'nonsense' is none of node, listen"));
	config_exit(&config);

	if (ftruncate(fd, 0) || lseek(fd, 0, SEEK_SET))
		abort();
	dprintf(fd, "node = 0\nlost_ms = 150\n");
	args[2] = NULL;
	CHECK(config_try(&config, args) == CONFIG_BAD);
	CHECK(strstr(log_text, "lost_ms is 150 and heartbeat_ms 100"));
	config_exit(&config);
	close(fd);
	unlink(path);
}

static const struct test tests[] = {
	{ "configuration", configuration },
	{ "handshake", handshake },
	{ "versions that do not match", version_mismatch },
	{ "a hello that does not fit", wrong_hello },
	{ "garbage", garbage },
	{ "random garbage", fuzz },
	{ "a crowd of strangers", crowd },
	{ "a crowd of one host", crowd_of_one_host },
	{ "sessions", sessions },
	{ "strays", strays },
	{ "two nodes with one id", same_id },
	{ "refused by the other", refused_by_other },
	{ "a session that cannot begin", stale },
	{ "the wrong one connects", wrong_way_round },
};

TESTS_MAIN(tests)
