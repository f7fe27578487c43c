// SPDX-License-Identifier: GPL-2.0
/*
 * Regions, as a node has them that is not the registry: how they come and go,
 * who may open them, and whose their chunks are.
 */
#include <kunit/test.h>
#include <linux/cred.h>
#include <linux/err.h>
#include <linux/jiffies.h>
#include "testnode.h"
#include "../block.h"
#include "../chunk.h"
#include "../region.h"

enum {
	SELF	= 1,
	NODES	= 3,
	MANY	= 200,		/* nodes: more than a word of sharers */
	REGION	= 7,
	CHUNKS	= 4,
};

static int region_init(struct kunit *test)
{
	testnode_all_up(testnode_create(test, SELF, NODES));
	return 0;
}

static struct dsm_node *node_of(struct kunit *test)
{
	struct testnode *tn = test->priv;

	return tn->node;
}

/* What the helper was given last, and nothing else since the time before. */
static void expect_sent(struct kunit *test, u16 to, u8 type)
{
	struct testnode *tn = test->priv;

	KUNIT_ASSERT_EQ(test, tn->n_sent, 1);
	KUNIT_EXPECT_EQ(test, tn->sent[0].peer, to);
	KUNIT_EXPECT_EQ(test, tn->sent[0].hdr.type, type);
	tn->n_sent = 0;
}

static void expect_nothing_sent(struct kunit *test)
{
	struct testnode *tn = test->priv;

	KUNIT_EXPECT_EQ(test, tn->n_sent, 0);
}

/* ------------------------------------------------------------------------
 * Descriptions
 */

static void names_test(struct kunit *test)
{
	static const char * const good[] = { "a", "_", "-x", "a.b", "A-Z_09", "0" };
	static const char * const bad[] = { "", ".", "..", ".a", "a/b", "a b", "a\n", "\xc3\xa4" };
	char name[DSM_NAME_MAX + 1];
	int i;

	for (i = 0; i < ARRAY_SIZE(good); i++)
		KUNIT_EXPECT_TRUE_MSG(test, dsm_region_name_valid(good[i]), "%s", good[i]);
	for (i = 0; i < ARRAY_SIZE(bad); i++)
		KUNIT_EXPECT_FALSE_MSG(test, dsm_region_name_valid(bad[i]), "%s", bad[i]);
	memset(name, 'x', sizeof(name));
	KUNIT_EXPECT_FALSE(test, dsm_region_name_valid(name));
	name[DSM_NAME_MAX - 1] = '\0';
	KUNIT_EXPECT_TRUE(test, dsm_region_name_valid(name));
}

#define FIELD(field) offsetof(struct dsm_wire_region, field), \
		     sizeof_field(struct dsm_wire_region, field)

static const struct field_param {
	const char *name;
	u32 offset;
	u32 size;
	u64 value;
	int err;
} field_params[] = {
	{ "no name", FIELD(name), 0, -EBADMSG },
	{ "bad name", FIELD(name), '/', -EBADMSG },
	{ "size 0", FIELD(size), 0, -EBADMSG },
	{ "size of half a block", FIELD(size), PAGE_SIZE / 2, -EBADMSG },
	{ "size of a block", FIELD(size), PAGE_SIZE, 0 },
	{ "size of one and a half", FIELD(size), PAGE_SIZE + PAGE_SIZE / 2, -EBADMSG },
	{ "greatest size", FIELD(size), DSM_REGION_SIZE_MAX, 0 },
	{ "greater size", FIELD(size), DSM_REGION_SIZE_MAX + PAGE_SIZE, -EBADMSG },
	{ "lowest base", FIELD(base), DSM_ADDR_MIN, 0 },
	{ "lower base", FIELD(base), DSM_ADDR_MIN - DSM_CHUNK_SIZE, -EBADMSG },
	{ "base 0", FIELD(base), 0, -EBADMSG },
	{ "base not of a chunk", FIELD(base), DSM_ADDR_MIN + PAGE_SIZE, -EBADMSG },
	{ "highest base", FIELD(base), DSM_ADDR_MAX - CHUNKS * DSM_CHUNK_SIZE, 0 },
	{ "base that leaves no room", FIELD(base), DSM_ADDR_MAX - DSM_CHUNK_SIZE, -EBADMSG },
	{ "higher base", FIELD(base), DSM_ADDR_MAX, -EBADMSG },
	{ "highest of all", FIELD(base), -DSM_CHUNK_SIZE, -EBADMSG },
	{ "block of half a page", FIELD(block_size), PAGE_SIZE / 2, -EBADMSG },
	{ "block of two pages", FIELD(block_size), PAGE_SIZE * 2, 0 },
	{ "block of three pages", FIELD(block_size), PAGE_SIZE * 3, -EBADMSG },
	{ "greatest block", FIELD(block_size), DSM_BLOCK_SIZE_MAX, 0 },
	{ "greater block", FIELD(block_size), DSM_BLOCK_SIZE_MAX * 2, -EBADMSG },
	{ "block 0", FIELD(block_size), 0, -EBADMSG },
	{ "home default", FIELD(home), DSM_HOME_DEFAULT, -EBADMSG },
	{ "home creator", FIELD(home), DSM_HOME_CREATOR, 0 },
	{ "home unknown", FIELD(home), DSM_HOME_CREATOR + 1, -EBADMSG },
	{ "all permissions", FIELD(mode), 0777, 0 },
	{ "more than that", FIELD(mode), 01000, -EBADMSG },
	{ "last creator", FIELD(creator), NODES - 1, 0 },
	{ "no such creator", FIELD(creator), NODES, -EBADMSG },
	{ "reserved", FIELD(reserved), 1, -EBADMSG },
};

KUNIT_ARRAY_PARAM_DESC(field, field_params, name);

static void description_test(struct kunit *test)
{
	const struct field_param *param = test->param_value;
	struct dsm_wire_region wire = testnode_wire("r", 0, DSM_HOME_INTERLEAVED), out;
	__le64 value = cpu_to_le64(param->value);
	struct dsm_region *region;

	memcpy((u8 *)&wire + param->offset, &value, min_t(u32, param->size, sizeof(value)));
	region = dsm_table_create(node_of(test), REGION, &wire);
	KUNIT_ASSERT_EQ(test, PTR_ERR_OR_ZERO(region), param->err);
	KUNIT_EXPECT_EQ(test, atomic_read(&node_of(test)->n_regions), !param->err);
	if (param->err)
		return;
	dsm_table_to_wire(region, &out);
	KUNIT_EXPECT_MEMEQ(test, &out, &wire, sizeof(wire));
	dsm_region_put(region);
	KUNIT_EXPECT_EQ(test, atomic_read(&node_of(test)->n_regions), 0);
}

static void arg_test(struct kunit *test)
{
	struct dsm_region *region = testnode_region(test, REGION, DSM_HOME_CREATOR);
	struct dsm_region_arg arg;

	dsm_region_to_arg(region, &arg);
	KUNIT_EXPECT_STREQ(test, arg.name, "r7");
	KUNIT_EXPECT_EQ(test, arg.id, REGION);
	KUNIT_EXPECT_EQ(test, arg.size, region->size);
	KUNIT_EXPECT_EQ(test, arg.base, region->base);
	KUNIT_EXPECT_EQ(test, arg.block_size, PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, arg.home, DSM_HOME_CREATOR);
	KUNIT_EXPECT_EQ(test, arg.mode, 0640);
	KUNIT_EXPECT_EQ(test, arg.uid, 1000);
	KUNIT_EXPECT_EQ(test, arg.gid, 100);
	KUNIT_EXPECT_EQ(test, arg.creator, 0);
}

/* ------------------------------------------------------------------------
 * Life
 */

/* Whatever cannot be allocated, nothing is left behind, and later it can. */
static void no_memory_test(struct kunit *test)
{
	struct dsm_wire_region wire = testnode_wire("r", 0, DSM_HOME_CREATOR);
	struct dsm_node *node = node_of(test);
	struct dsm_region *region;
	unsigned int nth;

	for (nth = 1;; nth++) {
		testmem_fail(nth, 1);
		region = dsm_table_create(node, REGION, &wire);
		testmem_fail(0, 0);
		if (!IS_ERR(region))
			break;
		KUNIT_EXPECT_EQ(test, PTR_ERR(region), -ENOMEM);
		KUNIT_EXPECT_EQ(test, atomic_read(&node->n_regions), 0);
	}
	KUNIT_EXPECT_GE(test, nth, 3);
	for (nth = 1;; nth++) {
		int err;

		mutex_lock(&node->regions_lock);
		testmem_fail(nth, 1);
		err = dsm_table_insert(region);
		testmem_fail(0, 0);
		mutex_unlock(&node->regions_lock);
		if (!err)
			break;
		KUNIT_EXPECT_EQ(test, err, -ENOMEM);
		KUNIT_EXPECT_NULL(test, dsm_region_get_id(node, REGION));
		KUNIT_EXPECT_EQ(test, node->region_id_seen, 0);
	}
	KUNIT_EXPECT_GE(test, nth, 3);
	KUNIT_EXPECT_EQ(test, node->region_id_seen, REGION);
}

static int announce(struct kunit *test, u8 type, u32 id, const char *name)
{
	struct dsm_msg msg = { .type = type, .region = id };

	if (type == DSM_REGION_NEW) {
		msg.body.region = testnode_wire(name, (u64)(id % 64) << 32, DSM_HOME_CREATOR);
		msg.body_len = sizeof(msg.body.region);
	}
	return testnode_receive(test->priv, 0, &msg, false);
}

/* The registry grants the region's use, whether that was asked for or not. */
static void grant(struct kunit *test, u32 id)
{
	KUNIT_ASSERT_EQ(test, announce(test, DSM_REGION_REPLY, id, NULL), 0);
}

static void life_test(struct kunit *test)
{
	struct testnode *tn = test->priv;
	struct dsm_region *region, *again;

	testnode_acks_stop(test->priv);
	KUNIT_EXPECT_EQ(test, dsm_registry_open(tn->node, "one", false, &region), -ENOENT);
	KUNIT_ASSERT_EQ(test, announce(test, DSM_REGION_NEW, REGION, "one"), 0);
	expect_sent(test, 0, DSM_REGION_NEW_ACK);
	tn->node->timeout_ms = 1;
	KUNIT_EXPECT_EQ(test, dsm_registry_open(tn->node, "one", false, &region), -ETIMEDOUT);
	expect_sent(test, 0, DSM_REGION_USE);
	grant(test, REGION);
	KUNIT_ASSERT_EQ(test, dsm_registry_open(tn->node, "one", false, &region), 0);
	KUNIT_EXPECT_EQ(test, region->id, REGION);
	KUNIT_ASSERT_EQ(test, dsm_registry_open(tn->node, "one", true, &again), 0);
	KUNIT_EXPECT_PTR_EQ(test, region, again);
	KUNIT_EXPECT_EQ(test, atomic_read(&region->users), 2);
	/* The name is not gone: who lets go may come again. */
	dsm_region_put_user(again);
	expect_nothing_sent(test);
	grant(test, REGION);
	dsm_region_put_user(region);
	KUNIT_EXPECT_EQ(test, le32_to_cpu(tn->sent[0].hdr.req), 2);
	expect_sent(test, 0, DSM_REGION_IDLE);
	grant(test, REGION);
	KUNIT_ASSERT_EQ(test, dsm_registry_open(tn->node, "one", false, &region), 0);
	KUNIT_EXPECT_EQ(test, announce(test, DSM_REGION_FREE, REGION, NULL), -EPROTO);

	/* Gone: whoever has it keeps it. */
	KUNIT_ASSERT_EQ(test, announce(test, DSM_REGION_GONE, REGION, NULL), 0);
	expect_sent(test, 0, DSM_REGION_GONE_ACK);
	KUNIT_EXPECT_EQ(test, dsm_registry_open(tn->node, "one", false, &again), -ENOENT);
	KUNIT_EXPECT_EQ(test, announce(test, DSM_REGION_FREE, REGION, NULL), -EPROTO);
	dsm_region_get_user(region);
	dsm_region_put_user(region);
	expect_nothing_sent(test);
	mutex_lock(&tn->node->regions_lock);
	dsm_table_set_gone(region, NULL);
	mutex_unlock(&tn->node->regions_lock);

	/* Idle: it stays until nobody has it anywhere. */
	dsm_region_put_user(region);
	expect_sent(test, 0, DSM_REGION_IDLE);
	again = dsm_region_get_id(tn->node, REGION);
	KUNIT_EXPECT_PTR_EQ(test, again, region);
	/* A mapping that outlived the descriptor: idle is said once. */
	dsm_region_get_user(region);
	dsm_region_put_user(region);
	expect_nothing_sent(test);

	/* Free: what refers to it keeps its memory. */
	KUNIT_EXPECT_EQ(test, announce(test, DSM_REGION_FREE, REGION, NULL), 0);
	KUNIT_EXPECT_EQ(test, tn->forgets, 1);
	KUNIT_EXPECT_NULL(test, dsm_region_get_id(tn->node, REGION));
	KUNIT_EXPECT_TRUE(test, region->dead);
	KUNIT_EXPECT_EQ(test, atomic_read(&tn->node->n_regions), 1);
	dsm_region_put(again);
	KUNIT_EXPECT_EQ(test, atomic_read(&tn->node->n_regions), 0);
	KUNIT_EXPECT_EQ(test, announce(test, DSM_REGION_GONE, REGION, NULL), -EPROTO);
	KUNIT_EXPECT_EQ(test, announce(test, DSM_REGION_FREE, REGION, NULL), -EPROTO);
}

/* Nobody uses it when it goes: what was granted in vain is given back at once. */
static void unused_test(struct kunit *test)
{
	struct testnode *tn = test->priv;

	testnode_acks_stop(test->priv);
	KUNIT_ASSERT_EQ(test, announce(test, DSM_REGION_NEW, REGION, "one"), 0);
	grant(test, REGION);
	tn->n_sent = 0;
	KUNIT_ASSERT_EQ(test, announce(test, DSM_REGION_GONE, REGION, NULL), 0);
	KUNIT_ASSERT_EQ(test, tn->n_sent, 2);
	KUNIT_EXPECT_EQ(test, tn->sent[0].hdr.type, DSM_REGION_IDLE);
	KUNIT_EXPECT_EQ(test, tn->sent[1].hdr.type, DSM_REGION_GONE_ACK);
}

/* Numbers are given out once: a late message is of no later region. */
static void numbers_test(struct kunit *test)
{
	struct dsm_region *region;

	KUNIT_ASSERT_EQ(test, announce(test, DSM_REGION_NEW, REGION, "one"), 0);
	KUNIT_EXPECT_EQ(test, announce(test, DSM_REGION_NEW, REGION, "two"), -EPROTO);
	KUNIT_EXPECT_EQ(test, announce(test, DSM_REGION_NEW, REGION - 1, "two"), -EPROTO);
	KUNIT_ASSERT_EQ(test, announce(test, DSM_REGION_GONE, REGION, NULL), 0);
	KUNIT_ASSERT_EQ(test, announce(test, DSM_REGION_FREE, REGION, NULL), 0);
	KUNIT_EXPECT_EQ(test, announce(test, DSM_REGION_NEW, REGION, "one"), -EPROTO);
	/* A registry that has started again goes on from the time of day. */
	KUNIT_ASSERT_EQ(test, announce(test, DSM_REGION_NEW, 1700000000, "one"), 0);
	grant(test, 1700000000);
	KUNIT_ASSERT_EQ(test, dsm_registry_open(node_of(test), "one", false, &region), 0);
	KUNIT_EXPECT_EQ(test, region->id, 1700000000);
	dsm_region_put_user(region);
}

/* The name of one that is gone, but in use, may be another's. */
static void name_again_test(struct kunit *test)
{
	struct dsm_region *old, *new;

	KUNIT_ASSERT_EQ(test, announce(test, DSM_REGION_NEW, REGION, "one"), 0);
	grant(test, REGION);
	KUNIT_ASSERT_EQ(test, dsm_registry_open(node_of(test), "one", false, &old), 0);
	KUNIT_ASSERT_EQ(test, announce(test, DSM_REGION_GONE, REGION, NULL), 0);
	KUNIT_ASSERT_EQ(test, announce(test, DSM_REGION_NEW, REGION + 1, "one"), 0);
	grant(test, REGION + 1);
	KUNIT_ASSERT_EQ(test, dsm_registry_open(node_of(test), "one", false, &new), 0);
	KUNIT_EXPECT_EQ(test, new->id, REGION + 1);
	KUNIT_EXPECT_EQ(test, old->id, REGION);
	dsm_region_put_user(new);
	dsm_region_put_user(old);
}

static void table_test(struct kunit *test)
{
	struct dsm_node *node = node_of(test);
	struct dsm_region *region, *found;
	int err;

	KUNIT_EXPECT_NULL(test, dsm_region_get_after(node, 0));
	region = testnode_region(test, 9, DSM_HOME_CREATOR);
	testnode_region(test, 5, DSM_HOME_CREATOR);
	KUNIT_EXPECT_EQ(test, node->region_id_seen, 9);
	found = dsm_region_get_after(node, 0);
	KUNIT_ASSERT_NOT_NULL(test, found);
	KUNIT_EXPECT_EQ(test, found->id, 5);
	dsm_region_put(found);
	found = dsm_region_get_after(node, 5);
	KUNIT_EXPECT_PTR_EQ(test, found, region);
	dsm_region_put(found);
	KUNIT_EXPECT_NULL(test, dsm_region_get_after(node, 9));
	mutex_lock(&node->regions_lock);
	err = dsm_table_insert(region);
	mutex_unlock(&node->regions_lock);
	KUNIT_EXPECT_EQ(test, err, -EBUSY);

	/* Found by one who reads the table while the last reference goes. */
	refcount_set(&region->ref, 0);
	KUNIT_EXPECT_NULL(test, dsm_region_get_id(node, 9));
	refcount_set(&region->ref, 1);
}

static const struct permission_param {
	const char *name;
	u16 mode;
	u32 uid;
	u32 gid;
	bool root;
	bool rdonly;
	int err;
} permission_params[] = {
	{ "owner writes", 0600, 1000, 1, false, false, 0 },
	{ "owner reads", 0400, 1000, 1, false, true, 0 },
	{ "owner may only read", 0400, 1000, 1, false, false, -EACCES },
	{ "owner may only write", 0200, 1000, 1, false, false, -EACCES },
	{ "owner may less than others", 0066, 1000, 100, false, true, -EACCES },
	{ "group writes", 0060, 1, 100, false, false, 0 },
	{ "group reads", 0040, 1, 100, false, true, 0 },
	{ "group may only read", 0640, 1, 100, false, false, -EACCES },
	{ "group may less than others", 0606, 1, 100, false, true, -EACCES },
	{ "others write", 0006, 1, 1, false, false, 0 },
	{ "others read", 0004, 1, 1, false, true, 0 },
	{ "others may only read", 0664, 1, 1, false, false, -EACCES },
	{ "others may not", 0660, 1, 1, false, true, -EACCES },
	{ "root may", 0000, 0, 0, true, false, 0 },
	{ "root without capabilities may not", 0000, 0, 0, false, true, -EACCES },
};

KUNIT_ARRAY_PARAM_DESC(permission, permission_params, name);

static void permission_test(struct kunit *test)
{
	const struct permission_param *param = test->param_value;
	struct dsm_region *region = testnode_region(test, REGION, DSM_HOME_CREATOR), *out;
	struct cred *cred = prepare_creds();
	const struct cred *old;
	int err;

	KUNIT_ASSERT_NOT_NULL(test, cred);
	cred->fsuid = make_kuid(&init_user_ns, param->uid);
	cred->fsgid = make_kgid(&init_user_ns, param->gid);
	if (!param->root)
		cap_clear(cred->cap_effective);
	region->mode = param->mode;
	region->grants = 1;
	old = override_creds(cred);
	err = dsm_registry_open(node_of(test), "r7", param->rdonly, &out);
	revert_creds(old);
	put_cred(cred);
	KUNIT_EXPECT_EQ(test, err, param->err);
	KUNIT_EXPECT_EQ(test, atomic_read(&region->users), !err);
	if (!err)
		dsm_region_put_user(region);
}

/* ------------------------------------------------------------------------
 * Homes of chunks
 */

static void homes_test(struct kunit *test)
{
	struct dsm_region *creator = testnode_region(test, 1, DSM_HOME_CREATOR);
	struct dsm_region *interleaved = testnode_region(test, 2, DSM_HOME_INTERLEAVED);
	struct dsm_region *first_touch = testnode_region(test, 3, DSM_HOME_FIRST_TOUCH);
	struct dsm_chunk *chunk;
	u64 i;

	creator->creator = 2;
	for (i = 0; i < CHUNKS; i++) {
		KUNIT_EXPECT_NULL(test, dsm_chunk_find(creator, i));
		chunk = dsm_chunk_get(creator, i, GFP_KERNEL);
		KUNIT_ASSERT_NOT_NULL(test, chunk);
		KUNIT_EXPECT_EQ(test, dsm_chunk_home(chunk), 2);
		KUNIT_EXPECT_PTR_EQ(test, dsm_chunk_find(creator, i), chunk);
		KUNIT_EXPECT_PTR_EQ(test, dsm_chunk_get(creator, i, GFP_KERNEL), chunk);
		chunk = dsm_chunk_get(interleaved, i, GFP_KERNEL);
		KUNIT_ASSERT_NOT_NULL(test, chunk);
		KUNIT_EXPECT_EQ(test, dsm_chunk_home(chunk), i % NODES);
		chunk = dsm_chunk_get(first_touch, i, GFP_KERNEL);
		KUNIT_ASSERT_NOT_NULL(test, chunk);
		KUNIT_EXPECT_EQ(test, dsm_chunk_home(chunk), DSM_NO_HOME);
		KUNIT_EXPECT_EQ(test, dsm_chunk_steward(first_touch, i), i % NODES);
	}
}

static int hear(struct kunit *test, u16 from, u8 type, u64 block, u16 node, u32 req)
{
	struct dsm_msg msg = {
		.type = type, .node = node, .req = req,
		.region = REGION,
		.block = block,
	};

	return testnode_receive(test->priv, from, &msg, false);
}

/* Of a region that exists: the first block of the chunk. */
static u64 block_of(struct kunit *test, u64 chunk)
{
	struct dsm_region *region = xa_load(&node_of(test)->regions, REGION);

	return chunk << (DSM_CHUNK_SHIFT - region->block_shift);
}

/* In a cluster of many, blocks have room for sharers while they have sharers. */
static void sharers_test(struct kunit *test)
{
	struct dsm_region *region;
	struct dsm_block *block;
	unsigned int nth;
	int err;

	testnode_destroy(test);
	testnode_all_up(testnode_create(test, SELF, MANY));
	testnode_acks_stop(test->priv);
	region = testnode_region(test, REGION, DSM_HOME_INTERLEAVED);
	for (nth = 1;; nth++) {
		struct dsm_chunk *chunk;

		testmem_fail(nth, 1);
		chunk = dsm_chunk_get(region, SELF, GFP_KERNEL);
		testmem_fail(0, 0);
		if (chunk)
			break;
		KUNIT_EXPECT_NULL(test, dsm_chunk_find(region, SELF));
	}
	/* The chunk, and its place in the table. */
	KUNIT_EXPECT_EQ(test, nth, 3);

	block = testnode_block(test, region, block_of(test, SELF));
	KUNIT_EXPECT_TRUE(test, dsm_sharers_missing(block));
	KUNIT_EXPECT_EQ(test, hear(test, 0, DSM_GET_M, block_of(test, SELF), 0, 10), 0);
	KUNIT_EXPECT_EQ(test, block->dir.state, DSM_DIR_M);
	KUNIT_EXPECT_TRUE(test, dsm_sharers_missing(block));
	KUNIT_EXPECT_EQ(test, hear(test, MANY - 1, DSM_GET_S, block_of(test, SELF), 0, 11), 0);
	KUNIT_EXPECT_TRUE(test, dsm_sharers_missing(block));
	/* Messages that may be sent, but for the one that GET_S has left, and the sharers. */
	for (nth = 1;; nth++) {
		testmem_fail(nth, 1);
		err = hear(test, MANY - 1, DSM_DONE, block_of(test, SELF), 0, 11);
		testmem_fail(0, 0);
		if (!err)
			break;
		KUNIT_ASSERT_EQ(test, err, -EAGAIN);
		KUNIT_EXPECT_TRUE(test, dsm_sharers_missing(block));
	}
	KUNIT_EXPECT_EQ(test, nth, DSM_SENDS_MAX - 1 + 2);
	KUNIT_EXPECT_FALSE(test, dsm_sharers_missing(block));
	KUNIT_EXPECT_TRUE(test, dsm_sharers_has(block->dir.sharers, MANY - 1));
	KUNIT_EXPECT_EQ(test, hear(test, 0, DSM_GET_M, block_of(test, SELF), 0, 12), 0);
	KUNIT_EXPECT_FALSE(test, dsm_sharers_missing(block));
	KUNIT_EXPECT_EQ(test, hear(test, 0, DSM_DONE, block_of(test, SELF), 0, 12), 0);
	KUNIT_EXPECT_TRUE(test, dsm_sharers_missing(block));
	/* What they share has stayed empty. */
	KUNIT_EXPECT_EQ(test, dsm_sharers_next(block->dir.sharers, MANY, 0), MANY);
	/* What we answer alone is over with it, however little memory there is. */
	for (nth = 1;; nth++) {
		testmem_fail(nth, 100);
		err = hear(test, 2, DSM_GET_S, block_of(test, SELF) + 1, 0, 13);
		testmem_fail(0, 0);
		if (!err)
			break;
		KUNIT_ASSERT_EQ(test, err, -EAGAIN);
		KUNIT_EXPECT_EQ(test, block[1].dir.busy, 0);
	}
	KUNIT_EXPECT_EQ(test, nth, DSM_SENDS_MAX + 1);
	KUNIT_EXPECT_EQ(test, block[1].dir.busy, 0);
	/* Another's set goes with the region. */
	KUNIT_EXPECT_FALSE(test, dsm_sharers_missing(block + 1));
	KUNIT_EXPECT_TRUE(test, dsm_sharers_has(block[1].dir.sharers, 2));
}

static void get_chunk(void *region)
{
	dsm_chunk_get(region, 0, GFP_KERNEL);
}

/* Two find at once that there is no chunk: one of theirs is it. */
static void chunk_race_test(struct kunit *test)
{
	struct dsm_region *region = testnode_region(test, REGION, DSM_HOME_CREATOR);
	struct dsm_chunk *chunk;

	testmem_call(get_chunk, region);
	chunk = dsm_chunk_get(region, 0, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, chunk);
	KUNIT_EXPECT_PTR_EQ(test, chunk, dsm_chunk_find(region, 0));
}

/* Of a region under first touch, a chunk whose steward is @steward. */
static struct dsm_chunk *chunk_create(struct kunit *test, u16 steward)
{
	struct dsm_region *region = testnode_region(test, REGION, DSM_HOME_FIRST_TOUCH);
	struct dsm_chunk *chunk = dsm_chunk_get(region, steward, GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, chunk);
	return chunk;
}

static struct dsm_region *region_of(struct kunit *test)
{
	return xa_load(&node_of(test)->regions, REGION);
}

static void claim_own_test(struct kunit *test)
{
	struct dsm_chunk *chunk = chunk_create(test, SELF);
	struct testnode *tn = test->priv;

	testnode_acks_stop(test->priv);
	KUNIT_EXPECT_EQ(test, dsm_chunk_wait_home(region_of(test), chunk, SELF, jiffies), 0);
	KUNIT_EXPECT_EQ(test, dsm_chunk_home(chunk), SELF);
	expect_nothing_sent(test);
	/* It is ours: who asks is told so. */
	KUNIT_EXPECT_EQ(test, hear(test, 2, DSM_CLAIM, SELF, 0, 0), 0);
	KUNIT_EXPECT_EQ(test, le16_to_cpu(tn->sent[0].hdr.node), SELF);
	KUNIT_EXPECT_EQ(test, le64_to_cpu(tn->sent[0].hdr.block), SELF);
	expect_sent(test, 2, DSM_HOME);
}

/* The steward gives the chunk to whoever asks first. */
static void steward_test(struct kunit *test)
{
	struct dsm_chunk *chunk = chunk_create(test, SELF);
	struct testnode *tn = test->priv;

	testnode_acks_stop(test->priv);
	KUNIT_EXPECT_EQ(test, hear(test, 2, DSM_CLAIM, 0, 0, 0), -EPROTO);
	KUNIT_EXPECT_EQ(test, hear(test, 2, DSM_CLAIM, CHUNKS, 0, 0), -EPROTO);
	/* Not for want of memory. */
	testmem_fail(1, 1);
	KUNIT_EXPECT_EQ(test, hear(test, 0, DSM_CLAIM, SELF, 0, 0), -EAGAIN);
	KUNIT_EXPECT_EQ(test, dsm_chunk_home(chunk), DSM_NO_HOME);
	KUNIT_EXPECT_EQ(test, hear(test, 2, DSM_CLAIM, SELF, 0, 0), 0);
	KUNIT_EXPECT_EQ(test, le16_to_cpu(tn->sent[0].hdr.node), 2);
	expect_sent(test, 2, DSM_HOME);
	KUNIT_EXPECT_EQ(test, hear(test, 0, DSM_CLAIM, SELF, 0, 0), 0);
	KUNIT_EXPECT_EQ(test, le16_to_cpu(tn->sent[0].hdr.node), 2);
	expect_sent(test, 0, DSM_HOME);
	KUNIT_EXPECT_EQ(test, dsm_chunk_claim(region_of(test), chunk, SELF, GFP_KERNEL), 0);
	KUNIT_EXPECT_EQ(test, dsm_chunk_home(chunk), 2);
	expect_nothing_sent(test);
}

struct home_watch {
	struct dsm_chunk *chunk;
	u16 home;
};

static void watch_home(void *arg)
{
	struct home_watch *watch = arg;

	watch->home = dsm_chunk_home(watch->chunk);
}

/* Nobody here can say anything to the home before the home is told that it is. */
static void steward_order_test(struct kunit *test)
{
	struct home_watch watch = { .chunk = chunk_create(test, SELF) };
	struct testnode *tn = test->priv;

	testnode_acks_stop(test->priv);
	tn->watch = watch_home;
	tn->watch_arg = &watch;
	KUNIT_EXPECT_EQ(test, hear(test, 2, DSM_CLAIM, SELF, 0, 0), 0);
	expect_sent(test, 2, DSM_HOME);
	KUNIT_EXPECT_EQ(test, watch.home, DSM_NO_HOME);
	KUNIT_EXPECT_EQ(test, dsm_chunk_home(watch.chunk), 2);
}

struct answer {
	struct work_struct work;
	struct kunit *test;
	int err;
};

static void answer_work(struct work_struct *work)
{
	struct answer *answer = container_of(work, struct answer, work);

	answer->err = hear(answer->test, 2, DSM_HOME, 2, 0, 0);
}

static void answer_soon(void *answer)
{
	schedule_work(&((struct answer *)answer)->work);
}

/* Who waits for the steward's answer goes on when it comes. */
static void claim_wait_test(struct kunit *test)
{
	struct dsm_chunk *chunk = chunk_create(test, 2);
	struct answer answer = { .test = test, .err = -EINPROGRESS };
	struct testnode *tn = test->priv;

	testnode_acks_stop(test->priv);
	INIT_WORK_ONSTACK(&answer.work, answer_work);
	tn->watch = answer_soon;
	tn->watch_arg = &answer;
	KUNIT_EXPECT_EQ(test, dsm_chunk_wait_home(region_of(test), chunk, 2, jiffies + 600 * HZ), 0);
	flush_work(&answer.work);
	destroy_work_on_stack(&answer.work);
	KUNIT_EXPECT_EQ(test, answer.err, 0);
	KUNIT_EXPECT_EQ(test, dsm_chunk_home(chunk), 0);
	expect_sent(test, 2, DSM_CLAIM);
}

static void claim_test(struct kunit *test)
{
	struct dsm_chunk *chunk = chunk_create(test, 2);
	struct dsm_region *region = region_of(test);

	testnode_acks_stop(test->priv);
	KUNIT_EXPECT_EQ(test, hear(test, 2, DSM_HOME, 2, SELF, 0), -EPROTO);
	testmem_fail(1, 1);
	KUNIT_EXPECT_EQ(test, dsm_chunk_wait_home(region, chunk, 2, jiffies + HZ), -ENOMEM);
	KUNIT_EXPECT_EQ(test, dsm_chunk_wait_home(region, chunk, 2, jiffies + 1), -ETIMEDOUT);
	expect_sent(test, 2, DSM_CLAIM);
	/* Asked once. */
	KUNIT_EXPECT_EQ(test, dsm_chunk_claim(region, chunk, 2, GFP_KERNEL), 0);
	expect_nothing_sent(test);
	KUNIT_EXPECT_EQ(test, hear(test, 0, DSM_HOME, 2, 0, 0), -EPROTO);
	KUNIT_EXPECT_EQ(test, hear(test, 2, DSM_HOME, 2, NODES, 0), -EPROTO);
	testmem_fail(1, 1);
	KUNIT_EXPECT_EQ(test, hear(test, 2, DSM_HOME, 3, 0, 0), -EAGAIN);
	KUNIT_EXPECT_EQ(test, dsm_chunk_home(chunk), DSM_NO_HOME);
	KUNIT_EXPECT_EQ(test, hear(test, 2, DSM_HOME, 2, 0, 0), 0);
	KUNIT_EXPECT_EQ(test, dsm_chunk_home(chunk), 0);
	/* For good. */
	KUNIT_EXPECT_EQ(test, hear(test, 2, DSM_HOME, 2, 2, 0), -EPROTO);
	KUNIT_EXPECT_EQ(test, dsm_chunk_home(chunk), 0);
	KUNIT_EXPECT_EQ(test, dsm_chunk_wait_home(region, chunk, 2, jiffies), 0);
	expect_nothing_sent(test);
}

/* No chunk is claimed where homes follow from the region. */
static void no_claim_test(struct kunit *test)
{
	testnode_region(test, REGION, DSM_HOME_INTERLEAVED);
	KUNIT_EXPECT_EQ(test, hear(test, 2, DSM_CLAIM, SELF, 0, 0), -EPROTO);
	KUNIT_EXPECT_EQ(test, hear(test, 2, DSM_HOME, 2, SELF, 0), -EPROTO);
}

/*
 * Others know sooner than we that we are the home. What they ask for is kept,
 * and answered in order when the steward tells us, were it that there is no
 * memory for that at first.
 */
static void early_test(struct kunit *test)
{
	struct dsm_chunk *chunk = chunk_create(test, 2);
	struct testnode *tn = test->priv;
	u64 block = block_of(test, 2);

	testnode_acks_stop(test->priv);
	/* We cannot be, not having asked. */
	KUNIT_EXPECT_EQ(test, hear(test, 0, DSM_GET_S, block, 0, 11), -EPROTO);
	KUNIT_ASSERT_EQ(test, dsm_chunk_claim(region_of(test), chunk, 2, GFP_KERNEL), 0);
	expect_sent(test, 2, DSM_CLAIM);
	testmem_fail(1, 1);
	KUNIT_EXPECT_EQ(test, hear(test, 0, DSM_GET_S, block, 0, 11), -EAGAIN);
	KUNIT_EXPECT_EQ(test, hear(test, 0, DSM_INV, block, 0, 11), -EPROTO);
	KUNIT_EXPECT_EQ(test, hear(test, 0, DSM_GET_S, block, 0, 11), 0);
	KUNIT_EXPECT_EQ(test, hear(test, 2, DSM_GET_M, block, 0, 12), 0);
	KUNIT_EXPECT_EQ(test, hear(test, 2, DSM_GET_S, block + 1, 0, 13), 0);
	expect_nothing_sent(test);

	testmem_fail(1, 2);
	KUNIT_ASSERT_EQ(test, hear(test, 2, DSM_HOME, 2, SELF, 0), 0);
	testmem_fail(0, 0);
	KUNIT_EXPECT_TRUE(test, list_empty(&chunk->early));
	/* Node 0's read is over when it is answered; node 2's write then takes it away. */
	KUNIT_ASSERT_EQ(test, tn->n_sent, 4);
	KUNIT_EXPECT_EQ(test, tn->sent[0].peer, 0);
	KUNIT_EXPECT_EQ(test, tn->sent[0].hdr.type, DSM_GRANT);
	KUNIT_EXPECT_EQ(test, le32_to_cpu(tn->sent[0].hdr.req), 11);
	KUNIT_EXPECT_EQ(test, tn->sent[1].peer, 0);
	KUNIT_EXPECT_EQ(test, tn->sent[1].hdr.type, DSM_INV);
	KUNIT_EXPECT_EQ(test, le32_to_cpu(tn->sent[1].hdr.req), 12);
	KUNIT_EXPECT_EQ(test, tn->sent[2].peer, 2);
	KUNIT_EXPECT_EQ(test, tn->sent[2].hdr.type, DSM_GRANT);
	KUNIT_EXPECT_EQ(test, le32_to_cpu(tn->sent[2].hdr.req), 13);
	KUNIT_EXPECT_EQ(test, tn->sent[3].peer, 2);
	KUNIT_EXPECT_EQ(test, tn->sent[3].hdr.type, DSM_GRANT);
	KUNIT_EXPECT_EQ(test, le32_to_cpu(tn->sent[3].hdr.req), 12);
	KUNIT_EXPECT_EQ(test, hear(test, 0, DSM_DONE, block, 0, 11), -EPROTO);
	KUNIT_EXPECT_EQ(test, hear(test, 2, DSM_DONE, block + 1, 0, 13), -EPROTO);
	KUNIT_EXPECT_EQ(test, hear(test, 2, DSM_DONE, block, 0, 12), 0);
}

/*
 * A node that asks for too much before we know that we are the home, or twice, keeps no
 * more of our memory for it, and is in nobody else's way.
 */
static void early_max_test(struct kunit *test)
{
	struct dsm_chunk *chunk = chunk_create(test, 2);
	struct testnode *tn = test->priv;
	u64 block = block_of(test, 2);
	unsigned int i, sent = 0;

	testnode_acks_stop(test->priv);
	KUNIT_ASSERT_EQ(test, dsm_chunk_claim(region_of(test), chunk, 2, GFP_KERNEL), 0);
	expect_sent(test, 2, DSM_CLAIM);
	for (i = 0; i < DSM_CHUNK_EARLY_MAX; i++)
		KUNIT_EXPECT_EQ(test, hear(test, 0, DSM_GET_S, block + i, 0, 100 + i), 0);
	/* Twice: no correct node does. The same of another kind is one more. */
	KUNIT_EXPECT_EQ(test, hear(test, 0, DSM_GET_S, block, 0, 300), -EPROTO);
	KUNIT_EXPECT_EQ(test, hear(test, 0, DSM_GET_M, block, 0, 300), -EAGAIN);
	KUNIT_EXPECT_EQ(test, hear(test, 0, DSM_GET_S, block + i, 0, 300), -EAGAIN);
	KUNIT_EXPECT_EQ(test, list_count_nodes(&chunk->early), DSM_CHUNK_EARLY_MAX);
	/* Each has a number of its own. */
	KUNIT_EXPECT_EQ(test, hear(test, 2, DSM_GET_S, block, 0, 11), 0);
	KUNIT_EXPECT_EQ(test, hear(test, 2, DSM_GET_S, block, 0, 12), -EPROTO);
	KUNIT_EXPECT_EQ(test, list_count_nodes(&chunk->early), DSM_CHUNK_EARLY_MAX + 1);
	expect_nothing_sent(test);

	KUNIT_ASSERT_EQ(test, hear(test, 2, DSM_HOME, 2, SELF, 0), 0);
	KUNIT_EXPECT_TRUE(test, list_empty(&chunk->early));
	for (i = 0; i < tn->n_sent; i++)
		if (tn->sent[i].hdr.type == DSM_GRANT)
			sent += le16_to_cpu(tn->sent[i].hdr.more) + 1;
	KUNIT_EXPECT_EQ(test, sent, DSM_CHUNK_EARLY_MAX + 1);
	tn->n_sent = 0;
	/* What was refused is sent again, and served. */
	KUNIT_EXPECT_EQ(test, hear(test, 0, DSM_GET_S, block + DSM_CHUNK_EARLY_MAX, 0, 300), 0);
	expect_sent(test, 0, DSM_GRANT);
}

/* They were wrong: what they asked for is dropped. */
static void early_elsewhere_test(struct kunit *test)
{
	struct dsm_chunk *chunk = chunk_create(test, 2);

	testnode_acks_stop(test->priv);
	KUNIT_ASSERT_EQ(test, dsm_chunk_claim(region_of(test), chunk, 2, GFP_KERNEL), 0);
	expect_sent(test, 2, DSM_CLAIM);
	KUNIT_EXPECT_EQ(test, hear(test, 0, DSM_GET_S, block_of(test, 2), 0, 11), 0);
	KUNIT_EXPECT_EQ(test, hear(test, 2, DSM_HOME, 2, 2, 0), 0);
	KUNIT_EXPECT_TRUE(test, list_empty(&chunk->early));
	expect_nothing_sent(test);
}

/* The region goes before the steward answers, and with requests that wait. */
static void early_destroyed_test(struct kunit *test)
{
	struct dsm_chunk *chunk = chunk_create(test, 2);
	u64 block = block_of(test, 2);

	KUNIT_ASSERT_EQ(test, dsm_chunk_claim(region_of(test), chunk, 2, GFP_KERNEL), 0);
	KUNIT_EXPECT_EQ(test, hear(test, 0, DSM_GET_S, block, 0, 11), 0);
	KUNIT_ASSERT_NOT_NULL(test, dsm_chunk_get(region_of(test), SELF, GFP_KERNEL));
	KUNIT_EXPECT_EQ(test, hear(test, 2, DSM_CLAIM, SELF, 0, 0), 0);
	/* testnode_destroy() looks for what is left. */
}

static void tell_home(void *region)
{
	struct dsm_msg msg = {
		.type = DSM_HOME, .from = 2, .node = SELF,
		.region = REGION,
		.block = 2,
	};

	struct dsm_batch batch;

	dsm_batch_init(&batch);
	dsm_chunk_receive(region, &msg, &batch);
	dsm_batch_end(&batch, ((struct dsm_region *)region)->node);
}

/* The steward's answer comes while a request is being put aside. */
static void early_race_test(struct kunit *test)
{
	struct dsm_chunk *chunk = chunk_create(test, 2);

	testnode_acks_stop(test->priv);
	KUNIT_ASSERT_EQ(test, dsm_chunk_claim(region_of(test), chunk, 2, GFP_KERNEL), 0);
	expect_sent(test, 2, DSM_CLAIM);
	testmem_call(tell_home, region_of(test));
	KUNIT_EXPECT_EQ(test, hear(test, 0, DSM_GET_S, block_of(test, 2), 0, 11), 0);
	expect_sent(test, 0, DSM_GRANT);
}

/* Requests that wait at a home when the region goes. */
static void waiting_destroyed_test(struct kunit *test)
{
	struct dsm_region *region = testnode_region(test, REGION, DSM_HOME_INTERLEAVED);
	u64 block = block_of(test, SELF);

	KUNIT_EXPECT_EQ(test, hear(test, 0, DSM_GET_S, block, 0, 11), 0);
	KUNIT_EXPECT_EQ(test, hear(test, 2, DSM_GET_M, block, 0, 12), 0);
	KUNIT_EXPECT_EQ(test, hear(test, 0, DSM_GET_M, block, 0, 13), 0);
	KUNIT_EXPECT_FALSE(test, list_empty(&dsm_block_find(region, block)->waiting));
}

static struct kunit_case region_cases[] = {
	KUNIT_CASE(names_test),
	KUNIT_CASE_PARAM(description_test, field_gen_params),
	KUNIT_CASE(arg_test),
	KUNIT_CASE(no_memory_test),
	KUNIT_CASE(life_test),
	KUNIT_CASE(unused_test),
	KUNIT_CASE(numbers_test),
	KUNIT_CASE(name_again_test),
	KUNIT_CASE(table_test),
	KUNIT_CASE_PARAM(permission_test, permission_gen_params),
	KUNIT_CASE(homes_test),
	KUNIT_CASE(sharers_test),
	KUNIT_CASE(chunk_race_test),
	KUNIT_CASE(claim_own_test),
	KUNIT_CASE(steward_test),
	KUNIT_CASE(steward_order_test),
	KUNIT_CASE(claim_wait_test),
	KUNIT_CASE(claim_test),
	KUNIT_CASE(no_claim_test),
	KUNIT_CASE(early_test),
	KUNIT_CASE(early_max_test),
	KUNIT_CASE(early_elsewhere_test),
	KUNIT_CASE(early_destroyed_test),
	KUNIT_CASE(early_race_test),
	KUNIT_CASE(waiting_destroyed_test),
	{}
};

static struct kunit_suite region_suite = {
	.name = "dsm_region",
	.suite_init = testnode_suite_init,
	.suite_exit = testnode_suite_exit,
	.init = region_init,
	.exit = testnode_destroy,
	.test_cases = region_cases,
};

kunit_test_suite(region_suite);
