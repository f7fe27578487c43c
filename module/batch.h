/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _DSM_BATCH_H
#define _DSM_BATCH_H

#include <linux/gfp.h>
#include <linux/list.h>
#include <linux/types.h>

struct dsm_engine_needs;
struct dsm_hold;
struct dsm_msg;
struct dsm_region;

/**
 * struct dsm_wakes - threads that can go on
 * @queues: a bit for each of dsm_waitqueues[]
 */
struct dsm_wakes {
	unsigned long queues[256 / 8 / sizeof(unsigned long)];
};

/**
 * struct dsm_batch - work that follows from an event
 * @local: messages from this node to itself, not yet delivered
 * @spare: messages that may be sent without allocating
 * @n_spare: how many
 * @hold: one that may be used without allocating
 * @sharers: storage for a sharer set, the same, or NULL
 * @wakes: they are woken when all of a batch has been done, since the first would want the next block at once, and
 *	take the processor from who is about to provide it
 */
struct dsm_batch {
	struct list_head local;
	struct list_head spare;
	unsigned int n_spare;
	struct dsm_hold *hold;
	u64 *sharers;
	struct dsm_wakes wakes;
};

/*
 * How a thread allocates that can make room, and try again: without the OOM killer,
 * which would run at the limit of the thread's memory cgroup.
 */
#define DSM_GFP_TRY	(GFP_KERNEL | __GFP_NORETRY | __GFP_NOWARN)

/*
 * For what cannot fail any more: the charge may exceed the limit of the thread's memory
 * cgroup by a little. With __GFP_NOFAIL alone, the OOM killer would run before that.
 */
#define DSM_GFP_MUST	(GFP_KERNEL | __GFP_NORETRY | __GFP_NOFAIL)

void dsm_batch_init(struct dsm_batch *batch);
struct dsm_msg *dsm_batch_take(struct dsm_batch *batch);
void dsm_batch_give(struct dsm_batch *batch, struct dsm_msg *msg);
void dsm_batch_give_list(struct dsm_batch *batch, struct list_head *list);
bool dsm_batch_has(const struct dsm_batch *batch, const struct dsm_engine_needs *needs);
int dsm_batch_reserve(struct dsm_batch *batch, const struct dsm_region *region,
		      const struct dsm_engine_needs *needs, gfp_t gfp);
void dsm_wakes_run(struct dsm_wakes *wakes);
void dsm_batch_wake(struct dsm_batch *batch);
void dsm_batch_trim(struct dsm_batch *batch);
void dsm_batch_release(struct dsm_batch *batch);

#endif /* _DSM_BATCH_H */
