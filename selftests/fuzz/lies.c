// SPDX-License-Identifier: GPL-2.0
/*
 * What one lying node can do to the others.
 *
 * The liar runs the protocol like every node. In addition it sends any message to any node, in
 * its own name: its helper's connection and dsm_msg_decode() ensure the name. It may do
 * anything with what it has been given. The other nodes keep the following for a block whose
 * home does not lie:
 *
 * - among them there is one writer and no reader, or no writer;
 * - a refused message changes nothing;
 * - entries and lines stay in valid states, and no node sends to a node that does not exist,
 *   or more than its caller has reserved.
 *
 * The first rule ends for a block when the liar has sent DATA or LOST, or INV_ACK to a
 * requester, with the number of a request that is under way there: a requester does not know
 * which node has the block and which nodes must drop it, so it cannot detect the lie. The liar
 * also need not serve requests, so a block may be stuck.
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

/* An event of a node's block, while its consequences are carried out. */
struct happening {
	struct dsm_engine engine;
	struct lies *l;
	unsigned int b;
	struct model_block *block;
	struct model_copy *copy;
	unsigned int left;	/* reserved messages that are not used yet */
	bool wait;		/* a reserved hold */
};

static struct happening *happening_of(struct dsm_engine *engine)
{
	return (struct happening *)((char *)engine - offsetof(struct happening, engine));
}

static void use_reserved(struct happening *h)
{
	FUZZ_CHECK(h->left, "more messages are needed than were reserved");
	h->left--;
}

static void engine_send(struct dsm_engine *engine, const struct dsm_coh_msg *msg)
{
	struct happening *h = happening_of(engine);
	struct lies *l = h->l;

	FUZZ_CHECK(msg->to < l->m.nodes, "a message to node %u", msg->to);
	use_reserved(h);
	if (l->m.n_flight == MODEL_FLIGHT) {
		l->full = true;
		return;
	}
	l->m.flight[l->m.n_flight++] = (struct model_msg){ .coh = *msg, .block = (u8)h->b };
}

static void engine_keep(struct dsm_engine *engine, const struct dsm_coh_msg *msg)
{
	struct happening *h = happening_of(engine);

	FUZZ_CHECK(h->block->n_waiting < MODEL_WAITING, "too many wait");
	use_reserved(h);
	h->block->waiting[h->block->n_waiting++] = *msg;
}

static bool engine_next(struct dsm_engine *engine, struct dsm_coh_msg *msg)
{
	struct happening *h = happening_of(engine);
	struct model_block *block = h->block;

	if (!block->n_waiting)
		return false;
	*msg = block->waiting[0];
	memmove(block->waiting, block->waiting + 1, --block->n_waiting * sizeof(*msg));
	h->left++;
	return true;
}

static bool engine_kept(struct dsm_engine *engine, u16 from, u8 type)
{
	const struct model_block *block = happening_of(engine)->block;

	for (unsigned int i = 0; i < block->n_waiting; i++)
		if (block->waiting[i].from == from && block->waiting[i].type == type)
			return true;
	return false;
}

static void engine_revoke(struct dsm_engine *engine, u8 how)
{
	struct model_copy *copy = happening_of(engine)->copy;

	FUZZ_CHECK(happening_of(engine)->wait, "revokes, and cannot wait");
	FUZZ_CHECK(!copy->revoke, "revoked while it is being revoked");
	copy->revoke = how;
}

static bool engine_hold(struct dsm_engine *engine)
{
	FUZZ_CHECK(happening_of(engine)->wait, "holds, and cannot wait");
	happening_of(engine)->copy->hold = true;
	return true;
}

static void engine_wake(struct dsm_engine *engine, bool held)
{
}

static void engine_decided(struct dsm_engine *engine, const struct dsm_event *ev,
			   enum dsm_coh_result result)
{
	FUZZ_CHECK(engine->coh.n_actions <= DSM_ACTIONS_MAX, "%u actions", engine->coh.n_actions);
}

static const struct dsm_engine_ops engine_ops = {
	.send = engine_send,
	.keep = engine_keep,
	.next = engine_next,
	.kept = engine_kept,
	.revoke = engine_revoke,
	.hold = engine_hold,
	.wake = engine_wake,
	.decided = engine_decided,
};

/* An event of a node's block. @lie: the event is a message of the liar. */
enum dsm_coh_result lies_feed(struct lies *l, unsigned int b, u16 node, const struct dsm_event *ev,
			      bool lie)
{
	struct model_block *block = &l->m.block[b], was;
	struct happening h = {
		.engine = {
			.coh = coh_of(l, b, node), .ops = &engine_ops,
			.writes_kept = &block->writes_kept,
		},
		.l = l, .b = b, .block = block, .copy = &block->copy[node],
	};
	struct dsm_engine_needs needs;
	u8 busy = h.engine.coh.dir ? h.engine.coh.dir->busy : 0;

	needs = dsm_engine_needs(&h.engine, ev);
	h.left = needs.messages;
	h.wait = needs.hold;
	was = *block;
	if (dsm_engine_step(&h.engine, ev) == DSM_COH_BAD) {
		FUZZ_CHECK(!memcmp(&was, block, sizeof(was)), "it refuses, and changes");
		return DSM_COH_BAD;
	}
	if (lie && (ev->msg.type == DSM_DATA || ev->msg.type == DSM_LOST ||
		    (ev->msg.type == DSM_INV_ACK && busy != DSM_PUT_M && busy != DSM_DISCARD)))
		l->broken |= 1U << b;
	block->pull |= h.engine.pull;
	return DSM_COH_OK;
}

void lies_deliver(struct lies *l, unsigned int i)
{
	struct model_msg msg = l->m.flight[i];
	struct dsm_event ev = { .type = DSM_EV_MSG, .msg = msg.coh };

	memmove(&l->m.flight[i], &l->m.flight[i + 1],
		(--l->m.n_flight - i) * sizeof(l->m.flight[0]));
	/* The event may be refused: after a lie an answer may make no sense. */
	lies_feed(l, msg.block, msg.coh.to, &ev, false);
}

static bool can_read(const struct model_copy *copy)
{
	/* A frame without a copy was unmapped before it is freed. */
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
