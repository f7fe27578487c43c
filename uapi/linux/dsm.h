/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * /dev/dsm: distributed shared memory.
 *
 * A file descriptor is made by open(2), introduced by DSM_IOC_API, and then
 * bound to one region by DSM_IOC_CREATE or DSM_IOC_OPEN. mmap(2) of a bound
 * descriptor maps the region (MAP_SHARED only); its offset is the offset in
 * the region. Every ioctl but DSM_IOC_API fails with EINVAL before the
 * handshake. Reserved and padding fields must be zero, and unknown flags are
 * refused with EINVAL, so that they can be given a meaning later.
 *
 * The node a descriptor belongs to is that of the network namespace the
 * caller was in when it opened it.
 */
#ifndef _UAPI_LINUX_DSM_H
#define _UAPI_LINUX_DSM_H

#include <linux/ioctl.h>
#include <linux/types.h>

#define DSM_API_VERSION		1

/* A region's name: 1 to 63 of [A-Za-z0-9._-], not starting with '.'. */
#define DSM_NAME_MAX		64

/* Node ids are 0 .. DSM_NODES_MAX - 1. */
#define DSM_NODES_MAX		4096

/* A chunk is the unit in which homes are given out. */
#define DSM_CHUNK_SHIFT		21
#define DSM_CHUNK_SIZE		(1ULL << DSM_CHUNK_SHIFT)

#define DSM_REGION_SIZE_MAX	(1ULL << 42)
#define DSM_BLOCK_SIZE_MAX	65536U

/*
 * Where regions are mapped: a part of a 47-bit address space which PIE,
 * mmap(2) and the address, thread and memory sanitizers all leave free.
 */
#define DSM_ADDR_MIN		0x400000000000ULL
#define DSM_ADDR_MAX		0x500000000000ULL

/* Which node keeps a chunk's directory. */
enum dsm_home {
	DSM_HOME_DEFAULT	= 0,	/* first touch */
	DSM_HOME_FIRST_TOUCH	= 1,	/* the node that touched it first */
	DSM_HOME_INTERLEAVED	= 2,	/* chunk number modulo nodes */
	DSM_HOME_CREATOR	= 3,	/* the node that made the region */
};

/**
 * struct dsm_api - DSM_IOC_API, the version handshake
 * @version: in: the version the caller was built for; out: the module's.
 *	A version the module does not speak fails with EPROTONOSUPPORT,
 *	@version set all the same.
 * @reserved: 0
 * @features: out: DSM_FEATURE_* the module has
 */
struct dsm_api {
	__u32 version;
	__u32 reserved;
	__u64 features;
};

#define DSM_FEATURE_ALL		0ULL

/**
 * struct dsm_node_info - DSM_IOC_NODE, this node
 * @id: this node's id
 * @count: configured nodes
 * @up: nodes reachable now, this one included
 * @flags: 0
 * @page_size: bytes
 *
 * Fails with ENOTCONN until a helper has told the module who it is.
 */
struct dsm_node_info {
	__u32 id;
	__u32 count;
	__u32 up;
	__u32 flags;
	__u32 page_size;
	__u32 reserved[3];
};

/**
 * struct dsm_region_arg - DSM_IOC_CREATE, DSM_IOC_OPEN, DSM_IOC_LIST
 * @name: NUL-terminated
 * @size: CREATE: in, bytes; rounded up to whole blocks. Else out.
 * @base: out: the address every process maps it at
 * @block_size: CREATE: in, bytes, a power of two from the page size to
 *	DSM_BLOCK_SIZE_MAX; 0 is the page size. Else out.
 * @home: enum dsm_home, CREATE: in; else out
 * @mode: CREATE: in, permission bits, 0777 at most; else out
 * @flags: CREATE: DSM_CREATE_*; OPEN: DSM_OPEN_*
 * @uid: out: owner
 * @gid: out: group
 * @id: out: the region's number; LIST: in, list the first region whose id is
 *	greater than this (0 to start); ENOENT ends the list
 * @creator: out: the node that made it
 *
 * CREATE returns when every reachable node has acknowledged the region:
 * EEXIST (exists), EDQUOT (as many or as large as a user's may be), ENOSPC
 * (no address range left, or too many regions), ETIMEDOUT (the registry
 * node did not answer within timeout_ms), ENOTCONN (no helper yet), EINTR.
 * OPEN: ENOENT, EACCES; if no process of the node uses the region yet, also
 * ETIMEDOUT and EINTR. Both bind the descriptor: EBUSY if it is bound.
 */
struct dsm_region_arg {
	char  name[DSM_NAME_MAX];
	__u64 size;
	__u64 base;
	__u32 block_size;
	__u32 home;
	__u32 mode;
	__u32 flags;
	__u32 uid;
	__u32 gid;
	__u32 id;
	__u32 creator;
	__u64 reserved[2];
};

#define DSM_CREATE_F_ALL	0U
#define DSM_OPEN_RDONLY		(1U << 0)	/* only PROT_READ mappings */
#define DSM_OPEN_F_ALL		(DSM_OPEN_RDONLY)

/**
 * struct dsm_name_arg - DSM_IOC_UNLINK
 * @name: as above. The name is gone on every node when the call returns;
 *	the memory goes when the last process of any node has let go of it.
 *	ENOENT, EACCES (neither owner nor CAP_SYS_ADMIN), ETIMEDOUT, EINTR.
 */
struct dsm_name_arg {
	char  name[DSM_NAME_MAX];
	__u64 reserved;
};

/**
 * struct dsm_range_arg - DSM_IOC_PREFETCH, DSM_IOC_DISCARD
 * @offset: in the bound region, bytes; DISCARD: a multiple of the block size
 * @length: bytes; the range must lie inside the region; DISCARD: a multiple of
 *	the block size
 * @flags: PREFETCH: DSM_PREFETCH_WRITE to fetch for writing; DISCARD: 0
 *
 * PREFETCH starts fetching and returns at once.
 *
 * DISCARD makes the range read as zeroes on every node, and every node gives the
 * memory it has for it back to its kernel; the range can be used as before. What
 * other threads write to it meanwhile may or may not be lost, block by block;
 * what they write after the call has returned is not. It costs nothing where
 * nobody has ever written. EACCES (a descriptor bound for reading); ENOMEM;
 * EINTR (killed), ETIMEDOUT (a node has not answered within timeout_ms): a part
 * has been discarded, and another part may be later. madvise(2) with MADV_REMOVE
 * does the same to a mapping, and so does fallocate(2) that punches a hole.
 */
struct dsm_range_arg {
	__u64 offset;
	__u64 length;
	__u32 flags;
	__u32 reserved;
};

#define DSM_PREFETCH_WRITE	(1U << 0)
#define DSM_PREFETCH_F_ALL	(DSM_PREFETCH_WRITE)
#define DSM_DISCARD_F_ALL	0U

/*
 * Synchronisation objects live at an offset of the bound region; their queue
 * is kept by the home of the block at that offset and waiting is by message.
 * A node keeps a mutex that its threads have let go of; an operation for which
 * that matters has it given back first.
 * An object exists while it is in use; nothing need be created. Its kind is
 * that of the first operation that finds it idle; another kind's operation on
 * one that is in use fails with EINVAL.
 */
enum dsm_sync_op {
	DSM_SYNC_LOCK		= 1,	/* mutex: take, waiting if need be */
	DSM_SYNC_TRYLOCK	= 2,	/* mutex: take or EBUSY */
	DSM_SYNC_UNLOCK		= 3,	/* mutex: release; EPERM if not the holder's */
	DSM_SYNC_BARRIER	= 4,	/* wait until @value callers are here */
	DSM_SYNC_WAIT		= 5,	/* condition: release mutex @other, wait, take it again */
	DSM_SYNC_WAKE		= 6,	/* condition: wake up to @value waiters */
};

/**
 * struct dsm_sync_arg - DSM_IOC_SYNC
 * @op: enum dsm_sync_op
 * @value: BARRIER: the count, 1 to 2^31 - 1; WAKE: how many, at least 1
 * @offset: the object, 8-byte aligned
 * @other: WAIT: offset of the mutex, which the caller holds
 * @timeout_ns: LOCK, WAIT: relative, 0 is none; others 0
 * @result: out: LOCK, TRYLOCK, WAIT: DSM_SYNC_OWNERDEAD if the previous holder
 *	died, see below; BARRIER: DSM_SYNC_SERIAL for exactly one of them;
 *	WAKE: how many were woken
 *
 * A mutex is held by a thread; DSM_SYNC_LOCK by its holder fails with
 * EDEADLK. A process that holds one leaves it to the next taker with
 * DSM_SYNC_OWNERDEAD when it ends, executes another program, or closes the last
 * descriptor that it has of the open file. What another process does with the same
 * file, or with a table of descriptors that they share, changes nothing. A thread that
 * ends while its process lives keeps what it holds. Who waits for the mutex may hear
 * of it half a second later.
 * Also ETIMEDOUT; EINTR, a signal arrived (LOCK: the mutex was not taken;
 * BARRIER: the barrier was left; WAIT: the mutex is held again, a spurious
 * wake-up); EIO, the home did not answer within timeout_ms (WAIT: whether the
 * mutex is held is not known). A WAIT that takes the mutex again from a holder
 * that died succeeds, with DSM_SYNC_OWNERDEAD, however it ended.
 */
struct dsm_sync_arg {
	__u32 op;
	__u32 value;
	__u64 offset;
	__u64 other;
	__u64 timeout_ns;
	__u32 result;
	__u32 reserved;
};

#define DSM_SYNC_OWNERDEAD	1U
#define DSM_SYNC_SERIAL		2U

/*
 * A mutex stays with the node whose threads had it last until another node
 * wants it. Meanwhile it can be taken and let go of without a system call: its
 * state is a word of memory that the processes of this node share, which is in
 * one of the DSM_WORDS_WAYS places that its offset hashes to.
 *
 *	 63         34  33     32    31       22  21      0
 *	+-------------+------+------+------------+---------+
 *	|     tag     | slow | here |  process   |  thread |
 *	+-------------+------+------+------------+---------+
 *
 * The process is the number that DSM_IOC_ATTACH gave, the thread what gettid(2)
 * returns. Only two changes are a program's to make, each by an atomic compare
 * and exchange of the whole word:
 *
 *	take it (acquire)	dsm_word(offset) -> dsm_word(offset) | process | thread
 *	let go (release)	and back
 *
 * Where the word is not what it is to be for that, DSM_IOC_SYNC knows more. Who
 * writes anything else spoils the mutexes of this region, for this node's
 * processes and those who wait for them, and nothing else.
 */
#define DSM_WORDS_OFFSET	(1ULL << 43)	/* of mmap(2) */
#define DSM_WORDS_SETS_SHIFT	9
#define DSM_WORDS_WAYS		8		/* a cache line */
#define DSM_WORDS		(DSM_WORDS_WAYS << DSM_WORDS_SETS_SHIFT)
#define DSM_WORDS_SIZE		(8 * DSM_WORDS)

#define DSM_WORD_THREAD_BITS	22
#define DSM_WORD_PROCESS_BITS	10
#define DSM_WORD_OWNER		0xffffffffULL	/* process and thread: 0 if it is free */
#define DSM_WORD_HERE		(1ULL << 32)
#define DSM_WORD_SLOW		(1ULL << 33)	/* there is more to do than that */
#define DSM_WORD_TAG_SHIFT	34

/* The last number is for those that have none: see DSM_IOC_SYNC. */
#define DSM_WORD_PROCESS_OTHER	((1U << DSM_WORD_PROCESS_BITS) - 1)

/* The 39 bits of an offset that tell mutexes apart, spread; no two are the same. */
static __inline__ __u64 dsm_word_key(__u64 offset)
{
	return ((offset >> 3) * 0x9e3779b97f4a7c15ULL) & ((1ULL << 39) - 1);
}

/* The first of its places. */
static __inline__ __u32 dsm_word_set(__u64 offset)
{
	return (dsm_word_key(offset) >> (39 - DSM_WORDS_SETS_SHIFT)) * DSM_WORDS_WAYS;
}

/* The word of a mutex that is here, and free. */
static __inline__ __u64 dsm_word(__u64 offset)
{
	__u64 tag = dsm_word_key(offset) & ((1ULL << (39 - DSM_WORDS_SETS_SHIFT)) - 1);

	return tag << DSM_WORD_TAG_SHIFT | DSM_WORD_HERE;
}

/**
 * struct dsm_attach_arg - DSM_IOC_ATTACH
 * @process: 0; out: the number of the calling process, 1 to
 *	DSM_WORD_PROCESS_OTHER - 1; the same every time. A child of fork(2)
 *	needs one of its own.
 * @reserved: 0
 *
 * From then on the words of the bound region can be mapped, shared, all
 * DSM_WORDS_SIZE bytes at DSM_WORDS_OFFSET of the descriptor. The number is the
 * process's until it exits, executes another program, or closes its last
 * descriptor of the open file, mapped or not: what it holds then goes to others, as
 * with DSM_IOC_SYNC. EACCES (a descriptor
 * bound for reading); ENOMEM; ENOSPC (no number is left: DSM_IOC_SYNC does
 * everything).
 */
struct dsm_attach_arg {
	__u32 process;
	__u32 reserved;
};

/**
 * struct dsm_window_arg - DSM_IOC_WINDOW, for the helper
 * @id: the region. Binds the descriptor to the region's frames themselves:
 *	a mapping of it never faults remotely. EPERM for any process but the
 *	one that has registered as the node's helper, here and in mmap(2).
 * @size: out: bytes
 */
struct dsm_window_arg {
	__u32 id;
	__u32 reserved;
	__u64 size;
};

/**
 * struct dsm_spin_arg - DSM_IOC_SPIN, for the helper
 * @fd: what it is about to wait for: an epoll instance, or anything that
 *	poll(2) takes
 * @flags: 0; others fail with EINVAL
 *
 * Returns 0 when @fd is ready to be read, has failed, or its other end is gone;
 * when it has looked for that long enough (spin_us in sysfs), or in vain of late;
 * when a signal is there, or when another wants this processor. The caller waits
 * as it would have. EOPNOTSUPP (spin_us is 0, or there is one processor); EBADF;
 * EPERM (the caller is not the process that has registered as the node's helper).
 */
struct dsm_spin_arg {
	__s32 fd;
	__u32 flags;
};

#define DSM_IOC_TYPE		0xD5

#define DSM_IOC_API		_IOWR(DSM_IOC_TYPE, 0x10, struct dsm_api)
#define DSM_IOC_NODE		_IOR(DSM_IOC_TYPE, 0x11, struct dsm_node_info)
#define DSM_IOC_CREATE		_IOWR(DSM_IOC_TYPE, 0x12, struct dsm_region_arg)
#define DSM_IOC_OPEN		_IOWR(DSM_IOC_TYPE, 0x13, struct dsm_region_arg)
#define DSM_IOC_LIST		_IOWR(DSM_IOC_TYPE, 0x14, struct dsm_region_arg)
#define DSM_IOC_UNLINK		_IOW(DSM_IOC_TYPE, 0x15, struct dsm_name_arg)
#define DSM_IOC_PREFETCH	_IOW(DSM_IOC_TYPE, 0x16, struct dsm_range_arg)
#define DSM_IOC_SYNC		_IOWR(DSM_IOC_TYPE, 0x17, struct dsm_sync_arg)
#define DSM_IOC_WINDOW		_IOWR(DSM_IOC_TYPE, 0x18, struct dsm_window_arg)
#define DSM_IOC_DISCARD		_IOW(DSM_IOC_TYPE, 0x19, struct dsm_range_arg)
#define DSM_IOC_ATTACH		_IOWR(DSM_IOC_TYPE, 0x1a, struct dsm_attach_arg)
#define DSM_IOC_SPIN		_IOW(DSM_IOC_TYPE, 0x1b, struct dsm_spin_arg)

#endif /* _UAPI_LINUX_DSM_H */
