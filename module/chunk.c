// SPDX-License-Identifier: GPL-2.0
/*
 * Chunks: a node's knowledge of a region's blocks, and of which node is the home
 * of each.
 *
 * The home of a chunk follows from the region, but under first touch. There
 * the chunk's steward, which does follow from the region, gives it to the
 * first node that asks:
 *
 *	toucher		steward
 *	   |--- CLAIM ---->|	nobody's: the toucher's from now on
 *	   |<--- HOME -----|	whose it is
 *
 * A home never changes, so what a node has heard it may keep. A node may be
 * told by others that it is the home before the steward's answer reaches it;
 * what they say waits in the chunk until then.
 */
#include <linux/mm.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/wait.h>
#include "batch.h"
#include "chunk.h"
#include "msg.h"
#include "node.h"
#include "peer.h"
#include "region.h"
#include "wait.h"

/* How many blocks a chunk has. */
u32 dsm_chunk_blocks(const struct dsm_region *region)
{
	return 1U << (DSM_CHUNK_SHIFT - region->block_shift);
}

/* A group is DSM_CHUNK_GROUP blocks. */
static struct kmem_cache *groups;

static struct dsm_block **group_of(struct dsm_region *region, struct dsm_chunk *chunk, u64 index)
{
	return &chunk->groups[(index & (dsm_chunk_blocks(region) - 1)) / DSM_CHUNK_GROUP];
}

static u32 chunk_groups(const struct dsm_region *region)
{
	return DIV_ROUND_UP(dsm_chunk_blocks(region), DSM_CHUNK_GROUP);
}

/**
 * dsm_chunk_block() - find a block
 * @region: the region
 * @chunk: the block's
 * @index: the block
 *
 * Return: the block; NULL if this node has had nothing to do with it: it is in state I, and
 * nobody has it.
 */
struct dsm_block *dsm_chunk_block(struct dsm_region *region, struct dsm_chunk *chunk, u64 index)
{
	/* Pairs with the cmpxchg() in dsm_chunk_block_get(). */
	struct dsm_block *group = READ_ONCE(*group_of(region, chunk, index));

	return group ? &group[index % DSM_CHUNK_GROUP] : NULL;
}

/*
 * In clusters of more than 64 nodes a sharer set has memory of its own only while there
 * are sharers: at the home, while the block is not one node's alone. The other blocks
 * share this set, which stays empty: the protocol writes to an empty set only to add
 * sharers, for which lock_reserved() in block.c sets memory aside.
 */
static u64 no_sharers[DSM_NODES_MAX / 64];

u64 *dsm_sharers_alloc(const struct dsm_region *region, gfp_t gfp)
{
	return kcalloc(DIV_ROUND_UP(region->node->nodes, 64), sizeof(u64), gfp | __GFP_ACCOUNT);
}

bool dsm_sharers_missing(const struct dsm_block *block)
{
	return block->dir.sharers == no_sharers;
}

static u64 *sharers_replace(struct dsm_block *block, u64 *sharers)
{
	u64 *old = block->dir.sharers;

	if (old == &block->sharers)
		return sharers;
	block->dir.sharers = sharers ?: no_sharers;
	return old == no_sharers ? NULL : old;
}

/**
 * dsm_sharers_replace() - change a block's storage for sharers
 * @block: the block, locked, with no sharers
 * @sharers: NULL for none
 *
 * Return: the old storage, for the caller to free, or NULL.
 */
u64 *dsm_sharers_replace(struct dsm_block *block, u64 *sharers)
{
	lockdep_assert_held(&block->lock);

	return sharers_replace(block, sharers);
}

static u16 home_by_policy(const struct dsm_region *region, u64 number)
{
	switch (region->home) {
	case DSM_HOME_INTERLEAVED:
		return number % region->node->nodes;
	case DSM_HOME_CREATOR:
		return region->creator;
	default:
		return DSM_NO_HOME;
	}
}

/**
 * dsm_chunk_block_get() - find a block, or make it
 * @region: the region
 * @chunk: the block's
 * @index: the block
 * @gfp: how to allocate
 *
 * Return: the block, which lives as long as the region; NULL: no memory.
 */
struct dsm_block *dsm_chunk_block_get(struct dsm_region *region, struct dsm_chunk *chunk,
				      u64 index, gfp_t gfp)
{
	struct dsm_block *block = dsm_chunk_block(region, chunk, index);
	bool one_word = region->node->nodes <= 64;
	struct dsm_block *group;
	u32 i;

	if (block)
		return block;
	group = kmem_cache_zalloc(groups, gfp | __GFP_NOWARN);
	if (!group)
		return NULL;
	for (i = 0; i < DSM_CHUNK_GROUP; i++) {
		block = &group[i];
		spin_lock_init(&block->lock);
		INIT_LIST_HEAD(&block->waiting);
		block->dir.sharers = one_word ? &block->sharers : no_sharers;
	}
	if (cmpxchg(group_of(region, chunk, index), NULL, group))
		kmem_cache_free(groups, group);
	return dsm_chunk_block(region, chunk, index);
}

static struct dsm_chunk *chunk_create(struct dsm_region *region, u64 number, gfp_t gfp)
{
	struct dsm_chunk *chunk;

	/* The caller gets an error: a container at its limit needs no stack trace for each. */
	chunk = kzalloc(struct_size(chunk, groups, chunk_groups(region)),
			gfp | __GFP_ACCOUNT | __GFP_NOWARN);
	if (!chunk)
		return NULL;
	spin_lock_init(&chunk->lock);
	INIT_LIST_HEAD(&chunk->early);
	chunk->home = home_by_policy(region, number);
	chunk->claim = DSM_NO_HOME;
	return chunk;
}

static void group_destroy(struct dsm_block *group)
{
	u32 i;

	if (!group)
		return;
	for (i = 0; i < DSM_CHUNK_GROUP; i++) {
		dsm_msg_free_list(&group[i].waiting);
		kfree(sharers_replace(&group[i], NULL));
	}
	kmem_cache_free(groups, group);
}

static void chunk_destroy(struct dsm_region *region, struct dsm_chunk *chunk)
{
	u32 i;

	dsm_msg_free_list(&chunk->early);
	for (i = 0; i < chunk_groups(region); i++)
		group_destroy(chunk->groups[i]);
	kfree(chunk);
}

struct dsm_chunk *dsm_chunk_find(struct dsm_region *region, u64 number)
{
	return xa_load(&region->chunks, number);
}

/* The chunk, made if need be. It lives as long as the region. NULL: no memory. */
struct dsm_chunk *dsm_chunk_get(struct dsm_region *region, u64 number, gfp_t gfp)
{
	struct dsm_chunk *chunk = dsm_chunk_find(region, number);
	struct dsm_chunk *other;

	if (chunk)
		return chunk;
	chunk = chunk_create(region, number, gfp);
	if (!chunk)
		return NULL;
	other = xa_cmpxchg(&region->chunks, number, NULL, chunk, gfp);
	if (!other)
		return chunk;
	chunk_destroy(region, chunk);
	return xa_is_err(other) ? NULL : other;
}

/* Have region->stale look at the chunks marked DSM_CHUNK_STALE, after a while. */
void dsm_chunk_look_stale(struct dsm_region *region)
{
	dsm_region_get(region);
	if (!queue_delayed_work(system_unbound_wq, &region->stale, DSM_CHUNK_STALE_JIFFIES))
		dsm_region_put(region);
}

/* A copy of the block was taken from this node: its frames are to be freed later. */
void dsm_chunk_mark_stale(struct dsm_region *region, struct dsm_chunk *chunk, u64 index)
{
	if (READ_ONCE(chunk->stale) || READ_ONCE(region->dead))
		return;
	WRITE_ONCE(chunk->stale, true);
	xa_set_mark(&region->chunks, dsm_region_chunk_of(region, index), DSM_CHUNK_STALE);
	dsm_chunk_look_stale(region);
}

/* Nobody can find the region any more. */
void dsm_chunks_destroy(struct dsm_region *region)
{
	struct dsm_chunk *chunk;
	unsigned long number;

	/* There may be millions. */
	xa_for_each(&region->chunks, number, chunk) {
		chunk_destroy(region, chunk);
		cond_resched();
	}
	xa_destroy(&region->chunks);
}

u16 dsm_chunk_home(const struct dsm_chunk *chunk)
{
	return READ_ONCE(chunk->home);
}

u16 dsm_chunk_steward(const struct dsm_region *region, u64 number)
{
	return number % region->node->nodes;
}

/*
 * The home is known now. Threads that wait for it go on, and so do the requests that came
 * before we knew that it is us: they were acknowledged, so they are delivered whatever
 * memory they need.
 */
static void set_home(struct dsm_chunk *chunk, u16 home, struct dsm_batch *batch)
{
	spin_lock(&chunk->lock);
	if (chunk->home == DSM_NO_HOME)
		WRITE_ONCE(chunk->home, home);
	WRITE_ONCE(chunk->claiming, false);
	/* There are none where we have asked nobody: see dsm_chunk_defer_early(). */
	if (batch)
		list_splice_tail_init(&chunk->early, &batch->local);
	spin_unlock(&chunk->lock);
	wake_up_all(dsm_waitqueue(chunk));
}

/* Ask for the chunk's home, if nobody has yet. Does not wait. */
int dsm_chunk_claim(struct dsm_region *region, struct dsm_chunk *chunk, u64 number, gfp_t gfp)
{
	u16 steward = dsm_chunk_steward(region, number);
	struct dsm_node *node = region->node;
	struct dsm_msg *msg;
	u16 home;

	if (dsm_chunk_home(chunk) != DSM_NO_HOME || READ_ONCE(chunk->claiming))
		return 0;
	if (steward == node->id) {
		spin_lock(&chunk->lock);
		if (chunk->claim == DSM_NO_HOME)
			WRITE_ONCE(chunk->claim, node->id);
		home = chunk->claim;
		spin_unlock(&chunk->lock);
		set_home(chunk, home, NULL);
		return 0;
	}
	msg = dsm_msg_alloc(gfp);
	if (!msg)
		return -ENOMEM;
	msg->type = DSM_CLAIM;
	msg->region = region->id;
	msg->block = number;
	spin_lock(&chunk->lock);
	if (chunk->claiming || chunk->home != DSM_NO_HOME) {
		spin_unlock(&chunk->lock);
		dsm_msg_free(msg);
		return 0;
	}
	WRITE_ONCE(chunk->claiming, true);
	spin_unlock(&chunk->lock);
	dsm_peer_post(node->peers[steward], msg);
	return 0;
}

/**
 * dsm_chunk_wait_home() - find out the chunk's home
 * @region: the region
 * @chunk: the chunk
 * @number: its number
 * @deadline: jiffies
 *
 * Return: 0; -EINTR, killed; -ETIMEDOUT, the steward has not answered;
 * -ENOMEM.
 */
int dsm_chunk_wait_home(struct dsm_region *region, struct dsm_chunk *chunk, u64 number,
			unsigned long deadline)
{
	int err = dsm_chunk_claim(region, chunk, number, GFP_KERNEL);

	if (err)
		return err;
	return dsm_wait_killable(dsm_waitqueue(chunk),
				 dsm_chunk_home(chunk) != DSM_NO_HOME, deadline);
}

/* The node that can say whether anybody has used a chunk. */
static u16 witness(const struct dsm_region *region, u64 number)
{
	u16 home = home_by_policy(region, number);

	return home == DSM_NO_HOME ? dsm_chunk_steward(region, number) : home;
}

/* The answer of a node that is witness(): the home, or DSM_WIRE_NOBODY. */
static u16 testify(struct dsm_region *region, u64 number)
{
	struct dsm_chunk *chunk = dsm_chunk_find(region, number);

	if (!chunk)
		return DSM_WIRE_NOBODY;
	if (region->home != DSM_HOME_FIRST_TOUCH)
		return dsm_chunk_home(chunk);
	return READ_ONCE(chunk->claim);
}

/**
 * dsm_chunk_ask() - a chunk that somebody has had to do with
 * @region: the region, whose discard_lock is held
 * @number: the chunk's number
 * @deadline: jiffies
 *
 * Return: the chunk, with its home known; NULL if nobody has ever touched it, in
 * which case nothing has been made of it here either; ERR_PTR: -EINTR, killed;
 * -ETIMEDOUT; -ENOMEM.
 */
struct dsm_chunk *dsm_chunk_ask(struct dsm_region *region, u64 number, unsigned long deadline)
{
	struct dsm_chunk *chunk = dsm_chunk_find(region, number);
	u16 from = witness(region, number);
	struct dsm_node *node = region->node;
	struct dsm_msg *msg;
	u16 home;
	int err;

	lockdep_assert_held(&region->discard_lock);

	if (chunk && dsm_chunk_home(chunk) != DSM_NO_HOME)
		return chunk;
	if (from == node->id) {
		home = testify(region, number);
	} else {
		msg = dsm_msg_alloc(GFP_KERNEL);
		if (!msg)
			return ERR_PTR(-ENOMEM);
		msg->type = DSM_CLAIM;
		msg->flags = DSM_WIRE_ASK;
		msg->req = dsm_node_next_req(node) ?: dsm_node_next_req(node);
		msg->region = region->id;
		msg->block = number;
		spin_lock(&region->ask_lock);
		region->asked = from;
		WRITE_ONCE(region->asking, msg->req);
		spin_unlock(&region->ask_lock);
		dsm_peer_post(node->peers[from], msg);
		err = dsm_wait_killable(dsm_waitqueue(region), !READ_ONCE(region->asking),
					deadline);
		/* An answer that comes after this is nobody's, and not the next question's. */
		spin_lock(&region->ask_lock);
		WRITE_ONCE(region->asking, 0);
		home = region->answer;
		spin_unlock(&region->ask_lock);
		if (err)
			return ERR_PTR(err);
	}
	if (home == DSM_WIRE_NOBODY)
		return NULL;
	chunk = dsm_chunk_get(region, number, GFP_KERNEL);
	if (!chunk)
		return ERR_PTR(-ENOMEM);
	/* If we had become the home, HOME would have come before the answer. */
	spin_lock(&chunk->lock);
	if (chunk->home == DSM_NO_HOME)
		WRITE_ONCE(chunk->home, home);
	spin_unlock(&chunk->lock);
	wake_up_all(dsm_waitqueue(chunk));
	return chunk;
}

/* An answer that nobody waits for any more is of no use. */
static int receive_answer(struct dsm_region *region, const struct dsm_msg *msg)
{
	int err = 0;

	spin_lock(&region->ask_lock);
	if (!region->asking || region->asking != msg->req)
		goto unlock;
	if (msg->from != region->asked ||
	    (msg->node != DSM_WIRE_NOBODY && msg->node >= region->node->nodes)) {
		err = -EPROTO;
		goto unlock;
	}
	region->answer = msg->node;
	WRITE_ONCE(region->asking, 0);
	wake_up_all(dsm_waitqueue(region));
unlock:
	spin_unlock(&region->ask_lock);
	return err;
}

static int receive_question(struct dsm_region *region, const struct dsm_msg *msg,
			    struct dsm_batch *batch)
{
	struct dsm_msg *reply;

	if (witness(region, msg->block) != region->node->id)
		return -EPROTO;
	reply = dsm_msg_alloc(GFP_KERNEL);
	if (!reply)
		return -ENOMEM;
	reply->type = DSM_HOME;
	reply->flags = DSM_WIRE_ASK;
	reply->node = testify(region, msg->block);
	reply->req = msg->req;
	reply->region = region->id;
	reply->block = msg->block;
	dsm_post(region->node, msg->from, reply, batch);
	return 0;
}

static int receive_claim(struct dsm_region *region, struct dsm_chunk *chunk, struct dsm_msg *msg,
			 struct dsm_batch *batch)
{
	struct dsm_node *node = region->node;
	struct dsm_msg *reply;

	if (region->home != DSM_HOME_FIRST_TOUCH ||
	    dsm_chunk_steward(region, msg->block) != node->id)
		return -EPROTO;
	reply = dsm_msg_alloc(GFP_KERNEL);
	if (!reply)
		return -ENOMEM;
	spin_lock(&chunk->lock);
	if (chunk->claim == DSM_NO_HOME)
		WRITE_ONCE(chunk->claim, msg->from);
	reply->node = chunk->claim;
	reply->type = DSM_HOME;
	reply->region = region->id;
	reply->block = msg->block;
	/* Before we know, so that nothing we say to it as the home goes before. */
	dsm_post(node, msg->from, reply, batch);
	if (chunk->home == DSM_NO_HOME)
		WRITE_ONCE(chunk->home, chunk->claim);
	spin_unlock(&chunk->lock);
	return 0;
}

int dsm_chunk_receive(struct dsm_region *region, struct dsm_msg *msg, struct dsm_batch *batch)
{
	struct dsm_node *node = region->node;
	struct dsm_chunk *chunk;

	if (msg->block >= DIV_ROUND_UP_ULL(region->size, DSM_CHUNK_SIZE))
		return -EPROTO;
	if (msg->flags & DSM_WIRE_ASK)
		return msg->type == DSM_CLAIM ? receive_question(region, msg, batch) :
						    receive_answer(region, msg);
	chunk = dsm_chunk_get(region, msg->block, GFP_KERNEL);
	if (!chunk)
		return -ENOMEM;
	if (msg->type == DSM_CLAIM)
		return receive_claim(region, chunk, msg, batch);

	if (msg->from != dsm_chunk_steward(region, msg->block) ||
	    msg->node >= node->nodes || !READ_ONCE(chunk->claiming))
		return -EPROTO;
	set_home(chunk, msg->node, batch);
	return 0;
}

/* A node asks once, until it has its answer; and not for everything at once. */
static int check_early(const struct dsm_chunk *chunk, const struct dsm_msg *msg)
{
	const struct dsm_msg *other;
	unsigned int n = 0;

	lockdep_assert_held(&chunk->lock);

	list_for_each_entry(other, &chunk->early, list) {
		if (other->from != msg->from)
			continue;
		if (other->type == msg->type && other->block == msg->block)
			return -EPROTO;
		n++;
	}
	return n < DSM_CHUNK_EARLY_MAX ? 0 : -ENOMEM;
}

/**
 * dsm_chunk_defer_early() - keep a request for which we may turn out to be the home
 * @chunk: the chunk
 * @msg: the request
 *
 * If the request has to be sent again, its node's link waits until we know the home.
 * The answer that tells us cannot be behind it: the steward says who is the home first
 * to the home, then to others, so what it waits for was on its way before.
 *
 * Return: 0; -EAGAIN, the home is known by now; -ENOMEM, the message has to be sent
 * again; -EPROTO.
 */
int dsm_chunk_defer_early(struct dsm_chunk *chunk, const struct dsm_msg *msg)
{
	struct dsm_msg *copy = dsm_msg_alloc(GFP_KERNEL);
	int err;

	if (!copy)
		return -ENOMEM;
	*copy = *msg;
	copy->must = true;
	copy->more = 0;
	spin_lock(&chunk->lock);
	if (chunk->home != DSM_NO_HOME)
		err = -EAGAIN;
	else if (!chunk->claiming)
		err = -EPROTO;
	else
		err = check_early(chunk, msg);
	if (!err)
		list_add_tail(&copy->list, &chunk->early);
	spin_unlock(&chunk->lock);
	if (err)
		dsm_msg_free(copy);
	return err;
}

int dsm_chunk_init(void)
{
	groups = kmem_cache_create("dsm_blocks", DSM_CHUNK_GROUP * sizeof(struct dsm_block), 0,
				   SLAB_ACCOUNT, NULL);
	return groups ? 0 : -ENOMEM;
}

/* Every region is gone. */
void dsm_chunk_exit(void)
{
	kmem_cache_destroy(groups);
}
