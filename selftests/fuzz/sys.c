// SPDX-License-Identifier: GPL-2.0
/* Made-up system calls; see sys.h. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <time.h>

#include "fuzz.h"
#include "sys.h"

#define NSEC_PER_SEC	1000000000ULL

uint64_t sys_now_ns;
int sys_socket_error;
bool sys_memory_fails;
void (*sys_connecting)(struct sys_fd *socket);
void (*sys_closing)(struct sys_fd *socket);

static struct sys_fd fds[SYS_FDS];
static int fds_used;		/* descriptors from here on are unused in this run */
static int backlog[SYS_FDS];	/* sockets to be accepted */
static unsigned int backlog_length;

static void fd_free(struct sys_fd *it)
{
	free(it->rx);
	free(it->tx);
	*it = (struct sys_fd){ 0 };
}

void sys_reset(void)
{
	while (fds_used)
		fd_free(&fds[--fds_used]);
	backlog_length = 0;
	sys_socket_error = 0;
	sys_memory_fails = false;
	sys_now_ns = NSEC_PER_SEC;
}

/* NULL if it is not open. */
struct sys_fd *sys_fd(int fd)
{
	struct sys_fd *it = &fds[fd - SYS_FD_FIRST];

	if (fd < SYS_FD_FIRST || fd >= SYS_FD_FIRST + SYS_FDS || !it->kind)
		return NULL;
	return it;
}

unsigned int sys_open_count(void)
{
	unsigned int n = 0;

	for (int i = 0; i < fds_used; i++)
		n += fds[i].kind != SYS_NONE;
	return n;
}

static struct sys_fd *fd_get(int fd, enum sys_kind kind)
{
	struct sys_fd *it = sys_fd(fd);

	FUZZ_CHECK(it, "%d is not open", fd);
	FUZZ_CHECK(!kind || it->kind == kind, "%d is of kind %d", fd, it->kind);
	return it;
}

static void append(unsigned char **bytes, size_t *length, size_t *size, const void *from,
		   size_t n)
{
	if (!*bytes || *length + n > *size) {
		*size = 2 * (*length + n) + 128;
		*bytes = realloc(*bytes, *size);
		FUZZ_CHECK(*bytes, "out of memory");
	}
	if (n)
		memcpy(*bytes + *length, from, n);
	*length += n;
}

void sys_feed(struct sys_fd *it, const void *bytes, size_t length)
{
	append(&it->rx, &it->rx_length, &it->rx_size, bytes, length);
}

static void said(struct sys_fd *it, const void *bytes, size_t length)
{
	append(&it->tx, &it->tx_length, &it->tx_size, bytes, length);
}

static int fd_new(enum sys_kind kind)
{
	for (int i = 0; i < SYS_FDS; i++) {
		if (fds[i].kind)
			continue;
		if (i >= fds_used)
			fds_used = i + 1;
		fds[i] = (struct sys_fd){ .kind = kind, .room = SYS_ROOM_MAX, .chunk = SIZE_MAX };
		if (kind == SYS_SOCKET) {
			sys_feed(&fds[i], NULL, 0);
			said(&fds[i], NULL, 0);
		}
		return SYS_FD_FIRST + i;
	}
	errno = EMFILE;
	return -1;
}

/* A peer connects; -1 if there are too many connections. */
int sys_incoming(void)
{
	int fd = fd_new(SYS_SOCKET);

	if (fd >= 0)
		backlog[backlog_length++] = fd;
	return fd;
}

static uint32_t ready(const struct sys_fd *it)
{
	switch (it->kind) {
	case SYS_TIMER:
		return it->expires_ns && it->expires_ns <= sys_now_ns ? EPOLLIN : 0;
	case SYS_LISTENER:
		return backlog_length ? EPOLLIN : 0;
	case SYS_SOCKET:
		if (it->connecting)
			return (it->error ? EPOLLOUT | EPOLLERR | EPOLLHUP : 0) |
			       (it->connected ? EPOLLOUT : 0);
		return (it->rx_read < it->rx_length || it->ended || it->error ? EPOLLIN : 0) |
		       (it->room ? EPOLLOUT : 0);
	default:
		return 0;
	}
}

/* No event would wake the program now. */
bool sys_idle(void)
{
	for (int i = 0; i < fds_used; i++)
		if (fds[i].watched && ready(&fds[i]) & (fds[i].events | EPOLLERR | EPOLLHUP))
			return false;
	return true;
}

/*
 * System calls. Their arguments are also checked where a kernel would only return an error
 * that the program cannot have intended.
 */

int sys_epoll_create1(int flags)
{
	(void)flags;
	return fd_new(SYS_EPOLL);
}

int sys_epoll_ctl(int epoll, int op, int fd, struct epoll_event *event)
{
	struct sys_fd *it = fd_get(fd, SYS_NONE);

	fd_get(epoll, SYS_EPOLL);
	FUZZ_CHECK(it->watched == (op != EPOLL_CTL_ADD), "epoll_ctl %d", op);
	it->watched = op != EPOLL_CTL_DEL;
	it->was_watched = true;
	if (it->watched) {
		it->events = event->events;
		it->data = event->data.ptr;
	}
	return 0;
}

int sys_epoll_wait(int epoll, struct epoll_event *events, int max, int timeout)
{
	int n = 0;

	(void)timeout;
	fd_get(epoll, SYS_EPOLL);
	for (int i = 0; i < fds_used && n < max; i++) {
		struct sys_fd *it = &fds[i];
		uint32_t got = it->watched ? ready(it) & (it->events | EPOLLERR | EPOLLHUP) : 0;

		if (got)
			events[n++] = (struct epoll_event){ .events = got, .data.ptr = it->data };
	}
	return n;
}

int sys_timerfd_create(int clock, int flags)
{
	(void)clock;
	(void)flags;
	return fd_new(SYS_TIMER);
}

static uint64_t ns_of(const struct timespec *ts)
{
	return (uint64_t)ts->tv_sec * NSEC_PER_SEC + (uint64_t)ts->tv_nsec;
}

int sys_timerfd_settime(int fd, int flags, const struct itimerspec *when, struct itimerspec *old)
{
	struct sys_fd *it = fd_get(fd, SYS_TIMER);

	(void)flags;
	(void)old;
	it->expires_ns = ns_of(&when->it_value) ? sys_now_ns + ns_of(&when->it_value) : 0;
	it->period_ns = ns_of(&when->it_interval);
	return 0;
}

int sys_clock_gettime(clockid_t clock, struct timespec *ts)
{
	(void)clock;
	sys_now_ns += 100;	/* time never stands still */
	ts->tv_sec = (time_t)(sys_now_ns / NSEC_PER_SEC);
	ts->tv_nsec = (long)(sys_now_ns % NSEC_PER_SEC);
	return 0;
}

static ssize_t timer_read(struct sys_fd *it, void *to, size_t length)
{
	uint64_t expirations = 1;

	FUZZ_CHECK(length == sizeof(expirations), "a timer is read into %zu bytes", length);
	if (!ready(it)) {
		errno = EAGAIN;
		return -1;
	}
	if (it->period_ns) {
		expirations += (sys_now_ns - it->expires_ns) / it->period_ns;
		it->expires_ns += expirations * it->period_ns;
	} else {
		it->expires_ns = 0;
	}
	memcpy(to, &expirations, sizeof(expirations));
	return sizeof(expirations);
}

/* An error that replaces the call; 0 if there is none. */
static int obstacle(struct sys_fd *it, int buffers)
{
	if (it->interrupts) {
		it->interrupts--;
		return EINTR;
	}
	if (it->fault && buffers > 1) {
		it->fault = false;
		return EFAULT;
	}
	return 0;
}

ssize_t sys_readv(int fd, const struct iovec *iov, int count)
{
	struct sys_fd *it = fd_get(fd, SYS_SOCKET);
	size_t done = 0;

	errno = obstacle(it, count);
	if (!errno && it->rx_read == it->rx_length) {
		if (it->ended)
			return 0;
		errno = it->error ? it->error : EAGAIN;
	}
	if (errno)
		return -1;
	for (int i = 0; i < count; i++) {
		size_t n = it->rx_length - it->rx_read;

		if (n > iov[i].iov_len)
			n = iov[i].iov_len;
		if (n > it->chunk - done)
			n = it->chunk - done;
		memcpy(iov[i].iov_base, it->rx + it->rx_read, n);
		it->rx_read += n;
		done += n;
	}
	return (ssize_t)done;
}

ssize_t sys_read(int fd, void *to, size_t length)
{
	struct sys_fd *it = fd_get(fd, SYS_NONE);

	if (it->kind == SYS_TIMER)
		return timer_read(it, to, length);
	/* A read of 0 bytes looks like the end of the connection. */
	FUZZ_CHECK(length, "a read of 0 bytes");
	return sys_readv(fd, &(struct iovec){ to, length }, 1);
}

ssize_t sys_sendmsg(int fd, const struct msghdr *msg, int flags)
{
	struct sys_fd *it = fd_get(fd, SYS_SOCKET);
	size_t done = 0;

	FUZZ_CHECK(flags & MSG_NOSIGNAL && msg->msg_iovlen, "sendmsg, flags %#x", flags);
	FUZZ_CHECK(!it->connecting, "written to before it is connected");
	errno = obstacle(it, (int)msg->msg_iovlen);
	if (!errno && it->error)
		errno = EPIPE;
	if (!errno && !it->room)
		errno = EAGAIN;
	if (errno)
		return -1;
	for (size_t i = 0; i < msg->msg_iovlen; i++) {
		size_t n = msg->msg_iov[i].iov_len;

		if (n > it->room)
			n = it->room;
		said(it, msg->msg_iov[i].iov_base, n);
		it->room -= n;
		done += n;
	}
	return (ssize_t)done;
}

int sys_close(int fd)
{
	struct sys_fd *it = fd_get(fd, SYS_NONE);

	if (it->kind == SYS_SOCKET)
		sys_closing(it);
	fd_free(it);
	return 0;
}

int sys_socket(int family, int type, int protocol)
{
	(void)family;
	(void)protocol;
	FUZZ_CHECK(type & SOCK_NONBLOCK && type & SOCK_CLOEXEC, "socket of type %#x", type);
	errno = sys_socket_error;
	sys_socket_error = 0;
	return errno ? -1 : fd_new(SYS_SOCKET);
}

int sys_connect(int fd, const struct sockaddr *addr, socklen_t length)
{
	(void)addr;
	(void)length;
	fd_get(fd, SYS_SOCKET)->connecting = true;
	sys_connecting(fd_get(fd, SYS_SOCKET));
	errno = EINPROGRESS;
	return -1;
}

int sys_getsockopt(int fd, int level, int name, void *value, socklen_t *length)
{
	struct sys_fd *it = fd_get(fd, SYS_SOCKET);
	int err = it->error;

	FUZZ_CHECK(level == SOL_SOCKET && name == SO_ERROR && *length == sizeof(int),
		   "option %d", name);
	memcpy(value, &err, sizeof(err));
	it->error = 0;
	it->connecting = false;
	return 0;
}

int sys_setsockopt(int fd, int level, int name, const void *value, socklen_t length)
{
	(void)level;
	(void)name;
	(void)value;
	(void)length;
	fd_get(fd, SYS_SOCKET);
	return 0;
}

int sys_bind(int fd, const struct sockaddr *addr, socklen_t length)
{
	(void)addr;
	(void)length;
	fd_get(fd, SYS_SOCKET);
	return 0;
}

int sys_listen(int fd, int length)
{
	(void)length;
	fd_get(fd, SYS_SOCKET)->kind = SYS_LISTENER;
	return 0;
}

int sys_accept4(int fd, struct sockaddr *addr, socklen_t *length, int flags)
{
	struct sockaddr_in in = {
		.sin_family = AF_INET,
		.sin_port = htons(1),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	int accepted;

	fd_get(fd, SYS_LISTENER);
	FUZZ_CHECK(flags & SOCK_NONBLOCK && flags & SOCK_CLOEXEC, "accept4, flags %#x", flags);
	if (!backlog_length) {
		errno = EAGAIN;
		return -1;
	}
	accepted = backlog[0];
	memmove(backlog, backlog + 1, --backlog_length * sizeof(*backlog));
	memcpy(addr, &in, sizeof(in));
	*length = sizeof(in);
	return accepted;
}

long sys_random(void)
{
	return 0;
}

static bool memory_fails(void)
{
	bool fails = sys_memory_fails;

	sys_memory_fails = false;
	errno = ENOMEM;
	return fails;
}

void *sys_malloc(size_t size)
{
	return memory_fails() ? NULL : malloc(size);
}

void *sys_calloc(size_t count, size_t size)
{
	return memory_fails() ? NULL : calloc(count, size);
}
