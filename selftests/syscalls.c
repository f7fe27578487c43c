// SPDX-License-Identifier: GPL-2.0
/*
 * The kernel's own accesses to shared memory: system calls get pointers to pages that are on
 * another node, or that another node takes meanwhile.
 *
 * In each test, node 0 writes the pages, and the last node makes the calls.
 */
#include <fcntl.h>
#include <linux/futex.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "test.h"

enum {
	PAGE	= 4096,
	PAGES	= 32,
	SIZE	= PAGES * PAGE,
	WORDS	= SIZE / 8,
};

static uint64_t value_of(size_t i)
{
	return random_hash(i, 4711);
}

static void fill(char *at)
{
	for (size_t i = 0; i < WORDS; i++)
		*word(at, i) = value_of(i);
}

static void expect_filled(const char *at)
{
	for (size_t i = 0; i < WORDS; i++)
		ASSERT_EQ(*word(at, i), value_of(i));
}

static bool caller(void)
{
	return node() == nodes() - 1;
}

/* SIZE bytes filled by node 0, and SIZE bytes to which node 0 has written zeroes. */
static dsm_region *share_filled(void)
{
	dsm_region *region;
	char *base;

	if (nodes() < 2)
		skip("needs two nodes");
	region = share_region(2 * SIZE, DSM_HOME_FIRST_TOUCH, 0);
	base = dsm_base(region);
	if (!node()) {
		fill(base);
		memset(base + SIZE, 0, SIZE);
	}
	together("filled");
	return region;
}

/* All nodes see what the call has written into the second half. */
static void finish(dsm_region *region)
{
	together("called");
	expect_filled((char *)dsm_base(region) + SIZE);
	expect_filled(dsm_base(region));
	unshare_region(region);
}

static int temporary_file(void)
{
	char name[] = "/tmp/syscalls.XXXXXX";
	int fd = mkstemp(name);

	ASSERT_OK(fd);
	ASSERT_OK(unlink(name));
	return fd;
}

TEST(write_and_read)
{
	dsm_region *region = share_filled();
	char *base = dsm_base(region);

	if (caller()) {
		int fd = temporary_file();

		ASSERT_EQ(write(fd, base, SIZE), SIZE);
		ASSERT_EQ(pread(fd, base + SIZE, SIZE, 0), SIZE);
		close(fd);
	}
	finish(region);
}

TEST(readv_and_writev)
{
	dsm_region *region = share_filled();
	char *base = dsm_base(region);

	if (caller()) {
		struct iovec from[PAGES], to[PAGES];
		int fd = temporary_file();

		/* Pieces that cross page boundaries, the last piece first. */
		for (int i = 0; i < PAGES; i++) {
			size_t start = i ? i * PAGE - 100 : 0;
			size_t end = i < PAGES - 1 ? (i + 1) * PAGE - 100 : SIZE;

			from[PAGES - 1 - i] = (struct iovec){ base + start, end - start };
			to[PAGES - 1 - i] = (struct iovec){ base + SIZE + start, end - start };
		}
		ASSERT_EQ(writev(fd, from, PAGES), SIZE);
		ASSERT_EQ(preadv(fd, to, PAGES, 0), SIZE);
		close(fd);
	}
	finish(region);
}

struct transfer {
	int fd;
	char *at;
};

static void *send_all(void *arg)
{
	struct transfer *transfer = arg;
	ssize_t n;

	for (size_t done = 0; done < SIZE; done += n) {
		n = send(transfer->fd, transfer->at + done, SIZE - done, 0);
		if (n <= 0)
			return arg;
	}
	return NULL;
}

static void send_and_receive(char *base, int from, int to)
{
	struct transfer transfer = { from, base };
	pthread_t sender;
	void *failed;
	ssize_t n;

	ASSERT_EQ(pthread_create(&sender, NULL, send_all, &transfer), 0);
	for (size_t done = 0; done < SIZE; done += n) {
		n = recv(to, base + SIZE + done, SIZE - done, 0);
		ASSERT_GT(n, 0);
	}
	ASSERT_EQ(pthread_join(sender, &failed), 0);
	ASSERT_EQ(failed, NULL);
	close(from);
	close(to);
}

TEST(unix_socket)
{
	dsm_region *region = share_filled();
	int fds[2];

	if (caller()) {
		ASSERT_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, fds));
		send_and_receive(dsm_base(region), fds[0], fds[1]);
	}
	finish(region);
}

TEST(tcp_socket)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t length = sizeof(address);
	dsm_region *region = share_filled();

	if (caller()) {
		int listener = socket(AF_INET, SOCK_STREAM, 0);
		int from = socket(AF_INET, SOCK_STREAM, 0);
		int to;

		ASSERT_OK(bind(listener, (struct sockaddr *)&address, sizeof(address)));
		ASSERT_OK(listen(listener, 1));
		ASSERT_OK(getsockname(listener, (struct sockaddr *)&address, &length));
		ASSERT_OK(connect(from, (struct sockaddr *)&address, length));
		to = accept(listener, NULL, NULL);
		ASSERT_OK(to);
		close(listener);
		send_and_receive(dsm_base(region), from, to);
	}
	finish(region);
}

TEST(pipe_and_vmsplice)
{
	dsm_region *region = share_filled();
	char *base = dsm_base(region);

	if (caller()) {
		int fds[2];

		ASSERT_OK(pipe(fds));
		for (int i = 0; i < PAGES; i++) {
			struct iovec from = { base + i * PAGE, PAGE };

			ASSERT_EQ(vmsplice(fds[1], &from, 1, 0), PAGE);
			ASSERT_EQ(read(fds[0], base + SIZE + i * PAGE, PAGE), PAGE);
		}
	}
	finish(region);
}

TEST(process_vm)
{
	dsm_region *region = share_filled();
	char *base = dsm_base(region);

	if (caller()) {
		char *private = malloc(SIZE);
		struct iovec local = { private, SIZE };
		struct iovec half[2] = { { base, SIZE }, { base + SIZE, SIZE } };
		pid_t pid = fork();

		ASSERT_OK(pid);
		if (!pid) {
			for (;;)
				pause();
		}
		/* The child has never touched any of the pages. */
		ASSERT_EQ(process_vm_readv(pid, &local, 1, &half[0], 1, 0), SIZE);
		expect_filled(private);
		ASSERT_EQ(process_vm_writev(pid, &local, 1, &half[1], 1, 0), SIZE);
		ASSERT_OK(kill(pid, SIGKILL));
		ASSERT_EQ(waitpid(pid, NULL, 0), pid);
		free(private);
	}
	finish(region);
}

/* Small results that the kernel writes, such as those of stat(2). */
TEST(structures)
{
	dsm_region *region = share_filled();
	char *base = dsm_base(region);
	struct stat private;

	if (caller()) {
		/* Across a page boundary. */
		struct stat *shared = (struct stat *)(base + SIZE + PAGE - 64);
		char *path = base + SIZE + 3 * PAGE - 3;

		strcpy(path, "/dev/dsm");
		ASSERT_OK(stat("/dev/dsm", &private));
		ASSERT_OK(stat(path, shared));
		EXPECT_EQ(shared->st_rdev, private.st_rdev);
		EXPECT_EQ(shared->st_ino, private.st_ino);
		memcpy(base + SIZE, base, SIZE);
	}
	finish(region);
}

static int open_direct(const char *device)
{
	int fd = open(device, O_RDWR | O_DIRECT | O_CLOEXEC);

	ASSERT_OK(fd);
	return fd;
}

TEST(direct_io)
{
	dsm_region *region;
	char *base;

	/* On all nodes, which agree on whether io_uring is available. */
	if (run("modprobe", "brd", "rd_size=4096", NULL))
		skip("this kernel has no ram disks");
	region = share_filled();
	base = dsm_base(region);
	if (caller()) {
		int fd = open_direct("/dev/ram0");

		ASSERT_EQ(pwrite(fd, base, SIZE, 0), SIZE);
		ASSERT_EQ(pread(fd, base + SIZE, SIZE, 0), SIZE);
		close(fd);
	}
	finish(region);
}

struct direct {
	int fd;
	void *at;
	_Atomic pid_t tid;
};

static void *read_directly(void *arg)
{
	struct direct *direct = arg;

	direct->tid = gettid();
	return (void *)(intptr_t)pread(direct->fd, direct->at, PAGE, 0);
}

/*
 * While a device writes to a page, another node that wants the page waits. What the device has
 * written is not lost.
 */
TEST(page_under_dma_is_kept)
{
	dsm_region *region;
	char *base;

	/* A disk of zeroes that takes four seconds for each answer. */
	if (run("modprobe", "null_blk", "irqmode=2", "completion_nsec=4000000000",
		"memory_backed=1", NULL))
		skip("this kernel has no null_blk");
	region = share_filled();
	base = dsm_base(region);
	if (caller()) {
		struct direct direct = { .fd = open_direct("/dev/nullb0"), .at = base };
		pthread_t thread;
		void *got;

		*word(base, 1) = 5;
		EXPECT_EQ(*word(base, 0), value_of(0));
		ASSERT_EQ(pthread_create(&thread, NULL, read_directly, &direct), 0);
		ASSERT_TRUE(WAIT_FOR(direct.tid && task_state(direct.tid) == 'D', 20));
		together("under-way");
		ASSERT_EQ(pthread_join(thread, &got), 0);
		EXPECT_EQ((intptr_t)got, PAGE);
		close(direct.fd);
	} else {
		together("under-way");
		if (!node())
			*word(base, 2) = 6;
	}
	together("written");
	if (caller())
		EXPECT_GE(region_stat("pinned"), 1);
	EXPECT_EQ(*word(base, 0), 0);
	EXPECT_EQ(*word(base, 1), 0);
	EXPECT_EQ(*word(base, 2), 6);
	EXPECT_EQ(*word(base, 3), 0);
	unshare_region(region);
}

static long futex(_Atomic uint64_t *at, int op, uint32_t value)
{
	return syscall(SYS_futex, at, op, value, NULL, NULL, 0);
}

/* Two processes of a node use a futex. Meanwhile another node takes the page. */
TEST(futex_of_two_processes)
{
	dsm_region *region = share_filled();
	_Atomic uint64_t *at = word((char *)dsm_base(region) + SIZE, 3);
	pid_t pid = 0;

	if (caller()) {
		/*
		 * FUTEX_WAIT does not wait: the value differs, and the page is fetched to compare
		 * it.
		 */
		EXPECT_ERRNO(futex(at, FUTEX_WAIT, 1), EAGAIN);
		pid = fork();
		ASSERT_OK(pid);
		if (!pid) {
			while (!*at)
				if (futex(at, FUTEX_WAIT, 0) && errno != EAGAIN)
					_exit(1);
			_exit(*at != 1);
		}
		ASSERT_TRUE(WAIT_FOR(task_state(pid) == 'S', 20));
	}
	together("waits");
	if (!node())
		*word((char *)dsm_base(region) + SIZE, 4) = 8;
	together("taken");
	if (caller()) {
		*at = 1;
		EXPECT_EQ(futex(at, FUTEX_WAKE, 100), 1);
		EXPECT_EQ(wait_status(pid), 0);
	}
	unshare_region(region);
}
