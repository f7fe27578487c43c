// SPDX-License-Identifier: GPL-2.0
/*
 * The module does not trust its helper. First an unregistered process talks to the module.
 * Then, with the helper dead, a false helper does. Every wrong message gets an error and
 * changes nothing. Afterwards the true helper continues where it was.
 */
#include <endian.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/dsm_netlink.h>
#include <linux/dsm_wire.h>

#include "genl.h"
#include "test.h"

enum {
	PAGE		= 4096,
	PAGES		= 16,
	RANDOM_MESSAGES	= 10000,
};

/* ---- frames ---------------------------------------------------------------- */

/* The peer that the false helper speaks for, and what it has found out about that peer. */
struct forger {
	int fd;
	int family;
	uint16_t peer;
	uint32_t region;
	uint64_t seq;		/* the number that the module expects next from the peer */
};

static struct dsm_wire_hdr header(const struct forger *f, uint8_t type)
{
	return (struct dsm_wire_hdr){
		.magic = htole32(DSM_WIRE_MAGIC),
		.type = type,
		.src = htole16(f->peer),
		.view = htole32(node_get("view")),
		.seq = htole64(f->seq),
		.region = htole32(f->region),
	};
}

static int receive(const struct forger *f, uint32_t peer, const void *frame, size_t len,
		   bool in_window)
{
	struct genl_message m;

	genl_begin(&m, f->family, DSM_CMD_RECEIVE);
	genl_put_u32(&m, DSM_A_PEER, peer);
	genl_put(&m, DSM_A_FRAME, frame, len);
	if (in_window)
		genl_put(&m, DSM_A_IN_WINDOW, NULL, 0);
	return genl_say(f->fd, &m);
}

static int receive_header(const struct forger *f, struct dsm_wire_hdr hdr)
{
	return receive(f, f->peer, &hdr, sizeof(hdr), false);
}

/*
 * An unsolicited message: with the next number it is an error, with an earlier one it is
 * dropped.
 */
static struct dsm_wire_hdr unasked_grant(const struct forger *f)
{
	struct dsm_wire_hdr hdr = header(f, DSM_GRANT);

	hdr.block = htole64(PAGES - 1);
	hdr.req = htole32(12345);
	return hdr;
}

static void find_seq(struct forger *f)
{
	char file[64];
	uint64_t most;
	int err;

	snprintf(file, sizeof(file), "peers/%u/rx_frames", f->peer);
	/* A frame may stand for several messages. */
	most = node_get(file) * DSM_WIRE_RUN_MAX + 1;
	for (f->seq = 1; f->seq <= most; f->seq++) {
		err = receive_header(f, unasked_grant(f));
		if (err == EPROTO)
			return;
		ASSERT_EQ(err, 0);
	}
	ASSERT_TRUE(!"a number that the module waits for");
}

/* ---- an unregistered process -------------------------------------------- */

static void expect_all_to_fail(int error_of_register, int error)
{
	int fd = genl_open(), family = genl_family(fd);
	struct genl_message m;

	genl_begin(&m, family, DSM_CMD_REGISTER);
	genl_put_u32(&m, DSM_A_NODE, node());
	genl_put_u32(&m, DSM_A_NODES, nodes());
	EXPECT_EQ(genl_say(fd, &m), error_of_register);
	genl_begin(&m, family, DSM_CMD_PEER);
	genl_put_u32(&m, DSM_A_PEER, !node());
	genl_put_u32(&m, DSM_A_PEER_STATE, DSM_PEER_DOWN);
	EXPECT_EQ(genl_say(fd, &m), error);
	genl_begin(&m, family, DSM_CMD_CREDIT);
	genl_put_u32(&m, DSM_A_PEER, !node());
	genl_put_u32(&m, DSM_A_CREDITS, 1);
	EXPECT_EQ(genl_say(fd, &m), error);
	genl_begin(&m, family, DSM_CMD_RECEIVE);
	genl_put_u32(&m, DSM_A_PEER, !node());
	genl_put(&m, DSM_A_FRAME, "x", 1);
	EXPECT_EQ(genl_say(fd, &m), error);
	genl_begin(&m, family, DSM_CMD_SESSION);
	genl_put_u32(&m, DSM_A_PEER, !node());
	genl_put_u64(&m, DSM_A_INCARNATION, 1);
	EXPECT_EQ(genl_say(fd, &m), error);
	close(fd);
}

static void speak_as_user(void)
{
	become_user(0);
	expect_all_to_fail(EPERM, EPERM);
}

TEST(stranger)
{
	int fd = genl_open(), family = genl_family(fd);
	long long helper = node_get("helper");
	struct genl_message m;

	if (nodes() < 2)
		skip("needs two nodes");
	expect_all_to_fail(EBUSY, EPERM);
	EXPECT_EQ(in_child(speak_as_user), 0);
	/* Commands that only the module sends, and unknown commands. */
	for (int cmd = 0; cmd < 256; cmd++) {
		if (cmd == DSM_CMD_REGISTER || cmd == DSM_CMD_PEER || cmd == DSM_CMD_CREDIT ||
		    cmd == DSM_CMD_RECEIVE || cmd == DSM_CMD_SESSION)
			continue;
		genl_begin(&m, family, cmd);
		EXPECT_EQ(genl_say(fd, &m), EOPNOTSUPP);
	}
	close(fd);
	/* Closing a socket that is not the helper's has no effect. */
	EXPECT_EQ(node_get("helper"), helper);
	EXPECT_EQ(node_get("up"), nodes());
	together("said");
}

/* ---- a false helper ------------------------------------------------------------ */

static void bad_attributes(const struct forger *f)
{
	static const struct {
		int cmd;
		int attrs[3];	/* each a u32 of 1 */
	} missing[] = {
		{ DSM_CMD_REGISTER, { 0 } },
		{ DSM_CMD_REGISTER, { DSM_A_NODE } },
		{ DSM_CMD_REGISTER, { DSM_A_NODES } },
		{ DSM_CMD_RECEIVE, { 0 } },
		{ DSM_CMD_RECEIVE, { DSM_A_PEER } },
		{ DSM_CMD_CREDIT, { 0 } },
		{ DSM_CMD_CREDIT, { DSM_A_PEER } },
		{ DSM_CMD_CREDIT, { DSM_A_CREDITS } },
		{ DSM_CMD_PEER, { 0 } },
		{ DSM_CMD_PEER, { DSM_A_PEER_STATE } },
		{ DSM_CMD_PEER, { DSM_A_PEER, DSM_A_PEER_STATE } },	/* no incarnation */
		{ DSM_CMD_SESSION, { 0 } },
		{ DSM_CMD_SESSION, { DSM_A_PEER } },
	};
	static const int commands[] = { DSM_CMD_REGISTER, DSM_CMD_RECEIVE, DSM_CMD_CREDIT,
					DSM_CMD_PEER, DSM_CMD_SESSION };
	struct genl_message m;

	for (size_t i = 0; i < sizeof(missing) / sizeof(*missing); i++) {
		genl_begin(&m, f->family, missing[i].cmd);
		for (int j = 0; j < 3 && missing[i].attrs[j]; j++)
			genl_put_u32(&m, missing[i].attrs[j],
				missing[i].attrs[j] == DSM_A_PEER ? f->peer : 1);
		if (genl_say(f->fd, &m) != EINVAL)
			test_failed(__FILE__, __LINE__, false, "attributes of case %zu", i);
	}
	for (size_t i = 0; i < sizeof(commands) / sizeof(*commands); i++) {
		/* An unknown attribute, and attributes of a wrong length. */
		genl_begin(&m, f->family, commands[i]);
		genl_put_u32(&m, DSM_A_PEER, f->peer);
		genl_put_u32(&m, DSM_A_MAX + 1, 1);
		EXPECT_NE(genl_say(f->fd, &m), 0);
		for (int type = 1; type <= DSM_A_MAX; type++) {
			genl_begin(&m, f->family, commands[i]);
			genl_put(&m, type, "xyz", 3);
			EXPECT_NE(genl_say(f->fd, &m), 0);
		}
		/* An attribute that is longer than the message. */
		genl_begin(&m, f->family, commands[i]);
		genl_put_u32(&m, DSM_A_PEER, f->peer);
		((struct nlattr *)m.attrs)->nla_len = 200;
		EXPECT_NE(genl_say(f->fd, &m), 0);
	}
	/* Neither this node nor a peer, and invalid states. */
	genl_begin(&m, f->family, DSM_CMD_REGISTER);
	genl_put_u32(&m, DSM_A_NODE, !node());
	genl_put_u32(&m, DSM_A_NODES, nodes());
	EXPECT_NE(genl_say(f->fd, &m), 0);
	genl_begin(&m, f->family, DSM_CMD_REGISTER);
	genl_put_u32(&m, DSM_A_NODE, node());
	genl_put_u32(&m, DSM_A_NODES, nodes() + 1);
	EXPECT_NE(genl_say(f->fd, &m), 0);
	genl_begin(&m, f->family, DSM_CMD_PEER);
	genl_put_u32(&m, DSM_A_PEER, f->peer);
	genl_put_u32(&m, DSM_A_PEER_STATE, DSM_PEER_UP + 1);
	EXPECT_NE(genl_say(f->fd, &m), 0);

	const uint32_t no_peers[] = { node(), nodes(), 65536, UINT32_MAX };
	struct dsm_wire_hdr hdr = header(f, DSM_INV);

	for (int i = 0; i < 4; i++) {
		genl_begin(&m, f->family, DSM_CMD_CREDIT);
		genl_put_u32(&m, DSM_A_PEER, no_peers[i]);
		genl_put_u32(&m, DSM_A_CREDITS, 1);
		EXPECT_EQ(genl_say(f->fd, &m), EINVAL);
		EXPECT_EQ(receive(f, no_peers[i], &hdr, sizeof(hdr), false), EINVAL);
	}
}

#define EXPECT_FRAME(change, error) do {			\
	struct dsm_wire_hdr hdr = header(f, DSM_INV);		\
								\
	change;							\
	EXPECT_EQ(receive_header(f, hdr), error);		\
} while (0)

static void bad_frames(const struct forger *f)
{
	char frame[1100] = "";
	struct dsm_wire_hdr good = header(f, DSM_INV);

	for (size_t len = 0; len < sizeof(good); len++)
		EXPECT_EQ(receive(f, f->peer, &good, len, false), EBADMSG);
	memcpy(frame, &good, sizeof(good));
	for (size_t len = sizeof(good) + 1; len < 1024; len += 13)
		EXPECT_EQ(receive(f, f->peer, frame, len, false), EBADMSG);
	EXPECT_NE(receive(f, f->peer, frame, 1025, false), 0);

	EXPECT_FRAME(hdr.magic ^= 1, EBADMSG);
	EXPECT_FRAME(hdr.magic = htobe32(DSM_WIRE_MAGIC), EBADMSG);
	EXPECT_FRAME(hdr.reserved = 1, EBADMSG);
	EXPECT_FRAME(hdr.reserved16 = 1, EBADMSG);
	EXPECT_FRAME(hdr.more = htole16(DSM_WIRE_RUN_MAX), EBADMSG);
	EXPECT_FRAME((hdr.more = htole16(1), hdr.block = UINT64_MAX), EBADMSG);
	EXPECT_FRAME((hdr.more = htole16(1), hdr.type = DSM_CLAIM), EBADMSG);
	EXPECT_FRAME(hdr.len = htole32(1), EBADMSG);
	EXPECT_FRAME(hdr.len = htole32(UINT32_MAX), EBADMSG);
	EXPECT_FRAME(hdr.flags = DSM_WIRE_MODIFIED, EBADMSG);
	EXPECT_FRAME(hdr.flags = 0xff, EBADMSG);
	EXPECT_FRAME(hdr.seq = 0, EBADMSG);
	EXPECT_FRAME(hdr.seq = htole64(f->seq + 1), EPROTO);
	EXPECT_FRAME(hdr.seq = UINT64_MAX, EPROTO);
	EXPECT_FRAME(hdr.ack = UINT64_MAX, EPROTO);
	EXPECT_FRAME(hdr.src = htole16(node()), EPROTO);
	EXPECT_FRAME(hdr.src = htole16(nodes()), EPROTO);
	EXPECT_FRAME(hdr.view = htole32(node_get("view") + 1), ESTALE);
	EXPECT_FRAME(hdr.view = UINT32_MAX, ESTALE);
	for (int type = 0; type < 256; type++) {
		bool known = (type >= DSM_GET_S && type <= DSM_LOST) || type == DSM_CLAIM ||
			     type == DSM_HOME ||
			     (type >= DSM_REGION_CREATE && type <= DSM_REGION_GONE_ACK) ||
			     type == DSM_SYNC_REQUEST || type == DSM_SYNC_REPLY ||
			     type == DSM_NOP || type == DSM_ACK;

		if (!known)
			EXPECT_FRAME(hdr.type = type, EBADMSG);
	}
}

static bool refused(int error)
{
	return error == EPROTO || error == EBADMSG || error == EAGAIN;
}

/* Messages that no node would send, or not this node, or not now. */
static void out_of_turn(const struct forger *f)
{
	static const uint8_t block_types[] = {
		DSM_GET_S, DSM_GET_M, DSM_PUT_S, DSM_PUT_M, DSM_FWD_GET_S, DSM_FWD_GET_M,
		DSM_INV, DSM_INV_ACK, DSM_DATA, DSM_GRANT, DSM_DONE, DSM_DISCARD,
		DSM_DISCARDED, DSM_LOST,
	};
	/* About a block that this node does not have and has not requested. */
	static const uint8_t unasked[] = {
		DSM_GRANT, DSM_DATA, DSM_FWD_GET_S, DSM_FWD_GET_M, DSM_DISCARDED,
	};
	static const uint64_t no_blocks[] = { PAGES, PAGES + 1, 1ULL << 32, 1ULL << 63,
					      UINT64_MAX };

	for (size_t i = 0; i < sizeof(block_types); i++) {
		struct dsm_wire_hdr hdr = header(f, block_types[i]);

		if (hdr.type == DSM_DATA)
			hdr.len = htole32(PAGE);
		for (size_t j = 0; j < sizeof(no_blocks) / sizeof(*no_blocks); j++) {
			hdr.block = htole64(no_blocks[j]);
			EXPECT_EQ(receive_header(f, hdr), EPROTO);
		}
	}
	for (size_t i = 0; i < sizeof(unasked); i++) {
		struct dsm_wire_hdr hdr = header(f, unasked[i]);

		hdr.block = htole64(PAGES - 1);
		hdr.req = htole32(12345);
		if (hdr.type == DSM_DATA)
			hdr.len = htole32(PAGE);
		for (int window = 0; window < 2; window++) {
			int error = receive(f, f->peer, &hdr, sizeof(hdr), window);

			if (!refused(error))
				test_failed(__FILE__, __LINE__, false, "type %u: %s", hdr.type,
					    strerror(error));
		}
	}
	/* Bytes of a wrong length; a requester that is not a node. */
	struct dsm_wire_hdr hdr = header(f, DSM_DATA);

	hdr.block = htole64(0);
	hdr.len = htole32(PAGE / 2);
	EXPECT_TRUE(refused(receive(f, f->peer, &hdr, sizeof(hdr), true)));
	hdr.len = htole32(DSM_WIRE_BODY_MAX + 1);
	EXPECT_EQ(receive(f, f->peer, &hdr, sizeof(hdr), true), EBADMSG);
	hdr = header(f, DSM_FWD_GET_M);
	hdr.node = htole16(nodes());
	EXPECT_TRUE(refused(receive_header(f, hdr)));
	hdr = header(f, DSM_INV);
	hdr.node = UINT16_MAX;
	EXPECT_TRUE(refused(receive_header(f, hdr)));
}

/* Only the registry announces regions, and only valid ones. */
static void false_regions(const struct forger *f)
{
	struct {
		struct dsm_wire_hdr hdr;
		struct dsm_wire_region region;
	} frame = { .hdr = header(f, DSM_REGION_CREATE) };

	frame.hdr.len = htole32(sizeof(frame.region));
	strcpy((char *)frame.region.name, "forged");
	EXPECT_TRUE(refused(receive(f, f->peer, &frame, sizeof(frame), false)));
	frame.hdr.type = DSM_REGION_UNLINK;
	EXPECT_TRUE(refused(receive(f, f->peer, &frame, sizeof(frame), false)));
	/* Invalid sizes, block sizes and addresses. */
	frame.hdr.type = DSM_REGION_NEW;
	frame.hdr.region = htole32(1 << 30);
	EXPECT_TRUE(refused(receive(f, f->peer, &frame, sizeof(frame), false)));
	frame.region.size = htole64(PAGE);
	frame.region.block_size = htole32(PAGE);
	frame.region.home = htole32(DSM_HOME_CREATOR);
	frame.region.base = htole64(DSM_ADDR_MIN - DSM_CHUNK_SIZE);
	EXPECT_TRUE(refused(receive(f, f->peer, &frame, sizeof(frame), false)));
	frame.region.base = htole64(DSM_ADDR_MIN);
	frame.region.name[0] = '/';
	EXPECT_TRUE(refused(receive(f, f->peer, &frame, sizeof(frame), false)));
	EXPECT_EQ(dsm_open("forged", O_RDWR, 0, NULL), NULL);
	EXPECT_EQ(errno, ENOENT);
}

/* Random bytes: as frames, as attributes, as whole messages. */
static void random_bytes(const struct forger *f)
{
	uint64_t state = seed();

	for (int i = 0; i < RANDOM_MESSAGES; i++) {
		uint64_t bytes[32];
		size_t len = random_next(&state) % sizeof(bytes);
		struct genl_message m;

		for (size_t j = 0; j < 32; j++)
			bytes[j] = random_next(&state);
		switch (i % 4) {
		case 0:
			EXPECT_NE(receive(f, f->peer, bytes, len, i & 4), 0);
			break;
		case 1: {	/* With errors in the first half of the header, too. */
			struct dsm_wire_hdr hdr = header(f, DSM_INV);

			hdr.block = htole64(UINT64_MAX);
			((uint8_t *)&hdr)[random_next(&state) % 16] ^= 1 + random_next(&state) % 255;
			/* As a message of another type it may be valid. */
			hdr.type = DSM_INV;
			EXPECT_NE(receive_header(f, hdr), 0);
			break;
		}
		case 2:
			genl_begin(&m, f->family, random_next(&state) % (DSM_CMD_MAX + 2));
			memcpy(m.attrs, bytes, len);
			m.nl.nlmsg_len += len;
			EXPECT_NE(genl_say(f->fd, &m), 0);
			break;
		case 3:
			genl_begin(&m, f->family, DSM_CMD_RECEIVE);
			genl_put_u32(&m, DSM_A_PEER, f->peer);
			genl_put(&m, random_next(&state) % 32, bytes, len);
			EXPECT_NE(genl_say(f->fd, &m), 0);
			break;
		}
	}
}

/* A peer's number that sysfs shows in hexadecimal */
static uint64_t hex_of(int peer, const char *file)
{
	char path[100];
	unsigned long long value;
	FILE *f;

	snprintf(path, sizeof(path), "/sys/class/dsm/node/peers/%d/%s", peer, file);
	f = fopen(path, "r");
	ASSERT_TRUE(f);
	ASSERT_EQ(fscanf(f, "%llx", &value), 1);
	fclose(f);
	return value;
}

static int say_up(const struct forger *f, uint64_t incarnation, uint64_t session)
{
	struct genl_message m;

	genl_begin(&m, f->family, DSM_CMD_PEER);
	genl_put_u32(&m, DSM_A_PEER, f->peer);
	genl_put_u32(&m, DSM_A_PEER_STATE, DSM_PEER_UP);
	genl_put_u64(&m, DSM_A_INCARNATION, incarnation);
	genl_put_u64(&m, DSM_A_SESSION, session);
	return genl_say(f->fd, &m);
}

static int ask_session(const struct forger *f, uint64_t incarnation)
{
	struct genl_message m;

	genl_begin(&m, f->family, DSM_CMD_SESSION);
	genl_put_u32(&m, DSM_A_PEER, f->peer);
	genl_put_u64(&m, DSM_A_INCARNATION, incarnation);
	return genl_say(f->fd, &m);
}

static void be_false_helper(uint32_t region, int peer)
{
	struct forger f = { .fd = genl_open(), .region = region, .peer = peer };
	uint64_t incarnation = hex_of(peer, "incarnation"), session = hex_of(peer, "session");
	struct genl_message m;
	long long rejected;
	char file[64];

	f.family = genl_family(f.fd);
	genl_begin(&m, f.family, DSM_CMD_REGISTER);
	genl_put_u32(&m, DSM_A_NODE, node());
	genl_put_u32(&m, DSM_A_NODES, nodes());
	ASSERT_EQ(genl_say(f.fd, &m), 0);
	/* A peer that is down sends nothing. */
	EXPECT_EQ(receive_header(&f, header(&f, DSM_INV)), ENOTCONN);
	/* A query changes nothing. */
	EXPECT_EQ(ask_session(&f, incarnation + 1), ESTALE);
	EXPECT_EQ(ask_session(&f, incarnation), 0);
	EXPECT_EQ(hex_of(peer, "session"), session);
	/* A restarted module has lost its part of the region. */
	EXPECT_EQ(say_up(&f, incarnation + 1, session + 1), ESTALE);
	EXPECT_EQ(say_up(&f, incarnation, session + 1), ESTALE);
	EXPECT_EQ(say_up(&f, incarnation + 1, session), EINVAL);
	EXPECT_EQ(say_up(&f, incarnation, 0), EINVAL);
	EXPECT_EQ(receive_header(&f, header(&f, DSM_INV)), ENOTCONN);
	EXPECT_EQ(hex_of(peer, "session"), session);
	ASSERT_EQ(say_up(&f, incarnation, session), 0);

	find_seq(&f);
	snprintf(file, sizeof(file), "peers/%d/rejected", peer);
	rejected = node_get(file);
	bad_attributes(&f);
	bad_frames(&f);
	out_of_turn(&f);
	false_regions(&f);
	random_bytes(&f);
	EXPECT_GT(node_get(file), rejected + 1000);
	/* None of those that were accepted. */
	EXPECT_EQ(receive_header(&f, unasked_grant(&f)), EPROTO);
	close(f.fd);
}

TEST_SECONDS(false_helper, 600)
{
	dsm_region *region;
	char file[100];
	char *base;

	if (nodes() < 2)
		skip("needs two nodes");
	region = share_region(PAGES * PAGE, DSM_HOME_CREATOR, 0);
	base = dsm_base(region);
	if (!node()) {
		for (int i = 0; i < PAGES; i++)
			*word(base + i * PAGE, 0) = random_hash(i, 3);
	}
	together("written");
	/* The last node has blocks to read and one to write. The other nodes do not. */
	if (node() == nodes() - 1) {
		long long prefetch = node_get("prefetch_blocks");

		ASSERT_EQ(node_set("prefetch_blocks", 0), 0);
		for (int i = 0; i < PAGES / 2; i++)
			EXPECT_EQ(*word(base + i * PAGE, 0), random_hash(i, 3));
		ASSERT_EQ(node_set("prefetch_blocks", prefetch), 0);
		*word(base, 1) = 99;
	}
	together("fetched");
	if (node() == nodes() - 1) {
		snprintf(file, sizeof(file), "regions/%s/id", region_name());
		ASSERT_EQ(run("dsmd-ctl", "kill", NULL), 0);
		be_false_helper(node_get(file), 0);
		ASSERT_EQ(run("dsmd-ctl", "start", NULL), 0);
	}
	together("over");
	EXPECT_EQ(node_get("up"), nodes());
	for (int i = 0; i < PAGES; i++)
		EXPECT_EQ(*word(base + i * PAGE, 0), random_hash(i, 3));
	EXPECT_EQ(*word(base, 1), 99);
	for (int i = 0; i < 1000; i++)
		atomic_fetch_add(word(base + i % PAGES * PAGE, 2), 1);
	together("incremented");
	uint64_t sum = 0;

	for (int i = 0; i < PAGES; i++)
		sum += *word(base + i * PAGE, 2);
	EXPECT_EQ(sum, 1000 * nodes());
	unshare_region(region);
}
