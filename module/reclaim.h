/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _DSM_RECLAIM_H
#define _DSM_RECLAIM_H

#include <linux/atomic.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/spinlock.h>
#include <linux/types.h>
#include <linux/workqueue.h>

struct dsm_block;
struct dsm_chunk;
struct dsm_line;
struct dsm_region;

enum dsm_reclaim_limits {
	DSM_RECLAIM_LEAVING	= 512,	/* blocks */
	DSM_RECLAIM_BLOCKS_MIN	= 16,	/* the lowest cache_bytes, in blocks */
};

/**
 * struct dsm_reclaim - a region's copies of blocks whose home is another node
 * @limit: cache_bytes: how much memory they may take; 0: any
 * @cached: how many blocks have frames, or will have them when an answer comes
 * @dirty: how many of them are writable here
 * @going: how many the home has been asked to take, or have been taken and still
 *	have frames
 * @freed: counts those that went; dsm_waitqueue() of the struct is woken
 * @target: how many the worker is to evict
 * @queued: bit 0: @work is queued
 * @work: the worker; holds a reference on the region while it is queued
 * @list: in the list of all regions
 * @scan: serialises evictions; protects the next three
 * @front: the first hand of the clock, a block's number
 * @back: the second hand
 * @lead: how many copies the first hand is ahead
 * @lock: protects @n_leaving and what @leaving points to
 * @n_leaving: how many blocks are in @leaving
 * @leaving: blocks that were taken, whose bytes may not have arrived at their home; room for
 *	DSM_RECLAIM_LEAVING, or NULL before the first
 */
struct dsm_reclaim {
	u64 limit;
	atomic_long_t cached;
	atomic_long_t dirty;
	atomic_long_t going;
	atomic_t freed;

	atomic_long_t target;
	unsigned long queued;
	struct delayed_work work;
	struct list_head list;

	struct mutex scan;
	u64 front;
	u64 back;
	long lead;

	spinlock_t lock;
	unsigned int n_leaving;
	u64 *leaving;
};

void dsm_reclaim_region_init(struct dsm_region *region);
void dsm_reclaim_region_stop(struct dsm_region *region);
void dsm_reclaim_region_exit(struct dsm_region *region);

bool dsm_reclaim_account(struct dsm_region *region, struct dsm_chunk *chunk, u64 index,
			 struct dsm_block *block, const struct dsm_line *was);
bool dsm_reclaim_later(struct dsm_region *region, u64 index);

bool dsm_reclaim_balance(struct dsm_region *region);
bool dsm_reclaim_full(struct dsm_region *region);
u32 dsm_reclaim_window(struct dsm_region *region);
int dsm_reclaim_try(struct dsm_region *region, u64 index);
int dsm_reclaim_room(struct dsm_region *region, unsigned long deadline);
int dsm_reclaim_frames(struct dsm_region *region, u64 index, unsigned long deadline);

int dsm_reclaim_set_limit(struct dsm_region *region, u64 bytes);
u64 dsm_reclaim_cached_bytes(struct dsm_region *region);
u64 dsm_reclaim_dirty_bytes(struct dsm_region *region);

int dsm_reclaim_init(void);
void dsm_reclaim_exit(void);

#endif /* _DSM_RECLAIM_H */
