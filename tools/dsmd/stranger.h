/* SPDX-License-Identifier: GPL-2.0 */
#ifndef DSMD_STRANGER_H
#define DSMD_STRANGER_H

#include <stdbool.h>
#include <stdint.h>

struct conn;
struct links;

/* Nobody knows yet who they are, so they must not be many. */
#define STRANGERS_MAX	64

void stranger_add(struct conn *conn);
void stranger_remove(struct conn *conn);
void stranger_proven(struct conn *conn);
bool stranger_may_work(const struct links *links);
void stranger_worked(struct links *links, uint64_t ns);

#endif
