/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _DSM_SYNC_HOME_H
#define _DSM_SYNC_HOME_H

#include <linux/hashtable.h>
#include <linux/spinlock.h>
#include <linux/types.h>

struct dsm_msg;
struct dsm_node;
struct dsm_region;
struct object;
struct waiter;

enum dsm_sync_hash_bits {
	DSM_SYNC_OBJECT_BITS	= 10,
	DSM_SYNC_CALL_BITS	= 8,
	DSM_SYNC_HELD_BITS	= 8,
};

/**
 * struct dsm_sync - a node's
 * @lock: protects all of it, and what is in it
 * @objects: struct object, by region and offset
 * @calls: struct call without its final reply, by number
 * @held: struct held, by offset
 */
struct dsm_sync {
	spinlock_t lock;	/* see sync.c */
	DECLARE_HASHTABLE(objects, DSM_SYNC_OBJECT_BITS);
	DECLARE_HASHTABLE(calls, DSM_SYNC_CALL_BITS);
	DECLARE_HASHTABLE(held, DSM_SYNC_HELD_BITS);
};

/**
 * struct dsm_sync_request - as it reaches the home
 * @from: who asks
 * @req: the number of the call
 * @region: the region's id
 * @offset: the object
 * @op: enum dsm_sync_op or enum dsm_wire_sync_op
 * @value: what with
 * @owner: the thread
 * @object: memory, taken (set to NULL) if it was needed
 * @waiter: the same
 * @reply: the same; a remote request's
 * @wake: the same; a second one for a remote WAIT
 */
struct dsm_sync_request {
	u16 from;
	u32 req;
	u32 region;
	u64 offset;
	u32 op;
	u32 value;
	u64 owner;
	struct object *object;
	struct waiter *waiter;
	struct dsm_msg *reply;
	struct dsm_msg *wake;
};

static inline u64 dsm_sync_key(u32 region, u64 offset)
{
	return offset ^ (u64)region << 40;
}

struct dsm_msg *dsm_sync_msg_create(const struct dsm_sync_request *rq, u8 type, u32 op,
				    u64 block, gfp_t gfp);
void dsm_sync_request_free(struct dsm_sync_request *rq);

bool dsm_sync_value_valid(u32 op, u32 value);
int dsm_sync_home_prepare(struct dsm_sync_request *rq, bool local, u64 block);
void dsm_sync_home_take(struct dsm_node *node, struct dsm_sync_request *rq);
int dsm_sync_home_receive(struct dsm_region *region, const struct dsm_msg *msg);
void dsm_sync_home_drop(struct dsm_sync *sync, u32 region);

/* sync.c: the home is here, and has answered. */
void dsm_sync_answered(struct dsm_node *node, u32 req, u32 op, u32 value, u32 error);

#endif /* _DSM_SYNC_HOME_H */
