/* SPDX-License-Identifier: GPL-2.0 */
#ifndef DSMD_CREDENTIALS_H
#define DSMD_CREDENTIALS_H

#include <stdbool.h>

#include <gnutls/gnutls.h>
#include <gnutls/x509.h>

#include "../security.h"

struct config;

/* What certificate_node() returns where there is no such node. */
enum { CERTIFICATE_NAMES_NONE = -1, CERTIFICATE_NAMES_SEVERAL = -2 };

/**
 * struct credentials - what this node proves with that it belongs to the cluster
 * @priority: the ciphers, in the order in which this node prefers them
 * @psk_client: with a key, for connections that we make
 * @psk_server: with a key, for those that we accept
 * @x509: with certificates; otherwise NULL
 * @key: the cluster's key
 */
struct credentials {
	gnutls_priority_t priority;
	gnutls_psk_client_credentials_t psk_client;
	gnutls_psk_server_credentials_t psk_server;
	gnutls_certificate_credentials_t x509;
	unsigned char key[SECURITY_KEY_SIZE];
};

struct credentials *credentials_new(const struct config *config);
void credentials_free(struct credentials *credentials);
bool credentials_prefer(struct credentials *credentials, bool key, bool aes);
int certificate_node(gnutls_x509_crt_t certificate);

#endif
