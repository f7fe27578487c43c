/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _DSM_LEASE_H
#define _DSM_LEASE_H

#include <linux/list.h>
#include <linux/types.h>
#include <linux/wait.h>
#include "process.h"

struct dsm_claim;
struct dsm_node;
struct dsm_region;
struct dsm_sync;
struct dsm_sync_answer;
struct dsm_user;
struct files_struct;
struct lease;

/**
 * struct dsm_locker - a thread of this node that wants a mutex
 *
 * On the thread's stack. Where it is queued, all but @wait is protected by
 * dsm_sync->lock.
 *
 * @region: the region
 * @offset: the mutex
 * @try: it does not wait for others
 * @opener: what it is to be held through
 * @process: the thread's
 * @tid: the thread, as it knows itself
 * @thread: dsm_sync_thread()
 * @list: in lease->lockers
 * @wait: where it waits
 * @done: @error and @value are there (written with release), and it is not queued
 * @asked: the TRYLOCK under way is for it
 * @error: 0 or -errno
 * @value: 0 or DSM_SYNC_OWNERDEAD
 * @spare: memory for a lease, if there is none
 * @claim: memory for asking the home, taken (set to NULL) if it was asked
 * @user: to whom a lease made of @spare is counted, until one is
 */
struct dsm_locker {
	struct dsm_region *region;
	u64 offset;
	bool try;
	struct dsm_opener *opener;
	struct dsm_process process;
	pid_t tid;
	u64 thread;
	struct list_head list;
	wait_queue_head_t wait;
	bool done;
	bool asked;
	int error;
	u32 value;
	struct lease *spare;
	struct dsm_user *user;
	struct dsm_claim *claim;
};

void dsm_locker_init(struct dsm_locker *locker, struct dsm_region *region,
		     struct dsm_opener *opener, u64 offset, bool try);
int dsm_locker_prepare(struct dsm_locker *locker);
void dsm_locker_free(struct dsm_locker *locker);

long dsm_lease_lock(struct dsm_region *region, struct dsm_opener *opener, u64 offset,
		    u64 timeout_ns, u32 *value);
long dsm_lease_trylock(struct dsm_region *region, struct dsm_opener *opener, u64 offset,
		       u32 *value);
long dsm_lease_lock_again(struct dsm_locker *locker, u32 *value);
int dsm_lease_unlock(struct dsm_region *region, u64 offset);
bool dsm_lease_is_mine(struct dsm_region *region, u64 offset);

int dsm_lease_answer(struct dsm_node *node, const struct dsm_sync_answer *answer);
bool dsm_lease_recall(struct dsm_node *node, const struct dsm_sync_answer *answer);

struct dsm_user *dsm_lease_count(struct dsm_node *node);
void dsm_lease_trim(struct dsm_node *node, struct dsm_user *user);
void dsm_lease_release(struct dsm_region *region, struct dsm_opener *opener,
		       const struct files_struct *files);
void dsm_lease_reap(struct dsm_region *region);
void dsm_lease_node_init(struct dsm_sync *sync);
void dsm_lease_node_exit(struct dsm_sync *sync);
void dsm_lease_drop(struct dsm_region *region);

#endif /* _DSM_LEASE_H */
