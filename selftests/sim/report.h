/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _SIM_REPORT_H
#define _SIM_REPORT_H

#include "sim.h"

struct json_object;

/**
 * struct figures - what a run comes to
 * @messages: an access
 * @bytes: an access
 * @fault_messages: a fault
 * @busiest: the busiest home's part of the events of all homes
 * @p50: of the time a fault takes, in ns; @p90, @p99
 * @blocks: that were accessed
 * @entry_bytes: a home's entry of a block, without the sharers
 * @line_bytes: a node's state of its copy
 * @sharers_bytes: a sharer set
 * @sharers_block: bytes of sharer sets in use, at most, by blocks accessed
 * @sharers_home: at the home with most of them, at most
 */
struct figures {
	double messages;
	double bytes;
	double fault_messages;
	double busiest;
	u64 p50;
	u64 p90;
	u64 p99;
	u32 blocks;
	u32 entry_bytes;
	u32 line_bytes;
	u32 sharers_bytes;
	double sharers_block;
	u64 sharers_home;
};

void report_figures(const struct sim *sim, struct figures *figures);
struct json_object *report_json(const struct sim *sim, const char *name);
void report_print(const struct sim *sim);

#endif /* _SIM_REPORT_H */
