// SPDX-License-Identifier: MIT
/*
 * Counting what is in a heap, from what is always true: the chunk table, the
 * units' words and the bitmaps. What changes meanwhile is counted or not.
 */
#include "stats.h"

#include <string.h>

#include "class.h"
#include "dsm.h"
#include "slab.h"

_Static_assert(DSM_HEAP_CLASSES == CLASSES, "classes");

static void slab_count(const struct dsm_heap *heap, uint32_t chunk, unsigned int u,
		       unsigned int class, struct dsm_heap_stats *stats)
{
	struct chunk_private *private = chunk_private(heap, chunk);
	unsigned int capacity = dsm_class_capacity(class);
	unsigned int free = 0, waiting = 0;

	for (unsigned int w = 0; w < (capacity + 63) / 64; w++) {
		uint64_t bits = READ(private->hot[u].free[w]);

		free += __builtin_popcountll(bits);
		waiting += __builtin_popcountll(READ(private->freed[u][w]) & ~bits);
	}
	if (free + waiting > capacity)
		return;
	stats->by_size[class].slabs++;
	stats->by_size[class].free += free;
	stats->by_size[class].waiting += waiting;
	stats->by_size[class].live += capacity - free - waiting;
}

static void run_count(struct dsm_heap_stats *stats, uint64_t bytes)
{
	stats->runs++;
	stats->run_bytes += bytes;
}

static void chunk_count(const struct dsm_heap *heap, uint32_t chunk,
			struct dsm_heap_stats *stats)
{
	uint64_t empty = 0;

	for (unsigned int u = heap->meta_units; u < UNITS; u++) {
		uint32_t word = atomic_load(&chunk_public(heap, chunk)->unit[u]);

		if (UNIT_KIND(word) == UNIT_FREE) {
			empty += UNIT_SIZE;
			stats->empty_bytes += UNIT_SIZE;
			if (empty > stats->largest_empty)
				stats->largest_empty = empty;
			continue;
		}
		empty = 0;
		if (UNIT_KIND(word) == UNIT_KEPT)
			stats->kept_bytes += (uint64_t)KEPT_UNITS(word) << UNIT_SHIFT;
		if (UNIT_KIND(word) == UNIT_RUN)
			run_count(stats, (uint64_t)UNIT_VALUE(word) << UNIT_SHIFT);
		if (UNIT_KIND(word) == UNIT_SLAB && !UNIT_INDEX(word) &&
		    UNIT_CLASS(word) < CLASSES)
			slab_count(heap, chunk, u, UNIT_CLASS(word), stats);
	}
}

static void counters_read(const struct dsm_counters *counters, struct dsm_heap_stats *stats)
{
	stats->parcels = counters->parcels;
	stats->homecomings = counters->homecomings;
	stats->parcels_out = counters->parcels_out;
	stats->threads_killed = counters->recovered;
	stats->locks_broken = counters->rebuilt;
}

static void classes_count(struct dsm_heap_stats *stats, uint64_t parcel_size)
{
	uint64_t in_slabs;

	for (unsigned int class = 0; class < CLASSES; class++) {
		uint64_t size = dsm_class_usable(class);

		stats->by_size[class].size = size;
		stats->live += stats->by_size[class].live;
		stats->live_bytes += stats->by_size[class].live * size;
		stats->free_bytes += stats->by_size[class].free * size;
		stats->waiting += stats->by_size[class].waiting;
	}
	in_slabs = stats->live_bytes + stats->free_bytes;
	stats->fragmentation = in_slabs ? 100 * stats->free_bytes / in_slabs : 0;
	/* parcels are objects, but not the program's */
	stats->live += stats->runs - stats->parcels_out;
	stats->live_bytes += stats->run_bytes - stats->parcels_out * parcel_size;
}

void dsm_stats_read(const struct dsm_heap *heap, uint32_t node,
		    struct dsm_heap_stats *stats)
{
	uint64_t free = 0;

	memset(stats, 0, sizeof(*stats));
	for (uint32_t chunk = heap->first; chunk < heap->chunks; chunk++) {
		uint32_t entry = atomic_load(chunk_entry(heap, chunk));
		struct chunk_public *public = chunk_public(heap, chunk);

		free = CHUNK_KIND(entry) == CHUNK_FREE ? free + CHUNK_SIZE : 0;
		if (free)
			stats->region_free += CHUNK_SIZE;
		if (free > stats->region_largest)
			stats->region_largest = free;
		if (CHUNK_OWNER(entry) != node + 1)
			continue;
		stats->chunks++;
		if (CHUNK_KIND(entry) == CHUNK_SLABS)
			chunk_count(heap, chunk, stats);
		if (CHUNK_KIND(entry) == CHUNK_RUN)
			run_count(stats, ((uint64_t)atomic_load(&public->run_chunks) << CHUNK_SHIFT) -
					 atomic_load(&public->run_off));
	}
	counters_read(node_counters(heap, node), stats);
	classes_count(stats, heap->block_size);
}
