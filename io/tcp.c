/* SPDX-License-Identifier: MIT */
#include "tcp.h"

#include "sys_net_internal.h"

int rota_tcp_listen(const char *host, const char *port, int backlog)
{
	struct rota_tcp_op op;

	rota_op_tcp_listen(&op, host, port, backlog);
	return rota_await(&op.future);
}

int rota_tcp_connect(const char *host, const char *port)
{
	struct rota_tcp_op op;

	rota_op_tcp_connect(&op, host, port);
	return rota_await(&op.future);
}

int rota_tcp_listen_with(const char *host, const char *port, const struct rota_tcp_options *options)
{
	struct rota_tcp_op op;

	rota_op_tcp_listen_with(&op, host, port, options);
	return rota_await(&op.future);
}

int rota_tcp_connect_with(const char *host, const char *port, const struct rota_tcp_options *options)
{
	struct rota_tcp_op op;

	rota_op_tcp_connect_with(&op, host, port, options);
	return rota_await(&op.future);
}

int rota_tcp_connect_to(const struct rota_address *addresses, unsigned n, const struct rota_tcp_options *options)
{
	struct rota_tcp_op op;

	rota_op_tcp_connect_to(&op, addresses, n, options);
	return rota_await(&op.future);
}

int rota_local_port(int fd)
{
	return rota__sys_local_port(fd);
}

int rota_accept(int fd, struct sockaddr *addr, socklen_t *len)
{
	struct rota_op op;

	rota_op_accept(&op, fd, addr, len);
	return rota_await(&op.future);
}

int rota_connect(int fd, const struct sockaddr *addr, socklen_t len)
{
	struct rota_op op;

	rota_op_connect(&op, fd, addr, len);
	return rota_await(&op.future);
}

ssize_t rota_recv(int fd, void *buf, size_t len, int flags)
{
	struct rota_op op;

	rota_op_recv(&op, fd, buf, len, flags);
	return rota_await(&op.future);
}

ssize_t rota_send(int fd, const void *buf, size_t len, int flags)
{
	struct rota_op op;

	rota_op_send(&op, fd, buf, len, flags);
	return rota_await(&op.future);
}

int rota_shutdown(int fd, int how)
{
	return rota__sys_shutdown(fd, how);
}
