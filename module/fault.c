// SPDX-License-Identifier: GPL-2.0
/*
 * Faults: mapped regions.
 *
 * A mapping is one of the region's shmem file, with shmem's operations but for
 * the two that decide what may enter a page table:
 *
 *  .fault	brings the block to a state that allows the access, has shmem
 *		find or make the page, and looks again with the folio locked: if
 *		the block was lost meanwhile, it goes round.
 *  .page_mkwrite  is asked before a page mapped for reading becomes writable,
 *		and before one that was faulted for writing does.
 *
 * Waiting drops the mmap lock, or the VMA's, where the caller of the fault
 * allows it; it ends when the task is killed, or after timeout_ms.
 *
 * mmap(2) has replaced the VMA's file, so that nothing but the VMA's private
 * data leads to the region: each VMA is a user of it, and of this module, and is
 * counted (mapper.c).
 */
#include <linux/hash.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/pagemap.h>
#include <linux/sched/signal.h>
#include "block.h"
#include "compat.h"
#include "fault.h"
#include "frames.h"
#include "mapper.h"
#include "node.h"
#include "reclaim.h"
#include "region.h"
#include "trace.h"
#include "wait.h"

/*
 * A mapping does not grow; it is not dumped, since a dump would fetch the whole
 * region; and its pages are small, since a block's pages have to come and go by
 * themselves.
 */
#define MAPPING_FLAGS	(VM_DONTEXPAND | VM_DONTDUMP | VM_NOHUGEPAGE)

/* shmem's operations, and ours made of them. */
static const struct vm_operations_struct *shmem_ops;
static struct vm_operations_struct region_ops;

static struct dsm_region *region_of_vma(const struct vm_area_struct *vma)
{
	const struct dsm_mapper *mapper = vma->vm_private_data;

	return mapper->region;
}

static struct dsm_region *region_of(const struct vm_fault *vmf)
{
	return region_of_vma(vmf->vma);
}

static u64 block_of(const struct dsm_region *region, const struct vm_fault *vmf)
{
	return (u64)vmf->pgoff >> (region->block_shift - PAGE_SHIFT);
}

static vm_fault_t error_of(int err)
{
	return err == -ENOMEM ? VM_FAULT_OOM : VM_FAULT_SIGBUS;
}

/* With the fault's lock goes the VMA, and what it holds. */
static void lock_drop(struct vm_fault *vmf, struct dsm_region *region)
{
	dsm_region_get_user(region);
	__module_get(THIS_MODULE);
	release_fault_lock(vmf);
}

static vm_fault_t lock_dropped(struct dsm_region *region)
{
	dsm_region_put_user(region);
	module_put(THIS_MODULE);
	return VM_FAULT_RETRY | VM_FAULT_MAJOR;
}

/*
 * A fault that has dropped its lock comes a second time, with FAULT_FLAG_TRIED. If the first
 * time has waited in vain, for timeout_ms, the second is not to wait as well. There is
 * nowhere to say so but here: by the thread that waited. The second time is its own next one,
 * or else another fault's first time, which forgets what was noted. Where two threads have
 * the same place, one of them may wait twice.
 */
enum { TIMED_OUT_BITS = 8 };
static struct task_struct *timed_out[1 << TIMED_OUT_BITS];

static struct task_struct **timed_out_at(void)
{
	return &timed_out[hash_ptr(current, TIMED_OUT_BITS)];
}

static void timed_out_note(void)
{
	WRITE_ONCE(*timed_out_at(), current);
}

/* Returns whether it was noted. */
static bool timed_out_forget(void)
{
	struct task_struct **at = timed_out_at();

	return READ_ONCE(*at) == current && cmpxchg(at, current, NULL) == current;
}

/*
 * Get the block. Returns 0 if it was got with the lock the fault came with
 * still held; VM_FAULT_RETRY if that lock was dropped, whatever the outcome:
 * the fault will come again, with FAULT_FLAG_TRIED because of VM_FAULT_MAJOR.
 */
static vm_fault_t acquire(struct vm_fault *vmf, struct dsm_region *region, u64 block, bool write)
{
	unsigned int flags = vmf->flags;
	int err;

	/* To come again is not for a task that exits: see wait.h. */
	if (fault_flag_allow_retry_first(flags) && !dsm_task_exits()) {
		if (flags & FAULT_FLAG_RETRY_NOWAIT)
			return VM_FAULT_RETRY;
		lock_drop(vmf, region);
		timed_out_forget();
		if (dsm_block_acquire(region, block, write) == -ETIMEDOUT)
			timed_out_note();
		return lock_dropped(region);
	}
	if (flags & FAULT_FLAG_TRIED && timed_out_forget())
		return VM_FAULT_SIGBUS;
	err = dsm_block_acquire(region, block, write);
	return err ? error_of(err) : 0;
}

/*
 * A store that page_mkwrite() has sent back is made again, and some read first:
 * an atomic operation made of a load and a store, for one. They would go round
 * until the write access is here, so they wait for it; others, for whom this
 * page was taken from the page tables as well, wait with them.
 */
static bool wait_upgrade(struct vm_fault *vmf, struct dsm_region *region, u64 index)
{
	struct dsm_block *block = dsm_block_find(region, index);

	if (!fault_flag_allow_retry_first(vmf->flags) || vmf->flags & FAULT_FLAG_RETRY_NOWAIT ||
	    !block || !dsm_block_upgrading(block))
		return false;
	lock_drop(vmf, region);
	dsm_block_wait_upgrade(region, block);
	return true;
}

/*
 * Is there a page for shmem to find? It would allocate one with the OOM killer's help,
 * where evicting something will do. Returns as acquire() does.
 */
static vm_fault_t have_page(struct vm_fault *vmf, struct dsm_region *region, u64 index)
{
	bool may_drop = fault_flag_allow_retry_first(vmf->flags);
	unsigned long deadline;
	int err;

	if (dsm_frames_present(region, index) || !dsm_reclaim_try(region, index))
		return 0;
	if (may_drop && vmf->flags & FAULT_FLAG_RETRY_NOWAIT)
		return VM_FAULT_RETRY;
	if (may_drop)
		lock_drop(vmf, region);
	deadline = jiffies + msecs_to_jiffies(READ_ONCE(region->node->timeout_ms));
	err = dsm_reclaim_frames(region, index, deadline);
	if (may_drop)
		return lock_dropped(region);
	return err ? error_of(err) : 0;
}

static vm_fault_t fault(struct vm_fault *vmf, struct dsm_region *region, u64 index, bool write)
{
	if (!write && wait_upgrade(vmf, region, index))
		return lock_dropped(region);
	for (;;) {
		struct dsm_block *block = dsm_block_find(region, index);
		vm_fault_t ret;

		if (!block || !dsm_block_use(region, block, write, false)) {
			ret = acquire(vmf, region, index, write);
			if (ret)
				return ret;
			block = dsm_block_find(region, index);
		} else if (dsm_readahead_mark(&region->readahead, index, index) == index) {
			dsm_block_ahead(region, index, write);
		}
		ret = have_page(vmf, region, index);
		if (ret)
			return ret;
		ret = shmem_ops->fault(vmf);
		if (!(ret & VM_FAULT_LOCKED))
			return ret;
		/* All of it would be mapped, with the blocks of others. */
		if (PageCompound(vmf->page)) {
			pr_warn_once("transparent_hugepage/shmem_enabled is 'force': regions cannot have huge pages\n");
			unlock_page(vmf->page);
			put_page(vmf->page);
			return VM_FAULT_SIGBUS;
		}
		/* page_mkwrite() has the last word on a write. */
		if (dsm_block_use(region, block, write, !write))
			return ret;
		unlock_page(vmf->page);
		put_page(vmf->page);
		vmf->page = NULL;
		if (dsm_task_killed())
			return VM_FAULT_SIGBUS;
	}
}

static vm_fault_t region_fault(struct vm_fault *vmf)
{
	bool write = vmf->flags & FAULT_FLAG_WRITE;
	struct dsm_region *region = region_of(vmf);
	u64 index = block_of(region, vmf);
	u16 self = region->node->id;
	u32 id = region->id;
	vm_fault_t ret;

	trace_dsm_fault_start(self, id, index, write);
	/* The second time round it is the same fault. */
	if (!(vmf->flags & FAULT_FLAG_TRIED))
		dsm_stat(region, write ? DSM_STAT_faults_write : DSM_STAT_faults_read, 1);
	ret = fault(vmf, region, index, write);
	trace_dsm_fault_end(self, id, index, write, (__force int)ret);
	return ret;
}

/*
 * There is no way to drop the fault's lock from here, so it is not waited: what
 * does not come at once is asked for, the page is taken from the page tables,
 * and the access is made again, as a fault that can wait.
 */
static vm_fault_t mkwrite(struct vm_fault *vmf, struct dsm_region *region, u64 index)
{
	struct address_space *mapping = region->frames->f_mapping;
	struct folio *folio = page_folio(vmf->page);
	struct dsm_block *block = dsm_block_find(region, index);
	bool asked;
	int err;

	if (WARN_ON_ONCE(!block))
		return VM_FAULT_SIGBUS;
	for (asked = false;; asked = true) {
		if (dsm_task_exits())
			folio_lock(folio);
		else if (folio_lock_killable(folio))
			return VM_FAULT_SIGBUS;
		if (folio->mapping != mapping) {
			folio_unlock(folio);
			return VM_FAULT_NOPAGE;
		}
		if (dsm_block_use(region, block, true, true))
			return VM_FAULT_LOCKED;
		folio_unlock(folio);
		if (asked)
			break;
		err = dsm_block_ask(region, index, true);
		/* The fault that follows makes room for the request, and waits. */
		if (err == -ENOMEM)
			break;
		if (err)
			return error_of(err);
	}
	unmap_mapping_pages(mapping, vmf->pgoff, 1, false);
	return VM_FAULT_NOPAGE;
}

static vm_fault_t region_page_mkwrite(struct vm_fault *vmf)
{
	struct dsm_region *region = region_of(vmf);
	u64 index = block_of(region, vmf);
	vm_fault_t ret;

	trace_dsm_fault_start(region->node->id, region->id, index, true);
	ret = mkwrite(vmf, region, index);
	/* Of a write fault this is the second half, or the first: not another. */
	if (pte_present(vmf->orig_pte) && ret & VM_FAULT_LOCKED)
		dsm_stat(region, DSM_STAT_faults_write, 1);
	trace_dsm_fault_end(region->node->id, region->id, index, true, (__force int)ret);
	return ret;
}

/*
 * Before a read fault: maps what is here, of the page and its neighbours. They cannot
 * be locked one by one, so their blocks' states are kept from changing meanwhile; shmem
 * only tries folios' locks, and leaves those out that a revocation has. Runs under
 * RCU, and must not sleep: what is at a mark of readahead's is left to fault().
 */
static vm_fault_t region_map_pages(struct vm_fault *vmf, pgoff_t start, pgoff_t end)
{
	struct dsm_region *region = region_of(vmf);
	unsigned int order = region->block_shift - PAGE_SHIFT;
	u64 mark = dsm_readahead_mark(&region->readahead, start >> order, end >> order);
	vm_fault_t ret = 0;
	u64 index;

	for (index = start >> order; index < mark; index++) {
		struct dsm_block *block = dsm_block_find(region, index);
		pgoff_t first = max_t(pgoff_t, start, index << order);
		pgoff_t last = min_t(pgoff_t, end, ((index + 1) << order) - 1);

		if (!block || !dsm_block_lock_readable(block))
			continue;
		ret |= shmem_ops->map_pages(vmf, first, last);
		dsm_block_unlock(block);
	}
	if (ret & VM_FAULT_NOPAGE)
		dsm_stat(region, DSM_STAT_faults_read, 1);
	return ret;
}

/* A mapping is there, which is counted already. */
static void region_begin(struct vm_area_struct *vma)
{
	__module_get(THIS_MODULE);
	dsm_region_get_user(region_of_vma(vma));
	if (shmem_ops->open)
		shmem_ops->open(vma);
}

static void region_open(struct vm_area_struct *vma)
{
	dsm_mapper_open(vma->vm_private_data);
	region_begin(vma);
}

static void region_close(struct vm_area_struct *vma)
{
	struct dsm_region *region = region_of_vma(vma);

	if (shmem_ops->close)
		shmem_ops->close(vma);
	dsm_mapper_close(vma->vm_private_data);
	dsm_region_put_user(region);
	module_put(THIS_MODULE);
}

/* The only thing that can be refused about another mapping, but for mmap(2) itself. */
static int region_may_split(struct vm_area_struct *vma, unsigned long at)
{
	return dsm_mapper_may_split(vma->vm_private_data);
}

/* A pointer into a region means the same on every node: it does not move. */
static int region_mremap(struct vm_area_struct *vma)
{
	return -EINVAL;
}

/*
 * Named one by one: what else shmem's may have, such as what lets userfaultfd
 * fill pages, would go round the protocol.
 */
static int make_ops(const struct vm_operations_struct *ops)
{
	static DEFINE_MUTEX(lock);
	int err = 0;

	mutex_lock(&lock);
	if (!ops || !ops->fault || !ops->map_pages) {
		pr_err_once("cannot map regions with this kernel: shmem's mappings do not fault as they did\n");
		err = -EOPNOTSUPP;
	} else if (!shmem_ops) {
		region_ops = (struct vm_operations_struct){
			.open		= region_open,
			.close		= region_close,
			.may_split	= region_may_split,
			.mremap		= region_mremap,
			.fault		= region_fault,
			.map_pages	= region_map_pages,
			.page_mkwrite	= region_page_mkwrite,
#ifdef CONFIG_NUMA
			.set_policy	= ops->set_policy,
			.get_policy	= ops->get_policy,
#endif
		};
		shmem_ops = ops;
	}
	mutex_unlock(&lock);
	return err;
}

static int map_frames(struct dsm_region *region, struct vm_area_struct *vma)
{
	u64 pages = region->size >> PAGE_SHIFT;

	/* A private copy would never hear of other nodes' writes. */
	if (!(vma->vm_flags & VM_MAYSHARE))
		return -EINVAL;
	if (vma->vm_pgoff >= pages || vma_pages(vma) > pages - vma->vm_pgoff)
		return -EINVAL;
	vma_set_file(vma, region->frames);
	return vfs_mmap(region->frames, vma);
}

/* The helper's mapping: shmem's, no more. A child of the helper does not get it. */
int dsm_fault_mmap_window(struct dsm_region *region, struct vm_area_struct *vma)
{
	int err = map_frames(region, vma);

	if (!err)
		vm_flags_set(vma, MAPPING_FLAGS | VM_DONTCOPY);
	return err;
}

/**
 * dsm_fault_mmap() - map a region
 * @region: the region, of which the caller is a user
 * @vma: where
 *
 * Return: 0; -EINVAL, private, or beyond the region's end; -ENOMEM, there are too many.
 */
int dsm_fault_mmap(struct dsm_region *region, struct vm_area_struct *vma)
{
	struct dsm_mapper *mapper = dsm_mapper_map(region);
	int err;

	if (IS_ERR(mapper))
		return PTR_ERR(mapper);
	err = map_frames(region, vma);
	if (!err)
		err = make_ops(vma->vm_ops);
	if (err) {
		dsm_mapper_close(mapper);
		return err;
	}
	/* See frames.c: what the file allows is what the mapping may do. */
	if (vma->vm_flags & VM_MAYWRITE)
		vma_set_file(vma, region->writers);
	vm_flags_set(vma, MAPPING_FLAGS);
	vma->vm_private_data = mapper;
	vma->vm_ops = &region_ops;
	region_begin(vma);
	return 0;
}
