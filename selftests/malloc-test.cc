// SPDX-License-Identifier: GPL-2.0
/*
 * What C, POSIX and C++ specify for malloc, free, new and delete, in a program that knows of
 * no library. It is run with a preloaded library and without.
 */
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <new>
#include <string>
#include <thread>
#include <vector>

#include <malloc.h>
#include <sys/wait.h>
#include <unistd.h>

static int failures, checks_failed, tests;

#define CHECK(cond) \
	do { \
		if (!(cond)) { \
			checks_failed++; \
			std::printf("# line %d: %s\n", __LINE__, #cond); \
		} \
	} while (0)

/* Hides from the compiler that a size is too large or a result unused. */
static volatile std::size_t huge = SIZE_MAX / 2, zero = 0;
static void *volatile sink;

static void result(const char *name)
{
	std::printf("%s %d - %s\n", checks_failed ? "not ok" : "ok", ++tests, name);
	std::fflush(stdout);
	failures += !!checks_failed;
	checks_failed = 0;
}

static bool aligned(const void *ptr, std::size_t to)
{
	return ptr && !(reinterpret_cast<std::uintptr_t>(ptr) % to);
}

static bool all(const void *ptr, std::size_t size, int value)
{
	auto *bytes = static_cast<const unsigned char *>(ptr);

	for (std::size_t i = 0; i < size; i++)
		if (bytes[i] != value)
			return false;
	return true;
}

/* Runs before main(), like any C++ constructor. */
static std::map<std::string, int> *const early = [] {
	auto *made = new std::map<std::string, int>;

	for (int i = 0; i < 100; i++)
		made->emplace(std::string(i + 1, 'e'), i);
	return made;
}();

static void test_malloc()
{
	void *first = malloc(zero), *second = malloc(zero);

	CHECK(first && second && first != second);
	free(first);
	free(second);
	errno = 7;
	free(nullptr);
	CHECK(errno == 7);
	for (std::size_t size = 1; size < 5000000; size += 1 + size / 3) {
		void *ptr = malloc(size);

		CHECK(aligned(ptr, 16) && malloc_usable_size(ptr) >= size);
		memset(ptr, 1, malloc_usable_size(ptr));
		errno = 7;
		free(ptr);
		CHECK(errno == 7);
	}
	CHECK(!malloc_usable_size(nullptr));
	for (std::size_t size : { huge + 0, 2 * huge, 2 * huge + 1, std::size_t(1) << 46 }) {
		errno = 0;
		sink = malloc(size);
		CHECK(!sink && errno == ENOMEM);
	}
	result("malloc: of nothing, of much, of too much; free keeps errno");
}

static void test_calloc()
{
	for (std::size_t size = 1; size < 5000000; size += 1 + size / 2) {
		void *dirty = malloc(size);

		memset(dirty, 0xff, size);
		free(dirty);
		void *ptr = calloc(1, size);
		CHECK(ptr && all(ptr, size, 0));
		free(ptr);
	}
	sink = calloc(zero, 10);
	CHECK(sink);
	free(sink);
	errno = 0;
	sink = calloc(huge, 3);
	CHECK(!sink && errno == ENOMEM);
	sink = reallocarray(nullptr, huge, 4);
	CHECK(!sink && errno == ENOMEM);
	result("calloc: is zero, and does not overflow");
}

static void test_realloc()
{
	std::size_t has = 0;
	char *ptr = nullptr, *more;

	for (std::size_t size = 1; size < 20000000; size += 1 + size / 2) {
		ptr = static_cast<char *>(realloc(ptr, size));
		CHECK(aligned(ptr, 16) && all(ptr, has, 'r'));
		memset(ptr, 'r', size);
		has = size;
	}
	errno = 0;
	more = static_cast<char *>(realloc(ptr, huge));
	CHECK(!more && errno == ENOMEM && all(ptr, has, 'r'));
	for (std::size_t size = has; size; size /= 3) {
		ptr = static_cast<char *>(realloc(ptr, size));
		CHECK(ptr && malloc_usable_size(ptr) >= size && all(ptr, size, 'r'));
	}
	CHECK(!realloc(ptr, zero));
	ptr = static_cast<char *>(realloc(nullptr, 100));
	CHECK(ptr);
	free(ptr);
	result("realloc: contents stay, when there is no room too; of nothing, and to nothing");
}

static void test_alignment()
{
	void *ptr = &ptr;
	int err;

	for (std::size_t align = sizeof(void *); align <= std::size_t(8) << 20; align *= 2) {
		for (std::size_t size : { 0, 1, 1000, 70000, 3000000 }) {
			CHECK(!posix_memalign(&ptr, align, size) && aligned(ptr, align));
			free(ptr);
			ptr = aligned_alloc(align, (size + align - 1) & -align);
			CHECK(aligned(ptr, align));
			free(ptr);
		}
	}
	ptr = &ptr;
	errno = 7;
	err = posix_memalign(&ptr, zero + 4, 1);
	CHECK(err == EINVAL && ptr == &ptr && errno == 7);
	err = posix_memalign(&ptr, zero + 24, 1);
	CHECK(err == EINVAL && ptr == &ptr && errno == 7);
	err = posix_memalign(&ptr, 64, huge);
	CHECK(err == ENOMEM && ptr == &ptr);
	ptr = valloc(100);
	CHECK(aligned(ptr, 4096));
	free(ptr);
	ptr = pvalloc(100);
	CHECK(aligned(ptr, 4096) && malloc_usable_size(ptr) >= 4096);
	free(ptr);
	ptr = memalign(512, 100);
	CHECK(aligned(ptr, 512));
	free(ptr);
	result("alignment: aligned_alloc, posix_memalign and older ones");
}

/*
 * For an alignment that is no power of two, versions of the C library differ. So the results
 * are printed, and the caller compares them with those of the C library's malloc.
 */
static void print_odd(const char *name, void *(*function)(std::size_t, std::size_t),
		      std::size_t align)
{
	void *ptr;
	std::size_t rounded = 1;

	while (rounded < align && rounded <= SIZE_MAX / 2)
		rounded *= 2;
	errno = 0;
	ptr = function(align, 100);
	std::printf("# %s(%zu): %s\n", name, align, ptr ? "an object" : strerrorname_np(errno));
	CHECK(!ptr || aligned(ptr, rounded));
	free(ptr);
}

static void test_alignment_odd()
{
	static const std::size_t odd[] = {
		0, 1, 2, 3, 15, 17, 24, 33, 48, 100, 4095, 4097, 65537,
		SIZE_MAX / 2, SIZE_MAX / 2 + 1, SIZE_MAX / 2 + 2, SIZE_MAX,
	};

	for (std::size_t align : odd) {
		print_odd("memalign", memalign, zero + align);
		print_odd("aligned_alloc", aligned_alloc, zero + align);
	}
	result("alignment: what is no power of two");
}

struct alignas(256) Wide {
	char bytes[300];
};

static void test_new()
{
	std::vector<std::unique_ptr<std::string>> strings;
	bool thrown = false;

	CHECK(early->size() == 100 && early->at("eee") == 2);
	for (int i = 0; i < 5000; i++)
		strings.push_back(std::make_unique<std::string>(i % 500, 'a' + i % 26));
	for (int i = 0; i < 5000; i++)
		CHECK(*strings[i] == std::string(i % 500, 'a' + i % 26));
	auto wide = std::make_unique<Wide[]>(10);
	CHECK(aligned(wide.get(), 256));
	try {
		sink = ::operator new(huge);
	} catch (const std::bad_alloc &) {
		thrown = true;
	}
	CHECK(thrown);
	sink = ::operator new(huge, std::nothrow);
	CHECK(!sink);
	sink = ::operator new(zero);
	CHECK(sink);
	::operator delete(sink);
	result("new and delete: before main, aligned, and when there is no memory");
}

/* A thread allocates what another one frees, and ends. */
static void test_threads()
{
	std::vector<void *> objects;

	for (int round = 0; round < 20; round++) {
		std::vector<void *> next;
		std::thread thread([&] {
			for (void *ptr : objects) {
				CHECK(all(ptr, 32, 't'));
				free(ptr);
			}
			for (int i = 0; i < 500; i++) {
				next.push_back(malloc(32 + i * i % 3000 + (i % 50 ? 0 : 300000)));
				memset(next.back(), 't', 32);
			}
		});

		thread.join();
		objects = next;
	}
	for (void *ptr : objects)
		free(ptr);
	result("threads: what one that has ended allocated, is freed by another");
}

/* Each process changes only its own memory. */
static void test_fork()
{
	std::vector<std::string> list(1000, std::string(1000, 'p'));
	char *large = static_cast<char *>(malloc(1000000));
	int status;
	pid_t pid;

	memset(large, 'p', 1000000);
	free(malloc(400000));
	pid = fork();
	if (!pid) {
		bool good = all(large, 1000000, 'p');

		for (auto &string : list) {
			good = good && string == std::string(1000, 'p');
			string.assign(2000, 'c');
		}
		memset(large, 'c', 1000000);
		free(large);
		large = static_cast<char *>(calloc(1, 400000));
		good = good && large && all(large, 400000, 0);
		_exit(good ? 0 : 1);
	}
	for (auto &string : list)
		CHECK(string == std::string(1000, 'p'));
	CHECK(waitpid(pid, &status, 0) == pid && !status);
	CHECK(all(large, 1000000, 'p') && list[0] == std::string(1000, 'p'));
	free(large);
	result("fork: parent and child do not see what the other does");
}

int main()
{
	test_malloc();
	test_calloc();
	test_realloc();
	test_alignment();
	test_alignment_odd();
	test_new();
	test_threads();
	test_fork();
	std::printf("1..%d\n# Totals: pass:%d fail:%d xfail:0 xpass:0 skip:0 error:0\n",
		    tests, tests - failures, failures);
	return failures || !tests;
}
