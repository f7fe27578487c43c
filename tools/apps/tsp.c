// SPDX-License-Identifier: MIT
/*
 * tsp: the shortest tour through cities, by branch and bound.
 *
 * 	tsp [SIZE]		how many cities, up to 20; on every node at once
 *
 * The beginnings of tours form a queue, from which all nodes take. The length of the shortest
 * tour so far is a bound, which all nodes read, and write when it falls. A mutex protects
 * both. A node that reads the bound without the mutex sees at worst an older, longer one. The
 * distances never change, so each node has a private copy.
 */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app.h"

enum { CITIES_MAX = 20, LOOK_DEPTH = 6 };

struct job {
	int		n;
	int		distance[CITIES_MAX][CITIES_MAX];
	struct {	/* in blocks of their own: the cities are only read */
		dsm_mutex_t	lock;
		int		next;		/* pair of second and third city */
	} *queue;
	_Atomic int	*bound;
	bool		locked;			/* more than one take part */
};

/* One node's search. */
struct search {
	struct job	*job;
	int		n;
	int		distance[CITIES_MAX][CITIES_MAX];
	int		tour[CITIES_MAX];
	unsigned int	visited;
	int		bound;		/* read now and then */
};

/*
 * The tour that always goes to the nearest remaining city: a bound close to the optimum.
 * Without it, a node that starts elsewhere would search tours in vain that the first tours cut
 * off.
 */
static int nearest(const struct job *job)
{
	unsigned int visited = 1;
	int length = 0, at = 0;

	for (int depth = 1; depth < job->n; depth++) {
		int next = 0;

		for (int city = 1; city < job->n; city++)
			if (!(visited >> city & 1) &&
			    (!next || job->distance[at][city] < job->distance[at][next]))
				next = city;
		length += job->distance[at][next];
		visited |= 1U << next;
		at = next;
	}
	return length + job->distance[at][0];
}

static void make(void *data, int parts)
{
	struct job *job = data;
	unsigned long seed = 1;
	int x[CITIES_MAX], y[CITIES_MAX];

	(void)parts;
	job->n = app_size;
	for (int i = 0; i < job->n; i++) {
		x[i] = app_random(&seed) % 1000;
		y[i] = app_random(&seed) % 1000;
		for (int j = 0; j < i; j++)
			job->distance[i][j] = job->distance[j][i] =
				abs(x[i] - x[j]) + abs(y[i] - y[j]);
	}
	job->queue = app_new(sizeof(*job->queue));
	job->bound = app_new(sizeof(*job->bound));
	job->locked = app_is_shared();
	if (job->locked && dsm_mutex_init(&job->queue->lock, NULL)) {
		perror("tsp: the queue");
		exit(1);
	}
	job->queue->next = 0;
	*job->bound = nearest(job);
}

/* All data is common. */
static void fill(void *data, int part, int parts, void (*meet)(void))
{
	(void)data, (void)part, (void)parts, (void)meet;
}

static bool same(const void *data, const void *alone)
{
	const struct job *a = data, *b = alone;

	return *a->bound == *b->bound;
}

static void lock(struct job *job)
{
	if (job->locked && dsm_mutex_lock(&job->queue->lock))
		abort();
}

static void unlock(struct job *job)
{
	if (job->locked && dsm_mutex_unlock(&job->queue->lock))
		abort();
}

/* Returns the bound. */
static int found(struct job *job, int length)
{
	lock(job);
	if (length < *job->bound)
		*job->bound = length;
	length = *job->bound;
	unlock(job);
	return length;
}

static void visit(struct search *search, int depth, int length)
{
	const int *distance = search->distance[search->tour[depth - 1]];

	if (depth <= LOOK_DEPTH)
		search->bound = atomic_load_explicit(search->job->bound, memory_order_relaxed);
	if (length >= search->bound)
		return;
	if (depth == search->n) {
		search->bound = found(search->job, length + distance[0]);
		return;
	}
	for (int city = 1; city < search->n; city++) {
		if (search->visited >> city & 1)
			continue;
		search->visited |= 1U << city;
		search->tour[depth] = city;
		visit(search, depth + 1, length + distance[city]);
		search->visited &= ~(1U << city);
	}
}

static int take(struct job *job)
{
	int next;

	lock(job);
	next = job->queue->next++;
	unlock(job);
	return next;
}

static void work(void *data, int part, int parts, void (*meet)(void))
{
	struct job *job = data;
	struct search search = { .job = job, .n = job->n };
	int others = job->n - 1, pair;

	(void)part, (void)parts, (void)meet;
	memcpy(search.distance, job->distance, sizeof(search.distance));
	while ((pair = take(job)) < others * others) {
		int second = 1 + pair / others, third = 1 + pair % others;

		if (second == third)
			continue;
		search.tour[1] = second;
		search.tour[2] = third;
		search.visited = 1 | 1U << second | 1U << third;
		visit(&search, 3, job->distance[0][second] + job->distance[second][third]);
	}
}

static const struct app app = {
	.name = "tsp", .size = 11, .size_max = CITIES_MAX, .job_size = sizeof(struct job),
	.make = make, .fill = fill, .work = work, .same = same,
};

int main(int argc, char **argv)
{
	return app_main(&app, argc, argv);
}
