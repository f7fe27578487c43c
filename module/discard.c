// SPDX-License-Identifier: GPL-2.0
/*
 * Frames given back to the kernel.
 *
 * A discard makes a range of blocks zeroes again, as before they were first written:
 * each block's home takes it from the nodes that have it, and they free its frames
 * (DSM_ACT_DROP).
 *
 * Stale frames belong to a copy that was taken from this node, and nobody can read them.
 * They are freed when the block has not been fetched again for a while. Not at once: the
 * page of a block that two nodes take from each other would be freed and allocated each
 * time, and a page whose bytes have been granted has to stay until the helper has sent them.
 */
#include <linux/overflow.h>
#include <linux/sched/signal.h>
#include "block.h"
#include "chunk.h"
#include "discard.h"
#include "frames.h"
#include "link.h"
#include "node.h"
#include "peer.h"
#include "region.h"
#include "wait.h"

/* ------------------------------------------------------------------------
 * Discards
 */

/* Has nobody the block, and nobody ever written it? Then there is nothing to do. */
static bool is_zeroes(struct dsm_region *region, struct dsm_chunk *chunk, struct dsm_block *block)
{
	u32 nodes = region->node->nodes;
	bool ret;

	if (dsm_chunk_home(chunk) != region->node->id)
		return false;
	if (!block)
		return true;
	spin_lock(&block->lock);
	ret = block->dir.state == DSM_DIR_ZERO && !block->dir.busy && !block->line.discards &&
	      dsm_sharers_next(block->dir.sharers, nodes, 0) == nodes;
	spin_unlock(&block->lock);
	return ret;
}

static bool discards(struct dsm_block *block)
{
	bool ret;

	if (!block)
		return false;
	spin_lock(&block->lock);
	ret = block->line.discards;
	spin_unlock(&block->lock);
	return ret;
}

/* Wait until no block from @first to @last is being discarded for this node. */
static int wait_discarded(struct dsm_region *region, struct dsm_chunk *chunk, u64 first, u64 last,
			  unsigned long deadline)
{
	u64 i;
	int err = 0;

	for (i = first; i <= last && !err; i++) {
		struct dsm_block *block = dsm_chunk_block(region, chunk, i);

		if (discards(block))
			err = dsm_wait_killable(dsm_waitqueue(block), !discards(block), deadline);
	}
	return err;
}

static int ask_all(struct dsm_region *region, struct dsm_chunk *chunk, u64 first, u64 last)
{
	struct dsm_event ev = { .type = DSM_EV_DISCARD };
	struct dsm_batch batch;
	int err = 0;
	u64 i;

	dsm_batch_init(&batch);
	for (i = first; i <= last && !err; i++) {
		if (is_zeroes(region, chunk, dsm_chunk_block(region, chunk, i)))
			continue;
		ev.req = dsm_node_next_req(region->node);
		err = dsm_chunk_block_get(region, chunk, i, GFP_KERNEL) ?
		      dsm_block_event(region, chunk, i, &ev, &batch, GFP_KERNEL) : -ENOMEM;
		dsm_batch_run(&batch, region->node);
		dsm_batch_wake(&batch);
		if (!err)
			dsm_stat(region, DSM_STAT_discards, 1);
		cond_resched();
	}
	dsm_batch_end(&batch, region->node);
	return err;
}

/* The blocks from @first to @last, which are in one chunk. */
static int discard_chunk(struct dsm_region *region, u64 first, u64 last)
{
	unsigned long deadline = jiffies + msecs_to_jiffies(READ_ONCE(region->node->timeout_ms));
	struct dsm_chunk *chunk;
	int err;

	chunk = dsm_chunk_ask(region, dsm_region_chunk_of(region, first), deadline);
	if (IS_ERR_OR_NULL(chunk))
		return PTR_ERR_OR_ZERO(chunk);
	/* A call that has not waited to the end has left some. */
	err = wait_discarded(region, chunk, first, last, deadline) ?:
	      ask_all(region, chunk, first, last);
	return err ?: wait_discarded(region, chunk, first, last, deadline);
}

/**
 * dsm_discard() - make a range zeroes, and give its memory back on all nodes
 * @region: the region
 * @offset: bytes
 * @length: bytes
 *
 * Return: 0; -EINVAL, not whole blocks, or beyond the region's end; -ENOMEM;
 * -EINTR, killed; -ETIMEDOUT, a node has not answered for timeout_ms.
 */
int dsm_discard(struct dsm_region *region, u64 offset, u64 length)
{
	u32 per_chunk = dsm_chunk_blocks(region);
	u64 mask = dsm_region_block_size(region) - 1;
	u64 i, end;
	int err = 0;

	if ((offset | length) & mask || check_add_overflow(offset, length, &end) ||
	    end > region->size)
		return -EINVAL;
	end >>= region->block_shift;
	for (i = offset >> region->block_shift; i < end && !err; i = round_down(i, per_chunk) + per_chunk) {
		if (mutex_lock_killable(&region->discard_lock))
			return -EINTR;
		err = discard_chunk(region, i, min(round_down(i, per_chunk) + per_chunk, end) - 1);
		mutex_unlock(&region->discard_lock);
		if (fatal_signal_pending(current))
			err = -EINTR;
		cond_resched();
	}
	return err;
}

/* ------------------------------------------------------------------------
 * Stale frames
 */

/* Free the stale frames of a chunk that are old enough. Returns whether more are left. */
static bool free_stale(struct dsm_region *region, struct dsm_chunk *chunk, u64 number)
{
	u32 i, n = dsm_chunk_blocks(region);
	struct dsm_event ev = { .type = DSM_EV_FREE };
	u64 first = number * n, blocks = dsm_region_blocks(region);
	struct dsm_batch batch;
	bool more = false;

	dsm_batch_init(&batch);
	for (i = 0; i < n && first + i < blocks; i++) {
		struct dsm_block *block = dsm_chunk_block(region, chunk, first + i);
		bool stale, old;

		/* A guess: it is asked again with the lock. */
		if (!block || data_race(block->line.state) != DSM_LINE_I ||
		    !dsm_frames_present(region, first + i))
			continue;
		spin_lock(&block->lock);
		stale = block->line.state == DSM_LINE_I;
		old = time_after_eq(jiffies, block->asked + DSM_CHUNK_STALE_JIFFIES);
		spin_unlock(&block->lock);
		/* Without memory for that there will be another time. */
		if (stale && (!old || dsm_block_event(region, chunk, first + i, &ev, &batch, GFP_KERNEL)))
			more = true;
		dsm_batch_run(&batch, region->node);
		dsm_batch_wake(&batch);
		cond_resched();
	}
	dsm_batch_end(&batch, region->node);
	return more;
}

static void stale_work(struct work_struct *work)
{
	struct dsm_region *region = container_of(to_delayed_work(work), struct dsm_region, stale);
	struct dsm_chunk *chunk;
	unsigned long number;
	bool more = false;

	xa_for_each_marked(&region->chunks, number, chunk, DSM_CHUNK_STALE) {
		if (READ_ONCE(region->dead))
			break;
		/* Before looking, so that what is lost from now on marks it again. */
		xa_clear_mark(&region->chunks, number, DSM_CHUNK_STALE);
		smp_store_mb(chunk->stale, false);
		if (!free_stale(region, chunk, number))
			continue;
		WRITE_ONCE(chunk->stale, true);
		xa_set_mark(&region->chunks, number, DSM_CHUNK_STALE);
		more = true;
	}
	if (more && !READ_ONCE(region->dead))
		dsm_chunk_look_stale(region);
	dsm_region_put(region);
}

void dsm_discard_init(struct dsm_region *region)
{
	INIT_DELAYED_WORK(&region->stale, stale_work);
}

/* The region is dead. */
void dsm_discard_stop(struct dsm_region *region)
{
	if (cancel_delayed_work(&region->stale))
		dsm_region_put(region);
}
