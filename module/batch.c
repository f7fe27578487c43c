// SPDX-License-Identifier: GPL-2.0
/*
 * Batches: what an event of a block may take, set aside before its lock is taken.
 *
 * Nothing can fail once an event has been taken, and nothing can be allocated
 * under the lock. What was set aside and not needed serves the next event; who
 * takes many, a peer's receiver, keeps its batch, and so allocates no more than
 * what is sent.
 */
#include <linux/slab.h>
#include "batch.h"
#include "block.h"
#include "chunk.h"
#include "engine.h"
#include "hold.h"
#include "msg.h"

enum batch_limits {
	BATCH_KEEP	= 4,	/* messages, from one use to the next */
};

void dsm_batch_init(struct dsm_batch *batch)
{
	INIT_LIST_HEAD(&batch->local);
	INIT_LIST_HEAD(&batch->spare);
	batch->n_spare = 0;
	batch->hold = NULL;
	batch->sharers = NULL;
	memset(&batch->wakes, 0, sizeof(batch->wakes));
}

/* Of those set aside: there is one. */
struct dsm_msg *dsm_batch_take(struct dsm_batch *batch)
{
	struct dsm_msg *msg = list_first_entry(&batch->spare, struct dsm_msg, list);

	list_del_init(&msg->list);
	batch->n_spare--;
	return msg;
}

/* A message that has been dealt with is one that is set aside. */
void dsm_batch_give(struct dsm_batch *batch, struct dsm_msg *msg)
{
	dsm_msg_reset(msg);
	list_add(&msg->list, &batch->spare);
	batch->n_spare++;
}

bool dsm_batch_has(const struct dsm_batch *batch, const struct dsm_engine_needs *needs)
{
	return batch->n_spare >= needs->messages && (!needs->hold || batch->hold) &&
	       (!needs->sharers || batch->sharers);
}

/* Set aside what is missing. Sleeps. Return: 0, or -ENOMEM. */
int dsm_batch_reserve(struct dsm_batch *batch, const struct dsm_region *region,
		      const struct dsm_engine_needs *needs, gfp_t gfp)
{
	while (batch->n_spare < needs->messages) {
		struct dsm_msg *msg = dsm_msg_alloc(gfp);

		if (!msg)
			return -ENOMEM;
		list_add(&msg->list, &batch->spare);
		batch->n_spare++;
	}
	if (needs->hold && !batch->hold) {
		batch->hold = dsm_hold_create(gfp);
		if (!batch->hold)
			return -ENOMEM;
	}
	if (needs->sharers && !batch->sharers) {
		batch->sharers = dsm_sharers_alloc(region, gfp);
		if (!batch->sharers)
			return -ENOMEM;
	}
	return 0;
}

void dsm_batch_give_list(struct dsm_batch *batch, struct list_head *list)
{
	struct dsm_msg *msg, *next;

	list_for_each_entry_safe(msg, next, list, list)
		dsm_batch_give(batch, msg);
	INIT_LIST_HEAD(list);
}

/* Wake who can go on. */
void dsm_batch_wake(struct dsm_batch *batch)
{
	dsm_wakes_run(&batch->wakes);
}

/* Many have been set aside for once: most are not needed again. */
void dsm_batch_trim(struct dsm_batch *batch)
{
	while (batch->n_spare > BATCH_KEEP)
		dsm_msg_free(dsm_batch_take(batch));
}

/* Nothing is in it that has to be delivered. */
void dsm_batch_release(struct dsm_batch *batch)
{
	dsm_batch_wake(batch);
	dsm_msg_free_list(&batch->spare);
	batch->n_spare = 0;
	dsm_hold_destroy(batch->hold);
	batch->hold = NULL;
	kfree(batch->sharers);
	batch->sharers = NULL;
}
