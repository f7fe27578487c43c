// SPDX-License-Identifier: GPL-2.0
/* /dev/dsm, from which the windows come. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <linux/dsm.h>

#include "device.h"
#include "log.h"

#define DEVICE_PATH	"/dev/dsm"

/* A descriptor that is bound to no region yet, or a negative errno. */
static int open_speaking(struct dsm_api *api)
{
	int fd = open(DEVICE_PATH, O_RDWR | O_CLOEXEC);
	int err;

	*api = (struct dsm_api){ .version = DSM_API_VERSION };
	if (fd < 0)
		return -errno;
	if (!ioctl(fd, DSM_IOC_API, api))
		return fd;
	err = -errno;
	close(fd);
	return err;
}

int device_open(void)
{
	struct dsm_api api;

	return open_speaking(&api);
}

/* Whether windows will be had: said before anything depends on it. */
int device_check(void)
{
	struct dsm_api api;
	int fd = open_speaking(&api);

	if (fd == -EPROTONOSUPPORT)
		log_error("%s: the module's interface has version %u, ours is %u", DEVICE_PATH,
			  api.version, DSM_API_VERSION);
	else if (fd < 0)
		log_error("%s: %s", DEVICE_PATH, strerror(-fd));
	else
		close(fd);
	return fd < 0 ? fd : 0;
}

int device_window_open(void *data, uint32_t region, void **base, uint64_t *size)
{
	struct dsm_window_arg arg = { .id = region };
	int fd = device_open();
	int err = 0;

	(void)data;
	if (fd < 0)
		return fd;
	if (ioctl(fd, DSM_IOC_WINDOW, &arg)) {
		err = -errno;
		goto out_close;
	}
	*base = mmap(NULL, arg.size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, 0);
	if (*base == MAP_FAILED)
		err = -errno;
	*size = arg.size;

out_close:
	close(fd);	/* the mapping keeps what it needs */
	return err;
}
