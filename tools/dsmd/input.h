/* SPDX-License-Identifier: GPL-2.0 */
#ifndef DSMD_INPUT_H
#define DSMD_INPUT_H

struct conn;

void input_ready(struct conn *conn);

#endif
