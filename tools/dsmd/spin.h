/* SPDX-License-Identifier: GPL-2.0 */
#ifndef DSMD_SPIN_H
#define DSMD_SPIN_H

struct loop;
struct window_table;

/**
 * struct spin - spinning before sleeping
 * @loop: which sleeps
 * @windows: while there are any there is something to be fast for
 * @fd: of the device, while there are any; else -1
 * @off: so many waits are to do without
 */
struct spin {
	struct loop *loop;
	const struct window_table *windows;
	int fd;
	unsigned int off;
};

void spin_init(struct spin *spin, struct loop *loop, const struct window_table *windows);
void spin_exit(struct spin *spin);

#endif
