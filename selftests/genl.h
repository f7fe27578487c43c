/* SPDX-License-Identifier: GPL-2.0 */
/* Generic netlink by hand: what a helper says, and what no helper would. */
#ifndef SELFTESTS_GENL_H
#define SELFTESTS_GENL_H

#include <linux/genetlink.h>
#include <linux/netlink.h>
#include <stddef.h>
#include <stdint.h>

struct genl_message {
	struct nlmsghdr nl;
	struct genlmsghdr genl;
	char attrs[4000];
};

int genl_open(void);

/* The number of the module's family, or 0 where there is none. */
int genl_family(int fd);

void genl_begin(struct genl_message *m, int type, int cmd);
void genl_put(struct genl_message *m, int type, const void *data, size_t len);
void genl_put_u32(struct genl_message *m, int type, uint32_t value);
void genl_put_u64(struct genl_message *m, int type, uint64_t value);

/* Returns the error that the kernel answers with, positive; 0 for success. */
int genl_say(int fd, struct genl_message *m);

/*
 * Kill this node's helper, and register as the helper in its place. All nodes do
 * that in the same tests. Returns the socket, for genl_restore_helper(), which
 * returns when the nodes' own helpers have found each other again.
 */
int genl_replace_helper(void);
void genl_restore_helper(int fd);

/* The sentence that came with the last error, or "". */
const char *genl_sentence(void);

#endif /* SELFTESTS_GENL_H */
