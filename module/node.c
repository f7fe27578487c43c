// SPDX-License-Identifier: GPL-2.0
/* Nodes: how one is found, numbers its requests, and knows its helper. netns.c makes them. */
#include <linux/pid.h>
#include <linux/sched.h>
#include <net/netns/generic.h>
#include "node.h"

unsigned int dsm_node_net_id;

/* NULL while the namespace is being made, and when it has gone. */
struct dsm_node *dsm_node_of(struct net *net)
{
	struct dsm_node **node = net_generic(net, dsm_node_net_id);

	return node ? *node : NULL;
}

/* A number that no request under way has. */
u32 dsm_node_next_req(struct dsm_node *node)
{
	return atomic_inc_return(&node->next_req);
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
