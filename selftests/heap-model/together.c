// SPDX-License-Identifier: MIT
/* Several threads and processes. They free each other's objects, are killed, and fork. */
#include "model.h"

#include "fork.h"

/* ---- several threads and processes ------------------------------------ */

enum { SLOTS = 512 };

struct slot {
	_Atomic(void *) ptr;
	size_t		size;
};

/* What the workers share outside the region. */
struct stage {
	struct region	 region;
	_Atomic uint32_t block[BLOCKS_MAX];	/* node + 1 << 24 | objects */
	struct slot	 slot[SLOTS];
	_Atomic int	 problems;
};

/* Count an object in its blocks, or out of them. All objects of a block must be of one node. */
static bool blocks_count(struct stage *stage, const void *ptr, size_t size,
			 unsigned int node, int by)
{
	size_t first = ((const char *)ptr - BASE) / stage->region.block_size;
	size_t last = ((const char *)ptr - BASE + (size ? size - 1 : 0)) /
		      stage->region.block_size;

	for (size_t b = first; b <= last; b++) {
		uint32_t was = atomic_load(&stage->block[b]);
		uint32_t now;

		do {
			if (was && was >> 24 != node + 1)
				return false;
			now = ((was & 0xffffff) + by) | (node + 1) << 24;
			if (!(now & 0xffffff))
				now = 0;
		} while (!atomic_compare_exchange_weak(&stage->block[b], &was, now));
	}
	return true;
}

static bool stage_free(struct stage *stage, struct dsm_heap *heap, void *ptr)
{
	size_t size = *(size_t *)ptr;
	int owner = dsm_heap_owner(heap, ptr);

	return owner >= 0 && filled((char *)ptr + 8, size - 8) &&
	       blocks_count(stage, ptr, size, owner, -1) &&
	       !dsm_heap_free(heap, ptr);
}

static bool stage_alloc(struct stage *stage, struct dsm_heap *heap,
			uint64_t *seed, void **ptr)
{
	size_t size = 16 + random_size(seed, 250000);
	const char *wrong;

	*ptr = dsm_heap_alloc(heap, 16, size, false);
	if (!*ptr)
		return true;
	if (dsm_heap_usable(heap, *ptr, &wrong) < size ||
	    dsm_heap_owner(heap, *ptr) != (int)heap->node ||
	    !blocks_count(stage, *ptr, size, heap->node, 1))
		return false;
	*(size_t *)*ptr = size;
	fill((char *)*ptr + 8, size - 8);
	return true;
}

/* Stores new objects in shared slots, and frees the previous ones. */
static bool stage_work(struct stage *stage, struct dsm_heap *heap,
		       uint64_t seed, int steps)
{
	void *ptr;

	while (steps--) {
		struct slot *slot = &stage->slot[next_random(&seed) % SLOTS];

		if (!stage_alloc(stage, heap, &seed, &ptr))
			return false;
		ptr = atomic_exchange(&slot->ptr, ptr);
		if (ptr && !stage_free(stage, heap, ptr))
			return false;
	}
	return true;
}

static void *shared_alloc(size_t size)
{
	void *ptr = mmap(NULL, size, PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	REQUIRE(ptr != MAP_FAILED);
	return ptr;
}

static struct stage *stage_make(unsigned int nodes, size_t block_size)
{
	struct stage *stage = shared_alloc(sizeof(*stage));

	stage->region = (struct region){ 64 * MIB, block_size, nodes };
	region_map(&stage->region);
	return stage;
}

/* Frees the objects in the slots, and checks that no others exist. */
static void stage_end(struct stage *stage, uint64_t leaked_max)
{
	struct dsm_heap_stats stats;
	struct dsm_heap heap[3];
	uint64_t objects = 0;

	for (unsigned int node = 0; node < stage->region.nodes; node++)
		region_attach(&stage->region, &heap[node], node);
	for (int i = 0; i < SLOTS; i++) {
		void *ptr = atomic_exchange(&stage->slot[i].ptr, NULL);

		if (ptr)
			CHECK(stage_free(stage, &heap[0], ptr));
	}
	settle(heap, stage->region.nodes);
	for (unsigned int node = 0; node < stage->region.nodes; node++) {
		heap_stats(&heap[node], &stats);
		objects += stats.live;
		region_detach(&heap[node]);
	}
	if (!CHECK(objects <= leaked_max))
		printf("# %lu objects left\n", objects);
	CHECK(!stage->problems);
	munmap(stage, sizeof(*stage));
}

struct worker {
	pthread_t	thread;
	struct stage	*stage;
	struct dsm_heap	*heap;
	uint64_t	seed;
};

static void *worker_run(void *arg)
{
	struct worker *worker = arg;

	if (!stage_work(worker->stage, worker->heap, worker->seed, 12000))
		worker->stage->problems++;
	return NULL;
}

void test_threads(void)
{
	struct stage *stage = stage_make(2, 4096);
	struct worker worker[4];
	struct dsm_heap heap[2];

	region_attach(&stage->region, &heap[0], 0);
	region_attach(&stage->region, &heap[1], 1);
	for (int i = 0; i < 4; i++) {
		worker[i] = (struct worker){
			.stage = stage, .heap = &heap[i % 2], .seed = 12345 + i,
		};
		REQUIRE(!pthread_create(&worker[i].thread, NULL, worker_run, &worker[i]));
	}
	for (int i = 0; i < 4; i++)
		pthread_join(worker[i].thread, NULL);
	region_detach(&heap[0]);
	region_detach(&heap[1]);
	stage_end(stage, 0);
	result("threads: two on each of two nodes, freeing each other's objects");
}

static pid_t spawn(struct stage *stage, unsigned int node, uint64_t seed,
		   int steps)
{
	struct dsm_heap heap;
	pid_t pid = fork();

	if (pid)
		return pid;
	/* every process attaches for itself, all at once */
	region_attach(&stage->region, &heap, node);
	if (!stage_work(stage, &heap, seed, steps))
		stage->problems++;
	_exit(0);
}

void test_nodes(size_t block_size)
{
	struct stage *stage = stage_make(3, block_size);
	pid_t pid[6];
	char name[80];
	int status;

	for (int i = 0; i < 6; i++)
		pid[i] = spawn(stage, i % 3, 777 + i, 10000);
	for (int i = 0; i < 6; i++) {
		waitpid(pid[i], &status, 0);
		CHECK(!status);
	}
	stage_end(stage, 0);
	snprintf(name, sizeof(name),
		 "nodes: two processes of each of three, blocks of %zu: none shared",
		 block_size);
	result(name);
}

/*
 * A process leaks one object if it is killed between taking a pointer from its slot and
 * freeing it, or between malloc's decision and its return. The blocks' counts, which the
 * process had not yet changed, would be wrong: they are not used here.
 */
static bool kill_work(struct stage *stage, struct dsm_heap *heap, uint64_t seed)
{
	for (;;) {
		struct slot *slot = &stage->slot[next_random(&seed) % SLOTS];
		void *ptr = dsm_heap_alloc(heap, 16, random_size(&seed, 400000), false);

		ptr = atomic_exchange(&slot->ptr, ptr);
		if (ptr && dsm_heap_free(heap, ptr))
			return false;
	}
}

static pid_t kill_spawn(struct stage *stage, unsigned int node, uint64_t seed)
{
	struct dsm_heap heap;
	pid_t pid = fork();

	if (pid)
		return pid;
	region_attach(&stage->region, &heap, node);
	kill_work(stage, &heap, seed);
	stage->problems++;
	_exit(1);
}

void test_kill(void)
{
	enum { ROUNDS = 200, NODES = 2, WORKERS = 3 };
	struct stage *stage = stage_make(NODES, 4096);
	struct dsm_heap heap[NODES];
	struct dsm_heap_stats stats;
	uint64_t seed = 4242, objects = 0;
	pid_t pid[WORKERS];
	int round;

	for (int node = 0; node < NODES; node++)
		region_attach(&stage->region, &heap[node], node);
	for (round = 0; round < ROUNDS && !checks_failed; round++) {
		for (int i = 0; i < WORKERS; i++)
			pid[i] = kill_spawn(stage, i % NODES, next_random(&seed));
		sleep_us(2000 + next_random(&seed) % 6000);
		for (int i = 0; i < WORKERS; i++)
			kill(pid[i], SIGKILL);
		for (int i = 0; i < WORKERS; i++)
			waitpid(pid[i], NULL, 0);
		for (int i = 0; i < SLOTS; i++) {
			void *ptr = atomic_exchange(&stage->slot[i].ptr, NULL);

			if (ptr && !CHECK(!dsm_heap_free(&heap[i % NODES], ptr)))
				break;
		}
	}
	settle(heap, NODES);
	for (int node = 0; node < NODES; node++) {
		heap_stats(&heap[node], &stats);
		objects += stats.live;
	}
	printf("# %d processes killed, %lu objects leaked\n", round * WORKERS,
	       objects);
	CHECK(objects <= (uint64_t)round * WORKERS);
	CHECK(!stage->problems);
	/* and the heap still works */
	for (int node = 0; node < NODES; node++) {
		CHECK(stage_work(stage, &heap[node], 99 + node, 2000));
		region_detach(&heap[node]);
	}
	stage_end(stage, objects);
	result("kill: at any moment, 600 times: the heap stays usable, the leak bounded");
}

/* ---- fork without the program's knowledge ------------------------------- */

enum { FORK_OBJECTS = 3000 };

/* Each object is filled with one byte of its own. */
static bool forked_intact(char **object, const size_t *size, int salt)
{
	for (int i = 0; i < FORK_OBJECTS; i++)
		for (size_t at = 0; object[i] && at < size[i]; at += 101)
			if (object[i][at] != (char)(i + salt))
				return false;
	return true;
}

/* The child frees, changes and allocates, and forks again. */
static int forked_child(struct dsm_heap *heap, char **object, const size_t *size, int depth)
{
	int status;

	if (!heap->is_private || !forked_intact(object, size, depth - 1))
		return 2;
	for (int i = 0; i < FORK_OBJECTS; i++) {
		if (i % 3 == depth % 3) {
			if (dsm_heap_free(heap, object[i]))
				return 3;
			object[i] = dsm_heap_alloc(heap, 16, size[i], false);
		}
		if (!object[i])
			return 4;
		memset(object[i], i + depth, size[i]);
	}
	dsm_heap_trim(heap);
	if (depth < 3) {
		pid_t pid = fork();

		if (!pid)
			_exit(forked_child(heap, object, size, depth + 1));
		if (waitpid(pid, &status, 0) != pid || status)
			return 5;
	}
	return forked_intact(object, size, depth) ? 0 : 6;
}

void test_fork(void)
{
	struct region region = { 256 * MIB, 4096, 2 };
	static char *object[FORK_OBJECTS];
	static size_t size[FORK_OBJECTS];
	struct dsm_heap_stats before, after;
	uint64_t random = 7;
	struct dsm_heap heap;
	int status;
	pid_t pid;

	region_map(&region);
	region_attach(&region, &heap, 1);
	CHECK(dsm_fork_private(&heap));
	for (int i = 0; i < FORK_OBJECTS; i++) {
		size[i] = i % 300 ? 1 + next_random(&random) % 2000 : 3 * MIB / (1 + i / 300);
		/* two of the large ones start in their second chunk */
		object[i] = dsm_heap_alloc(&heap, i % 1500 ? 16 : CHUNK, size[i], false);
		REQUIRE(object[i]);
		memset(object[i], i, size[i]);
	}
	heap_stats(&heap, &before);
	for (int round = 0; round < 3; round++) {
		fflush(stdout);
		pid = fork();
		if (!pid)
			_exit(forked_child(&heap, object, size, 1));
		/* meanwhile the parent's objects change as well */
		for (int i = round; i < FORK_OBJECTS; i += 7) {
			CHECK(!dsm_heap_free(&heap, object[i]));
			object[i] = dsm_heap_alloc(&heap, 16, size[i], false);
			REQUIRE(object[i]);
			memset(object[i], i, size[i]);
		}
		REQUIRE(waitpid(pid, &status, 0) == pid);
		if (!CHECK(!status))
			printf("# status %x\n", status);
		CHECK(forked_intact(object, size, 0));
		CHECK(!heap.is_private);
	}
	heap_stats(&heap, &after);
	CHECK(after.live == before.live && after.locks_broken == before.locks_broken);
	for (int i = 0; i < FORK_OBJECTS; i++)
		CHECK(!dsm_heap_free(&heap, object[i]));
	region_detach(&heap);
	result("fork: a child has its own of what its parent had");
}
