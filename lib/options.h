/* SPDX-License-Identifier: MIT */
/*
 * The environment variables that the library reads. A variable is read whenever its value is
 * needed, which is seldom: a program may set it before that.
 */
#ifndef _DSM_OPTIONS_H
#define _DSM_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum dsm_option {
	OPTION_REGION,
	OPTION_SIZE,
	OPTION_BLOCK_SIZE,
	OPTION_SHARED_HEAP,
	OPTION_DEBUG,
	OPTION_HEAP_CHECK,
	OPTION_HEAP_KEEP,
	OPTION_HEAP_ABORT,
	OPTION_FORK,
	OPTION_MALLOC_REQUIRED,
	OPTIONS,
};

/* An option's text, or NULL if it is not set. */
const char *dsm_option_text(enum dsm_option option);

/*
 * An option's number. If the text is wrong, this is the default, and *@wrong says what would be
 * right, after "NAME=TEXT: ". A caller that cannot fail passes NULL: then the sentence goes to
 * standard error.
 */
uint64_t dsm_option_number(enum dsm_option option, const char **wrong);

/* Write one line on standard error, without allocating. */
void dsm_complain(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif /* _DSM_OPTIONS_H */
