/* SPDX-License-Identifier: GPL-2.0 */
/* Raw generic netlink: messages that a helper sends, and messages that no helper would send. */
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

/* The number of the module's family; 0 if there is none. */
int genl_family(int fd);

void genl_begin(struct genl_message *m, int type, int cmd);
void genl_put(struct genl_message *m, int type, const void *data, size_t len);
void genl_put_u32(struct genl_message *m, int type, uint32_t value);
void genl_put_u64(struct genl_message *m, int type, uint64_t value);

/* Returns the error that the kernel answers with, as a positive number; 0 for success. */
int genl_say(int fd, struct genl_message *m);

/*
 * Kill this node's helper and register in its place. All nodes call this in the same tests.
 * Returns the socket for genl_restore_helper(), which returns when the nodes' own helpers are
 * connected again.
 */
int genl_replace_helper(void);
void genl_restore_helper(int fd);

/* The kernel's message for the last error, or "". */
const char *genl_sentence(void);

#endif /* SELFTESTS_GENL_H */
