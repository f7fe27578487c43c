// SPDX-License-Identifier: GPL-2.0
/*
 * Synchronisation objects: mutexes, barriers, conditions.
 *
 * An object is kept by the home of the block it lies in, while it is in use.
 * A thread's operation is a call: one REQUEST to the home, one final REPLY. A
 * thread waits for the REPLY, not for memory. Messages between two nodes
 * arrive once and in order, so nothing is sent twice here.
 *
 *	LOCK		REPLY when it is the caller's: at once, or later
 *	TRYLOCK		REPLY at once: it is the caller's, or EBUSY
 *	BARRIER		REPLY when all are there
 *	WAKE		REPLY at once: how many were woken
 *	UNLOCK		REPLY at once: why not. It is only sent by who does not
 *			hold the mutex; a holder sends
 *	RELEASE		no REPLY. It names the request that took the mutex
 *
 * A WAIT has two replies. The mutex is let go only after the first, so a WAKE
 * by whoever takes it next finds the waiter queued:
 *
 *	waiter		condition's home	mutex's home
 *	   |----- WAIT --------->|
 *	   |<---- WAIT, queued --|
 *	   |----- RELEASE ----------------------------->|
 *	   |<---- WAKE ----------|
 *	   |----- LOCK -------------------------------->|
 *	   |<---- LOCK ---------------------------------|
 *
 * A thread that would rather not wait any longer (a signal, its timeout) sends
 * CANCEL, and then waits for the final REPLY all the same, which is due at
 * once: CANCEL if the home still had it queued; if not, the REPLY that was
 * under way, and the thread has got what it had waited for.
 *
 *	     start            queued (WAIT)            answered
 *	SENT ------> ... -----------------> QUEUED -----------> DONE
 *	   \_______________________________________________/
 *
 * A thread that cannot wait even for that, because it was killed or because
 * the home is out of reach, abandons its call. The call stays until its REPLY
 * comes, and what comes with it is given back: a mutex with RELEASE, a wake-up
 * with REWAKE, which wakes another waiter instead.
 *
 * A mutex that is released goes to a waiter of the same node if there is one,
 * so that the data it protects stays there; but MUTEX_STREAK_MAX times in a row
 * at most while others wait longer.
 *
 * What a node's threads hold is listed at that node, with the message that
 * releases it, so that releasing cannot fail. A process that exits has its
 * mutexes released with OWNERDEAD, which the next to take it is told.
 *
 * Locking: one lock a node, dsm_sync->lock, for the objects homed here, the
 * calls under way and what is held. A peer's lock is taken under it: messages
 * are sent in the order in which things happened. Nothing sleeps under it.
 */
#include <linux/jiffies.h>
#include <linux/ktime.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/wait.h>
#include "directory.h"
#include "msg.h"
#include "node.h"
#include "peer.h"
#include "region.h"
#include "sync.h"
#include "sync_home.h"

enum sync_limits {
	OBJECT_ALIGN		= 8,	/* bytes */
};

/**
 * struct held - a mutex a thread of this node holds
 * @hash: in dsm_sync->held
 * @region: the region's id
 * @offset: where it is
 * @home: its home
 * @owner: the thread
 * @req: the request that took it
 * @file: what it was taken through
 * @tgid: the process
 * @release: RELEASE; NULL if we are the home
 */
struct held {
	struct hlist_node hash;
	u32 region;
	u64 offset;
	u16 home;
	u64 owner;
	u32 req;
	const void *file;
	pid_t tgid;
	struct dsm_msg *release;
};

enum call_state {
	CALL_SENT,
	CALL_QUEUED,	/* WAIT: the first reply has come */
	CALL_DONE,	/* the final reply has come; not in dsm_sync->calls */
};

/**
 * struct call - an operation of a thread of this node
 *
 * The thread's, until it abandons it; from then on it belongs to
 * dsm_sync->calls.
 *
 * @hash: in dsm_sync->calls
 * @node: us
 * @home: whom it is for
 * @rq: the request; its memory if we are the home
 * @wait: where the thread waits
 * @state: enum call_state (written with release)
 * @cancelled: CANCEL has been sent
 * @abandoned: nobody waits
 * @reply: the final reply's op
 * @value: its result
 * @error: its -errno
 * @held: LOCK, TRYLOCK: what is held when it succeeds
 * @request: the message; this and the next two NULL if we are the home
 * @cancel: takes it back
 * @give_back: returns what comes when nobody waits
 */
struct call {
	struct hlist_node hash;
	struct dsm_node *node;
	u16 home;
	struct dsm_sync_request rq;
	wait_queue_head_t wait;
	u8 state;
	bool cancelled;
	bool abandoned;
	u32 reply;
	u32 value;
	int error;
	struct held *held;
	struct dsm_msg *request;
	struct dsm_msg *cancel;
	struct dsm_msg *give_back;
};

static void held_free(struct held *held)
{
	if (held)
		dsm_msg_free(held->release);
	kfree(held);
}

static void call_free(struct call *call)
{
	dsm_sync_request_free(&call->rq);
	held_free(call->held);
	dsm_msg_free(call->request);
	dsm_msg_free(call->cancel);
	dsm_msg_free(call->give_back);
	kfree(call);
}

/* ------------------------------------------------------------------------
 * The caller's side: replies
 */

static struct call *call_find(struct dsm_sync *sync, u32 req)
{
	struct call *call;

	lockdep_assert_held(&sync->lock);

	hash_for_each_possible(sync->calls, call, hash, req)
		if (call->rq.req == req)
			return call;
	return NULL;
}

static bool is_lock(u32 op)
{
	return op == DSM_SYNC_LOCK || op == DSM_SYNC_TRYLOCK;
}

/*
 * Nobody waits for what has come: give it back. Only another node's reply can
 * find its call abandoned; our own as a home come before the thread goes on.
 */
static void call_give_back(struct call *call)
{
	struct dsm_msg *msg = call->give_back;

	if (call->error || !msg)
		return;
	if (is_lock(call->reply))
		msg->body.sync.value = cpu_to_le32(call->value);
	else if (call->reply != DSM_SYNC_WAKE || call->rq.op != DSM_SYNC_WAIT)
		return;
	call->give_back = NULL;
	dsm_node_post(call->node, call->home, msg);
}

/* The final reply, or the end of the region. */
static void call_done(struct dsm_sync *sync, struct call *call, u32 op, u32 value, int error)
{
	lockdep_assert_held(&sync->lock);

	hash_del(&call->hash);
	call->reply = op;
	call->value = value;
	call->error = error;
	if (call->abandoned) {
		call_give_back(call);
		call_free(call);
		return;
	}
	if (is_lock(op) && !error) {
		struct held *held = call->held;

		call->held = NULL;
		hash_add(sync->held, &held->hash, dsm_sync_key(held->region, held->offset));
	}
	/*
	 * With call_is()'s acquire: the results above. The thread takes the
	 * lock before it frees the call, so that waking it is safe.
	 */
	smp_store_release(&call->state, CALL_DONE);
	wake_up(&call->wait);
}

/* Whether the home may say that, to what was asked. */
static bool reply_valid(const struct call *call, u32 op, u32 value, u32 error)
{
	switch (error) {
	case 0:
	case EPERM:
	case EBUSY:
	case EINVAL:
	case EDEADLK:
		break;
	default:
		return false;
	}
	if (op == DSM_SYNC_CANCEL)
		return call->cancelled && !error && !value;
	if (call->rq.op == DSM_SYNC_WAIT && op == DSM_SYNC_WAKE)
		return call->state == CALL_QUEUED && !error && !value;
	if (op != call->rq.op)
		return false;
	switch (op) {
	case DSM_SYNC_LOCK:
	case DSM_SYNC_TRYLOCK:
		return !(value & ~DSM_SYNC_OWNERDEAD);
	case DSM_SYNC_BARRIER:
		return !(value & ~DSM_SYNC_SERIAL);
	case DSM_SYNC_UNLOCK:
		return error && !value;
	case DSM_SYNC_WAIT:
		return call->state == CALL_SENT && !value;
	default:
		return true;
	}
}

static void call_reply(struct dsm_sync *sync, struct call *call, u32 op, u32 value, int error)
{
	if (op != DSM_SYNC_WAIT || error) {
		call_done(sync, call, op, value, error);
		return;
	}
	/* With call_is()'s acquire. */
	smp_store_release(&call->state, CALL_QUEUED);
	wake_up(&call->wait);
}

/* Our own answer, as the home, to our own call. */
void dsm_sync_answered(struct dsm_node *node, u32 req, u32 op, u32 value, u32 error)
{
	struct call *call = call_find(node->sync, req);

	if (call)
		call_reply(node->sync, call, op, value, -(int)error);
}

/* ------------------------------------------------------------------------
 * Messages
 */

static int receive_reply(struct dsm_region *region, const struct dsm_msg *msg)
{
	const struct dsm_wire_sync *wire = &msg->body.sync;
	u32 op = le32_to_cpu(wire->op), value = le32_to_cpu(wire->value);
	struct dsm_sync *sync = region->node->sync;
	u32 error = le32_to_cpu(wire->error);
	struct call *call;
	int err = 0;

	spin_lock(&sync->lock);
	call = call_find(sync, msg->coh.req);
	if (!call && READ_ONCE(region->gone))
		goto unlock;	/* it was abandoned, and the region is being freed */
	if (!call || call->home != msg->coh.from || call->rq.region != region->id ||
	    call->rq.offset != le64_to_cpu(wire->offset) || wire->reserved ||
	    !reply_valid(call, op, value, error))
		err = -EPROTO;
	else
		call_reply(sync, call, op, value, -(int)error);
unlock:
	spin_unlock(&sync->lock);
	return err;
}

static bool offset_valid(const struct dsm_region *region, u64 offset)
{
	return offset < region->size && !(offset % OBJECT_ALIGN);
}

/**
 * dsm_sync_receive() - a SYNC_REQUEST or SYNC_REPLY has come
 * @node: us
 * @msg: from msg->coh.from, decoded, not trusted otherwise
 *
 * Return: 0; -ENOMEM, -EAGAIN: it may come again; -EPROTO: not the sender's to
 * say. Sleeps for memory only.
 */
int dsm_sync_receive(struct dsm_node *node, const struct dsm_msg *msg)
{
	struct dsm_region *region = dsm_region_get_id(node, msg->region);
	int err;

	/* One that is over needs nothing more. */
	if (!region)
		return msg->region > READ_ONCE(node->region_id_seen) ? -EAGAIN : 0;
	if (!offset_valid(region, le64_to_cpu(msg->body.sync.offset)))
		err = -EPROTO;
	else if (msg->coh.type == DSM_SYNC_REQUEST)
		err = dsm_sync_home_receive(region, msg);
	else
		err = receive_reply(region, msg);
	dsm_region_put(region);
	return err;
}

/* ------------------------------------------------------------------------
 * The caller's side: calls
 */

/* A number for a thread, unique on this node while the thread lives. */
static u64 current_owner(void)
{
	return (u64)task_tgid_nr(current) << 32 | task_pid_nr(current);
}

static unsigned long answer_jiffies(const struct dsm_node *node)
{
	return msecs_to_jiffies(READ_ONCE(node->timeout_ms));
}

static struct held *held_find(struct dsm_sync *sync, u32 region, u64 offset, u64 owner)
{
	struct held *held;

	lockdep_assert_held(&sync->lock);

	hash_for_each_possible(sync->held, held, hash, dsm_sync_key(region, offset))
		if (held->region == region && held->offset == offset && held->owner == owner)
			return held;
	return NULL;
}

static bool is_held(struct dsm_sync *sync, u32 region, u64 offset)
{
	bool is;

	spin_lock(&sync->lock);
	is = held_find(sync, region, offset, current_owner());
	spin_unlock(&sync->lock);
	return is;
}

/* Let go of a mutex. @value is what the next holder is told. */
static void held_release(struct dsm_node *node, struct held *held, u32 value)
{
	lockdep_assert_held(&node->sync->lock);

	hash_del(&held->hash);
	if (held->home == node->id) {
		struct dsm_sync_request rq = {
			.from = node->id, .req = held->req, .region = held->region,
			.offset = held->offset, .op = DSM_SYNC_RELEASE, .value = value,
		};

		dsm_sync_home_take(node, &rq);
	} else {
		held->release->body.sync.value = cpu_to_le32(value);
		dsm_node_post(node, held->home, held->release);
		held->release = NULL;
	}
	held_free(held);
}

static int find_home(struct dsm_region *region, u64 offset, u16 *home)
{
	struct dsm_node *node = region->node;
	u64 number = offset >> DSM_CHUNK_SHIFT;
	struct dsm_chunk *chunk;
	int err;

	chunk = dsm_chunk_get(region, number, GFP_KERNEL);
	if (!chunk)
		return -ENOMEM;
	err = dsm_chunk_wait_home(region, chunk, number, jiffies + answer_jiffies(node));
	if (err)
		return err == -ETIMEDOUT ? -EIO : err;
	*home = dsm_chunk_home(chunk);
	return 0;
}

static struct held *held_create(const struct call *call, const void *file, u64 block)
{
	const struct dsm_sync_request *rq = &call->rq;
	struct held *held = kzalloc(sizeof(*held), GFP_KERNEL_ACCOUNT);

	if (!held)
		return NULL;
	held->region = rq->region;
	held->offset = rq->offset;
	held->home = call->home;
	held->owner = rq->owner;
	held->req = rq->req;
	held->file = file;
	held->tgid = task_tgid_nr(current);
	if (call->home == call->node->id)
		return held;
	held->release = dsm_sync_msg_create(rq, DSM_SYNC_REQUEST, DSM_SYNC_RELEASE, block,
					    GFP_KERNEL_ACCOUNT);
	if (!held->release) {
		kfree(held);
		return NULL;
	}
	return held;
}

static struct dsm_msg *call_msg_create(const struct call *call, u32 op, u64 block)
{
	return dsm_sync_msg_create(&call->rq, DSM_SYNC_REQUEST, op, block, GFP_KERNEL_ACCOUNT);
}

/* A call, with all the memory that it will take; nothing has happened yet. */
static struct call *call_create(struct dsm_region *region, const void *file, u32 op,
				u32 value, u64 offset)
{
	u64 block = offset >> region->block_shift;
	struct dsm_node *node = region->node;
	struct call *call;
	int err = -ENOMEM;
	u32 give_back;

	call = kzalloc(sizeof(*call), GFP_KERNEL_ACCOUNT);
	if (!call)
		return ERR_PTR(-ENOMEM);
	call->node = node;
	init_waitqueue_head(&call->wait);
	call->rq = (struct dsm_sync_request){
		.from	= node->id,
		.req	= dsm_node_next_req(node),
		.region	= region->id,
		.offset	= offset,
		.op	= op,
		.value	= value,
		.owner	= current_owner(),
	};
	err = find_home(region, offset, &call->home);
	if (err)
		goto free;

	err = -ENOMEM;
	if (is_lock(op)) {
		call->held = held_create(call, file, block);
		if (!call->held)
			goto free;
	}
	if (call->home == node->id) {
		err = dsm_sync_home_prepare(&call->rq, true, block);
		if (err)
			goto free;
		return call;
	}
	give_back = is_lock(op) ? DSM_SYNC_RELEASE : DSM_SYNC_REWAKE;
	call->request = call_msg_create(call, op, block);
	call->cancel = call_msg_create(call, DSM_SYNC_CANCEL, block);
	call->give_back = call_msg_create(call, give_back, block);
	if (!call->request || !call->cancel || !call->give_back)
		goto free;
	call->cancel->body.sync.value = 0;
	call->give_back->body.sync.value = 0;
	return call;

free:
	call_free(call);
	return ERR_PTR(err);
}

static void call_start(struct call *call)
{
	struct dsm_node *node = call->node;
	struct dsm_sync *sync = node->sync;
	struct dsm_msg *msg = call->request;

	spin_lock(&sync->lock);
	hash_add(sync->calls, &call->hash, call->rq.req);
	if (call->home == node->id) {
		dsm_sync_home_take(node, &call->rq);
	} else {
		call->request = NULL;
		dsm_node_post(node, call->home, msg);
	}
	spin_unlock(&sync->lock);
}

static void call_cancel(struct call *call)
{
	struct dsm_node *node = call->node;
	struct dsm_sync *sync = node->sync;

	spin_lock(&sync->lock);
	if (call->state == CALL_DONE || call->cancelled)
		goto unlock;
	call->cancelled = true;
	if (call->home == node->id) {
		struct dsm_sync_request rq = call->rq;

		rq.op = DSM_SYNC_CANCEL;
		dsm_sync_home_take(node, &rq);
	} else {
		dsm_node_post(node, call->home, call->cancel);
		call->cancel = NULL;
	}
unlock:
	spin_unlock(&sync->lock);
}

static bool call_is(const struct call *call, enum call_state state)
{
	/* With the release of who set it. */
	return smp_load_acquire(&call->state) >= state;
}

/* Wait for an answer that is due at once: 0, -EINTR (killed) or -EIO. */
static int call_wait_soon(struct call *call, enum call_state state)
{
	long left = wait_event_killable_timeout(call->wait, call_is(call, state),
						answer_jiffies(call->node));

	return left > 0 ? 0 : left < 0 ? -EINTR : -EIO;
}

/* Wait for what may take long, and take the call back when it takes too long. */
static int call_wait_long(struct call *call, u64 timeout_ns)
{
	ktime_t timeout = KTIME_MAX;
	int err;

	if (timeout_ns && timeout_ns < KTIME_MAX)
		timeout = ns_to_ktime(timeout_ns);
	err = wait_event_interruptible_hrtimeout(call->wait, call_is(call, CALL_DONE), timeout);
	if (!err)
		return 0;
	call_cancel(call);
	call_wait_soon(call, CALL_DONE);
	return err == -ETIME ? -ETIMEDOUT : -EINTR;
}

/**
 * call_end() - the thread goes on
 * @call: gone, for the caller
 * @err: how waiting for it ended
 * @value: out: the result, where it was successful
 *
 * Return: what came of it; @err, if it was taken back, or has not been
 * answered: it is abandoned then.
 */
static int call_end(struct call *call, int err, u32 *value)
{
	struct dsm_sync *sync = call->node->sync;

	spin_lock(&sync->lock);
	if (call->state != CALL_DONE) {
		call->abandoned = true;
		spin_unlock(&sync->lock);
		return err;
	}
	spin_unlock(&sync->lock);
	if (call->reply != DSM_SYNC_CANCEL)
		err = call->error;
	if (!err)
		*value = call->value;
	call_free(call);
	return err;
}

/* TRYLOCK, UNLOCK, WAKE: an answer that is due at once. */
static long call_soon(struct dsm_region *region, const void *file, struct dsm_sync_arg *arg)
{
	struct call *call = call_create(region, file, arg->op, arg->value, arg->offset);

	if (IS_ERR(call))
		return PTR_ERR(call);
	call_start(call);
	return call_end(call, call_wait_soon(call, CALL_DONE), &arg->result);
}

/* LOCK, BARRIER. */
static long call_long(struct dsm_region *region, const void *file, struct dsm_sync_arg *arg)
{
	struct call *call = call_create(region, file, arg->op, arg->value, arg->offset);

	if (IS_ERR(call))
		return PTR_ERR(call);
	call_start(call);
	return call_end(call, call_wait_long(call, arg->timeout_ns), &arg->result);
}

static long do_lock(struct dsm_region *region, const void *file, struct dsm_sync_arg *arg)
{
	if (is_held(region->node->sync, region->id, arg->offset))
		return -EDEADLK;
	return call_long(region, file, arg);
}

/* A holder does not wait for an answer: there is none. */
static long do_unlock(struct dsm_region *region, const void *file, struct dsm_sync_arg *arg)
{
	struct dsm_sync *sync = region->node->sync;
	struct held *held;

	spin_lock(&sync->lock);
	held = held_find(sync, region->id, arg->offset, current_owner());
	if (held)
		held_release(region->node, held, 0);
	spin_unlock(&sync->lock);
	return held ? 0 : call_soon(region, file, arg);
}

/* Nobody but the holder, who is here, lets go of the mutex. */
static void release_current(struct dsm_node *node, u32 region, u64 offset)
{
	struct held *held;

	spin_lock(&node->sync->lock);
	held = held_find(node->sync, region, offset, current_owner());
	if (held)
		held_release(node, held, 0);
	spin_unlock(&node->sync->lock);
}

static long do_wait(struct dsm_region *region, const void *file, struct dsm_sync_arg *arg)
{
	struct dsm_node *node = region->node;
	struct call *wait, *lock;
	int err, lock_err;
	u32 unused;

	if (!is_held(node->sync, region->id, arg->other))
		return -EPERM;
	/* All memory beforehand: the mutex is to be had again in any case. */
	wait = call_create(region, file, DSM_SYNC_WAIT, 0, arg->offset);
	if (IS_ERR(wait))
		return PTR_ERR(wait);
	lock = call_create(region, file, DSM_SYNC_LOCK, 0, arg->other);
	if (IS_ERR(lock)) {
		call_free(wait);
		return PTR_ERR(lock);
	}

	call_start(wait);
	err = call_wait_soon(wait, CALL_QUEUED);
	if (err)
		call_cancel(wait);
	/* Refused: whoever had queued cannot be told so any more. */
	if (err || (call_is(wait, CALL_DONE) && wait->error)) {
		call_free(lock);
		return call_end(wait, err, &unused);
	}

	release_current(node, region->id, arg->other);
	err = call_wait_long(wait, arg->timeout_ns);
	err = call_end(wait, err, &unused);

	call_start(lock);
	lock_err = wait_event_killable(lock->wait, call_is(lock, CALL_DONE));
	if (lock_err)
		call_cancel(lock);
	lock_err = call_end(lock, lock_err ? -EINTR : 0, &arg->result);
	if (lock_err)
		return lock_err;
	/* That the holder died matters more than why the wait ended. */
	return arg->result & DSM_SYNC_OWNERDEAD ? 0 : err;
}

/**
 * struct sync_op - an operation as programs ask for it
 * @handler: it
 * @timeout: it may have one
 */
struct sync_op {
	long (*handler)(struct dsm_region *region, const void *file, struct dsm_sync_arg *arg);
	bool timeout;
};

static const struct sync_op sync_ops[] = {
	[DSM_SYNC_LOCK]		= { do_lock, true },
	[DSM_SYNC_TRYLOCK]	= { call_soon },
	[DSM_SYNC_UNLOCK]	= { do_unlock },
	[DSM_SYNC_BARRIER]	= { call_long },
	[DSM_SYNC_WAIT]		= { do_wait, true },
	[DSM_SYNC_WAKE]		= { call_soon },
};

/**
 * dsm_sync_ioctl() - DSM_IOC_SYNC
 * @region: the region
 * @file: stands for the open file: mutexes taken through it are released when
 *	it goes
 * @arg: see uapi/linux/dsm.h; @arg->result is set when 0 is returned
 *
 * Return: 0 or -errno, as described there. Sleeps; a LOCK, BARRIER or WAIT
 * until a signal comes, anything else for timeout_ms at most.
 */
long dsm_sync_ioctl(struct dsm_region *region, const void *file, struct dsm_sync_arg *arg)
{
	bool wait = arg->op == DSM_SYNC_WAIT;

	if (arg->op >= ARRAY_SIZE(sync_ops) || !sync_ops[arg->op].handler ||
	    !dsm_sync_value_valid(arg->op, arg->value) || arg->reserved ||
	    (arg->timeout_ns && !sync_ops[arg->op].timeout) ||
	    !offset_valid(region, arg->offset))
		return -EINVAL;
	if (wait ? !offset_valid(region, arg->other) || arg->other == arg->offset : arg->other)
		return -EINVAL;
	arg->result = 0;
	return sync_ops[arg->op].handler(region, file, arg);
}

/* ------------------------------------------------------------------------
 * The end of processes, files, regions
 */

static void release_dead(struct dsm_region *region, const void *file, pid_t tgid)
{
	struct dsm_node *node = region->node;
	struct dsm_sync *sync = node->sync;
	struct hlist_node *next;
	struct held *held;
	unsigned int bucket;

	spin_lock(&sync->lock);
	hash_for_each_safe(sync->held, bucket, next, held, hash)
		if (held->file == file && (!tgid || held->tgid == tgid))
			held_release(node, held, DSM_SYNC_OWNERDEAD);
	spin_unlock(&sync->lock);
}

/**
 * dsm_sync_release_process() - the current process exits with a file open
 * @region: the region
 * @file: the file; others may have it open still
 *
 * What the process holds through it goes to others, who are told.
 */
void dsm_sync_release_process(struct dsm_region *region, const void *file)
{
	release_dead(region, file, task_tgid_nr(current));
}

/* The same for the last who had the file, and whatever is left. */
void dsm_sync_release_file(struct dsm_region *region, const void *file)
{
	release_dead(region, file, 0);
}

/* Drop what there is of a region, or of all where @region is 0. */
static void drop(struct dsm_sync *sync, u32 region)
{
	struct hlist_node *next;
	unsigned int bucket;
	struct call *call;
	struct held *held;

	spin_lock(&sync->lock);
	hash_for_each_safe(sync->calls, bucket, next, call, hash)
		if (!region || call->rq.region == region)
			call_done(sync, call, call->rq.op, 0, -EIDRM);
	dsm_sync_home_drop(sync, region);
	hash_for_each_safe(sync->held, bucket, next, held, hash)
		if (!region || held->region == region) {
			hash_del(&held->hash);
			held_free(held);
		}
	spin_unlock(&sync->lock);
}

/**
 * dsm_sync_region_gone() - a region is being freed, on all nodes
 * @region: the region
 *
 * Nobody uses it; the calls there are were abandoned, unless the registry is
 * wrong, and then they fail with EIDRM.
 */
void dsm_sync_region_gone(struct dsm_region *region)
{
	drop(region->node->sync, region->id);
}

int dsm_sync_node_init(struct dsm_node *node)
{
	struct dsm_sync *sync = kvzalloc(sizeof(*sync), GFP_KERNEL);

	if (!sync)
		return -ENOMEM;
	spin_lock_init(&sync->lock);
	hash_init(sync->objects);
	hash_init(sync->calls);
	hash_init(sync->held);
	node->sync = sync;
	return 0;
}

/* There are no regions any more, and nobody brings messages. */
void dsm_sync_node_exit(struct dsm_node *node)
{
	drop(node->sync, 0);
	kvfree(node->sync);
	node->sync = NULL;
}
