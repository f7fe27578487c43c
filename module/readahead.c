// SPDX-License-Identifier: GPL-2.0
/*
 * Readahead: which blocks to ask for before a thread needs them.
 *
 * As the page cache does it (mm/readahead.c): a miss right behind what has been
 * asked for last is a sequence, whose window doubles with every step. The first
 * block of a window is marked: a thread that comes to it, or to one behind it, has
 * another window asked for, so that two are under way while one is used.
 *
 *	[ used ][ used ][ mark, comes ][ last, comes ] next: twice as many
 *		  ^ a thread	^ when it gets here
 *
 * A few sequences are followed at a time, the one that was quiet for longest being
 * forgotten. They belong to the region: threads that go through it together, or
 * one after the other, make one.
 */
#include <linux/minmax.h>
#include <linux/spinlock.h>
#include "node.h"
#include "readahead.h"
#include "reclaim.h"
#include "region.h"

enum readahead_limits {
	READAHEAD_FIRST		= 4,		/* blocks */
	READAHEAD_BYTES_MAX	= 512 << 10,	/* a window's, whatever prefetch_blocks says */
};

void dsm_readahead_init(struct dsm_readahead *ra)
{
	unsigned int i;

	spin_lock_init(&ra->lock);
	/* The first miss continues nothing. */
	for (i = 0; i < DSM_READAHEAD_STREAMS; i++)
		ra->streams[i] = (struct dsm_stream) { .mark = U64_MAX, .next = U64_MAX };
}

/**
 * dsm_readahead_mark() - where is the next mark?
 * @ra: the region's
 * @first: the first of several blocks
 * @last: the last
 *
 * Takes no lock: what it says may be out of date, and is a hint.
 *
 * Return: the first block whose use must be reported to dsm_readahead_next(); @last + 1
 * if there is none.
 */
u64 dsm_readahead_mark(const struct dsm_readahead *ra, u64 first, u64 last)
{
	u64 found = last + 1;
	unsigned int i;

	for (i = 0; i < DSM_READAHEAD_STREAMS; i++) {
		u64 mark = READ_ONCE(ra->streams[i].mark);

		if (first < READ_ONCE(ra->streams[i].next))
			found = min(found, max(mark, first));
	}
	return found;
}

/* The stream whose window @index is in or, on a miss, the one that @index continues. */
static struct dsm_stream *stream_find(struct dsm_readahead *ra, u64 index, bool miss)
{
	unsigned int i;

	lockdep_assert_held(&ra->lock);

	for (i = 0; i < DSM_READAHEAD_STREAMS; i++) {
		struct dsm_stream *s = &ra->streams[i];

		if (miss ? index == s->next : index >= s->mark && index < s->next)
			return s;
	}
	return NULL;
}

/* A block that a stream had fetched is gone again: the stream is out of date. */
static void streams_forget(struct dsm_readahead *ra, u64 index)
{
	unsigned int i;

	lockdep_assert_held(&ra->lock);

	for (i = 0; i < DSM_READAHEAD_STREAMS; i++) {
		struct dsm_stream *s = &ra->streams[i];

		if (index < s->mark || index >= s->next)
			continue;
		WRITE_ONCE(s->mark, U64_MAX);
		WRITE_ONCE(s->next, U64_MAX);
		s->used = 0;
	}
}

static struct dsm_stream *stream_oldest(struct dsm_readahead *ra)
{
	struct dsm_stream *oldest = &ra->streams[0];
	unsigned int i;

	lockdep_assert_held(&ra->lock);

	for (i = 1; i < DSM_READAHEAD_STREAMS; i++)
		if (ra->streams[i].used < oldest->used)
			oldest = &ra->streams[i];
	return oldest;
}

/*
 * Extend @s by one window. After a miss the reader has outrun it, so the new window itself
 * gets the mark.
 */
static u32 stream_ask(struct dsm_stream *s, u64 index, bool miss, u32 max, u64 blocks, u64 *first)
{
	u32 n;

	*first = max(s->next, index + 1);
	s->window = min(max(s->window * 2, READAHEAD_FIRST), max);
	n = *first < blocks ? min_t(u64, s->window, blocks - *first) : 0;
	WRITE_ONCE(s->mark, miss ? *first : s->last);
	s->last = *first;
	WRITE_ONCE(s->next, *first + n);
	return n;
}

/**
 * dsm_readahead_next() - a thread has come to a block
 * @region: the region
 * @index: the block
 * @miss: it is not here, nor on its way
 * @first: out: the first of the blocks to ask for, if there are any
 *
 * Return: how many to ask for.
 */
u32 dsm_readahead_next(struct dsm_region *region, u64 index, bool miss, u64 *first)
{
	u32 max = min3(READ_ONCE(region->node->prefetch_blocks),
		       READAHEAD_BYTES_MAX >> region->block_shift,
		       dsm_reclaim_window(region));
	struct dsm_readahead *ra = &region->readahead;
	struct dsm_stream *s;
	u32 n = 0;

	*first = index + 1;
	if (!max)
		return 0;
	spin_lock(&ra->lock);
	if (miss)
		streams_forget(ra, index);
	s = stream_find(ra, index, miss);
	if (s) {
		n = stream_ask(s, index, miss, max, dsm_region_blocks(region), first);
	} else if (miss) {
		s = stream_oldest(ra);
		s->window = 0;
		WRITE_ONCE(s->mark, U64_MAX);
		WRITE_ONCE(s->next, index + 1);
	}
	if (s)
		s->used = ++ra->clock;
	spin_unlock(&ra->lock);
	return n;
}

/**
 * dsm_readahead_cut() - not all was asked for that was to be
 * @ra: the region's
 * @first: the first of what dsm_readahead_next() has said
 * @from: the first that was not asked for
 * @end: the end of what it has said
 *
 * A thread that comes to @from will miss, and so continue the stream.
 */
void dsm_readahead_cut(struct dsm_readahead *ra, u64 first, u64 from, u64 end)
{
	unsigned int i;

	spin_lock(&ra->lock);
	for (i = 0; i < DSM_READAHEAD_STREAMS; i++) {
		struct dsm_stream *s = &ra->streams[i];

		if (s->last == first && s->next == end)
			WRITE_ONCE(s->next, from);
	}
	spin_unlock(&ra->lock);
}
