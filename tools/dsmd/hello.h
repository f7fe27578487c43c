/* SPDX-License-Identifier: GPL-2.0 */
#ifndef DSMD_HELLO_H
#define DSMD_HELLO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <linux/dsm_wire.h>

struct links;

void hello_fill(const struct links *links, struct dsm_wire_hello *hello);
bool hello_is_ours(const struct links *links, const struct dsm_wire_hello *hello);
bool hello_check(const struct links *links, const struct dsm_wire_hello *hello,
		 char *why, size_t size);

#endif
