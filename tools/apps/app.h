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
 * or 'NAME: FAILED: why' and exit status 1. W is for how long node 0 waited for
 * memory of others.
 */
#ifndef APPS_APP_H
#define APPS_APP_H

#include <stdbool.h>
#include <stddef.h>

#include <dsm.h>

extern int app_node, app_nodes;
extern long app_size;

/* @size: if the command line has none. */
void app_start(const char *name, long size, int argc, char **argv);

/*
 * The one object that everything else hangs on, @size bytes, zero at first:
 * node 0 makes it, by @fill, before the others get it.
 */
void *app_share(size_t size, void (*fill)(void *job));

/* dsm_malloc(), malloc(): or the end. */
void *app_shared_alloc(size_t size);
void *app_alloc(size_t size);

/* A barrier of all nodes. */
void app_meet(void);

/* The range of @n things that is @part's of @parts. */
void app_range(long n, int part, int parts, long *first, long *end);

/*
 * On every node @work does its part of the job, one of @parts, and waits for
 * the others with @meet. Then node 0 does the only part of what @copy made of
 * the job before, and @same compares the two. Returns the exit status.
 */
int app_run(void *job,
	    void (*work)(void *job, int part, int parts, void (*meet)(void)),
	    void *(*copy)(const void *job),
	    bool (*same)(const void *job, const void *alone));

/* Reproducible numbers. */
unsigned long app_random(unsigned long *state);

#endif /* APPS_APP_H */
