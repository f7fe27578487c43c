// SPDX-License-Identifier: GPL-2.0
/*
 * Regions, as one node has them. registry.c agrees on them with the others.
 *
 * A region dies in stages: the registry says GONE, and it can no longer be
 * opened; its last user here lets go, and the registry is told that we are
 * IDLE; when no node uses it, the registry says FREE, and it leaves the table;
 * when the last reference is dropped, its memory goes.
 *
 * The registry knows at any time which nodes use a region: a node asks for its
 * USE before the first of its users is one, and says IDLE when the last is none
 * any more, whether the region has its name or not. So what is unlinked is freed
 * at once, everywhere it can be heard, unless a node uses it: nodes that are down
 * and do not use it are not waited for. Where a node that uses it is down, the
 * region stays, with what that node may want of it, until the node comes back or
 * is known to have lost its memory.
 */
#include <linux/cred.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/uidgid.h>
#include "chunk.h"
#include "discard.h"
#include "frames.h"
#include "msg.h"
#include "netlink.h"
#include "peer.h"
#include "region.h"
#include "registry.h"
#include "sync.h"
#include "sysfs.h"
#include "user.h"
#include "wait.h"
#include "words.h"

bool dsm_region_name_valid(const char *name)
{
	size_t len = strnlen(name, DSM_NAME_MAX);

	if (!len || len == DSM_NAME_MAX || name[0] == '.')
		return false;
	return strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
			    "0123456789._-") == len;
}

/* A region's description may come from another node: it is checked here. */
static int check_wire(const struct dsm_node *node, const struct dsm_wire_region *wire)
{
	u64 size = le64_to_cpu(wire->size), base = le64_to_cpu(wire->base);
	u32 block_size = le32_to_cpu(wire->block_size);
	u32 home = le32_to_cpu(wire->home);

	if (!dsm_region_name_valid(wire->name) || wire->reserved)
		return -EBADMSG;
	if (block_size < PAGE_SIZE || block_size > DSM_BLOCK_SIZE_MAX ||
	    (block_size & (block_size - 1)))
		return -EBADMSG;
	if (!size || size > DSM_REGION_SIZE_MAX || (size & (block_size - 1)))
		return -EBADMSG;
	if (base < DSM_ADDR_MIN || base >= DSM_ADDR_MAX || size > DSM_ADDR_MAX - base ||
	    (base & (DSM_CHUNK_SIZE - 1)))
		return -EBADMSG;
	if (home < DSM_HOME_FIRST_TOUCH || home > DSM_HOME_CREATOR ||
	    le32_to_cpu(wire->mode) > 0777 || le32_to_cpu(wire->creator) >= node->nodes)
		return -EBADMSG;
	return 0;
}

/**
 * dsm_region_create() - make a region from its description
 * @node: us
 * @id: its number
 * @wire: the description, not trusted
 *
 * Return: the region, referenced once, in no table yet; or an ERR_PTR.
 */
struct dsm_region *dsm_region_create(struct dsm_node *node, u32 id,
				     const struct dsm_wire_region *wire)
{
	struct dsm_region *region;
	int err = check_wire(node, wire);

	if (err)
		return ERR_PTR(err);
	region = kzalloc(sizeof(*region), GFP_KERNEL_ACCOUNT);
	if (!region)
		return ERR_PTR(-ENOMEM);
	region->node = node;
	region->id = id;
	strscpy(region->name, wire->name, sizeof(region->name));
	region->size = le64_to_cpu(wire->size);
	region->base = le64_to_cpu(wire->base);
	region->block_shift = ilog2(le32_to_cpu(wire->block_size));
	region->home = le32_to_cpu(wire->home);
	region->creator = le32_to_cpu(wire->creator);
	region->mode = le32_to_cpu(wire->mode);
	region->uid = make_kuid(&init_user_ns, le32_to_cpu(wire->uid));
	region->gid = make_kgid(&init_user_ns, le32_to_cpu(wire->gid));
	refcount_set(&region->ref, 1);
	dsm_readahead_init(&region->readahead);
	INIT_LIST_HEAD(&region->leases);
	mutex_init(&region->ending_lock);
	xa_init_flags(&region->mappers, XA_FLAGS_ACCOUNT);
	mutex_init(&region->mappers_lock);
	xa_init_flags(&region->chunks, XA_FLAGS_ACCOUNT);
	mutex_init(&region->discard_lock);
	mutex_init(&region->use_lock);
	spin_lock_init(&region->ask_lock);
	dsm_discard_init(region);
	dsm_reclaim_region_init(region);

	err = -ENOMEM;
	region->user = dsm_user_get(node, region->uid);
	if (!region->user)
		goto free;
	err = dsm_frames_create(region);
	if (err)
		goto put_user;
	atomic_inc(&node->n_regions);
	return region;

put_user:
	dsm_user_put(region->user);
free:
	dsm_reclaim_region_exit(region);
	kfree(region);
	return ERR_PTR(err);
}

static void region_destroy(struct dsm_region *region)
{
	struct dsm_node *node = region->node;

	dsm_reclaim_region_exit(region);
	dsm_words_destroy(region->words);
	dsm_chunks_destroy(region);
	dsm_frames_destroy(region);
	kvfree(region->uses);
	dsm_user_put(region->user);
	kfree_rcu(region, rcu);
	/* The node may be freed as soon as it has none: only its address is used. */
	if (atomic_dec_and_test(&node->n_regions))
		wake_up_all(dsm_waitqueue(node));
}

void dsm_region_get(struct dsm_region *region)
{
	refcount_inc(&region->ref);
}

void dsm_region_put(struct dsm_region *region)
{
	if (refcount_dec_and_test(&region->ref))
		region_destroy(region);
}

/* Put a region in its node's table, which takes the caller's reference. */
int dsm_region_insert(struct dsm_region *region)
{
	struct dsm_node *node = region->node;
	int err;

	lockdep_assert_held(&node->regions_lock);

	err = xa_insert(&node->regions, region->id, region, GFP_KERNEL);
	if (err)
		return err;
	err = dsm_sysfs_region_add(region);
	if (err) {
		xa_erase(&node->regions, region->id);
		return err;
	}
	if (region->id > node->region_id_seen)
		node->region_id_seen = region->id;
	return 0;
}

/* The name is free for another region; this one cannot be opened any more. */
void dsm_region_set_gone(struct dsm_region *region)
{
	lockdep_assert_held(&region->node->regions_lock);

	if (region->gone)
		return;
	WRITE_ONCE(region->gone, true);
	dsm_sysfs_region_del(region);
	if (!atomic_read(&region->users))
		dsm_registry_idle(region);
}

/* Take a region from the table, and drop the table's reference. */
void dsm_region_remove(struct dsm_region *region)
{
	struct dsm_node *node = region->node;

	lockdep_assert_held(&node->regions_lock);

	if (!region->gone) {
		WRITE_ONCE(region->gone, true);
		dsm_sysfs_region_del(region);
	}
	xa_erase(&node->regions, region->id);
	WRITE_ONCE(region->dead, true);
	dsm_discard_stop(region);
	dsm_reclaim_region_stop(region);
	dsm_sync_region_gone(region);
	dsm_peers_forget(node, region->id);
	dsm_netlink_forget(node, region->id);
	dsm_region_put(region);
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

static bool permitted(const struct dsm_region *region, unsigned int want)
{
	unsigned int bits = region->mode;

	if (uid_eq(current_fsuid(), region->uid))
		bits >>= 6;
	else if (in_group_p(region->gid))
		bits >>= 3;
	return (bits & want) == want || capable(CAP_DAC_OVERRIDE);
}

/**
 * dsm_region_use() - become a user
 * @region: the region, referenced
 *
 * Return: 0; -ENOENT, its name is gone; as dsm_registry_use(), if nobody here uses it.
 */
int dsm_region_use(struct dsm_region *region)
{
	struct dsm_node *node = region->node;
	bool granted;
	int err = 0;

	do {
		mutex_lock(&node->regions_lock);
		granted = region->grants && !region->gone;
		if (granted)
			dsm_region_get_user(region);
		else if (region->gone)
			err = -ENOENT;
		mutex_unlock(&node->regions_lock);
		/* What is granted may be given back before we have it. */
		if (!granted && !err)
			err = dsm_registry_use(region);
	} while (!granted && !err);
	return err;
}

/**
 * dsm_region_open() - find a region by name, and become a user of it
 * @node: us
 * @name: the name
 * @rdonly: for reading only
 * @out: the region
 *
 * Return: 0; -ENOENT; -EACCES; if nobody here uses it yet, also -ETIMEDOUT, the
 * registry has not answered; -EINTR; -ENOMEM.
 */
int dsm_region_open(struct dsm_node *node, const char *name, bool rdonly,
		    struct dsm_region **out)
{
	struct dsm_region *region;
	int err = 0;

	mutex_lock(&node->regions_lock);
	region = dsm_region_find_locked(node, name);
	if (!region)
		err = -ENOENT;
	else if (!permitted(region, rdonly ? 4 : 6))
		err = -EACCES;
	else
		dsm_region_get(region);
	mutex_unlock(&node->regions_lock);
	if (err)
		return err;
	err = dsm_region_use(region);
	dsm_region_put(region);
	*out = region;
	return err;
}

/* By the holder of regions_lock, where there are grants, or by one who is a user already. */
void dsm_region_get_user(struct dsm_region *region)
{
	get_net(region->node->net);
	dsm_region_get(region);
	atomic_inc(&region->users);
}

void dsm_region_put_user(struct dsm_region *region)
{
	struct dsm_node *node = region->node;
	struct net *net = node->net;

	if (atomic_dec_and_test(&region->users)) {
		mutex_lock(&node->regions_lock);
		if (!atomic_read(&region->users))
			dsm_registry_idle(region);
		mutex_unlock(&node->regions_lock);
	}
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

void dsm_region_to_wire(const struct dsm_region *region, struct dsm_wire_region *wire)
{
	memset(wire, 0, sizeof(*wire));
	strscpy(wire->name, region->name, sizeof(wire->name));
	wire->size = cpu_to_le64(region->size);
	wire->base = cpu_to_le64(region->base);
	wire->block_size = cpu_to_le32(dsm_region_block_size(region));
	wire->home = cpu_to_le32(region->home);
	wire->mode = cpu_to_le32(region->mode);
	wire->uid = cpu_to_le32(from_kuid(&init_user_ns, region->uid));
	wire->gid = cpu_to_le32(from_kgid(&init_user_ns, region->gid));
	wire->creator = cpu_to_le32(region->creator);
}

/* The node goes: nobody uses a region, and no message comes any more. */
void dsm_regions_destroy(struct dsm_node *node)
{
	struct dsm_region *region;
	unsigned long id;

	mutex_lock(&node->regions_lock);
	xa_for_each(&node->regions, id, region)
		dsm_region_remove(region);
	mutex_unlock(&node->regions_lock);
	/* Revocations on hold have references, for hold_us at most. */
	wait_event(*dsm_waitqueue(node), !atomic_read(&node->n_regions));
	xa_destroy(&node->regions);
}
