// SPDX-License-Identifier: GPL-2.0
/*
 * What a node does about a mutex: a pure function of what it knows.
 *
 *	        LOCK sent             granted
 *	NONE -------------> ASKING -------------> OURS <-+
 *	  |                  |   ^                 | |   | handed to a thread,
 *	  | TRYLOCK     last |   | others have     | +---+ let go of again
 *	  v    sent   waiter v   | queued since    |
 *	TRYING        CANCELLING +                 | given back: forgotten, or asked
 *	  |                                        v for again if threads wait
 *	  +--- granted: OURS; refused: as NONE
 *
 * One request is under way at a time. A CANCEL that crosses the grant changes
 * nothing: it is ours. A thread that only tries is asked for alone, since the
 * answer is about the moment it asked; it is never in the queue while a LOCK
 * is under way, because then others come before it.
 */
#include "lease_core.h"

static unsigned int ask(struct dsm_lease_core *core, u8 first)
{
	switch (first) {
	case DSM_LEASE_WAITER:
		core->state = DSM_LEASE_ASKING;
		return DSM_LEASE_LOCK;
	case DSM_LEASE_TRIER:
		core->state = DSM_LEASE_TRYING;
		return DSM_LEASE_TRYLOCK;
	default:
		core->state = DSM_LEASE_NONE;
		return DSM_LEASE_FORGET;
	}
}

static unsigned int give_back(struct dsm_lease_core *core, u8 first)
{
	core->wanted = false;
	core->streak = 0;
	return DSM_LEASE_RETURN | ask(core, first);
}

/* No thread has it. Those here come first, but not for ever. */
static unsigned int pass_on(struct dsm_lease_core *core, struct dsm_lease_now now)
{
	if (now.first != DSM_LEASE_NOBODY &&
	    (!core->wanted || core->streak < DSM_LEASE_STREAK_MAX)) {
		core->streak += core->wanted;
		return DSM_LEASE_HAND;
	}
	if (core->wanted || !now.keep)
		return give_back(core, now.first);
	return DSM_LEASE_KEEP;
}

/**
 * dsm_lease_step() - something has happened to a mutex
 * @core: it
 * @event: what; one that does not fit the state changes nothing
 * @now: what else there is to know
 *
 * Return: enum dsm_lease_action
 */
unsigned int dsm_lease_step(struct dsm_lease_core *core, enum dsm_lease_event event,
			    struct dsm_lease_now now)
{
	bool ours = core->state == DSM_LEASE_OURS;

	switch (event) {
	case DSM_LEASE_WANTED:
		return core->state == DSM_LEASE_NONE ? ask(core, now.first) : 0;
	case DSM_LEASE_LEFT:
		if (core->state != DSM_LEASE_ASKING || now.first != DSM_LEASE_NOBODY)
			return 0;
		core->state = DSM_LEASE_CANCELLING;
		return DSM_LEASE_CANCEL;
	case DSM_LEASE_GRANTED:
		if (ours || core->state == DSM_LEASE_NONE)
			return 0;
		core->state = DSM_LEASE_OURS;
		core->wanted = now.wanted;
		core->streak = 0;
		return pass_on(core, now);
	case DSM_LEASE_REFUSED:
		return core->state == DSM_LEASE_TRYING || core->state == DSM_LEASE_ASKING ||
		       core->state == DSM_LEASE_CANCELLING ? ask(core, now.first) : 0;
	case DSM_LEASE_CANCELLED:
		return core->state == DSM_LEASE_CANCELLING ? ask(core, now.first) : 0;
	case DSM_LEASE_RECALLED:
		if (!ours)
			return 0;
		core->wanted = true;
		return now.held ? 0 : give_back(core, now.first);
	case DSM_LEASE_TRIED:
		if (!ours)
			return 0;
		return now.held ? DSM_LEASE_BUSY : give_back(core, now.first);
	case DSM_LEASE_FREED:
		return ours ? pass_on(core, now) : 0;
	}
	return 0;
}
