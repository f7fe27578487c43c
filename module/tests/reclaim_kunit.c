// SPDX-License-Identifier: GPL-2.0
/* Reclaim: which copies go, and when their memory does. */
#include <kunit/test.h>
#include <linux/mm.h>
#include <linux/shmem_fs.h>
#include <linux/wait.h>
#include "testnode.h"
#include "../block.h"
#include "../envelope.h"
#include "../frames.h"
#include "../reclaim.h"
#include "../region.h"
#include "../wait.h"

enum {
	SELF	= 1,
	HOME	= 0,
	NODES	= 3,
	REGION	= 7,
	LIMIT	= 32,	/* blocks */
	MANY	= 200,	/* blocks: more than go at once */
	HOME_REQ = 9,	/* of the home's request */
	LONG	= 600,	/* seconds: that something comes, not when, is tested */
};

struct fixture {
	struct testnode *tn;
	struct dsm_region *region;
};

static int reclaim_init(struct kunit *test)
{
	struct testnode *tn = testnode_create(test, SELF, NODES);

	testnode_all_up(tn);
	testnode_acks_stop(tn);
	tn->node->hold_us = 0;
	return 0;
}

static struct fixture fixture_create(struct kunit *test)
{
	struct fixture fix = { .tn = test->priv };

	fix.region = testnode_region(test, REGION, DSM_HOME_CREATOR);
	KUNIT_ASSERT_NOT_NULL(test, dsm_chunk_get(fix.region, 0, GFP_KERNEL));
	return fix;
}

static int hear(struct fixture *fix, u64 block, struct dsm_coh_msg coh)
{
	struct dsm_msg msg = { .region = REGION, .block = block };

	dsm_envelope_fill(&msg, &coh);
	return testnode_receive(fix->tn, HOME, &msg, false);
}

/* A copy with memory of its own. */
static void copy_create(struct kunit *test, struct fixture *fix, u64 block, bool write)
{
	struct dsm_coh_msg grant = {
		.type = DSM_GRANT, .flags = DSM_WIRE_ZERO | (write ? DSM_WIRE_MODIFIED : 0),
	};

	KUNIT_ASSERT_EQ(test, dsm_block_ask(fix->region, block, write), 0);
	KUNIT_ASSERT_EQ(test, fix->tn->n_sent, 1);
	grant.req = le32_to_cpu(fix->tn->sent[0].hdr.req);
	fix->tn->n_sent = 0;
	dsm_peer_credit(fix->tn->node->peers[HOME], 1);
	KUNIT_ASSERT_EQ(test, dsm_frames_prepare(fix->region, block, false), 0);
	KUNIT_ASSERT_EQ(test, hear(fix, block, grant), 0);
}

static void copies_create(struct kunit *test, struct fixture *fix, u64 first, u64 n, bool write)
{
	u64 block;

	for (block = first; block < first + n; block++)
		copy_create(test, fix, block, write);
}

static struct dsm_block *block_of(struct fixture *fix, u64 block)
{
	return dsm_block_find(fix->region, block);
}

/* How many messages of a type the home was sent, runs counted in full. */
static unsigned int sent(const struct fixture *fix, u8 type)
{
	unsigned int i, n = 0;

	for (i = 0; i < fix->tn->n_sent; i++)
		if (fix->tn->sent[i].hdr.type == type)
			n += le16_to_cpu(fix->tn->sent[i].hdr.more) + 1;
	return n;
}

static void limit_set(struct kunit *test, struct fixture *fix, u64 blocks)
{
	KUNIT_ASSERT_EQ(test, dsm_reclaim_set_limit(fix->region, blocks * PAGE_SIZE), 0);
}

/* As long as there is room, nothing goes. */
static void room_test(struct kunit *test)
{
	struct fixture fix = fixture_create(test);

	limit_set(test, &fix, LIMIT);
	copies_create(test, &fix, 0, LIMIT / 2, false);
	KUNIT_EXPECT_EQ(test, dsm_reclaim_cached_bytes(fix.region), LIMIT / 2 * PAGE_SIZE);
	KUNIT_EXPECT_FALSE(test, dsm_reclaim_balance(fix.region));
	KUNIT_EXPECT_FALSE(test, dsm_reclaim_full(fix.region));
	KUNIT_EXPECT_EQ(test, fix.tn->n_sent, 0);
}

static u64 evicted_clean(const struct fixture *fix)
{
	return atomic64_read(&fix->region->stats[DSM_STAT_evicted_clean]);
}

/* A clean copy: its memory is free at once, and the home is told. */
static void clean_test(struct kunit *test)
{
	struct fixture fix = fixture_create(test);
	u64 block, n;

	limit_set(test, &fix, LIMIT);
	copies_create(test, &fix, 0, LIMIT, false);
	KUNIT_EXPECT_TRUE(test, dsm_reclaim_full(fix.region));
	KUNIT_EXPECT_TRUE(test, dsm_reclaim_balance(fix.region));
	n = evicted_clean(&fix);
	KUNIT_EXPECT_GT(test, n, 0);
	KUNIT_EXPECT_LT(test, n, LIMIT);
	KUNIT_EXPECT_EQ(test, sent(&fix, DSM_PUT_S), n);
	KUNIT_EXPECT_EQ(test, sent(&fix, DSM_PUT_M), 0);
	for (block = 0; block < LIMIT; block++)
		KUNIT_EXPECT_EQ(test, dsm_frames_present(fix.region, block),
				block_of(&fix, block)->line.state == DSM_LINE_S);
	KUNIT_EXPECT_EQ(test, dsm_reclaim_cached_bytes(fix.region), (LIMIT - n) * PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, dsm_frames_bytes(fix.region), (LIMIT - n) * PAGE_SIZE);
	KUNIT_EXPECT_FALSE(test, dsm_reclaim_full(fix.region));
}

/* The last writer's copy goes when the home says so: it may be asked for the bytes. */
static void owner_test(struct kunit *test)
{
	struct dsm_coh_msg fwd = { .type = DSM_FWD_GET_S, .node = 2, .req = HOME_REQ };
	struct dsm_coh_msg inv = { .type = DSM_INV, .node = HOME, .req = HOME_REQ };
	struct fixture fix = fixture_create(test);
	u64 block;

	limit_set(test, &fix, LIMIT);
	copies_create(test, &fix, 0, LIMIT, true);
	for (block = 0; block < LIMIT; block++)
		KUNIT_ASSERT_EQ(test, hear(&fix, block, fwd), 0);
	fix.tn->acked[2] = fix.tn->node->peers[2]->tx_seq;
	KUNIT_EXPECT_EQ(test, testnode_receive(fix.tn, 2, &(struct dsm_msg){
				.type = DSM_NOP }, false), 0);
	KUNIT_EXPECT_TRUE(test, dsm_reclaim_balance(fix.region));
	KUNIT_EXPECT_GT(test, sent(&fix, DSM_PUT_M), 0);
	KUNIT_EXPECT_EQ(test, sent(&fix, DSM_PUT_S), 0);
	for (block = 0; !block_of(&fix, block)->line.put; block++)
		KUNIT_ASSERT_LT(test, block, LIMIT - 1);
	KUNIT_EXPECT_TRUE(test, dsm_frames_present(fix.region, block));
	KUNIT_EXPECT_EQ(test, hear(&fix, block, inv), 0);
	KUNIT_EXPECT_EQ(test, sent(&fix, DSM_INV_ACK), 1);
	KUNIT_EXPECT_FALSE(test, dsm_frames_present(fix.region, block));
	KUNIT_EXPECT_EQ(test, block_of(&fix, block)->line.state, DSM_LINE_I);
	KUNIT_EXPECT_EQ(test, evicted_clean(&fix), 1);
}

/* A written copy's memory stays until the home says that it has the bytes. */
static void dirty_test(struct kunit *test)
{
	struct dsm_coh_msg fwd = { .type = DSM_FWD_GET_M, .node = HOME, .req = HOME_REQ };
	struct fixture fix = fixture_create(test);
	u64 block;

	limit_set(test, &fix, LIMIT);
	copies_create(test, &fix, 0, LIMIT, true);
	KUNIT_EXPECT_EQ(test, dsm_reclaim_dirty_bytes(fix.region), LIMIT * PAGE_SIZE);
	KUNIT_EXPECT_TRUE(test, dsm_reclaim_balance(fix.region));
	KUNIT_EXPECT_GT(test, sent(&fix, DSM_PUT_M), 0);
	KUNIT_EXPECT_EQ(test, sent(&fix, DSM_PUT_S), 0);
	for (block = 0; !block_of(&fix, block)->line.put; block++)
		KUNIT_ASSERT_LT(test, block, LIMIT - 1);
	fix.tn->n_sent = 0;
	KUNIT_EXPECT_EQ(test, hear(&fix, block, fwd), 0);
	KUNIT_EXPECT_EQ(test, sent(&fix, DSM_DATA), 1);
	KUNIT_EXPECT_EQ(test, atomic64_read(&fix.region->stats[DSM_STAT_evicted_dirty]), 1);
	KUNIT_EXPECT_EQ(test, dsm_reclaim_dirty_bytes(fix.region), (LIMIT - 1) * PAGE_SIZE);
	/* The worker has looked at it, and has left it. */
	flush_delayed_work(&fix.region->reclaim.work);
	KUNIT_EXPECT_TRUE(test, dsm_frames_present(fix.region, block));
	KUNIT_EXPECT_EQ(test, dsm_reclaim_cached_bytes(fix.region), LIMIT * PAGE_SIZE);

	fix.tn->acked[HOME] = fix.tn->node->peers[HOME]->tx_seq;
	KUNIT_EXPECT_EQ(test, hear(&fix, block, (struct dsm_coh_msg){ .type = DSM_NOP }), 0);
	KUNIT_EXPECT_GT(test, wait_event_timeout(*dsm_waitqueue(&fix.region->reclaim),
				!dsm_frames_present(fix.region, block), LONG * HZ), 0);
	KUNIT_EXPECT_EQ(test, dsm_reclaim_cached_bytes(fix.region), (LIMIT - 1) * PAGE_SIZE);
}

/* Clean ones go first. */
static void clean_first_test(struct kunit *test)
{
	struct fixture fix = fixture_create(test);
	u64 block;

	limit_set(test, &fix, LIMIT);
	for (block = 0; block < LIMIT; block++)
		copy_create(test, &fix, block, block % 2);
	KUNIT_EXPECT_TRUE(test, dsm_reclaim_balance(fix.region));
	KUNIT_ASSERT_GT(test, fix.tn->n_sent, 0);
	KUNIT_EXPECT_EQ(test, fix.tn->sent[0].hdr.type, DSM_PUT_S);
	KUNIT_EXPECT_GE(test, sent(&fix, DSM_PUT_S), sent(&fix, DSM_PUT_M));
}

/* What was used between the clock's two hands stays. */
static void used_test(struct kunit *test)
{
	struct fixture fix = fixture_create(test);
	u64 block, used;

	limit_set(test, &fix, MANY);
	copies_create(test, &fix, 0, MANY, false);
	KUNIT_EXPECT_TRUE(test, dsm_reclaim_balance(fix.region));
	/* The second hand is behind these, the first before the next. */
	for (block = 0; block_of(&fix, block)->line.state == DSM_LINE_I; block++)
		KUNIT_ASSERT_LT(test, block, MANY - 3);
	KUNIT_EXPECT_GT(test, block, 0);
	used = block + 1;
	KUNIT_ASSERT_FALSE(test, block_of(&fix, used)->used);
	KUNIT_ASSERT_TRUE(test, dsm_block_use(fix.region, block_of(&fix, used), false, true));

	limit_set(test, &fix, MANY / 2);
	flush_delayed_work(&fix.region->reclaim.work);
	KUNIT_EXPECT_EQ(test, block_of(&fix, used - 1)->line.state, DSM_LINE_I);
	KUNIT_EXPECT_EQ(test, block_of(&fix, used)->line.state, DSM_LINE_S);
	KUNIT_EXPECT_EQ(test, block_of(&fix, used + 1)->line.state, DSM_LINE_I);
}

/* What this node is the home of may be the last copy: it is not even counted. */
static void home_test(struct kunit *test)
{
	struct testnode *tn = test->priv;
	struct dsm_region *region = testnode_region(test, REGION, DSM_HOME_INTERLEAVED);
	u64 block, first = 1 << (DSM_CHUNK_SHIFT - PAGE_SHIFT);

	KUNIT_ASSERT_NOT_NULL(test, dsm_chunk_get(region, 1, GFP_KERNEL));
	KUNIT_ASSERT_EQ(test, dsm_reclaim_set_limit(region, LIMIT * PAGE_SIZE), 0);
	for (block = first; block < first + 2 * LIMIT; block++) {
		KUNIT_ASSERT_EQ(test, dsm_block_ask(region, block, true), 0);
		KUNIT_ASSERT_EQ(test, dsm_frames_prepare(region, block, false), 0);
	}
	KUNIT_EXPECT_EQ(test, dsm_reclaim_cached_bytes(region), 0);
	KUNIT_EXPECT_FALSE(test, dsm_reclaim_balance(region));
	KUNIT_EXPECT_EQ(test, tn->n_sent, 0);
	KUNIT_EXPECT_EQ(test, dsm_frames_bytes(region), 2 * LIMIT * PAGE_SIZE);
}

/* Without room a thread makes some; where it cannot, it waits, for as long as it may. */
static void full_test(struct kunit *test)
{
	struct fixture fix = fixture_create(test);

	limit_set(test, &fix, LIMIT);
	copies_create(test, &fix, 0, LIMIT, true);
	KUNIT_EXPECT_EQ(test, dsm_reclaim_frames(fix.region, LIMIT, jiffies), -ETIMEDOUT);
	KUNIT_EXPECT_FALSE(test, dsm_frames_present(fix.region, LIMIT));
	KUNIT_EXPECT_EQ(test, atomic64_read(&fix.region->stats[DSM_STAT_reclaim_waits]), 1);
	/* What has its place already needs no other. */
	KUNIT_EXPECT_EQ(test, dsm_reclaim_frames(fix.region, 0, jiffies), 0);
}

static void full_of_clean_test(struct kunit *test)
{
	struct fixture fix = fixture_create(test);

	limit_set(test, &fix, LIMIT);
	copies_create(test, &fix, 0, LIMIT, false);
	KUNIT_EXPECT_EQ(test, dsm_reclaim_frames(fix.region, LIMIT, jiffies + LONG * HZ), 0);
	KUNIT_EXPECT_TRUE(test, dsm_frames_present(fix.region, LIMIT));
	KUNIT_EXPECT_GT(test, evicted_clean(&fix), 0);
}

/* A lower limit is reached without any thread's help. */
static void lowered_test(struct kunit *test)
{
	struct fixture fix = fixture_create(test);

	copies_create(test, &fix, 0, LIMIT, false);
	KUNIT_EXPECT_EQ(test, dsm_reclaim_set_limit(fix.region, (DSM_RECLAIM_BLOCKS_MIN - 1) *
						    PAGE_SIZE), -EINVAL);
	limit_set(test, &fix, LIMIT / 2);
	flush_delayed_work(&fix.region->reclaim.work);
	KUNIT_EXPECT_GE(test, sent(&fix, DSM_PUT_S), LIMIT / 2);
}

static struct kunit_case reclaim_cases[] = {
	KUNIT_CASE(room_test),
	KUNIT_CASE(clean_test),
	KUNIT_CASE(owner_test),
	KUNIT_CASE(dirty_test),
	KUNIT_CASE(clean_first_test),
	KUNIT_CASE(used_test),
	KUNIT_CASE(home_test),
	KUNIT_CASE(full_test),
	KUNIT_CASE(full_of_clean_test),
	KUNIT_CASE(lowered_test),
	{}
};

static struct kunit_suite reclaim_suite = {
	.name = "dsm_reclaim",
	.suite_init = testnode_suite_init,
	.suite_exit = testnode_suite_exit,
	.init = reclaim_init,
	.exit = testnode_destroy,
	.test_cases = reclaim_cases,
};

kunit_test_suite(reclaim_suite);
