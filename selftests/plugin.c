// SPDX-License-Identifier: GPL-2.0
/*
 * A program that loads libdsm with dlopen(), as a server loads plugins:
 *
 * 	plugin DIRECTORY	where libdsm.so.0 and libdsm-malloc.so are
 *
 * It runs on every node of a cluster. The library stays loaded for the threads that have used
 * it. It and libdsm-malloc.so fit into the space that the C library reserves for thread-local
 * variables. However often it is loaded, there is one instance of it.
 */
#include <dlfcn.h>
#include <errno.h>
#include <link.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	TLS_MAX	= 64,	/* bytes that each of the libraries may have */
	ROUNDS	= 3,
	LIMIT_S	= 120,
};

static char path[2][4096];	/* libdsm.so.0, libdsm-malloc.so */
static int failures, checks_failed, tests;

static bool check(bool holds, int line, const char *what)
{
	const char *(*detail)(void) = (const char *(*)(void))dlsym(RTLD_DEFAULT, "dsm_error_detail");

	if (!holds) {
		checks_failed++;
		printf("# line %d: %s (errno %s; %s)\n", line, what, strerrorname_np(errno),
		       detail ? detail() : "");
	}
	return holds;
}

#define CHECK(cond) check(cond, __LINE__, #cond)

static void result(const char *name)
{
	printf("%s %d - %s\n", checks_failed ? "not ok" : "ok", ++tests, name);
	fflush(stdout);
	failures += !!checks_failed;
	checks_failed = 0;
}

/* ---- a thread that ends after the library was closed ------------------- */

static pthread_barrier_t used, closed;
static void *library;

static void *use(void *arg)
{
	void *(*allocate)(size_t) = (void *(*)(size_t))dlsym(library, "dsm_malloc");
	char *ptr = allocate ? allocate(100) : NULL;

	CHECK(ptr);
	if (ptr)
		*ptr = 1;
	pthread_barrier_wait(&used);
	pthread_barrier_wait(&closed);
	return arg;
}

static void load_and_close(const char *name)
{
	for (int i = 0; i < ROUNDS; i++) {
		pthread_t thread;

		library = dlopen(name, RTLD_NOW | RTLD_LOCAL);
		if (!CHECK(library)) {
			printf("# %s\n", dlerror());
			return;
		}
		pthread_create(&thread, NULL, use, NULL);
		pthread_barrier_wait(&used);
		CHECK(!dlclose(library));
		pthread_barrier_wait(&closed);
		pthread_join(thread, NULL);
	}
}

/* ---- what the libraries need of the C library --------------------------- */

static int tls_of(struct dl_phdr_info *info, size_t size, void *data)
{
	int *seen = data;

	(void)size;
	if (!strstr(info->dlpi_name, "libdsm"))
		return 0;
	++*seen;
	for (int i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *header = &info->dlpi_phdr[i];

		if (header->p_type == PT_TLS && !CHECK(header->p_memsz <= TLS_MAX))
			printf("# %s: %zu bytes\n", info->dlpi_name, (size_t)header->p_memsz);
	}
	return 0;
}

static void load_both(void)
{
	int seen = 0;

	for (int i = 0; i < 2; i++)
		if (!CHECK(dlopen(path[i], RTLD_NOW | RTLD_LOCAL)))
			printf("# %s\n", dlerror());
	dl_iterate_phdr(tls_of, &seen);
	CHECK(seen == 2);
}

/* ---- preloaded and loaded ----------------------------------------------- */

/* The program executes itself with malloc from a region. */
static int preloaded(void)
{
	void *(*allocate)(size_t);
	void (*release)(void *);
	int (*usable)(void *);
	void *mine = malloc(1000);
	char *ptr;

	library = dlopen(path[0], RTLD_NOW | RTLD_LOCAL);
	if (!CHECK(library))
		return 1;
	allocate = (void *(*)(size_t))dlsym(library, "dsm_malloc");
	release = (void (*)(void *))dlsym(library, "dsm_free");
	usable = (int (*)(void *))dlsym(library, "dsm_malloc_usable_size");
	/* Both libraries use one heap, and each knows the other's objects. */
	ptr = allocate(1000);
	if (!CHECK(ptr && mine))
		return 1;
	memset(ptr, 1, 1000);
	CHECK(usable(mine) >= 1000);
	free(ptr);
	release(mine);
	CHECK(!dlclose(library));
	load_both();
	return !!checks_failed;
}

static int run_preloaded(char **argv)
{
	int status = -1;
	pid_t pid = fork();

	if (!pid) {
		setenv("LD_PRELOAD", path[1], 1);
		execl("/proc/self/exe", argv[0], argv[1], "preloaded", NULL);
		_exit(126);
	}
	waitpid(pid, &status, 0);
	return status;
}

int main(int argc, char **argv)
{
	int (*unlink_region)(const char *);
	char region[64];

	if (argc < 2)
		return 2;
	alarm(LIMIT_S * (getenv("SLOWNESS") ? atoi(getenv("SLOWNESS")) : 1));
	snprintf(path[0], sizeof(path[0]), "%s/libdsm.so.0", argv[1]);
	snprintf(path[1], sizeof(path[1]), "%s/libdsm-malloc.so", argv[1]);
	pthread_barrier_init(&used, NULL, 2);
	pthread_barrier_init(&closed, NULL, 2);
	if (argc > 2)
		return preloaded();
	if (access("/dev/dsm", R_OK | W_OK)) {
		printf("1..0 # SKIP there is no /dev/dsm\n");
		return 4;
	}
	snprintf(region, sizeof(region), "plugin-%s", getenv("DSM_NODE") ?: "0");
	setenv("DSM_REGION", region, 1);
	setenv("DSM_SIZE", "16M", 1);
	printf("TAP version 13\n1..3\n");
	load_and_close(path[0]);
	result("a thread ends after dlclose()");
	load_both();
	result("libdsm and libdsm-malloc fit into static TLS");
	CHECK(!run_preloaded(argv));
	result("libdsm is loaded where libdsm-malloc is preloaded");
	library = dlopen(path[0], RTLD_NOW | RTLD_LOCAL);
	unlink_region = (int (*)(const char *))dlsym(library, "dsm_unlink");
	if (unlink_region(region))
		return 1;
	return !!failures;
}
