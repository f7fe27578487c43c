/* SPDX-License-Identifier: GPL-2.0 */
/*
 * dsmd's link layer without a kernel module: link layers, and peers played by
 * hand over plain sockets, in one process on the loopback. The module is one
 * that writes down what it is told.
 */
#ifndef DSMD_TEST_H
#define DSMD_TEST_H

#include <endian.h>
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
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
#include "session.h"
#include "window.h"

#define TEST_SECONDS	600	/* all of it, or it is stuck */
#define WAIT_NS		(30 * NSEC_PER_SEC)
#define HEARTBEAT_MS	20
#define LOST_MS		200
#define CREDITS		64
#define REGION		7
#define REGION_SIZE	(4U << 20)
#define FRAMES_MAX	4096
#define NODES_MAX	3
#define PAGE		4096U

/* One check that fails fails the test it is in, and says where. */
extern bool failed;

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

/* The log, of which the newest lines are kept. */
extern char log_text[65536];

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
	uint64_t session[NODES_MAX];	/* what it has with each; 0: none */
	uint64_t rtt_ns[NODES_MAX];
	uint32_t credits[NODES_MAX];

	/* what it answers; before that it is busy, if it is to be, as long as this takes */
	void (*busy)(void *data);
	void *busy_data;
	int up_error;
	int session_error;
	unsigned int refuse_at;		/* the frame before which it has had enough */
	int refuse_error;
	uint32_t expect_req;		/* said again while it is told of the bytes */
	bool spoken;
	struct {
		uint32_t peer, session;
		int error;
		bool up, asked, in_window;
		struct dsm_wire_hdr hdr;
	} answers[64];
	unsigned int answer_count;
};

void log_clear(void);

struct node *node_new(int id, uint32_t nodes, uint16_t port, uint16_t peer_port);
void node_start(struct node *node);
uint16_t node_port(struct node *node);
void node_free(struct node *node);
bool node_up(struct node *node, uint32_t peer);

void pump(struct node *a, struct node *b);
void pump_for(struct node *a, struct node *b, unsigned int ms);

/* Until the condition holds; false, and the test fails, if it never does. */
#define WAIT(a, b, condition)							\
	({									\
		uint64_t until_ = clock_now_ns() + WAIT_NS;			\
		while (!(condition) && clock_now_ns() < until_)			\
			pump(a, b);						\
		CHECK(condition);						\
		(condition);							\
	})

/* Node 0 and node 1, up. */
bool pair_new(struct node **a, struct node **b);
struct node *server_new(uint32_t nodes);

struct dsm_wire_hdr frame_header(uint8_t type, uint16_t src, uint32_t length);
void node_send(struct node *node, uint32_t peer, const struct dsm_wire_hdr *hdr,
	       const struct links_place *body);
void data_send(struct node *node, uint32_t peer, uint32_t req, uint64_t seq,
	       uint64_t offset, uint32_t length);
void expect(struct node *node, uint32_t req, uint64_t offset, uint32_t length);
void fill(unsigned char *to, uint32_t length, uint32_t salt);
bool filled(const unsigned char *at, uint32_t length, uint32_t salt);
bool zero(const unsigned char *at, uint32_t length);

/* A peer played by hand. */
struct raw_hello {
	struct dsm_wire_hdr hdr;
	struct dsm_wire_hello hello;
};

struct raw_ready {
	struct dsm_wire_hdr session_hdr;
	struct dsm_wire_session session;
	struct dsm_wire_hdr ready_hdr;
	struct dsm_wire_ready ready;
};

#define RAW_SESSION	0x5e5510ULL	/* what a peer played by hand has with every node */

int raw_connect(struct node *node);
int raw_connect_from(const char *host, uint16_t port);	/* 127.0.0.X; -1: refused */
void raw_write(int fd, const void *bytes, size_t length);
struct raw_hello raw_hello(uint16_t id, uint32_t nodes);
bool raw_closed(int fd);
struct raw_ready raw_ready_make(struct node *node, uint16_t id);
void raw_ready(struct node *node, int fd, uint16_t id);
int raw_up(struct node *node, uint16_t id);
void raw_ping(int fd, uint16_t id);

struct test {
	const char *name;
	void (*run)(void);
};

int tests_run(const struct test *tests, unsigned int count);

/* What a program of tests comes down to. */
#define TESTS_MAIN(tests)							\
	int main(void)								\
	{									\
		return tests_run(tests, sizeof(tests) / sizeof((tests)[0]));	\
	}

#endif
