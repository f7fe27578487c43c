/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _DSM_NETLINK_H
#define _DSM_NETLINK_H

#include <linux/types.h>

struct dsm_msg;
struct dsm_node;
struct sk_buff;

struct sk_buff *dsm_netlink_new(const struct dsm_msg *msg);
int dsm_netlink_put_send(struct sk_buff *skb, struct dsm_node *node, u16 peer,
			 const struct dsm_msg *msg, u64 ack);
int dsm_netlink_send(struct dsm_node *node, struct sk_buff *skb);
int dsm_netlink_expect(struct dsm_node *node, u32 region, u64 offset, u32 length, u32 req);
void dsm_netlink_forget(struct dsm_node *node, u32 region);

int dsm_netlink_init(void);
void dsm_netlink_exit(void);

#endif /* _DSM_NETLINK_H */
