// SPDX-License-Identifier: GPL-2.0
/*
 * What dsmctl shows of the helper: a line of JSON for each that connects to a UNIX socket.
 * Its name is an abstract one, of which every network namespace, and so every node, has its own.
 *
 * Only root and the helper's own user are told. So nobody else can make it hold memory.
 */
#include <errno.h>
#include <json.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "../security.h"
#include "config.h"
#include "conn.h"
#include "links.h"
#include "log.h"
#include "peer.h"
#include "status.h"

#define STATUS_BACKLOG	8

static struct json_object *peer_describe(const struct conn *conn)
{
	struct json_object *peer = json_object_new_object();
	char name[32];

	if (conn->cipher)
		json_object_object_add(peer, "cipher", json_object_new_string(conn->cipher));
	if (conn->named >= 0) {
		snprintf(name, sizeof(name), SECURITY_NAME "%d", conn->named);
		json_object_object_add(peer, "name", json_object_new_string(name));
	}
	return peer;
}

static struct json_object *describe(const struct links *links)
{
	struct json_object *all = json_object_new_object();
	struct json_object *peers = json_object_new_object();
	char id[16];

	json_object_object_add(all, "security",
			       json_object_new_string(config_security(links->config)));
	json_object_object_add(all, "peers", peers);
	for (uint32_t i = 0; i < links->config->nodes; i++) {
		if (!links->peers[i].conn)
			continue;
		snprintf(id, sizeof(id), "%u", i);
		json_object_object_add(peers, id, peer_describe(links->peers[i].conn));
	}
	return all;
}

static bool may_know(int fd)
{
	struct ucred who;
	socklen_t length = sizeof(who);

	return !getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &length) &&
	       (!who.uid || who.uid == geteuid());
}

static void status_ready(struct loop_source *source, uint32_t events)
{
	struct status *status = container_of(source, struct status, source);
	struct json_object *all;
	int fd = accept4(source->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	int size = 1 << 20;	/* 4095 peers fit */
	const char *text;
	size_t length;

	(void)events;
	if (fd < 0)
		return;
	if (may_know(fd)) {
		all = describe(status->links);
		text = json_object_to_json_string_length(all, JSON_C_TO_STRING_PLAIN, &length);
		setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size));
		/* It does not wait: if not all of it fits, dsmctl finds that it is not JSON. */
		if (send(fd, text, length, MSG_NOSIGNAL | MSG_DONTWAIT) != (ssize_t)length)
			log_debug("dsmctl did not get all: %m");
		json_object_put(all);
	}
	close(fd);
}

/* Peers do without it, so its failure is no reason to stop. */
void status_init(struct status *status, struct links *links)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX, .sun_path = "\0" SECURITY_SOCKET };
	const socklen_t length = offsetof(struct sockaddr_un, sun_path) + sizeof(SECURITY_SOCKET);
	int err = 0;

	status->links = links;
	status->source.ready = status_ready;
	status->source.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (status->source.fd < 0 ||
	    bind(status->source.fd, (struct sockaddr *)&address, length) ||
	    listen(status->source.fd, STATUS_BACKLOG))
		err = errno;
	else
		err = -loop_add(links->loop, &status->source, EPOLLIN);
	if (!err)
		return;
	log_warning("dsmctl cannot ask this dsmd: the UNIX socket @" SECURITY_SOCKET ": %s",
		    strerror(err));
	status_exit(status);
}

void status_exit(struct status *status)
{
	loop_close(status->links->loop, &status->source);
}
