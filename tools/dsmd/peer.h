/* SPDX-License-Identifier: GPL-2.0 */
#ifndef DSMD_PEER_H
#define DSMD_PEER_H

#include <stdbool.h>
#include <stdint.h>

#include "log.h"
#include "loop.h"

struct conn;
struct links;

/**
 * struct peer - another node
 * @links: where it belongs
 * @id: its node id
 * @conn: the connection over which it is up, or NULL
 * @connecting: one that we make and that is not up yet, or NULL. Only with
 *	peers whose id is lower than ours.
 * @session: the number of the connection that is up or will be next
 * @backoff_ms: how long to wait before the next attempt
 * @retry: ends that wait
 * @silent: the failure of an attempt has been logged
 * @limit: for messages about it
 */
struct peer {
	struct links *links;
	uint32_t id;
	struct conn *conn;
	struct conn *connecting;
	uint32_t session;
	unsigned int backoff_ms;
	struct loop_timer retry;
	bool silent;
	struct log_limit limit;
};

/* As many bits as netlink's sequence number has left beside the peer's id. */
#define PEER_SESSION_MASK	((1U << 20) - 1)

int peer_init(struct peer *peer, struct links *links, uint32_t id);
void peer_exit(struct peer *peer);
void peer_start(struct peer *peer);
bool peer_is_ours_to_connect(const struct peer *peer);

bool peer_taken(const struct peer *peer, const struct conn *conn, uint64_t incarnation);
void peer_refuse(struct peer *peer, struct conn *conn);
void peer_up(struct peer *peer, struct conn *conn, uint64_t incarnation, uint64_t session);
void peer_conn_closed(struct peer *peer, struct conn *conn);

#endif
