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

/* A number for a heap of this process, below HEAPS_MAX if its threads can have slabs. */
uint32_t dsm_heaps_attach(struct dsm_heap *heap);
void dsm_heaps_detach(struct dsm_heap *heap);

#endif /* _DSM_FORK_H */
