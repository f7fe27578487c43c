// SPDX-License-Identifier: MIT
/* A region's first object. It is kept in the heap's superblock. */
#include <errno.h>

#include "error.h"
#include "region.h"

int dsm_set_root(dsm_region *region, void *root)
{
	struct dsm_heap *heap;

	if (!region->writable)
		return dsm_fail(EACCES, "the region is open read-only");
	if (root && dsm_segment_find(root) != region->segment)
		return dsm_fail(EINVAL, "root %p is not in the region", root);
	heap = dsm_segment_heap(region->segment);
	if (!heap)
		return -1;
	dsm_heap_root_set(heap, root);
	return 0;
}

/* Makes no heap: a program that waits for a root must not write to a plain region. */
void *dsm_root(const dsm_region *region)
{
	const struct dsm_segment *segment = region->segment;
	int saved = errno;
	int node = dsm_node_id();
	int nodes = dsm_node_count();
	struct dsm_heap heap;

	errno = saved;
	if (node < 0 || nodes < 0 ||
	    dsm_heap_attach(&heap, segment->base, segment->size,
			    segment->block_size, node, nodes, false))
		return NULL;
	return dsm_heap_root(&heap);
}
