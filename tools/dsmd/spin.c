// SPDX-License-Identifier: GPL-2.0
/*
 * Spinning before sleeping. The module does it, for it knows whether another
 * wants this processor, and whether it has been worth it of late.
 */
#include <errno.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <linux/dsm.h>

#include "device.h"
#include "loop.h"
#include "spin.h"
#include "window.h"

/* So many waits do without when the module has said no: spin_us may be set. */
#define SPIN_OFF_WAITS	1000

/*
 * A descriptor keeps the module from being unloaded. It is had while there are
 * windows, which is while there are regions that have been used here.
 */
static bool device_wanted(struct spin *spin)
{
	if (spin->windows->count)
		return true;
	spin_exit(spin);
	return false;
}

static int module_spin(struct spin *spin)
{
	struct dsm_spin_arg arg = { .fd = spin->loop->epoll_fd };

	if (spin->fd < 0)
		spin->fd = device_open();
	if (spin->fd < 0)
		return spin->fd;
	return ioctl(spin->fd, DSM_IOC_SPIN, &arg) ? -errno : 0;
}

static void before_sleep(void *data)
{
	struct spin *spin = data;

	if (!device_wanted(spin))
		return;
	if (spin->off) {
		spin->off--;
	} else if (module_spin(spin)) {
		spin->off = SPIN_OFF_WAITS;
		spin_exit(spin);
	}
}

void spin_init(struct spin *spin, struct loop *loop, const struct window_table *windows)
{
	*spin = (struct spin){ .loop = loop, .windows = windows, .fd = -1 };
	loop->before = before_sleep;
	loop->before_data = spin;
}

void spin_exit(struct spin *spin)
{
	if (spin->fd >= 0)
		close(spin->fd);
	spin->fd = -1;
}
