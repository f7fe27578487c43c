// SPDX-License-Identifier: MIT
/* What options.h describes: the table of the variables, and how each kind is parsed. */
#include "options.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "dsm.h"

enum kind {
	TEXT,		/* any */
	FLAG,		/* 0 or 1 */
	NUMBER,		/* digits */
	SIZE,		/* digits, and perhaps K, M or G */
	FORK,		/* "copy" is 0, "share" is 1 */
};

/* Numbers that are no text's. */
#define NOT_SET	UINT64_MAX

static const struct {
	const char *name;
	enum kind kind;
	uint64_t by_default;
	uint64_t max;
	const char *right;	/* what a good value is */
} options[OPTIONS] = {
	[OPTION_REGION]		= { "DSM_REGION", TEXT, 0, 0, NULL },
	[OPTION_SIZE]		= { "DSM_SIZE", SIZE, 256 << 20, DSM_REGION_SIZE_MAX,
				    "a number of bytes, with K, M or G, up to 4 TiB" },
	[OPTION_BLOCK_SIZE]	= { "DSM_BLOCK_SIZE", SIZE, 0, DSM_BLOCK_SIZE_MAX,
				    "a power of two from the page size to 65536" },
	[OPTION_SHARED_HEAP]	= { "DSM_SHARED_HEAP", FLAG, 0, 1, "0 or 1" },
	[OPTION_DEBUG]		= { "DSM_DEBUG", TEXT, 0, 0, NULL },
	[OPTION_HEAP_CHECK]	= { "DSM_HEAP_CHECK", FLAG, NOT_SET, 1, "0 or 1" },
	[OPTION_HEAP_KEEP]	= { "DSM_HEAP_KEEP", NUMBER, 16, UINT32_MAX, "a number of MiB" },
	[OPTION_HEAP_ABORT]	= { "DSM_HEAP_ABORT", FLAG, 1, 1, "0 or 1" },
	[OPTION_FORK]		= { "DSM_FORK", FORK, 0, 1, "\"copy\" or \"share\"" },
	[OPTION_MALLOC_REQUIRED] = { "DSM_MALLOC_REQUIRED", FLAG, 0, 1, "0 or 1" },
};

void dsm_complain(const char *fmt, ...)
{
	char line[400];
	va_list args;
	int n;

	va_start(args, fmt);
	n = vsnprintf(line, sizeof(line), fmt, args);
	va_end(args);
	if (n >= (int)sizeof(line))
		n = sizeof(line) - 1;
	if (write(STDERR_FILENO, line, n) < 0) {
		/* then there is nobody to tell */
	}
}

const char *dsm_option_text(enum dsm_option option)
{
	return secure_getenv(options[option].name);
}

/* Digits, and a suffix if @suffixes has it: "64M". */
static bool number_parse(const char *text, const char *suffixes, uint64_t max, uint64_t *number)
{
	const char *suffix;
	int shift = 0;

	*number = 0;
	if (*text < '0' || *text > '9')
		return false;
	for (; *text >= '0' && *text <= '9'; text++)
		if (__builtin_mul_overflow(*number, 10, number) ||
		    __builtin_add_overflow(*number, *text - '0', number))
			return false;
	suffix = *text ? strchr(suffixes, *text & ~0x20) : NULL;
	if (suffix && *suffix) {
		shift = 10 * (suffix - suffixes + 1);
		text++;
	}
	if (*text || *number > max >> shift)
		return false;
	*number <<= shift;
	return true;
}

static bool parse(enum dsm_option option, const char *text, uint64_t *number)
{
	uint64_t max = options[option].max;

	switch (options[option].kind) {
	case FORK:
		*number = !strcmp(text, "share");
		return *number || !strcmp(text, "copy");
	case SIZE:
		return number_parse(text, "KMG", max, number) && *number;
	default:
		return number_parse(text, "", max, number);
	}
}

uint64_t dsm_option_number(enum dsm_option option, const char **wrong)
{
	const char *text = dsm_option_text(option);
	uint64_t number;

	if (!text || parse(option, text, &number))
		return text ? number : options[option].by_default;
	if (wrong)
		*wrong = options[option].right;
	else
		dsm_complain("libdsm: %s=%.100s is ignored: it must be %s\n",
			     options[option].name, text, options[option].right);
	return options[option].by_default;
}
