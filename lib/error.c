// SPDX-License-Identifier: MIT
/* The sentence that says what went wrong, since errno alone cannot name the obstacle. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "dsm.h"
#include "error.h"
#include "local.h"
#include "options.h"

/* A thread that has no memory for it goes without. */
static void detail_set(const char *fmt, va_list args)
{
	struct dsm_local *local = dsm_local_get();
	char *detail = local ? local->detail : NULL;

	if (!detail)
		return;
	vsnprintf(detail, sizeof(local->detail), fmt, args);
	if (*detail && dsm_option_text(OPTION_DEBUG))
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
	return dsm_local ? dsm_local->detail : "";
}
