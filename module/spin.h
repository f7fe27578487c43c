/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Spinning before sleeping. To be woken takes longer than many an answer, and
 * much longer where the processor has gone to sleep as well: who waits for one
 * looks for a while, if nothing else wants the processor. spin_us in sysfs says
 * for how long at most.
 *
 * Whether it is worth it is learnt: after it was in vain 2, 3, 4, ... times in a
 * row the next 2, 6, 14, ... waits go without, 62 at most.
 */
#ifndef _DSM_SPIN_H
#define _DSM_SPIN_H

#include <linux/atomic.h>
#include <linux/types.h>
#include <asm/processor.h>

/* Who waits, and what for. */
enum dsm_spin_kind {
	DSM_SPIN_FAULT,		/* a thread, for a block */
	DSM_SPIN_SYNC,		/* a thread, for a mutex, a barrier, a condition */
	DSM_SPIN_HELPER,	/* the helper, for anything */
	DSM_SPIN_KINDS
};

/**
 * struct dsm_spin - what has been learnt of one kind of waits
 * @in_vain: so many were, since one was not; a guess, like @skip
 * @skip: so many more go without
 * @hits: what was waited for came
 * @misses: it did not
 */
struct dsm_spin {
	u32 in_vain;
	u32 skip;
	atomic64_t hits;
	atomic64_t misses;
};

u64 dsm_spin_begin(struct dsm_spin *spin, u32 us);
bool dsm_spin_goes_on(u64 end);
void dsm_spin_end(struct dsm_spin *spin, u64 end, bool done);

/*
 * Look for @condition, which need not be certain, for @us at most. Where there is
 * nothing to wait for nothing is learnt.
 */
#define dsm_spin(spin, us, condition)						\
do {										\
	bool __done = (condition);						\
	u64 __end = __done ? 0 : dsm_spin_begin(spin, us);			\
										\
	if (!__end)								\
		break;								\
	while (!__done && dsm_spin_goes_on(__end)) {				\
		cpu_relax();							\
		__done = (condition);						\
	}									\
	dsm_spin_end(spin, __end, __done);					\
} while (0)

#endif /* _DSM_SPIN_H */
