/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Marks for insn.c, which counts a machine's instructions between two of them.
 *
 * A mark is an instruction that does nothing, with an operand that no compiler makes.
 */
#ifndef SELFTESTS_BENCH_MARK_H
#define SELFTESTS_BENCH_MARK_H

/* nopl MARK(%rax,%rax,1): four bytes, and the mark */
#define MARK_OPCODE	0x00841f0f
#define MARK_BEGIN	0x4d534401
#define MARK_END	0x4d534402

#define MARK_TEXT(mark)	MARK_TEXT_(mark)
#define MARK_TEXT_(mark) "nopl " #mark "(%%rax,%%rax,1)"

static inline void mark_begin(void)
{
	__asm__ volatile(MARK_TEXT(MARK_BEGIN) ::: "memory");
}

static inline void mark_end(void)
{
	__asm__ volatile(MARK_TEXT(MARK_END) ::: "memory");
}

#endif /* SELFTESTS_BENCH_MARK_H */
