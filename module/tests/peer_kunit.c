// SPDX-License-Identifier: GPL-2.0
/*
 * Peers: what is said to another node arrives once, and in order, whatever
 * becomes of the helper, the connection, and memory on the way.
 */
#include <kunit/test.h>
#include "testnode.h"
#include "../region.h"

enum {
	SELF	= 1,
	PEER	= 2,
	NODES	= 3,
	REGION	= 7,
};

static int peer_init(struct kunit *test)
{
	testnode_all_up(testnode_create(test, SELF, NODES));
	return 0;
}

static struct dsm_peer *peer_of(struct kunit *test)
{
	struct testnode *tn = test->priv;

	return tn->node->peers[PEER];
}

static void say(struct kunit *test, unsigned int n)
{
	struct testnode *tn = test->priv;
	struct dsm_msg *msg;

	while (n--) {
		msg = dsm_msg_alloc(GFP_KERNEL);
		KUNIT_ASSERT_NOT_NULL(test, msg);
		msg->type = DSM_NOP;
		dsm_peer_post(tn->node->peers[PEER], msg);
	}
}

/* What the helper has got since the last time: numbers from @first to @last. */
static void expect_sent(struct kunit *test, u64 first, u64 last)
{
	struct testnode *tn = test->priv;
	unsigned int i;

	KUNIT_EXPECT_EQ(test, tn->n_sent, last + 1 - first);
	for (i = 0; i < tn->n_sent; i++) {
		KUNIT_EXPECT_EQ(test, tn->sent[i].peer, PEER);
		KUNIT_EXPECT_EQ(test, tn->sent[i].hdr.type, DSM_NOP);
		KUNIT_EXPECT_EQ(test, le64_to_cpu(tn->sent[i].hdr.seq), first + i);
	}
	tn->n_sent = 0;
}

static void expect_nothing_sent(struct kunit *test)
{
	expect_sent(test, 1, 0);
}

/* Likewise: one ACK. */
static void expect_ack(struct kunit *test, u64 ack)
{
	struct testnode *tn = test->priv;

	KUNIT_ASSERT_EQ(test, tn->n_sent, 1);
	KUNIT_EXPECT_EQ(test, tn->sent[0].hdr.type, DSM_ACK);
	KUNIT_EXPECT_EQ(test, le64_to_cpu(tn->sent[0].hdr.seq), 0);
	KUNIT_EXPECT_EQ(test, le64_to_cpu(tn->sent[0].hdr.ack), ack);
	tn->n_sent = 0;
}

static int hear_ack(struct kunit *test, u64 ack)
{
	struct testnode *tn = test->priv;
	struct dsm_msg msg = { .type = DSM_ACK };

	return testnode_receive_as(tn, PEER, &msg, false, tn->node->view, 0, ack);
}

static int hear(struct kunit *test, u64 seq)
{
	struct testnode *tn = test->priv;
	struct dsm_msg msg = { .type = DSM_NOP };

	return testnode_receive_as(tn, PEER, &msg, false, tn->node->view, seq, 0);
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

static void numbers_test(struct kunit *test)
{
	struct dsm_peer *peer = peer_of(test);

	say(test, 3);
	expect_sent(test, 1, 3);
	KUNIT_EXPECT_EQ(test, peer->n_queue, 3);
	KUNIT_EXPECT_EQ(test, hear_ack(test, 2), 0);
	KUNIT_EXPECT_EQ(test, peer->n_queue, 1);
	KUNIT_EXPECT_EQ(test, hear_ack(test, 2), 0);
	KUNIT_EXPECT_EQ(test, hear_ack(test, 3), 0);
	KUNIT_EXPECT_EQ(test, peer->n_queue, 0);
	KUNIT_EXPECT_TRUE(test, list_empty(&peer->queue));
	say(test, 1);
	expect_sent(test, 4, 4);
}

/* Nobody acknowledges what was not said, be it that the helper has not got it. */
static void ack_of_unsent_test(struct kunit *test)
{
	struct dsm_peer *peer = peer_of(test);

	say(test, DSM_PEER_CREDITS + 1);
	KUNIT_EXPECT_EQ(test, hear_ack(test, DSM_PEER_CREDITS + 1), -EPROTO);
	KUNIT_EXPECT_EQ(test, hear_ack(test, U64_MAX), -EPROTO);
	KUNIT_EXPECT_EQ(test, peer->n_queue, DSM_PEER_CREDITS + 1);
	KUNIT_EXPECT_EQ(test, atomic64_read(&peer->rejected), 2);
	KUNIT_EXPECT_EQ(test, hear_ack(test, DSM_PEER_CREDITS), 0);
	KUNIT_EXPECT_EQ(test, peer->n_queue, 1);
}

static void resend_test(struct kunit *test)
{
	struct dsm_peer *peer = peer_of(test);

	say(test, 5);
	KUNIT_EXPECT_EQ(test, hear_ack(test, 2), 0);
	expect_sent(test, 1, 5);
	dsm_peer_down(peer);
	say(test, 1);
	expect_nothing_sent(test);
	KUNIT_EXPECT_EQ(test, hear_ack(test, 3), -ENOTCONN);
	KUNIT_EXPECT_EQ(test, dsm_peer_up(peer, TESTNODE_INCARNATION, TESTNODE_SESSION), 0);
	expect_sent(test, 3, 6);
	KUNIT_EXPECT_EQ(test, atomic64_read(&peer->resent), 3);
	/* Up again without having been down: the helper has a new connection. */
	KUNIT_EXPECT_EQ(test, dsm_peer_up(peer, TESTNODE_INCARNATION, TESTNODE_SESSION), 0);
	expect_sent(test, 3, 6);
}

/* What was to be sent again is acknowledged before it is. */
static void ack_of_resent_test(struct kunit *test)
{
	struct testnode *tn = test->priv;

	work_stop(test);
	say(test, 4);
	expect_sent(test, 1, 4);
	tn->no_buffers = 1;
	reconnect(test);
	expect_nothing_sent(test);
	KUNIT_EXPECT_EQ(test, hear_ack(test, 3), 0);
	work(test);
	expect_sent(test, 4, 4);
}

static void helper_gone_test(struct kunit *test)
{
	struct testnode *tn = test->priv;

	KUNIT_EXPECT_EQ(test, dsm_peers_up(tn->node), NODES);
	work_stop(test);
	tn->node->helper = 0;
	say(test, 3);
	dsm_peers_down(tn->node);
	KUNIT_EXPECT_EQ(test, dsm_peers_up(tn->node), 1);
	say(test, 2);
	work(test);
	expect_nothing_sent(test);
	tn->node->helper = 2;
	testnode_all_up(tn);
	expect_sent(test, 1, 5);
	KUNIT_EXPECT_EQ(test, dsm_peers_up(tn->node), NODES);
}

static void duplicates_test(struct kunit *test)
{
	struct dsm_peer *peer = peer_of(test);

	work_stop(test);
	KUNIT_EXPECT_EQ(test, hear(test, 2), -EPROTO);
	KUNIT_EXPECT_EQ(test, hear(test, 1), 0);
	KUNIT_EXPECT_EQ(test, hear(test, 2), 0);
	KUNIT_EXPECT_EQ(test, hear(test, 4), -EPROTO);
	KUNIT_EXPECT_EQ(test, peer->rx_seq, 2);
	work(test);
	expect_ack(test, 2);
	work(test);
	expect_nothing_sent(test);

	/* It says it again because it has not heard our ACK: it is told again. */
	KUNIT_EXPECT_EQ(test, hear(test, 1), 0);
	KUNIT_EXPECT_EQ(test, hear(test, 2), 0);
	KUNIT_EXPECT_EQ(test, atomic64_read(&peer->duplicates), 2);
	KUNIT_EXPECT_EQ(test, peer->rx_seq, 2);
	work(test);
	expect_ack(test, 2);
	KUNIT_EXPECT_EQ(test, hear(test, 3), 0);
}

/* What could not be taken has not been received, and may come again. */
static void refused_test(struct kunit *test)
{
	struct testnode *tn = test->priv;
	struct dsm_peer *peer = peer_of(test);
	struct dsm_msg claim = { .type = DSM_CLAIM, .region = REGION, .block = PEER };

	work_stop(test);
	testnode_region(test, REGION, DSM_HOME_FIRST_TOUCH);
	/* We are no steward of that chunk. */
	KUNIT_EXPECT_EQ(test, testnode_receive(tn, PEER, &claim, false), -EPROTO);
	KUNIT_EXPECT_EQ(test, peer->rx_seq, 0);
	KUNIT_EXPECT_EQ(test, atomic64_read(&peer->rejected), 1);
	claim.block = SELF;
	KUNIT_EXPECT_EQ(test, testnode_receive(tn, PEER, &claim, false), 0);
	KUNIT_EXPECT_EQ(test, peer->rx_seq, 1);
	KUNIT_EXPECT_EQ(test, atomic64_read(&peer->rx_frames), 1);
}

static void resend_work_do(struct kunit *test)
{
	struct work_struct *work = &peer_of(test)->resend_work.work;

	work->func(work);
}

/* What cannot be taken for want of memory is asked for again; the link stays. */
static void gap_test(struct kunit *test)
{
	struct testnode *tn = test->priv;
	struct dsm_peer *peer = peer_of(test);
	struct dsm_msg claim = { .type = DSM_CLAIM, .region = REGION, .block = SELF };

	work_stop(test);
	testnode_region(test, REGION, DSM_HOME_FIRST_TOUCH);
	KUNIT_EXPECT_EQ(test, hear(test, 1), 0);
	testmem_fail(1, 1);
	KUNIT_EXPECT_EQ(test, testnode_receive_as(tn, PEER, &claim, false, tn->node->view, 2, 0),
			-EAGAIN);
	KUNIT_EXPECT_TRUE(test, peer->gap);
	/* What follows is of no use before that one has come. */
	KUNIT_EXPECT_EQ(test, hear(test, 3), -EAGAIN);
	KUNIT_EXPECT_EQ(test, hear(test, 1), 0);
	KUNIT_EXPECT_EQ(test, peer->rx_seq, 1);
	KUNIT_EXPECT_EQ(test, peer->link, DSM_LINK_UP);
	expect_nothing_sent(test);
	resend_work_do(test);
	KUNIT_ASSERT_EQ(test, tn->n_sent, 1);
	KUNIT_EXPECT_EQ(test, tn->sent[0].hdr.flags, DSM_WIRE_RESEND);
	expect_ack(test, 1);
	/* Less and less often. */
	KUNIT_EXPECT_EQ(test, peer->resend_ms, 2 * DSM_PEER_RESEND_MIN_MS);
	KUNIT_EXPECT_EQ(test, atomic64_read(&peer->asked_again), 1);

	KUNIT_EXPECT_EQ(test, testnode_receive_as(tn, PEER, &claim, false, tn->node->view, 2, 0), 0);
	KUNIT_EXPECT_FALSE(test, peer->gap);
	tn->n_sent = 0;
	resend_work_do(test);
	expect_nothing_sent(test);
	KUNIT_EXPECT_EQ(test, hear(test, 3), 0);
	/* Without a gap, there is none to be filled. */
	KUNIT_EXPECT_EQ(test, hear(test, 5), -EPROTO);
}

/* We are asked to send again: all that is not acknowledged, in order, and at once. */
static void asked_again_test(struct kunit *test)
{
	struct testnode *tn = test->priv;
	struct dsm_msg msg = { .type = DSM_ACK, .flags = DSM_WIRE_RESEND };

	say(test, 4);
	expect_sent(test, 1, 4);
	KUNIT_EXPECT_EQ(test, testnode_receive_as(tn, PEER, &msg, false, tn->node->view, 0, 2), 0);
	expect_sent(test, 3, 4);
	KUNIT_EXPECT_EQ(test, atomic64_read(&peer_of(test)->resent), 2);
	say(test, 1);
	expect_sent(test, 5, 5);
	KUNIT_EXPECT_EQ(test, testnode_receive_as(tn, PEER, &msg, false, tn->node->view, 0, 5), 0);
	expect_nothing_sent(test);
	/* Of what was never sent, nothing can be missing. */
	KUNIT_EXPECT_EQ(test, testnode_receive_as(tn, PEER, &msg, false, tn->node->view, 0, 6),
			-EPROTO);
}

/* One that asks all the time is obeyed each few milliseconds, whatever its queue holds. */
static void asked_too_often_test(struct kunit *test)
{
	struct testnode *tn = test->priv;
	struct dsm_msg msg = { .type = DSM_ACK, .flags = DSM_WIRE_RESEND };
	struct dsm_peer *peer = peer_of(test);
	ktime_t before = ktime_get();
	int i;

	say(test, 4);
	expect_sent(test, 1, 4);
	KUNIT_EXPECT_EQ(test, testnode_receive_as(tn, PEER, &msg, false, tn->node->view, 0, 0), 0);
	expect_sent(test, 1, 4);
	KUNIT_EXPECT_GE(test, peer->again, before);
	/* As if no time passed. */
	peer->again = ktime_add_ms(ktime_get(), 3600 * MSEC_PER_SEC);
	for (i = 0; i < 100; i++)
		KUNIT_EXPECT_EQ(test, testnode_receive_as(tn, PEER, &msg, false, tn->node->view,
							  0, 1), 0);
	expect_nothing_sent(test);
	KUNIT_EXPECT_EQ(test, atomic64_read(&peer->resent), 4);
	/* What it acknowledges counts, and what is new is sent. */
	say(test, 1);
	expect_sent(test, 5, 5);
	peer->again = ktime_sub_ms(ktime_get(), DSM_PEER_AGAIN_MS);
	KUNIT_EXPECT_EQ(test, testnode_receive_as(tn, PEER, &msg, false, tn->node->view, 0, 1), 0);
	expect_sent(test, 2, 5);
	KUNIT_EXPECT_EQ(test, atomic64_read(&peer->resent), 8);
}

static void view_test(struct kunit *test)
{
	struct testnode *tn = test->priv;
	struct dsm_peer *peer = peer_of(test);
	struct dsm_msg msg = { .type = DSM_NOP };

	say(test, 1);
	KUNIT_EXPECT_EQ(test, testnode_receive_as(tn, PEER, &msg, false, tn->node->view + 1, 1, 1),
			-ESTALE);
	KUNIT_EXPECT_EQ(test, peer->rx_seq, 0);
	KUNIT_EXPECT_EQ(test, peer->n_queue, 1);
	KUNIT_EXPECT_EQ(test, testnode_receive_as(tn, PEER, &msg, false, tn->node->view, 1, 1), 0);
	KUNIT_EXPECT_EQ(test, peer->rx_seq, 1);
	KUNIT_EXPECT_EQ(test, peer->n_queue, 0);
}

/* A message that goes takes the acknowledgement along. */
static void ack_rides_test(struct kunit *test)
{
	struct testnode *tn = test->priv;

	work_stop(test);
	KUNIT_EXPECT_EQ(test, hear(test, 1), 0);
	say(test, 1);
	KUNIT_EXPECT_EQ(test, le64_to_cpu(tn->sent[0].hdr.ack), 1);
	expect_sent(test, 1, 1);
	work(test);
	expect_nothing_sent(test);
}

static void ack_every_test(struct kunit *test)
{
	u64 seq;

	work_stop(test);
	for (seq = 1; seq <= 3 * DSM_PEER_ACK_EVERY; seq++) {
		KUNIT_EXPECT_EQ(test, hear(test, seq), 0);
		if (seq % DSM_PEER_ACK_EVERY)
			expect_nothing_sent(test);
		else
			expect_ack(test, seq);
	}
}

/* One frame is acknowledged after a while, by the worker. */
static void ack_later_test(struct kunit *test)
{
	KUNIT_EXPECT_EQ(test, hear(test, 1), 0);
	flush_delayed_work(&peer_of(test)->work);
	expect_ack(test, 1);
}

/* An ACK that cannot go goes later. */
static void ack_fails_test(struct kunit *test)
{
	struct testnode *tn = test->priv;
	struct dsm_peer *peer = peer_of(test);

	work_stop(test);
	KUNIT_EXPECT_EQ(test, hear(test, 1), 0);
	tn->no_buffers = 1;
	work(test);
	tn->no_sends = 1;
	work(test);
	tn->room_one = 0;
	work(test);
	tn->room_one = 1;
	peer->credits = 0;
	work(test);
	expect_nothing_sent(test);
	dsm_peer_credit(peer, 1);
	dsm_peer_down(peer);
	work(test);
	expect_nothing_sent(test);
	KUNIT_EXPECT_EQ(test, dsm_peer_up(peer, TESTNODE_INCARNATION, TESTNODE_SESSION), 0);
	work(test);
	expect_ack(test, 1);
}

/* ... and it is the worker who sees to that. */
static void ack_retried_test(struct kunit *test)
{
	struct testnode *tn = test->priv;

	tn->no_buffers = 1;
	KUNIT_EXPECT_EQ(test, hear(test, 1), 0);
	flush_delayed_work(&peer_of(test)->work);
	flush_delayed_work(&peer_of(test)->work);
	expect_ack(test, 1);
}

static void credits_test(struct kunit *test)
{
	struct dsm_peer *peer = peer_of(test);

	say(test, DSM_PEER_CREDITS + 10);
	expect_sent(test, 1, DSM_PEER_CREDITS);
	KUNIT_EXPECT_EQ(test, peer->credits, 0);
	dsm_peer_credit(peer, 0);
	dsm_peer_flush(peer);
	expect_nothing_sent(test);
	dsm_peer_credit(peer, 3);
	expect_sent(test, DSM_PEER_CREDITS + 1, DSM_PEER_CREDITS + 3);
	/* Never more than there are. */
	dsm_peer_credit(peer, U32_MAX);
	expect_sent(test, DSM_PEER_CREDITS + 4, DSM_PEER_CREDITS + 10);
	KUNIT_EXPECT_EQ(test, peer->credits, DSM_PEER_CREDITS - 7);
	dsm_peer_credit(peer, U32_MAX);
	KUNIT_EXPECT_EQ(test, peer->credits, DSM_PEER_CREDITS);
}

/* Credits that end in the middle of a buffer's worth. */
static void credits_few_test(struct kunit *test)
{
	struct dsm_peer *peer = peer_of(test);

	dsm_peer_down(peer);
	say(test, 6);
	KUNIT_EXPECT_EQ(test, dsm_peer_up(peer, TESTNODE_INCARNATION, TESTNODE_SESSION), 0);
	expect_sent(test, 1, 6);
	peer->credits = 0;
	say(test, 6);
	dsm_peer_credit(peer, 2);
	expect_sent(test, 7, 8);
	dsm_peer_credit(peer, 64);
	expect_sent(test, 9, 12);
}

/* More than fits a buffer goes in several. */
static void buffers_test(struct kunit *test)
{
	struct testnode *tn = test->priv;

	dsm_peer_down(peer_of(test));
	say(test, 30);
	tn->room = 4;
	KUNIT_EXPECT_EQ(test, dsm_peer_up(peer_of(test), TESTNODE_INCARNATION, TESTNODE_SESSION), 0);
	expect_sent(test, 1, 30);
}

static void no_memory(struct kunit *test)
{
	struct testnode *tn = test->priv;

	tn->no_buffers = 1;
}

static void no_room(struct kunit *test)
{
	struct testnode *tn = test->priv;

	tn->room_one = 0;
}

static void no_delivery(struct kunit *test)
{
	struct testnode *tn = test->priv;

	tn->no_sends = 1;
}

static const struct failure_param {
	const char *name;
	void (*fail)(struct kunit *test);
} failure_params[] = {
	{ "no buffer", no_memory },
	{ "no room", no_room },
	{ "no delivery", no_delivery },
};

KUNIT_ARRAY_PARAM_DESC(failure, failure_params, name);

/* Nothing is lost, nothing overtakes, and the worker tries again. */
static void failure_test(struct kunit *test)
{
	const struct failure_param *param = test->param_value;
	struct testnode *tn = test->priv;

	say(test, 2);
	expect_sent(test, 1, 2);
	param->fail(test);
	say(test, 1);
	expect_nothing_sent(test);
	tn->room_one = 1;
	flush_delayed_work(&peer_of(test)->work);
	expect_sent(test, 3, 3);
	say(test, 2);
	expect_sent(test, 4, 5);
	KUNIT_EXPECT_EQ(test, peer_of(test)->n_queue, 5);
}

static void incarnation_test(struct kunit *test)
{
	struct testnode *tn = test->priv;
	struct dsm_peer *peer = peer_of(test);
	struct dsm_region *region = testnode_region(test, REGION, DSM_HOME_CREATOR);

	work_stop(test);
	say(test, 2);
	KUNIT_EXPECT_EQ(test, hear(test, 1), 0);
	expect_sent(test, 1, 2);

	/* It had parts of the region. */
	KUNIT_EXPECT_EQ(test, dsm_peer_up(peer, TESTNODE_INCARNATION + 1, TESTNODE_SESSION + 1), -ESTALE);
	KUNIT_EXPECT_EQ(test, peer->link, DSM_LINK_STALE);
	KUNIT_EXPECT_EQ(test, hear(test, 2), -ENOTCONN);
	say(test, 1);
	dsm_peer_down(peer);
	KUNIT_EXPECT_EQ(test, peer->link, DSM_LINK_STALE);
	dsm_peer_flush(peer);
	expect_nothing_sent(test);
	KUNIT_EXPECT_EQ(test, peer->n_queue, 3);

	/* With its memory, it may be talked to. */
	KUNIT_EXPECT_EQ(test, dsm_peer_up(peer, TESTNODE_INCARNATION, TESTNODE_SESSION), 0);
	expect_sent(test, 1, 3);

	/* Without regions neither side has anything to lose: all begins anew. */
	mutex_lock(&tn->node->regions_lock);
	dsm_table_remove(region);
	mutex_unlock(&tn->node->regions_lock);
	KUNIT_EXPECT_EQ(test, dsm_peer_up(peer, TESTNODE_INCARNATION + 1, TESTNODE_SESSION + 1), 0);
	KUNIT_EXPECT_EQ(test, peer->link, DSM_LINK_UP);
	KUNIT_EXPECT_EQ(test, peer->n_queue, 0);
	expect_nothing_sent(test);
	say(test, 1);
	expect_sent(test, 1, 1);
	KUNIT_EXPECT_EQ(test, hear(test, 1), 0);
	KUNIT_EXPECT_EQ(test, atomic64_read(&peer->duplicates), 0);
}

/* Both sides begin anew together: what cannot have come over keeps its turn. */
static void session_test(struct kunit *test)
{
	struct testnode *tn = test->priv;
	struct dsm_peer *peer = peer_of(test);
	struct dsm_region *region;
	u64 session;

	work_stop(test);
	KUNIT_EXPECT_EQ(test, dsm_peer_session(peer, TESTNODE_INCARNATION, &session), 0);
	KUNIT_EXPECT_EQ(test, session, TESTNODE_SESSION);
	/* Another may say that it is the peer: that changes nothing. */
	KUNIT_EXPECT_EQ(test, dsm_peer_session(peer, TESTNODE_INCARNATION + 1, &session), 0);
	KUNIT_EXPECT_EQ(test, session, 0);
	KUNIT_EXPECT_EQ(test, dsm_peer_up(peer, TESTNODE_INCARNATION + 1, TESTNODE_SESSION),
			-EINVAL);
	KUNIT_EXPECT_EQ(test, peer->incarnation, TESTNODE_INCARNATION);
	KUNIT_EXPECT_EQ(test, peer->link, DSM_LINK_UP);

	/* The peer has not got as far as the session: a new one, and nothing is lost. */
	region = testnode_region(test, REGION, DSM_HOME_CREATOR);
	KUNIT_EXPECT_EQ(test, dsm_peer_session(peer, TESTNODE_INCARNATION + 1, &session), -ESTALE);
	KUNIT_EXPECT_EQ(test, peer->link, DSM_LINK_UP);
	say(test, 3);
	expect_sent(test, 1, 3);
	KUNIT_EXPECT_EQ(test, dsm_peer_up(peer, TESTNODE_INCARNATION, TESTNODE_SESSION + 1), 0);
	expect_sent(test, 1, 3);
	KUNIT_EXPECT_EQ(test, hear_ack(test, 2), 0);
	KUNIT_EXPECT_EQ(test, hear(test, 1), 0);

	/* It has, and says that it has it no more. */
	KUNIT_EXPECT_EQ(test, dsm_peer_up(peer, TESTNODE_INCARNATION, TESTNODE_SESSION + 2),
			-ESTALE);
	KUNIT_EXPECT_EQ(test, peer->link, DSM_LINK_STALE);
	KUNIT_EXPECT_EQ(test, peer->session, TESTNODE_SESSION + 1);
	KUNIT_EXPECT_EQ(test, dsm_peer_up(peer, TESTNODE_INCARNATION, TESTNODE_SESSION + 1), 0);
	expect_sent(test, 3, 3);
	mutex_lock(&tn->node->regions_lock);
	dsm_table_remove(region);
	mutex_unlock(&tn->node->regions_lock);
	KUNIT_EXPECT_EQ(test, dsm_peer_up(peer, TESTNODE_INCARNATION, TESTNODE_SESSION + 2), 0);
	expect_nothing_sent(test);
	KUNIT_EXPECT_EQ(test, peer->n_queue, 0);
	KUNIT_EXPECT_EQ(test, hear(test, 1), 0);
	say(test, 1);
	expect_sent(test, 1, 1);
}

static void queue_for(struct kunit *test, u8 type, u32 region, u32 req, u32 data_len,
		      u32 expect_len)
{
	struct testnode *tn = test->priv;
	struct dsm_msg *msg = dsm_msg_alloc(GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, msg);
	msg->type = type;
	msg->req = req;
	msg->region = region;
	msg->data_len = data_len;
	msg->expect_len = expect_len;
	dsm_peer_post(tn->node->peers[PEER], msg);
}

/* A region is gone, and its window: nothing is said of it but by the registry. */
static void forget_test(struct kunit *test)
{
	static const u8 types[] = { DSM_NOP, DSM_NOP, DSM_NOP, DSM_GET_M, DSM_DATA,
				    DSM_REGION_GONE };
	struct testnode *tn = test->priv;
	unsigned int i;

	dsm_peer_down(peer_of(test));
	queue_for(test, DSM_GET_S, REGION, 1, 0, PAGE_SIZE);
	queue_for(test, DSM_DATA, REGION, 2, PAGE_SIZE, 0);
	queue_for(test, DSM_INV, REGION, 3, 0, 0);
	queue_for(test, DSM_GET_M, REGION + 1, 4, 0, PAGE_SIZE);
	queue_for(test, DSM_DATA, REGION + 1, 5, PAGE_SIZE, 0);
	queue_for(test, DSM_REGION_GONE, REGION, 6, 0, 0);
	dsm_peers_forget(tn->node, REGION);
	KUNIT_EXPECT_EQ(test, dsm_peer_up(peer_of(test), TESTNODE_INCARNATION, TESTNODE_SESSION), 0);
	KUNIT_ASSERT_EQ(test, tn->n_sent, ARRAY_SIZE(types));
	for (i = 0; i < ARRAY_SIZE(types); i++) {
		const struct testnode_sent *sent = &tn->sent[i];
		bool page = i >= 3;

		KUNIT_EXPECT_EQ(test, le64_to_cpu(sent->hdr.seq), i + 1);
		KUNIT_EXPECT_EQ(test, sent->hdr.type, types[i]);
		KUNIT_EXPECT_EQ(test, sent->data_len, page && types[i] == DSM_DATA ? PAGE_SIZE : 0);
		KUNIT_EXPECT_EQ(test, sent->expect_len, types[i] == DSM_GET_M ? PAGE_SIZE : 0);
	}
}

/* What comes for a request comes once, however often the request goes. */
static void expect_over_test(struct kunit *test)
{
	struct testnode *tn = test->priv;

	queue_for(test, DSM_GET_S, REGION, 1, 0, PAGE_SIZE);
	queue_for(test, DSM_GET_S, REGION, 2, 0, PAGE_SIZE);
	dsm_peer_expect_over(peer_of(test), 1);
	tn->n_sent = 0;
	reconnect(test);
	KUNIT_ASSERT_EQ(test, tn->n_sent, 2);
	KUNIT_EXPECT_EQ(test, tn->sent[0].expect_len, 0);
	KUNIT_EXPECT_EQ(test, tn->sent[1].expect_len, PAGE_SIZE);
}

/* Queued by several, flushed at once. */
static void flush_test(struct kunit *test)
{
	struct testnode *tn = test->priv;
	struct dsm_node *nobody = kunit_kzalloc(test, sizeof(*nobody), GFP_KERNEL);
	struct dsm_msg *msg;
	u16 id;

	KUNIT_ASSERT_NOT_NULL(test, nobody);
	for (id = 0; id < NODES; id++) {
		if (id == SELF)
			continue;
		msg = dsm_msg_alloc(GFP_KERNEL);
		KUNIT_ASSERT_NOT_NULL(test, msg);
		msg->type = DSM_NOP;
		dsm_peer_queue(tn->node->peers[id], msg);
	}
	expect_nothing_sent(test);
	dsm_peers_flush(tn->node);
	KUNIT_ASSERT_EQ(test, tn->n_sent, 2);
	KUNIT_EXPECT_EQ(test, tn->sent[0].peer, 0);
	KUNIT_EXPECT_EQ(test, tn->sent[1].peer, PEER);
	tn->n_sent = 0;
	dsm_peers_flush(tn->node);
	expect_nothing_sent(test);
	/* A node that does not know yet who it is has nothing to say. */
	dsm_peers_flush(nobody);
}

/* What a node says to itself waits in the batch, and no helper sees it. */
static void self_test(struct kunit *test)
{
	struct testnode *tn = test->priv;
	struct dsm_msg *msg = dsm_msg_alloc(GFP_KERNEL);
	struct dsm_batch batch;

	KUNIT_ASSERT_NOT_NULL(test, msg);
	msg->type = DSM_CLAIM;
	msg->region = REGION;
	msg->block = SELF;
	testnode_region(test, REGION, DSM_HOME_FIRST_TOUCH);
	dsm_batch_init(&batch);
	dsm_post(tn->node, SELF, msg, &batch);
	KUNIT_EXPECT_FALSE(test, list_empty(&batch.local));
	dsm_batch_end(&batch, tn->node);
	KUNIT_EXPECT_TRUE(test, list_empty(&batch.local));
	expect_nothing_sent(test);
}

static void create_test(struct kunit *test)
{
	struct testnode *tn = test->priv;
	struct dsm_peer *peer;

	testmem_fail(1, 1);
	KUNIT_EXPECT_NULL(test, dsm_peer_create(tn->node, PEER));
	peer = dsm_peer_create(tn->node, PEER);
	KUNIT_ASSERT_NOT_NULL(test, peer);
	KUNIT_EXPECT_EQ(test, peer->link, DSM_LINK_DOWN);
	/* With messages that nobody will have. */
	dsm_peer_queue(peer, dsm_msg_alloc(GFP_KERNEL | __GFP_NOFAIL));
	dsm_peer_destroy(peer);
}

static struct kunit_case peer_cases[] = {
	KUNIT_CASE(numbers_test),
	KUNIT_CASE(ack_of_unsent_test),
	KUNIT_CASE(resend_test),
	KUNIT_CASE(ack_of_resent_test),
	KUNIT_CASE(helper_gone_test),
	KUNIT_CASE(duplicates_test),
	KUNIT_CASE(refused_test),
	KUNIT_CASE(gap_test),
	KUNIT_CASE(asked_again_test),
	KUNIT_CASE(asked_too_often_test),
	KUNIT_CASE(view_test),
	KUNIT_CASE(ack_rides_test),
	KUNIT_CASE(ack_every_test),
	KUNIT_CASE(ack_later_test),
	KUNIT_CASE(ack_fails_test),
	KUNIT_CASE(ack_retried_test),
	KUNIT_CASE(credits_test),
	KUNIT_CASE(credits_few_test),
	KUNIT_CASE(buffers_test),
	KUNIT_CASE_PARAM(failure_test, failure_gen_params),
	KUNIT_CASE(incarnation_test),
	KUNIT_CASE(session_test),
	KUNIT_CASE(forget_test),
	KUNIT_CASE(expect_over_test),
	KUNIT_CASE(flush_test),
	KUNIT_CASE(self_test),
	KUNIT_CASE(create_test),
	{}
};

static struct kunit_suite peer_suite = {
	.name = "dsm_peer",
	.suite_init = testnode_suite_init,
	.suite_exit = testnode_suite_exit,
	.init = peer_init,
	.exit = testnode_destroy,
	.test_cases = peer_cases,
};

kunit_test_suite(peer_suite);
