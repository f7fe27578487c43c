// SPDX-License-Identifier: GPL-2.0
/*
 * The links to all peers: between the module, which says what to send and what
 * to expect, and the connections.
 *
 * Nothing here outlives the process that matters: what is forgotten when it
 * dies, the module says again.
 */
#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "config.h"
#include "conn.h"
#include "links.h"
#include "listener.h"
#include "module.h"
#include "peer.h"

/* The peer, if it is up; what is said of others is dropped. */
static struct peer *peer_find_up(struct links *links, uint32_t id)
{
	if (id >= links->config->nodes || !links->peers[id].conn)
		return NULL;
	return &links->peers[id];
}

/*
 * @frame is the header, and the body unless @body says where that is. If the
 * peer is down the frame is dropped: the module will send it again.
 */
void links_send(struct links *links, uint32_t id, const void *frame, uint32_t length,
		const struct links_place *body)
{
	struct peer *peer = peer_find_up(links, id);
	struct window *window;

	if (!peer)
		return;
	if (length < sizeof(struct dsm_wire_hdr) || length > LINKS_FRAME_MAX) {
		conn_fail(peer->conn, LOG_ERR, "the module wants to send a frame of %u bytes",
			  length);
		return;
	}
	if (!body) {
		conn_send(peer->conn, frame, length, NULL, NULL, 0);
		return;
	}

	window = window_get(&links->windows, body->region);
	if (!window) {
		conn_fail(peer->conn, LOG_ERR, "no window to send from");
		return;
	}
	if (!window_holds(window, body->offset, body->length)) {
		window_put(window);
		conn_fail(peer->conn, LOG_ERR,
			  "the module wants to send %u bytes at %llu of region %u", body->length,
			  (unsigned long long)body->offset, body->region);
		return;
	}
	conn_send(peer->conn, frame, length, window, window->base + body->offset, body->length);
}

/* A connection that is receiving what was expected has to put it elsewhere. */
static void expect_release(struct expect *expect)
{
	if (expect->state == EXPECT_TAKEN)
		conn_divert(expect->taker);
	expect->state = EXPECT_WAITING;
}

/*
 * The module says it again when it sends the request again. If it is the same,
 * whoever is receiving the bytes goes on. If they have just been received, it
 * was said before the module knew: whether they are still expected depends on
 * whether it takes them, and it is about to say so.
 */
void links_expect(struct links *links, uint32_t req, const struct links_place *place)
{
	struct expect *expect = expect_find(&links->expects, req);

	if (!expect)
		expect = expect_insert(&links->expects, req);
	else if (expect->state == EXPECT_TAKEN &&
		 (expect->region != place->region || expect->offset != place->offset ||
		  expect->length != place->length))
		expect_release(expect);
	if (!expect) {
		log_limited(&links->limit, LOG_ERR, "no memory for what request %u expects", req);
		return;
	}
	expect->region = place->region;
	expect->offset = place->offset;
	expect->length = place->length;
}

void links_expect_end(struct links *links, uint32_t req)
{
	struct expect *expect = expect_find(&links->expects, req);

	if (!expect)
		return;
	expect_release(expect);
	expect_remove(&links->expects, expect);
}

void links_forget(struct links *links, uint32_t region)
{
	struct expect *expect;

	while ((expect = expect_find_region(&links->expects, region)))
		links_expect_end(links, expect->req);
	window_forget(&links->windows, region);
}

static struct peer *peer_find_session(struct links *links, uint32_t id, uint32_t session)
{
	struct peer *peer = peer_find_up(links, id);

	return peer && peer->session == session ? peer : NULL;
}

/* The module's answer to peer_up(): 0 or a positive errno. */
void links_peer_answered(struct links *links, uint32_t id, uint32_t session, int error,
			 const char *text)
{
	struct peer *peer = peer_find_session(links, id, session);

	if (!peer)
		return;
	if (error == ESTALE)
		conn_fail(peer->conn, LOG_WARNING,
			  "it has lost its memory, and this node still has regions");
	else if (error)
		conn_fail(peer->conn, LOG_WARNING, "the module refuses it: %s%s%s",
			  strerror(error), text ? ": " : "", text ? text : "");
	else
		log_info("peer %u (%s) is up", id, peer->conn->address);
}

/*
 * The module has not taken a frame. If the frame may come again, the connection goes
 * on; if the module will never take it, the connection ends. Its place, if it was in one, is waiting
 * again, since the frame will be sent again. Not so those of a run: the module may
 * have taken a part of it, whose blocks are in use, and into which nothing must
 * come. For what it has not taken it will say anew that it expects it.
 */
void links_refused(struct links *links, uint32_t id, uint32_t session, int error,
		   const char *text, const struct dsm_wire_hdr *frame, bool in_window)
{
	struct peer *peer = peer_find_session(links, id, session);

	if (in_window && !frame->more)
		expect_restore(&links->expects, le32toh(frame->req));
	/* It has no memory for it now, say: it asks the other module to send it again. */
	if (!peer || error == EAGAIN)
		return;
	conn_fail(peer->conn, error == EBADMSG || error == EPROTO ? LOG_WARNING : LOG_INFO,
		  "the module has not taken frame %llu, of type %u: %s%s%s",
		  (unsigned long long)le64toh(frame->seq), frame->type, strerror(error),
		  text ? ": " : "", text ? text : "");
}

/*
 * Writes what there is to write and tells the module what there is to tell,
 * until there is neither. Called at the end of every handler, so that what a
 * frame makes the module send is on its way before we wait again.
 */
void links_sync(struct links *links)
{
	bool again;

	do {
		while (links->dirty) {
			struct conn *conn = links->dirty;

			links->dirty = conn->dirty_next;
			conn->dirty = false;
			conn_write(conn);
		}
		again = links->module->ops->sync(links->module);
		expect_settle(&links->expects);
	} while (again || links->dirty);
}

static void links_after(void *data)
{
	struct links *links = data;

	links->strangers_ns = 0;
	conn_reap(links);
}

int links_init(struct links *links, const struct config *config, struct loop *loop,
	       struct module *module)
{
	uint32_t id;
	int err;

	links->config = config;
	links->loop = loop;
	links->module = module;
	links->version_min = DSM_WIRE_VERSION_MIN;
	links->version = DSM_WIRE_VERSION;
	links->listener.fd = -1;
	expect_table_init(&links->expects);
	loop->after = links_after;
	loop->after_data = links;

	links->peers = calloc(config->nodes, sizeof(*links->peers));
	if (!links->peers)
		return -ENOMEM;
	for (id = 0; id < config->nodes; id++) {
		err = peer_init(&links->peers[id], links, id);
		if (err)
			goto err_peers;
	}
	return 0;

err_peers:
	while (id--)
		peer_exit(&links->peers[id]);
	free(links->peers);
	return err;
}

/* The module knows us; now the peers may. */
int links_start(struct links *links, uint64_t incarnation, uint32_t credits)
{
	int err;

	links->incarnation = incarnation;
	links->credits = credits;
	err = listener_init(links);
	if (err)
		return err;
	for (uint32_t id = 0; id < links->config->nodes; id++)
		peer_start(&links->peers[id]);
	return 0;
}

/* The module is not told: it sees our socket close. */
void links_exit(struct links *links)
{
	listener_exit(links);
	while (links->strangers)
		conn_close(links->strangers);
	for (uint32_t id = 0; id < links->config->nodes; id++)
		peer_exit(&links->peers[id]);
	conn_reap(links);
	window_table_exit(&links->windows);
	expect_table_exit(&links->expects);
	free(links->peers);
}
