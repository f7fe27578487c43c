// SPDX-License-Identifier: GPL-2.0
/*
 * A page with a memory error: its block is lost until a node discards it or writes to a good
 * copy. Nothing else is disturbed: no other blocks, regions or links.
 */
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "test.h"

#ifndef MADV_HWPOISON
#define MADV_HWPOISON	100
#endif

enum {
	PAGE	= 4096,
	BLOCKS	= 16,
	BAD	= 7,		/* the block */
};

/* The state of a test. */
struct place {
	dsm_region *region;
	char *base;
	size_t block;
	dsm_region *other;	/* region */
	int downs;
};

static int last_node(void)
{
	return nodes() - 1;
}

static char *block_at(const struct place *p, int n)
{
	return p->base + n * p->block;
}

/*
 * How often this node's helper has closed a connection because of what it sent or received.
 * New closings are shown. Silence is not counted, since a busy machine is silent, too. A page
 * that cannot be written is not counted either: its bytes are dropped, and the connection
 * stays.
 */
static int downs(int known)
{
	FILE *log = fopen("/run/dsmd.log", "r");
	char line[512];
	int count = 0;

	ASSERT_TRUE(log);
	while (fgets(line, sizeof(line), log)) {
		bool cause = strstr(line, "cannot be read") || strstr(line, "has not taken");

		if (cause && ++count > known)
			note("%.*s", (int)strcspn(line, "\n"), line);
	}
	fclose(log);
	return count;
}

/* A second region, which every node knows. */
static dsm_region *open_other(const char *name)
{
	dsm_region *region = NULL;

	if (!node()) {
		region = dsm_open(name, O_CREAT | O_RDWR, 4 * PAGE, NULL);
		ASSERT_TRUE(region);
		*word(dsm_base(region), 0) = 99;
	}
	together("made-%s", name);
	if (node()) {
		region = dsm_open(name, O_RDWR, 0, NULL);
		ASSERT_TRUE(region);
	}
	return region;
}

static void close_other(dsm_region *region, const char *name)
{
	EXPECT_OK(dsm_close(region));
	together("closed-%s", name);
	if (!node())
		EXPECT_OK(dsm_unlink(name));
}

/* All blocks are written by @owner. */
static struct place begin(int owner, size_t block_size)
{
	struct place p = { .block = block_size };

	if (nodes() < 2)
		skip("needs two nodes");
	if (access("/proc/sys/vm/memory_failure_early_kill", F_OK))
		skip("this kernel does not know of memory errors");
	p.region = share_region(BLOCKS * block_size, DSM_HOME_CREATOR, block_size);
	p.base = dsm_base(p.region);
	p.other = open_other("other");
	p.downs = downs(INT_MAX);
	if (node() == owner)
		for (int n = 0; n < BLOCKS; n++)
			for (size_t at = 0; at < p.block; at += PAGE)
				*word(block_at(&p, n) + at, 0) = random_hash(n, at);
	together("written");
	return p;
}

/* Gives the frame of the bad block's last page on this node a memory error. */
static void poison(const struct place *p)
{
	char *page = block_at(p, BAD) + p->block - PAGE;

	int status;
	pid_t pid;

	EXPECT_EQ(access_signal(page, false), 0);
	/* In a process of its own, which gets a SIGBUS. */
	pid = fork();
	ASSERT_OK(pid);
	if (!pid) {
		signal(SIGBUS, SIG_DFL);
		_exit(madvise(page, PAGE, MADV_HWPOISON) ? errno : 0);
	}
	ASSERT_EQ(waitpid(pid, &status, 0), pid);
	if (WIFEXITED(status))
		ASSERT_EQ(WEXITSTATUS(status), 0);
	else
		ASSERT_EQ(WTERMSIG(status), SIGBUS);
	EXPECT_EQ(access_signal(page, false), SIGBUS);
}

/* The access fails at once, and not because an answer is missing. */
static void expect_lost(const struct place *p)
{
	long long timeouts = region_stat("timeouts");
	char *page = block_at(p, BAD) + p->block - PAGE;
	int fds[2];

	EXPECT_EQ(access_signal(page, false), SIGBUS);
	EXPECT_EQ(access_signal(page, true), SIGBUS);
	EXPECT_EQ(access_signal(page, false), SIGBUS);
	ASSERT_OK(pipe(fds));
	/* The kernel prints this for any inaccessible memory. */
	EXPECT_ERRNO(write(fds[1], page, 8), EFAULT);
	close(fds[0]);
	close(fds[1]);
	EXPECT_EQ(region_stat("timeouts"), timeouts);
}

static void expect_good(const struct place *p, int n)
{
	for (size_t at = 0; at < p->block; at += PAGE) {
		ASSERT_EQ(access_signal(block_at(p, n) + at, false), 0);
		EXPECT_EQ(*word(block_at(p, n) + at, 0), random_hash(n, at));
	}
}

static void expect_undisturbed(const struct place *p)
{
	for (int n = 0; n < BLOCKS; n++)
		if (n != BAD)
			expect_good(p, n);
	ASSERT_EQ(access_signal(dsm_base(p->other), false), 0);
	EXPECT_EQ(*word(dsm_base(p->other), 0), 99);
	EXPECT_TRUE(WAIT_FOR(node_get("up") == nodes(), 20));
	EXPECT_EQ(downs(p->downs), p->downs);
}

/* Every node writes, and sees what all have written. */
static void expect_zeroes_in_use(const struct place *p)
{
	for (size_t at = 0; at < p->block; at += PAGE) {
		ASSERT_EQ(access_signal(block_at(p, BAD) + at, false), 0);
		EXPECT_EQ(*word(block_at(p, BAD) + at, 0), 0);
	}
	together("zeroes");
	for (size_t at = 0; at < p->block; at += PAGE)
		atomic_fetch_add(word(block_at(p, BAD) + at, 1), 1);
	together("added");
	for (size_t at = 0; at < p->block; at += PAGE)
		EXPECT_EQ(*word(block_at(p, BAD) + at, 1), nodes());
	together("read");
}

static void end(struct place *p)
{
	dsm_region *fresh;

	expect_undisturbed(p);
	fresh = open_other("fresh");
	ASSERT_EQ(access_signal(dsm_base(fresh), true), 0);
	EXPECT_EQ(*word(dsm_base(fresh), 0), 99);
	close_other(fresh, "fresh");
	close_other(p->other, "other");
	unshare_region(p->region);
	EXPECT_EQ(downs(p->downs), p->downs);
}

/* @owner's page goes bad, all others request it, and @who discards it. */
static void owner_cannot_read(int owner, size_t block_size, int who)
{
	struct place p = begin(owner, block_size);

	if (node() == owner)
		poison(&p);
	together("poisoned");
	/* One after the other, for reading and for writing, since the home's answers differ. */
	for (int n = 0; n < nodes(); n++) {
		if (node() == n && node() != owner) {
			expect_lost(&p);
			EXPECT_GE(region_stat("lost"), 1);
		}
		together("asked-%d", n);
	}
	if (node() == owner) {
		EXPECT_GE(region_stat("lost"), 1);
		EXPECT_EQ(access_signal(block_at(&p, BAD) + p.block - PAGE, false), SIGBUS);
	}
	expect_undisturbed(&p);
	together("all-asked");
	if (node() == who)
		EXPECT_OK(madvise(block_at(&p, BAD), p.block, MADV_REMOVE));
	together("discarded");
	expect_zeroes_in_use(&p);
	end(&p);
}

TEST(page_at_its_home)
{
	owner_cannot_read(0, PAGE, 0);
}

TEST(page_at_its_home_discarded_elsewhere)
{
	owner_cannot_read(0, PAGE, last_node());
}

TEST(page_of_another_node)
{
	owner_cannot_read(last_node(), PAGE, 0);
}

TEST(block_of_many_pages)
{
	owner_cannot_read(0, 65536, 0);
}

/* A block that is requested for writing is lost together with all its previous owners' copies. */
static void writer_asks(int owner)
{
	struct place p = begin(owner, PAGE);
	int writer = owner ? 0 : last_node();

	if (node() == owner)
		poison(&p);
	together("poisoned");
	if (node() == writer)
		EXPECT_EQ(access_signal(block_at(&p, BAD), true), SIGBUS);
	together("asked");
	/* The previous owner's frame no longer has an error, and still no bytes. */
	expect_lost(&p);
	together("all-asked");
	if (node() == writer)
		EXPECT_OK(madvise(block_at(&p, BAD), PAGE, MADV_REMOVE));
	together("discarded");
	expect_zeroes_in_use(&p);
	end(&p);
}

TEST(writer_asks_the_home)
{
	writer_asks(0);
}

TEST(writer_is_the_home)
{
	writer_asks(last_node());
}

/* A node with a copy keeps it. When it writes, all nodes can access the block again. */
TEST(copy_elsewhere_is_good)
{
	struct place p = begin(0, PAGE);

	if (node() == 1)
		expect_good(&p, BAD);
	together("copied");
	if (!node())
		poison(&p);
	together("poisoned");
	if (node() == 1)
		expect_good(&p, BAD);
	else if (node())
		expect_lost(&p);
	together("asked");
	if (node() == 1)
		*word(block_at(&p, BAD), 1) = 1;
	together("written-again");
	expect_good(&p, BAD);
	EXPECT_EQ(*word(block_at(&p, BAD), 1), 1);
	together("read-again");
	end(&p);
}

/* A region with a lost page can be removed. */
TEST(unlinked_as_it_is)
{
	struct place p = begin(0, PAGE);

	if (!node())
		poison(&p);
	together("poisoned");
	if (node())
		expect_lost(&p);
	together("asked");
	end(&p);
}
