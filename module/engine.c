// SPDX-License-Identifier: GPL-2.0
/*
 * The engine: the loop around coherence.c. engine.h says who uses it.
 *
 * A caller's event takes this course:
 *
 *	lock the block
 *	dsm_engine_needs()	is all of it reserved? If not: unlock, reserve, again
 *	dsm_engine_step()	decide, act, serve the requests that are let in
 *	unlock
 *	revoke what @revoke said, then step with REVOKED
 *	dsm_engine_follow()	what else follows; step with it
 *
 * Once a step has begun nothing in it can fail.
 */
#include "engine.h"

/* Is a message of this type a request to a block's home? */
bool dsm_engine_is_request(u8 type)
{
	return type == DSM_GET_S || type == DSM_GET_M || type == DSM_PUT_S ||
	       type == DSM_PUT_M || type == DSM_DISCARD;
}

/* Does the home send to all sharers when it serves such a request? */
bool dsm_engine_tells_sharers(u8 type)
{
	return type == DSM_GET_M || type == DSM_DISCARD;
}

/* May the event take access away? */
static bool takes_access(const struct dsm_event *ev)
{
	if (ev->type == DSM_EV_MSG)
		return ev->msg.type == DSM_FWD_GET_S || ev->msg.type == DSM_FWD_GET_M ||
		       ev->msg.type == DSM_INV;
	return ev->type == DSM_EV_HOLD_OVER || ev->type == DSM_EV_FREE ||
	       ev->type == DSM_EV_EVICT;
}

/**
 * dsm_engine_needs() - what a step may use
 * @engine: the block
 * @ev: the step's event
 *
 * Sharers are told only when a write is served: one that has come, or one that was
 * kept until a transaction that ends now. So a home of many sharers does not reserve
 * a message for each of them at every event. A DONE that adds two sharers may let
 * that write in.
 */
struct dsm_engine_needs dsm_engine_needs(const struct dsm_engine *engine,
					 const struct dsm_event *ev)
{
	struct dsm_engine_needs needs = { .messages = DSM_SENDS_MAX, .hold = takes_access(ev) };
	const struct dsm_dir *dir = engine->coh.dir;
	u8 type = ev->msg.type;

	if (!dir || ev->type != DSM_EV_MSG)
		return needs;
	if (dir->busy ? *engine->writes_kept && (type == DSM_DONE || type == DSM_INV_ACK) :
			dsm_engine_tells_sharers(type))
		needs.messages = dsm_coh_sends_max(&engine->coh) + 2;
	needs.sharers = dir->busy == DSM_GET_S && type == DSM_DONE;
	return needs;
}

static void send_sharers(struct dsm_engine *engine, const struct dsm_action *act)
{
	const u64 *sharers = engine->coh.dir->sharers;
	u32 nodes = engine->coh.nodes, id;

	for (id = dsm_sharers_next(sharers, nodes, 0); id < nodes;
	     id = dsm_sharers_next(sharers, nodes, id + 1)) {
		struct dsm_coh_msg msg = act->msg;

		if (id == act->skip || id == msg.node)
			continue;
		msg.to = id;
		engine->ops->send(engine, &msg);
	}
}

/* Do what has been decided. Return: whether the oldest kept request is let in. */
static bool perform(struct dsm_engine *engine, const struct dsm_event *ev)
{
	const struct dsm_engine_ops *ops = engine->ops;
	bool next = false;
	u8 i;

	for (i = 0; i < engine->coh.n_actions; i++) {
		const struct dsm_action *act = &engine->coh.actions[i];

		switch ((enum dsm_action_type)act->type) {
		case DSM_ACT_SEND:
			ops->send(engine, &act->msg);
			break;
		case DSM_ACT_SEND_SHARERS:
			send_sharers(engine, act);
			break;
		case DSM_ACT_REVOKE:
		case DSM_ACT_CLEAN:
		case DSM_ACT_DROP:
			ops->revoke(engine, act->type);
			break;
		case DSM_ACT_HOLD:
			if (!ops->hold(engine))
				engine->hold_over = true;
			break;
		case DSM_ACT_WAKE:
			ops->wake(engine, act->held);
			break;
		case DSM_ACT_DEFER:
			*engine->writes_kept += dsm_engine_tells_sharers(ev->msg.type);
			ops->keep(engine, &ev->msg);
			break;
		case DSM_ACT_NEXT:
			next = true;
			break;
		case DSM_ACT_PULL:
			engine->pull = true;
			break;
		}
	}
	return next;
}

/* A correct node has one request of a type for a block at a time. */
static bool asks_twice(struct dsm_engine *engine, const struct dsm_event *ev)
{
	return ev->type == DSM_EV_MSG && dsm_engine_is_request(ev->msg.type) &&
	       engine->ops->kept(engine, ev->msg.from, ev->msg.type);
}

/**
 * dsm_engine_step() - one event, and the kept requests that it lets in
 * @engine: the block; all of dsm_engine_needs() is reserved
 * @first: the event
 *
 * A kept request that turns out to make no sense was acknowledged long ago: it is
 * dropped, and those behind it are served.
 *
 * Return: DSM_COH_OK; DSM_COH_BAD, no correct node would have said that, and nothing
 * has changed.
 */
enum dsm_coh_result dsm_engine_step(struct dsm_engine *engine, const struct dsm_event *first)
{
	const struct dsm_engine_ops *ops = engine->ops;
	enum dsm_coh_result result, ret = DSM_COH_OK;
	struct dsm_event ev = *first;
	bool next;

	engine->serving = false;
	if (asks_twice(engine, &ev))
		return DSM_COH_BAD;
	for (;;) {
		if (ops->deciding)
			ops->deciding(engine, &ev);
		result = dsm_coh_event(&engine->coh, &ev);
		next = result == DSM_COH_OK ? perform(engine, &ev) : engine->serving;
		if (ops->decided)
			ops->decided(engine, &ev, result);
		if (!engine->serving)
			ret = result;
		if (!next)
			return ret;
		ev = (struct dsm_event){ .type = DSM_EV_MSG };
		if (!ops->next(engine, &ev.msg))
			return ret;
		*engine->writes_kept -= dsm_engine_tells_sharers(ev.msg.type);
		engine->serving = true;
	}
}

/**
 * dsm_engine_follow() - what else follows from the last step
 * @engine: the block; its lock is not held
 * @ev: out: the event; of a WRITE the caller gives the number
 *
 * What was to be revoked comes before, see dsm_engine_ops.
 *
 * Return: whether anything does.
 */
bool dsm_engine_follow(struct dsm_engine *engine, struct dsm_event *ev)
{
	if (engine->hold_over) {
		engine->hold_over = false;
		*ev = (struct dsm_event){ .type = DSM_EV_HOLD_OVER };
		return true;
	}
	if (engine->pull) {
		engine->pull = false;
		*ev = (struct dsm_event){ .type = DSM_EV_WRITE, .prefetch = true };
		return true;
	}
	return false;
}
