// SPDX-License-Identifier: GPL-2.0
/*
 * Questions about chunks: has anybody had to do with one, and who is its home?
 * Who discards asks, so that nothing is made of what is not there.
 */
#include <kunit/test.h>
#include <linux/err.h>
#include <linux/jiffies.h>
#include "testmem.h"
#include "testnode.h"
#include "../block.h"
#include "../chunk.h"
#include "../region.h"

enum {
	SELF	= 1,
	OTHER	= 2,		/* who is asked about the chunk of that number */
	NODES	= 3,
	REGION	= 7,
};

static int chunk_init(struct kunit *test)
{
	struct testnode *tn = testnode_create(test, SELF, NODES);

	testnode_all_up(tn);
	testnode_acks_stop(tn);
	return 0;
}

static int hear(struct kunit *test, u16 from, u8 type, u64 number, u16 node, u32 req)
{
	struct dsm_msg msg = {
		.type = type, .flags = DSM_WIRE_ASK, .node = node, .req = req,
		.region = REGION,
		.block = number,
	};

	return testnode_receive(test->priv, from, &msg, false);
}

/* As the first of the chunk's nodes, who claims it. */
static void hear_claim(struct kunit *test, u16 from, u64 number)
{
	struct dsm_msg msg = { .type = DSM_CLAIM, .region = REGION, .block = number };
	struct testnode *tn = test->priv;

	KUNIT_ASSERT_EQ(test, testnode_receive(tn, from, &msg, false), 0);
	tn->n_sent = 0;
}

static struct dsm_chunk *ask(struct dsm_region *region, u64 number, unsigned long wait)
{
	struct dsm_chunk *chunk;

	mutex_lock(&region->discard_lock);
	chunk = dsm_chunk_ask(region, number, jiffies + wait);
	mutex_unlock(&region->discard_lock);
	return chunk;
}

/* Since the last time the helper was given this alone. */
static void expect_sent(struct kunit *test, u16 to, u8 type, u16 node)
{
	struct testnode *tn = test->priv;

	KUNIT_ASSERT_EQ(test, tn->n_sent, 1);
	KUNIT_EXPECT_EQ(test, tn->sent[0].peer, to);
	KUNIT_EXPECT_EQ(test, tn->sent[0].hdr.type, type);
	KUNIT_EXPECT_EQ(test, tn->sent[0].hdr.flags, DSM_WIRE_ASK);
	KUNIT_EXPECT_EQ(test, le16_to_cpu(tn->sent[0].hdr.node), node);
	tn->n_sent = 0;
}

static void expect_nothing_sent(struct kunit *test)
{
	struct testnode *tn = test->priv;

	KUNIT_EXPECT_EQ(test, tn->n_sent, 0);
}

/* What this node would be asked it knows. */
static void ask_ourselves_test(struct kunit *test)
{
	struct dsm_region *region = testnode_region(test, REGION, DSM_HOME_FIRST_TOUCH);
	struct dsm_chunk *chunk;

	KUNIT_EXPECT_NULL(test, ask(region, SELF, 0));
	KUNIT_EXPECT_NULL(test, dsm_chunk_find(region, SELF));
	/* Looked at, and not claimed. */
	KUNIT_ASSERT_NOT_NULL(test, dsm_chunk_get(region, SELF, GFP_KERNEL));
	KUNIT_EXPECT_NULL(test, ask(region, SELF, 0));
	hear_claim(test, OTHER, SELF);
	chunk = ask(region, SELF, 0);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, chunk);
	KUNIT_EXPECT_EQ(test, dsm_chunk_home(chunk), OTHER);
	expect_nothing_sent(test);
}

struct answer {
	struct work_struct work;
	struct kunit *test;
	struct dsm_region *region;
	u16 node;
	int err;
};

static void answer_work(struct work_struct *work)
{
	struct answer *answer = container_of(work, struct answer, work);

	answer->err = hear(answer->test, OTHER, DSM_HOME, OTHER, answer->node,
			   READ_ONCE(answer->region->asking));
}

static void answer_soon(void *answer)
{
	schedule_work(&((struct answer *)answer)->work);
}

/* Ask, and be answered by the one who is asked. */
static struct dsm_chunk *ask_other(struct kunit *test, struct dsm_region *region, u16 node)
{
	struct answer answer = { .test = test, .region = region, .node = node, .err = 1 };
	struct testnode *tn = test->priv;
	struct dsm_chunk *chunk;

	INIT_WORK_ONSTACK(&answer.work, answer_work);
	tn->watch = answer_soon;
	tn->watch_arg = &answer;
	chunk = ask(region, OTHER, 600 * HZ);
	flush_work(&answer.work);
	destroy_work_on_stack(&answer.work);
	tn->watch = NULL;
	KUNIT_EXPECT_EQ(test, answer.err, 0);
	expect_sent(test, OTHER, DSM_CLAIM, 0);
	KUNIT_EXPECT_EQ(test, region->asking, 0);
	return chunk;
}

static void ask_other_test(struct kunit *test)
{
	struct dsm_region *region = testnode_region(test, REGION, DSM_HOME_FIRST_TOUCH);
	struct dsm_chunk *chunk;

	KUNIT_EXPECT_NULL(test, ask_other(test, region, DSM_WIRE_NOBODY));
	KUNIT_EXPECT_NULL(test, dsm_chunk_find(region, OTHER));
	/* The message is had, and the chunk is not. */
	testmem_fail(2, 1);
	KUNIT_EXPECT_EQ(test, PTR_ERR_OR_ZERO(ask_other(test, region, 0)), -ENOMEM);
	testmem_fail(0, 0);
	chunk = ask_other(test, region, 0);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, chunk);
	KUNIT_EXPECT_EQ(test, dsm_chunk_home(chunk), 0);
	/* It is known now. */
	KUNIT_EXPECT_PTR_EQ(test, ask(region, OTHER, 0), chunk);
	expect_nothing_sent(test);
}

/* Where the policy says who the home is, it is the home that is asked. */
static void ask_home_test(struct kunit *test)
{
	struct dsm_region *region = testnode_region(test, REGION, DSM_HOME_INTERLEAVED);
	struct dsm_chunk *chunk;

	KUNIT_EXPECT_NULL(test, ask(region, SELF, 0));
	expect_nothing_sent(test);
	KUNIT_EXPECT_NULL(test, ask_other(test, region, DSM_WIRE_NOBODY));
	KUNIT_EXPECT_NULL(test, dsm_chunk_find(region, OTHER));
	chunk = ask_other(test, region, OTHER);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, chunk);
	KUNIT_EXPECT_EQ(test, dsm_chunk_home(chunk), OTHER);
}

/* All of a creator's chunks. */
static void ask_creator_test(struct kunit *test)
{
	struct dsm_region *region = testnode_region(test, REGION, DSM_HOME_CREATOR);

	region->creator = OTHER;
	KUNIT_EXPECT_EQ(test, hear(test, OTHER, DSM_CLAIM, SELF, 0, 5), -EPROTO);
	KUNIT_EXPECT_NULL(test, ask_other(test, region, DSM_WIRE_NOBODY));
	region->creator = SELF;
	KUNIT_EXPECT_NULL(test, ask(region, OTHER, 0));
	expect_nothing_sent(test);
	KUNIT_EXPECT_EQ(test, hear(test, OTHER, DSM_CLAIM, OTHER, 0, 6), 0);
	expect_sent(test, OTHER, DSM_HOME, DSM_WIRE_NOBODY);
}

/* An answer that comes too late is nobody's. */
static void ask_in_vain_test(struct kunit *test)
{
	struct dsm_region *region = testnode_region(test, REGION, DSM_HOME_FIRST_TOUCH);
	struct testnode *tn = test->priv;
	u32 req;

	testmem_fail(1, 1);
	KUNIT_EXPECT_EQ(test, PTR_ERR_OR_ZERO(ask(region, OTHER, HZ)), -ENOMEM);
	testmem_fail(0, 0);
	expect_nothing_sent(test);
	KUNIT_EXPECT_EQ(test, PTR_ERR_OR_ZERO(ask(region, OTHER, 1)), -ETIMEDOUT);
	req = le32_to_cpu(tn->sent[0].hdr.req);
	expect_sent(test, OTHER, DSM_CLAIM, 0);
	KUNIT_EXPECT_EQ(test, hear(test, OTHER, DSM_HOME, OTHER, 0, req), 0);
	KUNIT_EXPECT_NULL(test, dsm_chunk_find(region, OTHER));
	/* Nor is it the next question's, */
	region->asked = OTHER;
	region->asking = req + 1;
	region->answer = SELF;
	KUNIT_EXPECT_EQ(test, hear(test, OTHER, DSM_HOME, OTHER, 0, req), 0);
	KUNIT_EXPECT_EQ(test, region->asking, req + 1);
	/* which nobody else may answer, nor with a node that there is not. */
	KUNIT_EXPECT_EQ(test, hear(test, 0, DSM_HOME, OTHER, 0, req + 1), -EPROTO);
	KUNIT_EXPECT_EQ(test, hear(test, OTHER, DSM_HOME, OTHER, NODES, req + 1), -EPROTO);
	KUNIT_EXPECT_EQ(test, region->asking, req + 1);
	KUNIT_EXPECT_EQ(test, region->answer, SELF);
	KUNIT_EXPECT_EQ(test, hear(test, OTHER, DSM_HOME, OTHER, 0, req + 1), 0);
	KUNIT_EXPECT_EQ(test, region->asking, 0);
	KUNIT_EXPECT_EQ(test, region->answer, 0);
}

static void be_asked_test(struct kunit *test)
{
	struct dsm_region *region = testnode_region(test, REGION, DSM_HOME_INTERLEAVED);

	KUNIT_EXPECT_EQ(test, hear(test, OTHER, DSM_CLAIM, OTHER, 0, 5), -EPROTO);
	testmem_fail(1, 1);
	KUNIT_EXPECT_EQ(test, hear(test, OTHER, DSM_CLAIM, SELF, 0, 5), -EAGAIN);
	testmem_fail(0, 0);
	expect_nothing_sent(test);
	KUNIT_EXPECT_EQ(test, hear(test, OTHER, DSM_CLAIM, SELF, 0, 5), 0);
	expect_sent(test, OTHER, DSM_HOME, DSM_WIRE_NOBODY);
	/* Being asked makes nothing. */
	KUNIT_EXPECT_NULL(test, dsm_chunk_find(region, SELF));
	KUNIT_ASSERT_NOT_NULL(test, dsm_chunk_get(region, SELF, GFP_KERNEL));
	KUNIT_EXPECT_EQ(test, hear(test, OTHER, DSM_CLAIM, SELF, 0, 6), 0);
	expect_sent(test, OTHER, DSM_HOME, SELF);
}

/* Under first touch it is the steward who knows. */
static void be_asked_as_steward_test(struct kunit *test)
{
	testnode_region(test, REGION, DSM_HOME_FIRST_TOUCH);
	KUNIT_EXPECT_EQ(test, hear(test, 0, DSM_CLAIM, SELF, 0, 5), 0);
	expect_sent(test, 0, DSM_HOME, DSM_WIRE_NOBODY);
	hear_claim(test, OTHER, SELF);
	KUNIT_EXPECT_EQ(test, hear(test, 0, DSM_CLAIM, SELF, 0, 6), 0);
	expect_sent(test, 0, DSM_HOME, OTHER);
}

static void get_block(void *region)
{
	dsm_chunk_block_get(region, dsm_chunk_find(region, 0), 0, GFP_KERNEL);
}

/* Two make a block at once: one of theirs is it. Without memory there is none, for now. */
static void block_race_test(struct kunit *test)
{
	struct dsm_region *region = testnode_region(test, REGION, DSM_HOME_CREATOR);
	struct dsm_chunk *chunk = dsm_chunk_get(region, 0, GFP_KERNEL);
	struct dsm_block *block;

	KUNIT_ASSERT_NOT_NULL(test, chunk);
	testmem_fail(1, 1);
	KUNIT_EXPECT_NULL(test, dsm_chunk_block_get(region, chunk, 0, GFP_KERNEL));
	testmem_fail(0, 0);
	KUNIT_EXPECT_NULL(test, dsm_block_find(region, 0));
	testmem_call(get_block, region);
	block = dsm_chunk_block_get(region, chunk, 0, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, block);
	KUNIT_EXPECT_PTR_EQ(test, block, dsm_block_find(region, 0));
	KUNIT_EXPECT_PTR_EQ(test, block + DSM_CHUNK_GROUP - 1,
			    dsm_block_find(region, DSM_CHUNK_GROUP - 1));
	KUNIT_EXPECT_NULL(test, dsm_block_find(region, DSM_CHUNK_GROUP));
}

static struct kunit_case chunk_cases[] = {
	KUNIT_CASE(ask_ourselves_test),
	KUNIT_CASE(ask_other_test),
	KUNIT_CASE(ask_home_test),
	KUNIT_CASE(ask_creator_test),
	KUNIT_CASE(ask_in_vain_test),
	KUNIT_CASE(be_asked_test),
	KUNIT_CASE(be_asked_as_steward_test),
	KUNIT_CASE(block_race_test),
	{}
};

static struct kunit_suite chunk_suite = {
	.name = "dsm_chunk",
	.suite_init = testnode_suite_init,
	.suite_exit = testnode_suite_exit,
	.init = chunk_init,
	.exit = testnode_destroy,
	.test_cases = chunk_cases,
};

kunit_test_suite(chunk_suite);
