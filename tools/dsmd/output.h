/* SPDX-License-Identifier: GPL-2.0 */
#ifndef DSMD_OUTPUT_H
#define DSMD_OUTPUT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "links.h"
#include "window.h"

/**
 * struct output_frame - a frame that waits to be written
 * @window: where its body is, or NULL
 * @body: the body in the window
 * @body_length: bytes
 * @length: bytes of @bytes
 * @credit: it came from the module, who wants to hear when it is written
 * @bytes: the header, and the body where it is not in a window
 */
struct output_frame {
	struct window *window;
	unsigned char *body;
	uint32_t body_length;
	uint16_t length;
	bool credit;
	unsigned char bytes[LINKS_FRAME_MAX];
};

/**
 * struct output - frames waiting to be written to a connection
 * @ring: of @size, a power of two; grows to what is needed
 * @head: the next frame to be written; free-running
 * @tail: where the next one is put; free-running
 * @written: bytes of the frame at @head that have been
 * @own: frames in it that are not the module's
 * @records: of TLS, that what has been written made at most, if there is TLS
 */
struct output {
	struct output_frame *ring;
	unsigned int size;
	unsigned int head;
	unsigned int tail;
	uint32_t written;
	unsigned int own;
	uint64_t records;
};

void output_exit(struct output *output);
bool output_empty(const struct output *output);
struct output_frame *output_add(struct output *output);
ssize_t output_write(struct output *output, int fd, unsigned int *credits);

#endif
