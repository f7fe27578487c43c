/* SPDX-License-Identifier: MIT */
#ifndef _DSM_ARENA_H
#define _DSM_ARENA_H

#include "layout.h"

/* Initialise a zeroed robust mutex. Several processes may do so at once. */
void dsm_lock_init(pthread_mutex_t *lock);

/* 0 or an error number. */
int dsm_arena_lock(struct dsm_heap *heap);
void dsm_arena_unlock(struct dsm_heap *heap);

/* The rest is called with the lock held. */

/*
 * @n units in a row of one chunk, at a multiple of @align units: the first
 * one's number (chunk * UNITS + unit), or 0. Only the chunk's mask says so far that
 * they are taken. *@fresh: all zero.
 */
uint32_t dsm_units_alloc(struct dsm_heap *heap, unsigned int n,
			 unsigned int align, bool *fresh);

/* Free units, the first one first. */
void dsm_units_free(struct dsm_heap *heap, uint32_t unit, unsigned int n);

static inline _Atomic uint32_t *unit_word(const struct dsm_heap *heap,
					  uint32_t unit)
{
	return &chunk_public(heap, unit / UNITS)->unit[unit % UNITS];
}

/*
 * This process has the slab, or the object, at @ptr: a child has a copy of that. With the
 * arena's lock, or of a run that was kept, whose bits nobody clears.
 */
static inline void dsm_units_note(struct dsm_heap *heap, const void *ptr)
{
	size_t unit = ((const char *)ptr - heap->base) >> UNIT_SHIFT;
	uint32_t bit = 1U << unit % UNITS;

	if (heap->mine && ptr && !(READ(heap->mine[unit / UNITS]) & bit))
		atomic_fetch_or_explicit(&heap->mine[unit / UNITS], bit, memory_order_relaxed);
}

/* NULL: there is no place. @size: not 0. *@fresh is set if it is all zero. */
void *dsm_run_alloc(struct dsm_heap *heap, size_t align, size_t size,
		    bool *fresh);

/* Free a run that starts at @off in a chunk of ours; NULL, or what is wrong. */
const char *dsm_run_free(struct dsm_heap *heap, uint32_t chunk, size_t off);

/*
 * Make the run that starts at @unit of a chunk of ours (or, if the object is of
 * whole chunks, at their first unit) large enough for @size bytes, but no
 * larger. false: not there.
 */
bool dsm_run_resize(struct dsm_heap *heap, uint32_t unit, size_t size);

/* Release chunks that are empty, all but @keep. */
void dsm_arena_release(struct dsm_heap *heap, uint32_t keep);

/* Make the arena's lists and counts again, after a death. */
void dsm_arena_rebuild(struct dsm_heap *heap);

/* Return the frames of all free memory. */
void dsm_arena_purge(struct dsm_heap *heap);

#endif /* _DSM_ARENA_H */
