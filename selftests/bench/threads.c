// SPDX-License-Identifier: GPL-2.0
/* Faults of many threads at once. */
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "bench.h"
#include "tcp.h"

enum { THREADS = 8, EACH = 100 };

struct worker {
	pthread_t		thread;
	pthread_barrier_t	*start;
	char			*base;
	int			first;		/* block */
	int			connection;	/* a socket to use instead of faults, or -1 */
};

static void *work(void *data)
{
	struct worker *worker = data;
	char reply[BLOCK_REPLY];

	pthread_barrier_wait(worker->start);
	for (int i = 0; i < EACH; i++) {
		if (worker->connection >= 0)
			tcp_ask_on(worker->connection, BLOCK_REPLY, reply, sizeof(reply));
		else	/* not consecutive, which would start readahead */
			time_read(worker->base + (size_t)(worker->first + i * 7 % EACH) * BLOCK);
	}
	return NULL;
}

/* Faults per second of @n threads from block @first on; requests per second if @base is NULL. */
static double rate(int n, char *base, int first)
{
	struct worker workers[THREADS];
	pthread_barrier_t start;
	double began;

	pthread_barrier_init(&start, NULL, n + 1);
	for (int i = 0; i < n; i++) {
		workers[i] = (struct worker){
			.start = &start,
			.base = base,
			.first = first + i * EACH,
			.connection = base ? -1 : tcp_connect(1),
		};
		ASSERT_EQ(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
	}
	pthread_barrier_wait(&start);
	began = seconds();
	for (int i = 0; i < n; i++)
		ASSERT_EQ(pthread_join(workers[i].thread, NULL), 0);
	began = seconds() - began;
	for (int i = 0; i < n; i++)
		if (!base)
			close(workers[i].connection);
	pthread_barrier_destroy(&start);
	return n * EACH / began;
}

/* The gain of eight threads over one, and raw TCP's gain with one connection per thread. */
TEST(fault_threads_8)
{
	int blocks = ROUNDS * (THREADS + 1) * EACH;
	dsm_region *region = share_region((size_t)blocks * BLOCK, DSM_HOME_FIRST_TOUCH, BLOCK);
	char *base = dsm_base(region);
	struct tcp *tcp = tcp_start();

	if (node() == 1)
		for (int i = 0; i < blocks; i++)
			*word(base + (size_t)i * BLOCK, 0) = i + 1;
	together("written");
	for (int round = 0; !node() && round < ROUNDS; round++) {
		int first = round * (THREADS + 1) * EACH;
		double one = rate(1, base, first);
		double eight, one_raw, eight_raw;

		insn_begin(tcp);
		eight = rate(THREADS, base, first + EACH);
		insn_end(tcp, "fault_threads_8", "ours", THREADS * EACH);
		one_raw = rate(1, NULL, 0);
		insn_begin(tcp);
		eight_raw = rate(THREADS, NULL, 0);
		insn_end(tcp, "fault_threads_8", "floor", THREADS * EACH);
		report("fault_threads_8", eight, one);
		report_floor("fault_threads_8", eight, eight_raw);
		report("tcp_threads_8", eight_raw, one_raw);
	}
	tcp_stop(tcp);
	unshare_region(region);
}
