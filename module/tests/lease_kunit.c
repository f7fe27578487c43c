// SPDX-License-Identifier: GPL-2.0
/*
 * Mutexes between nodes: what a node does about one, in a table; then with a
 * home that is asked by two others, and with the words of processes, which this
 * test is.
 */
#include <kunit/test.h>
#include <linux/cred.h>
#include <linux/err.h>
#include <linux/prandom.h>
#include <linux/sched.h>
#include "testnode.h"
#include "../chunk.h"
#include "../lease.h"
#include "../lease_core.h"
#include "../region.h"
#include "../sync.h"
#include "../sync_home.h"
#include "../user.h"
#include "../words.h"

enum {
	NODES	= 3,
	REGION	= 7,
	AT	= 64,
	MANY	= 100,
};

static struct dsm_opener file, other_file;

/* ------------------------------------------------------------------------
 * The core
 */

#define NOBODY	DSM_LEASE_NOBODY
#define TRIER	DSM_LEASE_TRIER
#define WAITER	DSM_LEASE_WAITER

static const struct step_param {
	const char *name;
	struct dsm_lease_core core;
	enum dsm_lease_event event;
	struct dsm_lease_now now;
	unsigned int actions;
	u8 state;
} steps[] = {
	{ "the first waits", { DSM_LEASE_NONE }, DSM_LEASE_WANTED, { WAITER },
	  DSM_LEASE_LOCK, DSM_LEASE_ASKING },
	{ "the first tries", { DSM_LEASE_NONE }, DSM_LEASE_WANTED, { TRIER },
	  DSM_LEASE_TRYLOCK, DSM_LEASE_TRYING },
	{ "another waits", { DSM_LEASE_ASKING }, DSM_LEASE_WANTED, { WAITER },
	  0, DSM_LEASE_ASKING },
	{ "another waits for one that is here", { DSM_LEASE_OURS }, DSM_LEASE_WANTED, { WAITER },
	  0, DSM_LEASE_OURS },
	{ "one has left", { DSM_LEASE_ASKING }, DSM_LEASE_LEFT, { WAITER },
	  0, DSM_LEASE_ASKING },
	{ "the last has left", { DSM_LEASE_ASKING }, DSM_LEASE_LEFT, { NOBODY },
	  DSM_LEASE_CANCEL, DSM_LEASE_CANCELLING },
	{ "who tried has left", { DSM_LEASE_TRYING }, DSM_LEASE_LEFT, { NOBODY },
	  0, DSM_LEASE_TRYING },
	{ "left the queue of one that is here", { DSM_LEASE_OURS }, DSM_LEASE_LEFT, { NOBODY },
	  0, DSM_LEASE_OURS },
	{ "granted", { DSM_LEASE_ASKING }, DSM_LEASE_GRANTED, { WAITER },
	  DSM_LEASE_HAND, DSM_LEASE_OURS },
	{ "granted, others want it", { DSM_LEASE_ASKING }, DSM_LEASE_GRANTED,
	  { WAITER, .wanted = true }, DSM_LEASE_HAND, DSM_LEASE_OURS },
	{ "granted to nobody", { DSM_LEASE_CANCELLING }, DSM_LEASE_GRANTED,
	  { NOBODY, .keep = true }, DSM_LEASE_KEEP, DSM_LEASE_OURS },
	{ "granted to nobody, others want it", { DSM_LEASE_CANCELLING }, DSM_LEASE_GRANTED,
	  { NOBODY, .wanted = true, .keep = true }, DSM_LEASE_RETURN | DSM_LEASE_FORGET,
	  DSM_LEASE_NONE },
	{ "granted to nobody, no word", { DSM_LEASE_TRYING }, DSM_LEASE_GRANTED, { NOBODY },
	  DSM_LEASE_RETURN | DSM_LEASE_FORGET, DSM_LEASE_NONE },
	{ "granted to who came later", { DSM_LEASE_CANCELLING }, DSM_LEASE_GRANTED, { TRIER },
	  DSM_LEASE_HAND, DSM_LEASE_OURS },
	{ "granted twice", { DSM_LEASE_OURS }, DSM_LEASE_GRANTED, { WAITER },
	  0, DSM_LEASE_OURS },
	{ "busy", { DSM_LEASE_TRYING }, DSM_LEASE_REFUSED, { NOBODY },
	  DSM_LEASE_FORGET, DSM_LEASE_NONE },
	{ "busy, one waits", { DSM_LEASE_TRYING }, DSM_LEASE_REFUSED, { WAITER },
	  DSM_LEASE_LOCK, DSM_LEASE_ASKING },
	{ "busy, another tries", { DSM_LEASE_TRYING }, DSM_LEASE_REFUSED, { TRIER },
	  DSM_LEASE_TRYLOCK, DSM_LEASE_TRYING },
	{ "cancelled", { DSM_LEASE_CANCELLING }, DSM_LEASE_CANCELLED, { NOBODY },
	  DSM_LEASE_FORGET, DSM_LEASE_NONE },
	{ "cancelled, one waits since", { DSM_LEASE_CANCELLING }, DSM_LEASE_CANCELLED, { WAITER },
	  DSM_LEASE_LOCK, DSM_LEASE_ASKING },
	{ "cancelled unasked", { DSM_LEASE_ASKING }, DSM_LEASE_CANCELLED, { WAITER },
	  0, DSM_LEASE_ASKING },
	{ "recalled", { DSM_LEASE_OURS }, DSM_LEASE_RECALLED, { NOBODY, .keep = true },
	  DSM_LEASE_RETURN | DSM_LEASE_FORGET, DSM_LEASE_NONE },
	{ "recalled, held", { DSM_LEASE_OURS }, DSM_LEASE_RECALLED,
	  { NOBODY, .held = true, .keep = true }, 0, DSM_LEASE_OURS },
	{ "recalled too early", { DSM_LEASE_ASKING }, DSM_LEASE_RECALLED, { WAITER },
	  0, DSM_LEASE_ASKING },
	{ "recalled if free", { DSM_LEASE_OURS }, DSM_LEASE_TRIED, { NOBODY, .keep = true },
	  DSM_LEASE_RETURN | DSM_LEASE_FORGET, DSM_LEASE_NONE },
	{ "recalled if free, held", { DSM_LEASE_OURS }, DSM_LEASE_TRIED,
	  { WAITER, .held = true, .keep = true }, DSM_LEASE_BUSY, DSM_LEASE_OURS },
	{ "free", { DSM_LEASE_OURS }, DSM_LEASE_FREED, { NOBODY, .keep = true },
	  DSM_LEASE_KEEP, DSM_LEASE_OURS },
	{ "free, no word", { DSM_LEASE_OURS }, DSM_LEASE_FREED, { NOBODY },
	  DSM_LEASE_RETURN | DSM_LEASE_FORGET, DSM_LEASE_NONE },
	{ "free, one waits", { DSM_LEASE_OURS }, DSM_LEASE_FREED, { WAITER, .keep = true },
	  DSM_LEASE_HAND, DSM_LEASE_OURS },
	{ "free, others want it", { DSM_LEASE_OURS, .wanted = true }, DSM_LEASE_FREED,
	  { NOBODY, .keep = true }, DSM_LEASE_RETURN | DSM_LEASE_FORGET, DSM_LEASE_NONE },
	{ "free, we and others want it", { DSM_LEASE_OURS, .wanted = true }, DSM_LEASE_FREED,
	  { WAITER, .keep = true }, DSM_LEASE_HAND, DSM_LEASE_OURS },
	{ "free, others have wanted it for long",
	  { DSM_LEASE_OURS, .wanted = true, .streak = DSM_LEASE_STREAK_MAX }, DSM_LEASE_FREED,
	  { WAITER, .keep = true }, DSM_LEASE_RETURN | DSM_LEASE_LOCK, DSM_LEASE_ASKING },
};

KUNIT_ARRAY_PARAM_DESC(step, steps, name);

static void step_test(struct kunit *test)
{
	const struct step_param *param = test->param_value;
	struct dsm_lease_core core = param->core;

	KUNIT_EXPECT_EQ(test, dsm_lease_step(&core, param->event, param->now), param->actions);
	KUNIT_EXPECT_EQ(test, core.state, param->state);
	if (param->actions & DSM_LEASE_RETURN) {
		KUNIT_EXPECT_FALSE(test, core.wanted);
		KUNIT_EXPECT_EQ(test, core.streak, 0);
	}
}

/* With threads that want it all the time, it goes to others after so many turns. */
static void streak_test(struct kunit *test)
{
	struct dsm_lease_core core = { DSM_LEASE_OURS };
	struct dsm_lease_now now = { WAITER, .held = true, .keep = true };
	unsigned int i;

	for (i = 0; i < 3 * DSM_LEASE_STREAK_MAX; i++)
		KUNIT_EXPECT_EQ(test, dsm_lease_step(&core, DSM_LEASE_FREED, now), DSM_LEASE_HAND);
	KUNIT_EXPECT_EQ(test, dsm_lease_step(&core, DSM_LEASE_RECALLED, now), 0);
	for (i = 0; i < DSM_LEASE_STREAK_MAX; i++)
		KUNIT_EXPECT_EQ(test, dsm_lease_step(&core, DSM_LEASE_FREED, now), DSM_LEASE_HAND);
	KUNIT_EXPECT_EQ(test, dsm_lease_step(&core, DSM_LEASE_FREED, now),
			DSM_LEASE_RETURN | DSM_LEASE_LOCK);
}

/* ------------------------------------------------------------------------
 * Words
 */

static bool same_word(u64 a, u64 b)
{
	return dsm_word(a) == dsm_word(b) && dsm_word_set(a) == dsm_word_set(b);
}

static void word_test(struct kunit *test)
{
	static u64 offset[200];
	static u8 in_set[DSM_WORDS];
	struct rnd_state rnd;
	unsigned int i, j;

	memset(in_set, 0, sizeof(in_set));
	for (i = 0; i < DSM_WORDS / DSM_WORDS_WAYS; i++)
		in_set[dsm_word_set(i * 64)]++;
	for (i = 0; i < DSM_WORDS; i++) {
		KUNIT_EXPECT_TRUE(test, !in_set[i] || !(i % DSM_WORDS_WAYS));
		KUNIT_EXPECT_LE(test, in_set[i], 2);
	}
	prandom_seed_state(&rnd, 1);
	for (i = 0; i < ARRAY_SIZE(offset); i++)
		offset[i] = (((u64)prandom_u32_state(&rnd) << 32 | prandom_u32_state(&rnd)) &
			     (DSM_REGION_SIZE_MAX - 1)) & ~7ULL;
	offset[0] = 0;
	offset[1] = DSM_REGION_SIZE_MAX - 8;
	for (i = 0; i < ARRAY_SIZE(offset); i++) {
		KUNIT_EXPECT_EQ(test, dsm_word(offset[i]) & (DSM_WORD_OWNER | DSM_WORD_SLOW), 0);
		KUNIT_EXPECT_TRUE(test, dsm_word(offset[i]) & DSM_WORD_HERE);
		KUNIT_EXPECT_LT(test, dsm_word_set(offset[i]), DSM_WORDS);
		for (j = 0; j < i; j++)
			KUNIT_EXPECT_EQ(test, same_word(offset[i], offset[j]),
					offset[i] == offset[j]);
	}
}

/* ------------------------------------------------------------------------
 * Node 0 is the home; 1 and 2 ask
 */

static struct dsm_region *home_create(struct kunit *test)
{
	struct testnode *tn = testnode_create(test, 0, NODES);
	struct dsm_region *region;

	testnode_all_up(tn);
	testnode_acks_stop(tn);
	dsm_opener_init(&file);
	dsm_opener_init(&other_file);
	region = testnode_region(test, REGION, DSM_HOME_CREATOR);
	KUNIT_ASSERT_NOT_NULL(test, dsm_chunk_get(region, 0, GFP_KERNEL));
	return region;
}

static int says(struct kunit *test, u16 from, u8 type, u32 req, u32 op, u32 value)
{
	struct dsm_msg msg = {
		.type = type, .req = req,
		.region = REGION,
		.body_len = sizeof(msg.body.sync),
		.body.sync = {
			.op = cpu_to_le32(op),
			.value = cpu_to_le32(value),
			.offset = cpu_to_le64(AT),
		},
	};

	return testnode_receive(test->priv, from, &msg, false);
}

static void asks(struct kunit *test, u16 from, u32 req, u32 op, u32 value)
{
	KUNIT_EXPECT_EQ(test, says(test, from, DSM_SYNC_REQUEST, req, op, value), 0);
}

/* The next thing that was sent. */
static void expect(struct kunit *test, u16 to, u8 type, u32 req, u32 op, u32 value, u32 error)
{
	struct testnode *tn = test->priv;
	struct dsm_wire_sync sync;

	KUNIT_ASSERT_GT(test, tn->n_sent, 0);
	memcpy(&sync, tn->sent[0].body, sizeof(sync));
	KUNIT_EXPECT_EQ(test, tn->sent[0].peer, to);
	KUNIT_EXPECT_EQ(test, tn->sent[0].hdr.type, type);
	KUNIT_EXPECT_EQ(test, le32_to_cpu(tn->sent[0].hdr.req), req);
	KUNIT_EXPECT_EQ(test, le32_to_cpu(sync.op), op);
	KUNIT_EXPECT_EQ(test, le32_to_cpu(sync.value), value);
	KUNIT_EXPECT_EQ(test, le32_to_cpu(sync.error), error);
	KUNIT_EXPECT_EQ(test, le64_to_cpu(sync.offset), AT);
	memmove(&tn->sent[0], &tn->sent[1], --tn->n_sent * sizeof(tn->sent[0]));
}

static void expect_reply(struct kunit *test, u16 to, u32 req, u32 op, u32 value, u32 error)
{
	expect(test, to, DSM_SYNC_REPLY, req, op, value, error);
}

static void expect_silence(struct kunit *test)
{
	struct testnode *tn = test->priv;

	KUNIT_EXPECT_EQ(test, tn->n_sent, 0);
}

static void home_hand_over_test(struct kunit *test)
{
	home_create(test);
	asks(test, 1, 10, DSM_SYNC_LOCK, 0);
	expect_reply(test, 1, 10, DSM_SYNC_LOCK, 0, 0);
	asks(test, 2, 20, DSM_SYNC_LOCK, 0);
	expect_reply(test, 1, 10, DSM_SYNC_RECALL, 0, 0);
	/* Not of the one that it has. */
	asks(test, 1, 11, DSM_SYNC_RELEASE, 0);
	asks(test, 2, 10, DSM_SYNC_RELEASE, 0);
	expect_silence(test);
	asks(test, 1, 10, DSM_SYNC_RELEASE, DSM_SYNC_OWNERDEAD);
	expect_reply(test, 2, 20, DSM_SYNC_LOCK, DSM_SYNC_OWNERDEAD | DSM_SYNC_WANTED, 0);
	/* Who had to hand it over is back, and who has it knows. */
	asks(test, 1, 12, DSM_SYNC_LOCK, 0);
	expect_silence(test);
	asks(test, 2, 20, DSM_SYNC_RELEASE, 0);
	expect_reply(test, 1, 12, DSM_SYNC_LOCK, DSM_SYNC_WANTED, 0);
	asks(test, 1, 12, DSM_SYNC_RELEASE, 0);
	/* It was free, but that may have been chance. */
	asks(test, 1, 16, DSM_SYNC_LOCK, 0);
	expect_reply(test, 1, 16, DSM_SYNC_LOCK, DSM_SYNC_WANTED, 0);
	asks(test, 1, 16, DSM_SYNC_RELEASE, 0);
	/* Again: it may stay. */
	asks(test, 1, 13, DSM_SYNC_LOCK, 0);
	expect_reply(test, 1, 13, DSM_SYNC_LOCK, 0, 0);
	asks(test, 2, 21, DSM_SYNC_LOCK, 0);
	expect_reply(test, 1, 13, DSM_SYNC_RECALL, 0, 0);
	/* Nobody had it: it may stay there, too. */
	asks(test, 1, 13, DSM_SYNC_RELEASE, DSM_SYNC_UNUSED);
	expect_reply(test, 2, 21, DSM_SYNC_LOCK, 0, 0);
	asks(test, 1, 14, DSM_SYNC_LOCK, 0);
	expect_reply(test, 2, 21, DSM_SYNC_RECALL, 0, 0);
	/* Others wait. */
	asks(test, 1, 15, DSM_SYNC_LOCK, 0);
	asks(test, 2, 21, DSM_SYNC_RELEASE, DSM_SYNC_UNUSED);
	expect_reply(test, 1, 14, DSM_SYNC_LOCK, DSM_SYNC_WANTED, 0);
	asks(test, 1, 14, DSM_SYNC_RELEASE, 0);
	expect_reply(test, 1, 15, DSM_SYNC_LOCK, DSM_SYNC_WANTED, 0);
	asks(test, 1, 15, DSM_SYNC_RELEASE, 0);
	expect_silence(test);
}

static void home_trylock_test(struct kunit *test)
{
	home_create(test);
	asks(test, 1, 10, DSM_SYNC_LOCK, 0);
	expect_reply(test, 1, 10, DSM_SYNC_LOCK, 0, 0);
	asks(test, 2, 20, DSM_SYNC_TRYLOCK, 0);
	expect_reply(test, 1, 10, DSM_SYNC_RECALL, DSM_SYNC_IF_FREE, 0);
	asks(test, 2, 21, DSM_SYNC_TRYLOCK, 0);
	expect_reply(test, 1, 10, DSM_SYNC_RECALL, DSM_SYNC_IF_FREE, 0);
	/* An answer each; one that is out of date is none. */
	asks(test, 1, 9, DSM_SYNC_BUSY, 0);
	expect_silence(test);
	asks(test, 1, 10, DSM_SYNC_BUSY, 0);
	expect_reply(test, 2, 20, DSM_SYNC_TRYLOCK, 0, EBUSY);
	asks(test, 1, 10, DSM_SYNC_RELEASE, 0);
	expect_reply(test, 2, 21, DSM_SYNC_TRYLOCK, 0, 0);
	/* Others wait: it is as good as taken. */
	asks(test, 1, 12, DSM_SYNC_LOCK, 0);
	expect_reply(test, 2, 21, DSM_SYNC_RECALL, 0, 0);
	asks(test, 1, 13, DSM_SYNC_TRYLOCK, 0);
	expect_reply(test, 1, 13, DSM_SYNC_TRYLOCK, 0, EBUSY);
	asks(test, 1, 12, DSM_SYNC_CANCEL, 0);
	expect_reply(test, 1, 12, DSM_SYNC_CANCEL, 0, 0);
	/* BUSY of what was not asked. */
	asks(test, 2, 21, DSM_SYNC_BUSY, 0);
	asks(test, 2, 21, DSM_SYNC_RELEASE, 0);
	expect_silence(test);
}

/* Until it is given back nobody knows whether the mutex is in use. */
static void home_other_kind_test(struct kunit *test)
{
	home_create(test);
	asks(test, 1, 10, DSM_SYNC_LOCK, 0);
	expect_reply(test, 1, 10, DSM_SYNC_LOCK, 0, 0);
	asks(test, 2, 20, DSM_SYNC_BARRIER, 2);
	expect_reply(test, 1, 10, DSM_SYNC_RECALL, DSM_SYNC_IF_FREE, 0);
	asks(test, 1, 10, DSM_SYNC_BUSY, 0);
	expect_reply(test, 2, 20, DSM_SYNC_BARRIER, 0, EINVAL);
	asks(test, 2, 21, DSM_SYNC_BARRIER, 2);
	expect_reply(test, 1, 10, DSM_SYNC_RECALL, DSM_SYNC_IF_FREE, 0);
	asks(test, 2, 22, DSM_SYNC_WAKE, 1);
	expect_reply(test, 1, 10, DSM_SYNC_RECALL, DSM_SYNC_IF_FREE, 0);
	asks(test, 2, 23, DSM_SYNC_BARRIER, 2);
	expect_reply(test, 1, 10, DSM_SYNC_RECALL, DSM_SYNC_IF_FREE, 0);
	asks(test, 2, 23, DSM_SYNC_CANCEL, 0);
	expect_reply(test, 2, 23, DSM_SYNC_CANCEL, 0, 0);
	asks(test, 1, 10, DSM_SYNC_RELEASE, 0);
	expect_reply(test, 2, 22, DSM_SYNC_WAKE, 0, EINVAL);
	asks(test, 1, 11, DSM_SYNC_BARRIER, 2);
	expect_reply(test, 2, 21, DSM_SYNC_BARRIER, 0, 0);
	expect_reply(test, 1, 11, DSM_SYNC_BARRIER, DSM_SYNC_SERIAL, 0);
	expect_silence(test);
}

/* ------------------------------------------------------------------------
 * Node 0 is the home and has it
 */

static long sync_op(struct dsm_region *region, u32 op, u64 offset, u64 timeout_ns, u32 *result)
{
	struct dsm_sync_arg arg = { .op = op, .offset = offset, .timeout_ns = timeout_ns };
	long err = dsm_sync_ioctl(region, &file, &arg);

	*result = arg.result;
	return err;
}

static long lock(struct dsm_region *region, u64 offset)
{
	u32 result;

	return sync_op(region, DSM_SYNC_LOCK, offset, 0, &result);
}

static long unlock(struct dsm_region *region, u64 offset)
{
	u32 result;

	return sync_op(region, DSM_SYNC_UNLOCK, offset, 0, &result);
}

static u64 attach(struct kunit *test, struct dsm_region *region)
{
	u32 number = 0, again;

	KUNIT_ASSERT_EQ(test, dsm_words_attach(region, &file, &number), 0);
	KUNIT_EXPECT_EQ(test, dsm_words_attach(region, &file, &again), 0);
	KUNIT_EXPECT_EQ(test, again, number);
	KUNIT_EXPECT_GT(test, number, 0);
	return number << DSM_WORD_THREAD_BITS | task_pid_vnr(current);
}

/* The mutex's word, or NULL. */
static atomic64_t *word_of(struct dsm_region *region, u64 offset)
{
	atomic64_t *word = region->words->word + dsm_word_set(offset);
	int i;

	for (i = 0; i < DSM_WORDS_WAYS; i++)
		if ((atomic64_read(&word[i]) & ~(DSM_WORD_SLOW | DSM_WORD_OWNER)) ==
		    dsm_word(offset))
			return &word[i];
	return NULL;
}

static void words_test(struct kunit *test)
{
	struct dsm_region *region = home_create(test);
	atomic64_t *word;
	u64 me;

	/* Nobody has attached: as without words. */
	KUNIT_EXPECT_EQ(test, lock(region, AT), 0);
	KUNIT_EXPECT_EQ(test, lock(region, AT), -EDEADLK);
	KUNIT_EXPECT_EQ(test, unlock(region, AT), 0);
	KUNIT_EXPECT_TRUE(test, list_empty(&region->leases));

	me = attach(test, region);
	KUNIT_EXPECT_EQ(test, lock(region, AT), 0);
	word = word_of(region, AT);
	KUNIT_ASSERT_NOT_NULL(test, word);
	KUNIT_EXPECT_EQ(test, atomic64_read(word), dsm_word(AT) | me);
	KUNIT_EXPECT_EQ(test, unlock(region, AT), 0);
	KUNIT_EXPECT_EQ(test, atomic64_read(word), dsm_word(AT));
	KUNIT_EXPECT_EQ(test, unlock(region, AT), -EPERM);
	KUNIT_EXPECT_EQ(test, atomic64_read(word), dsm_word(AT));
	/* The process takes it by itself. */
	atomic64_set(word, dsm_word(AT) | me);
	KUNIT_EXPECT_EQ(test, lock(region, AT), -EDEADLK);
	asks(test, 1, 10, DSM_SYNC_TRYLOCK, 0);
	expect_reply(test, 1, 10, DSM_SYNC_TRYLOCK, 0, EBUSY);
	asks(test, 1, 11, DSM_SYNC_BARRIER, 1);
	expect_reply(test, 1, 11, DSM_SYNC_BARRIER, 0, EINVAL);
	KUNIT_EXPECT_EQ(test, atomic64_read(word), dsm_word(AT) | me);
	asks(test, 1, 12, DSM_SYNC_LOCK, 0);
	expect_silence(test);
	KUNIT_EXPECT_EQ(test, atomic64_read(word), dsm_word(AT) | me | DSM_WORD_SLOW);
	KUNIT_EXPECT_EQ(test, unlock(region, AT), 0);
	expect_reply(test, 1, 12, DSM_SYNC_LOCK, DSM_SYNC_WANTED, 0);
	KUNIT_EXPECT_PTR_EQ(test, word_of(region, AT), NULL);
	KUNIT_EXPECT_EQ(test, atomic64_read(word), 0);
	KUNIT_EXPECT_TRUE(test, list_empty(&region->leases));
	asks(test, 1, 12, DSM_SYNC_RELEASE, 0);

	/* Two nodes have taken turns: it does not stay, once. */
	KUNIT_EXPECT_EQ(test, lock(region, AT), 0);
	KUNIT_EXPECT_EQ(test, unlock(region, AT), 0);
	KUNIT_EXPECT_TRUE(test, list_empty(&region->leases));
	/* Free, and wanted: it goes at once. */
	KUNIT_EXPECT_EQ(test, lock(region, AT), 0);
	KUNIT_EXPECT_EQ(test, unlock(region, AT), 0);
	asks(test, 2, 20, DSM_SYNC_LOCK, 0);
	expect_reply(test, 2, 20, DSM_SYNC_LOCK, 0, 0);
	asks(test, 2, 20, DSM_SYNC_RELEASE, 0);
	/* The last process has gone, and with it what nobody holds. */
	KUNIT_EXPECT_EQ(test, lock(region, AT), 0);
	KUNIT_EXPECT_EQ(test, unlock(region, AT), 0);
	KUNIT_EXPECT_FALSE(test, list_empty(&region->leases));
	dsm_sync_release_process(region, &other_file, current->files);
	KUNIT_EXPECT_FALSE(test, list_empty(&region->leases));
	dsm_sync_release_process(region, &file, current->files);
	KUNIT_EXPECT_TRUE(test, list_empty(&region->leases));
	KUNIT_EXPECT_EQ(test, region->words->processes, 0);
	KUNIT_EXPECT_EQ(test, region->words->limit, 1);
}

static void death_test(struct kunit *test)
{
	struct dsm_region *region = home_create(test);
	u32 result;
	u64 me;

	/* The word says who held it; two wait elsewhere. */
	me = attach(test, region);
	KUNIT_EXPECT_EQ(test, lock(region, AT), 0);
	KUNIT_EXPECT_EQ(test, unlock(region, AT), 0);
	atomic64_set(word_of(region, AT), dsm_word(AT) | me);
	asks(test, 1, 10, DSM_SYNC_LOCK, 0);
	asks(test, 2, 20, DSM_SYNC_LOCK, 0);
	expect_silence(test);
	dsm_sync_release_file(region, &file);
	expect_reply(test, 1, 10, DSM_SYNC_LOCK, DSM_SYNC_OWNERDEAD | DSM_SYNC_WANTED, 0);
	asks(test, 1, 10, DSM_SYNC_RELEASE, 0);
	expect_reply(test, 2, 20, DSM_SYNC_LOCK, DSM_SYNC_WANTED, 0);
	asks(test, 2, 20, DSM_SYNC_RELEASE, 0);

	/* Nobody waits: it is told to the next. */
	attach(test, region);
	KUNIT_EXPECT_EQ(test, lock(region, AT), 0);
	dsm_sync_release_process(region, &file, current->files);
	KUNIT_EXPECT_EQ(test, sync_op(region, DSM_SYNC_TRYLOCK, AT, 0, &result), 0);
	KUNIT_EXPECT_EQ(test, result, DSM_SYNC_OWNERDEAD);
	KUNIT_EXPECT_EQ(test, unlock(region, AT), 0);
	expect_silence(test);
}

/* Whatever a process writes there, its mutex is all that suffers. */
static void lies_test(struct kunit *test)
{
	struct dsm_region *region = home_create(test);
	atomic64_t *word;
	const u64 lies[] = {
		0, U64_MAX, DSM_WORD_SLOW, DSM_WORD_OWNER, ~dsm_word(AT),
		dsm_word(AT) | 1, dsm_word(AT) | 5U << DSM_WORD_THREAD_BITS | 1,
		dsm_word(AT) | DSM_WORD_PROCESS_OTHER << DSM_WORD_THREAD_BITS | 1,
		dsm_word(2 * AT) | DSM_WORD_SLOW,
	};
	u32 result;
	int i;

	attach(test, region);
	for (i = 0; i < ARRAY_SIZE(lies); i++) {
		KUNIT_EXPECT_EQ(test, lock(region, AT), 0);
		word = word_of(region, AT);
		KUNIT_ASSERT_NOT_NULL(test, word);
		atomic64_set(word, lies[i]);
		/* None of them names a process: it is free. */
		KUNIT_EXPECT_EQ(test, unlock(region, AT), -EPERM);
		KUNIT_EXPECT_EQ(test, sync_op(region, DSM_SYNC_TRYLOCK, AT, 0, &result), 0);
		atomic64_set(word, lies[i]);
		asks(test, 1, 100 + i, DSM_SYNC_LOCK, 0);
		expect_reply(test, 1, 100 + i, DSM_SYNC_LOCK, 0, 0);
		KUNIT_EXPECT_EQ(test, atomic64_read(word), 0);
		atomic64_set(word, lies[i]);
		asks(test, 1, 100 + i, DSM_SYNC_RELEASE, 0);
	}
	expect_silence(test);
}

/* A node for which too much is kept gets nothing more; what it has works, and so do others. */
static void kept_test(struct kunit *test)
{
	atomic_t *kept = &home_create(test)->node->sync->kept[1];
	int before;

	asks(test, 1, 10, DSM_SYNC_LOCK, 0);
	expect_reply(test, 1, 10, DSM_SYNC_LOCK, 0, 0);
	before = atomic_xchg(kept, DSM_SYNC_KEPT_MAX);
	asks(test, 1, 11, DSM_SYNC_BARRIER, 2);
	expect_reply(test, 1, 11, DSM_SYNC_BARRIER, 0, ENOSPC);
	asks(test, 1, 10, DSM_SYNC_RELEASE, 0);
	asks(test, 2, 20, DSM_SYNC_LOCK, 0);
	expect_reply(test, 2, 20, DSM_SYNC_LOCK, 0, 0);
	atomic_sub(DSM_SYNC_KEPT_MAX - before, kept);
}

/* More mutexes than words that they can have. */
static void crowd_test(struct kunit *test)
{
	struct dsm_region *region = home_create(test);
	u64 offset[DSM_WORDS_WAYS + 2];
	unsigned int n = 0, here = 0, i;
	u64 at;

	for (at = 0; n < ARRAY_SIZE(offset); at += 8)
		if (dsm_word_set(at) == dsm_word_set(AT))
			offset[n++] = at;
	KUNIT_ASSERT_LT(test, at, DSM_CHUNK_SIZE);
	attach(test, region);
	/* Those that are free make room. */
	for (i = 0; i < n; i++) {
		KUNIT_EXPECT_EQ(test, lock(region, offset[i]), 0);
		KUNIT_EXPECT_NOT_NULL(test, word_of(region, offset[i]));
		KUNIT_EXPECT_EQ(test, unlock(region, offset[i]), 0);
	}
	for (i = 0; i < n; i++)
		here += !!word_of(region, offset[i]);
	KUNIT_EXPECT_GT(test, here, 0);
	KUNIT_EXPECT_LE(test, here, DSM_WORDS_WAYS);
	KUNIT_EXPECT_EQ(test, list_count_nodes(&region->leases), here);
	/* Those that are held do not. */
	for (i = 0; i < n; i++) {
		KUNIT_EXPECT_EQ(test, lock(region, offset[i]), 0);
		KUNIT_EXPECT_EQ(test, !!word_of(region, offset[i]), i < DSM_WORDS_WAYS);
	}
	for (i = 0; i < n; i++) {
		KUNIT_EXPECT_EQ(test, lock(region, offset[i]), -EDEADLK);
		KUNIT_EXPECT_EQ(test, unlock(region, offset[i]), 0);
	}
	KUNIT_EXPECT_EQ(test, list_count_nodes(&region->leases), DSM_WORDS_WAYS);
}

static void numbers_test(struct kunit *test)
{
	struct dsm_region *region = home_create(test);
	struct dsm_opener *files;
	u32 number, i;

	files = kunit_kcalloc(test, DSM_WORD_PROCESS_OTHER, sizeof(*files), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, files);
	for (i = 0; i < DSM_WORD_PROCESS_OTHER; i++)
		dsm_opener_init(&files[i]);
	testmem_fail(1, 1);
	KUNIT_EXPECT_EQ(test, dsm_words_attach(region, files, &number), -ENOMEM);
	testmem_fail(0, 0);
	for (i = 1; i < DSM_WORD_PROCESS_OTHER; i++) {
		KUNIT_EXPECT_EQ(test, dsm_words_attach(region, &files[i], &number), 0);
		KUNIT_EXPECT_EQ(test, number, i);
	}
	KUNIT_EXPECT_EQ(test, dsm_words_attach(region, files, &number), -ENOSPC);
	dsm_sync_release_file(region, &files[3]);
	KUNIT_EXPECT_EQ(test, dsm_words_attach(region, files, &number), 0);
	KUNIT_EXPECT_EQ(test, number, 3);
}

/* ------------------------------------------------------------------------
 * Node 1 asks node 0
 */

static void asking_test(struct kunit *test)
{
	struct testnode *tn = testnode_create(test, 1, NODES);
	struct dsm_region *region;
	u32 result, req;

	testnode_all_up(tn);
	testnode_acks_stop(tn);
	region = testnode_region(test, REGION, DSM_HOME_CREATOR);

	tn->node->timeout_ms = 10;
	/* Nobody waits any longer when it comes. */
	KUNIT_EXPECT_EQ(test, sync_op(region, DSM_SYNC_LOCK, AT, NSEC_PER_MSEC, &result),
			-ETIMEDOUT);
	req = le32_to_cpu(tn->sent[0].hdr.req);
	expect(test, 0, DSM_SYNC_REQUEST, req, DSM_SYNC_LOCK, 0, 0);
	expect(test, 0, DSM_SYNC_REQUEST, req, DSM_SYNC_CANCEL, 0, 0);
	KUNIT_EXPECT_EQ(test, says(test, 2, DSM_SYNC_REPLY, req, DSM_SYNC_LOCK, 0), -EPROTO);
	KUNIT_EXPECT_EQ(test, says(test, 0, DSM_SYNC_REPLY, req, DSM_SYNC_LOCK, 8), -EPROTO);
	KUNIT_EXPECT_EQ(test, says(test, 0, DSM_SYNC_REPLY, req, DSM_SYNC_TRYLOCK, 0), -EPROTO);
	KUNIT_EXPECT_EQ(test, says(test, 0, DSM_SYNC_REPLY, req + 1, DSM_SYNC_LOCK, 0), -EPROTO);
	KUNIT_EXPECT_EQ(test, says(test, 0, DSM_SYNC_REPLY, req, DSM_SYNC_LOCK,
				   DSM_SYNC_OWNERDEAD), 0);
	expect(test, 0, DSM_SYNC_REQUEST, req, DSM_SYNC_RELEASE,
	       DSM_SYNC_OWNERDEAD | DSM_SYNC_UNUSED, 0);
	KUNIT_EXPECT_TRUE(test, list_empty(&region->leases));

	/* It was taken back in time. */
	KUNIT_EXPECT_EQ(test, sync_op(region, DSM_SYNC_LOCK, AT, NSEC_PER_MSEC, &result),
			-ETIMEDOUT);
	req = le32_to_cpu(tn->sent[0].hdr.req);
	tn->n_sent = 0;
	/* One who only tries is asked for after that, and gets no answer. */
	KUNIT_EXPECT_EQ(test, sync_op(region, DSM_SYNC_TRYLOCK, AT, 0, &result), -EIO);
	expect_silence(test);
	KUNIT_EXPECT_EQ(test, says(test, 0, DSM_SYNC_REPLY, req, DSM_SYNC_CANCEL, 0), 0);
	expect_silence(test);
	KUNIT_EXPECT_TRUE(test, list_empty(&region->leases));

	KUNIT_EXPECT_EQ(test, sync_op(region, DSM_SYNC_TRYLOCK, AT, 0, &result), -EIO);
	req = le32_to_cpu(tn->sent[0].hdr.req);
	expect(test, 0, DSM_SYNC_REQUEST, req, DSM_SYNC_TRYLOCK, 0, 0);
	KUNIT_EXPECT_EQ(test, says(test, 0, DSM_SYNC_REPLY, req, DSM_SYNC_TRYLOCK,
				   DSM_SYNC_WANTED), 0);
	expect(test, 0, DSM_SYNC_REQUEST, req, DSM_SYNC_RELEASE, DSM_SYNC_UNUSED, 0);
	KUNIT_EXPECT_TRUE(test, list_empty(&region->leases));

	/* A RECALL of what we do not have, or no more, says nothing. */
	KUNIT_EXPECT_EQ(test, says(test, 0, DSM_SYNC_REPLY, req, DSM_SYNC_RECALL, 0), 0);
	KUNIT_EXPECT_EQ(test, says(test, 0, DSM_SYNC_REPLY, req, DSM_SYNC_RECALL,
				   DSM_SYNC_IF_FREE), 0);
	KUNIT_EXPECT_EQ(test, says(test, 0, DSM_SYNC_REPLY, req, DSM_SYNC_RECALL, 2), -EPROTO);
	expect_silence(test);
}

/* No allocation too few: it is locked or not, and nothing is left over. */
static void memory_test(struct kunit *test)
{
	struct dsm_region *region = home_create(test);
	unsigned int nth, failed = 0;
	long err;

	for (nth = 1;; nth++) {
		testmem_fail(nth, 1);
		err = lock(region, AT);
		testmem_fail(0, 0);
		if (!err)
			break;
		KUNIT_EXPECT_EQ(test, err, -ENOMEM);
		KUNIT_EXPECT_TRUE(test, list_empty(&region->leases));
		failed++;
		KUNIT_ASSERT_LT(test, nth, 100);
	}
	KUNIT_EXPECT_GE(test, failed, 5);
	KUNIT_EXPECT_EQ(test, unlock(region, AT), 0);
}

static u64 looked_at(struct dsm_region *region)
{
	u64 n = region->node->sync->looked_at;

	region->node->sync->looked_at = 0;
	return n;
}

/* What others hold costs the closing of a file nothing; nor what is merely kept here. */
static void close_bound_test(struct kunit *test)
{
	struct dsm_region *region = home_create(test);
	unsigned int i;

	for (i = 0; i < MANY; i++)
		KUNIT_ASSERT_EQ(test, lock(region, 8 * i), 0);
	KUNIT_EXPECT_EQ(test, file.n_holds, MANY);
	dsm_sync_release_process(region, &other_file, current->files);
	dsm_sync_release_file(region, &other_file);
	KUNIT_EXPECT_EQ(test, looked_at(region), 0);
	for (i = 1; i < MANY; i++)
		KUNIT_EXPECT_EQ(test, unlock(region, 8 * i), 0);
	dsm_sync_release_file(region, &file);
	KUNIT_EXPECT_EQ(test, looked_at(region), 1);
	KUNIT_EXPECT_EQ(test, file.n_holds, 0);

	/* With a number, words say who holds what; they are looked at when it is given back. */
	attach(test, region);
	for (i = 1; i < MANY; i++) {
		KUNIT_ASSERT_EQ(test, lock(region, 8 * i), 0);
		KUNIT_EXPECT_EQ(test, unlock(region, 8 * i), 0);
	}
	KUNIT_EXPECT_EQ(test, file.n_holds, 0);
	dsm_sync_release_file(region, &other_file);
	KUNIT_EXPECT_EQ(test, looked_at(region), 0);
	dsm_sync_release_file(region, &file);
	KUNIT_EXPECT_GT(test, looked_at(region), 0);
	KUNIT_EXPECT_EQ(test, file.numbers, 0);
	KUNIT_EXPECT_TRUE(test, list_empty(&region->leases));
}

/* A user who has too many gives a few back at a time, the oldest first, none in use. */
static void trim_test(struct kunit *test)
{
	struct dsm_region *region = home_create(test);
	struct dsm_user *user = dsm_user_get(region->node, current_fsuid());
	struct dsm_user *nobody = dsm_user_get(region->node, make_kuid(&init_user_ns, 65534));
	unsigned int i, left;

	KUNIT_ASSERT_NOT_NULL(test, user);
	KUNIT_ASSERT_NOT_NULL(test, nobody);
	attach(test, region);
	for (i = 0; i < MANY; i++) {
		KUNIT_ASSERT_EQ(test, lock(region, 8 * i), 0);
		/* Every second one is in use. */
		if (i % 2)
			KUNIT_EXPECT_EQ(test, unlock(region, 8 * i), 0);
	}
	KUNIT_EXPECT_EQ(test, user->n_kept, MANY);
	looked_at(region);
	dsm_lease_trim(region->node, nobody);
	KUNIT_EXPECT_EQ(test, looked_at(region), 0);
	dsm_lease_trim(region->node, user);
	left = user->n_kept;
	KUNIT_EXPECT_LT(test, left, MANY);
	KUNIT_EXPECT_GE(test, left, MANY / 2 + MANY / 4);
	KUNIT_EXPECT_EQ(test, looked_at(region), 2 * (MANY - left));
	KUNIT_EXPECT_NULL(test, word_of(region, 8));
	KUNIT_EXPECT_NOT_NULL(test, word_of(region, 0));
	/* Until none is left but those in use. */
	for (i = 0; i < MANY; i++)
		dsm_lease_trim(region->node, user);
	KUNIT_EXPECT_EQ(test, user->n_kept, MANY / 2);
	for (i = 0; i < MANY; i += 2)
		KUNIT_EXPECT_EQ(test, unlock(region, 8 * i), 0);
	dsm_sync_release_file(region, &file);
	dsm_user_put(nobody);
	dsm_user_put(user);
}

static struct kunit_case lease_cases[] = {
	KUNIT_CASE_PARAM(step_test, step_gen_params),
	KUNIT_CASE(streak_test),
	KUNIT_CASE(word_test),
	KUNIT_CASE(home_hand_over_test),
	KUNIT_CASE(home_trylock_test),
	KUNIT_CASE(home_other_kind_test),
	KUNIT_CASE(words_test),
	KUNIT_CASE(death_test),
	KUNIT_CASE(lies_test),
	KUNIT_CASE(kept_test),
	KUNIT_CASE(crowd_test),
	KUNIT_CASE(numbers_test),
	KUNIT_CASE(close_bound_test),
	KUNIT_CASE(trim_test),
	KUNIT_CASE(asking_test),
	KUNIT_CASE(memory_test),
	{}
};

static struct kunit_suite lease_suite = {
	.name = "dsm_lease",
	.suite_init = testnode_suite_init,
	.suite_exit = testnode_suite_exit,
	.exit = testnode_destroy,
	.test_cases = lease_cases,
};

kunit_test_suite(lease_suite);
