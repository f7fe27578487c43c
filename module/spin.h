/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Spinning before sleeping. A wake-up takes longer than many an answer, and much
 * longer if the processor has gone to sleep as well. So a thread that waits for an
 * answer spins for a while, if nothing else wants the processor. spin_us in sysfs is
 * the longest time.
 *
 * Whether it is worth it is learnt: after it was in vain 2, 3, 4, ... times since
 * it was not the next 2, 6, 14, ... waits go without, 62 at most. Threads that wait
 * at the same time all count.
 */
#ifndef _DSM_SPIN_H
#define _DSM_SPIN_H

#include <linux/atomic.h>
#include <linux/types.h>
#include <asm/processor.h>

/* Kinds of waits. */
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
 * @hits: waits that ended while they spun
 * @misses: it did not
 */
struct dsm_spin {
	u32 in_vain;
	u32 skip;
	atomic64_t hits;
	atomic64_t misses;
};

/**
 * struct dsm_spin_turn - one wait
 * @end: when it is to end, by ktime_get_ns(); 0, there is to be none
 * @switches: how often the thread had lost the processor before
 */
struct dsm_spin_turn {
	u64 end;
	unsigned long switches;
};

struct dsm_spin_turn dsm_spin_begin(struct dsm_spin *spin, u32 us);
bool dsm_spin_goes_on(const struct dsm_spin_turn *turn);
void dsm_spin_end(struct dsm_spin *spin, const struct dsm_spin_turn *turn, bool done);

/*
 * Look for @condition, which need not be certain, for @us at most. Where there is
 * nothing to wait for nothing is learnt.
 */
#define dsm_spin(spin, us, condition)						\
do {										\
	struct dsm_spin_turn __turn;						\
	bool __done;								\
										\
	if (condition)								\
		break;								\
	__turn = dsm_spin_begin(spin, us);					\
	if (!__turn.end)							\
		break;								\
	while (!(__done = (condition)) && dsm_spin_goes_on(&__turn))		\
		cpu_relax();							\
	dsm_spin_end(spin, &__turn, __done || (condition));			\
} while (0)

#endif /* _DSM_SPIN_H */
