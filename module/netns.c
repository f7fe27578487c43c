// SPDX-License-Identifier: GPL-2.0
/*
 * Network namespaces: each has a node, which is made and configured here.
 *
 * A node exists with its namespace, and has no number until its helper gives it
 * one. Open files and mappings pin the namespace, so that when it goes, nothing
 * uses the node but messages and timers, which are stopped here.
 *
 * Any user can make a network namespace, by way of a user namespace, and has
 * CAP_NET_ADMIN there. Such a user could be a helper, and forge a whole cluster
 * of peers, regions and requests. So a node is configured only in a network
 * namespace that the initial user namespace owns, unless userns_nodes is set.
 * Before that a node is small, and charged to whoever makes the namespace.
 */
#include <linux/bitmap.h>
#include <linux/moduleparam.h>
#include <linux/random.h>
#include <linux/slab.h>
#include <linux/user_namespace.h>
#include <net/net_namespace.h>
#include <net/netns/generic.h>
#include "block.h"
#include "frames.h"
#include "link.h"
#include "msg.h"
#include "netns.h"
#include "node.h"
#include "peer.h"
#include "receive.h"
#include "registry.h"
#include "sync.h"
#include "sysfs.h"
#include "table.h"
#include "user.h"

static bool userns_nodes;
module_param(userns_nodes, bool, 0644);
MODULE_PARM_DESC(userns_nodes,
		 "Allow nodes in network namespaces that other user namespaces own (default: no)");

static const struct dsm_carrier *carrier;

static void peers_destroy(struct dsm_node *node)
{
	unsigned int id;

	for (id = 0; node->peers && id < node->nodes; id++)
		if (node->peers[id])
			dsm_peer_destroy(node->peers[id]);
	kvfree(node->peers);
	bitmap_free(node->dirty);
	node->peers = NULL;
	node->dirty = NULL;
}

static int peers_create(struct dsm_node *node)
{
	unsigned int id;

	node->dirty = bitmap_zalloc(node->nodes, GFP_KERNEL_ACCOUNT);
	node->peers = kvcalloc(node->nodes, sizeof(*node->peers), GFP_KERNEL_ACCOUNT);
	if (!node->dirty || !node->peers)
		goto free;
	for (id = 0; id < node->nodes; id++) {
		if (id == node->id)
			continue;
		node->peers[id] = dsm_peer_create(node, id);
		if (!node->peers[id])
			goto free;
	}
	return 0;

free:
	peers_destroy(node);
	return -ENOMEM;
}

/* No peer's messages are delivered any more: others may go. */
static void peers_stop(struct dsm_node *node)
{
	unsigned int id;

	for (id = 0; id < node->nodes; id++)
		if (node->peers[id])
			dsm_peer_stop(node->peers[id]);
}

static void sysfs_del(struct dsm_node *node)
{
	unsigned int id;

	for (id = 0; id < node->nodes; id++)
		if (node->peers[id])
			dsm_sysfs_peer_del(node->peers[id]);
	dsm_sysfs_node_del(node);
}

static int sysfs_add(struct dsm_node *node)
{
	unsigned int id;
	int err = dsm_sysfs_node_add(node);

	if (err)
		return err;
	for (id = 0; id < node->nodes; id++) {
		if (!node->peers[id])
			continue;
		err = dsm_sysfs_peer_add(node->peers[id]);
		if (err) {
			sysfs_del(node);
			return err;
		}
	}
	return 0;
}

/**
 * node_configure() - the helper says which node this is
 * @node: us
 * @id: our id
 * @nodes: how many there are
 *
 * Return: 0; -EINVAL, out of range or not what an earlier helper said; -EPERM,
 * there can be no node in this namespace; -ENOMEM.
 */
static int node_configure(struct dsm_node *node, u32 id, u32 nodes)
{
	int err;

	lockdep_assert_held(&node->helper_lock);

	if (node->configured)
		return node->id == id && node->nodes == nodes ? 0 : -EINVAL;
	if (node->net->user_ns != &init_user_ns && !READ_ONCE(userns_nodes))
		return -EPERM;
	if (nodes > DSM_NODES_MAX || id >= nodes)
		return -EINVAL;
	node->id = id;
	node->nodes = nodes;
	err = dsm_sync_node_init(node);
	if (err)
		return err;
	err = peers_create(node);
	if (err)
		goto sync;
	err = sysfs_add(node);
	if (err)
		goto peers;
	smp_store_release(&node->configured, true);
	pr_info("node %u of %u\n", id, nodes);
	return 0;

peers:
	peers_destroy(node);
sync:
	dsm_sync_node_exit(node);
	return err;
}

static void peer_begun(struct dsm_node *node, u16 peer, bool other, u64 incarnation)
{
	if (peer == DSM_REGISTRY_NODE)
		dsm_registry_begun(node, other, incarnation);
}

static const struct dsm_link_ops link_ops = {
	.receive	= dsm_receive,
	.configure	= node_configure,
	.registered	= dsm_blocks_expect,
	.begun		= peer_begun,
	.down		= dsm_registry_peer_down,
	.stale		= dsm_registry_peer_stale,
	.ask		= dsm_registry_ask,
	.unreadable	= dsm_block_unreadable,
};

static int __net_init node_net_init(struct net *net)
{
	struct dsm_node *node = kzalloc(sizeof(*node), GFP_KERNEL_ACCOUNT);
	int err;

	if (!node)
		return -ENOMEM;
	node->net = net;
	node->link = &link_ops;
	node->carrier = carrier;
	node->view = 1;
	get_random_bytes(&node->incarnation, sizeof(node->incarnation));
	node->incarnation |= 1;
	node->hold_us = DSM_HOLD_US_DEFAULT;
	node->timeout_ms = DSM_TIMEOUT_MS_DEFAULT;
	node->prefetch_blocks = DSM_PREFETCH_BLOCKS_DEFAULT;
	node->spin_us = DSM_SPIN_US_DEFAULT;
	node->user_regions_max = DSM_USER_REGIONS_DEFAULT;
	node->user_mutexes_max = DSM_USER_MUTEXES_DEFAULT;
	node->user_address_bytes_max = DSM_USER_ADDRESS_BYTES_DEFAULT;
	node->user_frames_bytes_max = dsm_frames_max() / 2;
	node->user_mappings_max = DSM_USER_MAPPINGS_MAX_DEFAULT;
	mutex_init(&node->helper_lock);
	xa_init_flags(&node->regions, XA_FLAGS_ALLOC1 | XA_FLAGS_ACCOUNT);
	mutex_init(&node->regions_lock);
	INIT_LIST_HEAD(&node->calls);
	spin_lock_init(&node->calls_lock);
	INIT_LIST_HEAD(&node->users);
	spin_lock_init(&node->users_lock);
	spin_lock_init(&node->park_lock);
	err = dsm_registry_init(node);
	if (err) {
		kfree(node);
		return err;
	}
	*(struct dsm_node **)net_generic(net, dsm_node_net_id) = node;
	return 0;
}

static void __net_exit node_net_exit(struct net *net)
{
	struct dsm_node *node = dsm_node_of(net);

	/*
	 * These may still see the node: netlink's handlers, which run in the namespace and so
	 * are over; the peers' workers, which peers_stop() ends; regions, which have holds
	 * and workers that reference them, and which dsm_table_destroy() waits for. All
	 * of them may post to peers, so peers go last.
	 */
	mutex_lock(&node->helper_lock);
	dsm_node_set_helper(node, 0);
	mutex_unlock(&node->helper_lock);
	if (node->configured)
		peers_stop(node);
	dsm_table_destroy(node);
	if (node->configured) {
		dsm_sync_node_exit(node);
		sysfs_del(node);
		peers_destroy(node);
	}
	dsm_registry_exit(node);
	*(struct dsm_node **)net_generic(net, dsm_node_net_id) = NULL;
	kfree(node);
}

static struct pernet_operations node_net_ops = {
	.init	= node_net_init,
	.exit	= node_net_exit,
	.id	= &dsm_node_net_id,
	.size	= sizeof(struct dsm_node *),
};

/* @with: what carries messages to the peers of every node */
int dsm_netns_init(const struct dsm_carrier *with)
{
	carrier = with;
	return register_pernet_subsys(&node_net_ops);
}

void dsm_netns_exit(void)
{
	unregister_pernet_subsys(&node_net_ops);
}
