// SPDX-License-Identifier: GPL-2.0
/*
 * What comes from a connection.
 *
 * Bytes are read into the connection's buffer, which holds many small frames,
 * and looked at from there. When the header of a data frame has been seen, the
 * rest of its body is read to where it is expected, by the same system call
 * that fills the buffer with what follows; only what was in the buffer
 * together with the header is copied.
 *
 * Who is at the other end is not known to be well-meaning: a header is checked
 * before anything is done for it, and what does not fit ends the connection.
 * What the modules say to each other is for the module to judge.
 */
#include <endian.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "conn.h"
#include "hello.h"
#include "input.h"
#include "module.h"
#include "peer.h"
#include "secure.h"
#include "session.h"

/* Then others have their turn. */
#define INPUT_READS_MAX	16

#define INPUT_RUN_LONG	16	/* messages */

/* How a TLS client begins: a record of type 22, version 3. */
#define INPUT_TLS_HANDSHAKE	0x0316

static void receive(struct conn *conn, const void *frame, uint32_t length, bool in_window)
{
	struct module *module = conn->links->module;

	module->ops->receive(module, conn->peer->id, conn->peer->session, frame, length,
			     in_window);
}

static void hello_heard(struct conn *conn, const struct dsm_wire_hdr *hdr, const void *body)
{
	struct links *links = conn->links;
	struct dsm_wire_hello hello;
	struct peer *peer;
	char why[128];

	memcpy(&hello, body, sizeof(hello));
	if (!hello_check(links, &hello, why, sizeof(why))) {
		if (hello_is_ours(links, &hello))
			conn_refuse(conn, "this is the node of that id: does another node have the same?",
				    "%s", why);
		else
			conn_fail(conn, LOG_WARNING, "%s", why);
		return;
	}
	peer = &links->peers[le32toh(hello.node)];

	if (conn->peer && conn->peer != peer)
		conn_fail(conn, LOG_WARNING, "it is node %u that listens there", peer->id);
	else if (!conn->ours && peer_is_ours_to_connect(peer))
		conn_fail(conn, LOG_WARNING, "peer %u connected to us, who have the higher id",
			  peer->id);
	else if (le16toh(hdr->src) != peer->id)
		conn_fail(conn, LOG_WARNING, "peer %u writes %u as a frame's source", peer->id,
			  le16toh(hdr->src));
	else if (!secure_is(conn, peer))
		return;
	else if (peer_taken(peer, conn, le64toh(hello.incarnation)))
		peer_refuse(peer, conn);
	else
		session_ask(conn, peer, le64toh(hello.incarnation));
}

/* It will not have us, and says why. */
static void refuse_heard(struct conn *conn, const struct dsm_wire_hdr *hdr, const void *body)
{
	uint32_t length = le32toh(hdr->len);
	char text[DSM_WIRE_REFUSE_MAX + 1];

	memcpy(text, body, length);
	text[length] = '\0';
	/* It is to be read by people, and is not ours. */
	for (uint32_t i = 0; i < length; i++)
		if (text[i] < ' ' || text[i] > '~')
			text[i] = '?';
	conn_fail(conn, LOG_WARNING, "it refuses us: %s", text);
}

static void ping_heard(struct conn *conn, const struct dsm_wire_hdr *hdr, const void *body)
{
	(void)body;
	conn_send_own(conn, DSM_PONG, le64toh(hdr->seq));
}

static void pong_heard(struct conn *conn, const struct dsm_wire_hdr *hdr, const void *body)
{
	(void)body;
	conn_ponged(conn, le64toh(hdr->seq));
}

#define IN(state)	(1U << CONN_##state)

/* A later version's hello may be longer. */
static const struct input_type {
	unsigned int states;
	uint32_t length_min;
	uint32_t length_max;
	void (*handle)(struct conn *conn, const struct dsm_wire_hdr *hdr, const void *body);
} input_types[] = {
	[DSM_HELLO - DSM_WIRE_HELPER] = {
		IN(HELLO), sizeof(struct dsm_wire_hello), LINKS_INLINE_MAX, hello_heard
	},
	[DSM_PING - DSM_WIRE_HELPER] = { IN(UP), 0, 0, ping_heard },
	[DSM_PONG - DSM_WIRE_HELPER] = { IN(UP), 0, 0, pong_heard },
	[DSM_SESSION - DSM_WIRE_HELPER] = {
		IN(SESSION), sizeof(struct dsm_wire_session), sizeof(struct dsm_wire_session),
		session_heard
	},
	[DSM_READY - DSM_WIRE_HELPER] = {
		IN(SESSION), sizeof(struct dsm_wire_ready), sizeof(struct dsm_wire_ready),
		ready_heard
	},
	[DSM_REFUSE - DSM_WIRE_HELPER] = {
		IN(HELLO) | IN(SESSION), 0, DSM_WIRE_REFUSE_MAX, refuse_heard
	},
};

#define INPUT_TYPES	(sizeof(input_types) / sizeof(input_types[0]))

/* False, and the connection closed, if there cannot be such a frame. */
static bool header_check(struct conn *conn, const struct dsm_wire_hdr *hdr)
{
	uint32_t length = le32toh(hdr->len);
	const struct input_type *type;

	if (le32toh(hdr->magic) != DSM_WIRE_MAGIC &&
	    (le32toh(hdr->magic) & 0xffff) == INPUT_TLS_HANDSHAKE) {
		conn_fail(conn, LOG_WARNING, "it speaks TLS, and this node has 'insecure = yes'");
		return false;
	}
	if (le32toh(hdr->magic) != DSM_WIRE_MAGIC) {
		conn_fail(conn, LOG_WARNING, "no frame of ours: it begins with 0x%08x",
			  le32toh(hdr->magic));
		return false;
	}
	if (conn->claims && le16toh(hdr->src) != conn->claims->id) {
		conn_fail(conn, LOG_WARNING, "a frame that says it is from node %u",
			  le16toh(hdr->src));
		return false;
	}

	if (hdr->type < DSM_WIRE_HELPER) {
		uint32_t max = hdr->type == DSM_DATA ? DSM_WIRE_BODY_MAX : LINKS_INLINE_MAX;

		if (conn->state != CONN_UP)
			conn_fail(conn, LOG_WARNING, "a frame of type %u before %s", hdr->type,
				  conn->state == CONN_HELLO ? "any hello" : "it is ready");
		else if (le16toh(hdr->more) >= DSM_WIRE_RUN_MAX)
			conn_fail(conn, LOG_WARNING,
				  "a frame of type %u for %u messages; there are %u at most",
				  hdr->type, le16toh(hdr->more) + 1, DSM_WIRE_RUN_MAX);
		else if (length > max)
			conn_fail(conn, LOG_WARNING,
				  "a frame of type %u with %u bytes of body; there are %u at most",
				  hdr->type, length, max);
		return conn->state == CONN_UP;
	}

	if (hdr->type >= DSM_WIRE_HELPER + INPUT_TYPES) {
		conn_fail(conn, LOG_WARNING, "a frame of type %u, which we do not know", hdr->type);
		return false;
	}
	type = &input_types[hdr->type - DSM_WIRE_HELPER];
	if (!(type->states & 1U << conn->state))
		conn_fail(conn, LOG_WARNING, "a frame of type %u %s hello", hdr->type,
			  conn->state == CONN_HELLO ? "before any" : "after the");
	else if (length < type->length_min || length > type->length_max)
		conn_fail(conn, LOG_WARNING,
			  "a frame of type %u with %u bytes of body; there are %u to %u",
			  hdr->type, length, type->length_min, type->length_max);
	return conn->state != CONN_CLOSED;
}

/* Where the body of the data frame that begins is to go. */
static void data_place(struct conn *conn)
{
	uint32_t req = le32toh(conn->hdr.req), count = le16toh(conn->hdr.more) + 1;
	uint32_t region = le32toh(conn->hdr.region), length = le32toh(conn->hdr.len);
	struct links *links = conn->links;
	struct window *window;
	uint64_t offset;

	conn_divert(conn);
	if (!expect_take(&links->expects, req, count, region, length, conn, &offset))
		return;
	window = window_get(&links->windows, region);
	if (!window || !window_holds(window, offset, length)) {
		if (window)
			window_put(window);
		expect_give_up(&links->expects, req, count, conn);
		return;
	}
	conn->expected = true;
	conn->window = window;
	conn->body = window->base + offset;
}

/* The bytes that have come are the module's now: false, not before it has answered. */
static bool data_spend(struct conn *conn)
{
	return expect_spend(&conn->links->expects, le32toh(conn->hdr.req),
			    le16toh(conn->hdr.more) + 1);
}

/*
 * A page of the window cannot be had: there is no memory for it, or it has a memory error.
 * The rest of the body is dropped. The module hears that the bytes are not in the window,
 * sees to the page, and has them sent again.
 */
static void data_unwritable(struct conn *conn)
{
	log_limited(&conn->links->limit, LOG_ERR, "a page of region %u's window cannot be written",
		    conn->window->region);
	conn_divert(conn);
}

static void data_end(struct conn *conn)
{
	bool in_window = conn->expected;

	if (in_window && !data_spend(conn)) {
		links_sync(conn->links);
		if (conn->state == CONN_CLOSED)
			return;
		/* What the module has just said may have taken it away. */
		in_window = conn->expected && data_spend(conn);
	}
	conn_divert(conn);
	receive(conn, &conn->hdr, sizeof(conn->hdr), in_window);
}

static void data_copy(struct conn *conn, unsigned int length)
{
	if (conn->window && !window_copy(conn->body, conn->in + conn->in_start, length))
		data_unwritable(conn);
	conn->in_start += length;
	conn->body += length;
	conn->body_left -= length;
}

/* The header is taken from the buffer, and as much of the body as is there. */
static void data_begin(struct conn *conn, const struct dsm_wire_hdr *hdr)
{
	unsigned int have;

	conn->hdr = *hdr;
	conn->body_left = le32toh(hdr->len);
	conn->in_start += sizeof(*hdr);
	data_place(conn);

	have = conn->in_end - conn->in_start;
	if (have > conn->body_left)
		have = conn->body_left;
	data_copy(conn, have);
	if (!conn->body_left)
		data_end(conn);
}

/* The whole frame is in the buffer. */
static void frame_heard(struct conn *conn, const struct dsm_wire_hdr *hdr)
{
	const unsigned char *frame = conn->in + conn->in_start;
	uint32_t length = sizeof(*hdr) + le32toh(hdr->len);
	bool no_bytes = hdr->type == DSM_GRANT || hdr->type == DSM_LOST;

	conn->in_start += length;
	if (hdr->type >= DSM_WIRE_HELPER) {
		input_types[hdr->type - DSM_WIRE_HELPER].handle(conn, hdr, frame + sizeof(*hdr));
		return;
	}
	for (uint32_t i = 0; no_bytes && i <= le16toh(hdr->more); i++)
		links_expect_end(conn->links, le32toh(hdr->req) + i);
	receive(conn, frame, length, false);
	/* What a long run asks for is on its way while the next is looked at. */
	if (le16toh(hdr->more) >= INPUT_RUN_LONG)
		links_sync(conn->links);
}

/* Looks at what is in the buffer, as far as it goes. */
static void input_parse(struct conn *conn)
{
	struct dsm_wire_hdr hdr;

	while (conn->state != CONN_CLOSED && conn->in_end - conn->in_start >= sizeof(hdr)) {
		memcpy(&hdr, conn->in + conn->in_start, sizeof(hdr));
		if (!header_check(conn, &hdr))
			return;
		if (hdr.type == DSM_DATA)
			data_begin(conn, &hdr);
		else if (conn->in_end - conn->in_start >= sizeof(hdr) + le32toh(hdr.len))
			frame_heard(conn, &hdr);
		else
			break;
	}

	/* A part of a frame, short, for a header that is to be whole. */
	if (conn->in_start) {
		memmove(conn->in, conn->in + conn->in_start, conn->in_end - conn->in_start);
		conn->in_end -= conn->in_start;
		conn->in_start = 0;
	}
}

/* True if there may be more to read. */
static bool input_read(struct conn *conn)
{
	struct iovec iov[2] = {
		{ conn->body, conn->body_left },
		{ conn->in + conn->in_end, CONN_IN_SIZE - conn->in_end },
	};
	size_t room = iov[0].iov_len + iov[1].iov_len;
	uint32_t of_body;
	ssize_t n;

	do {
		n = conn->body_left ? readv(conn->source.fd, iov, 2) :
				      read(conn->source.fd, iov[1].iov_base, iov[1].iov_len);
	} while (n < 0 && errno == EINTR);

	if (n < 0 && errno == EAGAIN)
		return false;
	if (n < 0 && errno == EFAULT && conn->body_left && conn->window) {
		data_unwritable(conn);
		return true;
	}
	if (n < 0) {
		conn_fail(conn, LOG_INFO, "%s", secure_read_error(conn, errno));
		return false;
	}
	if (!n) {
		conn_fail(conn, LOG_INFO, "closed by the other side");
		return false;
	}

	conn->heard = true;
	of_body = (size_t)n < conn->body_left ? (uint32_t)n : conn->body_left;
	conn->in_end += (unsigned int)n - of_body;
	if (of_body) {
		conn->body += of_body;
		conn->body_left -= of_body;
		if (!conn->body_left)
			data_end(conn);
	}
	return (size_t)n == room;
}

void input_ready(struct conn *conn)
{
	bool more = true;

	for (int i = 0; i < INPUT_READS_MAX && more; i++) {
		more = input_read(conn);
		if (conn->state == CONN_CLOSED)
			break;
		input_parse(conn);
		links_sync(conn->links);
		if (conn->state == CONN_CLOSED)
			break;
	}
}
