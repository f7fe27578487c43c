// SPDX-License-Identifier: GPL-2.0
/* The coherence core: what several nodes do together, in a network of the test's own. */
#include <kunit/test.h>
#include <linux/string.h>
#include "../coherence.h"
#include "testnet.h"

/* ------------------------------------------------------------------------
 * Three nodes
 */

static void net_zero_block_moves_no_data_test(struct kunit *test)
{
	struct testnet *net = testnet_create(test, 3, 0);

	testnet_want(net, 1, WANT_READ, false);
	testnet_deliver(net, 1, 0, DSM_GET_S);
	testnet_deliver(net, 0, 1, DSM_GRANT);
	testnet_deliver(net, 0, 0, DSM_DONE);
	KUNIT_EXPECT_TRUE(test, list_empty(&net->flight));
	testnet_want(net, 2, WANT_WRITE, false);
	testnet_deliver(net, 2, 0, DSM_GET_M);
	testnet_deliver(net, 0, 2, DSM_GRANT);
	KUNIT_EXPECT_EQ(test, net->node[2].line.state, DSM_LINE_IM);
	testnet_run(net);
	KUNIT_EXPECT_EQ(test, net->node[2].line.state, DSM_LINE_M);
	KUNIT_EXPECT_EQ(test, net->node[1].line.state, DSM_LINE_I);
}

static void net_home_alone_test(struct kunit *test)
{
	struct testnet *net = testnet_create(test, 3, 1);

	testnet_want(net, 1, WANT_READ, false);
	testnet_run(net);
	testnet_want(net, 1, WANT_WRITE, false);
	testnet_run(net);
	KUNIT_EXPECT_EQ(test, net->node[1].line.state, DSM_LINE_M);
	KUNIT_EXPECT_EQ(test, net->node[1].used, 2);
}

/* Two hops, and no more: what the home says next comes after its answer. */
static void net_home_answers_alone_test(struct kunit *test)
{
	struct testnet *net = testnet_create(test, 3, 0);

	testnet_want(net, 0, WANT_WRITE, false);
	testnet_run(net);
	testnet_hold_over(net, 0);
	testnet_want(net, 1, WANT_READ, false);
	testnet_deliver(net, 1, 0, DSM_GET_S);
	testnet_deliver(net, 0, 0, DSM_FWD_GET_S);
	testnet_revoked(net, 0);
	testnet_deliver(net, 0, 0, DSM_DONE);
	KUNIT_EXPECT_EQ(test, net->dir.busy, 0);
	KUNIT_EXPECT_EQ(test, net->node[1].line.state, DSM_LINE_IS);

	/* Node 1 is a sharer already, who hears of a writer after it has read. */
	testnet_want(net, 2, WANT_WRITE, false);
	testnet_deliver(net, 2, 0, DSM_GET_M);
	KUNIT_EXPECT_EQ(test, net->dir.busy, DSM_GET_M);
	testnet_deliver(net, 0, 1, DSM_DATA);
	KUNIT_EXPECT_TRUE(test, testnet_use(net, 1));
	testnet_deliver(net, 0, 1, DSM_INV);
	testnet_hold_over(net, 1);
	testnet_revoked(net, 1);
	testnet_deliver(net, 1, 2, DSM_INV_ACK);
	testnet_deliver(net, 0, 0, DSM_FWD_GET_M);
	testnet_revoked(net, 0);
	testnet_deliver(net, 0, 2, DSM_DATA);
	/* The home has not answered alone. */
	KUNIT_EXPECT_EQ(test, net->dir.busy, DSM_GET_M);
	testnet_deliver(net, 2, 0, DSM_DONE);
	KUNIT_EXPECT_EQ(test, net->dir.busy, 0);
	testnet_run(net);
	KUNIT_EXPECT_EQ(test, net->last, 2);
}

/* Who has had the home's answer may ask again before the home has ended the first request. */
static void net_asks_again_before_done_test(struct kunit *test)
{
	struct testnet *net = testnet_create(test, 3, 0);

	testnet_want(net, 1, WANT_READ, false);
	testnet_deliver(net, 1, 0, DSM_GET_S);
	testnet_deliver(net, 0, 1, DSM_GRANT);
	testnet_use(net, 1);
	testnet_want(net, 1, WANT_WRITE, false);
	testnet_deliver(net, 1, 0, DSM_GET_M);
	KUNIT_EXPECT_FALSE(test, list_empty(&net->waiting));
	testnet_deliver(net, 0, 0, DSM_DONE);
	KUNIT_EXPECT_TRUE(test, list_empty(&net->waiting));
	testnet_deliver(net, 0, 1, DSM_GRANT);
	testnet_deliver(net, 0, 0, DSM_DONE);
	testnet_run(net);
	KUNIT_EXPECT_EQ(test, net->node[1].line.state, DSM_LINE_M);
	KUNIT_EXPECT_EQ(test, net->node[1].used, 2);
}

/* ------------------------------------------------------------------------
 * Blocks that migrate
 */

/* Node @id reads the block and then writes to it, and lets it go. */
static void read_and_write(struct kunit *test, struct testnet *net, u16 id)
{
	testnet_want(net, id, WANT_READ, false);
	testnet_run(net);
	testnet_want(net, id, WANT_WRITE, false);
	testnet_run(net);
	testnet_hold_over(net, id);
	KUNIT_EXPECT_EQ(test, net->node[id].line.state, DSM_LINE_M);
}

/* A block that @a has written to, and then @b, who had read it from @a. */
static struct testnet *migratory_net(struct kunit *test, u16 a, u16 b)
{
	struct testnet *net = testnet_create(test, 4, 0);

	testnet_want(net, a, WANT_WRITE, false);
	testnet_run(net);
	KUNIT_EXPECT_FALSE(test, net->dir.migratory);
	testnet_hold_over(net, a);
	read_and_write(test, net, b);
	KUNIT_EXPECT_TRUE(test, net->dir.migratory);
	return net;
}

/* The next reader gets it to write, and needs nobody for that. */
static void net_migrates_test(struct kunit *test)
{
	struct testnet *net = migratory_net(test, 1, 2);

	net->sent = 0;
	testnet_want(net, 3, WANT_READ, false);
	testnet_deliver(net, 3, 0, DSM_GET_S);
	testnet_deliver(net, 0, 2, DSM_FWD_GET_S);
	KUNIT_EXPECT_EQ(test, net->node[2].line.state, DSM_LINE_MI_R);
	testnet_revoked(net, 2);
	KUNIT_EXPECT_EQ(test, net->node[2].line.state, DSM_LINE_I);
	testnet_deliver(net, 2, 3, DSM_DATA);
	KUNIT_EXPECT_EQ(test, net->node[3].line.state, DSM_LINE_M);
	KUNIT_EXPECT_FALSE(test, net->node[3].line.written);
	testnet_deliver(net, 3, 0, DSM_DONE);
	KUNIT_EXPECT_EQ(test, net->dir.state, DSM_DIR_M);
	KUNIT_EXPECT_EQ(test, net->dir.owner, 3);
	KUNIT_EXPECT_TRUE(test, net->dir.migratory);
	testnet_run(net);
	testnet_want(net, 3, WANT_WRITE, false);
	KUNIT_EXPECT_TRUE(test, net->node[3].line.written);
	testnet_run(net);
	KUNIT_EXPECT_EQ(test, net->sent, 4);
	testnet_hold_over(net, 3);
	/* And so on. */
	net->sent = 0;
	read_and_write(test, net, 1);
	KUNIT_EXPECT_EQ(test, net->sent, 4);
	KUNIT_EXPECT_TRUE(test, net->dir.migratory);
}

/* Who was given it and has not written shares it, and so do all from then on. */
static void net_stops_migrating_test(struct kunit *test)
{
	struct testnet *net = migratory_net(test, 1, 2);

	testnet_want(net, 3, WANT_READ, false);
	testnet_run(net);
	testnet_hold_over(net, 3);
	KUNIT_EXPECT_EQ(test, net->node[3].line.state, DSM_LINE_M);
	testnet_want(net, 1, WANT_READ, false);
	testnet_deliver(net, 1, 0, DSM_GET_S);
	testnet_deliver(net, 0, 3, DSM_FWD_GET_S);
	KUNIT_EXPECT_EQ(test, net->node[3].line.state, DSM_LINE_MS_R);
	testnet_run(net);
	KUNIT_EXPECT_EQ(test, net->node[1].line.state, DSM_LINE_S);
	KUNIT_EXPECT_EQ(test, net->node[3].line.state, DSM_LINE_S);
	KUNIT_EXPECT_FALSE(test, net->dir.migratory);
	testnet_want(net, 2, WANT_READ, false);
	testnet_run(net);
	KUNIT_EXPECT_EQ(test, net->node[2].line.state, DSM_LINE_S);
}

/* The home is the one that gives it away, and answers alone; or that is given it. */
static void net_migrates_by_home_test(struct kunit *test)
{
	struct testnet *net = migratory_net(test, 1, 0);

	net->sent = 0;
	testnet_want(net, 3, WANT_READ, false);
	testnet_deliver(net, 3, 0, DSM_GET_S);
	testnet_deliver(net, 0, 0, DSM_FWD_GET_S);
	testnet_revoked(net, 0);
	testnet_deliver(net, 0, 0, DSM_DONE);
	KUNIT_EXPECT_EQ(test, net->dir.busy, 0);
	KUNIT_EXPECT_EQ(test, net->dir.owner, 3);
	testnet_deliver(net, 0, 3, DSM_DATA);
	KUNIT_EXPECT_EQ(test, net->node[3].line.state, DSM_LINE_M);
	KUNIT_EXPECT_TRUE(test, list_empty(&net->flight));
	testnet_run(net);
	testnet_want(net, 3, WANT_WRITE, false);
	testnet_run(net);
	testnet_hold_over(net, 3);

	testnet_want(net, 0, WANT_READ, false);
	testnet_run(net);
	KUNIT_EXPECT_EQ(test, net->node[0].line.state, DSM_LINE_M);
	KUNIT_EXPECT_EQ(test, net->node[3].line.state, DSM_LINE_I);
	KUNIT_EXPECT_EQ(test, net->dir.owner, 0);
	KUNIT_EXPECT_TRUE(test, net->dir.migratory);
}

/* The last writer itself, or one of several readers: nothing migrates by that. */
static void net_does_not_migrate_test(struct kunit *test)
{
	struct testnet *net = migratory_net(test, 1, 2);

	testnet_want(net, 3, WANT_READ, false);
	testnet_run(net);
	testnet_hold_over(net, 3);
	testnet_want(net, 1, WANT_READ, false);
	testnet_run(net);
	testnet_hold_over(net, 1);
	/* Node 3, which it came from last, writes. */
	testnet_want(net, 3, WANT_WRITE, false);
	testnet_run(net);
	testnet_hold_over(net, 3);
	KUNIT_EXPECT_FALSE(test, net->dir.migratory);
	testnet_want(net, 1, WANT_READ, false);
	testnet_run(net);
	testnet_want(net, 2, WANT_READ, false);
	testnet_run(net);
	testnet_want(net, 2, WANT_WRITE, false);
	testnet_run(net);
	KUNIT_EXPECT_EQ(test, net->node[2].line.state, DSM_LINE_M);
	KUNIT_EXPECT_FALSE(test, net->dir.migratory);
}

/* Three hops: the owner answers the requester. */
static void net_read_of_modified_block_test(struct kunit *test)
{
	struct testnet *net = testnet_create(test, 3, 0);

	testnet_want(net, 1, WANT_WRITE, false);
	testnet_run(net);
	testnet_hold_over(net, 1);
	net->sent = 0;
	testnet_want(net, 2, WANT_READ, false);
	testnet_deliver(net, 2, 0, DSM_GET_S);
	testnet_deliver(net, 0, 1, DSM_FWD_GET_S);
	testnet_revoked(net, 1);
	testnet_deliver(net, 1, 2, DSM_DATA);
	testnet_deliver(net, 2, 0, DSM_DONE);
	KUNIT_EXPECT_EQ(test, net->sent, 4);
	testnet_run(net);
	KUNIT_EXPECT_EQ(test, net->node[1].line.state, DSM_LINE_S);
	KUNIT_EXPECT_EQ(test, net->node[2].line.state, DSM_LINE_S);
}

/* A sharer that becomes the writer gets no bytes. */
static void net_upgrade_carries_no_data_test(struct kunit *test)
{
	struct testnet *net = testnet_create(test, 3, 0);

	testnet_want(net, 1, WANT_WRITE, false);
	testnet_run(net);
	testnet_want(net, 2, WANT_READ, false);
	testnet_run(net);
	testnet_want(net, 2, WANT_WRITE, false);
	testnet_deliver(net, 2, 0, DSM_GET_M);
	testnet_deliver(net, 0, 2, DSM_GRANT);
	testnet_deliver(net, 0, 1, DSM_INV);
	testnet_run(net);
	KUNIT_EXPECT_EQ(test, net->node[2].line.state, DSM_LINE_M);
	KUNIT_EXPECT_EQ(test, net->last, 2);
}

/* Two sharers want to write: the second loses its copy, and gets the bytes. */
static void net_racing_upgrades_test(struct kunit *test)
{
	struct testnet *net = testnet_create(test, 3, 0);

	testnet_want(net, 1, WANT_WRITE, false);
	testnet_run(net);
	testnet_want(net, 2, WANT_READ, false);
	testnet_run(net);
	testnet_hold_over(net, 1);
	testnet_hold_over(net, 2);

	testnet_want(net, 1, WANT_WRITE, false);
	testnet_want(net, 2, WANT_WRITE, false);
	testnet_deliver(net, 2, 0, DSM_GET_M);
	testnet_deliver(net, 1, 0, DSM_GET_M);
	/* The INV overtakes the other's GRANT. */
	testnet_deliver(net, 0, 1, DSM_INV);
	testnet_revoked(net, 1);
	KUNIT_EXPECT_EQ(test, net->node[1].line.state, DSM_LINE_IM);
	testnet_deliver(net, 1, 2, DSM_INV_ACK);
	KUNIT_EXPECT_EQ(test, net->node[2].line.state, DSM_LINE_SM);
	testnet_deliver(net, 0, 2, DSM_GRANT);
	KUNIT_EXPECT_EQ(test, net->node[2].line.state, DSM_LINE_M);
	testnet_use(net, 2);
	testnet_deliver(net, 2, 0, DSM_DONE);
	testnet_deliver(net, 0, 2, DSM_FWD_GET_M);
	testnet_hold_over(net, 2);
	testnet_revoked(net, 2);
	testnet_deliver(net, 2, 1, DSM_DATA);
	testnet_run(net);
	KUNIT_EXPECT_EQ(test, net->node[1].line.state, DSM_LINE_M);
	KUNIT_EXPECT_EQ(test, net->last, 3);
}

/* Of two writers who trade a block, each gets to write every time. */
static void net_grant_can_be_used_test(struct kunit *test)
{
	struct testnet *net = testnet_create(test, 3, 0);
	unsigned int i;

	for (i = 0; i < 10; i++) {
		testnet_want(net, 1, WANT_WRITE, false);
		testnet_want(net, 2, WANT_WRITE, false);
		testnet_run(net);
	}
	KUNIT_EXPECT_EQ(test, net->node[1].used, 10);
	KUNIT_EXPECT_EQ(test, net->node[2].used, 10);
	KUNIT_EXPECT_EQ(test, net->last, 20);
}

static void net_eviction_test(struct kunit *test)
{
	struct testnet *net = testnet_create(test, 3, 0);

	testnet_want(net, 1, WANT_WRITE, false);
	testnet_run(net);
	testnet_evict(net, 1);
	testnet_run(net);
	KUNIT_EXPECT_EQ(test, net->node[1].line.state, DSM_LINE_I);
	KUNIT_EXPECT_EQ(test, net->node[0].line.state, DSM_LINE_M);

	testnet_want(net, 1, WANT_READ, false);
	testnet_run(net);
	testnet_want(net, 2, WANT_READ, false);
	testnet_run(net);
	testnet_hold_over(net, 1);
	testnet_hold_over(net, 2);
	testnet_evict(net, 1);
	testnet_evict(net, 2);
	testnet_run(net);
	KUNIT_EXPECT_EQ(test, net->node[1].line.state, DSM_LINE_I);
	KUNIT_EXPECT_EQ(test, net->node[2].line.state, DSM_LINE_I);
	KUNIT_EXPECT_TRUE(test, dsm_line_readable(&net->node[0].line));
}

/* The home is about to read when it is to take the last copy: it does both. */
static void net_eviction_while_home_reads_test(struct kunit *test)
{
	struct testnet *net = testnet_create(test, 3, 0);

	testnet_want(net, 1, WANT_WRITE, false);
	testnet_run(net);
	testnet_want(net, 0, WANT_READ, false);
	testnet_evict(net, 1);
	testnet_deliver(net, 1, 0, DSM_PUT_M);
	testnet_run(net);
	KUNIT_EXPECT_EQ(test, net->node[0].used, 1);
	KUNIT_EXPECT_EQ(test, net->node[0].line.state, DSM_LINE_M);
	KUNIT_EXPECT_EQ(test, net->node[1].line.state, DSM_LINE_I);
}

/* A copy is dropped while another node's write has an invalidation sent for it. */
static void net_eviction_meets_write_test(struct kunit *test)
{
	struct testnet *net = testnet_create(test, 3, 0);

	testnet_want(net, 0, WANT_WRITE, false);
	testnet_run(net);
	testnet_want(net, 1, WANT_READ, false);
	testnet_run(net);
	testnet_want(net, 2, WANT_READ, false);
	testnet_run(net);
	testnet_hold_over(net, 1);
	testnet_evict(net, 1);
	testnet_revoked(net, 1);
	KUNIT_EXPECT_EQ(test, net->node[1].line.state, DSM_LINE_I);
	testnet_want(net, 2, WANT_WRITE, false);
	testnet_deliver(net, 2, 0, DSM_GET_M);
	/* It has asked for the block anew before it hears the invalidation. */
	testnet_want(net, 1, WANT_READ, false);
	testnet_run(net);
	KUNIT_EXPECT_EQ(test, net->node[1].used, 2);
	KUNIT_EXPECT_EQ(test, net->node[2].used, 2);
}

/* ------------------------------------------------------------------------
 * Chance
 */

static const struct net_param {
	const char *name;
	u16 nodes;
	u16 home;
	unsigned int seeds;
	unsigned int steps;
	unsigned int writes;
} net_params[] = {
	{ "2 nodes, mixed", 2, 0, 100, 1000, 50 },
	{ "3 nodes, mixed", 3, 0, 200, 1000, 50 },
	{ "3 nodes, mostly reads", 3, 2, 100, 1000, 10 },
	{ "3 nodes, writes only", 3, 1, 100, 1000, 100 },
	{ "5 nodes, mixed", 5, 3, 100, 1000, 30 },
	{ "64 nodes, mostly reads", 64, 63, 4, 10000, 5 },
	{ "70 nodes, mostly reads", 70, 65, 4, 10000, 5 },
	{ "130 nodes, mostly reads", 130, 129, 2, 10000, 5 },
};

static void net_param_desc(const struct net_param *param, char *desc)
{
	strscpy(desc, param->name, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(net, net_params, net_param_desc);

static void net_random_test(struct kunit *test)
{
	const struct net_param *param = test->param_value;
	unsigned int used = 0;
	u32 seed;
	u16 id;

	for (seed = 1; seed <= param->seeds; seed++) {
		struct testnet *net = testnet_create(test, param->nodes, param->home);

		testnet_random(net, seed, param->steps, param->writes);
		for (id = 0; id < net->nodes; id++)
			used += net->node[id].used;
	}
	/* Something has happened at all. */
	KUNIT_EXPECT_GT(test, used, param->seeds * param->steps / 100);
}

static struct kunit_case coherence_net_cases[] = {
	KUNIT_CASE(net_zero_block_moves_no_data_test),
	KUNIT_CASE(net_home_alone_test),
	KUNIT_CASE(net_home_answers_alone_test),
	KUNIT_CASE(net_asks_again_before_done_test),
	KUNIT_CASE(net_migrates_test),
	KUNIT_CASE(net_stops_migrating_test),
	KUNIT_CASE(net_migrates_by_home_test),
	KUNIT_CASE(net_does_not_migrate_test),
	KUNIT_CASE(net_read_of_modified_block_test),
	KUNIT_CASE(net_upgrade_carries_no_data_test),
	KUNIT_CASE(net_racing_upgrades_test),
	KUNIT_CASE(net_grant_can_be_used_test),
	KUNIT_CASE(net_eviction_test),
	KUNIT_CASE(net_eviction_while_home_reads_test),
	KUNIT_CASE(net_eviction_meets_write_test),
	KUNIT_CASE_PARAM(net_random_test, net_gen_params),
	{}
};

static struct kunit_suite coherence_net_suite = {
	.name = "dsm_coherence_net",
	.test_cases = coherence_net_cases,
};

kunit_test_suite(coherence_net_suite);

MODULE_DESCRIPTION("KUnit tests of the DSM coherence core, of several nodes");
MODULE_LICENSE("GPL");
