// SPDX-License-Identifier: GPL-2.0
/*
 * A connection: made or accepted, made secure, a hello each way, a session agreed on, then frames,
 * with a ping every heartbeat. It ends on the first thing that is not as it should be;
 * whatever was under way is said again by the module on the next one.
 *
 * A connection that is closed stays in memory until no handler is running,
 * so that callers need only look at its state.
 */
#include <endian.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "clock.h"
#include "config.h"
#include "conn.h"
#include "credentials.h"
#include "handshake.h"
#include "hello.h"
#include "input.h"
#include "module.h"
#include "peer.h"
#include "secure.h"
#include "stranger.h"

/* More than a peer ever has unwritten that keeps to the rules. */
#define CONN_OWN_FRAMES_MAX	16

#define CONN_RTT_WEIGHT		8	/* of what was known, against the newest */

static void dirty_add(struct conn *conn)
{
	if (conn->dirty || conn->blocked)
		return;
	conn->dirty = true;
	conn->dirty_next = conn->links->dirty;
	conn->links->dirty = conn;
}

static void dirty_remove(struct conn *conn)
{
	struct conn **link = &conn->links->dirty;

	if (!conn->dirty)
		return;
	while (*link != conn)
		link = &(*link)->dirty_next;
	*link = conn->dirty_next;
	conn->dirty = false;
}

/* The body under reception has no place any more: the rest of it is dropped. */
void conn_divert(struct conn *conn)
{
	if (conn->window)
		window_put(conn->window);
	if (conn->expected)	/* the peer will send it again */
		expect_give_up(&conn->links->expects, le32toh(conn->hdr.req),
			       le16toh(conn->hdr.more) + 1, conn);
	conn->window = NULL;
	conn->expected = false;
	conn->body = conn->links->scratch;
}

void conn_close(struct conn *conn)
{
	struct links *links = conn->links;

	if (conn->state == CONN_CLOSED)
		return;
	conn->state = CONN_CLOSED;

	stranger_remove(conn);
	dirty_remove(conn);
	conn_divert(conn);
	output_exit(&conn->out);
	handshake_free(conn->handshake);
	conn->handshake = NULL;
	loop_timer_exit(links->loop, &conn->timer);
	loop_close(links->loop, &conn->source);
	conn->next = links->dead;
	links->dead = conn;

	if (conn->peer)
		peer_conn_closed(conn->peer, conn);
}

/* Frees the closed ones. No handler may be running. */
void conn_reap(struct links *links)
{
	while (links->dead) {
		struct conn *conn = links->dead;

		links->dead = conn->next;
		free(conn);
	}
}

/* Says why, and closes. */
void conn_fail(struct conn *conn, int priority, const char *format, ...)
{
	struct peer *peer = conn->peer ? conn->peer : conn->claims;
	char text[256];
	va_list args;

	if (conn->state == CONN_CLOSED)
		return;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);

	if (conn->state == CONN_CONNECTING) {
		/* Tried again and again, so said once. */
		if (peer->silent)
			priority = LOG_DEBUG;
		peer->silent = true;
	}
	if (priority == LOG_DEBUG)
		log_debug("%s: %s", conn->address, text);
	else if (peer)
		log_limited(&peer->limit, priority, "peer %u (%s)%s: %s", peer->id, conn->address,
			    conn->state == CONN_UP ? " is down" : "", text);
	else
		log_limited(&conn->links->limit, priority, "%s: %s", conn->address, text);
	conn_close(conn);
}

/* Says why to both: @theirs to the other side, the rest to our log. Closes. */
void conn_refuse(struct conn *conn, const char *theirs, const char *format, ...)
{
	char text[256];
	va_list args;

	if (conn->state == CONN_CLOSED)
		return;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	/* The socket has room for it, or the other side does not read. */
	if (conn_say(conn, DSM_REFUSE, theirs, (uint32_t)strnlen(theirs, DSM_WIRE_REFUSE_MAX)))
		conn_write(conn);
	conn_fail(conn, LOG_WARNING, "%s", text);
}

void conn_send(struct conn *conn, const void *frame, uint32_t length,
	       struct window *window, unsigned char *body, uint32_t body_length)
{
	struct output_frame *out = output_add(&conn->out);

	if (!out) {
		if (window)
			window_put(window);
		conn_fail(conn, LOG_ERR, "more frames to be sent than there is room for");
		return;
	}
	memcpy(out->bytes, frame, length);
	out->length = (uint16_t)length;
	out->window = window;
	out->body = body;
	out->body_length = body_length;
	out->credit = true;
	dirty_add(conn);
}

/* False if there is no room for it. */
static bool send_own(struct conn *conn, enum dsm_wire_type type, uint64_t seq,
		     const void *body, uint32_t length)
{
	struct dsm_wire_hdr hdr = {
		.magic = htole32(DSM_WIRE_MAGIC),
		.len = htole32(length),
		.type = type,
		.src = htole16((uint16_t)conn->links->config->node),
		.seq = htole64(seq),
	};
	struct output_frame *out;

	if (conn->out.own >= CONN_OWN_FRAMES_MAX)
		return false;
	out = output_add(&conn->out);
	if (!out)
		return false;
	memcpy(out->bytes, &hdr, sizeof(hdr));
	if (length)
		memcpy(out->bytes + sizeof(hdr), body, length);
	out->length = (uint16_t)(sizeof(hdr) + length);
	out->credit = false;
	conn->out.own++;
	dirty_add(conn);
	return true;
}

/* A frame of the handshake. False if there is no room for it. */
bool conn_say(struct conn *conn, enum dsm_wire_type type, const void *body, uint32_t length)
{
	return send_own(conn, type, 0, body, length);
}

/* A ping too few does no harm; a peer that pings and does not read would. */
void conn_send_own(struct conn *conn, enum dsm_wire_type type, uint64_t seq)
{
	send_own(conn, type, seq, NULL, 0);
}

static void credits_return(struct conn *conn, unsigned int at_least)
{
	struct module *module = conn->links->module;
	unsigned int credits = conn->credits;

	if (conn->state != CONN_UP || !credits || credits < at_least)
		return;
	/* There may be more when the call returns: see conn_beat(). */
	conn->credits = 0;
	module->ops->credit(module, conn->peer->id, conn->peer->session, credits);
}

/* The module sends all that was not acknowledged again, on the next connection. */
static void conn_renew(struct conn *conn)
{
	conn_fail(conn, LOG_INFO, "made again: %llu records have been written with one key",
		  (unsigned long long)conn->out.records);
}

void conn_write(struct conn *conn)
{
	struct links *links = conn->links;
	ssize_t err = output_write(&conn->out, conn->source.fd, &conn->credits);

	/*
	 * By halves: few messages, and the module always has the other half
	 * to go on with.
	 */
	credits_return(conn, links->credits / 2);

	if (err == -EAGAIN) {
		conn->blocked = true;
		err = loop_modify(links->loop, &conn->source, EPOLLIN | EPOLLOUT);
	}
	if (err == -EFAULT)
		conn_fail(conn, LOG_ERR, "a page of a window cannot be read");
	else if (err)
		conn_fail(conn, LOG_INFO, "%s", strerror((int)-err));
	else if (conn->state == CONN_UP && secure_used_up(conn))
		conn_renew(conn);
}

/*
 * A ping, by pulse.c's thread, while the loop's is in a call to the module. Nothing more
 * than that: what goes wrong shows again when the loop's thread writes, and what the socket
 * does not take is in the list for it.
 */
void conn_beat(struct conn *conn)
{
	if (conn->state == CONN_UP && send_own(conn, DSM_PING, clock_now_ns(), NULL, 0))
		output_write(&conn->out, conn->source.fd, &conn->credits);
}

/* @seq is the time the ping was sent, or so the peer says. */
void conn_ponged(struct conn *conn, uint64_t seq)
{
	uint64_t now = clock_now_ns();
	uint64_t rtt = now - seq;

	if (seq > now || seq < conn->up_ns)
		return;
	if (!conn->rtt_ns)
		conn->rtt_ns = rtt;
	else
		conn->rtt_ns += (int64_t)(rtt - conn->rtt_ns) / CONN_RTT_WEIGHT;
}

static void rtt_tell(struct conn *conn, uint64_t now)
{
	struct module *module = conn->links->module;

	if (!conn->rtt_ns || now - conn->rtt_told_ns < NSEC_PER_SEC)
		return;
	conn->rtt_told_ns = now;
	module->ops->peer_rtt(module, conn->peer->id, conn->peer->session, conn->rtt_ns);
}

/*
 * Silence is counted in heartbeats of ours and not by the clock: if it is we
 * who were not running, nobody is lost. Who has just been heard of need not be
 * asked, but for the round-trip time, now and then; if it has not heard of us,
 * it asks itself.
 */
static void heartbeat(struct conn *conn)
{
	const struct config *config = conn->links->config;
	uint64_t now = clock_now_ns();
	bool ping = !conn->heard || now - conn->ping_ns >= NSEC_PER_SEC;

	conn->silent_ms = conn->heard ? 0 : conn->silent_ms + config->heartbeat_ms;
	conn->heard = false;
	if (conn->silent_ms >= config->lost_ms) {
		input_ready(conn);	/* there may be something after all */
		if (!conn->heard)
			conn_fail(conn, LOG_WARNING, "not heard of for %u ms", conn->silent_ms);
		if (conn->state != CONN_UP)
			return;
	}
	if (ping) {
		conn_send_own(conn, DSM_PING, now);
		conn->ping_ns = now;
	}
	credits_return(conn, 1);
	rtt_tell(conn, now);
}

static void timer_expired(struct loop_timer *timer)
{
	struct conn *conn = container_of(timer, struct conn, timer);
	struct links *links = conn->links;

	switch (conn->state) {
	case CONN_CONNECTING:
		conn_fail(conn, LOG_INFO, "%s", strerror(ETIMEDOUT));
		break;
	case CONN_TLS:
		secure_timeout(conn);
		break;
	case CONN_HELLO:
		conn_fail(conn, LOG_INFO, "no hello within %u ms", links->config->lost_ms);
		break;
	case CONN_SESSION:
		conn_fail(conn, LOG_INFO, "no agreement on a session within %u ms",
			  links->config->lost_ms);
		break;
	case CONN_UP:
		heartbeat(conn);
		break;
	case CONN_CLOSED:
		break;
	}
	links_sync(links);
}

/* If we have credentials, the connection is encrypted by now. */
void conn_greet(struct conn *conn)
{
	struct dsm_wire_hello hello;

	conn->state = CONN_HELLO;
	hello_fill(conn->links, &hello);
	/* Without it, whatever came first would be taken for garbage. */
	if (!send_own(conn, DSM_HELLO, 0, &hello, sizeof(hello)))
		conn_fail(conn, LOG_ERR, "no memory to say hello");
}

static void conn_established(struct conn *conn)
{
	int one = 1;

	setsockopt(conn->source.fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (conn->links->credentials)
		secure_begin(conn);
	else
		conn_greet(conn);
}

static void conn_connected(struct conn *conn)
{
	socklen_t len = sizeof(int);
	int err = 0;

	if (getsockopt(conn->source.fd, SOL_SOCKET, SO_ERROR, &err, &len))
		err = errno;
	if (!err)
		err = -loop_modify(conn->links->loop, &conn->source, EPOLLIN);
	if (err)
		conn_fail(conn, LOG_INFO, "%s; trying again", strerror(err));
	else
		conn_established(conn);
}

static void conn_ready(struct loop_source *source, uint32_t events)
{
	struct conn *conn = container_of(source, struct conn, source);
	struct links *links = conn->links;

	if (conn->state == CONN_CONNECTING) {
		conn_connected(conn);
		links_sync(links);
		return;
	}
	if (conn->state == CONN_TLS) {
		secure_ready(conn);
		links_sync(links);
		return;
	}
	if (events & EPOLLOUT) {
		conn->blocked = false;
		loop_modify(links->loop, source, EPOLLIN);
		dirty_add(conn);
	}
	if (events & ~EPOLLOUT)
		input_ready(conn);
	links_sync(links);
}

/* Takes @fd, even when it fails. */
static struct conn *conn_create(struct links *links, int fd, uint32_t events)
{
	struct conn *conn = calloc(1, sizeof(*conn));

	if (!conn)
		goto err_close;
	conn->links = links;
	conn->source.fd = fd;
	conn->source.ready = conn_ready;
	conn->body = links->scratch;
	conn->named = CERTIFICATE_NAMES_NONE;
	if (loop_timer_init(links->loop, &conn->timer, timer_expired))
		goto err_free;
	if (loop_add(links->loop, &conn->source, events))
		goto err_timer;
	loop_timer_once(&conn->timer, links->config->lost_ms);
	return conn;

err_timer:
	loop_timer_exit(links->loop, &conn->timer);
err_free:
	free(conn);
err_close:
	close(fd);
	return NULL;
}

/* NULL: not even tried. A failure of the attempt comes by peer_conn_closed(). */
struct conn *conn_connect(struct links *links, struct peer *peer)
{
	const struct config_address *address = &links->config->peers[peer->id];
	struct conn *conn;
	int fd;

	fd = socket(address->addr.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return NULL;

	/* Before it is watched: a socket that is nothing yet is ready, with HUP. */
	if (connect(fd, (const struct sockaddr *)&address->addr, address->addr_len) &&
	    errno != EINPROGRESS) {
		close(fd);
		return NULL;
	}
	conn = conn_create(links, fd, EPOLLOUT);
	if (!conn)
		return NULL;
	conn->ours = true;
	conn->peer = peer;
	snprintf(conn->address, sizeof(conn->address), "%s", address->text);
	return conn;
}

void conn_accept(struct links *links, int fd, const char *address, const unsigned char *host)
{
	struct conn *conn = conn_create(links, fd, EPOLLIN);

	if (!conn) {
		log_limited(&links->limit, LOG_ERR, "%s: %m", address);
		return;
	}
	snprintf(conn->address, sizeof(conn->address), "%s", address);
	memcpy(conn->host, host, sizeof(conn->host));
	stranger_add(conn);
	conn_established(conn);
}

void conn_up(struct conn *conn, struct peer *peer)
{
	stranger_remove(conn);
	conn->peer = peer;
	conn->state = CONN_UP;
	conn->up_ns = clock_now_ns();
	conn->rtt_told_ns = conn->up_ns;
	loop_timer_every(&conn->timer, conn->links->config->heartbeat_ms);
}
