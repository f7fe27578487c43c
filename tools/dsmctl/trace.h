/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _DSMCTL_TRACE_H
#define _DSMCTL_TRACE_H

#include <stddef.h>
#include <stdint.h>

struct json_object;

/*
 * Start recording, for latency_read(), what this kernel's nodes and their helpers do; stop,
 * and delete the recording. Both return -1 with errno set. *path, if not NULL, is then the
 * file that could not be written.
 */
int trace_start(const char **path);
int trace_stop(void);

/* The recording as a file; NULL if there is none. */
const char *trace_file(void);

enum trace_kind {
	TRACE_FAULT_START,
	TRACE_FAULT_END,
	TRACE_SEND,
	TRACE_RECV,
	TRACE_DOWNCALL,
	TRACE_LINE,
	TRACE_AWAKE,	/* the helper runs */
	TRACE_SENT,	/* the helper has written to a socket */
};

/**
 * struct trace_event - a line of a recording
 * @time: nanoseconds; of the first recording's clock, once latency_read() has
 *	related the others' to it
 * @kind: what it is
 * @order: its place among all lines read
 * @file: its recording; each kernel has one
 * @pid: the task; TRACE_AWAKE: the helper
 * @self: the node it happened on; -1 if the line does not say
 * @peer: TRACE_SEND, TRACE_RECV: the other node
 * @region: the block's region
 * @block: the block's number
 * @seq: TRACE_SEND, TRACE_RECV: the message's number among those to the peer
 * @type: TRACE_SEND, TRACE_RECV: the message's name; TRACE_LINE: the state left
 * @to: TRACE_LINE: the state that follows
 * @ret: TRACE_FAULT_END: what the fault returned
 */
struct trace_event {
	int64_t time;
	enum trace_kind kind;
	size_t order;
	int file;
	int pid;
	int self;
	int peer;
	uint32_t region;
	uint64_t block;
	uint64_t seq;
	char type[16];
	char to[16];
	int ret;
};

struct trace {
	struct trace_event *event;
	size_t n;
	size_t room;
	int files;
};

/* Add a recording. -1: it cannot be read, see errno. It had no events if none were added. */
int trace_read(struct trace *trace, const char *path);
void trace_free(struct trace *trace);

/*
 * Where the time of faults goes that waited for other nodes: for each way that messages took,
 * an object of legs. NULL: *why is the reason.
 */
struct json_object *latency_of(struct trace *trace, const char **why);

#endif /* _DSMCTL_TRACE_H */
