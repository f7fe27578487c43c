/* SPDX-License-Identifier: GPL-2.0 */
/* What dsmd and dsmctl agree on. */
#ifndef SECURITY_H
#define SECURITY_H

/* The cluster's key, in bytes; its file has it in hexadecimal digits. */
#define SECURITY_KEY_SIZE	32

/* What certificates call node 7: dsm-node-7, as a DNS name. */
#define SECURITY_NAME		"dsm-node-"

/* The abstract UNIX socket of a node's dsmd, on which dsmctl asks. */
#define SECURITY_SOCKET		"dsmd"

#endif
