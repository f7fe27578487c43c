// SPDX-License-Identifier: GPL-2.0
/*
 * DSM_IOC_SYNC by itself: its arguments, and waits that end early (timeouts, signals, death)
 * while the answer is on its way.
 */
#include <signal.h>
#include <stdlib.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "sync.h"

int fd;

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
	/* Nobody waits, so nobody is woken. */
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

/* An object in use has a kind. An idle one has none. */
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
	/* The thread still holds the mutex that it did not wait with. */
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
	dsm_mutex_t *mutex;	/* with libdsm; otherwise NULL */
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

/* Interrupt system calls by SIGALRM every @us microseconds; 0: stop. */
static void alarm_every(long us)
{
	const struct sigaction action = { .sa_handler = on_alarm };
	const struct itimerval interval = { { 0, us }, { 0, us } };

	ASSERT_OK(sigaction(SIGALRM, &action, NULL));
	ASSERT_OK(setitimer(ITIMER_REAL, &interval, NULL));
}

static struct timespec in_ns(uint64_t ns)
{
	struct timespec time;

	clock_gettime(CLOCK_REALTIME, &time);
	time.tv_nsec += ns % (1000 * MS);
	time.tv_sec += ns / (1000 * MS) + time.tv_nsec / 1000000000;
	time.tv_nsec %= 1000000000;
	return time;
}

/* The mutex of a contest. With @timeout 0, waits are not limited. */
static int contest_lock(const struct contest *contest, uint64_t timeout)
{
	struct timespec time;

	if (!contest->mutex)
		return lock(MUTEX, timeout);
	if (!timeout)
		return dsm_mutex_lock(contest->mutex);
	time = in_ns(timeout);
	return dsm_mutex_timedlock(contest->mutex, &time);
}

static int contest_unlock(const struct contest *contest)
{
	return contest->mutex ? dsm_mutex_unlock(contest->mutex) : unlock(MUTEX);
}

/* The mutex admits one thread at a time, however the waits for it end. */
static void *contend(void *data)
{
	struct contest *contest = data;
	uint64_t state = seed() + contest->number;
	_Atomic uint64_t *inside = word(dsm_base(contest->region), DATA / 8);
	double end = seconds() + 3;

	while (seconds() < end) {
		uint64_t timeout = contest->timeout_max ?
				   1 + random_next(&state) % contest->timeout_max : 0;
		int err = contest_lock(contest, timeout);

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
		EXPECT_EQ(contest_unlock(contest), 0);
		contest->taken++;
	}
	return NULL;
}

static void contest(uint64_t timeout_max, bool signals, bool with_library)
{
	struct contest contests[THREADS] = {};
	unsigned int taken = 0, given_up = 0;
	dsm_region *region = share();
	pthread_t threads[THREADS];
	dsm_mutex_t *mutex = with_library ? (dsm_mutex_t *)dsm_base(region) : NULL;

	if (!node() && mutex)
		ASSERT_EQ(dsm_mutex_init(mutex, NULL), 0);
	together("ready");
	if (signals)
		alarm_every(700);
	for (int i = 0; i < THREADS; i++) {
		contests[i] = (struct contest){
			.region = region, .mutex = mutex, .number = i,
			.timeout_max = timeout_max, .signals = signals,
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
	/* Nothing was left behind: the mutex is free. */
	EXPECT_EQ(lock(MUTEX, 0), 0);
	EXPECT_EQ(unlock(MUTEX), 0);
	unshare_all(region);
}

TEST(mutex_excludes)
{
	contest(0, false, false);
}

TEST(mutex_timeouts)
{
	contest(3 * MS, false, false);
}

TEST(mutex_signals)
{
	contest(0, true, false);
}

TEST(mutex_signals_and_timeouts)
{
	contest(3 * MS, true, false);
}

/* The same with mutexes that stay on their node, and threads that lock them there. */
TEST(lease_excludes)
{
	contest(0, false, true);
}

TEST(lease_timeouts_and_signals)
{
	contest(3 * MS, true, true);
}

/* A waiter whose wait times out does not consume a wake-up. */
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

	/* On the first node, all threads but one are impatient. */
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
			/* The patient thread might not have been queued yet. */
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

/* A thread that leaves a barrier early is not counted. */
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
		/* No thread is more than one round ahead. */
		uint64_t now = atomic_load(rounds);

		EXPECT_GE(now, (uint64_t)(i + 1) * nodes());
		EXPECT_LT(now, (uint64_t)(i + 2) * nodes());
	}
	alarm_every(0);
	note("left %u times", left);
	unshare_all(region);
}

/* ---- death --------------------------------------------------------------- */

/* Locks and unlocks for ever. @inside names the thread that holds the mutex. */
static void hammer(_Atomic uint64_t *inside)
{
	for (;;) {
		uint32_t result;
		int err = sync_op(DSM_SYNC_LOCK, MUTEX, 0, 0, 0, &result);

		if (err)
			_exit(1);
		/*
		 * A thread that dies leaves its number in @inside, and its mutex reports the
		 * death.
		 */
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

		for (int i = 0; i < THREADS; i++) {
			pids[i] = fork();
			ASSERT_OK(pids[i]);
			if (!pids[i])
				hammer(inside);
		}
		usleep(20000 + random_next(&state) % 50000);
		for (int i = 0; i < THREADS; i++) {
			ASSERT_OK(kill(pids[i], SIGKILL));
			EXPECT_TRUE(WIFSIGNALED(wait_status(pids[i])));
		}
	}
	together("killed");
	EXPECT_EQ(lock(MUTEX, 0), 0);
	EXPECT_EQ(unlock(MUTEX), 0);
	unshare_all(region);
}

/* A process that exits releases only its own mutexes. */
TEST(fork_and_exit)
{
	uint64_t mine = OTHER + 64 * node();
	dsm_region *region = share();
	uint32_t result = ~0;
	pid_t pid;

	ASSERT_EQ(lock(mine, 0), 0);
	pid = fork();
	ASSERT_OK(pid);
	if (!pid)
		_exit(unlock(mine) != EPERM || lock(mine + 8, 0));
	EXPECT_EQ(wait_status(pid), 0);
	/* The child's mutex is abandoned, the parent's is not. */
	EXPECT_EQ(lock(mine, 0), EDEADLK);
	EXPECT_EQ(sync_op(DSM_SYNC_LOCK, mine + 8, 0, 0, 0, &result), 0);
	EXPECT_EQ(result, DSM_SYNC_OWNERDEAD);
	EXPECT_EQ(unlock(mine + 8), 0);
	EXPECT_EQ(sync_op(DSM_SYNC_LOCK, mine + 8, 0, 0, 0, &result), 0);
	EXPECT_EQ(result, 0);
	EXPECT_EQ(unlock(mine + 8), 0);
	EXPECT_EQ(unlock(mine), 0);

	/* Closing a file abandons the mutexes held through it. */
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

/* The threads of one node pass a mutex among themselves, but not for ever. */
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
