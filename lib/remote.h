/* SPDX-License-Identifier: MIT */
#ifndef _DSM_REMOTE_H
#define _DSM_REMOTE_H

#include "layout.h"

struct dsm_place;
struct dsm_thread;

/*
 * Send an object of another node's home, with others. @thread: the caller's,
 * or NULL. NULL, or an error; the owner may find more.
 */
const char *dsm_remote_free(struct dsm_heap *heap, struct dsm_thread *thread,
			    const struct dsm_place *place, void *ptr);

/*
 * Whether the thread has no parcel for a node, and so @block, a block that was allocated, is
 * to be one. If no memory is left to manage it, the block stays the caller's.
 */
bool dsm_remote_needs_parcel(const struct dsm_thread *thread, uint32_t node);
bool dsm_remote_give_parcel(struct dsm_thread *thread, uint32_t node, void *block);

/*
 * The same for an object in a slab, whose address is all that is known; false:
 * it is none, or there is more to do, and nothing was done.
 */
bool dsm_remote_free_slab(struct dsm_thread *thread, const void *ptr);

/* Let all parcels leave. */
void dsm_remote_flush(struct dsm_thread *thread);
void dsm_remote_end(struct dsm_thread *thread);

/* With the arena's lock: free the objects that others sent. How many. */
uint64_t dsm_remote_drain(struct dsm_heap *heap);

/* With the arena's lock: send a dead thread's parcels. */
void dsm_remote_recover(struct dsm_heap *heap, struct dsm_slot *slot);

/* With the arena's lock, after a death. */
void dsm_remote_rebuild(struct dsm_heap *heap);

#endif /* _DSM_REMOTE_H */
