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
#include "mark.h"
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

/* Return false if the other side has closed. */
static bool read_request(int fd, struct tcp_request *request)
{
	ssize_t n = recv(fd, request, sizeof(*request), MSG_WAITALL);

	ASSERT_TRUE(!n || n == sizeof(*request));
	return n;
}

static void send_bytes(int fd, size_t length)
{
	while (length) {
		size_t part = length < CHUNK ? length : CHUNK;

		tcp_write(fd, bytes, part);
		length -= part;
	}
}

/* Serve one request. Return false if the other side has closed. */
static bool answer(struct tcp *tcp, int fd)
{
	struct tcp_request request;

	if (!read_request(fd, &request))
		return false;
	if (request.op == TCP_PLAY)
		floor_serve(tcp, request.value, request.count);
	else if (request.op == TCP_MARK_BEGIN)
		mark_begin();
	else if (request.op == TCP_MARK_END)
		mark_end();
	send_bytes(fd, request.reply);
	return true;
}

/* Return a connection on which requests come, or -1 if only patterns use it. */
static int accept_one(struct tcp *tcp, int listener)
{
	int fd = accept(listener, NULL, NULL);
	struct tcp_request hello;

	ASSERT_OK(fd);
	set_nodelay(fd);
	ASSERT_TRUE(read_request(fd, &hello));
	ASSERT_EQ(hello.op, TCP_HELLO);
	ASSERT_LT(hello.value, nodes());
	if (tcp->fds[hello.value] < 0)
		tcp->fds[hello.value] = fd;
	send_bytes(fd, hello.reply);
	return hello.value ? -1 : fd;
}

/* Serve until the last connection of node 0 is closed. */
static void serve(struct tcp *tcp, int listener)
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
			event.data.fd = accept_one(tcp, listener);
			if (event.data.fd < 0)
				continue;
			event.events = EPOLLIN;
			ASSERT_OK(epoll_ctl(epoll, EPOLL_CTL_ADD, event.data.fd, &event));
			connections++;
		} else if (!answer(tcp, event.data.fd)) {
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
	struct tcp_request hello = { .op = TCP_HELLO, .value = node(), .reply = 1 };
	char name[32], port[16], welcome;
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	snprintf(name, sizeof(name), "node%d", to);
	snprintf(port, sizeof(port), "%d", PORT);
	ASSERT_EQ(getaddrinfo(name, port, &hints, &found), 0);
	ASSERT_OK(connect(fd, found->ai_addr, found->ai_addrlen));
	freeaddrinfo(found);
	set_nodelay(fd);
	tcp_write(fd, &hello, sizeof(hello));
	tcp_read(fd, &welcome, hello.reply);
	return fd;
}

/* Start the server. It connects to the servers of lower nodes, then serves. */
static void start_server(struct tcp *tcp, int listener)
{
	tcp->server = fork();
	ASSERT_OK(tcp->server);
	if (tcp->server)
		return;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (int to = 1; to < node(); to++)
		tcp->fds[to] = tcp_connect(to);
	serve(tcp, listener);
}

struct tcp *tcp_start(void)
{
	struct tcp *tcp = calloc(1, sizeof(*tcp));
	int listener = node() ? listen_here() : -1;

	ASSERT_TRUE(tcp);
	for (int to = 0; to < TCP_NODES_MAX; to++)
		tcp->fds[to] = -1;
	together("tcp-listens");
	if (node()) {
		start_server(tcp, listener);
		close(listener);
	}
	/* A server answers after it has connected to the others. */
	for (int to = 1; !node() && to < nodes(); to++)
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

double tcp_mean(struct tcp *tcp, size_t reply, int n)
{
	double start = seconds();

	for (int i = 0; i < n; i++)
		tcp_ask(tcp, 1, reply);
	return (seconds() - start) / n;
}
