// SPDX-License-Identifier: GPL-2.0
/*
 * The end of what holds mutexes: processes, descriptors, regions. sync.c has the rule.
 *
 * There may be hundreds of thousands of them, and one lock for all that a node does with
 * mutexes. So this is work in pieces.
 */
#include <linux/sched.h>
#include "lease_impl.h"
#include "words.h"

enum end_limits {
	PIECE	= 64,	/* leases: then the lock is let go of for a moment */
};

/*
 * Work on many leases is done in pieces: @done counts, and after each piece the lock is
 * let go of for a moment. Whoever does that can rely on nothing it has found before.
 */
static void piece_done(struct dsm_sync *sync, unsigned int *done)
{
	lockdep_assert_held(&sync->lock);

	if (++*done % PIECE)
		return;
	dsm_sync_unlock(sync);
	cond_resched();
	spin_lock(&sync->lock);
}

/**
 * struct ending - whose holds end
 * @file: what they were taken through; NULL, through anything
 * @all: whoever the holder is
 * @files: without @all, that of processes that lose what this table had; NULL, of those
 *	that are no more
 * @last: the process that was last asked about, and
 * @last_ends: what the answer was
 */
struct ending {
	const void *file;
	bool all;
	const struct files_struct *files;
	struct dsm_process last;
	bool last_ends;
};

static bool ends(struct ending *ending, const void *file, const struct dsm_process *process)
{
	if (ending->file && ending->file != file)
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
	const void *file;

	if (!dsm_lease_is_ours(lease))
		return false;
	holder = dsm_lease_holder(lease, &file);
	return holder && ends(ending, file, holder);
}

static void numbers_release(struct ending *ending, struct dsm_words *words)
{
	u32 number;

	for (number = words->limit - 1; number; number--) {
		const struct dsm_words_process *process = &words->process[number];

		if (number < words->limit && process->file &&
		    ends(ending, process->file, &process->process))
			dsm_words_detach(words, number);
	}
}

/* No process is left that could take one here without asking: they go home. */
static void leases_go_home(struct dsm_region *region)
{
	struct dsm_sync *sync = region->node->sync;
	unsigned int done = 0, n = region->n_leases;
	struct lease *lease;

	while (done < n && region->words && !region->words->processes &&
	       (lease = list_first_entry_or_null(&region->leases, struct lease, list))) {
		list_move_tail(&lease->list, &region->leases);
		if (dsm_lease_is_ours(lease))
			dsm_lease_give_back(lease);
		piece_done(sync, &done);
	}
}

/*
 * The list is gone through by moving each lease to its end, where new ones go, too: while
 * the lock is not held, any of them may go. One at a time does that to a region.
 */
static void holds_end(struct dsm_region *region, struct ending *ending)
{
	struct dsm_sync *sync = region->node->sync;
	unsigned int done = 0, n;
	struct lease *lease;

	mutex_lock(&region->ending_lock);
	spin_lock(&sync->lock);
	n = region->n_leases;
	while (done < n && (lease = list_first_entry_or_null(&region->leases, struct lease, list))) {
		list_move_tail(&lease->list, &region->leases);
		if (hold_ends(ending, lease))
			dsm_lease_orphaned(lease);
		piece_done(sync, &done);
	}
	if (region->words)
		numbers_release(ending, region->words);
	leases_go_home(region);
	dsm_sync_unlock(sync);
	mutex_unlock(&region->ending_lock);
}

/**
 * dsm_lease_trim() - give back what is kept for later
 * @node: us
 * @user: of the mutexes that count for this one
 *
 * Sleeps.
 */
void dsm_lease_trim(struct dsm_node *node, const struct dsm_user *user)
{
	struct dsm_sync *sync = node->sync;
	struct dsm_region *region;
	struct lease *lease;
	u32 id = 0;

	while ((region = dsm_region_get_after(node, id))) {
		unsigned int done = 0, n;

		id = region->id;
		mutex_lock(&region->ending_lock);
		spin_lock(&sync->lock);
		n = region->n_leases;
		while (done < n &&
		       (lease = list_first_entry_or_null(&region->leases, struct lease, list))) {
			list_move_tail(&lease->list, &region->leases);
			if (lease->user == user && dsm_lease_is_ours(lease))
				dsm_lease_give_back(lease);
			piece_done(sync, &done);
		}
		dsm_sync_unlock(sync);
		mutex_unlock(&region->ending_lock);
		dsm_region_put(region);
	}
}

/**
 * dsm_lease_release() - a file has been closed
 * @region: the region
 * @file: what mutexes were held through
 * @files: the table of descriptors it was closed in; NULL, it was the last one
 *
 * The holds end of the processes that had it by this table alone; the mutexes go to
 * others, who are told. Sleeps.
 */
void dsm_lease_release(struct dsm_region *region, const void *file,
		       const struct files_struct *files)
{
	struct ending ending = { .file = file, .all = !files, .files = files };

	holds_end(region, &ending);
}

/* The holds, and the numbers, of processes that are no more. Sleeps. */
void dsm_lease_reap(struct dsm_region *region)
{
	struct ending ending = {};

	holds_end(region, &ending);
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
