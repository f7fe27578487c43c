/* SPDX-License-Identifier: MIT */
/*
 * Compares the heap with a naive model, over a memfd. The machine's own cache coherence stands
 * in for DSM's, and processes stand in for nodes.
 *
 * The model: a word for every 16 bytes of the region names the object there. A word for every
 * block names the node whose objects are in it. Every object contains a pattern computed from
 * its address and size.
 */
#ifndef _HEAP_MODEL_H
#define _HEAP_MODEL_H

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "class.h"
#include "dsm.h"
#include "heap.h"
#include "layout.h"
#include "stats.h"
#include "tools.h"

#define BASE		((char *)0x400000000000)
#define MIB		((size_t)1 << 20)
#define CHUNK		((size_t)CHUNK_SIZE)
#define BLOCKS_MAX	(256 * MIB / 4096)

/* ---- TAP -------------------------------------------------------------- */

extern int tests, failures, checks_failed;

bool check(bool holds, const char *file, int line, const char *what);

#define CHECK(cond) check(cond, __FILE__, __LINE__, #cond)

#define REQUIRE(cond) \
	do { \
		if (!CHECK(cond)) \
			_exit(99); \
	} while (0)

/* Report the result of the current test. */
void result(const char *name);

/* ---- a region --------------------------------------------------------- */

struct region {
	size_t size;
	size_t block_size;
	unsigned int nodes;
};

/* A new region in place of the old one. */
void region_map(const struct region *region);
void region_attach(const struct region *region, struct dsm_heap *heap, unsigned int node);

/* Call before the region is replaced. */
void region_detach(struct dsm_heap *heap);

extern _Atomic unsigned int purges;

/* Deliver what is on its way from one node to another. */
void settle(struct dsm_heap *heap, unsigned int nodes);

/* Called when a node trims its heap. */
void heap_stats(struct dsm_heap *heap, struct dsm_heap_stats *stats);

/* ---- what is in it ---------------------------------------------------- */

/* xorshift, seeded for each test */
uint64_t next_random(uint64_t *seed);

/* A size: mostly small, sometimes large, any number of bytes. */
size_t random_size(uint64_t *seed, size_t max);

/* Write and check the pattern of an object: all of a small one, both ends of a large one. */
void fill(void *ptr, size_t size);
bool filled(const void *ptr, size_t size);

void sleep_us(long us);

/* Free by another thread, which does nothing else. */
const char *free_by_thread(struct dsm_heap *heap, void *ptr);

struct freed {
	struct dsm_heap *heap;
	void		*ptr;
	const char	*wrong;
};

/* ---- the tests -------------------------------------------------------- */

void test_classes(void);
void test_attach(void);
void test_model(size_t block_size);
void test_alignment(void);
void test_limits(void);
void test_resize(void);
void test_exhaustion(void);
void test_full(void);
void test_idle(void);
void test_rob(void);
void test_reuse(void);
void test_claimed(void);
void test_purge(void);

void test_abuse(void);
void test_abuse_threads(void);
void test_abuse_addresses(void);
void test_redzones(void);
void test_guards(void);

void test_parcels(void);
void test_stats(void);
void test_keep(void);

void test_threads(void);
void test_nodes(size_t block_size);
void test_fork(void);
void test_kill(void);

#endif /* _HEAP_MODEL_H */
