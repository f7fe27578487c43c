/* SPDX-License-Identifier: MIT */
#ifndef _DSM_WORDS_H
#define _DSM_WORDS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "dsm.h"
#include "local.h"

struct dsm_segment;

/*
 * What this node's processes share of a region's mutexes; see <linux/dsm.h>.
 * @state, enum dsm_words_state, is set (with release) after the rest.
 */
struct dsm_words {
	_Atomic int		state;
	uint32_t		process;	/* this one's number, where it goes in a word */
	_Atomic uint64_t	*word;		/* or NULL */
};

enum dsm_words_state {
	WORDS_UNKNOWN	= 0,
	WORDS_ATTACHING,	/* a thread is at it */
	WORDS_READY,
	WORDS_NONE,		/* they cannot be had: every operation is a system call */
};

/*
 * dsm_words_attach() - have them, if they are to be had; a call that finds
 *	another thread at it comes back without.
 * dsm_words_detach() - before the descriptor is closed; nobody uses them.
 * dsm_words_forked() - in the child, which has no number yet.
 * dsm_words_new_thread() - the calling thread has another id than before: fork().
 * dsm_words_learn() - note where the calling thread finds the word of a mutex, if
 *	it is here.
 */
void dsm_words_attach(struct dsm_words *words, int fd);
void dsm_words_detach(struct dsm_words *words);
void dsm_words_forked(struct dsm_words *words);
void dsm_words_new_thread(void);
void dsm_words_learn(const struct dsm_words *words, const void *mutex, uint64_t offset);

/* Counts what makes segments, and words, go, or read-only. */
extern _Atomic unsigned int dsm_segments_change __attribute__((visibility("hidden")));

static inline struct dsm_word_known *dsm_words_known_at(const void *mutex)
{
	return &dsm_words_known[(uintptr_t)mutex / 64 % WORDS_KNOWN];
}

/* NULL if this thread knows nothing of the mutex. */
static inline struct dsm_word_known *dsm_words_recall(const void *mutex)
{
	struct dsm_word_known *known = dsm_words_known_at(mutex);

	if (__builtin_expect(known->mutex != mutex, 0) ||
	    __builtin_expect(known->change != atomic_load_explicit(&dsm_segments_change,
								   memory_order_acquire), 0))
		return NULL;
	return known;
}

/*
 * These two are without a system call. They do nothing and return false where
 * the mutex is not here, or there is more to do: for the module.
 *
 * dsm_words_take() - it is free, and the calling thread's from now on.
 * dsm_words_leave() - it was the calling thread's, and is free.
 */
static inline bool dsm_words_take(struct dsm_word_known *known)
{
	uint64_t free = known->free;

	return atomic_compare_exchange_strong_explicit(known->word, &free, known->mine,
						       memory_order_acquire,
						       memory_order_relaxed);
}

static inline bool dsm_words_leave(struct dsm_word_known *known)
{
	uint64_t mine = known->mine;

	return atomic_compare_exchange_strong_explicit(known->word, &mine, known->free,
						       memory_order_release,
						       memory_order_relaxed);
}

#endif /* _DSM_WORDS_H */
