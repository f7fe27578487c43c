// SPDX-License-Identifier: MIT
/*
 * Regions: opening, mapping, closing.
 *
 * A region is at the same address everywhere, so a process maps it once, and
 * further openings share that. The mapping is of the descriptor with the most
 * rights so far; a first writer's replaces a reader's in one step.
 */
#include "region.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "error.h"
#include "local.h"
#include "node.h"
#include "process.h"

/* ---- the segments of this process, by address ------------------------- */

static pthread_rwlock_t segments_lock = PTHREAD_RWLOCK_INITIALIZER;
static struct dsm_segment **segments;	/* sorted by base */
static size_t segments_count;
static size_t segments_room;

/* Where @addr is, or would be inserted: after all that start at or below it. */
static size_t segments_search_locked(const char *addr)
{
	size_t lo = 0, hi = segments_count;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (segments[mid]->base <= addr)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static struct dsm_segment *segment_find_locked(const char *addr)
{
	size_t i = segments_search_locked(addr);

	if (!i || addr >= segments[i - 1]->base + segments[i - 1]->size)
		return NULL;
	return segments[i - 1];
}

/* With the table's lock: the calling thread finds @segment at once from now on. */
static void segment_note_locked(struct dsm_segment *segment)
{
	struct dsm_local *local = dsm_local_get();

	if (!local)
		return;
	local->found.segment = segment;
	local->found.base = segment ? segment->base : NULL;
	local->found.size = segment ? segment->size : 0;
	local->found.change = atomic_load(&dsm_segments_change);
}

/* A segment that another thread removes is not looked at, unless @addr is in it. */
struct dsm_segment *dsm_segment_find(const void *addr)
{
	unsigned int change = atomic_load_explicit(&dsm_segments_change, memory_order_acquire);
	const struct dsm_local *local = dsm_local;
	struct dsm_segment *segment;

	if (local && local->found.segment && local->found.change == change &&
	    (size_t)((const char *)addr - local->found.base) < local->found.size)
		return local->found.segment;
	dsm_process_check();
	pthread_rwlock_rdlock(&segments_lock);
	segment = segment_find_locked(addr);
	segment_note_locked(segment);
	pthread_rwlock_unlock(&segments_lock);
	return segment;
}

static int segment_insert_locked(struct dsm_segment *segment)
{
	size_t i = segments_search_locked(segment->base);

	if (segments_count == segments_room) {
		size_t room = segments_room ? 2 * segments_room : 8;
		struct dsm_segment **more;

		more = reallocarray(segments, room, sizeof(*segments));
		if (!more)
			return -1;
		segments = more;
		segments_room = room;
	}
	memmove(segments + i + 1, segments + i,
		(segments_count - i) * sizeof(*segments));
	segments[i] = segment;
	segments_count++;
	return 0;
}

static void segment_remove_locked(struct dsm_segment *segment)
{
	size_t i = segments_search_locked(segment->base);

	atomic_fetch_add(&dsm_segments_change, 1);
	memmove(segments + i - 1, segments + i,
		(segments_count - i) * sizeof(*segments));
	segments_count--;
}

/* A child must not inherit the lock from a thread it does not have. */
static void fork_prepare(void)
{
	pthread_rwlock_wrlock(&segments_lock);
}

static void fork_parent(void)
{
	pthread_rwlock_unlock(&segments_lock);
}

static void fork_child(void)
{
	pthread_rwlock_init(&segments_lock, NULL);
	dsm_words_new_thread();
	for (size_t i = 0; i < segments_count; i++) {
		pthread_mutex_init(&segments[i]->heap_lock, NULL);
		dsm_words_forked(&segments[i]->words);
	}
}

__attribute__((constructor))
static void fork_init(void)
{
	dsm_process_atfork(fork_prepare, fork_parent, fork_child);
}

/* ---- mapping ---------------------------------------------------------- */

/* The mapping that overlaps [base, base + size), for the error message. */
static int map_collision(const char *base, size_t size)
{
	char line[512], name[256], shown[300] = "something";
	FILE *maps = fopen("/proc/self/maps", "re");
	unsigned long start, end;

	while (maps && fgets(line, sizeof(line), maps)) {
		*name = '\0';
		if (sscanf(line, "%lx-%lx %*s %*s %*s %*s %255[^\n]", &start,
			   &end, name) < 2)
			continue;
		if (end > (unsigned long)base && start < (unsigned long)base + size) {
			snprintf(shown, sizeof(shown), "%lx-%lx %s", start, end,
				 *name ? name : "(anonymous)");
			break;
		}
	}
	if (maps)
		fclose(maps);
	return dsm_fail(EADDRINUSE, "the region's address %p-%p is taken by %s",
			base, base + size, shown);
}

static int segment_map(struct dsm_segment *segment, int fd, bool writable,
		       int fixed)
{
	int prot = PROT_READ | (writable ? PROT_WRITE : 0);
	void *at;

	at = mmap(segment->base, segment->size, prot, MAP_SHARED | fixed, fd, 0);
	if (at == segment->base)
		return 0;
	if (at != MAP_FAILED) {
		/* a kernel without MAP_FIXED_NOREPLACE takes it for a hint */
		munmap(at, segment->size);
		return map_collision(segment->base, segment->size);
	}
	if (errno == EEXIST)
		return map_collision(segment->base, segment->size);
	return dsm_fail(errno, "mapping the region at %p: %s", segment->base,
			strerrordesc_np(errno));
}

static struct dsm_segment *segment_make(const struct dsm_region_arg *arg)
{
	struct dsm_segment *segment = calloc(1, sizeof(*segment));

	if (!segment)
		return NULL;
	segment->base = (char *)(uintptr_t)arg->base;
	segment->size = arg->size;
	segment->block_size = arg->block_size;
	segment->id = arg->id;
	memcpy(segment->name, arg->name, sizeof(segment->name));
	segment->fd = -1;
	pthread_mutex_init(&segment->heap_lock, NULL);
	return segment;
}

static void segment_free(struct dsm_segment *segment)
{
	dsm_words_detach(&segment->words);
	if (segment->fd >= 0)
		close(segment->fd);
	pthread_mutex_destroy(&segment->heap_lock);
	free(segment);
}

/* A first opening. Takes @fd over if it succeeds. */
static struct dsm_segment *segment_add_locked(const struct dsm_region_arg *arg,
					      int fd, bool writable)
{
	struct dsm_segment *segment = segment_make(arg);
	int err;

	if (!segment)
		return NULL;
	if (segment_map(segment, fd, writable, MAP_FIXED_NOREPLACE))
		goto free;
	if (segment_insert_locked(segment))
		goto unmap;
	segment->fd = fd;
	return segment;
unmap:
	munmap(segment->base, segment->size);
free:
	err = errno;
	segment_free(segment);
	errno = err;
	return NULL;
}

/* A first opening for writing of what is mapped for reading. */
static int segment_upgrade_locked(struct dsm_segment *segment, int fd)
{
	if (segment_map(segment, fd, true, MAP_FIXED))
		return -1;
	/* a region that was open for reading has no mutex in use */
	atomic_fetch_add(&dsm_segments_change, 1);
	dsm_words_detach(&segment->words);
	/* the number stays: another thread may be in an ioctl on it */
	if (dup3(fd, segment->fd, O_CLOEXEC) < 0)
		return dsm_fail(errno, "%s", strerrordesc_np(errno));
	close(fd);
	/* a heap attached for reading lacks this node's arena */
	if (!segment->heap.arena)
		atomic_store(&segment->heap_ready, false);
	return 0;
}

/* The descriptor is the segment's now, or closed. */
static struct dsm_segment *segment_get(const struct dsm_region_arg *arg, int fd,
				       bool writable)
{
	struct dsm_segment *segment;
	int err;

	dsm_process_check();
	pthread_rwlock_wrlock(&segments_lock);
	segment = segment_find_locked((char *)(uintptr_t)arg->base);
	if (segment && segment->id != arg->id) {
		dsm_fail(EADDRINUSE, "region %u, open here, is at %p too",
			 segment->id, segment->base);
		goto fail;
	}
	if (!segment) {
		segment = segment_add_locked(arg, fd, writable);
		if (!segment)
			goto fail;
	} else if (writable && !segment->writers && segment_upgrade_locked(segment, fd)) {
		goto fail;
	} else if (!writable || segment->writers) {
		close(fd);
	}
	segment->refs++;
	segment->writers += writable;
	atomic_store(&segment->writable, segment->writers > 0);
	pthread_rwlock_unlock(&segments_lock);
	return segment;
fail:
	err = errno;
	pthread_rwlock_unlock(&segments_lock);
	close(fd);
	errno = err;
	return NULL;
}

/* No opening for writing is left; false: other threads use the heap. */
static bool heap_detach_locked(struct dsm_segment *segment)
{
	if (!atomic_load(&segment->heap_ready) || !segment->heap.arena)
		return true;
	if (!dsm_heap_detach(&segment->heap))
		return false;
	atomic_store(&segment->heap_ready, false);
	segment->heap.arena = NULL;
	return true;
}

static void segment_put(struct dsm_segment *segment, bool writable)
{
	bool last;

	dsm_process_check();
	pthread_rwlock_wrlock(&segments_lock);
	segment->writers -= writable;
	last = !--segment->refs;
	if (writable && !segment->writers) {
		atomic_store(&segment->writable, false);
		atomic_fetch_add(&dsm_segments_change, 1);
	}
	if (writable && !segment->writers && !heap_detach_locked(segment)) {
		/* stays as it is: other threads' locks are in it */
		last = false;
	} else if (last) {
		segment_remove_locked(segment);
		munmap(segment->base, segment->size);
	} else if (writable && !segment->writers) {
		mprotect(segment->base, segment->size, PROT_READ);
	}
	pthread_rwlock_unlock(&segments_lock);
	if (last)
		segment_free(segment);
}

/* ---- opening ---------------------------------------------------------- */

static int attr_check(const struct dsm_attr *attr)
{
	if (!attr)
		return 0;
	if (attr->consistency)
		return dsm_fail(EINVAL, "attr: consistency %d is not supported",
				attr->consistency);
	if (attr->replicas)
		return dsm_fail(EINVAL, "attr: replicas are not supported");
	if (attr->flags & ~DSM_ATTR_SHARED)
		return dsm_fail(EINVAL, "attr: flags 0x%llx: only DSM_ATTR_SHARED",
				(unsigned long long)attr->flags);
	for (size_t i = 0; i < sizeof(attr->reserved) / sizeof(attr->reserved[0]); i++)
		if (attr->reserved[i])
			return dsm_fail(EINVAL, "attr: reserved[%zu] is not 0", i);
	if (attr->block_size & (attr->block_size - 1) ||
	    (attr->block_size && attr->block_size < (size_t)sysconf(_SC_PAGESIZE)) ||
	    attr->block_size > DSM_BLOCK_SIZE_MAX)
		return dsm_fail(EINVAL, "attr: block_size %zu: must be a power of two from %ld to %u",
				attr->block_size, sysconf(_SC_PAGESIZE), DSM_BLOCK_SIZE_MAX);
	if (attr->home < DSM_HOME_DEFAULT || attr->home > DSM_HOME_CREATOR)
		return dsm_fail(EINVAL, "attr: no home policy %d", attr->home);
	if (attr->mode & ~0777U)
		return dsm_fail(EINVAL, "attr: mode 0%o has more than permissions",
				attr->mode);
	return 0;
}

static int name_copy(char to[DSM_NAME_MAX], const char *name)
{
	static const char allowed[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
	size_t len = name ? strnlen(name, DSM_NAME_MAX) : 0;

	if (!len || len >= DSM_NAME_MAX || *name == '.' ||
	    strspn(name, allowed) != len)
		return dsm_fail(EINVAL, "not a region's name: 1 to %d of [A-Za-z0-9._-], not starting with '.'",
				DSM_NAME_MAX - 1);
	memcpy(to, name, len + 1);
	return 0;
}

static int open_check(int oflag, size_t size, const struct dsm_attr *attr)
{
	int access = oflag & O_ACCMODE;

	if (oflag & ~(O_ACCMODE | O_CREAT | O_EXCL | O_CLOEXEC) ||
	    (access != O_RDONLY && access != O_RDWR))
		return dsm_fail(EINVAL, "oflag 0%o: O_RDONLY or O_RDWR, O_CREAT, O_EXCL, O_CLOEXEC",
				oflag);
	if (!(oflag & O_CREAT) && oflag & O_EXCL)
		return dsm_fail(EINVAL, "O_EXCL without O_CREAT");
	if (size > DSM_REGION_SIZE_MAX)
		return dsm_fail(EINVAL, "%zu bytes: at most %llu", size,
				DSM_REGION_SIZE_MAX);
	return attr_check(attr);
}

static int region_create(int fd, struct dsm_region_arg *arg, size_t size,
			 const struct dsm_attr *attr)
{
	arg->size = size;
	arg->block_size = attr ? attr->block_size : 0;
	arg->home = attr ? attr->home : DSM_HOME_DEFAULT;
	arg->mode = attr && attr->mode ? attr->mode : 0600;
	arg->flags = 0;
	if (!size)
		return dsm_fail(EINVAL, "making region %s: its size is 0",
				arg->name);
	if (!ioctl(fd, DSM_IOC_CREATE, arg))
		return 0;
	if (errno == EDQUOT)
		return dsm_fail(errno, "making region %s of %zu bytes: your regions "
				"would be more, or larger together, than node 0's "
				"user_regions_max or user_address_bytes_max; unlink "
				"some first", arg->name, size);
	return dsm_fail(errno, "making region %s of %zu bytes: %s",
			arg->name, size, strerrordesc_np(errno));
}

static int region_open(int fd, struct dsm_region_arg *arg, bool writable)
{
	char name[DSM_NAME_MAX];

	memcpy(name, arg->name, sizeof(name));
	memset(arg, 0, sizeof(*arg));
	memcpy(arg->name, name, sizeof(name));
	arg->flags = writable ? 0 : DSM_OPEN_RDONLY;
	if (!ioctl(fd, DSM_IOC_OPEN, arg))
		return 0;
	if (errno == EACCES)
		return dsm_fail(EACCES, "opening region %s: its owner and mode, which are in /sys/class/dsm/node/regions/%s, do not allow it",
				name, name);
	return dsm_fail(errno, "opening region %s: %s", name, strerrordesc_np(errno));
}

/* What was asked for of a region that exists. */
static int region_match(const struct dsm_region_arg *arg, size_t size,
			const struct dsm_attr *attr)
{
	uint32_t home = attr ? attr->home : DSM_HOME_DEFAULT;
	uint32_t has = arg->home ? arg->home : DSM_HOME_FIRST_TOUCH;

	if (size > arg->size)
		return dsm_fail(EINVAL, "region %s has %llu bytes, not %zu",
				arg->name, (unsigned long long)arg->size, size);
	if (attr && attr->block_size && attr->block_size != arg->block_size)
		return dsm_fail(EINVAL, "region %s has blocks of %u bytes, not %zu",
				arg->name, arg->block_size, attr->block_size);
	if (home && home != has)
		return dsm_fail(EINVAL, "region %s has home policy %u, not %u",
				arg->name, has, home);
	if (attr && attr->mode && attr->mode != arg->mode)
		return dsm_fail(EINVAL, "region %s has mode 0%o, not 0%o",
				arg->name, arg->mode, attr->mode);
	return 0;
}

/*
 * Whoever may write to a region can make what is in it into anything, and whoever owns
 * it made it first, perhaps in order that others use it. Only what the descriptor is
 * bound to is looked at, so it cannot be exchanged for another one after that.
 */
static int region_trust(const struct dsm_region_arg *arg, const struct dsm_attr *attr)
{
	uint32_t writers = arg->mode & 022 & ~(attr ? attr->mode : 0);

	if ((arg->uid == geteuid() || !arg->uid) && !writers)
		return 0;
	if (attr && attr->flags & DSM_ATTR_SHARED)
		return 0;
	return dsm_fail(EACCES, "region %s is of uid %u and mode %04o: not used, as another user can change what is in it; if that is wanted, open it without O_CREAT, with DSM_ATTR_SHARED, or with DSM_SHARED_HEAP=1 in the environment",
			arg->name, arg->uid, arg->mode);
}

/* A region that exists: is it as asked for, and may it be used? */
static int region_accept(const struct dsm_region_arg *arg, bool own, size_t size,
			 const struct dsm_attr *attr)
{
	if (own && region_trust(arg, attr))
		return -1;
	return region_match(arg, size, attr);
}

/* Opens, or makes, whichever it takes while others make and unlink. */
static int region_bind(int fd, struct dsm_region_arg *arg, int oflag, bool own,
		       size_t size, const struct dsm_attr *attr, bool *made)
{
	bool writable = (oflag & O_ACCMODE) == O_RDWR;

	for (int tries = 0; ; tries++) {
		if (!(oflag & O_EXCL)) {
			if (!region_open(fd, arg, writable))
				return region_accept(arg, own, size, attr);
			if (errno != ENOENT || !(oflag & O_CREAT) || tries == 100)
				return -1;
		}
		if (!region_create(fd, arg, size, attr)) {
			*made = true;
			return 0;
		}
		if (errno != EEXIST || oflag & O_EXCL)
			return -1;
	}
}

/* Bound to the region, with no more rights than asked for; or -1. @made: it was made. */
static int region_fd(struct dsm_region_arg *arg, int oflag, bool own, size_t size,
		     const struct dsm_attr *attr, bool *made)
{
	int fd = dsm_device_open();
	int err;

	if (fd < 0)
		return -1;
	if (region_bind(fd, arg, oflag, own, size, attr, made))
		goto fail;
	if (oflag & O_CREAT && (oflag & O_ACCMODE) == O_RDONLY) {
		/* its maker has it for writing: open what has the name now */
		int again = dsm_device_open();

		if (again < 0)
			goto fail;
		close(fd);
		fd = again;
		if (region_open(fd, arg, false) || region_accept(arg, own, size, attr))
			goto fail;
	}
	return fd;
fail:
	err = errno;
	close(fd);
	errno = err;
	return -1;
}

/* Of a region that was just made, and cannot be used: who tries again is to find none. */
static void name_remove(const struct dsm_region_arg *made)
{
	struct dsm_name_arg arg = { .reserved = 0 };
	int fd = dsm_device_open();

	memcpy(arg.name, made->name, sizeof(arg.name));
	if (fd < 0)
		return;
	/* What dsm_open() says is why the region cannot be used. */
	ioctl(fd, DSM_IOC_UNLINK, &arg);
	close(fd);
}

static dsm_region *open_region(const char *name, int oflag, bool own, size_t size,
			       const struct dsm_attr *attr)
{
	bool writable = (oflag & O_ACCMODE) == O_RDWR;
	struct dsm_region_arg arg = { .id = 0 };
	bool made = false;
	dsm_region *region;
	int fd, err;

	if (name_copy(arg.name, name) || open_check(oflag, size, attr))
		return NULL;
	region = malloc(sizeof(*region));
	if (!region)
		return NULL;
	fd = region_fd(&arg, oflag, own, size, attr, &made);
	if (fd < 0)
		goto free;
	region->writable = writable;
	region->segment = segment_get(&arg, fd, writable);
	if (!region->segment)
		goto free;
	return region;
free:
	err = errno;
	free(region);
	if (made)
		name_remove(&arg);
	errno = err;
	return NULL;
}

dsm_region *dsm_open(const char *name, int oflag, size_t size,
		     const struct dsm_attr *attr)
{
	return open_region(name, oflag, oflag & O_CREAT, size, attr);
}

dsm_region *dsm_region_open_own(const char *name, int oflag, size_t size,
				const struct dsm_attr *attr)
{
	return open_region(name, oflag, true, size, attr);
}

int dsm_close(dsm_region *region)
{
	if (!region)
		return dsm_fail(EINVAL, "no region");
	segment_put(region->segment, region->writable);
	free(region);
	return 0;
}

int dsm_unlink(const char *name)
{
	struct dsm_name_arg arg = { .reserved = 0 };
	int fd, err = 0;

	if (name_copy(arg.name, name))
		return -1;
	fd = dsm_device_open();
	if (fd < 0)
		return -1;
	if (ioctl(fd, DSM_IOC_UNLINK, &arg))
		err = errno;
	close(fd);
	if (err)
		return dsm_fail(err, "unlinking region %s: %s", name,
				strerrordesc_np(err));
	return 0;
}

void *dsm_base(const dsm_region *region)
{
	return region->segment->base;
}

size_t dsm_size(const dsm_region *region)
{
	return region->segment->size;
}

const char *dsm_name(const dsm_region *region)
{
	return region->segment->name;
}

/* ---- hints ------------------------------------------------------------ */

/* The segment a whole range is in. */
static struct dsm_segment *range_find(const void *addr, size_t len)
{
	struct dsm_segment *segment = dsm_segment_find(addr);

	if (!segment ||
	    len > segment->size - (size_t)((const char *)addr - segment->base)) {
		dsm_fail(ENOMEM, "%p: %zu bytes, not all of one region", addr,
			 len);
		return NULL;
	}
	return segment;
}

int dsm_prefetch(const void *addr, size_t len, int prot)
{
	struct dsm_segment *segment;
	struct dsm_range_arg arg = { .length = len };

	if (prot != PROT_READ && prot != (PROT_READ | PROT_WRITE))
		return dsm_fail(EINVAL, "prot must be PROT_READ or PROT_READ|PROT_WRITE");
	segment = range_find(addr, len);
	if (!segment)
		return -1;
	if (prot & PROT_WRITE && !atomic_load(&segment->writable))
		return dsm_fail(EACCES, "the region is open read-only");
	if (!len)
		return 0;
	arg.offset = (const char *)addr - segment->base;
	arg.flags = prot & PROT_WRITE ? DSM_PREFETCH_WRITE : 0;
	if (ioctl(segment->fd, DSM_IOC_PREFETCH, &arg))
		return dsm_fail(errno, "prefetch: %s", strerrordesc_np(errno));
	return 0;
}

int dsm_sync(const void *addr, size_t len)
{
	if (!range_find(addr, len))
		return -1;
	return dsm_fail(EOPNOTSUPP, "there are no replicas yet");
}
