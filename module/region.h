/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _DSM_REGION_H
#define _DSM_REGION_H

#include <linux/fs.h>
#include <linux/kobject.h>
#include <linux/mutex.h>
#include <linux/refcount.h>
#include <linux/uidgid.h>
#include <linux/workqueue.h>
#include <linux/xarray.h>
#include <linux/dsm.h>
#include "node.h"
#include "readahead.h"
#include "reclaim.h"
#include "stats.h"

struct dsm_region;
struct dsm_user;
struct dsm_words;

/**
 * struct dsm_region_ops - the end of a region's use; both may sleep
 * @idle: its last user has gone
 * @release: its last reference has
 */
struct dsm_region_ops {
	void (*idle)(struct dsm_region *region);
	void (*release)(struct dsm_region *region);
};

/**
 * struct dsm_region - a region, as this node has it
 *
 * Found by id under RCU. It stays in its node's table from the registry's NEW
 * to its FREE; a reference keeps the memory, a user (a bound descriptor or a
 * mapping) keeps the registry from sending FREE, and the namespace alive.
 *
 * @node: ours
 * @ops: table.c's
 * @id: number, cluster-wide
 * @name: its name
 * @size: bytes
 * @base: where processes map it
 * @block_shift: of the block's size
 * @home: enum dsm_home
 * @creator: the node that made it
 * @mode: permission bits
 * @uid: owner
 * @gid: group
 * @user: the owner, as far as this node counts what is the owner's
 * @frames: the shmem file whose pages are this node's copies
 * @inode: that of @frames; those who find the region under RCU may read it
 * @writers: of the same pages, the file of mappings that may write, see frames.c
 * @chunks: struct dsm_chunk by number, made when first needed
 * @ref: references
 * @users: bound descriptors and mappings
 * @gone: the name is (protected by node->regions_lock)
 * @dead: it is in no table: revocations of its pages are given up
 * @use_lock: one asks the registry for its use at a time
 * @grants: how often the registry has granted its use, which IDLE gives back: while
 *	there are any, it is not freed (protected by node->regions_lock)
 * @uses: at the registry: by node, the grants that it has (protected by
 *	node->regions_lock)
 * @mappings: of user space, the helper's not counted
 * @mappers: struct dsm_mapper by uid (protected by @mappers_lock)
 * @mappers_lock: see mapper.c
 * @readahead: which blocks are asked for ahead
 * @discard_lock: one discards at a time
 * @ask_lock: protects the next three
 * @asking: the number of the question whose chunk it is, or 0: asked by the holder
 *	of @discard_lock, reset by the answer
 * @asked: the node that was asked
 * @answer: then, who said what: a node id, or DSM_WIRE_NOBODY
 * @stale: frees stale frames, see discard.c; holds a reference
 *	while it is queued
 * @leases: struct lease: the mutexes that we have or want (protected by
 *	dsm_sync->lock)
 * @words: what processes share of them, or NULL (set once, with release)
 * @stats: counters
 * @kobj: in sysfs, or NULL
 * @rcu: frees it
 * @reclaim: its copies of blocks whose home is another node
 */
struct dsm_region {
	struct dsm_node *node;
	const struct dsm_region_ops *ops;
	u32 id;
	char name[DSM_NAME_MAX];
	u64 size;
	u64 base;
	u8 block_shift;
	u8 home;
	u16 creator;
	u16 mode;
	kuid_t uid;
	kgid_t gid;
	struct dsm_user *user;

	struct file *frames;
	struct inode *inode;
	struct file *writers;
	struct xarray chunks;

	refcount_t ref;
	atomic_t users;
	bool gone;
	bool dead;
	struct mutex use_lock;
	u32 grants;
	u32 *uses;

	atomic_t mappings;
	struct xarray mappers;
	struct mutex mappers_lock;

	struct dsm_readahead readahead;
	struct mutex discard_lock;
	spinlock_t ask_lock;
	u32 asking;
	u16 asked;
	u16 answer;
	struct delayed_work stale;
	struct list_head leases;
	struct dsm_words *words;
	atomic64_t stats[DSM_STATS];
	struct kobject *kobj;
	/* kfree_rcu() wants it in the first page. */
	struct rcu_head rcu;
	struct dsm_reclaim reclaim;
};

struct dsm_region *dsm_region_get_id(struct dsm_node *node, u32 id);
struct dsm_region *dsm_region_find_locked(struct dsm_node *node, const char *name);
int dsm_region_missing(struct dsm_node *node, u32 id);
struct dsm_region *dsm_region_get_after(struct dsm_node *node, u32 id);
void dsm_region_get(struct dsm_region *region);
void dsm_region_put(struct dsm_region *region);

void dsm_region_get_user(struct dsm_region *region);
void dsm_region_put_user(struct dsm_region *region);

bool dsm_region_name_valid(const char *name);
void dsm_region_to_arg(const struct dsm_region *region, struct dsm_region_arg *arg);

static inline u64 dsm_region_blocks(const struct dsm_region *region)
{
	return region->size >> region->block_shift;
}

static inline u32 dsm_region_block_size(const struct dsm_region *region)
{
	return 1U << region->block_shift;
}

static inline u64 dsm_region_chunk_of(const struct dsm_region *region, u64 block)
{
	return block >> (DSM_CHUNK_SHIFT - region->block_shift);
}

static inline void dsm_stat(struct dsm_region *region, enum dsm_stat stat, s64 n)
{
	atomic64_add(n, &region->stats[stat]);
}

#endif /* _DSM_REGION_H */
