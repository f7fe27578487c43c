// SPDX-License-Identifier: GPL-2.0
/*
 * Workloads: the next access of a thread. It depends only on the thread's own random numbers
 * and on how many accesses it has made.
 */
#include <stdio.h>
#include <stdlib.h>
#include "sim.h"
#include "trace.h"

const char *const workload_names[WORKLOADS] = {
	[WORK_UNIFORM]		 = "uniform",
	[WORK_ZIPF]		 = "zipf",
	[WORK_MIGRATORY]	 = "migratory",
	[WORK_PRODUCER_CONSUMER] = "producer-consumer",
	[WORK_FALSE_SHARING]	 = "false-sharing",
	[WORK_READ_MOSTLY]	 = "read-mostly",
	[WORK_STENCIL]		 = "stencil",
	[WORK_TRACE]		 = "trace",
};

const char *const home_policy_names[HOME_POLICIES] = {
	[HOME_INTERLEAVED]	= "interleaved",
	[HOME_CREATOR]		= "creator",
	[HOME_FIRST_TOUCH]	= "first-touch",
};

/* Any node reads a block, then writes it. */
static void migratory(struct sim *sim, struct thread *thread)
{
	thread->write = thread->step % 2;
	if (!thread->write)
		thread->block = rng_below(&thread->rng, sim->config->blocks);
}

/* A node writes one of its blocks, then reads one of each preceding node. */
static void producer_consumer(struct sim *sim, struct thread *thread)
{
	const struct config *config = sim->config;
	u64 own = config->blocks / config->nodes;
	u64 group = config->group < config->nodes ? config->group : config->nodes;
	u64 round = thread->step / group, who = thread->step % group;

	thread->write = !who;
	thread->block = (thread->node + config->nodes - who) % config->nodes * own + round % own;
}

/* The nodes of a group write different parts of one block. */
static void false_sharing(struct sim *sim, struct thread *thread)
{
	thread->write = true;
	thread->block = thread->node / sim->config->group;
}

/* Blocks in a ring, the same number for each node: read both neighbours', write an own one. */
static void stencil(struct sim *sim, struct thread *thread)
{
	const struct config *config = sim->config;
	u64 own = config->blocks / config->nodes, at = thread->step % (own + 2);
	u64 ring = own * config->nodes, first = thread->node * own;

	thread->write = at >= 2;
	if (at == 0)
		thread->block = (first + ring - 1) % ring;
	else if (at == 1)
		thread->block = (first + own) % ring;
	else
		thread->block = first + at - 2;
}

/**
 * * workload_next() - the next access of a thread
 * @sim: the cluster
 * @thread: the thread, whose access is set
 * @think: how long it does something else before
 *
 * Return: false at the end of a trace.
 */
bool workload_next(struct sim *sim, struct thread *thread, u64 *think)
{
	const struct config *config = sim->config;

	*think = dist_sample(&config->think, &thread->rng);
	switch ((enum workload)config->workload) {
	case WORK_ZIPF:
		thread->block = zipf_sample(sim->zipf, &thread->rng);
		thread->write = rng_chance(&thread->rng, config->write);
		break;
	case WORK_MIGRATORY:
		migratory(sim, thread);
		break;
	case WORK_PRODUCER_CONSUMER:
		producer_consumer(sim, thread);
		break;
	case WORK_FALSE_SHARING:
		false_sharing(sim, thread);
		break;
	case WORK_STENCIL:
		stencil(sim, thread);
		break;
	case WORK_TRACE:
		return trace_next(sim->trace, thread - sim->thread, &thread->trace_pos,
				  &thread->block, &thread->write, think);
	case WORK_READ_MOSTLY:
		thread->block = rng_below(&thread->rng, config->blocks);
		thread->write = rng_chance(&thread->rng, config->write / 10);
		break;
	default:
		thread->block = rng_below(&thread->rng, config->blocks);
		thread->write = rng_chance(&thread->rng, config->write);
		break;
	}
	thread->step++;
	return true;
}

static void thread_start(struct sim *sim, u32 number)
{
	struct thread *thread = &sim->thread[number];
	u64 think;

	if (!thread->left || !workload_next(sim, thread, &think))
		return;
	thread->left--;
	thread->start = think;
	sim->running++;
	sim_put(sim, think, EV_THREAD, number, 0);
}

static bool trace_threads(struct sim *sim)
{
	u32 n = trace_threads_count(sim->trace), i;

	sim->n_threads = n;
	sim->thread = calloc(n, sizeof(*sim->thread));
	if (!sim->thread)
		return false;
	for (i = 0; i < n; i++) {
		sim->thread[i].node = trace_thread(sim->trace, i, &sim->thread[i].trace_pos);
		sim->thread[i].left = UINT64_MAX;
		thread_start(sim, i);
	}
	return true;
}

bool workload_create(struct sim *sim)
{
	const struct config *config = sim->config;
	u64 n = config->nodes * config->threads, i;

	if (config->workload == WORK_TRACE) {
		sim->trace = trace_open(config->trace);
		return sim->trace && trace_threads(sim);
	}
	if (config->workload == WORK_ZIPF)
		sim->zipf = zipf_create(config->blocks, config->skew);
	sim->n_threads = n;
	sim->thread = calloc(n, sizeof(*sim->thread));
	if (!sim->thread)
		return false;
	for (i = 0; i < n; i++) {
		struct thread *thread = &sim->thread[i];

		thread->node = i / config->threads;
		thread->rng = rng_seed(config->seed, 16 + i);
		/* The threads of a node start at different places. */
		thread->step = i % config->threads * 2;
		thread->left = config->accesses / n + (i < config->accesses % n);
		thread_start(sim, i);
	}
	return true;
}
