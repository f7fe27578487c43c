// SPDX-License-Identifier: GPL-2.0
/*
 * A peer: which connection it is up over, if any, and when to try again.
 *
 * The node with the higher id connects. A peer that connects again while we
 * think that it is up has found its end broken before we did: the new
 * connection replaces the old one, and the module sees it go down and up. That is so
 * if it is the same module, by its incarnation. Another one is another node that is
 * configured with the same id, or the same one whose module was started again. Either
 * way it has to wait until the old connection has ended: if nobody is there any more,
 * that takes lost_ms at most.
 */
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <systemd/sd-daemon.h>

#include "clock.h"
#include "config.h"
#include "conn.h"
#include "module.h"
#include "peer.h"

#define PEER_BACKOFF_MIN_MS	20
#define PEER_BACKOFF_MAX_MS	1000
#define PEER_SUCCESS_RECORDS	64

bool peer_is_ours_to_connect(const struct peer *peer)
{
	return peer->id < (uint32_t)peer->links->config->node;
}

static void retry_later(struct peer *peer)
{
	unsigned int half = peer->backoff_ms / 2;

	/* Peers that lost us at the same instant must not come back at one. */
	loop_timer_once(&peer->retry, half + (unsigned int)random() % (half + 1));
	peer->backoff_ms *= 2;
	if (peer->backoff_ms > PEER_BACKOFF_MAX_MS)
		peer->backoff_ms = PEER_BACKOFF_MAX_MS;
}

static void peer_connect(struct peer *peer)
{
	if (peer->conn || peer->connecting)
		return;
	peer->connecting = conn_connect(peer->links, peer);
	if (peer->connecting)
		return;

	if (!peer->silent)
		log_info("peer %u (%s): %m; trying again", peer->id,
			 peer->links->config->peers[peer->id].text);
	peer->silent = true;
	retry_later(peer);
}

static void retry_expired(struct loop_timer *timer)
{
	peer_connect(container_of(timer, struct peer, retry));
}

int peer_init(struct peer *peer, struct links *links, uint32_t id)
{
	*peer = (struct peer){
		.links = links,
		.id = id,
		.backoff_ms = PEER_BACKOFF_MIN_MS,
	};
	return loop_timer_init(links->loop, &peer->retry, retry_expired);
}

void peer_exit(struct peer *peer)
{
	if (peer->conn)
		conn_close(peer->conn);
	if (peer->connecting)
		conn_close(peer->connecting);
	loop_timer_exit(peer->links->loop, &peer->retry);
}

void peer_start(struct peer *peer)
{
	if (peer_is_ours_to_connect(peer))
		peer_connect(peer);
}

static void status_notify(const struct links *links)
{
	sd_notifyf(0, "STATUS=%u of %u peers up", links->up, links->config->nodes - 1);
}

/* Is the peer up over another connection, and another module's? */
bool peer_taken(const struct peer *peer, const struct conn *conn, uint64_t incarnation)
{
	return peer->conn && peer->conn != conn && peer->conn->incarnation != incarnation;
}

/* Then both logs say so, with the addresses. */
void peer_refuse(struct peer *peer, struct conn *conn)
{
	char theirs[DSM_WIRE_REFUSE_MAX];

	/* Strangers may have filled what there is room for in the log of theirs. */
	conn->claims = peer;
	snprintf(theirs, sizeof(theirs),
		 "node %u is up already, from %s: does another node have the same id?", peer->id,
		 peer->conn->address);
	conn_refuse(conn, theirs,
		    "says that it is node %u, which is up already, from %s: do two nodes have the same id?",
		    peer->id, peer->conn->address);
}

/* @conn is ready. It may be closed when this returns. */
void peer_up(struct peer *peer, struct conn *conn, uint64_t incarnation, uint64_t session)
{
	struct links *links = peer->links;

	if (peer_taken(peer, conn, incarnation)) {
		peer_refuse(peer, conn);
		return;
	}
	if (peer->conn) {
		conn_fail(peer->conn, LOG_INFO, "replaced by a new connection");
		/*
		 * The module hears of the end now, and the sends it still made
		 * for the old connection are dropped here: on the new one they
		 * would come before what it sends again.
		 */
		links_sync(links);
		if (conn->state == CONN_CLOSED)
			return;
	}
	if (peer->connecting == conn)
		peer->connecting = NULL;
	peer->conn = conn;
	peer->silent = false;
	links->up++;
	conn_up(conn, peer);
	links->module->ops->peer_up(links->module, peer->id, peer->session, incarnation, session);
	status_notify(links);
}

void peer_conn_closed(struct peer *peer, struct conn *conn)
{
	struct links *links = peer->links;

	if (peer->connecting == conn)
		peer->connecting = NULL;
	if (peer->conn == conn) {
		peer->conn = NULL;
		links->module->ops->peer_down(links->module, peer->id, peer->session);
		peer->session = (peer->session + 1) & PEER_SESSION_MASK;
		links->up--;
		status_notify(links);
		/* One that did not last and did little was no success: the waits go on growing. */
		if (conn->out.records >= PEER_SUCCESS_RECORDS ||
		    clock_now_ns() - conn->up_ns >= PEER_BACKOFF_MAX_MS * NSEC_PER_MSEC)
			peer->backoff_ms = PEER_BACKOFF_MIN_MS;
	}
	if (peer_is_ours_to_connect(peer) && !peer->conn && !peer->connecting)
		retry_later(peer);
}
