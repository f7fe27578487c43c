// SPDX-License-Identifier: MIT
/*
 * sor: successive over-relaxation of a grid, red and black.
 *
 *	sor [SIZE]		the grid's side; on every node at once
 *
 * Every node has a band of rows, in memory of its own. Of its neighbours' it
 * reads one row each, twice a sweep: that is all that moves, because each row
 * begins in a block of its own.
 */
#include <string.h>

#include "app.h"

enum { SWEEPS = 40, BLOCK = 4096 };

struct job {
	long	n;		/* with the edge, which stays */
	double	**row;
};

static void make(void *data, int parts)
{
	struct job *job = data;

	(void)parts;
	job->n = app_size + 2;
	job->row = app_new(job->n * sizeof(*job->row));
}

/* The rows of a part; the first and the last part have the edge's, too. */
static void rows_of(const struct job *job, int part, int parts, long *first, long *end)
{
	app_range(job->n - 2, part, parts, first, end);
	*first += part > 0;
	*end += 1 + (part == parts - 1);
}

static void fill(void *data, int part, int parts, void (*meet)(void))
{
	struct job *job = data;
	size_t stride = (job->n * sizeof(double) + BLOCK - 1) / BLOCK * BLOCK / sizeof(double);
	long first, end;
	double *band;

	(void)meet;
	rows_of(job, part, parts, &first, &end);
	band = app_new((end - first) * stride * sizeof(double));
	memset(band, 0, (end - first) * stride * sizeof(double));
	for (long row = first; row < end; row++) {
		job->row[row] = band + (row - first) * stride;
		job->row[row][0] = 2;
		for (long i = 0; row == 0 && i < job->n; i++)
			job->row[row][i] = 1;
	}
}

static bool same(const void *data, const void *alone)
{
	const struct job *a = data, *b = alone;

	for (long row = 0; row < a->n; row++)
		if (memcmp(a->row[row], b->row[row], a->n * sizeof(double)))
			return false;
	return true;
}

static void relax(struct job *job, long row, long colour)
{
	const double *above = job->row[row - 1], *below = job->row[row + 1];
	double *at = job->row[row];

	for (long i = 1 + (row + colour) % 2; i < job->n - 1; i += 2)
		at[i] += 1.5 * ((at[i - 1] + at[i + 1] + above[i] + below[i]) / 4 - at[i]);
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

static const struct app app = {
	.name = "sor", .size = 400, .job_size = sizeof(struct job),
	.make = make, .fill = fill, .work = work, .same = same,
};

int main(int argc, char **argv)
{
	return app_main(&app, argc, argv);
}
