// SPDX-License-Identifier: MIT
/* Recovery after a thread or a process was killed. */
#include "recover.h"

#include <errno.h>

#include "keep.h"
#include "remote.h"
#include "slab.h"

int dsm_recover_slot(struct dsm_heap *heap, struct dsm_slot *slot)
{
	uint16_t owner = slot - heap->arena->slot + 1;

	dsm_slabs_recover(heap, owner);
	dsm_keep_recover(heap, owner);
	dsm_remote_recover(heap, slot);
	return pthread_mutex_consistent(&slot->alive);
}

void dsm_recover_threads(struct dsm_heap *heap)
{
	struct dsm_arena *arena = heap->arena;
	uint32_t slots = atomic_load(&arena->slots);

	for (struct dsm_slot *slot = arena->slot; slot < arena->slot + slots; slot++) {
		int err = pthread_mutex_trylock(&slot->alive);

		if (err == EOWNERDEAD)
			err = dsm_recover_slot(heap, slot);
		if (!err)
			pthread_mutex_unlock(&slot->alive);
	}
}

void dsm_recover_arena(struct dsm_heap *heap)
{
	dsm_slabs_rebuild(heap);
	dsm_remote_rebuild(heap);
}
