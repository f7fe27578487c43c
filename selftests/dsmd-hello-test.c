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
	{ "an unknown helper's type",	true, DSM_WIRE_MAGIC, 0, DSM_PONG + 1, 1 },
	{ "the last type there is",	true, DSM_WIRE_MAGIC, 0, 255, 1 },
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
		"log_level = debug");
	CHECK(config_try(&config, args) == CONFIG_OK);
	CHECK(config.node == 1 && config.nodes == 3);
	CHECK(!strcmp(config.peers[2].text, "127.0.0.1:99"));
	CHECK(config.lost_ms == 500 && config.heartbeat_ms == 50);
	CHECK(config.log_level == LOG_DEBUG);
	config_exit(&config);

	dprintf(fd, "\nnonsense = 3\n");
	CHECK(config_try(&config, args) == CONFIG_BAD);
	CHECK(strstr(log_text, ":10: 'nonsense' is none of node, listen"));
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
	{ "the wrong one connects", wrong_way_round },
};

TESTS_MAIN(tests)
