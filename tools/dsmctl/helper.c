// SPDX-License-Identifier: GPL-2.0
/* What dsmd alone knows: it is asked on its UNIX socket. */
#include "helper.h"

#include <pwd.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <json.h>

#include "../security.h"

#define ANSWER_SECONDS	5

/* Anybody may have taken the socket's name while dsmd did not run. */
static bool is_dsmd(int fd)
{
	const struct passwd *dsm = getpwnam("dsm");
	struct ucred who;
	socklen_t length = sizeof(who);

	return !getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &length) &&
	       (!who.uid || who.uid == geteuid() || (dsm && who.uid == dsm->pw_uid));
}

/* NULL: no answer. */
static struct json_object *ask(void)
{
	const struct sockaddr_un address = { .sun_family = AF_UNIX, .sun_path = "\0" SECURITY_SOCKET };
	const socklen_t length = offsetof(struct sockaddr_un, sun_path) + sizeof(SECURITY_SOCKET);
	const struct timeval limit = { .tv_sec = ANSWER_SECONDS };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct json_object *answer = NULL;

	if (fd < 0)
		return NULL;
	/* connect() waits while the backlog is full, for as long as a send may. */
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	if (!connect(fd, (const struct sockaddr *)&address, length) && is_dsmd(fd))
		answer = json_object_from_fd(fd);
	close(fd);
	return answer;
}

static void move(struct json_object *from, const char *name, struct json_object *to)
{
	struct json_object *value;

	if (json_object_object_get_ex(from, name, &value))
		json_object_object_add(to, name, json_object_get(value));
}

void helper_describe(struct json_object *node, struct json_object *peers)
{
	struct json_object *answer = ask();
	struct json_object *theirs;

	if (!answer)
		return;
	if (node)
		move(answer, "security", node);
	if (peers && json_object_object_get_ex(answer, "peers", &theirs)) {
		json_object_object_foreach(theirs, id, its) {
			struct json_object *peer;

			if (!json_object_object_get_ex(peers, id, &peer))
				continue;
			move(its, "cipher", peer);
			move(its, "name", peer);
		}
	}
	json_object_put(answer);
}
