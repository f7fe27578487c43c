// SPDX-License-Identifier: MIT
/*
 * A heap over a memfd for the malloc family of lib/preload. It measures the allocator without
 * the module.
 */
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "heap.h"
#include "preload/preload.h"

#define BASE		((void *)0x400000000000)
#define DEFAULT_MIB	8192

/* Not at the start of a page, where the linker would put it: see lib/layout.h. */
static struct {
	char		page[1024];
	struct dsm_heap	heap;
} padded __attribute__((aligned(4096)));

static int purge(void *addr, size_t len)
{
	return madvise(addr, len, MADV_REMOVE);
}

struct dsm_heap *dsm_preload_heap(const char **why)
{
	const char *mib = getenv("DSM_MEMFD_MIB");
	size_t size = (size_t)(mib ? atoi(mib) : DEFAULT_MIB) << 20;
	int fd = memfd_create("heap", MFD_CLOEXEC);
	void *at;

	*why = "no heap in a memfd";
	if (fd < 0 || ftruncate(fd, size))
		return NULL;
	at = mmap(BASE, size, PROT_READ | PROT_WRITE,
		  MAP_SHARED | MAP_NORESERVE | MAP_FIXED_NOREPLACE, fd, 0);
	close(fd);
	if (at != BASE || dsm_heap_attach(&padded.heap, BASE, size, 4096, 0, 1, true))
		return NULL;
	padded.heap.purge = purge;
	return &padded.heap;
}
