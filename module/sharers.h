/* SPDX-License-Identifier: GPL-2.0 */
/* A directory entry's set of sharers: a bit a node. For coherence.c alone. */
#ifndef _DSM_SHARERS_H
#define _DSM_SHARERS_H

#include "coherence.h"

#define SHARER_BITS	64

static inline unsigned int sharer_words(const struct dsm_coh *coh)
{
	return (coh->nodes + SHARER_BITS - 1) / SHARER_BITS;
}

static inline void sharers_clear(struct dsm_coh *coh)
{
	unsigned int i;

	/* An empty set may be shared with other blocks: it is not written to. */
	for (i = 0; i < sharer_words(coh); i++)
		if (coh->dir->sharers[i])
			coh->dir->sharers[i] = 0;
}

static inline void sharers_add(struct dsm_coh *coh, u16 node)
{
	coh->dir->sharers[node / SHARER_BITS] |= (u64)1 << node % SHARER_BITS;
}

static inline void sharers_del(struct dsm_coh *coh, u16 node)
{
	coh->dir->sharers[node / SHARER_BITS] &= ~((u64)1 << node % SHARER_BITS);
}

/* Bits set: in pairs, in fours, in bytes, and the bytes' sum in the highest. */
static inline unsigned int weight(u64 word)
{
	word -= word >> 1 & 0x5555555555555555ULL;
	word = (word & 0x3333333333333333ULL) + (word >> 2 & 0x3333333333333333ULL);
	word = (word + (word >> 4)) & 0x0f0f0f0f0f0f0f0fULL;
	return word * 0x0101010101010101ULL >> 56;
}

static inline unsigned int sharers_count(const struct dsm_coh *coh)
{
	unsigned int i, n = 0;

	for (i = 0; i < sharer_words(coh); i++)
		n += weight(coh->dir->sharers[i]);
	return n;
}

#endif /* _DSM_SHARERS_H */
