// SPDX-License-Identifier: GPL-2.0
/*
 * Which lines the tests have come to: selftests/kunit --coverage.
 *
 * A user mode kernel has neither a libgcov nor programs that would read counters
 * from debugfs. The compiler leaves a pointer to each object's counters in
 * a section; when the tests are over and the kernel goes, they are written where
 * the compiler says, into the host's files.
 */
#include <linux/init.h>
#include <linux/reboot.h>
#include <linux/slab.h>
#include <os.h>
#include <gcc_4_7.c>

extern struct gcov_info *const __start_dsm_gcov_info[];
extern struct gcov_info *const __stop_dsm_gcov_info[];

/* Named in every object's counters, and called by nobody. */
void __gcov_merge_add(gcov_type *counters, unsigned int n);

void __gcov_merge_add(gcov_type *counters, unsigned int n)
{
}

size_t store_gcov_u32(void *buffer, size_t off, u32 v)
{
	if (buffer)
		*(u32 *)(buffer + off) = v;
	return sizeof(v);
}

/* The low half comes first. */
size_t store_gcov_u64(void *buffer, size_t off, u64 v)
{
	store_gcov_u32(buffer, off, v);
	store_gcov_u32(buffer, off + sizeof(u32), v >> 32);
	return sizeof(v);
}

static int write_info(struct gcov_info *info)
{
	size_t size = convert_to_gcda(NULL, info);
	/* The host writes what it has mapped. */
	char *data = kmalloc(size, GFP_KERNEL);
	int fd, err;

	if (!data)
		return -ENOMEM;
	convert_to_gcda(data, info);
	fd = os_open_file(gcov_info_filename(info), of_create(of_trunc(of_write(OPENFLAGS()))),
			  0644);
	err = fd;
	if (fd >= 0) {
		err = os_write_file(fd, data, size);
		os_close_file(fd);
	}
	kfree(data);
	return err == size ? 0 : err < 0 ? err : -EIO;
}

static int write_all(struct notifier_block *nb, unsigned long event, void *data)
{
	struct gcov_info *const *info;
	int err;

	for (info = __start_dsm_gcov_info; info < __stop_dsm_gcov_info; info++) {
		err = write_info(*info);
		if (err)
			pr_err("%s: %d\n", gcov_info_filename(*info), err);
	}
	return NOTIFY_DONE;
}

static struct notifier_block reboot_notifier = {
	.notifier_call = write_all,
};

static int __init coverage_init(void)
{
	return register_reboot_notifier(&reboot_notifier);
}
late_initcall(coverage_init);
