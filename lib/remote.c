// SPDX-License-Identifier: MIT
/*
 * Objects freed on another node than that which allocated them.
 *
 * The freeing node sets the object's bit in its chunk's freed[], then the
 * unit's bit in the chunk's summary, and then, if the chunk is not queued,
 * queues it in the owner's mailbox. The owner empties its mailbox when it
 * runs out of free objects: for each chunk it
 *	reads the link, clears queued, takes the summary, scans freed[]
 * in this order, so that whoever sets a bit after it was scanned finds the
 * summary's bit clear, sets it, finds queued clear, and queues the chunk again.
 * (All sequentially consistent.) A bit is cleared after its object was freed:
 * of an owner that died in between, the next one frees some again, which
 * arena_rebuild() knows.
 *
 * The last object of a chunk may be drained while the one who marked it has
 * yet to look at queued: so it counts itself in busy, from before the mark
 * to its last touch, and the owner keeps a chunk that is busy or queued.
 *
 * Nothing is written to the object itself, a bit that was already set is a
 * double free, and what a process has marked is not lost when it dies: if it
 * died before it queued the chunk, dsm_remote_drain_all() finds it, and the
 * chunk, though empty, stays its owner's.
 */
#include "remote.h"

#include "arena.h"
#include "chunk.h"

static void mailbox_push(struct dsm_heap *heap, uint32_t owner, uint32_t chunk)
{
	struct dsm_mailbox *mailbox = node_mailbox(heap, owner);
	uint32_t head = atomic_load(&mailbox->head);

	do {
		atomic_store(&chunk_remote(heap, chunk)->next, head);
	} while (!atomic_compare_exchange_weak(&mailbox->head, &head, chunk));
}

bool dsm_remote_busy(const struct dsm_heap *heap, uint32_t chunk)
{
	struct chunk_remote *remote = chunk_remote(heap, chunk);

	return atomic_load(&remote->busy) || atomic_load(&remote->queued);
}

static bool object_mark(struct chunk_remote *remote, unsigned int unit,
			unsigned int granule)
{
	uint32_t unit_bit = 1U << unit;
	uint64_t bit = 1ULL << granule % 64;

	if (!unit)
		return !(atomic_fetch_or(&remote->summary, unit_bit) & unit_bit);
	if (atomic_fetch_or(&remote->freed[unit - 1][granule / 64], bit) & bit)
		return false;
	if (!(atomic_load(&remote->summary) & unit_bit))
		atomic_fetch_or(&remote->summary, unit_bit);
	return true;
}

const char *dsm_remote_free(struct dsm_heap *heap, uint32_t owner,
			    uint32_t chunk, size_t off)
{
	struct chunk_remote *remote = chunk_remote(heap, chunk);
	bool marked;

	atomic_fetch_add(&remote->busy, 1);
	marked = object_mark(remote, off >> UNIT_SHIFT,
			     off % UNIT_SIZE / GRANULE_SIZE);
	if (!atomic_load(&remote->queued) &&
	    !atomic_exchange(&remote->queued, 1))
		mailbox_push(heap, owner, chunk);
	atomic_fetch_sub(&remote->busy, 1);
	return marked ? NULL : "double free";
}

static void free_marked(struct dsm_heap *heap, uint32_t chunk, size_t off,
			bool again)
{
	const char *wrong = dsm_arena_free(heap, chunk, off, again);

	if (wrong) {
		dsm_arena_unlock(heap);
		dsm_heap_abuse(chunk_addr(heap, chunk) + off, wrong);
	}
}

static void unit_drain(struct dsm_heap *heap, uint32_t chunk, unsigned int unit,
		       bool again)
{
	_Atomic uint64_t *freed = chunk_remote(heap, chunk)->freed[unit - 1];

	for (unsigned int w = 0; w < UNIT_WORDS; w++) {
		uint64_t bits = atomic_load(&freed[w]);

		for (uint64_t left = bits; left; left &= left - 1)
			free_marked(heap, chunk, ((size_t)unit << UNIT_SHIFT) +
				    (w * 64 + __builtin_ctzll(left)) * GRANULE_SIZE,
				    again);
		if (bits)
			atomic_fetch_and(&freed[w], ~bits);
	}
}

/* Of a chunk of ours, the units in @units besides those it names itself. */
static void chunk_drain(struct dsm_heap *heap, uint32_t chunk, uint32_t units,
			bool again)
{
	uint32_t entry = atomic_load(chunk_entry(heap, chunk));

	units |= atomic_exchange(&chunk_remote(heap, chunk)->summary, 0);
	if (CHUNK_KIND(entry) == CHUNK_RUN) {
		if (units & 1)
			free_marked(heap, chunk,
				    atomic_load(&chunk_public(heap, chunk)->run_off),
				    again);
		return;
	}
	if (CHUNK_KIND(entry) != CHUNK_SLABS)
		return;
	heap->arena->draining = chunk;
	for (units &= ~1U; units; units &= units - 1)
		unit_drain(heap, chunk, __builtin_ctz(units), again);
	heap->arena->draining = 0;
	dsm_arena_settle(heap, chunk);
}

static void mailbox_drain(struct dsm_heap *heap, bool again)
{
	struct dsm_mailbox *mailbox = node_mailbox(heap, heap->node);
	uint32_t chunk, next, entry;

	/* look first: a look does not take the block from those who queue */
	if (!atomic_load(&mailbox->head))
		return;
	for (chunk = atomic_exchange(&mailbox->head, 0); chunk; chunk = next) {
		struct chunk_remote *remote = chunk_remote(heap, chunk);

		next = atomic_load(&remote->next);
		atomic_store(&remote->queued, 0);
		entry = atomic_load(chunk_entry(heap, chunk));
		if (dsm_chunk_is_own(heap, entry))
			chunk_drain(heap, chunk, 0, again);
	}
}

void dsm_remote_drain(struct dsm_heap *heap)
{
	mailbox_drain(heap, false);
}

void dsm_remote_drain_all(struct dsm_heap *heap, bool again)
{
	uint32_t entry;

	mailbox_drain(heap, again);
	for (uint32_t chunk = heap->first; chunk < heap->chunks; chunk++) {
		entry = atomic_load(chunk_entry(heap, chunk));
		if (!dsm_chunk_is_own(heap, entry))
			continue;
		if (CHUNK_KIND(entry) == CHUNK_SLABS)
			chunk_drain(heap, chunk, ~0U << heap->meta_units, again);
		else if (CHUNK_KIND(entry) == CHUNK_RUN &&
			 atomic_load(&chunk_remote(heap, chunk)->summary))
			chunk_drain(heap, chunk, 0, again);
	}
}
