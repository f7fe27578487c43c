// SPDX-License-Identifier: MIT
/* From an address to the object that it is in. */
#include "place.h"

#include "arena.h"
#include "class.h"

static const char *find_large(const struct dsm_heap *heap, uint32_t chunk,
			      size_t off, struct dsm_place *place)
{
	struct chunk_public *public = chunk_public(heap, chunk);
	size_t start = atomic_load(&public->run_off);

	place->unit = chunk * UNITS;
	place->start = (char *)public + start;
	if (off < start)
		return "pointer into the heap's own memory";
	place->size = ((size_t)atomic_load(&public->run_chunks) << CHUNK_SHIFT) - start;
	return NULL;
}

static const char *find_in_slab(const struct dsm_heap *heap, uint32_t word, size_t off,
				struct dsm_place *place)
{
	uint32_t front = dsm_class_front(UNIT_CLASS(word));
	/* one division, of 32 bits, as it is most of what this costs */
	uint32_t at = off % UNIT_SIZE + ((size_t)UNIT_INDEX(word) << UNIT_SHIFT) - front;
	uint32_t size = dsm_class_size(UNIT_CLASS(word));

	place->slab = true;
	place->class = UNIT_CLASS(word);
	place->unit -= UNIT_INDEX(word);
	place->size = size;
	place->index = at / size;
	at = place->index * size;
	place->start = heap->base + ((size_t)place->unit << UNIT_SHIFT) + front + at;
	if (place->index >= dsm_class_capacity(UNIT_CLASS(word)))
		return "pointer into an object";
	return NULL;
}

/* Of a run of units, whose words have been read as those of one. */
static const char *find_run(const struct dsm_heap *heap, struct dsm_place *place)
{
	uint32_t word = atomic_load(unit_word(heap, place->unit));

	while (UNIT_KIND(word) == UNIT_RUN_REST && place->unit % UNITS)
		word = atomic_load(unit_word(heap, --place->unit));
	if (UNIT_KIND(word) != UNIT_RUN)
		return "double free, or never allocated";
	place->size = (size_t)UNIT_VALUE(word) << UNIT_SHIFT;
	place->start = heap->base + ((size_t)place->unit << UNIT_SHIFT);
	return NULL;
}

const char *dsm_object_around(const struct dsm_heap *heap, const void *ptr,
			      struct dsm_place *place)
{
	size_t off = (const char *)ptr - heap->base;
	uint32_t chunk = off >> CHUNK_SHIFT;
	uint32_t entry, word;

	if (chunk < heap->first || chunk >= heap->chunks)
		return "pointer into the heap's own memory";
	entry = atomic_load(chunk_entry(heap, chunk));
	while (CHUNK_KIND(entry) == CHUNK_RUN_REST && chunk > heap->first)
		entry = atomic_load(chunk_entry(heap, --chunk));
	off -= (size_t)chunk << CHUNK_SHIFT;
	*place = (struct dsm_place){ .owner = CHUNK_OWNER(entry) - 1 };
	if (CHUNK_KIND(entry) == CHUNK_RUN)
		return find_large(heap, chunk, off, place);
	if (CHUNK_KIND(entry) != CHUNK_SLABS || off >= CHUNK_SIZE)
		return "double free, or never allocated";

	place->unit = chunk * UNITS + (off >> UNIT_SHIFT);
	word = atomic_load(unit_word(heap, place->unit));
	switch (UNIT_KIND(word)) {
	case UNIT_SLAB:
		return find_in_slab(heap, word, off, place);
	case UNIT_RUN:
	case UNIT_RUN_REST:
		return find_run(heap, place);
	case UNIT_META:
		return "pointer into the heap's own memory";
	default:
		return "double free, or never allocated";
	}
}

const char *dsm_object_find(const struct dsm_heap *heap, const void *ptr,
			    struct dsm_place *place)
{
	const char *wrong = dsm_object_around(heap, ptr, place);

	return wrong || ptr == place->start ? wrong : "pointer into an object";
}
