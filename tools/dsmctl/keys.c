// SPDX-License-Identifier: GPL-2.0
/*
 * The cluster's key, and an authority for a cluster of one's own, with the certificates that
 * it signs. Certificates and keys are files in one directory:
 *
 *	authority.pem, authority.key	the authority
 *	dsm-node-N.pem, dsm-node-N.key	node N
 *	revoked.pem			which of them are not good any more
 */
#include "keys.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <gnutls/abstract.h>
#include <gnutls/crypto.h>
#include <gnutls/x509.h>

#include <linux/dsm.h>

#include "../security.h"

#define DAY		(24L * 60 * 60)
#define VALID_DAYS	3650
/* The clocks of the nodes may differ. */
#define SKEW_DAYS	1
#define SERIAL_SIZE	16

static int complain(const char *what, const char *why)
{
	fprintf(stderr, "dsmctl: %s: %s\n", what, why);
	return 1;
}

static bool write_all(int fd, const void *bytes, size_t size)
{
	ssize_t n = write(fd, bytes, size);

	if (n >= 0 && (size_t)n < size)
		errno = ENOSPC;
	return n == (ssize_t)size;
}

/* Makes the file; never overwrites one. False, and a complaint. */
static bool file_make(const char *path, mode_t mode, const void *bytes, size_t size)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
	bool ok;

	if (fd < 0) {
		complain(path, strerror(errno));
		return false;
	}
	ok = write_all(fd, bytes, size) && !fsync(fd);
	if (!ok)
		complain(path, strerror(errno));
	close(fd);
	if (!ok)
		unlink(path);
	return ok;
}

int keygen(char **argv)
{
	unsigned char key[SECURITY_KEY_SIZE];
	char text[2 * SECURITY_KEY_SIZE + 1];
	size_t size = sizeof(text);
	gnutls_datum_t bytes = { key, sizeof(key) };
	int err = gnutls_rnd(GNUTLS_RND_KEY, key, sizeof(key));
	bool ok;

	if (!err)
		err = gnutls_hex_encode(&bytes, text, &size);
	if (err)
		return complain(*argv, gnutls_strerror(err));
	text[sizeof(text) - 1] = '\n';
	ok = file_make(*argv, 0600, text, sizeof(text));
	gnutls_memset(key, 0, sizeof(key));
	gnutls_memset(text, 0, sizeof(text));
	return ok ? 0 : 1;
}

/* ---- certificates ------------------------------------------------------ */

/**
 * struct pair - a certificate and its private key
 */
struct pair {
	gnutls_x509_crt_t certificate;
	gnutls_x509_privkey_t key;
};

static void pair_free(struct pair *pair)
{
	if (pair->certificate)
		gnutls_x509_crt_deinit(pair->certificate);
	if (pair->key)
		gnutls_x509_privkey_deinit(pair->key);
}

static int pair_init(struct pair *pair)
{
	int err = gnutls_x509_crt_init(&pair->certificate);

	return err ? err : gnutls_x509_privkey_init(&pair->key);
}

static void path_of(char *path, size_t size, const char *dir, const char *name, const char *suffix)
{
	snprintf(path, size, "%s/%s.%s", dir, name, suffix);
}

/* A certificate that is not signed yet, with a new key. */
static int pair_make(struct pair *pair, const char *name)
{
	unsigned char serial[SERIAL_SIZE];
	time_t now = time(NULL);
	int err = pair_init(pair);

	if (!err)
		err = gnutls_x509_privkey_generate(pair->key, GNUTLS_PK_ECDSA,
			GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0);
	if (!err)
		err = gnutls_rnd(GNUTLS_RND_NONCE, serial, sizeof(serial));
	serial[0] &= 0x7f;	/* a positive number */
	serial[0] |= 0x40;
	if (!err)
		err = gnutls_x509_crt_set_serial(pair->certificate, serial, sizeof(serial));
	if (!err)
		err = gnutls_x509_crt_set_version(pair->certificate, 3);
	if (!err)
		err = gnutls_x509_crt_set_key(pair->certificate, pair->key);
	if (!err)
		err = gnutls_x509_crt_set_dn_by_oid(pair->certificate, GNUTLS_OID_X520_COMMON_NAME,
						    0, name, strlen(name));
	if (!err)
		err = gnutls_x509_crt_set_activation_time(pair->certificate, now - SKEW_DAYS * DAY);
	if (!err)
		err = gnutls_x509_crt_set_expiration_time(pair->certificate,
							  now + VALID_DAYS * DAY);
	return err;
}

/* What a node's certificate is for. */
static int node_names(gnutls_x509_crt_t certificate, const char *name)
{
	int err = gnutls_x509_crt_set_subject_alt_name(certificate, GNUTLS_SAN_DNSNAME, name,
						       strlen(name), GNUTLS_FSAN_SET);

	if (!err)
		err = gnutls_x509_crt_set_basic_constraints(certificate, 0, -1);
	if (!err)
		err = gnutls_x509_crt_set_key_usage(certificate, GNUTLS_KEY_DIGITAL_SIGNATURE);
	if (!err)
		err = gnutls_x509_crt_set_key_purpose_oid(certificate, GNUTLS_KP_TLS_WWW_SERVER, 0);
	if (!err)
		err = gnutls_x509_crt_set_key_purpose_oid(certificate, GNUTLS_KP_TLS_WWW_CLIENT, 0);
	return err;
}

static int authority_rights(gnutls_x509_crt_t certificate)
{
	int err = gnutls_x509_crt_set_basic_constraints(certificate, 1, 0);

	if (!err)
		err = gnutls_x509_crt_set_key_usage(certificate, GNUTLS_KEY_KEY_CERT_SIGN |
						    GNUTLS_KEY_CRL_SIGN);
	return err;
}

/* The key first: a certificate without one is of no use. */
static int pair_write(const struct pair *pair, const char *dir, const char *name)
{
	gnutls_datum_t certificate = { }, key = { };
	char certificate_path[4096], key_path[4096];
	int ret = 1;
	int err;

	path_of(certificate_path, sizeof(certificate_path), dir, name, "pem");
	path_of(key_path, sizeof(key_path), dir, name, "key");
	err = gnutls_x509_crt_export2(pair->certificate, GNUTLS_X509_FMT_PEM, &certificate);
	if (!err)
		err = gnutls_x509_privkey_export2_pkcs8(pair->key, GNUTLS_X509_FMT_PEM, NULL,
							GNUTLS_PKCS_PLAIN, &key);
	if (err)
		complain(name, gnutls_strerror(err));
	else if (file_make(key_path, 0600, key.data, key.size)) {
		if (file_make(certificate_path, 0644, certificate.data, certificate.size))
			ret = 0;
		else
			unlink(key_path);
	}
	if (key.data)
		gnutls_memset(key.data, 0, key.size);
	gnutls_free(key.data);
	gnutls_free(certificate.data);
	return ret;
}

/* Complains if it cannot be had. */
static bool file_import(const char *path, void *object,
			int (*import)(void *object, const gnutls_datum_t *data))
{
	gnutls_datum_t data;
	int err = gnutls_load_file(path, &data);

	if (err) {
		complain(path, err == GNUTLS_E_FILE_ERROR ? strerror(errno) : gnutls_strerror(err));
		return false;
	}
	err = import(object, &data);
	gnutls_memset(data.data, 0, data.size);
	gnutls_free(data.data);
	if (err < 0)
		complain(path, gnutls_strerror(err));
	return err >= 0;
}

static int import_certificate(void *object, const gnutls_datum_t *data)
{
	return gnutls_x509_crt_import(object, data, GNUTLS_X509_FMT_PEM);
}

static int import_key(void *object, const gnutls_datum_t *data)
{
	return gnutls_x509_privkey_import(object, data, GNUTLS_X509_FMT_PEM);
}

static int import_revoked(void *object, const gnutls_datum_t *data)
{
	return gnutls_x509_crl_import(object, data, GNUTLS_X509_FMT_PEM);
}

static bool authority_read(struct pair *authority, const char *dir)
{
	char path[4096];
	int err = pair_init(authority);

	if (err) {
		complain("authority", gnutls_strerror(err));
		return false;
	}
	path_of(path, sizeof(path), dir, "authority", "pem");
	if (!file_import(path, authority->certificate, import_certificate))
		return false;
	path_of(path, sizeof(path), dir, "authority", "key");
	return file_import(path, authority->key, import_key);
}

static int authority_make(const char *dir)
{
	struct pair pair = { };
	int err = pair_make(&pair, "dsm authority");
	int ret = 1;

	if (!err)
		err = authority_rights(pair.certificate);
	if (!err)
		err = gnutls_x509_crt_sign2(pair.certificate, pair.certificate, pair.key,
					    GNUTLS_DIG_SHA256, 0);
	if (err)
		complain("authority", gnutls_strerror(err));
	else
		ret = pair_write(&pair, dir, "authority");
	pair_free(&pair);
	return ret;
}

static int node_make(const char *dir, const char *name)
{
	struct pair authority = { }, pair = { };
	int ret = 1;
	int err;

	if (!authority_read(&authority, dir))
		goto out;
	err = pair_make(&pair, name);
	if (!err)
		err = node_names(pair.certificate, name);
	if (!err)
		err = gnutls_x509_crt_sign2(pair.certificate, authority.certificate, authority.key,
					    GNUTLS_DIG_SHA256, 0);
	if (err)
		complain(name, gnutls_strerror(err));
	else
		ret = pair_write(&pair, dir, name);
out:
	pair_free(&pair);
	pair_free(&authority);
	return ret;
}

/* ---- what is not good any more ----------------------------------------- */

/* In place of the old one, at once. */
static int revoked_write(gnutls_x509_crl_t list, const char *path)
{
	char new_path[4200];
	gnutls_datum_t text;
	int err = gnutls_x509_crl_export2(list, GNUTLS_X509_FMT_PEM, &text);
	bool ok;

	if (err)
		return complain(path, gnutls_strerror(err));
	snprintf(new_path, sizeof(new_path), "%s.new", path);
	ok = file_make(new_path, 0644, text.data, text.size);
	gnutls_free(text.data);
	if (!ok)
		return 1;
	if (!rename(new_path, path))
		return 0;
	complain(path, strerror(errno));
	unlink(new_path);
	return 1;
}

static int revoked_add(gnutls_x509_crl_t list, gnutls_x509_crt_t certificate,
		       const struct pair *authority)
{
	time_t now = time(NULL);
	/* Each list has a higher number than the one before. */
	unsigned char number[] = { now >> 24 & 0x7f, now >> 16, now >> 8, now };
	int err = gnutls_x509_crl_set_crt(list, certificate, now);

	if (!err)
		err = gnutls_x509_crl_set_version(list, 2);
	if (!err)
		err = gnutls_x509_crl_set_this_update(list, now - SKEW_DAYS * DAY);
	if (!err)
		err = gnutls_x509_crl_set_next_update(list, now + VALID_DAYS * DAY);
	if (!err)
		err = gnutls_x509_crl_set_number(list, number, sizeof(number));
	if (!err)
		err = gnutls_x509_crl_sign2(list, authority->certificate, authority->key,
					    GNUTLS_DIG_SHA256, 0);
	return err;
}

static int node_revoke(const char *dir, const char *name)
{
	struct pair authority = { };
	gnutls_x509_crt_t certificate = NULL;
	gnutls_x509_crl_t list = NULL;
	char path[4096];
	int ret = 1;
	int err;

	err = gnutls_x509_crt_init(&certificate);
	if (!err)
		err = gnutls_x509_crl_init(&list);
	if (err) {
		complain(name, gnutls_strerror(err));
		goto out;
	}
	path_of(path, sizeof(path), dir, name, "pem");
	if (!file_import(path, certificate, import_certificate) || !authority_read(&authority, dir))
		goto out;
	path_of(path, sizeof(path), dir, "revoked", "pem");
	if (!access(path, F_OK) && !file_import(path, list, import_revoked))
		goto out;
	err = revoked_add(list, certificate, &authority);
	if (err)
		complain(name, gnutls_strerror(err));
	else
		ret = revoked_write(list, path);
out:
	pair_free(&authority);
	if (list)
		gnutls_x509_crl_deinit(list);
	if (certificate)
		gnutls_x509_crt_deinit(certificate);
	return ret;
}

int cert(char **argv)
{
	bool authority = !strcmp(argv[0], "authority");
	bool revoke = !strcmp(argv[0], "revoke");
	const char *dir = argv[1] && !authority ? argv[2] : argv[1];
	char name[32];
	char *end;
	long id;

	if (authority && (!argv[1] || !argv[2]))
		return authority_make(dir ? dir : ".");
	if (authority || (!revoke && strcmp(argv[0], "node")) || !argv[1]) {
		complain("cert", "is it authority [DIR], node ID [DIR] or revoke ID [DIR]?");
		return 2;
	}
	id = strtol(argv[1], &end, 10);
	if (*argv[1] < '0' || *argv[1] > '9' || *end || id >= DSM_NODES_MAX) {
		complain(argv[1], "is no node id: those are 0 to 4095");
		return 2;
	}
	snprintf(name, sizeof(name), SECURITY_NAME "%ld", id);
	return revoke ? node_revoke(dir ? dir : ".", name) : node_make(dir ? dir : ".", name);
}
