/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _DSM_RECEIVE_H
#define _DSM_RECEIVE_H

#include <linux/types.h>

struct dsm_batch;
struct dsm_msg;
struct dsm_node;

int dsm_receive(struct dsm_node *node, struct dsm_msg *msg, bool in_window,
		struct dsm_batch *batch);

#endif /* _DSM_RECEIVE_H */
