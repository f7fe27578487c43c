// SPDX-License-Identifier: GPL-2.0
/*
 * The node's files in sysfs. A file has one value, and a directory is one thing. So this code
 * need not know what they mean.
 */
#include "sysfs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <json.h>

#define ROOT	"/sys/class/dsm/node"

/* Files that the kernel adds to every device. */
static bool is_ours(const struct dirent *entry)
{
	static const char *const theirs[] = { "power", "subsystem", "uevent", "device" };

	if (*entry->d_name == '.')
		return false;
	for (size_t i = 0; i < sizeof(theirs) / sizeof(theirs[0]); i++)
		if (!strcmp(entry->d_name, theirs[i]))
			return false;
	return true;
}

static int filter(const struct dirent *entry)
{
	return is_ours(entry);
}

static struct json_object *value_parse(const char *text)
{
	bool decimal = *text >= '1' && *text <= '9';	/* an octal mode is not a number */
	unsigned long long n;
	char *end;

	errno = 0;
	n = strtoull(text, &end, 10);
	if ((decimal || !strcmp(text, "0")) && !*end && !errno)
		return json_object_new_uint64(n);
	return json_object_new_string(text);
}

/* NULL: it is gone, or is not readable. */
static struct json_object *file_read(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	char text[256];
	ssize_t n;

	if (fd < 0)
		return NULL;
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	if (n < 0)
		return NULL;
	text[n] = '\0';
	text[strcspn(text, "\n")] = '\0';
	return value_parse(text);
}

static struct json_object *dir_read(const char *dir, bool deep)
{
	struct json_object *object, *value;
	struct dirent **list;
	char path[512];
	struct stat st;
	int n = scandir(dir, &list, filter, versionsort);

	if (n < 0)
		return NULL;
	object = json_object_new_object();
	for (int i = 0; i < n; i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, list[i]->d_name);
		value = NULL;
		if (!lstat(path, &st) && S_ISREG(st.st_mode))
			value = file_read(path);
		else if (deep && S_ISDIR(st.st_mode))
			value = dir_read(path, deep);
		if (value)
			json_object_object_add(object, list[i]->d_name, value);
		free(list[i]);
	}
	free(list);
	return object;
}

struct json_object *sysfs_read(const char *path, bool deep)
{
	char full[512];

	snprintf(full, sizeof(full), "%s%s%s", ROOT, *path ? "/" : "", path);
	return dir_read(full, deep);
}

bool sysfs_present(void)
{
	return !access(ROOT, F_OK);
}
