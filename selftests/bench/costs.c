// SPDX-License-Identifier: GPL-2.0
/*
 * What a read fault costs on the faulting node and on the serving node, as counts: netlink
 * messages, wake-ups, system calls, bytes.
 *
 * The kernel's tracepoints count, in one tracefs instance per node. The counts include
 * heartbeats: one or two system calls a second.
 */
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "bench.h"

enum { FAULTS = 200, STRIDE = 2 * BLOCK, SYSCALLS = 512 };

struct counts {
	double upcalls, downcalls, receives;
	double woken_helper, woken_thread, woken_worker;
	double syscalls, by_number[SYSCALLS];
};

static const struct { long number; const char *name; } syscall_names[] = {
	{ SYS_epoll_wait, "epoll_wait" }, { SYS_recvmmsg, "recvmmsg" },
	{ SYS_recvmsg, "recvmsg" },	  { SYS_recvfrom, "recvfrom" },
	{ SYS_read, "read" },		  { SYS_readv, "readv" },
	{ SYS_sendto, "sendto" },	  { SYS_sendmsg, "sendmsg" },
	{ SYS_writev, "writev" },	  { SYS_write, "write" },
};

static const char *tracefs(const char *name, const char *file)
{
	static char path[200];
	struct stat st;
	const char *root = "/sys/kernel/tracing";

	if (stat("/sys/kernel/tracing/instances", &st))
		root = "/sys/kernel/debug/tracing";
	snprintf(path, sizeof(path), "%s/instances/%s/%s", root, name, file);
	return path;
}

/* A file of this node's tracefs instance. */
static const char *instance(const char *file)
{
	char name[32];

	snprintf(name, sizeof(name), "bench-%d", node());
	return tracefs(name, file);
}

static void put(const char *file, const char *text)
{
	FILE *to = fopen(instance(file), "w");

	if (!to || fputs(text, to) < 0 || fclose(to))
		test_failed(__FILE__, __LINE__, true, "%s to %s: %s", text, instance(file),
			    strerror(errno));
}

static long long read_long(const char *path)
{
	FILE *from = fopen(path, "r");
	long long value = -1;

	if (!from || fscanf(from, "%lld", &value) != 1)
		test_failed(__FILE__, __LINE__, true, "%s: %s", path, strerror(errno));
	fclose(from);
	return value;
}

static void count_start(int helper)
{
	char filter[64];

	ASSERT_OK(mkdir(instance(""), 0700));
	put("tracing_on", "0");
	put("buffer_size_kb", "8192");
	snprintf(filter, sizeof(filter), "common_pid == %d", helper);
	put("events/raw_syscalls/sys_enter/filter", filter);
	put("events/raw_syscalls/sys_enter/enable", "1");
	put("events/sched/sched_wakeup/enable", "1");
	snprintf(filter, sizeof(filter), "self == %d", node());
	put("events/dsm/dsm_upcall/filter", filter);
	put("events/dsm/dsm_upcall/enable", "1");
	put("events/dsm/dsm_downcall/filter", filter);
	put("events/dsm/dsm_downcall/enable", "1");
	put("tracing_on", "1");
}

static void count_line(const char *line, int helper, struct counts *counts)
{
	const char *at;

	if ((at = strstr(line, ": sys_enter: NR "))) {
		long number = atol(at + strlen(": sys_enter: NR "));

		counts->syscalls++;
		if (number >= 0 && number < SYSCALLS)
			counts->by_number[number]++;
	} else if (strstr(line, ": dsm_upcall: ")) {
		counts->upcalls++;
	} else if (strstr(line, ": dsm_downcall: ")) {
		counts->downcalls++;
		counts->receives += strstr(line, " RECEIVE ") != NULL;
	} else if ((at = strstr(line, ": sched_wakeup: "))) {
		const char *pid = strstr(at, " pid=");
		int woken = pid ? atoi(pid + 5) : 0;

		counts->woken_helper += woken == helper;
		counts->woken_thread += woken == getpid();
		counts->woken_worker += strstr(at, " comm=kworker/") != NULL;
	}
}

static struct counts count_end(int helper)
{
	struct counts counts = { 0 };
	char line[1000];
	FILE *from;

	put("tracing_on", "0");
	from = fopen(instance("trace"), "r");
	ASSERT_TRUE(from);
	while (fgets(line, sizeof(line), from))
		count_line(line, helper, &counts);
	fclose(from);
	ASSERT_OK(rmdir(instance("")));
	return counts;
}

static void say(const char *what, double count)
{
	printf("# cost %s %.2f\n", what, count / FAULTS);
}

static void say_counts(const struct counts *counts)
{
	double others = counts->syscalls;
	char name[40];

	say("netlink_to_helper", counts->upcalls);
	say("netlink_from_helper", counts->downcalls);
	say("netlink_frames_received", counts->receives);
	say("wakeups_helper", counts->woken_helper);
	say("wakeups_thread", counts->woken_thread);
	say("wakeups_workers", counts->woken_worker);
	say("syscalls", counts->syscalls);
	for (size_t i = 0; i < sizeof(syscall_names) / sizeof(syscall_names[0]); i++) {
		double n = counts->by_number[syscall_names[i].number];

		others -= n;
		snprintf(name, sizeof(name), "syscall_%s", syscall_names[i].name);
		if (n)
			say(name, n);
	}
	say("syscall_others", others);
}

static void write_all(char *base)
{
	if (node() == 1)
		for (int i = 0; i <= FAULTS; i++)
			*word(base + (size_t)i * STRIDE, 0) = i + 1;
	together("written");
	/* This access finds the chunk's home. */
	ASSERT_EQ(*word(base, 0), 1);
}

/* Access the blocks in random order. */
static void fault_all(char *base)
{
	uint32_t order[FAULTS];

	shuffle(order, FAULTS, 1);
	for (int i = 0; !node() && i < FAULTS; i++)
		ASSERT_EQ(*word(base + (1 + (size_t)order[i]) * STRIDE, 0), order[i] + 2);
}

TEST(fault_costs)
{
	dsm_region *region = share_region((FAULTS + 1) * STRIDE, DSM_HOME_FIRST_TOUCH, BLOCK);
	static const char bytes_path[] = "/sys/class/net/eth0/statistics/tx_bytes";
	static const char packets_path[] = "/sys/class/net/eth0/statistics/tx_packets";
	int helper = read_long("/run/dsmd.pid");
	char *base = dsm_base(region);
	long long bytes, packets;
	struct counts counts;

	if (nodes() != 2)
		skip("of two nodes");
	write_all(base);
	count_start(helper);
	together("counting");
	bytes = read_long(bytes_path);
	packets = read_long(packets_path);
	fault_all(base);
	together("counted");
	bytes = read_long(bytes_path) - bytes;
	packets = read_long(packets_path) - packets;
	counts = count_end(helper);
	say_counts(&counts);
	say("bytes_sent", bytes);
	say("packets_sent", packets);
	unshare_region(region);
}

/* Record such faults for 'dsmctl trace latency'. */
TEST(fault_legs)
{
	dsm_region *region = share_region((FAULTS + 1) * STRIDE, DSM_HOME_FIRST_TOUCH, BLOCK);
	char line[1000];
	FILE *from;

	write_all(dsm_base(region));
	ASSERT_EQ(run("dsmctl", "trace", "start", NULL), 0);
	together("recording");
	fault_all(dsm_base(region));
	together("recorded");
	from = fopen(tracefs("dsm", "trace"), "r");
	ASSERT_TRUE(from);
	while (fgets(line, sizeof(line), from))
		printf("# trace %s", line);
	fclose(from);
	ASSERT_EQ(run("dsmctl", "trace", "stop", NULL), 0);
	unshare_region(region);
}
