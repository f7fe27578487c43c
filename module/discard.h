/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _DSM_DISCARD_H
#define _DSM_DISCARD_H

#include <linux/types.h>

struct dsm_region;

int dsm_discard(struct dsm_region *region, u64 offset, u64 length);

void dsm_discard_init(struct dsm_region *region);
void dsm_discard_stop(struct dsm_region *region);

#endif /* _DSM_DISCARD_H */
