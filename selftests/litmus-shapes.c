// SPDX-License-Identifier: GPL-2.0
/* Litmus shapes: the table, and the enumeration of their outcomes. */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "litmus-shapes.h"

enum { x, y };

#define R(variable)		{ LITMUS_READ, variable, 0 }
#define W(variable, value)	{ LITMUS_WRITE, variable, value }

const struct litmus_shape litmus_shapes[] = {
	{ "SB",   { { W(x, 1), R(y) },    { W(y, 1), R(x) } } },
	{ "MP",   { { W(x, 1), W(y, 1) }, { R(y), R(x) } } },
	{ "LB",   { { R(x), W(y, 1) },    { R(y), W(x, 1) } } },
	{ "S",    { { W(x, 2), W(y, 1) }, { R(y), W(x, 1) } } },
	{ "R",    { { W(x, 1), W(y, 1) }, { W(y, 2), R(x) } } },
	{ "2+2W", { { W(x, 1), W(y, 2) }, { W(y, 1), W(x, 2) } } },
	{ "WRC",  { { W(x, 1) },          { R(x), W(y, 1) }, { R(y), R(x) } } },
	{ "RWC",  { { W(x, 1) },          { R(x), R(y) },    { W(y, 1), R(x) } } },
	{ "IRIW", { { W(x, 1) },          { W(y, 1) },       { R(x), R(y) }, { R(y), R(x) } } },
	{ "CoRR", { { W(x, 1) },          { R(x), R(x) } } },
	{ "CoWR", { { W(x, 1), R(x) },    { W(x, 2) } } },
	/* The classic shape has the first thread only. The second makes the variable move. */
	{ "CoWW", { { W(x, 1), W(x, 2) }, { W(x, 3) } } },
};

const unsigned int litmus_shapes_count = sizeof(litmus_shapes) / sizeof(litmus_shapes[0]);

unsigned int litmus_ops(const struct litmus_shape *shape, unsigned int thread)
{
	unsigned int n = 0;

	while (n < LITMUS_OPS && shape->ops[thread][n].kind != LITMUS_END)
		n++;
	return n;
}

unsigned int litmus_threads(const struct litmus_shape *shape)
{
	unsigned int n = 0;

	while (n < LITMUS_THREADS && litmus_ops(shape, n))
		n++;
	return n;
}

/*
 * The number of operations of a kind in threads before @end; if @variable >= 0, only those on
 * it.
 */
static unsigned int count_ops(const struct litmus_shape *shape, int kind, int variable,
			      unsigned int end)
{
	unsigned int n = 0;

	for (unsigned int t = 0; t < end; t++) {
		for (unsigned int i = 0; i < LITMUS_OPS; i++) {
			const struct litmus_op *op = &shape->ops[t][i];

			n += (int)op->kind == kind &&
			     (variable < 0 || (int)op->variable == variable);
		}
	}
	return n;
}

unsigned int litmus_variables(const struct litmus_shape *shape)
{
	unsigned int n = 0;

	while (n < LITMUS_VARIABLES &&
	       count_ops(shape, LITMUS_WRITE, n, LITMUS_THREADS))
		n++;
	return n;
}

unsigned int litmus_first_read(const struct litmus_shape *shape, unsigned int thread)
{
	return count_ops(shape, LITMUS_READ, -1, thread);
}

int litmus_last_value(const struct litmus_shape *shape, unsigned int variable)
{
	int field = litmus_first_read(shape, LITMUS_THREADS);

	if (count_ops(shape, LITMUS_WRITE, variable, LITMUS_THREADS) < 2)
		return -1;
	for (unsigned int v = 0; v < variable; v++)
		field += litmus_last_value(shape, v) >= 0;
	return field;
}

unsigned int litmus_fields(const struct litmus_shape *shape)
{
	unsigned int n = litmus_first_read(shape, LITMUS_THREADS);

	for (unsigned int v = 0; v < LITMUS_VARIABLES; v++)
		n += litmus_last_value(shape, v) >= 0;
	return n;
}

unsigned int litmus_outcome(const struct litmus_shape *shape, const unsigned int *fields)
{
	unsigned int outcome = 0;

	for (unsigned int i = 0; i < litmus_fields(shape); i++) {
		assert(!(fields[i] >> LITMUS_VALUE_BITS));
		outcome |= fields[i] << (i * LITMUS_VALUE_BITS);
	}
	return outcome;
}

void litmus_outcome_fields(const struct litmus_shape *shape, unsigned int outcome,
			   unsigned int *fields)
{
	for (unsigned int i = 0; i < litmus_fields(shape); i++)
		fields[i] = outcome >> (i * LITMUS_VALUE_BITS) & ((1 << LITMUS_VALUE_BITS) - 1);
}

void litmus_outcome_text(const struct litmus_shape *shape, unsigned int outcome, char *text,
			 size_t size)
{
	unsigned int fields[LITMUS_FIELDS], n = 0;
	size_t at = 0;

	litmus_outcome_fields(shape, outcome, fields);
	text[0] = '\0';
	for (unsigned int t = 0; t < LITMUS_THREADS; t++) {
		for (unsigned int i = 0; i < LITMUS_OPS; i++) {
			const struct litmus_op *op = &shape->ops[t][i];

			if (op->kind == LITMUS_READ && at < size)
				at += snprintf(text + at, size - at, "%s%u:%c=%u", n ? " " : "", t,
					       "xy"[op->variable], fields[n]);
			n += op->kind == LITMUS_READ;
		}
	}
	for (unsigned int v = 0; v < LITMUS_VARIABLES; v++) {
		int field = litmus_last_value(shape, v);

		if (field >= 0 && at < size)
			at += snprintf(text + at, size - at, "%s[%c]=%u", at ? " " : "", "xy"[v],
				       fields[field]);
	}
}

/* ---- enumeration --------------------------------------------------------- */

struct enumeration {
	const struct litmus_shape *shape;
	const int *node_of;	/* NULL: stores are not buffered */
	bool *allowed;
};

struct machine {
	unsigned int done[LITMUS_THREADS];	/* operations */
	unsigned int drained[LITMUS_THREADS];	/* how many are done; only writes are delayed */
	unsigned int memory[LITMUS_VARIABLES];
	unsigned int fields[LITMUS_FIELDS];
};

/* The thread's last write to @variable that is still in its buffer, or NULL. */
static const struct litmus_op *buffered(const struct enumeration *e, const struct machine *m,
					unsigned int thread, unsigned int variable)
{
	for (unsigned int i = m->done[thread]; i-- > m->drained[thread]; ) {
		const struct litmus_op *op = &e->shape->ops[thread][i];

		if (op->kind == LITMUS_WRITE && op->variable == variable)
			return op;
	}
	return NULL;
}

/* Another node can get @variable only when no buffer holds writes to it. */
static bool accessible(const struct enumeration *e, const struct machine *m, unsigned int thread,
		       unsigned int variable)
{
	for (unsigned int t = 0; e->node_of && t < litmus_threads(e->shape); t++)
		if (e->node_of[t] != e->node_of[thread] && buffered(e, m, t, variable))
			return false;
	return true;
}

/* The oldest buffered operation leaves the buffer. */
static void drain(const struct enumeration *e, struct machine *m, unsigned int thread)
{
	const struct litmus_op *op = &e->shape->ops[thread][m->drained[thread]++];

	if (op->kind == LITMUS_WRITE)
		m->memory[op->variable] = op->value;
}

static void perform(const struct enumeration *e, struct machine *m, unsigned int thread)
{
	const struct litmus_op *op = &e->shape->ops[thread][m->done[thread]];

	if (op->kind == LITMUS_READ) {
		const struct litmus_op *own = buffered(e, m, thread, op->variable);
		unsigned int field = litmus_first_read(e->shape, thread);

		for (unsigned int i = 0; i < m->done[thread]; i++)
			field += e->shape->ops[thread][i].kind == LITMUS_READ;
		m->fields[field] = own ? own->value : m->memory[op->variable];
	}
	m->done[thread]++;
	if (!e->node_of)
		drain(e, m, thread);
}

static void finish(const struct enumeration *e, const struct machine *m)
{
	unsigned int fields[LITMUS_FIELDS];

	memcpy(fields, m->fields, sizeof(fields));
	for (unsigned int v = 0; v < LITMUS_VARIABLES; v++) {
		int field = litmus_last_value(e->shape, v);

		if (field >= 0)
			fields[field] = m->memory[v];
	}
	e->allowed[litmus_outcome(e->shape, fields)] = true;
}

static void explore(const struct enumeration *e, const struct machine *m)
{
	struct machine next;
	bool over = true;

	for (unsigned int t = 0; t < litmus_threads(e->shape); t++) {
		if (m->drained[t] < m->done[t]) {
			next = *m;
			drain(e, &next, t);
			explore(e, &next);
			over = false;
		}
		if (m->done[t] < litmus_ops(e->shape, t) &&
		    accessible(e, m, t, e->shape->ops[t][m->done[t]].variable)) {
			next = *m;
			perform(e, &next, t);
			explore(e, &next);
			over = false;
		}
	}
	if (over)
		finish(e, m);
}

static void enumerate(const struct litmus_shape *shape, const int *node_of,
		      bool allowed[LITMUS_OUTCOMES])
{
	const struct enumeration e = { .shape = shape, .node_of = node_of, .allowed = allowed };
	const struct machine start = { .done = { 0 } };

	memset(allowed, 0, LITMUS_OUTCOMES * sizeof(*allowed));
	explore(&e, &start);
}

void litmus_enumerate_sc(const struct litmus_shape *shape, bool allowed[LITMUS_OUTCOMES])
{
	enumerate(shape, NULL, allowed);
}

void litmus_enumerate(const struct litmus_shape *shape, const int node_of[LITMUS_THREADS],
		      bool allowed[LITMUS_OUTCOMES])
{
	enumerate(shape, node_of, allowed);
}
