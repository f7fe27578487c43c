// SPDX-License-Identifier: MIT
/*
 * matmul: the product of two dense matrices.
 *
 *	matmul [SIZE]		their side; on every node at once
 *
 * Every node makes a band of the product's rows. It reads its rows of one
 * matrix, and all of the other, once.
 */
#include <string.h>

#include "app.h"

struct job {
	long	n;
	double	*a, *b, *product;
};

static double *matrix(long n, unsigned long seed)
{
	double *m = app_shared_alloc(n * n * sizeof(double));

	for (long i = 0; i < n * n; i++)
		m[i] = (double)(app_random(&seed) >> 40) / (1 << 20);
	return m;
}

static void fill(void *data)
{
	struct job *job = data;

	job->n = app_size;
	job->a = matrix(job->n, 1);
	job->b = matrix(job->n, 2);
	job->product = app_shared_alloc(job->n * job->n * sizeof(double));
}

static double *own(const double *from, long n)
{
	double *m = app_alloc(n * n * sizeof(double));

	memcpy(m, from, n * n * sizeof(double));
	return m;
}

static void *copy(const void *data)
{
	const struct job *job = data;
	struct job *alone = app_alloc(sizeof(*alone));

	alone->n = job->n;
	alone->a = own(job->a, job->n);
	alone->b = own(job->b, job->n);
	alone->product = app_alloc(job->n * job->n * sizeof(double));
	return alone;
}

static bool same(const void *data, const void *alone)
{
	const struct job *a = data, *b = alone;

	return !memcmp(a->product, b->product, a->n * a->n * sizeof(double));
}

static void work(void *data, int part, int parts, void (*meet)(void))
{
	struct job *job = data;
	long n = job->n, first, end;

	(void)meet;
	app_range(n, part, parts, &first, &end);
	memset(job->product + first * n, 0, (end - first) * n * sizeof(double));
	for (long row = first; row < end; row++)
		for (long k = 0; k < n; k++)
			for (long i = 0; i < n; i++)
				job->product[row * n + i] += job->a[row * n + k] *
							     job->b[k * n + i];
}

int main(int argc, char **argv)
{
	app_start("matmul", 200, argc, argv);
	return app_run(app_share(sizeof(struct job), fill), work, copy, same);
}
