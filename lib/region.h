/* SPDX-License-Identifier: MIT */
#ifndef _DSM_REGION_H
#define _DSM_REGION_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "dsm.h"
#include "heap.h"
#include "words.h"

/*
 * A mapping of a region: one for each region a process has open, however
 * often. (Table, refs and writable are protected by segments_lock; the heap,
 * until heap_ready is set, by heap_lock.)
 */
struct dsm_segment {
	char		*base;
	size_t		size;		/* bytes, whole blocks */
	size_t		block_size;
	uint32_t	id;
	char		name[DSM_NAME_MAX];
	int		fd;		/* what is mapped: for ioctls */
	unsigned int	refs;		/* openings */
	unsigned int	writers;	/* of them, those for writing */
	_Atomic bool	writable;	/* writers != 0 */
	struct dsm_words words;		/* of its mutexes; attached when one is used */

	pthread_mutex_t	heap_lock;
	_Atomic bool	heap_ready;
	struct dsm_heap	heap;
};

/* One opening of it. */
struct dsm_region {
	struct dsm_segment *segment;
	bool		   writable;
};

/* As dsm_open(), with the same check of a region that exists even without O_CREAT. */
dsm_region *dsm_region_open_own(const char *name, int oflag, size_t size,
				const struct dsm_attr *attr);

/*
 * The segment @addr is in, or NULL. It stays while the caller, by its own
 * rules, does not close what it is using.
 */
struct dsm_segment *dsm_segment_find(const void *addr);

/*
 * The segment's heap, made if need be; NULL and errno. If it is mapped
 * read-only the heap is too, and errno is ENOENT if there is none.
 */
struct dsm_heap *dsm_segment_heap(struct dsm_segment *segment);

#endif /* _DSM_REGION_H */
