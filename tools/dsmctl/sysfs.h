/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _DSMCTL_SYSFS_H
#define _DSMCTL_SYSFS_H

#include <stdbool.h>

struct json_object;

/*
 * A directory in sysfs below the node's ("" for the node's own) as an object: each file is a
 * member, as a number where it is one, and with @deep, each directory is an object. Members
 * are sorted by name, numbers numerically. NULL if it does not exist.
 */
struct json_object *sysfs_read(const char *path, bool deep);

/* Does this network namespace have a node? */
bool sysfs_present(void);

#endif /* _DSMCTL_SYSFS_H */
