// SPDX-License-Identifier: GPL-2.0
/* A single-threaded model of the kernel; see kernel.h. */
#include "kernel/kernel.h"

#include <linux/dsm_netlink.h>

unsigned int kernel_locks_held;
unsigned int kernel_memory_fails;

void *kernel_alloc(size_t size)
{
	return kernel_memory_fails && !--kernel_memory_fails ? NULL : calloc(1, size);
}

struct kmem_cache *kernel_cache_create(size_t size)
{
	struct kmem_cache *cache = malloc(sizeof(*cache));

	FUZZ_CHECK(cache, "out of memory");
	cache->size = size;
	return cache;
}

void kmem_cache_destroy(struct kmem_cache *cache)
{
	free(cache);
}

/*
 * Messages
 */

struct sk_buff *nlmsg_new(size_t payload, gfp_t gfp)
{
	struct sk_buff *skb = kernel_alloc(sizeof(*skb));

	if (!skb)
		return NULL;
	skb->size = NLMSG_HDRLEN + NLMSG_ALIGN((unsigned int)payload);
	skb->data = malloc(skb->size);
	FUZZ_CHECK(skb->data, "out of memory");
	return skb;
}

void nlmsg_free(struct sk_buff *skb)
{
	free(skb->data);
	free(skb);
}

void *genlmsg_put(struct sk_buff *skb, u32 port, u32 seq, const struct genl_family *family,
		  int flags, u8 cmd)
{
	struct nlmsghdr *nlh = (struct nlmsghdr *)(skb->data + skb->len);
	struct genlmsghdr *genl;

	if (skb->size - skb->len < NLMSG_HDRLEN + GENL_HDRLEN)
		return NULL;
	*nlh = (struct nlmsghdr){ .nlmsg_flags = flags, .nlmsg_pid = port, .nlmsg_seq = seq };
	skb->len += NLMSG_HDRLEN + GENL_HDRLEN;
	genl = NLMSG_DATA(nlh);
	*genl = (struct genlmsghdr){ .cmd = cmd, .version = family->version };
	return (char *)genl + GENL_HDRLEN;
}

static struct nlmsghdr *header_of(void *hdr)
{
	return (struct nlmsghdr *)((char *)hdr - GENL_HDRLEN - NLMSG_HDRLEN);
}

void genlmsg_end(struct sk_buff *skb, void *hdr)
{
	struct nlmsghdr *nlh = header_of(hdr);

	nlh->nlmsg_len = (u32)(skb->data + skb->len - (unsigned char *)nlh);
}

void genlmsg_cancel(struct sk_buff *skb, void *hdr)
{
	skb->len = (unsigned int)((unsigned char *)header_of(hdr) - skb->data);
}

struct nlattr *nla_reserve(struct sk_buff *skb, int type, int len)
{
	unsigned int total = NLA_ALIGN(NLA_HDRLEN + (unsigned int)len);
	struct nlattr *attr = (struct nlattr *)(skb->data + skb->len);

	if (skb->size - skb->len < total)
		return NULL;
	memset(attr, 0, total);
	attr->nla_type = (u16)type;
	attr->nla_len = (u16)(NLA_HDRLEN + len);
	skb->len += total;
	return attr;
}

int nla_put(struct sk_buff *skb, int type, int len, const void *value)
{
	struct nlattr *attr = nla_reserve(skb, type, len);

	if (!attr)
		return -EMSGSIZE;
	memcpy(nla_data(attr), value, (size_t)len);
	return 0;
}

u32 nla_get_u32(const struct nlattr *attr)
{
	u32 value;

	memcpy(&value, nla_data(attr), sizeof(value));
	return value;
}

u64 nla_get_u64(const struct nlattr *attr)
{
	u64 value;

	memcpy(&value, nla_data(attr), sizeof(value));
	return value;
}

/*
 * Attributes, validated as strictly as the kernel does for such families: nla_parse() with
 * NL_VALIDATE_STRICT.
 */

static bool attr_valid(const struct nlattr *attr, const struct nla_policy *policy)
{
	int len = nla_len(attr);
	u32 value;

	if (attr->nla_type & ~NLA_TYPE_MASK)
		return false;
	switch (policy->type) {
	case NLA_U32:
		if (len != 4)
			return false;
		value = nla_get_u32(attr);
		return !policy->ranged || (value >= policy->min && value <= policy->max);
	case NLA_U64:
		return len == 8;
	case NLA_BINARY:
		return !policy->len || len <= policy->len;
	case NLA_FLAG:
		return !len;
	default:
		return false;
	}
}

static bool attrs_parse(struct nlattr **attrs, unsigned int max, const struct nla_policy *policy,
			const unsigned char *bytes, size_t length)
{
	while (length >= NLA_HDRLEN) {
		struct nlattr *attr = (struct nlattr *)bytes;
		size_t skip = NLA_ALIGN(attr->nla_len);
		unsigned int type = attr->nla_type & NLA_TYPE_MASK;

		if (attr->nla_len < NLA_HDRLEN || attr->nla_len > length)
			return false;
		if (type > max || (policy && !attr_valid(attr, &policy[type])))
			return false;
		attrs[type] = attr;
		skip = skip < length ? skip : length;
		bytes += skip;
		length -= skip;
	}
	return !length;
}

int (*genl_sent)(u32 port, u8 cmd, struct nlattr **attrs);
unsigned int genl_full;

int genlmsg_unicast(struct net *net, struct sk_buff *skb, u32 port)
{
	unsigned int at = 0;
	int err = genl_full && !--genl_full ? -EAGAIN : 0;

	FUZZ_CHECK(skb->len, "an empty message is sent");
	while (!err && at < skb->len) {
		struct nlmsghdr *nlh = (struct nlmsghdr *)(skb->data + at);
		struct nlattr *attrs[DSM_A_MAX + 1] = { NULL };
		const struct genlmsghdr *genl = NLMSG_DATA(nlh);

		FUZZ_CHECK(nlh->nlmsg_len >= NLMSG_HDRLEN + GENL_HDRLEN &&
			   nlh->nlmsg_len <= skb->len - at, "a message is not finished");
		FUZZ_CHECK(attrs_parse(attrs, DSM_A_MAX, NULL, (unsigned char *)genl + GENL_HDRLEN,
				       nlh->nlmsg_len - NLMSG_HDRLEN - GENL_HDRLEN),
			   "attributes that are none are sent");
		err = genl_sent(port, genl->cmd, attrs);
		at += NLMSG_ALIGN(nlh->nlmsg_len);
	}
	nlmsg_free(skb);
	return err;
}

/* Registered objects */

static struct genl_family *registered;
static struct notifier_block *notifier;

int netlink_register_notifier(struct notifier_block *nb)
{
	notifier = nb;
	return 0;
}

int netlink_unregister_notifier(struct notifier_block *nb)
{
	notifier = NULL;
	return 0;
}

int genl_register_family(struct genl_family *family)
{
	registered = family;
	return 0;
}

int genl_unregister_family(const struct genl_family *family)
{
	registered = NULL;
	return 0;
}

static const struct genl_ops *op_find(u8 cmd)
{
	for (unsigned int i = 0; i < registered->n_ops; i++)
		if (registered->ops[i].cmd == cmd)
			return &registered->ops[i];
	return NULL;
}

/* Receives a message, like genl_rcv_msg(). */
int genl_receive(struct net *net, u32 port, bool admin, u8 cmd, const void *bytes, size_t length)
{
	const struct genl_ops *op = op_find(cmd);
	struct netlink_ext_ack extack = { NULL };
	struct genl_info info = { .net = net, .snd_portid = port, .extack = &extack };
	unsigned char *copy;
	int err;

	if (!op || !op->doit)
		return -EOPNOTSUPP;
	if (op->flags & GENL_UNS_ADMIN_PERM && !admin)
		return -EPERM;
	/* Both have the same length as in the kernel. */
	info.attrs = calloc(op->maxattr + 1, sizeof(*info.attrs));
	copy = malloc(length ? length : 1);
	FUZZ_CHECK(info.attrs && copy, "out of memory");
	if (length)
		memcpy(copy, bytes, length);
	err = attrs_parse(info.attrs, op->maxattr, op->policy, copy, length) ?
	      op->doit(NULL, &info) : -EINVAL;
	free(info.attrs);
	free(copy);
	return err;
}

void genl_socket_closed(struct net *net, u32 port, int protocol)
{
	struct netlink_notify notify = { .net = net, .portid = port, .protocol = protocol };

	notifier->notifier_call(notifier, NETLINK_URELEASE, &notify);
}
