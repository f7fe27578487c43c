// SPDX-License-Identifier: GPL-2.0
#include <stdlib.h>
#include <string.h>
#include "pool.h"

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
		*slab = calloc(1U << POOL_SHIFT, pool->size);
	if (!*slab)
		abort();
	return pool->n++;
}

void pool_destroy(struct pool *pool)
{
	u32 i;

	for (i = 0; pool->slab && i < POOL_SLABS && pool->slab[i]; i++)
		free(pool->slab[i]);
	free(pool->slab);
}

static u32 slot_of(const struct index *index, u64 key)
{
	u64 hash = key * 0x9e3779b97f4a7c15ULL;
	u32 i = (hash ^ hash >> 32) & (index->size - 1);

	while (index->slot[i].key && index->slot[i].key != key)
		i = (i + 1) & (index->size - 1);
	return i;
}

static void grow(struct index *index)
{
	struct index old = *index;
	u32 i;

	index->size = old.size ? 2 * old.size : 1024;
	index->slot = calloc(index->size, sizeof(*index->slot));
	if (!index->slot)
		abort();
	for (i = 0; i < old.size; i++)
		if (old.slot[i].key)
			index->slot[slot_of(index, old.slot[i].key)] = old.slot[i];
	free(old.slot);
}

u32 *index_get(struct index *index, u64 key)
{
	u32 i;

	if (index->n >= index->size / 2)
		grow(index);
	i = slot_of(index, ++key);
	if (!index->slot[i].key) {
		index->slot[i].key = key;
		index->slot[i].value = UINT32_MAX;
		index->n++;
	}
	return &index->slot[i].value;
}

u32 index_find(const struct index *index, u64 key)
{
	u32 i;

	if (!index->size)
		return UINT32_MAX;
	i = slot_of(index, key + 1);
	return index->slot[i].key ? index->slot[i].value : UINT32_MAX;
}

void index_destroy(struct index *index)
{
	free(index->slot);
}
