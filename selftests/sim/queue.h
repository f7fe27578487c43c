/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _SIM_QUEUE_H
#define _SIM_QUEUE_H

#include "coherence.h"

/**
 * * struct event - something that will happen
 * @time: when, in ns
 * @arg: its object, depending on @type
 * @extra: more of that
 * @type: enum sim_event
 * @told: private to the queue: soon() has been called for it
 */
struct event {
	u64 time;
	u32 arg;
	u16 extra;
	u8 type;
	u8 told;
};

struct bucket {
	struct event *event;
	u32 n;
	u32 size;
};

/**
 * struct queue - the events to come, the earliest first; of one time, in the
 *	order in which they were put
 * @last: no event is earlier than this
 * @used: a bit a bucket that is not empty
 * @next: the first of bucket 0 that has not been taken
 * @n: how many events
 * @soon: told of an event some time before it is taken, and again shortly before
 *	(@near); it changes nothing
 * @context: for it
 * @bucket: 0: those at @last; i: those that differ from it in bit i - 1, and
 *	in none above
 */
struct queue {
	u64 last;
	u64 used;
	u32 next;
	u32 n;
	void (*soon)(void *context, const struct event *event, bool near);
	void *context;
	struct bucket bucket[64];
};

/* How many events are taken between soon()'s call and the event, roughly. */
#define QUEUE_NEAR	12
#define QUEUE_FAR	96

void queue_put(struct queue *queue, const struct event *event);
bool queue_take(struct queue *queue, struct event *event);
void queue_free(struct queue *queue);

#endif /* _SIM_QUEUE_H */
