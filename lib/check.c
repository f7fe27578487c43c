// SPDX-License-Identifier: MIT
/* What check.h describes. */
#include "check.h"

#include <string.h>

#include "arena.h"
#include "canary.h"
#include "class.h"
#include "guard.h"
#include "misuse.h"
#include "object.h"
#include "options.h"
#include "redzone.h"
#include "tools.h"

uint32_t dsm_checks(struct dsm_heap *heap)
{
	uint32_t redzones = heap->arena ? 0 : atomic_load(&heap->super->redzones);
	uint64_t wanted = dsm_option_number(OPTION_HEAP_CHECK, NULL);
	uint32_t checks = 0;

	if (heap->arena &&
	    atomic_compare_exchange_strong(&heap->super->redzones, &redzones,
					   wanted == 1 ? 2 : 1))
		redzones = atomic_load(&heap->super->redzones);
	if (redzones == 2)
		checks |= CHECK_REDZONES;
	if (dsm_tools_present() && wanted)
		checks |= CHECK_TOOLS;
	return checks;
}

/* ---- objects ---------------------------------------------------------- */

void *dsm_check_alloc(struct dsm_heap *heap, size_t align, size_t size,
		      bool zero)
{
	bool redzones = heap->checks & CHECK_REDZONES;
	size_t edge = redzones ? dsm_redzone_edge(size) : 0;
	size_t front = (edge + align - 1) & -align;
	size_t more = redzones ? edge + sizeof(struct dsm_trailer) : 0;
	struct dsm_place place;
	const char *wrong = NULL, *at;
	char *ptr;

	/* an alignment of half of all addresses would overflow here */
	if (align > PTRDIFF_MAX / 4 || size > PTRDIFF_MAX - more - front)
		return NULL;
	ptr = dsm_object_alloc(heap, align, front + size + more, false);
	if (!ptr || dsm_object_find(heap, ptr, &place))
		return NULL;
	dsm_tools_take(ptr, place.size);
	if (redzones && (place.slab || place.unit % UNITS) && dsm_redzone_mark_is(&place, MARK_FREE))
		wrong = dsm_redzone_check_freed(&place, &at);
	if (wrong)
		dsm_misuse(at, wrong);
	ptr += front;
	if (redzones)
		dsm_redzone_make(&place, front, size);
	if (zero || redzones)
		memset(ptr, zero ? 0 : FILL_NEW, size);
	if (heap->checks & CHECK_TOOLS)
		dsm_tools_alloc(&place, ptr, size, zero);
	return ptr;
}

const char *dsm_check_free(struct dsm_heap *heap, void *ptr)
{
	bool redzones = heap->checks & CHECK_REDZONES;
	struct dsm_place place;
	const char *wrong = redzones ? dsm_object_around(heap, ptr, &place) :
				       dsm_object_find(heap, ptr, &place);

	if (!wrong && redzones)
		wrong = dsm_redzone_check(&place, ptr);
	if (wrong)
		return wrong;
	dsm_tools_take(place.start, place.size);
	if (redzones)
		dsm_redzone_free(&place);
	if (heap->checks & CHECK_TOOLS)
		dsm_tools_free(&place, ptr);
	return dsm_object_free(heap, place.start);
}

/* All of the returned size may be used, and tools must not call it uninitialised. */
size_t dsm_check_usable(const struct dsm_heap *heap, const void *ptr, const char **wrong)
{
	char *start = (char *)(uintptr_t)ptr;
	struct dsm_place place;
	size_t size;

	if (!(heap->checks & CHECK_REDZONES)) {
		*wrong = dsm_object_find(heap, ptr, &place);
		if (*wrong)
			return 0;
		size = dsm_canary_usable(heap, &place);
		dsm_tools_take(start, size);
		return size;
	}
	*wrong = dsm_object_around(heap, ptr, &place);
	if (!*wrong)
		*wrong = dsm_redzone_check(&place, ptr);
	if (*wrong)
		return 0;
	size = dsm_trailer_of(&place)->size;
	if (heap->checks & CHECK_TOOLS)
		dsm_tools_refuse_edges(&place, start, size);
	return size;
}

/* ---- all of them ------------------------------------------------------ */

/*
 * Other threads allocate and free meanwhile: a slot whose mark is another one after it
 * was looked at than before was theirs. What the heap itself uses has no mark.
 */
static unsigned int slot_sweep(const struct dsm_heap *heap, char *start, size_t size, bool slab)
{
	struct dsm_place place = { .start = start, .size = size, .slab = slab };
	struct dsm_trailer *trailer = dsm_trailer_of(&place);
	const char *wrong = NULL, *at = NULL;
	uint64_t mark;

	if (size < sizeof(*trailer))
		return 0;
	dsm_tools_take(trailer, sizeof(*trailer));
	mark = atomic_load(&trailer->mark);
	if (dsm_redzone_mark_is(&place, MARK_LIVE)) {
		wrong = dsm_redzone_check_edges(&place, &at);
	} else if (slab && dsm_redzone_mark_is(&place, MARK_FREE)) {
		dsm_tools_take(start, size);
		wrong = dsm_redzone_check_freed(&place, &at);
	}
	if (heap->checks & CHECK_TOOLS && dsm_redzone_mark_is(&place, MARK_LIVE))
		dsm_tools_refuse_edges(&place, start + trailer->front, trailer->size);
	else if (heap->checks & CHECK_TOOLS && dsm_redzone_mark_is(&place, MARK_FREE))
		dsm_tools_refuse(start, size);
	if (!wrong || atomic_load(&trailer->mark) != mark)
		return 0;
	dsm_misuse(at, wrong);
	return 1;
}

/* Of the unit at @u, which is left behind. */
static unsigned int unit_sweep(const struct dsm_heap *heap, uint32_t chunk, unsigned int *u)
{
	uint32_t word = atomic_load(&chunk_public(heap, chunk)->unit[*u]);
	char *start = chunk_addr(heap, chunk) + ((size_t)*u << UNIT_SHIFT);
	unsigned int class = UNIT_CLASS(word), found = 0;

	switch (UNIT_KIND(word)) {
	case UNIT_SLAB:
		for (unsigned int i = 0; i < dsm_class_capacity(class); i++)
			found += slot_sweep(heap, start + dsm_class_front(class) +
					    i * dsm_class_size(class),
					    dsm_class_size(class), true);
		*u += dsm_class_units(class);
		break;
	case UNIT_RUN:
		found = slot_sweep(heap, start, (size_t)UNIT_VALUE(word) << UNIT_SHIFT, false);
		*u += UNIT_VALUE(word);
		break;
	default:
		*u += 1;
	}
	return found;
}

static unsigned int chunk_sweep(struct dsm_heap *heap, uint32_t chunk)
{
	uint32_t entry = atomic_load(chunk_entry(heap, chunk));
	struct chunk_public *public = chunk_public(heap, chunk);
	bool redzones = heap->checks & CHECK_REDZONES;
	unsigned int found = 0;
	size_t off;

	if (CHUNK_OWNER(entry) != heap->node + 1)
		return 0;
	if (CHUNK_KIND(entry) == CHUNK_RUN) {
		off = atomic_load(&public->run_off);
		found = dsm_guard_check(heap, chunk, off);
		if (redzones)
			found += slot_sweep(heap, (char *)public + off,
					    ((size_t)atomic_load(&public->run_chunks) <<
					     CHUNK_SHIFT) - off, false);
	} else if (CHUNK_KIND(entry) == CHUNK_SLABS) {
		found = dsm_guard_check(heap, chunk, dsm_guard_off(heap));
		for (unsigned int u = heap->meta_units; redzones && u < UNITS;)
			found += unit_sweep(heap, chunk, &u);
	}
	return found;
}

int dsm_check_sweep(struct dsm_heap *heap)
{
	unsigned int found = 0;

	if (!heap->arena || dsm_arena_lock(heap))
		return -1;
	for (uint32_t chunk = heap->first; chunk < heap->chunks; chunk++)
		found += chunk_sweep(heap, chunk);
	dsm_arena_unlock(heap);
	return found;
}
