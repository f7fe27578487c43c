// SPDX-License-Identifier: GPL-2.0
/*
 * Where the time of a fault goes that waits for other nodes.
 *
 * For each fault, find the change of state that let it continue, and go backwards: the last
 * message that arrived before the change, where and when that message was sent, the last
 * message that arrived there before, and so on, to the message that the faulting thread sent.
 * These are exactly the messages that the fault waited for. The time between two recorded
 * events is a leg. Faults whose messages have the same types in the same order form a group.
 *
 * Each kernel has a recording. Their clocks are related through the messages between them: the
 * fastest one each way is assumed to have taken the same time.
 */
#include "trace.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <json.h>

enum {
	VM_FAULT_LOCKED	= 0x200,	/* the page is present: the fault's end */

	HOPS_MAX	= 6,
	HOP_STEPS	= 6,
	STEPS_MAX	= HOPS_MAX * HOP_STEPS + 3,
	LOOK_BACK	= 4000,		/* events */
};

/* The steps of a message, in this order. */
enum step {
	REVOKED,	/* before it is sent: the sender has revoked its access */
	QUEUED,		/* the message is in the helper's queue */
	HELPER_AWAKE,
	SENT,
	PEER_AWAKE,	/* the other node's helper runs */
	RECEIVED,	/* the other node's module has the message */
};

/* The steps after the last message. */
enum { INSTALLED, THREAD_AWAKE, RESUMED, END_STEPS };

/* A fault: when each step happened; 0: not recorded. */
struct way {
	int	hops;
	char	type[HOPS_MAX][16];
	int64_t	at[STEPS_MAX];
	int64_t	start;
};

/* Faults that took the same way. */
struct group {
	struct way	*ways;
	size_t		n;
	struct group	*next;
};

/* A thread in a fault. */
struct thread {
	const struct trace_event *start;
	int64_t			 awake;		/* when it first continued */
	int			 file;
	int			 pid;
	struct thread		*next;
};

/* ---- clocks -------------------------------------------------------------- */

struct pair {
	int64_t least[2];	/* from the first recording's kernel, and to it */
	bool	known[2];
};

static int by_message(const void *a, const void *b)
{
	const struct trace_event *x = *(const struct trace_event *const *)a;
	const struct trace_event *y = *(const struct trace_event *const *)b;
	int from_x = x->kind == TRACE_SEND ? x->self : x->peer;
	int from_y = y->kind == TRACE_SEND ? y->self : y->peer;
	int to_x = x->kind == TRACE_SEND ? x->peer : x->self;
	int to_y = y->kind == TRACE_SEND ? y->peer : y->self;

	if (from_x != from_y)
		return from_x < from_y ? -1 : 1;
	if (to_x != to_y)
		return to_x < to_y ? -1 : 1;
	if (x->seq != y->seq)
		return x->seq < y->seq ? -1 : 1;
	return (x->kind > y->kind) - (x->kind < y->kind);
}

static bool same_message(const struct trace_event *sent, const struct trace_event *received)
{
	return sent->kind == TRACE_SEND && received->kind == TRACE_RECV &&
	       sent->self == received->peer && sent->peer == received->self &&
	       sent->seq == received->seq;
}

/* All messages sent and received, with each message's two events side by side. */
static const struct trace_event **messages(const struct trace *trace, size_t *n)
{
	const struct trace_event **list = malloc((trace->n + 1) * sizeof(struct trace_event *));

	if (!list)
		abort();
	*n = 0;
	for (size_t i = 0; i < trace->n; i++)
		if (trace->event[i].kind == TRACE_SEND || trace->event[i].kind == TRACE_RECV)
			list[(*n)++] = &trace->event[i];
	qsort(list, *n, sizeof(struct trace_event *), by_message);
	return list;
}

static void clock_seen(struct pair *pair, int way, int64_t took)
{
	if (!pair->known[way] || took < pair->least[way])
		pair->least[way] = took;
	pair->known[way] = true;
}

/* False: no messages both ways link a recording to the first one. */
static bool clocks_relate(struct trace *trace)
{
	struct pair *pairs = calloc(trace->files + 1, sizeof(*pairs));
	const struct trace_event **list;
	bool all = true;
	size_t n;

	if (!pairs)
		abort();
	list = messages(trace, &n);
	for (size_t i = 0; i + 1 < n; i++) {
		const struct trace_event *sent = list[i], *received = list[i + 1];

		if (!same_message(sent, received) || sent->file == received->file)
			continue;
		if (!sent->file)
			clock_seen(&pairs[received->file], 0, received->time - sent->time);
		else if (!received->file)
			clock_seen(&pairs[sent->file], 1, received->time - sent->time);
	}
	free(list);
	for (int file = 1; file < trace->files; file++)
		all &= pairs[file].known[0] && pairs[file].known[1];
	for (size_t i = 0; all && i < trace->n; i++) {
		const struct pair *pair = &pairs[trace->event[i].file];

		if (trace->event[i].file)
			trace->event[i].time -= (pair->least[0] - pair->least[1]) / 2;
	}
	free(pairs);
	return all;
}

static int by_time(const void *a, const void *b)
{
	const struct trace_event *x = a, *y = b;

	if (x->time != y->time)
		return x->time < y->time ? -1 : 1;
	return (x->order > y->order) - (x->order < y->order);
}

/* ---- helpers ------------------------------------------------------------- */

struct helper {
	int file;
	int pid;
	int self;
};

static int helper_find(const struct helper *helpers, int n, const struct trace_event *event)
{
	for (int i = 0; i < n; i++)
		if (helpers[i].file == event->file && helpers[i].pid == event->pid)
			return i;
	return n;
}

/* Only helpers make downcalls. So these tell which node a helper belongs to. */
static void name_helpers(struct trace *trace)
{
	struct helper *helpers = NULL;
	int n = 0;

	for (size_t i = 0; i < trace->n; i++) {
		const struct trace_event *event = &trace->event[i];

		if (event->kind != TRACE_DOWNCALL || helper_find(helpers, n, event) < n)
			continue;
		helpers = realloc(helpers, (n + 1) * sizeof(*helpers));
		if (!helpers)
			abort();
		helpers[n++] = (struct helper){ event->file, event->pid, event->self };
	}
	for (size_t i = 0; i < trace->n; i++) {
		struct trace_event *event = &trace->event[i];

		if (event->kind == TRACE_AWAKE || event->kind == TRACE_SENT) {
			int found = helper_find(helpers, n, event);

			event->self = found < n ? helpers[found].self : -1;
		}
	}
	free(helpers);
}

/* ---- the way of a fault ------------------------------------------------- */

/* The helper's first event on a node between two events, or NULL. */
static const struct trace_event *helper_did(enum trace_kind kind, int node,
					    const struct trace_event *from,
					    const struct trace_event *to)
{
	for (const struct trace_event *event = from + 1; event < to; event++)
		if (event->kind == kind && event->self == node)
			return event;
	return NULL;
}

static bool of_block(const struct trace_event *event, const struct trace_event *fault)
{
	return event->region == fault->region && event->block == fault->block;
}

/* The last event for the block on @node before @limit. */
static const struct trace_event *before(const struct trace *trace, enum trace_kind kind, int node,
					const struct trace_event *fault,
					const struct trace_event *limit)
{
	const struct trace_event *end = limit - trace->event > LOOK_BACK ?
					limit - LOOK_BACK : trace->event;

	for (const struct trace_event *event = limit - 1; event >= end; event--)
		if (event->kind == kind && event->self == node && of_block(event, fault))
			return event;
	return NULL;
}

/* Where a received message was sent. */
static const struct trace_event *origin(const struct trace *trace,
					const struct trace_event *received)
{
	const struct trace_event *end = received - trace->event > LOOK_BACK ?
					received - LOOK_BACK : trace->event;

	for (const struct trace_event *event = received - 1; event >= end; event--)
		if (same_message(event, received))
			return event;
	return NULL;
}

static int64_t time_of(const struct trace_event *event)
{
	return event ? event->time : 0;
}

static bool is_revoked(const struct trace_event *line)
{
	size_t len = strlen(line->type);

	return len > 2 && !strcmp(line->type + len - 2, "_R");
}

static bool was_asked_for(const struct trace_event *line)
{
	return !strcmp(line->type, "IS") || !strcmp(line->type, "IM") || !strcmp(line->type, "SM");
}

/*
 * One message, from where it was queued to where it was received. @cause: what its sender had
 * received before; NULL for the request.
 */
static void hop_of(const struct trace *trace, const struct trace_event *fault,
		   const struct trace_event *queued, const struct trace_event *received,
		   const struct trace_event *cause, int64_t *at)
{
	const struct trace_event *line = before(trace, TRACE_LINE, queued->self, fault, queued);
	const struct trace_event *sent = helper_did(TRACE_SENT, queued->self, queued, received);

	if (cause && line && line > cause && is_revoked(line))
		at[REVOKED] = line->time;
	at[QUEUED] = queued->time;
	at[SENT] = time_of(sent);
	/* The helper may run before the thread that woke it has recorded that. */
	if (sent)
		at[HELPER_AWAKE] = time_of(helper_did(TRACE_AWAKE, queued->self,
						      cause ? cause : fault, sent));
	at[PEER_AWAKE] = time_of(helper_did(TRACE_AWAKE, received->self, sent ? sent : queued,
					    received));
	at[RECEIVED] = received->time;
}

/* The others' kernels were not recorded: their part is one leg, up to the answer. */
static bool own_way_of(const struct trace *trace, const struct trace_event *fault,
		       const struct trace_event *received, struct way *way)
{
	const struct trace_event *queued = before(trace, TRACE_SEND, fault->self, fault, received);
	const struct trace_event *sent;
	int64_t *request = way->at, *answer = way->at + HOP_STEPS;

	if (!queued || queued < fault)
		return false;
	memcpy(way->type[0], queued->type, sizeof(way->type[0]));
	memcpy(way->type[1], received->type, sizeof(way->type[1]));
	way->hops = 2;
	request[QUEUED] = queued->time;
	sent = helper_did(TRACE_SENT, fault->self, queued, received);
	if (sent)
		request[HELPER_AWAKE] = time_of(helper_did(TRACE_AWAKE, fault->self, fault, sent));
	request[SENT] = time_of(sent);
	answer[PEER_AWAKE] = time_of(helper_did(TRACE_AWAKE, fault->self, sent ? sent : queued,
						received));
	answer[RECEIVED] = received->time;
	return true;
}

/*
 * Goes backwards from the change of state that let the fault continue. False: the fault did
 * not wait for a message that it caused itself, or a part is missing from the recordings.
 */
static bool way_of(const struct trace *trace, const struct thread *thread,
		   const struct trace_event *over, struct way *way)
{
	const struct trace_event *fault = thread->start;
	const struct trace_event *installed = before(trace, TRACE_LINE, fault->self, fault, over);
	const struct trace_event *received, *queued, *cause;
	const struct trace_event *hops[HOPS_MAX][3];
	int64_t *last;
	int n = 0;

	if (!installed || installed < fault || !was_asked_for(installed))
		return false;
	*way = (struct way){ .start = fault->time };
	received = before(trace, TRACE_RECV, fault->self, fault, installed);
	if (received && received > fault && !origin(trace, received)) {
		if (!own_way_of(trace, fault, received, way))
			return false;
		goto end;
	}
	do {
		if (n == HOPS_MAX || !received || received < fault)
			return false;
		queued = origin(trace, received);
		if (!queued || queued < fault)
			return false;
		cause = queued->self == fault->self ? NULL :
			before(trace, TRACE_RECV, queued->self, fault, queued);
		hops[n][0] = queued;
		hops[n][1] = received;
		hops[n++][2] = cause;
		received = cause;
	} while (cause);
	if (queued->self != fault->self)
		return false;

	way->hops = n;
	for (int i = 0; i < n; i++) {
		const struct trace_event **hop = hops[n - 1 - i];

		memcpy(way->type[i], hop[0]->type, sizeof(way->type[i]));
		hop_of(trace, fault, hop[0], hop[1], hop[2], way->at + i * HOP_STEPS);
	}
end:
	last = way->at + way->hops * HOP_STEPS;
	last[INSTALLED] = installed->time;
	if (thread->awake > installed->time)
		last[THREAD_AWAKE] = thread->awake;
	last[RESUMED] = over->time;
	return true;
}

/* ---- all faults ---------------------------------------------------------- */

static struct thread *thread_of(struct thread **threads, const struct trace_event *event)
{
	struct thread *thread;

	for (thread = *threads; thread; thread = thread->next)
		if (thread->file == event->file && thread->pid == event->pid)
			return thread;
	thread = calloc(1, sizeof(*thread));
	if (!thread)
		abort();
	thread->file = event->file;
	thread->pid = event->pid;
	thread->next = *threads;
	*threads = thread;
	return thread;
}

static bool same_way(const struct way *a, const struct way *b)
{
	return a->hops == b->hops && !memcmp(a->type, b->type, sizeof(a->type));
}

static void group_add(struct group **groups, const struct way *way)
{
	struct group *group;

	for (group = *groups; group && !same_way(group->ways, way); group = group->next)
		;
	if (!group) {
		group = calloc(1, sizeof(*group));
		if (!group)
			abort();
		group->next = *groups;
		*groups = group;
	}
	if (!(group->n & (group->n + 1))) {	/* full: 0, 1, 3, 7, ... */
		group->ways = realloc(group->ways, (2 * group->n + 1) * sizeof(*way));
		if (!group->ways)
			abort();
	}
	group->ways[group->n++] = *way;
}

/* A fault may be repeated before it ends: RETRY, or a write that was sent back. */
static struct group *find_ways(const struct trace *trace)
{
	struct thread *threads = NULL, *thread;
	struct group *groups = NULL;
	struct way way;

	for (size_t i = 0; i < trace->n; i++) {
		const struct trace_event *event = &trace->event[i];

		if (event->kind != TRACE_FAULT_START && event->kind != TRACE_FAULT_END)
			continue;
		thread = thread_of(&threads, event);
		if (event->kind == TRACE_FAULT_START) {
			if (!thread->start || !of_block(event, thread->start)) {
				thread->start = event;
				thread->awake = 0;
			}
		} else if (thread->start && !(event->ret & VM_FAULT_LOCKED)) {
			thread->awake = event->time;
		} else if (thread->start) {
			if (way_of(trace, thread, event, &way))
				group_add(&groups, &way);
			thread->start = NULL;
		}
	}
	while ((thread = threads)) {
		threads = thread->next;
		free(thread);
	}
	return groups;
}

/* ---- output ------------------------------------------------------------- */

static int compare(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

/* The median and the 99th percentile of @n times. Sorts them. */
static void row_add(struct json_object *rows, const char *name, int64_t *times, size_t n)
{
	struct json_object *row = json_object_new_object();

	qsort(times, n, sizeof(*times), compare);
	json_object_object_add(row, "p50_us", json_object_new_int64(times[n / 2] / 1000));
	json_object_object_add(row, "p99_us", json_object_new_int64(times[n * 99 / 100] / 1000));
	json_object_object_add(row, "faults", json_object_new_int64(n));
	json_object_object_add(rows, name, row);
}

static void step_name(const struct way *way, int step, char *name, size_t size)
{
	static const char *const in_hop[HOP_STEPS] = {
		[REVOKED]	= "access revoked, for",
		[QUEUED]	= "upcall queued:",
		[HELPER_AWAKE]	= "helper awake:",
		[SENT]		= "sent:",
		[PEER_AWAKE]	= "peer's helper awake:",
		[RECEIVED]	= "received:",
	};
	static const char *const at_end[END_STEPS] = {
		[INSTALLED]	= "installed",
		[THREAD_AWAKE]	= "thread awake",
		[RESUMED]	= "resumed",
	};
	int hop = step / HOP_STEPS;

	if (hop == way->hops)
		snprintf(name, size, "%s", at_end[step % HOP_STEPS]);
	else
		snprintf(name, size, "%s %s", in_hop[step % HOP_STEPS], way->type[hop]);
}

/*
 * A leg ends with a step, and starts with the last step before it that was recorded. So the
 * legs of a fault add up to the whole.
 */
static struct json_object *legs_of(const struct group *group)
{
	int steps = group->ways->hops * HOP_STEPS + END_STEPS;
	int64_t *times = malloc(group->n * sizeof(*times));
	int64_t *last = malloc(group->n * sizeof(*last));
	struct json_object *legs = json_object_new_object();
	char name[48];

	if (!times || !last)
		abort();
	for (size_t i = 0; i < group->n; i++)
		last[i] = group->ways[i].start;
	for (int step = 0; step < steps; step++) {
		size_t n = 0;

		for (size_t i = 0; i < group->n; i++) {
			int64_t at = group->ways[i].at[step];

			if (!at)
				continue;
			if (at < last[i])
				at = last[i];
			times[n++] = at - last[i];
			last[i] = at;
		}
		step_name(group->ways, step, name, sizeof(name));
		if (n)
			row_add(legs, name, times, n);
	}
	for (size_t i = 0; i < group->n; i++)
		times[i] = last[i] - group->ways[i].start;
	row_add(legs, "all", times, group->n);
	free(times);
	free(last);
	return legs;
}

/* The groups by size, the largest first, as an object. The groups are freed. */
static struct json_object *groups_say(struct group *groups)
{
	struct json_object *all = json_object_new_object();

	while (groups) {
		struct group **largest = &groups, *group;
		char name[HOPS_MAX * 18] = "";

		for (struct group **at = &groups; *at; at = &(*at)->next)
			if ((*at)->n > (*largest)->n)
				largest = at;
		group = *largest;
		*largest = group->next;
		for (int hop = 0; hop < group->ways->hops; hop++) {
			strcat(name, hop ? ", " : "");
			strcat(name, group->ways->type[hop]);
		}
		json_object_object_add(all, name, legs_of(group));
		free(group->ways);
		free(group);
	}
	return all;
}

struct json_object *latency_of(struct trace *trace, const char **why)
{
	struct json_object *all;

	if (!clocks_relate(trace)) {
		*why = "no messages went both ways between the first file's kernel and another's";
		return NULL;
	}
	qsort(trace->event, trace->n, sizeof(*trace->event), by_time);
	name_helpers(trace);
	all = groups_say(find_ways(trace));
	if (!json_object_object_length(all)) {
		*why = "no fault is recorded that waited for messages of its own";
		json_object_put(all);
		return NULL;
	}
	return all;
}
