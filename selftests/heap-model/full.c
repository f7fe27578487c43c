// SPDX-License-Identifier: MIT
/* A full region, and the threads that share what is left. */
#include "model.h"

enum { FULL_MIB = 64, OBJECTS_MAX = FULL_MIB * 1024 * 1024 / 64 };

static const struct region region = { FULL_MIB * MIB, 4096, 1 };
static pthread_barrier_t barrier;

/* A thread that allocates until nothing is left, and then waits. */
struct eater {
	struct dsm_heap *heap;
	pthread_t thread;
	uint64_t seed;
	size_t min, max;	/* size of an object */
	size_t bytes;		/* bytes of all objects */
	size_t count;
	void **object;
	uint32_t *size;
};

static void *eater_run(void *arg)
{
	struct eater *eater = arg;

	for (;;) {
		size_t size = eater->min + next_random(&eater->seed) % (eater->max - eater->min + 1);
		void *ptr = dsm_heap_alloc(eater->heap, 16, size, false);

		if (!ptr || eater->count == OBJECTS_MAX)
			break;
		fill(ptr, size);
		eater->object[eater->count] = ptr;
		eater->size[eater->count++] = size;
		eater->bytes += size;
	}
	pthread_barrier_wait(&barrier);
	/* as long as the others run */
	pthread_barrier_wait(&barrier);
	return NULL;
}

static void eater_start(struct eater *eater, struct dsm_heap *heap, size_t min, size_t max,
			uint64_t seed)
{
	*eater = (struct eater){ .heap = heap, .seed = seed, .min = min, .max = max };
	eater->object = malloc(OBJECTS_MAX * sizeof(*eater->object));
	eater->size = malloc(OBJECTS_MAX * sizeof(*eater->size));
	REQUIRE(!pthread_create(&eater->thread, NULL, eater_run, eater));
}

/* Every @keep-th object stays, or none if @keep is 0. */
static void eater_free(struct eater *eater, size_t keep)
{
	size_t left = 0;

	for (size_t i = 0; i < eater->count; i++) {
		CHECK(filled(eater->object[i], eater->size[i]));
		if (keep && i % keep == 0) {
			eater->object[left] = eater->object[i];
			eater->size[left++] = eater->size[i];
			continue;
		}
		CHECK(!dsm_heap_free(eater->heap, eater->object[i]));
		eater->bytes -= eater->size[i];
	}
	eater->count = left;
}

static void eater_end(struct eater *eater)
{
	pthread_join(eater->thread, NULL);
	free(eater->object);
	free(eater->size);
}

/* The region is full when no thread gets anything. Half of it must then be objects. */
static void full_of(unsigned int threads)
{
	struct eater *eater = calloc(threads, sizeof(*eater));
	struct dsm_heap_stats stats;
	struct dsm_heap heap;
	size_t bytes = 0;

	region_map(&region);
	region_attach(&region, &heap, 0);
	pthread_barrier_init(&barrier, NULL, threads + 1);
	for (unsigned int i = 0; i < threads; i++)
		eater_start(&eater[i], &heap, 16, 3000, i + 1);
	pthread_barrier_wait(&barrier);
	for (unsigned int i = 0; i < threads; i++)
		bytes += eater[i].bytes;
	if (!CHECK(bytes >= region.size / 2))
		printf("# %u threads: %zu of %zu bytes\n", threads, bytes, region.size);
	for (unsigned int i = 0; i < threads; i++)
		eater_free(&eater[i], 0);
	pthread_barrier_wait(&barrier);
	for (unsigned int i = 0; i < threads; i++)
		eater_end(&eater[i]);
	pthread_barrier_destroy(&barrier);
	heap_stats(&heap, &stats);
	CHECK(!stats.live);
	region_detach(&heap);
	free(eater);
}

void test_full(void)
{
	/* more than have slabs of their own, too */
	static const unsigned int threads[] = { 1, 4, 40, 400 };

	for (size_t i = 0; i < sizeof(threads) / sizeof(*threads); i++)
		full_of(threads[i]);
	result("full: half of a region is objects, of however many threads");
}

/*
 * One thread has filled the region and waits. A third thread can use, in objects of size
 * @then, what this thread or another one frees.
 */
static void idle_of(size_t size, size_t then, size_t keep)
{
	struct eater eater, next;
	size_t freed, had;
	struct dsm_heap heap;

	region_map(&region);
	region_attach(&region, &heap, 0);
	pthread_barrier_init(&barrier, NULL, 2);
	eater_start(&eater, &heap, size, size, 1);
	pthread_barrier_wait(&barrier);
	had = eater.bytes;
	eater_free(&eater, keep);
	freed = had - eater.bytes;

	next = (struct eater){ .heap = &heap, .seed = 1, .min = then, .max = then };
	next.object = malloc(OBJECTS_MAX * sizeof(*next.object));
	next.size = malloc(OBJECTS_MAX * sizeof(*next.size));
	for (;;) {
		void *ptr = dsm_heap_alloc(&heap, 16, then, false);

		if (!ptr)
			break;
		fill(ptr, then);
		next.object[next.count] = ptr;
		next.size[next.count++] = then;
		next.bytes += then;
	}
	if (!CHECK(next.bytes >= freed - freed / 5))
		printf("# of %zu bytes, then of %zu: %zu freed, %zu had\n", size, then, freed,
		       next.bytes);
	eater_free(&next, 0);
	eater_free(&eater, 0);
	pthread_barrier_wait(&barrier);
	eater_end(&eater);
	free(next.object);
	free(next.size);
	pthread_barrier_destroy(&barrier);
	region_detach(&heap);
}

void test_idle(void)
{
	/* all memory, for objects of any size, including what is freed in scattered places */
	idle_of(100, 100, 0);
	idle_of(100, 3000, 0);
	idle_of(3000, 100, 0);
	idle_of(100, 256 << 10, 0);
	idle_of(300000, 100, 0);
	idle_of(300000, 3000000, 0);
	idle_of(100, 100, 8);
	idle_of(3000, 3000, 8);
	result("idle: what a thread that waits has is another's, when the region is full");
}

/* ---- all threads at once ------------------------------------------------ */

enum { SHARED = 4000, ROUNDS = 60000, CHURNERS = 6 };

struct shared {
	void *_Atomic ptr;
};

static struct shared shared[SHARED];
static struct dsm_heap churned;
static _Atomic unsigned int nothing;

/* A header before each object's pattern. */
static void *churn_alloc(size_t size)
{
	uint32_t *ptr = dsm_heap_alloc(&churned, 16, size + 16, false);

	if (!ptr)
		return NULL;
	*ptr = size;
	fill(ptr + 4, size);
	return ptr;
}

static void churn_free(uint32_t *ptr)
{
	if (!ptr)
		return;
	CHECK(filled(ptr + 4, *ptr));
	CHECK(!dsm_heap_free(&churned, ptr));
}

/* Takes the object from a slot, whoever made it, and stores another one there. */
static void *churn_run(void *arg)
{
	uint64_t seed = (uintptr_t)arg;

	for (int round = 0; round < ROUNDS; round++) {
		struct shared *at = &shared[next_random(&seed) % SHARED];
		size_t size = next_random(&seed) % 16 ? next_random(&seed) % 6000 :
							 next_random(&seed) % 200000;
		void *ptr = churn_alloc(size);

		if (!ptr)
			atomic_fetch_add(&nothing, 1);
		churn_free(atomic_exchange(&at->ptr, ptr));
	}
	return NULL;
}

/* Threads constantly take objects from each other. No object ever has two owners. */
void test_rob(void)
{
	const struct region small = { 24 * MIB, 4096, 1 };
	struct dsm_heap_stats stats;
	pthread_t thread[CHURNERS];

	region_map(&small);
	region_attach(&small, &churned, 0);
	for (uintptr_t i = 0; i < CHURNERS; i++)
		REQUIRE(!pthread_create(&thread[i], NULL, churn_run, (void *)(i + 1)));
	for (int i = 0; i < CHURNERS; i++)
		pthread_join(thread[i], NULL);
	/* the region was full */
	CHECK(atomic_load(&nothing) > 0);
	for (int i = 0; i < SHARED; i++)
		churn_free(atomic_exchange(&shared[i].ptr, NULL));
	heap_stats(&churned, &stats);
	CHECK(!stats.live);
	region_detach(&churned);
	result("rob: threads that allocate and free while others take what they have");
}
