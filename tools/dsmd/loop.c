// SPDX-License-Identifier: GPL-2.0
/*
 * The event loop: one epoll instance, one thread. All waiting is done in
 * loop_once().
 *
 * A handler may close any source, its own or one whose event is still to be
 * delivered in this round. The memory of a source must therefore live until
 * loop->after(), and ready() must bear being called for a closed one.
 */
#include <errno.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "loop.h"

#define LOOP_EVENTS	64

int loop_init(struct loop *loop)
{
	*loop = (struct loop){ .epoll_fd = epoll_create1(EPOLL_CLOEXEC) };

	return loop->epoll_fd < 0 ? -errno : 0;
}

void loop_exit(struct loop *loop)
{
	close(loop->epoll_fd);
}

int loop_add(struct loop *loop, struct loop_source *source, uint32_t events)
{
	struct epoll_event event = { .events = events, .data.ptr = source };

	return epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, source->fd, &event) ? -errno : 0;
}

int loop_modify(struct loop *loop, struct loop_source *source, uint32_t events)
{
	struct epoll_event event = { .events = events, .data.ptr = source };

	return epoll_ctl(loop->epoll_fd, EPOLL_CTL_MOD, source->fd, &event) ? -errno : 0;
}

void loop_close(struct loop *loop, struct loop_source *source)
{
	if (source->fd < 0)
		return;
	epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, source->fd, NULL);
	close(source->fd);
	source->fd = -1;
}

/* Returns how many sources were ready, or a negative errno. */
int loop_once(struct loop *loop, int timeout_ms)
{
	struct epoll_event events[LOOP_EVENTS];
	int n;

	if (loop->before)
		loop->before(loop->before_data);
	n = epoll_wait(loop->epoll_fd, events, LOOP_EVENTS, timeout_ms);
	if (n < 0)
		return errno == EINTR ? 0 : -errno;

	for (int i = 0; i < n; i++) {
		struct loop_source *source = events[i].data.ptr;

		if (source->fd >= 0)
			source->ready(source, events[i].events);
	}
	if (loop->after)
		loop->after(loop->after_data);
	return n;
}

int loop_run(struct loop *loop)
{
	while (!loop->stopped) {
		int err = loop_once(loop, -1);

		if (err < 0)
			return err;
	}
	return loop->status;
}

void loop_stop(struct loop *loop, int status)
{
	if (!loop->stopped)
		loop->status = status;
	loop->stopped = true;
}

static void timer_ready(struct loop_source *source, uint32_t events)
{
	struct loop_timer *timer = container_of(source, struct loop_timer, source);
	uint64_t expirations;

	(void)events;
	if (read(source->fd, &expirations, sizeof(expirations)) == sizeof(expirations))
		timer->expired(timer);
}

int loop_timer_init(struct loop *loop, struct loop_timer *timer,
		    void (*expired)(struct loop_timer *timer))
{
	int err;

	timer->expired = expired;
	timer->source.ready = timer_ready;
	timer->source.fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	if (timer->source.fd < 0)
		return -errno;
	err = loop_add(loop, &timer->source, EPOLLIN);
	if (err)
		loop_close(loop, &timer->source);
	return err;
}

void loop_timer_exit(struct loop *loop, struct loop_timer *timer)
{
	loop_close(loop, &timer->source);
}

static void timer_set(struct loop_timer *timer, unsigned int ms, unsigned int period_ms)
{
	struct itimerspec when = {
		.it_value.tv_sec = ms / 1000,
		.it_value.tv_nsec = ms % 1000 * 1000000L,
		.it_interval.tv_sec = period_ms / 1000,
		.it_interval.tv_nsec = period_ms % 1000 * 1000000L,
	};

	timerfd_settime(timer->source.fd, 0, &when, NULL);
}

void loop_timer_once(struct loop_timer *timer, unsigned int ms)
{
	timer_set(timer, ms ? ms : 1, 0);
}

void loop_timer_every(struct loop_timer *timer, unsigned int ms)
{
	timer_set(timer, ms, ms);
}
