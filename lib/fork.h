/* SPDX-License-Identifier: MIT */
#ifndef _DSM_FORK_H
#define _DSM_FORK_H

#include "layout.h"

/*
 * From now on, a child that this process forks has a copy of what it allocated,
 * as it would of other memory, unless $DSM_FORK is "share". False: no memory to
 * note what that is.
 */
bool dsm_fork_private(struct dsm_heap *heap);

/*
 * This process has the slab, or the object, at @ptr. With the arena's lock, or of a run
 * that was kept, whose bits nobody clears.
 */
static inline void dsm_fork_note(struct dsm_heap *heap, const void *ptr)
{
	size_t unit = ((const char *)ptr - heap->base) >> UNIT_SHIFT;
	uint32_t bit = 1U << unit % UNITS;

	if (heap->mine && ptr && !(READ(heap->mine[unit / UNITS]) & bit))
		atomic_fetch_or_explicit(&heap->mine[unit / UNITS], bit, memory_order_relaxed);
}

/* Around fork(); child: whether it has a heap of its own now, and the same thread. */
void dsm_fork_prepare(struct dsm_heap *heap);
void dsm_fork_parent(struct dsm_heap *heap);
bool dsm_fork_child(struct dsm_heap *heap);

#endif /* _DSM_FORK_H */
