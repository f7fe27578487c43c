/* SPDX-License-Identifier: GPL-2.0 */
#ifndef DSMD_SESSION_H
#define DSMD_SESSION_H

#include <stdint.h>

#include "conn.h"

void session_ask(struct conn *conn, struct peer *claims, uint64_t incarnation);
void session_answered(struct links *links, uint32_t peer, uint32_t number, int error,
		      uint64_t session, const char *text);
void session_heard(struct conn *conn, const struct dsm_wire_hdr *hdr, const void *body);
void ready_heard(struct conn *conn, const struct dsm_wire_hdr *hdr, const void *body);

#endif
