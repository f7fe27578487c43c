/* SPDX-License-Identifier: GPL-2.0 */
#ifndef DSMD_LOOP_H
#define DSMD_LOOP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The struct whose @member @ptr points to: how a handler finds what it belongs to. */
#define container_of(ptr, type, member)	((type *)((char *)(ptr) - offsetof(type, member)))

/**
 * struct loop_source - a file descriptor the loop watches
 * @fd: -1 when there is none
 * @ready: called with the EPOLL* events that have come
 */
struct loop_source {
	int fd;
	void (*ready)(struct loop_source *source, uint32_t events);
};

/**
 * struct loop - the one place the program waits in
 * @epoll_fd: level-triggered
 * @before: called before it waits
 * @before_data: its argument
 * @after: called after each round of events, when no handler is running:
 *	what was closed in the round is freed here
 * @after_data: its argument
 * @stopped: loop_run() is to return
 * @status: what it is to return
 */
struct loop {
	int epoll_fd;
	void (*before)(void *data);
	void *before_data;
	void (*after)(void *data);
	void *after_data;
	bool stopped;
	int status;
};

/**
 * struct loop_timer - a source that becomes ready at a time
 * @source: a timerfd
 * @expired: called once for any number of periods gone by
 */
struct loop_timer {
	struct loop_source source;
	void (*expired)(struct loop_timer *timer);
};

int loop_init(struct loop *loop);
void loop_exit(struct loop *loop);
int loop_add(struct loop *loop, struct loop_source *source, uint32_t events);
int loop_modify(struct loop *loop, struct loop_source *source, uint32_t events);
void loop_close(struct loop *loop, struct loop_source *source);
int loop_once(struct loop *loop, int timeout_ms);
int loop_run(struct loop *loop);
void loop_stop(struct loop *loop, int status);

int loop_timer_init(struct loop *loop, struct loop_timer *timer,
		    void (*expired)(struct loop_timer *timer));
void loop_timer_exit(struct loop *loop, struct loop_timer *timer);
void loop_timer_once(struct loop_timer *timer, unsigned int ms);
void loop_timer_every(struct loop_timer *timer, unsigned int ms);

#endif
