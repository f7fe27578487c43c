/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What a node does with its copy of a block: a row a state, a column an input, and in each
 * place an operation and the state that follows. For coherence.c alone, which carries the
 * operations out.
 */
#ifndef _DSM_LINE_TABLE_H
#define _DSM_LINE_TABLE_H

#include "coherence.h"

/* Inputs of the line's table: events, messages among them. */
enum line_input {
	IN_READ,
	IN_WRITE,
	IN_EVICT,
	IN_FREE,
	IN_FWD_GET_S,
	IN_FWD_GET_M,
	IN_INV,
	IN_DROP,	/* INV that says ZERO */
	IN_DATA,	/* or LOST */
	IN_GRANT,
	IN_INV_ACK,
	IN_REVOKED,
	IN_HOLD_OVER,
	LINE_INPUTS
};

enum line_op {
	OP_BAD = 0,	/* cannot happen between correct nodes */
	OP_OK,		/* has what it wants, or will be woken: nothing to do */
	OP_WRITTEN,	/* may write, and will */
	OP_GET_S,	/* ask to read; the next state follows */
	OP_GET_M,	/* ask to write */
	OP_GET_M_LATER,	/* ... when this request is done, if the home is to take the block */
	OP_EVICT,	/* free the frames, then tell the home; or ask, if this is the owner */
	OP_PUT_M,	/* ask the home to take the block */
	OP_FREE,	/* free the frames */
	OP_SUPPLY,	/* send the bytes, keep them */
	OP_CLEAN,	/* take write access away, then answer */
	OP_REVOKE,	/* take all access away, then answer */
	OP_DATA,	/* the bytes have come */
	OP_GRANT,	/* the grant has come */
	OP_COUNT,	/* a sharer has dropped its copy */
	OP_ANSWER,	/* access is gone: answer who asked; nobody has if it was evicted */
	OP_NOTE,	/* what is being evicted is taken as well: answer when it is gone */
	OP_ACK,		/* what was evicted is taken: answer */
	OP_FREED,	/* the frames are: nobody asked */
	OP_RELEASE,	/* the hold is over: go on with what it kept waiting */
};

struct line_row {
	u8 op;
	u8 next;	/* used by GET_*, EVICT, FREE, CLEAN, REVOKE, ANSWER */
};

#define ROW(op, next)	{ OP_##op, DSM_LINE_##next }

static const struct line_row line_table[DSM_LINE_STATES][LINE_INPUTS] = {
	[DSM_LINE_I] = {
		[IN_READ]	= ROW(GET_S, IS),
		[IN_WRITE]	= ROW(GET_M, IM),
		[IN_EVICT]	= ROW(OK, I),
		[IN_HOLD_OVER]	= ROW(OK, I),
		[IN_FREE]	= ROW(FREE, II_R),
		[IN_INV]	= ROW(ACK, I),
		[IN_DROP]	= ROW(ACK, I),
	},
	[DSM_LINE_S] = {
		[IN_READ]	= ROW(OK, S),
		[IN_WRITE]	= ROW(GET_M, SM),
		[IN_EVICT]	= ROW(EVICT, SI_R),
		[IN_FWD_GET_S]	= ROW(SUPPLY, S),
		[IN_FWD_GET_M]	= ROW(REVOKE, SI_R),
		[IN_INV]	= ROW(REVOKE, SI_R),
		[IN_HOLD_OVER]	= ROW(RELEASE, S),
		[IN_DROP]	= ROW(REVOKE, SI_R),
	},
	[DSM_LINE_M] = {
		[IN_READ]	= ROW(OK, M),
		[IN_WRITE]	= ROW(WRITTEN, M),
		[IN_EVICT]	= ROW(PUT_M, M),
		[IN_FWD_GET_S]	= ROW(CLEAN, MS_R),
		[IN_FWD_GET_M]	= ROW(REVOKE, MI_R),
		[IN_HOLD_OVER]	= ROW(RELEASE, M),
		[IN_DROP]	= ROW(REVOKE, MI_R),
	},
	[DSM_LINE_IS] = {
		[IN_READ]	= ROW(OK, IS),
		[IN_WRITE]	= ROW(GET_M_LATER, IS),
		[IN_EVICT]	= ROW(OK, IS),
		[IN_DATA]	= ROW(DATA, S),
		[IN_GRANT]	= ROW(GRANT, S),
		[IN_INV]	= ROW(ACK, IS),
		[IN_DROP]	= ROW(ACK, IS),
		[IN_HOLD_OVER]	= ROW(OK, IS),
	},
	[DSM_LINE_IM] = {
		[IN_READ]	= ROW(OK, IM),
		[IN_WRITE]	= ROW(OK, IM),
		[IN_EVICT]	= ROW(OK, IM),
		[IN_DATA]	= ROW(DATA, M),
		[IN_GRANT]	= ROW(GRANT, M),
		[IN_INV_ACK]	= ROW(COUNT, M),
		[IN_INV]	= ROW(ACK, IM),
		[IN_DROP]	= ROW(ACK, IM),
		[IN_HOLD_OVER]	= ROW(OK, IM),
	},
	[DSM_LINE_SM] = {
		[IN_READ]	= ROW(OK, SM),
		[IN_WRITE]	= ROW(OK, SM),
		[IN_EVICT]	= ROW(OK, SM),
		/* Another writer's or reader's request came before ours. */
		[IN_FWD_GET_S]	= ROW(SUPPLY, SM),
		[IN_FWD_GET_M]	= ROW(REVOKE, SMI_R),
		[IN_INV]	= ROW(REVOKE, SMI_R),
		[IN_GRANT]	= ROW(GRANT, M),
		[IN_INV_ACK]	= ROW(COUNT, M),
		[IN_HOLD_OVER]	= ROW(RELEASE, SM),
		[IN_DROP]	= ROW(REVOKE, SMI_R),
	},
	[DSM_LINE_MS_R] = {
		[IN_READ]	= ROW(OK, MS_R),
		[IN_WRITE]	= ROW(OK, MS_R),
		[IN_EVICT]	= ROW(OK, MS_R),
		[IN_REVOKED]	= ROW(ANSWER, S),
		[IN_HOLD_OVER]	= ROW(OK, MS_R),
	},
	[DSM_LINE_MI_R] = {
		[IN_READ]	= ROW(OK, MI_R),
		[IN_WRITE]	= ROW(OK, MI_R),
		[IN_EVICT]	= ROW(OK, MI_R),
		[IN_REVOKED]	= ROW(ANSWER, I),
		[IN_HOLD_OVER]	= ROW(OK, MI_R),
	},
	[DSM_LINE_SI_R] = {
		[IN_READ]	= ROW(OK, SI_R),
		[IN_WRITE]	= ROW(OK, SI_R),
		[IN_EVICT]	= ROW(OK, SI_R),
		[IN_INV]	= ROW(NOTE, SI_R),
		[IN_DROP]	= ROW(NOTE, SI_R),
		[IN_REVOKED]	= ROW(ANSWER, I),
		[IN_HOLD_OVER]	= ROW(OK, SI_R),
	},
	[DSM_LINE_SMI_R] = {
		[IN_READ]	= ROW(OK, SMI_R),
		[IN_WRITE]	= ROW(OK, SMI_R),
		[IN_EVICT]	= ROW(OK, SMI_R),
		/* Our own request still waits at the home. */
		[IN_REVOKED]	= ROW(ANSWER, IM),
		[IN_HOLD_OVER]	= ROW(OK, SMI_R),
	},
	[DSM_LINE_II_R] = {
		[IN_READ]	= ROW(OK, II_R),
		[IN_WRITE]	= ROW(GET_M_LATER, II_R),
		[IN_EVICT]	= ROW(OK, II_R),
		[IN_INV]	= ROW(ACK, II_R),
		[IN_DROP]	= ROW(ACK, II_R),
		[IN_REVOKED]	= ROW(FREED, I),
		[IN_HOLD_OVER]	= ROW(OK, II_R),
	},
};

#endif /* _DSM_LINE_TABLE_H */
