// SPDX-License-Identifier: GPL-2.0
/*
 * Sessions: what both modules count their frames in.
 *
 * A module that counts anew while the other one goes on takes nothing any more that
 * the other one says, and neither of them can see that. So both are told the same
 * session, on which the helpers agree when each knows who the other says it is:
 *
 *	we				our module		the other helper
 *	 |<------------------------ HELLO -------------------------->|
 *	 |--- which session? ---------->|				|
 *	 |<-- session, or 0 ------------|				|
 *	 |<------------------------ SESSION, nonce ----------------->|
 *	 |<------------------------ READY -------------------------->|
 *	 |--- up, session ------------->|				|
 *
 * If both have the same session, it goes on. If not, the new one's number follows
 * from both nonces, in the order of the nodes' ids. A helper that has heard READY
 * knows that the other one has heard its nonce. Until then nothing has changed: not
 * for the module, nor for the connection that the peer is up over, if there is one.
 *
 * One side may hear READY and the other one not, because the connection ends. Then
 * they have different sessions, see that when they meet again, and begin a new one;
 * the module keeps what it has said in a session of which it has heard nothing.
 */
#include <endian.h>
#include <errno.h>
#include <string.h>
#include <sys/random.h>

#include "config.h"
#include "conn.h"
#include "links.h"
#include "module.h"
#include "peer.h"
#include "session.h"

/* Random, and not 0. */
static uint64_t nonce_make(void)
{
	uint64_t nonce = 0;

	/* It may be interrupted, or find nothing yet, early in a machine's life. */
	while (!nonce)
		if (getrandom(&nonce, sizeof(nonce), 0) != sizeof(nonce))
			nonce = 0;
	return nonce;
}

/* splitmix64's last step */
static uint64_t mix(uint64_t x)
{
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ULL;
	x = (x ^ x >> 27) * 0x94d049bb133111ebULL;
	return x ^ x >> 31;
}

static uint64_t session_new(const struct conn *conn)
{
	bool lower = (uint32_t)conn->links->config->node < conn->claims->id;
	uint64_t first = lower ? conn->nonce : conn->its_nonce;
	uint64_t second = lower ? conn->its_nonce : conn->nonce;
	uint64_t session = mix(mix(first) + second);

	return session ? session : 1;
}

/* Who is at the other end has said who it is. The answer comes by session_answered(). */
void session_ask(struct conn *conn, struct peer *claims, uint64_t incarnation)
{
	struct links *links = conn->links;

	conn->claims = claims;
	conn->incarnation = incarnation;
	conn->number = links->asked++ & PEER_SESSION_MASK;
	conn->state = CONN_SESSION;
	links->module->ops->session(links->module, claims->id, conn->number, incarnation);
}

/* Both have said what they have. */
static void session_agree(struct conn *conn)
{
	struct dsm_wire_ready ready = { 0 };

	if (!conn->answered || !conn->its_nonce)
		return;
	conn->session = conn->has && conn->has == conn->its ? conn->has : session_new(conn);
	ready.session = htole64(conn->session);
	ready.error = htole32(conn->stale ? ESTALE : 0);
	if (!conn_say(conn, DSM_READY, &ready, sizeof(ready)))
		conn_fail(conn, LOG_ERR, "no memory to agree on a session");
}

/* The one that waits for this answer, if it still does. */
static struct conn *conn_find(struct links *links, uint32_t id, uint32_t number)
{
	struct conn *conn = links->peers[id].connecting;

	if (conn && conn->state == CONN_SESSION && conn->number == number)
		return conn;
	for (conn = links->strangers; conn; conn = conn->next)
		if (conn->state == CONN_SESSION && conn->claims->id == id && conn->number == number)
			return conn;
	return NULL;
}

/*
 * The module's answer; @error is 0 or a positive errno. With ESTALE we go on until the
 * other side is READY: only then is it certain that somebody is there, and
 * the module told. READY says to the other side why it comes to nothing.
 */
void session_answered(struct links *links, uint32_t id, uint32_t number, int error,
		      uint64_t session, const char *text)
{
	struct conn *conn = id < links->config->nodes ? conn_find(links, id, number) : NULL;
	struct dsm_wire_session ours;

	if (!conn || conn->answered)
		return;
	if (error && error != ESTALE) {
		conn_fail(conn, LOG_WARNING, "the module does not say what session it has: %s%s%s",
			  strerror(error), text ? ": " : "", text ? text : "");
		return;
	}
	conn->answered = true;
	conn->stale = error;
	conn->has = error ? 0 : session;
	conn->nonce = nonce_make();
	ours.session = htole64(conn->has);
	ours.nonce = htole64(conn->nonce);
	if (conn_say(conn, DSM_SESSION, &ours, sizeof(ours)))
		session_agree(conn);
	else
		conn_fail(conn, LOG_ERR, "no memory to agree on a session");
}

void session_heard(struct conn *conn, const struct dsm_wire_hdr *hdr, const void *body)
{
	struct dsm_wire_session session;

	(void)hdr;
	memcpy(&session, body, sizeof(session));
	if (conn->its_nonce || !session.nonce) {
		conn_fail(conn, LOG_WARNING, "it says twice what session it has, or no nonce");
		return;
	}
	conn->its = le64toh(session.session);
	conn->its_nonce = le64toh(session.nonce);
	/* Our module's answer may have to be fetched first. */
	links_sync(conn->links);
	if (conn->state == CONN_SESSION && !conn->session)
		session_agree(conn);
}

void ready_heard(struct conn *conn, const struct dsm_wire_hdr *hdr, const void *body)
{
	struct dsm_wire_ready ready;

	(void)hdr;
	memcpy(&ready, body, sizeof(ready));
	if (!conn->session || le64toh(ready.session) != conn->session)
		conn_fail(conn, LOG_WARNING, "it is ready for a session that was not agreed on");
	else if (le32toh(ready.error) == ESTALE && !conn->stale)
		conn_fail(conn, LOG_WARNING,
			  "this node has lost its memory, and the other one still has regions");
	else if (ready.error && !conn->stale)
		conn_fail(conn, LOG_WARNING, "it is not ready: %s",
			  strerror((int)(le32toh(ready.error) & 0xfff)));
	else
		peer_up(conn->claims, conn, conn->incarnation, conn->session);
}
