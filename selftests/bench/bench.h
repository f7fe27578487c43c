/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Figures of a cluster, each against what one would take instead.
 *
 * A figure is measured in rounds, in each of which ours and the other's are
 * measured one after the other: what disturbs one disturbs both. Node 0
 * measures and reports, the others serve; selftests/bench/run makes ratios,
 * medians and spreads of what is reported.
 */
#ifndef SELFTESTS_BENCH_H
#define SELFTESTS_BENCH_H

#include "../test.h"

enum {
	ROUNDS		= 7,
	REQUEST		= 64,		/* bytes; so much is a wire header */
	BLOCK		= 4096,
	BLOCK_REPLY	= BLOCK + REQUEST,
};

/* A round of a figure: ours, and what it is compared with. */
void report(const char *id, double value, double against);

/* ---- samples ------------------------------------------------------------- */

struct samples {
	double	*at;		/* seconds, or what the caller likes */
	int	n;
	int	max;
};

struct samples samples_new(int max);
void samples_free(struct samples *samples);
void samples_add(struct samples *samples, double value);
/* The value below which @share of them are: 0.5 is the median. Sorts them. */
double samples_quantile(struct samples *samples, double share);
/* Writes them to the log, for plots: one line for each hundredth. */
void samples_report(struct samples *samples, const char *id, const char *whose);

/* ---- raw TCP ------------------------------------------------------------- */

/*
 * What a request costs that is nobody's business but the kernel's: a process
 * on each node but 0 that waits with epoll, and answers a request of REQUEST
 * bytes with as many bytes as it says.
 */
struct tcp;

/*
 * All nodes call these. Node 0 gets connections to all others, who wait in
 * tcp_stop(), without a sound, until node 0 comes there.
 */
struct tcp *tcp_start(void);
void tcp_stop(struct tcp *tcp);
/* Node 0: one request to node @to, until all of the reply is here. */
void tcp_ask(struct tcp *tcp, int to, size_t reply);

/* ---- a pager for userfaultfd(2) ------------------------------------------ */

/*
 * What one would write without a kernel module: a thread that reads faults
 * from the file descriptor, fetches pages over TCP, and copies them in. Or a
 * process, as it takes to serve several programs by one that is trusted.
 */
struct pager;

/* Node 0: memory whose pages are fetched from node @from, by way of @tcp. */
struct pager *pager_start(struct tcp *tcp, int from, size_t size,
			  bool in_process);
void *pager_memory(struct pager *pager);
void pager_stop(struct pager *pager);

/* ---- regions ------------------------------------------------------------- */

/*
 * A barrier in the region's last block, for rounds: who waits there does not
 * use a processor, while another node measures. What together() runs does, for
 * a good while after it was called. All nodes call this.
 */
dsm_barrier_t *rounds_of(dsm_region *region);
void round_together(dsm_barrier_t *rounds);

/* A permutation of 0 to @n - 1, the same for the same @seed. */
void shuffle(uint32_t *order, uint32_t n, uint64_t seed);

/* The time of one access, in seconds. */
double time_read(const void *at);
double time_write(void *at);

#endif /* SELFTESTS_BENCH_H */
