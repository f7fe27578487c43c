/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _DSM_ENVELOPE_H
#define _DSM_ENVELOPE_H

#include "coherence.h"
#include "msg.h"

/* The part of a message about a block that the protocol sees. */
static inline struct dsm_coh_msg dsm_envelope_open(const struct dsm_msg *msg)
{
	return (struct dsm_coh_msg){
		.type = msg->type, .flags = msg->flags, .from = msg->from, .to = msg->to,
		.node = msg->node, .acks = msg->acks, .req = msg->req,
	};
}

/* Have a message say what the protocol says. */
static inline void dsm_envelope_fill(struct dsm_msg *msg, const struct dsm_coh_msg *coh)
{
	msg->type = coh->type;
	msg->flags = coh->flags;
	msg->from = coh->from;
	msg->to = coh->to;
	msg->node = coh->node;
	msg->acks = coh->acks;
	msg->req = coh->req;
}

#endif /* _DSM_ENVELOPE_H */
