/* SPDX-License-Identifier: GPL-2.0 */
#ifndef DSMD_WINDOW_H
#define DSMD_WINDOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/**
 * struct window - a region's frames, mapped
 * @next: in its bucket
 * @region: the region's id
 * @forgotten: no longer in the table; goes with the last reference
 * @users: frames being sent from it or received into it
 * @base: where it is mapped
 * @size: bytes
 */
struct window {
	struct window *next;
	uint32_t region;
	bool forgotten;
	unsigned int users;
	unsigned char *base;
	uint64_t size;
};

#define WINDOW_BUCKETS	64	/* a power of two */

/**
 * struct window_table - the windows that are open
 * @count: how many
 * @open: maps a region's window; 0 or a negative errno
 */
struct window_table {
	struct window *buckets[WINDOW_BUCKETS];
	unsigned int count;
	int (*open)(void *data, uint32_t region, void **base, uint64_t *size);
	void *open_data;
};

void window_table_init(struct window_table *table,
		       int (*open)(void *data, uint32_t region, void **base, uint64_t *size),
		       void *open_data);
void window_table_exit(struct window_table *table);

struct window *window_get(struct window_table *table, uint32_t region);
void window_put(struct window *window);
void window_forget(struct window_table *table, uint32_t region);

bool window_holds(const struct window *window, uint64_t offset, uint32_t length);
bool window_copy(void *to, const void *from, size_t length);
void window_copy_init(void);

#endif
