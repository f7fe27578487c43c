/* SPDX-License-Identifier: MIT */
#ifndef _DSM_OBJECT_H
#define _DSM_OBJECT_H

#include "layout.h"

/* An object, in terms of its slab. */
struct dsm_place {
	uint32_t	owner;		/* node */
	uint32_t	unit;		/* of the region: where its slab or run starts */
	uint32_t	index;		/* in the slab; of a run 0 */
	bool		slab;
	uint8_t		class;		/* of the slab */
	size_t		size;
	char		*start;		/* of the object */
};

/*
 * Where an object is; NULL, or what is wrong with the address. Takes no lock:
 * of an object that is allocated, nothing read here changes.
 */
const char *dsm_object_find(const struct dsm_heap *heap, const void *ptr,
			    struct dsm_place *place);

/* Which object an address is in, wherever in it that is. */
const char *dsm_object_around(const struct dsm_heap *heap, const void *ptr,
			      struct dsm_place *place);

/* As of heap.h, but without the checks of check.h: for the heap itself, too. */
void *dsm_object_alloc(struct dsm_heap *heap, size_t align, size_t size,
		       bool zero);
const char *dsm_object_free(struct dsm_heap *heap, void *ptr);

/* Make an object larger or smaller where it is. */
bool dsm_object_resize(struct dsm_heap *heap, void *ptr, size_t size);

/* Take in what came from other nodes, and give back what is empty. */
bool dsm_object_trim(struct dsm_heap *heap);

#endif /* _DSM_OBJECT_H */
