/* SPDX-License-Identifier: GPL-2.0 */
/*
 * All messages between modules, a row each:
 *
 *	M(name, body, flags, runs, early, by, take)
 *
 *	name	DSM_name is its type, see uapi/linux/dsm_wire.h
 *	body	NONE; REGION or SYNC: a struct dsm_wire_region or dsm_wire_sync, in the frame;
 *		BLOCK: a block's bytes, in the window
 *	flags	DSM_WIRE_*: those that it may have
 *	runs	RUN: one frame may stand for several
 *	early	EARLY: a correct node may send it to one that has not heard of the region yet:
 *		it is a request. The others (KNOWN) are about what the receiver has of the
 *		region; where that has not heard of it, they are about one of an earlier
 *		registry, and of no use
 *	by	REGISTRY: only the registry may say it; NODE: it is said to the registry;
 *		ANY: its receiver knows who may say it, from the state of what it is about
 *	take	who takes it: receive_block() and the like in receive.c; for regions, a
 *		function of registry.c
 *
 * msg.c makes names and decoding of this, trace.h what tracing prints, receive.c and
 * registry.c who gets it. A new message is a row here, its receiver, and a line in
 * uapi/linux/dsm_wire.h.
 */
#ifndef _DSM_MESSAGES_H
#define _DSM_MESSAGES_H

#define DSM_BLOCK_MESSAGES(M)									\
	M(GET_S, NONE, 0, RUN, EARLY, ANY, block)						\
	M(GET_M, NONE, 0, RUN, EARLY, ANY, block)						\
	M(PUT_S, NONE, 0, RUN, KNOWN, ANY, block)						\
	M(PUT_M, NONE, 0, RUN, KNOWN, ANY, block)						\
	M(FWD_GET_S, NONE, DSM_WIRE_MODIFIED, RUN, KNOWN, ANY, block)				\
	M(FWD_GET_M, NONE, 0, RUN, KNOWN, ANY, block)						\
	M(INV, NONE, DSM_WIRE_ZERO, RUN, KNOWN, ANY, block)					\
	M(INV_ACK, NONE, 0, RUN, KNOWN, ANY, block)						\
	M(DATA, BLOCK, DSM_WIRE_MODIFIED, RUN, KNOWN, ANY, block)				\
	M(GRANT, NONE, DSM_WIRE_MODIFIED | DSM_WIRE_ZERO, RUN, KNOWN, ANY, block)		\
	M(DONE, NONE, DSM_WIRE_MODIFIED, RUN, KNOWN, ANY, block)				\
	M(DISCARD, NONE, 0, RUN, EARLY, ANY, block)						\
	M(DISCARDED, NONE, 0, RUN, KNOWN, ANY, block)						\
	M(LOST, NONE, DSM_WIRE_MODIFIED, RUN, KNOWN, ANY, block)

#define DSM_CHUNK_MESSAGES(M)									\
	M(CLAIM, NONE, DSM_WIRE_ASK, ONE, EARLY, ANY, chunk)					\
	M(HOME, NONE, DSM_WIRE_ASK, ONE, KNOWN, ANY, chunk)

#define DSM_REGION_MESSAGES(M)									\
	M(REGION_CREATE, REGION, DSM_WIRE_PRIVILEGED, ONE, KNOWN, NODE, registry_create)	\
	M(REGION_UNLINK, REGION, DSM_WIRE_PRIVILEGED, ONE, KNOWN, NODE, registry_unlink)	\
	M(REGION_NEW, REGION, 0, ONE, KNOWN, REGISTRY, node_new)				\
	M(REGION_GONE, NONE, 0, ONE, KNOWN, REGISTRY, node_gone)				\
	M(REGION_FREE, NONE, 0, ONE, KNOWN, REGISTRY, node_free)				\
	M(REGION_NEW_ACK, NONE, 0, ONE, KNOWN, NODE, registry_new_ack)				\
	M(REGION_GONE_ACK, NONE, 0, ONE, KNOWN, NODE, registry_gone_ack)			\
	M(REGION_IDLE, NONE, 0, ONE, KNOWN, NODE, registry_idle)				\
	M(REGION_REPLY, NONE, 0, ONE, KNOWN, REGISTRY, node_reply)				\
	M(REGION_ASK, NONE, 0, ONE, KNOWN, NODE, registry_ask)					\
	M(REGION_TOLD, NONE, 0, ONE, KNOWN, REGISTRY, node_told)				\
	M(REGION_USE, NONE, 0, ONE, KNOWN, NODE, registry_use)

#define DSM_SYNC_MESSAGES(M)									\
	M(SYNC_REQUEST, SYNC, 0, ONE, EARLY, ANY, sync)						\
	M(SYNC_REPLY, SYNC, 0, ONE, KNOWN, ANY, sync)

/* Of the link itself: NOP is in place of what is of no use any more; ACK has no number. */
#define DSM_LINK_MESSAGES(M)									\
	M(NOP, NONE, 0, ONE, KNOWN, ANY, nothing)						\
	M(ACK, NONE, DSM_WIRE_RESEND, ONE, KNOWN, ANY, nothing)

#define DSM_MESSAGES(M)	\
	DSM_BLOCK_MESSAGES(M) DSM_CHUNK_MESSAGES(M) DSM_REGION_MESSAGES(M)	\
	DSM_SYNC_MESSAGES(M) DSM_LINK_MESSAGES(M)

#endif /* _DSM_MESSAGES_H */
