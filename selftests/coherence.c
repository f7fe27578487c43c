// SPDX-License-Identifier: GPL-2.0
/* A node reads what another node has written, for every home policy and block size. */
#include "test.h"

enum {
	BLOCKS		= 8,
	TURNS		= 1000,
	INCREMENTS	= 10000,
	OWN_WRITES	= 2000,
	SCANS		= 3,
	SCAN_SIZE	= 512 << 10,
};

/* Long tests run in full for one kind of memory, and briefly for the others. */
static bool first_kind(int home, size_t block_size)
{
	return home == DSM_HOME_FIRST_TOUCH && block_size == 4096;
}

static uint64_t value_of(int writer, int block, int round)
{
	return random_hash(writer * 1000 + round, block);
}

/*
 * Each node in turn writes a word of every block that the others have read before. All nodes
 * then see all writes so far.
 */
static void read_sees_write(int home, size_t block_size)
{
	dsm_region *region = share_region(2 * DSM_CHUNK_SIZE, home, block_size);
	char *base = dsm_base(region);

	for (int round = 0; round < nodes(); round++) {
		if (node() == round % nodes()) {
			for (int b = 0; b < BLOCKS; b++)
				*word(base + b * block_size, round) = value_of(node(), b, round);
		}
		together("written-%d", round);
		for (int r = 0; r <= round; r++) {
			for (int b = 0; b < BLOCKS; b++)
				EXPECT_EQ(*word(base + b * block_size, r),
					  value_of(r % nodes(), b, r));
		}
	}
	/* The last page of a block works like the first. */
	for (int b = 0; b < BLOCKS; b++)
		*word(base + (b + 1) * block_size, -1 - node()) = value_of(node(), b, 99);
	together("last-pages-written");
	for (int n = 0; n < nodes(); n++) {
		for (int b = 0; b < BLOCKS; b++)
			EXPECT_EQ(*word(base + (b + 1) * block_size, -1 - n), value_of(n, b, 99));
	}
	/* Memory that nobody has written is zero, also in the other chunk. */
	for (size_t at = BLOCKS * block_size; at < dsm_size(region); at += DSM_CHUNK_SIZE / 8)
		EXPECT_EQ(*word(base + at, 0), 0);
	unshare_region(region);
}
TEST_EVERY_KIND(read_sees_write)

/*
 * The nodes take turns at writing a block. Each node also reads, at the block's other end,
 * what the previous node wrote.
 */
static void ping_pong(int home, size_t block_size)
{
	dsm_region *region = share_region(DSM_CHUNK_SIZE, home, block_size);
	bool first = first_kind(home, block_size);
	uint64_t turns = first ? TURNS : TURNS / 10;
	/* The more nodes poll for their turn, the longer it takes. */
	int players = first && nodes() > 2 ? 2 : nodes();
	_Atomic uint64_t *turn = word(dsm_base(region), 0);
	_Atomic uint64_t *end = word((char *)dsm_base(region) + block_size, -1);

	for (uint64_t mine = node(); node() < players && mine < turns; mine += players) {
		ASSERT_TRUE(WAIT_FOR(*turn == mine, 30));
		/*
		 * A node that waits does not poll all the time, since that would take the block
		 * away in between.
		 */
		if (mine % 8 < 4) {
			ASSERT_EQ(*end, !mine ? 0 : random_hash(mine - (mine % 8 ? 1 : 5), 2));
			*end = random_hash(mine, 2);
		}
		*turn = mine + 1;
	}
	together("played");
	EXPECT_EQ(*turn, turns);
	unshare_region(region);
}
TEST_EVERY_KIND(ping_pong)

/* Increments of all nodes are atomic. */
static void increments(int home, size_t block_size)
{
	dsm_region *region = share_region(DSM_CHUNK_SIZE, home, block_size);
	_Atomic uint64_t *counter = word(dsm_base(region), 5);
	int count = first_kind(home, block_size) ? INCREMENTS : INCREMENTS / 5;
	uint64_t before = 0;

	together("start");
	for (int i = 0; i < count; i++) {
		uint64_t now = atomic_fetch_add(counter, 1) + 1;

		ASSERT_GT(now, before);
		before = now;
	}
	together("counted");
	EXPECT_EQ(*counter, nodes() * count);
	unshare_region(region);
}
TEST_EVERY_KIND(increments)

/* Each node writes its own words of one block. No other node disturbs them. */
static void false_sharing(int home, size_t block_size)
{
	dsm_region *region = share_region(DSM_CHUNK_SIZE, home, block_size);
	volatile uint64_t *words = (volatile uint64_t *)dsm_base(region);
	size_t count = block_size / sizeof(*words);
	uint64_t state = seed();

	together("start");
	for (size_t i = 0; i < OWN_WRITES; i++) {
		/* One of this node's words, anywhere in the block, in random order. */
		size_t at = random_next(&state) % (count / nodes()) * nodes() + node();
		uint64_t old = words[at];

		ASSERT_EQ(old >> 32, old ? node() + 1 : 0);
		words[at] = ((uint64_t)(node() + 1) << 32) + (uint32_t)old + 1;
	}
	together("written");
	for (int n = 0; n < nodes(); n++) {
		uint64_t writes = 0;

		for (size_t at = n; at < count / nodes() * nodes(); at += nodes())
			writes += (uint32_t)words[at];
		EXPECT_EQ(writes, OWN_WRITES);
	}
	unshare_region(region);
}
TEST_EVERY_KIND(false_sharing)

/*
 * One node writes through the memory again and again, while the others read through it. No
 * reader finds a page older than the one it saw last, or a page that is half old and half new.
 * Meanwhile fault-around maps neighbours of a page, readahead fetches them, and the writer
 * takes them away.
 */
static void scans(int home, size_t block_size)
{
	dsm_region *region = share_region(DSM_CHUNK_SIZE, home, block_size);
	char *base = dsm_base(region);

	for (uint64_t scan = 1; scan <= SCANS; scan++) {
		bool writer = scan % nodes() == node();

		for (size_t at = 0; at < SCAN_SIZE; at += 4096) {
			_Atomic uint64_t *head = word(base + at, 0), *tail = word(base + at, 511);
			uint64_t seen;

			if (writer) {
				*head = scan;
				*tail = scan;
				continue;
			}
			seen = *tail;
			ASSERT_GE(seen, scan - 1);
			ASSERT_GE(*head, seen);
		}
		together("scanned-%d", (int)scan);
		for (size_t at = 0; at < SCAN_SIZE; at += 4096)
			ASSERT_EQ(*word(base + at, 511), scan);
		together("seen-%d", (int)scan);
	}
	note("%lld prefetches", region_stat("prefetches"));
	unshare_region(region);
}
TEST_EVERY_KIND(scans)
