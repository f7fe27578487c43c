// SPDX-License-Identifier: GPL-2.0
/*
 * Processes, as holders of mutexes.
 *
 * A process is known by a value, not by a reference: whether it still runs the
 * program that took a mutex can be asked at any time, and nothing has to be put
 * when it ends. The kernel tells a module of neither an exit nor an execve(2) as
 * such; it only closes descriptors, and not always (see sync.c).
 */
#include <linux/pid.h>
#include <linux/pid_namespace.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include "process.h"

void dsm_opener_init(struct dsm_opener *opener)
{
	INIT_LIST_HEAD(&opener->holds);
	opener->n_holds = 0;
	opener->numbers = 0;
	mutex_init(&opener->ending_lock);
}

/* After dsm_sync_release_file(). */
void dsm_opener_exit(struct dsm_opener *opener)
{
	WARN_ON_ONCE(!list_empty(&opener->holds) || opener->numbers);
	mutex_destroy(&opener->ending_lock);
}

struct dsm_process dsm_process_current(void)
{
	/* All threads of a process have its count: a new thread copies it, execve(2) ends them. */
	return (struct dsm_process){
		.tgid = task_tgid_nr(current),
		.started = READ_ONCE(current->group_leader)->start_time,
		.execs = READ_ONCE(current->self_exec_id),
	};
}

/* The leader of its threads, or NULL: it has ended, or executed something else. */
static struct task_struct *find_leader(const struct dsm_process *process)
{
	struct task_struct *leader;

	leader = pid_task(find_pid_ns(process->tgid, &init_pid_ns), PIDTYPE_TGID);
	if (!leader || leader->start_time != process->started ||
	    READ_ONCE(leader->self_exec_id) != process->execs)
		return NULL;
	/* The leader may have exited, and not been waited for, while others run. */
	return atomic_read(&leader->signal->live) ? leader : NULL;
}

/* Does it exist, and run the same program still? */
bool dsm_process_alive(const struct dsm_process *process)
{
	bool alive;

	rcu_read_lock();
	alive = find_leader(process);
	rcu_read_unlock();
	return alive;
}

/**
 * dsm_process_loses() - does a process lose what a table of descriptors had?
 * @process: the process
 * @files: the table, from which something has been removed
 *
 * Return: true if it is not alive, or if @files is the only table that its threads use.
 * A thread may have one of its own; then what another thread's had is not lost.
 */
bool dsm_process_loses(const struct dsm_process *process, const struct files_struct *files)
{
	struct task_struct *leader, *thread;
	bool loses = true;

	rcu_read_lock();
	leader = find_leader(process);
	if (leader) {
		loses = false;
		for_each_thread(leader, thread) {
			/* Compared, never followed. A thread that has none is about to end. */
			const struct files_struct *has = READ_ONCE(thread->files);

			if (!has)
				continue;
			loses = has == files;
			if (!loses)
				break;
		}
	}
	rcu_read_unlock();
	return loses;
}
