/* SPDX-License-Identifier: MIT */
#ifndef _DSM_MISUSE_H
#define _DSM_MISUSE_H

/* Say on standard error what is @wrong with @ptr, and abort unless DSM_HEAP_ABORT is 0. */
void dsm_misuse(const void *ptr, const char *wrong);

#endif /* _DSM_MISUSE_H */
