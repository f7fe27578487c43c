/* SPDX-License-Identifier: GPL-2.0 */
/* Included first in every file that is to call sys.c in place of the kernel. */
#define accept4 sys_accept4
#define bind sys_bind
#define calloc sys_calloc
#define clock_gettime sys_clock_gettime
#define close sys_close
#define connect sys_connect
#define epoll_create1 sys_epoll_create1
#define epoll_ctl sys_epoll_ctl
#define epoll_wait sys_epoll_wait
#define getsockopt sys_getsockopt
#define listen sys_listen
#define malloc sys_malloc
#define munmap sys_munmap
#define random sys_random
#define read sys_read
#define readv sys_readv
#define sendmsg sys_sendmsg
#define setsockopt sys_setsockopt
#define socket sys_socket
#define timerfd_create sys_timerfd_create
#define timerfd_settime sys_timerfd_settime
