// SPDX-License-Identifier: GPL-2.0
/*
 * The module's netlink family and the peers behind it: module/netlink.c, peer.c, batch.c and
 * msg.c as they are, on a single-threaded model of the kernel (kernel/). An input is a list of
 * events: a sender, mostly the helper, sends a command in which any byte may be wrong; the
 * module sends a message to a peer; memory runs out; the helper's socket is full or closed.
 *
 * A small model knows what must follow:
 *
 * - A peer's message is delivered once, in order, with the contents of its frame, and only
 *   while the peer is up. A refused message has no effect, and neither have those behind it in
 *   its frame. If it can be repeated, the module asks for it, and drops what follows until it
 *   has come.
 * - Messages to a peer are sent in order and numbered without a gap. After the peer comes up
 *   or asks, they start again from the first one that is not acknowledged. They are unchanged
 *   unless their region is gone, and acknowledge what was delivered. Messages share a frame
 *   only when they are sent for the first time.
 * - The helper never gets more than its credits.
 * - The module listens and talks only to the helper. A sender that is told that it is the
 *   helper is the helper.
 */
#include "kernel/kernel.h"

#include <linux/dsm_netlink.h>

#include "link.h"
#include "msg.h"
#include "netlink.h"
#include "node.h"
#include "peer.h"
#include "region.h"

enum {
	SELF		= 0,
	NODES		= 3,
	VIEW		= 1,
	PORTS		= 4,	/* possible senders */
	SAID_MAX	= 512,
	OPS_MAX		= 300,
	REGIONS		= 3,
};

/* A message that was queued for a peer. */
struct said {
	u8 type;
	u32 region;
	u32 place;	/* bytes in the window, sent or expected */
};

/**
 * struct model - a peer, as it should be
 * @link: enum dsm_peer_link
 * @incarnation: of its module
 * @session: the numbers of messages count within it
 * @confirmed: the peer has sent something in this session
 * @delivered: how many of its messages were accepted
 * @gap: a message was refused, and has not come again
 * @said: messages to it, by number - 1
 * @said_count: how many
 * @acked: how many of them it has acknowledged
 * @sent: the greatest number that the helper ever got
 * @next: the number to be sent next
 * @credits: the helper's remaining credits
 */
struct model {
	u8 link;
	u64 incarnation;
	u64 session;
	bool confirmed;
	u64 delivered;
	bool gap;
	struct said said[SAID_MAX];
	u64 said_count;
	u64 acked;
	u64 sent;
	u64 next;
	u32 credits;
};

static struct world {
	struct net net;
	struct dsm_node node;
	unsigned long dirty;
	u32 helper;
	bool replied;
	u32 expected;		/* EXPECTs that the helper got */

	int receive_error;
	unsigned int receive_good;	/* messages of the frame that are accepted before that */
	bool receiving;		/* a frame, which is @frame */
	u16 from;
	struct dsm_wire_hdr frame;
	unsigned int received;
	struct dsm_region region[REGIONS];
} w;

static struct model model[NODES];

/* Stand-ins for the rest of the module */

struct dsm_node *dsm_node_of(struct net *net)
{
	return &w.node;
}

/* No page of this module has a memory error. */
static bool unreadable(struct dsm_node *node, u32 id, u64 index)
{
	return false;
}

void dsm_node_set_helper(struct dsm_node *node, u32 port)
{
	node->helper = port;
}

static int configure(struct dsm_node *node, u32 id, u32 nodes)
{
	FUZZ_CHECK(node->helper_lock.lock.held, "two threads report our identity at a time");
	FUZZ_CHECK(id < DSM_NODES_MAX && nodes && nodes <= DSM_NODES_MAX, "limits");
	if (node->configured)
		return node->id == id && node->nodes == nodes ? 0 : -EINVAL;
	if (id != SELF || nodes != NODES)
		return -EINVAL;
	node->id = id;
	node->nodes = nodes;
	for (u16 i = 1; i < NODES; i++) {
		node->peers[i] = node->peers[i] ?: dsm_peer_create(node, i);
		if (!node->peers[i])
			return -ENOMEM;
	}
	node->configured = true;
	return 0;
}

static void registered(struct dsm_node *node)
{
	int err = 0;

	for (int i = 0; !err && i < atomic_read(&node->n_regions); i++)
		err = node->carrier->expect(node, w.region[i].id, 4096, 4096, 1);
}

static void stale(struct dsm_node *node, u16 peer)
{
	FUZZ_CHECK(peer && peer < NODES, "a peer that is none");
}

static void begun(struct dsm_node *node, u16 peer, bool other, u64 incarnation)
{
	FUZZ_CHECK(peer && peer < NODES, "a peer that is none");
	FUZZ_CHECK(node->regions_lock.lock.held, "without the regions' lock");
}

static void down(struct dsm_node *node, u16 peer)
{
	FUZZ_CHECK(peer && peer < NODES, "a peer that is none");
}

static int ask(struct dsm_node *node, u32 region)
{
	FUZZ_CHECK(false, "nothing is parked");
	return 0;
}

void dsm_wakes_run(struct dsm_wakes *wakes)
{
	for (size_t i = 0; i < sizeof(wakes->queues) / sizeof(wakes->queues[0]); i++)
		FUZZ_CHECK(!wakes->queues[i], "a wake-up of a wait queue");
}

static int receive(struct dsm_node *node, struct dsm_msg *msg, bool in_window,
		   struct dsm_batch *batch)
{
	const struct dsm_wire_hdr *hdr = &w.frame;
	struct model *m = &model[w.from];
	/* The index of the block in the frame. */
	u64 nth = msg->seq - le64_to_cpu(hdr->seq), n = le16_to_cpu(hdr->more) + 1ULL;

	FUZZ_CHECK(w.receiving, "a message that was not sent");
	FUZZ_CHECK(m->link == DSM_LINK_UP, "from a peer that is not up");
	FUZZ_CHECK(msg->seq == m->delivered + 1 && nth < n,
		   "number %llu after %llu", (unsigned long long)msg->seq,
		   (unsigned long long)m->delivered);
	FUZZ_CHECK(msg->from == w.from && le16_to_cpu(hdr->src) == w.from &&
		   le32_to_cpu(hdr->view) == VIEW, "another's");
	FUZZ_CHECK(msg->type == hdr->type && msg->flags == hdr->flags &&
		   msg->req == (u32)(le32_to_cpu(hdr->req) + nth) &&
		   msg->node == le16_to_cpu(hdr->node) &&
		   msg->acks == le16_to_cpu(hdr->acks) &&
		   msg->region == le32_to_cpu(hdr->region) &&
		   msg->block == le64_to_cpu(hdr->block) + nth &&
		   msg->error == le32_to_cpu(hdr->error) &&
		   msg->data_len * n + msg->body_len == le32_to_cpu(hdr->len), "not what it says");
	FUZZ_CHECK(msg->body_len <= sizeof(msg->body) && msg->data_len <= DSM_WIRE_BODY_MAX &&
		   dsm_msg_name(msg->type)[0] != '?', "out of range");
	w.received++;
	if (w.receive_error && nth >= w.receive_good) {
		m->gap |= w.receive_error == -EAGAIN || w.receive_error == -ENOMEM;
		return w.receive_error;
	}
	m->gap = false;
	m->delivered++;
	return 0;
}

static const struct dsm_link_ops link_ops = {
	.receive	= receive,
	.configure	= configure,
	.registered	= registered,
	.begun		= begun,
	.down		= down,
	.stale		= stale,
	.ask		= ask,
	.unreadable	= unreadable,
};

/* Messages of the module */

static void sent_check(struct nlattr **attrs)
{
	u32 peer = nla_get_u32(attrs[DSM_A_PEER]);
	struct model *m = &model[peer];
	struct dsm_wire_hdr hdr;
	const struct said *said;
	u64 seq, i, n;

	FUZZ_CHECK(peer && peer < NODES && m->link == DSM_LINK_UP, "peer %u is not up", peer);
	FUZZ_CHECK(m->credits, "the helper has no credits for peer %u", peer);
	m->credits--;
	memcpy(&hdr, nla_data(attrs[DSM_A_FRAME]), sizeof(hdr));
	seq = le64_to_cpu(hdr.seq);
	FUZZ_CHECK(le16_to_cpu(hdr.src) == SELF && le32_to_cpu(hdr.view) == VIEW &&
		   le64_to_cpu(hdr.ack) == m->delivered, "ack %llu of %llu",
		   (unsigned long long)le64_to_cpu(hdr.ack), (unsigned long long)m->delivered);
	if (hdr.type == DSM_ACK) {
		FUZZ_CHECK(!seq, "an ack that is numbered");
		FUZZ_CHECK(!hdr.flags || m->gap, "it asks for messages that it has");
		return;
	}
	FUZZ_TRACE("  to %u: seq %llu type %u", peer, (unsigned long long)seq, hdr.type);
	FUZZ_CHECK(seq == m->next && seq <= m->said_count, "number %llu, not %llu of %llu",
		   (unsigned long long)seq, (unsigned long long)m->next,
		   (unsigned long long)m->said_count);
	said = &m->said[seq - 1];
	n = le16_to_cpu(hdr.more) + 1ULL;
	FUZZ_CHECK(n <= DSM_WIRE_RUN_MAX && n <= m->said_count - seq + 1,
		   "a run of messages that were not queued");
	FUZZ_CHECK(n == 1 || seq > m->sent,
		   "messages that were sent before are sent again in a run");
	for (i = 0; i < n; i++)
		FUZZ_CHECK(hdr.type == said[i].type && said[i].region == said->region &&
			   said[i].place == said->place && le64_to_cpu(hdr.block) == seq,
			   "another message");
	FUZZ_CHECK(!attrs[DSM_A_LENGTH] == !said->place &&
		   (!said->place || (nla_get_u32(attrs[DSM_A_LENGTH]) == said->place * n &&
				     nla_get_u32(attrs[DSM_A_REGION]) == said->region &&
				     !attrs[DSM_A_REQ] == (said->type == DSM_DATA))),
		   "another place");
	m->next += n;
	if (m->sent < seq + n - 1)
		m->sent = seq + n - 1;
}

static int sent(u32 port, u8 cmd, struct nlattr **attrs)
{
	switch (cmd) {
	case DSM_CMD_REGISTER:
		FUZZ_CHECK(nla_get_u32(attrs[DSM_A_CREDITS]) == DSM_PEER_CREDITS &&
			   nla_get_u32(attrs[DSM_A_NODE]) == SELF, "a wrong reply");
		w.replied = true;
		return 0;
	case DSM_CMD_SEND:
		FUZZ_CHECK(port == w.helper, "a message to %u, which is not the helper", port);
		sent_check(attrs);
		return 0;
	case DSM_CMD_EXPECT:
		w.expected++;
		return 0;
	case DSM_CMD_SESSION:
		w.replied = true;
		return 0;
	default:
		FUZZ_CHECK(cmd == DSM_CMD_FORGET, "command %u", cmd);
		return 0;
	}
}

/* Commands of the helper */

/* A message that is being built. */
struct call {
	u8 cmd;
	size_t length;
	unsigned char bytes[2048];
};

static void call_put(struct call *call, u16 type, const void *value, u16 length)
{
	struct nlattr attr = { .nla_type = type, .nla_len = (u16)(NLA_HDRLEN + length) };

	if (call->length + NLA_ALIGN(attr.nla_len) > sizeof(call->bytes))
		return;
	memset(call->bytes + call->length, 0, NLA_ALIGN(attr.nla_len));
	memcpy(call->bytes + call->length, &attr, sizeof(attr));
	if (length)
		memcpy(call->bytes + call->length + NLA_HDRLEN, value, length);
	call->length += NLA_ALIGN(attr.nla_len);
}

static void call_put_u32(struct call *call, u16 type, u32 value)
{
	call_put(call, type, &value, sizeof(value));
}

static void call_put_u64(struct call *call, u16 type, u64 value)
{
	call_put(call, type, &value, sizeof(value));
}

/* The effect of a frame, if the module accepts it, is known beforehand. */
static void frame_seen(const struct call *call)
{
	const struct nlattr *peer = NULL, *frame = NULL;

	w.receiving = false;
	for (size_t at = 0; at + NLA_HDRLEN <= call->length;) {
		const struct nlattr *attr = (const struct nlattr *)(call->bytes + at);

		if (attr->nla_len < NLA_HDRLEN || attr->nla_len > call->length - at)
			return;
		if (attr->nla_type == DSM_A_PEER)
			peer = attr;
		if (attr->nla_type == DSM_A_FRAME)
			frame = attr;
		at += NLA_ALIGN(attr->nla_len);
	}
	if (call->cmd != DSM_CMD_RECEIVE || !peer || nla_len(peer) != sizeof(u32) || !frame ||
	    nla_len(frame) < (int)sizeof(w.frame))
		return;
	if (nla_get_u32(peer) - 1 >= NODES - 1)
		return;
	w.receiving = true;
	w.from = (u16)nla_get_u32(peer);
	memcpy(&w.frame, nla_data(frame), sizeof(w.frame));
}

/* The peer acknowledges our first @ack messages. */
static void model_acked(struct model *m, u64 ack)
{
	if (ack > m->acked)
		m->acked = ack;
	if (m->next <= m->acked)
		m->next = m->acked + 1;
}

/* The model has to know, before the module answers, whether take_ack() is reached. */
static void frame_acks(void)
{
	struct model *m = &model[w.from];
	struct dsm_msg msg = { 0 };
	unsigned char bytes[sizeof(w.frame) + sizeof(msg.body)] = { 0 };
	u32 body = le32_to_cpu(w.frame.len);
	u64 ack;

	if (m->link != DSM_LINK_UP)
		return;
	memcpy(bytes, &w.frame, sizeof(w.frame));
	if (w.frame.type == DSM_DATA || body > sizeof(msg.body))
		body = 0;
	if (dsm_msg_decode(&msg, bytes, sizeof(w.frame) + body, w.from, VIEW, &ack))
		return;
	m->confirmed = true;
	if (ack <= m->sent) {
		model_acked(m, ack);
		if (msg.type == DSM_ACK && msg.flags & DSM_WIRE_RESEND)
			m->next = m->acked + 1;
	}
}

static int call_do(struct call *call, u32 port, bool admin)
{
	bool heeded = admin && port == w.helper && w.helper;
	unsigned int received = w.received;
	u64 before[NODES];
	int err;

	for (int i = 0; i < NODES; i++)
		before[i] = model[i].delivered;
	frame_seen(call);
	w.replied = false;
	err = genl_receive(&w.net, port, admin, call->cmd, call->bytes, call->length);
	FUZZ_TRACE("command %u of %u: %d", call->cmd, port, err);
	FUZZ_CHECK(err <= 0 && err > -4096, "error %d", err);
	FUZZ_CHECK(heeded || received == w.received, "heard without being the helper");
	for (int i = 0; i < NODES; i++)
		FUZZ_CHECK(model[i].delivered == before[i] ||
			   (i == w.from && (!err || model[i].delivered - before[i] <=
					    le16_to_cpu(w.frame.more))),
			   "delivered, and an error");
	w.receiving = false;
	return err;
}

static void register_do(struct fuzz_input *in, u32 port, bool admin)
{
	struct call call = { .cmd = DSM_CMD_REGISTER };
	u8 how = fuzz_u8(in);
	u32 helper = w.helper;
	int err;

	call_put_u32(&call, DSM_A_NODE, how & 1 ? fuzz_u16(in) : SELF);
	call_put_u32(&call, DSM_A_NODES, how & 2 ? fuzz_u16(in) : NODES);
	if (!w.helper)
		w.helper = admin ? port : 0;	/* EXPECTs are sent before the call returns */
	err = call_do(&call, port, admin);
	FUZZ_CHECK(!err == w.replied, "error %d, and %s reply", err, w.replied ? "a" : "no");
	FUZZ_CHECK(err || !helper || helper == port, "two helpers");
	if (err)
		w.helper = helper;
}

static void peer_do(struct fuzz_input *in, u32 port, bool admin)
{
	struct call call = { .cmd = DSM_CMD_PEER };
	u8 how = fuzz_u8(in);
	u16 id = 1 + how % 2;
	struct model *m = &model[id], was = *m;
	bool up = how & 2;
	u64 incarnation = how >> 4 & 3, session = 1 + (how >> 4);
	bool stale = false, wrong = false;
	int err;

	call_put_u32(&call, DSM_A_PEER, id);
	call_put_u32(&call, DSM_A_PEER_STATE, up ? DSM_PEER_UP : DSM_PEER_DOWN);
	if (!(how & 4)) {
		call_put_u64(&call, DSM_A_INCARNATION, incarnation);
		call_put_u64(&call, DSM_A_SESSION, session);
	}
	if (how & 8)
		call_put_u64(&call, DSM_A_RTT_NS, fuzz_u64(in));

	FUZZ_TRACE("  peer %u %s, of %llu", id, up ? "up" : "down", (unsigned long long)incarnation);
	/* What follows from it is sent before the call returns. */
	if (admin && w.helper == port && w.node.configured && (!up || !(how & 4))) {
		bool other = m->incarnation && m->incarnation != incarnation;
		bool begins = m->session != session;

		wrong = up && other && !begins;
		stale = up && !wrong && (other || (begins && m->confirmed)) &&
			atomic_read(&w.node.n_regions);
		if (!up) {
			m->link = m->link == DSM_LINK_UP ? DSM_LINK_DOWN : m->link;
		} else if (stale) {
			m->link = DSM_LINK_STALE;
		} else if (!wrong) {
			/*
			 * The module forgets what may have been sent over the connection, and
			 * nothing else.
			 */
			if (begins && (other || m->confirmed))
				*m = (struct model){ 0 };
			if (begins)
				m->sent = 0;
			m->session = session;
			m->link = DSM_LINK_UP;
			m->incarnation = incarnation;
			m->credits = DSM_PEER_CREDITS;
			m->gap = false;
			m->next = m->acked + 1;
		}
	}
	err = call_do(&call, port, admin);
	if (err && err != -ESTALE)
		*m = was;
	FUZZ_CHECK((err == -ESTALE) == stale && (!wrong || err == -EINVAL), "error %d", err);
}

static const u8 types[] = {
	DSM_GET_S, DSM_DATA, DSM_GRANT, DSM_REGION_NEW, DSM_SYNC_REQUEST, DSM_ACK, DSM_NOP, DSM_INV,
};

static u32 body_of(u8 type)
{
	return type == DSM_REGION_NEW ? sizeof(struct dsm_wire_region) :
	       type == DSM_SYNC_REQUEST ? sizeof(struct dsm_wire_sync) : 0;
}

static void receive_do(struct fuzz_input *in, u32 port, bool admin)
{
	struct call call = { .cmd = DSM_CMD_RECEIVE };
	u8 how = fuzz_u8(in), wrong = fuzz_u8(in);
	u16 id = 1 + how % 2;
	struct model *m = &model[id];
	u8 type = types[how >> 1 & 7];
	u32 body = body_of(type), more = 0;
	unsigned char frame[sizeof(struct dsm_wire_hdr) + 512] = { 0 };
	struct dsm_wire_hdr hdr = {
		.magic = cpu_to_le32(DSM_WIRE_MAGIC), .type = type,
		.src = cpu_to_le16(id), .view = cpu_to_le32(VIEW),
		.len = cpu_to_le32(type == DSM_DATA ? 4096 : body),
		.req = cpu_to_le32(how), .block = cpu_to_le64(wrong),
	};
	u64 seq = type == DSM_ACK ? 0 : m->delivered + 1, ack = m->acked;
	unsigned int received = w.received;
	bool due = admin && port == w.helper && m->link == DSM_LINK_UP && !wrong;
	int error = w.receive_error == -ENOMEM ? -EAGAIN : w.receive_error;
	int err;

	/* A run that is accepted up to some message, or a run with too many. */
	if (wrong & 32)
		more = fuzz_u8(in) % (DSM_WIRE_RUN_MAX + 1);
	w.receive_good = wrong & 64 ? fuzz_u8(in) % (more + 1) : 0;
	hdr.more = cpu_to_le16(more);
	if (type == DSM_DATA)
		hdr.len = cpu_to_le32(4096 * (more + 1));
	if (wrong & 1)
		seq += (u64)(int8_t)fuzz_u8(in);
	if (how & 0x40)
		ack = fuzz_u8(in);
	else if (how & 0x20)
		ack = m->sent;
	due = due && ack <= m->sent;
	if (type == DSM_ACK && how & 0x10)
		hdr.flags = DSM_WIRE_RESEND;
	hdr.seq = cpu_to_le64(seq);
	hdr.ack = cpu_to_le64(ack);
	memcpy(frame, &hdr, sizeof(hdr));
	if (wrong & 2)
		frame[fuzz_u8(in) % sizeof(hdr)] ^= fuzz_u8(in);
	if (wrong & 4)
		body = fuzz_u16(in) % 512;
	call_put_u32(&call, DSM_A_PEER, wrong & 8 ? fuzz_u8(in) : id);
	if (!(wrong & 16))
		call_put(&call, DSM_A_FRAME, frame, (u16)(sizeof(hdr) + body));
	if (how & 0x80)
		call_put(&call, DSM_A_IN_WINDOW, NULL, 0);
	frame_seen(&call);
	if (w.receiving && admin && port == w.helper && w.node.configured &&
	    (w.frame.type == DSM_DATA ? !body : le32_to_cpu(w.frame.len) == body))
		frame_acks();
	FUZZ_TRACE("  frame: type %u seq %llu ack %llu wrong %#x", type, (unsigned long long)seq,
		   (unsigned long long)ack, wrong);
	err = call_do(&call, port, admin);
	if (due) {
		FUZZ_CHECK(err == (type == DSM_ACK ? 0 : error), "error %d", err);
		FUZZ_CHECK(w.received == received + (type != DSM_ACK), "it is not delivered");
	}
	/* All messages of a run, up to the one that is refused. */
	if (admin && port == w.helper && m->link == DSM_LINK_UP && !(wrong & ~96) && more &&
	    more < DSM_WIRE_RUN_MAX && ack <= m->sent && w.node.configured &&
	    (type == DSM_GET_S || type == DSM_DATA || type == DSM_GRANT || type == DSM_INV)) {
		bool bad = w.receive_error && w.receive_good <= more;

		FUZZ_CHECK(err == (bad ? error : 0), "error %d of a run", err);
		FUZZ_CHECK(w.received == received + (bad ? w.receive_good : more) + 1,
			   "not all of a run is delivered");
	}
	w.receive_error = 0;
	w.receive_good = 0;
}

static void credit_do(struct fuzz_input *in, u32 port, bool admin)
{
	struct call call = { .cmd = DSM_CMD_CREDIT };
	u8 how = fuzz_u8(in);
	u16 id = 1 + how % 2;
	u32 credits = how & 2 ? fuzz_u32(in) : how >> 2;
	struct model *m = &model[id];

	call_put_u32(&call, DSM_A_PEER, id);
	if (how != 0xff)
		call_put_u32(&call, DSM_A_CREDITS, credits);
	if (admin && port == w.helper && how != 0xff)
		m->credits = (u64)m->credits + credits > DSM_PEER_CREDITS ? DSM_PEER_CREDITS :
			     m->credits + credits;
	call_do(&call, port, admin);
}

/* Attributes of any kind and length, also such as cannot be parsed. */
static void any_do(struct fuzz_input *in, u32 port, bool admin)
{
	static const u8 cmds[] = { DSM_CMD_REGISTER, DSM_CMD_RECEIVE, DSM_CMD_CREDIT, DSM_CMD_PEER,
				   DSM_CMD_SESSION };
	struct call call = { .cmd = cmds[fuzz_u8(in) % ARRAY_SIZE(cmds)] };
	u8 how = fuzz_u8(in);
	u8 value[255];

	/* The other commands cover well-formed ones. This one must be refused. */
	if (call.cmd == DSM_CMD_REGISTER || (how & 1))
		call_put_u32(&call, 0x7fff, 0);
	for (int i = 0; i < how >> 5; i++) {
		u16 type = fuzz_u8(in) % (DSM_A_MAX + 2);
		u16 length = (u16)fuzz_bytes(in, value, fuzz_u8(in) % 80);

		/* A peer that does not exist, or no peer. */
		if (type == DSM_A_PEER && length == sizeof(u32))
			value[3] |= 1;
		call_put(&call, type | (fuzz_u8(in) == 255 ? NLA_F_NESTED : 0), value, length);
	}
	if (how & 2)
		call.length += fuzz_bytes(in, call.bytes + call.length, fuzz_u8(in) % 64);
	if (how & 4)
		call.cmd = fuzz_u8(in);
	if (call.cmd != DSM_CMD_REGISTER)
		FUZZ_CHECK(call_do(&call, port, admin), "a call without a peer is taken");
}

static void closed_do(struct fuzz_input *in, u32 port)
{
	int protocol = fuzz_u8(in) & 1 ? NETLINK_GENERIC : NETLINK_ROUTE;

	if (port == w.helper && protocol == NETLINK_GENERIC) {
		w.helper = 0;
		for (int i = 0; i < NODES; i++)
			if (model[i].link == DSM_LINK_UP)
				model[i].link = DSM_LINK_DOWN;
	}
	genl_socket_closed(&w.net, port, protocol);
}

/* Actions of the rest of the module */

static void say_do(struct fuzz_input *in)
{
	u8 how = fuzz_u8(in);
	u16 id = 1 + how % 2;
	struct model *m = &model[id];
	u8 type = types[fuzz_u8(in) % 5];

	for (int i = 0; i <= how >> 3 && w.node.configured; i++) {
		struct dsm_msg *msg = dsm_msg_alloc(GFP_KERNEL);
		struct said *said = &m->said[m->said_count];

		if (!msg)
			return;
		if (m->said_count == SAID_MAX) {
			dsm_msg_free(msg);
			return;
		}
		*said = (struct said){ .type = type, .region = 1 + how / 2 % 2 };
		msg->type = type;
		msg->req = (u32)m->said_count;
		msg->region = said->region;
		msg->block = ++m->said_count;
		msg->body_len = body_of(type);
		if (type == DSM_DATA)
			said->place = msg->data_len = 4096;
		else if (type == DSM_GET_S)
			said->place = msg->expect_len = 8192;
		if (how & 4)
			dsm_peer_queue(w.node.peers[id], msg);
		else
			dsm_peer_post(w.node.peers[id], msg);
	}
	if (w.node.configured && how & 2)
		dsm_peers_flush(&w.node);
}

/* A part of what is queued is obsolete. */
static void forget_do(struct fuzz_input *in)
{
	u32 what = fuzz_u8(in);
	u16 id;

	if (!w.node.configured)
		return;
	if (what & 1) {
		struct model *m = &model[what & 2 ? 1 : 2];

		dsm_peer_expect_over(w.node.peers[what & 2 ? 1 : 2], what >> 2);
		if (what >> 2 < m->said_count && m->said[what >> 2].type == DSM_GET_S)
			m->said[what >> 2].place = 0;
		return;
	}
	what = 1 + what / 2 % 2;
	for (id = 1; id < NODES; id++) {
		for (u64 i = model[id].acked; i < model[id].said_count; i++) {
			struct said *said = &model[id].said[i];

			/* The registry's messages about a region outlive it. */
			if (said->region == what && (said->type < DSM_REGION_CREATE ||
						     said->type >= DSM_SYNC_REQUEST))
				*said = (struct said){ .type = DSM_NOP, .region = what };
		}
	}
	dsm_peers_forget(&w.node, what);
	dsm_netlink_carrier.forget(&w.node, what);
}

static void work_do(struct fuzz_input *in)
{
	u8 which = fuzz_u8(in);
	struct dsm_peer *peer = w.node.peers[1 + which % 2];
	struct delayed_work *work;

	if (!peer)
		return;
	work = which & 2 ? &peer->resend_work : &peer->work;
	if (!work->pending)
		return;
	work->pending = false;
	work->work.func(&work->work);
}

static void failure_do(struct fuzz_input *in)
{
	static const int errors[] = { -EAGAIN, -ENOMEM, -EPROTO, -EBADMSG };
	u8 how = fuzz_u8(in);

	switch (how & 3) {
	case 0:
		kernel_memory_fails = 1 + (how >> 2) % 8;
		break;
	case 1:
		genl_full = 1 + (how >> 2) % 8;
		break;
	case 2:
		w.receive_error = errors[how >> 2 & 3];
		break;
	case 3:
		w.node.n_regions.counter = (how >> 2) % (REGIONS + 1);
		break;
	}
}

static void check(void)
{
	FUZZ_CHECK(!kernel_locks_held, "a lock is held");
	FUZZ_CHECK(w.node.helper == w.helper, "the helper is %u, not %u", w.node.helper, w.helper);
	for (u16 i = 1; i < NODES; i++) {
		struct dsm_peer *peer = w.node.peers[i];
		struct model *m = &model[i];
		struct dsm_msg *msg;
		u64 n = 0;

		if (!peer)
			continue;
		list_for_each_entry(msg, &peer->queue, list)
			FUZZ_CHECK(msg->seq == m->acked + ++n, "a gap in the queue");
		FUZZ_CHECK(n == peer->n_queue && n == m->said_count - m->acked,
			   "%u queued, %llu, %llu", peer->n_queue, (unsigned long long)n,
			   (unsigned long long)(m->said_count - m->acked));
		FUZZ_CHECK(peer->link == m->link && peer->credits == m->credits &&
			   peer->rx_seq == m->delivered, "link %u credits %u", peer->link,
			   peer->credits);
		FUZZ_CHECK(peer->gap == m->gap && (!m->gap || peer->resend_work.pending),
			   "a message that is missing is forgotten");
		/* Messages that could be sent and were not will be tried again. */
		FUZZ_CHECK(peer->work.pending || !peer->credits || peer->link != DSM_LINK_UP ||
			   peer->unsent == &peer->queue || w.dirty >> i & 1,
			   "peer %u is forgotten", i);
	}
}

static void happen(struct fuzz_input *in)
{
	u8 op = fuzz_u8(in), who = op >> 4;
	u32 port = who & 3 ? 1 : 1 + fuzz_u8(in) % PORTS;	/* mostly the same */
	bool admin = who != 12;

	FUZZ_TRACE("op %u, port %u%s", op & 15, port, admin ? "" : ", no right");
	switch (op & 15) {
	case 0:
	case 1:
		register_do(in, port, admin);
		break;
	case 2:
	case 3:
		peer_do(in, port, admin);
		break;
	case 4:
	case 5:
	case 6:
		receive_do(in, port, admin);
		break;
	case 7:
		credit_do(in, port, admin);
		break;
	case 8:
		any_do(in, port, admin);
		break;
	case 9:
		closed_do(in, port);
		break;
	case 10:
	case 11:
		say_do(in);
		break;
	case 12:
		forget_do(in);
		break;
	case 13:
		work_do(in);
		break;
	default:
		failure_do(in);
		break;
	}
	check();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { data, size };
	struct dsm_peer *peers[NODES] = { NULL };

	memset(&w, 0, sizeof(w));
	for (int i = 0; i < NODES; i++)
		memset(&model[i], 0, sizeof(model[i]));
	kernel_memory_fails = 0;
	genl_full = 0;
	genl_sent = sent;
	w.node.view = VIEW;
	w.node.link = &link_ops;
	w.node.carrier = &dsm_netlink_carrier;
	w.node.peers = peers;
	w.node.dirty = &w.dirty;
	for (u32 i = 0; i < REGIONS; i++)
		w.region[i].id = i + 1;
	FUZZ_CHECK(!dsm_msg_init() && !dsm_netlink_init(), "no beginning");

	for (int i = 0; i < OPS_MAX && in.left; i++)
		happen(&in);

	for (u16 i = 1; i < NODES; i++)
		if (peers[i])
			dsm_peer_destroy(peers[i]);
	dsm_netlink_exit();
	dsm_msg_exit();
	return 0;
}
