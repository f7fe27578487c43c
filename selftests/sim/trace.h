/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _SIM_TRACE_H
#define _SIM_TRACE_H

#include "coherence.h"

struct trace;

struct trace *trace_open(const char *path);
void trace_close(struct trace *trace);
u32 trace_nodes(const struct trace *trace);
u32 trace_blocks(const struct trace *trace);
u32 trace_threads_count(const struct trace *trace);
u16 trace_thread(const struct trace *trace, u32 thread, u32 *pos);
bool trace_next(const struct trace *trace, u32 thread, u32 *pos, u32 *block, bool *write,
		u64 *think);

#endif /* _SIM_TRACE_H */
