// SPDX-License-Identifier: GPL-2.0
/* Discarded memory reads as zeroes and has no frames, on every node. */
#include <pthread.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <linux/dsm.h>

#include "test.h"

enum {
	SIZE		= 2 * DSM_CHUNK_SIZE,
	RACE_BLOCKS	= 8,
	RACE_SECONDS	= 10,
};

static int discard(int fd, uint64_t offset, uint64_t length)
{
	struct dsm_range_arg range = { .offset = offset, .length = length };

	return ioctl(fd, DSM_IOC_DISCARD, &range);
}

/* The memory that the copies of this node occupy. */
static long long frames(void)
{
	char file[128];

	snprintf(file, sizeof(file), "regions/%s/frames", region_name());
	return node_get(file);
}

static bool zeroes(const char *base, size_t from, size_t to)
{
	for (size_t at = from; at < to; at += 512)
		if (*word(base + at, 0))
			return false;
	return true;
}

/*
 * Every node has had every page. The last node has written the first node's pages, and the
 * others have stale or readable copies. One node discards. Then no other node has a frame, and
 * all read zeroes.
 */
static void frames_go_everywhere(int home, size_t block_size)
{
	dsm_region *region = share_region(SIZE, home, block_size);
	char *base = dsm_base(region);
	int fd = open_bound(0);

	for (int n = 0; n < nodes(); n++) {
		if (node() == n)
			for (size_t at = 0; at < SIZE; at += block_size)
				*word(base + at, n) = at + n + 1;
		together("written-%d", n);
	}
	/* All nodes have the odd blocks. The last writer has the even ones. */
	for (size_t at = block_size; at < SIZE; at += 2 * block_size)
		ASSERT_EQ(*word(base + at, 0), at + 1);
	together("read");
	/* Frames of copies that other nodes have taken may be free already. */
	EXPECT_GE(frames(), node() == nodes() - 1 ? SIZE / block_size * 4096 : 4096);
	together("counted");
	if (!node())
		EXPECT_OK(discard(fd, 0, SIZE));
	together("discarded");
	if (!WAIT_FOR(!frames(), 20))
		EXPECT_EQ(frames(), 0);
	together("looked");
	EXPECT_TRUE(zeroes(base, 0, SIZE));
	together("zeroes");
	/* The memory can be used as before. */
	*word(base + (node() + 1) * block_size, 1) = node() + 1;
	together("again");
	for (int n = 0; n < nodes(); n++)
		EXPECT_EQ(*word(base + (n + 1) * block_size, 1), n + 1);
	note("%lld discarded, %lld freed", region_stat("discards"), region_stat("frames_freed"));
	close(fd);
	unshare_region(region);
}
TEST_EVERY_KIND(frames_go_everywhere)

/* Memory beside the range keeps its contents, also on other nodes. */
TEST(range_is_exact)
{
	dsm_region *region = share_region(SIZE, DSM_HOME_DEFAULT, 0);
	char *base = dsm_base(region);
	long page = 4096;
	int fd = open_bound(0);

	if (!node())
		for (size_t at = 0; at < SIZE; at += page)
			*word(base + at, 2) = at + 1;
	together("written");
	if (node() == nodes() - 1) {
		/* A range across the border of two chunks. */
		EXPECT_OK(discard(fd, DSM_CHUNK_SIZE - 3 * page, 5 * page));
		EXPECT_OK(discard(fd, 0, 0));
		EXPECT_OK(discard(fd, SIZE, 0));
	}
	together("discarded");
	for (size_t at = 0; at < SIZE; at += page) {
		bool gone = at >= DSM_CHUNK_SIZE - 3 * page && at < DSM_CHUNK_SIZE + 2 * page;

		EXPECT_EQ(*word(base + at, 2), gone ? 0 : at + 1);
	}
	close(fd);
	unshare_region(region);
}

TEST(arguments)
{
	dsm_region *region = share_region(SIZE, DSM_HOME_DEFAULT, 65536);
	static const struct dsm_range_arg bad[] = {
		{ .offset = 4096, .length = 65536 },
		{ .offset = 1, .length = 65536 },
		{ .length = 4096 },
		{ .length = SIZE + 65536 },
		{ .offset = SIZE, .length = 65536 },
		{ .offset = ~65535ULL, .length = 131072 },
		{ .length = 65536, .flags = 1 },
		{ .length = 65536, .reserved = 1 },
	};
	char *base = dsm_base(region);
	int fd = open_bound(0), rdonly = open_bound(DSM_OPEN_RDONLY), unbound = open_device();
	struct dsm_range_arg arg;

	if (!node())
		*word(base, 0) = 7;
	together("written");
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		arg = bad[i];
		EXPECT_ERRNO(ioctl(fd, DSM_IOC_DISCARD, &arg), EINVAL);
	}
	EXPECT_ERRNO(discard(rdonly, 0, 65536), EACCES);
	EXPECT_ERRNO(discard(unbound, 0, 65536), EINVAL);
	EXPECT_EQ(*word(base, 0), 7);
	close(fd);
	close(rdonly);
	close(unbound);
	unshare_region(region);
}

/* Discarding untouched memory allocates nothing, however large the region is. */
TEST(untouched_costs_nothing)
{
	dsm_region *region = share_region(1ULL << 30, DSM_HOME_DEFAULT, 0);
	int fd = open_bound(0);

	if (node() == 1 % nodes())
		*word((char *)dsm_base(region) + (77 << 21), 0) = 1;
	together("written");
	if (!node()) {
		long long before = frames_exchanged();

		EXPECT_OK(discard(fd, 0, 1ULL << 30));
		/* One question for each chunk but the one that was touched. */
		note("%lld messages", frames_exchanged() - before);
		EXPECT_LE(region_stat("discards"), 512);
		EXPECT_EQ(frames(), 0);
	}
	together("discarded");
	EXPECT_EQ(*word((char *)dsm_base(region) + (77 << 21), 0), 0);
	close(fd);
	unshare_region(region);
}

/* madvise() and fallocate() discard, too. */
TEST(madv_remove)
{
	dsm_region *region = share_region(SIZE, DSM_HOME_DEFAULT, 0);
	char *base = dsm_base(region);

	for (int n = 0; n < nodes(); n++) {
		if (node() == n)
			for (size_t at = 0; at < SIZE; at += 4096)
				*word(base + at, n) = 5;
		together("written-%d", n);
	}
	if (!node()) {
		EXPECT_OK(madvise(base, SIZE / 2, MADV_REMOVE));
		EXPECT_TRUE(zeroes(base, 0, SIZE / 2));
		EXPECT_EQ(*word(base + SIZE / 2, 0), 5);
	}
	together("removed");
	EXPECT_TRUE(zeroes(base, 0, SIZE / 2));
	together("seen");
	if (node() == nodes() - 1)
		EXPECT_OK(madvise(base, SIZE, MADV_REMOVE));
	together("all-removed");
	if (!WAIT_FOR(!frames(), 20))
		EXPECT_EQ(frames(), 0);
	unshare_region(region);
}

/* A copy that another node has taken, and that was not fetched again, does not keep its frames. */
TEST(stale_frames_go)
{
	dsm_region *region = share_region(SIZE, DSM_HOME_DEFAULT, 0);
	char *base = dsm_base(region);

	for (int n = 0; n < nodes(); n++) {
		if (node() == n)
			for (size_t at = 0; at < SIZE; at += 4096)
				*word(base + at, n) = n + 1;
		together("written-%d", n);
	}
	if (node() == nodes() - 1)
		EXPECT_GE(frames(), SIZE);
	else if (!WAIT_FOR(!frames(), 20))
		EXPECT_EQ(frames(), 0);
	together("waited");
	for (size_t at = 0; at < SIZE; at += 4096)
		for (int n = 0; n < nodes(); n++)
			EXPECT_EQ(*word(base + at, n), n + 1);
	unshare_region(region);
}

/* The frames are not freed before the other node has received the bytes. */
TEST(stale_frames_wait_for_the_bytes)
{
	dsm_region *region = share_region(DSM_CHUNK_SIZE, DSM_HOME_CREATOR, 0);
	char *base = dsm_base(region);

	if (!node())
		for (size_t at = 0; at < 16 * 4096; at += 4096)
			*word(base + at, 0) = at + 1;
	together("written");
	if (node() == 1) {
		struct dsm_range_arg range = { .length = 16 * 4096, .flags = DSM_PREFETCH_WRITE };
		int fd = open_bound(0);

		/* The block is requested, and its answer is delayed. */
		ASSERT_OK(ioctl(fd, DSM_IOC_PREFETCH, &range));
		ASSERT_EQ(run("dsm-node-link", "down", NULL), 0);
		/* The delay exceeds the time after which stale frames may be freed. */
		sleep(4);
		ASSERT_EQ(run("dsm-node-link", "up", NULL), 0);
		for (size_t at = 0; at < 16 * 4096; at += 4096)
			EXPECT_EQ(*word(base + at, 0), at + 1);
		close(fd);
	}
	together("read");
	unshare_region(region);
}

/*
 * Blocks are discarded while all nodes read and write them. Each block has one writer. It
 * writes increasing numbers to two words of the block, one after the other, and finds there
 * what it wrote, or zero. A reader never finds the second word newer than the first. Finally
 * each node discards only its own blocks, and nothing that it writes afterwards is lost.
 */
struct racer {
	char *base;
	int fd;
	atomic_bool stop;
	unsigned long discarded;
};

static void *discarder(void *arg)
{
	struct racer *racer = arg;
	uint64_t state = seed();

	while (!atomic_load(&racer->stop)) {
		uint64_t block = random_next(&state) % RACE_BLOCKS;

		if (discard(racer->fd, block << 12, 4096))
			test_failed(__FILE__, __LINE__, true, "discard: %s", strerror(errno));
		racer->discarded++;
	}
	return NULL;
}

/* $DISCARD_ROUNDS: how often a node discards what the others read; by default 10 times. */
static int rounds(void)
{
	const char *text = getenv("DISCARD_ROUNDS");
	int n = text ? atoi(text) : 10;

	ASSERT_GT(n, 0);
	return n;
}

TEST(race_with_readers_and_writers)
{
	const int last_round = rounds();
	dsm_region *region = share_region(DSM_CHUNK_SIZE, DSM_HOME_DEFAULT, 0);
	struct racer racer = { .base = dsm_base(region), .fd = open_bound(0) };
	unsigned long writes = 0, lost = 0, reads = 0;
	uint64_t last[RACE_BLOCKS] = {}, state = seed() + 1;
	double end;
	pthread_t thread;

	ASSERT_EQ(pthread_create(&thread, NULL, discarder, &racer), 0);
	end = seconds() + RACE_SECONDS;
	while (seconds() < end) {
		int b = random_next(&state) % RACE_BLOCKS;
		_Atomic uint64_t *words = word(racer.base + (b << 12), 0);

		if (b % nodes() == node()) {
			/* Word 8 is written after word 0. A discard clears both at once. */
			uint64_t first = words[0], second = words[8];

			if (first != last[b] && first)
				test_failed(__FILE__, __LINE__, true, "block %d: %llu, not %llu", b,
					    (unsigned long long)first, (unsigned long long)last[b]);
			if (second > last[b])
				test_failed(__FILE__, __LINE__, true, "block %d: %llu is of no write",
					    b, (unsigned long long)second);
			lost += first != last[b];
			last[b] += nodes() + 1;
			words[0] = last[b];
			words[8] = last[b];
			writes++;
		} else {
			/* Read in the reverse order: what was in word 8 was in word 0 before. */
			uint64_t second = words[8], first = words[0];

			if (second > first && first)
				test_failed(__FILE__, __LINE__, true, "block %d: %llu behind %llu", b,
					    (unsigned long long)second, (unsigned long long)first);
			reads++;
		}
	}
	atomic_store(&racer.stop, true);
	pthread_join(thread, NULL);
	together("raced");
	note("%lu writes (%lu found zeroes), %lu reads, %lu discards", writes, lost, reads,
	     racer.discarded);
	EXPECT_GT(racer.discarded, 0);
	together("counted");
	/* Now each node discards its own blocks, and keeps what it writes afterwards. */
	for (int round = 0; round < last_round; round++) {
		for (int b = node(); b < RACE_BLOCKS; b += nodes()) {
			_Atomic uint64_t *words = word(racer.base + (b << 12), 0);

			ASSERT_OK(discard(racer.fd, (uint64_t)b << 12, 4096));
			ASSERT_EQ(words[16], 0);
			words[16] = round + 1;
			words[24] = round + 1;
			ASSERT_EQ(words[16], round + 1);
		}
		/* Meanwhile the others read, and so take the block away. */
		for (int b = 0; b < RACE_BLOCKS; b++) {
			uint64_t late = *word(racer.base + (b << 12), 24);

			ASSERT_LE(late, last_round);
		}
		together("round-%d", round);
		for (int b = 0; b < RACE_BLOCKS; b++)
			ASSERT_EQ(*word(racer.base + (b << 12), 24), round + 1);
		together("round-%d-seen", round);
	}
	close(racer.fd);
	unshare_region(region);
}

/* A discard waits for an unreachable node, but not for ever. */
TEST(timeout_and_later)
{
	dsm_region *region = share_region(DSM_CHUNK_SIZE, DSM_HOME_DEFAULT, 0);
	char *base = dsm_base(region);
	int fd = open_bound(0), last = nodes() - 1;
	long long timeout = node_get("timeout_ms");

	if (node() == last)
		for (size_t at = 0; at < DSM_CHUNK_SIZE; at += 4096)
			*word(base + at, 0) = 9;
	together("written");
	/*
	 * Home and owner are unreachable: the call ends, and the discard completes when they are
	 * back.
	 */
	if (!node()) {
		ASSERT_EQ(*word(base, 0), 9);
		ASSERT_EQ(run("dsm-node-link", "down", NULL), 0);
		ASSERT_EQ(node_set("timeout_ms", 500), 0);
		EXPECT_ERRNO(discard(fd, 0, 65536), ETIMEDOUT);
		ASSERT_EQ(run("dsm-node-link", "up", NULL), 0);
		ASSERT_EQ(node_set("timeout_ms", timeout), 0);
		EXPECT_OK(discard(fd, 0, 65536));
		EXPECT_TRUE(zeroes(base, 0, 65536));
		EXPECT_EQ(*word(base + 65536, 0), 9);
	}
	together("discarded");
	EXPECT_TRUE(zeroes(base, 0, 65536));
	close(fd);
	unshare_region(region);
}
