// SPDX-License-Identifier: GPL-2.0
/* dsmd: frames and bodies between links, whole and in parts, to their places. */
#include "dsmd-test.h"

static void small_frames(void)
{
	unsigned char frame[sizeof(struct dsm_wire_hdr) + 112];
	struct dsm_wire_hdr hdr;
	struct node *a, *b;
	unsigned int sent = 0;

	REQUIRE(pair_new(&a, &b));
	for (sent = 0; sent < 2000; sent++) {
		hdr = frame_header(DSM_REGION_NEW, 1, 112);
		hdr.seq = htole64(sent);
		memcpy(frame, &hdr, sizeof(hdr));
		fill(frame + sizeof(hdr), 112, sent);
		/* as many as there are credits for, as the module does */
		links_send(&b->links, 0, frame, sizeof(frame), NULL);
		if (sent % 7 == 0)
			links_sync(&b->links);
		WAIT(a, b, sent + 1 - b->credits[0] < CREDITS);
	}
	links_sync(&b->links);
	WAIT(a, b, a->told_count == sent);
	for (unsigned int i = 0; i < a->told_count; i++) {
		memcpy(&hdr, a->told[i].frame, sizeof(hdr));
		if (a->told[i].peer != 1 || a->told[i].length != sizeof(frame) ||
		    le64toh(hdr.seq) != i || !filled(a->told[i].frame + sizeof(hdr), 112, i)) {
			CHECK(!"a frame that is not as it was sent");
			break;
		}
	}
	WAIT(a, b, b->credits[0] == sent);	/* the rest, with a heartbeat */
	node_free(a);
	node_free(b);
}

static void data_to_its_place(void)
{
	struct node *a, *b;

	REQUIRE(pair_new(&a, &b));
	fill(b->memory + 3 * PAGE, PAGE, 3);
	expect(a, 100, 5 * PAGE, PAGE);
	data_send(b, 0, 100, 1, 3 * PAGE, PAGE);
	WAIT(a, b, a->told_count == 1);
	CHECK(a->told[0].in_window);
	CHECK(a->told[0].length == sizeof(struct dsm_wire_hdr));
	CHECK(filled(a->memory + 5 * PAGE, PAGE, 3));
	CHECK(zero(a->memory, 5 * PAGE) && zero(a->memory + 6 * PAGE, PAGE));
	CHECK(!a->links.expects.count);

	/* The expectation is over: the same again is not expected. */
	memset(a->memory + 5 * PAGE, 0, PAGE);
	data_send(b, 0, 100, 2, 3 * PAGE, PAGE);
	WAIT(a, b, a->told_count == 2);
	CHECK(!a->told[1].in_window);
	CHECK(zero(a->memory, REGION_SIZE));
	node_free(a);
	node_free(b);
}

/* The bytes of @count blocks of a page, for requests from @req on, in one frame. */
static void run_send(struct node *node, uint32_t peer, uint32_t req, uint32_t count,
		     uint64_t offset)
{
	struct dsm_wire_hdr hdr = frame_header(DSM_DATA, (uint16_t)node->config.node, count * PAGE);
	struct links_place place = { REGION, count * PAGE, offset };

	hdr.req = htole32(req);
	hdr.more = htole16((uint16_t)(count - 1));
	hdr.region = htole32(REGION);
	hdr.seq = htole64(req);
	node_send(node, peer, &hdr, &place);
}

/* A run goes to its places at once; other expectations are not touched. */
static void run_to_its_place(void)
{
	struct node *a, *b;

	REQUIRE(pair_new(&a, &b));
	fill(b->memory, 4 * PAGE, 3);
	/* The module says it of all at once. */
	expect(a, 99, 4 * PAGE, PAGE);
	for (uint32_t i = 0; i < 4; i++)
		expect(a, 100 + i, (5 + i) * PAGE, PAGE);
	expect(a, 104, 9 * PAGE, PAGE);
	run_send(b, 0, 100, 4, 0);
	WAIT(a, b, a->told_count == 1);
	CHECK(a->told[0].in_window);
	CHECK(a->told[0].length == sizeof(struct dsm_wire_hdr));
	CHECK(filled(a->memory + 5 * PAGE, 4 * PAGE, 3));
	CHECK(zero(a->memory, 5 * PAGE) && zero(a->memory + 9 * PAGE, PAGE));
	CHECK(a->links.expects.count == 2);

	/* It is over for each of them. */
	memset(a->memory + 5 * PAGE, 0, 4 * PAGE);
	run_send(b, 0, 100, 4, 0);
	data_send(b, 0, 102, 200, 0, PAGE);
	WAIT(a, b, a->told_count == 3);
	CHECK(!a->told[1].in_window && !a->told[2].in_window);
	CHECK(zero(a->memory, REGION_SIZE));
	CHECK(a->links.expects.count == 2);
	node_free(a);
	node_free(b);
}

/* If not all of a run is expected, one block behind the other, none of it has a place. */
static void run_partly_expected(void)
{
	struct node *a, *b;
	unsigned int told = 0;

	REQUIRE(pair_new(&a, &b));
	fill(b->memory, 3 * PAGE, 3);

	/* The last one is not. */
	expect(a, 100, 5 * PAGE, PAGE);
	expect(a, 101, 6 * PAGE, PAGE);
	run_send(b, 0, 100, 3, 0);
	WAIT(a, b, a->told_count == told + 1);
	CHECK(!a->told[told++].in_window);
	CHECK(zero(a->memory, REGION_SIZE));

	/* ... elsewhere. */
	expect(a, 102, 9 * PAGE, PAGE);
	run_send(b, 0, 100, 3, 0);
	WAIT(a, b, a->told_count == told + 1);
	CHECK(!a->told[told++].in_window);
	CHECK(zero(a->memory, REGION_SIZE));

	/* What is expected still comes by itself, and as much of it as goes together. */
	CHECK(a->links.expects.count == 3);
	data_send(b, 0, 102, 300, 0, PAGE);
	run_send(b, 0, 100, 2, 0);
	WAIT(a, b, a->told_count == told + 2);
	CHECK(a->told[told].in_window && a->told[told + 1].in_window);
	CHECK(filled(a->memory + 5 * PAGE, 2 * PAGE, 3));
	CHECK(zero(a->memory + 7 * PAGE, 2 * PAGE));
	CHECK(!memcmp(a->memory + 9 * PAGE, b->memory, PAGE));
	CHECK(!a->links.expects.count);
	node_free(a);
	node_free(b);
}

/*
 * Of a run that the module refuses it may have taken a part: nothing comes there
 * again, but what it says that it expects.
 */
static void run_refused(void)
{
	struct node *a, *b;

	REQUIRE(pair_new(&a, &b));
	fill(b->memory, 3 * PAGE, 3);
	a->refuse_at = 0;
	a->refuse_error = ENOMEM;
	for (uint32_t i = 0; i < 3; i++)
		expect(a, 100 + i, i * PAGE, PAGE);
	run_send(b, 0, 100, 3, 0);
	WAIT(a, b, !strcmp(a->states[1], "udu") && node_up(b, 0));
	CHECK(!a->told_count && filled(a->memory, 3 * PAGE, 3));
	CHECK(strstr(log_text, "the module has not taken frame 100, of type 9"));
	CHECK(!a->links.expects.count);

	a->refuse_error = 0;
	WAIT(a, b, node_up(a, 1) && node_up(b, 0));
	memset(a->memory, 0, 3 * PAGE);
	/* What is sent again goes one by one. The last is what the module has not taken. */
	expect(a, 102, 2 * PAGE, PAGE);
	for (uint32_t i = 0; i < 3; i++)
		data_send(b, 0, 100 + i, 100 + i, i * PAGE, PAGE);
	WAIT(a, b, a->told_count == 3);
	CHECK(!a->told[0].in_window && !a->told[1].in_window && a->told[2].in_window);
	CHECK(zero(a->memory, 2 * PAGE));
	CHECK(!memcmp(a->memory + 2 * PAGE, b->memory + 2 * PAGE, PAGE));
	CHECK(!a->links.expects.count);
	node_free(a);
	node_free(b);
}

static void data_back_to_back(void)
{
	const uint32_t sizes[] = { PAGE, 65536, 8192, PAGE, PAGE, 16384, 65536, PAGE };
	uint64_t from = 0, to = REGION_SIZE;
	int size = 4096;
	struct node *a, *b;
	uint32_t n = 0;

	REQUIRE(pair_new(&a, &b));
	/* Writes come in parts, and so do reads. */
	setsockopt(b->links.peers[0].conn->source.fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	for (; from + 65536 <= REGION_SIZE && n < CREDITS; n++) {
		uint32_t length = sizes[n % 8];

		to -= length;
		fill(b->memory + from, length, n);
		expect(a, 1000 + n, to, length);
		data_send(b, 0, 1000 + n, n, from, length);
		from += length;
	}
	WAIT(a, b, a->told_count == n);
	to = REGION_SIZE;
	for (uint32_t i = 0; i < n; i++) {
		to -= sizes[i % 8];
		CHECK(a->told[i].in_window);
		CHECK(filled(a->memory + to, sizes[i % 8], i));
	}
	CHECK(zero(a->memory, (uint32_t)to));
	CHECK(!a->links.expects.count);
	node_free(a);
	node_free(b);
}

static void data_unexpected(void)
{
	struct links_place elsewhere = { REGION + 1, PAGE, 0 };
	struct dsm_wire_hdr other = frame_header(DSM_DATA, 1, PAGE);
	struct links_place from = { REGION, PAGE, 0 };
	struct node *a, *b;

	REQUIRE(pair_new(&a, &b));
	memset(b->memory, 0xff, REGION_SIZE);
	expect(a, 2, 0, PAGE);
	expect(a, 4, 0, PAGE);
	expect(a, 5, REGION_SIZE - PAGE + 1, PAGE);
	links_expect(&a->links, 6, &elsewhere);

	data_send(b, 0, 1, 1, 0, PAGE);		/* nobody asked */
	data_send(b, 0, 2, 2, 0, 2 * PAGE);	/* more than was asked for */
	data_send(b, 0, 2, 2, 0, PAGE / 2);	/* less */
	data_send(b, 0, 5, 3, 0, PAGE);		/* outside the window */
	other.req = htole32(6);			/* of a window that cannot be had */
	other.region = htole32(REGION + 1);
	node_send(b, 0, &other, &from);
	other.req = htole32(4);			/* of another region than was asked for */
	node_send(b, 0, &other, &from);

	WAIT(a, b, a->told_count == 6);
	for (unsigned int i = 0; i < a->told_count; i++)
		CHECK(!a->told[i].in_window);
	CHECK(zero(a->memory, REGION_SIZE));
	CHECK(node_up(a, 1));

	data_send(b, 0, 2, 4, 0, PAGE);		/* and what was asked for, after all */
	WAIT(a, b, a->told_count == 7);
	CHECK(a->told[6].in_window);
	CHECK(!zero(a->memory, PAGE) && zero(a->memory + PAGE, REGION_SIZE - PAGE));
	node_free(a);
	node_free(b);
}

static void grant_ends_expectation(void)
{
	struct dsm_wire_hdr grant = frame_header(DSM_GRANT, 1, 0);
	struct node *a, *b;

	REQUIRE(pair_new(&a, &b));
	memset(b->memory, 0xff, PAGE);
	expect(a, 9, 0, PAGE);
	grant.req = htole32(9);
	node_send(b, 0, &grant, NULL);
	data_send(b, 0, 9, 2, 0, PAGE);
	WAIT(a, b, a->told_count == 2);
	CHECK(!a->told[0].in_window && !a->told[1].in_window);
	CHECK(zero(a->memory, PAGE));
	CHECK(!a->links.expects.count);
	node_free(a);
	node_free(b);
}

/* Half of a data frame from peer 1; then its place is taken away. */
static void place_taken_away(void)
{
	struct dsm_wire_hdr data = frame_header(DSM_DATA, 1, 65536);
	struct dsm_wire_hdr grant = frame_header(DSM_GRANT, 2, 0);
	struct node *node = server_new(3);
	unsigned char *ones = malloc(65536);
	int one = raw_up(node, 1);
	int two = raw_up(node, 2);

	memset(ones, 0xff, 65536);
	data.region = htole32(REGION);
	data.req = htole32(1);
	grant.req = htole32(1);

	/* by a grant on another connection */
	expect(node, 1, 0, 65536);
	raw_write(one, &data, sizeof(data));
	raw_write(one, ones, 30000);
	WAIT(node, NULL, node->memory[29999] == 0xff);
	raw_write(two, &grant, sizeof(grant));
	WAIT(node, NULL, node->told_count == 1);
	raw_write(one, ones, 35536);
	WAIT(node, NULL, node->told_count == 2);
	CHECK(!node->told[1].in_window);
	CHECK(zero(node->memory + 30000, 35536));

	/* by the end of the region */
	memset(node->memory, 0, 65536);
	expect(node, 1, 0, 65536);
	raw_write(one, &data, sizeof(data));
	raw_write(one, ones, 30000);
	WAIT(node, NULL, node->memory[29999] == 0xff);
	links_forget(&node->links, REGION);
	raw_write(one, ones, 35536);
	WAIT(node, NULL, node->told_count == 3);
	CHECK(!node->told[2].in_window);
	CHECK(zero(node->memory + 30000, 35536));
	CHECK(!node->links.expects.count);

	/* and one that has another's is not given to a second connection */
	memset(node->memory, 0, 65536);
	expect(node, 1, 0, 65536);
	raw_write(one, &data, sizeof(data));
	raw_write(one, ones, 30000);
	WAIT(node, NULL, node->memory[29999] == 0xff);
	memset(node->memory, 0, 65536);
	data.src = htole16(2);
	raw_write(two, &data, sizeof(data));
	raw_write(two, ones, 65536);
	WAIT(node, NULL, node->told_count == 4);
	CHECK(!node->told[3].in_window);
	CHECK(zero(node->memory, 65536));
	/* but is there again when the first ends */
	close(one);
	WAIT(node, NULL, !node_up(node, 1));
	raw_write(two, &data, sizeof(data));
	raw_write(two, ones, 65536);
	WAIT(node, NULL, node->told_count == 5);
	CHECK(node->told[4].in_window);

	free(ones);
	close(two);
	node_free(node);
}

static void byte_at_a_time(void)
{
	struct dsm_wire_hdr data = frame_header(DSM_DATA, 1, PAGE);
	unsigned char stream[2 * PAGE + 4096], *end = stream;
	struct raw_hello hello = raw_hello(1, 2);
	struct node *node = server_new(2);
	int fd = raw_connect(node);
	struct raw_ready ready;
	struct dsm_wire_hdr hdr;

	expect(node, 5, PAGE, PAGE);
	end = mempcpy(end, &hello, sizeof(hello));
	ready = raw_ready_make(node, 1);
	end = mempcpy(end, &ready, sizeof(ready));
	hdr = frame_header(DSM_REGION_NEW, 1, 112);
	end = mempcpy(end, &hdr, sizeof(hdr));
	fill(end, 112, 1);
	end += 112;
	hdr = frame_header(DSM_PING, 1, 0);
	end = mempcpy(end, &hdr, sizeof(hdr));
	data.region = htole32(REGION);
	data.req = htole32(5);
	end = mempcpy(end, &data, sizeof(data));
	fill(end, PAGE, 2);
	end += PAGE;
	hdr = frame_header(DSM_GET_S, 1, 0);
	end = mempcpy(end, &hdr, sizeof(hdr));

	for (unsigned char *p = stream; p < end; p++) {
		raw_write(fd, p, 1);
		loop_once(&node->loop, 1);
	}
	WAIT(node, NULL, node->told_count == 3);
	CHECK(node->told[0].length == sizeof(hdr) + 112);
	CHECK(filled(node->told[0].frame + sizeof(hdr), 112, 1));
	CHECK(node->told[1].in_window);
	CHECK(filled(node->memory + PAGE, PAGE, 2));
	CHECK(node->told[2].length == sizeof(hdr));
	CHECK(node->told[2].frame[offsetof(struct dsm_wire_hdr, type)] == DSM_GET_S);
	close(fd);
	node_free(node);
}

/* The same stream, cut at random. */
static void any_segmentation(void)
{
	const uint32_t count = 300;
	size_t size = count * (sizeof(struct dsm_wire_hdr) + 65536), length = 0, at = 0;
	struct node *node = server_new(2);
	unsigned char *stream = malloc(size);
	uint32_t *lengths = calloc(count, sizeof(*lengths));
	int fd = raw_up(node, 1);

	for (uint32_t i = 0; i < count; i++) {
		bool is_data = random() % 3;
		uint32_t body = is_data ? 1U + (uint32_t)random() % (random() % 4 ? 5000 : 65536) :
					  (uint32_t)random() % 200;
		struct dsm_wire_hdr hdr = frame_header(is_data ? DSM_DATA : DSM_REGION_NEW, 1, body);

		hdr.region = htole32(REGION);
		hdr.req = htole32(i);
		hdr.seq = htole64(i);
		memcpy(stream + length, &hdr, sizeof(hdr));
		fill(stream + length + sizeof(hdr), body, i);
		length += sizeof(hdr) + body;
		lengths[i] = is_data ? body : 0;
	}
	for (uint32_t i = 0; at < length;) {
		size_t n = 1 + (size_t)random() % (random() % 5 ? 300 : 100000);

		/* Expected a little ahead, always at the same place. */
		if (n > length - at)
			n = length - at;
		raw_write(fd, stream + at, n);
		at += n;
		for (int turn = 0; turn < 3; turn++) {
			for (i = node->told_count; i < count && !lengths[i]; i++)
				;
			if (i < count && i == node->told_count &&
			    !expect_find(&node->links.expects, i))
				expect(node, i, 0, lengths[i]);
			loop_once(&node->loop, 0);
		}
	}
	WAIT(node, NULL, node->told_count == count);
	for (uint32_t i = 0; i < node->told_count; i++) {
		struct dsm_wire_hdr hdr;

		memcpy(&hdr, node->told[i].frame, sizeof(hdr));
		if (le64toh(hdr.seq) != i || (lengths[i] ?
		    node->told[i].length != sizeof(hdr) :
		    !filled(node->told[i].frame + sizeof(hdr),
			    node->told[i].length - (uint32_t)sizeof(hdr), i))) {
			CHECK(!"a frame that is not as it was sent");
			break;
		}
	}
	free(lengths);
	free(stream);
	close(fd);
	node_free(node);
}

static void sends_while_down(void)
{
	struct dsm_wire_hdr hdr = frame_header(DSM_GET_S, 0, 0);
	struct node *node = server_new(2);
	struct links_place place = { REGION, PAGE, 0 };

	node_send(node, 1, &hdr, NULL);
	node_send(node, 1, &hdr, &place);
	node_send(node, 0, &hdr, NULL);		/* to itself */
	node_send(node, 77, &hdr, NULL);	/* to nobody */
	CHECK(!node->credits[1]);
	node_free(node);
}

/* The module does not take a frame: everything from it on comes again. */
static void refused(void)
{
	struct node *a, *b;

	REQUIRE(pair_new(&a, &b));
	fill(b->memory, 2 * PAGE, 1);
	a->refuse_at = 1;
	a->refuse_error = EPROTO;
	expect(a, 1, PAGE, PAGE);
	expect(a, 2, 2 * PAGE, PAGE);
	data_send(b, 0, 1, 1, 0, PAGE);
	data_send(b, 0, 2, 2, 0, PAGE);
	WAIT(a, b, !strcmp(a->states[1], "udu") && node_up(b, 0));
	CHECK(a->told_count == 1 && a->told[0].in_window);
	CHECK(strstr(log_text, "the module has not taken frame 2, of type 9: Protocol error: no"));
	CHECK(a->links.expects.count == 1);

	a->refuse_error = 0;
	WAIT(a, b, node_up(a, 1) && node_up(b, 0));
	data_send(b, 0, 1, 1, 0, PAGE);
	data_send(b, 0, 2, 2, 0, PAGE);
	WAIT(a, b, a->told_count == 3);
	CHECK(!a->told[1].in_window && a->told[2].in_window);
	CHECK(!a->links.expects.count);
	node_free(a);
	node_free(b);
}

/*
 * A request is sent again just as its bytes arrive. They must not be expected
 * any longer: the owner, too, may send them again, into a page in use.
 */
static void expected_again_too_late(void)
{
	struct node *a, *b;

	REQUIRE(pair_new(&a, &b));
	memset(b->memory, 0xff, PAGE);
	expect(a, 1, 0, PAGE);
	a->expect_req = 1;
	data_send(b, 0, 1, 1, 0, PAGE);
	WAIT(a, b, a->told_count == 1);
	a->expect_req = 0;
	CHECK(a->told[0].in_window);
	CHECK(!a->links.expects.count);

	memset(a->memory, 0, PAGE);
	data_send(b, 0, 1, 1, 0, PAGE);
	WAIT(a, b, a->told_count == 2);
	CHECK(!a->told[1].in_window);
	CHECK(zero(a->memory, PAGE));

	/* If it cannot be taken now, they are expected: it comes again, on this connection. */
	expect(a, 1, 0, PAGE);
	a->refuse_at = 2;
	a->refuse_error = EAGAIN;
	a->expect_req = 1;
	data_send(b, 0, 1, 1, 0, PAGE);
	WAIT(a, b, !memcmp(a->memory, b->memory, PAGE));
	pump_for(a, b, 50);
	CHECK(!strcmp(a->states[1], "u") && node_up(b, 0));
	CHECK(a->links.expects.count == 1);
	a->expect_req = 0;
	a->refuse_error = 0;
	data_send(b, 0, 1, 1, 0, PAGE);
	WAIT(a, b, a->told_count == 3);
	CHECK(a->told[2].in_window);
	node_free(a);
	node_free(b);
}

/*
 * The frames cannot be had. Who is to receive tells the module that the bytes are not there;
 * who is to send cannot end the frame any more, and the connection ends.
 */
static void window_fault(void)
{
	struct node *a, *b;

	REQUIRE(pair_new(&a, &b));
	fill(b->memory, 65536, 1);
	if (ftruncate(a->memory_fd, 0))
		abort();
	expect(a, 1, 0, PAGE);
	data_send(b, 0, 1, 1, 0, PAGE);		/* copied */
	WAIT(a, b, a->told_count == 1);
	CHECK(strstr(log_text, "a page of region 7's window cannot be written"));
	expect(a, 2, 0, 65536);
	data_send(b, 0, 2, 2, 0, 65536);	/* and read into */
	WAIT(a, b, a->told_count == 2);
	CHECK(!a->told[0].in_window && !a->told[1].in_window);
	CHECK(!strcmp(a->states[1], "u"));

	/* What follows is read as ever. */
	if (ftruncate(a->memory_fd, 65536))
		abort();
	expect(a, 3, 0, PAGE);
	data_send(b, 0, 3, 3, 0, PAGE);
	WAIT(a, b, a->told_count == 3);
	CHECK(a->told[2].in_window && !memcmp(a->memory, b->memory, PAGE));

	if (ftruncate(b->memory_fd, 0))
		abort();
	data_send(b, 0, 1, 1, 0, PAGE);
	WAIT(a, b, strstr(log_text, "a page of a window cannot be read"));
	WAIT(a, b, node_up(a, 1) && node_up(b, 0));
	CHECK(a->told_count == 3);
	node_free(a);
	node_free(b);
}

static void slow_reader(void)
{
	struct node *node = server_new(2);
	int fd = raw_up(node, 1);
	size_t want = 96 + 32 * (64 + 65536ULL), have = 0;
	unsigned char *seen = malloc(want + 65536);
	uint64_t until = clock_now_ns() + WAIT_NS;
	int size = 4096;
	size_t at = 96;

	setsockopt(node->links.peers[1].conn->source.fd, SOL_SOCKET, SO_SNDBUF, &size,
		   sizeof(size));
	fill(node->memory, 65536, 1);
	for (uint32_t i = 0; i < 32; i++)
		data_send(node, 1, i, i, 0, 65536);
	CHECK(!output_empty(&node->links.peers[1].conn->out));
	for (int i = 0; i < 1000; i++) {	/* and wants answers it does not read */
		raw_ping(fd, 1);
		loop_once(&node->loop, 0);
	}
	CHECK(node->links.peers[1].conn && node->links.peers[1].conn->out.own <= 16);

	while (have < want && clock_now_ns() < until) {
		ssize_t n = recv(fd, seen + have, want + 65536 - have, MSG_DONTWAIT);

		have += n > 0 ? (size_t)n : 0;
		raw_ping(fd, 1);
		loop_once(&node->loop, 0);
	}
	for (uint32_t i = 0; at + 64 <= have;) {
		struct dsm_wire_hdr hdr;

		memcpy(&hdr, seen + at, sizeof(hdr));
		at += 64 + le32toh(hdr.len);
		if (hdr.type != DSM_DATA || at > have)
			continue;
		if (le32toh(hdr.req) != i++ || !filled(seen + at - 65536, 65536, 1)) {
			CHECK(!"a frame that is not as it was sent");
			break;
		}
		if (i == 32)
			want = 0;
	}
	CHECK(!want);
	WAIT(node, NULL, node->credits[1] == 32);
	free(seen);
	close(fd);
	node_free(node);
}

static const struct test tests[] = {
	{ "small frames, credits", small_frames },
	{ "data to its place", data_to_its_place },
	{ "a run to its place", run_to_its_place },
	{ "a run that is expected in part", run_partly_expected },
	{ "a run the module refuses", run_refused },
	{ "data back to back, writes in parts", data_back_to_back },
	{ "data nobody expects", data_unexpected },
	{ "a grant ends an expectation", grant_ends_expectation },
	{ "a place taken away half-way", place_taken_away },
	{ "a byte at a time", byte_at_a_time },
	{ "any segmentation", any_segmentation },
	{ "sends to a peer that is down", sends_while_down },
	{ "frames the module refuses", refused },
	{ "expected again too late", expected_again_too_late },
	{ "a window that faults", window_fault },
	{ "a peer that reads slowly", slow_reader },
};

TESTS_MAIN(tests)
