// SPDX-License-Identifier: GPL-2.0
/*
 * The other ends of dsmd's connections: what they have said, as parsed by a minimal parser,
 * and what dsmd has said to them.
 */
#include <endian.h>
#include <unistd.h>

#include "conn_world.h"

struct end ends[ENDS];

static bool hello_good(const struct end *end, const struct dsm_wire_hdr *hdr,
		       const unsigned char *body)
{
	struct dsm_wire_hello hello;
	uint32_t node;

	memcpy(&hello, body, sizeof(hello));
	node = le32toh(hello.node);
	return le16toh(hello.version_min) <= DSM_WIRE_VERSION &&
	       le16toh(hello.version) >= DSM_WIRE_VERSION_MIN &&
	       node < NODES && node != SELF && le32toh(hello.nodes) == NODES &&
	       le32toh(hello.page_size) == (uint32_t)sysconf(_SC_PAGESIZE) &&
	       le16toh(hdr->src) == node && (end->ours ? node == 0 : node > SELF);
}

/* What follows the hello before the connection is up. */
static enum parsed parse_ready(const struct end *end, unsigned int stage,
			       const struct dsm_wire_hdr *hdr, const unsigned char *body,
			       size_t length)
{
	struct dsm_wire_session session;
	struct dsm_wire_ready ready;

	static_assert(sizeof(session) == sizeof(ready), "one length for both");
	if (hdr->type != (stage == 1 ? DSM_SESSION : DSM_READY) ||
	    le32toh(hdr->len) != sizeof(session) || le16toh(hdr->src) != end->peer)
		return PARSED_BAD;
	if (length < sizeof(session))
		return PARSED_NONE;
	memcpy(&session, body, sizeof(session));
	memcpy(&ready, body, sizeof(ready));
	if (stage == 1)
		return session.nonce ? PARSED_FRAME : PARSED_BAD;
	/* It must have heard our nonce, unless it already has the module's session. */
	return le64toh(ready.session) == SESSION && !ready.error ? PARSED_FRAME : PARSED_BAD;
}

/* The first frame of @bytes. @stage: how much of the handshake has arrived. */
static enum parsed parse(const struct end *end, unsigned int stage, const unsigned char *bytes,
			 size_t length, struct dsm_wire_hdr *hdr)
{
	uint32_t body;

	if (length < HDR)
		return PARSED_NONE;
	memcpy(hdr, bytes, HDR);
	body = le32toh(hdr->len);
	if (le32toh(hdr->magic) != DSM_WIRE_MAGIC)
		return PARSED_BAD;
	if (!stage) {
		if (hdr->type != DSM_HELLO || body < HELLO || body > LINKS_INLINE_MAX)
			return PARSED_BAD;
		if (length < HDR + body)
			return PARSED_NONE;
		return hello_good(end, hdr, bytes + HDR) ? PARSED_FRAME : PARSED_BAD;
	}
	if (stage < STAGE_UP)
		return parse_ready(end, stage, hdr, bytes + HDR, length - HDR);
	if (le16toh(hdr->src) != end->peer)
		return PARSED_BAD;
	if (hdr->type < DSM_WIRE_HELPER && le16toh(hdr->more) >= DSM_WIRE_RUN_MAX)
		return PARSED_BAD;
	if (hdr->type == DSM_DATA ? body > DSM_WIRE_BODY_MAX :
	    hdr->type < DSM_WIRE_HELPER ? body > LINKS_INLINE_MAX :
	    hdr->type != DSM_PING && hdr->type != DSM_PONG ? true : body)
		return PARSED_BAD;
	return length < HDR + body ? PARSED_NONE : PARSED_FRAME;
}

/* Skips to the next frame of what dsmd has read. */
enum parsed end_next(struct end *end, struct dsm_wire_hdr *hdr, const unsigned char **body)
{
	const unsigned char *at = end->fd->rx + end->parsed;
	enum parsed parsed = parse(end, end->stage, at, end->fd->rx_read - end->parsed, hdr);
	struct dsm_wire_hello hello;

	if (parsed == PARSED_FRAME) {
		*body = at + HDR;
		if (!end->stage) {
			memcpy(&hello, *body, sizeof(hello));
			end->peer = le32toh(hello.node);
			end->incarnation = le64toh(hello.incarnation);
		}
		if (end->stage < STAGE_UP)
			end->stage++;
		end->parsed += HDR + le32toh(hdr->len);
	}
	return parsed;
}

/* Skips to the next frame that the module has to hear of. */
enum parsed end_next_told(struct end *end, struct dsm_wire_hdr *hdr,
				 const unsigned char **body)
{
	enum parsed parsed;

	do {
		parsed = end_next(end, hdr, body);
	} while (parsed == PARSED_FRAME && hdr->type >= DSM_WIRE_HELPER);
	return parsed;
}

/* Is there a ping with that number after the last one that was answered? */
static bool pinged(struct end *end, uint64_t seq)
{
	struct dsm_wire_hdr hdr;

	while (parse(end, end->pings_stage, end->fd->rx + end->pings, end->fd->rx_read - end->pings, &hdr) ==
	       PARSED_FRAME) {
		end->pings += HDR + le32toh(hdr.len);
		if (end->pings_stage < STAGE_UP)
			end->pings_stage++;
		if (hdr.type == DSM_PING && le64toh(hdr.seq) == seq)
			return true;
	}
	return false;
}

static bool same_as_sent(const unsigned char *bytes, const struct sent *sent)
{
	return !memcmp(bytes, sent->bytes, sent->length) &&
	       !memcmp(bytes + sent->length, bytes_out + sent->body_offset, sent->body_length);
}

/* Parses one frame that dsmd has written. False if it is not complete. */
static bool said_one(struct end *end)
{
	const unsigned char *at = end->fd->tx + end->said;
	size_t left = end->fd->tx_length - end->said;
	struct dsm_wire_hdr hdr;

	if (left < HDR)
		return false;
	memcpy(&hdr, at, HDR);
	FUZZ_CHECK(le32toh(hdr.magic) == DSM_WIRE_MAGIC,
		   "dsmd writes something that is not a frame");
	if (left < HDR + le32toh(hdr.len))
		return false;

	if (!end->said) {
		FUZZ_CHECK(hdr.type == DSM_HELLO && le32toh(hdr.len) == HELLO, "no hello first");
	} else if (hdr.type == DSM_SESSION || hdr.type == DSM_READY || hdr.type == DSM_REFUSE) {
		FUZZ_CHECK(!end->said_up, "agreed on a session after that");
	} else if (hdr.type < DSM_WIRE_HELPER) {
		end->said_up = true;
		FUZZ_CHECK(end->sends_written < end->sends_count, "written twice");
		FUZZ_CHECK(same_as_sent(at, &end->sends[end->sends_written]),
			   "not written as the module sent it");
		end->sends_written++;
	} else if (hdr.type == DSM_PONG) {
		end->said_up = true;
		end->last_pong = le64toh(hdr.seq);
		FUZZ_CHECK(pinged(end, end->last_pong), "an answer to no ping");
	} else {
		FUZZ_CHECK(hdr.type == DSM_PING, "a frame of type %u is written", hdr.type);
	}
	FUZZ_CHECK(le16toh(hdr.src) == SELF || hdr.type < DSM_WIRE_HELPER, "in another's name");
	end->said += HDR + le32toh(hdr.len);
	return true;
}

void end_said_check(struct end *end)
{
	while (said_one(end))
		;
}

/* The connections */

struct end *end_new(struct sys_fd *fd, bool ours)
{
	struct end *end = &ends[w.ends_count++];

	*end = (struct end){ .fd = fd, .ours = ours };
	fd->owner = end;
	return end;
}

/* Has a hello that was just heard replaced @end's connection? */
static bool replaced(const struct end *end)
{
	for (unsigned int i = 0; i < w.ends_count; i++) {
		const struct end *other = &ends[i];
		struct dsm_wire_hdr hdr;

		if (other != end && other->fd && !other->up &&
		    parse(other, 0, other->fd->rx, other->fd->rx_read, &hdr) == PARSED_FRAME &&
		    le16toh(hdr.src) == end->peer)
			return true;
	}
	return false;
}

/* Is another incarnation of the same peer up? */
static bool taken(const struct end *end)
{
	const struct end *other = end->stage ? w.up[end->peer] : NULL;

	return other && other != end && other->incarnation != end->incarnation;
}

void end_closing(struct sys_fd *fd)
{
	struct end *end = fd->owner;
	const unsigned char *body;
	struct dsm_wire_hdr hdr;
	enum parsed parsed;

	if (!end)
		return;		/* not even connect() was called */
	end_said_check(end);
	parsed = end_next(end, &hdr, &body);
	while (parsed == PARSED_FRAME)
		parsed = end_next(end, &hdr, &body);
	FUZZ_CHECK(w.ending || end->excused || !fd->was_watched || parsed == PARSED_BAD || replaced(end) || taken(end) ||
		   (fd->rx_read == fd->rx_length && (fd->ended || fd->error)),
		   "a connection is closed for no reason");
	end->fd = NULL;
	free(end->sends);
	end->sends = NULL;
}

void end_connecting(struct sys_fd *fd)
{
	if (w.ends_count < ENDS)
		end_new(fd, true);
}

void ends_excuse(void)
{
	for (unsigned int i = 0; i < w.ends_count; i++)
		ends[i].excused = true;
}
