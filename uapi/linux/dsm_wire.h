/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * What nodes say to each other.
 *
 * A connection carries frames: a fixed header, a body whose length the
 * header gives, nothing else. All integers are little-endian. A frame of a
 * type below DSM_WIRE_HELPER is made and read by the modules; the helpers
 * carry it unread, but for @len, and for where a page's bytes go. A frame of
 * a type from there on is between helpers.
 *
 * The first frame each way is HELLO. A helper that cannot speak one of the
 * versions the other offers says so in its log and closes the connection.
 *
 * Then the helpers agree on a session:
 *
 *	HELLO ------>  <------ HELLO	who I am
 *	SESSION ---->  <---- SESSION	which session my module has with yours; a nonce
 *	READY ------>  <------ READY	which session it will be
 *
 * If both modules have the same session, it goes on. If not, a new one begins, whose
 * number follows from both nonces. The connection is up for a helper when it has
 * heard READY with the number that it has said itself, and its module is told that
 * number. The modules' frames are numbered within a session: both begin anew or
 * neither does, and who does not get as far as READY has changed nothing. A helper
 * may say REFUSE in place of the next frame, and closes the connection.
 *
 * Frames of the modules are numbered (@seq, from 1, in each direction) and
 * acknowledged (@ack, the last one received in order). A module keeps what
 * has not been acknowledged and sends it again on a new connection; what
 * comes twice is dropped. ACK itself has no number (@seq is 0).
 *
 * A module that cannot take a message now, because it has no memory for it,
 * drops it and all that follows it, and asks for them with an ACK that has
 * DSM_WIRE_RESEND. The connection stays.
 *
 * One frame may stand for a run of messages about consecutive blocks, which are
 * alike but for @seq, @req and @block: these are the first one's, and one more
 * for each of @more others. Their bodies follow each other. What is sent again is
 * sent one by one.
 */
#ifndef _UAPI_LINUX_DSM_WIRE_H
#define _UAPI_LINUX_DSM_WIRE_H

#include <linux/types.h>
#include <linux/dsm.h>

#define DSM_WIRE_MAGIC		0x314d5344U	/* "DSM1" */
#define DSM_WIRE_VERSION	4		/* the newest we speak */
#define DSM_WIRE_VERSION_MIN	4		/* the oldest */

/* The longest body of any frame: the bytes of one block, or of several small ones. */
#define DSM_WIRE_BODY_MAX	(4 * DSM_BLOCK_SIZE_MAX)

/* How many messages a frame stands for, at most. */
#define DSM_WIRE_RUN_MAX	64

enum dsm_wire_type {
	/* coherence: a block's transactions */
	DSM_GET_S = 1,		/* requester to home: let me read */
	DSM_GET_M,		/* requester to home: let me write */
	DSM_PUT_S,		/* sharer to home: I have dropped my copy */
	DSM_PUT_M,		/* owner to home: take the block from me */
	DSM_FWD_GET_S,		/* home to owner: send it to @node, keep a readable copy */
	DSM_FWD_GET_M,		/* home to owner: send it to @node, keep nothing */
	DSM_INV,		/* home to sharer: drop it, tell @node */
	DSM_INV_ACK,		/* sharer to requester: dropped */
	DSM_DATA,		/* owner to requester: the bytes; body: one block */
	DSM_GRANT,		/* home to requester: yours, no bytes needed */
	DSM_DONE,		/* requester to home: transaction over; not if the home was alone in it */
	DSM_DISCARD,		/* to home: the block is to be zeroes, and nobody's */
	DSM_DISCARDED,		/* home's answer: it is */
	DSM_LOST,		/* owner to requester: in place of DATA; the bytes cannot be read */

	/* homes of chunks */
	DSM_CLAIM = 32,		/* to the chunk's steward: whose is it? mine, if nobody's */
	DSM_HOME,		/* the answer: @node */

	/* regions; body: struct dsm_wire_region unless said */
	DSM_REGION_CREATE = 48,	/* to the registry */
	DSM_REGION_UNLINK,	/* to the registry */
	DSM_REGION_NEW,		/* registry to all */
	DSM_REGION_GONE,	/* registry to all: the name is gone; no body */
	DSM_REGION_FREE,	/* registry to all: nobody uses it; no body */
	DSM_REGION_NEW_ACK,	/* to the registry: NEW seen; no body */
	DSM_REGION_IDLE,	/* to the registry: nobody here uses it; @req: of how many USEs; no body */
	DSM_REGION_REPLY,	/* registry to who asked: @error; no body */
	DSM_REGION_ASK,		/* to the registry: is there a region of this id? no body */
	DSM_REGION_TOLD,	/* its answer: if there is, NEW came before this; no body */

	DSM_REGION_USE = 58,	/* to the registry: it is about to be used here; no body */
	DSM_REGION_GONE_ACK,	/* to the registry: GONE seen; no body */

	/* synchronisation objects */
	DSM_SYNC_REQUEST = 64,	/* to the object's home; body: struct dsm_wire_sync */
	DSM_SYNC_REPLY,		/* from it; body: struct dsm_wire_sync */

	DSM_NOP = 126,		/* nothing: in place of what is of no use any more */
	DSM_ACK = 127,		/* nothing but @ack */

	DSM_WIRE_HELPER = 128,	/* helpers only, from here on */
	DSM_HELLO = 128,	/* body: struct dsm_wire_hello */
	DSM_PING,		/* no body; @seq is echoed */
	DSM_PONG,
	DSM_SESSION,		/* body: struct dsm_wire_session */
	DSM_READY,		/* body: struct dsm_wire_ready */
	DSM_REFUSE,		/* body: why, DSM_WIRE_REFUSE_MAX characters at most */
};

/* enum dsm_wire_type's @flags */
#define DSM_WIRE_ZERO		(1U << 0)	/* GRANT: the block is all zeroes; INV: it is to be */
/* GRANT, DATA, LOST: for writing; FWD_GET_S: it may be given so; DONE: a read was */
#define DSM_WIRE_MODIFIED	(1U << 1)
#define DSM_WIRE_ASK		(1U << 2)	/* CLAIM: not mine, tell me; HOME: what was asked */
#define DSM_WIRE_RESEND		(1U << 3)	/* ACK: send again what comes after @ack */

/* CREATE: the caller has no limits; UNLINK: may unlink what is not the caller's own */
#define DSM_WIRE_PRIVILEGED	(1U << 4)

#define DSM_WIRE_NOBODY		0xffffU		/* HOME, ASK: nobody has had to do with it */

/**
 * struct dsm_wire_hdr - the header of every frame
 * @magic: DSM_WIRE_MAGIC
 * @len: bytes of body that follow the header, DSM_WIRE_BODY_MAX at most
 * @type: enum dsm_wire_type
 * @flags: DSM_WIRE_*
 * @src: the node it comes from
 * @view: the membership it was sent in; others are dropped
 * @seq: its number on this link, or 0
 * @ack: the last number received in order from the other side
 * @region: which region, or 0
 * @req: the requester's number for its transaction
 * @block: which block of the region; CLAIM, HOME: which chunk
 * @node: FWD_*, INV: the requester; HOME: the home
 * @acks: DATA, LOST, GRANT, FWD_GET_M: how many INV_ACKs the requester will get
 * @error: REGION_REPLY: 0 or a positive Linux errno
 * @more: coherence: how many messages of the run follow; or 0
 */
struct dsm_wire_hdr {
	__le32 magic;
	__le32 len;
	__u8   type;
	__u8   flags;
	__le16 src;
	__le32 view;
	__le64 seq;
	__le64 ack;
	__le32 region;
	__le32 req;
	__le64 block;
	__le16 node;
	__le16 acks;
	__le32 error;
	__le16 more;
	__le16 reserved16;
	__le32 reserved;
};

/**
 * struct dsm_wire_region - a region's description
 * Fields as in struct dsm_region_arg. @id is in the header. UNLINK has the name, and
 * in @uid the caller's.
 */
struct dsm_wire_region {
	__u8   name[DSM_NAME_MAX];
	__le64 size;
	__le64 base;
	__le32 block_size;
	__le32 home;
	__le32 mode;
	__le32 uid;
	__le32 gid;
	__le32 creator;
	__le64 reserved;
};

/* What nodes, not programs, ask of a synchronisation object. */
enum dsm_wire_sync_op {
	DSM_SYNC_CANCEL		= 0x80,	/* the request of this @req is to wait no longer */
	DSM_SYNC_RELEASE	= 0x81,	/* mutex: its node gives it back; no reply */
	DSM_SYNC_REWAKE		= 0x82,	/* condition: who was woken is gone; no reply */
	DSM_SYNC_RECALL		= 0x83,	/* mutex: home to its node: give it back */
	DSM_SYNC_BUSY		= 0x84,	/* mutex: not now, a thread has it; no reply */
};

#define DSM_SYNC_WANTED		4U	/* of a mutex: others wait for it, or soon will */
#define DSM_SYNC_UNUSED		8U	/* RELEASE: no thread had it */
#define DSM_SYNC_IF_FREE	1U	/* RECALL: if no thread has it; else BUSY */

/**
 * struct dsm_wire_sync - an operation on a synchronisation object
 * @op: enum dsm_sync_op or enum dsm_wire_sync_op; REPLY: that of the request,
 *	or CANCEL if it was taken back; to WAIT, WAIT when it is queued and
 *	WAKE when it is woken; RECALL, of itself
 * @value: as in struct dsm_sync_arg; RELEASE: DSM_SYNC_OWNERDEAD and
 *	DSM_SYNC_UNUSED; RECALL: 0 or DSM_SYNC_IF_FREE; REPLY: the result,
 *	to LOCK and TRYLOCK perhaps with DSM_SYNC_WANTED
 * @offset: the object
 * @error: REPLY: 0 or a positive Linux errno
 */
struct dsm_wire_sync {
	__le32 op;
	__le32 value;
	__le64 offset;
	__le32 error;
	__le32 reserved;
};

/**
 * struct dsm_wire_hello - the first frame each way
 * @version_min: the oldest version the sender speaks
 * @version: the newest
 * @node: who it is
 * @nodes: how many nodes it has been told there are
 * @page_size: bytes
 * @incarnation: random, made when the node's module started: another one
 *	means that its memory is gone
 */
struct dsm_wire_hello {
	__le16 version_min;
	__le16 version;
	__le32 node;
	__le32 nodes;
	__le32 page_size;
	__le64 incarnation;
	__le64 reserved;
};

/**
 * struct dsm_wire_session - which session a module has with the other one
 * @session: its number; 0: none
 * @nonce: random, not 0
 */
struct dsm_wire_session {
	__le64 session;
	__le64 nonce;
};

/**
 * struct dsm_wire_ready - the session that it will be
 * @session: its number, not 0
 * @error: 0; or a positive Linux errno, the sender's module cannot begin it: ESTALE,
 *	the receiver has lost its memory, and the sender has regions
 * @reserved: 0
 */
struct dsm_wire_ready {
	__le64 session;
	__le32 error;
	__le32 reserved;
};

#define DSM_WIRE_REFUSE_MAX	160	/* bytes */

#ifdef __KERNEL__
#include <linux/build_bug.h>
#else
#include <assert.h>
#endif
static_assert(sizeof(struct dsm_wire_hdr) == 64, "wire header");
static_assert(sizeof(struct dsm_wire_region) == 112, "wire region");
static_assert(sizeof(struct dsm_wire_sync) == 24, "wire sync");
static_assert(sizeof(struct dsm_wire_hello) == 32, "wire hello");
static_assert(sizeof(struct dsm_wire_session) == 16, "wire session");
static_assert(sizeof(struct dsm_wire_ready) == 16, "wire ready");

#endif /* _UAPI_LINUX_DSM_WIRE_H */
