/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _DSM_PROCESS_H
#define _DSM_PROCESS_H

#include <linux/types.h>

struct files_struct;

/**
 * struct dsm_process - a process, from its fork(2) or execve(2) to the next, or its end
 *
 * A value: it holds no reference, and compares unequal to whatever has the same id later.
 *
 * @tgid: its id, in the initial namespace
 * @started: when it was made
 * @execs: the kernel's count of what it and its ancestors have executed
 */
struct dsm_process {
	pid_t tgid;
	u64 started;
	u64 execs;
};

struct dsm_process dsm_process_current(void);
bool dsm_process_alive(const struct dsm_process *process);
bool dsm_process_loses(const struct dsm_process *process, const struct files_struct *files);

static inline bool dsm_process_same(const struct dsm_process *a, const struct dsm_process *b)
{
	return a->tgid == b->tgid && a->started == b->started && a->execs == b->execs;
}

#endif /* _DSM_PROCESS_H */
