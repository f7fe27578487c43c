/* SPDX-License-Identifier: GPL-2.0 */
#ifndef DSMD_STATUS_H
#define DSMD_STATUS_H

#include "loop.h"

struct links;

/**
 * struct status - tells dsmctl what only the helper knows
 * @links: of which it tells
 * @source: the listening socket
 */
struct status {
	struct links *links;
	struct loop_source source;
};

void status_init(struct status *status, struct links *links);
void status_exit(struct status *status);

#endif
