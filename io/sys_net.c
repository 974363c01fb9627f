/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "sys_net_internal.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../runtime/sys_internal.h"
#include "socket.h"

int rota__sys_socket(int family, int type)
{
	int rc = rota__fault(ROTA__FAULT_SOCKET);

	return rc < 0 ? rc : rota__sys_result(socket(family, type | SOCK_CLOEXEC, 0));
}

void rota__sys_option(int *rc, int fd, int level, int name, int value)
{
	if (*rc == 0 && value < 0)
		*rc = -EINVAL;
	else if (*rc == 0 && value > 0)
		*rc = rota__sys_result(setsockopt(fd, level, name, &value, sizeof(value)));
}

int rota__sys_or_close(int fd, int rc)
{
	if (rc == 0)
		return fd;
	close(fd);
	return rc;
}

int rota__sys_connect_nowait(int fd, const struct sockaddr *address, socklen_t len)
{
	const int flags = fcntl(fd, F_GETFL);
	int rc;

	if (flags < 0)
		return -rota__sys_errno();
	if (flags & O_NONBLOCK)
		return rota__sys_result(connect(fd, address, len));
	if (fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
		return -rota__sys_errno();
	rc = rota__sys_result(connect(fd, address, len));
	fcntl(fd, F_SETFL, flags);
	return rc;
}

/* --- TCP -------------------------------------------------------------------------------------------------------- */

static int set_options(int fd, int family, const struct rota_tcp_options *o)
{
	int rc = 0;

	rota__sys_option(&rc, fd, IPPROTO_TCP, TCP_NODELAY, !o->nagle);
	rota__sys_option(&rc, fd, SOL_SOCKET, SO_KEEPALIVE, o->keepalive);
	rota__sys_option(&rc, fd, IPPROTO_TCP, TCP_KEEPIDLE, (int)o->keepalive_idle_s);
	rota__sys_option(&rc, fd, IPPROTO_TCP, TCP_KEEPINTVL, (int)o->keepalive_interval_s);
	rota__sys_option(&rc, fd, IPPROTO_TCP, TCP_KEEPCNT, (int)o->keepalive_count);
	rota__sys_option(&rc, fd, SOL_SOCKET, SO_REUSEPORT, o->reuse_port);
	rota__sys_option(&rc, fd, SOL_SOCKET, SO_SNDBUF, o->send_buffer);
	rota__sys_option(&rc, fd, SOL_SOCKET, SO_RCVBUF, o->receive_buffer);
	if (family == AF_INET6)
		rota__sys_option(&rc, fd, IPPROTO_IPV6, IPV6_V6ONLY, o->v6only);
	return rc;
}

int rota__sys_tcp_listen(const struct rota_address *address, int backlog, const struct rota_tcp_options *o)
{
	int fd = rota__sys_socket(address->addr.any.sa_family, SOCK_STREAM);
	int rc;

	if (fd < 0)
		return fd;
	rc = set_options(fd, address->addr.any.sa_family, o);
	rota__sys_option(&rc, fd, SOL_SOCKET, SO_REUSEADDR, 1);
	rota__sys_option(&rc, fd, IPPROTO_TCP, TCP_FASTOPEN, o->fast_open);
	if (rc == 0)
		rc = rota__sys_result(bind(fd, &address->addr.any, address->len));
	if (rc == 0)
		rc = rota__sys_result(listen(fd, backlog > 0 ? backlog : SOMAXCONN));
	return rota__sys_or_close(fd, rc);
}

int rota__sys_tcp_socket(const struct rota_address *address, const struct rota_tcp_options *o)
{
	const int family = address->addr.any.sa_family;
	int fd = rota__sys_socket(family, SOCK_STREAM);
	int rc;

	if (fd < 0)
		return fd;
	rc = set_options(fd, family, o);
	if (rc == 0 && o->local != NULL && o->local->addr.any.sa_family == family)
		rc = rota__sys_result(bind(fd, &o->local->addr.any, o->local->len));
	return rota__sys_or_close(fd, rc);
}

/* --- any socket ------------------------------------------------------------------------------------------------- */

int rota__sys_local_port(int fd)
{
	struct sockaddr_storage address;
	socklen_t len = sizeof(address);

	if (getsockname(fd, (struct sockaddr *)&address, &len) < 0)
		return -rota__sys_errno();
	switch (address.ss_family) {
	case AF_INET:
		return ntohs(((struct sockaddr_in *)&address)->sin_port);
	case AF_INET6:
		return ntohs(((struct sockaddr_in6 *)&address)->sin6_port);
	default:
		return -EAFNOSUPPORT;
	}
}

int rota__sys_recv_nowait(int fd, void *buf, size_t len)
{
	int rc;

	do {
		rc = rota__sys_result(recv(fd, buf, len, MSG_DONTWAIT));
	} while (rc == -EINTR);
	return rc;
}

int rota__sys_recv_error(int fd)
{
	char byte;
	int rc;

	do {
		rc = rota__sys_result(recv(fd, &byte, sizeof(byte), MSG_PEEK | MSG_DONTWAIT));
	} while (rc == -EINTR);
	return rc < 0 && rc != -EAGAIN ? rc : 0;
}

int rota__sys_shutdown(int fd, int how)
{
	return rota__sys_result(shutdown(fd, how));
}

int rota__sys_address_format(const struct rota_address *address, char *ret, size_t size)
{
	char host[INET6_ADDRSTRLEN], scope[IF_NAMESIZE] = "", text[ROTA_ADDRESS_TEXT];
	const struct sockaddr_in6 *in6 = &address->addr.in6;
	int len;

	switch (address->addr.any.sa_family) {
	case AF_INET:
		inet_ntop(AF_INET, &address->addr.in.sin_addr, host, sizeof(host));
		len = snprintf(text, sizeof(text), "%s:%u", host, ntohs(address->addr.in.sin_port));
		break;
	case AF_INET6:
		inet_ntop(AF_INET6, &in6->sin6_addr, host, sizeof(host));
		if (in6->sin6_scope_id != 0 && if_indextoname(in6->sin6_scope_id, scope) == NULL)
			snprintf(scope, sizeof(scope), "%u", in6->sin6_scope_id); /* it has gone */
		len = snprintf(text, sizeof(text), "[%s%s%s]:%u", host, *scope != '\0' ? "%" : "", scope,
			       ntohs(in6->sin6_port));
		break;
	default:
		return -EAFNOSUPPORT;
	}
	if ((size_t)len >= size)
		return -ENOSPC;
	memcpy(ret, text, (size_t)len + 1);
	return len;
}
