/* SPDX-License-Identifier: MIT */
#ifndef _DSM_ARENA_H
#define _DSM_ARENA_H

#include "layout.h"

/* Make the lock what it is to be, whoever else does the same meanwhile. */
void dsm_arena_init(struct dsm_arena *arena);

/* 0 or an error number. */
int dsm_arena_lock(struct dsm_heap *heap);
void dsm_arena_unlock(struct dsm_heap *heap);

/* The rest is called with the lock held. */

/* The class of the smallest objects of @size and @align, or CLASSES. */
unsigned int dsm_class_of(size_t align, size_t size);
size_t dsm_class_size(unsigned int class);

/* NULL: there is no place. */
void *dsm_arena_alloc_small(struct dsm_heap *heap, unsigned int class);
/* @size: not 0. *@fresh is set if it is all zero. */
void *dsm_arena_alloc_run(struct dsm_heap *heap, size_t align, size_t size,
			  bool *fresh);

/*
 * Free what is at @off in a chunk of this node's; with @again it may have
 * been freed already. NULL, or what is wrong with it.
 */
const char *dsm_arena_free(struct dsm_heap *heap, uint32_t chunk, size_t off,
			   bool again);

/* Release the chunk if nothing is in it and it is not worth keeping. */
void dsm_arena_settle(struct dsm_heap *heap, uint32_t chunk);

/* Release all that is empty. */
void dsm_arena_trim(struct dsm_heap *heap);

#endif /* _DSM_ARENA_H */
