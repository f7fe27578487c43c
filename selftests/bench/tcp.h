/* SPDX-License-Identifier: GPL-2.0 */
/* The internals of raw TCP, for the benchmarks that build on it. */
#ifndef SELFTESTS_BENCH_TCP_H
#define SELFTESTS_BENCH_TCP_H

#include "bench.h"

enum { TCP_NODES_MAX = 8 };

struct tcp {
	int	fds[TCP_NODES_MAX];	/* node 0's, to the others */
	pid_t	server;
};

struct tcp_request {
	uint64_t	reply;		/* bytes */
	char		rest[REQUEST - sizeof(uint64_t)];
};

int tcp_connect(int to);
void tcp_read(int fd, void *to, size_t length);
void tcp_write(int fd, const void *from, size_t length);

/* Fetch @reply bytes. Every @size bytes overwrite the last ones in @to. */
void tcp_ask_on(int fd, size_t reply, void *to, size_t size);

#endif /* SELFTESTS_BENCH_TCP_H */
