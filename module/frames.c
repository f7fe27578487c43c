// SPDX-License-Identifier: GPL-2.0
/*
 * Frames: the pages of a region's shmem file are this node's copies.
 *
 * The folio lock ties a block's state to the page tables. A fault looks at the
 * state with the folio locked that it is about to map. A revocation first
 * moves the state, under the block's lock, to one that no fault maps under;
 * then it comes here, and takes each folio's lock in turn. A fault that had
 * the lock before has mapped its page by then, and the page is unmapped here;
 * a fault that takes it after sees the new state. A folio that does not exist
 * is mapped nowhere, and a fault that makes it sees the new state too.
 */
#include <linux/fcntl.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/falloc.h>		/* needs fs.h's types */
#include <linux/kernel.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/mount.h>
#include <linux/pagemap.h>
#include <linux/percpu_counter.h>
#include <linux/rmap.h>
#include <linux/shmem_fs.h>
#include <linux/slab.h>
#include <net/sock.h>
#include "compat.h"
#include "frames.h"
#include "region.h"

/* Protects private_data of writers' files, which leads to the region while it lives. */
static DEFINE_SPINLOCK(owner_lock);

/* Set before there are regions. */
static int (*punch)(struct dsm_region *region, u64 offset, u64 length);

/* The kernel's own operations of a file that cannot be opened: they outlive this module. */
static const struct file_operations *no_open_fops;

/*
 * The files are on a tmpfs of our own. The kernel's own one may be told to use
 * huge pages (transparent_hugepage/shmem_enabled, MADV_HUGEPAGE); here pages
 * are small, as a mount's are by default.
 */
static struct vfsmount *mount;

/*
 * How much all frames of all nodes here may take, swapped out or not. A block is
 * asked for only while some of that is left, so that its bytes have a place to
 * arrive at: SLACK_PART of it is for those that are on their way.
 */
enum {
	SLACK_PART	= 64,
};

static DEFINE_MUTEX(limit_lock);	/* protects @limit, and @mount from going */
static u64 limit;			/* as set; 0 for half of the memory */

static struct shmem_sb_info *mount_info(void)
{
	return mount->mnt_sb->s_fs_info;
}

/*
 * As mounting it with size= would do, which the kernel's internal mounts cannot be
 * given. It must not be 0: shmem counts only what is limited.
 */
static void limit_apply(void)
{
	struct shmem_sb_info *info = mount_info();

	lockdep_assert_held(&limit_lock);

	raw_spin_lock(&info->stat_lock);
	WRITE_ONCE(info->max_blocks, max(limit ? limit >> PAGE_SHIFT : totalram_pages() / 2, 1UL));
	raw_spin_unlock(&info->stat_lock);
}

static int frames_bytes_set(const char *text, const struct kernel_param *param)
{
	char *end;
	u64 bytes = memparse(text, &end);

	if (end == text || (*end && *end != '\n') || (bytes && bytes < PAGE_SIZE))
		return -EINVAL;
	mutex_lock(&limit_lock);
	limit = bytes;
	if (mount)
		limit_apply();
	mutex_unlock(&limit_lock);
	return 0;
}

static int frames_bytes_get(char *buf, const struct kernel_param *param)
{
	u64 bytes = 0;

	mutex_lock(&limit_lock);
	if (mount)
		bytes = dsm_frames_max();
	mutex_unlock(&limit_lock);
	return sysfs_emit(buf, "%llu\n", bytes);
}

static const struct kernel_param_ops frames_bytes_ops = {
	.set = frames_bytes_set,
	.get = frames_bytes_get,
};
module_param_cb(frames_bytes, &frames_bytes_ops, NULL, 0644);
MODULE_PARM_DESC(frames_bytes,
		 "Memory that all regions may take on this machine (default: half of it)");

/* shmem says 'no space' of an inode that there is no memory for. */
static int shmem_error(const void *ptr)
{
	int err = PTR_ERR_OR_ZERO(ptr);

	return err == -ENOSPC ? -ENOMEM : err;
}

/* An inode that its file system gives no file operations has these: a socket's does. */
static int find_no_open(void)
{
	struct socket *sock = sock_alloc();

	if (!sock)
		return -ENOMEM;
	no_open_fops = SOCK_INODE(sock)->i_fop;
	sock_release(sock);
	if (no_open_fops && no_open_fops->open && !no_open_fops->owner)
		return 0;
	pr_err("cannot be used with this kernel: a new inode's file operations do not refuse open(2)\n");
	return -EOPNOTSUPP;
}

/* We call shmem through its tables of operations. Are all there? */
static int check_shmem(struct vfsmount *made)
{
	struct file *file = dsm_shmem_file(made, "dsm", PAGE_SIZE);
	int err = shmem_error(file);

	if (err)
		return err;
	if (!shmem_mapping(file->f_mapping) || file->f_op->owner ||
	    !dsm_file_can_mmap(file) || !file->f_op->fallocate || !file->f_op->fsync) {
		pr_err("cannot be used with this kernel: tmpfs cannot map or fallocate (it needs CONFIG_SHMEM and CONFIG_TMPFS)\n");
		err = -EOPNOTSUPP;
	}
	fput(file);
	return err;
}

/* @on_punch: what punches a hole in a region on all nodes: dsm_discard() */
int dsm_frames_init(int (*on_punch)(struct dsm_region *region, u64 offset, u64 length))
{
	/* It is part of the kernel: there is no module to put. */
	struct file_system_type *type = get_fs_type("tmpfs");
	struct vfsmount *made;
	int err = find_no_open();

	if (err)
		return err;
	if (!type)
		return -ENODEV;
	made = kern_mount(type);
	if (IS_ERR(made))
		return shmem_error(made);
	err = check_shmem(made);
	if (err) {
		kern_unmount(made);
		return err;
	}
	mutex_lock(&limit_lock);
	mount = made;
	punch = on_punch;
	limit_apply();
	mutex_unlock(&limit_lock);
	return 0;
}

/* A helper's window may outlive us: it keeps the file system, without the mount. */
void dsm_frames_exit(void)
{
	mutex_lock(&limit_lock);
	kern_unmount(mount);
	mount = NULL;
	mutex_unlock(&limit_lock);
}

/*
 * The doors to a region's frames.
 *
 * A VMA leads to its file, and system calls use that: remap_file_pages(2) maps
 * it once more, MADV_REMOVE calls its fallocate, and a link in
 * /proc/PID/map_files opens its inode. None of them asks the device. So a
 * region has two files of one inode, neither of which can be opened, read,
 * written or mapped by anybody but dsm_fault_mmap():
 *
 *  frames	is shmem's, open for neither reading nor writing: nothing can be
 *		done with it. VMAs that may not write have it, and windows.
 *  writers	is open for writing only. All that can be done with it is to
 *		punch holes, which discards on all nodes. VMAs that may write
 *		have it: whoever comes here may.
 *
 * mmap(2) and whatever acts like it want a file that is open for reading. An
 * inode's size is sealed, and its own file operations only refuse to be opened.
 *
 * A window, and a file whose end is put off until a task returns to user space,
 * may outlive us: what they have is the kernel's own, then.
 */
static long frames_fallocate(struct file *file, int mode, loff_t offset, loff_t length)
{
	struct dsm_region *region;
	long err;

	if (mode != (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE))
		return -EOPNOTSUPP;
	/* The mapping this comes from may go meanwhile, and the region with it. */
	if (!try_module_get(THIS_MODULE))
		return -EOPNOTSUPP;
	spin_lock(&owner_lock);
	region = file->private_data;
	if (region && !refcount_inc_not_zero(&region->ref))
		region = NULL;
	spin_unlock(&owner_lock);
	err = -EOPNOTSUPP;
	if (region) {
		err = punch(region, offset, length);
		dsm_region_put(region);
	}
	module_put(THIS_MODULE);
	return err;
}

static int frames_mmap(struct file *file, struct vm_area_struct *vma)
{
	return -EACCES;
}

/* No owner: what uses them is a VMA, which holds the module. */
static const struct file_operations writers_fops = {
	.mmap		= frames_mmap,
	.fallocate	= frames_fallocate,
	.fsync		= noop_fsync,
};

/* Nothing can be done with a file that is open for neither. */
static void close_door(struct file *file, fmode_t mode)
{
	file->f_mode &= ~mode;
}

/**
 * dsm_frames_create() - make a region's files
 * @region: the region; its frames and writers are set
 *
 * Return: 0; -ENOMEM; what else making a file can fail with.
 */
int dsm_frames_create(struct dsm_region *region)
{
	char label[DSM_NAME_MAX + 4];
	struct file *frames, *writers;
	struct inode *inode;

	snprintf(label, sizeof(label), "dsm:%s", region->name);
	frames = dsm_shmem_file(mount, label, region->size);
	if (IS_ERR(frames))
		return shmem_error(frames);
	inode = file_inode(frames);
	close_door(frames, FMODE_READ | FMODE_WRITE);
	inode->i_fop = no_open_fops;
	SHMEM_I(inode)->seals |= F_SEAL_SHRINK | F_SEAL_GROW;

	ihold(inode);
	writers = alloc_file_pseudo(inode, mount, label, O_RDWR, &writers_fops);
	if (IS_ERR(writers)) {
		iput(inode);
		fput(frames);
		return PTR_ERR(writers);
	}
	close_door(writers, FMODE_READ);
	writers->private_data = region;
	region->frames = frames;
	region->inode = inode;
	region->writers = writers;
	return 0;
}

/*
 * No mapping of the region is left, so nobody can find the writers' file any
 * more; who has found it before gets shmem's operations, on pages of a region
 * that is no more.
 */
void dsm_frames_destroy(struct dsm_region *region)
{
	spin_lock(&owner_lock);
	region->writers->private_data = NULL;
	spin_unlock(&owner_lock);
	WRITE_ONCE(region->writers->f_op, region->frames->f_op);
	fput(region->writers);
	fput(region->frames);
}

/* Take write access, or all access, from one page. */
static int revoke_page(struct address_space *mapping, pgoff_t index, bool clean)
{
	struct folio *folio = dsm_filemap_lock_folio(mapping, index);
	int err = 0;

	if (!folio)
		return 0;
	if (clean) {
		if (folio_mkclean(folio))
			folio_mark_dirty(folio);
	} else if (folio_mapped(folio) || PageHWPoison(folio_file_page(folio, index))) {
		/* Also what stands in page tables for a page with a memory error. */
		unmap_mapping_pages(mapping, index, 1, true);
	}
	/* A device may still be writing to it, or reading what is to change. */
	if (folio_maybe_dma_pinned(folio))
		err = -EBUSY;
	folio_unlock(folio);
	folio_put(folio);
	return err;
}

/* Is there anything of the block, in memory or swapped out? */
static bool present(struct address_space *mapping, pgoff_t first, pgoff_t last)
{
	unsigned long index = first;

	return xa_find(&mapping->i_pages, &index, last, XA_PRESENT);
}

/**
 * dsm_frames_free() - give a block's frames back to the kernel
 * @region: the region
 * @index: the block; its state gives no access, and it has been revoked
 *
 * A page that is mapped again reads as zeroes. Sleeps. Return: whether there were frames.
 */
bool dsm_frames_free(struct dsm_region *region, u64 index)
{
	struct inode *inode = file_inode(region->frames);
	loff_t start = index << region->block_shift;
	loff_t end = start + dsm_region_block_size(region) - 1;

	if (!present(inode->i_mapping, start >> PAGE_SHIFT, end >> PAGE_SHIFT))
		return false;
	shmem_truncate_range(inode, start, end);
	return true;
}

static void free_page_at(struct address_space *mapping, pgoff_t index)
{
	loff_t start = (loff_t)index << PAGE_SHIFT;

	shmem_truncate_range(mapping->host, start, start + PAGE_SIZE - 1);
}

/* How to allocate frames ahead of need: if there is no memory now, there may be then. */
static gfp_t prepare_gfp(struct address_space *mapping)
{
	return mapping_gfp_mask(mapping) | __GFP_NORETRY | __GFP_NOWARN;
}

/**
 * dsm_frames_zero() - make a block's frames read as zeroes
 * @region: the region
 * @index: the block; its state gives no access, and it has been revoked
 *
 * Frames that are in memory stay there: they are about to be used. Sleeps.
 */
void dsm_frames_zero(struct dsm_region *region, u64 index)
{
	struct address_space *mapping = region->frames->f_mapping;
	unsigned int shift = region->block_shift - PAGE_SHIFT;
	pgoff_t page;

	for (page = index << shift; page < (index + 1) << shift; page++) {
		struct folio *folio = dsm_filemap_lock_folio(mapping, page);

		if (folio) {
			bool poisoned = PageHWPoison(folio_file_page(folio, page));

			if (!poisoned) {
				clear_highpage(folio_file_page(folio, page));
				folio_mark_dirty(folio);
			}
			folio_unlock(folio);
			folio_put(folio);
			if (!poisoned)
				continue;
		}
		/* Swapped out, or of no use any more. */
		if (present(mapping, page, page))
			free_page_at(mapping, page);
	}
}

/**
 * dsm_frames_poisoned() - has a page of a block a memory error?
 * @region: the region
 * @index: the block
 *
 * Does not sleep.
 */
bool dsm_frames_poisoned(struct dsm_region *region, u64 index)
{
	struct address_space *mapping = region->frames->f_mapping;
	unsigned int shift = region->block_shift - PAGE_SHIFT;
	bool poisoned = false;
	pgoff_t page;

	for (page = index << shift; page < (index + 1) << shift && !poisoned; page++) {
		struct folio *folio = dsm_filemap_get_folio(mapping, page);

		if (!folio)
			continue;
		poisoned = PageHWPoison(folio_file_page(folio, page));
		folio_put(folio);
	}
	return poisoned;
}

/* Has the page a memory error, or can it not be read from swap? */
static bool unreadable(struct address_space *mapping, pgoff_t index)
{
	struct page *page = shmem_read_mapping_page_gfp(mapping, index, prepare_gfp(mapping));

	if (!IS_ERR(page))
		put_page(page);
	return PTR_ERR_OR_ZERO(page) == -EIO;
}

/**
 * dsm_frames_unreadable() - are bytes of a block lost?
 * @region: the region
 * @index: the block
 *
 * Brings the frames into memory to find out. Without memory for that they are not lost.
 * Sleeps.
 */
bool dsm_frames_unreadable(struct dsm_region *region, u64 index)
{
	struct address_space *mapping = region->frames->f_mapping;
	unsigned int shift = region->block_shift - PAGE_SHIFT;
	pgoff_t page;

	for (page = index << shift; page < (index + 1) << shift; page++)
		if (unreadable(mapping, page))
			return true;
	return false;
}

/**
 * dsm_frames_repair() - replace frames that nothing can be written to
 * @region: the region
 * @index: the block; its state gives no access, and its bytes are still to come
 *
 * Sleeps.
 */
void dsm_frames_repair(struct dsm_region *region, u64 index)
{
	struct address_space *mapping = region->frames->f_mapping;
	unsigned int shift = region->block_shift - PAGE_SHIFT;
	pgoff_t page;

	for (page = index << shift; page < (index + 1) << shift; page++) {
		if (!unreadable(mapping, page))
			continue;
		free_page_at(mapping, page);
		/* The window's page table has an entry that says so, too. */
		unmap_mapping_pages(mapping, page, 1, true);
	}
}

/**
 * dsm_frames_prepare() - allocate a block's frames
 * @region: the region
 * @index: the block
 * @must: if there is no memory, the OOM killer makes some
 *
 * They are charged to the calling thread's memory cgroup. Whoever brings the block's
 * bytes finds them there. Sleeps. Return: 0; -ENOMEM; -ENOSPC, the file system is full.
 */
int dsm_frames_prepare(struct dsm_region *region, u64 index, bool must)
{
	struct address_space *mapping = region->frames->f_mapping;
	gfp_t gfp = mapping_gfp_mask(mapping) | (must ? 0 : __GFP_NORETRY | __GFP_NOWARN);
	unsigned int shift = region->block_shift - PAGE_SHIFT;
	pgoff_t page;

	for (page = index << shift; page < (index + 1) << shift; page++) {
		struct page *found = shmem_read_mapping_page_gfp(mapping, page, gfp);

		if (IS_ERR(found))
			return PTR_ERR(found);
		put_page(found);
	}
	return 0;
}

/**
 * dsm_frames_unmap() - take blocks from every page table, so that uses of them show
 * @region: the region
 * @index: the first block
 * @n: how many
 *
 * Their states stay as they are: they may be mapped again at once. Sleeps.
 */
void dsm_frames_unmap(struct dsm_region *region, u64 index, u64 n)
{
	unsigned int shift = region->block_shift - PAGE_SHIFT;

	/* To the kernel, none would be all. */
	if (n)
		unmap_mapping_pages(region->frames->f_mapping, index << shift, n << shift, false);
}

/*
 * Is the block's memory charged to this thread's memory cgroup, or one above or below it?
 * Of a block of many pages, the first speaks for all.
 */
bool dsm_frames_charged(struct dsm_region *region, u64 index)
{
	pgoff_t page = index << (region->block_shift - PAGE_SHIFT);
	struct folio *folio = dsm_filemap_get_folio(region->frames->f_mapping, page);
	bool ret;

	if (!folio)
		return false;
	ret = dsm_folio_charged(folio);
	folio_put(folio);
	return ret;
}

/* Has the block frames that could be freed? */
bool dsm_frames_present(struct dsm_region *region, u64 index)
{
	unsigned int shift = region->block_shift - PAGE_SHIFT;

	return present(region->frames->f_mapping, index << shift, ((index + 1) << shift) - 1);
}

/* The memory that this node's copies take, in bytes. */
u64 dsm_frames_bytes(const struct dsm_region *region)
{
	return (u64)READ_ONCE(region->frames->f_mapping->nrpages) << PAGE_SHIFT;
}

/*
 * The same with what has been swapped out; i_blocks has the unit of stat(2). The
 * caller has a reference to the region, or has found it under RCU: then the file may
 * be another's by now, but the inode is freed after an RCU grace period.
 */
u64 dsm_frames_taken(const struct dsm_region *region)
{
	return (u64)READ_ONCE(region->inode->i_blocks) << 9;
}

/* The bytes that the frames of all nodes on this machine may take together. */
u64 dsm_frames_max(void)
{
	return (u64)READ_ONCE(mount_info()->max_blocks) << PAGE_SHIFT;
}

/* How much of that may still be asked for. */
u64 dsm_frames_left(void)
{
	u64 used = (u64)percpu_counter_sum_positive(&mount_info()->used_blocks) << PAGE_SHIFT;
	u64 max = dsm_frames_max();

	max -= max / SLACK_PART;
	return max - min(max, used);
}

/**
 * dsm_frames_revoke() - take access to a block from every page table
 * @region: the region
 * @index: the block; its state gives no such access any more
 * @clean: take write access only
 *
 * Sleeps. Return: 0; -EBUSY, a page is pinned for DMA: try again later.
 */
int dsm_frames_revoke(struct dsm_region *region, u64 index, bool clean)
{
	struct address_space *mapping = region->frames->f_mapping;
	unsigned int shift = region->block_shift - PAGE_SHIFT;
	pgoff_t page;
	int err = 0;

	for (page = index << shift; page < (index + 1) << shift; page++)
		err = revoke_page(mapping, page, clean) ?: err;
	return err;
}
