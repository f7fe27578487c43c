/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _DSM_FRAMES_H
#define _DSM_FRAMES_H

#include <linux/types.h>

struct dsm_region;

int dsm_frames_create(struct dsm_region *region);
void dsm_frames_destroy(struct dsm_region *region);
int dsm_frames_revoke(struct dsm_region *region, u64 index, bool clean);
bool dsm_frames_poisoned(struct dsm_region *region, u64 index);
bool dsm_frames_unreadable(struct dsm_region *region, u64 index);
void dsm_frames_repair(struct dsm_region *region, u64 index);
void dsm_frames_zero(struct dsm_region *region, u64 index);
int dsm_frames_prepare(struct dsm_region *region, u64 index, bool must);
void dsm_frames_unmap(struct dsm_region *region, u64 index, u64 n);
bool dsm_frames_charged(struct dsm_region *region, u64 index);
bool dsm_frames_free(struct dsm_region *region, u64 index);
bool dsm_frames_present(struct dsm_region *region, u64 index);
u64 dsm_frames_bytes(const struct dsm_region *region);
u64 dsm_frames_taken(const struct dsm_region *region);
u64 dsm_frames_left(void);
u64 dsm_frames_max(void);

int dsm_frames_init(int (*on_punch)(struct dsm_region *region, u64 offset, u64 length));
void dsm_frames_exit(void);

#endif /* _DSM_FRAMES_H */
