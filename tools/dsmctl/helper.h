/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _DSMCTL_HELPER_H
#define _DSMCTL_HELPER_H

struct json_object;

/*
 * Adds what this node's dsmd says of itself, "security" to @node, and of its peers, "cipher"
 * and "name" to those in @peers. Either may be NULL. It says so only to root and to its own
 * user; nothing is added for others, or if it does not run.
 */
void helper_describe(struct json_object *node, struct json_object *peers);

#endif /* _DSMCTL_HELPER_H */
