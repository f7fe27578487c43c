// SPDX-License-Identifier: GPL-2.0
/*
 * DSM_IOC_SYNC by itself: its arguments, and what happens when waits end early
 * (timeouts, signals, death) while what they wait for is on its way.
 */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>
#include <linux/dsm.h>

#include "test.h"

enum {
	THREADS		= 3,
	SIZE		= 4 * DSM_CHUNK_SIZE,
	/* Objects in chunks of different homes. */
	MUTEX		= 0,
	COND		= DSM_CHUNK_SIZE,
	BARRIER		= 2 * DSM_CHUNK_SIZE,
	OTHER		= 64,
};

static const uint64_t MS = 1000 * 1000;

static int fd;

/* Returns 0 or an error number. */
static int sync_op(uint32_t op, uint64_t offset, uint32_t value, uint64_t timeout_ns,
		   uint64_t other, uint32_t *result)
{
	struct dsm_sync_arg arg = {
		.op = op, .offset = offset, .value = value, .timeout_ns = timeout_ns,
		.other = other,
	};
	int err = ioctl(fd, DSM_IOC_SYNC, &arg) ? errno : 0;

	if (result)
		*result = arg.result;
	return err;
}

static int lock(uint64_t offset, uint64_t timeout_ns)
{
	return sync_op(DSM_SYNC_LOCK, offset, 0, timeout_ns, 0, NULL);
}

static int trylock(uint64_t offset)
{
	return sync_op(DSM_SYNC_TRYLOCK, offset, 0, 0, 0, NULL);
}

static int unlock(uint64_t offset)
{
	return sync_op(DSM_SYNC_UNLOCK, offset, 0, 0, 0, NULL);
}

static int barrier(uint64_t offset, uint32_t count)
{
	return sync_op(DSM_SYNC_BARRIER, offset, count, 0, 0, NULL);
}

static int wait_for(uint64_t cond, uint64_t mutex, uint64_t timeout_ns)
{
	return sync_op(DSM_SYNC_WAIT, cond, 0, timeout_ns, mutex, NULL);
}

static int wake(uint64_t cond, uint32_t count, uint32_t *woken)
{
	return sync_op(DSM_SYNC_WAKE, cond, count, 0, 0, woken);
}

static dsm_region *share(void)
{
	dsm_region *region = share_region(SIZE, DSM_HOME_INTERLEAVED, 0);

	fd = open_bound(0);
	return region;
}

static void unshare_all(dsm_region *region)
{
	ASSERT_OK(close(fd));
	unshare_region(region);
}

static void start(pthread_t *thread, void *(*run)(void *), void *arg)
{
	ASSERT_EQ(pthread_create(thread, NULL, run, arg), 0);
}

static void join(pthread_t thread)
{
	ASSERT_EQ(pthread_join(thread, NULL), 0);
}

/* ---- arguments ----------------------------------------------------------- */

TEST(arguments)
{
	static const struct dsm_sync_arg bad[] = {
		{ .op = 0 },
		{ .op = DSM_SYNC_WAKE + 1 },
		{ .op = 0x80 },
		{ .op = 0x81 },
		{ .op = UINT32_MAX },
		{ .op = DSM_SYNC_LOCK, .offset = 4 },
		{ .op = DSM_SYNC_LOCK, .offset = SIZE },
		{ .op = DSM_SYNC_LOCK, .offset = UINT64_MAX - 7 },
		{ .op = DSM_SYNC_LOCK, .value = 1 },
		{ .op = DSM_SYNC_LOCK, .other = 8 },
		{ .op = DSM_SYNC_LOCK, .reserved = 1 },
		{ .op = DSM_SYNC_TRYLOCK, .timeout_ns = 1 },
		{ .op = DSM_SYNC_UNLOCK, .timeout_ns = 1 },
		{ .op = DSM_SYNC_BARRIER, .value = 0 },
		{ .op = DSM_SYNC_BARRIER, .value = 0x80000000 },
		{ .op = DSM_SYNC_BARRIER, .value = 1, .timeout_ns = 1 },
		{ .op = DSM_SYNC_WAKE, .value = 0 },
		{ .op = DSM_SYNC_WAKE, .value = 1, .timeout_ns = 1 },
		{ .op = DSM_SYNC_WAKE, .value = 1, .other = 8 },
		{ .op = DSM_SYNC_WAIT, .offset = 64, .other = 64 },
		{ .op = DSM_SYNC_WAIT, .offset = 64, .other = 4 },
		{ .op = DSM_SYNC_WAIT, .offset = 64, .other = SIZE },
		{ .op = DSM_SYNC_WAIT, .value = 1, .other = 64 },
	};
	dsm_region *region = share();

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		struct dsm_sync_arg arg = bad[i];

		errno = 0;
		if (!ioctl(fd, DSM_IOC_SYNC, &arg) || errno != EINVAL)
			test_failed(__FILE__, __LINE__, false, "case %zu: %s", i,
				    strerror(errno));
	}
	EXPECT_ERRNO(ioctl(fd, DSM_IOC_SYNC, (void *)8), EFAULT);
	EXPECT_EQ(unlock(MUTEX + 8 * node()), EPERM);
	EXPECT_EQ(wait_for(COND, MUTEX, 0), EPERM);
	/* Nobody waits: nobody is woken. */
	uint32_t woken = 1;

	EXPECT_EQ(wake(COND, 10, &woken), 0);
	EXPECT_EQ(woken, 0);
	unshare_all(region);
}

TEST(unbound_descriptors)
{
	dsm_region *region = share();
	struct dsm_sync_arg arg = { .op = DSM_SYNC_LOCK };
	int unbound = open_device(), rdonly = open_bound(DSM_OPEN_RDONLY);

	EXPECT_ERRNO(ioctl(unbound, DSM_IOC_SYNC, &arg), EINVAL);
	EXPECT_ERRNO(ioctl(rdonly, DSM_IOC_SYNC, &arg), EACCES);
	close(unbound);
	close(rdonly);
	unshare_all(region);
}

/* An object in use has a kind; once it is idle, it has none. */
TEST(kinds)
{
	dsm_region *region = share();

	if (!node())
		ASSERT_EQ(lock(MUTEX, 0), 0);
	together("locked");
	EXPECT_EQ(barrier(MUTEX, 2), EINVAL);
	EXPECT_EQ(wake(MUTEX, 1, NULL), EINVAL);
	EXPECT_EQ(lock(OTHER, 0), 0);
	EXPECT_EQ(wait_for(MUTEX, OTHER, 0), EINVAL);
	/* It still holds what it did not wait with. */
	EXPECT_EQ(unlock(OTHER), 0);
	if (node()) {
		EXPECT_EQ(trylock(MUTEX), EBUSY);
		EXPECT_EQ(unlock(MUTEX), EPERM);
		EXPECT_EQ(lock(MUTEX, MS), ETIMEDOUT);
	} else {
		EXPECT_EQ(trylock(MUTEX), EBUSY);
		EXPECT_EQ(lock(MUTEX, 0), EDEADLK);
	}
	together("tried");
	if (!node())
		EXPECT_EQ(unlock(MUTEX), 0);
	together("unlocked");
	EXPECT_EQ(barrier(MUTEX, nodes()), 0);
	unshare_all(region);
}

/* ---- waits that end early ------------------------------------------------ */

struct contest {
	dsm_region *region;
	int number;
	uint64_t timeout_max;
	unsigned int taken;
	unsigned int given_up;
	bool signals;
};

static void on_alarm(int signo)
{
	(void)signo;
}

/* SIGALRM every @us microseconds, which interrupts system calls; 0: no more. */
static void alarm_every(long us)
{
	const struct sigaction action = { .sa_handler = on_alarm };
	const struct itimerval interval = { { 0, us }, { 0, us } };

	ASSERT_OK(sigaction(SIGALRM, &action, NULL));
	ASSERT_OK(setitimer(ITIMER_REAL, &interval, NULL));
}

/* One in the mutex at a time, whatever becomes of the waits for it. */
static void *contend(void *data)
{
	struct contest *contest = data;
	uint64_t state = seed() + contest->number;
	_Atomic uint64_t *inside = word(dsm_base(contest->region), OTHER / 8);
	double end = seconds() + 3;

	while (seconds() < end) {
		uint64_t timeout = contest->timeout_max ?
				   1 + random_next(&state) % contest->timeout_max : 0;
		int err = lock(MUTEX, timeout);

		if (err) {
			EXPECT_TRUE((err == ETIMEDOUT && timeout) ||
				    (err == EINTR && contest->signals));
			contest->given_up++;
			continue;
		}
		EXPECT_EQ(atomic_fetch_add(inside, 1), 0);
		if (random_next(&state) % 4 == 0)
			test_pause();
		EXPECT_EQ(atomic_fetch_sub(inside, 1), 1);
		EXPECT_EQ(unlock(MUTEX), 0);
		contest->taken++;
	}
	return NULL;
}

static void contest(uint64_t timeout_max, bool signals)
{
	struct contest contests[THREADS] = {};
	unsigned int taken = 0, given_up = 0;
	dsm_region *region = share();
	pthread_t threads[THREADS];

	together("ready");
	if (signals)
		alarm_every(700);
	for (int i = 0; i < THREADS; i++) {
		contests[i] = (struct contest){
			.region = region, .number = i, .timeout_max = timeout_max,
			.signals = signals,
		};
		start(&threads[i], contend, &contests[i]);
	}
	for (int i = 0; i < THREADS; i++)
		join(threads[i]);
	alarm_every(0);
	for (int i = 0; i < THREADS; i++) {
		taken += contests[i].taken;
		given_up += contests[i].given_up;
	}
	note("taken %u times, given up %u times", taken, given_up);
	EXPECT_GT(taken, 0);
	together("contended");
	/* Nothing was left behind: it is free. */
	EXPECT_EQ(lock(MUTEX, 0), 0);
	EXPECT_EQ(unlock(MUTEX), 0);
	unshare_all(region);
}

TEST(mutex_excludes)
{
	contest(0, false);
}

TEST(mutex_timeouts)
{
	contest(3 * MS, false);
}

TEST(mutex_signals)
{
	contest(0, true);
}

TEST(mutex_signals_and_timeouts)
{
	contest(3 * MS, true);
}

/* A waiter that only gives up by its timeout does not take a wake-up with it. */
struct consumer {
	_Atomic uint64_t *tokens;
	_Atomic uint64_t *done;
	int number;
	unsigned int consumed;
	unsigned int timeouts;
	bool impatient;
};

static void *consume(void *data)
{
	struct consumer *consumer = data;
	uint64_t state = seed() + consumer->number;
	bool woken = false;

	ASSERT_EQ(lock(MUTEX, 0), 0);
	while (!atomic_load(consumer->done)) {
		uint64_t timeout = consumer->impatient ? 1 + random_next(&state) % (30 * MS) : 0;
		int err;

		if (woken && atomic_load(consumer->tokens)) {
			atomic_fetch_sub(consumer->tokens, 1);
			consumer->consumed++;
		}
		err = wait_for(COND, MUTEX, timeout);
		EXPECT_TRUE(!err || (err == ETIMEDOUT && timeout));
		consumer->timeouts += err == ETIMEDOUT;
		woken = !err;
	}
	EXPECT_EQ(unlock(MUTEX), 0);
	return NULL;
}

TEST(wake_not_lost)
{
	struct consumer consumers[THREADS] = {};
	dsm_region *region = share();
	_Atomic uint64_t *words = word(dsm_base(region), OTHER / 8);
	unsigned int consumed = 0, timeouts = 0, posted = 0;
	pthread_t threads[THREADS];
	uint32_t woken;
	double end;

	/* All but one on the first node are impatient. */
	for (int i = 0; i < THREADS; i++) {
		consumers[i] = (struct consumer){
			.tokens = &words[0], .done = &words[8], .number = i,
			.impatient = node() || i,
		};
		start(&threads[i], consume, &consumers[i]);
	}
	together("waiting");
	if (!node()) {
		end = seconds() + 5;
		while (seconds() < end) {
			ASSERT_EQ(lock(MUTEX, 0), 0);
			EXPECT_EQ(atomic_fetch_add(&words[0], 1), 0);
			posted++;
			ASSERT_EQ(unlock(MUTEX), 0);
			ASSERT_EQ(wake(COND, 1, &woken), 0);
			/* The patient one might not have been in its queue yet. */
			while (!woken && atomic_load(&words[0])) {
				test_pause();
				ASSERT_EQ(wake(COND, 1, &woken), 0);
			}
			if (!WAIT_FOR(!atomic_load(&words[0]), 10)) {
				test_failed(__FILE__, __LINE__, false, "wake-up %u was lost",
					    posted);
				break;
			}
		}
		ASSERT_EQ(lock(MUTEX, 0), 0);
		atomic_store(&words[8], 1);
		ASSERT_EQ(unlock(MUTEX), 0);
	}
	together("posted");
	ASSERT_EQ(wake(COND, 1000, NULL), 0);
	for (int i = 0; i < THREADS; i++) {
		join(threads[i]);
		consumed += consumers[i].consumed;
		timeouts += consumers[i].timeouts;
	}
	note("posted %u, consumed %u, %u timeouts", posted, consumed, timeouts);
	together("consumed");
	EXPECT_EQ(atomic_load(&words[0]), 0);
	unshare_all(region);
}

/* Who leaves a barrier early is not counted. */
TEST(barrier_signals)
{
	dsm_region *region = share();
	_Atomic uint64_t *rounds = word(dsm_base(region), OTHER / 8);
	unsigned int left = 0;

	together("ready");
	if (node() % 2)
		alarm_every(900);
	for (int i = 0; i < 100; i++) {
		int err;

		atomic_fetch_add(rounds, 1);
		while ((err = barrier(BARRIER, nodes())) == EINTR)
			left++;
		ASSERT_EQ(err, 0);
		/* Nobody is more than one round ahead. */
		uint64_t now = atomic_load(rounds);

		EXPECT_GE(now, (uint64_t)(i + 1) * nodes());
		EXPECT_LT(now, (uint64_t)(i + 2) * nodes());
	}
	alarm_every(0);
	note("left %u times", left);
	unshare_all(region);
}

/* ---- death --------------------------------------------------------------- */

/* Locks and unlocks for ever; says in @inside who is in there. */
static void hammer(_Atomic uint64_t *inside)
{
	for (;;) {
		uint32_t result;
		int err = sync_op(DSM_SYNC_LOCK, MUTEX, 0, 0, 0, &result);

		if (err)
			_exit(1);
		/* The dead leave their mark, and their mutex says so. */
		if (atomic_load(inside) && !(result & DSM_SYNC_OWNERDEAD))
			_exit(2);
		atomic_store(inside, getpid());
		atomic_store(inside, 0);
		if (unlock(MUTEX))
			_exit(3);
	}
}

TEST_SECONDS(killed_holders_and_waiters, 600)
{
	uint64_t state = seed();
	dsm_region *region = share();
	_Atomic uint64_t *inside = word(dsm_base(region), OTHER / 8);

	together("ready");
	for (int round = 0; round < 20; round++) {
		pid_t pids[THREADS];
		int status;

		for (int i = 0; i < THREADS; i++) {
			pids[i] = fork();
			ASSERT_OK(pids[i]);
			if (!pids[i])
				hammer(inside);
		}
		usleep(20000 + random_next(&state) % 50000);
		for (int i = 0; i < THREADS; i++) {
			ASSERT_OK(kill(pids[i], SIGKILL));
			ASSERT_EQ(waitpid(pids[i], &status, 0), pids[i]);
			EXPECT_TRUE(WIFSIGNALED(status));
		}
	}
	together("killed");
	EXPECT_EQ(lock(MUTEX, 0), 0);
	EXPECT_EQ(unlock(MUTEX), 0);
	unshare_all(region);
}

/* A process that exits takes only its own mutexes with it. */
TEST(fork_and_exit)
{
	uint64_t mine = OTHER + 64 * node();
	dsm_region *region = share();
	uint32_t result = ~0;
	int status;
	pid_t pid;

	ASSERT_EQ(lock(mine, 0), 0);
	pid = fork();
	ASSERT_OK(pid);
	if (!pid)
		_exit(unlock(mine) != EPERM || lock(mine + 8, 0));
	ASSERT_EQ(waitpid(pid, &status, 0), pid);
	EXPECT_EQ(status, 0);
	/* The child's is given up, the parent's is not. */
	EXPECT_EQ(lock(mine, 0), EDEADLK);
	EXPECT_EQ(sync_op(DSM_SYNC_LOCK, mine + 8, 0, 0, 0, &result), 0);
	EXPECT_EQ(result, DSM_SYNC_OWNERDEAD);
	EXPECT_EQ(unlock(mine + 8), 0);
	EXPECT_EQ(sync_op(DSM_SYNC_LOCK, mine + 8, 0, 0, 0, &result), 0);
	EXPECT_EQ(result, 0);
	EXPECT_EQ(unlock(mine + 8), 0);
	EXPECT_EQ(unlock(mine), 0);

	/* What is held through a file goes with the file. */
	ASSERT_EQ(lock(mine, 0), 0);
	ASSERT_OK(close(fd));
	fd = open_bound(0);
	EXPECT_EQ(sync_op(DSM_SYNC_LOCK, mine, 0, 0, 0, &result), 0);
	EXPECT_EQ(result, DSM_SYNC_OWNERDEAD);
	EXPECT_EQ(unlock(mine), 0);
	unshare_all(region);
}

/* ---- fairness ------------------------------------------------------------ */

static _Atomic bool stop;

static void *hog(void *data)
{
	(void)data;
	while (!atomic_load(&stop)) {
		EXPECT_EQ(lock(MUTEX, 0), 0);
		EXPECT_EQ(unlock(MUTEX), 0);
	}
	return NULL;
}

/* Threads of one node pass a mutex among themselves, but not for ever. */
TEST(handed_over_to_other_nodes)
{
	dsm_region *region = share();
	pthread_t threads[THREADS];

	if (!node())
		for (int i = 0; i < THREADS; i++)
			start(&threads[i], hog, NULL);
	together("hogging");
	if (node())
		for (int i = 0; i < 50; i++) {
			ASSERT_EQ(lock(MUTEX, 0), 0);
			ASSERT_EQ(unlock(MUTEX), 0);
		}
	together("had");
	atomic_store(&stop, true);
	if (!node())
		for (int i = 0; i < THREADS; i++)
			join(threads[i]);
	unshare_all(region);
}
