/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _SIM_POOL_H
#define _SIM_POOL_H

#include "coherence.h"

#define POOL_SHIFT	15
#define POOL_SLABS	(1U << 16)

/**
 * struct pool - things of one size, each with a number; they do not move
 * @size: of one
 * @n: numbers given so far
 * @free: the number freed last; a free thing begins with that of the next
 */
struct pool {
	u32 size;
	u32 n;
	u32 free;
	char **slab;
};

void pool_init(struct pool *pool, u32 size);
u32 pool_grow(struct pool *pool);
void pool_destroy(struct pool *pool);

static inline void *pool_at(const struct pool *pool, u32 i)
{
	return pool->slab[i >> POOL_SHIFT] + (size_t)(i & ((1U << POOL_SHIFT) - 1)) * pool->size;
}

/* What is in it is undefined, but zero where it is new. */
static inline u32 pool_get(struct pool *pool)
{
	u32 i = pool->free;

	if (i == UINT32_MAX)
		return pool_grow(pool);
	pool->free = *(u32 *)pool_at(pool, i);
	return i;
}

static inline void pool_put(struct pool *pool, u32 i)
{
	*(u32 *)pool_at(pool, i) = pool->free;
	pool->free = i;
}

/* Keys are of 36 bits, numbers below this. */
#define INDEX_SHIFT	28
#define INDEX_MAX	((1U << INDEX_SHIFT) - 1)

/**
 * struct index - numbers by key: a hash table with open addressing
 * @slot: key and number + 1; 0 is free
 */
struct index {
	u64 *slot;
	u32 n;
	u32 size;
};

/* The number of @key; if there is none, @number from now on. */
u32 index_get(struct index *index, u64 key, u32 number);
/* UINT32_MAX if there is none */
u32 index_find(const struct index *index, u64 key);
/* Says that @key will be looked for soon. */
void index_prefetch(const struct index *index, u64 key);
void index_destroy(struct index *index);

#endif /* _SIM_POOL_H */
