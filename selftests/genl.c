// SPDX-License-Identifier: GPL-2.0
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/dsm_netlink.h>

#include "genl.h"
#include "test.h"

static char sentence[256];

void genl_begin(struct genl_message *m, int type, int cmd)
{
	memset(m, 0, sizeof(m->nl) + sizeof(m->genl));
	m->nl.nlmsg_len = NLMSG_HDRLEN + GENL_HDRLEN;
	m->nl.nlmsg_type = type;
	m->nl.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
	m->genl.cmd = cmd;
	m->genl.version = 1;
}

void genl_put(struct genl_message *m, int type, const void *data, size_t len)
{
	struct nlattr *attr = (struct nlattr *)((char *)m + m->nl.nlmsg_len);

	attr->nla_type = type;
	attr->nla_len = NLA_HDRLEN + len;
	memcpy((char *)attr + NLA_HDRLEN, data, len);
	memset((char *)attr + attr->nla_len, 0, NLA_ALIGN(attr->nla_len) - attr->nla_len);
	m->nl.nlmsg_len += NLA_ALIGN(attr->nla_len);
}

void genl_put_u32(struct genl_message *m, int type, uint32_t value)
{
	genl_put(m, type, &value, sizeof(value));
}

void genl_put_u64(struct genl_message *m, int type, uint64_t value)
{
	genl_put(m, type, &value, sizeof(value));
}

int genl_open(void)
{
	struct sockaddr_nl address = { .nl_family = AF_NETLINK };
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_GENERIC);
	int on = 1;

	ASSERT_OK(fd);
	ASSERT_OK(bind(fd, (struct sockaddr *)&address, sizeof(address)));
	ASSERT_OK(setsockopt(fd, SOL_NETLINK, NETLINK_EXT_ACK, &on, sizeof(on)));
	return fd;
}

static void sentence_find(const struct nlmsghdr *nl)
{
	const struct nlmsgerr *error = NLMSG_DATA(nl);
	size_t at = NLMSG_HDRLEN + sizeof(*error);

	sentence[0] = '\0';
	/* The kernel returns the request with an error code. */
	if (!(nl->nlmsg_flags & NLM_F_CAPPED))
		at += NLMSG_ALIGN(error->msg.nlmsg_len) - sizeof(error->msg);
	while (nl->nlmsg_flags & NLM_F_ACK_TLVS && at + NLA_HDRLEN <= nl->nlmsg_len) {
		const struct nlattr *attr = (const struct nlattr *)((const char *)nl + at);

		if (attr->nla_len < NLA_HDRLEN)
			return;
		if (attr->nla_type == NLMSGERR_ATTR_MSG)
			snprintf(sentence, sizeof(sentence), "%.*s", attr->nla_len - NLA_HDRLEN,
				 (const char *)attr + NLA_HDRLEN);
		at += NLA_ALIGN(attr->nla_len);
	}
}

int genl_say(int fd, struct genl_message *m)
{
	static uint32_t sequence;
	char reply[65536];
	ssize_t n;

	m->nl.nlmsg_seq = ++sequence;
	ASSERT_EQ(send(fd, m, m->nl.nlmsg_len, 0), m->nl.nlmsg_len);
	for (;;) {
		struct nlmsghdr *nl = (struct nlmsghdr *)reply;

		/* The socket also receives what the module wants a helper to send. */
		n = recv(fd, reply, sizeof(reply), 0);
		ASSERT_GE(n, (ssize_t)sizeof(*nl));
		for (; NLMSG_OK(nl, n); nl = NLMSG_NEXT(nl, n)) {
			if (nl->nlmsg_type != NLMSG_ERROR || nl->nlmsg_seq != sequence)
				continue;
			sentence_find(nl);
			return -((struct nlmsgerr *)NLMSG_DATA(nl))->error;
		}
	}
}

const char *genl_sentence(void)
{
	return sentence;
}

int genl_family(int fd)
{
	struct genl_message m;
	char reply[8192];
	struct nlmsghdr *nl = (struct nlmsghdr *)reply;
	struct nlattr *attr;
	ssize_t n;

	genl_begin(&m, GENL_ID_CTRL, CTRL_CMD_GETFAMILY);
	m.nl.nlmsg_flags = NLM_F_REQUEST;
	genl_put(&m, CTRL_ATTR_FAMILY_NAME, DSM_FAMILY_NAME, sizeof(DSM_FAMILY_NAME));
	ASSERT_EQ(send(fd, &m, m.nl.nlmsg_len, 0), m.nl.nlmsg_len);
	n = recv(fd, reply, sizeof(reply), 0);
	ASSERT_GT(n, NLMSG_HDRLEN + GENL_HDRLEN);
	ASSERT_EQ(nl->nlmsg_type, GENL_ID_CTRL);
	attr = (struct nlattr *)(reply + NLMSG_HDRLEN + GENL_HDRLEN);
	while ((char *)attr < reply + n) {
		if (attr->nla_type == CTRL_ATTR_FAMILY_ID)
			return *(uint16_t *)((char *)attr + NLA_HDRLEN);
		attr = (struct nlattr *)((char *)attr + NLA_ALIGN(attr->nla_len));
	}
	ASSERT_TRUE(!"a family id");
	return 0;
}

int genl_replace_helper(void)
{
	struct genl_message m;
	int fd;

	ASSERT_EQ(run("dsmd-ctl", "kill", NULL), 0);
	fd = genl_open();
	genl_begin(&m, genl_family(fd), DSM_CMD_REGISTER);
	genl_put_u32(&m, DSM_A_NODE, node());
	genl_put_u32(&m, DSM_A_NODES, nodes());
	ASSERT_EQ(genl_say(fd, &m), 0);
	return fd;
}

void genl_restore_helper(int fd)
{
	close(fd);
	ASSERT_EQ(run("dsmd-ctl", "start", NULL), 0);
	ASSERT_TRUE(WAIT_FOR(node_get("up") == nodes(), 60));
}
