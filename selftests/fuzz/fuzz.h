/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Common code of the fuzz targets: reads an input as a list of choices, and crashes if a check
 * fails, which is what libFuzzer looks for.
 */
#ifndef FUZZ_H
#define FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The rest of the input. After its end every choice is 0. */
struct fuzz_input {
	const uint8_t *at;
	size_t left;
};

static inline uint64_t fuzz_take(struct fuzz_input *in, unsigned int bytes)
{
	uint64_t value = 0;

	for (unsigned int i = 0; i < bytes && in->left; i++, in->left--)
		value |= (uint64_t)*in->at++ << 8 * i;
	return value;
}

static inline uint8_t fuzz_u8(struct fuzz_input *in)
{
	return (uint8_t)fuzz_take(in, 1);
}

static inline uint16_t fuzz_u16(struct fuzz_input *in)
{
	return (uint16_t)fuzz_take(in, 2);
}

static inline uint32_t fuzz_u32(struct fuzz_input *in)
{
	return (uint32_t)fuzz_take(in, 4);
}

static inline uint64_t fuzz_u64(struct fuzz_input *in)
{
	return fuzz_take(in, 8);
}

/* Copies up to @length bytes; returns how many there were. */
static inline size_t fuzz_bytes(struct fuzz_input *in, void *to, size_t length)
{
	if (length > in->left)
		length = in->left;
	memcpy(to, in->at, length);
	in->at += length;
	in->left -= length;
	return length;
}

/* FUZZ_TRACE=1 prints what an input does. That is the best way to read a minimised input. */
#define FUZZ_TRACE(...)								\
	do {									\
		static int trace_ = -1;						\
		if (trace_ < 0)							\
			trace_ = getenv("FUZZ_TRACE") != NULL;			\
		if (trace_) {							\
			fprintf(stderr, __VA_ARGS__);				\
			fputc('\n', stderr);					\
		}								\
	} while (0)

#define FUZZ_CHECK(condition, ...)						\
	do {									\
		if (!(condition)) {						\
			fprintf(stderr, "%s:%d: %s: ", __FILE__, __LINE__, #condition); \
			fprintf(stderr, __VA_ARGS__);				\
			fputc('\n', stderr);					\
			abort();						\
		}								\
	} while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
