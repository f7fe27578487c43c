/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _DSM_CLAIM_H
#define _DSM_CLAIM_H

#include "sync_home.h"

struct dsm_locker;
struct dsm_msg;

/**
 * struct dsm_claim - what it takes to have a mutex once
 * @rq: LOCK or TRYLOCK; its memory if we are the home
 * @request: the message; this and the next two NULL if we are the home
 * @cancel: takes it back
 * @release: gives the mutex back
 */
struct dsm_claim {
	struct dsm_sync_request rq;
	struct dsm_msg *request;
	struct dsm_msg *cancel;
	struct dsm_msg *release;
};

struct dsm_claim *dsm_claim_create(const struct dsm_locker *locker, u16 home);
void dsm_claim_free(struct dsm_claim *claim);

#endif /* _DSM_CLAIM_H */
