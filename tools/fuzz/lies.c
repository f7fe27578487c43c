// SPDX-License-Identifier: GPL-2.0
/*
 * What one lying node can do to the others.
 *
 * The liar runs the protocol as everybody does, and beside it says what it
 * likes to whom it likes, in its own name: its helper's connection and
 * dsm_msg_decode() see to the name. What it does with what it has been given
 * is its affair. The others, for a block whose home does not lie, keep this:
 *
 *  - one writer and no reader, or no writer, among them;
 *  - what is refused changes nothing;
 *  - entries and lines stay what they can be, nobody sends to a node that does
 *    not exist, or more than its caller has set aside.
 *
 * The first does not hold for a block after the liar has said DATA or
 * LOST, or INV_ACK to a requester, with the number of a request that is under way there:
 * a requester does not know who has the block and who must drop it, so it
 * cannot tell. Nor does the liar have to serve, so that a block may be stuck.
 */
#include "fuzz.h"
#include "lies.h"

static struct dsm_coh coh_of(struct lies *l, unsigned int b, u16 node)
{
	struct model_block *block = &l->m.block[b];

	block->dir.sharers = &block->sharers;
	return (struct dsm_coh){
		.self = node, .home = block->home, .nodes = l->m.nodes,
		.line = &block->copy[node].line,
		.dir = node == block->home ? &block->dir : NULL,
	};
}

static void send(struct lies *l, unsigned int b, const struct dsm_coh_msg *msg)
{
	FUZZ_CHECK(msg->to < l->m.nodes, "a message to node %u", msg->to);
	if (l->m.n_flight == MODEL_FLIGHT) {
		l->full = true;
		return;
	}
	l->m.flight[l->m.n_flight++] = (struct model_msg){ .coh = *msg, .block = (u8)b };
}

static unsigned int send_sharers(struct lies *l, unsigned int b, const struct dsm_action *act)
{
	struct dsm_coh_msg msg = act->msg;
	unsigned int n = 0;

	for (msg.to = 0; msg.to < l->m.nodes; msg.to++) {
		if (msg.to == act->skip || msg.to == msg.node ||
		    !dsm_sharers_has(&l->m.block[b].sharers, msg.to))
			continue;
		send(l, b, &msg);
		n++;
	}
	return n;
}

/* A correct node has one request of a kind at a time: block.c refuses others. */
static bool waits_already(const struct model_block *block, const struct dsm_coh_msg *msg)
{
	for (unsigned int i = 0; i < block->n_waiting; i++)
		if (block->waiting[i].from == msg->from && block->waiting[i].type == msg->type)
			return true;
	return false;
}

/* Does what follows. Returns whether the oldest deferred message comes next. */
static bool perform(struct lies *l, unsigned int b, const struct dsm_coh *coh,
		    const struct dsm_event *ev, unsigned int *sends)
{
	struct model_block *block = &l->m.block[b];
	struct model_copy *copy = &block->copy[coh->self];
	bool next = false;

	for (unsigned int i = 0; i < coh->n_actions; i++) {
		const struct dsm_action *act = &coh->actions[i];

		switch ((enum dsm_action_type)act->type) {
		case DSM_ACT_SEND:
			send(l, b, &act->msg);
			++*sends;
			break;
		case DSM_ACT_SEND_SHARERS:
			*sends += send_sharers(l, b, act);
			break;
		case DSM_ACT_REVOKE:
		case DSM_ACT_CLEAN:
		case DSM_ACT_DROP:
			FUZZ_CHECK(!copy->revoke, "revoked while it is being revoked");
			copy->revoke = act->type;
			break;
		case DSM_ACT_HOLD:
			copy->hold = true;
			break;
		case DSM_ACT_WAKE:
			break;
		case DSM_ACT_DEFER:
			FUZZ_CHECK(block->n_waiting < MODEL_WAITING, "too many wait");
			block->waiting[block->n_waiting++] = ev->msg;
			break;
		case DSM_ACT_NEXT:
			next = block->n_waiting;
			break;
		case DSM_ACT_PULL:
			block->pull = true;
			break;
		}
	}
	return next;
}

static struct dsm_coh_msg waiting_take(struct model_block *block)
{
	struct dsm_coh_msg msg = block->waiting[0];

	memmove(block->waiting, block->waiting + 1, --block->n_waiting * sizeof(msg));
	return msg;
}

/*
 * What is deferred and then refused is dropped, as block.c does; there, the message
 * it was kept in serves what is sent, one more of @max each time.
 */
static void feed_waiting(struct lies *l, unsigned int b, u16 node, unsigned int *sends,
			 unsigned int *max)
{
	struct model_block *block = &l->m.block[b];
	bool next = true;

	while (next && block->n_waiting) {
		struct dsm_event ev = { .type = DSM_EV_MSG, .msg = waiting_take(block) };
		struct dsm_coh coh = coh_of(l, b, node);

		++*max;
		if (dsm_coh_event(&coh, &ev) == DSM_COH_OK)
			next = perform(l, b, &coh, &ev, sends);
	}
}

/* Something happens to a node's block; @lie: what the liar has said to it. */
enum dsm_coh_result lies_feed(struct lies *l, unsigned int b, u16 node, const struct dsm_event *ev,
			      bool lie)
{
	struct model_block *block = &l->m.block[b], was;
	struct dsm_coh coh = coh_of(l, b, node);
	/* A DONE that adds two sharers may let in the next request. */
	unsigned int sends = 0, max = dsm_coh_sends_max(&coh) + (coh.dir ? 2 : 0);
	u8 busy = coh.dir ? coh.dir->busy : 0;

	if (ev->type == DSM_EV_MSG && coh.dir && waits_already(block, &ev->msg))
		return DSM_COH_BAD;
	was = *block;
	if (dsm_coh_event(&coh, ev) == DSM_COH_BAD) {
		FUZZ_CHECK(!coh.n_actions && !memcmp(&was, block, sizeof(was)),
			   "it refuses, and changes");
		return DSM_COH_BAD;
	}
	FUZZ_CHECK(coh.n_actions <= DSM_ACTIONS_MAX, "%u actions", coh.n_actions);
	if (lie && (ev->msg.type == DSM_DATA || ev->msg.type == DSM_LOST ||
		    (ev->msg.type == DSM_INV_ACK && busy != DSM_PUT_S && busy != DSM_DISCARD)))
		l->broken |= 1U << b;
	if (perform(l, b, &coh, ev, &sends))
		feed_waiting(l, b, node, &sends, &max);
	FUZZ_CHECK(sends <= max, "%u messages, where %u were set aside", sends, max);
	return DSM_COH_OK;
}

void lies_deliver(struct lies *l, unsigned int i)
{
	struct model_msg msg = l->m.flight[i];
	struct dsm_event ev = { .type = DSM_EV_MSG, .msg = msg.coh };

	memmove(&l->m.flight[i], &l->m.flight[i + 1],
		(--l->m.n_flight - i) * sizeof(l->m.flight[0]));
	/* It may be refused: after a lie an answer may make no sense. */
	lies_feed(l, msg.block, msg.coh.to, &ev, false);
}

static bool can_read(const struct model_copy *copy)
{
	/* What is being freed without a copy was taken from the page tables before. */
	return dsm_line_readable(&copy->line) ||
	       (copy->revoke && copy->line.state != DSM_LINE_II_R);
}

static bool can_write(const struct model_copy *copy)
{
	u8 state = copy->line.state;

	return dsm_line_writable(&copy->line) ||
	       (copy->revoke && (state == DSM_LINE_MI_R || state == DSM_LINE_MS_R));
}

static void check_access(const struct lies *l, unsigned int b)
{
	unsigned int readers = 0, writers = 0;

	for (u16 node = 0; node < l->m.nodes; node++) {
		const struct model_copy *copy = &l->m.block[b].copy[node];

		if (node == l->liar)
			continue;
		readers += can_read(copy);
		writers += can_write(copy);
	}
	FUZZ_CHECK(writers <= 1, "block %u: two writers", b);
	FUZZ_CHECK(!writers || readers == 1, "block %u: a writer and a reader", b);
}

void lies_check(const struct lies *l)
{
	for (unsigned int b = 0; b < l->m.blocks; b++) {
		const struct model_block *block = &l->m.block[b];

		if (block->home == l->liar)
			continue;
		FUZZ_CHECK(block->dir.state < DSM_DIR_STATES && block->dir.owner < l->m.nodes &&
			   block->dir.requester < l->m.nodes && !(block->sharers >> l->m.nodes),
			   "an entry that cannot be");
		for (u16 node = 0; node < l->m.nodes; node++)
			FUZZ_CHECK(block->copy[node].line.state < DSM_LINE_STATES &&
				   block->copy[node].line.acks < l->m.nodes,
				   "a line that cannot be");
		if (!(l->broken >> b & 1))
			check_access(l, b);
	}
}
