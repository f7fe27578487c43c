// SPDX-License-Identifier: GPL-2.0
/* The latency of a fault that another node has to answer, against raw TCP. */
#include <stdlib.h>
#include <sys/mman.h>

#include "bench.h"

enum {
	SAMPLES		= 200,		/* in a round */
	HANDOVERS	= 400,
	SCATTERED	= 512,		/* blocks, in a round */
	/* Every other block is used, since two blocks in a row start readahead. */
	STRIDE		= 2 * BLOCK,
};

static double tcp_median(struct tcp *tcp, size_t reply)
{
	struct samples samples = samples_new(SAMPLES);
	double median;

	for (int i = 0; i < SAMPLES; i++) {
		double start = seconds();

		tcp_ask(tcp, 1, reply);
		samples_add(&samples, seconds() - start);
	}
	median = samples_quantile(&samples, 0.5);
	samples_free(&samples);
	return median;
}

static void write_blocks(char *base, uint32_t first, uint32_t n)
{
	for (uint32_t i = first; i < first + n; i++)
		*word(base + (size_t)i * STRIDE, 0) = i + 1;
}

/* The samples of a round: accesses to @n blocks from @first on, in random order. */
static struct samples time_blocks(char *base, uint32_t first, uint32_t n, bool write)
{
	struct samples samples = samples_new(n);
	uint32_t *order = calloc(n, sizeof(*order));

	ASSERT_TRUE(order);
	shuffle(order, n, first + 1);
	for (uint32_t i = 0; i < n; i++) {
		char *at = base + (size_t)(first + order[i]) * STRIDE;

		samples_add(&samples, write ? time_write(at) : time_read(at));
	}
	free(order);
	return samples;
}

/* The samples of a round, with their instructions counted. */
static struct samples count_blocks(struct tcp *tcp, const char *id, char *base, int round,
				   bool write)
{
	struct samples samples;

	insn_begin(tcp);
	samples = time_blocks(base, round * SAMPLES, SAMPLES, write);
	insn_end(tcp, id, "ours", SAMPLES);
	return samples;
}

static void add_all(struct samples *all, const struct samples *some)
{
	for (int i = 0; i < some->n; i++)
		samples_add(all, some->at[i]);
}

/*
 * Reads of blocks that node 1 has written and node 0 has never had. They are compared with the
 * same bytes over TCP and with two pagers: a thread of this process, and a process.
 */
TEST(read_fault)
{
	size_t size = (size_t)ROUNDS * SAMPLES * STRIDE;
	dsm_region *region = share_region(size, DSM_HOME_FIRST_TOUCH, BLOCK);
	struct samples all = samples_new(ROUNDS * SAMPLES);
	struct samples all_of_pager = samples_new(ROUNDS * SAMPLES);
	char *base = dsm_base(region);
	struct tcp *tcp = tcp_start();
	struct pager *pager = NULL, *process = NULL;

	if (node() == 1)
		write_blocks(base, 0, ROUNDS * SAMPLES);
	together("written");
	if (!node()) {
		process = pager_start(tcp, 1, size, true);
		pager = pager_start(tcp, 1, size, false);
	}
	for (int round = 0; !node() && round < ROUNDS; round++) {
		struct samples ours = count_blocks(tcp, "read_fault", base, round, false);
		double raw = tcp_median(tcp, BLOCK_REPLY);
		struct samples theirs = time_blocks(pager_memory(pager), round * SAMPLES,
						    SAMPLES, false);
		struct samples apart = time_blocks(pager_memory(process), round * SAMPLES,
						   SAMPLES, false);
		double median = samples_quantile(&ours, 0.5);

		report("read_fault", median, raw);
		report_floor("read_fault", median,
			     floor_median(tcp, "read_fault", PATTERN_READ, SAMPLES));
		report("read_fault_uffd", median, samples_quantile(&theirs, 0.5));
		report("read_fault_process", median, samples_quantile(&apart, 0.5));
		report("read_fault_p99", samples_quantile(&ours, 0.99), median);
		add_all(&all, &ours);
		add_all(&all_of_pager, &theirs);
		samples_free(&ours);
		samples_free(&theirs);
		samples_free(&apart);
	}
	if (!node()) {
		samples_report(&all, "read_fault", "dsm");
		samples_report(&all_of_pager, "read_fault", "userfaultfd");
		/* A fault whose answer came before the thread looked for it is not counted. */
		EXPECT_GE(region_stat("faults_remote_read"), ROUNDS * SAMPLES * 9 / 10);
		pager_stop(pager);
		pager_stop(process);
	}
	samples_free(&all);
	samples_free(&all_of_pager);
	tcp_stop(tcp);
	unshare_region(region);
}

/*
 * Reads of all blocks of an area in random order. Some neighbours of a block that is read
 * are on this node, and some are not.
 */
TEST(scatter_read)
{
	dsm_region *region = share_region((size_t)ROUNDS * SCATTERED * BLOCK,
					  DSM_HOME_FIRST_TOUCH, BLOCK);
	char *base = dsm_base(region);
	struct tcp *tcp = tcp_start();
	uint32_t order[SCATTERED];

	if (node() == 1)
		for (size_t i = 0; i < ROUNDS * SCATTERED; i++)
			*word(base + i * BLOCK, 0) = i + 1;
	together("written");
	for (int round = 0; !node() && round < ROUNDS; round++) {
		size_t first = (size_t)round * SCATTERED;
		char *area = base + first * BLOCK;
		double start, ours;

		shuffle(order, SCATTERED, first + 1);
		insn_begin(tcp);
		start = seconds();
		for (int i = 0; i < SCATTERED; i++)
			ASSERT_EQ(*word(area + (size_t)order[i] * BLOCK, 0), first + order[i] + 1);
		ours = (seconds() - start) / SCATTERED;
		insn_end(tcp, "scatter_read", "ours", SCATTERED);
		report("scatter_read", ours, tcp_mean(tcp, BLOCK_REPLY, SCATTERED));
		report_floor("scatter_read", ours,
			     floor_mean(tcp, "scatter_read", PATTERN_READ, SCATTERED));
	}
	tcp_stop(tcp);
	unshare_region(region);
}

/* Writes to blocks of which all other nodes have copies and node 0 has none. */
TEST(write_fault_shared)
{
	dsm_region *region = share_region((size_t)ROUNDS * SAMPLES * STRIDE,
					  DSM_HOME_FIRST_TOUCH, BLOCK);
	char *base = dsm_base(region);
	struct tcp *tcp;

	if (nodes() < 3)
		skip("needs 3 nodes");
	tcp = tcp_start();
	if (node() == 1)
		write_blocks(base, 0, ROUNDS * SAMPLES);
	together("written");
	for (int i = 0; node() && i < ROUNDS * SAMPLES; i++)
		ASSERT_EQ(*word(base + (size_t)i * STRIDE, 0), i + 1);
	together("shared");
	for (int round = 0; !node() && round < ROUNDS; round++) {
		struct samples ours = count_blocks(tcp, "write_fault_shared", base, round, true);
		double median = samples_quantile(&ours, 0.5);

		report("write_fault_shared", median, tcp_median(tcp, REQUEST));
		report_floor("write_fault_shared", median,
			     floor_median(tcp, "write_fault_shared", PATTERN_WRITE_SHARED,
					  SAMPLES));
		samples_free(&ours);
	}
	tcp_stop(tcp);
	unshare_region(region);
}

/* Writes to blocks of which node 0 has the only copy. Their home is node 1. */
TEST(upgrade)
{
	dsm_region *region = share_region((size_t)ROUNDS * SAMPLES * STRIDE,
					  DSM_HOME_FIRST_TOUCH, BLOCK);
	char *base = dsm_base(region);
	struct tcp *tcp = tcp_start();

	/* The first touch of a chunk determines its home. The measured blocks stay untouched. */
	if (node() == 1)
		for (size_t at = 0; at < dsm_size(region); at += DSM_CHUNK_SIZE)
			*word(base + at, 0) = 1;
	together("homed");
	for (int round = 0; !node() && round < ROUNDS; round++) {
		struct samples ours = samples_new(SAMPLES);
		double median;

		insn_begin(tcp);
		for (int i = 0; i < SAMPLES; i++) {
			char *at = base + (size_t)(round * SAMPLES + i) * STRIDE + BLOCK;

			(void)*(volatile uint64_t *)at;
			samples_add(&ours, time_write(at));
		}
		/* The read takes the same messages: its grant says that the block is zero. */
		insn_end(tcp, "upgrade", "ours", 2 * SAMPLES);
		median = samples_quantile(&ours, 0.5);
		report("upgrade", median, tcp_median(tcp, REQUEST));
		report_floor("upgrade", median,
			     floor_median(tcp, "upgrade", PATTERN_UPGRADE, SAMPLES));
		samples_free(&ours);
	}
	/* A grant that says 'all zero' carries no data either. */
	if (!node())
		EXPECT_GE(region_stat("upgrades") + region_stat("zero_grants"),
			  2 * ROUNDS * SAMPLES);
	tcp_stop(tcp);
	unshare_region(region);
}

/*
 * Two nodes take a block from each other. A compare-and-exchange needs write access even if it
 * fails, so each of them is an access that moves the block.
 */
TEST(pingpong)
{
	dsm_region *region = share_region(DSM_CHUNK_SIZE, DSM_HOME_FIRST_TOUCH, BLOCK);
	_Atomic uint64_t *turn = word(dsm_base(region), 0);
	dsm_barrier_t *rounds = rounds_of(region);
	struct tcp *tcp = tcp_start();

	if (!node())
		*turn = 0;
	for (int round = 0; round < ROUNDS; round++) {
		uint64_t first = (uint64_t)round * HANDOVERS;
		double start;

		round_together(rounds);
		if (!node())
			insn_begin(tcp);
		start = seconds();
		for (uint64_t mine = first + node(); node() < 2 && mine < first + HANDOVERS; mine += 2) {
			uint64_t expected = mine;

			while (!atomic_compare_exchange_strong(turn, &expected, mine + 1))
				expected = mine;
		}
		if (!node()) {
			double ours = (seconds() - start) / HANDOVERS;

			insn_end(tcp, "pingpong", "ours", HANDOVERS);
			report("pingpong", ours, tcp_median(tcp, BLOCK_REPLY));
			report_floor("pingpong", ours,
				     floor_mean(tcp, "pingpong", PATTERN_PINGPONG, HANDOVERS));
		}
	}
	tcp_stop(tcp);
	unshare_region(region);
}

