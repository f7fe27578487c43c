/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _DSM_WAIT_H
#define _DSM_WAIT_H

#include <linux/errno.h>
#include <linux/hash.h>
#include <linux/jiffies.h>
#include <linux/sched.h>
#include <linux/wait.h>

/* Queues are shared by what hashes to them: look again when woken. */
#define DSM_WAIT_BITS	8
#define DSM_WAITQUEUES	(1 << DSM_WAIT_BITS)
extern wait_queue_head_t dsm_waitqueues[DSM_WAITQUEUES];

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

/* Wait, killable, until @condition or @deadline: 0, -EINTR or -ETIMEDOUT. */
#define dsm_wait_killable(queue, condition, deadline)				\
({										\
	long __left = wait_event_killable_timeout(*(queue), condition,		\
						  dsm_jiffies_left(deadline));	\
	__left > 0 ? 0 : __left < 0 ? -EINTR : -ETIMEDOUT;			\
})

#endif /* _DSM_WAIT_H */
