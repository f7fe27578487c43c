/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * The generic netlink family "dsm": between the module and its helper.
 * Described in uapi/dsm.yaml, which this header must match.
 */
#ifndef _UAPI_LINUX_DSM_NETLINK_H
#define _UAPI_LINUX_DSM_NETLINK_H

#define DSM_FAMILY_NAME		"dsm"
#define DSM_FAMILY_VERSION	1

enum dsm_peer_state {
	DSM_PEER_DOWN,
	DSM_PEER_UP,
};

enum {
	DSM_A_UNSPEC,
	DSM_A_NODE,		/* u32 */
	DSM_A_NODES,		/* u32 */
	DSM_A_INCARNATION,	/* u64 */
	DSM_A_CREDITS,		/* u32 */
	DSM_A_PEER,		/* u32 */
	DSM_A_PEER_STATE,	/* u32, enum dsm_peer_state */
	DSM_A_RTT_NS,		/* u64 */
	DSM_A_FRAME,		/* binary: header, and body where it is no page */
	DSM_A_REGION,		/* u32 */
	DSM_A_OFFSET,		/* u64 */
	DSM_A_LENGTH,		/* u32 */
	DSM_A_REQ,		/* u32 */
	DSM_A_IN_WINDOW,	/* flag */
	DSM_A_PAD,
	DSM_A_SESSION,		/* u64 */
	__DSM_A_MAX,
	DSM_A_MAX = __DSM_A_MAX - 1
};

enum {
	DSM_CMD_UNSPEC,
	DSM_CMD_REGISTER,	/* helper: I am the helper of this node */
	DSM_CMD_SEND,		/* module: send this frame to a peer */
	DSM_CMD_EXPECT,		/* module: bytes for this place are asked for */
	DSM_CMD_FORGET,		/* module: this region's window is of no more use */
	DSM_CMD_RECEIVE,	/* helper: this frame came from a peer */
	DSM_CMD_CREDIT,		/* helper: that many SENDs are dealt with */
	DSM_CMD_PEER,		/* helper: a peer's state, its round-trip time */
	DSM_CMD_SESSION,	/* helper: which session have we with a peer? */
	__DSM_CMD_MAX,
	DSM_CMD_MAX = __DSM_CMD_MAX - 1
};

#endif /* _UAPI_LINUX_DSM_NETLINK_H */
