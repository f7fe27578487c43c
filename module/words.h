/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _DSM_WORDS_H
#define _DSM_WORDS_H

#include <linux/atomic.h>
#include <linux/types.h>
#include <linux/dsm.h>
#include "process.h"

struct dsm_region;
struct lease;
struct vm_area_struct;

/**
 * struct dsm_words - the mutexes that a node has, as its processes see them
 *
 * All but what @word points to is protected by the node's dsm_sync->lock.
 *
 * @word: DSM_WORDS of them, mapped by processes, which may write anything there
 * @lease: whose each of them is, or NULL
 * @victim: counts the mutexes that had to make room
 * @processes: how many have a number
 * @limit: all numbers in use are below it
 * @process: by number; @opener is NULL where it is free
 */
struct dsm_words {
	atomic64_t *word;
	struct lease *lease[DSM_WORDS];
	unsigned int victim;
	unsigned int processes;
	unsigned int limit;
	struct dsm_words_process {
		struct dsm_opener *opener;
		struct dsm_process process;
	} process[DSM_WORD_PROCESS_OTHER];
};

int dsm_words_attach(struct dsm_region *region, struct dsm_opener *opener, u32 *number);
void dsm_words_detach(struct dsm_words *words, u32 number);
u32 dsm_words_number(const struct dsm_words *words, struct dsm_opener *opener,
		     const struct dsm_process *process);
int dsm_words_mmap(struct dsm_region *region, struct vm_area_struct *vma);
void dsm_words_destroy(struct dsm_words *words);

/* The process that an owner's number stands for, or NULL. */
static inline const struct dsm_words_process *
dsm_words_process(const struct dsm_words *words, u32 owner)
{
	u32 number = owner >> DSM_WORD_THREAD_BITS;

	return number < words->limit && words->process[number].opener ? &words->process[number] :
								       NULL;
}

#endif /* _DSM_WORDS_H */
