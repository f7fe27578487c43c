/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The engine: the loop around coherence.c.
 *
 * The protocol decides what one event of a block leads to. The engine has that
 * done, through its caller's operations, and serves the requests that had to wait
 * for it. The module, the KUnit suites, the explorer, the simulator and the fuzzers
 * use this engine; they differ in their operations.
 *
 * Nothing here allocates, sleeps, locks or calls out except through the operations;
 * this header and engine.c compile in user space as they are.
 */
#ifndef _DSM_ENGINE_H
#define _DSM_ENGINE_H

#include "coherence.h"

struct dsm_engine;

/**
 * struct dsm_engine_ops - what the caller does for a block
 *
 * All are called inside dsm_engine_step(), so with the block's lock held.
 *
 * @send: queue @msg for the node @msg->to; one of those reserved
 * @keep: the home keeps @msg, a request, behind those it has kept; also one of those
 *	reserved
 * @next: take the oldest kept request out, and make its storage a reserved message;
 *	false if there is none
 * @kept: is a request of that type of that node kept?
 * @revoke: access is to be taken, or the frames freed, as @how (DSM_ACT_REVOKE, _CLEAN
 *	or _DROP) says; the caller does it after the step, and then has the
 *	event REVOKED
 * @hold: is a hold running? Then have the event HOLD_OVER when it ends. False: it has
 *	ended, and dsm_engine_follow() says HOLD_OVER
 * @wake: the line is in a stable state; @held: a hold begins now
 * @deciding: an event is about to be decided; optional, for observers
 * @decided: it has been, and what follows has been done; optional, likewise
 */
struct dsm_engine_ops {
	void (*send)(struct dsm_engine *engine, const struct dsm_coh_msg *msg);
	void (*keep)(struct dsm_engine *engine, const struct dsm_coh_msg *msg);
	bool (*next)(struct dsm_engine *engine, struct dsm_coh_msg *msg);
	bool (*kept)(struct dsm_engine *engine, u16 from, u8 type);
	void (*revoke)(struct dsm_engine *engine, u8 how);
	bool (*hold)(struct dsm_engine *engine);
	void (*wake)(struct dsm_engine *engine, bool held);
	void (*deciding)(struct dsm_engine *engine, const struct dsm_event *ev);
	void (*decided)(struct dsm_engine *engine, const struct dsm_event *ev,
			enum dsm_coh_result result);
};

/**
 * struct dsm_engine - a block at a node, for one event and what follows from it
 * @coh: the block, as the protocol sees it
 * @ops: the caller's operations
 * @writes_kept: at the home: how many kept requests tell the sharers. Lives with the
 *	kept requests, from one event to the next; only the engine changes it
 * @serving: the event being decided is a request that had been kept
 * @hold_over: HOLD_OVER follows
 * @pull: the home is to take the block: a WRITE of its own follows
 */
struct dsm_engine {
	struct dsm_coh coh;
	const struct dsm_engine_ops *ops;
	u32 *writes_kept;
	bool serving;
	bool hold_over;
	bool pull;
};

/**
 * struct dsm_engine_needs - what a step may use, so what has to be there before
 * @messages: to be sent or kept
 * @sharers: sharers may be added to the home's set
 * @hold: access may be taken away: the caller may have to wait, for a hold's end or
 *	for a page under DMA
 */
struct dsm_engine_needs {
	unsigned int messages;
	bool sharers;
	bool hold;
};

bool dsm_engine_is_request(u8 type);
bool dsm_engine_tells_sharers(u8 type);
struct dsm_engine_needs dsm_engine_needs(const struct dsm_engine *engine,
					 const struct dsm_event *ev);
enum dsm_coh_result dsm_engine_step(struct dsm_engine *engine, const struct dsm_event *first);
bool dsm_engine_follow(struct dsm_engine *engine, struct dsm_event *ev);

#endif /* _DSM_ENGINE_H */
