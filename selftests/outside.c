// SPDX-License-Identifier: GPL-2.0
/*
 * How much memory a user can make the kernel hold that is not charged to the user's own
 * memory cgroup: a process of the user does what it may, up to its limits, and the
 * machine's memory is compared with what the cgroup is charged with. The nodes are in one
 * machine, so what the other nodes hold is counted as well.
 */
#include <fcntl.h>
#include <pwd.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "test.h"

#define CGROUP_ROOT	"/sys/fs/cgroup"
#define CGROUP		CGROUP_ROOT "/outside"

enum {
	PAGE		= 4096,
	MIB		= 1 << 20,
	CHUNK		= 2 * MIB,
	CHUNKS		= 128,
	REGIONS		= 64,	/* user_regions_max, as it is at first */
	MUTEXES		= 1000,
	ALLOWED		= MIB,
};

static void write_file(const char *path, const char *format, long long value)
{
	FILE *file = fopen(path, "we");

	if (!file)
		skip("%s: %s", path, strerror(errno));
	if (fprintf(file, format, value) < 0 || fclose(file))
		test_failed(__FILE__, __LINE__, true, "%s: %s", path, strerror(errno));
}

static void cgroup_make(void)
{
	mkdir(CGROUP_ROOT, 0755);
	if (mount("none", CGROUP_ROOT, "cgroup2", 0, NULL) && errno != EBUSY)
		skip("cgroup2: %s", strerror(errno));
	write_file(CGROUP_ROOT "/cgroup.subtree_control", "+memory", 0);
	if (mkdir(CGROUP, 0755) && errno != EEXIST)
		skip("%s: %s", CGROUP, strerror(errno));
}

/* The sum of the numbers behind @names, in the file's unit. */
static long long sum_of(const char *path, const char *const *names)
{
	FILE *file = fopen(path, "re");
	char line[128], name[64];
	long long value, sum = 0;

	ASSERT_TRUE(file);
	while (fgets(line, sizeof(line), file)) {
		if (sscanf(line, "%63[^: ]%*[: ]%lld", name, &value) != 2)
			continue;
		for (const char *const *n = names; *n; n++)
			if (!strcmp(*n, name))
				sum += value;
	}
	fclose(file);
	return sum;
}

/* The kernel's memory that no cgroup but the test's own is charged with. */
static long long outside(void)
{
	static const char *const all[] = {
		"Slab", "KernelStack", "PageTables", "Percpu", "VmallocUsed", NULL,
	};
	static const char *const ours[] = {
		"slab", "kernel_stack", "pagetables", "percpu", "vmalloc", NULL,
	};

	/* What the kernel keeps of files and names that nobody uses. */
	write_file("/proc/sys/vm/drop_caches", "%lld", 2);
	return sum_of("/proc/meminfo", all) * 1024 - sum_of(CGROUP "/memory.stat", ours);
}

/* A process of the user that does @what, tells, and then ends when it is told to. */
static long long measure(const char *name, void (*what)(void))
{
	const struct passwd *user = getpwnam("user");
	long long before, grown;
	int done[2], end[2];
	char byte;
	pid_t pid;

	ASSERT_TRUE(user);
	ASSERT_OK(pipe(done));
	ASSERT_OK(pipe(end));
	pid = fork();
	ASSERT_OK(pid);
	if (!pid) {
		write_file(CGROUP "/cgroup.procs", "%lld", getpid());
		if (setgid(user->pw_gid) || setuid(user->pw_uid))
			_exit(1);
		if (write(done[1], "", 1) != 1 || read(end[0], &byte, 1) != 1)
			_exit(1);
		what();
		if (write(done[1], "", 1) != 1 || read(end[0], &byte, 1) != 1)
			_exit(1);
		_exit(0);
	}
	ASSERT_EQ(read(done[0], &byte, 1), 1);
	before = outside();
	ASSERT_EQ(write(end[1], "", 1), 1);
	ASSERT_EQ(read(done[0], &byte, 1), 1);
	grown = outside() - before;
	note("%s: %lld KiB outside the cgroup, %lld KiB in it", name, grown / 1024,
	     sum_of(CGROUP "/memory.stat", (const char *const[]){ "slab", "kernel_stack",
			"pagetables", "percpu", "vmalloc", NULL }) / 1024);
	ASSERT_OK(kill(pid, SIGKILL));
	ASSERT_EQ(waitpid(pid, NULL, 0), pid);
	close(done[0]);
	close(done[1]);
	close(end[0]);
	close(end[1]);
	return grown;
}

static const char *name_of(unsigned int n)
{
	static char name[DSM_NAME_MAX];

	/* As long as a name may be. */
	snprintf(name, sizeof(name), "%0*u", DSM_NAME_MAX - 1, n);
	return name;
}

static void make_regions(void)
{
	for (unsigned int n = 0; n < REGIONS; n++)
		if (!dsm_open(name_of(n), O_CREAT | O_EXCL | O_RDWR, PAGE, NULL))
			_exit(1);
}

static void use_chunks(int home)
{
	struct dsm_attr attr = { .home = home };
	dsm_region *region = dsm_open(name_of(0), O_CREAT | O_EXCL | O_RDWR,
				      (size_t)CHUNKS * CHUNK, &attr);

	if (!region)
		_exit(1);
	for (size_t n = 0; n < CHUNKS; n++)
		*word((char *)dsm_base(region) + n * CHUNK, 0) = n;
}

static void use_chunks_first_touch(void)
{
	use_chunks(DSM_HOME_FIRST_TOUCH);
}

static void use_chunks_interleaved(void)
{
	use_chunks(DSM_HOME_INTERLEAVED);
}

static void lock_mutexes(void)
{
	dsm_region *region = dsm_open(name_of(0), O_CREAT | O_EXCL | O_RDWR,
				      MUTEXES * sizeof(dsm_mutex_t), NULL);
	dsm_mutex_t *mutex;

	if (!region)
		_exit(1);
	mutex = dsm_base(region);
	for (unsigned int n = 0; n < MUTEXES; n++)
		if (dsm_mutex_init(&mutex[n], NULL) || dsm_mutex_lock(&mutex[n]))
			_exit(1);
}

static void remove_regions(unsigned int n)
{
	while (n--)
		EXPECT_OK(dsm_unlink(name_of(n)));
}

static void stays_within(const char *name, void (*what)(void), unsigned int regions)
{
	if (node() == nodes() - 1) {
		cgroup_make();
		EXPECT_LT(measure(name, what), ALLOWED);
		remove_regions(regions);
		EXPECT_TRUE(WAIT_FOR(!rmdir(CGROUP), 60));
	}
	together("measured");
}

TEST(regions)
{
	stays_within("regions", make_regions, REGIONS);
}

TEST(chunks_first_touch)
{
	stays_within("chunks, first touch", use_chunks_first_touch, 1);
}

TEST(chunks_interleaved)
{
	stays_within("chunks, interleaved", use_chunks_interleaved, 1);
}

TEST(mutexes)
{
	stays_within("mutexes", lock_mutexes, 1);
}
