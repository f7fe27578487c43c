// SPDX-License-Identifier: GPL-2.0
/*
 * The explorer visits every state that a small cluster around module/coherence.c, the file
 * that ships, can reach.
 *
 * 	explore [--deep] [--quick] [--compact] [--no-symmetry] [--exact]
 * 		[--states N] [--memory GIB] [NAME...]
 *
 * --states limits every walk. Without it, some walks of --deep also end before they have
 * visited everything, and say so.
 *
 * The clusters below are walked breadth first, in every order of events. Messages between two
 * nodes stay in order; messages of a node to itself come in any order. At any moment any node
 * may want to read or to write, with or without a thread that waits; may ask to drop its copy;
 * and may be done with a grant. Any bytes on the wire may become unreadable. Revoking access,
 * holding a grant, and taking the block at the home are separate steps, in any order with all
 * others. selftests/model/model.c lists what is checked in every state and after every step.
 * Every node is told, in every state of its knowledge, every lie that it has to refuse: see
 * selftests/model/refuse.c.
 *
 * Liveness: no state is a dead end. If no node makes a new request, everything comes to rest
 * after a bounded number of steps in any order, and then every request and every eviction is
 * complete. The home serves requests in the order of arrival. So a request waits only for
 * those that came before it, whatever else is requested.
 *
 * States are compared without the numbers of nodes and requests, and without fields that mean
 * nothing (see @exact in struct model; the small cluster is also explored with them). With
 * --compact only hashes are kept, so a state may be left out because its hash equals
 * another's. The probability that this happens is printed: for n states it is less than n * n
 * / 2^65.
 *
 * Not modelled: the loss of nodes and messages, which the protocol does not see (there is no
 * recovery, and the peer layer delivers once and in order); frames, page tables and pinned
 * pages, except whether a thread has access; the duration of a hold; the homes of chunks, and
 * messages that come before a home is known; waiting threads; more than four nodes; and more
 * than two blocks, which share only channels.
 */
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include "walk.h"

#define BIT(step)	(1U << STEP_##step)

enum {
	HAPPENS	= BIT(DELIVER) | BIT(REVOKED) | BIT(HOLD_OVER) | BIT(PULL),
	ACCESS	= HAPPENS | BIT(READ) | BIT(WRITE),
	PREFETCH = BIT(PREFETCH_READ) | BIT(PREFETCH_WRITE),
	EVICT	= BIT(EVICT),
	DISCARD	= BIT(DISCARD),
	FREE	= BIT(FREE),
	USED	= BIT(USED),
	LOSE	= BIT(LOSE),
	MOST	= ACCESS | PREFETCH | EVICT | USED,
	ALL	= MOST | DISCARD | FREE,
};

enum explore_option {
	OPT_DEEP	= 'd',
	OPT_QUICK	= 'q',
	OPT_COMPACT	= 'c',
	OPT_NO_SYMMETRY	= 'y',
	OPT_EXACT	= 'e',
	OPT_STATES	= 's',
	OPT_MEMORY	= 'm',
};

static const struct option options[] = {
	{ "deep", no_argument, NULL, OPT_DEEP },
	{ "quick", no_argument, NULL, OPT_QUICK },
	{ "compact", no_argument, NULL, OPT_COMPACT },
	{ "no-symmetry", no_argument, NULL, OPT_NO_SYMMETRY },
	{ "exact", no_argument, NULL, OPT_EXACT },
	{ "states", required_argument, NULL, OPT_STATES },
	{ "memory", required_argument, NULL, OPT_MEMORY },
	{}
};

enum set {
	QUICK	= 1 << 0,	/* the clusters that find most mistakes within seconds */
	CHECK	= 1 << 1,
	DEEP	= 1 << 2,
	PARTLY	= 1 << 3,	/* too large: walked up to PARTLY_STATES unless a limit is given */
};

#define PARTLY_STATES	10000000UL

/* Of the QUICK clusters, the quickest come first: 'mutants' ends at the first that fails. */
static const struct {
	unsigned int sets;
	struct walk_config config;
} clusters[] = {
	{ QUICK | CHECK, { .name = "2_nodes_exact", .nodes = 2, .blocks = 1, .steps = MOST,
			   .exact = true } },
	{ QUICK, { .name = "3_nodes_access", .nodes = 3, .blocks = 1, .steps = ACCESS } },
	{ QUICK, { .name = "3_nodes_lose", .nodes = 3, .blocks = 1, .steps = ACCESS | LOSE } },
	{ QUICK, { .name = "2_nodes_lose_discard", .nodes = 2, .blocks = 1,
		   .steps = ACCESS | PREFETCH | DISCARD | FREE | LOSE } },
	{ QUICK, { .name = "3_nodes_evict", .nodes = 3, .blocks = 1, .steps = ACCESS | EVICT } },
	{ CHECK, { .name = "4_nodes_access", .nodes = 4, .blocks = 1, .steps = ACCESS } },
	{ CHECK, { .name = "2_nodes_2_blocks", .nodes = 2, .blocks = 2, .steps = ACCESS } },
	{ CHECK, { .name = "3_nodes", .nodes = 3, .blocks = 1, .steps = MOST } },
	{ QUICK | CHECK, { .name = "2_nodes_discard", .nodes = 2, .blocks = 1, .steps = ALL } },
	{ QUICK, { .name = "3_nodes_discard", .nodes = 3, .blocks = 1, .steps = ACCESS | DISCARD } },
	{ CHECK, { .name = "2_nodes_lose", .nodes = 2, .blocks = 1, .steps = ALL | LOSE } },
	{ CHECK, { .name = "3_nodes_lose_evict", .nodes = 3, .blocks = 1,
		   .steps = ACCESS | EVICT | LOSE } },
	{ CHECK, { .name = "3_nodes_free", .nodes = 3, .blocks = 1,
		   .steps = ACCESS | DISCARD | FREE } },
	{ DEEP, { .name = "3_nodes_lose_discard", .nodes = 3, .blocks = 1,
		  .steps = ACCESS | DISCARD | LOSE } },
	{ DEEP, { .name = "2_nodes_2_blocks_evict", .nodes = 2, .blocks = 2,
		  .steps = ACCESS | EVICT } },
	{ DEEP, { .name = "2_nodes_2_blocks_prefetch", .nodes = 2, .blocks = 2,
		  .steps = ACCESS | PREFETCH } },
	{ DEEP | PARTLY, { .name = "3_nodes_exact", .nodes = 3, .blocks = 1, .steps = MOST,
			   .exact = true } },
	{ DEEP, { .name = "4_nodes_prefetch", .nodes = 4, .blocks = 1,
		  .steps = ACCESS | PREFETCH } },
	{ DEEP | PARTLY, { .name = "4_nodes_evict", .nodes = 4, .blocks = 1,
			   .steps = ACCESS | EVICT } },
	{ DEEP | PARTLY, { .name = "3_nodes_all", .nodes = 3, .blocks = 1, .steps = ALL } },
	{ DEEP | PARTLY, { .name = "2_nodes_2_blocks_all", .nodes = 2, .blocks = 2,
			   .steps = ALL } },
};

#define CLUSTERS	(sizeof(clusters) / sizeof(clusters[0]))

static void usage(void)
{
	fprintf(stderr, "usage: explore [--deep] [--quick] [--compact] [--no-symmetry] [--exact]\n"
			"               [--states N] [--memory GIB] [NAME...]\n");
	exit(2);
}

static bool chosen(unsigned int i, unsigned int sets, char **names)
{
	if (!*names)
		return clusters[i].sets & sets;
	for (; *names; names++)
		if (!strcmp(*names, clusters[i].config.name))
			return true;
	return false;
}

static unsigned long number(const char *text)
{
	char *end;
	unsigned long n = strtoul(text, &end, 10);

	if (!*text || *end || !n)
		usage();
	return n;
}

/* Reaching a limit is a failure unless it was requested: not everything has been visited. */
static bool explore(const struct walk_config *config, const struct walk_limits *limits,
		    unsigned int test)
{
	struct walk_result r;
	enum walk_end end = walk(config, limits, &r);
	bool ok = end == WALK_DONE || (end == WALK_LIMIT && limits->bounded);

	printf("# %lu states (%lu at rest), %lu transitions, %u steps deep; %lu views; "
	       "at rest after %u steps; %.1f s, %zu MiB\n", r.states, r.at_rest, r.transitions,
	       r.depth, r.views, r.run, r.seconds, r.memory >> 20);
	if (limits->compact)
		printf("# a state was left out with a probability below %.1g\n",
		       (double)r.states * r.states / 36893488147419103232.0);
	printf("%s %u %s%s\n", ok ? "ok" : "not ok", test, config->name,
	       end == WALK_LIMIT ? " # stopped at the limit: there are more states" : "");
	fflush(stdout);
	return ok;
}

int main(int argc, char **argv)
{
	struct walk_limits limits = { .states = UINT32_MAX - 1, .memory = 4UL << 30,
				      .chart = stdout };
	bool no_symmetry = false, exact = false, ok = true;
	unsigned int sets = CHECK, n = 0, i;
	int opt;

	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1)
		switch (opt) {
		case OPT_DEEP:
			sets = CHECK | DEEP;
			limits.memory = 16UL << 30;
			break;
		case OPT_QUICK:
			sets = QUICK;
			break;
		case OPT_COMPACT:
			limits.compact = true;
			break;
		case OPT_NO_SYMMETRY:
			no_symmetry = true;
			break;
		case OPT_EXACT:
			exact = true;
			break;
		case OPT_STATES:
			limits.states = number(optarg);
			limits.bounded = true;
			break;
		case OPT_MEMORY:
			limits.memory = number(optarg) << 30;
			break;
		default:
			usage();
		}
	for (i = 0; i < CLUSTERS; i++) {
		struct walk_config config = clusters[i].config;
		struct walk_limits within = limits;

		if (!chosen(i, sets, argv + optind))
			continue;
		config.no_symmetry = no_symmetry;
		config.exact |= exact;
		if (clusters[i].sets & PARTLY && !limits.bounded) {
			within.states = PARTLY_STATES;
			within.bounded = true;
		}
		ok &= explore(&config, &within, ++n);
	}
	if (!n)
		usage();
	printf("1..%u\n", n);
	return !ok;
}
