/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A small cluster around module/engine.c and coherence.c: nodes, blocks, messages under way,
 * and the caller's side of the contract in coherence.h. It is a value that can be copied. The
 * caller decides what happens next: the explorer tries everything, a fuzzer follows its input.
 *
 * After each step the model checks the invariants in model.c. Its abstraction of bytes makes
 * the checks as strict as possible:
 *
 * - A thread uses any access at once, and keeps it. As soon as a line allows access, a page
 *   table entry exists until REVOKE or CLEAN has been carried out.
 * - A node that can write does so all the time, but only to a part of the block. So at any
 *   moment all other copies, and bytes under way, are stale, and a writer whose own bytes were
 *   stale stays stale. Less frequent writes never make stale bytes fresh. So if this finds no
 *   stale read, none exists.
 * - Any bytes under way may become unreadable at any moment: DATA becomes LOST. The sender
 *   does not see when that is detected.
 */
#ifndef _MODEL_H
#define _MODEL_H

#include <stdio.h>
#include "engine.h"

enum model_limits {
	MODEL_NODES	= 4,
	MODEL_BLOCKS	= 2,
	MODEL_FLIGHT	= 32,	/* messages under way */
	MODEL_WAITING	= 16,	/* deferred requests per block */
	MODEL_STEPS	= MODEL_NODES * MODEL_BLOCKS * 9 + 2 * MODEL_FLIGHT + MODEL_BLOCKS,
	MODEL_WHY	= 160,
};

enum model_access {
	ACCESS_NONE,
	ACCESS_READ,
	ACCESS_WRITE,
};

/**
 * struct model_msg - a message under way
 * @coh: its contents
 * @block: about which block
 * @fresh: DATA: the bytes are the last written
 */
struct model_msg {
	struct dsm_coh_msg coh;
	u8 block;
	bool fresh;
};

/**
 * struct model_copy - a node's copy of a block, and its caller
 * @line: the state of the protocol
 * @pte: enum model_access: what threads can do without a fault
 * @revoke: DSM_ACT_REVOKE, _CLEAN or _DROP while it is carried out; or 0
 * @hold: HOLD_OVER has been asked for
 * @fresh: the bytes are the last written
 * @wanted: a thread waits for the request under way
 * @promised: enum model_access: granted to a thread that may not have used it
 * @leaving: it has asked to drop the copy, and still has it
 * @discards: a thread waits for the block to be discarded
 * @owed: the home's request that has not been answered; type 0 if none
 */
struct model_copy {
	struct dsm_line line;
	u8 pte;
	u8 revoke;
	bool hold;
	bool fresh;
	bool wanted;
	u8 promised;
	bool leaving;
	bool discards;
	struct dsm_coh_msg owed;
};

/**
 * struct model_block - a block
 * @home: its home
 * @pull: the home has to take the block: DSM_ACT_PULL
 * @written: not zeroes: a node could write it since it was discarded, or ever
 * @lost: bytes of it were lost since then
 * @dir: the home's entry; its sharers are in @sharers
 * @writes_kept: the engine's count of waiting requests that tell the sharers
 * @waiting: requests the home keeps, the oldest first
 */
struct model_block {
	u16 home;
	bool pull;
	bool written;
	bool lost;
	u8 n_waiting;
	struct dsm_dir dir;
	u64 sharers;
	u32 writes_kept;
	struct dsm_coh_msg waiting[MODEL_WAITING];
	struct model_copy copy[MODEL_NODES];
};

/**
 * struct model - a cluster
 * @nodes: how many
 * @blocks: how many
 * @exact: keep meaningless fields as the protocol left them; otherwise they are
 *	cleared, which makes fewer states: the request's number in
 *	a line without one, requester and number of an entry that is not busy,
 *	and what is left of an answered request of the home
 * @next_req: numbers requests
 * @flight: messages under way, in the order they were sent
 */
struct model {
	u8 nodes;
	u8 blocks;
	bool exact;
	u8 n_flight;
	u32 next_req;
	struct model_block block[MODEL_BLOCKS];
	struct model_msg flight[MODEL_FLIGHT];
};

/* Possible steps. From STEP_DELIVER on they do happen, sooner or later. */
enum model_step_type {
	STEP_READ,		/* a thread wants to read */
	STEP_WRITE,
	STEP_PREFETCH_READ,	/* the same without a thread: a prefetch */
	STEP_PREFETCH_WRITE,
	STEP_EVICT,
	STEP_FREE,		/* frames without a copy are freed */
	STEP_DISCARD,
	STEP_LOSE,		/* bytes under way become unreadable */
	STEP_USED,		/* HOLD_OVER, before it was requested */
	STEP_DELIVER,		/* a message arrives */
	STEP_REVOKED,		/* access has been revoked */
	STEP_HOLD_OVER,		/* the hold's time is up */
	STEP_PULL,		/* the home begins to take the block */
	STEP_TYPES
};

/**
 * struct model_step - something that can happen next
 * @type: enum model_step_type
 * @block: to which block
 * @node: where
 * @msg: DELIVER, LOSE: the index of the message under way
 */
struct model_step {
	u8 type;
	u8 block;
	u8 node;
	u8 msg;
};

/**
 * struct model_report - what a step did
 * @why: what is wrong, or empty
 * @log: where a line about each consequence goes; or NULL
 */
struct model_report {
	char why[MODEL_WHY];
	FILE *log;
};

void model_init(struct model *m, unsigned int nodes, unsigned int blocks);

/* The steps that can happen next, of the types in the mask @types. Returns how many. */
unsigned int model_steps(const struct model *m, unsigned int types, struct model_step *steps);

/* Take a step. If it breaks an invariant, returns false and explains that in the report. */
bool model_take(struct model *m, const struct model_step *step, struct model_report *report);

/*
 * Give a node a message that nobody sent. Returns the protocol's result. If the message was
 * refused, *@changed tells whether it changed anything. If it was accepted, the model stays as
 * before: the consequences of a lie are not checked.
 */
enum dsm_coh_result model_lie(const struct model *m, unsigned int block, unsigned int node,
			      const struct dsm_coh_msg *msg, bool *changed);

/*
 * Tell a node every kind of lie that it has to refuse, whatever it knows. If it accepts one,
 * or is changed by one, returns false and explains that in the report.
 */
bool model_refuses(const struct model *m, unsigned int block, unsigned int node,
		   struct model_report *report);

/* Nothing more will happen unless a node wants something. */
bool model_quiet(const struct model *m);

/* Names of numbers. */
const char *model_line_name(u8 state);
const char *model_dir_name(u8 state);
const char *model_msg_name(u8 type);
void model_print(const struct model *m, FILE *out);

/* A chart: a line for each step, a column for each node. */
void model_chart_head(const struct model *m, FILE *out);
void model_chart_step(const struct model *m, unsigned int number, const struct model_step *step,
		      FILE *out);

#endif /* _MODEL_H */
