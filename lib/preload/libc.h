/* SPDX-License-Identifier: MIT */
/* The C library's own malloc, beneath ours. */
#ifndef _DSM_LIBC_H
#define _DSM_LIBC_H

#include <stdbool.h>
#include <stddef.h>

/* Whether this C library lets itself be called beneath another malloc. */
bool dsm_libc_present(void);

/* @align: a power of two. NULL and errno. */
void *dsm_libc_alloc(size_t align, size_t size, bool zero);
void *dsm_libc_realloc(void *ptr, size_t size);
void dsm_libc_free(void *ptr);
size_t dsm_libc_usable(void *ptr);
int dsm_libc_trim(size_t pad);

#endif /* _DSM_LIBC_H */
