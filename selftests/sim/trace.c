// SPDX-License-Identifier: GPL-2.0
/*
 * Traces of real runs: dsm_fault_start and dsm_fault_end (module/trace.h) in the text of
 * tracefs' "trace". All nodes are in one file. Each line follows its node's number in
 * brackets, as selftests/vm/cluster prints the output of its nodes:
 *
 * 	[0]   wordcount-213     [001] .....    11.382204: dsm_fault_start: region=1 block=4 write
 * 	[0]   wordcount-213     [001] .....    11.382391: dsm_fault_end: region=1 block=4 write ret=512
 *
 * A line without a number is node 0's. Other lines, and ftrace's own comments, are skipped. A
 * thread makes the accesses that faulted, with the pauses between them. The program's own
 * synchronisation is not known. A fault that ended with VM_FAULT_RETRY is repeated, and counts
 * once.
 */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "config.h"
#include "trace.h"

#define FAULT_RETRY	0x400	/* VM_FAULT_RETRY */

struct entry {
	u64 think;
	u32 thread;
	u32 number;
	u32 region;
	u64 block;
	bool write;
};

/**
 * * struct source - a thread of the trace
 * @busy: its fault has begun, and not ended
 * @again: its next fault repeats the last one
 */
struct source {
	u16 node;
	u32 pid;
	u64 ended;
	u32 pos;
	bool busy;
	bool again;
	u32 region;
	u64 block;
	bool write;
};

struct trace {
	struct entry *entry;
	u32 n;
	u32 size;
	struct source *source;
	u32 n_sources;
	u64 start[MAX_NODES];
	u32 nodes;
	u32 blocks;
};

static struct source *source_of(struct trace *trace, u16 node, u32 pid, u64 time)
{
	struct source *source;
	u32 i;

	for (i = 0; i < trace->n_sources; i++)
		if (trace->source[i].node == node && trace->source[i].pid == pid)
			return &trace->source[i];
	trace->source = realloc(trace->source, (trace->n_sources + 1) * sizeof(*source));
	if (!trace->source)
		abort();
	if (!trace->start[node])
		trace->start[node] = time;
	source = &trace->source[trace->n_sources++];
	*source = (struct source){ .node = node, .pid = pid, .ended = trace->start[node] };
	if (node >= trace->nodes)
		trace->nodes = node + 1;
	return source;
}

static void add(struct trace *trace, struct source *source, u64 time)
{
	if (trace->n == trace->size) {
		trace->size = 2 * trace->size + 1024;
		trace->entry = realloc(trace->entry, trace->size * sizeof(*trace->entry));
		if (!trace->entry)
			abort();
	}
	trace->entry[trace->n] = (struct entry){
		.number = trace->n,
		.think = time > source->ended ? time - source->ended : 0,
		.thread = source - trace->source,
		.region = source->region, .block = source->block, .write = source->write,
	};
	trace->n++;
}

struct line {
	unsigned int node, pid;
	u64 time;
	bool end;
	unsigned int region;
	unsigned long long block;
	bool write;
	int ret;
};

/* Returns 1 for a fault, 0 for another line, -1 for a fault that cannot be parsed. */
static int parse(const char *text, struct line *line)
{
	const char *event = strstr(text, ": dsm_fault_"), *cpu, *p;
	unsigned long s, us;
	char kind[8], rw[8];
	int n = 0;

	if (!event)
		return 0;
	line->node = 0;
	if (sscanf(text, "[%u] %n", &line->node, &n) == 1 && n)
		text += n;
	/* The task's name may contain anything, so its end is found from the CPU on. */
	for (cpu = event; cpu > text && !(cpu[0] == '[' && isdigit((unsigned char)cpu[1])); cpu--)
		;
	for (p = cpu; p > text && p[-1] == ' '; p--)
		;
	for (; p > text && isdigit((unsigned char)p[-1]); p--)
		;
	if (p == text || p[-1] != '-' || sscanf(p, "%u", &line->pid) != 1)
		return -1;
	for (p = event; p > cpu && p[-1] != ' '; p--)
		;
	if (sscanf(p, "%lu.%6lu:", &s, &us) != 2)
		return -1;
	line->time = (u64)s * 1000000000 + us * 1000;
	if (sscanf(event, ": dsm_fault_%7[a-z]: region=%u block=%llu %7[a-z]", kind,
		   &line->region, &line->block, rw) != 4)
		return -1;
	line->write = !strcmp(rw, "write");
	line->end = !strcmp(kind, "end");
	if (line->node >= MAX_NODES || (!line->write && strcmp(rw, "read")) ||
	    (!line->end && strcmp(kind, "start")))
		return -1;
	p = strstr(event, " ret=");
	line->ret = p ? atoi(p + 5) : 0;
	return !line->end || p ? 1 : -1;
}

static void take(struct trace *trace, const struct line *line)
{
	struct source *source = source_of(trace, line->node, line->pid, line->time);

	if (line->end) {
		source->again = line->ret & FAULT_RETRY;
		source->ended = line->time;
		source->busy = false;
		return;
	}
	if (source->busy || (source->again && source->region == line->region &&
			     source->block == line->block && source->write == line->write))
		return;
	source->busy = true;
	source->region = line->region;
	source->block = line->block;
	source->write = line->write;
	add(trace, source, line->time);
}

static int by_thread(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;

	if (x->thread != y->thread)
		return x->thread < y->thread ? -1 : 1;
	return x->number < y->number ? -1 : 1;
}

/* Blocks are numbered region by region, in the order of the regions' ids. */
static bool number_blocks(struct trace *trace)
{
	u64 base = 0, next;
	u32 region = 0, least, i;

	do {
		least = UINT32_MAX;
		for (i = 0; i < trace->n; i++)
			if (trace->entry[i].region >= region && trace->entry[i].region < least)
				least = trace->entry[i].region;
		next = base;
		for (i = 0; i < trace->n; i++) {
			struct entry *entry = &trace->entry[i];

			if (entry->region != least)
				continue;
			entry->block += base;
			if (entry->block >= MAX_BLOCKS)
				return false;
			if (entry->block >= next)
				next = entry->block + 1;
		}
		base = next;
		region = least + 1;
	} while (least != UINT32_MAX);
	trace->blocks = base;
	return true;
}

static bool read_lines(struct trace *trace, const char *path, FILE *file)
{
	char text[1024];
	unsigned int number = 0;

	while (fgets(text, sizeof(text), file)) {
		struct line line;
		int found = parse(text, &line);

		number++;
		if (found < 0)
			return config_error("%s:%u: not as tracefs prints dsm_fault_start or dsm_fault_end",
					    path, number);
		if (found)
			take(trace, &line);
	}
	if (!trace->n)
		return config_error("%s: no dsm_fault_start in it", path);
	return true;
}

struct trace *trace_open(const char *path)
{
	struct trace *trace = calloc(1, sizeof(*trace));
	FILE *file = fopen(path, "r");
	bool ok;
	u32 i;

	if (!trace)
		abort();
	if (!file) {
		config_error("%s: %s", path, strerror(errno));
		free(trace);
		return NULL;
	}
	ok = read_lines(trace, path, file);
	fclose(file);
	if (ok && !number_blocks(trace))
		ok = config_error("%s: more than %u blocks", path, MAX_BLOCKS);
	if (!ok) {
		trace_close(trace);
		return NULL;
	}
	qsort(trace->entry, trace->n, sizeof(*trace->entry), by_thread);
	for (i = trace->n; i-- > 0; )
		trace->source[trace->entry[i].thread].pos = i;
	return trace;
}

void trace_close(struct trace *trace)
{
	if (!trace)
		return;
	free(trace->entry);
	free(trace->source);
	free(trace);
}

u32 trace_nodes(const struct trace *trace)
{
	return trace->nodes < 2 ? 2 : trace->nodes;
}

u32 trace_blocks(const struct trace *trace)
{
	return trace->blocks;
}

u32 trace_threads_count(const struct trace *trace)
{
	return trace->n_sources;
}

/* Where the accesses of a thread are, and start. */
u16 trace_thread(const struct trace *trace, u32 thread, u32 *pos)
{
	*pos = trace->source[thread].pos;
	return trace->source[thread].node;
}

/* Returns false at the thread's end. */
bool trace_next(const struct trace *trace, u32 thread, u32 *pos, u32 *block, bool *write,
		u64 *think)
{
	const struct entry *entry = &trace->entry[*pos];

	if (*pos >= trace->n || entry->thread != thread)
		return false;
	*block = entry->block;
	*write = entry->write;
	*think = entry->think;
	(*pos)++;
	return true;
}
