// SPDX-License-Identifier: GPL-2.0
/*
 * The floor of a figure: its messages, sent and read by plain TCP programs.
 *
 * A pattern is a list of messages. Every node walks through the list: it writes the
 * messages that it sends, and waits in read(2) for the messages that it gets. So a node
 * sends a message after it has got all its messages that are earlier in the list.
 * Messages of nodes that the cluster does not have are skipped.
 */
#include <linux/dsm_wire.h>

#include "bench.h"
#include "tcp.h"

enum {
	MESSAGES_MAX	= 2 * (TCP_NODES_MAX - 1),
	/* The blocks of one request of a scan, and the length of the reply. */
	RUN		= DSM_WIRE_RUN_MAX,
	RUN_REPLY	= RUN * BLOCK + REQUEST,
};

struct message {
	int	from, to;
	size_t	size;		/* 0 behind the last one */
};

/* Node 1 is the home of blocks, node 0 that of pingpong's block, of mutexes and barriers. */
static const struct {
	int		operations;	/* of one walk */
	int		ahead;		/* first messages to send before the first walk */
	struct message	messages[MESSAGES_MAX + 1];
} patterns[] = {
	[PATTERN_READ] = { 1, 0, { { 0, 1, REQUEST }, { 1, 0, BLOCK_REPLY } } },
	[PATTERN_SCAN] = { RUN, 1, { { 0, 1, REQUEST }, { 1, 0, RUN_REPLY } } },
	/* GET_M, INV, DATA, INV_ACK, DONE. The home needs no message to drop its own copy. */
	[PATTERN_WRITE_SHARED] = { 1, 0, {
		{ 0, 1, REQUEST }, { 1, 2, REQUEST }, { 1, 0, BLOCK_REPLY }, { 2, 0, REQUEST },
		{ 0, 1, REQUEST } } },
	[PATTERN_UPGRADE] = { 1, 0, { { 0, 1, REQUEST }, { 1, 0, REQUEST } } },
	[PATTERN_PINGPONG] = { 2, 0, {
		{ 1, 0, REQUEST }, { 0, 1, BLOCK_REPLY },
		{ 0, 1, REQUEST }, { 1, 0, BLOCK_REPLY } } },
	/* LOCK, REPLY; RECALL, REPLY. */
	[PATTERN_HANDOVER] = { 2, 0, {
		{ 1, 0, REQUEST }, { 0, 1, REQUEST }, { 0, 1, REQUEST }, { 1, 0, REQUEST } } },
	[PATTERN_BARRIER] = { 1, 0, {
		{ 1, 0, REQUEST }, { 2, 0, REQUEST }, { 3, 0, REQUEST }, { 4, 0, REQUEST },
		{ 5, 0, REQUEST }, { 6, 0, REQUEST }, { 7, 0, REQUEST },
		{ 0, 1, REQUEST }, { 0, 2, REQUEST }, { 0, 3, REQUEST }, { 0, 4, REQUEST },
		{ 0, 5, REQUEST }, { 0, 6, REQUEST }, { 0, 7, REQUEST } } },
};

static void play_message(struct tcp *tcp, const struct message *message)
{
	static char bytes[RUN_REPLY];

	if (message->from >= nodes() || message->to >= nodes())
		return;
	if (message->from == node())
		tcp_write(tcp->fds[message->to], bytes, message->size);
	else if (message->to == node())
		tcp_read(tcp->fds[message->from], bytes, message->size);
}

/* Walk @count times. Add the time of each walk to @samples, which may be NULL. */
static void play(struct tcp *tcp, enum pattern pattern, int count, struct samples *samples)
{
	const struct message *first = patterns[pattern].messages;
	int ahead = node() != first->from ? 0 : patterns[pattern].ahead;

	if (ahead > count)
		ahead = count;
	for (int i = 0; i < ahead; i++)
		play_message(tcp, first);
	for (int i = 0; i < count; i++) {
		double start = samples ? seconds() : 0;

		if (i < count - ahead)
			play_message(tcp, first);
		for (const struct message *message = first + 1; message->size; message++)
			play_message(tcp, message);
		if (samples)
			samples_add(samples, seconds() - start);
	}
}

void floor_serve(struct tcp *tcp, enum pattern pattern, int count)
{
	play(tcp, pattern, count, NULL);
}

static void play_all(struct tcp *tcp, enum pattern pattern, int count, struct samples *samples)
{
	struct tcp_request request = { .op = TCP_PLAY, .value = pattern, .count = count };

	for (int to = 1; to < nodes(); to++)
		tcp_write(tcp->fds[to], &request, sizeof(request));
	play(tcp, pattern, count, samples);
}

double floor_mean(struct tcp *tcp, const char *id, enum pattern pattern, int n)
{
	double start, mean;

	insn_begin(tcp);
	start = seconds();
	play_all(tcp, pattern, n / patterns[pattern].operations, NULL);
	mean = (seconds() - start) / n;
	insn_end(tcp, id, "floor", n);
	return mean;
}

double floor_median(struct tcp *tcp, const char *id, enum pattern pattern, int n)
{
	int operations = patterns[pattern].operations;
	struct samples samples = samples_new(n / operations);
	double median;

	insn_begin(tcp);
	play_all(tcp, pattern, n / operations, &samples);
	insn_end(tcp, id, "floor", n);
	median = samples_quantile(&samples, 0.5) / operations;
	samples_free(&samples);
	return median;
}
