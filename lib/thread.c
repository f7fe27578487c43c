// SPDX-License-Identifier: MIT
/*
 * Threads. Each has a slot of its node's arena, whose robust mutex it holds as
 * long as it lives: when the kernel releases it instead, the thread was killed,
 * and the next one that needs memory recovers what it had. So it does not
 * matter which process a thread is of.
 *
 * A thread takes objects from one slab of a class at a time, word by word of
 * its free[]. Slabs that are full are in a list of their own, and of that a
 * few are looked at, in turn, for what other threads freed, before a new one
 * is made.
 */
#include "thread.h"

#include <errno.h>
#include <linux/futex.h>
#include <linux/membarrier.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "arena.h"
#include "canary.h"
#include "keep.h"
#include "local.h"
#include "process.h"
#include "recover.h"
#include "remote.h"

enum {
	LOOKS		= 8,	/* at full slabs */
	EMPTY_UNITS_MAX	= 64,	/* that a thread keeps */
	DO_WITHOUT	= 1000,	/* allocations, when there is no slot */
	SAMPLES		= 128,
};

static struct dsm_thread no_thread;	/* all zero: it has nothing */

__thread struct dsm_thread *dsm_thread_main
	__attribute__((tls_model("initial-exec"))) = &no_thread;
_Atomic(struct dsm_heap *) dsm_heap_main;

static void thread_set(struct dsm_heap *heap, struct dsm_thread *thread)
{
	if (dsm_threads[heap->index] != thread)
		dsm_threads[heap->index] = thread;
	if (heap == atomic_load(&dsm_heap_main) && !heap->checks)
		dsm_thread_main = thread ? thread : &no_thread;
}

void dsm_thread_set_main(struct dsm_heap *heap)
{
	atomic_store(&dsm_heap_main, heap);
	thread_set(heap, dsm_threads[heap->index]);
}

/* ---- a thread's end --------------------------------------------------- */

/* Of its mapping, where nothing else that is used often starts. */
enum { THREAD_OFF = 50 * LINE_SIZE };

static size_t thread_bytes(const struct dsm_heap *heap)
{
	return THREAD_OFF + sizeof(struct dsm_thread) + heap->nodes * sizeof(struct dsm_out *);
}

static struct dsm_thread *thread_map(const struct dsm_heap *heap)
{
	char *at = dsm_process_map(thread_bytes(heap));

	return at ? (struct dsm_thread *)(at + THREAD_OFF) : NULL;
}

static void thread_unmap(const struct dsm_heap *heap, struct dsm_thread *thread)
{
	munmap((char *)thread - THREAD_OFF, thread_bytes(heap));
}

static void list_abandon(struct dsm_heap *heap, struct slab_list *list)
{
	struct slab *slab, *next;

	for (slab = list->first; slab; slab = next) {
		next = slab->next;
		dsm_slab_abandon(heap, slab);
	}
	*list = (struct slab_list){ NULL, NULL };
}

/* With the arena's lock. */
static void empty_release(struct dsm_thread *thread)
{
	list_abandon(thread->heap, &thread->empty);
	thread->empty_units = 0;
}

static void bin_set(struct dsm_thread *thread, struct dsm_bin *bin, struct slab *slab)
{
	bin->slab = slab;
	bin->last = thread->no_object;
	WRITE(bin->word, 0);
}

/* With the arena's lock: return all of a thread's slabs and runs, while it uses none. */
static void thread_drop(struct dsm_thread *thread)
{
	empty_release(thread);
	dsm_keep_release(thread);
	for (struct dsm_bin *bin = thread->bin; bin < thread->bin + CLASSES; bin++) {
		list_abandon(thread->heap, &bin->partial);
		list_abandon(thread->heap, &bin->full);
		if (bin->slab)
			dsm_slab_abandon(thread->heap, bin->slab);
		bin_set(thread, bin, NULL);
	}
}

void dsm_thread_end(struct dsm_heap *heap)
{
	struct dsm_thread *thread = dsm_threads[heap->index];

	if (!thread)
		return;
	dsm_remote_end(thread);
	if (dsm_arena_lock(heap))
		return;
	thread_drop(thread);
	atomic_store(&heap->by_slot[thread->owner - 1], NULL);
	thread_set(heap, NULL);
	dsm_arena_unlock(heap);
	pthread_mutex_unlock(&thread->slot->alive);
	thread_unmap(heap, thread);
	atomic_fetch_sub(&heap->threads, 1);
}

void dsm_threads_end(void)
{
	for (int i = 0; i < HEAPS_MAX; i++)
		if (dsm_threads[i])
			dsm_thread_end(dsm_threads[i]->heap);
}

void dsm_threads_forget(struct dsm_heap *heap)
{
	heap->threads = 0;
	/* where memory is not wiped, the thread is still there */
	if (dsm_threads[heap->index])
		dsm_threads[heap->index] = NULL;
	if (heap != atomic_load(&dsm_heap_main))
		return;
	if (dsm_thread_main != &no_thread)
		thread_unmap(heap, dsm_thread_main);
	dsm_thread_main = &no_thread;
}

void dsm_thread_save(struct dsm_heap *heap)
{
	struct dsm_thread *thread = dsm_threads[heap->index];
	void *saved;

	heap->fork_thread = NULL;
	if (!thread)
		return;
	saved = mmap(NULL, thread_bytes(heap), PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (saved == MAP_FAILED)
		return;
	memcpy(saved, thread, thread_bytes(heap) - THREAD_OFF);
	heap->fork_thread = thread;
	heap->fork_saved = saved;
}

void dsm_thread_saved_free(struct dsm_heap *heap)
{
	if (heap->fork_thread)
		munmap(heap->fork_saved, thread_bytes(heap));
	heap->fork_thread = NULL;
}

/* Without a copy the child has no thread: what that had stays allocated there, unused. */
struct dsm_thread *dsm_thread_restore(struct dsm_heap *heap)
{
	struct dsm_thread *thread = heap->fork_thread;

	if (thread)
		memcpy(thread, heap->fork_saved, thread_bytes(heap) - THREAD_OFF);
	thread_set(heap, thread);
	dsm_thread_saved_free(heap);
	return thread;
}

/*
 * The holder of a slot's lock, by the lock. A thread may end unseen; then another has its
 * slot and its slabs.
 */
static uint32_t slot_holder(const struct dsm_slot *slot)
{
#ifdef __GLIBC__
	return *(const volatile uint32_t *)&slot->alive.__data.__lock & FUTEX_TID_MASK;
#else
	(void)slot;
	return 0;
#endif
}

void dsm_thread_slot_taken(struct dsm_thread *thread)
{
	thread->holder = slot_holder(thread->slot);
	atomic_store(&thread->heap->by_slot[thread->owner - 1], thread);
}

/* ---- slots ------------------------------------------------------------ */

static bool slot_take(struct dsm_heap *heap, struct dsm_slot *slot)
{
	int err;

	dsm_lock_init(&slot->alive);
	err = pthread_mutex_trylock(&slot->alive);
	if (err == EOWNERDEAD) {
		err = dsm_arena_lock(heap);
		if (err)
			return false;
		err = dsm_recover_slot(heap, slot);
		dsm_arena_unlock(heap);
	}
	return !err;
}

static struct dsm_slot *slot_find(struct dsm_heap *heap)
{
	struct dsm_arena *arena = heap->arena;

	for (uint32_t i = 0; i < THREADS_MAX; i++) {
		uint32_t slots = atomic_load(&arena->slots);

		while (slots <= i &&
		       !atomic_compare_exchange_weak(&arena->slots, &slots, i + 1))
			;
		if (slot_take(heap, &arena->slot[i]))
			return &arena->slot[i];
	}
	return NULL;
}

struct dsm_thread *dsm_thread_make(struct dsm_heap *heap)
{
	struct dsm_local *local = dsm_local_get();
	struct dsm_thread *thread;

	dsm_process_check_locks();
	if (heap->index >= HEAPS_MAX || !local)
		return NULL;
	if (local->do_without) {
		local->do_without--;
		return NULL;
	}
	thread = thread_map(heap);
	if (!thread)
		goto none;
	thread->heap = heap;
	thread->base = heap->base;
	thread->bytes = heap->bytes;
	thread->table = heap->table;
	thread->canary = heap->canary;
	thread->slabs_off = heap->private_off + offsetof(struct chunk_private, slab);
	thread->own_entry = heap->own_entry;
	thread->slot = slot_find(heap);
	if (!thread->slot)
		goto unmap;
	thread->owner = thread->slot - heap->arena->slot + 1;
	thread->owner_clean = (struct slab){ .owner = thread->owner }.owner_dirty;
	for (unsigned int class = 0; class < CLASSES; class++) {
		struct dsm_bin *bin = &thread->bin[class];

		bin->size = dsm_class_size(class);
		/* tools are told of each object, so object.c checks its canary at once */
		bin->note = dsm_class_is_front(class) && !heap->checks ? &bin->last :
									 &thread->not_noted;
		thread->class[class] = (struct dsm_class_info){
			dsm_class_recip(class), dsm_class_size(class),
			dsm_class_capacity(class),
		};
		bin_set(thread, bin, NULL);
	}
	for (size_t size = 0; size <= MIDDLE_SIZE_MAX; size += 8)
		thread->direct[size / 8] = offsetof(struct dsm_thread, bin) +
			dsm_class_of_size(size) * sizeof(struct dsm_bin);
	dsm_thread_slot_taken(thread);
	thread_set(heap, thread);
	atomic_fetch_add(&heap->threads, 1);
	return thread;
unmap:
	thread_unmap(heap, thread);
none:
	local->do_without = DO_WITHOUT;
	return NULL;
}

/* ---- slabs ------------------------------------------------------------ */

/* How many objects of a full slab have to be free for it to be looked for. */
static unsigned int slab_slack(const struct slab *slab)
{
	return slab->capacity >= 8 ? slab->capacity / 4 : 1;
}

static void slab_enlist(struct dsm_bin *bin, struct slab *slab,
			enum slab_state state)
{
	slab->state = state;
	if (state == SLAB_FULL) {
		slab->hot->used = slab_slack(slab) - (slab->capacity - slab->hot->used);
		slab_list_append(&bin->full, slab);
	} else {
		slab_list_append(&bin->partial, slab);
	}
}

static void slab_delist(struct dsm_bin *bin, struct slab *slab)
{
	if (slab->state == SLAB_FULL) {
		slab_list_remove(&bin->full, slab);
		slab->hot->used += slab->capacity - slab_slack(slab);
	} else {
		slab_list_remove(&bin->partial, slab);
	}
	slab->state = SLAB_IDLE;
}

/* Of the first word of its free[]. */
static struct slab_hot *slab_hot_of(_Atomic uint64_t *word)
{
	return (struct slab_hot *)((char *)word - offsetof(struct slab_hot, free));
}

/* The first word of free[w..end) that is not 0, or @end. */
static unsigned int hot_search(const struct slab_hot *hot, unsigned int w, unsigned int end)
{
	while (w < end && !READ(hot->free[w]))
		w++;
	return w;
}

/*
 * The next word after @w that has something free, or else as many as there are.
 * Objects that were allocated before are in the caches, and have pages. So they come first,
 * unless nothing was freed since they were searched.
 */
static unsigned int hot_next(struct slab_hot *hot, unsigned int w, unsigned int words)
{
	unsigned int next = hot_search(hot, w, hot->fresh);

	if (next < hot->fresh)
		return next;
	if (hot->used != hot->searched) {
		next = hot_search(hot, 0, hot->fresh);
		if (next < hot->fresh)
			return next;
		hot->searched = hot->used;
	}
	next = hot_search(hot, hot->fresh, words);
	return next < words ? next : hot_search(hot, 0, words);
}

/* From the next word; NULL: nothing is free. */
static void *bin_advance(struct dsm_thread *thread, struct dsm_bin *bin)
{
	struct slab *slab = bin->slab;
	struct slab_hot *hot = slab->hot;
	size_t word = READ(bin->word);
	unsigned int w = word ? dsm_bin_word(thread, word) - hot->free + 1 : 0;
	uint64_t bits;

	if (READ(slab->dirty))
		dsm_slab_collect(slab);
	w = hot_next(hot, w, slab->words);
	if (w == slab->words)
		return NULL;
	if (w >= hot->fresh)
		dsm_slab_freshen(thread->heap, slab, w);
	bits = READ(hot->free[w]);
	WRITE(bin->word, (uintptr_t)&hot->free[w] - (uintptr_t)thread);
	bin->base = slab_start(slab) + (size_t)w * 64 * bin->size;
	if (dsm_class_is_exact(slab->class))
		thread->had = READ(hot->has_length) & bits & -bits;
	return dsm_bin_alloc(bin, &hot->free[w], bits);
}

/* Of one that is not current. */
static bool slab_has_free(struct slab *slab)
{
	struct slab_hot *hot = slab->hot;

	if (hot->used == slab->capacity && READ(slab->dirty))
		dsm_slab_collect(slab);
	return hot->used < slab->capacity;
}

static struct slab *bin_find_partial(struct dsm_thread *thread, struct dsm_bin *bin)
{
	unsigned int class = bin - thread->bin;
	struct slab *slab = bin->partial.first;

	if (slab) {
		slab_delist(bin, slab);
		return slab;
	}
	for (slab = thread->empty.last; slab && slab->class != class; slab = slab->prev)
		;
	if (slab) {
		slab_list_remove(&thread->empty, slab);
		thread->empty_units -= dsm_class_units(class);
	}
	return slab;
}

static struct slab *bin_find_full(struct dsm_bin *bin)
{
	struct slab *slab;

	for (int i = 0; bin->full.first && i < LOOKS; i++) {
		slab = bin->full.first;
		slab_delist(bin, slab);
		if (slab_has_free(slab))
			return slab;
		slab_enlist(bin, slab, SLAB_FULL);
	}
	return NULL;
}

/* Slabs that are allocated from, but nothing is in them at the moment. */
static void current_release(struct dsm_thread *thread)
{
	for (struct dsm_bin *bin = thread->bin; bin < thread->bin + CLASSES; bin++) {
		if (!bin->slab)
			continue;
		if (!dsm_slab_is_empty(bin->slab))
			continue;
		dsm_slab_abandon(thread->heap, bin->slab);
		bin_set(thread, bin, NULL);
	}
}

void dsm_thread_release(struct dsm_heap *heap)
{
	struct dsm_thread *thread = dsm_threads[heap->index];

	if (!thread)
		return;
	empty_release(thread);
	current_release(thread);
}

/* Units of slabs that have free objects, but for those of which there is more than one. */
static unsigned int thread_slack(const struct dsm_thread *thread)
{
	unsigned int units = thread->empty_units;

	for (unsigned int class = 0; class < CLASSES; class++)
		if (thread->bin[class].slab || thread->bin[class].partial.first)
			units += dsm_class_units(class);
	return units;
}

bool dsm_thread_may_own(const struct dsm_thread *thread, unsigned int class)
{
	size_t share = dsm_thread_share(thread->heap);

	return share == SIZE_MAX || thread_slack(thread) + dsm_class_units(class) <= share;
}

/*
 * A slab of the arena. But other nodes may have sent objects of a full slab of this thread,
 * and one of its empty slabs may be made into the new one.
 */
static struct slab *bin_acquire(struct dsm_thread *thread, struct dsm_bin *bin,
				unsigned int class)
{
	struct dsm_heap *heap = thread->heap;
	struct slab *slab = NULL;

	if (!dsm_thread_may_own(thread, class) || dsm_thread_lock(thread))
		return NULL;
	if (dsm_remote_drain(heap))
		slab = bin_find_full(bin);
	if (!slab) {
		dsm_thread_release(heap);
		slab = dsm_slab_acquire(heap, class, thread->owner);
		if (slab)
			dsm_units_note(heap, slab_start(slab));
	}
	dsm_arena_unlock(heap);
	return slab;
}

static void *alloc_next(struct dsm_thread *thread, struct dsm_bin *bin)
{
	unsigned int class = bin - thread->bin;
	struct slab *slab = bin->slab;
	void *ptr;

	if (slab) {
		if (!dsm_bin_is_intact(thread, bin))
			dsm_canary_check_front(thread->heap, bin->last);
		ptr = bin_advance(thread, bin);
		if (ptr)
			return ptr;
		slab->hot->used = slab->capacity;
		slab_enlist(bin, slab, SLAB_FULL);
		bin_set(thread, bin, NULL);
	}
	slab = bin_find_partial(thread, bin);
	if (!slab)
		slab = bin_find_full(bin);
	if (!slab)
		slab = bin_acquire(thread, bin, class);
	if (!slab)
		return NULL;
	slab->state = SLAB_CURRENT;
	bin_set(thread, bin, slab);
	return bin_advance(thread, bin);
}

void *dsm_thread_alloc_next(struct dsm_thread *thread, struct dsm_bin *bin)
{
	void *ptr;

	if (!thread->heap)
		return NULL;
	dsm_thread_enter_wait(thread);
	ptr = alloc_next(thread, bin);
	dsm_thread_leave(thread);
	return ptr;
}

/*
 * A larger object. Of those that reuse a slot, one of SAMPLES gets a canary, and none that
 * comes directly after one that had it.
 */
static void *alloc_exact(struct dsm_thread *thread, struct dsm_bin *bin, size_t size)
{
	_Atomic uint64_t *word;
	void *ptr = NULL;
	uint64_t bits, had = 0;

	dsm_thread_enter(thread);
	word = dsm_bin_word(thread, READ(bin->word));
	bits = READ(*word);
	if (bits) {
		had = READ(slab_hot_of(word)->has_length) & bits & -bits;
		ptr = dsm_bin_alloc(bin, word, bits);
	}
	dsm_thread_leave(thread);
	if (!ptr) {
		ptr = dsm_thread_alloc_next(thread, bin);
		had = thread->had;
	}
	if (ptr && (had || ++thread->samples % SAMPLES == 0))
		dsm_canary_set_slab(thread->heap, ptr, size);
	return ptr;
}

void *dsm_thread_malloc_slow(struct dsm_thread *thread, size_t size)
{
	if (size <= MIDDLE_SIZE_MAX)
		return dsm_thread_alloc(thread, dsm_thread_bin(thread, size));
	if (size > CLASS_SIZE_MAX)
		return NULL;
	return alloc_exact(thread, &thread->bin[dsm_class_of_nominal(size)], size);
}

/* Ours, but others have freed in it: this one, perhaps. */
static bool free_in_dirty(struct slab *slab, unsigned int w, uint64_t bit)
{
	struct slab_hot *hot = slab->hot;

	if ((READ(slab->freed[w]) | READ(hot->free[w])) & bit)
		return false;
	WRITE(hot->free[w], READ(hot->free[w]) | bit);
	hot->used--;
	return true;
}

void dsm_thread_free_other(struct dsm_thread *thread, struct slab *slab, uint32_t index,
			   void *ptr, void (*slow)(void *ptr))
{
	struct chunk_public *public = (void *)((uintptr_t)slab & -(uintptr_t)CHUNK_SIZE);
	uint32_t word = UNIT_SLAB | (uint32_t)slab->index << 8 | slab->class;
	struct slab *first = slab_first(slab);
	uint64_t bit = 1ULL << index % 64;
	uint16_t owner = READ(slab->owner);

	if (owner == thread->owner) {
		if (!free_in_dirty(first, index / 64, bit)) {
			dsm_thread_leave(thread);
			slow(ptr);
		} else if (!first->hot->used) {
			dsm_thread_slab_event(thread, first);
		} else {
			dsm_thread_leave(thread);
		}
		return;
	}
	dsm_thread_leave(thread);
	/* of no thread: perhaps no slab, either, any more */
	if ((!owner && READ(public->unit[slab->head + slab->index]) != word) ||
	    dsm_slab_free_bits(first, index / 64, bit))
		slow(ptr);
}

static void slab_empty(struct dsm_thread *thread, struct dsm_bin *bin,
		       struct slab *slab)
{
	struct dsm_heap *heap = thread->heap;

	slab_delist(bin, slab);
	slab->state = SLAB_EMPTY;
	slab_list_append(&thread->empty, slab);
	thread->empty_units += dsm_class_units(slab->class);
	if (thread->empty_units <= dsm_keep_max(heap, EMPTY_UNITS_MAX) || dsm_thread_lock(thread))
		return;
	empty_release(thread);
	dsm_arena_unlock(heap);
}

/* A full slab has free objects again, or another one has become empty. */
static void slab_event(struct dsm_thread *thread, struct slab *slab)
{
	struct dsm_bin *bin = &thread->bin[slab->class];

	slab = slab_first(slab);
	/* allocations are not counted there, so it may become 0 at any time */
	if (slab->state == SLAB_CURRENT)
		return;
	if (slab->state == SLAB_FULL) {
		slab_delist(bin, slab);
		slab_enlist(bin, slab, SLAB_PARTIAL);
	} else {
		slab_empty(thread, bin, slab);
	}
}

void dsm_thread_slab_event(struct dsm_thread *thread, struct slab *slab)
{
	slab_event(thread, slab);
	dsm_thread_leave(thread);
}

/* Each slab of a list is put where it belongs now. */
static void list_trim(struct dsm_heap *heap, struct dsm_bin *bin,
		      struct slab_list list)
{
	struct slab *slab, *next;

	for (slab = list.first; slab; slab = slab == list.last ? NULL : next) {
		struct slab_hot *hot = slab->hot;

		next = slab->next;
		slab_delist(bin, slab);
		dsm_slab_collect(slab);
		if (!hot->used)
			dsm_slab_abandon(heap, slab);
		else
			slab_enlist(bin, slab, hot->used < slab->capacity ? SLAB_PARTIAL : SLAB_FULL);
	}
}

void dsm_thread_trim(struct dsm_thread *thread)
{
	struct dsm_heap *heap = thread->heap;

	empty_release(thread);
	dsm_keep_release(thread);
	for (struct dsm_bin *bin = thread->bin; bin < thread->bin + CLASSES; bin++) {
		list_trim(heap, bin, bin->partial);
		list_trim(heap, bin, bin->full);
		if (!bin->slab)
			continue;
		dsm_slab_collect(bin->slab);
		dsm_slab_count(bin->slab);
		if (bin->slab->hot->used)
			continue;
		dsm_slab_abandon(heap, bin->slab);
		bin_set(thread, bin, NULL);
	}
}

/* ---- when the region is full ------------------------------------------- */

/*
 * Then slabs and runs are taken from threads that do not use theirs at that moment,
 * however long they may sleep. A thread that allocates or frees says so in @busy, with
 * no more than a store before and after, which the processor may delay. So the
 * thread that takes
 *
 *	makes the other thread find nothing of its own when it looks the next time: no
 *	word to allocate from, no object in the heap (@bytes is 0), and @stopped set;
 *	has the kernel run a barrier on all processors that run threads of the process;
 *	looks at @busy.
 *
 * If it is not set, then whatever the thread does next comes after the barrier, and finds
 * nothing; it goes the slow way, and waits there for the arena's lock. If it is set, the
 * thread is left alone. A word that is lost to it by that is found again in its slab.
 *
 * Threads of other processes cannot be stopped like this.
 */
enum { BUSY_LOOKS = 200 };

static bool processors_barrier(void)
{
	int saved = errno;
	bool done = !syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0);

	/* a process has to say once that it will do that */
	if (!done && errno == EPERM &&
	    !syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0))
		done = !syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0);
	errno = saved;
	return done;
}

static void thread_stop(struct dsm_thread *thread)
{
	atomic_fetch_add(&thread->stops, 1);
	atomic_store(&thread->stopped, true);
	WRITE(thread->bytes, 0);
	for (struct dsm_bin *bin = thread->bin; bin < thread->bin + CLASSES; bin++)
		WRITE(bin->word, 0);
}

static void thread_go_on(struct dsm_thread *thread)
{
	atomic_store(&thread->bytes, thread->heap->bytes);
	atomic_store(&thread->stopped, false);
}

static bool thread_is_idle(const struct dsm_thread *thread)
{
	for (int look = 0; look < BUSY_LOOKS; look++)
		if (!atomic_load_explicit(&thread->busy, memory_order_acquire))
			return true;
	return false;
}

/* Another one than the caller's of this process, that has the slot; or NULL. */
static struct dsm_thread *thread_at(struct dsm_heap *heap, uint32_t slot)
{
	struct dsm_thread *thread = atomic_load(&heap->by_slot[slot]);

	if (!thread || thread == dsm_threads[heap->index] || !thread->holder ||
	    slot_holder(thread->slot) != thread->holder)
		return NULL;
	return thread;
}

static void others_rob(struct dsm_heap *heap)
{
	uint32_t slots = atomic_load(&heap->arena->slots);
	struct dsm_thread *thread;
	bool ordered;
	int count = 0;

	for (uint32_t slot = 0; slot < slots; slot++) {
		thread = thread_at(heap, slot);
		if (thread) {
			thread_stop(thread);
			count++;
		}
	}
	ordered = count && processors_barrier();
	for (uint32_t slot = 0; count && slot < slots; slot++) {
		thread = atomic_load(&heap->by_slot[slot]);
		if (!thread || !atomic_load(&thread->stopped))
			continue;
		if (ordered && thread_is_idle(thread))
			thread_drop(thread);
		thread_go_on(thread);
	}
}

void dsm_threads_rob(struct dsm_heap *heap)
{
	struct dsm_thread *thread = dsm_threads[heap->index];

	if (thread)
		thread_drop(thread);
	others_rob(heap);
}

static void reclaim(struct dsm_heap *heap, bool all)
{
	struct dsm_thread *thread = dsm_threads[heap->index];

	if (all) {
		dsm_threads_rob(heap);
		return;
	}
	dsm_thread_release(heap);
	if (thread)
		dsm_keep_release(thread);
	dsm_recover_threads(heap);
	dsm_slabs_sweep(heap, false);
}

const struct dsm_heap_ops dsm_thread_ops = {
	.reclaim = reclaim,
	.rebuild = dsm_recover_arena,
};
