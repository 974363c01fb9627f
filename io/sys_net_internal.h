/* SPDX-License-Identifier: MIT */
/* The seam to the system for sockets: what does not wait. Everything returns a negative errno on failure. */
#ifndef ROTA_IO_SYS_NET_INTERNAL_H
#define ROTA_IO_SYS_NET_INTERNAL_H

#include "tcp.h"
#include "udp.h"
#include "unix.h"

int rota__sys_socket(int family, int type);

/* Sets an option, if value > 0; -EINVAL below 0, as a number of seconds is that is too large. *rc stays the first error
 * of a row of these; no more are set then. */
void rota__sys_option(int *rc, int fd, int level, int name, int value);

/* Closes a socket that could not be made ready, and returns why; rc 0: returns the socket. */
int rota__sys_or_close(int fd, int rc);

/* connect(2) without waiting, for which there is no flag: for the time of the call the socket is O_NONBLOCK. */
int rota__sys_connect_nowait(int fd, const struct sockaddr *address, socklen_t len);

/* A listener, ready to accept. backlog <= 0: SOMAXCONN. */
int rota__sys_tcp_listen(const struct rota_address *address, int backlog, const struct rota_tcp_options *o);

/* A socket to connect to `address` with. */
int rota__sys_tcp_socket(const struct rota_address *address, const struct rota_tcp_options *o);

/* A socket that is connected or bound to `address`. */
int rota__sys_udp_socket(const struct rota_address *address, const struct rota_udp_options *o, bool connects);

/* Without waiting: how many of the first few were moved, at least one; -EAGAIN. */
int rota__sys_udp_send(int fd, struct rota_datagram *datagrams, unsigned n);
int rota__sys_udp_recv(int fd, struct rota_datagram *datagrams, unsigned n);

int rota__sys_multicast_member(int fd, const struct rota_address *group, const char *interface, bool joins);
int rota__sys_multicast_source(int fd, const struct rota_address *group, const struct rota_address *source,
			       const char *interface, bool joins);
int rota__sys_multicast_ttl(int fd, int ttl);
int rota__sys_multicast_loop(int fd, bool on);
int rota__sys_multicast_interface(int fd, const char *interface);

/* A socket that is bound, and listens unless it is for datagrams; a pathname that was left behind is taken over. */
int rota__sys_unix_bind(const struct sockaddr_un *address, socklen_t len, int type, int backlog);

/* Removes the pathname that a socket is bound to, if there is one. */
void rota__sys_unix_unlink(int fd);

/* `blocks`: waits while the listener's queue is full; else -EAGAIN. */
int rota__sys_unix_connect(int fd, const struct sockaddr_un *address, socklen_t len, bool blocks);

int rota__sys_unix_peer(int fd, struct rota_unix_peer *ret);
int rota__sys_socketpair(int type, int ret_fds[2]);

/* recv(2) that does not wait. */
int rota__sys_recv_nowait(int fd, void *buf, size_t len);
/* What a receive would fail with now, or 0; takes no byte. */
int rota__sys_recv_error(int fd);

int rota__sys_address_format(const struct rota_address *address, char *ret, size_t size);
int rota__sys_local_port(int fd);
int rota__sys_shutdown(int fd, int how);

#endif
