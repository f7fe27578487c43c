/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _SIM_RANDOM_H
#define _SIM_RANDOM_H

#include "coherence.h"

/* splitmix64 (Steele, Lea, Flood 2014): eight bytes of state, so that each thread has its own. */
struct rng {
	u64 state;
};

static inline u64 rng_next(struct rng *rng)
{
	u64 z = rng->state += 0x9e3779b97f4a7c15ULL;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ z >> 27) * 0x94d049bb133111ebULL;
	return z ^ z >> 31;
}

static inline struct rng rng_seed(u64 seed, u64 stream)
{
	struct rng rng = { seed };

	rng.state = rng_next(&rng) + stream * 0xd1342543de82ef95ULL;
	rng.state = rng_next(&rng);
	return rng;
}

/* 0 to n - 1 */
static inline u64 rng_below(struct rng *rng, u64 n)
{
	return (unsigned __int128)rng_next(rng) * n >> 64;
}

/* A probability p is stored as p * 2^64. A random number below that is a hit. */
static inline bool rng_chance(struct rng *rng, u64 probability)
{
	return probability && rng_next(rng) < probability;
}

/**
 * struct dist - a distribution of times, in ns, or of bandwidths, in bit/s
 * @kind: which
 * @a: CONST: the value; UNIFORM: the least; EXP: the mean; PARETO: the least
 * @b: UNIFORM: the greatest; PARETO: the shape, in 1/1000
 */
struct dist {
	enum { DIST_CONST, DIST_UNIFORM, DIST_EXP, DIST_PARETO } kind;
	u64 a;
	u64 b;
};

u64 dist_sample(const struct dist *dist, struct rng *rng);

/* Fixed point with 32 fractional bits. No libm is used, since its last bit varies. */
u64 fixed_log2(u64 x);		/* of an integer, x > 0 */
u64 fixed_exp2(u64 x);		/* 2^-x, of a fixed point number; below 1 */

struct zipf;

struct zipf *zipf_create(u32 n, u32 permille);
void zipf_destroy(struct zipf *zipf);
u32 zipf_sample(const struct zipf *zipf, struct rng *rng);

#endif /* _SIM_RANDOM_H */
