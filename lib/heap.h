/* SPDX-License-Identifier: MIT */
/*
 * The heap of a region. It knows nothing of /dev/dsm: it is given a range of
 * memory that all nodes see, all zero before its first use, and told which
 * node it is on. So it can be tested over a memfd.
 */
#ifndef _DSM_HEAP_H
#define _DSM_HEAP_H

#include "layout.h"

/**
 * dsm_heap_attach - use the heap in a range, making it if there is none
 * @block_size: the unit of coherence: no two nodes' objects are put in one
 * @node: the caller's, less than @nodes
 * @writable: if not, only dsm_heap_usable() and the root may be used
 *
 * Return: 0, or an error number: EINVAL (something else is there), ENOMEM
 * (too small), ENOENT (not @writable, and no heap there yet).
 */
int dsm_heap_attach(struct dsm_heap *heap, void *base, size_t size,
		    size_t block_size, unsigned int node, unsigned int nodes,
		    bool writable);

/* The calling thread is done with it; false: others of this process are not. */
bool dsm_heap_detach(struct dsm_heap *heap);

/* @align: a power of two. NULL: full. */
void *dsm_heap_alloc(struct dsm_heap *heap, size_t align, size_t size,
		     bool zero);

/*
 * As realloc(); @size: not 0. NULL: full, or *@wrong with it; and if what is
 * returned is not NULL, *@wrong may have come to light in freeing @ptr.
 */
void *dsm_heap_resize(struct dsm_heap *heap, void *ptr, size_t size,
		      const char **wrong);

/* NULL, or the error because of which @ptr was not freed. */
const char *dsm_heap_free(struct dsm_heap *heap, void *ptr);

/* The size of the object at @ptr; 0 and *@wrong on an error. */
size_t dsm_heap_usable(const struct dsm_heap *heap, const void *ptr,
		       const char **wrong);

/* The node whose arena an address is in, or -1. */
int dsm_heap_owner(const struct dsm_heap *heap, const void *ptr);

/*
 * Send the objects of other nodes that this thread freed to their owners, free the own
 * objects that others sent, and return empty chunks to the region and their frames to
 * the kernel.
 */
void dsm_heap_trim(struct dsm_heap *heap);

void dsm_heap_root_set(struct dsm_heap *heap, void *root);
void *dsm_heap_root(const struct dsm_heap *heap);

#endif /* _DSM_HEAP_H */
