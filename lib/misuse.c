// SPDX-License-Identifier: MIT
/* Reports of what a program does wrong with its objects. */
#include "misuse.h"

#include <stdlib.h>

#include "options.h"

void dsm_misuse(const void *ptr, const char *wrong)
{
	dsm_complain("libdsm: dsm_free(%p): %s\n", ptr, wrong);
	if (dsm_option_number(OPTION_HEAP_ABORT, NULL))
		abort();
}
