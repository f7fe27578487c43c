// SPDX-License-Identifier: GPL-2.0
/*
 * How threads get blocks: a fault asks for its block, and for those that it expects to need
 * next, and waits. Each request is an event of its block, see block.c.
 */
#include <linux/ktime.h>
#include <linux/minmax.h>
#include <linux/sched/signal.h>
#include "batch.h"
#include "block.h"
#include "chunk.h"
#include "frames.h"
#include "hold.h"
#include "link.h"
#include "node.h"
#include "peer.h"
#include "reclaim.h"
#include "region.h"
#include "spin.h"
#include "user.h"
#include "wait.h"

enum {
	PREFETCH_CALL_MAX = 4096,	/* blocks */
	PREFETCH_BALANCE = 32,		/* blocks: so often a call looks for room */
	PREFETCH_SURE	= 32,		/* blocks: so long a window is a sequence's */
};

static bool usable(const struct dsm_line *line, bool write)
{
	return write ? dsm_line_writable(line) : dsm_line_readable(line);
}

static bool upgrading(const struct dsm_line *line)
{
	return line->state == DSM_LINE_SM && line->demand;
}

static bool stable(const struct dsm_line *line)
{
	return line->state == DSM_LINE_I || line->state == DSM_LINE_S ||
	       line->state == DSM_LINE_M;
}

/* Did the node that had the bytes answer that it cannot read them? */
static bool lost(struct dsm_block *block)
{
	bool ret;

	spin_lock(&block->lock);
	ret = stable(&block->line) && block->line.lost;
	spin_unlock(&block->lock);
	return ret;
}

/* Is no request under way? */
static bool settled(struct dsm_block *block, bool write)
{
	bool ret;

	spin_lock(&block->lock);
	ret = usable(&block->line, write) || stable(&block->line);
	spin_unlock(&block->lock);
	return ret;
}

/**
 * dsm_block_use() - may the page be mapped?
 * @region: the region
 * @block: the block, a folio of which the caller has locked
 * @write: for writing
 * @last: if it may, nothing more is needed for the access to go on
 */
bool dsm_block_use(struct dsm_region *region, struct dsm_block *block, bool write, bool last)
{
	struct dsm_line *line = &block->line;
	bool ret;

	spin_lock(&block->lock);
	ret = usable(line, write);
	if (ret && write)
		line->written = true;
	if (ret)
		block->used = true;
	/* A thread granted M that reads first is about to write: only the write ends its hold. */
	if (ret && last && line->held && (write || line->state != DSM_LINE_M))
		dsm_hold_used(block, READ_ONCE(region->node->hold_us));
	spin_unlock(&block->lock);
	return ret;
}

/**
 * dsm_block_lock_readable() - let a block's pages be mapped for reading
 * @block: the block
 *
 * Return: whether they may be, until dsm_block_unlock(): its state cannot change, and
 * a revocation that begins then finds them mapped. A block that is held for the thread
 * that asked for it is left to dsm_block_use(). Reads of a block that a thread waits to
 * write have to wait with that thread. Nothing may sleep in between.
 */
bool dsm_block_lock_readable(struct dsm_block *block)
{
	spin_lock(&block->lock);
	if (usable(&block->line, false) && !block->line.held && !upgrading(&block->line)) {
		block->used = true;
		return true;
	}
	spin_unlock(&block->lock);
	return false;
}

void dsm_block_unlock(struct dsm_block *block)
{
	spin_unlock(&block->lock);
}

/*
 * Ask for a block unless it is known that it costs nothing to ask later. -EAGAIN: there
 * is no room for it, or its frames are to be allocated first (@frames), and cannot be.
 */
static int prefetch_one(struct dsm_region *region, u64 index, bool write, bool frames,
			struct dsm_batch *batch)
{
	struct dsm_event ev = { .type = write ? DSM_EV_WRITE : DSM_EV_READ, .prefetch = true };
	struct dsm_chunk *chunk = dsm_chunk_find(region, dsm_region_chunk_of(region, index));
	struct dsm_block *block;
	bool wanted;
	int err;

	if (!chunk || dsm_chunk_home(chunk) == DSM_NO_HOME)
		return 0;
	block = dsm_chunk_block(region, chunk, index);
	if (!block && dsm_chunk_home(chunk) == region->node->id)
		return 0;
	block = dsm_chunk_block_get(region, chunk, index, DSM_GFP_TRY);
	if (!block)
		return -ENOMEM;
	spin_lock(&block->lock);
	wanted = stable(&block->line) && !usable(&block->line, write) && !block->line.lost &&
		 !(dsm_chunk_home(chunk) == region->node->id &&
		   block->dir.state == DSM_DIR_ZERO);
	spin_unlock(&block->lock);
	if (!wanted)
		return 0;
	err = dsm_user_take_block(region, index);
	if (err)
		return err;
	if (!dsm_frames_present(region, index) &&
	    (dsm_reclaim_full(region) ||
	     (frames && dsm_reclaim_try(region, index))))
		return -EAGAIN;
	ev.req = dsm_node_next_req(region->node);
	err = dsm_block_event(region, chunk, index, &ev, batch, DSM_GFP_TRY);
	if (!err)
		dsm_stat(region, DSM_STAT_prefetches, 1);
	return err;
}

/*
 * Is the chunk's home known? For a sequential reader that is @sure to get there, it is asked
 * for; that counts as first touch.
 */
static bool home_known(struct dsm_region *region, u64 index, bool sure)
{
	u64 number = dsm_region_chunk_of(region, index);
	struct dsm_chunk *chunk;

	if (sure) {
		chunk = dsm_chunk_get(region, number, DSM_GFP_TRY);
		if (!chunk || dsm_chunk_claim(region, chunk, number, DSM_GFP_TRY))
			return false;
	} else {
		chunk = dsm_chunk_find(region, number);
	}
	return chunk && dsm_chunk_home(chunk) != DSM_NO_HOME;
}

/*
 * In the caller's batch, what readahead has said. Without memory for all, or where the
 * home is not known, some: of the rest, readahead will say it again. With @frames, they
 * are allocated first. Returns how many.
 */
static u32 prefetch_run(struct dsm_region *region, u64 first, u32 n, bool write, bool frames,
			struct dsm_batch *batch)
{
	u64 blocks = dsm_region_blocks(region), ahead = first + 2 * (u64)n;
	bool sure = n >= PREFETCH_SURE;
	u64 i;

	for (i = first; i < first + n; i++) {
		if ((i == first || dsm_region_chunk_of(region, i) !=
				   dsm_region_chunk_of(region, i - 1)) &&
		    !home_known(region, i, sure))
			break;
		if (prefetch_one(region, i, write, frames, batch))
			break;
	}
	if (i < first + n)
		dsm_readahead_cut(&region->readahead, first, i, first + n);
	else if (sure && ahead < blocks)
		home_known(region, ahead, sure);
	return i - first;
}

/**
 * dsm_block_ahead() - fetch what will be wanted after a block that is here
 * @region: the region
 * @index: the block, which was a mark of readahead's, or behind one
 * @write: for writing
 *
 * Does not wait.
 */
void dsm_block_ahead(struct dsm_region *region, u64 index, bool write)
{
	struct dsm_batch batch;
	u64 first;
	u32 n = dsm_readahead_next(region, index, false, &first);

	if (!n)
		return;
	dsm_batch_init(&batch);
	/* They are charged to this thread, and not to the helper that receives them. */
	prefetch_run(region, first, n, write, true, &batch);
	dsm_batch_end(&batch, region->node);
	/* The home is busy with these requests: meanwhile, make room for the next window. */
	dsm_reclaim_balance(region);
}

/**
 * dsm_block_prefetch() - fetch blocks that will be wanted
 * @region: the region
 * @first: the first
 * @last: the last
 * @write: for writing
 *
 * Returns at once, having asked for PREFETCH_CALL_MAX at most, and for no more than
 * there is room for. 0, or -ENOMEM, or -EINTR if killed on the way.
 */
int dsm_block_prefetch(struct dsm_region *region, u64 first, u64 last, bool write)
{
	struct dsm_batch batch;
	int err = 0;
	u64 i;

	dsm_batch_init(&batch);
	last = min_t(u64, last, first + PREFETCH_CALL_MAX - 1);
	for (i = first; i <= last && !err; i++) {
		u64 number = dsm_region_chunk_of(region, i);
		struct dsm_chunk *chunk = dsm_chunk_get(region, number, DSM_GFP_TRY);

		err = chunk ? dsm_chunk_claim(region, chunk, number, DSM_GFP_TRY) : -ENOMEM;
		if (!err && !((i - first) % PREFETCH_BALANCE))
			dsm_reclaim_balance(region);
		if (!err)
			err = prefetch_one(region, i, write, true, &batch);
		dsm_batch_run(&batch, region->node);
		dsm_batch_wake(&batch);
		if (fatal_signal_pending(current))
			err = -EINTR;
		cond_resched();
	}
	dsm_batch_end(&batch, region->node);
	return err == -EAGAIN ? 0 : err;
}

/* What a thread waits for: if @n is 0, nothing; else a block and @n - 1 read ahead. */
struct wanted {
	u64 first;	/* of those read ahead */
	u32 n;
};

/*
 * Ask the home for a block, unless we have it or have asked already; with @ahead, also for
 * what readahead wants, for which frames are allocated first if @frames.
 */
static int ask(struct dsm_region *region, struct dsm_chunk *chunk, u64 index, bool write,
	       bool ahead, bool frames, gfp_t gfp, struct wanted *wanted)
{
	struct dsm_event ev = {
		.type = write ? DSM_EV_WRITE : DSM_EV_READ,
		.req = dsm_node_next_req(region->node),
	};
	struct dsm_block *block = dsm_chunk_block_get(region, chunk, index, gfp);
	struct dsm_batch batch;
	bool under_way;
	int err;

	if (!block)
		return -ENOMEM;
	/* A guess is enough: it makes a difference to readahead alone. */
	under_way = data_race(dsm_line_outstanding(&block->line));
	dsm_batch_init(&batch);
	err = dsm_block_event(region, chunk, index, &ev, &batch, gfp);
	if (!err) {
		dsm_batch_run(&batch, region->node);
		wanted->n = !settled(block, write);
		if (ahead && wanted->n) {
			u32 n = dsm_readahead_next(region, index, !under_way, &wanted->first);

			wanted->n += prefetch_run(region, wanted->first, n, write, frames, &batch);
		}
	}
	dsm_batch_end(&batch, region->node);
	return err;
}

/**
 * dsm_block_ask() - ask for a block that was had before, and do not wait
 * @region: the region
 * @index: the block
 * @write: for writing
 *
 * If nobody else has it, it can be used when this returns. Return: 0; -ENOMEM.
 */
int dsm_block_ask(struct dsm_region *region, u64 index, bool write)
{
	struct dsm_chunk *chunk = dsm_chunk_find(region, dsm_region_chunk_of(region, index));
	struct wanted wanted;

	return ask(region, chunk, index, write, false, false, DSM_GFP_TRY, &wanted);
}

/* Allocate frames for the blocks on their way: this thread is charged for them. */
static int prepare(struct dsm_region *region, u64 index, const struct wanted *wanted,
		   unsigned long deadline)
{
	u32 i;

	if (dsm_reclaim_try(region, index))
		return dsm_reclaim_frames(region, index, deadline);
	for (i = 1; i < wanted->n; i++)
		if (dsm_reclaim_try(region, wanted->first + i - 1))
			break;
	return 0;
}

static int wait_settled(struct dsm_node *node, struct dsm_block *block, bool write,
			unsigned long deadline)
{
	dsm_spin(&node->spins[DSM_SPIN_FAULT], READ_ONCE(node->spin_us),
		 data_race(usable(&block->line, write) || stable(&block->line)));
	return dsm_wait_killable(dsm_waitqueue(block), settled(block, write), deadline);
}

/* One attempt of dsm_block_acquire(), which allocates with @gfp. */
static int acquire(struct dsm_region *region, u64 index, bool write, gfp_t gfp,
		   unsigned long deadline)
{
	u64 number = dsm_region_chunk_of(region, index);
	struct dsm_chunk *chunk;
	struct dsm_block *block;
	struct wanted wanted;
	bool first = true, tight;
	int err;

	chunk = dsm_chunk_get(region, number, gfp);
	if (!chunk)
		return -ENOMEM;
	err = dsm_chunk_claim(region, chunk, number, gfp) ?:
	      dsm_chunk_wait_home(region, chunk, number, deadline);
	if (err)
		return err;
	for (;; first = false) {
		tight = dsm_reclaim_balance(region);
		if (tight && !dsm_frames_present(region, index)) {
			err = dsm_reclaim_frames(region, index, deadline);
			if (err)
				return err;
		}
		err = ask(region, chunk, index, write, first, tight, gfp, &wanted);
		if (err)
			return err;
		block = dsm_chunk_block(region, chunk, index);
		if (first && wanted.n) {
			dsm_stat(region, write ? DSM_STAT_faults_remote_write :
						 DSM_STAT_faults_remote_read, 1);
			err = tight ? 0 : prepare(region, index, &wanted, deadline);
			if (err)
				return err;
		}
		err = wait_settled(region->node, block, write, deadline);
		/* A guess as well: dsm_block_use() looks with the lock. */
		if (err || data_race(usable(&block->line, write)))
			return err;
		if (lost(block))
			return -EIO;
		dsm_stat(region, DSM_STAT_retries, 1);
	}
}

/**
 * dsm_block_acquire() - wait until a block can be used
 * @region: the region
 * @index: the block
 * @write: for writing
 *
 * Waits for timeout_ms at most, for the chunk's home and then for the block. The block may
 * be taken away again before it is used: the caller checks with a folio of the block locked,
 * and asks again if need be.
 *
 * Return: 0; -EINTR, killed; -ETIMEDOUT, the request is still under way; -EIO, the
 * bytes are lost; -ENOMEM; -EDQUOT, -ENOSPC, see dsm_user_take_block().
 */
int dsm_block_acquire(struct dsm_region *region, u64 index, bool write)
{
	unsigned long deadline = jiffies +
				 msecs_to_jiffies(READ_ONCE(region->node->timeout_ms));
	ktime_t start = ktime_get();
	gfp_t gfp = DSM_GFP_TRY;
	int err;

	err = dsm_user_take_block(region, index);
	if (err)
		err = dsm_reclaim_frames(region, index, deadline);
	if (err)
		return err;
	for (;;) {
		err = acquire(region, index, write, gfp, deadline);
		if (err != -ENOMEM || gfp == GFP_KERNEL)
			break;
		err = dsm_reclaim_room(region, deadline);
		/* Nothing can be evicted: the kernel's rules apply, OOM killer and all. */
		if (err == -ENOMEM)
			gfp = GFP_KERNEL;
		else if (err)
			break;
	}
	dsm_stat(region, DSM_STAT_fault_wait_ns, ktime_to_ns(ktime_sub(ktime_get(), start)));
	if (err == -ETIMEDOUT)
		dsm_stat(region, DSM_STAT_timeouts, 1);
	return err;
}

/* Is a thread about to write what can be read? */
bool dsm_block_upgrading(struct dsm_block *block)
{
	bool ret;

	spin_lock(&block->lock);
	ret = upgrading(&block->line);
	spin_unlock(&block->lock);
	return ret;
}

/* Wait until it can, or cannot without another request; for timeout_ms at most. */
void dsm_block_wait_upgrade(struct dsm_region *region, struct dsm_block *block)
{
	struct dsm_node *node = region->node;

	wait_settled(node, block, true, jiffies + msecs_to_jiffies(READ_ONCE(node->timeout_ms)));
}
