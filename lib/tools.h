/* SPDX-License-Identifier: MIT */
/* Valgrind and AddressSanitizer are told which memory a program may use. */
#ifndef _DSM_TOOLS_H
#define _DSM_TOOLS_H

#include "layout.h"

/* Whether this process runs under one of them. */
bool dsm_tools_present(void);

/* The heap itself uses memory that is, or was, an object's. */
void dsm_tools_take(void *ptr, size_t size);

/* Nobody may use it. */
void dsm_tools_refuse(void *ptr, size_t size);

/* All of a slot but the object itself. */
void dsm_tools_refuse_edges(const struct dsm_place *place, char *ptr, size_t size);

void dsm_tools_alloc(const struct dsm_place *place, char *ptr, size_t size, bool zero);
void dsm_tools_free(const struct dsm_place *place, void *ptr);

#endif /* _DSM_TOOLS_H */
