/* SPDX-License-Identifier: MIT */
/*
 * A thread's part of a heap: the slabs it allocates from, the runs it keeps, and the parcels
 * of objects of other nodes.
 */
#ifndef _DSM_CACHE_H
#define _DSM_CACHE_H

#include <stddef.h>

#include "layout.h"
#include "local.h"

/*
 * A class: the word of a slab that objects are taken from, and other slabs. @word is the
 * word's distance from the thread's struct dsm_thread; 0, which is a word with nothing
 * free, if there is none. @last is an object of @slab, or the thread's @no_object.
 */
struct dsm_bin {
	_Atomic size_t	word;
	char		*base;		/* the object of its bit 0 */
	char		*last;		/* the canary in front of it is checked next */
	char		**note;		/* where each new object is written: to @last, or nowhere */
	uint32_t	size;
	struct slab	*slab;
	struct slab_list partial;
	struct slab_list full;		/* the one looked at last, last */
} __attribute__((aligned(64)));

/* The form of a class's slabs, on any node. */
struct dsm_class_info {
	uint64_t	recip;
	uint32_t	size;
	uint32_t	capacity;
};

/* A run of @n units: see keep.c. */
struct dsm_kept {
	uint32_t	unit;
	uint32_t	n;
};

struct dsm_out;

enum {
	KEPT_MAX	= 40,
};

/*
 * When the region is full, another thread of the process, which has the arena's lock, takes
 * a thread's slabs and runs, unless the thread is using them: see thread.c.
 * A thread sets @busy while it uses these fields or its slabs without the arena's lock. The
 * thread that takes sets @stopped, and counts that in @stops; until it is unset,
 * the thread finds nothing to allocate, and no object to be its own.
 *
 * A child finds it all zero, however it was made: see process.h. Such a thread has nothing to
 * allocate from and no object to free. So its parent's slabs stay its parent's, and the fast
 * paths need not ask whether this is a new process.
 */
struct dsm_thread {
	_Atomic uint64_t none;		/* 0: where bins without a slab point */
	/* copies of what is in the heap; @bytes is 0 while the thread is stopped */
	char		*base;
	_Atomic size_t	bytes;
	_Atomic uint32_t *table;
	size_t		slabs_off;	/* of a chunk's slabs */
	uint64_t	canary;		/* 0: the heap has none */
	char		no_object[8];	/* directly behind @canary */
	char		*not_noted;	/* for classes that have no canary in front */
	uint32_t	own_entry;
	uint32_t	owner_clean;	/* as struct slab's owner_dirty */
	uint16_t	owner;		/* the slot's number + 1 */
	uint16_t	empty_units;	/* of those in @empty */
	struct slab_list empty;		/* slabs that are kept for now */
	_Atomic uint32_t busy;
	_Atomic uint32_t stops;
	_Atomic bool	stopped;
	uint32_t	holder;		/* of its slot: see slot_holder() */
	uint32_t	samples;	/* of larger objects: see alloc_exact() */
	uint64_t	had;
	uint16_t	kept_runs;
	uint16_t	kept_units;
	struct dsm_heap	*heap;
	struct dsm_slot	*slot;
	/* By (size + 7) / 8, where the bin is, from here on; or 0: so is the first word there. */
	uint32_t	direct[MIDDLE_SIZE_MAX / 8 + 1];
	struct dsm_bin	bin[CLASSES];
	struct dsm_class_info class[CLASSES];
	struct dsm_kept	kept[KEPT_MAX];
	struct dsm_out	*out[];		/* by node: see remote.c */
};

_Static_assert(offsetof(struct dsm_thread, no_object) ==
	       offsetof(struct dsm_thread, canary) + sizeof(uint64_t), "no_object");

static inline _Atomic uint64_t *dsm_bin_word(struct dsm_thread *thread, size_t word)
{
	return (_Atomic uint64_t *)((uintptr_t)thread + word);
}

/* The thread begins, and ends, to use its slabs; the first without a look at @stopped. */
static inline void dsm_thread_enter(struct dsm_thread *thread)
{
	WRITE(thread->busy, 1);
	/* the thread that takes has the kernel order this everywhere: membarrier(2) */
	atomic_signal_fence(memory_order_seq_cst);
}

static inline void dsm_thread_leave(struct dsm_thread *thread)
{
	atomic_store_explicit(&thread->busy, 0, memory_order_release);
}

/* The same, after a wait until no other thread is taking them; or only the wait. */
void dsm_thread_enter_wait(struct dsm_thread *thread);

/*
 * The arena's lock, for a thread that is busy. It is not while it waits, so what it has may
 * have been taken when it has the lock. 0 or an error number.
 */
int dsm_thread_lock(struct dsm_thread *thread);

void dsm_thread_wait(struct dsm_thread *thread);

/*
 * How many units that are not full the calling thread may have. Of many threads in a small
 * region each may have few, and allocates the rest from slabs that all share.
 */
size_t dsm_thread_share(const struct dsm_heap *heap);

#endif /* _DSM_CACHE_H */
