// SPDX-License-Identifier: MIT
/*
 * heap-model-test [TEST...] runs the tests named below (attach, model, ...). This file also
 * has their common functions.
 */
#include "heap-model/model.h"

#include <time.h>

/* ---- TAP -------------------------------------------------------------- */

int tests, failures, checks_failed;

bool check(bool holds, const char *file, int line, const char *what)
{
	if (!holds) {
		checks_failed++;
		printf("# %s:%d: %s\n", file, line, what);
		fflush(stdout);
	}
	return holds;
}

void result(const char *name)
{
	printf("%s %d - %s\n", checks_failed ? "not ok" : "ok", ++tests, name);
	fflush(stdout);
	failures += !!checks_failed;
	checks_failed = 0;
}

/* ---- a region --------------------------------------------------------- */

void region_map(const struct region *region)
{
	int fd = memfd_create("heap", MFD_CLOEXEC);

	REQUIRE(fd >= 0);
	REQUIRE(!ftruncate(fd, region->size));
	REQUIRE(mmap(BASE, region->size, PROT_READ | PROT_WRITE,
		     MAP_SHARED | MAP_FIXED, fd, 0) == BASE);
	close(fd);
	/* make valgrind forget what it knew of a previous region there */
	dsm_tools_take(BASE, region->size);
}

_Atomic unsigned int purges;

static int purge(void *addr, size_t len)
{
	atomic_fetch_add(&purges, 1);
	return madvise(addr, len, MADV_REMOVE);
}

void region_attach(const struct region *region, struct dsm_heap *heap, unsigned int node)
{
	REQUIRE(!dsm_heap_attach(heap, BASE, region->size, region->block_size,
				 node, region->nodes, true));
	heap->purge = purge;
}

void region_detach(struct dsm_heap *heap)
{
	CHECK(dsm_heap_detach(heap));
}

void settle(struct dsm_heap *heap, unsigned int nodes)
{
	for (unsigned int i = 0; i < 2 * nodes; i++)
		dsm_heap_trim(&heap[i % nodes]);
}

void heap_stats(struct dsm_heap *heap, struct dsm_heap_stats *stats)
{
	dsm_heap_trim(heap);
	dsm_stats_read(heap, heap->node, stats);
}

/* ---- what is in it ---------------------------------------------------- */

uint64_t next_random(uint64_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return *seed;
}

size_t random_size(uint64_t *seed, size_t max)
{
	unsigned int bits = next_random(seed) % 24;
	size_t size = next_random(seed) & (((size_t)1 << bits) - 1);

	return size > max ? size % max : size;
}

void sleep_us(long us)
{
	const struct timespec nap = { .tv_nsec = us * 1000 };

	nanosleep(&nap, NULL);
}

static uint8_t pattern(const void *ptr, size_t size, size_t i)
{
	return ((uintptr_t)ptr >> 4) * 31 + size + i;
}

/* All of a small object, or both ends of a large one. */
static size_t pattern_step(size_t size, size_t i)
{
	return size > 16384 && i >= 4096 && i + 8192 < size ? 4096 : 1;
}

void fill(void *ptr, size_t size)
{
	for (size_t i = 0; i < size; i += pattern_step(size, i))
		((uint8_t *)ptr)[i] = pattern(ptr, size, i);
}

bool filled(const void *ptr, size_t size)
{
	for (size_t i = 0; i < size; i += pattern_step(size, i))
		if (((const uint8_t *)ptr)[i] != pattern(ptr, size, i))
			return false;
	return true;
}

static void *freed_run(void *arg)
{
	struct freed *freed = arg;

	freed->wrong = dsm_heap_free(freed->heap, freed->ptr);
	return NULL;
}

const char *free_by_thread(struct dsm_heap *heap, void *ptr)
{
	struct freed freed = { heap, ptr, NULL };
	pthread_t thread;

	REQUIRE(!pthread_create(&thread, NULL, freed_run, &freed));
	pthread_join(thread, NULL);
	return freed.wrong;
}

/* ---- the tests -------------------------------------------------------- */

/* Was test @name chosen? Without arguments, all are. */
static bool chosen(char **argv, const char *name)
{
	bool any = !*argv;

	while (*argv && !any)
		any = !strcmp(*argv++, name);
	return any;
}

#define RUN(name, ...) \
	do { \
		if (chosen(argv + 1, #name)) \
			test_##name(__VA_ARGS__); \
	} while (0)

int main(int argc, char **argv)
{
	(void)argc;
	printf("TAP version 13\n");
	fflush(stdout);
	RUN(classes);
	RUN(attach);
	RUN(model, 4096);
	RUN(model, 16384);
	RUN(model, 65536);
	RUN(alignment);
	RUN(limits);
	RUN(resize);
	RUN(exhaustion);
	RUN(full);
	RUN(idle);
	RUN(rob);
	RUN(reuse);
	RUN(claimed);
	RUN(purge);
	RUN(abuse);
	RUN(abuse_threads);
	RUN(abuse_addresses);
	RUN(redzones);
	RUN(guards);
	RUN(parcels);
	RUN(stats);
	RUN(keep);
	RUN(threads);
	/* valgrind would think that what another process allocated is free */
	if (setenv("DSM_HEAP_CHECK", "0", false))
		return 1;
	RUN(nodes, 4096);
	RUN(nodes, 16384);
	RUN(nodes, 65536);
	RUN(fork);
	RUN(kill);
	printf("1..%d\n# Totals: pass:%d fail:%d xfail:0 xpass:0 skip:0 error:0\n",
	       tests, tests - failures, failures);
	return failures || !tests;
}
