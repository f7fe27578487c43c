/* SPDX-License-Identifier: GPL-2.0 */
#ifndef DSMD_DEVICE_H
#define DSMD_DEVICE_H

#include <stdint.h>

int device_open(void);
int device_check(void);
int device_window_open(void *data, uint32_t region, void **base, uint64_t *size);

#endif
