// SPDX-License-Identifier: MIT
/* libdsm-malloc.so: malloc is of the default region. */
#include "../dsm.h"
#include "../region.h"
#include "preload.h"

struct dsm_heap *dsm_preload_heap(const char **why)
{
	dsm_region *region = dsm_default();
	struct dsm_heap *heap = region ? dsm_segment_heap(region->segment) : NULL;

	if (!heap)
		*why = dsm_error_detail();
	return heap;
}
