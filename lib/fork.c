// SPDX-License-Identifier: MIT
/*
 * fork() of a program that does not know where its malloc is from.
 *
 * It takes for granted that a child has its parent's objects, too, and that
 * each of the two changes its own: a shell would fall over its subshells. A region
 * is shared, so the parent makes a copy, right before the fork, of what it has
 * in the heap, and the child puts it where the region was. It goes on with that
 * until it calls exec: a heap of the same form in private memory, which nobody
 * else sees. Its children have theirs as any memory.
 *
 * A process has the objects in the slabs of its threads, and other objects that it
 * allocated. It notes their units. All else is not copied: in the child's heap, the headers
 * say that it is another's.
 *
 * With DSM_FORK=share, fork() leaves the heap shared, as any shared memory.
 */
#include "fork.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "arena.h"
#include "canary.h"
#include "check.h"
#include "chunk.h"
#include "class.h"
#include "guard.h"
#include "keep.h"
#include "local.h"
#include "options.h"
#include "process.h"
#include "slab.h"
#include "thread.h"

/* Nobody's: not to be used. */
#define CHUNK_ABSENT	(CHUNK_USED | CHUNK_CLAIMED | 0xffffU)

bool dsm_fork_private(struct dsm_heap *heap)
{
	void *mine;

	if (dsm_option_number(OPTION_FORK, NULL))
		return true;
	mine = mmap(NULL, heap->chunks * sizeof(*heap->mine), PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (mine == MAP_FAILED)
		return false;
	heap->mine = mine;
	dsm_process_announced_only();
	return true;
}

/* ---- the copy --------------------------------------------------------- */

static void copy(struct dsm_heap *heap, const void *from, size_t length)
{
	memcpy(heap->copy + ((const char *)from - heap->base), from, length);
}

static void copy_slab(struct dsm_heap *heap, uint32_t unit)
{
	struct slab *slab = &chunk_private(heap, unit / UNITS)->slab[unit % UNITS];
	char *start = slab_start(slab);
	size_t size = slab->size;

	for (unsigned int w = 0; w < slab->words; w++) {
		uint64_t live = ~(READ(slab->hot->free[w]) | READ(slab->freed[w]));

		for (; live; live &= live - 1) {
			unsigned int i = w * 64 + __builtin_ctzll(live);

			if (i < slab->capacity)
				copy(heap, start + i * size, size);
		}
	}
}

/* Copy the object or slab at a noted unit; false: it is gone. */
static bool copy_unit(struct dsm_heap *heap, uint32_t unit)
{
	uint32_t word = atomic_load(unit_word(heap, unit));

	switch (UNIT_KIND(word)) {
	case UNIT_SLAB:
		copy_slab(heap, unit - UNIT_INDEX(word));
		return true;
	case UNIT_RUN:
		copy(heap, heap->base + ((size_t)unit << UNIT_SHIFT),
		     (size_t)UNIT_VALUE(word) << UNIT_SHIFT);
		return true;
	case UNIT_KEPT:
		/* its thread may take it right now, and note that */
		return true;
	default:
		return false;
	}
}

/*
 * Objects that are free are not copied, but the child may allocate them, and will look at
 * their canaries then.
 */
static void copy_canaries(struct dsm_heap *heap, uint32_t chunk)
{
	struct chunk_private *private = chunk_private(heap, chunk);
	ptrdiff_t moved = heap->copy - heap->base;
	struct chunk_private *copied = (void *)((char *)private + moved);
	uint32_t units = READ(heap->mine[chunk]);

	for (; heap->canary && units; units &= units - 1) {
		uint32_t u = __builtin_ctz(units);
		uint32_t word = atomic_load(unit_word(heap, chunk * UNITS + u));

		if (UNIT_KIND(word) != UNIT_SLAB)
			continue;
		u -= UNIT_INDEX(word);
		dsm_canary_copy(heap, &private->slab[u], &copied->hot[u], moved);
	}
}

static bool copy_chunk(struct dsm_heap *heap, uint32_t chunk, uint32_t entry)
{
	_Atomic uint32_t *mine = &heap->mine[chunk];
	uint32_t units = READ(*mine);
	struct chunk_public *public = chunk_public(heap, chunk);

	if (CHUNK_KIND(entry) == CHUNK_RUN) {
		size_t off = atomic_load(&public->run_off);

		/* it may start in the second chunk */
		if (!READ(mine[off >> CHUNK_SHIFT]))
			return false;
		copy(heap, public, sizeof(*public));
		off -= GUARD_SIZE;
		copy(heap, (char *)public + off,
		     ((size_t)atomic_load(&public->run_chunks) << CHUNK_SHIFT) - off);
		return true;
	}
	if (!units)
		return false;
	if (CHUNK_KIND(entry) == CHUNK_SLABS) {
		for (uint32_t rest = units; rest; rest &= rest - 1) {
			uint32_t unit = __builtin_ctz(rest);

			if (!copy_unit(heap, chunk * UNITS + unit))
				atomic_fetch_and(mine, ~(1U << unit));
		}
	} else {
		atomic_store(mine, 0);
	}
	if (!READ(*mine))
		return false;
	copy(heap, public, sizeof(*public));
	copy(heap, chunk_private(heap, chunk), sizeof(struct chunk_private));
	copy_canaries(heap, chunk);
	copy(heap, (char *)public + dsm_guard_off(heap) - GUARD_SIZE, GUARD_SIZE);
	return true;
}

/* With the arena's lock. */
static void copy_heap(struct dsm_heap *heap)
{
	struct dsm_arena *arena;
	uint32_t *table;
	bool run = false;

	copy(heap, heap->super, sizeof(*heap->super));
	copy(heap, heap->arena, sizeof(*heap->arena));
	arena = (void *)(heap->copy + ((char *)heap->arena - heap->base));
	arena->draining = 0;
	table = (uint32_t *)(heap->copy + ((char *)heap->table - heap->base));
	for (uint32_t chunk = heap->first; chunk < heap->chunks; chunk++) {
		uint32_t entry = atomic_load(chunk_entry(heap, chunk));

		table[chunk] = entry;
		if (CHUNK_KIND(entry) == CHUNK_FREE)
			continue;
		/* the rest of a run goes with its first chunk */
		if (CHUNK_KIND(entry) != CHUNK_RUN_REST)
			run = dsm_chunk_is_own(heap, entry) && copy_chunk(heap, chunk, entry);
		if (!run)
			table[chunk] = CHUNK_ABSENT;
	}
}

/* ---- around fork() ---------------------------------------------------- */

/* Whether the calling thread has it already: it forks in a signal's handler. */
static bool lock_is_own(struct dsm_heap *heap)
{
#ifdef __GLIBC__
	return *(volatile int *)&heap->arena->lock.__data.__owner == gettid();
#else
	(void)heap;
	return false;
#endif
}

/*
 * From here on no signal is handled, until the child has its copy: a handler of the child's
 * would write to its parent's objects.
 */
static void heap_fork_prepare(struct dsm_heap *heap)
{
	struct dsm_thread *thread = dsm_threads[heap->index];
	sigset_t all, had;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &had);
	heap->fork_locked = !lock_is_own(heap) && !dsm_arena_lock(heap);
	heap->fork_signals = had;
	heap->copy = NULL;
	if (!heap->fork_locked)
		return;
	if (thread)
		dsm_keep_release(thread);
	dsm_thread_save(heap);
	if (heap->is_private)
		return;
	heap->copy = mmap(NULL, heap->bytes, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (heap->copy == MAP_FAILED)
		heap->copy = NULL;
	else
		copy_heap(heap);
}

static void heap_fork_parent(struct dsm_heap *heap)
{
	sigset_t had = heap->fork_signals;

	dsm_thread_saved_free(heap);
	if (heap->copy)
		munmap(heap->copy, heap->bytes);
	if (heap->fork_locked)
		dsm_arena_unlock(heap);
	pthread_sigmask(SIG_SETMASK, &had, NULL);
}

static int purge_private(void *addr, size_t len)
{
	return madvise(addr, len, MADV_DONTNEED);
}

/* The parent has the locks; they are ours now. */
static void lock_renew(pthread_mutex_t *lock)
{
	memset(lock, 0, sizeof(*lock));
	dsm_lock_init(lock);
}

static bool heap_fork_child_locked(struct dsm_heap *heap)
{
	struct dsm_thread *thread;

	if (!heap->is_private) {
		if (!heap->copy ||
		    mremap(heap->copy, heap->bytes, heap->bytes,
			   MREMAP_MAYMOVE | MREMAP_FIXED, heap->base) == MAP_FAILED)
			return false;
		heap->is_private = true;
		heap->purge = purge_private;
	} else if (!heap->fork_locked) {
		return false;
	}
	thread = dsm_thread_restore(heap);
	atomic_store(&heap->threads, !!thread);
	lock_renew(&heap->arena->lock);
	if (thread) {
		lock_renew(&thread->slot->alive);
		pthread_mutex_trylock(&thread->slot->alive);
		dsm_thread_slot_taken(thread);
	}
	/* the lists have slabs and chunks that were not copied */
	if (!dsm_arena_lock(heap)) {
		dsm_arena_rebuild(heap);
		dsm_keep_forget(heap);
		dsm_arena_unlock(heap);
	}
	return true;
}

/* Whether the child has a heap of its own now, and the same thread. */
static bool heap_fork_child(struct dsm_heap *heap)
{
	bool own = heap_fork_child_locked(heap);

	pthread_sigmask(SIG_SETMASK, &heap->fork_signals, NULL);
	return own;
}

/* ---- this process's heaps, at its start, fork and exit ------------------- */

static _Atomic(struct dsm_heap *) heaps[HEAPS_MAX];

/* The process ends: the thread that calls exit() has no other end. */
__attribute__((destructor))
static void process_exit(void)
{
	for (int i = 0; i < HEAPS_MAX; i++)
		if (heaps[i] && heaps[i]->checks & CHECK_REDZONES)
			dsm_check_sweep(heaps[i]);
	dsm_threads_end();
}

static void fork_prepare(void)
{
	for (int i = 0; i < HEAPS_MAX; i++)
		if (heaps[i] && heaps[i]->mine)
			heap_fork_prepare(heaps[i]);
}

static void fork_parent(void)
{
	for (int i = 0; i < HEAPS_MAX; i++)
		if (heaps[i] && heaps[i]->mine)
			heap_fork_parent(heaps[i]);
}

/*
 * The slots are the parent's, unless the heap has become the child's own. Memory of the
 * parent's threads for other heaps stays mapped, and is empty.
 */
static void fork_child(void)
{
	for (int i = 0; i < HEAPS_MAX; i++) {
		for (int slot = 0; heaps[i] && slot < THREADS_MAX; slot++)
			heaps[i]->by_slot[slot] = NULL;
		if (heaps[i] && !(heaps[i]->mine && heap_fork_child(heaps[i])))
			dsm_threads_forget(heaps[i]);
	}
}

/*
 * Before region.c's handlers. A fork takes the locks of the last handlers first, and a thread
 * that holds the lock of the regions may wait for an arena's, but not the other way round.
 */
__attribute__((constructor(101)))
static void process_init(void)
{
	dsm_local_init(dsm_threads_end);
	dsm_process_atfork(fork_prepare, fork_parent, fork_child);
}

uint32_t dsm_heaps_attach(struct dsm_heap *heap)
{
	for (uint32_t i = 0; i < HEAPS_MAX; i++) {
		struct dsm_heap *none = NULL;

		if (atomic_compare_exchange_strong(&heaps[i], &none, heap))
			return i;
	}
	return HEAPS_MAX;
}

void dsm_heaps_detach(struct dsm_heap *heap)
{
	if (heap->index < HEAPS_MAX)
		atomic_store(&heaps[heap->index], NULL);
}
