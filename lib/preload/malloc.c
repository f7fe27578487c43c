// SPDX-License-Identifier: MIT
/*
 * The malloc family out of a heap, for LD_PRELOAD. operator new of libstdc++
 * calls malloc, so it is part of it.
 *
 * To find the heap takes functions that call malloc themselves: what they
 * ask for meanwhile, comes out of a small arena that is never freed.
 *
 * A process that cannot have the heap, because it is in a sandbox, say, has the
 * C library's malloc instead, for as long as it lives. An object is always freed
 * by the malloc that it is from, which its address tells.
 */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#ifdef __GLIBC__
#include <gnu/libc-version.h>
#endif

#include "../fork.h"
#include "../heap.h"
#include "../misuse.h"
#include "../options.h"
#include "../thread.h"
#include "libc.h"
#include "preload.h"

#define EXPORT		__attribute__((visibility("default")))
#define ALIGN_DEFAULT	16

/* ---- before there is a heap ------------------------------------------- */

static char boot[256 << 10] __attribute__((aligned(4096)));
static _Atomic size_t boot_used;

/* The size is in front of an object, for realloc. */
static void *boot_alloc(size_t align, size_t size)
{
	size_t used = atomic_load(&boot_used);
	size_t at;

	if (size > sizeof(boot) || align > 4096)
		return NULL;
	do {
		at = (used + sizeof(size_t) + align - 1) & -align;
		if (at + size > sizeof(boot))
			return NULL;
	} while (!atomic_compare_exchange_weak(&boot_used, &used, at + size));
	memcpy(boot + at - sizeof(size_t), &size, sizeof(size));
	return boot + at;
}

static bool boot_has(const void *ptr)
{
	return (size_t)((const char *)ptr - boot) < sizeof(boot);
}

static size_t boot_size(const void *ptr)
{
	size_t size;

	memcpy(&size, (const char *)ptr - sizeof(size), sizeof(size));
	return size;
}

/* ---- finding it ------------------------------------------------------- */

static pthread_mutex_t find_lock = PTHREAD_MUTEX_INITIALIZER;
static __thread bool finding __attribute__((tls_model("initial-exec")));
static _Atomic bool use_libc;	/* there is no heap; never unset */

/* Says why, in one line, and ends the process where the user wants no other memory. */
static void heap_missing(const char *why)
{
	bool end = dsm_option_number(OPTION_MALLOC_REQUIRED, NULL) || !dsm_libc_present();

	dsm_complain("libdsm-malloc: %.300s: %s\n", why && *why ? why : "there is no heap",
		     end ? "the program ends" : "using the C library's malloc");
	if (end)
		_exit(127);
	atomic_store(&use_libc, true);
}

static void heap_find_locked(void)
{
	const char *why = NULL;
	struct dsm_heap *found;

	if (atomic_load(&dsm_heap_main) || atomic_load(&use_libc))
		return;
	finding = true;
	found = dsm_preload_heap(&why);
	if (found) {
		/* programs expect it; without memory for that, they share */
		dsm_fork_private(found);
		dsm_thread_set_main(found);
	} else {
		heap_missing(why);
	}
	finding = false;
}

/* NULL: there is no heap if use_libc is set, and else none yet. */
static struct dsm_heap *heap_find(void)
{
	/* before there are environment variables, its name is not known */
	if (finding || !environ || atomic_load_explicit(&use_libc, memory_order_acquire))
		return NULL;
	pthread_mutex_lock(&find_lock);
	heap_find_locked();
	pthread_mutex_unlock(&find_lock);
	return atomic_load(&dsm_heap_main);
}

static inline struct dsm_heap *heap_get(void)
{
	/* a thread that has allocated knows it: that is in the cache, likely */
	struct dsm_heap *it = dsm_thread_main->heap;

	if (__builtin_expect(!it, 0))
		it = atomic_load_explicit(&dsm_heap_main, memory_order_acquire);
	return __builtin_expect(!!it, 1) ? it : heap_find();
}

/*
 * Whether an object, which is not of the boot arena, is the C library's. That a
 * process has no heap for malloc does not mean that it has none for dsm_malloc().
 */
static bool libc_has(const void *ptr)
{
	struct dsm_heap *it;

	if (!atomic_load_explicit(&use_libc, memory_order_acquire))
		return false;
	it = atomic_load_explicit(&dsm_heap_main, memory_order_acquire);
	return !it || (size_t)((const char *)ptr - it->base) >= it->bytes;
}

/* ---- the family ------------------------------------------------------- */

static void *fail(int err)
{
	errno = err;
	return NULL;
}

static __attribute__((noinline)) void *alloc(size_t align, size_t size, bool zero)
{
	struct dsm_heap *it = heap_get();
	void *ptr;

	if (it)
		ptr = dsm_heap_alloc(it, align, size, zero);
	else if (atomic_load(&use_libc) && !finding)
		ptr = dsm_libc_alloc(align, size, zero);
	else
		ptr = boot_alloc(align, size);
	return ptr ? ptr : fail(ENOMEM);
}

static size_t usable(void *ptr)
{
	const char *wrong;
	size_t size;

	if (boot_has(ptr))
		return boot_size(ptr);
	if (libc_has(ptr))
		return dsm_libc_usable(ptr);
	size = dsm_heap_usable(heap_get(), ptr, &wrong);
	if (wrong)
		dsm_misuse(ptr, wrong);
	return wrong ? 0 : size;
}

static __attribute__((noinline)) void *malloc_slow(size_t size)
{
	void *ptr = dsm_thread_malloc_slow(dsm_thread_main, size);

	return ptr ? ptr : alloc(ALIGN_DEFAULT, size, false);
}

EXPORT void *malloc(size_t size)
{
	return dsm_thread_malloc(dsm_thread_main, size, malloc_slow);
}

static __attribute__((noinline)) void free_slow(void *ptr)
{
	const char *wrong;
	int saved = errno;

	if (!ptr || boot_has(ptr))
		return;
	if (libc_has(ptr)) {
		dsm_libc_free(ptr);
		return;
	}
	wrong = dsm_heap_free(heap_get(), ptr);
	if (wrong)
		dsm_misuse(ptr, wrong);
	errno = saved;
}

EXPORT void free(void *ptr)
{
	dsm_thread_free(dsm_thread_main, ptr, free_slow);
}

EXPORT void *calloc(size_t n, size_t size)
{
	size_t bytes;

	if (__builtin_mul_overflow(n, size, &bytes))
		return fail(ENOMEM);
	return alloc(ALIGN_DEFAULT, bytes, true);
}

EXPORT void *realloc(void *ptr, size_t size)
{
	const char *wrong = NULL;
	int saved = errno;
	void *it;

	if (!ptr)
		return malloc(size);
	if (!size) {
		free(ptr);
		return NULL;
	}
	if (boot_has(ptr)) {
		it = malloc(size);
		return it ? memcpy(it, ptr, size < boot_size(ptr) ? size : boot_size(ptr)) : NULL;
	}
	if (libc_has(ptr))
		return dsm_libc_realloc(ptr, size);
	it = dsm_heap_resize(heap_get(), ptr, size, &wrong);
	if (wrong)
		dsm_misuse(ptr, wrong);
	errno = it ? saved : ENOMEM;
	return it;
}

EXPORT void *reallocarray(void *ptr, size_t n, size_t size)
{
	size_t bytes;

	if (__builtin_mul_overflow(n, size, &bytes))
		return fail(ENOMEM);
	return realloc(ptr, bytes);
}

static bool is_power(size_t n)
{
	return n && !(n & (n - 1));
}

/* As glibc's: any alignment will do, and is rounded up to a power of two. */
EXPORT void *memalign(size_t align, size_t size)
{
	if (align > SIZE_MAX / 2 + 1)
		return fail(EINVAL);
	if (align <= ALIGN_DEFAULT)
		align = ALIGN_DEFAULT;
	else if (!is_power(align))
		align = (size_t)1 << (8 * sizeof(long) - __builtin_clzl(align));
	return alloc(align, size, false);
}

/* Whether the C library's aligned_alloc is its memalign: glibc's is, up to 2.37. */
static bool aligned_alloc_rounds(void)
{
#ifdef __GLIBC__
	const char *version = gnu_get_libc_version();
	char *minor;

	return strtoul(version, &minor, 10) == 2 && *minor == '.' &&
	       strtoul(minor + 1, NULL, 10) < 38;
#else
	return false;
#endif
}

EXPORT void *aligned_alloc(size_t align, size_t size)
{
	if (!is_power(align) && !aligned_alloc_rounds())
		return fail(EINVAL);
	return memalign(align, size);
}

EXPORT int posix_memalign(void **ptr, size_t align, size_t size)
{
	int saved = errno;
	void *it;

	if (!is_power(align) || align % sizeof(void *))
		return EINVAL;
	it = alloc(align, size, false);
	errno = saved;
	if (!it)
		return ENOMEM;
	*ptr = it;
	return 0;
}

EXPORT void *valloc(size_t size)
{
	return memalign(sysconf(_SC_PAGESIZE), size);
}

EXPORT void *pvalloc(size_t size)
{
	size_t page = sysconf(_SC_PAGESIZE);

	if (size > SIZE_MAX - page)
		return fail(ENOMEM);
	return memalign(page, (size + page - 1) & -page);
}

EXPORT size_t malloc_usable_size(void *ptr)
{
	return ptr ? usable(ptr) : 0;
}

EXPORT int malloc_trim(size_t pad)
{
	struct dsm_heap *it = heap_get();

	if (it)
		dsm_heap_trim(it);
	else if (atomic_load(&use_libc))
		return dsm_libc_trim(pad);
	return !!it;
}

/* Before main(): a program may forbid itself to open anything before it allocates. */
__attribute__((constructor))
static void find_early(void)
{
	free(malloc(1));
}
