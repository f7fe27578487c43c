/* SPDX-License-Identifier: MIT */
#ifndef _DSM_NODE_H
#define _DSM_NODE_H

/* A descriptor of /dev/dsm after its handshake, or -1 and errno. */
int dsm_device_open(void);

#endif /* _DSM_NODE_H */
