/* SPDX-License-Identifier: MIT */
/*
 * Redzones: with them, an object is in a slot:
 *
 *	start				front		size	  rear
 *	| unused, if the alignment	| redzone	| object  | redzone | trailer |
 *
 * The redzones' bytes are always the same. The trailer says where the object is and how
 * large; its mark is a hash of that and of whether the object is live or free. All bytes of a
 * free object up to the trailer are the same.
 */
#ifndef _DSM_REDZONE_H
#define _DSM_REDZONE_H

#include "layout.h"

enum dsm_checks {
	CHECK_REDZONES	= 1,
	CHECK_TOOLS	= 2,
};

enum {
	FILL_NEW	= 0xa5,
	FILL_FREE	= 0xdd,
	FILL_REDZONE	= 0xfd,
	EDGE		= 48,		/* bytes of a redzone, at least; */
	EDGE_LARGE	= 4096,		/* ... of a large object */
	EDGE_LARGE_FROM	= 16384,
};

#define MARK_LIVE	0x6c69766564736d00ULL
#define MARK_FREE	0x6672656564736d00ULL

struct dsm_trailer {
	uint64_t size;		/* of the object */
	uint64_t front;		/* where it is in its slot */
	_Atomic uint64_t mark;	/* 0 while the slot is being changed */
};

/* In front of an object, and behind it, at least. */
static inline size_t dsm_redzone_edge(size_t size)
{
	return size < EDGE_LARGE_FROM ? EDGE : EDGE_LARGE;
}

static inline struct dsm_trailer *dsm_trailer_of(const struct dsm_place *place)
{
	return (struct dsm_trailer *)(place->start + place->size) - 1;
}

bool dsm_redzone_mark_is(const struct dsm_place *place, uint64_t mark);

/* An object of @size bytes is @front bytes into its slot. */
void dsm_redzone_make(const struct dsm_place *place, size_t front, size_t size);

/* NULL, or what is wrong with the object at @ptr. */
const char *dsm_redzone_check(const struct dsm_place *place, const char *ptr);

/* The same of a slot whose mark says that it is live, or free; *@at: where. */
const char *dsm_redzone_check_edges(const struct dsm_place *place, const char **at);
const char *dsm_redzone_check_freed(const struct dsm_place *place, const char **at);

void dsm_redzone_free(const struct dsm_place *place);

/* Memory that the heap took is as freed objects are. */
void dsm_redzone_given_back(const struct dsm_heap *heap, void *ptr, size_t size);

/* There were objects here, and are others from now on. */
void dsm_redzone_clear(const struct dsm_heap *heap, void *ptr, size_t size);

/* Units that an object had, perhaps, are free. */
void dsm_redzone_units(const struct dsm_heap *heap, char *start, size_t size);

/* A new slab has no objects yet: @capacity of @size. */
void dsm_redzone_slab(const struct dsm_heap *heap, char *start, size_t size, unsigned int capacity);

#endif /* _DSM_REDZONE_H */
