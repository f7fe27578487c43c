/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _DSM_TABLE_H
#define _DSM_TABLE_H

#include <linux/types.h>

struct dsm_batch;
struct dsm_node;
struct dsm_region;
struct dsm_wire_region;

struct dsm_region *dsm_table_create(struct dsm_node *node, u32 id,
				    const struct dsm_wire_region *wire);
int dsm_table_insert(struct dsm_region *region);
void dsm_table_remove(struct dsm_region *region);
void dsm_table_set_gone(struct dsm_region *region, struct dsm_batch *batch);
void dsm_table_say_idle(struct dsm_region *region, struct dsm_batch *batch);
void dsm_table_to_wire(const struct dsm_region *region, struct dsm_wire_region *wire);
void dsm_table_destroy(struct dsm_node *node);

#endif /* _DSM_TABLE_H */
