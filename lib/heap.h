/* SPDX-License-Identifier: MIT */
/*
 * The heap of a region. It knows nothing of /dev/dsm: it is given a range of
 * memory that all nodes see, all zero before its first use, and told which
 * node it is on. So it can be tested over a memfd.
 */
#ifndef _DSM_HEAP_H
#define _DSM_HEAP_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { DSM_THREADS_MAX = 256 };	/* of a node, with slabs of their own */

struct dsm_super;
struct dsm_arena;
struct dsm_counters;
struct dsm_thread;

/*
 * One process's view of a heap; read-only once attached, but for @threads. It
 * must stay where it is until it is detached.
 */
struct dsm_heap {
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

/**
 * dsm_heap_attach - use the heap in a range, making it if there is none
 * @block_size: the unit of coherence: no two nodes' objects are put in one
 * @node: the caller's, less than @nodes
 * @writable: if not, only dsm_heap_usable() and the root may be used
 *
 * Return: 0, or an error number: EINVAL (something else is there), ENOMEM
 * (too small), ENOENT (not @writable, and no heap there yet).
 */
int dsm_heap_attach(struct dsm_heap *heap, void *base, size_t size,
		    size_t block_size, unsigned int node, unsigned int nodes,
		    bool writable);

/* The calling thread is done with it; false: others of this process are not. */
bool dsm_heap_detach(struct dsm_heap *heap);

/* @align: a power of two. NULL: full. */
void *dsm_heap_alloc(struct dsm_heap *heap, size_t align, size_t size,
		     bool zero);

/*
 * As realloc(); @size: not 0. NULL: full, or *@wrong with it; and if what is
 * returned is not NULL, *@wrong may have come to light in freeing @ptr.
 */
void *dsm_heap_resize(struct dsm_heap *heap, void *ptr, size_t size,
		      const char **wrong);

/* NULL if @ptr is freed now, else what is wrong with it. */
const char *dsm_heap_free(struct dsm_heap *heap, void *ptr);

/* Bytes at @ptr; 0 and what is wrong with it. */
size_t dsm_heap_usable(const struct dsm_heap *heap, const void *ptr,
		       const char **wrong);

/* The node whose arena an address is in; -1 if nobody's. */
int dsm_heap_owner(const struct dsm_heap *heap, const void *ptr);

/*
 * Send home what this thread freed of other nodes', take in what came, and
 * give back what is empty: to the region, and its frames to the kernel.
 */
void dsm_heap_trim(struct dsm_heap *heap);

void dsm_heap_root_set(struct dsm_heap *heap, void *root);
void *dsm_heap_root(const struct dsm_heap *heap);

#endif /* _DSM_HEAP_H */
