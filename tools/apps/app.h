/* SPDX-License-Identifier: MIT */
/*
 * Common code of the example applications. They run on every node at once and work in shared
 * memory. Then node 0 does the same work alone in private memory, and compares the results.
 *
 * 	NAME [SIZE]
 *
 * Node 0 ends with a line
 *
 * 	NAME: ok: SIZE, N nodes, T s, alone A s, waited W s
 *
 * or 'NAME: FAILED: why' and exit status 1. T and A do not include the generation of the data.
 * W is the part of T in which node 0 waited for memory of other nodes.
 */
#ifndef APPS_APP_H
#define APPS_APP_H

#include <stdbool.h>
#include <stddef.h>

#include <dsm.h>

/**
 * * struct app - an application
 * @name: its name
 * @size: the default size
 * @size_max: the largest size; 0: no limit
 * @job_size: size of the root object, which points to everything else
 * @make: generate the common data; called on one node
 * @fill: generate a part's own data, in memory that the node itself allocates, so that no
 *	other node has to be asked for it; called on each node
 * @work: do a part of the work
 * @same: is the result equal to that of one part alone?
 *
 * @meet waits for all parts.
 */
struct app {
	const char *name;
	long size, size_max;
	size_t job_size;
	void (*make)(void *job, int parts);
	void (*fill)(void *job, int part, int parts, void (*meet)(void));
	void (*work)(void *job, int part, int parts, void (*meet)(void));
	bool (*same)(const void *job, const void *alone);
};

extern long app_size;

/* The body of main(). */
int app_main(const struct app *app, int argc, char **argv);

/*
 * Memory for the job, in blocks that hold nothing else. It is shared, except in the job that
 * node 0 does alone. Never returns NULL.
 */
void *app_new(size_t size);
bool app_is_shared(void);

/* The range of @n items that belongs to @part of @parts. */
void app_range(long n, int part, int parts, long *first, long *end);

/* Reproducible numbers. */
unsigned long app_random(unsigned long *state);

#endif /* APPS_APP_H */
