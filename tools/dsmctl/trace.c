// SPDX-License-Identifier: GPL-2.0
/*
 * Recordings: the module's tracepoints, and two of the kernel's that show what the helper does
 * meanwhile. They are in a tracefs instance of their own, so that they disturb no other user.
 *
 * A recording is the text that tracefs shows. A kernel has one recording for all its nodes.
 */
#include "trace.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define INSTANCE	"instances/dsm"
#define HELPER		"dsmd"
#define BUFFER_KIB	"8192"		/* for each processor; older events are overwritten */

static const char *const roots[] = { "/sys/kernel/tracing", "/sys/kernel/debug/tracing" };

static char path_buf[256];

/* A file of the instance's. */
static const char *path_of(const char *name)
{
	struct stat st;

	for (size_t i = 0; i < sizeof(roots) / sizeof(roots[0]); i++) {
		snprintf(path_buf, sizeof(path_buf), "%s/instances", roots[i]);
		if (stat(path_buf, &st))
			continue;
		snprintf(path_buf, sizeof(path_buf), "%s/" INSTANCE "%s%s", roots[i],
			 *name ? "/" : "", name);
		return path_buf;
	}
	snprintf(path_buf, sizeof(path_buf), "%s/instances", roots[0]);
	return path_buf;
}

static int put(const char *name, const char *text)
{
	int fd = open(path_of(name), O_WRONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return -1;
	n = write(fd, text, strlen(text));
	close(fd);
	return n < 0 ? -1 : 0;
}

/* The helper writes to its peers with one of these system calls. */
static int put_sent_filter(void)
{
	char filter[160];

	snprintf(filter, sizeof(filter),
		 "comm == \"" HELPER "\" && (id == %d || id == %d || id == %d)",
		 SYS_sendmsg, SYS_sendmmsg, SYS_writev);
	return put("events/raw_syscalls/sys_exit/filter", filter);
}

int trace_start(const char **path)
{
	*path = path_of("");
	if (mkdir(*path, 0700) && errno != EEXIST)
		return -1;
	if (put("tracing_on", "0") || put("trace", "") || put("trace_clock", "mono") ||
	    put("buffer_size_kb", BUFFER_KIB) ||
	    put("events/sched/sched_switch/filter", "next_comm == \"" HELPER "\"") ||
	    put("events/sched/sched_switch/enable", "1") || put_sent_filter() ||
	    put("events/raw_syscalls/sys_exit/enable", "1") ||
	    put("events/dsm/enable", "1") || put("tracing_on", "1")) {
		int err = errno;

		trace_stop();
		errno = err;
		return -1;
	}
	return 0;
}

int trace_stop(void)
{
	return rmdir(path_of(""));
}

const char *trace_file(void)
{
	const char *path = path_of("trace");

	return access(path, R_OK) ? NULL : path;
}

/* ---- lines --------------------------------------------------------------- */

/* The number after @name and '='. */
static int get(const char *fields, const char *name, uint64_t *value)
{
	const char *at = fields;
	size_t len = strlen(name);

	while ((at = strstr(at, name))) {
		if ((at == fields || at[-1] == ' ') && at[len] == '=') {
			*value = strtoull(at + len + 1, NULL, 10);
			return 0;
		}
		at += len;
	}
	return -1;
}

static int get_int(const char *fields, const char *name)
{
	uint64_t value;

	return get(fields, name, &value) ? -1 : (int)value;
}

static int parse_msg(const char *fields, struct trace_event *event)
{
	event->peer = get_int(fields, "peer");
	return get(fields, "seq", &event->seq) ||
	       sscanf(fields, "peer=%*u %15s", event->type) != 1 ? -1 : 0;
}

static int parse_line(const char *fields, struct trace_event *event)
{
	return sscanf(fields, "region=%*u block=%*u %15s -> %15s", event->type, event->to) == 2 ?
		0 : -1;
}

static int parse_end(const char *fields, struct trace_event *event)
{
	event->ret = get_int(fields, "ret");
	return 0;
}

static int parse_switch(const char *fields, struct trace_event *event)
{
	event->pid = get_int(fields, "next_pid");
	return event->pid < 0 ? -1 : 0;
}

static int parse_sent(const char *fields, struct trace_event *event)
{
	const char *result = strstr(fields, " = ");

	(void)event;
	return result && atol(result + 3) > 0 ? 0 : -1;
}

static const struct name {
	const char *name;
	enum trace_kind kind;
	int (*parse)(const char *fields, struct trace_event *event);
} names[] = {
	{ "dsm_fault_start", TRACE_FAULT_START, NULL },
	{ "dsm_fault_end",   TRACE_FAULT_END,	parse_end },
	{ "dsm_msg_send",    TRACE_SEND,	parse_msg },
	{ "dsm_msg_recv",    TRACE_RECV,	parse_msg },
	{ "dsm_downcall",    TRACE_DOWNCALL,	NULL },
	{ "dsm_line_state",  TRACE_LINE,	parse_line },
	{ "sched_switch",    TRACE_AWAKE,	parse_switch },
	{ "sys_exit",	     TRACE_SENT,	parse_sent },
};

/*
 * "TASK-PID [CPU] FLAGS SECONDS.MICROSECONDS: NAME: FIELDS"; the task's name may contain
 * anything. Returns -1 for other lines.
 */
static int parse(char *text, struct trace_event *event)
{
	unsigned long s, us;
	char *cpu, *at, *fields;
	char name[32];
	int n = 0;

	for (cpu = strstr(text, " ["); cpu; cpu = strstr(cpu + 1, " ["))
		if (isdigit((unsigned char)cpu[2]) &&
		    sscanf(cpu, " [%*u] %*s %lu.%6lu: %31[a-z_]:%n", &s, &us, name, &n) == 3 && n)
			break;
	if (!cpu)
		return -1;
	fields = cpu + n + (cpu[n] == ' ');
	for (at = cpu; at > text && at[-1] == ' '; at--)
		;
	while (at > text && isdigit((unsigned char)at[-1]))
		at--;
	*event = (struct trace_event){
		.time = (int64_t)s * 1000000000 + (int64_t)us * 1000,
		.pid = atoi(at),
		.self = get_int(fields, "self"),
		.region = (uint32_t)get_int(fields, "region"),
	};
	get(fields, "block", &event->block);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (strcmp(names[i].name, name))
			continue;
		event->kind = names[i].kind;
		return names[i].parse ? names[i].parse(fields, event) : 0;
	}
	return -1;
}

int trace_read(struct trace *trace, const char *path)
{
	FILE *file = fopen(path, "re");
	struct trace_event event;
	char *line = NULL;
	size_t room = 0;

	if (!file)
		return -1;
	while (getline(&line, &room, file) >= 0) {
		if (parse(line, &event))
			continue;
		if (trace->n == trace->room) {
			trace->room = 2 * trace->room + 4096;
			trace->event = realloc(trace->event, trace->room * sizeof(event));
			if (!trace->event)
				abort();
		}
		event.file = trace->files;
		event.order = trace->n;
		trace->event[trace->n++] = event;
	}
	free(line);
	if (ferror(file)) {
		fclose(file);
		return -1;
	}
	fclose(file);
	trace->files++;
	return 0;
}

void trace_free(struct trace *trace)
{
	free(trace->event);
}
