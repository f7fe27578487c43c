/* SPDX-License-Identifier: GPL-2.0 */
#ifndef DSMD_LISTENER_H
#define DSMD_LISTENER_H

struct links;

int listener_init(struct links *links);
void listener_exit(struct links *links);

#endif
