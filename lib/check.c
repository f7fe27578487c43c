// SPDX-License-Identifier: MIT
/*
 * What check.h describes. With redzones an object is in a slot:
 *
 *	start				front		size	  rear
 *	| unused, if the alignment	| redzone	| object  | redzone | trailer |
 *
 * The redzones' bytes are always the same. The trailer says where the object is and how
 * large; its mark is a hash of that and of whether the object is live or free. Of a free
 * one, all bytes up to the trailer are the same.
 */
#include "check.h"

#include <string.h>

#include "arena.h"
#include "canary.h"
#include "class.h"
#include "guard.h"
#include "misuse.h"
#include "object.h"
#include "options.h"

#if __has_include(<valgrind/memcheck.h>)
#include <valgrind/memcheck.h>
#else
#define RUNNING_ON_VALGRIND			0
#define VALGRIND_MALLOCLIKE_BLOCK(p, n, r, z)	((void)0)
#define VALGRIND_FREELIKE_BLOCK(p, r)		((void)0)
#define VALGRIND_MAKE_MEM_DEFINED(p, n)		((void)0)
#define VALGRIND_MAKE_MEM_NOACCESS(p, n)	((void)0)
#endif

/* Of AddressSanitizer's run-time library, if the program has it. */
void __asan_poison_memory_region(const volatile void *ptr, size_t size)
	__attribute__((weak));
void __asan_unpoison_memory_region(const volatile void *ptr, size_t size)
	__attribute__((weak));

enum {
	FILL_NEW	= 0xa5,
	FILL_FREE	= 0xdd,
	FILL_REDZONE	= 0xfd,
	EDGE		= 48,		/* bytes of a redzone, at least; */
	EDGE_LARGE	= 4096,		/* ... of a large object */
	EDGE_LARGE_FROM	= 16384,
};

#define MARK_LIVE	0x6c69766564736d00ULL
#define MARK_FREE	0x6672656564736d00ULL

struct trailer {
	uint64_t size;		/* of the object */
	uint64_t front;		/* where it is in its slot */
	_Atomic uint64_t mark;	/* 0 while the slot is being changed */
};

static bool has_tools(void)
{
	return RUNNING_ON_VALGRIND || __asan_poison_memory_region;
}

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
	if (has_tools() && wanted)
		checks |= CHECK_TOOLS;
	return checks;
}

/* ---- tools ------------------------------------------------------------ */

/* May be used, and is as good as initialised. */
void dsm_check_take(void *ptr, size_t size)
{
	VALGRIND_MAKE_MEM_DEFINED(ptr, size);
	if (__asan_unpoison_memory_region)
		__asan_unpoison_memory_region(ptr, size);
}

static void tools_refuse(void *ptr, size_t size)
{
	VALGRIND_MAKE_MEM_NOACCESS(ptr, size);
	if (__asan_poison_memory_region)
		__asan_poison_memory_region(ptr, size);
}

/* All of a slot but the object itself. */
static void tools_refuse_edges(const struct dsm_place *place, char *ptr, size_t size)
{
	tools_refuse(place->start, ptr - place->start);
	tools_refuse(ptr + size, place->start + place->size - (ptr + size));
}

static void tools_alloc(const struct dsm_place *place, char *ptr, size_t size, bool zero)
{
	VALGRIND_MALLOCLIKE_BLOCK(ptr, size, 0, zero);
	tools_refuse_edges(place, ptr, size);
}

static void tools_free(const struct dsm_place *place, void *ptr)
{
	VALGRIND_FREELIKE_BLOCK(ptr, 0);
	tools_refuse(place->start, place->size);
}

/* ---- redzones --------------------------------------------------------- */

/* In front of an object, and behind it, at least. */
static size_t edge_of(size_t size)
{
	return size < EDGE_LARGE_FROM ? EDGE : EDGE_LARGE;
}

static struct trailer *trailer_of(const struct dsm_place *place)
{
	return (struct trailer *)(place->start + place->size) - 1;
}

static uint64_t mark_of(const struct dsm_place *place, uint64_t mark)
{
	const struct trailer *trailer = trailer_of(place);

	return (mark ^ (uintptr_t)place->start) + trailer->size * 0x9e3779b97f4a7c15ULL +
	       trailer->front * 0xc2b2ae3d27d4eb4fULL;
}

/* What is valid of the rest of the slot is what was stored before the mark. */
static void mark_set(const struct dsm_place *place, uint64_t mark)
{
	struct trailer *trailer = trailer_of(place);

	atomic_store_explicit(&trailer->mark, 0, memory_order_relaxed);
	atomic_thread_fence(memory_order_seq_cst);
	if (mark)
		atomic_store_explicit(&trailer->mark, mark_of(place, mark), memory_order_release);
}

static bool mark_is(const struct dsm_place *place, uint64_t mark)
{
	uint64_t is = atomic_load_explicit(&trailer_of(place)->mark, memory_order_acquire);

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

static void redzone_make(const struct dsm_place *place, size_t front, size_t size)
{
	struct trailer *trailer = trailer_of(place);
	char *ptr = place->start + front;

	mark_set(place, 0);
	memset(front_start(ptr, front), FILL_REDZONE, ptr - front_start(ptr, front));
	memset(ptr + size, FILL_REDZONE, (char *)trailer - (ptr + size));
	trailer->size = size;
	trailer->front = front;
	mark_set(place, MARK_LIVE);
}

/* Of a slot whose mark says that it is live; @at: where. */
static const char *edges_check(const struct dsm_place *place, const char **at)
{
	const struct trailer *trailer = trailer_of(place);
	char *ptr = place->start + trailer->front;

	dsm_check_take(front_start(ptr, trailer->front), ptr - front_start(ptr, trailer->front));
	dsm_check_take(ptr + trailer->size, (char *)trailer - (ptr + trailer->size));
	*at = differs(front_start(ptr, trailer->front), ptr, FILL_REDZONE);
	if (*at)
		return "something wrote in front of the object";
	*at = differs(ptr + trailer->size, (char *)trailer, FILL_REDZONE);
	return *at ? "something wrote behind the object" : NULL;
}

static const char *redzone_check(const struct dsm_place *place, const char *ptr)
{
	const struct trailer *trailer = trailer_of(place);
	const char *at;

	dsm_check_take(trailer_of(place), sizeof(*trailer));
	if (mark_is(place, MARK_FREE))
		return "double free";
	if (!mark_is(place, MARK_LIVE))
		return "something wrote behind the object";
	if (ptr != place->start + trailer->front)
		return "pointer into an object";
	return edges_check(place, &at);
}

/* What is free, and nobody's but its slab's or the thread's that keeps it. */
static const char *freed_check(const struct dsm_place *place, const char **at)
{
	*at = differs(place->start, (const char *)trailer_of(place), FILL_FREE);
	return *at ? "something wrote to an object after it was freed" : NULL;
}

static void slot_free(const struct dsm_place *place)
{
	mark_set(place, 0);
	memset(place->start, FILL_FREE, (char *)trailer_of(place) - place->start);
	mark_set(place, MARK_FREE);
}

/* ---- objects ---------------------------------------------------------- */

void dsm_check_given_back(const struct dsm_heap *heap, void *ptr, size_t size)
{
	if (heap->checks & CHECK_REDZONES)
		memset(ptr, FILL_FREE, size);
	if (heap->checks & CHECK_TOOLS)
		tools_refuse(ptr, size);
}

/* Marks of former objects are not to be seen as those of new ones. */
void dsm_check_clear(const struct dsm_heap *heap, void *ptr, size_t size)
{
	if (!heap->checks)
		return;
	dsm_check_take(ptr, size);
	if (heap->checks & CHECK_REDZONES)
		memset(ptr, 0, size);
}

/*
 * A run that a thread kept was nobody else's, and must be as it was when it was freed.
 * From now on it may be used in other pieces, so its mark goes.
 */
void dsm_check_units(const struct dsm_heap *heap, char *start, size_t size)
{
	const struct dsm_place place = { .start = start, .size = size };
	const char *at, *wrong = NULL;

	if (!(heap->checks & CHECK_REDZONES))
		return;
	dsm_check_take(start, size);
	if (mark_is(&place, MARK_FREE))
		wrong = freed_check(&place, &at);
	mark_set(&place, 0);
	if (wrong)
		dsm_misuse(at, wrong);
}

/* What was never allocated is as what was freed: who writes to it is found, too. */
void dsm_check_slab(const struct dsm_heap *heap, char *start, size_t size, unsigned int capacity)
{
	struct dsm_place place = { .size = size };

	if (!(heap->checks & CHECK_REDZONES))
		return;
	for (unsigned int i = 0; i < capacity; i++) {
		place.start = start + i * size;
		if (size >= sizeof(struct trailer))
			slot_free(&place);
	}
}

void *dsm_check_alloc(struct dsm_heap *heap, size_t align, size_t size,
		      bool zero)
{
	bool redzones = heap->checks & CHECK_REDZONES;
	size_t edge = redzones ? edge_of(size) : 0;
	size_t front = (edge + align - 1) & -align;
	size_t more = redzones ? edge + sizeof(struct trailer) : 0;
	struct dsm_place place;
	const char *wrong = NULL, *at;
	char *ptr;

	/* an alignment of half of all addresses would overflow here */
	if (align > PTRDIFF_MAX / 4 || size > PTRDIFF_MAX - more - front)
		return NULL;
	ptr = dsm_object_alloc(heap, align, front + size + more, false);
	if (!ptr || dsm_object_find(heap, ptr, &place))
		return NULL;
	dsm_check_take(ptr, place.size);
	if (redzones && (place.slab || place.unit % UNITS) && mark_is(&place, MARK_FREE))
		wrong = freed_check(&place, &at);
	if (wrong)
		dsm_misuse(at, wrong);
	ptr += front;
	if (redzones)
		redzone_make(&place, front, size);
	if (zero || redzones)
		memset(ptr, zero ? 0 : FILL_NEW, size);
	if (heap->checks & CHECK_TOOLS)
		tools_alloc(&place, ptr, size, zero);
	return ptr;
}

const char *dsm_check_free(struct dsm_heap *heap, void *ptr)
{
	bool redzones = heap->checks & CHECK_REDZONES;
	struct dsm_place place;
	const char *wrong = redzones ? dsm_object_around(heap, ptr, &place) :
				       dsm_object_find(heap, ptr, &place);

	if (!wrong && redzones)
		wrong = redzone_check(&place, ptr);
	if (wrong)
		return wrong;
	dsm_check_take(place.start, place.size);
	if (redzones)
		slot_free(&place);
	if (heap->checks & CHECK_TOOLS)
		tools_free(&place, ptr);
	return dsm_object_free(heap, place.start);
}

/* What is asked may be used, and is not initialised by who asks. */
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
		dsm_check_take(start, size);
		return size;
	}
	*wrong = dsm_object_around(heap, ptr, &place);
	if (!*wrong)
		*wrong = redzone_check(&place, ptr);
	if (*wrong)
		return 0;
	size = trailer_of(&place)->size;
	if (heap->checks & CHECK_TOOLS)
		tools_refuse_edges(&place, start, size);
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
	struct trailer *trailer = trailer_of(&place);
	const char *wrong = NULL, *at = NULL;
	uint64_t mark;

	if (size < sizeof(*trailer))
		return 0;
	dsm_check_take(trailer, sizeof(*trailer));
	mark = atomic_load(&trailer->mark);
	if (mark_is(&place, MARK_LIVE)) {
		wrong = edges_check(&place, &at);
	} else if (slab && mark_is(&place, MARK_FREE)) {
		dsm_check_take(start, size);
		wrong = freed_check(&place, &at);
	}
	if (heap->checks & CHECK_TOOLS && mark_is(&place, MARK_LIVE))
		tools_refuse_edges(&place, start + trailer->front, trailer->size);
	else if (heap->checks & CHECK_TOOLS && mark_is(&place, MARK_FREE))
		tools_refuse(start, size);
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
