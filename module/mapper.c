// SPDX-License-Identifier: GPL-2.0
/*
 * Mappers: how many mappings of a region each user has.
 *
 * To take a page away the kernel goes through all VMAs that may map it, and the threads of
 * other nodes that want the page wait for that. So a user may have user_mappings_max of them, in
 * all processes. mmap(2) is refused beyond that, and so is what would split one: mprotect(2),
 * or munmap(2) of its middle. A child of fork(2) has its parent's mappings; that cannot be
 * refused, but it counts, and a user who is beyond the limit maps nothing more.
 *
 * The user is the real one, as it is for RLIMIT_NPROC. The super-user has no limit (uid 0, or
 * CAP_SYS_RESOURCE in the initial user namespace).
 *
 * region->mappers_lock is taken under mmap_lock, and no lock is taken under it.
 */
#include <linux/capability.h>
#include <linux/cred.h>
#include <linux/err.h>
#include <linux/slab.h>
#include <linux/uidgid.h>
#include "mapper.h"
#include "region.h"

static bool at_limit(const struct dsm_mapper *mapper)
{
	const struct dsm_node *node = mapper->region->node;

	return READ_ONCE(mapper->mappings) >= READ_ONCE(node->user_mappings_max) &&
	       mapper->uid && !capable(CAP_SYS_RESOURCE);
}

static void count(struct dsm_mapper *mapper)
{
	WRITE_ONCE(mapper->mappings, mapper->mappings + 1);
	atomic_inc(&mapper->region->mappings);
}

static struct dsm_mapper *create(struct dsm_region *region, u32 uid)
{
	struct dsm_mapper *mapper = kzalloc(sizeof(*mapper), GFP_KERNEL_ACCOUNT);

	if (!mapper)
		return ERR_PTR(-ENOMEM);
	mapper->region = region;
	mapper->uid = uid;
	if (xa_insert(&region->mappers, uid, mapper, GFP_KERNEL_ACCOUNT)) {
		kfree(mapper);
		return ERR_PTR(-ENOMEM);
	}
	return mapper;
}

/* The current user has one mapping more. Return: the mapper, or -ENOMEM. Sleeps. */
struct dsm_mapper *dsm_mapper_map(struct dsm_region *region)
{
	u32 uid = __kuid_val(current_uid());
	struct dsm_mapper *mapper;

	mutex_lock(&region->mappers_lock);
	mapper = xa_load(&region->mappers, uid) ?: create(region, uid);
	if (!IS_ERR(mapper) && at_limit(mapper))
		mapper = ERR_PTR(-ENOMEM);
	if (!IS_ERR(mapper))
		count(mapper);
	mutex_unlock(&region->mappers_lock);
	return mapper;
}

/* May one of its mappings become two? Return: 0; -ENOMEM. */
int dsm_mapper_may_split(const struct dsm_mapper *mapper)
{
	return at_limit(mapper) ? -ENOMEM : 0;
}

/* One of its mappings has become two, in this process or by fork(2). Sleeps. */
void dsm_mapper_open(struct dsm_mapper *mapper)
{
	struct dsm_region *region = mapper->region;

	mutex_lock(&region->mappers_lock);
	count(mapper);
	mutex_unlock(&region->mappers_lock);
}

/* It has one less, and may be gone. Sleeps. */
void dsm_mapper_close(struct dsm_mapper *mapper)
{
	struct dsm_region *region = mapper->region;

	mutex_lock(&region->mappers_lock);
	atomic_dec(&region->mappings);
	WRITE_ONCE(mapper->mappings, mapper->mappings - 1);
	if (!mapper->mappings) {
		xa_erase(&region->mappers, mapper->uid);
		kfree(mapper);
	}
	mutex_unlock(&region->mappers_lock);
}
