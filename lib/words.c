// SPDX-License-Identifier: MIT
/*
 * Mutexes that are on this node already: taken, and let go of, without a system
 * call, by changing a word that the node's processes share with the module.
 *
 * <linux/dsm.h> has the words and the rules. The module's side, which is right
 * whatever happens here, is module/lease.c.
 */
#include "words.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "local.h"
#include "process.h"

_Atomic unsigned int dsm_segments_change;

void dsm_words_attach(struct dsm_words *words, int fd)
{
	struct dsm_attach_arg arg = { .process = 0 };
	int state = WORDS_UNKNOWN;
	void *at = words->word;
	int saved = errno;

	dsm_process_check();
	if (atomic_load(&words->state) != WORDS_UNKNOWN ||
	    !atomic_compare_exchange_strong(&words->state, &state, WORDS_ATTACHING))
		return;
	if (ioctl(fd, DSM_IOC_ATTACH, &arg)) {
		at = MAP_FAILED;
	} else if (!at) {
		at = mmap(NULL, DSM_WORDS_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
			  DSM_WORDS_OFFSET);
	}
	if (at != MAP_FAILED) {
		words->process = arg.process << DSM_WORD_THREAD_BITS;
		words->word = at;
		state = WORDS_READY;
	} else {
		/* another time there may be memory, or a number */
		state = errno == ENOMEM || errno == ENOSPC ? WORDS_UNKNOWN : WORDS_NONE;
	}
	errno = saved;
	atomic_store_explicit(&words->state, state, memory_order_release);
}

void dsm_words_detach(struct dsm_words *words)
{
	if (words->word)
		munmap(words->word, DSM_WORDS_SIZE);
	words->word = NULL;
	atomic_store(&words->state, WORDS_UNKNOWN);
}

/* It has its parent's mapping. */
void dsm_words_forked(struct dsm_words *words)
{
	atomic_store(&words->state, WORDS_UNKNOWN);
}

void dsm_words_new_thread(void)
{
	if (!dsm_local)
		return;
	dsm_local->tid = 0;
	memset(dsm_local->words, 0, sizeof(dsm_local->words));
}

void dsm_words_learn(const struct dsm_words *words, const void *mutex, uint64_t offset)
{
	struct dsm_local *local = dsm_local_get();
	struct dsm_word_known *known;
	uint64_t free = dsm_word(offset);
	_Atomic uint64_t *word;

	if (!local)
		return;
	known = dsm_words_known_at(mutex);
	known->mutex = NULL;
	if (atomic_load_explicit(&words->state, memory_order_acquire) != WORDS_READY)
		return;
	word = words->word + dsm_word_set(offset);
	for (int i = 0; i < DSM_WORDS_WAYS; i++, word++) {
		if ((atomic_load_explicit(word, memory_order_relaxed) &
		     ~(DSM_WORD_SLOW | DSM_WORD_OWNER)) != free)
			continue;
		if (!local->tid)
			local->tid = gettid();
		known->mutex = mutex;
		known->word = word;
		known->free = free;
		known->mine = free | words->process | local->tid;
		known->change = atomic_load(&dsm_segments_change);
		return;
	}
}
