// SPDX-License-Identifier: GPL-2.0
/* The wait queues that blocks, chunks, regions and nodes share: see wait.h. */
#include <linux/bitops.h>
#include <linux/kernel.h>
#include <linux/string.h>
#include "wait.h"

wait_queue_head_t dsm_waitqueues[DSM_WAITQUEUES];

/* Wake the threads of every queue in @wakes, and leave it empty. */
void dsm_wakes_run(struct dsm_wakes *wakes)
{
	unsigned int i;

	for_each_set_bit(i, wakes->queues, DSM_WAITQUEUES)
		wake_up_all(&dsm_waitqueues[i]);
	memset(wakes, 0, sizeof(*wakes));
}

void dsm_wait_init(void)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(dsm_waitqueues); i++)
		init_waitqueue_head(&dsm_waitqueues[i]);
}
