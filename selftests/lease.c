// SPDX-License-Identifier: GPL-2.0
/*
 * Mutexes that stay with the node that had them last, and are locked there without a system
 * call: see DSM_WORDS_OFFSET in <linux/dsm.h>.
 */
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sync.h"

static dsm_mutex_t *mutex_at(dsm_region *region, uint64_t offset)
{
	return (dsm_mutex_t *)((char *)dsm_base(region) + offset);
}

/* Mutexes at distances of 64 bytes, from @offset on. */
static void make_mutexes(dsm_region *region, uint64_t offset, int count)
{
	for (int i = 0; !node() && i < count; i++)
		ASSERT_EQ(dsm_mutex_init(mutex_at(region, offset + 64 * i), NULL), 0);
	together("mutexes-made");
}

static void *try_mutex(void *mutex)
{
	return (void *)(intptr_t)dsm_mutex_trylock(mutex);
}

static void *unlock_mutex(void *mutex)
{
	return (void *)(intptr_t)dsm_mutex_unlock(mutex);
}

/* An uncontended mutex costs no system call, wherever its home is. */
TEST(no_system_calls)
{
	dsm_region *region = share();
	dsm_mutex_t *mutex = mutex_at(region, DSM_CHUNK_SIZE * (node() % 4) + 64 * node());
	dsm_mutex_t *other = mutex_at(region, DSM_CHUNK_SIZE + 4096);
	long long calls, came;

	ASSERT_EQ(dsm_mutex_init(mutex, NULL), 0);
	if (!node())
		ASSERT_EQ(dsm_mutex_init(other, NULL), 0);
	together("made");
	ASSERT_EQ(dsm_mutex_lock(mutex), 0);
	ASSERT_EQ(dsm_mutex_unlock(mutex), 0);
	calls = region_stat("sync_calls");
	came = region_stat("mutexes_in");
	EXPECT_GT(calls, 0);
	for (int i = 0; i < 1000; i++) {
		ASSERT_EQ(dsm_mutex_lock(mutex), 0);
		ASSERT_EQ(dsm_mutex_unlock(mutex), 0);
		ASSERT_EQ(dsm_mutex_trylock(mutex), 0);
		ASSERT_EQ(dsm_mutex_unlock(mutex), 0);
	}
	EXPECT_EQ(region_stat("sync_calls"), calls);
	/* Conflicting operations fail as ever. */
	ASSERT_EQ(dsm_mutex_lock(mutex), 0);
	EXPECT_EQ(dsm_mutex_lock(mutex), EDEADLK);
	EXPECT_EQ(dsm_mutex_trylock(mutex), EBUSY);
	EXPECT_EQ(in_thread(try_mutex, mutex), EBUSY);
	EXPECT_EQ(in_thread(unlock_mutex, mutex), EPERM);
	EXPECT_EQ(dsm_mutex_unlock(mutex), 0);
	EXPECT_EQ(dsm_mutex_unlock(mutex), EPERM);
	EXPECT_EQ(in_thread(try_mutex, mutex), 0);	/* and the thread keeps it */
	EXPECT_EQ(dsm_mutex_trylock(mutex), EBUSY);
	EXPECT_EQ(region_stat("mutexes_in"), came);
	/* Another node gets it on demand, and then locks it without a system call, too. */
	for (int n = 0; n < nodes(); n++) {
		if (n == node()) {
			came = region_stat("mutexes_in");
			ASSERT_EQ(n % 2 ? dsm_mutex_trylock(other) : dsm_mutex_lock(other), 0);
			ASSERT_EQ(dsm_mutex_unlock(other), 0);
			EXPECT_EQ(region_stat("mutexes_in"), came + 1);
			calls = region_stat("sync_calls");
			ASSERT_EQ(dsm_mutex_lock(other), 0);
			ASSERT_EQ(dsm_mutex_unlock(other), 0);
			EXPECT_EQ(region_stat("sync_calls"), calls);
		}
		together("node-%d-had-it", n);
	}
	unshare_all(region);
}

/* An unused mutex's place can become another object at once. */
TEST(other_kinds_of_objects)
{
	dsm_region *region = share();

	make_mutexes(region, MUTEX, 1);
	if (!node()) {
		ASSERT_EQ(dsm_mutex_lock(mutex_at(region, MUTEX)), 0);
		ASSERT_EQ(dsm_mutex_unlock(mutex_at(region, MUTEX)), 0);
		ASSERT_EQ(dsm_mutex_lock(mutex_at(region, MUTEX)), 0);
	}
	together("locked");
	EXPECT_EQ(barrier(MUTEX, nodes()), EINVAL);
	EXPECT_EQ(wake(MUTEX, 1, NULL), EINVAL);
	together("refused");
	if (!node())
		ASSERT_EQ(dsm_mutex_unlock(mutex_at(region, MUTEX)), 0);
	together("free");
	EXPECT_EQ(barrier(MUTEX, nodes()), 0);
	unshare_all(region);
}

/* A child that locks @mutex, without a system call if possible, and stays in it. */
static pid_t fork_holder(dsm_mutex_t *mutex)
{
	char ready = 0;
	int pipes[2];
	pid_t pid;

	ASSERT_OK(pipe(pipes));
	pid = fork();
	ASSERT_OK(pid);
	if (!pid) {
		long long calls;

		/* The first time, the child has to register. */
		ready = !dsm_mutex_lock(mutex) && !dsm_mutex_unlock(mutex);
		calls = region_stat("sync_calls");
		ready = ready && !dsm_mutex_lock(mutex) && region_stat("sync_calls") == calls;
		if (write(pipes[1], &ready, 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	ASSERT_EQ(read(pipes[0], &ready, 1), 1);
	ASSERT_EQ(ready, 1);
	close(pipes[0]);
	close(pipes[1]);
	return pid;
}

static void kill_holder(pid_t pid)
{

	ASSERT_OK(kill(pid, SIGKILL));
	EXPECT_TRUE(WIFSIGNALED(wait_status(pid)));
}

static void take_over(dsm_mutex_t *mutex)
{
	ASSERT_EQ(dsm_mutex_lock(mutex), EOWNERDEAD);
	ASSERT_EQ(dsm_mutex_consistent(mutex), 0);
	ASSERT_EQ(dsm_mutex_unlock(mutex), 0);
	ASSERT_EQ(dsm_mutex_lock(mutex), 0);
	ASSERT_EQ(dsm_mutex_unlock(mutex), 0);
}

static void *take_over_thread(void *mutex)
{
	take_over(mutex);
	return NULL;
}

/* The death of a holder that locked without a system call is detected, too. */
TEST(killed_holder)
{
	dsm_region *region = share();
	dsm_mutex_t *mine = mutex_at(region, 64 * node());
	dsm_mutex_t *all = mutex_at(region, DSM_CHUNK_SIZE);
	pthread_t thread;
	pid_t pid = 0;

	ASSERT_EQ(dsm_mutex_init(mine, NULL), 0);
	if (!node())
		ASSERT_EQ(dsm_mutex_init(all, NULL), 0);
	together("made");
	/* First nobody waits for it; then another thread of the node does. */
	pid = fork_holder(mine);
	EXPECT_EQ(dsm_mutex_trylock(mine), EBUSY);
	kill_holder(pid);
	take_over(mine);
	pid = fork_holder(mine);
	start(&thread, take_over_thread, mine);
	kill_holder(pid);
	join(thread);
	/* A child held it, and nobody holds it now: the parent can take it. */
	EXPECT_EQ(dsm_mutex_lock(mine), 0);
	EXPECT_EQ(dsm_mutex_unlock(mine), 0);

	/* Every node kills a holder, and the next node finds the mutex abandoned. */
	for (int n = 0; n < nodes(); n++) {
		if (n == node())
			pid = fork_holder(all);
		together("held-%d", n);
		if (n == node())
			kill_holder(pid);
		else if ((n + 1) % nodes() == node())
			take_over(all);
		together("taken-over-%d", n);
	}
	unshare_all(region);
}

/* fork(): the child is another holder, has nothing of its parent's, and leaves nothing of it. */
TEST(forked_holder)
{
	dsm_region *region = share();
	dsm_mutex_t *mutex = mutex_at(region, 128 * node());
	dsm_mutex_t *second = mutex_at(region, 128 * node() + 64);
	pid_t pid;

	ASSERT_EQ(dsm_mutex_init(mutex, NULL), 0);
	ASSERT_EQ(dsm_mutex_init(second, NULL), 0);
	ASSERT_EQ(dsm_mutex_lock(mutex), 0);
	pid = fork();
	ASSERT_OK(pid);
	if (!pid) {
		/* Passed to the child, so that the parent's end does not matter. */
		_exit(dsm_mutex_unlock(mutex) != EPERM || dsm_mutex_trylock(mutex) != EBUSY ||
		      dsm_mutex_lock(second) || dsm_mutex_unlock(second) ||
		      dsm_mutex_lock(second) || dsm_mutex_lock(second) != EDEADLK);
	}
	EXPECT_EQ(wait_status(pid), 0);
	EXPECT_EQ(dsm_mutex_lock(mutex), EDEADLK);
	EXPECT_EQ(dsm_mutex_unlock(mutex), 0);
	take_over(second);
	unshare_all(region);
}

struct tally {
	char mutex[4096];	/* in a block of its own */
	volatile uint64_t counter;
};

static void count_up(struct tally *tally, int times)
{
	for (int i = 0; i < times; i++) {
		if (dsm_mutex_lock((dsm_mutex_t *)tally->mutex))
			_exit(1);
		tally->counter++;
		if (dsm_mutex_unlock((dsm_mutex_t *)tally->mutex))
			_exit(2);
	}
	_exit(0);
}

/* With several processes on each node, no increment is lost. */
TEST_SECONDS(processes_count, 600)
{
	enum { PROCESSES = 3, TIMES = 400 };
	dsm_region *region = share();
	struct tally *tally = dsm_base(region);
	pid_t pids[PROCESSES];

	make_mutexes(region, 0, 1);
	for (int i = 0; i < PROCESSES; i++) {
		pids[i] = fork();
		ASSERT_OK(pids[i]);
		if (!pids[i])
			count_up(tally, TIMES);
	}
	for (int i = 0; i < PROCESSES; i++) {
		EXPECT_EQ(wait_status(pids[i]), 0);
	}
	together("counted");
	EXPECT_EQ(tally->counter, nodes() * PROCESSES * TIMES);
	note("came here %lld times, %lld system calls", region_stat("mutexes_in"),
	     region_stat("sync_calls"));
	unshare_all(region);
}

/* More mutexes than a node keeps: each still excludes. */
TEST_SECONDS(many_mutexes, 600)
{
	enum { MUTEXES = DSM_WORDS + 1000, SHARED = 64, ROUNDS = 8 };
	dsm_region *region = share();
	volatile uint64_t *counters = (uint64_t *)((char *)dsm_base(region) + 3 * DSM_CHUNK_SIZE);
	uint64_t state = seed();

	make_mutexes(region, 0, MUTEXES);
	/* All are at one node, which has seen too many before it returns to the first. */
	for (int i = 0; node() == 1 % nodes() && i < MUTEXES; i++) {
		ASSERT_EQ(dsm_mutex_lock(mutex_at(region, 64 * i)), 0);
		ASSERT_EQ(dsm_mutex_unlock(mutex_at(region, 64 * i)), 0);
	}
	together("walked");
	for (int round = 0; round < ROUNDS; round++)
		for (int i = 0; i < SHARED; i++) {
			int at = random_next(&state) % SHARED;
			dsm_mutex_t *mutex = mutex_at(region, 64 * at * (MUTEXES / SHARED));

			ASSERT_EQ(dsm_mutex_lock(mutex), 0);
			counters[at]++;
			ASSERT_EQ(dsm_mutex_unlock(mutex), 0);
		}
	together("counted");
	if (!node()) {
		uint64_t sum = 0;

		for (int i = 0; i < SHARED; i++)
			sum += counters[i];
		EXPECT_EQ(sum, nodes() * ROUNDS * SHARED);
	}
	unshare_all(region);
}

static _Atomic bool stop;

static void *hog_lease(void *mutex)
{
	while (!atomic_load(&stop)) {
		EXPECT_EQ(dsm_mutex_lock(mutex), 0);
		EXPECT_EQ(dsm_mutex_unlock(mutex), 0);
	}
	return NULL;
}

/* A node that could lock it again without a system call still gives it away. */
TEST(hogged_by_a_node)
{
	dsm_region *region = share();
	dsm_mutex_t *mutex = mutex_at(region, MUTEX);
	pthread_t threads[THREADS];

	make_mutexes(region, MUTEX, 1);
	if (!node())
		for (int i = 0; i < THREADS; i++)
			start(&threads[i], hog_lease, mutex);
	together("hogging");
	if (node())
		for (int i = 0; i < 50; i++) {
			ASSERT_EQ(dsm_mutex_lock(mutex), 0);
			ASSERT_EQ(dsm_mutex_unlock(mutex), 0);
		}
	together("had");
	atomic_store(&stop, true);
	if (!node())
		for (int i = 0; i < THREADS; i++)
			join(threads[i]);
	unshare_all(region);
}

/* Wait on a condition with a mutex that was locked without a system call. */
static void *wait_and_wake(void *data)
{
	dsm_region *region = data;
	_Atomic uint64_t *turn = word(dsm_base(region), DATA / 8);

	for (int i = 0; i < 30; i++) {
		EXPECT_EQ(dsm_mutex_lock(mutex_at(region, MUTEX)), 0);
		while (atomic_load(turn) % nodes() != (uint64_t)node())
			EXPECT_EQ(dsm_cond_wait((dsm_cond_t *)mutex_at(region, COND),
						mutex_at(region, MUTEX)), 0);
		atomic_fetch_add(turn, 1);
		EXPECT_EQ(dsm_cond_broadcast((dsm_cond_t *)mutex_at(region, COND)), 0);
		EXPECT_EQ(dsm_mutex_unlock(mutex_at(region, MUTEX)), 0);
	}
	return NULL;
}

TEST(conditions)
{
	dsm_region *region = share();
	pthread_t threads[2];

	if (!node())
		ASSERT_EQ(dsm_cond_init((dsm_cond_t *)mutex_at(region, COND)), 0);
	make_mutexes(region, MUTEX, 1);
	for (int i = 0; i < 2; i++)
		start(&threads[i], wait_and_wake, region);
	for (int i = 0; i < 2; i++)
		join(threads[i]);
	together("turned");
	EXPECT_EQ(atomic_load(word(dsm_base(region), DATA / 8)), 2 * 30 * nodes());
	unshare_all(region);
}

/* ---- lock words --------------------------------------------------------- */

TEST(attach_arguments)
{
	dsm_region *region = share();
	int unbound = open_device(), rdonly = open_bound(DSM_OPEN_RDONLY);
	struct dsm_attach_arg arg = {}, again = {};
	uint32_t result;
	char *at;

	EXPECT_ERRNO(ioctl(unbound, DSM_IOC_ATTACH, &arg), EINVAL);
	EXPECT_ERRNO(ioctl(rdonly, DSM_IOC_ATTACH, &arg), EACCES);
	EXPECT_ERRNO(mmap(NULL, DSM_WORDS_SIZE, PROT_READ, MAP_SHARED, rdonly, DSM_WORDS_OFFSET),
		     EACCES);
	/* Not before a process of the node has attached. */
	EXPECT_ERRNO(mmap(NULL, DSM_WORDS_SIZE, PROT_READ, MAP_SHARED, fd, DSM_WORDS_OFFSET),
		     EINVAL);
	EXPECT_ERRNO(ioctl(fd, DSM_IOC_ATTACH, (void *)8), EFAULT);
	ASSERT_OK(ioctl(fd, DSM_IOC_ATTACH, &arg));
	EXPECT_GE(arg.process, 1);
	EXPECT_LT(arg.process, DSM_WORD_PROCESS_OTHER);
	ASSERT_OK(ioctl(fd, DSM_IOC_ATTACH, &again));
	EXPECT_EQ(again.process, arg.process);
	EXPECT_ERRNO(mmap(NULL, DSM_WORDS_SIZE, PROT_READ, MAP_PRIVATE, fd, DSM_WORDS_OFFSET),
		     EINVAL);
	EXPECT_ERRNO(mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, DSM_WORDS_OFFSET), EINVAL);
	EXPECT_ERRNO(mmap(NULL, DSM_WORDS_SIZE, PROT_READ, MAP_SHARED, fd,
			  DSM_WORDS_OFFSET + 4096), EINVAL);
	at = mmap(NULL, DSM_WORDS_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, DSM_WORDS_OFFSET);
	ASSERT_NE(at, MAP_FAILED);
	/* The mapping outlives the descriptor. A mutex that was locked through it does not. */
	ASSERT_EQ(lock(64 * node(), 0), 0);
	EXPECT_NE(*word(at, dsm_word_set(64 * node())), 0);
	ASSERT_OK(close(fd));
	EXPECT_EQ(*word(at, dsm_word_set(64 * node())), 0);
	fd = open_bound(0);
	ASSERT_EQ(sync_op(DSM_SYNC_TRYLOCK, 64 * node(), 0, 0, 0, &result), 0);
	EXPECT_EQ(result, DSM_SYNC_OWNERDEAD);
	EXPECT_EQ(unlock(64 * node()), 0);
	ASSERT_OK(munmap(at, DSM_WORDS_SIZE));
	close(unbound);
	close(rdonly);
	unshare_all(region);
}

/* A process that writes nonsense to lock words breaks mutexes, and nothing else. */
TEST(nonsense)
{
	dsm_region *region = share();
	struct dsm_attach_arg arg = {};
	uint64_t state = seed();
	double end = seconds() + 3;
	_Atomic uint64_t *words;
	pid_t pid;

	ASSERT_OK(ioctl(fd, DSM_IOC_ATTACH, &arg));
	words = mmap(NULL, DSM_WORDS_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
		     DSM_WORDS_OFFSET);
	ASSERT_NE(words, MAP_FAILED);
	pid = fork();
	ASSERT_OK(pid);
	while (!pid) {
		uint64_t bits = random_next(&state);
		_Atomic uint64_t *at = &words[dsm_word_set(64 * (bits % 8))];

		/* Now and then a plausible value. */
		if (bits & 64)
			atomic_store(at, dsm_word(64 * (bits % 8)) |
				     (bits & 128 ? arg.process << DSM_WORD_THREAD_BITS : 0) |
				     (bits >> 32 & DSM_WORD_SLOW));
		else
			atomic_store(at, bits);
	}
	together("ready");
	while (seconds() < end) {
		uint64_t at = 64 * (random_next(&state) % 8);
		int err = lock(at, MS);

		EXPECT_TRUE(!err || err == ETIMEDOUT || err == EDEADLK);
		err = unlock(at);
		EXPECT_TRUE(!err || err == EPERM);
	}
	kill_holder(pid);
	munmap(words, DSM_WORDS_SIZE);
	together("over");
	/* Other mutexes are intact. */
	EXPECT_EQ(lock(DSM_CHUNK_SIZE, 0), 0);
	EXPECT_EQ(unlock(DSM_CHUNK_SIZE), 0);
	ASSERT_OK(close(fd));
	fd = open_bound(0);
	together("closed");
	EXPECT_EQ(lock(0, 0), 0);
	EXPECT_EQ(unlock(0), 0);
	unshare_all(region);
}
