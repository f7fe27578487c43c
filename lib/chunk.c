// SPDX-License-Identifier: MIT
/*
 * The chunk table: which node owns a chunk.
 *
 * Nodes compete for free chunks with compare-and-swap; a chunk that is owned
 * is changed by its owner only, under its arena's lock. Single chunks are
 * taken from the low end and runs from the high end, so that long runs stay
 * possible. A chunk that is CLAIMED belongs to an operation in progress: if
 * its process dies, the next one to get the lock releases it.
 */
#include "chunk.h"

bool dsm_chunk_is_own(const struct dsm_heap *heap, uint32_t entry)
{
	return CHUNK_OWNER(entry) == heap->node + 1;
}

bool dsm_chunk_is_claimed(const struct dsm_heap *heap)
{
	for (uint32_t chunk = heap->first; !heap->is_private && chunk < heap->chunks; chunk++) {
		uint32_t entry = READ(*chunk_entry(heap, chunk));

		if (CHUNK_KIND(entry) == CHUNK_CLAIMED && !dsm_chunk_is_own(heap, entry))
			return true;
	}
	return false;
}

static bool claim(struct dsm_heap *heap, uint32_t chunk, uint32_t *was)
{
	_Atomic uint32_t *entry = chunk_entry(heap, chunk);

	*was = atomic_load_explicit(entry, memory_order_relaxed);
	if (CHUNK_KIND(*was) != CHUNK_FREE)
		return false;
	if (!atomic_compare_exchange_strong(entry, was,
			(*was & CHUNK_USED) | CHUNK_CLAIMED | (heap->node + 1)))
		return false;
	/* it may have been another node's */
	if (*was & CHUNK_USED && heap->arena->dirty)
		heap->arena->dirty--;
	return true;
}

uint32_t dsm_chunk_claim_dirty(struct dsm_heap *heap, uint32_t chunk, uint32_t max)
{
	uint32_t n, was;

	for (n = 0; n < max && chunk + n < heap->chunks; n++)
		if (READ(*chunk_entry(heap, chunk + n)) != CHUNK_USED ||
		    !claim(heap, chunk + n, &was))
			break;
	return n;
}

uint32_t dsm_chunk_claim(struct dsm_heap *heap, bool *fresh)
{
	struct dsm_arena *arena = heap->arena;
	uint32_t n = heap->chunks - heap->first;
	uint32_t start = arena->claim_hint;
	uint32_t was;

	if (start < heap->first || start >= heap->chunks)
		start = heap->first;
	for (uint32_t i = 0; i < n; i++) {
		uint32_t chunk = heap->first + (start - heap->first + i) % n;

		if (claim(heap, chunk, &was)) {
			arena->claim_hint = chunk + 1;
			*fresh = !(was & CHUNK_USED);
			return chunk;
		}
	}
	return 0;
}

/* Claim @n chunks that end at @end. On failure *@stop is the chunk that is not free. */
static bool claim_run_at(struct dsm_heap *heap, uint32_t end, uint32_t n,
			 bool *fresh, uint32_t *stop)
{
	uint32_t chunk = end;
	uint32_t was;

	*fresh = true;
	while (chunk > end - n) {
		if (!claim(heap, chunk - 1, &was)) {
			*stop = chunk - 1;
			while (chunk < end) {
				atomic_fetch_and(chunk_entry(heap, chunk),
						 CHUNK_USED);
				chunk++;
			}
			return false;
		}
		if (was & CHUNK_USED)
			*fresh = false;
		chunk--;
	}
	return true;
}

uint32_t dsm_chunk_claim_run(struct dsm_heap *heap, uint32_t n, size_t align, bool *fresh)
{
	uint32_t end = heap->chunks;
	uint32_t stop;

	while (end - heap->first >= n) {
		/* the region starts at a chunk's multiple: this is one, too */
		size_t over = (uintptr_t)chunk_addr(heap, end - n + 1) & (align - 1);

		if (over >> CHUNK_SHIFT) {
			if (over >> CHUNK_SHIFT > end - heap->first)
				break;
			end -= over >> CHUNK_SHIFT;
			continue;
		}
		if (claim_run_at(heap, end, n, fresh, &stop))
			return end - n;
		end = stop;
	}
	return 0;
}

bool dsm_chunk_claim_at(struct dsm_heap *heap, uint32_t chunk, uint32_t n)
{
	uint32_t stop;
	bool fresh;

	return n <= heap->chunks - chunk &&
	       claim_run_at(heap, chunk + n, n, &fresh, &stop);
}

void dsm_chunk_publish(struct dsm_heap *heap, uint32_t chunk,
		       enum chunk_kind kind)
{
	atomic_store(chunk_entry(heap, chunk),
		     CHUNK_USED | kind | (heap->node + 1));
}

void dsm_chunk_release(struct dsm_heap *heap, uint32_t chunk, bool zero)
{
	atomic_store(chunk_entry(heap, chunk), zero ? 0 : CHUNK_USED);
	if (chunk < heap->arena->claim_hint)
		heap->arena->claim_hint = chunk;
}
