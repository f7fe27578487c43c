/* SPDX-License-Identifier: GPL-2.0 */
#ifndef DSMD_CONFIG_H
#define DSMD_CONFIG_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include <linux/dsm.h>

/**
 * struct config_address - HOST:PORT, as written and as resolved
 * @text: as written, NULL if not given
 * @addr: resolved when the configuration has been read
 */
struct config_address {
	char *text;
	struct sockaddr_storage addr;
	socklen_t addr_len;
};

/**
 * struct config - what the configuration file and the command line say
 * @node: this node's id, -1 until given
 * @nodes: how many there are: the peers and this one
 * @listen: where connections are accepted
 * @peers: by node id; this node's has no text
 * @heartbeat_ms: between two pings of a peer
 * @lost_ms: a peer not heard of for so long is lost
 * @log_level: LOG_ERR to LOG_DEBUG
 *
 * With what connections are made secure: a key, or the three after it, or nothing
 * @key: the file with the cluster's key, or NULL, as the next ones
 * @certificate: the file with this node's certificate
 * @private_key: the file with its key
 * @authority: the file with the certificates of those that may sign a node's
 * @revoked: the file with a list of certificates that are not good any more
 * @insecure: with nothing, knowingly
 * @record_limit: so many records of TLS may be written with one key; 0: as the cipher allows
 */
struct config {
	int node;
	uint32_t nodes;
	struct config_address listen;
	struct config_address peers[DSM_NODES_MAX];
	unsigned int heartbeat_ms;
	unsigned int lost_ms;
	int log_level;
	char *key;
	char *certificate;
	char *private_key;
	char *authority;
	char *revoked;
	bool insecure;
	uint64_t record_limit;
};

enum config_result {
	CONFIG_OK,
	CONFIG_BAD,	/* said why on stderr */
	CONFIG_DONE,	/* --help, --version: nothing more to do */
};

void config_init(struct config *config);
void config_exit(struct config *config);
const char *config_security(const struct config *config);
enum config_result config_read(struct config *config, int argc, char **argv);

#endif
