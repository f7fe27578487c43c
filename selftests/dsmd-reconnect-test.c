// SPDX-License-Identifier: GPL-2.0
/* dsmd: links that fall silent, end, and come back. */
#include <poll.h>
#include <pthread.h>

#include "dsmd-test.h"

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
	for (since = clock_now_ns(); clock_now_ns() - since < 3 * LOST_MS * NSEC_PER_MSEC;)
		poll(NULL, 0, 1);
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

/* The other node, in a thread of its own. */
struct pumper {
	struct node *node;
	_Atomic bool stop;
};

static void *pump_alone(void *data)
{
	struct pumper *pumper = data;

	while (!pumper->stop)
		pump(pumper->node, NULL);
	return NULL;
}

static void until_lost(void *data)
{
	struct node *peer = data;
	uint64_t until = clock_now_ns() + WAIT_NS;

	while (!strcmp(peer->states[0], "u") && clock_now_ns() < until)
		poll(NULL, 0, 1);
}

/* Longer than it takes to be lost, on a machine that is busy itself as well. */
static void until_noticed(void *data)
{
	uint64_t since = clock_now_ns();

	(void)data;
	while (clock_now_ns() - since < WAIT_NS &&
	       (clock_now_ns() - since < 3 * LOST_MS * NSEC_PER_MSEC ||
		!strstr(log_text, "busy with one call")))
		poll(NULL, 0, 1);
}

/* A call to the module takes longer than a peer may be silent: with a pulse it is not lost. */
static void busy_module(void)
{
	struct dsm_wire_hdr hdr = frame_header(DSM_GET_S, 1, 0);
	struct node *a, *b;
	pthread_t thread;

	for (int with = 1; with >= 0; with--) {
		struct pumper pumper = { NULL, false };

		REQUIRE(pair_new(&a, &b));
		if (with)
			REQUIRE(!pulse_start(&a->links.pulse, &a->links));
		a->busy = with ? until_noticed : until_lost;
		a->busy_data = b;
		node_send(b, 0, &hdr, NULL);
		/* Its peer's loop goes on meanwhile. */
		pumper.node = b;
		REQUIRE(!pthread_create(&thread, NULL, pump_alone, &pumper));
		while (!a->told_count)
			pump(a, NULL);
		a->busy = NULL;
		pumper.stop = true;
		REQUIRE(!pthread_join(thread, NULL));
		CHECK(strcmp(b->states[0], "u") ? !with : with);
		CHECK(strstr(log_text, "busy with one call") ? with : !with);
		pulse_stop(&a->links.pulse);
		node_free(a);
		node_free(b);
		log_clear();
	}
}

static void replacement(void)
{
	struct dsm_wire_hdr old = frame_header(DSM_GET_S, 0, 0);
	struct dsm_wire_hdr fresh = frame_header(DSM_GET_M, 0, 0);
	struct dsm_wire_hdr seen[8];
	struct node *node = server_new(2);
	int first = raw_up(node, 1);
	int second;
	const size_t before = sizeof(struct raw_hello) + sizeof(struct raw_ready);
	size_t have = 0;

	/* Never written, for want of a turn of the loop. */
	links_send(&node->links, 1, &old, sizeof(old), NULL);
	second = raw_connect(node);
	{
		struct raw_hello hello = raw_hello(1, 2);

		raw_write(second, &hello, sizeof(hello));
		raw_ready(node, second, 1);
	}
	WAIT(node, NULL, !strcmp(node->states[1], "udu"));
	WAIT(node, NULL, raw_closed(first));
	CHECK(strstr(log_text, "replaced"));

	node_send(node, 1, &fresh, NULL);
	/* what is said first, then what was sent after, not what was before */
	while (have < before + 64) {
		ssize_t n;

		pump(node, NULL);
		n = recv(second, (char *)seen + have, sizeof(seen) - have, MSG_DONTWAIT);
		if (!n)
			break;
		have += n > 0 ? (size_t)n : 0;
	}
	CHECK(((unsigned char *)seen)[offsetof(struct dsm_wire_hdr, type)] == DSM_HELLO);
	CHECK(((unsigned char *)seen)[before + offsetof(struct dsm_wire_hdr, type)] == DSM_GET_M);
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

static const struct test tests[] = {
	{ "silence", silence },
	{ "heartbeats, round-trip time", heartbeats },
	{ "a module that is busy", busy_module },
	{ "replacement", replacement },
	{ "reconnection", reconnect },
	{ "a peer the module refuses", stale_peer },
};

TESTS_MAIN(tests)
