// SPDX-License-Identifier: MIT
/*
 * Synchronisation objects: what they have in common.
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
	return err;
}

bool dsm_sync_time_valid(const struct timespec *abstime)
{
	return abstime->tv_nsec >= 0 && abstime->tv_nsec < NSEC_PER_SEC;
}

int dsm_sync_relative(const struct timespec *abstime, __u64 *timeout_ns)
{
	struct timespec now;
	int64_t sec, nsec;

	if (!dsm_sync_time_valid(abstime))
		return dsm_error(EINVAL, "tv_nsec %ld", abstime->tv_nsec);
	clock_gettime(CLOCK_REALTIME, &now);
	sec = abstime->tv_sec - now.tv_sec;
	nsec = abstime->tv_nsec - now.tv_nsec;
	/* beyond a century is as good as never, and does not overflow */
	if (sec > 3155760000LL)
		sec = 3155760000LL;
	if (sec < 0 || (!sec && nsec <= 0) || sec * NSEC_PER_SEC + nsec <= 0) {
		*timeout_ns = 1;
		return ETIMEDOUT;
	}
	*timeout_ns = sec * NSEC_PER_SEC + nsec;
	return 0;
}
