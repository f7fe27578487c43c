/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Comes before all that kunit.ko is made of, and makes up for what a kernel has
 * only if it was configured with KUnit.
 *
 * First the headers, as the kernel was built: struct module and task_struct have
 * no fields for KUnit, and keep the form they have. Then KUnit is there, and its
 * part of the module loader is not: a module of tests has to start them itself.
 * What task_struct lacks is kept where a file system keeps its transaction: the
 * threads that run tests have none.
 */
#include <linux/device.h>
#include <linux/kthread.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/mutex.h>
#include <linux/reboot.h>
#include <linux/sched.h>
#include <linux/sched/debug.h>
#include <linux/sched/task.h>
#include <linux/slab.h>

#undef CONFIG_MODULES
#define CONFIG_KUNIT_MODULE 1
#define CONFIG_KUNIT_DEFAULT_ENABLED 1

struct kunit_task {
	struct kunit *kunit_test;
};

#undef current
#define current ((struct kunit_task *)&get_current()->journal_info)
