/* SPDX-License-Identifier: GPL-2.0 */
/* Shared by sync.c and lease.c, the two halves of the tests of synchronisation. */
#ifndef SELFTESTS_SYNC_H
#define SELFTESTS_SYNC_H

#include <pthread.h>
#include <sys/ioctl.h>
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
	/* Memory in a block without objects. */
	DATA		= 65536,
};

#define MS 1000000ULL	/* ns */

/* The test's region, without libdsm. */
extern int fd;

/* Returns 0 or an error number. */
static inline int sync_op(uint32_t op, uint64_t offset, uint32_t value, uint64_t timeout_ns,
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

static inline int lock(uint64_t offset, uint64_t timeout_ns)
{
	return sync_op(DSM_SYNC_LOCK, offset, 0, timeout_ns, 0, NULL);
}

static inline int trylock(uint64_t offset)
{
	return sync_op(DSM_SYNC_TRYLOCK, offset, 0, 0, 0, NULL);
}

static inline int unlock(uint64_t offset)
{
	return sync_op(DSM_SYNC_UNLOCK, offset, 0, 0, 0, NULL);
}

static inline int barrier(uint64_t offset, uint32_t count)
{
	return sync_op(DSM_SYNC_BARRIER, offset, count, 0, 0, NULL);
}

static inline int wait_for(uint64_t cond, uint64_t mutex, uint64_t timeout_ns)
{
	return sync_op(DSM_SYNC_WAIT, cond, 0, timeout_ns, mutex, NULL);
}

static inline int wake(uint64_t cond, uint32_t count, uint32_t *woken)
{
	return sync_op(DSM_SYNC_WAKE, cond, count, 0, 0, woken);
}

static inline dsm_region *share(void)
{
	dsm_region *region = share_region(SIZE, DSM_HOME_INTERLEAVED, 0);

	fd = open_bound(0);
	return region;
}

static inline void unshare_all(dsm_region *region)
{
	ASSERT_OK(close(fd));
	unshare_region(region);
}

static inline void start(pthread_t *thread, void *(*run)(void *), void *arg)
{
	ASSERT_EQ(pthread_create(thread, NULL, run, arg), 0);
}

static inline void join(pthread_t thread)
{
	ASSERT_EQ(pthread_join(thread, NULL), 0);
}

static inline int in_thread(void *(*run)(void *), void *arg)
{
	pthread_t thread;
	void *result;

	start(&thread, run, arg);
	ASSERT_EQ(pthread_join(thread, &result), 0);
	return (int)(intptr_t)result;
}

#endif /* SELFTESTS_SYNC_H */
