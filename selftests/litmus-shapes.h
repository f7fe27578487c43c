/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Litmus shapes: small concurrent programs, and the outcomes that a memory model allows.
 *
 * The names are those of the literature: Alglave, Maranget, Tautschnig, Herding Cats, 2014.
 * All variables are initially 0. An outcome consists of what each read saw, thread by thread,
 * then the last value of each variable that is written more than once. It is packed into an
 * index below LITMUS_OUTCOMES.
 */
#ifndef SELFTESTS_LITMUS_SHAPES_H
#define SELFTESTS_LITMUS_SHAPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	LITMUS_THREADS		= 4,
	LITMUS_OPS		= 2,	/* of a thread */
	LITMUS_VARIABLES	= 2,
	LITMUS_FIELDS		= 6,	/* of an outcome */
	LITMUS_VALUE_BITS	= 2,
	LITMUS_OUTCOMES		= 1 << (LITMUS_FIELDS * LITMUS_VALUE_BITS),
};

struct litmus_op {
	enum { LITMUS_END, LITMUS_READ, LITMUS_WRITE } kind;
	unsigned int variable;
	unsigned int value;	/* of a write */
};

struct litmus_shape {
	const char *name;
	struct litmus_op ops[LITMUS_THREADS][LITMUS_OPS];
};

extern const struct litmus_shape litmus_shapes[];
extern const unsigned int litmus_shapes_count;

unsigned int litmus_threads(const struct litmus_shape *shape);
/* The operations of a thread */
unsigned int litmus_ops(const struct litmus_shape *shape, unsigned int thread);
unsigned int litmus_variables(const struct litmus_shape *shape);

/*
 * Fields of an outcome: how many; the first of a thread's reads; and that of a variable's last
 * value, -1 if the outcome does not include it.
 */
unsigned int litmus_fields(const struct litmus_shape *shape);
unsigned int litmus_first_read(const struct litmus_shape *shape, unsigned int thread);
int litmus_last_value(const struct litmus_shape *shape, unsigned int variable);

/* The index of an outcome, and back to its fields. */
unsigned int litmus_outcome(const struct litmus_shape *shape, const unsigned int *fields);
void litmus_outcome_fields(const struct litmus_shape *shape, unsigned int outcome,
			   unsigned int *fields);

/* As "0:y=1 1:x=0 [x]=2": thread 0 read 1 from y, ..., and x is 2 at the end. */
void litmus_outcome_text(const struct litmus_shape *shape, unsigned int outcome, char *text,
			 size_t size);

/*
 * The allowed outcomes, found by trying every interleaving.
 *
 * litmus_enumerate_sc(): sequential consistency.
 *
 * litmus_enumerate(): threads of one node (equal @node_of) share a memory, and have a store
 * buffer each, as on x86 (TSO). Before another node gets a variable, all buffered stores to it
 * have drained. So this is TSO with all threads on one node, and SC with a node for each.
 */
void litmus_enumerate_sc(const struct litmus_shape *shape, bool allowed[LITMUS_OUTCOMES]);
void litmus_enumerate(const struct litmus_shape *shape, const int node_of[LITMUS_THREADS],
		      bool allowed[LITMUS_OUTCOMES]);

#endif /* SELFTESTS_LITMUS_SHAPES_H */
