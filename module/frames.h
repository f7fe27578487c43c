/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _DSM_FRAMES_H
#define _DSM_FRAMES_H

#include <linux/types.h>

struct dsm_region;
struct file;

struct file *dsm_frames_create(const char *name, u64 size);
void dsm_frames_destroy(struct file *file);
int dsm_frames_revoke(struct dsm_region *region, u64 index, bool clean);

int dsm_frames_init(void);
void dsm_frames_exit(void);

#endif /* _DSM_FRAMES_H */
