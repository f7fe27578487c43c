/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _DSM_BATCH_H
#define _DSM_BATCH_H

#include <linux/gfp.h>
#include <linux/list.h>
#include <linux/types.h>
#include "wakes.h"

struct dsm_engine_needs;
struct dsm_hold;
struct dsm_msg;

/**
 * struct dsm_batch - what follows from an event, and the memory set aside for it
 * @local: messages from this node to itself, to be delivered when no lock is held
 * @spare: messages that may be sent without allocating
 * @n_spare: how many
 * @hold: a hold that may be used without allocating, or NULL
 * @sharers: storage for one sharer set, or NULL
 * @wakes: woken after the whole batch: a thread woken earlier would preempt us and
 *	fault on the next block
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
 * For a thread that can make room and try again: without the OOM killer, which would run
 * at the limit of the thread's memory cgroup.
 */
#define DSM_GFP_TRY	(GFP_KERNEL | __GFP_NORETRY | __GFP_NOWARN)

/*
 * Where a failure can no longer be reported: the charge may exceed the limit of the thread's
 * memory cgroup by a little. With __GFP_NOFAIL alone, the OOM killer would run first.
 */
#define DSM_GFP_MUST	(GFP_KERNEL | __GFP_NORETRY | __GFP_NOFAIL)

void dsm_batch_init(struct dsm_batch *batch);
void dsm_batch_add_local(struct dsm_batch *batch, struct dsm_msg *msg);
struct dsm_msg *dsm_batch_take(struct dsm_batch *batch);
void dsm_batch_give(struct dsm_batch *batch, struct dsm_msg *msg);
void dsm_batch_give_list(struct dsm_batch *batch, struct list_head *list);
bool dsm_batch_has(const struct dsm_batch *batch, const struct dsm_engine_needs *needs);
int dsm_batch_reserve(struct dsm_batch *batch, unsigned int messages, gfp_t gfp);
void dsm_batch_wake(struct dsm_batch *batch);
void dsm_batch_trim(struct dsm_batch *batch);
void dsm_batch_release(struct dsm_batch *batch);

#endif /* _DSM_BATCH_H */
