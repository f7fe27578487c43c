// SPDX-License-Identifier: GPL-2.0
/*
 * dsmd's link layer without a kernel module: link layers, and peers played by
 * hand over plain sockets, in one process on the loopback. The module is one
 * that writes down what it is told.
 */
#include <arpa/inet.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "clock.h"
#include "config.h"
#include "conn.h"
#include "links.h"
#include "log.h"
#include "loop.h"
#include "module.h"
#include "peer.h"
#include "window.h"

#define TEST_SECONDS	120	/* all of it, or it is stuck */
#define WAIT_NS		(5 * NSEC_PER_SEC)
#define HEARTBEAT_MS	20
#define LOST_MS		200
#define CREDITS		64
#define REGION		7
#define REGION_SIZE	(4U << 20)
#define FRAMES_MAX	4096
#define NODES_MAX	3
#define PAGE		4096U

/* One check that fails fails the test it is in, and says where. */
static bool failed;

#define CHECK(condition)							\
	do {									\
		if (!(condition)) {						\
			printf("# %s:%d: %s\n", __FILE__, __LINE__, #condition);\
			failed = true;						\
		}								\
	} while (0)

#define REQUIRE(condition)							\
	do {									\
		if (!(condition)) {						\
			printf("# %s:%d: %s\n", __FILE__, __LINE__, #condition);\
			failed = true;						\
			return;							\
		}								\
	} while (0)

/*
 * The log, of which the newest lines are kept.
 */
static char log_text[65536];
static size_t log_length;

static void log_keep(int priority, const char *text)
{
	int n;

	if (priority > LOG_INFO)
		return;
	if (getenv("VERBOSE"))
		printf("# <%d> %s\n", priority, text);
	n = snprintf(log_text + log_length, sizeof(log_text) - log_length, "%s\n", text);
	log_length += (size_t)n;
	if (log_length > sizeof(log_text) - 1024)
		log_length = 0;
}

static void log_clear(void)
{
	log_length = 0;
	log_text[0] = '\0';
}

/*
 * A node: a link layer, and the module it believes in.
 */
struct told {
	uint32_t peer;
	uint32_t length;
	bool in_window;
	unsigned char frame[LINKS_FRAME_MAX];
};

struct node {
	struct module module;
	struct config config;
	struct loop loop;
	struct links links;
	int memory_fd;
	unsigned char *memory;

	/* what the module has been told */
	struct told told[FRAMES_MAX];
	unsigned int told_count;
	char states[NODES_MAX][64];	/* u and d, as the peer went up and down */
	uint64_t incarnation[NODES_MAX];
	uint64_t rtt_ns[NODES_MAX];
	uint32_t credits[NODES_MAX];

	/* what it answers */
	int up_error;
	unsigned int refuse_at;		/* the frame before which it has had enough */
	int refuse_error;
	uint32_t expect_req;		/* said again while it is told of the bytes */
	bool spoken;
	struct {
		uint32_t peer, session;
		int error;
		bool up, in_window;
		struct dsm_wire_hdr hdr;
	} answers[64];
	unsigned int answer_count;
};

static struct node *node_of(struct module *module)
{
	return (struct node *)module;
}

static void state_add(struct node *node, uint32_t peer, char state)
{
	size_t n = strlen(node->states[peer]);

	if (n + 1 < sizeof(node->states[peer])) {
		node->states[peer][n] = state;
		node->states[peer][n + 1] = '\0';
	}
	node->spoken = true;
}

static void fake_receive(struct module *module, uint32_t peer, uint32_t session,
			 const void *frame, uint32_t length, bool in_window)
{
	struct node *node = node_of(module);
	struct told *told;

	node->spoken = true;
	if (node->refuse_error && node->told_count >= node->refuse_at) {
		if (node->answer_count < 64) {
			node->answers[node->answer_count].peer = peer;
			node->answers[node->answer_count].session = session;
			node->answers[node->answer_count].error = node->refuse_error;
			node->answers[node->answer_count].up = false;
			node->answers[node->answer_count].in_window = in_window;
			memcpy(&node->answers[node->answer_count++].hdr, frame,
			       sizeof(struct dsm_wire_hdr));
		}
		return;
	}
	if (node->told_count == FRAMES_MAX)
		return;
	told = &node->told[node->told_count++];
	told->peer = peer;
	told->length = length;
	told->in_window = in_window;
	memcpy(told->frame, frame, length);
}

static void fake_credit(struct module *module, uint32_t peer, uint32_t session, uint32_t credits)
{
	(void)session;
	node_of(module)->credits[peer] += credits;
	node_of(module)->spoken = true;
}

static void fake_peer_up(struct module *module, uint32_t peer, uint32_t session,
			 uint64_t incarnation)
{
	struct node *node = node_of(module);

	node->incarnation[peer] = incarnation;
	state_add(node, peer, 'u');
	if (node->answer_count < 64) {
		node->answers[node->answer_count].peer = peer;
		node->answers[node->answer_count].session = session;
		node->answers[node->answer_count].error = node->up_error;
		node->answers[node->answer_count++].up = true;
	}
}

static void fake_peer_down(struct module *module, uint32_t peer, uint32_t session)
{
	(void)session;
	state_add(node_of(module), peer, 'd');
}

static void fake_peer_rtt(struct module *module, uint32_t peer, uint32_t session, uint64_t rtt_ns)
{
	(void)session;
	node_of(module)->rtt_ns[peer] = rtt_ns;
	node_of(module)->spoken = true;
}

static bool fake_sync(struct module *module)
{
	struct node *node = node_of(module);
	bool spoken = node->spoken;
	unsigned int count = node->answer_count;

	node->spoken = false;
	node->answer_count = 0;
	if (spoken && node->expect_req)
		links_expect(&node->links, node->expect_req,
			     &(struct links_place){ REGION, PAGE, 0 });
	for (unsigned int i = 0; i < count; i++) {
		if (node->answers[i].up)
			links_peer_answered(&node->links, node->answers[i].peer,
					    node->answers[i].session, node->answers[i].error, NULL);
		else
			links_refused(&node->links, node->answers[i].peer,
				      node->answers[i].session, node->answers[i].error, "no",
				      &node->answers[i].hdr, node->answers[i].in_window);
	}
	return spoken;
}

static const struct module_ops fake_ops = {
	.receive = fake_receive,
	.credit = fake_credit,
	.peer_up = fake_peer_up,
	.peer_down = fake_peer_down,
	.peer_rtt = fake_peer_rtt,
	.sync = fake_sync,
};

static int fake_window_open(void *data, uint32_t region, void **base, uint64_t *size)
{
	struct node *node = data;

	if (region != REGION)
		return -ENOENT;
	*base = mmap(NULL, REGION_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, node->memory_fd, 0);
	*size = REGION_SIZE;
	return *base == MAP_FAILED ? -errno : 0;
}

static void loopback(struct config_address *address, uint16_t port)
{
	struct sockaddr_in *in = (struct sockaddr_in *)&address->addr;
	char text[32];

	in->sin_family = AF_INET;
	in->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	in->sin_port = htons(port);
	address->addr_len = sizeof(*in);
	snprintf(text, sizeof(text), "127.0.0.1:%u", port);
	free(address->text);
	address->text = strdup(text);
}

static uint16_t fd_port(int fd)
{
	struct sockaddr_in in;
	socklen_t len = sizeof(in);

	if (getsockname(fd, (struct sockaddr *)&in, &len))
		return 0;
	return ntohs(in.sin_port);
}

/* @port: where it listens; 0: somewhere. @peer_port: where those with lower ids do. */
static struct node *node_new(int id, uint32_t nodes, uint16_t port, uint16_t peer_port)
{
	struct node *node = calloc(1, sizeof(*node));

	node->module.ops = &fake_ops;
	config_init(&node->config);
	node->config.node = id;
	node->config.nodes = nodes;
	node->config.heartbeat_ms = HEARTBEAT_MS;
	node->config.lost_ms = LOST_MS;
	loopback(&node->config.listen, port);
	for (uint32_t i = 0; i < nodes; i++)
		loopback(&node->config.peers[i], peer_port);
	node->memory_fd = memfd_create("region", MFD_CLOEXEC);
	if (ftruncate(node->memory_fd, REGION_SIZE))
		abort();
	node->memory = mmap(NULL, REGION_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED,
			    node->memory_fd, 0);
	if (loop_init(&node->loop) ||
	    links_init(&node->links, &node->config, &node->loop, &node->module))
		abort();
	window_table_init(&node->links.windows, fake_window_open, node);
	return node;
}

static void node_start(struct node *node)
{
	if (links_start(&node->links, 0x1111 * (unsigned int)(node->config.node + 1), CREDITS))
		abort();
}

static uint16_t node_port(struct node *node)
{
	return fd_port(node->links.listener.fd);
}

static void node_free(struct node *node)
{
	links_exit(&node->links);
	loop_exit(&node->loop);
	munmap(node->memory, REGION_SIZE);
	close(node->memory_fd);
	config_exit(&node->config);
	free(node);
}

static bool node_up(struct node *node, uint32_t peer)
{
	size_t n = strlen(node->states[peer]);

	return n && node->states[peer][n - 1] == 'u' && node->links.peers[peer].conn;
}

static void pump(struct node *a, struct node *b)
{
	loop_once(&a->loop, b ? 0 : 1);
	if (b)
		loop_once(&b->loop, 1);
}

/* Until the condition holds; false, and the test fails, if it never does. */
#define WAIT(a, b, condition)							\
	({									\
		uint64_t until_ = clock_now_ns() + WAIT_NS;			\
		while (!(condition) && clock_now_ns() < until_)			\
			pump(a, b);						\
		CHECK(condition);						\
		(condition);							\
	})

static void pump_for(struct node *a, struct node *b, unsigned int ms)
{
	uint64_t until = clock_now_ns() + ms * NSEC_PER_MSEC;

	while (clock_now_ns() < until)
		pump(a, b);
}

/* Node 0 and node 1, up. */
static bool pair_new(struct node **a, struct node **b)
{
	*a = node_new(0, 2, 0, 1);
	node_start(*a);
	*b = node_new(1, 2, 0, node_port(*a));
	node_start(*b);
	return WAIT(*a, *b, node_up(*a, 1) && node_up(*b, 0));
}

static struct dsm_wire_hdr frame_header(uint8_t type, uint16_t src, uint32_t length)
{
	return (struct dsm_wire_hdr){
		.magic = htole32(DSM_WIRE_MAGIC),
		.len = htole32(length),
		.type = type,
		.src = htole16(src),
	};
}

static void node_send(struct node *node, uint32_t peer, const struct dsm_wire_hdr *hdr,
		      const struct links_place *body)
{
	links_send(&node->links, peer, hdr, sizeof(*hdr), body);
	links_sync(&node->links);
}

static void data_send(struct node *node, uint32_t peer, uint32_t req, uint64_t seq,
		      uint64_t offset, uint32_t length)
{
	struct dsm_wire_hdr hdr = frame_header(DSM_DATA, (uint16_t)node->config.node, length);
	struct links_place place = { REGION, length, offset };

	hdr.req = htole32(req);
	hdr.region = htole32(REGION);
	hdr.seq = htole64(seq);
	node_send(node, peer, &hdr, &place);
}

static void expect(struct node *node, uint32_t req, uint64_t offset, uint32_t length)
{
	struct links_place place = { REGION, length, offset };

	links_expect(&node->links, req, &place);
}

/* Bytes that tell where they belong. */
static void fill(unsigned char *to, uint32_t length, uint32_t salt)
{
	for (uint32_t i = 0; i < length; i++)
		to[i] = (unsigned char)((i * 31 + i / 251 + salt * 17) | 1);
}

static bool filled(const unsigned char *at, uint32_t length, uint32_t salt)
{
	for (uint32_t i = 0; i < length; i++)
		if (at[i] != (unsigned char)((i * 31 + i / 251 + salt * 17) | 1))
			return false;
	return true;
}

static bool zero(const unsigned char *at, uint32_t length)
{
	for (uint32_t i = 0; i < length; i++)
		if (at[i])
			return false;
	return true;
}

/*
 * A peer played by hand.
 */
static int raw_connect(struct node *node)
{
	struct sockaddr_in in = {
		.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
		.sin_port = htons(node_port(node)),
	};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int one = 1;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (connect(fd, (struct sockaddr *)&in, sizeof(in)))
		abort();
	return fd;
}

static void raw_write(int fd, const void *bytes, size_t length)
{
	while (length) {
		ssize_t n = send(fd, bytes, length, MSG_NOSIGNAL);

		if (n <= 0)
			return;
		bytes = (const char *)bytes + n;
		length -= (size_t)n;
	}
}

struct raw_hello {
	struct dsm_wire_hdr hdr;
	struct dsm_wire_hello hello;
};

static struct raw_hello raw_hello(uint16_t id, uint32_t nodes)
{
	return (struct raw_hello){
		.hdr = frame_header(DSM_HELLO, id, sizeof(struct dsm_wire_hello)),
		.hello = {
			.version_min = htole16(DSM_WIRE_VERSION_MIN),
			.version = htole16(DSM_WIRE_VERSION),
			.node = htole32(id),
			.nodes = htole32(nodes),
			.page_size = htole32((uint32_t)sysconf(_SC_PAGESIZE)),
			.incarnation = htole64(0xabcd),
		},
	};
}

/* What has come is thrown away. True if the other side has closed. */
static bool raw_closed(int fd)
{
	char bytes[65536];
	ssize_t n;

	while ((n = recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT)) > 0)
		;
	return !n || errno != EAGAIN;
}

/* A connection on which @id is up, at a node that waits for it. */
static int raw_up(struct node *node, uint16_t id)
{
	struct raw_hello hello = raw_hello(id, node->config.nodes);
	int fd = raw_connect(node);

	raw_write(fd, &hello, sizeof(hello));
	WAIT(node, NULL, node_up(node, id));
	return fd;
}

/* Pings, so that we are not taken for dead. */
static void raw_ping(int fd, uint16_t id)
{
	struct dsm_wire_hdr ping = frame_header(DSM_PING, id, 0);

	raw_write(fd, &ping, sizeof(ping));
}

static struct node *server_new(uint32_t nodes)
{
	struct node *node = node_new(0, nodes, 0, 1);

	node_start(node);
	return node;
}

/*
 * The tests
 */

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

static void small_frames(void)
{
	unsigned char frame[sizeof(struct dsm_wire_hdr) + 112];
	struct dsm_wire_hdr hdr;
	struct node *a, *b;
	unsigned int sent = 0;

	REQUIRE(pair_new(&a, &b));
	for (sent = 0; sent < 2000; sent++) {
		hdr = frame_header(DSM_REGION_NEW, 1, 112);
		hdr.seq = htole64(sent);
		memcpy(frame, &hdr, sizeof(hdr));
		fill(frame + sizeof(hdr), 112, sent);
		/* as many as there are credits for, as the module does */
		links_send(&b->links, 0, frame, sizeof(frame), NULL);
		if (sent % 7 == 0)
			links_sync(&b->links);
		WAIT(a, b, sent + 1 - b->credits[0] < CREDITS);
	}
	links_sync(&b->links);
	WAIT(a, b, a->told_count == sent);
	for (unsigned int i = 0; i < a->told_count; i++) {
		memcpy(&hdr, a->told[i].frame, sizeof(hdr));
		if (a->told[i].peer != 1 || a->told[i].length != sizeof(frame) ||
		    le64toh(hdr.seq) != i || !filled(a->told[i].frame + sizeof(hdr), 112, i)) {
			CHECK(!"a frame that is not as it was sent");
			break;
		}
	}
	WAIT(a, b, b->credits[0] == sent);	/* the rest, with a heartbeat */
	node_free(a);
	node_free(b);
}

static void data_to_its_place(void)
{
	struct node *a, *b;

	REQUIRE(pair_new(&a, &b));
	fill(b->memory + 3 * PAGE, PAGE, 3);
	expect(a, 100, 5 * PAGE, PAGE);
	data_send(b, 0, 100, 1, 3 * PAGE, PAGE);
	WAIT(a, b, a->told_count == 1);
	CHECK(a->told[0].in_window);
	CHECK(a->told[0].length == sizeof(struct dsm_wire_hdr));
	CHECK(filled(a->memory + 5 * PAGE, PAGE, 3));
	CHECK(zero(a->memory, 5 * PAGE) && zero(a->memory + 6 * PAGE, PAGE));
	CHECK(!a->links.expects.count);

	/* The expectation is over: the same again is not expected. */
	memset(a->memory + 5 * PAGE, 0, PAGE);
	data_send(b, 0, 100, 2, 3 * PAGE, PAGE);
	WAIT(a, b, a->told_count == 2);
	CHECK(!a->told[1].in_window);
	CHECK(zero(a->memory, REGION_SIZE));
	node_free(a);
	node_free(b);
}

static void data_back_to_back(void)
{
	const uint32_t sizes[] = { PAGE, 65536, 8192, PAGE, PAGE, 16384, 65536, PAGE };
	uint64_t from = 0, to = REGION_SIZE;
	int size = 4096;
	struct node *a, *b;
	uint32_t n = 0;

	REQUIRE(pair_new(&a, &b));
	/* Writes come in parts, and so do reads. */
	setsockopt(b->links.peers[0].conn->source.fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	for (; from + 65536 <= REGION_SIZE && n < CREDITS; n++) {
		uint32_t length = sizes[n % 8];

		to -= length;
		fill(b->memory + from, length, n);
		expect(a, 1000 + n, to, length);
		data_send(b, 0, 1000 + n, n, from, length);
		from += length;
	}
	WAIT(a, b, a->told_count == n);
	to = REGION_SIZE;
	for (uint32_t i = 0; i < n; i++) {
		to -= sizes[i % 8];
		CHECK(a->told[i].in_window);
		CHECK(filled(a->memory + to, sizes[i % 8], i));
	}
	CHECK(zero(a->memory, (uint32_t)to));
	CHECK(!a->links.expects.count);
	node_free(a);
	node_free(b);
}

static void data_unexpected(void)
{
	struct links_place elsewhere = { REGION + 1, PAGE, 0 };
	struct dsm_wire_hdr other = frame_header(DSM_DATA, 1, PAGE);
	struct links_place from = { REGION, PAGE, 0 };
	struct node *a, *b;

	REQUIRE(pair_new(&a, &b));
	memset(b->memory, 0xff, REGION_SIZE);
	expect(a, 2, 0, PAGE);
	expect(a, 4, 0, PAGE);
	expect(a, 5, REGION_SIZE - PAGE + 1, PAGE);
	links_expect(&a->links, 6, &elsewhere);

	data_send(b, 0, 1, 1, 0, PAGE);		/* nobody asked */
	data_send(b, 0, 2, 2, 0, 2 * PAGE);	/* more than was asked for */
	data_send(b, 0, 2, 2, 0, PAGE / 2);	/* less */
	data_send(b, 0, 5, 3, 0, PAGE);		/* outside the window */
	other.req = htole32(6);			/* of a window that cannot be had */
	other.region = htole32(REGION + 1);
	node_send(b, 0, &other, &from);
	other.req = htole32(4);			/* of another region than was asked for */
	node_send(b, 0, &other, &from);

	WAIT(a, b, a->told_count == 6);
	for (unsigned int i = 0; i < a->told_count; i++)
		CHECK(!a->told[i].in_window);
	CHECK(zero(a->memory, REGION_SIZE));
	CHECK(node_up(a, 1));

	data_send(b, 0, 2, 4, 0, PAGE);		/* and what was asked for, after all */
	WAIT(a, b, a->told_count == 7);
	CHECK(a->told[6].in_window);
	CHECK(!zero(a->memory, PAGE) && zero(a->memory + PAGE, REGION_SIZE - PAGE));
	node_free(a);
	node_free(b);
}

static void grant_ends_expectation(void)
{
	struct dsm_wire_hdr grant = frame_header(DSM_GRANT, 1, 0);
	struct node *a, *b;

	REQUIRE(pair_new(&a, &b));
	memset(b->memory, 0xff, PAGE);
	expect(a, 9, 0, PAGE);
	grant.req = htole32(9);
	node_send(b, 0, &grant, NULL);
	data_send(b, 0, 9, 2, 0, PAGE);
	WAIT(a, b, a->told_count == 2);
	CHECK(!a->told[0].in_window && !a->told[1].in_window);
	CHECK(zero(a->memory, PAGE));
	CHECK(!a->links.expects.count);
	node_free(a);
	node_free(b);
}

/* Half of a data frame from peer 1; then its place is taken away. */
static void place_taken_away(void)
{
	struct dsm_wire_hdr data = frame_header(DSM_DATA, 1, 65536);
	struct dsm_wire_hdr grant = frame_header(DSM_GRANT, 2, 0);
	struct node *node = server_new(3);
	unsigned char *ones = malloc(65536);
	int one = raw_up(node, 1);
	int two = raw_up(node, 2);

	memset(ones, 0xff, 65536);
	data.region = htole32(REGION);
	data.req = htole32(1);
	grant.req = htole32(1);

	/* by a grant on another connection */
	expect(node, 1, 0, 65536);
	raw_write(one, &data, sizeof(data));
	raw_write(one, ones, 30000);
	WAIT(node, NULL, node->memory[29999] == 0xff);
	raw_write(two, &grant, sizeof(grant));
	WAIT(node, NULL, node->told_count == 1);
	raw_write(one, ones, 35536);
	WAIT(node, NULL, node->told_count == 2);
	CHECK(!node->told[1].in_window);
	CHECK(zero(node->memory + 30000, 35536));

	/* by the end of the region */
	memset(node->memory, 0, 65536);
	expect(node, 1, 0, 65536);
	raw_write(one, &data, sizeof(data));
	raw_write(one, ones, 30000);
	WAIT(node, NULL, node->memory[29999] == 0xff);
	links_forget(&node->links, REGION);
	raw_write(one, ones, 35536);
	WAIT(node, NULL, node->told_count == 3);
	CHECK(!node->told[2].in_window);
	CHECK(zero(node->memory + 30000, 35536));
	CHECK(!node->links.expects.count);

	/* and one that has another's is not given to a second connection */
	memset(node->memory, 0, 65536);
	expect(node, 1, 0, 65536);
	raw_write(one, &data, sizeof(data));
	raw_write(one, ones, 30000);
	WAIT(node, NULL, node->memory[29999] == 0xff);
	memset(node->memory, 0, 65536);
	data.src = htole16(2);
	raw_write(two, &data, sizeof(data));
	raw_write(two, ones, 65536);
	WAIT(node, NULL, node->told_count == 4);
	CHECK(!node->told[3].in_window);
	CHECK(zero(node->memory, 65536));
	/* but is there again when the first ends */
	close(one);
	WAIT(node, NULL, !node_up(node, 1));
	raw_write(two, &data, sizeof(data));
	raw_write(two, ones, 65536);
	WAIT(node, NULL, node->told_count == 5);
	CHECK(node->told[4].in_window);

	free(ones);
	close(two);
	node_free(node);
}

static void byte_at_a_time(void)
{
	struct dsm_wire_hdr data = frame_header(DSM_DATA, 1, PAGE);
	unsigned char stream[2 * PAGE + 4096], *end = stream;
	struct raw_hello hello = raw_hello(1, 2);
	struct node *node = server_new(2);
	int fd = raw_connect(node);
	struct dsm_wire_hdr hdr;

	expect(node, 5, PAGE, PAGE);
	end = mempcpy(end, &hello, sizeof(hello));
	hdr = frame_header(DSM_REGION_NEW, 1, 112);
	end = mempcpy(end, &hdr, sizeof(hdr));
	fill(end, 112, 1);
	end += 112;
	hdr = frame_header(DSM_PING, 1, 0);
	end = mempcpy(end, &hdr, sizeof(hdr));
	data.region = htole32(REGION);
	data.req = htole32(5);
	end = mempcpy(end, &data, sizeof(data));
	fill(end, PAGE, 2);
	end += PAGE;
	hdr = frame_header(DSM_GET_S, 1, 0);
	end = mempcpy(end, &hdr, sizeof(hdr));

	for (unsigned char *p = stream; p < end; p++) {
		raw_write(fd, p, 1);
		loop_once(&node->loop, 1);
	}
	WAIT(node, NULL, node->told_count == 3);
	CHECK(node->told[0].length == sizeof(hdr) + 112);
	CHECK(filled(node->told[0].frame + sizeof(hdr), 112, 1));
	CHECK(node->told[1].in_window);
	CHECK(filled(node->memory + PAGE, PAGE, 2));
	CHECK(node->told[2].length == sizeof(hdr));
	CHECK(node->told[2].frame[offsetof(struct dsm_wire_hdr, type)] == DSM_GET_S);
	close(fd);
	node_free(node);
}

/* The same stream, cut at random. */
static void any_segmentation(void)
{
	const uint32_t count = 300;
	size_t size = count * (sizeof(struct dsm_wire_hdr) + 65536), length = 0, at = 0;
	struct node *node = server_new(2);
	unsigned char *stream = malloc(size);
	uint32_t *lengths = calloc(count, sizeof(*lengths));
	int fd = raw_up(node, 1);

	for (uint32_t i = 0; i < count; i++) {
		bool is_data = random() % 3;
		uint32_t body = is_data ? 1U + (uint32_t)random() % (random() % 4 ? 5000 : 65536) :
					  (uint32_t)random() % 200;
		struct dsm_wire_hdr hdr = frame_header(is_data ? DSM_DATA : DSM_REGION_NEW, 1, body);

		hdr.region = htole32(REGION);
		hdr.req = htole32(i);
		hdr.seq = htole64(i);
		memcpy(stream + length, &hdr, sizeof(hdr));
		fill(stream + length + sizeof(hdr), body, i);
		length += sizeof(hdr) + body;
		lengths[i] = is_data ? body : 0;
	}
	for (uint32_t i = 0; at < length;) {
		size_t n = 1 + (size_t)random() % (random() % 5 ? 300 : 100000);

		/* Expected a little ahead, always at the same place. */
		if (n > length - at)
			n = length - at;
		raw_write(fd, stream + at, n);
		at += n;
		for (int turn = 0; turn < 3; turn++) {
			for (i = node->told_count; i < count && !lengths[i]; i++)
				;
			if (i < count && i == node->told_count &&
			    !expect_find(&node->links.expects, i))
				expect(node, i, 0, lengths[i]);
			loop_once(&node->loop, 0);
		}
	}
	WAIT(node, NULL, node->told_count == count);
	for (uint32_t i = 0; i < node->told_count; i++) {
		struct dsm_wire_hdr hdr;

		memcpy(&hdr, node->told[i].frame, sizeof(hdr));
		if (le64toh(hdr.seq) != i || (lengths[i] ?
		    node->told[i].length != sizeof(hdr) :
		    !filled(node->told[i].frame + sizeof(hdr),
			    node->told[i].length - (uint32_t)sizeof(hdr), i))) {
			CHECK(!"a frame that is not as it was sent");
			break;
		}
	}
	free(lengths);
	free(stream);
	close(fd);
	node_free(node);
}

static void version_mismatch(void)
{
	struct raw_hello hello = raw_hello(1, 2);
	struct node *node = server_new(2);
	struct node *a, *b;
	int fd;

	hello.hello.version_min = htole16(3);
	hello.hello.version = htole16(4);
	fd = raw_connect(node);
	raw_write(fd, &hello, sizeof(hello));
	WAIT(node, NULL, raw_closed(fd));
	CHECK(strstr(log_text, "peer 1 speaks protocol 3 to 4, we speak 1 to 1"));
	CHECK(!*node->states[1]);
	close(fd);

	/* Newer than we know, and able to speak ours. */
	hello.hello.version_min = htole16(1);
	fd = raw_connect(node);
	raw_write(fd, &hello, sizeof(hello));
	WAIT(node, NULL, node_up(node, 1));
	close(fd);
	node_free(node);

	/* Both say so. */
	log_clear();
	a = server_new(2);
	b = node_new(1, 2, 0, node_port(a));
	b->links.version_min = 2;
	b->links.version = 7;
	node_start(b);
	WAIT(a, b, strstr(log_text, "peer 1 speaks protocol 2 to 7, we speak 1 to 1"));
	WAIT(a, b, strstr(log_text, "peer 0 speaks protocol 1 to 1, we speak 2 to 7"));
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

static void silence(void)
{
	struct node *node = server_new(2);
	uint64_t since = clock_now_ns();
	int fd = raw_connect(node);

	/* nothing at all */
	WAIT(node, NULL, raw_closed(fd));
	CHECK(clock_now_ns() - since > LOST_MS * NSEC_PER_MSEC / 2);
	CHECK(strstr(log_text, "no hello within 200 ms"));
	close(fd);

	/* nothing after hello */
	fd = raw_up(node, 1);
	WAIT(node, NULL, raw_closed(fd));
	CHECK(strstr(log_text, "not heard of for 200 ms"));
	CHECK(!strcmp(node->states[1], "ud"));
	close(fd);

	/* the node itself was stopped: the peer is not lost */
	fd = raw_up(node, 1);
	raw_ping(fd, 1);
	usleep(3 * LOST_MS * 1000);
	loop_once(&node->loop, 0);
	CHECK(node_up(node, 1));
	close(fd);
	node_free(node);
}

static void heartbeats(void)
{
	struct node *a, *b;

	REQUIRE(pair_new(&a, &b));
	pump_for(a, b, 3 * LOST_MS);
	CHECK(!strcmp(a->states[1], "u") && !strcmp(b->states[0], "u"));
	WAIT(a, b, a->rtt_ns[1] && b->rtt_ns[0]);
	CHECK(a->rtt_ns[1] < NSEC_PER_SEC && b->rtt_ns[0] < NSEC_PER_SEC);
	node_free(a);
	node_free(b);
}

static void replacement(void)
{
	struct dsm_wire_hdr old = frame_header(DSM_GET_S, 0, 0);
	struct dsm_wire_hdr fresh = frame_header(DSM_GET_M, 0, 0);
	struct dsm_wire_hdr seen[8];
	struct node *node = server_new(2);
	int first = raw_up(node, 1);
	int second;
	size_t have = 0;

	/* Never written, for want of a turn of the loop. */
	links_send(&node->links, 1, &old, sizeof(old), NULL);
	second = raw_connect(node);
	{
		struct raw_hello hello = raw_hello(1, 2);

		raw_write(second, &hello, sizeof(hello));
	}
	WAIT(node, NULL, !strcmp(node->states[1], "udu"));
	WAIT(node, NULL, raw_closed(first));
	CHECK(strstr(log_text, "replaced"));

	node_send(node, 1, &fresh, NULL);
	/* hello and its body, then what was sent after, not what was before */
	while (have < 96 + 64) {
		ssize_t n;

		pump(node, NULL);
		n = recv(second, (char *)seen + have, 160 - have, MSG_DONTWAIT);
		if (!n)
			break;
		have += n > 0 ? (size_t)n : 0;
	}
	CHECK(((unsigned char *)seen)[offsetof(struct dsm_wire_hdr, type)] == DSM_HELLO);
	CHECK(((unsigned char *)seen)[96 + offsetof(struct dsm_wire_hdr, type)] == DSM_GET_M);
	close(first);
	close(second);
	node_free(node);
}

static void reconnect(void)
{
	struct node *a, *b;
	uint16_t port;

	REQUIRE(pair_new(&a, &b));
	port = node_port(a);

	/* the one that connects is killed */
	node_free(b);
	WAIT(a, NULL, !strcmp(a->states[1], "ud"));
	b = node_new(1, 2, 0, port);
	node_start(b);
	WAIT(a, b, node_up(a, 1) && node_up(b, 0));

	/* the one that is connected to is */
	node_free(a);
	WAIT(b, NULL, !strcmp(b->states[0], "ud"));
	pump_for(b, NULL, 100);
	a = node_new(0, 2, port, 1);
	node_start(a);
	WAIT(a, b, node_up(a, 1) && node_up(b, 0));
	CHECK(!strcmp(b->states[0], "udu"));
	node_free(a);
	node_free(b);
}

static void sends_while_down(void)
{
	struct dsm_wire_hdr hdr = frame_header(DSM_GET_S, 0, 0);
	struct node *node = server_new(2);
	struct links_place place = { REGION, PAGE, 0 };

	node_send(node, 1, &hdr, NULL);
	node_send(node, 1, &hdr, &place);
	node_send(node, 0, &hdr, NULL);		/* to itself */
	node_send(node, 77, &hdr, NULL);	/* to nobody */
	CHECK(!node->credits[1]);
	node_free(node);
}

/* The module does not take a frame: everything from it on comes again. */
static void refused(void)
{
	struct node *a, *b;

	REQUIRE(pair_new(&a, &b));
	fill(b->memory, 2 * PAGE, 1);
	a->refuse_at = 1;
	a->refuse_error = EPROTO;
	expect(a, 1, PAGE, PAGE);
	expect(a, 2, 2 * PAGE, PAGE);
	data_send(b, 0, 1, 1, 0, PAGE);
	data_send(b, 0, 2, 2, 0, PAGE);
	WAIT(a, b, !strcmp(a->states[1], "udu") && node_up(b, 0));
	CHECK(a->told_count == 1 && a->told[0].in_window);
	CHECK(strstr(log_text, "the module has not taken frame 2, of type 9: Protocol error: no"));
	CHECK(a->links.expects.count == 1);

	a->refuse_error = 0;
	WAIT(a, b, node_up(a, 1) && node_up(b, 0));
	data_send(b, 0, 1, 1, 0, PAGE);
	data_send(b, 0, 2, 2, 0, PAGE);
	WAIT(a, b, a->told_count == 3);
	CHECK(!a->told[1].in_window && a->told[2].in_window);
	CHECK(!a->links.expects.count);
	node_free(a);
	node_free(b);
}

/*
 * A request is sent again just as its bytes arrive. They must not be expected
 * any longer: the owner, too, may send them again, into a page in use.
 */
static void expected_again_too_late(void)
{
	struct node *a, *b;

	REQUIRE(pair_new(&a, &b));
	memset(b->memory, 0xff, PAGE);
	expect(a, 1, 0, PAGE);
	a->expect_req = 1;
	data_send(b, 0, 1, 1, 0, PAGE);
	WAIT(a, b, a->told_count == 1);
	a->expect_req = 0;
	CHECK(a->told[0].in_window);
	CHECK(!a->links.expects.count);

	memset(a->memory, 0, PAGE);
	data_send(b, 0, 1, 1, 0, PAGE);
	WAIT(a, b, a->told_count == 2);
	CHECK(!a->told[1].in_window);
	CHECK(zero(a->memory, PAGE));

	/* If it is refused, they are expected: it will be sent again. */
	expect(a, 1, 0, PAGE);
	a->refuse_at = 2;
	a->refuse_error = ENOMEM;
	a->expect_req = 1;
	data_send(b, 0, 1, 1, 0, PAGE);
	WAIT(a, b, !strcmp(a->states[1], "udu") && node_up(b, 0));
	a->expect_req = 0;
	a->refuse_error = 0;
	data_send(b, 0, 1, 1, 0, PAGE);
	WAIT(a, b, a->told_count == 3);
	CHECK(a->told[2].in_window);
	node_free(a);
	node_free(b);
}

static void stale_peer(void)
{
	struct node *a = server_new(2);
	struct node *b = node_new(1, 2, 0, node_port(a));

	a->up_error = ESTALE;
	node_start(b);
	pump_for(a, b, 700);
	CHECK(strstr(log_text, "it has lost its memory, and this node still has regions"));
	/* it backs off, and does not try for all it is worth */
	CHECK(strlen(a->states[1]) >= 4 && strlen(a->states[1]) < 24);
	a->up_error = 0;
	WAIT(a, b, node_up(a, 1) && node_up(b, 0));
	pump_for(a, b, 50);
	CHECK(node_up(a, 1) && node_up(b, 0));
	node_free(a);
	node_free(b);
}

/* The frames cannot be had: the connection ends, the program does not. */
static void window_fault(void)
{
	struct node *a, *b;

	REQUIRE(pair_new(&a, &b));
	fill(b->memory, 65536, 1);
	if (ftruncate(a->memory_fd, 0))
		abort();
	expect(a, 1, 0, PAGE);
	data_send(b, 0, 1, 1, 0, PAGE);		/* copied */
	WAIT(a, b, !strncmp(a->states[1], "udu", 3));
	CHECK(strstr(log_text, "a page of region 7's window cannot be written"));

	log_clear();
	WAIT(a, b, node_up(a, 1) && node_up(b, 0));
	expect(a, 1, 0, 65536);
	data_send(b, 0, 1, 1, 0, 65536);	/* and read into */
	WAIT(a, b, !strncmp(a->states[1], "ududu", 5));
	CHECK(strstr(log_text, "a page of region 7's window cannot be written"));

	WAIT(a, b, node_up(a, 1) && node_up(b, 0));
	if (ftruncate(b->memory_fd, 0))
		abort();
	data_send(b, 0, 1, 1, 0, PAGE);
	WAIT(a, b, strstr(log_text, "a page of a window cannot be read"));
	WAIT(a, b, node_up(a, 1) && node_up(b, 0));
	CHECK(!a->told_count);
	node_free(a);
	node_free(b);
}

static void slow_reader(void)
{
	struct node *node = server_new(2);
	int fd = raw_up(node, 1);
	size_t want = 96 + 32 * (64 + 65536ULL), have = 0;
	unsigned char *seen = malloc(want + 65536);
	uint64_t until = clock_now_ns() + WAIT_NS;
	int size = 4096;
	size_t at = 96;

	setsockopt(node->links.peers[1].conn->source.fd, SOL_SOCKET, SO_SNDBUF, &size,
		   sizeof(size));
	fill(node->memory, 65536, 1);
	for (uint32_t i = 0; i < 32; i++)
		data_send(node, 1, i, i, 0, 65536);
	CHECK(!output_empty(&node->links.peers[1].conn->out));
	for (int i = 0; i < 1000; i++) {	/* and wants answers it does not read */
		raw_ping(fd, 1);
		loop_once(&node->loop, 0);
	}
	CHECK(node->links.peers[1].conn && node->links.peers[1].conn->out.own <= 16);

	while (have < want && clock_now_ns() < until) {
		ssize_t n = recv(fd, seen + have, want + 65536 - have, MSG_DONTWAIT);

		have += n > 0 ? (size_t)n : 0;
		raw_ping(fd, 1);
		loop_once(&node->loop, 0);
	}
	for (uint32_t i = 0; at + 64 <= have;) {
		struct dsm_wire_hdr hdr;

		memcpy(&hdr, seen + at, sizeof(hdr));
		at += 64 + le32toh(hdr.len);
		if (hdr.type != DSM_DATA || at > have)
			continue;
		if (le32toh(hdr.req) != i++ || !filled(seen + at - 65536, 65536, 1)) {
			CHECK(!"a frame that is not as it was sent");
			break;
		}
		if (i == 32)
			want = 0;
	}
	CHECK(!want);
	WAIT(node, NULL, node->credits[1] == 32);
	free(seen);
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
	char path[] = "/tmp/dsmd-link-test.XXXXXX";
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

static const struct {
	const char *name;
	void (*run)(void);
} tests[] = {
	{ "configuration",		configuration },
	{ "handshake",			handshake },
	{ "small frames, credits",	small_frames },
	{ "data to its place",		data_to_its_place },
	{ "data back to back, writes in parts", data_back_to_back },
	{ "data nobody expects",	data_unexpected },
	{ "a grant ends an expectation", grant_ends_expectation },
	{ "a place taken away half-way", place_taken_away },
	{ "a byte at a time",		byte_at_a_time },
	{ "any segmentation",		any_segmentation },
	{ "versions that do not match",	version_mismatch },
	{ "a hello that does not fit",	wrong_hello },
	{ "garbage",			garbage },
	{ "random garbage",		fuzz },
	{ "silence",			silence },
	{ "heartbeats, round-trip time", heartbeats },
	{ "replacement",		replacement },
	{ "reconnection",		reconnect },
	{ "sends to a peer that is down", sends_while_down },
	{ "frames the module refuses",	refused },
	{ "expected again too late",	expected_again_too_late },
	{ "a peer the module refuses",	stale_peer },
	{ "a window that faults",	window_fault },
	{ "a peer that reads slowly",	slow_reader },
	{ "a crowd of strangers",	crowd },
	{ "the wrong one connects",	wrong_way_round },
};

#define TESTS	(sizeof(tests) / sizeof(tests[0]))

int main(void)
{
	unsigned int failures = 0;

	alarm(TEST_SECONDS);
	signal(SIGPIPE, SIG_IGN);
	setvbuf(stdout, NULL, _IOLBF, 0);
	log_init(LOG_INFO);
	log_set_sink(log_keep);
	window_copy_init();
	srandom(1);

	printf("TAP version 13\n1..%zu\n", TESTS);
	for (unsigned int i = 0; i < TESTS; i++) {
		failed = false;
		log_clear();
		tests[i].run();
		printf("%s %u %s\n", failed ? "not ok" : "ok", i + 1, tests[i].name);
		failures += failed;
	}
	return failures ? 1 : 0;
}
