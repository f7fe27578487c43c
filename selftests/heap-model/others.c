// SPDX-License-Identifier: MIT
/* Objects freed by others, counters, and what a thread keeps. */
#include "model.h"

/* ---- other nodes' objects --------------------------------------------- */

void test_parcels(void)
{
	enum { OBJECTS_SENT = 100000, KILLED = 5000 };
	const struct region region = { 64 * MIB, 4096, 2 };
	struct dsm_heap_stats stats;
	struct dsm_heap heap[2];
	void **list = malloc(OBJECTS_SENT * sizeof(*list));
	pid_t pid;

	region_map(&region);
	region_attach(&region, &heap[0], 0);
	region_attach(&region, &heap[1], 1);
	for (int i = 0; i < OBJECTS_SENT; i++)
		list[i] = dsm_heap_alloc(&heap[0], 16, 16 + i % 500, false);
	for (int i = 0; i < OBJECTS_SENT; i++)
		CHECK(!dsm_heap_free(&heap[1], list[i]));
	settle(heap, 2);
	heap_stats(&heap[0], &stats);
	printf("# %d objects freed elsewhere came home in %ju parcels\n", OBJECTS_SENT,
	       (uintmax_t)stats.parcels);
	CHECK(!stats.live && stats.homecomings == OBJECTS_SENT);
	CHECK(stats.parcels && stats.parcels <= OBJECTS_SENT / 64);

	/* what a process had freed when it was killed */
	for (int i = 0; i < KILLED; i++)
		list[i] = dsm_heap_alloc(&heap[0], 16, 16 + i % 500, false);
	pid = fork();
	if (!pid) {
		for (int i = 0; i < KILLED; i++)
			if (dsm_heap_free(&heap[1], list[i]))
				_exit(1);
		raise(SIGKILL);
	}
	waitpid(pid, NULL, 0);
	settle(heap, 2);
	heap_stats(&heap[1], &stats);
	CHECK(stats.threads_killed == 1);
	heap_stats(&heap[0], &stats);
	CHECK(!stats.live && stats.homecomings == OBJECTS_SENT + KILLED);

	/* and the objects of a thread that has ended; nobody trims its node */
	list[0] = dsm_heap_alloc(&heap[0], 16, 100, false);
	list[1] = dsm_heap_alloc(&heap[0], 16, 200000, false);
	CHECK(!free_by_thread(&heap[1], list[0]) && !free_by_thread(&heap[1], list[1]));
	heap_stats(&heap[0], &stats);
	CHECK(!stats.live && stats.homecomings == OBJECTS_SENT + KILLED + 2);
	region_detach(&heap[0]);
	region_detach(&heap[1]);
	free(list);
	result("parcels: many objects each, and none is lost with its process");
}

/* ---- counting --------------------------------------------------------- */

void test_stats(void)
{
	enum { SMALL = 1000, SIZE = 100, MIDDLE = 300000, LARGE = 5 * MIB };
	const struct region region = { 64 * MIB, 4096, 2 };
	struct dsm_heap_stats stats;
	struct dsm_heap heap[2];
	char *small[SMALL], *middle, *large;
	unsigned int class;
	uint64_t whole;

	region_map(&region);
	region_attach(&region, &heap[0], 0);
	region_attach(&region, &heap[1], 1);
	dsm_stats_read(&heap[0], 0, &stats);
	whole = stats.region_free;
	CHECK(whole == (heap[0].chunks - heap[0].first) * CHUNK && stats.region_largest == whole);
	for (int i = 0; i < SMALL; i++)
		small[i] = dsm_heap_alloc(&heap[0], 16, SIZE, false);
	middle = dsm_heap_alloc(&heap[0], 16, MIDDLE, false);
	large = dsm_heap_alloc(&heap[0], 16, LARGE, false);
	dsm_stats_read(&heap[0], 0, &stats);
	for (class = 0; stats.by_size[class].size < SIZE; class++)
		;
	CHECK(stats.live == SMALL + 2 && stats.runs == 2 && stats.by_size[class].live == SMALL);
	CHECK(stats.run_bytes >= MIDDLE + LARGE);
	CHECK(stats.chunks == 4 && stats.region_free == whole - 4 * CHUNK);
	CHECK(stats.region_largest == stats.region_free);
	CHECK(stats.empty_bytes && stats.largest_empty <= stats.empty_bytes);

	/* freed by another thread, and by another node */
	for (int i = 0; i < 10; i++)
		CHECK(!free_by_thread(&heap[0], small[i]));
	for (int i = 10; i < 200; i++)
		CHECK(!dsm_heap_free(&heap[1], small[i]));
	dsm_stats_read(&heap[0], 0, &stats);
	CHECK(stats.by_size[class].waiting == 10 && stats.waiting == 10);
	CHECK(stats.by_size[class].live == SMALL - 10);
	dsm_stats_read(&heap[0], 1, &stats);
	CHECK(stats.parcels_out == 1 && !stats.live);
	for (int i = 200; i < SMALL; i += 2)
		CHECK(!dsm_heap_free(&heap[0], small[i]));
	settle(heap, 2);
	dsm_stats_read(&heap[0], 0, &stats);
	CHECK(stats.homecomings == 190 && stats.parcels == 1 && !stats.waiting);
	CHECK(stats.by_size[class].live == 400);
	CHECK(stats.fragmentation == 100 * stats.free_bytes /
	      (stats.free_bytes + 400 * stats.by_size[class].size));
	CHECK(stats.fragmentation >= 50 && stats.fragmentation < 100);
	for (int i = 201; i < SMALL; i += 2)
		CHECK(!dsm_heap_free(&heap[0], small[i]));
	CHECK(!dsm_heap_free(&heap[1], middle) && !dsm_heap_free(&heap[0], large));
	settle(heap, 2);
	heap_stats(&heap[0], &stats);
	CHECK(!stats.live && stats.region_free == whole && stats.region_largest == whole);
	region_detach(&heap[0]);
	region_detach(&heap[1]);
	result("stats: objects live, free and on their way, and what is free in a row");
}

/* ---- what a thread keeps ---------------------------------------------- */

static uint64_t kept_bytes(struct dsm_heap *heap)
{
	struct dsm_heap_stats stats;

	dsm_stats_read(heap, heap->node, &stats);
	return stats.kept_bytes;
}

/* Frees its argument as the last of some objects of its own, which the thread keeps. */
static void *keep_run(void *arg)
{
	struct freed *freed = arg;
	void *own[5];

	for (int i = 0; i < 5; i++)
		own[i] = dsm_heap_alloc(freed->heap, 16, 200000, false);
	for (int i = 0; i < 5; i++)
		CHECK(own[i] && !dsm_heap_free(freed->heap, own[i]));
	freed->wrong = dsm_heap_free(freed->heap, freed->ptr);
	CHECK(kept_bytes(freed->heap) == 6 * 4 * UNIT_SIZE);
	return NULL;
}

static void keep_kill(struct dsm_heap *heap)
{
	struct dsm_heap_stats stats;
	pid_t pid = fork();

	if (!pid) {
		void *own[10];

		for (int i = 0; i < 10; i++)
			own[i] = dsm_heap_alloc(heap, 16, 200000 + i * 100000, false);
		for (int i = 0; i < 10; i++)
			if (!own[i] || dsm_heap_free(heap, own[i]))
				_exit(1);
		raise(SIGKILL);
	}
	waitpid(pid, NULL, 0);
	CHECK(kept_bytes(heap) >= MIB);
	heap_stats(heap, &stats);
	CHECK(stats.threads_killed == 1 && !stats.live && !stats.kept_bytes && !stats.chunks);
}

/* Of a heap that may keep @least to @most bytes. */
static void keep_many(struct dsm_heap *heap, uint64_t least, uint64_t most)
{
	void *own[100];

	for (int i = 0; i < 100; i++)
		own[i] = dsm_heap_alloc(heap, 16, 140000 + i * 10000, false);
	for (int i = 0; i < 100; i++)
		CHECK(own[i] && !dsm_heap_free(heap, own[i]));
	if (!CHECK(kept_bytes(heap) >= least && kept_bytes(heap) <= most))
		printf("# %ju bytes\n", (uintmax_t)kept_bytes(heap));
}

void test_keep(void)
{
	const struct region region = { 256 * MIB, 4096, 2 };
	struct dsm_heap heap[2];
	struct freed freed;
	pthread_t thread;
	char *ptr, *again;

	region_map(&region);
	region_attach(&region, &heap[0], 0);
	region_attach(&region, &heap[1], 1);
	heap[0].checks &= CHECK_REDZONES;
	heap[1].checks &= CHECK_REDZONES;
	ptr = dsm_heap_alloc(&heap[0], 16, 200000, false);
	CHECK(ptr && !dsm_heap_free(&heap[0], ptr));
	CHECK(kept_bytes(&heap[0]) == 4 * UNIT_SIZE);
	/* only its own thread can use it, and only once */
	CHECK(dsm_heap_free(&heap[0], ptr) && dsm_heap_free(&heap[1], ptr));
	CHECK(free_by_thread(&heap[0], ptr));
	CHECK(dsm_heap_alloc(&heap[0], 16, 140000, true) != ptr);
	again = dsm_heap_alloc(&heap[0], 65536, 220000, true);
	CHECK(again == ptr && !kept_bytes(&heap[0]));
	for (int i = 0; i < 220000; i++)
		if (again[i])
			CHECK(!"calloc of what was kept is zero");
	CHECK(dsm_heap_owner(&heap[1], ptr) == 0);
	CHECK(!dsm_heap_free(&heap[1], ptr));
	settle(heap, 2);
	CHECK(dsm_heap_free(&heap[0], ptr));

	/* until the thread ends, or has none for another */
	freed = (struct freed){ &heap[0], dsm_heap_alloc(&heap[0], 16, 200000, false), NULL };
	REQUIRE(!pthread_create(&thread, NULL, keep_run, &freed));
	pthread_join(thread, NULL);
	CHECK(!freed.wrong && !kept_bytes(&heap[0]));
	region_detach(&heap[0]);
	region_detach(&heap[1]);

	region_map(&region);
	region_attach(&region, &heap[0], 0);
	keep_kill(&heap[0]);
	keep_many(&heap[0], MIB, 8 * MIB);
	heap[0].keep = 1;
	dsm_heap_trim(&heap[0]);
	CHECK(!kept_bytes(&heap[0]));
	keep_many(&heap[0], UNIT_SIZE, MIB);
	dsm_heap_trim(&heap[0]);
	heap[0].keep = 0;
	keep_many(&heap[0], 0, 0);
	region_detach(&heap[0]);
	result("keep: a thread has large objects' memory for the next ones, until it is dead");
}
