/* SPDX-License-Identifier: MIT */
#ifndef _DSM_STATS_H
#define _DSM_STATS_H

#include "heap.h"

struct dsm_heap_stats;

/* Takes no lock. @node: one of the heap's */
void dsm_stats_read(const struct dsm_heap *heap, uint32_t node,
		    struct dsm_heap_stats *stats);

#endif /* _DSM_STATS_H */
