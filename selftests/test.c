// SPDX-License-Identifier: GPL-2.0
/* Tests of a cluster: the functions of test.h, and main(). */
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <glob.h>
#include <setjmp.h>
#include <pwd.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "test.h"

enum {
	EXIT_SKIPPED	= 4,	/* kselftest's */
	ARGS_MAX	= 30,
	STEP_SECONDS	= 58,
};

#define SYSFS "/sys/class/dsm/node/"

/* Passed from a test's process to its parent. */
struct outcome {
	bool failed;
	bool skipped;
	char why[200];
};

static struct test *first;
static struct test **last = &first;
static struct test *current;
static struct outcome *outcome;
static uint64_t the_seed;
static int node_id;
static int node_count;
static unsigned int slowness = 1;

void test_register(struct test *test)
{
	*last = test;
	last = &test->next;
}

/* ---- results ------------------------------------------------------------ */

void note(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	printf("# ");
	vprintf(format, args);
	printf("\n");
	va_end(args);
}

void test_failed(const char *file, int line, bool stop, const char *format, ...)
{
	char text[500];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	note("%s:%d: %s: %s", file, line, current->name, text);
	outcome->failed = true;
	if (stop)
		_exit(EXIT_FAILURE);
}

void skip(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(outcome->why, sizeof(outcome->why), format, args);
	va_end(args);
	outcome->skipped = true;
	_exit(EXIT_SUCCESS);
}

/* ---- the cluster --------------------------------------------------------- */

int node(void)
{
	return node_id;
}

int nodes(void)
{
	return node_count;
}

int run(const char *program, ...)
{
	const char *argv[ARGS_MAX + 1] = { program };
	int argc = 1, status;
	va_list args;
	pid_t pid;

	va_start(args, program);
	while (argc < ARGS_MAX && (argv[argc] = va_arg(args, const char *)))
		argc++;
	va_end(args);
	argv[argc] = NULL;

	pid = fork();
	if (pid < 0)
		test_failed(__FILE__, __LINE__, true, "fork: %s", strerror(errno));
	if (!pid) {
		execvp(program, (char **)argv);
		fprintf(stderr, "%s: %s\n", program, strerror(errno));
		_exit(127);
	}
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			test_failed(__FILE__, __LINE__, true, "waitpid: %s", strerror(errno));
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

int helper_pid(void)
{
	int pid = 0;
	FILE *f = fopen("/run/dsmd.pid", "r");

	ASSERT_TRUE(f);
	ASSERT_EQ(fscanf(f, "%d", &pid), 1);
	fclose(f);
	return pid;
}

void together(const char *format, ...)
{
	char name[200], step[300];
	double start;
	va_list args;

	va_start(args, format);
	vsnprintf(name, sizeof(name), format, args);
	va_end(args);
	snprintf(step, sizeof(step), "%s.%s", current->name, name);
	/* together() gives up after STEP_SECONDS, but a test may take longer. */
	do {
		start = seconds();
		if (!run("step", step, NULL))
			return;
	} while (seconds() - start >= STEP_SECONDS);
	test_failed(__FILE__, __LINE__, true, "alone at step %s", step);
}

const char *region_name(void)
{
	return current->name;
}

dsm_region *share_region(size_t size, int home, size_t block_size)
{
	struct dsm_attr attr = { .home = home, .block_size = block_size };
	dsm_region *region = NULL;

	if (!node()) {
		region = dsm_open(region_name(), O_RDWR | O_CREAT | O_EXCL, size, &attr);
		if (!region)
			test_failed(__FILE__, __LINE__, true, "dsm_open: %s (%s)",
				    strerror(errno), dsm_error_detail());
	}
	together("region-made");
	if (node())
		region = dsm_open(region_name(), O_RDWR, 0, NULL);
	if (!region)
		test_failed(__FILE__, __LINE__, true, "dsm_open: %s (%s)", strerror(errno),
			    dsm_error_detail());
	return region;
}

void unshare_region(dsm_region *region)
{
	together("region-done");
	if (!node() && dsm_unlink(region_name()))
		test_failed(__FILE__, __LINE__, true, "dsm_unlink: %s", strerror(errno));
	if (dsm_close(region))
		test_failed(__FILE__, __LINE__, true, "dsm_close: %s", strerror(errno));
}

int open_device(void)
{
	struct dsm_api api = { .version = DSM_API_VERSION };
	int fd = open("/dev/dsm", O_RDWR | O_CLOEXEC);

	if (fd < 0 || ioctl(fd, DSM_IOC_API, &api))
		test_failed(__FILE__, __LINE__, true, "/dev/dsm: %s", strerror(errno));
	return fd;
}

int open_bound(unsigned int flags)
{
	struct dsm_region_arg arg = { .flags = flags };
	int fd = open_device();

	strcpy(arg.name, region_name());
	if (ioctl(fd, DSM_IOC_OPEN, &arg))
		test_failed(__FILE__, __LINE__, true, "DSM_IOC_OPEN: %s", strerror(errno));
	return fd;
}

static ssize_t read_file(const char *path, char *text, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = -1;

	if (fd >= 0) {
		n = read(fd, text, size - 1);
		close(fd);
	}
	text[n > 0 ? n : 0] = '\0';
	return n;
}

char task_state(pid_t tid)
{
	char path[64], text[512];
	char *end;

	snprintf(path, sizeof(path), "/proc/%d/stat", tid);
	if (read_file(path, text, sizeof(text)) <= 0)
		test_failed(__FILE__, __LINE__, true, "%s cannot be read: %s", path,
			    strerror(errno));
	end = strrchr(text, ')');
	return end ? end[2] : '?';
}

static sigjmp_buf after_signal;

static void on_signal(int signo)
{
	siglongjmp(after_signal, signo);
}

int access_signal(const void *at, bool write)
{
	struct sigaction action = { .sa_handler = on_signal }, old_segv, old_bus;
	int signo;

	sigaction(SIGSEGV, &action, &old_segv);
	sigaction(SIGBUS, &action, &old_bus);
	signo = sigsetjmp(after_signal, 1);
	if (!signo) {
		if (write)
			atomic_fetch_add(word(at, 0), 0);
		else
			(void)*word(at, 0);
	}
	sigaction(SIGSEGV, &old_segv, NULL);
	sigaction(SIGBUS, &old_bus, NULL);
	return signo;
}

int wait_status(pid_t pid)
{
	int status = -1;

	ASSERT_EQ(waitpid(pid, &status, 0), pid);
	return status;
}

int in_child(void (*what)(void))
{
	pid_t pid = fork();

	ASSERT_OK(pid);
	if (!pid) {
		what();
		_exit(0);
	}
	return wait_status(pid);
}

void become_user(uid_t plus)
{
	const struct passwd *user = getpwnam("user");

	ASSERT_TRUE(user);
	ASSERT_OK(setresgid(user->pw_gid, user->pw_gid, user->pw_gid));
	ASSERT_OK(setresuid(user->pw_uid + plus, user->pw_uid + plus, user->pw_uid + plus));
}

static long long read_number(const char *path)
{
	char text[64];

	if (read_file(path, text, sizeof(text)) <= 0)
		test_failed(__FILE__, __LINE__, true, "%s cannot be read: %s", path,
			    strerror(errno));
	return strtoll(text, NULL, 10);
}

long long node_get(const char *file)
{
	char path[400];

	snprintf(path, sizeof(path), SYSFS "%s", file);
	return read_number(path);
}

int node_write(const char *file, const char *text)
{
	char path[400];
	int fd, err = 0;
	size_t len = strlen(text);

	snprintf(path, sizeof(path), SYSFS "%s", file);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return errno;
	if (write(fd, text, len) != (ssize_t)len)
		err = errno;
	close(fd);
	return err;
}

int node_set(const char *file, long long value)
{
	char text[32];

	snprintf(text, sizeof(text), "%lld\n", value);
	return node_write(file, text);
}

long long region_stat(const char *counter)
{
	char file[300];

	snprintf(file, sizeof(file), "regions/%s/stats/%s", region_name(), counter);
	return node_get(file);
}

long long frames_exchanged(void)
{
	long long sum = 0;
	glob_t found;

	if (glob(SYSFS "peers/*/[tr]x_frames", 0, NULL, &found))
		test_failed(__FILE__, __LINE__, true, "no peers in " SYSFS);
	for (size_t i = 0; i < found.gl_pathc; i++)
		sum += read_number(found.gl_pathv[i]);
	globfree(&found);
	return sum;
}

/* ---- time, numbers ------------------------------------------------------- */

double seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec + now.tv_nsec * 1e-9;
}

unsigned int patience(unsigned int s)
{
	return s * slowness;
}

/* Between two polls of a state. */
void test_pause(void)
{
	const struct timespec pause = { .tv_nsec = 200 * 1000 };

	nanosleep(&pause, NULL);
}

uint64_t seed(void)
{
	return the_seed;
}

uint64_t random_next(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
	return z ^ (z >> 31);
}

uint64_t random_hash(uint64_t a, uint64_t b)
{
	uint64_t state = a;

	state = random_next(&state) ^ b;
	return random_next(&state);
}

/* ---- the run ------------------------------------------------------------- */

/* The test's process and its descendants are one process group. */
static bool run_test(struct test *test)
{
	int status;
	pid_t pid;

	memset(outcome, 0, sizeof(*outcome));
	current = test;
	pid = fork();
	if (pid < 0) {
		note("fork: %s", strerror(errno));
		return false;
	}
	if (!pid) {
		setpgid(0, 0);
		alarm(patience(test->seconds));
		test->run();
		_exit(EXIT_SUCCESS);
	}
	setpgid(pid, pid);
	if (waitpid(pid, &status, 0) != pid) {
		note("waitpid: %s", strerror(errno));
		return false;
	}
	kill(-pid, SIGKILL);
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM)
		note("%s: not done after %u s", test->name, patience(test->seconds));
	else if (WIFSIGNALED(status))
		note("%s: killed by %s", test->name, strsignal(WTERMSIG(status)));
	else if (WEXITSTATUS(status) && !outcome->failed)
		note("%s: exited with %d", test->name, WEXITSTATUS(status));
	return !status && !outcome->failed;
}

static bool chosen(const struct test *test, char **patterns)
{
	if (!*patterns)
		return true;
	while (*patterns)
		if (!fnmatch(*patterns++, test->name, FNM_EXTMATCH))
			return true;
	return false;
}

static int get_number(const char *name)
{
	const char *text = getenv(name);

	return text ? atoi(text) : -1;
}

/* [PATTERN]...: the tests whose names match, or all */
int main(int argc, char **argv)
{
	unsigned int planned = 0, number = 0, passed = 0, failed = 0, skipped = 0;
	const char *text = getenv("SEED");

	(void)argc;
	setvbuf(stdout, NULL, _IOLBF, 0);
	printf("TAP version 13\n");
	node_id = get_number("DSM_NODE");
	node_count = get_number("DSM_NODES");
	if (node_id < 0 || node_count < 1) {
		printf("1..0 # SKIP DSM_NODE and DSM_NODES are not set: not in a cluster\n");
		return EXIT_SKIPPED;
	}
	outcome = mmap(NULL, sizeof(*outcome), PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (outcome == MAP_FAILED ||
	    (!text && getrandom(&the_seed, sizeof(the_seed), 0) != sizeof(the_seed))) {
		printf("Bail out! %s\n", strerror(errno));
		return EXIT_FAILURE;
	}
	if (text)
		the_seed = strtoull(text, NULL, 0);
	if (get_number("SLOWNESS") > 1)
		slowness = get_number("SLOWNESS");
	for (struct test *test = first; test; test = test->next)
		planned += chosen(test, argv + 1);
	printf("1..%u\n", planned);
	note("seed %llu", (unsigned long long)the_seed);

	for (struct test *test = first; test && !failed; test = test->next) {
		double start = seconds();

		if (!chosen(test, argv + 1))
			continue;
		number++;
		if (!run_test(test)) {
			failed++;
			printf("not ok %u %s\n", number, test->name);
		} else if (outcome->skipped) {
			skipped++;
			printf("ok %u %s # SKIP %s\n", number, test->name, outcome->why);
		} else {
			passed++;
			printf("ok %u %s # %.1f s\n", number, test->name, seconds() - start);
		}
	}
	if (number < planned)
		printf("Bail out! %s failed\n", current->name);
	printf("# Totals: pass:%u fail:%u xfail:0 xpass:0 skip:%u error:0\n", passed, failed,
	       skipped);
	if (failed || !planned)
		return EXIT_FAILURE;
	return passed ? EXIT_SUCCESS : EXIT_SKIPPED;
}
