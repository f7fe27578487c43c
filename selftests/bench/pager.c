// SPDX-License-Identifier: GPL-2.0
/* Remote memory through userfaultfd(2), read-only, for comparison. */
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"
#include "tcp.h"

struct pager {
	int		faults;		/* the userfaultfd */
	int		stop;		/* an eventfd */
	int		connection;
	char		*memory;
	size_t		size;
	pthread_t	thread;
	pid_t		process;	/* the process that replaces the thread, or 0 */
};

static void fetch(struct pager *pager, uint64_t address)
{
	static char reply[BLOCK_REPLY] __attribute__((aligned(BLOCK)));
	struct uffdio_copy copy = {
		.dst = address & ~(uint64_t)(BLOCK - 1),
		.src = (uintptr_t)reply,
		.len = BLOCK,
	};

	tcp_ask_on(pager->connection, BLOCK_REPLY, reply, sizeof(reply));
	ASSERT_OK(ioctl(pager->faults, UFFDIO_COPY, &copy));
}

static void *serve(void *data)
{
	struct pager *pager = data;
	struct pollfd fds[2] = {
		{ .fd = pager->faults, .events = POLLIN },
		{ .fd = pager->stop, .events = POLLIN },
	};
	struct uffd_msg msg;

	for (;;) {
		ASSERT_OK(poll(fds, 2, -1));
		if (fds[1].revents)
			return NULL;
		if (read(pager->faults, &msg, sizeof(msg)) != sizeof(msg))
			continue;
		ASSERT_EQ(msg.event, UFFD_EVENT_PAGEFAULT);
		fetch(pager, msg.arg.pagefault.address);
	}
}

/* A userfaultfd stays bound to the memory of the process that created it. */
static void serve_in_child(struct pager *pager)
{
	pid_t parent = getpid();

	pager->process = fork();
	ASSERT_OK(pager->process);
	if (pager->process)
		return;
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) || getppid() != parent)
		_exit(1);
	serve(pager);
	_exit(0);
}

struct pager *pager_start(struct tcp *tcp, int from, size_t size, bool in_process)
{
	struct pager *pager = calloc(1, sizeof(*pager));
	struct uffdio_register range = { .mode = UFFDIO_REGISTER_MODE_MISSING };
	struct uffdio_api api = { .api = UFFD_API };

	ASSERT_TRUE(pager);
	pager->connection = tcp->fds[from];
	pager->size = size;
	pager->memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_OK(pager->memory);
	ASSERT_OK(madvise(pager->memory, size, MADV_NOHUGEPAGE));
	pager->faults = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
	ASSERT_OK(pager->faults);
	ASSERT_OK(ioctl(pager->faults, UFFDIO_API, &api));
	range.range.start = (uintptr_t)pager->memory;
	range.range.len = size;
	ASSERT_OK(ioctl(pager->faults, UFFDIO_REGISTER, &range));
	pager->stop = eventfd(0, EFD_CLOEXEC);
	ASSERT_OK(pager->stop);
	if (in_process)
		serve_in_child(pager);
	else
		ASSERT_EQ(pthread_create(&pager->thread, NULL, serve, pager), 0);
	return pager;
}

void *pager_memory(struct pager *pager)
{
	return pager->memory;
}

void pager_stop(struct pager *pager)
{
	uint64_t one = 1;
	int status;

	ASSERT_EQ(write(pager->stop, &one, sizeof(one)), sizeof(one));
	if (pager->process) {
		ASSERT_EQ(waitpid(pager->process, &status, 0), pager->process);
		ASSERT_EQ(status, 0);
	} else {
		ASSERT_EQ(pthread_join(pager->thread, NULL), 0);
	}
	munmap(pager->memory, pager->size);
	close(pager->stop);
	close(pager->faults);
	free(pager);
}
