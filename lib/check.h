/* SPDX-License-Identifier: MIT */
/*
 * Checks of what a program does with its objects, for its tests. None of it
 * is on the way of a heap that is not checked.
 *
 * Redzones are the heap's: it is made with them, if DSM_HEAP_CHECK is 1 then,
 * and all processes keep to it. In front of an object and behind it is what must
 * not be changed, and its size; new objects and freed ones are filled. They are looked
 * at when an object is freed or reallocated, or a new one is to have its place, and
 * when a process exits.
 *
 * Valgrind and AddressSanitizer are told of objects, in a process that runs
 * under one of them, unless DSM_HEAP_CHECK is 0.
 */
#ifndef _DSM_CHECK_H
#define _DSM_CHECK_H

#include "redzone.h"

/* Those of a heap in this process. */
uint32_t dsm_checks(struct dsm_heap *heap);

void *dsm_check_alloc(struct dsm_heap *heap, size_t align, size_t size,
		      bool zero);
const char *dsm_check_free(struct dsm_heap *heap, void *ptr);
size_t dsm_check_usable(const struct dsm_heap *heap, const void *ptr, const char **wrong);

/*
 * Look at all objects and guards of this node, and report what is wrong: how much, or -1
 * if the arena's lock is not to be had.
 */
int dsm_check_sweep(struct dsm_heap *heap);

#endif /* _DSM_CHECK_H */
