// SPDX-License-Identifier: GPL-2.0
/*
 * Distributed shared memory: the order in which it comes and goes.
 */
#include <linux/module.h>
#include <linux/rcupdate.h>
#include "chunk.h"
#include "device.h"
#include "discard.h"
#include "frames.h"
#include "hold.h"
#include "msg.h"
#include "netlink.h"
#include "netns.h"
#include "reclaim.h"
#include "sysfs.h"
#include "wait.h"

static int __init dsm_init(void)
{
	int err;

	err = dsm_msg_init();
	if (err)
		return err;
	err = dsm_frames_init(dsm_discard);
	if (err)
		goto msg;
	dsm_wait_init();
	err = dsm_chunk_init();
	if (err)
		goto frames;
	err = dsm_hold_init();
	if (err)
		goto chunk;
	err = dsm_reclaim_init();
	if (err)
		goto hold;
	err = dsm_sysfs_init();
	if (err)
		goto reclaim;
	err = dsm_netns_init(&dsm_netlink_carrier);
	if (err)
		goto sysfs;
	err = dsm_netlink_init();
	if (err)
		goto netns;
	err = dsm_device_init();
	if (err)
		goto netlink;
	return 0;

netlink:
	dsm_netlink_exit();
netns:
	dsm_netns_exit();
sysfs:
	dsm_sysfs_exit();
reclaim:
	dsm_reclaim_exit();
hold:
	dsm_hold_exit();
chunk:
	dsm_chunk_exit();
frames:
	dsm_frames_exit();
msg:
	dsm_msg_exit();
	return err;
}

static void __exit dsm_exit(void)
{
	dsm_device_exit();
	dsm_netlink_exit();
	dsm_netns_exit();
	dsm_sysfs_exit();
	dsm_reclaim_exit();
	dsm_hold_exit();
	dsm_chunk_exit();
	dsm_frames_exit();
	dsm_msg_exit();
	/* Regions are freed by RCU, from this module's structures only. */
	rcu_barrier();
	/*
	 * The last user may have put the module from a fault, or an munmap(2),
	 * and not have left its text yet. It does so before it sleeps.
	 */
	synchronize_rcu_tasks();
}

module_init(dsm_init);
module_exit(dsm_exit);

MODULE_DESCRIPTION("Distributed shared memory");
MODULE_LICENSE("GPL");
MODULE_ALIAS("devname:dsm");
