// SPDX-License-Identifier: MIT
/*
 * The heap against a naive model, over a memfd: the machine's own coherence
 * stands in for DSM's, and processes pretend to be different nodes.
 *
 * The model: a word for every 16 bytes of the region that says which object
 * is there, a word for every block that says which node's objects are in it,
 * and in every object a pattern made of its address and size.
 *
 * heap-model-test [TEST...]: attach, model, ..., as below.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "check.h"
#include "class.h"
#include "dsm.h"
#include "fork.h"
#include "heap.h"
#include "layout.h"
#include "stats.h"

#define BASE		((char *)0x400000000000)
#define MIB		((size_t)1 << 20)
#define CHUNK		((size_t)CHUNK_SIZE)
#define BLOCKS_MAX	(256 * MIB / 4096)

/* ---- TAP -------------------------------------------------------------- */

static int tests, failures, checks_failed;

static bool check(bool holds, int line, const char *what)
{
	if (!holds) {
		checks_failed++;
		printf("# line %d: %s\n", line, what);
		fflush(stdout);
	}
	return holds;
}

#define CHECK(cond) check(cond, __LINE__, #cond)

#define REQUIRE(cond) \
	do { \
		if (!CHECK(cond)) \
			_exit(99); \
	} while (0)

static void result(const char *name)
{
	printf("%s %d - %s\n", checks_failed ? "not ok" : "ok", ++tests, name);
	fflush(stdout);
	failures += !!checks_failed;
	checks_failed = 0;
}

/* ---- a region --------------------------------------------------------- */

struct region {
	size_t size;
	size_t block_size;
	unsigned int nodes;
};

static void region_map(const struct region *region)
{
	int fd = memfd_create("heap", MFD_CLOEXEC);

	REQUIRE(fd >= 0);
	REQUIRE(!ftruncate(fd, region->size));
	REQUIRE(mmap(BASE, region->size, PROT_READ | PROT_WRITE,
		     MAP_SHARED | MAP_FIXED, fd, 0) == BASE);
	close(fd);
	/* what tools knew of another region there */
	dsm_check_take(BASE, region->size);
}

static _Atomic unsigned int purges;

static int purge(void *addr, size_t len)
{
	atomic_fetch_add(&purges, 1);
	return madvise(addr, len, MADV_REMOVE);
}

static void region_attach(const struct region *region, struct dsm_heap *heap,
			  unsigned int node)
{
	REQUIRE(!dsm_heap_attach(heap, BASE, region->size, region->block_size,
				 node, region->nodes, true));
	heap->purge = purge;
}

/* Before what it is in is replaced. */
static void region_detach(struct dsm_heap *heap)
{
	CHECK(dsm_heap_detach(heap));
}

/* What is on its way from one node to another arrives. */
static void settle(struct dsm_heap *heap, unsigned int nodes)
{
	for (unsigned int i = 0; i < 2 * nodes; i++)
		dsm_heap_trim(&heap[i % nodes]);
}

static void heap_stats(struct dsm_heap *heap, struct dsm_heap_stats *stats)
{
	dsm_heap_trim(heap);
	dsm_stats_read(heap, heap->node, stats);
}

static void *shared_alloc(size_t size)
{
	void *ptr = mmap(NULL, size, PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	REQUIRE(ptr != MAP_FAILED);
	return ptr;
}

/* ---- random numbers: xorshift, seeded for each test -------------------- */

static uint64_t next_random(uint64_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return *seed;
}

/* Mostly small, sometimes large, any number of bytes. */
static size_t random_size(uint64_t *seed, size_t max)
{
	unsigned int bits = next_random(seed) % 24;
	size_t size = next_random(seed) & (((size_t)1 << bits) - 1);

	return size > max ? size % max : size;
}

static void sleep_us(long us)
{
	const struct timespec nap = { .tv_nsec = us * 1000 };

	nanosleep(&nap, NULL);
}

/* ---- patterns --------------------------------------------------------- */

static uint8_t pattern(const void *ptr, size_t size, size_t i)
{
	return ((uintptr_t)ptr >> 4) * 31 + size + i;
}

/* All of a small object, and both ends of a large one. */
static size_t pattern_step(size_t size, size_t i)
{
	return size > 16384 && i >= 4096 && i + 8192 < size ? 4096 : 1;
}

static void fill(void *ptr, size_t size)
{
	for (size_t i = 0; i < size; i += pattern_step(size, i))
		((uint8_t *)ptr)[i] = pattern(ptr, size, i);
}

static bool filled(const void *ptr, size_t size)
{
	for (size_t i = 0; i < size; i += pattern_step(size, i))
		if (((const uint8_t *)ptr)[i] != pattern(ptr, size, i))
			return false;
	return true;
}

/* ---- classes ---------------------------------------------------------- */

/* Multiplying is as good as dividing, wherever in a slab an address is. */
static void test_classes(void)
{
	for (unsigned int class = 0; class < CLASSES && !checks_failed; class++) {
		uint32_t size = dsm_class_size(class);
		uint32_t bytes = dsm_class_units(class) * UNIT_SIZE;
		uint64_t recip = dsm_class_recip(class);

		CHECK(dsm_class_of_size(size) == class);
		CHECK(dsm_class_of_size(size + 1) == class + 1);
		for (uint32_t off = 0; off < bytes; off++) {
			uint64_t index = dsm_class_index(off, recip);

			if (off % size ? index < dsm_class_capacity(class) : index != off / size) {
				CHECK(!"the index is what division gives");
				break;
			}
		}
		/* before the slab, in its chunk */
		for (uint32_t off = 1; off < CHUNK; off += 16)
			if (dsm_class_index(-off, recip) < dsm_class_capacity(class))
				CHECK(!"nothing is before the first");
	}
	result("classes: an address's object, without a division");
}

/* ---- attaching -------------------------------------------------------- */

static void test_attach(void)
{
	const struct region region = { 16 * MIB, 4096, 3 };
	struct dsm_heap heap, other;

	region_map(&region);
	CHECK(dsm_heap_attach(&heap, BASE, region.size, 4096, 0, 3, false) == ENOENT);
	CHECK(dsm_heap_attach(&heap, BASE + 4096, region.size, 4096, 0, 3, true) == EINVAL);
	CHECK(dsm_heap_attach(&heap, BASE, region.size, 5000, 0, 3, true) == EINVAL);
	CHECK(dsm_heap_attach(&heap, BASE, region.size, 131072, 0, 3, true) == EINVAL);
	CHECK(dsm_heap_attach(&heap, BASE, region.size, 4096, 3, 3, true) == EINVAL);
	CHECK(dsm_heap_attach(&heap, BASE, 3 * MIB, 4096, 0, 3, true) == ENOMEM);
	region_attach(&region, &heap, 0);
	region_attach(&region, &other, 2);
	region_detach(&other);
	CHECK(dsm_heap_attach(&other, BASE, region.size, 8192, 0, 3, true) == EINVAL);
	CHECK(dsm_heap_attach(&other, BASE, 8 * MIB, 4096, 0, 3, true) == EINVAL);
	CHECK(!dsm_heap_attach(&other, BASE, region.size, 4096, 1, 3, false));
	CHECK(!dsm_heap_root(&other));
	dsm_heap_root_set(&heap, BASE + 4096);
	CHECK(dsm_heap_root(&other) == BASE + 4096);
	region_detach(&heap);

	region_map(&region);
	BASE[0] = 'x';
	CHECK(dsm_heap_attach(&heap, BASE, region.size, 4096, 0, 3, true) == EINVAL);
	CHECK(dsm_heap_attach(&heap, BASE, region.size, 4096, 0, 3, false) == EINVAL);
	CHECK(BASE[0] == 'x');
	result("attach: makes a heap of nothing, finds one, refuses all else");
}

/* ---- one thread ------------------------------------------------------- */

enum { OBJECTS = 2000 };

struct object {
	void   *ptr;
	size_t size;
};

struct model {
	struct region region;
	uint16_t      *granule;		/* whose: index + 1 */
	struct object object[OBJECTS];
};

static void model_set(struct model *model, unsigned int i, uint16_t from,
		      uint16_t to)
{
	size_t first = ((char *)model->object[i].ptr - BASE) / 16;
	size_t n = (model->object[i].size + 15) / 16;

	if (!n)
		n = 1;
	for (size_t g = first; g < first + n; g++) {
		if (model->granule[g] != from) {
			CHECK(!"objects overlap");
			return;
		}
		model->granule[g] = to;
	}
}

static void model_alloc(struct model *model, struct dsm_heap *heap,
			unsigned int i, uint64_t *seed)
{
	size_t align = next_random(seed) % 8 ? 16 :
		       (size_t)1 << next_random(seed) % 22;
	size_t size = random_size(seed, 3 * MIB);
	bool zero = next_random(seed) % 4 == 0;
	const char *wrong;
	char *ptr = dsm_heap_alloc(heap, align, size, zero);

	if (!ptr)
		return;
	CHECK(!((uintptr_t)ptr % align) && !((uintptr_t)ptr % 16));
	CHECK(ptr >= BASE && ptr + size <= BASE + model->region.size);
	CHECK(dsm_heap_usable(heap, ptr, &wrong) >= size && !wrong);
	CHECK(dsm_heap_owner(heap, ptr) == (int)heap->node);
	if (zero)
		for (size_t b = 0; b < size; b++)
			if (ptr[b]) {
				CHECK(!"calloc of recycled memory is not zero");
				break;
			}
	model->object[i] = (struct object){ ptr, size };
	model_set(model, i, 0, i + 1);
	fill(ptr, size);
}

static void model_free(struct model *model, struct dsm_heap *heap,
		       unsigned int i)
{
	struct object *object = &model->object[i];

	CHECK(filled(object->ptr, object->size));
	model_set(model, i, i + 1, 0);
	CHECK(!dsm_heap_free(heap, object->ptr));
	object->ptr = NULL;
}

static void test_model(size_t block_size)
{
	struct model *model = calloc(1, sizeof(*model));
	struct dsm_heap_stats stats;
	struct dsm_heap heap[2];
	uint64_t seed = 88172645463325252 + block_size;
	char name[80];

	model->region = (struct region){ 64 * MIB, block_size, 2 };
	model->granule = calloc(model->region.size / 16, sizeof(uint16_t));
	region_map(&model->region);
	region_attach(&model->region, &heap[0], 0);
	region_attach(&model->region, &heap[1], 1);
	for (int step = 0; step < 30000 && !checks_failed; step++) {
		unsigned int i = next_random(&seed) % OBJECTS;
		struct dsm_heap *by = &heap[next_random(&seed) % 2];

		if (model->object[i].ptr)
			model_free(model, by, i);
		else
			model_alloc(model, by, i, &seed);
	}
	for (unsigned int i = 0; i < OBJECTS; i++)
		if (model->object[i].ptr)
			model_free(model, &heap[i % 2], i);
	settle(heap, 2);
	for (int n = 0; n < 2; n++) {
		heap_stats(&heap[n], &stats);
		CHECK(!stats.live);
	}
	region_detach(&heap[0]);
	region_detach(&heap[1]);
	free(model->granule);
	free(model);
	snprintf(name, sizeof(name),
		 "model: random operations of two nodes, blocks of %zu", block_size);
	result(name);
}

static void test_alignment(void)
{
	const struct region region = { 64 * MIB, 4096, 1 };
	static const size_t sizes[] = {
		0, 1, 16, 100, 5000, 40000, 70000, 1 * MIB, 31 * 65536 - 1,
		31 * 65536, 31 * 65536 + 1, 2 * MIB, 5 * MIB
	};
	struct dsm_heap heap;
	char *ptr[2];

	region_map(&region);
	region_attach(&region, &heap, 0);
	for (size_t align = 1; align <= 8 * CHUNK; align *= 2) {
		for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
			for (int i = 0; i < 2; i++) {
				ptr[i] = dsm_heap_alloc(&heap, align, sizes[s], false);
				REQUIRE(ptr[i]);
				CHECK(!((uintptr_t)ptr[i] % align));
				CHECK(!((uintptr_t)ptr[i] % 16));
				memset(ptr[i], 'a' + i, sizes[s]);
			}
			CHECK(ptr[0] != ptr[1]);
			CHECK(!sizes[s] || ptr[0][sizes[s] - 1] == 'a');
			for (int i = 0; i < 2; i++)
				CHECK(!dsm_heap_free(&heap, ptr[i]));
		}
	}
	for (size_t align = 64 * MIB; align; align *= 2)
		CHECK(!dsm_heap_alloc(&heap, align, 100, false));
	region_detach(&heap);
	result("alignment: every power of two up to 8 chunks, every kind of size");
}

static void test_limits(void)
{
	const struct region region = { 32 * MIB, 4096, 2 };
	static const size_t huge[] = {
		32 * MIB, 33 * MIB, (size_t)1 << 40, PTRDIFF_MAX,
		(size_t)PTRDIFF_MAX + 1, SIZE_MAX - 4095, SIZE_MAX
	};
	struct dsm_heap heap, other;
	size_t most;
	void *ptr;

	region_map(&region);
	region_attach(&region, &heap, 0);
	region_attach(&region, &other, 1);
	for (size_t i = 0; i < sizeof(huge) / sizeof(huge[0]); i++) {
		CHECK(!dsm_heap_alloc(&heap, 16, huge[i], false));
		CHECK(!dsm_heap_alloc(&heap, CHUNK, huge[i], true));
	}
	/* all but the superblock's chunk and the object's headers, and its redzone */
	most = 30 * MIB - 65536 - (heap.checks ? 24 : 0);
	ptr = dsm_heap_alloc(&heap, 16, most, true);
	REQUIRE(ptr);
	memset(ptr, 1, most);
	CHECK(!dsm_heap_alloc(&other, 16, 1, false));
	CHECK(!dsm_heap_free(&other, ptr));
	ptr = dsm_heap_alloc(&heap, 16, most, true);
	REQUIRE(ptr);
	CHECK(!*(char *)ptr);
	CHECK(!dsm_heap_free(&heap, ptr));
	region_detach(&heap);
	region_detach(&other);
	result("limits: too much is NULL, nearly all of the region is not");
}

static void *resize(struct dsm_heap *heap, void *ptr, size_t size)
{
	const char *wrong = NULL;
	void *now = dsm_heap_resize(heap, ptr, size, &wrong);

	CHECK(!wrong);
	return now;
}

/* Objects keep what they had; large ones stay where they are if they can. */
static void test_resize(void)
{
	enum { OBJECTS_RESIZED = 40, STEPS = 6000 };
	const struct region region = { 128 * MIB, 4096, 2 };
	struct { uint8_t *ptr; size_t size; } object[OBJECTS_RESIZED] = { { NULL, 0 } };
	struct dsm_heap_stats stats;
	uint64_t seed = 88172645463325252;
	struct dsm_heap heap[2];
	const char *wrong;
	void *ptr;

	region_map(&region);
	region_attach(&region, &heap[0], 0);
	region_attach(&region, &heap[1], 1);
	ptr = dsm_heap_alloc(&heap[0], 16, 200000, false);
	if (!heap[0].checks) {
		CHECK(resize(&heap[0], ptr, 700000) == ptr);
		CHECK(resize(&heap[0], ptr, 140000) == ptr);
		CHECK(dsm_heap_usable(&heap[0], ptr, &wrong) < 200000);
	}
	CHECK(!dsm_heap_free(&heap[0], ptr));
	ptr = dsm_heap_alloc(&heap[0], 16, 10 * MIB, false);
	if (!heap[0].checks) {
		CHECK(resize(&heap[0], ptr, 5 * MIB) == ptr);
		CHECK(resize(&heap[0], ptr, 9 * MIB) == ptr);
		CHECK(!dsm_heap_resize(&heap[0], ptr, PTRDIFF_MAX, &wrong));
		CHECK(!dsm_heap_resize(&heap[0], ptr, 200 * MIB, &wrong));
	}
	CHECK(!dsm_heap_free(&heap[0], ptr));
	for (int step = 0; step < STEPS; step++) {
		unsigned int i = next_random(&seed) % OBJECTS_RESIZED;
		size_t size = 1 + random_size(&seed, step % 10 ? 300000 : 5000000);
		struct dsm_heap *by = &heap[next_random(&seed) % 2];
		size_t same = size < object[i].size ? size : object[i].size;

		ptr = object[i].ptr ? resize(by, object[i].ptr, size) :
				      dsm_heap_alloc(by, 16, size, false);
		if (!CHECK(ptr))
			break;
		for (size_t at = 0; at < same; at += 1 + at / 8)
			CHECK(((uint8_t *)ptr)[at] == (uint8_t)(i * 31 + at));
		for (size_t at = 0; at < size; at++)
			((uint8_t *)ptr)[at] = i * 31 + at;
		object[i].ptr = ptr;
		object[i].size = size;
	}
	for (int i = 0; i < OBJECTS_RESIZED; i++)
		CHECK(!object[i].ptr || !dsm_heap_free(&heap[0], object[i].ptr));
	settle(heap, 2);
	for (int i = 0; i < 2; i++) {
		heap_stats(&heap[i], &stats);
		CHECK(!stats.live);
		region_detach(&heap[i]);
	}
	result("resize: contents stay, and large objects where they are");
}

static void test_exhaustion(void)
{
	const struct region region = { 24 * MIB, 4096, 2 };
	static const size_t sizes[] = { 64, 1000, 9000, 40000, 700000, 3 * MIB };
	struct dsm_heap heap[2];
	struct dsm_heap_stats stats;
	void **list = malloc(24 * MIB / 64 * sizeof(*list));
	size_t n, first;

	region_map(&region);
	region_attach(&region, &heap[0], 0);
	region_attach(&region, &heap[1], 1);
	for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
		size_t got[2] = { 0 };

		for (int round = 0; round < 2; round++) {
			for (n = 0; ; n++) {
				list[n] = dsm_heap_alloc(&heap[0], 16, sizes[s], false);
				if (!list[n])
					break;
			}
			got[round] = n;
			CHECK(n * sizes[s] > 11 * MIB);
			CHECK(!dsm_heap_alloc(&heap[1], 16, sizes[s], false));
			/* half of it on the other node: it must come home */
			for (first = n; n; n--)
				CHECK(!dsm_heap_free(&heap[n > first / 2], list[n - 1]));
			settle(heap, 2);
		}
		CHECK(got[0] == got[1]);
		heap_stats(&heap[0], &stats);
		CHECK(!stats.live);
	}
	region_detach(&heap[0]);
	region_detach(&heap[1]);
	free(list);
	result("exhaustion: full is NULL, and what is freed anywhere can be had again");
}

/* Small objects' memory becomes that of larger ones, and the other way round. */
static void test_reuse(void)
{
	static const size_t sizes[] = { 60000, 300000, 100, 700000, 120000, 9000, 1500000 };
	const struct region region = { 64 * MIB, 4096, 1 };
	struct dsm_heap_stats stats;
	struct dsm_heap heap;
	void *object[100];
	uint64_t chunks = 0;

	region_map(&region);
	region_attach(&region, &heap, 0);
	for (int round = 0; round < 10; round++) {
		for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
			int n = 3 * MIB / sizes[s] < 100 ? 3 * MIB / sizes[s] : 100;

			for (int i = 0; i < n; i++) {
				object[i] = dsm_heap_alloc(&heap, 16, sizes[s], false);
				REQUIRE(object[i]);
			}
			for (int i = 0; i < n; i++)
				CHECK(!dsm_heap_free(&heap, object[i]));
		}
		dsm_stats_read(&heap, 0, &stats);
		if (stats.chunks > chunks)
			chunks = stats.chunks;
	}
	/* 3 MiB of chunks of 31 units, and what is open of other sizes */
	if (!CHECK(chunks <= 3))
		printf("# %ju chunks\n", (uintmax_t)chunks);
	region_detach(&heap);
	result("reuse: memory of one size serves for others");
}

static void *release_run(void *arg)
{
	struct dsm_heap *heap = arg;

	sleep_us(20000);
	for (uint32_t chunk = heap->first; chunk < heap->chunks; chunk++)
		if (CHUNK_KIND(atomic_load(&heap->table[chunk])) == CHUNK_CLAIMED)
			atomic_store(&heap->table[chunk], CHUNK_USED);
	return NULL;
}

/* While another node gives back the frames of what is free. */
static void test_claimed(void)
{
	const struct region region = { 16 * MIB, 4096, 2 };
	struct dsm_heap heap;
	pthread_t thread;
	void *ptr;

	region_map(&region);
	region_attach(&region, &heap, 0);
	for (uint32_t chunk = heap.first; chunk < heap.chunks; chunk++)
		atomic_store(&heap.table[chunk], CHUNK_USED | CHUNK_CLAIMED | 2);
	REQUIRE(!pthread_create(&thread, NULL, release_run, &heap));
	ptr = dsm_heap_alloc(&heap, 16, 100, false);
	pthread_join(thread, NULL);
	CHECK(ptr && !dsm_heap_free(&heap, ptr));
	/* but not for ever */
	for (uint32_t chunk = heap.first; chunk < heap.chunks; chunk++)
		if (!CHUNK_OWNER(atomic_load(&heap.table[chunk])))
			atomic_store(&heap.table[chunk], CHUNK_USED | CHUNK_CLAIMED | 2);
	CHECK(!dsm_heap_alloc(&heap, 16, 8 * MIB, false));
	region_detach(&heap);
	result("claimed: what another node has in hand is waited for");
}

static void test_abuse(void)
{
	const struct region region = { 32 * MIB, 4096, 2 };
	static const size_t sizes[] = { 16, 48, 3000, 20000, 65536, 200000, 5 * MIB };
	struct dsm_heap heap[2];
	const char *wrong;

	region_map(&region);
	region_attach(&region, &heap[0], 0);
	region_attach(&region, &heap[1], 1);
	/* tools would complain, and are right */
	heap[0].checks &= CHECK_REDZONES;
	heap[1].checks &= CHECK_REDZONES;
	for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
		char *kept = dsm_heap_alloc(&heap[0], 16, sizes[s], false);
		char *ptr = dsm_heap_alloc(&heap[0], 16, sizes[s], false);

		for (int by = 0; by < 2; by++) {
			CHECK(dsm_heap_free(&heap[by], ptr + 1));
			CHECK(dsm_heap_free(&heap[by], ptr + 8));
			CHECK(sizes[s] <= 16 || dsm_heap_free(&heap[by], ptr + 16));
			CHECK(dsm_heap_free(&heap[by], ptr + sizes[s] / 2 + 1));
			CHECK(!dsm_heap_usable(&heap[by], ptr + 1, &wrong) && wrong);
		}
		CHECK(!dsm_heap_free(&heap[0], ptr));
		CHECK(dsm_heap_free(&heap[0], ptr));
		ptr = dsm_heap_alloc(&heap[0], 16, sizes[s], false);
		CHECK(!dsm_heap_free(&heap[1], ptr));
		CHECK(dsm_heap_free(&heap[1], ptr));
		CHECK(!dsm_heap_free(&heap[0], kept));
	}
	for (int by = 0; by < 2; by++) {
		CHECK(dsm_heap_free(&heap[by], BASE));
		CHECK(dsm_heap_free(&heap[by], BASE + 4096));
		CHECK(dsm_heap_free(&heap[by], BASE + CHUNK));
		CHECK(dsm_heap_free(&heap[by], BASE + CHUNK + 4096));
		CHECK(dsm_heap_free(&heap[by], BASE + region.size - 65536));
	}
	region_detach(&heap[0]);
	region_detach(&heap[1]);
	result("abuse: double free, pointers into objects, headers, and nowhere");
}

struct freed {
	struct dsm_heap *heap;
	void		*ptr;
	const char	*wrong;
};

static void *freed_run(void *arg)
{
	struct freed *freed = arg;

	freed->wrong = dsm_heap_free(freed->heap, freed->ptr);
	return NULL;
}

static const char *free_by_thread(struct dsm_heap *heap, void *ptr)
{
	struct freed freed = { heap, ptr, NULL };
	pthread_t thread;

	REQUIRE(!pthread_create(&thread, NULL, freed_run, &freed));
	pthread_join(thread, NULL);
	return freed.wrong;
}

/* The second free is the one that is wrong, whichever thread's the slab is. */
static void test_abuse_threads(void)
{
	static const size_t sizes[] = { 16, 48, 3000, 20000, 65536, 131072, 200000 };
	const struct region region = { 32 * MIB, 4096, 1 };
	struct dsm_heap heap;

	region_map(&region);
	region_attach(&region, &heap, 0);
	heap.checks &= CHECK_REDZONES;
	for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
		char *ptr[3];

		for (int i = 0; i < 3; i++)
			ptr[i] = dsm_heap_alloc(&heap, 16, sizes[s], false);
		CHECK(!free_by_thread(&heap, ptr[0]));
		CHECK(dsm_heap_free(&heap, ptr[0]));
		/* others of the slab are as good as before */
		CHECK(!dsm_heap_free(&heap, ptr[1]));
		CHECK(free_by_thread(&heap, ptr[1]));
		CHECK(!free_by_thread(&heap, ptr[2]));
		CHECK(free_by_thread(&heap, ptr[2]));
	}
	region_detach(&heap);
	result("abuse: an object that two threads free");
}

/* Which address is said to be wrong, when the owner is who finds out. */
static void test_abuse_addresses(void)
{
	enum { WRONG = 3, SIZE = 100 };
	const struct region region = { 32 * MIB, 4096, 2 };
	struct dsm_heap heap[2];
	char *ptr[WRONG], said[1000], address[40];
	ssize_t n = 0, more;
	int end[2], status;
	pid_t pid;

	region_map(&region);
	region_attach(&region, &heap[0], 0);
	region_attach(&region, &heap[1], 1);
	heap[0].checks = 0;
	heap[1].checks = 0;
	for (int i = 0; i < WRONG; i++)
		ptr[i] = dsm_heap_alloc(&heap[0], 16, SIZE, false);
	for (int i = 0; i < WRONG; i++) {
		CHECK(!dsm_heap_free(&heap[1], ptr[i]));
		CHECK(!dsm_heap_free(&heap[0], ptr[i]));
	}
	dsm_heap_trim(&heap[1]);
	REQUIRE(!pipe(end));
	pid = fork();
	if (!pid) {
		setenv("DSM_HEAP_ABORT", "0", true);
		dup2(end[1], STDERR_FILENO);
		dsm_heap_trim(&heap[0]);
		_exit(0);
	}
	close(end[1]);
	while ((more = read(end[0], said + n, sizeof(said) - 1 - n)) > 0)
		n += more;
	said[n] = '\0';
	close(end[0]);
	CHECK(waitpid(pid, &status, 0) == pid && !status);
	for (int i = 0; i < WRONG; i++) {
		snprintf(address, sizeof(address), "%p", ptr[i]);
		if (!CHECK(strstr(said, address)))
			printf("# %s is not in: %s\n", address, said);
	}
	region_detach(&heap[0]);
	region_detach(&heap[1]);
	result("abuse: its owner names an object that was freed here and elsewhere");
}

/* Ends as abort() does, and says why, which need not be seen. */
static bool aborts_after_free(struct dsm_heap *heap, bool write)
{
	int status, null = open("/dev/null", O_WRONLY | O_CLOEXEC);
	pid_t pid = fork();
	uint8_t *ptr;

	if (!pid) {
		dup2(null, STDERR_FILENO);
		ptr = dsm_heap_alloc(heap, 16, 1000, false);
		if (dsm_heap_free(heap, ptr))
			_exit(1);
		if (write)
			ptr[500] = 1;
		/* the same one */
		_exit(dsm_heap_alloc(heap, 16, 1000, false) != ptr);
	}
	close(null);
	return waitpid(pid, &status, 0) == pid && WIFSIGNALED(status) &&
	       WTERMSIG(status) == SIGABRT;
}

static void test_redzones(void)
{
	static const size_t sizes[] = { 0, 1, 24, 100, 4000, 100000, 200000, 5 * MIB };
	const struct region region = { 64 * MIB, 4096, 2 };
	struct dsm_heap heap[2];
	const char *wrong;
	uint8_t *ptr;

	CHECK(!setenv("DSM_HEAP_CHECK", "1", true));
	region_map(&region);
	region_attach(&region, &heap[0], 0);
	CHECK(!unsetenv("DSM_HEAP_CHECK"));
	/* it is the heap that has them, for every process */
	region_attach(&region, &heap[1], 1);
	/* tools would be before us */
	heap[0].checks &= CHECK_REDZONES;
	heap[1].checks &= CHECK_REDZONES;
	for (size_t i = 0; i < 2 * sizeof(sizes) / sizeof(sizes[0]); i++) {
		size_t size = sizes[i / 2];
		struct dsm_heap *by = &heap[i % 2];

		ptr = dsm_heap_alloc(&heap[0], 16, size, false);
		REQUIRE(ptr);
		CHECK(dsm_heap_usable(by, ptr, &wrong) == size);
		CHECK(!size || ptr[size - 1] == 0xa5);
		ptr[size]++;
		CHECK(dsm_heap_free(by, ptr));
		ptr[size]--;
		CHECK(!dsm_heap_free(by, ptr));
		CHECK(size > 100000 || dsm_heap_free(by, ptr));
	}
	CHECK(!aborts_after_free(&heap[0], false));
	CHECK(aborts_after_free(&heap[0], true));
	region_detach(&heap[0]);
	region_detach(&heap[1]);
	result("redzones: what is written behind an object, or after its end, is found");
}

/* ---- other nodes' objects --------------------------------------------- */

static void test_parcels(void)
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

	/* and what a thread had that has ended; nobody trims its node's */
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

static void test_stats(void)
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

	/* by another thread, and by another node */
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

/* Frees what it was given as the last of some of its own; those it keeps. */
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

static void test_keep(void)
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
	/* for nobody but its thread, and only once */
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

	/* until it ends, or has none for another */
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

/* ---- several threads and processes ------------------------------------ */

enum { SLOTS = 512 };

struct slot {
	_Atomic(void *) ptr;
	size_t		size;
};

/* What the workers share; not in the region. */
struct stage {
	struct region	 region;
	_Atomic uint32_t block[BLOCKS_MAX];	/* node + 1 << 24 | objects */
	struct slot	 slot[SLOTS];
	_Atomic int	 problems;
};

/* Counts an object in or out of its blocks: they must be of one node's. */
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

/* Puts new objects in slots all share, and frees whatever was there. */
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

static struct stage *stage_make(unsigned int nodes, size_t block_size)
{
	struct stage *stage = shared_alloc(sizeof(*stage));

	stage->region = (struct region){ 64 * MIB, block_size, nodes };
	region_map(&stage->region);
	return stage;
}

/* Frees what is in the slots, and checks that nothing else is anywhere. */
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

static void test_threads(void)
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
	/* attached by each for itself, all at once */
	region_attach(&stage->region, &heap, node);
	if (!stage_work(stage, &heap, seed, steps))
		stage->problems++;
	_exit(0);
}

static void test_nodes(size_t block_size)
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
 * Killed between taking a pointer from its slot and freeing it, or between
 * malloc's decision and its return, a process leaks that object: one each.
 * What it was about to count makes the blocks' counts wrong: not used here.
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

static void test_kill(void)
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
	/* and it all still works */
	for (int node = 0; node < NODES; node++) {
		CHECK(stage_work(stage, &heap[node], 99 + node, 2000));
		region_detach(&heap[node]);
	}
	stage_end(stage, objects);
	result("kill: at any moment, 600 times: the heap stays usable, the leak bounded");
}

/* ---- fork of what does not know ------------------------------------------- */

enum { FORK_OBJECTS = 3000 };

/* Each has a byte of its own throughout. */
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

static void test_fork(void)
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
		/* while it does, ours change as well */
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

/* ---- what is empty has no memory ----------------------------------------- */

/* Pages of the region that there is memory for. */
static size_t resident(const struct region *region)
{
	size_t pages = region->size / 4096, n = 0;
	unsigned char *in = malloc(pages);

	REQUIRE(in && !mincore(BASE, region->size, in));
	for (size_t i = 0; i < pages; i++)
		n += in[i] & 1;
	free(in);
	return n * 4096;
}

static bool all_zero(const char *ptr, size_t size)
{
	for (size_t i = 0; i < size; i++)
		if (ptr[i])
			return false;
	return true;
}

/* Objects of all sizes; then every other of them is freed, and the rest. */
static void test_purge(void)
{
	static const size_t sizes[] = { 48, 3000, 20000, 100000, 300000, 1500000, 5000000 };
	enum { KINDS = sizeof(sizes) / sizeof(sizes[0]), OBJECTS = 40 };
	struct region region = { 512 * MIB, 4096, 1 };
	static char *object[KINDS * OBJECTS];
	struct dsm_heap heap;
	size_t full, half, empty;
	unsigned int before;
	char *again;

	region_map(&region);
	region_attach(&region, &heap, 0);
	empty = resident(&region);
	for (int i = 0; i < KINDS * OBJECTS; i++) {
		size_t size = sizes[i % KINDS];

		object[i] = dsm_heap_alloc(&heap, 16, size, false);
		REQUIRE(object[i]);
		memset(object[i], 0x77, size);
	}
	full = resident(&region);
	for (int i = 0; i < KINDS * OBJECTS; i++)
		if (i / KINDS % 2)
			CHECK(!dsm_heap_free(&heap, object[i]));
	dsm_heap_trim(&heap);
	half = resident(&region);
	/* what is left of small ones keeps what is beside them */
	CHECK(half < full * 6 / 10);
	for (int i = 0; i < KINDS * OBJECTS; i++) {
		size_t size = sizes[i % KINDS];

		if (i / KINDS % 2) {
			/* purged memory is as good as new */
			object[i] = dsm_heap_alloc(&heap, 16, size, true);
			REQUIRE(object[i] && all_zero(object[i], size));
			memset(object[i], 0x77, size);
		} else {
			CHECK(object[i][0] == 0x77 && object[i][size - 1] == 0x77);
		}
	}
	for (int i = 0; i < KINDS * OBJECTS; i++)
		CHECK(!dsm_heap_free(&heap, object[i]));
	/* most of it goes without being told */
	CHECK(resident(&region) < 64 * MIB);
	dsm_heap_trim(&heap);
	printf("# %zu KiB with all, %zu with half, %zu with nothing; %zu before\n", full >> 10,
	       half >> 10, resident(&region) >> 10, empty >> 10);
	CHECK(resident(&region) <= empty + 512 * 1024);
	again = dsm_heap_alloc(&heap, 16, 100 * MIB, true);
	REQUIRE(again && all_zero(again, 100 * MIB));
	CHECK(!dsm_heap_free(&heap, again));

	/* a loop keeps its memory */
	before = purges;
	for (int i = 0; i < 1000; i++) {
		again = dsm_heap_alloc(&heap, 16, sizes[i % KINDS], false);
		REQUIRE(again);
		memset(again, i, sizes[i % KINDS]);
		CHECK(!dsm_heap_free(&heap, again));
	}
	CHECK(purges - before <= 1);
	region_detach(&heap);
	result("purge: what is empty has no memory, but a loop keeps what it uses");
}

/* Whether the arguments are none, or one of them is @name. */
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
	RUN(reuse);
	RUN(claimed);
	RUN(purge);
	RUN(abuse);
	RUN(abuse_threads);
	RUN(abuse_addresses);
	RUN(redzones);
	RUN(parcels);
	RUN(stats);
	RUN(keep);
	RUN(threads);
	/* tools would think that what another process allocated is free */
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
