/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _DSM_SYNC_H
#define _DSM_SYNC_H

struct dsm_msg;
struct dsm_node;
struct dsm_opener;
struct dsm_region;
struct dsm_sync_arg;
struct files_struct;

long dsm_sync_ioctl(struct dsm_region *region, struct dsm_opener *opener, struct dsm_sync_arg *arg);
int dsm_sync_receive(struct dsm_node *node, const struct dsm_msg *msg);

void dsm_sync_release_process(struct dsm_region *region, struct dsm_opener *opener,
			      const struct files_struct *files);
void dsm_sync_release_file(struct dsm_region *region, struct dsm_opener *opener);
void dsm_sync_region_gone(struct dsm_region *region);

int dsm_sync_node_init(struct dsm_node *node);
void dsm_sync_node_exit(struct dsm_node *node);

#endif /* _DSM_SYNC_H */
