// SPDX-License-Identifier: GPL-2.0
/*
 * The coherence protocol: MSI with a directory at the block's home.
 *
 * After Sorin, Hill, Wood: A Primer on Memory Consistency and Cache
 * Coherence, chapter 8, whose names it uses. What differs from the Primer's
 * directory protocol:
 *
 *  - The home serves one request a block at a time, in the order of arrival.
 *    A request that comes while another is served waits at the home; the
 *    requester ends the service with DONE. So a message of the home about a
 *    block never meets, at a node, a grant of that block still under way: the
 *    races that need states like IS_D_I do not exist.
 *  - What the home answers alone, with its own copy's bytes or none, and with no
 *    INV_ACK to wait for, is over once the answer is on its way: whatever the
 *    home says next comes after it. The home says DONE to itself then, and the
 *    requester nothing.
 *  - The home has no memory of its own. The bytes come from the owner, or in
 *    S from one of the sharers, straight to the requester: three hops, or two
 *    where the home is one of the three. A block nobody ever wrote has no
 *    bytes to send: its grants say ZERO.
 *  - A requester that is still a sharer gets GRANT instead of DATA.
 *  - A block that one node after the other reads and then writes is migratory:
 *    a reader gets it for writing at once, and nobody has to be asked twice.
 *    That it is, the home sees by a write of the only sharer beside the last
 *    writer. FWD_GET_S says so to the owner, who gives it away if it has written
 *    to it itself; if not, it is shared, and no longer migratory. DATA and
 *    DONE tell which. After Cox and Fowler, and Stenström, Brorsson and Sandberg,
 *    both 1993.
 *  - Access is taken from a node in two steps, because its page tables have
 *    to change: a state that gives no access, then, when the caller reports
 *    REVOKED, the answer.
 *  - A grant that a thread asked for is held until it was used, or for a
 *    while at most (the caller's clock): Fleisch and Popek, Mirage, 1989.
 *  - DISCARD makes a block what it was before anybody wrote it. It is the home
 *    that takes it from all who have it, by INVs that say ZERO, whose INV_ACKs it
 *    gets itself; then it answers DISCARDED. No bytes move, and the copy of the
 *    node that asks is one like the others'.
 *  - LOST stands in place of DATA when the bytes cannot be read. It is a grant like
 *    DATA, of a copy that nobody can use: the directory does not know the difference,
 *    and the transaction ends as any other. The copy stays lost wherever it goes, its
 *    holder answers LOST in turn, until DISCARD makes the block zeroes, or a node whose
 *    copy is good writes and so takes it away. A node asks for no other copy when a
 *    thread wants to use a lost one.
 *  - A sharer that is not the owner evicts its copy by itself, and PUT_S tells the
 *    home so. Nobody answers. Until the home has heard it, an INV may be on its way to
 *    that node: it is answered without a copy, even if the node has asked for another
 *    one meanwhile, since no grant is under way then. The owner's bytes may be the only
 *    ones, or be asked for. So PUT_M only asks the home to take the block; the home does
 *    so by an INV or a request of its own, if need be after one that is under way. The
 *    copy at the home is never evicted: it may be the last.
 *
 *	requester          home            owner           sharers
 *	   |---- GET_M ----->|                |                |
 *	   |                 |-- FWD_GET_M -->|                |
 *	   |                 |------------ INV, each ---------->|
 *	   |<--------------- DATA, acks ------|                |
 *	   |<------------------------------------ INV_ACK -----|
 *	   |---- DONE ------>|
 */
#include "coherence.h"
#include "line_table.h"
#include "sharers.h"

/* ------------------------------------------------------------------------
 * What a node does with its copy
 */

static struct dsm_action *act(struct dsm_coh *coh, u8 type)
{
	struct dsm_action *a = &coh->actions[coh->n_actions++];

	*a = (struct dsm_action){ .type = type };
	return a;
}

static void send(struct dsm_coh *coh, struct dsm_coh_msg msg)
{
	msg.from = coh->self;
	act(coh, DSM_ACT_SEND)->msg = msg;
}

static void send_done(struct dsm_coh *coh, u32 req, u8 flags)
{
	send(coh, (struct dsm_coh_msg){ .type = DSM_DONE, .flags = flags, .to = coh->home,
		.req = req });
}

static void line_ask(struct dsm_coh *coh, const struct dsm_event *ev, u8 type, u8 next)
{
	struct dsm_line *line = coh->line;

	line->state = next;
	line->req = ev->req;
	line->demand = !ev->prefetch;
	line->have = false;
	line->acks = 0;
	line->acks_due = 0;
	send(coh, (struct dsm_coh_msg){ .type = type, .to = coh->home, .req = ev->req });
}

/*
 * Ask the home to take the block, once: it does so, unless this node loses the
 * copy before the home gets to it. So it has at most one PUT_M of a node to deal with.
 */
static void line_put(struct dsm_coh *coh, const struct dsm_event *ev)
{
	if (coh->self == coh->home || coh->line->put)
		return;
	coh->line->put = true;
	send(coh, (struct dsm_coh_msg){ .type = DSM_PUT_M, .to = coh->home, .req = ev->req });
}

/* Drop the copy, unless a thread has not used it yet, or it is the owner's or the home's. */
static void line_evict(struct dsm_coh *coh, const struct dsm_event *ev, u8 next)
{
	struct dsm_line *line = coh->line;

	if (line->owner) {
		line_put(coh, ev);
		return;
	}
	if (coh->self == coh->home || line->held)
		return;
	line->state = next;
	line->req = ev->req;
	act(coh, DSM_ACT_DROP);
}

/*
 * Ask the home to discard the block, once at a time: who finds that it has been
 * asked already waits for the answer and asks again, since the home may have
 * served that request before this one's thread wrote what is to go.
 */
static enum dsm_coh_result line_discard(struct dsm_coh *coh, const struct dsm_event *ev)
{
	struct dsm_line *line = coh->line;

	if (line->discards)
		return DSM_COH_OK;
	line->discards = true;
	send(coh, (struct dsm_coh_msg){ .type = DSM_DISCARD, .to = coh->home, .req = ev->req });
	return DSM_COH_OK;
}

static enum dsm_coh_result line_discarded(struct dsm_coh *coh)
{
	struct dsm_line *line = coh->line;

	if (!line->discards)
		return DSM_COH_BAD;
	line->discards = false;
	act(coh, DSM_ACT_WAKE);
	return DSM_COH_OK;
}

/* Everything asked for has come: the copy is this node's to use; the home is told, if @done. */
static void line_complete(struct dsm_coh *coh, u8 next, bool done)
{
	struct dsm_line *line = coh->line;
	bool demand = line->demand, pull = line->put;
	/* It asked to read, and may write: the home does not know. */
	u8 flags = line->state == DSM_LINE_IS && next == DSM_LINE_M ? DSM_WIRE_MODIFIED : 0;

	line->written = demand && line->state != DSM_LINE_IS;
	line->owner = false;
	line->state = next;
	/* Nobody can use what is lost. */
	demand &= !line->lost;
	/* A prefetch does not end the hold of what it upgrades, nor begin one. */
	line->held |= demand;
	line->demand = false;
	line->have = false;
	line->put = false;
	line->acks = 0;
	line->acks_due = 0;
	if (done)
		send_done(coh, line->req, flags);
	act(coh, DSM_ACT_WAKE)->held = demand;
	if (pull && coh->self == coh->home)
		act(coh, DSM_ACT_PULL);
}

static enum dsm_coh_result line_arrived(struct dsm_coh *coh, const struct dsm_coh_msg *msg)
{
	struct dsm_line *line = coh->line;
	bool modified = msg->flags & DSM_WIRE_MODIFIED;
	bool done = msg->from != coh->home || coh->self == coh->home || msg->acks;

	/* No grant comes while an answer of ours is waited for. */
	if (msg->req != line->req || line->have || line->fwd.type)
		return DSM_COH_BAD;
	if (line->state == DSM_LINE_IS) {
		if (modified && (msg->acks || msg->type == DSM_GRANT))
			return DSM_COH_BAD;
		line->lost = msg->type == DSM_LOST;
		line_complete(coh, modified ? DSM_LINE_M : DSM_LINE_S, done);
		return DSM_COH_OK;
	}
	if (!modified || msg->acks >= coh->nodes || line->acks > msg->acks)
		return DSM_COH_BAD;
	line->lost |= msg->type == DSM_LOST;
	line->have = true;
	line->acks_due = msg->acks;
	if (line->acks == line->acks_due)
		line_complete(coh, DSM_LINE_M, done);
	return DSM_COH_OK;
}

static enum dsm_coh_result line_grant(struct dsm_coh *coh, const struct dsm_coh_msg *msg)
{
	u8 state = coh->line->state;

	/* Only a node that has the bytes can do without them. */
	if (state != DSM_LINE_SM && !(msg->flags & DSM_WIRE_ZERO))
		return DSM_COH_BAD;
	if (msg->from != coh->home)
		return DSM_COH_BAD;
	return line_arrived(coh, msg);
}

static enum dsm_coh_result line_count(struct dsm_coh *coh, const struct dsm_coh_msg *msg)
{
	struct dsm_line *line = coh->line;

	if (msg->req != line->req || line->acks + 1 >= coh->nodes ||
	    (line->have && line->acks >= line->acks_due))
		return DSM_COH_BAD;
	line->acks++;
	if (line->have && line->acks == line->acks_due)
		line_complete(coh, DSM_LINE_M, true);
	return DSM_COH_OK;
}

/* Answer whoever the home's request was made for. */
static void line_answer(struct dsm_coh *coh, const struct dsm_coh_msg *fwd)
{
	struct dsm_coh_msg msg = { .to = fwd->node, .req = fwd->req };

	if (fwd->type == DSM_INV) {
		msg.type = DSM_INV_ACK;
	} else {
		msg.type = coh->line->lost ? DSM_LOST : DSM_DATA;
		msg.acks = fwd->acks;
		if (fwd->type == DSM_FWD_GET_M || fwd->flags & DSM_WIRE_MODIFIED)
			msg.flags = DSM_WIRE_MODIFIED;
	}
	send(coh, msg);
	if (msg.type != DSM_INV_ACK && !msg.acks && coh->self == coh->home)
		send_done(coh, msg.req, fwd->flags & DSM_WIRE_MODIFIED);
}

static enum dsm_coh_result line_input(struct dsm_coh *coh, enum line_input in,
				      const struct dsm_event *ev);

/* A request of the home's that takes access away, and may have to wait. */
static enum dsm_coh_result line_revoke(struct dsm_coh *coh, const struct dsm_coh_msg *fwd,
				       const struct line_row *row)
{
	struct dsm_line *line = coh->line;

	if (line->fwd.type)
		return DSM_COH_BAD;
	line->fwd = *fwd;
	if (line->held) {
		act(coh, DSM_ACT_HOLD);
		return DSM_COH_OK;
	}
	/* A migratory block that was not written here is shared. */
	if (fwd->type == DSM_FWD_GET_S && fwd->flags & DSM_WIRE_MODIFIED) {
		if (line->written)
			row = &line_table[line->state][IN_FWD_GET_M];
		else
			line->fwd.flags = 0;
	}
	line->state = row->next;
	if (row->op == OP_CLEAN)
		act(coh, DSM_ACT_CLEAN);
	else
		act(coh, fwd->flags & DSM_WIRE_ZERO ? DSM_ACT_DROP : DSM_ACT_REVOKE);
	return DSM_COH_OK;
}

/* Access is gone: the home's request is answered, or the home told of the eviction. */
static void line_revoked(struct dsm_coh *coh, u8 next)
{
	struct dsm_line *line = coh->line;
	struct dsm_coh_msg fwd = line->fwd;

	line->fwd.type = 0;
	line->written = false;
	line->state = next;
	line->owner = next == DSM_LINE_S;
	/* The owner has asked the home to take the block, whoever may read it. */
	if (next != DSM_LINE_S)
		line->put = false;
	if (fwd.type)
		line_answer(coh, &fwd);
	else
		send(coh, (struct dsm_coh_msg){ .type = DSM_PUT_S, .to = coh->home,
			.req = line->req });
	if (next != DSM_LINE_S)
		line->lost = false;
	act(coh, DSM_ACT_WAKE);
}

/* The home takes a copy that this node has evicted, or is evicting. */
static enum dsm_coh_result line_evicted(struct dsm_coh *coh, const struct dsm_coh_msg *inv,
					bool gone)
{
	struct dsm_line *line = coh->line;

	/* No grant comes before the answer. */
	if (line->have || line->fwd.type)
		return DSM_COH_BAD;
	if (gone)
		line_answer(coh, inv);
	else
		line->fwd = *inv;
	return DSM_COH_OK;
}

static enum line_input line_input_of(const struct dsm_coh_msg *msg)
{
	switch (msg->type) {
	case DSM_FWD_GET_S:
		return IN_FWD_GET_S;
	case DSM_FWD_GET_M:
		return IN_FWD_GET_M;
	case DSM_INV:
		return msg->flags & DSM_WIRE_ZERO ? IN_DROP : IN_INV;
	case DSM_DATA:
	case DSM_LOST:
		return IN_DATA;
	case DSM_GRANT:
		return IN_GRANT;
	case DSM_INV_ACK:
		return IN_INV_ACK;
	default:
		return LINE_INPUTS;
	}
}

static enum dsm_coh_result line_release(struct dsm_coh *coh)
{
	struct dsm_line *line = coh->line;
	struct dsm_coh_msg fwd = line->fwd;
	const struct line_row *row;

	line->held = false;
	if (!fwd.type)
		return DSM_COH_OK;
	line->fwd.type = 0;
	row = &line_table[line->state][line_input_of(&fwd)];
	if (row->op != OP_CLEAN && row->op != OP_REVOKE)
		return DSM_COH_BAD;
	return line_revoke(coh, &fwd, row);
}

static enum dsm_coh_result line_input(struct dsm_coh *coh, enum line_input in,
				      const struct dsm_event *ev)
{
	struct dsm_line *line = coh->line;
	const struct line_row *row = &line_table[line->state][in];

	switch ((enum line_op)row->op) {
	case OP_BAD:
		return DSM_COH_BAD;
	case OP_OK:
		return DSM_COH_OK;
	case OP_WRITTEN:
		line->written |= !ev->prefetch;
		return DSM_COH_OK;
	case OP_GET_S:
		line_ask(coh, ev, DSM_GET_S, row->next);
		return DSM_COH_OK;
	case OP_GET_M:
		line_ask(coh, ev, DSM_GET_M, row->next);
		return DSM_COH_OK;
	case OP_GET_M_LATER:
		/* A thread looks again by itself; a copy that is to be taken does not. */
		if (ev->prefetch && coh->self == coh->home)
			line->put = true;
		return DSM_COH_OK;
	case OP_EVICT:
		line_evict(coh, ev, row->next);
		return DSM_COH_OK;
	case OP_PUT_M:
		line_put(coh, ev);
		return DSM_COH_OK;
	case OP_FREE:
		line->state = row->next;
		act(coh, DSM_ACT_DROP);
		return DSM_COH_OK;
	case OP_SUPPLY:
		/* Only an owner can give it away. */
		if (ev->msg.flags & DSM_WIRE_MODIFIED)
			return DSM_COH_BAD;
		line_answer(coh, &ev->msg);
		return DSM_COH_OK;
	case OP_CLEAN:
	case OP_REVOKE:
		return line_revoke(coh, &ev->msg, row);
	case OP_DATA:
		return line_arrived(coh, &ev->msg);
	case OP_GRANT:
		return line_grant(coh, &ev->msg);
	case OP_COUNT:
		return line_count(coh, &ev->msg);
	case OP_ANSWER:
		line_revoked(coh, row->next);
		return DSM_COH_OK;
	case OP_NOTE:
	case OP_ACK:
		return line_evicted(coh, &ev->msg, row->op == OP_ACK);
	case OP_FREED:
		line->state = row->next;
		act(coh, DSM_ACT_WAKE);
		if (line->put)
			act(coh, DSM_ACT_PULL);
		line->put = false;
		return DSM_COH_OK;
	case OP_RELEASE:
		return line_release(coh);
	}
	return DSM_COH_BAD;
}

/* ------------------------------------------------------------------------
 * What the home does with its entry
 */

static void dir_forward(struct dsm_coh *coh, u8 type, u16 acks)
{
	struct dsm_dir *dir = coh->dir;

	send(coh, (struct dsm_coh_msg){ .type = type, .to = dir->owner,
		.node = dir->requester, .req = dir->req, .acks = acks,
		.flags = type == DSM_FWD_GET_S && dir->migratory ? DSM_WIRE_MODIFIED : 0 });
}

static void dir_grant(struct dsm_coh *coh, u8 flags, u16 acks)
{
	struct dsm_dir *dir = coh->dir;

	send(coh, (struct dsm_coh_msg){ .type = DSM_GRANT, .to = dir->requester,
		.flags = flags, .req = dir->req, .acks = acks });
	if (!acks && dir->requester != coh->self)
		send_done(coh, dir->req, 0);
}

/* How many there are beside the requester. */
static unsigned int dir_others(const struct dsm_coh *coh)
{
	const struct dsm_dir *dir = coh->dir;

	return sharers_count(coh) - dsm_sharers_has(dir->sharers, dir->requester);
}

/* Is the request one that the home answers alone? Then it is over when it has. */
static bool dir_alone(const struct dsm_coh *coh)
{
	const struct dsm_dir *dir = coh->dir;
	bool grant, ours = dir->owner == coh->self;

	if (dir->requester == coh->self)
		return false;
	if (dir->state == DSM_DIR_M)
		return ours;
	grant = dir->state == DSM_DIR_ZERO || dsm_sharers_has(dir->sharers, dir->requester);
	if (dir->busy == DSM_GET_S)
		return grant || ours;
	return grant ? !dir_others(coh) : ours && dir_others(coh) == 1;
}

static void dir_invalidate(struct dsm_coh *coh, u16 skip)
{
	struct dsm_dir *dir = coh->dir;
	struct dsm_action *a = act(coh, DSM_ACT_SEND_SHARERS);

	a->skip = skip;
	a->msg = (struct dsm_coh_msg){ .type = DSM_INV, .from = coh->self,
		.node = dir->requester, .req = dir->req };
}

static bool dir_owner(const struct dsm_dir *dir, u16 node)
{
	return dir->state != DSM_DIR_ZERO && dir->owner == node;
}

/* Nobody asks for what it has. */
static bool dir_get_valid(const struct dsm_coh *coh, const struct dsm_coh_msg *msg)
{
	const struct dsm_dir *dir = coh->dir;

	if (dir->state == DSM_DIR_M)
		return dir->owner != msg->from;
	return msg->type == DSM_GET_M || !dsm_sharers_has(dir->sharers, msg->from);
}

static void dir_get_s(struct dsm_coh *coh)
{
	if (coh->dir->state == DSM_DIR_ZERO)
		dir_grant(coh, DSM_WIRE_ZERO, 0);
	else
		dir_forward(coh, DSM_FWD_GET_S, 0);
}

static void dir_get_m(struct dsm_coh *coh)
{
	struct dsm_dir *dir = coh->dir;
	bool sharer = dsm_sharers_has(dir->sharers, dir->requester);
	unsigned int others = dir_others(coh);

	if (dir->state == DSM_DIR_M) {
		dir_forward(coh, DSM_FWD_GET_M, 0);
		return;
	}
	dir->migratory = dir->state == DSM_DIR_S && sharer && dir->owner != dir->requester &&
			 others == 1;
	if (dir->state == DSM_DIR_ZERO || sharer) {
		u8 zero = dir->state == DSM_DIR_ZERO ? DSM_WIRE_ZERO : 0;

		dir_grant(coh, DSM_WIRE_MODIFIED | zero, others);
		if (others)
			dir_invalidate(coh, dir->requester);
		return;
	}
	/* The supplier's DATA says for itself that its copy is gone. */
	dir_forward(coh, DSM_FWD_GET_M, others - 1);
	if (others > 1)
		dir_invalidate(coh, dir->owner);
}

/* The home is asked to take the block from its owner. What it has taken already it ignores. */
static void dir_put(struct dsm_coh *coh, const struct dsm_coh_msg *msg)
{
	struct dsm_dir *dir = coh->dir;
	u16 node = msg->from;

	if (!dir_owner(dir, node))
		return;
	if (dir->state == DSM_DIR_M || !dsm_sharers_has(dir->sharers, coh->self)) {
		act(coh, DSM_ACT_PULL);
		return;
	}
	/* The home has the bytes as well, and owns them from now on. */
	dir->busy = DSM_PUT_M;
	dir->requester = node;
	dir->req = msg->req;
	dir->owner = coh->self;
	send(coh, (struct dsm_coh_msg){ .type = DSM_INV, .to = node,
		.node = coh->self, .req = msg->req });
}

/* Nobody has the block: it is as if it had never been written. */
static void dir_discarded(struct dsm_coh *coh)
{
	struct dsm_dir *dir = coh->dir;

	dir->state = DSM_DIR_ZERO;
	dir->migratory = false;
	dir->owner = 0;
	dir->busy = 0;
	send(coh, (struct dsm_coh_msg){ .type = DSM_DISCARDED, .to = dir->requester,
		.req = dir->req });
	act(coh, DSM_ACT_NEXT);
}

/* Take it from all who have it; the answers come here. */
static void dir_discard(struct dsm_coh *coh)
{
	struct dsm_dir *dir = coh->dir;
	struct dsm_coh_msg inv = { .type = DSM_INV, .flags = DSM_WIRE_ZERO, .from = coh->self,
		.node = coh->self, .req = dir->req };

	if (dir->state == DSM_DIR_M) {
		inv.to = dir->owner;
		send(coh, inv);
		return;
	}
	if (!sharers_count(coh)) {
		dir_discarded(coh);
		return;
	}
	if (dsm_sharers_has(dir->sharers, coh->self)) {
		inv.to = coh->self;
		send(coh, inv);
	}
	*act(coh, DSM_ACT_SEND_SHARERS) = (struct dsm_action){ .type = DSM_ACT_SEND_SHARERS,
		.skip = coh->self, .msg = inv };
}

static enum dsm_coh_result dir_request(struct dsm_coh *coh, const struct dsm_coh_msg *msg)
{
	struct dsm_dir *dir = coh->dir;

	if (dir->busy) {
		act(coh, DSM_ACT_DEFER);
		return DSM_COH_OK;
	}
	if (msg->type == DSM_PUT_S || msg->type == DSM_PUT_M) {
		if (msg->from == coh->self ||
		    (msg->type == DSM_PUT_S && dir_owner(dir, msg->from)))
			return DSM_COH_BAD;
		if (msg->type == DSM_PUT_M)
			dir_put(coh, msg);
		else if (dsm_sharers_has(dir->sharers, msg->from))
			sharers_del(coh, msg->from);
		if (!dir->busy)
			act(coh, DSM_ACT_NEXT);
		return DSM_COH_OK;
	}
	if (msg->type != DSM_DISCARD && !dir_get_valid(coh, msg))
		return DSM_COH_BAD;
	dir->busy = msg->type;
	dir->requester = msg->from;
	dir->req = msg->req;
	if (msg->type == DSM_GET_S)
		dir_get_s(coh);
	else if (msg->type == DSM_GET_M)
		dir_get_m(coh);
	else
		dir_discard(coh);
	return DSM_COH_OK;
}

static enum dsm_coh_result dir_done(struct dsm_coh *coh, const struct dsm_coh_msg *msg)
{
	struct dsm_dir *dir = coh->dir;
	bool modified = msg->flags & DSM_WIRE_MODIFIED;

	if (msg->from != (dir_alone(coh) ? coh->self : dir->requester) || msg->req != dir->req)
		return DSM_COH_BAD;
	/* It cannot be done before it has had our own copy's answer. */
	if (coh->line->fwd.type && coh->line->fwd.node == dir->requester &&
	    coh->line->fwd.req == msg->req)
		return DSM_COH_BAD;

	if (modified && (dir->busy != DSM_GET_S || !dir->migratory))
		return DSM_COH_BAD;

	switch (dir->busy) {
	case DSM_GET_S:
		if (modified) {
			dir->owner = dir->requester;
			break;
		}
		if (dir->state == DSM_DIR_M) {
			sharers_add(coh, dir->owner);
			dir->state = DSM_DIR_S;
			dir->migratory = false;
		}
		sharers_add(coh, dir->requester);
		break;
	case DSM_GET_M:
		sharers_clear(coh);
		dir->owner = dir->requester;
		dir->state = DSM_DIR_M;
		break;
	default:
		return DSM_COH_BAD;
	}
	dir->busy = 0;
	act(coh, DSM_ACT_NEXT);
	return DSM_COH_OK;
}

/* The owner of before, which asked the home to take the block, has dropped its copy. */
static enum dsm_coh_result dir_put_done(struct dsm_coh *coh, const struct dsm_coh_msg *msg)
{
	struct dsm_dir *dir = coh->dir;

	if (msg->from != dir->requester || msg->req != dir->req)
		return DSM_COH_BAD;
	sharers_del(coh, msg->from);
	dir->busy = 0;
	act(coh, DSM_ACT_NEXT);
	return DSM_COH_OK;
}

/* One of those that had what is being discarded has dropped it. */
static enum dsm_coh_result dir_dropped(struct dsm_coh *coh, const struct dsm_coh_msg *msg)
{
	struct dsm_dir *dir = coh->dir;

	if (msg->req != dir->req)
		return DSM_COH_BAD;
	if (dir->state == DSM_DIR_M) {
		if (msg->from != dir->owner)
			return DSM_COH_BAD;
	} else {
		if (!dsm_sharers_has(dir->sharers, msg->from))
			return DSM_COH_BAD;
		sharers_del(coh, msg->from);
		if (sharers_count(coh))
			return DSM_COH_OK;
	}
	dir_discarded(coh);
	return DSM_COH_OK;
}

/* ------------------------------------------------------------------------
 * Both
 */

static enum dsm_coh_result message(struct dsm_coh *coh, const struct dsm_event *ev)
{
	const struct dsm_coh_msg *msg = &ev->msg;

	if (msg->from >= coh->nodes || msg->node >= coh->nodes)
		return DSM_COH_BAD;

	switch (msg->type) {
	case DSM_GET_S:
	case DSM_GET_M:
	case DSM_PUT_S:
	case DSM_PUT_M:
	case DSM_DISCARD:
		return coh->dir ? dir_request(coh, msg) : DSM_COH_BAD;
	case DSM_DONE:
		return coh->dir ? dir_done(coh, msg) : DSM_COH_BAD;
	case DSM_FWD_GET_S:
	case DSM_FWD_GET_M:
	case DSM_INV:
		if (msg->from != coh->home)
			return DSM_COH_BAD;
		break;
	case DSM_INV_ACK:
		if (coh->dir && coh->dir->busy == DSM_PUT_M)
			return dir_put_done(coh, msg);
		if (coh->dir && coh->dir->busy == DSM_DISCARD)
			return dir_dropped(coh, msg);
		break;
	case DSM_DISCARDED:
		return msg->from == coh->home ? line_discarded(coh) : DSM_COH_BAD;
	}
	if (line_input_of(msg) == LINE_INPUTS)
		return DSM_COH_BAD;
	return line_input(coh, line_input_of(msg), ev);
}

/**
 * dsm_coh_event() - take one event
 * @coh: the block; @coh->actions and @coh->n_actions are set
 * @ev: the event
 *
 * Return: DSM_COH_OK, or DSM_COH_BAD for a message that no correct node would
 * have sent; nothing has changed then.
 */
enum dsm_coh_result dsm_coh_event(struct dsm_coh *coh, const struct dsm_event *ev)
{
	coh->n_actions = 0;

	switch (ev->type) {
	case DSM_EV_READ:
	case DSM_EV_WRITE:
		/* A lost copy must not take good ones from other nodes: nobody could use it. */
		if (coh->line->lost && !dsm_line_outstanding(coh->line) && !ev->prefetch)
			return DSM_COH_OK;
		/* A thread has joined a prefetch under way: hold what comes. */
		if (!ev->prefetch && dsm_line_outstanding(coh->line))
			coh->line->demand = true;
		return line_input(coh, ev->type == DSM_EV_READ ? IN_READ : IN_WRITE, ev);
	case DSM_EV_EVICT:
		return line_input(coh, IN_EVICT, ev);
	case DSM_EV_FREE:
		/* A copy that is used, or about to be, keeps its frames. */
		return coh->line->state == DSM_LINE_I ? line_input(coh, IN_FREE, ev) : DSM_COH_OK;
	case DSM_EV_DISCARD:
		return line_discard(coh, ev);
	case DSM_EV_MSG:
		return message(coh, ev);
	case DSM_EV_REVOKED:
		return line_input(coh, IN_REVOKED, ev);
	case DSM_EV_HOLD_OVER:
		return line_input(coh, IN_HOLD_OVER, ev);
	}
	return DSM_COH_BAD;
}

/**
 * dsm_coh_sends_max() - how many messages the next event may send
 * @coh: the block
 *
 * Return: an upper bound, so that the caller can allocate beforehand.
 */
unsigned int dsm_coh_sends_max(const struct dsm_coh *coh)
{
	return DSM_SENDS_MAX + (coh->dir ? sharers_count(coh) : 0);
}
