// SPDX-License-Identifier: GPL-2.0
/*
 * The TLS 1.3 handshake of a connection, by GnuTLS, on a socket that does not block.
 * Afterwards the kernel has the keys (ktls.c), and the socket takes and gives plain bytes.
 *
 * There are no session tickets. With TLS 1.3, the side that connects is done before the other
 * side has judged its certificate: only the first frame says that the certificate is good.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "credentials.h"
#include "handshake.h"
#include "ktls.h"

/* More than a chain of certificates has. GnuTLS allocates what the other side announces. */
#define HANDSHAKE_MESSAGE_MAX	16384

/**
 * struct handshake - one under way, or just over
 * @session: GnuTLS's
 * @credentials: ours
 * @fd: the connection's socket
 */
struct handshake {
	gnutls_session_t session;
	const struct credentials *credentials;
	int fd;
};

/* NULL: no memory. */
struct handshake *handshake_new(const struct credentials *credentials, int fd, bool client)
{
	const unsigned int flags = GNUTLS_NONBLOCK | GNUTLS_NO_SIGNAL | GNUTLS_NO_TICKETS;
	struct handshake *handshake = calloc(1, sizeof(*handshake));
	gnutls_credentials_type_t type = credentials->x509 ? GNUTLS_CRD_CERTIFICATE :
							     GNUTLS_CRD_PSK;
	void *ours = credentials->x509 ? (void *)credentials->x509 :
		     client ? (void *)credentials->psk_client : (void *)credentials->psk_server;

	if (!handshake)
		return NULL;
	handshake->credentials = credentials;
	handshake->fd = fd;
	if (gnutls_init(&handshake->session, flags | (client ? GNUTLS_CLIENT : GNUTLS_SERVER)))
		goto err_free;
	if (gnutls_priority_set(handshake->session, credentials->priority) ||
	    gnutls_credentials_set(handshake->session, type, ours))
		goto err_session;
	if (credentials->x509) {
		if (!client)
			gnutls_certificate_server_set_request(handshake->session,
							      GNUTLS_CERT_REQUIRE);
		/* The chain. The name is compared with what the other side says in its hello. */
		gnutls_session_set_verify_cert(handshake->session, NULL, 0);
	}
	gnutls_session_set_ptr(handshake->session, (void *)credentials);
	gnutls_handshake_set_max_packet_length(handshake->session, HANDSHAKE_MESSAGE_MAX);
	/* Not by ..._set_int(): if /etc/gnutls/config says so, that would give it to the kernel. */
	gnutls_transport_set_ptr(handshake->session, (gnutls_transport_ptr_t)(long)fd);
	return handshake;

err_session:
	gnutls_deinit(handshake->session);
err_free:
	free(handshake);
	return NULL;
}

void handshake_free(struct handshake *handshake)
{
	if (!handshake)
		return;
	gnutls_deinit(handshake->session);
	free(handshake);
}

static void verification_print(gnutls_session_t session, char *why, size_t size)
{
	unsigned int status = gnutls_session_get_verify_cert_status(session);
	gnutls_datum_t text;

	if (gnutls_certificate_verification_status_print(status, GNUTLS_CRT_X509, &text, 0)) {
		snprintf(why, size, "its certificate is not good");
		return;
	}
	snprintf(why, size, "its certificate is not good: %s", text.data);
	gnutls_free(text.data);
}

static void failure_print(const struct handshake *handshake, int err, char *why, size_t size)
{
	gnutls_session_t session = handshake->session;
	const char *alert;

	switch (err) {
	case GNUTLS_E_CERTIFICATE_VERIFICATION_ERROR:
	case GNUTLS_E_CERTIFICATE_ERROR:
		verification_print(session, why, size);
		break;
	case GNUTLS_E_FATAL_ALERT_RECEIVED:
		alert = gnutls_alert_get_name(gnutls_alert_get(session));
		snprintf(why, size, "it refuses our %s: TLS alert '%s'",
			 handshake->credentials->x509 ? "certificate" : "key", alert ? alert : "?");
		break;
	case GNUTLS_E_UNEXPECTED_PACKET_LENGTH:
	case GNUTLS_E_UNEXPECTED_PACKET:
	case GNUTLS_E_UNSUPPORTED_VERSION_PACKET:
	case GNUTLS_E_RECORD_OVERFLOW:
		snprintf(why, size, "it does not speak TLS 1.3: is it configured 'insecure = yes'? (%s)",
			 gnutls_strerror(err));
		break;
	case GNUTLS_E_PREMATURE_TERMINATION:
		snprintf(why, size, "closed by the other side during the TLS handshake");
		break;
	default:
		if (handshake->credentials->x509)
			snprintf(why, size, "TLS: %s", gnutls_strerror(err));
		else
			snprintf(why, size, "TLS: %s: has it another key?", gnutls_strerror(err));
	}
}

/* 0 when it is over, -EAGAIN when the other side has to go on, else -EPROTO and why. */
int handshake_go_on(struct handshake *handshake, char *why, size_t size)
{
	int err;

	do
		err = gnutls_handshake(handshake->session);
	while (err == GNUTLS_E_INTERRUPTED);

	if (err == GNUTLS_E_SUCCESS)
		return 0;
	if (err == GNUTLS_E_AGAIN)
		return -EAGAIN;
	failure_print(handshake, err, why, size);
	/* The other side is told why, if the socket takes it. */
	gnutls_alert_send_appropriate(handshake->session, err);
	return -EPROTO;
}

bool handshake_wants_to_write(const struct handshake *handshake)
{
	return gnutls_record_get_direction(handshake->session);
}

/* The node that its certificate is for, or CERTIFICATE_NAMES_*. */
int handshake_node(const struct handshake *handshake)
{
	const gnutls_datum_t *chain;
	gnutls_x509_crt_t certificate;
	int node = CERTIFICATE_NAMES_NONE;
	unsigned int count;

	chain = gnutls_certificate_get_peers(handshake->session, &count);
	if (!chain || !count || gnutls_x509_crt_init(&certificate))
		return node;
	if (!gnutls_x509_crt_import(certificate, &chain[0], GNUTLS_X509_FMT_DER))
		node = certificate_node(certificate);
	gnutls_x509_crt_deinit(certificate);
	return node;
}

/* The handshake is over: the kernel encrypts and decrypts from here on. False, and why. */
bool handshake_to_kernel(struct handshake *handshake, const char **cipher, char *why, size_t size)
{
	*cipher = gnutls_cipher_get_name(gnutls_cipher_get(handshake->session));
	if (gnutls_record_check_pending(handshake->session)) {
		snprintf(why, size, "TLS: bytes came before the kernel had the keys");
		return false;
	}
	return ktls_start(handshake->session, handshake->fd, why, size);
}
