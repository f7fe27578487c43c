/* SPDX-License-Identifier: MIT */
#ifndef _DSM_PLACE_H
#define _DSM_PLACE_H

#include "layout.h"

/*
 * Where an object is. NULL, or an error. Takes no lock:
 * of an object that is allocated, nothing read here changes.
 */
const char *dsm_object_find(const struct dsm_heap *heap, const void *ptr,
			    struct dsm_place *place);

/* Which object an address is in, wherever in it that is. */
const char *dsm_object_around(const struct dsm_heap *heap, const void *ptr,
			      struct dsm_place *place);

#endif /* _DSM_PLACE_H */
