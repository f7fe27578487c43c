// SPDX-License-Identifier: GPL-2.0
/*
 * Blocks: what follows from the protocol's events at a node, and when: threads that
 * wait, copies that are held for a while, pages that a device uses.
 */
#include <kunit/test.h>
#include <linux/completion.h>
#include <linux/highmem.h>
#include <linux/mm.h>
#include <linux/shmem_fs.h>
#include <linux/wait.h>
#include "testnode.h"
#include "../block.h"
#include "../envelope.h"
#include "../frames.h"
#include "../readahead.h"
#include "../region.h"
#include "../wait.h"

enum {
	SELF	= 1,
	HOME	= 0,
	OTHER	= 2,
	NODES	= 3,
	REGION	= 7,
	OTHER_REQ = 9,	/* of node 2's request */
	LONG	= 600,	/* seconds: that something comes, not when, is tested */
};

/**
 * struct fixture - a region of which node 0 is the home, and what the helper is told
 * @region: the region
 * @sent: completed with each buffer that is sent
 * @reply: what the home says next, type 0 for nothing
 * @work: says it
 * @err: what came of that
 */
struct fixture {
	struct testnode *tn;
	struct dsm_region *region;
	struct completion sent;
	struct dsm_coh_msg reply;
	struct work_struct work;
	struct page *poisoned;
	int err;
};

static struct fixture *fixture_create(struct kunit *test)
{
	struct fixture *fix = kunit_kzalloc(test, sizeof(*fix), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, fix);
	fix->tn = test->priv;
	fix->region = testnode_region(test, REGION, DSM_HOME_CREATOR);
	init_completion(&fix->sent);
	return fix;
}

static int block_init(struct kunit *test)
{
	struct testnode *tn = testnode_create(test, SELF, NODES);

	testnode_all_up(tn);
	testnode_acks_stop(tn);
	return 0;
}

static u64 stat_of(const struct fixture *fix, enum dsm_stat stat)
{
	return atomic64_read(&fix->region->stats[stat]);
}

static void expect_sent(struct kunit *test, struct fixture *fix, u16 to, u8 type)
{
	KUNIT_ASSERT_EQ(test, fix->tn->n_sent, 1);
	KUNIT_EXPECT_EQ(test, fix->tn->sent[0].peer, to);
	KUNIT_EXPECT_EQ(test, fix->tn->sent[0].hdr.type, type);
	fix->tn->n_sent = 0;
}

static int hear_from(struct fixture *fix, u16 from, u64 block, struct dsm_coh_msg coh)
{
	struct dsm_msg msg = { .region = REGION, .block = block };

	dsm_envelope_fill(&msg, &coh);
	return testnode_receive(fix->tn, from, &msg, false);
}

static int hear(struct fixture *fix, u64 block, struct dsm_coh_msg coh)
{
	return hear_from(fix, HOME, block, coh);
}

/* The node has the block to write, and a thread of it may not have used it yet. */
static void write_granted(struct kunit *test, struct fixture *fix, u64 block)
{
	struct dsm_coh_msg grant = {
		.type = DSM_GRANT, .flags = DSM_WIRE_MODIFIED | DSM_WIRE_ZERO,
	};

	KUNIT_ASSERT_NOT_NULL(test, dsm_chunk_get(fix->region, 0, GFP_KERNEL));
	KUNIT_ASSERT_EQ(test, dsm_block_ask(fix->region, block, true), 0);
	grant.req = le32_to_cpu(fix->tn->sent[0].hdr.req);
	expect_sent(test, fix, HOME, DSM_GET_M);
	KUNIT_ASSERT_EQ(test, hear(fix, block, grant), 0);
	/* The home knows that it is over. */
	KUNIT_ASSERT_EQ(test, fix->tn->n_sent, 0);
	KUNIT_ASSERT_TRUE(test, dsm_line_writable(&dsm_block_find(fix->region, block)->line));
}

static int forward(struct fixture *fix, u64 block, u8 type)
{
	return hear(fix, block, (struct dsm_coh_msg){
		.type = type, .node = OTHER, .req = OTHER_REQ });
}

static void watch_sent(void *arg)
{
	complete(&((struct fixture *)arg)->sent);
}

static void expect_sent_later(struct kunit *test, struct fixture *fix, u16 to, u8 type)
{
	KUNIT_ASSERT_GT(test, wait_for_completion_timeout(&fix->sent, LONG * HZ), 0);
	expect_sent(test, fix, to, type);
}

static void region_end(struct fixture *fix)
{
	struct dsm_node *node = fix->tn->node;

	mutex_lock(&node->regions_lock);
	dsm_table_remove(fix->region);
	mutex_unlock(&node->regions_lock);
}

static void expect_region_freed(struct kunit *test, struct dsm_node *node)
{
	KUNIT_EXPECT_GT(test, wait_event_timeout(*dsm_waitqueue(node),
						 !atomic_read(&node->n_regions), LONG * HZ), 0);
}

/* It has a frame. */
static void touch(struct kunit *test, struct fixture *fix, pgoff_t index)
{
	struct folio *folio = shmem_read_folio(fix->region->frames->f_mapping, index);

	KUNIT_ASSERT_FALSE(test, IS_ERR(folio));
	folio_put(folio);
	KUNIT_ASSERT_TRUE(test, dsm_frames_present(fix->region, index));
}

/* As a driver does that is about to use it for DMA. */
static struct folio *pin(struct kunit *test, struct fixture *fix, pgoff_t index)
{
	struct folio *folio = shmem_read_folio(fix->region->frames->f_mapping, index);

	KUNIT_ASSERT_FALSE(test, IS_ERR(folio));
	folio_ref_add(folio, GUP_PIN_COUNTING_BIAS);
	return folio;
}

static void unpin(struct folio *folio)
{
	folio_put_refs(folio, GUP_PIN_COUNTING_BIAS + 1);
}

/* As the kernel does with a page that has a memory error. The mark goes with the page. */
static void poison(struct kunit *test, struct fixture *fix, pgoff_t index)
{
	struct folio *folio = shmem_read_folio(fix->region->frames->f_mapping, index);

	KUNIT_ASSERT_FALSE(test, IS_ERR(folio));
	fix->poisoned = &folio->page;
	SetPageHWPoison(fix->poisoned);
}

static void unpoison(struct fixture *fix)
{
	ClearPageHWPoison(fix->poisoned);
	put_page(fix->poisoned);
}

/* ------------------------------------------------------------------------
 * Being granted access
 */

/* Of a write that others had to be told of, the home hears when it is over. */
static void done_test(struct kunit *test)
{
	struct fixture *fix = fixture_create(test);
	struct dsm_coh_msg grant = {
		.type = DSM_GRANT, .flags = DSM_WIRE_MODIFIED | DSM_WIRE_ZERO, .acks = 1,
	};
	u32 req;

	KUNIT_ASSERT_NOT_NULL(test, dsm_chunk_get(fix->region, 0, GFP_KERNEL));
	KUNIT_ASSERT_EQ(test, dsm_block_ask(fix->region, 1, true), 0);
	req = le32_to_cpu(fix->tn->sent[0].hdr.req);
	expect_sent(test, fix, HOME, DSM_GET_M);
	grant.req = req;
	KUNIT_EXPECT_EQ(test, hear(fix, 1, grant), 0);
	KUNIT_EXPECT_EQ(test, fix->tn->n_sent, 0);
	KUNIT_EXPECT_EQ(test, hear_from(fix, OTHER, 1, (struct dsm_coh_msg){
		.type = DSM_INV_ACK, .req = req }), 0);
	KUNIT_EXPECT_EQ(test, le32_to_cpu(fix->tn->sent[0].hdr.req), req);
	expect_sent(test, fix, HOME, DSM_DONE);
	KUNIT_EXPECT_TRUE(test, dsm_line_writable(&dsm_block_find(fix->region, 1)->line));
}

/* ------------------------------------------------------------------------
 * Taking access away
 */

static void revoke_test(struct kunit *test)
{
	struct fixture *fix = fixture_create(test);

	fix->tn->node->hold_us = 0;
	write_granted(test, fix, 1);
	KUNIT_EXPECT_EQ(test, forward(fix, 1, DSM_FWD_GET_M), 0);
	KUNIT_EXPECT_EQ(test, fix->tn->sent[0].hdr.flags, DSM_WIRE_MODIFIED);
	KUNIT_EXPECT_EQ(test, fix->tn->sent[0].offset, PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, fix->tn->sent[0].data_len, PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, le32_to_cpu(fix->tn->sent[0].hdr.req), OTHER_REQ);
	expect_sent(test, fix, OTHER, DSM_DATA);
	KUNIT_EXPECT_EQ(test, dsm_block_find(fix->region, 1)->line.state, DSM_LINE_I);
	KUNIT_EXPECT_EQ(test, stat_of(fix, DSM_STAT_invalidations), 1);
	KUNIT_EXPECT_EQ(test, stat_of(fix, DSM_STAT_bytes_out), PAGE_SIZE);
}

static void downgrade_test(struct kunit *test)
{
	struct fixture *fix = fixture_create(test);

	fix->tn->node->hold_us = 0;
	write_granted(test, fix, 1);
	touch(test, fix, 1);
	KUNIT_EXPECT_EQ(test, forward(fix, 1, DSM_FWD_GET_S), 0);
	KUNIT_EXPECT_EQ(test, fix->tn->sent[0].hdr.flags, 0);
	expect_sent(test, fix, OTHER, DSM_DATA);
	KUNIT_EXPECT_EQ(test, dsm_block_find(fix->region, 1)->line.state, DSM_LINE_S);
	KUNIT_EXPECT_EQ(test, stat_of(fix, DSM_STAT_downgrades), 1);
}

static bool poison_is_known(struct kunit *test)
{
	if (IS_ENABLED(CONFIG_MEMORY_FAILURE))
		return true;
	kunit_mark_skipped(test, "no CONFIG_MEMORY_FAILURE");
	return false;
}

/* What cannot be read is not sent, and its frame goes. */
static void poisoned_test(struct kunit *test)
{
	struct fixture *fix = fixture_create(test);

	if (!poison_is_known(test))
		return;
	fix->tn->node->hold_us = 0;
	write_granted(test, fix, 1);
	poison(test, fix, 1);
	KUNIT_EXPECT_EQ(test, forward(fix, 1, DSM_FWD_GET_M), 0);
	KUNIT_EXPECT_EQ(test, fix->tn->sent[0].hdr.flags, DSM_WIRE_MODIFIED);
	KUNIT_EXPECT_EQ(test, fix->tn->sent[0].data_len, 0);
	expect_sent(test, fix, OTHER, DSM_LOST);
	KUNIT_EXPECT_EQ(test, dsm_block_find(fix->region, 1)->line.state, DSM_LINE_I);
	KUNIT_EXPECT_FALSE(test, dsm_frames_present(fix->region, 1));
	KUNIT_EXPECT_EQ(test, stat_of(fix, DSM_STAT_lost), 1);
	unpoison(fix);
}

/* The error comes when the bytes are on their way: what is sent again is another thing. */
static void poisoned_on_the_way_test(struct kunit *test)
{
	struct fixture *fix = fixture_create(test);
	struct dsm_peer *peer = fix->tn->node->peers[OTHER];

	if (!poison_is_known(test))
		return;
	fix->tn->node->hold_us = 0;
	write_granted(test, fix, 1);
	write_granted(test, fix, 3);
	touch(test, fix, 1);
	touch(test, fix, 3);
	KUNIT_EXPECT_EQ(test, forward(fix, 1, DSM_FWD_GET_S), 0);
	expect_sent(test, fix, OTHER, DSM_DATA);
	KUNIT_EXPECT_EQ(test, forward(fix, 3, DSM_FWD_GET_S), 0);
	expect_sent(test, fix, OTHER, DSM_DATA);
	poison(test, fix, 1);
	dsm_peer_down(peer);
	KUNIT_EXPECT_EQ(test, dsm_peer_up(peer, TESTNODE_INCARNATION, TESTNODE_SESSION),
			0);
	KUNIT_ASSERT_EQ(test, fix->tn->n_sent, 2);
	KUNIT_EXPECT_EQ(test, fix->tn->sent[0].hdr.type, DSM_LOST);
	KUNIT_EXPECT_EQ(test, fix->tn->sent[0].data_len, 0);
	KUNIT_EXPECT_EQ(test, fix->tn->sent[1].hdr.type, DSM_DATA);
	KUNIT_EXPECT_EQ(test, stat_of(fix, DSM_STAT_lost), 1);
	unpoison(fix);
}

/* Bytes come, and the helper could not write them: the frame is another one next time. */
static void poisoned_where_it_comes_test(struct kunit *test)
{
	struct fixture *fix = fixture_create(test);
	struct dsm_msg data = { .type = DSM_DATA, .region = REGION, .block = 1,
				.data_len = PAGE_SIZE };

	if (!poison_is_known(test))
		return;
	KUNIT_ASSERT_NOT_NULL(test, dsm_chunk_get(fix->region, 0, GFP_KERNEL));
	KUNIT_ASSERT_EQ(test, dsm_block_ask(fix->region, 1, false), 0);
	data.req = le32_to_cpu(fix->tn->sent[0].hdr.req);
	expect_sent(test, fix, HOME, DSM_GET_S);
	poison(test, fix, 1);
	KUNIT_EXPECT_TRUE(test, dsm_frames_poisoned(fix->region, 1));
	KUNIT_EXPECT_EQ(test, testnode_receive(fix->tn, HOME, &data, false), -EAGAIN);
	KUNIT_EXPECT_FALSE(test, dsm_frames_poisoned(fix->region, 1));
	KUNIT_EXPECT_EQ(test, testnode_receive(fix->tn, HOME, &data, true), 0);
	KUNIT_EXPECT_TRUE(test, dsm_line_readable(&dsm_block_find(fix->region, 1)->line));
	unpoison(fix);
}

/* Others cannot read it: an access fails at once. */
static void lost_test(struct kunit *test)
{
	struct fixture *fix = fixture_create(test);
	struct dsm_coh_msg lost = { .type = DSM_LOST };

	KUNIT_ASSERT_NOT_NULL(test, dsm_chunk_get(fix->region, 0, GFP_KERNEL));
	KUNIT_ASSERT_EQ(test, dsm_block_ask(fix->region, 1, false), 0);
	lost.req = le32_to_cpu(fix->tn->sent[0].hdr.req);
	expect_sent(test, fix, HOME, DSM_GET_S);
	KUNIT_EXPECT_EQ(test, hear(fix, 1, lost), 0);
	KUNIT_EXPECT_EQ(test, dsm_block_acquire(fix->region, 1, false), -EIO);
	KUNIT_EXPECT_EQ(test, dsm_block_acquire(fix->region, 1, true), -EIO);
	KUNIT_EXPECT_FALSE(test, dsm_block_use(fix->region, dsm_block_find(fix->region, 1),
					       false, true));
	KUNIT_EXPECT_EQ(test, fix->tn->n_sent, 0);
	KUNIT_EXPECT_EQ(test, stat_of(fix, DSM_STAT_lost), 1);
	KUNIT_EXPECT_EQ(test, stat_of(fix, DSM_STAT_timeouts), 0);
}

/* Nothing is left of what is discarded. */
static void discarded_test(struct kunit *test)
{
	struct fixture *fix = fixture_create(test);
	struct dsm_coh_msg inv = { .type = DSM_INV, .flags = DSM_WIRE_ZERO, .node = HOME,
				   .req = OTHER_REQ };

	fix->tn->node->hold_us = 0;
	write_granted(test, fix, 1);
	touch(test, fix, 1);
	touch(test, fix, 2);
	KUNIT_EXPECT_EQ(test, hear(fix, 1, inv), 0);
	KUNIT_EXPECT_EQ(test, le32_to_cpu(fix->tn->sent[0].hdr.req), OTHER_REQ);
	expect_sent(test, fix, HOME, DSM_INV_ACK);
	KUNIT_EXPECT_EQ(test, dsm_block_find(fix->region, 1)->line.state, DSM_LINE_I);
	KUNIT_EXPECT_FALSE(test, dsm_frames_present(fix->region, 1));
	KUNIT_EXPECT_TRUE(test, dsm_frames_present(fix->region, 2));
	KUNIT_EXPECT_EQ(test, stat_of(fix, DSM_STAT_frames_freed), 1);
	KUNIT_EXPECT_EQ(test, stat_of(fix, DSM_STAT_invalidations), 1);
}

/* But for what another node is to get, until it has it. */
static void discarded_while_sending_test(struct kunit *test)
{
	struct fixture *fix = fixture_create(test);
	struct dsm_coh_msg inv = { .type = DSM_INV, .flags = DSM_WIRE_ZERO, .node = HOME,
				   .req = OTHER_REQ + 1 };
	struct dsm_block *block;

	fix->tn->node->hold_us = 0;
	write_granted(test, fix, 1);
	touch(test, fix, 1);
	KUNIT_EXPECT_EQ(test, forward(fix, 1, DSM_FWD_GET_S), 0);
	expect_sent(test, fix, OTHER, DSM_DATA);
	KUNIT_EXPECT_EQ(test, hear(fix, 1, inv), 0);
	expect_sent(test, fix, HOME, DSM_INV_ACK);
	block = dsm_block_find(fix->region, 1);
	KUNIT_EXPECT_EQ(test, block->line.state, DSM_LINE_I);
	KUNIT_EXPECT_TRUE(test, dsm_frames_present(fix->region, 1));
	/* It has been sent one message, and acknowledges it. */
	fix->tn->acked[OTHER] = 1;
	KUNIT_EXPECT_EQ(test, hear_from(fix, OTHER, 0, (struct dsm_coh_msg){ .type = DSM_NOP }), 0);
	KUNIT_EXPECT_GT(test, wait_event_timeout(*dsm_waitqueue(block),
						 stat_of(fix, DSM_STAT_frames_freed), LONG * HZ), 0);
	KUNIT_EXPECT_FALSE(test, dsm_frames_present(fix->region, 1));
}

/* Bytes of a copy, the same everywhere. */
static void fill(struct kunit *test, struct fixture *fix, pgoff_t index, u8 byte)
{
	struct folio *folio = shmem_read_folio(fix->region->frames->f_mapping, index);
	void *page;

	KUNIT_ASSERT_FALSE(test, IS_ERR(folio));
	page = kmap_local_folio(folio, 0);
	memset(page, byte, PAGE_SIZE);
	kunmap_local(page);
	folio_mark_dirty(folio);
	folio_put(folio);
}

static void expect_filled(struct kunit *test, struct fixture *fix, pgoff_t index, u8 byte)
{
	struct folio *folio = shmem_read_folio(fix->region->frames->f_mapping, index);
	void *page;

	KUNIT_ASSERT_FALSE(test, IS_ERR(folio));
	page = kmap_local_folio(folio, 0);
	KUNIT_EXPECT_NULL(test, memchr_inv(page, byte, PAGE_SIZE));
	kunmap_local(page);
	folio_put(folio);
}

/* What is left of a copy of long ago is not what is read when zeroes are granted. */
static void zeroes_over_stale_test(struct kunit *test)
{
	struct fixture *fix = fixture_create(test);
	struct dsm_coh_msg grant = {
		.type = DSM_GRANT, .flags = DSM_WIRE_MODIFIED | DSM_WIRE_ZERO, .req = 0x4711,
	};

	fill(test, fix, 0, 0x5a);
	fill(test, fix, 1, 0x5a);
	fill(test, fix, 2, 0x5a);
	/* A grant that nobody asked for clears nothing. */
	KUNIT_ASSERT_NOT_NULL(test, dsm_chunk_get(fix->region, 0, GFP_KERNEL));
	KUNIT_EXPECT_EQ(test, hear(fix, 1, grant), -EPROTO);
	expect_filled(test, fix, 1, 0x5a);
	write_granted(test, fix, 1);
	/* The frame is about to be used: it stays. */
	KUNIT_EXPECT_TRUE(test, dsm_frames_present(fix->region, 1));
	expect_filled(test, fix, 1, 0);
	/* Nor are its neighbours cleared. */
	expect_filled(test, fix, 0, 0x5a);
	expect_filled(test, fix, 2, 0x5a);
	/* What has no frame gets none. */
	write_granted(test, fix, 4);
	KUNIT_EXPECT_FALSE(test, dsm_frames_present(fix->region, 4));
}

/* What was just granted is not given away before the thread that asked has used it. */
static void hold_test(struct kunit *test)
{
	struct fixture *fix = fixture_create(test);
	struct dsm_block *block;

	fix->tn->node->hold_us = LONG * USEC_PER_SEC;
	write_granted(test, fix, 0);
	block = dsm_block_find(fix->region, 0);
	KUNIT_EXPECT_EQ(test, forward(fix, 0, DSM_FWD_GET_M), 0);
	KUNIT_EXPECT_EQ(test, fix->tn->n_sent, 0);
	KUNIT_EXPECT_EQ(test, stat_of(fix, DSM_STAT_held), 1);
	/* Another look at it does not end that, nor does another request. */
	KUNIT_EXPECT_TRUE(test, dsm_block_use(fix->region, block, true, false));
	KUNIT_EXPECT_EQ(test, forward(fix, 0, DSM_FWD_GET_M), -EPROTO);
	KUNIT_EXPECT_TRUE(test, dsm_line_writable(&block->line));
	fix->tn->watch = watch_sent;
	fix->tn->watch_arg = fix;
	KUNIT_EXPECT_TRUE(test, dsm_block_use(fix->region, block, true, true));
	expect_sent_later(test, fix, OTHER, DSM_DATA);
	KUNIT_EXPECT_FALSE(test, dsm_block_use(fix->region, block, false, true));
}

/* ... or until it is late. */
static void hold_over_test(struct kunit *test)
{
	struct fixture *fix = fixture_create(test);

	fix->tn->watch = watch_sent;
	fix->tn->watch_arg = fix;
	fix->tn->node->hold_us = 20 * USEC_PER_MSEC;
	write_granted(test, fix, 0);
	reinit_completion(&fix->sent);
	KUNIT_EXPECT_EQ(test, forward(fix, 0, DSM_FWD_GET_M), 0);
	expect_sent_later(test, fix, OTHER, DSM_DATA);
}

/* The region goes while a copy is held: the hold ends it as well. */
static void hold_of_dead_region_test(struct kunit *test)
{
	struct fixture *fix = fixture_create(test);

	fix->tn->node->hold_us = 20 * USEC_PER_MSEC;
	write_granted(test, fix, 0);
	KUNIT_EXPECT_EQ(test, forward(fix, 0, DSM_FWD_GET_M), 0);
	region_end(fix);
	expect_region_freed(test, fix->tn->node);
}

/* A page that a device uses is given away when it does so no more. */
static void pinned_test(struct kunit *test)
{
	struct fixture *fix = fixture_create(test);
	struct folio *folio;

	fix->tn->node->hold_us = 0;
	write_granted(test, fix, 3);
	folio = pin(test, fix, 3);
	KUNIT_EXPECT_EQ(test, forward(fix, 3, DSM_FWD_GET_M), 0);
	KUNIT_EXPECT_EQ(test, stat_of(fix, DSM_STAT_pinned), 1);
	KUNIT_EXPECT_EQ(test, fix->tn->n_sent, 0);
	KUNIT_EXPECT_FALSE(test, dsm_block_use(fix->region, dsm_block_find(fix->region, 3), false, true));
	fix->tn->watch = watch_sent;
	fix->tn->watch_arg = fix;
	unpin(folio);
	expect_sent_later(test, fix, OTHER, DSM_DATA);
	KUNIT_EXPECT_EQ(test, dsm_block_find(fix->region, 3)->line.state, DSM_LINE_I);
}

/* A device uses it for longer than the region lasts: it is not waited for. */
static void pinned_in_dead_region_test(struct kunit *test)
{
	struct fixture *fix = fixture_create(test);
	struct folio *folio;

	fix->tn->node->hold_us = 0;
	write_granted(test, fix, 3);
	folio = pin(test, fix, 3);
	KUNIT_EXPECT_EQ(test, forward(fix, 3, DSM_FWD_GET_M), 0);
	KUNIT_EXPECT_EQ(test, stat_of(fix, DSM_STAT_pinned), 1);
	region_end(fix);
	expect_region_freed(test, fix->tn->node);
	KUNIT_EXPECT_EQ(test, fix->tn->n_sent, 0);
	unpin(folio);
}

/* ------------------------------------------------------------------------
 * Threads
 */

static void reply_work(struct work_struct *work)
{
	struct fixture *fix = container_of(work, struct fixture, work);
	struct dsm_coh_msg reply = fix->reply;

	fix->reply.type = 0;
	fix->err = hear(fix, 0, reply);
}

/* The home answers the first request it is sent. */
static void watch_reply(void *arg)
{
	struct fixture *fix = arg;

	if (!fix->reply.type)
		return;
	fix->reply.req = le32_to_cpu(fix->tn->sent[fix->tn->n_sent - 1].hdr.req);
	schedule_work(&fix->work);
}

static void acquire_test(struct kunit *test)
{
	struct fixture *fix = fixture_create(test);

	fix->tn->node->timeout_ms = LONG * MSEC_PER_SEC;
	INIT_WORK(&fix->work, reply_work);
	fix->reply = (struct dsm_coh_msg){ .type = DSM_GRANT, .flags = DSM_WIRE_ZERO };
	fix->err = -EINPROGRESS;
	fix->tn->watch = watch_reply;
	fix->tn->watch_arg = fix;
	KUNIT_EXPECT_EQ(test, dsm_block_acquire(fix->region, 0, false), 0);
	flush_work(&fix->work);
	KUNIT_EXPECT_EQ(test, fix->err, 0);
	KUNIT_EXPECT_TRUE(test, dsm_block_use(fix->region, dsm_block_find(fix->region, 0), false, true));
	KUNIT_EXPECT_FALSE(test, dsm_block_use(fix->region, dsm_block_find(fix->region, 0), true, true));
	KUNIT_EXPECT_EQ(test, stat_of(fix, DSM_STAT_faults_remote_read), 1);
	KUNIT_EXPECT_EQ(test, stat_of(fix, DSM_STAT_zero_grants), 1);
	/* It is there: nobody is asked. */
	fix->tn->n_sent = 0;
	KUNIT_EXPECT_EQ(test, dsm_block_acquire(fix->region, 0, false), 0);
	KUNIT_EXPECT_EQ(test, fix->tn->n_sent, 0);
	KUNIT_EXPECT_EQ(test, stat_of(fix, DSM_STAT_faults_remote_read), 1);
}

/* Nobody answers; the request stays under way, and is not made again. */
static void timeout_test(struct kunit *test)
{
	struct fixture *fix = fixture_create(test);
	unsigned int nth;
	int err;

	fix->tn->node->timeout_ms = 1;
	/*
	 * The chunk, its place in the table, a message; then the chunk is there. With nothing
	 * to evict, each is tried twice.
	 */
	for (nth = 1;; nth++) {
		testmem_fail(nth, 2);
		err = dsm_block_acquire(fix->region, 0, true);
		testmem_fail(0, 0);
		if (err != -ENOMEM)
			break;
		KUNIT_EXPECT_EQ(test, fix->tn->n_sent, 0);
	}
	KUNIT_EXPECT_EQ(test, nth, 4);
	KUNIT_EXPECT_EQ(test, err, -ETIMEDOUT);
	expect_sent(test, fix, HOME, DSM_GET_M);
	KUNIT_EXPECT_EQ(test, dsm_block_acquire(fix->region, 0, true), -ETIMEDOUT);
	KUNIT_EXPECT_EQ(test, fix->tn->n_sent, 0);
	KUNIT_EXPECT_EQ(test, stat_of(fix, DSM_STAT_timeouts), 2);
	/* A new helper is told that its bytes may come. */
	dsm_blocks_expect(fix->region->node);
	KUNIT_EXPECT_EQ(test, fix->tn->expects, 1);
	testmem_fail(1, 1);
	KUNIT_EXPECT_EQ(test, dsm_block_acquire(fix->region, 1, true), -ETIMEDOUT);
	testmem_fail(0, 0);
	expect_sent(test, fix, HOME, DSM_GET_M);
}

/* The only frame since then asks to read so many blocks. */
static void expect_asked(struct kunit *test, struct fixture *fix, u64 block, u16 n)
{
	const struct testnode_sent *sent = &fix->tn->sent[0];

	KUNIT_ASSERT_EQ(test, fix->tn->n_sent, 1);
	KUNIT_EXPECT_EQ(test, sent->hdr.type, DSM_GET_S);
	KUNIT_EXPECT_EQ(test, le64_to_cpu(sent->hdr.block), block);
	KUNIT_EXPECT_EQ(test, le16_to_cpu(sent->hdr.more), n - 1);
	/* Of one. */
	KUNIT_EXPECT_EQ(test, sent->expect_len, PAGE_SIZE);
	fix->tn->n_sent = 0;
}

static void prefetch_test(struct kunit *test)
{
	struct fixture *fix = fixture_create(test);

	KUNIT_EXPECT_EQ(test, dsm_block_prefetch(fix->region, 10, 13, false), 0);
	expect_asked(test, fix, 10, 4);
	/* They are under way. */
	KUNIT_EXPECT_EQ(test, dsm_block_prefetch(fix->region, 10, 13, true), 0);
	KUNIT_EXPECT_EQ(test, fix->tn->n_sent, 0);
	KUNIT_EXPECT_EQ(test, stat_of(fix, DSM_STAT_prefetches), 4);
	testmem_fail(1, 1);
	KUNIT_EXPECT_EQ(test, dsm_block_prefetch(fix->region, 1000, 1000, false), -ENOMEM);
}

/* The second miss of a sequence brings those after it. */
static void sequence_test(struct kunit *test)
{
	struct fixture *fix = fixture_create(test);

	fix->tn->node->timeout_ms = 1;
	fix->tn->node->prefetch_blocks = 16;
	KUNIT_EXPECT_EQ(test, dsm_block_acquire(fix->region, 20, false), -ETIMEDOUT);
	expect_asked(test, fix, 20, 1);
	KUNIT_EXPECT_EQ(test, dsm_block_acquire(fix->region, 21, false), -ETIMEDOUT);
	expect_asked(test, fix, 21, 1 + 4);
	/* Its first one is used: the next window is asked for. */
	dsm_block_ahead(fix->region, 22, false);
	expect_asked(test, fix, 26, 8);
	/* And one after that; its others say nothing more, nor do those of the window before. */
	dsm_block_ahead(fix->region, 23, false);
	expect_asked(test, fix, 34, 16);
	dsm_block_ahead(fix->region, 24, false);
	KUNIT_EXPECT_EQ(test, fix->tn->n_sent, 0);
	/* Elsewhere nothing begins. */
	KUNIT_EXPECT_EQ(test, dsm_block_acquire(fix->region, 60, false), -ETIMEDOUT);
	expect_asked(test, fix, 60, 1);
	KUNIT_EXPECT_EQ(test, stat_of(fix, DSM_STAT_prefetches), 4 + 8 + 16);
}

/* ------------------------------------------------------------------------
 * Readahead
 */

static void expect_next(struct kunit *test, struct fixture *fix, u64 index, bool miss, u64 first,
			u32 n)
{
	u64 got = 0;

	KUNIT_EXPECT_EQ_MSG(test, dsm_readahead_next(fix->region, index, miss, &got), n,
			    "block %llu", index);
	if (n)
		KUNIT_EXPECT_EQ_MSG(test, got, first, "block %llu", index);
}

/* Windows double up to the greatest, and each is asked for from the mark of the last. */
static void windows_test(struct kunit *test)
{
	struct fixture *fix = fixture_create(test);

	fix->tn->node->prefetch_blocks = 20;
	expect_next(test, fix, 10, true, 0, 0);
	expect_next(test, fix, 11, true, 12, 4);
	KUNIT_EXPECT_EQ(test, dsm_readahead_mark(&fix->region->readahead, 0, 11), 12);
	KUNIT_EXPECT_EQ(test, dsm_readahead_mark(&fix->region->readahead, 0, 99), 12);
	KUNIT_EXPECT_EQ(test, dsm_readahead_mark(&fix->region->readahead, 14, 99), 14);
	KUNIT_EXPECT_EQ(test, dsm_readahead_mark(&fix->region->readahead, 16, 99), 100);
	/* Two windows are under way from here on. */
	expect_next(test, fix, 12, false, 16, 8);
	expect_next(test, fix, 13, false, 24, 16);
	expect_next(test, fix, 14, false, 0, 0);
	expect_next(test, fix, 16, false, 40, 20);
	KUNIT_EXPECT_EQ(test, dsm_readahead_mark(&fix->region->readahead, 16, 99), 24);
	/* Whoever comes to the middle of one has another asked for as well. */
	expect_next(test, fix, 30, false, 60, 20);
	expect_next(test, fix, 40, false, 80, 20);
	/* One who waits for what is under way is in the sequence. */
	expect_next(test, fix, 50, false, 0, 0);
	expect_next(test, fix, 60, false, 100, 20);
	/* One who is faster than the bytes misses right behind. */
	expect_next(test, fix, 120, true, 121, 20);
	expect_next(test, fix, 121, false, 141, 20);
}

/* What could not be asked for is asked for again, by who comes to it. */
static void cut_test(struct kunit *test)
{
	struct fixture *fix = fixture_create(test);
	struct dsm_readahead *ra = &fix->region->readahead;

	fix->tn->node->prefetch_blocks = 64;
	expect_next(test, fix, 10, true, 0, 0);
	expect_next(test, fix, 11, true, 12, 4);
	expect_next(test, fix, 12, false, 16, 8);
	dsm_readahead_cut(ra, 16, 18, 24);
	KUNIT_EXPECT_EQ(test, dsm_readahead_mark(ra, 17, 99), 17);
	KUNIT_EXPECT_EQ(test, dsm_readahead_mark(ra, 18, 99), 100);
	expect_next(test, fix, 18, true, 19, 16);
	/* Another sequence is not meant. */
	dsm_readahead_cut(ra, 16, 20, 24);
	expect_next(test, fix, 19, false, 35, 32);
}

/* The same memory again, that has been taken away meanwhile: from inside what was asked for. */
static void again_test(struct kunit *test)
{
	struct fixture *fix = fixture_create(test);

	fix->tn->node->prefetch_blocks = 8;
	expect_next(test, fix, 10, true, 0, 0);
	expect_next(test, fix, 11, true, 12, 4);
	expect_next(test, fix, 12, false, 16, 8);
	expect_next(test, fix, 16, false, 24, 8);
	/* Of before the mark, and of behind it. */
	expect_next(test, fix, 15, true, 0, 0);
	expect_next(test, fix, 28, true, 0, 0);
	expect_next(test, fix, 16, true, 17, 4);
	expect_next(test, fix, 17, false, 21, 8);
	expect_next(test, fix, 29, true, 30, 4);
	/* The old sequence is no more. */
	KUNIT_EXPECT_EQ(test, dsm_readahead_mark(&fix->region->readahead, 23, 28), 23);
	expect_next(test, fix, 32, true, 0, 0);
}

/* Two threads that go through the region, in turn. */
static void interleaved_test(struct kunit *test)
{
	struct fixture *fix = fixture_create(test);

	fix->tn->node->prefetch_blocks = 64;
	expect_next(test, fix, 10, true, 0, 0);
	expect_next(test, fix, 500, true, 0, 0);
	expect_next(test, fix, 11, true, 12, 4);
	expect_next(test, fix, 501, true, 502, 4);
	expect_next(test, fix, 12, false, 16, 8);
	expect_next(test, fix, 502, false, 506, 8);
	/* Random misses between do not end what is used at times. */
	expect_next(test, fix, 700, true, 0, 0);
	expect_next(test, fix, 16, false, 24, 16);
	expect_next(test, fix, 300, true, 0, 0);
	expect_next(test, fix, 506, false, 514, 16);
	expect_next(test, fix, 800, true, 0, 0);
	expect_next(test, fix, 24, false, 40, 32);
}

static void random_misses_test(struct kunit *test)
{
	struct fixture *fix = fixture_create(test);
	u64 i;

	fix->tn->node->prefetch_blocks = 64;
	for (i = 0; i < 100; i++)
		expect_next(test, fix, i * 389 % 1000 * 2, true, 0, 0);
	/* The same one again, as two threads would have it, is none either. */
	expect_next(test, fix, 7, true, 0, 0);
	expect_next(test, fix, 7, true, 0, 0);
	/* So many sequences are followed that the oldest is forgotten. */
	for (i = 0; i < DSM_READAHEAD_STREAMS; i++)
		expect_next(test, fix, 100 + 10 * i, true, 0, 0);
	expect_next(test, fix, 8, true, 0, 0);
}

static void readahead_limits_test(struct kunit *test)
{
	struct fixture *fix = fixture_create(test);
	u64 blocks = dsm_region_blocks(fix->region), first = 512;
	u32 n, bytes = 512 << 10;

	fix->tn->node->prefetch_blocks = 0;
	expect_next(test, fix, 0, true, 0, 0);
	expect_next(test, fix, 1, true, 0, 0);
	/* Less than what one begins with. */
	fix->tn->node->prefetch_blocks = 3;
	expect_next(test, fix, 2, true, 0, 0);
	expect_next(test, fix, 3, true, 4, 3);
	expect_next(test, fix, 4, false, 7, 3);
	/* The region ends. */
	fix->tn->node->prefetch_blocks = 256;
	expect_next(test, fix, blocks - 4, true, 0, 0);
	expect_next(test, fix, blocks - 3, true, blocks - 2, 2);
	expect_next(test, fix, blocks - 2, false, 0, 0);
	expect_next(test, fix, blocks - 1, true, 0, 0);
	/* So many bytes, however many blocks these are. */
	expect_next(test, fix, first, true, 0, 0);
	expect_next(test, fix, first + 1, true, first + 2, 4);
	for (first += 2, n = 4; n < bytes / PAGE_SIZE; n *= 2, first += n / 2)
		expect_next(test, fix, first, false, first + n, n * 2);
	expect_next(test, fix, first, false, first + n, bytes / PAGE_SIZE);
}

static struct kunit_case block_cases[] = {
	KUNIT_CASE(done_test),
	KUNIT_CASE(revoke_test),
	KUNIT_CASE(downgrade_test),
	KUNIT_CASE(poisoned_test),
	KUNIT_CASE(poisoned_on_the_way_test),
	KUNIT_CASE(poisoned_where_it_comes_test),
	KUNIT_CASE(lost_test),
	KUNIT_CASE(discarded_test),
	KUNIT_CASE(discarded_while_sending_test),
	KUNIT_CASE(zeroes_over_stale_test),
	KUNIT_CASE(hold_test),
	KUNIT_CASE(hold_over_test),
	KUNIT_CASE(hold_of_dead_region_test),
	KUNIT_CASE(pinned_test),
	KUNIT_CASE(pinned_in_dead_region_test),
	KUNIT_CASE(acquire_test),
	KUNIT_CASE(timeout_test),
	KUNIT_CASE(prefetch_test),
	KUNIT_CASE(sequence_test),
	KUNIT_CASE(windows_test),
	KUNIT_CASE(cut_test),
	KUNIT_CASE(again_test),
	KUNIT_CASE(interleaved_test),
	KUNIT_CASE(random_misses_test),
	KUNIT_CASE(readahead_limits_test),
	{}
};

static struct kunit_suite block_suite = {
	.name = "dsm_block",
	.suite_init = testnode_suite_init,
	.suite_exit = testnode_suite_exit,
	.init = block_init,
	.exit = testnode_destroy,
	.test_cases = block_cases,
};

kunit_test_suite(block_suite);
