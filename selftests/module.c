// SPDX-License-Identifier: GPL-2.0
/*
 * Unloading the module. It is refused while something is open. With nothing open, the module
 * leaves nothing behind, can be loaded again, and works.
 *
 * The helpers are killed before, since they have windows open.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include "test.h"

static int unload(void)
{
	return syscall(SYS_delete_module, "dsm", O_NONBLOCK);
}

static long users_of_module(void)
{
	FILE *f = fopen("/sys/module/dsm/refcnt", "r");
	long users = -1;

	if (f) {
		ASSERT_EQ(fscanf(f, "%ld", &users), 1);
		fclose(f);
	}
	return users;
}

static void start_helper(void)
{
	ASSERT_EQ(run("dsmd-ctl", "start", NULL), 0);
}

TEST(refused_while_in_use)
{
	dsm_region *region = share_region(65536, DSM_HOME_DEFAULT, 0);
	char *base;
	pid_t pid;
	int fd;

	*word(dsm_base(region), node()) = 11;
	/* A page that is available without helpers. */
	if (!node())
		*word((char *)dsm_base(region) + 4096, 0) = 12;
	together("written");
	EXPECT_OK(dsm_close(region));
	ASSERT_EQ(run("dsmd-ctl", "kill", NULL), 0);
	together("nothing-open");
	/*
	 * Other nodes may be in the same kernel, so one node runs alone. The region exists and is
	 * not in use.
	 */
	if (!node()) {
		ASSERT_TRUE(WAIT_FOR(!users_of_module(), 20));

		fd = open("/dev/dsm", O_RDWR | O_CLOEXEC);
		ASSERT_OK(fd);
		EXPECT_ERRNO(unload(), EWOULDBLOCK);
		close(fd);

		fd = open_bound(0);
		EXPECT_ERRNO(unload(), EWOULDBLOCK);
		base = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		ASSERT_NE(base, MAP_FAILED);
		close(fd);
		/* Mapped, and not open. */
		EXPECT_GT(users_of_module(), 0);
		EXPECT_ERRNO(unload(), EWOULDBLOCK);
		EXPECT_EQ(*word(base + 4096, 0), 12);

		/* A part of the mapping, in a child. */
		pid = fork();
		ASSERT_OK(pid);
		if (!pid) {
			ASSERT_OK(munmap(base, 4096));
			EXPECT_ERRNO(unload(), EWOULDBLOCK);
			_exit(0);
		}
		ASSERT_EQ(waitpid(pid, NULL, 0), pid);
		ASSERT_OK(munmap(base, 65536));
		EXPECT_TRUE(WAIT_FOR(!users_of_module(), 20));
	}
	together("tried");
	start_helper();
	together("started");
	region = dsm_open(region_name(), O_RDWR, 0, NULL);
	ASSERT_TRUE(region);
	for (int n = 0; n < nodes(); n++)
		EXPECT_EQ(*word(dsm_base(region), n), 11);
	unshare_region(region);
}

TEST(unloaded_and_loaded)
{
	struct utsname name;
	char path[300];
	bool mine;

	ASSERT_OK(uname(&name));
	snprintf(path, sizeof(path), "/lib/modules/%s/extra/dsm.ko", name.release);
	/* With a region that nobody has open. */
	if (!node()) {
		dsm_region *region = dsm_open("left-behind", O_RDWR | O_CREAT, 1 << 20, NULL);

		ASSERT_TRUE(region);
		*word(dsm_base(region), 0) = 1;
		EXPECT_OK(dsm_close(region));
	}
	together("made");
	ASSERT_EQ(run("dsmd-ctl", "kill", NULL), 0);
	together("killed");
	if (!node()) {
		ASSERT_TRUE(WAIT_FOR(!unload(), 20));
		EXPECT_ERRNO(access("/dev/dsm", F_OK), ENOENT);
		EXPECT_ERRNO(access("/sys/class/dsm", F_OK), ENOENT);
	}
	together("unloaded");
	/* Once per kernel. */
	mine = node() && users_of_module() >= 0;
	if (mine)
		ASSERT_TRUE(WAIT_FOR(!unload(), 20));
	together("all-unloaded");
	EXPECT_LT(users_of_module(), 0);
	together("seen");
	if (mine || !node())
		ASSERT_EQ(run("insmod", path, NULL), 0);
	together("loaded");
	start_helper();
	together("started");
	EXPECT_EQ(dsm_open("left-behind", O_RDWR, 0, NULL), NULL);
	EXPECT_EQ(errno, ENOENT);
}

TEST(works_again)
{
	dsm_region *region = share_region(65536, DSM_HOME_INTERLEAVED, 0);

	for (int i = 0; i < 100; i++)
		atomic_fetch_add(word(dsm_base(region), 0), 1);
	together("incremented");
	EXPECT_EQ(*word(dsm_base(region), 0), 100 * nodes());
	unshare_region(region);
}
