// SPDX-License-Identifier: GPL-2.0
/*
 * Failing allocations: allocations in the module's paths are made to fail, and no others
 * (Documentation/fault-injection). The caller gets an error or what it asked for, and
 * afterwards everything works.
 *
 * Each in turn (fail-nth): the first allocation of an operation fails, then the second, and so
 * on, with gaps where there are many, until the operation has no more. Then any of them, at
 * random, while all nodes run all kinds of operations at once.
 */
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "failing.h"
#include "test.h"

enum {
	PAGE		= 4096,
	/* More than any operation allocates, and more than those with pages of their own do. */
	NTH_MAX		= 400,
	PAGES_MAX	= 40,
};

/* ---- one allocation fails -------------------------------------------------- */

/* Make the @nth allocation of this task in the module fail. */
static void fail_nth(unsigned int nth)
{
	int fd = open("/proc/self/fail-nth", O_WRONLY | O_CLOEXEC);
	char text[16];
	int len = snprintf(text, sizeof(text), "%u", nth);

	ASSERT_OK(fd);
	ASSERT_EQ(write(fd, text, len), len);
	close(fd);
}

static bool has_failed(pid_t pid)
{
	char path[64], text[16] = "";
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/fail-nth", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	ASSERT_OK(fd);
	ASSERT_GT(read(fd, text, sizeof(text) - 1), 0);
	close(fd);
	return !atoi(text);
}

/**
 * * struct operation - an operation, each of whose allocations is made to fail
 * @name: its name
 * @before: prepares it; nothing fails there
 * @run: runs it for the @i-th time: 0 or an error number
 * @after: undoes it; nothing fails there
 * @error: the error that it may end with
 * @done: its result when nothing fails
 * @may_spare: it may succeed without an allocation
 */
struct operation {
	const char *name;
	void (*before)(unsigned int i);
	int (*run)(unsigned int i);
	void (*after)(unsigned int i);
	int error;
	int done;
	bool may_spare;
};

/* Attempts may take seconds. All of the first ones are made, and some of the many that follow. */
static unsigned int some_later(unsigned int nth, uint64_t *state)
{
	return nth + 1 + random_next(state) % (1 + nth / 6);
}

static void try_operation(const struct operation *op)
{
	unsigned int nth, tries = 0, refused = 0;
	uint64_t state = seed();
	bool failed = true;

	for (nth = 1; failed && nth <= NTH_MAX; nth = some_later(nth, &state)) {
		unsigned int i = tries++;
		int err;

		if (op->before)
			op->before(i);
		fail_nth(nth);
		err = op->run(i);
		failed = has_failed(getpid());
		fail_nth(0);
		/* That was the last allocation. The next attempt repeats the first. */
		if (err != op->done && err == op->error && failed) {
			refused++;
			err = op->run(i);
		}
		if (err != op->done)
			test_failed(__FILE__, __LINE__, true, "%s, allocation %u: %s", op->name,
				    nth, strerror(err));
		if (op->after)
			op->after(i);
	}
	note("%s: %u allocations failed, %u times it was refused", op->name, tries - 1, refused);
	EXPECT_TRUE(!failed);
	EXPECT_TRUE(tries > 1 || op->may_spare);
}

#define TRY(title, ...) try_operation(&(const struct operation){ .name = title, __VA_ARGS__ })

/* ---- each in turn ------------------------------------------------------- */

static dsm_region *region;
static char *base;
static int handle = -1;

static int open_handle(unsigned int i)
{
	(void)i;
	handle = open("/dev/dsm", O_RDWR | O_CLOEXEC);
	return handle < 0 ? errno : 0;
}

static void close_handle(unsigned int i)
{
	(void)i;
	close(handle);
}

static dsm_region *other;

static const char *other_name(void)
{
	static char name[64];

	snprintf(name, sizeof(name), "inject-%d", node());
	return name;
}

static int create_region(unsigned int i)
{
	(void)i;
	other = dsm_open(other_name(), O_RDWR | O_CREAT | O_EXCL, PAGE, NULL);
	return other ? 0 : errno;
}

static int unlink_region(unsigned int i)
{
	(void)i;
	return dsm_unlink(other_name()) ? errno : 0;
}

static void make_region(unsigned int i)
{
	ASSERT_EQ(create_region(i), 0);
}

static void close_region(unsigned int i)
{
	(void)i;
	EXPECT_OK(dsm_close(other));
}

static void remove_region(unsigned int i)
{
	EXPECT_EQ(unlink_region(i), 0);
	close_region(i);
}

static int open_region(unsigned int i)
{
	(void)i;
	other = dsm_open(region_name(), O_RDWR, 0, NULL);
	return other ? 0 : errno;
}

TEST(regions)
{
	region = share_region(PAGE, DSM_HOME_DEFAULT, 0);
	failing_prepare(NULL);
	together("prepared");
	TRY("open /dev/dsm", .run = open_handle, .after = close_handle, .error = ENOMEM);
	TRY("create a region", .run = create_region, .after = remove_region, .error = ENOMEM);
	TRY("open a region", .run = open_region, .after = close_region, .error = ENOMEM);
	TRY("unlink a region", .before = make_region, .run = unlink_region,
	    .after = close_region, .error = ENOMEM);
	unshare_region(region);
}

/* The kernel's access, which gets an error in place of a signal. */
static int zero_fd, pipe_fds[2];

static void open_files(void)
{
	zero_fd = open("/dev/zero", O_RDONLY | O_CLOEXEC);
	ASSERT_OK(zero_fd);
	ASSERT_OK(pipe(pipe_fds));
}

static int write_by_kernel(char *at)
{
	return read(zero_fd, at, 1) == 1 ? 0 : errno;
}

static int read_by_kernel(const char *at)
{
	if (write(pipe_fds[1], at, 1) != 1)
		return errno;
	ASSERT_EQ(read(pipe_fds[0], &(char){ 0 }, 1), 1);
	return 0;
}

/* Each operation, node and attempt has pages of its own. */
static char *page(int operation, unsigned int i)
{
	ASSERT_LT(i, PAGES_MAX);
	return base + ((operation * nodes() + node()) * PAGES_MAX + i) * PAGE;
}

static int read_page(unsigned int i)
{
	return read_by_kernel(page(0, i));
}

static int write_page(unsigned int i)
{
	return write_by_kernel(page(1, i) + 100);
}

static int upgrade_page(unsigned int i)
{
	return write_by_kernel(page(0, i) + 100);
}

/* The program's access, which never notices a failure. */
static int touch_page(unsigned int i)
{
	_Atomic uint64_t *at = word(page(2, i), 0);

	return atomic_fetch_add(at, 1) == 3 ? 0 : EINVAL;
}

static int prefetch_page(unsigned int i)
{
	return dsm_prefetch(page(3, i), PAGE, PROT_READ | PROT_WRITE) ? errno : 0;
}

/* The first access to a chunk, which then has this node as its home. */
static int touch_chunk(unsigned int i)
{
	ASSERT_LT(i, PAGES_MAX);
	return write_by_kernel(base + ((size_t)i * nodes() + node()) * DSM_CHUNK_SIZE);
}

TEST(blocks)
{
	enum { OPERATIONS = 4 };
	size_t pages = (size_t)OPERATIONS * nodes() * PAGES_MAX;

	open_files();
	region = share_region(pages * PAGE, DSM_HOME_INTERLEAVED, 0);
	base = dsm_base(region);
	/*
	 * All pages belong to the last node, so node 0 and others fetch, and the last node
	 * serves.
	 */
	if (node() == nodes() - 1)
		for (size_t i = 0; i < pages; i++)
			*word(base + i * PAGE, 0) = 3;
	failing_prepare(NULL);
	together("prepared");
	if (node() != nodes() - 1) {
		TRY("read a page", .run = read_page, .error = EFAULT);
		TRY("write a page read before", .run = upgrade_page, .error = EFAULT);
		TRY("write a page", .run = write_page, .error = EFAULT);
		TRY("write a page, as a program", .run = touch_page);
		TRY("prefetch a page", .run = prefetch_page, .error = ENOMEM);
	}
	together("tried");
	for (size_t i = node(); i < pages; i += nodes()) {
		uint64_t value = *word(base + i * PAGE, 0);

		EXPECT_TRUE(value == 3 || value == 4);
	}
	unshare_region(region);
}

TEST(chunks)
{
	open_files();
	region = share_region((size_t)PAGES_MAX * nodes() * DSM_CHUNK_SIZE, DSM_HOME_FIRST_TOUCH, 0);
	base = dsm_base(region);
	failing_prepare(NULL);
	together("prepared");
	TRY("touch a chunk", .run = touch_chunk, .error = EFAULT);
	unshare_region(region);
}

/* Objects whose home is node 0, and objects of this node alone. */
static struct objects {
	dsm_mutex_t mutex;
	dsm_cond_t cond;
	dsm_barrier_t barrier;
} *objects;

/* Not through libdsm, which calls the module and allocates only once. */
static int mutex_op(uint32_t op)
{
	struct dsm_sync_arg arg = { .op = op, .offset = (char *)&objects->mutex - base };

	return ioctl(handle, DSM_IOC_SYNC, &arg) ? errno : 0;
}

static int lock_mutex(unsigned int i)
{
	(void)i;
	return mutex_op(DSM_SYNC_LOCK);
}

static void take_mutex(unsigned int i)
{
	ASSERT_EQ(lock_mutex(i), 0);
}

static int trylock_mutex(unsigned int i)
{
	(void)i;
	return mutex_op(DSM_SYNC_TRYLOCK);
}

static int give_mutex(unsigned int i)
{
	(void)i;
	return mutex_op(DSM_SYNC_UNLOCK);
}

static void unlock_mutex(unsigned int i)
{
	EXPECT_EQ(give_mutex(i), 0);
}

static int attach(unsigned int i)
{
	struct dsm_attach_arg arg = {};

	(void)i;
	return ioctl(handle, DSM_IOC_ATTACH, &arg) ? errno : 0;
}

/* Afterwards the mutex is held in any case. */
static int wait_cond(unsigned int i)
{
	(void)i;
	return dsm_cond_timedwait(&objects->cond, &objects->mutex, &(struct timespec){ 0 });
}

static int signal_cond(unsigned int i)
{
	(void)i;
	return dsm_cond_signal(&objects->cond);
}

static int wait_barrier(unsigned int i)
{
	int err = dsm_barrier_wait(&objects->barrier);

	(void)i;
	return err == DSM_BARRIER_SERIAL_THREAD ? 0 : err;
}

TEST(synchronisation)
{
	region = share_region(nodes() * PAGE, DSM_HOME_CREATOR, 0);
	base = dsm_base(region);
	objects = (struct objects *)(base + node() * PAGE);
	handle = open_bound(0);
	ASSERT_EQ(dsm_mutex_init(&objects->mutex, NULL), 0);
	ASSERT_EQ(dsm_cond_init(&objects->cond), 0);
	ASSERT_EQ(dsm_barrier_init(&objects->barrier, 1), 0);
	failing_prepare(NULL);
	together("prepared");
	TRY("lock a mutex", .run = lock_mutex, .after = unlock_mutex, .error = ENOMEM);
	TRY("try to lock a mutex", .run = trylock_mutex, .after = unlock_mutex, .error = ENOMEM);
	/* Releasing a mutex always succeeds. */
	TRY("unlock a mutex", .before = take_mutex, .run = give_mutex, .may_spare = true);
	TRY("wait for a condition", .before = take_mutex, .run = wait_cond,
	    .after = unlock_mutex, .error = ENOMEM, .done = ETIMEDOUT);
	TRY("signal a condition", .run = signal_cond, .error = ENOMEM);
	TRY("wait at a barrier", .run = wait_barrier, .error = ENOMEM);
	/* only for a region's first process */
	TRY("attach", .run = attach, .error = ENOMEM);
	TRY("keep a mutex", .run = lock_mutex, .after = unlock_mutex, .error = ENOMEM);
	ASSERT_OK(close(handle));
	unshare_region(region);
}

/* ---- nodes, helpers, the module ------------------------------------------ */

/* The exit status of a child that does @what. */
static int result_of(void (*what)(unsigned int nth), unsigned int nth)
{
	int status;
	pid_t pid = fork();

	ASSERT_OK(pid);
	if (!pid) {
		what(nth);
		_exit(EXIT_FAILURE);
	}
	ASSERT_EQ(waitpid(pid, &status, 0), pid);
	ASSERT_TRUE(WIFEXITED(status));
	return WEXITSTATUS(status);
}

/*
 * The exit status: 0 for success; 1 if refused; 2 if nothing failed; 3 if refused although
 * nothing failed.
 */
static void make_namespace(unsigned int nth)
{
	int err;

	fail_nth(nth);
	err = unshare(CLONE_NEWNET) ? errno : 0;
	if (!has_failed(getpid()))
		_exit(err ? 3 : 2);
	fail_nth(0);
	EXPECT_TRUE(!err || err == ENOMEM);
	_exit(err ? 1 : 0);
}

TEST(namespaces)
{
	unsigned int nth = 1, refused = 0;
	int result = 0;

	failing_prepare(NULL);
	together("prepared");
	while (!node() && (result = result_of(make_namespace, nth)) != 2 && nth < NTH_MAX) {
		ASSERT_LT(result, 2);
		refused += result;
		nth++;
	}
	if (!node()) {
		note("make a namespace: %u allocations failed, %u times it was refused", nth - 1,
		     refused);
		EXPECT_EQ(result, 2);
		EXPECT_GT(refused, 0);
	}
	together("tried");
}

/* A helper for an unused node, in a network namespace of its own. */
static void run_helper(unsigned int nth)
{
	int log = open("/run/inject-dsmd.log", O_WRONLY | O_CREAT | O_TRUNC, 0600);

	ASSERT_OK(unshare(CLONE_NEWNET | CLONE_NEWNS));
	ASSERT_OK(mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL));
	ASSERT_OK(mount("sysfs", "/sys", "sysfs", 0, NULL));
	ASSERT_EQ(run("ip", "link", "set", "lo", "up", NULL), 0);
	ASSERT_OK(dup2(log, STDERR_FILENO));
	fail_nth(nth);
	execlp("dsmd", "dsmd", "--insecure", "--node", "0", "--listen", "127.0.0.1:7717", "--peer",
	       "1=127.0.0.2:7717", "--peer", "2=127.0.0.3:7717", NULL);
	_exit(EXIT_FAILURE);
}

static bool is_dsmd(pid_t pid)
{
	char path[100], name[20] = "";
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/comm", pid);
	f = fopen(path, "r");
	ASSERT_TRUE(f);
	ASSERT_TRUE(fgets(name, sizeof(name), f));
	fclose(f);
	return !strcmp(name, "dsmd\n");
}

static bool helper_registered(pid_t pid)
{
	char path[100];
	FILE *f;
	int is = 0;

	/* Before that, it sees this node's files. */
	if (!is_dsmd(pid))
		return false;
	snprintf(path, sizeof(path), "/proc/%d/root/sys/class/dsm/node/helper", pid);
	f = fopen(path, "r");
	if (f) {
		if (fscanf(f, "%d", &is) != 1)
			is = 0;
		fclose(f);
	}
	return is;
}

/* Did the helper get through? @failed: did any allocation fail? */
static bool start_helper(unsigned int nth, bool *failed)
{
	int status = 0;
	bool up;
	pid_t pid = fork();

	ASSERT_OK(pid);
	if (!pid) {
		run_helper(nth);
		_exit(EXIT_FAILURE);
	}
	ASSERT_TRUE(WAIT_FOR(helper_registered(pid) || task_state(pid) == 'Z', 30));
	up = task_state(pid) != 'Z';
	*failed = has_failed(pid);
	if (up)
		ASSERT_OK(kill(pid, SIGTERM));
	ASSERT_EQ(waitpid(pid, &status, 0), pid);
	/* A refused helper prints an error and exits. */
	EXPECT_TRUE(WIFEXITED(status));
	EXPECT_EQ(!WEXITSTATUS(status), up);
	return up;
}

TEST_SECONDS(registrations, 600)
{
	unsigned int nth, tries = 0, refused = 0;
	uint64_t state = seed();
	bool failed = true;

	failing_prepare(NULL);
	together("prepared");
	/* Namespaces are created slowly, one at a time: one node is enough. */
	for (nth = 1; !node() && nth < NTH_MAX && failed; nth = some_later(nth, &state)) {
		bool up = start_helper(nth, &failed);

		tries++;
		refused += !up;
		EXPECT_TRUE(up || failed);
	}
	if (!node()) {
		note("register a helper: %u allocations failed, %u times it was refused",
		     tries - 1, refused);
		EXPECT_TRUE(!failed);
		EXPECT_GT(refused, 0);
	}
	together("tried");
}

/* ---- the module ---------------------------------------------------------- */

static bool module_there(void)
{
	return !access("/sys/module/dsm/refcnt", F_OK);
}

static bool unloaded(void)
{
	return !syscall(SYS_delete_module, "dsm", O_NONBLOCK);
}

/* The exit status is that of make_namespace(). */
static void load_module(unsigned int nth)
{
	struct utsname name;
	char path[300];
	int fd, err;

	ASSERT_OK(uname(&name));
	snprintf(path, sizeof(path), "/lib/modules/%s/extra/dsm.ko", name.release);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	ASSERT_OK(fd);
	fail_nth(nth);
	err = syscall(SYS_finit_module, fd, "", 0) ? errno : 0;
	if (!has_failed(getpid()))
		_exit(err ? 3 : 2);
	fail_nth(0);
	/* device_add() returns EINVAL when there is no memory for a device's name. */
	if (err && err != EINVAL)
		EXPECT_EQ(err, ENOMEM);
	_exit(err ? 1 : 0);
}

/* Allocations below the init call, since the address of its code is not known before. */
static void load_with_failures(void)
{
	unsigned int nth = 1, refused = 0;
	uint64_t state = seed();
	int result;

	failing_prepare("do_one_initcall");
	while ((result = result_of(load_module, nth)) != 2 && nth < NTH_MAX) {
		ASSERT_LT(result, 2);
		EXPECT_EQ(module_there(), !result);
		/* The module works without these. */
		if (!result)
			ASSERT_TRUE(WAIT_FOR(unloaded(), 20));
		refused += result;
		nth = some_later(nth, &state);
	}
	note("load the module: %u allocations, refused %u times", nth - 1, refused);
	EXPECT_EQ(result, 2);
	EXPECT_GT(refused, 0);
}

TEST_SECONDS(loading, 600)
{
	bool mine = !node();

	if (!failing_possible())
		skip("this kernel cannot be made to run out of memory");
	together("begun");
	ASSERT_EQ(run("dsmd-ctl", "kill", NULL), 0);
	together("killed");
	if (mine)
		ASSERT_TRUE(WAIT_FOR(unloaded(), 20));
	together("unloaded");
	/* Once per kernel, since nodes may share one. */
	if (module_there()) {
		mine = true;
		ASSERT_TRUE(WAIT_FOR(unloaded(), 20));
	}
	together("all-unloaded");
	if (mine)
		load_with_failures();
	together("loaded");
	ASSERT_EQ(run("dsmd-ctl", "start", NULL), 0);
	together("started");
	/* The module works again. */
	region = share_region(PAGE, DSM_HOME_CREATOR, 0);
	atomic_fetch_add(word(dsm_base(region), 0), 1);
	together("incremented");
	EXPECT_EQ(*word(dsm_base(region), 0), nodes());
	unshare_region(region);
}

/* ---- at random, under load ---------------------------------------------- */

enum {
	LOAD_PAGES	= 32,
	LOAD_OPERATIONS	= 300,
	LOAD_PERCENT	= 1,		/* of the module's allocations fail */
};

static struct load {
	_Atomic uint64_t *sum;		/* what each node has added */
	_Atomic uint64_t *locked;	/* with the mutex held, by reading and writing */
	uint64_t added, locked_added;
	unsigned int refused;
} load;

static char *load_page(uint64_t random)
{
	return base + (1 + random % LOAD_PAGES) * PAGE;
}

/* One of the errors that are allowed. */
static void load_result(int err, int allowed)
{
	EXPECT_TRUE(!err || err == allowed);
	load.refused += !!err;
}

static void load_lock(void)
{
	int err = dsm_mutex_lock(&objects->mutex);

	load_result(err, ENOMEM);
	if (err)
		return;
	atomic_store(load.locked, atomic_load(load.locked) + 1);
	load.locked_added++;
	EXPECT_EQ(dsm_mutex_unlock(&objects->mutex), 0);
}

static void load_open(void)
{
	int err = open_region(0);

	load_result(err, ENOMEM);
	if (!err)
		close_region(0);
}

static void load_operation(unsigned int which, uint64_t random)
{
	char *at = load_page(random);

	switch (which) {
	case 0:
		load_result(write_by_kernel(at + 100), EFAULT);
		break;
	case 1:
		load_result(read_by_kernel(at), EFAULT);
		break;
	case 2:
		load_lock();
		break;
	case 3:
		load_result(dsm_prefetch(at, PAGE, PROT_READ | PROT_WRITE) ? errno : 0, ENOMEM);
		break;
	case 4:
		load_open();
		break;
	default:
		/* The program itself notices nothing. */
		atomic_fetch_add(word(at, 0), 1);
		load.added++;
		break;
	}
}

/* How often each node has added, which no other node knows. */
static void load_compare(void)
{
	uint64_t sum = 0;

	atomic_fetch_add(load.sum, load.added);
	atomic_fetch_add(load.sum + 1, load.locked_added);
	together("counted");
	for (int i = 0; i < LOAD_PAGES; i++)
		sum += *word(load_page(i), 0);
	EXPECT_EQ(sum, *load.sum);
	EXPECT_EQ(*load.locked, load.sum[1]);
	together("compared");
}

TEST_SECONDS(under_load, 600)
{
	uint64_t state = seed();
	unsigned int failed;

	open_files();
	region = share_region((1 + LOAD_PAGES) * PAGE, DSM_HOME_INTERLEAVED, 0);
	base = dsm_base(region);
	objects = (struct objects *)base;
	load.locked = word(base + PAGE / 2, 0);
	load.sum = word(base + PAGE / 2, 1);
	if (!node())
		ASSERT_EQ(dsm_mutex_init(&objects->mutex, NULL), 0);
	failing_prepare(NULL);
	together("prepared");
	failing_start(LOAD_PERCENT);
	for (int i = 0; i < LOAD_OPERATIONS; i++)
		load_operation(random_next(&state) % 8, random_next(&state));
	together("tried");
	failed = failing_stop();
	together("over");
	note("%u of the module's allocations failed, %u of this node's %d operations were refused",
	     failed, load.refused, LOAD_OPERATIONS);
	EXPECT_GT(failed, 0);
	load_compare();
	load.refused = 0;
	for (int i = 0; i < 6; i++)
		load_operation(i, i);
	EXPECT_EQ(load.refused, 0);
	unshare_region(region);
}
