// SPDX-License-Identifier: GPL-2.0
/* The common parts of bench.h: all but TCP and the pager. */
#include <stdlib.h>

#include "bench.h"

void report(const char *id, double value, double against)
{
	printf("# bench %s %.9g %.9g\n", id, value, against);
	fflush(stdout);
}

void report_floor(const char *id, double value, double floor)
{
	printf("# floor %s %.9g %.9g\n", id, value, floor);
	fflush(stdout);
}

struct samples samples_new(int max)
{
	struct samples samples = { .at = calloc(max, sizeof(double)), .max = max };

	ASSERT_TRUE(samples.at);
	return samples;
}

void samples_free(struct samples *samples)
{
	free(samples->at);
}

void samples_add(struct samples *samples, double value)
{
	ASSERT_LT(samples->n, samples->max);
	samples->at[samples->n++] = value;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

double samples_quantile(struct samples *samples, double share)
{
	int i = (int)(share * samples->n);

	ASSERT_GT(samples->n, 0);
	qsort(samples->at, samples->n, sizeof(*samples->at), compare);
	return samples->at[i < samples->n ? i : samples->n - 1];
}

void samples_report(struct samples *samples, const char *id, const char *whose)
{
	for (int percent = 0; percent <= 100; percent++)
		printf("# quantile %s %s %d %.9g\n", id, whose, percent,
		       samples_quantile(samples, percent / 100.0));
	fflush(stdout);
}

dsm_barrier_t *rounds_of(dsm_region *region)
{
	char *end = (char *)dsm_base(region) + dsm_size(region);
	dsm_barrier_t *rounds = (dsm_barrier_t *)(end - BLOCK);

	if (!node())
		ASSERT_EQ(dsm_barrier_init(rounds, nodes()), 0);
	together("rounds");
	return rounds;
}

void round_together(dsm_barrier_t *rounds)
{
	ASSERT_LE(dsm_barrier_wait(rounds), 0);
}

void shuffle(uint32_t *order, uint32_t n, uint64_t seed)
{
	for (uint32_t i = 0; i < n; i++) {
		uint32_t j = random_next(&seed) % (i + 1);

		order[i] = order[j];
		order[j] = i;
	}
}

double time_read(const void *at)
{
	double start = seconds();

	(void)*(const volatile uint64_t *)at;
	return seconds() - start;
}

double time_write(void *at)
{
	double start = seconds();

	*(volatile uint64_t *)at = 1;
	return seconds() - start;
}
