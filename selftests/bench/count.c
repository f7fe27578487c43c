// SPDX-License-Identifier: GPL-2.0
/*
 * Windows in which a machine's instructions are counted. insn.c counts them, and insn.py
 * makes a table of them. Node 0 opens its own window last and closes it first. So the
 * other nodes' windows also have one request and one reply by TCP.
 */
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "bench.h"
#include "mark.h"
#include "tcp.h"

enum { KNOWN_LOOPS = 1000000, KNOWN_CALLS = 10000, KNOWN_FAULTS = 1000, STRIDE = 2 * BLOCK };

/* The module's, when the window began. */
static long long frames;

static bool counting(void)
{
	return getenv("BENCH_COUNT");
}

static void mark_others(struct tcp *tcp, enum tcp_op op)
{
	struct tcp_request request = { .op = op, .reply = 1 };
	char done;

	for (int to = 1; tcp && to < nodes(); to++) {
		tcp_write(tcp->fds[to], &request, sizeof(request));
		tcp_read(tcp->fds[to], &done, request.reply);
	}
}

void insn_begin(struct tcp *tcp)
{
	if (!counting())
		return;
	frames = frames_exchanged();
	mark_others(tcp, TCP_MARK_BEGIN);
	mark_begin();
}

void insn_end(struct tcp *tcp, const char *id, const char *whose, int operations)
{
	if (!counting())
		return;
	mark_end();
	mark_others(tcp, TCP_MARK_END);
	printf("# counted %s %s %d %d %lld\n", id, whose, operations, tcp ? nodes() : 1,
	       frames_exchanged() - frames);
	fflush(stdout);
}

/* Print the addresses of all functions of this machine's kernel and modules. */
TEST(symbols)
{
	unsigned long long address;
	char line[300], type;
	FILE *from = fopen("/proc/kallsyms", "r");

	ASSERT_TRUE(from);
	while (fgets(line, sizeof(line), from))
		if (sscanf(line, "%llx %c", &address, &type) == 2 && strchr("tTwW", type))
			printf("# symbol %s", line);
	fclose(from);
}

/* Run two instructions @n times. */
static void known_loop(unsigned int n)
{
	__asm__ volatile("1: dec %0; jnz 1b" : "+r"(n) :: "cc");
}

/* Windows for insn-test. */
TEST(known)
{
	dsm_region *region = share_region((size_t)KNOWN_FAULTS * STRIDE, DSM_HOME_FIRST_TOUCH,
					  BLOCK);
	char *base = dsm_base(region);
	struct tcp *tcp = tcp_start();

	if (node() == 1)
		for (int i = 0; i < KNOWN_FAULTS; i++)
			*word(base + (size_t)i * STRIDE, 0) = 1;
	together("written");
	if (!node()) {
		insn_begin(NULL);
		known_loop(KNOWN_LOOPS);
		insn_end(NULL, "loop", "ours", KNOWN_LOOPS);
		insn_begin(NULL);
		for (int i = 0; i < KNOWN_CALLS; i++)
			syscall(SYS_getppid);
		insn_end(NULL, "getppid", "ours", KNOWN_CALLS);
		insn_begin(tcp);
		for (int i = 0; i < KNOWN_FAULTS; i++)
			time_read(base + (size_t)i * STRIDE);
		insn_end(tcp, "fault", "ours", KNOWN_FAULTS);
		insn_begin(tcp);
		tcp_mean(tcp, BLOCK_REPLY, KNOWN_FAULTS);
		insn_end(tcp, "tcp", "ours", KNOWN_FAULTS);
	}
	tcp_stop(tcp);
	unshare_region(region);
}
