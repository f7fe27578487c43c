// SPDX-License-Identifier: GPL-2.0
/*
 * Claims: the memory that it takes to ask a mutex's home for it, once, and to give it
 * back. A thread sets it aside before it asks, so that nothing can fail after that.
 */
#include <linux/slab.h>
#include "claim.h"
#include "lease.h"
#include "msg.h"
#include "node.h"
#include "region.h"
#include "sync_home.h"

void dsm_claim_free(struct dsm_claim *claim)
{
	if (!claim)
		return;
	dsm_msg_free(claim->request);
	dsm_msg_free(claim->cancel);
	dsm_msg_free(claim->release);
	kfree(claim);
}

static struct dsm_msg *claim_msg_create(const struct dsm_claim *claim,
					const struct dsm_locker *locker, u32 op)
{
	u64 block = locker->offset >> locker->region->block_shift;

	return dsm_sync_msg_create(locker->region->id, locker->offset, claim->req,
				   DSM_SYNC_REQUEST, op, 0, block, GFP_KERNEL_ACCOUNT);
}

struct dsm_claim *dsm_claim_create(const struct dsm_locker *locker)
{
	struct dsm_claim *claim = kzalloc(sizeof(*claim), GFP_KERNEL_ACCOUNT);

	if (!claim)
		return NULL;
	claim->req = dsm_node_next_req(locker->region->node);
	claim->request = claim_msg_create(claim, locker, DSM_SYNC_LOCK);
	claim->cancel = claim_msg_create(claim, locker, DSM_SYNC_CANCEL);
	claim->release = claim_msg_create(claim, locker, DSM_SYNC_RELEASE);
	if (claim->request && claim->cancel && claim->release)
		return claim;
	dsm_claim_free(claim);
	return NULL;
}
