/* SPDX-License-Identifier: MIT */
/* Allocating and freeing by a thread. The fast paths take no lock and no atomic instruction. */
#ifndef _DSM_THREAD_H
#define _DSM_THREAD_H

#include "cache.h"
#include "canary.h"
#include "class.h"
#include "slab.h"

/* One heap's, never NULL: until it is known, it has nothing. */
extern __thread struct dsm_thread *dsm_thread_main
	__attribute__((tls_model("initial-exec")));
extern _Atomic(struct dsm_heap *) dsm_heap_main;

/* Says which one that is, and stays. The caller has it already, perhaps. */
void dsm_thread_set_main(struct dsm_heap *heap);

extern const struct dsm_heap_ops dsm_thread_ops __attribute__((visibility("hidden")));

/* The calling thread's, made if need be; NULL: do without. */
struct dsm_thread *dsm_thread_make(struct dsm_heap *heap);

static inline struct dsm_thread *dsm_thread_get(struct dsm_heap *heap)
{
	struct dsm_thread *thread = dsm_threads[heap->index];

	return __builtin_expect(!!thread, 1) ? thread : dsm_thread_make(heap);
}

/* End the calling thread's: its slabs are the arena's, its parcels leave. */
void dsm_thread_end(struct dsm_heap *heap);

/* The same of all heaps. */
void dsm_threads_end(void);

/* In a child: the parent's threads are not its own. */
void dsm_threads_forget(struct dsm_heap *heap);

/* With the arena's lock: slabs that the calling thread keeps, and are empty. */
void dsm_thread_release(struct dsm_heap *heap);

/* With the arena's lock: all of its slabs that are empty. */
void dsm_thread_trim(struct dsm_thread *thread);

/*
 * With the arena's lock: return all slabs and runs of the calling thread, and those of this
 * process's other threads, except of threads that use them right now.
 */
void dsm_threads_rob(struct dsm_heap *heap);

/* Whether the thread may have one more slab: see dsm_thread_share(). */
bool dsm_thread_may_own(const struct dsm_thread *thread, unsigned int class);

/* An object that is not to be had at once, or NULL. */
void *dsm_thread_alloc_next(struct dsm_thread *thread, struct dsm_bin *bin);

/* Around fork(), with the arena's lock: the child goes on with its parent's thread. */
void dsm_thread_save(struct dsm_heap *heap);
void dsm_thread_saved_free(struct dsm_heap *heap);
struct dsm_thread *dsm_thread_restore(struct dsm_heap *heap);

/* It has its slot's lock: the slot is its own. */
void dsm_thread_slot_taken(struct dsm_thread *thread);

/* A free of this thread's made a slab's count 0. It is busy, and is not then. */
void dsm_thread_slab_event(struct dsm_thread *thread, struct slab *slab);

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

/* malloc: @slow does all that is not done at once. */
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
 * free: if @ptr is not an object in a slab of one of this node's threads, or is not valid,
 * nothing is done, and @slow is called.
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
