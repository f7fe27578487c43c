// SPDX-License-Identifier: GPL-2.0
/*
 * Random numbers that are the same on every machine: integers throughout.
 */
#include <stdlib.h>
#include "random.h"

#define FIXED_SHIFT	32
#define FIXED_ONE	(1ULL << FIXED_SHIFT)
#define LOG_BITS	10

/* log2(1 + i / 2^LOG_BITS), made on first use */
static u64 log_table[(1 << LOG_BITS) + 1];

/* log2 of a mantissa in [1, 2), given with 63 fractional bits; computed bit by bit. */
static u64 mantissa_log2(u64 m)
{
	u64 log = 0;
	int i;

	for (i = FIXED_SHIFT - 1; i >= 0; i--) {
		unsigned __int128 square = (unsigned __int128)m * m;

		if (square >> 127) {
			log |= 1ULL << i;
			m = square >> 64;
		} else {
			m = square >> 63;
		}
	}
	return log;
}

u64 fixed_log2(u64 x)
{
	int zeros = __builtin_clzll(x);

	return (u64)(63 - zeros) << FIXED_SHIFT | mantissa_log2(x << zeros);
}

/* Multiplies square roots of 2, as many as the number has bits. */
u64 fixed_exp2(u64 x)
{
	static u64 roots[FIXED_SHIFT];	/* 2^-(1/2), 2^-(1/4), ..., of 2^63 */
	u64 whole = x >> FIXED_SHIFT, result = 1ULL << 63;
	int i;

	if (!roots[0]) {
		for (i = 0; i < FIXED_SHIFT; i++) {
			u64 low = 0, high = 1ULL << 63;
			u64 square = i ? roots[i - 1] : 1ULL << 62;

			/* The largest number whose square is not above. */
			while (high - low > 1) {
				u64 mid = low + (high - low) / 2;

				if ((u64)((unsigned __int128)mid * mid >> 63) <= square)
					low = mid;
				else
					high = mid;
			}
			roots[i] = low;
		}
	}
	if (whole >= 63)
		return 0;
	for (i = 0; i < FIXED_SHIFT; i++)
		if (x >> (FIXED_SHIFT - 1 - i) & 1)
			result = (unsigned __int128)result * roots[i] >> 63;
	return result >> (63 - FIXED_SHIFT) >> whole;
}

/* -log2 of a uniform number in (0, 1], in fixed point, from the table. */
static u64 minus_log2(u64 random)
{
	u64 x = random | 1, index, part, log;
	int zeros = __builtin_clzll(x);

	if (!log_table[1])
		for (index = 0; index <= 1 << LOG_BITS; index++)
			log_table[index] = index >> LOG_BITS ? FIXED_ONE :
				mantissa_log2(1ULL << 63 | index << (63 - LOG_BITS));
	x <<= zeros;
	index = x << 1 >> (64 - LOG_BITS);
	part = x << (1 + LOG_BITS) >> 32;
	log = log_table[index] + ((log_table[index + 1] - log_table[index]) * part >> 32);
	return ((u64)zeros << FIXED_SHIFT) + FIXED_ONE - log;
}

u64 dist_sample(const struct dist *dist, struct rng *rng)
{
	unsigned __int128 x;

	switch (dist->kind) {
	case DIST_CONST:
		return dist->a;
	case DIST_UNIFORM:
		return dist->a + rng_below(rng, dist->b - dist->a + 1);
	case DIST_EXP:
		/* ln 2, in fixed point */
		x = (unsigned __int128)minus_log2(rng_next(rng)) * 2977044472ULL >> FIXED_SHIFT;
		return x * dist->a >> FIXED_SHIFT;
	case DIST_PARETO:
		/* a * u^(-1 / shape), at most 1000 times the minimum */
		x = (unsigned __int128)minus_log2(rng_next(rng)) * 1000 / dist->b;
		x = fixed_exp2(x);
		return x <= FIXED_ONE / 1000 ? 1000 * dist->a :
			((unsigned __int128)dist->a << FIXED_SHIFT) / x;
	}
	return 0;
}

/* Walker's alias method: one number, one look-up. */
struct zipf {
	u32 n;
	struct {
		u64 below;	/* the slot itself is drawn, of 2^32; else its alias */
		u32 alias;
	} slot[];
};

/* Weights 1 / (i + 1)^(permille / 1000). */
struct zipf *zipf_create(u32 n, u32 permille)
{
	struct zipf *zipf = malloc(sizeof(*zipf) + n * sizeof(zipf->slot[0]));
	u32 *small = malloc(n * sizeof(*small)), *large = malloc(n * sizeof(*large));
	u64 *weight = malloc(n * sizeof(*weight));
	u32 i, n_small = 0, n_large = 0;
	u64 sum = 0;

	if (!zipf || !small || !large || !weight)
		abort();
	zipf->n = n;
	for (i = 0; i < n; i++) {
		weight[i] = fixed_exp2(fixed_log2(i + 1) * permille / 1000);
		sum += weight[i];
	}
	for (i = 0; i < n; i++) {
		zipf->slot[i].below = (unsigned __int128)weight[i] * n * FIXED_ONE / sum;
		zipf->slot[i].alias = i;
		if (zipf->slot[i].below < FIXED_ONE)
			small[n_small++] = i;
		else
			large[n_large++] = i;
	}
	while (n_small && n_large) {
		u32 less = small[--n_small], more = large[n_large - 1];

		zipf->slot[less].alias = more;
		zipf->slot[more].below -= FIXED_ONE - zipf->slot[less].below;
		if (zipf->slot[more].below < FIXED_ONE) {
			n_large--;
			small[n_small++] = more;
		}
	}
	free(small);
	free(large);
	free(weight);
	return zipf;
}

void zipf_destroy(struct zipf *zipf)
{
	free(zipf);
}

u32 zipf_sample(const struct zipf *zipf, struct rng *rng)
{
	u32 i = rng_below(rng, zipf->n);

	return rng_next(rng) >> 32 < zipf->slot[i].below ? i : zipf->slot[i].alias;
}
