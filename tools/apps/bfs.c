// SPDX-License-Identifier: MIT
/*
 * bfs: breadth-first search over a graph of pointers.
 *
 * 	bfs [SIZE]		how many vertices; on every node at once
 *
 * Computes the distance of each vertex, along the pointers, to the first one. Every node has a
 * share of the vertices, which point to vertices of all nodes. At each level, a node examines
 * those of its vertices whose distance is unknown: was one of their successors reached at the
 * last level? (The bottom-up half of Beamer, Asanović and Patterson's direction-optimizing
 * search, 2012.)
 *
 * Nodes need to exchange only which vertices these are: one bit each. So edges point to bits.
 * There are two sets of bits: all nodes read one, and each node writes its part of the other,
 * for the next level.
 */
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

#include "app.h"

enum { DEGREE = 8, UNREACHED = 255 };

/* The address of a bit: its byte, and its number within that. */
typedef uint64_t bit_ptr;

struct vertex {
	bit_ptr	neighbour[DEGREE];
};

/* A node's share. */
struct share {
	long		first, end;
	struct vertex	*vertices;
	uint8_t		*levels;
	uint8_t		*bits;		/* two sets of job->set bytes each */
	long		*found;		/* at this level and the last; in a block of its own */
};

struct job {
	long		n;
	int		parts;
	size_t		set;
	struct share	*share;
};

static void make(void *data, int parts)
{
	struct job *job = data;

	job->n = app_size;
	job->parts = parts;
	/* In blocks of their own: a reader of one set does not get the other's blocks. */
	job->set = (job->n / parts / 8 + 4096) / 4096 * 4096;
	job->share = app_new(parts * sizeof(*job->share));
}

static bit_ptr bit_of(const struct job *job, long i)
{
	const struct share *share = job->share;

	while (i >= share->end)
		share++;
	i -= share->first;
	return ((uintptr_t)share->bits + i / 8) << 3 | i % 8;
}

static bool is_set(bit_ptr bit, size_t ahead)
{
	return *(const uint8_t *)((bit >> 3) + ahead) >> (bit & 7) & 1;
}

/* The graph is the same, however many parts it has. */
static void fill(void *data, int part, int parts, void (*meet)(void))
{
	struct job *job = data;
	struct share *share = &job->share[part];
	long first, end;

	app_range(job->n, part, parts, &first, &end);
	*share = (struct share){
		.first = first, .end = end,
		.vertices = app_new((end - first + 1) * sizeof(*share->vertices)),
		.levels = app_new(end - first + 1),
		.bits = app_new(2 * job->set),
		.found = app_new(2 * sizeof(*share->found)),
	};
	memset(share->levels, UNREACHED, end - first);
	memset(share->bits, 0, 2 * job->set);
	if (!part) {
		share->levels[0] = 0;
		share->bits[0] = 1;
	}
	meet();
	for (long i = first; i < end; i++) {
		unsigned long seed = i + 1;

		app_random(&seed);
		for (int e = 0; e < DEGREE; e++)
			share->vertices[i - first].neighbour[e] =
				bit_of(job, app_random(&seed) % job->n);
	}
}

static bool same(const void *data, const void *alone)
{
	const struct job *a = data, *b = alone;

	for (int part = 0; part < a->parts; part++) {
		const struct share *share = &a->share[part];

		if (memcmp(share->levels, b->share->levels + share->first,
			   share->end - share->first))
			return false;
	}
	return true;
}

static bool touches(const struct vertex *vertex, size_t ahead)
{
	for (int e = 0; e < DEGREE; e++)
		if (is_set(vertex->neighbour[e], ahead))
			return true;
	return false;
}

/*
 * Examines the vertices. It reads the bits @now bytes after those that edges point to. Returns
 * how many were reached.
 */
static long look(const struct job *job, struct share *mine, int level, size_t now)
{
	uint8_t *next = mine->bits + (now ? 0 : job->set);
	long n = mine->end - mine->first, found = 0;

	/* Clear all of this set, which the others read two levels ago. */
	if (job->parts > 1)
		dsm_prefetch(next, job->set, PROT_READ | PROT_WRITE);
	memset(next, 0, job->set);
	for (long i = 0; i < n; i++) {
		if (mine->levels[i] != UNREACHED || !touches(&mine->vertices[i], now))
			continue;
		mine->levels[i] = level + 1;
		next[i / 8] |= 1 << i % 8;
		found++;
	}
	return found;
}

static void work(void *data, int part, int parts, void (*meet)(void))
{
	struct job *job = data;
	struct share *mine = &job->share[part];
	long total = 1;

	for (int level = 0; total && level < UNREACHED - 1; level++) {
		size_t now = level % 2 ? job->set : 0;

		for (int p = 0; p < parts; p++)
			if (p != part)
				dsm_prefetch(job->share[p].bits + now, job->set, PROT_READ);
		mine->found[level % 2] = look(job, mine, level, now);
		meet();
		total = 0;
		for (int p = 0; p < parts; p++)
			total += job->share[p].found[level % 2];
	}
}

static const struct app app = {
	.name = "bfs", .size = 100000, .job_size = sizeof(struct job),
	.make = make, .fill = fill, .work = work, .same = same,
};

int main(int argc, char **argv)
{
	return app_main(&app, argc, argv);
}
