// SPDX-License-Identifier: GPL-2.0
/* Runs: messages about consecutive blocks that one frame stands for. */
#include <kunit/test.h>
#include "testnode.h"
#include "../region.h"

enum {
	SELF	= 1,
	PEER	= 2,
	NODES	= 3,
	REGION	= 7,
};

static int run_init(struct kunit *test)
{
	testnode_all_up(testnode_create(test, SELF, NODES));
	return 0;
}

static struct dsm_peer *peer_of(struct kunit *test)
{
	struct testnode *tn = test->priv;

	return tn->node->peers[PEER];
}

static int hear_ack(struct kunit *test, u64 ack)
{
	struct testnode *tn = test->priv;
	struct dsm_msg msg = { .type = DSM_ACK };

	return testnode_receive_as(tn, PEER, &msg, false, tn->node->view, 0, ack);
}

/* The peer's work is not done but by work(), so that nothing depends on time. */
static void work_stop(struct kunit *test)
{
	testnode_work_stop(peer_of(test));
}

static void work(struct kunit *test)
{
	struct work_struct *work = &peer_of(test)->work.work;

	work->func(work);
}

static void reconnect(struct kunit *test)
{
	dsm_peer_down(peer_of(test));
	KUNIT_EXPECT_EQ(test, dsm_peer_up(peer_of(test), TESTNODE_INCARNATION, TESTNODE_SESSION), 0);
}

static void queue_block(struct kunit *test, u64 block, u32 req, u32 data_len, u32 expect_len)
{
	struct testnode *tn = test->priv;
	struct dsm_msg *msg = dsm_msg_alloc(GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, msg);
	msg->type = data_len ? DSM_DATA : DSM_GET_S;
	msg->req = req;
	msg->region = REGION;
	msg->block = block;
	msg->data_len = data_len;
	msg->expect_len = expect_len;
	dsm_peer_queue(tn->node->peers[PEER], msg);
}

/* The helper has a frame that stands for so many messages. */
static void expect_run(struct kunit *test, unsigned int nth, u64 seq, u64 block, u16 n)
{
	struct testnode *tn = test->priv;
	const struct testnode_sent *sent = &tn->sent[nth];

	KUNIT_ASSERT_GT(test, tn->n_sent, nth);
	KUNIT_EXPECT_EQ(test, le64_to_cpu(sent->hdr.seq), seq);
	KUNIT_EXPECT_EQ(test, le64_to_cpu(sent->hdr.block), block);
	KUNIT_EXPECT_EQ(test, le16_to_cpu(sent->hdr.more), n - 1);
}

/* What is queued together goes as one frame, and costs one credit; again, one by one. */
static void run_test(struct kunit *test)
{
	struct testnode *tn = test->priv;
	struct dsm_peer *peer = peer_of(test);
	u32 i;

	for (i = 0; i < 5; i++)
		queue_block(test, 10 + i, 100 + i, 0, PAGE_SIZE);
	queue_block(test, 20, 105, 0, PAGE_SIZE);
	queue_block(test, 21, 106, 0, PAGE_SIZE);
	dsm_peer_flush(peer);
	KUNIT_EXPECT_EQ(test, tn->n_sent, 2);
	expect_run(test, 0, 1, 10, 5);
	expect_run(test, 1, 6, 20, 2);
	KUNIT_EXPECT_EQ(test, peer->credits, DSM_PEER_CREDITS - 2);
	KUNIT_EXPECT_EQ(test, peer->n_queue, 7);
	KUNIT_EXPECT_EQ(test, hear_ack(test, 8), -EPROTO);
	/* A part of it has arrived. */
	KUNIT_EXPECT_EQ(test, hear_ack(test, 3), 0);
	KUNIT_EXPECT_EQ(test, peer->n_queue, 4);
	tn->n_sent = 0;
	queue_block(test, 22, 107, 0, PAGE_SIZE);
	queue_block(test, 23, 108, 0, PAGE_SIZE);
	reconnect(test);
	KUNIT_EXPECT_EQ(test, tn->n_sent, 5);
	expect_run(test, 0, 4, 13, 1);
	expect_run(test, 1, 5, 14, 1);
	expect_run(test, 2, 6, 20, 1);
	expect_run(test, 3, 7, 21, 1);
	/* But for what goes for the first time. */
	expect_run(test, 4, 8, 22, 2);
}

/* Not longer than a frame may be. */
static void run_max_test(struct kunit *test)
{
	struct testnode *tn = test->priv;
	struct dsm_peer *peer = peer_of(test);
	u32 i, fits = DSM_WIRE_BODY_MAX / DSM_BLOCK_SIZE_MAX;

	for (i = 0; i <= DSM_WIRE_RUN_MAX; i++)
		queue_block(test, i, i, 0, 0);
	dsm_peer_flush(peer);
	KUNIT_EXPECT_EQ(test, tn->n_sent, 2);
	expect_run(test, 0, 1, 0, DSM_WIRE_RUN_MAX);
	expect_run(test, 1, DSM_WIRE_RUN_MAX + 1, DSM_WIRE_RUN_MAX, 1);
	tn->n_sent = 0;
	for (i = 0; i <= fits; i++)
		queue_block(test, i, i, DSM_BLOCK_SIZE_MAX, 0);
	dsm_peer_flush(peer);
	KUNIT_EXPECT_EQ(test, tn->n_sent, 2);
	expect_run(test, 0, DSM_WIRE_RUN_MAX + 2, 0, fits);
	KUNIT_EXPECT_EQ(test, le32_to_cpu(tn->sent[0].hdr.len), DSM_WIRE_BODY_MAX);
	/* Nor is more expected for one. */
	tn->n_sent = 0;
	for (i = 0; i <= fits; i++)
		queue_block(test, i, i, 0, DSM_BLOCK_SIZE_MAX);
	dsm_peer_flush(peer);
	KUNIT_EXPECT_EQ(test, tn->n_sent, 2);
	expect_run(test, 1, DSM_WIRE_RUN_MAX + 2 + fits + 1 + fits, fits, 1);
}

/* A run that could not be given to the helper goes later, still as one. */
static void run_fails_test(struct kunit *test)
{
	struct testnode *tn = test->priv;

	work_stop(test);
	tn->no_sends = 1;
	queue_block(test, 1, 1, 0, 0);
	queue_block(test, 2, 2, 0, 0);
	dsm_peer_flush(peer_of(test));
	KUNIT_EXPECT_EQ(test, tn->n_sent, 0);
	work(test);
	KUNIT_EXPECT_EQ(test, tn->n_sent, 1);
	expect_run(test, 0, 1, 1, 2);
}

/* The peer asks to read some blocks of a chunk whose home is this node. */
static int hear_run(struct kunit *test, u64 seq, u64 block, u32 req, u16 n)
{
	struct testnode *tn = test->priv;
	struct dsm_msg msg = { .type = DSM_GET_S, .req = req, .region = REGION,
			       .block = block, .more = n - 1 };

	return testnode_receive_as(tn, PEER, &msg, false, tn->node->view, seq, 0);
}

static u64 own_block(struct kunit *test)
{
	struct dsm_region *region = testnode_region(test, REGION, DSM_HOME_INTERLEAVED);

	return SELF * (u64)DSM_CHUNK_SIZE >> region->block_shift;
}

/* Each message of a run is taken, and answered together. */
static void run_received_test(struct kunit *test)
{
	struct testnode *tn = test->priv;
	struct dsm_peer *peer = peer_of(test);
	u64 block;

	work_stop(test);
	block = own_block(test);
	KUNIT_EXPECT_EQ(test, hear_run(test, 1, block, 50, 4), 0);
	KUNIT_EXPECT_EQ(test, peer->rx_seq, 4);
	KUNIT_EXPECT_EQ(test, atomic64_read(&peer->rx_frames), 1);
	KUNIT_ASSERT_EQ(test, tn->n_sent, 1);
	KUNIT_EXPECT_EQ(test, tn->sent[0].hdr.type, DSM_GRANT);
	KUNIT_EXPECT_EQ(test, le32_to_cpu(tn->sent[0].hdr.req), 50);
	KUNIT_EXPECT_EQ(test, le64_to_cpu(tn->sent[0].hdr.ack), 4);
	expect_run(test, 0, 1, block, 4);
	/* It may have had the acknowledgement of a part only. */
	tn->n_sent = 0;
	KUNIT_EXPECT_EQ(test, hear_run(test, 3, block + 2, 52, 4), 0);
	KUNIT_EXPECT_EQ(test, peer->rx_seq, 6);
	KUNIT_EXPECT_EQ(test, atomic64_read(&peer->duplicates), 2);
	KUNIT_EXPECT_EQ(test, tn->n_sent, 1);
	expect_run(test, 0, 5, block + 4, 2);
	/* Nothing is left out. */
	KUNIT_EXPECT_EQ(test, hear_run(test, 8, block + 8, 60, 2), -EPROTO);
	KUNIT_EXPECT_EQ(test, peer->rx_seq, 6);
}

/* What comes before the one that is refused has been received. */
static void run_refused_test(struct kunit *test)
{
	struct testnode *tn = test->priv;
	struct dsm_peer *peer = peer_of(test);
	u64 block;

	work_stop(test);
	block = own_block(test);
	KUNIT_EXPECT_EQ(test, hear_run(test, 1, block + 2, 50, 1), 0);
	tn->n_sent = 0;
	/* It has the third one. */
	KUNIT_EXPECT_EQ(test, hear_run(test, 2, block, 51, 4), -EPROTO);
	KUNIT_EXPECT_EQ(test, peer->rx_seq, 3);
	KUNIT_EXPECT_EQ(test, atomic64_read(&peer->rejected), 1);
	KUNIT_EXPECT_EQ(test, tn->n_sent, 1);
	expect_run(test, 0, 2, block, 2);
	/* Again, and again refused. */
	tn->n_sent = 0;
	KUNIT_EXPECT_EQ(test, hear_run(test, 2, block, 51, 4), -EPROTO);
	KUNIT_EXPECT_EQ(test, peer->rx_seq, 3);
	KUNIT_EXPECT_EQ(test, tn->n_sent, 0);
	/* Without it, the rest is as good as any. */
	KUNIT_EXPECT_EQ(test, hear_run(test, 4, block + 3, 54, 1), 0);
	KUNIT_EXPECT_EQ(test, peer->rx_seq, 4);
}

static struct kunit_case run_cases[] = {
	KUNIT_CASE(run_test),
	KUNIT_CASE(run_max_test),
	KUNIT_CASE(run_fails_test),
	KUNIT_CASE(run_received_test),
	KUNIT_CASE(run_refused_test),
	{}
};

static struct kunit_suite run_suite = {
	.name = "dsm_run",
	.suite_init = testnode_suite_init,
	.suite_exit = testnode_suite_exit,
	.init = run_init,
	.exit = testnode_destroy,
	.test_cases = run_cases,
};

kunit_test_suite(run_suite);
