// SPDX-License-Identifier: GPL-2.0
/* Options: one table for parsing, checking and --help. */
#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "config.h"
#include "trace.h"

enum kind {
	KIND_NUMBER,
	KIND_TIME,	/* 250ns, 20us, 1.5ms, 2s */
	KIND_CHANCE,	/* 0 to 1 */
	KIND_DIST,	/* const:TIME, uniform:TIME:TIME, exp:TIME, pareto:TIME:SHAPE; TIME */
	KIND_RATES,	/* the same, of bit/s: 10G */
	KIND_NAME,	/* one of @names */
	KIND_TEXT,
	KIND_FLAG,
};

struct option {
	const char *name;
	enum kind kind;
	bool command;		/* in struct command, otherwise in struct config */
	size_t offset;
	u64 min;
	u64 max;
	const char *const *names;
	const char *initial;
	const char *help;
};

#define SECOND	1000000000ULL
#define HOUR	(3600 * SECOND)
#define OPT(name, kind, field, min, max, initial, help) \
	{ name, KIND_##kind, false, offsetof(struct config, field), min, max, NULL, initial, help }
#define CHOICE(name, field, names, n, initial, help) \
	{ name, KIND_NAME, false, offsetof(struct config, field), 0, n, names, initial, help }
#define CMD(name, kind, field, help) \
	{ name, KIND_##kind, true, offsetof(struct command, field), 0, 0, NULL, NULL, help }
#define TITLE(text) { .help = text }

static const struct option options[] = {
	TITLE("The cluster"),
	OPT("nodes", NUMBER, nodes, 2, MAX_NODES, NULL, "how many nodes (16, or a trace's)"),
	OPT("threads", NUMBER, threads, 1, MAX_THREADS, "1", "threads of each"),
	CHOICE("home", home, home_policy_names, HOME_POLICIES, "interleaved",
	       "which node is a block's home"),
	OPT("chunk", NUMBER, chunk, 1, MAX_BLOCKS, "1",
	    "blocks that have one home together (the module: 2 MiB of them)"),
	OPT("block-size", NUMBER, block_size, 64, 65536, "4096", "bytes of a block"),
	OPT("hold", TIME, hold, 0, SECOND, "1ms", "as hold_us in sysfs"),
	OPT("prefetch", NUMBER, prefetch, 0, 256, "0", "as prefetch_blocks in sysfs"),
	TITLE("What the threads do"),
	CHOICE("workload", workload, workload_names, WORKLOADS, "uniform", "what they access"),
	OPT("trace", TEXT, trace, 0, 0, NULL,
	    "a real run's faults: see selftests/sim/capture; the workload is trace"),
	OPT("accesses", NUMBER, accesses, 1, 1ULL << 40, "100000", "by all threads together"),
	OPT("warmup", NUMBER, warmup, 0, 1ULL << 40, "0", "accesses that the figures leave out"),
	OPT("blocks", NUMBER, blocks, 0, MAX_BLOCKS, "0",
	    "number of blocks; 0: the workload's default"),
	OPT("write", CHANCE, write, 0, 0, "0.1",
	    "part of the accesses that write; read-mostly: a tenth of it"),
	OPT("skew", NUMBER, skew, 0, 4000, "990", "zipf: the exponent, in 1/1000"),
	OPT("group", NUMBER, group, 0, MAX_NODES, "0",
	    "nodes that share a block; 0: 64 (false-sharing), 4 (producer-consumer)"),
	OPT("think", DIST, think, 0, HOUR, "exp:50us", "time between accesses of a thread"),
	OPT("evict", CHANCE, evict, 0, 0, "0", "the block is given back after an access"),
	OPT("discard", CHANCE, discard, 0, 0, "0", "the block is discarded after an access"),
	OPT("free", DIST, free, 0, HOUR, "0",
	    "how long after a copy was taken its memory is freed; 0: it is kept"),
	TITLE("What things cost"),
	OPT("fault", TIME, fault, 0, SECOND, "3us", "a fault, on its thread's CPU"),
	OPT("kernel", TIME, kernel, 0, SECOND, "2us", "a message, at the receiver's module"),
	OPT("helper", TIME, helper, 0, SECOND, "3us", "a message, at each helper"),
	OPT("wake", TIME, wake, 0, SECOND, "5us", "until a thread that was woken runs"),
	OPT("revoke", TIME, revoke, 0, SECOND, "3us", "taking access from page tables"),
	OPT("latency", DIST, latency, 0, HOUR, "exp:10us", "of a message on a link"),
	OPT("bandwidth", RATES, bandwidth, 0, 0, "10G", "of a node's link, bit/s; drawn for each node"),
	TITLE("What goes wrong"),
	OPT("loss", CHANCE, loss, 0, 0, "0", "a frame is lost, and its connection with it"),
	OPT("reconnect", DIST, reconnect, 0, HOUR, "exp:5ms", "until a connection is up again"),
	OPT("duplicate", CHANCE, duplicate, 0, 0, "0", "a frame arrives twice"),
	OPT("stall", CHANCE, stall, 0, 0, "0",
	    "a frame, and those behind it between its nodes, come late"),
	OPT("stall-time", DIST, stall_time, 0, HOUR, "exp:1ms", "how late"),
	OPT("pause", DIST, pause_every, 0, HOUR, "0", "from one pause of a node to the next; 0: none"),
	OPT("pause-time", DIST, pause_time, 0, HOUR, "exp:20ms", "how long nothing runs there"),
	OPT("restart", DIST, restart_every, 0, HOUR, "0",
	    "from one restart of a node's helper to the next; 0: none"),
	OPT("stuck", TIME, stuck, SECOND / 1000, HOUR, "10s", "an access that takes longer is a violation"),
	TITLE("The run"),
	OPT("seed", NUMBER, seed, 0, UINT64_MAX, "1", "of chance: one seed, one result"),
	CMD("runs", TEXT, runs, "do this file's runs: lines 'NAME: OPTIONS', added to those given"),
	CMD("json", TEXT, json, "write the figures to this file"),
	CMD("tap", FLAG, tap, "a TAP line a run instead of figures"),
	CMD("speed", FLAG, speed, "say how many protocol events a second of CPU time were simulated"),
	CMD("plot", TEXT, plot, "draw cost against nodes, a line a workload, as .svg or .png"),
	CMD("plot-nodes", TEXT, plot_nodes, "at so many nodes (2,8,32,128,512,2048,4096)"),
};

#define N_OPTIONS (sizeof(options) / sizeof(options[0]))

bool config_error(const char *format, ...)
{
	va_list args;

	fputs("dsm-sim: ", stderr);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	return false;
}

/* ------------------------------------------------------------------------
 * Values
 */

/* A number and its unit. @end is set behind both. */
static bool parse_unit(const char *text, const char **end, const char *units, u64 *value)
{
	static const struct { const char *name; double factor; } all[] = {
		{ "ns", 1 }, { "us", 1e3 }, { "ms", 1e6 }, { "s", 1e9 },
		{ "k", 1e3 }, { "M", 1e6 }, { "G", 1e9 }, { "", 1 },
	};
	char *unit;
	double number;
	size_t i;

	if (!isdigit((unsigned char)*text))
		return false;
	number = strtod(text, &unit);
	for (i = *units == 't' ? 0 : 4; i < sizeof(all) / sizeof(all[0]); i++) {
		size_t len = strlen(all[i].name);

		if (*units == 't' && (i >= 4 && (i < 7 || number != 0)))
			continue;
		if (strncmp(unit, all[i].name, len) || isalpha((unsigned char)unit[len]))
			continue;
		if (number * all[i].factor > 9e18)
			return false;
		*value = number * all[i].factor + 0.5;
		*end = unit + len;
		return true;
	}
	return false;
}

static bool parse_dist(const char *text, const char *units, struct dist *dist)
{
	static const struct { const char *name; int kind; bool two; } kinds[] = {
		{ "const:", DIST_CONST, false }, { "uniform:", DIST_UNIFORM, true },
		{ "exp:", DIST_EXP, false }, { "pareto:", DIST_PARETO, true },
		{ "", DIST_CONST, false },
	};
	const char *end;
	size_t i;

	for (i = 0; strncmp(text, kinds[i].name, strlen(kinds[i].name)); i++)
		;
	*dist = (struct dist){ .kind = kinds[i].kind };
	if (!parse_unit(text + strlen(kinds[i].name), &end, units, &dist->a))
		return false;
	if (kinds[i].two) {
		if (*end++ != ':')
			return false;
		if (dist->kind == DIST_PARETO) {
			double shape = strtod(end, (char **)&end);

			if (!(shape >= 0.5 && shape <= 100))
				return false;
			dist->b = shape * 1000;
		} else if (!parse_unit(end, &end, units, &dist->b) || dist->b < dist->a) {
			return false;
		}
	}
	return !*end;
}

static bool parse_number(const char *text, const struct option *option, u64 *value)
{
	char *end;

	errno = 0;
	*value = strtoull(text, &end, 10);
	return isdigit((unsigned char)*text) && !*end && !errno &&
	       *value >= option->min && *value <= option->max;
}

static bool parse_chance(const char *text, u64 *value)
{
	char *end;
	double chance = strtod(text, &end);

	if (end == text || *end || !(chance >= 0 && chance <= 1))
		return false;
	*value = chance >= 1 ? UINT64_MAX : (u64)(chance * 18446744073709551616.0);
	return true;
}

static bool names_error(const struct option *option, const char *text)
{
	char list[256] = "";
	u64 i;

	for (i = 0; i < option->max; i++) {
		strcat(list, i ? ", " : "");
		strcat(list, option->names[i]);
	}
	return config_error("--%s %s: must be one of %s", option->name, text, list);
}

static bool parse_value(const struct option *option, void *field, const char *text)
{
	struct dist dist;
	const char *end;
	u64 value;

	switch (option->kind) {
	case KIND_NUMBER:
		if (!parse_number(text, option, &value))
			return config_error("--%s %s: must be a number from %llu to %llu", option->name,
					    text, (unsigned long long)option->min,
					    (unsigned long long)option->max);
		break;
	case KIND_TIME:
		if (!parse_unit(text, &end, "time", &value) || *end || value < option->min ||
		    value > option->max)
			return config_error("--%s %s: must be a time from %gms to %gs, as 250ns, 20us, 1.5ms, 2s",
					    option->name, text, option->min / 1e6, option->max / 1e9);
		break;
	case KIND_CHANCE:
		if (!parse_chance(text, &value))
			return config_error("--%s %s: must be a number from 0 to 1", option->name, text);
		break;
	case KIND_DIST:
		if (!parse_dist(text, "time", &dist) || dist.a > option->max || dist.b > option->max)
			return config_error("--%s %s: must be TIME, const:TIME, uniform:TIME:TIME, exp:TIME or "
					    "pareto:TIME:SHAPE, with times as 20us and a shape from 0.5 to 100",
					    option->name, text);
		*(struct dist *)field = dist;
		return true;
	case KIND_RATES:
		if (!parse_dist(text, "rate", &dist) || dist.a < 1000)
			return config_error("--%s %s: must be RATE, const:RATE, uniform:RATE:RATE, exp:RATE or "
					    "pareto:RATE:SHAPE, with rates from 1k, as 100M or 10G",
					    option->name, text);
		*(struct dist *)field = dist;
		return true;
	case KIND_NAME:
		for (value = 0; value < option->max; value++)
			if (!strcmp(text, option->names[value]))
				break;
		if (value == option->max)
			return names_error(option, text);
		break;
	default:
		*(const char **)field = text;
		return true;
	}
	*(u64 *)field = value;
	return true;
}

static void *field_of(const struct option *option, struct config *config, struct command *command)
{
	return (char *)(option->command ? (void *)command : (void *)config) + option->offset;
}

void config_init(struct config *config)
{
	size_t i;

	memset(config, 0, sizeof(*config));
	for (i = 0; i < N_OPTIONS; i++)
		if (options[i].initial &&
		    !parse_value(&options[i], field_of(&options[i], config, NULL), options[i].initial))
			abort();
}

static const struct option *find(const char *name, size_t len)
{
	size_t i;

	for (i = 0; i < N_OPTIONS; i++)
		if (options[i].name && strlen(options[i].name) == len &&
		    !strncmp(options[i].name, name, len))
			return &options[i];
	return NULL;
}

/* @command: NULL where only a run's own options are allowed */
bool config_parse(struct config *config, struct command *command, int argc, char **argv)
{
	int i;

	for (i = 0; i < argc; i++) {
		const char *name = argv[i] + 2, *equals = strchr(argv[i], '=');
		const struct option *option = NULL;
		const char *value;

		if (!strncmp(argv[i], "--", 2))
			option = find(name, equals ? (size_t)(equals - name) : strlen(name));
		if (!option || (option->command && !command))
			return config_error("%s: no such option%s; --help names them", argv[i],
					    option ? " in a file of runs" : "");
		if (option->kind == KIND_FLAG) {
			if (equals)
				return config_error("--%s: takes no value", option->name);
			*(bool *)field_of(option, config, command) = true;
			continue;
		}
		value = equals ? equals + 1 : ++i < argc ? argv[i] : NULL;
		if (!value)
			return config_error("--%s: a value is missing", option->name);
		if (!parse_value(option, field_of(option, config, command), value))
			return false;
	}
	return true;
}

static bool complete_trace(struct config *config)
{
	struct trace *trace;

	if (!config->trace)
		return config_error("--workload trace: needs --trace FILE");
	trace = trace_open(config->trace);
	if (!trace)
		return false;
	if (config->nodes < trace_nodes(trace))
		config->nodes = trace_nodes(trace);
	config->blocks = trace_blocks(trace);
	trace_close(trace);
	return true;
}

/* Sets what was left open, and checks combinations of options. */
bool config_complete(struct config *config)
{
	u64 least = 1;

	if (config->trace)
		config->workload = WORK_TRACE;
	if (config->workload == WORK_TRACE)
		return complete_trace(config);
	if (!config->nodes)
		config->nodes = 16;
	if (!config->group)
		config->group = config->workload == WORK_FALSE_SHARING ? 64 : 4;
	switch ((enum workload)config->workload) {
	case WORK_FALSE_SHARING:
		least = (config->nodes + config->group - 1) / config->group;
		break;
	case WORK_PRODUCER_CONSUMER:
	case WORK_STENCIL:
		least = config->nodes;
		break;
	default:
		break;
	}
	if (!config->blocks)
		config->blocks = config->workload == WORK_READ_MOSTLY ? 64 :
				 config->workload == WORK_FALSE_SHARING ? least : 4 * config->nodes;
	if (config->blocks < least)
		return config_error("--blocks %llu: %s with %llu nodes needs %llu at least",
				    (unsigned long long)config->blocks,
				    workload_names[config->workload],
				    (unsigned long long)config->nodes, (unsigned long long)least);
	if (config->warmup >= config->accesses)
		return config_error("--warmup %llu: must be less than --accesses %llu",
				    (unsigned long long)config->warmup,
				    (unsigned long long)config->accesses);
	return true;
}

static const char *placeholder(const struct option *option)
{
	static const char *const kinds[] = {
		[KIND_NUMBER] = "N", [KIND_TIME] = "TIME", [KIND_CHANCE] = "P",
		[KIND_DIST] = "DIST", [KIND_RATES] = "DIST", [KIND_NAME] = "NAME",
		[KIND_TEXT] = "FILE", [KIND_FLAG] = "",
	};

	return strcmp(option->name, "plot-nodes") ? kinds[option->kind] : "N,N,...";
}

void config_help(void)
{
	size_t i;

	puts("usage: dsm-sim [OPTION]...\n\n"
	     "Simulates a cluster around module/coherence.c, checks its invariants at every step,\n"
	     "and prints the cost of accesses. Exits with 1 if an invariant failed, with the seed\n"
	     "and the last steps of the block; with 2 if the options are wrong.\n\n"
	     "TIME is 250ns, 20us, 1.5ms or 2s; DIST is TIME, const:TIME, uniform:TIME:TIME,\n"
	     "exp:TIME (the mean) or pareto:TIME:SHAPE (the least); P is from 0 to 1.");
	for (i = 0; i < N_OPTIONS; i++) {
		const struct option *option = &options[i];
		char name[40];
		u64 n;

		if (!option->name) {
			printf("\n%s:\n", option->help);
			continue;
		}
		snprintf(name, sizeof(name), "--%s %s", option->name, placeholder(option));
		printf("  %-22s %s", name, option->help);
		if (option->initial)
			printf(" (%s)", option->initial);
		for (n = 0; option->names && n < option->max; n++)
			printf("%s%s", n % 4 ? ", " : n ? ",\n\t\t\t   " : ":\n\t\t\t   ", option->names[n]);
		putchar('\n');
	}
}
