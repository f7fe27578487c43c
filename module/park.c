// SPDX-License-Identifier: GPL-2.0
/*
 * Parked messages: requests about a region that the registry has not announced
 * here yet.
 *
 * The announcement comes on the link to the registry, and the requests of another
 * node come on another link. Each link keeps the order of its own messages, but
 * a request may overtake the announcement, and by hours if the link to the registry
 * is cut. The request must not end the link that it came on, nor hold up
 * what that link carries for other regions. So it is taken, and parked:
 *
 *	request --> is the region in the table? --> delivered
 *			| no, and it may be announced yet
 *			v
 *		     parked ----> REGION_ASK to the registry
 *			|
 *			+-- REGION_NEW of the region --> delivered
 *			+-- REGION_TOLD: there is no such region --> dropped
 *
 * The registry sends NEW before it answers, on the same link. So the answer alone
 * means that there is no such region, or that there is none any more. In another
 * session the registry is asked again.
 *
 * The order is kept: a message about a region for which something is parked is
 * parked behind it. When there is no room for another, the link waits: peer.c has
 * the message, and all that follows it, sent again.
 */
#include <linux/slab.h>
#include "link.h"
#include "msg.h"
#include "node.h"
#include "park.h"
#include "peer.h"

static void unpark(struct dsm_peer *peer, struct dsm_msg *msg)
{
	struct dsm_node *node = peer->node;

	lockdep_assert_held(&peer->rx_lock);

	spin_lock(&node->park_lock);
	list_del(&msg->list);
	spin_unlock(&node->park_lock);
	WRITE_ONCE(peer->park.n, peer->park.n - 1);
	atomic_dec(&node->n_parked);
	dsm_msg_free(msg);
}

/**
 * dsm_park_message() - keep a message until its region is announced
 * @peer: whom it came from; its rx_lock is held
 * @msg: the message; stays the caller's
 *
 * Return: 0; -EAGAIN, there is no room; -ENOMEM.
 */
int dsm_park_message(struct dsm_peer *peer, const struct dsm_msg *msg)
{
	struct dsm_node *node = peer->node;
	struct dsm_msg *copy;

	lockdep_assert_held(&peer->rx_lock);

	if (peer->park.n >= DSM_PARK_PEER_MAX)
		return -EAGAIN;
	if (atomic_inc_return(&node->n_parked) > DSM_PARK_NODE_MAX) {
		atomic_dec(&node->n_parked);
		return -EAGAIN;
	}
	copy = dsm_msg_alloc(GFP_KERNEL_ACCOUNT);
	if (!copy) {
		atomic_dec(&node->n_parked);
		return -ENOMEM;
	}
	*copy = *msg;
	copy->more = 0;
	copy->seq = 0;		/* see ask() */
	copy->error = 0;	/* see dsm_park_forget() */
	spin_lock(&node->park_lock);
	list_add_tail(&copy->list, &peer->park.list);
	spin_unlock(&node->park_lock);
	WRITE_ONCE(peer->park.n, peer->park.n + 1);
	/*
	 * It asks the registry. If the region has been announced in the meantime, it
	 * delivers: dsm_parks_deliver() may not have seen our message.
	 */
	mod_delayed_work(system_wq, &peer->park.work, 0);
	return 0;
}

/* Is anything parked for the region? Then later messages about it have to wait, too. */
bool dsm_park_has(const struct dsm_peer *peer, u32 region)
{
	const struct dsm_msg *msg;

	lockdep_assert_held(&peer->rx_lock);

	if (!peer->park.n)
		return false;
	list_for_each_entry(msg, &peer->park.list, list)
		if (msg->region == region)
			return true;
	return false;
}

/* Has the registry been asked in this session, for another message of the peer's? */
static bool asked(const struct dsm_peer *peer, u32 region, u64 session)
{
	const struct dsm_msg *msg;

	list_for_each_entry(msg, &peer->park.list, list)
		if (msg->region == region && msg->seq == session)
			return true;
	return false;
}

/* @msg->seq is the session with the registry in which it was asked about the message. */
static int ask(struct dsm_peer *peer, struct dsm_msg *msg)
{
	struct dsm_node *node = peer->node;
	u64 session = READ_ONCE(node->peers[DSM_REGISTRY_NODE]->session);
	int err;

	/* Never up: there is nobody to ask. It will be asked when it is. */
	if (!session || msg->seq == session)
		return 0;
	if (!asked(peer, msg->region, session)) {
		err = node->link->ask(node, msg->region);
		if (err)
			return err;
	}
	msg->seq = session;
	return 0;
}

/**
 * dsm_park_deliver() - deliver what can be
 * @peer: whose messages; its rx_lock is held
 *
 * Return: 0, what is left waits for its region's announcement; -ENOMEM and the
 * like, it is to be tried again.
 */
int dsm_park_deliver(struct dsm_peer *peer)
{
	struct dsm_node *node = peer->node;
	struct dsm_msg *msg, *next;
	int err;

	lockdep_assert_held(&peer->rx_lock);

	list_for_each_entry_safe(msg, next, &peer->park.list, list) {
		bool forgotten = READ_ONCE(msg->error);

		err = forgotten ? 0 : node->link->receive(node, msg, false, &peer->rx_batch);
		if (err == -ENXIO) {
			err = ask(peer, msg);
			if (err)
				return err;
			continue;
		}
		if (err && err != -EPROTO && err != -EBADMSG)
			return err;
		dsm_batch_run(&peer->rx_batch, node);
		/* It was acknowledged long ago, so its error can only be logged: it is dropped. */
		if (err)
			atomic64_inc(&peer->rejected);
		unpark(peer, msg);
	}
	return 0;
}

/* A region has been announced, or there is a registry to ask: go through them all. */
void dsm_parks_deliver(struct dsm_node *node)
{
	unsigned int id;

	if (!atomic_read(&node->n_parked))
		return;
	for (id = 0; id < node->nodes; id++)
		if (node->peers[id] && READ_ONCE(node->peers[id]->park.n))
			mod_delayed_work(system_wq, &node->peers[id]->park.work, 0);
}

/*
 * There is no such region: drop the messages parked for it. They are in the lists of other
 * peers, whose rx_lock we cannot take. So they are marked, and those peers' workers drop
 * them.
 */
void dsm_park_forget(struct dsm_node *node, u32 region)
{
	struct dsm_msg *msg;
	unsigned int id;

	if (!atomic_read(&node->n_parked))
		return;
	for (id = 0; id < node->nodes; id++) {
		struct dsm_peer *peer = node->peers[id];

		if (!peer || !READ_ONCE(peer->park.n))
			continue;
		spin_lock(&node->park_lock);
		list_for_each_entry(msg, &peer->park.list, list)
			if (msg->region == region)
				WRITE_ONCE(msg->error, 1);
		spin_unlock(&node->park_lock);
	}
	dsm_parks_deliver(node);
}

void dsm_park_init(struct dsm_park *park, void (*deliver)(struct work_struct *work))
{
	INIT_LIST_HEAD(&park->list);
	INIT_DELAYED_WORK(&park->work, deliver);
}

/* Nobody parks any more. */
void dsm_park_stop(struct dsm_park *park)
{
	cancel_delayed_work_sync(&park->work);
}

/* The peer begins a new session, or goes: drop its parked messages. */
void dsm_park_release(struct dsm_peer *peer)
{
	struct dsm_msg *msg, *next;

	lockdep_assert_held(&peer->rx_lock);

	list_for_each_entry_safe(msg, next, &peer->park.list, list)
		unpark(peer, msg);
}
