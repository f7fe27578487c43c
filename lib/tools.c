// SPDX-License-Identifier: MIT
/* What tools.h describes. */
#include "tools.h"

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

bool dsm_tools_present(void)
{
	return RUNNING_ON_VALGRIND || __asan_poison_memory_region;
}

/* May be used, and is as good as initialised. */
void dsm_tools_take(void *ptr, size_t size)
{
	VALGRIND_MAKE_MEM_DEFINED(ptr, size);
	if (__asan_unpoison_memory_region)
		__asan_unpoison_memory_region(ptr, size);
}

void dsm_tools_refuse(void *ptr, size_t size)
{
	VALGRIND_MAKE_MEM_NOACCESS(ptr, size);
	if (__asan_poison_memory_region)
		__asan_poison_memory_region(ptr, size);
}

/* All of a slot but the object itself. */
void dsm_tools_refuse_edges(const struct dsm_place *place, char *ptr, size_t size)
{
	dsm_tools_refuse(place->start, ptr - place->start);
	dsm_tools_refuse(ptr + size, place->start + place->size - (ptr + size));
}

void dsm_tools_alloc(const struct dsm_place *place, char *ptr, size_t size, bool zero)
{
	VALGRIND_MALLOCLIKE_BLOCK(ptr, size, 0, zero);
	dsm_tools_refuse_edges(place, ptr, size);
}

void dsm_tools_free(const struct dsm_place *place, void *ptr)
{
	VALGRIND_FREELIKE_BLOCK(ptr, 0);
	dsm_tools_refuse(place->start, place->size);
}
