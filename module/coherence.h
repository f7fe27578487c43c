/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The coherence protocol of one block, as a pure function:
 *
 *	(state, event) -> (new state, actions)
 *
 * Nothing here allocates, sleeps, locks or calls out; this header and
 * coherence.c compile in user space as they are. The caller serialises the
 * events of a block, carries out the actions in order, and delivers messages
 * between any two nodes in the order they were sent. A message to the node
 * itself is an event like any other.
 *
 * A caller whose bytes of a block cannot be read sends LOST in place of a DATA that
 * it has been told to send, then or whenever the DATA is sent again. The sender's
 * state is the same in both cases.
 *
 * What a line in IS or IM has in its frames is of no use, and a GRANT that says
 * ZERO does not change that: the caller sees to it that they are empty before
 * the event.
 */
#ifndef _DSM_COHERENCE_H
#define _DSM_COHERENCE_H

#ifdef __KERNEL__
#include <linux/types.h>
#else
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
#endif
#include <linux/dsm_wire.h>

/* The state of a node's copy; see line_table.h. */
enum dsm_line_state {
	DSM_LINE_I,	/* nothing */
	DSM_LINE_S,	/* read */
	DSM_LINE_M,	/* read and write */
	DSM_LINE_IS,	/* asked to read */
	DSM_LINE_IM,	/* asked to write, has no bytes */
	DSM_LINE_SM,	/* asked to write, may read meanwhile */
	DSM_LINE_MS_R,	/* write access is being revoked */
	DSM_LINE_MI_R,	/* all access is being revoked, from M */
	DSM_LINE_SI_R,	/* ... from S */
	DSM_LINE_SMI_R,	/* ... from SM */
	DSM_LINE_II_R,	/* nothing; what is left in its frames is being freed */
	DSM_LINE_STATES
};

/* The part of a message that the protocol sees. */
struct dsm_coh_msg {
	u8 type;	/* enum dsm_wire_type */
	u8 flags;	/* DSM_WIRE_* */
	u16 from;
	u16 to;
	u16 node;	/* FWD_*, INV: the requester */
	u16 acks;
	u32 req;
};

/**
 * struct dsm_line - a node's copy of a block
 * @state: enum dsm_line_state
 * @held: granted to a thread that may not have used it yet; it is not given
 *	away before HOLD_OVER, whatever is granted on top of it
 * @demand: a thread asked for the grant under way: hold it when it comes
 * @have: IM, SM: the bytes, and @acks_due, are here; INV_ACKs may not be
 * @written: M: a thread may have written to it since it came; set by WRITE, and by
 *	the caller when it lets a thread write. A hint: nothing is wrong without
 * @owner: S, SM: the bytes may be asked for here, so they do not go before the home says so
 * @put: the home has been asked to take this copy, and is not asked again; at
 *	the home: IS, II_R: the others' copies are to be taken, when this one is
 *	here, or its frames are free
 * @acks: INV_ACKs received
 * @acks_due: INV_ACKs to wait for, valid with @have
 * @req: the number of the request under way; SI_R: the eviction's
 * @discards: the home has been asked to discard the block, and has not answered
 * @lost: the bytes could not be read where they were: this node has the copy as far as
 *	the protocol goes, but nobody may use it; IM: valid with @have
 * @fwd: the request of the home that is waiting for the hold or for the
 *	frames to be revoked; type 0 if none: then SI_R is an eviction
 */
struct dsm_line {
	u8 state;
	bool held;
	bool demand;
	bool have;
	bool written;
	bool owner;
	bool put;
	bool discards;
	bool lost;
	u16 acks;
	u16 acks_due;
	u32 req;
	struct dsm_coh_msg fwd;
};

/* The nodes that have a block, as its home knows them. */
enum dsm_dir_state {
	DSM_DIR_ZERO,	/* nobody wrote it since it was discarded, or ever; sharers have zeroes */
	DSM_DIR_S,	/* sharers have it; the owner is one of them */
	DSM_DIR_M,	/* owner has it, nobody else */
	DSM_DIR_STATES
};

/**
 * struct dsm_dir - a block's entry at its home
 * @state: enum dsm_dir_state; stays what it was until the transaction is DONE
 * @busy: the type of the request being served, or 0
 * @owner: M: the writer; S: the last writer, or the home, which supplies the bytes
 * @migratory: who reads it next will probably write to it: its last writers had
 *	read it from the one before
 * @requester: whose request is being served
 * @req: its number
 * @sharers: a bit a node, storage given by the caller
 */
struct dsm_dir {
	u8 state;
	u8 busy;
	bool migratory;
	u16 owner;
	u16 requester;
	u32 req;
	u64 *sharers;
};

enum dsm_event_type {
	DSM_EV_READ,		/* a thread wants to read */
	DSM_EV_WRITE,		/* a thread wants to write */
	DSM_EV_EVICT,		/* this node would rather not have it */
	DSM_EV_FREE,		/* what is left of a copy that was taken is of no use */
	DSM_EV_DISCARD,		/* a thread wants it to be zeroes, and nobody's */
	DSM_EV_MSG,		/* a message has come */
	DSM_EV_REVOKED,		/* the frames have been revoked, as asked */
	DSM_EV_HOLD_OVER,	/* the hold asked for is over */
};

/**
 * struct dsm_event - something that happened
 * @type: enum dsm_event_type
 * @prefetch: READ, WRITE: no thread waits for it
 * @req: READ, WRITE, EVICT, DISCARD: a number no request of this node under way has
 * @msg: MSG: the message
 */
struct dsm_event {
	u8 type;
	bool prefetch;
	u32 req;
	struct dsm_coh_msg msg;
};

enum dsm_action_type {
	DSM_ACT_SEND,		/* send @msg to @msg.to */
	DSM_ACT_SEND_SHARERS,	/* send @msg to each sharer but @msg.node and @skip */
	DSM_ACT_REVOKE,		/* take access from all frames, then REVOKED */
	DSM_ACT_CLEAN,		/* take write access from all frames, then REVOKED */
	DSM_ACT_DROP,		/* take access from all frames and free them, then REVOKED */
	DSM_ACT_HOLD,		/* then HOLD_OVER, hold_us after the grant at most */
	DSM_ACT_WAKE,		/* the line is in a stable state: look again */
	DSM_ACT_DEFER,		/* keep this message, in order, until NEXT */
	DSM_ACT_NEXT,		/* before any other message: the oldest kept one */
	DSM_ACT_PULL,		/* WRITE here, as a prefetch: the home takes the block */
};

/**
 * struct dsm_action - what the caller has to do
 * @type: enum dsm_action_type
 * @held: WAKE: a hold has begun: hold_us run from now
 * @skip: SEND_SHARERS: who does not get it
 * @msg: SEND, SEND_SHARERS: the message
 */
struct dsm_action {
	u8 type;
	bool held;
	u16 skip;
	struct dsm_coh_msg msg;
};

#define DSM_ACTIONS_MAX		4
#define DSM_SENDS_MAX		2	/* two SENDs, or SEND and DEFER; SEND_SHARERS beside */

/**
 * struct dsm_coh - a block, for one call
 * @self: this node
 * @home: the block's home
 * @nodes: how many there are; @dir's sharers has a bit for each
 * @line: this node's copy
 * @dir: the home's entry; NULL if this node is not @home
 * @actions: out
 * @n_actions: out
 */
struct dsm_coh {
	u16 self;
	u16 home;
	u16 nodes;
	struct dsm_line *line;
	struct dsm_dir *dir;
	struct dsm_action actions[DSM_ACTIONS_MAX];
	u8 n_actions;
};

/* Why an event was not taken; the state is as it was, and there are no actions. */
enum dsm_coh_result {
	DSM_COH_OK,
	DSM_COH_BAD,	/* no correct peer would have sent this */
};

enum dsm_coh_result dsm_coh_event(struct dsm_coh *coh, const struct dsm_event *ev);

/* How many messages the next event of this block may send at most. */
unsigned int dsm_coh_sends_max(const struct dsm_coh *coh);

static inline bool dsm_line_readable(const struct dsm_line *line)
{
	return !line->lost && (line->state == DSM_LINE_S || line->state == DSM_LINE_M ||
			       line->state == DSM_LINE_SM || line->state == DSM_LINE_MS_R);
}

static inline bool dsm_line_writable(const struct dsm_line *line)
{
	return !line->lost && line->state == DSM_LINE_M;
}

static inline bool dsm_line_outstanding(const struct dsm_line *line)
{
	return line->state == DSM_LINE_IS || line->state == DSM_LINE_IM ||
	       line->state == DSM_LINE_SM || line->state == DSM_LINE_SMI_R;
}

/* Is the copy being evicted, or has the home been asked to take it? */
static inline bool dsm_line_leaves(const struct dsm_line *line)
{
	return line->put || (line->state == DSM_LINE_SI_R && !line->fwd.type);
}

static inline bool dsm_sharers_has(const u64 *sharers, u16 node)
{
	return sharers[node / 64] >> (node % 64) & 1;
}

/* The first sharer from @node on; @nodes if there is none. */
static inline u32 dsm_sharers_next(const u64 *sharers, u32 nodes, u32 node)
{
	u64 word;
	u32 i;

	if (node >= nodes)
		return nodes;
	i = node / 64;
	word = sharers[i] >> (node % 64) << (node % 64);
	while (!word) {
		if (++i * 64 >= nodes)
			return nodes;
		word = sharers[i];
	}
	return i * 64 + __builtin_ctzll(word);
}

#endif /* _DSM_COHERENCE_H */
