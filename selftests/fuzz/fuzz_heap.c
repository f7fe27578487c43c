// SPDX-License-Identifier: GPL-2.0
/*
 * The heap of lib/ over a memfd. Two nodes in one process allocate, resize and free their own
 * objects and each other's, in the order that the input chooses. After every step:
 *
 * - a returned object is aligned, as large as requested, overlaps no other object, and belongs
 *   to the node that asked;
 * - objects keep what was written to them, and calloc's are zero;
 * - a pointer into an object, into the heap's own memory, or to what was just freed is
 *   refused.
 *
 * In the end, when everything is freed and has returned to its owner, nothing is left. The
 * input's first byte says whether there are redzones.
 */
#include <sys/mman.h>
#include <unistd.h>

#include "check.h"
#include "tools.h"
#include "dsm.h"
#include "fuzz.h"
#include "heap.h"
#include "stats.h"

#define BASE		((char *)0x400000000000)

enum {
	REGION		= 24 << 20,
	BLOCK_SIZE	= 4096,
	NODES		= 2,
	OBJECTS		= 64,
	OPS_MAX		= 400,
};

struct object {
	unsigned char *ptr;
	size_t size;
	unsigned int node;
};

static struct dsm_heap heap[NODES];
static struct object objects[OBJECTS];

static unsigned char pattern(const struct object *object, size_t at)
{
	return (unsigned char)(at * 7 + object->size + (object - objects));
}

/* All bytes of a small object; of a large one, the ends and some between. */
static size_t next(size_t at, size_t size)
{
	return at < 512 || at + 64 >= size ? at + 1 : at + 61 < size - 64 ? at + 61 : size - 64;
}

static void fill(struct object *object)
{
	for (size_t at = 0; at < object->size; at = next(at, object->size))
		object->ptr[at] = pattern(object, at);
}

static void expect_filled(const struct object *object, const unsigned char *ptr, size_t size)
{
	for (size_t at = 0; at < size; at = next(at, object->size))
		FUZZ_CHECK(ptr[at] == pattern(object, at), "%p+%zu of %zu", (void *)ptr, at,
			   object->size);
}

static void expect_apart(const struct object *object)
{
	for (const struct object *other = objects; other < objects + OBJECTS; other++)
		FUZZ_CHECK(other == object || !other->ptr ||
			   other->ptr + other->size <= object->ptr ||
			   object->ptr + object->size <= other->ptr,
			   "%p+%zu and %p+%zu", (void *)object->ptr, object->size,
			   (void *)other->ptr, other->size);
}

static size_t take_size(struct fuzz_input *in)
{
	unsigned int bits = fuzz_u8(in) % 23;

	return fuzz_take(in, 1 + bits / 8) & ((1U << bits) - 1);
}

static void check_new(struct object *object, size_t align)
{
	const char *wrong;

	FUZZ_CHECK(!((uintptr_t)object->ptr % align), "%p", (void *)object->ptr);
	FUZZ_CHECK(dsm_heap_usable(&heap[object->node], object->ptr, &wrong) >= object->size,
		   "%p", (void *)object->ptr);
	FUZZ_CHECK(dsm_heap_owner(&heap[0], object->ptr) == (int)object->node, "%p",
		   (void *)object->ptr);
	expect_apart(object);
}

static void op_alloc(struct object *object, struct fuzz_input *in, unsigned int node)
{
	unsigned int kind = fuzz_u8(in);
	size_t align = (size_t)16 << (kind & 16 ? kind % 16 : 0);
	bool zero = kind & 32;

	object->size = take_size(in);
	object->node = node;
	object->ptr = dsm_heap_alloc(&heap[node], align, object->size, zero);
	FUZZ_TRACE("%zu: node %u allocates %zu, aligned to %zu: %p", object - objects, node,
		   object->size, align, (void *)object->ptr);
	if (!object->ptr)
		return;
	check_new(object, align);
	for (size_t at = 0; zero && at < object->size; at++)
		FUZZ_CHECK(!object->ptr[at], "%p+%zu", (void *)object->ptr, at);
	fill(object);
}

static void op_resize(struct object *object, struct fuzz_input *in, unsigned int node)
{
	size_t size = take_size(in) + 1;
	const char *wrong = NULL;
	unsigned char *ptr = dsm_heap_resize(&heap[node], object->ptr, size, &wrong);

	FUZZ_TRACE("%zu: node %u resizes %p to %zu: %p", object - objects, node,
		   (void *)object->ptr, size, (void *)ptr);
	FUZZ_CHECK(!wrong, "%s", wrong);
	if (!ptr)
		return;
	expect_filled(object, ptr, size < object->size ? size : object->size);
	if (ptr != object->ptr)
		object->node = node;
	object->ptr = ptr;
	object->size = size;
	check_new(object, 16);
	fill(object);
}

static void op_free(struct object *object, unsigned int node, bool twice)
{
	unsigned char *ptr = object->ptr;
	const char *wrong;

	FUZZ_TRACE("%zu: node %u frees %p%s", object - objects, node, (void *)ptr,
		   twice ? ", twice" : "");
	expect_filled(object, ptr, object->size);
	object->ptr = NULL;
	wrong = dsm_heap_free(&heap[node], ptr);
	FUZZ_CHECK(!wrong, "%s", wrong);
	/* the owner would detect this in an object of another node */
	if (twice && node == object->node)
		FUZZ_CHECK(dsm_heap_free(&heap[node], ptr), "%p", (void *)ptr);
}

static void op_abuse(const struct object *object, struct fuzz_input *in, unsigned int node)
{
	uint32_t at = fuzz_u32(in);

	if (object->ptr && object->size > 1)
		FUZZ_CHECK(dsm_heap_free(&heap[node], object->ptr + 1 + at % (object->size - 1)),
			   "%p+%u", (void *)object->ptr, at);
	else
		FUZZ_CHECK(dsm_heap_free(&heap[node], BASE + at % (2 << 20)), "%u", at);
}

static void trim(unsigned int node)
{
	FUZZ_TRACE("node %u trims", node);
	dsm_heap_trim(&heap[node]);
}

static void step(struct fuzz_input *in)
{
	unsigned int what = fuzz_u8(in), node = what >> 3 & 1;
	struct object *object = &objects[fuzz_u8(in) % OBJECTS];

	switch (what & 7) {
	case 6:
		return op_abuse(object, in, node);
	case 7:
		return trim(node);
	case 5:
		if (object->ptr)
			return op_resize(object, in, node);
	}
	if (object->ptr)
		op_free(object, node, what & 16);
	else
		op_alloc(object, in, node);
}

static void begin(bool redzones)
{
	static int fd = -1;

	if (fd < 0) {
		fd = memfd_create("heap", MFD_CLOEXEC);
		FUZZ_CHECK(fd >= 0, "memfd_create");
		FUZZ_CHECK(mmap(BASE, REGION, PROT_READ | PROT_WRITE,
				MAP_SHARED | MAP_FIXED_NOREPLACE, fd, 0) == BASE, "mmap");
	}
	/* all zero again */
	FUZZ_CHECK(!ftruncate(fd, 0) && !ftruncate(fd, REGION), "ftruncate");
	dsm_tools_take(BASE, REGION);
	FUZZ_CHECK(!(redzones ? setenv("DSM_HEAP_CHECK", "1", 1) : unsetenv("DSM_HEAP_CHECK")),
		   "setenv");
	for (unsigned int node = 0; node < NODES; node++) {
		int err = dsm_heap_attach(&heap[node], BASE, REGION, BLOCK_SIZE, node, NODES, true);

		FUZZ_CHECK(!err, "%d", err);
	}
}

static void end(void)
{
	struct dsm_heap_stats stats;

	for (struct object *object = objects; object < objects + OBJECTS; object++)
		if (object->ptr)
			op_free(object, (object - objects) % NODES, false);
	/* delivered, and the parcels returned */
	for (unsigned int i = 0; i < 3 * NODES; i++)
		dsm_heap_trim(&heap[i % NODES]);
	for (unsigned int node = 0; node < NODES; node++) {
		dsm_stats_read(&heap[node], node, &stats);
		FUZZ_CHECK(!stats.live && !stats.parcels_out && !stats.chunks,
			   "node %u: %ju objects, %ju parcels, %ju chunks", node,
			   (uintmax_t)stats.live, (uintmax_t)stats.parcels_out,
			   (uintmax_t)stats.chunks);
	}
	for (unsigned int node = 0; node < NODES; node++)
		FUZZ_CHECK(dsm_heap_detach(&heap[node]), "node %u", node);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { data, size };

	begin(fuzz_u8(&in) & 1);
	for (int ops = 0; in.left && ops < OPS_MAX; ops++)
		step(&in);
	end();
	return 0;
}
