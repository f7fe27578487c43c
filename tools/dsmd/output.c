// SPDX-License-Identifier: GPL-2.0
/*
 * The frames that wait to be written to a connection: a ring, of which one
 * system call writes as much as the socket takes. Bodies are written from the
 * window, where the module keeps them unchanged until the peer's module has
 * acknowledged the frame.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "ktls.h"
#include "output.h"

#define OUTPUT_SIZE_MIN	8
#define OUTPUT_IOV	64
#define OUTPUT_SIZE_MAX	65536

void output_exit(struct output *output)
{
	while (output->head != output->tail) {
		struct output_frame *frame = &output->ring[output->head++ & (output->size - 1)];

		if (frame->window)
			window_put(frame->window);
	}
	free(output->ring);
	/* What it was good for, others want to know. */
	*output = (struct output){ .records = output->records };
}

bool output_empty(const struct output *output)
{
	return output->head == output->tail;
}

static bool output_grow(struct output *output)
{
	unsigned int size = output->size ? output->size * 2 : OUTPUT_SIZE_MIN;
	unsigned int count = output->tail - output->head;
	struct output_frame *ring;

	if (size > OUTPUT_SIZE_MAX)
		return false;
	ring = malloc(size * sizeof(*ring));
	if (!ring)
		return false;
	for (unsigned int i = 0; i < count; i++)
		ring[i] = output->ring[(output->head + i) & (output->size - 1)];
	free(output->ring);
	output->ring = ring;
	output->size = size;
	output->head = 0;
	output->tail = count;
	return true;
}

/* For the caller to fill in, but for @window. NULL: too many already. */
struct output_frame *output_add(struct output *output)
{
	struct output_frame *frame;

	if (output->tail - output->head == output->size && !output_grow(output))
		return NULL;
	frame = &output->ring[output->tail++ & (output->size - 1)];
	frame->window = NULL;
	frame->body_length = 0;
	return frame;
}

static unsigned int output_gather(const struct output *output, struct iovec *iov)
{
	uint32_t skip = output->written;
	unsigned int n = 0;

	for (unsigned int i = output->head; i != output->tail && n + 2 <= OUTPUT_IOV; i++) {
		struct output_frame *frame = &output->ring[i & (output->size - 1)];
		uint32_t skip_body = skip > frame->length ? skip - frame->length : 0;

		if (skip < frame->length) {
			iov[n].iov_base = frame->bytes + skip;
			iov[n++].iov_len = frame->length - skip;
		}
		if (skip_body < frame->body_length) {
			iov[n].iov_base = frame->body + skip_body;
			iov[n++].iov_len = frame->body_length - skip_body;
		}
		skip = 0;
	}
	return n;
}

/* @bytes more have been written. Returns how many of the module's frames are done. */
static unsigned int output_consume(struct output *output, size_t bytes)
{
	unsigned int credits = 0;

	bytes += output->written;
	while (output->head != output->tail) {
		struct output_frame *frame = &output->ring[output->head & (output->size - 1)];
		size_t length = (size_t)frame->length + frame->body_length;

		if (bytes < length)
			break;
		bytes -= length;
		output->head++;
		if (frame->window)
			window_put(frame->window);
		if (frame->credit)
			credits++;
		else
			output->own--;
	}
	output->written = (uint32_t)bytes;
	return credits;
}

/*
 * Writes until all is written or the socket takes no more: then -EAGAIN.
 * Adds to @credits the module's frames that are done.
 */
ssize_t output_write(struct output *output, int fd, unsigned int *credits)
{
	struct iovec iov[OUTPUT_IOV];
	struct msghdr msg = { .msg_iov = iov };

	while (!output_empty(output)) {
		ssize_t n;

		msg.msg_iovlen = output_gather(output, iov);
		n = sendmsg(fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		/* A call ends the record that it has begun. */
		output->records += ((size_t)n + KTLS_RECORD_MAX - 1) / KTLS_RECORD_MAX;
		*credits += output_consume(output, (size_t)n);
	}
	return 0;
}
