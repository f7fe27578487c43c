// SPDX-License-Identifier: GPL-2.0
/*
 * Frames, decoded by module/msg.c, and module/coherence.c behind it.
 *
 * First the input lets a small cluster do what correct nodes may do, in the order it chooses;
 * selftests/model checks that. In the resulting state, one node sends the rest of the input as
 * frames, built from fields that are often right, or from any bytes. For each frame:
 *
 * - the decoder accesses nothing beyond the frame, and encoding an accepted frame again gives
 *   the same frame;
 * - the receiver refuses what it can know to be wrong, and a refused frame changes nothing
 *   (selftests/model/refuse.c);
 * - the rest of the cluster keeps the invariants listed in lies.c.
 */
#include "kernel/kernel.h"

#include "envelope.h"
#include "msg.h"

#include "lies.h"

enum {
	VIEW		= 1,
	REGION		= 1,
	BLOCK_SIZE	= 4096,
	OPS_MAX		= 300,
};

static void complain(const struct model *m, const struct model_report *report)
{
	model_print(m, stderr);
	FUZZ_CHECK(false, "%s", report->why);
}

/* Actions of correct nodes. */
static void honest(struct model *m, struct fuzz_input *in)
{
	struct model_step steps[MODEL_STEPS];
	struct model_report report = { .why = "" };
	unsigned int n = model_steps(m, ~0U, steps);
	const struct model_step *step = n ? &steps[fuzz_u8(in) % n] : NULL;

	if (!step)
		return;
	FUZZ_TRACE("step %u block %u node %u msg %u", step->type, step->block, step->node, step->msg);
	if (!model_take(m, step, &report))
		complain(m, &report);
}

/* A buffer of the frame's length, so that the sanitizer detects accesses beyond it. */
static bool decode(struct dsm_msg *msg, const void *bytes, size_t length, u16 peer)
{
	unsigned char *frame = malloc(length ? length : 1);
	struct dsm_wire_hdr hdr;
	u64 ack = 0;
	int err;

	FUZZ_CHECK(frame, "out of memory");
	memcpy(frame, bytes, length);
	memset(msg, 0xa5, sizeof(*msg));
	err = dsm_msg_decode(msg, frame, length, peer, VIEW, &ack);
	FUZZ_TRACE("  frame of %zu bytes, type %d: %d", length,
		   length >= sizeof(hdr) ? frame[offsetof(struct dsm_wire_hdr, type)] : -1, err);
	if (!err) {
		unsigned char again[sizeof(hdr) + sizeof(msg->body)];

		FUZZ_CHECK((size_t)dsm_msg_encode_len(msg) == length, "another length");
		FUZZ_CHECK(msg->from == peer, "in another's name");
		FUZZ_CHECK(dsm_msg_name(msg->type)[0] != '?', "a type without a name");
		dsm_msg_encode(msg, peer, VIEW, ack, again);
		FUZZ_CHECK(!memcmp(again, frame, length),
				   "the decoded frame differs from the frame");
	} else {
		FUZZ_CHECK(err == -EBADMSG || err == -EPROTO || err == -ESTALE, "error %d", err);
	}
	free(frame);
	return !err;
}

static const u8 types[] = {
	DSM_GET_S, DSM_GET_M, DSM_PUT_S, DSM_PUT_M, DSM_FWD_GET_S, DSM_FWD_GET_M, DSM_INV,
	DSM_INV_ACK, DSM_DATA, DSM_GRANT, DSM_DONE, DSM_CLAIM, DSM_REGION_NEW, DSM_SYNC_REQUEST,
	DSM_LOST, DSM_ACK,
};

static u32 body_of(u8 type)
{
	return type >= DSM_REGION_CREATE && type <= DSM_REGION_NEW ? sizeof(struct dsm_wire_region) :
	       type == DSM_SYNC_REQUEST ? sizeof(struct dsm_wire_sync) : 0;
}

/* A frame to @node about block @b. Its fields make sense unless the input decides otherwise. */
static size_t frame_make(const struct lies *l, struct fuzz_input *in, unsigned int b, u16 node,
			 unsigned char *bytes, size_t max)
{
	u8 type = types[fuzz_u8(in) % sizeof(types)], how = fuzz_u8(in), what = fuzz_u8(in);
	const struct model_block *block = &l->m.block[b];
	const u32 reqs[] = { block->copy[node].line.req, block->dir.req,
			     block->copy[l->liar].line.req, what };
	size_t body = body_of(type);
	struct dsm_wire_hdr hdr = {
		.magic = cpu_to_le32(DSM_WIRE_MAGIC),
		.len = cpu_to_le32(type == DSM_DATA ? BLOCK_SIZE : (u32)body),
		.type = type,
		.flags = type == DSM_GRANT || type == DSM_DATA || type == DSM_LOST || type == DSM_FWD_GET_S ||
			 type == DSM_DONE ? how >> 2 & 3 : 0,
		.src = cpu_to_le16(l->liar),
		.view = cpu_to_le32(VIEW),
		.seq = cpu_to_le64(type != DSM_ACK),
		.region = cpu_to_le32(REGION),
		.req = cpu_to_le32(reqs[how & 3]),
		.block = cpu_to_le64(b),
		.node = cpu_to_le16(what % 5),
		.acks = cpu_to_le16(what / 5 % 5),
	};

	if (type != DSM_GRANT)
		hdr.flags &= DSM_WIRE_MODIFIED;
	/* A run of at most as many blocks as there are, or of more. */
	if (how & 0x10) {
		hdr.more = cpu_to_le16(fuzz_u8(in) % 3);
		if (type == DSM_DATA)
			hdr.len = cpu_to_le32(BLOCK_SIZE * (le16_to_cpu(hdr.more) + 1U));
	}
	if (how & 0x80)		/* or the whole message from the input */
		return fuzz_bytes(in, bytes, max < what ? max : what);
	memset(bytes, what, sizeof(hdr) + body);
	memcpy(bytes, &hdr, sizeof(hdr));
	if (how & 0x40)
		bytes[fuzz_u8(in) % sizeof(hdr)] ^= fuzz_u8(in);
	if (how & 0x20)
		body = fuzz_u8(in);
	return sizeof(hdr) + body;
}

static bool is_block_type(u8 type)
{
	return type >= DSM_GET_S && type <= DSM_LOST;
}

/* The liar sends a frame, and the receiver acts like receive_block() and dsm_block_receive(). */
static void lie(struct lies *l, struct fuzz_input *in)
{
	u8 to = fuzz_u8(in);
	u16 node = to % l->m.nodes;
	unsigned int b = to / 8 % l->m.blocks;
	unsigned char bytes[1024];
	size_t length;
	struct dsm_event ev = { .type = DSM_EV_MSG };
	enum dsm_coh_result res = DSM_COH_OK;
	struct dsm_msg msg;

	if (node == l->liar)
		return;
	length = frame_make(l, in, b, node, bytes, sizeof(bytes));
	if (!decode(&msg, bytes, length, l->liar) || !is_block_type(msg.type) ||
	    msg.region != REGION || (msg.type == DSM_DATA && msg.data_len != BLOCK_SIZE))
		return;
	/* Like receive(): up to the first message that is refused. */
	for (int left = msg.more; left >= 0 && res == DSM_COH_OK && msg.block < l->m.blocks &&
	     !l->full; left--, msg.block++, msg.req++) {
		ev.msg = dsm_envelope_open(&msg);
		b = (unsigned int)msg.block;
		res = lies_feed(l, b, node, &ev, true);
		FUZZ_TRACE("  %s #%u to node %u, block %u: %s", dsm_msg_name(msg.type),
			   msg.req, node, b, res == DSM_COH_OK ? "taken" : "refused");
	}
}

/* Only the earliest message between two nodes. */
static bool deliverable(const struct model *m, unsigned int i)
{
	const struct dsm_coh_msg *msg = &m->flight[i].coh;

	for (unsigned int k = 0; k < i; k++)
		if (m->flight[k].coh.from == msg->from && m->flight[k].coh.to == msg->to)
			return false;
	return true;
}

static void deliver(struct lies *l, u8 which)
{
	unsigned int i;

	if (!l->m.n_flight)
		return;
	i = which % l->m.n_flight;
	while (!deliverable(&l->m, i))
		i--;
	lies_deliver(l, i);
}

/* One step that happens beside the lies. */
static void goes_on(struct lies *l, struct fuzz_input *in)
{
	u8 what = fuzz_u8(in);
	u16 node = what / 8 % l->m.nodes;
	unsigned int b = what / 64 % l->m.blocks;
	struct model_block *block = &l->m.block[b];
	struct model_copy *copy = &block->copy[node];
	struct dsm_event ev = { .req = l->m.next_req };

	switch (what % 8) {
	case 0:
		ev.type = DSM_EV_READ;
		break;
	case 1:
		ev.type = DSM_EV_WRITE;
		break;
	case 2:
		ev.type = what & 16 ? DSM_EV_DISCARD : what & 8 ? DSM_EV_FREE : DSM_EV_EVICT;
		break;
	case 3:
		if (!copy->revoke)
			return;
		copy->revoke = 0;
		ev.type = DSM_EV_REVOKED;
		break;
	case 4:
		copy->hold = false;
		ev.type = DSM_EV_HOLD_OVER;
		break;
	case 5:
		if (!block->pull)
			return;
		block->pull = false;
		node = block->home;
		ev.type = DSM_EV_WRITE;
		ev.prefetch = true;
		break;
	default:
		deliver(l, fuzz_u8(in));
		return;
	}
	l->m.next_req++;
	lies_feed(l, b, node, &ev, false);
}

/* A receiver refuses every lie that it could know to be one. */
static void refusals(const struct model *m, u8 which)
{
	struct model_report report = { .why = "" };

	if (!model_refuses(m, which / 8 % m->blocks, which % m->nodes, &report))
		complain(m, &report);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { data, size };
	u8 shape = fuzz_u8(&in), length = fuzz_u8(&in);
	static struct lies l;
	u8 op;

	memset(&l, 0, sizeof(l));
	model_init(&l.m, 2 + shape % 3, 1 + shape / 4 % 2);
	l.m.exact = true;
	l.liar = shape / 8 % l.m.nodes;
	for (int i = 0; i < length && in.left; i++)
		honest(&l.m, &in);
	if (shape >> 5 == 7)	/* this takes long, and selftests/explore does it in every state */
		refusals(&l.m, fuzz_u8(&in));

	FUZZ_TRACE("node %u lies from now on", l.liar);
	for (int i = 0; i < OPS_MAX && in.left && !l.full; i++) {
		op = fuzz_u8(&in);
		if (op & 1)
			lie(&l, &in);
		else
			goes_on(&l, &in);
		lies_check(&l);
	}
	return 0;
}
