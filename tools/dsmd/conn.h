/* SPDX-License-Identifier: GPL-2.0 */
#ifndef DSMD_CONN_H
#define DSMD_CONN_H

#include <stdbool.h>
#include <stdint.h>

#include <linux/dsm_wire.h>

#include "links.h"
#include "loop.h"
#include "output.h"

/*
 *	CONNECTING --connected--> TLS --keys--> HELLO --hello--> SESSION --ready heard--> UP
 *	    |                     ^ |            | |                |                    |
 *	    |          accepted --+ |            | |                |                    |
 *	    +-----------------------+------------+-+----------------+--------------------+--> CLOSED
 *
 * Without credentials ('insecure = yes'), there is no TLS, and HELLO comes at once. Our hello
 * is sent on entering HELLO. CONNECTING lasts lost_ms at most, and so do HELLO and SESSION
 * together; secure.c says how long TLS may last. See session.c for what is said in SESSION.
 */
enum conn_state {
	CONN_CONNECTING,
	CONN_TLS,
	CONN_HELLO,
	CONN_SESSION,
	CONN_UP,
	CONN_CLOSED,
};

/* Read at once when no body goes to a window; what exceeds it does so uncopied. */
#define CONN_IN_SIZE	16384

/* An IPv6 address, or an IPv4 one written as such. */
#define CONN_HOST_SIZE	16

/**
 * struct conn - a TCP connection
 * @source: the socket
 * @timer: handshake's end; once up, heartbeats
 * @links: where it belongs
 * @peer: who is at the other end; NULL for a stranger, and for one that we have
 *	accepted before it is up
 * @state: see above
 * @ours: we made it
 * @address: of the other end, for messages
 * @host: what is the same for all connections of a host
 * @next: among the strangers, or the dead
 * @up_ns: when it came up
 *
 * TLS:
 * @handshake: under way, or NULL
 * @proven: it has the cluster's key, or a certificate; for those that we have accepted
 * @named: the node that its certificate is for, or CERTIFICATE_NAMES_*
 * @cipher: which the kernel uses; NULL: none
 * @record_limit: so many records may be written with the key; 0: any number
 *
 * From its hello on:
 * @claims: who it says that it is
 * @incarnation: its module's
 * @number: of our question to our module
 * @answered: our module has said what it has; that is
 * @has: the session; 0: none
 * @stale: the other module has lost its memory, and ours has regions
 * @nonce: ours
 * @its: the other module's session
 * @its_nonce: 0: we have not heard yet
 * @session: what has been agreed on; 0: nothing yet
 *
 * Receiving:
 * @hdr: of the frame whose body is being received
 * @body: where the next byte of it goes
 * @body_left: bytes; 0: the next byte is a header's
 * @window: what @body points into; NULL: the scratch buffer
 * @expected: its bytes are, by what is TAKEN for this connection
 * @in: bytes read and not looked at yet, from @in_start to @in_end
 *
 * Sending:
 * @out: frames to be written
 * @credits: of the module's, written, and the module not told yet
 * @dirty: in links' list of those that have something to write
 * @blocked: the socket takes no more; EPOLLOUT will say when
 *
 * Heartbeats:
 * @heard: something was received since the last
 * @silent_ms: how long nothing has been
 * @ping_ns: when the last ping was sent, or 0
 * @rtt_ns: smoothed
 * @rtt_told_ns: when the module was last told
 */
struct conn {
	struct loop_source source;
	struct loop_timer timer;
	struct links *links;
	struct peer *peer;
	enum conn_state state;
	bool ours;
	char address[64];
	unsigned char host[CONN_HOST_SIZE];
	struct conn *next;
	uint64_t up_ns;

	struct handshake *handshake;
	bool proven;
	int named;
	const char *cipher;
	uint64_t record_limit;
	struct peer *claims;
	uint64_t incarnation;
	uint32_t number;
	bool answered;
	bool stale;
	uint64_t has;
	uint64_t nonce;
	uint64_t its;
	uint64_t its_nonce;
	uint64_t session;

	struct dsm_wire_hdr hdr;
	unsigned char *body;
	uint32_t body_left;
	struct window *window;
	bool expected;
	unsigned int in_start;
	unsigned int in_end;

	struct output out;
	unsigned int credits;
	bool dirty;
	bool blocked;
	struct conn *dirty_next;

	bool heard;
	unsigned int silent_ms;
	uint64_t ping_ns;
	uint64_t rtt_ns;
	uint64_t rtt_told_ns;

	unsigned char in[CONN_IN_SIZE];
};

struct conn *conn_connect(struct links *links, struct peer *peer);
void conn_accept(struct links *links, int fd, const char *address, const unsigned char *host);
void conn_greet(struct conn *conn);
void conn_close(struct conn *conn);
void conn_fail(struct conn *conn, int priority, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
void conn_refuse(struct conn *conn, const char *theirs, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
void conn_reap(struct links *links);

void conn_up(struct conn *conn, struct peer *peer);
void conn_send(struct conn *conn, const void *frame, uint32_t length,
	       struct window *window, unsigned char *body, uint32_t body_length);
void conn_send_own(struct conn *conn, enum dsm_wire_type type, uint64_t seq);
bool conn_say(struct conn *conn, enum dsm_wire_type type, const void *body, uint32_t length);
void conn_write(struct conn *conn);
void conn_beat(struct conn *conn);
void conn_ponged(struct conn *conn, uint64_t seq);
void conn_divert(struct conn *conn);

#endif
