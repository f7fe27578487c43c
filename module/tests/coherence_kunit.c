// SPDX-License-Identifier: GPL-2.0
/*
 * The coherence core: what a node does with its copy, state by state. What several
 * nodes do together: coherence_net_kunit.c.
 */
#include <kunit/test.h>
#include "../coherence.h"

enum {
	SELF	= 1,
	HOME	= 0,
	OTHER	= 2,
	NODES	= 3,
	REQ	= 7,	/* of the line's request under way */
	OTHER_REQ = 9,	/* of another node's */
};

/* ------------------------------------------------------------------------
 * The line's table
 */

enum input {
	IN_READ,
	IN_WRITE,
	IN_EVICT,
	IN_FREE,
	IN_DISCARD,
	IN_FWD_GET_S,
	IN_FWD_GET_S_M,
	IN_FWD_GET_M,
	IN_INV,
	IN_DROP,
	IN_DATA,
	IN_DATA_M,
	IN_HOME_DATA,
	IN_HOME_DATA_M,
	IN_GRANT_ZERO,
	IN_GRANT_M,
	IN_INV_ACK,
	IN_DISCARDED,
	IN_LOST,
	IN_LOST_M,
	IN_REVOKED,
	IN_HOLD_OVER,
	INPUTS
};

static const char * const input_names[INPUTS] = {
	"READ", "WRITE", "EVICT", "FREE", "DISCARD", "FWD_GET_S", "FWD_GET_S_M",
	"FWD_GET_M", "INV", "DROP", "DATA", "DATA_M", "HOME_DATA", "HOME_DATA_M", "GRANT_ZERO", "GRANT_M", "INV_ACK",
	"DISCARDED", "LOST", "LOST_M", "REVOKED", "HOLD_OVER",
};

static const char * const state_names[DSM_LINE_STATES] = {
	"I", "S", "M", "IS", "IM", "SM", "MS_R", "MI_R", "SI_R", "SMI_R", "II_R",
};

#define MSG(_type, _flags, _from, _node, _acks, _req)				\
	{ DSM_EV_MSG, .msg = { .type = _type, .flags = _flags, .from = _from,	\
			       .to = SELF, .node = _node, .acks = _acks, .req = _req } }

static const struct dsm_event inputs[INPUTS] = {
	[IN_READ]	= { DSM_EV_READ, .req = REQ },
	[IN_WRITE]	= { DSM_EV_WRITE, .req = REQ },
	[IN_EVICT]	= { DSM_EV_EVICT, .req = REQ },
	[IN_FREE]	= { DSM_EV_FREE },
	[IN_DISCARD]	= { DSM_EV_DISCARD, .req = REQ },
	[IN_FWD_GET_S]	= MSG(DSM_FWD_GET_S, 0, HOME, OTHER, 0, OTHER_REQ),
	[IN_FWD_GET_S_M] = MSG(DSM_FWD_GET_S, DSM_WIRE_MODIFIED, HOME, OTHER, 0, OTHER_REQ),
	[IN_FWD_GET_M]	= MSG(DSM_FWD_GET_M, 0, HOME, OTHER, 1, OTHER_REQ),
	[IN_INV]	= MSG(DSM_INV, 0, HOME, OTHER, 0, OTHER_REQ),
	[IN_DROP]	= MSG(DSM_INV, DSM_WIRE_ZERO, HOME, HOME, 0, OTHER_REQ),
	[IN_DATA]	= MSG(DSM_DATA, 0, OTHER, 0, 0, REQ),
	[IN_DATA_M]	= MSG(DSM_DATA, DSM_WIRE_MODIFIED, OTHER, 0, 0, REQ),
	[IN_HOME_DATA]	= MSG(DSM_DATA, 0, HOME, 0, 0, REQ),
	[IN_HOME_DATA_M] = MSG(DSM_DATA, DSM_WIRE_MODIFIED, HOME, 0, 0, REQ),
	[IN_GRANT_ZERO]	= MSG(DSM_GRANT, DSM_WIRE_ZERO, HOME, 0, 0, REQ),
	[IN_GRANT_M]	= MSG(DSM_GRANT, DSM_WIRE_MODIFIED, HOME, 0, 0, REQ),
	[IN_INV_ACK]	= MSG(DSM_INV_ACK, 0, OTHER, 0, 0, REQ),
	[IN_DISCARDED]	= MSG(DSM_DISCARDED, 0, HOME, 0, 0, REQ),
	[IN_LOST]	= MSG(DSM_LOST, 0, OTHER, 0, 0, REQ),
	[IN_LOST_M]	= MSG(DSM_LOST, DSM_WIRE_MODIFIED, OTHER, 0, 0, REQ),
	[IN_REVOKED]	= { DSM_EV_REVOKED },
	[IN_HOLD_OVER]	= { DSM_EV_HOLD_OVER },
};

/*
 * What happens. Not listed: messages and REVOKED are refused; anything else is
 * taken, and changes nothing.
 */
static const struct table_case {
	u8 state;
	u8 input;
	u8 next;
	u8 send;	/* type of the message sent, or 0 */
	u16 to;
	u8 flags;
	u16 acks;
	u8 action;	/* the other action, or DSM_ACT_SEND for none */
} table_cases[] = {
	{ DSM_LINE_I, IN_READ, DSM_LINE_IS, DSM_GET_S, HOME },
	{ DSM_LINE_I, IN_WRITE, DSM_LINE_IM, DSM_GET_M, HOME },
	{ DSM_LINE_I, IN_FREE, DSM_LINE_II_R, .action = DSM_ACT_DROP },
	/* The home has not heard of an eviction. */
	{ DSM_LINE_I, IN_INV, DSM_LINE_I, DSM_INV_ACK, OTHER },
	{ DSM_LINE_I, IN_DROP, DSM_LINE_I, DSM_INV_ACK, HOME },

	{ DSM_LINE_S, IN_WRITE, DSM_LINE_SM, DSM_GET_M, HOME },
	{ DSM_LINE_S, IN_EVICT, DSM_LINE_SI_R, .action = DSM_ACT_DROP },
	{ DSM_LINE_S, IN_FWD_GET_S, DSM_LINE_S, DSM_DATA, OTHER },
	{ DSM_LINE_S, IN_FWD_GET_M, DSM_LINE_SI_R, .action = DSM_ACT_REVOKE },
	{ DSM_LINE_S, IN_INV, DSM_LINE_SI_R, .action = DSM_ACT_REVOKE },
	{ DSM_LINE_S, IN_DROP, DSM_LINE_SI_R, .action = DSM_ACT_DROP },

	/* It is noted that a thread writes. */
	{ DSM_LINE_M, IN_WRITE, DSM_LINE_M },
	{ DSM_LINE_M, IN_EVICT, DSM_LINE_M, DSM_PUT_M, HOME },
	{ DSM_LINE_M, IN_FWD_GET_S, DSM_LINE_MS_R, .action = DSM_ACT_CLEAN },
	/* None has: it is shared. */
	{ DSM_LINE_M, IN_FWD_GET_S_M, DSM_LINE_MS_R, .action = DSM_ACT_CLEAN },
	{ DSM_LINE_M, IN_FWD_GET_M, DSM_LINE_MI_R, .action = DSM_ACT_REVOKE },
	{ DSM_LINE_M, IN_DROP, DSM_LINE_MI_R, .action = DSM_ACT_DROP },

	{ DSM_LINE_IS, IN_DATA, DSM_LINE_S, DSM_DONE, HOME, .action = DSM_ACT_WAKE },
	/* The owner gives it away: the home has to know. */
	{ DSM_LINE_IS, IN_DATA_M, DSM_LINE_M, DSM_DONE, HOME, DSM_WIRE_MODIFIED,
	  .action = DSM_ACT_WAKE },
	/* The home, who was alone in it, knows that it is over. */
	{ DSM_LINE_IS, IN_HOME_DATA, DSM_LINE_S, .action = DSM_ACT_WAKE },
	{ DSM_LINE_IS, IN_HOME_DATA_M, DSM_LINE_M, .action = DSM_ACT_WAKE },
	/* To the home it is all the same. */
	{ DSM_LINE_IS, IN_LOST, DSM_LINE_S, DSM_DONE, HOME, .action = DSM_ACT_WAKE },
	{ DSM_LINE_IS, IN_LOST_M, DSM_LINE_M, DSM_DONE, HOME, DSM_WIRE_MODIFIED,
	  .action = DSM_ACT_WAKE },
	{ DSM_LINE_IS, IN_GRANT_ZERO, DSM_LINE_S, .action = DSM_ACT_WAKE },
	{ DSM_LINE_IS, IN_INV, DSM_LINE_IS, DSM_INV_ACK, OTHER },
	{ DSM_LINE_IS, IN_DROP, DSM_LINE_IS, DSM_INV_ACK, HOME },

	{ DSM_LINE_IM, IN_DATA_M, DSM_LINE_M, DSM_DONE, HOME, .action = DSM_ACT_WAKE },
	{ DSM_LINE_IM, IN_HOME_DATA_M, DSM_LINE_M, .action = DSM_ACT_WAKE },
	{ DSM_LINE_IM, IN_LOST_M, DSM_LINE_M, DSM_DONE, HOME, .action = DSM_ACT_WAKE },
	{ DSM_LINE_IM, IN_INV_ACK, DSM_LINE_IM },
	{ DSM_LINE_IM, IN_INV, DSM_LINE_IM, DSM_INV_ACK, OTHER },
	{ DSM_LINE_IM, IN_DROP, DSM_LINE_IM, DSM_INV_ACK, HOME },

	{ DSM_LINE_SM, IN_FWD_GET_S, DSM_LINE_SM, DSM_DATA, OTHER },
	{ DSM_LINE_SM, IN_FWD_GET_M, DSM_LINE_SMI_R, .action = DSM_ACT_REVOKE },
	{ DSM_LINE_SM, IN_INV, DSM_LINE_SMI_R, .action = DSM_ACT_REVOKE },
	{ DSM_LINE_SM, IN_DROP, DSM_LINE_SMI_R, .action = DSM_ACT_DROP },
	{ DSM_LINE_SM, IN_GRANT_M, DSM_LINE_M, .action = DSM_ACT_WAKE },
	{ DSM_LINE_SM, IN_INV_ACK, DSM_LINE_SM },

	{ DSM_LINE_MS_R, IN_REVOKED, DSM_LINE_S, DSM_DATA, OTHER, .action = DSM_ACT_WAKE },
	{ DSM_LINE_MI_R, IN_REVOKED, DSM_LINE_I, DSM_DATA, OTHER, DSM_WIRE_MODIFIED, 1,
	  DSM_ACT_WAKE },
	{ DSM_LINE_SI_R, IN_REVOKED, DSM_LINE_I, DSM_INV_ACK, OTHER, .action = DSM_ACT_WAKE },
	{ DSM_LINE_SMI_R, IN_REVOKED, DSM_LINE_IM, DSM_INV_ACK, OTHER, .action = DSM_ACT_WAKE },
	{ DSM_LINE_II_R, IN_REVOKED, DSM_LINE_I, .action = DSM_ACT_WAKE },
	{ DSM_LINE_II_R, IN_INV, DSM_LINE_II_R, DSM_INV_ACK, OTHER },
	{ DSM_LINE_II_R, IN_DROP, DSM_LINE_II_R, DSM_INV_ACK, HOME },
};

static const struct table_case *table_find(u8 state, u8 input)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(table_cases); i++)
		if (table_cases[i].state == state && table_cases[i].input == input)
			return &table_cases[i];
	return NULL;
}

/* A line in that state, as a history would have left it. */
static struct dsm_line line_in(u8 state)
{
	struct dsm_line line = { .state = state };

	if (dsm_line_outstanding(&line))
		line.req = REQ;
	switch (state) {
	case DSM_LINE_MS_R:
		line.fwd = inputs[IN_FWD_GET_S].msg;
		break;
	case DSM_LINE_MI_R:
		line.fwd = inputs[IN_FWD_GET_M].msg;
		break;
	case DSM_LINE_SI_R:
	case DSM_LINE_SMI_R:
		line.fwd = inputs[IN_INV].msg;
		break;
	}
	return line;
}

static struct dsm_coh coh_of(struct dsm_line *line)
{
	return (struct dsm_coh){ .self = SELF, .home = HOME, .nodes = NODES, .line = line };
}

static void check_case(struct kunit *test, u8 state, u8 input)
{
	static const struct table_case discard = { .send = DSM_DISCARD, .to = HOME };
	const struct table_case *want = input == IN_DISCARD ? &discard : table_find(state, input);
	struct dsm_line line = line_in(state), before = line;
	struct dsm_coh coh = coh_of(&line);
	u8 n = 0, result = DSM_COH_OK;
	enum dsm_coh_result res;

	if (!want && (inputs[input].type == DSM_EV_MSG || input == IN_REVOKED))
		result = DSM_COH_BAD;
	res = dsm_coh_event(&coh, &inputs[input]);
	KUNIT_EXPECT_EQ_MSG(test, (u8)res, result, "%s in %s", input_names[input],
			    state_names[state]);
	if (!want) {
		before.demand = line.demand;
		KUNIT_EXPECT_EQ_MSG(test, memcmp(&line, &before, sizeof(line)), 0,
				    "%s changed something in %s", input_names[input],
				    state_names[state]);
		KUNIT_EXPECT_EQ(test, coh.n_actions, 0);
		return;
	}
	/* A discard is asked for in any state, and changes none. */
	KUNIT_EXPECT_EQ_MSG(test, line.state, input == IN_DISCARD ? state : want->next,
			    "%s in %s: the next state",
			    input_names[input], state_names[state]);
	if (want->send) {
		const struct dsm_coh_msg *msg = &coh.actions[n].msg;

		KUNIT_ASSERT_GT(test, coh.n_actions, n);
		KUNIT_EXPECT_EQ(test, coh.actions[n].type, DSM_ACT_SEND);
		KUNIT_EXPECT_EQ_MSG(test, msg->type, want->send, "%s in %s: the message",
				    input_names[input], state_names[state]);
		KUNIT_EXPECT_EQ(test, msg->from, SELF);
		KUNIT_EXPECT_EQ(test, msg->to, want->to);
		KUNIT_EXPECT_EQ(test, msg->flags, want->flags);
		KUNIT_EXPECT_EQ(test, msg->acks, want->acks);
		KUNIT_EXPECT_EQ(test, msg->req, want->to == OTHER || want->send == DSM_INV_ACK ?
				OTHER_REQ : REQ);
		n++;
	}
	if (want->action != DSM_ACT_SEND) {
		KUNIT_ASSERT_GT(test, coh.n_actions, n);
		KUNIT_EXPECT_EQ_MSG(test, coh.actions[n].type, want->action, "%s in %s",
				    input_names[input], state_names[state]);
		n++;
	}
	KUNIT_EXPECT_EQ_MSG(test, coh.n_actions, n, "%s in %s: actions", input_names[input],
			    state_names[state]);
}

static void line_table_test(struct kunit *test)
{
	u8 state, input;

	for (state = 0; state < DSM_LINE_STATES; state++)
		for (input = 0; input < INPUTS; input++)
			check_case(test, state, input);
}

/* ------------------------------------------------------------------------
 * One line, step by step
 */

static enum dsm_coh_result feed(struct dsm_coh *coh, struct dsm_event ev)
{
	return dsm_coh_event(coh, &ev);
}

static struct dsm_event with_acks(u8 input, u16 acks)
{
	struct dsm_event ev = inputs[input];

	ev.msg.acks = acks;
	return ev;
}

static void line_discards_once_at_a_time_test(struct kunit *test)
{
	struct dsm_line line = line_in(DSM_LINE_S);
	struct dsm_coh coh = coh_of(&line);

	KUNIT_EXPECT_EQ(test, (int)feed(&coh, inputs[IN_DISCARD]), DSM_COH_OK);
	KUNIT_EXPECT_TRUE(test, line.discards);
	KUNIT_EXPECT_EQ(test, coh.n_actions, 1);
	KUNIT_EXPECT_EQ(test, (int)feed(&coh, inputs[IN_DISCARD]), DSM_COH_OK);
	KUNIT_EXPECT_EQ(test, coh.n_actions, 0);
	KUNIT_EXPECT_EQ(test, (int)feed(&coh, inputs[IN_DISCARDED]), DSM_COH_OK);
	KUNIT_EXPECT_FALSE(test, line.discards);
	KUNIT_EXPECT_EQ(test, coh.actions[0].type, DSM_ACT_WAKE);
	/* Nobody waits for it any more. */
	KUNIT_EXPECT_EQ(test, (int)feed(&coh, inputs[IN_DISCARDED]), DSM_COH_BAD);
	/* Only the home can say so. */
	KUNIT_EXPECT_EQ(test, (int)feed(&coh, inputs[IN_DISCARD]), DSM_COH_OK);
	KUNIT_EXPECT_EQ(test, (int)feed(&coh, (struct dsm_event)
		MSG(DSM_DISCARDED, 0, OTHER, 0, 0, REQ)), DSM_COH_BAD);
	KUNIT_EXPECT_TRUE(test, line.discards);
}

static void line_held_is_not_dropped_test(struct kunit *test)
{
	struct dsm_line line = { .state = DSM_LINE_M, .held = true };
	struct dsm_coh coh = coh_of(&line);

	KUNIT_EXPECT_EQ(test, (int)feed(&coh, inputs[IN_DROP]), DSM_COH_OK);
	KUNIT_EXPECT_EQ(test, line.state, DSM_LINE_M);
	KUNIT_EXPECT_EQ(test, coh.actions[0].type, DSM_ACT_HOLD);
	KUNIT_EXPECT_EQ(test, (int)feed(&coh, inputs[IN_HOLD_OVER]), DSM_COH_OK);
	KUNIT_EXPECT_EQ(test, line.state, DSM_LINE_MI_R);
	KUNIT_EXPECT_EQ(test, coh.actions[0].type, DSM_ACT_DROP);
	KUNIT_EXPECT_EQ(test, (int)feed(&coh, inputs[IN_REVOKED]), DSM_COH_OK);
	KUNIT_EXPECT_EQ(test, line.state, DSM_LINE_I);
	KUNIT_EXPECT_EQ(test, coh.actions[0].msg.type, DSM_INV_ACK);
	KUNIT_EXPECT_EQ(test, coh.actions[0].msg.to, HOME);
}

/* The home is to take the others' copies, and its own frames are being freed. */
static void home_frees_then_pulls_test(struct kunit *test)
{
	struct dsm_line line = { .state = DSM_LINE_I };
	struct dsm_dir dir = { .state = DSM_DIR_M, .owner = OTHER, .sharers = (u64[]){ 0 } };
	struct dsm_coh coh = { .self = HOME, .home = HOME, .nodes = NODES, .line = &line,
			       .dir = &dir };

	KUNIT_EXPECT_EQ(test, (int)feed(&coh, inputs[IN_FREE]), DSM_COH_OK);
	KUNIT_EXPECT_EQ(test, (int)feed(&coh, (struct dsm_event){ .type = DSM_EV_WRITE,
				.prefetch = true, .req = REQ }), DSM_COH_OK);
	KUNIT_EXPECT_EQ(test, coh.n_actions, 0);
	KUNIT_EXPECT_EQ(test, (int)feed(&coh, inputs[IN_REVOKED]), DSM_COH_OK);
	KUNIT_EXPECT_EQ(test, line.state, DSM_LINE_I);
	KUNIT_EXPECT_FALSE(test, line.put);
	KUNIT_ASSERT_EQ(test, coh.n_actions, 2);
	KUNIT_EXPECT_EQ(test, coh.actions[1].type, DSM_ACT_PULL);
}

static void line_counts_acks_after_data_test(struct kunit *test)
{
	struct dsm_line line = line_in(DSM_LINE_IM);
	struct dsm_coh coh = coh_of(&line);

	KUNIT_EXPECT_EQ(test, (int)feed(&coh, with_acks(IN_DATA_M, 2)), DSM_COH_OK);
	KUNIT_EXPECT_EQ(test, line.state, DSM_LINE_IM);
	KUNIT_EXPECT_EQ(test, (int)feed(&coh, inputs[IN_INV_ACK]), DSM_COH_OK);
	KUNIT_EXPECT_EQ(test, line.state, DSM_LINE_IM);
	KUNIT_EXPECT_EQ(test, (int)feed(&coh, inputs[IN_INV_ACK]), DSM_COH_OK);
	KUNIT_EXPECT_EQ(test, line.state, DSM_LINE_M);
	/* One more than was announced. */
	KUNIT_EXPECT_EQ(test, (int)feed(&coh, inputs[IN_INV_ACK]), DSM_COH_BAD);
}

static void line_counts_acks_before_data_test(struct kunit *test)
{
	struct dsm_line line = line_in(DSM_LINE_IM);
	struct dsm_coh coh = coh_of(&line);

	KUNIT_EXPECT_EQ(test, (int)feed(&coh, inputs[IN_INV_ACK]), DSM_COH_OK);
	KUNIT_EXPECT_EQ(test, (int)feed(&coh, inputs[IN_INV_ACK]), DSM_COH_OK);
	/* There are not more nodes than that. */
	KUNIT_EXPECT_EQ(test, (int)feed(&coh, inputs[IN_INV_ACK]), DSM_COH_BAD);
	/* Fewer announced than have come. */
	KUNIT_EXPECT_EQ(test, (int)feed(&coh, with_acks(IN_DATA_M, 1)), DSM_COH_BAD);
	KUNIT_EXPECT_EQ(test, (int)feed(&coh, with_acks(IN_DATA_M, NODES)), DSM_COH_BAD);
	KUNIT_EXPECT_EQ(test, line.state, DSM_LINE_IM);
	KUNIT_EXPECT_EQ(test, (int)feed(&coh, with_acks(IN_DATA_M, 2)), DSM_COH_OK);
	KUNIT_EXPECT_EQ(test, line.state, DSM_LINE_M);
}

/* What was asked for comes once. */
static void line_refuses_second_grant_test(struct kunit *test)
{
	struct dsm_line line = line_in(DSM_LINE_SM), before;
	struct dsm_coh coh = coh_of(&line);

	KUNIT_EXPECT_EQ(test, (int)feed(&coh, with_acks(IN_GRANT_M, 2)), DSM_COH_OK);
	before = line;
	KUNIT_EXPECT_EQ(test, (int)feed(&coh, with_acks(IN_GRANT_M, 2)), DSM_COH_BAD);
	KUNIT_EXPECT_EQ(test, (int)feed(&coh, with_acks(IN_GRANT_M, 0)), DSM_COH_BAD);
	KUNIT_EXPECT_EQ(test, memcmp(&line, &before, sizeof(line)), 0);
}

static void expect_done(struct kunit *test, const struct dsm_action *act, u32 req)
{
	KUNIT_EXPECT_EQ(test, act->type, DSM_ACT_SEND);
	KUNIT_EXPECT_EQ(test, act->msg.type, DSM_DONE);
	KUNIT_EXPECT_EQ(test, act->msg.to, HOME);
	KUNIT_EXPECT_EQ(test, act->msg.req, req);
}

/* Of what it has not answered alone, the home is told that it is over. */
static void line_says_done_after_acks_test(struct kunit *test)
{
	static const u8 states[] = { DSM_LINE_IM, DSM_LINE_SM };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(states); i++) {
		u8 input = states[i] == DSM_LINE_IM ? IN_HOME_DATA_M : IN_GRANT_M;
		struct dsm_line line = line_in(states[i]);
		struct dsm_coh coh = coh_of(&line);

		KUNIT_EXPECT_EQ(test, (int)feed(&coh, with_acks(input, 1)), DSM_COH_OK);
		KUNIT_EXPECT_EQ(test, coh.n_actions, 0);
		KUNIT_EXPECT_EQ(test, (int)feed(&coh, inputs[IN_INV_ACK]), DSM_COH_OK);
		KUNIT_ASSERT_EQ(test, coh.n_actions, 2);
		expect_done(test, &coh.actions[0], REQ);

		/* Also if the INV_ACK came first. */
		line = line_in(states[i]);
		KUNIT_EXPECT_EQ(test, (int)feed(&coh, inputs[IN_INV_ACK]), DSM_COH_OK);
		KUNIT_EXPECT_EQ(test, coh.n_actions, 0);
		KUNIT_EXPECT_EQ(test, (int)feed(&coh, with_acks(input, 1)), DSM_COH_OK);
		KUNIT_ASSERT_EQ(test, coh.n_actions, 2);
		expect_done(test, &coh.actions[0], REQ);
	}
}

/* What the home has asked for itself is over when it says so, whoever has answered. */
static void home_says_done_of_its_own_test(struct kunit *test)
{
	static const struct {
		u8 state;
		u8 input;
	} cases[] = {
		{ DSM_LINE_IS, IN_GRANT_ZERO },
		{ DSM_LINE_IS, IN_DATA },
		{ DSM_LINE_IM, IN_DATA_M },
		{ DSM_LINE_SM, IN_GRANT_M },
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		struct dsm_line line = line_in(cases[i].state);
		struct dsm_coh coh = coh_of(&line);

		coh.self = HOME;
		KUNIT_EXPECT_EQ(test, (int)feed(&coh, inputs[cases[i].input]), DSM_COH_OK);
		KUNIT_ASSERT_EQ(test, coh.n_actions, 2);
		expect_done(test, &coh.actions[0], REQ);
		KUNIT_EXPECT_EQ(test, coh.actions[1].type, DSM_ACT_WAKE);
	}
}

/* What the home's copy answers alone is over with that, and nothing else is. */
static void home_answers_test(struct kunit *test)
{
	static const struct {
		u8 state;
		u8 input;
		u16 acks;
		bool done;
	} cases[] = {
		{ DSM_LINE_S, IN_FWD_GET_S, 0, true },
		{ DSM_LINE_SM, IN_FWD_GET_S, 0, true },
		{ DSM_LINE_M, IN_FWD_GET_S, 0, true },
		{ DSM_LINE_M, IN_FWD_GET_M, 0, true },
		{ DSM_LINE_S, IN_FWD_GET_M, 0, true },
		{ DSM_LINE_SM, IN_FWD_GET_M, 0, true },
		{ DSM_LINE_S, IN_FWD_GET_M, 1, false },
		{ DSM_LINE_SM, IN_FWD_GET_M, 1, false },
		{ DSM_LINE_S, IN_INV, 0, false },
		{ DSM_LINE_SM, IN_INV, 0, false },
		{ DSM_LINE_M, IN_DROP, 0, false },
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		struct dsm_line line = line_in(cases[i].state);
		struct dsm_coh coh = coh_of(&line);

		coh.self = HOME;
		KUNIT_EXPECT_EQ(test, (int)feed(&coh, with_acks(cases[i].input, cases[i].acks)),
				DSM_COH_OK);
		/* Not before access is gone. */
		if (coh.actions[0].type != DSM_ACT_SEND) {
			KUNIT_EXPECT_EQ(test, coh.n_actions, 1);
			KUNIT_EXPECT_EQ(test, (int)feed(&coh, inputs[IN_REVOKED]), DSM_COH_OK);
		}
		KUNIT_ASSERT_EQ(test, coh.actions[0].type, DSM_ACT_SEND);
		KUNIT_EXPECT_NE(test, coh.actions[0].msg.type, DSM_DONE);
		if (cases[i].done)
			expect_done(test, &coh.actions[1], OTHER_REQ);
		else
			KUNIT_EXPECT_TRUE(test, coh.n_actions == 1 ||
					  coh.actions[1].type == DSM_ACT_WAKE);
	}
}

/* Nothing is granted while the home waits for our answer to another's request. */
static void line_refuses_grant_before_answer_test(struct kunit *test)
{
	struct dsm_line line = {}, before;
	struct dsm_coh coh = coh_of(&line);

	feed(&coh, inputs[IN_READ]);
	feed(&coh, inputs[IN_DATA]);
	feed(&coh, inputs[IN_WRITE]);
	feed(&coh, inputs[IN_INV]);
	KUNIT_ASSERT_EQ(test, coh.actions[0].type, DSM_ACT_HOLD);
	before = line;
	KUNIT_EXPECT_EQ(test, (int)feed(&coh, inputs[IN_GRANT_M]), DSM_COH_BAD);
	KUNIT_EXPECT_EQ(test, memcmp(&line, &before, sizeof(line)), 0);
}

/* A lost copy is one that nobody can use; where it goes it is lost. */
static void line_lost_test(struct kunit *test)
{
	struct dsm_line line = line_in(DSM_LINE_IM);
	struct dsm_coh coh = coh_of(&line);

	line.demand = true;
	KUNIT_EXPECT_EQ(test, (int)feed(&coh, with_acks(IN_LOST_M, 1)), DSM_COH_OK);
	KUNIT_EXPECT_EQ(test, line.state, DSM_LINE_IM);
	KUNIT_EXPECT_EQ(test, (int)feed(&coh, inputs[IN_INV_ACK]), DSM_COH_OK);
	KUNIT_EXPECT_EQ(test, line.state, DSM_LINE_M);
	KUNIT_EXPECT_FALSE(test, dsm_line_readable(&line));
	KUNIT_EXPECT_FALSE(test, dsm_line_writable(&line));
	KUNIT_EXPECT_FALSE(test, line.held);
	feed(&coh, inputs[IN_WRITE]);
	KUNIT_EXPECT_EQ(test, coh.n_actions, 0);

	feed(&coh, inputs[IN_FWD_GET_S]);
	feed(&coh, inputs[IN_REVOKED]);
	KUNIT_EXPECT_EQ(test, coh.actions[0].msg.type, DSM_LOST);
	KUNIT_EXPECT_EQ(test, line.state, DSM_LINE_S);
	KUNIT_EXPECT_FALSE(test, dsm_line_readable(&line));
	/* Others may have good copies, which a thread's wish to write does not cost them. */
	feed(&coh, inputs[IN_WRITE]);
	KUNIT_EXPECT_EQ(test, coh.n_actions, 0);

	feed(&coh, inputs[IN_DROP]);
	feed(&coh, inputs[IN_REVOKED]);
	KUNIT_EXPECT_EQ(test, line.state, DSM_LINE_I);
	KUNIT_EXPECT_FALSE(test, line.lost);
	feed(&coh, inputs[IN_READ]);
	feed(&coh, inputs[IN_DATA]);
	KUNIT_EXPECT_TRUE(test, dsm_line_readable(&line));
}

static void line_refuses_unknown_event_test(struct kunit *test)
{
	struct dsm_event ev = { .type = DSM_EV_HOLD_OVER + 1 };
	struct dsm_line line = {};
	struct dsm_coh coh = coh_of(&line);

	KUNIT_EXPECT_EQ(test, (int)feed(&coh, ev), DSM_COH_BAD);
	KUNIT_EXPECT_EQ(test, coh.n_actions, 0);
}

static void expect_refused(struct kunit *test, u8 state, const struct dsm_event *ev)
{
	struct dsm_line line = line_in(state), before = line;
	struct dsm_coh coh = coh_of(&line);

	KUNIT_EXPECT_EQ(test, (int)dsm_coh_event(&coh, ev), DSM_COH_BAD);
	KUNIT_EXPECT_EQ(test, memcmp(&line, &before, sizeof(line)), 0);
}

/* A message that does not belong to the request under way is refused. */
static void line_refuses_other_requests_test(struct kunit *test)
{
	static const struct {
		u8 state;
		u8 input;
	} cases[] = {
		{ DSM_LINE_IS, IN_DATA },
		{ DSM_LINE_IS, IN_GRANT_ZERO },
		{ DSM_LINE_IS, IN_LOST },
		{ DSM_LINE_IM, IN_DATA_M },
		{ DSM_LINE_IM, IN_LOST_M },
		{ DSM_LINE_IM, IN_INV_ACK },
		{ DSM_LINE_SM, IN_GRANT_M },
		{ DSM_LINE_SM, IN_INV_ACK },
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		struct dsm_event ev = inputs[cases[i].input];

		ev.msg.req = OTHER_REQ;
		expect_refused(test, cases[i].state, &ev);
	}
}

/* Only the home grants, forwards and invalidates. */
static void line_refuses_other_senders_test(struct kunit *test)
{
	static const struct {
		u8 state;
		u8 input;
	} cases[] = {
		{ DSM_LINE_IS, IN_GRANT_ZERO },
		{ DSM_LINE_SM, IN_GRANT_M },
		{ DSM_LINE_S, IN_FWD_GET_S },
		{ DSM_LINE_M, IN_FWD_GET_M },
		{ DSM_LINE_S, IN_INV },
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		struct dsm_event ev = inputs[cases[i].input];

		ev.msg.from = OTHER;
		expect_refused(test, cases[i].state, &ev);
		ev.msg.from = NODES;
		expect_refused(test, cases[i].state, &ev);
		ev = inputs[cases[i].input];
		ev.msg.node = NODES;
		expect_refused(test, cases[i].state, &ev);
	}
}

/* A grant somebody asked for is not given away before the hold is over. */
static void line_holds_demanded_grant_test(struct kunit *test)
{
	struct dsm_line line = {};
	struct dsm_coh coh = coh_of(&line);

	feed(&coh, inputs[IN_WRITE]);
	feed(&coh, inputs[IN_DATA_M]);
	KUNIT_EXPECT_TRUE(test, line.held);
	KUNIT_EXPECT_EQ(test, (int)feed(&coh, inputs[IN_FWD_GET_M]), DSM_COH_OK);
	KUNIT_ASSERT_EQ(test, coh.n_actions, 1);
	KUNIT_EXPECT_EQ(test, coh.actions[0].type, DSM_ACT_HOLD);
	KUNIT_EXPECT_EQ(test, line.state, DSM_LINE_M);
	/* One request at a time. */
	KUNIT_EXPECT_EQ(test, (int)feed(&coh, inputs[IN_FWD_GET_S]), DSM_COH_BAD);

	KUNIT_EXPECT_EQ(test, (int)feed(&coh, inputs[IN_HOLD_OVER]), DSM_COH_OK);
	KUNIT_ASSERT_EQ(test, coh.n_actions, 1);
	KUNIT_EXPECT_EQ(test, coh.actions[0].type, DSM_ACT_REVOKE);
	KUNIT_EXPECT_EQ(test, line.state, DSM_LINE_MI_R);
}

static void line_does_not_hold_prefetched_grant_test(struct kunit *test)
{
	struct dsm_event prefetch = inputs[IN_WRITE];
	struct dsm_line line = {};
	struct dsm_coh coh = coh_of(&line);

	prefetch.prefetch = true;
	feed(&coh, prefetch);
	feed(&coh, inputs[IN_DATA_M]);
	KUNIT_EXPECT_FALSE(test, line.held);
	KUNIT_EXPECT_EQ(test, (int)feed(&coh, inputs[IN_FWD_GET_M]), DSM_COH_OK);
	KUNIT_ASSERT_EQ(test, coh.n_actions, 1);
	KUNIT_EXPECT_EQ(test, coh.actions[0].type, DSM_ACT_REVOKE);
}

/* A thread that joins a prefetch makes it a grant somebody asked for. */
static void line_holds_joined_prefetch_test(struct kunit *test)
{
	struct dsm_event prefetch = inputs[IN_READ];
	struct dsm_line line = {};
	struct dsm_coh coh = coh_of(&line);

	prefetch.prefetch = true;
	feed(&coh, prefetch);
	feed(&coh, inputs[IN_READ]);
	KUNIT_EXPECT_EQ(test, coh.n_actions, 0);
	feed(&coh, inputs[IN_DATA]);
	KUNIT_EXPECT_TRUE(test, line.held);
}

/* Nor does a prefetch take away what was held. */
static void line_holds_through_prefetched_upgrade_test(struct kunit *test)
{
	struct dsm_event prefetch = inputs[IN_WRITE];
	struct dsm_line line = {};
	struct dsm_coh coh = coh_of(&line);

	prefetch.prefetch = true;
	feed(&coh, inputs[IN_READ]);
	feed(&coh, inputs[IN_DATA]);
	KUNIT_EXPECT_TRUE(test, coh.actions[1].held);
	feed(&coh, prefetch);
	feed(&coh, inputs[IN_GRANT_M]);
	KUNIT_EXPECT_EQ(test, line.state, DSM_LINE_M);
	/* But the hold does not begin anew. */
	KUNIT_ASSERT_EQ(test, coh.actions[0].type, DSM_ACT_WAKE);
	KUNIT_EXPECT_FALSE(test, coh.actions[0].held);
	KUNIT_EXPECT_EQ(test, (int)feed(&coh, inputs[IN_FWD_GET_M]), DSM_COH_OK);
	KUNIT_ASSERT_EQ(test, coh.n_actions, 1);
	KUNIT_EXPECT_EQ(test, coh.actions[0].type, DSM_ACT_HOLD);
}

/* The home is asked once to take a copy; after another grant, once more. */
static void line_evicts_once_test(struct kunit *test)
{
	struct dsm_line line = line_in(DSM_LINE_M);
	struct dsm_coh coh = coh_of(&line);

	feed(&coh, inputs[IN_EVICT]);
	KUNIT_EXPECT_EQ(test, coh.n_actions, 1);
	feed(&coh, inputs[IN_EVICT]);
	KUNIT_EXPECT_EQ(test, coh.n_actions, 0);
	/* A reader was there first: the home takes what is left, as it was asked to. */
	feed(&coh, inputs[IN_FWD_GET_S]);
	feed(&coh, inputs[IN_REVOKED]);
	KUNIT_EXPECT_EQ(test, line.state, DSM_LINE_S);
	KUNIT_EXPECT_TRUE(test, line.owner);
	feed(&coh, inputs[IN_EVICT]);
	KUNIT_ASSERT_EQ(test, coh.n_actions, 0);
	feed(&coh, inputs[IN_WRITE]);
	feed(&coh, inputs[IN_GRANT_M]);
	feed(&coh, inputs[IN_EVICT]);
	KUNIT_ASSERT_EQ(test, coh.n_actions, 1);
	KUNIT_EXPECT_EQ(test, coh.actions[0].msg.type, DSM_PUT_M);
}

/* The last writer, of which readers have the bytes, has to be ready to supply them. */
static void line_of_owner_is_not_dropped_test(struct kunit *test)
{
	struct dsm_line line = line_in(DSM_LINE_M);
	struct dsm_coh coh = coh_of(&line);

	feed(&coh, inputs[IN_FWD_GET_S]);
	feed(&coh, inputs[IN_REVOKED]);
	feed(&coh, inputs[IN_EVICT]);
	KUNIT_EXPECT_EQ(test, line.state, DSM_LINE_S);
	KUNIT_ASSERT_EQ(test, coh.n_actions, 1);
	KUNIT_EXPECT_EQ(test, coh.actions[0].msg.type, DSM_PUT_M);
	feed(&coh, inputs[IN_FWD_GET_S]);
	KUNIT_EXPECT_EQ(test, coh.actions[0].msg.type, DSM_DATA);
	/* The home has taken it. The next copy is one like others. */
	feed(&coh, inputs[IN_INV]);
	feed(&coh, inputs[IN_REVOKED]);
	feed(&coh, inputs[IN_READ]);
	feed(&coh, inputs[IN_HOME_DATA]);
	KUNIT_EXPECT_FALSE(test, line.owner);
}

/*
 * A copy that a thread has waited for, and has not used, stays. The home hears of an eviction
 * when access is gone, and not before.
 */
static void line_evicted_test(struct kunit *test)
{
	struct dsm_line line = {};
	struct dsm_coh coh = coh_of(&line);

	feed(&coh, inputs[IN_READ]);
	feed(&coh, inputs[IN_DATA]);
	KUNIT_ASSERT_TRUE(test, line.held);
	feed(&coh, inputs[IN_EVICT]);
	KUNIT_EXPECT_EQ(test, line.state, DSM_LINE_S);
	KUNIT_EXPECT_EQ(test, coh.n_actions, 0);
	feed(&coh, inputs[IN_HOLD_OVER]);
	feed(&coh, inputs[IN_EVICT]);
	KUNIT_EXPECT_TRUE(test, dsm_line_leaves(&line));
	KUNIT_EXPECT_FALSE(test, dsm_line_readable(&line));
	feed(&coh, inputs[IN_READ]);
	KUNIT_EXPECT_EQ(test, coh.n_actions, 0);
	feed(&coh, inputs[IN_REVOKED]);
	KUNIT_EXPECT_EQ(test, line.state, DSM_LINE_I);
	KUNIT_ASSERT_EQ(test, coh.n_actions, 2);
	KUNIT_EXPECT_EQ(test, coh.actions[0].msg.type, DSM_PUT_S);
	KUNIT_EXPECT_EQ(test, coh.actions[0].msg.to, HOME);
	KUNIT_EXPECT_EQ(test, coh.actions[0].msg.req, REQ);
	KUNIT_EXPECT_EQ(test, coh.actions[1].type, DSM_ACT_WAKE);
}

/* It is taken meanwhile: that is answered, once, and the home need not be told. */
static void line_taken_while_evicted_test(struct kunit *test)
{
	struct dsm_line line = line_in(DSM_LINE_S);
	struct dsm_coh coh = coh_of(&line);

	feed(&coh, inputs[IN_EVICT]);
	KUNIT_EXPECT_EQ(test, (int)feed(&coh, inputs[IN_INV]), DSM_COH_OK);
	KUNIT_EXPECT_EQ(test, coh.n_actions, 0);
	KUNIT_EXPECT_FALSE(test, dsm_line_leaves(&line));
	KUNIT_EXPECT_EQ(test, (int)feed(&coh, inputs[IN_INV]), DSM_COH_BAD);
	feed(&coh, inputs[IN_REVOKED]);
	KUNIT_EXPECT_EQ(test, line.state, DSM_LINE_I);
	KUNIT_ASSERT_EQ(test, coh.n_actions, 2);
	KUNIT_EXPECT_EQ(test, coh.actions[0].msg.type, DSM_INV_ACK);
	KUNIT_EXPECT_EQ(test, coh.actions[0].msg.to, OTHER);
	/* Once the bytes of another copy are here the home knows better. */
	feed(&coh, inputs[IN_WRITE]);
	KUNIT_EXPECT_EQ(test, (int)feed(&coh, with_acks(IN_DATA_M, 1)), DSM_COH_OK);
	KUNIT_EXPECT_EQ(test, (int)feed(&coh, inputs[IN_INV]), DSM_COH_BAD);
}

/* A hold that began in S is over in SM: the invalidation goes on there. */
static void line_hold_over_after_upgrade_request_test(struct kunit *test)
{
	struct dsm_line line = {};
	struct dsm_coh coh = coh_of(&line);

	feed(&coh, inputs[IN_READ]);
	feed(&coh, inputs[IN_DATA]);
	feed(&coh, inputs[IN_INV]);
	KUNIT_EXPECT_EQ(test, coh.actions[0].type, DSM_ACT_HOLD);
	feed(&coh, inputs[IN_WRITE]);
	KUNIT_EXPECT_EQ(test, line.state, DSM_LINE_SM);
	feed(&coh, inputs[IN_HOLD_OVER]);
	KUNIT_EXPECT_EQ(test, line.state, DSM_LINE_SMI_R);
	feed(&coh, inputs[IN_REVOKED]);
	KUNIT_EXPECT_EQ(test, line.state, DSM_LINE_IM);
	KUNIT_EXPECT_EQ(test, coh.actions[0].msg.type, DSM_INV_ACK);
	feed(&coh, inputs[IN_DATA_M]);
	KUNIT_EXPECT_EQ(test, line.state, DSM_LINE_M);
}

/* Nobody is given away what the home did not say may be. */
static void line_gives_away_test(struct kunit *test)
{
	struct dsm_line line = line_in(DSM_LINE_M);
	struct dsm_coh coh = coh_of(&line);

	line.written = true;
	KUNIT_EXPECT_EQ(test, (int)feed(&coh, inputs[IN_FWD_GET_S]), DSM_COH_OK);
	KUNIT_EXPECT_EQ(test, line.state, DSM_LINE_MS_R);
	line = line_in(DSM_LINE_M);
	feed(&coh, inputs[IN_WRITE]);
	KUNIT_EXPECT_TRUE(test, line.written);
	KUNIT_EXPECT_EQ(test, (int)feed(&coh, inputs[IN_FWD_GET_S_M]), DSM_COH_OK);
	KUNIT_EXPECT_EQ(test, line.state, DSM_LINE_MI_R);
	KUNIT_EXPECT_EQ(test, coh.actions[0].type, DSM_ACT_REVOKE);
	KUNIT_EXPECT_EQ(test, (int)feed(&coh, inputs[IN_REVOKED]), DSM_COH_OK);
	KUNIT_EXPECT_EQ(test, coh.actions[0].msg.type, DSM_DATA);
	KUNIT_EXPECT_EQ(test, coh.actions[0].msg.flags, DSM_WIRE_MODIFIED);
	KUNIT_EXPECT_EQ(test, line.state, DSM_LINE_I);
	KUNIT_EXPECT_FALSE(test, line.written);
	/* Who asked to read waits for nobody, and zeroes are not given away. */
	line = line_in(DSM_LINE_IS);
	KUNIT_EXPECT_EQ(test, (int)feed(&coh, with_acks(IN_DATA_M, 1)), DSM_COH_BAD);
	KUNIT_EXPECT_EQ(test, (int)feed(&coh, (struct dsm_event)MSG(DSM_GRANT,
		DSM_WIRE_ZERO | DSM_WIRE_MODIFIED, HOME, 0, 0, REQ)), DSM_COH_BAD);
	KUNIT_EXPECT_EQ(test, line.state, DSM_LINE_IS);
	/* Somebody who only expects to write has not written. */
	line = line_in(DSM_LINE_M);
	feed(&coh, (struct dsm_event){ DSM_EV_WRITE, .prefetch = true, .req = REQ });
	KUNIT_EXPECT_FALSE(test, line.written);
}

static struct kunit_case coherence_cases[] = {
	KUNIT_CASE(line_table_test),
	KUNIT_CASE(line_discards_once_at_a_time_test),
	KUNIT_CASE(line_held_is_not_dropped_test),
	KUNIT_CASE(home_frees_then_pulls_test),
	KUNIT_CASE(line_counts_acks_after_data_test),
	KUNIT_CASE(line_counts_acks_before_data_test),
	KUNIT_CASE(line_refuses_second_grant_test),
	KUNIT_CASE(line_says_done_after_acks_test),
	KUNIT_CASE(home_says_done_of_its_own_test),
	KUNIT_CASE(home_answers_test),
	KUNIT_CASE(line_refuses_grant_before_answer_test),
	KUNIT_CASE(line_refuses_unknown_event_test),
	KUNIT_CASE(line_refuses_other_requests_test),
	KUNIT_CASE(line_refuses_other_senders_test),
	KUNIT_CASE(line_holds_demanded_grant_test),
	KUNIT_CASE(line_does_not_hold_prefetched_grant_test),
	KUNIT_CASE(line_holds_joined_prefetch_test),
	KUNIT_CASE(line_holds_through_prefetched_upgrade_test),
	KUNIT_CASE(line_evicts_once_test),
	KUNIT_CASE(line_of_owner_is_not_dropped_test),
	KUNIT_CASE(line_evicted_test),
	KUNIT_CASE(line_taken_while_evicted_test),
	KUNIT_CASE(line_hold_over_after_upgrade_request_test),
	KUNIT_CASE(line_gives_away_test),
	KUNIT_CASE(line_lost_test),
	{}
};

static struct kunit_suite coherence_suite = {
	.name = "dsm_coherence",
	.test_cases = coherence_cases,
};

kunit_test_suite(coherence_suite);

MODULE_DESCRIPTION("KUnit tests of the DSM coherence core");
MODULE_LICENSE("GPL");
