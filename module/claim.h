/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _DSM_CLAIM_H
#define _DSM_CLAIM_H

#include <linux/types.h>

struct dsm_locker;
struct dsm_msg;

/**
 * struct dsm_claim - what it takes to have a mutex once
 * @req: the number of the request
 * @request: LOCK or TRYLOCK; this and the next two NULL once sent
 * @cancel: takes it back
 * @release: gives the mutex back
 */
struct dsm_claim {
	u32 req;
	struct dsm_msg *request;
	struct dsm_msg *cancel;
	struct dsm_msg *release;
};

struct dsm_claim *dsm_claim_create(const struct dsm_locker *locker);
void dsm_claim_free(struct dsm_claim *claim);

#endif /* _DSM_CLAIM_H */
