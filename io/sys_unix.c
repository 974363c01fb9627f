/* SPDX-License-Identifier: MIT */
/* The part of Unix sockets in the seam. */
#define _GNU_SOURCE
#include <errno.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../runtime/sys_internal.h"
#include "sys_net_internal.h"

int rota__sys_socketpair(int type, int ret_fds[2])
{
	int fds[2];
	int rc = rota__fault(ROTA__FAULT_SOCKET);

	if (rc < 0)
		return rc;
	rc = rota__sys_result(socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, fds));
	if (rc < 0)
		return rc;
	ret_fds[0] = fds[0];
	ret_fds[1] = fds[1];
	return 0;
}

int rota__sys_unix_connect(int fd, const struct sockaddr_un *address, socklen_t len, bool blocks)
{
	int rc;

	if (!blocks)
		return rota__sys_connect_nowait(fd, (const struct sockaddr *)address, len);
	do {
		rc = rota__sys_result(connect(fd, (const struct sockaddr *)address, len));
	} while (rc == -EINTR); /* a connection is made at once or not at all */
	return rc;
}

static bool is_pathname(const struct sockaddr_un *address, socklen_t len)
{
	return len > offsetof(struct sockaddr_un, sun_path) && address->sun_path[0] != '\0';
}

/* Whether a socket stands there that nobody has open any more. Asked with a datagram socket: that leaves nothing in a
 * listener's queue. */
static bool is_left_behind(const struct sockaddr_un *address, socklen_t len)
{
	struct stat st;
	int fd, rc;

	if (!is_pathname(address, len) || lstat(address->sun_path, &st) < 0 || !S_ISSOCK(st.st_mode))
		return false;
	fd = rota__sys_socket(AF_UNIX, SOCK_DGRAM);
	if (fd < 0)
		return false;
	rc = rota__sys_connect_nowait(fd, (const struct sockaddr *)address, len);
	close(fd);
	return rc == -ECONNREFUSED;
}

int rota__sys_unix_bind(const struct sockaddr_un *address, socklen_t len, int type, int backlog)
{
	int fd = rota__sys_socket(AF_UNIX, type);
	int rc;

	if (fd < 0)
		return fd;
	rc = rota__sys_result(bind(fd, (const struct sockaddr *)address, len));
	if (rc == -EADDRINUSE && is_left_behind(address, len)) {
		unlink(address->sun_path);
		rc = rota__sys_result(bind(fd, (const struct sockaddr *)address, len));
	}
	if (rc == 0 && type != SOCK_DGRAM)
		rc = rota__sys_result(listen(fd, backlog > 0 ? backlog : SOMAXCONN));
	return rota__sys_or_close(fd, rc);
}

void rota__sys_unix_unlink(int fd)
{
	struct sockaddr_un address;
	socklen_t len = sizeof(address);
	int rc = rota__sys_result(getsockname(fd, (struct sockaddr *)&address, &len));

	if (rc == 0 && address.sun_family == AF_UNIX && len <= sizeof(address) && is_pathname(&address, len))
		unlink(address.sun_path); /* it may have gone, or been moved */
}

int rota__sys_unix_peer(int fd, struct rota_unix_peer *ret)
{
	struct ucred peer;
	socklen_t len = sizeof(peer);
	int rc = rota__sys_result(getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len));

	if (rc < 0)
		return rc;
	if (peer.pid == 0 && peer.uid == (uid_t)-1)
		return -ENOTCONN; /* the kernel's way to say that there is none */
	*ret = (struct rota_unix_peer){ peer.pid, peer.uid, peer.gid };
	return 0;
}
