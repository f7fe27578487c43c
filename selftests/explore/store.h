/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A set of strings of bytes, numbered from 0 in the order of insertion.
 *
 * Exact: all strings are kept and compared. Compact: only a 64-bit hash of each is kept, and
 * the strings only until they are taken. Two strings with one hash count as one.
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
	uint64_t *start;	/* exact: where each string is in @bytes */
	uint32_t *table;	/* number + 1, or 0; open addressing by hash */
	uint64_t table_size;
	uint8_t *bytes;		/* each with its length, two bytes, before it */
	uint64_t head;		/* compacted: the first string that has not been taken */
	uint64_t tail;
	uint64_t bytes_max;
};

void store_init(struct store *s, bool compact);
void store_free(struct store *s);

/* The string's number. *@fresh is true if the string is new. */
uint32_t store_add(struct store *s, const uint8_t *bytes, size_t length, bool *fresh);
/* Its number, or STORE_NONE. */
uint32_t store_find(const struct store *s, const uint8_t *bytes, size_t length);
/* Copies the next string in order of numbers; false if there is none. */
bool store_take(struct store *s, uint8_t *out);

size_t store_memory(const struct store *s);

/* Like realloc() of @n elements of @size bytes, but ends the program on failure. */
void *store_grow(void *old, size_t n, size_t size);

#endif /* _EXPLORE_STORE_H */
