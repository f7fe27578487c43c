/* SPDX-License-Identifier: MIT */
#ifndef _DSM_KEEP_H
#define _DSM_KEEP_H

#include "layout.h"

struct dsm_thread;

/*
 * How many units, @max at most, of what is empty a thread keeps: of a process that keeps
 * little, less; and never much of the region, as others do not get it.
 */
size_t dsm_keep_max(const struct dsm_heap *heap, size_t max);

/* A run that the thread keeps has room for @size bytes: it is an object's; or NULL. */
void *dsm_keep_take(struct dsm_thread *thread, size_t align, size_t size);

/*
 * The object that is the run at @unit, of a chunk of ours, is freed, and kept; false:
 * it is none, or there is no place for it, and nothing was done.
 */
bool dsm_keep_give(struct dsm_thread *thread, uint32_t unit);

/* The rest with the arena's lock held. */

/* All that the thread keeps goes. */
void dsm_keep_release(struct dsm_thread *thread);

/* What a thread that died kept. */
void dsm_keep_recover(struct dsm_heap *heap, uint16_t owner);

/* In a child, which has no other thread: nobody keeps anything. */
void dsm_keep_forget(struct dsm_heap *heap);

#endif /* _DSM_KEEP_H */
