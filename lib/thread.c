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
#include <stddef.h>
#include <sys/mman.h>

#include "arena.h"
#include "fork.h"
#include "remote.h"

enum {
	LOOKS		= 8,	/* at full slabs */
	EMPTY_UNITS_MAX	= 16,	/* that a thread keeps */
	DO_WITHOUT	= 1000,	/* allocations, when there is no slot */
};

static _Atomic uint64_t no_objects;	/* where a bin without a slab points */
static struct dsm_bin no_bin = { .word = &no_objects };
static struct dsm_thread no_thread = {
	.direct = { [0 ... DIRECT_SIZE / GRANULE_SIZE] = &no_bin },
	.bin = { [0 ... CLASSES - 1] = { .word = &no_objects } },
};

__thread struct dsm_thread *dsm_thread_main
	__attribute__((tls_model("initial-exec"))) = &no_thread;
_Atomic(struct dsm_heap *) dsm_heap_main;
__thread struct dsm_thread *dsm_threads[HEAPS_MAX + 1]
	__attribute__((tls_model("initial-exec")));
static __thread unsigned int do_without;

static _Atomic(struct dsm_heap *) heaps[HEAPS_MAX];
static pthread_key_t exit_key;
static bool exit_key_made;

static void thread_set(struct dsm_heap *heap, struct dsm_thread *thread)
{
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

static size_t thread_bytes(const struct dsm_heap *heap)
{
	return sizeof(struct dsm_thread) + heap->nodes * sizeof(struct dsm_out *);
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

static void bin_set(struct dsm_bin *bin, struct slab *slab)
{
	bin->slab = slab;
	bin->hot = NULL;
	bin->word = &no_objects;
}

void dsm_thread_end(struct dsm_heap *heap)
{
	struct dsm_thread *thread = dsm_threads[heap->index];

	if (!thread)
		return;
	dsm_remote_end(thread);
	if (dsm_arena_lock(heap))
		return;
	empty_release(thread);
	for (struct dsm_bin *bin = thread->bin; bin < thread->bin + CLASSES; bin++) {
		list_abandon(heap, &bin->partial);
		list_abandon(heap, &bin->full);
		if (bin->slab)
			dsm_slab_abandon(heap, bin->slab);
		bin_set(bin, NULL);
	}
	thread_set(heap, NULL);
	dsm_arena_unlock(heap);
	pthread_mutex_unlock(&thread->slot->alive);
	munmap(thread, thread_bytes(heap));
	atomic_fetch_sub(&heap->threads, 1);
}

static void thread_exit(void *arg)
{
	(void)arg;
	for (int i = 0; i < HEAPS_MAX; i++)
		if (dsm_threads[i])
			dsm_thread_end(dsm_threads[i]->heap);
}

/* Of the process, by the thread that calls exit(): it has no other end. */
__attribute__((destructor))
static void process_exit(void)
{
	thread_exit(NULL);
}

static void fork_prepare(void)
{
	for (int i = 0; i < HEAPS_MAX; i++)
		if (heaps[i] && heaps[i]->mine)
			dsm_fork_prepare(heaps[i]);
}

static void fork_parent(void)
{
	for (int i = 0; i < HEAPS_MAX; i++)
		if (heaps[i] && heaps[i]->mine)
			dsm_fork_parent(heaps[i]);
}

/* The slots are the parent's, unless the heap has become the child's own. */
static void fork_child(void)
{
	bool main_kept = false;

	for (int i = 0; i < HEAPS_MAX; i++) {
		if (heaps[i] && heaps[i]->mine && dsm_fork_child(heaps[i])) {
			main_kept |= heaps[i] == atomic_load(&dsm_heap_main);
			continue;
		}
		if (heaps[i])
			heaps[i]->threads = 0;
		if (!dsm_threads[i])
			continue;
		munmap(dsm_threads[i], thread_bytes(dsm_threads[i]->heap));
		dsm_threads[i] = NULL;
	}
	if (!main_kept)
		dsm_thread_main = &no_thread;
}

__attribute__((constructor))
static void process_init(void)
{
	exit_key_made = !pthread_key_create(&exit_key, thread_exit);
	pthread_atfork(fork_prepare, fork_parent, fork_child);
}

uint32_t dsm_threads_attach(struct dsm_heap *heap)
{
	for (uint32_t i = 0; i < HEAPS_MAX; i++) {
		struct dsm_heap *none = NULL;

		if (atomic_compare_exchange_strong(&heaps[i], &none, heap))
			return i;
	}
	return HEAPS_MAX;
}

void dsm_threads_detach(struct dsm_heap *heap)
{
	if (heap->index < HEAPS_MAX)
		atomic_store(&heaps[heap->index], NULL);
}

/* ---- slots ------------------------------------------------------------ */

static int slot_recover(struct dsm_heap *heap, struct dsm_slot *slot)
{
	dsm_slabs_recover(heap, slot - heap->arena->slot + 1);
	dsm_remote_recover(heap, slot);
	return pthread_mutex_consistent(&slot->alive);
}

void dsm_threads_recover(struct dsm_heap *heap)
{
	struct dsm_arena *arena = heap->arena;
	uint32_t slots = atomic_load(&arena->slots);

	for (struct dsm_slot *slot = arena->slot; slot < arena->slot + slots; slot++) {
		int err = pthread_mutex_trylock(&slot->alive);

		if (err == EOWNERDEAD)
			err = slot_recover(heap, slot);
		if (!err)
			pthread_mutex_unlock(&slot->alive);
	}
}

static bool slot_take(struct dsm_heap *heap, struct dsm_slot *slot)
{
	int err;

	dsm_lock_init(&slot->alive);
	err = pthread_mutex_trylock(&slot->alive);
	if (err == EOWNERDEAD) {
		err = dsm_arena_lock(heap);
		if (err)
			return false;
		err = slot_recover(heap, slot);
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
	struct dsm_thread *thread;

	if (heap->index >= HEAPS_MAX || !exit_key_made)
		return NULL;
	if (do_without) {
		do_without--;
		return NULL;
	}
	thread = mmap(NULL, thread_bytes(heap), PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (thread == MAP_FAILED)
		goto none;
	thread->heap = heap;
	thread->base = heap->base;
	thread->bytes = heap->bytes;
	thread->table = heap->table;
	thread->slabs_off = heap->private_off + offsetof(struct chunk_private, slab);
	thread->own_entry = heap->own_entry;
	thread->slot = slot_find(heap);
	if (!thread->slot)
		goto unmap;
	thread->owner = thread->slot - heap->arena->slot + 1;
	for (unsigned int class = 0; class < CLASSES; class++) {
		thread->bin[class].size = dsm_class_size(class);
		thread->class[class] = (struct dsm_class_info){
			dsm_class_size(class), dsm_class_recip(class),
			dsm_class_capacity(class),
		};
		bin_set(&thread->bin[class], NULL);
	}
	for (size_t size = 0; size <= DIRECT_SIZE; size += GRANULE_SIZE)
		thread->direct[size / GRANULE_SIZE] = &thread->bin[dsm_class_of_size(size)];
	thread_set(heap, thread);
	atomic_fetch_add(&heap->threads, 1);
	pthread_setspecific(exit_key, thread);
	return thread;
unmap:
	munmap(thread, thread_bytes(heap));
none:
	do_without = DO_WITHOUT;
	return NULL;
}

/* ---- slabs ------------------------------------------------------------ */

/* Frees into a slab are watched for the one that moves it between lists. */
static void slab_enlist(struct dsm_bin *bin, struct slab *slab,
			enum slab_state state)
{
	slab->state = state;
	if (state == SLAB_FULL) {
		slab->hot->event = slab->capacity - 1;
		slab_list_append(&bin->full, slab);
	} else {
		slab->hot->event = 0;
		slab_list_append(&bin->partial, slab);
	}
}

static void slab_delist(struct dsm_bin *bin, struct slab *slab)
{
	slab_list_remove(slab->state == SLAB_FULL ? &bin->full : &bin->partial, slab);
	slab->state = SLAB_IDLE;
	slab->hot->event = NO_EVENT;
}

static void *bin_alloc(struct dsm_bin *bin, unsigned int w)
{
	uint64_t bits = READ(bin->hot->free[w]);

	bin->word = &bin->hot->free[w];
	bin->base = slab_start(bin->slab) + w * 64 * bin->size;
	WRITE(*bin->word, bits & (bits - 1));
	bin->hot->used++;
	return bin->base + __builtin_ctzll(bits) * bin->size;
}

/* From the next word that has something free: there is one. */
static void *bin_advance(struct dsm_bin *bin)
{
	unsigned int start = bin->word == &no_objects ? 0 : bin->word - bin->hot->free + 1;

	for (unsigned int w = start; w < bin->slab->words; w++)
		if (READ(bin->hot->free[w]))
			return bin_alloc(bin, w);
	for (unsigned int w = 0; ; w++)
		if (READ(bin->hot->free[w]))
			return bin_alloc(bin, w);
}

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
		if (!bin->slab || bin->hot->used)
			continue;
		dsm_slab_abandon(thread->heap, bin->slab);
		bin_set(bin, NULL);
	}
}

/*
 * The arena's. What came home meanwhile may be in a slab of ours; and what is
 * empty of ours may be what we get, for objects of this size now.
 */
static struct slab *bin_acquire(struct dsm_thread *thread, struct dsm_bin *bin,
				unsigned int class)
{
	struct dsm_heap *heap = thread->heap;
	struct slab *slab = NULL;

	if (dsm_arena_lock(heap))
		return NULL;
	if (dsm_remote_drain(heap))
		slab = bin_find_full(bin);
	if (!slab) {
		empty_release(thread);
		current_release(thread);
		slab = dsm_slab_acquire(heap, class, thread->owner);
		if (slab)
			dsm_fork_note(heap, slab_start(slab));
	}
	dsm_arena_unlock(heap);
	return slab;
}

void *dsm_thread_alloc_next(struct dsm_thread *thread, struct dsm_bin *bin)
{
	struct dsm_heap *heap = thread->heap;
	unsigned int class = bin - thread->bin;
	struct slab *slab = bin->slab;

	if (!heap)
		return NULL;
	if (slab) {
		if (slab_has_free(slab))
			return bin_advance(bin);
		slab_enlist(bin, slab, SLAB_FULL);
		bin_set(bin, NULL);
	}
	slab = bin_find_partial(thread, bin);
	if (!slab)
		slab = bin_find_full(bin);
	if (!slab)
		slab = bin_acquire(thread, bin, class);
	if (!slab)
		return NULL;
	slab->state = SLAB_CURRENT;
	bin_set(bin, slab);
	bin->hot = slab->hot;
	return bin_advance(bin);
}

static void slab_empty(struct dsm_thread *thread, struct dsm_bin *bin,
		       struct slab *slab)
{
	unsigned int n = dsm_class_units(slab->class);

	if (thread->empty_units + n > EMPTY_UNITS_MAX) {
		if (dsm_arena_lock(thread->heap))
			return;
		empty_release(thread);
		dsm_arena_unlock(thread->heap);
	}
	slab_delist(bin, slab);
	slab->state = SLAB_EMPTY;
	slab_list_append(&thread->empty, slab);
	thread->empty_units += n;
}

/* What was full is not, or what was not in use for allocating is empty. */
void dsm_thread_slab_event(struct dsm_thread *thread, struct slab *slab)
{
	struct dsm_bin *bin = &thread->bin[slab->class];

	slab = slab_first(slab);
	if (slab->state == SLAB_FULL) {
		slab_delist(bin, slab);
		slab_enlist(bin, slab, SLAB_PARTIAL);
	}
	if (!slab->hot->used)
		slab_empty(thread, bin, slab);
}

static void list_trim(struct dsm_heap *heap, struct dsm_bin *bin,
		      struct slab *first)
{
	struct slab *slab, *next;

	for (slab = first; slab; slab = next) {
		struct slab_hot *hot = slab->hot;

		next = slab->next;
		dsm_slab_collect(slab);
		if (!hot->used) {
			slab_delist(bin, slab);
			dsm_slab_abandon(heap, slab);
		} else if (slab->state == SLAB_FULL && hot->used < slab->capacity) {
			slab_delist(bin, slab);
			slab_enlist(bin, slab, SLAB_PARTIAL);
		}
	}
}

void dsm_thread_trim(struct dsm_thread *thread)
{
	struct dsm_heap *heap = thread->heap;

	empty_release(thread);
	for (struct dsm_bin *bin = thread->bin; bin < thread->bin + CLASSES; bin++) {
		list_trim(heap, bin, bin->partial.first);
		list_trim(heap, bin, bin->full.first);
		if (!bin->slab)
			continue;
		dsm_slab_collect(bin->slab);
		if (bin->hot->used)
			continue;
		dsm_slab_abandon(heap, bin->slab);
		bin_set(bin, NULL);
	}
}
