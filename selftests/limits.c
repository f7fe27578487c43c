// SPDX-License-Identifier: GPL-2.0
/*
 * What one user can take from the others: no node of their own, regions, addresses,
 * memory and mutexes up to a limit, and next to no memory of the kernel that is not
 * charged to the user's own cgroup.
 */
#include <endian.h>
#include <fcntl.h>
#include <pwd.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/dsm_netlink.h>
#include <linux/dsm_wire.h>

#include "genl.h"
#include "test.h"

#define USERNS_NODES	"/sys/module/dsm/parameters/userns_nodes"

enum {
	PAGE		= 4096,
	FORGED_PEERS	= 3,
	FORGED_ID	= 100,	/* of a forged region */
};

/* One node does what has to be done once. */
static bool chosen(void)
{
	return node() == nodes() - 1;
}

static void write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);

	ASSERT_OK(fd);
	if (write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		test_failed(__FILE__, __LINE__, true, "%s: %s", path, strerror(errno));
	close(fd);
}

static void become_user(void)
{
	const struct passwd *user = getpwnam("user");

	ASSERT_TRUE(user);
	ASSERT_OK(setresgid(user->pw_gid, user->pw_gid, user->pw_gid));
	ASSERT_OK(setresuid(user->pw_uid, user->pw_uid, user->pw_uid));
	/* Its own files in /proc are its own again. */
	ASSERT_OK(prctl(PR_SET_DUMPABLE, 1));
}

/* The exit status of a child that does @what; a failure in it is the test's. */
static int in_child(void (*what)(void))
{
	pid_t pid = fork();
	int status;

	ASSERT_OK(pid);
	if (!pid) {
		what();
		_exit(0);
	}
	ASSERT_EQ(waitpid(pid, &status, 0), pid);
	return status;
}

/* ---- a node of one's own ------------------------------------------------------ */

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
	return genl_say(fd, &m);
}

/* Node 0, which is the registry, says that there is a region. */
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

/* /dev/dsm of a network namespace that has no node. */
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

	become_user();
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

/* A user's own user and network namespaces are no place for a node. */
TEST(node_in_a_users_namespace_is_refused)
{
	if (chosen()) {
		EXPECT_EQ(in_child(be_refused), 0);
		/* Root's namespaces are, which the cluster has shown. */
		EXPECT_EQ(node_get("up"), nodes());
	}
	together("tried");
}

static void be_allowed(void)
{
	struct dsm_node_info info;
	int fd, family, device;

	become_user();
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
	/* Again, under other numbers: the kernel's log, which the cluster reads, has no stack. */
	for (int i = 1; i <= 100; i++)
		EXPECT_NE(say_region_new(fd, family, 2, FORGED_ID + i, "forged"), 0);
	EXPECT_NE(say_region_new(fd, family, 2, FORGED_ID, "other"), 0);
	EXPECT_NE(say_region_new(fd, family, 2, FORGED_ID + 1, ""), 0);
	EXPECT_EQ(say_region_new(fd, family, 2, FORGED_ID + 1, "other"), 0);
	close(device);
	close(fd);
}

/* ... unless the administrator says that they are. */
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
