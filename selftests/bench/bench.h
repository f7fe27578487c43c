/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Benchmarks of a cluster. Each figure is compared with an alternative.
 *
 * A figure is measured in rounds. Each round measures DSM and the alternative one after the
 * other, so that a disturbance affects both. Node 0 measures and reports, the others serve.
 * selftests/bench/run computes ratios, medians and spreads from the reports.
 */
#ifndef SELFTESTS_BENCH_H
#define SELFTESTS_BENCH_H

#include "../test.h"

enum {
	ROUNDS		= 7,
	REQUEST		= 64,		/* bytes, as a message on the wire */
	BLOCK		= 4096,
	BLOCK_REPLY	= BLOCK + REQUEST,
};

/* Report one round of a figure: DSM's value and the alternative's. */
void report(const char *id, double value, double against);
/* Report the same round against its floor: see floor.c. */
void report_floor(const char *id, double value, double floor);

/* ---- samples ------------------------------------------------------------- */

struct samples {
	double	*at;		/* seconds, or another unit of the caller's */
	int	n;
	int	max;
};

struct samples samples_new(int max);
void samples_free(struct samples *samples);
void samples_add(struct samples *samples, double value);
/* Sort the samples and return a quantile: @share = 0.5 is the median. */
double samples_quantile(struct samples *samples, double share);
/* Write the samples to the log for plots, one line per percentile. */
void samples_report(struct samples *samples, const char *id, const char *whose);

/* ---- raw TCP ------------------------------------------------------------- */

/*
 * The least that a request costs: on each node but 0, a process waits with epoll and answers a
 * request of REQUEST bytes with the number of bytes that the request names.
 */
struct tcp;

/*
 * All nodes call these. Node 0 gets a connection to every other node. The other nodes wait
 * silently in tcp_stop() until node 0 calls it.
 */
struct tcp *tcp_start(void);
void tcp_stop(struct tcp *tcp);
/* Node 0: send one request to node @to and wait for the whole reply. */
void tcp_ask(struct tcp *tcp, int to, size_t reply);
/* Node 0: return the mean time of @n requests to node 1, in seconds. */
double tcp_mean(struct tcp *tcp, size_t reply, int n);

/* The messages of an operation: see floor.c. */
enum pattern {
	PATTERN_READ,		/* node 0 fetches a block */
	PATTERN_SCAN,		/* node 0 fetches runs of blocks */
	PATTERN_WRITE_SHARED,	/* node 0 writes a block that the others have */
	PATTERN_UPGRADE,	/* node 0 writes a block that it has */
	PATTERN_PINGPONG,	/* two nodes take a block from each other */
	PATTERN_HANDOVER,	/* two nodes take a mutex from each other */
	PATTERN_BARRIER,	/* all nodes meet */
};

/*
 * Node 0: send and read the messages of @n operations, with the other nodes' servers.
 * Return the mean or the median time of an operation, in seconds. Instructions are
 * counted as the floor of figure @id.
 */
double floor_mean(struct tcp *tcp, const char *id, enum pattern pattern, int n);
double floor_median(struct tcp *tcp, const char *id, enum pattern pattern, int n);

/* ---- instructions -------------------------------------------------------- */

/*
 * Node 0: begin and end a window in which instructions are counted, on all nodes, or on
 * this node alone if @tcp is NULL. The window has @operations of figure @id; @whose is
 * "ours" or "floor". Without BENCH_COUNT in the environment, nothing is counted.
 */
void insn_begin(struct tcp *tcp);
void insn_end(struct tcp *tcp, const char *id, const char *whose, int operations);

/* ---- a pager for userfaultfd(2) ------------------------------------------ */

/*
 * The alternative without a kernel module: a thread reads faults from the file descriptor,
 * fetches pages over TCP, and copies them in. A process does the same where one trusted
 * process has to serve several programs.
 */
struct pager;

/* Node 0: memory whose pages are fetched from node @from over @tcp. */
struct pager *pager_start(struct tcp *tcp, int from, size_t size,
			  bool in_process);
void *pager_memory(struct pager *pager);
void pager_stop(struct pager *pager);

/* ---- regions ------------------------------------------------------------- */

/*
 * A barrier in the region's last block, for rounds. All nodes call it. A node that waits here
 * uses no processor, so it does not disturb the measurement. together() polls instead.
 */
dsm_barrier_t *rounds_of(dsm_region *region);
void round_together(dsm_barrier_t *rounds);

/* A permutation of 0 to @n - 1, determined by @seed. */
void shuffle(uint32_t *order, uint32_t n, uint64_t seed);

/* The time of one access, in seconds. */
double time_read(const void *at);
double time_write(void *at);

#endif /* SELFTESTS_BENCH_H */
