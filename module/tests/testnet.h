/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _DSM_TESTNET_H
#define _DSM_TESTNET_H

#include <kunit/test.h>
#include <linux/list.h>
#include "../engine.h"

enum testnet_want {
	WANT_NOTHING,
	WANT_READ,
	WANT_WRITE,
};

/**
 * struct testnet_node - a node with a copy of the block, and one thread
 * @line: the copy
 * @value: the bytes
 * @revoke: the access being taken away: DSM_ACT_REVOKE or _CLEAN; or 0
 * @hold: HOLD_OVER has been asked for
 * @want: what the thread waits for
 * @used: how often it got it
 */
struct testnet_node {
	struct dsm_line line;
	u64 value;
	u8 revoke;
	bool hold;
	u8 want;
	unsigned int used;
};

/**
 * struct testnet - nodes, one block, and the messages between them
 * @test: the test
 * @nodes: how many
 * @home: the block's home
 * @node: @nodes of them
 * @dir: the home's entry
 * @flight: messages under way, in the order they were sent
 * @waiting: messages the home has deferred
 * @last: the last value written, by whomever
 * @next_req: numbers requests
 * @writes_kept: the engine's count of them
 * @sent: messages sent so far
 */
struct testnet {
	struct kunit *test;
	u16 nodes;
	u16 home;
	struct testnet_node *node;
	struct dsm_dir dir;
	struct list_head flight;
	struct list_head waiting;
	u64 last;
	u32 next_req;
	u32 writes_kept;
	unsigned int sent;
};

struct testnet *testnet_create(struct kunit *test, u16 nodes, u16 home);

void testnet_want(struct testnet *net, u16 id, enum testnet_want want, bool prefetch);
void testnet_evict(struct testnet *net, u16 id);
void testnet_revoked(struct testnet *net, u16 id);
void testnet_hold_over(struct testnet *net, u16 id);
bool testnet_use(struct testnet *net, u16 id);
void testnet_deliver(struct testnet *net, u16 from, u16 to, u8 type);

void testnet_run(struct testnet *net);
void testnet_random(struct testnet *net, u32 seed, unsigned int steps, unsigned int writes);

#endif /* _DSM_TESTNET_H */
