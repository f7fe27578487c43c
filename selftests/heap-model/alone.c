// SPDX-License-Identifier: MIT
/* Tests of a single thread, on one node or two. */
#include "model.h"

/* ---- classes ---------------------------------------------------------- */

/* Multiplying by the reciprocal gives the same as dividing, for every address in a slab. */
void test_classes(void)
{
	for (unsigned int class = 0; class < CLASSES && !checks_failed; class++) {
		uint32_t size = dsm_class_size(class);
		uint32_t bytes = dsm_class_units(class) * UNIT_SIZE - dsm_class_front(class);
		bool canaries = class < CLASSES_EXACT;
		size_t usable = dsm_class_usable(class);
		uint64_t recip = dsm_class_recip(class);

		CHECK(dsm_class_of(canaries, 1, usable) == class);
		CHECK(dsm_class_of(canaries, 1, usable + 1) == dsm_class_larger(class) ||
		      class + 1 == CLASSES);
		CHECK(dsm_class_of(false, 16, dsm_class_nominal(class)) ==
		      (class < CLASSES_FRONT ? class + CLASSES_EXACT : class));
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

void test_attach(void)
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
	uint16_t      *granule;		/* index + 1 of the object */
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

void test_model(size_t block_size)
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

void test_alignment(void)
{
	const struct region region = { 192 * MIB, 4096, 1 };
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
	for (size_t align = 256 * MIB; align; align *= 2)
		CHECK(!dsm_heap_alloc(&heap, align, 100, false));
	region_detach(&heap);
	result("alignment: every power of two up to 8 chunks, every kind of size");
}

void test_limits(void)
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
	/* all but the superblock's chunk, the object's headers and its redzones */
	most = 30 * MIB - 65536 - (heap.checks ? 3 * 4096 : 0);
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

/* Resized objects keep their contents. Large ones stay in place if they can. */
void test_resize(void)
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

void test_exhaustion(void)
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
			CHECK(n * (sizes[s] + (heap[0].checks ? 120 : 0)) > 11 * MIB);
			CHECK(!dsm_heap_alloc(&heap[1], 16, sizes[s], false));
			/* half of it on the other node: it must return to its owner */
			for (first = n; n; n--)
				CHECK(!dsm_heap_free(&heap[n > first / 2], list[n - 1]));
			settle(heap, 2);
		}
		/* the parcels' slabs may serve the first time, or the second */
		if (!CHECK(got[1] + got[1] / 50 >= got[0]))
			printf("# of %zu bytes: %zu, then %zu\n", sizes[s], got[0], got[1]);
		heap_stats(&heap[0], &stats);
		CHECK(!stats.live);
	}
	region_detach(&heap[0]);
	region_detach(&heap[1]);
	free(list);
	result("exhaustion: full is NULL, and what is freed anywhere can be had again");
}

/* Small objects' memory is reused for larger ones, and the reverse. */
void test_reuse(void)
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
	/* 3 MiB of 31-unit chunks, and what other sizes have open */
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

/* Meanwhile another node releases the frames of free memory. */
void test_claimed(void)
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

/* ---- empty memory is released ------------------------------------------- */

/* Resident pages of the region. */
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

/* Allocates objects of all sizes, frees every other one, then the rest. */
void test_purge(void)
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
	/* small objects that remain keep their neighbours' memory */
	CHECK(half < full * 6 / 10);
	for (int i = 0; i < KINDS * OBJECTS; i++) {
		size_t size = sizes[i % KINDS];

		if (i / KINDS % 2) {
			/* purged memory can be used again */
			object[i] = dsm_heap_alloc(&heap, 16, size, true);
			REQUIRE(object[i] && all_zero(object[i], size));
			memset(object[i], 0x77, size);
		} else {
			CHECK(object[i][0] == 0x77 && object[i][size - 1] == 0x77);
		}
	}
	for (int i = 0; i < KINDS * OBJECTS; i++)
		CHECK(!dsm_heap_free(&heap, object[i]));
	/* most of it is released without a request */
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
