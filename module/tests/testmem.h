/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Memory that fails when a test says so. This header comes before all others
 * where the module is built for its tests, so that what it allocates with goes
 * through here.
 */
#ifndef _DSM_TESTMEM_H
#define _DSM_TESTMEM_H

#include <linux/bitmap.h>
#include <linux/slab.h>
#include <linux/xarray.h>

/**
 * testmem_fail() - have allocations fail
 * @nth: the first that does, from now, counted from 1; 0: none
 * @n: how many in a row
 *
 * Those that may not fail (__GFP_NOFAIL) are not counted.
 */
void testmem_fail(unsigned int nth, unsigned int n);

/**
 * testmem_call() - have something happen while another allocates
 * @fn: called once, before the next allocation that may sleep
 * @arg: its argument
 */
void testmem_call(void (*fn)(void *arg), void *arg);

/* Whether an allocation fails now. */
bool testmem_fails(gfp_t gfp);

static inline void *testmem_kzalloc(size_t size, gfp_t gfp)
{
	return testmem_fails(gfp) ? NULL : kzalloc(size, gfp);
}

static inline void *testmem_kcalloc(size_t n, size_t size, gfp_t gfp)
{
	return testmem_fails(gfp) ? NULL : kcalloc(n, size, gfp);
}

static inline void *testmem_kvzalloc(size_t size, gfp_t gfp)
{
	return testmem_fails(gfp) ? NULL : kvzalloc(size, gfp);
}

static inline void *testmem_kvcalloc(size_t n, size_t size, gfp_t gfp)
{
	return testmem_fails(gfp) ? NULL : kvcalloc(n, size, gfp);
}

static inline void *testmem_cache_zalloc(struct kmem_cache *cache, gfp_t gfp)
{
	return testmem_fails(gfp) ? NULL : kmem_cache_zalloc(cache, gfp);
}

static inline unsigned long *testmem_bitmap_zalloc(unsigned int bits, gfp_t gfp)
{
	return testmem_fails(gfp) ? NULL : bitmap_zalloc(bits, gfp);
}

static inline int testmem_xa_insert(struct xarray *xa, unsigned long index, void *entry, gfp_t gfp)
{
	return testmem_fails(gfp) ? -ENOMEM : xa_insert(xa, index, entry, gfp);
}

static inline void *testmem_xa_cmpxchg(struct xarray *xa, unsigned long index, void *old,
				       void *entry, gfp_t gfp)
{
	return testmem_fails(gfp) ? XA_ERROR(-ENOMEM) : xa_cmpxchg(xa, index, old, entry, gfp);
}

#undef kzalloc
#undef kcalloc
#undef kvzalloc
#undef kvcalloc
#undef kmem_cache_zalloc
#undef bitmap_zalloc
#define kzalloc			testmem_kzalloc
#define kcalloc			testmem_kcalloc
#define kvzalloc		testmem_kvzalloc
#define kvcalloc		testmem_kvcalloc
#define kmem_cache_zalloc	testmem_cache_zalloc
#define bitmap_zalloc		testmem_bitmap_zalloc
#define xa_insert		testmem_xa_insert
#define xa_cmpxchg		testmem_xa_cmpxchg

#endif /* _DSM_TESTMEM_H */
