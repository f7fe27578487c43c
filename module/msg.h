/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _DSM_MSG_H
#define _DSM_MSG_H

#include <linux/list.h>
#include <linux/types.h>
#include <linux/dsm_wire.h>

/**
 * struct dsm_msg - one message between modules
 * @list: on a peer's queue, a block's or chunk's waiting list, a batch
 * @type: enum dsm_wire_type
 * @flags: DSM_WIRE_*
 * @from: the node that says it
 * @to: the node it is said to
 * @node: FWD_*, INV: the requester; HOME: the home
 * @acks: DATA, LOST, GRANT, FWD_GET_M: how many INV_ACKs the requester will get
 * @req: the number of the request that it makes or answers
 * @region: id, or 0
 * @block: number of the block, or chunk
 * @seq: its number on the link, while on a peer's queue
 * @error: REGION_REPLY
 * @data_len: DATA: bytes of body in the window
 * @offset: DATA, GET_*, FWD_*: the block's offset in the window
 * @expect_len: GET_*, FWD_*: bytes that may come for it, here; or 0
 * @more: how many messages the frame that it is sent in, or came in, stands for
 *	beside it
 * @must: nobody will send it again: its receiver takes it, whatever memory it needs
 * @body_len: bytes of @body used
 * @body: the body of messages that carry no page
 */
struct dsm_msg {
	struct list_head list;
	u8 type;
	u8 flags;
	u16 from;
	u16 to;
	u16 node;
	u16 acks;
	u32 req;
	u32 region;
	u32 error;
	u64 block;
	u64 seq;
	u64 offset;
	u32 data_len;
	u32 expect_len;
	u16 more;
	bool must;
	u32 body_len;
	union {
		struct dsm_wire_region region;
		struct dsm_wire_sync sync;
	} body;
};

struct dsm_msg *dsm_msg_alloc(gfp_t gfp);
void dsm_msg_reset(struct dsm_msg *msg);
void dsm_msg_free(struct dsm_msg *msg);
void dsm_msg_void(struct dsm_msg *msg);
void dsm_msg_lose(struct dsm_msg *msg);
void dsm_msg_free_list(struct list_head *list);

int dsm_msg_encode_len(const struct dsm_msg *msg);
void dsm_msg_encode(const struct dsm_msg *msg, u16 src, u32 view, u64 ack, void *frame);
int dsm_msg_decode(struct dsm_msg *msg, const void *frame, size_t len, u16 peer,
		   u32 view, u64 *ack);
bool dsm_msg_continues(const struct dsm_msg *msg, const struct dsm_msg *next);
const char *dsm_msg_name(u8 type);

int dsm_msg_init(void);
void dsm_msg_exit(void);

#endif /* _DSM_MSG_H */
