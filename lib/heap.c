// SPDX-License-Identifier: MIT
/*
 * The heap: from any address to its object, and from any object to its node.
 *
 * Every thread (thread.c) allocates from slabs of its own (slab.c), which it
 * has from its node's arena (arena.c), whose chunks are claimed from the
 * region (chunk.c). An object another node allocated is sent to it to be
 * freed (remote.c). The layout and its reasons are in layout.h.
 *
 * The ideas are those of mimalloc (free lists by page, a second one for other
 * threads) and snmalloc (frees as messages). That the lists are bitmaps, apart
 * from the objects, is for the sake of who is killed: a bitmap is right at
 * every instant.
 */
#include "heap.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "arena.h"
#include "chunk.h"
#include "class.h"
#include "remote.h"
#include "slab.h"
#include "thread.h"

/* ---- making and finding it -------------------------------------------- */

static size_t round_up(size_t n, size_t to)
{
	return (n + to - 1) & -to;
}

/* Give a field its value unless it has one; what it has then. */
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

	heap->table = (_Atomic uint32_t *)(heap->base + block_size);
	heap->nodes_off = block_size +
		round_up(heap->chunks * sizeof(uint32_t), block_size);
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
	heap->index = writable ? dsm_threads_attach(heap) : HEAPS_MAX;
	return 0;
}

bool dsm_heap_detach(struct dsm_heap *heap)
{
	dsm_thread_end(heap);
	if (atomic_load(&heap->threads))
		return false;
	dsm_threads_detach(heap);
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

/* ---- from an address to its object ------------------------------------ */

static const char *find_large(const struct dsm_heap *heap, uint32_t chunk,
			      size_t off, struct dsm_place *place)
{
	struct chunk_public *public = chunk_public(heap, chunk);
	size_t start = atomic_load(&public->run_off);

	if (off != start)
		return "pointer into an object";
	place->unit = chunk * UNITS;
	place->size = ((size_t)atomic_load(&public->run_chunks) << CHUNK_SHIFT) - start;
	return NULL;
}

static const char *find_in_slab(uint32_t word, size_t off, struct dsm_place *place)
{
	off = off % UNIT_SIZE + ((size_t)UNIT_INDEX(word) << UNIT_SHIFT);
	place->slab = true;
	place->unit -= UNIT_INDEX(word);
	place->size = dsm_class_size(UNIT_CLASS(word));
	place->index = off / place->size;
	if (off % place->size || place->index >= dsm_class_capacity(UNIT_CLASS(word)))
		return "pointer into an object";
	return NULL;
}

const char *dsm_heap_find(const struct dsm_heap *heap, const void *ptr,
			  struct dsm_place *place)
{
	size_t off = (const char *)ptr - heap->base;
	uint32_t chunk = off >> CHUNK_SHIFT;
	uint32_t entry, word;

	if (chunk < heap->first || chunk >= heap->chunks)
		return "pointer into the heap's own memory";
	entry = atomic_load(chunk_entry(heap, chunk));
	while (CHUNK_KIND(entry) == CHUNK_RUN_REST && chunk > heap->first)
		entry = atomic_load(chunk_entry(heap, --chunk));
	off -= (size_t)chunk << CHUNK_SHIFT;
	*place = (struct dsm_place){ .owner = CHUNK_OWNER(entry) - 1 };
	if (CHUNK_KIND(entry) == CHUNK_RUN)
		return find_large(heap, chunk, off, place);
	if (CHUNK_KIND(entry) != CHUNK_SLABS || off >= CHUNK_SIZE)
		return "double free, or never allocated";

	place->unit = chunk * UNITS + (off >> UNIT_SHIFT);
	word = atomic_load(unit_word(heap, place->unit));
	switch (UNIT_KIND(word)) {
	case UNIT_SLAB:
		return find_in_slab(word, off, place);
	case UNIT_RUN:
		place->size = (size_t)UNIT_VALUE(word) << UNIT_SHIFT;
		return off % UNIT_SIZE ? "pointer into an object" : NULL;
	case UNIT_RUN_REST:
		return "pointer into an object";
	case UNIT_META:
		return "pointer into the heap's own memory";
	default:
		return "double free, or never allocated";
	}
}

int dsm_heap_owner(const struct dsm_heap *heap, const void *ptr)
{
	uint32_t chunk = ((const char *)ptr - heap->base) >> CHUNK_SHIFT;

	if (chunk < heap->first || chunk >= heap->chunks)
		return -1;
	return (int)CHUNK_OWNER(atomic_load(chunk_entry(heap, chunk))) - 1;
}

size_t dsm_heap_usable(const struct dsm_heap *heap, const void *ptr,
		       const char **wrong)
{
	struct dsm_place place;

	*wrong = dsm_heap_find(heap, ptr, &place);
	return *wrong ? 0 : place.size;
}

/* ---- allocating ------------------------------------------------------- */

void dsm_heap_abuse(const void *ptr, const char *wrong)
{
	const char *aborts = secure_getenv("DSM_HEAP_ABORT");
	char line[128];
	int n = snprintf(line, sizeof(line), "libdsm: dsm_free(%p): %s\n", ptr,
			 wrong);

	if (write(STDERR_FILENO, line, n) < 0) {
		/* then there is nobody to tell */
	}
	if (!aborts || strcmp(aborts, "0"))
		abort();
}

static void *alloc_locked(struct dsm_heap *heap, unsigned int class,
			  size_t align, size_t size, bool *fresh)
{
	void *ptr;

	if (dsm_arena_lock(heap))
		return NULL;
	dsm_remote_drain(heap);
	ptr = class < CLASSES ? dsm_slab_alloc(heap, class) :
				dsm_run_alloc(heap, align, size, fresh);
	dsm_arena_unlock(heap);
	return ptr;
}

static void *alloc_once(struct dsm_heap *heap, unsigned int class,
			size_t align, size_t size, bool *fresh)
{
	struct dsm_thread *thread;

	if (class < CLASSES) {
		thread = dsm_thread_get(heap);
		if (thread)
			return dsm_thread_alloc(thread, &thread->bin[class]);
	}
	return alloc_locked(heap, class, align, size ? size : 1, fresh);
}

static bool trim(struct dsm_heap *heap)
{
	struct dsm_thread *thread = dsm_threads[heap->index];

	if (dsm_arena_lock(heap))
		return false;
	dsm_remote_drain(heap);
	if (thread)
		dsm_thread_trim(thread);
	dsm_slabs_sweep(heap);
	dsm_arena_release(heap, 0);
	dsm_arena_unlock(heap);
	return true;
}

static void *alloc_slow(struct dsm_heap *heap, unsigned int class, size_t align,
			size_t size, bool *fresh)
{
	void *ptr;

	/* more than any region: the sums below must not overflow */
	if (size > PTRDIFF_MAX)
		return NULL;
	ptr = alloc_once(heap, class, align, size, fresh);
	if (!ptr && trim(heap))
		ptr = alloc_once(heap, class, align, size, fresh);
	return ptr;
}

void *dsm_heap_alloc(struct dsm_heap *heap, size_t align, size_t size, bool zero)
{
	unsigned int class = dsm_class_of(align, size);
	bool fresh = false;
	void *ptr = alloc_slow(heap, class, align, size, &fresh);

	if (ptr && zero && !fresh)
		memset(ptr, 0, size);
	return ptr;
}

/* ---- freeing ---------------------------------------------------------- */

static const char *free_here(struct dsm_heap *heap, const struct dsm_place *place,
			     void *ptr)
{
	struct dsm_thread *thread = dsm_threads[heap->index];
	uint32_t chunk = place->unit / UNITS;
	const char *wrong;
	struct slab *slab;

	if (place->slab) {
		slab = slab_at(heap, chunk, (size_t)(place->unit % UNITS) << UNIT_SHIFT);
		/* if it were ours and live, dsm_thread_free() had done it */
		if (thread && READ(slab->owner) == thread->owner)
			return "double free";
		return dsm_slab_free_other(slab, place->index / 64, 1ULL << place->index % 64);
	}
	if (dsm_arena_lock(heap))
		return "the heap's lock is broken";
	wrong = dsm_run_free(heap, chunk, (char *)ptr - chunk_addr(heap, chunk));
	dsm_arena_unlock(heap);
	return wrong;
}

static __thread bool not_at_once;

static void note_not_at_once(void *ptr)
{
	(void)ptr;
	not_at_once = true;
}

const char *dsm_heap_free(struct dsm_heap *heap, void *ptr)
{
	struct dsm_thread *thread = dsm_thread_get(heap);
	struct dsm_place place;
	const char *wrong;

	if (thread) {
		not_at_once = false;
		dsm_thread_free(thread, ptr, note_not_at_once);
		if (!not_at_once)
			return NULL;
	}
	wrong = dsm_heap_find(heap, ptr, &place);
	if (wrong)
		return wrong;
	if (place.owner == heap->node)
		return free_here(heap, &place, ptr);
	return dsm_remote_free(heap, thread, &place, ptr);
}

void dsm_heap_trim(struct dsm_heap *heap)
{
	struct dsm_thread *thread = dsm_threads[heap->index];

	if (thread)
		dsm_remote_flush(thread);
	trim(heap);
}
