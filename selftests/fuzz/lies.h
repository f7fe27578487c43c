/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A cluster of selftests/model in which one node lies: see lies.c. The model checks the
 * invariants among correct nodes. Its other checks are suspended.
 */
#ifndef FUZZ_LIES_H
#define FUZZ_LIES_H

#include "model.h"

/**
 * struct lies - a cluster with a liar
 * @m: the cluster; only its blocks and the messages under way are used
 * @liar: the node that lies, besides acting correctly
 * @broken: a bit per block: it has been told a lie that no node could refuse
 * @full: there is no room for more messages: the run is over
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
