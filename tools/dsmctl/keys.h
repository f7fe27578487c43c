/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _DSMCTL_KEYS_H
#define _DSMCTL_KEYS_H

/*
 * The secrets of a cluster, made as files. Each returns an exit status, and has complained
 * if it is not 0.
 */

/* argv: FILE */
int keygen(char **argv);

/* argv: authority [DIR], node ID [DIR], or revoke ID [DIR] */
int cert(char **argv);

#endif /* _DSMCTL_KEYS_H */
