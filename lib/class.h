/* SPDX-License-Identifier: MIT */
/*
 * Size classes. Nominal sizes are the multiples of 16 up to 128 bytes, then 4 to each
 * doubling. There are four kinds of classes (canary.h says what the canaries are for):
 *
 *	front	objects of up to 136 bytes. A slot is the nominal size and 16 bytes more, and
 *		the last 8 bytes of a slot are the canary in front of the next object. 16 bytes
 *		at the start of the slab hold the first object's. An object of the nominal size
 *		n may have n + 8 bytes.
 *	middle	objects of up to 1024 bytes, without a canary.
 *	exact	larger objects, which may have a canary behind them.
 *	plain	as front, but without a canary: for an alignment of more than 16, and in a heap
 *		that has no canaries.
 *
 * Except for front, a slot is of the nominal size.
 */
#ifndef _DSM_CLASS_H
#define _DSM_CLASS_H

#include "layout.h"

static inline bool dsm_class_is_front(unsigned int class)
{
	return class < CLASSES_FRONT;
}

static inline bool dsm_class_is_exact(unsigned int class)
{
	return class >= CLASSES_MIDDLE && class < CLASSES_EXACT;
}

/* Bytes between the start of a slab and its first object. */
static inline uint32_t dsm_class_front(unsigned int class)
{
	return dsm_class_is_front(class) ? FRONT_SIZE : 0;
}

static inline size_t dsm_class_nominal(unsigned int class)
{
	if (class >= CLASSES_EXACT)
		class -= CLASSES_EXACT;
	if (class < 8)
		return (class + 1) * GRANULE_SIZE;
	class -= 8;
	return ((size_t)128 << class / 4) + (class % 4 + 1) * ((size_t)32 << class / 4);
}

/* Of a slot. */
static inline size_t dsm_class_size(unsigned int class)
{
	return dsm_class_nominal(class) + dsm_class_front(class);
}

/* What any object of the class can be written to. */
static inline size_t dsm_class_usable(unsigned int class)
{
	return dsm_class_nominal(class) + dsm_class_front(class) / 2;
}

/* The least nominal size that holds @size bytes, CLASS_SIZE_MAX at most. */
static inline unsigned int dsm_class_of_nominal(size_t size)
{
	unsigned int shift;

	if (size <= 128)
		return (size - !!size) / GRANULE_SIZE;
	shift = 63 - __builtin_clzll(size - 1);
	return 8 + (shift - 7) * 4 + ((size - 1) >> (shift - 2)) % 4;
}

/* In a heap with canaries, and without an alignment. */
static inline unsigned int dsm_class_of_size(size_t size)
{
	if (size <= FRONT_SIZE_MAX)
		return dsm_class_of_nominal(size > 8 ? size - 8 : 0);
	return dsm_class_of_nominal(size);
}

/* The class of the smallest objects of @size and @align, or CLASS_NONE. */
static inline unsigned int dsm_class_of(bool canaries, size_t align, size_t size)
{
	unsigned int class;

	if (align <= GRANULE_SIZE && canaries)
		return size <= CLASS_SIZE_MAX ? dsm_class_of_size(size) : CLASS_NONE;
	if (size < align)
		size = align;
	if (size > CLASS_SIZE_MAX || align > UNIT_SIZE)
		return CLASS_NONE;
	/* a slab starts at a unit, so an object is aligned as its size is */
	for (class = dsm_class_of_nominal(size); class < CLASSES_EXACT; class++)
		if (!(dsm_class_nominal(class) & (align - 1)))
			break;
	if (class == CLASSES_EXACT)
		return CLASS_NONE;
	return class < CLASSES_FRONT ? class + CLASSES_EXACT : class;
}

/* An object of an exact class was asked for with this many bytes, at least. */
static inline size_t dsm_class_least(unsigned int class)
{
	return dsm_class_nominal(class - 1) + 1;
}

/* The class of the next larger objects, for objects of this one; or CLASS_NONE. */
static inline unsigned int dsm_class_larger(unsigned int class)
{
	class++;
	if (class == CLASSES)
		return CLASSES_FRONT;
	return class == CLASSES_EXACT ? CLASS_NONE : class;
}

/* Of a slab: enough for a few objects, so that one is not made for each. */
static inline unsigned int dsm_class_units(unsigned int class)
{
	size_t size = dsm_class_size(class);

	return size <= UNIT_SIZE / 8 ? 1 : size <= UNIT_SIZE / 2 ? 4 : 8;
}

static inline unsigned int dsm_class_capacity(unsigned int class)
{
	return (dsm_class_units(class) * UNIT_SIZE - dsm_class_front(class)) / dsm_class_size(class);
}

/* To multiply by instead of dividing by the size: see dsm_class_index(). */
static inline uint64_t dsm_class_recip(unsigned int class)
{
	uint64_t granules = dsm_class_size(class) / GRANULE_SIZE;

	return ((1ULL << 32) + granules - 1) / granules;
}

/*
 * The number of the object @off bytes into a slab of these, or UINT64_MAX if none
 * starts there; what is behind the last one has a number, too.
 *
 * With d = size / 16 and n = off / 16 = q * d + r, recip is (2^32 + e) / d, e < d,
 * and n * recip is q * 2^32 + (q * e + r * recip). A slab is of less than 2^15 * 16
 * bytes, q * e < n < 2^15, and recip >= 2^19, so what is in parentheses is less
 * than recip if r is 0, and else not (and less than 2^32): q is the upper half.
 * Bytes that are no multiple of 16 are rotated to the top, where n is too large.
 */
static inline uint64_t dsm_class_index(uint32_t off, uint64_t recip)
{
	uint32_t n = off >> 4 | off << 28;
	uint64_t product = n * recip;

	return __builtin_expect((uint32_t)product < recip, 1) ? product >> 32 : UINT64_MAX;
}

#endif /* _DSM_CLASS_H */
