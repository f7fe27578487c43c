// SPDX-License-Identifier: GPL-2.0
/*
 * What a node proves with that it belongs to the cluster: the cluster's key, or a
 * certificate that names the node. Read once, at the start.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#if defined(__aarch64__)
#include <sys/auxv.h>
#include <asm/hwcap.h>
#endif

#include <linux/dsm.h>

#include "config.h"
#include "credentials.h"
#include "log.h"

#define KEY_IDENTITY	"dsm"
#define KEY_DIGITS	(2 * SECURITY_KEY_SIZE)

/* TLS 1.3 alone, and no cipher that the kernel's TLS does not have. */
#define PRIORITY	"NONE:+VERS-TLS1.3:+AEAD:+SHA256:+GROUP-X25519:+GROUP-SECP256R1:+SIGN-ALL:"
#define PRIORITY_KEY	":+ECDHE-PSK"
#define PRIORITY_X509	":+CTYPE-X509:+ECDHE-ECDSA:+ECDHE-RSA"
/* If one of two nodes has no instructions for AES, both use ChaCha20. */
#define PRIORITY_AES	"+AES-128-GCM:+CHACHA20-POLY1305"
#define PRIORITY_NO_AES	"+CHACHA20-POLY1305:+AES-128-GCM:%SERVER_PRECEDENCE"

/* Has the processor instructions for AES-GCM? */
static bool aes_is_fast(void)
{
#if defined(__x86_64__)
	return __builtin_cpu_supports("aes") && __builtin_cpu_supports("pclmul");
#elif defined(__aarch64__)
	return (getauxval(AT_HWCAP) & (HWCAP_AES | HWCAP_PMULL)) == (HWCAP_AES | HWCAP_PMULL);
#else
	return false;
#endif
}

/* A file with a secret in it, open; -1, and a complaint, if others can read it. */
static int secret_open(const char *what, const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat st;

	if (fd < 0 || fstat(fd, &st)) {
		log_error("%s: %s: %m", what, path);
	} else if (!S_ISREG(st.st_mode)) {
		log_error("%s: %s is no regular file", what, path);
	} else if (st.st_mode & (S_IRWXG | S_IRWXO)) {
		log_error("%s: others than the owner may read or write %s (mode %03o): chmod 600 %s",
			  what, path, st.st_mode & 0777, path);
	} else if (st.st_uid && st.st_uid != geteuid()) {
		log_error("%s: %s belongs to user %u: it must belong to root, or to user %u that dsmd runs as",
			  what, path, st.st_uid, geteuid());
	} else {
		return fd;
	}
	if (fd >= 0)
		close(fd);
	return -1;
}

static bool key_read(struct credentials *credentials, const char *path)
{
	char text[KEY_DIGITS + 2] = "";
	size_t size = SECURITY_KEY_SIZE;
	gnutls_datum_t hex = { (unsigned char *)text, KEY_DIGITS };
	int fd = secret_open("key", path);
	ssize_t n;
	bool ok;

	if (fd < 0)
		return false;
	n = read(fd, text, sizeof(text));
	close(fd);
	/* The digits, and a newline or nothing. */
	ok = n >= KEY_DIGITS && strspn(text, "0123456789abcdefABCDEF") == KEY_DIGITS &&
	     (n == KEY_DIGITS || text[KEY_DIGITS] == '\n') &&
	     !gnutls_hex_decode(&hex, credentials->key, &size);
	gnutls_memset(text, 0, sizeof(text));
	if (!ok)
		log_error("key: %s is not %d hexadecimal digits: 'dsmctl keygen FILE' makes a key",
			  path, KEY_DIGITS);
	return ok;
}

/* Called while a client introduces itself: the key is the same for all. */
static int key_find(gnutls_session_t session, const char *identity, gnutls_datum_t *key)
{
	const struct credentials *credentials = gnutls_session_get_ptr(session);

	if (strcmp(identity, KEY_IDENTITY))
		return -1;
	key->data = gnutls_malloc(SECURITY_KEY_SIZE);
	if (!key->data)
		return -1;
	memcpy(key->data, credentials->key, SECURITY_KEY_SIZE);
	key->size = SECURITY_KEY_SIZE;
	return 0;
}

static bool key_init(struct credentials *credentials, const char *path)
{
	gnutls_datum_t key = { credentials->key, SECURITY_KEY_SIZE };

	if (!key_read(credentials, path))
		return false;
	if (gnutls_psk_allocate_client_credentials(&credentials->psk_client) ||
	    gnutls_psk_allocate_server_credentials(&credentials->psk_server) ||
	    gnutls_psk_set_client_credentials(credentials->psk_client, KEY_IDENTITY, &key,
					      GNUTLS_PSK_KEY_RAW)) {
		log_error("key: %s", strerror(ENOMEM));
		return false;
	}
	gnutls_psk_set_server_credentials_function(credentials->psk_server, key_find);
	return true;
}

/* The number in dsm-node-NUMBER; -1 if @name is something else. */
static long name_node(const char *name, size_t length)
{
	const size_t prefix = strlen(SECURITY_NAME);
	long node = 0;

	/* One way to write each, and no more digits than the largest has. */
	if (length <= prefix || length > prefix + 4 || memcmp(name, SECURITY_NAME, prefix) ||
	    (name[prefix] == '0' && length > prefix + 1))
		return -1;
	for (size_t i = prefix; i < length; i++) {
		if (name[i] < '0' || name[i] > '9')
			return -1;
		node = node * 10 + name[i] - '0';
	}
	return node < DSM_NODES_MAX ? node : -1;
}

/* The node that the certificate is for. Its other names are nobody's concern. */
int certificate_node(gnutls_x509_crt_t certificate)
{
	int node = CERTIFICATE_NAMES_NONE;

	for (unsigned int i = 0;; i++) {
		char name[256];
		size_t size = sizeof(name);
		int type = gnutls_x509_crt_get_subject_alt_name(certificate, i, name, &size, NULL);
		long named;

		if (type == GNUTLS_E_REQUESTED_DATA_NOT_AVAILABLE)
			return node;
		/* A longer name is not a node's. */
		if (type < 0 && type != GNUTLS_E_SHORT_MEMORY_BUFFER)
			return CERTIFICATE_NAMES_NONE;
		named = type == GNUTLS_SAN_DNSNAME ? name_node(name, size) : -1;
		if (named >= 0 && node >= 0 && named != node)
			return CERTIFICATE_NAMES_SEVERAL;
		if (named >= 0)
			node = (int)named;
	}
}

/* Our own certificate has to name this node, or no peer would have us. */
static bool certificate_is_ours(const struct credentials *credentials, const struct config *config)
{
	gnutls_x509_crt_t *list;
	unsigned int count;
	int node, err;

	err = gnutls_certificate_get_x509_crt(credentials->x509, 0, &list, &count);
	if (err) {
		log_error("certificate: %s: %s", config->certificate, gnutls_strerror(err));
		return false;
	}
	node = certificate_node(list[0]);
	for (unsigned int i = 0; i < count; i++)
		gnutls_x509_crt_deinit(list[i]);
	gnutls_free(list);

	if (node == config->node)
		return true;
	if (node >= 0)
		log_error("certificate: %s is for " SECURITY_NAME "%d, and this is node %d",
			  config->certificate, node, config->node);
	else
		log_error("certificate: the subject alternative names of %s must have " SECURITY_NAME
			  "%d, and no other node: 'dsmctl cert node %d' makes such a certificate",
			  config->certificate, config->node, config->node);
	return false;
}

static bool x509_init(struct credentials *credentials, const struct config *config)
{
	int fd = secret_open("private-key", config->private_key);
	int n;

	if (fd < 0)
		return false;
	close(fd);
	n = gnutls_certificate_allocate_credentials(&credentials->x509);
	if (n) {
		log_error("certificate: %s", gnutls_strerror(n));
		return false;
	}
	n = gnutls_certificate_set_x509_trust_file(credentials->x509, config->authority,
						   GNUTLS_X509_FMT_PEM);
	if (n <= 0) {
		log_error("authority: %s: %s", config->authority,
			  n ? gnutls_strerror(n) : "no certificate in it");
		return false;
	}
	if (config->revoked) {
		n = gnutls_certificate_set_x509_crl_file(credentials->x509, config->revoked,
							 GNUTLS_X509_FMT_PEM);
		if (n <= 0) {
			log_error("revoked: %s: %s", config->revoked,
				  n ? gnutls_strerror(n) : "no list of revoked certificates in it");
			return false;
		}
	}
	n = gnutls_certificate_set_x509_key_file(credentials->x509, config->certificate,
						 config->private_key, GNUTLS_X509_FMT_PEM);
	if (n < 0) {
		log_error("certificate, private-key: %s, %s: %s", config->certificate,
			  config->private_key, gnutls_strerror(n));
		return false;
	}
	return certificate_is_ours(credentials, config);
}

/*
 * Set the cipher suites: those for a key or those for certificates, with AES first or last.
 * False, and a complaint, if this GnuTLS does not know one of them.
 */
bool credentials_prefer(struct credentials *credentials, bool key, bool aes)
{
	char priority[256];
	const char *at;

	if (credentials->priority)
		gnutls_priority_deinit(credentials->priority);
	credentials->priority = NULL;
	snprintf(priority, sizeof(priority), PRIORITY "%s%s", aes ? PRIORITY_AES : PRIORITY_NO_AES,
		 key ? PRIORITY_KEY : PRIORITY_X509);
	if (!gnutls_priority_init(&credentials->priority, priority, &at))
		return true;
	credentials->priority = NULL;
	log_error("this GnuTLS does not know '%s'", at);
	return false;
}

/* NULL, and a complaint, if they are not good. */
struct credentials *credentials_new(const struct config *config)
{
	struct credentials *credentials = calloc(1, sizeof(*credentials));

	if (!credentials) {
		log_error("%s", strerror(ENOMEM));
		return NULL;
	}
	if (credentials_prefer(credentials, config->key, aes_is_fast()) &&
	    (config->key ? key_init(credentials, config->key) : x509_init(credentials, config)))
		return credentials;
	credentials_free(credentials);
	return NULL;
}

void credentials_free(struct credentials *credentials)
{
	if (!credentials)
		return;
	if (credentials->priority)
		gnutls_priority_deinit(credentials->priority);
	if (credentials->psk_client)
		gnutls_psk_free_client_credentials(credentials->psk_client);
	if (credentials->psk_server)
		gnutls_psk_free_server_credentials(credentials->psk_server);
	if (credentials->x509)
		gnutls_certificate_free_credentials(credentials->x509);
	gnutls_memset(credentials, 0, sizeof(*credentials));
	free(credentials);
}
