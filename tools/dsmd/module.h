/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The module as the links see it. kernel.c is the one that talks to dsm.ko;
 * a test brings its own.
 *
 * Operations do not fail: they are put in a batch, and what the module has
 * to say against one of them comes back as links_refused(), at the latest
 * when sync() returns.
 */
#ifndef DSMD_MODULE_H
#define DSMD_MODULE_H

#include <stdbool.h>
#include <stdint.h>

struct module;

/**
 * struct module_ops - what can be said to the module
 * @receive: this frame came from the peer; @in_window: its body is where it
 *	was expected. The frame's bytes are the caller's again on return.
 * @credit: so many sends to the peer are over
 * @session: which session have we with the peer, if this is its module's incarnation?
 *	Answered by session_answered(), with the same number
 * @peer_up: the peer is up, in the session agreed on; answered by
 *	links_peer_answered()
 * @peer_down: it is down
 * @peer_rtt: its round-trip time
 * @sync: deliver all this, and take in what the module says to it. True if
 *	there was anything to deliver.
 *
 * @session, but for the operation of that name, tells one connection to a peer from
 * the next; it comes back in links_refused().
 */
struct module_ops {
	void (*receive)(struct module *module, uint32_t peer, uint32_t session,
			const void *frame, uint32_t length, bool in_window);
	void (*credit)(struct module *module, uint32_t peer, uint32_t session,
		       uint32_t credits);
	void (*session)(struct module *module, uint32_t peer, uint32_t number,
			uint64_t incarnation);
	void (*peer_up)(struct module *module, uint32_t peer, uint32_t session,
			uint64_t incarnation, uint64_t agreed);
	void (*peer_down)(struct module *module, uint32_t peer, uint32_t session);
	void (*peer_rtt)(struct module *module, uint32_t peer, uint32_t session,
			 uint64_t rtt_ns);
	bool (*sync)(struct module *module);
};

struct module {
	const struct module_ops *ops;
};

#endif
