/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Tests of a cluster, like the kernel's kselftest_harness.h.
 *
 * A program runs on every node of a cluster at once (selftests/vm/cluster), and each instance
 * writes TAP. A test runs in a process of its own, on all nodes in the same order, and has a
 * time limit. When a test fails on a node, the program ends there, since the other nodes would
 * wait for it in vain.
 *
 * 	TEST(name) { ... }		300 s
 * 	TEST_SECONDS(name, s) { ... }
 *
 * Time limits, here and in WAIT_FOR(), are for an ordinary kernel. A debug kernel gets more,
 * see patience().
 *
 * EXPECT_* notes a failure and goes on, ASSERT_* ends the test.
 */
#ifndef SELFTESTS_TEST_H
#define SELFTESTS_TEST_H

#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/types.h>

#include <dsm.h>

struct test {
	const char *name;
	void (*run)(void);
	unsigned int seconds;
	struct test *next;
};

void test_register(struct test *test);

#define TEST(name) TEST_SECONDS(name, 300)
#define TEST_SECONDS(name, s)						\
	static void name(void);						\
	static struct test test_##name = { #name, name, s, NULL };	\
	static void __attribute__((constructor)) register_##name(void)	\
	{								\
		test_register(&test_##name);				\
	}								\
	static void name(void)

/* A test for each block size and home policy. */
#define TEST_EVERY_KIND(function)						\
	TEST(function##_first_touch_4k) { function(DSM_HOME_FIRST_TOUCH, 4096); } \
	TEST(function##_first_touch_64k) { function(DSM_HOME_FIRST_TOUCH, 65536); } \
	TEST(function##_interleaved_4k) { function(DSM_HOME_INTERLEAVED, 4096); } \
	TEST(function##_interleaved_64k) { function(DSM_HOME_INTERLEAVED, 65536); } \
	TEST(function##_creator_4k) { function(DSM_HOME_CREATOR, 4096); }	\
	TEST(function##_creator_64k) { function(DSM_HOME_CREATOR, 65536); }

/* ---- results ------------------------------------------------------------ */

/* A TAP comment. */
void note(const char *format, ...) __attribute__((format(printf, 1, 2)));

void test_failed(const char *file, int line, bool stop, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

/* Skip the rest of the test. */
void skip(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

#define TEST_COMPARE(a, op, b, stop) do {				\
	__typeof__(a) a_ = (a);						\
	__typeof__(b) b_ = (b);						\
									\
	if (!(a_ op b_))						\
		test_failed(__FILE__, __LINE__, stop,			\
			    "expected %s %s %s: %lld, %lld", #a, #op, #b, \
			    (long long)(intptr_t)a_, (long long)(intptr_t)b_); \
} while (0)

/* Expect @call to return -1 and to set errno to @error. */
#define TEST_ERRNO(call, error, stop) do {				\
	long long ret_, errno_;						\
									\
	errno = 0;							\
	ret_ = (long long)(intptr_t)(call);				\
	errno_ = errno;							\
	if (ret_ != -1 || errno_ != (error))				\
		test_failed(__FILE__, __LINE__, stop,			\
			    "expected %s to fail with %s: returned %lld, %s", \
			    #call, #error, ret_, strerror(errno_));	\
} while (0)

/* Expect @call not to return -1. */
#define TEST_OK(call, stop) do {					\
	errno = 0;							\
	if ((intptr_t)(call) == -1)					\
		test_failed(__FILE__, __LINE__, stop, "%s: %s", #call,	\
			    strerror(errno));				\
} while (0)

#define EXPECT_EQ(a, b)		TEST_COMPARE(a, ==, b, false)
#define EXPECT_NE(a, b)		TEST_COMPARE(a, !=, b, false)
#define EXPECT_LT(a, b)		TEST_COMPARE(a, <, b, false)
#define EXPECT_LE(a, b)		TEST_COMPARE(a, <=, b, false)
#define EXPECT_GE(a, b)		TEST_COMPARE(a, >=, b, false)
#define EXPECT_GT(a, b)		TEST_COMPARE(a, >, b, false)
#define EXPECT_TRUE(a)		TEST_COMPARE((bool)(a), ==, true, false)
#define EXPECT_ERRNO(call, error) TEST_ERRNO(call, error, false)
#define EXPECT_OK(call)		TEST_OK(call, false)

#define ASSERT_EQ(a, b)		TEST_COMPARE(a, ==, b, true)
#define ASSERT_NE(a, b)		TEST_COMPARE(a, !=, b, true)
#define ASSERT_LT(a, b)		TEST_COMPARE(a, <, b, true)
#define ASSERT_LE(a, b)		TEST_COMPARE(a, <=, b, true)
#define ASSERT_GE(a, b)		TEST_COMPARE(a, >=, b, true)
#define ASSERT_GT(a, b)		TEST_COMPARE(a, >, b, true)
#define ASSERT_TRUE(a)		TEST_COMPARE((bool)(a), ==, true, true)
#define ASSERT_OK(call)		TEST_OK(call, true)

/* ---- the cluster --------------------------------------------------------- */

/* This node, from 0, and how many there are. */
int node(void);
int nodes(void);

/*
 * Returns when every node has called it. @name may be used once in a test. Does not use what
 * is tested.
 */
void together(const char *format, ...) __attribute__((format(printf, 1, 2)));

/*
 * A region that node 0 creates and all others open, named after the test. Ends the test if
 * that fails. All nodes call unshare_region(), too: when it returns, the name is gone.
 */
dsm_region *share_region(size_t size, int home, size_t block_size);
void unshare_region(dsm_region *region);

/* Without libdsm: /dev/dsm after the handshake, bound to the test's region. */
int open_device(void);
int open_bound(unsigned int flags);

/* The name of the test's region. */
const char *region_name(void);

/* Run a program found in PATH; returns its exit status, or 128 + a signal's number. */
int run(const char *program, ...) __attribute__((sentinel));

/* The status with which a child ends. */
int wait_status(pid_t pid);
/* The same of a new child that calls @what. Its failures are the test's. */
int in_child(void (*what)(void));

/* Give up root's rights, as the user whose number is @plus above the unprivileged one's. */
void become_user(uid_t plus);

/* The process id of this node's dsmd. */
int helper_pid(void);

/* The state of a process, or of a thread of this one: 'R', 'S', 'D', ... */
char task_state(pid_t tid);

/* The signal that an access raises; 0 for none. The contents stay as they are. */
int access_signal(const void *at, bool write);

/* A file below /sys/class/dsm/node. */
long long node_get(const char *file);
/* 0 or an error number */
int node_set(const char *file, long long value);
int node_write(const char *file, const char *text);
/* A counter of the test's region. */
long long region_stat(const char *counter);
/* The frames exchanged with all peers. */
long long frames_exchanged(void);

/* ---- time, numbers ------------------------------------------------------- */

/* Seconds, monotonic. */
double seconds(void);

/*
 * The seconds in this kernel that correspond to @s seconds in an ordinary one; $SLOWNESS, from
 * the cluster.
 */
unsigned int patience(unsigned int s);

/* Wait until @condition, at most patience(@s) seconds; did it become true? */
#define WAIT_FOR(condition, s) ({					\
	double end_ = seconds() + patience(s);				\
	bool done_;							\
									\
	while (!(done_ = (condition)) && seconds() < end_)		\
		test_pause();						\
	done_;								\
})
void test_pause(void);

/* Printed at the start: $SEED, or random. Each node has its own. */
uint64_t seed(void);
/* splitmix64 */
uint64_t random_next(uint64_t *state);
uint64_t random_hash(uint64_t a, uint64_t b);

/* The 64-bit word @index of @base, as an atomic. */
static inline _Atomic uint64_t *word(const void *base, size_t index)
{
	return (_Atomic uint64_t *)(uintptr_t)base + index;
}

#endif /* SELFTESTS_TEST_H */
