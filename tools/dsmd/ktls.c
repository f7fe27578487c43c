// SPDX-License-Identifier: GPL-2.0
/*
 * TLS's record layer in the kernel: see Documentation/networking/tls.rst. A new key is a new
 * connection, since kernels before 6.14 cannot change it.
 */
#include <errno.h>
#include <linux/tls.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ktls.h"
#include "log.h"

#ifndef SOL_TLS
#define SOL_TLS		282
#endif

/* Of full records, with one key of AES-GCM: RFC 8446, 5.5, has 2^24.5. */
#define KTLS_AES_RECORDS_MAX	(1ULL << 24)

/*
 * Has the kernel TLS? A socket that is not connected does not get it, but is told so only
 * where there is a module for it. Complains, and returns a negative errno.
 */
int ktls_check(void)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int err;

	if (fd < 0)
		fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0) {
		log_error("a TCP socket: %m");
		return -errno;
	}
	err = setsockopt(fd, SOL_TCP, TCP_ULP, "tls", sizeof("tls")) ? errno : 0;
	close(fd);
	if (!err || err == ENOTCONN)
		return 0;
	log_error("this kernel has no TLS for sockets (%s): 'modprobe tls', or a kernel with CONFIG_TLS",
		  strerror(err));
	return -err;
}

/* How many records are safe with one key; 0: any number. */
uint64_t ktls_record_limit(const char *cipher)
{
	return strstr(cipher, "AES") ? KTLS_AES_RECORDS_MAX : 0;
}

/* The keys of one direction. 0 or an errno. */
static int direction_start(gnutls_session_t session, int fd, int direction)
{
	union {
		struct tls_crypto_info info;
		struct tls12_crypto_info_aes_gcm_128 aes;
		struct tls12_crypto_info_chacha20_poly1305 chacha;
	} crypto = { .info.version = TLS_1_3_VERSION };
	gnutls_datum_t mac, iv, key;
	unsigned char seq[8];
	socklen_t length;
	int err;

	if (gnutls_record_get_state(session, direction == TLS_RX, &mac, &iv, &key, seq))
		return ENOKEY;
	switch (gnutls_cipher_get(session)) {
	case GNUTLS_CIPHER_AES_128_GCM:
		if (iv.size != sizeof(crypto.aes.salt) + sizeof(crypto.aes.iv) ||
		    key.size != sizeof(crypto.aes.key))
			return ENOKEY;
		crypto.info.cipher_type = TLS_CIPHER_AES_GCM_128;
		memcpy(crypto.aes.salt, iv.data, sizeof(crypto.aes.salt));
		memcpy(crypto.aes.iv, iv.data + sizeof(crypto.aes.salt), sizeof(crypto.aes.iv));
		memcpy(crypto.aes.key, key.data, sizeof(crypto.aes.key));
		memcpy(crypto.aes.rec_seq, seq, sizeof(seq));
		length = sizeof(crypto.aes);
		break;
	case GNUTLS_CIPHER_CHACHA20_POLY1305:
		if (iv.size != sizeof(crypto.chacha.iv) || key.size != sizeof(crypto.chacha.key))
			return ENOKEY;
		crypto.info.cipher_type = TLS_CIPHER_CHACHA20_POLY1305;
		memcpy(crypto.chacha.iv, iv.data, sizeof(crypto.chacha.iv));
		memcpy(crypto.chacha.key, key.data, sizeof(crypto.chacha.key));
		memcpy(crypto.chacha.rec_seq, seq, sizeof(seq));
		length = sizeof(crypto.chacha);
		break;
	default:
		return EOPNOTSUPP;
	}
	err = setsockopt(fd, SOL_TLS, direction, &crypto, length) ? errno : 0;
	gnutls_memset(&crypto, 0, sizeof(crypto));
	return err;
}

/* The kernel encrypts and decrypts from here on. False, and why. */
bool ktls_start(gnutls_session_t session, int fd, char *why, size_t size)
{
	int err;

	if (setsockopt(fd, SOL_TCP, TCP_ULP, "tls", sizeof("tls"))) {
		snprintf(why, size, "the kernel's TLS: %s", strerror(errno));
		return false;
	}
	err = direction_start(session, fd, TLS_TX);
	if (!err)
		err = direction_start(session, fd, TLS_RX);
	if (err == ENOENT)
		snprintf(why, size, "the kernel's TLS cannot use %s: its crypto module is missing",
			 gnutls_cipher_get_name(gnutls_cipher_get(session)));
	else if (err)
		snprintf(why, size, "the kernel's TLS does not take the keys: %s", strerror(err));
	return !err;
}
