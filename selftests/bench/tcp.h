/* SPDX-License-Identifier: GPL-2.0 */
/* The internals of raw TCP, for the benchmarks that build on it. */
#ifndef SELFTESTS_BENCH_TCP_H
#define SELFTESTS_BENCH_TCP_H

#include "bench.h"

enum { TCP_NODES_MAX = 8 };

/* The test has one on node 0. On another node, its server has one. */
struct tcp {
	int	fds[TCP_NODES_MAX];	/* connections to the other nodes, or -1 */
	pid_t	server;
};

enum tcp_op {
	TCP_ANSWER,			/* only reply */
	TCP_HELLO,			/* a connection's first request: from node @value */
	TCP_PLAY,			/* play pattern @value, @count times */
	TCP_MARK_BEGIN,			/* begin to count instructions: see count.c */
	TCP_MARK_END,			/* end it */
};

struct tcp_request {
	uint64_t	reply;		/* bytes */
	uint32_t	op;
	uint32_t	value;
	uint32_t	count;
	char		rest[REQUEST - sizeof(uint64_t) - 3 * sizeof(uint32_t)];
};

int tcp_connect(int to);
void tcp_read(int fd, void *to, size_t length);
void tcp_write(int fd, const void *from, size_t length);

/* Play this node's part of what floor_mean() or floor_median() plays on node 0. */
void floor_serve(struct tcp *tcp, enum pattern pattern, int count);

/* Fetch @reply bytes. Every @size bytes overwrite the last ones in @to. */
void tcp_ask_on(int fd, size_t reply, void *to, size_t size);

#endif /* SELFTESTS_BENCH_TCP_H */
