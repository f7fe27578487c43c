// SPDX-License-Identifier: GPL-2.0
/*
 * One allocator benchmark: heap WORKLOAD THREADS [PART]. It calls the malloc of the preloaded
 * library. It prints the number of operations, nanoseconds of CPU time per thread, nanoseconds
 * elapsed and peak KiB.
 *
 * Rates are per CPU time, so that other programs on the machine do not count. An operation is
 * a malloc and its free. Each workload runs for some tenths of a second. That keeps the share
 * of first touches small: those are the kernel's work. With PART, a sweep is only a PARTth as
 * long, for allocators that keep returning memory to the kernel.
 */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static int threads;
static int part = 1;	/* of a sweep */
static _Atomic uint64_t operations;

static uint64_t next_random(uint64_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return *seed;
}

/* The least that a program does with new memory. */
static void *object(size_t size)
{
	char *ptr = malloc(size);

	if (!ptr) {
		fprintf(stderr, "heap: out of memory\n");
		exit(1);
	}
	memset(ptr, 1, size < 64 ? size : 64);
	if (size > 4096)
		for (size_t i = 4096; i < size; i += 4096)
			ptr[i] = 1;
	return ptr;
}

static void start(pthread_t *thread, void *(*run)(void *), void *arg)
{
	if (pthread_create(thread, NULL, run, arg)) {
		perror("heap: pthread_create");
		exit(1);
	}
}

static void on_threads(void *(*run)(void *))
{
	pthread_t thread[64];

	for (intptr_t i = 0; i < threads; i++)
		start(&thread[i], run, (void *)i);
	for (int i = 0; i < threads; i++)
		pthread_join(thread[i], NULL);
}

/*
 * Larson's benchmark: the threads of a server replace objects at random. Each then hands all
 * its objects to a successor, which frees them.
 */
enum { LARSON_OBJECTS = 5000, LARSON_STEPS = 50000, LARSON_ROUNDS = 200 };

struct larson {
	void	 *object[LARSON_OBJECTS];
	uint64_t seed;
};

static void *larson_round(void *arg)
{
	struct larson *larson = arg;

	for (int i = 0; i < LARSON_STEPS; i++) {
		void **at = &larson->object[next_random(&larson->seed) % LARSON_OBJECTS];

		free(*at);
		*at = object(8 + next_random(&larson->seed) % 500);
	}
	return NULL;
}

static void *larson_run(void *arg)
{
	struct larson *larson = calloc(1, sizeof(*larson));

	larson->seed = 88172645463325252ULL + (intptr_t)arg;
	for (int round = 0; round < LARSON_ROUNDS; round++) {
		pthread_t thread;

		start(&thread, larson_round, larson);
		pthread_join(thread, NULL);
	}
	for (int i = 0; i < LARSON_OBJECTS; i++)
		free(larson->object[i]);
	free(larson);
	operations += (uint64_t)LARSON_ROUNDS * LARSON_STEPS;
	return NULL;
}

/* alloc-test: sizes from 8 to 8192 bytes, with a uniformly distributed logarithm. */
enum { LIVE = 60000, LIFETIME_STEPS = 24000000 };

static void *lifetimes_run(void *arg)
{
	uint64_t seed = 1181783497276652981ULL + (intptr_t)arg;
	void **live = calloc(LIVE, sizeof(*live));

	for (int i = 0; i < LIFETIME_STEPS; i++) {
		uint64_t random = next_random(&seed);
		void **at = &live[random % LIVE];
		unsigned int bits = 3 + (random >> 32) % 10;

		free(*at);
		*at = object(((size_t)1 << bits) + (random >> 40) % ((size_t)1 << bits));
	}
	for (int i = 0; i < LIVE; i++)
		free(live[i]);
	free(live);
	operations += LIFETIME_STEPS;
	return NULL;
}

/*
 * One thread allocates and another frees: in turns (1), so that one of them runs at a time, or
 * concurrently (2).
 */
enum { BATCH = 1000, BATCHES = 10000, RING = 8 };

static void *ring[RING][BATCH];
static uint64_t ring_put, ring_got, ring_room;
static pthread_mutex_t ring_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t ring_moved = PTHREAD_COND_INITIALIZER;

static void ring_wait(const uint64_t *counter, uint64_t least)
{
	pthread_mutex_lock(&ring_lock);
	while (*counter < least)
		pthread_cond_wait(&ring_moved, &ring_lock);
	pthread_mutex_unlock(&ring_lock);
}

static void ring_move(uint64_t *counter)
{
	pthread_mutex_lock(&ring_lock);
	++*counter;
	pthread_cond_broadcast(&ring_moved);
	pthread_mutex_unlock(&ring_lock);
}

static void *consume(void *arg)
{
	(void)arg;
	for (uint64_t batch = 0; batch < BATCHES; batch++) {
		ring_wait(&ring_put, batch + 1);
		for (int i = 0; i < BATCH; i++)
			free(ring[batch % RING][i]);
		ring_move(&ring_got);
	}
	return NULL;
}

static void producer_consumer(void)
{
	uint64_t seed = 362436069;
	pthread_t consumer;

	ring_room = threads == 1 ? 1 : RING;
	start(&consumer, consume, NULL);
	for (uint64_t batch = 0; batch < BATCHES; batch++) {
		ring_wait(&ring_got, batch < ring_room ? 0 : batch - ring_room + 1);
		for (int i = 0; i < BATCH; i++)
			ring[batch % RING][i] = object(16 + next_random(&seed) % 240);
		ring_move(&ring_put);
	}
	pthread_join(consumer, NULL);
	operations += (uint64_t)BATCHES * BATCH;
}

/* Allocates a few objects of every size, and frees them in order and in reverse order. */
enum { SWEEP_BYTES = 4 << 20, SWEEP_OBJECTS = 500, SWEEP_ROUNDS = 6000 };

static size_t sweep_min, sweep_max;

static void *sweep_run(void *arg)
{
	void *some[SWEEP_OBJECTS];

	(void)arg;
	for (size_t size = sweep_min; size <= sweep_max; size += size / 2) {
		size_t n = SWEEP_BYTES / size < SWEEP_OBJECTS ? SWEEP_BYTES / size : SWEEP_OBJECTS;
		size_t rounds = SWEEP_ROUNDS * SWEEP_OBJECTS / n;

		/* Each page of a large object is written, so a sweep has fewer of those. */
		if (size > 1024)
			rounds /= 4;
		if (size > 32768)
			rounds /= 16;
		rounds = rounds / part + 1;
		for (size_t round = 0; round < rounds; round++) {
			for (size_t i = 0; i < n; i++)
				some[i] = object(size);
			for (size_t i = 0; i < n; i++)
				free(some[round % 2 ? i : n - 1 - i]);
		}
		operations += rounds * n;
	}
	return NULL;
}

static int workload(const char *name)
{
	if (!strcmp(name, "larson"))
		on_threads(larson_run);
	else if (!strcmp(name, "lifetimes"))
		on_threads(lifetimes_run);
	else if (!strcmp(name, "producer-consumer"))
		producer_consumer();
	else if (sscanf(name, "sweep-%zu-%zu", &sweep_min, &sweep_max) == 2)
		on_threads(sweep_run);
	else
		return -1;
	return 0;
}

static uint64_t now(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

/* Peak memory since exec. That of getrusage() includes the parent's. */
static long peak_kib(void)
{
	FILE *file = fopen("/proc/self/status", "r");
	char line[128];
	long kib = -1;

	while (file && fgets(line, sizeof(line), file))
		if (sscanf(line, "VmHWM: %ld", &kib) == 1)
			break;
	return kib;
}

int main(int argc, char **argv)
{
	uint64_t cpu, wall;

	if (argc < 3 || argc > 4 || (threads = atoi(argv[2])) < 1 || threads > 64)
		return 2;
	if (argc == 4)
		part = atoi(argv[3]);
	if (part < 1)
		return 2;
	cpu = now(CLOCK_PROCESS_CPUTIME_ID);
	wall = now(CLOCK_MONOTONIC);
	if (workload(argv[1]))
		return 2;
	wall = now(CLOCK_MONOTONIC) - wall;
	cpu = now(CLOCK_PROCESS_CPUTIME_ID) - cpu;
	printf("%ju %ju %ju %ld\n", (uintmax_t)operations, (uintmax_t)cpu / threads,
	       (uintmax_t)wall, peak_kib());
	return 0;
}
