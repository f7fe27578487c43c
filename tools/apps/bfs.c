// SPDX-License-Identifier: MIT
/*
 * bfs: breadth-first search over a graph of pointers.
 *
 *	bfs [SIZE]		how many vertices; on every node at once
 *
 * How far is it from each vertex, along the pointers, to the first one? Every
 * node has a share of the vertices. At each level it looks at those of its own
 * for which that is not known yet: is one that they point to a level less far?
 * So a vertex's level is written by one node only, and read by those that have
 * vertices which point to it. (The bottom-up
 * half of Beamer, Asanović and Patterson's direction-optimizing search, 2012.)
 */
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>

#include "app.h"

enum { DEGREE = 8, UNREACHED = 255 };

struct vertex {
	_Atomic uint8_t	*level;
	struct vertex	*neighbour[DEGREE];
};

struct job {
	long		n;
	struct vertex	*vertices;
	_Atomic uint8_t	*levels;	/* apart from the edges, which never change */
	_Atomic long	*reached;	/* a block for each part */
};

enum { STRIDE = 4096 / sizeof(long) };

static void link_all(struct job *job)
{
	unsigned long seed = 1;

	for (long i = 0; i < job->n; i++) {
		struct vertex *vertex = &job->vertices[i];

		vertex->level = &job->levels[i];
		*vertex->level = i ? UNREACHED : 0;
		for (int e = 0; e < DEGREE; e++)
			vertex->neighbour[e] = &job->vertices[app_random(&seed) % job->n];
	}
}

static void fill(void *data)
{
	struct job *job = data;

	job->n = app_size;
	job->vertices = app_shared_alloc(job->n * sizeof(*job->vertices));
	job->levels = app_shared_alloc(job->n);
	job->reached = app_shared_alloc(app_nodes * STRIDE * sizeof(long));
	memset((void *)job->reached, 0, app_nodes * STRIDE * sizeof(long));
	link_all(job);
}

/* The same graph, from the same seed, with pointers of its own. */
static void *copy(const void *data)
{
	const struct job *job = data;
	struct job *alone = app_alloc(sizeof(*alone));

	alone->n = job->n;
	alone->vertices = app_alloc(job->n * sizeof(*alone->vertices));
	alone->levels = app_alloc(job->n);
	alone->reached = app_alloc(STRIDE * sizeof(long));
	alone->reached[0] = 0;
	link_all(alone);
	return alone;
}

static bool same(const void *data, const void *alone)
{
	const struct job *a = data, *b = alone;

	return !memcmp((void *)a->levels, (void *)b->levels, a->n);
}

static bool touches(const struct vertex *vertex, int level)
{
	for (int e = 0; e < DEGREE; e++)
		if (atomic_load_explicit(vertex->neighbour[e]->level,
					 memory_order_relaxed) == level)
			return true;
	return false;
}

static void work(void *data, int part, int parts, void (*meet)(void))
{
	struct job *job = data;
	long first, end, total, before = -1, mine = 0;

	app_range(job->n, part, parts, &first, &end);
	for (int level = 0; level < UNREACHED - 1; level++) {
		for (long i = first; i < end; i++) {
			struct vertex *vertex = &job->vertices[i];

			if (*vertex->level != UNREACHED || !touches(vertex, level))
				continue;
			*vertex->level = level + 1;
			mine++;
		}
		job->reached[part * STRIDE] = mine;
		meet();
		total = 0;
		for (int p = 0; p < parts; p++)
			total += job->reached[p * STRIDE];
		meet();
		if (total == before)
			return;
		before = total;
	}
}

int main(int argc, char **argv)
{
	app_start("bfs", 100000, argc, argv);
	return app_run(app_share(sizeof(struct job), fill), work, copy, same);
}
