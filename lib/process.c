// SPDX-License-Identifier: MIT
/*
 * What process.h describes.
 *
 * The data of a thread, or of one process, is in mappings that a child finds empty:
 * so the child has no slab, knows no mutex, and goes the long way, which comes here. The child of
 * fork() has been here before that, by its handler.
 *
 * A process that was not announced shares its parent's regions, by design, and gets slabs
 * of its own. It may not go on in two cases, and ends before it can do damage. If its
 * parent's heap was to be copied for it (fork.c), it is too late for that. And if the C
 * library does not know that it is a new process, it takes robust mutexes in the name of
 * its parent's thread, and the kernel would not release them at its death.
 */
#include "process.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <sys/mman.h>
#include <unistd.h>

#include "local.h"
#include "options.h"

#ifndef MADV_WIPEONFORK
#define MADV_WIPEONFORK	18
#endif

enum { HANDLERS_MAX = 8 };

static bool announced_only;

static struct {
	void (*prepare)(void);
	void (*parent)(void);
	void (*child)(void);
} handlers[HANDLERS_MAX];
static unsigned int handlers_count;

/* Used until there is a page. Without a page, new processes are not detected. */
static _Atomic uint32_t no_mark;
_Atomic uint32_t *dsm_process_mark = &no_mark;

void *dsm_process_map(size_t bytes)
{
	int saved = errno;
	void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			-1, 0);

	if (at == MAP_FAILED)
		at = NULL;
	else
		madvise(at, bytes, MADV_WIPEONFORK);
	errno = saved;
	return at;
}

void dsm_process_announced_only(void)
{
	announced_only = true;
}

void dsm_process_end(const char *why)
{
	dsm_complain("libdsm: process %d ends: %s\n", (int)getpid(), why);
	_exit(127);
}

/* ---- those that are announced -------------------------------------------- */

static void atfork(void (*prepare)(void), void (*parent)(void), void (*child)(void))
{
	if (handlers_count == HANDLERS_MAX)
		return;
	handlers[handlers_count].prepare = prepare;
	handlers[handlers_count].parent = parent;
	handlers[handlers_count].child = child;
	handlers_count++;
	pthread_atfork(prepare, parent, child);
}

/* In a child that is announced. */
static void known(void)
{
	if (dsm_process_mark != &no_mark)
		atomic_store(dsm_process_mark, PROCESS_KNOWN);
}

/* By constructors, one after the other. The first child's handler is ours, for the others. */
void dsm_process_atfork(void (*prepare)(void), void (*parent)(void), void (*child)(void))
{
	if (!handlers_count)
		atfork(NULL, NULL, known);
	atfork(prepare, parent, child);
}

void dsm_process_prepare(void)
{
	for (unsigned int i = handlers_count; i; i--)
		if (handlers[i - 1].prepare)
			handlers[i - 1].prepare();
}

void dsm_process_parent(void)
{
	for (unsigned int i = 0; i < handlers_count; i++)
		if (handlers[i].parent)
			handlers[i].parent();
}

void dsm_process_child(void)
{
	for (unsigned int i = 0; i < handlers_count; i++)
		if (handlers[i].child)
			handlers[i].child();
}

/* ---- those that are not -------------------------------------------------- */

/* Whether the C library has the calling thread's right id, for the mutexes it takes. */
static bool libc_knows(void)
{
#ifdef __GLIBC__
	pthread_mutex_t mutex = PTHREAD_ERRORCHECK_MUTEX_INITIALIZER_NP;
	bool same;

	pthread_mutex_lock(&mutex);
	same = mutex.__data.__owner == gettid();
	pthread_mutex_unlock(&mutex);
	return same;
#else
	return true;
#endif
}

/* The first time, of the process that loaded the library, there is no page yet. */
static void mark_make(void)
{
	_Atomic uint32_t *mark = dsm_process_map(sizeof(*mark));

	if (mark) {
		atomic_store(mark, PROCESS_KNOWN);
		dsm_process_mark = mark;
	}
	atomic_store(&no_mark, PROCESS_KNOWN);
}

void dsm_process_look(void)
{
	uint32_t mark = PROCESS_NEW;

	if (atomic_compare_exchange_strong(dsm_process_mark, &mark, PROCESS_CHECKING)) {
		if (dsm_process_mark == &no_mark) {
			mark_make();
			return;
		}
		if (announced_only)
			dsm_process_end("it was made by a system call that libdsm-malloc.so does not see, and shares its parent's memory");
		dsm_process_child();
		atomic_store(dsm_process_mark, PROCESS_UNANNOUNCED);
	}
	while (atomic_load(dsm_process_mark) == PROCESS_CHECKING)
		sched_yield();
}

void dsm_process_look_locks(void)
{
	dsm_process_look();
	if (atomic_load(dsm_process_mark) != PROCESS_UNANNOUNCED ||
	    (dsm_local && dsm_local->libc_knows))
		return;
	if (!libc_knows())
		dsm_process_end("it was made by clone(2), of which the C library does not know: memory that processes share needs fork() or _Fork()");
	if (dsm_local)
		dsm_local->libc_knows = true;
}
