// SPDX-License-Identifier: MIT
/*
 * radixsort: sorts 32-bit numbers, a byte at a time.
 *
 * 	radixsort [SIZE]	how many; on every node at once
 *
 * Every node has a share of the numbers. It sorts them by the highest byte, and publishes how
 * many there are of each value. Then each node takes a range of values and gathers their
 * numbers from all shares. In each share they are contiguous, so the node prefetches them. It
 * sorts them by the lower bytes into a result of its own. So a number moves between nodes at
 * most once, and no two nodes write to the same memory.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "app.h"

enum { DIGITS = 256, TOP = 24 };

/* A node's share. */
struct share {
	uint32_t	*numbers;
	uint32_t	*by_top;	/* the same, ordered by their highest bytes */
	long		start[DIGITS + 1];	/* where the numbers of each byte start */
	uint32_t	*result;	/* of a range of bytes, sorted */
	long		n_result;
};

struct job {
	long		n;
	int		parts;
	struct share	**share;
};

static void make(void *data, int parts)
{
	struct job *job = data;

	job->n = app_size;
	job->parts = parts;
	job->share = app_new(parts * sizeof(*job->share));
}

static void fill(void *data, int part, int parts, void (*meet)(void))
{
	struct job *job = data;
	struct share *share = app_new(sizeof(*share));
	long first, end;

	(void)meet;
	app_range(job->n, part, parts, &first, &end);
	memset(share, 0, sizeof(*share));
	share->numbers = app_new((end - first + 1) * sizeof(*share->numbers));
	share->by_top = app_new((end - first + 1) * sizeof(*share->by_top));
	for (long i = first; i < end; i++) {
		unsigned long state = i + 1;

		app_random(&state);
		share->numbers[i - first] = app_random(&state) >> 32;
	}
	job->share[part] = share;
}

/* The result consists of as many pieces as there are parts. They are ordered, too. */
static bool same(const void *data, const void *alone)
{
	const struct job *a = data, *b = alone;
	const uint32_t *sorted = b->share[0]->result;
	long at = 0;

	for (long i = 1; i < b->n; i++)
		if (sorted[i - 1] > sorted[i])
			return false;
	for (int part = 0; part < a->parts; part++) {
		const struct share *share = a->share[part];

		if (at + share->n_result > b->n ||
		    memcmp(share->result, sorted + at, share->n_result * sizeof(*sorted)))
			return false;
		at += share->n_result;
	}
	return at == b->n;
}

static int digit_of(uint32_t number, int shift)
{
	return number >> shift & (DIGITS - 1);
}

/* Sorts stably by one byte. */
static void sort_by(const uint32_t *from, uint32_t *to, long n, int shift, long *start)
{
	long place[DIGITS + 1] = { 0 };

	for (long i = 0; i < n; i++)
		place[digit_of(from[i], shift) + 1]++;
	for (int digit = 0; digit < DIGITS; digit++)
		place[digit + 1] += place[digit];
	if (start)
		memcpy(start, place, sizeof(place));
	for (long i = 0; i < n; i++)
		to[place[digit_of(from[i], shift)]++] = from[i];
}

/* The numbers of a share whose highest byte is in a range. */
static long piece_of(const struct share *share, long first, long end, uint32_t **piece)
{
	*piece = share->by_top + share->start[first];
	return share->start[end] - share->start[first];
}

static void work(void *data, int part, int parts, void (*meet)(void))
{
	struct job *job = data;
	struct share *mine = job->share[part];
	long first, end, n = 0, at = 0;
	uint32_t *piece, *all;

	app_range(job->n, part, parts, &first, &end);
	sort_by(mine->numbers, mine->by_top, end - first, TOP, mine->start);
	meet();

	app_range(DIGITS, part, parts, &first, &end);
	for (int p = 0; p < parts; p++) {
		long length = piece_of(job->share[p], first, end, &piece);

		if (p != part)
			dsm_prefetch(piece, length * sizeof(*piece), PROT_READ);
		n += length;
	}
	all = malloc((n + 1) * sizeof(*all));
	mine->result = app_new((n + 1) * sizeof(*all));
	mine->n_result = n;
	for (int i = 0; i < parts; i++) {
		/* A node starts with its own share, while those of the others are on their way. */
		long length = piece_of(job->share[(part + i) % parts], first, end, &piece);

		memcpy(all + at, piece, length * sizeof(*all));
		at += length;
	}
	sort_by(all, mine->result, n, 0, NULL);
	sort_by(mine->result, all, n, 8, NULL);
	sort_by(all, mine->result, n, 16, NULL);
	sort_by(mine->result, all, n, TOP, NULL);
	memcpy(mine->result, all, n * sizeof(*all));
	free(all);
}

static const struct app app = {
	.name = "radixsort", .size = 500000, .job_size = sizeof(struct job),
	.make = make, .fill = fill, .work = work, .same = same,
};

int main(int argc, char **argv)
{
	return app_main(&app, argc, argv);
}
