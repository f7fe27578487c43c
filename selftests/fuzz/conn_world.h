/* SPDX-License-Identifier: GPL-2.0 */
/* A model of the world around dsmd's connections: see fuzz_conn.c. */
#ifndef FUZZ_CONN_WORLD_H
#define FUZZ_CONN_WORLD_H

#include <linux/dsm_wire.h>

#include "config.h"
#include "conn.h"
#include "links.h"
#include "loop.h"
#include "module.h"
#include "peer.h"
#include "session.h"

#include "fuzz.h"
#include "sys.h"

enum {
	NODES		= 3,
	SELF		= 1,	/* dsmd connects to one peer, and one peer connects to dsmd */
	CREDITS		= 64,
	HEARTBEAT_MS	= 20,
	LOST_MS		= 200,

	OPS_MAX		= 400,
	ENDS		= 100,	/* connections in one run */
	SENDS		= 256,	/* frames of the module on one connection */

	REGION_OUT	= 1,	/* bodies are sent from there */
	REGION_IN	= 2,	/* bodies are received into there */
	REGION_NONE	= 3,	/* a window that cannot be had */
	REQS		= 8,	/* the last two are for places that do not exist */
	BEYOND		= 100,	/* bytes */
	SLOTS		= 4,
	SLOT_SIZE	= 3000,
	WINDOW_SIZE	= SLOTS * SLOT_SIZE,
};

#define HDR		sizeof(struct dsm_wire_hdr)
#define HELLO		sizeof(struct dsm_wire_hello)
#define READY		sizeof(struct dsm_wire_ready)
#define SESSION		0x5e5510ULL	/* the module's session with every peer */
#define PING_SEQ	0x1122334455667788ULL

/* A frame that the module has given to a connection. */
struct sent {
	uint32_t length;
	uint32_t body_offset;
	uint32_t body_length;
	unsigned char bytes[LINKS_FRAME_MAX];
};

/**
 * struct end - the other end of a connection
 * @fd: the connection; NULL: closed
 * @ours: dsmd made it
 * @up: the module has been told so
 * @stage: parsed part of the handshake: hello, session, ready
 * @incarnation: in its hello
 * @peer: who it is, from its hello on
 * @session: as the module was told
 * @parsed: how much of what dsmd has read has been parsed here
 * @said: how much dsmd has written
 * @said_up: the part written since it is up
 * @pings: where to search @said for the ping to be answered next
 * @pings_stage: as @stage, there
 * @excused: it may be closed by dsmd
 * @refused: the module takes no more of its frames
 * @later: what comes next and has not been fed yet
 * @sends: the module's frames for it
 */
struct end {
	struct sys_fd *fd;
	bool ours;
	bool up;
	unsigned int stage;
	uint64_t incarnation;
	uint32_t peer;
	uint32_t session;
	size_t parsed;
	size_t said;
	bool said_up;
	size_t pings;
	unsigned int pings_stage;
	bool excused;
	bool refused;
	unsigned char later[HDR + SLOT_SIZE];
	size_t later_length;
	struct sent *sends;
	unsigned int sends_count;
	unsigned int sends_written;
	unsigned int credits;
	uint64_t last_pong;
};

/* A place in the window, and the peer whose bytes may come there. */
struct slot {
	bool expected;
	bool spent;	/* the bytes have come; the module may still refuse them */
	uint32_t req;
	uint32_t length;
};

struct world {
	struct module module;
	struct loop loop;
	unsigned int ends_count;
	struct end *up[NODES];
	bool ending;

	unsigned char *out, *in;	/* the windows, while they are open */
	struct slot slots[SLOTS];
	uint32_t lengths[REQS];		/* the place last expected for a request */
	unsigned int ended;		/* a bit per peer whose end sync() has not told */

	bool spoken;
	int refuse;
	int refuse_up;
	bool expect_again;
	unsigned int answers_count;
	unsigned int told;
	bool told_in_window;
};

extern struct world w;

/* Not cleared before each run, since it is large. */
extern struct links links;
extern struct end ends[ENDS];
extern unsigned char shadow[WINDOW_SIZE];
extern unsigned char bytes_out[WINDOW_SIZE];	/* the permanent contents of that window */

enum parsed { PARSED_NONE, PARSED_BAD, PARSED_FRAME };

#define STAGE_UP	3

enum parsed end_next(struct end *end, struct dsm_wire_hdr *hdr, const unsigned char **body);
enum parsed end_next_told(struct end *end, struct dsm_wire_hdr *hdr,
			  const unsigned char **body);
void end_said_check(struct end *end);
struct end *end_new(struct sys_fd *fd, bool ours);
void end_connecting(struct sys_fd *fd);
void end_closing(struct sys_fd *fd);
void ends_excuse(void);

extern const struct module_ops fake_ops;

int fake_window_open(void *data, uint32_t region, void **base, uint64_t *size);
void windows_check(void);
struct slot *slot_of(uint32_t req);
void slot_expect(struct slot *slot, uint32_t req, uint32_t length);
void slot_end(struct slot *slot);
void expect_say(uint32_t req, uint32_t region, uint64_t offset, uint32_t length);

#endif
