// SPDX-License-Identifier: GPL-2.0
/*
 * One link is cut, and the others are not. A node's missing knowledge does not harm its other
 * links.
 *
 * Then the registry is restarted. What other nodes remember of the previous registry does not
 * harm what the new one creates.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "test.h"

enum {
	PAGE		= 4096,
	CHUNK		= 2 << 20,
	/* Long enough that no access times out while the link is down. */
	TIMEOUT_MS	= 200 * 1000,
	LAST		= 2,	/* the node that node 0 cannot reach */
};

static bool peer_is(int peer, const char *state)
{
	char path[64], is[16] = "";
	FILE *f;

	snprintf(path, sizeof(path), "/sys/class/dsm/node/peers/%d/state", peer);
	f = fopen(path, "r");
	ASSERT_TRUE(f);
	ASSERT_EQ(fscanf(f, "%15s", is), 1);
	fclose(f);
	return !strcmp(is, state);
}

static long long peer_get(int peer, const char *counter)
{
	char file[64];

	snprintf(file, sizeof(file), "peers/%d/%s", peer, counter);
	return node_get(file);
}

/* How often the helper reported the end of a link. */
static int ends_of_link(int peer)
{
	FILE *f = fopen("/run/dsmd.log", "r");
	char line[1024], what[32];
	int n = 0;

	snprintf(what, sizeof(what), "peer %d ", peer);
	ASSERT_TRUE(f);
	while (fgets(line, sizeof(line), f))
		n += strstr(line, what) && strstr(line, "is down");
	fclose(f);
	return n;
}

static void route(const char *what, int peer)
{
	char address[32];

	snprintf(address, sizeof(address), "10.77.0.%d/32", peer + 1);
	ASSERT_EQ(run("ip", "route", what, "blackhole", address, NULL), 0);
}

/* The link between node 0 and the last node. */
static void cut_link(void)
{
	if (!node() || node() == LAST) {
		route("add", LAST - node());
		ASSERT_TRUE(WAIT_FOR(peer_is(LAST - node(), "down"), 60));
	}
	together("cut");
}

static void mend_link(void)
{
	together("mending");
	if (!node() || node() == LAST)
		route("del", LAST - node());
	ASSERT_TRUE(WAIT_FOR(node_get("up") == nodes(), 60));
	together("mended");
}

/* A child that accesses one word. The parent sees whether the access succeeded. */
static pid_t writer(char *at, uint64_t value)
{
	pid_t pid = fork();

	ASSERT_OK(pid);
	if (!pid) {
		*word(at, 0) = value;
		_exit(0);
	}
	return pid;
}

/*
 * Node 0 creates a region while node 2 cannot hear of it. Node 1 asks node 2 for blocks whose
 * home, or whose chunk's steward, is node 2. The link between nodes 1 and 2 stays up.
 */
static void region_unheard_of(int home)
{
	dsm_region *old, *new = NULL;
	struct dsm_attr attr = { .home = home, .mode = 0666 };
	long long timeout = node_get("timeout_ms"), asked = 0;
	char name[64];
	int ends = 0, status;
	pid_t pid = 0;

	if (nodes() < 3)
		skip("needs three nodes");
	/* Chunk 1's home is node 1, chunk 2's is node 2. */
	old = share_region(3 * CHUNK, DSM_HOME_INTERLEAVED, 0);
	snprintf(name, sizeof(name), "new-%d", home);
	ASSERT_EQ(node_set("timeout_ms", TIMEOUT_MS), 0);
	together("begun");
	cut_link();
	if (!node()) {
		new = dsm_open(name, O_RDWR | O_CREAT | O_EXCL, 4 * CHUNK, &attr);
		ASSERT_TRUE(new);
	}
	together("made");
	if (node() == 1) {
		ends = ends_of_link(LAST);
		asked = peer_get(LAST, "resent");
		new = dsm_open(name, O_RDWR, 0, NULL);
		ASSERT_TRUE(new);
		pid = writer((char *)dsm_base(new) + LAST * CHUNK, 77);
	}
	if (node() == LAST) {
		ends = ends_of_link(1);
		asked = peer_get(1, "asked_again");
		EXPECT_EQ(dsm_open(name, O_RDWR, 0, NULL), NULL);
		ASSERT_TRUE(WAIT_FOR(peer_get(1, "parked") > 0, 60));
	}
	together("parked");
	/* Everything that should be accessible is, in both directions. */
	for (int i = 0; i < 8 && (node() == 1 || node() == LAST); i++) {
		together("turn-%d", i);
		if (i % 2 == (node() == LAST))
			atomic_fetch_add(word((char *)dsm_base(old) +
					      (1 + i % 4 / 2) * CHUNK + i / 4 * PAGE, 1), 1);
	}
	for (int i = 0; i < 8 && node() != 1 && node() != LAST; i++)
		together("turn-%d", i);
	if (node() == 1) {
		EXPECT_EQ(waitpid(pid, &status, WNOHANG), 0);
		EXPECT_EQ(ends_of_link(LAST), ends);
		EXPECT_EQ(peer_get(LAST, "resent"), asked);
	}
	if (node() == LAST) {
		EXPECT_EQ(ends_of_link(1), ends);
		EXPECT_EQ(peer_get(1, "asked_again"), asked);
		EXPECT_GT(peer_get(1, "parked"), 0);
	}
	mend_link();
	if (node() == 1) {
		EXPECT_EQ(wait_status(pid), 0);
	}
	together("over");
	if (node() == LAST) {
		EXPECT_EQ(peer_get(1, "parked"), 0);
		new = dsm_open(name, O_RDWR, 0, NULL);
		ASSERT_TRUE(new);
	}
	if (new) {
		EXPECT_EQ(*word((char *)dsm_base(new) + LAST * CHUNK, 0), 77);
		EXPECT_OK(dsm_close(new));
	}
	together("read");
	ASSERT_EQ(node_set("timeout_ms", timeout), 0);
	if (!node())
		EXPECT_OK(dsm_unlink(name));
	unshare_region(old);
}

TEST_SECONDS(home_has_not_heard, 600)
{
	region_unheard_of(DSM_HOME_INTERLEAVED);
}

TEST_SECONDS(steward_has_not_heard, 600)
{
	region_unheard_of(DSM_HOME_FIRST_TOUCH);
}

/* Does every node have a kernel of its own? */
static bool kernels_differ(void)
{
	dsm_region *region = share_region(PAGE, DSM_HOME_CREATOR, 0);
	FILE *f = fopen("/proc/sys/kernel/random/boot_id", "r");
	unsigned int id = 0;
	bool differ = true;

	ASSERT_TRUE(f);
	ASSERT_EQ(fscanf(f, "%x", &id), 1);
	fclose(f);
	*word(dsm_base(region), node()) = id;
	together("written");
	for (int n = 0; n < nodes(); n++)
		differ &= n == node() || *word(dsm_base(region), n) != id;
	unshare_region(region);
	return differ;
}

static void set_clock(time_t seconds)
{
	struct timespec now = { .tv_sec = seconds };

	ASSERT_OK(clock_settime(CLOCK_REALTIME, &now));
}

/* Node 0's module is restarted with its clock long in the past. */
TEST_SECONDS(registry_of_the_past, 600)
{
	struct utsname name;
	time_t now = time(NULL);
	double start = seconds();
	dsm_region *region;
	char path[300];

	if (!kernels_differ())
		skip("needs a kernel for each node");
	ASSERT_OK(uname(&name));
	snprintf(path, sizeof(path), "/lib/modules/%s/extra/dsm.ko", name.release);
	together("known");
	if (!node()) {
		ASSERT_EQ(run("dsmd-ctl", "kill", NULL), 0);
		ASSERT_TRUE(WAIT_FOR(!syscall(SYS_delete_module, "dsm", O_NONBLOCK), 20));
		set_clock(now - 3600 * 24 * 365);
		ASSERT_EQ(run("insmod", path, NULL), 0);
		ASSERT_EQ(run("dsmd-ctl", "start", NULL), 0);
	}
	together("started");
	ASSERT_TRUE(WAIT_FOR(node_get("up") == nodes(), 60));
	together("up");
	/* Created by each node, and used by all. */
	for (int n = 0; n < nodes(); n++) {
		char file[32];

		snprintf(file, sizeof(file), "past-%d", n);
		region = NULL;
		if (n == node()) {
			region = dsm_open(file, O_RDWR | O_CREAT | O_EXCL, 64 * PAGE, NULL);
			ASSERT_TRUE(region);
		}
		together("made-%d", n);
		if (!region)
			region = dsm_open(file, O_RDWR, 0, NULL);
		ASSERT_TRUE(region);
		atomic_fetch_add(word(dsm_base(region), 0), 1);
		together("incremented-%d", n);
		EXPECT_EQ(*word(dsm_base(region), 0), nodes());
		EXPECT_OK(dsm_close(region));
		together("closed-%d", n);
		if (n == node())
			EXPECT_OK(dsm_unlink(file));
		together("unlinked-%d", n);
	}
	EXPECT_EQ(node_get("up"), nodes());
	if (!node())
		set_clock(now + (time_t)(seconds() - start));
	together("over");
}
