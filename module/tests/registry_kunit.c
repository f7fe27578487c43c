// SPDX-License-Identifier: GPL-2.0
/*
 * The registry, at node 0: which regions there are, and that every node that can be
 * reached has heard before whoever asked goes on.
 */
#include <kunit/test.h>
#include "testnode.h"
#include "../region.h"
#include "../registry.h"

enum {
	NODES	= 3,
	REQ	= 5,		/* of node 1's and node 2's requests */
	CHUNKS	= 4,		/* of a region of testnode_wire()'s */
};

static int registry_init(struct kunit *test)
{
	struct testnode *tn = testnode_create(test, DSM_REGISTRY_NODE, NODES);

	testnode_all_up(tn);
	testnode_acks_stop(tn);
	return 0;
}

static struct dsm_node *node_of(struct kunit *test)
{
	struct testnode *tn = test->priv;

	return tn->node;
}

/* The n-th message since the last time it was looked at what was sent. */
static void expect_sent(struct kunit *test, unsigned int n, u16 to, u8 type)
{
	struct testnode *tn = test->priv;

	KUNIT_ASSERT_GT(test, tn->n_sent, n);
	KUNIT_EXPECT_EQ(test, tn->sent[n].peer, to);
	KUNIT_EXPECT_EQ(test, tn->sent[n].hdr.type, type);
}

static void expect_no_more(struct kunit *test, unsigned int n)
{
	struct testnode *tn = test->priv;

	KUNIT_EXPECT_EQ(test, tn->n_sent, n);
	tn->n_sent = 0;
}

static void expect_reply(struct kunit *test, u16 to, u32 region, u32 error)
{
	struct testnode *tn = test->priv;

	expect_sent(test, 0, to, DSM_REGION_REPLY);
	KUNIT_EXPECT_EQ(test, le32_to_cpu(tn->sent[0].hdr.req), REQ);
	KUNIT_EXPECT_EQ(test, le32_to_cpu(tn->sent[0].hdr.region), region);
	KUNIT_EXPECT_EQ(test, le32_to_cpu(tn->sent[0].hdr.error), error);
	expect_no_more(test, 1);
}

static int ask_wire(struct kunit *test, u16 from, u8 type, const struct dsm_wire_region *wire)
{
	struct dsm_msg msg = {
		.type = type, .req = REQ,
		.body.region = *wire,
		.body_len = sizeof(*wire),
	};

	return testnode_receive(test->priv, from, &msg, false);
}

static int ask(struct kunit *test, u16 from, u8 type, const char *name)
{
	struct dsm_wire_region wire = testnode_wire(name, 0, DSM_HOME_CREATOR);

	return ask_wire(test, from, type, &wire);
}

static int say(struct kunit *test, u16 from, u8 type, u32 region, u32 req)
{
	struct dsm_msg msg = { .type = type, .req = req, .region = region };

	return testnode_receive(test->priv, from, &msg, false);
}

/* Node 1 asks for a region, and gets it. */
static u32 create(struct kunit *test, const char *name)
{
	struct testnode *tn = test->priv;
	u32 id;

	KUNIT_ASSERT_EQ(test, ask(test, 1, DSM_REGION_CREATE, name), 0);
	expect_sent(test, 0, 1, DSM_REGION_NEW);
	expect_sent(test, 1, 2, DSM_REGION_NEW);
	id = le32_to_cpu(tn->sent[0].hdr.region);
	expect_no_more(test, 2);
	KUNIT_ASSERT_EQ(test, say(test, 1, DSM_REGION_NEW_ACK, id, 0), 0);
	expect_no_more(test, 0);
	KUNIT_ASSERT_EQ(test, say(test, 2, DSM_REGION_NEW_ACK, id, 0), 0);
	expect_reply(test, 1, id, 0);
	return id;
}

/* Node 2 unlinks it; everybody is told, and nobody has let go of it yet. */
static void unlink_region(struct kunit *test, const char *name, u32 id)
{
	KUNIT_ASSERT_EQ(test, ask(test, 2, DSM_REGION_UNLINK, name), 0);
	expect_sent(test, 0, 1, DSM_REGION_GONE);
	expect_sent(test, 1, 2, DSM_REGION_GONE);
	expect_no_more(test, 2);
	KUNIT_ASSERT_EQ(test, say(test, 1, DSM_REGION_GONE_ACK, id, 0), 0);
	KUNIT_ASSERT_EQ(test, say(test, 2, DSM_REGION_GONE_ACK, id, 0), 0);
	expect_reply(test, 2, id, 0);
}

static u64 base_of(struct kunit *test, u32 id)
{
	struct dsm_region *region = xa_load(&node_of(test)->regions, id);

	KUNIT_ASSERT_NOT_NULL(test, region);
	return region->base;
}

static void create_test(struct kunit *test)
{
	struct testnode *tn = test->priv;
	struct dsm_wire_region *wire = (struct dsm_wire_region *)tn->sent[1].body;
	struct dsm_region *region;
	u32 id = create(test, "one");

	/* What nodes are told is still there to be looked at. */
	KUNIT_EXPECT_STREQ(test, wire->name, "one");
	KUNIT_EXPECT_EQ(test, le64_to_cpu(wire->base), DSM_ADDR_MIN);
	KUNIT_EXPECT_EQ(test, le32_to_cpu(wire->creator), 1);
	KUNIT_ASSERT_EQ(test, dsm_registry_open(tn->node, "one", false, &region), 0);
	KUNIT_EXPECT_EQ(test, region->id, id);
	dsm_region_put_user(region);
	/* Once more, and of one that there is not. */
	KUNIT_EXPECT_EQ(test, say(test, 1, DSM_REGION_NEW_ACK, id, 0), 0);
	KUNIT_EXPECT_EQ(test, say(test, 1, DSM_REGION_GONE_ACK, id, 0), 0);
	KUNIT_EXPECT_EQ(test, say(test, 1, DSM_REGION_NEW_ACK, id + 1, 0), 0);
	expect_no_more(test, 0);
}

/* There is an end to the regions that other nodes can have made. */
static void regions_max_test(struct kunit *test)
{
	struct dsm_node *node = node_of(test);

	atomic_add(DSM_REGIONS_MAX, &node->n_regions);
	KUNIT_EXPECT_EQ(test, ask(test, 2, DSM_REGION_CREATE, "one"), 0);
	expect_reply(test, 2, 0, ENOSPC);
	atomic_sub(DSM_REGIONS_MAX, &node->n_regions);
	create(test, "one");
}

static void refused_test(struct kunit *test)
{
	struct dsm_wire_region wire = testnode_wire("two", 0, DSM_HOME_CREATOR);

	create(test, "one");
	KUNIT_EXPECT_EQ(test, ask(test, 2, DSM_REGION_CREATE, "one"), 0);
	expect_reply(test, 2, 0, EEXIST);
	KUNIT_EXPECT_EQ(test, ask(test, 2, DSM_REGION_UNLINK, "two"), 0);
	expect_reply(test, 2, 0, ENOENT);
	wire.block_size = cpu_to_le32(3 * PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, ask_wire(test, 2, DSM_REGION_CREATE, &wire), 0);
	expect_reply(test, 2, 0, EBADMSG);
	wire.size = cpu_to_le64(DSM_ADDR_MAX - DSM_ADDR_MIN);
	KUNIT_EXPECT_EQ(test, ask_wire(test, 2, DSM_REGION_CREATE, &wire), 0);
	expect_reply(test, 2, 0, ENOSPC);
	KUNIT_EXPECT_EQ(test, ask(test, 2, DSM_REGION_CREATE, "/"), -EBADMSG);
	KUNIT_EXPECT_EQ(test, ask(test, 2, DSM_REGION_UNLINK, "/"), -EBADMSG);
	/* We may have taken it for one that has lost its memory, and have freed that one. */
	KUNIT_EXPECT_EQ(test, say(test, 1, DSM_REGION_IDLE, 1, 0), 0);
	/* It is we who say these. */
	KUNIT_EXPECT_EQ(test, ask(test, 1, DSM_REGION_NEW, "two"), -EPROTO);
	KUNIT_EXPECT_EQ(test, say(test, 1, DSM_REGION_GONE, 1, 0), -EPROTO);
	KUNIT_EXPECT_EQ(test, say(test, 1, DSM_REGION_FREE, 1, 0), -EPROTO);
	KUNIT_EXPECT_EQ(test, say(test, 1, DSM_REGION_REPLY, 1, REQ), -EPROTO);
	expect_no_more(test, 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&node_of(test)->n_regions), 1);
}

/* Whatever cannot be allocated: who asked is told, and may ask again. */
static void no_memory_test(struct kunit *test)
{
	struct testnode *tn = test->priv;
	unsigned int nth;
	u32 id;

	for (nth = 1;; nth++) {
		testmem_fail(nth, 1);
		KUNIT_ASSERT_EQ(test, ask(test, 1, DSM_REGION_CREATE, "one"), 0);
		testmem_fail(0, 0);
		KUNIT_ASSERT_GT(test, tn->n_sent, 0);
		if (tn->sent[0].hdr.type == DSM_REGION_NEW)
			break;
		expect_reply(test, 1, 0, ENOMEM);
		KUNIT_EXPECT_EQ(test, atomic_read(&tn->node->n_regions), 0);
	}
	KUNIT_EXPECT_GE(test, nth, 5);
	id = le32_to_cpu(tn->sent[0].hdr.region);
	expect_no_more(test, 2);
	say(test, 1, DSM_REGION_NEW_ACK, id, 0);
	say(test, 2, DSM_REGION_NEW_ACK, id, 0);
	expect_reply(test, 1, id, 0);
	testmem_fail(1, 1);
	KUNIT_EXPECT_EQ(test, ask(test, 2, DSM_REGION_UNLINK, "one"), 0);
	testmem_fail(0, 0);
	expect_reply(test, 2, 0, ENOMEM);
	unlink_region(test, "one", id);
}

/* The lowest address that is free. */
static void place_test(struct kunit *test)
{
	u32 a = create(test, "a"), b = create(test, "b"), c = create(test, "c"), d;
	u16 from;

	KUNIT_EXPECT_EQ(test, base_of(test, a), DSM_ADDR_MIN);
	KUNIT_EXPECT_EQ(test, base_of(test, b), DSM_ADDR_MIN + CHUNKS * DSM_CHUNK_SIZE);
	KUNIT_EXPECT_EQ(test, base_of(test, c), DSM_ADDR_MIN + 2 * CHUNKS * DSM_CHUNK_SIZE);
	unlink_region(test, "b", b);
	/* Its name is free, its place is not. */
	d = create(test, "b");
	KUNIT_EXPECT_EQ(test, base_of(test, d), DSM_ADDR_MIN + 3 * CHUNKS * DSM_CHUNK_SIZE);
	for (from = 1; from < NODES; from++)
		KUNIT_EXPECT_EQ(test, say(test, from, DSM_REGION_IDLE, b, 1), 0);
	expect_no_more(test, 2);
	KUNIT_EXPECT_EQ(test, base_of(test, create(test, "e")),
			DSM_ADDR_MIN + CHUNKS * DSM_CHUNK_SIZE);
}

/* A region is free when nobody uses it, us included. */
static void free_test(struct kunit *test)
{
	u32 id = create(test, "one");
	struct dsm_region *region;

	KUNIT_ASSERT_EQ(test, dsm_registry_open(node_of(test), "one", false, &region), 0);
	unlink_region(test, "one", id);
	/* Which is over for some that would like to. */
	KUNIT_EXPECT_EQ(test, say(test, 2, DSM_REGION_USE, id, REQ), 0);
	expect_reply(test, 2, id, ENOENT);
	KUNIT_EXPECT_EQ(test, say(test, 1, DSM_REGION_IDLE, id, 2), 0);
	KUNIT_EXPECT_EQ(test, say(test, 1, DSM_REGION_IDLE, id, 1), 0);
	KUNIT_EXPECT_EQ(test, say(test, 2, DSM_REGION_IDLE, id, 1), 0);
	expect_no_more(test, 0);
	dsm_region_put_user(region);
	expect_sent(test, 0, 1, DSM_REGION_FREE);
	expect_sent(test, 1, 2, DSM_REGION_FREE);
	expect_no_more(test, 2);
	KUNIT_EXPECT_EQ(test, atomic_read(&node_of(test)->n_regions), 0);
	KUNIT_EXPECT_EQ(test, say(test, 1, DSM_REGION_IDLE, id, 1), 0);
	KUNIT_EXPECT_EQ(test, say(test, 1, DSM_REGION_USE, id, REQ), 0);
	expect_reply(test, 1, id, ENOENT);
}

/* Grants are counted: one and an IDLE may cross. */
static void grants_test(struct kunit *test)
{
	u32 id = create(test, "one");
	int i;

	for (i = 0; i < 2; i++) {
		KUNIT_EXPECT_EQ(test, say(test, 2, DSM_REGION_USE, id, REQ), 0);
		expect_reply(test, 2, id, 0);
	}
	KUNIT_EXPECT_EQ(test, say(test, 2, DSM_REGION_IDLE, id, 1), 0);
	unlink_region(test, "one", id);
	KUNIT_EXPECT_EQ(test, say(test, 1, DSM_REGION_IDLE, id, 1), 0);
	expect_no_more(test, 0);
	KUNIT_EXPECT_EQ(test, say(test, 2, DSM_REGION_IDLE, id, 1), 0);
	expect_sent(test, 0, 1, DSM_REGION_FREE);
	expect_sent(test, 1, 2, DSM_REGION_FREE);
	expect_no_more(test, 2);
}

/* A node that is down, and has not heard of a region, need not hear what became of it. */
static void unheard_test(struct kunit *test)
{
	struct testnode *tn = test->priv;
	struct dsm_peer *peer = tn->node->peers[2];
	unsigned int i;
	u32 id;

	dsm_peer_down(peer);
	for (i = 0; i < 3; i++) {
		KUNIT_ASSERT_EQ(test, ask(test, 1, DSM_REGION_CREATE, "one"), 0);
		expect_sent(test, 0, 1, DSM_REGION_NEW);
		id = le32_to_cpu(tn->sent[0].hdr.region);
		expect_no_more(test, 1);
		KUNIT_EXPECT_EQ(test, say(test, 1, DSM_REGION_NEW_ACK, id, 0), 0);
		expect_reply(test, 1, id, 0);
		KUNIT_ASSERT_EQ(test, ask(test, 1, DSM_REGION_UNLINK, "one"), 0);
		expect_no_more(test, 1);
		KUNIT_EXPECT_EQ(test, say(test, 1, DSM_REGION_GONE_ACK, id, 0), 0);
		expect_reply(test, 1, id, 0);
		KUNIT_EXPECT_EQ(test, peer->n_queue, 2);
		KUNIT_EXPECT_EQ(test, say(test, 1, DSM_REGION_IDLE, id, 1), 0);
		expect_sent(test, 0, 1, DSM_REGION_FREE);
		expect_no_more(test, 1);
		KUNIT_EXPECT_EQ(test, peer->n_queue, 0);
		KUNIT_EXPECT_EQ(test, peer->tx_seq, peer->sent_seq);
	}
	KUNIT_EXPECT_EQ(test, atomic_read(&tn->node->n_regions), 0);
	KUNIT_ASSERT_EQ(test, dsm_peer_up(peer, TESTNODE_INCARNATION, TESTNODE_SESSION), 0);
	expect_no_more(test, 0);
}

/* Nobody waits for a node that is down; it hears when it is up. */
static void down_test(struct kunit *test)
{
	struct testnode *tn = test->priv;
	struct dsm_peer *peer = tn->node->peers[2];
	u32 id;

	dsm_peer_down(peer);
	KUNIT_ASSERT_EQ(test, ask(test, 1, DSM_REGION_CREATE, "one"), 0);
	expect_sent(test, 0, 1, DSM_REGION_NEW);
	id = le32_to_cpu(tn->sent[0].hdr.region);
	expect_no_more(test, 1);
	KUNIT_EXPECT_EQ(test, say(test, 1, DSM_REGION_NEW_ACK, id, 0), 0);
	expect_reply(test, 1, id, 0);
	KUNIT_ASSERT_EQ(test, dsm_peer_up(peer, TESTNODE_INCARNATION, TESTNODE_SESSION), 0);
	expect_sent(test, 0, 2, DSM_REGION_NEW);
	expect_no_more(test, 1);

	/* It goes while it is waited for. */
	KUNIT_ASSERT_EQ(test, ask(test, 1, DSM_REGION_UNLINK, "one"), 0);
	KUNIT_EXPECT_EQ(test, say(test, 1, DSM_REGION_GONE_ACK, id, 0), 0);
	expect_no_more(test, 2);
	dsm_peer_down(peer);
	expect_reply(test, 1, id, 0);
	/* It does not use the region, which would keep that from being freed. */
	KUNIT_EXPECT_EQ(test, say(test, 1, DSM_REGION_IDLE, id, 1), 0);
	expect_sent(test, 0, 1, DSM_REGION_FREE);
	expect_no_more(test, 1);
	KUNIT_EXPECT_EQ(test, atomic_read(&tn->node->n_regions), 0);
	KUNIT_ASSERT_EQ(test, dsm_peer_up(peer, TESTNODE_INCARNATION, TESTNODE_SESSION), 0);
	expect_sent(test, 0, 2, DSM_REGION_NEW);
	expect_sent(test, 1, 2, DSM_REGION_GONE);
	expect_sent(test, 2, 2, DSM_REGION_FREE);
	expect_no_more(test, 3);
}

/* Who has lost its memory uses nothing, whether it lost it before or after. */
static void stale_test(struct kunit *test)
{
	struct testnode *tn = test->priv;
	struct dsm_peer *peer = tn->node->peers[2];
	u32 one = create(test, "one"), two = create(test, "two");

	KUNIT_EXPECT_EQ(test, say(test, 2, DSM_REGION_USE, one, REQ), 0);
	expect_reply(test, 2, one, 0);
	unlink_region(test, "one", one);
	KUNIT_EXPECT_EQ(test, say(test, 1, DSM_REGION_IDLE, one, 1), 0);
	expect_no_more(test, 0);
	KUNIT_EXPECT_EQ(test, dsm_peer_up(peer, TESTNODE_INCARNATION + 1, TESTNODE_SESSION + 1), -ESTALE);
	expect_sent(test, 0, 1, DSM_REGION_FREE);
	expect_no_more(test, 1);

	KUNIT_ASSERT_EQ(test, ask(test, 1, DSM_REGION_UNLINK, "two"), 0);
	expect_sent(test, 0, 1, DSM_REGION_GONE);
	expect_no_more(test, 1);
	KUNIT_EXPECT_EQ(test, say(test, 1, DSM_REGION_GONE_ACK, two, 0), 0);
	expect_reply(test, 1, two, 0);
	KUNIT_EXPECT_EQ(test, say(test, 1, DSM_REGION_IDLE, two, 1), 0);
	expect_sent(test, 0, 1, DSM_REGION_FREE);
	expect_no_more(test, 1);
	KUNIT_EXPECT_EQ(test, atomic_read(&tn->node->n_regions), 0);
	KUNIT_EXPECT_EQ(test, dsm_peer_up(peer, TESTNODE_INCARNATION + 1, TESTNODE_SESSION + 1), 0);
	expect_no_more(test, 0);
}

/* A registry's numbers begin where its incarnation says, whatever the clock does. */
static void restart_test(struct kunit *test)
{
	u32 first = create(test, "one"), second;

	KUNIT_EXPECT_EQ(test, first, (u32)(node_of(test)->incarnation >> 33) + 1);
	KUNIT_EXPECT_EQ(test, create(test, "two"), first + 1);
	testnode_destroy(test);
	registry_init(test);
	second = create(test, "one");
	KUNIT_EXPECT_EQ(test, second, (u32)(node_of(test)->incarnation >> 33) + 1);
	KUNIT_EXPECT_NE(test, second, first);
}

/* Who asks for a region is told after its announcement, whether there is one or not. */
static void asked_test(struct kunit *test)
{
	struct testnode *tn = test->priv;
	u32 id = create(test, "one");

	KUNIT_EXPECT_EQ(test, say(test, 2, DSM_REGION_ASK, id, 0), 0);
	expect_sent(test, 0, 2, DSM_REGION_TOLD);
	KUNIT_EXPECT_EQ(test, le32_to_cpu(tn->sent[0].hdr.region), id);
	expect_no_more(test, 1);
	KUNIT_EXPECT_EQ(test, say(test, 2, DSM_REGION_ASK, id + 1, 0), 0);
	expect_sent(test, 0, 2, DSM_REGION_TOLD);
	expect_no_more(test, 1);
	testmem_fail(1, 1);
	KUNIT_EXPECT_EQ(test, say(test, 2, DSM_REGION_ASK, id, 0), -EAGAIN);
	KUNIT_EXPECT_EQ(test, say(test, 2, DSM_REGION_TOLD, id, 0), -EPROTO);
	/* It knows all there is: what is about no region of its own is of no use. */
	KUNIT_EXPECT_EQ(test, say(test, 2, DSM_CLAIM, id + 1, 0), 0);
	KUNIT_EXPECT_EQ(test, tn->node->peers[2]->park.n, 0);
	expect_no_more(test, 0);
}

static void caller_test(struct kunit *test)
{
	struct dsm_region_arg arg = {
		.name = "one", .size = PAGE_SIZE, .block_size = PAGE_SIZE,
		.home = DSM_HOME_INTERLEAVED, .mode = 0600,
	};
	struct dsm_node *node = node_of(test);
	struct dsm_region *region, *other;

	dsm_peers_down(node);
	testmem_fail(1, 1);
	KUNIT_EXPECT_EQ(test, dsm_registry_create_region(node, &arg, &region), -ENOMEM);
	KUNIT_ASSERT_EQ(test, dsm_registry_create_region(node, &arg, &region), 0);
	KUNIT_EXPECT_STREQ(test, region->name, "one");
	KUNIT_EXPECT_EQ(test, atomic_read(&region->users), 1);
	KUNIT_EXPECT_EQ(test, dsm_registry_create_region(node, &arg, &other), -EEXIST);
	KUNIT_EXPECT_EQ(test, dsm_registry_unlink(node, "two"), -ENOENT);
	testmem_fail(1, 1);
	KUNIT_EXPECT_EQ(test, dsm_registry_unlink(node, "one"), -ENOMEM);
	KUNIT_EXPECT_EQ(test, dsm_registry_unlink(node, "one"), 0);
	KUNIT_EXPECT_EQ(test, dsm_registry_unlink(node, "one"), -ENOENT);
	dsm_region_put_user(region);

	/* Somebody is up, and does not answer. */
	testnode_all_up(test->priv);
	node->timeout_ms = 1;
	KUNIT_EXPECT_EQ(test, dsm_registry_create_region(node, &arg, &region), -ETIMEDOUT);
}

static struct kunit_case registry_cases[] = {
	KUNIT_CASE(create_test),
	KUNIT_CASE(regions_max_test),
	KUNIT_CASE(refused_test),
	KUNIT_CASE(no_memory_test),
	KUNIT_CASE(place_test),
	KUNIT_CASE(free_test),
	KUNIT_CASE(grants_test),
	KUNIT_CASE(unheard_test),
	KUNIT_CASE(down_test),
	KUNIT_CASE(stale_test),
	KUNIT_CASE(restart_test),
	KUNIT_CASE(asked_test),
	KUNIT_CASE(caller_test),
	{}
};

static struct kunit_suite registry_suite = {
	.name = "dsm_registry",
	.suite_init = testnode_suite_init,
	.suite_exit = testnode_suite_exit,
	.init = registry_init,
	.exit = testnode_destroy,
	.test_cases = registry_cases,
};

kunit_test_suite(registry_suite);
