/* SPDX-License-Identifier: GPL-2.0 */
#ifndef DSMD_KTLS_H
#define DSMD_KTLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <gnutls/gnutls.h>

/* A record has so many bytes at most. */
#define KTLS_RECORD_MAX		16384

int ktls_check(void);
bool ktls_start(gnutls_session_t session, int fd, char *why, size_t size);
uint64_t ktls_record_limit(const char *cipher);

#endif
