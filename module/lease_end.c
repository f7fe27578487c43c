// SPDX-License-Identifier: GPL-2.0
/*
 * The end of what holds mutexes: processes, descriptors, regions. sync.c has the rule.
 *
 * There may be hundreds of thousands of them, and one lock for all that a node does with
 * mutexes. So this is work in pieces.
 */
#include <linux/sched.h>
#include "lease_impl.h"
#include "user.h"
#include "words.h"

enum end_limits {
	PIECE	= 64,	/* leases: then the lock is let go of for a moment */
	TRIM	= 16,	/* leases that are given back at a time, where a user has too many */
};

/*
 * Work on many leases is done in pieces: @done counts, and after each piece the lock is
 * let go of for a moment. Whoever does that can rely on nothing it has found before.
 */
static void piece_done(struct dsm_sync *sync, unsigned int *done)
{
	lockdep_assert_held(&sync->lock);

	sync->looked_at++;
	if (++*done % PIECE)
		return;
	dsm_sync_unlock(sync);
	cond_resched();
	spin_lock(&sync->lock);
}

/**
 * struct ending - whose holds end
 * @opener: what they were taken through; NULL, through anything
 * @all: whoever the holder is
 * @files: without @all, that of processes that lose what this table had; NULL, of those
 *	that are no more
 * @last: the process that was last asked about, and
 * @last_ends: what the answer was
 */
struct ending {
	const struct dsm_opener *opener;
	bool all;
	const struct files_struct *files;
	struct dsm_process last;
	bool last_ends;
};

static bool ends(struct ending *ending, const struct dsm_opener *opener,
		 const struct dsm_process *process)
{
	if (ending->opener && ending->opener != opener)
		return false;
	if (ending->all)
		return true;
	if (!dsm_process_same(&ending->last, process)) {
		ending->last = *process;
		ending->last_ends = ending->files ? dsm_process_loses(process, ending->files) :
						    !dsm_process_alive(process);
	}
	return ending->last_ends;
}

static bool hold_ends(struct ending *ending, const struct lease *lease)
{
	const struct dsm_process *holder;
	struct dsm_opener *opener;

	if (!dsm_lease_is_ours(lease))
		return false;
	holder = dsm_lease_holder(lease, &opener);
	return holder && ends(ending, opener, holder);
}

/* Holds of which no word says. The list is gone through by moving each to its end. */
static void holds_end(struct dsm_sync *sync, struct dsm_opener *opener, struct ending *ending)
{
	unsigned int done = 0, n;
	struct lease *lease;

	lockdep_assert_held(&opener->ending_lock);
	lockdep_assert_held(&sync->lock);

	n = opener->n_holds;
	while (done < n &&
	       (lease = list_first_entry_or_null(&opener->holds, struct lease, held))) {
		list_move_tail(&lease->held, &opener->holds);
		if (hold_ends(ending, lease))
			dsm_lease_orphaned(lease);
		piece_done(sync, &done);
	}
}

static bool number_ends(struct ending *ending, const struct dsm_words *words, u32 number)
{
	const struct dsm_words_process *process = &words->process[number];

	return process->opener && ends(ending, process->opener, &process->process);
}

static bool any_number_ends(struct ending *ending, const struct dsm_words *words)
{
	u32 number;

	for (number = 1; number < words->limit; number++)
		if (number_ends(ending, words, number))
			return true;
	return false;
}

/* No process is left that could take one here without asking: they go home. */
static void leases_go_home(struct dsm_sync *sync, struct dsm_words *words)
{
	unsigned int done = 0, i;

	for (i = 0; i < DSM_WORDS && !words->processes; i++) {
		if (!words->lease[i])
			continue;
		dsm_lease_give_back(words->lease[i]);
		piece_done(sync, &done);
	}
}

/*
 * Holds of which a word says, and the numbers that it says them with. Which words name a
 * process is found by looking at all, once for each process that had a number.
 */
static void numbers_end(struct dsm_sync *sync, struct dsm_words *words, struct ending *ending)
{
	unsigned int done = 0, i;
	u32 number;

	lockdep_assert_held(&sync->lock);

	if (!any_number_ends(ending, words))
		return;
	for (i = 0; i < DSM_WORDS; i++) {
		if (!words->lease[i])
			continue;
		if (hold_ends(ending, words->lease[i]))
			dsm_lease_orphaned(words->lease[i]);
		piece_done(sync, &done);
	}
	for (number = words->limit - 1; number; number--)
		if (number < words->limit && number_ends(ending, words, number))
			dsm_words_detach(words, number);
	leases_go_home(sync, words);
}

/**
 * dsm_lease_trim() - give some of what is kept for later back
 * @node: us
 * @user: of the mutexes that count for this one
 *
 * Looks at no others, and stops when it has given a few back. Which are in use only their
 * words say, so those that have been looked at come last the next time. Sleeps.
 */
void dsm_lease_trim(struct dsm_node *node, struct dsm_user *user)
{
	unsigned int done = 0, given = 0, n;
	struct dsm_sync *sync = node->sync;
	struct lease *lease;

	spin_lock(&sync->lock);
	n = user->n_kept;
	while (done < n && given < TRIM &&
	       (lease = list_first_entry_or_null(&user->kept, struct lease, kept))) {
		list_move_tail(&lease->kept, &user->kept);
		given += dsm_lease_give_back(lease);
		piece_done(sync, &done);
	}
	dsm_sync_unlock(sync);
}

/**
 * dsm_lease_release() - a file has been closed
 * @region: the region
 * @opener: the file
 * @files: the table of descriptors it was closed in; NULL, it was the last one
 *
 * The holds end of the processes that had it by this table alone; the mutexes go to
 * others, who are told. Takes as long as the file has holds; and where a process that has
 * attached loses it, as the region has words. Sleeps.
 */
void dsm_lease_release(struct dsm_region *region, struct dsm_opener *opener,
		       const struct files_struct *files)
{
	struct ending ending = { .opener = opener, .all = !files, .files = files };
	struct dsm_sync *sync = region->node->sync;

	mutex_lock(&opener->ending_lock);
	spin_lock(&sync->lock);
	holds_end(sync, opener, &ending);
	if (opener->numbers)
		numbers_end(sync, region->words, &ending);
	dsm_sync_unlock(sync);
	mutex_unlock(&opener->ending_lock);
}

/* The numbers, and what words say of the holds, of processes that are no more. Sleeps. */
void dsm_lease_reap(struct dsm_region *region)
{
	struct dsm_sync *sync = region->node->sync;
	struct ending ending = {};

	spin_lock(&sync->lock);
	numbers_end(sync, region->words, &ending);
	dsm_sync_unlock(sync);
}

/* Look after the holders that somebody waits for. */
static void watch_work(struct work_struct *work)
{
	struct dsm_sync *sync = container_of(to_delayed_work(work), struct dsm_sync, watch);
	struct ending ending = {};
	unsigned int done = 0;
	struct lease *lease;
	LIST_HEAD(watched);

	spin_lock(&sync->lock);
	list_splice_init(&sync->watched, &watched);
	while ((lease = list_first_entry_or_null(&watched, struct lease, watched))) {
		list_del_init(&lease->watched);
		if (hold_ends(&ending, lease))
			dsm_lease_orphaned(lease);
		else if (dsm_lease_is_ours(lease))
			dsm_lease_watch(lease);
		piece_done(sync, &done);
	}
	dsm_sync_unlock(sync);
}

void dsm_lease_node_init(struct dsm_sync *sync)
{
	hash_init(sync->leases);
	INIT_LIST_HEAD(&sync->watched);
	INIT_DELAYED_WORK(&sync->watch, watch_work);
}

/* There are no regions any more. */
void dsm_lease_node_exit(struct dsm_sync *sync)
{
	cancel_delayed_work_sync(&sync->watch);
	WARN_ON_ONCE(!hash_empty(sync->leases));
}

/*
 * The region is being freed, on all nodes: nobody waits, unless the registry is wrong. It
 * is dead, so that no lease is added.
 */
void dsm_lease_drop(struct dsm_region *region)
{
	struct dsm_sync *sync = region->node->sync;
	unsigned int done = 0;
	struct lease *lease;

	spin_lock(&sync->lock);
	while ((lease = list_first_entry_or_null(&region->leases, struct lease, list))) {
		dsm_lease_destroy(lease);
		piece_done(sync, &done);
	}
	dsm_sync_unlock(sync);
}
