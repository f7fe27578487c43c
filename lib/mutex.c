// SPDX-License-Identifier: MIT
/*
 * Mutexes: robust, and checking for errors, as pthreads has them.
 *
 *	OK --holder dies--> INCONSISTENT --dsm_mutex_consistent()--> OK
 *	                         |
 *	                         +--unlocked--> LOST: nobody can take it
 *
 * The state is in the object, and only a holder writes it.
 */
#include <errno.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "error.h"
#include "sync.h"

enum mutex_state {
	MUTEX_OK		= 0,
	MUTEX_INCONSISTENT	= 1,
	MUTEX_LOST		= 2,
};

static uint32_t state_get(const dsm_mutex_t *mutex)
{
	return *(const volatile uint32_t *)&mutex->__state;
}

static void state_set(dsm_mutex_t *mutex, enum mutex_state state)
{
	*(volatile uint32_t *)&mutex->__state = state;
}

/* Of an inconsistent one the holder is known. */
static bool holder_is_me(const dsm_mutex_t *mutex)
{
	return mutex->__holder_node == (uint32_t)dsm_node_id() &&
	       mutex->__holder_thread == (uint64_t)gettid();
}

void dsm_mutex_leave(dsm_mutex_t *mutex)
{
	if (state_get(mutex) == MUTEX_INCONSISTENT && holder_is_me(mutex))
		state_set(mutex, MUTEX_LOST);
}

static int mutex_release(const struct dsm_sync_place *place)
{
	struct dsm_sync_arg arg = { .op = DSM_SYNC_UNLOCK };

	return dsm_sync_request(place, &arg);
}

int dsm_mutex_enter(dsm_mutex_t *mutex, const struct dsm_sync_place *place,
		    uint32_t result)
{
	if (state_get(mutex) == MUTEX_LOST) {
		mutex_release(place);
		return ENOTRECOVERABLE;
	}
	if (!(result & DSM_SYNC_OWNERDEAD))
		return 0;
	mutex->__holder_node = dsm_node_id();
	mutex->__holder_thread = gettid();
	state_set(mutex, MUTEX_INCONSISTENT);
	return EOWNERDEAD;
}

static __attribute__((noinline)) int mutex_take(dsm_mutex_t *mutex, enum dsm_sync_op op,
		      const struct timespec *abstime)
{
	struct dsm_sync_place place;
	int err = dsm_sync_find(mutex, DSM_MUTEX_MAGIC, &place);

	if (err)
		return err;
	/* for good: no need to find it free first */
	if (state_get(mutex) == MUTEX_LOST)
		return ENOTRECOVERABLE;
	dsm_words_attach(&place.segment->words, place.segment->fd);
	do {
		struct dsm_sync_arg arg = { .op = op };

		if (abstime) {
			err = dsm_sync_relative(abstime, &arg.timeout_ns);
			/*
			 * A time past is waited for all the same: the mutex may be
			 * free, or this thread's own (EDEADLK, whatever the time).
			 */
			if (err && err != ETIMEDOUT)
				return err;
		}
		err = dsm_sync_request(&place, &arg);
		if (!err)
			err = dsm_mutex_enter(mutex, &place, arg.result);
	} while (err == EINTR);
	dsm_words_learn(&place.segment->words, mutex, place.offset);
	return err;
}

/* Take it without a system call, if that can be; it is not lost, then. */
static inline bool mutex_take_here(dsm_mutex_t *mutex)
{
	struct dsm_word_known *known = dsm_words_recall(mutex);

	if (!known || mutex->__magic != DSM_MUTEX_MAGIC || !dsm_words_take(known))
		return false;
	if (__builtin_expect(state_get(mutex) != MUTEX_LOST, 1))
		return true;
	dsm_words_leave(known);
	return false;
}

int dsm_mutex_init(dsm_mutex_t *mutex, const struct dsm_mutexattr *attr)
{
	static const struct dsm_mutexattr none;
	struct dsm_sync_place place;
	int err = dsm_sync_check(mutex, &place);

	if (err)
		return err;
	if (attr && memcmp(attr, &none, sizeof(none)))
		return dsm_error(EINVAL, "mutex attributes must be 0");
	memset(mutex, 0, sizeof(*mutex));
	atomic_thread_fence(memory_order_release);
	mutex->__magic = DSM_MUTEX_MAGIC;
	return 0;
}

int dsm_mutex_lock(dsm_mutex_t *mutex)
{
	return mutex_take_here(mutex) ? 0 : mutex_take(mutex, DSM_SYNC_LOCK, NULL);
}

int dsm_mutex_trylock(dsm_mutex_t *mutex)
{
	return mutex_take_here(mutex) ? 0 : mutex_take(mutex, DSM_SYNC_TRYLOCK, NULL);
}

int dsm_mutex_timedlock(dsm_mutex_t *mutex, const struct timespec *abstime)
{
	if (dsm_sync_time_valid(abstime) && mutex_take_here(mutex))
		return 0;
	return mutex_take(mutex, DSM_SYNC_LOCK, abstime);
}

static __attribute__((noinline)) int mutex_leave(dsm_mutex_t *mutex)
{
	struct dsm_sync_place place;
	int err = dsm_sync_find(mutex, DSM_MUTEX_MAGIC, &place);

	if (err)
		return err;
	dsm_mutex_leave(mutex);
	return mutex_release(&place);
}

int dsm_mutex_unlock(dsm_mutex_t *mutex)
{
	struct dsm_word_known *known = dsm_words_recall(mutex);

	/* only the holder changes another state, before it unlocks */
	if (known && mutex->__magic == DSM_MUTEX_MAGIC && state_get(mutex) == MUTEX_OK &&
	    dsm_words_leave(known))
		return 0;
	return mutex_leave(mutex);
}

int dsm_mutex_consistent(dsm_mutex_t *mutex)
{
	struct dsm_sync_place place;
	int err = dsm_sync_find(mutex, DSM_MUTEX_MAGIC, &place);

	if (err)
		return err;
	if (state_get(mutex) != MUTEX_INCONSISTENT)
		return EINVAL;
	if (!holder_is_me(mutex))
		return EPERM;
	state_set(mutex, MUTEX_OK);
	return 0;
}

int dsm_mutex_destroy(dsm_mutex_t *mutex)
{
	struct dsm_sync_place place;
	int err = dsm_sync_find(mutex, DSM_MUTEX_MAGIC, &place);

	if (err)
		return err;
	err = dsm_mutex_trylock(mutex);
	switch (err) {
	case 0:
	case EOWNERDEAD:
		mutex->__magic = 0;
		return mutex_release(&place);
	case ENOTRECOVERABLE:	/* nobody holds it for long */
		mutex->__magic = 0;
		return 0;
	case EDEADLK:
		return EBUSY;
	default:
		return err;
	}
}
