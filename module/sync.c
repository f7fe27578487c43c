// SPDX-License-Identifier: GPL-2.0
/*
 * Synchronisation objects: mutexes, barriers, conditions.
 *
 * An object is kept by the home of the block it lies in, while it is in use.
 * Messages between two nodes arrive once and in order, so nothing is sent twice
 * here.
 *
 * With barriers and conditions a thread's operation is a call: one REQUEST to
 * the home, one final REPLY. The thread waits for the REPLY, not for memory.
 *
 *	BARRIER		REPLY when all are there
 *	WAKE		REPLY at once: how many were woken
 *
 * A mutex, towards its home, is a node's, whose threads queue at their node
 * (lease.c). The node keeps it when no thread has it any more, until the home
 * says that another node wants it:
 *
 *	node A			home			node B
 *	   |----- LOCK --------->|			   |
 *	   |<---- LOCK ----------|			   |
 *	   |     (its threads take it and let go)	   |
 *	   |			 |<------- LOCK -----------|
 *	   |<---- RECALL --------|			   |
 *	   |     (the last turns of its threads)	   |
 *	   |----- RELEASE ------>|-------- LOCK ---------->|
 *
 *	LOCK		REPLY when it is the node's: at once, or later. With
 *			WANTED no RECALL will come: the node keeps nothing
 *	TRYLOCK		REPLY at once: it is the node's, or EBUSY
 *	RECALL		from the home. With IF_FREE: at once RELEASE, if no
 *			thread has it, or else BUSY
 *	RELEASE		no REPLY. It, RECALL and BUSY name the request that got
 *			the mutex: what comes too late is about another one
 *	UNLOCK		REPLY at once: why not. It is only sent by a node that
 *			does not have the mutex
 *
 * WANTED is for when others wait already, and when the node before had to hand the
 * mutex over, rather than just having it, or that was so a moment ago: two nodes
 * that take turns do so without a RECALL each. The next time that it is free when
 * somebody asks, it stays.
 *
 * A TRYLOCK that finds the mutex at another node, and an operation of another
 * kind, wait at the home for the answer to a RECALL with IF_FREE: a mutex that
 * a node merely keeps is as good as free.
 *
 * A mutex that a thread lets go of goes to one of the same node if one waits, so
 * that the data it protects stays there; but, once it is wanted elsewhere,
 * DSM_LEASE_STREAK_MAX times in a row at most. A node on which no process uses
 * the region keeps nothing.
 *
 * A WAIT has two replies. The mutex is let go only after the first, so a WAKE
 * by whoever takes it next finds the waiter queued:
 *
 *	waiter		condition's home
 *	   |----- WAIT --------->|
 *	   |<---- WAIT, queued --|
 *	   |     (the mutex is let go)
 *	   |<---- WAKE ----------|
 *	   |     (the mutex is taken again)
 *
 * A thread that would rather not wait any longer (a signal, its timeout) sends
 * CANCEL, and then waits for the final REPLY all the same, which is due at
 * once: CANCEL if the home still had it queued; if not, the REPLY that was
 * under way, and the thread has got what it had waited for. Who waits for a
 * mutex just leaves the queue of his node; CANCEL follows if that was the last.
 * One whose time is up tries once more: a mutex that is free can be had late.
 *
 *	     start            queued (WAIT)            answered
 *	SENT ------> ... -----------------> QUEUED -----------> DONE
 *	   \_______________________________________________/
 *
 * A thread that cannot wait even for that, because it was killed or because
 * the home is out of reach, abandons its call. The call stays until its REPLY
 * comes; a wake-up that comes with it is given back with REWAKE, which wakes
 * another waiter instead.
 *
 * Memory is reserved before anything happens, so that releasing cannot fail.
 *
 * A mutex is held by a thread of a process, through an open file. The hold ends, other
 * than by UNLOCK, when the process
 *
 *  - ends, however;
 *  - executes another program: what had the mutex, and its memory, is gone, whether or
 *    not the descriptor stays open;
 *  - has closed its last descriptor of the file. Others, that it has made with dup(2), keep
 *    it; what other processes have, by fork(2) or SCM_RIGHTS, does not. Where threads have
 *    tables of their own (no CLONE_FILES), it is when the others have ended that it counts.
 *
 * The next to take the mutex is told, with OWNERDEAD. A child has nothing of its parent's,
 * and takes nothing with it, whatever they share: descriptors, their table (CLONE_FILES
 * without CLONE_THREAD), memory (vfork(2)).
 *
 * Most of this is seen when a descriptor is closed (device.c). Not so the end of a process,
 * or an execve(2), that closes none: the table is shared, or the descriptor is not
 * O_CLOEXEC. Then a mutex that nobody waits for is looked at by whoever comes for it, and
 * the holder of one that somebody waits for is looked at twice a second.
 *
 * Locking: one lock a node, dsm_sync->lock, for the objects homed here, the
 * calls under way and the mutexes that are here. Messages are posted under it, so they
 * go in the order in which things happened; those of this node to itself are delivered
 * when it is dropped (dsm_sync_unlock()). Nothing sleeps under it.
 */
#include <linux/jiffies.h>
#include <linux/ktime.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/wait.h>
#include "batch.h"
#include "lease.h"
#include "msg.h"
#include "node.h"
#include "region.h"
#include "sync.h"
#include "sync_home.h"
#include "user.h"

enum sync_limits {
	OBJECT_ALIGN		= 8,	/* bytes */
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
 * @region: the object's region
 * @offset: ... place
 * @req: the number of the request
 * @op: what is asked
 * @wait: where the thread waits
 * @state: enum call_state (written with release)
 * @user: to whom it is counted
 * @cancelled: CANCEL has been sent
 * @abandoned: nobody waits
 * @reply: the final reply's op
 * @value: its result
 * @error: its -errno
 * @request: the message; this and the next two NULL once sent
 * @cancel: takes it back
 * @rewake: WAIT: gives a wake-up back that comes when nobody waits
 */
struct call {
	struct hlist_node hash;
	struct dsm_node *node;
	u16 home;
	struct dsm_user *user;
	u32 region;
	u64 offset;
	u32 req;
	u32 op;
	wait_queue_head_t wait;
	u8 state;
	bool cancelled;
	bool abandoned;
	u32 reply;
	u32 value;
	int error;
	struct dsm_msg *request;
	struct dsm_msg *cancel;
	struct dsm_msg *rewake;
};

static void call_free(struct call *call)
{
	dsm_msg_free(call->request);
	dsm_msg_free(call->cancel);
	dsm_msg_free(call->rewake);
	if (call->user)
		dsm_user_give_mutex(call->user);
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
		if (call->req == req)
			return call;
	return NULL;
}

/* A wake-up has come for an abandoned call: pass it on to another waiter. */
static void call_give_back(struct call *call)
{
	if (call->reply != DSM_SYNC_WAKE || call->error || !call->rewake)
		return;
	dsm_sync_post(call->node->sync, call->home, call->rewake);
	call->rewake = NULL;
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
	/*
	 * With call_is()'s acquire: the results above. The thread takes the
	 * lock before it frees the call, so that waking it is safe.
	 */
	smp_store_release(&call->state, CALL_DONE);
	wake_up(&call->wait);
}

/* Is this an answer that the home may give to the call? */
static bool reply_valid(const struct call *call, u32 op, u32 value, u32 error)
{
	switch (error) {
	case 0:
	case EPERM:
	case EINVAL:
	case ENOSPC:
		break;
	default:
		return false;
	}
	if (op == DSM_SYNC_CANCEL)
		return call->cancelled && !error && !value;
	if (call->op == DSM_SYNC_WAIT && op == DSM_SYNC_WAKE)
		return call->state == CALL_QUEUED && !error && !value;
	if (op != call->op)
		return false;
	switch (op) {
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

/* What the home says: to us as the node that has a mutex, or that asked something. */
static int home_says(struct dsm_node *node, const struct dsm_sync_answer *answer)
{
	struct call *call = call_find(node->sync, answer->req);

	if (!call)
		return dsm_lease_answer(node, answer);
	if (call->home != answer->from || call->region != answer->region ||
	    call->offset != answer->offset ||
	    !reply_valid(call, answer->op, answer->value, answer->error))
		return -EPROTO;
	call_reply(node->sync, call, answer->op, answer->value, -(int)answer->error);
	return 0;
}

/* ------------------------------------------------------------------------
 * Messages
 */

static int receive_answer(struct dsm_region *region, const struct dsm_sync_answer *answer)
{
	struct dsm_node *node = region->node;
	int err;

	spin_lock(&node->sync->lock);
	err = home_says(node, answer);
	dsm_sync_unlock(node->sync);
	if (err != -ENOENT)
		return err;
	/* It was abandoned, and the region is being freed. */
	return READ_ONCE(region->gone) ? 0 : -EPROTO;
}

static int receive_recall(struct dsm_region *region, const struct dsm_msg *msg,
			  const struct dsm_sync_answer *answer)
{
	struct dsm_node *node = region->node;
	struct dsm_msg *busy;

	if (answer->value & ~DSM_SYNC_IF_FREE || answer->error)
		return -EPROTO;
	busy = dsm_sync_msg_create(region->id, answer->offset, answer->req, DSM_SYNC_REQUEST,
				   DSM_SYNC_BUSY, 0, msg->block,
				   msg->must ? DSM_GFP_MUST : GFP_KERNEL);
	if (!busy)
		return -ENOMEM;
	spin_lock(&node->sync->lock);
	if (dsm_lease_recall(node, answer)) {
		dsm_sync_post(node->sync, answer->from, busy);
		busy = NULL;
	}
	dsm_sync_unlock(node->sync);
	dsm_msg_free(busy);
	return 0;
}

static int receive_reply(struct dsm_region *region, const struct dsm_msg *msg)
{
	const struct dsm_wire_sync *wire = &msg->body.sync;
	struct dsm_sync_answer answer = {
		.from	= msg->from,
		.region	= region->id,
		.offset	= le64_to_cpu(wire->offset),
		.req	= msg->req,
		.op	= le32_to_cpu(wire->op),
		.value	= le32_to_cpu(wire->value),
		.error	= le32_to_cpu(wire->error),
	};

	if (wire->reserved)
		return -EPROTO;
	if (answer.op == DSM_SYNC_RECALL)
		return receive_recall(region, msg, &answer);
	return receive_answer(region, &answer);
}

static bool offset_valid(const struct dsm_region *region, u64 offset)
{
	return offset < region->size && !(offset % OBJECT_ALIGN);
}

/**
 * dsm_sync_receive() - a SYNC_REQUEST or SYNC_REPLY has come
 * @node: us
 * @msg: from msg->from, decoded, not trusted otherwise
 *
 * Return: as dsm_receive(). Sleeps for memory only.
 */
int dsm_sync_receive(struct dsm_node *node, const struct dsm_msg *msg)
{
	struct dsm_region *region = dsm_region_get_id(node, msg->region);
	int err;

	/* One that is over needs nothing more. */
	if (!region)
		return dsm_region_missing(node, msg->region);
	if (!offset_valid(region, le64_to_cpu(msg->body.sync.offset)))
		err = -EPROTO;
	else if (msg->type == DSM_SYNC_REQUEST)
		err = dsm_sync_home_receive(region, msg);
	else
		err = receive_reply(region, msg);
	dsm_region_put(region);
	return err;
}

/* ------------------------------------------------------------------------
 * The caller's side: calls
 */

static struct dsm_msg *call_msg_create(const struct call *call, u32 op, u32 value, u64 block)
{
	return dsm_sync_msg_create(call->region, call->offset, call->req, DSM_SYNC_REQUEST, op,
				   value, block, GFP_KERNEL_ACCOUNT);
}

/* A call, with all the memory that it will take; nothing has happened yet. */
static struct call *call_create(struct dsm_region *region, u32 op, u32 value, u64 offset)
{
	u64 block = offset >> region->block_shift;
	struct dsm_node *node = region->node;
	struct dsm_user *user;
	struct call *call;
	int err = -ENOMEM;

	call = kzalloc(sizeof(*call), GFP_KERNEL_ACCOUNT);
	if (!call)
		return ERR_PTR(-ENOMEM);
	call->node = node;
	init_waitqueue_head(&call->wait);
	call->region = region->id;
	call->offset = offset;
	call->req = dsm_node_next_req(node);
	call->op = op;
	user = dsm_lease_count(node);
	if (IS_ERR(user)) {
		err = PTR_ERR(user);
		goto free;
	}
	call->user = user;
	err = dsm_sync_home_find(region, offset, &call->home);
	if (err)
		goto free;
	err = -ENOMEM;
	call->request = call_msg_create(call, op, value, block);
	call->cancel = call_msg_create(call, DSM_SYNC_CANCEL, 0, block);
	if (!call->request || !call->cancel)
		goto free;
	if (op != DSM_SYNC_WAIT)
		return call;
	call->rewake = call_msg_create(call, DSM_SYNC_REWAKE, 0, block);
	if (!call->rewake)
		goto free;
	return call;

free:
	call_free(call);
	return ERR_PTR(err);
}

static void call_start(struct call *call)
{
	struct dsm_sync *sync = call->node->sync;

	spin_lock(&sync->lock);
	hash_add(sync->calls, &call->hash, call->req);
	dsm_sync_post(sync, call->home, call->request);
	call->request = NULL;
	dsm_sync_unlock(sync);
}

static void call_cancel(struct call *call)
{
	struct dsm_sync *sync = call->node->sync;

	spin_lock(&sync->lock);
	if (call->state != CALL_DONE && !call->cancelled) {
		call->cancelled = true;
		dsm_sync_post(sync, call->home, call->cancel);
		call->cancel = NULL;
	}
	dsm_sync_unlock(sync);
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
						dsm_sync_jiffies(call->node));

	return left > 0 ? 0 : left < 0 ? -EINTR : -EIO;
}

/* Wait for an answer that may take long, and take the call back after the timeout. */
static int call_wait_long(struct call *call, u64 timeout_ns)
{
	struct dsm_node *node = call->node;
	ktime_t timeout = KTIME_MAX;
	int err;

	if (timeout_ns && timeout_ns < KTIME_MAX)
		timeout = ns_to_ktime(timeout_ns);
	else
		dsm_spin(&node->spins[DSM_SPIN_SYNC], READ_ONCE(node->spin_us),
			 call_is(call, CALL_DONE));
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

/* Make a call, with an answer that is due at once or may take long. */
static long call_make(struct dsm_region *region, struct dsm_sync_arg *arg, bool soon)
{
	struct call *call = call_create(region, arg->op, arg->value, arg->offset);
	int err;

	if (IS_ERR(call))
		return PTR_ERR(call);
	call_start(call);
	err = soon ? call_wait_soon(call, CALL_DONE) : call_wait_long(call, arg->timeout_ns);
	return call_end(call, err, &arg->result);
}

static long do_barrier(struct dsm_region *region, struct dsm_opener *opener,
		       struct dsm_sync_arg *arg)
{
	return call_make(region, arg, false);
}

static long do_wake(struct dsm_region *region, struct dsm_opener *opener,
		    struct dsm_sync_arg *arg)
{
	return call_make(region, arg, true);
}

static long do_lock(struct dsm_region *region, struct dsm_opener *opener,
		    struct dsm_sync_arg *arg)
{
	return dsm_lease_lock(region, opener, arg->offset, arg->timeout_ns, &arg->result);
}

static long do_trylock(struct dsm_region *region, struct dsm_opener *opener,
		       struct dsm_sync_arg *arg)
{
	return dsm_lease_trylock(region, opener, arg->offset, &arg->result);
}

static long do_unlock(struct dsm_region *region, struct dsm_opener *opener,
		      struct dsm_sync_arg *arg)
{
	int err = dsm_lease_unlock(region, arg->offset);

	/* It is no mutex of ours: the home knows what is there. */
	return err == -ENOENT ? call_make(region, arg, true) : err;
}

/* With the memory to take the mutex again. */
static long wait_locked(struct dsm_region *region, struct dsm_sync_arg *arg,
			struct dsm_locker *locker)
{
	struct call *wait = call_create(region, DSM_SYNC_WAIT, 0, arg->offset);
	long err, lock_err;
	u32 unused;

	if (IS_ERR(wait))
		return PTR_ERR(wait);
	call_start(wait);
	err = call_wait_soon(wait, CALL_QUEUED);
	if (err)
		call_cancel(wait);
	/* Refused: whoever had queued cannot be told so any more. */
	if (err || (call_is(wait, CALL_DONE) && wait->error))
		return call_end(wait, err, &unused);

	/* This thread is the holder, and only the holder lets go of a mutex. */
	dsm_lease_unlock(region, arg->other);
	err = call_wait_long(wait, arg->timeout_ns);
	err = call_end(wait, err, &unused);
	lock_err = dsm_lease_lock_again(locker, &arg->result);
	if (lock_err)
		return lock_err;
	/* That the holder died matters more than why the wait ended. */
	return arg->result & DSM_SYNC_OWNERDEAD ? 0 : err;
}

static long do_wait(struct dsm_region *region, struct dsm_opener *opener,
		    struct dsm_sync_arg *arg)
{
	struct dsm_locker locker;
	long err;

	if (!dsm_lease_is_mine(region, arg->other))
		return -EPERM;
	/* All memory beforehand: the mutex is to be had again in any case. */
	dsm_locker_init(&locker, region, opener, arg->other, false);
	err = dsm_locker_prepare(&locker);
	if (!err)
		err = wait_locked(region, arg, &locker);
	dsm_locker_free(&locker);
	return err;
}

/**
 * struct sync_op - an operation as programs ask for it
 * @handler: it
 * @timeout: it may have one
 */
struct sync_op {
	long (*handler)(struct dsm_region *region, struct dsm_opener *opener,
			struct dsm_sync_arg *arg);
	bool timeout;
};

static const struct sync_op sync_ops[] = {
	[DSM_SYNC_LOCK]		= { do_lock, true },
	[DSM_SYNC_TRYLOCK]	= { do_trylock },
	[DSM_SYNC_UNLOCK]	= { do_unlock },
	[DSM_SYNC_BARRIER]	= { do_barrier },
	[DSM_SYNC_WAIT]		= { do_wait, true },
	[DSM_SYNC_WAKE]		= { do_wake },
};

/**
 * dsm_sync_ioctl() - DSM_IOC_SYNC
 * @region: the region
 * @opener: the open file: mutexes taken through it are released when
 *	it goes
 * @arg: see uapi/linux/dsm.h; @arg->result is set when 0 is returned
 *
 * Return: 0 or -errno, as described there. Sleeps; a LOCK, BARRIER or WAIT
 * until a signal comes, anything else for timeout_ms at most.
 */
long dsm_sync_ioctl(struct dsm_region *region, struct dsm_opener *opener, struct dsm_sync_arg *arg)
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
	dsm_stat(region, DSM_STAT_sync_calls, 1);
	return sync_ops[arg->op].handler(region, opener, arg);
}

/* ------------------------------------------------------------------------
 * The end of processes, files, regions
 */

/**
 * dsm_sync_release_process() - processes may have closed a file
 * @region: the region
 * @opener: the file; others may have it open still
 * @files: the table of descriptors in which it was closed, and is not open any more
 *
 * Mutexes that they hold through it go to others, with OWNERDEAD. Sleeps.
 */
void dsm_sync_release_process(struct dsm_region *region, struct dsm_opener *opener,
			      const struct files_struct *files)
{
	dsm_lease_release(region, opener, files);
}

/* The same for the last who had the file, and whatever is left. Sleeps. */
void dsm_sync_release_file(struct dsm_region *region, struct dsm_opener *opener)
{
	dsm_lease_release(region, opener, NULL);
}

/* Drop what there is of a region, or of all where @region is 0, but for leases. */
static void drop(struct dsm_sync *sync, u32 region)
{
	struct hlist_node *next;
	unsigned int bucket;
	struct call *call;

	for (bucket = 0; bucket < HASH_SIZE(sync->calls); bucket++) {
		spin_lock(&sync->lock);
		hlist_for_each_entry_safe(call, next, &sync->calls[bucket], hash)
			if (!region || call->region == region)
				call_done(sync, call, call->op, 0, -EIDRM);
		spin_unlock(&sync->lock);
		cond_resched();
	}
	dsm_sync_home_drop(sync, region);
}

/**
 * dsm_sync_region_gone() - a region is being freed, on all nodes
 * @region: the region
 *
 * Nobody uses it; the calls there are were abandoned, unless the registry is
 * wrong, and then they fail with EIDRM. Sleeps.
 */
void dsm_sync_region_gone(struct dsm_region *region)
{
	drop(region->node->sync, region->id);
	dsm_lease_drop(region);
}

int dsm_sync_node_init(struct dsm_node *node)
{
	struct dsm_sync *sync = kvzalloc(sizeof(*sync), GFP_KERNEL_ACCOUNT);

	if (!sync)
		return -ENOMEM;
	sync->node = node;
	spin_lock_init(&sync->lock);
	INIT_LIST_HEAD(&sync->self);
	hash_init(sync->objects);
	hash_init(sync->calls);
	sync->kept = kvcalloc(node->nodes, sizeof(*sync->kept), GFP_KERNEL_ACCOUNT);
	if (!sync->kept) {
		kvfree(sync);
		return -ENOMEM;
	}
	dsm_lease_node_init(sync);
	node->sync = sync;
	return 0;
}

/* There are no regions any more, and nobody brings messages. */
void dsm_sync_node_exit(struct dsm_node *node)
{
	drop(node->sync, 0);
	WARN_ON_ONCE(!list_empty(&node->sync->self));
	dsm_lease_node_exit(node->sync);
	kvfree(node->sync->kept);
	kvfree(node->sync);
	node->sync = NULL;
}
