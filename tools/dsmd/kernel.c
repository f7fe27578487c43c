// SPDX-License-Identifier: GPL-2.0
/*
 * dsm.ko, by generic netlink.
 *
 * Downcalls are put in a batch and go with one system call. The module deals
 * with them within it, so that what it has to say to them is in the socket
 * when it returns: sync() takes that in at once, and a frame that came from a
 * peer is answered without waiting in between.
 *
 * Downcalls are not acknowledged, but for a peer's coming up, and but for the question
 * which session there is, which is answered; only errors come back, with the sequence number of what they are about. It says which peer
 * that was, and which connection to it: an error about an earlier one says
 * nothing about the present one.
 *
 * Should the socket's buffer overflow in spite of the credits, or the module
 * go away, the program ends: the next one is told everything again.
 */
#include <endian.h>
#include <errno.h>
#include <linux/genetlink.h>
#include <linux/netlink.h>
#include <poll.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <netlink/attr.h>
#include <netlink/errno.h>
#include <netlink/genl/ctrl.h>
#include <netlink/genl/genl.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>

#include <linux/dsm_netlink.h>
#include <linux/dsm_wire.h>

#include "clock.h"
#include "device.h"
#include "kernel.h"
#include "links.h"
#include "peer.h"
#include "session.h"

#define KERNEL_RCVBUF		(8 << 20)
#define KERNEL_REGISTER_NS	(5 * NSEC_PER_SEC)	/* for a reply */
#define KERNEL_BUSY_NS		(2 * NSEC_PER_SEC)	/* for an earlier helper to be gone */
#define KERNEL_BUSY_POLL_US	20000

/* A peer's id and a session's number share the 32 bits of a sequence number. */
#define SEQ_PEER_BITS		12
static_assert(1 << SEQ_PEER_BITS == DSM_NODES_MAX, "peer ids in sequence numbers");
static_assert(PEER_SESSION_MASK == UINT32_MAX >> SEQ_PEER_BITS, "sessions in sequence numbers");

/* The longest downcall: a whole frame, and some attributes. */
#define KERNEL_DOWNCALL_MAX	(LINKS_FRAME_MAX + 128)

static void kernel_fail(struct kernel *kernel, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static void kernel_fail(struct kernel *kernel, const char *format, ...)
{
	char text[256];
	va_list args;

	if (kernel->failed)
		return;
	kernel->failed = true;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	log_error("%s", text);
	loop_stop(kernel->loop, 1);
}

static uint32_t seq_make(uint32_t peer, uint32_t session)
{
	return session << SEQ_PEER_BITS | peer;
}

static uint32_t seq_peer(uint32_t seq)
{
	return seq & (DSM_NODES_MAX - 1);
}

static uint32_t seq_session(uint32_t seq)
{
	return seq >> SEQ_PEER_BITS;
}

/*
 * Downcalls
 */

static void batch_send(struct kernel *kernel)
{
	struct sockaddr_nl addr = { .nl_family = AF_NETLINK };
	ssize_t n;

	if (!kernel->used || kernel->failed)
		goto out;
	do {
		pulse_away(&kernel->links->pulse);
		n = sendto(kernel->source.fd, kernel->batch, kernel->used, 0,
			   (struct sockaddr *)&addr, sizeof(addr));
		pulse_back(&kernel->links->pulse);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		kernel_fail(kernel, "a message to the module: %m");
out:
	kernel->used = 0;
}

/* Begins a downcall, for attr_put() and downcall_end(). */
static struct nlmsghdr *downcall_begin(struct kernel *kernel, uint8_t cmd, uint32_t seq,
				       uint16_t flags)
{
	struct nlmsghdr *nlh;
	struct genlmsghdr *genl;

	if (kernel->used + KERNEL_DOWNCALL_MAX > KERNEL_BATCH_SIZE)
		batch_send(kernel);
	nlh = (struct nlmsghdr *)(kernel->batch + kernel->used);
	*nlh = (struct nlmsghdr){
		.nlmsg_len = NLMSG_LENGTH(GENL_HDRLEN),
		.nlmsg_type = (uint16_t)kernel->family,
		.nlmsg_flags = NLM_F_REQUEST | flags,
		.nlmsg_seq = seq,
	};
	genl = NLMSG_DATA(nlh);
	*genl = (struct genlmsghdr){ .cmd = cmd, .version = DSM_FAMILY_VERSION };
	return nlh;
}

static void attr_put(struct nlmsghdr *nlh, uint16_t type, const void *value, uint16_t length)
{
	struct nlattr *attr = (struct nlattr *)((char *)nlh + nlh->nlmsg_len);

	attr->nla_type = type;
	attr->nla_len = (uint16_t)(NLA_HDRLEN + length);
	if (length)
		memcpy((char *)attr + NLA_HDRLEN, value, length);
	memset((char *)attr + attr->nla_len, 0, NLA_ALIGN(attr->nla_len) - attr->nla_len);
	nlh->nlmsg_len += NLA_ALIGN(attr->nla_len);
}

static void attr_put_u32(struct nlmsghdr *nlh, uint16_t type, uint32_t value)
{
	attr_put(nlh, type, &value, sizeof(value));
}

static void attr_put_u64(struct nlmsghdr *nlh, uint16_t type, uint64_t value)
{
	attr_put(nlh, type, &value, sizeof(value));
}

static void downcall_end(struct kernel *kernel, const struct nlmsghdr *nlh)
{
	kernel->used += NLMSG_ALIGN(nlh->nlmsg_len);
}

static struct kernel *kernel_of(struct module *module)
{
	return container_of(module, struct kernel, module);
}

static void kernel_receive(struct module *module, uint32_t peer, uint32_t session,
			   const void *frame, uint32_t length, bool in_window)
{
	struct kernel *kernel = kernel_of(module);
	struct nlmsghdr *nlh = downcall_begin(kernel, DSM_CMD_RECEIVE, seq_make(peer, session), 0);

	attr_put_u32(nlh, DSM_A_PEER, peer);
	attr_put(nlh, DSM_A_FRAME, frame, (uint16_t)length);
	if (in_window)
		attr_put(nlh, DSM_A_IN_WINDOW, NULL, 0);
	downcall_end(kernel, nlh);
}

static void kernel_credit(struct module *module, uint32_t peer, uint32_t session,
			  uint32_t credits)
{
	struct kernel *kernel = kernel_of(module);
	struct nlmsghdr *nlh = downcall_begin(kernel, DSM_CMD_CREDIT, seq_make(peer, session), 0);

	attr_put_u32(nlh, DSM_A_PEER, peer);
	attr_put_u32(nlh, DSM_A_CREDITS, credits);
	downcall_end(kernel, nlh);
}

static void kernel_session(struct module *module, uint32_t peer, uint32_t number,
			   uint64_t incarnation)
{
	struct kernel *kernel = kernel_of(module);
	struct nlmsghdr *nlh = downcall_begin(kernel, DSM_CMD_SESSION, seq_make(peer, number), 0);

	attr_put_u32(nlh, DSM_A_PEER, peer);
	attr_put_u64(nlh, DSM_A_INCARNATION, incarnation);
	downcall_end(kernel, nlh);
}

static void kernel_peer_up(struct module *module, uint32_t peer, uint32_t session,
			   uint64_t incarnation, uint64_t agreed)
{
	struct kernel *kernel = kernel_of(module);
	struct nlmsghdr *nlh = downcall_begin(kernel, DSM_CMD_PEER, seq_make(peer, session),
					      NLM_F_ACK);

	attr_put_u32(nlh, DSM_A_PEER, peer);
	attr_put_u32(nlh, DSM_A_PEER_STATE, DSM_PEER_UP);
	attr_put_u64(nlh, DSM_A_INCARNATION, incarnation);
	attr_put_u64(nlh, DSM_A_SESSION, agreed);
	downcall_end(kernel, nlh);
}

static void kernel_peer_down(struct module *module, uint32_t peer, uint32_t session)
{
	struct kernel *kernel = kernel_of(module);
	struct nlmsghdr *nlh = downcall_begin(kernel, DSM_CMD_PEER, seq_make(peer, session), 0);

	attr_put_u32(nlh, DSM_A_PEER, peer);
	attr_put_u32(nlh, DSM_A_PEER_STATE, DSM_PEER_DOWN);
	downcall_end(kernel, nlh);
}

static void kernel_peer_rtt(struct module *module, uint32_t peer, uint32_t session,
			    uint64_t rtt_ns)
{
	struct kernel *kernel = kernel_of(module);
	struct nlmsghdr *nlh = downcall_begin(kernel, DSM_CMD_PEER, seq_make(peer, session), 0);

	attr_put_u32(nlh, DSM_A_PEER, peer);
	attr_put_u64(nlh, DSM_A_RTT_NS, rtt_ns);
	downcall_end(kernel, nlh);
}

/*
 * Upcalls
 */

static struct links_place place_get(struct nlattr **attrs)
{
	return (struct links_place){
		.region = nla_get_u32(attrs[DSM_A_REGION]),
		.length = nla_get_u32(attrs[DSM_A_LENGTH]),
		.offset = nla_get_u64(attrs[DSM_A_OFFSET]),
	};
}

static void register_replied(struct kernel *kernel, struct nlattr **attrs)
{
	kernel->registered = true;
	kernel->incarnation = nla_get_u64(attrs[DSM_A_INCARNATION]);
	kernel->credits = nla_get_u32(attrs[DSM_A_CREDITS]);
}

/* How many messages a frame stands for. */
static uint32_t run_of(struct nlattr *frame)
{
	struct dsm_wire_hdr hdr;

	if (nla_len(frame) < (int)sizeof(hdr))
		return 1;
	memcpy(&hdr, nla_data(frame), sizeof(hdr));
	return le16toh(hdr.more) + 1;
}

/* Each of a run's requests expects its part. */
static void expect_each(struct kernel *kernel, uint32_t req, struct links_place place,
			uint32_t count)
{
	place.length /= count;
	for (uint32_t i = 0; i < count; i++, place.offset += place.length)
		links_expect(kernel->links, req + i, &place);
}

/* With a place and no request: the body. With both: what is expected in return. */
static void send_called(struct kernel *kernel, struct nlattr **attrs)
{
	bool placed = attrs[DSM_A_REGION] && attrs[DSM_A_OFFSET] && attrs[DSM_A_LENGTH];
	struct links_place place;

	if (placed)
		place = place_get(attrs);
	if (placed && attrs[DSM_A_REQ])
		expect_each(kernel, nla_get_u32(attrs[DSM_A_REQ]), place,
			    run_of(attrs[DSM_A_FRAME]));
	links_send(kernel->links, nla_get_u32(attrs[DSM_A_PEER]), nla_data(attrs[DSM_A_FRAME]),
		   (uint32_t)nla_len(attrs[DSM_A_FRAME]),
		   placed && !attrs[DSM_A_REQ] ? &place : NULL);
}

static void expect_called(struct kernel *kernel, struct nlattr **attrs)
{
	struct links_place place = place_get(attrs);

	links_expect(kernel->links, nla_get_u32(attrs[DSM_A_REQ]), &place);
}

static void forget_called(struct kernel *kernel, struct nlattr **attrs)
{
	links_forget(kernel->links, nla_get_u32(attrs[DSM_A_REGION]));
}

static void session_replied(struct kernel *kernel, struct nlattr **attrs)
{
	session_answered(kernel->links, seq_peer(kernel->heard_seq), seq_session(kernel->heard_seq),
			 0, nla_get_u64(attrs[DSM_A_SESSION]), NULL);
}

#define ATTR(name)	(1U << DSM_A_##name)

static const struct kernel_upcall {
	unsigned int attrs;	/* without which it makes no sense */
	void (*handle)(struct kernel *kernel, struct nlattr **attrs);
} kernel_upcalls[DSM_CMD_MAX + 1] = {
	[DSM_CMD_REGISTER] = { ATTR(INCARNATION) | ATTR(CREDITS), register_replied },
	[DSM_CMD_SEND] = { ATTR(PEER) | ATTR(FRAME), send_called },
	[DSM_CMD_EXPECT] = { ATTR(REGION) | ATTR(OFFSET) | ATTR(LENGTH) | ATTR(REQ), expect_called },
	[DSM_CMD_FORGET] = { ATTR(REGION), forget_called },
	[DSM_CMD_SESSION] = { ATTR(PEER) | ATTR(SESSION), session_replied },
};

static struct nla_policy kernel_policy[DSM_A_MAX + 1] = {
	[DSM_A_NODE]		= { .type = NLA_U32 },
	[DSM_A_NODES]		= { .type = NLA_U32 },
	[DSM_A_INCARNATION]	= { .type = NLA_U64 },
	[DSM_A_CREDITS]		= { .type = NLA_U32 },
	[DSM_A_PEER]		= { .type = NLA_U32 },
	[DSM_A_PEER_STATE]	= { .type = NLA_U32 },
	[DSM_A_RTT_NS]		= { .type = NLA_U64 },
	[DSM_A_REGION]		= { .type = NLA_U32 },
	[DSM_A_OFFSET]		= { .type = NLA_U64 },
	[DSM_A_LENGTH]		= { .type = NLA_U32 },
	[DSM_A_REQ]		= { .type = NLA_U32 },
	[DSM_A_SESSION]		= { .type = NLA_U64 },
};

/* Of a message of the family's. False: it makes no sense. */
static bool attrs_parse(struct nlmsghdr *nlh, struct nlattr **attrs)
{
	return nlh->nlmsg_len >= NLMSG_LENGTH(GENL_HDRLEN) &&
	       !nlmsg_parse(nlh, GENL_HDRLEN, attrs, DSM_A_MAX, kernel_policy);
}

static void upcall_heard(struct kernel *kernel, struct nlmsghdr *nlh)
{
	const struct genlmsghdr *genl = NLMSG_DATA(nlh);
	const struct kernel_upcall *upcall;
	struct nlattr *attrs[DSM_A_MAX + 1];

	if (!attrs_parse(nlh, attrs))
		goto bad;
	upcall = &kernel_upcalls[genl->cmd <= DSM_CMD_MAX ? genl->cmd : DSM_CMD_UNSPEC];
	if (!upcall->handle)
		goto bad;
	for (int i = 0; i <= DSM_A_MAX; i++)
		if (upcall->attrs & 1U << i && !attrs[i])
			goto bad;
	kernel->heard_seq = nlh->nlmsg_seq;
	upcall->handle(kernel, attrs);
	return;

bad:
	log_limited(&kernel->limit, LOG_ERR, "a message of the module's that makes no sense");
}

/* What the module has to say about an error, or NULL. */
static const char *error_text(struct nlmsghdr *nlh, const struct nlmsgerr *error)
{
	size_t skip = sizeof(*error);
	struct nlattr *text;

	if (!(nlh->nlmsg_flags & NLM_F_ACK_TLVS))
		return NULL;
	if (!(nlh->nlmsg_flags & NLM_F_CAPPED))
		skip += NLMSG_ALIGN(error->msg.nlmsg_len) - NLMSG_HDRLEN;
	if (nlh->nlmsg_len < NLMSG_HDRLEN + skip)
		return NULL;
	text = nla_find((struct nlattr *)((char *)NLMSG_DATA(nlh) + skip),
			(int)(nlh->nlmsg_len - NLMSG_HDRLEN - skip), NLMSGERR_ATTR_MSG);
	if (!text || !nla_len(text) || ((char *)nla_data(text))[nla_len(text) - 1])
		return NULL;
	return nla_data(text);
}

/* The downcall comes back with the error, and is parsed like any message. */
static void receive_refused(struct kernel *kernel, struct nlmsghdr *downcall, int error,
			    const char *text)
{
	struct nlattr *attrs[DSM_A_MAX + 1];
	struct dsm_wire_hdr frame = { 0 };
	bool in_window = false;

	if (attrs_parse(downcall, attrs) && attrs[DSM_A_FRAME] &&
	    nla_len(attrs[DSM_A_FRAME]) >= (int)sizeof(frame)) {
		memcpy(&frame, nla_data(attrs[DSM_A_FRAME]), sizeof(frame));
		in_window = attrs[DSM_A_IN_WINDOW];
	}
	links_refused(kernel->links, seq_peer(downcall->nlmsg_seq),
		      seq_session(downcall->nlmsg_seq), error, text, &frame, in_window);
}

static void downcall_answered(struct kernel *kernel, struct nlmsghdr *downcall, uint8_t cmd,
			      int error, const char *text)
{
	uint32_t seq = downcall->nlmsg_seq;

	switch (cmd) {
	case DSM_CMD_REGISTER:
		kernel->register_error = error;
		return;
	case DSM_CMD_RECEIVE:
		if (error)
			receive_refused(kernel, downcall, error, text);
		return;
	case DSM_CMD_SESSION:
		if (error)
			session_answered(kernel->links, seq_peer(seq), seq_session(seq), error, 0,
					 text);
		return;
	case DSM_CMD_PEER:
		if (downcall->nlmsg_flags & NLM_F_ACK) {
			links_peer_answered(kernel->links, seq_peer(seq), seq_session(seq), error,
					    text);
			return;
		}
		break;
	}
	if (error)
		log_limited(&kernel->limit, LOG_WARNING, "the module refuses command %u: %s%s%s",
			    cmd, strerror(error), text ? ": " : "", text ? text : "");
}

/*
 * An error says no more about its cause than the header if the message is
 * short; a success never does, and only a peer's coming up asks for one.
 */
static void error_heard(struct kernel *kernel, struct nlmsghdr *nlh)
{
	struct nlmsgerr *error = NLMSG_DATA(nlh);
	uint8_t cmd = DSM_CMD_PEER;

	if (nlh->nlmsg_len < NLMSG_LENGTH(sizeof(*error)) ||
	    error->msg.nlmsg_type != kernel->family)
		return;
	if (error->error == -ENOENT && !kernel->registered) {
		kernel->register_error = ENOENT;
		return;
	}
	if (error->error) {
		if (error->msg.nlmsg_len < NLMSG_LENGTH(GENL_HDRLEN) ||
		    nlh->nlmsg_len < NLMSG_HDRLEN + sizeof(error->error) + error->msg.nlmsg_len)
			return;
		cmd = ((struct genlmsghdr *)NLMSG_DATA(&error->msg))->cmd;
	}
	downcall_answered(kernel, &error->msg, cmd, -error->error, error_text(nlh, error));
}

/* Of the families that come and go, we care for one. */
static void controller_heard(struct kernel *kernel, struct nlmsghdr *nlh)
{
	const struct genlmsghdr *genl = NLMSG_DATA(nlh);
	struct nlattr *attrs[CTRL_ATTR_MAX + 1];

	if (nlh->nlmsg_len < NLMSG_LENGTH(GENL_HDRLEN) || genl->cmd != CTRL_CMD_DELFAMILY ||
	    nlmsg_parse(nlh, GENL_HDRLEN, attrs, CTRL_ATTR_MAX, NULL))
		return;
	if (attrs[CTRL_ATTR_FAMILY_ID] && nla_len(attrs[CTRL_ATTR_FAMILY_ID]) == 2 &&
	    nla_get_u16(attrs[CTRL_ATTR_FAMILY_ID]) == kernel->family)
		kernel_fail(kernel, "the module has been unloaded");
}

static void datagram_heard(struct kernel *kernel, void *data, int length)
{
	struct nlmsghdr *nlh;

	for (nlh = data; nlmsg_ok(nlh, length); nlh = nlmsg_next(nlh, &length)) {
		if (nlh->nlmsg_type == kernel->family)
			upcall_heard(kernel, nlh);
		else if (nlh->nlmsg_type == NLMSG_ERROR)
			error_heard(kernel, nlh);
		else if (nlh->nlmsg_type == GENL_ID_CTRL)
			controller_heard(kernel, nlh);
	}
}

/* Takes in all that is there. */
static void kernel_drain(struct kernel *kernel)
{
	struct sockaddr_nl from[KERNEL_RECV_COUNT];
	int n;

	do {
		for (int i = 0; i < KERNEL_RECV_COUNT; i++) {
			kernel->msgs[i].msg_hdr = (struct msghdr){
				.msg_name = &from[i],
				.msg_namelen = sizeof(from[i]),
				.msg_iov = &kernel->iov[i],
				.msg_iovlen = 1,
			};
		}
		n = recvmmsg(kernel->source.fd, kernel->msgs, KERNEL_RECV_COUNT, MSG_DONTWAIT, NULL);
		if (n < 0 && errno != EAGAIN && errno != EINTR)
			kernel_fail(kernel, "messages of the module's: %m");

		for (int i = 0; i < n; i++) {
			if (kernel->msgs[i].msg_hdr.msg_flags & MSG_TRUNC)
				kernel_fail(kernel, "a message of the module's is too long");
			else if (!from[i].nl_pid)	/* nobody but the kernel */
				datagram_heard(kernel, kernel->recv[i], (int)kernel->msgs[i].msg_len);
		}
	} while (n == KERNEL_RECV_COUNT && !kernel->failed);
}

static bool kernel_sync(struct module *module)
{
	struct kernel *kernel = kernel_of(module);

	if (!kernel->used || kernel->failed)
		return false;
	batch_send(kernel);
	kernel_drain(kernel);
	return true;
}

static const struct module_ops kernel_ops = {
	.receive	= kernel_receive,
	.credit		= kernel_credit,
	.session	= kernel_session,
	.peer_up	= kernel_peer_up,
	.peer_down	= kernel_peer_down,
	.peer_rtt	= kernel_peer_rtt,
	.sync		= kernel_sync,
};

static void kernel_ready(struct loop_source *source, uint32_t events)
{
	struct kernel *kernel = container_of(source, struct kernel, source);

	(void)events;
	kernel_drain(kernel);
	links_sync(kernel->links);
}

static int socket_open(struct kernel *kernel)
{
	int size = KERNEL_RCVBUF;
	int one = 1;
	int err;

	kernel->sock = nl_socket_alloc();
	if (!kernel->sock)
		return -ENOMEM;
	err = genl_connect(kernel->sock);
	if (err) {
		log_error("generic netlink: %s", nl_geterror(err));
		goto err_free;
	}
	kernel->family = genl_ctrl_resolve(kernel->sock, DSM_FAMILY_NAME);
	if (kernel->family < 0) {
		log_error("generic netlink has no family '%s': is the dsm module loaded? (%s)",
			  DSM_FAMILY_NAME, nl_geterror(kernel->family));
		goto err_free;
	}

	kernel->source.fd = nl_socket_get_fd(kernel->sock);
	setsockopt(kernel->source.fd, SOL_NETLINK, NETLINK_EXT_ACK, &one, sizeof(one));
	if (setsockopt(kernel->source.fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)))
		log_warning("a receive buffer of %d bytes for netlink: %m", size);
	err = nl_socket_add_membership(kernel->sock, GENL_ID_CTRL);
	if (err)
		log_debug("generic netlink's notifications: %s", nl_geterror(err));
	return 0;

err_free:
	nl_socket_free(kernel->sock);
	return -ENOTCONN;
}

/* Complaints have been made when this fails. */
int kernel_init(struct kernel *kernel, struct loop *loop, struct links *links)
{
	int err;

	kernel->module.ops = &kernel_ops;
	kernel->loop = loop;
	kernel->links = links;
	kernel->source.ready = kernel_ready;
	for (int i = 0; i < KERNEL_RECV_COUNT; i++) {
		kernel->iov[i].iov_base = kernel->recv[i];
		kernel->iov[i].iov_len = KERNEL_RECV_SIZE;
	}

	err = socket_open(kernel);
	if (err)
		return err;
	err = device_check();
	if (!err)
		err = loop_add(loop, &kernel->source, EPOLLIN);
	if (err)
		nl_socket_free(kernel->sock);
	return err;
}

static void register_try(struct kernel *kernel, uint32_t node, uint32_t nodes)
{
	uint64_t until = clock_now_ns() + KERNEL_REGISTER_NS;
	struct pollfd poll_fd = { .fd = kernel->source.fd, .events = POLLIN };
	struct nlmsghdr *nlh = downcall_begin(kernel, DSM_CMD_REGISTER, 0, 0);

	attr_put_u32(nlh, DSM_A_NODE, node);
	attr_put_u32(nlh, DSM_A_NODES, nodes);
	downcall_end(kernel, nlh);
	kernel->register_error = 0;
	batch_send(kernel);
	while (!kernel->registered && !kernel->register_error && !kernel->failed) {
		if (clock_now_ns() > until) {
			kernel->register_error = ETIMEDOUT;
			return;
		}
		poll(&poll_fd, 1, 100);
		kernel_drain(kernel);
	}
}

/*
 * A helper that was killed a moment ago may still have the module's ear, so
 * EBUSY is not believed at once.
 */
int kernel_register(struct kernel *kernel, uint32_t node, uint32_t nodes)
{
	uint64_t until = clock_now_ns() + KERNEL_BUSY_NS;

	for (;;) {
		register_try(kernel, node, nodes);
		if (kernel->failed)
			return -EIO;
		if (kernel->registered)
			return 0;
		if (kernel->register_error != EBUSY || clock_now_ns() > until)
			break;
		usleep(KERNEL_BUSY_POLL_US);
	}

	switch (kernel->register_error) {
	case EBUSY:
		log_error("another helper is registered with the module");
		break;
	case EPERM:
		log_error("the module wants a helper that has CAP_NET_ADMIN");
		break;
	case EINVAL:
		log_error("the module has been told before that this is another node, or of another number of nodes than node %u of %u",
			  node, nodes);
		break;
	default:
		log_error("registering with the module: %s", strerror(kernel->register_error));
	}
	return -kernel->register_error;
}

/* The socket's end tells the module that we are gone. */
void kernel_exit(struct kernel *kernel)
{
	nl_socket_free(kernel->sock);
}
