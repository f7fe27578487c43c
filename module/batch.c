// SPDX-License-Identifier: GPL-2.0
/*
 * Batches: the memory that an event may need, set aside before a lock is taken, and
 * what the event makes us say to ourselves.
 *
 * Once an event has been taken, nothing can fail; and nothing can be allocated under
 * a spinlock. Memory that an event did not need serves the next one. A peer's receiver
 * takes many events and keeps its batch, so it allocates no more than it sends.
 */
#include <linux/slab.h>
#include "batch.h"
#include "engine.h"
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

/* A message of this node to itself: nobody else would send it again. */
void dsm_batch_add_local(struct dsm_batch *batch, struct dsm_msg *msg)
{
	msg->must = true;
	list_add_tail(&msg->list, &batch->local);
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

/* Have at least so many messages set aside. Sleeps. Return: 0, or -ENOMEM. */
int dsm_batch_reserve(struct dsm_batch *batch, unsigned int messages, gfp_t gfp)
{
	while (batch->n_spare < messages) {
		struct dsm_msg *msg = dsm_msg_alloc(gfp);

		if (!msg)
			return -ENOMEM;
		list_add(&msg->list, &batch->spare);
		batch->n_spare++;
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

/* Wake the threads that can go on. */
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
	/* Of a cache of hold.c's, which kfree() finds. */
	kfree(batch->hold);
	batch->hold = NULL;
	kfree(batch->sharers);
	batch->sharers = NULL;
}
