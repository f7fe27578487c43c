// SPDX-License-Identifier: MIT
/* The region behind dsm_malloc(). */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "dsm.h"
#include "error.h"
#include "process.h"
#include "region.h"

#define DEFAULT_SIZE	((size_t)256 << 20)

static _Atomic(dsm_region *) default_region;
static pthread_mutex_t default_lock = PTHREAD_MUTEX_INITIALIZER;

/* "64M": bytes, or 0 if that is no size. */
static size_t size_parse(const char *text)
{
	static const char suffixes[] = "KMG";
	unsigned long long n;
	const char *suffix;
	char *end;
	int shift = 0;

	if (*text < '0' || *text > '9')
		return 0;
	errno = 0;
	n = strtoull(text, &end, 10);
	suffix = *end ? strchr(suffixes, *end & ~0x20) : NULL;
	if (suffix && *suffix) {
		shift = 10 * (suffix - suffixes + 1);
		end++;
	}
	if (errno || *end || n > DSM_REGION_SIZE_MAX >> shift)
		return 0;
	return n << shift;
}

static dsm_region *default_open(void)
{
	const char *name = secure_getenv("DSM_REGION");
	const char *text = secure_getenv("DSM_SIZE");
	const char *block = secure_getenv("DSM_BLOCK_SIZE");
	const char *share = secure_getenv("DSM_SHARED_HEAP");
	size_t size = text ? size_parse(text) : DEFAULT_SIZE;
	size_t block_size = block ? size_parse(block) : 0;
	struct dsm_attr attr = { .block_size = block_size };
	struct dsm_attr found = { .flags = share && !strcmp(share, "1") ? DSM_ATTR_SHARED : 0 };
	char own_name[DSM_NAME_MAX];
	dsm_region *region;

	/* each user has one: no other has its name by accident */
	if (!name) {
		snprintf(own_name, sizeof(own_name), "default-%u", geteuid());
		name = own_name;
	}
	if (!size) {
		dsm_fail(EINVAL, "DSM_SIZE=%s: a number of bytes, with K, M or G, up to %llu",
			 text, DSM_REGION_SIZE_MAX);
		return NULL;
	}
	if (block && (!block_size || block_size > DSM_BLOCK_SIZE_MAX)) {
		dsm_fail(EINVAL, "DSM_BLOCK_SIZE=%s: a power of two from the page size to %u", block,
			 DSM_BLOCK_SIZE_MAX);
		return NULL;
	}
	/* whoever makes it decides its sizes */
	for (int tries = 0; tries < 100; tries++) {
		region = dsm_region_open_own(name, O_RDWR, 0, &found);
		if (region || errno != ENOENT)
			return region;
		region = dsm_open(name, O_RDWR | O_CREAT | O_EXCL, size, &attr);
		if (region || errno != EEXIST)
			return region;
	}
	return NULL;
}

static void fork_child(void)
{
	pthread_mutex_init(&default_lock, NULL);
}

__attribute__((constructor))
static void fork_init(void)
{
	dsm_process_atfork(NULL, NULL, fork_child);
}

dsm_region *dsm_default(void)
{
	dsm_region *region = atomic_load(&default_region);

	if (region)
		return region;
	dsm_process_check();
	pthread_mutex_lock(&default_lock);
	region = atomic_load(&default_region);
	if (!region) {
		region = default_open();
		atomic_store(&default_region, region);
	}
	pthread_mutex_unlock(&default_lock);
	return region;
}
