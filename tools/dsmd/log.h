/* SPDX-License-Identifier: GPL-2.0 */
#ifndef DSMD_LOG_H
#define DSMD_LOG_H

#include <stdbool.h>
#include <stdint.h>
#include <syslog.h>

/**
 * struct log_limit - keeps one cause from filling the log
 * @since_ns: when the present interval began
 * @count: messages in it, those held back included
 */
struct log_limit {
	uint64_t since_ns;
	unsigned int count;
};

typedef void (*log_sink)(int priority, const char *text);

void log_init(int level);
void log_set_level(int level);
int log_level_parse(const char *name);
void log_set_sink(log_sink sink);

void log_message(int priority, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
bool log_allowed(struct log_limit *limit);

#define log_error(...)		log_message(LOG_ERR, __VA_ARGS__)
#define log_warning(...)	log_message(LOG_WARNING, __VA_ARGS__)
#define log_info(...)		log_message(LOG_INFO, __VA_ARGS__)
#define log_debug(...)		log_message(LOG_DEBUG, __VA_ARGS__)

#define log_limited(limit, priority, ...)			\
	do {							\
		if (log_allowed(limit))				\
			log_message(priority, __VA_ARGS__);	\
	} while (0)

#endif
