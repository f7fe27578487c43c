/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Tracepoints: the start and end of each fault, each message sent to a peer
 * and received from one, each netlink buffer given to the helper and each
 * message of the helper's about a peer, each change of a block's state. A
 * kernel may have several nodes: @self is the one it happens on.
 *
 * trace.c is built with this directory in its include path, because
 * define_trace.h includes this file again.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM dsm

#if !defined(_DSM_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define _DSM_TRACE_H

#include <linux/dsm_netlink.h>
#include <linux/tracepoint.h>
#include "coherence.h"
#include "messages.h"
#include "msg.h"

#define DSM_TRACE_LINE_STATES			\
	EM(DSM_LINE_I,		"I")		\
	EM(DSM_LINE_S,		"S")		\
	EM(DSM_LINE_M,		"M")		\
	EM(DSM_LINE_IS,		"IS")		\
	EM(DSM_LINE_IM,		"IM")		\
	EM(DSM_LINE_SM,		"SM")		\
	EM(DSM_LINE_MS_R,	"MS_R")		\
	EM(DSM_LINE_MI_R,	"MI_R")		\
	EM(DSM_LINE_SI_R,	"SI_R")		\
	EM(DSM_LINE_SMI_R,	"SMI_R")	\
	EMe(DSM_LINE_II_R,	"II_R")

#define DSM_TRACE_DIR_STATES			\
	EM(DSM_DIR_ZERO,	"ZERO")		\
	EM(DSM_DIR_S,		"S")		\
	EMe(DSM_DIR_M,		"M")

#define DSM_TRACE_DOWNCALLS			\
	EM(DSM_CMD_RECEIVE,	"RECEIVE")	\
	EM(DSM_CMD_CREDIT,	"CREDIT")	\
	EM(DSM_CMD_PEER,	"PEER")		\
	EMe(DSM_CMD_SESSION,	"SESSION")

/* The names reach user space by value: tell it the values. */
#undef EM
#undef EMe
#define EM(value, name)		TRACE_DEFINE_ENUM(value);
#define EMe(value, name)	TRACE_DEFINE_ENUM(value);

#define TYPE(name, ...)		TRACE_DEFINE_ENUM(DSM_##name);
DSM_MESSAGES(TYPE)
#undef TYPE
DSM_TRACE_LINE_STATES
DSM_TRACE_DIR_STATES
DSM_TRACE_DOWNCALLS

#undef EM
#undef EMe
#define EM(value, name)		{ value, name },
#define EMe(value, name)	{ value, name }

#define DSM_TRACE_TYPE(name, ...)	{ DSM_##name, #name },
#define dsm_show_type(type)		\
	__print_symbolic(type, DSM_MESSAGES(DSM_TRACE_TYPE) { 0, "?" })
#define dsm_show_line_state(state)	__print_symbolic(state, DSM_TRACE_LINE_STATES)
#define dsm_show_dir_state(state)	__print_symbolic(state, DSM_TRACE_DIR_STATES)
#define dsm_show_wire_flags(flags)	__print_flags(flags, "|",	\
	{ DSM_WIRE_ZERO,	"ZERO" },				\
	{ DSM_WIRE_MODIFIED,	"MODIFIED" },				\
	{ DSM_WIRE_ASK,		"ASK" },				\
	{ DSM_WIRE_RESEND,	"RESEND" },				\
	{ DSM_WIRE_PRIVILEGED,	"PRIVILEGED" })

TRACE_EVENT(dsm_fault_start,
	TP_PROTO(u16 self, u32 region, u64 block, bool write),

	TP_ARGS(self, region, block, write),

	TP_STRUCT__entry(
		__field(u16, self)
		__field(u32, region)
		__field(u64, block)
		__field(bool, write)
	),

	TP_fast_assign(
		__entry->self = self;
		__entry->region = region;
		__entry->block = block;
		__entry->write = write;
	),

	TP_printk("region=%u block=%llu %s self=%u", __entry->region, __entry->block,
		  __entry->write ? "write" : "read", __entry->self)
);

TRACE_EVENT(dsm_fault_end,
	TP_PROTO(u16 self, u32 region, u64 block, bool write, int ret),

	TP_ARGS(self, region, block, write, ret),

	TP_STRUCT__entry(
		__field(u16, self)
		__field(u32, region)
		__field(u64, block)
		__field(bool, write)
		__field(int, ret)
	),

	TP_fast_assign(
		__entry->self = self;
		__entry->region = region;
		__entry->block = block;
		__entry->write = write;
		__entry->ret = ret;
	),

	TP_printk("region=%u block=%llu %s ret=%d self=%u", __entry->region, __entry->block,
		  __entry->write ? "write" : "read", __entry->ret, __entry->self)
);

DECLARE_EVENT_CLASS(dsm_msg,
	TP_PROTO(u16 self, u16 peer, const struct dsm_msg *msg),

	TP_ARGS(self, peer, msg),

	TP_STRUCT__entry(
		__field(u16, self)
		__field(u16, peer)
		__field(u8, type)
		__field(u8, flags)
		__field(u16, node)
		__field(u16, acks)
		__field(u32, region)
		__field(u32, req)
		__field(u64, block)
		__field(u64, seq)
		__field(u32, len)
	),

	TP_fast_assign(
		__entry->self = self;
		__entry->peer = peer;
		__entry->type = msg->type;
		__entry->flags = msg->flags;
		__entry->node = msg->node;
		__entry->acks = msg->acks;
		__entry->region = msg->region;
		__entry->req = msg->req;
		__entry->block = msg->block;
		__entry->seq = msg->seq;
		__entry->len = msg->data_len + msg->body_len;
	),

	TP_printk("peer=%u %s flags=%s region=%u block=%llu req=%u node=%u acks=%u seq=%llu len=%u self=%u",
		  __entry->peer, dsm_show_type(__entry->type),
		  dsm_show_wire_flags(__entry->flags), __entry->region, __entry->block,
		  __entry->req, __entry->node, __entry->acks, __entry->seq, __entry->len,
		  __entry->self)
);

DEFINE_EVENT(dsm_msg, dsm_msg_send,
	TP_PROTO(u16 self, u16 to, const struct dsm_msg *msg),
	TP_ARGS(self, to, msg)
);

DEFINE_EVENT(dsm_msg, dsm_msg_recv,
	TP_PROTO(u16 self, u16 from, const struct dsm_msg *msg),
	TP_ARGS(self, from, msg)
);

TRACE_EVENT(dsm_upcall,
	TP_PROTO(u16 self, u32 len, int err),

	TP_ARGS(self, len, err),

	TP_STRUCT__entry(
		__field(u16, self)
		__field(u32, len)
		__field(int, err)
	),

	TP_fast_assign(
		__entry->self = self;
		__entry->len = len;
		__entry->err = err;
	),

	TP_printk("len=%u err=%d self=%u", __entry->len, __entry->err, __entry->self)
);

TRACE_EVENT(dsm_downcall,
	TP_PROTO(u16 self, u16 peer, u8 cmd),

	TP_ARGS(self, peer, cmd),

	TP_STRUCT__entry(
		__field(u16, self)
		__field(u16, peer)
		__field(u8, cmd)
	),

	TP_fast_assign(
		__entry->self = self;
		__entry->peer = peer;
		__entry->cmd = cmd;
	),

	TP_printk("peer=%u %s self=%u", __entry->peer,
		  __print_symbolic(__entry->cmd, DSM_TRACE_DOWNCALLS), __entry->self)
);

TRACE_EVENT(dsm_line_state,
	TP_PROTO(u16 self, u32 region, u64 block, u8 from, u8 to),

	TP_ARGS(self, region, block, from, to),

	TP_STRUCT__entry(
		__field(u16, self)
		__field(u32, region)
		__field(u64, block)
		__field(u8, from)
		__field(u8, to)
	),

	TP_fast_assign(
		__entry->self = self;
		__entry->region = region;
		__entry->block = block;
		__entry->from = from;
		__entry->to = to;
	),

	TP_printk("region=%u block=%llu %s -> %s self=%u", __entry->region, __entry->block,
		  dsm_show_line_state(__entry->from), dsm_show_line_state(__entry->to),
		  __entry->self)
);

TRACE_EVENT(dsm_dir_state,
	TP_PROTO(u16 self, u32 region, u64 block, u8 from, u8 to, u16 owner),

	TP_ARGS(self, region, block, from, to, owner),

	TP_STRUCT__entry(
		__field(u16, self)
		__field(u32, region)
		__field(u64, block)
		__field(u8, from)
		__field(u8, to)
		__field(u16, owner)
	),

	TP_fast_assign(
		__entry->self = self;
		__entry->region = region;
		__entry->block = block;
		__entry->from = from;
		__entry->to = to;
		__entry->owner = owner;
	),

	TP_printk("region=%u block=%llu %s -> %s owner=%u self=%u", __entry->region, __entry->block,
		  dsm_show_dir_state(__entry->from), dsm_show_dir_state(__entry->to),
		  __entry->owner, __entry->self)
);

#endif /* _DSM_TRACE_H */

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
