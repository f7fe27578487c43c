// SPDX-License-Identifier: GPL-2.0
/* Raw TCP: the lower bound for a request to another machine. */
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"
#include "tcp.h"

enum { PORT = 7400, CHUNK = 1 << 16 };

static char bytes[CHUNK];

static void set_nodelay(int fd)
{
	int one = 1;

	ASSERT_OK(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)));
}

void tcp_read(int fd, void *to, size_t length)
{
	while (length) {
		ssize_t n = read(fd, to, length);

		ASSERT_GT(n, 0);
		to = (char *)to + n;
		length -= n;
	}
}

void tcp_write(int fd, const void *from, size_t length)
{
	while (length) {
		ssize_t n = write(fd, from, length);

		ASSERT_GT(n, 0);
		from = (const char *)from + n;
		length -= n;
	}
}

/* One request. Returns false when the other side has closed. */
static bool answer(int fd)
{
	struct tcp_request request;
	ssize_t n = recv(fd, &request, sizeof(request), MSG_WAITALL);

	if (!n)
		return false;
	ASSERT_EQ(n, sizeof(request));
	while (request.reply) {
		size_t part = request.reply < CHUNK ? request.reply : CHUNK;

		tcp_write(fd, bytes, part);
		request.reply -= part;
	}
	return true;
}

/* Serve until the last connection is closed. */
static void serve(int listener)
{
	int connections = 0;
	struct epoll_event event = { .events = EPOLLIN, .data.fd = listener };
	int epoll = epoll_create1(0);

	ASSERT_OK(epoll);
	ASSERT_OK(epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event));
	for (;;) {
		if (epoll_wait(epoll, &event, 1, -1) != 1)
			continue;
		if (event.data.fd == listener) {
			event.data.fd = accept(listener, NULL, NULL);
			ASSERT_OK(event.data.fd);
			set_nodelay(event.data.fd);
			event.events = EPOLLIN;
			ASSERT_OK(epoll_ctl(epoll, EPOLL_CTL_ADD, event.data.fd, &event));
			connections++;
		} else if (!answer(event.data.fd)) {
			close(event.data.fd);
			if (!--connections)
				_exit(EXIT_SUCCESS);
		}
	}
}

static int listen_here(void)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET,
		.sin_port = htons(PORT),
		.sin_addr.s_addr = htonl(INADDR_ANY),
	};
	int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1;

	ASSERT_OK(fd);
	ASSERT_OK(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)));
	ASSERT_OK(bind(fd, (struct sockaddr *)&address, sizeof(address)));
	ASSERT_OK(listen(fd, 16));
	return fd;
}

int tcp_connect(int to)
{
	struct addrinfo hints = { .ai_family = AF_INET, .ai_socktype = SOCK_STREAM }, *found;
	char name[32], port[16];
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	snprintf(name, sizeof(name), "node%d", to);
	snprintf(port, sizeof(port), "%d", PORT);
	ASSERT_EQ(getaddrinfo(name, port, &hints, &found), 0);
	ASSERT_OK(connect(fd, found->ai_addr, found->ai_addrlen));
	freeaddrinfo(found);
	set_nodelay(fd);
	return fd;
}

struct tcp *tcp_start(void)
{
	struct tcp *tcp = calloc(1, sizeof(*tcp));

	ASSERT_TRUE(tcp);
	if (node()) {
		int listener = listen_here();

		tcp->server = fork();
		ASSERT_OK(tcp->server);
		if (!tcp->server) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			serve(listener);
		}
		close(listener);
	}
	together("tcp-listens");
	if (!node())
		for (int to = 1; to < nodes(); to++)
			tcp->fds[to] = tcp_connect(to);
	return tcp;
}

void tcp_stop(struct tcp *tcp)
{
	int status;

	if (node()) {
		ASSERT_OK(waitpid(tcp->server, &status, 0));
		ASSERT_EQ(status, 0);
	} else {
		for (int to = 1; to < nodes(); to++)
			close(tcp->fds[to]);
	}
	free(tcp);
}

void tcp_ask_on(int fd, size_t reply, void *to, size_t size)
{
	struct tcp_request request = { .reply = reply };

	tcp_write(fd, &request, sizeof(request));
	while (reply) {
		size_t part = reply < size ? reply : size;

		tcp_read(fd, to, part);
		reply -= part;
	}
}

void tcp_ask(struct tcp *tcp, int to, size_t reply)
{
	static char here[CHUNK];

	tcp_ask_on(tcp->fds[to], reply, here, sizeof(here));
}
