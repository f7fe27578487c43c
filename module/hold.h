/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _DSM_HOLD_H
#define _DSM_HOLD_H

#include <linux/hrtimer.h>
#include <linux/kthread.h>
#include <linux/workqueue.h>

struct dsm_block;
struct dsm_region;

/**
 * struct dsm_hold - a revocation that cannot go on yet, or not here
 * @region: reference held
 * @index: the block
 * @event: what to feed it when it can: HOLD_OVER; or, after another try, REVOKED, or
 *	WRITE, which takes a copy from another node
 * @how: REVOKED: DSM_ACT_REVOKE, _CLEAN or _DROP
 * @tries: REVOKED, WRITE: how often it was tried
 * @over: what to call when the wait is over
 * @timer: until then
 * @work: then, HOLD_OVER: others' threads wait for it
 * @retry: then, REVOKED, WRITE: that may go on for ever. REVOKED: or at once, where it
 *	takes long
 */
struct dsm_hold {
	struct dsm_region *region;
	u64 index;
	u8 event;
	u8 how;
	u8 tries;
	void (*over)(struct dsm_hold *hold);
	struct hrtimer timer;
	union {
		struct kthread_work work;
		struct work_struct retry;
	};
};

struct dsm_hold *dsm_hold_create(void (*over)(struct dsm_hold *hold), gfp_t gfp);
void dsm_hold_destroy(struct dsm_hold *hold);
void dsm_hold_start(struct dsm_hold *hold, u64 wait_ns);
void dsm_hold_start_long(struct dsm_hold *hold);

void dsm_hold_granted(struct dsm_block *block, unsigned int hold_us);
void dsm_hold_used(struct dsm_block *block, unsigned int hold_us);
u64 dsm_hold_left(const struct dsm_block *block);

int dsm_hold_init(void);
void dsm_hold_exit(void);

#endif /* _DSM_HOLD_H */
