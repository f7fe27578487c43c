// SPDX-License-Identifier: GPL-2.0
/*
 * Nodes: one a network namespace.
 *
 * A node exists with its namespace, and is nobody until its helper says who it
 * is. Open files and mappings pin the namespace, so that when it goes, nothing
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
#include <linux/pid.h>
#include <linux/random.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/user_namespace.h>
#include <net/netns/generic.h>
#include "frames.h"
#include "msg.h"
#include "node.h"
#include "peer.h"
#include "receive.h"
#include "region.h"
#include "registry.h"
#include "sync.h"
#include "sysfs.h"
#include "user.h"

static bool userns_nodes;
module_param(userns_nodes, bool, 0644);
MODULE_PARM_DESC(userns_nodes,
		 "Allow nodes in network namespaces that other user namespaces own (default: no)");

static unsigned int node_net_id;

/* NULL while the namespace is being made, and when it has gone. */
struct dsm_node *dsm_node_of(struct net *net)
{
	struct dsm_node **node = net_generic(net, node_net_id);

	return node ? *node : NULL;
}

/* A number that no request under way has. */
u32 dsm_node_next_req(struct dsm_node *node)
{
	return atomic_inc_return(&node->next_req);
}

/* How many nodes can be reached, ourselves included. */
unsigned int dsm_node_up(const struct dsm_node *node)
{
	unsigned int id, n = 1;

	for (id = 0; id < node->nodes; id++)
		if (node->peers[id] && READ_ONCE(node->peers[id]->link) == DSM_LINK_UP)
			n++;
	return n;
}

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
 * dsm_node_set_helper() - the current process is the helper, or nobody is
 * @node: us
 * @port: its netlink port; 0: nobody is
 */
void dsm_node_set_helper(struct dsm_node *node, u32 port)
{
	struct pid *old = node->helper_process;

	lockdep_assert_held(&node->helper_lock);

	WRITE_ONCE(node->helper_process, port ? get_pid(task_tgid(current)) : NULL);
	WRITE_ONCE(node->helper, port);
	put_pid(old);
}

/*
 * Is the current process the registered helper? Only addresses are compared: the
 * helper's process ID is held, so that no other process can have the address.
 */
bool dsm_node_is_helper(const struct dsm_node *node)
{
	return READ_ONCE(node->helper_process) == task_tgid(current);
}

/**
 * dsm_node_configure() - the helper says who we are
 * @node: us
 * @id: our id
 * @nodes: how many there are
 *
 * Return: 0; -EINVAL, out of range or not what an earlier helper said; -EPERM,
 * there can be no node in this namespace; -ENOMEM.
 */
int dsm_node_configure(struct dsm_node *node, u32 id, u32 nodes)
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

static int __net_init node_net_init(struct net *net)
{
	struct dsm_node *node = kzalloc(sizeof(*node), GFP_KERNEL_ACCOUNT);
	int err;

	if (!node)
		return -ENOMEM;
	node->net = net;
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
	INIT_LIST_HEAD(&node->local);
	spin_lock_init(&node->local_lock);
	spin_lock_init(&node->park_lock);
	INIT_DELAYED_WORK(&node->local_work, dsm_receive_local);
	err = dsm_registry_init(node);
	if (err) {
		kfree(node);
		return err;
	}
	*(struct dsm_node **)net_generic(net, node_net_id) = node;
	return 0;
}

static void __net_exit node_net_exit(struct net *net)
{
	struct dsm_node *node = dsm_node_of(net);

	/* Nobody brings messages; then there are no regions; then no peers. */
	mutex_lock(&node->helper_lock);
	dsm_node_set_helper(node, 0);
	mutex_unlock(&node->helper_lock);
	cancel_delayed_work_sync(&node->local_work);
	if (node->configured)
		peers_stop(node);
	dsm_regions_destroy(node);
	cancel_delayed_work_sync(&node->local_work);
	if (node->configured) {
		dsm_sync_node_exit(node);
		sysfs_del(node);
		peers_destroy(node);
	}
	dsm_msg_free_list(&node->local);
	dsm_registry_exit(node);
	*(struct dsm_node **)net_generic(net, node_net_id) = NULL;
	kfree(node);
}

static struct pernet_operations node_net_ops = {
	.init	= node_net_init,
	.exit	= node_net_exit,
	.id	= &node_net_id,
	.size	= sizeof(struct dsm_node *),
};

int dsm_node_init(void)
{
	return register_pernet_subsys(&node_net_ops);
}

void dsm_node_exit(void)
{
	unregister_pernet_subsys(&node_net_ops);
}
