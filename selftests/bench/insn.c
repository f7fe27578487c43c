// SPDX-License-Identifier: GPL-2.0
/*
 * A plugin for QEMU's emulator that counts a machine's instructions between marks.
 *
 *	-plugin insn.so,out=FILE
 *
 * FILE gets, for each MARK_END, a line "window" and then lines "ADDRESS COUNT": so many
 * instructions were executed in pieces of code that begin at ADDRESS (hexadecimal). All
 * of user space has the address 0.
 *
 * QEMU translates code in pieces that have one entrance. All instructions of a piece are
 * counted when it is entered, also if one of them faults. Each repetition of a string
 * instruction counts as one.
 */
#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mark.h"

/* The part of QEMU's plugin interface (version 1) that we use: Debian does not package its header. */
typedef uint64_t qemu_plugin_id_t;
struct qemu_plugin_tb;
struct qemu_plugin_insn;
struct qemu_info {
	const char	*target_name;
	struct { int min, cur; } version;
	bool		system_emulation;
	int		smp_vcpus, max_vcpus;
};
enum { QEMU_PLUGIN_CB_NO_REGS = 0, QEMU_PLUGIN_INLINE_ADD_U64 = 0 };

void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t id,
	void (*call)(qemu_plugin_id_t, struct qemu_plugin_tb *));
void qemu_plugin_register_vcpu_tb_exec_inline(struct qemu_plugin_tb *tb, int op, void *at,
					      uint64_t value);
void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn *insn,
	void (*call)(unsigned int, void *), int flags, void *data);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
uint64_t qemu_plugin_tb_vaddr(const struct qemu_plugin_tb *tb);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *tb, size_t i);
const void *qemu_plugin_insn_data(const struct qemu_plugin_insn *insn);
size_t qemu_plugin_insn_size(const struct qemu_plugin_insn *insn);

extern int qemu_plugin_version;
int qemu_plugin_version = 1;

/* Of one address. The emulator adds to @count, and may do so for ever. */
struct counter {
	struct counter	*next;
	uint64_t	address;
	uint64_t	count;
};

enum { BUCKETS = 1 << 16 };

static struct counter *buckets[BUCKETS];
static FILE *out;

static void die(const char *what)
{
	fprintf(stderr, "insn: %s\n", what);
	exit(EXIT_FAILURE);
}

static struct counter *counter_of(uint64_t address)
{
	struct counter **bucket = &buckets[(address ^ address >> 16) % BUCKETS], *counter;

	for (counter = *bucket; counter; counter = counter->next)
		if (counter->address == address)
			return counter;
	counter = calloc(1, sizeof(*counter));
	if (!counter)
		die("no memory");
	counter->next = *bucket;
	counter->address = address;
	*bucket = counter;
	return counter;
}

static void begin(unsigned int cpu, void *data)
{
	(void)cpu;
	(void)data;
	for (int i = 0; i < BUCKETS; i++)
		for (struct counter *counter = buckets[i]; counter; counter = counter->next)
			counter->count = 0;
}

static void end(unsigned int cpu, void *data)
{
	(void)cpu;
	(void)data;
	fputs("window\n", out);
	for (int i = 0; i < BUCKETS; i++)
		for (struct counter *counter = buckets[i]; counter; counter = counter->next)
			if (counter->count)
				fprintf(out, "%" PRIx64 " %" PRIu64 "\n", counter->address,
					counter->count);
	if (fflush(out))
		die("the file cannot be written");
}

static void look_for_mark(struct qemu_plugin_insn *insn)
{
	uint32_t words[2];

	if (qemu_plugin_insn_size(insn) != sizeof(words))
		return;
	memcpy(words, qemu_plugin_insn_data(insn), sizeof(words));
	if (words[0] != MARK_OPCODE)
		return;
	if (words[1] == MARK_BEGIN)
		qemu_plugin_register_vcpu_insn_exec_cb(insn, begin, QEMU_PLUGIN_CB_NO_REGS, NULL);
	else if (words[1] == MARK_END)
		qemu_plugin_register_vcpu_insn_exec_cb(insn, end, QEMU_PLUGIN_CB_NO_REGS, NULL);
}

static void translated(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
{
	uint64_t address = qemu_plugin_tb_vaddr(tb);
	size_t n = qemu_plugin_tb_n_insns(tb);
	bool kernel = address >> 63;

	(void)id;
	qemu_plugin_register_vcpu_tb_exec_inline(tb, QEMU_PLUGIN_INLINE_ADD_U64,
						 &counter_of(kernel ? address : 0)->count, n);
	for (size_t i = 0; !kernel && i < n; i++)
		look_for_mark(qemu_plugin_tb_get_insn(tb, i));
}

int qemu_plugin_install(qemu_plugin_id_t id, const struct qemu_info *info, int argc, char **argv);

int qemu_plugin_install(qemu_plugin_id_t id, const struct qemu_info *info, int argc, char **argv)
{
	if (argc != 1 || strncmp(argv[0], "out=", 4)) {
		fprintf(stderr, "insn: one argument is needed: out=FILE\n");
		return -1;
	}
	if (!info->system_emulation || info->smp_vcpus != 1) {
		fprintf(stderr, "insn: only a machine with one processor can be counted\n");
		return -1;
	}
	out = fopen(argv[0] + 4, "w");
	if (!out) {
		perror(argv[0] + 4);
		return -1;
	}
	qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
	return 0;
}
