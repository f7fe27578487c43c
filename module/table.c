// SPDX-License-Identifier: GPL-2.0
/*
 * The table of a node's regions: what a region is made of, and how it comes and goes.
 *
 * A region dies in stages: the registry says GONE, and it can no longer be
 * opened; its last user here lets go, and the registry is told that we are
 * IDLE; when no node uses it, the registry says FREE, and it leaves the table;
 * when the last reference is dropped, its memory goes.
 *
 * The registry knows at any time which nodes use a region: a node asks for its
 * USE before the first of its users is one, and says IDLE when the last is none
 * any more, whether the region has its name or not. So an unlinked region is freed
 * at once, everywhere it can be heard, unless a node uses it: nodes that are down
 * and do not use it are not waited for. Where a node that uses it is down, the
 * region stays, with what that node may want of it, until the node comes back or
 * is known to have lost its memory.
 */
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/uidgid.h>
#include "batch.h"
#include "chunk.h"
#include "discard.h"
#include "frames.h"
#include "link.h"
#include "msg.h"
#include "node.h"
#include "peer.h"
#include "region.h"
#include "sync.h"
#include "sysfs.h"
#include "table.h"
#include "user.h"
#include "wait.h"
#include "words.h"

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

static void region_release(struct dsm_region *region)
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

/**
 * dsm_table_say_idle() - tell the registry that nobody here uses a region any more
 * @region: the region; the node's regions_lock is held
 * @batch: where the message waits if we are the registry
 */
void dsm_table_say_idle(struct dsm_region *region, struct dsm_batch *batch)
{
	struct dsm_node *node = region->node;
	u32 grants = region->grants;
	struct dsm_msg *msg;

	lockdep_assert_held(&node->regions_lock);

	WRITE_ONCE(region->grants, 0);
	if (!grants)
		return;
	msg = dsm_msg_alloc(GFP_KERNEL | __GFP_NOFAIL);
	msg->type = DSM_REGION_IDLE;
	msg->req = grants;
	msg->region = region->id;
	dsm_post(node, DSM_REGISTRY_NODE, msg, batch);
}

/* The last user has gone, unless another has come since. */
static void region_idle(struct dsm_region *region)
{
	struct dsm_node *node = region->node;
	struct dsm_batch batch;

	dsm_batch_init(&batch);
	mutex_lock(&node->regions_lock);
	if (!atomic_read(&region->users))
		dsm_table_say_idle(region, &batch);
	mutex_unlock(&node->regions_lock);
	dsm_batch_end(&batch, node);
}

static const struct dsm_region_ops region_ops = {
	.idle		= region_idle,
	.release	= region_release,
};

/**
 * dsm_table_create() - make a region from its description
 * @node: us
 * @id: its number
 * @wire: the description, not trusted
 *
 * Return: the region, referenced once, in no table yet; or an ERR_PTR.
 */
struct dsm_region *dsm_table_create(struct dsm_node *node, u32 id,
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
	region->ops = &region_ops;
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

/* Put a region in its node's table, which takes the caller's reference. */
int dsm_table_insert(struct dsm_region *region)
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
void dsm_table_set_gone(struct dsm_region *region, struct dsm_batch *batch)
{
	lockdep_assert_held(&region->node->regions_lock);

	if (region->gone)
		return;
	WRITE_ONCE(region->gone, true);
	dsm_sysfs_region_del(region);
	if (!atomic_read(&region->users))
		dsm_table_say_idle(region, batch);
}

/* Take a region from the table, and drop the table's reference. */
void dsm_table_remove(struct dsm_region *region)
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
	node->carrier->forget(node, region->id);
	dsm_region_put(region);
}

void dsm_table_to_wire(const struct dsm_region *region, struct dsm_wire_region *wire)
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
void dsm_table_destroy(struct dsm_node *node)
{
	struct dsm_region *region;
	unsigned long id;

	mutex_lock(&node->regions_lock);
	xa_for_each(&node->regions, id, region)
		dsm_table_remove(region);
	mutex_unlock(&node->regions_lock);
	/* Revocations on hold have references, for hold_us at most. */
	wait_event(*dsm_waitqueue(node), !atomic_read(&node->n_regions));
	xa_destroy(&node->regions);
}
