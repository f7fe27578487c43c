// SPDX-License-Identifier: MIT
/*
 * Slabs: objects of one size, and two bitmaps of them.
 *
 * An object can be allocated if its bit in free[] is set, and is not live
 * either if its bit in freed[] is. Only the slab's thread (or, if it has none,
 * the holder of the arena's lock) writes free[], and moves bits from freed[] to
 * it, in this order, so that it does no harm to do it again after a death.
 * Any thread of the node sets bits in freed[]. As long as its object is live
 * the slab stays what it is; so it says first that the slab is worth a look
 * (dirty), then sets the bit, and touches nothing after that. A bit set right
 * after the slab was looked at waits for the next one.
 *
 * A thread that is killed loses at most the object it was allocating.
 */
#include "slab.h"

#include <errno.h>

#include "arena.h"
#include "canary.h"
#include "chunk.h"
#include "class.h"
#include "misuse.h"
#include "redzone.h"
#include "tools.h"

/* How many slabs to look at for one that others have freed in, before one is made. */
enum { SWEEP_MAX = 64, ACQUIRE_TRIES = 4 };

static uint64_t word_mask(const struct slab *slab, unsigned int w)
{
	unsigned int rest = slab->capacity - w * 64;

	return rest >= 64 ? ~0ULL : (1ULL << rest) - 1;
}

static void collect(struct slab *slab, bool again)
{
	_Atomic uint64_t *freed = slab->freed;
	struct slab_hot *hot = slab->hot;
	uint64_t bits, free;

	for (unsigned int w = 0; w < slab->words; w++) {
		bits = READ(freed[w]);
		if (!bits)
			continue;
		free = READ(hot->free[w]);
		if (free & bits && !again) {
			unsigned int i = w * 64 + __builtin_ctzll(free & bits);

			dsm_misuse(slab_start(slab) + (size_t)i * slab->size,
				       "double free");
		}
		hot->used -= __builtin_popcountll(bits & ~free);
		WRITE(hot->free[w], free | bits);
		atomic_fetch_and(&freed[w], ~bits);
	}
}

void dsm_slab_collect(struct slab *slab)
{
	/* the first unit's last, which is the one that is looked at */
	for (unsigned int i = dsm_class_units(slab->class); i; i--)
		atomic_store(&slab[i - 1].dirty, 0);
	collect(slab, false);
}

static void slab_soil(struct slab *slab)
{
	if (READ(slab->dirty))
		return;
	for (unsigned int i = dsm_class_units(slab->class); i; i--)
		WRITE(slab[i - 1].dirty, 1);
}

bool dsm_slab_is_empty(const struct slab *slab)
{
	for (unsigned int w = 0; w < slab->words; w++)
		if (READ(slab->hot->free[w]) != word_mask(slab, w))
			return false;
	return true;
}

void dsm_slab_count(struct slab *slab)
{
	struct slab_hot *hot = slab->hot;

	hot->used = slab->capacity;
	for (unsigned int w = 0; w < slab->words; w++)
		hot->used -= __builtin_popcountll(READ(hot->free[w]));
}

const char *dsm_slab_free_bits(struct slab *slab, unsigned int w, uint64_t bits)
{
	_Atomic uint64_t *freed = &slab->freed[w];

	if (bits & (READ(*freed) | READ(slab->hot->free[w])))
		return "double free";
	slab_soil(slab);
	if (bits & atomic_fetch_or(freed, bits))
		return "double free";
	return NULL;
}

const char *dsm_slab_free_other(struct slab *slab, unsigned int w, uint64_t bits)
{
	if (bits & ~word_mask(slab, w))
		return "never allocated";
	return dsm_slab_free_bits(slab, w, bits);
}

void dsm_slab_freshen(const struct dsm_heap *heap, struct slab *slab, unsigned int w)
{
	unsigned int first = slab->hot->fresh * 64, end = (w + 1) * 64;

	if (end > slab->capacity)
		end = slab->capacity;
	if (heap->canary && dsm_class_is_front(slab->class))
		dsm_canary_arm(heap, slab_start(slab) + (size_t)first * slab->size, slab->size,
			       end - first);
	/* a process that is killed here has them set again by the next one */
	atomic_signal_fence(memory_order_seq_cst);
	slab->hot->fresh = w + 1;
}

/* ---- making and unmaking ---------------------------------------------- */

/* The first unit's last: of a slab that is half done, the owner is 0. */
static void slab_own(struct slab *slab, uint16_t owner)
{
	for (unsigned int i = dsm_class_units(slab->class); i; i--)
		atomic_store_explicit(&slab[i - 1].owner, owner,
				      memory_order_release);
}

static struct slab *slab_make(struct dsm_heap *heap, unsigned int class)
{
	unsigned int n = dsm_class_units(class);
	bool fresh = false;
	uint32_t unit = dsm_units_alloc(heap, n, 1, &fresh);
	struct chunk_private *chunk = chunk_private(heap, unit / UNITS);
	struct slab *slab = &chunk->slab[unit % UNITS];
	struct slab_hot *hot = &chunk->hot[unit % UNITS];
	size_t size = dsm_class_size(class);

	if (!unit)
		return NULL;
	for (unsigned int i = 0; i < n; i++) {
		slab[i].head = unit % UNITS;
		slab[i].class = class;
		slab[i].start = (unit % UNITS << UNIT_SHIFT) + dsm_class_front(class);
		slab[i].hot = hot;
		slab[i].index = i;
		WRITE(slab[i].dirty, 0);
		slab[i].size = size;
		slab[i].capacity = dsm_class_capacity(class);
		slab[i].recip = dsm_class_recip(class);
	}
	hot->used = 0;
	hot->fresh = 0;
	hot->searched = 0;
	slab->freed = chunk->freed[slab->head];
	slab->words = (slab->capacity + 63) / 64;
	slab->state = SLAB_IDLE;
	dsm_redzone_clear(heap, slab_start(slab) - dsm_class_front(class), n * UNIT_SIZE);
	dsm_redzone_slab(heap, slab_start(slab), size, slab->capacity);
	if (dsm_class_is_exact(class))
		dsm_canary_slab(hot);
	for (unsigned int w = 0; w < slab->words; w++)
		WRITE(hot->free[w], word_mask(slab, w));
	for (unsigned int i = n; i; i--)
		atomic_store(unit_word(heap, unit + i - 1),
			     UNIT_SLAB | (i - 1) << 8 | class);
	return slab;
}

/* Into the arena's list; what something is free in is found first. */
static void slab_enlist(struct dsm_heap *heap, struct slab *slab)
{
	struct slab_list *list = &heap->arena->slab[slab->class];

	if (slab->hot->used < slab->capacity)
		slab_list_prepend(list, slab);
	else
		slab_list_append(list, slab);
}

static void slab_unmake(struct dsm_heap *heap, struct slab *slab)
{
	uint32_t chunk = chunk_of(heap, slab);

	dsm_units_free(heap, chunk * UNITS + slab->head,
		       dsm_class_units(slab->class));
}

void dsm_slab_abandon(struct dsm_heap *heap, struct slab *slab)
{
	slab_own(slab, 0);
	if (slab->state == SLAB_CURRENT || slab->state == SLAB_FULL)
		dsm_slab_count(slab);
	slab->state = SLAB_IDLE;
	dsm_slab_collect(slab);
	if (slab->hot->used)
		slab_enlist(heap, slab);
	else
		slab_unmake(heap, slab);
}

/* Of the arena's first ones, in which there is something free, if in any that was counted. */
static struct slab *slab_find(struct dsm_heap *heap, unsigned int class, unsigned int max)
{
	struct slab_list *list = &heap->arena->slab[class];
	struct slab *last = list->last, *slab;

	for (unsigned int tries = 0; list->first && tries < max; tries++) {
		slab = list->first;
		slab_list_remove(list, slab);
		if (READ(slab->dirty))
			dsm_slab_collect(slab);
		if (slab->hot->used < slab->capacity)
			return slab;
		slab_list_append(list, slab);
		if (slab == last)
			break;
	}
	return NULL;
}

/* When there is no place for another one, all are looked at. */
static struct slab *slab_get(struct dsm_heap *heap, unsigned int class)
{
	struct slab *slab = slab_find(heap, class, ACQUIRE_TRIES);

	if (!slab)
		slab = slab_make(heap, class);
	return slab ? slab : slab_find(heap, class, UINT32_MAX);
}

struct slab *dsm_slab_acquire(struct dsm_heap *heap, unsigned int class,
			      uint16_t owner)
{
	struct slab *slab = slab_get(heap, class);

	if (slab)
		slab_own(slab, owner);
	return slab;
}

/* An object of a slab that has one free, and is in no list. */
static void *slab_take(struct dsm_heap *heap, struct slab *slab)
{
	struct slab_hot *hot = slab->hot;
	unsigned int w = 0, i;
	char *ptr;

	while (!READ(hot->free[w]))
		w++;
	if (w >= hot->fresh)
		dsm_slab_freshen(heap, slab, w);
	i = __builtin_ctzll(READ(hot->free[w]));
	WRITE(hot->free[w], READ(hot->free[w]) & ~(1ULL << i));
	hot->used++;
	slab_enlist(heap, slab);
	ptr = slab_start(slab) + (size_t)(w * 64 + i) * slab->size;
	if (heap->canary && dsm_class_is_front(slab->class))
		dsm_canary_check_front(heap, ptr);
	return ptr;
}

void *dsm_slab_alloc(struct dsm_heap *heap, unsigned int class)
{
	struct slab *slab = slab_get(heap, class);

	return slab ? slab_take(heap, slab) : NULL;
}

void *dsm_slab_alloc_any(struct dsm_heap *heap, unsigned int class)
{
	struct slab *slab;

	for (; class < CLASSES; class = dsm_class_larger(class)) {
		slab = slab_find(heap, class, UINT32_MAX);
		if (slab)
			return slab_take(heap, slab);
	}
	return NULL;
}

/* ---- after a death ---------------------------------------------------- */

static void slab_recount(struct slab *slab)
{
	slab->state = SLAB_IDLE;
	dsm_slab_count(slab);
	collect(slab, true);
}

static bool slab_owned(const struct slab *slab, uint16_t owner)
{
	for (unsigned int i = 0; i < dsm_class_units(slab->class); i++)
		if (READ(slab[i].owner) == owner)
			return true;
	return false;
}

static bool slab_owned_any(const struct slab *slab)
{
	for (unsigned int i = 0; i < dsm_class_units(slab->class); i++)
		if (READ(slab[i].owner))
			return true;
	return false;
}

typedef void (*slab_fn)(struct dsm_heap *heap, struct slab *slab, uint16_t arg);

/* @run may unmake the slab, and its chunk. */
static void slabs_each(struct dsm_heap *heap, slab_fn run, uint16_t arg)
{
	for (uint32_t chunk = heap->first; chunk < heap->chunks; chunk++) {
		unsigned int u = heap->meta_units;

		while (u < UNITS) {
			uint32_t entry = atomic_load(chunk_entry(heap, chunk));
			uint32_t word;

			if (entry != heap->own_entry)
				break;
			word = atomic_load(&chunk_public(heap, chunk)->unit[u]);
			if (UNIT_KIND(word) != UNIT_SLAB) {
				u++;
				continue;
			}
			run(heap, &chunk_private(heap, chunk)->slab[u], arg);
			u += dsm_class_units(UNIT_CLASS(word));
		}
	}
}

static void slab_recover(struct dsm_heap *heap, struct slab *slab,
			 uint16_t owner)
{
	if (!slab_owned(slab, owner))
		return;
	slab_recount(slab);
	dsm_slab_abandon(heap, slab);
}

void dsm_slabs_recover(struct dsm_heap *heap, uint16_t owner)
{
	slabs_each(heap, slab_recover, owner);
	heap->counters->recovered++;
}

static void slab_relist(struct dsm_heap *heap, struct slab *slab, uint16_t arg)
{
	(void)arg;
	if (slab_owned_any(slab))
		return;
	slab_recount(slab);
	slab_list_append(&heap->arena->slab[slab->class], slab);
}

void dsm_slabs_rebuild(struct dsm_heap *heap)
{
	for (unsigned int class = 0; class < CLASSES; class++)
		heap->arena->slab[class] = (struct slab_list){ NULL, NULL };
	slabs_each(heap, slab_relist, 0);
}

void dsm_slabs_sweep(struct dsm_heap *heap, bool all)
{
	unsigned int max = all ? UINT32_MAX : SWEEP_MAX;

	for (unsigned int class = 0; class < CLASSES; class++) {
		struct slab_list *list = &heap->arena->slab[class];
		struct slab *last = list->last, *slab;

		for (unsigned int tries = 0; list->first && tries < max; tries++) {
			slab = list->first;
			slab_list_remove(list, slab);
			dsm_slab_collect(slab);
			if (slab->hot->used)
				slab_list_append(list, slab);
			else
				slab_unmake(heap, slab);
			if (slab == last)
				break;
		}
	}
}
