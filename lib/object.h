/* SPDX-License-Identifier: MIT */
#ifndef _DSM_OBJECT_H
#define _DSM_OBJECT_H

#include "place.h"

/* As of heap.h, but without the checks of check.h: for the heap itself, too. */
void *dsm_object_alloc(struct dsm_heap *heap, size_t align, size_t size,
		       bool zero);
const char *dsm_object_free(struct dsm_heap *heap, void *ptr);

/* Make an object larger or smaller where it is. */
bool dsm_object_resize(struct dsm_heap *heap, void *ptr, size_t size);

/* Free the objects that other nodes sent, and the empty slabs and chunks. */
bool dsm_object_trim(struct dsm_heap *heap);

#endif /* _DSM_OBJECT_H */
