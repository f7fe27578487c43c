/* SPDX-License-Identifier: MIT */
/*
 * Guards: words between a chunk's headers and the objects on both sides of them, which
 * nobody writes to. An object at the end of a chunk that is written beyond its end,
 * perhaps another node's, meets the first of them before it meets the header; one at
 * the start of a chunk that is written in front of its start meets the last.
 *
 * Every chunk that has headers has them, whether or not the heap is checked. They are
 * looked at with the arena's lock, when units are taken and given back.
 */
#ifndef _DSM_GUARD_H
#define _DSM_GUARD_H

#include "layout.h"

enum { GUARD_SIZE = 2 * LINE_SIZE };

/* @off: where objects start in the chunk, which the caller has claimed. */
void dsm_guard_make(struct dsm_heap *heap, uint32_t chunk, size_t off);

/* Report the guards that were changed, and restore them. How many of the two. */
unsigned int dsm_guard_check(struct dsm_heap *heap, uint32_t chunk, size_t off);

/* @off of a chunk of slabs. */
static inline size_t dsm_guard_off(const struct dsm_heap *heap)
{
	return (size_t)heap->meta_units << UNIT_SHIFT;
}

_Static_assert(GUARD_SIZE <= sizeof((struct chunk_public *)0)->reserved, "front");
_Static_assert(sizeof(struct chunk_private) + GUARD_SIZE <= UNIT_SIZE - 4096, "back");

#endif /* _DSM_GUARD_H */
