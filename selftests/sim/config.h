/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _SIM_CONFIG_H
#define _SIM_CONFIG_H

#include "random.h"

#define MAX_NODES	4096
#define MAX_BLOCKS	(1U << 24)
#define MAX_THREADS	64

enum workload {
	WORK_UNIFORM,
	WORK_ZIPF,
	WORK_MIGRATORY,
	WORK_PRODUCER_CONSUMER,
	WORK_FALSE_SHARING,
	WORK_READ_MOSTLY,
	WORK_STENCIL,
	WORK_TRACE,
	WORKLOADS
};

enum home_policy {
	HOME_INTERLEAVED,
	HOME_CREATOR,
	HOME_FIRST_TOUCH,
	HOME_POLICIES
};

extern const char *const workload_names[WORKLOADS];
extern const char *const home_policy_names[HOME_POLICIES];

/* The options; --help describes each. Times are in ns, probabilities are parts of 2^64. */
struct config {
	u64 seed;
	u64 nodes;
	u64 threads;
	u64 accesses;
	u64 warmup;

	u64 workload;
	u64 blocks;
	u64 write;
	u64 skew;
	u64 group;
	const char *trace;
	struct dist think;
	u64 evict;
	u64 discard;
	struct dist free;
	u64 prefetch;

	u64 home;
	u64 chunk;
	u64 block_size;
	u64 hold;
	u64 stuck;

	u64 fault;
	u64 kernel;
	u64 helper;
	u64 wake;
	u64 revoke;
	struct dist latency;
	struct dist bandwidth;

	u64 loss;
	struct dist reconnect;
	u64 duplicate;
	u64 stall;
	struct dist stall_time;
	struct dist pause_every;
	struct dist pause_time;
	struct dist restart_every;
};

/* The command's options. */
struct command {
	const char *runs;
	const char *json;
	const char *plot;
	const char *plot_nodes;
	bool tap;
	bool speed;
};

void config_init(struct config *config);
bool config_parse(struct config *config, struct command *command, int argc, char **argv);
bool config_complete(struct config *config);
void config_help(void);

/* Reports what is wrong with the options, as printf does. Returns false. */
bool config_error(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif /* _SIM_CONFIG_H */
