// SPDX-License-Identifier: MIT
/*
 * radixsort: sorts 32-bit numbers, a byte at a time.
 *
 *	radixsort [SIZE]	how many; on every node at once
 *
 * Every node sorts its share by the highest byte, in memory of its own, and
 * writes the pieces to where they belong among all: one burst for each byte,
 * starting where the others do not. Then each sorts the buckets of a range of
 * bytes by the lower ones. So everything moves once, and a page that two write
 * to is handed over once or twice.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "app.h"

enum { DIGITS = 256, TOP = 24 };

struct job {
	long		n;
	uint32_t	*from, *to;
	long		*counts;	/* DIGITS for each part */
};

static void fill(void *data)
{
	struct job *job = data;
	unsigned long seed = 1;

	job->n = app_size;
	job->from = app_shared_alloc(job->n * sizeof(*job->from));
	job->to = app_shared_alloc(job->n * sizeof(*job->to));
	job->counts = app_shared_alloc(app_nodes * DIGITS * sizeof(*job->counts));
	for (long i = 0; i < job->n; i++)
		job->from[i] = app_random(&seed) >> 32;
}

static void *copy(const void *data)
{
	const struct job *job = data;
	struct job *alone = app_alloc(sizeof(*alone));

	alone->n = job->n;
	alone->from = app_alloc(job->n * sizeof(*job->from));
	alone->to = app_alloc(job->n * sizeof(*job->to));
	alone->counts = app_alloc(DIGITS * sizeof(*job->counts));
	memcpy(alone->from, job->from, job->n * sizeof(*job->from));
	return alone;
}

/* And in order: two that are wrong alike would be the same. */
static bool same(const void *data, const void *alone)
{
	const struct job *a = data, *b = alone;

	for (long i = 1; i < a->n; i++)
		if (a->to[i - 1] > a->to[i])
			return false;
	return !memcmp(a->to, b->to, a->n * sizeof(*a->to));
}

static int digit_of(uint32_t number, int shift)
{
	return number >> shift & (DIGITS - 1);
}

/* By one byte, keeping the order of those that have the same. */
static void sort_by(const uint32_t *from, uint32_t *to, long n, int shift)
{
	long place[DIGITS + 1] = { 0 };

	for (long i = 0; i < n; i++)
		place[digit_of(from[i], shift) + 1]++;
	for (int digit = 0; digit < DIGITS; digit++)
		place[digit + 1] += place[digit];
	for (long i = 0; i < n; i++)
		to[place[digit_of(from[i], shift)]++] = from[i];
}

/* Where each byte's numbers start, and where those of them start that are @part's. */
static void places(const struct job *job, int part, int parts, long *start, long *place)
{
	long at = 0;

	for (int digit = 0; digit < DIGITS; digit++) {
		start[digit] = at;
		for (int p = 0; p < parts; p++) {
			if (p == part)
				place[digit] = at;
			at += job->counts[p * DIGITS + digit];
		}
	}
	start[DIGITS] = at;
}

static void work(void *data, int part, int parts, void (*meet)(void))
{
	struct job *job = data;
	long start[DIGITS + 1], place[DIGITS], at[DIGITS + 1] = { 0 };
	long first, end, digit, last;
	uint32_t *own, *other;

	app_range(job->n, part, parts, &first, &end);
	own = app_alloc((job->n + 1) * sizeof(*own));
	other = app_alloc((job->n + 1) * sizeof(*other));
	sort_by(job->from + first, own, end - first, TOP);
	for (long i = 0; i < end - first; i++)
		at[digit_of(own[i], TOP) + 1]++;
	memcpy(job->counts + part * DIGITS, at + 1, DIGITS * sizeof(*at));
	for (int d = 0; d < DIGITS; d++)
		at[d + 1] += at[d];
	meet();

	places(job, part, parts, start, place);
	for (int i = 0; i < DIGITS; i++) {
		int d = (i + part * DIGITS / parts) % DIGITS;

		memcpy(job->to + place[d], own + at[d], (at[d + 1] - at[d]) * sizeof(*own));
	}
	meet();

	app_range(DIGITS, part, parts, &digit, &last);
	for (; digit < last; digit++) {
		long n = start[digit + 1] - start[digit];

		sort_by(job->to + start[digit], own, n, 0);
		sort_by(own, other, n, 8);
		sort_by(other, job->to + start[digit], n, 16);
	}
	meet();
	free(own);
	free(other);
}

int main(int argc, char **argv)
{
	app_start("radixsort", 500000, argc, argv);
	return app_run(app_share(sizeof(struct job), fill), work, copy, same);
}
