// SPDX-License-Identifier: GPL-2.0
/*
 * Messages, one line each, to stderr. Where stderr is the journal's, each
 * line begins with its priority as syslog writes it (sd-daemon(3)); elsewhere
 * with the program's name.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "clock.h"
#include "log.h"

#define LOG_LINE_MAX		512
#define LOG_LIMIT_NS		(60 * NSEC_PER_SEC)
#define LOG_LIMIT_COUNT		5

static const struct {
	int level;
	const char *name;
} log_levels[] = {
	{ LOG_ERR,	"error" },
	{ LOG_WARNING,	"warning" },
	{ LOG_INFO,	"info" },
	{ LOG_DEBUG,	"debug" },
};

#define LOG_LEVELS	(sizeof(log_levels) / sizeof(log_levels[0]))

static int log_level = LOG_INFO;
static bool log_journal;
static log_sink log_redirected;

/* JOURNAL_STREAM is inherited by children whose stderr is something else. */
static bool stderr_is_journal(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	unsigned long long dev, ino;
	struct stat st;

	if (!stream || sscanf(stream, "%llu:%llu", &dev, &ino) != 2)
		return false;
	return !fstat(STDERR_FILENO, &st) && st.st_dev == dev && st.st_ino == ino;
}

void log_init(int level)
{
	log_level = level;
	log_journal = stderr_is_journal();
}

void log_set_level(int level)
{
	log_level = level;
}

/* -1: no such level. */
int log_level_parse(const char *name)
{
	for (size_t i = 0; i < LOG_LEVELS; i++)
		if (!strcmp(log_levels[i].name, name))
			return log_levels[i].level;
	return -1;
}

/* Messages go to @sink instead of stderr, whatever the level. */
void log_set_sink(log_sink sink)
{
	log_redirected = sink;
}

static const char *level_name(int priority)
{
	for (size_t i = 0; i < LOG_LEVELS; i++)
		if (log_levels[i].level == priority)
			return log_levels[i].name;
	return "?";
}

void log_message(int priority, const char *format, ...)
{
	char line[LOG_LINE_MAX];
	va_list args;

	if (priority > log_level && !log_redirected)
		return;

	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);

	if (log_redirected)
		log_redirected(priority, line);
	else if (log_journal)
		dprintf(STDERR_FILENO, "<%d>%s\n", priority, line);
	else
		dprintf(STDERR_FILENO, "dsmd: %s: %s\n", level_name(priority), line);
}

/*
 * Whether another message of this cause may be logged: LOG_LIMIT_COUNT in
 * LOG_LIMIT_NS. How many were held back is said when the next one is not.
 */
bool log_allowed(struct log_limit *limit)
{
	uint64_t now = clock_now_ns();

	if (!limit->since_ns || now - limit->since_ns > LOG_LIMIT_NS) {
		if (limit->count > LOG_LIMIT_COUNT)
			log_info("%u messages like the next were held back",
				 limit->count - LOG_LIMIT_COUNT);
		limit->since_ns = now;
		limit->count = 0;
	}
	return limit->count++ < LOG_LIMIT_COUNT;
}
