/* SPDX-License-Identifier: MIT */
/*
 * A thread's part of a heap: the slabs it allocates from, and what it freed of
 * other nodes'. The fast paths are here; they take no lock and no atomic
 * instruction.
 */
#ifndef _DSM_THREAD_H
#define _DSM_THREAD_H

#include <stddef.h>

#include "canary.h"
#include "class.h"
#include "layout.h"
#include "slab.h"

enum { HEAPS_MAX = 64 };	/* in a process, with threads of their own */

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

/* What the slabs of a class are like, on any node. */
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
 * When the region is full, what a thread has is taken from it by another one of its
 * process, which has the arena's lock, unless the thread is using it: see thread.c.
 * @busy is set by the thread while it uses what is in here or in its slabs without the
 * arena's lock. @stopped is set by who takes, and @stops counts that; until it is unset,
 * the thread finds nothing to allocate, and no object to be its own.
 *
 * A child finds it all zero, whoever made it: see process.h. That is a thread that has
 * nothing to allocate from and no object to free, so its parent's slabs stay its parent's,
 * and nobody has to look whether this is a new process.
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

/*
 * The calling thread's of each heap, by the heap's index: in what local.h has,
 * or all NULL as long as it has none of that. Only thread.c writes there.
 */
extern __thread struct dsm_thread **dsm_threads
	__attribute__((tls_model("initial-exec"), visibility("hidden")));

/* One heap's, never NULL: until it is known, it has nothing. */
extern __thread struct dsm_thread *dsm_thread_main
	__attribute__((tls_model("initial-exec")));
extern _Atomic(struct dsm_heap *) dsm_heap_main;

/* Says which one that is, and stays. The caller has it already, perhaps. */
void dsm_thread_set_main(struct dsm_heap *heap);

/* A number for the heap, below HEAPS_MAX if its threads can have slabs. */
uint32_t dsm_threads_attach(struct dsm_heap *heap);
void dsm_threads_detach(struct dsm_heap *heap);

/* The calling thread's, made if need be; NULL: do without. */
struct dsm_thread *dsm_thread_make(struct dsm_heap *heap);

static inline struct dsm_thread *dsm_thread_get(struct dsm_heap *heap)
{
	struct dsm_thread *thread = dsm_threads[heap->index];

	return __builtin_expect(!!thread, 1) ? thread : dsm_thread_make(heap);
}

/* End the calling thread's: its slabs are the arena's, its parcels leave. */
void dsm_thread_end(struct dsm_heap *heap);

/* With the arena's lock: slabs that the calling thread keeps, and are empty. */
void dsm_thread_release(struct dsm_heap *heap);

/* With the arena's lock: all of its slabs that are empty. */
void dsm_thread_trim(struct dsm_thread *thread);

/*
 * With the arena's lock: all that the calling thread has, and this process's other threads,
 * as far as they are not using it, is the arena's.
 */
void dsm_threads_rob(struct dsm_heap *heap);

/* With the arena's lock: what threads that died had. */
void dsm_threads_recover(struct dsm_heap *heap);

/*
 * How many units that are not full the calling thread may have: of many threads in a small
 * region each may have few, and allocates the rest from slabs that all share. Whether it may
 * have one more slab.
 */
size_t dsm_thread_share(const struct dsm_heap *heap);
bool dsm_thread_may_own(const struct dsm_thread *thread, unsigned int class);

/* An object that is not to be had at once, or NULL. */
void *dsm_thread_alloc_next(struct dsm_thread *thread, struct dsm_bin *bin);

/* Around fork(), with the arena's lock: the child goes on with what its parent had. */
void dsm_thread_save(struct dsm_heap *heap);
void dsm_thread_saved_free(struct dsm_heap *heap);
struct dsm_thread *dsm_thread_restore(struct dsm_heap *heap);

/* It has its slot's lock: the slot is its own. */
void dsm_thread_slot_taken(struct dsm_thread *thread);

/* A free of this thread's made a slab's count 0. It is busy, and is not then. */
void dsm_thread_slab_event(struct dsm_thread *thread, struct slab *slab);

static inline _Atomic uint64_t *dsm_bin_word(struct dsm_thread *thread, size_t word)
{
	return (_Atomic uint64_t *)((uintptr_t)thread + word);
}

/* The thread begins, and ends, to use what it has; the first without a look at @stopped. */
static inline void dsm_thread_enter(struct dsm_thread *thread)
{
	WRITE(thread->busy, 1);
	/* who takes has the kernel order this for all processors: membarrier(2) */
	atomic_signal_fence(memory_order_seq_cst);
}

static inline void dsm_thread_leave(struct dsm_thread *thread)
{
	atomic_store_explicit(&thread->busy, 0, memory_order_release);
}

/* The same, when nobody is taking what it has; and wait for that only. */
void dsm_thread_enter_wait(struct dsm_thread *thread);

/*
 * The arena's lock, for a thread that is busy. It is not while it waits, so what it has may
 * have been taken when it has the lock. 0 or an error number.
 */
int dsm_thread_lock(struct dsm_thread *thread);

void dsm_thread_wait(struct dsm_thread *thread);

static inline void *dsm_bin_alloc(struct dsm_bin *bin, _Atomic uint64_t *word, uint64_t bits)
{
	char *ptr = bin->base + (unsigned int)__builtin_ctzll(bits) * bin->size;

	*bin->note = ptr;
	WRITE(*word, bits & (bits - 1));
	return ptr;
}

/* Whether the canary is intact that canary.h says is checked now. The bin has a word. */
static inline bool dsm_bin_is_intact(const struct dsm_thread *thread, const struct dsm_bin *bin)
{
	return __builtin_expect(*dsm_canary_front(bin->last) == thread->canary, 1);
}

static inline struct dsm_bin *dsm_thread_bin(struct dsm_thread *thread, size_t size)
{
	return (struct dsm_bin *)((char *)thread + thread->direct[(size + 7) / 8]);
}

static inline void *dsm_thread_alloc(struct dsm_thread *thread, struct dsm_bin *bin)
{
	_Atomic uint64_t *word;
	void *ptr = NULL;
	uint64_t bits;

	dsm_thread_enter(thread);
	word = dsm_bin_word(thread, READ(bin->word));
	bits = READ(*word);
	if (bits && dsm_bin_is_intact(thread, bin))
		ptr = dsm_bin_alloc(bin, word, bits);
	dsm_thread_leave(thread);
	return ptr ? ptr : dsm_thread_alloc_next(thread, bin);
}

/* An object of this heap, which has canaries, without an alignment; or NULL. */
void *dsm_thread_malloc_slow(struct dsm_thread *thread, size_t size);

/* malloc: what is not done at once, @slow does. */
static inline void *dsm_thread_malloc(struct dsm_thread *thread, size_t size,
				      void *(*slow)(size_t size))
{
	_Atomic uint64_t *word;
	struct dsm_bin *bin;
	uint64_t bits;
	void *ptr;

	if (__builtin_expect(size > MIDDLE_SIZE_MAX, 0))
		return slow(size);
	dsm_thread_enter(thread);
	bin = dsm_thread_bin(thread, size);
	word = dsm_bin_word(thread, READ(bin->word));
	bits = READ(*word);
	if (__builtin_expect(!bits, 0) || !dsm_bin_is_intact(thread, bin))
		goto slow;
	ptr = dsm_bin_alloc(bin, word, bits);
	dsm_thread_leave(thread);
	return ptr;
slow:
	dsm_thread_leave(thread);
	return slow(size);
}

/*
 * Leave an object to the slab's thread, or, if that is this one, see first whether
 * others have freed it. Or else let @slow do it. The thread is busy, and is not then.
 */
void dsm_thread_free_other(struct dsm_thread *thread, struct slab *slab, uint32_t index,
			   void *ptr, void (*slow)(void *ptr));

/*
 * free: what is not an object of a slab of some thread of this node, or has
 * something wrong with it, is for @slow, and nothing was done.
 */
static inline void dsm_thread_free(struct dsm_thread *thread, void *ptr,
				   void (*slow)(void *ptr))
{
	size_t off = (char *)ptr - thread->base;
	struct slab *slab;
	struct slab_hot *hot;
	uint64_t index, bits, now;

	dsm_thread_enter(thread);
	if (__builtin_expect(off >= READ(thread->bytes), 0) ||
	    __builtin_expect(READ(thread->table[off >> CHUNK_SHIFT]) != thread->own_entry, 0))
		goto slow;
	slab = (struct slab *)(((uintptr_t)ptr & -(uintptr_t)CHUNK_SIZE) + thread->slabs_off) +
	       (off >> UNIT_SHIFT & (UNITS - 1));
	index = dsm_class_index((off & (CHUNK_SIZE - 1)) - slab->start, slab->recip);
	if (__builtin_expect(index >= slab->capacity, 0))
		goto slow;
	if (__builtin_expect(READ(slab->owner_dirty) != thread->owner_clean, 0))
		return dsm_thread_free_other(thread, slab, index, ptr, slow);
	hot = slab->hot;
	bits = READ(hot->free[index / 64]);
	now = bits | 1ULL << index % 64;
	if (__builtin_expect(now == bits, 0))
		goto slow;
	WRITE(hot->free[index / 64], now);
	if (__builtin_expect(!--hot->used, 0))
		return dsm_thread_slab_event(thread, slab);
	dsm_thread_leave(thread);
	return;
slow:
	dsm_thread_leave(thread);
	slow(ptr);
}

#endif /* _DSM_THREAD_H */
