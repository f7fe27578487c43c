// SPDX-License-Identifier: GPL-2.0
/*
 * Regions, as one node has them: how one is found, referenced and used. table.c makes
 * them and takes them out of the table; registry.c agrees on them with the other nodes.
 *
 * This file knows nothing of what a region is made of: the chunks, frames and counters
 * hold references on their region, and table.c destroys them when the last one is dropped.
 */
#include <linux/cred.h>
#include <linux/uidgid.h>
#include "region.h"

bool dsm_region_name_valid(const char *name)
{
	size_t len = strnlen(name, DSM_NAME_MAX);

	if (!len || len == DSM_NAME_MAX || name[0] == '.')
		return false;
	return strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
			    "0123456789._-") == len;
}

void dsm_region_get(struct dsm_region *region)
{
	refcount_inc(&region->ref);
}

void dsm_region_put(struct dsm_region *region)
{
	if (refcount_dec_and_test(&region->ref))
		region->ops->release(region);
}

struct dsm_region *dsm_region_get_id(struct dsm_node *node, u32 id)
{
	struct dsm_region *region;

	rcu_read_lock();
	region = xa_load(&node->regions, id);
	if (region && !refcount_inc_not_zero(&region->ref))
		region = NULL;
	rcu_read_unlock();
	return region;
}

/*
 * A message is about a region that is not in the table. Return: 0, the region is
 * over, or there never was one, and the message is of no use; -ENXIO, we cannot
 * know: the registry's announcement may be on its way.
 *
 * Announcements come in the order of their ids, so one that is not in the table
 * and not after the last announcement is over. The registry itself knows all.
 */
int dsm_region_missing(struct dsm_node *node, u32 id)
{
	bool over;

	if (!id || node->id == DSM_REGISTRY_NODE)
		return 0;
	/* Against a registry that changes: both numbers are of one registry. */
	mutex_lock(&node->regions_lock);
	over = id > node->region_id_base && id <= node->region_id_seen;
	mutex_unlock(&node->regions_lock);
	return over ? 0 : -ENXIO;
}

/* The region with the lowest id above @id, referenced, or NULL. */
struct dsm_region *dsm_region_get_after(struct dsm_node *node, u32 id)
{
	struct dsm_region *region;
	unsigned long index = id;

	mutex_lock(&node->regions_lock);
	region = xa_find_after(&node->regions, &index, U32_MAX, XA_PRESENT);
	if (region)
		dsm_region_get(region);
	mutex_unlock(&node->regions_lock);
	return region;
}

/* The region that has the name now; not referenced. */
struct dsm_region *dsm_region_find_locked(struct dsm_node *node, const char *name)
{
	struct dsm_region *region;
	unsigned long id;

	lockdep_assert_held(&node->regions_lock);

	xa_for_each(&node->regions, id, region)
		if (!region->gone && !strcmp(region->name, name))
			return region;
	return NULL;
}

/* The caller holds regions_lock, and there are grants; or it is a user already. */
void dsm_region_get_user(struct dsm_region *region)
{
	get_net(region->node->net);
	dsm_region_get(region);
	atomic_inc(&region->users);
}

void dsm_region_put_user(struct dsm_region *region)
{
	struct net *net = region->node->net;

	if (atomic_dec_and_test(&region->users))
		region->ops->idle(region);
	dsm_region_put(region);
	put_net(net);
}

void dsm_region_to_arg(const struct dsm_region *region, struct dsm_region_arg *arg)
{
	memset(arg, 0, sizeof(*arg));
	strscpy(arg->name, region->name, sizeof(arg->name));
	arg->size = region->size;
	arg->base = region->base;
	arg->block_size = dsm_region_block_size(region);
	arg->home = region->home;
	arg->mode = region->mode;
	arg->uid = from_kuid_munged(current_user_ns(), region->uid);
	arg->gid = from_kgid_munged(current_user_ns(), region->gid);
	arg->id = region->id;
	arg->creator = region->creator;
}
