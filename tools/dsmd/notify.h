/* SPDX-License-Identifier: GPL-2.0 */
#ifndef DSMD_NOTIFY_H
#define DSMD_NOTIFY_H

void notify(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
