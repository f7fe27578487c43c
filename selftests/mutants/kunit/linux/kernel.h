/* SPDX-License-Identifier: GPL-2.0 */
/* The kernel headers that the suites of the coherence core use. */
#ifndef _MUTANTS_LINUX_KERNEL_H
#define _MUTANTS_LINUX_KERNEL_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <kernel/base.h>

#define MODULE_DESCRIPTION(text) _Static_assert(1, text)
#define MODULE_LICENSE(text)	_Static_assert(1, text)

static inline void strscpy(char *to, const char *from, size_t size)
{
	snprintf(to, size, "%s", from);
}

/* ---- bitmaps ------------------------------------------------------------- */

#define DECLARE_BITMAP(name, bits)	unsigned long name[DIV_ROUND_UP(bits, 64)]

static inline void bitmap_zero(unsigned long *map, unsigned int bits)
{
	memset(map, 0, DIV_ROUND_UP(bits, 64) * sizeof(*map));
}

static inline bool test_bit(unsigned int bit, const unsigned long *map)
{
	return map[bit / 64] >> bit % 64 & 1;
}

static inline void __set_bit(unsigned int bit, unsigned long *map)
{
	map[bit / 64] |= 1UL << bit % 64;
}

static inline void __clear_bit(unsigned int bit, unsigned long *map)
{
	map[bit / 64] &= ~(1UL << bit % 64);
}

static inline unsigned int bitmap_weight(const unsigned long *map, unsigned int bits)
{
	unsigned int bit, n = 0;

	for (bit = 0; bit < bits; bit++)
		n += test_bit(bit, map);
	return n;
}

static inline bool bitmap_empty(const unsigned long *map, unsigned int bits)
{
	return !bitmap_weight(map, bits);
}

/* ---- random numbers: any sequence, but always the same ------------------ */

struct rnd_state {
	uint64_t state;
};

static inline void prandom_seed_state(struct rnd_state *rnd, uint64_t seed)
{
	rnd->state = seed;
}

/* splitmix64 */
static inline uint32_t prandom_u32_state(struct rnd_state *rnd)
{
	uint64_t z = rnd->state += 0x9e3779b97f4a7c15;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
	return z ^ (z >> 31);
}

#endif /* _MUTANTS_LINUX_KERNEL_H */
