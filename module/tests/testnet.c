// SPDX-License-Identifier: GPL-2.0
/*
 * A network of nodes that have one block, for tests of the coherence core.
 *
 * Each message waits until the test, or chance, delivers it; those between two
 * nodes stay in order. The same goes for the caller's part of the protocol:
 * taking access away, and the end of a hold. The bytes of the block are one
 * number, and each write makes it the next: whoever may read must see the last
 * one, at any time. That is checked after every event.
 */
#include <linux/prandom.h>
#include "testnet.h"

struct testnet_msg {
	struct list_head list;
	struct dsm_coh_msg coh;
	u64 value;
};

/* Behind the sharers there is nothing for the core. */
#define CANARY 0x0123456789abcdefULL

static unsigned int sharer_words(const struct testnet *net)
{
	return DIV_ROUND_UP(net->nodes, 64);
}

struct testnet *testnet_create(struct kunit *test, u16 nodes, u16 home)
{
	struct testnet *net = kunit_kzalloc(test, sizeof(*net), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, net);
	net->test = test;
	net->nodes = nodes;
	net->home = home;
	net->node = kunit_kcalloc(test, nodes, sizeof(*net->node), GFP_KERNEL);
	net->dir.sharers = kunit_kcalloc(test, sharer_words(net) + 1, sizeof(u64), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, net->node);
	KUNIT_ASSERT_NOT_NULL(test, net->dir.sharers);
	net->dir.sharers[sharer_words(net)] = CANARY;
	INIT_LIST_HEAD(&net->flight);
	INIT_LIST_HEAD(&net->waiting);
	return net;
}

/* ------------------------------------------------------------------------
 * Invariants
 */

/* May a thread read now? Until access has been taken away it can. */
static bool can_read(const struct testnet_node *node)
{
	return dsm_line_readable(&node->line) ||
	       (node->revoke && node->line.state != DSM_LINE_II_R);
}

static bool can_write(const struct testnet_node *node)
{
	return dsm_line_writable(&node->line) ||
	       (node->revoke && (node->line.state == DSM_LINE_MI_R ||
				 node->line.state == DSM_LINE_MS_R));
}

static void check(struct testnet *net)
{
	unsigned int readers = 0, writers = 0;
	u16 id;

	for (id = 0; id < net->nodes; id++) {
		struct testnet_node *node = &net->node[id];

		if (!can_read(node))
			continue;
		readers++;
		writers += can_write(node);
		KUNIT_ASSERT_EQ_MSG(net->test, node->value, net->last,
				    "node %u may read what is not the last value", id);
	}
	KUNIT_ASSERT_LE_MSG(net->test, writers, 1, "two writers");
	if (writers)
		KUNIT_ASSERT_EQ_MSG(net->test, readers, 1, "a writer and a reader");
}

/* ------------------------------------------------------------------------
 * Events
 */

/**
 * struct happening - an event of a node, while what follows from it is done
 * @engine: the engine of the node's copy
 * @net: the network
 * @node: the node
 * @left: reserved messages that have not been used
 */
struct happening {
	struct dsm_engine engine;
	struct testnet *net;
	struct testnet_node *node;
	unsigned int left;
};

static struct happening *happening_of(struct dsm_engine *engine)
{
	return container_of(engine, struct happening, engine);
}

/* Use a reserved message. */
static void add(struct happening *h, const struct dsm_coh_msg *coh, struct list_head *list)
{
	struct testnet *net = h->net;
	struct testnet_msg *msg = kunit_kzalloc(net->test, sizeof(*msg), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(net->test, msg);
	KUNIT_ASSERT_TRUE_MSG(net->test, h->left, "too few messages were reserved");
	h->left--;
	msg->coh = *coh;
	msg->value = net->node[coh->from].value;
	list_add_tail(&msg->list, list);
}

static void send(struct dsm_engine *engine, const struct dsm_coh_msg *coh)
{
	struct happening *h = happening_of(engine);

	KUNIT_ASSERT_LT(h->net->test, coh->to, h->net->nodes);
	add(h, coh, &h->net->flight);
	h->net->sent++;
}

static void keep(struct dsm_engine *engine, const struct dsm_coh_msg *coh)
{
	struct happening *h = happening_of(engine);

	add(h, coh, &h->net->waiting);
}

static bool next(struct dsm_engine *engine, struct dsm_coh_msg *coh)
{
	struct happening *h = happening_of(engine);
	struct testnet_msg *msg;

	msg = list_first_entry_or_null(&h->net->waiting, struct testnet_msg, list);
	if (!msg)
		return false;
	list_del(&msg->list);
	*coh = msg->coh;
	kunit_kfree(h->net->test, msg);
	h->left++;
	return true;
}

static bool kept(struct dsm_engine *engine, u16 from, u8 type)
{
	struct testnet_msg *msg;

	list_for_each_entry(msg, &happening_of(engine)->net->waiting, list)
		if (msg->coh.from == from && msg->coh.type == type)
			return true;
	return false;
}

static void revoke(struct dsm_engine *engine, u8 how)
{
	struct happening *h = happening_of(engine);

	KUNIT_ASSERT_EQ(h->net->test, h->node->revoke, 0);
	h->node->revoke = how;
}

static bool hold(struct dsm_engine *engine)
{
	struct happening *h = happening_of(engine);

	KUNIT_ASSERT_FALSE(h->net->test, h->node->hold);
	h->node->hold = true;
	return true;
}

static void wake(struct dsm_engine *engine, bool held)
{
}

static void decided(struct dsm_engine *engine, const struct dsm_event *ev,
		    enum dsm_coh_result result)
{
	struct testnet *net = happening_of(engine)->net;

	KUNIT_ASSERT_EQ_MSG(net->test, (int)result, DSM_COH_OK,
			    "node %u: event %u, message %u, line %u, directory %u",
			    engine->coh.self, ev->type, ev->msg.type, engine->coh.line->state,
			    net->dir.state);
	KUNIT_ASSERT_LE(net->test, engine->coh.n_actions, DSM_ACTIONS_MAX);
	check(net);
}

static const struct dsm_engine_ops ops = {
	.send = send, .keep = keep, .next = next, .kept = kept, .revoke = revoke,
	.hold = hold, .wake = wake, .decided = decided,
};

static void feed(struct testnet *net, u16 id, const struct dsm_event *first)
{
	struct happening h = {
		.engine = {
			.coh = {
				.self = id,
				.home = net->home,
				.nodes = net->nodes,
				.line = &net->node[id].line,
				.dir = id == net->home ? &net->dir : NULL,
			},
			.ops = &ops,
			.writes_kept = &net->writes_kept,
		},
		.net = net,
		.node = &net->node[id],
	};
	struct dsm_event ev = *first;

	do {
		h.left = dsm_engine_needs(&h.engine, &ev).messages;
		KUNIT_ASSERT_EQ_MSG(net->test, (int)dsm_engine_step(&h.engine, &ev), DSM_COH_OK,
				    "node %u refuses an event", id);
		ev.req = ++net->next_req;
	} while (dsm_engine_follow(&h.engine, &ev));
}

/* The thread of a node wants access; or somebody expects that it will. */
void testnet_want(struct testnet *net, u16 id, enum testnet_want want, bool prefetch)
{
	struct dsm_event ev = {
		.type = want == WANT_WRITE ? DSM_EV_WRITE : DSM_EV_READ,
		.prefetch = prefetch,
		.req = ++net->next_req,
	};

	if (!prefetch)
		net->node[id].want = want;
	feed(net, id, &ev);
}

void testnet_evict(struct testnet *net, u16 id)
{
	struct dsm_event ev = { .type = DSM_EV_EVICT, .req = ++net->next_req };

	feed(net, id, &ev);
}

void testnet_revoked(struct testnet *net, u16 id)
{
	struct dsm_event ev = { .type = DSM_EV_REVOKED };

	KUNIT_ASSERT_NE(net->test, net->node[id].revoke, 0);
	net->node[id].revoke = 0;
	feed(net, id, &ev);
}

void testnet_hold_over(struct testnet *net, u16 id)
{
	struct dsm_event ev = { .type = DSM_EV_HOLD_OVER };

	net->node[id].hold = false;
	feed(net, id, &ev);
}

/* The thread has its access, if its node has. */
bool testnet_use(struct testnet *net, u16 id)
{
	struct testnet_node *node = &net->node[id];

	switch ((enum testnet_want)node->want) {
	case WANT_NOTHING:
		return false;
	case WANT_READ:
		if (!dsm_line_readable(&node->line))
			return false;
		KUNIT_ASSERT_EQ(net->test, node->value, net->last);
		break;
	case WANT_WRITE:
		if (!dsm_line_writable(&node->line))
			return false;
		node->value = ++net->last;
		break;
	}
	node->want = WANT_NOTHING;
	node->used++;
	check(net);
	return true;
}

static void deliver(struct testnet *net, struct testnet_msg *msg)
{
	struct dsm_event ev = { .type = DSM_EV_MSG, .msg = msg->coh };
	struct testnet_node *node = &net->node[msg->coh.to];

	list_del(&msg->list);
	if (msg->coh.type == DSM_DATA)
		node->value = msg->value;
	else if (msg->coh.type == DSM_GRANT && (msg->coh.flags & DSM_WIRE_ZERO))
		node->value = 0;
	feed(net, msg->coh.to, &ev);
	kunit_kfree(net->test, msg);
}

/* The oldest message from one node to another, which must be of that type. */
void testnet_deliver(struct testnet *net, u16 from, u16 to, u8 type)
{
	struct testnet_msg *msg;

	list_for_each_entry(msg, &net->flight, list)
		if (msg->coh.from == from && msg->coh.to == to) {
			KUNIT_ASSERT_EQ(net->test, msg->coh.type, type);
			deliver(net, msg);
			return;
		}
	KUNIT_ASSERT_TRUE_MSG(net->test, false, "no message from %u to %u", from, to);
}

/* ------------------------------------------------------------------------
 * Runs
 */

/* What a node's caller has to do next, if anything. */
static bool node_step(struct testnet *net, u16 id)
{
	struct testnet_node *node = &net->node[id];
	u8 state = node->line.state;

	if (testnet_use(net, id))
		return true;
	if (node->revoke) {
		testnet_revoked(net, id);
		return true;
	}
	if (node->hold) {
		testnet_hold_over(net, id);
		return true;
	}
	/* The access was lost before it could be used. */
	if (node->want && (state == DSM_LINE_I || state == DSM_LINE_S)) {
		testnet_want(net, id, node->want, false);
		return true;
	}
	return false;
}

static void check_quiet(struct testnet *net)
{
	u16 id;

	KUNIT_ASSERT_TRUE(net->test, list_empty(&net->waiting));
	KUNIT_ASSERT_EQ(net->test, net->dir.busy, 0);
	KUNIT_ASSERT_EQ(net->test, net->dir.sharers[sharer_words(net)], CANARY);
	for (id = 0; id < net->nodes; id++) {
		struct testnet_node *node = &net->node[id];
		u8 state = node->line.state;
		bool sharer = dsm_sharers_has(net->dir.sharers, id);

		KUNIT_ASSERT_EQ(net->test, node->want, WANT_NOTHING);
		KUNIT_ASSERT_EQ(net->test, node->line.fwd.type, 0);
		if (net->dir.state == DSM_DIR_M)
			KUNIT_ASSERT_EQ(net->test, state,
					id == net->dir.owner ? DSM_LINE_M : DSM_LINE_I);
		else
			KUNIT_ASSERT_EQ(net->test, state, sharer ? DSM_LINE_S : DSM_LINE_I);
	}
	if (net->dir.state == DSM_DIR_S)
		KUNIT_ASSERT_TRUE(net->test, dsm_sharers_has(net->dir.sharers, net->dir.owner));
}

/* Until nothing is left to do: every thread has got what it wanted. */
void testnet_run(struct testnet *net)
{
	unsigned int steps = 0, max = 1000 * net->nodes;
	bool busy = true;
	u16 id;

	while (busy) {
		struct testnet_msg *msg;

		KUNIT_ASSERT_LT_MSG(net->test, steps++, max, "does not come to an end");
		msg = list_first_entry_or_null(&net->flight, struct testnet_msg, list);
		busy = msg;
		if (msg)
			deliver(net, msg);
		for (id = 0; id < net->nodes; id++)
			busy |= node_step(net, id);
	}
	check_quiet(net);
}

/* One that may be delivered next: the first between its two nodes. */
static struct testnet_msg *pick(struct testnet *net, u32 random)
{
	struct testnet_msg *msg, *older;
	unsigned int n = 0;

	list_for_each_entry(msg, &net->flight, list)
		n++;
	if (!n)
		return NULL;
	n = random % n;
	list_for_each_entry(msg, &net->flight, list)
		if (!n--)
			break;
	list_for_each_entry(older, &net->flight, list)
		if (older->coh.from == msg->coh.from && older->coh.to == msg->coh.to)
			return older;
	return msg;
}

/**
 * testnet_random() - let anything happen that can
 * @net: the network
 * @seed: of chance
 * @steps: how long
 * @writes: how many of a hundred accesses write
 *
 * Ends with testnet_run().
 */
void testnet_random(struct testnet *net, u32 seed, unsigned int steps, unsigned int writes)
{
	struct rnd_state rnd;

	prandom_seed_state(&rnd, seed);
	while (steps--) {
		u16 id = prandom_u32_state(&rnd) % net->nodes;
		struct testnet_node *node = &net->node[id];
		struct testnet_msg *msg;
		u8 want = prandom_u32_state(&rnd) % 100 < writes ? WANT_WRITE : WANT_READ;

		switch (prandom_u32_state(&rnd) % 16) {
		case 0:
			if (!node->want)
				testnet_want(net, id, want, false);
			break;
		case 1:
			if (!(prandom_u32_state(&rnd) % 4))
				testnet_want(net, id, want, true);
			break;
		case 2:
			if (!(prandom_u32_state(&rnd) % 4))
				testnet_evict(net, id);
			break;
		case 3:
		case 4:
			node_step(net, id);
			break;
		case 5:
			testnet_use(net, id);
			break;
		case 6:
			if (node->revoke)
				testnet_revoked(net, id);
			break;
		case 7:
			/* Also when nobody asked for it: the thread was quick. */
			testnet_hold_over(net, id);
			break;
		default:
			msg = pick(net, prandom_u32_state(&rnd));
			if (msg)
				deliver(net, msg);
		}
	}
	testnet_run(net);
}
