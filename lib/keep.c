// SPDX-License-Identifier: MIT
/*
 * Runs of units that a thread keeps when it has freed them, for the next object
 * that fits: so it need not have the arena's lock for each.
 *
 * That a run is kept, and by which thread, is in its first unit's word, and the thread
 * alone has a list of them. A thread that frees an object changes the word by
 * compare and exchange, since another may free the object, too; from then on no other thread
 * changes it, unless this one has died: then the run is found by its word. What it keeps
 * is taken from it when the region is full: see thread.c.
 * For the arena it is in use all the time.
 */
#include "keep.h"

#include "arena.h"
#include "canary.h"
#include "chunk.h"
#include "cache.h"

enum {
	UNITS_MAX	= 128,	/* of a thread */
	PART		= 64,	/* one of so many of the region's */
	WASTE		= 4,	/* of so many units one may be too many */
};

size_t dsm_keep_max(const struct dsm_heap *heap, size_t max)
{
	size_t some = (size_t)heap->keep * UNITS / 2;
	size_t part = (size_t)heap->chunks * UNITS / PART;
	size_t share = dsm_thread_share(heap);

	if (max > some)
		max = some;
	if (max > share)
		max = share;
	return max < part ? max : part;
}

static void kept_remove(struct dsm_thread *thread, struct dsm_kept *kept)
{
	thread->kept_units -= kept->n;
	*kept = thread->kept[--thread->kept_runs];
}

static void *keep_take(struct dsm_thread *thread, size_t align, size_t size)
{
	size_t align_units = align > UNIT_SIZE ? align >> UNIT_SHIFT : 1;
	size_t n = (size + UNIT_SIZE - 1) >> UNIT_SHIFT;
	struct dsm_heap *heap = thread->heap;

	for (unsigned int i = thread->kept_runs; i; i--) {
		struct dsm_kept kept = thread->kept[i - 1];
		void *ptr = heap->base + ((size_t)kept.unit << UNIT_SHIFT);

		if (kept.n < n || kept.n - n > n / WASTE || kept.unit & (align_units - 1))
			continue;
		kept_remove(thread, &thread->kept[i - 1]);
		dsm_canary_check_run(heap, kept.unit, kept.n);
		/* a full barrier would wait for the program's last stores */
		atomic_store_explicit(unit_word(heap, kept.unit), UNIT_RUN | kept.n,
				      memory_order_release);
		dsm_units_note(heap, ptr);
		return ptr;
	}
	return NULL;
}

void *dsm_keep_take(struct dsm_thread *thread, size_t align, size_t size)
{
	void *ptr;

	dsm_thread_enter_wait(thread);
	ptr = keep_take(thread, align, size);
	dsm_thread_leave(thread);
	return ptr;
}

static bool keep_give(struct dsm_thread *thread, uint32_t unit)
{
	struct dsm_heap *heap = thread->heap;
	uint32_t word = atomic_load(unit_word(heap, unit));
	size_t n = UNIT_VALUE(word), max = dsm_keep_max(heap, UNITS_MAX);

	if (UNIT_KIND(word) != UNIT_RUN || n > max)
		return false;
	if (thread->kept_units + n > max || thread->kept_runs == KEPT_MAX) {
		if (dsm_thread_lock(thread))
			return false;
		dsm_keep_release(thread);
		dsm_arena_unlock(heap);
	}
	if (!atomic_compare_exchange_strong(unit_word(heap, unit), &word,
					    KEPT_WORD(thread->owner, n)))
		return false;
	thread->kept[thread->kept_runs++] = (struct dsm_kept){ unit, n };
	thread->kept_units += n;
	return true;
}

bool dsm_keep_give(struct dsm_thread *thread, uint32_t unit)
{
	bool kept;

	dsm_thread_enter_wait(thread);
	kept = keep_give(thread, unit);
	dsm_thread_leave(thread);
	return kept;
}

void dsm_keep_release(struct dsm_thread *thread)
{
	while (thread->kept_runs) {
		struct dsm_kept kept = thread->kept[thread->kept_runs - 1];

		kept_remove(thread, &thread->kept[thread->kept_runs - 1]);
		dsm_units_free(thread->heap, kept.unit, kept.n);
	}
}

/* ---- after a death, and a fork ------------------------------------------ */

/* What @owner keeps, or anybody, if it is 0. */
static void chunk_recover(struct dsm_heap *heap, uint32_t chunk, uint16_t owner)
{
	/* with its last unit, a chunk may go */
	for (unsigned int u = heap->meta_units;
	     u < UNITS && atomic_load(chunk_entry(heap, chunk)) == heap->own_entry; u++) {
		uint32_t word = atomic_load(unit_word(heap, chunk * UNITS + u));

		if (UNIT_KIND(word) == UNIT_KEPT && (!owner || KEPT_OWNER(word) == owner))
			dsm_units_free(heap, chunk * UNITS + u, KEPT_UNITS(word));
	}
}

void dsm_keep_recover(struct dsm_heap *heap, uint16_t owner)
{
	for (uint32_t chunk = heap->first; chunk < heap->chunks; chunk++)
		chunk_recover(heap, chunk, owner);
}

void dsm_keep_forget(struct dsm_heap *heap)
{
	dsm_keep_recover(heap, 0);
}
