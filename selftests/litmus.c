// SPDX-License-Identifier: GPL-2.0
/*
 * Memory is sequentially consistent across nodes: the classic two-thread
 * litmus tests never show their forbidden outcome.
 *
 * Nodes 0 and 1 play, on words of two blocks or of one. The words themselves
 * keep the players in step: they only grow, and a player goes on to round
 * i + 1 when it has seen the other's word of round i.
 */
#include <sched.h>
#include <stdlib.h>

#include "test.h"

enum {
	ROUNDS	= 10000,
};

struct board {
	dsm_region *region;
	volatile uint64_t *x;
	volatile uint64_t *y;
	uint32_t *seen;		/* what each of the two players saw, a round each */
};

static struct board set_up(bool two_blocks)
{
	struct board board;
	char *base;

	if (nodes() < 2)
		skip("needs two nodes");
	board.region = share_region(DSM_CHUNK_SIZE, DSM_HOME_INTERLEAVED, 4096);
	base = dsm_base(board.region);
	board.x = (volatile uint64_t *)base;
	board.y = (volatile uint64_t *)(base + (two_blocks ? 4096 : 256));
	board.seen = (uint32_t *)(base + DSM_CHUNK_SIZE / 2);
	together("start");
	return board;
}

static void wait_until(volatile uint64_t *word, uint64_t value)
{
	while (*word < value)
		sched_yield();
}

/*
 * Message passing:
 *
 *	0: x = i; y = i		1: b = y; a = x
 *
 * Who has seen the flag sees the message: never b == i and a < i. Node 1
 * answers in the same way with the next number, so that each does both parts.
 */
static void message_passing(bool two_blocks)
{
	struct board board = set_up(two_blocks);
	double start = seconds();

	for (uint64_t i = 1; node() < 2 && i <= ROUNDS; i++) {
		uint64_t flag, message;

		if (node() == (int)(i % 2)) {
			*board.x = i;
			*board.y = i;
			continue;
		}
		do {
			flag = *board.y;
			message = *board.x;
			ASSERT_GE(message, flag);
			if (flag < i)
				sched_yield();
		} while (flag < i);
	}
	note("%d messages in %.1f s", ROUNDS, seconds() - start);
	unshare_region(board.region);
}

TEST_SECONDS(message_passing_two_blocks, 120)
{
	message_passing(true);
}

TEST_SECONDS(message_passing_one_block, 120)
{
	message_passing(false);
}

/*
 * Store buffering:
 *
 *	0: x = i; a = y		1: y = i; b = x
 *
 * One of the stores is first, and the other node sees it: never a < i and b < i.
 */
static void store_buffering(bool two_blocks)
{
	struct board board = set_up(two_blocks);
	volatile uint64_t *mine = node() ? board.y : board.x;
	volatile uint64_t *other = node() ? board.x : board.y;
	uint32_t *seen = calloc(ROUNDS + 1, sizeof(*seen));
	unsigned int both = 0, forbidden = 0;
	double start = seconds();

	ASSERT_TRUE(seen);
	for (uint64_t i = 1; node() < 2 && i <= ROUNDS; i++) {
		*mine = i;
		seen[i] = *other;
		wait_until(other, i);
	}
	note("%d rounds in %.1f s", ROUNDS, seconds() - start);
	if (node() < 2)
		memcpy(board.seen + node() * (ROUNDS + 1), seen, (ROUNDS + 1) * sizeof(*seen));
	together("played");
	for (uint32_t i = 1; i <= ROUNDS; i++) {
		uint32_t a = board.seen[i], b = board.seen[ROUNDS + 1 + i];

		ASSERT_GE(a, i - 1);
		ASSERT_GE(b, i - 1);
		forbidden += a < i && b < i;
		both += a >= i && b >= i;
	}
	note("both saw the other's store in %u rounds", both);
	EXPECT_EQ(forbidden, 0);
	free(seen);
	unshare_region(board.region);
}

TEST_SECONDS(store_buffering_two_blocks, 120)
{
	store_buffering(true);
}

TEST_SECONDS(store_buffering_one_block, 120)
{
	store_buffering(false);
}
