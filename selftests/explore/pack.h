/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A cluster as a string of bytes, the same for all clusters that differ only in
 * how nodes, blocks and requests are numbered.
 */
#ifndef _EXPLORE_PACK_H
#define _EXPLORE_PACK_H

#include "model.h"

enum pack_limits {
	PACK_MAX	= 512,
	/* Of nodes, times that of blocks. */
	PACK_ORDERS	= 48,
};

/* Numberings that keep each block's home what it is. */
struct pack_order {
	u8 node[MODEL_NODES];	/* the number of each node ... */
	u8 block[MODEL_BLOCKS];
	u8 node_at[MODEL_NODES];	/* ... and the node of each number */
	u8 block_at[MODEL_BLOCKS];
};

struct pack_orders {
	unsigned int n;
	struct pack_order order[PACK_ORDERS];
};

void pack_orders_init(struct pack_orders *orders, const struct model *m, bool symmetry);

/* Returns the length. */
size_t pack(const struct pack_orders *orders, const struct model *m, u8 out[PACK_MAX]);

/* What @like says of the cluster, not of its state, is kept. */
void unpack(const struct model *like, const u8 *in, struct model *m);

#endif /* _EXPLORE_PACK_H */
