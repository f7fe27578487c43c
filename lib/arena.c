// SPDX-License-Identifier: MIT
/*
 * A node's arena: the chunks it owns, cut into units, cut into objects.
 *
 * A unit is a slab of equal objects, or part of a run of units that is one
 * object; an object that does not fit a chunk is a run of chunks. All
 * processes of the node share the arena, under one robust mutex, which is on
 * a block no other node touches.
 *
 * A process may die at any point with the lock. Therefore what is true is
 * written in one store, in an order of which every prefix is a valid heap:
 *  - an object is allocated while its bit in used[] is set, a slab is one
 *    while its unit's word says so, a chunk is ours while the table says so;
 *  - a run's rest is written before its head, and its head is unmade first,
 *    so a rest without a head belongs to nobody.
 * Lists, counts and hints are made again from these by arena_rebuild(), by
 * the next process that gets the lock. What the dead one was about to
 * return is leaked: one object.
 */
#include <errno.h>
#include <string.h>

#include "arena.h"
#include "chunk.h"
#include "remote.h"

/* ---- lists: of units and of chunks, by number ------------------------- */

static struct unit_private *unit_private(struct dsm_heap *heap, uint32_t unit)
{
	return &chunk_private(heap, unit / UNITS)->unit[unit % UNITS];
}

static _Atomic uint32_t *unit_word(struct dsm_heap *heap, uint32_t unit)
{
	return &chunk_public(heap, unit / UNITS)->unit[unit % UNITS];
}

static char *unit_addr(struct dsm_heap *heap, uint32_t unit)
{
	return heap->base + ((size_t)unit << UNIT_SHIFT);
}

typedef struct dsm_link *(*link_fn)(struct dsm_heap *heap, uint32_t number);

static struct dsm_link *unit_link(struct dsm_heap *heap, uint32_t unit)
{
	return &unit_private(heap, unit)->link;
}

static struct dsm_link *chunk_link(struct dsm_heap *heap, uint32_t chunk)
{
	return &chunk_private(heap, chunk)->link;
}

static void list_insert(struct dsm_heap *heap, uint32_t *head, uint32_t number,
			link_fn link)
{
	link(heap, number)->next = *head;
	link(heap, number)->prev = 0;
	if (*head)
		link(heap, *head)->prev = number;
	*head = number;
}

static void list_remove(struct dsm_heap *heap, uint32_t *head, uint32_t number,
			link_fn link)
{
	struct dsm_link *it = link(heap, number);

	if (it->next)
		link(heap, it->next)->prev = it->prev;
	if (it->prev)
		link(heap, it->prev)->next = it->next;
	else
		*head = it->next;
}

/* ---- size classes: 8 up to 128 bytes, then 4 to each doubling ---------- */

size_t dsm_class_size(unsigned int class)
{
	if (class < 8)
		return (class + 1) * GRANULE_SIZE;
	class -= 8;
	return ((size_t)128 << class / 4) + (class % 4 + 1) * ((size_t)32 << class / 4);
}

static unsigned int class_of_size(size_t size)
{
	unsigned int shift;

	if (size <= 128)
		return size ? (size - 1) / GRANULE_SIZE : 0;
	shift = 63 - __builtin_clzll(size - 1);
	return 8 + (shift - 7) * 4 + ((size - 1) >> (shift - 2)) % 4;
}

unsigned int dsm_class_of(size_t align, size_t size)
{
	unsigned int class;

	if (size < align && align > GRANULE_SIZE)
		size = align;
	if (size > CLASS_SIZE_MAX)
		return CLASSES;
	/* a slab starts at a unit, so an object is aligned as its size is */
	for (class = class_of_size(size); class < CLASSES; class++)
		if (!(dsm_class_size(class) & (align - 1) & ~(GRANULE_SIZE - 1UL)))
			break;
	return class;
}

static unsigned int class_capacity(unsigned int class)
{
	return UNIT_SIZE / dsm_class_size(class);
}

/* ---- units ------------------------------------------------------------ */

static uint32_t units_all(const struct dsm_heap *heap)
{
	return ~0U << heap->meta_units;
}

static uint32_t units_mask(unsigned int first, unsigned int n)
{
	return (uint32_t)(((1ULL << n) - 1) << first);
}

static void units_take(struct dsm_heap *heap, uint32_t chunk, uint32_t mask)
{
	struct chunk_private *private = chunk_private(heap, chunk);

	private->free_units &= ~mask;
	if (!private->free_units)
		list_remove(heap, &heap->arena->open, chunk, chunk_link);
	if (heap->arena->spare == chunk)
		heap->arena->spare = 0;
}

static void units_give(struct dsm_heap *heap, uint32_t chunk, uint32_t mask)
{
	struct chunk_private *private = chunk_private(heap, chunk);

	if (!private->free_units)
		list_insert(heap, &heap->arena->open, chunk, chunk_link);
	private->free_units |= mask;
}

/* An empty chunk is given back, if no other node is at it still. */
static void chunk_unmake(struct dsm_heap *heap, uint32_t chunk)
{
	if (dsm_remote_busy(heap, chunk))
		return;
	list_remove(heap, &heap->arena->open, chunk, chunk_link);
	dsm_chunk_release(heap, chunk);
}

void dsm_arena_settle(struct dsm_heap *heap, uint32_t chunk)
{
	struct dsm_arena *arena = heap->arena;

	if (chunk_private(heap, chunk)->free_units != units_all(heap) ||
	    arena->draining == chunk || arena->spare == chunk)
		return;
	if (arena->spare)
		chunk_unmake(heap, chunk);
	else
		arena->spare = chunk;
}

/* A claimed chunk becomes one of slabs, all units free. */
static void chunk_make(struct dsm_heap *heap, uint32_t chunk)
{
	struct chunk_public *public = chunk_public(heap, chunk);

	for (unsigned int u = 0; u < UNITS; u++)
		atomic_store_explicit(&public->unit[u],
				      u < heap->meta_units ? UNIT_META : UNIT_FREE,
				      memory_order_relaxed);
	chunk_private(heap, chunk)->free_units = 0;
	dsm_chunk_publish(heap, chunk, CHUNK_SLABS);
	units_give(heap, chunk, units_all(heap));
}

/* Where in @mask @n units start that are free, at a multiple of @align. */
static int units_fit(uint32_t mask, unsigned int n, unsigned int align)
{
	for (unsigned int u = 0; u + n <= UNITS; u += align)
		if ((mask & units_mask(u, n)) == units_mask(u, n))
			return u;
	return -1;
}

/* @n units in a row of one chunk: the first one's number, or 0. */
static uint32_t units_alloc(struct dsm_heap *heap, unsigned int n,
			    unsigned int align)
{
	uint32_t chunk;
	int u;

	for (chunk = heap->arena->open; chunk;
	     chunk = chunk_link(heap, chunk)->next) {
		u = units_fit(chunk_private(heap, chunk)->free_units, n, align);
		if (u >= 0)
			goto found;
	}
	chunk = dsm_chunk_claim(heap);
	if (!chunk)
		return 0;
	chunk_make(heap, chunk);
	u = units_fit(units_all(heap), n, align);
found:
	units_take(heap, chunk, units_mask(u, n));
	return chunk * UNITS + u;
}

/* ---- slabs ------------------------------------------------------------ */

static uint64_t *slab_used(struct dsm_heap *heap, uint32_t unit)
{
	return chunk_private(heap, unit / UNITS)->used[unit % UNITS - 1];
}

static uint32_t slab_make(struct dsm_heap *heap, unsigned int class)
{
	uint32_t unit = units_alloc(heap, 1, 1);

	if (!unit)
		return 0;
	memset(slab_used(heap, unit), 0, UNIT_WORDS * sizeof(uint64_t));
	unit_private(heap, unit)->free = class_capacity(class);
	unit_private(heap, unit)->hint = 0;
	atomic_store(unit_word(heap, unit), UNIT_SLAB | class);
	list_insert(heap, &heap->arena->slab[class], unit, unit_link);
	return unit;
}

static void slab_unmake(struct dsm_heap *heap, uint32_t unit, unsigned int class)
{
	list_remove(heap, &heap->arena->slab[class], unit, unit_link);
	atomic_store(unit_word(heap, unit), UNIT_FREE);
	units_give(heap, unit / UNITS, units_mask(unit % UNITS, 1));
	dsm_arena_settle(heap, unit / UNITS);
}

void *dsm_arena_alloc_small(struct dsm_heap *heap, unsigned int class)
{
	uint32_t *list = &heap->arena->slab[class];
	struct unit_private *private;
	unsigned int w, index;
	uint64_t *used;
	uint32_t unit;

	if (!*list)
		dsm_remote_drain(heap);
	unit = *list ? *list : slab_make(heap, class);
	if (!unit)
		return NULL;
	private = unit_private(heap, unit);
	used = slab_used(heap, unit);
	for (w = private->hint; !~used[w]; w++)
		;
	private->hint = w;
	index = w * 64 + __builtin_ctzll(~used[w]);
	*(volatile uint64_t *)&used[w] |= 1ULL << index % 64;
	if (!--private->free)
		list_remove(heap, list, unit, unit_link);
	return unit_addr(heap, unit) + index * dsm_class_size(class);
}

static const char *slab_free(struct dsm_heap *heap, uint32_t unit,
			     unsigned int class, size_t off, bool again)
{
	struct unit_private *private = unit_private(heap, unit);
	uint32_t *list = &heap->arena->slab[class];
	unsigned int index = off / dsm_class_size(class);
	uint64_t *used = slab_used(heap, unit) + index / 64;
	uint64_t bit = 1ULL << index % 64;

	if (off % dsm_class_size(class) || index >= class_capacity(class))
		return "pointer into an object";
	if (!(*used & bit))
		return again ? NULL : "double free";
	*(volatile uint64_t *)used &= ~bit;
	if (index / 64 < private->hint)
		private->hint = index / 64;
	if (!private->free++)
		list_insert(heap, list, unit, unit_link);
	/* the only slab of its class is kept: the next malloc wants it */
	if (private->free == class_capacity(class) &&
	    (*list != unit || private->link.next))
		slab_unmake(heap, unit, class);
	return NULL;
}

/* ---- runs ------------------------------------------------------------- */

static void *alloc_units(struct dsm_heap *heap, unsigned int n,
			 unsigned int align)
{
	uint32_t unit = units_alloc(heap, n, align);

	if (!unit)
		return NULL;
	for (unsigned int i = n - 1; i; i--)
		atomic_store(unit_word(heap, unit + i), UNIT_RUN_REST);
	atomic_store(unit_word(heap, unit), UNIT_RUN | n);
	return unit_addr(heap, unit);
}

static void units_free(struct dsm_heap *heap, uint32_t unit, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++)
		atomic_store(unit_word(heap, unit + i), UNIT_FREE);
	units_give(heap, unit / UNITS, units_mask(unit % UNITS, n));
	dsm_arena_settle(heap, unit / UNITS);
}

static void *alloc_chunks(struct dsm_heap *heap, size_t align, size_t size,
			  bool *fresh)
{
	size_t off = (size_t)heap->meta_units << UNIT_SHIFT;
	struct chunk_public *public;
	uint32_t chunk;
	size_t n;

	off = (off + align - 1) & -align;
	if (size > ((size_t)(heap->chunks - heap->first) << CHUNK_SHIFT) - off)
		return NULL;
	n = (off + size + CHUNK_SIZE - 1) >> CHUNK_SHIFT;
	chunk = dsm_chunk_claim_run(heap, n, fresh);
	if (!chunk)
		return NULL;
	public = chunk_public(heap, chunk);
	atomic_store(&public->run_chunks, n);
	atomic_store(&public->run_off, off);
	for (size_t i = n - 1; i; i--)
		dsm_chunk_publish(heap, chunk + i, CHUNK_RUN_REST);
	dsm_chunk_publish(heap, chunk, CHUNK_RUN);
	return chunk_addr(heap, chunk) + off;
}

void *dsm_arena_alloc_run(struct dsm_heap *heap, size_t align, size_t size,
			  bool *fresh)
{
	unsigned int align_units = align > UNIT_SIZE ? align >> UNIT_SHIFT : 1;
	size_t n = (size + UNIT_SIZE - 1) >> UNIT_SHIFT;

	if (n < UNITS && units_fit(units_all(heap), n, align_units) >= 0)
		return alloc_units(heap, n, align_units);
	return alloc_chunks(heap, align, size, fresh);
}

static void chunks_free(struct dsm_heap *heap, uint32_t chunk)
{
	uint32_t n = atomic_load(&chunk_public(heap, chunk)->run_chunks);

	dsm_chunk_publish(heap, chunk, CHUNK_CLAIMED);
	for (uint32_t i = n - 1; i; i--)
		dsm_chunk_release(heap, chunk + i);
	if (dsm_remote_busy(heap, chunk))
		chunk_make(heap, chunk);	/* it has to stay */
	else
		dsm_chunk_release(heap, chunk);
}

/* ---- the whole -------------------------------------------------------- */

const char *dsm_arena_free(struct dsm_heap *heap, uint32_t chunk, size_t off,
			   bool again)
{
	uint32_t entry = atomic_load(chunk_entry(heap, chunk));
	uint32_t unit = chunk * UNITS + (off >> UNIT_SHIFT);
	uint32_t word;

	switch (CHUNK_KIND(entry)) {
	case CHUNK_RUN:
		if (off != atomic_load(&chunk_public(heap, chunk)->run_off))
			return "pointer into an object";
		chunks_free(heap, chunk);
		return NULL;
	case CHUNK_SLABS:
		break;
	default:
		return again ? NULL : "double free";
	}
	word = atomic_load(unit_word(heap, unit));
	off %= UNIT_SIZE;
	switch (UNIT_KIND(word)) {
	case UNIT_SLAB:
		return slab_free(heap, unit, UNIT_VALUE(word), off, again);
	case UNIT_RUN:
		if (off)
			return "pointer into an object";
		units_free(heap, unit, UNIT_VALUE(word));
		return NULL;
	case UNIT_RUN_REST:
		return "pointer into an object";
	case UNIT_META:
		return "pointer into the heap's own memory";
	default:
		return again ? NULL : "double free";
	}
}

void dsm_arena_trim(struct dsm_heap *heap)
{
	struct dsm_arena *arena = heap->arena;
	uint32_t unit, chunk, next;

	for (unsigned int class = 0; class < CLASSES; class++) {
		for (unit = arena->slab[class]; unit; unit = next) {
			next = unit_link(heap, unit)->next;
			if (unit_private(heap, unit)->free == class_capacity(class))
				slab_unmake(heap, unit, class);
		}
	}
	arena->spare = 0;
	for (chunk = arena->open; chunk; chunk = next) {
		next = chunk_link(heap, chunk)->next;
		if (chunk_private(heap, chunk)->free_units == units_all(heap))
			chunk_unmake(heap, chunk);
	}
}

/* ---- after a death ---------------------------------------------------- */

static void slab_rebuild(struct dsm_heap *heap, uint32_t unit,
			 unsigned int class)
{
	unsigned int free = class_capacity(class);
	uint64_t *used = slab_used(heap, unit);

	for (unsigned int w = 0; w < UNIT_WORDS; w++)
		free -= __builtin_popcountll(used[w]);
	unit_private(heap, unit)->free = free;
	unit_private(heap, unit)->hint = 0;
	if (free)
		list_insert(heap, &heap->arena->slab[class], unit, unit_link);
}

static void slabs_rebuild(struct dsm_heap *heap, uint32_t chunk)
{
	uint32_t unit = chunk * UNITS + heap->meta_units;
	uint32_t end = (chunk + 1) * UNITS;
	uint32_t word;

	chunk_private(heap, chunk)->free_units = 0;
	while (unit < end) {
		word = atomic_load(unit_word(heap, unit));
		switch (UNIT_KIND(word)) {
		case UNIT_SLAB:
			slab_rebuild(heap, unit++, UNIT_VALUE(word));
			break;
		case UNIT_RUN:
			unit += UNIT_VALUE(word);
			break;
		default:
			atomic_store(unit_word(heap, unit), UNIT_FREE);
			units_give(heap, chunk, units_mask(unit % UNITS, 1));
			unit++;
		}
	}
}

static void arena_rebuild(struct dsm_heap *heap)
{
	struct dsm_arena *arena = heap->arena;
	uint32_t chunk = heap->first;
	uint32_t entry;

	arena->open = 0;
	arena->spare = 0;
	arena->draining = 0;
	arena->claim_hint = heap->first;
	memset(arena->slab, 0, sizeof(arena->slab));
	arena->rebuilt++;
	while (chunk < heap->chunks) {
		entry = atomic_load(chunk_entry(heap, chunk));
		if (!dsm_chunk_is_own(heap, entry)) {
			chunk++;
			continue;
		}
		switch (CHUNK_KIND(entry)) {
		case CHUNK_SLABS:
			slabs_rebuild(heap, chunk++);
			break;
		case CHUNK_RUN:
			chunk += atomic_load(&chunk_public(heap, chunk)->run_chunks);
			break;
		default:
			dsm_chunk_release(heap, chunk++);
		}
	}
	dsm_remote_drain_all(heap, true);
}

/* ---- the lock --------------------------------------------------------- */

/*
 * A node's processes may come here at once, and one may die here, or have
 * taken the lock already. An initialised mutex is zero but for words that
 * no operation changes: so each of them writes the same words, once.
 */
void dsm_arena_init(struct dsm_arena *arena)
{
	union {
		pthread_mutex_t mutex;
		uint32_t word[sizeof(pthread_mutex_t) / sizeof(uint32_t)];
	} model;
	pthread_mutexattr_t attr;

	memset(&model, 0, sizeof(model));
	pthread_mutexattr_init(&attr);
	pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
	pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST);
	pthread_mutex_init(&model.mutex, &attr);
	pthread_mutexattr_destroy(&attr);
	for (size_t i = 0; i < sizeof(model.word) / sizeof(model.word[0]); i++) {
		_Atomic uint32_t *word = (_Atomic uint32_t *)&arena->lock + i;
		uint32_t zero = 0;

		if (model.word[i])
			atomic_compare_exchange_strong(word, &zero, model.word[i]);
	}
}

int dsm_arena_lock(struct dsm_heap *heap)
{
	int err = pthread_mutex_lock(&heap->arena->lock);

	if (err != EOWNERDEAD)
		return err;
	arena_rebuild(heap);
	return pthread_mutex_consistent(&heap->arena->lock);
}

void dsm_arena_unlock(struct dsm_heap *heap)
{
	pthread_mutex_unlock(&heap->arena->lock);
}
