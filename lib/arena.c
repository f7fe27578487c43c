// SPDX-License-Identifier: MIT
/*
 * A node's arena: the chunks it owns, cut into units.
 *
 * A unit is part of a slab of equal objects (slab.c), or of a run of units
 * that is one object, or is kept for one by a thread (keep.c); an object that
 * does not fit a chunk is a run of chunks. All processes of the node share the
 * arena, under one robust mutex, which is on a block no other node touches.
 *
 * A process may die at any point with the lock. Therefore each fact is written in one store,
 * and every prefix of the stores is a valid heap:
 *  - a slab or a run is one while its first unit's word says so, a chunk is
 *    ours while the table says so;
 *  - the rest is written before the first, and the first is unmade first, so
 *    a rest without a first belongs to nobody.
 * Lists, masks and hints are made again from these by dsm_arena_rebuild(), by
 * the next process that gets the lock. What the dead one was about to
 * return is leaked: one object.
 *
 * The frames of empty memory go back to the kernels of all nodes, with the lock held, so that no
 * other node claims the chunks meanwhile. Some are kept, so that a loop of malloc and free does
 * not need new ones each time: @keep empty chunks in the arena, and about as many chunks of
 * large objects in the region. When there are more, half of the former go, and all of the latter.
 */
#include "arena.h"

#include <errno.h>
#include <string.h>

#include "chunk.h"
#include "class.h"
#include "guard.h"
#include "process.h"
#include "redzone.h"
#include "tools.h"

enum {
	PURGE_CHUNKS	= 64,	/* at a time */
	UNITS_TRIES	= 16,	/* open chunks to look at */
};

/* ---- chunks that have a free unit ------------------------------------- */

static uint32_t units_all(const struct dsm_heap *heap)
{
	return ~0U << heap->meta_units;
}

static uint32_t units_mask(unsigned int first, unsigned int n)
{
	return (uint32_t)(((1ULL << n) - 1) << first);
}

static void open_insert(struct dsm_arena *arena, struct chunk_private *chunk)
{
	chunk->prev = NULL;
	chunk->next = arena->open;
	if (arena->open)
		arena->open->prev = chunk;
	arena->open = chunk;
}

static void open_remove(struct dsm_arena *arena, struct chunk_private *chunk)
{
	if (chunk->next)
		chunk->next->prev = chunk->prev;
	if (chunk->prev)
		chunk->prev->next = chunk->next;
	else
		arena->open = chunk->next;
}

static void units_take(struct dsm_heap *heap, struct chunk_private *chunk,
		       uint32_t mask)
{
	if (chunk->free_units == units_all(heap))
		heap->arena->spares--;
	chunk->free_units &= ~mask;
	chunk->fresh_units &= ~mask;
	if (!chunk->free_units)
		open_remove(heap->arena, chunk);
}

static void units_give(struct dsm_heap *heap, struct chunk_private *chunk,
		       uint32_t mask)
{
	if (!chunk->free_units)
		open_insert(heap->arena, chunk);
	chunk->free_units |= mask;
	if (chunk->free_units == units_all(heap))
		heap->arena->spares++;
}

/* A claimed chunk becomes one of slabs, all units free. */
static void chunk_make(struct dsm_heap *heap, uint32_t chunk, bool fresh)
{
	struct chunk_public *public = chunk_public(heap, chunk);
	struct chunk_private *private = chunk_private(heap, chunk);

	dsm_tools_take(public, CHUNK_SIZE);
	for (unsigned int u = 0; u < UNITS; u++)
		WRITE(public->unit[u], u < heap->meta_units ? UNIT_META : UNIT_FREE);
	if (!fresh) {
		/* it may have been the inside of a large object */
		memset(private, 0, offsetof(struct chunk_private, hot));
		memset(private->freed, 0, sizeof(private->freed));
	}
	dsm_guard_make(heap, chunk, dsm_guard_off(heap));
	dsm_chunk_publish(heap, chunk, CHUNK_SLABS);
	units_give(heap, private, units_all(heap));
	private->fresh_units = fresh ? units_all(heap) : 0;
}

/* Return the memory's frames to the kernel. Whether the memory is zero now. */
static bool purge(struct dsm_heap *heap, void *addr, size_t len)
{
	int saved = errno;
	bool done = heap->purge && !heap->purge(addr, len);

	if (!done && (errno == EOPNOTSUPP || errno == EINVAL || errno == EACCES))
		heap->purge = NULL;
	errno = saved;
	return done;
}

static void chunk_unmake(struct dsm_heap *heap, struct chunk_private *chunk)
{
	uint32_t number = chunk_of(heap, chunk);

	open_remove(heap->arena, chunk);
	heap->arena->spares--;
	dsm_chunk_publish(heap, number, CHUNK_CLAIMED);
	dsm_chunk_release(heap, number, purge(heap, chunk_addr(heap, number), CHUNK_SIZE));
}

void dsm_arena_release(struct dsm_heap *heap, uint32_t keep)
{
	struct chunk_private *chunk, *next;

	for (chunk = heap->arena->open; chunk && heap->arena->spares > keep;
	     chunk = next) {
		next = chunk->next;
		if (chunk->free_units == units_all(heap))
			chunk_unmake(heap, chunk);
	}
}

/* ---- units ------------------------------------------------------------ */

/* Where in @mask @n units start that are free, at a multiple of @align. */
static int units_fit(uint32_t mask, unsigned int n, unsigned int align)
{
	uint32_t starts = mask;

	/* a bit stays if those of the n - 1 after it are set */
	for (unsigned int got = 1, step; got < n; got += step) {
		step = got < n - got ? got : n - got;
		starts &= starts >> step;
	}
	for (; starts; starts &= starts - 1)
		if (__builtin_ctz(starts) % align == 0)
			return __builtin_ctz(starts);
	return -1;
}

/* Looks at @tries chunks that are open. */
static uint32_t units_find(struct dsm_heap *heap, unsigned int n,
			   unsigned int align, unsigned int tries, bool *fresh)
{
	struct chunk_private *chunk;
	uint32_t mask;
	int u;

	for (chunk = heap->arena->open; chunk && tries--; chunk = chunk->next) {
		u = units_fit(chunk->free_units, n, align);
		if (u < 0)
			continue;
		dsm_guard_check(heap, chunk_of(heap, chunk), dsm_guard_off(heap));
		mask = units_mask(u, n);
		*fresh = (chunk->fresh_units & mask) == mask;
		units_take(heap, chunk, mask);
		return chunk_of(heap, chunk) * UNITS + u;
	}
	return 0;
}

uint32_t dsm_units_alloc(struct dsm_heap *heap, unsigned int n,
			 unsigned int align, bool *fresh)
{
	/* a long search costs more than a chunk that is left for later */
	uint32_t unit = units_find(heap, n, align, UNITS_TRIES, fresh);
	uint32_t chunk;
	bool zero;

	if (unit)
		return unit;
	heap->ops->reclaim(heap, false);
	unit = units_find(heap, n, align, UNITS_TRIES, fresh);
	if (unit)
		return unit;
	chunk = dsm_chunk_claim(heap, &zero);
	if (chunk)
		chunk_make(heap, chunk, zero);
	else
		heap->ops->reclaim(heap, true);
	return units_find(heap, n, align, UINT32_MAX, fresh);
}

void dsm_units_free(struct dsm_heap *heap, uint32_t unit, unsigned int n)
{
	dsm_guard_check(heap, unit / UNITS, dsm_guard_off(heap));
	dsm_redzone_units(heap, heap->base + ((size_t)unit << UNIT_SHIFT), (size_t)n << UNIT_SHIFT);
	for (unsigned int i = 0; i < n; i++)
		atomic_store_explicit(unit_word(heap, unit + i), UNIT_FREE,
				      memory_order_release);
	units_give(heap, chunk_private(heap, unit / UNITS),
		   units_mask(unit % UNITS, n));
	if (heap->arena->spares > heap->keep)
		dsm_arena_release(heap, heap->keep / 2);
}

/* ---- runs ------------------------------------------------------------- */

static void *alloc_units(struct dsm_heap *heap, unsigned int n,
			 unsigned int align, bool *fresh)
{
	uint32_t unit = dsm_units_alloc(heap, n, align, fresh);

	if (!unit)
		return NULL;
	for (unsigned int i = n - 1; i; i--)
		atomic_store(unit_word(heap, unit + i), UNIT_RUN_REST);
	atomic_store(unit_word(heap, unit), UNIT_RUN | n);
	return heap->base + ((size_t)unit << UNIT_SHIFT);
}

static void *alloc_chunks(struct dsm_heap *heap, size_t align, size_t size,
			  bool *fresh)
{
	size_t off = (size_t)heap->meta_units << UNIT_SHIFT;
	struct chunk_public *public;
	uint32_t chunk;
	size_t n;

	/* beyond a chunk's, it is the second chunk that is aligned */
	off = align < CHUNK_SIZE ? (off + align - 1) & -align : CHUNK_SIZE;
	if (size > ((size_t)(heap->chunks - heap->first) << CHUNK_SHIFT) - off)
		return NULL;
	n = (off + size + CHUNK_SIZE - 1) >> CHUNK_SHIFT;
	chunk = dsm_chunk_claim_run(heap, n, align, fresh);
	if (!chunk)
		return NULL;
	public = chunk_public(heap, chunk);
	dsm_tools_take(public, n << CHUNK_SHIFT);
	atomic_store(&public->run_chunks, n);
	atomic_store(&public->run_off, off);
	dsm_guard_make(heap, chunk, off);
	for (size_t i = n - 1; i; i--)
		dsm_chunk_publish(heap, chunk + i, CHUNK_RUN_REST);
	dsm_chunk_publish(heap, chunk, CHUNK_RUN);
	return chunk_addr(heap, chunk) + off;
}

void *dsm_run_alloc(struct dsm_heap *heap, size_t align, size_t size,
		    bool *fresh)
{
	size_t align_units = align > UNIT_SIZE ? align >> UNIT_SHIFT : 1;
	size_t n = (size + UNIT_SIZE - 1) >> UNIT_SHIFT;

	if (n < UNITS && align_units < UNITS && units_fit(units_all(heap), n, align_units) >= 0)
		return alloc_units(heap, n, align_units, fresh);
	return alloc_chunks(heap, align, size, fresh);
}

static void chunks_purge(struct dsm_heap *heap)
{
	uint32_t n;

	for (uint32_t chunk = heap->first; heap->purge && chunk < heap->chunks; chunk += n + 1) {
		bool zero;

		n = dsm_chunk_claim_dirty(heap, chunk, PURGE_CHUNKS);
		zero = n && purge(heap, chunk_addr(heap, chunk), (size_t)n << CHUNK_SHIFT);
		for (uint32_t i = n; i; i--)
			dsm_chunk_release(heap, chunk + i - 1, zero);
		if (n == PURGE_CHUNKS)
			n--;
	}
	heap->arena->dirty = 0;
}

/* Release chunks that were one object's. A process that dies here leaves their kind as it was. */
static void chunks_release(struct dsm_heap *heap, uint32_t chunk, uint32_t n)
{
	struct dsm_arena *arena = heap->arena;
	bool zero = n > heap->keep &&
		    purge(heap, chunk_addr(heap, chunk), (size_t)n << CHUNK_SHIFT);

	for (uint32_t i = n; i; i--)
		dsm_chunk_release(heap, chunk + i - 1, zero);
	if (!zero)
		arena->dirty += n;
	if (arena->dirty > heap->keep)
		chunks_purge(heap);
}

static void chunks_free(struct dsm_heap *heap, uint32_t chunk)
{
	struct chunk_public *public = chunk_public(heap, chunk);
	uint32_t n = atomic_load(&public->run_chunks);

	dsm_guard_check(heap, chunk, atomic_load(&public->run_off));
	dsm_chunk_publish(heap, chunk, CHUNK_CLAIMED);
	chunks_release(heap, chunk, n);
}

const char *dsm_run_free(struct dsm_heap *heap, uint32_t chunk, size_t off)
{
	uint32_t entry = atomic_load(chunk_entry(heap, chunk));
	uint32_t unit = chunk * UNITS + (off >> UNIT_SHIFT);
	uint32_t word;

	if (CHUNK_KIND(entry) == CHUNK_RUN) {
		if (off != atomic_load(&chunk_public(heap, chunk)->run_off))
			return "pointer into an object";
		chunks_free(heap, chunk);
		return NULL;
	}
	if (CHUNK_KIND(entry) != CHUNK_SLABS)
		return "double free";
	word = atomic_load(unit_word(heap, unit));
	if (UNIT_KIND(word) != UNIT_RUN)
		return "double free";
	if (off % UNIT_SIZE)
		return "pointer into an object";
	/* another thread may free the run at the same time, and keep it */
	if (!atomic_compare_exchange_strong(unit_word(heap, unit), &word, UNIT_FREE))
		return "double free";
	dsm_units_free(heap, unit, UNIT_VALUE(word));
	return NULL;
}

/* What a run gives up is freed after it says that it is smaller. */
static bool units_resize(struct dsm_heap *heap, uint32_t unit, unsigned int n)
{
	struct chunk_private *chunk = chunk_private(heap, unit / UNITS);
	uint32_t word = atomic_load(unit_word(heap, unit));
	unsigned int has = UNIT_VALUE(word);
	uint32_t mask;

	if (UNIT_KIND(word) != UNIT_RUN || n > UNITS - unit % UNITS)
		return false;
	if (n > has) {
		mask = units_mask(unit % UNITS + has, n - has);
		if ((chunk->free_units & mask) != mask)
			return false;
		units_take(heap, chunk, mask);
		for (unsigned int i = has; i < n; i++)
			atomic_store(unit_word(heap, unit + i), UNIT_RUN_REST);
	}
	/* another thread may free it at the same time, which is wrong, and keep it */
	if (!atomic_compare_exchange_strong(unit_word(heap, unit), &word, UNIT_RUN | n)) {
		if (n > has)
			dsm_units_free(heap, unit + has, n - has);
		return false;
	}
	if (n < has)
		dsm_units_free(heap, unit + n, has - n);
	return true;
}

static bool chunks_resize(struct dsm_heap *heap, uint32_t chunk, size_t size)
{
	struct chunk_public *public = chunk_public(heap, chunk);
	uint32_t has = atomic_load(&public->run_chunks);
	uint32_t n = (atomic_load(&public->run_off) + size + CHUNK_SIZE - 1) >> CHUNK_SHIFT;

	if (n > has) {
		if (!dsm_chunk_claim_at(heap, chunk + has, n - has))
			return false;
		for (uint32_t i = has; i < n; i++)
			dsm_chunk_publish(heap, chunk + i, CHUNK_RUN_REST);
	}
	atomic_store(&public->run_chunks, n);
	if (n < has)
		chunks_release(heap, chunk + n, has - n);
	return true;
}

bool dsm_run_resize(struct dsm_heap *heap, uint32_t unit, size_t size)
{
	uint32_t chunk = unit / UNITS;
	size_t n = (size + UNIT_SIZE - 1) >> UNIT_SHIFT;

	/* an object at a chunk's unit 0 has all of the chunk */
	if (unit % UNITS)
		return n < UNITS && units_resize(heap, unit, n);
	if (n < UNITS || size > (size_t)(heap->chunks - chunk) << CHUNK_SHIFT)
		return false;
	return chunks_resize(heap, chunk, size);
}

/* Free units that have been used, of chunks that have others as well. */
static void units_purge(struct dsm_heap *heap, struct chunk_private *chunk)
{
	char *base = chunk_addr(heap, chunk_of(heap, chunk));
	uint32_t dirty = chunk->free_units & ~chunk->fresh_units;

	while (dirty) {
		unsigned int first = __builtin_ctz(dirty);
		unsigned int n = __builtin_ctzll(~((uint64_t)dirty >> first));
		uint32_t mask = units_mask(first, n);

		if (purge(heap, base + ((size_t)first << UNIT_SHIFT), (size_t)n << UNIT_SHIFT))
			chunk->fresh_units |= mask;
		dirty &= ~mask;
	}
}

void dsm_arena_purge(struct dsm_heap *heap)
{
	dsm_arena_release(heap, 0);
	for (struct chunk_private *chunk = heap->arena->open; chunk; chunk = chunk->next)
		units_purge(heap, chunk);
	chunks_purge(heap);
}

/* ---- after a death ---------------------------------------------------- */

static void units_rebuild(struct dsm_heap *heap, uint32_t chunk)
{
	struct chunk_private *private = chunk_private(heap, chunk);
	uint32_t unit = chunk * UNITS + heap->meta_units;
	uint32_t end = (chunk + 1) * UNITS;
	uint32_t word;

	private->free_units = 0;
	private->fresh_units = 0;
	while (unit < end) {
		word = atomic_load(unit_word(heap, unit));
		if (UNIT_KIND(word) == UNIT_SLAB && !UNIT_INDEX(word)) {
			unit += dsm_class_units(UNIT_CLASS(word));
		} else if (UNIT_KIND(word) == UNIT_RUN) {
			unit += UNIT_VALUE(word);
		} else if (UNIT_KIND(word) == UNIT_KEPT) {
			unit += KEPT_UNITS(word);
		} else {
			atomic_store(unit_word(heap, unit), UNIT_FREE);
			WRITE(private->slab[unit % UNITS].owner, 0);
			units_give(heap, private, units_mask(unit % UNITS, 1));
			unit++;
		}
	}
}

void dsm_arena_rebuild(struct dsm_heap *heap)
{
	struct dsm_arena *arena = heap->arena;
	uint32_t chunk = heap->first;
	uint32_t entry;

	arena->open = NULL;
	arena->spares = 0;
	arena->dirty = 0;
	arena->claim_hint = heap->first;
	heap->counters->rebuilt++;
	while (chunk < heap->chunks) {
		entry = atomic_load(chunk_entry(heap, chunk));
		if (!dsm_chunk_is_own(heap, entry)) {
			chunk++;
			continue;
		}
		switch (CHUNK_KIND(entry)) {
		case CHUNK_SLABS:
			units_rebuild(heap, chunk++);
			break;
		case CHUNK_RUN:
			chunk += atomic_load(&chunk_public(heap, chunk)->run_chunks);
			break;
		default:
			dsm_chunk_release(heap, chunk++, false);
		}
	}
	heap->ops->rebuild(heap);
}

/* ---- locks ------------------------------------------------------------ */

/*
 * Why a robust mutex of pthreads will do, though it is in memory that other nodes can have.
 *
 * When its holder dies, the kernel marks the mutex: exit_robust_list() reads its word and
 * changes it, as the task that dies, which still has its memory. Both may be page faults,
 * like any other access's: where another node has the block, the module fetches it, for
 * timeout_ms at most. A task that was killed does not wait in vain, since SIGKILL is not
 * pending any more when it comes to that; where it is (the task was killed in exit(2), or
 * while it dumped core), the module does not let it end the wait: module/wait.h.
 *
 * That fails only if the other node has the block and does not answer for timeout_ms. No
 * node has it by what this library does: each touches its own arena only, and counters that
 * others read are on another block. One that does have it is a hostile sharer, or has a
 * stray pointer; it could as well have written to the lock (dsm(7), "A hostile sharer").
 */

/*
 * A node's processes may come here at once, and one may die here, or have
 * taken the lock already. An initialised mutex is zero but for words that
 * no operation changes: so each of them writes the same words, once.
 */
void dsm_lock_init(pthread_mutex_t *lock)
{
	union {
		pthread_mutex_t mutex;
		uint32_t word[sizeof(pthread_mutex_t) / sizeof(uint32_t)];
	} model;
	pthread_mutexattr_t attr;

	memset(&model, 0, sizeof(model));
	pthread_mutexattr_init(&attr);
	pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
	pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST);
	pthread_mutex_init(&model.mutex, &attr);
	pthread_mutexattr_destroy(&attr);
	for (size_t i = 0; i < sizeof(model.word) / sizeof(model.word[0]); i++) {
		_Atomic uint32_t *word = (_Atomic uint32_t *)lock + i;
		uint32_t zero = 0;

		if (model.word[i])
			atomic_compare_exchange_strong(word, &zero, model.word[i]);
	}
}

enum { LOCK_TRIES = 20, LOCK_LOOKS = 10 };

static inline void pause_thread(void)
{
#if defined(__x86_64__) || defined(__i386__)
	__builtin_ia32_pause();
#else
	atomic_signal_fence(memory_order_seq_cst);
#endif
}

/* Trying takes the lock's line from its holder; looking does not. */
static bool lock_looks_free(const pthread_mutex_t *lock)
{
#ifdef __GLIBC__
	return !*(const volatile int *)&lock->__data.__lock;
#else
	(void)lock;
	return true;
#endif
}

int dsm_arena_lock(struct dsm_heap *heap)
{
	pthread_mutex_t *lock = &heap->arena->lock;
	int err;

	dsm_process_check_locks();
	err = pthread_mutex_trylock(lock);

	/* it is seldom held for longer than it takes to go to sleep */
	for (int try = 0; err == EBUSY && try < LOCK_TRIES; try++) {
		for (int look = 0; look < LOCK_LOOKS && !lock_looks_free(lock); look++)
			pause_thread();
		err = pthread_mutex_trylock(lock);
	}
	if (err == EBUSY)
		err = pthread_mutex_lock(lock);
	if (err != EOWNERDEAD)
		return err;
	dsm_arena_rebuild(heap);
	return pthread_mutex_consistent(lock);
}

void dsm_arena_unlock(struct dsm_heap *heap)
{
	pthread_mutex_unlock(&heap->arena->lock);
}
