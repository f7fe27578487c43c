// SPDX-License-Identifier: GPL-2.0
/*
 * Nodes: threads that fault, and the operations of module/engine.c, which drives the protocol.
 * A node's messages to itself are delivered after the event.
 *
 * The state changes when the service of an event begins. The event's messages leave when it
 * ends.
 */
#include <stdlib.h>
#include <string.h>
#include "sim.h"

/* The most steps that one event may cause by itself. */
#define STEPS_MAX	16

/* ------------------------------------------------------------------------
 * Copies and sharer sets
 */

static u64 copy_key(const struct sim *sim, u32 block, u16 node)
{
	return (u64)block * sim->config->nodes + node;
}

struct copy *node_copy_find(struct sim *sim, u32 block, u16 node)
{
	u32 i = index_find(&sim->copy_index, copy_key(sim, block, node));

	return i == NONE ? NULL : pool_at(&sim->copies, i);
}

static u32 copy_number(struct sim *sim, u32 block, u16 node)
{
	u32 fresh = sim->copies.n;
	u32 number = index_get(&sim->copy_index, copy_key(sim, block, node), fresh);

	if (number == fresh) {
		struct copy *copy = pool_at(&sim->copies, pool_get(&sim->copies));

		copy->block = block;
		copy->node = node;
		copy->waiting = NONE;
	}
	return number;
}

struct copy *node_copy(struct sim *sim, u32 block, u16 node)
{
	return pool_at(&sim->copies, copy_number(sim, block, node));
}

static u32 number_of(struct sim *sim, const struct copy *copy)
{
	return copy_number(sim, copy->block, copy->node);
}

static u16 home_of(struct sim *sim, u32 block, u16 toucher)
{
	const struct config *config = sim->config;
	u16 *home = &sim->block[block].home;

	if (*home != NO_HOME)
		return *home;
	switch ((enum home_policy)config->home) {
	case HOME_CREATOR:
		*home = 0;
		break;
	case HOME_FIRST_TOUCH: {
		/* All blocks of this block's chunk. */
		u32 first = block / config->chunk * config->chunk, i;

		for (i = first; i < first + config->chunk && i < config->blocks; i++)
			sim->block[i].home = toucher;
		break;
	}
	default:
		*home = block / config->chunk % config->nodes;
		break;
	}
	return *home;
}

/* The home's sharer set has memory only while there are sharers, as in module/chunk.c. */
static void sharers_reserve(struct sim *sim, struct block *block)
{
	struct node *home = &sim->node[block->home];
	u64 *sharers = sim->spare;

	if (block->dir.sharers != sim->no_sharers)
		return;
	if (sharers) {
		sim->spare = (u64 *)(uintptr_t)sharers[0];
		sharers[0] = 0;
	} else {
		sharers = calloc(sim->words, sizeof(u64));
		if (!sharers)
			abort();
	}
	block->dir.sharers = sharers;
	if (++home->bitmaps > home->bitmaps_max)
		home->bitmaps_max = home->bitmaps;
	if (++sim->bitmaps > sim->bitmaps_max)
		sim->bitmaps_max = sim->bitmaps;
}

static void sharers_release(struct sim *sim, struct block *block)
{
	u64 *sharers = block->dir.sharers;
	u32 i;

	if (sharers == sim->no_sharers)
		return;
	for (i = 0; i < sim->words; i++)
		if (sharers[i])
			return;
	sharers[0] = (uintptr_t)sim->spare;
	sim->spare = sharers;
	block->dir.sharers = sim->no_sharers;
	sim->node[block->home].bitmaps--;
	sim->bitmaps--;
}

/* ------------------------------------------------------------------------
 * Events of a block
 */

static bool usable(const struct dsm_line *line, bool write)
{
	return write ? dsm_line_writable(line) : dsm_line_readable(line);
}

static bool stable(const struct dsm_line *line)
{
	return line->state == DSM_LINE_I || line->state == DSM_LINE_S ||
	       line->state == DSM_LINE_M;
}

/**
 * * struct step - an event of a copy, while its consequences are carried out
 * @engine: the protocol at the copy's node
 * @sim: the cluster
 * @copy: the copy
 * @block: its block
 * @deferred: the home keeps the request being decided
 * @over: the event ends a transaction at the home, if it is its last event
 * @alone: the home alone answers: it grants what @requester asked for
 * @put: the home is asked to take what the node has
 * @requester: of the transaction before the event
 */
struct step {
	struct dsm_engine engine;
	struct sim *sim;
	struct copy *copy;
	struct block *block;
	bool deferred;
	bool over;
	bool alone;
	bool put;
	u16 requester;
};

static struct step *step_of(struct dsm_engine *engine)
{
	return (struct step *)((char *)engine - offsetof(struct step, engine));
}

static u32 next_req(struct sim *sim, u16 node)
{
	return ++sim->node[node].req;
}

static u32 message_keep(struct sim *sim, const struct dsm_coh_msg *coh, u32 block, u64 value)
{
	u32 i = pool_get(&sim->messages);
	struct message *msg = pool_at(&sim->messages, i);

	msg->coh = *coh;
	msg->block = block;
	msg->value = value;
	msg->next = NONE;
	return i;
}

static void engine_send(struct dsm_engine *engine, const struct dsm_coh_msg *coh)
{
	struct copy *copy = step_of(engine)->copy;
	struct sim *sim = step_of(engine)->sim;

	check_log(sim, LOG_SEND, copy, NULL, coh);
	if (coh->to >= sim->config->nodes || coh->from != copy->node) {
		check_fail(sim, copy->block, "node %u sends a message from %u to %u",
			   copy->node, coh->from, coh->to);
		return;
	}
	if (coh->type == DSM_DISCARDED)
		check_discarded(sim, copy->block);
	if (coh->type == DSM_PUT_S)
		copy->dropped = true;
	if (coh->to != copy->node) {
		copy->sending += coh->type == DSM_DATA;
		net_send(sim, coh, copy->block, copy->value);
		return;
	}
	if (sim->n_local == sim->size_local) {
		sim->size_local = 2 * sim->size_local + 64;
		sim->local = realloc(sim->local, sim->size_local * sizeof(*sim->local));
		if (!sim->local)
			abort();
	}
	sim->local[sim->n_local++] = message_keep(sim, coh, copy->block, copy->value);
	sim->stats.local++;
}

static void engine_revoke(struct dsm_engine *engine, u8 type)
{
	struct copy *copy = step_of(engine)->copy;
	struct sim *sim = step_of(engine)->sim;
	const struct config *config = sim->config;
	struct node *node = &sim->node[copy->node];

	if (copy->revoke)
		check_fail(sim, copy->block, "node %u is revoking already", copy->node);
	if (copy->fresh && sim->now < copy->hold_until)
		check_fail(sim, copy->block,
			   "node %u: a grant is taken away before its thread could use it",
			   copy->node);
	copy->fresh = false;
	copy->kept = false;
	copy->revoke = type;
	sim->stats.invalidations += type != DSM_ACT_CLEAN && copy->line.state != DSM_LINE_II_R;
	node->kernel_free = (node->kernel_free > sim->ctx_end ? node->kernel_free : sim->ctx_end) +
			    config->revoke;
	sim_put(sim, sim->ctx_end + config->revoke, EV_REVOKED, number_of(sim, copy), 0);
}

static void arm_hold(struct sim *sim, struct copy *copy)
{
	copy->hold_armed = true;
	sim_put(sim, copy->hold_until, EV_HOLD, number_of(sim, copy), ++copy->hold_no);
}

/*
 * Wake the waiting threads. A block that a thread has waited for is kept until the thread
 * could use it, whether the protocol knows that or not.
 */
static void engine_wake(struct dsm_engine *engine, bool begins)
{
	struct copy *copy = step_of(engine)->copy;
	struct sim *sim = step_of(engine)->sim;
	const struct config *config = sim->config;
	u32 i = copy->waiting;

	if (!dsm_line_outstanding(&copy->line)) {
		copy->kept |= copy->demanded;
		copy->demanded = false;
	}
	copy->waiting = NONE;
	while (i != NONE) {
		struct thread *thread = &sim->thread[i];

		copy->fresh |= usable(&copy->line, thread->write);
		sim_put(sim, sim->ctx_end + config->wake, EV_THREAD, i, 0);
		i = thread->next;
	}
	if (begins || copy->fresh)
		copy->hold_until = sim->now + config->hold;
}

/* A grant is to be kept for a while, so a thread must have wanted it. */
static bool engine_hold(struct dsm_engine *engine)
{
	struct copy *copy = step_of(engine)->copy;
	struct sim *sim = step_of(engine)->sim;

	sim->stats.held++;
	if (!copy->kept)
		check_fail(sim, copy->block, "node %u keeps a grant that no thread asked for",
			   copy->node);
	if (sim->now >= copy->hold_until)
		return false;
	arm_hold(sim, copy);
	return true;
}

static void engine_keep(struct dsm_engine *engine, const struct dsm_coh_msg *coh)
{
	struct block *block = step_of(engine)->block;
	struct sim *sim = step_of(engine)->sim;
	u32 i = message_keep(sim, coh, step_of(engine)->copy->block, 0);

	if (block->first == NONE)
		block->first = i;
	else
		((struct message *)pool_at(&sim->messages, block->final))->next = i;
	block->final = i;
	sim->stats.deferred++;
	step_of(engine)->deferred = true;
}

static bool engine_next(struct dsm_engine *engine, struct dsm_coh_msg *coh)
{
	struct block *block = step_of(engine)->block;
	struct sim *sim = step_of(engine)->sim;
	u32 next = block->first;
	struct message *msg;

	if (next == NONE || sim->failed)
		return false;
	msg = pool_at(&sim->messages, next);
	*coh = msg->coh;
	block->first = msg->next;
	pool_put(&sim->messages, next);
	return true;
}

/* Checked only where that is fast: no node requests a block twice. */
static bool engine_kept(struct dsm_engine *engine, u16 from, u8 type)
{
	struct block *block = step_of(engine)->block;
	struct sim *sim = step_of(engine)->sim;
	const struct message *msg;
	u32 i;

	for (i = block->first; i != NONE && sim->config->nodes <= 64; i = msg->next) {
		msg = pool_at(&sim->messages, i);
		if (msg->coh.from == from && msg->coh.type == type)
			return true;
	}
	return false;
}

static bool for_requester(u8 type)
{
	return type == DSM_FWD_GET_S || type == DSM_FWD_GET_M || type == DSM_INV;
}

/* Does the home accept what a node asks it to take, if the node has it? */
static bool owns(const struct dsm_dir *dir, u16 node)
{
	return dir->state != DSM_DIR_ZERO && dir->owner == node;
}

static void engine_deciding(struct dsm_engine *engine, const struct dsm_event *ev)
{
	struct step *step = step_of(engine);
	const struct dsm_dir *dir = engine->coh.dir;
	bool msg = dir && ev->type == DSM_EV_MSG;
	struct sim *sim = step->sim;

	step->deferred = false;
	step->over = msg && dir->busy && (ev->msg.type == DSM_DONE || ev->msg.type == DSM_INV_ACK);
	if (step->over)
		step->requester = dir->requester;
	step->alone = step->over && ev->msg.type == DSM_DONE && ev->msg.from != step->requester;
	if (step->over && dir->busy == DSM_GET_S)
		sharers_reserve(sim, step->block);
	step->put = msg && !dir->busy && ev->msg.type == DSM_PUT_M &&
		    owns(dir, ev->msg.from);
	check_log(sim, LOG_EVENT, step->copy, ev, &ev->msg);
	sim->events++;
}

/* Requests are served in the order of arrival, and none is lost. */
static void check_order(const struct step *step, const struct dsm_event *ev)
{
	const struct block *block = step->block;
	u32 number = step->copy->block;
	bool waited = step->engine.serving;

	if (ev->type == DSM_EV_MSG && dsm_engine_is_request(ev->msg.type)) {
		if (waited && step->deferred)
			check_fail(step->sim, number, "a request that had waited is put behind others");
		if (!waited && !step->deferred && block->first != NONE)
			check_fail(step->sim, number,
				   "a request is served before others that came first");
	}
}

static void engine_decided(struct dsm_engine *engine, const struct dsm_event *ev,
			   enum dsm_coh_result result)
{
	struct step *step = step_of(engine);
	const struct dsm_dir *dir = engine->coh.dir;
	struct copy *copy = step->copy;
	struct sim *sim = step->sim;

	if (result != DSM_COH_OK) {
		check_fail(sim, copy->block, "node %u refuses an event", copy->node);
		return;
	}
	if (engine->coh.n_actions > DSM_ACTIONS_MAX)
		check_fail(sim, copy->block, "%u actions", engine->coh.n_actions);
	if (copy->line.discards != copy->discards)
		check_fail(sim, copy->block, "node %u %s", copy->node, copy->discards ?
			   "does not wait for its discard" : "waits for a discard that is over");
	check_access(sim, copy);
	if (!dir)
		return;
	if (ev->type == DSM_EV_MSG && ev->msg.type == DSM_PUT_S && !step->deferred)
		node_copy_find(sim, copy->block, ev->msg.from)->dropped = false;
	if (step->put && !dir->busy && !engine->pull)
		check_fail(sim, copy->block, "the home does not take the block as requested");
	if (step->alone)
		check_granted(sim, copy->block, step->requester, ev->msg.req,
			      ev->msg.flags & DSM_WIRE_MODIFIED);
	if (step->over && !dir->busy) {
		check_transaction(sim, copy->block);
		sharers_release(sim, step->block);
	}
	sim->node[copy->node].handled++;
	check_order(step, ev);
}

static const struct dsm_engine_ops engine_ops = {
	.send = engine_send,
	.keep = engine_keep,
	.next = engine_next,
	.kept = engine_kept,
	.revoke = engine_revoke,
	.hold = engine_hold,
	.wake = engine_wake,
	.deciding = engine_deciding,
	.decided = engine_decided,
};

/* An event, and its consequences that need no message. */
static void event(struct sim *sim, struct copy *copy, const struct dsm_event *first)
{
	struct block *block = &sim->block[copy->block];
	struct step step = {
		.engine = {
			.coh = {
				.self = copy->node,
				.home = block->home,
				.nodes = sim->config->nodes,
				.line = &copy->line,
			},
			.ops = &engine_ops,
			.writes_kept = &block->writes_kept,
		},
		.sim = sim, .copy = copy, .block = block,
	};
	struct dsm_event ev = *first;
	u32 n;

	if (block->home == copy->node)
		step.engine.coh.dir = &block->dir;
	for (n = 0; !sim->failed; n++) {
		if (n == STEPS_MAX)
			check_fail(sim, copy->block, "node %u: an event has no end", copy->node);
		if (dsm_engine_step(&step.engine, &ev) != DSM_COH_OK && !sim->failed)
			check_fail(sim, copy->block, "node %u asks again, and its request waits",
				   ev.msg.from);
		if (step.engine.coh.dir && !block->dir.busy && block->first != NONE && !sim->failed)
			check_fail(sim, copy->block, "requests wait, and none is served");
		if (!dsm_engine_follow(&step.engine, &ev))
			return;
		if (ev.type == DSM_EV_WRITE)
			ev.req = next_req(sim, copy->node);
	}
}

static void take(struct sim *sim, const struct dsm_coh_msg *coh, u32 block, u64 value)
{
	struct copy *copy = node_copy(sim, block, coh->to);
	struct dsm_event ev = { .type = DSM_EV_MSG, .msg = *coh };

	if (coh->type == DSM_DATA)
		copy->value = value;
	else if (coh->type == DSM_GRANT && (coh->flags & DSM_WIRE_ZERO))
		copy->value = 0;
	if (coh->type == DSM_DISCARDED)
		copy->discards = false;
	if (dsm_engine_is_request(coh->type) || coh->type == DSM_DONE)
		sim->stats.at_homes++;
	event(sim, copy, &ev);
}

/* Deliver the node's messages to itself. */
static void run_local(struct sim *sim)
{
	u32 i;

	for (i = 0; i < sim->n_local && !sim->failed; i++) {
		struct message *kept = pool_at(&sim->messages, sim->local[i]), msg = *kept;

		pool_put(&sim->messages, sim->local[i]);
		take(sim, &msg.coh, msg.block, msg.value);
	}
	sim->n_local = 0;
}

/* A message from another node. @ctx_end has been set. */
void node_message(struct sim *sim, const struct dsm_coh_msg *coh, u32 block, u64 value)
{
	take(sim, coh, block, value);
	run_local(sim);
}

static bool paused(struct sim *sim, u16 node, u8 type, u32 arg, u16 extra)
{
	if (sim->node[node].paused_until <= sim->now)
		return false;
	sim_put(sim, sim->node[node].paused_until, type, arg, extra);
	return true;
}

void node_revoked(struct sim *sim, u32 number)
{
	struct copy *copy = pool_at(&sim->copies, number);
	struct dsm_event ev = { .type = DSM_EV_REVOKED };

	if (paused(sim, copy->node, EV_REVOKED, number, 0))
		return;
	sim->ctx_end = sim->now;
	check_revoked(sim, copy);
	/* Bytes that are still being sent stay, as in the module. */
	if (copy->revoke == DSM_ACT_DROP && !copy->sending) {
		copy->value = 0;
		sim->stats.freed++;
	}
	copy->revoke = 0;
	event(sim, copy, &ev);
	run_local(sim);
	if (sim->config->free.a && copy->line.state == DSM_LINE_I && copy->value)
		sim_put(sim, sim->now + dist_sample(&sim->config->free, &sim->fault_rng), EV_FREE,
			number, 0);
}

/* Its state may have changed since: the protocol decides whether it can be freed. */
void node_free(struct sim *sim, u32 number)
{
	struct copy *copy = pool_at(&sim->copies, number);

	if (paused(sim, copy->node, EV_FREE, number, 0))
		return;
	sim->ctx_end = sim->now + sim->config->kernel;
	event(sim, copy, &(struct dsm_event){ .type = DSM_EV_FREE });
	run_local(sim);
}

void node_hold(struct sim *sim, u32 number, u16 hold_no)
{
	struct copy *copy = pool_at(&sim->copies, number);
	struct dsm_event ev = { .type = DSM_EV_HOLD_OVER };

	if (!copy->hold_armed || copy->hold_no != hold_no ||
	    paused(sim, copy->node, EV_HOLD, number, hold_no))
		return;
	copy->hold_armed = false;
	sim->ctx_end = sim->now + sim->config->kernel;
	event(sim, copy, &ev);
	run_local(sim);
}

/* ------------------------------------------------------------------------
 * Threads
 */

static void ask(struct sim *sim, struct copy *copy, bool write, bool prefetch)
{
	struct dsm_event ev = {
		.type = write ? DSM_EV_WRITE : DSM_EV_READ,
		.prefetch = prefetch,
		.req = next_req(sim, copy->node),
	};

	copy->demanded |= !prefetch;
	event(sim, copy, &ev);
	run_local(sim);
}

/* A miss that continues a sequence starts readahead. */
static void prefetch_ahead(struct sim *sim, const struct thread *thread)
{
	struct node *node = &sim->node[thread->node];
	u64 n = sim->config->prefetch, i;
	u64 end = thread->block + 1 + n;

	if (end > sim->config->blocks)
		end = sim->config->blocks;
	if (thread->block != node->seq_next || !n) {
		node->seq_next = thread->block + 1;
		return;
	}
	node->seq_next = end;
	for (i = thread->block + 1; i < end; i++) {
		struct block *block = &sim->block[i];
		struct copy *copy;

		/* Only where later requests would cost something. */
		if (home_of(sim, i, thread->node) == thread->node &&
		    block->dir.state == DSM_DIR_ZERO)
			continue;
		copy = node_copy(sim, i, thread->node);
		if (!stable(&copy->line) || usable(&copy->line, thread->write))
			continue;
		sim->stats.prefetches++;
		block->touched = true;
		ask(sim, copy, thread->write, true);
	}
}

/* The access is complete. The next one follows after the thread's think time. */
static void done(struct sim *sim, u32 number)
{
	const struct config *config = sim->config;
	struct thread *thread = &sim->thread[number];
	struct copy *copy;
	u64 think;

	sim->accesses++;
	sim->ended = sim->now;
	sim->stats.accesses++;
	sim->stats.writes += thread->write;
	if (thread->waits)
		histogram_add(&sim->stats.latency, sim->now - thread->start);
	thread->waits = false;
	if (!sim->warm && sim->accesses >= config->warmup) {
		memset(&sim->stats, 0, sizeof(sim->stats));
		sim->stats.start = sim->now;
		sim->warm = true;
	}
	if (config->evict && rng_chance(&sim->fault_rng, config->evict)) {
		copy = node_copy(sim, thread->block, thread->node);
		sim->ctx_end = sim->now + config->fault;
		event(sim, copy, &(struct dsm_event){ .type = DSM_EV_EVICT,
						      .req = next_req(sim, thread->node) });
		run_local(sim);
	}
	if (config->discard && rng_chance(&sim->fault_rng, config->discard)) {
		copy = node_copy(sim, thread->block, thread->node);
		copy->discards = true;
		sim->stats.discards++;
		sim->ctx_end = sim->now + config->fault;
		event(sim, copy, &(struct dsm_event){ .type = DSM_EV_DISCARD,
						      .req = next_req(sim, thread->node) });
		run_local(sim);
	}
	if (!thread->left || !workload_next(sim, thread, &think)) {
		sim->running--;
		thread->left = 0;
		return;
	}
	thread->left--;
	thread->start = sim->now + think;
	sim_put(sim, thread->start, EV_THREAD, number, 0);
}

/* The fault's end, like dsm_block_use() with the folio locked. */
static bool use(struct sim *sim, struct copy *copy, bool write)
{
	u64 settled = sim->now + SETTLE_NS;

	if (!usable(&copy->line, write))
		return false;
	copy->fresh = false;
	if (copy->line.held && settled < copy->hold_until) {
		copy->hold_until = settled;
		if (copy->hold_armed)
			arm_hold(sim, copy);
	}
	check_use(sim, copy, write);
	return true;
}

/* The thread has no access: it faults, or returns from waiting. */
static void fault(struct sim *sim, u32 number, struct copy *copy)
{
	struct thread *thread = &sim->thread[number];
	bool first = !thread->waits;

	if (first) {
		thread->waits = true;
		sim->stats.faults++;
		sim->ctx_end = sim->now + sim->config->fault;
	} else {
		if (use(sim, copy, thread->write)) {
			done(sim, number);
			return;
		}
		sim->ctx_end = sim->now;
		sim->stats.retries += stable(&copy->line);
	}
	ask(sim, copy, thread->write, false);
	if (sim->failed)
		return;
	if (usable(&copy->line, thread->write)) {
		sim_put(sim, sim->ctx_end, EV_THREAD, number, 0);
		return;
	}
	if (first)
		prefetch_ahead(sim, thread);
	thread->next = copy->waiting;
	copy->waiting = number;
}

void node_thread(struct sim *sim, u32 number)
{
	struct thread *thread = &sim->thread[number];
	struct copy *copy;

	if (paused(sim, thread->node, EV_THREAD, number, 0))
		return;
	copy = node_copy(sim, thread->block, thread->node);
	if (!thread->waits) {
		home_of(sim, thread->block, thread->node);
		sim->block[thread->block].touched = true;
		if (copy->access > thread->write) {
			check_use(sim, copy, thread->write);
			done(sim, number);
			return;
		}
	}
	fault(sim, number, copy);
}

static void prefetch_copy(struct sim *sim, u32 block, u16 node, bool near)
{
	u64 key = copy_key(sim, block, node);
	u32 i;

	if (!near) {
		index_prefetch(&sim->copy_index, key);
		__builtin_prefetch(&sim->block[block], 1);
		return;
	}
	i = index_find(&sim->copy_index, key);
	if (i != NONE)
		__builtin_prefetch(pool_at(&sim->copies, i), 1);
}

/*
 * Predicts what an event will access. In a large cluster nearly all time is spent waiting for
 * memory.
 */
void node_prefetch(struct sim *sim, const struct event *event, bool near)
{
	const struct thread *thread;
	const struct frame *frame;
	const struct copy *copy;

	switch ((enum sim_event)event->type) {
	case EV_ARRIVE:
	case EV_SERVICE:
		frame = pool_at(&sim->frames, event->arg);
		net_prefetch(sim, frame->coh.from, frame->coh.to, near);
		if (frame->coh.type == DSM_ACK)
			break;
		prefetch_copy(sim, frame->block, frame->coh.to, near);
		if (for_requester(frame->coh.type))
			net_prefetch(sim, frame->coh.to, frame->coh.node, near);
		break;
	case EV_THREAD:
		thread = &sim->thread[event->arg];
		prefetch_copy(sim, thread->block, thread->node, near);
		if (sim->block[thread->block].home != NO_HOME)
			net_prefetch(sim, thread->node, sim->block[thread->block].home, near);
		break;
	case EV_REVOKED:
	case EV_HOLD:
	case EV_FREE:
		copy = pool_at(&sim->copies, event->arg);
		if (near)
			net_prefetch(sim, copy->node, copy->line.fwd.node, near);
		else
			__builtin_prefetch(copy, 1);
		break;
	case EV_ACK:
		net_prefetch_pair(sim, event->arg);
		break;
	default:
		break;
	}
}

bool node_create(struct sim *sim)
{
	const struct config *config = sim->config;
	u32 i;

	sim->node = calloc(config->nodes, sizeof(*sim->node));
	sim->block = calloc(config->blocks, sizeof(*sim->block));
	sim->words = (config->nodes + 63) / 64;
	sim->no_sharers = calloc(sim->words, sizeof(u64));
	if (!sim->node || !sim->block || !sim->no_sharers)
		return false;
	for (i = 0; i < config->nodes; i++)
		sim->node[i].seq_next = UINT64_MAX;
	for (i = 0; i < config->blocks; i++) {
		sim->block[i].dir.sharers = sim->no_sharers;
		sim->block[i].home = NO_HOME;
		sim->block[i].first = NONE;
	}
	pool_init(&sim->copies, sizeof(struct copy));
	pool_init(&sim->messages, sizeof(struct message));
	return true;
}
