// SPDX-License-Identifier: GPL-2.0
/* Invalid uses of /dev/dsm and sysfs: each gets the right error and has no effect. */
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysinfo.h>
#include <sys/wait.h>
#include <unistd.h>

#include "genl.h"
#include "test.h"

#define COUNT(array) (sizeof(array) / sizeof(*(array)))

static const unsigned int commands[] = {
	DSM_IOC_API, DSM_IOC_NODE, DSM_IOC_CREATE, DSM_IOC_OPEN, DSM_IOC_LIST, DSM_IOC_UNLINK,
	DSM_IOC_PREFETCH, DSM_IOC_SYNC, DSM_IOC_WINDOW, DSM_IOC_DISCARD, DSM_IOC_ATTACH,
	DSM_IOC_SPIN,
};

/* An ioctl() whose failure names the case of a table. */
static void expect_error(int line, size_t i, int fd, unsigned int cmd, void *arg, int error)
{
	int ret, is;

	errno = 0;
	ret = ioctl(fd, cmd, arg);
	is = errno;
	if (error ? ret != -1 || is != error : ret)
		test_failed(__FILE__, line, false, "case %zu: %s, not %s", i,
			    ret < 0 ? strerror(is) : "success", strerror(error));
}

TEST(before_the_handshake)
{
	union {
		char bytes[256];
		struct dsm_name_arg name;
	} arg = { .name.name = "x" };
	int fd = open("/dev/dsm", O_RDWR);

	ASSERT_OK(fd);
	for (size_t i = 1; i < COUNT(commands); i++) {
		expect_error(__LINE__, i, fd, commands[i], &arg, EINVAL);
		expect_error(__LINE__, i, fd, commands[i], NULL, EINVAL);
	}
	EXPECT_ERRNO(mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0), EINVAL);
	close(fd);
}

TEST(handshake)
{
	static const struct {
		struct dsm_api api;
		int error;
	} cases[] = {
		{ { .version = 0 }, EPROTONOSUPPORT },
		{ { .version = DSM_API_VERSION + 1 }, EPROTONOSUPPORT },
		{ { .version = UINT32_MAX }, EPROTONOSUPPORT },
		{ { .version = DSM_API_VERSION, .reserved = 1 }, EINVAL },
		{ { .version = DSM_API_VERSION, .features = 1 }, EINVAL },
		{ { .version = DSM_API_VERSION }, 0 },
		{ { .version = DSM_API_VERSION }, 0 },
	};
	int fd = open("/dev/dsm", O_RDWR);
	struct dsm_node_info info;

	ASSERT_OK(fd);
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct dsm_api api = cases[i].api;

		if (cases[i].error)
			EXPECT_ERRNO(ioctl(fd, DSM_IOC_NODE, &info), EINVAL);
		expect_error(__LINE__, i, fd, DSM_IOC_API, &api, cases[i].error);
		if (cases[i].error != EINVAL)
			EXPECT_EQ(api.version, DSM_API_VERSION);
	}
	EXPECT_OK(ioctl(fd, DSM_IOC_NODE, &info));
	EXPECT_EQ(info.id, node());
	EXPECT_EQ(info.count, nodes());
	EXPECT_EQ(info.up, nodes());
	EXPECT_EQ(info.page_size, sysconf(_SC_PAGESIZE));
	close(fd);
}

TEST(unknown_commands)
{
	int fd = open_device();
	char arg[4096] = "";
	uint64_t state = seed();

	for (unsigned int nr = 0; nr < 256; nr++) {
		bool known = nr >= _IOC_NR(DSM_IOC_API) && nr <= _IOC_NR(DSM_IOC_WINDOW);

		EXPECT_ERRNO(ioctl(fd, _IOWR(DSM_IOC_TYPE, nr, char[12]), arg), ENOTTY);
		EXPECT_ERRNO(ioctl(fd, _IO(DSM_IOC_TYPE, nr), arg), ENOTTY);
		if (!known)
			EXPECT_ERRNO(ioctl(fd, _IOWR(DSM_IOC_TYPE, nr, struct dsm_api), arg),
				     ENOTTY);
		EXPECT_ERRNO(ioctl(fd, _IOWR(DSM_IOC_TYPE + 1, nr, struct dsm_api), arg), ENOTTY);
	}
	for (int i = 0; i < 10000; i++) {
		unsigned int cmd = random_next(&state);

		if (_IOC_TYPE(cmd) != DSM_IOC_TYPE && _IOC_TYPE(cmd) != 'T' && _IOC_TYPE(cmd))
			EXPECT_ERRNO(ioctl(fd, cmd, arg), ENOTTY);
	}
	close(fd);
}

/* Pointers to unmapped memory, and arguments of which only a part is mapped. */
TEST(bad_pointers)
{
	char *page = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int fd = open_device();

	ASSERT_NE(page, MAP_FAILED);
	ASSERT_OK(munmap(page + 4096, 4096));
	for (size_t i = 0; i < COUNT(commands); i++) {
		expect_error(__LINE__, i, fd, commands[i], NULL, EFAULT);
		expect_error(__LINE__, i, fd, commands[i], (void *)-4096L, EFAULT);
		expect_error(__LINE__, i, fd, commands[i], page + 4096 - 4, EFAULT);
	}
	/* Memory that can be read and not written. */
	struct dsm_api *api = (struct dsm_api *)page;

	api->version = DSM_API_VERSION;
	ASSERT_OK(mprotect(page, 4096, PROT_READ));
	EXPECT_ERRNO(ioctl(fd, DSM_IOC_API, api), EFAULT);
	EXPECT_ERRNO(ioctl(fd, DSM_IOC_NODE, page), EFAULT);
	munmap(page, 4096);
	close(fd);
}

#define LONG_NAME "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

TEST(create)
{
	static const struct dsm_region_arg bad[] = {
		{ .name = "", .size = 4096 },
		{ .name = ".x", .size = 4096 },
		{ .name = "..", .size = 4096 },
		{ .name = "a/b", .size = 4096 },
		{ .name = "a b", .size = 4096 },
		{ .name = "a\n", .size = 4096 },
		{ .name = "\xff", .size = 4096 },
		{ .name = LONG_NAME, .size = 4096 },	/* fills the array, without a NUL */
		{ .name = "x", .size = 0 },
		{ .name = "x", .size = DSM_REGION_SIZE_MAX + 1 },
		{ .name = "x", .size = UINT64_MAX },
		{ .name = "x", .size = UINT64_MAX - 4095 },
		{ .name = "x", .size = 4096, .block_size = 1 },
		{ .name = "x", .size = 4096, .block_size = 2048 },
		{ .name = "x", .size = 4096, .block_size = 4097 },
		{ .name = "x", .size = 4096, .block_size = 12288 },
		{ .name = "x", .size = 4096, .block_size = 2 * DSM_BLOCK_SIZE_MAX },
		{ .name = "x", .size = 4096, .block_size = 1U << 31 },
		{ .name = "x", .size = 4096, .home = DSM_HOME_CREATOR + 1 },
		{ .name = "x", .size = 4096, .home = UINT32_MAX },
		{ .name = "x", .size = 4096, .mode = 01000 },
		{ .name = "x", .size = 4096, .mode = UINT32_MAX },
		{ .name = "x", .size = 4096, .flags = 1 },
		{ .name = "x", .size = 4096, .flags = 1U << 31 },
		{ .name = "x", .size = 4096, .base = DSM_ADDR_MIN },
		{ .name = "x", .size = 4096, .uid = 1 },
		{ .name = "x", .size = 4096, .gid = 1 },
		{ .name = "x", .size = 4096, .id = 1 },
		{ .name = "x", .size = 4096, .creator = 1 },
		{ .name = "x", .size = 4096, .reserved = { 1 } },
		{ .name = "x", .size = 4096, .reserved = { 0, 1 } },
	};
	struct dsm_region_arg arg = { .name = "x" };
	int fd = open_device();

	for (size_t i = 0; i < COUNT(bad); i++) {
		arg = bad[i];
		expect_error(__LINE__, i, fd, DSM_IOC_CREATE, &arg, EINVAL);
	}
	/* No case has created anything or bound the descriptor. */
	arg = (struct dsm_region_arg){ .name = "x" };
	EXPECT_ERRNO(ioctl(fd, DSM_IOC_OPEN, &arg), ENOENT);
	EXPECT_ERRNO(mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0), EINVAL);
	together("none-made");
	if (!node()) {
		arg = (struct dsm_region_arg){ .name = "x", .size = 4097, .mode = 0640 };
		ASSERT_OK(ioctl(fd, DSM_IOC_CREATE, &arg));
		EXPECT_EQ(arg.size, 8192);
		EXPECT_EQ(arg.block_size, 4096);
		EXPECT_EQ(arg.home, DSM_HOME_FIRST_TOUCH);
		EXPECT_EQ(arg.mode, 0640);
		EXPECT_EQ(arg.creator, 0);
		EXPECT_EQ(arg.base % DSM_CHUNK_SIZE, 0);
	}
	together("made");
	if (node()) {
		arg = (struct dsm_region_arg){ .name = "x", .size = 4096 };
		EXPECT_ERRNO(ioctl(fd, DSM_IOC_CREATE, &arg), EEXIST);
		arg = (struct dsm_region_arg){ .name = "x" };
		EXPECT_OK(ioctl(fd, DSM_IOC_OPEN, &arg));
		EXPECT_EQ(arg.size, 8192);
		EXPECT_EQ(arg.creator, 0);
	}
	close(fd);
	together("seen");
	if (!node())
		EXPECT_OK(dsm_unlink("x"));
}

/* More than the address space has room for. */
TEST(address_range_is_finite)
{
	const unsigned int fit = (DSM_ADDR_MAX - DSM_ADDR_MIN) / DSM_REGION_SIZE_MAX;
	unsigned int made = 0;
	int error = 0;

	if (node())
		return;
	while (!error && made <= fit) {
		struct dsm_region_arg arg = { .size = DSM_REGION_SIZE_MAX };
		int fd = open_device();

		snprintf(arg.name, sizeof(arg.name), "huge-%u", made);
		if (ioctl(fd, DSM_IOC_CREATE, &arg))
			error = errno;
		else
			made++;
		close(fd);
	}
	EXPECT_EQ(error, ENOSPC);
	EXPECT_GT(made, 0);
	EXPECT_LE(made, fit);
	while (made--) {
		char name[32];

		snprintf(name, sizeof(name), "huge-%u", made);
		EXPECT_OK(dsm_unlink(name));
	}
}

TEST(open_and_bind)
{
	dsm_region *region = share_region(65536, DSM_HOME_DEFAULT, 0);
	static const struct dsm_region_arg bad[] = {
		{ .name = "" },
		{ .name = LONG_NAME },
		{ .flags = 2 },
		{ .flags = 1U << 31 },
		{ .size = 65536 },
		{ .base = 1 },
		{ .block_size = 4096 },
		{ .home = 1 },
		{ .mode = 0600 },
		{ .uid = 1 },
		{ .gid = 1 },
		{ .id = 1 },
		{ .creator = 1 },
		{ .reserved = { 1 } },
		{ .reserved = { 0, 1 } },
	};
	struct dsm_window_arg window = { .id = 1 };
	struct dsm_region_arg arg;
	int fd = open_device();

	for (size_t i = 0; i < COUNT(bad); i++) {
		arg = bad[i];
		if (i > 1)
			strcpy(arg.name, region_name());
		expect_error(__LINE__, i, fd, DSM_IOC_OPEN, &arg, EINVAL);
	}
	arg = (struct dsm_region_arg){ .name = "no-such-region" };
	EXPECT_ERRNO(ioctl(fd, DSM_IOC_OPEN, &arg), ENOENT);
	arg = (struct dsm_region_arg){};
	strcpy(arg.name, region_name());
	ASSERT_OK(ioctl(fd, DSM_IOC_OPEN, &arg));
	window.id = arg.id;

	/* A descriptor is bound once and for ever. */
	arg = (struct dsm_region_arg){};
	strcpy(arg.name, region_name());
	EXPECT_ERRNO(ioctl(fd, DSM_IOC_OPEN, &arg), EBUSY);
	arg = (struct dsm_region_arg){ .name = "another", .size = 4096 };
	EXPECT_ERRNO(ioctl(fd, DSM_IOC_CREATE, &arg), EBUSY);
	EXPECT_ERRNO(ioctl(fd, DSM_IOC_WINDOW, &window), EPERM);
	arg = (struct dsm_region_arg){ .name = "another" };
	close(fd);
	fd = open_device();
	EXPECT_ERRNO(ioctl(fd, DSM_IOC_OPEN, &arg), ENOENT);
	close(fd);
	unshare_region(region);
}

TEST(mmap_of_a_bound_descriptor)
{
	dsm_region *region = share_region(65536, DSM_HOME_DEFAULT, 0);
	int fd = open_bound(0);
	char *at;

	EXPECT_ERRNO(mmap(NULL, 65537, PROT_READ, MAP_SHARED, fd, 0), EINVAL);
	EXPECT_ERRNO(mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 65536), EINVAL);
	EXPECT_ERRNO(mmap(NULL, 8192, PROT_READ, MAP_SHARED, fd, 61440), EINVAL);
	EXPECT_ERRNO(mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 1), EINVAL);
	EXPECT_ERRNO(mmap(NULL, 0, PROT_READ, MAP_SHARED, fd, 0), EINVAL);
	at = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 61440);
	ASSERT_NE(at, MAP_FAILED);
	*word((char *)dsm_base(region) + 61440, node()) = 5;
	EXPECT_EQ(*word(at, node()), 5);
	munmap(at, 4096);
	close(fd);
	unshare_region(region);
}

TEST(list)
{
	dsm_region *region = share_region(65536, DSM_HOME_CREATOR, 8192);
	struct dsm_region_arg arg = {};
	int fd = open_device(), found = 0;
	uint32_t last = 0;

	for (; !ioctl(fd, DSM_IOC_LIST, &arg); arg = (struct dsm_region_arg){ .id = last }) {
		ASSERT_GT(arg.id, last);
		last = arg.id;
		if (strcmp(arg.name, region_name()))
			continue;
		found++;
		EXPECT_EQ(arg.size, 65536);
		EXPECT_EQ(arg.block_size, 8192);
		EXPECT_EQ(arg.home, DSM_HOME_CREATOR);
		EXPECT_EQ((void *)(uintptr_t)arg.base, dsm_base(region));
	}
	EXPECT_EQ(errno, ENOENT);
	EXPECT_EQ(found, 1);
	arg = (struct dsm_region_arg){ .id = UINT32_MAX };
	EXPECT_ERRNO(ioctl(fd, DSM_IOC_LIST, &arg), ENOENT);
	arg = (struct dsm_region_arg){ .flags = 1 };
	EXPECT_ERRNO(ioctl(fd, DSM_IOC_LIST, &arg), EINVAL);
	arg = (struct dsm_region_arg){ .reserved = { 0, 1 } };
	EXPECT_ERRNO(ioctl(fd, DSM_IOC_LIST, &arg), EINVAL);
	close(fd);
	unshare_region(region);
}

TEST(unlink_arguments)
{
	static const struct dsm_name_arg bad[] = {
		{ .name = "" }, { .name = "." }, { .name = "a/b" }, { .name = LONG_NAME },
		{ .name = "x", .reserved = 1 },
	};
	struct dsm_name_arg none = { .name = "no-such-region" };
	int fd = open_device();

	for (size_t i = 0; i < COUNT(bad); i++) {
		struct dsm_name_arg arg = bad[i];

		expect_error(__LINE__, i, fd, DSM_IOC_UNLINK, &arg, EINVAL);
	}
	EXPECT_ERRNO(ioctl(fd, DSM_IOC_UNLINK, &none), ENOENT);
	close(fd);
}

TEST(prefetch_arguments)
{
	dsm_region *region = share_region(65536, DSM_HOME_DEFAULT, 0);
	static const struct {
		struct dsm_range_arg range;
		int error;
	} cases[] = {
		{ { .offset = 65536, .length = 1 }, EINVAL },
		{ { .offset = 0, .length = 65537 }, EINVAL },
		{ { .offset = UINT64_MAX, .length = 1 }, EINVAL },
		{ { .offset = 4096, .length = UINT64_MAX }, EINVAL },
		{ { .offset = UINT64_MAX - 4095, .length = 4096 }, EINVAL },
		{ { .length = 1, .flags = 2 }, EINVAL },
		{ { .length = 1, .flags = 1U << 31 }, EINVAL },
		{ { .length = 1, .reserved = 1 }, EINVAL },
		{ { .offset = 65536, .length = 0 }, 0 },
		{ { .offset = 1, .length = 4096 }, 0 },
		{ { .length = 65536, .flags = DSM_PREFETCH_WRITE }, 0 },
	};
	struct dsm_range_arg write = { .length = 1, .flags = DSM_PREFETCH_WRITE };
	int fd = open_bound(0), rdonly = open_bound(DSM_OPEN_RDONLY), unbound = open_device();

	for (size_t i = 0; i < COUNT(cases); i++) {
		struct dsm_range_arg range = cases[i].range;

		expect_error(__LINE__, i, fd, DSM_IOC_PREFETCH, &range, cases[i].error);
		expect_error(__LINE__, i, unbound, DSM_IOC_PREFETCH, &range, EINVAL);
	}
	EXPECT_ERRNO(ioctl(rdonly, DSM_IOC_PREFETCH, &write), EACCES);
	close(fd);
	close(rdonly);
	close(unbound);
	unshare_region(region);
}

TEST(sync_arguments)
{
	dsm_region *region = share_region(65536, DSM_HOME_DEFAULT, 0);
	static const struct {
		struct dsm_sync_arg sync;
		int error;
	} cases[] = {
		{ { .op = 0 }, EINVAL },
		{ { .op = DSM_SYNC_WAKE + 1, .value = 1 }, EINVAL },
		{ { .op = UINT32_MAX }, EINVAL },
		{ { .op = 0x80 }, EINVAL },		/* may only be sent by nodes */
		{ { .op = 0x81 }, EINVAL },
		{ { .op = DSM_SYNC_TRYLOCK, .offset = 65536 }, EINVAL },
		{ { .op = DSM_SYNC_TRYLOCK, .offset = 4 }, EINVAL },
		{ { .op = DSM_SYNC_TRYLOCK, .offset = UINT64_MAX - 7 }, EINVAL },
		{ { .op = DSM_SYNC_TRYLOCK, .reserved = 1 }, EINVAL },
		{ { .op = DSM_SYNC_TRYLOCK, .value = 1 }, EINVAL },
		{ { .op = DSM_SYNC_TRYLOCK, .other = 8 }, EINVAL },
		{ { .op = DSM_SYNC_TRYLOCK, .timeout_ns = 1 }, EINVAL },
		{ { .op = DSM_SYNC_UNLOCK, .offset = 64 }, EPERM },
		{ { .op = DSM_SYNC_BARRIER, .value = 0 }, EINVAL },
		{ { .op = DSM_SYNC_BARRIER, .value = 1U << 31 }, EINVAL },
		{ { .op = DSM_SYNC_BARRIER, .value = 1, .timeout_ns = 1 }, EINVAL },
		{ { .op = DSM_SYNC_WAIT, .offset = 128, .other = 128 }, EINVAL },
		{ { .op = DSM_SYNC_WAIT, .offset = 128, .other = 65536 }, EINVAL },
		{ { .op = DSM_SYNC_WAIT, .offset = 128, .other = 192 }, EPERM },
		{ { .op = DSM_SYNC_WAKE, .offset = 256, .value = 0 }, EINVAL },
		{ { .op = DSM_SYNC_WAKE, .offset = 256, .value = 1 }, 0 },
	};
	int fd = open_bound(0), rdonly = open_bound(DSM_OPEN_RDONLY), unbound = open_device();
	struct dsm_sync_arg lock = { .op = DSM_SYNC_LOCK, .offset = 1024 + 64 * node() };
	struct dsm_sync_arg barrier = { .op = DSM_SYNC_BARRIER, .value = 1,
					.offset = lock.offset };

	for (size_t i = 0; i < COUNT(cases); i++) {
		struct dsm_sync_arg sync = cases[i].sync;

		expect_error(__LINE__, i, fd, DSM_IOC_SYNC, &sync, cases[i].error);
		sync = cases[i].sync;
		expect_error(__LINE__, i, unbound, DSM_IOC_SYNC, &sync, EINVAL);
		sync = cases[i].sync;
		expect_error(__LINE__, i, rdonly, DSM_IOC_SYNC, &sync, EACCES);
	}
	/* An object has one kind while it is in use. */
	EXPECT_OK(ioctl(fd, DSM_IOC_SYNC, &lock));
	EXPECT_EQ(lock.result, 0);
	EXPECT_ERRNO(ioctl(fd, DSM_IOC_SYNC, &barrier), EINVAL);
	EXPECT_ERRNO(ioctl(fd, DSM_IOC_SYNC, &lock), EDEADLK);
	lock.op = DSM_SYNC_UNLOCK;
	EXPECT_OK(ioctl(fd, DSM_IOC_SYNC, &lock));
	EXPECT_OK(ioctl(fd, DSM_IOC_SYNC, &barrier));
	EXPECT_EQ(barrier.result, DSM_SYNC_SERIAL);
	close(fd);
	close(rdonly);
	close(unbound);
	unshare_region(region);
}

TEST(window)
{
	dsm_region *region = share_region(65536, DSM_HOME_DEFAULT, 0);
	struct dsm_window_arg arg;
	char file[100];
	uint32_t id;
	int fd = open_device(), helper;
	char *at;

	snprintf(file, sizeof(file), "regions/%s/id", region_name());
	id = node_get(file);
	arg = (struct dsm_window_arg){ .id = id, .reserved = 1 };
	EXPECT_ERRNO(ioctl(fd, DSM_IOC_WINDOW, &arg), EINVAL);
	arg = (struct dsm_window_arg){ .id = id, .size = 1 };
	EXPECT_ERRNO(ioctl(fd, DSM_IOC_WINDOW, &arg), EINVAL);
	/* A process that is not the helper may not do this; doors.c has more such cases. */
	arg = (struct dsm_window_arg){ .id = id };
	EXPECT_ERRNO(ioctl(fd, DSM_IOC_WINDOW, &arg), EPERM);
	if (!node())
		*word(dsm_base(region), 0) = 1;
	together("written");
	helper = genl_replace_helper();
	arg = (struct dsm_window_arg){ .id = id + 1000 };
	EXPECT_ERRNO(ioctl(fd, DSM_IOC_WINDOW, &arg), ENOENT);
	arg = (struct dsm_window_arg){ .id = id };
	ASSERT_OK(ioctl(fd, DSM_IOC_WINDOW, &arg));
	EXPECT_EQ(arg.size, 65536);
	at = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	ASSERT_NE(at, MAP_FAILED);
	/* It shows local memory and fetches nothing. */
	EXPECT_EQ(*word(at, 0), !node());
	struct dsm_range_arg range = { .length = 1 };
	struct dsm_sync_arg lock = { .op = DSM_SYNC_LOCK };

	EXPECT_ERRNO(ioctl(fd, DSM_IOC_PREFETCH, &range), EINVAL);
	EXPECT_ERRNO(ioctl(fd, DSM_IOC_SYNC, &lock), EINVAL);
	EXPECT_ERRNO(mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fd, 0), EINVAL);
	close(fd);
	genl_restore_helper(helper);
	unshare_region(region);
	/* It does not keep the region alive, and is harmless afterwards. */
	EXPECT_EQ(*word(at, 0), !node());
}

/* A network namespace without a helper is not a node. */
TEST(no_helper)
{
	struct dsm_region_arg region = { .name = "nowhere", .size = 4096 };
	struct dsm_node_info info;
	pid_t pid = fork();

	ASSERT_OK(pid);
	if (!pid) {
		int fd;

		ASSERT_OK(unshare(CLONE_NEWNET));
		fd = open_device();
		for (size_t i = 1; i < COUNT(commands); i++)
			expect_error(__LINE__, i, fd, commands[i], &info, ENOTCONN);
		EXPECT_ERRNO(ioctl(fd, DSM_IOC_CREATE, &region), ENOTCONN);
		EXPECT_EQ(dsm_open("nowhere", O_RDWR | O_CREAT, 4096, NULL), NULL);
		EXPECT_EQ(errno, ENOTCONN);
		_exit(0);
	}
	EXPECT_EQ(wait_status(pid), 0);
}

TEST(tunables)
{
	static const struct {
		const char *name;
		long long low, high;
	} tunables[] = {
		{ "hold_us", 0, 1000000 },
		{ "timeout_ms", 10, 3600000 },
		{ "prefetch_blocks", 0, 256 },
		{ "spin_us", 0, 10000 },
		{ "user_regions_max", 0, UINT32_MAX },
		{ "user_mutexes_max", 0, INT32_MAX },
	};
	static const char *const bad[] = { "", "\n", "x", "1x", "1 2", "-1", "0x10", "1.5",
					   "4294967296", "99999999999999999999999" };

	for (size_t i = 0; i < COUNT(tunables); i++) {
		const char *name = tunables[i].name;
		long long before = node_get(name);

		for (size_t j = 1; j < COUNT(bad); j++) {
			if (node_write(name, bad[j]) != EINVAL)
				test_failed(__FILE__, __LINE__, false, "%s takes '%s'", name,
					    bad[j]);
		}
		EXPECT_EQ(node_set(name, tunables[i].low - 1), EINVAL);
		EXPECT_EQ(node_set(name, tunables[i].high + 1), EINVAL);
		EXPECT_EQ(node_get(name), before);
		EXPECT_EQ(node_set(name, tunables[i].low), 0);
		EXPECT_EQ(node_get(name), tunables[i].low);
		EXPECT_EQ(node_set(name, tunables[i].high), 0);
		EXPECT_EQ(node_get(name), tunables[i].high);
		EXPECT_EQ(node_set(name, before), 0);
	}
	/* A read-only file refuses a write. */
	EXPECT_EQ(node_set("id", 1), EACCES);
	pid_t pid = fork();

	ASSERT_OK(pid);
	if (!pid) {
		become_user(0);
		EXPECT_EQ(node_set("hold_us", 1), EACCES);
		_exit(0);
	}
	EXPECT_EQ(wait_status(pid), 0);
}

/* Advice starts a prefetch at once. Nothing is prefetched before. */
TEST(prefetch_blocks_is_in_force)
{
	dsm_region *region = share_region(1 << 20, DSM_HOME_DEFAULT, 0);
	long long before = node_get("prefetch_blocks"), fetched;
	char *base = dsm_base(region);

	if (!node()) {
		for (int i = 0; i < 256; i++)
			*word(base + i * 4096, 0) = i;
	}
	together("written");
	if (node()) {
		ASSERT_EQ(node_set("prefetch_blocks", 0), 0);
		for (int i = 0; i < 32; i++)
			EXPECT_EQ(*word(base + i * 4096, 0), i);
		EXPECT_EQ(region_stat("prefetches"), 0);
		ASSERT_EQ(node_set("prefetch_blocks", 16), 0);
		for (int i = 32; i < 256; i++)
			EXPECT_EQ(*word(base + i * 4096, 0), i);
		fetched = region_stat("prefetches");
		EXPECT_GE(fetched, 100);
		EXPECT_LE(fetched, 224);
		ASSERT_EQ(node_set("prefetch_blocks", before), 0);
	}
	unshare_region(region);
}

/* The helper's way to spin: a poll without a wait says whether the device is ready. */
TEST(spin)
{
	struct dsm_spin_arg arg = { .fd = -1 };
	long long before = node_get("spin_us"), misses;
	int fd = open_device(), pipes[2], helper;

	EXPECT_ERRNO(ioctl(fd, DSM_IOC_SPIN, &arg), EPERM);
	helper = genl_replace_helper();
	ASSERT_OK(pipe(pipes));
	ASSERT_EQ(node_set("spin_us", 0), 0);
	EXPECT_ERRNO(ioctl(fd, DSM_IOC_SPIN, &arg), EOPNOTSUPP);
	ASSERT_EQ(node_set("spin_us", 10000), 0);
	if (get_nprocs() > 1) {
		EXPECT_ERRNO(ioctl(fd, DSM_IOC_SPIN, &arg), EBADF);
		arg.fd = pipes[0];
		/*
		 * A wait does not spin if many spins were in vain, or if other tasks want to run.
		 */
		misses = node_get("spin_misses");
		for (int i = 0; i < 20000 && node_get("spin_misses") == misses; i++)
			EXPECT_OK(ioctl(fd, DSM_IOC_SPIN, &arg));
		EXPECT_GE(node_get("spin_misses"), misses + 1);
		ASSERT_EQ(write(pipes[1], "", 1), 1);
		EXPECT_OK(ioctl(fd, DSM_IOC_SPIN, &arg));
	} else {
		EXPECT_ERRNO(ioctl(fd, DSM_IOC_SPIN, &arg), EOPNOTSUPP);
	}
	arg.flags = 1;
	EXPECT_ERRNO(ioctl(fd, DSM_IOC_SPIN, &arg), EINVAL);
	ASSERT_EQ(node_set("spin_us", before), 0);
	close(pipes[0]);
	close(pipes[1]);
	close(fd);
	genl_restore_helper(helper);
}

static long long spins(void)
{
	return node_get("spin_hits") + node_get("spin_misses");
}

/* 256 blocks of the region, written by another node. */
static void spin_while_reading(char *base)
{
	long long prefetch = node_get("prefetch_blocks"), count;

	ASSERT_EQ(node_set("prefetch_blocks", 0), 0);
	count = spins();
	for (int i = 0; i < 16; i++)
		EXPECT_EQ(*word(base + i * 4096, 0), i);
	EXPECT_EQ(spins(), count);
	ASSERT_EQ(node_set("spin_us", 10000), 0);
	for (int i = 16; i < 256; i++)
		EXPECT_EQ(*word(base + i * 4096, 0), i);
	/* Whether they succeed depends on what else runs on the machine. */
	if (get_nprocs() > 1)
		EXPECT_GE(spins(), count + 1);
	else
		EXPECT_EQ(spins(), count);
	ASSERT_EQ(node_set("prefetch_blocks", prefetch), 0);
}

/* Waits spin as soon as they may and a processor is free, and not before. */
TEST(spin_us_is_in_force)
{
	dsm_region *region = share_region(1 << 20, DSM_HOME_DEFAULT, 0);
	long long before = node_get("spin_us");
	char *base = dsm_base(region);

	if (!node()) {
		for (int i = 0; i < 256; i++)
			*word(base + i * 4096, 0) = i;
	}
	/* Meeting takes far longer than a spin. */
	ASSERT_EQ(node_set("spin_us", 0), 0);
	together("written");
	/* One node after the other, since a thread that shares its processor does not spin. */
	for (int turn = 1; turn < nodes(); turn++) {
		if (node() == turn)
			spin_while_reading(base);
		together("read-%d", turn);
	}
	ASSERT_EQ(node_set("spin_us", before), 0);
	unshare_region(region);
}
