/* SPDX-License-Identifier: GPL-2.0 */
#ifndef DSMD_PRIORITY_H
#define DSMD_PRIORITY_H

void priority_raise(void);

#endif
