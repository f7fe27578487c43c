// SPDX-License-Identifier: GPL-2.0
/*
 * Tests libdsm with the module. The program runs on every node of a cluster at once. The nodes
 * go through the tests together, and each reports its own results.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <dsm.h>

#define REGION		"libdsm-test"
#define REGION_SIZE	((size_t)64 << 20)
#define NODES_MAX	8
#define OBJECTS		400
#define ROOT_WAIT_S	60
#define LIMIT_S		300	/* exit status of a child */

/* The root, which node 0 creates. */
struct shared {
	dsm_barrier_t	barrier;
	dsm_mutex_t	mutex;
	dsm_mutex_t	doomed;
	dsm_cond_t	cond;
	uint64_t	counter;	/* protected by mutex */
	uint64_t	turn;		/* the same */
	_Atomic uint64_t serial;
	_Atomic uint64_t dead;		/* how many threads were told */
	_Atomic(char *)	object[NODES_MAX][OBJECTS];
};

static dsm_region *region;
static struct shared *shared;
static int node, nodes;

static int number(const char *name, int or)
{
	const char *text = getenv(name);

	return text ? atoi(text) : or;
}

/* The factor for time limits in this kernel. */
static int slowness(void)
{
	return number("SLOWNESS", 1);
}

/* ---- TAP -------------------------------------------------------------- */

static int failures, checks_failed;

static bool check(bool holds, int line, const char *what)
{
	if (!holds) {
		checks_failed++;
		printf("# line %d: %s (errno %s; %s)\n", line, what,
		       strerrorname_np(errno), dsm_error_detail());
	}
	return holds;
}

#define CHECK(cond) check(cond, __LINE__, #cond)
#define FAILS(call, error) check((errno = 0, !(call) && errno == (error)), __LINE__, \
				 #call " is NULL: " #error)
#define REFUSES(call, error) check((errno = 0, (call) == -1 && errno == (error)), \
				   __LINE__, #call " is -1: " #error)

static void meet(void)
{
	int err = dsm_barrier_wait(&shared->barrier);

	if (err == DSM_BARRIER_SERIAL_THREAD)
		atomic_fetch_add(&shared->serial, 1);
	else
		CHECK(!err);
}

/* What a child of this node does, and how it ends. */
static int in_child(void (*run)(void))
{
	pid_t pid;
	int status;

	fflush(stdout);
	pid = fork();
	if (!pid) {
		alarm(LIMIT_S * slowness());
		run();
		fflush(stdout);
		_exit(checks_failed ? 99 : 0);
	}
	waitpid(pid, &status, 0);
	return status;
}

/* The helper program has nothing open. */
static const char *self;

static int in_program(const char *what)
{
	pid_t pid;
	int status;

	fflush(stdout);
	pid = fork();
	if (!pid) {
		execl(self, self, what, NULL);
		_exit(98);
	}
	waitpid(pid, &status, 0);
	return status;
}

/* ---- regions ---------------------------------------------------------- */

static void test_open(void)
{
	struct dsm_attr attr = { .block_size = 5000 };
	char name[32];
	dsm_region *again;

	FAILS(dsm_open(NULL, O_RDWR, 0, NULL), EINVAL);
	FAILS(dsm_open("", O_RDWR, 0, NULL), EINVAL);
	FAILS(dsm_open(".x", O_RDWR, 0, NULL), EINVAL);
	FAILS(dsm_open("a/b", O_RDWR, 0, NULL), EINVAL);
	FAILS(dsm_open("1234567890123456789012345678901234567890123456789012345678901234",
		       O_RDWR, 0, NULL), EINVAL);
	FAILS(dsm_open("nowhere", O_RDWR, 0, NULL), ENOENT);
	FAILS(dsm_open(REGION, O_WRONLY, 0, NULL), EINVAL);
	FAILS(dsm_open(REGION, O_RDWR | O_TRUNC, 0, NULL), EINVAL);
	FAILS(dsm_open(REGION, O_RDWR | O_EXCL, 0, NULL), EINVAL);
	FAILS(dsm_open("new", O_RDWR | O_CREAT, 0, NULL), EINVAL);
	FAILS(dsm_open("new", O_RDWR | O_CREAT, SIZE_MAX, NULL), EINVAL);
	FAILS(dsm_open("new", O_RDWR | O_CREAT, 4096, &attr), EINVAL);
	attr = (struct dsm_attr){ .home = 9 };
	FAILS(dsm_open("new", O_RDWR | O_CREAT, 4096, &attr), EINVAL);
	attr = (struct dsm_attr){ .mode = 01777 };
	FAILS(dsm_open("new", O_RDWR | O_CREAT, 4096, &attr), EINVAL);
	attr = (struct dsm_attr){ .consistency = 1 };
	FAILS(dsm_open("new", O_RDWR | O_CREAT, 4096, &attr), EINVAL);
	attr = (struct dsm_attr){ .replicas = 1 };
	FAILS(dsm_open("new", O_RDWR | O_CREAT, 4096, &attr), EINVAL);
	attr = (struct dsm_attr){ .reserved = { 0, 1 } };
	FAILS(dsm_open("new", O_RDWR | O_CREAT, 4096, &attr), EINVAL);

	FAILS(dsm_open(REGION, O_RDWR | O_CREAT | O_EXCL, 4096, NULL), EEXIST);
	FAILS(dsm_open(REGION, O_RDWR, 2 * REGION_SIZE, NULL), EINVAL);
	attr = (struct dsm_attr){ .block_size = 65536 };
	FAILS(dsm_open(REGION, O_RDWR, 0, &attr), EINVAL);
	again = dsm_open(REGION, O_RDWR, 0, NULL);
	if (CHECK(again)) {
		CHECK(dsm_base(again) == dsm_base(region));
		CHECK(dsm_size(again) == REGION_SIZE);
		CHECK(!dsm_close(again));
	}
	CHECK(shared->barrier.__count == (uint32_t)nodes);
	REFUSES(dsm_close(NULL), EINVAL);
	REFUSES(dsm_unlink("nowhere"), ENOENT);
	REFUSES(dsm_unlink("a/b"), EINVAL);

	snprintf(name, sizeof(name), "plain-%d", node);
	attr = (struct dsm_attr){
		.block_size = 16384, .home = DSM_HOME_INTERLEAVED, .mode = 0640,
	};
	again = dsm_open(name, O_RDWR | O_CREAT, 100000, &attr);
	if (CHECK(again)) {
		CHECK(dsm_size(again) == 7 * 16384);
		CHECK(!dsm_root(again));
		memset(dsm_base(again), 'x', dsm_size(again));
		CHECK(!dsm_root(again));
		errno = 0;
		CHECK(dsm_set_root(again, dsm_base(again)) && (errno == EINVAL || errno == ENOMEM));
		FAILS(dsm_heap_malloc(again, 1), ENOMEM);
		CHECK(!dsm_unlink(name));
		CHECK(!dsm_close(again));
	}
	FAILS(dsm_open(name, O_RDWR, 0, NULL), ENOENT);
}

static void program_rdonly(void)
{
	dsm_region *reader = dsm_open(REGION, O_RDONLY, 0, NULL);
	dsm_region *writer;
	char byte = 'r';
	int fds[2];

	if (!CHECK(reader))
		return;
	shared = dsm_root(reader);
	CHECK(shared && shared->barrier.__count);
	FAILS(dsm_heap_malloc(reader, 1), EACCES);
	REFUSES(dsm_set_root(reader, NULL), EACCES);
	CHECK(dsm_mutex_lock(&shared->mutex) == EACCES);
	CHECK(dsm_malloc_usable_size(shared) >= sizeof(*shared));
	REFUSES(dsm_prefetch(shared, 1, PROT_READ | PROT_WRITE), EACCES);
	CHECK(!pipe(fds) && write(fds[1], &byte, 1) == 1);
	REFUSES(read(fds[0], shared->object[0], 1), EFAULT);

	writer = dsm_open(REGION, O_RDWR, 0, NULL);
	if (!CHECK(writer))
		return;
	CHECK(dsm_base(writer) == dsm_base(reader));
	dsm_free(dsm_heap_malloc(writer, 100));
	FAILS(dsm_heap_malloc(reader, 1), EACCES);
	CHECK(!dsm_mutex_lock(&shared->mutex) && !dsm_mutex_unlock(&shared->mutex));
	CHECK(!dsm_close(writer));
	FAILS(dsm_heap_malloc(reader, 1), EACCES);
	CHECK(write(fds[1], &byte, 1) == 1);
	REFUSES(read(fds[0], shared->object[0], 1), EFAULT);
	CHECK(!dsm_close(reader));
}

static void test_rdonly(void)
{
	CHECK(!in_program("rdonly"));
}

static void program_collision(void)
{
	char *at = mmap((void *)DSM_ADDR_MIN, (size_t)1 << 40, PROT_NONE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE,
			-1, 0);

	CHECK(at == (char *)DSM_ADDR_MIN);
	FAILS(dsm_open(REGION, O_RDWR, 0, NULL), EADDRINUSE);
	CHECK(strstr(dsm_error_detail(), "taken by 400000000000-"));
	CHECK(*at == 0);	/* the process' own SIGSEGV */
}

static void program_default(void)
{
	volatile size_t half = SIZE_MAX / 2;
	void *ptr = &ptr;

	setenv("DSM_SIZE", "12Q", 1);
	FAILS(dsm_malloc(1), EINVAL);
	setenv("DSM_SIZE", "16M", 1);
	setenv("DSM_BLOCK_SIZE", "128K", 1);
	FAILS(dsm_malloc(1), EINVAL);
	setenv("DSM_BLOCK_SIZE", "12K", 1);
	FAILS(dsm_malloc(1), EINVAL);
	setenv("DSM_BLOCK_SIZE", "64K", 1);
	setenv("DSM_REGION", "a/b", 1);
	FAILS(dsm_malloc(1), EINVAL);
	setenv("DSM_REGION", "small", 1);
	if (!CHECK(dsm_default()))
		return;
	CHECK(dsm_size(dsm_default()) == 16 << 20);
	CHECK(dsm_default() == dsm_default());
	FAILS(dsm_malloc(17 << 20), ENOMEM);
	FAILS(dsm_calloc(half, 3), ENOMEM);
	FAILS(dsm_aligned_alloc(48, 1), EINVAL);
	FAILS(dsm_aligned_alloc(0, 1), EINVAL);
	FAILS(dsm_aligned_alloc(16 << 20, 1), ENOMEM);
	CHECK(dsm_posix_memalign(&ptr, 4, 1) == EINVAL);
	CHECK(dsm_posix_memalign(&ptr, 24, 1) == EINVAL);
	errno = 0;
	CHECK(dsm_posix_memalign(&ptr, 64, 17 << 20) == ENOMEM && !errno && ptr == &ptr);
	CHECK(!dsm_posix_memalign(&ptr, 4 << 20, 1) && !((uintptr_t)ptr % (4 << 20)));
	dsm_free(ptr);
	FAILS(dsm_heap_malloc(NULL, 1), EINVAL);
}

static void test_environment(void)
{
	int status = in_program("collision");

	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
	CHECK(!in_program("default"));
}

/* ---- the heap --------------------------------------------------------- */

static uint64_t counter(const char *name)
{
	char path[128];
	uint64_t value = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/sys/class/dsm/node/regions/" REGION "/stats/%s", name);
	file = fopen(path, "r");
	CHECK(file && fscanf(file, "%" SCNu64, &value) == 1);
	if (file)
		fclose(file);
	return value;
}

static uint64_t remote_faults(void)
{
	return counter("faults_remote_read") + counter("faults_remote_write");
}

static size_t object_size(int owner, int i)
{
	return 1 + (i * 37 + owner * 1001) % 3000 + (i % 50 ? 0 : 100000);
}

/* Each node allocates, and its neighbour checks, resizes and frees. */
static void test_heap(void)
{
	int other = (node + 1) % nodes;
	size_t size;

	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < OBJECTS; i++) {
			size = object_size(node, i);
			char *p = dsm_heap_malloc(region, size);

			if (!CHECK(p))
				return;
			memset(p, 'A' + node, size);
			atomic_store(&shared->object[node][i], p);
		}
		meet();
		for (int i = 0; i < OBJECTS; i++) {
			char *p = atomic_exchange(&shared->object[other][i], NULL);

			size = object_size(other, i);
			CHECK(dsm_malloc_usable_size(p) >= size);
			CHECK(p[0] == 'A' + other && p[size - 1] == 'A' + other);
			if (i % 3 == 0) {
				p = dsm_realloc(p, 2 * size);
				CHECK(p && p[0] == 'A' + other && p[size - 1] == 'A' + other);
			}
			dsm_free(p);
		}
		meet();
	}
}

/* Memory that a node allocates for itself stays on that node. */
static void test_heap_local(void)
{
	enum { WARM = 2, ROUNDS = 20, N = 300 };
	char *object[N];
	uint64_t before = 0;

	for (int round = 0; round < WARM + ROUNDS; round++) {
		if (round == WARM)
			before = remote_faults();
		for (int i = 0; i < N; i++) {
			object[i] = dsm_heap_malloc(region, 1 + i * 7 % 2000);
			if (!CHECK(object[i]))
				return;
			object[i][0] = 1;
		}
		for (int i = 0; i < N; i++)
			dsm_free(object[i]);
	}
	CHECK(remote_faults() == before);
}

static void *volatile freed;

static void double_free(void)
{
	dsm_free(freed);
}

static void interior_free(void)
{
	dsm_free((char *)freed + 8);
}

static void wild_free(void)
{
	int local;

	dsm_free((void *)((uintptr_t)&local + (uintptr_t)freed * 0));
}

static bool aborts(void (*run)(void))
{
	int status = in_child(run);

	return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

static void test_heap_abuse(void)
{
	freed = dsm_heap_malloc(region, 100);
	CHECK(aborts(interior_free));
	CHECK(aborts(wild_free));
	dsm_free(freed);
	CHECK(aborts(double_free));
	/* the process aborted in the heap, which still works */
	dsm_free(dsm_heap_malloc(region, 100));
}

static void alloc_forever(void)
{
	for (;;)
		dsm_free(dsm_heap_malloc(region, 1 + rand() % 50000));
}

static void test_heap_kill(void)
{
	for (int i = 0; i < 20; i++) {
		const struct timespec nap = { .tv_nsec = 5000000 + i * 1000000 };
		pid_t pid = fork();
		char *p;

		if (!pid) {
			srand(i);
			alloc_forever();
		}
		nanosleep(&nap, NULL);
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		p = dsm_heap_malloc(region, 3000);
		if (!CHECK(p))
			return;
		memset(p, 1, 3000);
		dsm_free(p);
	}
}

/* ---- synchronisation -------------------------------------------------- */

static void test_mutex(void)
{
	enum { N = 200 };
	uint64_t start;

	meet();
	start = shared->counter;
	meet();
	for (int i = 0; i < N; i++) {
		CHECK(!dsm_mutex_lock(&shared->mutex));
		*(volatile uint64_t *)&shared->counter += 1;
		CHECK(!dsm_mutex_unlock(&shared->mutex));
	}
	meet();
	CHECK(shared->counter == start + N * nodes);
}

static struct timespec later(long ms)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	ts.tv_nsec += ms % 1000 * 1000000;
	ts.tv_sec += ms / 1000 + ts.tv_nsec / 1000000000;
	ts.tv_nsec %= 1000000000;
	return ts;
}

static void test_mutex_errors(void)
{
	struct dsm_mutexattr attr = { .flags = 1 };
	struct timespec past = later(0), soon = later(100);
	struct timespec never = { .tv_nsec = 1000000000 };
	dsm_mutex_t local;

	CHECK(dsm_mutex_init(&local, NULL) == EINVAL);
	CHECK(dsm_mutex_init((void *)((char *)&shared->doomed + 4), NULL) == EINVAL);
	CHECK(dsm_mutex_lock((dsm_mutex_t *)&shared->cond) == EINVAL);
	CHECK(dsm_mutex_consistent(&shared->mutex) == EINVAL);
	CHECK(dsm_mutex_unlock(&shared->mutex) == EPERM);
	meet();
	if (!node) {
		CHECK(dsm_mutex_init(&shared->doomed, &attr) == EINVAL);
		CHECK(!dsm_mutex_lock(&shared->mutex));
		CHECK(dsm_mutex_lock(&shared->mutex) == EDEADLK);
		CHECK(dsm_mutex_timedlock(&shared->mutex, &soon) == EDEADLK);
		CHECK(dsm_mutex_timedlock(&shared->mutex, &past) == EDEADLK);
		CHECK(dsm_mutex_destroy(&shared->mutex) == EBUSY);
	}
	meet();
	if (node) {
		CHECK(dsm_mutex_trylock(&shared->mutex) == EBUSY);
		CHECK(dsm_mutex_timedlock(&shared->mutex, &past) == ETIMEDOUT);
		soon = later(50);
		CHECK(dsm_mutex_timedlock(&shared->mutex, &soon) == ETIMEDOUT);
		CHECK(dsm_mutex_timedlock(&shared->mutex, &never) == EINVAL);
		CHECK(dsm_mutex_unlock(&shared->mutex) == EPERM);
		CHECK(dsm_mutex_destroy(&shared->mutex) == EBUSY);
	}
	meet();
	if (!node)
		CHECK(!dsm_mutex_unlock(&shared->mutex));
	meet();
	/* A free mutex can be locked after the deadline, too; from another node. */
	if (node == nodes - 1) {
		CHECK(!dsm_mutex_timedlock(&shared->mutex, &past));
		CHECK(!dsm_mutex_unlock(&shared->mutex));
	}
	meet();
	soon = later(20000 * slowness());
	CHECK(!dsm_mutex_timedlock(&shared->mutex, &soon));
	CHECK(!dsm_mutex_unlock(&shared->mutex));
}

/*
 * Deadlines at the limits of time_t, whose sums might overflow. An endless wait exceeds the
 * time limit.
 */
static void test_times_far(void)
{
	static const time_t past[] = {
		1, 0, -1, INT32_MIN, INT64_MIN / 2, INT64_MIN + 1, INT64_MIN,
	};
	static const time_t future[] = { INT64_MAX, INT64_MAX - 1, INT64_MAX / 2, 1LL << 40 };
	const size_t n_past = sizeof(past) / sizeof(past[0]);
	const size_t n_future = sizeof(future) / sizeof(future[0]);

	alarm(LIMIT_S * slowness());
	meet();
	if (!node)
		CHECK(!dsm_mutex_lock(&shared->mutex));
	meet();
	for (size_t i = 0; node && i < n_past; i++) {
		for (long nsec = 0; nsec < 1000000000; nsec += 999999999) {
			struct timespec time = { past[i], nsec };

			CHECK(dsm_mutex_timedlock(&shared->mutex, &time) == ETIMEDOUT);
		}
	}
	meet();
	if (!node)
		CHECK(!dsm_mutex_unlock(&shared->mutex));
	for (size_t i = 0; i < n_past; i++) {
		struct timespec time = { past[i], 999999999 };

		CHECK(!dsm_mutex_lock(&shared->mutex));
		CHECK(dsm_cond_timedwait(&shared->cond, &shared->mutex, &time) == ETIMEDOUT);
		CHECK(!dsm_mutex_unlock(&shared->mutex));
	}
	/* All nodes lock it at once, so that most of them wait. */
	for (size_t i = 0; i < n_future; i++) {
		struct timespec time = { future[i], 999999999 };

		meet();
		CHECK(!dsm_mutex_timedlock(&shared->mutex, &time));
		shared->turn = 0;
		CHECK(!dsm_mutex_unlock(&shared->mutex));
		meet();
		CHECK(!dsm_mutex_lock(&shared->mutex));
		if (++shared->turn == (uint64_t)nodes)
			CHECK(!dsm_cond_broadcast(&shared->cond));
		while (shared->turn < (uint64_t)nodes)
			if (!CHECK(!dsm_cond_timedwait(&shared->cond, &shared->mutex, &time)))
				break;
		CHECK(!dsm_mutex_unlock(&shared->mutex));
	}
	meet();
	alarm(0);
}

static void lock_and_die(void)
{
	CHECK(!dsm_mutex_lock(&shared->doomed));
}

static void test_mutex_death(void)
{
	int err;

	meet();
	if (node == nodes - 1)
		CHECK(!in_child(lock_and_die));
	shared->dead = 0;
	meet();
	err = dsm_mutex_lock(&shared->doomed);
	if (err == EOWNERDEAD) {
		atomic_fetch_add(&shared->dead, 1);
		CHECK(!dsm_mutex_consistent(&shared->doomed));
		err = 0;
	}
	CHECK(!err);
	CHECK(!dsm_mutex_unlock(&shared->doomed));
	meet();
	CHECK(shared->dead == 1);
	CHECK(!dsm_mutex_lock(&shared->doomed));
	CHECK(!dsm_mutex_unlock(&shared->doomed));
	meet();

	if (!node)
		CHECK(!in_child(lock_and_die));
	meet();
	if (node == nodes - 1) {
		CHECK(dsm_mutex_lock(&shared->doomed) == EOWNERDEAD);
		CHECK(!dsm_mutex_unlock(&shared->doomed));
	}
	meet();
	CHECK(dsm_mutex_lock(&shared->doomed) == ENOTRECOVERABLE);
	CHECK(dsm_mutex_trylock(&shared->doomed) == ENOTRECOVERABLE);
	meet();
	if (!node) {
		CHECK(!dsm_mutex_destroy(&shared->doomed));
		CHECK(dsm_mutex_lock(&shared->doomed) == EINVAL);
		CHECK(!dsm_mutex_init(&shared->doomed, NULL));
	}
	meet();
	CHECK(!dsm_mutex_lock(&shared->doomed));
	CHECK(!dsm_mutex_unlock(&shared->doomed));
}

/* Round robin: each node waits for its turn and passes it on. */
static void test_cond(void)
{
	struct timespec soon = later(50);

	meet();
	CHECK(dsm_cond_wait(&shared->cond, &shared->mutex) == EPERM);
	CHECK(!dsm_mutex_lock(&shared->mutex));
	shared->turn = 0;
	CHECK(dsm_cond_timedwait(&shared->cond, &shared->mutex, &soon) == ETIMEDOUT);
	CHECK(!dsm_mutex_unlock(&shared->mutex));
	meet();
	for (uint64_t turn = node; turn < 30; turn += nodes) {
		CHECK(!dsm_mutex_lock(&shared->mutex));
		while (shared->turn < turn)
			if (!CHECK(!dsm_cond_wait(&shared->cond, &shared->mutex)))
				break;
		shared->turn++;
		CHECK(!dsm_cond_broadcast(&shared->cond));
		CHECK(!dsm_mutex_unlock(&shared->mutex));
	}
	meet();
	CHECK(shared->turn == 30);
	CHECK(!dsm_cond_signal(&shared->cond));
}

static void on_alarm(int signal)
{
	(void)signal;
}

static void test_barrier(void)
{
	const struct sigaction action = { .sa_handler = on_alarm };
	const struct itimerval often = { { 0, 3000 }, { 0, 3000 } }, never = { 0 };
	uint64_t start;

	CHECK(dsm_barrier_init(&shared->barrier, 0) == EINVAL);
	meet();
	meet();
	start = shared->serial;
	meet();		/* counted by one of the nodes, perhaps after the others have gone on */
	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &often, NULL);
	for (int i = 0; i < 20; i++)
		meet();
	setitimer(ITIMER_REAL, &never, NULL);
	meet();
	meet();
	CHECK(shared->serial >= start + 21 && shared->serial <= start + 24);
}

/* ---- the rest ----------------------------------------------------------- */

static void test_hints(void)
{
	CHECK(dsm_node_id() == node);
	CHECK(dsm_node_count() >= nodes);
	CHECK(!dsm_prefetch(shared, sizeof(*shared), PROT_READ));
	CHECK(!dsm_prefetch(shared, 0, PROT_READ | PROT_WRITE));
	REFUSES(dsm_prefetch(shared, 1, PROT_NONE), EINVAL);
	REFUSES(dsm_prefetch(shared, 1, PROT_READ | PROT_EXEC), EINVAL);
	REFUSES(dsm_prefetch(shared, REGION_SIZE, PROT_READ), ENOMEM);
	REFUSES(dsm_prefetch(&node, 1, PROT_READ), ENOMEM);
	REFUSES(dsm_sync(shared, sizeof(*shared)), EOPNOTSUPP);
	REFUSES(dsm_set_root(region, &node), EINVAL);
}

static const struct {
	const char *name;
	void (*run)(void);
} tests[] = {
	{ "open: every argument, and again", test_open },
	{ "open: read-only, upgraded, downgraded", test_rdonly },
	{ "open: an address that is taken; the default region's variables", test_environment },
	{ "heap: each node frees and grows what its neighbour allocated", test_heap },
	{ "heap: a node's own objects cost no remote fault", test_heap_local },
	{ "heap: abuse is reported and aborts", test_heap_abuse },
	{ "heap: processes killed in it", test_heap_kill },
	{ "mutex: excludes", test_mutex },
	{ "mutex: errors, timeouts", test_mutex_errors },
	{ "mutex, condition: times far in the past and in the future", test_times_far },
	{ "mutex: a holder dies; consistent, and not", test_mutex_death },
	{ "condition: takes turns; timeouts", test_cond },
	{ "barrier: one is told, signals or not", test_barrier },
	{ "prefetch, sync, node", test_hints },
};

static void bail(const char *what)
{
	printf("Bail out! %s: %s (%s)\n", what, strerror(errno), dsm_error_detail());
	exit(1);
}

static void shared_make(void)
{
	struct shared *it = dsm_heap_calloc(region, 1, sizeof(*it));

	if (!it)
		bail("heap");
	errno = dsm_barrier_init(&it->barrier, nodes) ?: dsm_mutex_init(&it->mutex, NULL) ?:
		dsm_mutex_init(&it->doomed, NULL) ?: dsm_cond_init(&it->cond);
	if (errno || dsm_set_root(region, it))
		bail("root");
}

static void shared_find(void)
{
	const struct timespec nap = { .tv_nsec = 5000000 };
	time_t start = time(NULL);

	while (!(shared = dsm_root(region))) {
		if (time(NULL) - start > ROOT_WAIT_S * slowness())
			bail("no root");
		nanosleep(&nap, NULL);
	}
}

static int program(const char *name)
{
	alarm(LIMIT_S * slowness());
	if (!strcmp(name, "rdonly"))
		program_rdonly();
	else if (!strcmp(name, "collision"))
		program_collision();
	else
		program_default();
	fflush(stdout);
	return checks_failed ? 99 : 0;
}

int main(int argc, char **argv)
{
	const size_t count = sizeof(tests) / sizeof(tests[0]);

	self = "/proc/self/exe";
	if (argc == 2)
		return program(argv[1]);
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (dsm_node_id() < 0) {
		printf("1..0 # SKIP %s\n", dsm_error_detail());
		return 4;
	}
	node = number("DSM_NODE", dsm_node_id());
	nodes = number("DSM_NODES", dsm_node_count());
	region = dsm_open(REGION, O_RDWR | O_CREAT, REGION_SIZE, NULL);
	if (!region)
		bail("open");
	if (!node)
		shared_make();
	shared_find();

	printf("TAP version 13\n1..%zu\n", count);
	for (size_t i = 0; i < count; i++) {
		meet();
		checks_failed = 0;
		tests[i].run();
		failures += !!checks_failed;
		printf("%s %zu - %s\n", checks_failed ? "not ok" : "ok", i + 1, tests[i].name);
	}
	meet();
	if (!node) {
		dsm_set_root(region, NULL);
		dsm_unlink(REGION);
		dsm_unlink("small");
	}
	dsm_close(region);
	return !!failures;
}
