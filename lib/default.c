// SPDX-License-Identifier: MIT
/* The region behind dsm_malloc(). */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

#include "dsm.h"
#include "error.h"
#include "options.h"
#include "process.h"
#include "region.h"

static _Atomic(dsm_region *) default_region;
static pthread_mutex_t default_lock = PTHREAD_MUTEX_INITIALIZER;

static dsm_region *default_open(void)
{
	const char *name = dsm_option_text(OPTION_REGION);
	const char *size_wrong = NULL, *block_wrong = NULL;
	size_t size = dsm_option_number(OPTION_SIZE, &size_wrong);
	struct dsm_attr attr = {
		.block_size = dsm_option_number(OPTION_BLOCK_SIZE, &block_wrong),
	};
	struct dsm_attr found = {
		.flags = dsm_option_number(OPTION_SHARED_HEAP, NULL) ? DSM_ATTR_SHARED : 0,
	};
	char own_name[DSM_NAME_MAX];
	dsm_region *region;

	/* each user has one: no other has its name by accident */
	if (!name) {
		snprintf(own_name, sizeof(own_name), "default-%u", geteuid());
		name = own_name;
	}
	if (size_wrong || block_wrong) {
		dsm_fail(EINVAL, "%s=%s: it must be %s", size_wrong ? "DSM_SIZE" : "DSM_BLOCK_SIZE",
			 dsm_option_text(size_wrong ? OPTION_SIZE : OPTION_BLOCK_SIZE),
			 size_wrong ? size_wrong : block_wrong);
		return NULL;
	}
	/* the process that makes the region decides its sizes */
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
