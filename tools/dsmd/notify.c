// SPDX-License-Identifier: GPL-2.0
/*
 * Word to the service manager. The protocol is a datagram to the socket named
 * in the environment (sd_notify(3)): too little for a library and all that it
 * would bring along.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "log.h"
#include "notify.h"

#define NOTIFY_MAX	256

/* Does nothing where no service manager asked for it. */
void notify(const char *format, ...)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	char text[NOTIFY_MAX];
	socklen_t addr_len;
	size_t path_len;
	va_list args;
	int fd;

	if (!path || !*path)
		return;
	path_len = strlen(path);
	if (path_len >= sizeof(addr.sun_path))
		return;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);

	memcpy(addr.sun_path, path, path_len);
	if (addr.sun_path[0] == '@')	/* abstract */
		addr.sun_path[0] = '\0';
	addr_len = offsetof(struct sockaddr_un, sun_path) + path_len;

	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return;
	if (sendto(fd, text, strlen(text), MSG_NOSIGNAL | MSG_DONTWAIT,
		   (struct sockaddr *)&addr, addr_len) < 0)
		log_debug("%s: %m", path);
	close(fd);
}
