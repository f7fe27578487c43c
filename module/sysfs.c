// SPDX-License-Identifier: GPL-2.0
/*
 * /sys/class/dsm/node: what a node is doing, and what can be tuned. The files
 * are described in ABI/sysfs-class-dsm.
 *
 *	node/			one a network namespace, seen from there only
 *	node/peers/<id>/
 *	node/regions/<name>/
 *	node/regions/<name>/stats/
 *
 * A peer's and a region's directory is a kobject of its own, which knows what
 * it shows but holds no reference on it: removing a directory waits for the
 * files in it that are being read, so that nothing reads what it shows once
 * dsm_sysfs_*_del() has returned. For the same reason no file takes a lock
 * that may be held over a dsm_sysfs_*_del(); values are read as they are.
 */
#include <linux/device.h>
#include <linux/kobject.h>
#include <linux/module.h>
#include <linux/netdevice.h>
#include <linux/slab.h>
#include <linux/sysfs.h>
#include <net/net_namespace.h>
#include "compat.h"
#include "frames.h"
#include "msg.h"
#include "node.h"
#include "peer.h"
#include "reclaim.h"
#include "region.h"
#include "sysfs.h"

/* ------------------------------------------------------------------------
 * The node
 */

static struct dsm_node *node_of(struct device *dev)
{
	return dev_get_drvdata(dev);
}

static ssize_t id_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%u\n", node_of(dev)->id);
}
static DEVICE_ATTR_RO(id);

static ssize_t nodes_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%u\n", node_of(dev)->nodes);
}
static DEVICE_ATTR_RO(nodes);

static ssize_t up_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%u\n", dsm_peers_up(node_of(dev)));
}
static DEVICE_ATTR_RO(up);

static ssize_t incarnation_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%016llx\n", node_of(dev)->incarnation);
}
static DEVICE_ATTR_RO(incarnation);

static ssize_t view_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%u\n", READ_ONCE(node_of(dev)->view));
}
static DEVICE_ATTR_RO(view);

static ssize_t helper_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	u32 port = READ_ONCE(node_of(dev)->helper);

	return port ? sysfs_emit(buf, "%u\n", port) : sysfs_emit(buf, "none\n");
}
static DEVICE_ATTR_RO(helper);

static ssize_t outstanding_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	struct dsm_node *node = node_of(dev);
	unsigned int id;
	u64 sum = 0;

	for (id = 0; id < node->nodes; id++)
		if (node->peers[id])
			sum += READ_ONCE(node->peers[id]->n_queue);
	return sysfs_emit(buf, "%llu\n", sum);
}
static DEVICE_ATTR_RO(outstanding);

/**
 * struct tunable - a file that sets something
 * @attr: the file
 * @offset: of what it sets, in struct dsm_node
 * @wide: that is a u64, and no u32
 * @min: the least it may be
 * @max: the most
 */
struct tunable {
	struct device_attribute attr;
	size_t offset;
	bool wide;
	u64 min;
	u64 max;
};

static void *tuned_by(struct device *dev, const struct tunable *tunable)
{
	return (void *)node_of(dev) + tunable->offset;
}

static ssize_t tunable_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	struct tunable *tunable = container_of(attr, struct tunable, attr);

	if (tunable->wide)
		return sysfs_emit(buf, "%llu\n", READ_ONCE(*(u64 *)tuned_by(dev, tunable)));
	return sysfs_emit(buf, "%u\n", READ_ONCE(*(u32 *)tuned_by(dev, tunable)));
}

static ssize_t tunable_store(struct device *dev, struct device_attribute *attr,
			     const char *buf, size_t len)
{
	struct tunable *tunable = container_of(attr, struct tunable, attr);
	u64 value;

	if (kstrtou64(buf, 10, &value) || value < tunable->min || value > tunable->max)
		return -EINVAL;
	if (tunable->wide)
		WRITE_ONCE(*(u64 *)tuned_by(dev, tunable), value);
	else
		WRITE_ONCE(*(u32 *)tuned_by(dev, tunable), value);
	return len;
}

static struct tunable hold_us = {
	.attr	= __ATTR(hold_us, 0644, tunable_show, tunable_store),
	.offset	= offsetof(struct dsm_node, hold_us),
	.min	= 0,
	.max	= DSM_HOLD_US_MAX,
};

static struct tunable timeout_ms = {
	.attr	= __ATTR(timeout_ms, 0644, tunable_show, tunable_store),
	.offset	= offsetof(struct dsm_node, timeout_ms),
	.min	= DSM_TIMEOUT_MS_MIN,
	.max	= DSM_TIMEOUT_MS_MAX,
};

static struct tunable prefetch_blocks = {
	.attr	= __ATTR(prefetch_blocks, 0644, tunable_show, tunable_store),
	.offset	= offsetof(struct dsm_node, prefetch_blocks),
	.min	= 0,
	.max	= DSM_PREFETCH_BLOCKS_MAX,
};

static struct tunable spin_us = {
	.attr	= __ATTR(spin_us, 0644, tunable_show, tunable_store),
	.offset	= offsetof(struct dsm_node, spin_us),
	.min	= 0,
	.max	= DSM_SPIN_US_MAX,
};

/* The limits of a user, see user.c. */
static struct tunable user_regions_max = {
	.attr	= __ATTR(user_regions_max, 0644, tunable_show, tunable_store),
	.offset	= offsetof(struct dsm_node, user_regions_max),
	.max	= U32_MAX,
};

static struct tunable user_mutexes_max = {
	.attr	= __ATTR(user_mutexes_max, 0644, tunable_show, tunable_store),
	.offset	= offsetof(struct dsm_node, user_mutexes_max),
	.max	= S32_MAX,
};

static struct tunable user_address_bytes_max = {
	.attr	= __ATTR(user_address_bytes_max, 0644, tunable_show, tunable_store),
	.offset	= offsetof(struct dsm_node, user_address_bytes_max),
	.wide	= true,
	.max	= U64_MAX,
};

static struct tunable user_frames_bytes_max = {
	.attr	= __ATTR(user_frames_bytes_max, 0644, tunable_show, tunable_store),
	.offset	= offsetof(struct dsm_node, user_frames_bytes_max),
	.wide	= true,
	.max	= U64_MAX,
};

static struct tunable user_mappings_max = {
	.attr	= __ATTR(user_mappings_max, 0644, tunable_show, tunable_store),
	.offset	= offsetof(struct dsm_node, user_mappings_max),
	.min	= DSM_USER_MAPPINGS_MAX_MIN,
	.max	= DSM_USER_MAPPINGS_MAX_MAX,
};

static s64 spun(struct device *dev, size_t counter)
{
	struct dsm_spin *spins = node_of(dev)->spins;
	s64 sum = 0;
	int kind;

	for (kind = 0; kind < DSM_SPIN_KINDS; kind++)
		sum += atomic64_read((void *)&spins[kind] + counter);
	return sum;
}

static ssize_t spin_hits_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%lld\n", spun(dev, offsetof(struct dsm_spin, hits)));
}
static DEVICE_ATTR_RO(spin_hits);

static ssize_t spin_misses_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%lld\n", spun(dev, offsetof(struct dsm_spin, misses)));
}
static DEVICE_ATTR_RO(spin_misses);

static struct attribute *node_attrs[] = {
	&dev_attr_id.attr,
	&dev_attr_nodes.attr,
	&dev_attr_up.attr,
	&dev_attr_incarnation.attr,
	&dev_attr_view.attr,
	&dev_attr_helper.attr,
	&dev_attr_outstanding.attr,
	&hold_us.attr.attr,
	&timeout_ms.attr.attr,
	&prefetch_blocks.attr.attr,
	&spin_us.attr.attr,
	&user_regions_max.attr.attr,
	&user_mutexes_max.attr.attr,
	&user_address_bytes_max.attr.attr,
	&user_frames_bytes_max.attr.attr,
	&user_mappings_max.attr.attr,
	&dev_attr_spin_hits.attr,
	&dev_attr_spin_misses.attr,
	NULL
};
ATTRIBUTE_GROUPS(node);

static struct net *node_net(DSM_DEVICE_CONST struct device *dev)
{
	return ((struct dsm_node *)dev_get_drvdata(dev))->net;
}

static DSM_CLASS_NAMESPACE *node_namespace(DSM_DEVICE_CONST struct device *dev)
{
	return dsm_class_namespace(node_net(dev));
}

/* Root of the namespace may tune its node. */
static void node_ownership(DSM_DEVICE_CONST struct device *dev, kuid_t *uid, kgid_t *gid)
{
	net_ns_get_ownership(node_net(dev), uid, gid);
}

static struct class node_class = {
	.name		= "dsm",
	DSM_CLASS_OWNER
	.dev_groups	= node_groups,
	.ns_type	= &net_ns_type_operations,
	.namespace	= node_namespace,
	.get_ownership	= node_ownership,
};

/* ------------------------------------------------------------------------
 * Directories of peers and regions
 */

/**
 * struct dir - a directory
 * @kobj: it
 * @shows: a dsm_peer or a dsm_region; valid in show functions
 */
struct dir {
	struct kobject kobj;
	void *shows;
};

static void dir_release(struct kobject *kobj)
{
	kfree(container_of(kobj, struct dir, kobj));
}

static struct kobject *dir_add(const struct kobj_type *type, struct kobject *parent,
			       void *shows, const char *name)
{
	struct dir *dir = kzalloc(sizeof(*dir), GFP_KERNEL_ACCOUNT);
	int err;

	if (!dir)
		return ERR_PTR(-ENOMEM);
	dir->shows = shows;
	err = kobject_init_and_add(&dir->kobj, type, parent, "%s", name);
	if (err) {
		kobject_put(&dir->kobj);
		return ERR_PTR(err);
	}
	return &dir->kobj;
}

static void dir_del(struct kobject *kobj)
{
	if (!kobj)
		return;
	kobject_del(kobj);
	kobject_put(kobj);
}

static void *shown_by(struct kobject *kobj)
{
	return container_of(kobj, struct dir, kobj)->shows;
}

/* A read-only file @name of a @type, which shows @value. */
#define SHOW(type, name, format, value)						\
static ssize_t type##_##name##_show(struct kobject *kobj, struct kobj_attribute *attr, \
				    char *buf)					\
{										\
	struct dsm_##type *type = shown_by(kobj);				\
										\
	return sysfs_emit(buf, format "\n", value);				\
}										\
static struct kobj_attribute type##_##name =					\
	__ATTR(name, 0444, type##_##name##_show, NULL)

/* ------------------------------------------------------------------------
 * Peers
 */

static const char *link_name(u8 link)
{
	switch ((enum dsm_peer_link)link) {
	case DSM_LINK_DOWN:
		return "down";
	case DSM_LINK_UP:
		return "up";
	case DSM_LINK_STALE:
		return "stale";
	}
	return "?";
}

static u64 unsent_count(struct dsm_peer *peer)
{
	u64 n = 0;

	spin_lock(&peer->lock);
	if (peer->unsent != &peer->queue)
		n = peer->tx_seq + 1 - list_entry(peer->unsent, struct dsm_msg, list)->seq;
	spin_unlock(&peer->lock);
	return n;
}

SHOW(peer, state, "%s", link_name(READ_ONCE(peer->link)));
SHOW(peer, incarnation, "%016llx", READ_ONCE(peer->incarnation));
SHOW(peer, session, "%016llx", READ_ONCE(peer->session));
SHOW(peer, outstanding, "%u", READ_ONCE(peer->n_queue));
SHOW(peer, unsent, "%llu", unsent_count(peer));
SHOW(peer, rtt_ns, "%llu", READ_ONCE(peer->rtt_ns));
SHOW(peer, tx_frames, "%lld", atomic64_read(&peer->tx_frames));
SHOW(peer, rx_frames, "%lld", atomic64_read(&peer->rx_frames));
SHOW(peer, resent, "%lld", atomic64_read(&peer->resent));
SHOW(peer, duplicates, "%lld", atomic64_read(&peer->duplicates));
SHOW(peer, rejected, "%lld", atomic64_read(&peer->rejected));
SHOW(peer, asked_again, "%lld", atomic64_read(&peer->asked_again));
SHOW(peer, parked, "%u", READ_ONCE(peer->park.n));

static struct attribute *peer_attrs[] = {
	&peer_state.attr,
	&peer_incarnation.attr,
	&peer_session.attr,
	&peer_outstanding.attr,
	&peer_unsent.attr,
	&peer_rtt_ns.attr,
	&peer_tx_frames.attr,
	&peer_rx_frames.attr,
	&peer_resent.attr,
	&peer_duplicates.attr,
	&peer_rejected.attr,
	&peer_asked_again.attr,
	&peer_parked.attr,
	NULL
};
ATTRIBUTE_GROUPS(peer);

static const struct kobj_type peer_type = {
	.release	= dir_release,
	.sysfs_ops	= &kobj_sysfs_ops,
	.default_groups	= peer_groups,
};

/* ------------------------------------------------------------------------
 * Regions
 */

static const char *home_name(u8 home)
{
	switch ((enum dsm_home)home) {
	case DSM_HOME_DEFAULT:
	case DSM_HOME_FIRST_TOUCH:
		return "first-touch";
	case DSM_HOME_INTERLEAVED:
		return "interleaved";
	case DSM_HOME_CREATOR:
		return "creator";
	}
	return "?";
}

SHOW(region, id, "%u", region->id);
SHOW(region, size, "%llu", region->size);
SHOW(region, base, "0x%llx", region->base);
SHOW(region, block_size, "%u", dsm_region_block_size(region));
SHOW(region, home, "%s", home_name(region->home));
SHOW(region, creator, "%u", region->creator);
SHOW(region, mode, "%04o", region->mode);
SHOW(region, uid, "%u", from_kuid_munged(current_user_ns(), region->uid));
SHOW(region, gid, "%u", from_kgid_munged(current_user_ns(), region->gid));
SHOW(region, users, "%d", atomic_read(&region->users));
SHOW(region, frames, "%llu", dsm_frames_bytes(region));

SHOW(region, cached, "%llu", dsm_reclaim_cached_bytes(region));
SHOW(region, dirty, "%llu", dsm_reclaim_dirty_bytes(region));

static ssize_t cache_bytes_show(struct kobject *kobj, struct kobj_attribute *attr, char *buf)
{
	struct dsm_region *region = shown_by(kobj);

	return sysfs_emit(buf, "%llu\n", READ_ONCE(region->reclaim.limit));
}

static ssize_t cache_bytes_store(struct kobject *kobj, struct kobj_attribute *attr,
				 const char *buf, size_t len)
{
	u64 bytes;

	if (kstrtou64(buf, 10, &bytes))
		return -EINVAL;
	return dsm_reclaim_set_limit(shown_by(kobj), bytes) ?: len;
}

static struct kobj_attribute region_cache_bytes =
	__ATTR(cache_bytes, 0644, cache_bytes_show, cache_bytes_store);

static struct attribute *region_attrs[] = {
	&region_id.attr,
	&region_size.attr,
	&region_base.attr,
	&region_block_size.attr,
	&region_home.attr,
	&region_creator.attr,
	&region_mode.attr,
	&region_uid.attr,
	&region_gid.attr,
	&region_users.attr,
	&region_frames.attr,
	&region_cached.attr,
	&region_dirty.attr,
	&region_cache_bytes.attr,
	NULL
};

static const struct attribute_group region_group = {
	.attrs	= region_attrs,
};

struct stat_attribute {
	struct kobj_attribute attr;
	enum dsm_stat stat;
};

static ssize_t stat_show(struct kobject *kobj, struct kobj_attribute *attr, char *buf)
{
	struct stat_attribute *stat = container_of(attr, struct stat_attribute, attr);
	struct dsm_region *region = shown_by(kobj);

	return sysfs_emit(buf, "%lld\n", atomic64_read(&region->stats[stat->stat]));
}

static struct stat_attribute stats[DSM_STATS] = {
#define X(name) { __ATTR(name, 0444, stat_show, NULL), DSM_STAT_##name },
	DSM_STAT_LIST(X)
#undef X
};

/* Filled in by dsm_sysfs_init(). */
static struct attribute *stats_attrs[DSM_STATS + 1];

static const struct attribute_group stats_group = {
	.name	= "stats",
	.attrs	= stats_attrs,
};

static const struct attribute_group *region_groups[] = {
	&region_group,
	&stats_group,
	NULL
};

static const struct kobj_type region_type = {
	.release	= dir_release,
	.sysfs_ops	= &kobj_sysfs_ops,
	.default_groups	= region_groups,
};

/* ------------------------------------------------------------------------
 * Coming and going
 */

/**
 * dsm_sysfs_node_add() - show a node
 * @node: configured; its peers and regions come later
 *
 * Return: 0 or -errno. Sleeps.
 */
int dsm_sysfs_node_add(struct dsm_node *node)
{
	struct device *dev;

	dev = device_create(&node_class, NULL, MKDEV(0, 0), node, "node");
	if (IS_ERR(dev))
		return PTR_ERR(dev);
	node->peers_kobj = kobject_create_and_add("peers", &dev->kobj);
	if (!node->peers_kobj)
		goto unregister;
	node->regions_kobj = kobject_create_and_add("regions", &dev->kobj);
	if (!node->regions_kobj)
		goto del_peers;
	node->dev = dev;
	return 0;

del_peers:
	dir_del(node->peers_kobj);
	node->peers_kobj = NULL;
unregister:
	device_unregister(dev);
	return -ENOMEM;
}

/* Show a node no longer; its peers and regions are shown no longer. Sleeps. */
void dsm_sysfs_node_del(struct dsm_node *node)
{
	if (!node->dev)
		return;
	dir_del(node->regions_kobj);
	dir_del(node->peers_kobj);
	device_unregister(node->dev);
	node->regions_kobj = NULL;
	node->peers_kobj = NULL;
	node->dev = NULL;
}

int dsm_sysfs_peer_add(struct dsm_peer *peer)
{
	struct kobject *kobj;
	char name[8];

	if (!peer->node->peers_kobj)
		return -ENODEV;
	snprintf(name, sizeof(name), "%u", peer->id);
	kobj = dir_add(&peer_type, peer->node->peers_kobj, peer, name);
	if (IS_ERR(kobj))
		return PTR_ERR(kobj);
	peer->kobj = kobj;
	return 0;
}

/* Sleeps until nobody reads a file of the peer's, which may go then. */
void dsm_sysfs_peer_del(struct dsm_peer *peer)
{
	dir_del(peer->kobj);
	peer->kobj = NULL;
}

int dsm_sysfs_region_add(struct dsm_region *region)
{
	struct kobject *kobj;

	if (!region->node->regions_kobj)
		return -ENODEV;
	kobj = dir_add(&region_type, region->node->regions_kobj, region, region->name);
	if (IS_ERR(kobj))
		return PTR_ERR(kobj);
	region->kobj = kobj;
	return 0;
}

/* Sleeps until nobody reads a file of the region's; its name is free then. */
void dsm_sysfs_region_del(struct dsm_region *region)
{
	dir_del(region->kobj);
	region->kobj = NULL;
}

int dsm_sysfs_init(void)
{
	unsigned int i;

	for (i = 0; i < DSM_STATS; i++)
		stats_attrs[i] = &stats[i].attr.attr;
	return class_register(&node_class);
}

void dsm_sysfs_exit(void)
{
	class_unregister(&node_class);
}
