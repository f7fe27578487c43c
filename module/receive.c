// SPDX-License-Identifier: GPL-2.0
/*
 * Where a message goes.
 *
 * The rule: no message of a correct node ends the link it came on. A message is
 * taken, or answered with a negative reply, or parked (see park.c), or it has to
 * be sent again (see peer.c). Only what no correct node can send ends a link.
 *
 * A receiver borrows the message and returns
 *
 *	0			it has taken the message
 *	-EPROTO, -EBADMSG	no correct node would have sent it
 *	-ENXIO			it is a request about a region that the registry has
 *				not announced here yet: the caller parks it
 *	-ENOMEM, -EAGAIN, ...	not now: the caller has the message sent again
 *
 * With an error nothing has changed, and the receiver may be given the same
 * message again. A receiver uses the caller's batch; the caller delivers what that has
 * for this node, and flushes the peers.
 */
#include <linux/errno.h>
#include <linux/ratelimit.h>
#include "batch.h"
#include "block.h"
#include "chunk.h"
#include "msg.h"
#include "node.h"
#include "receive.h"
#include "region.h"
#include "registry.h"
#include "sync.h"

static int receive_block(struct dsm_node *node, struct dsm_msg *msg, bool in_window,
			 struct dsm_batch *batch)
{
	struct dsm_region *region = dsm_region_get_id(node, msg->region);
	int err;

	if (!region)
		return dsm_region_missing(node, msg->region);
	err = dsm_block_receive(region, msg, in_window, batch);
	dsm_region_put(region);
	return err;
}

static int receive_chunk(struct dsm_node *node, struct dsm_msg *msg, bool in_window,
			 struct dsm_batch *batch)
{
	struct dsm_region *region = dsm_region_get_id(node, msg->region);
	int err;

	if (!region)
		return dsm_region_missing(node, msg->region);
	err = dsm_chunk_receive(region, msg, batch);
	dsm_region_put(region);
	return err;
}

static int receive_registry(struct dsm_node *node, struct dsm_msg *msg, bool in_window,
			    struct dsm_batch *batch)
{
	return dsm_registry_receive(node, msg, batch);
}

static int receive_sync(struct dsm_node *node, struct dsm_msg *msg, bool in_window,
			struct dsm_batch *batch)
{
	return dsm_sync_receive(node, msg);
}

static int receive_nop(struct dsm_node *node, struct dsm_msg *msg, bool in_window,
		       struct dsm_batch *batch)
{
	return 0;
}

/**
 * struct receiver - who takes a message
 * @receive: takes it
 * @early: a correct node may send it to one that has not heard of the region yet:
 *	it is a request. The others say something about what the receiver has of
 *	the region. If it has not heard of the region, they are of no use to it:
 *	the region is one of an earlier registry.
 */
static const struct receiver {
	int (*receive)(struct dsm_node *node, struct dsm_msg *msg, bool in_window,
		       struct dsm_batch *batch);
	bool early;
} receivers[DSM_WIRE_HELPER] = {
	[DSM_GET_S]		= { receive_block, .early = true },
	[DSM_GET_M]		= { receive_block, .early = true },
	[DSM_PUT_S]		= { receive_block },
	[DSM_PUT_M]		= { receive_block },
	[DSM_FWD_GET_S]		= { receive_block },
	[DSM_FWD_GET_M]		= { receive_block },
	[DSM_INV]		= { receive_block },
	[DSM_INV_ACK]		= { receive_block },
	[DSM_DATA]		= { receive_block },
	[DSM_GRANT]		= { receive_block },
	[DSM_DONE]		= { receive_block },
	[DSM_DISCARD]		= { receive_block, .early = true },
	[DSM_DISCARDED]		= { receive_block },
	[DSM_LOST]		= { receive_block },
	[DSM_CLAIM]		= { receive_chunk, .early = true },
	[DSM_HOME]		= { receive_chunk },
	[DSM_REGION_CREATE]	= { receive_registry },
	[DSM_REGION_UNLINK]	= { receive_registry },
	[DSM_REGION_NEW]	= { receive_registry },
	[DSM_REGION_GONE]	= { receive_registry },
	[DSM_REGION_FREE]	= { receive_registry },
	[DSM_REGION_ACK]	= { receive_registry },
	[DSM_REGION_IDLE]	= { receive_registry },
	[DSM_REGION_REPLY]	= { receive_registry },
	[DSM_REGION_ASK]	= { receive_registry },
	[DSM_REGION_TOLD]	= { receive_registry },
	[DSM_REGION_USE]	= { receive_registry },
	[DSM_SYNC_REQUEST]	= { receive_sync, .early = true },
	[DSM_SYNC_REPLY]	= { receive_sync },
	[DSM_NOP]		= { receive_nop },
};

int dsm_receive(struct dsm_node *node, struct dsm_msg *msg, bool in_window,
		struct dsm_batch *batch)
{
	const struct receiver *receiver = &receivers[msg->coh.type];
	int err = -EBADMSG;

	if (receiver->receive)
		err = receiver->receive(node, msg, in_window, batch);
	if (err == -ENXIO && !receiver->early)
		err = 0;
	if (err == -EPROTO || err == -EBADMSG)
		pr_warn_ratelimited("node %u: refused %s of node %u: region %u, block %llu, req %u (%d)\n",
				    node->id, dsm_msg_name(msg->coh.type), msg->coh.from,
				    msg->region, msg->block, msg->coh.req, err);
	return err;
}
