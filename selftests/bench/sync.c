// SPDX-License-Identifier: GPL-2.0
/* What it takes to wait for each other, against a TCP request and its answer. */
#include <stdlib.h>

#include "bench.h"

enum { TURNS = 300, HANDOVERS = 200, HOLD_US = 2000 };

static double round_trip(struct tcp *tcp)
{
	double start = seconds();

	for (int i = 0; i < TURNS; i++)
		tcp_ask(tcp, 1, REQUEST);
	return (seconds() - start) / TURNS;
}

static void hold(void)
{
	double end = seconds() + HOLD_US * 1e-6;

	while (seconds() < end)
		;
}

/*
 * Two nodes want a mutex all the time. Each holds it for longer than the
 * other's request takes: so the other is waiting when it lets go, and no node
 * takes it twice. What is not spent with it held is spent on handing it over.
 */
TEST(lock_handover)
{
	dsm_region *region = share_region(DSM_CHUNK_SIZE, DSM_HOME_FIRST_TOUCH, BLOCK);
	dsm_mutex_t *mutex = dsm_base(region);
	dsm_barrier_t *rounds = rounds_of(region);
	struct tcp *tcp = tcp_start();

	if (!node())
		ASSERT_EQ(dsm_mutex_init(mutex, NULL), 0);
	for (int round = 0; round < ROUNDS; round++) {
		double start;

		round_together(rounds);
		start = seconds();
		for (int i = node(); node() < 2 && i < HANDOVERS; i += 2) {
			ASSERT_EQ(dsm_mutex_lock(mutex), 0);
			hold();
			ASSERT_EQ(dsm_mutex_unlock(mutex), 0);
		}
		/* The other has the last turn, and its end is this mutex's. */
		if (!node()) {
			ASSERT_EQ(dsm_mutex_lock(mutex), 0);
			start = (seconds() - start) / HANDOVERS - HOLD_US * 1e-6;
			ASSERT_EQ(dsm_mutex_unlock(mutex), 0);
			report("lock_handover", start, round_trip(tcp));
		}
	}
	tcp_stop(tcp);
	unshare_region(region);
}

TEST(barrier)
{
	dsm_region *region = share_region(DSM_CHUNK_SIZE, DSM_HOME_FIRST_TOUCH, BLOCK);
	dsm_barrier_t *barrier = dsm_base(region), *rounds = rounds_of(region);
	struct tcp *tcp = tcp_start();
	char id[32];

	snprintf(id, sizeof(id), "barrier_%d", nodes());
	if (!node())
		ASSERT_EQ(dsm_barrier_init(barrier, nodes()), 0);
	for (int round = 0; round < ROUNDS; round++) {
		double start;

		round_together(rounds);
		start = seconds();
		for (int i = 0; i < TURNS; i++)
			ASSERT_LE(dsm_barrier_wait(barrier), 0);
		if (!node())
			report(id, (seconds() - start) / TURNS, round_trip(tcp));
	}
	tcp_stop(tcp);
	unshare_region(region);
}
