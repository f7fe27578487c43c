// SPDX-License-Identifier: GPL-2.0
/* What the tests of dsmd's link layer share; see dsmd-test.h. */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>

#include "dsmd-test.h"

bool failed;

/*
 * The log, of which the newest lines are kept.
 */
char log_text[65536];
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

void log_clear(void)
{
	log_length = 0;
	log_text[0] = '\0';
}

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
			node->answers[node->answer_count].asked = false;
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

static void fake_session(struct module *module, uint32_t peer, uint32_t number,
			 uint64_t incarnation)
{
	struct node *node = node_of(module);

	(void)incarnation;
	node->spoken = true;
	if (node->answer_count < 64) {
		node->answers[node->answer_count].peer = peer;
		node->answers[node->answer_count].session = number;
		node->answers[node->answer_count].error = node->session_error;
		node->answers[node->answer_count].up = false;
		node->answers[node->answer_count++].asked = true;
	}
}

static void fake_peer_up(struct module *module, uint32_t peer, uint32_t session,
			 uint64_t incarnation, uint64_t agreed)
{
	struct node *node = node_of(module);

	node->incarnation[peer] = incarnation;
	if (!node->up_error)
		node->session[peer] = agreed;
	state_add(node, peer, 'u');
	if (node->answer_count < 64) {
		node->answers[node->answer_count].peer = peer;
		node->answers[node->answer_count].session = session;
		node->answers[node->answer_count].error = node->up_error;
		node->answers[node->answer_count].asked = false;
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
	if (spoken && node->busy) {
		pulse_away(&node->links.pulse);
		node->busy(node->busy_data);
		pulse_back(&node->links.pulse);
	}
	if (spoken && node->expect_req)
		links_expect(&node->links, node->expect_req,
			     &(struct links_place){ REGION, PAGE, 0 });
	for (unsigned int i = 0; i < count; i++) {
		if (node->answers[i].asked)
			session_answered(&node->links, node->answers[i].peer,
					 node->answers[i].session, node->answers[i].error,
					 node->session[node->answers[i].peer], NULL);
		else if (node->answers[i].up)
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
	.session = fake_session,
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
struct node *node_new(int id, uint32_t nodes, uint16_t port, uint16_t peer_port)
{
	struct node *node = calloc(1, sizeof(*node));

	node->module.ops = &fake_ops;
	config_init(&node->config);
	node->config.node = id;
	node->config.nodes = nodes;
	node->config.heartbeat_ms = HEARTBEAT_MS;
	node->config.lost_ms = LOST_MS;
	node->config.insecure = true;
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

void node_start(struct node *node)
{
	if (links_start(&node->links, 0x1111 * (unsigned int)(node->config.node + 1), CREDITS))
		abort();
}

uint16_t node_port(struct node *node)
{
	return fd_port(node->links.listener.fd);
}

void node_free(struct node *node)
{
	links_exit(&node->links);
	loop_exit(&node->loop);
	munmap(node->memory, REGION_SIZE);
	close(node->memory_fd);
	config_exit(&node->config);
	free(node);
}

bool node_up(struct node *node, uint32_t peer)
{
	size_t n = strlen(node->states[peer]);

	return n && node->states[peer][n - 1] == 'u' && node->links.peers[peer].conn;
}

void pump(struct node *a, struct node *b)
{
	loop_once(&a->loop, b ? 0 : 1);
	if (b)
		loop_once(&b->loop, 1);
}

void pump_for(struct node *a, struct node *b, unsigned int ms)
{
	uint64_t until = clock_now_ns() + ms * NSEC_PER_MSEC;

	while (clock_now_ns() < until)
		pump(a, b);
}

/* Node 0 and node 1, up. */
bool pair_new(struct node **a, struct node **b)
{
	*a = node_new(0, 2, 0, 1);
	node_start(*a);
	*b = node_new(1, 2, 0, node_port(*a));
	node_start(*b);
	return WAIT(*a, *b, node_up(*a, 1) && node_up(*b, 0));
}

struct dsm_wire_hdr frame_header(uint8_t type, uint16_t src, uint32_t length)
{
	return (struct dsm_wire_hdr){
		.magic = htole32(DSM_WIRE_MAGIC),
		.len = htole32(length),
		.type = type,
		.src = htole16(src),
	};
}

void node_send(struct node *node, uint32_t peer, const struct dsm_wire_hdr *hdr,
	       const struct links_place *body)
{
	links_send(&node->links, peer, hdr, sizeof(*hdr), body);
	links_sync(&node->links);
}

void data_send(struct node *node, uint32_t peer, uint32_t req, uint64_t seq,
	       uint64_t offset, uint32_t length)
{
	struct dsm_wire_hdr hdr = frame_header(DSM_DATA, (uint16_t)node->config.node, length);
	struct links_place place = { REGION, length, offset };

	hdr.req = htole32(req);
	hdr.region = htole32(REGION);
	hdr.seq = htole64(seq);
	node_send(node, peer, &hdr, &place);
}

void expect(struct node *node, uint32_t req, uint64_t offset, uint32_t length)
{
	struct links_place place = { REGION, length, offset };

	links_expect(&node->links, req, &place);
}

/* Bytes that tell where they belong. */
void fill(unsigned char *to, uint32_t length, uint32_t salt)
{
	for (uint32_t i = 0; i < length; i++)
		to[i] = (unsigned char)((i * 31 + i / 251 + salt * 17) | 1);
}

bool filled(const unsigned char *at, uint32_t length, uint32_t salt)
{
	for (uint32_t i = 0; i < length; i++)
		if (at[i] != (unsigned char)((i * 31 + i / 251 + salt * 17) | 1))
			return false;
	return true;
}

bool zero(const unsigned char *at, uint32_t length)
{
	for (uint32_t i = 0; i < length; i++)
		if (at[i])
			return false;
	return true;
}

/*
 * A peer played by hand.
 */
int raw_connect_from(const char *host, uint16_t port)
{
	struct sockaddr_in in = { .sin_family = AF_INET };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int one = 1;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (inet_pton(AF_INET, host, &in.sin_addr) != 1 ||
	    bind(fd, (struct sockaddr *)&in, sizeof(in)))
		abort();
	in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	in.sin_port = htons(port);
	if (!connect(fd, (struct sockaddr *)&in, sizeof(in)))
		return fd;
	close(fd);
	return -1;
}

int raw_connect(struct node *node)
{
	int fd = raw_connect_from("127.0.0.1", node_port(node));

	if (fd < 0)
		abort();
	return fd;
}

void raw_write(int fd, const void *bytes, size_t length)
{
	while (length) {
		ssize_t n = send(fd, bytes, length, MSG_NOSIGNAL);

		if (n <= 0)
			return;
		bytes = (const char *)bytes + n;
		length -= (size_t)n;
	}
}

struct raw_hello raw_hello(uint16_t id, uint32_t nodes)
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
bool raw_closed(int fd)
{
	char bytes[65536];
	ssize_t n;

	while ((n = recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT)) > 0)
		;
	return !n || errno != EAGAIN;
}

/* What follows the hello: the node has the session that we have. */
struct raw_ready raw_ready_make(struct node *node, uint16_t id)
{
	node->session[id] = RAW_SESSION;
	return (struct raw_ready){
		.session_hdr = frame_header(DSM_SESSION, id, sizeof(struct dsm_wire_session)),
		.session = { htole64(RAW_SESSION), htole64(1) },
		.ready_hdr = frame_header(DSM_READY, id, sizeof(struct dsm_wire_ready)),
		.ready = { .session = htole64(RAW_SESSION) },
	};
}

void raw_ready(struct node *node, int fd, uint16_t id)
{
	struct raw_ready ready = raw_ready_make(node, id);

	raw_write(fd, &ready, sizeof(ready));
}

/* A connection on which @id is up, at a node that waits for it. */
int raw_up(struct node *node, uint16_t id)
{
	struct raw_hello hello = raw_hello(id, node->config.nodes);
	int fd = raw_connect(node);

	raw_write(fd, &hello, sizeof(hello));
	raw_ready(node, fd, id);
	WAIT(node, NULL, node_up(node, id));
	return fd;
}

/* Pings, so that we are not taken for dead. */
void raw_ping(int fd, uint16_t id)
{
	struct dsm_wire_hdr ping = frame_header(DSM_PING, id, 0);

	raw_write(fd, &ping, sizeof(ping));
}

struct node *server_new(uint32_t nodes)
{
	struct node *node = node_new(0, nodes, 0, 1);

	node_start(node);
	return node;
}

/* Returns the program's exit status. */
int tests_run(const struct test *tests, unsigned int count)
{
	const char *slowness = getenv("SLOWNESS");
	unsigned int failures = 0;

	/* A busy machine is slower: selftests/check says by how much. */
	alarm(TEST_SECONDS * (slowness ? atoi(slowness) : 1));
	signal(SIGPIPE, SIG_IGN);
	setvbuf(stdout, NULL, _IOLBF, 0);
	log_init(LOG_INFO);
	log_set_sink(log_keep);
	window_copy_init();
	srandom(1);

	printf("TAP version 13\n1..%u\n", count);
	for (unsigned int i = 0; i < count; i++) {
		failed = false;
		log_clear();
		tests[i].run();
		printf("%s %u %s\n", failed ? "not ok" : "ok", i + 1, tests[i].name);
		failures += failed;
	}
	return failures ? 1 : 0;
}
