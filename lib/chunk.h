/* SPDX-License-Identifier: MIT */
#ifndef _DSM_CHUNK_H
#define _DSM_CHUNK_H

#include "layout.h"

/* Functions that change the table need the arena's lock. */

/*
 * Claim a chunk, or @n in a row, the second one at a multiple of @align: the first
 * one's number, or 0. *@fresh: all of it is zero.
 */
uint32_t dsm_chunk_claim(struct dsm_heap *heap, bool *fresh);
uint32_t dsm_chunk_claim_run(struct dsm_heap *heap, uint32_t n, size_t align, bool *fresh);

/* Claim these @n chunks, all or none. */
bool dsm_chunk_claim_at(struct dsm_heap *heap, uint32_t chunk, uint32_t n);

/* Claim free chunks that have frames, from @chunk on, @max at most. How many. */
uint32_t dsm_chunk_claim_dirty(struct dsm_heap *heap, uint32_t chunk, uint32_t max);

/* Publish a chunk's new kind. */
void dsm_chunk_publish(struct dsm_heap *heap, uint32_t chunk,
		       enum chunk_kind kind);

void dsm_chunk_release(struct dsm_heap *heap, uint32_t chunk, bool zero);

/* Whether another node has a chunk that it claimed and has not published. */
bool dsm_chunk_is_claimed(const struct dsm_heap *heap);

/* Whether the chunk is this node's. */
bool dsm_chunk_is_own(const struct dsm_heap *heap, uint32_t entry);

#endif /* _DSM_CHUNK_H */
