/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _DSM_PROCESS_H
#define _DSM_PROCESS_H

#include <linux/list.h>
#include <linux/mutex.h>
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

/**
 * struct dsm_opener - an open file, as what mutexes are held through
 *
 * It is there as long as the file. When a descriptor of the file is closed, what is in
 * here is looked at, and nothing else: what others hold costs the closing process no time.
 *
 * @holds: leases that threads hold through it, by lease->held: those of which the kernel
 *	knows, and not only a word (protected by dsm_sync->lock)
 * @n_holds: how many (protected by the same)
 * @numbers: processes that have a number through it, see words.c (protected by the same)
 * @ending_lock: one goes through @holds at a time; dsm_sync->lock is taken under it
 */
struct dsm_opener {
	struct list_head holds;
	unsigned int n_holds;
	unsigned int numbers;
	struct mutex ending_lock;
};

void dsm_opener_init(struct dsm_opener *opener);
void dsm_opener_exit(struct dsm_opener *opener);

struct dsm_process dsm_process_current(void);
bool dsm_process_alive(const struct dsm_process *process);
bool dsm_process_loses(const struct dsm_process *process, const struct files_struct *files);

static inline bool dsm_process_same(const struct dsm_process *a, const struct dsm_process *b)
{
	return a->tgid == b->tgid && a->started == b->started && a->execs == b->execs;
}

#endif /* _DSM_PROCESS_H */
