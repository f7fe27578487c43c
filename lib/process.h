/* SPDX-License-Identifier: MIT */
/*
 * New processes. fork(3) announces them; clone(2) and _Fork(3) do not, and a process
 * that is made like that is found out when it first uses this library: of what marks the
 * old one, the kernel has wiped its copy (MADV_WIPEONFORK).
 */
#ifndef _DSM_PROCESS_H
#define _DSM_PROCESS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum process_mark {
	PROCESS_NEW,		/* nothing is known of it */
	PROCESS_CHECKING,	/* one of its threads is at it */
	PROCESS_KNOWN,
	PROCESS_UNANNOUNCED,	/* known, but see dsm_process_check_locks() */
};

extern _Atomic uint32_t *dsm_process_mark __attribute__((visibility("hidden")));
void dsm_process_look(void);
void dsm_process_look_locks(void);

/* Before anything is used that belongs to one process. Ends it, if it may not go on. */
static inline void dsm_process_check(void)
{
	if (__builtin_expect(atomic_load_explicit(dsm_process_mark, memory_order_acquire) <
			     PROCESS_KNOWN, 0))
		dsm_process_look();
}

/* The same before the calling thread takes a robust mutex. */
static inline void dsm_process_check_locks(void)
{
	if (__builtin_expect(atomic_load_explicit(dsm_process_mark, memory_order_acquire) !=
			     PROCESS_KNOWN, 0))
		dsm_process_look_locks();
}

/* Memory of this process alone: a child finds it all zero. Unmapped as any other; or NULL. */
void *dsm_process_map(size_t bytes);

/* As pthread_atfork(), but called for unannounced processes as well; NULL: nothing. */
void dsm_process_atfork(void (*prepare)(void), void (*parent)(void), void (*child)(void));

/*
 * The handlers of fork(), for a caller that makes a process in another way: before it, and
 * after it in the parent and in the child.
 */
void dsm_process_prepare(void);
void dsm_process_parent(void);
void dsm_process_child(void);

/* From now on a child needs a copy of its parent's heap: one that is not announced ends. */
void dsm_process_announced_only(void);

/* One line on standard error, and the end of the process. */
void dsm_process_end(const char *why) __attribute__((noreturn));

#endif /* _DSM_PROCESS_H */
