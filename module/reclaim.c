// SPDX-License-Identifier: GPL-2.0
/*
 * Reclaim: a node's memory is bounded.
 *
 * A node may hold copies of blocks whose home is another node. Such a copy can
 * go (DSM_EV_EVICT). The node frees the frames of a clean one and tells the home. It asks
 * the home to take the others: those that it has written, and those that it was the last
 * to write. The copy at a home may be the last one. It never goes; the kernel may swap it
 * out.
 *
 * Three things bound the memory that copies take:
 *
 *  - cache_bytes, which counts copies, for each region;
 *  - the memory cgroup of the thread that faults, which the frames are charged to;
 *  - the machine's memory, of which a part has to stay available, and frames_bytes.
 *
 * The thread that wants a block pays for it, as a writer pays for dirty pages in
 * balance_dirty_pages(). When one of the three is nearly reached, the thread evicts
 * some blocks before it asks for its own (dsm_reclaim_balance()). When there are
 * no frames to be had, it waits until some have been freed (dsm_reclaim_frames()).
 * Frames are allocated without the OOM killer as long as anything can be
 * evicted. So whoever receives bytes finds frames for them.
 *
 * Which copies go is decided by a clock with two hands that go through the
 * region's copies. The first hand takes a copy from the page tables and clears its
 * mark; a later access faults and sets it again. The second hand follows
 * at a distance, and evicts what nobody has used in between. Among those, clean
 * copies go before written ones, whose bytes have to be sent.
 *
 * The kernel's shrinker does not evict: it must not wait for other nodes, nor
 * for locks. It has a worker do that.
 */
#include <linux/memcontrol.h>
#include <linux/mm.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include "batch.h"
#include "block.h"
#include "chunk.h"
#include "compat.h"
#include "frames.h"
#include "hold.h"
#include "link.h"
#include "node.h"
#include "peer.h"
#include "reclaim.h"
#include "region.h"
#include "user.h"
#include "wait.h"

enum reclaim_limits {
	EVICT_MAX	= 64,			/* blocks, in one go */
	EVICT_BYTES	= 512 << 10,		/* ... and bytes */
	EVICT_PART	= 4,			/* ... and this part of all copies */
	WINDOW		= 2,			/* times as many are looked at: clean ones go first */
	LEAD		= 8,			/* times as many, at most: the first hand is ahead */
	RESERVE		= 2 << 20,		/* bytes that are to stay free, below a limit, */
	RESERVE_PART	= 4,			/* or this part of it */
	MARGIN		= 1 << 20,		/* bytes of a cgroup that copies never take, */
	MARGIN_PART	= 16,			/* or this part of it */
	WINDOW_PART	= 8,			/* of cache_bytes is asked for ahead, in one go */
	AVAILABLE_PART	= 16,			/* of the machine's memory stays available */
	TRIES		= 10,			/* of WAIT_SLICE, with nothing to evict */
	SCAN_MAX	= 4096,			/* blocks looked at in one go: some milliseconds */
	WAIT_SLICE	= HZ / 50 ? HZ / 50 : 1,
	FREE_DELAY	= HZ / 250 ? HZ / 250 : 1,
	FREE_DELAY_LONG	= HZ / 50 ? HZ / 50 : 1, /* ... when nothing has arrived since then */
};

static struct workqueue_struct *workqueue;

/* All regions of all nodes, and what protects the list. */
static LIST_HEAD(regions);
static DEFINE_SPINLOCK(regions_lock);

/* Blocks of all of them that are cached. */
static atomic_long_t all_cached;

static u64 bytes_of(const struct dsm_region *region, long blocks)
{
	return blocks > 0 ? (u64)blocks << region->block_shift : 0;
}

u64 dsm_reclaim_cached_bytes(struct dsm_region *region)
{
	return bytes_of(region, atomic_long_read(&region->reclaim.cached));
}

u64 dsm_reclaim_dirty_bytes(struct dsm_region *region)
{
	return bytes_of(region, atomic_long_read(&region->reclaim.dirty));
}

/* ------------------------------------------------------------------------
 * Counting
 */

/* Have the worker run. The queue's reference is taken by whoever sets the bit. */
static void kick(struct dsm_region *region, unsigned long delay)
{
	struct dsm_reclaim *r = &region->reclaim;

	if (READ_ONCE(region->dead) || test_and_set_bit(0, &r->queued))
		return;
	if (!refcount_inc_not_zero(&region->ref)) {
		clear_bit(0, &r->queued);
		return;
	}
	queue_delayed_work(workqueue, &r->work, delay);
}

static void one_more(struct dsm_region *region, struct dsm_chunk *chunk, u64 index)
{
	atomic_long_inc(&all_cached);
	atomic_long_inc(&region->reclaim.cached);
	if (atomic_inc_return(&chunk->cached) == 1)
		xa_set_mark(&region->chunks, dsm_region_chunk_of(region, index),
			    DSM_CHUNK_CACHED);
}

static void one_less(struct dsm_region *region, struct dsm_chunk *chunk)
{
	struct dsm_reclaim *r = &region->reclaim;

	atomic_long_dec(&all_cached);
	atomic_long_dec(&r->cached);
	atomic_dec(&chunk->cached);
	atomic_inc(&r->freed);
	if (wq_has_sleeper(dsm_waitqueue(r)))
		wake_up_all(dsm_waitqueue(r));
}

/**
 * dsm_reclaim_account() - a block whose home is another node has changed
 * @region: the region
 * @chunk: the block's
 * @index: the block
 * @block: it, locked
 * @was: the line before
 *
 * Return: whether what is left in the frames is to be freed now.
 */
bool dsm_reclaim_account(struct dsm_region *region, struct dsm_chunk *chunk, u64 index,
			 struct dsm_block *block, const struct dsm_line *was)
{
	const struct dsm_line *line = &block->line;
	struct dsm_reclaim *r = &region->reclaim;

	lockdep_assert_held(&block->lock);

	if (line->put != was->put)
		atomic_long_add(line->put ? 1 : -1, &r->going);
	if (line->state == was->state)
		return false;
	if ((line->state == DSM_LINE_M) != (was->state == DSM_LINE_M))
		atomic_long_add(line->state == DSM_LINE_M ? 1 : -1, &r->dirty);
	if (line->state == DSM_LINE_S || line->state == DSM_LINE_M)
		block->used = true;
	if (!block->cached && line->state != DSM_LINE_I && line->state != DSM_LINE_II_R) {
		block->cached = true;
		one_more(region, chunk, index);
	}
	if (line->state != DSM_LINE_I)
		return false;
	if (dsm_line_leaves(was))
		dsm_stat(region, was->state == DSM_LINE_MI_R ? DSM_STAT_evicted_dirty :
							       DSM_STAT_evicted_clean, 1);
	if (!block->cached)
		return false;
	if (dsm_frames_present(region, index))
		return was->put;
	block->cached = false;
	one_less(region, chunk);
	return false;
}

/* Make the array of blocks that leave, unless it is there. */
static bool leaving_prepare(struct dsm_reclaim *r)
{
	u64 *leaving;

	if (READ_ONCE(r->leaving))
		return true;
	leaving = kmalloc_array(DSM_RECLAIM_LEAVING, sizeof(*leaving), DSM_GFP_TRY | __GFP_ACCOUNT);
	if (leaving && cmpxchg(&r->leaving, NULL, leaving))
		kfree(leaving);
	return READ_ONCE(r->leaving);
}

/**
 * dsm_reclaim_later() - free what is left of a copy when its bytes have arrived
 * @region: the region
 * @index: the block, which was taken from this node
 *
 * Sleeps. Return: whether it will be; false: too many are waited for, or there is no memory.
 */
bool dsm_reclaim_later(struct dsm_region *region, u64 index)
{
	struct dsm_reclaim *r = &region->reclaim;
	bool ret = false;

	if (!leaving_prepare(r))
		return false;
	spin_lock(&r->lock);
	if (r->n_leaving < DSM_RECLAIM_LEAVING) {
		r->leaving[r->n_leaving++] = index;
		atomic_long_inc(&r->going);
		ret = true;
	}
	spin_unlock(&r->lock);
	if (ret)
		kick(region, FREE_DELAY);
	return ret;
}

/* ------------------------------------------------------------------------
 * How much there is
 */

/* How many bytes less than @reserve, or than a @part of @max, are left below @max. */
static s64 short_of(u64 max, u64 used, u32 part, u64 reserve)
{
	return (s64)(used + min_t(u64, max / part, reserve)) - (s64)max;
}

static s64 limit_short(struct dsm_region *region)
{
	u64 limit = READ_ONCE(region->reclaim.limit);

	if (!limit)
		return S64_MIN;
	return short_of(limit, dsm_reclaim_cached_bytes(region), RESERVE_PART, RESERVE);
}

/* Of the memory cgroup of this thread, and of all above it. */
static s64 cgroup_short_of(u32 part, u64 reserve)
{
	s64 most = S64_MIN;
#ifdef CONFIG_MEMCG
	struct page_counter *counter;

	if (mem_cgroup_disabled())
		return most;
	rcu_read_lock();
	for (counter = &mem_cgroup_from_task(current)->memory; counter; counter = counter->parent) {
		u64 max = min(READ_ONCE(counter->max), READ_ONCE(counter->high));

		if (max < PAGE_COUNTER_MAX)
			most = max(most, short_of(max << PAGE_SHIFT,
						  (u64)page_counter_read(counter) << PAGE_SHIFT,
						  part, reserve));
	}
	rcu_read_unlock();
#endif
	return most;
}

static s64 cgroup_short(void)
{
	return cgroup_short_of(RESERVE_PART, RESERVE);
}

static s64 memory_short(void)
{
	return ((s64)(totalram_pages() / AVAILABLE_PART) - si_mem_available()) << PAGE_SHIFT;
}

/* Does the region have as many copies as it may? */
bool dsm_reclaim_full(struct dsm_region *region)
{
	u64 limit = READ_ONCE(region->reclaim.limit);

	return limit && dsm_reclaim_cached_bytes(region) + dsm_region_block_size(region) > limit;
}

/* How many blocks may be asked for ahead, lest they push each other out before they are used. */
u32 dsm_reclaim_window(struct dsm_region *region)
{
	u64 limit = READ_ONCE(region->reclaim.limit);

	return limit ? min_t(u64, (limit >> region->block_shift) / WINDOW_PART, U32_MAX) : U32_MAX;
}

/* ------------------------------------------------------------------------
 * Which go
 */

/* The first copy from *@index on, or from the region's beginning; NULL: there is none. */
static struct dsm_chunk *next_cached(struct dsm_region *region, u64 *index)
{
	unsigned int shift = DSM_CHUNK_SHIFT - region->block_shift;
	bool again = false;

	for (;;) {
		unsigned long number = *index >> shift, from = number;
		struct dsm_chunk *chunk = xa_find(&region->chunks, &number, ULONG_MAX,
						  DSM_CHUNK_CACHED);

		if (!chunk) {
			if (again)
				return NULL;
			again = true;
			*index = 0;
			continue;
		}
		if (number != from)
			*index = (u64)number << shift;
		for (; *index >> shift == number; ++*index) {
			struct dsm_block *block = dsm_chunk_block(region, chunk, *index);

			if (block && READ_ONCE(block->cached))
				return chunk;
		}
		if (atomic_read(&chunk->cached))
			continue;
		/* Pairs with one_more(), which counts before it marks. */
		xa_clear_mark(&region->chunks, number, DSM_CHUNK_CACHED);
		smp_mb();
		if (atomic_read(&chunk->cached))
			xa_set_mark(&region->chunks, number, DSM_CHUNK_CACHED);
	}
}

/*
 * The first hand goes on until it is @lead copies ahead: who still uses them is to show.
 * Used copies that follow each other leave the page tables in one go.
 */
static void front_go(struct dsm_region *region, long lead)
{
	struct dsm_reclaim *r = &region->reclaim;
	u64 first = 0, end = 0;

	for (; r->lead < lead; r->front++, r->lead++) {
		struct dsm_chunk *chunk = next_cached(region, &r->front);
		struct dsm_block *block;
		bool used;

		if (!chunk)
			break;
		block = dsm_chunk_block(region, chunk, r->front);
		spin_lock(&block->lock);
		used = block->used;
		block->used = false;
		spin_unlock(&block->lock);
		if (!used)
			continue;
		if (r->front != end) {
			dsm_frames_unmap(region, first, end - first);
			first = r->front;
		}
		end = r->front + 1;
	}
	dsm_frames_unmap(region, first, end - first);
}

/* The second hand's decision about a copy. */
enum verdict {
	STAYS,
	GOES,		/* now, with @ev */
	GOES_LAST,	/* the home is asked to take it */
};

static enum verdict judge(struct dsm_block *block, bool force, struct dsm_event *ev)
{
	enum verdict verdict = STAYS;

	spin_lock(&block->lock);
	ev->type = DSM_EV_EVICT;
	if (block->line.state == DSM_LINE_I) {
		ev->type = DSM_EV_FREE;
		verdict = GOES;
	} else if (!(block->line.held && dsm_hold_left(block)) && !block->line.put &&
		   (force || !block->used)) {
		if (block->line.state == DSM_LINE_S && !block->line.owner)
			verdict = GOES;
		else if (block->line.state == DSM_LINE_S || block->line.state == DSM_LINE_M)
			verdict = GOES_LAST;
	}
	spin_unlock(&block->lock);
	return verdict;
}

static bool ask_home(struct dsm_region *region, u64 index, struct dsm_event *ev,
		     struct dsm_batch *batch)
{
	struct dsm_chunk *chunk = dsm_chunk_find(region, dsm_region_chunk_of(region, index));
	unsigned int noreclaim;
	int err;

	ev->req = dsm_node_next_req(region->node);
	/* An eviction frees memory, so it may exceed the limit of the thread's cgroup a little. */
	noreclaim = memalloc_noreclaim_save();
	err = dsm_block_event(region, chunk, index, ev, batch, DSM_GFP_TRY);
	dsm_batch_run(batch, region->node);
	memalloc_noreclaim_restore(noreclaim);
	return !err;
}

/**
 * evict() - have the coldest copies go
 * @region: the region
 * @want: how many blocks
 * @charged: those only whose memory is charged to this thread's cgroup
 * @force: also those that were used lately
 *
 * Does not wait for the homes' answers. Return: how many go; 1 if another thread is at
 * it already.
 */
static unsigned int evict(struct dsm_region *region, unsigned int want, bool charged, bool force)
{
	struct dsm_reclaim *r = &region->reclaim;
	unsigned int n = 0, n_dirty = 0, i;
	u64 dirty[EVICT_MAX];
	struct dsm_event ev = {};
	struct dsm_batch batch;
	long cached, budget, lead;

	if (!mutex_trylock(&r->scan))
		return 1;
	cached = atomic_long_read(&r->cached);
	budget = min(cached, force ? SCAN_MAX : WINDOW * (long)want);
	want = min_t(unsigned int, want, EVICT_MAX);
	lead = min(cached / 2, LEAD * (long)want);
	dsm_batch_init(&batch);
	for (; n < want && budget > 0 && !fatal_signal_pending(current); budget--) {
		struct dsm_chunk *chunk;
		u64 index;

		if (r->lead <= lead / 2)
			front_go(region, lead);
		chunk = next_cached(region, &r->back);
		if (!chunk)
			break;
		index = r->back++;
		r->lead = max(r->lead - 1, 0L);
		switch (judge(dsm_chunk_block(region, chunk, index), force, &ev)) {
		case STAYS:
			break;
		case GOES:
			if (!charged || dsm_frames_charged(region, index))
				n += ask_home(region, index, &ev, &batch);
			break;
		case GOES_LAST:
			if (n_dirty < want && (!charged || dsm_frames_charged(region, index)))
				dirty[n_dirty++] = index;
			break;
		}
		cond_resched();
	}
	ev.type = DSM_EV_EVICT;
	for (i = 0; i < n_dirty && n < want; i++)
		n += ask_home(region, dirty[i], &ev, &batch);
	mutex_unlock(&r->scan);
	dsm_batch_end(&batch, region->node);
	return n;
}

static unsigned int batch_of(const struct dsm_region *region)
{
	long part = atomic_long_read(&region->reclaim.cached) / EVICT_PART;

	return clamp_t(long, min_t(long, part, EVICT_BYTES >> region->block_shift), 1, EVICT_MAX);
}

/* Of any region: the memory that is short is everybody's. */
static unsigned int evict_anywhere(struct dsm_region *ours, bool charged, bool force)
{
	unsigned int n = evict(ours, batch_of(ours), charged, force);
	struct dsm_region *region, *other = NULL;

	if (n)
		return n;
	spin_lock(&regions_lock);
	list_for_each_entry(region, &regions, reclaim.list) {
		if (region == ours || !atomic_long_read(&region->reclaim.cached) ||
		    READ_ONCE(region->dead) || !refcount_inc_not_zero(&region->ref))
			continue;
		other = region;
		/* Another one next time. */
		list_move_tail(&region->reclaim.list, &regions);
		break;
	}
	spin_unlock(&regions_lock);
	if (other) {
		n = evict(other, batch_of(other), charged, force);
		dsm_region_put(other);
	}
	return n;
}

/* ------------------------------------------------------------------------
 * What threads do
 */

/**
 * dsm_reclaim_balance() - a thread is about to ask for blocks
 * @region: the region
 *
 * Evicts some if there is little room. Does not wait.
 *
 * Return: whether there is little room: then frames are allocated before blocks are
 * asked for.
 */
bool dsm_reclaim_balance(struct dsm_region *region)
{
	struct dsm_reclaim *r = &region->reclaim;
	s64 cgroup = cgroup_short(), frames = (s64)RESERVE - (s64)dsm_frames_left();
	s64 other = max3(limit_short(region), memory_short(), frames);

	if (max(cgroup, other) <= 0)
		return false;
	if ((s64)bytes_of(region, atomic_long_read(&r->going)) < max(cgroup, other))
		evict(region, batch_of(region), cgroup > other, false);
	return true;
}

/* Is there room for the block in cache_bytes, or has it its place already? */
static bool may_have(struct dsm_region *region, u64 index)
{
	struct dsm_block *block = dsm_block_find(region, index);

	return !dsm_reclaim_full(region) || (block && READ_ONCE(block->cached));
}

/**
 * dsm_reclaim_try() - allocate a block's frames if there is room for them
 * @region: the region
 * @index: the block
 *
 * As long as there are copies that could go, part of the thread's cgroup is left to
 * what the kernel charges: page tables, for one, at which the OOM killer runs.
 *
 * Return: 0; -ENOMEM; -ENOSPC.
 */
int dsm_reclaim_try(struct dsm_region *region, u64 index)
{
	if (atomic_long_read(&all_cached) && cgroup_short_of(MARGIN_PART, MARGIN) > 0 &&
	    !dsm_frames_present(region, index))
		return -ENOMEM;
	return dsm_frames_prepare(region, index, false);
}

/**
 * dsm_reclaim_room() - make room after an allocation with DSM_GFP_TRY has failed
 * @region: a region
 * @deadline: jiffies
 *
 * Evicts something, and waits until something was freed, or for a moment.
 *
 * Return: 0, try again; -ENOMEM, there is nothing to evict; -EINTR, killed; -ETIMEDOUT.
 */
int dsm_reclaim_room(struct dsm_region *region, unsigned long deadline)
{
	struct dsm_reclaim *r = &region->reclaim;
	unsigned long slice = jiffies + WAIT_SLICE;
	long rounds = 1 + atomic_long_read(&r->cached) / SCAN_MAX;
	int seen = atomic_read(&r->freed);
	int err;

	dsm_stat(region, DSM_STAT_reclaim_waits, 1);
	while (!evict_anywhere(region, cgroup_short() > 0, true)) {
		if (fatal_signal_pending(current))
			return -EINTR;
		if (atomic_long_read(&r->going))
			break;
		if (!--rounds)
			return -ENOMEM;
	}
	err = dsm_wait_killable(dsm_waitqueue(r), atomic_read(&r->freed) != seen,
				time_before(slice, deadline) ? slice : deadline);
	if (err == -EINTR)
		return err;
	return time_after_eq(jiffies, deadline) ? -ETIMEDOUT : 0;
}

/**
 * dsm_reclaim_frames() - wait until a block has frames
 * @region: the region
 * @index: the block
 * @deadline: jiffies
 *
 * Return: 0; -EINTR, killed; -ETIMEDOUT, nothing was freed; -ENOMEM, -ENOSPC, -EDQUOT:
 * there is no memory, or no more for this user, and nothing that could be evicted.
 */
int dsm_reclaim_frames(struct dsm_region *region, u64 index, unsigned long deadline)
{
	struct dsm_reclaim *r = &region->reclaim;
	bool margin = true;
	unsigned int tries, vain = 0;

	for (tries = 0;; tries++) {
		int seen = atomic_read(&r->freed);
		unsigned long slice = jiffies + WAIT_SLICE;
		bool room = may_have(region, index);
		int err = room ? dsm_user_take_block(region, index) : 0, quota = err;
		unsigned int n;

		if (room && !err)
			err = margin ? dsm_reclaim_try(region, index) :
				       dsm_frames_prepare(region, index, false);
		if (room && !err)
			return 0;
		if (!tries)
			dsm_stat(region, DSM_STAT_reclaim_waits, 1);
		/* In the first two cases other regions' copies are not why there is no room. */
		if (!room || quota == -EDQUOT)
			n = evict(region, batch_of(region), false, tries > 1);
		else
			n = evict_anywhere(region, cgroup_short() > 0, tries > 1);
		/* Better than to wait for what may not go. */
		margin = n || tries < 2;
		/*
		 * Nothing of ours is to be had: the kernel's rules apply, OOM killer and all.
		 * All copies have been looked at by then, by this thread or by those that
		 * keep it from looking.
		 */
		if (room && !atomic_long_read(&r->going) &&
		    ((vain >= TRIES + atomic_long_read(&r->cached) / SCAN_MAX) ||
		     (!n && !atomic_long_read(&all_cached))))
			return quota ?: dsm_frames_prepare(region, index, true);
		err = dsm_wait_killable(dsm_waitqueue(r), atomic_read(&r->freed) != seen,
					time_before(slice, deadline) ? slice : deadline);
		if (err == -EINTR)
			return err;
		if (time_after_eq(jiffies, deadline))
			return -ETIMEDOUT;
		vain = atomic_read(&r->freed) == seen ? vain + 1 : 0;
	}
}

/* ------------------------------------------------------------------------
 * The worker
 */

/*
 * Those that were taken first come first; the first whose bytes are still under way
 * ends it. Nobody else takes any from the list. Returns whether there was any.
 */
static bool free_leaving(struct dsm_region *region)
{
	struct dsm_reclaim *r = &region->reclaim;
	struct dsm_event ev = { .type = DSM_EV_FREE };
	struct dsm_batch batch;
	unsigned int i, n;

	spin_lock(&r->lock);
	n = r->n_leaving;
	spin_unlock(&r->lock);
	if (!n)
		return false;
	dsm_batch_init(&batch);
	for (i = 0; i < n; i++) {
		if (dsm_peers_sending(region->node, region->id, r->leaving[i]))
			break;
		ask_home(region, r->leaving[i], &ev, &batch);
		cond_resched();
	}
	spin_lock(&r->lock);
	r->n_leaving -= i;
	memmove(r->leaving, r->leaving + i, r->n_leaving * sizeof(*r->leaving));
	spin_unlock(&r->lock);
	atomic_long_sub(i, &r->going);
	dsm_batch_end(&batch, region->node);
	return i;
}

/* How many blocks exceed cache_bytes, of which the home has not been asked to take any. */
static long excess(struct dsm_region *region)
{
	struct dsm_reclaim *r = &region->reclaim;
	u64 limit = READ_ONCE(r->limit);
	long cached = atomic_long_read(&r->cached) - atomic_long_read(&r->going);

	return limit ? max(cached - (long)(limit >> region->block_shift), 0L) : 0;
}

static void reclaim_work(struct work_struct *work)
{
	struct dsm_region *region = container_of(to_delayed_work(work), struct dsm_region,
						 reclaim.work);
	struct dsm_reclaim *r = &region->reclaim;
	unsigned int noreclaim = memalloc_noreclaim_save();
	bool freed;
	long target;

	clear_bit(0, &r->queued);
	freed = free_leaving(region);
	target = atomic_long_read(&r->target);
	if (target > 0) {
		long n = evict(region, batch_of(region), false, false);

		/* A limit holds for what was used lately as well. */
		if (!n && excess(region))
			n = evict(region, min_t(long, excess(region), batch_of(region)),
				  false, true);

		/* Copies that cannot go now need not be tried again at once. */
		atomic_long_sub(n ? min(n, target) : target, &r->target);
		target -= n;
		if (!n)
			target = 0;
	}
	if (target > 0) {
		kick(region, 0);
	} else if (excess(region)) {
		atomic_long_set(&r->target, excess(region));
		kick(region, FREE_DELAY_LONG);
	} else if (READ_ONCE(r->n_leaving)) {
		kick(region, freed ? FREE_DELAY : FREE_DELAY_LONG);
	}
	memalloc_noreclaim_restore(noreclaim);
	dsm_region_put(region);
}

/**
 * dsm_reclaim_set_limit() - set cache_bytes
 * @region: the region
 * @bytes: how many; 0: no limit
 *
 * Return: 0; -EINVAL, less than a few blocks, with which no thread could get on.
 */
int dsm_reclaim_set_limit(struct dsm_region *region, u64 bytes)
{
	struct dsm_reclaim *r = &region->reclaim;
	u64 cached = dsm_reclaim_cached_bytes(region);

	if (bytes && bytes >> region->block_shift < DSM_RECLAIM_BLOCKS_MIN)
		return -EINVAL;
	WRITE_ONCE(r->limit, bytes);
	if (bytes && cached > bytes) {
		atomic_long_set(&r->target, (cached - bytes) >> region->block_shift);
		kick(region, 0);
	}
	return 0;
}

/* ------------------------------------------------------------------------
 * The kernel's shrinker
 */

static unsigned long shrink_count(struct shrinker *shrinker, struct shrink_control *sc)
{
	struct dsm_region *region;
	unsigned long pages = 0;

	spin_lock(&regions_lock);
	list_for_each_entry(region, &regions, reclaim.list)
		pages += dsm_reclaim_cached_bytes(region) >> PAGE_SHIFT;
	spin_unlock(&regions_lock);
	return pages;
}

/* Each region's worker has its part to do. */
static unsigned long shrink_scan(struct shrinker *shrinker, struct shrink_control *sc)
{
	unsigned long all = shrink_count(shrinker, sc);
	struct dsm_region *region;

	if (!all)
		return SHRINK_STOP;
	spin_lock(&regions_lock);
	list_for_each_entry(region, &regions, reclaim.list) {
		struct dsm_reclaim *r = &region->reclaim;
		u64 cached = atomic_long_read(&r->cached);
		u64 part = div64_u64(sc->nr_to_scan * dsm_reclaim_cached_bytes(region), all);
		long blocks = part >> region->block_shift;

		if (!cached)
			continue;
		atomic_long_set(&r->target, max(atomic_long_read(&r->target), max(blocks, 1L)));
		kick(region, 0);
	}
	spin_unlock(&regions_lock);
	/* Nothing has been freed yet. */
	return SHRINK_STOP;
}

/* ------------------------------------------------------------------------
 * Coming and going
 */

void dsm_reclaim_region_init(struct dsm_region *region)
{
	struct dsm_reclaim *r = &region->reclaim;

	mutex_init(&r->scan);
	spin_lock_init(&r->lock);
	INIT_DELAYED_WORK(&r->work, reclaim_work);
	spin_lock(&regions_lock);
	list_add_tail(&r->list, &regions);
	spin_unlock(&regions_lock);
}

/* The region is dead. */
void dsm_reclaim_region_stop(struct dsm_region *region)
{
	if (cancel_delayed_work(&region->reclaim.work))
		dsm_region_put(region);
}

/* Its last reference is gone. */
void dsm_reclaim_region_exit(struct dsm_region *region)
{
	spin_lock(&regions_lock);
	list_del(&region->reclaim.list);
	spin_unlock(&regions_lock);
	kfree(region->reclaim.leaving);
}

static struct shrinker *shrinker;

int dsm_reclaim_init(void)
{
	workqueue = alloc_workqueue("dsm_reclaim", WQ_UNBOUND | WQ_MEM_RECLAIM, 0);
	if (!workqueue)
		return -ENOMEM;
	shrinker = dsm_shrinker_register("dsm", shrink_count, shrink_scan);
	if (!shrinker) {
		destroy_workqueue(workqueue);
		return -ENOMEM;
	}
	return 0;
}

/* Every region is gone. */
void dsm_reclaim_exit(void)
{
	dsm_shrinker_unregister(shrinker);
	destroy_workqueue(workqueue);
}
