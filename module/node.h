/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _DSM_NODE_H
#define _DSM_NODE_H

#include <linux/device.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/types.h>
#include <linux/xarray.h>
#include <net/net_namespace.h>
#include "spin.h"

struct dsm_carrier;
struct dsm_link_ops;
struct dsm_peer;
struct pid;
struct dsm_registry;
struct dsm_sync;

/* The node that knows the cluster's regions. */
#define DSM_REGISTRY_NODE	0

/* Limits and defaults of the tunables, in the unit of their names. */
enum dsm_tunable_limits {
	DSM_HOLD_US_DEFAULT		= 1000,
	DSM_HOLD_US_MAX			= 1000 * 1000,
	DSM_TIMEOUT_MS_DEFAULT		= 10 * 1000,
	DSM_TIMEOUT_MS_MIN		= 10,
	DSM_TIMEOUT_MS_MAX		= 3600 * 1000,
	DSM_PREFETCH_BLOCKS_DEFAULT	= 128,
	DSM_PREFETCH_BLOCKS_MAX		= 256,
	DSM_SPIN_US_DEFAULT		= 200,
	DSM_SPIN_US_MAX			= 10 * 1000,
	/* Going through one took 3.6 us: 30 ms for all of a user's. */
	DSM_USER_MAPPINGS_MAX_DEFAULT	= 8192,
	DSM_USER_MAPPINGS_MAX_MIN	= 1,
	DSM_USER_MAPPINGS_MAX_MAX	= INT_MAX,
};

/**
 * struct dsm_node - this network namespace's member of the cluster
 * @net: the namespace
 * @link: the upper layers' handlers of what the links bring
 * @carrier: what carries messages to the peers
 * @configured: the helper has said which node this is; @id and @nodes are valid and
 *	do not change again (set last, with release)
 * @id: our id
 * @nodes: how many there are
 * @view: the membership's number
 * @incarnation: random
 * @hold_us: how long a fresh grant is kept from others at most
 * @timeout_ms: how long an access or a call waits at most
 * @prefetch_blocks: how many blocks are asked for ahead at a time, see readahead.c
 * @spin_us: how long a wait spins before it sleeps at most, see spin.h
 * @user_regions_max: how many regions a user may own, at the registry; see user.c
 * @user_mutexes_max: how many mutexes and the like a user's threads may have here
 * @user_address_bytes_max: how long a user's regions may be together, at the registry
 * @user_frames_bytes_max: how much memory a user's regions may take here
 * @user_mappings_max: how many mappings of a region a user may have, see mapper.c
 * @spins: by who waits, enum dsm_spin_kind
 * @helper_lock: serialises registrations
 * @helper: the helper's netlink port, 0 if none
 * @helper_process: the process that last registered with it, or NULL
 *	(protected by @helper_lock)
 * @peers: @nodes of them, our own NULL
 * @dirty: a bit a peer: it has messages to be flushed
 * @regions: by id
 * @regions_lock: protects changes to @regions, and region->gone
 * @region_id_base: the registry's regions have ids above this one (protected by
 *	@regions_lock)
 * @region_id_seen: the greatest region id announced to us (protected by
 *	@regions_lock)
 * @n_parked: messages about regions that have not been announced yet, see park.c
 * @park_lock: protects the lists that they are in
 * @n_regions: regions not yet freed; dsm_waitqueue() of the node is woken at 0
 * @next_req: numbers requests and calls
 * @calls: calls to the registry that wait for a reply
 * @calls_lock: protects @calls
 * @registry: the cluster's regions, on node 0
 * @users: struct dsm_user
 * @users_lock: protects @users; nothing is taken under it
 * @sync: synchronisation objects homed here, calls under way
 * @dev: in /sys/class/dsm
 * @peers_kobj: its directory peers
 * @regions_kobj: its directory regions
 */
struct dsm_node {
	struct net *net;
	const struct dsm_link_ops *link;
	const struct dsm_carrier *carrier;
	bool configured;
	u16 id;
	u16 nodes;
	u32 view;
	u64 incarnation;

	u32 hold_us;
	u32 timeout_ms;
	u32 prefetch_blocks;
	u32 spin_us;
	u32 user_regions_max;
	u32 user_mutexes_max;
	u32 user_mappings_max;
	u64 user_address_bytes_max;
	u64 user_frames_bytes_max;
	struct dsm_spin spins[DSM_SPIN_KINDS];

	struct mutex helper_lock;
	u32 helper;
	struct pid *helper_process;
	struct dsm_peer **peers;
	unsigned long *dirty;

	struct xarray regions;
	struct mutex regions_lock;
	u32 region_id_base;
	u32 region_id_seen;
	atomic_t n_parked;
	spinlock_t park_lock;
	atomic_t n_regions;

	atomic_t next_req;
	struct list_head calls;
	spinlock_t calls_lock;
	struct dsm_registry *registry;

	struct list_head users;
	spinlock_t users_lock;

	struct dsm_sync *sync;
	struct device *dev;
	struct kobject *peers_kobj;
	struct kobject *regions_kobj;
};

extern unsigned int dsm_node_net_id;

struct dsm_node *dsm_node_of(struct net *net);
u32 dsm_node_next_req(struct dsm_node *node);

bool dsm_node_is_helper(const struct dsm_node *node);
void dsm_node_set_helper(struct dsm_node *node, u32 port);

static inline bool dsm_node_configured(const struct dsm_node *node)
{
	return smp_load_acquire(&node->configured);
}

#endif /* _DSM_NODE_H */
