// SPDX-License-Identifier: GPL-2.0
/*
 * Claims: the memory that it takes to ask a mutex's home for it, once, and to give it
 * back. A thread sets it aside before it asks, so that nothing can fail after that.
 */
#include <linux/slab.h>
#include "claim.h"
#include "lease.h"
#include "msg.h"
#include "region.h"

void dsm_claim_free(struct dsm_claim *claim)
{
	if (!claim)
		return;
	dsm_sync_request_free(&claim->rq);
	dsm_msg_free(claim->request);
	dsm_msg_free(claim->cancel);
	dsm_msg_free(claim->release);
	kfree(claim);
}

struct dsm_claim *dsm_claim_create(const struct dsm_locker *locker, u16 home)
{
	struct dsm_region *region = locker->region;
	u64 block = locker->offset >> region->block_shift;
	struct dsm_node *node = region->node;
	struct dsm_sync_request *rq;
	struct dsm_claim *claim;

	claim = kzalloc(sizeof(*claim), GFP_KERNEL_ACCOUNT);
	if (!claim)
		return NULL;
	rq = &claim->rq;
	*rq = (struct dsm_sync_request){
		.from	= node->id,
		.req	= dsm_node_next_req(node),
		.region	= region->id,
		.offset	= locker->offset,
		.op	= DSM_SYNC_LOCK,
	};
	if (home == node->id) {
		if (dsm_sync_home_prepare(rq, NULL, block) ||
		    dsm_sync_home_prepare_aside(rq, NULL, block))
			goto free;
		return claim;
	}
	claim->request = dsm_sync_msg_create(rq, DSM_SYNC_REQUEST, DSM_SYNC_LOCK, block,
					     GFP_KERNEL_ACCOUNT);
	claim->cancel = dsm_sync_msg_create(rq, DSM_SYNC_REQUEST, DSM_SYNC_CANCEL, block,
					    GFP_KERNEL_ACCOUNT);
	claim->release = dsm_sync_msg_create(rq, DSM_SYNC_REQUEST, DSM_SYNC_RELEASE, block,
					     GFP_KERNEL_ACCOUNT);
	if (claim->request && claim->cancel && claim->release)
		return claim;
free:
	dsm_claim_free(claim);
	return NULL;
}
