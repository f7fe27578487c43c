/* SPDX-License-Identifier: GPL-2.0 */
/*
 * All differences between the kernels that we build for.
 */
#ifndef _DSM_COMPAT_H
#define _DSM_COMPAT_H

#include <linux/device.h>
#include <linux/fs.h>
#include <linux/hrtimer.h>
#include <linux/kthread.h>
#include <linux/memcontrol.h>
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/shmem_fs.h>
#include <linux/shrinker.h>
#include <linux/slab.h>
#include <linux/version.h>
#include <net/net_namespace.h>

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 3, 0)
static inline void vm_flags_set(struct vm_area_struct *vma, vm_flags_t flags)
{
	vma->vm_flags |= flags;
}

static inline void vm_flags_clear(struct vm_area_struct *vma, vm_flags_t flags)
{
	vma->vm_flags &= ~flags;
}

/* The argument of a class's callbacks. */
#define DSM_DEVICE_CONST
#else
#define DSM_DEVICE_CONST const
#endif

/* 6.4 gave class_create()'s module away, and structs class their owner. */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 4, 0)
#define DSM_CLASS_OWNER	.owner = THIS_MODULE,
#else
#define DSM_CLASS_OWNER
#endif

/* Drop the lock a fault is taken under: the VMA's own since 6.7. */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 7, 0)
static inline void release_fault_lock(struct vm_fault *vmf)
{
	mmap_read_unlock(vmf->vma->vm_mm);
}
#endif

/* An ERR_PTR since 6.4, NULL before. */
static inline struct folio *dsm_filemap_lock_folio(struct address_space *mapping, pgoff_t index)
{
	struct folio *folio = filemap_lock_folio(mapping, index);

	return IS_ERR(folio) ? NULL : folio;
}

/*
 * To map another file in our mmap(2), as a stacked file system does. Since 6.16
 * that file may have .mmap_prepare in the place of .mmap; vfs_mmap() calls
 * whichever it has. DSM_HAVE_*: see Kbuild.
 */
#ifdef DSM_HAVE_VFS_MMAP
static inline bool dsm_file_can_mmap(struct file *file)
{
	return can_mmap_file(file);
}
#else
static inline bool dsm_file_can_mmap(struct file *file)
{
	return file->f_op->mmap;
}

static inline int vfs_mmap(struct file *file, struct vm_area_struct *vma)
{
	return call_mmap(file, vma);
}
#endif

/* An unlinked tmpfs file, of which nothing is reserved. */
static inline struct file *dsm_shmem_file(struct vfsmount *mount, const char *name, loff_t size)
{
#ifdef DSM_HAVE_SHMEM_VMA_FLAGS
	return shmem_file_setup_with_mnt(mount, name, size, mk_vma_flags(VMA_NORESERVE_BIT));
#else
	return shmem_file_setup_with_mnt(mount, name, size, VM_NORESERVE);
#endif
}

/* The namespace of a device, as its class says it. */
#ifdef DSM_HAVE_CLASS_NS_COMMON
static inline const struct ns_common *dsm_class_namespace(struct net *net)
{
	return to_ns_common(net);
}
#define DSM_CLASS_NAMESPACE	const struct ns_common
#else
static inline const void *dsm_class_namespace(struct net *net)
{
	return net;
}
#define DSM_CLASS_NAMESPACE	const void
#endif

static inline struct folio *dsm_filemap_get_folio(struct address_space *mapping, pgoff_t index)
{
	struct folio *folio = filemap_get_folio(mapping, index);

	return IS_ERR(folio) ? NULL : folio;
}

/* Is the folio charged to this thread's memory cgroup, or one above or below it? */
static inline bool dsm_folio_charged(struct folio *folio)
{
#ifdef CONFIG_MEMCG
	struct mem_cgroup *ours, *its;
	bool ret;

	if (mem_cgroup_disabled())
		return true;
	rcu_read_lock();
	ours = mem_cgroup_from_task(current);
	its = folio_memcg(folio);
	ret = its && ours && (mem_cgroup_is_descendant(its, ours) ||
			      mem_cgroup_is_descendant(ours, its));
	rcu_read_unlock();
	return ret;
#else
	return true;
#endif
}

/* Since 6.7 shrinkers are allocated, before they were the caller's. */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 7, 0)
static inline struct shrinker *
dsm_shrinker_register(const char *name,
		      unsigned long (*count)(struct shrinker *, struct shrink_control *),
		      unsigned long (*scan)(struct shrinker *, struct shrink_control *))
{
	struct shrinker *shrinker = kzalloc(sizeof(*shrinker), GFP_KERNEL);

	if (!shrinker)
		return NULL;
	shrinker->count_objects = count;
	shrinker->scan_objects = scan;
	shrinker->seeks = DEFAULT_SEEKS;
	if (!register_shrinker(shrinker, "%s", name))
		return shrinker;
	kfree(shrinker);
	return NULL;
}

static inline void dsm_shrinker_unregister(struct shrinker *shrinker)
{
	unregister_shrinker(shrinker);
	kfree(shrinker);
}
#else
static inline struct shrinker *
dsm_shrinker_register(const char *name,
		      unsigned long (*count)(struct shrinker *, struct shrink_control *),
		      unsigned long (*scan)(struct shrinker *, struct shrink_control *))
{
	struct shrinker *shrinker = shrinker_alloc(0, "%s", name);

	if (!shrinker)
		return NULL;
	shrinker->count_objects = count;
	shrinker->scan_objects = scan;
	shrinker_register(shrinker);
	return shrinker;
}

static inline void dsm_shrinker_unregister(struct shrinker *shrinker)
{
	shrinker_free(shrinker);
}
#endif

/* Which makes and wakes it; since 6.14 the former only makes it. */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 14, 0)
#define kthread_run_worker	kthread_create_worker
#endif

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 13, 0)
static inline void hrtimer_setup(struct hrtimer *timer,
				 enum hrtimer_restart (*function)(struct hrtimer *),
				 clockid_t clock, enum hrtimer_mode mode)
{
	hrtimer_init(timer, clock, mode);
	timer->function = function;
}
#endif

#endif /* _DSM_COMPAT_H */
