// SPDX-License-Identifier: MIT
/*
 * What check.h describes. With redzones an object has, behind what was asked
 * for, at least eight bytes that are always the same, up to its last eight:
 * these say how much was asked for, or that it is free.
 */
#include "check.h"

#include <stdlib.h>
#include <string.h>

#include "object.h"
#include "remote.h"

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
	REDZONE_MIN	= 8,
};

#define MARK_LIVE	0x6c69766564736d00ULL
#define MARK_FREE	0x6672656564736d00ULL

struct trailer {
	uint64_t size;	/* these differ in every object */
	uint64_t mark;
};

static bool is_set(const char *value)
{
	const char *text = secure_getenv("DSM_HEAP_CHECK");

	return text && !strcmp(text, value);
}

static bool has_tools(void)
{
	return RUNNING_ON_VALGRIND || __asan_poison_memory_region;
}

uint32_t dsm_checks(struct dsm_heap *heap)
{
	uint32_t redzones = heap->arena ? 0 : atomic_load(&heap->super->redzones);
	uint32_t checks = 0;

	if (heap->arena &&
	    atomic_compare_exchange_strong(&heap->super->redzones, &redzones,
					   is_set("1") ? 2 : 1))
		redzones = atomic_load(&heap->super->redzones);
	if (redzones == 2)
		checks |= CHECK_REDZONES;
	if (has_tools() && !is_set("0"))
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

static void tools_alloc(char *ptr, size_t size, size_t has, bool zero)
{
	VALGRIND_MALLOCLIKE_BLOCK(ptr, size, 0, zero);
	tools_refuse(ptr + size, has - size);
}

static void tools_free(void *ptr, size_t has)
{
	VALGRIND_FREELIKE_BLOCK(ptr, 0);
	tools_refuse(ptr, has);
}

/* ---- redzones --------------------------------------------------------- */

static struct trailer *trailer_of(const void *ptr, size_t has)
{
	return (struct trailer *)((char *)(uintptr_t)ptr + has) - 1;
}

static uint64_t mark_of(const void *ptr, uint64_t mark, uint64_t size)
{
	return (mark ^ (uintptr_t)ptr) + size * 0x9e3779b97f4a7c15ULL;
}

/* The first of some bytes that is not @value, or NULL. */
static const char *differs(const char *at, const char *end, int value)
{
	while (at < end && *(const unsigned char *)at == value)
		at++;
	return at < end ? at : NULL;
}

static void redzone_make(char *ptr, size_t size, size_t has)
{
	struct trailer *trailer = trailer_of(ptr, has);

	memset(ptr + size, FILL_REDZONE, (char *)trailer - (ptr + size));
	trailer->size = size;
	trailer->mark = mark_of(ptr, MARK_LIVE, size);
}

static const char *redzone_check(const char *ptr, size_t has)
{
	const struct trailer *trailer = trailer_of(ptr, has);

	if (trailer->mark == mark_of(ptr, MARK_FREE, trailer->size))
		return "double free";
	if (trailer->mark != mark_of(ptr, MARK_LIVE, trailer->size) ||
	    differs(ptr + trailer->size, (char *)trailer, FILL_REDZONE))
		return "something wrote behind the object";
	return NULL;
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

/* An object of a slab is as it was when it was freed. */
static void used_after_free(const char *ptr, size_t has)
{
	const struct trailer *trailer = trailer_of(ptr, has);
	const char *at = NULL;

	if (trailer->mark == mark_of(ptr, MARK_FREE, trailer->size))
		at = differs(ptr, (const char *)trailer, FILL_FREE);
	if (at)
		dsm_heap_abuse(at, "something wrote to an object after it was freed");
}

void *dsm_check_alloc(struct dsm_heap *heap, size_t align, size_t size,
		      bool zero)
{
	bool redzones = heap->checks & CHECK_REDZONES;
	size_t more = redzones ? REDZONE_MIN + sizeof(struct trailer) : 0;
	struct dsm_place place;
	char *ptr;

	if (size > PTRDIFF_MAX - more)
		return NULL;
	ptr = dsm_object_alloc(heap, align, size + more, false);
	if (!ptr || dsm_object_find(heap, ptr, &place))
		return NULL;
	dsm_check_take(ptr, place.size);
	if (redzones && place.slab)
		used_after_free(ptr, place.size);
	if (redzones)
		redzone_make(ptr, size, place.size);
	if (zero || redzones)
		memset(ptr, zero ? 0 : FILL_NEW, size);
	if (heap->checks & CHECK_TOOLS)
		tools_alloc(ptr, size, place.size, zero);
	return ptr;
}

const char *dsm_check_free(struct dsm_heap *heap, void *ptr)
{
	struct dsm_place place;
	const char *wrong = dsm_object_find(heap, ptr, &place);
	struct trailer *trailer;

	if (wrong)
		return wrong;
	dsm_check_take(ptr, place.size);
	if (heap->checks & CHECK_REDZONES) {
		wrong = redzone_check(ptr, place.size);
		if (wrong)
			return wrong;
		trailer = trailer_of(ptr, place.size);
		memset(ptr, FILL_FREE, (char *)trailer - (char *)ptr);
		trailer->mark = mark_of(ptr, MARK_FREE, trailer->size);
	}
	if (heap->checks & CHECK_TOOLS)
		tools_free(ptr, place.size);
	return dsm_object_free(heap, ptr);
}

/* What is asked may be used, and is not initialised by who asks. */
size_t dsm_check_usable(const struct dsm_heap *heap, const void *ptr,
			const struct dsm_place *place)
{
	char *start = (char *)(uintptr_t)ptr;
	struct trailer *trailer = trailer_of(ptr, place->size);
	size_t size = place->size;

	if (heap->checks & CHECK_REDZONES) {
		dsm_check_take(trailer, sizeof(*trailer));
		size = trailer->size < size ? trailer->size : 0;
		if (heap->checks & CHECK_TOOLS)
			tools_refuse(trailer, sizeof(*trailer));
	} else if (heap->checks & CHECK_TOOLS) {
		dsm_check_take(start, size);
	}
	return size;
}
