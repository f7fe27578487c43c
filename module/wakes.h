/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _DSM_WAKES_H
#define _DSM_WAKES_H

#include <linux/types.h>

/* How many wait queues there are, see wait.h. */
#define DSM_WAIT_BITS	8
#define DSM_WAITQUEUES	(1 << DSM_WAIT_BITS)

/**
 * struct dsm_wakes - queues whose threads can go on
 * @queues: a bit for each of dsm_waitqueues[]
 */
struct dsm_wakes {
	unsigned long queues[DSM_WAITQUEUES / BITS_PER_LONG];
};

void dsm_wakes_run(struct dsm_wakes *wakes);

#endif /* _DSM_WAKES_H */
