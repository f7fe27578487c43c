/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _DSM_PEER_H
#define _DSM_PEER_H

#include <linux/kobject.h>
#include <linux/ktime.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/spinlock.h>
#include <linux/types.h>
#include <linux/workqueue.h>
#include <net/netlink.h>
#include "batch.h"
#include "park.h"

struct dsm_msg;
struct dsm_node;

enum dsm_peer_link {
	DSM_LINK_DOWN,
	DSM_LINK_UP,
	DSM_LINK_STALE,		/* has come back without its memory */
};

enum dsm_peer_limits {
	DSM_PEER_CREDITS	= 64,	/* SENDs its helper may be busy with */
	DSM_PEER_ACK_EVERY	= 256,	/* messages, when nothing carries the ack */
	DSM_PEER_ACK_MS		= 100,	/* ... or that long after one */
	DSM_PEER_RETRY_MS	= 20,	/* after a failure for want of memory or room */
	DSM_PEER_RESEND_MIN_MS	= 1,	/* from what cannot be taken to the first RESEND, */
	DSM_PEER_RESEND_MAX_MS	= 1000,	/* and then twice as long each time, up to this */
	DSM_PEER_AGAIN_MS	= 5,	/* from one RESEND that is obeyed to the next */
};

/**
 * struct dsm_peer - another node, and the messages to and from it
 *
 * Lock order: @rx_lock is the outermost of all that a received message takes; @lock and
 * the node's park_lock are innermost. See README.md.
 *
 * @node: us
 * @id: it
 * @lock: protects what follows, up to @rx_lock
 * @link: enum dsm_peer_link
 * @incarnation: its module's, once it was up
 * @session: that of the numbers below; 0 before it was up
 * @queue: messages that it has not acknowledged, in order of their numbers
 * @unsent: the first in @queue the helper has not got, or &@queue
 * @tx_seq: the last number given
 * @sent_seq: the last number the helper got on this connection
 * @again: when we obeyed a RESEND last, or 0
 * @credits: SENDs the helper will take
 * @n_queue: messages in @queue
 * @rx_lock: serialises its messages
 * @rx_seq: the last number received in order
 * @acked: the last @rx_seq told to it
 * @confirmed: something of this session has come (protected by @rx_lock)
 * @rx_batch: the batch of its messages (protected by @rx_lock)
 * @gap: a message could not be taken; later ones are dropped until it has come again
 *	(protected by @rx_lock)
 * @resend_ms: how long until we ask for it once more (protected by @rx_lock)
 * @resend_work: asks
 * @park: messages that wait for their region's announcement (protected by @rx_lock)
 * @work: acknowledges, and flushes again after a failure
 * @rtt_ns: as measured by the helper
 * @tx_frames: frames given to the helper; these and the next five are counters in sysfs
 * @rx_frames: frames taken
 * @resent: messages sent again
 * @duplicates: messages that had come before
 * @rejected: frames refused
 * @asked_again: how often a message was asked for again
 * @kobj: in sysfs, or NULL
 */
struct dsm_peer {
	struct dsm_node *node;
	u16 id;

	spinlock_t lock;
	u8 link;
	u64 incarnation;
	u64 session;
	struct list_head queue;
	struct list_head *unsent;
	u64 tx_seq;
	u64 sent_seq;
	ktime_t again;
	u32 credits;
	u32 n_queue;

	struct mutex rx_lock;
	u64 rx_seq;
	u64 acked;
	bool confirmed;
	struct dsm_batch rx_batch;
	bool gap;
	u32 resend_ms;
	struct delayed_work resend_work;
	struct dsm_park park;
	struct delayed_work work;

	u64 rtt_ns;
	atomic64_t tx_frames;
	atomic64_t rx_frames;
	atomic64_t resent;
	atomic64_t duplicates;
	atomic64_t rejected;
	atomic64_t asked_again;
	struct kobject *kobj;
};

struct dsm_peer *dsm_peer_create(struct dsm_node *node, u16 id);
void dsm_peer_stop(struct dsm_peer *peer);
void dsm_peer_destroy(struct dsm_peer *peer);

void dsm_peer_queue(struct dsm_peer *peer, struct dsm_msg *msg);
void dsm_peer_post(struct dsm_peer *peer, struct dsm_msg *msg);
void dsm_peer_expect_over(struct dsm_peer *peer, u32 req);
void dsm_peers_forget(struct dsm_node *node, u32 region);
bool dsm_peer_unhear(struct dsm_peer *peer, u32 region);
bool dsm_peers_sending(struct dsm_node *node, u32 region, u64 block);
void dsm_peer_flush(struct dsm_peer *peer);
void dsm_peers_flush(struct dsm_node *node);
int dsm_peer_receive(struct dsm_peer *peer, const void *frame, size_t len, bool in_window);
void dsm_peer_credit(struct dsm_peer *peer, u32 credits);
int dsm_peer_session(struct dsm_peer *peer, u64 incarnation, u64 *session);
int dsm_peer_up(struct dsm_peer *peer, u64 incarnation, u64 session);
void dsm_peer_down(struct dsm_peer *peer);
void dsm_peers_down(struct dsm_node *node);
unsigned int dsm_peers_up(const struct dsm_node *node);

void dsm_post(struct dsm_node *node, u16 to, struct dsm_msg *msg, struct dsm_batch *batch);
void dsm_batch_end(struct dsm_batch *batch, struct dsm_node *node);

#endif /* _DSM_PEER_H */
