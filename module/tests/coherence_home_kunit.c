// SPDX-License-Identifier: GPL-2.0
/*
 * The coherence core at a block's home: what it does with its directory entry.
 */
#include <kunit/test.h>
#include <linux/bitmap.h>
#include <linux/prandom.h>
#include <linux/string.h>
#include "../coherence.h"

enum {
	HOME	= 0,
	NODES	= 200,
	WORDS	= DIV_ROUND_UP(NODES, 64),
};

/**
 * struct home - a home, and what it did at the last event
 * @line: its own copy, which plays no part but where a test says so
 * @dir: the entry
 * @sharers: its storage
 * @coh: the core's
 * @sent: the message of a SEND, type 0 if there was none
 * @done: what it said to itself of a request that it answers alone, type 0 if nothing
 * @inv: to whom SEND_SHARERS went
 * @n_inv: how many these are
 * @inv_msg: what it said
 * @deferred: DEFER
 * @next: NEXT
 * @pull: PULL
 */
struct home {
	struct dsm_line line;
	struct dsm_dir dir;
	u64 sharers[WORDS];
	struct dsm_coh coh;
	struct dsm_coh_msg sent;
	struct dsm_coh_msg done;
	DECLARE_BITMAP(inv, NODES);
	unsigned int n_inv;
	struct dsm_coh_msg inv_msg;
	bool deferred;
	bool next;
	bool pull;
};

static int home_init(struct kunit *test)
{
	struct home *home = kunit_kzalloc(test, sizeof(*home), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, home);
	home->dir.sharers = home->sharers;
	home->coh = (struct dsm_coh){
		.self = HOME, .home = HOME, .nodes = NODES,
		.line = &home->line, .dir = &home->dir,
	};
	test->priv = home;
	return 0;
}

static enum dsm_coh_result take(struct kunit *test, u8 type, u16 from, u32 req)
{
	struct home *home = test->priv;
	struct dsm_event ev = {
		.type = DSM_EV_MSG,
		.msg = { .type = type, .from = from, .to = HOME, .req = req },
	};
	unsigned int max = dsm_coh_sends_max(&home->coh), sends = 0;
	enum dsm_coh_result res;
	u16 id;
	u8 i;

	home->sent.type = 0;
	home->done.type = 0;
	home->inv_msg.type = 0;
	home->n_inv = 0;
	bitmap_zero(home->inv, NODES);
	home->deferred = false;
	home->next = false;
	home->pull = false;
	res = dsm_coh_event(&home->coh, &ev);
	for (i = 0; i < home->coh.n_actions; i++) {
		const struct dsm_action *act = &home->coh.actions[i];

		switch (act->type) {
		case DSM_ACT_SEND:
			sends++;
			if (act->msg.type == DSM_DONE) {
				KUNIT_EXPECT_EQ(test, home->done.type, 0);
				KUNIT_EXPECT_EQ(test, act->msg.to, HOME);
				home->done = act->msg;
				break;
			}
			KUNIT_EXPECT_EQ(test, home->sent.type, 0);
			home->sent = act->msg;
			break;
		case DSM_ACT_SEND_SHARERS:
			home->inv_msg = act->msg;
			for (id = 0; id < NODES; id++)
				if (id != act->skip && id != act->msg.node &&
				    dsm_sharers_has(home->sharers, id))
					__set_bit(id, home->inv);
			home->n_inv = bitmap_weight(home->inv, NODES);
			sends += home->n_inv;
			break;
		case DSM_ACT_DEFER:
			home->deferred = true;
			sends++;	/* takes a message, if not to send it */
			break;
		case DSM_ACT_NEXT:
			home->next = true;
			break;
		case DSM_ACT_PULL:
			home->pull = true;
			break;
		default:
			KUNIT_FAIL(test, "action %u of the home", act->type);
		}
	}
	KUNIT_EXPECT_LE(test, sends, max);
	return res;
}

static void take_ok(struct kunit *test, u8 type, u16 from, u32 req)
{
	KUNIT_ASSERT_EQ(test, (int)take(test, type, from, req), DSM_COH_OK);
}

/* Refused, and all is as it was. */
static void take_bad(struct kunit *test, u8 type, u16 from, u32 req)
{
	struct home *home = test->priv;
	struct dsm_dir dir = home->dir;
	u64 sharers[WORDS];

	memcpy(sharers, home->sharers, sizeof(sharers));
	KUNIT_EXPECT_EQ(test, (int)take(test, type, from, req), DSM_COH_BAD);
	KUNIT_EXPECT_EQ(test, home->coh.n_actions, 0);
	KUNIT_EXPECT_EQ(test, memcmp(&dir, &home->dir, sizeof(dir)), 0);
	KUNIT_EXPECT_EQ(test, memcmp(sharers, home->sharers, sizeof(sharers)), 0);
}

/* The request just taken is answered by the home, or by its copy, and by nobody else. */
static bool alone(const struct home *home, u16 node)
{
	bool forwarded = home->sent.type == DSM_FWD_GET_S || home->sent.type == DSM_FWD_GET_M;

	return node != HOME && !home->sent.acks && (!forwarded || home->sent.to == HOME);
}

/* A request, and what ends it. Its number is always the same. */
static void serve(struct kunit *test, u8 type, u16 node)
{
	struct home *home = test->priv;

	take_ok(test, type, node, 1);
	take_ok(test, DSM_DONE, alone(home, node) ? HOME : node, 1);
}

static void become_writer(struct kunit *test, u16 node)
{
	struct home *home = test->priv;

	serve(test, DSM_GET_M, node);
	KUNIT_ASSERT_EQ(test, home->dir.state, DSM_DIR_M);
	KUNIT_ASSERT_EQ(test, home->dir.owner, node);
}

static void become_sharer(struct kunit *test, u16 node)
{
	struct home *home = test->priv;

	serve(test, DSM_GET_S, node);
	KUNIT_ASSERT_TRUE(test, dsm_sharers_has(home->sharers, node));
}

/* ------------------------------------------------------------------------ */

/* What nobody has is zeroes already. */
static void discard_of_zeroes_test(struct kunit *test)
{
	struct home *home = test->priv;

	take_ok(test, DSM_DISCARD, 5, 11);
	KUNIT_EXPECT_EQ(test, home->sent.type, DSM_DISCARDED);
	KUNIT_EXPECT_EQ(test, home->sent.to, 5);
	KUNIT_EXPECT_EQ(test, home->sent.req, 11);
	KUNIT_EXPECT_TRUE(test, home->next);
	KUNIT_EXPECT_EQ(test, home->dir.busy, 0);
	KUNIT_EXPECT_EQ(test, home->dir.state, DSM_DIR_ZERO);
}

static void discard_takes_from_owner_test(struct kunit *test)
{
	struct home *home = test->priv;

	become_writer(test, 7);
	take_ok(test, DSM_DISCARD, 5, 11);
	KUNIT_EXPECT_EQ(test, home->sent.type, DSM_INV);
	KUNIT_EXPECT_EQ(test, home->sent.flags, DSM_WIRE_ZERO);
	KUNIT_EXPECT_EQ(test, home->sent.to, 7);
	KUNIT_EXPECT_EQ(test, home->sent.node, HOME);
	KUNIT_EXPECT_EQ(test, home->n_inv, 0);
	/* Not before the owner has dropped it, and has said so to this request. */
	take_bad(test, DSM_INV_ACK, 6, 11);
	take_bad(test, DSM_INV_ACK, 7, 12);
	take_bad(test, DSM_DONE, 5, 11);
	take_ok(test, DSM_GET_S, 6, 13);
	KUNIT_EXPECT_TRUE(test, home->deferred);
	take_ok(test, DSM_INV_ACK, 7, 11);
	KUNIT_EXPECT_EQ(test, home->sent.type, DSM_DISCARDED);
	KUNIT_EXPECT_EQ(test, home->sent.to, 5);
	KUNIT_EXPECT_TRUE(test, home->next);
	KUNIT_EXPECT_EQ(test, home->dir.state, DSM_DIR_ZERO);
	take_ok(test, DSM_GET_M, 7, 14);
	KUNIT_EXPECT_EQ(test, home->sent.type, DSM_GRANT);
	KUNIT_EXPECT_EQ(test, home->sent.flags, DSM_WIRE_MODIFIED | DSM_WIRE_ZERO);
}

/* Also from the home, and from who asks. */
static void discard_takes_from_sharers_test(struct kunit *test)
{
	struct home *home = test->priv;

	become_writer(test, 7);
	become_sharer(test, HOME);
	become_sharer(test, 5);
	become_sharer(test, 66);
	take_ok(test, DSM_DISCARD, 5, 11);
	KUNIT_EXPECT_EQ(test, home->sent.type, DSM_INV);
	KUNIT_EXPECT_EQ(test, home->sent.flags, DSM_WIRE_ZERO);
	KUNIT_EXPECT_EQ(test, home->sent.to, HOME);
	KUNIT_EXPECT_EQ(test, home->n_inv, 3);
	KUNIT_EXPECT_TRUE(test, test_bit(5, home->inv) && test_bit(7, home->inv) &&
			  test_bit(66, home->inv));
	KUNIT_EXPECT_EQ(test, home->inv_msg.flags, DSM_WIRE_ZERO);
	KUNIT_EXPECT_EQ(test, home->inv_msg.node, HOME);
	take_ok(test, DSM_INV_ACK, 66, 11);
	take_bad(test, DSM_INV_ACK, 66, 11);
	take_ok(test, DSM_INV_ACK, HOME, 11);
	take_ok(test, DSM_INV_ACK, 5, 11);
	KUNIT_EXPECT_EQ(test, home->sent.type, 0);
	KUNIT_EXPECT_EQ(test, home->dir.busy, DSM_DISCARD);
	take_ok(test, DSM_INV_ACK, 7, 11);
	KUNIT_EXPECT_EQ(test, home->sent.type, DSM_DISCARDED);
	KUNIT_EXPECT_EQ(test, home->dir.state, DSM_DIR_ZERO);
	/* Who asked to be rid of it before is so by now. */
	take_ok(test, DSM_PUT_S, 66, 12);
	KUNIT_EXPECT_EQ(test, home->sent.type, 0);
	KUNIT_EXPECT_TRUE(test, home->next);
}

static void zero_block_granted_without_data_test(struct kunit *test)
{
	struct home *home = test->priv;

	take_ok(test, DSM_GET_S, 5, 11);
	KUNIT_EXPECT_EQ(test, home->sent.type, DSM_GRANT);
	KUNIT_EXPECT_EQ(test, home->sent.flags, DSM_WIRE_ZERO);
	KUNIT_EXPECT_EQ(test, home->sent.to, 5);
	KUNIT_EXPECT_EQ(test, home->sent.req, 11);
	KUNIT_EXPECT_EQ(test, home->dir.busy, DSM_GET_S);
	KUNIT_EXPECT_FALSE(test, dsm_sharers_has(home->sharers, 5));
	/* Nobody else has to do with it. */
	KUNIT_EXPECT_EQ(test, home->done.type, DSM_DONE);
	KUNIT_EXPECT_EQ(test, home->done.req, 11);
	take_bad(test, DSM_DONE, 5, 11);
	take_bad(test, DSM_DONE, HOME, 12);
	take_ok(test, DSM_DONE, HOME, 11);
	KUNIT_EXPECT_TRUE(test, home->next);
	KUNIT_EXPECT_EQ(test, home->dir.busy, 0);
	KUNIT_EXPECT_TRUE(test, dsm_sharers_has(home->sharers, 5));
	KUNIT_EXPECT_EQ(test, home->dir.state, DSM_DIR_ZERO);
}

static void zero_block_write_invalidates_readers_test(struct kunit *test)
{
	struct home *home = test->priv;

	become_sharer(test, 5);
	become_sharer(test, 100);
	take_ok(test, DSM_GET_M, 6, 12);
	KUNIT_EXPECT_EQ(test, home->sent.type, DSM_GRANT);
	KUNIT_EXPECT_EQ(test, home->sent.flags, DSM_WIRE_ZERO | DSM_WIRE_MODIFIED);
	KUNIT_EXPECT_EQ(test, home->sent.acks, 2);
	KUNIT_EXPECT_EQ(test, home->n_inv, 2);
	KUNIT_EXPECT_TRUE(test, test_bit(5, home->inv));
	KUNIT_EXPECT_TRUE(test, test_bit(100, home->inv));
	KUNIT_EXPECT_EQ(test, home->inv_msg.type, DSM_INV);
	KUNIT_EXPECT_EQ(test, home->inv_msg.node, 6);
	KUNIT_EXPECT_EQ(test, home->inv_msg.req, 12);
	/* The home does not know when they have dropped it. */
	KUNIT_EXPECT_EQ(test, home->done.type, 0);
	take_bad(test, DSM_DONE, HOME, 12);
	take_ok(test, DSM_DONE, 6, 12);
	KUNIT_EXPECT_TRUE(test, bitmap_empty((unsigned long *)home->sharers, NODES));
}

static void read_of_modified_block_forwarded_test(struct kunit *test)
{
	struct home *home = test->priv;

	become_writer(test, 150);
	take_ok(test, DSM_GET_S, 7, 13);
	KUNIT_EXPECT_EQ(test, home->sent.type, DSM_FWD_GET_S);
	KUNIT_EXPECT_EQ(test, home->sent.to, 150);
	KUNIT_EXPECT_EQ(test, home->sent.node, 7);
	KUNIT_EXPECT_EQ(test, home->sent.req, 13);
	KUNIT_EXPECT_EQ(test, home->dir.state, DSM_DIR_M);
	KUNIT_EXPECT_EQ(test, home->done.type, 0);
	take_bad(test, DSM_DONE, HOME, 13);
	take_ok(test, DSM_DONE, 7, 13);
	KUNIT_EXPECT_EQ(test, home->dir.state, DSM_DIR_S);
	KUNIT_EXPECT_EQ(test, home->dir.owner, 150);
	KUNIT_EXPECT_TRUE(test, dsm_sharers_has(home->sharers, 150));
	KUNIT_EXPECT_TRUE(test, dsm_sharers_has(home->sharers, 7));
}

static void write_of_modified_block_forwarded_test(struct kunit *test)
{
	struct home *home = test->priv;

	become_writer(test, 150);
	take_ok(test, DSM_GET_M, 7, 13);
	KUNIT_EXPECT_EQ(test, home->sent.type, DSM_FWD_GET_M);
	KUNIT_EXPECT_EQ(test, home->sent.to, 150);
	KUNIT_EXPECT_EQ(test, home->sent.acks, 0);
	KUNIT_EXPECT_EQ(test, home->n_inv, 0);
	take_bad(test, DSM_DONE, HOME, 13);
	take_ok(test, DSM_DONE, 7, 13);
	KUNIT_EXPECT_EQ(test, home->dir.owner, 7);
	KUNIT_EXPECT_EQ(test, home->dir.state, DSM_DIR_M);
}

/* On both sides of the words' borders. */
static const u16 many[] = { 0, 1, 63, 64, 65, 127, 128, 191, 192, 199 };

static void share_with_many(struct kunit *test)
{
	unsigned int i;

	become_writer(test, 64);
	for (i = 0; i < ARRAY_SIZE(many); i++)
		if (many[i] != 64)
			become_sharer(test, many[i]);
}

/* The supplier answers with the bytes, the others with INV_ACK. */
static void write_invalidates_all_sharers_test(struct kunit *test)
{
	struct home *home = test->priv;
	unsigned int i;

	share_with_many(test);
	take_ok(test, DSM_GET_M, 66, 14);
	KUNIT_EXPECT_EQ(test, home->sent.type, DSM_FWD_GET_M);
	KUNIT_EXPECT_EQ(test, home->sent.to, 64);
	KUNIT_EXPECT_EQ(test, home->sent.node, 66);
	KUNIT_EXPECT_EQ(test, home->sent.acks, ARRAY_SIZE(many) - 1);
	KUNIT_EXPECT_EQ(test, home->n_inv, ARRAY_SIZE(many) - 1);
	for (i = 0; i < ARRAY_SIZE(many); i++)
		KUNIT_EXPECT_EQ(test, test_bit(many[i], home->inv), many[i] != 64);
	take_ok(test, DSM_DONE, 66, 14);
	for (i = 0; i < NODES; i++)
		KUNIT_EXPECT_FALSE(test, dsm_sharers_has(home->sharers, i));
}

static void write_by_sharer_carries_no_data_test(struct kunit *test)
{
	struct home *home = test->priv;

	share_with_many(test);
	take_ok(test, DSM_GET_M, 199, 14);
	KUNIT_EXPECT_EQ(test, home->sent.type, DSM_GRANT);
	KUNIT_EXPECT_EQ(test, home->sent.to, 199);
	KUNIT_EXPECT_EQ(test, home->sent.flags, DSM_WIRE_MODIFIED);
	KUNIT_EXPECT_EQ(test, home->sent.acks, ARRAY_SIZE(many) - 1);
	KUNIT_EXPECT_EQ(test, home->n_inv, ARRAY_SIZE(many) - 1);
	KUNIT_EXPECT_FALSE(test, test_bit(199, home->inv));
}

static void write_by_last_sharer_invalidates_nobody_test(struct kunit *test)
{
	struct home *home = test->priv;

	become_writer(test, 3);
	become_sharer(test, 4);
	take_ok(test, DSM_PUT_S, 4, 20);
	take_ok(test, DSM_GET_M, 3, 21);
	KUNIT_EXPECT_EQ(test, home->sent.type, DSM_GRANT);
	KUNIT_EXPECT_EQ(test, home->sent.acks, 0);
	KUNIT_EXPECT_EQ(test, home->inv_msg.type, 0);
	KUNIT_EXPECT_EQ(test, home->done.req, 21);
	take_bad(test, DSM_DONE, 3, 21);
	take_ok(test, DSM_DONE, HOME, 21);
	KUNIT_EXPECT_EQ(test, home->dir.state, DSM_DIR_M);
	KUNIT_EXPECT_EQ(test, home->dir.owner, 3);
}

/* What the home's copy answers, with no other sharer, the home ends. */
static void home_copy_answers_alone_test(struct kunit *test)
{
	struct home *home = test->priv;

	become_writer(test, HOME);
	take_ok(test, DSM_GET_S, 3, 21);
	KUNIT_EXPECT_EQ(test, home->sent.to, HOME);
	/* Its copy says so, when it has answered. */
	KUNIT_EXPECT_EQ(test, home->done.type, 0);
	take_bad(test, DSM_DONE, 3, 21);
	take_ok(test, DSM_DONE, HOME, 21);
	KUNIT_EXPECT_TRUE(test, dsm_sharers_has(home->sharers, 3));
	KUNIT_ASSERT_EQ(test, home->dir.owner, HOME);
	take_ok(test, DSM_GET_S, 4, 22);
	take_bad(test, DSM_DONE, 4, 22);
	take_ok(test, DSM_DONE, HOME, 22);

	/* Nodes 3 and 4 drop theirs, and say so to the writer. */
	take_ok(test, DSM_GET_M, 5, 23);
	KUNIT_EXPECT_EQ(test, home->sent.to, HOME);
	KUNIT_EXPECT_EQ(test, home->sent.acks, 2);
	take_bad(test, DSM_DONE, HOME, 23);
	take_ok(test, DSM_DONE, 5, 23);

	become_writer(test, HOME);
	become_sharer(test, 3);
	take_ok(test, DSM_PUT_S, 3, 24);
	take_ok(test, DSM_GET_M, 5, 25);
	KUNIT_EXPECT_EQ(test, home->sent.to, HOME);
	KUNIT_EXPECT_EQ(test, home->sent.acks, 0);
	take_bad(test, DSM_DONE, 5, 25);
	take_ok(test, DSM_DONE, HOME, 25);
	KUNIT_EXPECT_EQ(test, home->dir.owner, 5);
}

/* The home is one of the sharers, but not the one that answers. */
static void home_copy_dropped_test(struct kunit *test)
{
	struct home *home = test->priv;
	struct dsm_event ev = { .type = DSM_EV_MSG };

	become_writer(test, 7);
	become_sharer(test, HOME);
	home->line.state = DSM_LINE_S;
	take_ok(test, DSM_GET_M, 3, 21);
	KUNIT_EXPECT_EQ(test, home->sent.to, 7);
	KUNIT_EXPECT_EQ(test, home->sent.acks, 1);
	ev.msg = home->inv_msg;
	KUNIT_ASSERT_EQ(test, (int)dsm_coh_event(&home->coh, &ev), DSM_COH_OK);
	/* It waits for our copy's INV_ACK. */
	take_bad(test, DSM_DONE, 3, 21);
	ev.type = DSM_EV_REVOKED;
	KUNIT_ASSERT_EQ(test, (int)dsm_coh_event(&home->coh, &ev), DSM_COH_OK);
	KUNIT_EXPECT_EQ(test, home->coh.actions[0].msg.type, DSM_INV_ACK);
	KUNIT_EXPECT_EQ(test, home->coh.actions[1].type, DSM_ACT_WAKE);
	take_bad(test, DSM_DONE, HOME, 21);
	take_ok(test, DSM_DONE, 3, 21);
	KUNIT_EXPECT_EQ(test, home->dir.owner, 3);
}

/* The home's own requests end like the others', when its copy says so. */
static void home_requests_test(struct kunit *test)
{
	struct home *home = test->priv;

	take_ok(test, DSM_GET_S, HOME, 21);
	KUNIT_EXPECT_EQ(test, home->sent.type, DSM_GRANT);
	KUNIT_EXPECT_EQ(test, home->done.type, 0);
	take_ok(test, DSM_DONE, HOME, 21);
	take_ok(test, DSM_GET_M, HOME, 22);
	KUNIT_EXPECT_EQ(test, home->sent.type, DSM_GRANT);
	KUNIT_EXPECT_EQ(test, home->done.type, 0);
	take_ok(test, DSM_DONE, HOME, 22);
	KUNIT_EXPECT_EQ(test, home->dir.owner, HOME);
}

static void requests_wait_while_one_is_served_test(struct kunit *test)
{
	static const u8 types[] = { DSM_GET_S, DSM_GET_M, DSM_PUT_S, DSM_PUT_M };
	struct home *home = test->priv;
	unsigned int i;

	take_ok(test, DSM_GET_M, 3, 1);
	for (i = 0; i < ARRAY_SIZE(types); i++) {
		take_ok(test, types[i], 10 + i, 2);
		KUNIT_EXPECT_TRUE(test, home->deferred);
		KUNIT_EXPECT_EQ(test, home->coh.n_actions, 1);
		KUNIT_EXPECT_EQ(test, home->dir.requester, 3);
	}
	take_ok(test, DSM_DONE, HOME, 1);
	KUNIT_EXPECT_TRUE(test, home->next);
}

/* A sharer has dropped its copy: nobody answers. */
static void put_s_test(struct kunit *test)
{
	struct home *home = test->priv;

	become_writer(test, 3);
	become_sharer(test, 130);
	become_sharer(test, 9);
	take_ok(test, DSM_PUT_S, 130, 20);
	KUNIT_EXPECT_EQ(test, home->sent.type, 0);
	KUNIT_EXPECT_EQ(test, home->dir.busy, 0);
	KUNIT_EXPECT_TRUE(test, home->next);
	KUNIT_EXPECT_FALSE(test, home->pull);
	KUNIT_EXPECT_FALSE(test, dsm_sharers_has(home->sharers, 130));
	KUNIT_EXPECT_TRUE(test, dsm_sharers_has(home->sharers, 3));
	KUNIT_EXPECT_TRUE(test, dsm_sharers_has(home->sharers, 9));
	KUNIT_EXPECT_EQ(test, home->dir.owner, 3);
	/* It may ask for another one. */
	take_ok(test, DSM_GET_S, 130, 21);
	KUNIT_EXPECT_EQ(test, home->sent.type, DSM_FWD_GET_S);
}

/* The owner cannot drop its copy by itself: the bytes may be asked for. */
static void put_s_of_owner_refused_test(struct kunit *test)
{
	become_writer(test, 3);
	take_bad(test, DSM_PUT_S, 3, 20);
	become_sharer(test, 130);
	take_bad(test, DSM_PUT_S, 3, 20);
}

/* The home, which has the bytes as well, supplies them from now on. */
static void put_m_of_reader_test(struct kunit *test)
{
	struct home *home = test->priv;

	become_writer(test, 3);
	become_sharer(test, 130);
	become_sharer(test, HOME);
	KUNIT_ASSERT_EQ(test, home->dir.owner, 3);
	take_ok(test, DSM_PUT_M, 3, 20);
	KUNIT_EXPECT_EQ(test, home->sent.type, DSM_INV);
	KUNIT_EXPECT_EQ(test, home->sent.to, 3);
	KUNIT_EXPECT_EQ(test, home->sent.node, HOME);
	KUNIT_EXPECT_EQ(test, home->dir.busy, DSM_PUT_M);
	take_bad(test, DSM_INV_ACK, 130, 20);
	take_bad(test, DSM_INV_ACK, 3, 21);
	take_ok(test, DSM_INV_ACK, 3, 20);
	KUNIT_EXPECT_TRUE(test, home->next);
	KUNIT_EXPECT_FALSE(test, dsm_sharers_has(home->sharers, 3));
	KUNIT_EXPECT_TRUE(test, dsm_sharers_has(home->sharers, 130));
	KUNIT_EXPECT_EQ(test, home->dir.owner, HOME);
	take_ok(test, DSM_GET_S, 9, 22);
	KUNIT_EXPECT_EQ(test, home->sent.type, DSM_FWD_GET_S);
	KUNIT_EXPECT_EQ(test, home->sent.to, HOME);
}

/* Without a copy of its own the home takes the block, and so all copies. */
static void put_m_of_reader_is_pulled_test(struct kunit *test)
{
	struct home *home = test->priv;

	become_writer(test, 3);
	become_sharer(test, 130);
	take_ok(test, DSM_PUT_M, 3, 20);
	KUNIT_EXPECT_TRUE(test, home->pull);
	KUNIT_EXPECT_TRUE(test, home->next);
	KUNIT_EXPECT_EQ(test, home->sent.type, 0);
	KUNIT_EXPECT_EQ(test, home->dir.busy, 0);
	KUNIT_EXPECT_TRUE(test, dsm_sharers_has(home->sharers, 3));
	KUNIT_EXPECT_TRUE(test, dsm_sharers_has(home->sharers, 130));
}

/* A block nobody wrote has no owner. */
static void put_s_of_zero_block_test(struct kunit *test)
{
	struct home *home = test->priv;

	become_sharer(test, 130);
	take_ok(test, DSM_PUT_S, 130, 20);
	KUNIT_EXPECT_EQ(test, home->sent.type, 0);
	KUNIT_EXPECT_FALSE(test, dsm_sharers_has(home->sharers, 130));
	KUNIT_EXPECT_EQ(test, home->dir.state, DSM_DIR_ZERO);
}

static void put_m_test(struct kunit *test)
{
	struct home *home = test->priv;

	become_writer(test, 3);
	take_ok(test, DSM_PUT_M, 3, 20);
	KUNIT_EXPECT_TRUE(test, home->pull);
	KUNIT_EXPECT_TRUE(test, home->next);
	KUNIT_EXPECT_EQ(test, home->dir.state, DSM_DIR_M);
}

/* It was taken before the PUT arrived. */
static void stale_put_ignored_test(struct kunit *test)
{
	struct home *home = test->priv;

	become_writer(test, 3);
	take_ok(test, DSM_PUT_M, 4, 20);
	KUNIT_EXPECT_FALSE(test, home->pull);
	KUNIT_EXPECT_TRUE(test, home->next);
	take_ok(test, DSM_PUT_S, 4, 21);
	KUNIT_EXPECT_FALSE(test, home->pull);
	KUNIT_EXPECT_EQ(test, home->dir.busy, 0);
}

static void wrong_messages_refused_test(struct kunit *test)
{
	struct home *home = test->priv;

	/* Nothing is being served. */
	take_bad(test, DSM_DONE, 3, 1);

	become_writer(test, 3);
	take_bad(test, DSM_GET_S, 3, 2);
	take_bad(test, DSM_GET_M, 3, 2);
	take_bad(test, DSM_GET_S, NODES, 2);
	take_bad(test, DSM_PUT_M, HOME, 2);
	take_bad(test, DSM_CLAIM, 4, 2);
	take_bad(test, 0, 4, 2);
	take_bad(test, 255, 4, 2);

	become_sharer(test, 4);
	take_bad(test, DSM_GET_S, 4, 2);

	take_ok(test, DSM_GET_S, 5, 6);
	take_bad(test, DSM_DONE, 4, 6);
	take_bad(test, DSM_DONE, 5, 7);
	take_ok(test, DSM_DONE, 5, 6);
	take_bad(test, DSM_DONE, 5, 6);

	/* Who is not the home takes no requests. */
	home->coh.self = 1;
	home->coh.dir = NULL;
	take_bad(test, DSM_GET_S, 6, 2);
	take_bad(test, DSM_DONE, 5, 6);
}

/* Who is to get the home's own copy cannot have it before the home has sent it. */
static void done_before_own_answer_refused_test(struct kunit *test)
{
	struct home *home = test->priv;
	struct dsm_event ev = { .type = DSM_EV_MSG };

	become_writer(test, HOME);
	home->line.state = DSM_LINE_M;
	take_ok(test, DSM_GET_M, 3, 2);
	KUNIT_ASSERT_EQ(test, home->sent.to, HOME);
	ev.msg = home->sent;
	KUNIT_ASSERT_EQ(test, (int)dsm_coh_event(&home->coh, &ev), DSM_COH_OK);
	take_bad(test, DSM_DONE, 3, 2);
	take_bad(test, DSM_DONE, HOME, 2);
	ev.type = DSM_EV_REVOKED;
	KUNIT_ASSERT_EQ(test, (int)dsm_coh_event(&home->coh, &ev), DSM_COH_OK);
	KUNIT_EXPECT_EQ(test, home->coh.actions[0].msg.type, DSM_DATA);
	KUNIT_EXPECT_EQ(test, home->coh.actions[1].msg.type, DSM_DONE);
	take_bad(test, DSM_DONE, 3, 2);
	take_ok(test, DSM_DONE, HOME, 2);
	KUNIT_EXPECT_EQ(test, home->dir.owner, 3);
}

/* The sharer set, against one that cannot be wrong. */
static void sharers_random_test(struct kunit *test)
{
	DECLARE_BITMAP(model, NODES);
	struct home *home = test->priv;
	struct rnd_state rnd;
	unsigned int i;
	u16 id;

	prandom_seed_state(&rnd, 1);
	bitmap_zero(model, NODES);
	become_writer(test, 199);
	become_sharer(test, 0);
	__set_bit(199, model);
	__set_bit(0, model);
	for (i = 0; i < 5000; i++) {
		u16 node = prandom_u32_state(&rnd) % NODES;

		if (!test_bit(node, model)) {
			become_sharer(test, node);
			__set_bit(node, model);
		} else if (node != HOME && node != home->dir.owner) {
			take_ok(test, DSM_PUT_S, node, i);
			__clear_bit(node, model);
		}
		KUNIT_ASSERT_TRUE(test, test_bit(home->dir.owner, model));
		KUNIT_ASSERT_EQ(test, dsm_coh_sends_max(&home->coh),
				2 + bitmap_weight(model, NODES));
		for (id = 0; id < NODES; id++)
			KUNIT_ASSERT_EQ(test, dsm_sharers_has(home->sharers, id),
					test_bit(id, model));
	}
}

/* DONE says that a reader was given the block: only if it may have been. */
static void refuses_unasked_gift_test(struct kunit *test)
{
	static const struct {
		u8 busy;
		bool migratory;
		bool ok;
	} cases[] = {
		{ DSM_GET_S, true, true },
		{ DSM_GET_S, false, false },
		{ DSM_GET_M, true, false },
		{ DSM_GET_M, false, false },
	};
	struct home *home = test->priv;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct dsm_event done = { DSM_EV_MSG, .msg = {
			.type = DSM_DONE, .flags = DSM_WIRE_MODIFIED, .from = 2, .to = HOME, .req = 9,
		} };

		home->dir = (struct dsm_dir){
			.state = DSM_DIR_M, .owner = 1, .sharers = home->sharers,
			.busy = cases[i].busy, .requester = 2, .req = 9,
			.migratory = cases[i].migratory,
		};
		KUNIT_EXPECT_EQ(test, (int)dsm_coh_event(&home->coh, &done),
				cases[i].ok ? DSM_COH_OK : DSM_COH_BAD);
		KUNIT_EXPECT_EQ(test, home->dir.owner, cases[i].ok ? 2 : 1);
		KUNIT_EXPECT_EQ(test, home->dir.busy, cases[i].ok ? 0 : cases[i].busy);
		KUNIT_EXPECT_TRUE(test, bitmap_empty((unsigned long *)home->sharers, NODES));
	}
}

static struct kunit_case home_cases[] = {
	KUNIT_CASE(discard_of_zeroes_test),
	KUNIT_CASE(discard_takes_from_owner_test),
	KUNIT_CASE(discard_takes_from_sharers_test),
	KUNIT_CASE(zero_block_granted_without_data_test),
	KUNIT_CASE(zero_block_write_invalidates_readers_test),
	KUNIT_CASE(read_of_modified_block_forwarded_test),
	KUNIT_CASE(write_of_modified_block_forwarded_test),
	KUNIT_CASE(write_invalidates_all_sharers_test),
	KUNIT_CASE(write_by_sharer_carries_no_data_test),
	KUNIT_CASE(write_by_last_sharer_invalidates_nobody_test),
	KUNIT_CASE(home_copy_answers_alone_test),
	KUNIT_CASE(home_copy_dropped_test),
	KUNIT_CASE(home_requests_test),
	KUNIT_CASE(requests_wait_while_one_is_served_test),
	KUNIT_CASE(put_s_test),
	KUNIT_CASE(put_s_of_owner_refused_test),
	KUNIT_CASE(put_m_of_reader_test),
	KUNIT_CASE(put_m_of_reader_is_pulled_test),
	KUNIT_CASE(put_s_of_zero_block_test),
	KUNIT_CASE(put_m_test),
	KUNIT_CASE(stale_put_ignored_test),
	KUNIT_CASE(wrong_messages_refused_test),
	KUNIT_CASE(done_before_own_answer_refused_test),
	KUNIT_CASE(sharers_random_test),
	KUNIT_CASE(refuses_unasked_gift_test),
	{}
};

static struct kunit_suite home_suite = {
	.name = "dsm_coherence_home",
	.init = home_init,
	.test_cases = home_cases,
};

kunit_test_suite(home_suite);
