// SPDX-License-Identifier: GPL-2.0
/*
 * How much kernel memory a user can occupy that is not charged to the user's own memory
 * cgroup. A process of the user exhausts its limits. Each node measures how much its kernel's
 * memory has grown, minus what is charged to the cgroup. So each node needs a kernel of its
 * own.
 */
#include <dirent.h>
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
#define HELPERS_CGROUP	CGROUP_ROOT "/dsmd"

enum {
	PAGE		= 4096,
	MIB		= 1 << 20,
	CHUNK		= 2 * MIB,
	CHUNKS		= 24,
	ENTRY_MIN	= 64,	/* the least that a home keeps for a block, in bytes */
	BLOCK_PART	= 32,	/* what homes keep for blocks, as a part of the blocks' bytes */
	REGIONS		= 32,	/* the default of user_regions_max */
	MUTEXES		= 2048,	/* the default of user_mutexes_max */
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

static void cgroup_make(const char *path)
{
	mkdir(CGROUP_ROOT, 0755);
	if (mount("none", CGROUP_ROOT, "cgroup2", 0, NULL) && errno != EBUSY)
		skip("cgroup2: %s", strerror(errno));
	write_file(CGROUP_ROOT "/cgroup.subtree_control", "+memory", 0);
	if (mkdir(path, 0755) && errno != EEXIST)
		skip("%s: %s", path, strerror(errno));
}

/* The user's processes run on the last node. */
static bool users_node(void)
{
	return node() == nodes() - 1;
}

/* The sum of the numbers after @names, in the file's unit. */
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

/* The kernel's memory that is charged to a cgroup. */
static long long charged(const char *stat)
{
	static const char *const names[] = {
		"slab", "kernel_stack", "pagetables", "percpu", "vmalloc", NULL,
	};

	return sum_of(stat, names);
}

/*
 * The kernel's memory on this node that is not charged to the user's cgroup, if the cgroup is
 * on this node.
 */
static long long outside(void)
{
	static const char *const all[] = {
		"Slab", "KernelStack", "PageTables", "Percpu", "VmallocUsed", NULL,
	};
	long long bytes;

	/* Drop the kernel's caches of unused files and names. */
	write_file("/proc/sys/vm/drop_caches", "%lld", 2);
	bytes = sum_of("/proc/meminfo", all) * 1024;
	return users_node() ? bytes - charged(CGROUP "/memory.stat") : bytes;
}

/* A process of the user. When it receives a byte, it does @what, answers, and waits. */
struct user {
	pid_t pid;
	int tell, hear;
};

static void user_start(struct user *user, void (*what)(void))
{
	const struct passwd *passwd = getpwnam("user");
	int done[2], go[2];
	char byte;

	ASSERT_TRUE(passwd);
	ASSERT_OK(pipe(done));
	ASSERT_OK(pipe(go));
	user->pid = fork();
	ASSERT_OK(user->pid);
	if (!user->pid) {
		write_file(CGROUP "/cgroup.procs", "%lld", getpid());
		if (setgid(passwd->pw_gid) || setuid(passwd->pw_uid))
			_exit(1);
		if (write(done[1], "", 1) != 1 || read(go[0], &byte, 1) != 1)
			_exit(1);
		what();
		if (write(done[1], "", 1) != 1 || read(go[0], &byte, 1) != 1)
			_exit(1);
		_exit(0);
	}
	close(done[1]);
	close(go[0]);
	user->tell = go[1];
	user->hear = done[0];
	ASSERT_EQ(read(user->hear, &byte, 1), 1);
}

static void user_go(const struct user *user)
{
	char byte;

	ASSERT_EQ(write(user->tell, "", 1), 1);
	ASSERT_EQ(read(user->hear, &byte, 1), 1);
}

static void user_end(const struct user *user)
{
	ASSERT_OK(kill(user->pid, SIGKILL));
	ASSERT_EQ(waitpid(user->pid, NULL, 0), user->pid);
	close(user->tell);
	close(user->hear);
}

static const char *name_of(unsigned int n)
{
	static char name[DSM_NAME_MAX];

	/* The longest possible name. */
	snprintf(name, sizeof(name), "%0*u", DSM_NAME_MAX - 1, n);
	return name;
}

static dsm_region *region_make(unsigned int n, size_t size, int home)
{
	struct dsm_attr attr = { .home = home };
	dsm_region *region = dsm_open(name_of(n), O_CREAT | O_EXCL | O_RDWR, size, &attr);

	if (!region)
		_exit(1);
	return region;
}

/* Write one word of every @step bytes of a region. */
static void use_region(dsm_region *region, size_t size, size_t step)
{
	for (size_t at = 0; at < size; at += step)
		*word((char *)dsm_base(region) + at, 0) = at;
}

static void lock_mutexes(dsm_mutex_t *mutex)
{
	for (unsigned int n = 0; n < MUTEXES; n++)
		if (dsm_mutex_init(&mutex[n], NULL) || dsm_mutex_lock(&mutex[n]))
			_exit(1);
}

/* As many objects as the limits allow. */
static void use_all(void)
{
	for (unsigned int n = 0; n < REGIONS; n++) {
		int home = n % 2 ? DSM_HOME_FIRST_TOUCH : DSM_HOME_INTERLEAVED;
		dsm_region *region = region_make(n, CHUNK, home);

		use_region(region, CHUNK, CHUNK);
		/* Their home is node 0. */
		if (!n)
			lock_mutexes(dsm_base(region));
	}
}

static void use_blocks(void)
{
	size_t size = (size_t)CHUNKS * CHUNK;

	use_region(region_make(0, size, DSM_HOME_INTERLEAVED), size, PAGE);
}

/* How many regions this node knows. */
static int regions_here(void)
{
	struct dirent *entry;
	DIR *dir = opendir("/sys/class/dsm/node/regions");
	int n = 0;

	ASSERT_TRUE(dir);
	while ((entry = readdir(dir)))
		n += entry->d_name[0] != '.';
	closedir(dir);
	return n;
}

/* Each node's kernel has less than @allowed more memory because of the user. */
static void stays_within(void (*what)(void), unsigned int regions, long long allowed)
{
	long long before, grown;
	struct user user = { 0 };

	/* The workers of the previous test may still be running. */
	EXPECT_TRUE(WAIT_FOR(!regions_here(), 60));
	if (users_node()) {
		cgroup_make(CGROUP);
		user_start(&user, what);
	}
	before = outside();
	together("ready");
	if (users_node())
		user_go(&user);
	together("held");
	grown = outside() - before;
	note("%lld KiB", grown / 1024);
	EXPECT_LT(grown, allowed);
	together("measured");
	if (!users_node())
		return;
	user_end(&user);
	while (regions--)
		EXPECT_OK(dsm_unlink(name_of(regions)));
	EXPECT_TRUE(WAIT_FOR(!rmdir(CGROUP), 60));
}

TEST(all)
{
	stays_within(use_all, REGIONS, ALLOWED);
}

/* What a home keeps for blocks is a small part of their size, */
TEST(blocks)
{
	stays_within(use_blocks, 1, (long long)CHUNKS * CHUNK / BLOCK_PART);
}

/* ... and is charged to the home's helper. */
TEST(cgroup_of_the_helper)
{
	const long long blocks = (long long)CHUNKS * CHUNK / PAGE / nodes();
	struct user user = { 0 };
	long long before = 0;

	if (users_node()) {
		cgroup_make(CGROUP);
		user_start(&user, use_blocks);
	} else {
		cgroup_make(HELPERS_CGROUP);
		write_file(HELPERS_CGROUP "/cgroup.procs", "%lld", helper_pid());
		before = charged(HELPERS_CGROUP "/memory.stat");
	}
	together("ready");
	if (users_node())
		user_go(&user);
	together("used");
	if (!users_node()) {
		/* The kernel updates a cgroup's counters now and then. */
		EXPECT_TRUE(WAIT_FOR(charged(HELPERS_CGROUP "/memory.stat") - before >
				     blocks * ENTRY_MIN, 20));
		note("%lld bytes for %lld blocks",
		     charged(HELPERS_CGROUP "/memory.stat") - before, blocks);
		write_file(CGROUP_ROOT "/cgroup.procs", "%lld", helper_pid());
	}
	together("seen");
	if (!users_node())
		return;
	user_end(&user);
	EXPECT_OK(dsm_unlink(name_of(0)));
	EXPECT_TRUE(WAIT_FOR(!rmdir(CGROUP), 60));
}
