// SPDX-License-Identifier: MIT
/*
 * Processes and stacks of a program that does not know where its malloc is from.
 *
 * A child has a copy of its parent's heap (../fork.c), which is made by handlers of
 * pthread_atfork(). Three things go past these, and are seen here instead, by functions
 * of the C library that this library has, too:
 *
 *  - A process made by _Fork(3), clone(2) or syscall(2). What is done for fork() is done
 *    for them, unless the new process shares its parent's memory, as vfork(2)'s does.
 *  - A process made on a stack that malloc() gave, as coroutines have. Parent and child
 *    would both run on it, in the shared region, until the child has put its copy there.
 *    So the process is made on another stack, and the child returns to this one when it
 *    is its own.
 *  - A thread whose stack malloc() gave. On it the C library has what describes the thread,
 *    and in a child it writes there before any handler is called. Such a thread gets a stack
 *    from the C library instead, of the same size.
 *
 * A program that makes processes without calling the C library at all is found out by
 * ../process.c.
 */
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <pty.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include "../heap.h"
#include "../options.h"
#include "../process.h"
#include "../thread.h"

#define EXPORT	__attribute__((visibility("default")))

struct clone_args_head {	/* of clone3(2): what is read of it here */
	uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack;
};

typedef int (*clone_fn)(int (*run)(void *), void *stack, int flags, void *arg, ...);
typedef long (*syscall_fn)(long, long, long, long, long, long, long);

/* What these functions hide. */
static struct {
	pid_t	   (*fork)(void);
	pid_t	   (*_Fork)(void);
	int	   (*daemon)(int, int);
	int	   (*forkpty)(int *, char *, const struct termios *, const struct winsize *);
	int	   (*pthread_create)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
	clone_fn   clone;
	syscall_fn syscall;
} next;

/*
 * By a constructor, and before that when one of them is called first: to look a function
 * up may allocate, which a signal's handler may not.
 */
static void *find(_Atomic(void *) *at, const char *name)
{
	void *found = atomic_load_explicit(at, memory_order_relaxed);

	if (!found) {
		found = dlsym(RTLD_NEXT, name);
		atomic_store_explicit(at, found, memory_order_relaxed);
	}
	return found;
}

#define NEXT(name) \
	((__typeof__(next.name))find((_Atomic(void *) *)&next.name, #name))

__attribute__((constructor))
static void find_all(void)
{
	NEXT(fork);
	NEXT(_Fork);
	NEXT(daemon);
	NEXT(forkpty);
	NEXT(pthread_create);
	NEXT(clone);
	NEXT(syscall);
}

/* ---- stacks ------------------------------------------------------------- */

/* Whether an address is in memory that a child would share with its parent. */
static bool is_shared(const void *ptr)
{
	struct dsm_heap *heap = atomic_load(&dsm_heap_main);

	return heap && !heap->is_private && (size_t)((const char *)ptr - heap->base) < heap->bytes;
}

/* Whether children have copies. */
static bool has_copies(void)
{
	struct dsm_heap *heap = atomic_load(&dsm_heap_main);

	return heap && heap->mine;
}

enum { STACK_BYTES = 1 << 20 };

/* At the start of the mapping whose rest is the stack. */
struct other_stack {
	ucontext_t here, there;
	long	   (*run)(void *arg);
	void	   *arg;
	long	   result;
	int	   err;
};

static void other_stack_main(unsigned int low, unsigned int high)
{
	struct other_stack *other = (void *)((uintptr_t)high << 32 | low);

	errno = other->err;
	other->result = other->run(other->arg);
	other->err = errno;
}

/* On another stack; may return twice, if the child can use the first one by then. */
static long run_elsewhere(long (*run)(void *arg), void *arg)
{
	struct other_stack *other;
	long result;

	if (!has_copies()) {
		dsm_complain("libdsm-malloc: DSM_FORK is share, so a process cannot be made on a stack that malloc() gave: parent and child would both run on it\n");
		errno = EOPNOTSUPP;
		return -1;
	}
	other = mmap(NULL, STACK_BYTES, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
	if (other == MAP_FAILED)
		return -1;
	other->run = run;
	other->arg = arg;
	other->err = errno;
	getcontext(&other->there);
	other->there.uc_stack.ss_sp = other + 1;
	other->there.uc_stack.ss_size = STACK_BYTES - sizeof(*other);
	other->there.uc_link = &other->here;
	makecontext(&other->there, (void (*)(void))other_stack_main, 2,
		    (unsigned int)(uintptr_t)other, (unsigned int)((uintptr_t)other >> 32));
	swapcontext(&other->here, &other->there);
	result = other->result;
	errno = other->err;
	munmap(other, STACK_BYTES);
	return result;
}

/*
 * In a child, before it returns to the stack that its parent runs on, too, or uses locks
 * that it would share in the name of its parent's thread.
 */
static void child_check(void)
{
	struct dsm_heap *heap = atomic_load(&dsm_heap_main);

	if (!heap->is_private)
		dsm_process_end("its parent's heap could not be copied for it");
}

#define RUN_ELSEWHERE() __builtin_expect(is_shared(__builtin_frame_address(0)), 0)

/* No heap yet, or one that is to be shared: then ../process.c finds the new process out. */
#define NOTHING_TO_DO() (!has_copies() && !RUN_ELSEWHERE())

/* ---- processes ---------------------------------------------------------- */

static long fork_run(void *arg)
{
	pid_t pid = NEXT(fork)();

	(void)arg;
	if (!pid)
		child_check();
	return pid;
}

EXPORT pid_t fork(void)
{
	return RUN_ELSEWHERE() ? run_elsewhere(fork_run, NULL) : NEXT(fork)();
}

/* A process that shares nothing is made by @make. */
static long announced(long (*make)(void *arg), void *arg)
{
	long pid;
	int err;

	dsm_process_prepare();
	errno = 0;
	pid = make(arg);
	err = errno;
	if (pid) {
		dsm_process_parent();
	} else {
		dsm_process_child();
		child_check();
	}
	errno = err;
	return pid;
}

static long underscore_fork_make(void *arg)
{
	(void)arg;
	return NEXT(_Fork)();
}

static long underscore_fork_run(void *arg)
{
	return announced(underscore_fork_make, arg);
}

EXPORT pid_t _Fork(void)
{
	if (NOTHING_TO_DO())
		return NEXT(_Fork)();
	return RUN_ELSEWHERE() ? run_elsewhere(underscore_fork_run, NULL) :
				 underscore_fork_run(NULL);
}

struct daemon_call {
	int nochdir, noclose;
};

static long daemon_run(void *arg)
{
	struct daemon_call *call = arg;
	int err = NEXT(daemon)(call->nochdir, call->noclose);

	if (!err)
		child_check();
	return err;
}

EXPORT int daemon(int nochdir, int noclose)
{
	struct daemon_call call = { nochdir, noclose };

	return RUN_ELSEWHERE() ? run_elsewhere(daemon_run, &call) : NEXT(daemon)(nochdir, noclose);
}

struct forkpty_call {
	int *amaster;
	char *name;
	const struct termios *termp;
	const struct winsize *winp;
};

static long forkpty_run(void *arg)
{
	struct forkpty_call *call = arg;
	int pid = NEXT(forkpty)(call->amaster, call->name, call->termp, call->winp);

	if (!pid)
		child_check();
	return pid;
}

EXPORT int forkpty(int *amaster, char *name, const struct termios *termp,
		   const struct winsize *winp)
{
	struct forkpty_call call = { amaster, name, termp, winp };

	return RUN_ELSEWHERE() ? run_elsewhere(forkpty_run, &call) :
				 NEXT(forkpty)(amaster, name, termp, winp);
}

/* ---- syscall() ---------------------------------------------------------- */

struct syscall_call {
	long n, arg[6];
};

static long syscall_make(void *arg)
{
	struct syscall_call *call = arg;

	return NEXT(syscall)(call->n, call->arg[0], call->arg[1], call->arg[2], call->arg[3],
			     call->arg[4], call->arg[5]);
}

static long syscall_run(void *arg)
{
	return announced(syscall_make, arg);
}

/* Whether a process is made that has memory of its own and returns on the same stack. */
static bool makes_process(long n, long first, long second)
{
#ifdef SYS_fork
	if (n == SYS_fork)
		return true;
#endif
#ifdef SYS_clone3
	if (n == SYS_clone3) {
		const struct clone_args_head *args = (void *)first;

		return args && !(args->flags & CLONE_VM) && !args->stack;
	}
#endif
#ifdef __s390x__
	return n == SYS_clone && !(second & CLONE_VM) && !first;
#else
	return n == SYS_clone && !(first & CLONE_VM) && !second;
#endif
}

/*
 * All arguments are passed on, as by the C library, whatever the call has. A caller that
 * gives the new process another stack does not return here: nothing may be behind it.
 */
EXPORT long own_syscall(long n, long a, long b, long c, long d, long e, long f)
	__asm__("syscall");

long own_syscall(long n, long a, long b, long c, long d, long e, long f)
{
	struct syscall_call call;

	if (__builtin_expect(!makes_process(n, a, b), 1) || NOTHING_TO_DO())
		return NEXT(syscall)(n, a, b, c, d, e, f);
	call = (struct syscall_call){ n, { a, b, c, d, e, f } };
	return RUN_ELSEWHERE() ? run_elsewhere(syscall_run, &call) : syscall_run(&call);
}

/* ---- clone() ------------------------------------------------------------ */

struct clone_call {
	int	(*run)(void *arg);
	void	*arg;
	char	*stack;
	int	flags;
	void	*parent_tid, *tls, *child_tid;
	struct other_stack *other;	/* where it starts, if @stack is in the heap; or NULL */
};

static void clone_main(unsigned int low, unsigned int high)
{
	struct clone_call *call = (void *)((uintptr_t)high << 32 | low);

	call->other->result = call->run(call->arg);
}

/* What clone()'s caller gave for a stack is known by its end only: that will do. */
static int clone_switch(struct clone_call *call)
{
	struct other_stack *other = call->other;
	enum { SIZE = 4096 };

	getcontext(&other->there);
	other->there.uc_stack.ss_sp = call->stack - SIZE;
	other->there.uc_stack.ss_size = SIZE;
	other->there.uc_link = &other->here;
	makecontext(&other->there, (void (*)(void))clone_main, 2,
		    (unsigned int)(uintptr_t)call, (unsigned int)((uintptr_t)call >> 32));
	swapcontext(&other->here, &other->there);
	return (int)other->result;
}

static int clone_child(void *arg)
{
	struct clone_call *call = arg;

	dsm_process_child();
	child_check();
	return call->other ? clone_switch(call) : call->run(call->arg);
}

static long clone_run(void *arg)
{
	struct clone_call *call = arg;
	char *stack = call->stack;
	int pid, err;

	if (is_shared(stack - 1)) {
		call->other = mmap(NULL, STACK_BYTES, PROT_READ | PROT_WRITE,
				   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
		if (call->other == MAP_FAILED)
			return -1;
		stack = (char *)call->other + STACK_BYTES;
	}
	dsm_process_prepare();
	pid = NEXT(clone)(clone_child, stack, call->flags, call, call->parent_tid, call->tls,
			  call->child_tid);
	err = errno;
	dsm_process_parent();
	if (call->other)
		munmap(call->other, STACK_BYTES);
	errno = err;
	return pid;
}

EXPORT int clone(int (*run)(void *arg), void *stack, int flags, void *arg, ...)
{
	struct clone_call call = { .run = run, .arg = arg, .stack = stack, .flags = flags };
	va_list more;

	/* as in the C library: those that are not there are not looked at */
	va_start(more, arg);
	call.parent_tid = va_arg(more, void *);
	call.tls = va_arg(more, void *);
	call.child_tid = va_arg(more, void *);
	va_end(more);
	if (!run || !stack || flags & CLONE_VM ||
	    (NOTHING_TO_DO() && !is_shared((char *)stack - 1)))
		return NEXT(clone)(run, stack, flags, arg, call.parent_tid, call.tls, call.child_tid);
	/* which refuses where there are no copies */
	return RUN_ELSEWHERE() || !has_copies() ? run_elsewhere(clone_run, &call) : clone_run(&call);
}

/* ---- threads ------------------------------------------------------------ */

/* The same attributes, but for the stack's address; an error number. */
static int attr_copy(pthread_attr_t *to, const pthread_attr_t *from, size_t stack_size)
{
	struct sched_param param;
	cpu_set_t cpus;
	size_t size;
	int value, err;

	err = pthread_attr_init(to);
	if (err)
		return err;
	if (!pthread_attr_getdetachstate(from, &value))
		pthread_attr_setdetachstate(to, value);
	if (!pthread_attr_getscope(from, &value))
		pthread_attr_setscope(to, value);
	if (!pthread_attr_getinheritsched(from, &value))
		pthread_attr_setinheritsched(to, value);
	if (!pthread_attr_getschedpolicy(from, &value))
		pthread_attr_setschedpolicy(to, value);
	if (!pthread_attr_getschedparam(from, &param))
		pthread_attr_setschedparam(to, &param);
	if (!pthread_attr_getguardsize(from, &size))
		pthread_attr_setguardsize(to, size);
	/* all, if the caller has not set any */
	if (!pthread_attr_getaffinity_np(from, sizeof(cpus), &cpus) &&
	    CPU_COUNT(&cpus) < CPU_SETSIZE)
		pthread_attr_setaffinity_np(to, sizeof(cpus), &cpus);
	return pthread_attr_setstacksize(to, stack_size);
}

EXPORT int pthread_create(pthread_t *thread, const pthread_attr_t *attr,
			  void *(*run)(void *arg), void *arg)
{
	pthread_attr_t own;
	void *stack = NULL;
	size_t size = 0;
	int err;

	if (!attr || pthread_attr_getstack(attr, &stack, &size) || !stack || !size ||
	    !is_shared(stack))
		return NEXT(pthread_create)(thread, attr, run, arg);
	err = attr_copy(&own, attr, size);
	if (!err)
		err = NEXT(pthread_create)(thread, &own, run, arg);
	pthread_attr_destroy(&own);
	return err;
}
