// SPDX-License-Identifier: GPL-2.0
/*
 * Doors: every way from a mapping of a region to the file behind it.
 *
 * A mapping's file is this node's frames. A process that could map, read, write or truncate
 * that file would bypass the protocol and the region's mode. So each test tries one system
 * call on a mapping's file. Then it shows that the region is intact: it is coherent, and a
 * reader has not written to it.
 */
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/io_uring.h>
#include <linux/userfaultfd.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>
#include <linux/dsm.h>

#include "genl.h"
#include "test.h"

enum {
	PAGE	= 4096,
	PAGES	= 16,
	SIZE	= PAGES * PAGE,
	HUGE	= 2 << 20,
	PIPE_PAGES = 256,
	REFERENCE_PIPES = 5,
};

/* Of a newer kernel than the C library's headers. */
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE	25
#endif
#ifndef UFFD_FEATURE_WP_ASYNC
#define UFFD_FEATURE_WP_ASYNC	(1 << 15)
#endif
#ifndef UFFD_USER_MODE_ONLY
#define UFFD_USER_MODE_ONLY	1
#endif

static void *page(const void *base, int index)
{
	return (char *)base + index * PAGE;
}

static void expect_child(pid_t pid)
{

	ASSERT_OK(pid);
	EXPECT_EQ(wait_status(pid), 0);
}

static int remap(void *at, size_t size, size_t page_offset)
{
	return syscall(SYS_remap_file_pages, at, size, 0, page_offset, 0);
}

/* The link in /proc/self/map_files of SIZE bytes at @base. */
static const char *map_file(const void *base)
{
	static char path[80];

	snprintf(path, sizeof(path), "/proc/self/map_files/%lx-%lx", (unsigned long)base,
		 (unsigned long)base + SIZE);
	return path;
}

/* A page number is in the first word of each page, written by node 0. */
static char *share_numbered(dsm_region **region)
{
	char *base;

	*region = share_region(SIZE, DSM_HOME_FIRST_TOUCH, 0);
	base = dsm_base(*region);
	if (!node()) {
		for (int i = 0; i < PAGES; i++)
			*word(page(base, i), 0) = 1000 + i;
	}
	together("numbered");
	EXPECT_EQ(*word(base, 0), 1000);
	together("read");
	return base;
}

/* The mapping has the contents that node 0 wrote, and each node sees what another writes next. */
static void finish(dsm_region *region)
{
	char *base = dsm_base(region);

	together("tried");
	for (int i = 0; i < PAGES; i++)
		EXPECT_EQ(*word(page(base, i), 0), 1000 + i);
	together("unchanged");
	for (int writer = 0; writer < nodes(); writer++) {
		if (node() == writer)
			*word(base, 1) = 2000 + writer;
		together("written-by-%d", writer);
		EXPECT_EQ(*word(base, 1), 2000 + writer);
		together("seen-of-%d", writer);
	}
	unshare_region(region);
}

/* A mapping of a process that has opened the region for reading. */
static char *map_readonly(int *fd)
{
	char *at;

	*fd = open_bound(DSM_OPEN_RDONLY);
	at = mmap(NULL, SIZE, PROT_READ, MAP_SHARED, *fd, 0);
	ASSERT_NE(at, MAP_FAILED);
	return at;
}

TEST(file_pages_remapped)
{
	dsm_region *region;
	char *base = share_numbered(&region);

	EXPECT_ERRNO(remap(base, SIZE, 0), EACCES);
	EXPECT_ERRNO(remap(page(base, 5), PAGE, 0), EACCES);
	finish(region);
}

/* The results of each call on a mapping that may only be read. */
static void expect_readonly(char *at)
{
	char *other = mmap(NULL, SIZE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	ASSERT_NE(other, MAP_FAILED);
	EXPECT_ERRNO(mprotect(at, SIZE, PROT_READ | PROT_WRITE), EACCES);
	EXPECT_ERRNO(remap(at, SIZE, 0), EACCES);
	EXPECT_ERRNO(mprotect(at, SIZE, PROT_READ | PROT_WRITE), EACCES);
	EXPECT_ERRNO(madvise(at, PAGE, MADV_REMOVE), EACCES);
	EXPECT_ERRNO(madvise(at, PAGE, MADV_FREE), EINVAL);
	EXPECT_ERRNO(madvise(at, PAGE, MADV_POPULATE_WRITE), EINVAL);
	EXPECT_EQ(mremap(at, 0, SIZE, MREMAP_MAYMOVE | MREMAP_FIXED, other), MAP_FAILED);
	EXPECT_EQ(access_signal(at, true), SIGSEGV);
	EXPECT_OK(msync(at, SIZE, MS_SYNC));
	EXPECT_OK(madvise(at, SIZE, MADV_DONTNEED));
	EXPECT_EQ(*word(at, 0), 1000);
}

TEST(a_reader_stays_one)
{
	dsm_region *region;
	char *at, byte = 1;
	int fd, mem;

	share_numbered(&region);
	at = map_readonly(&fd);
	expect_readonly(at);
	EXPECT_ERRNO(mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0), EACCES);
	EXPECT_ERRNO(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, fd, 0), EINVAL);

	/* A debugger may write to read-only mappings of other files, but not to these. */
	mem = open("/proc/self/mem", O_RDWR | O_CLOEXEC);
	ASSERT_OK(mem);
	EXPECT_ERRNO(pwrite(mem, &byte, 1, (uintptr_t)at), EIO);
	EXPECT_EQ(pread(mem, &byte, 1, (uintptr_t)at), 1);
	close(mem);
	/* The same without the descriptor. */
	close(fd);
	expect_readonly(at);
	ASSERT_OK(munmap(at, SIZE));

	/*
	 * A process that opens the device for reading can map a writable region only for reading.
	 */
	fd = open("/dev/dsm", O_RDONLY | O_CLOEXEC);
	ASSERT_OK(fd);
	struct dsm_api api = { .version = DSM_API_VERSION };
	struct dsm_region_arg arg = {};

	ASSERT_OK(ioctl(fd, DSM_IOC_API, &api));
	snprintf(arg.name, sizeof(arg.name), "%s", region_name());
	ASSERT_OK(ioctl(fd, DSM_IOC_OPEN, &arg));
	at = mmap(NULL, SIZE, PROT_READ, MAP_SHARED, fd, 0);
	ASSERT_NE(at, MAP_FAILED);
	EXPECT_ERRNO(mprotect(at, SIZE, PROT_READ | PROT_WRITE), EACCES);
	EXPECT_ERRNO(remap(at, SIZE, 0), EINVAL);
	EXPECT_EQ(*word(at, 0), 1000);
	ASSERT_OK(munmap(at, SIZE));
	close(fd);
	finish(region);
}

static void expect_no_map_file(const char *path)
{
	char again[40];
	struct stat status;
	int fd;

	EXPECT_ERRNO(open(path, O_RDONLY | O_CLOEXEC), ENXIO);
	EXPECT_ERRNO(open(path, O_RDWR | O_CLOEXEC), ENXIO);
	EXPECT_ERRNO(open(path, O_RDWR | O_TRUNC | O_CLOEXEC), ENXIO);
	EXPECT_ERRNO(truncate(path, 0), EPERM);
	EXPECT_ERRNO(truncate(path, SIZE + PAGE), EPERM);
	EXPECT_ERRNO(execl(path, path, NULL), ENXIO);
	/* A descriptor that only names the place (O_PATH) is allowed: it permits no access. */
	fd = open(path, O_PATH | O_CLOEXEC);
	ASSERT_OK(fd);
	snprintf(again, sizeof(again), "/proc/self/fd/%d", fd);
	EXPECT_ERRNO(open(again, O_RDWR | O_CLOEXEC), ENXIO);
	EXPECT_ERRNO(truncate(again, 0), EPERM);
	EXPECT_ERRNO(ftruncate(fd, 0), EBADF);
	EXPECT_ERRNO(fallocate(fd, 0, 0, PAGE), EBADF);
	EXPECT_ERRNO(mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 0), EBADF);
	EXPECT_OK(fstat(fd, &status));
	EXPECT_EQ(status.st_size, SIZE);
	close(fd);
}

/* As CRIU does for shared memory. */
TEST(map_files)
{
	dsm_region *region;
	char *base = share_numbered(&region), *at;
	pid_t pid;
	int fd;

	expect_no_map_file(map_file(base));
	at = map_readonly(&fd);
	close(fd);
	expect_no_map_file(map_file(at));
	pid = fork();
	if (!pid) {
		become_user(0);
		EXPECT_ERRNO(open(map_file(base), O_RDWR | O_CLOEXEC), EPERM);
		EXPECT_ERRNO(truncate(map_file(at), 0), EPERM);
		_exit(0);
	}
	expect_child(pid);
	ASSERT_OK(munmap(at, SIZE));
	finish(region);
}

TEST(moved_or_copied)
{
	char *other = mmap(NULL, 2 * SIZE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	const int fixed = MREMAP_MAYMOVE | MREMAP_FIXED;
	dsm_region *region;
	char *base = share_numbered(&region);

	ASSERT_NE(other, MAP_FAILED);
	EXPECT_ERRNO(mremap(base, SIZE, SIZE, fixed, other), EINVAL);
	EXPECT_ERRNO(mremap(base, SIZE, SIZE, fixed | MREMAP_DONTUNMAP, other), EINVAL);
	EXPECT_ERRNO(mremap(base, SIZE, SIZE, MREMAP_MAYMOVE | MREMAP_DONTUNMAP), EINVAL);
	EXPECT_ERRNO(mremap(base, SIZE, 2 * SIZE, MREMAP_MAYMOVE), EFAULT);
	EXPECT_ERRNO(mremap(base, SIZE, 2 * SIZE, fixed, other), EFAULT);
	/* An old size of 0 requests a second mapping. */
	EXPECT_EQ(mremap(base, 0, SIZE, fixed, other), MAP_FAILED);
	EXPECT_EQ(mremap(base, 0, SIZE, MREMAP_MAYMOVE), MAP_FAILED);
	ASSERT_OK(munmap(other, 2 * SIZE));
	finish(region);
}

/* The descriptor, or -1 where the kernel has none with these features. */
static int uffd_open(uint64_t features)
{
	struct uffdio_api api = { .api = UFFD_API, .features = features };
	int fd = syscall(SYS_userfaultfd, O_CLOEXEC | UFFD_USER_MODE_ONLY);

	if (fd < 0)
		return -1;
	if (ioctl(fd, UFFDIO_API, &api)) {
		close(fd);
		return -1;
	}
	return fd;
}

static int uffd_register(int fd, void *at, uint64_t mode)
{
	struct uffdio_register arg = {
		.range = { .start = (uintptr_t)at, .len = SIZE },
		.mode = mode,
	};

	return ioctl(fd, UFFDIO_REGISTER, &arg);
}

TEST(userfaultfd_that_fills)
{
	static const uint64_t modes[] = {
		UFFDIO_REGISTER_MODE_MISSING, UFFDIO_REGISTER_MODE_WP, UFFDIO_REGISTER_MODE_MINOR,
	};
	dsm_region *region;
	char *base = share_numbered(&region), *at;
	int fd, uffd = uffd_open(0);

	if (uffd < 0)
		note("this kernel has no userfaultfd");
	at = map_readonly(&fd);
	for (int i = 0; uffd >= 0 && i < 3; i++) {
		EXPECT_ERRNO(uffd_register(uffd, base, modes[i]), EINVAL);
		EXPECT_EQ(uffd_register(uffd, at, modes[i]), -1);
	}
	close(uffd);
	ASSERT_OK(munmap(at, SIZE));
	close(fd);
	finish(region);
}

static int uffd_protect(int fd, void *at, bool protect)
{
	struct uffdio_writeprotect arg = {
		.range = { .start = (uintptr_t)at, .len = SIZE },
		.mode = protect ? UFFDIO_WRITEPROTECT_MODE_WP : 0,
	};

	return ioctl(fd, UFFDIO_WRITEPROTECT, &arg);
}

/*
 * Since Linux 6.7 a process may have any mapping write-protected to see what it writes.
 * Undoing that must not make a page writable.
 */
TEST(userfaultfd_that_only_watches)
{
	dsm_region *region;
	char *base = share_numbered(&region);
	int uffd = uffd_open(UFFD_FEATURE_WP_ASYNC);

	if (uffd < 0 || uffd_register(uffd, base, UFFDIO_REGISTER_MODE_WP)) {
		note("this kernel, or this kind of mapping, does not have it");
		close(uffd);
		uffd = -1;
	}
	for (int round = 0; round < 4; round++) {
		int writer = round % nodes();

		if (node() == writer)
			*word(base, 2) = round;
		if (uffd >= 0)
			EXPECT_OK(uffd_protect(uffd, base, true));
		together("written-%d", round);
		EXPECT_EQ(*word(base, 2), round);
		together("read-%d", round);
		if (uffd >= 0)
			EXPECT_OK(uffd_protect(uffd, base, false));
		together("watched-%d", round);
	}
	close(uffd);
	finish(region);
}

static long advise(pid_t pid, void *at, size_t size, int advice)
{
	struct iovec range = { at, size };
	long ret;
	int fd = syscall(SYS_pidfd_open, pid, 0);

	ASSERT_OK(fd);
	ret = syscall(SYS_process_madvise, fd, &range, 1, advice, 0);
	close(fd);
	return ret;
}

/* Advice to write out or deactivate a page leaves the page as it is. */
TEST(advised_by_another)
{
	dsm_region *region;
	char *base = share_numbered(&region);
	pid_t pid = fork();

	if (!pid) {
		pause();
		_exit(0);
	}
	ASSERT_OK(pid);
	EXPECT_EQ(advise(pid, base, SIZE, MADV_COLD), SIZE);
	EXPECT_EQ(advise(pid, base, SIZE, MADV_PAGEOUT), SIZE);
	EXPECT_EQ(advise(pid, base, SIZE, MADV_WILLNEED), SIZE);
	EXPECT_EQ(advise(pid, base, SIZE, MADV_COLLAPSE), -1);
	EXPECT_EQ(advise(pid, base, SIZE, MADV_REMOVE), -1);
	kill(pid, SIGKILL);
	ASSERT_EQ(waitpid(pid, NULL, 0), pid);
	finish(region);
}

/* The kB after @field in this process's smaps of the mapping at @base. */
static long smaps(const void *base, const char *field)
{
	char line[300], start[40];
	FILE *f = fopen("/proc/self/smaps", "r");
	bool found = false;
	long value = -1;

	ASSERT_TRUE(f);
	snprintf(start, sizeof(start), "%lx-", (unsigned long)base);
	while (value < 0 && fgets(line, sizeof(line), f)) {
		if (!strncmp(line, start, strlen(start)))
			found = true;
		else if (found && !strncmp(line, field, strlen(field)))
			value = atol(line + strlen(field) + 1);
	}
	fclose(f);
	return value;
}

/* A huge page would belong to many blocks at once. No process gets one, whatever it asks for. */
TEST(huge_pages)
{
	dsm_region *region = share_region(2 * HUGE, DSM_HOME_INTERLEAVED, 0);
	char *base = dsm_base(region);
	char *huge = (char *)(((uintptr_t)base + HUGE - 1) & ~(uintptr_t)(HUGE - 1));

	for (int i = node(); i < HUGE / PAGE; i += nodes())
		*word(page(huge, i), 0) = i;
	together("written");
	for (int i = 0; i < HUGE / PAGE; i++)
		ASSERT_EQ(*word(page(huge, i), 0), i);
	together("read");
	EXPECT_EQ(madvise(huge, HUGE, MADV_COLLAPSE), -1);
	/* The kernel may accept this advice, but must not follow it. */
	madvise(huge, HUGE, MADV_HUGEPAGE);
	EXPECT_EQ(madvise(huge, HUGE, MADV_COLLAPSE), -1);
	EXPECT_EQ(smaps(base, "ShmemPmdMapped"), 0);
	together("advised");
	for (int i = node(); i < HUGE / PAGE; i += nodes())
		*word(page(huge, i), 0) = 2 * i;
	together("written-again");
	for (int i = 0; i < HUGE / PAGE; i++)
		ASSERT_EQ(*word(page(huge, i), 0), 2 * i);
	together("read-again");
	unshare_region(region);
}

/* A process that may write can discard through any of its mappings: on all nodes, or not at all. */
TEST(discarding)
{
	dsm_region *region;
	char *base = share_numbered(&region), *at;
	int fd;

	at = map_readonly(&fd);
	if (node() == nodes() - 1) {
		EXPECT_ERRNO(madvise(at, PAGE, MADV_REMOVE), EACCES);
		EXPECT_OK(madvise(page(base, 3), PAGE, MADV_REMOVE));
		/* Opened for writing, and mapped for reading: the descriptor's rights count. */
		EXPECT_OK(mprotect(page(base, 4), PAGE, PROT_READ));
		if (madvise(page(base, 4), PAGE, MADV_REMOVE))
			EXPECT_EQ(errno, EACCES);
		EXPECT_OK(mprotect(page(base, 4), PAGE, PROT_READ | PROT_WRITE));
		*word(page(base, 4), 0) = 1004;
	}
	together("discarded");
	EXPECT_EQ(*word(page(base, 3), 0), 0);
	together("zeroes");
	if (!node())
		*word(page(base, 3), 0) = 1003;
	ASSERT_OK(munmap(at, SIZE));
	close(fd);
	finish(region);
}

/* ---- long-term pins ----------------------------------------------------- */

static bool kernel_before(int major, int minor)
{
	struct utsname name;
	int is_major, is_minor;

	ASSERT_OK(uname(&name));
	ASSERT_EQ(sscanf(name.release, "%d.%d", &is_major, &is_minor), 2);
	return is_major < major || (is_major == major && is_minor < minor);
}

static int ring_open(void)
{
	struct io_uring_params params = {};
	int fd = syscall(SYS_io_uring_setup, 4, &params);

	ASSERT_OK(fd);
	return fd;
}

/* Pins the page until the ring is closed. */
static int ring_register(int fd, void *at)
{
	struct iovec buffer = { at, PAGE };

	return syscall(SYS_io_uring_register, fd, IORING_REGISTER_BUFFERS, &buffer, 1);
}

/*
 * Before Linux 6.5 io_uring refuses every file's pages but shmem's. Since then
 * the kernel decides: it takes pages that are mapped for writing already.
 */
static bool pins_mapped_pages(void)
{
	return !kernel_before(6, 5);
}

/*
 * Try to register a page that this node does not have, then one that it has just written,
 * which is mapped for writing. Returns the ring that pins the page, on kernels that allow
 * that.
 */
static int pin_page(char *base)
{
	int error = pins_mapped_pages() ? EFAULT : EOPNOTSUPP;
	int ring = ring_open();

	EXPECT_ERRNO(ring_register(ring, page(base, 1)), error);
	*word(page(base, 5), 1) = 7;
	if (pins_mapped_pages())
		/* As dsm(7) says: another node may have taken the page, so try again. */
		EXPECT_TRUE(WAIT_FOR(!madvise(page(base, 5), PAGE, MADV_POPULATE_WRITE) &&
				     !ring_register(ring, page(base, 5)), 20));
	else
		EXPECT_ERRNO(ring_register(ring, page(base, 5)), error);
	return ring;
}

/*
 * An io_uring buffer is pinned as long as the ring exists. Another node that wants the page
 * waits, gets SIGBUS, and gets the page when the ring is gone. Neighbouring pages are not
 * affected.
 */
TEST(pinned_for_long)
{
	dsm_region *region;
	char *base = share_numbered(&region);
	long long timeout = node_get("timeout_ms");
	int signal = pins_mapped_pages() ? SIGBUS : 0, ring = -1;

	/* Node 1 has page 1, for writing: no other node has it mapped. */
	if (node() == 1)
		*word(page(base, 1), 0) = 1001;
	together("placed");
	if (!node())
		ring = pin_page(base);
	together("registered");
	if (node() == 1) {
		ASSERT_EQ(node_set("timeout_ms", 2000), 0);
		EXPECT_EQ(access_signal(page(base, 5), true), signal);
		ASSERT_EQ(node_set("timeout_ms", timeout), 0);
		EXPECT_EQ(access_signal(page(base, 4), true), 0);
		EXPECT_EQ(access_signal(page(base, 6), true), 0);
	}
	together("waited");
	if (!node()) {
		/* Since another node has asked for the page, this node waits for it, too. */
		ASSERT_EQ(node_set("timeout_ms", 2000), 0);
		EXPECT_EQ(access_signal(page(base, 5), true), signal);
		ASSERT_EQ(node_set("timeout_ms", timeout), 0);
		close(ring);
	}
	together("closed");
	if (node() == 1) {
		/* The kernel unpins the buffers of a closed ring a little later. */
		EXPECT_TRUE(WAIT_FOR(!access_signal(page(base, 5), true), 20));
		EXPECT_EQ(*word(page(base, 5), 1), 7);
		*word(page(base, 5), 1) = 8;
	}
	together("written-later");
	EXPECT_EQ(*word(page(base, 5), 1), 8);
	finish(region);
}

/* A reader takes so many references to a page that they look like a pin. */
static void pipe_references(int fds[REFERENCE_PIPES][2], void *at)
{
	struct iovec parts[PIPE_PAGES];

	for (int i = 0; i < PIPE_PAGES; i++)
		parts[i] = (struct iovec){ at, PAGE };
	for (int i = 0; i < REFERENCE_PIPES; i++) {
		ASSERT_OK(pipe2(fds[i], O_CLOEXEC));
		ASSERT_EQ(fcntl(fds[i][1], F_SETPIPE_SZ, PIPE_PAGES * PAGE), PIPE_PAGES * PAGE);
		ASSERT_EQ(vmsplice(fds[i][1], parts, PIPE_PAGES, 0), PIPE_PAGES * PAGE);
	}
}

/* A reader can make writers wait for that block only, and only while it holds the references. */
TEST(referenced_by_a_reader)
{
	dsm_region *region;
	char *base = share_numbered(&region), *at;
	long long timeout = node_get("timeout_ms");
	int fd, pipes[REFERENCE_PIPES][2], last = nodes() - 1;

	at = map_readonly(&fd);
	EXPECT_EQ(*word(page(at, 6), 0), 1006);
	together("mapped");
	if (node() == last)
		pipe_references(pipes, page(at, 6));
	together("referenced");
	if (!node()) {
		ASSERT_EQ(node_set("timeout_ms", 2000), 0);
		EXPECT_EQ(access_signal(page(base, 6), true), SIGBUS);
		ASSERT_EQ(node_set("timeout_ms", timeout), 0);
		EXPECT_EQ(access_signal(page(base, 7), true), 0);
	}
	together("waited");
	for (int i = 0; node() == last && i < REFERENCE_PIPES; i++) {
		close(pipes[i][0]);
		close(pipes[i][1]);
	}
	together("closed");
	if (!node())
		EXPECT_TRUE(WAIT_FOR(!access_signal(page(base, 6), true), 20));
	ASSERT_OK(munmap(at, SIZE));
	close(fd);
	finish(region);
}

/* ---- the helper's window ------------------------------------------------- */

static uint32_t region_id(void)
{
	char file[100];

	snprintf(file, sizeof(file), "regions/%s/id", region_name());
	return node_get(file);
}

static int open_window(int fd)
{
	struct dsm_window_arg arg = { .id = region_id() };

	return ioctl(fd, DSM_IOC_WINDOW, &arg);
}

static void *map_window(int fd)
{
	return mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
}

/* A process that has everything that the helper has, and is not the helper. */
static void be_another(int window, int unbound, const char *at)
{
	struct dsm_spin_arg spin = { .fd = window };
	unsigned char resident;

	EXPECT_EQ(map_window(window), MAP_FAILED);
	EXPECT_EQ(errno, EPERM);
	EXPECT_ERRNO(open_window(unbound), EPERM);
	EXPECT_ERRNO(ioctl(unbound, DSM_IOC_SPIN, &spin), EPERM);
	/* fork(2) does not keep the mapping either. */
	EXPECT_ERRNO(mincore((void *)at, PAGE, &resident), ENOMEM);
}

/* The descriptor supports only mmap(2), and the mapping's file supports nothing. */
static void try_window(int fd, char *at)
{
	char buffer[8];

	EXPECT_ERRNO(open_window(fd), EBUSY);
	EXPECT_ERRNO(read(fd, buffer, sizeof(buffer)), EINVAL);
	EXPECT_ERRNO(write(fd, buffer, sizeof(buffer)), EINVAL);
	EXPECT_ERRNO(ftruncate(fd, 0), EINVAL);
	EXPECT_ERRNO(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, PAGE), ENODEV);
	EXPECT_ERRNO(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, fd, 0), EINVAL);
	EXPECT_ERRNO(remap(at, SIZE, 0), EACCES);
	EXPECT_ERRNO(madvise(at, PAGE, MADV_REMOVE), EBADF);
	EXPECT_EQ(madvise(at, SIZE, MADV_COLLAPSE), -1);
	expect_no_map_file(map_file(at));
}

/*
 * A window shows a region's frames regardless of the region's mode. Only the registered helper
 * may have one.
 */
TEST(window_is_the_helpers)
{
	dsm_region *region;
	int fd = open_device(), unbound = open_device(), helper, after;
	char *at;

	share_numbered(&region);
	/* Root, but not the helper. */
	EXPECT_ERRNO(open_window(fd), EPERM);
	together("refused");
	helper = genl_replace_helper();
	ASSERT_OK(open_window(fd));
	at = map_window(fd);
	ASSERT_NE(at, MAP_FAILED);
	EXPECT_EQ(*word(at, 0), 1000);
	try_window(fd, at);
	pid_t pid = fork();

	if (!pid) {
		be_another(fd, unbound, at);
		_exit(0);
	}
	expect_child(pid);
	/*
	 * The helper is the process with the registered socket. Without the socket, this process
	 * is not the helper.
	 */
	close(helper);
	ASSERT_TRUE(WAIT_FOR(map_window(fd) == MAP_FAILED, 20));
	EXPECT_EQ(errno, EPERM);
	after = open_device();
	EXPECT_ERRNO(open_window(after), EPERM);
	close(after);
	ASSERT_OK(munmap(at, SIZE));
	close(fd);
	close(unbound);
	genl_restore_helper(-1);
	finish(region);
}
