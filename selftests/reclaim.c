// SPDX-License-Identifier: GPL-2.0
/*
 * A node's memory is bounded. The last node goes through a region that the others have
 * written, and has less memory than the region. Its reads and writes are exact, it stays
 * within its limit, and no process is killed.
 *
 * RECLAIM_MIB is the region's size, by default 4. With RECLAIM_CGROUP_MIB, cgroup_bounds gives
 * the last node's process that much memory instead of a part of the region's size.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "failing.h"
#include "test.h"

enum {
	PAGE		= 4096,
	MIB		= 1 << 20,
	SIZE_MIB	= 4,
	PART		= 4,	/* of the region: the last node's limit */
	SCANS		= 2,
	SPEED_MIB	= 32,	/* a quarter is much more than the readahead window */
	SPEED_ROUNDS	= 15,
	LONG_SECONDS	= 3000,	/* for a region of a gigabyte */
	FAIL_PERCENT	= 2,	/* of the module's allocations */
};

static size_t environment_bytes(const char *name, size_t otherwise)
{
	const char *mib = getenv(name);

	return mib ? (size_t)atoi(mib) * MIB : otherwise;
}

static size_t region_bytes(void)
{
	return environment_bytes("RECLAIM_MIB", SIZE_MIB * MIB);
}

static long long region_get(const char *file)
{
	char path[128];

	snprintf(path, sizeof(path), "regions/%s/%s", region_name(), file);
	return node_get(path);
}

static int region_set(const char *file, long long value)
{
	char path[128];

	snprintf(path, sizeof(path), "regions/%s/%s", region_name(), file);
	return node_set(path, value);
}

static bool last_node(void)
{
	return node() == nodes() - 1;
}

/* The number in the line "NAME NUMBER" of a file; -1 if there is none. */
static long long line_of(const char *path, const char *name)
{
	char line[128];
	long long value = -1, n;
	FILE *file = fopen(path, "re");

	while (file && fgets(line, sizeof(line), file)) {
		char key[64];

		if (sscanf(line, "%63s %lld", key, &n) == 2 && !strcmp(key, name))
			value = n;
	}
	if (file)
		fclose(file);
	return value;
}

/* ---- contents of the region --------------------------------------------- */

static uint64_t content(size_t page, unsigned int version)
{
	return random_hash(version, page) | 1;
}

static void page_write(char *base, size_t page, unsigned int version)
{
	*word(base + page * PAGE, 0) = content(page, version);
	*word(base + page * PAGE, PAGE / 8 - 1) = content(page, version);
}

static bool page_is(char *base, size_t page, unsigned int version)
{
	uint64_t first = *word(base + page * PAGE, 0);
	uint64_t last = *word(base + page * PAGE, PAGE / 8 - 1);

	if (first == content(page, version) && last == first)
		return true;
	note("page %zu: %llx, %llx are not version %u's", page, (unsigned long long)first,
	     (unsigned long long)last, version);
	return false;
}

/* All nodes but the last write a part each, and become its home under first touch. */
static dsm_region *share_written(size_t size, int home, size_t block_size)
{
	dsm_region *region = share_region(size, home, block_size);
	size_t pages = size / PAGE, part = pages / (nodes() - 1);
	char *base = dsm_base(region);

	if (!last_node())
		for (size_t page = node() * part; page < (node() + 1) * part; page++)
			page_write(base, page, 0);
	together("written");
	return region;
}

/* The largest value of a region's file that was seen. */
static long long cached_max;

static void look(size_t page)
{
	long long cached;

	if (page % 64)
		return;
	cached = region_get("cached");
	if (cached > cached_max)
		cached_max = cached;
}

/*
 * Scans twice, and the second time writes every fourth page. Then reads and writes at random.
 * @versions are the expected versions of the pages, and are updated. Returns how many pages
 * were wrong.
 */
static size_t go_through(char *base, size_t pages, uint8_t *versions)
{
	uint64_t state = seed();
	size_t wrong = 0;

	for (int scan = 0; scan < SCANS; scan++) {
		for (size_t page = 0; page < pages; page++) {
			wrong += !page_is(base, page, versions[page]);
			if (scan && page % 4 == 1)
				page_write(base, page, ++versions[page]);
			look(page);
		}
	}
	for (size_t i = 0; i < pages / 8; i++) {
		size_t page = random_next(&state) % pages;

		wrong += !page_is(base, page, versions[page]);
		if (random_next(&state) % 2)
			page_write(base, page, ++versions[page]);
		look(i);
	}
	return wrong;
}

/*
 * The others read what they wrote at first, after the last node's changes. The sum of each
 * part must be the one that the last node expects, which it writes to page 0.
 */
static void read_by_others(char *base, size_t pages, const uint8_t *versions)
{
	size_t part = pages / (nodes() - 1);
	uint64_t sum = 0;

	together("went-through");
	for (int n = 0; n < nodes() - 1 && last_node(); n++) {
		sum = 0;
		for (size_t page = n * part; page < (n + 1) * part; page++)
			sum += content(page, versions[page]);
		*word(base, 1 + n) = sum;
	}
	together("told");
	if (!last_node()) {
		sum = 0;
		for (size_t page = node() * part; page < (node() + 1) * part; page++) {
			sum += *word(base + page * PAGE, 0);
			EXPECT_EQ(*word(base + page * PAGE, 0), *word(base + page * PAGE, PAGE / 8 - 1));
		}
		EXPECT_EQ(sum, *word(base, 1 + node()));
	}
	together("read");
}

/* ---- cache_bytes ---------------------------------------------------------- */

static void stays_within(int home, size_t block_size)
{
	size_t size = region_bytes(), pages = size / PAGE;
	dsm_region *region = share_written(size, home, block_size);
	uint8_t *versions = calloc(pages, 1);
	long long limit = size / PART;

	ASSERT_TRUE(versions);
	if (last_node()) {
		double start = seconds();

		ASSERT_EQ(region_set("cache_bytes", limit), 0);
		ASSERT_EQ(region_get("cache_bytes"), limit);
		EXPECT_EQ(go_through(dsm_base(region), pages, versions), 0);
		note("%.1f s; %lld bytes at most, %lld allowed; %lld clean, %lld written blocks evicted, %lld waits",
		     seconds() - start, cached_max, limit, region_stat("evicted_clean"),
		     region_stat("evicted_dirty"), region_stat("reclaim_waits"));
		EXPECT_LE(cached_max, limit + limit / 20);
		EXPECT_LE(region_get("frames"), limit + limit / 20 +
			  (long long)(home == DSM_HOME_INTERLEAVED ? size / nodes() + MIB : 0));
		EXPECT_GT(region_stat("evicted_clean"), 0);
		EXPECT_GT(region_stat("evicted_dirty"), 0);
	}
	read_by_others(dsm_base(region), pages, versions);
	free(versions);
	unshare_region(region);
}

TEST_SECONDS(stays_within_first_touch_4k, LONG_SECONDS)
{
	stays_within(DSM_HOME_FIRST_TOUCH, 4096);
}

TEST_SECONDS(stays_within_first_touch_64k, LONG_SECONDS)
{
	stays_within(DSM_HOME_FIRST_TOUCH, 65536);
}

TEST_SECONDS(stays_within_interleaved_4k, LONG_SECONDS)
{
	stays_within(DSM_HOME_INTERLEAVED, 4096);
}

TEST_SECONDS(stays_within_interleaved_64k, LONG_SECONDS)
{
	stays_within(DSM_HOME_INTERLEAVED, 65536);
}

/* After a limit is set or lowered, the memory shrinks to it even if no process accesses memory. */
TEST(lowered_limit_is_reached)
{
	size_t size = region_bytes(), pages = size / PAGE;
	dsm_region *region = share_written(size, DSM_HOME_FIRST_TOUCH, 0);
	char *base = dsm_base(region);
	long long limit = size / PART / 2;

	if (last_node()) {
		EXPECT_EQ(region_get("cache_bytes"), 0);
		for (size_t page = 0; page < pages; page++) {
			EXPECT_TRUE(page_is(base, page, 0));
			if (page % 2)
				page_write(base, page, 1);
		}
		EXPECT_GE(region_get("cached"), (long long)size);
		EXPECT_GE(region_get("dirty"), (long long)size / 2);
		EXPECT_EQ(region_stat("evicted_clean"), 0);
		EXPECT_EQ(region_set("cache_bytes", 15 * PAGE), EINVAL);
		EXPECT_EQ(region_set("cache_bytes", -1), EINVAL);
		EXPECT_EQ(region_set("cache_bytes", limit), 0);
		if (!WAIT_FOR(region_get("frames") <= limit && region_get("cached") <= limit, 60))
			EXPECT_LE(region_get("frames"), limit);
		EXPECT_LE(region_get("dirty"), limit);
		EXPECT_EQ(region_set("cache_bytes", 0), 0);
		for (size_t page = 0; page < pages; page++)
			EXPECT_TRUE(page_is(base, page, page % 2));
	}
	together("read");
	unshare_region(region);
}

/* Copies are evicted and fetched while allocations fail, in this kernel and at the homes. */
static void allocations_fail(int home, size_t block_size)
{
	size_t size = region_bytes(), pages = size / PAGE;
	uint8_t *versions = calloc(pages, 1);
	unsigned int failed;
	dsm_region *region;

	ASSERT_TRUE(versions);
	failing_prepare(NULL);
	region = share_written(size, home, block_size);
	if (last_node())
		ASSERT_EQ(region_set("cache_bytes", size / PART), 0);
	together("limited");
	failing_start(FAIL_PERCENT);
	together("failing");
	if (last_node())
		EXPECT_EQ(go_through(dsm_base(region), pages, versions), 0);
	together("went-through-failing");
	failed = failing_stop();
	if (last_node()) {
		note("%u allocations failed; %lld clean, %lld written blocks evicted", failed,
		     region_stat("evicted_clean"), region_stat("evicted_dirty"));
		EXPECT_GT(failed, 0);
		EXPECT_GT(region_stat("evicted_clean"), 0);
		EXPECT_GT(region_stat("evicted_dirty"), 0);
	}
	read_by_others(dsm_base(region), pages, versions);
	free(versions);
	unshare_region(region);
}

TEST_SECONDS(allocations_fail_first_touch_4k, 900)
{
	allocations_fail(DSM_HOME_FIRST_TOUCH, 4096);
}

TEST_SECONDS(allocations_fail_interleaved_64k, 900)
{
	allocations_fail(DSM_HOME_INTERLEAVED, 65536);
}

/* Frequently used blocks stay, while blocks that are used once are evicted. */
TEST(used_ones_stay)
{
	size_t size = region_bytes(), pages = size / PAGE, hot = pages / PART / 4;
	dsm_region *region = share_written(size, DSM_HOME_FIRST_TOUCH, 0);
	char *base = dsm_base(region);

	if (last_node()) {
		long long before, after;
		uint64_t state = seed();

		ASSERT_EQ(region_set("cache_bytes", size / PART), 0);
		for (size_t page = 0; page < hot; page++)
			EXPECT_TRUE(page_is(base, page, 0));
		before = region_stat("faults_remote_read");
		for (size_t page = hot; page < pages; page++) {
			EXPECT_TRUE(page_is(base, page, 0));
			for (int i = 0; i < 8; i++)
				EXPECT_TRUE(page_is(base, random_next(&state) % hot, 0));
		}
		after = region_stat("faults_remote_read");
		note("%zu pages went by %zu; %lld faults waited", pages - hot, hot, after - before);
		/*
		 * Evictions in the order of arrival would have evicted the hot blocks several
		 * times.
		 */
		EXPECT_LT(after - before, (long long)(hot + (pages - hot) / 4));
	}
	together("read");
	unshare_region(region);
}

/* ---- a memory cgroup ------------------------------------------------------ */

#define CGROUP_ROOT	"/sys/fs/cgroup"
#define CGROUP		CGROUP_ROOT "/reclaim"

static void file_write(const char *path, const char *format, long long value)
{
	FILE *file = fopen(path, "we");

	if (!file)
		skip("%s: %s", path, strerror(errno));
	if (fprintf(file, format, value) < 0 || fclose(file))
		test_failed(__FILE__, __LINE__, true, "%s: %s", path, strerror(errno));
}

/* Moves this thread into the cgroup. */
static void cgroup_enter(long long bytes)
{
	mkdir(CGROUP_ROOT, 0755);
	if (mount("none", CGROUP_ROOT, "cgroup2", 0, NULL) && errno != EBUSY)
		skip("cgroup2: %s", strerror(errno));
	file_write(CGROUP_ROOT "/cgroup.subtree_control", "+memory", 0);
	if (mkdir(CGROUP, 0755) && errno != EEXIST)
		skip("%s: %s", CGROUP, strerror(errno));
	file_write(CGROUP "/memory.max", "%lld", bytes);
	file_write(CGROUP "/cgroup.procs", "%lld", getpid());
}

static void cgroup_leave(void)
{
	file_write(CGROUP_ROOT "/cgroup.procs", "%lld", getpid());
}

/* The only number in a file of the cgroup. */
static long long cgroup_get(const char *file)
{
	char path[64];
	FILE *f;
	long long value = -1;

	snprintf(path, sizeof(path), CGROUP "/%s", file);
	f = fopen(path, "re");
	ASSERT_TRUE(f);
	ASSERT_EQ(fscanf(f, "%lld", &value), 1);
	fclose(f);
	return value;
}

/* A cgroup limits the memory of its processes, including copies. */
static void cgroup_bounds(int home, size_t block_size)
{
	bool given = getenv("RECLAIM_CGROUP_MIB");
	size_t size = given ? region_bytes() : 2 * region_bytes(), pages = size / PAGE;
	dsm_region *region = share_written(size, home, block_size);
	uint8_t *versions = calloc(pages, 1);
	long long limit = environment_bytes("RECLAIM_CGROUP_MIB", size / PART + 2 * MIB);

	ASSERT_TRUE(versions);
	if (last_node()) {
		cgroup_enter(limit);
		EXPECT_EQ(go_through(dsm_base(region), pages, versions), 0);
		note("%lld bytes of copies at most, %lld allowed; %lld, %lld evicted, %lld waits; %lld times at the limit",
		     cached_max, limit, region_stat("evicted_clean"), region_stat("evicted_dirty"),
		     region_stat("reclaim_waits"), line_of(CGROUP "/memory.events", "max"));
		note("%lld bytes of the cgroup at most", cgroup_get("memory.peak"));
		EXPECT_LE(cached_max, limit + limit / 20);
		EXPECT_LE(cgroup_get("memory.peak"), limit + limit / 20);
		EXPECT_EQ(line_of(CGROUP "/memory.events", "oom"), 0);
		EXPECT_EQ(line_of(CGROUP "/memory.events", "oom_kill"), 0);
		EXPECT_GT(region_stat("evicted_clean"), 0);
		cgroup_leave();
	}
	read_by_others(dsm_base(region), pages, versions);
	free(versions);
	unshare_region(region);
	if (last_node())
		EXPECT_OK(rmdir(CGROUP));
}

TEST_SECONDS(cgroup_bounds_first_touch_4k, LONG_SECONDS)
{
	cgroup_bounds(DSM_HOME_FIRST_TOUCH, 4096);
}

TEST_SECONDS(cgroup_bounds_first_touch_64k, LONG_SECONDS)
{
	cgroup_bounds(DSM_HOME_FIRST_TOUCH, 65536);
}

/* ---- the machine ---------------------------------------------------------- */

/* If the region is larger than the last node's memory, no limit has to be set. */
static void machine_bounds(size_t block_size)
{
	size_t size = region_bytes(), pages = size / PAGE;
	long long kills = line_of("/proc/vmstat", "oom_kill");
	long long memory = sysconf(_SC_PHYS_PAGES) * (long long)PAGE;
	bool small = last_node() && size > (size_t)memory;
	dsm_region *region = share_region(size, DSM_HOME_FIRST_TOUCH, 0);
	uint8_t *versions;

	if (last_node())
		*word(dsm_base(region), 0) = small;
	together("said");
	small = *word(dsm_base(region), 0);
	together("heard");
	unshare_region(region);
	if (!small)
		skip("the last node has memory for the whole region");

	region = share_written(size, DSM_HOME_FIRST_TOUCH, block_size);
	versions = calloc(pages, 1);
	ASSERT_TRUE(versions);
	if (last_node()) {
		EXPECT_EQ(go_through(dsm_base(region), pages, versions), 0);
		note("%lld bytes of copies at most, of %lld; %lld, %lld evicted, %lld waits",
		     cached_max, memory, region_stat("evicted_clean"),
		     region_stat("evicted_dirty"), region_stat("reclaim_waits"));
		EXPECT_EQ(line_of("/proc/vmstat", "oom_kill"), kills);
	}
	read_by_others(dsm_base(region), pages, versions);
	free(versions);
	unshare_region(region);
}

TEST_SECONDS(machine_bounds_4k, LONG_SECONDS)
{
	machine_bounds(4096);
}

TEST_SECONDS(machine_bounds_64k, LONG_SECONDS)
{
	machine_bounds(65536);
}

/* ---- speed ---------------------------------------------------------------- */

/* The last node has no copies. */
static void forget(void)
{
	EXPECT_EQ(region_set("cache_bytes", 16 * PAGE), 0);
	if (!WAIT_FOR(region_get("frames") <= 16 * PAGE, 60)) {
		EXPECT_LE(region_get("cached"), 16 * PAGE);
		ASSERT_TRUE(region_get("frames") <= 16 * PAGE);
	}
}

static double scan_seconds(char *base, size_t pages, long long limit)
{
	double start;

	forget();
	ASSERT_EQ(region_set("cache_bytes", limit), 0);
	start = seconds();
	for (size_t page = 0; page < pages; page++)
		ASSERT_TRUE(page_is(base, page, 0));
	return seconds() - start;
}

static int by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* Reading everything with a quarter of the memory costs little more. */
TEST_SECONDS(scan_speed, 600)
{
	size_t size = environment_bytes("RECLAIM_MIB", SPEED_MIB * MIB), pages = size / PAGE;
	dsm_region *region = share_written(size, DSM_HOME_FIRST_TOUCH, 0);
	char *base = dsm_base(region);
	double ratios[SPEED_ROUNDS];

	if (last_node()) {
		/* Afterwards this node knows the home of each chunk. */
		scan_seconds(base, pages, 0);
		for (int i = 0; i < SPEED_ROUNDS; i++) {
			double without = scan_seconds(base, pages, 0);
			double with = scan_seconds(base, pages, size / PART);

			note("%zu MiB: %.2f s without evictions, %.2f s with: %.2f times as fast",
			     size / MIB, without, with, without / with);
			ratios[i] = without / with;
		}
		qsort(ratios, SPEED_ROUNDS, sizeof(*ratios), by_size);
		EXPECT_GE((int)(ratios[SPEED_ROUNDS / 2] * 100), 70);
	}
	together("scanned");
	unshare_region(region);
}
