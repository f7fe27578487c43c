// SPDX-License-Identifier: GPL-2.0
/*
 * The walk: breadth first from the initial cluster, so that the first fault is found in as few
 * steps as possible.
 *
 * There are two kinds of steps. What nodes want (reads, writes, evictions, the early end of a
 * hold) may or may not happen. The others happen sooner or later: messages arrive, revocations
 * and holds end. The states and the steps of the second kind form a graph. When all states are
 * known, the graph is searched for cycles. If it has none, all requests are served after a
 * bounded number of steps in any order, unless new ones are made: the model has checked that
 * at the graph's ends all requests have been served.
 *
 * Nodes differ only in the blocks whose homes they are.
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "pack.h"
#include "store.h"
#include "walk.h"

enum {
	WANTS		= (1 << STEP_DELIVER) - 1,
};

struct graph {
	u32 *edges;	/* numbers of states, ordered by the states that the steps leave */
	u64 n;
	u64 n_max;
	u8 *degree;	/* of each state */
	u32 *parent;
	u32 n_states;	/* allocated for so many */
};

struct walker {
	const struct walk_config *config;
	const struct walk_limits *limits;
	struct walk_result *result;
	struct model first;
	struct pack_orders orders;
	struct store store;
	struct store views;
	struct graph graph;
};

static bool is_want(u8 type)
{
	return WANTS >> type & 1;
}

static u32 state_of(const struct walker *w, const struct model *m)
{
	u8 bytes[PACK_MAX];

	return store_find(&w->store, bytes, pack(&w->orders, m, bytes));
}

static bool take(const struct model *m, const struct model_step *step, struct model *next,
		 struct model_report *report)
{
	*next = *m;
	return model_take(next, step, report);
}

/* The step has changed nothing: the node wants what it has already. */
static bool unchanged(const struct model *m, struct model *next)
{
	next->next_req = m->next_req;
	return !memcmp(m, next, sizeof(*m));
}

/* ------------------------------------------------------------------------
 * Traces
 */

/* The step that leads from one state to another. */
static bool find_step(const struct walker *w, const struct model *m, u32 to,
		      struct model_step *found)
{
	struct model_step steps[MODEL_STEPS];
	unsigned int n = model_steps(m, w->config->steps, steps), i;

	for (i = 0; i < n; i++) {
		struct model_report report = {};
		struct model next;

		if (take(m, &steps[i], &next, &report) && state_of(w, &next) == to) {
			*found = steps[i];
			return true;
		}
	}
	return false;
}

static bool chart_step(const struct walker *w, struct model *m, unsigned int number,
		       const struct model_step *step)
{
	struct model_report report = { .log = w->limits->chart };
	struct model next;
	bool ok;

	model_chart_step(m, number, step, w->limits->chart);
	ok = take(m, step, &next, &report);
	fputc('\n', w->limits->chart);
	*m = next;
	return ok;
}

/* Prints the path to state @i. @m becomes that state, in some numbering. */
static unsigned int chart_to(const struct walker *w, u32 i, struct model *m)
{
	u32 *path = NULL;
	unsigned int n = 0, number = 0;
	struct model_step step;

	for (; i; i = w->graph.parent[i]) {
		path = store_grow(path, n + 1, sizeof(*path));
		path[n++] = i;
	}
	*m = w->first;
	model_chart_head(m, w->limits->chart);
	while (n--) {
		if (!find_step(w, m, path[n], &step)) {
			fprintf(w->limits->chart, "  (the trace goes on where hashes collide)\n");
			break;
		}
		chart_step(w, m, ++number, &step);
	}
	free(path);
	return number;
}

static void explain(const struct walker *w, u32 i, const char *why)
{
	struct model_step steps[MODEL_STEPS];
	struct model m;
	unsigned int number = chart_to(w, i, &m), n, k;

	/* The faulty step again, in these numbers. */
	n = model_steps(&m, w->config->steps, steps);
	for (k = 0; k < n; k++) {
		struct model_report report = {};
		struct model next;

		if (!take(&m, &steps[k], &next, &report)) {
			chart_step(w, &m, number + 1, &steps[k]);
			why = report.why;
			fprintf(w->limits->chart, "    WRONG: %s\n", why);
			model_print(&m, w->limits->chart);
			return;
		}
	}
	fprintf(w->limits->chart, "    WRONG: %s\n", why);
	model_print(&m, w->limits->chart);
}

/* ------------------------------------------------------------------------
 * States
 */

static void graph_state(struct graph *g, u32 i, u32 parent)
{
	if (i >= g->n_states) {
		g->n_states = g->n_states + g->n_states / 2 + 4096;
		g->degree = store_grow(g->degree, g->n_states, sizeof(*g->degree));
		g->parent = store_grow(g->parent, g->n_states, sizeof(*g->parent));
	}
	g->degree[i] = 0;
	g->parent[i] = parent;
}

static void graph_edge(struct graph *g, u32 from, u32 to)
{
	if (g->n == g->n_max) {
		g->n_max = g->n_max + g->n_max / 2 + 4096;
		g->edges = store_grow(g->edges, g->n_max, sizeof(*g->edges));
	}
	g->edges[g->n++] = to;
	g->degree[from]++;
}

static void reach(struct walker *w, u32 from, const struct model *next, bool want)
{
	u8 bytes[PACK_MAX];
	bool fresh;
	u32 i;

	w->result->transitions++;
	i = store_add(&w->store, bytes, pack(&w->orders, next, bytes), &fresh);
	if (fresh)
		graph_state(&w->graph, i, from);
	if (!want)
		graph_edge(&w->graph, from, i);
}

/* What a node knows of a block, with numbers that show which are equal. */
static size_t view_of(const struct model *m, unsigned int b, unsigned int n, u8 *out)
{
	const struct model_block *block = &m->block[b];
	const struct dsm_line *line = &block->copy[n].line;
	bool home = n == block->home;
	u8 view[] = {
		n, home, line->state, line->held, line->demand, line->have, line->acks,
		line->acks_due, line->fwd.type, line->fwd.node, line->fwd.acks,
		line->fwd.req == line->req, line->fwd.req == block->dir.req,
		line->req == block->dir.req, home ? block->dir.state : 0,
		home ? block->dir.busy : 0, home ? block->dir.owner : 0,
		home ? block->dir.requester : 0, home ? block->sharers : 0,
		line->req != 0, block->dir.req != 0, line->discards, line->fwd.flags, line->owner,
	};

	memcpy(out, view, sizeof(view));
	return sizeof(view);
}

static bool tell_lies(struct walker *w, const struct model *m, struct model_report *report)
{
	unsigned int b, n;
	u8 bytes[PACK_MAX];
	bool fresh;

	for (b = 0; b < m->blocks; b++)
		for (n = 0; n < m->nodes; n++) {
			store_add(&w->views, bytes, view_of(m, b, n, bytes), &fresh);
			if (fresh && !model_refuses(m, b, n, report))
				return false;
		}
	return true;
}

static bool expand(struct walker *w, u32 i, const u8 *bytes)
{
	struct model_report report = {};
	struct model_step steps[MODEL_STEPS];
	struct model m, next;
	unsigned int n, k;

	unpack(&w->first, bytes, &m);
	if (!tell_lies(w, &m, &report)) {
		explain(w, i, report.why);
		return false;
	}
	n = model_steps(&m, w->config->steps, steps);
	for (k = 0; k < n; k++) {
		bool want = is_want(steps[k].type);

		if (!take(&m, &steps[k], &next, &report)) {
			explain(w, i, report.why);
			return false;
		}
		if (want && unchanged(&m, &next))
			continue;
		reach(w, i, &next, want);
	}
	if (!w->graph.degree[i])
		w->result->at_rest++;
	return true;
}

static size_t memory(const struct walker *w)
{
	return store_memory(&w->store) + store_memory(&w->views) +
	       w->graph.n_max * sizeof(*w->graph.edges) +
	       w->graph.n_states * (sizeof(*w->graph.degree) + sizeof(*w->graph.parent));
}

static enum walk_end walk_states(struct walker *w)
{
	u32 i, level_end = 1;
	u8 bytes[PACK_MAX];
	bool fresh;

	store_add(&w->store, bytes, pack(&w->orders, &w->first, bytes), &fresh);
	graph_state(&w->graph, 0, 0);
	for (i = 0; store_take(&w->store, bytes); i++) {
		if (i == level_end) {
			w->result->depth++;
			level_end = w->store.n;
		}
		if (!expand(w, i, bytes))
			return WALK_WRONG;
		if (w->store.n >= w->limits->states || memory(w) >= w->limits->memory)
			return WALK_LIMIT;
	}
	return WALK_DONE;
}

/* ---- Termination -------------------------------------------------------- */

/* Finds a state on a cycle, given states from which only cycles lead on. */
static u32 on_cycle(const struct graph *g, const u64 *start, const u32 *incoming, u32 n)
{
	u32 *next = store_grow(NULL, n, sizeof(*next)), *path = NULL, depth, i, found = STORE_NONE;
	u8 *seen = calloc(n, 1);

	path = store_grow(NULL, n, sizeof(*path));
	for (i = 0; i < n && found == STORE_NONE; i++) {
		if (!incoming[i] || seen[i])
			continue;
		depth = 0;
		path[0] = i;
		next[i] = 0;
		seen[i] = 1;
		while (found == STORE_NONE) {
			u32 at = path[depth];

			if (next[at] == g->degree[at]) {
				seen[at] = 2;
				if (!depth--)
					break;
				continue;
			}
			at = g->edges[start[at] + next[at]++];
			if (seen[at] == 1) {
				found = at;
			} else if (!seen[at]) {
				seen[at] = 1;
				next[at] = 0;
				path[++depth] = at;
			}
		}
	}
	free(next);
	free(path);
	free(seen);
	return found;
}

/* Steps that return to where they started. */
static void explain_cycle(const struct walker *w, const u64 *start, u32 i)
{
	const struct graph *g = &w->graph;
	u32 n = w->store.n, *from = store_grow(NULL, n, sizeof(*from));
	u32 *queue = store_grow(NULL, n, sizeof(*queue)), head = 0, tail = 0, at, e, length = 0;
	struct model_step step;
	unsigned int number;
	struct model m;

	/* The shortest path back to @i. */
	memset(from, 0xff, n * sizeof(*from));
	queue[tail++] = i;
	while (head < tail && from[i] == STORE_NONE) {
		at = queue[head++];
		for (e = 0; e < g->degree[at]; e++) {
			u32 to = g->edges[start[at] + e];

			if (from[to] == STORE_NONE) {
				from[to] = at;
				queue[tail++] = to;
			}
		}
	}
	for (at = i, tail = 0; !length || at != i; at = from[at], length++)
		queue[tail++] = at;
	number = chart_to(w, i, &m);
	fprintf(w->limits->chart, "    From here on, round and round:\n");
	while (tail-- && find_step(w, &m, queue[tail], &step))
		chart_step(w, &m, ++number, &step);
	fprintf(w->limits->chart, "    WRONG: a cycle: these requests are never served\n");
	free(from);
	free(queue);
}

static enum walk_end walk_ends(struct walker *w)
{
	struct graph *g = &w->graph;
	u32 n = w->store.n, i, k, head = 0, tail = 0;
	u32 *incoming = store_grow(NULL, n, sizeof(*incoming));
	u32 *order = store_grow(NULL, n, sizeof(*order));
	u64 *start = store_grow(NULL, n, sizeof(*start)), at = 0;
	u16 *run = store_grow(NULL, n, sizeof(*run));
	enum walk_end end = WALK_DONE;

	memset(incoming, 0, n * sizeof(*incoming));
	memset(run, 0, n * sizeof(*run));
	for (i = 0; i < n; at += g->degree[i++])
		start[i] = at;
	for (at = 0; at < g->n; at++)
		incoming[g->edges[at]]++;
	for (i = 0; i < n; i++)
		if (!incoming[i])
			order[tail++] = i;
	while (head < tail) {
		i = order[head++];
		for (k = 0; k < g->degree[i]; k++) {
			u32 to = g->edges[start[i] + k];

			if (!--incoming[to])
				order[tail++] = to;
		}
	}
	if (tail < n) {
		explain_cycle(w, start, on_cycle(g, start, incoming, n));
		end = WALK_WRONG;
	}
	/* From the ends backwards: the longest run of steps. */
	while (head--) {
		i = order[head];
		for (k = 0; k < g->degree[i]; k++) {
			u32 to = g->edges[start[i] + k];

			if (run[i] < run[to] + 1)
				run[i] = run[to] + 1;
		}
		if (w->result->run < run[i])
			w->result->run = run[i];
	}
	free(incoming);
	free(order);
	free(start);
	free(run);
	return end;
}

enum walk_end walk(const struct walk_config *config, const struct walk_limits *limits,
		   struct walk_result *result)
{
	struct walker w = { .config = config, .limits = limits, .result = result };
	clock_t begin = clock();
	enum walk_end end;

	*result = (struct walk_result){};
	model_init(&w.first, config->nodes, config->blocks);
	w.first.exact = config->exact;
	pack_orders_init(&w.orders, &w.first, !config->no_symmetry);
	store_init(&w.store, limits->compact);
	store_init(&w.views, false);
	end = walk_states(&w);
	if (end == WALK_DONE)
		end = walk_ends(&w);
	result->states = w.store.n;
	result->views = w.views.n;
	result->memory = memory(&w);
	result->seconds = (double)(clock() - begin) / CLOCKS_PER_SEC;
	store_free(&w.store);
	store_free(&w.views);
	free(w.graph.edges);
	free(w.graph.degree);
	free(w.graph.parent);
	return end;
}
