/* SPDX-License-Identifier: MIT */
/*
 * What a heap looks like in memory. Shared by all nodes and by processes of
 * different versions of this library: a change here is a new DSM_SUPER_MAGIC.
 *
 *   chunk 0 (and more if need be): the superblock
 *	block 0		struct dsm_super
 *	then		the chunk table: a word a chunk, written by CAS
 *	then		for each node, struct dsm_arena and struct dsm_mailbox,
 *			each on blocks of its own
 *   a chunk of slabs, owned by one node: 32 units of 64 KiB
 *	public		struct chunk_public: read by all, seldom written
 *	private		struct chunk_private: touched by the owner only
 *	remote		struct chunk_remote: what other nodes have freed
 *	units		objects of one size, or part of a run of units
 *   a run of chunks: one large object, after a chunk's three headers
 *
 * The three headers are on different blocks, and so is every unit. All
 * integers are of the machine's byte order: nodes are of one architecture.
 */
#ifndef _DSM_LAYOUT_H
#define _DSM_LAYOUT_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

#include "heap.h"

#define DSM_SUPER_MAGIC		0x3150414548d5d5d5ULL	/* "...HEAP1" */

enum dsm_heap_limits {
	GRANULE_SIZE	= 16,			/* bytes: every object starts at one */
	UNIT_SHIFT	= 16,
	UNIT_SIZE	= 1 << UNIT_SHIFT,
	CHUNK_SHIFT	= 21,
	CHUNK_SIZE	= 1 << CHUNK_SHIFT,
	UNITS		= CHUNK_SIZE / UNIT_SIZE,
	UNIT_GRANULES	= UNIT_SIZE / GRANULE_SIZE,
	UNIT_WORDS	= UNIT_GRANULES / 64,	/* of a bitmap of its granules */
	CLASSES		= 40,
	CLASS_SIZE_MAX	= UNIT_SIZE / 2,
	DSM_HEAP_NODES_MAX = 4096,	/* as the module's DSM_NODES_MAX */
};

/*
 * Every field but the root goes from 0 to what it stays, by CAS: making a heap
 * is no transaction, and nobody has to wait for it.
 */
struct dsm_super {
	_Atomic uint64_t magic;
	_Atomic uint64_t size;
	_Atomic uint32_t block_size;
	_Atomic uint32_t nodes;
	_Atomic uint64_t root;		/* an address */
};

/* A word of the chunk table: owner's node + 1, kind, flag. */
#define CHUNK_OWNER(entry)	((entry) & 0xffffU)
#define CHUNK_KIND(entry)	((entry) & 0xff0000U)
#define CHUNK_USED		(1U << 31)	/* may not be all zero */

enum chunk_kind {
	CHUNK_FREE	= 0,
	CHUNK_CLAIMED	= 1 << 16,	/* being made or unmade */
	CHUNK_SLABS	= 2 << 16,
	CHUNK_RUN	= 3 << 16,	/* a large object starts here */
	CHUNK_RUN_REST	= 4 << 16,	/* and goes on here */
};

/* A word a unit of struct chunk_public. */
#define UNIT_KIND(word)		((word) & 0xff0000U)
#define UNIT_VALUE(word)	((word) & 0xffffU)

enum unit_kind {
	UNIT_FREE	= 0,
	UNIT_META	= 1 << 16,	/* the headers */
	UNIT_SLAB	= 2 << 16,	/* value: the class */
	UNIT_RUN	= 3 << 16,	/* value: how many units */
	UNIT_RUN_REST	= 4 << 16,
};

/* How to read an address; whoever holds an object may, as its words stay. */
struct chunk_public {
	_Atomic uint32_t unit[UNITS];
	_Atomic uint32_t run_chunks;
	_Atomic uint32_t run_off;	/* where the large object starts */
};

/*
 * Lists are of chunk numbers, or unit numbers (chunk * UNITS + unit); 0,
 * being the superblock, ends them.
 */
struct dsm_link {
	uint32_t next;
	uint32_t prev;
};

struct unit_private {
	struct dsm_link	link;		/* arena->slab[class], while free != 0 */
	uint16_t	free;		/* objects */
	uint16_t	hint;		/* no word before this has a free one */
};

/*
 * (All under the arena's lock.) used[u] has a bit for each object of unit u
 * that is allocated. used[0] would be the headers' own: the rest is there.
 */
struct chunk_private {
	union {
		struct {
			uint32_t		free_units;	/* mask */
			struct dsm_link		link;		/* arena->open, while free_units != 0 */
			struct unit_private	unit[UNITS];
		};
		uint64_t headers[UNIT_WORDS];
	};
	uint64_t used[UNITS - 1][UNIT_WORDS];
};

/*
 * Written by the other nodes, emptied by the owner: see remote.c. freed[u]
 * has a bit for each granule of unit u at which an object was freed.
 */
struct chunk_remote {
	union {
		struct {
			_Atomic uint32_t summary;	/* a bit a unit; 0: the large object */
			_Atomic uint32_t queued;	/* in a mailbox, or about to be */
			_Atomic uint32_t next;		/* there */
			_Atomic uint32_t busy;		/* how many are marking */
		};
		uint64_t headers[UNIT_WORDS];
	};
	_Atomic uint64_t freed[UNITS - 1][UNIT_WORDS];
};

/*
 * A node's. The truth is in the chunk table, the units' words and the bitmaps,
 * which are right at every instant; all else here and in chunk_private can be
 * made from them again, and is, when a process died with the lock.
 */
struct dsm_arena {
	pthread_mutex_t	lock;		/* robust, of this node's processes */
	uint32_t	open;		/* chunks that have a free unit */
	uint32_t	spare;		/* an empty chunk that is kept, or 0 */
	uint32_t	draining;	/* a chunk that must stay for now, or 0 */
	uint32_t	claim_hint;	/* no chunk of ours to claim before this */
	uint32_t	slab[CLASSES];	/* units that have a free object */
	uint64_t	rebuilt;	/* how often */
};

/* A stack of chunks in which others have freed something of this node's. */
struct dsm_mailbox {
	_Atomic uint32_t head;
};

_Static_assert(sizeof(((struct chunk_private *)0)->unit) + 12 <=
	       sizeof(((struct chunk_private *)0)->headers), "private header");
_Static_assert(sizeof(struct chunk_private) == 16384, "private");
_Static_assert(sizeof(struct chunk_remote) == 16384, "remote");
_Static_assert(sizeof(struct dsm_arena) <= 4096, "arena");

static inline char *chunk_addr(const struct dsm_heap *heap, uint32_t chunk)
{
	return heap->base + ((size_t)chunk << CHUNK_SHIFT);
}

static inline struct chunk_public *chunk_public(const struct dsm_heap *heap,
						uint32_t chunk)
{
	return (struct chunk_public *)chunk_addr(heap, chunk);
}

static inline struct chunk_private *chunk_private(const struct dsm_heap *heap,
						  uint32_t chunk)
{
	return (void *)(chunk_addr(heap, chunk) + heap->private_off);
}

static inline struct chunk_remote *chunk_remote(const struct dsm_heap *heap,
						uint32_t chunk)
{
	return (void *)(chunk_addr(heap, chunk) + heap->remote_off);
}

static inline _Atomic uint32_t *chunk_entry(const struct dsm_heap *heap,
					    uint32_t chunk)
{
	return (_Atomic uint32_t *)(heap->base + heap->block_size) + chunk;
}

static inline struct dsm_arena *node_arena(const struct dsm_heap *heap,
					   uint32_t node)
{
	return (void *)(heap->base + heap->nodes_off +
			2 * (size_t)node * heap->block_size);
}

static inline struct dsm_mailbox *node_mailbox(const struct dsm_heap *heap,
					       uint32_t node)
{
	return (void *)((char *)node_arena(heap, node) + heap->block_size);
}

#endif /* _DSM_LAYOUT_H */
