/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _DSM_WAIT_H
#define _DSM_WAIT_H

#include <linux/errno.h>
#include <linux/hash.h>
#include <linux/jiffies.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/wait.h>
#include "wakes.h"

/* Queues are shared by what hashes to them: look again when woken. */
extern wait_queue_head_t dsm_waitqueues[DSM_WAITQUEUES];

void dsm_wait_init(void);

static inline unsigned int dsm_waitqueue_index(const void *what)
{
	return hash_ptr(what, DSM_WAIT_BITS);
}

static inline wait_queue_head_t *dsm_waitqueue(const void *what)
{
	return &dsm_waitqueues[dsm_waitqueue_index(what)];
}

static inline long dsm_jiffies_left(unsigned long deadline)
{
	long left = deadline - jiffies;

	return left > 0 ? left : 0;
}

/*
 * A task that exits still has memory to write: the kernel marks the robust mutexes that it
 * held (exit_robust_list()), and tries once. Most tasks that are killed have no SIGKILL
 * pending any more when they come to that, but one has that was killed while it dumped core,
 * or while it was in exit(2) already. Were its accesses to fail at once, its mutexes would
 * stay locked for ever. It waits as others do, until @deadline at most.
 */
static inline bool dsm_task_exits(void)
{
	return current->flags & PF_EXITING;
}

static inline bool dsm_task_killed(void)
{
	return fatal_signal_pending(current) && !dsm_task_exits();
}

/*
 * Wait until @condition or @deadline, or until the task is killed: 0, -ETIMEDOUT or -EINTR.
 * It is not killed while it exits.
 */
#define dsm_wait_killable(queue, condition, deadline)				\
({										\
	long __left = dsm_jiffies_left(deadline);				\
										\
	if (dsm_task_exits())							\
		__left = wait_event_timeout(*(queue), condition, __left);	\
	else									\
		__left = wait_event_killable_timeout(*(queue), condition, __left); \
	__left > 0 ? 0 : __left < 0 ? -EINTR : -ETIMEDOUT;			\
})

#endif /* _DSM_WAIT_H */
