// SPDX-License-Identifier: GPL-2.0
/*
 * dsmd: who is let in with TLS, and what a connection's end looks like then. It needs a kernel
 * with TLS for sockets, and dsmctl in PATH, which makes keys and certificates: it runs in a VM.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <malloc.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "credentials.h"
#include "dsmd-test.h"
#include "handshake.h"
#include "stranger.h"

/* As dsmd has them, if nothing else is said. */
#define TLS_HEARTBEAT_MS	100
#define TLS_LOST_MS		1000

static char directory[] = "/tmp/dsmd-tls-test.XXXXXX";

/* The name of a file in the directory, for config_exit() to free. */
static char *file(const char *format, ...)
{
	char name[64], *path;
	va_list args;

	va_start(args, format);
	vsnprintf(name, sizeof(name), format, args);
	va_end(args);
	if (asprintf(&path, "%s/%s", directory, name) < 0)
		abort();
	return path;
}

static bool dsmctl(const char *format, ...)
{
	char arguments[128], command[256];
	va_list args;

	va_start(args, format);
	vsnprintf(arguments, sizeof(arguments), format, args);
	va_end(args);
	snprintf(command, sizeof(command), "cd %s && dsmctl %s", directory, arguments);
	return !system(command);
}

/* A node, with nothing to prove itself yet. */
static struct node *secure_new(int id, uint32_t nodes, uint16_t peer_port)
{
	struct node *node = node_new(id, nodes, 0, peer_port);

	node->config.insecure = false;
	node->config.heartbeat_ms = TLS_HEARTBEAT_MS;
	node->config.lost_ms = TLS_LOST_MS;
	return node;
}

/* Starts it with what its configuration says. */
static void secure_start(struct node *node)
{
	node->links.credentials = credentials_new(&node->config);
	if (!node->links.credentials) {
		printf("# %s", log_text);
		abort();
	}
	node_start(node);
}

static void secure_free(struct node *node)
{
	struct credentials *credentials = (struct credentials *)node->links.credentials;

	node_free(node);
	credentials_free(credentials);
}

static struct node *with_key(int id, uint32_t nodes, uint16_t peer_port, const char *key)
{
	struct node *node = secure_new(id, nodes, peer_port);

	node->config.key = file("%s", key);
	return node;
}

/* Node @id, with the certificate of node @named, of the authority in @authority. */
static struct node *with_certificate(int id, uint16_t peer_port, int named, const char *authority)
{
	struct node *node = secure_new(id, 3, peer_port);

	node->config.certificate = file("%s/dsm-node-%d.pem", authority, named);
	node->config.private_key = file("%s/dsm-node-%d.key", authority, named);
	node->config.authority = file("%s/authority.pem", authority);
	return node;
}

/* Starts it with a certificate that dsmd does not start with. */
static void start_as(struct node *node, int named)
{
	int id = node->config.node;

	node->config.node = named;
	node->links.credentials = credentials_new(&node->config);
	node->config.node = id;
	if (!node->links.credentials)
		abort();
	node_start(node);
}

static void pair_free(struct node *a, struct node *b)
{
	secure_free(b);
	secure_free(a);
}

static void key(void)
{
	struct node *a = with_key(0, 2, 1, "key"), *b;

	secure_start(a);
	b = with_key(1, 2, node_port(a), "key");
	secure_start(b);
	REQUIRE(WAIT(a, b, node_up(a, 1) && node_up(b, 0)));
	CHECK(!strcmp(a->links.peers[1].conn->cipher, b->links.peers[0].conn->cipher));
	printf("# %s\n", a->links.peers[1].conn->cipher);
	CHECK(a->links.peers[1].conn->named < 0);
	CHECK(!a->links.strangers && !a->links.proven_count && !a->links.stranger_count);

	/* Bytes to their place, of more than a record. */
	fill(b->memory, 16 * PAGE, 3);
	expect(a, 100, 32 * PAGE, 16 * PAGE);
	data_send(b, 0, 100, 1, 0, 16 * PAGE);
	WAIT(a, b, a->told_count == 1);
	CHECK(a->told[0].in_window && filled(a->memory + 32 * PAGE, 16 * PAGE, 3));
	/* Heartbeats. */
	pump_for(a, b, 2 * TLS_LOST_MS);
	CHECK(!strcmp(a->states[1], "u") && !strcmp(b->states[0], "u"));
	pair_free(a, b);
}

/* If one of two has no instructions for AES, they do without it, whichever one connects. */
static void ciphers(void)
{
	for (int which = 0; which < 4; which++) {
		bool a_aes = which & 1, b_aes = which & 2;
		struct node *a = with_key(0, 2, 1, "key"), *b;
		struct conn *conn;

		secure_start(a);
		credentials_prefer((struct credentials *)a->links.credentials, true, a_aes);
		b = with_key(1, 2, node_port(a), "key");
		b->links.credentials = credentials_new(&b->config);
		credentials_prefer((struct credentials *)b->links.credentials, true, b_aes);
		node_start(b);
		REQUIRE(WAIT(a, b, node_up(a, 1) && node_up(b, 0)));
		conn = b->links.peers[0].conn;
		CHECK(!strcmp(conn->cipher,
			      a_aes && b_aes ? "AES-128-GCM" : "CHACHA20-POLY1305"));
		CHECK(conn->record_limit == (a_aes && b_aes ? 1 << 24 : 0));
		fill(b->memory, 16 * PAGE, 3);
		expect(a, 100, 32 * PAGE, 16 * PAGE);
		data_send(b, 0, 100, 1, 0, 16 * PAGE);
		WAIT(a, b, a->told_count == 1);
		CHECK(a->told[0].in_window && filled(a->memory + 32 * PAGE, 16 * PAGE, 3));
		pair_free(a, b);
	}
}

static void another_key(void)
{
	struct node *a = with_key(0, 2, 1, "key"), *b;

	secure_start(a);
	b = with_key(1, 2, node_port(a), "other-key");
	secure_start(b);
	WAIT(a, b, strstr(log_text, "has it another key?"));
	WAIT(a, b, strstr(log_text, "it refuses our key: TLS alert"));
	CHECK(!*a->states[1] && !*b->states[0]);
	pair_free(a, b);
}

static void one_of_two_is_insecure(void)
{
	struct node *a = with_key(0, 2, 1, "key"), *b;

	secure_start(a);
	b = node_new(1, 2, 0, node_port(a));
	node_start(b);
	WAIT(a, b, strstr(log_text, "it does not speak TLS 1.3: is it configured 'insecure = yes'?"));
	CHECK(!*a->states[1] && !*b->states[0]);
	pair_free(a, b);

	log_clear();
	a = node_new(0, 2, 0, 1);
	node_start(a);
	b = with_key(1, 2, node_port(a), "key");
	secure_start(b);
	WAIT(a, b, strstr(log_text, "it speaks TLS, and this node has 'insecure = yes'"));
	WAIT(a, b, strstr(log_text, "it does not speak TLS 1.3: is it configured 'insecure = yes'?"));
	CHECK(!*a->states[1] && !*b->states[0]);
	pair_free(a, b);
}

static void certificates(void)
{
	struct node *a = with_certificate(0, 1, 0, "ours"), *b;

	secure_start(a);
	b = with_certificate(1, node_port(a), 1, "ours");
	secure_start(b);
	REQUIRE(WAIT(a, b, node_up(a, 1) && node_up(b, 0)));
	CHECK(a->links.peers[1].conn->named == 1 && b->links.peers[0].conn->named == 0);
	pair_free(a, b);
}

/* The one that connects thinks that the handshake was good, and is not up all the same. */
static void refused(struct node *a, struct node *b, const char *why)
{
	log_clear();
	WAIT(a, b, strstr(log_text, why));
	log_clear();
	WAIT(a, b, strstr(log_text, "does it refuse our certificate?"));
	CHECK(!*a->states[1] && !*b->states[0]);
	pair_free(a, b);
}

static void certificates_that_are_not_good(void)
{
	struct node *a = with_certificate(0, 1, 0, "ours"), *b;

	secure_start(a);
	b = with_certificate(1, node_port(a), 1, "theirs");
	/* It trusts the one that it connects to, which does not trust it. */
	free(b->config.authority);
	b->config.authority = file("ours/authority.pem");
	secure_start(b);
	refused(a, b, "its certificate is not good");

	a = with_certificate(0, 1, 0, "ours");
	a->config.revoked = file("ours/revoked.pem");
	secure_start(a);
	b = with_certificate(1, node_port(a), 1, "ours");
	secure_start(b);
	refused(a, b, "revoked");

	/* The other way round, the one that connects says so. */
	a = with_certificate(0, 1, 0, "theirs");
	secure_start(a);
	b = with_certificate(1, node_port(a), 1, "ours");
	secure_start(b);
	log_clear();
	WAIT(a, b, strstr(log_text, "its certificate is not good"));
	WAIT(a, b, strstr(log_text, "it refuses our certificate: TLS alert"));
	CHECK(!*a->states[1] && !*b->states[0]);
	pair_free(a, b);

	/* A key is no certificate. */
	a = with_certificate(0, 1, 0, "ours");
	secure_start(a);
	b = with_key(1, 3, node_port(a), "key");
	secure_start(b);
	pump_for(a, b, TLS_LOST_MS);
	CHECK(!*a->states[1] && !*b->states[0]);
	pair_free(a, b);
}

/* A good certificate, and another node's: it cannot be spoken with for this one. */
static void certificate_of_another_node(void)
{
	struct node *a = with_certificate(0, 1, 0, "ours"), *b;

	secure_start(a);
	b = with_certificate(1, node_port(a), 2, "ours");
	start_as(b, 2);
	WAIT(a, b, strstr(log_text, "says that it is node 1, and its certificate is for dsm-node-2"));
	CHECK(!*a->states[1] && !*b->states[0]);
	pair_free(a, b);

	log_clear();
	a = with_certificate(0, 1, 2, "ours");
	start_as(a, 2);
	b = with_certificate(1, node_port(a), 1, "ours");
	secure_start(b);
	WAIT(a, b, strstr(log_text, "says that it is node 0, and its certificate is for dsm-node-2"));
	CHECK(!*a->states[1] && !*b->states[0]);
	pair_free(a, b);

	/* Nor does dsmd start with it. */
	log_clear();
	b = with_certificate(1, 1, 2, "ours");
	CHECK(!credentials_new(&b->config));
	CHECK(strstr(log_text, "is for dsm-node-2, and this is node 1"));
	node_free(b);
}

static void secrets_that_others_can_read(void)
{
	struct node *node = with_key(0, 2, 1, "key");

	CHECK(!chmod(node->config.key, 0640) && !credentials_new(&node->config));
	CHECK(strstr(log_text, "others than the owner may read or write") &&
	      strstr(log_text, "chmod 600"));
	CHECK(!chmod(node->config.key, 0600));
	node_free(node);

	log_clear();
	node = with_key(0, 2, 1, "short");
	CHECK(!credentials_new(&node->config));
	CHECK(strstr(log_text, "is not 64 hexadecimal digits: 'dsmctl keygen FILE' makes a key"));
	node_free(node);

	log_clear();
	node = with_certificate(0, 1, 0, "ours");
	CHECK(!chmod(node->config.private_key, 0604) && !credentials_new(&node->config));
	CHECK(strstr(log_text, "private-key: others than the owner may read or write"));
	CHECK(!chmod(node->config.private_key, 0600));
	node_free(node);
}

/* With a key that is good for few records, connections are made again and again. */
static void few_records(void)
{
	struct dsm_wire_hdr hdr = frame_header(DSM_GET_S, 1, 0);
	struct node *a = with_key(0, 2, 1, "key"), *b;
	uint64_t told = 0;

	secure_start(a);
	b = with_key(1, 2, node_port(a), "key");
	b->config.record_limit = 64;
	secure_start(b);
	for (int round = 0; round < 5; round++) {
		REQUIRE(WAIT(a, b, node_up(a, 1) && node_up(b, 0)));
		for (int i = 0; i < 100 && node_up(b, 0); i++) {
			CHECK(b->links.peers[0].conn->out.records < 64);
			node_send(b, 0, &hdr, NULL);
		}
		CHECK(!node_up(b, 0));
		CHECK(strstr(log_text, "made again: 64 records have been written with one key"));
		WAIT(a, b, a->told_count > told);
		told = a->told_count;
		log_clear();
	}
	pair_free(a, b);
}

/*
 * Somebody on the way between two nodes, who can change what passes.
 */
struct middle {
	int listener;
	uint16_t port;	/* where the other one is */
	_Atomic int change;	/* what of the next bytes: 0 nothing, 1 the first, -1 the last */
	_Atomic bool stop;
	pthread_t thread;
};

/* False: the end. */
static bool pass_on(struct middle *middle, int from, int to, bool changes)
{
	unsigned char bytes[65536];
	ssize_t n = recv(from, bytes, sizeof(bytes), 0);

	if (n <= 0)
		return false;
	if (changes && middle->change) {
		bytes[middle->change > 0 ? 1 : n - 1] ^= 0x40;
		middle->change = 0;
	}
	raw_write(to, bytes, (size_t)n);
	return true;
}

static void *middle_run(void *data)
{
	struct middle *middle = data;

	while (!middle->stop) {
		struct pollfd fds[2] = { { .fd = middle->listener, .events = POLLIN } };
		bool open = true;

		if (poll(fds, 1, 10) <= 0)
			continue;
		fds[0].fd = accept(middle->listener, NULL, NULL);
		fds[1].fd = raw_connect_from("127.0.0.1", middle->port);
		fds[1].events = POLLIN;
		while (open && !middle->stop) {
			poll(fds, 2, 10);
			if (fds[0].revents)
				open = pass_on(middle, fds[0].fd, fds[1].fd, true);
			if (open && fds[1].revents)
				open = pass_on(middle, fds[1].fd, fds[0].fd, false);
		}
		close(fds[0].fd);
		close(fds[1].fd);
	}
	return NULL;
}

/* Returns its port. */
static uint16_t middle_start(struct middle *middle, struct node *node)
{
	struct sockaddr_in in = {
		.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	socklen_t length = sizeof(in);

	*middle = (struct middle){ .listener = socket(AF_INET, SOCK_STREAM, 0),
				   .port = node_port(node) };
	if (bind(middle->listener, (struct sockaddr *)&in, sizeof(in)) ||
	    listen(middle->listener, 8) ||
	    getsockname(middle->listener, (struct sockaddr *)&in, &length) ||
	    pthread_create(&middle->thread, NULL, middle_run, middle))
		abort();
	return ntohs(in.sin_port);
}

static void changed_on_the_way(void)
{
	static const struct {
		int change;
		const char *said;
	} cases[] = {
		{ -1, "what comes was not encrypted with the connection's key" },
		{ 1, "what comes is not TLS" },
	};
	struct node *a = with_key(0, 2, 1, "key"), *b;
	struct middle middle;
	uint16_t port;

	secure_start(a);
	port = middle_start(&middle, a);
	b = with_key(1, 2, port, "key");
	secure_start(b);
	for (unsigned int i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		REQUIRE(WAIT(a, b, node_up(a, 1) && node_up(b, 0)));
		pump_for(a, b, 3 * TLS_HEARTBEAT_MS);
		log_clear();
		middle.change = cases[i].change;
		WAIT(a, b, strstr(log_text, cases[i].said));
	}
	CHECK(WAIT(a, b, node_up(a, 1) && node_up(b, 0)));
	CHECK(!strcmp(a->states[1], "ududu"));
	middle.stop = true;
	pthread_join(middle.thread, NULL);
	close(middle.listener);
	pair_free(a, b);
}

static void silence(void)
{
	struct node *a = with_key(0, 2, 1, "key");
	uint64_t since = clock_now_ns();
	int fd;

	a->config.lost_ms = LOST_MS;
	a->config.heartbeat_ms = HEARTBEAT_MS;
	secure_start(a);
	fd = raw_connect(a);
	pump_for(a, NULL, 20);
	/* Nothing is kept for it but the connection. */
	CHECK(a->links.stranger_count == 1 && !a->links.strangers->handshake);
	WAIT(a, NULL, raw_closed(fd));
	CHECK(clock_now_ns() - since > LOST_MS * NSEC_PER_MSEC);
	CHECK(strstr(log_text, "no TLS handshake within 1000 ms"));
	CHECK(!a->links.stranger_count);
	close(fd);
	secure_free(a);
}

/*
 * A flood of strangers, by a child for each kind, as fast as they can.
 */
enum { SAYS_NOTHING, GARBAGE, HALF_A_HANDSHAKE, ANOTHER_KEY, FLOOD_KINDS };

#define FLOOD		2000	/* of all kinds together, and as many of each at least */
#define FLOOD_KIND	(FLOOD / FLOOD_KINDS)
#define FLOOD_OPEN	200
#define FLOOD_HOST	"127.0.0.2"

struct flood {
	_Atomic unsigned int made[FLOOD_KINDS];
	_Atomic bool stop;
	uint16_t port;
	const struct credentials *credentials;
};

static unsigned int flood_made(const struct flood *flood)
{
	unsigned int made = 0;

	for (int kind = 0; kind < FLOOD_KINDS; kind++)
		made += flood->made[kind];
	return made;
}

static bool flood_complete(const struct flood *flood)
{
	for (int kind = 0; kind < FLOOD_KINDS; kind++)
		if (flood->made[kind] < FLOOD_KIND)
			return false;
	return true;
}

/* The first half of what a client says first. */
static void half_a_handshake(int fd, const struct credentials *credentials)
{
	struct handshake *handshake;
	unsigned char bytes[4096];
	char why[256];
	ssize_t n;
	int ends[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends))
		abort();
	handshake = handshake_new(credentials, ends[0], true);
	if (!handshake || handshake_go_on(handshake, why, sizeof(why)) != -EAGAIN)
		abort();
	n = read(ends[1], bytes, sizeof(bytes));
	raw_write(fd, bytes, (size_t)n / 2);
	handshake_free(handshake);
	close(ends[0]);
	close(ends[1]);
}

/* All that a client does, with a key that is not the cluster's. */
static void whole_handshake(int fd, const struct credentials *credentials)
{
	struct handshake *handshake = handshake_new(credentials, fd, true);
	struct pollfd poll_fd = { .fd = fd };
	char why[256];

	fcntl(fd, F_SETFL, O_NONBLOCK);
	while (handshake_go_on(handshake, why, sizeof(why)) == -EAGAIN) {
		poll_fd.events = handshake_wants_to_write(handshake) ? POLLOUT : POLLIN;
		poll(&poll_fd, 1, 10000);
	}
	handshake_free(handshake);
}

static void flood_one(const struct flood *flood, int kind, int fd)
{
	unsigned char bytes[300];

	switch (kind) {
	case GARBAGE:
		for (unsigned int i = 0; i < sizeof(bytes); i++)
			bytes[i] = (unsigned char)random();
		raw_write(fd, bytes, sizeof(bytes));
		break;
	case HALF_A_HANDSHAKE:
		half_a_handshake(fd, flood->credentials);
		break;
	case ANOTHER_KEY:
		whole_handshake(fd, flood->credentials);
		break;
	}
}

static void flood_run(struct flood *flood, int kind)
{
	int fds[FLOOD_OPEN];

	while (!flood->stop) {
		unsigned int n = flood->made[kind];
		int fd = raw_connect_from(FLOOD_HOST, flood->port);

		if (fd < 0)
			continue;
		if (n >= FLOOD_OPEN)
			close(fds[n % FLOOD_OPEN]);
		fds[n % FLOOD_OPEN] = fd;
		flood_one(flood, kind, fd);
		flood->made[kind]++;
	}
	_exit(0);
}

/* A link that is up, and a peer that comes, notice nothing of it. */
static void flooded(struct flood *flood, struct node *a, struct node *b, struct node *c)
{
	uint64_t until = clock_now_ns() + TEST_SECONDS / 2 * NSEC_PER_SEC;
	size_t before = mallinfo2().uordblks, most = before;
	unsigned int came = 0;
	bool up = false;

	while (clock_now_ns() < until && !(up && flood_complete(flood))) {
		loop_once(&a->loop, 1);
		loop_once(&b->loop, 0);
		CHECK(a->links.stranger_count <= STRANGERS_MAX);
		if (!came && mallinfo2().uordblks > most)
			most = mallinfo2().uordblks;
		if (!came && flood_made(flood) > FLOOD / 4) {
			came = flood_made(flood);
			secure_start(c);
		}
		if (came)
			loop_once(&c->loop, 0);
		if (!up && came && node_up(a, 2) && node_up(c, 0)) {
			up = true;
			printf("# a peer that came after %u strangers was up after %u\n", came,
			       flood_made(flood));
		}
	}
	CHECK(up && flood_complete(flood));
	printf("# %u strangers: %u said nothing, %u garbage, %u half a handshake, %u had another key\n",
	       flood_made(flood), flood->made[SAYS_NOTHING], flood->made[GARBAGE],
	       flood->made[HALF_A_HANDSHAKE], flood->made[ANOTHER_KEY]);
	printf("# they took %zu KiB of memory\n", (most - before) >> 10);
	CHECK(most - before < STRANGERS_MAX * 128UL << 10);
}

static void flood(void)
{
	struct flood *flood = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
				   -1, 0);
	struct node *a = with_key(0, 3, 1, "key"), *b, *c, *other;
	pid_t pids[FLOOD_KINDS];

	secure_start(a);
	b = with_key(1, 3, node_port(a), "key");
	secure_start(b);
	REQUIRE(WAIT(a, b, node_up(a, 1) && node_up(b, 0)));
	c = with_key(2, 3, node_port(a), "key");
	((struct sockaddr_in *)&c->config.peers[1].addr)->sin_port = htons(node_port(b));
	other = with_key(1, 2, 1, "other-key");
	other->links.credentials = credentials_new(&other->config);

	flood->port = node_port(a);
	flood->credentials = other->links.credentials;
	for (int kind = 0; kind < FLOOD_KINDS; kind++) {
		pids[kind] = fork();
		if (!pids[kind])
			flood_run(flood, kind);
	}
	flooded(flood, a, b, c);
	flood->stop = true;
	for (int kind = 0; kind < FLOOD_KINDS; kind++) {
		int status;

		while (!waitpid(pids[kind], &status, WNOHANG)) {
			loop_once(&a->loop, 1);
			loop_once(&b->loop, 0);
			loop_once(&c->loop, 0);
		}
		CHECK(!status);
	}
	CHECK(!strcmp(a->states[1], "u") && !strcmp(b->states[0], "u"));
	CHECK(!strcmp(a->states[2], "u") && !strcmp(c->states[0], "u"));
	secure_free(other);
	secure_free(c);
	pair_free(a, b);
	munmap(flood, PAGE);
}

static void whole(void)
{
	int fd;

	if (!mkdtemp(directory))
		abort();
	CHECK(dsmctl("keygen key") && dsmctl("keygen other-key"));
	fd = open(file("short"), O_WRONLY | O_CREAT, 0600);
	CHECK(write(fd, "0123abcd\n", 9) == 9);
	close(fd);
	CHECK(!mkdir(file("ours"), 0700) && !mkdir(file("theirs"), 0700));
	CHECK(dsmctl("cert authority ours") && dsmctl("cert authority theirs"));
	for (int node = 0; node < 3; node++)
		CHECK(dsmctl("cert node %d ours", node) && dsmctl("cert node %d theirs", node));
	CHECK(dsmctl("cert revoke 1 ours"));
	/* Nothing is overwritten. */
	CHECK(!dsmctl("keygen key 2>/dev/null") && !dsmctl("cert authority ours 2>/dev/null") &&
	      !dsmctl("cert node 1 ours 2>/dev/null"));
}

static const struct test tests[] = {
	{ "keys and certificates are made", whole },
	{ "a key", key },
	{ "ciphers", ciphers },
	{ "another key", another_key },
	{ "one of two is insecure", one_of_two_is_insecure },
	{ "certificates", certificates },
	{ "certificates that are not good", certificates_that_are_not_good },
	{ "a certificate of another node", certificate_of_another_node },
	{ "secrets that others can read", secrets_that_others_can_read },
	{ "a key for few records", few_records },
	{ "changed on the way", changed_on_the_way },
	{ "silence", silence },
	{ "a flood of strangers", flood },
};

TESTS_MAIN(tests)
