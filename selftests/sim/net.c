// SPDX-License-Identifier: GPL-2.0
/*
 * The network: a model of module/peer.c, the helper and the wire.
 *
 * Messages between two nodes are numbered, and kept until they are acknowledged by the next
 * frame in the other direction or by an ACK. A connection delivers frames in order,
 * independently of other connections: if it stalls, frames of others overtake its frames. A
 * lost frame breaks its connection and loses everything on its way in both directions. When
 * the connection is up again, all unacknowledged messages are sent again, and the receiver
 * drops those whose numbers it has.
 */
#include <stdlib.h>
#include "sim.h"

#define NS_PER_S	1000000000ULL

/* How many timers ahead a pair is prefetched into the caches. */
#define ACKS_AHEAD	4

static struct pair *pair_at(struct sim *sim, u32 number)
{
	return pool_at(&sim->pairs, number);
}

static u64 pair_key(const struct sim *sim, u16 a, u16 b)
{
	u16 low = a < b ? a : b, high = a < b ? b : a;

	return (u64)low * sim->config->nodes + high;
}

static u32 pair_number(struct sim *sim, u16 a, u16 b)
{
	u32 fresh = sim->pairs.n;
	u32 number = index_get(&sim->pair_index, pair_key(sim, a, b), fresh);
	struct pair *pair;

	if (number == fresh) {
		pair = pair_at(sim, pool_get(&sim->pairs));
		pair->node[0] = a < b ? a : b;
		pair->node[1] = a < b ? b : a;
		pair->up = true;
		pair->side[0].first = NONE;
		pair->side[1].first = NONE;
	}
	return number;
}

static u64 later(u64 a, u64 b)
{
	return a > b ? a : b;
}

/* ------------------------------------------------------------------------
 * Frames
 */

static void disconnect(struct sim *sim, u32 number)
{
	struct pair *pair = pair_at(sim, number);

	if (!pair->up)
		return;
	pair->up = false;
	pair->epoch++;
	sim_put(sim, sim->now + dist_sample(&sim->config->reconnect, &sim->fault_rng),
		EV_RECONNECT, number, 0);
}

/* Through the helper, the card and the link. The module requests it at @from. */
static u64 travel(struct sim *sim, struct pair *pair, int s, u64 from, u32 bytes)
{
	const struct config *config = sim->config;
	struct node *node = &sim->node[pair->node[s]];
	u64 time;

	node->helper_free = later(from, node->helper_free) + config->helper;
	node->card_free = later(node->helper_free, node->card_free) + bytes * node->ps_byte / 1000;
	time = node->card_free + dist_sample(&config->latency, &sim->net_rng);
	if (rng_chance(&sim->fault_rng, config->stall))
		time += dist_sample(&config->stall_time, &sim->fault_rng);
	pair->arrives[s] = later(pair->arrives[s], time);
	return pair->arrives[s];
}

static void put_frame(struct sim *sim, u32 number, int s, const struct message *msg, u64 time)
{
	struct pair *pair = pair_at(sim, number);
	u32 i = pool_get(&sim->frames);
	struct frame *frame = pool_at(&sim->frames, i);

	*frame = (struct frame){
		.pair = number, .epoch = pair->epoch, .ack = pair->side[s].rx_seq,
	};
	if (msg) {
		frame->coh = msg->coh;
		frame->block = msg->block;
		frame->seq = msg->seq;
		frame->value = msg->value;
	} else {
		frame->coh = (struct dsm_coh_msg){
			.type = DSM_ACK, .from = pair->node[s], .to = pair->node[!s],
		};
	}
	pair->side[s].acked = frame->ack;
	sim_put(sim, time, EV_ARRIVE, i, 0);
}

/* @msg: NULL for an ACK */
static void transmit(struct sim *sim, u32 number, int s, const struct message *msg)
{
	const struct config *config = sim->config;
	struct pair *pair = pair_at(sim, number);
	u32 bytes = HEADER_BYTES;
	u64 time;

	if (!pair->up)
		return;
	if (msg && msg->coh.type == DSM_DATA)
		bytes += config->block_size;
	sim->stats.frames++;
	sim->stats.bytes += bytes;
	time = travel(sim, pair, s, sim->ctx_end, bytes);
	if (rng_chance(&sim->fault_rng, config->loss)) {
		sim->stats.lost++;
		disconnect(sim, number);
		return;
	}
	put_frame(sim, number, s, msg, time);
	if (rng_chance(&sim->fault_rng, config->duplicate))
		put_frame(sim, number, s, msg, time);
}

static void keep(struct sim *sim, struct side *side, const struct message *msg)
{
	u32 i = pool_get(&sim->messages);
	struct message *last;

	*(struct message *)pool_at(&sim->messages, i) = *msg;
	if (side->first == NONE) {
		side->first = i;
	} else {
		last = pool_at(&sim->messages, side->final);
		last->next = i;
	}
	side->final = i;
}

/* The bytes of DATA are those that its sender has now. */
void net_send(struct sim *sim, const struct dsm_coh_msg *coh, u32 block, u64 value)
{
	u32 number = pair_number(sim, coh->from, coh->to);
	struct pair *pair = pair_at(sim, number);
	int s = coh->from == pair->node[1];
	struct message msg = {
		.coh = *coh, .block = block, .value = value, .next = NONE,
		.seq = ++pair->side[s].tx_seq,
	};

	if (!msg.seq)
		check_fail(sim, block, "node %u: no number is left for node %u", coh->from, coh->to);
	if (sim->resends)
		keep(sim, &pair->side[s], &msg);
	sim->stats.messages++;
	sim->stats.data += coh->type == DSM_DATA;
	transmit(sim, number, s, &msg);
}

void net_reconnect(struct sim *sim, u32 number)
{
	struct pair *pair = pair_at(sim, number);
	int s;

	pair->up = true;
	sim->stats.reconnects++;
	sim->ctx_end = sim->now;
	for (s = 0; s < 2; s++) {
		u32 i = pair->side[s].first;

		/* A new connection. Nothing of the old one precedes it. */
		pair->arrives[s] = sim->now;
		while (i != NONE) {
			struct message *msg = pool_at(&sim->messages, i);

			i = msg->next;
			sim->stats.resent++;
			transmit(sim, number, s, msg);
		}
	}
}

/* ------------------------------------------------------------------------
 * Receiving
 */

static void take_ack(struct sim *sim, struct side *side, u32 ack)
{
	while (side->first != NONE) {
		u32 i = side->first;
		struct message *msg = pool_at(&sim->messages, i);

		if (msg->seq > ack)
			break;
		side->first = msg->next;
		pool_put(&sim->messages, i);
	}
}

/*
 * Timers of equal length end in the order in which they were started. So only the first timer
 * of a line is an event. Otherwise timers would be most of the queue in a large cluster.
 */
static void ack_is_next(struct sim *sim)
{
	const struct ack_timer *timer = &sim->acks.timer[sim->acks.first & (sim->acks.size - 1)];

	sim_put(sim, timer->time, EV_ACK, timer->pair, timer->side);
}

static void acks_grow(struct ack_line *acks)
{
	u32 size = acks->size ? 2 * acks->size : 1024, i;
	struct ack_timer *timer = malloc(size * sizeof(*timer));

	if (!timer)
		abort();
	for (i = acks->first; i != acks->end; i++)
		timer[i & (size - 1)] = acks->timer[i & (acks->size - 1)];
	free(acks->timer);
	acks->timer = timer;
	acks->size = size;
}

static void arm_ack(struct sim *sim, u32 number, int s)
{
	struct pair *pair = pair_at(sim, number);
	struct ack_line *acks = &sim->acks;

	if (pair->ack_timers >> s & 1)
		return;
	pair->ack_timers |= 1 << s;
	if (acks->end - acks->first == acks->size)
		acks_grow(acks);
	acks->timer[acks->end++ & (acks->size - 1)] = (struct ack_timer){
		.time = sim->now + ACK_NS, .pair = number, .side = s,
	};
	if (acks->end - acks->first == 1)
		ack_is_next(sim);
}

static void send_ack(struct sim *sim, u32 number, int s)
{
	struct pair *pair = pair_at(sim, number);

	if (!pair->up || pair->side[s].acked == pair->side[s].rx_seq)
		return;
	sim->stats.acks++;
	transmit(sim, number, s, NULL);
}

void net_ack(struct sim *sim, u32 number, u16 s)
{
	struct ack_line *acks = &sim->acks;
	u32 ahead;

	acks->first++;
	if (acks->first != acks->end) {
		ack_is_next(sim);
		/* The queue prefetches a line only for its first timer. */
		ahead = acks->first + ACKS_AHEAD;
		if (acks->end - acks->first > ACKS_AHEAD)
			net_prefetch_pair(sim, acks->timer[ahead & (acks->size - 1)].pair);
	}
	pair_at(sim, number)->ack_timers &= ~(1U << s);
	sim->ctx_end = sim->now;
	send_ack(sim, number, s);
}

static void drop(struct sim *sim, u32 i)
{
	pool_put(&sim->frames, i);
}

/* The bytes must still be those that were queued. */
static u64 value_of(struct sim *sim, const struct frame *frame)
{
	struct copy *copy;

	if (frame->coh.type != DSM_DATA)
		return 0;
	copy = node_copy_find(sim, frame->block, frame->coh.from);
	copy->sending--;
	if (copy->value != frame->value)
		check_fail(sim, frame->block,
			   "the bytes that node %u sends to node %u change on the way",
			   frame->coh.from, frame->coh.to);
	return copy->value;
}

/* The module has received it, in order. @i is to be freed. */
static void receive(struct sim *sim, u32 i)
{
	struct frame *kept = pool_at(&sim->frames, i), frame = *kept;
	struct pair *pair = pair_at(sim, frame.pair);
	int s = frame.coh.to == pair->node[1];
	struct side *side = &pair->side[s];

	drop(sim, i);
	if (frame.epoch != pair->epoch)
		return;
	take_ack(sim, side, frame.ack);
	if (frame.coh.type == DSM_ACK)
		return;
	if (frame.seq <= side->rx_seq) {
		sim->stats.duplicates++;
		side->acked = 0;
	} else if (frame.seq != side->rx_seq + 1) {
		check_fail(sim, frame.block, "node %u: number %u after %u", frame.coh.to,
			   frame.seq, side->rx_seq);
		return;
	} else {
		u64 value = value_of(sim, &frame);

		if (sim->failed)
			return;
		sim->ctx_end = sim->now + sim->config->kernel;
		node_message(sim, &frame.coh, frame.block, value);
		side->rx_seq = frame.seq;
	}
	if (side->rx_seq - side->acked >= ACK_EVERY)
		send_ack(sim, frame.pair, s);
	else if (side->rx_seq != side->acked)
		arm_ack(sim, frame.pair, s);
}

void net_service(struct sim *sim, u32 i)
{
	struct frame *frame = pool_at(&sim->frames, i);
	struct node *node = &sim->node[frame->coh.to];

	if (node->paused_until > sim->now) {
		sim_put(sim, node->paused_until, EV_SERVICE, i, 0);
		return;
	}
	receive(sim, i);
}

void net_arrive(struct sim *sim, u32 i)
{
	const struct config *config = sim->config;
	struct frame *frame = pool_at(&sim->frames, i);
	struct node *node = &sim->node[frame->coh.to];
	u64 start;

	if (frame->epoch != pair_at(sim, frame->pair)->epoch) {
		drop(sim, i);
		return;
	}
	node->helper_free = later(node->helper_free, sim->now) + config->helper;
	start = later(node->helper_free, node->kernel_free);
	/* Messages queued for this very moment precede it. */
	if (start == sim->now && node->kernel_free < sim->now && node->paused_until <= sim->now) {
		node->kernel_free = start + config->kernel;
		receive(sim, i);
		return;
	}
	node->kernel_free = start + config->kernel;
	sim_put(sim, start, EV_SERVICE, i, 0);
}

/* ------------------------------------------------------------------------
 * Faults
 */

static u64 after(struct sim *sim, const struct dist *dist)
{
	return sim->now + 1 + dist_sample(dist, &sim->fault_rng);
}

/* The helper is killed and restarted: its connections are lost. */
void net_restart(struct sim *sim, u16 node)
{
	u32 i;

	if (!sim->running)
		return;
	sim->stats.restarts++;
	for (i = 0; i < sim->pairs.n; i++) {
		struct pair *pair = pair_at(sim, i);

		if (pair->node[0] == node || pair->node[1] == node)
			disconnect(sim, i);
	}
	sim_put(sim, after(sim, &sim->config->restart_every), EV_RESTART, node, 0);
}

void net_pause(struct sim *sim, u16 number)
{
	struct node *node = &sim->node[number];
	u64 time;

	if (!sim->running)
		return;
	time = dist_sample(&sim->config->pause_time, &sim->fault_rng);
	sim->stats.pauses++;
	node->paused_until = sim->now + time;
	/* One more than that, so that what was queued before stays before. */
	node->kernel_free = later(node->kernel_free, sim->now) + time + 1;
	node->helper_free = later(node->helper_free, sim->now) + time + 1;
	sim_put(sim, after(sim, &sim->config->pause_every) + time, EV_PAUSE, number, 0);
}

bool net_create(struct sim *sim)
{
	const struct config *config = sim->config;
	u32 i;

	pool_init(&sim->frames, sizeof(struct frame));
	pool_init(&sim->pairs, sizeof(struct pair));
	sim->resends = config->loss || config->restart_every.a;
	for (i = 0; i < config->nodes; i++) {
		u64 bandwidth = dist_sample(&config->bandwidth, &sim->net_rng);

		sim->node[i].ps_byte = 8000 * NS_PER_S / (bandwidth ? bandwidth : 1);
		if (config->pause_every.a)
			sim_put(sim, after(sim, &config->pause_every), EV_PAUSE, i, 0);
		if (config->restart_every.a)
			sim_put(sim, after(sim, &config->restart_every), EV_RESTART, i, 0);
	}
	return true;
}

/* Prefetch the memory of a pair that will be used soon. This changes no result. */
void net_prefetch(struct sim *sim, u16 a, u16 b, bool near)
{
	u32 number;

	if (a == b)
		return;
	if (!near) {
		index_prefetch(&sim->pair_index, pair_key(sim, a, b));
		return;
	}
	number = index_find(&sim->pair_index, pair_key(sim, a, b));
	if (number != NONE)
		__builtin_prefetch(pair_at(sim, number), 1);
}

void net_prefetch_pair(struct sim *sim, u32 number)
{
	__builtin_prefetch(pair_at(sim, number), 1);
}

/* All messages have arrived. */
bool net_quiet(struct sim *sim)
{
	u32 i;

	for (i = 0; i < sim->pairs.n; i++) {
		const struct pair *pair = pair_at(sim, i);
		int s;

		for (s = 0; s < 2; s++)
			if (pair->side[s].tx_seq != pair->side[!s].rx_seq)
				return false;
	}
	return true;
}
