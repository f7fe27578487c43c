// SPDX-License-Identifier: GPL-2.0
/*
 * All nodes read and write 64 MiB at random, and compare it with a model.
 *
 * The unit is a quarter of a page, so that several nodes write to a page at a time. A unit's
 * contents depend on its number and its version. A node's actions in a round depend on the
 * seed. So each node keeps the same model in private memory: the version of every unit. In a
 * round, a unit is written by its owner of that round, or not at all.
 *
 * With SOAK_CACHE_MIB, a node caches at most that many MiB of other nodes' blocks
 * (cache_bytes), so copies are constantly evicted and fetched.
 */
#include <stdlib.h>

#include "test.h"

enum {
	SIZE		= 64 << 20,
	UNIT		= 1024,
	UNITS		= SIZE / UNIT,
	WORDS		= UNIT / 8,
	ROUNDS		= 4,
	OPERATIONS	= 1000,		/* in a round, on each node */
	NOBODY		= -1,
};

struct model {
	uint64_t seed;
	uint8_t before[UNITS];	/* versions at the start of the round */
	uint8_t after[UNITS];	/* and at its end */
};

static struct model model;

static uint64_t content(uint32_t unit, uint8_t version, int i)
{
	/* A unit that was never written is zero. */
	return version ? random_hash(model.seed + ((uint64_t)unit << 8) + version, i) : 0;
}

static void fill(volatile uint64_t *at, uint32_t unit, uint8_t version)
{
	for (int i = 0; i < WORDS; i++)
		at[i] = content(unit, version, i);
}

/* Each word is of a version from @low to @high, and none is older than the one before. */
static bool matches(const volatile uint64_t *at, uint32_t unit, uint8_t low, uint8_t high)
{
	for (int i = 0; i < WORDS; i++) {
		uint64_t is = at[i];
		uint8_t version = low;

		while (version < high && is != content(unit, version, i))
			version++;
		if (is != content(unit, version, i)) {
			note("unit %u, word %d: %llx is of no version from %u to %u", unit, i,
			     (unsigned long long)is, low, high);
			return false;
		}
	}
	return true;
}

static int owner(int round, uint32_t unit)
{
	uint64_t h = random_hash(model.seed + round, unit);

	return h % 2 ? NOBODY : (int)((h >> 32) % nodes());
}

static uint64_t schedule_of(int who, int round)
{
	return random_hash(model.seed ^ who, round);
}

/* The result of all writes of a round. */
static void foresee(int round)
{
	memcpy(model.before, model.after, sizeof(model.before));
	for (int who = 0; who < nodes(); who++) {
		uint64_t state = schedule_of(who, round);

		for (int i = 0; i < OPERATIONS; i++) {
			uint32_t unit = random_next(&state) % UNITS;

			model.after[unit] += owner(round, unit) == who;
		}
	}
}

static void play(char *base, int round)
{
	uint64_t state = schedule_of(node(), round);
	unsigned int writes = 0, reads = 0, races = 0;
	uint8_t *mine = malloc(UNITS);

	ASSERT_TRUE(mine);
	memcpy(mine, model.before, UNITS);
	for (int i = 0; i < OPERATIONS; i++) {
		uint32_t unit = random_next(&state) % UNITS;
		uint64_t *at = (uint64_t *)(base + (size_t)unit * UNIT);
		int who = owner(round, unit);

		if (who == node()) {
			ASSERT_TRUE(matches(at, unit, mine[unit], mine[unit]));
			fill(at, unit, ++mine[unit]);
			writes++;
		} else {
			ASSERT_TRUE(matches(at, unit, model.before[unit], model.after[unit]));
			reads++;
			races += who != NOBODY;
		}
	}
	note("round %d: %u units written, %u read, %u of them another's", round, writes, reads,
	     races);
	free(mine);
}

static long long cache_bytes(void)
{
	const char *mib = getenv("SOAK_CACHE_MIB");

	return mib ? atoll(mib) << 20 : 0;
}

static void cache_limit(void)
{
	char path[128];

	snprintf(path, sizeof(path), "regions/%s/cache_bytes", region_name());
	ASSERT_EQ(node_set(path, cache_bytes()), 0);
}

static void cache_check(void)
{
	char path[128];
	long long limit = cache_bytes(), cached;

	snprintf(path, sizeof(path), "regions/%s/cached", region_name());
	cached = node_get(path);
	note("%lld bytes of copies, %lld allowed; %lld clean, %lld written blocks evicted", cached,
	     limit, region_stat("evicted_clean"), region_stat("evicted_dirty"));
	EXPECT_LE(cached, limit + limit / 20);
	EXPECT_GT(region_stat("evicted_clean"), 0);
	EXPECT_GT(region_stat("evicted_dirty"), 0);
}

static void soak(int home, size_t block_size)
{
	dsm_region *region = share_region(SIZE, home, block_size);
	char *base = dsm_base(region);
	uint64_t sum = 0, wanted = 0;
	double start = seconds();

	/* All nodes use node 0's seed. */
	if (!node())
		*word(base, 0) = seed();
	together("seeded");
	model.seed = *word(base, 0);
	together("seed-seen");
	if (!node())
		*word(base, 0) = 0;
	note("node 0's seed %llu", (unsigned long long)model.seed);
	if (cache_bytes())
		cache_limit();

	for (int round = 0; round < ROUNDS; round++) {
		together("round-%d", round);
		foresee(round);
		play(base, round);
	}
	together("over");
	note("played in %.1f s", seconds() - start);
	start = seconds();
	for (uint32_t unit = 0; unit < UNITS; unit++) {
		for (int i = 0; i < WORDS; i++) {
			sum = (sum ^ *word(base + (size_t)unit * UNIT, i)) * 0x100000001b3;
			wanted = (wanted ^ content(unit, model.after[unit], i)) * 0x100000001b3;
		}
	}
	note("checksum %016llx in %.1f s", (unsigned long long)sum, seconds() - start);
	EXPECT_EQ(sum, wanted);
	if (cache_bytes())
		cache_check();
	unshare_region(region);
}

TEST_SECONDS(soak_first_touch_4k, 600)
{
	soak(DSM_HOME_FIRST_TOUCH, 4096);
}

TEST_SECONDS(soak_interleaved_64k, 600)
{
	soak(DSM_HOME_INTERLEAVED, 65536);
}
