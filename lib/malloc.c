// SPDX-License-Identifier: MIT
/* malloc's interface to the heaps of this process's regions. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "check.h"
#include "error.h"
#include "misuse.h"
#include "process.h"
#include "region.h"
#include "stats.h"
#include "thread.h"

#define ALIGN_DEFAULT	16

/* ---- a segment's heap ------------------------------------------------- */

static int purge(void *addr, size_t len)
{
	return madvise(addr, len, MADV_REMOVE);
}

static int heap_attach(struct dsm_segment *segment)
{
	bool writable = atomic_load(&segment->writable);
	int node = dsm_node_id();
	int nodes = dsm_node_count();
	int err;

	if (node < 0 || nodes < 0)
		return -1;
	err = dsm_heap_attach(&segment->heap, segment->base, segment->size,
			      segment->block_size, node, nodes, writable);
	switch (err) {
	case 0:
		segment->heap.purge = purge;
		return 0;
	case EINVAL:
		return dsm_fail(EINVAL, "the region at %p has no heap of ours: it is in use as plain memory, or its heap is of another version, or for fewer nodes",
				segment->base);
	case ENOENT:
		return dsm_fail(ENOENT, "the region at %p has no heap",
				segment->base);
	default:
		return dsm_fail(err, "the region at %p is too small for a heap: %zu bytes",
				segment->base, segment->size);
	}
}

struct dsm_heap *dsm_segment_heap(struct dsm_segment *segment)
{
	int err = 0;

	if (atomic_load(&segment->heap_ready))
		return &segment->heap;
	dsm_process_check();
	pthread_mutex_lock(&segment->heap_lock);
	if (!atomic_load(&segment->heap_ready)) {
		err = heap_attach(segment);
		atomic_store(&segment->heap_ready, !err);
	}
	pthread_mutex_unlock(&segment->heap_lock);
	return err ? NULL : &segment->heap;
}

/* For allocating. */
static struct dsm_heap *region_heap(dsm_region *region)
{
	if (!region) {
		dsm_fail(EINVAL, "no region");
		return NULL;
	}
	if (!region->writable) {
		dsm_fail(EACCES, "the region is open read-only");
		return NULL;
	}
	return dsm_segment_heap(region->segment);
}

/* ---- from an address to its heap, or else abort ----------------------- */

/* NULL, if that is to be survived. */
static struct dsm_heap *ptr_heap(void *ptr, bool to_free)
{
	struct dsm_segment *segment = dsm_segment_find(ptr);
	const char *wrong = "not in any region";
	struct dsm_heap *heap = NULL;

	if (segment && to_free && !atomic_load(&segment->writable))
		wrong = "in a region that is open read-only";
	else if (segment)
		heap = dsm_segment_heap(segment);
	if (segment && !heap && !to_free)
		wrong = "in a region that has no heap";
	if (!heap)
		dsm_misuse(ptr, wrong);
	return heap;
}

/* ---- allocating ------------------------------------------------------- */

static void fail_full(size_t size)
{
	dsm_fail(ENOMEM, "the region has no room for %zu bytes", size);
}

static void *heap_alloc(struct dsm_heap *heap, size_t align, size_t size,
			bool zero)
{
	void *ptr = dsm_heap_alloc(heap, align, size, zero);

	if (!ptr)
		fail_full(size);
	return ptr;
}

/* The default region's heap is the one whose threads are found at once. */
static struct dsm_heap *default_heap(void)
{
	dsm_region *region = dsm_default();
	struct dsm_heap *heap = region ? region_heap(region) : NULL;

	if (heap)
		dsm_thread_set_main(heap);
	return heap;
}

static void *default_alloc(size_t align, size_t size, bool zero)
{
	struct dsm_heap *heap = default_heap();

	return heap ? heap_alloc(heap, align, size, zero) : NULL;
}

static void *region_alloc(dsm_region *region, size_t align, size_t size,
			  bool zero)
{
	struct dsm_heap *heap = region_heap(region);

	return heap ? heap_alloc(heap, align, size, zero) : NULL;
}

static void heap_free(struct dsm_heap *heap, void *ptr)
{
	int saved = errno;
	const char *wrong = dsm_heap_free(heap, ptr);

	if (wrong)
		dsm_misuse(ptr, wrong);
	errno = saved;
}

static void *heap_realloc(struct dsm_heap *heap, void *ptr, size_t size)
{
	const char *wrong = NULL;
	void *it;

	if (!size) {
		heap_free(heap, ptr);
		return NULL;
	}
	it = dsm_heap_resize(heap, ptr, size, &wrong);
	if (wrong)
		dsm_misuse(ptr, wrong);
	if (!it && wrong)
		errno = EINVAL;
	else if (!it)
		fail_full(size);
	return it;
}

static bool align_valid(size_t align)
{
	if (align && !(align & (align - 1)))
		return true;
	dsm_fail(EINVAL, "alignment %zu: must be a power of two", align);
	return false;
}

static bool product(size_t n, size_t size, size_t *bytes)
{
	if (!__builtin_mul_overflow(n, size, bytes))
		return true;
	dsm_fail(ENOMEM, "%zu times %zu bytes overflows", n, size);
	return false;
}

void *dsm_heap_malloc(dsm_region *region, size_t size)
{
	return region_alloc(region, ALIGN_DEFAULT, size, false);
}

void *dsm_heap_calloc(dsm_region *region, size_t n, size_t size)
{
	size_t bytes;

	if (!product(n, size, &bytes))
		return NULL;
	return region_alloc(region, ALIGN_DEFAULT, bytes, true);
}

void *dsm_heap_aligned_alloc(dsm_region *region, size_t align, size_t size)
{
	if (!align_valid(align))
		return NULL;
	return region_alloc(region, align, size, false);
}

/* An error number, and errno as it was. */
static int memalign(void **ptr, dsm_region *region, size_t align, size_t size)
{
	int saved = errno;
	void *it;
	int err;

	if (align % sizeof(void *))
		return EINVAL;
	it = region ? dsm_heap_aligned_alloc(region, align, size) :
		      dsm_aligned_alloc(align, size);
	err = it ? 0 : errno;
	errno = saved;
	if (it)
		*ptr = it;
	return err;
}

int dsm_heap_posix_memalign(dsm_region *region, void **ptr, size_t align, size_t size)
{
	return region ? memalign(ptr, region, align, size) : EINVAL;
}

int dsm_posix_memalign(void **ptr, size_t align, size_t size)
{
	return memalign(ptr, NULL, align, size);
}

void *dsm_heap_realloc(dsm_region *region, void *ptr, size_t size)
{
	struct dsm_heap *heap = region_heap(region);

	if (!heap)
		return NULL;
	if (!ptr)
		return heap_alloc(heap, ALIGN_DEFAULT, size, false);
	if (dsm_segment_find(ptr) != region->segment) {
		dsm_fail(EINVAL, "%p is not of this region", ptr);
		return NULL;
	}
	return heap_realloc(heap, ptr, size);
}

static __attribute__((noinline)) void *malloc_slow(size_t size)
{
	void *ptr = dsm_thread_malloc_slow(dsm_thread_main, size);

	return ptr ? ptr : default_alloc(ALIGN_DEFAULT, size, false);
}

void *dsm_malloc(size_t size)
{
	return dsm_thread_malloc(dsm_thread_main, size, malloc_slow);
}

void *dsm_calloc(size_t n, size_t size)
{
	size_t bytes;

	if (!product(n, size, &bytes))
		return NULL;
	return default_alloc(ALIGN_DEFAULT, bytes, true);
}

void *dsm_aligned_alloc(size_t align, size_t size)
{
	if (!align_valid(align))
		return NULL;
	return default_alloc(align, size, false);
}

void *dsm_realloc(void *ptr, size_t size)
{
	struct dsm_heap *heap;

	if (!ptr)
		return dsm_malloc(size);
	heap = ptr_heap(ptr, true);
	if (!heap) {
		errno = EINVAL;
		return NULL;
	}
	return heap_realloc(heap, ptr, size);
}

size_t dsm_malloc_usable_size(void *ptr)
{
	struct dsm_heap *heap = ptr ? ptr_heap(ptr, false) : NULL;
	const char *wrong = NULL;
	size_t usable = heap ? dsm_heap_usable(heap, ptr, &wrong) : 0;

	if (wrong)
		dsm_misuse(ptr, wrong);
	return usable;
}

static __attribute__((noinline)) void free_slow(void *ptr)
{
	struct dsm_heap *heap = ptr ? ptr_heap(ptr, true) : NULL;

	if (heap)
		heap_free(heap, ptr);
}

void dsm_free(void *ptr)
{
	dsm_thread_free(dsm_thread_main, ptr, free_slow);
}

/* ---- the whole of it -------------------------------------------------- */

int dsm_trim(dsm_region *region)
{
	struct dsm_heap *heap = region ? region_heap(region) : default_heap();

	if (!heap)
		return -1;
	dsm_heap_trim(heap);
	return 0;
}

int dsm_heap_check(dsm_region *region)
{
	struct dsm_heap *heap = region ? region_heap(region) : default_heap();
	int found = heap ? dsm_check_sweep(heap) : -1;

	if (heap && found < 0)
		dsm_fail(ENOTRECOVERABLE, "the heap's lock is broken");
	return found;
}

int dsm_heap_stats(dsm_region *region, unsigned int node,
		   struct dsm_heap_stats *stats)
{
	struct dsm_heap *heap = region ? dsm_segment_heap(region->segment) : NULL;

	if (!heap)
		return region ? -1 : dsm_fail(EINVAL, "no region");
	if (node >= heap->nodes)
		return dsm_fail(EINVAL, "node %u: the heap is for %u nodes", node,
				heap->nodes);
	dsm_stats_read(heap, node, stats);
	return 0;
}
