// SPDX-License-Identifier: GPL-2.0
/*
 * Strangers: connections that were accepted and are not up. Everybody can make one, so they
 * are few, and what is done for them in one round of the loop takes little time.
 *
 * When there is one too many, the one that ends is of the host that has most of them. So a
 * flood from one host takes no place from a peer at another one. Among its connections, those
 * that have said nothing go before the others, and older ones before younger ones.
 */
#include <string.h>

#include "clock.h"
#include "config.h"
#include "conn.h"
#include "stranger.h"

/* In a round of the loop, for the handshakes of all together. */
#define STRANGERS_ROUND_NS	(20 * NSEC_PER_MSEC)

/* Those that have the cluster's key, or a certificate, are counted by themselves. */
static unsigned int *counter(const struct conn *conn)
{
	return conn->proven ? &conn->links->proven_count : &conn->links->stranger_count;
}

static unsigned int most(const struct conn *conn)
{
	return STRANGERS_MAX + (conn->proven ? conn->links->config->nodes : 0);
}

static unsigned int same_host(const struct conn *conn)
{
	unsigned int count = 0;

	for (struct conn *other = conn->links->strangers; other; other = other->next)
		count += other->proven == conn->proven &&
			 !memcmp(other->host, conn->host, sizeof(conn->host));
	return count;
}

/* Of those that are as proven as @conn is. */
static struct conn *dispensable(const struct conn *conn)
{
	struct conn *found = NULL;
	unsigned int found_score = 0;

	for (struct conn *other = conn->links->strangers; other; other = other->next) {
		unsigned int score;

		if (other == conn || other->proven != conn->proven)
			continue;
		score = 2 * same_host(other) + !other->handshake;
		if (score > found_score) {
			found_score = score;
			found = other;
		}
	}
	return found;
}

static void count(struct conn *conn)
{
	if (*counter(conn) == most(conn))
		conn_fail(dispensable(conn), LOG_INFO, "not up yet, and others want to be");
	++*counter(conn);
}

void stranger_add(struct conn *conn)
{
	struct conn **link;

	count(conn);
	for (link = &conn->links->strangers; *link; link = &(*link)->next)
		;
	*link = conn;
}

void stranger_remove(struct conn *conn)
{
	struct conn **link = &conn->links->strangers;

	while (*link && *link != conn)
		link = &(*link)->next;
	if (!*link)
		return;
	*link = conn->next;
	conn->next = NULL;
	--*counter(conn);
}

/* It has proven that it is of the cluster: strangers take its place no more. */
void stranger_proven(struct conn *conn)
{
	--*counter(conn);
	conn->proven = true;
	count(conn);
}

/* False: in the next round. The loop is told again that there is something to read. */
bool stranger_may_work(const struct links *links)
{
	return links->strangers_ns < STRANGERS_ROUND_NS;
}

void stranger_worked(struct links *links, uint64_t ns)
{
	links->strangers_ns += ns;
}
