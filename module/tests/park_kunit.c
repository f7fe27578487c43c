// SPDX-License-Identifier: GPL-2.0
/* Parked messages: those about regions that have not been announced yet. */
#include <kunit/test.h>
#include "testnode.h"
#include "../region.h"

enum {
	SELF	= 1,
	PEER	= 2,
	NODES	= 3,
	REGION	= 7,
};

static int park_init(struct kunit *test)
{
	testnode_all_up(testnode_create(test, SELF, NODES));
	return 0;
}

static struct dsm_peer *peer_of(struct kunit *test)
{
	struct testnode *tn = test->priv;

	return tn->node->peers[PEER];
}

/* The peer's work is not done. */
static void work_stop(struct kunit *test)
{
	testnode_work_stop(peer_of(test));
}

static int hear_claim(struct kunit *test, u32 region)
{
	struct dsm_msg claim = { .type = DSM_CLAIM, .region = region, .block = SELF };

	return testnode_receive(test->priv, PEER, &claim, false);
}

static void park_work_do(struct kunit *test)
{
	struct work_struct *work = &peer_of(test)->park.work.work;

	work->func(work);
}

/* The questions to the registry since the last time, and what else was sent. */
static void expect_asked(struct kunit *test, unsigned int n, u32 region)
{
	struct testnode *tn = test->priv;
	unsigned int i;

	KUNIT_EXPECT_EQ(test, tn->n_sent, n);
	for (i = 0; i < tn->n_sent; i++) {
		KUNIT_EXPECT_EQ(test, tn->sent[i].peer, 0);
		KUNIT_EXPECT_EQ(test, tn->sent[i].hdr.type, DSM_REGION_ASK);
		KUNIT_EXPECT_EQ(test, le32_to_cpu(tn->sent[i].hdr.region), region);
	}
	tn->n_sent = 0;
}

/* A request for a region not announced yet waits for it; the link goes on. */
static void parked_test(struct kunit *test)
{
	struct testnode *tn = test->priv;
	struct dsm_peer *peer = peer_of(test);

	work_stop(test);
	KUNIT_EXPECT_EQ(test, hear_claim(test, REGION), 0);
	KUNIT_EXPECT_EQ(test, hear_claim(test, REGION), 0);
	KUNIT_EXPECT_EQ(test, peer->park.n, 2);
	KUNIT_EXPECT_EQ(test, peer->rx_seq, 2);
	park_work_do(test);
	expect_asked(test, 1, REGION);
	park_work_do(test);
	expect_asked(test, 0, 0);
	/* Another region is none of its business. */
	testnode_region(test, REGION - 1, DSM_HOME_FIRST_TOUCH);
	KUNIT_EXPECT_EQ(test, hear_claim(test, REGION - 1), 0);
	KUNIT_ASSERT_EQ(test, tn->n_sent, 1);
	KUNIT_EXPECT_EQ(test, tn->sent[0].hdr.type, DSM_HOME);
	tn->n_sent = 0;

	testnode_region(test, REGION, DSM_HOME_FIRST_TOUCH);
	/* What comes now comes after what was parked; without memory, not at all. */
	testmem_fail(1, 1);
	KUNIT_EXPECT_EQ(test, hear_claim(test, REGION), -EAGAIN);
	KUNIT_EXPECT_EQ(test, peer->park.n, 2);
	KUNIT_EXPECT_EQ(test, tn->n_sent, 0);
	KUNIT_EXPECT_EQ(test, hear_claim(test, REGION), 0);
	KUNIT_EXPECT_EQ(test, peer->park.n, 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&tn->node->n_parked), 0);
	KUNIT_EXPECT_EQ(test, tn->n_sent, 3);
	KUNIT_EXPECT_EQ(test, peer->rx_seq, 4);
}

/* It is the announcement that has them delivered, or the answer that has them dropped. */
static void parked_over_test(struct kunit *test)
{
	struct testnode *tn = test->priv;
	struct dsm_peer *peer = peer_of(test);
	struct dsm_msg told = { .type = DSM_REGION_TOLD, .region = REGION };
	struct dsm_msg new = {
		.type = DSM_REGION_NEW, .region = REGION + 1,
		.body.region = testnode_wire("new", 0, DSM_HOME_FIRST_TOUCH),
		.body_len = sizeof(struct dsm_wire_region),
	};

	KUNIT_EXPECT_EQ(test, hear_claim(test, REGION), 0);
	KUNIT_EXPECT_EQ(test, hear_claim(test, REGION + 1), 0);
	flush_delayed_work(&peer->park.work);
	KUNIT_EXPECT_EQ(test, peer->park.n, 2);
	KUNIT_EXPECT_EQ(test, testnode_receive(tn, 0, &told, false), 0);
	flush_delayed_work(&peer->park.work);
	KUNIT_EXPECT_EQ(test, peer->park.n, 1);
	KUNIT_EXPECT_EQ(test, testnode_receive(tn, 0, &new, false), 0);
	flush_delayed_work(&peer->park.work);
	KUNIT_EXPECT_EQ(test, peer->park.n, 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&tn->node->n_parked), 0);
	/* There is one, after all that the registry has said before: nothing is dropped. */
	told.region = REGION + 1;
	KUNIT_EXPECT_EQ(test, testnode_receive(tn, 0, &told, false), 0);
	KUNIT_EXPECT_EQ(test, hear_claim(test, REGION), 0);
	KUNIT_EXPECT_EQ(test, peer->park.n, 0);
}

/* Another registry is asked again; a peer that begins anew has said nothing. */
static void parked_anew_test(struct kunit *test)
{
	struct testnode *tn = test->priv;
	struct dsm_peer *peer = peer_of(test);
	u64 other = 5ULL << 33;

	work_stop(test);
	KUNIT_EXPECT_EQ(test, hear_claim(test, REGION), 0);
	park_work_do(test);
	expect_asked(test, 1, REGION);
	KUNIT_EXPECT_EQ(test, dsm_peer_up(tn->node->peers[0], other, TESTNODE_SESSION + 1), 0);
	tn->n_sent = 0;
	KUNIT_EXPECT_EQ(test, tn->node->region_id_base, 5);
	KUNIT_EXPECT_EQ(test, tn->node->region_id_seen, 5);
	park_work_do(test);
	expect_asked(test, 1, REGION);
	KUNIT_EXPECT_EQ(test, dsm_peer_up(peer, TESTNODE_INCARNATION + 1, TESTNODE_SESSION + 1), 0);
	KUNIT_EXPECT_EQ(test, peer->park.n, 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&tn->node->n_parked), 0);
}

/* There is room for some. Then the link waits. */
static void parked_max_test(struct kunit *test)
{
	struct dsm_peer *peer = peer_of(test);
	unsigned int i;

	work_stop(test);
	for (i = 0; i < DSM_PARK_PEER_MAX; i++)
		KUNIT_EXPECT_EQ(test, hear_claim(test, REGION + (i & 1)), 0);
	KUNIT_EXPECT_EQ(test, hear_claim(test, REGION), -EAGAIN);
	KUNIT_EXPECT_TRUE(test, peer->gap);
	KUNIT_EXPECT_EQ(test, peer->park.n, DSM_PARK_PEER_MAX);
	KUNIT_EXPECT_EQ(test, peer->rx_seq, DSM_PARK_PEER_MAX);
	KUNIT_EXPECT_EQ(test, peer->link, DSM_LINK_UP);
	testnode_region(test, REGION, DSM_HOME_CREATOR);
	testnode_region(test, REGION + 1, DSM_HOME_CREATOR);
	/* They are wrong, and that is said; no link ends for it. */
	park_work_do(test);
	KUNIT_EXPECT_EQ(test, peer->park.n, 0);
	KUNIT_EXPECT_EQ(test, atomic64_read(&peer->rejected), 1 + DSM_PARK_PEER_MAX);
}

static struct kunit_case park_cases[] = {
	KUNIT_CASE(parked_test),
	KUNIT_CASE(parked_over_test),
	KUNIT_CASE(parked_anew_test),
	KUNIT_CASE(parked_max_test),
	{}
};

static struct kunit_suite park_suite = {
	.name = "dsm_park",
	.suite_init = testnode_suite_init,
	.suite_exit = testnode_suite_exit,
	.init = park_init,
	.exit = testnode_destroy,
	.test_cases = park_cases,
};

kunit_test_suite(park_suite);
