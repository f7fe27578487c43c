/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _DSM_TESTNODE_H
#define _DSM_TESTNODE_H

#include <kunit/test.h>
#include <linux/dsm_wire.h>
#include "../msg.h"
#include "../node.h"
#include "../peer.h"
#include "../registry.h"
#include "../table.h"

enum testnode_limits {
	TESTNODE_NODES_MAX	= 256,
	TESTNODE_SENT_MAX	= 256,
	TESTNODE_FRAME_MAX	= sizeof(struct dsm_wire_hdr) + sizeof(struct dsm_wire_region),
	TESTNODE_INCARNATION	= 77,	/* of every peer */
	TESTNODE_SESSION	= 88,	/* with every peer */
};

/**
 * struct testnode_sent - what the helper was given
 * @peer: for whom
 * @hdr: the frame's header
 * @body: what follows it
 * @offset: where the page's bytes are, or are to come
 * @data_len: how many are to be sent
 * @expect_len: how many may come
 */
struct testnode_sent {
	u16 peer;
	struct dsm_wire_hdr hdr;
	u8 body[TESTNODE_FRAME_MAX - sizeof(struct dsm_wire_hdr)];
	u64 offset;
	u32 data_len;
	u32 expect_len;
};

/**
 * struct testnode - a node, and its helper, which keeps what it is given
 * @node: the node
 * @said: the last number of each peer's frames
 * @acked: what each peer says it has received
 * @sent: what came from the node, in order
 * @n_sent: how many
 * @buffers: those that are neither sent nor freed
 * @no_buffers: so many of the next cannot be had
 * @no_sends: so many of the next are lost on the way
 * @room: frames that fit a buffer for many, and
 * @room_one: a buffer for one
 * @expects: EXPECTs
 * @forgets: FORGETs
 * @watch: called for each buffer that is sent, by whoever sends it, or NULL
 * @watch_arg: its argument
 */
struct testnode {
	struct dsm_node *node;
	u64 said[TESTNODE_NODES_MAX];
	u64 acked[TESTNODE_NODES_MAX];
	struct testnode_sent sent[TESTNODE_SENT_MAX];
	unsigned int n_sent;
	unsigned int buffers;
	unsigned int no_buffers;
	unsigned int no_sends;
	unsigned int room;
	unsigned int room_one;
	unsigned int expects;
	unsigned int forgets;
	void (*watch)(void *arg);
	void *watch_arg;
};

int testnode_suite_init(struct kunit_suite *suite);
void testnode_suite_exit(struct kunit_suite *suite);

struct testnode *testnode_create(struct kunit *test, u16 id, u16 nodes);
void testnode_destroy(struct kunit *test);

void testnode_all_up(struct testnode *tn);
void testnode_work_stop(struct dsm_peer *peer);
void testnode_acks_stop(struct testnode *tn);
int testnode_receive_as(struct testnode *tn, u16 from, const struct dsm_msg *msg, bool in_window,
			u32 view, u64 seq, u64 ack);
int testnode_receive(struct testnode *tn, u16 from, const struct dsm_msg *msg, bool in_window);

struct dsm_wire_region testnode_wire(const char *name, u64 base, u32 home);
struct dsm_region *testnode_region(struct kunit *test, u32 id, u32 home);
struct dsm_block *testnode_block(struct kunit *test, struct dsm_region *region, u64 index);

#endif /* _DSM_TESTNODE_H */
