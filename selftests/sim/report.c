// SPDX-License-Identifier: GPL-2.0
/* The figures of a run, as text and as JSON. */
#include <json-c/json.h>
#include <stdio.h>
#include <string.h>
#include "report.h"

static double ratio(u64 a, u64 b)
{
	return b ? (double)a / b : 0;
}

/* The memory of directory and copies, by the protocol's own structures. */
static void memory(const struct sim *sim, struct figures *f)
{
	u32 i, touched = 0;
	u64 most = 0, bitmap = sim->words * sizeof(u64);

	for (i = 0; i < sim->config->blocks; i++)
		touched += sim->block[i].touched;
	for (i = 0; i < sim->config->nodes; i++)
		if (sim->node[i].bitmaps_max > most)
			most = sim->node[i].bitmaps_max;
	f->blocks = touched;
	f->entry_bytes = sizeof(struct dsm_dir);
	f->line_bytes = sizeof(struct dsm_line);
	f->sharers_bytes = bitmap;
	f->sharers_block = ratio(sim->bitmaps_max * bitmap, touched);
	f->sharers_home = most * bitmap;
}

void report_figures(const struct sim *sim, struct figures *f)
{
	const struct stats *stats = &sim->stats;
	u64 handled = 0, most = 0;
	u32 i;

	memset(f, 0, sizeof(*f));
	for (i = 0; i < sim->config->nodes; i++) {
		handled += sim->node[i].handled;
		if (sim->node[i].handled > most)
			most = sim->node[i].handled;
	}
	f->messages = ratio(stats->messages, stats->accesses);
	f->bytes = ratio(stats->bytes, stats->accesses);
	f->fault_messages = ratio(stats->messages, stats->faults);
	f->busiest = ratio(most, handled);
	f->p50 = histogram_percentile(&stats->latency, 50);
	f->p90 = histogram_percentile(&stats->latency, 90);
	f->p99 = histogram_percentile(&stats->latency, 99);
	memory(sim, f);
}

static void add_number(struct json_object *object, const char *name, u64 value)
{
	json_object_object_add(object, name, json_object_new_uint64(value));
}

/* Enough digits to be meaningful, and the same on every machine. */
static void add_ratio(struct json_object *object, const char *name, double value)
{
	char text[32];

	snprintf(text, sizeof(text), "%.4f", value);
	json_object_object_add(object, name, json_object_new_double_s(value, text));
}

static struct json_object *counters(const struct stats *stats)
{
	struct json_object *object = json_object_new_object();

	add_number(object, "accesses", stats->accesses);
	add_number(object, "writes", stats->writes);
	add_number(object, "faults", stats->faults);
	add_number(object, "retries", stats->retries);
	add_number(object, "prefetches", stats->prefetches);
	add_number(object, "messages", stats->messages);
	add_number(object, "data_messages", stats->data);
	add_number(object, "local_messages", stats->local);
	add_number(object, "frames", stats->frames);
	add_number(object, "acks", stats->acks);
	add_number(object, "bytes", stats->bytes);
	add_number(object, "invalidations", stats->invalidations);
	add_number(object, "held", stats->held);
	add_number(object, "deferred", stats->deferred);
	add_number(object, "discards", stats->discards);
	add_number(object, "freed", stats->freed);
	add_number(object, "lost", stats->lost);
	add_number(object, "resent", stats->resent);
	add_number(object, "duplicates", stats->duplicates);
	add_number(object, "reconnects", stats->reconnects);
	add_number(object, "pauses", stats->pauses);
	add_number(object, "restarts", stats->restarts);
	return object;
}

struct json_object *report_json(const struct sim *sim, const char *name)
{
	struct json_object *object = json_object_new_object(), *latency, *directory;
	const struct stats *stats = &sim->stats;
	struct figures f;

	report_figures(sim, &f);
	json_object_object_add(object, "name", json_object_new_string(name));
	json_object_object_add(object, "workload",
			       json_object_new_string(workload_names[sim->config->workload]));
	add_number(object, "seed", sim->config->seed);
	add_number(object, "nodes", sim->config->nodes);
	add_number(object, "blocks", sim->config->blocks);
	json_object_object_add(object, "passed", json_object_new_boolean(!sim->failed));
	add_number(object, "simulated_ns", sim->ended);
	add_number(object, "protocol_events", sim->events);
	json_object_object_add(object, "counters", counters(stats));
	add_ratio(object, "messages_per_access", f.messages);
	add_ratio(object, "messages_per_fault", f.fault_messages);
	add_ratio(object, "bytes_per_access", f.bytes);
	add_ratio(object, "busiest_home_share", f.busiest);
	latency = json_object_new_object();
	add_number(latency, "p50", f.p50);
	add_number(latency, "p90", f.p90);
	add_number(latency, "p99", f.p99);
	add_number(latency, "max", stats->latency.max);
	json_object_object_add(object, "fault_latency_ns", latency);
	directory = json_object_new_object();
	add_number(directory, "blocks_touched", f.blocks);
	add_number(directory, "entry_bytes", f.entry_bytes);
	add_number(directory, "line_bytes", f.line_bytes);
	add_number(directory, "sharer_set_bytes", f.sharers_bytes);
	add_ratio(directory, "sharer_bytes_per_block", f.sharers_block);
	add_number(directory, "sharer_bytes_busiest_home", f.sharers_home);
	json_object_object_add(object, "directory", directory);
	return object;
}

void report_print(const struct sim *sim)
{
	const struct stats *stats = &sim->stats;
	struct figures f;

	report_figures(sim, &f);
	printf("%s, %llu nodes, %llu blocks, seed %llu: %.3f ms simulated, %llu protocol events\n",
	       workload_names[sim->config->workload], (unsigned long long)sim->config->nodes,
	       (unsigned long long)sim->config->blocks, (unsigned long long)sim->config->seed,
	       sim->ended / 1e6, (unsigned long long)sim->events);
	printf("  accesses       %llu, of which %llu wrote and %llu faulted\n",
	       (unsigned long long)stats->accesses, (unsigned long long)stats->writes,
	       (unsigned long long)stats->faults);
	printf("  an access      %.3f messages, %.1f bytes; a fault %.3f messages\n", f.messages,
	       f.bytes, f.fault_messages);
	printf("  a fault takes  p50 %.1f us, p90 %.1f, p99 %.1f, max %.1f\n", f.p50 / 1e3,
	       f.p90 / 1e3, f.p99 / 1e3, stats->latency.max / 1e3);
	printf("  busiest home   %.2f%% of the work of homes\n", 100 * f.busiest);
	printf("  directory      %u bytes a block at home, sharer sets of %u: %.1f a block, %llu at the worst home\n",
	       f.entry_bytes, f.sharers_bytes, f.sharers_block,
	       (unsigned long long)f.sharers_home);
	printf("  network        %llu frames, %llu of them acks; %llu lost, %llu sent again, %llu came twice\n",
	       (unsigned long long)stats->frames, (unsigned long long)stats->acks,
	       (unsigned long long)stats->lost, (unsigned long long)stats->resent,
	       (unsigned long long)stats->duplicates);
}
