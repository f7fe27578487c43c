/* SPDX-License-Identifier: MIT */
#ifndef _DSM_RECOVER_H
#define _DSM_RECOVER_H

#include "layout.h"

/* All with the arena's lock held. */

/* Recover what the slot's dead thread had. 0 or an error number. */
int dsm_recover_slot(struct dsm_heap *heap, struct dsm_slot *slot);

/* The same for all slots. */
void dsm_recover_threads(struct dsm_heap *heap);

/* The lists of slabs and parcels, after a death with the arena's lock. */
void dsm_recover_arena(struct dsm_heap *heap);

#endif /* _DSM_RECOVER_H */
