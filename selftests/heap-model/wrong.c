// SPDX-License-Identifier: MIT
/* Misuse is reported. */
#include "model.h"

#include <fcntl.h>

void test_abuse(void)
{
	const struct region region = { 32 * MIB, 4096, 2 };
	static const size_t sizes[] = { 16, 48, 3000, 20000, 65536, 200000, 5 * MIB };
	struct dsm_heap heap[2];
	const char *wrong;

	region_map(&region);
	region_attach(&region, &heap[0], 0);
	region_attach(&region, &heap[1], 1);
	/* valgrind would complain, rightly */
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

/* The second free is reported, whichever thread owns the slab. */
void test_abuse_threads(void)
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
		/* the slab's other objects are intact */
		CHECK(!dsm_heap_free(&heap, ptr[1]));
		CHECK(free_by_thread(&heap, ptr[1]));
		CHECK(!free_by_thread(&heap, ptr[2]));
		CHECK(free_by_thread(&heap, ptr[2]));
	}
	region_detach(&heap);
	result("abuse: an object that two threads free");
}

/* The address that is reported when the owner detects the error. */
void test_abuse_addresses(void)
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

/* The process aborts. It prints a reason, which need not be shown. */
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

/* Does a process abort when it uses the heap as @use does? */
static bool aborts_using(struct dsm_heap *heap, void (*use)(struct dsm_heap *heap))
{
	int status, null = open("/dev/null", O_WRONLY | O_CLOEXEC);
	pid_t pid = fork();

	if (!pid) {
		dup2(null, STDERR_FILENO);
		use(heap);
		_exit(0);
	}
	close(null);
	return waitpid(pid, &status, 0) == pid && WIFSIGNALED(status) &&
	       WTERMSIG(status) == SIGABRT;
}

static void use_run(struct dsm_heap *heap)
{
	dsm_heap_free(heap, dsm_heap_alloc(heap, 16, 10 * UNIT_SIZE, false));
	/* this thread must not keep it: the next process is to have it */
	dsm_heap_trim(heap);
}

static void use_sweep(struct dsm_heap *heap)
{
	dsm_check_sweep(heap);
}

/* The bytes around a chunk's headers, for @heap. */
static void headers_damage(struct dsm_heap *heap, char *chunk, size_t off, bool run)
{
	char *at[] = { chunk, chunk + 31, chunk + off - 1, chunk + off - 32 };

	for (size_t i = 0; i < sizeof(at) / sizeof(at[0]); i++) {
		*at[i] ^= 1;
		CHECK(aborts_using(heap, use_sweep));
		CHECK(run || aborts_using(heap, use_run));
		*at[i] ^= 1;
		CHECK(!aborts_using(heap, use_sweep));
		CHECK(run || !aborts_using(heap, use_run));
	}
}

/* An object at the end of a node's chunk precedes another node's headers. */
void test_guards(void)
{
	const struct region region = { 64 * MIB, 4096, 2 };
	struct dsm_heap heap[2];
	char *small, *large;

	region_map(&region);
	region_attach(&region, &heap[0], 0);
	region_attach(&region, &heap[1], 1);
	heap[0].checks = 0;
	heap[1].checks = 0;
	small = dsm_heap_alloc(&heap[1], 16, 10 * UNIT_SIZE, false);
	large = dsm_heap_alloc(&heap[1], 16, 5 * MIB, false);
	REQUIRE(small && large);
	CHECK(!dsm_check_sweep(&heap[0]) && !dsm_check_sweep(&heap[1]));
	headers_damage(&heap[1], small - ((uintptr_t)small & (CHUNK - 1)),
		       (size_t)heap[1].meta_units << UNIT_SHIFT, false);
	headers_damage(&heap[1], large - ((uintptr_t)large & (CHUNK - 1)),
		       (uintptr_t)large & (CHUNK - 1), true);
	/* Misuse that is reported without an abort is repaired. */
	CHECK(!setenv("DSM_HEAP_ABORT", "0", true));
	small[-(ptrdiff_t)((uintptr_t)small & (CHUNK - 1))] ^= 1;
	CHECK(dsm_check_sweep(&heap[1]) == 1);
	CHECK(dsm_check_sweep(&heap[1]) == 0);
	CHECK(!unsetenv("DSM_HEAP_ABORT"));
	CHECK(!dsm_heap_free(&heap[0], small));
	CHECK(!dsm_heap_free(&heap[1], large));
	region_detach(&heap[0]);
	region_detach(&heap[1]);
	result("guards: what is written to a chunk's headers from the objects around them");
}

void test_redzones(void)
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
	/* the heap itself reports them, for every process */
	region_attach(&region, &heap[1], 1);
	/* valgrind would report it first */
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
		ptr[-1]++;
		CHECK(dsm_heap_free(by, ptr));
		CHECK(!dsm_heap_usable(by, ptr, &wrong) && wrong);
		ptr[-1]--;
		CHECK(!dsm_check_sweep(&heap[0]));
		CHECK(!dsm_heap_free(by, ptr));
		CHECK(size > 100000 || dsm_heap_free(by, ptr));
	}
	CHECK(!aborts_after_free(&heap[0], false));
	CHECK(aborts_after_free(&heap[0], true));
	region_detach(&heap[0]);
	region_detach(&heap[1]);
	result("redzones: what is written behind an object, or after its end, is found");
}
