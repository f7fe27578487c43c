// SPDX-License-Identifier: GPL-2.0
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "store.h"

enum {
	FIRST_TABLE	= 1 << 12,
	LENGTH		= 2,	/* bytes before each string */
};

void *store_grow(void *old, size_t n, size_t size)
{
	void *new = realloc(old, n * size);

	if (!new) {
		fprintf(stderr, "explore: out of memory\n");
		exit(2);
	}
	return new;
}

void store_init(struct store *s, bool compact)
{
	*s = (struct store){ .compact = compact, .table_size = FIRST_TABLE };
	s->table = store_grow(NULL, s->table_size, sizeof(*s->table));
	memset(s->table, 0, s->table_size * sizeof(*s->table));
}

void store_free(struct store *s)
{
	free(s->hash);
	free(s->start);
	free(s->table);
	free(s->bytes);
}

size_t store_memory(const struct store *s)
{
	size_t each = sizeof(*s->hash) + (s->compact ? 0 : sizeof(*s->start));

	return s->n_max * each + s->table_size * sizeof(*s->table) + s->bytes_max;
}

/* Sebastiano Vigna's finisher of splitmix64, over words. */
static uint64_t mix(uint64_t h)
{
	h = (h ^ h >> 30) * 0xbf58476d1ce4e5b9ULL;
	h = (h ^ h >> 27) * 0x94d049bb133111ebULL;
	return h ^ h >> 31;
}

static uint64_t hash_of(const uint8_t *bytes, size_t length)
{
	uint64_t h = length, word;

	for (; length; bytes += 8, length -= 8) {
		word = 0;
		memcpy(&word, bytes, length < 8 ? length : 8);
		h = mix(h * 0x9e3779b97f4a7c15ULL + word);
		if (length < 8)
			break;
	}
	return h;
}

static const uint8_t *string_of(const struct store *s, uint32_t i, size_t *length)
{
	const uint8_t *p = s->bytes + s->start[i];

	*length = p[0] | p[1] << 8;
	return p + LENGTH;
}

static bool same(const struct store *s, uint32_t i, uint64_t hash, const uint8_t *bytes,
		 size_t length)
{
	size_t other_length;
	const uint8_t *other;

	if (s->hash[i] != hash)
		return false;
	if (s->compact)
		return true;
	other = string_of(s, i, &other_length);
	return other_length == length && !memcmp(other, bytes, length);
}

/* The slot of the string, or the one it would get. */
static uint64_t slot_of(const struct store *s, uint64_t hash, const uint8_t *bytes, size_t length)
{
	uint64_t i = hash & (s->table_size - 1);

	while (s->table[i] && !same(s, s->table[i] - 1, hash, bytes, length))
		i = (i + 1) & (s->table_size - 1);
	return i;
}

static void grow_table(struct store *s)
{
	uint64_t slot;
	uint32_t i;

	s->table_size *= 2;
	free(s->table);
	s->table = store_grow(NULL, s->table_size, sizeof(*s->table));
	memset(s->table, 0, s->table_size * sizeof(*s->table));
	for (i = 0; i < s->n; i++) {
		slot = s->hash[i] & (s->table_size - 1);
		while (s->table[slot])
			slot = (slot + 1) & (s->table_size - 1);
		s->table[slot] = i + 1;
	}
}

static void append(struct store *s, const uint8_t *bytes, size_t length)
{
	if (s->compact && s->head > s->bytes_max / 2) {
		memmove(s->bytes, s->bytes + s->head, s->tail - s->head);
		s->tail -= s->head;
		s->head = 0;
	}
	if (s->tail + LENGTH + length > s->bytes_max) {
		s->bytes_max = s->bytes_max + s->bytes_max / 2 + (1 << 16);
		s->bytes = store_grow(s->bytes, s->bytes_max, 1);
	}
	if (!s->compact)
		s->start[s->n] = s->tail;
	s->bytes[s->tail] = length;
	s->bytes[s->tail + 1] = length >> 8;
	memcpy(s->bytes + s->tail + LENGTH, bytes, length);
	s->tail += LENGTH + length;
}

uint32_t store_add(struct store *s, const uint8_t *bytes, size_t length, bool *fresh)
{
	uint64_t hash = hash_of(bytes, length), slot;

	if (s->n >= s->table_size * 2 / 3)
		grow_table(s);
	slot = slot_of(s, hash, bytes, length);
	*fresh = !s->table[slot];
	if (!*fresh)
		return s->table[slot] - 1;
	if (s->n == s->n_max) {
		s->n_max = s->n_max + s->n_max / 2 + FIRST_TABLE;
		s->hash = store_grow(s->hash, s->n_max, sizeof(*s->hash));
		if (!s->compact)
			s->start = store_grow(s->start, s->n_max, sizeof(*s->start));
	}
	append(s, bytes, length);
	s->hash[s->n] = hash;
	s->table[slot] = s->n + 1;
	return s->n++;
}

uint32_t store_find(const struct store *s, const uint8_t *bytes, size_t length)
{
	uint64_t slot = slot_of(s, hash_of(bytes, length), bytes, length);

	return s->table[slot] ? s->table[slot] - 1 : STORE_NONE;
}

bool store_take(struct store *s, uint8_t *out)
{
	uint64_t start = s->head;
	size_t length;

	if (s->taken == s->n)
		return false;
	if (!s->compact)
		start = s->start[s->taken];
	length = s->bytes[start] | s->bytes[start + 1] << 8;
	memcpy(out, s->bytes + start + LENGTH, length);
	s->head = start + LENGTH + length;
	s->taken++;
	return true;
}
