/* SPDX-License-Identifier: MIT */
#ifndef _DSM_ERROR_H
#define _DSM_ERROR_H

/* Sets errno and the thread's detail message; always -1, for return. */
int dsm_fail(int err, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* The same for functions that return the error number: always @err. */
int dsm_error(int err, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

#endif /* _DSM_ERROR_H */
