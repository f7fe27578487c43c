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

static unsigned long switches(void)
{
	return current->nvcsw + current->nivcsw;
}

struct dsm_spin_turn dsm_spin_begin(struct dsm_spin *spin, u32 us)
{
	struct dsm_spin_turn turn = {};
	u32 skip;

	/* The thread that we wait for needs a processor, and others may, too. */
	if (!us || num_online_cpus() == 1 || !single_task_running())
		return turn;
	skip = READ_ONCE(spin->skip);
	if (skip) {
		WRITE_ONCE(spin->skip, skip - 1);
		return turn;
	}
	turn.switches = switches();
	turn.end = ktime_get_ns() + us * NSEC_PER_USEC;
	return turn;
}

bool dsm_spin_goes_on(const struct dsm_spin_turn *turn)
{
	return single_task_running() && !need_resched() && !signal_pending(current) &&
	       ktime_get_ns() < turn->end;
}

void dsm_spin_end(struct dsm_spin *spin, const struct dsm_spin_turn *turn, bool done)
{
	u32 in_vain = READ_ONCE(spin->in_vain);

	if (done) {
		atomic64_inc(&spin->hits);
		if (in_vain) {
			WRITE_ONCE(spin->in_vain, 0);
			WRITE_ONCE(spin->skip, 0);
		}
		return;
	}
	atomic64_inc(&spin->misses);
	/* That another wanted the processor says nothing about the next time. */
	if (ktime_get_ns() < turn->end || switches() != turn->switches)
		return;
	in_vain = min_t(u32, in_vain + 1, IN_VAIN_MAX);
	WRITE_ONCE(spin->in_vain, in_vain);
	WRITE_ONCE(spin->skip, (1 << in_vain) - 2);
}
