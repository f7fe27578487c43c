// SPDX-License-Identifier: MIT
/*
 * The heap: from any address to its object, and from any object to its node.
 *
 * Every node allocates from its own arena (arena.c), in chunks it claims from
 * the region (chunk.c); an object another node allocated is marked for that
 * node to free (remote.c). The layout and its reasons are in layout.h.
 */
#include "heap.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "arena.h"
#include "chunk.h"
#include "remote.h"

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
	heap->remote_off = heap->private_off +
		round_up(sizeof(struct chunk_private), block_size);
	end = heap->remote_off + round_up(sizeof(struct chunk_remote), block_size);
	heap->meta_units = (end + UNIT_SIZE - 1) >> UNIT_SHIFT;

	heap->nodes_off = block_size +
		round_up(heap->chunks * sizeof(uint32_t), block_size);
	end = heap->nodes_off + 2 * (size_t)heap->nodes * block_size;
	heap->first = (end + CHUNK_SIZE - 1) >> CHUNK_SHIFT;
	if (heap->first >= heap->chunks)
		return ENOMEM;
	if (writable) {
		heap->arena = node_arena(heap, node);
		dsm_arena_init(heap->arena);
	}
	return 0;
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

struct object {
	uint32_t owner;		/* node */
	uint32_t chunk;		/* where its headers are */
	size_t	 off;		/* from there */
	size_t	 size;
	bool	 large;		/* a run of chunks */
};

static const char *object_find_large(const struct dsm_heap *heap,
				     struct object *object)
{
	struct chunk_public *public = chunk_public(heap, object->chunk);
	size_t off = atomic_load(&public->run_off);

	if (object->off != off)
		return "pointer into an object";
	object->large = true;
	object->size = ((size_t)atomic_load(&public->run_chunks) << CHUNK_SHIFT) - off;
	return NULL;
}

/* Needs no lock: of an object that is allocated, nothing read here changes. */
static const char *object_find(const struct dsm_heap *heap, const void *ptr,
			       struct object *object)
{
	size_t off = (const char *)ptr - heap->base;
	uint32_t entry, word;

	object->large = false;
	object->chunk = off >> CHUNK_SHIFT;
	object->off = off % CHUNK_SIZE;
	if (object->chunk < heap->first || object->chunk >= heap->chunks)
		return "pointer into the heap's own memory";
	entry = atomic_load(chunk_entry(heap, object->chunk));
	while (CHUNK_KIND(entry) == CHUNK_RUN_REST && object->chunk > heap->first) {
		object->chunk--;
		object->off += CHUNK_SIZE;
		entry = atomic_load(chunk_entry(heap, object->chunk));
	}
	object->owner = CHUNK_OWNER(entry) - 1;
	if (CHUNK_KIND(entry) == CHUNK_RUN)
		return object_find_large(heap, object);
	if (CHUNK_KIND(entry) != CHUNK_SLABS || object->off >= CHUNK_SIZE)
		return "double free, or never allocated";

	word = atomic_load(&chunk_public(heap, object->chunk)->unit[object->off >> UNIT_SHIFT]);
	switch (UNIT_KIND(word)) {
	case UNIT_SLAB:
		object->size = dsm_class_size(UNIT_VALUE(word));
		if (object->off % UNIT_SIZE % object->size ||
		    object->off % UNIT_SIZE + object->size > UNIT_SIZE)
			return "pointer into an object";
		return NULL;
	case UNIT_RUN:
		object->size = (size_t)UNIT_VALUE(word) << UNIT_SHIFT;
		return object->off % UNIT_SIZE ? "pointer into an object" : NULL;
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
	struct object object;

	*wrong = object_find(heap, ptr, &object);
	return *wrong ? 0 : object.size;
}

/* ---- operations ------------------------------------------------------- */

void dsm_heap_abuse(const void *ptr, const char *wrong)
{
	char line[128];
	int n = snprintf(line, sizeof(line), "libdsm: dsm_free(%p): %s\n", ptr,
			 wrong);

	if (write(STDERR_FILENO, line, n) < 0) {
		/* then there is nobody to tell */
	}
	abort();
}

static void *alloc_once(struct dsm_heap *heap, size_t align, size_t size,
			bool *fresh)
{
	unsigned int class = dsm_class_of(align, size);

	*fresh = false;
	if (class < CLASSES)
		return dsm_arena_alloc_small(heap, class);
	return dsm_arena_alloc_run(heap, align, size ? size : 1, fresh);
}

void *dsm_heap_alloc(struct dsm_heap *heap, size_t align, size_t size,
		     bool zero)
{
	bool fresh;
	void *ptr;

	/* more than any region: the sums below must not overflow */
	if (size > PTRDIFF_MAX || dsm_arena_lock(heap))
		return NULL;
	ptr = alloc_once(heap, align, size, &fresh);
	if (!ptr) {
		dsm_remote_drain_all(heap, false);
		dsm_arena_trim(heap);
		ptr = alloc_once(heap, align, size, &fresh);
	}
	dsm_arena_unlock(heap);
	if (ptr && zero && !fresh)
		memset(ptr, 0, size);
	return ptr;
}

const char *dsm_heap_free(struct dsm_heap *heap, void *ptr)
{
	struct object object;
	const char *wrong = object_find(heap, ptr, &object);

	if (wrong)
		return wrong;
	if (object.owner != heap->node)
		return dsm_remote_free(heap, object.owner, object.chunk,
				       object.large ? 0 : object.off);
	if (dsm_arena_lock(heap))
		return "the heap's lock is broken";
	wrong = dsm_arena_free(heap, object.chunk, object.off, false);
	dsm_arena_unlock(heap);
	return wrong;
}

/* ---- counting --------------------------------------------------------- */

static void usage_add(struct dsm_heap_usage *usage, uint64_t objects,
		      uint64_t size)
{
	usage->objects += objects;
	usage->bytes += objects * size;
}

static void chunk_usage(struct dsm_heap *heap, uint32_t chunk,
			struct dsm_heap_usage *usage)
{
	for (unsigned int u = heap->meta_units; u < UNITS; u++) {
		uint32_t word = atomic_load(&chunk_public(heap, chunk)->unit[u]);
		uint64_t objects = 0;

		if (UNIT_KIND(word) == UNIT_RUN)
			usage_add(usage, 1, (uint64_t)UNIT_VALUE(word) << UNIT_SHIFT);
		if (UNIT_KIND(word) != UNIT_SLAB)
			continue;
		for (unsigned int w = 0; w < UNIT_WORDS; w++)
			objects += __builtin_popcountll(chunk_private(heap, chunk)->used[u - 1][w]);
		usage_add(usage, objects, dsm_class_size(UNIT_VALUE(word)));
	}
}

void dsm_heap_usage(struct dsm_heap *heap, struct dsm_heap_usage *usage)
{
	memset(usage, 0, sizeof(*usage));
	if (dsm_arena_lock(heap))
		return;
	dsm_remote_drain_all(heap, false);
	for (uint32_t chunk = heap->first; chunk < heap->chunks; chunk++) {
		uint32_t entry = atomic_load(chunk_entry(heap, chunk));
		struct object object = { .chunk = chunk };

		if (!dsm_chunk_is_own(heap, entry))
			continue;
		usage->chunks++;
		if (CHUNK_KIND(entry) == CHUNK_SLABS)
			chunk_usage(heap, chunk, usage);
		if (CHUNK_KIND(entry) == CHUNK_RUN) {
			object.off = atomic_load(&chunk_public(heap, chunk)->run_off);
			object_find_large(heap, &object);
			usage_add(usage, 1, object.size);
		}
	}
	dsm_arena_unlock(heap);
}
