// SPDX-License-Identifier: GPL-2.0
/*
 * The messages that a node has to refuse, given what it knows: those that no correct node
 * would send to it now. A receiver cannot detect every lie; this lists those that it can
 * detect.
 *
 * All possible messages are tried, with correct and incorrect request numbers. A refused
 * message, whether it had to be refused or not, may change nothing.
 */
#include <string.h>
#include "model.h"

/* What a node knows about a block. */
struct view {
	const struct model *m;
	const struct model_block *block;
	const struct dsm_line *line;
	const struct dsm_dir *dir;	/* NULL where it is not the home */
	u16 node;
};

static bool of_home(u8 type)
{
	return type == DSM_FWD_GET_S || type == DSM_FWD_GET_M || type == DSM_INV ||
	       type == DSM_GRANT || type == DSM_DISCARDED;
}

static bool get_is_wrong(const struct view *v, const struct dsm_coh_msg *msg)
{
	/* It waits, and is judged later. */
	if (v->dir->busy)
		return false;
	if (msg->type == DSM_PUT_S || msg->type == DSM_PUT_M)
		return msg->from == v->node ||
		       (msg->type == DSM_PUT_S && v->dir->state != DSM_DIR_ZERO &&
			msg->from == v->dir->owner);
	if (msg->type == DSM_DISCARD)
		return false;
	if (v->dir->state == DSM_DIR_M)
		return msg->from == v->dir->owner;
	return msg->type == DSM_GET_S && dsm_sharers_has(&v->block->sharers, msg->from);
}

/* Does the requester hear from the home alone? */
static bool home_answers_alone(const struct view *v)
{
	const struct dsm_dir *dir = v->dir;
	u64 others = v->block->sharers & ~((u64)1 << dir->requester);
	bool has = v->block->sharers >> dir->requester & 1;

	if (dir->requester == v->node)
		return false;
	if (dir->state != DSM_DIR_ZERO && !has && dir->owner != v->node)
		return false;
	/* A writer tells the home when the other readers' copies are gone. */
	if (dir->busy == DSM_GET_M && dir->state != DSM_DIR_M)
		return !(has || dir->state == DSM_DIR_ZERO ? others : others & ~((u64)1 << v->node));
	return true;
}

static bool done_is_wrong(const struct view *v, const struct dsm_coh_msg *msg)
{
	const struct dsm_coh_msg *fwd = &v->line->fwd;

	if (v->dir->busy != DSM_GET_S && v->dir->busy != DSM_GET_M)
		return true;
	if (msg->from != (home_answers_alone(v) ? v->node : v->dir->requester) ||
	    msg->req != v->dir->req)
		return true;
	if (msg->flags & DSM_WIRE_MODIFIED &&
	    (v->dir->busy != DSM_GET_S || !v->dir->migratory))
		return true;
	/* The home's own copy has not answered yet. */
	return fwd->type && fwd->node == v->dir->requester && fwd->req == msg->req;
}

static bool forward_is_wrong(const struct view *v, const struct dsm_coh_msg *msg)
{
	switch (v->line->state) {
	case DSM_LINE_S:
	case DSM_LINE_SM:
		if (msg->type == DSM_FWD_GET_S)
			return msg->flags & DSM_WIRE_MODIFIED;
		return v->line->fwd.type;
	case DSM_LINE_M:
		return v->line->fwd.type ||
		       (msg->type == DSM_INV && !(msg->flags & DSM_WIRE_ZERO));
	case DSM_LINE_I:
	case DSM_LINE_IS:
	case DSM_LINE_IM:
	case DSM_LINE_II_R:
	case DSM_LINE_SI_R:
		/* The copy was evicted, and the home may not have heard that yet. */
		return msg->type != DSM_INV || v->line->fwd.type || v->line->have;
	}
	return true;
}

static bool grant_is_wrong(const struct view *v, const struct dsm_coh_msg *msg)
{
	bool modified = msg->flags & DSM_WIRE_MODIFIED, zero = msg->flags & DSM_WIRE_ZERO;
	const struct dsm_line *line = v->line;

	if (!dsm_line_outstanding(line) || msg->req != line->req || line->have || line->fwd.type)
		return true;
	if (msg->type != DSM_GRANT && line->state == DSM_LINE_SM)
		return true;
	if (msg->type == DSM_GRANT && line->state != DSM_LINE_SM && !zero)
		return true;
	if (line->state == DSM_LINE_IS)
		return modified && (msg->type == DSM_GRANT || msg->acks);
	return !modified || msg->acks >= v->m->nodes || msg->acks < line->acks;
}

static bool ack_is_wrong(const struct view *v, const struct dsm_coh_msg *msg)
{
	const struct dsm_line *line = v->line;

	if (v->dir && v->dir->busy == DSM_PUT_M)
		return msg->from != v->dir->requester || msg->req != v->dir->req;
	if (v->dir && v->dir->busy == DSM_DISCARD)
		return msg->req != v->dir->req || (v->dir->state == DSM_DIR_M ?
			msg->from != v->dir->owner :
			!dsm_sharers_has(&v->block->sharers, msg->from));
	if (line->state != DSM_LINE_IM && line->state != DSM_LINE_SM)
		return true;
	return msg->req != line->req || line->acks + 1 >= v->m->nodes ||
	       (line->have && line->acks == line->acks_due);
}

static bool is_wrong(const struct view *v, const struct dsm_coh_msg *msg)
{
	if (msg->from >= v->m->nodes || msg->node >= v->m->nodes)
		return true;
	if (of_home(msg->type) && msg->from != v->block->home)
		return true;
	switch (msg->type) {
	case DSM_GET_S:
	case DSM_GET_M:
	case DSM_PUT_S:
	case DSM_PUT_M:
	case DSM_DISCARD:
		return !v->dir || get_is_wrong(v, msg);
	case DSM_DONE:
		return !v->dir || done_is_wrong(v, msg);
	case DSM_FWD_GET_S:
	case DSM_FWD_GET_M:
	case DSM_INV:
		return forward_is_wrong(v, msg);
	case DSM_DATA:
	case DSM_LOST:
	case DSM_GRANT:
		return grant_is_wrong(v, msg);
	case DSM_INV_ACK:
		return ack_is_wrong(v, msg);
	case DSM_DISCARDED:
		return !v->line->discards;
	}
	return true;
}

static bool tell(const struct view *v, const struct dsm_coh_msg *msg,
		 struct model_report *report)
{
	unsigned int b = v->block - v->m->block;
	enum dsm_coh_result res;
	const char *what = NULL;
	bool changed;

	res = model_lie(v->m, b, v->node, msg, &changed);
	if (res == DSM_COH_OK && is_wrong(v, msg))
		what = "accepts";
	if (res != DSM_COH_OK && changed)
		what = "refuses, and is changed by,";
	if (!what)
		return true;
	snprintf(report->why, sizeof(report->why),
		 "node %u in %s %s a forged %s #%u from node %u (node %u, flags %x, acks %u)",
		 v->node, model_line_name(v->line->state), what, model_msg_name(msg->type),
		 msg->req, msg->from, msg->node, msg->flags, msg->acks);
	return false;
}

/* All possible contents of a message of that type, apart from type, sender and number. */
static bool tell_variants(const struct view *v, struct dsm_coh_msg msg,
			  struct model_report *report)
{
	bool grants = msg.type == DSM_DATA || msg.type == DSM_LOST || msg.type == DSM_GRANT;
	unsigned int flags = grants ? DSM_WIRE_ZERO | DSM_WIRE_MODIFIED :
			     msg.type == DSM_INV ? DSM_WIRE_ZERO :
			     msg.type == DSM_FWD_GET_S || msg.type == DSM_DONE ?
			     DSM_WIRE_MODIFIED : 0;
	unsigned int acks_max = grants ? v->m->nodes + 1 : 0;

	for (msg.acks = 0; msg.acks <= acks_max; msg.acks++)
		for (msg.flags = 0; msg.flags <= flags; msg.flags++)
			for (msg.node = 0; msg.node <= v->m->nodes; msg.node++)
				if (!tell(v, &msg, report))
					return false;
	return true;
}

bool model_refuses(const struct model *m, unsigned int b, unsigned int node,
		   struct model_report *report)
{
	static const u8 types[] = {
		0, DSM_GET_S, DSM_GET_M, DSM_PUT_S, DSM_PUT_M, DSM_FWD_GET_S, DSM_FWD_GET_M,
		DSM_INV, DSM_INV_ACK, DSM_DATA, DSM_GRANT, DSM_DONE, DSM_DISCARD,
		DSM_DISCARDED, DSM_LOST, DSM_LOST + 1, DSM_CLAIM, DSM_NOP, 255,
	};
	const struct model_block *block = &m->block[b];
	struct view v = {
		.m = m, .block = block, .line = &block->copy[node].line, .node = node,
		.dir = node == block->home ? &block->dir : NULL,
	};
	/* The last one belongs to no request. */
	const u32 reqs[] = { v.line->req, block->dir.req, m->next_req };
	struct dsm_coh_msg msg = { .to = node };
	unsigned int i, k;

	for (i = 0; i < sizeof(types); i++)
		for (k = 0; k < sizeof(reqs) / sizeof(reqs[0]); k++)
			for (msg.from = 0; msg.from <= m->nodes; msg.from++) {
				msg.type = types[i];
				msg.req = reqs[k];
				if (!tell_variants(&v, msg, report))
					return false;
			}
	return true;
}
