// SPDX-License-Identifier: GPL-2.0
/* dsmctl: shows and operates a node. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <dsm.h>
#include <json.h>

#include "helper.h"
#include "keys.h"
#include "print.h"
#include "sysfs.h"
#include "trace.h"

static bool json;

static int complain(const char *format, const char *what)
{
	fprintf(stderr, "dsmctl: ");
	fprintf(stderr, format, what);
	fputc('\n', stderr);
	return 1;
}

/* A directory that exists as long as the node. */
static struct json_object *node_read(const char *path, bool deep)
{
	struct json_object *object = sysfs_read(path, deep);

	return object ? object : json_object_new_object();
}

static const char *member(struct json_object *object, const char *name)
{
	struct json_object *value;

	if (!json_object_object_get_ex(object, name, &value))
		return "";
	return json_object_get_string(value);
}

/* ---- status ------------------------------------------------------------- */

static int status(char **argv)
{
	struct json_object *node = node_read("", false);
	struct json_object *peers = node_read("peers", true);
	struct json_object *regions = node_read("regions", true);
	int up = 0;

	(void)argv;
	json_object_object_foreach(peers, id, peer) {
		(void)id;
		up += !strcmp(member(peer, "state"), "up");
	}
	json_object_object_add(node, "peers_up", json_object_new_int(up));
	json_object_object_add(node, "regions",
			       json_object_new_int(json_object_object_length(regions)));
	helper_describe(node, NULL);
	if (json)
		print_json(node);
	else
		print_members(node);
	json_object_put(node);
	json_object_put(peers);
	json_object_put(regions);
	return 0;
}

static int peers(char **argv)
{
	static const char *const columns[] = {
		"state", "rtt_ns", "outstanding", "unsent", "tx_frames",
		"rx_frames", "resent", "duplicates", "cipher", "name", NULL
	};
	struct json_object *rows = node_read("peers", true);

	(void)argv;
	helper_describe(NULL, rows);
	if (json)
		print_json(rows);
	else
		print_table(rows, "peer", columns);
	json_object_put(rows);
	return 0;
}

static uint64_t member_number(struct json_object *object, const char *name)
{
	struct json_object *value;

	return json_object_object_get_ex(object, name, &value) ? json_object_get_uint64(value) : 0;
}

/* Adds what the table names differently from the files, or shows in bytes. */
static void region_memory(struct json_object *region)
{
	struct json_object *stats;
	uint64_t evicted = 0;

	if (json_object_object_get_ex(region, "stats", &stats))
		evicted = member_number(stats, "evicted_clean") +
			  member_number(stats, "evicted_dirty");
	json_object_object_add(region, "held",
			       json_object_new_uint64(member_number(region, "frames")));
	json_object_object_add(region, "evicted",
			       json_object_new_uint64(evicted * member_number(region, "block_size")));
}

static int regions(char **argv)
{
	static const char *const columns[] = {
		"id", "size", "base", "block_size", "home", "creator", "mode",
		"uid", "gid", "users", "held", "cached", "dirty", "evicted", NULL
	};
	struct json_object *rows = node_read("regions", true);

	(void)argv;
	json_object_object_foreach(rows, name, region) {
		(void)name;
		region_memory(region);
	}
	if (json)
		print_json(rows);
	else
		print_table(rows, "region", columns);
	json_object_put(rows);
	return 0;
}

/* Adds one region's counters to @total. */
static void stats_add(struct json_object *total, struct json_object *stats)
{
	json_object_object_foreach(stats, name, value) {
		struct json_object *sum;
		uint64_t n = json_object_get_uint64(value);

		if (json_object_object_get_ex(total, name, &sum))
			json_object_set_uint64(sum, json_object_get_uint64(sum) + n);
		else
			json_object_object_add(total, name, json_object_new_uint64(n));
	}
}

static int stat_all(void)
{
	struct json_object *all = json_object_new_object();
	struct json_object *each = json_object_new_object();
	struct json_object *total = json_object_new_object();
	struct json_object *regions = node_read("regions", true);

	json_object_object_foreach(regions, name, region) {
		struct json_object *stats;

		if (!json_object_object_get_ex(region, "stats", &stats))
			continue;
		stats_add(total, stats);
		json_object_object_add(each, name, json_object_get(stats));
	}
	json_object_object_add(all, "regions", each);
	json_object_object_add(all, "total", total);
	if (json)
		print_json(all);
	else
		print_members(total);
	json_object_put(all);
	json_object_put(regions);
	return 0;
}

static int stat_one(const char *name)
{
	struct json_object *stats;
	char path[DSM_NAME_MAX + 32];

	snprintf(path, sizeof(path), "regions/%.*s/stats", DSM_NAME_MAX, name);
	stats = *name == '.' || strchr(name, '/') || strlen(name) >= DSM_NAME_MAX ?
		NULL : sysfs_read(path, false);
	if (!stats)
		return complain("no region %s on this node", name);
	if (json)
		print_json(stats);
	else
		print_members(stats);
	json_object_put(stats);
	return 0;
}

static int stat_show(char **argv)
{
	return *argv ? stat_one(*argv) : stat_all();
}

/* ---- a region's heap -------------------------------------------------- */

static void number(struct json_object *row, const char *name, uint64_t n)
{
	json_object_object_add(row, name, json_object_new_uint64(n));
}

static struct json_object *heap_classes(const struct dsm_heap_stats *stats)
{
	struct json_object *classes = json_object_new_object();
	char name[24];

	for (int i = 0; i < DSM_HEAP_CLASSES; i++) {
		struct json_object *row;

		if (!stats->by_size[i].slabs)
			continue;
		row = json_object_new_object();
		number(row, "slabs", stats->by_size[i].slabs);
		number(row, "live", stats->by_size[i].live);
		number(row, "free", stats->by_size[i].free);
		number(row, "waiting", stats->by_size[i].waiting);
		snprintf(name, sizeof(name), "%ju", (uintmax_t)stats->by_size[i].size);
		json_object_object_add(classes, name, row);
	}
	return classes;
}

static struct json_object *heap_node(const struct dsm_heap_stats *stats)
{
	struct json_object *row = json_object_new_object();

	number(row, "chunks", stats->chunks);
	number(row, "live", stats->live);
	number(row, "live_bytes", stats->live_bytes);
	number(row, "large", stats->runs);
	number(row, "large_bytes", stats->run_bytes);
	number(row, "free_bytes", stats->free_bytes);
	number(row, "waiting", stats->waiting);
	number(row, "empty_bytes", stats->empty_bytes);
	number(row, "largest_empty", stats->largest_empty);
	number(row, "kept_bytes", stats->kept_bytes);
	number(row, "fragmentation_percent", stats->fragmentation);
	number(row, "region_free", stats->region_free);
	number(row, "region_largest", stats->region_largest);
	number(row, "parcels", stats->parcels);
	number(row, "homecomings", stats->homecomings);
	number(row, "parcels_out", stats->parcels_out);
	number(row, "threads_killed", stats->threads_killed);
	number(row, "locks_broken", stats->locks_broken);
	return row;
}

static int heap(char **argv)
{
	static const char *const columns[] = {
		"chunks", "live", "live_bytes", "large", "free_bytes", "waiting",
		"empty_bytes", "largest_empty", "kept_bytes", "fragmentation_percent",
		"homecomings", NULL
	};
	static const char *const class_columns[] = {
		"slabs", "live", "free", "waiting", NULL
	};
	dsm_region *region = dsm_open(*argv, O_RDONLY, 0, NULL);
	struct json_object *rows = json_object_new_object();
	struct dsm_heap_stats stats;
	int nodes = dsm_node_count();
	char name[16];

	for (int node = 0; region && node < nodes; node++) {
		struct json_object *row;

		if (dsm_heap_stats(region, node, &stats)) {
			dsm_close(region);
			region = NULL;
			break;
		}
		row = heap_node(&stats);
		json_object_object_add(row, "classes", heap_classes(&stats));
		snprintf(name, sizeof(name), "%d", node);
		json_object_object_add(rows, name, row);
	}
	if (!region) {
		json_object_put(rows);
		return complain("%s", dsm_error_detail());
	}
	dsm_close(region);
	if (json) {
		print_json(rows);
	} else {
		print_table(rows, "node", columns);
		printf("\nno node's: %ju bytes, %ju in a row\n", (uintmax_t)stats.region_free,
		       (uintmax_t)stats.region_largest);
		json_object_object_foreach(rows, id, row) {
			struct json_object *classes;

			printf("\nnode %s\n", id);
			json_object_object_get_ex(row, "classes", &classes);
			print_table(classes, "size", class_columns);
		}
	}
	json_object_put(rows);
	return 0;
}

/* ---- latency ------------------------------------------------------------ */

static int trace_show(struct json_object *ways)
{
	static const char *const columns[] = { "p50_us", "p99_us", "faults", NULL };

	if (json) {
		print_json(ways);
		return 0;
	}
	json_object_object_foreach(ways, way, legs) {
		printf("%s\n", way);
		print_table(legs, "until", columns);
		putchar('\n');
	}
	return 0;
}

static int trace_latency(char **files)
{
	struct trace trace = { };
	char *here[2] = { (char *)trace_file(), NULL };
	struct json_object *ways;
	const char *why;
	int ret = 1;

	if (!*files) {
		if (!*here)
			return complain("%s", "no recording: run 'dsmctl trace start' first");
		files = here;
	}
	for (; *files; files++) {
		if (trace_read(&trace, *files)) {
			fprintf(stderr, "dsmctl: %s: %s\n", *files, strerror(errno));
			goto out;
		}
	}
	ways = latency_of(&trace, &why);
	if (ways) {
		ret = trace_show(ways);
		json_object_put(ways);
	} else {
		complain("%s", why);
	}
out:
	trace_free(&trace);
	return ret;
}

static int trace(char **argv)
{
	const char *path;

	if (!strcmp(*argv, "latency"))
		return trace_latency(argv + 1);
	if (argv[1] || (strcmp(*argv, "start") && strcmp(*argv, "stop"))) {
		complain("trace %s: expected start, stop or latency [FILE]...", *argv);
		return 2;
	}
	if (!strcmp(*argv, "stop"))
		return trace_stop() ? complain("no recording: %s", strerror(errno)) : 0;
	if (!trace_start(&path))
		return 0;
	fprintf(stderr, "dsmctl: %s: %s\n", path, strerror(errno));
	return 1;
}

/* ---- actions ------------------------------------------------------------ */

static int destroy(char **argv)
{
	if (!dsm_unlink(*argv))
		return 0;
	return complain("%s", dsm_error_detail());
}

static int version(char **argv)
{
	(void)argv;
	puts("dsmctl " DSMCTL_VERSION);
	return 0;
}

/* ---- commands --------------------------------------------------------- */

static const struct command {
	const char *name;
	const char *args;
	const char *help;
	int	   args_min;
	int	   args_max;
	bool	   node;	/* reads the node's files */
	int	   (*run)(char **argv);
} commands[] = {
	{ "status",  "",	 "this node and its settings",		0, 0, true,  status },
	{ "peers",   "",	 "the other nodes",			0, 0, true,  peers },
	{ "regions", "",	 "regions this node knows",		0, 0, true,  regions },
	{ "stat",    "[REGION]", "a region's counters, or all added up", 0, 1, true, stat_show },
	{ "heap",    "REGION",	 "a region's heap, by node and object size", 1, 1, false, heap },
	{ "trace",   "WHAT...",	 "where faults' time goes: start, stop, latency [FILE]...",
	  1, 16, false, trace },
	{ "destroy", "REGION",	 "remove a region's name, on all nodes", 1, 1, false, destroy },
	{ "keygen",  "FILE",	 "make a key for a cluster",		1, 1, false, keygen },
	{ "cert",    "WHAT...",  "make certificates: authority [DIR], node ID [DIR], revoke ID [DIR]",
	  1, 3, false, cert },
	{ "version", "",	 "this program's version",		0, 0, false, version },
};

static void usage(FILE *to)
{
	fprintf(to, "usage: dsmctl [--json] COMMAND\n\n");
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		fprintf(to, "  %-7s %-9s %s\n", commands[i].name,
			commands[i].args, commands[i].help);
	fprintf(to, "\n  -j, --json   status, peers, regions, stat, heap, trace latency: as JSON\n"
		    "  -h, --help\n  -V, --version\n");
}

static const struct command *command_find(const char *name)
{
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		if (!strcmp(commands[i].name, name))
			return &commands[i];
	return NULL;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "json",    no_argument, NULL, 'j' },
		{ "help",    no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' },
		{ }
	};
	const struct command *command;
	int c, left, ret;

	while ((c = getopt_long(argc, argv, "jhV", options, NULL)) != -1) {
		switch (c) {
		case 'j':
			json = true;
			break;
		case 'h':
			usage(stdout);
			return 0;
		case 'V':
			return version(NULL);
		default:
			usage(stderr);
			return 2;
		}
	}
	left = argc - optind - 1;
	command = left >= 0 ? command_find(argv[optind]) : NULL;
	if (!command || left < command->args_min || left > command->args_max) {
		usage(stderr);
		return 2;
	}
	if (command->node && !sysfs_present())
		return complain("%s", "no node here: is dsm.ko loaded and dsmd running?");
	ret = command->run(argv + optind + 1);
	if (fflush(stdout) || ferror(stdout))
		return complain("stdout: %s", strerror(errno));
	return ret;
}
