/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _DSM_REGISTRY_H
#define _DSM_REGISTRY_H

#include <linux/types.h>

struct dsm_batch;
struct dsm_msg;
struct dsm_node;
struct dsm_region;
struct dsm_region_arg;

/*
 * How many regions there are at most, those among them whose name is gone: each takes
 * some 12 KiB of every node's kernel, mostly for its files in sysfs, so 100 MiB in all.
 */
#define DSM_REGIONS_MAX		8192

int dsm_registry_create_region(struct dsm_node *node, const struct dsm_region_arg *arg,
			       struct dsm_region **out);
int dsm_registry_open(struct dsm_node *node, const char *name, bool rdonly,
		      struct dsm_region **out);
int dsm_registry_unlink(struct dsm_node *node, const char *name);

void dsm_registry_begun(struct dsm_node *node, bool other, u64 incarnation);
int dsm_registry_ask(struct dsm_node *node, u32 region);
int dsm_registry_receive(struct dsm_node *node, struct dsm_msg *msg, struct dsm_batch *batch);
void dsm_registry_peer_stale(struct dsm_node *node, u16 peer);
void dsm_registry_peer_down(struct dsm_node *node, u16 peer);

int dsm_registry_init(struct dsm_node *node);
void dsm_registry_exit(struct dsm_node *node);

#endif /* _DSM_REGISTRY_H */
