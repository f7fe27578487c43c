// SPDX-License-Identifier: GPL-2.0
/*
 * Holds: a grant stays with the thread that asked for it until it was used.
 *
 * Else two nodes that want a block might trade it for ever, and neither come to
 * use it: that is from Li and Hudak's IVY on, as Mirage's time window (Fleisch and
 * Popek, SOSP 1989). The window is hold_us at most; it ends soon after the thread
 * has found its page. A revocation that comes before then waits, and goes on in a
 * real-time thread of ours, because another node's thread waits for it.
 *
 * A revocation of a page under DMA waits as well. An ordinary worker tries it again and
 * again: a device may keep the page for ever. A home that has no memory for a copy that
 * it is asked to take waits in the same way.
 *
 * A long revocation has a worker of a third kind: the region's users may have mapped it
 * very often, and neither the helper's thread, which carries other nodes' messages, nor the
 * real-time thread may be kept for so long.
 */
#include <linux/slab.h>
#include "chunk.h"
#include "compat.h"
#include "hold.h"

enum hold_limits {
	/*
	 * A fault that has mapped its page returns to the instruction, which
	 * then has to run: this long, where it takes a microsecond, or this part
	 * of the time that it took the thread to come from the grant to the page.
	 */
	SETTLE_US	= 20,
	SETTLE_PART	= 4,

	/* Long revocations at the same time: they need processors, which others want as well. */
	LONG_ONES_MAX	= 4,
};

static struct kmem_cache *cache;
static struct kthread_worker *worker;
static struct workqueue_struct *retries;
static struct workqueue_struct *long_ones;

static void hold_work(struct kthread_work *work)
{
	struct dsm_hold *hold = container_of(work, struct dsm_hold, work);

	/* It has queued us, and may not have returned. */
	hrtimer_cancel(&hold->timer);
	hold->over(hold);
}

static void hold_retry(struct work_struct *work)
{
	struct dsm_hold *hold = container_of(work, struct dsm_hold, retry);

	hrtimer_cancel(&hold->timer);
	hold->over(hold);
}

static enum hrtimer_restart hold_timer(struct hrtimer *timer)
{
	struct dsm_hold *hold = container_of(timer, struct dsm_hold, timer);

	if (hold->event != DSM_EV_HOLD_OVER) {
		INIT_WORK(&hold->retry, hold_retry);
		queue_work(retries, &hold->retry);
	} else {
		kthread_init_work(&hold->work, hold_work);
		kthread_queue_work(worker, &hold->work);
	}
	return HRTIMER_NORESTART;
}

/* A hold; @over is called when its wait is over, by a worker, and has the hold from then on. */
struct dsm_hold *dsm_hold_create(void (*over)(struct dsm_hold *hold), gfp_t gfp)
{
	struct dsm_hold *hold = kmem_cache_zalloc(cache, gfp);

	if (!hold)
		return NULL;
	hold->over = over;
	hrtimer_setup(&hold->timer, hold_timer, CLOCK_MONOTONIC, HRTIMER_MODE_REL);
	return hold;
}

void dsm_hold_destroy(struct dsm_hold *hold)
{
	if (hold)
		kmem_cache_free(cache, hold);
}

/* Call @hold->over() after @wait_ns. */
void dsm_hold_start(struct dsm_hold *hold, u64 wait_ns)
{
	hrtimer_start(&hold->timer, ns_to_ktime(wait_ns), HRTIMER_MODE_REL);
}

/* The same, without delay: a revocation that takes long. */
void dsm_hold_start_long(struct dsm_hold *hold)
{
	INIT_WORK(&hold->retry, hold_retry);
	queue_work(long_ones, &hold->retry);
}

/* A thread has been granted the block that it asked for. */
void dsm_hold_granted(struct dsm_block *block, unsigned int hold_us)
{
	lockdep_assert_held(&block->lock);

	block->hold_until = ktime_add_us(ktime_get(), hold_us);
}

/* For how long it may not be taken away, in nanoseconds. */
u64 dsm_hold_left(const struct dsm_block *block)
{
	lockdep_assert_held(&block->lock);

	return max_t(s64, ktime_to_ns(ktime_sub(block->hold_until, ktime_get())), 0);
}

/*
 * The thread has come to use it: soon it may go. A timer that is due is moved, unless
 * it has fired.
 */
void dsm_hold_used(struct dsm_block *block, unsigned int hold_us)
{
	ktime_t now = ktime_get(), granted = ktime_sub_us(block->hold_until, hold_us);
	u64 wait_us = max_t(s64, ktime_us_delta(now, granted) / SETTLE_PART, SETTLE_US);
	ktime_t settled_at = ktime_add_us(now, wait_us);

	lockdep_assert_held(&block->lock);

	if (ktime_compare(settled_at, block->hold_until) >= 0)
		return;
	block->hold_until = settled_at;
	if (block->hold && hrtimer_try_to_cancel(&block->hold->timer) == 1)
		dsm_hold_start(block->hold, wait_us * NSEC_PER_USEC);
}

int dsm_hold_init(void)
{
	cache = KMEM_CACHE(dsm_hold, SLAB_ACCOUNT);
	if (!cache)
		return -ENOMEM;
	retries = alloc_workqueue("dsm_retry", WQ_UNBOUND, 0);
	if (!retries)
		goto err_cache;
	long_ones = alloc_workqueue("dsm_revoke", WQ_UNBOUND, LONG_ONES_MAX);
	if (!long_ones)
		goto err_retries;
	worker = kthread_run_worker(0, "dsm_hold");
	if (IS_ERR(worker))
		goto err_long;
	sched_set_fifo_low(worker->task);
	return 0;

err_long:
	destroy_workqueue(long_ones);
err_retries:
	destroy_workqueue(retries);
err_cache:
	kmem_cache_destroy(cache);
	return -ENOMEM;
}

/* Every region is gone, so no hold is left. */
void dsm_hold_exit(void)
{
	kthread_destroy_worker(worker);
	destroy_workqueue(long_ones);
	destroy_workqueue(retries);
	kmem_cache_destroy(cache);
}
