// SPDX-License-Identifier: GPL-2.0
/*
 * Where a message goes.
 *
 * A receiver borrows the message. It returns 0 when it has taken it; any error
 * means that nothing has changed and that it may be given the same message
 * again: -ENOMEM, and -EAGAIN for what has come too early. -EPROTO and
 * -EBADMSG are for what no correct node would have sent. The caller's batch is
 * used if need be; it flushes the peers.
 */
#include <linux/errno.h>
#include <linux/ratelimit.h>
#include "batch.h"
#include "block.h"
#include "directory.h"
#include "msg.h"
#include "node.h"
#include "peer.h"
#include "receive.h"
#include "region.h"
#include "registry.h"
#include "sync.h"

/*
 * The region a message is about. One we have not heard of yet is announced by
 * the registry on another connection; one that is over needs nothing more.
 */
static struct dsm_region *region_of(struct dsm_node *node, const struct dsm_msg *msg)
{
	struct dsm_region *region = dsm_region_get_id(node, msg->region);

	if (region)
		return region;
	return ERR_PTR(msg->region > READ_ONCE(node->region_id_seen) ? -EAGAIN : -ENOENT);
}

static int receive_block(struct dsm_node *node, struct dsm_msg *msg, bool in_window,
			 struct dsm_batch *batch)
{
	struct dsm_region *region = region_of(node, msg);
	int err;

	if (IS_ERR(region))
		return PTR_ERR(region) == -ENOENT ? 0 : PTR_ERR(region);
	err = dsm_block_receive(region, msg, in_window, batch);
	dsm_region_put(region);
	return err;
}

static int receive_chunk(struct dsm_node *node, struct dsm_msg *msg, bool in_window,
			 struct dsm_batch *batch)
{
	struct dsm_region *region = region_of(node, msg);
	int err;

	if (IS_ERR(region))
		return PTR_ERR(region) == -ENOENT ? 0 : PTR_ERR(region);
	err = dsm_chunk_receive(region, msg);
	dsm_region_put(region);
	return err;
}

static int receive_registry(struct dsm_node *node, struct dsm_msg *msg, bool in_window,
			    struct dsm_batch *batch)
{
	return dsm_registry_receive(node, msg);
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

typedef int (*receiver)(struct dsm_node *node, struct dsm_msg *msg, bool in_window,
			struct dsm_batch *batch);

static const receiver receivers[DSM_WIRE_HELPER] = {
	[DSM_GET_S]		= receive_block,
	[DSM_GET_M]		= receive_block,
	[DSM_PUT_S]		= receive_block,
	[DSM_PUT_M]		= receive_block,
	[DSM_FWD_GET_S]		= receive_block,
	[DSM_FWD_GET_M]		= receive_block,
	[DSM_INV]		= receive_block,
	[DSM_INV_ACK]		= receive_block,
	[DSM_DATA]		= receive_block,
	[DSM_GRANT]		= receive_block,
	[DSM_DONE]		= receive_block,
	[DSM_DISCARD]		= receive_block,
	[DSM_DISCARDED]		= receive_block,
	[DSM_CLAIM]		= receive_chunk,
	[DSM_HOME]		= receive_chunk,
	[DSM_REGION_CREATE]	= receive_registry,
	[DSM_REGION_UNLINK]	= receive_registry,
	[DSM_REGION_NEW]	= receive_registry,
	[DSM_REGION_GONE]	= receive_registry,
	[DSM_REGION_FREE]	= receive_registry,
	[DSM_REGION_ACK]	= receive_registry,
	[DSM_REGION_IDLE]	= receive_registry,
	[DSM_REGION_REPLY]	= receive_registry,
	[DSM_SYNC_REQUEST]	= receive_sync,
	[DSM_SYNC_REPLY]	= receive_sync,
	[DSM_NOP]		= receive_nop,
};

int dsm_receive(struct dsm_node *node, struct dsm_msg *msg, bool in_window,
		struct dsm_batch *batch)
{
	receiver receive = receivers[msg->coh.type];
	int err = receive ? receive(node, msg, in_window, batch) : -EBADMSG;

	if (err == -EPROTO || err == -EBADMSG)
		pr_warn_ratelimited("node %u: refused %s of node %u: region %u, block %llu, req %u (%d)\n",
				    node->id, dsm_msg_name(msg->coh.type), msg->coh.from,
				    msg->region, msg->block, msg->coh.req, err);
	return err;
}

/* Deliver what this node has said to itself. */
void dsm_receive_local(struct work_struct *work)
{
	struct dsm_node *node = container_of(to_delayed_work(work), struct dsm_node, local_work);
	struct dsm_batch batch;
	struct dsm_msg *msg;
	int err;

	dsm_batch_init(&batch);
	for (;;) {
		spin_lock(&node->local_lock);
		msg = list_first_entry_or_null(&node->local, struct dsm_msg, list);
		if (msg)
			list_del(&msg->list);
		spin_unlock(&node->local_lock);
		if (!msg)
			break;
		err = dsm_receive(node, msg, false, &batch);
		if (err == -ENOMEM || err == -EAGAIN) {
			spin_lock(&node->local_lock);
			list_add(&msg->list, &node->local);
			spin_unlock(&node->local_lock);
			schedule_delayed_work(&node->local_work, 1);
			break;
		}
		dsm_msg_free(msg);
	}
	dsm_peers_flush(node);
	dsm_batch_release(&batch);
}
