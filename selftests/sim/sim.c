// SPDX-License-Identifier: GPL-2.0
/* A run, from its start to the moment when nothing happens any more. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "sim.h"
#include "trace.h"

/* Streams of random numbers. Those of threads start at 16. */
enum { STREAM_NET, STREAM_FAULTS };

/* Prefetches what happen() will need. */
static void soon(void *context, const struct event *event, bool near)
{
	node_prefetch(context, event, near);
}

/* @watched: the block whose steps are kept for a report, or NONE */
struct sim *sim_create(const struct config *config, u32 watched)
{
	struct sim *sim = calloc(1, sizeof(*sim));

	if (!sim)
		return NULL;
	sim->config = config;
	sim->watched = watched;
	sim->net_rng = rng_seed(config->seed, STREAM_NET);
	sim->fault_rng = rng_seed(config->seed, STREAM_FAULTS);
	sim->warm = !config->warmup;
	if (check_create(sim) && node_create(sim) && net_create(sim) && workload_create(sim)) {
		sim->queue.soon = soon;
		sim->queue.context = sim;
		sim_put(sim, config->stuck, EV_SWEEP, 0, 0);
		return sim;
	}
	sim_destroy(sim);
	return NULL;
}

void sim_destroy(struct sim *sim)
{
	u32 i;

	for (i = 0; sim->block && i < sim->config->blocks; i++)
		if (sim->block[i].dir.sharers != sim->no_sharers)
			free(sim->block[i].dir.sharers);
	while (sim->spare) {
		u64 *next = (u64 *)(uintptr_t)sim->spare[0];

		free(sim->spare);
		sim->spare = next;
	}
	queue_free(&sim->queue);
	pool_destroy(&sim->copies);
	pool_destroy(&sim->messages);
	pool_destroy(&sim->frames);
	pool_destroy(&sim->pairs);
	index_destroy(&sim->copy_index);
	index_destroy(&sim->pair_index);
	zipf_destroy(sim->zipf);
	trace_close(sim->trace);
	check_destroy(sim);
	free(sim->acks.timer);
	free(sim->no_sharers);
	free(sim->node);
	free(sim->thread);
	free(sim->block);
	free(sim->local);
	free(sim);
}

static void happen(struct sim *sim, const struct event *event)
{
	switch ((enum sim_event)event->type) {
	case EV_ARRIVE:
		net_arrive(sim, event->arg);
		break;
	case EV_SERVICE:
		net_service(sim, event->arg);
		break;
	case EV_THREAD:
		node_thread(sim, event->arg);
		break;
	case EV_REVOKED:
		node_revoked(sim, event->arg);
		break;
	case EV_HOLD:
		node_hold(sim, event->arg, event->extra);
		break;
	case EV_FREE:
		node_free(sim, event->arg);
		break;
	case EV_ACK:
		net_ack(sim, event->arg, event->extra);
		break;
	case EV_RECONNECT:
		net_reconnect(sim, event->arg);
		break;
	case EV_PAUSE:
		net_pause(sim, event->arg);
		break;
	case EV_RESTART:
		net_restart(sim, event->arg);
		break;
	case EV_SWEEP:
		check_stuck(sim);
		break;
	}
}

static void run(struct sim *sim)
{
	struct event event;

	while (!sim->failed && queue_take(&sim->queue, &event)) {
		sim->now = event.time;
		happen(sim, &event);
	}
	if (!sim->failed)
		check_quiet(sim);
}

/* The same run again, for the steps that led to the violation. */
static void tell(const struct sim *sim)
{
	struct sim *again = sim_create(sim->config, sim->suspect);

	if (!again)
		abort();
	run(again);
	if (!again->failed || again->suspect != sim->suspect || again->now != sim->now)
		fprintf(stderr, "# violation: seed %llu, %.3f us, block %u: and not the next time: the simulator is wrong\n",
			(unsigned long long)sim->config->seed, sim->now / 1000.0, sim->suspect);
	sim_destroy(again);
}

/* Returns whether all invariants held. A violation is reported on stderr. */
bool sim_run(struct sim *sim)
{
	run(sim);
	if (sim->failed)
		tell(sim);
	return !sim->failed;
}
