// SPDX-License-Identifier: GPL-2.0
/*
 * The cluster: what can happen next, what follows from it, and what must be
 * true after it.
 *
 * What is checked after every step:
 *
 *  - One writer and no reader, or no writer: by what page tables let threads
 *    do, not by what lines are called.
 *  - Whoever can read has the bytes last written.
 *  - No copy is lost but where bytes have been, since the block was zeroes; and then
 *    nobody can use it.
 *  - Bytes under way do not change at their sender, who may send them from
 *    the frame itself.
 *  - A request of the home's is answered: once, to whom and with what it
 *    said, and by a node whose threads have lost the access; until then its
 *    revocation is being carried out, or waits for a hold.
 *  - A grant that a thread waits for stays until HOLD_OVER, and no other is
 *    held.
 *  - The home serves in the order of arrival: nothing overtakes what waits,
 *    nothing that has waited waits again, and nothing waits for nobody.
 *  - No correct node's message, and no own event, is refused.
 *  - What a node wants and does not have, it asks for; requests have the number
 *    they were given.
 *  - What an event sends, with those that it lets in, is not more than block.c
 *    sets aside, and sharers are added where it sees to it that there is a set.
 *  - When the home says that a block is discarded, nobody can read it, no bytes
 *    are under way, and frames are freed only where there is nothing in them.
 *  - When nothing is left to happen, all requests have been served, what was
 *    evicted is gone, and the directory knows who has what.
 */
#include <stdarg.h>
#include <string.h>
#include "model.h"

static bool wrong(struct model_report *report, const char *fmt, ...)
{
	va_list args;

	if (report->why[0])
		return false;
	va_start(args, fmt);
	vsnprintf(report->why, sizeof(report->why), fmt, args);
	va_end(args);
	return false;
}

void model_init(struct model *m, unsigned int nodes, unsigned int blocks)
{
	unsigned int b;

	memset(m, 0, sizeof(*m));
	m->nodes = nodes;
	m->blocks = blocks;
	m->next_req = 1;
	for (b = 0; b < blocks; b++)
		m->block[b].home = b % nodes;
}

/* ------------------------------------------------------------------------
 * What must be true
 */

static bool check_access(const struct model *m, unsigned int b, struct model_report *report)
{
	const struct model_block *block = &m->block[b];
	unsigned int n, readers = 0, writers = 0, i;

	for (n = 0; n < m->nodes; n++) {
		const struct model_copy *copy = &block->copy[n];

		if (copy->line.lost && !block->lost)
			return wrong(report, "node %u has a lost copy, and nothing was lost", n);
		if (copy->pte == ACCESS_NONE)
			continue;
		if (copy->line.lost)
			return wrong(report, "node %u can read what is lost", n);
		readers++;
		writers += copy->pte == ACCESS_WRITE;
		if (!copy->fresh)
			return wrong(report, "node %u can read what is not the last value", n);
	}
	if (writers > 1)
		return wrong(report, "two nodes can write");
	if (writers && readers > 1)
		return wrong(report, "a node can read while another can write");
	for (i = 0; i < m->n_flight; i++) {
		const struct model_msg *msg = &m->flight[i];

		if (msg->block == b && msg->coh.type == DSM_DATA &&
		    block->copy[msg->coh.from].pte == ACCESS_WRITE)
			return wrong(report, "node %u can write to bytes that are under way",
				     msg->coh.from);
	}
	return true;
}

static bool check_promises(const struct model *m, unsigned int b, struct model_report *report)
{
	const struct model_block *block = &m->block[b];
	unsigned int n;

	for (n = 0; n < m->nodes; n++) {
		const struct model_copy *copy = &block->copy[n];

		if (copy->owed.type && !copy->hold && !copy->revoke)
			return wrong(report, "node %u has swallowed %s #%u", n,
				     model_msg_name(copy->owed.type), copy->owed.req);
		if (copy->promised && !dsm_line_readable(&copy->line))
			return wrong(report, "node %u has lost a grant before it could use it", n);
		if (copy->promised == ACCESS_WRITE && !dsm_line_writable(&copy->line))
			return wrong(report,
				     "node %u has lost write access before it could use it", n);
	}
	if (block->n_waiting && !block->dir.busy)
		return wrong(report, "a request waits at the home, and nothing is being served");
	return true;
}

/* Nothing will happen: then everything has, and home and nodes agree. */
static bool check_quiet(const struct model *m, unsigned int b, struct model_report *report)
{
	const struct model_block *block = &m->block[b];
	const struct dsm_dir *dir = &block->dir;
	unsigned int n;

	if (dir->busy)
		return wrong(report, "a dead end: the home serves node %u's %s for ever",
			     dir->requester, model_msg_name(dir->busy));
	for (n = 0; n < m->nodes; n++) {
		const struct dsm_line *line = &block->copy[n].line;
		bool sharer = dsm_sharers_has(&block->sharers, n);
		u8 should = sharer ? DSM_LINE_S : DSM_LINE_I;

		if (dsm_line_outstanding(line))
			return wrong(report, "a dead end: node %u waits in %s for ever", n,
				     model_line_name(line->state));
		if (dir->state == DSM_DIR_M)
			should = n == dir->owner ? DSM_LINE_M : DSM_LINE_I;
		if (line->state != should)
			return wrong(report, "at rest node %u is in %s, its home believes in %s",
				     n, model_line_name(line->state), model_line_name(should));
		if (block->copy[n].leaving)
			return wrong(report, "node %u's eviction has been forgotten", n);
		if (block->copy[n].discards || line->discards)
			return wrong(report, "a dead end: node %u discards for ever", n);
	}
	if (dir->state == DSM_DIR_S && !dsm_sharers_has(&block->sharers, dir->owner))
		return wrong(report, "node %u is to supply bytes it does not have", dir->owner);
	return true;
}

bool model_quiet(const struct model *m)
{
	unsigned int b, n;

	if (m->n_flight)
		return false;
	for (b = 0; b < m->blocks; b++) {
		if (m->block[b].pull)
			return false;
		for (n = 0; n < m->nodes; n++)
			if (m->block[b].copy[n].revoke || m->block[b].copy[n].hold)
				return false;
	}
	return true;
}

static bool check(const struct model *m, struct model_report *report)
{
	bool quiet = model_quiet(m);
	unsigned int b;

	for (b = 0; b < m->blocks; b++)
		if (!check_access(m, b, report) || !check_promises(m, b, report) ||
		    (quiet && !check_quiet(m, b, report)))
			return false;
	return true;
}

/* ------------------------------------------------------------------------
 * Actions
 */

/* One event of a block at a node, while its actions are carried out. */
struct happening {
	struct model *m;
	struct model_block *block;
	struct model_copy *copy;
	u8 b;
	u16 node;
	struct dsm_event ev;
	bool kept;		/* the message has waited at the home */
	bool deferred;
	bool next;
	bool begins;		/* a hold */
	bool lost;		/* the copy was, before */
	unsigned int sent;
	unsigned int messages;	/* set aside */
	bool sharers;		/* so is room for them */
	struct model_report *report;
};

/* The bytes, or what stands in place of them. */
static bool carries(u8 type)
{
	return type == DSM_DATA || type == DSM_LOST;
}

/* Whoever is told that access is gone can rely on it. */
static bool check_answer(struct happening *h, const struct dsm_coh_msg *msg)
{
	const struct dsm_coh_msg *owed = &h->copy->owed;
	u8 type = owed->type == DSM_INV ? DSM_INV_ACK : h->lost ? DSM_LOST : DSM_DATA;
	/* What is migratory goes away, or is shared. */
	bool migrates = owed->type == DSM_FWD_GET_S && owed->flags & msg->flags & DSM_WIRE_MODIFIED;
	u8 flags = owed->type == DSM_FWD_GET_M || migrates ? DSM_WIRE_MODIFIED : 0;
	u16 acks = owed->type == DSM_FWD_GET_M ? owed->acks : 0;
	u8 left = owed->type == DSM_FWD_GET_S && !migrates ? ACCESS_READ : ACCESS_NONE;

	if (!owed->type)
		return wrong(h->report, "node %u sends %s that nobody asked for", h->node,
			     model_msg_name(msg->type));
	if (msg->type != type || msg->flags != flags || msg->to != owed->node ||
	    msg->req != owed->req || msg->acks != acks)
		return wrong(h->report, "node %u answers %s #%u for node %u with %s #%u to node %u,"
			     " flags %x, acks %u", h->node, model_msg_name(owed->type), owed->req,
			     owed->node, model_msg_name(msg->type), msg->req, msg->to, msg->flags,
			     msg->acks);
	if (h->copy->pte > left)
		return wrong(h->report, "node %u answers %s while its threads still have access",
			     h->node, model_msg_name(owed->type));
	memset(&h->copy->owed, 0, sizeof(h->copy->owed));
	return true;
}

/* From here on the block is zeroes. */
static bool check_discarded(struct happening *h)
{
	struct model_block *block = h->block;
	unsigned int n;

	for (n = 0; n < h->m->nodes; n++) {
		if (block->copy[n].pte != ACCESS_NONE)
			return wrong(h->report, "node %u has access to what is discarded", n);
		block->copy[n].fresh = false;
	}
	for (n = 0; n < h->m->n_flight; n++)
		if (h->m->flight[n].block == h->b && carries(h->m->flight[n].coh.type))
			return wrong(h->report, "bytes of what is discarded are under way");
	block->written = false;
	block->lost = false;
	return true;
}

static bool check_request(struct happening *h, const struct dsm_coh_msg *msg)
{
	if (h->ev.type == DSM_EV_MSG || msg->req != h->ev.req)
		return wrong(h->report, "node %u sends %s with number %u, not the one it was given",
			     h->node, model_msg_name(msg->type), msg->req);
	return true;
}

static bool send(struct happening *h, const struct dsm_coh_msg *msg)
{
	struct model *m = h->m;

	h->sent++;
	if (msg->from != h->node || msg->to >= m->nodes)
		return wrong(h->report, "node %u sends from %u to %u", h->node, msg->from, msg->to);
	if ((carries(msg->type) || msg->type == DSM_INV_ACK) && !check_answer(h, msg))
		return false;
	if ((msg->type == DSM_GET_S || msg->type == DSM_GET_M || msg->type == DSM_PUT_S ||
	     msg->type == DSM_PUT_M || msg->type == DSM_DISCARD) && !check_request(h, msg))
		return false;
	if (msg->type == DSM_DISCARDED && !check_discarded(h))
		return false;
	if (m->n_flight == MODEL_FLIGHT)
		return wrong(h->report, "more than %u messages under way", MODEL_FLIGHT);
	if (h->report->log)
		fprintf(h->report->log, "; %s #%u for n%u", model_msg_name(msg->type), msg->req,
			msg->to);
	m->flight[m->n_flight++] = (struct model_msg){
		.coh = *msg, .block = h->b, .fresh = msg->type == DSM_DATA && h->copy->fresh,
	};
	return true;
}

static bool send_sharers(struct happening *h, const struct dsm_action *act)
{
	struct dsm_coh_msg msg = act->msg;

	for (msg.to = 0; msg.to < h->m->nodes; msg.to++)
		if (msg.to != act->skip && msg.to != msg.node &&
		    dsm_sharers_has(&h->block->sharers, msg.to) && !send(h, &msg))
			return false;
	return true;
}

static bool defer(struct happening *h)
{
	struct model_block *block = h->block;

	if (h->kept)
		return wrong(h->report, "the home puts a request at the end of the queue again");
	if (block->n_waiting == MODEL_WAITING)
		return wrong(h->report, "more than %u requests wait at the home", MODEL_WAITING);
	if (h->report->log)
		fputs("; has to wait", h->report->log);
	block->waiting[block->n_waiting++] = h->ev.msg;
	h->deferred = true;
	return true;
}

static bool perform(struct happening *h, const struct dsm_action *act)
{
	struct model_copy *copy = h->copy;

	switch ((enum dsm_action_type)act->type) {
	case DSM_ACT_SEND:
		return send(h, &act->msg);
	case DSM_ACT_SEND_SHARERS:
		return send_sharers(h, act);
	case DSM_ACT_DROP:
		if (copy->line.fwd.type && !(copy->owed.flags & DSM_WIRE_ZERO))
			return wrong(h->report, "node %u frees frames whose bytes it is to send",
				     h->node);
		/* fallthrough */
	case DSM_ACT_REVOKE:
	case DSM_ACT_CLEAN:
		if (copy->revoke)
			return wrong(h->report, "node %u revokes twice at a time", h->node);
		copy->revoke = act->type;
		return true;
	case DSM_ACT_HOLD:
		if (copy->hold)
			return wrong(h->report, "node %u asks twice for the end of a hold", h->node);
		copy->hold = true;
		if (h->report->log)
			fputs("; holds", h->report->log);
		return true;
	case DSM_ACT_WAKE:
		h->begins = act->held;
		return true;
	case DSM_ACT_DEFER:
		return defer(h);
	case DSM_ACT_NEXT:
		h->next = true;
		return true;
	case DSM_ACT_PULL:
		h->block->pull = true;
		return true;
	}
	return wrong(h->report, "node %u: no such action: %u", h->node, act->type);
}

/* ------------------------------------------------------------------------
 * Events
 */

static struct dsm_coh coh_of(struct model *m, unsigned int b, u16 node)
{
	struct model_block *block = &m->block[b];
	struct dsm_coh coh = {
		.self = node, .home = block->home, .nodes = m->nodes,
		.line = &block->copy[node].line,
	};

	if (node == block->home) {
		coh.dir = &block->dir;
		coh.dir->sharers = &block->sharers;
	}
	return coh;
}

static bool is_request(u8 type)
{
	return type == DSM_GET_S || type == DSM_GET_M || type == DSM_PUT_S || type == DSM_PUT_M ||
	       type == DSM_DISCARD;
}

/* What the home tells the sharers of. */
static bool tells_sharers(u8 type)
{
	return type == DSM_GET_M || type == DSM_DISCARD;
}

static bool takes_access(u8 type)
{
	return type == DSM_FWD_GET_S || type == DSM_FWD_GET_M || type == DSM_INV;
}

/* What the event means, before the protocol has its say. */
static bool before(struct happening *h, bool fresh)
{
	const struct dsm_coh_msg *msg = &h->ev.msg;
	struct model_copy *copy = h->copy;
	unsigned int i;

	if (h->ev.type != DSM_EV_MSG)
		return true;
	if (takes_access(msg->type)) {
		if (copy->owed.type)
			return wrong(h->report, "node %u gets %s before it has answered %s",
				     h->node, model_msg_name(msg->type),
				     model_msg_name(copy->owed.type));
		copy->owed = *msg;
	}
	if (carries(msg->type)) {
		copy->fresh = msg->type == DSM_DATA && fresh;
		for (i = 0; i < h->m->n_flight; i++)
			if (h->m->flight[i].block == h->b && h->m->flight[i].coh.type == DSM_DATA &&
			    h->m->flight[i].coh.from == h->node)
				return wrong(h->report,
					     "node %u gets bytes over others that are under way",
					     h->node);
	}
	if (msg->type == DSM_GRANT && msg->flags & DSM_WIRE_ZERO)
		copy->fresh = !h->block->written;
	if (msg->type == DSM_DISCARDED)
		copy->discards = false;
	return true;
}

/* What is wanted is asked for, and a thread that has waited for it has it. */
static bool promise(struct happening *h, const struct dsm_line *was)
{
	struct model_copy *copy = h->copy;
	const struct dsm_line *line = &copy->line;

	if (copy->discards != line->discards)
		return wrong(h->report, "node %u %s", h->node, line->discards ?
			     "waits for a discard that is over" :
			     "does not wait for its discard");
	if (h->ev.type == DSM_EV_READ || h->ev.type == DSM_EV_WRITE) {
		if (line->state == DSM_LINE_I ||
		    (line->state == DSM_LINE_S && h->ev.type == DSM_EV_WRITE && !line->lost))
			return wrong(h->report, "node %u does not ask for what it wants", h->node);
		if (was->state == DSM_LINE_S && was->lost && line->state != DSM_LINE_S &&
		    !h->ev.prefetch)
			return wrong(h->report, "node %u takes good copies from others, for nothing",
				     h->node);
		if (!h->ev.prefetch && dsm_line_outstanding(line))
			copy->wanted = true;
		return true;
	}
	if (!dsm_line_outstanding(was) || dsm_line_outstanding(line))
		return true;
	/* What is lost the thread gets as an error, and no promise. */
	copy->wanted &= !line->lost;
	if (copy->wanted != h->begins)
		return wrong(h->report, "node %u %s", h->node, copy->wanted ?
			     "gets what its thread waits for, and begins no hold" :
			     "begins a hold for nobody");
	if (copy->wanted)
		copy->promised = dsm_line_writable(line) ? ACCESS_WRITE : ACCESS_READ;
	copy->wanted = false;
	copy->leaving = false;
	return true;
}

/* Threads do what they can, all the time. */
static void threads_run(struct model *m, unsigned int b)
{
	struct model_block *block = &m->block[b];
	unsigned int n, i;

	for (n = 0; n < m->nodes; n++) {
		struct model_copy *copy = &block->copy[n];

		if (dsm_line_writable(&copy->line))
			copy->pte = ACCESS_WRITE;
		else if (dsm_line_readable(&copy->line) && !copy->pte)
			copy->pte = ACCESS_READ;
	}
	for (n = 0; n < m->nodes; n++) {
		if (block->copy[n].pte != ACCESS_WRITE)
			continue;
		block->written = true;
		for (i = 0; i < m->nodes; i++)
			if (i != n)
				block->copy[i].fresh = false;
		for (i = 0; i < m->n_flight; i++)
			if (m->flight[i].block == b)
				m->flight[i].fresh = false;
	}
}

static void clear_dead_fields(struct happening *h)
{
	struct dsm_line *line = &h->copy->line;
	struct dsm_dir *dir = &h->block->dir;

	dir->sharers = NULL;
	if (h->m->exact)
		return;
	if (!dsm_line_outstanding(line))
		line->req = 0;
	if (!line->fwd.type)
		memset(&line->fwd, 0, sizeof(line->fwd));
	if (!dir->busy) {
		dir->requester = 0;
		dir->req = 0;
	}
}

static bool same_dir(const struct dsm_dir *a, const struct dsm_dir *b)
{
	return a->state == b->state && a->busy == b->busy && a->owner == b->owner &&
	       a->requester == b->requester && a->req == b->req &&
	       a->migratory == b->migratory;
}

static bool event(struct happening *h)
{
	struct dsm_coh coh = coh_of(h->m, h->b, h->node);
	struct dsm_line was = h->copy->line;
	unsigned int max = dsm_coh_sends_max(&coh), sent = h->sent, i;
	u8 dir = h->block->dir.state;

	h->next = false;
	h->begins = false;
	h->lost = was.lost;
	h->deferred = false;
	if (dsm_coh_event(&coh, &h->ev) != DSM_COH_OK)
		return wrong(h->report, "node %u refuses %s in %s", h->node,
			     h->ev.type == DSM_EV_MSG ? model_msg_name(h->ev.msg.type) :
			     "an event of its own", model_line_name(was.state));
	if (coh.n_actions > DSM_ACTIONS_MAX)
		return wrong(h->report, "node %u: %u actions", h->node, coh.n_actions);
	if (h->report->log) {
		if (was.state != h->copy->line.state)
			fprintf(h->report->log, "; n%u %s -> %s", h->node,
				model_line_name(was.state), model_line_name(h->copy->line.state));
		if (dir != h->block->dir.state)
			fprintf(h->report->log, "; home %s -> %s", model_dir_name(dir),
				model_dir_name(h->block->dir.state));
	}
	for (i = 0; i < coh.n_actions; i++)
		if (!perform(h, &coh.actions[i]))
			return false;
	if (h->sent - sent > max)
		return wrong(h->report, "node %u sends %u messages, and was to send %u at most",
			     h->node, h->sent - sent, max);
	if (!promise(h, &was))
		return false;
	clear_dead_fields(h);
	return true;
}

/* A request that has just come, and is served at once, overtakes those that wait. */
static bool check_order(const struct happening *h, unsigned int waited)
{
	if (h->ev.type != DSM_EV_MSG || !is_request(h->ev.msg.type) || h->kept || h->deferred)
		return true;
	if (waited)
		return wrong(h->report, "the home serves %s of node %u before those that wait",
			     model_msg_name(h->ev.msg.type), h->ev.msg.from);
	return true;
}

/* A correct node has one request of a kind for a block at a time. */
static bool check_single(const struct happening *h)
{
	const struct model_block *block = h->block;
	unsigned int i;

	if (h->ev.type != DSM_EV_MSG || !is_request(h->ev.msg.type))
		return true;
	for (i = 0; i < block->n_waiting; i++)
		if (block->waiting[i].from == h->ev.msg.from &&
		    block->waiting[i].type == h->ev.msg.type)
			return wrong(h->report, "node %u sends %s while another one waits",
				     h->ev.msg.from, model_msg_name(h->ev.msg.type));
	return true;
}

static bool writes_wait(const struct model_block *block)
{
	unsigned int i;

	for (i = 0; i < block->n_waiting; i++)
		if (tells_sharers(block->waiting[i].type))
			return true;
	return false;
}

/* What block.c's needs_of() sets aside. */
static void set_aside(struct happening *h)
{
	struct dsm_coh coh = coh_of(h->m, h->b, h->node);
	const struct dsm_dir *dir = coh.dir;
	u8 type = h->ev.msg.type;

	h->messages = DSM_SENDS_MAX;
	h->sharers = false;
	if (!dir || h->ev.type != DSM_EV_MSG)
		return;
	if (dir->busy ? writes_wait(h->block) && (type == DSM_DONE || type == DSM_INV_ACK) :
			tells_sharers(type))
		h->messages = dsm_coh_sends_max(&coh) + 2;
	h->sharers = dir->busy == DSM_GET_S && type == DSM_DONE;
}

/* A message that waits is one of those set aside, and one of them again when it is taken up. */
static bool check_set_aside(struct happening *h, u64 sharers)
{
	if (h->sent + h->deferred > h->messages)
		return wrong(h->report, "node %u: %u messages were set aside, %u are needed",
			     h->node, h->messages, h->sent + h->deferred);
	if (!h->sharers && h->block->sharers & ~sharers)
		return wrong(h->report, "node %u adds a sharer to a set that may not be there",
			     h->node);
	return true;
}

static void take_up(struct happening *h)
{
	struct model_block *block = h->block;

	h->kept = true;
	h->messages++;
	h->ev = (struct dsm_event){ .type = DSM_EV_MSG, .msg = block->waiting[0] };
	block->n_waiting--;
	memmove(&block->waiting[0], &block->waiting[1],
		block->n_waiting * sizeof(block->waiting[0]));
	memset(&block->waiting[block->n_waiting], 0, sizeof(block->waiting[0]));
	if (h->report->log)
		fprintf(h->report->log, "; takes up %s #%u of n%u", model_msg_name(h->ev.msg.type),
			h->ev.msg.req, h->ev.msg.from);
}

/* As block.c's step(): the event, and the deferred ones it lets in. */
static bool happen(struct model *m, unsigned int b, u16 node, const struct dsm_event *first,
		   bool fresh, struct model_report *report)
{
	struct model_block *block = &m->block[b];
	struct happening h = {
		.m = m, .block = block, .copy = &block->copy[node], .b = b, .node = node,
		.ev = *first, .report = report,
	};
	unsigned int waited;
	u64 sharers;

	if (!check_single(&h) || !before(&h, fresh))
		return false;
	set_aside(&h);
	for (;;) {
		waited = block->n_waiting;
		sharers = block->sharers;
		if (!event(&h) || !check_order(&h, waited) || !check_set_aside(&h, sharers))
			return false;
		if (!h.next || !block->n_waiting)
			break;
		take_up(&h);
	}
	threads_run(m, b);
	return check(m, report);
}

/* ------------------------------------------------------------------------
 * Steps
 */

static void add(struct model_step *steps, unsigned int *n, unsigned int types,
		struct model_step step)
{
	if (types >> step.type & 1)
		steps[(*n)++] = step;
}

/* Messages of one node to another come in order; those to itself in any. */
static bool deliverable(const struct model *m, unsigned int i)
{
	const struct dsm_coh_msg *msg = &m->flight[i].coh;
	unsigned int k;

	if (msg->from == msg->to)
		return true;
	for (k = 0; k < i; k++)
		if (m->flight[k].coh.from == msg->from && m->flight[k].coh.to == msg->to)
			return false;
	return true;
}

unsigned int model_steps(const struct model *m, unsigned int types, struct model_step *steps)
{
	unsigned int n = 0;
	u8 b, node, i;

	for (i = 0; i < m->n_flight; i++)
		if (deliverable(m, i))
			add(steps, &n, types, (struct model_step){
				STEP_DELIVER, m->flight[i].block, m->flight[i].coh.to, i });
	for (i = 0; i < m->n_flight; i++)
		if (m->flight[i].coh.type == DSM_DATA)
			add(steps, &n, types, (struct model_step){
				STEP_LOSE, m->flight[i].block, m->flight[i].coh.from, i });
	for (b = 0; b < m->blocks; b++) {
		if (m->block[b].pull)
			add(steps, &n, types, (struct model_step){
				STEP_PULL, b, m->block[b].home, 0 });
		for (node = 0; node < m->nodes; node++) {
			const struct model_copy *copy = &m->block[b].copy[node];
			u8 type;

			if (copy->revoke)
				add(steps, &n, types, (struct model_step){ STEP_REVOKED, b, node, 0 });
			if (copy->hold)
				add(steps, &n, types, (struct model_step){ STEP_HOLD_OVER, b, node, 0 });
			else if (copy->promised)
				add(steps, &n, types, (struct model_step){ STEP_USED, b, node, 0 });
			for (type = STEP_READ; type <= STEP_DISCARD; type++)
				add(steps, &n, types, (struct model_step){ type, b, node, 0 });
		}
	}
	return n;
}

static bool deliver(struct model *m, const struct model_step *step, struct model_report *report)
{
	struct model_msg msg = m->flight[step->msg];
	struct dsm_event ev = { .type = DSM_EV_MSG, .msg = msg.coh };

	m->n_flight--;
	memmove(&m->flight[step->msg], &m->flight[step->msg + 1],
		(m->n_flight - step->msg) * sizeof(m->flight[0]));
	memset(&m->flight[m->n_flight], 0, sizeof(m->flight[0]));
	return happen(m, msg.block, msg.coh.to, &ev, msg.fresh, report);
}

static bool lose(struct model *m, const struct model_step *step, struct model_report *report)
{
	struct model_msg *msg = &m->flight[step->msg];

	msg->coh.type = DSM_LOST;
	msg->fresh = false;
	m->block[msg->block].lost = true;
	return check(m, report);
}

bool model_take(struct model *m, const struct model_step *step, struct model_report *report)
{
	struct model_copy *copy = &m->block[step->block].copy[step->node];
	struct dsm_event ev = {};

	switch ((enum model_step_type)step->type) {
	case STEP_READ:
	case STEP_PREFETCH_READ:
		ev.type = DSM_EV_READ;
		ev.prefetch = step->type == STEP_PREFETCH_READ;
		ev.req = m->next_req++;
		break;
	case STEP_PULL:
		m->block[step->block].pull = false;
		/* fallthrough */
	case STEP_WRITE:
	case STEP_PREFETCH_WRITE:
		ev.type = DSM_EV_WRITE;
		ev.prefetch = step->type != STEP_WRITE;
		ev.req = m->next_req++;
		break;
	case STEP_EVICT:
		if (step->node != m->block[step->block].home &&
		    (copy->line.state == DSM_LINE_S || copy->line.state == DSM_LINE_M))
			copy->leaving = true;
		ev.type = DSM_EV_EVICT;
		ev.req = m->next_req++;
		break;
	case STEP_FREE:
		ev.type = DSM_EV_FREE;
		break;
	case STEP_DISCARD:
		copy->discards = true;
		ev.type = DSM_EV_DISCARD;
		ev.req = m->next_req++;
		break;
	case STEP_LOSE:
		return lose(m, step, report);
	case STEP_USED:
	case STEP_HOLD_OVER:
		copy->hold = false;
		copy->promised = ACCESS_NONE;
		ev.type = DSM_EV_HOLD_OVER;
		break;
	case STEP_REVOKED:
		if (copy->revoke == DSM_ACT_DROP)
			copy->fresh = false;
		if (copy->revoke != DSM_ACT_CLEAN) {
			copy->pte = ACCESS_NONE;
			copy->leaving = false;
		} else if (copy->pte == ACCESS_WRITE) {
			copy->pte = ACCESS_READ;
		}
		copy->revoke = 0;
		ev.type = DSM_EV_REVOKED;
		break;
	case STEP_DELIVER:
		return deliver(m, step, report);
	case STEP_TYPES:
		return wrong(report, "no such step");
	}
	return happen(m, step->block, step->node, &ev, false, report);
}

/* ------------------------------------------------------------------------
 * Lies
 */

enum dsm_coh_result model_lie(const struct model *m, unsigned int b, unsigned int node,
			      const struct dsm_coh_msg *msg, bool *changed)
{
	struct dsm_line line = m->block[b].copy[node].line, line_was = line;
	struct dsm_dir dir = m->block[b].dir, dir_was = dir;
	struct dsm_event ev = { .type = DSM_EV_MSG, .msg = *msg };
	u64 sharers = m->block[b].sharers;
	struct dsm_coh coh = {
		.self = node, .home = m->block[b].home, .nodes = m->nodes, .line = &line,
	};
	enum dsm_coh_result res;

	if (node == coh.home) {
		coh.dir = &dir;
		dir.sharers = &sharers;
	}
	res = dsm_coh_event(&coh, &ev);
	*changed = memcmp(&line, &line_was, sizeof(line)) || !same_dir(&dir, &dir_was) ||
		   sharers != m->block[b].sharers || coh.n_actions;
	return res;
}

/* ------------------------------------------------------------------------
 * Other numbers
 */

static void relabel_msg(struct dsm_coh_msg *msg, const u8 *to)
{
	if (!msg->type)
		return;
	msg->from = to[msg->from];
	msg->to = to[msg->to];
	/* Elsewhere the field says nothing. */
	if (takes_access(msg->type))
		msg->node = to[msg->node];
}

static void relabel_block(const struct model *m, struct model_block *block, const u8 *to)
{
	struct model_block was = *block;
	unsigned int n;

	block->home = to[was.home];
	if (was.dir.state != DSM_DIR_ZERO)
		block->dir.owner = to[was.dir.owner];
	if (was.dir.busy)
		block->dir.requester = to[was.dir.requester];
	block->sharers = 0;
	for (n = 0; n < m->nodes; n++) {
		struct model_copy *copy = &block->copy[to[n]];

		*copy = was.copy[n];
		relabel_msg(&copy->line.fwd, to);
		relabel_msg(&copy->owed, to);
		block->sharers |= (was.sharers >> n & 1) << to[n];
	}
	for (n = 0; n < block->n_waiting; n++)
		relabel_msg(&block->waiting[n], to);
}

void model_relabel(struct model *m, const u8 *to)
{
	unsigned int b, i;

	for (b = 0; b < m->blocks; b++)
		relabel_block(m, &m->block[b], to);
	for (i = 0; i < m->n_flight; i++)
		relabel_msg(&m->flight[i].coh, to);
}
