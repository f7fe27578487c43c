/* SPDX-License-Identifier: GPL-2.0 */
#ifndef DSMD_LINKS_H
#define DSMD_LINKS_H

#include <stdint.h>

#include <linux/dsm_wire.h>

#include "expect.h"
#include "log.h"
#include "loop.h"
#include "pulse.h"
#include "window.h"

/*
 * The longest body that is carried inline, in netlink messages and through
 * our buffers. A DATA frame's, which goes by the window, may be longer.
 */
#define LINKS_INLINE_MAX	448
#define LINKS_FRAME_MAX		(sizeof(struct dsm_wire_hdr) + LINKS_INLINE_MAX)

struct config;
struct conn;
struct credentials;
struct module;
struct peer;

/**
 * struct links - the connections to all peers, and what they share
 * @config: who and where everybody is
 * @credentials: with which connections are made secure; NULL: they are not
 * @loop: what they wait in
 * @module: where frames come from and go to
 * @incarnation: in our hello
 * @credits: the most sends the module has outstanding to one peer
 * @version_min: the oldest protocol version we say we speak
 * @version: the newest
 * @peers: by node id; this node's is not used
 * @up: how many of them are up
 * @expects: where bytes are expected
 * @windows: where they are
 * @listener: accepts connections
 * @strangers: accepted, and not up yet; oldest first
 * @stranger_count: how many of them have not proven that they are of the cluster
 * @proven_count: how many have
 * @strangers_ns: how long their handshakes have taken in this round of the loop
 * @asked: how often the module has been asked for a session
 * @dirty: connections that have something to write, linked by @dirty_next
 * @dead: closed ones, freed when no handler is running
 * @pulse: heartbeats while the module is busy
 * @limit: for messages about strangers
 * @scratch: where bytes go that nobody expects
 */
struct links {
	const struct config *config;
	const struct credentials *credentials;
	struct loop *loop;
	struct module *module;
	uint64_t incarnation;
	uint32_t credits;
	uint16_t version_min;
	uint16_t version;
	struct peer *peers;
	uint32_t up;
	struct expect_table expects;
	struct window_table windows;
	struct loop_source listener;
	struct conn *strangers;
	unsigned int stranger_count;
	unsigned int proven_count;
	uint64_t strangers_ns;
	uint32_t asked;
	struct conn *dirty;
	struct conn *dead;
	struct pulse pulse;
	struct log_limit limit;
	unsigned char scratch[DSM_WIRE_BODY_MAX];
};

/* What the module has said. */

/**
 * struct links_place - a part of a region's window
 */
struct links_place {
	uint32_t region;
	uint32_t length;
	uint64_t offset;
};

void links_send(struct links *links, uint32_t peer, const void *frame, uint32_t length,
		const struct links_place *body);
void links_expect(struct links *links, uint32_t req, const struct links_place *place);
void links_forget(struct links *links, uint32_t region);
void links_peer_answered(struct links *links, uint32_t peer, uint32_t session, int error,
			 const char *text);
void links_refused(struct links *links, uint32_t peer, uint32_t session, int error,
		   const char *text, const struct dsm_wire_hdr *frame, bool in_window);

/* For the connections. */

void links_sync(struct links *links);
void links_expect_end(struct links *links, uint32_t req);

/* For main. */

int links_init(struct links *links, const struct config *config, struct loop *loop,
	       struct module *module);
int links_start(struct links *links, uint64_t incarnation, uint32_t credits);
void links_exit(struct links *links);

#endif
