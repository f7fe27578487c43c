/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _EXPLORE_WALK_H
#define _EXPLORE_WALK_H

#include "model.h"

/**
 * struct walk_config - what to explore
 * @name: for the report
 * @nodes: how many
 * @blocks: how many; the first's home is node 0, the second's node 1
 * @steps: a bit for each enum model_step_type that may happen
 * @exact: as in struct model
 * @no_symmetry: numberings of nodes count as different states
 */
struct walk_config {
	const char *name;
	unsigned int nodes;
	unsigned int blocks;
	unsigned int steps;
	bool exact;
	bool no_symmetry;
};

/**
 * * struct walk_limits - when to stop
 * @states: after so many
 * @bounded: stopping at @states was requested
 * @memory: after so many bytes
 * @compact: keep hashes instead of states
 * @chart: where a trace goes
 */
struct walk_limits {
	unsigned long states;
	bool bounded;
	size_t memory;
	bool compact;
	FILE *chart;
};

enum walk_end {
	WALK_DONE,	/* every state was reached, and all are right */
	WALK_WRONG,	/* a state is wrong; its trace has been printed */
	WALK_LIMIT,	/* all states so far are right */
};

/**
 * struct walk_result - what was found
 * @states: how many
 * @transitions: between them
 * @at_rest: states in which nothing is left to happen
 * @depth: steps from the first state to the last
 * @views: states of a single node's knowledge: in each, every lie was told
 * @run: the most steps until all is at rest, if nobody wants anything new
 * @memory: bytes
 * @seconds: processor time
 */
struct walk_result {
	unsigned long states;
	unsigned long transitions;
	unsigned long at_rest;
	unsigned int depth;
	unsigned long views;
	unsigned int run;
	size_t memory;
	double seconds;
};

enum walk_end walk(const struct walk_config *config, const struct walk_limits *limits,
		   struct walk_result *result);

#endif /* _EXPLORE_WALK_H */
