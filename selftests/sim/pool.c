// SPDX-License-Identifier: GPL-2.0
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include "pool.h"

/*
 * Memory for random accesses. It uses the largest pages available, since a TLB miss costs as
 * much as reading the data.
 */
static void *memory_get(size_t size)
{
	void *at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (at == MAP_FAILED)
		abort();
	/* Only a matter of speed. */
	(void)madvise(at, size, MADV_HUGEPAGE);
	return at;
}

void pool_init(struct pool *pool, u32 size)
{
	pool->size = size;
	pool->n = 0;
	pool->free = UINT32_MAX;
	pool->slab = calloc(POOL_SLABS, sizeof(*pool->slab));
	if (!pool->slab)
		abort();
}

u32 pool_grow(struct pool *pool)
{
	char **slab = &pool->slab[pool->n >> POOL_SHIFT];

	if (!*slab)
		*slab = memory_get((size_t)pool->size << POOL_SHIFT);
	return pool->n++;
}

void pool_destroy(struct pool *pool)
{
	u32 i;

	for (i = 0; pool->slab && i < POOL_SLABS && pool->slab[i]; i++)
		munmap(pool->slab[i], (size_t)pool->size << POOL_SHIFT);
	free(pool->slab);
}

/* The slot of @key, unless another key occupies it. */
static u32 first_slot(const struct index *index, u64 key)
{
	u64 hash = key * 0x9e3779b97f4a7c15ULL;

	return (hash ^ hash >> 32) & (index->size - 1);
}

static u32 slot_of(const struct index *index, u64 key)
{
	u32 i = first_slot(index, key);

	while (index->slot[i] && index->slot[i] >> INDEX_SHIFT != key)
		i = (i + 1) & (index->size - 1);
	return i;
}

static void slots_free(struct index *index)
{
	if (index->slot)
		munmap(index->slot, index->size * sizeof(*index->slot));
}

static void grow(struct index *index)
{
	struct index old = *index;
	u32 i;

	index->size = old.size ? 2 * old.size : 1024;
	index->slot = memory_get(index->size * sizeof(*index->slot));
	for (i = 0; i < old.size; i++)
		if (old.slot[i])
			index->slot[slot_of(index, old.slot[i] >> INDEX_SHIFT)] = old.slot[i];
	slots_free(&old);
}

static u32 number_in(u64 slot)
{
	return (slot & INDEX_MAX) - 1;
}

u32 index_get(struct index *index, u64 key, u32 number)
{
	u32 i;

	if (index->n >= index->size / 2)
		grow(index);
	i = slot_of(index, key);
	if (index->slot[i])
		return number_in(index->slot[i]);
	if (number >= INDEX_MAX || key >> (64 - INDEX_SHIFT))
		abort();
	index->slot[i] = key << INDEX_SHIFT | (number + 1);
	index->n++;
	return number;
}

u32 index_find(const struct index *index, u64 key)
{
	u32 i;

	if (!index->size)
		return UINT32_MAX;
	i = slot_of(index, key);
	return index->slot[i] ? number_in(index->slot[i]) : UINT32_MAX;
}

void index_prefetch(const struct index *index, u64 key)
{
	if (index->size)
		__builtin_prefetch(&index->slot[first_slot(index, key)]);
}

void index_destroy(struct index *index)
{
	slots_free(index);
}
