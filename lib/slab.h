/* SPDX-License-Identifier: MIT */
#ifndef _DSM_SLAB_H
#define _DSM_SLAB_H

#include "layout.h"

static inline struct chunk_private *slab_chunk(const struct dsm_heap *heap,
					       const struct slab *slab)
{
	return (void *)(((uintptr_t)slab & -(uintptr_t)CHUNK_SIZE) + heap->private_off);
}

/* Of any unit's, the one of the slab. */
static inline struct slab *slab_first(struct slab *part)
{
	return part - part->index;
}

static inline char *slab_start(const struct slab *slab)
{
	return (char *)((uintptr_t)slab & -(uintptr_t)CHUNK_SIZE) +
	       slab->start;
}

/* The slab at @off of a chunk, where the word of its first unit says one is. */
static inline struct slab *slab_at(const struct dsm_heap *heap, uint32_t chunk,
				   size_t off)
{
	struct chunk_private *private = chunk_private(heap, chunk);

	return &private->slab[private->slab[off >> UNIT_SHIFT].head];
}

static inline void slab_list_append(struct slab_list *list, struct slab *slab)
{
	slab->next = NULL;
	slab->prev = list->last;
	if (list->last)
		list->last->next = slab;
	else
		list->first = slab;
	list->last = slab;
}

static inline void slab_list_prepend(struct slab_list *list, struct slab *slab)
{
	slab->prev = NULL;
	slab->next = list->first;
	if (list->first)
		list->first->prev = slab;
	else
		list->last = slab;
	list->first = slab;
}

static inline void slab_list_remove(struct slab_list *list, struct slab *slab)
{
	if (slab->next)
		slab->next->prev = slab->prev;
	else
		list->last = slab->prev;
	if (slab->prev)
		slab->prev->next = slab->next;
	else
		list->first = slab->next;
}

/* The caller is the slab's thread, or holds the lock and the slab has none. */

/* Move the bits of freed[] to free[]. */
void dsm_slab_collect(struct slab *slab);

/* Free the objects at @bits, which the caller takes to be live. NULL, or an error. */
const char *dsm_slab_free_other(struct slab *slab, unsigned int w, uint64_t bits);

/* The same where @bits are objects of the slab, and @slab its first unit's. */
const char *dsm_slab_free_bits(struct slab *slab, unsigned int w, uint64_t bits);

/* Whether all of its objects can be allocated. */
bool dsm_slab_is_empty(const struct slab *slab);

/* Set hot->used of a slab that is neither current nor full. */
void dsm_slab_count(struct slab *slab);

/*
 * Of what is allocated from the @w-th word of free[] on, and was not before, set the
 * canaries. An object is allocated from a word after that.
 */
void dsm_slab_freshen(const struct dsm_heap *heap, struct slab *slab, unsigned int w);

/* The rest with the arena's lock held. */

/* A slab with a free object, for the thread @owner; NULL: there is no place. */
struct slab *dsm_slab_acquire(struct dsm_heap *heap, unsigned int class,
			      uint16_t owner);

/* A slab that is in no list belongs to no thread from now on. */
void dsm_slab_abandon(struct dsm_heap *heap, struct slab *slab);

/* For a thread that has no slabs. */
void *dsm_slab_alloc(struct dsm_heap *heap, unsigned int class);

/* The same of slabs that there are, of this class or else of a larger one. */
void *dsm_slab_alloc_any(struct dsm_heap *heap, unsigned int class);

/* Abandon a dead thread's slabs. */
void dsm_slabs_recover(struct dsm_heap *heap, uint16_t owner);

/* Some, or all, of the slabs of no thread: empty ones go. */
void dsm_slabs_sweep(struct dsm_heap *heap, bool all);

/* The lists of the arena, after a death. */
void dsm_slabs_rebuild(struct dsm_heap *heap);

#endif /* _DSM_SLAB_H */
