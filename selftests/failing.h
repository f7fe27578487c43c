/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Makes allocations of the module fail, and no others (Documentation/fault-injection). The
 * settings are the kernel's: nodes in one kernel share them.
 */
#ifndef SELFTESTS_FAILING_H
#define SELFTESTS_FAILING_H

#include <stdbool.h>

/* Does this kernel support that? */
bool failing_possible(void);

/*
 * Choose which allocations can fail: those below the kernel function @symbol, or with NULL,
 * all of the module. None fails yet. Skips the test if the kernel does not support fault
 * injection.
 */
void failing_prepare(const char *symbol);

/* From now on, @percent of the chosen allocations fail at random. */
void failing_start(unsigned int percent);

/* Stop failing allocations. Returns how many have failed since failing_start(). */
unsigned int failing_stop(void);

#endif /* SELFTESTS_FAILING_H */
