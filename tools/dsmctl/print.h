/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _DSMCTL_PRINT_H
#define _DSMCTL_PRINT_H

struct json_object;

void print_json(struct json_object *object);

/* Prints a line for each member: its name and its value. Leaves out members that are objects. */
void print_members(struct json_object *object);

/*
 * Prints an object of objects as a table. Each line has an object's name, under @title, and
 * its members
 * @columns, a list that ends with NULL.
 */
void print_table(struct json_object *rows, const char *title,
		 const char *const *columns);

#endif /* _DSMCTL_PRINT_H */
