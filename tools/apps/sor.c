// SPDX-License-Identifier: MIT
/*
 * sor: successive over-relaxation of a grid, red and black.
 *
 *	sor [SIZE]		the grid's side; on every node at once
 *
 * Every node has a band of rows. Of its neighbours' it reads one row each, twice
 * a sweep: that is all that moves.
 */
#include <string.h>

#include "app.h"

enum { SWEEPS = 40 };

struct job {
	long	n;		/* with the edge, which stays */
	double	*grid;
};

static void fill(void *data)
{
	struct job *job = data;

	job->n = app_size + 2;
	job->grid = app_shared_alloc(job->n * job->n * sizeof(double));
	memset(job->grid, 0, job->n * job->n * sizeof(double));
	for (long i = 0; i < job->n; i++) {
		job->grid[i] = 1;
		job->grid[i * job->n] = 2;
	}
}

static void *copy(const void *data)
{
	const struct job *job = data;
	struct job *alone = app_alloc(sizeof(*alone));

	*alone = *job;
	alone->grid = app_alloc(job->n * job->n * sizeof(double));
	memcpy(alone->grid, job->grid, job->n * job->n * sizeof(double));
	return alone;
}

static bool same(const void *data, const void *alone)
{
	const struct job *a = data, *b = alone;

	return !memcmp(a->grid, b->grid, a->n * a->n * sizeof(double));
}

static void relax(struct job *job, long row, long colour)
{
	double *at = job->grid + row * job->n;

	for (long i = 1 + (row + colour) % 2; i < job->n - 1; i += 2)
		at[i] += 1.5 * ((at[i - 1] + at[i + 1] + at[i - job->n] + at[i + job->n]) / 4 -
				at[i]);
}

static void work(void *data, int part, int parts, void (*meet)(void))
{
	struct job *job = data;
	long first, end;

	app_range(job->n - 2, part, parts, &first, &end);
	for (int half = 0; half < 2 * SWEEPS; half++) {
		for (long row = first; row < end; row++)
			relax(job, row + 1, half % 2);
		meet();
	}
}

int main(int argc, char **argv)
{
	app_start("sor", 400, argc, argv);
	return app_run(app_share(sizeof(struct job), fill), work, copy, same);
}
