/* SPDX-License-Identifier: MIT */
/*
 * What the example applications have in common: they run on every node at
 * once, do their work in shared memory, then node 0 does the same alone in
 * memory of its own, and compares.
 *
 *	NAME [SIZE]
 *
 * Node 0 ends with a line
 *
 *	NAME: ok: SIZE, N nodes, T s, alone A s, waited W s
 *
 * or 'NAME: FAILED: why' and exit status 1. T and A are of the work, without
 * the making of its data; W is for how long node 0 waited in T for memory of
 * others.
 */
#ifndef APPS_APP_H
#define APPS_APP_H

#include <stdbool.h>
#include <stddef.h>

#include <dsm.h>

/**
 * struct app - an application
 * @name: its name
 * @size: if the command line has none
 * @size_max: 0: any
 * @job_size: of the one object that everything else hangs on
 * @make: fill in what is all nodes'; called on one
 * @fill: make a part's own data: in memory that the node itself allocates, so
 *	that nobody has to be asked for it; called on each
 * @work: a part of the work
 * @same: is the result that of one part alone?
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

/* All of main(). */
int app_main(const struct app *app, int argc, char **argv);

/*
 * Memory for the job, in blocks of its own: nobody else's data is with it. It
 * is shared, but for the job that node 0 does alone. There is always some.
 */
void *app_new(size_t size);
bool app_is_shared(void);

/* The range of @n things that is @part's of @parts. */
void app_range(long n, int part, int parts, long *first, long *end);

/* Reproducible numbers. */
unsigned long app_random(unsigned long *state);

#endif /* APPS_APP_H */
