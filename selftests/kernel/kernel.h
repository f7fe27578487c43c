/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A single-threaded user-space model of the kernel functions that module/{netlink,peer,msg}.c
 * use. The Makefile makes a one-line file, which includes this one, for every kernel header
 * that they include.
 *
 * Calls that may fail in the kernel fail here when the target says so. Taking a lock twice, or
 * releasing one that is not held, is a crash.
 */
#ifndef FUZZ_KERNEL_H
#define FUZZ_KERNEL_H

#include <endian.h>
#include <errno.h>
#include <limits.h>
#include <linux/types.h>

#include "base.h"
#include "fuzz.h"

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int64_t s64;
typedef unsigned int gfp_t;
typedef int64_t ktime_t;
typedef struct { s64 counter; } atomic64_t;
typedef struct { long counter; } atomic_long_t;
typedef struct { int counter; } atomic_t;
typedef atomic_t refcount_t;
typedef struct { unsigned int val; } kuid_t;
typedef struct { unsigned int val; } kgid_t;

#define U16_MAX			0xffff
#define U64_MAX			UINT64_MAX
#define GFP_KERNEL		1
#define GFP_ATOMIC		2
#define GFP_KERNEL_ACCOUNT	GFP_KERNEL
#define THIS_MODULE		NULL
#define __ro_after_init
#define __init
#define READ_ONCE(x)		(x)
#define WRITE_ONCE(x, value)	((x) = (value))
#define smp_load_acquire(ptr)	(*(ptr))

#define cpu_to_le16	htole16
#define cpu_to_le32	htole32
#define cpu_to_le64	htole64
#define le16_to_cpu	le16toh
#define le32_to_cpu	le32toh
#define le64_to_cpu	le64toh

/* Each call adds a second, so rate limits never take effect. */
static inline ktime_t ktime_get(void)
{
	static ktime_t now;

	return now += 1000;
}

static inline s64 ktime_ms_delta(ktime_t later, ktime_t earlier)
{
	return later - earlier;
}

static inline void cond_resched(void)
{
}

static inline void *ERR_PTR(long err)
{
	return (void *)err;
}

static inline long PTR_ERR(const void *ptr)
{
	return (long)ptr;
}

static inline bool IS_ERR(const void *ptr)
{
	return (unsigned long)ptr >= (unsigned long)-4095;
}

static inline int atomic_read(const atomic_t *v)
{
	return v->counter;
}

static inline int atomic_inc_return(atomic_t *v)
{
	return ++v->counter;
}

static inline void atomic_dec(atomic_t *v)
{
	v->counter--;
}

static inline void atomic64_add(s64 n, atomic64_t *v)
{
	v->counter += n;
}

static inline void atomic64_inc(atomic64_t *v)
{
	v->counter++;
}

/* Bitmaps of up to as many bits as the targets have nodes */

#define BITS_PER_LONG		(8 * (unsigned int)sizeof(long))
#define BITS_TO_LONGS(n)	(((n) + BITS_PER_LONG - 1) / BITS_PER_LONG)

static inline void set_bit(unsigned int bit, unsigned long *word)
{
	*word |= 1UL << bit;
}

static inline bool test_and_clear_bit(unsigned int bit, unsigned long *word)
{
	bool was = *word >> bit & 1;

	*word &= ~(1UL << bit);
	return was;
}

#define for_each_set_bit(bit, word, n)						\
	for ((bit) = 0; (bit) < (n); (bit)++)					\
		if (!(*(word) >> (bit) & 1)) {} else

/*
 * Locks
 */

struct lock {
	bool held;
};

typedef struct lock spinlock_t;
struct mutex { struct lock lock; };

extern unsigned int kernel_locks_held;

static inline void spin_lock_init(spinlock_t *lock)
{
	lock->held = false;
}

static inline void spin_lock(spinlock_t *lock)
{
	FUZZ_CHECK(!lock->held, "deadlock");
	lock->held = true;
	kernel_locks_held++;
}

static inline void spin_unlock(spinlock_t *lock)
{
	FUZZ_CHECK(lock->held, "unlocked twice");
	lock->held = false;
	kernel_locks_held--;
}

/* A mutex begins with its lock. */
#define lockdep_assert_held(l)	FUZZ_CHECK(((const struct lock *)(l))->held, "a lock is not held")
#define mutex_init(mutex)	spin_lock_init(&(mutex)->lock)
#define mutex_lock(mutex)	spin_lock(&(mutex)->lock)
#define mutex_unlock(mutex)	spin_unlock(&(mutex)->lock)

/*
 * Memory
 */

struct kmem_cache {
	size_t size;
};

extern unsigned int kernel_memory_fails;	/* which allocation from now fails; 0: none */

void *kernel_alloc(size_t size);
struct kmem_cache *kernel_cache_create(size_t size);
void kmem_cache_destroy(struct kmem_cache *cache);

#define KMEM_CACHE(type, flags)		kernel_cache_create(sizeof(struct type))
#define kmem_cache_zalloc(cache, gfp)	kernel_alloc((cache)->size)
#define kmem_cache_free(cache, ptr)	free(ptr)
#define kzalloc(size, gfp)		kernel_alloc(size)
#define kfree(ptr)			free(ptr)

/* Work runs when the target says so */

struct kthread_work {
	int nothing;
};

struct work_struct {
	void (*func)(struct work_struct *work);
};

struct delayed_work {
	struct work_struct work;
	bool pending;
};

#define to_delayed_work(ptr)		container_of(ptr, struct delayed_work, work)
#define INIT_DELAYED_WORK(dwork, function)					\
	(*(dwork) = (struct delayed_work){ .work.func = (function) })
#define schedule_delayed_work(dwork, delay)	((dwork)->pending = true)
#define mod_delayed_work(wq, dwork, delay)	((dwork)->pending = true)
#define cancel_delayed_work_sync(dwork)		((dwork)->pending = false)
#define msecs_to_jiffies(ms)			(ms)

/*
 * Tracepoints
 */

#define TP_PROTO(...)			__VA_ARGS__
#define TRACE_DEFINE_ENUM(value)	_Static_assert((value) >= 0, "")
#define TRACE_EVENT(name, proto, ...)						\
	static inline void trace_##name(proto) {}
#define DECLARE_EVENT_CLASS(name, proto, ...)					\
	_Static_assert(1, "")
#define DEFINE_EVENT(class, name, proto, ...)					\
	static inline void trace_##name(proto) {}

/* Members of the module's structs that no compiled file here uses */

struct hrtimer { char unused; };
struct xarray { char unused; };
struct rcu_head { char unused; };
struct kobject;
struct device;
struct file;

#include "kernel/genl.h"

#endif
