// SPDX-License-Identifier: MIT
/*
 * Objects: from any address to its object, and from any object to its node.
 *
 * Small ones are of the slabs of the calling thread, if it has any; large ones
 * are runs. What another node allocated is sent there to be freed.
 */
#include "object.h"

#include <errno.h>
#include <linux/futex.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "arena.h"
#include "canary.h"
#include "chunk.h"
#include "class.h"
#include "keep.h"
#include "recover.h"
#include "remote.h"
#include "slab.h"
#include "thread.h"

/* ---- allocating ------------------------------------------------------- */

static void *alloc_locked(struct dsm_heap *heap, unsigned int class,
			  size_t align, size_t size, bool *fresh)
{
	void *ptr;

	if (dsm_arena_lock(heap))
		return NULL;
	dsm_remote_drain(heap);
	ptr = class < CLASSES ? dsm_slab_alloc(heap, class) :
				dsm_run_alloc(heap, align, size, fresh);
	dsm_units_note(heap, ptr);
	dsm_arena_unlock(heap);
	return ptr;
}

static void *alloc_once(struct dsm_heap *heap, unsigned int class,
			size_t align, size_t size, bool *fresh)
{
	struct dsm_thread *thread = dsm_thread_get(heap);
	void *ptr;

	if (thread && class < CLASSES) {
		ptr = dsm_thread_alloc(thread, &thread->bin[class]);
		if (ptr && heap->checks && dsm_class_is_front(class))
			dsm_canary_check_front(heap, ptr);
		if (ptr || dsm_thread_may_own(thread, class))
			return ptr;
		return alloc_locked(heap, class, align, size, fresh);
	}
	ptr = thread ? dsm_keep_take(thread, align, size) : NULL;
	if (ptr)
		return ptr;
	return alloc_locked(heap, class, align, size ? size : 1, fresh);
}

static bool trim(struct dsm_heap *heap, bool rob)
{
	struct dsm_thread *thread = dsm_threads[heap->index];

	if (dsm_arena_lock(heap))
		return false;
	dsm_remote_drain(heap);
	if (thread)
		dsm_thread_trim(thread);
	if (rob)
		dsm_threads_rob(heap);
	dsm_recover_threads(heap);
	dsm_slabs_sweep(heap, true);
	dsm_arena_release(heap, 0);
	dsm_arena_unlock(heap);
	return true;
}

bool dsm_object_trim(struct dsm_heap *heap)
{
	return trim(heap, false);
}

/* The region is full: a free object of this class or of a larger one. */
static void *alloc_any(struct dsm_heap *heap, unsigned int class, size_t align)
{
	void *ptr;

	if (class >= CLASSES || align > GRANULE_SIZE || dsm_arena_lock(heap))
		return NULL;
	ptr = dsm_slab_alloc_any(heap, class);
	if (ptr)
		dsm_canary_set(heap, ptr, SIZE_MAX);
	dsm_units_note(heap, ptr);
	dsm_arena_unlock(heap);
	return ptr;
}

/* Chunks whose frames go back to all nodes' kernels are claimed meanwhile. */
enum { CLAIM_TRIES = 100 };

/*
 * Sleeps for a millisecond, by a futex that nobody wakes: a program in a sandbox that
 * allows what libc's malloc() calls may not call nanosleep().
 */
static void claim_pause(void)
{
	static const struct timespec pause = { .tv_nsec = 1000000 };
	static uint32_t word;
	int err = errno;

	syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 0, &pause, NULL, 0);
	errno = err;
}

static void *alloc_slow(struct dsm_heap *heap, unsigned int class, size_t align,
			size_t size, bool *fresh)
{
	void *ptr;

	/* more than any region: the sums below must not overflow */
	if (size > PTRDIFF_MAX)
		return NULL;
	ptr = alloc_once(heap, class, align, size, fresh);
	if (!ptr && trim(heap, true)) {
		ptr = alloc_once(heap, class, align, size, fresh);
		if (!ptr)
			ptr = alloc_any(heap, class, align);
	}
	/* a chunk that another node has claimed may be free in a moment */
	for (int tries = 0; !ptr && tries < CLAIM_TRIES && dsm_chunk_is_claimed(heap); tries++) {
		claim_pause();
		ptr = alloc_once(heap, class, align, size, fresh);
	}
	return ptr;
}

void *dsm_object_alloc(struct dsm_heap *heap, size_t align, size_t size, bool zero)
{
	unsigned int class = dsm_class_of(heap->canary, align, size);
	bool fresh = false;
	void *ptr = alloc_slow(heap, class, align, size, &fresh);

	if (ptr && !dsm_class_is_front(class))
		dsm_canary_set(heap, ptr, align > GRANULE_SIZE ? SIZE_MAX : size);
	if (ptr && zero && !fresh)
		memset(ptr, 0, size);
	return ptr;
}

/* An object of another node is that node's to change. */
bool dsm_object_resize(struct dsm_heap *heap, void *ptr, size_t size)
{
	struct dsm_place place;
	bool done;

	if (size > PTRDIFF_MAX || dsm_object_find(heap, ptr, &place) || place.owner != heap->node)
		return false;
	if (place.slab) {
		done = dsm_class_is_exact(place.class) && size <= place.size &&
		       size >= place.size / 2;
		/* other nodes take that much for granted */
		if (size < dsm_class_least(place.class))
			size = dsm_class_least(place.class);
	} else {
		if (size <= CLASS_SIZE_MAX || dsm_arena_lock(heap))
			return false;
		done = dsm_run_resize(heap, place.unit, size);
		dsm_arena_unlock(heap);
	}
	if (done)
		dsm_canary_set(heap, ptr, size);
	return done;
}

/* ---- freeing ---------------------------------------------------------- */

static const char *free_here(struct dsm_heap *heap, const struct dsm_place *place,
			     void *ptr)
{
	struct dsm_thread *thread = dsm_threads[heap->index];
	uint32_t chunk = place->unit / UNITS;
	const char *wrong;
	struct slab *slab;

	if (place->slab) {
		slab = slab_at(heap, chunk, (size_t)(place->unit % UNITS) << UNIT_SHIFT);
		/* dsm_thread_free() frees a live object of this thread's slabs */
		if (thread && READ(slab->owner) == thread->owner)
			return "double free";
		return dsm_slab_free_other(slab, place->index / 64, 1ULL << place->index % 64);
	}
	if (thread && place->unit % UNITS && dsm_keep_give(thread, place->unit))
		return NULL;
	if (dsm_arena_lock(heap))
		return "the heap's lock is broken";
	wrong = dsm_run_free(heap, chunk, (char *)ptr - chunk_addr(heap, chunk));
	dsm_arena_unlock(heap);
	return wrong;
}

static __thread bool not_at_once;

static void note_not_at_once(void *ptr)
{
	(void)ptr;
	not_at_once = true;
}

/* Again, if its slab has been taken meanwhile: that does not look as if it was live. */
static bool free_at_once(struct dsm_thread *thread, void *ptr)
{
	uint32_t stops;

	do {
		stops = atomic_load(&thread->stops);
		dsm_thread_wait(thread);
		if (dsm_remote_free_slab(thread, ptr))
			return true;
		not_at_once = false;
		dsm_thread_free(thread, ptr, note_not_at_once);
		if (!not_at_once)
			return true;
		atomic_thread_fence(memory_order_acquire);
	} while (atomic_load(&thread->stops) != stops);
	return false;
}

static void parcel_make(struct dsm_thread *thread, uint32_t node)
{
	struct dsm_heap *heap = thread->heap;
	void *block = dsm_object_alloc(heap, heap->block_size, heap->block_size, false);

	if (block && !dsm_remote_give_parcel(thread, node, block))
		dsm_object_free(heap, block);
}

const char *dsm_object_free(struct dsm_heap *heap, void *ptr)
{
	struct dsm_thread *thread = dsm_thread_get(heap);
	struct dsm_place place;
	const char *wrong;

	if (thread && free_at_once(thread, ptr))
		return NULL;
	wrong = dsm_object_find(heap, ptr, &place);
	if (wrong)
		return wrong;
	if (place.owner == heap->node)
		return free_here(heap, &place, ptr);
	if (thread && dsm_remote_needs_parcel(thread, place.owner))
		parcel_make(thread, place.owner);
	return dsm_remote_free(heap, thread, &place, ptr);
}
