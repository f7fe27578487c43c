// SPDX-License-Identifier: GPL-2.0
/*
 * Leases: the mutexes that this node has, or has asked for.
 *
 * Towards a mutex's home a node is one, however many of its threads want the
 * mutex: they queue here. lease_core.c says when the home is asked, and when
 * the mutex goes back. In between, a thread takes it and lets go of it by
 * changing its word, which the processes of the node share (uapi/linux/dsm.h),
 * and this file hears of it only if the word says SLOW.
 *
 * A process can write anything to a word, at any time. So this file reads one
 * once, with the operation that sets SLOW; after that no thread that keeps to
 * the rules changes it, since its compare and exchange fails and it comes here,
 * to wait for our lock. Then the word is written anew, from what we know. The
 * only thing that is believed of a word is which process's which thread has the
 * mutex, and only if there is such a process; what a lie does is to spoil the
 * mutex of a region that the liar can write to.
 *
 * A word is for one mutex at a time. Where all its places are taken by mutexes
 * that threads have, a mutex does without: it is held by the thread that is
 * noted here, and goes back when that lets go of it. So it is with all of a
 * region's until the first process attaches, and after the last one has gone.
 *
 * All of this is protected by dsm_sync->lock. What is said to the home goes when that is
 * dropped, with dsm_sync_unlock(), also where we are the home.
 */
#include <linux/cred.h>
#include <linux/err.h>
#include <linux/slab.h>
#include <linux/wait.h>
#include "lease_impl.h"
#include "msg.h"
#include "user.h"
#include "words.h"

#define THREAD_MASK	((1U << DSM_WORD_THREAD_BITS) - 1)
#define OWNER_OTHER	(DSM_WORD_PROCESS_OTHER << DSM_WORD_THREAD_BITS)

enum lease_limits {
	WATCH_MS	= 500,	/* so often it is asked whether a holder lives */
};

enum holder {
	HOLDER_NONE,
	HOLDER_ME,
	HOLDER_OTHER,
};

static struct lease *lease_find(struct dsm_sync *sync, u32 region, u64 offset)
{
	struct lease *lease;

	lockdep_assert_held(&sync->lock);

	hash_for_each_possible(sync->leases, lease, hash, dsm_sync_key(region, offset))
		if (lease->region->id == region && lease->offset == offset)
			return lease;
	return NULL;
}

/* ------------------------------------------------------------------------
 * The word
 */

static atomic64_t *word_of(const struct lease *lease)
{
	return &lease->region->words->word[lease->slot];
}

/* Read the owner from the word, and send all its users here from now on. */
static u32 word_stop(const struct lease *lease)
{
	return lease->slot < 0 ? 0 : lower_32_bits(atomic64_fetch_or(DSM_WORD_SLOW,
								     word_of(lease)));
}

/* The same, without stopping anybody. */
static u32 word_peek(const struct lease *lease)
{
	return lease->slot < 0 ? 0 : lower_32_bits(atomic64_read(word_of(lease)));
}

static void word_set(const struct lease *lease, u32 owner)
{
	u64 word = dsm_word(lease->offset) | owner;

	if (lease->slot < 0)
		return;
	/* Letting go has to come here if there is anybody to be given it. */
	if (owner ? lease->core.wanted || !list_empty(&lease->lockers) : lease->ownerdead)
		word |= DSM_WORD_SLOW;
	/* With the acquire of the thread that takes it. */
	atomic64_set_release(word_of(lease), word);
}

/* Which process the word means, or NULL. */
static const struct dsm_words_process *process_of(const struct lease *lease, u32 owner)
{
	return lease->slot < 0 ? NULL : dsm_words_process(lease->region->words, owner);
}

/* The process that has it, and what through, or NULL. */
static const struct dsm_process *held_by(const struct lease *lease, u32 owner,
					 struct dsm_opener **opener)
{
	const struct dsm_words_process *process;

	if (lease->thread) {
		*opener = lease->opener;
		return &lease->process;
	}
	process = process_of(lease, owner);
	if (!process)
		return NULL;
	*opener = process->opener;
	return &process->process;
}

static bool held_by_me(const struct lease *lease, u32 owner)
{
	struct dsm_process me = dsm_process_current();
	const struct dsm_process *holder;
	struct dsm_opener *opener;

	holder = held_by(lease, owner, &opener);
	if (!holder || !dsm_process_same(holder, &me))
		return false;
	return lease->thread ? lease->thread == dsm_sync_thread() :
			       (owner & THREAD_MASK) == task_pid_vnr(current);
}

/* A thread has it, and no word says so. */
static void hold_begin(struct lease *lease, const struct dsm_locker *locker)
{
	lease->thread = locker->thread;
	lease->opener = locker->opener;
	lease->process = locker->process;
	list_add_tail(&lease->held, &lease->opener->holds);
	lease->opener->n_holds++;
}

/* No thread has it, as far as no word says so. */
static void hold_end(struct lease *lease)
{
	if (!lease->thread)
		return;
	lease->thread = 0;
	list_del_init(&lease->held);
	lease->opener->n_holds--;
}

/*
 * After word_stop(). A process that has ended without notice (see sync.c) has it no
 * more: from here on it is nobody's, and the next to take it is told.
 */
static enum holder holder_of(struct lease *lease, u32 owner)
{
	const struct dsm_process *holder;
	struct dsm_opener *opener;

	holder = held_by(lease, owner, &opener);
	if (!holder)
		return HOLDER_NONE;
	if (held_by_me(lease, owner))
		return HOLDER_ME;
	if (dsm_process_alive(holder))
		return HOLDER_OTHER;
	hold_end(lease);
	lease->ownerdead = true;
	return HOLDER_NONE;
}

/* If a thread or node waits for its holder, watch whether that still lives. */
void dsm_lease_watch(struct lease *lease)
{
	struct dsm_sync *sync = lease->region->node->sync;

	if ((!lease->core.wanted && list_empty(&lease->lockers)) || !list_empty(&lease->watched))
		return;
	list_add_tail(&lease->watched, &sync->watched);
	queue_delayed_work(system_unbound_wq, &sync->watch, msecs_to_jiffies(WATCH_MS));
}

/* Nothing was changed after word_stop(), and @holder has it. */
static void word_go_on(struct lease *lease, u32 owner, enum holder holder)
{
	if (holder == HOLDER_NONE) {
		word_set(lease, 0);
		return;
	}
	word_set(lease, lease->thread ? OWNER_OTHER : owner);
	dsm_lease_watch(lease);
}

static void slot_put(struct lease *lease)
{
	if (lease->slot < 0)
		return;
	atomic64_set(word_of(lease), 0);
	lease->region->words->lease[lease->slot] = NULL;
	lease->slot = -1;
	list_del_init(&lease->kept);
	lease->user->n_kept--;
}

static int slot_free(const struct dsm_words *words, int set)
{
	int i;

	for (i = 0; i < DSM_WORDS_WAYS; i++)
		if (!words->lease[set + i])
			return set + i;
	return -1;
}

/* Give a mutex that no thread has back to its home, a different one each time. */
static void slot_vacate(struct dsm_words *words, int set)
{
	struct lease *lease;
	int i;

	words->victim++;
	for (i = 0; i < DSM_WORDS_WAYS; i++) {
		lease = words->lease[set + (words->victim + i) % DSM_WORDS_WAYS];
		if (!lease->thread && !process_of(lease, word_peek(lease))) {
			dsm_lease_give_back(lease);
			return;
		}
	}
}

/* A word for it, if there is one to be had. */
static void slot_get(struct lease *lease)
{
	struct dsm_words *words = lease->region->words;
	int set = dsm_word_set(lease->offset);

	if (!words || !words->processes)
		return;
	lease->slot = slot_free(words, set);
	if (lease->slot < 0) {
		slot_vacate(words, set);
		lease->slot = slot_free(words, set);
	}
	if (lease->slot < 0)
		return;
	words->lease[lease->slot] = lease;
	list_add_tail(&lease->kept, &lease->user->kept);
	lease->user->n_kept++;
}

/* ------------------------------------------------------------------------
 * Lockers
 */

static void locker_done(struct dsm_locker *locker, int error)
{
	list_del(&locker->list);
	locker->error = error;
	/*
	 * With locker_is_done()'s acquire: the results. The thread takes the
	 * lock before it goes on, so that waking it is safe.
	 */
	smp_store_release(&locker->done, true);
	wake_up(&locker->wait);
}

/* Those that only try, or all. */
static void lockers_fail(struct lease *lease, bool all, int error)
{
	struct dsm_locker *locker, *next;

	list_for_each_entry_safe(locker, next, &lease->lockers, list)
		if (all || locker->try)
			locker_done(locker, error);
}

/* A thread gets the mutex. Return: the result of its call. */
static u32 lease_take(struct lease *lease, const struct dsm_locker *locker)
{
	u32 value = lease->ownerdead ? DSM_SYNC_OWNERDEAD : 0;
	u32 number = 0;

	if (lease->slot < 0)
		slot_get(lease);
	if (lease->slot >= 0)
		number = dsm_words_number(lease->region->words, locker->opener, &locker->process);
	lease->ownerdead = false;
	hold_end(lease);
	if (!number)
		hold_begin(lease, locker);
	word_set(lease, number ? number << DSM_WORD_THREAD_BITS | locker->tid : OWNER_OTHER);
	dsm_lease_watch(lease);
	return value;
}

/* ------------------------------------------------------------------------
 * What lease_core.c wants done
 */

static void hand_over(struct lease *lease)
{
	struct dsm_locker *first = list_first_entry(&lease->lockers, struct dsm_locker, list);

	list_del_init(&first->list);
	lockers_fail(lease, false, -EBUSY);
	first->value = lease_take(lease, first);
	locker_done(first, 0);
}

static void give_back(struct lease *lease, bool unused)
{
	u32 value = (lease->ownerdead ? DSM_SYNC_OWNERDEAD : 0) | (unused ? DSM_SYNC_UNUSED : 0);
	struct dsm_node *node = lease->region->node;
	struct dsm_claim *claim = lease->claim;

	slot_put(lease);
	hold_end(lease);
	lease->ownerdead = false;
	claim->release->body.sync.value = cpu_to_le32(value);
	dsm_sync_post(node->sync, lease->home, claim->release);
	claim->release = NULL;
}

static void ask(struct lease *lease, u32 op)
{
	struct dsm_locker *first = list_first_entry(&lease->lockers, struct dsm_locker, list);
	struct dsm_node *node = lease->region->node;
	struct dsm_claim *claim = first->claim;
	struct dsm_msg *msg = claim->request;

	dsm_claim_free(lease->claim);
	lease->claim = claim;
	first->claim = NULL;
	first->asked = true;
	if (op == DSM_SYNC_LOCK)
		lockers_fail(lease, false, -EBUSY);
	claim->request = NULL;
	msg->body.sync.op = cpu_to_le32(op);
	dsm_sync_post(node->sync, lease->home, msg);
}

static void cancel(struct lease *lease)
{
	struct dsm_node *node = lease->region->node;

	dsm_sync_post(node->sync, lease->home, lease->claim->cancel);
	lease->claim->cancel = NULL;
}

static void forget(struct lease *lease)
{
	slot_put(lease);
	hold_end(lease);
	hash_del(&lease->hash);
	list_del(&lease->list);
	list_del(&lease->watched);
	dsm_user_give_mutex(lease->user);
	dsm_claim_free(lease->claim);
	kfree(lease);
}

/*
 * Apply @event. @now holds what only the caller knows. May free @lease. Return: what was
 * done, and DSM_LEASE_BUSY if the caller is to say so.
 */
static unsigned int step(struct lease *lease, enum dsm_lease_event event,
			 struct dsm_lease_now now)
{
	const struct dsm_locker *first;
	unsigned int actions;

	lockdep_assert_held(&lease->region->node->sync->lock);

	first = list_first_entry_or_null(&lease->lockers, struct dsm_locker, list);
	now.first = !first ? DSM_LEASE_NOBODY : first->try ? DSM_LEASE_TRIER : DSM_LEASE_WAITER;
	now.keep = lease->slot >= 0 && lease->region->words->processes;
	actions = dsm_lease_step(&lease->core, event, now);

	if (actions & DSM_LEASE_HAND)
		hand_over(lease);
	if (actions & DSM_LEASE_KEEP)
		word_set(lease, 0);
	if (actions & DSM_LEASE_RETURN)
		give_back(lease, event != DSM_LEASE_FREED);
	if (actions & DSM_LEASE_LOCK)
		ask(lease, DSM_SYNC_LOCK);
	if (actions & DSM_LEASE_TRYLOCK)
		ask(lease, DSM_SYNC_TRYLOCK);
	if (actions & DSM_LEASE_CANCEL)
		cancel(lease);
	if (actions & DSM_LEASE_FORGET)
		forget(lease);
	return actions;
}

/* Back to its home, if no thread has it: whether it goes. */
bool dsm_lease_give_back(struct lease *lease)
{
	u32 owner = word_stop(lease);
	enum holder holder = holder_of(lease, owner);
	struct dsm_lease_now now = { .held = holder != HOLDER_NONE };

	step(lease, DSM_LEASE_TRIED, now);
	if (now.held)
		word_go_on(lease, owner, holder);
	return !now.held;
}

/* Its holder is no more: the next one to take it is told. */
void dsm_lease_orphaned(struct lease *lease)
{
	word_stop(lease);
	hold_end(lease);
	lease->ownerdead = true;
	step(lease, DSM_LEASE_FREED, (struct dsm_lease_now){});
}

/* Its region is no more. */
void dsm_lease_destroy(struct lease *lease)
{
	lockers_fail(lease, true, -EIDRM);
	forget(lease);
}

/* The process that has it, and what through, or NULL. */
const struct dsm_process *dsm_lease_holder(const struct lease *lease,
					   struct dsm_opener **opener)
{
	return held_by(lease, word_peek(lease), opener);
}

/* ------------------------------------------------------------------------
 * What threads want
 */

void dsm_locker_init(struct dsm_locker *locker, struct dsm_region *region,
		     struct dsm_opener *opener, u64 offset, bool try)
{
	*locker = (struct dsm_locker){
		.region = region,
		.offset = offset,
		.try = try,
		.opener = opener,
		.process = dsm_process_current(),
		.tid = task_pid_vnr(current),
		.thread = dsm_sync_thread(),
	};
	INIT_LIST_HEAD(&locker->list);
	init_waitqueue_head(&locker->wait);
}

void dsm_locker_free(struct dsm_locker *locker)
{
	dsm_claim_free(locker->claim);
	kfree(locker->spare);
	if (locker->user)
		dsm_user_give_mutex(locker->user);
}

/**
 * dsm_lease_count() - as dsm_user_take_mutex()
 * @node: us
 *
 * Of the mutexes that count, some may be here only because nobody else wants them: they
 * make room. Sleeps.
 */
struct dsm_user *dsm_lease_count(struct dsm_node *node)
{
	struct dsm_user *user = dsm_user_take_mutex(node);

	if (PTR_ERR_OR_ZERO(user) != -EDQUOT)
		return user;
	user = dsm_user_get(node, current_fsuid());
	if (!user)
		return ERR_PTR(-ENOMEM);
	dsm_lease_trim(node, user);
	dsm_user_put(user);
	return dsm_user_take_mutex(node);
}

/*
 * The memory for everything; then nothing can fail but for the region's end. Return:
 * 0; -EDQUOT; -ENOMEM; as dsm_sync_home_find().
 */
int dsm_locker_prepare(struct dsm_locker *locker)
{
	struct dsm_user *user;
	u16 home;
	int err = dsm_sync_home_find(locker->region, locker->offset, &home);

	if (err)
		return err;
	user = dsm_lease_count(locker->region->node);
	if (IS_ERR(user))
		return PTR_ERR(user);
	locker->user = user;
	locker->spare = kzalloc(sizeof(*locker->spare), GFP_KERNEL_ACCOUNT);
	locker->claim = dsm_claim_create(locker);
	if (!locker->spare || !locker->claim)
		return -ENOMEM;
	locker->spare->home = home;
	return 0;
}

/* Take it if it is here and free: 0; -EDEADLK, -EBUSY; -EAGAIN, it takes more than that. */
static int lock_here(struct dsm_locker *locker)
{
	struct dsm_sync *sync = locker->region->node->sync;
	struct lease *lease = lease_find(sync, locker->region->id, locker->offset);
	enum holder holder;
	u32 owner;

	if (!lease)
		return -EAGAIN;
	/* Others of this node wait, and come first. */
	if (lease->core.state == DSM_LEASE_ASKING && locker->try)
		return -EBUSY;
	if (!dsm_lease_is_ours(lease))
		return -EAGAIN;
	owner = word_stop(lease);
	holder = holder_of(lease, owner);
	switch (holder) {
	case HOLDER_NONE:
		locker->value = lease_take(lease, locker);
		return 0;
	case HOLDER_ME:
		word_go_on(lease, owner, holder);
		return locker->try ? -EBUSY : -EDEADLK;
	default:
		if (!locker->try)
			return -EAGAIN;		/* the word is as it is to be, then */
		word_go_on(lease, owner, holder);
		return -EBUSY;
	}
}

static struct lease *lease_create(struct dsm_locker *locker)
{
	struct dsm_region *region = locker->region;
	struct lease *lease = locker->spare;

	locker->spare = NULL;
	lease->user = locker->user;
	locker->user = NULL;
	lease->region = region;
	lease->offset = locker->offset;
	lease->slot = -1;
	INIT_LIST_HEAD(&lease->lockers);
	INIT_LIST_HEAD(&lease->watched);
	INIT_LIST_HEAD(&lease->held);
	INIT_LIST_HEAD(&lease->kept);
	hash_add(region->node->sync->leases, &lease->hash, dsm_sync_key(region->id, lease->offset));
	list_add_tail(&lease->list, &region->leases);
	return lease;
}

/* As lock_here(), but it queues if it has to: 0, and locker->done tells. */
static int lock_start(struct dsm_locker *locker)
{
	struct dsm_region *region = locker->region;
	struct dsm_sync *sync = region->node->sync;
	struct lease *lease;
	int err;

	spin_lock(&sync->lock);
	err = lock_here(locker);
	if (!err)
		locker->done = true;
	if (err != -EAGAIN)
		goto unlock;
	/* dsm_lease_drop() comes after that is set. */
	err = -EIDRM;
	if (READ_ONCE(region->dead))
		goto unlock;
	err = 0;
	lease = lease_find(sync, region->id, locker->offset) ?: lease_create(locker);
	list_add_tail(&locker->list, &lease->lockers);
	if (dsm_lease_is_ours(lease))
		dsm_lease_watch(lease);
	step(lease, DSM_LEASE_WANTED, (struct dsm_lease_now){});
unlock:
	dsm_sync_unlock(sync);
	return err;
}

static bool locker_is_done(const struct dsm_locker *locker)
{
	/* With locker_done()'s release. */
	return smp_load_acquire(&locker->done);
}

/*
 * The wait is over, for what reason ever: @err if it has not been answered. What
 * comes now is for whoever queues next, or goes back.
 */
static long lock_end(struct dsm_locker *locker, int err, u32 *value)
{
	struct dsm_region *region = locker->region;
	struct dsm_sync *sync = region->node->sync;
	struct lease *lease;

	spin_lock(&sync->lock);
	if (locker->done) {
		err = locker->error;
		*value = locker->value;
	} else {
		list_del(&locker->list);
		lease = lease_find(sync, region->id, locker->offset);
		if (!WARN_ON_ONCE(!lease))
			step(lease, DSM_LEASE_LEFT, (struct dsm_lease_now){});
	}
	dsm_sync_unlock(sync);
	return err;
}

/* Without the memory for it, if that is not needed. */
static long lock_or_start(struct dsm_locker *locker)
{
	struct dsm_sync *sync = locker->region->node->sync;
	int err;

	spin_lock(&sync->lock);
	err = lock_here(locker);
	dsm_sync_unlock(sync);
	if (!err)
		locker->done = true;
	if (err != -EAGAIN)
		return err;
	return dsm_locker_prepare(locker) ?: lock_start(locker);
}

/* TRYLOCK */
long dsm_lease_trylock(struct dsm_region *region, struct dsm_opener *opener, u64 offset,
		       u32 *value)
{
	struct dsm_locker locker;
	long err;

	dsm_locker_init(&locker, region, opener, offset, true);
	err = lock_or_start(&locker);
	if (!err) {
		err = wait_event_killable_timeout(locker.wait, locker_is_done(&locker),
						  dsm_sync_jiffies(region->node));
		err = lock_end(&locker, err > 0 ? 0 : err < 0 ? -EINTR : -EIO, value);
	}
	dsm_locker_free(&locker);
	return err;
}

/* LOCK. Return: see dsm_sync_ioctl(). */
long dsm_lease_lock(struct dsm_region *region, struct dsm_opener *opener, u64 offset,
		    u64 timeout_ns, u32 *value)
{
	bool limited = timeout_ns && timeout_ns < KTIME_MAX;
	struct dsm_node *node = region->node;
	ktime_t timeout = limited ? ns_to_ktime(timeout_ns) : KTIME_MAX;
	struct dsm_locker locker;
	long err;

	dsm_locker_init(&locker, region, opener, offset, false);
	err = lock_or_start(&locker);
	if (!err) {
		/* A limit of time counts from now. */
		if (!limited)
			dsm_spin(&node->spins[DSM_SPIN_SYNC], READ_ONCE(node->spin_us),
				 locker_is_done(&locker));
		err = wait_event_interruptible_hrtimeout(locker.wait, locker_is_done(&locker),
							 timeout);
		err = lock_end(&locker, !err ? 0 : err == -ETIME ? -ETIMEDOUT : -EINTR, value);
	}
	dsm_locker_free(&locker);
	/* It may have been free all along, on its way here. */
	if (err == -ETIMEDOUT && !dsm_lease_trylock(region, opener, offset, value))
		err = 0;
	return err;
}

/* The rest of a WAIT: prepared beforehand, and only death ends it early. */
long dsm_lease_lock_again(struct dsm_locker *locker, u32 *value)
{
	long err = lock_start(locker);

	if (err)
		return err;
	err = wait_event_killable(locker->wait, locker_is_done(locker));
	return lock_end(locker, err ? -EINTR : 0, value);
}

/* Return: 0; -EPERM, another thread has it; -ENOENT, it is not here. */
int dsm_lease_unlock(struct dsm_region *region, u64 offset)
{
	struct dsm_sync *sync = region->node->sync;
	enum holder holder;
	struct lease *lease;
	int err = -ENOENT;
	u32 owner;

	spin_lock(&sync->lock);
	lease = lease_find(sync, region->id, offset);
	if (!dsm_lease_is_ours(lease))
		goto unlock;
	owner = word_stop(lease);
	holder = holder_of(lease, owner);
	if (holder == HOLDER_ME) {
		hold_end(lease);
		step(lease, DSM_LEASE_FREED, (struct dsm_lease_now){});
		err = 0;
	} else {
		word_go_on(lease, owner, holder);
		err = -EPERM;
	}
unlock:
	dsm_sync_unlock(sync);
	return err;
}

/* Does the current thread have it? Nobody but that changes that. */
bool dsm_lease_is_mine(struct dsm_region *region, u64 offset)
{
	struct dsm_sync *sync = region->node->sync;
	struct lease *lease;
	bool mine;

	spin_lock(&sync->lock);
	lease = lease_find(sync, region->id, offset);
	mine = dsm_lease_is_ours(lease) && held_by_me(lease, word_peek(lease));
	dsm_sync_unlock(sync);
	return mine;
}

/* ------------------------------------------------------------------------
 * What the home says
 */

/* Whether the home may say that, to what was asked. */
static bool answer_valid(const struct lease *lease, const struct dsm_sync_answer *answer)
{
	bool trying = lease->core.state == DSM_LEASE_TRYING;

	if (answer->op == DSM_SYNC_CANCEL)
		return lease->core.state == DSM_LEASE_CANCELLING && !answer->error &&
		       !answer->value;
	if (answer->op != (trying ? DSM_SYNC_TRYLOCK : DSM_SYNC_LOCK))
		return false;
	switch (answer->error) {
	case 0:
		return !(answer->value & ~(DSM_SYNC_OWNERDEAD | DSM_SYNC_WANTED));
	case EBUSY:
		return trying && !answer->value;
	case EINVAL:
	case ENOSPC:
		return !answer->value;
	default:
		return false;
	}
}

static void lease_refused(struct lease *lease, int error)
{
	struct dsm_locker *locker, *next;

	/* A thread that queued after the question was sent may get another answer. */
	list_for_each_entry_safe(locker, next, &lease->lockers, list)
		if (locker->asked || error != EBUSY)
			locker_done(locker, -error);
	step(lease, DSM_LEASE_REFUSED, (struct dsm_lease_now){});
}

/**
 * dsm_lease_answer() - the home has answered
 * @node: us
 * @answer: what
 *
 * Return: 0; -ENOENT, nobody has asked for a mutex with that number; -EPROTO.
 */
int dsm_lease_answer(struct dsm_node *node, const struct dsm_sync_answer *answer)
{
	struct lease *lease = lease_find(node->sync, answer->region, answer->offset);

	if (!lease || !lease->claim || lease->claim->req != answer->req || dsm_lease_is_ours(lease))
		return -ENOENT;
	if (lease->home != answer->from || !answer_valid(lease, answer))
		return -EPROTO;
	if (answer->error) {
		lease_refused(lease, answer->error);
	} else if (answer->op == DSM_SYNC_CANCEL) {
		step(lease, DSM_LEASE_CANCELLED, (struct dsm_lease_now){});
	} else {
		dsm_stat(lease->region, DSM_STAT_mutexes_in, 1);
		lease->ownerdead = answer->value & DSM_SYNC_OWNERDEAD;
		step(lease, DSM_LEASE_GRANTED,
		     (struct dsm_lease_now){ .wanted = answer->value & DSM_SYNC_WANTED });
	}
	return 0;
}

/**
 * dsm_lease_recall() - the home wants a mutex back
 * @node: us
 * @answer: RECALL, of the request that got it; if that was another one, the
 *	mutex is on its way already
 *
 * Return: whether the home is to be told that it is BUSY.
 */
bool dsm_lease_recall(struct dsm_node *node, const struct dsm_sync_answer *answer)
{
	struct lease *lease = lease_find(node->sync, answer->region, answer->offset);
	enum dsm_lease_event event = DSM_LEASE_RECALLED;
	enum holder holder;
	unsigned int done;
	u32 owner;

	if (!dsm_lease_is_ours(lease) || lease->claim->req != answer->req ||
	    lease->home != answer->from)
		return false;
	if (answer->value & DSM_SYNC_IF_FREE)
		event = DSM_LEASE_TRIED;
	owner = word_stop(lease);
	holder = holder_of(lease, owner);
	if (holder == HOLDER_NONE) {
		step(lease, event, (struct dsm_lease_now){});
		return false;
	}
	done = step(lease, event, (struct dsm_lease_now){ .held = true });
	word_go_on(lease, owner, holder);
	return done & DSM_LEASE_BUSY;
}
