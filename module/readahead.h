/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _DSM_READAHEAD_H
#define _DSM_READAHEAD_H

#include <linux/spinlock.h>
#include <linux/types.h>

struct dsm_region;

#define DSM_READAHEAD_STREAMS	4

/**
 * struct dsm_stream - blocks that are used one after the other
 * @mark: the first block of a window: its use has the next window asked for; U64_MAX if
 *	there is none
 * @last: the first of those asked for last
 * @next: the one behind them
 * @used: by struct dsm_readahead's clock
 * @window: how many were asked for
 */
struct dsm_stream {
	u64 mark;
	u64 last;
	u64 next;
	u64 used;
	u32 window;
};

/**
 * struct dsm_readahead - a region's
 * @lock: protects what follows; @mark and @next are also read without it
 * @clock: counts what has been asked
 * @streams: the sequences that are followed
 */
struct dsm_readahead {
	spinlock_t lock;
	u64 clock;
	struct dsm_stream streams[DSM_READAHEAD_STREAMS];
};

void dsm_readahead_init(struct dsm_readahead *ra);
u64 dsm_readahead_mark(const struct dsm_readahead *ra, u64 first, u64 last);
void dsm_readahead_cut(struct dsm_readahead *ra, u64 first, u64 from, u64 end);
u32 dsm_readahead_next(struct dsm_region *region, u64 index, bool miss, u64 *first);

#endif /* _DSM_READAHEAD_H */
