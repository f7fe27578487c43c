// SPDX-License-Identifier: GPL-2.0
/* Mutexes and barriers between nodes, against a TCP request and its answer. */
#include <stdlib.h>

#include "bench.h"

enum { TURNS = 300 };

static double round_trip(struct tcp *tcp)
{
	double start = seconds();

	for (int i = 0; i < TURNS; i++)
		tcp_ask(tcp, 1, REQUEST);
	return (seconds() - start) / TURNS;
}

/*
 * Two nodes and three mutexes. Each node holds one mutex and waits for the next one, which the
 * other node holds. It releases its own only when it has the next. So every mutex is contended
 * and changes nodes each time. A mutex that stays on its node would not count.
 */
TEST(lock_handover)
{
	dsm_region *region = share_region(DSM_CHUNK_SIZE, DSM_HOME_FIRST_TOUCH, BLOCK);
	dsm_mutex_t *mutex = dsm_base(region);
	dsm_barrier_t *rounds = rounds_of(region);
	struct tcp *tcp = tcp_start();
	int mine = node();

	for (int i = 0; !node() && i < 3; i++)
		ASSERT_EQ(dsm_mutex_init(&mutex[i], NULL), 0);
	together("made");
	if (node() < 2)
		ASSERT_EQ(dsm_mutex_lock(&mutex[mine]), 0);
	for (int round = 0; round < ROUNDS; round++) {
		double start;

		round_together(rounds);
		start = seconds();
		for (int i = 0; node() < 2 && i < TURNS; i++) {
			int next = (mine + 1) % 3;

			ASSERT_EQ(dsm_mutex_lock(&mutex[next]), 0);
			ASSERT_EQ(dsm_mutex_unlock(&mutex[mine]), 0);
			mine = next;
		}
		if (!node())
			report("lock_handover", (seconds() - start) / (2 * TURNS),
			       round_trip(tcp));
	}
	if (node() < 2)
		ASSERT_EQ(dsm_mutex_unlock(&mutex[mine]), 0);
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
