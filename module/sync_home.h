/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _DSM_SYNC_HOME_H
#define _DSM_SYNC_HOME_H

#include <linux/hashtable.h>
#include <linux/jiffies.h>
#include <linux/sched.h>
#include <linux/spinlock.h>
#include <linux/types.h>
#include <linux/workqueue.h>
#include "node.h"

struct aside;
struct dsm_msg;
struct dsm_region;
struct object;
struct waiter;

enum dsm_sync_limits {
	/*
	 * Objects and requests kept for one other node, 300 bytes each with its answer:
	 * 19 MiB. That is 16 users with as many mutexes there as a user may have.
	 */
	DSM_SYNC_KEPT_MAX	= 1 << 16,
};

enum dsm_sync_hash_bits {
	DSM_SYNC_OBJECT_BITS	= 10,
	DSM_SYNC_CALL_BITS	= 8,
	DSM_SYNC_LEASE_BITS	= 12,
	DSM_SYNC_TURNS_BITS	= 8,
};

/**
 * struct dsm_sync - a node's
 * @node: the node
 * @lock: protects all that follows, and what is in it
 * @self: messages of this node to itself, in the order in which things happened
 * @delivering: a thread delivers them
 * @objects: struct object, by region and offset
 * @calls: struct call without its final reply, by number
 * @leases: struct lease, by region and offset
 * @kept: by node, how many objects, waiters and set-aside requests are kept for it
 * @watched: struct lease, for whose holder a thread or node waits
 * @watch: asks whether those holders live
 * @looked_at: how many leases were looked at by what goes through many of them; KUnit
 *	reads it
 * @turns: mutexes homed here that nodes took turns with, of late: dsm_sync_key()
 *	by its hash, or 0; a later one takes an earlier one's place
 */
struct dsm_sync {
	struct dsm_node *node;
	spinlock_t lock;	/* see sync.c */
	struct list_head self;
	bool delivering;
	DECLARE_HASHTABLE(objects, DSM_SYNC_OBJECT_BITS);
	DECLARE_HASHTABLE(calls, DSM_SYNC_CALL_BITS);
	DECLARE_HASHTABLE(leases, DSM_SYNC_LEASE_BITS);
	atomic_t *kept;
	struct list_head watched;
	struct delayed_work watch;
	u64 looked_at;
	u64 turns[1 << DSM_SYNC_TURNS_BITS];
};

/**
 * struct dsm_sync_request - as it reaches the home
 * @from: the node that asks
 * @req: the number of the call
 * @region: the region's id
 * @offset: the object
 * @op: enum dsm_sync_op or enum dsm_wire_sync_op
 * @value: its argument
 * @object: memory, taken (set to NULL) if it was needed
 * @waiter: the same
 * @reply: the same
 * @wake: the same; a second one for a WAIT
 * @recall: the same; RECALL
 * @aside: the same; where the request waits for the answer to that
 */
struct dsm_sync_request {
	u16 from;
	u32 req;
	u32 region;
	u64 offset;
	u32 op;
	u32 value;
	struct object *object;
	struct waiter *waiter;
	struct dsm_msg *reply;
	struct dsm_msg *wake;
	struct dsm_msg *recall;
	struct aside *aside;
};

/**
 * struct dsm_sync_answer - what the home has to say
 * @from: the home
 * @region: the region's id
 * @offset: the object
 * @req: the number of the call
 * @op: what of; see struct dsm_wire_sync
 * @value: the result
 * @error: a positive errno, or 0
 */
struct dsm_sync_answer {
	u16 from;
	u32 region;
	u64 offset;
	u32 req;
	u32 op;
	u32 value;
	u32 error;
};

static inline u64 dsm_sync_key(u32 region, u64 offset)
{
	return offset ^ (u64)region << 40;
}

/* A number for a thread, unique on this node while the thread lives. */
static inline u64 dsm_sync_thread(void)
{
	return (u64)task_tgid_nr(current) << 32 | task_pid_nr(current);
}

/* How long an answer may take that is due at once. */
static inline unsigned long dsm_sync_jiffies(const struct dsm_node *node)
{
	return msecs_to_jiffies(READ_ONCE(node->timeout_ms));
}

void dsm_sync_post(struct dsm_sync *sync, u16 to, struct dsm_msg *msg);
void dsm_sync_unlock(struct dsm_sync *sync);

struct dsm_msg *dsm_sync_msg_create(u32 region, u64 offset, u32 req, u8 type, u32 op, u32 value,
				    u64 block, gfp_t gfp);

bool dsm_sync_value_valid(u32 op, u32 value);
int dsm_sync_home_find(struct dsm_region *region, u64 offset, u16 *home);
int dsm_sync_home_receive(struct dsm_region *region, const struct dsm_msg *msg);
void dsm_sync_home_drop(struct dsm_sync *sync, u32 region);

#endif /* _DSM_SYNC_HOME_H */
