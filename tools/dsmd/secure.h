/* SPDX-License-Identifier: GPL-2.0 */
#ifndef DSMD_SECURE_H
#define DSMD_SECURE_H

#include <stdbool.h>

struct conn;
struct peer;

void secure_begin(struct conn *conn);
void secure_ready(struct conn *conn);
void secure_timeout(struct conn *conn);
bool secure_is(struct conn *conn, const struct peer *peer);
bool secure_used_up(const struct conn *conn);
const char *secure_read_error(const struct conn *conn, int err);

#endif
