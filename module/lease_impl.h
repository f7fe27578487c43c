/* SPDX-License-Identifier: GPL-2.0 */
/* What lease.c and lease_end.c share, and nobody else. */
#ifndef _DSM_LEASE_IMPL_H
#define _DSM_LEASE_IMPL_H

#include "claim.h"
#include "lease.h"
#include "lease_core.h"
#include "process.h"
#include "region.h"
#include "sync_home.h"

/**
 * struct lease - a mutex that we have or want
 * @hash: in dsm_sync->leases
 * @list: in region->leases
 * @kept: in user->kept, while it has a word
 * @watched: in dsm_sync->watched: somebody waits for its holder
 * @region: the region, which drops its leases before it goes
 * @offset: where it is
 * @home: its home
 * @core: how far it is
 * @ownerdead: whoever had it died, and nobody has taken it since
 * @claim: the last request that was sent
 * @lockers: struct dsm_locker, in order of arrival. While it is ours, each has
 *	its claim: the one whose claim was sent is the first, or has left
 * @slot: its word, or -1
 * @thread: who has it, where the word does not say; or 0
 * @opener: what through
 * @held: in @opener->holds, while @thread is set
 * @process: that one's
 * @user: to whom it is counted
 */
struct lease {
	struct hlist_node hash;
	struct list_head list;
	struct list_head kept;
	struct list_head watched;
	struct dsm_region *region;
	u64 offset;
	u16 home;
	struct dsm_lease_core core;
	bool ownerdead;
	struct dsm_claim *claim;
	struct list_head lockers;
	int slot;
	u64 thread;
	struct dsm_opener *opener;
	struct list_head held;
	struct dsm_process process;
	struct dsm_user *user;
};

/* Without a lease, too. */
static inline bool dsm_lease_is_ours(const struct lease *lease)
{
	return lease && lease->core.state == DSM_LEASE_OURS;
}

/* lease.c; all with dsm_sync->lock held. After those marked, the lease may be gone. */
const struct dsm_process *dsm_lease_holder(const struct lease *lease, struct dsm_opener **opener);
void dsm_lease_watch(struct lease *lease);
void dsm_lease_orphaned(struct lease *lease);	/* marked */
bool dsm_lease_give_back(struct lease *lease);	/* marked */
void dsm_lease_destroy(struct lease *lease);

/* lease_end.c */
void dsm_lease_watched(struct work_struct *work);

#endif /* _DSM_LEASE_IMPL_H */
