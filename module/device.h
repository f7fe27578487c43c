/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _DSM_DEVICE_H
#define _DSM_DEVICE_H

int dsm_device_init(void);
void dsm_device_exit(void);

#endif /* _DSM_DEVICE_H */
