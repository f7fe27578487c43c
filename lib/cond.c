// SPDX-License-Identifier: MIT
/* Condition variables. The module lets go of the mutex and queues in one step. */
#include <errno.h>
#include <stdatomic.h>
#include <string.h>

#include "error.h"
#include "sync.h"

int dsm_cond_init(dsm_cond_t *cond)
{
	struct dsm_sync_place place;
	int err = dsm_sync_check(cond, &place);

	if (err)
		return err;
	memset(cond, 0, sizeof(*cond));
	atomic_thread_fence(memory_order_release);
	cond->__magic = DSM_COND_MAGIC;
	return 0;
}

int dsm_cond_timedwait(dsm_cond_t *cond, dsm_mutex_t *mutex,
		       const struct timespec *abstime)
{
	struct dsm_sync_arg arg = { .op = DSM_SYNC_WAIT };
	struct dsm_sync_place place, mutex_place;
	int err = dsm_sync_find(cond, DSM_COND_MAGIC, &place);
	int state;

	if (!err)
		err = dsm_sync_find(mutex, DSM_MUTEX_MAGIC, &mutex_place);
	if (err)
		return err;
	if (place.segment != mutex_place.segment)
		return dsm_error(EINVAL, "the condition's and the mutex's regions differ");
	if (abstime) {
		err = dsm_sync_relative(abstime, &arg.timeout_ns);
		/* a time past is waited for all the same: the mutex is let go */
		if (err && err != ETIMEDOUT)
			return err;
	}
	arg.other = mutex_place.offset;
	dsm_mutex_leave(mutex);
	err = dsm_sync_request(&place, &arg);
	switch (err) {
	case EINTR:	/* a spurious wake-up, which callers expect */
		err = 0;
		break;
	case 0:
	case ETIMEDOUT:
		break;
	default:	/* the mutex was not let go of, or not got again */
		return err;
	}
	state = dsm_mutex_enter(mutex, &mutex_place, arg.result);
	return state ? state : err;
}

int dsm_cond_wait(dsm_cond_t *cond, dsm_mutex_t *mutex)
{
	return dsm_cond_timedwait(cond, mutex, NULL);
}

static int cond_wake(dsm_cond_t *cond, uint32_t count)
{
	struct dsm_sync_arg arg = { .op = DSM_SYNC_WAKE, .value = count };
	struct dsm_sync_place place;
	int err = dsm_sync_find(cond, DSM_COND_MAGIC, &place);

	return err ? err : dsm_sync_request(&place, &arg);
}

int dsm_cond_signal(dsm_cond_t *cond)
{
	return cond_wake(cond, 1);
}

int dsm_cond_broadcast(dsm_cond_t *cond)
{
	return cond_wake(cond, INT32_MAX);
}

int dsm_cond_destroy(dsm_cond_t *cond)
{
	struct dsm_sync_place place;
	int err = dsm_sync_find(cond, DSM_COND_MAGIC, &place);

	if (!err)
		cond->__magic = 0;
	return err;
}
