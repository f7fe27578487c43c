// SPDX-License-Identifier: GPL-2.0
/* Accepts connections. Who it is that connects, their hello tells. */
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "config.h"
#include "conn.h"
#include "links.h"
#include "listener.h"
#include "log.h"

#define LISTENER_BACKLOG	128
#define LISTENER_ACCEPTS_MAX	16	/* then others have their turn */

static void address_print(const struct sockaddr_storage *addr, socklen_t len,
			  char *text, size_t size)
{
	char host[NI_MAXHOST], port[NI_MAXSERV];

	if (getnameinfo((const struct sockaddr *)addr, len, host, sizeof(host), port,
			sizeof(port), NI_NUMERICHOST | NI_NUMERICSERV))
		snprintf(text, size, "?");
	else
		snprintf(text, size, strchr(host, ':') ? "[%.46s]:%.5s" : "%.46s:%.5s", host, port);
}

/*
 * The part of an address that a host cannot choose: all of an IPv4 address, and the network
 * (64 bits) of an IPv6 address.
 */
static void host_of(const struct sockaddr_storage *addr, unsigned char host[CONN_HOST_SIZE])
{
	memset(host, 0, CONN_HOST_SIZE);
	if (addr->ss_family == AF_INET) {
		const struct sockaddr_in *in = (const struct sockaddr_in *)addr;

		memcpy(host + 12, &in->sin_addr, 4);
	} else if (addr->ss_family == AF_INET6) {
		const struct sockaddr_in6 *in = (const struct sockaddr_in6 *)addr;

		if (IN6_IS_ADDR_V4MAPPED(&in->sin6_addr))
			memcpy(host + 12, in->sin6_addr.s6_addr + 12, 4);
		else
			memcpy(host, &in->sin6_addr, 8);
	}
}

static void listener_ready(struct loop_source *source, uint32_t events)
{
	struct links *links = container_of(source, struct links, listener);
	unsigned char host[CONN_HOST_SIZE];
	struct sockaddr_storage addr;
	char text[64];

	(void)events;
	for (int i = 0; i < LISTENER_ACCEPTS_MAX; i++) {
		socklen_t len = sizeof(addr);
		int fd = accept4(source->fd, (struct sockaddr *)&addr, &len,
				 SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd < 0) {
			if (errno != EAGAIN && errno != ECONNABORTED)
				log_limited(&links->limit, LOG_ERR, "accept: %m");
			break;
		}
		address_print(&addr, len, text, sizeof(text));
		host_of(&addr, host);
		conn_accept(links, fd, text, host);
	}
	links_sync(links);
}

int listener_init(struct links *links)
{
	const struct config_address *address = &links->config->listen;
	int one = 1;
	int err, fd;

	fd = socket(address->addr.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		goto err_log;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, (const struct sockaddr *)&address->addr, address->addr_len) ||
	    listen(fd, LISTENER_BACKLOG))
		goto err_log;

	links->listener.fd = fd;
	links->listener.ready = listener_ready;
	err = loop_add(links->loop, &links->listener, EPOLLIN);
	if (!err)
		return 0;
	errno = -err;

err_log:
	err = -errno;
	log_error("listen on %s: %m", address->text);
	if (fd >= 0)
		close(fd);
	links->listener.fd = -1;
	return err;
}

void listener_exit(struct links *links)
{
	loop_close(links->loop, &links->listener);
}
