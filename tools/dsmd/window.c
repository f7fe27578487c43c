// SPDX-License-Identifier: GPL-2.0
/*
 * The windows: mappings of regions' frames, opened when first needed and kept
 * until the module says that the region is gone.
 *
 * A frame that cannot be had (no memory, a memory error, its file truncated) makes a system
 * call that touches it fail with EFAULT, and a plain access raise SIGBUS:
 * window_copy() turns the second into an error too.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>

#include "log.h"
#include "window.h"

static sigjmp_buf copy_escape;
static volatile sig_atomic_t copy_guarded;
static struct log_limit open_limit;

void window_table_init(struct window_table *table,
		       int (*open)(void *data, uint32_t region, void **base, uint64_t *size),
		       void *open_data)
{
	memset(table, 0, sizeof(*table));
	table->open = open;
	table->open_data = open_data;
}

static void window_destroy(struct window *window)
{
	munmap(window->base, window->size);
	free(window);
}

/* No window may be in use any more. */
void window_table_exit(struct window_table *table)
{
	for (unsigned int i = 0; i < WINDOW_BUCKETS; i++) {
		while (table->buckets[i]) {
			struct window *window = table->buckets[i];

			table->buckets[i] = window->next;
			window_destroy(window);
		}
	}
}

static struct window **bucket_of(struct window_table *table, uint32_t region)
{
	return &table->buckets[region & (WINDOW_BUCKETS - 1)];
}

static struct window *window_create(struct window_table *table, uint32_t region)
{
	struct window **bucket = bucket_of(table, region);
	struct window *window = calloc(1, sizeof(*window));
	void *base;
	int err;

	if (!window)
		return NULL;
	err = table->open(table->open_data, region, &base, &window->size);
	if (err) {
		log_limited(&open_limit, LOG_WARNING, "window of region %u: %s", region,
			    strerror(-err));
		free(window);
		return NULL;
	}
	window->region = region;
	window->base = base;
	window->next = *bucket;
	*bucket = window;
	table->count++;
	log_debug("window of region %u: %llu bytes", region, (unsigned long long)window->size);
	return window;
}

/* Opens the window if need be. NULL, and a log line, if that fails. */
struct window *window_get(struct window_table *table, uint32_t region)
{
	struct window *window = *bucket_of(table, region);

	while (window && window->region != region)
		window = window->next;
	if (!window)
		window = window_create(table, region);
	if (window)
		window->users++;
	return window;
}

void window_put(struct window *window)
{
	if (!--window->users && window->forgotten)
		window_destroy(window);
}

/* Nobody finds it any more; it is unmapped when nobody uses it any more. */
void window_forget(struct window_table *table, uint32_t region)
{
	struct window **link = bucket_of(table, region);
	struct window *window;

	while (*link && (*link)->region != region)
		link = &(*link)->next;
	window = *link;
	if (!window)
		return;

	*link = window->next;
	table->count--;
	window->forgotten = true;
	if (!window->users)
		window_destroy(window);
}

bool window_holds(const struct window *window, uint64_t offset, uint32_t length)
{
	return offset <= window->size && length <= window->size - offset;
}

static void copy_failed(int sig)
{
	if (copy_guarded)
		siglongjmp(copy_escape, 1);

	/* Not ours: die of it when this handler returns. */
	signal(sig, SIG_DFL);
}

void window_copy_init(void)
{
	/* NODEFER: the handler is left by a jump that restores no mask. */
	struct sigaction action = { .sa_handler = copy_failed, .sa_flags = SA_NODEFER };

	sigaction(SIGBUS, &action, NULL);
	/* A page with a memory error is no reason to die before it is used. */
	prctl(PR_MCE_KILL, PR_MCE_KILL_SET, PR_MCE_KILL_LATE, 0, 0);
}

/* memcpy() into a window. False if a frame could not be had. */
bool window_copy(void *to, const void *from, size_t length)
{
	if (sigsetjmp(copy_escape, 0)) {
		copy_guarded = 0;
		return false;
	}
	copy_guarded = 1;
	atomic_signal_fence(memory_order_seq_cst);	/* the handler sees it set */
	memcpy(to, from, length);
	atomic_signal_fence(memory_order_seq_cst);
	copy_guarded = 0;
	return true;
}
