/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _DSM_LEASE_CORE_H
#define _DSM_LEASE_CORE_H

#include <linux/types.h>

enum dsm_lease_limits {
	DSM_LEASE_STREAK_MAX	= 16,	/* hand-overs within a node while another wants it */
};

enum dsm_lease_state {
	DSM_LEASE_NONE,		/* new */
	DSM_LEASE_TRYING,	/* TRYLOCK is under way */
	DSM_LEASE_ASKING,	/* LOCK is */
	DSM_LEASE_CANCELLING,	/* so is CANCEL */
	DSM_LEASE_OURS,
};

/* The wish of the first thread in the node's queue. */
enum dsm_lease_first {
	DSM_LEASE_NOBODY,
	DSM_LEASE_TRIER,
	DSM_LEASE_WAITER,
};

enum dsm_lease_event {
	DSM_LEASE_WANTED,	/* a thread has been queued */
	DSM_LEASE_LEFT,		/* one has left the queue */
	DSM_LEASE_GRANTED,	/* the home's answer */
	DSM_LEASE_REFUSED,	/* ... and whoever it was for has left the queue */
	DSM_LEASE_CANCELLED,
	DSM_LEASE_RECALLED,	/* the home wants it back */
	DSM_LEASE_TRIED,	/* ... if it is free */
	DSM_LEASE_FREED,	/* no thread holds it any more */
};

/* Actions, in the order in which they are done. */
enum dsm_lease_action {
	DSM_LEASE_BUSY		= 1 << 0,	/* say BUSY */
	DSM_LEASE_HAND		= 1 << 1,	/* the first in the queue has it */
	DSM_LEASE_KEEP		= 1 << 2,	/* it is free, and stays */
	DSM_LEASE_RETURN	= 1 << 3,	/* RELEASE */
	DSM_LEASE_LOCK		= 1 << 4,	/* send LOCK, for the first in the queue */
	DSM_LEASE_TRYLOCK	= 1 << 5,	/* send TRYLOCK, for the first in the queue */
	DSM_LEASE_CANCEL	= 1 << 6,
	DSM_LEASE_FORGET	= 1 << 7,	/* there is nothing left of it */
};

/**
 * struct dsm_lease_core - a mutex, as a node sees it that is not its home (or acts as if)
 * @state: enum dsm_lease_state
 * @wanted: OURS: another node waits for it
 * @streak: how often it has stayed on this node nevertheless
 */
struct dsm_lease_core {
	u8 state;
	bool wanted;
	u8 streak;
};

/**
 * struct dsm_lease_now - what else there is to know
 * @first: enum dsm_lease_first
 * @held: RECALLED, TRIED: a thread has it
 * @wanted: GRANTED: others wait for it
 * @keep: it may stay when nobody here wants it
 */
struct dsm_lease_now {
	u8 first;
	bool held;
	bool wanted;
	bool keep;
};

unsigned int dsm_lease_step(struct dsm_lease_core *core, enum dsm_lease_event event,
			    struct dsm_lease_now now);

#endif /* _DSM_LEASE_CORE_H */
