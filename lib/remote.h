/* SPDX-License-Identifier: MIT */
#ifndef _DSM_REMOTE_H
#define _DSM_REMOTE_H

#include "layout.h"

/*
 * Leave an object at @off of a chunk of node @owner's for it to free; a large
 * object is named by its chunk, with @off 0. NULL, or what is wrong with it.
 */
const char *dsm_remote_free(struct dsm_heap *heap, uint32_t owner,
			    uint32_t chunk, size_t off);

/* Free what others left for us. With the arena's lock. */
void dsm_remote_drain(struct dsm_heap *heap);

/*
 * The same, and also what processes that died half way left, which no mailbox
 * has. @again: some of it may have been freed already.
 */
void dsm_remote_drain_all(struct dsm_heap *heap, bool again);

/* Whether another node is about to use the chunk's struct chunk_remote. */
bool dsm_remote_busy(const struct dsm_heap *heap, uint32_t chunk);

/* Report on stderr, and abort. */
void dsm_heap_abuse(const void *ptr, const char *wrong)
	__attribute__((noreturn));

#endif /* _DSM_REMOTE_H */
