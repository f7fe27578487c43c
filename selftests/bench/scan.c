// SPDX-License-Identifier: GPL-2.0
/* A cold scan of another node's memory, against a TCP stream of the same bytes. */
#include "bench.h"

enum { SCAN_MIB = 64, SCAN_ROUNDS = 5 };

#define SCAN	((size_t)SCAN_MIB << 20)

static double stream(struct tcp *tcp)
{
	double start = seconds();

	tcp_ask(tcp, 1, SCAN);
	return SCAN / (seconds() - start);
}

static double scan(char *base, bool write)
{
	double start = seconds();

	for (size_t at = 0; at < SCAN; at += sizeof(uint64_t)) {
		if (write)
			*(volatile uint64_t *)(base + at) = at;
		else
			ASSERT_EQ(*(volatile uint64_t *)(base + at), at + 1);
	}
	return SCAN / (seconds() - start);
}

/* Each round has a new region, which node 0 has never read. */
static void scan_rounds(const char *id, bool write)
{
	struct tcp *tcp = tcp_start();

	for (int round = 0; round < SCAN_ROUNDS; round++) {
		dsm_region *region = share_region(SCAN + DSM_CHUNK_SIZE, DSM_HOME_FIRST_TOUCH,
						  BLOCK);
		dsm_barrier_t *rounds = rounds_of(region);
		char *base = dsm_base(region);

		if (node() == 1)
			for (size_t at = 0; at < SCAN; at += sizeof(uint64_t))
				*(volatile uint64_t *)(base + at) = at + 1;
		round_together(rounds);
		if (!node()) {
			double ours;

			insn_begin(tcp);
			ours = scan(base, write);
			insn_end(tcp, id, "ours", SCAN / BLOCK);
			report(id, ours, stream(tcp));
			report_floor(id, ours, BLOCK / floor_mean(tcp, id, PATTERN_SCAN,
								  SCAN / BLOCK));
		}
		round_together(rounds);
		unshare_region(region);
	}
	tcp_stop(tcp);
}

TEST_SECONDS(seq_read, 900) { scan_rounds("seq_read", false); }
TEST_SECONDS(seq_write, 900) { scan_rounds("seq_write", true); }
