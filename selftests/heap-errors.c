// SPDX-License-Identifier: GPL-2.0
/*
 * Which errors of a program malloc detects. Each of a table of sizes and errors is made in a
 * process of its own, which then runs on briefly. The program knows of no library. heap-errors
 * runs it with a preloaded library and without.
 *
 * 	heap-errors-test	a line for each error: its name, the size, 1 if it was detected
 */
#include <malloc.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum kind {
	WRITE,		/* write @length bytes at @at; if @behind, at @at from the end */
	WRITE_FREED,	/* the same after free */
	FREE_TWICE,
	FREE_TWICE_LATER,	/* free again after another object was freed */
	FREE_AT,	/* free the address at offset @at */
	FREE_STACK,
	REALLOC_FREED,
	REALLOC_AT,
};

static const struct error {
	const char *name;
	enum kind kind;
	bool behind;
	long at, length;
} errors[] = {
	{ "over-1",		WRITE, true, 0, 1 },
	{ "over-8",		WRITE, true, 0, 8 },
	{ "over-16",		WRITE, true, 0, 16 },
	{ "over-24",		WRITE, true, 0, 24 },
	{ "over-32",		WRITE, true, 0, 32 },
	{ "over-64",		WRITE, true, 0, 64 },
	{ "over-1000",		WRITE, true, 0, 1000 },
	{ "over-70000",		WRITE, true, 0, 70000 },
	{ "over-at-16",		WRITE, true, 16, 8 },
	{ "over-at-32",		WRITE, true, 32, 8 },
	{ "under-1",		WRITE, false, -1, 1 },
	{ "under-8",		WRITE, false, -8, 8 },
	{ "under-16",		WRITE, false, -16, 16 },
	{ "under-32",		WRITE, false, -32, 32 },
	{ "under-at-16",	WRITE, false, -16, 1 },
	{ "freed-write",	WRITE_FREED, false, 0, 8 },
	{ "freed-write-at-8",	WRITE_FREED, false, 8, 1 },
	{ "freed-over-8",	WRITE_FREED, true, 0, 8 },
	{ "free-twice",		FREE_TWICE, false, 0, 0 },
	{ "free-twice-later",	FREE_TWICE_LATER, false, 0, 0 },
	{ "free-at-1",		FREE_AT, false, 1, 0 },
	{ "free-at-16",		FREE_AT, false, 16, 0 },
	{ "free-stack",		FREE_STACK, false, 0, 0 },
	{ "realloc-freed",	REALLOC_FREED, false, 0, 0 },
	{ "realloc-at-8",	REALLOC_AT, false, 8, 0 },
};

static const size_t sizes[] = { 16, 24, 100, 1000, 5000, 40000, 200000, 3000000 };

enum { OBJECTS = 5, WRONG = 2 };

/* Hide the value from the compiler. */
static void *volatile object[OBJECTS];
static volatile size_t size_of_all;

static void write_wrong(const struct error *error)
{
	char *at = (char *)object[WRONG] + (error->behind ? size_of_all : 0) + error->at;

	memset(at, 0x5a, error->length);
}

/* Frees all objects in order, including or excluding object[WRONG]. */
static void make(const struct error *error)
{
	char *volatile wrong = object[WRONG];
	char local[64];

	switch (error->kind) {
	case WRITE:
		write_wrong(error);
		break;
	case WRITE_FREED:
		free(wrong);
		write_wrong(error);
		object[WRONG] = NULL;
		break;
	case FREE_TWICE:
		free(wrong);
		break;
	case FREE_TWICE_LATER:
		free(wrong);
		free(object[WRONG + 1]);
		object[WRONG + 1] = NULL;
		break;
	case FREE_AT:
		free(wrong + error->at);
		break;
	case FREE_STACK:
		wrong = local + 16;
		free(wrong);
		break;
	case REALLOC_FREED:
		free(wrong);
		object[WRONG] = realloc(wrong, size_of_all * 2);
		break;
	case REALLOC_AT:
		object[WRONG] = realloc(wrong + error->at, size_of_all * 2);
		break;
	}
}

static void run(const struct error *error, size_t size)
{
	static void *volatile more[40];

	size_of_all = size;
	for (int i = 0; i < OBJECTS; i++) {
		object[i] = malloc(size);
		memset(object[i], 'x', size);
	}
	make(error);
	for (int i = OBJECTS; i--; )
		free(object[i]);
	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < 40; i++)
			more[i] = malloc(size <= 200000 || i < 8 ? size : 1);
		for (int i = 0; i < 40; i++)
			free(more[i]);
	}
	exit(0);
}

static bool noticed(const struct error *error, size_t size)
{
	int status;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (!pid) {
		if (!freopen("/dev/null", "w", stderr))
			_exit(1);
		alarm(60);
		run(error, size);
	}
	if (waitpid(pid, &status, 0) != pid || (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM))
		exit(1);
	return status;
}

int main(void)
{
	for (size_t e = 0; e < sizeof(errors) / sizeof(*errors); e++)
		for (size_t s = 0; s < sizeof(sizes) / sizeof(*sizes); s++)
			printf("%s %zu %d\n", errors[e].name, sizes[s],
			       noticed(&errors[e], sizes[s]));
	return 0;
}
