/* SPDX-License-Identifier: MIT */
#ifndef _DSM_KEEP_H
#define _DSM_KEEP_H

#include "layout.h"

struct dsm_thread;

/*
 * How many empty units a thread may keep: @max at most, fewer where DSM_HEAP_KEEP is low,
 * and never much of the region, since other threads do not get them.
 */
size_t dsm_keep_max(const struct dsm_heap *heap, size_t max);

/* A run that the thread keeps has room for @size bytes: it is an object's; or NULL. */
void *dsm_keep_take(struct dsm_thread *thread, size_t align, size_t size);

/*
 * Free the object that is the run at @unit, of an own chunk, and keep the run; false: it is no
 * run, or there is no room for it, and nothing was done.
 */
bool dsm_keep_give(struct dsm_thread *thread, uint32_t unit);

/* The rest with the arena's lock held. */

/* Free all runs that the thread keeps. */
void dsm_keep_release(struct dsm_thread *thread);

/* Free the runs that a dead thread kept. */
void dsm_keep_recover(struct dsm_heap *heap, uint16_t owner);

/* In a child, which has no other thread: free all kept runs. */
void dsm_keep_forget(struct dsm_heap *heap);

#endif /* _DSM_KEEP_H */
