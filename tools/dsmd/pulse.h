/* SPDX-License-Identifier: GPL-2.0 */
#ifndef DSMD_PULSE_H
#define DSMD_PULSE_H

#include <pthread.h>
#include <stdbool.h>

struct links;

/**
 * struct pulse - heartbeats while the loop's thread is in a call to the module
 * @running: there is such a thread
 * @thread: it
 * @stop_fd: tells it to end
 * @lock: whoever holds it may use @links: the loop's thread, except while it is away
 * @links: whose peers
 * @calls: how often the loop's thread has been away (protected by @lock)
 */
struct pulse {
	bool running;
	pthread_t thread;
	int stop_fd;
	pthread_mutex_t lock;
	struct links *links;
	unsigned int calls;
};

int pulse_start(struct pulse *pulse, struct links *links);
void pulse_stop(struct pulse *pulse);

/* Around a call that may take long: all that @links has is in order. */
static inline void pulse_away(struct pulse *pulse)
{
	if (!pulse->running)
		return;
	pulse->calls++;
	pthread_mutex_unlock(&pulse->lock);
}

static inline void pulse_back(struct pulse *pulse)
{
	if (pulse->running)
		pthread_mutex_lock(&pulse->lock);
}

#endif
