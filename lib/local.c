// SPDX-License-Identifier: MIT
/* What local.h describes. */
#include "local.h"

#include <errno.h>
#include <pthread.h>
#include <sys/mman.h>

#include "process.h"

static struct dsm_thread *no_threads[HEAPS_MAX + 1];
static struct dsm_word_known no_words[WORDS_KNOWN];

__thread struct dsm_local *dsm_local;
__thread struct dsm_thread **dsm_threads = no_threads;
__thread struct dsm_word_known *dsm_words_known = no_words;

static pthread_key_t key;
static enum { KEY_LATER, KEY_MADE, KEY_NONE } key_state;
static void (*local_end)(void);

/* It may be used, and made again, by the destructors that are still to come. */
static void local_exit(void *arg)
{
	local_end();
	dsm_threads = no_threads;
	dsm_words_known = no_words;
	dsm_local = NULL;
	munmap(arg, sizeof(struct dsm_local));
}

void dsm_local_init(void (*end)(void))
{
	local_end = end;
	key_state = pthread_key_create(&key, local_exit) ? KEY_NONE : KEY_MADE;
	if (key_state == KEY_MADE && dsm_local)
		pthread_setspecific(key, dsm_local);
}

/*
 * A preloaded malloc is called before any constructor, by the first thread, whose end
 * is the process's. Without a key no thread gets one, since its end would not be seen.
 */
struct dsm_local *dsm_local_get(void)
{
	int saved = errno;
	void *at;

	if (dsm_local || key_state == KEY_NONE)
		return dsm_local;
	at = dsm_process_map(sizeof(struct dsm_local));
	if (at) {
		dsm_local = at;
		dsm_threads = dsm_local->threads;
		dsm_words_known = dsm_local->words;
		/* last: it may allocate, and so come here */
		if (key_state == KEY_MADE)
			pthread_setspecific(key, at);
	}
	errno = saved;
	return dsm_local;
}
