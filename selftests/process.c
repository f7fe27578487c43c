// SPDX-License-Identifier: GPL-2.0
/*
 * Processes and their address spaces: fork, sharing, mm system calls, signals, permissions,
 * core dumps.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "test.h"

enum {
	PAGE	= 4096,
	PAGES	= 64,
	SIZE	= PAGES * PAGE,
};

static uint64_t value_of(int page)
{
	return random_hash(page, 77);
}

/* Node 0 has written every page. */
static dsm_region *share_filled(void)
{
	dsm_region *region = share_region(SIZE, DSM_HOME_FIRST_TOUCH, 0);

	if (!node()) {
		for (int i = 0; i < PAGES; i++)
			*word((char *)dsm_base(region) + i * PAGE, 0) = value_of(i);
	}
	together("filled");
	return region;
}

#define IN_CHILD(code) ({			\
	pid_t pid_ = fork();			\
						\
	ASSERT_OK(pid_);			\
	if (!pid_) {				\
		code;				\
		_exit(0);			\
	}					\
	wait_status(pid_);			\
})

static void expect_contents(char *base)
{
	for (int i = 0; i < PAGES; i++)
		EXPECT_EQ(*word(base + i * PAGE, 0), value_of(i));
}

TEST(fork_shares)
{
	dsm_region *region = share_filled();
	char *base = dsm_base(region);

	if (node() == nodes() - 1) {
		*word(base, 1) = 1;
		EXPECT_EQ(IN_CHILD({
			expect_contents(base);
			for (int i = 0; i < PAGES; i++)
				*word(base + i * PAGE, 1) = value_of(i) + 1;
		}), 0);
		/* The parent, and the other nodes, see what the child wrote. */
		for (int i = 0; i < PAGES; i++)
			EXPECT_EQ(*word(base + i * PAGE, 1), value_of(i) + 1);
	}
	together("child-wrote");
	for (int i = 0; i < PAGES; i++)
		EXPECT_EQ(*word(base + i * PAGE, 1), value_of(i) + 1);
	together("seen");
	/* A child also sees what other nodes write after the fork. */
	if (node() == nodes() - 1) {
		EXPECT_EQ(IN_CHILD({
			EXPECT_TRUE(WAIT_FOR(*word(base, 2) == 42, 20));
		}), 0);
	} else if (!node()) {
		*word(base, 2) = 42;
	}
	unshare_region(region);
}

/* ---- processes made without atfork handlers ----------------------------- */

enum { OBJECTS = 500, OBJECT_MAX = 3000 };

static unsigned char *object[OBJECTS];

/* Frees and allocates at random. An object is filled with its number plus @mark. */
static int churn(dsm_region *region, int rounds, unsigned char mark)
{
	uint64_t state = mark;
	int wrong = 0;

	for (int round = 0; round < rounds; round++) {
		int i = random_next(&state) % OBJECTS;
		size_t size = 16 + i * 37 % OBJECT_MAX;

		for (size_t j = 0; object[i] && j < size; j++)
			wrong += object[i][j] != (unsigned char)(mark + i);
		dsm_free(object[i]);
		object[i] = dsm_heap_malloc(region, size);
		if (!object[i])
			return wrong + 1;
		memset(object[i], mark + i, size);
	}
	return wrong;
}

static void objects_free(void)
{
	for (int i = 0; i < OBJECTS; i++) {
		dsm_free(object[i]);
		object[i] = NULL;
	}
}

/* A child shares objects and no slabs. A child that is killed leaves the objects. */
TEST(underscore_fork_has_slabs_of_its_own)
{
	dsm_region *region = share_region(64 << 20, DSM_HOME_FIRST_TOUCH, 0);
	unsigned char *shared = dsm_heap_malloc(region, 100);
	struct dsm_heap_stats stats;

	ASSERT_TRUE(shared);
	*shared = 1;
	EXPECT_EQ(churn(region, 5000, 1), 0);
	for (int round = 0; round < 10; round++) {
		bool killed = round % 2;
		int status;
		pid_t pid = _Fork();

		ASSERT_OK(pid);
		if (!pid) {
			/* the parent still owns what was allocated before */
			memset(object, 0, sizeof(object));
			if (churn(region, 5000, 2))
				_exit(1);
			objects_free();
			++*shared;
			if (killed)
				raise(SIGKILL);
			_exit(0);
		}
		EXPECT_EQ(churn(region, 5000, 1), 0);
		status = wait_status(pid);
		EXPECT_EQ(status, killed ? SIGKILL : 0);
		EXPECT_EQ(*shared, round + 2);
		EXPECT_EQ(churn(region, 1000, 1), 0);
	}
	objects_free();
	dsm_free(shared);
	EXPECT_OK(dsm_trim(region));
	EXPECT_OK(dsm_heap_stats(region, node(), &stats));
	EXPECT_EQ(stats.live, 0);
	unshare_region(region);
}

/* The C library does not know the child, so the child may take no lock. It ends before it does. */
TEST(clone_ends_before_it_allocates)
{
	dsm_region *region = share_region(64 << 20, DSM_HOME_FIRST_TOUCH, 0);
	unsigned char *shared = dsm_heap_malloc(region, 100);

	ASSERT_TRUE(shared);
	*shared = 1;
	EXPECT_EQ(churn(region, 5000, 1), 0);
	for (int round = 0; round < 3; round++) {
		int fd[2], status;
		char text[300] = "";
		pid_t pid;

		ASSERT_OK(pipe(fd));
		pid = syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
		ASSERT_OK(pid);
		if (!pid) {
			dup2(fd[1], STDERR_FILENO);
			/* the child may use memory like any process that has it */
			++*shared;
			if (round == 0)
				object[0] = dsm_heap_malloc(region, 100);
			else if (round == 1)
				dsm_free(object[0]);
			else
				dsm_trim(region);
			_exit(0);
		}
		EXPECT_OK(close(fd[1]));
		EXPECT_EQ(churn(region, 5000, 1), 0);
		status = wait_status(pid);
		EXPECT_EQ(status, 127 << 8);
		EXPECT_TRUE(read(fd[0], text, sizeof(text) - 1) > 0);
		EXPECT_TRUE(strstr(text, "made by clone(2)"));
		EXPECT_OK(close(fd[0]));
		EXPECT_EQ(*shared, round + 2);
	}
	objects_free();
	dsm_free(shared);
	unshare_region(region);
}

/* ---- what processes of a node share --------------------------------------- */

static bool settled(void)
{
	long long before = frames_exchanged();

	if (node_get("outstanding"))
		return false;
	for (int i = 0; i < 100; i++)
		test_pause();
	return frames_exchanged() == before;
}

TEST(processes_of_a_node_share_a_copy)
{
	static const char *const counters[] = { "faults_remote_read", "faults_remote_write",
						"bytes_in", "bytes_out", "invalidations",
						"prefetches" };
	enum { COUNTERS = sizeof(counters) / sizeof(*counters) };
	long long before[COUNTERS], frames;
	dsm_region *region = share_filled();
	char *base = dsm_base(region);

	if (node() == nodes() - 1) {
		/* Half of the pages are written, half are read. */
		for (int i = 0; i < PAGES; i++) {
			EXPECT_EQ(*word(base + i * PAGE, 0), value_of(i));
			if (i % 2)
				*word(base + i * PAGE, 1) = 1;
		}
		/* The node still uses the region, otherwise the next open would ask node 0. */
		int bound = open_bound(0);

		EXPECT_OK(dsm_close(region));
		ASSERT_TRUE(WAIT_FOR(settled(), 20));
		frames = frames_exchanged();
		for (int i = 0; i < COUNTERS; i++)
			before[i] = region_stat(counters[i]);
		for (int process = 0; process < 2; process++) {
			EXPECT_EQ(IN_CHILD({
				region = dsm_open(region_name(), O_RDWR, 0, NULL);
				ASSERT_TRUE(region);
				expect_contents(dsm_base(region));
				for (int i = 1; i < PAGES; i += 2)
					*word(base + i * PAGE, 1) = 2 + process;
			}), 0);
		}
		for (int i = 0; i < COUNTERS; i++) {
			if (region_stat(counters[i]) != before[i])
				test_failed(__FILE__, __LINE__, false, "%s: %lld, then %lld",
					    counters[i], before[i], region_stat(counters[i]));
		}
		EXPECT_EQ(frames_exchanged(), frames);
		region = dsm_open(region_name(), O_RDWR, 0, NULL);
		ASSERT_TRUE(region);
		close(bound);
	}
	together("compared");
	for (int i = 1; i < PAGES; i += 2)
		EXPECT_EQ(*word(base + i * PAGE, 1), 3);
	unshare_region(region);
}

TEST(munmap_of_a_part)
{
	dsm_region *region = share_filled();
	char *base = dsm_base(region);

	expect_contents(base);
	together("read");
	if (node()) {
		ASSERT_OK(munmap(base + 10 * PAGE, 5 * PAGE));
		EXPECT_EQ(access_signal((uint64_t *)(base + 9 * PAGE), true), 0);
		EXPECT_EQ(access_signal((uint64_t *)(base + 10 * PAGE), false), SIGSEGV);
		EXPECT_EQ(access_signal((uint64_t *)(base + 14 * PAGE), true), SIGSEGV);
		EXPECT_EQ(access_signal((uint64_t *)(base + 15 * PAGE), true), 0);
	}
	together("unmapped");
	if (!node()) {
		for (int i = 0; i < PAGES; i++)
			atomic_fetch_add(word(base + i * PAGE, 0), 1);
	}
	together("written");
	for (int i = 0; i < PAGES; i++) {
		if (!node() || i < 10 || i >= 15)
			EXPECT_EQ(*word(base + i * PAGE, 0), value_of(i) + 1);
	}
	/* The region can be opened again. */
	if (node()) {
		int fd = open_bound(0);

		ASSERT_EQ(mmap(base + 10 * PAGE, 5 * PAGE, PROT_READ | PROT_WRITE,
			       MAP_SHARED | MAP_FIXED_NOREPLACE, fd, 10 * PAGE),
			  base + 10 * PAGE);
		close(fd);
		for (int i = 10; i < 15; i++)
			EXPECT_EQ(*word(base + i * PAGE, 0), value_of(i) + 1);
	}
	unshare_region(region);
}

TEST(mremap_moves_nothing)
{
	dsm_region *region = share_filled();
	char *base = dsm_base(region);

	EXPECT_ERRNO(mremap(base, SIZE, SIZE, MREMAP_MAYMOVE | MREMAP_FIXED, base + 16 * SIZE),
		     EINVAL);
	EXPECT_ERRNO(mremap(base, SIZE, 2 * SIZE, 0), EFAULT);
	EXPECT_ERRNO(mremap(base, SIZE, 2 * SIZE, MREMAP_MAYMOVE), EFAULT);
	expect_contents(base);
	EXPECT_EQ(mremap(base, SIZE, SIZE / 2, 0), base);
	EXPECT_EQ(*word(base + SIZE / 2 - PAGE, 0), value_of(PAGES / 2 - 1));
	EXPECT_EQ(access_signal((uint64_t *)(base + SIZE / 2), false), SIGSEGV);
	unshare_region(region);
}

TEST(private_mapping_is_refused)
{
	dsm_region *region = share_filled();
	int fd = open_bound(0);

	EXPECT_ERRNO(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, fd, 0), EINVAL);
	EXPECT_ERRNO(mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0), EINVAL);
	close(fd);
	unshare_region(region);
}

/* Only MADV_REMOVE discards the region's data (see discard.c). No other advice does. */
TEST(madvise_keeps_contents)
{
	dsm_region *region = share_filled();
	char *base = dsm_base(region);

	if (node() == nodes() - 1) {
		for (int i = 0; i < PAGES; i++)
			*word(base + i * PAGE, 3) = i;
		EXPECT_OK(madvise(base, SIZE, MADV_DONTNEED));
		expect_contents(base);
		EXPECT_ERRNO(madvise(base, SIZE, MADV_FREE), EINVAL);
		EXPECT_OK(madvise(base, SIZE, MADV_COLD));
		EXPECT_OK(madvise(base, SIZE, MADV_PAGEOUT));
		expect_contents(base);
		EXPECT_OK(madvise(base, SIZE, MADV_WILLNEED));
		EXPECT_OK(madvise(base, SIZE, MADV_RANDOM));
		EXPECT_OK(madvise(base, SIZE, MADV_SEQUENTIAL));
	}
	together("advised");
	expect_contents(base);
	for (int i = 0; i < PAGES; i++)
		EXPECT_EQ(*word(base + i * PAGE, 3), i);
	EXPECT_OK(madvise(base, SIZE, MADV_POPULATE_READ));
	EXPECT_OK(madvise(base + PAGE * node(), PAGE, MADV_POPULATE_WRITE));
	expect_contents(base);
	unshare_region(region);
}

/*
 * Pages of a block come and go one by one, whatever the machine's huge page policy for shmem
 * is.
 */
TEST(pages_stay_small)
{
	static const char policy[] = "/sys/kernel/mm/transparent_hugepage/shmem_enabled";
	enum { HUGE = 2 << 20 };
	dsm_region *region = share_region(2 * HUGE, DSM_HOME_INTERLEAVED, 0);
	char *base = dsm_base(region);
	int fd = open(policy, O_WRONLY);

	ASSERT_OK(fd);
	ASSERT_OK(write(fd, "always", 6));
	together("always");
	EXPECT_OK(madvise(base, 2 * HUGE, MADV_HUGEPAGE));
	*word(base + (node() + 1) * PAGE, 0) = node() + 1;
	together("written");
	for (int i = 0; i < nodes(); i++)
		EXPECT_EQ(*word(base + (i + 1) * PAGE, 0), i + 1);
	EXPECT_EQ(*word(base + HUGE, 0), 0);
	together("read");
	EXPECT_OK(write(fd, "never", 5));
	close(fd);
	unshare_region(region);
}

TEST(mprotect_is_local)
{
	dsm_region *region = share_filled();
	char *base = dsm_base(region);

	if (node() == nodes() - 1) {
		ASSERT_OK(mprotect(base, SIZE / 2, PROT_READ));
		expect_contents(base);
		EXPECT_EQ(access_signal((uint64_t *)base, true), SIGSEGV);
		EXPECT_EQ(access_signal((uint64_t *)(base + SIZE / 2), true), 0);
		ASSERT_OK(mprotect(base, SIZE, PROT_NONE));
		EXPECT_EQ(access_signal((uint64_t *)base, false), SIGSEGV);
	}
	together("protected");
	if (!node()) {
		for (int i = 0; i < PAGES; i++)
			*word(base + i * PAGE, 4) = i;
	}
	together("written");
	if (node() == nodes() - 1) {
		ASSERT_OK(mprotect(base, SIZE, PROT_READ | PROT_WRITE));
		for (int i = 0; i < PAGES; i++)
			EXPECT_EQ(atomic_fetch_add(word(base + i * PAGE, 4), 1), i);
	}
	together("written-again");
	for (int i = 0; i < PAGES; i++)
		EXPECT_EQ(*word(base + i * PAGE, 4), i + 1);
	unshare_region(region);
}

TEST(read_only_opening)
{
	dsm_region *region = share_filled();
	int fd = open_bound(DSM_OPEN_RDONLY);
	char *at;

	EXPECT_ERRNO(mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0), EACCES);
	EXPECT_ERRNO(mmap(NULL, SIZE, PROT_WRITE, MAP_SHARED, fd, 0), EACCES);
	at = mmap(NULL, SIZE, PROT_READ, MAP_SHARED, fd, 0);
	ASSERT_NE(at, MAP_FAILED);
	close(fd);
	expect_contents(at);
	EXPECT_ERRNO(mprotect(at, SIZE, PROT_READ | PROT_WRITE), EACCES);
	EXPECT_EQ(access_signal((uint64_t *)at, true), SIGSEGV);
	EXPECT_OK(munmap(at, SIZE));
	unshare_region(region);
}

static bool waits_for_long(pid_t pid)
{
	for (int i = 0; i < 100; i++) {
		if (task_state(pid) != 'D')
			return false;
		test_pause();
	}
	return true;
}

/* A wait for a node that does not answer ends with its process. */
TEST(killed_in_a_fault)
{
	dsm_region *region = share_filled();
	char *base = dsm_base(region);
	long long timeout = node_get("timeout_ms");
	pid_t pid;

	if (nodes() < 2)
		skip("needs two nodes");
	if (!node()) {
		EXPECT_EQ(run("dsm-node-link", "down", NULL), 0);
	} else if (node() == nodes() - 1) {
		ASSERT_EQ(node_set("timeout_ms", 3600 * 1000), 0);
	}
	together("cut-off");
	if (node() == nodes() - 1) {
		for (int write = 0; write < 2; write++) {
			double start;

			pid = fork();
			ASSERT_OK(pid);
			if (!pid) {
				if (write)
					*word(base + 20 * PAGE, 0) = 1;
				_exit(*word(base + 21 * PAGE, 0) != 0);
			}
			EXPECT_TRUE(WAIT_FOR(waits_for_long(pid), 20));
			start = seconds();
			ASSERT_OK(kill(pid, SIGKILL));
			EXPECT_EQ(wait_status(pid), SIGKILL);
			EXPECT_LT(seconds() - start, patience(1));
		}
		ASSERT_EQ(node_set("timeout_ms", timeout), 0);
	}
	together("killed");
	if (!node())
		EXPECT_EQ(run("dsm-node-link", "up", NULL), 0);
	expect_contents(base);
	unshare_region(region);
}

TEST(rights)
{
	static const struct {
		mode_t mode;
		int read_error;
		int write_error;
	} cases[] = {
		{ 0600, EACCES, EACCES },
		{ 0660, EACCES, EACCES },
		{ 0604, 0, EACCES },
		{ 0606, 0, 0 },
		{ 0602, EACCES, EACCES },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct dsm_attr attr = { .mode = cases[i].mode };
		dsm_region *region = NULL;
		char name[32];

		snprintf(name, sizeof(name), "rights-%zu", i);
		if (!node()) {
			region = dsm_open(name, O_RDWR | O_CREAT | O_EXCL, PAGE, &attr);
			ASSERT_TRUE(region);
		}
		together("made-%zu", i);
		EXPECT_EQ(IN_CHILD({
			become_user(0);
			errno = 0;
			EXPECT_EQ(!!dsm_open(name, O_RDONLY, 0, NULL), !cases[i].read_error);
			EXPECT_EQ(errno, cases[i].read_error);
			errno = 0;
			EXPECT_EQ(!!dsm_open(name, O_RDWR, 0, NULL), !cases[i].write_error);
			EXPECT_EQ(errno, cases[i].write_error);
			EXPECT_ERRNO(dsm_unlink(name), EACCES);
		}), 0);
		together("tried-%zu", i);
		if (!node()) {
			EXPECT_OK(dsm_unlink(name));
			EXPECT_OK(dsm_close(region));
		}
	}
}

/* A dump of the region would fetch all of it. */
TEST(core_has_no_region)
{
	struct rlimit all = { RLIM_INFINITY, RLIM_INFINITY };
	char directory[] = "/tmp/core.XXXXXX";
	dsm_region *region = share_filled();
	char *base = dsm_base(region);
	struct stat core;
	int status;

	if (node() == nodes() - 1) {
		long long before = region_stat("bytes_in");

		ASSERT_TRUE(mkdtemp(directory));
		ASSERT_OK(chdir(directory));
		status = IN_CHILD({
			ASSERT_OK(setrlimit(RLIMIT_CORE, &all));
			base[0] = base[0];
			abort();
		});
		EXPECT_TRUE(WIFSIGNALED(status));
		EXPECT_TRUE(WCOREDUMP(status));
		ASSERT_OK(stat("core", &core));
		EXPECT_GT(core.st_size, PAGE);
		/* Only the touched page was fetched. */
		EXPECT_LE(region_stat("bytes_in"), before + PAGE);
		EXPECT_OK(unlink("core"));
		ASSERT_OK(chdir("/"));
		EXPECT_OK(rmdir(directory));
	}
	unshare_region(region);
}
