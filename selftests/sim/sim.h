/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A simulator of whole clusters around module/engine.c and coherence.c, which are compiled
 * unchanged. It simulates the rest of the module, the helper, the network and the programs.
 * Time is simulated and counted in ns. A seed and a set of options determine the result, to
 * the byte, on any machine.
 *
 *	workload.c	what the threads of each node access
 *	node.c		faults, and the engine's operations, like module/block.c
 *	net.c		module/peer.c, the helper and the network: numbers,
 *			acknowledgements, connections that are lost, resending
 *	check.c		the invariants, at every step; the log of a violation
 *	report.c	figures
 *
 * A node has three servers, each with a queue: the module ("kernel"), the
 * helper and the network card. A message takes the sender's helper and card,
 * the link, the receiver's helper and module. A fault is handled on the CPU of
 * its thread, in parallel.
 *
 * NOT modelled:
 *  - the bytes of a block: they are a number, its version; the place of an access in
 *    its block; the page tables (what a line's state allows is mapped); the order of
 *    memory accesses inside a node.
 *  - the helper's window and posted receives: the bytes of a message are those that its
 *    sender has when it arrives. They are checked to be those that it had when the
 *    message was queued.
 *  - homes that are claimed (CLAIM, HOME): under first touch the home is known
 *    to all at the first access. The registry, regions that come and go, and
 *    synchronisation objects.
 *  - credits of the netlink socket, several messages in one wake-up, memory that
 *    runs out, pages under DMA, interrupted accesses, timeouts of accesses (an access
 *    that is stuck for long is a violation).
 *  - nodes that die, views, recovery: there is none yet. Nodes pause, helpers
 *    start again, connections break.
 *  - congestion inside the network: links are independent; TCP's own headers and
 *    acknowledgements; the heartbeats of the helpers.
 */
#ifndef _SIM_SIM_H
#define _SIM_SIM_H

#include "config.h"
#include "engine.h"
#include "histogram.h"
#include "pool.h"
#include "queue.h"

#define NONE	UINT32_MAX

enum sim_limits {
	HEADER_BYTES	= sizeof(struct dsm_wire_hdr),
	SETTLE_NS	= 20 * 1000,	/* as in module/block.c */
	ACK_EVERY	= 32,		/* as in module/peer.h */
	ACK_NS		= 20 * 1000 * 1000,
	PREFETCH_MAX	= 256,
};

/* The meaning of an event's @arg and @extra. */
enum sim_event {
	EV_ARRIVE,	/* a frame, at its node */
	EV_SERVICE,	/* the same, once the helper has passed it on */
	EV_THREAD,	/* a thread continues */
	EV_REVOKED,	/* a copy: page tables have changed */
	EV_HOLD,	/* a copy, and the hold's number */
	EV_FREE,	/* a copy whose frames may be unused */
	EV_ACK,		/* a pair, and the side that acknowledges */
	EV_RECONNECT,	/* a pair */
	EV_PAUSE,	/* a node */
	EV_RESTART,	/* a node */
	EV_SWEEP,	/* look for stuck accesses */
};

/**
 * struct copy - a node's copy of a block
 * @line: the protocol's
 * @block: its block
 * @node: its node
 * @hold_no: number of the hold; timers of older holds are ignored
 * @access: what its page tables allow: 0, 1 to read, 2 to write; what the state allows
 *	is mapped at once, until it is revoked
 * @granted: as @access: what the home, which answered alone, has granted and what is
 *	still on its way
 * @revoke: DSM_ACT_REVOKE or DSM_ACT_CLEAN, until it is done
 * @fresh: granted to a waiting thread, and not used yet
 * @demanded: a thread has asked for the grant under way
 * @kept: a thread had asked for the held grant
 * @hold_armed: the hold's timer runs
 * @discards: a thread has asked for the block to be discarded
 * @dropped: it has been evicted, and the home has not heard that yet
 * @sending: its bytes are on their way to so many nodes
 * @waiting: the first thread waiting for it
 * @value: its version
 * @hold_until: as in module/block.c
 *
 * One cache line, like a pair: in large clusters, hardly any memory of an event is cached.
 */
struct copy {
	struct dsm_line line;
	u32 block;
	u16 node;
	u16 hold_no;
	u32 waiting;
	u8 access : 2;
	u8 granted : 2;
	u8 revoke : 4;
	bool fresh : 1;
	bool demanded : 1;
	bool kept : 1;
	bool hold_armed : 1;
	bool discards : 1;
	bool dropped : 1;
	u16 sending;
	u64 value;
	u64 hold_until;
};

#define NO_HOME	UINT16_MAX

/**
 * struct block - the global state of a block, and its home's entry
 * @dir: the entry
 * @last: the version of the last write; 0, zeroes, if it was discarded since
 * @versions: the number of versions so far
 * @home: or NO_HOME
 * @readers: nodes that may read it
 * @writers: nodes that may write it
 * @granted: copies whose @granted is 1
 * @first: the first message that waits at the home
 * @final: the last
 * @touched: it was accessed
 * @writes_kept: the engine's count of waiting requests that tell the sharers
 */
struct block {
	struct dsm_dir dir;
	u64 last;
	u64 versions;
	u16 home;
	u16 readers;
	u16 writers;
	u16 granted;
	bool touched;
	u32 writes_kept;
	u32 first;
	u32 final;
};

/**
 * struct message - a message that a peer's queue or a home keeps
 * @value: DATA: the version when it was queued
 */
struct message {
	struct dsm_coh_msg coh;
	u32 block;
	u32 next;
	u32 seq;
	u64 value;
};

/**
 * struct frame - a frame on its way
 * @msg: type DSM_ACK: nothing but @ack
 * @pair: its connection
 * @epoch: the connection's epoch; a frame of another epoch is lost
 */
struct frame {
	struct dsm_coh_msg coh;
	u32 block;
	u32 pair;
	u32 seq;
	u32 ack;
	u32 epoch;
	u64 value;
};

/**
 * struct side - one of two nodes' state for the other; see module/peer.h
 * @first: the oldest unacknowledged message, if it may have to be sent again
 * @final: the newest
 */
struct side {
	u32 tx_seq;
	u32 rx_seq;
	u32 acked;
	u32 first;
	u32 final;
};

/**
 * struct pair - two nodes, the lesser first, and their connection
 * @epoch: how often it was lost
 * @up: it is there
 * @ack_timers: a bit per side whose timer runs
 * @arrives: when the last frame of each side arrives
 */
struct pair {
	u16 node[2];
	u32 epoch : 29;
	u32 up : 1;
	u32 ack_timers : 2;
	u64 arrives[2];
	struct side side[2];
};

/* A side that will acknowledge what it has received. */
struct ack_timer {
	u64 time;
	u32 pair;
	u16 side;
};

/**
 * struct ack_line - all timers of acknowledgements, in the order of their start
 * @first: the number of the next to end
 * @end: behind the last
 * @size: of @timer, a power of 2, or 0: number n is at n modulo that
 */
struct ack_line {
	struct ack_timer *timer;
	u32 first;
	u32 end;
	u32 size;
};

/**
 * struct node - a machine
 * @kernel_free: when the module will have done what is queued
 * @helper_free: the same of the helper
 * @card_free: the same of the network card
 * @paused_until: nothing happens on the node before
 * @ps_byte: time that its link takes for a byte, in ps
 * @seq_next: the block whose miss would continue a sequence
 * @handled: protocol events as a home
 * @bitmaps: sharer sets in use now
 * @bitmaps_max: the maximum so far
 */
struct node {
	u64 kernel_free;
	u64 helper_free;
	u64 card_free;
	u64 paused_until;
	u64 ps_byte;
	u64 seq_next;
	u64 handled;
	u32 bitmaps;
	u32 bitmaps_max;
	u32 req;
};

/**
 * struct thread - a thread of a program
 * @rng: its own, so that timing does not change what it does
 * @start: of the access under way
 * @left: remaining accesses
 * @step: the current step
 * @node: its node
 * @block: being accessed
 * @next: the next thread that waits for the same copy
 * @write: the access is a write
 * @waits: it has faulted
 * @asked: the fault has been counted
 */
struct thread {
	struct rng rng;
	u64 start;
	u64 left;
	u64 step;
	u32 block;
	u32 next;
	u32 trace_pos;
	u16 node;
	bool write;
	bool waits;
};

/* Figures, which count after the warm-up. */
struct stats {
	u64 start;
	u64 accesses;
	u64 writes;
	u64 faults;
	u64 retries;
	u64 messages;		/* queued for another node */
	u64 data;		/* those with a block's bytes */
	u64 local;		/* to the node itself */
	u64 frames;		/* sent, including acknowledgements and repetitions */
	u64 acks;
	u64 bytes;
	u64 invalidations;
	u64 held;
	u64 lost;
	u64 resent;
	u64 duplicates;
	u64 reconnects;
	u64 pauses;
	u64 restarts;
	u64 prefetches;
	u64 at_homes;
	u64 deferred;
	u64 discards;
	u64 freed;
	struct histogram latency;
};

struct zipf;
struct trace;
struct log;

/**
 * struct sim - a cluster
 * @now: the time
 * @ctx_end: when the current event ends, and its messages can leave
 * @events: protocol events so far: calls of dsm_coh_event()
 * @ended: when the last access was made
 * @running: threads that have not finished
 * @failed: a violation was found
 * @suspect: the block of the violation
 * @watched: the block whose steps are kept, or NONE
 * @resends: frames may be lost
 * @spare: the first sharer set that is not in use
 * @no_sharers: the sharer set of blocks that have none
 */
struct sim {
	const struct config *config;
	u64 now;
	u64 ctx_end;
	u64 events;
	u64 accesses;
	u64 ended;
	u32 running;
	u32 n_threads;
	u32 suspect;
	u32 watched;
	bool failed;
	bool warm;
	bool resends;

	struct queue queue;
	struct node *node;
	struct thread *thread;
	struct block *block;
	struct pool copies;
	struct pool messages;
	struct pool frames;
	struct pool pairs;
	struct index copy_index;
	struct index pair_index;
	struct ack_line acks;
	struct rng net_rng;
	struct rng fault_rng;

	u32 words;
	u64 *no_sharers;
	u64 *spare;
	u64 bitmaps;
	u64 bitmaps_max;

	u32 *local;
	u32 n_local;
	u32 size_local;

	struct zipf *zipf;
	struct trace *trace;
	struct log *log;
	struct stats stats;
};

struct sim *sim_create(const struct config *config, u32 watched);
void sim_destroy(struct sim *sim);
bool sim_run(struct sim *sim);

static inline void sim_put(struct sim *sim, u64 time, u8 type, u32 arg, u16 extra)
{
	queue_put(&sim->queue, &(struct event){
		.time = time, .type = type, .arg = arg, .extra = extra });
}

/* node.c */
bool node_create(struct sim *sim);
void node_thread(struct sim *sim, u32 thread);
void node_message(struct sim *sim, const struct dsm_coh_msg *coh, u32 block, u64 value);
void node_revoked(struct sim *sim, u32 copy);
void node_hold(struct sim *sim, u32 copy, u16 number);
void node_free(struct sim *sim, u32 copy);
struct copy *node_copy(struct sim *sim, u32 block, u16 node);
struct copy *node_copy_find(struct sim *sim, u32 block, u16 node);

void node_prefetch(struct sim *sim, const struct event *event, bool near);

/* net.c */
bool net_create(struct sim *sim);
void net_send(struct sim *sim, const struct dsm_coh_msg *coh, u32 block, u64 value);
void net_arrive(struct sim *sim, u32 frame);
void net_service(struct sim *sim, u32 frame);
void net_ack(struct sim *sim, u32 pair, u16 side);
void net_reconnect(struct sim *sim, u32 pair);
void net_restart(struct sim *sim, u16 node);
void net_pause(struct sim *sim, u16 node);
void net_prefetch(struct sim *sim, u16 a, u16 b, bool near);
void net_prefetch_pair(struct sim *sim, u32 number);
bool net_quiet(struct sim *sim);

/* workload.c */
bool workload_create(struct sim *sim);
bool workload_next(struct sim *sim, struct thread *thread, u64 *think);

/* check.c */
enum log_kind { LOG_EVENT, LOG_SEND, LOG_USE, LOG_NOTE };

bool check_create(struct sim *sim);
void check_destroy(struct sim *sim);
void check_step(struct sim *sim, enum log_kind kind, const struct copy *copy,
		const struct dsm_event *ev, const struct dsm_coh_msg *msg);
void check_access(struct sim *sim, struct copy *copy);
void check_revoked(struct sim *sim, struct copy *copy);
void check_use(struct sim *sim, struct copy *copy, bool write);
void check_granted(struct sim *sim, u32 block, u16 node, u32 req, bool write);
void check_transaction(struct sim *sim, u32 block);
void check_discarded(struct sim *sim, u32 block);
void check_stuck(struct sim *sim);
void check_quiet(struct sim *sim);
void check_fail(struct sim *sim, u32 block, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* @ev: EVENT; @msg: SEND, and EVENT of that type; USE: its type says whether it was a write */
static inline void check_log(struct sim *sim, enum log_kind kind, const struct copy *copy,
			     const struct dsm_event *ev, const struct dsm_coh_msg *msg)
{
	if (copy->block == sim->watched)
		check_step(sim, kind, copy, ev, msg);
}

#endif /* _SIM_SIM_H */
