/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A set of strings of bytes, numbered from 0 in the order in which they came.
 *
 * Exactly: all strings are kept and compared. Compacted: only a hash of 64
 * bits of each is, and the strings themselves until they have been taken; two
 * strings with one hash then count as one.
 */
#ifndef _EXPLORE_STORE_H
#define _EXPLORE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define STORE_NONE	UINT32_MAX

struct store {
	bool compact;
	uint32_t n;
	uint32_t n_max;
	uint32_t taken;
	uint64_t *hash;		/* of each */
	uint64_t *start;	/* exact: of each, in @bytes */
	uint32_t *table;	/* number + 1, or 0; open addressing by hash */
	uint64_t table_size;
	uint8_t *bytes;		/* each with its length, two bytes, before it */
	uint64_t head;		/* compacted: the first that has not been taken */
	uint64_t tail;
	uint64_t bytes_max;
};

void store_init(struct store *s, bool compact);
void store_free(struct store *s);

/* Its number; *@fresh tells whether it is a new one. */
uint32_t store_add(struct store *s, const uint8_t *bytes, size_t length, bool *fresh);
/* Its number, or STORE_NONE. */
uint32_t store_find(const struct store *s, const uint8_t *bytes, size_t length);
/* Copies the next one, in the order of numbers; false if there is none. */
bool store_take(struct store *s, uint8_t *out);

size_t store_memory(const struct store *s);

/* As realloc() of @n elements of @size bytes, or the end. */
void *store_grow(void *old, size_t n, size_t size);

#endif /* _EXPLORE_STORE_H */
