// SPDX-License-Identifier: MIT
/* What guard.h describes. */
#include "guard.h"

#include "misuse.h"

#define GUARD		0x6472617567736dd5ULL

enum { WORDS = GUARD_SIZE / sizeof(uint64_t) };

static uint64_t *guard_front(const struct dsm_heap *heap, uint32_t chunk)
{
	return (uint64_t *)chunk_public(heap, chunk)->reserved;
}

static uint64_t *guard_back(const struct dsm_heap *heap, uint32_t chunk, size_t off)
{
	return (uint64_t *)(chunk_addr(heap, chunk) + off - GUARD_SIZE);
}

static void guard_write(uint64_t *guard)
{
	for (int i = 0; i < WORDS; i++)
		guard[i] = GUARD ^ (uintptr_t)&guard[i];
}

/* The first word that was changed, or NULL. */
static const uint64_t *guard_differs(const uint64_t *guard)
{
	for (int i = 0; i < WORDS; i++)
		if (guard[i] != (GUARD ^ (uintptr_t)&guard[i]))
			return &guard[i];
	return NULL;
}

void dsm_guard_make(struct dsm_heap *heap, uint32_t chunk, size_t off)
{
	guard_write(guard_front(heap, chunk));
	guard_write(guard_back(heap, chunk, off));
}

static unsigned int guard_look(uint64_t *guard, const char *wrong)
{
	const uint64_t *at = guard_differs(guard);

	if (__builtin_expect(!at, 1))
		return 0;
	dsm_misuse(at, wrong);
	guard_write(guard);
	return 1;
}

unsigned int dsm_guard_check(struct dsm_heap *heap, uint32_t chunk, size_t off)
{
	return guard_look(guard_front(heap, chunk),
			  "something wrote behind the object in front of it") +
	       guard_look(guard_back(heap, chunk, off),
			  "something wrote in front of the object behind it");
}
