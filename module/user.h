/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _DSM_USER_H
#define _DSM_USER_H

#include <linux/list.h>
#include <linux/refcount.h>
#include <linux/types.h>
#include <linux/uidgid.h>

struct dsm_node;
struct dsm_region;

/* Defaults of what one user may take; that of frames is half of frames_bytes. */
enum dsm_user_limits {
	DSM_USER_REGIONS_DEFAULT	= 32,
	DSM_USER_MUTEXES_DEFAULT	= 2048,
};

#define DSM_USER_ADDRESS_BYTES_DEFAULT	(1ULL << 40)	/* a 16th of what there is */

/**
 * struct dsm_user - what a user has taken of a node
 * @node: the node
 * @list: in node->users (protected by node->users_lock)
 * @uid: the user
 * @ref: the user's regions, and whoever uses @mutexes
 * @room: bytes that may be taken for frames before they are counted again
 * @kept: the user's leases that have words: those that nobody holds are among them (protected
 *	by dsm_sync->lock)
 * @n_kept: how many (protected by the same)
 * @mutexes: synchronisation objects that the user's threads have, or wait for
 */
struct dsm_user {
	struct dsm_node *node;
	struct list_head list;
	kuid_t uid;
	refcount_t ref;
	atomic64_t room;
	struct list_head kept;
	unsigned int n_kept;
	atomic_t mutexes;
};

struct dsm_user *dsm_user_get(struct dsm_node *node, kuid_t uid);
void dsm_user_put(struct dsm_user *user);

int dsm_user_check_create(struct dsm_node *node, kuid_t uid, u64 size);
int dsm_user_take_block(struct dsm_region *region, u64 index);

struct dsm_user *dsm_user_take_mutex(struct dsm_node *node);
void dsm_user_give_mutex(struct dsm_user *user);

#endif /* _DSM_USER_H */
