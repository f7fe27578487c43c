// SPDX-License-Identifier: GPL-2.0
/*
 * Regions of other users: which of them a program accepts, and what a user that may write to a
 * region can do to its other users. See dsm(7), "A hostile sharer".
 */
#include <fcntl.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "test.h"

enum { SIZE = 8 << 20 };

static uid_t user_id(void)
{
	const struct passwd *user = getpwnam("user");

	ASSERT_TRUE(user);
	return user->pw_uid;
}

static void become(uid_t uid)
{
	if (!uid)
		return;
	ASSERT_OK(setresgid(uid, uid, uid));
	ASSERT_OK(setresuid(uid, uid, uid));
}

#define AS_USER(uid, ...) ({						\
	pid_t pid_ = fork();						\
									\
	if (!pid_) {							\
		become(uid);						\
		__VA_ARGS__;						\
		_exit(0);						\
	}								\
	wait_status(pid_);						\
})

/* ---- which regions are accepted ----------------------------------------- */

static const struct squat {
	bool owner_user, caller_user;
	mode_t mode;
	int open;	/* 0 or an error: O_RDWR without O_CREAT */
	int create;	/* ... with O_CREAT, */
	int named;	/* ... and with that mode in the attributes */
} squats[] = {
	{ true,  false, 0666, 0, EACCES, EACCES },	/* what another user left */
	{ true,  false, 0600, 0, EACCES, EACCES },
	{ true,  false, 0644, 0, EACCES, EACCES },
	{ false, false, 0600, 0, 0, 0 },
	{ false, false, 0644, 0, 0, 0 },
	{ false, false, 0620, 0, EACCES, 0 },
	{ false, false, 0602, 0, EACCES, 0 },
	{ false, true,  0666, 0, EACCES, 0 },
	{ false, true,  0600, EACCES, EACCES, EACCES },
	{ true,  true,  0600, 0, 0, 0 },
	{ true,  true,  0666, 0, EACCES, 0 },
};

static int open_error(const char *name, int flags, const struct dsm_attr *attr)
{
	dsm_region *region;

	errno = 0;
	region = dsm_open(name, flags, flags & O_CREAT ? SIZE : 0, attr);
	if (!region)
		return errno;
	EXPECT_TRUE(!strcmp(dsm_name(region), name));
	EXPECT_OK(dsm_close(region));
	return 0;
}

static void expect_detail(const char *name, const struct squat *squat)
{
	char wanted[100];

	snprintf(wanted, sizeof(wanted), "region %s is of uid %u and mode %04o", name,
		 squat->owner_user ? user_id() : 0, squat->mode);
	if (!strstr(dsm_error_detail(), wanted))
		test_failed(__FILE__, __LINE__, false, "'%s' instead of '%s'",
			    dsm_error_detail(), wanted);
}

static void try_squat(const char *name, const struct squat *squat)
{
	struct dsm_attr named = { .mode = squat->mode };
	struct dsm_attr shared = { .flags = DSM_ATTR_SHARED };

	EXPECT_EQ(open_error(name, O_RDWR, NULL), squat->open);
	EXPECT_EQ(open_error(name, O_RDWR | O_CREAT, NULL), squat->create);
	if (squat->create && !squat->open)
		expect_detail(name, squat);
	EXPECT_EQ(open_error(name, O_RDWR | O_CREAT, &named), squat->named);
	EXPECT_EQ(open_error(name, O_RDWR | O_CREAT, &shared), squat->open);
	EXPECT_EQ(open_error(name, O_RDWR | O_CREAT | O_EXCL, &shared), EEXIST);
	if (squat->owner_user != squat->caller_user && squat->owner_user)
		EXPECT_EQ(open_error(name, O_RDONLY | O_CREAT, NULL), EACCES);
	/* The default region is opened for writing, and is no exception. */
	ASSERT_OK(setenv("DSM_REGION", name, 1));
	errno = 0;
	EXPECT_EQ(!!dsm_malloc(100), !squat->create);
	EXPECT_EQ(errno, squat->create);
	ASSERT_OK(setenv("DSM_SHARED_HEAP", "1", 1));
	if (squat->create)
		EXPECT_EQ(!!dsm_malloc(100), !squat->open);
}

TEST(squatting)
{
	for (size_t i = 0; i < sizeof(squats) / sizeof(*squats); i++) {
		const struct squat *squat = &squats[i];
		char name[32];

		snprintf(name, sizeof(name), "squat-%zu", i);
		if (node() == nodes() - 1)
			EXPECT_EQ(AS_USER(squat->owner_user ? user_id() : 0, {
				struct dsm_attr attr = { .mode = squat->mode };

				ASSERT_TRUE(dsm_open(name, O_RDWR | O_CREAT | O_EXCL, SIZE, &attr));
			}), 0);
		together("made-%zu", i);
		if (!node()) {
			note("region of %s, %04o; caller %s", squat->owner_user ? "user" : "root",
			     squat->mode, squat->caller_user ? "user" : "root");
			EXPECT_EQ(AS_USER(squat->caller_user ? user_id() : 0,
					  try_squat(name, squat)), 0);
			EXPECT_OK(dsm_unlink(name));
		}
		together("tried-%zu", i);
	}
}

/* Each user has a region of its own. */
TEST(default_name)
{
	ASSERT_OK(unsetenv("DSM_REGION"));
	ASSERT_OK(setenv("DSM_SIZE", "8M", 1));
	for (int i = 0; i < 2; i++) {
		uid_t uid = i ? user_id() : 0;
		char name[32];

		snprintf(name, sizeof(name), "default-%u", uid);
		EXPECT_EQ(AS_USER(uid, {
			ASSERT_TRUE(dsm_malloc(100));
			EXPECT_TRUE(!strcmp(dsm_name(dsm_default()), name));
		}), 0);
		together("had-%d", i);
		if (!node())
			EXPECT_OK(dsm_unlink(name));
	}
	together("done");
}

/* ---- a preloaded malloc -------------------------------------------------- */

/*
 * The status of a program that allocates. With DSM_MALLOC_REQUIRED, it must use the region or
 * fail.
 */
static int run_preloaded(void)
{
	int status = AS_USER(0, {
		setenv("LD_PRELOAD", "/root/libdsm-malloc.so", 1);
		setenv("DSM_MALLOC_REQUIRED", "1", 1);
		execlp("dsmctl", "dsmctl", "status", NULL);
		_exit(126);
	});

	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

TEST(preloaded_refuses)
{
	struct dsm_attr attr = { .mode = 0666 };

	if (access("/root/libdsm-malloc.so", R_OK))
		skip("there is no /root/libdsm-malloc.so");
	if (node())
		return;
	EXPECT_EQ(AS_USER(user_id(),
			  ASSERT_TRUE(dsm_open("squat", O_RDWR | O_CREAT | O_EXCL, SIZE, &attr))), 0);
	ASSERT_OK(setenv("DSM_REGION", "squat", 1));
	EXPECT_EQ(run_preloaded(), 127);
	ASSERT_OK(setenv("DSM_SHARED_HEAP", "1", 1));
	EXPECT_EQ(run_preloaded(), 0);
	EXPECT_OK(dsm_unlink("squat"));
}

/* ---- what a hostile sharer can do ---------------------------------------- */

enum { ROUNDS = 8, OBJECTS = 200 };

/* A user of a heap that another process destroys: it may crash, or wait for ever. */
static void use_forever(dsm_region *region, _Atomic uint64_t *uses)
{
	void *object[OBJECTS] = { NULL };
	uint64_t state = seed() + getpid();

	for (;;) {
		int i = random_next(&state) % OBJECTS;

		dsm_free(object[i]);
		object[i] = dsm_heap_malloc(region, random_next(&state) % 3000);
		atomic_fetch_add(uses, 1);
	}
}

/* A region that no other user may write: everything in it must stay as it is. */
static void use_apart(const char *name, const char *stop)
{
	dsm_region *region = dsm_open(name, O_RDWR | O_CREAT | O_EXCL, SIZE, NULL);
	unsigned char *object[OBJECTS];

	ASSERT_TRUE(region);
	for (int i = 0; i < OBJECTS; i++) {
		object[i] = dsm_heap_malloc(region, 1 + i * 13);
		ASSERT_TRUE(object[i]);
		memset(object[i], i, 1 + i * 13);
	}
	do {
		for (int i = 0; i < OBJECTS; i++) {
			for (int j = 0; j < 1 + i * 13; j++)
				ASSERT_EQ(object[i][j], (unsigned char)i);
			dsm_free(object[i]);
			object[i] = dsm_heap_malloc(region, 1 + i * 13);
			ASSERT_TRUE(object[i]);
			memset(object[i], i, 1 + i * 13);
		}
	} while (access(stop, F_OK));
	ASSERT_OK(dsm_unlink(name));
}

/* All kinds of nonsense, everywhere, including the heap's own data. */
static void destroy(const char *name, int round)
{
	dsm_region *region = dsm_open(name, O_RDWR, 0, NULL);
	uint64_t state = seed() + round;
	uint64_t *at;

	ASSERT_TRUE(region);
	at = dsm_base(region);
	for (size_t i = 0; i < SIZE / sizeof(*at); i += 1 + random_next(&state) % 64) {
		uint64_t noise = random_next(&state);

		switch (round % 4) {
		case 0:
			at[i] = noise;
			break;
		case 1:	/* pointers into the region */
			at[i] = (uintptr_t)at + noise % SIZE;
			break;
		case 2:
			at[i] = ~0ULL;
			break;
		default:
			at[i] ^= 1ULL << noise % 64;
		}
	}
}

struct victim {
	char name[32];
	dsm_region *region;
	pid_t pid;
};

/* The kernel logs a fault without a handler, which the cluster would count as a failure. */
static void crash(int sig)
{
	_exit(128 + sig);
}

/* A process that uses a heap that others may write to. */
static void victim_start(struct victim *victim)
{
	struct dsm_attr attr = { .mode = 0666 };
	_Atomic uint64_t *uses;

	victim->region = dsm_open(victim->name, O_RDWR | O_CREAT | O_EXCL, SIZE, &attr);
	ASSERT_TRUE(victim->region);
	uses = mmap(NULL, sizeof(*uses), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		    -1, 0);
	ASSERT_TRUE(uses != MAP_FAILED);
	victim->pid = fork();
	if (!victim->pid) {
		signal(SIGSEGV, crash);
		signal(SIGBUS, crash);
		signal(SIGILL, crash);
		signal(SIGFPE, crash);
		/* the heap reports misuse, which is a lot of output */
		ASSERT_TRUE(freopen("/dev/null", "w", stderr));
		use_forever(victim->region, uses);
	}
	EXPECT_TRUE(WAIT_FOR(atomic_load(uses) > 100, 60));
	munmap((void *)uses, sizeof(*uses));
}

/* Whatever has happened to the process, it can be killed. */
static void victim_end(struct victim *victim)
{
	int status = 0;

	EXPECT_OK(kill(victim->pid, SIGKILL));
	EXPECT_TRUE(WAIT_FOR(waitpid(victim->pid, &status, WNOHANG) == victim->pid, 60));
	note("%s: ended by signal %d, exit status %d", victim->name, WTERMSIG(status),
	     WEXITSTATUS(status));
	EXPECT_OK(dsm_close(victim->region));
	EXPECT_OK(dsm_unlink(victim->name));
}

TEST_SECONDS(hostile_sharer, 600)
{
	char apart[32], stop[64];
	pid_t quiet = 0;

	snprintf(apart, sizeof(apart), "apart-%d", node());
	snprintf(stop, sizeof(stop), "/tmp/stop-%d-%d", node(), getpid());
	fflush(stdout);
	if (!node()) {
		quiet = fork();
		if (!quiet) {
			use_apart(apart, stop);
			_exit(0);
		}
	}
	for (int round = 0; round < ROUNDS; round++) {
		struct victim victim;

		snprintf(victim.name, sizeof(victim.name), "victim-%d", round);
		if (!node())
			victim_start(&victim);
		together("used-%d", round);
		if (node() == nodes() - 1)
			EXPECT_EQ(AS_USER(user_id(), destroy(victim.name, round)), 0);
		together("destroyed-%d", round);
		if (!node())
			victim_end(&victim);
	}
	if (!node()) {
		ASSERT_OK(close(open(stop, O_CREAT | O_WRONLY, 0600)));
		EXPECT_EQ(wait_status(quiet), 0);
		ASSERT_OK(unlink(stop));
	}
	together("end");
}
