// SPDX-License-Identifier: GPL-2.0
/*
 * Memory that fails when a test says so.
 */
#include <linux/atomic.h>
#include <linux/gfp.h>

/* Allocations to go until the first that fails, and the last. */
static atomic_t first_fails, last_fails;

static void (*call)(void *arg);
static void *call_arg;

void testmem_fail(unsigned int nth, unsigned int n)
{
	atomic_set(&first_fails, nth);
	atomic_set(&last_fails, nth ? nth + n - 1 : 0);
}

void testmem_call(void (*fn)(void *arg), void *arg)
{
	call_arg = arg;
	call = fn;
}

bool testmem_fails(gfp_t gfp)
{
	void (*fn)(void *arg) = call;
	bool counted;

	if (fn && gfpflags_allow_blocking(gfp)) {
		call = NULL;
		fn(call_arg);
	}
	if (gfp & __GFP_NOFAIL)
		return false;
	counted = atomic_dec_if_positive(&first_fails) > 0;
	return atomic_dec_if_positive(&last_fails) >= 0 && !counted;
}
