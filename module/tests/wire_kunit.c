// SPDX-License-Identifier: GPL-2.0
/*
 * Messages: what is encoded is decoded, and nothing else is. What can be
 * decoded may still be of a block, a node or a sender that it cannot be of.
 */
#include <kunit/test.h>
#include <linux/string.h>
#include "testnode.h"
#include "../block.h"
#include "../region.h"

enum {
	PEER		= 3,
	VIEW		= 17,
	ACKED		= 41,
	FRAME_MAX	= sizeof(struct dsm_wire_hdr) + sizeof(struct dsm_wire_region) + 1,
};

static const struct type_param {
	u8 type;
	const char *name;
	u32 body;	/* bytes in the frame */
	u8 flags;	/* it may have */
	bool in_window;	/* it has a body that is not in the frame */
	bool unnumbered;
} type_params[] = {
	{ DSM_GET_S, "GET_S" },
	{ DSM_GET_M, "GET_M" },
	{ DSM_PUT_S, "PUT_S" },
	{ DSM_PUT_M, "PUT_M" },
	{ DSM_FWD_GET_S, "FWD_GET_S", 0, DSM_WIRE_MODIFIED },
	{ DSM_FWD_GET_M, "FWD_GET_M" },
	{ DSM_INV, "INV", 0, DSM_WIRE_ZERO },
	{ DSM_INV_ACK, "INV_ACK" },
	{ DSM_DATA, "DATA", 0, DSM_WIRE_MODIFIED, true },
	{ DSM_GRANT, "GRANT", 0, DSM_WIRE_MODIFIED | DSM_WIRE_ZERO },
	{ DSM_DONE, "DONE", 0, DSM_WIRE_MODIFIED },
	{ DSM_DISCARD, "DISCARD" },
	{ DSM_DISCARDED, "DISCARDED" },
	{ DSM_LOST, "LOST", 0, DSM_WIRE_MODIFIED },
	{ DSM_CLAIM, "CLAIM", 0, DSM_WIRE_ASK },
	{ DSM_HOME, "HOME", 0, DSM_WIRE_ASK },
	{ DSM_REGION_CREATE, "REGION_CREATE", sizeof(struct dsm_wire_region), DSM_WIRE_PRIVILEGED },
	{ DSM_REGION_UNLINK, "REGION_UNLINK", sizeof(struct dsm_wire_region), DSM_WIRE_PRIVILEGED },
	{ DSM_REGION_NEW, "REGION_NEW", sizeof(struct dsm_wire_region) },
	{ DSM_REGION_GONE, "REGION_GONE" },
	{ DSM_REGION_FREE, "REGION_FREE" },
	{ DSM_REGION_NEW_ACK, "REGION_NEW_ACK" },
	{ DSM_REGION_GONE_ACK, "REGION_GONE_ACK" },
	{ DSM_REGION_IDLE, "REGION_IDLE" },
	{ DSM_REGION_REPLY, "REGION_REPLY" },
	{ DSM_REGION_ASK, "REGION_ASK" },
	{ DSM_REGION_TOLD, "REGION_TOLD" },
	{ DSM_REGION_USE, "REGION_USE" },
	{ DSM_SYNC_REQUEST, "SYNC_REQUEST", sizeof(struct dsm_wire_sync) },
	{ DSM_SYNC_REPLY, "SYNC_REPLY", sizeof(struct dsm_wire_sync) },
	{ DSM_NOP, "NOP" },
	{ DSM_ACK, "ACK", 0, DSM_WIRE_RESEND, .unnumbered = true },
};

static void type_desc(const struct type_param *param, char *desc)
{
	strscpy(desc, param->name, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(type, type_params, type_desc);

/**
 * struct sample - a message of some type, and its frame
 * @msg: the message
 * @frame: the frame, and a byte of room
 * @len: its length
 */
struct sample {
	struct dsm_msg msg;
	u8 frame[FRAME_MAX];
	size_t len;
};

static struct dsm_wire_hdr *header(struct sample *sample)
{
	return (struct dsm_wire_hdr *)sample->frame;
}

static struct sample *sample_create(struct kunit *test, const struct type_param *param)
{
	struct sample *sample = kunit_kzalloc(test, sizeof(*sample), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, sample);
	sample->msg = (struct dsm_msg){
		.type = param->type, .flags = param->flags, .from = PEER,
		.node = 4, .acks = 5, .req = 0x12345678,
		.region = 6,
		.error = 7,
		.block = 0x123456789abcULL,
		.seq = param->unnumbered ? 0 : 42,
		.data_len = param->in_window ? 4096 : 0,
		.body_len = param->body,
	};
	memset(&sample->msg.body, 0x5a, param->body);
	sample->len = dsm_msg_encode_len(&sample->msg);
	KUNIT_ASSERT_LT(test, sample->len, FRAME_MAX);
	dsm_msg_encode(&sample->msg, PEER, VIEW, ACKED, sample->frame);
	return sample;
}

static int decode(const struct sample *sample, size_t len)
{
	struct dsm_msg msg = {};
	u64 ack;

	return dsm_msg_decode(&msg, sample->frame, len, PEER, VIEW, &ack);
}

static void encode_decode_test(struct kunit *test)
{
	struct sample *sample = sample_create(test, test->param_value);
	struct dsm_msg msg = {};
	u64 ack = 0;

	KUNIT_ASSERT_EQ(test, dsm_msg_decode(&msg, sample->frame, sample->len, PEER, VIEW, &ack),
			0);
	KUNIT_EXPECT_EQ(test, ack, ACKED);
	KUNIT_EXPECT_EQ(test, msg.type, sample->msg.type);
	KUNIT_EXPECT_EQ(test, msg.flags, sample->msg.flags);
	KUNIT_EXPECT_EQ(test, msg.from, PEER);
	KUNIT_EXPECT_EQ(test, msg.node, sample->msg.node);
	KUNIT_EXPECT_EQ(test, msg.acks, sample->msg.acks);
	KUNIT_EXPECT_EQ(test, msg.req, sample->msg.req);
	KUNIT_EXPECT_EQ(test, msg.region, sample->msg.region);
	KUNIT_EXPECT_EQ(test, msg.error, sample->msg.error);
	KUNIT_EXPECT_EQ(test, msg.block, sample->msg.block);
	KUNIT_EXPECT_EQ(test, msg.seq, sample->msg.seq);
	KUNIT_EXPECT_EQ(test, msg.data_len, sample->msg.data_len);
	KUNIT_EXPECT_EQ(test, msg.body_len, sample->msg.body_len);
	KUNIT_EXPECT_EQ(test, memcmp(&msg.body, &sample->msg.body, msg.body_len), 0);
}

/* Every length but the right one. */
static void length_test(struct kunit *test)
{
	struct sample *sample = sample_create(test, test->param_value);
	size_t len;

	for (len = 0; len <= sample->len + 1; len++)
		KUNIT_EXPECT_EQ_MSG(test, decode(sample, len), len == sample->len ? 0 : -EBADMSG,
				    "%zu bytes", len);
}

/* The header's idea of the body's length. */
static void body_length_test(struct kunit *test)
{
	const struct type_param *param = test->param_value;
	struct sample *sample = sample_create(test, param);
	__le32 *len = &header(sample)->len;

	*len = cpu_to_le32(U32_MAX);
	KUNIT_EXPECT_EQ(test, decode(sample, sample->len), -EBADMSG);
	*len = cpu_to_le32(DSM_WIRE_BODY_MAX + 1);
	KUNIT_EXPECT_EQ(test, decode(sample, sample->len), -EBADMSG);
	*len = cpu_to_le32(DSM_WIRE_BODY_MAX);
	KUNIT_EXPECT_EQ(test, decode(sample, sample->len), param->in_window ? 0 : -EBADMSG);
	*len = cpu_to_le32(param->body + 1);
	KUNIT_EXPECT_EQ(test, decode(sample, sample->len), param->in_window ? 0 : -EBADMSG);
	*len = 0;
	KUNIT_EXPECT_EQ(test, decode(sample, sample->len),
			param->in_window || param->body ? -EBADMSG : 0);
}

static void flags_test(struct kunit *test)
{
	const struct type_param *param = test->param_value;
	struct sample *sample = sample_create(test, param);
	unsigned int flags;

	for (flags = 0; flags <= U8_MAX; flags++) {
		header(sample)->flags = flags;
		KUNIT_EXPECT_EQ_MSG(test, decode(sample, sample->len),
				    flags & ~param->flags ? -EBADMSG : 0, "flags %#x", flags);
	}
}

static void header_test(struct kunit *test)
{
	const struct type_param *param = test->param_value;
	struct sample *sample = sample_create(test, param);
	struct dsm_wire_hdr *hdr = header(sample), good = *hdr;

	hdr->magic = ~hdr->magic;
	KUNIT_EXPECT_EQ(test, decode(sample, sample->len), -EBADMSG);
	*hdr = good;
	hdr->reserved = cpu_to_le32(1);
	KUNIT_EXPECT_EQ(test, decode(sample, sample->len), -EBADMSG);
	*hdr = good;
	hdr->reserved16 = cpu_to_le16(1);
	KUNIT_EXPECT_EQ(test, decode(sample, sample->len), -EBADMSG);
	*hdr = good;
	hdr->src = cpu_to_le16(PEER + 1);
	KUNIT_EXPECT_EQ(test, decode(sample, sample->len), -EPROTO);
	*hdr = good;
	hdr->view = cpu_to_le32(VIEW - 1);
	KUNIT_EXPECT_EQ(test, decode(sample, sample->len), -ESTALE);
	*hdr = good;
	hdr->seq = cpu_to_le64(param->unnumbered);
	KUNIT_EXPECT_EQ(test, decode(sample, sample->len), -EBADMSG);
	*hdr = good;
	KUNIT_EXPECT_EQ(test, decode(sample, sample->len), 0);
}

static bool of_block(u8 type)
{
	return type >= DSM_GET_S && type <= DSM_LOST;
}

/* How many messages a frame may stand for, of which kind, and with what body. */
static void run_test(struct kunit *test)
{
	const struct type_param *param = test->param_value;
	struct sample *sample = sample_create(test, param);
	struct dsm_wire_hdr *hdr = header(sample), good;
	struct dsm_msg msg = {};
	u64 ack;

	sample->msg.more = DSM_WIRE_RUN_MAX - 1;
	dsm_msg_encode(&sample->msg, PEER, VIEW, ACKED, sample->frame);
	good = *hdr;
	KUNIT_EXPECT_EQ(test, le32_to_cpu(hdr->len), param->in_window ?
			DSM_WIRE_RUN_MAX * sample->msg.data_len : param->body);
	KUNIT_EXPECT_EQ(test, dsm_msg_decode(&msg, sample->frame, sample->len, PEER, VIEW, &ack),
			of_block(param->type) ? 0 : -EBADMSG);
	if (of_block(param->type)) {
		KUNIT_EXPECT_EQ(test, msg.more, DSM_WIRE_RUN_MAX - 1);
		KUNIT_EXPECT_EQ(test, msg.data_len, sample->msg.data_len);
	}
	hdr->more = cpu_to_le16(DSM_WIRE_RUN_MAX);
	hdr->len = cpu_to_le32(param->in_window ? DSM_WIRE_RUN_MAX + 1 : param->body);
	KUNIT_EXPECT_EQ(test, decode(sample, sample->len), -EBADMSG);
	hdr->more = cpu_to_le16(U16_MAX);
	KUNIT_EXPECT_EQ(test, decode(sample, sample->len), -EBADMSG);
	/* The last block's number is one. */
	*hdr = good;
	hdr->block = cpu_to_le64(U64_MAX - DSM_WIRE_RUN_MAX + 1);
	KUNIT_EXPECT_EQ(test, decode(sample, sample->len), of_block(param->type) ? 0 : -EBADMSG);
	hdr->block = cpu_to_le64(U64_MAX - DSM_WIRE_RUN_MAX + 2);
	KUNIT_EXPECT_EQ(test, decode(sample, sample->len), -EBADMSG);
	hdr->block = cpu_to_le64(U64_MAX);
	KUNIT_EXPECT_EQ(test, decode(sample, sample->len), -EBADMSG);
	if (!param->in_window)
		return;
	/* Each has as much of the body as the others, and some. */
	*hdr = good;
	hdr->len = cpu_to_le32(le32_to_cpu(good.len) - 1);
	KUNIT_EXPECT_EQ(test, decode(sample, sample->len), -EBADMSG);
	hdr->len = cpu_to_le32(DSM_WIRE_RUN_MAX - 1);
	KUNIT_EXPECT_EQ(test, decode(sample, sample->len), -EBADMSG);
	hdr->len = 0;
	KUNIT_EXPECT_EQ(test, decode(sample, sample->len), -EBADMSG);
}

/* What can be in one run with what was queued before it. */
static void continues_test(struct kunit *test)
{
	const struct type_param *param = test->param_value;
	struct dsm_msg msg = sample_create(test, param)->msg, good = msg, next;

	good.block++;
	good.req++;
	good.seq++;
	next = good;
	KUNIT_EXPECT_EQ(test, dsm_msg_continues(&msg, &next), of_block(param->type));
	next.type = param->type == DSM_INV_ACK ? DSM_GET_S : DSM_INV_ACK;
	KUNIT_EXPECT_FALSE(test, dsm_msg_continues(&msg, &next));
	next = good;
	next.flags ^= DSM_WIRE_MODIFIED;
	KUNIT_EXPECT_FALSE(test, dsm_msg_continues(&msg, &next));
	next = good;
	next.node++;
	KUNIT_EXPECT_FALSE(test, dsm_msg_continues(&msg, &next));
	next = good;
	next.acks++;
	KUNIT_EXPECT_FALSE(test, dsm_msg_continues(&msg, &next));
	next = good;
	next.req++;
	KUNIT_EXPECT_FALSE(test, dsm_msg_continues(&msg, &next));
	next = good;
	next.region++;
	KUNIT_EXPECT_FALSE(test, dsm_msg_continues(&msg, &next));
	next = good;
	next.block--;
	KUNIT_EXPECT_FALSE(test, dsm_msg_continues(&msg, &next));
	next = good;
	next.data_len++;
	KUNIT_EXPECT_FALSE(test, dsm_msg_continues(&msg, &next));
	next = good;
	next.expect_len++;
	KUNIT_EXPECT_FALSE(test, dsm_msg_continues(&msg, &next));
}

static const struct type_param *type_find(u8 type)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(type_params); i++)
		if (type_params[i].type == type)
			return &type_params[i];
	return NULL;
}

/* A frame of a type that is not the modules' is refused, whatever its length. */
static void unknown_types_test(struct kunit *test)
{
	struct sample *sample = sample_create(test, &type_params[0]);
	unsigned int type;
	size_t len;

	for (type = 0; type <= U8_MAX; type++) {
		if (type_find(type))
			continue;
		header(sample)->type = type;
		for (len = 0; len < FRAME_MAX; len++)
			KUNIT_EXPECT_EQ_MSG(test, decode(sample, len), -EBADMSG, "type %u", type);
	}
}

static void names_test(struct kunit *test)
{
	unsigned int type;

	for (type = 0; type <= U8_MAX; type++) {
		const struct type_param *param = type_find(type);

		KUNIT_EXPECT_STREQ(test, dsm_msg_name(type), param ? param->name : "?");
	}
}

static void alloc_test(struct kunit *test)
{
	struct dsm_msg *msg;
	LIST_HEAD(list);
	int i;

	for (i = 0; i < 3; i++) {
		msg = dsm_msg_alloc(GFP_KERNEL);
		KUNIT_ASSERT_NOT_NULL(test, msg);
		KUNIT_EXPECT_TRUE(test, list_empty(&msg->list));
		KUNIT_EXPECT_EQ(test, msg->type, 0);
		list_add_tail(&msg->list, &list);
	}
	dsm_msg_free_list(&list);
	KUNIT_EXPECT_TRUE(test, list_empty(&list));
	dsm_msg_free(NULL);
	testmem_fail(1, 1);
	KUNIT_EXPECT_NULL(test, dsm_msg_alloc(GFP_KERNEL));
}

/* ------------------------------------------------------------------------
 * At a node that is no home of the region's, nor the registry
 */

enum {
	SELF	= 1,
	NODES	= 4,
	REGION	= 6,
};

static struct dsm_region *node_create(struct kunit *test)
{
	testnode_all_up(testnode_create(test, SELF, NODES));
	return testnode_region(test, REGION, DSM_HOME_CREATOR);
}

/* A message that has every field in range. */
static struct dsm_msg plain(const struct type_param *param)
{
	return (struct dsm_msg){
		.type = param->type,
		.region = REGION,
		.data_len = param->in_window ? PAGE_SIZE : 0,
		.body_len = param->body,
	};
}

static bool of_chunk(u8 type)
{
	return type == DSM_CLAIM || type == DSM_HOME;
}

/* Refused, and nothing has come of it. */
static void expect_refused(struct kunit *test, u16 from, const struct dsm_msg *msg)
{
	struct testnode *tn = test->priv;
	bool in_window;
	u32 queued;

	for (in_window = false;; in_window = true) {
		queued = tn->node->peers[from]->n_queue;
		KUNIT_EXPECT_EQ_MSG(test, testnode_receive(tn, from, msg, in_window), -EPROTO,
				    "from %u", from);
		KUNIT_EXPECT_EQ(test, tn->node->peers[from]->rx_seq, 0);
		KUNIT_EXPECT_EQ(test, tn->node->peers[from]->n_queue, queued);
		KUNIT_EXPECT_EQ(test, tn->n_sent, 0);
		if (in_window || !msg->data_len)
			break;
	}
}

static void range_test(struct kunit *test)
{
	const struct type_param *param = test->param_value;
	struct dsm_msg msg = plain(param);
	struct dsm_region *region;

	if (!of_block(param->type) && !of_chunk(param->type) && msg.body_len != sizeof(msg.body.sync))
		return;
	region = node_create(test);
	if (msg.body_len == sizeof(msg.body.sync)) {
		msg.body.sync.offset = cpu_to_le64(region->size);
		expect_refused(test, 0, &msg);
		msg.body.sync.offset = cpu_to_le64(U64_MAX);
		expect_refused(test, 0, &msg);
		return;
	}
	msg.block = of_block(param->type) ? dsm_region_blocks(region) : 4;
	expect_refused(test, 0, &msg);
	msg.block = U64_MAX - 1;
	expect_refused(test, 0, &msg);
	msg.block = U64_MAX;
	expect_refused(test, 0, &msg);
	msg.block = 0;
	msg.node = NODES;
	expect_refused(test, 0, &msg);
	msg.node = U16_MAX;
	expect_refused(test, 0, &msg);
}

/* Node 2 is no home, no registry, no steward, and was asked for nothing. */
static void sender_test(struct kunit *test)
{
	const struct type_param *param = test->param_value;
	struct dsm_msg msg = plain(param);

	node_create(test);
	if (msg.body_len != sizeof(msg.body.sync) && param->type != DSM_NOP &&
	    param->type != DSM_ACK)
		expect_refused(test, 2, &msg);
}

/* What a node may say to one that has not heard of the region. */
static bool may_be_early(u8 type)
{
	return type == DSM_GET_S || type == DSM_GET_M || type == DSM_DISCARD ||
	       type == DSM_CLAIM || type == DSM_SYNC_REQUEST;
}

/* A region that is over needs nothing; a request for one that is to come is parked. */
static void region_test(struct kunit *test)
{
	const struct type_param *param = test->param_value;
	struct dsm_msg msg = plain(param);
	struct testnode *tn;

	if (!of_block(param->type) && !of_chunk(param->type) && msg.body_len != sizeof(msg.body.sync))
		return;
	node_create(test);
	tn = test->priv;
	testnode_acks_stop(tn);
	msg.region = REGION + 1;
	KUNIT_EXPECT_EQ(test, testnode_receive(tn, 2, &msg, false), 0);
	KUNIT_EXPECT_EQ(test, tn->node->peers[2]->park.n, may_be_early(param->type));
	msg.region = REGION - 1;
	KUNIT_EXPECT_EQ(test, testnode_receive(tn, 2, &msg, false), 0);
	KUNIT_EXPECT_EQ(test, tn->node->peers[2]->park.n, may_be_early(param->type));
}

/* What an answer may be, given the question. */
static void answer_test(struct kunit *test)
{
	struct dsm_region *region = node_create(test);
	struct testnode *tn = test->priv;
	struct dsm_msg data = {
		.type = DSM_DATA, .flags = DSM_WIRE_MODIFIED,
		.region = REGION, .data_len = PAGE_SIZE,
	};
	struct dsm_msg grant = {
		.type = DSM_GRANT, .flags = DSM_WIRE_MODIFIED | DSM_WIRE_ZERO,
		.region = REGION,
	};
	struct dsm_block *block;

	testnode_acks_stop(tn);
	block = testnode_block(test, region, 0);
	KUNIT_ASSERT_EQ(test, dsm_block_ask(region, 0, true), 0);
	KUNIT_ASSERT_EQ(test, tn->n_sent, 1);
	KUNIT_EXPECT_EQ(test, tn->sent[0].hdr.type, DSM_GET_M);
	KUNIT_EXPECT_EQ(test, tn->sent[0].expect_len, PAGE_SIZE);
	data.req = le32_to_cpu(tn->sent[0].hdr.req);
	grant.req = data.req;
	tn->n_sent = 0;

	data.data_len = PAGE_SIZE + 1;
	KUNIT_EXPECT_EQ(test, testnode_receive(tn, 2, &data, true), -EBADMSG);
	data.data_len = PAGE_SIZE;
	data.acks = NODES;
	KUNIT_EXPECT_EQ(test, testnode_receive(tn, 2, &data, true), -EPROTO);
	data.acks = 0;
	data.flags = 0;
	KUNIT_EXPECT_EQ(test, testnode_receive(tn, 2, &data, true), -EPROTO);
	data.req++;
	KUNIT_EXPECT_EQ(test, testnode_receive(tn, 2, &data, true), -EPROTO);
	KUNIT_EXPECT_EQ(test, testnode_receive(tn, 2, &data, false), -EPROTO);
	KUNIT_EXPECT_EQ(test, tn->expects, 0);
	/* The right one, but the helper did not know where to put it. */
	data.req--;
	KUNIT_EXPECT_EQ(test, testnode_receive(tn, 2, &data, false), -EAGAIN);
	KUNIT_EXPECT_EQ(test, tn->expects, 1);

	grant.acks = U16_MAX;
	KUNIT_EXPECT_EQ(test, testnode_receive(tn, 0, &grant, false), -EPROTO);
	grant.acks = 0;
	KUNIT_EXPECT_EQ(test, testnode_receive(tn, 2, &grant, false), -EPROTO);
	grant.flags = DSM_WIRE_MODIFIED;
	KUNIT_EXPECT_EQ(test, testnode_receive(tn, 0, &grant, false), -EPROTO);
	KUNIT_EXPECT_EQ(test, tn->n_sent, 0);
	KUNIT_EXPECT_FALSE(test, dsm_line_writable(&block->line));

	grant.flags |= DSM_WIRE_ZERO;
	KUNIT_EXPECT_EQ(test, testnode_receive(tn, 0, &grant, false), 0);
	KUNIT_EXPECT_TRUE(test, dsm_line_writable(&block->line));
	/* The home, alone in it, is told nothing. */
	KUNIT_EXPECT_EQ(test, tn->n_sent, 0);
}

static struct kunit_case wire_cases[] = {
	KUNIT_CASE_PARAM(encode_decode_test, type_gen_params),
	KUNIT_CASE_PARAM(length_test, type_gen_params),
	KUNIT_CASE_PARAM(body_length_test, type_gen_params),
	KUNIT_CASE_PARAM(flags_test, type_gen_params),
	KUNIT_CASE_PARAM(header_test, type_gen_params),
	KUNIT_CASE_PARAM(run_test, type_gen_params),
	KUNIT_CASE_PARAM(continues_test, type_gen_params),
	KUNIT_CASE(unknown_types_test),
	KUNIT_CASE(names_test),
	KUNIT_CASE(alloc_test),
	KUNIT_CASE_PARAM(range_test, type_gen_params),
	KUNIT_CASE_PARAM(sender_test, type_gen_params),
	KUNIT_CASE_PARAM(region_test, type_gen_params),
	KUNIT_CASE(answer_test),
	{}
};

static struct kunit_suite wire_suite = {
	.name = "dsm_wire",
	.suite_init = testnode_suite_init,
	.suite_exit = testnode_suite_exit,
	.exit = testnode_destroy,
	.test_cases = wire_cases,
};

kunit_test_suite(wire_suite);
