// SPDX-License-Identifier: GPL-2.0
/*
 * /dev/dsm. uapi/linux/dsm.h says what it does.
 */
#include <linux/cpumask.h>
#include <linux/fdtable.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/nsproxy.h>
#include <linux/overflow.h>
#include <linux/poll.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/dsm.h>
#include "block.h"
#include "compat.h"
#include "device.h"
#include "discard.h"
#include "fault.h"
#include "node.h"
#include "peer.h"
#include "process.h"
#include "region.h"
#include "registry.h"
#include "sync.h"
#include "words.h"

/**
 * struct handle - an open file
 * @node: its opener's; the namespace is pinned
 * @lock: serialises binding
 * @api: the handshake is done
 * @region: the region it is bound to, set once (with release)
 * @rdonly: bound for reading
 * @window: bound to the frames
 * @holds: mutexes may be held through it, or may have been
 * @opener: what they are held through
 */
struct handle {
	struct dsm_node *node;
	struct mutex lock;
	bool api;
	struct dsm_region *region;
	bool rdonly;
	bool window;
	bool holds;
	struct dsm_opener opener;
};

union arg {
	struct dsm_api api;
	struct dsm_node_info node;
	struct dsm_region_arg region;
	struct dsm_name_arg name;
	struct dsm_range_arg range;
	struct dsm_sync_arg sync;
	struct dsm_window_arg window;
	struct dsm_attach_arg attach;
	struct dsm_spin_arg spin;
};

static struct dsm_region *bound(const struct handle *h)
{
	return smp_load_acquire(&h->region);
}

static long ioctl_api(struct handle *h, union arg *arg)
{
	u32 version = arg->api.version;

	if (arg->api.reserved || arg->api.features)
		return -EINVAL;
	arg->api.version = DSM_API_VERSION;
	arg->api.features = DSM_FEATURE_ALL;
	if (version != DSM_API_VERSION)
		return -EPROTONOSUPPORT;
	WRITE_ONCE(h->api, true);
	return 0;
}

static long ioctl_node(struct handle *h, union arg *arg)
{
	struct dsm_node *node = h->node;

	arg->node = (struct dsm_node_info){
		.id = node->id,
		.count = node->nodes,
		.up = dsm_peers_up(node),
		.page_size = PAGE_SIZE,
	};
	return 0;
}

/* Bind, which makes the handle the user that @region's caller is. */
static long bind(struct handle *h, struct dsm_region *region, bool rdonly)
{
	lockdep_assert_held(&h->lock);

	h->rdonly = rdonly;
	smp_store_release(&h->region, region);
	return 0;
}

static int check_create(struct dsm_region_arg *arg)
{
	if (!dsm_region_name_valid(arg->name) || arg->flags & ~DSM_CREATE_F_ALL ||
	    arg->base || arg->id || arg->creator || arg->uid || arg->gid ||
	    arg->reserved[0] || arg->reserved[1])
		return -EINVAL;
	if (!arg->block_size)
		arg->block_size = PAGE_SIZE;
	if (arg->home == DSM_HOME_DEFAULT)
		arg->home = DSM_HOME_FIRST_TOUCH;
	if (arg->block_size < PAGE_SIZE || arg->block_size > DSM_BLOCK_SIZE_MAX ||
	    !is_power_of_2(arg->block_size) || arg->home > DSM_HOME_CREATOR ||
	    arg->mode > 0777 || !arg->size || arg->size > DSM_REGION_SIZE_MAX)
		return -EINVAL;
	arg->size = round_up(arg->size, (u64)arg->block_size);
	return 0;
}

static long ioctl_create(struct handle *h, union arg *arg)
{
	struct dsm_region *region;
	long err = check_create(&arg->region);

	if (err)
		return err;
	if (mutex_lock_interruptible(&h->lock))
		return -EINTR;
	if (h->region) {
		err = -EBUSY;
		goto unlock;
	}
	err = dsm_registry_create_region(h->node, &arg->region, &region);
	if (err)
		goto unlock;
	dsm_region_to_arg(region, &arg->region);
	bind(h, region, false);
unlock:
	mutex_unlock(&h->lock);
	return err;
}

static long ioctl_open(struct handle *h, union arg *arg)
{
	struct dsm_region_arg *in = &arg->region;
	bool rdonly = in->flags & DSM_OPEN_RDONLY;
	struct dsm_region *region;
	long err;

	if (!dsm_region_name_valid(in->name) || in->flags & ~DSM_OPEN_F_ALL ||
	    in->size || in->base || in->block_size || in->home || in->mode || in->uid ||
	    in->gid || in->id || in->creator || in->reserved[0] || in->reserved[1])
		return -EINVAL;
	if (mutex_lock_interruptible(&h->lock))
		return -EINTR;
	if (h->region) {
		err = -EBUSY;
		goto unlock;
	}
	err = dsm_registry_open(h->node, in->name, rdonly, &region);
	if (err)
		goto unlock;
	dsm_region_to_arg(region, in);
	bind(h, region, rdonly);
unlock:
	mutex_unlock(&h->lock);
	return err;
}

static long ioctl_list(struct handle *h, union arg *arg)
{
	struct dsm_region *region;
	struct dsm_region_arg zero = { .id = arg->region.id };

	if (memcmp(&arg->region, &zero, sizeof(zero)))
		return -EINVAL;
	region = dsm_region_get_after(h->node, arg->region.id);

	/* A region that has no name any more is not listed. */
	while (region && READ_ONCE(region->gone)) {
		u32 id = region->id;

		dsm_region_put(region);
		region = dsm_region_get_after(h->node, id);
	}
	if (!region)
		return -ENOENT;
	dsm_region_to_arg(region, &arg->region);
	dsm_region_put(region);
	return 0;
}

static long ioctl_unlink(struct handle *h, union arg *arg)
{
	if (arg->name.reserved || !dsm_region_name_valid(arg->name.name))
		return -EINVAL;
	return dsm_registry_unlink(h->node, arg->name.name);
}

static long ioctl_prefetch(struct handle *h, union arg *arg)
{
	struct dsm_region *region = bound(h);
	struct dsm_range_arg *range = &arg->range;
	bool write = range->flags & DSM_PREFETCH_WRITE;
	u64 end;

	if (!region || h->window || range->reserved || range->flags & ~DSM_PREFETCH_F_ALL ||
	    check_add_overflow(range->offset, range->length, &end) || end > region->size)
		return -EINVAL;
	if (write && h->rdonly)
		return -EACCES;
	if (!range->length)
		return 0;
	return dsm_block_prefetch(region, range->offset >> region->block_shift,
				  (end - 1) >> region->block_shift, write);
}

static long ioctl_discard(struct handle *h, union arg *arg)
{
	struct dsm_region *region = bound(h);
	struct dsm_range_arg *range = &arg->range;

	if (!region || h->window || range->reserved || range->flags & ~DSM_DISCARD_F_ALL)
		return -EINVAL;
	if (h->rdonly)
		return -EACCES;
	return dsm_discard(region, range->offset, range->length);
}

static long ioctl_sync(struct handle *h, union arg *arg)
{
	struct dsm_region *region = bound(h);

	if (!region || h->window)
		return -EINVAL;
	if (h->rdonly)
		return -EACCES;
	WRITE_ONCE(h->holds, true);
	return dsm_sync_ioctl(region, &h->opener, &arg->sync);
}

static long ioctl_attach(struct handle *h, union arg *arg)
{
	struct dsm_region *region = bound(h);

	if (!region || h->window || arg->attach.process || arg->attach.reserved)
		return -EINVAL;
	if (h->rdonly)
		return -EACCES;
	WRITE_ONCE(h->holds, true);
	return dsm_words_attach(region, &h->opener, &arg->attach.process);
}

static long ioctl_window(struct handle *h, union arg *arg)
{
	struct dsm_region *region;
	long err = 0;

	if (arg->window.reserved || arg->window.size)
		return -EINVAL;
	if (!dsm_node_is_helper(h->node))
		return -EPERM;
	mutex_lock(&h->lock);
	if (h->region) {
		err = -EBUSY;
		goto unlock;
	}
	region = dsm_region_get_id(h->node, arg->window.id);
	if (!region) {
		err = -ENOENT;
		goto unlock;
	}
	/* A reference, and not a user: a window keeps no region from going. */
	arg->window.size = region->size;
	h->window = true;
	smp_store_release(&h->region, region);
unlock:
	mutex_unlock(&h->lock);
	return err;
}

static long ioctl_spin(struct handle *h, union arg *arg)
{
	struct dsm_node *node = h->node;
	const __poll_t events = EPOLLIN | EPOLLHUP | EPOLLERR;
	u32 us = READ_ONCE(node->spin_us);
	poll_table table;
	struct file *file;

	if (arg->spin.flags)
		return -EINVAL;
	if (!dsm_node_is_helper(node))
		return -EPERM;
	if (!us || num_online_cpus() == 1)
		return -EOPNOTSUPP;
	file = fget(arg->spin.fd);
	if (!file)
		return -EBADF;
	init_poll_funcptr(&table, NULL);
	table._key = events;
	dsm_spin(&node->spins[DSM_SPIN_HELPER], us, vfs_poll(file, &table) & events);
	fput(file);
	return 0;
}

/* In the order of their numbers. */
static const struct {
	unsigned int cmd;
	long (*handler)(struct handle *h, union arg *arg);
	bool early;		/* before the handshake, and before there is a node */
} ioctls[] = {
	{ DSM_IOC_API,		ioctl_api, true },
	{ DSM_IOC_NODE,		ioctl_node },
	{ DSM_IOC_CREATE,	ioctl_create },
	{ DSM_IOC_OPEN,		ioctl_open },
	{ DSM_IOC_LIST,		ioctl_list },
	{ DSM_IOC_UNLINK,	ioctl_unlink },
	{ DSM_IOC_PREFETCH,	ioctl_prefetch },
	{ DSM_IOC_SYNC,		ioctl_sync },
	{ DSM_IOC_WINDOW,	ioctl_window },
	{ DSM_IOC_DISCARD,	ioctl_discard },
	{ DSM_IOC_ATTACH,	ioctl_attach },
	{ DSM_IOC_SPIN,		ioctl_spin },
};

static long device_ioctl(struct file *file, unsigned int cmd, unsigned long user)
{
	struct handle *h = file->private_data;
	size_t size = _IOC_SIZE(cmd);
	union arg arg = {};
	unsigned int i;
	long err;

	for (i = 0; i < ARRAY_SIZE(ioctls); i++)
		if (ioctls[i].cmd == cmd)
			break;
	if (i == ARRAY_SIZE(ioctls))
		return -ENOTTY;
	if (!ioctls[i].early && !READ_ONCE(h->api))
		return -EINVAL;
	if (!ioctls[i].early && !dsm_node_configured(h->node))
		return -ENOTCONN;
	if ((cmd & IOC_IN) && copy_from_user(&arg, (void __user *)user, size))
		return -EFAULT;
	err = ioctls[i].handler(h, &arg);
	if ((cmd & IOC_OUT) && (!err || err == -EPROTONOSUPPORT) &&
	    copy_to_user((void __user *)user, &arg, size))
		return -EFAULT;
	return err;
}

static int device_mmap(struct file *file, struct vm_area_struct *vma)
{
	struct handle *h = file->private_data;
	struct dsm_region *region = bound(h);

	if (!region)
		return -EINVAL;
	/* Somebody was given the descriptor who is not the helper it was made for. */
	if (h->window)
		return dsm_node_is_helper(h->node) ? dsm_fault_mmap_window(region, vma) : -EPERM;
	if (vma->vm_pgoff == DSM_WORDS_OFFSET >> PAGE_SHIFT)
		return h->rdonly ? -EACCES : dsm_words_mmap(region, vma);
	if (h->rdonly) {
		if (vma->vm_flags & VM_WRITE)
			return -EACCES;
		vm_flags_clear(vma, VM_MAYWRITE);
	}
	return dsm_fault_mmap(region, vma);
}

static int device_open(struct inode *inode, struct file *file)
{
	struct net *net = current->nsproxy->net_ns;
	struct handle *h = kzalloc(sizeof(*h), GFP_KERNEL_ACCOUNT);

	if (!h)
		return -ENOMEM;
	h->node = dsm_node_of(get_net(net));
	mutex_init(&h->lock);
	dsm_opener_init(&h->opener);
	file->private_data = h;
	return 0;
}

static int is_file(const void *file, struct file *other, unsigned int fd)
{
	return other == file;
}

/*
 * A descriptor has been closed: by close(2) and the like, by execve(2), or with its table,
 * by the last to exit that had that. If it was the last one of the file in its table,
 * mutexes that were held through it are left to others: see sync.c. A table that is not
 * the caller's any more is about to go, with all that is in it.
 */
static int device_flush(struct file *file, fl_owner_t owner)
{
	struct handle *h = file->private_data;

	/* Set, by who has taken one, before it was taken. */
	if (!owner || !READ_ONCE(h->holds))
		return 0;
	if (owner != current->files || !iterate_fd(owner, 0, is_file, file))
		dsm_sync_release_process(h->region, &h->opener, owner);
	return 0;
}

static int device_release(struct inode *inode, struct file *file)
{
	struct handle *h = file->private_data;
	struct net *net = h->node->net;

	if (h->region && h->window) {
		dsm_region_put(h->region);
	} else if (h->region) {
		dsm_sync_release_file(h->region, &h->opener);
		dsm_region_put_user(h->region);
	}
	dsm_opener_exit(&h->opener);
	mutex_destroy(&h->lock);
	kfree(h);
	put_net(net);
	return 0;
}

static const struct file_operations device_fops = {
	.owner		= THIS_MODULE,
	.open		= device_open,
	.flush		= device_flush,
	.release	= device_release,
	.unlocked_ioctl	= device_ioctl,
	.compat_ioctl	= compat_ptr_ioctl,
	.mmap		= device_mmap,
	.llseek		= noop_llseek,
};

static struct miscdevice device = {
	.minor	= MISC_DYNAMIC_MINOR,
	.name	= "dsm",
	.mode	= 0666,
	.fops	= &device_fops,
};

int dsm_device_init(void)
{
	return misc_register(&device);
}

void dsm_device_exit(void)
{
	misc_deregister(&device);
}
