/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _DSM_SYSFS_H
#define _DSM_SYSFS_H

struct dsm_node;
struct dsm_peer;
struct dsm_region;

int dsm_sysfs_node_add(struct dsm_node *node);
void dsm_sysfs_node_del(struct dsm_node *node);
int dsm_sysfs_peer_add(struct dsm_peer *peer);
void dsm_sysfs_peer_del(struct dsm_peer *peer);
int dsm_sysfs_region_add(struct dsm_region *region);
void dsm_sysfs_region_del(struct dsm_region *region);

int dsm_sysfs_init(void);
void dsm_sysfs_exit(void);

#endif /* _DSM_SYSFS_H */
