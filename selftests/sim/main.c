// SPDX-License-Identifier: GPL-2.0
/*
 * dsm-sim: a simulator of whole clusters; see sim.h.
 *
 * To find mistakes in a changed coherence.c within seconds:
 *
 * 	make -C selftests sim COHERENCE=/path/coherence.c O=/elsewhere
 * 	/elsewhere/selftests/dsm-sim --tap --runs selftests/sim/mutants.runs
 */
#include <json-c/json.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "plot.h"
#include "report.h"

#define ARGS_MAX	128

struct totals {
	const struct command *command;
	struct json_object *runs;
	unsigned int n;
	unsigned int failed;
	u64 events;
	double seconds;
};

static double cpu_time(void)
{
	struct timespec time;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
	return time.tv_sec + time.tv_nsec / 1e9;
}

/* Returns false if the run could not start. */
static bool run(struct totals *totals, const char *name, struct config *config)
{
	const struct command *command = totals->command;
	double start, seconds;
	struct sim *sim;
	bool ok;

	if (!config_complete(config))
		return false;
	sim = sim_create(config, NONE);
	if (!sim)
		return config_error("%s: not enough memory", name);
	start = cpu_time();
	ok = sim_run(sim);
	seconds = cpu_time() - start;
	totals->n++;
	totals->failed += !ok;
	totals->events += sim->events;
	totals->seconds += seconds;
	if (command->tap)
		printf("%sok %u %s\n", ok ? "" : "not ", totals->n, name);
	else
		report_print(sim);
	if (command->speed)
		printf("# %s: %llu protocol events in %.3f s: %.0f a second\n", name,
		       (unsigned long long)sim->events, seconds, sim->events / seconds);
	fflush(stdout);
	if (totals->runs)
		json_object_array_add(totals->runs, report_json(sim, name));
	sim_destroy(sim);
	return true;
}

/* A line of a file of runs: "name: --option value ..." */
static bool run_line(struct totals *totals, const struct config *base, char *line)
{
	char *colon = strchr(line, ':'), *word, *rest, *argv[ARGS_MAX];
	struct config config = *base;
	int argc = 0;

	if (!colon)
		return config_error("%s: must be 'NAME: OPTIONS'", line);
	*colon = '\0';
	for (word = strtok_r(colon + 1, " \t", &rest); word; word = strtok_r(NULL, " \t", &rest)) {
		if (argc == ARGS_MAX)
			return config_error("%s: too many options", line);
		argv[argc++] = word;
	}
	return config_parse(&config, NULL, argc, argv) && run(totals, line, &config);
}

static bool run_file(struct totals *totals, const struct config *base)
{
	FILE *file = fopen(totals->command->runs, "r");
	bool ok = true;
	char line[1024];

	if (!file) {
		perror(totals->command->runs);
		return false;
	}
	while (ok && fgets(line, sizeof(line), file)) {
		line[strcspn(line, "\n")] = '\0';
		if (line[0] && line[0] != '#')
			ok = run_line(totals, base, line);
	}
	fclose(file);
	if (ok && !totals->n)
		return config_error("%s: no run in it", totals->command->runs);
	return ok;
}

static bool write_json(const struct totals *totals)
{
	if (json_object_to_file_ext(totals->command->json, totals->runs,
				    JSON_C_TO_STRING_PRETTY) == 0)
		return true;
	perror(totals->command->json);
	return false;
}

int main(int argc, char **argv)
{
	struct command command = {};
	struct totals totals = { .command = &command };
	struct config config;
	bool ok;

	config_init(&config);
	if (argc == 2 && !strcmp(argv[1], "--help")) {
		config_help();
		return 0;
	}
	if (!config_parse(&config, &command, argc - 1, argv + 1))
		return 2;
	if (command.plot)
		return plot(&config, command.plot, command.plot_nodes);
	if (command.json)
		totals.runs = json_object_new_array();
	ok = command.runs ? run_file(&totals, &config) : run(&totals, "run", &config);
	if (command.tap && ok)
		printf("1..%u\n", totals.n);
	if (command.json && ok)
		ok = write_json(&totals);
	json_object_put(totals.runs);
	if (!ok)
		return 2;
	return totals.failed ? 1 : 0;
}
