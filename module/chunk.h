/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _DSM_CHUNK_H
#define _DSM_CHUNK_H

#include <linux/ktime.h>
#include <linux/list.h>
#include <linux/spinlock.h>
#include "coherence.h"

struct dsm_batch;
struct dsm_hold;
struct dsm_msg;
struct dsm_region;

#define DSM_NO_HOME	U16_MAX

/* In a region's chunks: those that may have frames of copies that were taken. */
#define DSM_CHUNK_STALE	XA_MARK_0
/* How long such frames stay at least; twice that at most. */
#define DSM_CHUNK_STALE_JIFFIES	HZ
/* ... and those that may have copies of blocks whose home is another node. */
#define DSM_CHUNK_CACHED XA_MARK_1

enum dsm_chunk_limits {
	/*
	 * Messages in a chunk's @early from one node. Further ones have to be sent
	 * again: the node is at fault, or faster than the steward; only its link waits.
	 */
	DSM_CHUNK_EARLY_MAX	= 64,
	/* Entries of blocks are allocated so many at a time. */
	DSM_CHUNK_GROUP		= 16,
};

/**
 * struct dsm_block - what this node knows of a block
 *
 * Nothing sleeps under @lock; README.md has the lock order.
 *
 * @lock: protects the rest
 * @line: our copy
 * @writes_waiting: the GET_M and DISCARD requests in @waiting
 * @dir: the home's entry; used where we are the home
 * @sharers: @dir's storage in clusters of up to 64 nodes; in larger ones, it has
 *	some of its own while there are sharers, see dsm_sharers_alloc()
 * @waiting: messages the home has deferred, in order
 * @hold: the revocation that waits for @hold_until, or for a page's pins
 * @hold_until: when a fresh grant may be taken away
 * @asked: jiffies when the request under way was made; I: when the copy was lost
 * @cached: the home is another node, and there are frames, or will be (see reclaim.c)
 * @used: a page of it was mapped, or it has come, since reclaim's clock was here last
 * @supplied: its bytes were sent to a peer, and may have to be sent again
 */
struct dsm_block {
	spinlock_t lock;
	struct dsm_line line;
	u32 writes_waiting;
	struct dsm_dir dir;
	u64 sharers;
	struct list_head waiting;
	struct dsm_hold *hold;
	ktime_t hold_until;
	unsigned long asked;
	bool cached;
	bool used;
	bool supplied;
};

/**
 * struct dsm_chunk - blocks that have one home
 * @lock: protects @home, @claim, @claiming, @early
 * @home: the home's id, or DSM_NO_HOME where it is not known (first touch).
 *	Once known it does not change.
 * @claim: at the chunk's steward: the node that has claimed it, or DSM_NO_HOME
 * @claiming: we have asked the steward
 * @stale: it is marked DSM_CHUNK_STALE
 * @cached: how many of the blocks are
 * @early: messages from nodes that know sooner than we that we are the home
 * @groups: the blocks, DSM_CHUNK_GROUP at a time; NULL as long as this node has had nothing
 *	to do with any of them. A steward needs none.
 */
struct dsm_chunk {
	spinlock_t lock;
	u16 home;
	u16 claim;
	bool claiming;
	bool stale;
	atomic_t cached;
	struct list_head early;
	struct dsm_block *groups[];
};

struct dsm_chunk *dsm_chunk_get(struct dsm_region *region, u64 number, gfp_t gfp);
struct dsm_chunk *dsm_chunk_find(struct dsm_region *region, u64 number);
void dsm_chunks_destroy(struct dsm_region *region);
u32 dsm_chunk_blocks(const struct dsm_region *region);
struct dsm_block *dsm_chunk_block(struct dsm_region *region, struct dsm_chunk *chunk, u64 index);
struct dsm_block *dsm_chunk_block_get(struct dsm_region *region, struct dsm_chunk *chunk,
				      u64 index, gfp_t gfp);

u64 *dsm_sharers_alloc(const struct dsm_region *region, gfp_t gfp);
bool dsm_sharers_missing(const struct dsm_block *block);
u64 *dsm_sharers_replace(struct dsm_block *block, u64 *sharers);

u16 dsm_chunk_home(const struct dsm_chunk *chunk);
u16 dsm_chunk_steward(const struct dsm_region *region, u64 number);
int dsm_chunk_claim(struct dsm_region *region, struct dsm_chunk *chunk, u64 number, gfp_t gfp);
int dsm_chunk_wait_home(struct dsm_region *region, struct dsm_chunk *chunk, u64 number,
			unsigned long deadline);
struct dsm_chunk *dsm_chunk_ask(struct dsm_region *region, u64 number, unsigned long deadline);
void dsm_chunk_look_stale(struct dsm_region *region);
void dsm_chunk_mark_stale(struct dsm_region *region, struct dsm_chunk *chunk, u64 index);
int dsm_chunk_receive(struct dsm_region *region, struct dsm_msg *msg, struct dsm_batch *batch);
int dsm_chunk_defer_early(struct dsm_chunk *chunk, const struct dsm_msg *msg);

int dsm_chunk_init(void);
void dsm_chunk_exit(void);

#endif /* _DSM_CHUNK_H */
