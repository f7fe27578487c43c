// SPDX-License-Identifier: GPL-2.0
/*
 * Users: what one of them may take from the others.
 *
 * Regions and addresses are the cluster's, so the registry counts them, by the
 * owner that CREATE names. It counts regions whose name is gone as well, until
 * they are freed. Frames are counted on each node, by the owner of the region
 * that they are of, and mutexes on each node, by the user whose thread asks.
 *
 * Frames come and go in shmem, out of our sight. So they are counted, over the
 * user's regions, each time the user's threads have asked for @room bytes of
 * blocks, and @room is a part of what is left then. A limit may be overrun by
 * one block for each thread that asks at the same time.
 *
 * At a limit a call fails with EDQUOT, and an access gets SIGBUS. The super-user
 * (uid 0, or CAP_SYS_RESOURCE in the initial user namespace) has no limits.
 */
#include <linux/capability.h>
#include <linux/cred.h>
#include <linux/math.h>
#include <linux/minmax.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include "frames.h"
#include "node.h"
#include "region.h"
#include "user.h"

enum {
	ROOM_PART	= 8,		/* of what is left */
	ROOM_MAX	= 1 << 20,	/* bytes */
};

static struct dsm_user *find(struct dsm_node *node, kuid_t uid)
{
	struct dsm_user *user;

	lockdep_assert_held(&node->users_lock);

	list_for_each_entry(user, &node->users, list)
		if (uid_eq(user->uid, uid) && refcount_inc_not_zero(&user->ref))
			return user;
	return NULL;
}

/* The user, referenced; made if need be. NULL: no memory. */
struct dsm_user *dsm_user_get(struct dsm_node *node, kuid_t uid)
{
	struct dsm_user *user, *new;

	spin_lock(&node->users_lock);
	user = find(node, uid);
	spin_unlock(&node->users_lock);
	if (user)
		return user;
	new = kzalloc(sizeof(*new), GFP_KERNEL_ACCOUNT);
	if (!new)
		return NULL;
	new->node = node;
	new->uid = uid;
	refcount_set(&new->ref, 1);
	INIT_LIST_HEAD(&new->kept);
	spin_lock(&node->users_lock);
	user = find(node, uid);
	if (!user) {
		list_add(&new->list, &node->users);
		user = new;
		new = NULL;
	}
	spin_unlock(&node->users_lock);
	kfree(new);
	return user;
}

void dsm_user_put(struct dsm_user *user)
{
	struct dsm_node *node = user->node;

	if (!refcount_dec_and_test(&user->ref))
		return;
	/* find() may look at it until it is off the list. */
	spin_lock(&node->users_lock);
	list_del(&user->list);
	spin_unlock(&node->users_lock);
	kfree(user);
}

static bool is_super(kuid_t uid)
{
	return uid_eq(uid, GLOBAL_ROOT_UID);
}

/**
 * dsm_user_check_create() - at the registry: may a user have one more region?
 * @node: us
 * @uid: the user
 * @size: the region's, as asked for
 *
 * Return: 0; -EDQUOT.
 */
int dsm_user_check_create(struct dsm_node *node, kuid_t uid, u64 size)
{
	u64 bytes = 0, max = READ_ONCE(node->user_address_bytes_max);
	struct dsm_region *region;
	unsigned long id;
	u32 regions = 0;

	lockdep_assert_held(&node->regions_lock);

	if (is_super(uid))
		return 0;
	xa_for_each(&node->regions, id, region) {
		if (!uid_eq(region->uid, uid))
			continue;
		regions++;
		bytes += round_up(region->size, DSM_CHUNK_SIZE);
	}
	if (regions >= READ_ONCE(node->user_regions_max))
		return -EDQUOT;
	/* A size that no region can have is refused elsewhere. */
	if (size > DSM_REGION_SIZE_MAX)
		return 0;
	size = round_up(size, DSM_CHUNK_SIZE);
	return size > max || bytes > max - size ? -EDQUOT : 0;
}

/* The bytes that the frames of a user's regions take, swapped out or not. */
static u64 frames_of(struct dsm_user *user)
{
	struct dsm_node *node = user->node;
	struct dsm_region *region;
	unsigned long id;
	u64 bytes = 0;

	rcu_read_lock();
	xa_for_each(&node->regions, id, region)
		if (region->user == user)
			bytes += dsm_frames_taken(region);
	rcu_read_unlock();
	return bytes;
}

static int count_frames(struct dsm_user *user, u64 size)
{
	u64 left = dsm_frames_left(), taken, max;

	if (left < size)
		return -ENOSPC;
	if (!is_super(user->uid)) {
		max = READ_ONCE(user->node->user_frames_bytes_max);
		taken = frames_of(user);
		if ((taken > max || max - taken < size) && !capable(CAP_SYS_RESOURCE))
			return -EDQUOT;
		left = min(left, max - min(max, taken));
	}
	atomic64_set(&user->room, min_t(u64, left / ROOM_PART, ROOM_MAX));
	return 0;
}

/**
 * dsm_user_take_block() - may a block have frames on this node?
 * @region: the region, to whose owner they are counted
 * @index: the block; may have them already
 *
 * To be asked before the block is. Return: 0; -EDQUOT, its owner has as much as
 * a user may have; -ENOSPC, all regions together have as much as there may be.
 */
int dsm_user_take_block(struct dsm_region *region, u64 index)
{
	u32 size = dsm_region_block_size(region);
	int err;

	if (atomic64_sub_return(size, &region->user->room) >= 0)
		return 0;
	err = count_frames(region->user, size);
	return err && dsm_frames_present(region, index) ? 0 : err;
}

/**
 * dsm_user_take_mutex() - count one more to the current user
 * @node: us
 *
 * Return: the user, for dsm_user_give_mutex(); ERR_PTR(-EDQUOT); ERR_PTR(-ENOMEM).
 */
struct dsm_user *dsm_user_take_mutex(struct dsm_node *node)
{
	struct dsm_user *user = dsm_user_get(node, current_fsuid());

	if (!user)
		return ERR_PTR(-ENOMEM);
	if (atomic_inc_return(&user->mutexes) <= READ_ONCE(node->user_mutexes_max) ||
	    is_super(user->uid) || capable(CAP_SYS_RESOURCE))
		return user;
	dsm_user_give_mutex(user);
	return ERR_PTR(-EDQUOT);
}

/* Does not sleep. */
void dsm_user_give_mutex(struct dsm_user *user)
{
	atomic_dec(&user->mutexes);
	dsm_user_put(user);
}
