/* SPDX-License-Identifier: MIT */
#ifndef _DSM_PRELOAD_H
#define _DSM_PRELOAD_H

struct dsm_heap;

/*
 * The heap that malloc is to be of, when it is first called, perhaps before
 * any constructor. May call malloc. NULL: there is none, for good, and *@why says
 * why, until the calling thread calls another function of libdsm.
 */
struct dsm_heap *dsm_preload_heap(const char **why);

#endif /* _DSM_PRELOAD_H */
