/* SPDX-License-Identifier: MIT */
/*
 * Canaries: words between objects that no program has a reason to write to. A heap has
 * one value for all of them, which is random, unless the heap has redzones (check.h).
 *
 * Where they are:
 *	- in front of each object of up to 136 bytes. The canary of one object is directly
 *	  behind the one before it. All canaries of 64 objects are set when the first of these
 *	  is allocated for the first time.
 *	- behind an object of 1 KiB to 2 MiB, from its last byte on, and at the end of its
 *	  slot or run. The heap records the length that was asked for, apart from the object.
 *	  An object that leaves less than 8 bytes has no canary, and one that leaves less than
 *	  16 has only the first. In a slab, an object has these when it is the first one in
 *	  its slot, and of later ones about one of 129 has: the end of a large object is seldom in
 *	  a cache, so that looking there costs more than all the rest of malloc().
 *
 * When they are checked: a canary behind an object, when its memory is allocated again. A
 * canary in front of an object, when the thread allocates the next one of the class. By then
 * the program has written to the object, so its line is in the cache; a load of a line that
 * is not would cost more than all of malloc(). free() checks nothing. It would fetch memory
 * that another node may have, or that is lost with that node.
 */
#ifndef _DSM_CANARY_H
#define _DSM_CANARY_H

#include "layout.h"

struct dsm_place;

/* A value for a new heap: no byte of it is 0, as that is what strings end with. */
uint64_t dsm_canary_make(void);

static inline uint64_t *dsm_canary_front(const void *ptr)
{
	return (uint64_t *)(uintptr_t)ptr - 1;
}

/* Set the canaries in front of @n objects, the first of which is at @ptr. */
void dsm_canary_arm(const struct dsm_heap *heap, char *ptr, size_t size, unsigned int n);

/* Check the canary in front of @ptr. A changed one is reported and restored. */
void dsm_canary_check_front(const struct dsm_heap *heap, void *ptr);

/*
 * The object at @ptr has just been allocated, with @length bytes. If it is in a slab, the
 * canaries of the last object in its place are looked at first. Does nothing for an
 * object whose canary is in front of it, and for one of more than 2 MiB.
 */
void dsm_canary_set(const struct dsm_heap *heap, void *ptr, size_t length);

/* The same for an object of an exact class. */
void dsm_canary_set_slab(const struct dsm_heap *heap, void *ptr, size_t length);

/* Check the canaries of the run that starts at @unit, before the run is used again. */
void dsm_canary_check_run(const struct dsm_heap *heap, uint32_t unit, unsigned int units);

/*
 * How many bytes the object's user may write to. For another node's object of 1 to 128 KiB
 * this costs both nodes a fault: the length is in a block that the owner writes often.
 */
size_t dsm_canary_usable(const struct dsm_heap *heap, const struct dsm_place *place);

/* Bounds of that, which cost no fault. */
void dsm_canary_bounds(const struct dsm_heap *heap, const struct dsm_place *place, size_t *least,
		       size_t *most);

/*
 * For a slab's objects that are free, in a copy of the heap that is @moved bytes away: what
 * will be looked at when they are allocated. @hot is the copy's.
 */
void dsm_canary_copy(const struct dsm_heap *heap, const struct slab *slab, struct slab_hot *hot,
		     ptrdiff_t moved);

/* A slab of an exact class is new: no object was in it. */
void dsm_canary_slab(struct slab_hot *hot);

#endif /* _DSM_CANARY_H */
