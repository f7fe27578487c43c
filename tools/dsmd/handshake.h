/* SPDX-License-Identifier: GPL-2.0 */
#ifndef DSMD_HANDSHAKE_H
#define DSMD_HANDSHAKE_H

#include <stdbool.h>
#include <stddef.h>

struct credentials;
struct handshake;

struct handshake *handshake_new(const struct credentials *credentials, int fd, bool client);
void handshake_free(struct handshake *handshake);
int handshake_go_on(struct handshake *handshake, char *why, size_t size);
bool handshake_wants_to_write(const struct handshake *handshake);
int handshake_node(const struct handshake *handshake);
bool handshake_to_kernel(struct handshake *handshake, const char **cipher, char *why, size_t size);

#endif
