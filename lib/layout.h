/* SPDX-License-Identifier: MIT */
/*
 * What a heap looks like in memory. Shared by all nodes and by processes of
 * different versions of this library: a change here is a new DSM_SUPER_MAGIC.
 *
 *   chunk 0 (and more if need be): the superblock
 *	block 0		struct dsm_super
 *	then		the chunk table: a word a chunk, written by CAS
 *	then		for each node, struct dsm_arena, struct dsm_counters and
 *			struct dsm_mailbox, on blocks of their own
 *   a chunk of slabs, owned by one node: 32 units of 64 KiB
 *	public		struct chunk_public: read by all, seldom written
 *	private		struct chunk_private: touched by the owner only
 *	units		of slabs (objects of one size) and of runs (one object)
 *   a run of chunks: one large object, after a chunk's headers
 *
 * The headers are on different blocks, and so is every unit. Fields that are used often
 * are not in the first line of a page: caches have few places for the lines at one
 * offset of all pages, and large objects start at offset 0. All integers are
 * of the machine's byte order: nodes are of one architecture. A region is at
 * the same address in every process, so what is private to a node has
 * pointers in it.
 */
#ifndef _DSM_LAYOUT_H
#define _DSM_LAYOUT_H

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { DSM_THREADS_MAX = 256 };	/* of a node, with slabs of their own */

struct dsm_super;
struct dsm_arena;
struct dsm_counters;
struct dsm_thread;
struct dsm_heap;

/* What the arena asks of the files above it: see thread.c. It has its lock. */
struct dsm_heap_ops {
	/* give units back; @all: the region has no chunk for this node */
	void	(*reclaim)(struct dsm_heap *heap, bool all);
	/* the lock's last holder died: make again what is above the units */
	void	(*rebuild)(struct dsm_heap *heap);
};

/*
 * One process's view of a heap; read-only once attached, but for @threads. It
 * must stay where it is until it is detached.
 */
struct dsm_heap {
	const struct dsm_heap_ops *ops;
	char		*base;		/* aligned to a chunk */
	_Atomic uint32_t *table;	/* of chunks */
	size_t		bytes;		/* whole chunks in the region */
	size_t		private_off;	/* of struct chunk_private, in a chunk */
	uint32_t	own_entry;	/* in the table, of our chunks of slabs */
	uint32_t	index;		/* among this process's heaps */
	uint32_t	node;
	uint32_t	nodes;		/* as the superblock has it */
	uint32_t	chunks;
	uint32_t	checks;		/* see check.h */
	uint64_t	canary;		/* 0: objects have none; see canary.h */
	uint32_t	keep;		/* empty chunks, with their frames */
	uint32_t	first;		/* of them, the first that is given out */
	uint32_t	meta_units;	/* at the start of a chunk */
	size_t		block_size;
	size_t		nodes_off;	/* of the arenas and mailboxes */
	size_t		node_size;	/* of each of them */
	struct dsm_super *super;
	struct dsm_arena *arena;	/* this node's */
	struct dsm_counters *counters;	/* this node's */
	_Atomic uint32_t threads;	/* of this process, that use it */
	_Atomic uint32_t *mine;		/* units of each chunk, or NULL: see fork.c */
	char		*copy;		/* for a child */
	/* This process's, by slot: changed with the arena's lock, but for the first time */
	struct dsm_thread *_Atomic by_slot[DSM_THREADS_MAX];
	struct dsm_thread *fork_thread;	/* the forking thread's, saved: see thread.c */
	void		*fork_saved;
	sigset_t	fork_signals;	/* that it had blocked */
	bool		fork_locked;
	bool		is_private;	/* a child's: nobody else has it */
	/* Gives a range's frames back, on all nodes: then it is zero; or NULL. */
	int		(*purge)(void *addr, size_t len);
};

#define DSM_SUPER_MAGIC		0x3950414548d5d5d5ULL	/* "...HEAP9" */

enum dsm_heap_limits {
	GRANULE_SIZE	= 16,			/* bytes: every object starts at one */
	UNIT_SHIFT	= 16,
	UNIT_SIZE	= 1 << UNIT_SHIFT,
	CHUNK_SHIFT	= 21,
	CHUNK_SIZE	= 1 << CHUNK_SHIFT,
	UNITS		= CHUNK_SIZE / UNIT_SIZE,
	SLAB_WORDS	= UNIT_SIZE / GRANULE_SIZE / 64,	/* of a bitmap */
	LENGTHS_MAX	= 64,
	/* Kinds of classes, see class.h. */
	CLASSES_FRONT	= 8,			/* [0, this) */
	CLASSES_MIDDLE	= 20,			/* up to this */
	CLASSES_EXACT	= 48,			/* up to this */
	CLASSES		= CLASSES_EXACT + CLASSES_FRONT,
	FRONT_SIZE	= GRANULE_SIZE,		/* bytes that a canary adds to a slot */
	FRONT_SIZE_MAX	= 136,			/* the largest object that has one in front */
	MIDDLE_SIZE_MAX	= 1024,
	CLASS_SIZE_MAX	= 2 * UNIT_SIZE,
	CLASS_NONE	= CLASSES,
	THREADS_MAX	= DSM_THREADS_MAX,
	DSM_HEAP_NODES_MAX = 4096,	/* as the module's DSM_NODES_MAX */
	LINE_SIZE	= 64,
	TABLE_OFF	= 6 * LINE_SIZE,	/* of the chunk table, in its first block */
};

/*
 * Every field but the root is set once, from 0, by CAS. So making a heap is no transaction
 * that another process would have to wait for.
 */
struct dsm_super {
	_Atomic uint64_t magic;
	_Atomic uint64_t size;
	_Atomic uint32_t block_size;
	_Atomic uint32_t nodes;
	_Atomic uint64_t root;		/* an address */
	_Atomic uint32_t redzones;	/* 1: no, 2: yes */
	_Atomic uint64_t canary;	/* see canary.h */
};

/* A word of the chunk table: owner's node + 1, kind, flag. */
#define CHUNK_OWNER(entry)	((entry) & 0xffffU)
#define CHUNK_KIND(entry)	((entry) & 0xff0000U)
#define CHUNK_USED		(1U << 31)	/* may have frames, and not be all zero */

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
#define UNIT_CLASS(word)	((word) & 0xffU)
#define UNIT_INDEX(word)	((word) >> 8 & 0xffU)
#define KEPT_UNITS(word)	((word) & 0x1fU)
#define KEPT_OWNER(word)	((word) >> 5 & 0x7ffU)
#define KEPT_WORD(owner, n)	(UNIT_KEPT | (uint32_t)(owner) << 5 | (n))

enum unit_kind {
	UNIT_FREE	= 0,
	UNIT_META	= 1 << 16,	/* the headers */
	UNIT_SLAB	= 2 << 16,	/* class, and which unit of the slab it is */
	UNIT_RUN	= 3 << 16,	/* value: how many units */
	UNIT_RUN_REST	= 4 << 16,
	UNIT_KEPT	= 5 << 16,	/* a run, of no object: see keep.c */
};

/* From an address to its object. The words of a live object do not change. */
struct chunk_public {
	uint8_t		reserved[10 * LINE_SIZE];	/* at its start a guard: see guard.h */
	_Atomic uint32_t unit[UNITS];
	_Atomic uint32_t run_chunks;
	_Atomic uint32_t run_off;	/* where the large object starts */
	_Atomic uint32_t run_length[UNITS];	/* of the run at this unit: see canary.h */
};

enum slab_state {
	SLAB_IDLE,	/* no thread's */
	SLAB_CURRENT,	/* its thread allocates from it */
	SLAB_PARTIAL,	/* in its thread's list of those with free objects */
	SLAB_FULL,	/* in the other one */
	SLAB_EMPTY,	/* in its thread's list of those, of any size */
};

/*
 * A slab belongs to one thread, which alone changes it without the arena's
 * lock; other threads only set bits of freed[]. A slab of no thread (owner 0)
 * is changed under the lock. What other threads read when they free is here,
 * what its thread writes whenever it allocates or frees is in struct slab_hot.
 * Only a slab's first unit uses the fields below @index.
 */
struct slab {
	union {
		struct {
			_Atomic uint16_t owner;	/* the thread's slot + 1 */
			_Atomic uint16_t dirty;	/* look at freed[] */
		};
		_Atomic uint32_t owner_dirty;
	};
	uint32_t	size;		/* of an object */
	uint32_t	capacity;	/* objects */
	uint32_t	start;		/* of the slab, in its chunk */
	uint64_t	recip;		/* see class.h */
	struct slab_hot	*hot;
	uint8_t		head;		/* the slab's first unit */
	uint8_t		class;
	uint8_t		index;		/* of this unit in the slab */
	uint8_t		words;		/* of free[] and freed[] */
	uint8_t		state;
	_Atomic uint64_t *freed;
	struct slab	*next;		/* its thread's list, or the arena's */
	struct slab	*prev;
} __attribute__((aligned(64)));

/*
 * @used depends on the slab's state:
 *	PARTIAL, EMPTY, IDLE	capacity less the bits of free[]
 *	FULL			how many frees are left until it is looked at again
 *	CURRENT			meaningless: only frees are counted
 */
struct slab_hot {
	uint32_t	used;
	uint32_t	fresh;		/* from this word of free[] on, nothing was allocated,
					   and no canary is set */
	uint32_t	searched;	/* @used, when there was nothing free before that */
	union {
		_Atomic uint64_t free[SLAB_WORDS];	/* objects that can be allocated */
		struct {		/* of a slab of few objects */
			_Atomic uint64_t free_word;
			_Atomic uint64_t has_length;	/* those below that are not 0 */
			_Atomic uint32_t length[LENGTHS_MAX];	/* see canary.h */
		};
	};
} __attribute__((aligned(64)));

struct slab_list {
	struct slab *first;
	struct slab *last;
};

struct chunk_private {
	struct slab	slab[UNITS];
	struct {
		uint32_t	free_units;	/* mask */
		uint32_t	fresh_units;	/* of them, what was never written to */
		struct chunk_private *next;	/* arena->open, while free_units != 0 */
		struct chunk_private *prev;
	} __attribute__((aligned(64)));
	/* By the first unit of a slab. */
	struct slab_hot	hot[UNITS] __attribute__((aligned(4096)));
	/* Objects that others freed, and its thread has not moved to free[] yet. */
	_Atomic uint64_t freed[UNITS][SLAB_WORDS];
};

/* A thread's, while it has the lock: for as long as it lives. */
struct dsm_slot {
	pthread_mutex_t	alive;		/* robust, of this node's processes */
	_Atomic uint64_t outbox;	/* its first parcel: see remote.c */
} __attribute__((aligned(64)));

/*
 * A node's. The truth is in the chunk table, the units' words and the bitmaps,
 * which are right at every instant; all else under the lock can be made from
 * them again, and is, when a process died with the lock.
 */
struct dsm_arena {
	uint8_t		reserved[20 * LINE_SIZE];
	/* robust, of this node's processes; those who wait look at no more than its line */
	pthread_mutex_t	lock __attribute__((aligned(64)));
	struct chunk_private *open	/* chunks that have a free unit */
			__attribute__((aligned(64)));
	uint32_t	spares;		/* chunks all of whose units are free */
	uint32_t	dirty;		/* chunks released with their frames, roughly */
	uint32_t	claim_hint;	/* where the search for a free chunk starts */
	uint64_t	draining;	/* what is left of a mailbox: see remote.c */
	struct slab_list slab[CLASSES];	/* those of no thread */
	_Atomic uint32_t slots;		/* that were ever used */
	struct dsm_slot	slot[THREADS_MAX];
};

/*
 * Of a node's arena, for other nodes to read. Were it on a block of a lock, they
 * would take it from a process that is killed with the lock; and to get it
 * back, so as to mark the lock, would be more than the kernel waits for then.
 */
struct dsm_counters {
	uint8_t		reserved[30 * LINE_SIZE];
	_Atomic uint64_t rebuilt;	/* how often: the lock's holder died */
	_Atomic uint64_t recovered;	/* threads that were killed */
	_Atomic uint64_t parcels;	/* received */
	_Atomic uint64_t homecomings;	/* objects in them */
	_Atomic uint64_t parcels_out;	/* made, and not come back */
};

/* A stack of parcels from other nodes: the offset of the last one. */
struct dsm_mailbox {
	uint8_t		reserved[40 * LINE_SIZE];
	_Atomic uint64_t head;
};

_Static_assert(sizeof(struct slab) == 64, "slab");
_Static_assert(THREADS_MAX <= KEPT_OWNER(~0U) && UNITS <= KEPT_UNITS(~0U) + 1, "kept");
_Static_assert(sizeof(struct slab_hot) == 576, "slab_hot");
_Static_assert(sizeof(struct chunk_private) <= UNIT_SIZE - 4096, "private");

/* An object, in terms of its slab. */
struct dsm_place {
	uint32_t	owner;		/* node */
	uint32_t	unit;		/* of the region: where its slab or run starts */
	uint32_t	index;		/* in the slab; of a run 0 */
	bool		slab;
	uint8_t		class;		/* of the slab */
	size_t		size;
	char		*start;		/* of the object */
};

static inline char *chunk_addr(const struct dsm_heap *heap, uint32_t chunk)
{
	return heap->base + ((size_t)chunk << CHUNK_SHIFT);
}

static inline uint32_t chunk_of(const struct dsm_heap *heap, const void *ptr)
{
	return (size_t)((const char *)ptr - heap->base) >> CHUNK_SHIFT;
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

static inline _Atomic uint32_t *chunk_entry(const struct dsm_heap *heap,
					    uint32_t chunk)
{
	return heap->table + chunk;
}

static inline struct dsm_arena *node_arena(const struct dsm_heap *heap,
					   uint32_t node)
{
	return (void *)(heap->base + heap->nodes_off +
			(size_t)node * heap->node_size);
}

static inline struct dsm_counters *node_counters(const struct dsm_heap *heap,
						 uint32_t node)
{
	return (void *)((char *)node_arena(heap, node) + heap->node_size -
			2 * heap->block_size);
}

static inline struct dsm_mailbox *node_mailbox(const struct dsm_heap *heap,
					       uint32_t node)
{
	return (void *)((char *)node_arena(heap, node) + heap->node_size -
			heap->block_size);
}

/* Memory that other threads read meanwhile, but only one writes. */
#define READ(field)		atomic_load_explicit(&(field), memory_order_relaxed)
#define WRITE(field, value)	atomic_store_explicit(&(field), value, memory_order_relaxed)

#endif /* _DSM_LAYOUT_H */
