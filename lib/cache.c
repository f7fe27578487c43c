// SPDX-License-Identifier: MIT
/* What cache.h describes. */
#include "cache.h"

#include "arena.h"

enum {
	FEW_THREADS	= 16,	/* that may have as much as they like */
	PART		= 8,	/* one of so many of the region's units is for slack */
};

size_t dsm_thread_share(const struct dsm_heap *heap)
{
	uint32_t slots = atomic_load(&heap->arena->slots);

	return slots < FEW_THREADS ? SIZE_MAX : (size_t)heap->chunks * UNITS / PART / slots;
}

void dsm_thread_wait(struct dsm_thread *thread)
{
	while (atomic_load_explicit(&thread->stopped, memory_order_acquire)) {
		if (dsm_arena_lock(thread->heap))
			return;
		dsm_arena_unlock(thread->heap);
	}
}

void dsm_thread_enter_wait(struct dsm_thread *thread)
{
	dsm_thread_enter(thread);
	while (atomic_load_explicit(&thread->stopped, memory_order_acquire)) {
		dsm_thread_leave(thread);
		dsm_thread_wait(thread);
		dsm_thread_enter(thread);
	}
}

int dsm_thread_lock(struct dsm_thread *thread)
{
	int err;

	dsm_thread_leave(thread);
	err = dsm_arena_lock(thread->heap);
	if (err)
		dsm_thread_enter_wait(thread);
	else
		dsm_thread_enter(thread);
	return err;
}
