// SPDX-License-Identifier: MIT
/* What app.h declares. */
#include <errno.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "app.h"

struct root {
	dsm_barrier_t	barrier;
	void		*job;
};

int app_node, app_nodes;
long app_size;

static const char *name;
static struct root *root;

__attribute__((noreturn, format(printf, 1, 2)))
static void die(const char *format, ...)
{
	const char *detail = dsm_error_detail();
	int err = errno;
	va_list args;

	printf("%s: FAILED: ", name);
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	printf(": %s%s%s\n", strerror(err), *detail ? ": " : "", detail);
	exit(1);
}

void app_start(const char *app_name, long size, int argc, char **argv)
{
	char *end = "";

	name = app_name;
	app_size = argc > 1 ? strtol(argv[1], &end, 10) : size;
	if (argc > 2 || *end || app_size < 2) {
		fprintf(stderr, "usage: %s [SIZE], a number from 2 on\n", name);
		exit(2);
	}
	app_node = dsm_node_id();
	app_nodes = dsm_node_count();
	if (app_node < 0 || app_nodes < 0)
		die("this node");
}

void *app_share(size_t size, void (*fill)(void *job))
{
	dsm_region *region = dsm_default();
	struct root *made;

	if (!region)
		die("the default region");
	if (!app_node) {
		made = app_shared_alloc(sizeof(*made));
		if (dsm_barrier_init(&made->barrier, app_nodes))
			die("dsm_barrier_init");
		made->job = app_shared_alloc(size);
		memset(made->job, 0, size);
		fill(made->job);
		if (dsm_set_root(region, made))
			die("dsm_set_root");
	}
	while (!(root = dsm_root(region)))
		sched_yield();
	return root->job;
}

void *app_shared_alloc(size_t size)
{
	void *memory = dsm_malloc(size);

	if (!memory)
		die("dsm_malloc of %zu bytes", size);
	return memory;
}

void *app_alloc(size_t size)
{
	void *memory = malloc(size);

	if (!memory)
		die("malloc of %zu bytes", size);
	return memory;
}

void app_meet(void)
{
	int err = dsm_barrier_wait(&root->barrier);

	if (err > 0) {
		errno = err;
		die("dsm_barrier_wait");
	}
}

static void nobody(void)
{
}

void app_range(long n, int part, int parts, long *first, long *end)
{
	*first = n * part / parts;
	*end = n * (part + 1) / parts;
}

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec + time.tv_nsec * 1e-9;
}

/* Seconds that this node's threads have waited for other nodes. */
static double waited(void)
{
	const char *region = getenv("DSM_REGION");
	char path[200];
	long long ns;
	FILE *file;

	snprintf(path, sizeof(path), "/sys/class/dsm/node/regions/%s/stats/fault_wait_ns",
		 region ? region : "default");
	file = fopen(path, "r");
	if (!file || fscanf(file, "%lld", &ns) != 1)
		die("%s", path);
	fclose(file);
	return ns * 1e-9;
}

int app_run(void *job, void (*work)(void *job, int part, int parts, void (*meet)(void)),
	    void *(*copy)(const void *job),
	    bool (*same)(const void *job, const void *alone))
{
	void *alone = app_node ? NULL : copy(job);
	double start, shared, own, wait;
	bool ok;

	app_meet();
	start = now();
	wait = waited();
	work(job, app_node, app_nodes, app_meet);
	app_meet();
	shared = now() - start;
	wait = waited() - wait;
	/* The others wait, and leave the processors to node 0. */
	if (app_node) {
		app_meet();
		return 0;
	}
	start = now();
	work(alone, 0, 1, nobody);
	own = now() - start;
	ok = same(job, alone);
	app_meet();
	if (ok)
		printf("%s: ok: %ld, %d nodes, %.3f s, alone %.3f s, waited %.3f s\n",
		       name, app_size, app_nodes, shared, own, wait);
	else
		printf("%s: FAILED: not what one node computes\n", name);
	return !ok;
}

/* xorshift64* (Vigna, 2016) */
unsigned long app_random(unsigned long *state)
{
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return *state * 2685821657736338717UL;
}
