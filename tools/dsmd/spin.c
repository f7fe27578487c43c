// SPDX-License-Identifier: GPL-2.0
/*
 * Spinning before sleeping. The module does it, for it knows whether another
 * wants this processor, and whether it has been worth it of late.
 */
#include <errno.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <linux/dsm.h>

#include "clock.h"
#include "device.h"
#include "loop.h"
#include "spin.h"
#include "window.h"

/* How long what the module has said of it is believed: one may set spin_us. */
#define SPIN_OFF_NS	NSEC_PER_SEC

/*
 * A descriptor keeps the module from being unloaded, as windows do. It is had
 * while there are windows, and no longer.
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

	if (!device_wanted(spin) || (spin->again_ns && clock_now_ns() < spin->again_ns))
		return;
	spin->again_ns = module_spin(spin) ? clock_now_ns() + SPIN_OFF_NS : 0;
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
