// SPDX-License-Identifier: GPL-2.0
/*
 * The generic netlink family: towards the helper.
 *
 * uapi/dsm.yaml describes it. The helper needs CAP_NET_ADMIN, but is not trusted:
 * what it says is checked here, and the frames that it brings by dsm_msg_decode()
 * and the receivers.
 *
 * The helper is the socket that registered. When that socket is closed, every
 * peer is down until another registers. Windows are given to the process that
 * registered it, and not to others that have the socket.
 */
#include <linux/netlink.h>
#include <linux/notifier.h>
#include <linux/dsm_netlink.h>
#include <net/genetlink.h>
#include "link.h"
#include "msg.h"
#include "netlink.h"
#include "node.h"
#include "peer.h"
#include "trace.h"

static struct genl_family family;

/* The longest SEND, without its frame. */
#define SEND_SIZE	(GENL_HDRLEN + 4 * nla_total_size(sizeof(u32)) +	\
			 nla_total_size_64bit(sizeof(u64)))

static struct sk_buff *buffer_new(const struct dsm_msg *msg)
{
	size_t size = NLMSG_DEFAULT_SIZE;

	if (msg)
		size = SEND_SIZE + nla_total_size(dsm_msg_encode_len(msg));
	return nlmsg_new(size, GFP_ATOMIC);
}

static void buffer_free(struct sk_buff *skb)
{
	nlmsg_free(skb);
}

static int buffer_send(struct dsm_node *node, struct sk_buff *skb)
{
	u32 port = READ_ONCE(node->helper);
	u32 len = skb->len;
	int err;

	if (!port) {
		nlmsg_free(skb);
		return -ENOTCONN;
	}
	err = genlmsg_unicast(node->net, skb, port);
	trace_dsm_upcall(node->id, len, err);
	return err;
}

static int put_place(struct sk_buff *skb, u32 region, u64 offset, u32 length)
{
	return nla_put_u32(skb, DSM_A_REGION, region) ?:
	       nla_put_u64_64bit(skb, DSM_A_OFFSET, offset, DSM_A_PAD) ?:
	       nla_put_u32(skb, DSM_A_LENGTH, length);
}

static int buffer_put(struct sk_buff *skb, struct dsm_node *node, u16 peer,
		      const struct dsm_msg *msg, u64 ack)
{
	struct nlattr *frame;
	u32 n = msg->more + 1;
	void *hdr;

	hdr = genlmsg_put(skb, 0, 0, &family, 0, DSM_CMD_SEND);
	if (!hdr)
		return -EMSGSIZE;
	if (nla_put_u32(skb, DSM_A_PEER, peer))
		goto cancel;
	frame = nla_reserve(skb, DSM_A_FRAME, dsm_msg_encode_len(msg));
	if (!frame)
		goto cancel;
	dsm_msg_encode(msg, node->id, node->view, ack, nla_data(frame));
	if (msg->data_len && put_place(skb, msg->region, msg->offset, msg->data_len * n))
		goto cancel;
	if (msg->expect_len && (put_place(skb, msg->region, msg->offset, msg->expect_len * n) ||
				nla_put_u32(skb, DSM_A_REQ, msg->req)))
		goto cancel;
	genlmsg_end(skb, hdr);
	return 0;

cancel:
	genlmsg_cancel(skb, hdr);
	return -EMSGSIZE;
}

/* Tell a new helper of a request that was made before it came. */
static int send_expect(struct dsm_node *node, u32 region, u64 offset, u32 length, u32 req)
{
	struct sk_buff *skb = nlmsg_new(NLMSG_DEFAULT_SIZE, GFP_KERNEL);
	void *hdr;

	if (!skb)
		return -ENOMEM;
	hdr = genlmsg_put(skb, 0, 0, &family, 0, DSM_CMD_EXPECT);
	if (!hdr || put_place(skb, region, offset, length) ||
	    nla_put_u32(skb, DSM_A_REQ, req)) {
		nlmsg_free(skb);
		return -EMSGSIZE;
	}
	genlmsg_end(skb, hdr);
	return buffer_send(node, skb);
}

/* A helper that does not hear this keeps a window too long, no more. */
static void send_forget(struct dsm_node *node, u32 region)
{
	struct sk_buff *skb = nlmsg_new(NLMSG_DEFAULT_SIZE, GFP_KERNEL);
	void *hdr;

	if (!skb)
		return;
	hdr = genlmsg_put(skb, 0, 0, &family, 0, DSM_CMD_FORGET);
	if (!hdr || nla_put_u32(skb, DSM_A_REGION, region)) {
		nlmsg_free(skb);
		return;
	}
	genlmsg_end(skb, hdr);
	buffer_send(node, skb);
}

const struct dsm_carrier dsm_netlink_carrier = {
	.new	= buffer_new,
	.put	= buffer_put,
	.free	= buffer_free,
	.send	= buffer_send,
	.expect	= send_expect,
	.forget	= send_forget,
};

/* ------------------------------------------------------------------------
 * What the helper says
 */

static int reply_register(struct dsm_node *node, struct genl_info *info)
{
	struct sk_buff *skb = genlmsg_new(GENLMSG_DEFAULT_SIZE, GFP_KERNEL);
	void *hdr;

	if (!skb)
		return -ENOMEM;
	hdr = genlmsg_put_reply(skb, info, &family, 0, DSM_CMD_REGISTER);
	if (!hdr || nla_put_u32(skb, DSM_A_NODE, node->id) ||
	    nla_put_u32(skb, DSM_A_NODES, node->nodes) ||
	    nla_put_u64_64bit(skb, DSM_A_INCARNATION, node->incarnation, DSM_A_PAD) ||
	    nla_put_u32(skb, DSM_A_CREDITS, DSM_PEER_CREDITS)) {
		nlmsg_free(skb);
		return -EMSGSIZE;
	}
	genlmsg_end(skb, hdr);
	return genlmsg_reply(skb, info);
}

static int do_register(struct sk_buff *skb, struct genl_info *info)
{
	struct dsm_node *node = dsm_node_of(genl_info_net(info));
	int err;

	if (GENL_REQ_ATTR_CHECK(info, DSM_A_NODE) || GENL_REQ_ATTR_CHECK(info, DSM_A_NODES))
		return -EINVAL;

	mutex_lock(&node->helper_lock);
	if (node->helper && node->helper != info->snd_portid) {
		NL_SET_ERR_MSG(info->extack, "another helper is registered");
		err = -EBUSY;
		goto unlock;
	}
	err = node->link->configure(node, nla_get_u32(info->attrs[DSM_A_NODE]),
				    nla_get_u32(info->attrs[DSM_A_NODES]));
	if (err == -EPERM)
		NL_SET_ERR_MSG(info->extack, "no node may be in a network namespace that a user namespace owns: make it as root, or set the parameter dsm.userns_nodes");
	else if (err == -EINVAL)
		NL_SET_ERR_MSG(info->extack, "not the node id or the number of nodes it has");
	if (err)
		goto unlock;
	err = reply_register(node, info);
	if (err)
		goto unlock;
	dsm_node_set_helper(node, info->snd_portid);
	node->link->registered(node);
unlock:
	mutex_unlock(&node->helper_lock);
	return err;
}

/* The helper's own commands: it must be the helper, and name a peer. */
static struct dsm_peer *peer_of(struct genl_info *info, u8 cmd)
{
	struct dsm_node *node = dsm_node_of(genl_info_net(info));
	u32 id;

	if (GENL_REQ_ATTR_CHECK(info, DSM_A_PEER))
		return ERR_PTR(-EINVAL);
	if (READ_ONCE(node->helper) != info->snd_portid) {
		NL_SET_ERR_MSG(info->extack, "not the registered helper");
		return ERR_PTR(-EPERM);
	}
	id = nla_get_u32(info->attrs[DSM_A_PEER]);
	if (id >= node->nodes || id == node->id) {
		NL_SET_ERR_MSG_ATTR(info->extack, info->attrs[DSM_A_PEER], "no such peer");
		return ERR_PTR(-EINVAL);
	}
	trace_dsm_downcall(node->id, id, cmd);
	return node->peers[id];
}

static int do_receive(struct sk_buff *skb, struct genl_info *info)
{
	struct dsm_peer *peer = peer_of(info, DSM_CMD_RECEIVE);
	struct nlattr *frame = info->attrs[DSM_A_FRAME];

	if (IS_ERR(peer))
		return PTR_ERR(peer);
	if (GENL_REQ_ATTR_CHECK(info, DSM_A_FRAME))
		return -EINVAL;
	return dsm_peer_receive(peer, nla_data(frame), nla_len(frame),
				info->attrs[DSM_A_IN_WINDOW]);
}

static int do_credit(struct sk_buff *skb, struct genl_info *info)
{
	struct dsm_peer *peer = peer_of(info, DSM_CMD_CREDIT);

	if (IS_ERR(peer))
		return PTR_ERR(peer);
	if (GENL_REQ_ATTR_CHECK(info, DSM_A_CREDITS))
		return -EINVAL;
	dsm_peer_credit(peer, nla_get_u32(info->attrs[DSM_A_CREDITS]));
	return 0;
}

static int do_peer(struct sk_buff *skb, struct genl_info *info)
{
	struct dsm_peer *peer = peer_of(info, DSM_CMD_PEER);

	if (IS_ERR(peer))
		return PTR_ERR(peer);
	if (info->attrs[DSM_A_RTT_NS])
		WRITE_ONCE(peer->rtt_ns, nla_get_u64(info->attrs[DSM_A_RTT_NS]));
	if (!info->attrs[DSM_A_PEER_STATE])
		return 0;
	if (nla_get_u32(info->attrs[DSM_A_PEER_STATE]) == DSM_PEER_DOWN) {
		dsm_peer_down(peer);
		return 0;
	}
	if (GENL_REQ_ATTR_CHECK(info, DSM_A_INCARNATION) ||
	    GENL_REQ_ATTR_CHECK(info, DSM_A_SESSION) ||
	    !nla_get_u64(info->attrs[DSM_A_SESSION]))
		return -EINVAL;
	return dsm_peer_up(peer, nla_get_u64(info->attrs[DSM_A_INCARNATION]),
			   nla_get_u64(info->attrs[DSM_A_SESSION]));
}

static int do_session(struct sk_buff *skb, struct genl_info *info)
{
	struct dsm_peer *peer = peer_of(info, DSM_CMD_SESSION);
	struct sk_buff *reply;
	u64 session;
	void *hdr;
	int err;

	if (IS_ERR(peer))
		return PTR_ERR(peer);
	if (GENL_REQ_ATTR_CHECK(info, DSM_A_INCARNATION))
		return -EINVAL;
	err = dsm_peer_session(peer, nla_get_u64(info->attrs[DSM_A_INCARNATION]), &session);
	if (err)
		return err;
	reply = genlmsg_new(GENLMSG_DEFAULT_SIZE, GFP_KERNEL);
	if (!reply)
		return -ENOMEM;
	hdr = genlmsg_put_reply(reply, info, &family, 0, DSM_CMD_SESSION);
	if (!hdr || nla_put_u32(reply, DSM_A_PEER, peer->id) ||
	    nla_put_u64_64bit(reply, DSM_A_SESSION, session, DSM_A_PAD)) {
		nlmsg_free(reply);
		return -EMSGSIZE;
	}
	genlmsg_end(reply, hdr);
	return genlmsg_reply(reply, info);
}

static const struct nla_policy register_policy[] = {
	[DSM_A_NODE]		= NLA_POLICY_MAX(NLA_U32, DSM_NODES_MAX - 1),
	[DSM_A_NODES]		= NLA_POLICY_RANGE(NLA_U32, 1, DSM_NODES_MAX),
};

static const struct nla_policy receive_policy[] = {
	[DSM_A_PEER]		= { .type = NLA_U32 },
	[DSM_A_FRAME]		= { .type = NLA_BINARY, .len = 1024 },
	[DSM_A_IN_WINDOW]	= { .type = NLA_FLAG },
};

static const struct nla_policy credit_policy[] = {
	[DSM_A_CREDITS]		= { .type = NLA_U32 },
	[DSM_A_PEER]		= { .type = NLA_U32 },
};

static const struct nla_policy peer_policy[] = {
	[DSM_A_INCARNATION]	= { .type = NLA_U64 },
	[DSM_A_PEER]		= { .type = NLA_U32 },
	[DSM_A_PEER_STATE]	= NLA_POLICY_MAX(NLA_U32, DSM_PEER_UP),
	[DSM_A_RTT_NS]		= { .type = NLA_U64 },
	[DSM_A_SESSION]		= { .type = NLA_U64 },
};

static const struct nla_policy session_policy[] = {
	[DSM_A_INCARNATION]	= { .type = NLA_U64 },
	[DSM_A_PEER]		= { .type = NLA_U32 },
};

#define OP(command, handler, attrs)			\
	{						\
		.cmd = command,				\
		.doit = handler,			\
		.policy = attrs,			\
		.maxattr = ARRAY_SIZE(attrs) - 1,	\
		.flags = GENL_UNS_ADMIN_PERM,		\
	}

static const struct genl_ops ops[] = {
	OP(DSM_CMD_REGISTER, do_register, register_policy),
	OP(DSM_CMD_RECEIVE, do_receive, receive_policy),
	OP(DSM_CMD_CREDIT, do_credit, credit_policy),
	OP(DSM_CMD_PEER, do_peer, peer_policy),
	OP(DSM_CMD_SESSION, do_session, session_policy),
};

static struct genl_family family __ro_after_init = {
	.name		= DSM_FAMILY_NAME,
	.version	= DSM_FAMILY_VERSION,
	.netnsok	= true,
	.parallel_ops	= true,
	.module		= THIS_MODULE,
	.ops		= ops,
	.n_ops		= ARRAY_SIZE(ops),
	.resv_start_op	= __DSM_CMD_MAX,
};

/* A socket was closed: the helper's? */
static int socket_closed(struct notifier_block *nb, unsigned long event, void *data)
{
	struct netlink_notify *notify = data;
	struct dsm_node *node;

	if (event != NETLINK_URELEASE || notify->protocol != NETLINK_GENERIC)
		return NOTIFY_DONE;
	node = dsm_node_of(notify->net);
	if (!node || !notify->portid || READ_ONCE(node->helper) != notify->portid)
		return NOTIFY_DONE;
	mutex_lock(&node->helper_lock);
	if (node->helper == notify->portid) {
		dsm_node_set_helper(node, 0);
		dsm_peers_down(node);
	}
	mutex_unlock(&node->helper_lock);
	return NOTIFY_DONE;
}

static struct notifier_block socket_notifier = {
	.notifier_call = socket_closed,
};

int dsm_netlink_init(void)
{
	int err = netlink_register_notifier(&socket_notifier);

	if (err)
		return err;
	err = genl_register_family(&family);
	if (err)
		netlink_unregister_notifier(&socket_notifier);
	return err;
}

void dsm_netlink_exit(void)
{
	genl_unregister_family(&family);
	netlink_unregister_notifier(&socket_notifier);
}
