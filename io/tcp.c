/* SPDX-License-Identifier: MIT */
#include "tcp.h"

#include <errno.h>

#include "fd.h"
#include "op.h"
#include "resolve_internal.h"
#include "sys_internal.h"

int rota_tcp_listen(const char *host, const char *port, int backlog)
{
	struct addrinfo *list;
	int rc = rota__resolve(host, port, AI_PASSIVE, &list);

	if (rc < 0)
		return rc;
	rc = -EADDRNOTAVAIL;
	for (const struct addrinfo *address = list; address != NULL && rc < 0; address = address->ai_next)
		rc = rota__sys_listen(address, backlog);
	freeaddrinfo(list);
	return rc;
}

static int connect_to(const struct addrinfo *address)
{
	int fd = rota__sys_socket(address);
	int rc;

	if (fd < 0)
		return fd;
	rc = rota_connect(fd, address->ai_addr, address->ai_addrlen);
	if (rc < 0) {
		rota_close(fd);
		return rc;
	}
	rota__sys_set_nodelay(fd);
	return fd;
}

int rota_tcp_connect(const char *host, const char *port)
{
	struct addrinfo *list;
	int rc = rota__resolve(host, port, 0, &list);

	if (rc < 0)
		return rc;
	rc = -EADDRNOTAVAIL;
	for (const struct addrinfo *address = list; address != NULL; address = address->ai_next) {
		rc = connect_to(address);
		if (rc >= 0 || rc == -ECANCELED)
			break;
	}
	freeaddrinfo(list);
	return rc;
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
