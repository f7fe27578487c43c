/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _DSMCTL_SYSFS_H
#define _DSMCTL_SYSFS_H

#include <stdbool.h>

struct json_object;

/*
 * A directory below the node's in sysfs ("" is that itself) as an object: a
 * member a file, a number where it is one, and with @deep, an object a
 * directory. Members are sorted by name, numbers as numbers. NULL: no such.
 */
struct json_object *sysfs_read(const char *path, bool deep);

/* Whether this network namespace has a node. */
bool sysfs_present(void);

#endif /* _DSMCTL_SYSFS_H */
