/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Makes allocations of the module fail (Documentation/fault-injection), and
 * nobody else's. The settings are the kernel's: nodes in one kernel share them.
 */
#ifndef SELFTESTS_FAILING_H
#define SELFTESTS_FAILING_H

#include <stdbool.h>

/* Whether this kernel can do that. */
bool failing_possible(void);

/*
 * Chooses which allocations can fail: those made below the function @symbol of
 * the kernel; NULL: those of the module. None fails yet. Skips the test if the
 * kernel cannot do that.
 */
void failing_prepare(const char *symbol);

/* From now on, @percent of the chosen allocations fail, at random. */
void failing_start(unsigned int percent);

/* No allocation fails any more. Returns how many have failed since failing_start(). */
unsigned int failing_stop(void);

#endif /* SELFTESTS_FAILING_H */
