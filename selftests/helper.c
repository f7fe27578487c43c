// SPDX-License-Identifier: GPL-2.0
/*
 * The helper holds no essential state. It is killed under load and started again, on one node
 * after the other and on all at once, and every result is right.
 */
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "test.h"

enum {
	PAGE	= 4096,
	PAGES	= 32,
};

/* Shared by a node's worker and its parent; private to the node. */
struct worker {
	_Atomic bool stop;
	_Atomic uint64_t done;
	uint64_t in_page[PAGES];
};

static struct worker *worker;

/* Words 0 to nodes() - 1 of a page belong to one node each, the next one to all. */
static void increment(char *base)
{
	uint64_t state = seed();

	while (!worker->stop) {
		int page = random_next(&state) % PAGES;
		volatile uint64_t *own = (volatile uint64_t *)word(base + page * PAGE, node());

		ASSERT_EQ(*own, worker->in_page[page]);
		*own = ++worker->in_page[page];
		atomic_fetch_add(word(base + page * PAGE, nodes()), 1);
		worker->done++;
	}
}

static void lock_and_increment(char *base)
{
	dsm_mutex_t *mutex = (dsm_mutex_t *)base;
	volatile uint64_t *counter = (volatile uint64_t *)word(base + PAGE, 0);

	while (!worker->stop) {
		ASSERT_EQ(dsm_mutex_lock(mutex), 0);
		*counter += 1;
		ASSERT_EQ(dsm_mutex_unlock(mutex), 0);
		worker->done++;
	}
}

static void kill_helper(void)
{
	ASSERT_EQ(run("dsmd-ctl", "kill", NULL), 0);
}

static void start_helper(void)
{
	ASSERT_EQ(run("dsmd-ctl", "start", NULL), 0);
}

/* Runs @work on all nodes meanwhile. The work must progress after each start. */
static void kill_and_start(char *base, void (*work)(char *base))
{
	long long timeout = node_get("timeout_ms");
	pid_t pid;

	worker = mmap(NULL, sizeof(*worker), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		      -1, 0);
	ASSERT_NE(worker, MAP_FAILED);
	ASSERT_EQ(node_set("timeout_ms", 100 * 1000), 0);
	together("start");
	pid = fork();
	ASSERT_OK(pid);
	if (!pid) {
		work(base);
		_exit(0);
	}
	for (int round = 0; round <= nodes(); round++) {
		bool all = round == nodes();
		uint64_t before = worker->done;

		EXPECT_TRUE(WAIT_FOR(worker->done > before + 20, 30));
		together("working-%d", round);
		if (all || node() == round)
			kill_helper();
		if (all)
			together("all-killed");
		if (all || node() == round)
			start_helper();
		together("started-%d", round);
	}
	uint64_t before = worker->done;

	EXPECT_TRUE(WAIT_FOR(worker->done > before + 20, 30));
	worker->stop = true;
	EXPECT_EQ(wait_status(pid), 0);
	note("%llu operations", (unsigned long long)worker->done);
	ASSERT_EQ(node_set("timeout_ms", timeout), 0);
	together("stopped");
}

TEST_SECONDS(increments_while_helpers_die, 600)
{
	dsm_region *region = share_region(PAGES * PAGE, DSM_HOME_INTERLEAVED, 0);
	char *base = dsm_base(region);

	kill_and_start(base, increment);
	for (int page = 0; page < PAGES; page++) {
		uint64_t sum = 0;

		for (int n = 0; n < nodes(); n++)
			sum += *word(base + page * PAGE, n);
		EXPECT_EQ(*word(base + page * PAGE, node()), worker->in_page[page]);
		EXPECT_EQ(*word(base + page * PAGE, nodes()), sum);
	}
	unshare_region(region);
}

TEST_SECONDS(mutex_while_helpers_die, 600)
{
	dsm_region *region = share_region(PAGES * PAGE, DSM_HOME_INTERLEAVED, 0);
	char *base = dsm_base(region);

	if (!node())
		ASSERT_EQ(dsm_mutex_init((dsm_mutex_t *)base, NULL), 0);
	together("mutex-made");
	kill_and_start(base, lock_and_increment);
	atomic_fetch_add(word(base + 2 * PAGE, 0), worker->done);
	together("summed");
	EXPECT_EQ(*word(base + PAGE, 0), *word(base + 2 * PAGE, 0));
	unshare_region(region);
}

/* The contents of pages outlive all helpers. */
TEST(memory_outlives_helpers)
{
	dsm_region *region = share_region(PAGES * PAGE, DSM_HOME_FIRST_TOUCH, 0);
	char *base = dsm_base(region);

	for (int page = node(); page < PAGES; page += nodes())
		*word(base + page * PAGE, 5) = random_hash(page, 5);
	together("written");
	kill_helper();
	/* Meanwhile a node's own blocks are available. */
	for (int page = node(); page < PAGES; page += nodes())
		EXPECT_EQ(*word(base + page * PAGE, 5), random_hash(page, 5));
	together("killed");
	start_helper();
	together("started");
	for (int page = 0; page < PAGES; page++)
		EXPECT_EQ(*word(base + page * PAGE, 5), random_hash(page, 5));
	unshare_region(region);
}

/*
 * An access without an answer ends after timeout_ms, and not after twice that, both where it
 * waits for a block whose home is known and where it waits to learn the home.
 */
TEST(accesses_time_out_once)
{
	enum { TIMEOUT = 6 };
	dsm_region *region = share_region(4 * nodes() * DSM_CHUNK_SIZE, DSM_HOME_FIRST_TOUCH, 0);
	const char *known = dsm_base(region);
	/* No node has touched the chunk. The last node assigns its home. */
	const char *unknown = known + (2 * nodes() - 1) * DSM_CHUNK_SIZE;
	long long timeout = node_get("timeout_ms"), before = region_stat("timeouts");
	double start, took;

	if (node() == nodes() - 1)
		*word(known, 0) = 1;
	together("written");
	if (!node())
		EXPECT_EQ(*word(known, 0), 1);
	together("read");
	if (node() == nodes() - 1)
		*word(known, 0) = 2;
	together("written-again");
	if (node() == nodes() - 1)
		kill_helper();
	together("killed");
	if (!node()) {
		ASSERT_EQ(node_set("timeout_ms", TIMEOUT * 1000), 0);
		for (int i = 0; i < 2; i++) {
			start = seconds();
			EXPECT_EQ(access_signal(i ? unknown : known, i), SIGBUS);
			took = seconds() - start;
			note("%.2f s", took);
			EXPECT_GE(took, TIMEOUT);
			EXPECT_LT(took, 2 * TIMEOUT);
		}
		EXPECT_EQ(region_stat("timeouts"), before + 2);
		ASSERT_EQ(node_set("timeout_ms", timeout), 0);
	}
	together("timed-out");
	if (node() == nodes() - 1)
		start_helper();
	together("started");
	/* The timeouts had no other effect: both can be accessed. */
	EXPECT_EQ(*word(known, 0), 2);
	EXPECT_EQ(*word(unknown, 0), 0);
	unshare_region(region);
}
