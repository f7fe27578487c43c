// SPDX-License-Identifier: GPL-2.0
/*
 * Processes, sandboxes and threads around malloc, in a program that knows of no library. The
 * program must do the same with a preloaded library and without.
 */
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <malloc.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

static int failures, checks_failed, tests;

#define CHECK(cond) \
	do { \
		if (!(cond)) { \
			checks_failed++; \
			printf("# line %d: %s\n", __LINE__, #cond); \
			fflush(stdout); \
		} \
	} while (0)

static void result(const char *name)
{
	printf("%s %d - %s\n", checks_failed ? "not ok" : "ok", ++tests, name);
	fflush(stdout);
	failures += !!checks_failed;
	checks_failed = 0;
}

/* The exit status of a process; 0 for success. */
static int ended(pid_t pid)
{
	int status;

	return pid > 0 && waitpid(pid, &status, 0) == pid ? status : -1;
}

/* ---- objects that are checked ------------------------------------------- */

enum { OBJECTS = 2000 };

static unsigned char *object[OBJECTS];
static size_t object_size[OBJECTS];

static int object_wrong(int i, int seed)
{
	int wrong = 0;

	for (size_t j = 0; object[i] && j < object_size[i]; j++)
		wrong += object[i][j] != (unsigned char)(seed + i);
	return wrong;
}

/* Frees and allocates at random. Objects were filled with the same seed. */
static int churn(int seed, int rounds, size_t max)
{
	unsigned int x = seed;
	int wrong = 0;

	for (int round = 0; round < rounds; round++) {
		int i;

		x = x * 1103515245 + 12345;
		i = (x >> 8) % OBJECTS;
		wrong += object_wrong(i, seed);
		free(object[i]);
		object_size[i] = 16 + (x >> 16) % max;
		object[i] = malloc(object_size[i]);
		if (!object[i])
			return wrong + 1;
		memset(object[i], seed + i, object_size[i]);
	}
	return wrong;
}

static int objects_free(int seed)
{
	int wrong = 0;

	for (int i = 0; i < OBJECTS; i++) {
		wrong += object_wrong(i, seed);
		free(object[i]);
		object[i] = NULL;
	}
	return wrong;
}

/* ---- processes ---------------------------------------------------------- */

/* In a child, memory is as in its parent, and what the child changes is its own. */
static int child_work(void)
{
	int wrong = 0;

	for (int i = 0; i < OBJECTS; i++)
		wrong += object_wrong(i, 1);
	wrong += churn(1, 10000, 400) + objects_free(1) + churn(101, 10000, 70000);
	return wrong ? 7 : 0;
}

static int child_main(void *arg)
{
	(void)arg;
	return child_work();
}

static pid_t by_fork(void)
{
	return fork();
}

static pid_t by_underscore_fork(void)
{
	return _Fork();
}

static pid_t by_clone_syscall(void)
{
	return syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
}

static pid_t by_clone3(void)
{
	uint64_t args[8] = { [4] = SIGCHLD };

	return syscall(SYS_clone3, args, sizeof(args));
}

static char clone_stack[1 << 20] __attribute__((aligned(64)));

static pid_t by_clone(void)
{
	return clone(child_main, clone_stack + sizeof(clone_stack), SIGCHLD, NULL);
}

static pid_t by_clone_on_malloced_stack(void)
{
	size_t size = 512 << 10;
	char *stack = malloc(size);
	pid_t pid = clone(child_main, stack + size, SIGCHLD, NULL);
	int status = ended(pid);

	free(stack);
	CHECK(status == 0);
	return status ? -1 : 0;
}

#ifdef __x86_64__
/* Only the kernel can see that. */
static pid_t by_instruction(void)
{
	long pid = SYS_clone;

	__asm__ volatile("xor %%r10d, %%r10d; xor %%r8d, %%r8d; syscall"
			 : "+a"(pid) : "D"((long)SIGCHLD), "S"(0L), "d"(0L)
			 : "rcx", "r8", "r10", "r11", "memory");
	return pid;
}
#endif

static const struct maker {
	const char *name;
	pid_t (*make)(void);
} makers[] = {
	{ "fork()", by_fork },
	{ "_Fork()", by_underscore_fork },
	{ "clone by syscall()", by_clone_syscall },
	{ "clone3 by syscall()", by_clone3 },
};

/* Both work at the same time. The parent's memory does not change. */
static void parent_and_child(pid_t (*make)(void))
{
	char *mine = strdup("parent's");
	pid_t pid;

	CHECK(!churn(1, 10000, 400));
	fflush(stdout);
	pid = make();
	if (!pid) {
		strcpy(mine, "child's!");
		_exit(child_work());
	}
	CHECK(!churn(1, 10000, 400));
	CHECK(ended(pid) == 0);
	CHECK(!strcmp(mine, "parent's"));
	CHECK(!churn(1, 10000, 400) && !objects_free(1));
	free(mine);
}

static void test_processes(void)
{
	for (size_t i = 0; i < sizeof(makers) / sizeof(*makers); i++) {
		for (int round = 0; round < 3; round++)
			parent_and_child(makers[i].make);
		result(makers[i].name);
	}
	CHECK(!churn(1, 10000, 400));
	CHECK(ended(by_clone()) == 0);
	CHECK(!churn(1, 10000, 400));
	CHECK(!by_clone_on_malloced_stack());
	CHECK(!churn(1, 10000, 400) && !objects_free(1));
	result("clone(), on a static stack, and on one that malloc() gave");
}

/*
 * A child that was made without the library's knowledge may exit with a message when it would
 * damage the heap.
 */
static void test_unseen(void)
{
#ifdef __x86_64__
	char text[300] = "";
	int fd[2], status;
	pid_t pid;

	CHECK(!churn(1, 10000, 400));
	CHECK(!pipe(fd));
	fflush(stdout);
	pid = by_instruction();
	if (!pid) {
		dup2(fd[1], STDERR_FILENO);
		free(malloc(100));
		_exit(child_work());
	}
	close(fd[1]);
	CHECK(!churn(1, 10000, 400));
	status = ended(pid);
	CHECK(read(fd[0], text, sizeof(text) - 1) >= 0);
	close(fd[0]);
	CHECK(status == 0 || (status == 127 << 8 && strstr(text, " ends: it was made by a system call")));
	CHECK(!churn(1, 10000, 400) && !objects_free(1));
#endif
	result("a process that is made without the C library");
}

/* ---- stacks from malloc() ----------------------------------------------- */

/* Uses the stack to some depth, and checks what is there. */
static int deep(int seed, int depth)
{
	char text[600];
	char *copy;
	int wrong;

	snprintf(text, sizeof(text), "%d-%d", seed, depth);
	wrong = depth ? deep(seed, depth - 1) : 0;
	copy = malloc(100 + depth);
	strcpy(copy, text);
	wrong += atoi(copy) != seed;
	free(copy);
	return wrong;
}

static void on_stack(void)
{
	static __thread int own;

	for (size_t i = 0; i < sizeof(makers) / sizeof(*makers); i++) {
		for (int round = 0; round < 3; round++) {
			pid_t pid;

			own = 5;
			fflush(stdout);
			pid = makers[i].make();
			if (!pid) {
				int wrong = deep(2, 20) + (own != 5);

				own = 6;
				_exit(wrong + deep(3, 20));
			}
			CHECK(!deep(4, 20));
			CHECK(ended(pid) == 0 && own == 5);
			CHECK(!deep(4, 20));
		}
	}
}

static ucontext_t main_context, coroutine;

static void *thread_on_stack(void *arg)
{
	on_stack();
	return arg;
}

static void coroutine_run(size_t size)
{
	char *stack = malloc(size);

	getcontext(&coroutine);
	coroutine.uc_stack.ss_sp = stack;
	coroutine.uc_stack.ss_size = size;
	coroutine.uc_link = &main_context;
	makecontext(&coroutine, on_stack, 0);
	CHECK(!swapcontext(&main_context, &coroutine));
	free(stack);
}

static void test_stacks(void)
{
	static const size_t sizes[] = { 64 << 10, 100 << 10, 256 << 10, 4 << 20 };

	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++)
		coroutine_run(sizes[i]);
	result("a coroutine forks on a stack that malloc() gave");
	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		size_t size = sizes[i] & -4096UL;
		void *stack = aligned_alloc(4096, size), *returned = NULL;
		pthread_attr_t attr;
		pthread_t thread;

		CHECK(!pthread_attr_init(&attr));
		CHECK(!pthread_attr_setstack(&attr, stack, size));
		CHECK(!pthread_create(&thread, &attr, thread_on_stack, stack));
		CHECK(!pthread_join(thread, &returned) && returned == stack);
		pthread_attr_destroy(&attr);
		free(stack);
	}
	result("a thread forks whose stack malloc() gave");
}

/* ---- signals ------------------------------------------------------------ */

static int *volatile handled;

static void on_signal(int signo)
{
	(void)signo;
	++*handled;
}

/*
 * Signals arrive continuously, and a handler writes to an object. What a child's handler
 * counts does not change in the parent.
 */
static void test_signals(void)
{
	struct sigaction action = { .sa_handler = on_signal, .sa_flags = SA_RESTART };
	struct itimerval often = { { 0, 200 }, { 0, 200 } }, never = { { 0, 0 }, { 0, 0 } };

	handled = calloc(1, 64);
	CHECK(!churn(1, 10000, 400));
	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &often, NULL);
	for (int i = 0; i < 30; i++) {
		pid_t pid;

		fflush(stdout);
		pid = fork();
		if (!pid) {
			/* timers are not inherited, so the child sends its own signals */
			int had = *handled;

			for (int j = 0; j < 100; j++)
				raise(SIGALRM);
			_exit(*handled == had + 100 ? 0 : 1);
		}
		CHECK(ended(pid) == 0);
	}
	setitimer(ITIMER_REAL, &never, NULL);
	CHECK(*handled > 0);
	CHECK(!objects_free(1));
	free((void *)handled);
	result("fork() while signals are handled");
}

/* ---- many threads ------------------------------------------------------- */

enum { THREADS = 400, EACH = 40 };

static void *handed[THREADS][EACH];
static pthread_barrier_t all_have;
static atomic_int wrong_bytes;

static size_t handed_size(int thread, int i)
{
	return 16 + (thread * 37 + i * 101) % 3000;
}

/* Each thread frees what another one allocated, which waits or has ended. */
static void *hand_over(void *arg)
{
	int me = (intptr_t)arg, other = (me + 131) % THREADS;

	for (int i = 0; i < EACH; i++) {
		handed[me][i] = malloc(handed_size(me, i));
		if (handed[me][i])
			memset(handed[me][i], me + i, handed_size(me, i));
	}
	pthread_barrier_wait(&all_have);
	for (int i = 0; i < EACH; i++) {
		unsigned char *ptr = handed[other][i];

		wrong_bytes += !ptr;
		for (size_t j = 0; ptr && j < handed_size(other, i); j++)
			wrong_bytes += ptr[j] != (unsigned char)(other + i);
		free(ptr);
	}
	return NULL;
}

static void test_many_threads(void)
{
	static pthread_t thread[THREADS];
	pthread_attr_t attr;

	CHECK(!pthread_attr_init(&attr) && !pthread_attr_setstacksize(&attr, 64 << 10));
	for (int round = 0; round < 3; round++) {
		CHECK(!pthread_barrier_init(&all_have, NULL, THREADS));
		for (intptr_t i = 0; i < THREADS; i++) {
			if (pthread_create(&thread[i], &attr, hand_over, (void *)i)) {
				CHECK(!"a thread could not be made");
				exit(1);
			}
		}
		for (int i = 0; i < THREADS; i++)
			pthread_join(thread[i], NULL);
		pthread_barrier_destroy(&all_have);
	}
	pthread_attr_destroy(&attr);
	CHECK(!wrong_bytes);
	result("400 threads have 40 objects each");
}

/* ---- sandboxes ---------------------------------------------------------- */

#define NUMBER	BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr))
#define ARG(n)	BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[n]))
#define RETURN(what) BPF_STMT(BPF_RET | BPF_K, what)
#define ALLOW(n) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, n, 0, 1), RETURN(SECCOMP_RET_ALLOW)
#define REFUSE	RETURN(SECCOMP_RET_ERRNO | EPERM_)

enum { EPERM_ = 1, TCGETS_ = 0x5401 };

static bool sandbox(struct sock_filter *filter, size_t n)
{
	struct sock_fprog program = { .len = n, .filter = filter };

	return !prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) &&
	       !prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

/* The system calls of glibc's malloc and of a child's exit. */
static bool sandbox_malloc(void)
{
	struct sock_filter filter[] = {
		NUMBER, ALLOW(SYS_read), ALLOW(SYS_write), ALLOW(SYS_brk), ALLOW(SYS_mmap),
		ALLOW(SYS_munmap), ALLOW(SYS_mremap), ALLOW(SYS_mprotect), ALLOW(SYS_madvise),
		ALLOW(SYS_futex), ALLOW(SYS_newfstatat), ALLOW(SYS_fstat), ALLOW(SYS_getpid),
		ALLOW(SYS_exit), ALLOW(SYS_exit_group), ALLOW(SYS_rt_sigreturn),
		RETURN(SECCOMP_RET_KILL_PROCESS),
	};

	return sandbox(filter, sizeof(filter) / sizeof(*filter));
}

/* As man(1) does to the programs it executes: no opening for writing, no ioctl. */
static bool sandbox_reader(void)
{
	struct sock_filter filter[] = {
		NUMBER,
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_ioctl, 0, 4),
		ARG(1),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, TCGETS_, 0, 1),
		RETURN(SECCOMP_RET_ALLOW),
		REFUSE,
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat, 0, 3),
		ARG(2),
		BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, O_WRONLY | O_RDWR, 0, 1),
		REFUSE,
		RETURN(SECCOMP_RET_ALLOW),
	};

	return sandbox(filter, sizeof(filter) / sizeof(*filter));
}

static void test_sandbox_self(void)
{
	pid_t pid = fork();

	if (!pid) {
		char *big;
		int wrong;

		object[0] = malloc(100);
		object_size[0] = 0;
		if (!sandbox_malloc())
			_exit(4);
		wrong = churn(3, 20000, 20000);
		big = malloc(30 << 20);
		memset(big, 1, 30 << 20);
		big = realloc(big, 40 << 20);
		wrong += !big || big[(30 << 20) - 1] != 1;
		free(big);
		_exit(wrong + objects_free(3) ? 1 : 0);
	}
	CHECK(ended(pid) == 0);
	result("sandbox: a program that allows itself what glibc's malloc needs");
}

/*
 * Such a program writes nothing to stderr, or one line of a library that falls back to other
 * memory.
 */
static void check_executed(bool (*enter)(void), bool required)
{
	char text[1000] = "", *line_end;
	int fd[2], status;
	ssize_t n = 0, more;
	pid_t pid;

	CHECK(!pipe(fd));
	pid = fork();
	if (!pid) {
		dup2(fd[1], STDERR_FILENO);
		close(fd[0]);
		close(fd[1]);
		if (required)
			setenv("DSM_MALLOC_REQUIRED", "1", 1);
		if (!enter())
			_exit(4);
		execl("/proc/self/exe", "malloc-process", "executed", NULL);
		_exit(5);
	}
	close(fd[1]);
	while ((more = read(fd[0], text + n, sizeof(text) - 1 - n)) > 0)
		n += more;
	close(fd[0]);
	status = ended(pid);
	/* memory may be available all the same; this program does not decide that */
	if (!n) {
		CHECK(status == 0);
		return;
	}
	line_end = strchr(text, '\n');
	CHECK(!strncmp(text, "libdsm-malloc: ", 15));
	CHECK(line_end && !line_end[1]);
	CHECK(strstr(text, required ? ": the program ends\n" : ": using the C library's malloc\n"));
	CHECK(status == (required ? 127 << 8 : 0));
	if (checks_failed)
		printf("# status %#x: %s", status, text);
}

/* In this process, everything is as usual: its memory is checked, and its children's. */
static int executed(void)
{
	int wrong = churn(5, 20000, 3000);
	void *ptr;
	pid_t pid = fork();

	if (!pid)
		_exit(churn(5, 20000, 3000) + objects_free(5) ? 1 : 0);
	wrong += ended(pid) != 0;
	wrong += posix_memalign(&ptr, 4096, 100) || (uintptr_t)ptr % 4096 ||
		 malloc_usable_size(ptr) < 100;
	free(ptr);
	ptr = calloc(1000, 1000);
	for (int i = 0; i < 1000000; i++)
		wrong += ((char *)ptr)[i] != 0;
	free(ptr);
	malloc_trim(0);
	return wrong + objects_free(5) ? 1 : 0;
}

static bool become_nobody(void)
{
	return geteuid() || (!setgid(65534) && !setuid(65534));
}

static bool leave_network(void)
{
	return geteuid() || !unshare(CLONE_NEWNET);
}

static void test_sandbox_exec(void)
{
	check_executed(sandbox_reader, false);
	result("sandbox: what is executed after seccomp");
	check_executed(become_nobody, false);
	result("sandbox: what is executed after setuid");
	check_executed(leave_network, false);
	result("sandbox: what is executed after unshare");
	check_executed(sandbox_reader, true);
	check_executed(become_nobody, true);
	check_executed(leave_network, true);
	result("sandbox: what is executed, with DSM_MALLOC_REQUIRED");
}

int main(int argc, char **argv)
{
	if (argc > 1 && !strcmp(argv[1], "executed"))
		return executed();
	test_processes();
	test_unseen();
	test_stacks();
	test_signals();
	test_many_threads();
	test_sandbox_self();
	test_sandbox_exec();
	printf("1..%d\n# Totals: pass:%d fail:%d xfail:0 xpass:0 skip:0 error:0\n",
	       tests, tests - failures, failures);
	return failures || !tests;
}
