// SPDX-License-Identifier: GPL-2.0
/*
 * Memory is sequentially consistent between nodes. Between threads of one node it is what the
 * CPU makes it. Litmus shapes show no outcome that these models forbid (see litmus-shapes.h),
 * and nearly all that they allow.
 *
 * As in litmus7, an iteration has variables of its own, and threads do not wait for each other
 * within a batch. After a barrier, each thread starts its part of every instance by its own
 * clock. Node 0's seed, which all nodes use, varies:
 *
 * - the variables: in two blocks of different homes, or in one;
 * - the placement: each thread on a node of its own, or some together, drawn anew for every
 *   batch;
 * - the warm-up of every block: untouched, owned by one of the threads' nodes or another, or
 *   shared by some nodes, or by all of them;
 * - the number of consecutive instances in the same blocks: 1 to 8;
 * - pauses before every access, from none to several times what it takes to fetch a block.
 *
 * $LITMUS_ITERATIONS, 10,000 by default, is the number of iterations of each variant.
 *
 * A run that reaches few of the allowed outcomes has tested little, and fails. Each variant
 * must reach more than half of those of SC. All variants of a shape together must reach four
 * fifths of them.
 */
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <time.h>

#include "litmus-shapes.h"
#include "test.h"

enum {
	BLOCK			= 4096,
	CHUNK_BLOCKS		= DSM_CHUNK_SIZE / BLOCK,
	HOMES			= 8,	/* a variable's blocks are in at least this many chunks */
	BATCH			= 16,	/* iterations */
	INSTANCE		= 128,	/* bytes of a block for one instance */
	VARIABLE		= 64,
	LOG_PACKING_MAX		= 3,	/* instances in a block: 1, 2, 4, 8 */
	NODES_MAX		= 64,
	COMPLAINTS_MAX		= 5,
	UNIT_MIN_NS		= 50 * 1000,
	UNIT_MAX_NS		= 1500 * 1000,
	SPIN_MAX_NS		= 50 * 1000,
	COVERAGE_ITERATIONS	= 200,	/* with fewer, little is expected to be reached */
	SECONDS			= 850,	/* for all variants of a shape */
	TEST_NAME_SIZE		= 16,
	SHAPES_MAX		= 32,
};

static const struct variant {
	const char *name;
	bool one_block;
	bool crowded;	/* some threads share a node */
} variants[] = {
	{ "a node a thread, a block a variable", false, false },
	{ "a node a thread, one block", true, false },
	{ "threads share nodes, a block a variable", false, true },
};

enum { VARIANTS = sizeof(variants) / sizeof(variants[0]) };

/* The first bytes of the region. */
struct control {
	dsm_barrier_t barrier;
	uint64_t seed;
	uint64_t unit_ns;	/* the measured time to fetch a block */
};

struct game {
	const struct litmus_shape *shape;
	const struct variant *variant;
	dsm_region *region;
	struct control *control;
	uint8_t *results;	/* of all nodes: see result() */
	char *variables[LITMUS_VARIABLES];
	unsigned int iterations;
	uint64_t seed;		/* of this variant */
};

/* Threads of one node that run the same batch. */
struct team {
	const struct game *game;
	unsigned int batch;
	unsigned int players;
	uint64_t unit_ns;	/* the time to fetch a block */
	uint64_t start_ns, period_ns, lateness_ns;
	atomic_uint arrived;
};

struct player {
	struct team *team;
	unsigned int thread;	/* of the shape */
	uint64_t random;
	pthread_t pthread;
};

/* ---- choices by node 0's seed, the same on every node ------------------- */

enum decision { GAME, PLACEMENT, PACKING, PERIOD, LATENESS, WARM_UP, WARM_UP_ALL, PLAYER };

static uint64_t decide(uint64_t seed, enum decision decision, uint64_t index)
{
	return random_hash(seed + decision, index);
}

/* The nodes that the threads of a batch run on. */
static void place(const struct game *game, unsigned int batch, int node_of[LITMUS_THREADS])
{
	unsigned int threads = litmus_threads(game->shape), shared;
	uint64_t random = decide(game->seed, PLACEMENT, batch);
	bool one = game->variant->crowded && (threads == 2 || random % 2);

	for (unsigned int t = 0; t < LITMUS_THREADS; t++)
		node_of[t] = -1;
	do {
		shared = 0;
		for (unsigned int t = 0; t < threads; t++) {
			node_of[t] = one && t ? node_of[0] : (int)(random_next(&random) % nodes());
			for (unsigned int u = 0; u < t; u++)
				shared += node_of[t] == node_of[u];
		}
	} while (!shared == game->variant->crowded);
}

/* The first instance in the same blocks as @i. Its number is theirs. */
static unsigned int block_number(const struct game *game, unsigned int i)
{
	unsigned int packing = 1 << decide(game->seed, PACKING, i / BATCH) % (LOG_PACKING_MAX + 1);

	return i - i % packing;
}

/*
 * Consecutive blocks do not adjoin, which would start readahead, and have different homes.
 * Mostly, so have the blocks of the two variables.
 */
static unsigned int chunks(unsigned int iterations)
{
	unsigned int n = (iterations + CHUNK_BLOCKS - 1) / CHUNK_BLOCKS;

	return n > HOMES ? n : HOMES;
}

static char *block(const struct game *game, unsigned int number, unsigned int variable)
{
	unsigned int n = chunks(game->iterations), turn = number / n;

	return game->variables[variable] +
	       (size_t)((number + variable * turn) % n) * DSM_CHUNK_SIZE + (size_t)turn * BLOCK;
}

static volatile uint64_t *variable_of(const struct game *game, unsigned int i,
				      unsigned int variable)
{
	unsigned int number = block_number(game, i);
	size_t offset = (i - number) * INSTANCE + variable * VARIABLE;

	return (volatile uint64_t *)(block(game, number,
					   game->variant->one_block ? 0 : variable) + offset);
}

/* Sets the fields of an iteration's outcome that were read on @node. */
static uint8_t *result(const struct game *game, int node, unsigned int i)
{
	size_t per_node = ((size_t)game->iterations * LITMUS_FIELDS + BLOCK - 1) & -BLOCK;

	return game->results + node * per_node + i * LITMUS_FIELDS;
}

/* ---- warm-up ------------------------------------------------------------- */

/* Before the run, @owner writes the block, then @sharers read it. */
struct warmth {
	int owner;	/* -1: the block is left untouched */
	uint64_t sharers;
};

static struct warmth warmth_of(const struct game *game, unsigned int number, unsigned int variable)
{
	uint64_t random = decide(game->seed, WARM_UP, (uint64_t)number << 8 | variable);
	struct warmth warmth = { .owner = -1 };
	int node_of[LITMUS_THREADS];

	place(game, number / BATCH, node_of);
	/*
	 * The classic mistake is an invalidation that comes too late. So often all nodes have
	 * copies of all variables.
	 */
	if (decide(game->seed, WARM_UP_ALL, number) % 3 == 0) {
		warmth.owner = random_next(&random) % nodes();
		warmth.sharers = -1;
		return warmth;
	}
	switch (random_next(&random) % 4) {
	case 0:
		break;
	case 1:
		warmth.owner = random_next(&random) % nodes();
		break;
	case 2:
		warmth.owner = random_next(&random) % nodes();
		warmth.sharers = random_next(&random);
		break;
	case 3:
		warmth.owner = node_of[random_next(&random) % litmus_threads(game->shape)];
		break;
	}
	return warmth;
}

static bool owns(const struct warmth *warmth)
{
	return warmth->owner == node();
}

static bool shares(const struct warmth *warmth)
{
	return warmth->owner >= 0 && warmth->sharers >> node() & 1;
}

static bool any(const struct warmth *warmth)
{
	(void)warmth;
	return true;
}

/* Goes through the wanted blocks, and prefetches or fetches each. */
static void walk(const struct game *game, bool (*wanted)(const struct warmth *), bool write,
		 bool prefetch)
{
	unsigned int blocks = game->variant->one_block ? 1 : litmus_variables(game->shape);

	for (unsigned int i = 0; i < game->iterations; i++) {
		for (unsigned int v = 0; v < blocks && block_number(game, i) == i; v++) {
			struct warmth warmth = warmth_of(game, i, v);
			volatile uint64_t *at = (volatile uint64_t *)block(game, i, v);

			if (!wanted(&warmth))
				continue;
			if (prefetch)
				ASSERT_OK(dsm_prefetch((void *)at, BLOCK,
						       PROT_READ | (write ? PROT_WRITE : 0)));
			else if (write)
				*at = 0;
			else
				(void)*at;
		}
	}
}

/* Prefetches many blocks at a time, then fetches those that have not come. */
static void get_blocks(const struct game *game, bool (*wanted)(const struct warmth *), bool write)
{
	walk(game, wanted, write, true);
	walk(game, wanted, write, false);
}

static void meet(const struct game *game)
{
	int err = dsm_barrier_wait(&game->control->barrier);

	ASSERT_TRUE(!err || err == DSM_BARRIER_SERIAL_THREAD);
}

static void warm_up(const struct game *game)
{
	get_blocks(game, owns, true);
	meet(game);
	get_blocks(game, shares, false);
	meet(game);
}

/* ---- run ---------------------------------------------------------------- */

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000000ull + now.tv_nsec;
}

static void pass_until(uint64_t end_ns)
{
	struct timespec end = {
		.tv_sec = end_ns / 1000000000, .tv_nsec = end_ns % 1000000000,
	};

	/* Others need the CPU, too, so only short times are spent spinning. */
	if (now_ns() + SPIN_MAX_NS < end_ns)
		clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &end, NULL);
	while (now_ns() < end_ns)
		;
}

/*
 * Every second time there is no pause. Otherwise each power of two is equally likely, from
 * less than an access to a local variable to several fetches.
 */
static void dawdle(struct player *player)
{
	uint64_t random = random_next(&player->random), ns;

	if (random % 2)
		return;
	ns = player->team->unit_ns * 4 >> (random >> 1) % 16;
	ns -= (random >> 32) * (ns / 2) >> 32;
	if (ns > 1000) {
		pass_until(now_ns() + ns);
	} else {
		for (volatile unsigned int n = ns / 4; n; n--)
			;
	}
}

/* The threads of one node start together, closer than by the clock. */
static void line_up(struct team *team, unsigned int round)
{
	if (team->players == 1)
		return;
	atomic_fetch_add(&team->arrived, 1);
	while (atomic_load(&team->arrived) < (round + 1) * team->players)
		sched_yield();
}

static void *play(void *arg)
{
	struct player *player = arg;
	struct team *team = player->team;
	const struct game *game = team->game;
	unsigned int ops = litmus_ops(game->shape, player->thread);
	unsigned int field = litmus_first_read(game->shape, player->thread);
	unsigned int first = team->batch * BATCH;
	/* A thread with less to do would be done before the others start. */
	uint64_t lateness_ns = team->lateness_ns + (LITMUS_OPS - ops) * 2 * team->unit_ns;

	prctl(PR_SET_TIMERSLACK, 1);
	for (unsigned int n = 0; n < BATCH && first + n < game->iterations; n++) {
		uint8_t *seen = result(game, node(), first + n) + field;
		uint64_t values[LITMUS_OPS];
		volatile uint64_t *at[LITMUS_OPS];

		for (unsigned int i = 0; i < ops; i++)
			at[i] = variable_of(game, first + n,
					    game->shape->ops[player->thread][i].variable);
		pass_until(team->start_ns + n * team->period_ns +
			   random_next(&player->random) % lateness_ns);
		line_up(team, n);
		for (unsigned int i = 0; i < ops; i++) {
			const struct litmus_op *op = &game->shape->ops[player->thread][i];

			dawdle(player);
			if (op->kind == LITMUS_WRITE)
				*at[i] = op->value;
			else
				values[i] = *at[i];
		}
		for (unsigned int i = 0; i < ops; i++)
			if (game->shape->ops[player->thread][i].kind == LITMUS_READ)
				*seen++ = values[i];
	}
	return NULL;
}

static long long remote_faults(void)
{
	return region_stat("faults_remote_read") + region_stat("faults_remote_write");
}

/* The average time that an access of this node waited for other nodes. */
static uint64_t measure_unit(void)
{
	long long faults = remote_faults();
	uint64_t unit_ns = faults ? region_stat("fault_wait_ns") / faults : 0;

	unit_ns = unit_ns < UNIT_MIN_NS ? UNIT_MIN_NS : unit_ns;
	return unit_ns > UNIT_MAX_NS ? UNIT_MAX_NS : unit_ns;
}

static void play_batch(const struct game *game, unsigned int batch)
{
	struct player players[LITMUS_THREADS];
	struct team team = { .game = game, .batch = batch };
	int node_of[LITMUS_THREADS];

	place(game, batch, node_of);
	for (unsigned int t = 0; t < litmus_threads(game->shape); t++) {
		if (node_of[t] != node())
			continue;
		players[team.players++] = (struct player){
			.team = &team, .thread = t,
			.random = decide(game->seed, PLAYER, (uint64_t)batch << 8 | t),
		};
	}
	if (!node())
		game->control->unit_ns = measure_unit();
	meet(game);
	/* The barrier does not release all nodes at the same moment. */
	team.unit_ns = game->control->unit_ns;
	team.start_ns = now_ns() + team.unit_ns;
	team.period_ns = team.unit_ns * (1 + decide(game->seed, PERIOD, batch) % 4);
	team.lateness_ns = team.period_ns >> decide(game->seed, LATENESS, batch) % 4;
	for (unsigned int i = 1; i < team.players; i++)
		ASSERT_EQ(pthread_create(&players[i].pthread, NULL, play, &players[i]), 0);
	if (team.players)
		play(&players[0]);
	for (unsigned int i = 1; i < team.players; i++)
		pthread_join(players[i].pthread, NULL);
}

/* ---- the verdict --------------------------------------------------------- */

static unsigned int outcome_of(const struct game *game, unsigned int i, const int *node_of)
{
	unsigned int fields[LITMUS_FIELDS];

	for (unsigned int t = 0, f = 0; t < litmus_threads(game->shape); t++) {
		unsigned int end = litmus_first_read(game->shape, t + 1);

		for (; f < end; f++)
			fields[f] = result(game, node_of[t], i)[f];
	}
	for (unsigned int v = 0; v < litmus_variables(game->shape); v++) {
		int field = litmus_last_value(game->shape, v);

		if (field >= 0)
			fields[field] = *variable_of(game, i, v);
	}
	return litmus_outcome(game->shape, fields);
}

static void complain(const struct game *game, unsigned int i, unsigned int outcome,
		     const int *node_of)
{
	char text[100];

	litmus_outcome_text(game->shape, outcome, text, sizeof(text));
	note("FORBIDDEN: %s, iteration %u", text, i);
	for (unsigned int t = 0; t < litmus_threads(game->shape); t++)
		note("  thread %u on node %d", t, node_of[t]);
	for (unsigned int v = 0; v < litmus_variables(game->shape); v++) {
		struct warmth warmth = warmth_of(game, block_number(game, i),
						 game->variant->one_block ? 0 : v);

		note("  %c at offset 0x%zx, owner %d, sharers 0x%llx", "xy"[v],
		     (size_t)((char *)variable_of(game, i, v) - (char *)dsm_base(game->region)),
		     warmth.owner, (unsigned long long)warmth.sharers);
	}
}

/* Prints the histogram, and how many of the outcomes that SC allows are in it. */
static void report(const struct litmus_shape *shape, const char *name,
		   const unsigned int *histogram, const bool *sc, unsigned int *allowed,
		   unsigned int *reached)
{
	char text[100];

	*allowed = *reached = 0;
	for (unsigned int o = 0; o < LITMUS_OUTCOMES; o++) {
		if (!sc[o] && !histogram[o])
			continue;
		*allowed += sc[o];
		*reached += sc[o] && histogram[o];
		litmus_outcome_text(shape, o, text, sizeof(text));
		note("  %6u  %s%s", histogram[o], text, sc[o] ? "" : "  not in SC");
	}
	note("%s, %s: %u of SC's %u outcomes", shape->name, name, *reached, *allowed);
}

/* Node 0, which has all results, calls this. It adds them to those of all variants. */
static void judge(const struct game *game, unsigned int *sum)
{
	static unsigned int histogram[LITMUS_OUTCOMES];
	static bool sc[LITMUS_OUTCOMES], allowed[LITMUS_OUTCOMES];
	unsigned int forbidden = 0, in_sc, reached;
	int node_of[LITMUS_THREADS];

	memset(histogram, 0, sizeof(histogram));
	get_blocks(game, any, false);
	litmus_enumerate_sc(game->shape, sc);
	for (unsigned int i = 0; i < game->iterations; i++) {
		unsigned int outcome;

		place(game, i / BATCH, node_of);
		outcome = outcome_of(game, i, node_of);
		histogram[outcome]++;
		sum[outcome]++;
		if (sc[outcome])
			continue;
		/* With one node per thread, that is SC again. */
		litmus_enumerate(game->shape, node_of, allowed);
		if (!allowed[outcome] && forbidden++ < COMPLAINTS_MAX)
			complain(game, i, outcome, node_of);
	}
	report(game->shape, game->variant->name, histogram, sc, &in_sc, &reached);
	EXPECT_EQ(forbidden, 0);
	if (game->iterations >= COVERAGE_ITERATIONS)
		EXPECT_GT(reached, in_sc / 2);
}

static void judge_coverage(const struct game *game, const unsigned int *sum)
{
	static bool sc[LITMUS_OUTCOMES];
	unsigned int in_sc, reached;

	litmus_enumerate_sc(game->shape, sc);
	report(game->shape, "all variants", sum, sc, &in_sc, &reached);
	if (game->iterations >= COVERAGE_ITERATIONS)
		EXPECT_GE(reached, in_sc - in_sc / 5);
}

/* ---- one test per shape ------------------------------------------------- */

static void play_variant(const struct game *game, unsigned int *sum)
{
	double start = seconds(), warm;
	long long faults, frames;

	warm_up(game);
	warm = seconds();
	faults = remote_faults();
	frames = frames_exchanged();
	for (unsigned int batch = 0; batch * BATCH < game->iterations; batch++)
		play_batch(game, batch);
	meet(game);
	if (!node()) {
		note("%s, %s: %u iterations in %.1f s, after %.1f s of warm-up;",
		     game->shape->name, game->variant->name, game->iterations, seconds() - warm,
		     warm - start);
		note("  on this node %lld remote faults of %llu us, %lld frames",
		     remote_faults() - faults,
		     (unsigned long long)game->control->unit_ns / 1000,
		     frames_exchanged() - frames);
		judge(game, sum);
	}
	meet(game);
}

static unsigned int iterations(void)
{
	const char *text = getenv("LITMUS_ITERATIONS");

	return text ? strtoul(text, NULL, 10) : 10000;
}

static void play_shape(const struct litmus_shape *shape, unsigned int number)
{
	static unsigned int sum[LITMUS_OUTCOMES];
	struct game game = { .shape = shape, .iterations = iterations() };
	size_t area = (size_t)chunks(game.iterations) * DSM_CHUNK_SIZE, result_chunks;
	char *base;

	if (nodes() < (int)litmus_threads(shape))
		skip("needs %u nodes", litmus_threads(shape));
	result_chunks = (result(&game, nodes(), 0) - result(&game, 0, 0)) / DSM_CHUNK_SIZE + 1;
	game.region = share_region((1 + result_chunks) * DSM_CHUNK_SIZE +
				   VARIANTS * LITMUS_VARIABLES * area,
				   DSM_HOME_INTERLEAVED, BLOCK);
	base = dsm_base(game.region);
	game.control = (struct control *)base;
	base += DSM_CHUNK_SIZE;
	game.results = (uint8_t *)base;
	base += result_chunks * DSM_CHUNK_SIZE;
	if (!node()) {
		game.control->seed = seed();
		ASSERT_EQ(dsm_barrier_init(&game.control->barrier, nodes()), 0);
	}
	together("ready");

	for (unsigned int i = 0; i < VARIANTS; i++) {
		game.variant = &variants[i];
		game.seed = decide(game.control->seed, GAME, number * VARIANTS + i);
		for (unsigned int v = 0; v < LITMUS_VARIABLES; v++) {
			game.variables[v] = base;
			base += area;
		}
		if (litmus_variables(shape) > 1 || !variants[i].one_block)
			play_variant(&game, sum);
	}
	if (!node())
		judge_coverage(&game, sum);
	unshare_region(game.region);
}

/* The literature's names, without signs that a region's name cannot have. */
static void name_test(const struct litmus_shape *shape, char name[TEST_NAME_SIZE])
{
	snprintf(name, TEST_NAME_SIZE, "%s", shape->name);
	for (char *c = strchr(name, '+'); c; c = strchr(c, '+'))
		*c = '_';
}

static void play_current(void)
{
	for (unsigned int i = 0; i < litmus_shapes_count; i++) {
		char name[TEST_NAME_SIZE];

		name_test(&litmus_shapes[i], name);
		if (!strcmp(name, region_name()))
			play_shape(&litmus_shapes[i], i);
	}
}

static void __attribute__((constructor)) register_shapes(void)
{
	static struct test tests[SHAPES_MAX];
	static char names[SHAPES_MAX][TEST_NAME_SIZE];

	for (unsigned int i = 0; i < litmus_shapes_count; i++) {
		name_test(&litmus_shapes[i], names[i]);
		tests[i] = (struct test){
			.name = names[i], .run = play_current, .seconds = SECONDS,
		};
		test_register(&tests[i]);
	}
}
