// SPDX-License-Identifier: MIT
/* What went wrong, in a sentence: errno alone cannot name what is in the way. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "dsm.h"
#include "error.h"

static _Thread_local char detail[256];

static void detail_set(const char *fmt, va_list args)
{
	vsnprintf(detail, sizeof(detail), fmt, args);
	if (*detail && secure_getenv("DSM_DEBUG"))
		fprintf(stderr, "libdsm: %s\n", detail);
}

int dsm_fail(int err, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	detail_set(fmt, args);
	va_end(args);
	errno = err;
	return -1;
}

int dsm_error(int err, const char *fmt, ...)
{
	int saved = errno;
	va_list args;

	va_start(args, fmt);
	detail_set(fmt, args);
	va_end(args);
	errno = saved;
	return err;
}

const char *dsm_error_detail(void)
{
	return detail;
}
