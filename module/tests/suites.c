// SPDX-License-Identifier: GPL-2.0
/*
 * Runs the suites when they are a module, in a kernel that was configured without
 * KUnit and knows nothing of them. suites.lds has put them together.
 */
#include <kunit/test.h>
#include <linux/module.h>

extern struct kunit_suite *dsm_kunit_suites[], *dsm_kunit_suites_end[];

static int __init suites_run(void)
{
	int n = dsm_kunit_suites_end - dsm_kunit_suites;

	if (!n)
		return -ENOENT;
	pr_info("KTAP version 1\n");
	pr_info("1..%d\n", n);
	return __kunit_test_suites_init(dsm_kunit_suites, n);
}

static void __exit suites_exit(void)
{
	__kunit_test_suites_exit(dsm_kunit_suites, dsm_kunit_suites_end - dsm_kunit_suites);
}

module_init(suites_run);
module_exit(suites_exit);

MODULE_DESCRIPTION("KUnit tests of distributed shared memory");
MODULE_LICENSE("GPL");
