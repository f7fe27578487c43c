// SPDX-License-Identifier: GPL-2.0
/* Accesses and locks that need no other node, against the same without DSM. */
#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "bench.h"

enum {
	PAGE		= 4096,
	/* shmem maps this many neighbours of a page that is read. */
	FAULT_AROUND	= 16,
	FAULTS		= 512,
	ACCESS_BYTES	= 1 << 20,
	ACCESS_PASSES	= 50,
	LOCKS		= 100000,
	MUTEXES		= 4096,
};

static double fault_each(char *memory)
{
	size_t size = (size_t)FAULTS * FAULT_AROUND * PAGE;
	struct samples samples = samples_new(FAULTS);
	double median;

	ASSERT_OK(madvise(memory, size, MADV_DONTNEED));
	for (size_t at = 0; at < size; at += FAULT_AROUND * PAGE)
		samples_add(&samples, time_read(memory + at));
	median = samples_quantile(&samples, 0.5);
	samples_free(&samples);
	return median;
}

/* Faults on pages that are present and not mapped, each in a fault-around window of its own. */
TEST(local_fault)
{
	size_t size = (size_t)FAULTS * FAULT_AROUND * PAGE;
	dsm_region *region = share_region(size, DSM_HOME_FIRST_TOUCH, PAGE);
	int fd = memfd_create("bench", MFD_CLOEXEC);
	char *plain;

	ASSERT_OK(fd);
	ASSERT_OK(ftruncate(fd, size));
	plain = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	ASSERT_OK(plain);
	if (!node()) {
		memset(dsm_base(region), 1, size);
		memset(plain, 1, size);
		for (int round = 0; round < ROUNDS; round++) {
			double ours;

			insn_begin(NULL);
			ours = fault_each(dsm_base(region));
			insn_end(NULL, "local_fault", "ours", FAULTS);
			report("local_fault", ours, fault_each(plain));
		}
	}
	munmap(plain, size);
	close(fd);
	unshare_region(region);
}

static double pass(const char *memory)
{
	uint64_t sum = 0;
	double start = seconds();

	for (int i = 0; i < ACCESS_PASSES; i++)
		for (size_t at = 0; at < ACCESS_BYTES; at += sizeof(uint64_t))
			sum += *(const volatile uint64_t *)(memory + at);
	return seconds() - start + (sum == 1 ? 1e-12 : 0);
}

TEST(mapped_access)
{
	dsm_region *region = share_region(DSM_CHUNK_SIZE, DSM_HOME_FIRST_TOUCH, PAGE);
	char *plain = mmap(NULL, DSM_CHUNK_SIZE, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	ASSERT_OK(plain);
	ASSERT_OK(madvise(plain, DSM_CHUNK_SIZE, MADV_NOHUGEPAGE));
	if (!node()) {
		memset(dsm_base(region), 1, ACCESS_BYTES);
		memset(plain, 1, ACCESS_BYTES);
		for (int round = 0; round < ROUNDS; round++) {
			double ours = pass(dsm_base(region));

			report("mapped_access", ours, pass(plain));
		}
	}
	munmap(plain, DSM_CHUNK_SIZE);
	unshare_region(region);
}

static double lock_each(dsm_mutex_t *mutexes, const uint32_t *order)
{
	double start = seconds();

	for (int i = 0; i < LOCKS; i++) {
		ASSERT_EQ(dsm_mutex_lock(&mutexes[order[i]]), 0);
		ASSERT_EQ(dsm_mutex_unlock(&mutexes[order[i]]), 0);
	}
	return (seconds() - start) / LOCKS;
}

static double lock_each_plain(pthread_mutex_t *mutexes, const uint32_t *order)
{
	double start = seconds();

	for (int i = 0; i < LOCKS; i++) {
		ASSERT_EQ(pthread_mutex_lock(&mutexes[order[i]]), 0);
		ASSERT_EQ(pthread_mutex_unlock(&mutexes[order[i]]), 0);
	}
	return (seconds() - start) / LOCKS;
}

/* @n mutexes at their home, last held by this thread, in random order. */
static void lock_rounds(const char *id, int n)
{
	dsm_region *region = share_region(DSM_CHUNK_SIZE, DSM_HOME_FIRST_TOUCH, PAGE);
	dsm_mutex_t *mutexes = dsm_base(region);
	pthread_mutex_t *plain = calloc(n, sizeof(*plain));
	uint32_t *order = calloc(LOCKS, sizeof(*order));
	pthread_mutexattr_t attr;
	uint64_t random = 1;

	ASSERT_TRUE(plain && order);
	ASSERT_LE(n * sizeof(*mutexes), dsm_size(region));
	ASSERT_EQ(pthread_mutexattr_init(&attr), 0);
	ASSERT_EQ(pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED), 0);
	for (int i = 0; !node() && i < n; i++) {
		ASSERT_EQ(dsm_mutex_init(&mutexes[i], NULL), 0);
		ASSERT_EQ(pthread_mutex_init(&plain[i], &attr), 0);
	}
	for (int i = 0; i < LOCKS; i++)
		order[i] = random_next(&random) % n;
	for (int round = 0; !node() && round < ROUNDS; round++) {
		double ours;

		insn_begin(NULL);
		ours = lock_each(mutexes, order);
		insn_end(NULL, id, "ours", LOCKS);
		report(id, ours, lock_each_plain(plain, order));
	}
	free(order);
	free(plain);
	unshare_region(region);
}

TEST(lock_local) { lock_rounds("lock_local", 1); }
TEST(lock_many) { lock_rounds("lock_many", MUTEXES); }
