/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _DSM_MAPPER_H
#define _DSM_MAPPER_H

#include <linux/types.h>

struct dsm_region;

/**
 * struct dsm_mapper - a user's mappings of a region
 *
 * Every VMA of the region has it as its private data, and is counted.
 *
 * @region: the region; the VMAs are users of it
 * @mappings: how many (protected by region->mappers_lock); without any, it is freed
 * @uid: the user; its place in region->mappers
 */
struct dsm_mapper {
	struct dsm_region *region;
	u32 mappings;
	u32 uid;
};

struct dsm_mapper *dsm_mapper_map(struct dsm_region *region);
int dsm_mapper_may_split(const struct dsm_mapper *mapper);
void dsm_mapper_open(struct dsm_mapper *mapper);
void dsm_mapper_close(struct dsm_mapper *mapper);

#endif /* _DSM_MAPPER_H */
