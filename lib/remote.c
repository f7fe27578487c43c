// SPDX-License-Identifier: MIT
/*
 * Objects freed on another node than that which allocated them.
 *
 * The freeing thread notes them in a parcel for their owner: a block of its
 * own node's heap, with a bit for each object, by the word of its slab's
 * bitmap. When the parcel has no room for another word, or what is in it
 * is much memory, it is sent: pushed on the stack that is the owner's mailbox.
 * The owner takes the whole stack when it needs memory, sets the words' bits
 * in its slabs, and frees the parcels, which are objects of the sender's, as
 * any other. So a message carries 250 to 16000 objects of one node.
 *
 * A thread's parcels are linked to its slot: they are sent after its death. An
 * owner that dies while it frees loses one word: where it is, is written down
 * first.
 *
 * When the region is full there is no memory for a parcel. Then the object itself is sent, and
 * says that it is its own parcel.
 */
#include "remote.h"

#include <sys/mman.h>

#include "arena.h"
#include "cache.h"
#include "chunk.h"
#include "class.h"
#include "misuse.h"
#include "place.h"
#include "redzone.h"
#include "slab.h"
#include "tools.h"

/* The objects at @bits of word @key % 256 in the slab (or run) @key / 256. */
struct window {
	uint64_t key;
	uint64_t bits;
};

#define KEY_PARCELS		(1ULL << 63)	/* that come back */

struct parcel {
	_Atomic uint64_t next;		/* in the slot's list, or the mailbox */
	uint32_t	owner;
	uint32_t	frees;
	_Atomic uint32_t count;		/* of windows */
	uint32_t	reserved[3];
	struct window	window[];
};

/* An object that is its own parcel. */
struct homeless {
	_Atomic uint64_t next;
	uint64_t	mark;
};

/* What a mailbox has: offsets of parcels, and of other objects. */
#define HOMELESS		(1ULL << 63)
#define HOMELESS_PARCEL		(1ULL << 62 | HOMELESS)	/* that comes back */
#define HOMELESS_MARK		0x656d6f6820746e65ULL
/* In dsm_arena.draining, under the offset of a parcel: the next window. */
#define WINDOW_MASK		4095ULL

/* Enough to be worth a message. */
enum { FREES_MIN = 64, BYTES_MIN = 1 << 20, BYTES_MAX = 16 << 20 };

enum { HASH_SIZE = 512 };

/* A thread's parcel for one node. */
struct dsm_out {
	struct parcel	*parcel;
	size_t		bytes;			/* that are freed by it */
	uint16_t	window[HASH_SIZE];	/* where a key may be */
};

static uint32_t windows_max(const struct dsm_heap *heap)
{
	return (heap->block_size - sizeof(struct parcel)) / sizeof(struct window);
}

static uint64_t offset_of(const struct dsm_heap *heap, const void *ptr)
{
	return (const char *)ptr - heap->base;
}

/* ---- sending ---------------------------------------------------------- */

/* @next is a field of the parcel, or the object, at @offset. */
static void mailbox_push(struct dsm_heap *heap, uint32_t owner, uint64_t offset,
			 _Atomic uint64_t *next)
{
	struct dsm_mailbox *mailbox = node_mailbox(heap, owner);
	uint64_t head = atomic_load(&mailbox->head);

	do {
		atomic_store(next, head);
	} while (!atomic_compare_exchange_weak(&mailbox->head, &head, offset));
}

static struct parcel *parcel_at(struct dsm_heap *heap, uint64_t offset)
{
	struct parcel *parcel = (struct parcel *)(heap->base + offset);

	if (!offset)
		return NULL;
	/* another process may have made it of what we know as freed */
	if (heap->checks)
		dsm_tools_take(parcel, heap->block_size);
	return parcel;
}

/*
 * Killed between unlinking and pushing, a thread loses the parcel: it stays
 * counted in parcels_out. (To send one twice would be worse.) So the mailbox
 * is fetched first, which is what takes time.
 */
static void parcel_send(struct dsm_heap *heap, struct dsm_slot *slot,
			struct parcel *parcel)
{
	_Atomic uint64_t *link = &slot->outbox;
	uint64_t offset = offset_of(heap, parcel);

	atomic_fetch_or(&node_mailbox(heap, parcel->owner)->head, 0);
	while (atomic_load(link) != offset)
		link = &parcel_at(heap, atomic_load(link))->next;
	atomic_store(link, atomic_load(&parcel->next));
	mailbox_push(heap, parcel->owner, offset, &parcel->next);
}

static void out_send(struct dsm_thread *thread, struct dsm_out *out)
{
	struct parcel *parcel = out->parcel;

	out->parcel = NULL;
	out->bytes = 0;
	parcel_send(thread->heap, thread->slot, parcel);
}

static struct dsm_out *out_get(const struct dsm_thread *thread, uint32_t node)
{
	struct dsm_out *out = thread ? thread->out[node] : NULL;

	return out && out->parcel ? out : NULL;
}

bool dsm_remote_needs_parcel(const struct dsm_thread *thread, uint32_t node)
{
	return !out_get(thread, node);
}

bool dsm_remote_give_parcel(struct dsm_thread *thread, uint32_t node, void *block)
{
	struct dsm_heap *heap = thread->heap;
	struct dsm_out *out = thread->out[node];
	struct parcel *parcel = block;

	if (!out) {
		out = mmap(NULL, sizeof(*out), PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (out == MAP_FAILED)
			return false;
		thread->out[node] = out;
	}
	dsm_redzone_clear(heap, parcel, heap->block_size);
	parcel->owner = node;
	parcel->frees = 0;
	atomic_store(&parcel->count, 0);
	atomic_store(&parcel->next, atomic_load(&thread->slot->outbox));
	/* counted before it can come back, if we are killed */
	atomic_fetch_add(&heap->counters->parcels_out, 1);
	atomic_store(&thread->slot->outbox, offset_of(heap, parcel));
	out->parcel = parcel;
	return true;
}

static const char *send_homeless(struct dsm_heap *heap, uint32_t owner, void *ptr,
				 uint64_t kind)
{
	struct homeless *homeless = ptr;
	uint64_t mark = HOMELESS_MARK ^ (uintptr_t)ptr;

	dsm_tools_take(ptr, sizeof(*homeless));
	if (homeless->mark == mark)
		return "double free";
	homeless->mark = mark;
	mailbox_push(heap, owner, offset_of(heap, ptr) | kind, &homeless->next);
	return NULL;
}

static inline __attribute__((always_inline)) const char *
note(struct dsm_heap *heap, struct dsm_thread *thread,
			struct dsm_out *out, const struct dsm_place *place,
			uint64_t flag)
{
	uint64_t key = (uint64_t)place->unit << 8 | place->index / 64 | flag;
	uint64_t bit = 1ULL << place->index % 64;
	struct parcel *parcel = out->parcel;
	struct window *window;
	uint16_t *guess;
	uint32_t count;

	count = atomic_load_explicit(&parcel->count, memory_order_relaxed);
	guess = &out->window[key * 0x9e3779b97f4a7c15ULL >> 55];
	window = &parcel->window[*guess];
	if (*guess < count && window->key == key) {
		if (window->bits & bit)
			return "double free";
		window->bits |= bit;
	} else {
		window = &parcel->window[count];
		window->key = key;
		window->bits = bit;
		atomic_store_explicit(&parcel->count, count + 1, memory_order_release);
		*guess = count;
	}
	parcel->frees++;
	out->bytes += place->size;
	if (atomic_load_explicit(&parcel->count, memory_order_relaxed) == windows_max(heap) ||
	    (parcel->frees >= FREES_MIN && out->bytes >= BYTES_MIN) ||
	    out->bytes >= BYTES_MAX)
		out_send(thread, out);
	return NULL;
}

const char *dsm_remote_free(struct dsm_heap *heap, struct dsm_thread *thread,
			    const struct dsm_place *place, void *ptr)
{
	struct dsm_out *out = out_get(thread, place->owner);

	if (!out)
		return send_homeless(heap, place->owner, ptr, HOMELESS);
	return note(heap, thread, out, place, 0);
}

/* Everything but the parcel is read only, so that nodes share it. */
bool dsm_remote_free_slab(struct dsm_thread *thread, const void *ptr)
{
	size_t off = (const char *)ptr - thread->base;
	const struct dsm_class_info *class;
	struct chunk_public *public;
	struct dsm_place place;
	struct dsm_out *out;
	uint32_t entry, word, at;
	uint64_t index;

	if (off >= READ(thread->bytes))
		return false;
	entry = READ(thread->table[off >> CHUNK_SHIFT]);
	if (CHUNK_KIND(entry) != CHUNK_SLABS || CHUNK_OWNER(entry) - 1 >= thread->heap->nodes)
		return false;
	out = thread->out[CHUNK_OWNER(entry) - 1];
	if (!out || !out->parcel)
		return false;
	public = (struct chunk_public *)((uintptr_t)ptr & -(uintptr_t)CHUNK_SIZE);
	word = READ(public->unit[off >> UNIT_SHIFT & (UNITS - 1)]);
	if (UNIT_KIND(word) != UNIT_SLAB)
		return false;
	class = &thread->class[UNIT_CLASS(word)];
	at = off % UNIT_SIZE + (UNIT_INDEX(word) << UNIT_SHIFT) - dsm_class_front(UNIT_CLASS(word));
	index = dsm_class_index(at, class->recip);
	if (index >= class->capacity)
		return false;
	place.size = class->size;
	place.index = index;
	place.unit = (off >> UNIT_SHIFT) - UNIT_INDEX(word);
	return !note(thread->heap, thread, out, &place, 0);
}

void dsm_remote_flush(struct dsm_thread *thread)
{
	for (uint32_t node = 0; node < thread->heap->nodes; node++) {
		struct dsm_out *out = thread->out[node];

		if (out && out->parcel && out->parcel->frees)
			out_send(thread, out);
	}
}

void dsm_remote_end(struct dsm_thread *thread)
{
	struct dsm_heap *heap = thread->heap;

	for (uint32_t node = 0; node < heap->nodes; node++) {
		struct dsm_out *out = thread->out[node];

		if (!out)
			continue;
		if (out->parcel)
			out_send(thread, out);
		thread->out[node] = NULL;
		munmap(out, sizeof(*out));
	}
}

void dsm_remote_recover(struct dsm_heap *heap, struct dsm_slot *slot)
{
	struct parcel *parcel;

	while ((parcel = parcel_at(heap, atomic_load(&slot->outbox))))
		parcel_send(heap, slot, parcel);
}

/* ---- receiving -------------------------------------------------------- */

static const char *window_free(struct dsm_heap *heap, uint32_t unit,
			       unsigned int w, uint64_t bits)
{
	uint32_t chunk = unit / UNITS;
	size_t off = (size_t)(unit % UNITS) << UNIT_SHIFT;
	uint32_t entry, word;
	struct slab *slab;

	if (chunk < heap->first || chunk >= heap->chunks)
		return "never allocated";
	entry = atomic_load(chunk_entry(heap, chunk));
	if (!dsm_chunk_is_own(heap, entry))
		return "double free";
	if (CHUNK_KIND(entry) == CHUNK_RUN)
		return dsm_run_free(heap, chunk,
				    atomic_load(&chunk_public(heap, chunk)->run_off));
	word = atomic_load(unit_word(heap, unit));
	if (CHUNK_KIND(entry) != CHUNK_SLABS || UNIT_KIND(word) != UNIT_SLAB)
		return dsm_run_free(heap, chunk, off);
	slab = slab_at(heap, chunk, off);
	if (UNIT_INDEX(word) || w >= slab->words)
		return "never allocated";
	return dsm_slab_free_other(slab, w, bits);
}

/* One that is wrong is looked for, and the others are freed. */
static void window_report(struct dsm_heap *heap, uint32_t unit, unsigned int w,
			  uint64_t bits)
{
	char *start = heap->base + ((size_t)unit << UNIT_SHIFT);
	uint32_t word = atomic_load(unit_word(heap, unit));
	size_t size = 0;

	if (UNIT_KIND(word) == UNIT_SLAB) {
		size = dsm_class_size(UNIT_CLASS(word));
		start += dsm_class_front(UNIT_CLASS(word));
	}
	for (; bits; bits &= bits - 1) {
		const char *wrong = window_free(heap, unit, w, bits & -bits);

		if (wrong)
			dsm_misuse(start + (w * 64 + __builtin_ctzll(bits)) * size, wrong);
	}
}

static void window_drain(struct dsm_heap *heap, const struct window *window)
{
	uint32_t unit = (window->key & ~KEY_PARCELS) >> 8;
	unsigned int w = window->key & 0xff;
	unsigned int n = __builtin_popcountll(window->bits);

	if (window->key & KEY_PARCELS)
		atomic_fetch_sub(&heap->counters->parcels_out, n);
	else
		heap->counters->homecomings += n;
	if (window_free(heap, unit, w, window->bits))
		window_report(heap, unit, w, window->bits);
}

static void homeless_drain(struct dsm_heap *heap, void *ptr, bool parcel)
{
	struct dsm_place place;
	const char *wrong = dsm_object_find(heap, ptr, &place);

	if (!wrong)
		wrong = window_free(heap, place.unit, place.index / 64,
				    1ULL << place.index % 64);
	if (parcel)
		atomic_fetch_sub(&heap->counters->parcels_out, 1);
	else
		heap->counters->homecomings++;
	if (wrong)
		dsm_misuse(ptr, wrong);
}

/* Take everything in the mailbox, unless the last lot is not drained yet. */
static void mailbox_take(struct dsm_heap *heap)
{
	struct dsm_mailbox *mailbox = node_mailbox(heap, heap->node);
	/* look first: a look does not take the block from those who push */
	uint64_t head = atomic_load(&mailbox->head);

	if (!head || heap->arena->draining)
		return;
	do {
		heap->arena->draining = head;
		atomic_signal_fence(memory_order_seq_cst);
	} while (!atomic_compare_exchange_weak(&mailbox->head, &head, 0));
}

/*
 * An empty parcel goes back, with others, but not in a parcel made for it: that
 * would have to return. It is ours to lose once it is not the next one to
 * empty; therefore what takes time is before.
 */
static void parcel_return(struct dsm_heap *heap, struct parcel *parcel)
{
	struct dsm_thread *thread = dsm_threads[heap->index];
	uint64_t next = atomic_load(&parcel->next);
	struct dsm_place place;
	struct dsm_out *out;

	if (dsm_object_find(heap, parcel, &place)) {
		heap->arena->draining = next;
		return;
	}
	out = thread ? thread->out[place.owner] : NULL;
	if (out && out->parcel) {
		heap->arena->draining = next;
		note(heap, thread, out, &place, KEY_PARCELS);
		return;
	}
	atomic_fetch_or(&parcel->next, 0);
	atomic_fetch_or(&node_mailbox(heap, place.owner)->head, 0);
	heap->arena->draining = next;
	send_homeless(heap, place.owner, parcel, HOMELESS_PARCEL);
}

/* One step; false: there is no more. */
static bool drain_step(struct dsm_heap *heap)
{
	struct dsm_arena *arena = heap->arena;
	uint64_t at = arena->draining;
	struct parcel *parcel;

	if (!at)
		return false;
	if (at & HOMELESS) {
		struct homeless *homeless = (void *)(heap->base + (at & ~HOMELESS_PARCEL));

		dsm_tools_take(homeless, sizeof(*homeless));
		arena->draining = atomic_load(&homeless->next);
		homeless->mark = 0;
		dsm_redzone_given_back(heap, homeless, sizeof(*homeless));
		homeless_drain(heap, homeless, (at & HOMELESS_PARCEL) == HOMELESS_PARCEL);
		return true;
	}
	parcel = parcel_at(heap, at & ~WINDOW_MASK);
	if ((at & WINDOW_MASK) < atomic_load(&parcel->count)) {
		arena->draining = at + 1;
		window_drain(heap, &parcel->window[at & WINDOW_MASK]);
		return true;
	}
	heap->counters->parcels++;
	parcel_return(heap, parcel);
	return true;
}

uint64_t dsm_remote_drain(struct dsm_heap *heap)
{
	uint64_t before = heap->counters->homecomings;

	mailbox_take(heap);
	while (drain_step(heap))
		;
	return heap->counters->homecomings - before;
}

/* The dead process may not have taken the parcels that @draining names. */
void dsm_remote_rebuild(struct dsm_heap *heap)
{
	uint64_t draining = heap->arena->draining;
	uint64_t at = atomic_load(&node_mailbox(heap, heap->node)->head);

	while (at && at != draining)
		at = atomic_load((_Atomic uint64_t *)(heap->base + (at & ~HOMELESS_PARCEL)));
	if (at)
		heap->arena->draining = 0;
}
