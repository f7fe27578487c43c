// SPDX-License-Identifier: MIT
/* The device, and who we are. */
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "dsm.h"
#include "error.h"
#include "node.h"

#define DEVICE	"/dev/dsm"

static int device_introduce(int fd)
{
	struct dsm_api api = { .version = DSM_API_VERSION };

	if (!ioctl(fd, DSM_IOC_API, &api))
		return 0;
	if (errno == EPROTONOSUPPORT)
		return dsm_fail(EPROTONOSUPPORT,
				"dsm.ko speaks API version %u, libdsm version %u",
				api.version, DSM_API_VERSION);
	return dsm_fail(errno, "%s: the handshake failed: %s", DEVICE,
			strerrordesc_np(errno));
}

int dsm_device_open(void)
{
	int fd = open(DEVICE, O_RDWR | O_CLOEXEC);

	if (fd < 0) {
		int err = errno == ENOENT || errno == ENXIO ? ENODEV : errno;

		return dsm_fail(err, "%s: %s%s", DEVICE, strerrordesc_np(errno),
				err == ENODEV ? " (is dsm.ko loaded?)" : "");
	}
	if (device_introduce(fd)) {
		int err = errno;

		close(fd);
		errno = err;
		return -1;
	}
	return fd;
}

static int node_info(struct dsm_node_info *info)
{
	int fd = dsm_device_open();
	int err = 0;

	if (fd < 0)
		return -1;
	memset(info, 0, sizeof(*info));
	if (ioctl(fd, DSM_IOC_NODE, info))
		err = errno;
	close(fd);
	if (err)
		return dsm_fail(err, "no node here yet: %s%s",
				strerrordesc_np(err),
				err == ENOTCONN ? " (is dsmd running?)" : "");
	return 0;
}

/* A process's node never changes: asked for once. Id + 1 above, count below. */
static _Atomic uint64_t node_known;

static int node_get(struct dsm_node_info *info)
{
	uint64_t known = atomic_load_explicit(&node_known, memory_order_relaxed);

	if (!known) {
		if (node_info(info))
			return -1;
		known = (uint64_t)(info->id + 1) << 32 | info->count;
		atomic_store_explicit(&node_known, known, memory_order_relaxed);
	}
	info->id = (uint32_t)(known >> 32) - 1;
	info->count = (uint32_t)known;
	return 0;
}

int dsm_node_id(void)
{
	struct dsm_node_info info;

	return node_get(&info) ? -1 : (int)info.id;
}

int dsm_node_count(void)
{
	struct dsm_node_info info;

	return node_get(&info) ? -1 : (int)info.count;
}
