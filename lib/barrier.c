// SPDX-License-Identifier: MIT
/* Barriers. */
#include <errno.h>
#include <stdatomic.h>
#include <string.h>

#include "error.h"
#include "sync.h"

int dsm_barrier_init(dsm_barrier_t *barrier, unsigned int count)
{
	struct dsm_sync_place place;
	int err = dsm_sync_check(barrier, &place);

	if (err)
		return err;
	if (!count || count > INT32_MAX)
		return dsm_error(EINVAL, "a barrier for %u", count);
	memset(barrier, 0, sizeof(*barrier));
	barrier->__count = count;
	atomic_thread_fence(memory_order_release);
	barrier->__magic = DSM_BARRIER_MAGIC;
	return 0;
}

int dsm_barrier_wait(dsm_barrier_t *barrier)
{
	struct dsm_sync_place place;
	int err = dsm_sync_find(barrier, DSM_BARRIER_MAGIC, &place);
	uint32_t count;

	if (err)
		return err;
	count = barrier->__count;
	for (;;) {
		struct dsm_sync_arg arg = {
			.op = DSM_SYNC_BARRIER, .value = count,
		};

		/* a signal takes the caller out: it comes back in */
		err = dsm_sync_request(&place, &arg);
		if (err == EINTR)
			continue;
		if (!err && arg.result & DSM_SYNC_SERIAL)
			return DSM_BARRIER_SERIAL_THREAD;
		return err;
	}
}

int dsm_barrier_destroy(dsm_barrier_t *barrier)
{
	struct dsm_sync_place place;
	int err = dsm_sync_find(barrier, DSM_BARRIER_MAGIC, &place);

	if (!err)
		barrier->__magic = 0;
	return err;
}
