/* SPDX-License-Identifier: MIT */
#ifndef _DSM_REMOTE_H
#define _DSM_REMOTE_H

#include "layout.h"

struct dsm_thread;

/* An object, in terms of its slab. */
struct dsm_place {
	uint32_t	owner;		/* node */
	uint32_t	unit;		/* of the region: where its slab or run starts */
	uint32_t	index;		/* in the slab; of a run 0 */
	bool		slab;
	size_t		size;
};

/*
 * Where an object is; NULL, or what is wrong with the address. Takes no lock:
 * of an object that is allocated, nothing read here changes.
 */
const char *dsm_heap_find(const struct dsm_heap *heap, const void *ptr,
			  struct dsm_place *place);

/*
 * Send an object of another node's home, with others. @thread: the caller's,
 * or NULL. NULL, or what is wrong with it; the owner may yet find more.
 */
const char *dsm_remote_free(struct dsm_heap *heap, struct dsm_thread *thread,
			    const struct dsm_place *place, void *ptr);

/* Let all parcels leave. */
void dsm_remote_flush(struct dsm_thread *thread);
void dsm_remote_end(struct dsm_thread *thread);

/* With the arena's lock: free what others sent; how many objects. */
uint64_t dsm_remote_drain(struct dsm_heap *heap);

/* With the arena's lock: send what a thread that died had ready. */
void dsm_remote_recover(struct dsm_heap *heap, struct dsm_slot *slot);

/* With the arena's lock, after a death. */
void dsm_remote_rebuild(struct dsm_heap *heap);

/* Report on stderr, and abort, unless the user wants to go on. */
void dsm_heap_abuse(const void *ptr, const char *wrong);

#endif /* _DSM_REMOTE_H */
