/* SPDX-License-Identifier: MIT */
/*
 * A thread's data of this library, apart from the few pointers that are used
 * most. A library that is loaded while a program runs shares about 1.5 KiB of
 * static TLS with all others that are, so it must not ask for much: this is a
 * mapping of its own, made when the thread first needs it. In a new process it is
 * empty again: see process.h.
 */
#ifndef _DSM_LOCAL_H
#define _DSM_LOCAL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct dsm_segment;
struct dsm_thread;

enum { HEAPS_MAX = 64 };	/* in a process, with threads of their own */

/*
 * What a thread knows of a few mutexes it has used: enough to take them with
 * nothing but a compare and exchange. It may be out of date, and then the word
 * is another one's, which has another tag; but it is not looked at once a region
 * has been closed, since then the word may not be there.
 */
struct dsm_word_known {
	const void	 *mutex;
	_Atomic uint64_t *word;
	uint64_t	 free;		/* what it is when nobody has the mutex */
	uint64_t	 mine;		/* ... when this thread has it */
	unsigned int	 change;	/* dsm_segments_change then */
};

enum { WORDS_KNOWN = 4 };

struct dsm_local {
	struct dsm_thread *threads[HEAPS_MAX + 1];	/* by the heap's index */
	struct dsm_word_known words[WORDS_KNOWN];
	/* The last result of dsm_segment_find(), valid while @change is current. */
	struct {
		struct dsm_segment *segment;
		const char	   *base;
		size_t		   size;
		unsigned int	   change;
	} found;
	uint32_t	tid;		/* what gettid() returns; 0: not asked yet */
	bool		libc_knows;	/* ... that, too; of an unannounced process: process.c */
	unsigned int	do_without;	/* allocations, when there is no slot */
	char		detail[400];	/* of the last error */
};

/* The calling thread's, or NULL until it has one. */
extern __thread struct dsm_local *dsm_local
	__attribute__((tls_model("initial-exec"), visibility("hidden")));

/*
 * The calling thread's of each heap, by the heap's index: in what local.h has,
 * or all NULL as long as it has none of that. Only thread.c writes there.
 */
extern __thread struct dsm_thread **dsm_threads
	__attribute__((tls_model("initial-exec"), visibility("hidden")));

/* In what local.h has; knows nothing as long as the thread has none of that. */
extern __thread struct dsm_word_known *dsm_words_known
	__attribute__((tls_model("initial-exec"), visibility("hidden")));

/* The same as dsm_local, made if need be; NULL: there is no memory. errno is kept. */
struct dsm_local *dsm_local_get(void);

/*
 * @end is called when a thread that has one ends, before it is unmapped. The
 * library must not be unloaded after that: it is linked with -z nodelete.
 */
void dsm_local_init(void (*end)(void));

#endif /* _DSM_LOCAL_H */
