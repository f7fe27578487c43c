/* SPDX-License-Identifier: GPL-2.0 */
#ifndef DSMD_KERNEL_H
#define DSMD_KERNEL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "log.h"
#include "loop.h"
#include "module.h"

#define KERNEL_BATCH_SIZE	65536	/* downcalls in one system call, bytes */
#define KERNEL_RECV_COUNT	8	/* upcalls' buffers filled by one */
#define KERNEL_RECV_SIZE	32768

struct links;
struct nl_sock;

/**
 * struct kernel - dsm.ko, by generic netlink
 * @module: as the links see it
 * @source: the netlink socket
 * @loop: what it waits in
 * @links: where upcalls go
 * @sock: the same socket
 * @family: the family's number
 * @registered: the module has accepted us
 * @register_error: or what it said, a positive errno
 * @incarnation: from its reply
 * @credits: from its reply
 * @heard_seq: of the message that is being looked at
 * @failed: the module is of no more use
 * @limit: for messages about what is not worth a connection
 * @used: bytes of @batch
 * @batch: downcalls to be sent
 * @iov: of @msgs
 * @msgs: for upcalls; into @recv
 */
struct kernel {
	struct module module;
	struct loop_source source;
	struct loop *loop;
	struct links *links;
	struct nl_sock *sock;
	int family;
	bool registered;
	int register_error;
	uint64_t incarnation;
	uint32_t credits;
	uint32_t heard_seq;
	bool failed;
	struct log_limit limit;
	unsigned int used;
	_Alignas(4) unsigned char batch[KERNEL_BATCH_SIZE];
	struct iovec iov[KERNEL_RECV_COUNT];
	struct mmsghdr msgs[KERNEL_RECV_COUNT];
	_Alignas(4) unsigned char recv[KERNEL_RECV_COUNT][KERNEL_RECV_SIZE];
};

int kernel_init(struct kernel *kernel, struct loop *loop, struct links *links);
int kernel_register(struct kernel *kernel, uint32_t node, uint32_t nodes);
void kernel_exit(struct kernel *kernel);

#endif
