// SPDX-License-Identifier: GPL-2.0
/*
 * A node is cut off from the others and comes back. Accesses to blocks that it has succeed, and
 * all others fail in time. Afterwards everything is as before.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "test.h"

enum {
	PAGE		= 4096,
	PAGES		= 48,
	TIMEOUT_MS	= 700,	/* see patience(); also the limit of a connected node */
	/* For a wait of TIMEOUT_MS on a busy machine. */
	PATIENCE_S	= 10,
};

static int last_node(void)
{
	return nodes() - 1;
}

static void cut_off(void)
{
	if (node() == last_node())
		ASSERT_EQ(run("dsm-node-link", "down", NULL), 0);
	together("cut-off");
	ASSERT_TRUE(WAIT_FOR(node_get("up") == (node() == last_node() ? 1 : last_node()), 20));
	together("noticed");
}

static void come_back(void)
{
	together("coming-back");
	if (node() == last_node())
		ASSERT_EQ(run("dsm-node-link", "up", NULL), 0);
	ASSERT_TRUE(WAIT_FOR(node_get("up") == nodes(), 30));
	together("back");
}

static void expect_sigbus(const void *at, bool write)
{
	double start = seconds();

	EXPECT_EQ(access_signal(at, write), SIGBUS);
	EXPECT_GE(seconds() - start, patience(TIMEOUT_MS) * 0.0009);
	EXPECT_LE(seconds() - start, patience(PATIENCE_S));
}

/* Each node has written every nodes()th page. No other node has read them. */
static dsm_region *share_written(void)
{
	dsm_region *region;
	char *base;

	if (nodes() < 2)
		skip("needs two nodes");
	region = share_region(PAGES * PAGE, DSM_HOME_CREATOR, 0);
	base = dsm_base(region);
	for (int page = node(); page < PAGES; page += nodes())
		*word(base + page * PAGE, 0) = random_hash(page, 1);
	together("written");
	return region;
}

/* The address of a node's @nth page. */
static char *page_of(dsm_region *region, int whose, int nth)
{
	return (char *)dsm_base(region) + (whose + nth * nodes()) * PAGE;
}

static void expect_all_pages(dsm_region *region)
{
	for (int page = 0; page < PAGES; page++)
		EXPECT_EQ(*word((char *)dsm_base(region) + page * PAGE, 0), random_hash(page, 1));
}

TEST(access_gets_sigbus)
{
	dsm_region *region = share_written();
	long long timeout = node_get("timeout_ms");
	int other = node() == last_node() ? 0 : last_node();

	ASSERT_EQ(node_set("timeout_ms", patience(TIMEOUT_MS)), 0);
	cut_off();
	if (node() == last_node() || !node()) {
		expect_sigbus(page_of(region, other, 0), false);
		expect_sigbus(page_of(region, other, 1), true);
		/* The block was requested and given up once. The result is the same. */
		expect_sigbus(page_of(region, other, 0), false);
		EXPECT_GE(region_stat("timeouts"), 3);
	}
	/* A node's own pages stay available. */
	EXPECT_EQ(access_signal(page_of(region, node(), 0), true), 0);
	*word(page_of(region, node(), 2), 1) = node() + 1;
	/* So do pages of nodes that are not cut off. */
	if (node() != last_node()) {
		for (int n = 0; n < last_node(); n++)
			EXPECT_EQ(access_signal(page_of(region, n, 3), true), 0);
	}
	come_back();
	ASSERT_EQ(node_set("timeout_ms", timeout), 0);
	expect_all_pages(region);
	for (int n = 0; n < nodes(); n++)
		EXPECT_EQ(*word(page_of(region, n, 2), 1), n + 1);
	/* A page that was given up can be written, too. */
	for (int n = 0; n < nodes(); n++)
		atomic_fetch_add(word(page_of(region, n, 1), 7), 1);
	together("incremented");
	for (int n = 0; n < nodes(); n++)
		EXPECT_EQ(*word(page_of(region, n, 1), 7), nodes());
	unshare_region(region);
}

TEST(system_call_gets_an_error)
{
	dsm_region *region = share_written();
	long long timeout = node_get("timeout_ms");
	double start;
	int fds[2];

	ASSERT_OK(pipe(fds));
	ASSERT_EQ(node_set("timeout_ms", patience(TIMEOUT_MS)), 0);
	cut_off();
	if (node() == last_node()) {
		start = seconds();
		EXPECT_ERRNO(write(fds[1], page_of(region, 0, 0), 100), EFAULT);
		EXPECT_EQ(write(fds[1], "0123456789", 10), 10);
		EXPECT_ERRNO(read(fds[0], page_of(region, 0, 1), 10), EFAULT);
		EXPECT_LE(seconds() - start, patience(2 * PATIENCE_S));
	}
	come_back();
	ASSERT_EQ(node_set("timeout_ms", timeout), 0);
	if (node() == last_node())
		EXPECT_EQ(write(fds[1], page_of(region, 0, 0), 100), 100);
	expect_all_pages(region);
	unshare_region(region);
}

/* Names and mutexes belong to a node that cannot be reached. */
TEST(calls_time_out)
{
	dsm_region *region = share_written();
	dsm_mutex_t *mutex = (dsm_mutex_t *)page_of(region, 0, 5);
	long long timeout = node_get("timeout_ms");

	if (!node())
		ASSERT_EQ(dsm_mutex_init(mutex, NULL), 0);
	together("mutex-made");
	ASSERT_EQ(dsm_mutex_lock(mutex), 0);
	ASSERT_EQ(dsm_mutex_unlock(mutex), 0);
	ASSERT_EQ(node_set("timeout_ms", patience(TIMEOUT_MS)), 0);
	together("used");
	/* The mutex stays with its last node, not with the one that is cut off. */
	if (!node()) {
		ASSERT_EQ(dsm_mutex_lock(mutex), 0);
		ASSERT_EQ(dsm_mutex_unlock(mutex), 0);
	}
	together("taken-back");
	cut_off();
	if (node() == last_node()) {
		EXPECT_EQ(dsm_open("cut-off", O_RDWR | O_CREAT, PAGE, NULL), NULL);
		EXPECT_EQ(errno, ETIMEDOUT);
		EXPECT_ERRNO(dsm_unlink(region_name()), ETIMEDOUT);
		EXPECT_EQ(dsm_mutex_trylock(mutex), EIO);
	} else {
		ASSERT_EQ(dsm_mutex_lock(mutex), 0);
		ASSERT_EQ(dsm_mutex_unlock(mutex), 0);
	}
	ASSERT_EQ(node_set("timeout_ms", timeout), 0);
	come_back();
	/* A request that timed out may have been carried out since. */
	if (node() == last_node() && dsm_unlink("cut-off"))
		EXPECT_EQ(errno, ENOENT);
	if (!node() && dsm_unlink(region_name()))
		EXPECT_EQ(errno, ENOENT);
	EXPECT_EQ(dsm_mutex_lock(mutex), 0);
	EXPECT_EQ(dsm_mutex_unlock(mutex), 0);
	together("over");
	EXPECT_OK(dsm_close(region));
}

/* With enough patience, a program only notices a pause. */
TEST_SECONDS(work_goes_on, 600)
{
	dsm_region *region = share_written();
	long long timeout = node_get("timeout_ms");
	struct { _Atomic bool stop; _Atomic uint64_t done; } *worker;
	char *base = dsm_base(region);
	pid_t pid;

	worker = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(worker, MAP_FAILED);
	ASSERT_EQ(node_set("timeout_ms", 100 * 1000), 0);
	together("start");
	pid = fork();
	ASSERT_OK(pid);
	if (!pid) {
		for (uint64_t i = 0; !worker->stop; i++) {
			atomic_fetch_add(word(base + i % PAGES * PAGE, 3), 1);
			worker->done++;
		}
		_exit(0);
	}
	for (int round = 0; round < 3; round++) {
		uint64_t before = worker->done;

		ASSERT_TRUE(WAIT_FOR(worker->done > before + 20, 30));
		together("working-%d", round);
		if (node() == last_node())
			ASSERT_EQ(run("dsm-node-link", "down", NULL), 0);
		/* Once, for too short a time to be noticed. */
		if (round)
			ASSERT_TRUE(WAIT_FOR(node_get("up") < nodes(), 20));
		together("down-%d", round);
		if (node() == last_node())
			ASSERT_EQ(run("dsm-node-link", "up", NULL), 0);
		ASSERT_TRUE(WAIT_FOR(node_get("up") == nodes(), 30));
		together("up-%d", round);
	}
	worker->stop = true;
	EXPECT_EQ(wait_status(pid), 0);
	atomic_fetch_add(word(base, 4), worker->done);
	together("stopped");
	if (!node()) {
		uint64_t sum = 0;

		for (int page = 0; page < PAGES; page++)
			sum += *word(base + page * PAGE, 3);
		EXPECT_EQ(sum, *word(base, 4));
		note("%llu increments", (unsigned long long)sum);
	}
	ASSERT_EQ(node_set("timeout_ms", timeout), 0);
	expect_all_pages(region);
	unshare_region(region);
}
