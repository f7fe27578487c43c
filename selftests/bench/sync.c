// SPDX-License-Identifier: GPL-2.0
/* Mutexes and barriers between nodes, against a TCP request and its answer. */
#include <stdlib.h>

#include "bench.h"

enum {
	TURNS		= 300,
	QUEUE_SLOTS	= 64,
	QUEUE_ITEMS	= 1000,
	QUEUE_ROUNDS	= 3,
};

static dsm_mutex_t *three_mutexes(dsm_region *region)
{
	dsm_mutex_t *mutexes = dsm_base(region);

	for (int i = 0; !node() && i < 3; i++)
		ASSERT_EQ(dsm_mutex_init(&mutexes[i], NULL), 0);
	together("made");
	return mutexes;
}

/*
 * Two nodes and three mutexes. Each node holds one mutex and waits for the next one, which the
 * other node holds. It releases its own only when it has the next. So every mutex is contended
 * and changes nodes each time. A mutex that stays on its node would not count.
 *
 * With @counters, each mutex guards a number in a block of its own, which the node increments.
 */
static void hand_over(const char *id, size_t against, enum pattern pattern, bool counters)
{
	dsm_region *region = share_region(DSM_CHUNK_SIZE, DSM_HOME_FIRST_TOUCH, BLOCK);
	dsm_barrier_t *rounds = rounds_of(region);
	dsm_mutex_t *mutex = three_mutexes(region);
	char *guarded = (char *)dsm_base(region) + BLOCK;
	struct tcp *tcp = tcp_start();
	int mine = node();

	if (node() < 2)
		ASSERT_EQ(dsm_mutex_lock(&mutex[mine]), 0);
	for (int round = 0; round < ROUNDS; round++) {
		double start, ours;

		round_together(rounds);
		if (!node())
			insn_begin(tcp);
		start = seconds();
		for (int i = 0; node() < 2 && i < TURNS; i++) {
			int next = (mine + 1) % 3;

			ASSERT_EQ(dsm_mutex_lock(&mutex[next]), 0);
			if (counters)
				++*(volatile uint64_t *)(guarded + next * BLOCK);
			ASSERT_EQ(dsm_mutex_unlock(&mutex[mine]), 0);
			mine = next;
		}
		ours = (seconds() - start) / (2 * TURNS);
		if (!node()) {
			insn_end(tcp, id, "ours", 2 * TURNS);
			report(id, ours, tcp_mean(tcp, against, TURNS));
			report_floor(id, ours, floor_mean(tcp, id, pattern, 2 * TURNS));
		}
	}
	if (node() < 2)
		ASSERT_EQ(dsm_mutex_unlock(&mutex[mine]), 0);
	together("counted");
	if (counters)
		ASSERT_EQ(*word(guarded, 0) + *word(guarded + BLOCK, 0) +
			  *word(guarded + 2 * BLOCK, 0), 2 * TURNS * ROUNDS);
	tcp_stop(tcp);
	unshare_region(region);
}

TEST(lock_handover)
{
	hand_over("lock_handover", REQUEST, PATTERN_HANDOVER, false);
}

/* At best, the mutex comes with the block. */
TEST(lock_counter)
{
	hand_over("lock_counter", BLOCK_REPLY, PATTERN_PINGPONG, true);
}

struct queue {
	dsm_mutex_t	mutex;
	dsm_cond_t	filled, emptied;
	uint64_t	put, got;
	uint64_t	items[QUEUE_SLOTS];
};

static void queue_put(struct queue *queue, uint64_t item)
{
	ASSERT_EQ(dsm_mutex_lock(&queue->mutex), 0);
	while (queue->put - queue->got == QUEUE_SLOTS)
		ASSERT_EQ(dsm_cond_wait(&queue->emptied, &queue->mutex), 0);
	queue->items[queue->put++ % QUEUE_SLOTS] = item;
	ASSERT_EQ(dsm_cond_signal(&queue->filled), 0);
	ASSERT_EQ(dsm_mutex_unlock(&queue->mutex), 0);
}

static uint64_t queue_get(struct queue *queue)
{
	uint64_t item;

	ASSERT_EQ(dsm_mutex_lock(&queue->mutex), 0);
	while (queue->put == queue->got)
		ASSERT_EQ(dsm_cond_wait(&queue->filled, &queue->mutex), 0);
	item = queue->items[queue->got++ % QUEUE_SLOTS];
	ASSERT_EQ(dsm_cond_signal(&queue->emptied), 0);
	ASSERT_EQ(dsm_mutex_unlock(&queue->mutex), 0);
	return item;
}

/* Node 1 puts items into a queue, node 0 takes them. */
TEST_SECONDS(queue_item, 900)
{
	dsm_region *region = share_region(DSM_CHUNK_SIZE, DSM_HOME_FIRST_TOUCH, BLOCK);
	dsm_barrier_t *rounds = rounds_of(region);
	struct queue *queue = dsm_base(region);
	struct tcp *tcp = tcp_start();

	ASSERT_LE(sizeof(*queue), BLOCK);
	if (!node()) {
		ASSERT_EQ(dsm_mutex_init(&queue->mutex, NULL), 0);
		ASSERT_EQ(dsm_cond_init(&queue->filled), 0);
		ASSERT_EQ(dsm_cond_init(&queue->emptied), 0);
	}
	for (int round = 0; round < QUEUE_ROUNDS; round++) {
		double start, ours;

		round_together(rounds);
		if (!node())
			insn_begin(tcp);
		start = seconds();
		for (uint64_t i = 0; i < QUEUE_ITEMS; i++) {
			if (!node())
				ASSERT_EQ(queue_get(queue), i);
			else if (node() == 1)
				queue_put(queue, i);
		}
		ours = (seconds() - start) / QUEUE_ITEMS;
		if (!node()) {
			insn_end(tcp, "queue_item", "ours", QUEUE_ITEMS);
			report("queue_item", ours, tcp_mean(tcp, BLOCK_REPLY, QUEUE_ITEMS));
			report_floor("queue_item", ours,
				     floor_mean(tcp, "queue_item", PATTERN_READ, QUEUE_ITEMS));
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
		double start, ours;

		round_together(rounds);
		if (!node())
			insn_begin(tcp);
		start = seconds();
		for (int i = 0; i < TURNS; i++)
			ASSERT_LE(dsm_barrier_wait(barrier), 0);
		ours = (seconds() - start) / TURNS;
		if (!node()) {
			insn_end(tcp, id, "ours", TURNS);
			report(id, ours, tcp_mean(tcp, REQUEST, TURNS));
			report_floor(id, ours, floor_mean(tcp, id, PATTERN_BARRIER, TURNS));
		}
	}
	tcp_stop(tcp);
	unshare_region(region);
}
