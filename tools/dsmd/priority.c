// SPDX-License-Identifier: GPL-2.0
/*
 * Running soon: faulting threads wait for us, here and on other nodes.
 *
 * A high priority gives the helper its share, but not at once: a thread that
 * computes is only interrupted by one that asks for shorter slices (Linux 6.12 and
 * later; before, the priority alone does it). The helper never needs long ones.
 */
#include <linux/sched/types.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "log.h"
#include "priority.h"

#define PRIORITY_NICE		(-10)
#define PRIORITY_SLICE_NS	100000	/* the least there is */

void priority_raise(void)
{
	struct sched_attr attr = {
		.size = sizeof(attr),
		.sched_nice = PRIORITY_NICE,
		.sched_runtime = PRIORITY_SLICE_NS,
	};

	if (syscall(SYS_sched_setattr, 0, &attr, 0))
		log_debug("priority %d: %m", PRIORITY_NICE);
}
