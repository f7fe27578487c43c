// SPDX-License-Identifier: GPL-2.0
/*
 * Synchronisation objects at their home: the nodes that hold them and wait for them.
 *
 * sync.c tells how nodes talk about them, and has the lock order.
 *
 * Here a mutex is held by a node: which of its threads has it, if one has, only
 * that node knows. Nodes that want it queue, and the first of them makes the
 * home send one RECALL. For a request that does not wait, a TRYLOCK or an operation
 * of another kind, it matters whether a thread has the mutex: such a request is set
 * aside, with a RECALL of its own that asks for just that. BUSY refuses the request
 * that has been set aside longest; RELEASE has all of them served again.
 *
 * Memory kept for another node is counted. When a node has too much, its requests that
 * might need more are refused with ENOSPC.
 */
#include <linux/hash.h>
#include <linux/slab.h>
#include "batch.h"
#include "chunk.h"
#include "link.h"
#include "msg.h"
#include "node.h"
#include "peer.h"
#include "region.h"
#include "sync_home.h"

enum home_limits {
	DROP_PIECE	= 64,	/* objects that are dropped at a time */
};

enum object_kind {
	KIND_MUTEX,
	KIND_BARRIER,
	KIND_COND,
};

/* Memory that is kept for a node. */
struct kept {
	atomic_t *by;	/* its counter; NULL for our own */
};

static void *kept_alloc(size_t size, atomic_t *by, gfp_t gfp)
{
	struct kept *kept = kzalloc(size, gfp);

	if (!kept)
		return NULL;
	kept->by = by;
	if (by)
		atomic_inc(by);
	return kept;
}

static void kept_free(struct kept *kept)
{
	if (kept && kept->by)
		atomic_dec(kept->by);
	kfree(kept);
}

/**
 * struct object - at its home, while in use
 * @kept: for the node whose request has made it
 * @hash: in dsm_sync->objects
 * @region: the region's id
 * @offset: where it is
 * @kind: enum object_kind
 * @waiters: struct waiter, in order of arrival
 * @asides: mutex: struct aside, in order of arrival
 * @locked: mutex: @holder and @req are valid
 * @recalled: mutex: the holder has been told to give it back
 * @ownerdead: mutex: the last holder died, and nobody has taken it since
 * @holder: mutex: the holder's node
 * @req: mutex: the request that took it
 * @count: barrier: how many are waited for
 * @arrived: barrier: how many are in @waiters
 */
struct object {
	struct kept kept;	/* first, as in the next two */
	struct hlist_node hash;
	u32 region;
	u64 offset;
	u8 kind;
	struct list_head waiters;
	struct list_head asides;
	bool locked;
	bool recalled;
	bool ownerdead;
	u16 holder;
	u32 req;
	u32 count;
	u32 arrived;
};

/**
 * struct waiter - a request that waits for an object
 * @kept: for @node
 * @list: in object->waiters
 * @node: its node
 * @req: its request
 * @reply: memory for the answer
 */
struct waiter {
	struct kept kept;
	struct list_head list;
	u16 node;
	u32 req;
	struct dsm_msg *reply;
};

/**
 * struct aside - a request that waits to hear whether a mutex is in use
 * @kept: for the node that asks
 * @list: in object->asides
 * @rq: it, with its memory
 * @cancelled: it has been taken back
 */
struct aside {
	struct kept kept;
	struct list_head list;
	struct dsm_sync_request rq;
	bool cancelled;
};

/* Say something to a node, which may be this one: see dsm_sync_unlock(). */
void dsm_sync_post(struct dsm_sync *sync, u16 to, struct dsm_msg *msg)
{
	lockdep_assert_held(&sync->lock);

	if (to != sync->node->id) {
		dsm_peer_post(sync->node->peers[to], msg);
		return;
	}
	msg->from = to;
	msg->to = to;
	msg->must = true;
	list_add_tail(&msg->list, &sync->self);
}

/*
 * Drop dsm_sync->lock, and deliver what this node has said to itself. Its order matters: a
 * RECALL must not overtake the answer that it is about. So one thread delivers at a time,
 * and the others leave theirs to it.
 *
 * Where nothing has been posted with the lock held, nothing is delivered here: a message
 * that is still in the list is another thread's to deliver.
 */
void dsm_sync_unlock(struct dsm_sync *sync)
{
	struct dsm_node *node = sync->node;
	struct dsm_batch batch;

	lockdep_assert_held(&sync->lock);

	if (sync->delivering || list_empty(&sync->self)) {
		spin_unlock(&sync->lock);
		return;
	}
	sync->delivering = true;
	dsm_batch_init(&batch);
	while (!list_empty(&sync->self)) {
		list_splice_tail_init(&sync->self, &batch.local);
		spin_unlock(&sync->lock);
		dsm_batch_run(&batch, node);
		spin_lock(&sync->lock);
	}
	sync->delivering = false;
	spin_unlock(&sync->lock);
	dsm_batch_end(&batch, node);
}

struct dsm_msg *dsm_sync_msg_create(u32 region, u64 offset, u32 req, u8 type, u32 op, u32 value,
				    u64 block, gfp_t gfp)
{
	struct dsm_msg *msg = dsm_msg_alloc(gfp);

	if (!msg)
		return NULL;
	msg->type = type;
	msg->req = req;
	msg->region = region;
	msg->block = block;
	msg->body_len = sizeof(struct dsm_wire_sync);
	msg->body.sync.op = cpu_to_le32(op);
	msg->body.sync.value = cpu_to_le32(value);
	msg->body.sync.offset = cpu_to_le64(offset);
	return msg;
}

static void request_free(struct dsm_sync_request *rq)
{
	kept_free((struct kept *)rq->object);
	kept_free((struct kept *)rq->waiter);
	kept_free((struct kept *)rq->aside);
	dsm_msg_free(rq->reply);
	dsm_msg_free(rq->wake);
	dsm_msg_free(rq->recall);
}

static void aside_free(struct aside *aside)
{
	request_free(&aside->rq);
	kept_free(&aside->kept);
}

/* Say something to a node; takes @msg. */
static void say(struct dsm_node *node, u16 to, const struct dsm_sync_answer *answer,
		struct dsm_msg **msg)
{
	(*msg)->req = answer->req;
	(*msg)->body.sync.op = cpu_to_le32(answer->op);
	(*msg)->body.sync.value = cpu_to_le32(answer->value);
	(*msg)->body.sync.error = cpu_to_le32(answer->error);
	dsm_sync_post(node->sync, to, *msg);
	*msg = NULL;
}

static void answer_request(struct dsm_node *node, struct dsm_sync_request *rq, u32 value, u32 error)
{
	struct dsm_sync_answer answer = {
		.from = node->id, .region = rq->region, .offset = rq->offset, .req = rq->req,
		.op = rq->op, .value = value, .error = error,
	};

	say(node, rq->from, &answer, &rq->reply);
}

static void answer_waiter(struct dsm_node *node, const struct object *object,
			  struct waiter *waiter, u32 op, u32 value)
{
	struct dsm_sync_answer answer = {
		.from = node->id, .region = object->region, .offset = object->offset,
		.req = waiter->req, .op = op, .value = value,
	};

	list_del(&waiter->list);
	say(node, waiter->node, &answer, &waiter->reply);
	kept_free(&waiter->kept);
}

static void queue(struct object *object, struct dsm_sync_request *rq, struct dsm_msg **reply)
{
	struct waiter *waiter = rq->waiter;

	rq->waiter = NULL;
	waiter->node = rq->from;
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

static struct object *object_create(struct dsm_sync *sync, struct dsm_sync_request *rq, u8 kind)
{
	struct object *object = rq->object;

	rq->object = NULL;
	object->region = rq->region;
	object->offset = rq->offset;
	object->kind = kind;
	INIT_LIST_HEAD(&object->waiters);
	INIT_LIST_HEAD(&object->asides);
	hash_add(sync->objects, &object->hash, dsm_sync_key(rq->region, rq->offset));
	return object;
}

static void object_free(struct object *object)
{
	struct waiter *waiter, *next_waiter;
	struct aside *aside, *next_aside;

	hash_del(&object->hash);
	list_for_each_entry_safe(waiter, next_waiter, &object->waiters, list) {
		dsm_msg_free(waiter->reply);
		kept_free(&waiter->kept);
	}
	list_for_each_entry_safe(aside, next_aside, &object->asides, list)
		aside_free(aside);
	kept_free(&object->kept);
}

static void object_free_idle(struct object *object)
{
	if (!object->locked && !object->ownerdead && list_empty(&object->waiters))
		object_free(object);
}

/* ------------------------------------------------------------------------
 * Mutexes
 */

static void recall(struct dsm_node *node, const struct object *object,
		   struct dsm_sync_request *rq, u32 value)
{
	struct dsm_sync_answer answer = {
		.from = node->id, .region = object->region, .offset = object->offset,
		.req = object->req, .op = DSM_SYNC_RECALL, .value = value,
	};

	say(node, object->holder, &answer, &rq->recall);
}

/* The mutex is in use: no answer but this. */
static void refuse(struct dsm_node *node, struct dsm_sync_request *rq)
{
	answer_request(node, rq, 0, rq->op == DSM_SYNC_TRYLOCK ? EBUSY : EINVAL);
}

/*
 * Its answer depends on whether a thread of the holder's has the mutex. A request that
 * has been set aside before has no memory for that, and is refused.
 */
static void set_aside(struct dsm_node *node, struct object *object, struct dsm_sync_request *rq)
{
	struct dsm_sync_request ask = { .recall = rq->recall };
	struct aside *aside = rq->aside;

	if (!aside) {
		refuse(node, rq);
		return;
	}
	aside->rq = *rq;
	aside->rq.aside = NULL;
	aside->rq.recall = NULL;
	rq->object = NULL;
	rq->waiter = NULL;
	rq->reply = NULL;
	rq->wake = NULL;
	rq->recall = NULL;
	rq->aside = NULL;
	list_add_tail(&aside->list, &object->asides);
	recall(node, object, &ask, DSM_SYNC_IF_FREE);
}

/*
 * The object, of that kind, made if there is none; if there is one of another
 * kind, NULL, and the request has been dealt with.
 */
static struct object *object_get(struct dsm_node *node, struct dsm_sync_request *rq, u8 kind)
{
	struct object *object = object_find(node->sync, rq);

	if (!object)
		return object_create(node->sync, rq, kind);
	if (object->kind == kind)
		return object;
	if (object->locked)
		set_aside(node, object, rq);
	else
		answer_request(node, rq, 0, EINVAL);
	return NULL;
}

/* Where it is noted that nodes take turns with a mutex. */
static u64 *turns_of(struct dsm_sync *sync, u32 region, u64 offset)
{
	return &sync->turns[hash_64(dsm_sync_key(region, offset), DSM_SYNC_TURNS_BITS)];
}

/* A node had to hand it over to another: it will be back for it. */
static void turns_note(struct dsm_sync *sync, const struct object *object)
{
	*turns_of(sync, object->region, object->offset) =
		dsm_sync_key(object->region, object->offset);
}

/*
 * Was that so? It is taken to be so once: a request that comes right after the
 * mutex was given back may be a turn, too, but the next one is not.
 */
static bool turns_forget(struct dsm_sync *sync, const struct object *object)
{
	u64 *turns = turns_of(sync, object->region, object->offset);

	if (*turns != dsm_sync_key(object->region, object->offset))
		return false;
	*turns = 0;
	return true;
}

/* @wanted: it is to be given back without a RECALL. */
static u32 mutex_take(struct object *object, u16 node, u32 req, bool wanted)
{
	u32 value = object->ownerdead ? DSM_SYNC_OWNERDEAD : 0;

	object->locked = true;
	object->ownerdead = false;
	object->holder = node;
	object->req = req;
	object->recalled = wanted;
	return value | (wanted ? DSM_SYNC_WANTED : 0);
}

/* Serve a request, which may be one that was set aside. */
static void home_take(struct dsm_node *node, struct dsm_sync_request *rq);

static void home_lock(struct dsm_node *node, struct dsm_sync_request *rq)
{
	struct object *object;

	object = object_get(node, rq, KIND_MUTEX);
	if (!object)
		return;
	if (!object->locked) {
		bool wanted = turns_forget(node->sync, object);

		answer_request(node, rq, mutex_take(object, rq->from, rq->req, wanted), 0);
	} else if (object->holder == rq->from) {
		answer_request(node, rq, 0, EDEADLK);
	} else if (rq->op == DSM_SYNC_TRYLOCK) {
		if (list_empty(&object->waiters))
			set_aside(node, object, rq);
		else
			answer_request(node, rq, 0, EBUSY);
	} else if (object->recalled) {
		queue(object, rq, &rq->reply);
	} else {
		object->recalled = true;
		queue(object, rq, &rq->reply);
		recall(node, object, rq, 0);
	}
}

/* UNLOCK of a node that does not hold the mutex. */
static void home_unlock(struct dsm_node *node, struct dsm_sync_request *rq)
{
	struct object *object = object_find(node->sync, rq);

	answer_request(node, rq, 0, object && object->kind != KIND_MUTEX ? EINVAL : EPERM);
}

/* The mutex that a message of its holder's is about, or NULL. */
static struct object *object_held(struct dsm_node *node, const struct dsm_sync_request *rq)
{
	struct object *object = object_find(node->sync, rq);

	if (!object || object->kind != KIND_MUTEX || !object->locked ||
	    object->holder != rq->from || object->req != rq->req)
		return NULL;
	return object;
}

static void home_release(struct dsm_node *node, struct dsm_sync_request *rq)
{
	struct object *object = object_held(node, rq);
	struct aside *aside;
	struct waiter *next;
	LIST_HEAD(asides);
	u32 value;

	if (!object)
		return;
	object->locked = false;
	object->ownerdead = rq->value & DSM_SYNC_OWNERDEAD;
	list_splice_init(&object->asides, &asides);
	next = list_first_entry_or_null(&object->waiters, struct waiter, list);
	if (next) {
		bool used = !(rq->value & DSM_SYNC_UNUSED);

		list_del_init(&next->list);
		if (used)
			turns_note(node->sync, object);
		value = mutex_take(object, next->node, next->req,
				   used || !list_empty(&object->waiters));
		answer_waiter(node, object, next, DSM_SYNC_LOCK, value);
	} else {
		object_free_idle(object);
	}
	while ((aside = list_first_entry_or_null(&asides, struct aside, list))) {
		list_del(&aside->list);
		if (!aside->cancelled)
			home_take(node, &aside->rq);
		aside_free(aside);
	}
}

static void home_busy(struct dsm_node *node, struct dsm_sync_request *rq)
{
	struct object *object = object_held(node, rq);
	struct aside *aside;

	if (!object)
		return;
	aside = list_first_entry_or_null(&object->asides, struct aside, list);
	if (!aside)
		return;
	list_del(&aside->list);
	if (!aside->cancelled)
		refuse(node, &aside->rq);
	aside_free(aside);
}

/* ------------------------------------------------------------------------
 * Barriers, conditions
 */

static void home_barrier(struct dsm_node *node, struct dsm_sync_request *rq)
{
	struct waiter *waiter, *next;
	struct object *object;

	object = object_get(node, rq, KIND_BARRIER);
	if (!object)
		return;
	if (object->arrived && object->count != rq->value) {
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
		answer_waiter(node, object, waiter, DSM_SYNC_BARRIER, 0);
	object_free(object);
	answer_request(node, rq, DSM_SYNC_SERIAL, 0);
}

static void home_wait(struct dsm_node *node, struct dsm_sync_request *rq)
{
	struct object *object;

	object = object_get(node, rq, KIND_COND);
	if (!object)
		return;
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
		answer_waiter(node, object, waiter, DSM_SYNC_WAKE, 0);
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
	else if (object->kind == KIND_COND)
		answer_request(node, rq, cond_wake(node, object, rq->value), 0);
	else if (object->kind == KIND_MUTEX && object->locked)
		set_aside(node, object, rq);
	else
		answer_request(node, rq, 0, EINVAL);
}

/* The woken waiter was gone: wake another one, if there is one. */
static void home_rewake(struct dsm_node *node, struct dsm_sync_request *rq)
{
	struct object *object = object_find(node->sync, rq);

	if (object && object->kind == KIND_COND)
		cond_wake(node, object, 1);
}

static bool cancel_waiter(struct dsm_node *node, struct object *object,
			  struct dsm_sync_request *rq)
{
	struct waiter *waiter;

	list_for_each_entry(waiter, &object->waiters, list) {
		if (waiter->node != rq->from || waiter->req != rq->req)
			continue;
		list_del(&waiter->list);
		if (object->kind == KIND_BARRIER)
			object->arrived--;
		object_free_idle(object);
		rq->reply = waiter->reply;
		kept_free(&waiter->kept);
		answer_request(node, rq, 0, 0);
		return true;
	}
	return false;
}

/* A request that has been answered already cannot be taken back. */
static void home_cancel(struct dsm_node *node, struct dsm_sync_request *rq)
{
	struct object *object = object_find(node->sync, rq);
	struct aside *aside;

	if (!object || cancel_waiter(node, object, rq))
		return;
	list_for_each_entry(aside, &object->asides, list) {
		if (aside->rq.from != rq->from || aside->rq.req != rq->req)
			continue;
		/* Its RECALL will be answered all the same: it keeps its place. */
		aside->cancelled = true;
		swap(rq->reply, aside->rq.reply);
		answer_request(node, rq, 0, 0);
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
	[DSM_SYNC_BUSY]		= { home_busy },
};

static const struct home_op *home_op(u32 op)
{
	return op < ARRAY_SIZE(home_ops) && home_ops[op].take ? &home_ops[op] : NULL;
}

bool dsm_sync_value_valid(u32 op, u32 value)
{
	u32 max = home_ops[op].value_max;

	if (op == DSM_SYNC_RELEASE)
		return !(value & ~(DSM_SYNC_OWNERDEAD | DSM_SYNC_UNUSED));
	return max ? value && value <= max : !value;
}

static void home_take(struct dsm_node *node, struct dsm_sync_request *rq)
{
	lockdep_assert_held(&node->sync->lock);

	home_op(rq->op)->take(node, rq);
}

/**
 * struct home_needs - the memory that serving a request may take, as things are now
 * @object: for an object
 * @aside: for setting the request aside, or for recalling a mutex
 */
struct home_needs {
	bool object;
	bool aside;
};

static struct home_needs home_needs(struct dsm_node *node, const struct dsm_sync_request *rq)
{
	const struct object *object = object_find(node->sync, rq);
	bool aside = object && object->locked && home_op(rq->op)->reply;

	/* One that was set aside may have to make the object anew. */
	return (struct home_needs){
		.object = home_op(rq->op)->object && (!object || aside),
		.aside = aside,
	};
}

static bool reserved(const struct dsm_sync_request *rq, const struct home_needs *needs)
{
	const struct home_op *op = home_op(rq->op);

	return (!op->reply || rq->reply) && (!op->wake || rq->wake) &&
	       (!op->waiter || rq->waiter) && (!needs->object || rq->object) &&
	       (!needs->aside || (rq->aside && rq->recall));
}

static struct dsm_msg *reply_create(const struct dsm_sync_request *rq, u32 op, u64 block, gfp_t gfp)
{
	return dsm_sync_msg_create(rq->region, rq->offset, rq->req, DSM_SYNC_REPLY, op, rq->value,
				   block, gfp);
}

/*
 * A thread of this node pays for its own request, the helper for those that it brings;
 * another node's are counted by @kept.
 */
static int reserve(struct dsm_sync_request *rq, const struct home_needs *needs, atomic_t *kept,
		   u64 block, gfp_t gfp)
{
	const struct home_op *op = home_op(rq->op);

	if (op->reply && !rq->reply)
		rq->reply = reply_create(rq, rq->op, block, gfp);
	if (op->wake && !rq->wake)
		rq->wake = reply_create(rq, rq->op, block, gfp);
	if (op->waiter && !rq->waiter)
		rq->waiter = kept_alloc(sizeof(*rq->waiter), kept, gfp);
	if (needs->object && !rq->object)
		rq->object = kept_alloc(sizeof(*rq->object), kept, gfp);
	if (needs->aside && !rq->recall)
		rq->recall = reply_create(rq, DSM_SYNC_RECALL, block, gfp);
	if (needs->aside && !rq->aside)
		rq->aside = kept_alloc(sizeof(*rq->aside), kept, gfp);
	return reserved(rq, needs) ? 0 : -ENOMEM;
}

int dsm_sync_home_find(struct dsm_region *region, u64 offset, u16 *home)
{
	u64 number = offset >> DSM_CHUNK_SHIFT;
	struct dsm_chunk *chunk;
	int err;

	chunk = dsm_chunk_get(region, number, GFP_KERNEL);
	if (!chunk)
		return -ENOMEM;
	err = dsm_chunk_wait_home(region, chunk, number,
				  jiffies + dsm_sync_jiffies(region->node));
	if (err)
		return err == -ETIMEDOUT ? -EIO : err;
	*home = dsm_chunk_home(chunk);
	return 0;
}

/*
 * Serve a request. Memory is reserved without the lock, and more may be needed by then.
 * Where too much is kept for the node that asks, nothing more is.
 */
static int serve(struct dsm_node *node, struct dsm_sync_request *rq, u64 block, gfp_t gfp)
{
	atomic_t *kept = rq->from == node->id ? NULL : &node->sync->kept[rq->from];
	bool full = kept && atomic_read(kept) >= DSM_SYNC_KEPT_MAX;
	struct home_needs needs;
	bool refused;
	int err;

	for (;;) {
		spin_lock(&node->sync->lock);
		needs = home_needs(node, rq);
		refused = full && (home_op(rq->op)->object || needs.aside);
		if (refused)
			needs = (struct home_needs){};
		if (reserved(rq, &needs))
			break;
		spin_unlock(&node->sync->lock);
		err = reserve(rq, &needs, kept, block, gfp);
		if (err)
			return err;
	}
	if (refused)
		answer_request(node, rq, 0, ENOSPC);
	else
		home_take(node, rq);
	dsm_sync_unlock(node->sync);
	return 0;
}

/* Return: as dsm_sync_receive(). */
int dsm_sync_home_receive(struct dsm_region *region, const struct dsm_msg *msg)
{
	const struct dsm_wire_sync *wire = &msg->body.sync;
	struct dsm_node *node = region->node;
	struct dsm_sync_request rq = {
		.from	= msg->from,
		.req	= msg->req,
		.region	= region->id,
		.offset	= le64_to_cpu(wire->offset),
		.op	= le32_to_cpu(wire->op),
		.value	= le32_to_cpu(wire->value),
	};
	u64 number = rq.offset >> DSM_CHUNK_SHIFT;
	struct dsm_chunk *chunk;
	int err;
	u16 home;

	if (wire->error || wire->reserved)
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

	err = serve(node, &rq, msg->block, msg->must ? DSM_GFP_MUST | __GFP_ACCOUNT : GFP_KERNEL_ACCOUNT);
	request_free(&rq);
	return err;
}

/*
 * Drop the objects of a region, or all where @region is 0. There may be many, so the lock
 * is let go of after some; then the bucket is looked at from its beginning.
 */
void dsm_sync_home_drop(struct dsm_sync *sync, u32 region)
{
	unsigned int bucket, dropped;
	struct hlist_node *next;
	struct object *object;

	for (bucket = 0; bucket < HASH_SIZE(sync->objects); bucket++) {
		do {
			dropped = 0;
			spin_lock(&sync->lock);
			hlist_for_each_entry_safe(object, next, &sync->objects[bucket], hash) {
				if (region && object->region != region)
					continue;
				object_free(object);
				if (++dropped == DROP_PIECE)
					break;
			}
			spin_unlock(&sync->lock);
			cond_resched();
		} while (dropped == DROP_PIECE);
	}
}
