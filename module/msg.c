// SPDX-License-Identifier: GPL-2.0
/*
 * Messages: their memory, and their form on the wire.
 *
 * A frame comes from an untrusted helper, and from an untrusted node. dsm_msg_decode()
 * checks all that can be checked without knowing the region: length, flags and sender,
 * as messages.h has them for each type, and the view. The receiver checks whether the
 * sender may say it about the block.
 */
#include <linux/errno.h>
#include <linux/slab.h>
#include "messages.h"
#include "msg.h"

enum body {
	BODY_NONE,
	BODY_REGION,
	BODY_SYNC,
	BODY_BLOCK,	/* in the window */
};

enum runs {
	ONE,
	RUN,
};

/* What messages.h says of a type. */
struct msg_kind {
	const char *name;
	enum body body;
	u8 flags;
	enum runs runs;
};

#define KIND(name, body, flags, runs, early, by, take)	\
	[DSM_##name] = { #name, BODY_##body, flags, runs },

static const struct msg_kind kinds[DSM_WIRE_HELPER] = {
	DSM_MESSAGES(KIND)
};

static struct kmem_cache *msg_cache;

const char *dsm_msg_name(u8 type)
{
	return type < DSM_WIRE_HELPER && kinds[type].name ? kinds[type].name : "?";
}

struct dsm_msg *dsm_msg_alloc(gfp_t gfp)
{
	struct dsm_msg *msg = kmem_cache_zalloc(msg_cache, gfp);

	if (msg)
		INIT_LIST_HEAD(&msg->list);
	return msg;
}

/* As new, for a message without a body. */
void dsm_msg_reset(struct dsm_msg *msg)
{
	memset(msg, 0, offsetof(struct dsm_msg, body));
	INIT_LIST_HEAD(&msg->list);
}

void dsm_msg_free(struct dsm_msg *msg)
{
	if (msg)
		kmem_cache_free(msg_cache, msg);
}

void dsm_msg_free_list(struct list_head *list)
{
	struct dsm_msg *msg, *next;

	list_for_each_entry_safe(msg, next, list, list)
		dsm_msg_free(msg);
	INIT_LIST_HEAD(list);
}

/* It is of no use any more, but keeps its place in its peer's queue. */
void dsm_msg_void(struct dsm_msg *msg)
{
	msg->type = DSM_NOP;
	msg->flags = 0;
	msg->from = 0;
	msg->node = 0;
	msg->acks = 0;
	msg->req = 0;
	msg->body_len = 0;
	msg->data_len = 0;
	msg->expect_len = 0;
}

/* DATA whose bytes cannot be read. */
void dsm_msg_lose(struct dsm_msg *msg)
{
	msg->type = DSM_LOST;
	msg->data_len = 0;
}

static u32 body_len(const struct msg_kind *kind)
{
	switch (kind->body) {
	case BODY_REGION:
		return sizeof(struct dsm_wire_region);
	case BODY_SYNC:
		return sizeof(struct dsm_wire_sync);
	default:
		return 0;
	}
}

/* The frame's length, without a body that is in the window. */
int dsm_msg_encode_len(const struct dsm_msg *msg)
{
	return sizeof(struct dsm_wire_hdr) + msg->body_len;
}

void dsm_msg_encode(const struct dsm_msg *msg, u16 src, u32 view, u64 ack, void *frame)
{
	struct dsm_wire_hdr hdr = {
		.magic	= cpu_to_le32(DSM_WIRE_MAGIC),
		.len	= cpu_to_le32(msg->data_len * (msg->more + 1) + msg->body_len),
		.type	= msg->type,
		.flags	= msg->flags,
		.src	= cpu_to_le16(src),
		.view	= cpu_to_le32(view),
		.seq	= cpu_to_le64(msg->seq),
		.ack	= cpu_to_le64(ack),
		.region	= cpu_to_le32(msg->region),
		.req	= cpu_to_le32(msg->req),
		.block	= cpu_to_le64(msg->block),
		.node	= cpu_to_le16(msg->node),
		.acks	= cpu_to_le16(msg->acks),
		.error	= cpu_to_le32(msg->error),
		.more	= cpu_to_le16(msg->more),
	};

	memcpy(frame, &hdr, sizeof(hdr));
	memcpy(frame + sizeof(hdr), &msg->body, msg->body_len);
}

/**
 * dsm_msg_decode() - read a frame
 * @msg: filled in
 * @frame: the frame, without a body that is in the window
 * @len: its length
 * @peer: whom it came from
 * @view: the current view
 * @ack: out: what the peer has received of ours
 *
 * Return: 0; -EBADMSG, not a frame we know; -EPROTO, not the sender's to say
 * (another's id); -ESTALE, of another view.
 */
int dsm_msg_decode(struct dsm_msg *msg, const void *frame, size_t len, u16 peer,
		   u32 view, u64 *ack)
{
	const struct msg_kind *kind;
	struct dsm_wire_hdr hdr;
	u32 wire_len, n;

	if (len < sizeof(hdr))
		return -EBADMSG;
	memcpy(&hdr, frame, sizeof(hdr));
	if (hdr.magic != cpu_to_le32(DSM_WIRE_MAGIC) || hdr.reserved || hdr.reserved16 ||
	    hdr.type >= DSM_WIRE_HELPER)
		return -EBADMSG;
	kind = &kinds[hdr.type];
	wire_len = le32_to_cpu(hdr.len);
	if (!kind->name || (hdr.flags & ~kind->flags) ||
	    len != sizeof(hdr) + body_len(kind) || (hdr.type == DSM_ACK) != !hdr.seq)
		return -EBADMSG;
	n = le16_to_cpu(hdr.more) + 1;
	if (n > (kind->runs == RUN ? DSM_WIRE_RUN_MAX : 1) || le64_to_cpu(hdr.block) > U64_MAX - (n - 1))
		return -EBADMSG;
	if (kind->body == BODY_BLOCK ? wire_len > DSM_WIRE_BODY_MAX || !wire_len || wire_len % n :
	    wire_len != body_len(kind))
		return -EBADMSG;
	if (le16_to_cpu(hdr.src) != peer)
		return -EPROTO;
	if (le32_to_cpu(hdr.view) != view)
		return -ESTALE;

	msg->type = hdr.type;
	msg->flags = hdr.flags;
	msg->from = peer;
	msg->node = le16_to_cpu(hdr.node);
	msg->acks = le16_to_cpu(hdr.acks);
	msg->req = le32_to_cpu(hdr.req);
	msg->region = le32_to_cpu(hdr.region);
	msg->error = le32_to_cpu(hdr.error);
	msg->block = le64_to_cpu(hdr.block);
	msg->seq = le64_to_cpu(hdr.seq);
	msg->data_len = kind->body == BODY_BLOCK ? wire_len / n : 0;
	msg->more = n - 1;
	msg->body_len = body_len(kind);
	memcpy(&msg->body, frame + sizeof(hdr), msg->body_len);
	*ack = le64_to_cpu(hdr.ack);
	return 0;
}

/**
 * dsm_msg_continues() - can two messages be in one run?
 * @msg: the first
 * @next: queued right after it
 */
bool dsm_msg_continues(const struct dsm_msg *msg, const struct dsm_msg *next)
{
	return msg->type == next->type && msg->type < DSM_WIRE_HELPER &&
	       kinds[msg->type].runs == RUN && msg->flags == next->flags &&
	       msg->node == next->node && msg->acks == next->acks &&
	       msg->req + 1 == next->req && msg->region == next->region &&
	       msg->block + 1 == next->block && msg->data_len == next->data_len &&
	       msg->expect_len == next->expect_len;
}

int dsm_msg_init(void)
{
	/* Charged to the thread that says something: a caller, or the helper. */
	msg_cache = KMEM_CACHE(dsm_msg, SLAB_ACCOUNT);
	return msg_cache ? 0 : -ENOMEM;
}

void dsm_msg_exit(void)
{
	kmem_cache_destroy(msg_cache);
}
