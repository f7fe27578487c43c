/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A model of the system calls of dsmd. There is no kernel, time passes only when the target
 * says so, and sockets do what the target wants. dsmd's objects are compiled with the names of
 * system calls defined to those of sys.c (see the Makefile). So every run is the same, and
 * takes microseconds.
 */
#ifndef FUZZ_SYS_H
#define FUZZ_SYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SYS_FD_FIRST	1000	/* a number that no program has */
#define SYS_FDS		160
#define SYS_ROOM_MAX	(1U << 30)

enum sys_kind {
	SYS_NONE,
	SYS_EPOLL,
	SYS_TIMER,
	SYS_LISTENER,
	SYS_SOCKET,
};

/**
 * struct sys_fd - a file descriptor
 * @kind: enum sys_kind
 * @watched: by the epoll instance; there is only one
 * @was_watched: it has been
 * @events: what for
 * @data: the watcher's
 * @expires_ns: timer: when, or 0
 * @period_ns: timer: and then every
 *
 * Sockets:
 * @owner: the target's
 * @connecting: connect() has no result yet, or nobody has read it
 * @connected: that result is success
 * @error: connect's, or what reading fails with after what is in @rx
 * @ended: the other end has shut down writing
 * @rx: what the other end has written, @rx_read bytes of which have been read
 * @chunk: the most bytes that one read gets
 * @tx: what has been written to it
 * @room: bytes it still accepts
 * @interrupts: how many of the next calls are interrupted
 * @fault: the next call with more than one buffer gets EFAULT
 */
struct sys_fd {
	enum sys_kind kind;
	bool watched;
	bool was_watched;
	uint32_t events;
	void *data;
	uint64_t expires_ns;
	uint64_t period_ns;

	void *owner;
	bool connecting;
	bool connected;
	int error;
	bool ended;
	unsigned char *rx;
	size_t rx_length;
	size_t rx_size;
	size_t rx_read;
	size_t chunk;
	unsigned char *tx;
	size_t tx_length;
	size_t tx_size;
	size_t room;
	unsigned int interrupts;
	bool fault;
};

extern uint64_t sys_now_ns;
extern int sys_socket_error;	/* what the next socket() fails with, or 0 */
extern bool sys_memory_fails;	/* the same, for the next time it is asked for */
extern void (*sys_connecting)(struct sys_fd *socket);
extern void (*sys_closing)(struct sys_fd *socket);

void sys_reset(void);
struct sys_fd *sys_fd(int fd);
unsigned int sys_open_count(void);

int sys_incoming(void);
void sys_feed(struct sys_fd *socket, const void *bytes, size_t length);
bool sys_idle(void);

#endif
