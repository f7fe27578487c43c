// SPDX-License-Identifier: GPL-2.0
/*
 * What a node says to itself.
 *
 * A message to another node goes to its peer's queue. A message to this node waits in
 * the caller's batch (dsm_post()), and is delivered here when the caller holds no lock:
 * a receiver takes the locks that it needs, and what it says in turn waits in the same
 * batch. So nothing is called again by what it calls.
 *
 * Messages to this node keep the order of their batch, and may overtake those of another
 * one. Where that matters (sync.c), all use one batch.
 */
#include "batch.h"
#include "link.h"
#include "msg.h"
#include "node.h"

/* Deliver what we have said to ourselves. No lock is held that a receiver takes. */
void dsm_batch_run(struct dsm_batch *batch, struct dsm_node *node)
{
	struct dsm_msg *msg;

	while ((msg = list_first_entry_or_null(&batch->local, struct dsm_msg, list))) {
		struct dsm_msg copy = *msg;

		list_del(&msg->list);
		/* Its receiver will need one. */
		dsm_batch_give(batch, msg);
		/* The receiver has dealt with a message that it refuses, or whose region is gone. */
		node->link->receive(node, &copy, false, batch);
	}
}
