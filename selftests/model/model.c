// SPDX-License-Identifier: GPL-2.0
/*
 * The cluster: what can happen next, its consequences, and what must be true afterwards.
 *
 * Checked after every step:
 *
 * - There is one writer and no reader, or no writer, by what page tables let threads do, not
 *   by the names of lines.
 * - Every reader has the bytes last written.
 * - A copy is lost only if its bytes were on the wire after the block was zeroes. Then no node
 *   can use the block.
 * - Bytes on the wire do not change at their sender, who may send them directly from the
 *   frame.
 * - A request of the home is answered exactly once, to the right node, with the request's
 *   number, and by a node whose threads have lost access. Until then its revocation is under
 *   way, or waits for a hold.
 * - A grant that a thread waits for stays until HOLD_OVER, and no other grant is held.
 * - The home serves requests in the order of arrival: nothing overtakes a waiting request, no
 *   request waits twice, and none waits for nothing.
 * - No message of a correct node, and no local event, is refused.
 * - A node requests what it wants and does not have. Requests have the numbers they were
 *   given.
 * - A step sends and keeps no more than the engine has said it needs, and adds sharers only
 *   where the engine has said that it needs a set.
 * - When the home says that a block is discarded, no node can read it, and no bytes are on the
 *   wire. Frames are freed only where they hold nothing.
 * - When nothing is left to happen, all requests have been served, evicted copies are gone,
 *   and the directory knows which nodes have copies.
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
			return wrong(report, "node %u can read lost data", n);
		readers++;
		writers += copy->pte == ACCESS_WRITE;
		if (!copy->fresh)
			return wrong(report, "node %u can read stale data", n);
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

/* Nothing will happen: all requests must be done, and home and nodes must agree. */
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
		return wrong(report,
			     "node %u has to supply bytes that it does not have", dir->owner);
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

/**
 * * struct happening - an event of a block at a node, while its consequences are carried out
 * @engine: the protocol at that node
 * @m: the cluster
 * @block: the block
 * @copy: the node's copy of it
 * @b: the block's number
 * @node: the node
 * @ev: the event being decided: the first, or a request that was kept
 * @was: the line before it
 * @dir: the directory's state before it
 * @sharers: the directory's sharers before it
 * @waited: how many requests were kept before it
 * @fresh: DATA: the bytes are the last written
 * @kept: the home keeps it
 * @begins: a hold begins
 * @sends_max: the most that the protocol may send for it
 * @sent: what was sent for it
 * @left: reserved messages that have not been used
 * @room: a set of sharers was reserved
 * @wait: so were the resources for a wait before access is revoked
 * @report: what is wrong, and a log
 */
struct happening {
	struct dsm_engine engine;
	struct model *m;
	struct model_block *block;
	struct model_copy *copy;
	u8 b;
	u16 node;
	struct dsm_event ev;
	struct dsm_line was;
	u8 dir;
	u64 sharers;
	unsigned int waited;
	bool fresh;
	bool kept;
	bool begins;
	unsigned int sends_max;
	unsigned int sent;
	unsigned int left;
	bool room;
	bool wait;
	struct model_report *report;
};

static struct happening *happening_of(struct dsm_engine *engine)
{
	return (struct happening *)((char *)engine - offsetof(struct happening, engine));
}

/* The bytes, or their substitute. */
static bool carries(u8 type)
{
	return type == DSM_DATA || type == DSM_LOST;
}

/* A node that is told that access is gone can rely on it. */
static bool check_answer(struct happening *h, const struct dsm_coh_msg *msg)
{
	const struct dsm_coh_msg *owed = &h->copy->owed;
	u8 type = owed->type == DSM_INV ? DSM_INV_ACK : h->was.lost ? DSM_LOST : DSM_DATA;
	/* A migratory block moves on, or is shared. */
	bool migrates = owed->type == DSM_FWD_GET_S && owed->flags & msg->flags & DSM_WIRE_MODIFIED;
	u8 flags = owed->type == DSM_FWD_GET_M || migrates ? DSM_WIRE_MODIFIED : 0;
	u16 acks = owed->type == DSM_FWD_GET_M ? owed->acks : 0;
	u8 left = owed->type == DSM_FWD_GET_S && !migrates ? ACCESS_READ : ACCESS_NONE;

	if (!owed->type)
		return wrong(h->report, "node %u sends an unsolicited %s", h->node,
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
			return wrong(h->report, "node %u has access to a discarded block", n);
		block->copy[n].fresh = false;
	}
	for (n = 0; n < h->m->n_flight; n++)
		if (h->m->flight[n].block == h->b && carries(h->m->flight[n].coh.type))
			return wrong(h->report, "bytes of a discarded block are under way");
	block->written = false;
	block->lost = false;
	return true;
}

static bool check_request(struct happening *h, const struct dsm_coh_msg *msg)
{
	if (msg->type == DSM_PUT_S) {
		if (h->copy->pte != ACCESS_NONE)
			return wrong(h->report,
				     "node %u has access to a copy that it reports as dropped",
				     h->node);
		return true;
	}
	if (h->ev.type == DSM_EV_MSG || msg->req != h->ev.req)
		return wrong(h->report, "node %u sends %s with number %u, not the one it was given",
			     h->node, model_msg_name(msg->type), msg->req);
	return true;
}

/* Use a reserved message. */
static bool use_reserved(struct happening *h)
{
	if (!h->left)
		return wrong(h->report, "node %u: more messages are needed than were reserved",
			     h->node);
	h->left--;
	return true;
}

static bool check_send(struct happening *h, const struct dsm_coh_msg *msg)
{
	if (msg->from != h->node || msg->to >= h->m->nodes)
		return wrong(h->report, "node %u sends from %u to %u", h->node, msg->from, msg->to);
	if ((carries(msg->type) || msg->type == DSM_INV_ACK) && !check_answer(h, msg))
		return false;
	if (dsm_engine_is_request(msg->type) && !check_request(h, msg))
		return false;
	if (msg->type == DSM_DISCARDED && !check_discarded(h))
		return false;
	if (h->m->n_flight == MODEL_FLIGHT)
		return wrong(h->report, "more than %u messages under way", MODEL_FLIGHT);
	return use_reserved(h);
}

static void engine_send(struct dsm_engine *engine, const struct dsm_coh_msg *msg)
{
	struct happening *h = happening_of(engine);
	struct model *m = h->m;

	h->sent++;
	if (!check_send(h, msg))
		return;
	if (h->report->log)
		fprintf(h->report->log, "; %s #%u for n%u", model_msg_name(msg->type), msg->req,
			msg->to);
	m->flight[m->n_flight++] = (struct model_msg){
		.coh = *msg, .block = h->b, .fresh = msg->type == DSM_DATA && h->copy->fresh,
	};
}

static void engine_keep(struct dsm_engine *engine, const struct dsm_coh_msg *msg)
{
	struct happening *h = happening_of(engine);
	struct model_block *block = h->block;

	if (engine->serving) {
		wrong(h->report, "the home puts a request at the end of the queue again");
		return;
	}
	if (block->n_waiting == MODEL_WAITING) {
		wrong(h->report, "more than %u requests wait at the home", MODEL_WAITING);
		return;
	}
	if (!use_reserved(h))
		return;
	if (h->report->log)
		fputs("; has to wait", h->report->log);
	block->waiting[block->n_waiting++] = *msg;
	h->kept = true;
}

static bool engine_next(struct dsm_engine *engine, struct dsm_coh_msg *msg)
{
	struct happening *h = happening_of(engine);
	struct model_block *block = h->block;

	/* A fault ends the step. */
	if (h->report->why[0] || !block->n_waiting)
		return false;
	*msg = block->waiting[0];
	block->n_waiting--;
	memmove(&block->waiting[0], &block->waiting[1],
		block->n_waiting * sizeof(block->waiting[0]));
	memset(&block->waiting[block->n_waiting], 0, sizeof(block->waiting[0]));
	h->left++;
	if (h->report->log)
		fprintf(h->report->log, "; takes up %s #%u of n%u", model_msg_name(msg->type),
			msg->req, msg->from);
	return true;
}

static bool engine_kept(struct dsm_engine *engine, u16 from, u8 type)
{
	const struct model_block *block = happening_of(engine)->block;
	unsigned int i;

	for (i = 0; i < block->n_waiting; i++)
		if (block->waiting[i].from == from && block->waiting[i].type == type)
			return true;
	return false;
}

static void engine_revoke(struct dsm_engine *engine, u8 how)
{
	struct happening *h = happening_of(engine);
	struct model_copy *copy = h->copy;

	if (!h->wait)
		wrong(h->report, "node %u revokes, and cannot wait", h->node);
	if (how == DSM_ACT_DROP && copy->line.fwd.type && !(copy->owed.flags & DSM_WIRE_ZERO))
		wrong(h->report, "node %u frees frames whose bytes it has to send", h->node);
	if (copy->revoke)
		wrong(h->report, "node %u revokes twice at a time", h->node);
	copy->revoke = how;
}

static bool engine_hold(struct dsm_engine *engine)
{
	struct happening *h = happening_of(engine);

	if (!h->wait)
		wrong(h->report, "node %u holds, and cannot wait", h->node);
	if (h->copy->hold)
		wrong(h->report, "node %u asks twice for the end of a hold", h->node);
	h->copy->hold = true;
	if (h->report->log)
		fputs("; holds", h->report->log);
	return true;
}

static void engine_wake(struct dsm_engine *engine, bool held)
{
	happening_of(engine)->begins = held;
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

static bool takes_access(u8 type)
{
	return type == DSM_FWD_GET_S || type == DSM_FWD_GET_M || type == DSM_INV;
}

/* The event's meaning, before the protocol decides. */
static bool before(struct happening *h)
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
		copy->fresh = msg->type == DSM_DATA && h->fresh;
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

/* A wanted block is requested, and a thread that waited for it gets it. */
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
			return wrong(h->report,
				     "node %u does not request the block that it wants", h->node);
		if (was->state == DSM_LINE_S && was->lost && line->state != DSM_LINE_S &&
		    !h->ev.prefetch)
			return wrong(h->report,
				     "node %u takes good copies from others, for nothing",
				     h->node);
		if (!h->ev.prefetch && dsm_line_outstanding(line))
			copy->wanted = true;
		return true;
	}
	if (!dsm_line_outstanding(was) || dsm_line_outstanding(line))
		return true;
	/* The thread gets an error for lost data, and no promise. */
	copy->wanted &= !line->lost;
	if (copy->wanted != h->begins)
		return wrong(h->report, "node %u %s", h->node, copy->wanted ?
			     "gets the block that its thread waits for, and begins no hold" :
			     "begins a hold without a waiting thread");
	if (copy->wanted)
		copy->promised = dsm_line_writable(line) ? ACCESS_WRITE : ACCESS_READ;
	copy->wanted = false;
	copy->leaving = false;
	return true;
}

/* At all times, threads do what they can. */
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
	if (!dsm_line_outstanding(line) && line->state != DSM_LINE_SI_R)
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

static void engine_deciding(struct dsm_engine *engine, const struct dsm_event *ev)
{
	struct happening *h = happening_of(engine);

	h->ev = *ev;
	h->was = h->copy->line;
	h->dir = h->block->dir.state;
	h->sharers = h->block->sharers;
	h->waited = h->block->n_waiting;
	h->kept = false;
	h->begins = false;
	h->sends_max = dsm_coh_sends_max(&engine->coh);
	h->sent = 0;
}

static void log_states(const struct happening *h)
{
	FILE *log = h->report->log;

	if (!log)
		return;
	if (h->was.state != h->copy->line.state)
		fprintf(log, "; n%u %s -> %s", h->node, model_line_name(h->was.state),
			model_line_name(h->copy->line.state));
	if (h->dir != h->block->dir.state)
		fprintf(log, "; home %s -> %s", model_dir_name(h->dir),
			model_dir_name(h->block->dir.state));
}

/* A request that is served as soon as it comes overtakes waiting ones. */
static bool check_order(const struct happening *h)
{
	if (h->ev.type != DSM_EV_MSG || !dsm_engine_is_request(h->ev.msg.type) ||
	    h->engine.serving || h->kept)
		return true;
	if (h->waited)
		return wrong(h->report, "the home serves %s of node %u before those that wait",
			     model_msg_name(h->ev.msg.type), h->ev.msg.from);
	return true;
}

static bool check_writes_kept(const struct happening *h)
{
	const struct model_block *block = h->block;
	unsigned int i, n = 0;

	for (i = 0; i < block->n_waiting; i++)
		n += dsm_engine_tells_sharers(block->waiting[i].type);
	if (n != block->writes_kept)
		return wrong(h->report, "%u writes are kept, and the engine counts %u", n,
			     block->writes_kept);
	return true;
}

static bool refused(struct happening *h)
{
	return wrong(h->report, "node %u refuses %s in %s", h->node,
		     h->ev.type == DSM_EV_MSG ? model_msg_name(h->ev.msg.type) :
		     "an event of its own", model_line_name(h->was.state));
}

static void engine_decided(struct dsm_engine *engine, const struct dsm_event *ev,
			   enum dsm_coh_result result)
{
	struct happening *h = happening_of(engine);

	(void)ev;
	if (result != DSM_COH_OK) {
		refused(h);
		return;
	}
	log_states(h);
	if (engine->coh.n_actions > DSM_ACTIONS_MAX)
		wrong(h->report, "node %u: %u actions", h->node, engine->coh.n_actions);
	else if (h->sent > h->sends_max)
		wrong(h->report, "node %u sends %u messages, and was to send %u at most",
		      h->node, h->sent, h->sends_max);
	else if (!h->room && h->block->sharers & ~h->sharers)
		wrong(h->report, "node %u adds a sharer to a set that may not be there", h->node);
	else if (promise(h, &h->was) && check_order(h))
		check_writes_kept(h);
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

/* The event, and the kept requests that it lets in. */
static bool happen(struct model *m, unsigned int b, u16 node, const struct dsm_event *first,
		   bool fresh, struct model_report *report)
{
	struct model_block *block = &m->block[b];
	struct happening h = {
		.engine = {
			.coh = coh_of(m, b, node), .ops = &engine_ops,
			.writes_kept = &block->writes_kept,
		},
		.m = m, .block = block, .copy = &block->copy[node], .b = b, .node = node,
		.ev = *first, .was = block->copy[node].line, .fresh = fresh, .report = report,
	};
	struct dsm_engine_needs needs = dsm_engine_needs(&h.engine, first);
	struct dsm_event follows;

	if (!before(&h))
		return false;
	h.left = needs.messages;
	h.room = needs.sharers;
	h.wait = needs.hold;
	if (dsm_engine_step(&h.engine, first) != DSM_COH_OK)
		refused(&h);
	if (report->why[0])
		return false;
	clear_dead_fields(&h);
	/* Every hold is reported as running, so only the home's WRITE can follow. */
	if (dsm_engine_follow(&h.engine, &follows)) {
		if (follows.type != DSM_EV_WRITE || !follows.prefetch)
			return wrong(report,
				     "node %u: what follows is event %u", node, follows.type);
		block->pull = true;
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

/* Messages between two nodes arrive in order. Those of a node to itself arrive in any order. */
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

/* A reader's copy stays while it is held. Then the holding node may try again. */
static bool can_leave(const struct dsm_line *line)
{
	return line->state == DSM_LINE_M ||
	       (line->state == DSM_LINE_S && (line->owner || !line->held));
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
		if (step->node != m->block[step->block].home && can_leave(&copy->line))
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
