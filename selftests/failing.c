// SPDX-License-Identifier: GPL-2.0
#include <unistd.h>

#include "failing.h"
#include "test.h"

#define DEBUGFS "/sys/kernel/debug/"

enum {
	PAGE	= 4096,
	TIMES	= 1000000,	/* more than the failures of any test */
};

static const char *const attributes[] = { "failslab", "fail_page_alloc" };

/* Each of these attributes has files that the others lack. */
static void write_if_there(const char *attribute, const char *file, const char *value)
{
	char path[200];
	FILE *f;

	snprintf(path, sizeof(path), DEBUGFS "%s/%s", attribute, file);
	f = fopen(path, "r+");
	if (!f && errno == ENOENT)
		return;
	ASSERT_TRUE(f);
	ASSERT_GT(fputs(value, f), 0);
	ASSERT_EQ(fclose(f), 0);
}

static void set_both(const char *file, const char *value)
{
	for (size_t i = 0; i < sizeof(attributes) / sizeof(*attributes); i++)
		write_if_there(attributes[i], file, value);
}

static void range_set(const char *which, unsigned long long start, unsigned long long end)
{
	char file[40], value[40];

	snprintf(file, sizeof(file), "%s-start", which);
	snprintf(value, sizeof(value), "0x%llx", start);
	set_both(file, value);
	snprintf(file, sizeof(file), "%s-end", which);
	snprintf(value, sizeof(value), "0x%llx", end);
	set_both(file, value);
}

/* The addresses of the code of @symbol, or of the whole module dsm. */
static void find_code(const char *symbol, unsigned long long *start, unsigned long long *end)
{
	FILE *f = fopen("/proc/kallsyms", "r");
	unsigned long long at, next = ~0ULL;
	char line[400], name[200], module[100], type;

	ASSERT_TRUE(f);
	*start = ~0ULL;
	*end = 0;
	while (fgets(line, sizeof(line), f)) {
		module[0] = '\0';
		if (sscanf(line, "%llx %c %199s [%99[^]]]", &at, &type, name, module) < 3)
			continue;
		if (type != 't' && type != 'T')
			continue;
		if (symbol ? strcmp(name, symbol) : strcmp(module, "dsm"))
			continue;
		*start = at < *start ? at : *start;
		*end = at > *end ? at : *end;
	}
	ASSERT_LT(*start, ~0ULL);
	if (!symbol) {
		*start &= -PAGE;
		*end = (*end + PAGE) & -PAGE;
		fclose(f);
		return;
	}
	/* Skip to the next symbol. */
	rewind(f);
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, "%llx", &at) == 1 && at > *start && at < next)
			next = at;
	*end = next;
	fclose(f);
}

bool failing_possible(void)
{
	return !access(DEBUGFS "failslab", F_OK);
}

void failing_prepare(const char *symbol)
{
	unsigned long long start, end;

	if (!failing_possible())
		skip("this kernel cannot be made to run out of memory");
	set_both("probability", "0");
	set_both("interval", "1");
	set_both("times", "-1");
	set_both("verbose", "0");
	set_both("task-filter", "N");
	set_both("stacktrace-depth", "32");
	set_both("ignore-gfp-wait", "N");
	set_both("ignore-gfp-highmem", "N");
	set_both("min-order", "0");
	find_code(symbol, &start, &end);
	range_set("require", start, end);
	/* This function prints a stack trace when it fails, which would count as a kernel splat. */
	find_code("__kmem_cache_create_args", &start, &end);
	range_set("reject", start, end);
	/* Copies from and to user space never fail. */
	write_if_there("fail_usercopy", "require-end", "0");
}

void failing_start(unsigned int percent)
{
	char text[16];

	snprintf(text, sizeof(text), "%d", TIMES);
	set_both("times", text);
	snprintf(text, sizeof(text), "%u", percent);
	set_both("probability", text);
}

/* The remaining failures of an attribute, or -1 if the kernel does not have it. */
static int times_left(const char *attribute)
{
	char path[100];
	FILE *f;
	int left = 0;

	snprintf(path, sizeof(path), DEBUGFS "%s/times", attribute);
	f = fopen(path, "r");
	if (!f && errno == ENOENT)
		return -1;
	ASSERT_TRUE(f);
	ASSERT_EQ(fscanf(f, "%d", &left), 1);
	fclose(f);
	return left;
}

unsigned int failing_stop(void)
{
	unsigned int failed = 0;

	set_both("probability", "0");
	for (size_t i = 0; i < sizeof(attributes) / sizeof(*attributes); i++) {
		int left = times_left(attributes[i]);

		if (left >= 0)
			failed += TIMES - left;
	}
	return failed;
}
