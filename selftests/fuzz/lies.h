/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A cluster of selftests/model in which one node lies: see lies.c. The model checks
 * what correct nodes keep among themselves; here the rest of it is suspended.
 */
#ifndef FUZZ_LIES_H
#define FUZZ_LIES_H

#include "model.h"

/**
 * struct lies - a cluster with a liar
 * @m: it; only its blocks and what is under way are used
 * @liar: who lies, beside doing what is right
 * @broken: a bit a block: it has been told what nobody could refuse
 * @full: more is under way than there is room for: the run is over
 */
struct lies {
	struct model m;
	u16 liar;
	unsigned int broken;
	bool full;
};

enum dsm_coh_result lies_feed(struct lies *l, unsigned int b, u16 node, const struct dsm_event *ev,
			      bool lie);
void lies_deliver(struct lies *l, unsigned int i);
void lies_check(const struct lies *l);

#endif
