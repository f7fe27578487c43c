/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _DSMCTL_PRINT_H
#define _DSMCTL_PRINT_H

struct json_object;

void print_json(struct json_object *object);

/* A member a line, its name and its value; objects in it are left out. */
void print_members(struct json_object *object);

/*
 * An object of objects as a table: a line each, first its name under @title,
 * then its members named in @columns, which ends with NULL.
 */
void print_table(struct json_object *rows, const char *title,
		 const char *const *columns);

#endif /* _DSMCTL_PRINT_H */
