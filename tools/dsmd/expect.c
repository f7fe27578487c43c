// SPDX-License-Identifier: GPL-2.0
/*
 * The places where bytes are expected, by request.
 *
 * Entries come from a pool that grows and never shrinks, so that after the
 * first moments nothing is allocated.
 */
#include <stdlib.h>
#include <string.h>

#include "expect.h"

#define EXPECT_POOL_SIZE	256

struct expect_pool {
	struct expect_pool *next;
	struct expect entries[EXPECT_POOL_SIZE];
};

static struct expect **bucket_of(struct expect_table *table, uint32_t req)
{
	return &table->buckets[req & (EXPECT_BUCKETS - 1)];
}

void expect_table_init(struct expect_table *table)
{
	memset(table, 0, sizeof(*table));
}

void expect_table_exit(struct expect_table *table)
{
	while (table->pools) {
		struct expect_pool *pool = table->pools;

		table->pools = pool->next;
		free(pool);
	}
}

struct expect *expect_find(struct expect_table *table, uint32_t req)
{
	struct expect *expect = *bucket_of(table, req);

	while (expect && expect->req != req)
		expect = expect->next;
	return expect;
}

/* Any one of the region's; slow, for a region's end. */
struct expect *expect_find_region(struct expect_table *table, uint32_t region)
{
	for (unsigned int i = 0; i < EXPECT_BUCKETS; i++)
		for (struct expect *expect = table->buckets[i]; expect; expect = expect->next)
			if (expect->region == region)
				return expect;
	return NULL;
}

static bool pool_add(struct expect_table *table)
{
	struct expect_pool *pool = calloc(1, sizeof(*pool));

	if (!pool)
		return false;
	pool->next = table->pools;
	table->pools = pool;
	for (unsigned int i = 0; i < EXPECT_POOL_SIZE; i++) {
		pool->entries[i].next = table->free;
		table->free = &pool->entries[i];
	}
	return true;
}

/* There must be none for @req yet. NULL: out of memory. */
struct expect *expect_insert(struct expect_table *table, uint32_t req)
{
	struct expect **bucket = bucket_of(table, req);
	struct expect *expect;

	if (!table->free && !pool_add(table))
		return NULL;
	expect = table->free;
	table->free = expect->next;

	*expect = (struct expect){ .next = *bucket, .req = req };
	*bucket = expect;
	table->count++;
	return expect;
}

void expect_remove(struct expect_table *table, struct expect *expect)
{
	struct expect **link = bucket_of(table, expect->req);

	while (*link != expect)
		link = &(*link)->next;
	*link = expect->next;
	expect->next = table->free;
	table->free = expect;
	table->count--;
}

/*
 * @length bytes come for @count requests from @req on. False if they are not all
 * expected now, one block after the other in one region. Else @taker has them, and
 * they begin at *@offset.
 */
bool expect_take(struct expect_table *table, uint32_t req, uint32_t count, uint32_t region,
		 uint32_t length, struct conn *taker, uint64_t *offset)
{
	struct expect *expect;

	for (uint32_t i = 0; i < count; i++) {
		expect = expect_find(table, req + i);
		if (!expect || expect->state != EXPECT_WAITING || expect->region != region ||
		    (uint64_t)expect->length * count != length)
			return false;
		if (!i)
			*offset = expect->offset;
		else if (expect->offset != *offset + (uint64_t)i * expect->length)
			return false;
	}
	for (uint32_t i = 0; i < count; i++) {
		expect = expect_find(table, req + i);
		expect->state = EXPECT_TAKEN;
		expect->taker = taker;
	}
	return true;
}

/* What @taker has not received whole is expected again. */
void expect_give_up(struct expect_table *table, uint32_t req, uint32_t count, struct conn *taker)
{
	for (uint32_t i = 0; i < count; i++) {
		struct expect *expect = expect_find(table, req + i);

		if (!expect || expect->state != EXPECT_TAKEN || expect->taker != taker)
			continue;
		expect->state = EXPECT_WAITING;
		expect->taker = NULL;
	}
}

/*
 * The bytes have arrived whole and the module is about to be told. False if
 * no more can be remembered before it has answered, which expect_settle() makes
 * room for.
 */
bool expect_spend(struct expect_table *table, uint32_t req, uint32_t count)
{
	if (table->spent_count + count > EXPECT_SPENT_MAX)
		return false;
	for (uint32_t i = 0; i < count; i++) {
		struct expect *expect = expect_find(table, req + i);

		expect->state = EXPECT_SPENT;
		expect->taker = NULL;
		table->spent[table->spent_count++] = req + i;
	}
	return true;
}

/* The module did not take the frame that spent this one. */
void expect_restore(struct expect_table *table, uint32_t req)
{
	struct expect *expect = expect_find(table, req);

	if (expect && expect->state == EXPECT_SPENT)
		expect->state = EXPECT_WAITING;
}

/* Every answer of the module has been seen: what is still spent is over. */
void expect_settle(struct expect_table *table)
{
	for (unsigned int i = 0; i < table->spent_count; i++) {
		struct expect *expect = expect_find(table, table->spent[i]);

		if (expect && expect->state == EXPECT_SPENT)
			expect_remove(table, expect);
	}
	table->spent_count = 0;
}
