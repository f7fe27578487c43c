/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _DSM_NETNS_H
#define _DSM_NETNS_H

struct dsm_carrier;

int dsm_netns_init(const struct dsm_carrier *with);
void dsm_netns_exit(void);

#endif /* _DSM_NETNS_H */
