// SPDX-License-Identifier: GPL-2.0
/*
 * Peers: a message to another node arrives once, and in order.
 *
 * Every message gets a number and stays in its peer's queue until the other
 * module acknowledges that number. The helper is given messages from the
 * queue as far as its credits go. They may be lost with it, or with the connection.
 * When a connection comes up, the whole queue is given to the helper again, in
 * order; the other side drops the messages that it has had already.
 *
 *	queue:	[ seq 7 ] [ seq 8 ] [ seq 9 ] [ seq 10 ]
 *		^ oldest not acknowledged  ^ unsent: the helper has not got it
 *
 * A message that arrives is acknowledged only when its effects are in place,
 * or when it is parked (see park.c), by the next message that goes the other way,
 * or by an ACK of its own.
 *
 * A message that cannot be taken now, for want of memory perhaps, leaves a gap:
 * it is dropped, and so is all that follows, until the other module has sent it
 * again. An ACK with RESEND asks for that, again and again, and less and less often.
 * So the link waits, and nothing is kept for it here.
 *
 * Numbers are those of a session, on which the helpers agree before the link is up
 * (see uapi/linux/dsm_wire.h): both modules begin to count anew, or neither does. A
 * session ends with one of the modules. Of what is queued then nothing is of use to
 * the other, if neither has regions, and if one has, the other is not talked to.
 */
#include <linux/slab.h>
#include "link.h"
#include "msg.h"
#include "node.h"
#include "peer.h"
#include "trace.h"

/* Queue a message, which is the peer's from now on. It goes at the next flush. */
void dsm_peer_queue(struct dsm_peer *peer, struct dsm_msg *msg)
{
	spin_lock(&peer->lock);
	msg->seq = ++peer->tx_seq;
	list_add_tail(&msg->list, &peer->queue);
	if (peer->unsent == &peer->queue)
		peer->unsent = &msg->list;
	WRITE_ONCE(peer->n_queue, peer->n_queue + 1);
	spin_unlock(&peer->lock);
	set_bit(peer->id, peer->node->dirty);
}

/* Queue a message, and have the helper take what it can. */
void dsm_peer_post(struct dsm_peer *peer, struct dsm_msg *msg)
{
	msg->from = peer->node->id;
	msg->to = peer->id;
	dsm_peer_queue(peer, msg);
	dsm_peer_flush(peer);
}

/*
 * The bytes for a request are here. If the request is sent again, because it
 * has not been acknowledged, no more are expected for it: the only ones that
 * could come are those the owner sends again, into a block that is in use.
 */
void dsm_peer_expect_over(struct dsm_peer *peer, u32 req)
{
	struct dsm_msg *msg;

	spin_lock(&peer->lock);
	list_for_each_entry(msg, &peer->queue, list) {
		if (msg->req != req || !msg->expect_len)
			continue;
		msg->expect_len = 0;
		break;
	}
	spin_unlock(&peer->lock);
}

static bool is_registrys(u8 type)
{
	return type >= DSM_REGION_CREATE && type < DSM_SYNC_REQUEST;
}

/*
 * A region and its window are gone: messages about it become NOPs in their queues. Those
 * without bytes do as well: the peer may never hear of the region, see dsm_peer_unhear().
 */
void dsm_peers_forget(struct dsm_node *node, u32 region)
{
	struct dsm_msg *msg;
	unsigned int id;

	for (id = 0; id < node->nodes; id++) {
		struct dsm_peer *peer = node->peers[id];

		if (!peer)
			continue;
		spin_lock(&peer->lock);
		list_for_each_entry(msg, &peer->queue, list) {
			if (msg->region != region || is_registrys(msg->type))
				continue;
			dsm_msg_void(msg);
		}
		spin_unlock(&peer->lock);
	}
}

/**
 * dsm_peer_unhear() - a region has come and gone while a peer could not hear of it
 * @peer: which
 * @region: the region's id
 *
 * Messages about it that the helper has not got leave the queue, which could grow without
 * end otherwise; those behind them get their numbers. Replies stay: the peer waits for each.
 *
 * Return: whether the peer had not heard of the region, and need not hear that it is freed.
 */
bool dsm_peer_unhear(struct dsm_peer *peer, u32 region)
{
	struct dsm_msg *msg, *next;
	bool unheard = false;
	LIST_HEAD(taken);
	u64 n = 0;

	spin_lock(&peer->lock);
	list_for_each_entry(msg, &peer->queue, list)
		unheard |= msg->type == DSM_REGION_NEW && msg->region == region &&
			   msg->seq > peer->sent_seq;
	list_for_each_entry_safe(msg, next, &peer->queue, list) {
		msg->seq -= n;
		if (!unheard || msg->region != region || msg->seq + n <= peer->sent_seq ||
		    msg->type == DSM_REGION_REPLY)
			continue;
		if (peer->unsent == &msg->list)
			peer->unsent = msg->list.next;
		list_move_tail(&msg->list, &taken);
		n++;
	}
	peer->tx_seq -= n;
	WRITE_ONCE(peer->n_queue, peer->n_queue - n);
	spin_unlock(&peer->lock);
	dsm_msg_free_list(&taken);
	return unheard;
}

/* Are a block's bytes still to be sent, or perhaps sent again? */
bool dsm_peers_sending(struct dsm_node *node, u32 region, u64 block)
{
	struct dsm_msg *msg;
	bool sending = false;
	unsigned int id;

	for (id = 0; id < node->nodes && !sending; id++) {
		struct dsm_peer *peer = node->peers[id];

		if (!peer)
			continue;
		spin_lock(&peer->lock);
		list_for_each_entry(msg, &peer->queue, list)
			sending |= msg->type == DSM_DATA && msg->region == region &&
				   msg->block == block;
		spin_unlock(&peer->lock);
	}
	return sending;
}

/*
 * The last message of the run that goes in one frame with @first. A message that is sent
 * again goes alone: parts of the run that it was in may have arrived.
 */
static struct dsm_msg *run_from(struct dsm_peer *peer, struct dsm_msg *first)
{
	u32 bytes = max(first->data_len, first->expect_len);
	u32 n, max = bytes ? min_t(u32, DSM_WIRE_BODY_MAX / bytes, DSM_WIRE_RUN_MAX) :
			     DSM_WIRE_RUN_MAX;
	struct dsm_msg *last = first;

	lockdep_assert_held(&peer->lock);

	for (n = 1; n < max && first->seq > peer->sent_seq; n++) {
		if (list_is_last(&last->list, &peer->queue) ||
		    !dsm_msg_continues(last, list_next_entry(last, list)))
			break;
		last = list_next_entry(last, list);
	}
	first->more = n - 1;
	return last;
}

/* Give the helper one netlink buffer's worth. Returns whether to go on. */
static bool flush_some(struct dsm_peer *peer)
{
	struct dsm_node *node = peer->node;
	struct list_head *pos = peer->unsent, *sent;
	u64 ack = READ_ONCE(peer->rx_seq);
	bool many = pos->next != &peer->queue;
	struct dsm_msg *msg = NULL;
	struct sk_buff *skb;
	u32 n = 0;

	lockdep_assert_held(&peer->lock);

	skb = node->carrier->new(many ? NULL : list_entry(pos, struct dsm_msg, list));
	if (!skb)
		return false;
	while (pos != &peer->queue && n < peer->credits) {
		struct dsm_msg *first = list_entry(pos, struct dsm_msg, list);
		struct dsm_msg *last = run_from(peer, first);

		if (node->carrier->put(skb, node, peer->id, first, ack))
			break;
		msg = last;
		pos = last->list.next;
		n++;
	}
	if (!n) {
		node->carrier->free(skb);
		return false;
	}
	/* Before the helper can have it, so that the trace has send before receive. */
	for (sent = peer->unsent; sent != pos; sent = sent->next)
		trace_dsm_msg_send(node->id, peer->id, list_entry(sent, struct dsm_msg, list));
	if (node->carrier->send(node, skb))
		return false;

	peer->unsent = pos;
	if (msg->seq > peer->sent_seq)
		peer->sent_seq = msg->seq;
	peer->credits -= n;
	WRITE_ONCE(peer->acked, ack);
	atomic64_add(n, &peer->tx_frames);
	return true;
}

void dsm_peer_flush(struct dsm_peer *peer)
{
	spin_lock(&peer->lock);
	while (peer->link == DSM_LINK_UP && peer->credits && peer->unsent != &peer->queue) {
		if (flush_some(peer))
			continue;
		/* No memory, or no room: nobody else would try again. */
		mod_delayed_work(system_wq, &peer->work, msecs_to_jiffies(DSM_PEER_RETRY_MS));
		break;
	}
	spin_unlock(&peer->lock);
}

/* Flush every peer that something was queued for. */
void dsm_peers_flush(struct dsm_node *node)
{
	unsigned int word, bit;

	if (!node->dirty)
		return;
	for (word = 0; word < BITS_TO_LONGS(node->nodes); word++) {
		/* Threads that add messages meanwhile flush them themselves. */
		unsigned long some = READ_ONCE(node->dirty[word]);

		for_each_set_bit(bit, &some, BITS_PER_LONG)
			if (test_and_clear_bit(bit, &node->dirty[word]))
				dsm_peer_flush(node->peers[word * BITS_PER_LONG + bit]);
	}
}

/* With DSM_WIRE_RESEND in @flags, whether or not it says anything new. */
static void send_ack(struct dsm_peer *peer, u8 flags)
{
	struct dsm_msg msg = { .type = DSM_ACK, .flags = flags };
	struct dsm_node *node = peer->node;
	struct sk_buff *skb;
	u64 ack;

	spin_lock(&peer->lock);
	ack = READ_ONCE(peer->rx_seq);
	if (peer->link != DSM_LINK_UP || (peer->acked == ack && !flags))
		goto unlock;
	if (!peer->credits)
		goto later;
	skb = node->carrier->new(&msg);
	if (!skb)
		goto later;
	if (node->carrier->put(skb, node, peer->id, &msg, ack)) {
		node->carrier->free(skb);
		goto later;
	}
	if (node->carrier->send(node, skb))
		goto later;
	peer->credits--;
	WRITE_ONCE(peer->acked, ack);
	atomic64_inc(&peer->tx_frames);
	goto unlock;
later:
	mod_delayed_work(system_wq, &peer->work, msecs_to_jiffies(DSM_PEER_RETRY_MS));
unlock:
	spin_unlock(&peer->lock);
}

static void peer_work(struct work_struct *work)
{
	struct dsm_peer *peer = container_of(to_delayed_work(work), struct dsm_peer, work);

	dsm_peer_flush(peer);
	send_ack(peer, 0);
}

/* Ask for what could not be taken, for as long as it has not come. */
static void resend_work(struct work_struct *work)
{
	struct dsm_peer *peer = container_of(to_delayed_work(work), struct dsm_peer, resend_work);

	mutex_lock(&peer->rx_lock);
	if (peer->gap) {
		send_ack(peer, DSM_WIRE_RESEND);
		atomic64_inc(&peer->asked_again);
		peer->resend_ms = min(2 * peer->resend_ms, DSM_PEER_RESEND_MAX_MS);
		schedule_delayed_work(&peer->resend_work, msecs_to_jiffies(peer->resend_ms));
	}
	mutex_unlock(&peer->rx_lock);
}

/* A message cannot be taken now: it and all later ones have to come again. */
static void gap_begin(struct dsm_peer *peer)
{
	lockdep_assert_held(&peer->rx_lock);

	if (!peer->gap) {
		peer->gap = true;
		peer->resend_ms = DSM_PEER_RESEND_MIN_MS;
	}
	schedule_delayed_work(&peer->resend_work, msecs_to_jiffies(peer->resend_ms));
}

/*
 * The peer asks for all that it has not acknowledged. Right after it got that, it is
 * not obeyed: as long as it misses something, it asks again by itself.
 */
static void send_again(struct dsm_peer *peer)
{
	ktime_t now = ktime_get();
	u64 end;

	spin_lock(&peer->lock);
	if (peer->unsent == peer->queue.next ||
	    (peer->again && ktime_ms_delta(now, peer->again) < DSM_PEER_AGAIN_MS)) {
		spin_unlock(&peer->lock);
		return;
	}
	/* The numbers in the queue have no gaps. */
	end = peer->unsent == &peer->queue ? peer->tx_seq + 1 :
	      list_entry(peer->unsent, struct dsm_msg, list)->seq;
	atomic64_add(end - list_first_entry(&peer->queue, struct dsm_msg, list)->seq,
		     &peer->resent);
	peer->unsent = peer->queue.next;
	peer->again = now;
	spin_unlock(&peer->lock);
	set_bit(peer->id, peer->node->dirty);
}

/* The peer has everything up to @ack: those messages' memory serves our answers. */
static int take_ack(struct dsm_peer *peer, u64 ack)
{
	struct dsm_msg *msg, *next;
	LIST_HEAD(done);

	spin_lock(&peer->lock);
	if (ack > peer->sent_seq) {
		spin_unlock(&peer->lock);
		return -EPROTO;
	}
	list_for_each_entry_safe(msg, next, &peer->queue, list) {
		if (msg->seq > ack)
			break;
		/* Acknowledged on an earlier connection, to be sent again. */
		if (peer->unsent == &msg->list)
			peer->unsent = msg->list.next;
		list_move_tail(&msg->list, &done);
		WRITE_ONCE(peer->n_queue, peer->n_queue - 1);
	}
	spin_unlock(&peer->lock);
	dsm_batch_give_list(&peer->rx_batch, &done);
	return 0;
}

/* A message does not overtake parked ones about the same region. */
static int deliver(struct dsm_peer *peer, struct dsm_msg *msg, bool in_window)
{
	int err = 0;

	if (dsm_park_has(peer, msg->region)) {
		err = dsm_park_deliver(peer);
		if (err)
			return err;
		if (dsm_park_has(peer, msg->region))
			return dsm_park_message(peer, msg);
	}
	err = peer->node->link->receive(peer->node, msg, in_window, &peer->rx_batch);
	if (!err)
		dsm_batch_run(&peer->rx_batch, peer->node);
	return err == -ENXIO ? dsm_park_message(peer, msg) : err;
}

/* One message, in its turn. */
static int receive_one(struct dsm_peer *peer, struct dsm_msg *msg, bool in_window)
{
	int err;

	if (msg->seq <= peer->rx_seq) {
		atomic64_inc(&peer->duplicates);
		WRITE_ONCE(peer->acked, 0);
		return 0;
	}
	if (msg->seq != peer->rx_seq + 1)
		return peer->gap ? -EAGAIN : -EPROTO;
	trace_dsm_msg_recv(peer->node->id, peer->id, msg);
	err = deliver(peer, msg, in_window);
	if (!err) {
		WRITE_ONCE(peer->rx_seq, msg->seq);
		peer->gap = false;
	} else if (err != -EPROTO && err != -EBADMSG) {
		gap_begin(peer);
		err = -EAGAIN;
	}
	return err;
}

static int receive(struct dsm_peer *peer, const void *frame, size_t len, bool in_window)
{
	struct dsm_msg msg = {};
	u64 ack;
	int err;

	if (READ_ONCE(peer->link) != DSM_LINK_UP)
		return -ENOTCONN;
	err = dsm_msg_decode(&msg, frame, len, peer->id, peer->node->view, &ack);
	if (err)
		return err;
	peer->confirmed = true;
	err = take_ack(peer, ack);
	if (err)
		return err;
	if (msg.type == DSM_ACK) {
		if (msg.flags & DSM_WIRE_RESEND)
			send_again(peer);
		return 0;
	}
	for (;;) {
		err = receive_one(peer, &msg, in_window);
		if (err || !msg.more)
			break;
		msg.more--;
		msg.seq++;
		msg.block++;
		msg.req++;
	}
	return err;
}

/* The messages have been handled: let the threads that they concern go on. */
static void receive_end(struct dsm_peer *peer, struct dsm_wakes *wakes)
{
	/* First the helper gets our answers: other nodes' threads wait for them. */
	dsm_peers_flush(peer->node);
	dsm_wakes_run(wakes);
}

/* Takes the threads to be woken, who would want @rx_lock's holder's processor. */
static struct dsm_wakes receive_unlock(struct dsm_peer *peer)
{
	struct dsm_wakes wakes = peer->rx_batch.wakes;

	memset(&peer->rx_batch.wakes, 0, sizeof(wakes));
	dsm_batch_trim(&peer->rx_batch);
	mutex_unlock(&peer->rx_lock);
	return wakes;
}

/* Deliver what was parked and can be delivered. */
static void park_work(struct work_struct *work)
{
	struct dsm_park *park = container_of(to_delayed_work(work), struct dsm_park, work);
	struct dsm_peer *peer = container_of(park, struct dsm_peer, park);
	struct dsm_wakes wakes;
	int err;

	mutex_lock(&peer->rx_lock);
	err = dsm_park_deliver(peer);
	wakes = receive_unlock(peer);
	receive_end(peer, &wakes);
	if (err)
		schedule_delayed_work(&park->work, msecs_to_jiffies(DSM_PARK_RETRY_MS));
}

/**
 * dsm_peer_receive() - a frame came from a peer
 * @peer: whom from
 * @frame: the frame, without a body that is in the window
 * @len: its length
 * @in_window: its body is where it was expected
 *
 * Return: 0; -EAGAIN, it cannot be taken now: nothing has changed, and the peer is
 * asked to send it again; of a run that is the first that was not taken. Or the link
 * is to end: -EPROTO or -EBADMSG, no correct node would have sent it; -ESTALE, it is
 * of another view; -ENOTCONN, the link is not up.
 */
int dsm_peer_receive(struct dsm_peer *peer, const void *frame, size_t len, bool in_window)
{
	struct dsm_wakes wakes;
	int err;

	mutex_lock(&peer->rx_lock);
	err = receive(peer, frame, len, in_window);
	atomic64_inc(err ? &peer->rejected : &peer->rx_frames);
	wakes = receive_unlock(peer);
	receive_end(peer, &wakes);
	if (READ_ONCE(peer->rx_seq) - READ_ONCE(peer->acked) >= DSM_PEER_ACK_EVERY)
		send_ack(peer, 0);
	else if (READ_ONCE(peer->rx_seq) != READ_ONCE(peer->acked))
		schedule_delayed_work(&peer->work, msecs_to_jiffies(DSM_PEER_ACK_MS));
	return err;
}

void dsm_peer_credit(struct dsm_peer *peer, u32 credits)
{
	spin_lock(&peer->lock);
	peer->credits = min_t(u64, (u64)peer->credits + credits, DSM_PEER_CREDITS);
	spin_unlock(&peer->lock);
	dsm_peer_flush(peer);
}

/*
 * The last connection may have ended because the helper could not read bytes that it was
 * to send. It would come to the same bytes again, so each is looked at: what is lost is
 * said to be lost. It sleeps, and drops @peer->lock for that; with @peer->rx_lock held no
 * message leaves the queue meanwhile.
 */
static void check_bytes(struct dsm_peer *peer)
{
	struct dsm_msg *msg;

	lockdep_assert_held(&peer->rx_lock);
	spin_lock(&peer->lock);
	list_for_each_entry(msg, &peer->queue, list) {
		u32 region = msg->region;
		u64 block = msg->block;
		bool lost;

		if (msg->seq > peer->sent_seq)
			break;
		if (msg->type != DSM_DATA)
			continue;
		spin_unlock(&peer->lock);
		lost = peer->node->link->unreadable(peer->node, region, block);
		cond_resched();
		spin_lock(&peer->lock);
		if (lost && msg->type == DSM_DATA)
			dsm_msg_lose(msg);
	}
	spin_unlock(&peer->lock);
}

static bool have_regions(struct dsm_node *node)
{
	return atomic_read(&node->n_regions);
}

/**
 * dsm_peer_session() - which session have we with a peer?
 * @peer: which
 * @incarnation: that of the module which says that it is the peer's
 * @session: out: the session; 0, none with this one
 *
 * Changes nothing: nobody knows yet whether it is the peer that has said so.
 *
 * Return: 0; -ESTALE, as dsm_peer_up().
 */
int dsm_peer_session(struct dsm_peer *peer, u64 incarnation, u64 *session)
{
	int err = 0;

	spin_lock(&peer->lock);
	*session = peer->incarnation == incarnation ? peer->session : 0;
	if (peer->incarnation && peer->incarnation != incarnation && have_regions(peer->node))
		err = -ESTALE;
	spin_unlock(&peer->lock);
	return err;
}

/*
 * Numbers begin anew, on both sides. If the peer cannot have received anything of the
 * last session, @lost is NULL: the queue is kept, and gets new numbers. Otherwise nobody
 * knows how much the peer has received, and the queue goes to @lost.
 */
static void session_begin(struct dsm_peer *peer, u64 session, struct list_head *lost)
{
	struct dsm_msg *msg;

	lockdep_assert_held(&peer->rx_lock);
	lockdep_assert_held(&peer->lock);

	if (lost) {
		list_splice_init(&peer->queue, lost);
		WRITE_ONCE(peer->n_queue, 0);
	}
	peer->tx_seq = 0;
	list_for_each_entry(msg, &peer->queue, list)
		msg->seq = ++peer->tx_seq;
	peer->sent_seq = 0;
	WRITE_ONCE(peer->rx_seq, 0);
	WRITE_ONCE(peer->acked, 0);
	peer->confirmed = false;
	WRITE_ONCE(peer->session, session);
}

/* Under all the locks that dsm_peer_up() takes. */
static int session_check(struct dsm_peer *peer, u64 incarnation, u64 session,
			 struct list_head *lost)
{
	bool other = peer->incarnation && peer->incarnation != incarnation;
	bool begins = session != peer->session;

	if (other && !begins)
		return -EINVAL;
	if ((other || (begins && peer->confirmed)) && have_regions(peer->node)) {
		WRITE_ONCE(peer->link, DSM_LINK_STALE);
		return -ESTALE;
	}
	if (begins) {
		session_begin(peer, session, other || peer->confirmed ? lost : NULL);
		dsm_park_release(peer);
	}
	return 0;
}

/**
 * dsm_peer_up() - the helper has a connection to a peer
 * @peer: which
 * @incarnation: that of its module
 * @session: what both helpers have agreed on, not 0
 *
 * Return: 0; -ESTALE, it has come back without its memory, or without its part of
 * the session, while there are regions here, parts of which it had: it is not talked
 * to before they are gone; -EINVAL, the session is another incarnation's.
 */
int dsm_peer_up(struct dsm_peer *peer, u64 incarnation, u64 session)
{
	struct dsm_node *node = peer->node;
	bool begins, other;
	struct dsm_msg *msg;
	LIST_HEAD(lost);
	int err;

	mutex_lock(&peer->rx_lock);
	check_bytes(peer);
	/* The registry announces no region between our looking and our beginning anew. */
	mutex_lock(&node->regions_lock);
	spin_lock(&peer->lock);
	begins = session != peer->session;
	other = peer->incarnation != incarnation;
	err = session_check(peer, incarnation, session, &lost);
	if (err)
		goto unlock;
	WRITE_ONCE(peer->incarnation, incarnation);
	list_for_each_entry(msg, &peer->queue, list) {
		if (msg->seq > peer->sent_seq)
			break;
		atomic64_inc(&peer->resent);
	}
	peer->unsent = peer->queue.next;
	peer->credits = DSM_PEER_CREDITS;
	peer->gap = false;
	WRITE_ONCE(peer->link, DSM_LINK_UP);
unlock:
	spin_unlock(&peer->lock);
	if (!err && begins)
		node->link->begun(node, peer->id, other, incarnation);
	mutex_unlock(&node->regions_lock);
	mutex_unlock(&peer->rx_lock);
	dsm_msg_free_list(&lost);
	if (err == -ESTALE) {
		node->link->down(node, peer->id);
		node->link->stale(node, peer->id);
	} else if (!err) {
		dsm_peer_flush(peer);
	}
	return err;
}

void dsm_peer_down(struct dsm_peer *peer)
{
	spin_lock(&peer->lock);
	if (peer->link == DSM_LINK_UP)
		WRITE_ONCE(peer->link, DSM_LINK_DOWN);
	spin_unlock(&peer->lock);
	peer->node->link->down(peer->node, peer->id);
}

/* The helper is gone, and its connections with it. */
void dsm_peers_down(struct dsm_node *node)
{
	unsigned int id;

	for (id = 0; id < node->nodes; id++)
		if (node->peers[id])
			dsm_peer_down(node->peers[id]);
}

/**
 * dsm_post() - say something to a node
 * @node: us
 * @to: the node, which may be us
 * @msg: the message; ours from now on
 * @batch: where it waits if it is for us
 *
 * May be called with locks held that the receiver takes.
 */
void dsm_post(struct dsm_node *node, u16 to, struct dsm_msg *msg, struct dsm_batch *batch)
{
	if (to != node->id) {
		dsm_peer_post(node->peers[to], msg);
		return;
	}
	msg->from = to;
	msg->to = to;
	dsm_batch_add_local(batch, msg);
}

/* Deliver, let the peers have theirs, and free what was set aside. */
void dsm_batch_end(struct dsm_batch *batch, struct dsm_node *node)
{
	dsm_batch_run(batch, node);
	dsm_peers_flush(node);
	dsm_batch_release(batch);
}

/* How many nodes can be reached, ourselves included. */
unsigned int dsm_peers_up(const struct dsm_node *node)
{
	unsigned int id, n = 1;

	for (id = 0; id < node->nodes; id++)
		if (node->peers[id] && READ_ONCE(node->peers[id]->link) == DSM_LINK_UP)
			n++;
	return n;
}

struct dsm_peer *dsm_peer_create(struct dsm_node *node, u16 id)
{
	struct dsm_peer *peer = kzalloc(sizeof(*peer), GFP_KERNEL_ACCOUNT);

	if (!peer)
		return NULL;
	peer->node = node;
	peer->id = id;
	spin_lock_init(&peer->lock);
	mutex_init(&peer->rx_lock);
	dsm_batch_init(&peer->rx_batch);
	INIT_LIST_HEAD(&peer->queue);
	peer->unsent = &peer->queue;
	INIT_DELAYED_WORK(&peer->work, peer_work);
	INIT_DELAYED_WORK(&peer->resend_work, resend_work);
	dsm_park_init(&peer->park, park_work);
	return peer;
}

/* No message comes any more. Parked messages stay until dsm_peer_destroy(). */
void dsm_peer_stop(struct dsm_peer *peer)
{
	dsm_park_stop(&peer->park);
	cancel_delayed_work_sync(&peer->resend_work);
}

/* Nobody can queue or receive any more. */
void dsm_peer_destroy(struct dsm_peer *peer)
{
	dsm_peer_stop(peer);
	mutex_lock(&peer->rx_lock);
	dsm_park_release(peer);
	mutex_unlock(&peer->rx_lock);
	cancel_delayed_work_sync(&peer->work);
	dsm_batch_release(&peer->rx_batch);
	dsm_msg_free_list(&peer->queue);
	kfree(peer);
}
