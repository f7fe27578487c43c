/* SPDX-License-Identifier: GPL-2.0 */
/* Generic netlink, as module/netlink.c uses it. */
#ifndef FUZZ_GENL_H
#define FUZZ_GENL_H

#include <linux/genetlink.h>

struct net {
	u32 unused;
};

#define NLMSG_DEFAULT_SIZE	3776
#define GENLMSG_DEFAULT_SIZE	(NLMSG_DEFAULT_SIZE - GENL_HDRLEN)
#define NETLINK_URELEASE	1
#define NOTIFY_DONE		0

/**
 * struct sk_buff - netlink messages, one after the other
 * @data: exactly @size bytes, so that the sanitizer detects accesses beyond them
 * @len: bytes used
 */
struct sk_buff {
	unsigned char *data;
	unsigned int size;
	unsigned int len;
};

struct netlink_ext_ack {
	const char *text;
};

struct genl_info {
	struct net *net;
	u32 snd_portid;
	struct nlattr **attrs;
	struct netlink_ext_ack *extack;
};

#define genl_info_net(info)		((info)->net)
#define NL_SET_ERR_MSG(ack, msg)	((ack)->text = (msg))
#define NL_SET_ERR_MSG_ATTR(ack, attr, msg)	((ack)->text = (msg))
#define GENL_REQ_ATTR_CHECK(info, attr)	(!(info)->attrs[attr])

enum {
	NLA_UNSPEC,	/* the attribute is absent */
	NLA_U32,
	NLA_U64,
	NLA_BINARY,
	NLA_FLAG,
};

struct nla_policy {
	u8 type;
	u16 len;
	bool ranged;
	u32 min, max;
};

#define NLA_POLICY_RANGE(t, lo, hi)	{ .type = (t), .ranged = true, .min = (lo), .max = (hi) }
#define NLA_POLICY_MAX(t, hi)		NLA_POLICY_RANGE(t, 0, hi)

struct genl_ops {
	u8 cmd;
	int (*doit)(struct sk_buff *skb, struct genl_info *info);
	const struct nla_policy *policy;
	unsigned int maxattr;
	u8 flags;
};

struct genl_family {
	const char *name;
	unsigned int version;
	bool netnsok, parallel_ops;
	void *module;
	const struct genl_ops *ops;
	unsigned int n_ops;
	unsigned int resv_start_op;
};

struct netlink_notify {
	struct net *net;
	u32 portid;
	int protocol;
};

struct notifier_block {
	int (*notifier_call)(struct notifier_block *nb, unsigned long event, void *data);
};

struct sk_buff *nlmsg_new(size_t payload, gfp_t gfp);
#define genlmsg_new(payload, gfp)	nlmsg_new((payload) + GENL_HDRLEN, gfp)
void nlmsg_free(struct sk_buff *skb);
void *genlmsg_put(struct sk_buff *skb, u32 port, u32 seq, const struct genl_family *family,
		  int flags, u8 cmd);
#define genlmsg_put_reply(skb, info, family, flags, cmd)	\
	genlmsg_put(skb, (info)->snd_portid, 0, family, flags, cmd)
void genlmsg_end(struct sk_buff *skb, void *hdr);
void genlmsg_cancel(struct sk_buff *skb, void *hdr);
int genlmsg_unicast(struct net *net, struct sk_buff *skb, u32 port);
#define genlmsg_reply(skb, info)	genlmsg_unicast((info)->net, skb, (info)->snd_portid)

struct nlattr *nla_reserve(struct sk_buff *skb, int type, int len);
int nla_put(struct sk_buff *skb, int type, int len, const void *value);

static inline int nla_put_u32(struct sk_buff *skb, int type, u32 value)
{
	return nla_put(skb, type, sizeof(value), &value);
}

static inline int nla_put_u64_64bit(struct sk_buff *skb, int type, u64 value, int pad)
{
	return nla_put(skb, type, sizeof(value), &value);
}

static inline void *nla_data(const struct nlattr *attr)
{
	return (char *)attr + NLA_HDRLEN;
}

static inline int nla_len(const struct nlattr *attr)
{
	return attr->nla_len - NLA_HDRLEN;
}

static inline int nla_total_size(int payload)
{
	return NLA_ALIGN(NLA_HDRLEN + payload);
}

/* Alignment may require a padding attribute before it. */
static inline int nla_total_size_64bit(int payload)
{
	return nla_total_size(payload) + nla_total_size(0);
}

u32 nla_get_u32(const struct nlattr *attr);
u64 nla_get_u64(const struct nlattr *attr);

int netlink_register_notifier(struct notifier_block *nb);
int netlink_unregister_notifier(struct notifier_block *nb);
int genl_register_family(struct genl_family *family);
int genl_unregister_family(const struct genl_family *family);

/* Called by the fuzz target */

/* Deliver a message with attributes @attrs, up to DSM_A_MAX. -EAGAIN: no room. */
extern int (*genl_sent)(u32 port, u8 cmd, struct nlattr **attrs);
extern unsigned int genl_full;	/* the message, counted from now, that finds no room; 0: none */

int genl_receive(struct net *net, u32 port, bool admin, u8 cmd, const void *attrs, size_t length);
void genl_socket_closed(struct net *net, u32 port, int protocol);

#endif
