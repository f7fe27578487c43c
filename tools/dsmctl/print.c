// SPDX-License-Identifier: GPL-2.0
/* Prints JSON objects as text. */
#include "print.h"

#include <stdio.h>
#include <string.h>

#include <json.h>

void print_json(struct json_object *object)
{
	puts(json_object_to_json_string_ext(object, JSON_C_TO_STRING_PRETTY |
					    JSON_C_TO_STRING_SPACED |
					    JSON_C_TO_STRING_NOSLASHESCAPE));
}

static int max(int a, int b)
{
	return a > b ? a : b;
}

static const char *cell(struct json_object *row, const char *column)
{
	struct json_object *value;

	if (!json_object_object_get_ex(row, column, &value))
		return "-";
	return json_object_get_string(value);
}

void print_members(struct json_object *object)
{
	int width = 0;

	json_object_object_foreach(object, name, value)
		if (!json_object_is_type(value, json_type_object))
			width = max(width, strlen(name));
	json_object_object_foreach(object, key, shown)
		if (!json_object_is_type(shown, json_type_object))
			printf("%-*s  %s\n", width, key,
			       json_object_get_string(shown));
}

static int column_width(struct json_object *rows, const char *column)
{
	int width = strlen(column);

	json_object_object_foreach(rows, name, row) {
		(void)name;
		width = max(width, strlen(cell(row, column)));
	}
	return width;
}

static int title_width(struct json_object *rows, const char *title)
{
	int width = strlen(title);

	json_object_object_foreach(rows, name, row) {
		(void)row;
		width = max(width, strlen(name));
	}
	return width;
}

void print_table(struct json_object *rows, const char *title,
		 const char *const *columns)
{
	int width = title_width(rows, title);
	int widths[16];

	printf("%-*s", width, title);
	for (int i = 0; columns[i]; i++) {
		widths[i] = column_width(rows, columns[i]);
		printf("  %*s", widths[i], columns[i]);
	}
	putchar('\n');
	json_object_object_foreach(rows, name, row) {
		printf("%-*s", width, name);
		for (int i = 0; columns[i]; i++)
			printf("  %*s", widths[i], cell(row, columns[i]));
		putchar('\n');
	}
}
