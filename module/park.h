/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _DSM_PARK_H
#define _DSM_PARK_H

#include <linux/list.h>
#include <linux/types.h>
#include <linux/workqueue.h>

struct dsm_msg;
struct dsm_node;
struct dsm_peer;

/*
 * A thread that touches a new region asks another node for the homes of some
 * chunks, or for 256 blocks at most (DSM_PREFETCH_BLOCKS_MAX). A peer has room for
 * four such threads; a node, for four such peers: less than a MiB.
 */
enum dsm_park_limits {
	DSM_PARK_PEER_MAX	= 4 * 256,	/* messages */
	DSM_PARK_NODE_MAX	= 4 * DSM_PARK_PEER_MAX,
	DSM_PARK_RETRY_MS	= 20,		/* when there was no memory */
};

/**
 * struct dsm_park - a peer's messages about regions not announced yet
 * @list: struct dsm_msg, in the order in which they came
 * @n: how many
 * @work: delivers them
 *
 * @list changes under the peer's rx_lock and the node's park_lock: who holds either
 * may walk it.
 */
struct dsm_park {
	struct list_head list;
	u32 n;
	struct delayed_work work;
};

void dsm_park_init(struct dsm_park *park, void (*deliver)(struct work_struct *work));
void dsm_park_stop(struct dsm_park *park);
void dsm_park_release(struct dsm_peer *peer);

int dsm_park_message(struct dsm_peer *peer, const struct dsm_msg *msg);
bool dsm_park_has(const struct dsm_peer *peer, u32 region);
int dsm_park_deliver(struct dsm_peer *peer);
void dsm_park_forget(struct dsm_node *node, u32 region);
void dsm_parks_deliver(struct dsm_node *node);

#endif /* _DSM_PARK_H */
