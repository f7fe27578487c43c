/* SPDX-License-Identifier: MIT */
#ifndef _DSM_SYNC_OBJECT_H
#define _DSM_SYNC_OBJECT_H

#include <stdbool.h>

#include "dsm.h"
#include "region.h"

/* The first word of an object that has been initialised. */
enum dsm_sync_magic {
	DSM_MUTEX_MAGIC		= 0x5844554d,	/* "MUDX" */
	DSM_COND_MAGIC		= 0x58444e43,
	DSM_BARRIER_MAGIC	= 0x58524142,
};

/*
 * All of these return 0 or an error number.
 *
 * dsm_sync_check() - @object is in a region open for writing, and aligned;
 *	where, for ioctls.
 * dsm_sync_find() - and its magic is @magic.
 * dsm_sync_request() - DSM_IOC_SYNC.
 * dsm_sync_time_valid() - @abstime is a time.
 * dsm_sync_relative() - nanoseconds from now to @abstime; ETIMEDOUT.
 */
struct dsm_sync_place {
	struct dsm_segment *segment;
	uint64_t offset;
};

int dsm_sync_check(const void *object, struct dsm_sync_place *place);
int dsm_sync_find(const void *object, uint32_t magic,
		  struct dsm_sync_place *place);
int dsm_sync_request(const struct dsm_sync_place *place,
		     struct dsm_sync_arg *arg);
bool dsm_sync_time_valid(const struct timespec *abstime);
int dsm_sync_relative(const struct timespec *abstime, __u64 *timeout_ns);

/*
 * For a condition's sake: what becomes of a mutex when it is let go of, and
 * when it has been got; the latter is what the caller is to return, and has
 * released it again if that is ENOTRECOVERABLE.
 */
void dsm_mutex_leave(dsm_mutex_t *mutex);
int dsm_mutex_enter(dsm_mutex_t *mutex, const struct dsm_sync_place *place,
		    uint32_t result);

#endif /* _DSM_SYNC_OBJECT_H */
