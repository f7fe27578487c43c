// SPDX-License-Identifier: GPL-2.0
/*
 * Blocks: the coherence protocol at work.
 *
 * engine.c drives the protocol; here are its operations. An event of a block is
 * taken under the block's lock. Messages to peers go to their queues, messages to
 * this node to the caller's batch, and a request that has to wait to the block.
 * Work that sleeps is done afterwards, in the caller's context: taking access from
 * page tables, which is then an event of the block again, and delivering the
 * batch's messages (link.c).
 *
 * Nothing is allocated under the lock, and nothing fails once an event has
 * been taken: memory is reserved first.
 *
 * Messages to ourselves are in their batch's order, and may overtake those of
 * another batch. The protocol never has two in flight from the home to its own
 * line, or the other way, but DONE and the line's next request, which waits at
 * the home for whichever comes first.
 */
#include <linux/slab.h>
#include "batch.h"
#include "block.h"
#include "chunk.h"
#include "compat.h"
#include "engine.h"
#include "envelope.h"
#include "frames.h"
#include "hold.h"
#include "link.h"
#include "msg.h"
#include "node.h"
#include "peer.h"
#include "reclaim.h"
#include "region.h"
#include "trace.h"
#include "wait.h"

enum block_limits {
	RETRY_US	= 1000,		/* at first, */
	RETRY_SHIFT	= 6,		/* doubled so many times */

	/*
	 * Pages of a block times mappings of the region. Each takes 2 to 5 us: it is some
	 * ten times as long as it takes to wake a worker, and a hundredth of a heartbeat.
	 */
	REVOKE_SHORT	= 256,
};

/* ------------------------------------------------------------------------
 * Events
 */

/**
 * struct step - an event of a block, and what follows from it
 * @engine: the protocol, around @block
 * @region: the block's region
 * @chunk: ... chunk
 * @index: ... number
 * @block: the block
 * @batch: where messages come from and go to
 * @revoke: DSM_ACT_REVOKE, _CLEAN or _DROP is to be done when the lock has been dropped;
 *	or 0
 * @free: what is left of a copy that was evicted is of no use
 * @unreadable: bytes were to be sent, and have a memory error
 */
struct step {
	struct dsm_engine engine;
	struct dsm_region *region;
	struct dsm_chunk *chunk;
	u64 index;
	struct dsm_block *block;
	struct dsm_batch *batch;
	u8 revoke;
	bool free;
	bool unreadable;
};

static struct step *step_of(struct dsm_engine *engine)
{
	return container_of(engine, struct step, engine);
}

static void step_send(struct dsm_engine *engine, const struct dsm_coh_msg *coh)
{
	struct step *step = step_of(engine);
	struct dsm_region *region = step->region;
	struct dsm_node *node = region->node;
	struct dsm_msg *msg = dsm_batch_take(step->batch);
	u32 size = dsm_region_block_size(region);
	bool ours;

	lockdep_assert_held(&step->block->lock);

	dsm_envelope_fill(msg, coh);
	msg->region = region->id;
	msg->block = step->index;
	msg->offset = step->index << region->block_shift;
	if (coh->to == node->id) {
		dsm_batch_add_local(step->batch, msg);
		return;
	}
	if (coh->type == DSM_DATA && dsm_frames_poisoned(region, step->index)) {
		dsm_msg_lose(msg);
		step->unreadable = true;
	} else if (coh->type == DSM_DATA) {
		msg->data_len = size;
		WRITE_ONCE(step->block->supplied, true);
		dsm_stat(region, DSM_STAT_bytes_out, size);
	}
	if (msg->type == DSM_LOST)
		dsm_stat(region, DSM_STAT_lost, 1);
	ours = coh->type == DSM_GET_S || coh->type == DSM_GET_M ||
	       ((coh->type == DSM_FWD_GET_S || coh->type == DSM_FWD_GET_M) &&
		coh->node == node->id);
	if (ours)
		msg->expect_len = size;
	dsm_peer_queue(node->peers[coh->to], msg);
}

static void step_keep(struct dsm_engine *engine, const struct dsm_coh_msg *coh)
{
	struct step *step = step_of(engine);
	struct dsm_msg *msg = dsm_batch_take(step->batch);

	lockdep_assert_held(&step->block->lock);

	dsm_envelope_fill(msg, coh);
	list_add_tail(&msg->list, &step->block->waiting);
}

static bool step_next(struct dsm_engine *engine, struct dsm_coh_msg *coh)
{
	struct step *step = step_of(engine);
	struct dsm_msg *msg = list_first_entry_or_null(&step->block->waiting, struct dsm_msg, list);

	lockdep_assert_held(&step->block->lock);

	if (!msg)
		return false;
	*coh = dsm_envelope_open(msg);
	list_del(&msg->list);
	dsm_batch_give(step->batch, msg);
	return true;
}

static bool step_kept(struct dsm_engine *engine, u16 from, u8 type)
{
	const struct dsm_msg *msg;

	lockdep_assert_held(&step_of(engine)->block->lock);

	list_for_each_entry(msg, &step_of(engine)->block->waiting, list)
		if (msg->from == from && msg->type == type)
			return true;
	return false;
}

static void step_revoke(struct dsm_engine *engine, u8 how)
{
	step_of(engine)->revoke = how;
}

/* A fresh grant has to be given away: now, or in a while? */
static bool step_hold(struct dsm_engine *engine)
{
	struct step *step = step_of(engine);
	struct dsm_hold *hold = step->batch->hold;
	u64 left_ns = dsm_hold_left(step->block);

	lockdep_assert_held(&step->block->lock);

	if (!left_ns)
		return false;
	step->batch->hold = NULL;
	dsm_region_get(step->region);
	hold->region = step->region;
	hold->index = step->index;
	hold->event = DSM_EV_HOLD_OVER;
	step->block->hold = hold;
	dsm_hold_start(hold, left_ns);
	dsm_stat(step->region, DSM_STAT_held, 1);
	return true;
}

static void step_wake(struct dsm_engine *engine, bool held)
{
	struct step *step = step_of(engine);

	if (held)
		dsm_hold_granted(step->block, READ_ONCE(step->region->node->hold_us));
	__set_bit(dsm_waitqueue_index(step->block), step->batch->wakes.queues);
}

static const struct dsm_engine_ops step_ops = {
	.send	= step_send,
	.keep	= step_keep,
	.next	= step_next,
	.kept	= step_kept,
	.revoke	= step_revoke,
	.hold	= step_hold,
	.wake	= step_wake,
};

static void step_init(struct step *step, struct dsm_region *region, struct dsm_chunk *chunk,
		      u64 index, struct dsm_batch *batch)
{
	struct dsm_block *block = dsm_chunk_block(region, chunk, index);
	struct dsm_node *node = region->node;

	*step = (struct step){
		.engine = {
			.coh = {
				.self = node->id,
				.home = dsm_chunk_home(chunk),
				.nodes = node->nodes,
				.line = &block->line,
			},
			.ops = &step_ops,
			.writes_kept = &block->writes_waiting,
		},
		.region = region,
		.chunk = chunk,
		.index = index,
		.block = block,
		.batch = batch,
	};
	if (step->engine.coh.home == node->id)
		step->engine.coh.dir = &block->dir;
}

/* @before: the line's state when the event came. */
static void count(const struct step *step, const struct dsm_event *ev, u8 before)
{
	struct dsm_region *region = step->region;

	if (step->revoke == DSM_ACT_CLEAN)
		dsm_stat(region, DSM_STAT_downgrades, 1);
	else if (step->revoke && ev->type != DSM_EV_FREE)
		dsm_stat(region, DSM_STAT_invalidations, 1);
	if (ev->type != DSM_EV_MSG)
		return;
	if (ev->msg.type == DSM_DATA)
		dsm_stat(region, DSM_STAT_bytes_in, dsm_region_block_size(region));
	else if (ev->msg.type == DSM_LOST)
		dsm_stat(region, DSM_STAT_lost, 1);
	else if (ev->msg.type == DSM_GRANT && (ev->msg.flags & DSM_WIRE_ZERO))
		dsm_stat(region, DSM_STAT_zero_grants, 1);
	else if (ev->msg.type == DSM_GRANT && before == DSM_LINE_SM)
		dsm_stat(region, DSM_STAT_upgrades, 1);
}

/* An event that had to wait goes on with dsm_block_event(), which may have it wait again. */
static void hold_over(struct dsm_hold *hold);

/* At the home: may the event let it pull another node's copy? That waits for memory. */
static bool may_pull(const struct step *step, const struct dsm_event *ev)
{
	return step->engine.coh.dir &&
	       (step->block->line.put || !list_empty(&step->block->waiting) ||
		(ev->type == DSM_EV_MSG && ev->msg.type == DSM_PUT_M));
}

static int reserve(struct step *step, const struct dsm_engine_needs *needs, gfp_t gfp)
{
	struct dsm_batch *batch = step->batch;
	int err = dsm_batch_reserve(batch, needs->messages, gfp);

	if (err)
		return err;
	if (needs->hold && !batch->hold) {
		batch->hold = dsm_hold_create(hold_over, gfp);
		if (!batch->hold)
			return -ENOMEM;
	}
	if (needs->sharers && !batch->sharers) {
		batch->sharers = dsm_sharers_alloc(step->region, gfp);
		if (!batch->sharers)
			return -ENOMEM;
	}
	return 0;
}

/*
 * Take the block's lock with all that @ev needs reserved. Memory is reserved without
 * the lock, and the block may need more by then.
 */
static int lock_reserved(struct step *step, const struct dsm_event *ev, gfp_t gfp)
{
	struct dsm_block *block = step->block;
	struct dsm_engine_needs needs;
	int err;

	for (;;) {
		spin_lock(&block->lock);
		needs = dsm_engine_needs(&step->engine, ev);
		needs.sharers = needs.sharers && dsm_sharers_missing(block);
		needs.hold = needs.hold || may_pull(step, ev);
		if (dsm_batch_has(step->batch, &needs))
			break;
		spin_unlock(&block->lock);
		err = reserve(step, &needs, gfp);
		if (err)
			return err;
	}
	if (needs.sharers)
		step->batch->sharers = dsm_sharers_replace(block, step->batch->sharers);
	return 0;
}

/* One event, under the block's lock, and the kept requests that it lets in. */
static int step_run(struct step *step, const struct dsm_event *ev, gfp_t gfp)
{
	struct dsm_region *region = step->region;
	struct dsm_block *block = step->block;
	u16 node = region->node->id;
	struct dsm_line was;
	bool lost = false;
	u64 *unused = NULL;
	u8 dir;
	int err = lock_reserved(step, ev, gfp);

	if (err)
		return err;
	/* A hold that nobody waits for ends unseen. */
	if (ev->type == DSM_EV_EVICT && !block->line.fwd.type && !dsm_hold_left(block))
		block->line.held = false;
	was = block->line;
	dir = block->dir.state;
	if (dsm_engine_step(&step->engine, ev) == DSM_COH_OK)
		count(step, ev, was.state);
	else
		err = -EPROTO;
	if (block->line.state != was.state) {
		trace_dsm_line_state(node, region->id, step->index, was.state, block->line.state);
		if (dsm_line_outstanding(&block->line) || block->line.state == DSM_LINE_I)
			WRITE_ONCE(block->asked, jiffies);
		lost = block->line.state == DSM_LINE_I && was.state != DSM_LINE_II_R &&
		       !dsm_line_leaves(&was);
	}
	if (!step->engine.coh.dir)
		step->free = dsm_reclaim_account(region, step->chunk, step->index, block, &was);
	if (block->dir.state != dir)
		trace_dsm_dir_state(node, region->id, step->index, dir, block->dir.state,
				    block->dir.owner);
	/* Nobody shares it: written, or discarded just now. */
	if ((block->dir.state == DSM_DIR_M ||
	     (block->dir.state == DSM_DIR_ZERO && dir != DSM_DIR_ZERO)) &&
	    !dsm_sharers_missing(block))
		unused = dsm_sharers_replace(block, NULL);
	spin_unlock(&block->lock);
	kfree(unused);
	if (lost)
		dsm_chunk_mark_stale(region, step->chunk, step->index);
	return err;
}

/*
 * May the block's bytes not have got to whom they were given? It cannot be reached, perhaps.
 * The block's state lets nobody supply them just now.
 */
static bool sending(struct dsm_region *region, struct dsm_chunk *chunk, u64 index)
{
	struct dsm_block *block = dsm_chunk_block(region, chunk, index);

	if (!READ_ONCE(block->supplied))
		return false;
	if (dsm_peers_sending(region->node, region->id, index))
		return true;
	WRITE_ONCE(block->supplied, false);
	return false;
}

/* Take access from the frames, and free them if they are of no use. */
static int revoke(struct dsm_region *region, u64 index, u8 how)
{
	int err = dsm_frames_revoke(region, index, how == DSM_ACT_CLEAN);
	struct dsm_chunk *chunk;

	if (err || how != DSM_ACT_DROP)
		return err;
	chunk = dsm_chunk_find(region, dsm_region_chunk_of(region, index));
	if (sending(region, chunk, index)) {
		if (dsm_chunk_home(chunk) == region->node->id ||
		    !dsm_reclaim_later(region, index))
			dsm_chunk_mark_stale(region, chunk, index);
		return 0;
	}
	if (dsm_frames_free(region, index))
		dsm_stat(region, DSM_STAT_frames_freed, 1);
	return 0;
}

/* Could a revocation take long? Its caller may be the helper, with other nodes' messages. */
static bool revoke_takes_long(const struct dsm_region *region)
{
	u64 mappings = atomic_read(&region->mappings);

	return mappings << (region->block_shift - PAGE_SHIFT) > REVOKE_SHORT;
}

/*
 * Of a block there is one revocation at a time, so that nothing is done out of order: its
 * state says that it is being taken away until that has been done.
 */
static void revoke_elsewhere(struct dsm_region *region, u64 index, u8 how, struct dsm_hold *hold)
{
	dsm_region_get(region);
	hold->region = region;
	hold->index = index;
	hold->event = DSM_EV_REVOKED;
	hold->how = how;
	dsm_stat(region, DSM_STAT_revoked_later, 1);
	dsm_hold_start_long(hold);
}

/* Try again until it can be done, and less and less often. */
static void try_later(struct dsm_hold *hold)
{
	u64 wait_us = (u64)RETRY_US << hold->tries;

	hold->tries = min(hold->tries + 1, RETRY_SHIFT);
	dsm_hold_start(hold, wait_us * NSEC_PER_USEC);
}

/*
 * Try again later, with the hold that was set aside for that: REVOKED, if a page is under
 * DMA, or WRITE, if there is no memory for the copy that it pulls.
 */
static void later(struct dsm_region *region, u64 index, u8 event, u8 how, struct dsm_batch *batch)
{
	struct dsm_hold *hold = batch->hold;

	batch->hold = NULL;
	dsm_region_get(region);
	hold->region = region;
	hold->index = index;
	hold->event = event;
	hold->how = how;
	try_later(hold);
}

/*
 * Is the block to read as zeroes, where something is left of a copy that this
 * node once had? Whoever else gets here with the same grant tells a lie, and
 * nothing is in the frames that anybody could read.
 */
static bool grants_zeroes(struct dsm_region *region, struct dsm_chunk *chunk, u64 index,
			  const struct dsm_event *ev)
{
	struct dsm_block *block = dsm_chunk_block(region, chunk, index);
	struct dsm_line *line = &block->line;
	bool ret;

	if (ev->type != DSM_EV_MSG || ev->msg.type != DSM_GRANT ||
	    !(ev->msg.flags & DSM_WIRE_ZERO) || !dsm_frames_present(region, index))
		return false;
	spin_lock(&block->lock);
	ret = (line->state == DSM_LINE_IS || line->state == DSM_LINE_IM) && !line->have &&
	      line->req == ev->msg.req && ev->msg.from == dsm_chunk_home(chunk);
	spin_unlock(&block->lock);
	return ret;
}

/**
 * dsm_block_event() - something happens to a block
 * @region: the region
 * @chunk: the block's
 * @index: the block
 * @ev: what
 * @batch: where what follows goes; to be run and ended by the caller
 * @gfp: how to allocate
 *
 * Sleeps. Return: 0; -EPROTO, no correct node would have said that; -ENOMEM.
 * In both nothing has changed.
 */
int dsm_block_event(struct dsm_region *region, struct dsm_chunk *chunk, u64 index,
		    const struct dsm_event *ev, struct dsm_batch *batch, gfp_t gfp)
{
	struct dsm_event next = *ev;
	struct step step;

	if (grants_zeroes(region, chunk, index, ev))
		dsm_frames_zero(region, index);
	step_init(&step, region, chunk, index, batch);
	for (;;) {
		int err;

		step.revoke = 0;
		step.free = false;
		step.unreadable = false;
		err = step_run(&step, &next, gfp);
		if (err)
			return err;
		/* From here on nothing can be taken back, so nothing may fail. */
		gfp = DSM_GFP_MUST;
		if (step.revoke) {
			if (revoke_takes_long(region)) {
				revoke_elsewhere(region, index, step.revoke, batch->hold);
				batch->hold = NULL;
				return 0;
			}
			if (revoke(region, index, step.revoke)) {
				dsm_stat(region, DSM_STAT_pinned, 1);
				later(region, index, DSM_EV_REVOKED, step.revoke, batch);
				return 0;
			}
			next = (struct dsm_event){ .type = DSM_EV_REVOKED };
		} else if (dsm_engine_follow(&step.engine, &next)) {
			if (next.type != DSM_EV_WRITE)
				continue;
			if (batch->hold && dsm_frames_prepare(region, index, false)) {
				later(region, index, DSM_EV_WRITE, 0, batch);
				return 0;
			}
			next.req = dsm_node_next_req(region->node);
		} else if (step.free || step.unreadable) {
			/* Before it is fetched into again; not if it is in use. */
			next = (struct dsm_event){ .type = DSM_EV_FREE };
		} else {
			return 0;
		}
	}
}

/* An event that had to wait goes on, or waits again. */
static void hold_over(struct dsm_hold *hold)
{
	struct dsm_event ev = { .type = hold->event };
	struct dsm_region *region = hold->region;
	u64 index = hold->index;
	struct dsm_chunk *chunk = dsm_chunk_find(region, dsm_region_chunk_of(region, index));
	struct dsm_block *block = dsm_chunk_block(region, chunk, index);
	struct dsm_batch batch;

	/* Nobody waits for the answer, and a page may be pinned for ever. */
	if (READ_ONCE(region->dead))
		goto put;
	if ((hold->event == DSM_EV_REVOKED && revoke(region, index, hold->how)) ||
	    (hold->event == DSM_EV_WRITE && dsm_frames_prepare(region, index, false))) {
		try_later(hold);
		return;
	}
	if (hold->event == DSM_EV_WRITE) {
		ev.prefetch = true;
		ev.req = dsm_node_next_req(region->node);
	}
	/* Nobody restarts the timer when the block does not point here. */
	spin_lock(&block->lock);
	if (block->hold == hold)
		block->hold = NULL;
	spin_unlock(&block->lock);

	dsm_batch_init(&batch);
	/* Refused only after a lie of another node, which spoils that block alone. */
	if (dsm_block_event(region, chunk, index, &ev, &batch, DSM_GFP_MUST))
		pr_warn_ratelimited("node %u: region %u, block %llu: another node's fault\n",
				    region->node->id, region->id, index);
	dsm_batch_end(&batch, region->node);
put:
	dsm_hold_destroy(hold);
	dsm_region_put(region);
}

/* ------------------------------------------------------------------------
 * Messages
 */

static bool for_home(u8 type)
{
	return dsm_engine_is_request(type) || type == DSM_DONE;
}

static bool wants_bytes(struct dsm_block *block, u32 req)
{
	bool wants;

	spin_lock(&block->lock);
	wants = dsm_line_outstanding(&block->line) && !block->line.have &&
		block->line.req == req;
	spin_unlock(&block->lock);
	return wants;
}

/*
 * Bytes that are not where they were expected. If they are wanted, the helper
 * did not know, or could not write there: it is told, and they come again.
 */
static int data_lost(struct dsm_region *region, struct dsm_block *block,
		     const struct dsm_msg *msg)
{
	struct dsm_node *node = region->node;

	if (!wants_bytes(block, msg->req))
		return -EPROTO;
	dsm_frames_repair(region, msg->block);
	return node->carrier->expect(node, region->id, msg->block << region->block_shift,
				     msg->data_len, msg->req) ?: -EAGAIN;
}

/* The request must not expect bytes if it is sent again. */
static void expect_over(struct dsm_region *region, struct dsm_chunk *chunk,
			const struct dsm_msg *msg)
{
	u16 asked = dsm_chunk_home(chunk);

	/* We asked the home, or, being it, whoever answers. */
	if (asked == region->node->id)
		asked = msg->from;
	if (asked != region->node->id)
		dsm_peer_expect_over(region->node->peers[asked], msg->req);
}

/**
 * dsm_block_receive() - a message about a block
 * @region: the region
 * @msg: the message; stays the caller's
 * @in_window: DATA: the bytes are in the frames
 * @batch: where what follows goes
 *
 * Return: as dsm_receive().
 */
int dsm_block_receive(struct dsm_region *region, struct dsm_msg *msg, bool in_window,
		      struct dsm_batch *batch)
{
	struct dsm_event ev = { .type = DSM_EV_MSG, .msg = dsm_envelope_open(msg) };
	struct dsm_chunk *chunk;
	struct dsm_block *block;
	int err;

	if (msg->block >= dsm_region_blocks(region))
		return -EPROTO;
	chunk = dsm_chunk_get(region, dsm_region_chunk_of(region, msg->block), GFP_KERNEL);
	if (!chunk)
		return -ENOMEM;
	if (dsm_chunk_home(chunk) == DSM_NO_HOME) {
		if (!for_home(msg->type))
			return -EPROTO;
		err = dsm_chunk_defer_early(chunk, msg);
		if (err != -EAGAIN)
			return err;
	}
	block = dsm_chunk_block_get(region, chunk, msg->block,
				    msg->must ? DSM_GFP_MUST : GFP_KERNEL);
	if (!block)
		return -ENOMEM;
	/* Bytes of our own have not moved. */
	if (msg->type == DSM_DATA && !msg->must) {
		if (msg->data_len != dsm_region_block_size(region))
			return -EBADMSG;
		if (!in_window)
			return data_lost(region, block, msg);
	}
	/* Before the page is in use: if this is refused, see data_lost(). */
	if (msg->type == DSM_DATA || msg->type == DSM_LOST || msg->type == DSM_GRANT)
		expect_over(region, chunk, msg);
	return dsm_block_event(region, chunk, msg->block, &ev, batch,
			       msg->must ? DSM_GFP_MUST : GFP_KERNEL);
}

/* ------------------------------------------------------------------------
 * All blocks
 */

/* The block, or NULL if this node has never had to do with it. */
struct dsm_block *dsm_block_find(struct dsm_region *region, u64 index)
{
	struct dsm_chunk *chunk = dsm_chunk_find(region, dsm_region_chunk_of(region, index));

	return chunk ? dsm_chunk_block(region, chunk, index) : NULL;
}

/**
 * dsm_block_unreadable() - are bytes lost that are to be sent again?
 * @node: us
 * @id: the region
 * @index: the block
 *
 * Sleeps.
 */
bool dsm_block_unreadable(struct dsm_node *node, u32 id, u64 index)
{
	struct dsm_region *region = dsm_region_get_id(node, id);
	bool lost;

	if (!region)
		return false;
	lost = dsm_frames_unreadable(region, index);
	if (lost)
		dsm_stat(region, DSM_STAT_lost, 1);
	dsm_region_put(region);
	return lost;
}

static int expect_region(struct dsm_region *region)
{
	struct dsm_node *node = region->node;
	u32 i, n = dsm_chunk_blocks(region);
	struct dsm_chunk *chunk;
	unsigned long number;
	int err;

	xa_for_each(&region->chunks, number, chunk) {
		for (i = 0; i < n; i++) {
			struct dsm_block *block = dsm_chunk_block(region, chunk, i);
			u64 offset = ((u64)number * n + i) << region->block_shift;
			bool out;
			u32 req;

			if (!block)
				continue;
			spin_lock(&block->lock);
			out = dsm_line_outstanding(&block->line) && !block->line.have;
			req = block->line.req;
			spin_unlock(&block->lock);
			if (!out)
				continue;
			/* data_lost() tells the helper the rest. */
			err = node->carrier->expect(node, region->id, offset,
						    dsm_region_block_size(region), req);
			if (err)
				return err == -EAGAIN ? 0 : err;
		}
		cond_resched();
	}
	return 0;
}

/*
 * Tell a new helper of every request for which bytes may come. It has been told that it
 * is the helper, so nothing here can take that back: data_lost() tells it the rest.
 */
void dsm_blocks_expect(struct dsm_node *node)
{
	struct dsm_region *region;
	u32 id = 0;
	int err = 0;

	while (!err && (region = dsm_region_get_after(node, id))) {
		id = region->id;
		err = expect_region(region);
		dsm_region_put(region);
	}
}
