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
#include "messages.h"
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

static int receive_nothing(struct dsm_node *node, struct dsm_msg *msg, bool in_window,
			   struct dsm_batch *batch)
{
	return 0;
}

/* The columns of messages.h. */
enum early {
	KNOWN,
	EARLY,
};

enum by {
	ANY,
	REGISTRY,
	NODE,
};

struct receiver {
	int (*receive)(struct dsm_node *node, struct dsm_msg *msg, bool in_window,
		       struct dsm_batch *batch);
	enum early early;
	enum by by;
};

#define RECEIVER(name, body, flags, runs, early, by, take)	\
	[DSM_##name] = { receive_##take, early, by },
#define REGISTRY_RECEIVER(name, body, flags, runs, early, by, take)	\
	[DSM_##name] = { receive_registry, early, by },

static const struct receiver receivers[DSM_WIRE_HELPER] = {
	DSM_BLOCK_MESSAGES(RECEIVER)
	DSM_CHUNK_MESSAGES(RECEIVER)
	DSM_REGION_MESSAGES(REGISTRY_RECEIVER)
	DSM_SYNC_MESSAGES(RECEIVER)
	DSM_LINK_MESSAGES(RECEIVER)
};

static bool may_say(const struct dsm_node *node, const struct dsm_msg *msg, enum by by)
{
	switch (by) {
	case REGISTRY:
		return msg->from == DSM_REGISTRY_NODE;
	case NODE:
		return node->id == DSM_REGISTRY_NODE;
	default:
		return true;
	}
}

int dsm_receive(struct dsm_node *node, struct dsm_msg *msg, bool in_window,
		struct dsm_batch *batch)
{
	const struct receiver *receiver = &receivers[msg->type];
	int err = -EBADMSG;

	if (!may_say(node, msg, receiver->by))
		err = -EPROTO;
	else if (receiver->receive)
		err = receiver->receive(node, msg, in_window, batch);
	if (err == -ENXIO && receiver->early == KNOWN)
		err = 0;
	if (err == -EPROTO || err == -EBADMSG)
		pr_warn_ratelimited("node %u: refused %s of node %u: region %u, block %llu, req %u (%d)\n",
				    node->id, dsm_msg_name(msg->type), msg->from,
				    msg->region, msg->block, msg->req, err);
	return err;
}
