// SPDX-License-Identifier: MIT
/*
 * The C library's own malloc, beneath ours.
 *
 * glibc exports its own malloc's functions under names that no library replaces.
 * They are called directly: dlsym() would allocate before there is anything to
 * allocate from. The two functions that have no such name are looked up when
 * they are called, as then there is.
 */
#include "libc.h"

#include <dlfcn.h>
#include <stdint.h>
#include <string.h>

#define GLIBC	__attribute__((weak))

extern void *__libc_malloc(size_t size) GLIBC;
extern void *__libc_calloc(size_t n, size_t size) GLIBC;
extern void *__libc_memalign(size_t align, size_t size) GLIBC;
extern void *__libc_realloc(void *ptr, size_t size) GLIBC;
extern void __libc_free(void *ptr) GLIBC;

#define ALIGN_DEFAULT	16

bool dsm_libc_present(void)
{
	return __libc_malloc && __libc_calloc && __libc_memalign && __libc_realloc &&
	       __libc_free;
}

void *dsm_libc_alloc(size_t align, size_t size, bool zero)
{
	void *ptr;

	if (align > ALIGN_DEFAULT)
		ptr = __libc_memalign(align, size);
	else
		return zero ? __libc_calloc(1, size) : __libc_malloc(size);
	return ptr && zero ? memset(ptr, 0, size) : ptr;
}

void *dsm_libc_realloc(void *ptr, size_t size)
{
	return __libc_realloc(ptr, size);
}

void dsm_libc_free(void *ptr)
{
	__libc_free(ptr);
}

size_t dsm_libc_usable(void *ptr)
{
	size_t (*usable)(void *ptr) = (size_t (*)(void *))dlsym(RTLD_NEXT, "malloc_usable_size");

	return usable ? usable(ptr) : 0;
}

int dsm_libc_trim(size_t pad)
{
	int (*trim)(size_t pad) = (int (*)(size_t))dlsym(RTLD_NEXT, "malloc_trim");

	return trim ? trim(pad) : 0;
}
