// SPDX-License-Identifier: MIT
/* The common code of the example applications; see app.h. */
#include <errno.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "app.h"

#define BLOCK	4096UL

struct root {
	dsm_barrier_t	barrier;
	void		*job;
};

long app_size;

static const char *name;
static int node, nodes;
static bool alone;		/* what node 0 does at the end */
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

void *app_new(size_t size)
{
	void *memory;

	size = (size + BLOCK - 1) & -BLOCK;
	memory = alone ? aligned_alloc(BLOCK, size) : dsm_aligned_alloc(BLOCK, size);
	if (!memory)
		die("%zu bytes", size);
	return memory;
}

bool app_is_shared(void)
{
	return !alone;
}

static void meet(void)
{
	int err = dsm_barrier_wait(&root->barrier);

	if (err > 0) {
		errno = err;
		die("dsm_barrier_wait");
	}
}

static void meet_nobody(void)
{
}

void app_range(long n, int part, int parts, long *first, long *end)
{
	*first = n * part / parts;
	*end = n * (part + 1) / parts;
}

static void start(const struct app *app, int argc, char **argv)
{
	char *end = "";

	name = app->name;
	app_size = argc > 1 ? strtol(argv[1], &end, 10) : app->size;
	if (argc > 2 || *end || app_size < 2 || (app->size_max && app_size > app->size_max)) {
		fprintf(stderr, "usage: %s [SIZE], a number from 2 on", name);
		fprintf(stderr, app->size_max ? ", up to %ld\n" : "\n", app->size_max);
		exit(2);
	}
	node = dsm_node_id();
	nodes = dsm_node_count();
	if (node < 0 || nodes < 0)
		die("this node");
	if (!dsm_default())
		die("the default region");
}

static void *job_new(const struct app *app, int parts)
{
	void *job = app_new(app->job_size);

	memset(job, 0, app->job_size);
	app->make(job, parts);
	return job;
}

/* Node 0 makes the job, the others find it, all of them fill it. */
static void *job_share(const struct app *app)
{
	if (!node) {
		struct root *made = app_new(sizeof(*made));

		if (dsm_barrier_init(&made->barrier, nodes))
			die("dsm_barrier_init");
		made->job = job_new(app, nodes);
		if (dsm_set_root(dsm_default(), made))
			die("dsm_set_root");
	}
	while (!(root = dsm_root(dsm_default())))
		sched_yield();
	app->fill(root->job, node, nodes, meet);
	return root->job;
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
	char path[200];
	long long ns;
	FILE *file;

	snprintf(path, sizeof(path), "/sys/class/dsm/node/regions/%s/stats/fault_wait_ns",
		 dsm_name(dsm_default()));
	file = fopen(path, "r");
	if (!file || fscanf(file, "%lld", &ns) != 1)
		die("%s", path);
	fclose(file);
	return ns * 1e-9;
}

static int compare(const struct app *app, void *job, double shared, double wait)
{
	double began, own;
	void *mine;
	bool ok;

	alone = true;
	mine = job_new(app, 1);
	app->fill(mine, 0, 1, meet_nobody);
	began = now();
	app->work(mine, 0, 1, meet_nobody);
	own = now() - began;
	ok = app->same(job, mine);
	if (ok)
		printf("%s: ok: %ld, %d nodes, %.3f s, alone %.3f s, waited %.3f s\n",
		       name, app_size, nodes, shared, own, wait);
	else
		printf("%s: FAILED: the result differs from that of one node\n", name);
	return !ok;
}

int app_main(const struct app *app, int argc, char **argv)
{
	double began, shared, wait;
	int status = 0;
	void *job;

	start(app, argc, argv);
	job = job_share(app);
	meet();
	began = now();
	wait = waited();
	app->work(job, node, nodes, meet);
	meet();
	shared = now() - began;
	wait = waited() - wait;
	/* The other nodes wait here, so that node 0 has all processors. */
	if (!node)
		status = compare(app, job, shared, wait);
	meet();
	return status;
}

/* xorshift64* (Vigna, 2016) */
unsigned long app_random(unsigned long *state)
{
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return *state * 2685821657736338717UL;
}
