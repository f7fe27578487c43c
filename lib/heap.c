// SPDX-License-Identifier: MIT
/*
 * The heap: making and finding it, and what its users call.
 *
 * Every thread (thread.c) allocates from slabs of its own (slab.c), which it
 * has from its node's arena (arena.c), whose chunks are claimed from the
 * region (chunk.c). An object another node allocated is sent to it to be
 * freed (remote.c). The layout and its reasons are in layout.h.
 *
 * The ideas are those of mimalloc (free lists by page, a second one for other
 * threads) and snmalloc (frees as messages). The lists are bitmaps, apart from the
 * objects, because a process may be killed: a bitmap is consistent at every instant.
 */
#include "heap.h"

#include <errno.h>
#include <string.h>

#include "arena.h"
#include "canary.h"
#include "check.h"
#include "fork.h"
#include "object.h"
#include "options.h"
#include "remote.h"
#include "thread.h"
#include "tools.h"

/* ---- making and finding it -------------------------------------------- */

static size_t round_up(size_t n, size_t to)
{
	return (n + to - 1) & -to;
}

/* Set a field that is 0. Its value after that. */
static uint64_t field_settle(_Atomic uint64_t *field, uint64_t value)
{
	uint64_t was = 0;

	atomic_compare_exchange_strong(field, &was, value);
	return was ? was : value;
}

static uint32_t field_settle32(_Atomic uint32_t *field, uint32_t value)
{
	uint32_t was = 0;

	atomic_compare_exchange_strong(field, &was, value);
	return was ? was : value;
}

static int super_make(struct dsm_super *super, size_t size, size_t block_size,
		      unsigned int nodes)
{
	/* only of nothing: a region may be in use as plain memory */
	uint64_t magic = atomic_load(&super->magic);

	if (!magic)
		magic = field_settle(&super->magic, DSM_SUPER_MAGIC);
	if (magic != DSM_SUPER_MAGIC)
		return EINVAL;
	if (field_settle(&super->size, size) != size ||
	    field_settle32(&super->block_size, block_size) != block_size)
		return EINVAL;
	field_settle32(&super->nodes, nodes);
	return 0;
}

static int super_check(const struct dsm_super *super, size_t size,
		       size_t block_size)
{
	uint64_t magic = atomic_load(&super->magic);

	if (!magic || (magic == DSM_SUPER_MAGIC && !atomic_load(&super->nodes)))
		return ENOENT;
	if (magic != DSM_SUPER_MAGIC || atomic_load(&super->size) != size ||
	    atomic_load(&super->block_size) != block_size)
		return EINVAL;
	return 0;
}

/* 0: the heap has none. A heap with redzones has 1 in the superblock. */
static uint64_t canary_settle(struct dsm_heap *heap, bool writable)
{
	uint64_t canary = atomic_load(&heap->super->canary);

	if (!canary && writable)
		canary = field_settle(&heap->super->canary,
				      heap->checks & CHECK_REDZONES ? 1 : dsm_canary_make());
	return canary == 1 ? 0 : canary;
}

int dsm_heap_attach(struct dsm_heap *heap, void *base, size_t size,
		    size_t block_size, unsigned int node, unsigned int nodes,
		    bool writable)
{
	size_t end;
	int err;

	if ((uintptr_t)base % CHUNK_SIZE || block_size < 4096 ||
	    block_size > UNIT_SIZE || block_size & (block_size - 1) ||
	    node >= nodes || nodes > DSM_HEAP_NODES_MAX)
		return EINVAL;
	if (size >> CHUNK_SHIFT < 2)
		return ENOMEM;
	memset(heap, 0, sizeof(*heap));
	heap->ops = &dsm_thread_ops;
	heap->base = base;
	heap->super = base;
	heap->chunks = size >> CHUNK_SHIFT;
	heap->bytes = (size_t)heap->chunks << CHUNK_SHIFT;
	heap->node = node;
	heap->block_size = block_size;
	err = writable ? super_make(heap->super, size, block_size, nodes) :
			 super_check(heap->super, size, block_size);
	if (err)
		return err;
	heap->nodes = atomic_load(&heap->super->nodes);
	if (heap->nodes > DSM_HEAP_NODES_MAX || node >= heap->nodes)
		return EINVAL;

	heap->private_off = round_up(sizeof(struct chunk_public), block_size);
	end = heap->private_off +
	      round_up(sizeof(struct chunk_private), block_size);
	heap->own_entry = CHUNK_USED | CHUNK_SLABS | (node + 1);
	heap->meta_units = (end + UNIT_SIZE - 1) >> UNIT_SHIFT;

	heap->table = (_Atomic uint32_t *)(heap->base + block_size + TABLE_OFF);
	heap->nodes_off = block_size +
		round_up(TABLE_OFF + heap->chunks * sizeof(uint32_t), block_size);
	heap->node_size = round_up(sizeof(struct dsm_arena), block_size) +
		2 * block_size;
	end = heap->nodes_off + heap->nodes * heap->node_size;
	heap->first = (end + CHUNK_SIZE - 1) >> CHUNK_SHIFT;
	if (heap->first >= heap->chunks)
		return ENOMEM;
	if (writable) {
		heap->arena = node_arena(heap, node);
		heap->counters = node_counters(heap, node);
		dsm_lock_init(&heap->arena->lock);
	}
	heap->checks = dsm_checks(heap);
	heap->canary = canary_settle(heap, writable);
	heap->keep = dsm_option_number(OPTION_HEAP_KEEP, NULL) >> (CHUNK_SHIFT - 20);
	heap->index = writable ? dsm_heaps_attach(heap) : HEAPS_MAX;
	return 0;
}

bool dsm_heap_detach(struct dsm_heap *heap)
{
	dsm_thread_end(heap);
	if (atomic_load(&heap->threads))
		return false;
	dsm_heaps_detach(heap);
	return true;
}

void dsm_heap_root_set(struct dsm_heap *heap, void *root)
{
	atomic_store(&heap->super->root, (uintptr_t)root);
}

void *dsm_heap_root(const struct dsm_heap *heap)
{
	return (void *)(uintptr_t)atomic_load(&heap->super->root);
}

/* ---- whose it is ------------------------------------------------------ */

int dsm_heap_owner(const struct dsm_heap *heap, const void *ptr)
{
	uint32_t chunk = ((const char *)ptr - heap->base) >> CHUNK_SHIFT;

	if (chunk < heap->first || chunk >= heap->chunks)
		return -1;
	return (int)CHUNK_OWNER(atomic_load(chunk_entry(heap, chunk))) - 1;
}

/* ---- objects: see object.c, and for what is checked, check.c ----------- */

size_t dsm_heap_usable(const struct dsm_heap *heap, const void *ptr,
		       const char **wrong)
{
	struct dsm_place place;

	if (heap->checks)
		return dsm_check_usable(heap, ptr, wrong);
	*wrong = dsm_object_find(heap, ptr, &place);
	return *wrong ? 0 : dsm_canary_usable(heap, &place);
}

void *dsm_heap_alloc(struct dsm_heap *heap, size_t align, size_t size, bool zero)
{
	return heap->checks ? dsm_check_alloc(heap, align, size, zero) :
			      dsm_object_alloc(heap, align, size, zero);
}

const char *dsm_heap_free(struct dsm_heap *heap, void *ptr)
{
	return heap->checks ? dsm_check_free(heap, ptr) :
			      dsm_object_free(heap, ptr);
}

/* Copy the object to a new place. NULL: there is none, and @ptr is still valid. */
static void *resize_by_copy(struct dsm_heap *heap, void *ptr, size_t has,
			    size_t size, const char **wrong)
{
	void *moved = dsm_heap_alloc(heap, GRANULE_SIZE, size, false);

	if (!moved)
		return NULL;
	memcpy(moved, ptr, size < has ? size : has);
	*wrong = dsm_heap_free(heap, ptr);
	return moved;
}

/* Bounds of the size of the object at @ptr. *@wrong: an error, or NULL. */
static void resize_bounds(struct dsm_heap *heap, void *ptr, size_t *least, size_t *most,
			  const char **wrong)
{
	struct dsm_place place;

	if (heap->checks & CHECK_REDZONES) {
		*least = dsm_check_usable(heap, ptr, wrong);
		*most = *least;
		return;
	}
	*wrong = dsm_object_find(heap, ptr, &place);
	if (*wrong)
		return;
	dsm_canary_bounds(heap, &place, least, most);
	if (heap->checks)
		dsm_tools_take(ptr, *most);
}

void *dsm_heap_resize(struct dsm_heap *heap, void *ptr, size_t size,
		      const char **wrong)
{
	size_t least, most;
	void *moved;

	resize_bounds(heap, ptr, &least, &most, wrong);
	if (*wrong)
		return NULL;
	if (heap->checks)
		return resize_by_copy(heap, ptr, most, size, wrong);
	if (dsm_object_resize(heap, ptr, size))
		return ptr;
	/* smaller by less than half is not worth a copy */
	if (size <= least && size >= least / 2)
		return ptr;
	moved = resize_by_copy(heap, ptr, most, size, wrong);
	return moved || size > least ? moved : ptr;
}

void dsm_heap_trim(struct dsm_heap *heap)
{
	struct dsm_thread *thread = dsm_threads[heap->index];

	if (thread)
		dsm_remote_flush(thread);
	if (!dsm_object_trim(heap) || dsm_arena_lock(heap))
		return;
	dsm_arena_purge(heap);
	dsm_arena_unlock(heap);
}
