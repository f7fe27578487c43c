/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Packs a cluster into a string of bytes. Clusters that differ only in the numbers of nodes,
 * blocks and requests have the same string.
 */
#ifndef _EXPLORE_PACK_H
#define _EXPLORE_PACK_H

#include "model.h"

enum pack_limits {
	PACK_MAX	= 512,
	/* Permutations of the nodes, times those of the blocks. */
	PACK_ORDERS	= 48,
};

/* Numberings that keep the home of each block. */
struct pack_order {
	u8 node[MODEL_NODES];	/* the new number of each node */
	u8 block[MODEL_BLOCKS];
	u8 node_at[MODEL_NODES];	/* the node of each new number */
	u8 block_at[MODEL_BLOCKS];
};

struct pack_orders {
	unsigned int n;
	struct pack_order order[PACK_ORDERS];
};

void pack_orders_init(struct pack_orders *orders, const struct model *m, bool symmetry);

/* Returns the length. */
size_t pack(const struct pack_orders *orders, const struct model *m, u8 out[PACK_MAX]);

/* @like supplies what belongs to the cluster and not to its state. */
void unpack(const struct model *like, const u8 *in, struct model *m);

#endif /* _EXPLORE_PACK_H */
