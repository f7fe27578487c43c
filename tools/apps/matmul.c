// SPDX-License-Identifier: MIT
/*
 * matmul: the product of two dense matrices.
 *
 * 	matmul [SIZE]		their side; on every node at once
 *
 * Every node has a band of rows of all three matrices. For its band of the product it needs
 * the whole second matrix. It prefetches the other nodes' rows, and reads them once.
 */
#include <string.h>
#include <sys/mman.h>

#include "app.h"

struct job {
	long	n;
	double	**a, **b, **product;	/* rows */
};

static void make(void *data, int parts)
{
	struct job *job = data;

	(void)parts;
	job->n = app_size;
	job->a = app_new(job->n * sizeof(*job->a));
	job->b = app_new(job->n * sizeof(*job->b));
	job->product = app_new(job->n * sizeof(*job->product));
}

/* A band of rows. The numbers depend only on @seed; with 0 they are 0. */
static void band(double **row, long n, long first, long end, unsigned long seed)
{
	double *numbers = app_new((end - first) * n * sizeof(double));

	for (long r = first; r < end; r++) {
		unsigned long state = seed * (r + 1);

		row[r] = numbers + (r - first) * n;
		for (long i = 0; i < n; i++)
			row[r][i] = seed ? (double)(app_random(&state) >> 40) / (1 << 20) : 0;
	}
}

static void fill(void *data, int part, int parts, void (*meet)(void))
{
	struct job *job = data;
	long first, end;

	(void)meet;
	app_range(job->n, part, parts, &first, &end);
	band(job->a, job->n, first, end, 1);
	band(job->b, job->n, first, end, 2);
	band(job->product, job->n, first, end, 0);
}

static bool same(const void *data, const void *alone)
{
	const struct job *a = data, *b = alone;

	for (long row = 0; row < a->n; row++)
		if (memcmp(a->product[row], b->product[row], a->n * sizeof(double)))
			return false;
	return true;
}

static void work(void *data, int part, int parts, void (*meet)(void))
{
	struct job *job = data;
	long n = job->n, first, end;

	(void)meet;
	for (int p = 0; p < parts; p++) {
		app_range(n, p, parts, &first, &end);
		if (p != part && first < end)
			dsm_prefetch(job->b[first], (end - first) * n * sizeof(double), PROT_READ);
	}
	app_range(n, part, parts, &first, &end);
	for (long row = first; row < end; row++) {
		double *product = job->product[row];

		for (long k = 0; k < n; k++) {
			const double a = job->a[row][k], *b = job->b[k];

			for (long i = 0; i < n; i++)
				product[i] += a * b[i];
		}
	}
}

static const struct app app = {
	.name = "matmul", .size = 200, .job_size = sizeof(struct job),
	.make = make, .fill = fill, .work = work, .same = same,
};

int main(int argc, char **argv)
{
	return app_main(&app, argc, argv);
}
