// SPDX-License-Identifier: GPL-2.0
/*
 * What one user can take from others: no node of its own; regions, addresses, memory and
 * mutexes up to a limit; and almost no kernel memory that is not charged to the user's own
 * cgroup.
 */
#include <endian.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/capability.h>
#include <linux/dsm_netlink.h>
#include <linux/dsm_wire.h>

#include "genl.h"
#include "test.h"

#define USERNS_NODES	"/sys/module/dsm/parameters/userns_nodes"
#define FRAMES_BYTES	"/sys/module/dsm/parameters/frames_bytes"

enum {
	PAGE		= 4096,
	TEST_REGIONS	= 6,		/* limits that the tests set */
	FRAMES_MAX	= 16 << 20,
	TEST_MUTEXES	= 20,
	OTHER_USER	= 4711,		/* no user has this uid */
	FORGED_PEERS	= 3,
	FORGED_ID	= 100,		/* of a forged region */
};

/* One node does what has to be done once. */
static bool chosen(void)
{
	return node() == nodes() - 1;
}

/* Like write(2), but fails unless everything is written. */
static int write_once(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY), err;
	ssize_t n;

	ASSERT_OK(fd);
	n = write(fd, text, strlen(text));
	err = errno;
	close(fd);
	errno = err;
	return n == (ssize_t)strlen(text) ? 0 : -1;
}

static void write_file(const char *path, const char *text)
{
	if (write_once(path, text))
		test_failed(__FILE__, __LINE__, true, "%s: %s", path, strerror(errno));
}

static long long read_number(const char *path)
{
	char text[64] = "";
	int fd = open(path, O_RDONLY);

	ASSERT_OK(fd);
	ASSERT_GT(read(fd, text, sizeof(text) - 1), 0);
	close(fd);
	return strtoll(text, NULL, 10);
}

static void become_own_user(void)
{
	become_user(0);
	/* The process owns its files in /proc again. */
	ASSERT_OK(prctl(PR_SET_DUMPABLE, 1));
}

/* ---- a user's own node -------------------------------------------------- */

static void enter_own_namespaces(void)
{
	char map[64];

	snprintf(map, sizeof(map), "0 %u 1", getuid());
	ASSERT_OK(unshare(CLONE_NEWUSER | CLONE_NEWNET));
	write_file("/proc/self/setgroups", "deny");
	write_file("/proc/self/uid_map", map);
}

static int say_register(int fd, int family, uint32_t id, uint32_t count)
{
	struct genl_message m;

	genl_begin(&m, family, DSM_CMD_REGISTER);
	genl_put_u32(&m, DSM_A_NODE, id);
	genl_put_u32(&m, DSM_A_NODES, count);
	return genl_say(fd, &m);
}

static int say_peer_up(int fd, int family, uint32_t id)
{
	struct genl_message m;

	genl_begin(&m, family, DSM_CMD_PEER);
	genl_put_u32(&m, DSM_A_PEER, id);
	genl_put_u32(&m, DSM_A_PEER_STATE, DSM_PEER_UP);
	genl_put_u64(&m, DSM_A_INCARNATION, id + 1);
	genl_put_u64(&m, DSM_A_SESSION, id + 1);
	return genl_say(fd, &m);
}

/* Node 0, which is the registry, announces a region. */
static int say_region_new(int fd, int family, uint64_t seq, uint32_t id, const char *name)
{
	struct {
		struct dsm_wire_hdr hdr;
		struct dsm_wire_region region;
	} frame = {
		.hdr = {
			.magic = htole32(DSM_WIRE_MAGIC),
			.len = htole32(sizeof(frame.region)),
			.type = DSM_REGION_NEW,
			.view = htole32(1),
			.seq = htole64(seq),
			.region = htole32(id),
		},
		.region = {
			.size = htole64(PAGE),
			.base = htole64(DSM_ADDR_MIN),
			.block_size = htole32(PAGE),
			.home = htole32(DSM_HOME_CREATOR),
			.mode = htole32(0600),
		},
	};
	struct genl_message m;

	snprintf((char *)frame.region.name, sizeof(frame.region.name), "%s", name);
	genl_begin(&m, family, DSM_CMD_RECEIVE);
	genl_put_u32(&m, DSM_A_PEER, 0);
	genl_put(&m, DSM_A_FRAME, &frame, sizeof(frame));
	return genl_say(fd, &m);
}

/* /dev/dsm in a network namespace without a node. */
static void expect_no_node(void)
{
	static const unsigned int commands[] = {
		DSM_IOC_NODE, DSM_IOC_CREATE, DSM_IOC_OPEN, DSM_IOC_LIST, DSM_IOC_UNLINK,
		DSM_IOC_PREFETCH, DSM_IOC_SYNC, DSM_IOC_WINDOW, DSM_IOC_DISCARD, DSM_IOC_ATTACH,
		DSM_IOC_SPIN,
	};
	char arg[256] = "";
	int fd = open_device();

	for (size_t i = 0; i < sizeof(commands) / sizeof(*commands); i++)
		EXPECT_ERRNO(ioctl(fd, commands[i], arg), ENOTCONN);
	EXPECT_ERRNO((intptr_t)mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 0), EINVAL);
	close(fd);
}

static void be_refused(void)
{
	int fd, family;

	become_own_user();
	enter_own_namespaces();
	fd = genl_open();
	family = genl_family(fd);
	EXPECT_EQ(say_register(fd, family, 0, 1), EPERM);
	EXPECT_TRUE(strstr(genl_sentence(), "dsm.userns_nodes"));
	EXPECT_EQ(say_register(fd, family, 1, DSM_NODES_MAX), EPERM);
	EXPECT_EQ(say_peer_up(fd, family, 0), EPERM);
	EXPECT_EQ(say_region_new(fd, family, 1, FORGED_ID, "forged"), EPERM);
	close(fd);
	expect_no_node();
}

/* A user cannot make a node in its own user and network namespaces. */
TEST(node_in_a_users_namespace_is_refused)
{
	if (chosen()) {
		EXPECT_EQ(in_child(be_refused), 0);
		/* Root can, as the cluster has shown. */
		EXPECT_EQ(node_get("up"), nodes());
	}
	together("tried");
}

static void be_allowed(void)
{
	struct dsm_node_info info;
	int fd, family, device;

	become_own_user();
	enter_own_namespaces();
	fd = genl_open();
	family = genl_family(fd);
	ASSERT_EQ(say_register(fd, family, 1, FORGED_PEERS), 0);
	device = open_device();
	EXPECT_OK(ioctl(device, DSM_IOC_NODE, &info));
	EXPECT_EQ(info.id, 1);
	EXPECT_EQ(info.count, FORGED_PEERS);
	ASSERT_EQ(say_peer_up(fd, family, 0), 0);
	EXPECT_EQ(say_region_new(fd, family, 1, FORGED_ID, "forged"), 0);
	/*
	 * Again, with other numbers: the kernel's log, which the cluster reads, has no stack
	 * trace.
	 */
	for (int i = 1; i <= 100; i++)
		EXPECT_NE(say_region_new(fd, family, 2, FORGED_ID + i, "forged"), 0);
	EXPECT_NE(say_region_new(fd, family, 2, FORGED_ID, "other"), 0);
	EXPECT_NE(say_region_new(fd, family, 2, FORGED_ID + 1, ""), 0);
	EXPECT_EQ(say_region_new(fd, family, 2, FORGED_ID + 1, "other"), 0);
	close(device);
	close(fd);
}

/* ... unless the administrator allows it. */
TEST(node_in_a_users_namespace_is_allowed)
{
	if (chosen()) {
		write_file(USERNS_NODES, "1");
		EXPECT_EQ(in_child(be_allowed), 0);
		write_file(USERNS_NODES, "0");
		EXPECT_EQ(in_child(be_refused), 0);
	}
	together("tried");
}

/* ---- regions, addresses ------------------------------------------------------- */

/* Sets a limit on node @where for the duration of a test. */
static long long limit_set(int where, const char *limit, long long value)
{
	long long before = node_get(limit);

	if (node() == where)
		ASSERT_EQ(node_set(limit, value), 0);
	return before;
}

static void limit_restore(int where, const char *limit, long long before)
{
	if (node() == where)
		ASSERT_EQ(node_set(limit, before), 0);
}

/* Returns 0 or an error number. Does not keep the region open. */
static int create(const char *name, uint64_t size)
{
	struct dsm_region_arg arg = { .size = size, .mode = 0600 };
	int fd = open_device(), err;

	snprintf(arg.name, sizeof(arg.name), "%s", name);
	err = ioctl(fd, DSM_IOC_CREATE, &arg) ? errno : 0;
	close(fd);
	return err;
}

static int unlink_name(const char *name)
{
	struct dsm_name_arg arg = { .reserved = 0 };
	int fd = open_device(), err;

	snprintf(arg.name, sizeof(arg.name), "%s", name);
	err = ioctl(fd, DSM_IOC_UNLINK, &arg) ? errno : 0;
	close(fd);
	return err;
}

/* An unlinked region counts until it is freed, which needs the other nodes. */
static bool can_create(const char *name, uint64_t size)
{
	int err = create(name, size);

	EXPECT_TRUE(!err || err == EDQUOT);
	return !err;
}

/* The default limits. */
TEST(defaults)
{
	EXPECT_EQ(node_get("user_regions_max"), 32);
	EXPECT_EQ(node_get("user_address_bytes_max"), 1LL << 40);
	EXPECT_EQ(node_get("user_frames_bytes_max"), read_number(FRAMES_BYTES) / 2);
	EXPECT_EQ(node_get("user_mutexes_max"), 2048);
	EXPECT_EQ(node_get("user_mappings_max"), 8192);
}

static void use_up_regions(void)
{
	char name[32];

	become_own_user();
	for (int i = 0; i < TEST_REGIONS; i++) {
		snprintf(name, sizeof(name), "mine-%d", i);
		EXPECT_EQ(create(name, PAGE), 0);
	}
	EXPECT_EQ(create("one-more", PAGE), EDQUOT);
	errno = 0;
	EXPECT_TRUE(!dsm_open("one-more", O_RDWR | O_CREAT, PAGE, NULL));
	EXPECT_EQ(errno, EDQUOT);
	EXPECT_TRUE(strstr(dsm_error_detail(), "user_regions_max"));
	EXPECT_EQ(unlink_name("mine-0"), 0);
	EXPECT_TRUE(WAIT_FOR(can_create("mine-0", PAGE), 20));
	EXPECT_EQ(create("one-more", PAGE), EDQUOT);
}

static void unlink_mine(void)
{
	char name[32];

	become_own_user();
	for (int i = 0; i < TEST_REGIONS; i++) {
		snprintf(name, sizeof(name), "mine-%d", i);
		EXPECT_EQ(unlink_name(name), 0);
	}
}

/* A user whose only right is CAP_SYS_RESOURCE. */
static void exceed_regions(void)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2] = {
		{ .effective = 1U << CAP_SYS_RESOURCE, .permitted = 1U << CAP_SYS_RESOURCE },
	};

	ASSERT_OK(prctl(PR_SET_KEEPCAPS, 1));
	become_own_user();
	ASSERT_OK(syscall(SYS_capset, &header, data));
	EXPECT_EQ(create("exceeding", PAGE), 0);
	EXPECT_EQ(unlink_name("exceeding"), 0);
}

/* The registry counts, so the node on which a user asks does not matter. */
TEST(regions_of_a_user)
{
	long long before = limit_set(0, "user_regions_max", TEST_REGIONS);

	together("limited");
	if (chosen())
		EXPECT_EQ(in_child(use_up_regions), 0);
	together("used-up");
	if (!node()) {
		/* Not the super-user's regions. */
		EXPECT_EQ(create("roots", PAGE), 0);
		EXPECT_EQ(unlink_name("roots"), 0);
		EXPECT_EQ(in_child(exceed_regions), 0);
		EXPECT_EQ(in_child(unlink_mine), 0);
	}
	together("unlinked");
	limit_restore(0, "user_regions_max", before);
}

static void use_up_addresses(void)
{
	const uint64_t max = DSM_REGION_SIZE_MAX / 4;

	become_own_user();
	EXPECT_EQ(create("large", DSM_REGION_SIZE_MAX), EDQUOT);
	EXPECT_EQ(create("large", max + PAGE), EDQUOT);
	EXPECT_EQ(create("large", max - (2 << 20)), 0);
	/* Addresses are allocated in units of 2 MiB. */
	EXPECT_EQ(create("small", (2 << 20) + PAGE), EDQUOT);
	EXPECT_EQ(create("small", PAGE), 0);
	EXPECT_EQ(create("smaller", PAGE), EDQUOT);
	EXPECT_EQ(unlink_name("small"), 0);
	EXPECT_EQ(unlink_name("large"), 0);
	EXPECT_TRUE(WAIT_FOR(can_create("large", max), 20));
	EXPECT_EQ(unlink_name("large"), 0);
}

/* A user's regions, none of them open, leave most addresses to the others. */
TEST(addresses_of_a_user)
{
	long long before = limit_set(0, "user_address_bytes_max", DSM_REGION_SIZE_MAX / 4);

	together("limited");
	if (chosen()) {
		EXPECT_EQ(in_child(use_up_addresses), 0);
		EXPECT_EQ(create("roots", DSM_REGION_SIZE_MAX), 0);
		EXPECT_EQ(unlink_name("roots"), 0);
	}
	together("used-up");
	limit_restore(0, "user_address_bytes_max", before);
}

static void unlink_others(void)
{
	become_own_user();
	EXPECT_EQ(unlink_name("roots"), EACCES);
	EXPECT_EQ(unlink_name("users"), 0);
}

static void create_users(void)
{
	become_own_user();
	EXPECT_EQ(create("users", PAGE), 0);
	EXPECT_EQ(create("users-2", PAGE), 0);
}

/* A region's owner and an administrator may unlink it, on every node. */
TEST(who_may_unlink)
{
	if (!node()) {
		EXPECT_EQ(create("roots", PAGE), 0);
		EXPECT_EQ(in_child(create_users), 0);
	}
	together("made");
	if (chosen()) {
		EXPECT_EQ(in_child(unlink_others), 0);
		EXPECT_EQ(unlink_name("users-2"), 0);
		EXPECT_EQ(unlink_name("roots"), 0);
		EXPECT_EQ(unlink_name("roots"), ENOENT);
	}
	together("unlinked");
}

/* ---- frames --------------------------------------------------------------------- */

/* The number of mapped bytes, from the start, that can be written. The rest gets SIGBUS. */
static size_t writable_bytes(char *base, size_t size)
{
	for (size_t i = 0; i < size; i += PAGE) {
		int sig = access_signal(base + i, true);

		if (sig) {
			EXPECT_EQ(sig, SIGBUS);
			return i;
		}
		base[i] = 1;
	}
	return size;
}

static char *map_new(const char *name, size_t size, mode_t mode)
{
	struct dsm_region_arg arg = { .size = size, .mode = mode };
	int fd = open_device();
	char *base;

	snprintf(arg.name, sizeof(arg.name), "%s", name);
	ASSERT_OK(ioctl(fd, DSM_IOC_CREATE, &arg));
	base = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	ASSERT_NE(base, MAP_FAILED);
	close(fd);
	return base;
}

static void use_up_frames(void)
{
	char *base;
	size_t got;
	int pipes[2];

	become_own_user();
	base = map_new("users", 4 * FRAMES_MAX, 0666);
	got = writable_bytes(base, 4 * FRAMES_MAX);
	/* Threads that ask at the same time may exceed the limit by this part. */
	note("%zu KiB of %u could be written", got >> 10, FRAMES_MAX >> 10);
	EXPECT_GE(got, FRAMES_MAX / 2);
	EXPECT_LE(got, FRAMES_MAX + (1 << 20));
	/* Memory that is present can still be used. */
	EXPECT_EQ(access_signal(base, true), 0);
	EXPECT_EQ(access_signal(base + got - PAGE, true), 0);
	/* Through a system call. */
	ASSERT_OK(pipe(pipes));
	ASSERT_EQ(write(pipes[1], "x", 1), 1);
	EXPECT_ERRNO(read(pipes[0], base + got, 1), EFAULT);
	/* A region of another owner, which the user may write. */
	EXPECT_EQ(access_signal(map_new("users-2", PAGE, 0600), true), SIGBUS);
	/* Memory that was given back can be had again. */
	ASSERT_OK(madvise(base, got / 2, MADV_REMOVE));
	EXPECT_EQ(writable_bytes(base + got, got / 4), got / 4);
	EXPECT_EQ(unlink_name("users-2"), 0);
	EXPECT_EQ(unlink_name("users"), 0);
}

TEST(frames_of_a_user)
{
	long long before = limit_set(nodes() - 1, "user_frames_bytes_max", FRAMES_MAX);

	together("limited");
	if (chosen()) {
		char *base;

		EXPECT_EQ(in_child(use_up_frames), 0);
		/* The super-user's regions have no such limit. */
		base = map_new("roots", 2 * FRAMES_MAX, 0600);
		EXPECT_EQ(writable_bytes(base, 2 * FRAMES_MAX), 2 * FRAMES_MAX);
		EXPECT_EQ(unlink_name("roots"), 0);
	}
	together("used-up");
	limit_restore(nodes() - 1, "user_frames_bytes_max", before);
}

/* All regions together may use half of the memory, or what the administrator allows. */
TEST(frames_of_all)
{
	if (chosen()) {
		long long all = read_number(FRAMES_BYTES), memory;
		char text[32];
		char *base;
		size_t got;

		memory = (long long)sysconf(_SC_PHYS_PAGES) * PAGE;
		EXPECT_GE(all, memory / 2 - memory / 16);
		EXPECT_LE(all, memory / 2 + memory / 16);
		snprintf(text, sizeof(text), "%d", FRAMES_MAX);
		write_file(FRAMES_BYTES, text);
		EXPECT_EQ(read_number(FRAMES_BYTES), FRAMES_MAX);
		base = map_new("roots", 4 * FRAMES_MAX, 0600);
		got = writable_bytes(base, 4 * FRAMES_MAX);
		note("%zu KiB of %u could be written", got >> 10, FRAMES_MAX >> 10);
		EXPECT_GE(got, FRAMES_MAX / 2);
		EXPECT_LE(got, FRAMES_MAX);
		EXPECT_EQ(access_signal(base, true), 0);
		/* More at a time, where that is allowed. A limit beyond the memory is refused. */
		write_file(FRAMES_BYTES, "0");
		EXPECT_EQ(read_number(FRAMES_BYTES), all);
		EXPECT_EQ(writable_bytes(base, 4 * FRAMES_MAX), 4 * FRAMES_MAX);
		EXPECT_ERRNO(write_once(FRAMES_BYTES, "1"), EINVAL);
		EXPECT_ERRNO(write_once(FRAMES_BYTES, "much"), EINVAL);
		EXPECT_ERRNO(write_once(FRAMES_BYTES, "\n"), EINVAL);
		EXPECT_EQ(unlink_name("roots"), 0);
	}
	together("used-up");
}

/* Another user, who may write to the region, uses up memory that counts for the owner. */
static void use_up_anothers_frames(void)
{
	struct dsm_region_arg arg = {};
	char *base;
	int fd;

	ASSERT_OK(setresuid(OTHER_USER, OTHER_USER, OTHER_USER));
	fd = open_device();
	snprintf(arg.name, sizeof(arg.name), "users");
	ASSERT_OK(ioctl(fd, DSM_IOC_OPEN, &arg));
	base = mmap(NULL, 2 * FRAMES_MAX, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	ASSERT_NE(base, MAP_FAILED);
	EXPECT_LE(writable_bytes(base, 2 * FRAMES_MAX), FRAMES_MAX + (1 << 20));
	base = map_new("others", PAGE, 0600);
	EXPECT_EQ(access_signal(base, true), 0);
	EXPECT_EQ(unlink_name("others"), 0);
}

static void share_frames(void)
{
	become_own_user();
	map_new("users", 2 * FRAMES_MAX, 0666);
}

TEST(frames_are_the_owners)
{
	long long before = limit_set(nodes() - 1, "user_frames_bytes_max", FRAMES_MAX);

	together("limited");
	if (chosen()) {
		EXPECT_EQ(in_child(share_frames), 0);
		EXPECT_EQ(in_child(use_up_anothers_frames), 0);
		EXPECT_EQ(unlink_name("users"), 0);
	}
	together("used-up");
	limit_restore(nodes() - 1, "user_frames_bytes_max", before);
}

/* ---- mutexes ------------------------------------------------------------------- */

static int sync_op(int fd, uint32_t op, uint64_t offset)
{
	struct dsm_sync_arg arg = { .op = op, .offset = offset };

	return ioctl(fd, DSM_IOC_SYNC, &arg) ? errno : 0;
}

static void use_up_mutexes(void)
{
	struct dsm_attach_arg attach = { .process = 0 };
	uint64_t i, offset = 0;
	int fd;

	become_own_user();
	fd = open_bound(0);
	for (i = 0; i < TEST_MUTEXES; i++, offset += 8)
		EXPECT_EQ(sync_op(fd, DSM_SYNC_LOCK, offset), 0);
	EXPECT_EQ(sync_op(fd, DSM_SYNC_LOCK, offset), EDQUOT);
	EXPECT_EQ(sync_op(fd, DSM_SYNC_TRYLOCK, offset), EDQUOT);
	EXPECT_EQ(sync_op(fd, DSM_SYNC_UNLOCK, 0), 0);
	EXPECT_EQ(sync_op(fd, DSM_SYNC_LOCK, offset), 0);
	for (i = 1; i <= TEST_MUTEXES; i++)
		EXPECT_EQ(sync_op(fd, DSM_SYNC_UNLOCK, 8 * i), 0);
	/* Mutexes that the node keeps for reuse count for nobody. */
	ASSERT_OK(ioctl(fd, DSM_IOC_ATTACH, &attach));
	for (i = 0, offset = 0; i < 3 * TEST_MUTEXES; i++, offset += 8) {
		EXPECT_EQ(sync_op(fd, DSM_SYNC_LOCK, offset), 0);
		EXPECT_EQ(sync_op(fd, DSM_SYNC_UNLOCK, offset), 0);
	}
	/* The mutexes of a process that ends are no longer counted. */
	for (i = 0; i < TEST_MUTEXES; i++)
		EXPECT_EQ(sync_op(fd, DSM_SYNC_LOCK, 8 * i), 0);
	EXPECT_EQ(sync_op(fd, DSM_SYNC_LOCK, 8 * TEST_MUTEXES), EDQUOT);
}

/* Another process of the user gets the mutexes that the first has left. */
static void lock_again(void)
{
	struct dsm_sync_arg arg = { .op = DSM_SYNC_LOCK };
	int fd;

	become_own_user();
	fd = open_bound(0);
	for (int i = 0; i < TEST_MUTEXES; i++, arg.offset += 8) {
		ASSERT_OK(ioctl(fd, DSM_IOC_SYNC, &arg));
		EXPECT_EQ(arg.result, DSM_SYNC_OWNERDEAD);
	}
}

/* In regions with homes here and elsewhere: the node on which the user asks counts. */
TEST(mutexes_of_a_user)
{
	long long before = limit_set(nodes() - 1, "user_mutexes_max", TEST_MUTEXES);
	struct dsm_attr attr = { .home = DSM_HOME_CREATOR, .mode = 0666 };
	dsm_region *region = NULL;

	for (int creator = 0; creator < nodes(); creator += nodes() - 1) {
		if (node() == creator) {
			region = dsm_open(region_name(), O_RDWR | O_CREAT | O_EXCL, 1 << 20, &attr);
			ASSERT_TRUE(region);
		}
		together("made-%d", creator);
		if (chosen()) {
			int fd;

			EXPECT_EQ(in_child(use_up_mutexes), 0);
			EXPECT_EQ(in_child(lock_again), 0);
			/* The super-user may have more. */
			fd = open_bound(0);
			for (int i = 1; i <= 2 * TEST_MUTEXES; i++)
				EXPECT_EQ(sync_op(fd, DSM_SYNC_LOCK, 8 * (TEST_MUTEXES + i)), 0);
			close(fd);
		}
		together("used-up-%d", creator);
		if (node() == creator) {
			EXPECT_OK(dsm_unlink(region_name()));
			EXPECT_OK(dsm_close(region));
		}
		together("unlinked-%d", creator);
	}
	limit_restore(nodes() - 1, "user_mutexes_max", before);
}

/* ---- unused regions ----------------------------------------------------- */

static long long shmem_bytes(void)
{
	long long kib = -1;
	char line[128];
	FILE *file = fopen("/proc/meminfo", "r");

	ASSERT_TRUE(file);
	while (kib < 0 && fgets(line, sizeof(line), file))
		sscanf(line, "Shmem: %lld kB", &kib);
	fclose(file);
	ASSERT_GE(kib, 0);
	return kib << 10;
}

static void fill(char *base, size_t size, int value)
{
	for (size_t i = 0; i < size; i += PAGE)
		base[i] = value;
}

/*
 * The last node is down and has closed the region, so an unlinked region is freed. A region
 * that the node still uses is not freed, and is intact when the node is back.
 */
TEST(unlinked_while_a_node_is_down)
{
	struct dsm_attr attr = { .home = DSM_HOME_FIRST_TOUCH, .mode = 0600 };
	const char *names[] = { "closed", "used" };
	dsm_region *regions[2];
	long long before = shmem_bytes();
	int down = nodes() - 1;

	if (nodes() < 3)
		skip("needs three nodes");
	for (int i = 0; i < 2; i++) {
		if (!node()) {
			regions[i] = dsm_open(names[i], O_RDWR | O_CREAT | O_EXCL, FRAMES_MAX, &attr);
			ASSERT_TRUE(regions[i]);
		}
		together("made-%d", i);
		if (node()) {
			regions[i] = dsm_open(names[i], O_RDWR, 0, NULL);
			ASSERT_TRUE(regions[i]);
		}
		if (node() == 1)
			fill(dsm_base(regions[i]), FRAMES_MAX, 1 + i);
		together("filled-%d", i);
	}
	EXPECT_EQ(*((char *)dsm_base(regions[1]) + PAGE), 2);
	EXPECT_OK(dsm_close(regions[0]));
	together("closed");
	ASSERT_TRUE(WAIT_FOR(!node_get("outstanding"), 20));
	together("settled");
	if (node() == down)
		ASSERT_EQ(run("dsm-node-link", "down", NULL), 0);
	ASSERT_TRUE(WAIT_FOR(node_get("up") == (node() == down ? 1 : nodes() - 1), 30));
	together("down");
	if (node() == 1) {
		EXPECT_GE(shmem_bytes() - before, 2 * FRAMES_MAX);
		EXPECT_OK(dsm_unlink(names[0]));
		EXPECT_OK(dsm_unlink(names[1]));
	}
	together("unlinked");
	if (node() != down)
		EXPECT_OK(dsm_close(regions[1]));
	if (node() == 1)
		EXPECT_TRUE(WAIT_FOR(shmem_bytes() - before < FRAMES_MAX + FRAMES_MAX / 2, 20));
	together("freed");
	/* Any number of times: messages that the node need not hear are not kept for it. */
	if (!node()) {
		char file[64];

		snprintf(file, sizeof(file), "peers/%d/outstanding", down);
		for (int i = 0; i < 100; i++) {
			EXPECT_EQ(create("unheard", PAGE), 0);
			EXPECT_EQ(unlink_name("unheard"), 0);
		}
		EXPECT_TRUE(WAIT_FOR(node_get(file) < 20, 20));
		note("%lld messages for the node that is down", node_get(file));
	}
	together("many");
	if (node() == down)
		ASSERT_EQ(run("dsm-node-link", "up", NULL), 0);
	ASSERT_TRUE(WAIT_FOR(node_get("up") == nodes(), 30));
	together("up");
	if (node() == down) {
		char *base = dsm_base(regions[1]);
		size_t wrong = 0;

		for (size_t i = 0; i < FRAMES_MAX; i += PAGE)
			wrong += base[i] != 2;
		EXPECT_EQ(wrong, 0);
		EXPECT_OK(dsm_close(regions[1]));
	}
	together("read");
	if (node() == 1)
		EXPECT_TRUE(WAIT_FOR(shmem_bytes() - before < FRAMES_MAX / 2, 20));
	together("over");
}
