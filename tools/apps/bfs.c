// SPDX-License-Identifier: MIT
/*
 * bfs: breadth-first search over a graph of pointers.
 *
 *	bfs [SIZE]		how many vertices; on every node at once
 *
 * How far is it from each vertex, along the pointers, to the first one? Every
 * node has a share of the vertices, which point to those of all. At each level
 * it looks at those of its own for which that is not known yet: is one that
 * they point to a level less far? What it finds it writes down when all have
 * looked, so that nobody writes where others read. (The bottom-up half of
 * Beamer, Asanović and Patterson's direction-optimizing search, 2012.)
 */
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "app.h"

enum { DEGREE = 8, UNREACHED = 255 };

/*
 * Levels are apart from the edges, which never change; and an edge leads to the
 * level of the vertex that it points to, since nothing else is asked of it.
 */
struct vertex {
	_Atomic uint8_t	*neighbour[DEGREE];
};

/* A node's. */
struct share {
	long		first, end;
	struct vertex	*vertices;
	_Atomic uint8_t	*levels;
	_Atomic long	*found;		/* at the last level; in a block of its own */
};

struct job {
	long		n;
	int		parts;
	struct share	*share;
};

static void make(void *data, int parts)
{
	struct job *job = data;

	job->n = app_size;
	job->parts = parts;
	job->share = app_new(parts * sizeof(*job->share));
}

static _Atomic uint8_t *level_of(const struct job *job, long i)
{
	const struct share *share = job->share;

	while (i >= share->end)
		share++;
	return &share->levels[i - share->first];
}

/* The same graph, however many parts it is in. */
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
		.found = app_new(sizeof(*share->found)),
	};
	meet();
	for (long i = first; i < end; i++) {
		struct vertex *vertex = &share->vertices[i - first];
		unsigned long seed = i + 1;

		share->levels[i - first] = i ? UNREACHED : 0;
		app_random(&seed);
		for (int e = 0; e < DEGREE; e++)
			vertex->neighbour[e] = level_of(job, app_random(&seed) % job->n);
	}
}

static bool same(const void *data, const void *alone)
{
	const struct job *a = data, *b = alone;

	for (int part = 0; part < a->parts; part++) {
		const struct share *share = &a->share[part];

		if (memcmp((void *)share->levels, (void *)(b->share->levels + share->first),
			   share->end - share->first))
			return false;
	}
	return true;
}

static bool touches(const struct vertex *vertex, int level)
{
	for (int e = 0; e < DEGREE; e++)
		if (atomic_load_explicit(vertex->neighbour[e], memory_order_relaxed) == level)
			return true;
	return false;
}

static void work(void *data, int part, int parts, void (*meet)(void))
{
	struct job *job = data;
	struct share *mine = &job->share[part];
	long n = mine->end - mine->first, total = 1, found;
	long *next = malloc((n + 1) * sizeof(*next));

	for (int level = 0; total && level < UNREACHED - 1; level++) {
		/* What the others have written since the last level. */
		for (int p = 0; p < parts; p++)
			if (p != part)
				dsm_prefetch((void *)job->share[p].levels,
					     job->share[p].end - job->share[p].first, PROT_READ);
		found = 0;
		for (long i = 0; i < n; i++)
			if (mine->levels[i] == UNREACHED && touches(&mine->vertices[i], level))
				next[found++] = i;
		meet();
		for (long i = 0; i < found; i++)
			mine->levels[next[i]] = level + 1;
		*mine->found = found;
		meet();
		total = 0;
		for (int p = 0; p < parts; p++)
			total += *job->share[p].found;
	}
	free(next);
}

static const struct app app = {
	.name = "bfs", .size = 100000, .job_size = sizeof(struct job),
	.make = make, .fill = fill, .work = work, .same = same,
};

int main(int argc, char **argv)
{
	return app_main(&app, argc, argv);
}
