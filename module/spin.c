// SPDX-License-Identifier: GPL-2.0
/* Spinning before sleeping: see spin.h. */
#include <linux/cpumask.h>
#include <linux/minmax.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/sched/stat.h>
#include <linux/timekeeping.h>
#include "spin.h"

#define IN_VAIN_MAX	6

/* Return: when it is to end; 0, there is to be none. */
u64 dsm_spin_begin(struct dsm_spin *spin, u32 us)
{
	u32 skip;

	/* Who is waited for needs a processor. */
	if (!us || num_online_cpus() == 1)
		return 0;
	skip = READ_ONCE(spin->skip);
	if (skip) {
		WRITE_ONCE(spin->skip, skip - 1);
		return 0;
	}
	return ktime_get_ns() + us * NSEC_PER_USEC;
}

bool dsm_spin_goes_on(u64 end)
{
	return single_task_running() && !need_resched() && !signal_pending(current) &&
	       ktime_get_ns() < end;
}

void dsm_spin_end(struct dsm_spin *spin, u64 end, bool done)
{
	u32 in_vain;

	if (done) {
		atomic64_inc(&spin->hits);
		if (READ_ONCE(spin->in_vain))
			WRITE_ONCE(spin->in_vain, 0);
		return;
	}
	atomic64_inc(&spin->misses);
	/* That another wanted the processor says nothing about the next time. */
	if (ktime_get_ns() < end)
		return;
	in_vain = min_t(u32, READ_ONCE(spin->in_vain) + 1, IN_VAIN_MAX);
	WRITE_ONCE(spin->in_vain, in_vain);
	WRITE_ONCE(spin->skip, (1 << in_vain) - 2);
}
