// SPDX-License-Identifier: GPL-2.0
/*
 * The ways in which a process ends its hold of a mutex: exit, execve(2) and close(2), with
 * descriptors shared in every possible way. The same actions of another process do not end it.
 */
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sync.h"

int fd;			/* mutexes are held through this descriptor */
static int look;	/* other processes take them through this one: another open file */

/* How the holder got its descriptor. */
enum sharing {
	INHERITS,	/* fork(2) */
	OPENS,
	DUPLICATES,	/* ... and closes the one it was made from */
	RECEIVES,	/* SCM_RIGHTS */
	SHARES_TABLE,	/* CLONE_FILES */
	SHARES_MEMORY,	/* CLONE_VM, as with vfork(2) */
	SHARINGS
};

static const char *const sharing_names[] = {
	"inherits it", "opens it", "duplicates it", "receives it", "shares the table",
	"shares memory",
};

/* How the hold ends. */
enum ending {
	KILLED,
	EXITS,
	CLOSES,
	EXECUTES,
	EXECUTES_OPEN,	/* the descriptor stays open */
	ENDINGS
};

static const char *const ending_names[] = {
	"is killed", "exits", "closes it", "executes", "executes with it",
};

struct holder {
	enum sharing sharing;
	enum ending ending;
	uint64_t mutex;
	bool word;		/* the mutex's word names the holder */
	int ready[2];		/* the holder has the mutex; has closed its descriptor */
	int go[2];
	int by[2];		/* RECEIVES: where from */
	pid_t pid;
	char stack[65536] __attribute__((aligned(16)));
};

static int op_through(int through, uint32_t op, uint64_t offset, uint64_t timeout_ns,
		      uint32_t *result)
{
	struct dsm_sync_arg arg = { .op = op, .offset = offset, .timeout_ns = timeout_ns };
	int err = ioctl(through, DSM_IOC_SYNC, &arg) ? errno : 0;

	*result = arg.result;
	return err;
}

static void send_descriptor(int socket, int what)
{
	char control[CMSG_SPACE(sizeof(int))] = {}, byte = 0;
	struct iovec iov = { &byte, 1 };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = control, .msg_controllen = sizeof(control),
	};
	struct cmsghdr *header = CMSG_FIRSTHDR(&msg);

	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(header), &what, sizeof(what));
	ASSERT_EQ(sendmsg(socket, &msg, 0), 1);
}

static int receive_descriptor(int socket)
{
	char control[CMSG_SPACE(sizeof(int))] = {}, byte;
	struct iovec iov = { &byte, 1 };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = control, .msg_controllen = sizeof(control),
	};
	int what = -1;

	if (recvmsg(socket, &msg, 0) == 1 && CMSG_FIRSTHDR(&msg))
		memcpy(&what, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof(what));
	return what;
}

/* The holder's own descriptor. */
static int holders_descriptor(struct holder *holder)
{
	int own = fd;

	switch (holder->sharing) {
	case OPENS:
		own = open_bound(0);
		break;
	case DUPLICATES:
		own = dup(fd);
		close(fd);
		break;
	case RECEIVES:
		close(fd);
		own = receive_descriptor(holder->by[1]);
		break;
	default:
		break;
	}
	/* In a shared table, the flag is also the parent's, and of no use. */
	fcntl(own, F_SETFD, holder->ending == EXECUTES_OPEN ? 0 : FD_CLOEXEC);
	return own;
}

static int hold(void *data)
{
	struct holder *holder = data;
	int own = holders_descriptor(holder);
	struct dsm_attach_arg attach = {};
	uint32_t result;
	char byte = 'h';

	if (own < 0 || (holder->word && ioctl(own, DSM_IOC_ATTACH, &attach)) ||
	    op_through(own, DSM_SYNC_LOCK, holder->mutex, 0, &result) || result)
		_exit(10);
	if (write(holder->ready[1], &byte, 1) != 1 || read(holder->go[0], &byte, 1) != 1)
		_exit(11);
	switch (holder->ending) {
	case EXITS:
		_exit(0);
	case EXECUTES:
	case EXECUTES_OPEN:
		execlp("sleep", "sleep", "10000", NULL);
		_exit(12);
	case CLOSES:
		close(own);
		if (write(holder->ready[1], &byte, 1) != 1)
			_exit(13);
		/* fall through */
	default:
		for (;;)
			pause();
	}
}

static void holder_start(struct holder *holder)
{
	int flags = SIGCHLD;
	char byte;

	if (holder->sharing == SHARES_TABLE)
		flags |= CLONE_FILES;
	if (holder->sharing == SHARES_MEMORY)
		flags |= CLONE_VM;
	ASSERT_OK(pipe2(holder->ready, O_CLOEXEC));
	ASSERT_OK(pipe2(holder->go, O_CLOEXEC));
	ASSERT_OK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, holder->by));
	if (holder->sharing == RECEIVES)
		send_descriptor(holder->by[0], fd);
	holder->pid = clone(hold, holder->stack + sizeof(holder->stack), flags, holder);
	ASSERT_OK(holder->pid);
	/* Without a holder, no process could write this. The time limit detects that. */
	ASSERT_EQ(read(holder->ready[0], &byte, 1), 1);
}

static bool runs_sleep(pid_t pid)
{
	char path[40], name[17] = "";
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/comm", pid);
	file = fopen(path, "re");
	if (!file)
		return false;
	if (!fgets(name, sizeof(name), file))
		name[0] = '\0';
	fclose(file);
	return !strcmp(name, "sleep\n");
}

static void holder_end(struct holder *holder)
{
	int status = 0;
	char byte = 'g';

	ASSERT_EQ(write(holder->go[1], &byte, 1), 1);
	switch (holder->ending) {
	case KILLED:
		ASSERT_OK(kill(holder->pid, SIGKILL));
		/* fall through */
	case EXITS:
		ASSERT_EQ(waitpid(holder->pid, &status, 0), holder->pid);
		EXPECT_EQ(WIFEXITED(status) ? WEXITSTATUS(status) : 0, 0);
		holder->pid = 0;
		break;
	case CLOSES:
		ASSERT_EQ(read(holder->ready[0], &byte, 1), 1);
		break;
	default:
		ASSERT_TRUE(WAIT_FOR(runs_sleep(holder->pid), 60));
	}
}

static void holder_clean(struct holder *holder)
{
	int status;

	if (holder->pid) {
		ASSERT_OK(kill(holder->pid, SIGKILL));
		ASSERT_EQ(waitpid(holder->pid, &status, 0), holder->pid);
	}
	for (int i = 0; i < 2; i++) {
		close(holder->ready[i]);
		close(holder->go[i]);
		close(holder->by[i]);
	}
}

/* The next process to take the mutex. */
struct taker {
	uint64_t mutex;
	_Atomic pid_t tid;
	int err;
	uint32_t result;
};

static void unlock_through_look(uint64_t mutex)
{
	uint32_t result;

	EXPECT_EQ(op_through(look, DSM_SYNC_UNLOCK, mutex, 0, &result), 0);
}

static void *take_waiting(void *data)
{
	struct taker *taker = data;

	atomic_store(&taker->tid, gettid());
	taker->err = op_through(look, DSM_SYNC_LOCK, taker->mutex, patience(60) * 1000 * MS,
				&taker->result);
	if (!taker->err)
		unlock_through_look(taker->mutex);
	return NULL;
}

/* Nobody waits for it, so only the taker checks the holder. */
static void take_trying(struct taker *taker)
{
	WAIT_FOR((taker->err = op_through(look, DSM_SYNC_TRYLOCK, taker->mutex, 0,
					  &taker->result)) != EBUSY, 30);
	if (!taker->err)
		unlock_through_look(taker->mutex);
}

static void expect_orphan(enum sharing sharing, enum ending ending, bool word, bool waits)
{
	static struct holder holder;
	struct taker taker = {
		/* With its home at this node, or at another. */
		.mutex = DSM_CHUNK_SIZE * (sharing % 4) + 4096 * node(),
	};
	uint32_t result;
	pthread_t thread;

	holder = (struct holder){
		.sharing = sharing, .ending = ending, .word = word, .mutex = taker.mutex,
	};
	fd = open_bound(0);
	holder_start(&holder);
	EXPECT_EQ(op_through(look, DSM_SYNC_TRYLOCK, taker.mutex, 0, &result), EBUSY);
	if (waits) {
		start(&thread, take_waiting, &taker);
		while (!atomic_load(&taker.tid) || task_state(taker.tid) != 'S')
			test_pause();
		holder_end(&holder);
		join(thread);
	} else {
		holder_end(&holder);
		take_trying(&taker);
	}
	if (taker.err || taker.result != DSM_SYNC_OWNERDEAD)
		test_failed(__FILE__, __LINE__, false,
			    "the holder %s, and %s (%s, %s): %s, result %u",
			    sharing_names[sharing], ending_names[ending],
			    word ? "by a word" : "without a word",
			    waits ? "one waits" : "nobody waits",
			    strerror(taker.err), taker.result);
	/* The taker is told once. */
	EXPECT_EQ(op_through(look, DSM_SYNC_TRYLOCK, taker.mutex, 0, &taker.result), 0);
	EXPECT_EQ(taker.result, 0);
	unlock_through_look(taker.mutex);
	holder_clean(&holder);
	close(fd);	/* with SHARES_TABLE, CLOSES it is closed already */
}

/* Every way to share, every end. */
static void all_endings(bool word, bool waits)
{
	dsm_region *region = share_region(SIZE, DSM_HOME_INTERLEAVED, 0);

	look = open_bound(0);
	for (int sharing = 0; sharing < SHARINGS; sharing++)
		for (int ending = 0; ending < ENDINGS; ending++)
			expect_orphan(sharing, ending, word, waits);
	close(look);
	unshare_region(region);
}

TEST_SECONDS(endings, 600)
{
	all_endings(false, false);
}

TEST_SECONDS(endings_of_words, 600)
{
	all_endings(true, false);
}

TEST_SECONDS(endings_while_one_waits, 600)
{
	all_endings(false, true);
}

TEST_SECONDS(endings_of_words_while_one_waits, 600)
{
	all_endings(true, true);
}

/* Another node waits, and no process of the holder's node does. */
static void seen_elsewhere(enum sharing sharing, enum ending ending)
{
	static struct holder holder;
	dsm_region *region = share();
	uint32_t result;

	holder = (struct holder){
		.sharing = sharing, .ending = ending, .word = true, .mutex = MUTEX,
	};
	if (!node())
		holder_start(&holder);
	together("held");
	if (node() == 1) {
		struct taker taker = { .mutex = MUTEX };
		pthread_t thread;

		look = fd;
		start(&thread, take_waiting, &taker);
		while (!atomic_load(&taker.tid) || task_state(taker.tid) != 'S')
			test_pause();
		together("waits");
		join(thread);
		EXPECT_EQ(taker.err, 0);
		EXPECT_EQ(taker.result, DSM_SYNC_OWNERDEAD);
	} else {
		together("waits");
	}
	if (!node())
		holder_end(&holder);
	together("ended");
	EXPECT_EQ(op_through(fd, DSM_SYNC_LOCK, MUTEX, 0, &result), 0);
	EXPECT_EQ(result, 0);
	EXPECT_EQ(unlock(MUTEX), 0);
	if (!node())
		holder_clean(&holder);
	unshare_all(region);
}

TEST(execve_seen_by_another_node)
{
	seen_elsewhere(INHERITS, EXECUTES);
}

TEST(execve_with_descriptor_seen_by_another_node)
{
	seen_elsewhere(INHERITS, EXECUTES_OPEN);
}

TEST(end_with_shared_table_seen_by_another_node)
{
	seen_elsewhere(SHARES_TABLE, KILLED);
}

/* ---- what does not end a hold ------------------------------------------- */

static void *with_own_table(void *data)
{
	int *descriptor = data;

	if (syscall(SYS_unshare, CLONE_FILES))
		return (void *)-1;
	/* Closed one by one; the end of the thread closes the rest. */
	return (void *)(intptr_t)close(*descriptor);
}

static void *with_own_table_until_its_end(void *data)
{
	(void)data;
	return (void *)syscall(SYS_unshare, CLONE_FILES);
}

static int executes(void *data)
{
	(void)data;
	execlp("true", "true", NULL);
	return 1;
}

/* The actions of other descriptors, processes, and threads with tables of their own. */
static void kept(bool word)
{
	static char stack[65536] __attribute__((aligned(16)));
	static const int flags[] = { 0, CLONE_FILES, CLONE_VM, CLONE_FILES | CLONE_VM };
	dsm_region *region = share();
	struct dsm_attach_arg attach = {};
	uint64_t mutex = 4096 * node();
	int duplicate = dup(fd), status;
	uint32_t result;

	look = open_bound(0);
	if (word)
		ASSERT_OK(ioctl(fd, DSM_IOC_ATTACH, &attach));
	ASSERT_EQ(lock(mutex, 0), 0);

	ASSERT_OK(close(duplicate));
	EXPECT_EQ(lock(mutex, 0), EDEADLK);
	ASSERT_OK(dup2(fd, duplicate));
	ASSERT_OK(close(fd));
	fd = duplicate;
	EXPECT_EQ(lock(mutex, 0), EDEADLK);

	EXPECT_EQ(in_thread(with_own_table, &fd), 0);
	EXPECT_EQ(lock(mutex, 0), EDEADLK);
	EXPECT_EQ(in_thread(with_own_table_until_its_end, NULL), 0);
	EXPECT_EQ(lock(mutex, 0), EDEADLK);

	/* Children that exit, close, execute. */
	if (!fork())
		_exit(0);
	ASSERT_OK(wait(&status));
	if (!fork()) {
		close(fd);
		execlp("true", "true", NULL);
	}
	ASSERT_OK(wait(&status));
	for (int i = 0; i < sizeof(flags) / sizeof(*flags); i++) {
		ASSERT_OK(clone(executes, stack + sizeof(stack), flags[i] | SIGCHLD, NULL));
		ASSERT_OK(wait(&status));
		EXPECT_EQ(status, 0);
		EXPECT_EQ(lock(mutex, 0), EDEADLK);
	}
	EXPECT_EQ(op_through(look, DSM_SYNC_LOCK, mutex, 700 * MS, &result), EDEADLK);
	EXPECT_EQ(unlock(mutex), 0);
	EXPECT_EQ(op_through(look, DSM_SYNC_LOCK, mutex, 0, &result), 0);
	EXPECT_EQ(result, 0);
	unlock_through_look(mutex);
	close(look);
	unshare_all(region);
}

TEST(others_end_nothing)
{
	kept(false);
}

TEST(others_end_no_word)
{
	kept(true);
}

/* ---- many ------------------------------------------------------------------ */

/* Others continue while a process abandons very many mutexes. */
TEST_SECONDS(many_at_once, 600)
{
	enum { MANY = 20000, STRIDE = 64 };
	dsm_region *region = share();
	uint64_t mine = 3 * DSM_CHUNK_SIZE + 4096 * node();
	uint32_t result = 0;
	int last;

	if (!node()) {
		last = open_bound(0);
		for (int i = 0; i < MANY; i++)
			ASSERT_EQ(op_through(last, DSM_SYNC_LOCK, STRIDE * i, 0, &result), 0);
		ASSERT_OK(close(last));
	}
	for (int i = 0; i < 200; i++) {
		ASSERT_EQ(lock(mine, 0), 0);
		ASSERT_EQ(unlock(mine), 0);
	}
	together("left");
	for (int i = node(); i < MANY; i += 100 * nodes()) {
		ASSERT_EQ(op_through(fd, DSM_SYNC_TRYLOCK, STRIDE * i, 0, &result), 0);
		EXPECT_EQ(result, DSM_SYNC_OWNERDEAD);
		ASSERT_EQ(unlock(STRIDE * i), 0);
	}
	/* The rest is freed with the region. */
	unshare_all(region);
}
