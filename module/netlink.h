/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _DSM_NETLINK_H
#define _DSM_NETLINK_H

struct dsm_carrier;

extern const struct dsm_carrier dsm_netlink_carrier;

int dsm_netlink_init(void);
void dsm_netlink_exit(void);

#endif /* _DSM_NETLINK_H */
