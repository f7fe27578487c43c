// SPDX-License-Identifier: GPL-2.0
/*
 * Garbage at a helper's TCP port: the helper closes the connection, and serves its peers as
 * before.
 */
#include <arpa/inet.h>
#include <endian.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/dsm_wire.h>

#include "test.h"

enum {
	PORT		= 7717,
	RANDOM		= 60,
	STRANGERS	= 200,
	/* More than the time that a helper waits for a handshake. */
	PATIENCE_MS	= 20 * 1000,
};

struct hello {
	struct dsm_wire_hdr hdr;
	struct dsm_wire_hello hello;
};

static int connect_to(int whom)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(PORT) };
	char text[32];
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(text, sizeof(text), "10.77.0.%d", whom + 1);
	ASSERT_EQ(inet_pton(AF_INET, text, &address.sin_addr), 1);
	ASSERT_OK(fd);
	ASSERT_OK(connect(fd, (struct sockaddr *)&address, sizeof(address)));
	return fd;
}

/* The helper closes the connection, whatever it sends before. */
static bool is_closed(int fd)
{
	struct pollfd poll_fd = { .fd = fd, .events = POLLIN };
	char bytes[4096];

	while (poll(&poll_fd, 1, patience(PATIENCE_MS)) > 0) {
		if (recv(fd, bytes, sizeof(bytes), 0) <= 0)
			return true;
	}
	return false;
}

static void send_garbage(int whom, const void *bytes, size_t len)
{
	int fd = connect_to(whom);

	/* The connection may be closed before everything is sent. */
	if (send(fd, bytes, len, MSG_NOSIGNAL) < 0)
		EXPECT_TRUE(errno == ECONNRESET || errno == EPIPE);
	EXPECT_TRUE(is_closed(fd));
	close(fd);
}

/* A hello that would be accepted without the caller's changes. */
static struct hello make_hello(void)
{
	struct hello hello = {
		.hdr = {
			.magic = htole32(DSM_WIRE_MAGIC),
			.len = htole32(sizeof(struct dsm_wire_hello)),
			.type = DSM_HELLO,
			.src = htole16(node()),
		},
		.hello = {
			.version_min = htole16(DSM_WIRE_VERSION_MIN),
			.version = htole16(DSM_WIRE_VERSION),
			.node = htole32(node()),
			.nodes = htole32(nodes()),
			.page_size = htole32(4096),
			.incarnation = htole64(1),
		},
	};

	return hello;
}

#define EXPECT_REFUSED(whom, change) do {			\
	struct hello h = make_hello();				\
								\
	change;							\
	send_garbage(whom, &h, sizeof(h));			\
} while (0)

/* Does the helper's log have a line with all of the words? */
static bool logged(const char *a, const char *b)
{
	FILE *f = fopen("/run/dsmd.log", "r");
	bool found = false;
	char line[1024];

	ASSERT_TRUE(f);
	while (!found && fgets(line, sizeof(line), f))
		found = strstr(line, a) && strstr(line, b);
	fclose(f);
	return found;
}

static dsm_region *share_counters(void)
{
	if (nodes() < 2)
		skip("needs two nodes");
	return share_region(16 * 4096, DSM_HOME_INTERLEAVED, 0);
}

static void increment(dsm_region *region)
{
	for (int i = 0; i < 200; i++)
		atomic_fetch_add(word((char *)dsm_base(region) + i % 16 * 4096, 0), 1);
}

/* Every node has incremented @times times. */
static void finish(dsm_region *region, int times)
{
	uint64_t sum = 0;

	together("over");
	for (int i = 0; i < 16; i++)
		sum += *word((char *)dsm_base(region) + i * 4096, 0);
	EXPECT_EQ(sum, 200 * times * nodes());
	EXPECT_EQ(node_get("up"), nodes());
	unshare_region(region);
}

/*
 * A hello of another version: the log names both versions. This comes first, because the log
 * has little room for unknown connections.
 */
TEST(other_versions)
{
	dsm_region *region = share_counters();
	int next = (node() + 1) % nodes();
	char ours[64];

	increment(region);
	EXPECT_REFUSED(next, h.hello.version_min = htole16(101); h.hello.version = htole16(102));
	EXPECT_REFUSED(next, h.hello.version_min = 0; h.hello.version = 0);
	together("refused");
	snprintf(ours, sizeof(ours), "we speak %u to %u", DSM_WIRE_VERSION_MIN, DSM_WIRE_VERSION);
	EXPECT_TRUE(logged("protocol 101 to 102", ours));
	increment(region);
	finish(region, 2);
}

TEST(no_hello)
{
	dsm_region *region = share_counters();
	int next = (node() + 1) % nodes(), pid = helper_pid();
	static const char http[] = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
				   "................................................";
	uint64_t state = seed();
	char bytes[3000];

	increment(region);
	send_garbage(next, http, sizeof(http));
	for (int i = 0; i < RANDOM; i++) {
		size_t len = 64 + random_next(&state) % (sizeof(bytes) - 64);

		for (size_t j = 0; j < len; j++)
			bytes[j] = random_next(&state);
		send_garbage(next, bytes, len);
	}
	increment(region);
	finish(region, 2);
	EXPECT_EQ(helper_pid(), pid);
	EXPECT_OK(kill(pid, 0));
}

TEST(wrong_hello)
{
	dsm_region *region = share_counters();
	int next = (node() + 1) % nodes();

	increment(region);
	EXPECT_REFUSED(next, h.hdr.magic ^= 1);
	EXPECT_REFUSED(next, h.hdr.len = htole32(DSM_WIRE_BODY_MAX + 1));
	EXPECT_REFUSED(next, h.hdr.len = htole32(UINT32_MAX));
	EXPECT_REFUSED(next, h.hdr.len = 0);
	EXPECT_REFUSED(next, h.hdr.type = 0);
	EXPECT_REFUSED(next, h.hdr.type = 255);
	EXPECT_REFUSED(next, h.hdr.type = DSM_GET_M; h.hdr.len = 0);
	EXPECT_REFUSED(next, h.hdr.type = DSM_PING; h.hdr.len = 0);
	EXPECT_REFUSED(next, h.hello.node = htole32(next); h.hdr.src = htole16(next));
	EXPECT_REFUSED(next, h.hello.node = htole32(nodes()); h.hdr.src = htole16(nodes()));
	EXPECT_REFUSED(next, h.hello.node = UINT32_MAX; h.hdr.src = UINT16_MAX);
	EXPECT_REFUSED(next, h.hello.nodes = htole32(nodes() + 1));
	EXPECT_REFUSED(next, h.hello.page_size = htole32(65536));
	increment(region);
	finish(region, 2);
}

/* The helper does not wait for ever for a connection that sends nothing, or half a hello. */
TEST(half_a_hello)
{
	dsm_region *region = share_counters();
	struct hello hello = make_hello();
	int next = (node() + 1) % nodes();
	static const size_t parts[] = { 0, 1, 63, 64, 65, sizeof(hello) - 1 };
	int fds[sizeof(parts) / sizeof(*parts)];

	for (size_t i = 0; i < sizeof(parts) / sizeof(*parts); i++) {
		fds[i] = connect_to(next);
		ASSERT_EQ(send(fds[i], &hello, parts[i], MSG_NOSIGNAL), parts[i]);
	}
	increment(region);
	for (size_t i = 0; i < sizeof(parts) / sizeof(*parts); i++) {
		EXPECT_TRUE(is_closed(fds[i]));
		close(fds[i]);
	}
	increment(region);
	finish(region, 2);
}

TEST(many_strangers)
{
	dsm_region *region = share_counters();
	int fds[STRANGERS], next = (node() + 1) % nodes();

	for (int i = 0; i < STRANGERS; i++)
		fds[i] = connect_to(next);
	increment(region);
	together("connected");
	increment(region);
	for (int i = 0; i < STRANGERS; i++)
		close(fds[i]);
	finish(region, 2);
}

/* A hello with another incarnation of this node's module, and what may follow it. */
struct stray {
	struct hello hello;
	struct dsm_wire_hdr session_hdr;
	struct dsm_wire_session session;
	struct dsm_wire_hdr ready_hdr;
	struct dsm_wire_ready ready;
};

static struct stray make_stray(void)
{
	struct stray stray = {
		.hello = make_hello(),
		.session = { .session = htole64(5), .nonce = htole64(6) },
		.ready = { .session = htole64(5) },
	};

	stray.session_hdr = stray.hello.hdr;
	stray.session_hdr.type = DSM_SESSION;
	stray.session_hdr.len = htole32(sizeof(stray.session));
	stray.ready_hdr = stray.session_hdr;
	stray.ready_hdr.type = DSM_READY;
	return stray;
}

static uint64_t session_with(int peer)
{
	unsigned long long session = 0;
	char path[64];
	FILE *f;

	snprintf(path, sizeof(path), "/sys/class/dsm/node/peers/%d/session", peer);
	f = fopen(path, "r");
	ASSERT_TRUE(f);
	ASSERT_EQ(fscanf(f, "%llx", &session), 1);
	fclose(f);
	return session;
}

/* Every node creates a region, and all other nodes know it. */
static void everybody_makes_a_region(const char *when)
{
	for (int n = 0; n < nodes(); n++) {
		dsm_region *region = NULL;
		char name[64];

		snprintf(name, sizeof(name), "%s-%d", when, n);
		if (n == node()) {
			region = dsm_open(name, O_RDWR | O_CREAT | O_EXCL, 4096, NULL);
			ASSERT_TRUE(region);
		}
		together("%s-made-%d", when, n);
		if (!region)
			region = dsm_open(name, O_RDWR, 0, NULL);
		ASSERT_TRUE(region);
		atomic_fetch_add(word(dsm_base(region), 0), 1);
		together("%s-used-%d", when, n);
		EXPECT_EQ(*word(dsm_base(region), 0), nodes());
		EXPECT_OK(dsm_close(region));
		together("%s-closed-%d", when, n);
		if (n == node())
			EXPECT_OK(dsm_unlink(name));
		together("%s-gone-%d", when, n);
	}
}

/*
 * While there is no region, a restarted module loses nothing. A false node with another
 * incarnation must not make only one side restart its numbers, nor make the true node go up or
 * down.
 */
TEST_SECONDS(stray_hello, 600)
{
	struct stray stray = make_stray();
	static const size_t lengths[] = {
		sizeof(struct hello), offsetof(struct stray, ready_hdr), sizeof(struct stray),
	};
	uint64_t session = 0;
	int last = nodes() - 1;

	if (nodes() < 2)
		skip("needs two nodes");
	if (node() == last) {
		session = session_with(0);
		EXPECT_NE(session, 0);
		send_garbage(0, &stray, sizeof(struct hello));
	}
	together("said");
	if (!node())
		EXPECT_TRUE(logged("which is up already, from", "the same id?"));
	everybody_makes_a_region("up");

	if (node() == last)
		ASSERT_EQ(run("dsmd-ctl", "kill", NULL), 0);
	else
		ASSERT_TRUE(WAIT_FOR(node_get("up") == last, 60));
	together("down");
	if (node() == last) {
		for (size_t i = 0; i < sizeof(lengths) / sizeof(*lengths); i++) {
			for (int to = 0; to < last; to++) {
				int fd = connect_to(to);
				char bytes[16];

				/* It answers, so it has received the message. */
				ASSERT_EQ(send(fd, &stray, lengths[i], MSG_NOSIGNAL), lengths[i]);
				EXPECT_EQ(recv(fd, bytes, sizeof(bytes), MSG_WAITALL), sizeof(bytes));
				close(fd);
			}
		}
		ASSERT_EQ(run("dsmd-ctl", "start", NULL), 0);
		EXPECT_EQ(session_with(0), session);
	}
	together("back");
	ASSERT_TRUE(WAIT_FOR(node_get("up") == nodes(), 60));
	together("all-up");
	everybody_makes_a_region("back");
}
