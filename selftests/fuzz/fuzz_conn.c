// SPDX-License-Identifier: GPL-2.0
/*
 * dsmd's connections. The kernel (sys.c), the module and the hostile peers are models. An
 * input is a list of events: a peer connects; a frame or noise arrives, whole or in parts; a
 * connection ends at any byte; the socket accepts some more bytes; time passes; the module
 * sends, expects, forgets or refuses.
 *
 * Besides memory safety, the following must hold:
 *
 * - For each connection, the module hears, in order, the frames that a minimal parser finds in
 *   its bytes, up to the first invalid one. For each peer, 'up' and 'down' alternate.
 * - In a window, only expected bytes change. When the module is told that a body is in its
 *   place, the body is there, and stays.
 * - A connection is sent a hello, then the module's frames, each whole, once and in order, and
 *   answers to pings. Credits are given for frames that were written, and in the end for all.
 * - A connection ends only for a reason.
 * - In the end every connection that is up works, and nothing is left open.
 */
#include <endian.h>
#include <errno.h>
#include <netinet/in.h>
#include <unistd.h>

#include "conn_world.h"
#include "log.h"

struct world w;
struct links links;
static struct config config;

/* Events */

static struct end *end_any(struct fuzz_input *in)
{
	unsigned int n = fuzz_u8(in);

	for (unsigned int i = 0; i < w.ends_count; i++) {
		struct end *end = &ends[w.ends_count - 1 - (n + i) % w.ends_count];

		if (end->fd && !end->fd->connecting)
			return end;
	}
	return NULL;
}

static void end_feed(struct end *end, const void *bytes, size_t length)
{
	if (end->fd->ended || end->fd->error)
		return;
	sys_feed(end->fd, end->later, end->later_length);
	end->later_length = 0;
	sys_feed(end->fd, bytes, length);
}

/* Like end_feed(), but what follows the first @cut bytes comes later. */
static void end_feed_cut(struct end *end, const unsigned char *bytes, size_t length, size_t cut)
{
	if (!cut || cut >= length || length - cut > sizeof(end->later)) {
		end_feed(end, bytes, length);
		return;
	}
	end_feed(end, bytes, cut);
	memcpy(end->later, bytes + cut, length - cut);
	end->later_length = length - cut;
}

/* Faults of the frame that follows, one bit each. */
static void happen_hello(struct fuzz_input *in)
{
	struct end *end = end_any(in);
	uint8_t wrong = fuzz_u8(in);
	uint8_t more = wrong & 0x40 ? fuzz_u8(in) : 0;
	uint32_t id = end && end->ours ? 0 : 2;
	unsigned char bytes[HDR + HELLO + 255 + 2 * (HDR + READY)] = { 0 }, *at = bytes;
	struct dsm_wire_hdr hdr = { .magic = htole32(DSM_WIRE_MAGIC), .type = DSM_HELLO };
	struct dsm_wire_hello hello;

	if (wrong & 1)
		id = fuzz_u8(in) % (NODES + 1);
	hdr.src = htole16((uint16_t)(wrong & 2 ? fuzz_u8(in) : id));
	hdr.len = htole32(HELLO + more);
	hello = (struct dsm_wire_hello){
		.version_min = htole16(wrong & 4 ? fuzz_u8(in) : DSM_WIRE_VERSION_MIN),
		.version = htole16(wrong & 8 ? fuzz_u8(in) : DSM_WIRE_VERSION),
		.node = htole32(id),
		.nodes = htole32(wrong & 16 ? fuzz_u32(in) : NODES),
		.page_size = htole32(wrong & 32 ? fuzz_u32(in) : (uint32_t)sysconf(_SC_PAGESIZE)),
		.incarnation = htole64(fuzz_u8(in)),
	};
	if (!end)
		return;
	at = mempcpy(at, &hdr, HDR);
	at = mempcpy(at, &hello, HELLO) + more;
	/* What follows it at once if the module has the same session. */
	hdr.type = DSM_SESSION;
	hdr.len = htole32(READY);
	at = mempcpy(at, &hdr, HDR);
	at = mempcpy(at, &(struct dsm_wire_session){ htole64(SESSION), htole64(1) }, READY);
	hdr.type = DSM_READY;
	at = mempcpy(at, &hdr, HDR);
	at = mempcpy(at, &(struct dsm_wire_ready){ .session = htole64(SESSION) }, READY);
	end_feed_cut(end, bytes, (size_t)(at - bytes), wrong & 0x80 ? fuzz_u8(in) : 0);
}

static const uint8_t types[] = {
	DSM_DATA, DSM_GRANT, DSM_GET_S, DSM_REGION_NEW, DSM_PING, DSM_PONG, DSM_ACK, DSM_HELLO,
};

static void happen_frame(struct fuzz_input *in)
{
	static unsigned char bytes[HDR + 2 * DSM_WIRE_BODY_MAX];
	struct end *end = end_any(in);
	uint8_t how = fuzz_u8(in);
	uint8_t type = how & 0x10 ? fuzz_u8(in) : types[how % 8];
	struct dsm_wire_hdr hdr = { .magic = htole32(DSM_WIRE_MAGIC), .type = type };
	uint8_t what = fuzz_u8(in);
	uint32_t req = what % REQS, more = what / REQS % SLOTS;
	uint32_t length = type != DSM_DATA ? 0 : w.lengths[req] ? w.lengths[req] : BEYOND;
	uint32_t body;

	/* A run, or a run that is too long for one frame. */
	length *= more + 1;
	hdr.more = htole16((uint16_t)(what >= 0xf8 ? DSM_WIRE_RUN_MAX : more));

	if (how & 0x20)
		length = fuzz_u16(in) * (fuzz_u8(in) & 1 ? 3U : 1U);
	hdr.len = htole32(length);
	hdr.src = htole16((uint16_t)(end ? end->peer : 0));
	hdr.req = htole32(req);
	hdr.region = htole32(req == REQS - 1 ? REGION_NONE : REGION_IN);
	hdr.seq = htole64(type == DSM_PONG ? sys_now_ns - fuzz_u16(in) : fuzz_u8(in));
	memcpy(bytes, &hdr, HDR);
	if (how & 0x40)
		bytes[fuzz_u8(in) % HDR] ^= fuzz_u8(in);
	/* Then it claims to be longer than it is. */
	body = length > DSM_WIRE_BODY_MAX ? 0 : length;
	memset(bytes + HDR, (int)in->left, body);
	for (uint32_t i = 0; i < body; i += 61)
		bytes[HDR + i] = (unsigned char)i;
	if (end)
		end_feed_cut(end, bytes, HDR + body, how & 0x80 ? fuzz_u16(in) % (HDR + body) : 0);
}

static void happen_noise(struct fuzz_input *in)
{
	struct end *end = end_any(in);
	unsigned char bytes[255];
	size_t length = fuzz_bytes(in, bytes, fuzz_u8(in));

	if (end)
		end_feed(end, bytes, length);
}

/* The part of the current frame that is still to be written, at least one byte. */
static size_t frame_left(const struct end *end)
{
	size_t done = end->fd->tx_length - end->said, length;
	const struct sent *sent;

	if (end->sends_written == end->sends_count)
		return HDR;
	sent = &end->sends[end->sends_written];
	length = sent->length + sent->body_length;
	return done < length ? length - done : HDR;
}

/* The socket: reading, writing, and the end. */
static void happen_socket(struct fuzz_input *in)
{
	struct end *end = end_any(in);
	uint8_t how = fuzz_u8(in);

	if (!end)
		return;
	switch (how % 7) {
	case 0:
		end_feed(end, NULL, 0);
		end->fd->ended = true;
		break;
	case 1:
		end->fd->error = ECONNRESET;
		end->excused = true;
		break;
	case 2:
		end->fd->chunk = 1U + fuzz_u8(in) * (how & 0x80 ? 16U : 1U);
		break;
	case 3:
		end->fd->room = fuzz_u16(in);
		if (how & 0x80)
			end->fd->room = frame_left(end) + end->fd->room % 3 - 1;
		break;
	case 4:
		end->fd->interrupts = how >> 5;
		break;
	case 5:
		end->fd->fault = true;
		end->excused = true;
		break;
	case 6:
		sys_memory_fails = true;
		ends_excuse();
		break;
	}
}

static void happen_connect(struct fuzz_input *in)
{
	uint8_t how = fuzz_u8(in);
	int fd;

	if (w.ends_count == ENDS)
		return;
	if (how & 1) {
		for (unsigned int i = 0; i < w.ends_count; i++) {
			struct end *end = &ends[i];

			if (!end->fd || !end->fd->connecting)
				continue;
			end->fd->connected = !(how & 2);
			end->fd->error = how & 2 ? ECONNREFUSED : 0;
			end->excused |= how & 2;
		}
		return;
	}
	if (how & 4) {
		sys_socket_error = EMFILE;
		return;
	}
	for (int i = 0; i <= how >> 4 && w.ends_count < ENDS; i++) {
		fd = sys_incoming();
		if (fd >= 0)
			end_new(sys_fd(fd), false);
	}
	if (w.ends_count > 64)
		ends_excuse();	/* so many pending handshakes that dsmd closes the oldest */
}

static void happen_time(struct fuzz_input *in)
{
	uint8_t ms = fuzz_u8(in);

	sys_now_ns += ms * 1000000ULL;
	/* Silence is counted in heartbeats. Late heartbeats come all at once. */
	for (unsigned int i = 0; i < w.ends_count; i++)
		ends[i].excused = true;
}

static void send_say(struct end *end, uint8_t type, uint32_t length, uint32_t offset,
		     uint32_t body_length)
{
	struct dsm_wire_hdr hdr = {
		.magic = htole32(DSM_WIRE_MAGIC),
		.type = type,
		.src = htole16(SELF),
		.len = htole32(length - (uint32_t)HDR + body_length),
	};
	struct links_place place = { REGION_OUT, body_length, offset };
	struct sent *sent;

	/* The previous frame may have cost the connection. */
	if (!end->fd || end->sends_count == SENDS)
		return;
	if (!end->sends)
		end->sends = calloc(SENDS, sizeof(*end->sends));
	FUZZ_CHECK(end->sends, "out of memory");
	hdr.seq = htole64(end->sends_count + 1);
	sent = &end->sends[end->sends_count++];
	memcpy(sent->bytes, &hdr, HDR);
	memcpy(sent->bytes + HDR, bytes_out + end->sends_count, length - HDR);
	sent->length = length;
	sent->body_offset = offset;
	sent->body_length = body_length;
	links_send(&links, end->peer, sent->bytes, length, body_length ? &place : NULL);
}

static void happen_send(struct fuzz_input *in)
{
	uint8_t how = fuzz_u8(in);
	uint32_t peer = how & 1 ? 2 : 0;
	struct end *end = w.up[peer];
	unsigned char frame[HDR] = { 0 };

	if (how & 2) {	/* what the module may not say: it costs the connection */
		struct links_place place = { fuzz_u8(in), fuzz_u32(in), fuzz_u64(in) };

		if (place.region == REGION_OUT && place.offset <= WINDOW_SIZE &&
		    place.length <= WINDOW_SIZE - place.offset)
			return;
		if (place.region == REGION_IN)
			return;
		if (end)
			end->excused = true;
		links_send(&links, how & 4 ? fuzz_u32(in) | 4 : peer, frame,
			   how & 8 ? fuzz_u8(in) % (uint32_t)HDR : (uint32_t)HDR, &place);
		return;
	}
	if (!end)
		return;
	if (how & 4) {
		uint32_t offset = fuzz_u16(in) % WINDOW_SIZE;
		uint32_t length = 1U + fuzz_u16(in) % (WINDOW_SIZE - offset);

		send_say(end, DSM_DATA, HDR, offset, length);
	} else {
		uint32_t length = fuzz_u16(in) % (LINKS_INLINE_MAX + 1);

		for (int i = 0; i <= how >> 4; i++)
			send_say(end, DSM_REGION_NEW, (uint32_t)HDR + length, 0, 0);
	}
}

/* The module expects, forgets, or refuses. */
static void happen_expect(struct fuzz_input *in)
{
	uint8_t how = fuzz_u8(in);
	uint32_t i = how / 16 % SLOTS;
	struct slot *slot = &w.slots[i];

	switch (how % 8) {
	default:
		slot_expect(slot, fuzz_u8(in) % (REQS - 2), 1U + fuzz_u16(in) % SLOT_SIZE);
		break;
	case 2:		/* a run */
		how = fuzz_u8(in) % (REQS - 2 - SLOTS + 1);
		for (i = 0; i < SLOTS; i++)
			slot_expect(&w.slots[i], how + i, SLOT_SIZE);
		break;
	case 3:
		expect_say(REQS - 2, REGION_IN, WINDOW_SIZE - fuzz_u8(in) % BEYOND, BEYOND);
		expect_say(REQS - 1, REGION_NONE, 0, BEYOND);
		break;
	case 4:
		for (i = 0; i < SLOTS; i++)
			slot_end(&w.slots[i]);
		links_forget(&links, REGION_IN);
		break;
	case 5:
		links_forget(&links, how & 0x10 ? REGION_OUT : 99);
		break;
	case 6:
		w.refuse = how & 0x10 ? EPROTO : EAGAIN;
		break;
	case 7:
		w.refuse_up = how & 0x10 ? ESTALE : how & 0x20 ? EPERM : 0;
		w.expect_again = how & 0x40;
		break;
	}
}

static void turn(void)
{
	loop_once(&w.loop, 0);
	windows_check();
	for (unsigned int i = 0; i < w.ends_count; i++)
		if (ends[i].fd)
			end_said_check(&ends[i]);
}

static void happen(struct fuzz_input *in)
{
	uint8_t op = fuzz_u8(in);

	FUZZ_TRACE("op %u", op % 10);
	switch (op % 10) {
	case 0:
		turn();
		break;
	case 1:
		happen_connect(in);
		break;
	case 2:
		happen_hello(in);
		break;
	case 3:
	case 4:
		happen_frame(in);
		break;
	case 5:
		happen_noise(in);
		break;
	case 6:
		happen_socket(in);
		break;
	case 7:
		happen_time(in);
		break;
	case 8:
		happen_send(in);
		links_sync(&links);	/* as in the program that hears the module */
		break;
	case 9:
		happen_expect(in);
		links_sync(&links);
		break;
	}
	if (op & 0x80)
		turn();
}

/* A run */

static void settle(void)
{
	for (int i = 0; i < 1000 && !sys_idle(); i++)
		turn();
}

/* Removes all obstacles, and completes what was begun. */
static void calm(void)
{
	for (unsigned int i = 0; i < w.ends_count; i++) {
		struct end *end = &ends[i];

		if (!end->fd)
			continue;
		end->fd->room = SYS_ROOM_MAX;
		end->fd->chunk = SIZE_MAX;
		end->fd->interrupts = 0;
		end->fd->fault = false;
	}
	w.refuse = 0;
	w.refuse_up = 0;
	w.expect_again = false;
	sys_memory_fails = false;
	sys_socket_error = 0;
	settle();
	FUZZ_CHECK(sys_idle(), "it has something to do all the time");
}

/* The module has heard everything complete that arrived on a connection that is up. */
static void all_told_check(struct end *end)
{
	const unsigned char *body;
	struct dsm_wire_hdr hdr;

	if (!end->fd || !end->up)
		return;
	FUZZ_CHECK(end->fd->rx_read == end->fd->rx_length, "not all is read");
	FUZZ_CHECK(end_next_told(end, &hdr, &body) == PARSED_NONE,
		   "a frame the module was not told of, or garbage that is tolerated");
}

/*
 * Every connection that is up carries a ping, a frame each way, bytes to their place, and
 * credits.
 */
static void still_of_use(struct end *end)
{
	struct dsm_wire_hdr hdr = {
		.magic = htole32(DSM_WIRE_MAGIC), .src = htole16((uint16_t)end->peer),
		.type = DSM_PING, .seq = htole64(PING_SEQ),
	};
	unsigned char body[100];
	unsigned int told = w.told;

	FUZZ_TRACE("still of use: peer %u", end->peer);
	for (uint32_t i = 0; i < SLOTS; i++)
		slot_end(&w.slots[i]);
	links_forget(&links, REGION_IN);
	sys_feed(end->fd, &hdr, HDR);
	slot_expect(&w.slots[1], 5, sizeof(body));
	hdr.type = DSM_DATA;
	hdr.region = htole32(REGION_IN);
	hdr.req = htole32(5);
	hdr.len = htole32(sizeof(body));
	memset(body, 0xa5, sizeof(body));
	sys_feed(end->fd, &hdr, HDR);
	sys_feed(end->fd, body, sizeof(body));
	send_say(end, DSM_GET_S, HDR, 0, 0);
	links_sync(&links);
	settle();
	FUZZ_CHECK(end->up && w.told == told + 1 && w.told_in_window, "data is not heard");
	FUZZ_CHECK(end->last_pong == PING_SEQ, "a ping is not answered");
	FUZZ_CHECK(end->sends_written == end->sends_count, "a frame is not written");
	sys_now_ns += HEARTBEAT_MS * 1000000ULL;
	settle();
	FUZZ_CHECK(end->credits == end->sends_count, "credits are missing");
}

static void log_nowhere(int priority, const char *text)
{
	FUZZ_TRACE("<%d> %s", priority, text);
	(void)priority;
	(void)text;
}

static void address_set(struct config_address *address)
{
	struct sockaddr_in *in = (struct sockaddr_in *)&address->addr;

	in->sin_family = AF_INET;
	in->sin_port = htons(7717);
	address->addr_len = sizeof(*in);
	address->text = (char *)"made up";
}

static void begin(void)
{
	for (uint32_t i = 0; i < WINDOW_SIZE && !bytes_out[WINDOW_SIZE - 1]; i++)
		bytes_out[i] = (unsigned char)((i * 31 + i / 251) | 1);
	sys_reset();
	sys_connecting = end_connecting;
	sys_closing = end_closing;
	log_set_sink(log_nowhere);
	memset(&w, 0, sizeof(w));
	memset(&links, 0, offsetof(struct links, scratch));
	w.module.ops = &fake_ops;
	config.node = SELF;
	config.nodes = NODES;
	config.heartbeat_ms = HEARTBEAT_MS;
	config.lost_ms = LOST_MS;
	address_set(&config.listen);
	for (int i = 0; i < NODES; i++)
		address_set(&config.peers[i]);
	FUZZ_CHECK(!loop_init(&w.loop) &&
		   !links_init(&links, &config, &w.loop, &w.module), "no beginning");
	window_table_init(&links.windows, fake_window_open, NULL);
	FUZZ_CHECK(!links_start(&links, 1, CREDITS), "no start");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { data, size };

	begin();
	for (int i = 0; i < OPS_MAX && in.left; i++)
		happen(&in);
	calm();
	for (unsigned int i = 0; i < w.ends_count; i++) {
		struct end *end = &ends[i];

		all_told_check(end);
		if (end->fd && end->up && end->parsed == end->fd->rx_length &&
		    !end->fd->ended && !end->fd->error && end->sends_count < SENDS)
			still_of_use(end);
	}
	w.ending = true;
	links_exit(&links);
	loop_exit(&w.loop);
	FUZZ_CHECK(!sys_open_count(), "%u descriptors are left open", sys_open_count());
	return 0;
}
