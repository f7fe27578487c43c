// SPDX-License-Identifier: GPL-2.0
/*
 * The cost against the number of nodes: every workload with every number of nodes, drawn by
 * gnuplot.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "plot.h"
#include "report.h"

#define NODES_MAX	16
#define DEFAULT_NODES	"2,8,32,128,512,2048,4096"

/* Per node, at least. */
#define ACCESSES_MIN	100

struct panel {
	const char *title;
	const char *axis;
};

enum { PANEL_MESSAGES, PANEL_LATENCY, PANEL_DIRECTORY, PANELS };

static const struct panel panels[PANELS] = {
	[PANEL_MESSAGES] = { "Messages an access", "messages" },
	[PANEL_LATENCY] = { "Time of a fault, median", "us" },
	[PANEL_DIRECTORY] = { "Directory, a block at its home", "bytes" },
};

struct table {
	u32 nodes[NODES_MAX];
	u32 n;
	double value[PANELS][WORK_TRACE][NODES_MAX];
};

static bool parse_nodes(struct table *table, const char *text)
{
	const char *p = text;

	do {
		char *end;
		unsigned long n = strtoul(p, &end, 10);

		if (end == p || (*end && *end != ',') || n < 2 || n > MAX_NODES ||
		    table->n == NODES_MAX)
			return config_error("--plot-nodes %s: must be up to %u numbers from 2 to %u, with commas",
					    text, NODES_MAX, MAX_NODES);
		table->nodes[table->n++] = n;
		p = *end ? end + 1 : NULL;
	} while (p);
	return true;
}

static bool measure(struct table *table, const struct config *base, u32 workload, u32 i)
{
	struct config config = *base;
	struct figures f;
	struct sim *sim;
	bool ok;

	config.workload = workload;
	config.nodes = table->nodes[i];
	/* As in standing.runs: the same total with few nodes as with many. Half of them warm up. */
	if (config.accesses < ACCESSES_MIN * config.nodes)
		config.accesses = ACCESSES_MIN * config.nodes;
	config.warmup = config.accesses / 2;
	if (!config_complete(&config))
		return false;
	sim = sim_create(&config, NONE);
	if (!sim)
		return false;
	ok = sim_run(sim);
	report_figures(sim, &f);
	table->value[PANEL_MESSAGES][workload][i] = f.messages;
	table->value[PANEL_LATENCY][workload][i] = f.p50 / 1e3;
	table->value[PANEL_DIRECTORY][workload][i] = f.entry_bytes + f.sharers_block;
	printf("%s, %u nodes: %.3f messages an access, p50 %.1f us, busiest home %.1f%%, %.1f bytes a block\n",
	       workload_names[workload], table->nodes[i], f.messages, f.p50 / 1e3,
	       100 * f.busiest, f.entry_bytes + f.sharers_block);
	fflush(stdout);
	sim_destroy(sim);
	return ok;
}

static void draw(FILE *gnuplot, const struct table *table, const char *path, bool svg)
{
	u32 panel, work, i;

	fprintf(gnuplot, "set terminal %s\nset output '%s'\n",
		svg ? "svg size 1200,420 font 'sans-serif,11' background 'white'" : "png size 1200,420", path);
	fprintf(gnuplot, "set logscale x 2\nset xlabel 'nodes'\nset xtics 4\nset mytics 1\n"
			 "set multiplot layout 1,%u\n", PANELS);
	for (work = 0; work < WORK_TRACE; work++) {
		fprintf(gnuplot, "$W%u << EOD\n", work);
		for (i = 0; i < table->n; i++) {
			fprintf(gnuplot, "%u", table->nodes[i]);
			for (panel = 0; panel < PANELS; panel++)
				fprintf(gnuplot, " %.4f", table->value[panel][work][i]);
			fputc('\n', gnuplot);
		}
		fputs("EOD\n", gnuplot);
	}
	for (panel = 0; panel < PANELS; panel++) {
		/* The lines of the last panel leave room for the captions. */
		fprintf(gnuplot, "set title '%s'\nset ylabel '%s'\n%s\n%s\nplot ", panels[panel].title,
			panels[panel].axis,
			panel == PANEL_DIRECTORY ? "unset logscale y" : "set logscale y",
			panel == PANEL_DIRECTORY ? "set key top left" : "unset key");
		for (work = 0; work < WORK_TRACE; work++)
			fprintf(gnuplot, "%s$W%u using 1:%u with lines lw 2 title '%s'",
				work ? ", " : "", work, panel + 2, workload_names[work]);
		fputc('\n', gnuplot);
	}
	fputs("unset multiplot\n", gnuplot);
}

/**
 * * plot() - draw cost against nodes
 * @base: all options but workload and nodes; large clusters make more accesses
 * @path: ends in .svg or .png
 * @nodes: NULL, or numbers with commas
 *
 * Return: an exit status.
 */
int plot(const struct config *base, const char *path, const char *nodes)
{
	const char *end = strrchr(path, '.');
	struct table table = {};
	bool svg = end && !strcmp(end, ".svg");
	FILE *gnuplot;
	u32 work, i;
	int status;

	if ((!svg && (!end || strcmp(end, ".png"))) || strchr(path, '\'')) {
		config_error("--plot %s: must end in .svg or .png, without a quote in it", path);
		return 2;
	}
	if (!parse_nodes(&table, nodes ? nodes : DEFAULT_NODES))
		return 2;
	for (work = 0; work < WORK_TRACE; work++)
		for (i = 0; i < table.n; i++)
			if (!measure(&table, base, work, i))
				return 1;
	gnuplot = popen("gnuplot", "w");
	if (!gnuplot) {
		perror("dsm-sim: gnuplot");
		return 1;
	}
	draw(gnuplot, &table, path, svg);
	status = pclose(gnuplot);
	if (status)
		config_error("gnuplot has failed: is the package gnuplot-nox installed?");
	return status ? 1 : 0;
}
