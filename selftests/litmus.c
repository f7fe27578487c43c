// SPDX-License-Identifier: GPL-2.0
/*
 * Memory is sequentially consistent across nodes: the classic two-thread
 * litmus tests never show their forbidden outcome.
 *
 * Nodes 0 and 1 play. Each x[i], y[i] is one of BATCH instances of the test
 * that the players go through without waiting for each other; they only meet
 * between batches, by what they see in those words. Pauses of random length
 * shift them against each other: a block that goes to and fro for each single
 * access would show less, in more time. The two arrays are in two blocks, or
 * in one.
 */
#include <stdlib.h>

#include "test.h"

enum {
	ITERATIONS	= 10000,
	BATCH		= 100,
	ROUNDS		= ITERATIONS / BATCH,
};

struct board {
	dsm_region *region;
	volatile uint64_t *x;
	volatile uint64_t *y;
	volatile uint32_t *seen[2];	/* what each of the players saw */
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
	board.y = (volatile uint64_t *)(base + (two_blocks ? 4096 : 2048));
	board.seen[0] = (volatile uint32_t *)(base + DSM_CHUNK_SIZE / 2);
	board.seen[1] = board.seen[0] + ITERATIONS;
	together("start");
	return board;
}

/* Less than it takes a block to come. */
static void dawdle(uint64_t *state)
{
	for (volatile int n = random_next(state) % 5000; n; n--)
		;
}

/*
 * Message passing:
 *
 *	0: x = r; y = r		1: b = y; a = x
 *
 * Who has seen the flag sees the message: never b == r and a < r. The players
 * change sides after every batch.
 */
static void send_messages(struct board *board, uint64_t r, uint64_t *state)
{
	for (int i = 0; i < BATCH; i++) {
		board->x[i] = r;
		board->y[i] = r;
		dawdle(state);
	}
}

static void receive_messages(struct board *board, uint64_t r, uint64_t *state)
{
	uint64_t flag, message;

	do {
		for (int i = 0; i < BATCH; i++) {
			flag = board->y[i];
			message = board->x[i];
			ASSERT_GE(message, flag);
			dawdle(state);
		}
		/* Not a spin, which would keep the CPU from the helper. */
		if (flag < r)
			test_pause();
	} while (flag < r);
}

static void message_passing(bool two_blocks)
{
	struct board board = set_up(two_blocks);
	uint64_t state = seed();
	double start = seconds();

	for (uint64_t r = 1; node() < 2 && r <= ROUNDS; r++) {
		if (node() == (int)(r % 2))
			send_messages(&board, r, &state);
		else
			receive_messages(&board, r, &state);
	}
	note("%d iterations in %.1f s, %lld remote faults", ITERATIONS, seconds() - start,
	     region_stat("faults_remote_read") + region_stat("faults_remote_write"));
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
 *	0: x = r; a = y		1: y = r; b = x
 *
 * One of the stores is first, and the other node sees it: never a < r and b < r.
 */
static void store_buffering(bool two_blocks)
{
	struct board board = set_up(two_blocks);
	volatile uint64_t *mine = node() ? board.y : board.x;
	volatile uint64_t *other = node() ? board.x : board.y;
	uint32_t *seen = calloc(ITERATIONS, sizeof(*seen));
	unsigned int both = 0, forbidden = 0;
	uint64_t state = seed();
	double start = seconds();

	ASSERT_TRUE(seen);
	for (uint64_t r = 1; node() < 2 && r <= ROUNDS; r++) {
		for (int i = 0; i < BATCH; i++) {
			mine[i] = r;
			seen[(r - 1) * BATCH + i] = other[i];
			dawdle(&state);
		}
		while (other[BATCH - 1] < r)
			test_pause();
	}
	note("%d iterations in %.1f s, %lld remote faults", ITERATIONS, seconds() - start,
	     region_stat("faults_remote_read") + region_stat("faults_remote_write"));
	if (node() < 2) {
		for (int i = 0; i < ITERATIONS; i++)
			board.seen[node()][i] = seen[i];
	}
	together("played");
	for (uint32_t i = 0; i < ITERATIONS; i++) {
		uint32_t r = i / BATCH + 1, a = board.seen[0][i], b = board.seen[1][i];

		ASSERT_GE(a, r - 1);
		ASSERT_GE(b, r - 1);
		forbidden += a < r && b < r;
		both += a >= r && b >= r;
	}
	note("both saw the other's store in %u iterations", both);
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
