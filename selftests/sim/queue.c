// SPDX-License-Identifier: GPL-2.0
/*
 * A radix heap (Ahuja, Mehlhorn, Orlin, Tarjan 1990). Time does not go back, so an event only
 * moves to lower buckets. Buckets are only appended to and read through. Events of one time
 * are always in one bucket, in the order of insertion, which decides between them.
 */
#include <stdlib.h>
#include <string.h>
#include "queue.h"

static void append(struct queue *queue, unsigned int i, const struct event *event)
{
	struct bucket *bucket = &queue->bucket[i];

	if (bucket->n == bucket->size) {
		bucket->size = bucket->size ? 2 * bucket->size : 16;
		bucket->event = realloc(bucket->event, bucket->size * sizeof(*event));
		if (!bucket->event)
			abort();
	}
	bucket->event[bucket->n++] = *event;
	queue->used |= 1ULL << i;
}

static unsigned int bucket_of(const struct queue *queue, u64 time)
{
	return time == queue->last ? 0 : 64 - __builtin_clzll(time ^ queue->last);
}

/* The time must be below 2^63, and not before the last event taken. */
void queue_put(struct queue *queue, const struct event *event)
{
	append(queue, bucket_of(queue, event->time), event);
	queue->n++;
}

/* All events of the lowest bucket precede all others. */
static void announce(const struct queue *queue, struct bucket *bucket)
{
	u8 told = bucket->n <= QUEUE_NEAR ? 2 : 1;
	u32 i;

	if (!queue->soon || bucket->n > QUEUE_FAR)
		return;
	for (i = 0; i < bucket->n; i++) {
		if (bucket->event[i].told >= told)
			continue;
		bucket->event[i].told = told;
		queue->soon(queue->context, &bucket->event[i], told == 2);
	}
}

/* Distribute the lowest bucket's events over the buckets below. */
static void refill(struct queue *queue)
{
	unsigned int lowest = __builtin_ctzll(queue->used);
	struct bucket *bucket = &queue->bucket[lowest];
	u64 least = bucket->event[0].time;
	u32 i;

	for (i = 1; i < bucket->n; i++)
		if (bucket->event[i].time < least)
			least = bucket->event[i].time;
	announce(queue, bucket);
	queue->last = least;
	for (i = 0; i < bucket->n; i++)
		append(queue, bucket_of(queue, bucket->event[i].time), &bucket->event[i]);
	bucket->n = 0;
	queue->used &= ~(1ULL << lowest);
}

bool queue_take(struct queue *queue, struct event *event)
{
	struct bucket *now = &queue->bucket[0];

	if (!queue->n)
		return false;
	if (!(queue->used & 1))
		refill(queue);
	*event = now->event[queue->next++];
	queue->n--;
	if (queue->next == now->n) {
		now->n = 0;
		queue->next = 0;
		queue->used &= ~1ULL;
	}
	return true;
}

void queue_free(struct queue *queue)
{
	unsigned int i;

	for (i = 0; i < 64; i++)
		free(queue->bucket[i].event);
	memset(queue, 0, sizeof(*queue));
}
