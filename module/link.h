/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _DSM_LINK_H
#define _DSM_LINK_H

#include <linux/types.h>

struct dsm_batch;
struct dsm_msg;
struct dsm_node;
struct sk_buff;

/**
 * struct dsm_link_ops - what the layers above do about what the links bring
 *
 * A node is given it when it is made (netns.c). All may sleep.
 *
 * @receive: take a message; see receive.c
 * @configure: the helper says which node this is; node->helper_lock is held
 * @registered: a helper has registered: tell it which bytes may come
 * @begun: a session with @peer begins; @other: its module is another one than before. The
 *	node's regions_lock is held
 * @down: a peer cannot be reached, for now
 * @stale: a peer has come back without its memory
 * @ask: ask the registry whether there is a region @region. Return: 0 or -ENOMEM
 * @unreadable: have the bytes of a block that is to be sent again a memory error?
 */
struct dsm_link_ops {
	int (*receive)(struct dsm_node *node, struct dsm_msg *msg, bool in_window,
		       struct dsm_batch *batch);
	int (*configure)(struct dsm_node *node, u32 id, u32 nodes);
	void (*registered)(struct dsm_node *node);
	void (*begun)(struct dsm_node *node, u16 peer, bool other, u64 incarnation);
	void (*down)(struct dsm_node *node, u16 peer);
	void (*stale)(struct dsm_node *node, u16 peer);
	int (*ask)(struct dsm_node *node, u32 region);
	bool (*unreadable)(struct dsm_node *node, u32 region, u64 block);
};

/**
 * struct dsm_carrier - what carries messages to the peers: netlink.c's, or a test's
 *
 * The first four do not sleep.
 *
 * @new: a buffer for SENDs: of @msg alone, or of many if that is NULL; or NULL
 * @put: add @msg, and the run that it begins, to a buffer. Return: 0, or -EMSGSIZE if
 *	there is no room: the buffer is as it was
 * @free: free a buffer that is not sent
 * @send: give a buffer to the helper; the buffer is gone in any case
 * @expect: tell the helper where bytes for request @req are to be put
 * @forget: tell the helper that a region is no more
 */
struct dsm_carrier {
	struct sk_buff *(*new)(const struct dsm_msg *msg);
	int (*put)(struct sk_buff *skb, struct dsm_node *node, u16 peer,
		   const struct dsm_msg *msg, u64 ack);
	void (*free)(struct sk_buff *skb);
	int (*send)(struct dsm_node *node, struct sk_buff *skb);
	int (*expect)(struct dsm_node *node, u32 region, u64 offset, u32 length, u32 req);
	void (*forget)(struct dsm_node *node, u32 region);
};

void dsm_batch_run(struct dsm_batch *batch, struct dsm_node *node);

#endif /* _DSM_LINK_H */
