/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What differs between the kernels we build for, and nowhere else.
 */
#ifndef _DSM_COMPAT_H
#define _DSM_COMPAT_H

#include <linux/device.h>
#include <linux/hrtimer.h>
#include <linux/kthread.h>
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/version.h>

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 3, 0)
static inline void vm_flags_set(struct vm_area_struct *vma, vm_flags_t flags)
{
	vma->vm_flags |= flags;
}

static inline void vm_flags_clear(struct vm_area_struct *vma, vm_flags_t flags)
{
	vma->vm_flags &= ~flags;
}

/* What a class's callbacks get. */
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
