/* SPDX-License-Identifier: MIT */
/*
 * libdsm: memory that several machines share.
 *
 * Modelled on POSIX shared memory (regions), malloc (the heap) and pthreads
 * (mutexes, condition variables, barriers). dsm(7) is the overview and says
 * what the memory model is.
 *
 * All functions are thread-safe. Functions on synchronisation objects return
 * 0 or an error number, as pthreads do; all others set errno. None is
 * async-signal-safe, and none is a cancellation point. Whatever touches
 * shared memory gets SIGBUS when the node that has it cannot be reached
 * within timeout_ms.
 */
#ifndef _DSM_H
#define _DSM_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#include <linux/dsm.h>	/* DSM_HOME_*, DSM_NAME_MAX, DSM_REGION_SIZE_MAX */

#ifdef __cplusplus
extern "C" {
#endif

#define DSM_VERSION_MAJOR	0
#define DSM_VERSION_MINOR	1
#define DSM_VERSION_PATCH	0

#if defined(__GNUC__)
#define __dsm_malloc_like	__attribute__((__malloc__))
#define __dsm_alloc_size(...)	__attribute__((__alloc_size__(__VA_ARGS__)))
#define __dsm_wur		__attribute__((__warn_unused_result__))
#else
#define __dsm_malloc_like
#define __dsm_alloc_size(...)
#define __dsm_wur
#endif

/* ---- regions ---------------------------------------------------------- */

/* A region this process has open. */
typedef struct dsm_region dsm_region;

/**
 * struct dsm_attr - how a region is made
 * @block_size: the unit of coherence, bytes: a power of two from the page
 *	size to DSM_BLOCK_SIZE_MAX; 0 is the page size
 * @home: enum dsm_home; 0 is first touch
 * @mode: permission bits, 0777 at most, taken as they are (no umask);
 *	0 is 0600
 * @consistency: 0, sequential consistency
 * @replicas: 0, none
 * @flags: DSM_ATTR_*
 * @reserved: 0
 */
struct dsm_attr {
	size_t		block_size;
	int		home;
	mode_t		mode;
	int		consistency;
	unsigned int	replicas;
	uint64_t	flags;
	uint64_t	reserved[3];
};

/* With O_CREAT: a region that exists may be another user's, or writable by others. */
#define DSM_ATTR_SHARED		(UINT64_C(1) << 0)

/**
 * dsm_open - open a region, or make it
 * @name: 1 to DSM_NAME_MAX - 1 of [A-Za-z0-9._-], not starting with '.'
 * @oflag: O_RDONLY or O_RDWR, with O_CREAT and O_EXCL as open(2) has them;
 *	O_CLOEXEC is implied
 * @size: bytes, up to DSM_REGION_SIZE_MAX, rounded up to whole blocks. Of a
 *	region that exists: 0, or at most what it has
 * @attr: with O_CREAT; NULL is all defaults. Of a region that exists: what
 *	is not 0 must be what it has
 *
 * Any user can make a region of any name. So where O_CREAT, without O_EXCL,
 * comes upon one that exists, it must be this user's (the effective one's) or
 * root's, and nobody else may have write permission, except where @attr->mode
 * asks for just that; or else @attr->flags must have DSM_ATTR_SHARED. Opening
 * without O_CREAT is the caller's choice of a region that it knows.
 *
 * Maps the region at the address it has on every node. A region this process
 * has open already is mapped once: all openings share the mapping, which is
 * writable as long as one of them is.
 *
 * Return: the region, or NULL with errno EACCES (its mode, or see above),
 * EADDRINUSE (something else
 * is mapped there: dsm_error_detail() names it), EEXIST, EINVAL, EINTR,
 * EMFILE, ENODEV (no module), ENOENT, ENOMEM, ENOSPC (no addresses left),
 * ENOTCONN (no helper yet), EPROTONOSUPPORT (another version), ETIMEDOUT.
 */
dsm_region *dsm_open(const char *name, int oflag, size_t size,
		     const struct dsm_attr *attr) __dsm_wur;

/**
 * dsm_close - end one opening; the last one unmaps
 * Return: 0, or -1 with errno EINVAL.
 */
int dsm_close(dsm_region *region);

/**
 * dsm_unlink - remove a region's name, on every node
 *
 * The memory goes when the last process has closed it.
 *
 * Return: 0, or -1 with errno EACCES, EINVAL, EINTR, ENODEV, ENOENT,
 * ENOTCONN, ETIMEDOUT.
 */
int dsm_unlink(const char *name);

/* Where it is mapped, the same on every node. Never fails. */
void *dsm_base(const dsm_region *region);

/* Its size in bytes. Never fails. */
size_t dsm_size(const dsm_region *region);

/* The name it was opened by. Never fails. */
const char *dsm_name(const dsm_region *region);

/**
 * dsm_set_root - publish a region's first object
 * @root: an address in the region, or NULL
 *
 * A thread that sees the root sees everything this thread wrote before. Uses the
 * region's heap: see dsm_heap_malloc().
 *
 * Return: 0, or -1 with errno EACCES (read-only), EINVAL, or as
 * dsm_heap_malloc().
 */
int dsm_set_root(dsm_region *region, void *root);

/* The address published last, on any node; NULL if none. errno is kept. */
void *dsm_root(const dsm_region *region);

/**
 * dsm_default - the region behind dsm_malloc()
 *
 * Named by $DSM_REGION ("default-UID", with the effective user's number), of
 * $DSM_SIZE bytes, with K, M or G (256M), in blocks of $DSM_BLOCK_SIZE (the
 * page size), made by whichever process of whichever node comes first. One
 * that exists must be the user's own or root's, and nobody else may have
 * write permission, unless $DSM_SHARED_HEAP is 1. Must not be closed.
 *
 * Return: the region, or NULL with errno as dsm_open(); a later call tries
 * again.
 */
dsm_region *dsm_default(void);

/* ---- the heap --------------------------------------------------------- */

/*
 * As malloc(3), to the letter: aligned to 16, of 0 bytes a pointer of its
 * own, overflow checked, errno ENOMEM; dsm_realloc(p, 0) frees and returns
 * NULL. Any node may free what any node allocated. A double free, or the free
 * of what was never allocated, is reported on stderr and aborts, unless
 * DSM_HEAP_ABORT is 0: then it is reported and ignored.
 *
 * A region that has a heap is all its own: its creator must not also use
 * dsm_base() as plain memory. EINVAL: this region has been used as plain
 * memory; EACCES: it is open read-only; ENOMEM: it is full, or too small
 * (under 4 MiB) to have a heap.
 */
void dsm_free(void *ptr);

void *dsm_malloc(size_t size)
	__dsm_malloc_like __dsm_alloc_size(1) __dsm_wur;
void *dsm_calloc(size_t n, size_t size)
	__dsm_malloc_like __dsm_alloc_size(1, 2) __dsm_wur;
/* @ptr may be of any region: it stays in its own. */
void *dsm_realloc(void *ptr, size_t size)
	__dsm_alloc_size(2) __dsm_wur;
/* @align: a power of two, else EINVAL */
void *dsm_aligned_alloc(size_t align, size_t size)
	__dsm_malloc_like __dsm_alloc_size(2) __dsm_wur;
/* As posix_memalign(3): 0, or an error number and *@ptr as it was. */
int dsm_posix_memalign(void **ptr, size_t align, size_t size) __dsm_wur;

/* Bytes usable at @ptr; 0 for NULL. */
size_t dsm_malloc_usable_size(void *ptr);

/* The same, in a region of one's choice. */
void *dsm_heap_malloc(dsm_region *region, size_t size)
	__dsm_malloc_like __dsm_alloc_size(2) __dsm_wur;
void *dsm_heap_calloc(dsm_region *region, size_t n, size_t size)
	__dsm_malloc_like __dsm_alloc_size(2, 3) __dsm_wur;
/* @ptr: NULL or of this region; else EINVAL */
void *dsm_heap_realloc(dsm_region *region, void *ptr, size_t size)
	__dsm_alloc_size(3) __dsm_wur;
void *dsm_heap_aligned_alloc(dsm_region *region, size_t align, size_t size)
	__dsm_malloc_like __dsm_alloc_size(3) __dsm_wur;
int dsm_heap_posix_memalign(dsm_region *region, void **ptr, size_t align, size_t size)
	__dsm_wur;

/**
 * dsm_trim - give back what is empty
 *
 * Sends home what this thread freed of other nodes', takes in what they sent,
 * releases empty chunks to the region, and the memory of all that is free to
 * the kernel, on every node. (On its own, a node keeps some: $DSM_HEAP_KEEP, in
 * MiB.) @region: NULL is the default one.
 *
 * Return: 0, or -1 with errno as dsm_heap_malloc().
 */
int dsm_trim(dsm_region *region);

/**
 * dsm_heap_check - look for damage in this node's part of a heap
 *
 * Looks at what nobody may write to: between the objects, if the heap was made
 * with DSM_HEAP_CHECK=1, and at the heap's own data in any case. What is found is
 * reported on stderr and aborts, unless DSM_HEAP_ABORT is 0. @region: NULL is
 * the default one.
 *
 * Return: how much was found, or -1 with errno as dsm_heap_malloc().
 */
int dsm_heap_check(dsm_region *region);

#define DSM_HEAP_CLASSES	56

/* One node's part of a heap. All of bytes are usable ones. */
struct dsm_heap_stats {
	uint64_t	chunks;		/* that it owns, of DSM_CHUNK_SIZE */
	uint64_t	live;		/* objects */
	uint64_t	live_bytes;
	uint64_t	free_bytes;	/* in slabs, for objects of their size */
	uint64_t	waiting;	/* objects that others freed, and their thread has not seen */
	uint64_t	empty_bytes;	/* in chunks, for anything */
	uint64_t	largest_empty;	/* bytes in a row, of those */
	uint64_t	parcels;	/* received from other nodes, */
	uint64_t	homecomings;	/* with so many objects */
	uint64_t	parcels_out;	/* its own: filling, on their way, or lost */
	uint64_t	threads_killed;	/* whose memory was recovered */
	uint64_t	locks_broken;	/* by a process that died in the heap */
	uint64_t	fragmentation;	/* percent of the bytes in slabs that are free_bytes */
	uint64_t	region_free;	/* bytes in chunks that no node owns, for any of them */
	uint64_t	region_largest;	/* in a row, of those */
	uint64_t	kept_bytes;	/* that threads keep for large objects */
	struct {
		uint64_t	size;	/* of an object */
		uint64_t	slabs;
		uint64_t	live;
		uint64_t	free;
		uint64_t	waiting;	/* freed by others: see above */
	} by_size[DSM_HEAP_CLASSES];
	uint64_t	runs;		/* objects larger than all of these */
	uint64_t	run_bytes;
};

/*
 * C++ gives the plain name dsm_heap_stats to the function below. This name is
 * the structure's in both languages.
 */
typedef struct dsm_heap_stats dsm_heap_stats_t;

#if defined(__cplusplus) && defined(__GNUC__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wshadow"
#endif

/**
 * dsm_heap_stats - count what is in a node's part of a heap
 * @node: any: of another one's, reading it costs faults, its own and ours
 *
 * Not a snapshot: what others do meanwhile is counted or not.
 *
 * Return: 0, or -1 with errno EINVAL (no such node) or as dsm_heap_malloc();
 * of a region open read-only, ENOENT if it has no heap.
 */
int dsm_heap_stats(dsm_region *region, unsigned int node,
		   struct dsm_heap_stats *stats);

#if defined(__cplusplus) && defined(__GNUC__)
#pragma GCC diagnostic pop
#endif

/* ---- synchronisation -------------------------------------------------- */

/*
 * These live in a region, open for writing, and are shared by all nodes.
 * Waiting is done by message. A mutex stays with the node that had it last,
 * and costs its threads no system call there until another wants it; barriers
 * and conditions are kept at the object's home. They are initialised once,
 * by one node, before the others use them; after that their memory is
 * only read, but for a mutex whose holder died. Their contents are private.
 *
 * Common errors: EINVAL (not in a region, not initialised, misaligned),
 * EACCES (the region is open read-only), EIO (the home did not answer within
 * timeout_ms), ENOTCONN.
 */
typedef struct dsm_mutex {
	uint32_t	__magic;
	uint32_t	__flags;
	uint32_t	__state;	/* written by a holder, after a death */
	uint32_t	__holder_node;	/* who that is */
	uint64_t	__holder_thread;
	uint64_t	__pad[5];
} __attribute__((__aligned__(8))) dsm_mutex_t;

typedef struct dsm_cond {
	uint32_t	__magic;
	uint32_t	__flags;
	uint64_t	__pad[7];
} __attribute__((__aligned__(8))) dsm_cond_t;

typedef struct dsm_barrier {
	uint32_t	__magic;
	uint32_t	__flags;
	uint32_t	__count;
	uint32_t	__pad0;
	uint64_t	__pad[6];
} __attribute__((__aligned__(8))) dsm_barrier_t;

/* Every mutex is robust and checks for errors; there is no other kind. */
struct dsm_mutexattr {
	uint32_t	flags;		/* 0 */
	uint32_t	reserved[7];	/* 0 */
};

/* @attr: NULL, or all zero. */
int dsm_mutex_init(dsm_mutex_t *mutex, const struct dsm_mutexattr *attr);

/*
 * EDEADLK: this thread has it. EOWNERDEAD: taken, but its last holder died
 * with it: make what it guards whole again and call dsm_mutex_consistent(),
 * or else, once unlocked, it is of no use to anyone: ENOTRECOVERABLE. Never
 * EINTR.
 */
int dsm_mutex_lock(dsm_mutex_t *mutex);
/* EBUSY: another has it. */
int dsm_mutex_trylock(dsm_mutex_t *mutex);
/* @abstime: CLOCK_REALTIME, absolute. ETIMEDOUT. */
int dsm_mutex_timedlock(dsm_mutex_t *mutex, const struct timespec *abstime);
/* EPERM: this thread does not have it. */
int dsm_mutex_unlock(dsm_mutex_t *mutex);
/* EINVAL: nothing to mend; EPERM: this thread does not have it. */
int dsm_mutex_consistent(dsm_mutex_t *mutex);
/* EBUSY: someone has it. */
int dsm_mutex_destroy(dsm_mutex_t *mutex);

int dsm_cond_init(dsm_cond_t *cond);
/*
 * @mutex: held by the caller, and held again on return; in the same region
 * (EINVAL). May wake up for no reason. EPERM, EOWNERDEAD and ENOTRECOVERABLE
 * as for a mutex.
 */
int dsm_cond_wait(dsm_cond_t *cond, dsm_mutex_t *mutex);
/* @abstime: CLOCK_REALTIME, absolute. ETIMEDOUT. */
int dsm_cond_timedwait(dsm_cond_t *cond, dsm_mutex_t *mutex,
		       const struct timespec *abstime);
int dsm_cond_signal(dsm_cond_t *cond);
int dsm_cond_broadcast(dsm_cond_t *cond);
int dsm_cond_destroy(dsm_cond_t *cond);

/* What dsm_barrier_wait() returns to one of them, the others get 0. */
#define DSM_BARRIER_SERIAL_THREAD	(-1)

/* @count: how many threads, of all nodes, it waits for; 1 to INT32_MAX */
int dsm_barrier_init(dsm_barrier_t *barrier, unsigned int count);
int dsm_barrier_wait(dsm_barrier_t *barrier);
int dsm_barrier_destroy(dsm_barrier_t *barrier);

/* ---- nodes, hints ----------------------------------------------------- */

/* This process's node, 0 .. dsm_node_count() - 1; -1 and errno. */
int dsm_node_id(void);

/* Configured nodes; -1 and errno ENODEV, ENOTCONN, EPROTONOSUPPORT. */
int dsm_node_count(void);

/**
 * dsm_prefetch - start fetching, and return at once
 * @addr, @len: a range inside one region
 * @prot: PROT_READ, or PROT_READ|PROT_WRITE
 *
 * Return: 0, or -1 with errno EINVAL, EACCES, ENOMEM (not all in a region).
 */
int dsm_prefetch(const void *addr, size_t len, int prot);

/* For replicas, which are not there yet: -1 and errno EOPNOTSUPP. */
int dsm_sync(const void *addr, size_t len);

/**
 * dsm_error_detail - why the last call of this thread that failed did so
 *
 * A sentence for people, where errno says too little ("" if it does not).
 * Also printed to stderr when $DSM_DEBUG is set. Valid until this thread's
 * next call.
 */
const char *dsm_error_detail(void);

#ifdef __cplusplus
}
#endif

#endif /* _DSM_H */
