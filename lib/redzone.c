// SPDX-License-Identifier: MIT
/* What redzone.h describes. */
#include "redzone.h"

#include <string.h>

#include "misuse.h"
#include "tools.h"

static uint64_t mark_of(const struct dsm_place *place, uint64_t mark)
{
	const struct dsm_trailer *trailer = dsm_trailer_of(place);

	return (mark ^ (uintptr_t)place->start) + trailer->size * 0x9e3779b97f4a7c15ULL +
	       trailer->front * 0xc2b2ae3d27d4eb4fULL;
}

/* All else in the slot is stored before the mark. */
static void mark_set(const struct dsm_place *place, uint64_t mark)
{
	struct dsm_trailer *trailer = dsm_trailer_of(place);

	atomic_store_explicit(&trailer->mark, 0, memory_order_relaxed);
	atomic_thread_fence(memory_order_seq_cst);
	if (mark)
		atomic_store_explicit(&trailer->mark, mark_of(place, mark), memory_order_release);
}

bool dsm_redzone_mark_is(const struct dsm_place *place, uint64_t mark)
{
	uint64_t is = atomic_load_explicit(&dsm_trailer_of(place)->mark, memory_order_acquire);

	return is == mark_of(place, mark);
}

/* The first of some bytes that is not @value, or NULL. */
static const char *differs(const char *at, const char *end, int value)
{
	while (at < end && *(const unsigned char *)at == value)
		at++;
	return at < end ? at : NULL;
}

/* The front's part that is filled: an alignment may make it long. */
static char *front_start(char *ptr, size_t front)
{
	return ptr - (front < EDGE_LARGE ? front : EDGE_LARGE);
}

void dsm_redzone_make(const struct dsm_place *place, size_t front, size_t size)
{
	struct dsm_trailer *trailer = dsm_trailer_of(place);
	char *ptr = place->start + front;

	mark_set(place, 0);
	memset(front_start(ptr, front), FILL_REDZONE, ptr - front_start(ptr, front));
	memset(ptr + size, FILL_REDZONE, (char *)trailer - (ptr + size));
	trailer->size = size;
	trailer->front = front;
	mark_set(place, MARK_LIVE);
}

/* Of a slot whose mark says that it is live; @at: where. */
const char *dsm_redzone_check_edges(const struct dsm_place *place, const char **at)
{
	const struct dsm_trailer *trailer = dsm_trailer_of(place);
	char *ptr = place->start + trailer->front;

	dsm_tools_take(front_start(ptr, trailer->front), ptr - front_start(ptr, trailer->front));
	dsm_tools_take(ptr + trailer->size, (char *)trailer - (ptr + trailer->size));
	*at = differs(front_start(ptr, trailer->front), ptr, FILL_REDZONE);
	if (*at)
		return "something wrote in front of the object";
	*at = differs(ptr + trailer->size, (char *)trailer, FILL_REDZONE);
	return *at ? "something wrote behind the object" : NULL;
}

const char *dsm_redzone_check(const struct dsm_place *place, const char *ptr)
{
	const struct dsm_trailer *trailer = dsm_trailer_of(place);
	const char *at;

	dsm_tools_take(dsm_trailer_of(place), sizeof(*trailer));
	if (dsm_redzone_mark_is(place, MARK_FREE))
		return "double free";
	if (!dsm_redzone_mark_is(place, MARK_LIVE))
		return "something wrote behind the object";
	if (ptr != place->start + trailer->front)
		return "pointer into an object";
	return dsm_redzone_check_edges(place, &at);
}

/* Check a slot that is free, in a slab or in a kept run. */
const char *dsm_redzone_check_freed(const struct dsm_place *place, const char **at)
{
	*at = differs(place->start, (const char *)dsm_trailer_of(place), FILL_FREE);
	return *at ? "something wrote to an object after it was freed" : NULL;
}

void dsm_redzone_free(const struct dsm_place *place)
{
	mark_set(place, 0);
	memset(place->start, FILL_FREE, (char *)dsm_trailer_of(place) - place->start);
	mark_set(place, MARK_FREE);
}

/* ---- memory of the heap ------------------------------------------------ */

void dsm_redzone_given_back(const struct dsm_heap *heap, void *ptr, size_t size)
{
	if (heap->checks & CHECK_REDZONES)
		memset(ptr, FILL_FREE, size);
	if (heap->checks & CHECK_TOOLS)
		dsm_tools_refuse(ptr, size);
}

/* Marks of former objects are not to be seen as those of new ones. */
void dsm_redzone_clear(const struct dsm_heap *heap, void *ptr, size_t size)
{
	if (!heap->checks)
		return;
	dsm_tools_take(ptr, size);
	if (heap->checks & CHECK_REDZONES)
		memset(ptr, 0, size);
}

/*
 * Nobody else used a run that a thread kept, so it must be unchanged since it was freed.
 * From now on its units may be used in other pieces, so its mark goes.
 */
void dsm_redzone_units(const struct dsm_heap *heap, char *start, size_t size)
{
	const struct dsm_place place = { .start = start, .size = size };
	const char *at, *wrong = NULL;

	if (!(heap->checks & CHECK_REDZONES))
		return;
	dsm_tools_take(start, size);
	if (dsm_redzone_mark_is(&place, MARK_FREE))
		wrong = dsm_redzone_check_freed(&place, &at);
	mark_set(&place, 0);
	if (wrong)
		dsm_misuse(at, wrong);
}

/* An object that was never allocated looks freed, so that writes to it are found. */
void dsm_redzone_slab(const struct dsm_heap *heap, char *start, size_t size, unsigned int capacity)
{
	struct dsm_place place = { .size = size };

	if (!(heap->checks & CHECK_REDZONES))
		return;
	for (unsigned int i = 0; i < capacity; i++) {
		place.start = start + i * size;
		if (size >= sizeof(struct dsm_trailer))
			dsm_redzone_free(&place);
	}
}
