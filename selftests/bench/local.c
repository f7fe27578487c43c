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
			double ours = fault_each(dsm_base(region));

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

/* A mutex at its home, last held by this thread. */
TEST(lock_local)
{
	dsm_region *region = share_region(DSM_CHUNK_SIZE, DSM_HOME_FIRST_TOUCH, PAGE);
	dsm_mutex_t *mutex = dsm_base(region);
	pthread_mutexattr_t attr;
	pthread_mutex_t plain;

	if (!node()) {
		ASSERT_EQ(dsm_mutex_init(mutex, NULL), 0);
		ASSERT_EQ(pthread_mutexattr_init(&attr), 0);
		ASSERT_EQ(pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED), 0);
		ASSERT_EQ(pthread_mutex_init(&plain, &attr), 0);
		for (int round = 0; round < ROUNDS; round++) {
			double start = seconds(), ours;

			for (int i = 0; i < LOCKS; i++) {
				ASSERT_EQ(dsm_mutex_lock(mutex), 0);
				ASSERT_EQ(dsm_mutex_unlock(mutex), 0);
			}
			ours = seconds() - start;
			start = seconds();
			for (int i = 0; i < LOCKS; i++) {
				ASSERT_EQ(pthread_mutex_lock(&plain), 0);
				ASSERT_EQ(pthread_mutex_unlock(&plain), 0);
			}
			report("lock_local", ours / LOCKS, (seconds() - start) / LOCKS);
		}
	}
	unshare_region(region);
}
