// SPDX-License-Identifier: GPL-2.0
/*
 * Packing loses only names. The protocol compares the numbers of requests only for equality.
 * So they are renumbered in order of appearance, except 0. Of all numberings of nodes and
 * blocks that keep the homes, the one with the smallest string is chosen.
 */
#include <string.h>
#include "pack.h"

enum {
	REQS	= 64,	/* different request numbers in a state */
};

struct packer {
	const struct model *m;
	const struct pack_order *order;
	u8 *out;
	size_t length;
	unsigned int n_reqs;
	u32 reqs[REQS];
};

static bool next_permutation(u8 *p, unsigned int n)
{
	unsigned int i = n - 1, k = n - 1;
	u8 t;

	if (n < 2)
		return false;
	while (i && p[i - 1] >= p[i])
		i--;
	if (!i)
		return false;
	while (p[k] <= p[i - 1])
		k--;
	t = p[i - 1];
	p[i - 1] = p[k];
	p[k] = t;
	for (k = n - 1; i < k; i++, k--) {
		t = p[i];
		p[i] = p[k];
		p[k] = t;
	}
	return true;
}

static bool keeps_homes(const struct model *m, const struct pack_order *o)
{
	unsigned int b;

	for (b = 0; b < m->blocks; b++)
		if (m->block[o->block[b]].home != o->node[m->block[b].home])
			return false;
	return true;
}

void pack_orders_init(struct pack_orders *orders, const struct model *m, bool symmetry)
{
	struct pack_order o = { .node = { 0, 1, 2, 3 } };
	unsigned int i;

	orders->n = 0;
	do {
		for (i = 0; i < m->blocks; i++)
			o.block[i] = i;
		do {
			if (!keeps_homes(m, &o))
				continue;
			for (i = 0; i < m->nodes; i++)
				o.node_at[o.node[i]] = i;
			for (i = 0; i < m->blocks; i++)
				o.block_at[o.block[i]] = i;
			orders->order[orders->n++] = o;
			if (!symmetry)
				return;
		} while (next_permutation(o.block, m->blocks));
	} while (next_permutation(o.node, m->nodes));
}

/* ------------------------------------------------------------------------
 * Packing
 */

static void put(struct packer *p, u8 byte)
{
	p->out[p->length++] = byte;
}

static u8 req_of(struct packer *p, u32 req)
{
	unsigned int i;

	if (!req)
		return 0;
	for (i = 0; i < p->n_reqs; i++)
		if (p->reqs[i] == req)
			return i + 1;
	p->reqs[p->n_reqs++] = req;
	return p->n_reqs;
}

static bool has_node(u8 type)
{
	return type == DSM_FWD_GET_S || type == DSM_FWD_GET_M || type == DSM_INV;
}

static void put_msg(struct packer *p, const struct dsm_coh_msg *msg, u8 extra)
{
	u8 node = has_node(msg->type) ? p->order->node[msg->node] : msg->node;

	put(p, msg->type | msg->flags << 4 | extra << 6);
	put(p, node | msg->acks << 4);
	put(p, req_of(p, msg->req));
}

enum owed {
	OWED_NOTHING,
	OWED_FWD,	/* the line knows this answer, too */
	OWED_OTHER,
};

static enum owed owed_of(const struct model_copy *copy)
{
	if (!copy->owed.type)
		return OWED_NOTHING;
	return memcmp(&copy->owed, &copy->line.fwd, sizeof(copy->owed)) ? OWED_OTHER : OWED_FWD;
}

/* How access is being revoked, in two bits. */
enum {
	CLEAN	= 1,
	REVOKE	= 2,
	DROP	= 3,
};

static const u8 revokes[] = { 0, DSM_ACT_CLEAN, DSM_ACT_REVOKE, DSM_ACT_DROP };

static bool any_fwd(const struct dsm_coh_msg *fwd)
{
	return fwd->type || fwd->node || fwd->acks || fwd->req;
}

static void put_copy(struct packer *p, const struct model_copy *copy)
{
	const struct dsm_line *line = &copy->line;
	u8 revoke = copy->revoke == DSM_ACT_REVOKE ? REVOKE : copy->revoke == DSM_ACT_DROP ? DROP :
		    copy->revoke ? CLEAN : 0;
	enum owed owed = owed_of(copy);
	bool fwd = any_fwd(&line->fwd);
	bool more = fwd || owed || line->discards || line->written || line->lost || line->owner;

	put(p, line->state | line->held << 4 | line->demand << 5 | line->have << 6 | more << 7);
	put(p, line->acks | line->acks_due << 3 | copy->wanted << 6 | copy->hold << 7);
	put(p, copy->pte | revoke << 2 | copy->promised << 4 | copy->fresh << 6 | line->put << 7);
	put(p, req_of(p, line->req) | copy->leaving << 7);
	if (!more)
		return;
	put(p, fwd | owed << 1 | line->discards << 3 | line->written << 4 | line->lost << 5 |
	    line->owner << 6);
	if (fwd)
		put_msg(p, &line->fwd, 0);
	if (owed == OWED_OTHER)
		put_msg(p, &copy->owed, 0);
}

static void put_block(struct packer *p, const struct model_block *block)
{
	const struct dsm_dir *dir = &block->dir;
	const u8 *node = p->order->node;
	u8 owner = dir->state == DSM_DIR_ZERO ? dir->owner : node[dir->owner];
	u8 requester = dir->busy ? node[dir->requester] : dir->requester;
	u8 sharers = 0;
	unsigned int i;

	for (i = 0; i < p->m->nodes; i++)
		sharers |= (block->sharers >> i & 1) << node[i];
	put(p, dir->state | dir->busy << 2 | block->pull << 6 | block->written << 7);
	put(p, owner | block->lost << 3 | requester << 4);
	put(p, sharers | block->n_waiting << 4);
	put(p, req_of(p, dir->req) | dir->migratory << 7);
	for (i = 0; i < block->n_waiting; i++) {
		put(p, node[block->waiting[i].from]);
		put_msg(p, &block->waiting[i], 0);
	}
	for (i = 0; i < p->m->nodes; i++)
		put_copy(p, &block->copy[p->order->node_at[i]]);
}

static unsigned int rank_of(const struct packer *p, const struct model_msg *msg)
{
	return msg->coh.type << 8 | p->order->block[msg->block] << 7 | msg->coh.acks;
}

/* A channel's messages in order. A node may receive those to itself in any order. */
static void put_channel(struct packer *p, u16 from, u16 to)
{
	const struct model *m = p->m;
	u8 list[MODEL_FLIGHT], n = 0, i, k;

	for (i = 0; i < m->n_flight; i++) {
		if (m->flight[i].coh.from != from || m->flight[i].coh.to != to)
			continue;
		for (k = n++; from == to && k && rank_of(p, &m->flight[list[k - 1]]) >
		     rank_of(p, &m->flight[i]); k--)
			list[k] = list[k - 1];
		list[k] = i;
	}
	for (i = 0; i < n; i++) {
		const struct model_msg *msg = &m->flight[list[i]];

		put(p, p->order->node[from] | p->order->node[to] << 4);
		put_msg(p, &msg->coh, msg->fresh | p->order->block[msg->block] << 1);
	}
}

static size_t pack_as(const struct pack_order *order, const struct model *m, u8 *out)
{
	struct packer p = { .m = m, .order = order, .out = out };
	unsigned int i, k;

	for (i = 0; i < m->blocks; i++)
		put_block(&p, &m->block[order->block_at[i]]);
	put(&p, m->n_flight);
	for (i = 0; i < m->nodes && m->n_flight; i++)
		for (k = 0; k < m->nodes; k++)
			put_channel(&p, order->node_at[i], order->node_at[k]);
	return p.length;
}

size_t pack(const struct pack_orders *orders, const struct model *m, u8 out[PACK_MAX])
{
	size_t length = pack_as(&orders->order[0], m, out);
	u8 other[PACK_MAX];
	unsigned int i;

	/* The length of the string does not depend on names, so all have the same. */
	for (i = 1; i < orders->n; i++) {
		pack_as(&orders->order[i], m, other);
		if (memcmp(other, out, length) < 0)
			memcpy(out, other, length);
	}
	return length;
}

/* ------------------------------------------------------------------------
 * Unpacking
 */

struct unpacker {
	struct model *m;
	const u8 *in;
};

static u8 get(struct unpacker *u)
{
	return *u->in++;
}

static u32 get_req(struct unpacker *u)
{
	u8 req = get(u) & 127;

	if (req >= u->m->next_req)
		u->m->next_req = req + 1;
	return req;
}

static u8 get_msg(struct unpacker *u, struct dsm_coh_msg *msg, u16 from, u16 to)
{
	u8 first = get(u), second = get(u);

	*msg = (struct dsm_coh_msg){
		.type = first & 15, .flags = first >> 4 & 3, .from = from, .to = to,
		.node = second & 15, .acks = second >> 4, .req = get_req(u),
	};
	return first >> 6;
}

static void get_copy(struct unpacker *u, struct model_copy *copy, u16 home, u16 self)
{
	struct dsm_line *line = &copy->line;
	u8 a = get(u), b = get(u), c = get(u), more;

	line->state = a & 15;
	line->held = a >> 4 & 1;
	line->demand = a >> 5 & 1;
	line->have = a >> 6 & 1;
	line->acks = b & 7;
	line->acks_due = b >> 3 & 7;
	copy->wanted = b >> 6 & 1;
	copy->hold = b >> 7;
	copy->pte = c & 3;
	copy->revoke = revokes[c >> 2 & 3];
	copy->promised = c >> 4 & 3;
	copy->fresh = c >> 6 & 1;
	line->put = c >> 7;
	copy->leaving = *u->in >> 7;
	line->req = get_req(u);
	if (!(a >> 7))
		return;
	more = get(u);
	line->discards = copy->discards = more >> 3 & 1;
	line->written = more >> 4 & 1;
	line->lost = more >> 5 & 1;
	line->owner = more >> 6 & 1;
	if (more & 1)
		get_msg(u, &line->fwd, home, self);
	if ((more >> 1 & 3) == OWED_FWD)
		copy->owed = line->fwd;
	else if ((more >> 1 & 3) == OWED_OTHER)
		get_msg(u, &copy->owed, home, self);
}

static void get_block(struct unpacker *u, struct model_block *block)
{
	u8 a = get(u), b = get(u), c = get(u), i;

	block->dir.state = a & 3;
	block->dir.busy = a >> 2 & 15;
	block->pull = a >> 6 & 1;
	block->written = a >> 7;
	block->dir.owner = b & 7;
	block->lost = b >> 3 & 1;
	block->dir.requester = b >> 4;
	block->sharers = c & 15;
	block->n_waiting = c >> 4;
	block->dir.migratory = *u->in >> 7;
	block->dir.req = get_req(u);
	for (i = 0; i < block->n_waiting; i++) {
		u16 from = get(u);

		get_msg(u, &block->waiting[i], from, block->home);
		block->writes_kept += dsm_engine_tells_sharers(block->waiting[i].type);
	}
	for (i = 0; i < u->m->nodes; i++)
		get_copy(u, &block->copy[i], block->home, i);
}

void unpack(const struct model *like, const u8 *in, struct model *m)
{
	struct unpacker u = { .m = m, .in = in };
	unsigned int i;

	memset(m, 0, sizeof(*m));
	m->nodes = like->nodes;
	m->blocks = like->blocks;
	m->exact = like->exact;
	m->next_req = 1;
	for (i = 0; i < m->blocks; i++) {
		m->block[i].home = like->block[i].home;
		get_block(&u, &m->block[i]);
	}
	m->n_flight = get(&u);
	for (i = 0; i < m->n_flight; i++) {
		u8 channel = get(&u), extra;

		extra = get_msg(&u, &m->flight[i].coh, channel & 15, channel >> 4);
		m->flight[i].fresh = extra & 1;
		m->flight[i].block = extra >> 1;
	}
}
