// SPDX-License-Identifier: GPL-2.0
/*
 * The TLS of a connection: its handshake before any hello, what that has shown of the other
 * side, and how long the keys may be used.
 *
 * A stranger costs a socket and its struct conn until it says something; only then is there a
 * handshake for it.
 */
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>

#include "../security.h"
#include "clock.h"
#include "config.h"
#include "conn.h"
#include "credentials.h"
#include "handshake.h"
#include "ktls.h"
#include "peer.h"
#include "secure.h"
#include "stranger.h"

/* It takes two round trips, and computing on both sides: so many lost_ms. */
#define SECURE_LOST_MS	5

static unsigned int patience(const struct conn *conn)
{
	return SECURE_LOST_MS * conn->links->config->lost_ms;
}

/* There is a TCP connection. */
void secure_begin(struct conn *conn)
{
	conn->state = CONN_TLS;
	loop_timer_once(&conn->timer, patience(conn));
	if (conn->ours)
		secure_ready(conn);
}

void secure_timeout(struct conn *conn)
{
	conn_fail(conn, LOG_INFO, "no TLS handshake within %u ms", patience(conn));
}

/* The handshake is over. */
static void done(struct conn *conn)
{
	const struct config *config = conn->links->config;
	char why[128];

	conn->named = handshake_node(conn->handshake);
	if (!handshake_to_kernel(conn->handshake, &conn->cipher, why, sizeof(why))) {
		conn_fail(conn, LOG_ERR, "%s", why);
		return;
	}
	handshake_free(conn->handshake);
	conn->handshake = NULL;
	conn->record_limit = config->record_limit ? config->record_limit :
						    ktls_record_limit(conn->cipher);
	if (!conn->ours)
		stranger_proven(conn);
	loop_modify(conn->links->loop, &conn->source, EPOLLIN);
	loop_timer_once(&conn->timer, config->lost_ms);
	conn_greet(conn);
}

/* The socket is ready. */
void secure_ready(struct conn *conn)
{
	struct links *links = conn->links;
	uint64_t since = clock_now_ns();
	char why[256];
	int err;

	if (!conn->ours && !stranger_may_work(links))
		return;
	if (!conn->handshake)
		conn->handshake = handshake_new(links->credentials, conn->source.fd, conn->ours);
	if (!conn->handshake) {
		conn_fail(conn, LOG_ERR, "no memory for a TLS handshake");
		return;
	}
	err = handshake_go_on(conn->handshake, why, sizeof(why));
	if (!conn->ours)
		stranger_worked(links, clock_now_ns() - since);
	if (err == -EAGAIN)
		loop_modify(links->loop, &conn->source,
			    handshake_wants_to_write(conn->handshake) ? EPOLLOUT : EPOLLIN);
	else if (err)
		conn_fail(conn, LOG_WARNING, "%s", why);
	else
		done(conn);
}

/* False, and the connection closed, if its certificate is for another node than @peer. */
bool secure_is(struct conn *conn, const struct peer *peer)
{
	const struct credentials *credentials = conn->links->credentials;

	if (!credentials || !credentials->x509 || conn->named == (int)peer->id)
		return true;
	if (conn->named >= 0)
		conn_fail(conn, LOG_WARNING,
			  "says that it is node %u, and its certificate is for " SECURITY_NAME "%d",
			  peer->id, conn->named);
	else
		conn_fail(conn, LOG_WARNING,
			  "says that it is node %u, and its certificate is for %s node: the subject alternative name must be "
			  SECURITY_NAME "%u", peer->id,
			  conn->named == CERTIFICATE_NAMES_NONE ? "no" : "more than one", peer->id);
	return false;
}

/* Have as many records been written as are safe with one key? */
bool secure_used_up(const struct conn *conn)
{
	return conn->record_limit && conn->out.records >= conn->record_limit;
}

/* A socket whose TLS is the kernel's has errors of its own. All of them end the connection. */
const char *secure_read_error(const struct conn *conn, int err)
{
	if (!conn->cipher)
		return strerror(err);
	switch (err) {
	case EIO:
		return conn->links->credentials->x509 ?
			"a TLS alert: does it refuse our certificate?" : "a TLS alert";
	case EBADMSG:
		return "what comes was not encrypted with the connection's key";
	case EINVAL:
		return "what comes is not TLS";
	case ECONNRESET:
		/* The alert may be lost when the other side closes. */
		return conn->state == CONN_HELLO && conn->links->credentials->x509 ?
			"connection reset: does it refuse our certificate?" : strerror(err);
	default:
		return strerror(err);
	}
}
