// SPDX-License-Identifier: GPL-2.0
/* libdsm's mutexes, condition variables and barriers on several nodes: a part of api. */
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "test.h"

static struct timespec in_ms(long ms)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	t.tv_nsec += ms % 1000 * 1000000;
	t.tv_sec += ms / 1000 + t.tv_nsec / 1000000000;
	t.tv_nsec %= 1000000000;
	return t;
}

struct shared {
	dsm_mutex_t mutex;
	dsm_cond_t cond;
	dsm_barrier_t barrier;
	char pad[4096 - 3 * 64];
	volatile uint64_t counter;	/* guarded by mutex; in a block of its own */
	volatile uint64_t turn;
	_Atomic uint64_t serials;
	_Atomic uint64_t arrived;
	_Atomic int64_t pid;
};

static struct shared *share_objects(dsm_region **region)
{
	struct shared *shared;

	*region = share_region(65536, DSM_HOME_DEFAULT, 0);
	shared = dsm_base(*region);
	if (!node()) {
		ASSERT_EQ(dsm_mutex_init(&shared->mutex, NULL), 0);
		ASSERT_EQ(dsm_cond_init(&shared->cond), 0);
		ASSERT_EQ(dsm_barrier_init(&shared->barrier, nodes()), 0);
	}
	together("objects-made");
	return shared;
}

TEST(mutex_excludes)
{
	enum { TIMES = 300 };
	dsm_region *region;
	struct shared *shared = share_objects(&region);

	for (int i = 0; i < TIMES; i++) {
		uint64_t old;

		ASSERT_EQ(dsm_mutex_lock(&shared->mutex), 0);
		old = shared->counter;
		if (!(i % 64))
			test_pause();
		shared->counter = old + 1;
		ASSERT_EQ(dsm_mutex_unlock(&shared->mutex), 0);
	}
	together("counted");
	EXPECT_EQ(shared->counter, nodes() * TIMES);
	unshare_region(region);
}

static void *lock_many(void *arg)
{
	struct shared *shared = arg;

	for (int i = 0; i < 100; i++) {
		if (dsm_mutex_lock(&shared->mutex))
			return arg;
		shared->counter++;
		if (dsm_mutex_unlock(&shared->mutex))
			return arg;
	}
	return NULL;
}

TEST(mutex_excludes_threads)
{
	dsm_region *region;
	struct shared *shared = share_objects(&region);
	pthread_t threads[3];

	for (int i = 0; i < 3; i++)
		ASSERT_EQ(pthread_create(&threads[i], NULL, lock_many, shared), 0);
	for (int i = 0; i < 3; i++) {
		void *failed;

		ASSERT_EQ(pthread_join(threads[i], &failed), 0);
		EXPECT_EQ(failed, NULL);
	}
	together("counted");
	EXPECT_EQ(shared->counter, nodes() * 300);
	unshare_region(region);
}

TEST(mutex_errors)
{
	struct timespec soon = in_ms(100), past = in_ms(-1000), never = { .tv_nsec = 1000000000 };
	struct dsm_mutexattr attr = { .flags = 1 };
	dsm_region *region;
	struct shared *shared = share_objects(&region);
	dsm_mutex_t private;
	double start;

	EXPECT_EQ(dsm_mutex_init(&private, NULL), EINVAL);
	EXPECT_EQ(dsm_mutex_init((void *)((char *)&shared->mutex + 4), NULL), EINVAL);
	EXPECT_EQ(dsm_mutex_lock((dsm_mutex_t *)&shared->cond), EINVAL);
	if (!node()) {
		EXPECT_EQ(dsm_mutex_init((dsm_mutex_t *)((char *)shared + 8192), &attr), EINVAL);
		EXPECT_EQ(dsm_mutex_lock((dsm_mutex_t *)((char *)shared + 8192)), EINVAL);
		ASSERT_EQ(dsm_mutex_lock(&shared->mutex), 0);
		EXPECT_EQ(dsm_mutex_lock(&shared->mutex), EDEADLK);
		EXPECT_EQ(dsm_mutex_timedlock(&shared->mutex, &soon), EDEADLK);
		EXPECT_EQ(dsm_mutex_timedlock(&shared->mutex, &past), EDEADLK);
		EXPECT_EQ(dsm_mutex_destroy(&shared->mutex), EBUSY);
	}
	together("locked");
	if (node()) {
		EXPECT_EQ(dsm_mutex_unlock(&shared->mutex), EPERM);
		EXPECT_EQ(dsm_mutex_trylock(&shared->mutex), EBUSY);
		start = seconds();
		EXPECT_EQ(dsm_mutex_timedlock(&shared->mutex, &past), ETIMEDOUT);
		soon = in_ms(100);
		EXPECT_EQ(dsm_mutex_timedlock(&shared->mutex, &soon), ETIMEDOUT);
		EXPECT_GE(seconds() - start, 0.09);
		EXPECT_EQ(dsm_mutex_timedlock(&shared->mutex, &never), EINVAL);
		EXPECT_EQ(dsm_mutex_destroy(&shared->mutex), EBUSY);
		EXPECT_EQ(dsm_cond_wait(&shared->cond, &shared->mutex), EPERM);
	}
	together("refused");
	if (!node())
		ASSERT_EQ(dsm_mutex_unlock(&shared->mutex), 0);
	together("unlocked");
	EXPECT_EQ(dsm_mutex_unlock(&shared->mutex), EPERM);
	EXPECT_EQ(dsm_mutex_consistent(&shared->mutex), EINVAL);
	together("not-held");
	/* A free mutex can be locked after the deadline, too; from another node. */
	if (node() == nodes() - 1) {
		EXPECT_EQ(dsm_mutex_timedlock(&shared->mutex, &past), 0);
		EXPECT_EQ(dsm_mutex_unlock(&shared->mutex), 0);
	}
	together("locked-late");
	soon = in_ms(20000);
	EXPECT_EQ(dsm_mutex_timedlock(&shared->mutex, &soon), 0);
	EXPECT_EQ(dsm_mutex_unlock(&shared->mutex), 0);
	together("locked-again");
	if (!node())
		EXPECT_EQ(dsm_mutex_destroy(&shared->mutex), 0);
	together("destroyed");
	EXPECT_EQ(dsm_mutex_lock(&shared->mutex), EINVAL);
	unshare_region(region);
}

/*
 * Deadlines at the limits of time_t, whose sums might overflow. An endless wait exceeds the
 * time limit.
 */
TEST(far_deadlines)
{
	static const time_t past[] = {
		1, 0, -1, INT32_MIN, INT64_MIN / 2, INT64_MIN + 1, INT64_MIN,
	};
	static const time_t future[] = { INT64_MAX, INT64_MAX - 1, INT64_MAX / 2, 1LL << 40 };
	const int n_past = sizeof(past) / sizeof(*past), n_future = sizeof(future) / sizeof(*future);
	dsm_region *region;
	struct shared *shared = share_objects(&region);

	if (!node())
		ASSERT_EQ(dsm_mutex_lock(&shared->mutex), 0);
	together("locked");
	for (int i = 0; node() && i < n_past; i++) {
		for (long nsec = 0; nsec < 1000000000; nsec += 999999999) {
			struct timespec time = { past[i], nsec };

			EXPECT_EQ(dsm_mutex_timedlock(&shared->mutex, &time), ETIMEDOUT);
		}
	}
	together("refused");
	if (!node())
		ASSERT_EQ(dsm_mutex_unlock(&shared->mutex), 0);
	for (int i = 0; i < n_past; i++) {
		struct timespec time = { past[i], 999999999 };

		ASSERT_EQ(dsm_mutex_lock(&shared->mutex), 0);
		EXPECT_EQ(dsm_cond_timedwait(&shared->cond, &shared->mutex, &time), ETIMEDOUT);
		ASSERT_EQ(dsm_mutex_unlock(&shared->mutex), 0);
	}
	/* All nodes lock it at once, so that most of them wait. */
	for (int i = 0; i < n_future; i++) {
		struct timespec time = { future[i], 999999999 };

		together("lock-%d", i);
		ASSERT_EQ(dsm_mutex_timedlock(&shared->mutex, &time), 0);
		shared->turn = 0;
		ASSERT_EQ(dsm_mutex_unlock(&shared->mutex), 0);
		together("wait-%d", i);
		ASSERT_EQ(dsm_mutex_lock(&shared->mutex), 0);
		if (++shared->turn == (uint64_t)nodes())
			ASSERT_EQ(dsm_cond_broadcast(&shared->cond), 0);
		while (shared->turn < (uint64_t)nodes())
			ASSERT_EQ(dsm_cond_timedwait(&shared->cond, &shared->mutex, &time), 0);
		ASSERT_EQ(dsm_mutex_unlock(&shared->mutex), 0);
	}
	unshare_region(region);
}

/* A process of the last node dies while it holds the mutex. All nodes call this. */
static void die_with_mutex(struct shared *shared)
{
	pid_t pid;

	if (node() != nodes() - 1) {
		together("held");
		return;
	}
	pid = fork();
	ASSERT_OK(pid);
	if (!pid) {
		if (dsm_mutex_lock(&shared->mutex))
			_exit(1);
		shared->pid = getpid();
		for (;;)
			pause();
	}
	ASSERT_TRUE(WAIT_FOR(shared->pid == pid, 20));
	together("held");
	ASSERT_OK(kill(pid, SIGKILL));
	EXPECT_TRUE(WIFSIGNALED(wait_status(pid)));
}

TEST(mutex_of_the_dead)
{
	dsm_region *region;
	struct shared *shared = share_objects(&region);

	die_with_mutex(shared);
	/* Meanwhile node 0 waits for the mutex. */
	if (!node()) {
		ASSERT_EQ(dsm_mutex_lock(&shared->mutex), EOWNERDEAD);
		EXPECT_EQ(dsm_mutex_consistent(&shared->mutex), 0);
		EXPECT_EQ(dsm_mutex_unlock(&shared->mutex), 0);
	}
	together("mended");
	EXPECT_EQ(dsm_mutex_lock(&shared->mutex), 0);
	EXPECT_EQ(dsm_mutex_unlock(&shared->mutex), 0);
	unshare_region(region);
}

/* All nodes lock a mutex whose holder has exited. Exactly one of them is told. */
TEST(mutex_of_the_exited)
{
	dsm_region *region;
	struct shared *shared = share_objects(&region);
	int err;

	if (node() == nodes() - 1) {
		pid_t pid = fork();

		ASSERT_OK(pid);
		if (!pid)
			exit(dsm_mutex_lock(&shared->mutex));
		EXPECT_EQ(wait_status(pid), 0);
	}
	together("exited");
	err = dsm_mutex_lock(&shared->mutex);
	if (err == EOWNERDEAD) {
		shared->arrived++;
		err = dsm_mutex_consistent(&shared->mutex);
	}
	ASSERT_EQ(err, 0);
	ASSERT_EQ(dsm_mutex_unlock(&shared->mutex), 0);
	together("told");
	EXPECT_EQ(shared->arrived, 1);
	unshare_region(region);
}

TEST(mutex_of_the_dead_not_mended)
{
	dsm_region *region;
	struct shared *shared = share_objects(&region);

	die_with_mutex(shared);
	if (!node()) {
		ASSERT_EQ(dsm_mutex_lock(&shared->mutex), EOWNERDEAD);
		EXPECT_EQ(dsm_mutex_unlock(&shared->mutex), 0);
	}
	together("given-up");
	EXPECT_EQ(dsm_mutex_lock(&shared->mutex), ENOTRECOVERABLE);
	EXPECT_EQ(dsm_mutex_trylock(&shared->mutex), ENOTRECOVERABLE);
	together("refused");
	if (!node()) {
		EXPECT_EQ(dsm_mutex_destroy(&shared->mutex), 0);
		EXPECT_EQ(dsm_mutex_lock(&shared->mutex), EINVAL);
		EXPECT_EQ(dsm_mutex_init(&shared->mutex, NULL), 0);
	}
	together("made-again");
	EXPECT_EQ(dsm_mutex_lock(&shared->mutex), 0);
	EXPECT_EQ(dsm_mutex_unlock(&shared->mutex), 0);
	unshare_region(region);
}

TEST(cond_ping_pong)
{
	enum { TURNS = 100 };
	dsm_region *region;
	struct shared *shared = share_objects(&region);

	ASSERT_EQ(dsm_mutex_lock(&shared->mutex), 0);
	for (uint64_t mine = node(); mine < TURNS; mine += nodes()) {
		while (shared->turn != mine)
			ASSERT_EQ(dsm_cond_wait(&shared->cond, &shared->mutex), 0);
		shared->turn = mine + 1;
		ASSERT_EQ(dsm_cond_broadcast(&shared->cond), 0);
	}
	ASSERT_EQ(dsm_mutex_unlock(&shared->mutex), 0);
	together("played");
	EXPECT_EQ(shared->turn, TURNS);
	EXPECT_EQ(dsm_cond_signal(&shared->cond), 0);
	unshare_region(region);
}

TEST(cond_timedwait)
{
	dsm_region *region;
	struct shared *shared = share_objects(&region);
	struct timespec soon;
	double start;

	ASSERT_EQ(dsm_mutex_lock(&shared->mutex), 0);
	soon = in_ms(100);
	start = seconds();
	EXPECT_EQ(dsm_cond_timedwait(&shared->cond, &shared->mutex, &soon), ETIMEDOUT);
	EXPECT_GE(seconds() - start, 0.09);
	/* The mutex is held again. */
	EXPECT_EQ(dsm_mutex_unlock(&shared->mutex), 0);
	together("waited");

	/* A signal wakes one waiter. A broadcast wakes all. */
	if (node()) {
		ASSERT_EQ(dsm_mutex_lock(&shared->mutex), 0);
		shared->arrived++;
		while (!shared->turn)
			ASSERT_EQ(dsm_cond_wait(&shared->cond, &shared->mutex), 0);
		ASSERT_EQ(dsm_mutex_unlock(&shared->mutex), 0);
	} else {
		ASSERT_TRUE(WAIT_FOR(shared->arrived == nodes() - 1, 20));
		ASSERT_EQ(dsm_mutex_lock(&shared->mutex), 0);
		shared->turn = 1;
		ASSERT_EQ(dsm_mutex_unlock(&shared->mutex), 0);
		ASSERT_EQ(dsm_cond_signal(&shared->cond), 0);
		ASSERT_EQ(dsm_cond_broadcast(&shared->cond), 0);
	}
	unshare_region(region);
}

static void on_alarm(int signal)
{
	(void)signal;
}

/* Signals interrupt the second half of the waits. */
TEST(barrier)
{
	const struct itimerval often = { { 0, 3000 }, { 0, 3000 } }, never = { 0 };
	const struct sigaction action = { .sa_handler = on_alarm };
	enum { TIMES = 40 };
	dsm_region *region;
	struct shared *shared = share_objects(&region);

	if (!node())
		EXPECT_EQ(dsm_barrier_init((dsm_barrier_t *)((char *)shared + 8192), 0), EINVAL);
	for (int i = 0; i < TIMES; i++) {
		int ret;

		if (i == TIMES / 2) {
			ASSERT_OK(sigaction(SIGALRM, &action, NULL));
			ASSERT_OK(setitimer(ITIMER_REAL, &often, NULL));
		}
		atomic_fetch_add(&shared->arrived, 1);
		ret = dsm_barrier_wait(&shared->barrier);
		if (ret == DSM_BARRIER_SERIAL_THREAD)
			atomic_fetch_add(&shared->serials, 1);
		else
			ASSERT_EQ(ret, 0);
		ASSERT_GE(shared->arrived, (i + 1) * nodes());
		ASSERT_LE(shared->arrived, (i + 2) * nodes());
	}
	ASSERT_OK(setitimer(ITIMER_REAL, &never, NULL));
	together("passed");
	EXPECT_EQ(shared->serials, TIMES);
	EXPECT_EQ(shared->arrived, TIMES * nodes());
	unshare_region(region);
}
