// SPDX-License-Identifier: MIT
/*
 * sor: successive over-relaxation of a grid, red and black.
 *
 * 	sor [SIZE]		the grid's side; on every node at once
 *
 * Every node has a band of rows in memory of its own. Twice a sweep, it reads one row of each
 * neighbour. Nothing else moves between nodes, because no block is read by one node while
 * another writes it: each row starts in a block of its own, and its red points are apart from
 * its black ones. The rows to be moved are prefetched first, and the rows that need them are
 * computed last.
 */
#include <string.h>
#include <sys/mman.h>

#include "app.h"

enum { SWEEPS = 40, BLOCK = 4096 };

struct job {
	long	n;		/* including the edge, which is constant */
	double	**row[2];	/* of each colour: a point's colour is row plus column, modulo 2 */
};

static void make(void *data, int parts)
{
	struct job *job = data;

	(void)parts;
	job->n = app_size + 2;
	for (int colour = 0; colour < 2; colour++)
		job->row[colour] = app_new(job->n * sizeof(*job->row[colour]));
}

/* The rows of a part. The first and the last part include the edge's. */
static void rows_of(const struct job *job, int part, int parts, long *first, long *end)
{
	app_range(job->n - 2, part, parts, first, end);
	*first += part > 0;
	*end += 1 + (part == parts - 1);
}

static size_t half_row(const struct job *job)
{
	return (job->n + 1) / 2 * sizeof(double);
}

static void fill(void *data, int part, int parts, void (*meet)(void))
{
	struct job *job = data;
	size_t stride = (half_row(job) + BLOCK - 1) / BLOCK * BLOCK;
	long first, end;

	(void)meet;
	rows_of(job, part, parts, &first, &end);
	for (int colour = 0; colour < 2; colour++) {
		char *band = app_new((end - first) * stride);

		memset(band, 0, (end - first) * stride);
		for (long row = first; row < end; row++) {
			double *at = (double *)(band + (row - first) * stride);

			job->row[colour][row] = at;
			if (row % 2 == colour)
				at[0] = 2;
			for (long i = 0; row == 0 && i < (job->n + 1) / 2; i++)
				at[i] = 1;
		}
	}
}

static bool same(const void *data, const void *alone)
{
	const struct job *a = data, *b = alone;

	for (int colour = 0; colour < 2; colour++)
		for (long row = 0; row < a->n; row++)
			if (memcmp(a->row[colour][row], b->row[colour][row], half_row(a)))
				return false;
	return true;
}

/* The half row has the point of column i at i / 2. All its neighbours are of the other colour. */
static void relax(struct job *job, long row, int colour)
{
	double *at = job->row[colour][row];
	double **other = &job->row[!colour][row];
	const double *above = other[-1], *beside = other[0], *below = other[1];
	long odd = (row + colour) % 2, last = (job->n - 2 - odd) / 2;

	for (long i = !odd; i <= last; i++)
		at[i] += 1.5 * ((beside[i - 1 + odd] + beside[i + odd] + above[i] + below[i]) / 4 -
				at[i]);
}

/* The first or last row of a band will be written, which needs the neighbour's row. */
static void ask(struct job *job, long row, long neighbour, int colour)
{
	dsm_prefetch(job->row[colour][row], half_row(job), PROT_READ | PROT_WRITE);
	dsm_prefetch(job->row[!colour][neighbour], half_row(job), PROT_READ);
}

static void work(void *data, int part, int parts, void (*meet)(void))
{
	struct job *job = data;
	long first, end;

	app_range(job->n - 2, part, parts, &first, &end);
	for (int half = 0; half < 2 * SWEEPS; half++) {
		int colour = half % 2;

		if (part && first < end)
			ask(job, first + 1, first, colour);
		if (part < parts - 1 && first < end)
			ask(job, end, end + 1, colour);
		for (long row = first + 1; row < end - 1; row++)
			relax(job, row + 1, colour);
		if (first < end)
			relax(job, first + 1, colour);
		if (first < end - 1)
			relax(job, end, colour);
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
