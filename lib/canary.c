// SPDX-License-Identifier: MIT
/* What canary.h describes. */
#include "canary.h"

#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "arena.h"
#include "class.h"
#include "misuse.h"
#include "redzone.h"
#include "slab.h"
#include "tools.h"

_Static_assert(CLASS_SIZE_MAX / UNIT_SIZE == 2 && UNIT_SIZE / 1280 <= LENGTHS_MAX, "lengths");

uint64_t dsm_canary_make(void)
{
	struct timespec now;
	uint64_t value;

	/* a process in a sandbox may not be allowed to ask the kernel */
	if (getrandom(&value, sizeof(value), GRND_NONBLOCK) != sizeof(value)) {
		clock_gettime(CLOCK_MONOTONIC, &now);
		value = (uint64_t)now.tv_nsec * 0x9e3779b97f4a7c15ULL ^ (uintptr_t)&value;
	}
	return value | 0x0101010101010101ULL;
}

void dsm_canary_arm(const struct dsm_heap *heap, char *ptr, size_t size, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++) {
		uint64_t *front = dsm_canary_front(ptr + i * size);

		if (heap->checks)
			dsm_tools_take(front, sizeof(*front));
		*front = heap->canary;
		if (heap->checks)
			dsm_redzone_given_back(heap, front, sizeof(*front));
	}
}

/* Whether the word at @at is not the canary. It may be at any address. */
static inline bool differs(const struct dsm_heap *heap, const char *at)
{
	uint64_t value;

	memcpy(&value, at, sizeof(value));
	return value != heap->canary;
}

void dsm_canary_check_front(const struct dsm_heap *heap, void *ptr)
{
	uint64_t *front = dsm_canary_front(ptr);

	if (heap->checks)
		dsm_tools_take(front, sizeof(*front));
	if (differs(heap, (char *)front)) {
		dsm_misuse(ptr, "something wrote in front of this object, or behind the one before it");
		*front = heap->canary;
	}
	if (heap->checks)
		dsm_redzone_given_back(heap, front, sizeof(*front));
}

/* ---- behind a larger object ------------------------------------------- */

enum {
	WORD	= sizeof(uint64_t),
};

/* The length of an object in a slab that was never allocated. */
#define LENGTH_NEVER	UINT32_MAX

/* Set the canaries of an object whose slot has @size bytes. The length to record; 0: no room. */
static inline uint32_t behind_set(const struct dsm_heap *heap, char *ptr, size_t length,
				  size_t size)
{
	if (length > size - WORD)
		return 0;
	if (heap->checks)
		dsm_tools_take(ptr + length, size - length);
	memcpy(ptr + length, &heap->canary, WORD);
	if (length <= size - 2 * WORD)
		memcpy(ptr + size - WORD, &heap->canary, WORD);
	return length;
}

static __attribute__((noinline)) void behind_report(const struct dsm_heap *heap, char *ptr,
						    size_t length, size_t size)
{
	if (differs(heap, ptr + length))
		dsm_misuse(ptr, "something wrote behind the object that was here");
	else
		dsm_misuse(ptr + size, "something wrote in front of this object");
}

/* @length: as it was recorded. */
static inline void behind_check(const struct dsm_heap *heap, char *ptr, size_t length, size_t size)
{
	if (!length)
		return;
	if (heap->checks)
		dsm_tools_take(ptr + length, size - length);
	if (__builtin_expect(differs(heap, ptr + length), 0) ||
	    (length <= size - 2 * WORD &&
	     __builtin_expect(differs(heap, ptr + size - WORD), 0)))
		behind_report(heap, ptr, length, size);
}

/* The recorded length of a slab's object. Only the owner reads it. */
static _Atomic uint32_t *slab_length(const struct dsm_heap *heap, uint32_t unit, uint32_t index)
{
	return &chunk_private(heap, unit / UNITS)->hot[unit % UNITS].length[index];
}

static _Atomic uint32_t *run_length(const struct dsm_heap *heap, uint32_t unit)
{
	return &chunk_public(heap, unit / UNITS)->run_length[unit % UNITS];
}

void dsm_canary_set_slab(const struct dsm_heap *heap, void *ptr, size_t length)
{
	uint32_t unit = ((char *)ptr - heap->base) >> UNIT_SHIFT;
	const struct slab *slab = &chunk_private(heap, unit / UNITS)->slab[unit % UNITS];
	uint64_t index = dsm_class_index((char *)ptr - slab_start(slab), slab->recip);
	_Atomic uint32_t *record = &slab->hot->length[index];
	uint32_t had = READ(*record), has = 0;

	if (!had || had == LENGTH_NEVER)
		has = behind_set(heap, ptr, length, slab->size);
	else
		behind_check(heap, ptr, had, slab->size);
	if (has == had)
		return;
	/* killed after this, the thread leaves a bit for no length, which does no harm */
	WRITE(*record, has);
	if (!has)
		atomic_fetch_and(&slab->hot->has_length, ~(1ULL << index));
	else if (!had)
		atomic_fetch_or(&slab->hot->has_length, 1ULL << index);
}

static void run_set(const struct dsm_heap *heap, uint32_t unit, char *ptr, size_t length)
{
	size_t size = (size_t)UNIT_VALUE(READ(*unit_word(heap, unit))) << UNIT_SHIFT;

	WRITE(*run_length(heap, unit), behind_set(heap, ptr, length, size));
}

void dsm_canary_set(const struct dsm_heap *heap, void *ptr, size_t length)
{
	uint32_t unit = ((char *)ptr - heap->base) >> UNIT_SHIFT;
	uint32_t word;

	if (!heap->canary ||
	    CHUNK_KIND(READ(*chunk_entry(heap, unit / UNITS))) != CHUNK_SLABS)
		return;
	word = READ(*unit_word(heap, unit));
	if (UNIT_KIND(word) == UNIT_RUN)
		run_set(heap, unit, ptr, length);
	else if (UNIT_KIND(word) == UNIT_SLAB && dsm_class_is_exact(UNIT_CLASS(word)))
		dsm_canary_set_slab(heap, ptr, length);
}

void dsm_canary_check_run(const struct dsm_heap *heap, uint32_t unit, unsigned int units)
{
	if (heap->canary)
		behind_check(heap, heap->base + ((size_t)unit << UNIT_SHIFT),
			     READ(*run_length(heap, unit)), (size_t)units << UNIT_SHIFT);
}

void dsm_canary_slab(struct slab_hot *hot)
{
	WRITE(hot->has_length, ~0ULL);
	for (int i = 0; i < LENGTHS_MAX; i++)
		WRITE(hot->length[i], LENGTH_NEVER);
}

void dsm_canary_copy(const struct dsm_heap *heap, const struct slab *slab, struct slab_hot *hot,
		     ptrdiff_t moved)
{
	unsigned int n = hot->fresh * 64;

	if (dsm_class_is_front(slab->class)) {
		dsm_canary_arm(heap, slab_start(slab) + moved, slab->size,
			       n < slab->capacity ? n : slab->capacity);
		return;
	}
	/* an object may be freed, or not, while the heap is copied */
	for (int i = 0; dsm_class_is_exact(slab->class) && i < LENGTHS_MAX; i++)
		WRITE(hot->length[i], 0);
}

/* ---- how large an object is ------------------------------------------- */

static bool has_canaries(const struct dsm_heap *heap)
{
	return atomic_load(&heap->super->canary) > 1;
}

/* Of an exact class. */
static size_t slab_usable(const struct dsm_heap *heap, const struct dsm_place *place)
{
	uint32_t length = READ(*slab_length(heap, place->unit, place->index));

	return length && length != LENGTH_NEVER ? length : place->size;
}

size_t dsm_canary_usable(const struct dsm_heap *heap, const struct dsm_place *place)
{
	uint32_t length;

	if (!has_canaries(heap))
		return place->size;
	if (place->slab)
		return dsm_class_is_exact(place->class) ? slab_usable(heap, place) :
							  dsm_class_usable(place->class);
	length = place->unit % UNITS ? READ(*run_length(heap, place->unit)) : 0;
	return length ? length : place->size;
}

void dsm_canary_bounds(const struct dsm_heap *heap, const struct dsm_place *place, size_t *least,
		       size_t *most)
{
	if (has_canaries(heap) && place->slab && dsm_class_is_exact(place->class) &&
	    place->owner != heap->node) {
		*least = dsm_class_least(place->class);
		*most = place->size;
	} else {
		*least = dsm_canary_usable(heap, place);
		*most = *least;
	}
}
