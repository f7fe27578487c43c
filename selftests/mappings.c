// SPDX-License-Identifier: GPL-2.0
/*
 * Mappings of a region: how many a user may have, and how very many of them affect others.
 *
 * MAPPINGS=N: how many mappings each process of the last test makes.
 */
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include <linux/dsm.h>

#include "test.h"

enum {
	PAGE	= 4096,
	PAGES	= 64,
	SIZE	= PAGES * PAGE,
	LIMIT	= 16,
};

/* The test's region, in this process. */
static int fd;

static void share(void)
{
	struct dsm_region_arg arg = { .size = SIZE, .mode = 0666, .home = DSM_HOME_CREATOR };

	/* All users may write to this region. Those of share_region() do not allow that. */
	strcpy(arg.name, region_name());
	if (!node()) {
		fd = open_device();
		ASSERT_OK(ioctl(fd, DSM_IOC_CREATE, &arg));
	}
	together("made");
	if (node())
		fd = open_bound(0);
}

static void unshare(void)
{
	struct dsm_name_arg name = {};

	ASSERT_OK(close(fd));
	together("closed");
	strcpy(name.name, region_name());
	if (!node()) {
		fd = open_device();
		ASSERT_OK(ioctl(fd, DSM_IOC_UNLINK, &name));
		close(fd);
	}
	together("unlinked");
}

static char *map(size_t pages)
{
	return mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
}

/* In a child that runs as the user @plus. Its failures fail the test. */
#define AS_USER(plus, code) ({			\
	pid_t pid_ = fork();			\
						\
	ASSERT_OK(pid_);			\
	if (!pid_) {				\
		become_user(plus);		\
		code;				\
		_exit(0);			\
	}					\
	EXPECT_EQ(wait_status(pid_), 0);	\
})

static void all_up_to_the_limit(char **at)
{
	for (int i = 0; i < LIMIT; i++) {
		at[i] = map(4);
		ASSERT_NE(at[i], MAP_FAILED);
	}
	EXPECT_ERRNO(map(4), ENOMEM);
}

static void limited(void)
{
	char *at[LIMIT], *one;

	all_up_to_the_limit(at);
	/* Nor can one mapping be split, by changing or unmapping its middle. */
	EXPECT_ERRNO(mprotect(at[0] + PAGE, PAGE, PROT_READ), ENOMEM);
	EXPECT_ERRNO(munmap(at[0] + PAGE, PAGE), ENOMEM);
	EXPECT_EQ(access_signal(at[0] + PAGE, true), 0);
	/* Removing one makes room for another one. */
	ASSERT_OK(munmap(at[0], 4 * PAGE));
	EXPECT_OK(mprotect(at[1] + 3 * PAGE, PAGE, PROT_READ));
	EXPECT_ERRNO(map(4), ENOMEM);
	EXPECT_OK(munmap(at[1], 4 * PAGE));	/* both of them */
	for (int i = 0; i < 2; i++) {
		at[i] = map(4);
		ASSERT_NE(at[i], MAP_FAILED);
	}
	/* Another process of the user has none left, and its copies of these count. */
	AS_USER(0, {
		EXPECT_ERRNO(map(4), ENOMEM);
		for (int i = 1; i < LIMIT; i++)
			ASSERT_OK(munmap(at[i], 4 * PAGE));
		EXPECT_ERRNO(map(4), ENOMEM);
		ASSERT_OK(munmap(at[0], 4 * PAGE));
		EXPECT_ERRNO(map(4), ENOMEM);
	});
	ASSERT_OK(munmap(at[0], 4 * PAGE));
	one = map(4);
	ASSERT_NE(one, MAP_FAILED);
	/* Existing mappings work. */
	*word(one, 1) = 5;
	EXPECT_EQ(*word(at[LIMIT - 1], 1), 5);
}

TEST(limit)
{
	long long limit = node_get("user_mappings_max");
	char *at[2 * LIMIT];

	share();
	EXPECT_EQ(node_set("user_mappings_max", 0), EINVAL);
	ASSERT_EQ(node_set("user_mappings_max", LIMIT), 0);
	EXPECT_EQ(node_get("user_mappings_max"), LIMIT);
	AS_USER(0, limited());
	/* The process has left nothing, and other users have their own limit. */
	AS_USER(0, {
		all_up_to_the_limit(at);
		AS_USER(0, EXPECT_ERRNO(map(4), ENOMEM));
	});
	AS_USER(1, all_up_to_the_limit(at));
	for (int i = 0; i < 2 * LIMIT; i++) {
		at[i] = map(4);
		ASSERT_NE(at[i], MAP_FAILED);
		EXPECT_OK(mprotect(at[i] + PAGE, PAGE, PROT_READ));
	}
	/* Root's mappings do not count for a user. */
	AS_USER(1, {
		for (int i = 0; i < 2 * LIMIT; i++)
			ASSERT_OK(munmap(at[i], 4 * PAGE));
		all_up_to_the_limit(at);
	});
	for (int i = 0; i < 2 * LIMIT; i++)
		ASSERT_OK(munmap(at[i], 4 * PAGE));
	ASSERT_EQ(node_set("user_mappings_max", limit), 0);
	unshare();
}

/* How often a link of this node went down, as its helper reports. */
static int links_fallen(void)
{
	FILE *log = fopen("/run/dsmd.log", "re");
	char line[512];
	int n = 0;

	ASSERT_TRUE(log);
	while (fgets(line, sizeof(line), log))
		n += !!strstr(line, "is down");
	fclose(log);
	return n;
}

/* Maps one page @n times, and reads it through each mapping again and again. */
static void map_and_read(int n, int ready)
{
	char *at = mmap(NULL, (size_t)n * PAGE, PROT_NONE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	uint64_t seen = 0;

	ASSERT_NE(at, MAP_FAILED);
	for (int i = 0; i < n; i++) {
		ASSERT_NE(mmap(at + (size_t)i * PAGE, PAGE, PROT_READ, MAP_SHARED | MAP_FIXED, fd, 0),
			  MAP_FAILED);
		seen += *word(at + (size_t)i * PAGE, 0);
	}
	ASSERT_EQ(write(ready, "r", 1), 1);
	for (uint64_t last = 0;; last = seen)
		for (int i = 0; i < n; i++) {
			seen = *word(at + (size_t)i * PAGE, 0);
			/* A page that was taken away is not accessible through any mapping. */
			if (seen < last)
				_exit(1);
			last = seen;
		}
}

/*
 * A user of node 1 has mapped one page very often. Writing it at node 0 takes long, and delays
 * nothing else: no link goes down, and other accesses on both nodes continue.
 */
TEST_SECONDS(very_many_of_one_page, 900)
{
	enum { PROCESSES = 2, WRITES = 20 };
	const char *mappings = getenv("MAPPINGS");
	int n = mappings ? atoi(mappings) : 3000, processes = mappings ? 6 : PROCESSES;
	long long timeout = node_get("timeout_ms"), limit = node_get("user_mappings_max");
	int ready[2], fallen = links_fallen();
	volatile uint64_t *page;
	double worst = 0;
	pid_t pids[6];
	char byte;

	share();
	ASSERT_EQ(node_set("timeout_ms", 100 * 1000), 0);
	ASSERT_EQ(node_set("user_mappings_max", 1 << 20), 0);
	page = (volatile uint64_t *)word(map(PAGES), 0);
	if (!node())
		*page = 1;
	together("written");
	ASSERT_OK(pipe(ready));
	for (int i = 0; node() == 1 && i < processes; i++) {
		pids[i] = fork();
		ASSERT_OK(pids[i]);
		if (!pids[i]) {
			become_user(0);
			map_and_read(n, ready[1]);
		}
	}
	for (int i = 0; node() == 1 && i < processes; i++)
		ASSERT_EQ(read(ready[0], &byte, 1), 1);
	together("mapped");
	for (int i = 0; i < WRITES; i++) {
		double start = seconds();

		/*
		 * Each node has a page of its own, whose home is node 0. Node 0 uses the shared
		 * page.
		 */
		page[node() * PAGE / 8] = i + 2;
		atomic_fetch_add(word((void *)page, (PAGES - 1) * PAGE / 8), 1);
		start = seconds() - start;
		if (start > worst)
			worst = start;
	}
	note("the slowest of %d writes took %.3f s", WRITES, worst);
	together("written-again");
	EXPECT_EQ(page[(PAGES - 1) * PAGE / 8], WRITES * nodes());
	EXPECT_EQ(page[0], WRITES + 1);
	if (node() == 1)
		EXPECT_GT(region_stat("revoked_later"), 0);
	EXPECT_EQ(links_fallen(), fallen);
	for (int i = 0; node() == 1 && i < processes; i++) {
		ASSERT_OK(kill(pids[i], SIGKILL));
		EXPECT_TRUE(WIFSIGNALED(wait_status(pids[i])));
	}
	ASSERT_OK(munmap((void *)page, SIZE));
	ASSERT_EQ(node_set("user_mappings_max", limit), 0);
	ASSERT_EQ(node_set("timeout_ms", timeout), 0);
	unshare();
}
