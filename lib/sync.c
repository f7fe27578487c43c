// SPDX-License-Identifier: MIT
/*
 * The common part of synchronisation objects.
 *
 * The queue of an object is kept by the module at the home of its block, and
 * waiting is in one ioctl. A mutex that is on this node already is words.c's.
 * The memory at the object's address says only what it is; it is written when
 * the object is made, and then read by all, so each node has a copy and using the
 * object costs no page traffic.
 */
#include "sync.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/ioctl.h>

#include "error.h"

#define NSEC_PER_SEC	1000000000LL

/* A century: as good as never, and its nanoseconds fit in 64 bits. */
#define SECONDS_MAX	3155760000ULL

int dsm_sync_check(const void *object, struct dsm_sync_place *place)
{
	struct dsm_segment *segment = dsm_segment_find(object);

	if (!segment || (uintptr_t)object % 8)
		return dsm_error(EINVAL, "%p: not in a region, or not aligned to 8",
				 object);
	if (!atomic_load(&segment->writable))
		return dsm_error(EACCES, "%p: its region is open read-only",
				 object);
	place->segment = segment;
	place->offset = (const char *)object - segment->base;
	return 0;
}

int dsm_sync_find(const void *object, uint32_t magic,
		  struct dsm_sync_place *place)
{
	int err = dsm_sync_check(object, place);

	if (err)
		return err;
	if (*(const volatile uint32_t *)object != magic)
		return dsm_error(EINVAL, "%p: not initialised, or destroyed",
				 object);
	return 0;
}

int dsm_sync_request(const struct dsm_sync_place *place,
		     struct dsm_sync_arg *arg)
{
	int saved = errno;
	int err = 0;

	arg->offset = place->offset;
	/* to the kernel's side of it, which is ordered for all nodes */
	atomic_thread_fence(memory_order_seq_cst);
	if (ioctl(place->segment->fd, DSM_IOC_SYNC, arg))
		err = errno;
	atomic_thread_fence(memory_order_seq_cst);
	errno = saved;
	if (err == EDQUOT)
		dsm_error(err, "your threads have, or wait for, as many mutexes, barriers "
			  "and conditions as this node's user_mutexes_max allows");
	return err;
}

bool dsm_sync_time_valid(const struct timespec *abstime)
{
	return abstime->tv_nsec >= 0 && abstime->tv_nsec < NSEC_PER_SEC;
}

/*
 * Times are compared before they are subtracted: the difference of any two
 * values of time_t need not be one.
 */
int dsm_sync_relative(const struct timespec *abstime, __u64 *timeout_ns)
{
	struct timespec now;
	uint64_t sec;

	if (!dsm_sync_time_valid(abstime))
		return dsm_error(EINVAL, "tv_nsec %ld: must be from 0 to 999999999",
				 abstime->tv_nsec);
	clock_gettime(CLOCK_REALTIME, &now);
	if (abstime->tv_sec < now.tv_sec ||
	    (abstime->tv_sec == now.tv_sec && abstime->tv_nsec <= now.tv_nsec)) {
		*timeout_ns = 1;
		return ETIMEDOUT;
	}
	/* it is in the future, so this is exact even where a time_t would overflow */
	sec = (uint64_t)abstime->tv_sec - (uint64_t)now.tv_sec;
	if (sec > SECONDS_MAX)
		sec = SECONDS_MAX;
	*timeout_ns = sec * NSEC_PER_SEC + abstime->tv_nsec - now.tv_nsec;
	return 0;
}
