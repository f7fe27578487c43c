// SPDX-License-Identifier: GPL-2.0
/*
 * Synchronisation objects at their home: who holds them, who waits.
 *
 * sync.c tells how nodes talk about them, and has the lock order.
 */
#include <linux/slab.h>
#include "directory.h"
#include "msg.h"
#include "node.h"
#include "peer.h"
#include "region.h"
#include "sync_home.h"

enum sync_limits {
	MUTEX_STREAK_MAX	= 16,	/* hand-overs within a node while others wait */
};

enum object_kind {
	KIND_MUTEX,
	KIND_BARRIER,
	KIND_COND,
};

/**
 * struct object - at its home, while in use
 * @hash: in dsm_sync->objects
 * @region: the region's id
 * @offset: where it is
 * @kind: enum object_kind
 * @waiters: struct waiter, in order of arrival
 * @locked: mutex: @holder, @owner and @req are valid
 * @ownerdead: mutex: the last holder died, and nobody has taken it since
 * @streak: mutex: how often in a row it has stayed on a node while others wait
 * @holder: mutex: the holder's node
 * @owner: mutex: the holder's thread
 * @req: mutex: the request that took it
 * @count: barrier: how many are waited for
 * @arrived: barrier: how many are in @waiters
 */
struct object {
	struct hlist_node hash;
	u32 region;
	u64 offset;
	u8 kind;
	struct list_head waiters;
	bool locked;
	bool ownerdead;
	u8 streak;
	u16 holder;
	u64 owner;
	u32 req;
	u32 count;
	u32 arrived;
};

/**
 * struct waiter - who waits for an object
 * @list: in object->waiters
 * @node: its node
 * @owner: its thread
 * @req: its request
 * @reply: the answer, but for what it says; NULL if it is this node's
 */
struct waiter {
	struct list_head list;
	u16 node;
	u64 owner;
	u32 req;
	struct dsm_msg *reply;
};

struct dsm_msg *dsm_sync_msg_create(const struct dsm_sync_request *rq, u8 type, u32 op,
				    u64 block, gfp_t gfp)
{
	struct dsm_msg *msg = dsm_msg_alloc(gfp);

	if (!msg)
		return NULL;
	msg->coh.type = type;
	msg->coh.req = rq->req;
	msg->region = rq->region;
	msg->block = block;
	msg->body_len = sizeof(struct dsm_wire_sync);
	msg->body.sync.op = cpu_to_le32(op);
	msg->body.sync.value = cpu_to_le32(rq->value);
	msg->body.sync.offset = cpu_to_le64(rq->offset);
	msg->body.sync.owner = cpu_to_le64(rq->owner);
	return msg;
}

void dsm_sync_request_free(struct dsm_sync_request *rq)
{
	kfree(rq->object);
	kfree(rq->waiter);
	dsm_msg_free(rq->reply);
	dsm_msg_free(rq->wake);
}

/* Answer the request @req of @node; takes @reply. */
static void answer(struct dsm_node *node, u16 to, u32 req, struct dsm_msg **reply,
		   u32 op, u32 value, u32 error)
{
	struct dsm_msg *msg = *reply;

	if (to == node->id) {
		dsm_sync_answered(node, req, op, value, error);
		return;
	}
	*reply = NULL;
	msg->body.sync.op = cpu_to_le32(op);
	msg->body.sync.value = cpu_to_le32(value);
	msg->body.sync.error = cpu_to_le32(error);
	dsm_node_post(node, to, msg);
}

static void answer_request(struct dsm_node *node, struct dsm_sync_request *rq, u32 value, u32 error)
{
	answer(node, rq->from, rq->req, &rq->reply, rq->op, value, error);
}

static void answer_waiter(struct dsm_node *node, struct waiter *waiter, u32 op, u32 value)
{
	answer(node, waiter->node, waiter->req, &waiter->reply, op, value, 0);
	list_del(&waiter->list);
	kfree(waiter);
}

static void queue(struct object *object, struct dsm_sync_request *rq, struct dsm_msg **reply)
{
	struct waiter *waiter = rq->waiter;

	rq->waiter = NULL;
	waiter->node = rq->from;
	waiter->owner = rq->owner;
	waiter->req = rq->req;
	waiter->reply = *reply;
	*reply = NULL;
	list_add_tail(&waiter->list, &object->waiters);
}

static struct object *object_find(struct dsm_sync *sync, const struct dsm_sync_request *rq)
{
	u64 key = dsm_sync_key(rq->region, rq->offset);
	struct object *object;

	lockdep_assert_held(&sync->lock);

	hash_for_each_possible(sync->objects, object, hash, key)
		if (object->region == rq->region && object->offset == rq->offset)
			return object;
	return NULL;
}

/* The object, made if there is none; NULL if there is one of another kind. */
static struct object *object_get(struct dsm_sync *sync, struct dsm_sync_request *rq, u8 kind)
{
	struct object *object = object_find(sync, rq);

	if (object)
		return object->kind == kind ? object : NULL;
	object = rq->object;
	rq->object = NULL;
	object->region = rq->region;
	object->offset = rq->offset;
	object->kind = kind;
	INIT_LIST_HEAD(&object->waiters);
	hash_add(sync->objects, &object->hash, dsm_sync_key(rq->region, rq->offset));
	return object;
}

static void object_free(struct object *object)
{
	struct waiter *waiter, *next;

	hash_del(&object->hash);
	list_for_each_entry_safe(waiter, next, &object->waiters, list) {
		dsm_msg_free(waiter->reply);
		kfree(waiter);
	}
	kfree(object);
}

static void object_free_idle(struct object *object)
{
	if (!object->locked && !object->ownerdead && list_empty(&object->waiters))
		object_free(object);
}

static u32 mutex_take(struct object *object, u16 node, u64 owner, u32 req)
{
	u32 value = object->ownerdead ? DSM_SYNC_OWNERDEAD : 0;

	object->locked = true;
	object->ownerdead = false;
	object->holder = node;
	object->owner = owner;
	object->req = req;
	return value;
}

static void home_lock(struct dsm_node *node, struct dsm_sync_request *rq)
{
	struct object *object = object_get(node->sync, rq, KIND_MUTEX);

	if (!object) {
		answer_request(node, rq, 0, EINVAL);
	} else if (!object->locked) {
		u32 value = mutex_take(object, rq->from, rq->owner, rq->req);

		answer_request(node, rq, value, 0);
	} else if (rq->op == DSM_SYNC_TRYLOCK) {
		answer_request(node, rq, 0, EBUSY);
	} else if (object->holder == rq->from && object->owner == rq->owner) {
		answer_request(node, rq, 0, EDEADLK);
	} else {
		queue(object, rq, &rq->reply);
	}
}

/* By who does not hold it. */
static void home_unlock(struct dsm_node *node, struct dsm_sync_request *rq)
{
	struct object *object = object_find(node->sync, rq);

	answer_request(node, rq, 0, object && object->kind != KIND_MUTEX ? EINVAL : EPERM);
}

static struct waiter *mutex_next(struct object *object)
{
	struct waiter *first, *waiter;

	first = list_first_entry_or_null(&object->waiters, struct waiter, list);
	if (first && object->streak < MUTEX_STREAK_MAX)
		list_for_each_entry(waiter, &object->waiters, list)
			if (waiter->node == object->holder) {
				object->streak = waiter == first ? 0 : object->streak + 1;
				return waiter;
			}
	object->streak = 0;
	return first;
}

static void home_release(struct dsm_node *node, struct dsm_sync_request *rq)
{
	struct object *object = object_find(node->sync, rq);
	struct waiter *next;
	u32 value;

	if (!object || object->kind != KIND_MUTEX || !object->locked ||
	    object->holder != rq->from || object->req != rq->req)
		return;
	object->locked = false;
	object->ownerdead = rq->value & DSM_SYNC_OWNERDEAD;
	next = mutex_next(object);
	if (!next) {
		object_free_idle(object);
		return;
	}
	value = mutex_take(object, next->node, next->owner, next->req);
	answer_waiter(node, next, DSM_SYNC_LOCK, value);
}

static void home_barrier(struct dsm_node *node, struct dsm_sync_request *rq)
{
	struct object *object = object_get(node->sync, rq, KIND_BARRIER);
	struct waiter *waiter, *next;

	if (!object || (object->arrived && object->count != rq->value)) {
		answer_request(node, rq, 0, EINVAL);
		return;
	}
	object->count = rq->value;
	object->arrived++;
	if (object->arrived < object->count) {
		queue(object, rq, &rq->reply);
		return;
	}
	list_for_each_entry_safe(waiter, next, &object->waiters, list)
		answer_waiter(node, waiter, DSM_SYNC_BARRIER, 0);
	answer_request(node, rq, DSM_SYNC_SERIAL, 0);
	object_free(object);
}

static void home_wait(struct dsm_node *node, struct dsm_sync_request *rq)
{
	struct object *object = object_get(node->sync, rq, KIND_COND);

	if (!object) {
		answer_request(node, rq, 0, EINVAL);
		return;
	}
	queue(object, rq, &rq->wake);
	answer_request(node, rq, 0, 0);
}

static u32 cond_wake(struct dsm_node *node, struct object *object, u32 max)
{
	struct waiter *waiter, *next;
	u32 n = 0;

	list_for_each_entry_safe(waiter, next, &object->waiters, list) {
		if (n == max)
			break;
		answer_waiter(node, waiter, DSM_SYNC_WAKE, 0);
		n++;
	}
	object_free_idle(object);
	return n;
}

static void home_wake(struct dsm_node *node, struct dsm_sync_request *rq)
{
	struct object *object = object_find(node->sync, rq);

	if (!object)
		answer_request(node, rq, 0, 0);
	else if (object->kind != KIND_COND)
		answer_request(node, rq, 0, EINVAL);
	else
		answer_request(node, rq, cond_wake(node, object, rq->value), 0);
}

/* Somebody was woken who is not there any more: another, if there is one. */
static void home_rewake(struct dsm_node *node, struct dsm_sync_request *rq)
{
	struct object *object = object_find(node->sync, rq);

	if (object && object->kind == KIND_COND)
		cond_wake(node, object, 1);
}

/* What has been answered already cannot be taken back. */
static void home_cancel(struct dsm_node *node, struct dsm_sync_request *rq)
{
	struct object *object = object_find(node->sync, rq);
	struct waiter *waiter;

	if (!object)
		return;
	list_for_each_entry(waiter, &object->waiters, list) {
		if (waiter->node != rq->from || waiter->req != rq->req)
			continue;
		if (object->kind == KIND_BARRIER)
			object->arrived--;
		answer_waiter(node, waiter, DSM_SYNC_CANCEL, 0);
		object_free_idle(object);
		return;
	}
}

/**
 * struct home_op - what the home does
 * @take: the operation
 * @value_max: the most its value may be; where that is not 0, it is not 0
 * @object: it may make an object
 * @waiter: it may have to wait
 * @reply: it is answered
 * @wake: it is answered twice
 */
struct home_op {
	void (*take)(struct dsm_node *node, struct dsm_sync_request *rq);
	u32 value_max;
	bool object;
	bool waiter;
	bool reply;
	bool wake;
};

static const struct home_op home_ops[] = {
	[DSM_SYNC_LOCK]		= { home_lock, .object = true, .waiter = true, .reply = true },
	[DSM_SYNC_TRYLOCK]	= { home_lock, .object = true, .reply = true },
	[DSM_SYNC_UNLOCK]	= { home_unlock, .reply = true },
	[DSM_SYNC_BARRIER]	= { home_barrier, S32_MAX, .object = true, .waiter = true,
				    .reply = true },
	[DSM_SYNC_WAIT]		= { home_wait, .object = true, .waiter = true, .reply = true,
				    .wake = true },
	[DSM_SYNC_WAKE]		= { home_wake, U32_MAX, .reply = true },
	[DSM_SYNC_CANCEL]	= { home_cancel },
	[DSM_SYNC_RELEASE]	= { home_release },
	[DSM_SYNC_REWAKE]	= { home_rewake },
};

static const struct home_op *home_op(u32 op)
{
	return op < ARRAY_SIZE(home_ops) && home_ops[op].take ? &home_ops[op] : NULL;
}

bool dsm_sync_value_valid(u32 op, u32 value)
{
	u32 max = home_ops[op].value_max;

	if (op == DSM_SYNC_RELEASE)
		return !(value & ~DSM_SYNC_OWNERDEAD);
	return max ? value && value <= max : !value;
}

/*
 * All the memory that serving the request may take. A thread of this node pays
 * for its own; other nodes' is not for the helper, which brings them, to pay.
 */
int dsm_sync_home_prepare(struct dsm_sync_request *rq, bool local, u64 block)
{
	const struct home_op *op = home_op(rq->op);
	gfp_t gfp = local ? GFP_KERNEL_ACCOUNT : GFP_KERNEL;

	if (op->object)
		rq->object = kzalloc(sizeof(*rq->object), gfp);
	if (op->waiter)
		rq->waiter = kzalloc(sizeof(*rq->waiter), gfp);
	if (op->reply && !local)
		rq->reply = dsm_sync_msg_create(rq, DSM_SYNC_REPLY, rq->op, block, gfp);
	if (op->wake && !local)
		rq->wake = dsm_sync_msg_create(rq, DSM_SYNC_REPLY, rq->op, block, gfp);
	if ((op->object && !rq->object) || (op->waiter && !rq->waiter) ||
	    (op->reply && !local && !rq->reply) || (op->wake && !local && !rq->wake))
		return -ENOMEM;
	return 0;
}

void dsm_sync_home_take(struct dsm_node *node, struct dsm_sync_request *rq)
{
	lockdep_assert_held(&node->sync->lock);

	home_op(rq->op)->take(node, rq);
}

/* A request of another node's. Return: as dsm_sync_receive(). */
int dsm_sync_home_receive(struct dsm_region *region, const struct dsm_msg *msg)
{
	const struct dsm_wire_sync *wire = &msg->body.sync;
	struct dsm_node *node = region->node;
	struct dsm_sync_request rq = {
		.from	= msg->coh.from,
		.req	= msg->coh.req,
		.region	= region->id,
		.offset	= le64_to_cpu(wire->offset),
		.op	= le32_to_cpu(wire->op),
		.value	= le32_to_cpu(wire->value),
		.owner	= le64_to_cpu(wire->owner),
	};
	u64 number = rq.offset >> DSM_CHUNK_SHIFT;
	struct dsm_chunk *chunk;
	int err;
	u16 home;

	if (rq.from == node->id || wire->error || wire->reserved)
		return -EPROTO;
	if (!home_op(rq.op) || !dsm_sync_value_valid(rq.op, rq.value))
		return -EPROTO;

	chunk = dsm_chunk_get(region, number, GFP_KERNEL);
	if (!chunk)
		return -ENOMEM;
	home = dsm_chunk_home(chunk);
	/* The steward has told others sooner than us that it is ours. */
	if (home == DSM_NO_HOME && READ_ONCE(chunk->claiming))
		return -EAGAIN;
	if (dsm_chunk_home(chunk) != node->id)
		return -EPROTO;

	err = dsm_sync_home_prepare(&rq, false, msg->block);
	if (!err) {
		spin_lock(&node->sync->lock);
		dsm_sync_home_take(node, &rq);
		spin_unlock(&node->sync->lock);
	}
	dsm_sync_request_free(&rq);
	return err;
}

/* Drop the objects of a region, or all where @region is 0. */
void dsm_sync_home_drop(struct dsm_sync *sync, u32 region)
{
	struct hlist_node *next;
	struct object *object;
	unsigned int bucket;

	lockdep_assert_held(&sync->lock);

	hash_for_each_safe(sync->objects, bucket, next, object, hash)
		if (!region || object->region == region)
			object_free(object);
}
