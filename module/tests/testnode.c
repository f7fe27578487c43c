// SPDX-License-Identifier: GPL-2.0
/*
 * A node of the module's own making, in the first network namespace, with
 * a helper in place of netlink: what the node sends is kept for the test to
 * look at, and what its peers say is made by the test.
 */
#include <linux/slab.h>
#include <net/net_namespace.h>
#include "testnode.h"
#include "../chunk.h"
#include "../discard.h"
#include "../frames.h"
#include "../hold.h"
#include "../link.h"
#include "../netns.h"
#include "../reclaim.h"
#include "../region.h"
#include "../sysfs.h"
#include "../table.h"
#include "../wait.h"

/* The one there is; tests run one after another. */
static struct testnode *helper;

/* In place of a netlink buffer. */
struct buffer {
	unsigned int room;
	unsigned int n;
	struct testnode_sent sent[];
};

static struct sk_buff *buffer_new(const struct dsm_msg *msg)
{
	unsigned int room = msg ? helper->room_one : helper->room;
	struct buffer *buffer;

	if (helper->no_buffers) {
		helper->no_buffers--;
		return NULL;
	}
	buffer = kmalloc(struct_size(buffer, sent, room), GFP_ATOMIC);
	if (!buffer)
		return NULL;
	buffer->room = room;
	buffer->n = 0;
	helper->buffers++;
	return (struct sk_buff *)buffer;
}

static void buffer_free(struct sk_buff *skb)
{
	helper->buffers--;
	kfree(skb);
}

static int buffer_put(struct sk_buff *skb, struct dsm_node *node, u16 peer,
		      const struct dsm_msg *msg, u64 ack)
{
	struct buffer *buffer = (struct buffer *)skb;
	u8 frame[TESTNODE_FRAME_MAX] = {};
	struct testnode_sent *sent;

	if (buffer->n == buffer->room)
		return -EMSGSIZE;
	sent = &buffer->sent[buffer->n++];
	sent->peer = peer;
	dsm_msg_encode(msg, node->id, node->view, ack, frame);
	memcpy(&sent->hdr, frame, sizeof(sent->hdr));
	memcpy(sent->body, frame + sizeof(sent->hdr), sizeof(sent->body));
	sent->offset = msg->offset;
	sent->data_len = msg->data_len;
	sent->expect_len = msg->expect_len;
	return 0;
}

static int buffer_send(struct dsm_node *node, struct sk_buff *skb)
{
	struct buffer *buffer = (struct buffer *)skb;
	int err = 0;

	if (!READ_ONCE(node->helper)) {
		err = -ENOTCONN;
	} else if (helper->no_sends) {
		helper->no_sends--;
		err = -EAGAIN;
	} else if (!WARN_ON(helper->n_sent + buffer->n > TESTNODE_SENT_MAX)) {
		memcpy(&helper->sent[helper->n_sent], buffer->sent,
		       buffer->n * sizeof(*buffer->sent));
		helper->n_sent += buffer->n;
		if (helper->watch)
			helper->watch(helper->watch_arg);
	}
	buffer_free(skb);
	return err;
}

static int send_expect(struct dsm_node *node, u32 region, u64 offset, u32 length, u32 req)
{
	helper->expects++;
	return 0;
}

static void send_forget(struct dsm_node *node, u32 region)
{
	helper->forgets++;
}

static const struct dsm_carrier carrier = {
	.new	= buffer_new,
	.put	= buffer_put,
	.free	= buffer_free,
	.send	= buffer_send,
	.expect	= send_expect,
	.forget	= send_forget,
};

/* What main.c does, but for the node, which each test has its own of. */
int testnode_suite_init(struct kunit_suite *suite)
{
	dsm_wait_init();
	return dsm_msg_init() ?: dsm_frames_init(dsm_discard) ?: dsm_chunk_init() ?:
	       dsm_hold_init() ?: dsm_reclaim_init() ?: dsm_sysfs_init();
}

void testnode_suite_exit(struct kunit_suite *suite)
{
	dsm_sysfs_exit();
	dsm_reclaim_exit();
	dsm_hold_exit();
	dsm_chunk_exit();
	dsm_frames_exit();
	/* Regions are freed by RCU. */
	rcu_barrier();
	dsm_msg_exit();
}

/* The node becomes test->priv, and is to be destroyed by the suite's exit. */
struct testnode *testnode_create(struct kunit *test, u16 id, u16 nodes)
{
	struct testnode *tn = kunit_kzalloc(test, sizeof(*tn), GFP_KERNEL);
	int err;

	KUNIT_ASSERT_NOT_NULL(test, tn);
	KUNIT_ASSERT_EQ(test, dsm_netns_init(&carrier), 0);
	tn->node = dsm_node_of(&init_net);
	tn->room = 8;
	tn->room_one = 1;
	helper = tn;
	test->priv = tn;
	mutex_lock(&tn->node->helper_lock);
	err = tn->node->link->configure(tn->node, id, nodes);
	mutex_unlock(&tn->node->helper_lock);
	KUNIT_ASSERT_EQ(test, err, 0);
	tn->node->helper = 1;
	return tn;
}

void testnode_destroy(struct kunit *test)
{
	struct testnode *tn = test->priv;

	testmem_fail(0, 0);
	testmem_call(NULL, NULL);
	if (!tn)
		return;
	dsm_netns_exit();
	KUNIT_EXPECT_EQ(test, tn->buffers, 0);
}

void testnode_all_up(struct testnode *tn)
{
	u16 id;

	for (id = 0; id < tn->node->nodes; id++)
		if (id != tn->node->id)
			dsm_peer_up(tn->node->peers[id], TESTNODE_INCARNATION, TESTNODE_SESSION);
}

/* A peer's work is not done but by the test. */
void testnode_work_stop(struct dsm_peer *peer)
{
	disable_delayed_work_sync(&peer->work);
	disable_delayed_work_sync(&peer->resend_work);
	disable_delayed_work_sync(&peer->park.work);
}

/* ACKs would come between, after a while. What cannot be sent is not tried again. */
void testnode_acks_stop(struct testnode *tn)
{
	u16 id;

	for (id = 0; id < tn->node->nodes; id++)
		if (id != tn->node->id)
			testnode_work_stop(tn->node->peers[id]);
}

int testnode_receive_as(struct testnode *tn, u16 from, const struct dsm_msg *msg, bool in_window,
			u32 view, u64 seq, u64 ack)
{
	u8 frame[TESTNODE_FRAME_MAX];
	struct dsm_msg numbered = *msg;

	numbered.seq = seq;
	dsm_msg_encode(&numbered, from, view, ack, frame);
	return dsm_peer_receive(tn->node->peers[from], frame, dsm_msg_encode_len(msg), in_window);
}

/* The peer's next message; it keeps the number if it is not taken. */
int testnode_receive(struct testnode *tn, u16 from, const struct dsm_msg *msg, bool in_window)
{
	int err = testnode_receive_as(tn, from, msg, in_window, tn->node->view, tn->said[from] + 1,
				      tn->acked[from]);

	if (!err)
		tn->said[from]++;
	return err;
}

/* Three chunks and a half, of pages; made by node 0. */
struct dsm_wire_region testnode_wire(const char *name, u64 base, u32 home)
{
	struct dsm_wire_region wire = {
		.size = cpu_to_le64(3 * DSM_CHUNK_SIZE + DSM_CHUNK_SIZE / 2),
		.base = cpu_to_le64(DSM_ADDR_MIN + base),
		.block_size = cpu_to_le32(PAGE_SIZE),
		.home = cpu_to_le32(home),
		.mode = cpu_to_le32(0640),
		.uid = cpu_to_le32(1000),
		.gid = cpu_to_le32(100),
	};

	strscpy(wire.name, name, sizeof(wire.name));
	return wire;
}

/* A region that is in the node's table, which has the only reference. */
struct dsm_region *testnode_region(struct kunit *test, u32 id, u32 home)
{
	struct testnode *tn = test->priv;
	struct dsm_wire_region wire = testnode_wire("", (u64)id << 32, home);
	struct dsm_region *region;
	int err;

	snprintf(wire.name, sizeof(wire.name), "r%u", id);
	region = dsm_table_create(tn->node, id, &wire);
	KUNIT_ASSERT_FALSE(test, IS_ERR(region));
	mutex_lock(&tn->node->regions_lock);
	err = dsm_table_insert(region);
	mutex_unlock(&tn->node->regions_lock);
	KUNIT_ASSERT_EQ(test, err, 0);
	return region;
}

/* A block that this node may have had nothing to do with yet. */
struct dsm_block *testnode_block(struct kunit *test, struct dsm_region *region, u64 index)
{
	struct dsm_chunk *chunk = dsm_chunk_get(region, dsm_region_chunk_of(region, index),
						GFP_KERNEL);
	struct dsm_block *block;

	KUNIT_ASSERT_NOT_NULL(test, chunk);
	block = dsm_chunk_block_get(region, chunk, index, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, block);
	return block;
}
