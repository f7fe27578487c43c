// SPDX-License-Identifier: GPL-2.0
/*
 * The engine: what it does at a home with the requests that are kept, and what it says
 * that follows. That the protocol is right around it, coherence_net_kunit.c tests.
 */
#include <kunit/test.h>
#include <linux/kernel.h>
#include <linux/string.h>
#include "../engine.h"

enum {
	HOME	= 0,
	NODES	= 5,
	SENT	= 16,
	KEPT	= 8,
};

/**
 * struct home - a block's home, with operations that only take notes
 * @engine: the engine
 * @line: the home's own copy
 * @dir: its entry
 * @sharers: the entry's sharers
 * @writes_kept: the engine's count
 * @sent: what was sent by the last step
 * @n_sent: how much that is
 * @queue: the requests that are kept, the oldest first
 * @n_queue: how many
 * @hold: what to say of a hold
 * @revoked: what was to be revoked
 * @wakes: so many wake-ups
 */
struct home {
	struct dsm_engine engine;
	struct dsm_line line;
	struct dsm_dir dir;
	u64 sharers;
	u32 writes_kept;
	struct dsm_coh_msg sent[SENT];
	unsigned int n_sent;
	struct dsm_coh_msg queue[KEPT];
	unsigned int n_queue;
	bool hold;
	u8 revoked;
	unsigned int wakes;
};

static struct home *home_of(struct dsm_engine *engine)
{
	return container_of(engine, struct home, engine);
}

static void note_send(struct dsm_engine *engine, const struct dsm_coh_msg *msg)
{
	struct home *home = home_of(engine);

	if (home->n_sent < SENT)
		home->sent[home->n_sent++] = *msg;
}

static void note_keep(struct dsm_engine *engine, const struct dsm_coh_msg *msg)
{
	struct home *home = home_of(engine);

	if (home->n_queue < KEPT)
		home->queue[home->n_queue++] = *msg;
}

static bool note_next(struct dsm_engine *engine, struct dsm_coh_msg *msg)
{
	struct home *home = home_of(engine);

	if (!home->n_queue)
		return false;
	*msg = home->queue[0];
	memmove(&home->queue[0], &home->queue[1], --home->n_queue * sizeof(home->queue[0]));
	return true;
}

static bool note_kept(struct dsm_engine *engine, u16 from, u8 type)
{
	struct home *home = home_of(engine);
	unsigned int i;

	for (i = 0; i < home->n_queue; i++)
		if (home->queue[i].from == from && home->queue[i].type == type)
			return true;
	return false;
}

static void note_revoke(struct dsm_engine *engine, u8 how)
{
	home_of(engine)->revoked = how;
}

static bool note_hold(struct dsm_engine *engine)
{
	return home_of(engine)->hold;
}

static void note_wake(struct dsm_engine *engine, bool held)
{
	home_of(engine)->wakes++;
}

static const struct dsm_engine_ops ops = {
	.send = note_send, .keep = note_keep, .next = note_next, .kept = note_kept,
	.revoke = note_revoke, .hold = note_hold, .wake = note_wake,
};

static int home_init(struct kunit *test)
{
	struct home *home = kunit_kzalloc(test, sizeof(*home), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, home);
	home->dir.sharers = &home->sharers;
	home->engine = (struct dsm_engine){
		.coh = {
			.self = HOME, .home = HOME, .nodes = NODES,
			.line = &home->line, .dir = &home->dir,
		},
		.ops = &ops,
		.writes_kept = &home->writes_kept,
	};
	home->hold = true;
	test->priv = home;
	return 0;
}

/* A step, of which all the engine said it needs is there, and no more. */
static enum dsm_coh_result step(struct kunit *test, const struct dsm_event *ev)
{
	struct home *home = test->priv;
	unsigned int needs = dsm_engine_needs(&home->engine, ev).messages;
	unsigned int kept = home->n_queue;
	enum dsm_coh_result result;

	home->n_sent = 0;
	home->revoked = 0;
	result = dsm_engine_step(&home->engine, ev);
	/* The storage of a request that is served is a message to be sent. */
	KUNIT_EXPECT_LE(test, home->n_sent + home->n_queue, needs + kept);
	return result;
}

static enum dsm_coh_result message(struct kunit *test, u16 from, u8 type, u32 req, u8 flags)
{
	struct dsm_event ev = {
		.type = DSM_EV_MSG,
		.msg = { .type = type, .from = from, .to = HOME, .req = req, .flags = flags },
	};

	return step(test, &ev);
}

static void expect_sent(struct kunit *test, unsigned int i, u8 type, u16 to, u32 req)
{
	struct home *home = test->priv;

	KUNIT_ASSERT_LT(test, i, home->n_sent);
	KUNIT_EXPECT_EQ(test, home->sent[i].type, type);
	KUNIT_EXPECT_EQ(test, home->sent[i].to, to);
	KUNIT_EXPECT_EQ(test, home->sent[i].req, req);
}

/* Node 1 asks to write to what nobody has, and is being served. */
static void serve_node_1(struct kunit *test)
{
	KUNIT_ASSERT_EQ(test, (int)message(test, 1, DSM_GET_M, 10, 0), DSM_COH_OK);
	expect_sent(test, 0, DSM_GRANT, 1, 10);
	expect_sent(test, 1, DSM_DONE, HOME, 10);
}

static void kept_in_order(struct kunit *test)
{
	struct home *home = test->priv;

	serve_node_1(test);
	KUNIT_EXPECT_EQ(test, (int)message(test, 2, DSM_GET_M, 20, 0), DSM_COH_OK);
	KUNIT_EXPECT_EQ(test, (int)message(test, 3, DSM_GET_S, 30, 0), DSM_COH_OK);
	KUNIT_EXPECT_EQ(test, home->n_queue, 2);
	KUNIT_EXPECT_EQ(test, home->writes_kept, 1);

	/* The first is let in, and only the first. */
	KUNIT_EXPECT_EQ(test, (int)message(test, HOME, DSM_DONE, 10, 0), DSM_COH_OK);
	KUNIT_EXPECT_EQ(test, home->n_sent, 1);
	expect_sent(test, 0, DSM_FWD_GET_M, 1, 20);
	KUNIT_EXPECT_EQ(test, home->n_queue, 1);
	KUNIT_EXPECT_EQ(test, home->writes_kept, 0);

	KUNIT_EXPECT_EQ(test, (int)message(test, 2, DSM_DONE, 20, 0), DSM_COH_OK);
	expect_sent(test, 0, DSM_FWD_GET_S, 2, 30);
	KUNIT_EXPECT_EQ(test, home->n_queue, 0);
}

static void asks_twice(struct kunit *test)
{
	struct home *home = test->priv;

	serve_node_1(test);
	KUNIT_EXPECT_EQ(test, (int)message(test, 2, DSM_GET_M, 20, 0), DSM_COH_OK);
	KUNIT_EXPECT_EQ(test, (int)message(test, 2, DSM_GET_M, 21, 0), DSM_COH_BAD);
	KUNIT_EXPECT_EQ(test, home->n_queue, 1);
	KUNIT_EXPECT_EQ(test, home->queue[0].req, 20);
	KUNIT_EXPECT_EQ(test, home->writes_kept, 1);
	/* Of another type it may have one, and others may have theirs. */
	KUNIT_EXPECT_EQ(test, (int)message(test, 2, DSM_DISCARD, 22, 0), DSM_COH_OK);
	KUNIT_EXPECT_EQ(test, (int)message(test, 3, DSM_GET_M, 30, 0), DSM_COH_OK);
	KUNIT_EXPECT_EQ(test, home->n_queue, 3);
	KUNIT_EXPECT_EQ(test, home->writes_kept, 3);
}

/* Node 1 lies: it asks to read what it is about to have. That is seen when its turn comes. */
static void kept_and_refused(struct kunit *test)
{
	struct home *home = test->priv;

	serve_node_1(test);
	KUNIT_EXPECT_EQ(test, (int)message(test, 1, DSM_GET_S, 11, 0), DSM_COH_OK);
	KUNIT_EXPECT_EQ(test, (int)message(test, 2, DSM_GET_M, 20, 0), DSM_COH_OK);
	KUNIT_EXPECT_EQ(test, (int)message(test, HOME, DSM_DONE, 10, 0), DSM_COH_OK);
	KUNIT_EXPECT_EQ(test, home->n_sent, 1);
	expect_sent(test, 0, DSM_FWD_GET_M, 1, 20);
	KUNIT_EXPECT_EQ(test, home->n_queue, 0);
	KUNIT_EXPECT_EQ(test, home->writes_kept, 0);
}

/* The message that lets it in has done nothing wrong. */
static void only_kept_is_refused(struct kunit *test)
{
	struct home *home = test->priv;

	serve_node_1(test);
	KUNIT_EXPECT_EQ(test, (int)message(test, 1, DSM_GET_S, 11, 0), DSM_COH_OK);
	KUNIT_EXPECT_EQ(test, (int)message(test, HOME, DSM_DONE, 10, 0), DSM_COH_OK);
	KUNIT_EXPECT_EQ(test, home->n_sent, 0);
	KUNIT_EXPECT_EQ(test, home->n_queue, 0);
}

static void refused(struct kunit *test)
{
	struct home *home = test->priv;
	struct dsm_event ev;

	serve_node_1(test);
	KUNIT_EXPECT_EQ(test, (int)message(test, 2, DSM_DONE, 10, 0), DSM_COH_BAD);
	KUNIT_EXPECT_EQ(test, home->n_sent, 0);
	KUNIT_EXPECT_FALSE(test, dsm_engine_follow(&home->engine, &ev));
}

/* Sharers are told of a write, except the writer and, of them, the one who supplies. */
static void sharers_told(struct kunit *test)
{
	struct home *home = test->priv;

	home->dir.state = DSM_DIR_S;
	home->dir.owner = 2;
	home->sharers = 1 << 1 | 1 << 2 | 1 << 3;
	KUNIT_EXPECT_EQ(test, (int)message(test, 1, DSM_GET_M, 10, 0), DSM_COH_OK);
	KUNIT_EXPECT_EQ(test, home->n_sent, 3);
	expect_sent(test, 0, DSM_GRANT, 1, 10);
	expect_sent(test, 1, DSM_INV, 2, 10);
	expect_sent(test, 2, DSM_INV, 3, 10);
}

/* A write that was kept is let in by the answer of an owner that leaves; all are told. */
static void sharers_told_after_owner_left(struct kunit *test)
{
	struct home *home = test->priv;

	home->dir.state = DSM_DIR_S;
	home->dir.owner = 4;
	home->sharers = 1 << HOME | 1 << 1 | 1 << 2 | 1 << 3 | 1 << 4;
	KUNIT_ASSERT_EQ(test, (int)message(test, 4, DSM_PUT_M, 40, 0), DSM_COH_OK);
	expect_sent(test, 0, DSM_INV, 4, 40);
	KUNIT_ASSERT_EQ(test, (int)message(test, 1, DSM_GET_M, 10, 0), DSM_COH_OK);
	KUNIT_EXPECT_EQ(test, home->n_queue, 1);
	KUNIT_EXPECT_EQ(test, (int)message(test, 4, DSM_INV_ACK, 40, 0), DSM_COH_OK);
	KUNIT_EXPECT_EQ(test, home->n_sent, 4);
	expect_sent(test, 0, DSM_GRANT, 1, 10);
	expect_sent(test, 1, DSM_INV, HOME, 10);
	expect_sent(test, 2, DSM_INV, 2, 10);
	expect_sent(test, 3, DSM_INV, 3, 10);
}

/* The home takes what the last node that has it wants to be rid of. */
static void pull_follows(struct kunit *test)
{
	struct home *home = test->priv;
	struct dsm_event ev;

	home->dir.state = DSM_DIR_M;
	home->dir.owner = 1;
	KUNIT_EXPECT_EQ(test, (int)message(test, 1, DSM_PUT_M, 10, 0), DSM_COH_OK);
	KUNIT_ASSERT_TRUE(test, dsm_engine_follow(&home->engine, &ev));
	KUNIT_EXPECT_EQ(test, ev.type, DSM_EV_WRITE);
	KUNIT_EXPECT_TRUE(test, ev.prefetch);
	KUNIT_EXPECT_FALSE(test, dsm_engine_follow(&home->engine, &ev));
}

/* The home's own copy was granted to a thread, and is asked for. */
static void give_away(struct kunit *test)
{
	struct home *home = test->priv;

	home->dir = (struct dsm_dir){
		.state = DSM_DIR_M, .owner = HOME, .busy = DSM_GET_M, .requester = 1, .req = 10,
		.sharers = &home->sharers,
	};
	home->line.state = DSM_LINE_M;
	home->line.held = true;
	KUNIT_ASSERT_EQ(test, (int)step(test, &(struct dsm_event){
		.type = DSM_EV_MSG,
		.msg = { .type = DSM_FWD_GET_M, .from = HOME, .to = HOME, .node = 1, .req = 10 },
	}), DSM_COH_OK);
	KUNIT_EXPECT_EQ(test, home->revoked, 0);
}

/* A reader leaves the home its own copy, which it may only read from then on. */
static void write_access_taken(struct kunit *test)
{
	struct home *home = test->priv;

	home->dir = (struct dsm_dir){
		.state = DSM_DIR_M, .owner = HOME, .busy = DSM_GET_S, .requester = 1, .req = 10,
		.sharers = &home->sharers,
	};
	home->line.state = DSM_LINE_M;
	KUNIT_ASSERT_EQ(test, (int)step(test, &(struct dsm_event){
		.type = DSM_EV_MSG,
		.msg = { .type = DSM_FWD_GET_S, .from = HOME, .to = HOME, .node = 1, .req = 10 },
	}), DSM_COH_OK);
	KUNIT_EXPECT_EQ(test, home->revoked, DSM_ACT_CLEAN);
}

static void hold_runs(struct kunit *test)
{
	struct home *home = test->priv;
	struct dsm_event ev;

	give_away(test);
	KUNIT_EXPECT_FALSE(test, dsm_engine_follow(&home->engine, &ev));
}

static void hold_is_over(struct kunit *test)
{
	struct home *home = test->priv;
	struct dsm_event ev;

	home->hold = false;
	give_away(test);
	KUNIT_ASSERT_TRUE(test, dsm_engine_follow(&home->engine, &ev));
	KUNIT_EXPECT_EQ(test, ev.type, DSM_EV_HOLD_OVER);
	KUNIT_EXPECT_TRUE(test, dsm_engine_needs(&home->engine, &ev).hold);
	KUNIT_EXPECT_EQ(test, (int)step(test, &ev), DSM_COH_OK);
	KUNIT_EXPECT_EQ(test, home->revoked, DSM_ACT_REVOKE);
	KUNIT_EXPECT_FALSE(test, dsm_engine_follow(&home->engine, &ev));
}

static struct kunit_case engine_cases[] = {
	KUNIT_CASE(kept_in_order),
	KUNIT_CASE(asks_twice),
	KUNIT_CASE(kept_and_refused),
	KUNIT_CASE(only_kept_is_refused),
	KUNIT_CASE(refused),
	KUNIT_CASE(sharers_told),
	KUNIT_CASE(sharers_told_after_owner_left),
	KUNIT_CASE(pull_follows),
	KUNIT_CASE(write_access_taken),
	KUNIT_CASE(hold_runs),
	KUNIT_CASE(hold_is_over),
	{}
};

static struct kunit_suite engine_suite = {
	.name = "dsm_engine",
	.init = home_init,
	.test_cases = engine_cases,
};

kunit_test_suite(engine_suite);
