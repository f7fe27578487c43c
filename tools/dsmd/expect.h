/* SPDX-License-Identifier: GPL-2.0 */
#ifndef DSMD_EXPECT_H
#define DSMD_EXPECT_H

#include <stdbool.h>
#include <stdint.h>

struct conn;

/*
 * WAITING -> TAKEN when a connection has read the header of its data frame,
 * and back when that connection ends before the body has; TAKEN -> SPENT when
 * the body is whole; SPENT -> WAITING if the module did not take the frame,
 * since the peer will send it again; SPENT -> gone otherwise.
 */
enum expect_state {
	EXPECT_WAITING,
	EXPECT_TAKEN,
	EXPECT_SPENT,
};

/**
 * struct expect - where the bytes for a request are to go
 * @next: in its bucket, or in the list of free ones
 * @req: the request
 * @region: whose window
 * @offset: in the window, bytes
 * @length: bytes
 * @state: see above
 * @taker: while TAKEN, the connection that is receiving them. Only one may:
 *	another would still be writing after the module was told of the first.
 */
struct expect {
	struct expect *next;
	uint32_t req;
	uint32_t region;
	uint64_t offset;
	uint32_t length;
	enum expect_state state;
	struct conn *taker;
};

#define EXPECT_BUCKETS	1024	/* a power of two */
#define EXPECT_SPENT_MAX 256	/* data frames between two answers of the module */

struct expect_table {
	struct expect *buckets[EXPECT_BUCKETS];
	struct expect *free;
	struct expect_pool *pools;
	uint32_t spent[EXPECT_SPENT_MAX];
	unsigned int spent_count;
	unsigned int count;
};

void expect_table_init(struct expect_table *table);
void expect_table_exit(struct expect_table *table);

struct expect *expect_find(struct expect_table *table, uint32_t req);
struct expect *expect_find_region(struct expect_table *table, uint32_t region);
struct expect *expect_insert(struct expect_table *table, uint32_t req);
void expect_remove(struct expect_table *table, struct expect *expect);

bool expect_take(struct expect_table *table, uint32_t req, uint32_t count, uint32_t region,
		 uint32_t length, struct conn *taker, uint64_t *offset);
void expect_give_up(struct expect_table *table, uint32_t req, uint32_t count, struct conn *taker);
bool expect_spend(struct expect_table *table, uint32_t req, uint32_t count);
void expect_restore(struct expect_table *table, uint32_t req);
void expect_settle(struct expect_table *table);

#endif
