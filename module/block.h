/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _DSM_BLOCK_H
#define _DSM_BLOCK_H

#include <linux/list.h>
#include "batch.h"
#include "chunk.h"
#include "coherence.h"

struct dsm_node;
struct dsm_region;

int dsm_block_event(struct dsm_region *region, struct dsm_chunk *chunk, u64 index,
		    const struct dsm_event *ev, struct dsm_batch *batch, gfp_t gfp);
int dsm_block_receive(struct dsm_region *region, struct dsm_msg *msg, bool in_window,
		      struct dsm_batch *batch);
int dsm_block_ask(struct dsm_region *region, u64 index, bool write);
int dsm_block_acquire(struct dsm_region *region, u64 index, bool write);
int dsm_block_prefetch(struct dsm_region *region, u64 first, u64 last, bool write);
void dsm_block_ahead(struct dsm_region *region, u64 index, bool write);
bool dsm_block_lock_readable(struct dsm_block *block);
void dsm_block_unlock(struct dsm_block *block);
bool dsm_block_use(struct dsm_region *region, struct dsm_block *block, bool write, bool last);
bool dsm_block_upgrading(struct dsm_block *block);
void dsm_block_wait_upgrade(struct dsm_region *region, struct dsm_block *block);
struct dsm_block *dsm_block_find(struct dsm_region *region, u64 index);

bool dsm_block_unreadable(struct dsm_node *node, u32 id, u64 index);
void dsm_blocks_expect(struct dsm_node *node);

#endif /* _DSM_BLOCK_H */
