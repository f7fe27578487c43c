/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _SIM_HISTOGRAM_H
#define _SIM_HISTOGRAM_H

#include "coherence.h"

/* The buckets for each power of two: percentiles are exact to 1/64. */
#define HISTOGRAM_SHIFT		6

struct histogram {
	u64 n;
	u64 sum;
	u64 max;
	u64 bucket[(64 - HISTOGRAM_SHIFT + 1) << HISTOGRAM_SHIFT];
};

static inline u32 histogram_bucket(u64 value)
{
	u32 shift;

	if (value < 1 << HISTOGRAM_SHIFT)
		return value;
	shift = 63 - __builtin_clzll(value) - HISTOGRAM_SHIFT;
	return (shift << HISTOGRAM_SHIFT) + (value >> shift);
}

static inline void histogram_add(struct histogram *histogram, u64 value)
{
	histogram->n++;
	histogram->sum += value;
	if (value > histogram->max)
		histogram->max = value;
	histogram->bucket[histogram_bucket(value)]++;
}

/* The lower bound of the bucket that contains it. */
static inline u64 histogram_percentile(const struct histogram *histogram, unsigned int percent)
{
	u64 rank = (histogram->n * percent + 99) / 100, seen = 0;
	u32 i, shift;

	for (i = 0; seen < rank; i++)
		seen += histogram->bucket[i];
	if (!i)
		return 0;
	i--;
	if (i < 2 << HISTOGRAM_SHIFT)
		return i;
	shift = (i >> HISTOGRAM_SHIFT) - 1;
	return (u64)(i - (shift << HISTOGRAM_SHIFT)) << shift;
}

#endif /* _SIM_HISTOGRAM_H */
