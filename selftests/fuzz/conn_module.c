// SPDX-License-Identifier: GPL-2.0
/* A model of the module, as dsmd sees it, and of its windows. */
#include <endian.h>
#include <errno.h>

#include "conn_world.h"

struct answer {
	bool up;
	bool asked;
	uint32_t peer;
	uint32_t session;
	int error;
	bool in_window;
	struct dsm_wire_hdr hdr;
};

unsigned char shadow[WINDOW_SIZE];
unsigned char bytes_out[WINDOW_SIZE];
static struct answer answers[512];

void windows_check(void)
{
	if (!w.in)
		return;
	for (uint32_t i = 0; i < SLOTS; i++) {
		uint32_t skip = w.slots[i].expected && !w.slots[i].spent ? w.slots[i].length : 0;
		uint32_t at = i * SLOT_SIZE + skip;

		FUZZ_CHECK(!memcmp(w.in + at, shadow + at, SLOT_SIZE - skip),
			   "slot %u has changed, and nothing was expected there", i);
	}
}

/* Nothing is expected there any more. The bytes stay as they are. */
void slot_end(struct slot *slot)
{
	uint32_t at = (uint32_t)(slot - w.slots) * SLOT_SIZE;

	if (w.in && slot->expected && !slot->spent)
		memcpy(shadow + at, w.in + at, slot->length);
	*slot = (struct slot){ 0 };
}

struct slot *slot_of(uint32_t req)
{
	for (int i = 0; i < SLOTS; i++)
		if (w.slots[i].expected && w.slots[i].req == req)
			return &w.slots[i];
	return NULL;
}

static void slot_filled(const struct dsm_wire_hdr *hdr, const unsigned char *body)
{
	uint32_t n = le16toh(hdr->more) + 1U;

	for (uint32_t i = 0; i < n; i++, body += le32toh(hdr->len) / n) {
		struct slot *slot = slot_of(le32toh(hdr->req) + i);
		uint32_t at = slot ? (uint32_t)(slot - w.slots) * SLOT_SIZE : 0;

		FUZZ_CHECK(slot && !slot->spent && slot->length * n == le32toh(hdr->len) &&
			   le32toh(hdr->region) == REGION_IN,
			   "bytes in a window that were not expected");
		FUZZ_CHECK(!memcmp(w.in + at, body, slot->length),
			   "the bytes are not in their place");
		memcpy(shadow + at, body, slot->length);
		slot->spent = true;
	}
}

static void answer_add(struct answer answer)
{
	if (w.answers_count < sizeof(answers) / sizeof(answers[0]))
		answers[w.answers_count++] = answer;
	w.spoken = true;
}

static struct end *end_up(uint32_t peer, uint32_t session)
{
	FUZZ_CHECK(peer < NODES && w.up[peer] && w.up[peer]->session == session,
		   "of peer %u, session %u, which is not up", peer, session);
	return w.up[peer];
}

static void fake_receive(struct module *module, uint32_t peer, uint32_t session,
			 const void *frame, uint32_t length, bool in_window)
{
	struct end *end = end_up(peer, session);
	const unsigned char *body = NULL;
	struct dsm_wire_hdr hdr;
	enum parsed parsed = end_next_told(end, &hdr, &body);

	(void)module;
	FUZZ_CHECK(parsed == PARSED_FRAME, "the module is told of a frame that never came");
	FUZZ_CHECK(length == HDR + (hdr.type == DSM_DATA ? 0 : le32toh(hdr.len)),
		   "%u bytes of a frame of type %u", length, hdr.type);
	FUZZ_CHECK(!memcmp(frame, body - HDR, length), "the module is told something else");
	FUZZ_CHECK(!in_window || hdr.type == DSM_DATA, "a body in a window, of no data frame");
	FUZZ_TRACE("told of type %u req %u%s", hdr.type, le32toh(hdr.req),
		   in_window ? " in window" : "");
	w.told++;
	w.told_in_window = in_window;

	for (uint32_t i = 0; hdr.type == DSM_GRANT && i <= le16toh(hdr.more); i++) {
		struct slot *slot = slot_of(le32toh(hdr.req) + i);

		if (slot)
			slot_end(slot);
	}
	if (in_window)
		slot_filled(&hdr, body);
	windows_check();
	if (w.refuse || end->refused) {
		answer_add((struct answer){ .peer = peer, .session = session,
			.error = w.refuse ? w.refuse : EPROTO, .in_window = in_window, .hdr = hdr });
		/*
		 * A frame that can be repeated costs nothing. A frame that will never be accepted
		 * costs the connection.
		 */
		if (w.refuse != EAGAIN) {
			end->refused = true;
			end->excused = true;
		}
		w.refuse = 0;
	}
	w.spoken = true;
}

static void fake_credit(struct module *module, uint32_t peer, uint32_t session, uint32_t credits)
{
	struct end *end = end_up(peer, session);

	(void)module;
	end_said_check(end);
	end->credits += credits;
	FUZZ_CHECK(credits && end->credits <= end->sends_written,
		   "%u credits for %u frames", end->credits, end->sends_written);
	w.spoken = true;
}

static void fake_session(struct module *module, uint32_t peer, uint32_t number,
			 uint64_t incarnation)
{
	(void)module;
	(void)incarnation;
	FUZZ_CHECK(peer < NODES && peer != SELF, "of peer %u, which there is not", peer);
	answer_add((struct answer){ .asked = true, .peer = peer, .session = number });
}

static void fake_peer_up(struct module *module, uint32_t peer, uint32_t session,
			 uint64_t incarnation, uint64_t agreed)
{
	struct sys_fd *fd = sys_fd(links.peers[peer].conn->source.fd);
	struct end *end = fd ? fd->owner : NULL;
	const unsigned char *body;
	struct dsm_wire_hdr hdr;

	(void)module;
	FUZZ_CHECK(!w.up[peer], "up twice");
	/* What the module says before it hears of that is meant for the old connection. */
	FUZZ_CHECK(!(w.ended >> peer & 1), "up again before the module knew of the end");
	FUZZ_CHECK(end && !end->up, "up twice");
	while (end->stage < STAGE_UP)
		FUZZ_CHECK(end_next(end, &hdr, &body) == PARSED_FRAME,
			   "up, and it has not said a hello, a session and ready that will do");
	FUZZ_CHECK(end->peer == peer && end->incarnation == incarnation, "up as another");
	FUZZ_CHECK(agreed == SESSION, "a session that does not exist");
	FUZZ_TRACE("up: peer %u session %u", peer, session);
	end->up = true;
	end->session = session;
	w.up[peer] = end;
	answer_add((struct answer){ .up = true, .peer = peer, .session = session,
		.error = w.refuse_up });
	if (w.refuse_up)
		end->excused = true;
	w.refuse_up = 0;
}

static void fake_peer_down(struct module *module, uint32_t peer, uint32_t session)
{
	(void)module;
	FUZZ_TRACE("down: peer %u session %u", peer, session);
	end_up(peer, session)->up = false;
	w.ended |= 1U << peer;
	w.up[peer] = NULL;
	w.spoken = true;
}

static void fake_peer_rtt(struct module *module, uint32_t peer, uint32_t session, uint64_t rtt_ns)
{
	(void)module;
	(void)rtt_ns;
	end_up(peer, session);
	w.spoken = true;
}

void expect_say(uint32_t req, uint32_t region, uint64_t offset, uint32_t length)
{
	links_expect(&links, req, &(struct links_place){ region, length, offset });
}

static bool fake_sync(struct module *module)
{
	unsigned int count = w.answers_count;
	bool spoken = w.spoken;

	(void)module;
	w.spoken = false;
	w.ended = 0;
	w.answers_count = 0;
	windows_check();
	for (uint32_t i = 0; i < SLOTS && spoken && w.expect_again; i++)
		if (w.slots[i].expected)
			expect_say(w.slots[i].req, REGION_IN, i * SLOT_SIZE, w.slots[i].length);
	for (unsigned int i = 0; i < count; i++) {
		struct answer answer = answers[i];
		if (answer.asked) {
			session_answered(&links, answer.peer, answer.session, answer.error, SESSION,
					 "as it likes");
			continue;
		}
		if (answer.up) {
			links_peer_answered(&links, answer.peer, answer.session, answer.error,
					    "as it likes");
			continue;
		}
		/* A part of a run may have been accepted. */
		if (answer.in_window && !answer.hdr.more) {
			struct slot *slot = slot_of(le32toh(answer.hdr.req));

			if (slot)
				slot->spent = false;
		}
		links_refused(&links, answer.peer, answer.session, answer.error, "as it likes",
			      &answer.hdr, answer.in_window);
	}
	/* Messages that the module has accepted are done. */
	for (uint32_t i = 0; i < SLOTS; i++)
		if (w.slots[i].spent)
			slot_end(&w.slots[i]);
	return spoken;
}

const struct module_ops fake_ops = {
	.receive	= fake_receive,
	.credit		= fake_credit,
	.session	= fake_session,
	.peer_up	= fake_peer_up,
	.peer_down	= fake_peer_down,
	.peer_rtt	= fake_peer_rtt,
	.sync		= fake_sync,
};

int fake_window_open(void *data, uint32_t region, void **base, uint64_t *size)
{
	unsigned char *memory;

	(void)data;
	if (region != REGION_OUT && region != REGION_IN)
		return -ENOENT;
	/* A buffer of exactly that length, so that the sanitizer detects accesses beyond it. */
	memory = malloc(WINDOW_SIZE);
	FUZZ_CHECK(memory, "out of memory");
	memcpy(memory, bytes_out, WINDOW_SIZE);
	if (region == REGION_IN)
		memcpy(shadow, memory, WINDOW_SIZE);
	*(region == REGION_IN ? &w.in : &w.out) = memory;
	*base = memory;
	*size = WINDOW_SIZE;
	return 0;
}

int sys_munmap(void *base, size_t size)
{
	FUZZ_CHECK(size == WINDOW_SIZE, "%zu bytes are unmapped", size);
	if (base == w.in)
		w.in = NULL;
	if (base == w.out)
		w.out = NULL;
	free(base);
	return 0;
}

/* For a repeated request, it is another place or the same place with a shorter length. */
void slot_expect(struct slot *slot, uint32_t req, uint32_t length)
{
	struct window *window = window_get(&links.windows, REGION_IN);

	if (!window)
		return;
	window_put(window);
	if (slot->expected && slot->req != req)
		return;
	if (slot_of(req))
		slot_end(slot_of(req));
	*slot = (struct slot){ .expected = true, .req = req, .length = length };
	w.lengths[req] = length;
	expect_say(req, REGION_IN, (uint32_t)(slot - w.slots) * SLOT_SIZE, length);
}
