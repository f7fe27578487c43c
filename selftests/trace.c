// SPDX-License-Identifier: GPL-2.0
/* dsmctl trace: where the time of faults goes. All nodes are in one kernel. */
#include <stdlib.h>
#include <unistd.h>

#include "test.h"

enum { BLOCK = 4096, FAULTS = 20, APART_S = 1000, APART_US = 20 };

static const char way[] = "\"GET_S, DATA\"";

static const char *recording(void)
{
	static const char *const paths[] = {
		"/sys/kernel/tracing/instances/dsm/trace",
		"/sys/kernel/debug/tracing/instances/dsm/trace",
	};

	return access(paths[0], R_OK) ? paths[1] : paths[0];
}

static void dsmctl_says(const char *arguments, char *text, size_t size)
{
	char command[200];
	FILE *said;

	snprintf(command, sizeof(command), "dsmctl --json trace latency %s", arguments);
	said = popen(command, "r");
	ASSERT_TRUE(said);
	text[fread(text, 1, size - 1, said)] = '\0';
	ASSERT_EQ(pclose(said), 0);
}

/* A leg's number; -1 if there is no such leg. */
static long long number(const char *text, const char *leg, const char *name)
{
	char member[64];
	const char *at = strstr(text, way);

	snprintf(member, sizeof(member), "\"%s\"", leg);
	at = at ? strstr(at, member) : NULL;
	snprintf(member, sizeof(member), "\"%s\":", name);
	at = at ? strstr(at, member) : NULL;
	return at ? atoll(at + strlen(member)) : -1;
}

/*
 * The recording of one node, as if its kernel were another one: with a clock of its own that
 * is @ahead seconds ahead.
 */
static void record_of(int self, const char *path, int ahead)
{
	FILE *from = fopen(recording(), "r"), *to = fopen(path, "w");
	char line[1000], mark[20];

	ASSERT_TRUE(from && to);
	snprintf(mark, sizeof(mark), " self=%d\n", self);
	while (fgets(line, sizeof(line), from)) {
		char *event = strstr(line, ": dsm_"), *at = event;

		if (!event || !strstr(line, mark))
			continue;
		while (at > line && at[-1] != ' ')
			at--;
		*event = '\0';
		fprintf(to, "%.*s%ld%s: %s", (int)(at - line), line, atol(at) + ahead,
			strchr(at, '.'), event + 2);
	}
	fclose(from);
	fclose(to);
}

/* The legs that every fault has. Together they add up to the whole. */
static void check_legs(const char *text)
{
	static const char *const legs[] = {
		"upcall queued: GET_S", "received: GET_S", "access revoked, for DATA",
		"upcall queued: DATA", "received: DATA", "installed", "resumed",
	};
	long long all = number(text, "all", "p99_us");

	EXPECT_EQ(number(text, "all", "faults"), FAULTS);
	EXPECT_GT(number(text, "all", "p50_us"), 0);
	for (size_t i = 0; i < sizeof(legs) / sizeof(legs[0]); i++) {
		EXPECT_EQ(number(text, legs[i], "faults"), FAULTS);
		EXPECT_LE(number(text, legs[i], "p50_us"), number(text, legs[i], "p99_us"));
		EXPECT_LE(number(text, legs[i], "p99_us"), all);
	}
}

static void check_latency(void)
{
	char one[16384], two[16384];

	dsmctl_says("", one, sizeof(one));
	check_legs(one);
	/* The helpers' events were recorded, too. */
	EXPECT_GT(number(one, "sent: GET_S", "faults"), 0);

	record_of(0, "/tmp/trace.0", 0);
	record_of(1, "/tmp/trace.1", APART_S);
	dsmctl_says("/tmp/trace.0 /tmp/trace.1", two, sizeof(two));
	check_legs(two);
	EXPECT_LE(llabs(number(one, "all", "p50_us") - number(two, "all", "p50_us")), APART_US);

	/* Events of this node only. */
	dsmctl_says("/tmp/trace.0", two, sizeof(two));
	EXPECT_EQ(number(two, "received: DATA", "faults"), FAULTS);
	EXPECT_EQ(number(two, "received: GET_S", "faults"), -1);
	EXPECT_EQ(number(two, "all", "p50_us"), number(one, "all", "p50_us"));
}

TEST(latency)
{
	dsm_region *region = share_region(DSM_CHUNK_SIZE, DSM_HOME_FIRST_TOUCH, BLOCK);

	/* Every other block, since two in a row start readahead. */
	if (node() == 1)
		for (int i = 0; i <= FAULTS; i++)
			*word((char *)dsm_base(region) + i * 2 * BLOCK, 0) = i + 1;
	together("written");
	if (!node()) {
		/* The first fault has to find the chunk's home. */
		EXPECT_EQ(*word(dsm_base(region), 0), 1);
		ASSERT_EQ(run("dsmctl", "trace", "start", NULL), 0);
		for (int i = 1; i <= FAULTS; i++)
			EXPECT_EQ(*word((char *)dsm_base(region) + i * 2 * BLOCK, 0), i + 1);
		check_latency();
		EXPECT_EQ(run("dsmctl", "trace", "stop", NULL), 0);
	}
	unshare_region(region);
}

TEST(refused)
{
	if (node())
		return;
	EXPECT_EQ(run("dsmctl", "trace", "latency", NULL), 1);
	EXPECT_EQ(run("dsmctl", "trace", "stop", NULL), 1);
	EXPECT_EQ(run("dsmctl", "trace", "latency", "/etc/nothing", NULL), 1);
	EXPECT_EQ(run("dsmctl", "trace", "latency", "/dev/null", NULL), 1);
	EXPECT_EQ(run("dsmctl", "trace", "halt", NULL), 2);
	EXPECT_EQ(run("dsmctl", "trace", NULL), 2);
	ASSERT_EQ(run("dsmctl", "trace", "start", NULL), 0);
	/* Nothing was recorded. */
	EXPECT_EQ(run("dsmctl", "trace", "latency", NULL), 1);
	EXPECT_EQ(run("dsmctl", "trace", "start", NULL), 0);
	EXPECT_EQ(run("dsmctl", "trace", "stop", NULL), 0);
}
