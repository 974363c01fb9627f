/* SPDX-License-Identifier: MIT */
/* epoll(7), as the epoll back end uses it. */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../runtime/sys_internal.h"
#include "sys_internal.h"

#define NSEC_PER_SEC 1000000000u
#define NSEC_PER_MSEC 1000000u
#define DAY_MS 86400000u

#ifndef SYS_epoll_pwait2
#define SYS_epoll_pwait2 441
#endif

int rota__sys_epoll(void)
{
	int rc = rota__fault(ROTA__FAULT_EPOLL);

	return rc < 0 ? rc : rota__sys_above_standard(rota__sys_result(epoll_create1(EPOLL_CLOEXEC)));
}

int rota__sys_epoll_arm(int epoll_fd, int fd, uint32_t events, bool again)
{
	struct epoll_event event = { .events = events | EPOLLONESHOT, .data = { .fd = fd } };
	int rc = rota__fault(ROTA__FAULT_EPOLL);

	if (rc < 0)
		return rc;
	/* The number may mean another file than last time, which the kernel knows best. */
	rc = rota__sys_result(epoll_ctl(epoll_fd, EPOLL_CTL_MOD, fd, &event));
	return rc == -ENOENT && !again ? rota__sys_result(epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event)) : rc;
}

int rota__sys_epoll_add_bell(int epoll_fd, int fd)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLET, .data = { .fd = fd } };

	return rota__sys_result(epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event));
}

/* By the millisecond, for a kernel, or a filter of calls, without epoll_pwait2 (Linux 5.11). */
static int wait_coarsely(int epoll_fd, struct epoll_event *events, int room, uint64_t timeout_ns)
{
	uint64_t ms = timeout_ns / NSEC_PER_MSEC + (timeout_ns % NSEC_PER_MSEC != 0);
	int timeout = -1;

	if (timeout_ns != UINT64_MAX)
		timeout = (int)(ms < DAY_MS ? ms : DAY_MS);
	return rota__sys_result(epoll_wait(epoll_fd, events, room, timeout));
}

bool rota__sys_epoll_ready(int epoll_fd)
{
	struct pollfd poller = { .fd = epoll_fd, .events = POLLIN };

	return poll(&poller, 1, 0) > 0;
}

static struct rota_atomic_u32 coarse; /* this system has no epoll_pwait2 */

int rota__sys_epoll_wait(int epoll_fd, struct epoll_event *events, int room, uint64_t timeout_ns)
{
	struct timespec ts = { (time_t)(timeout_ns / NSEC_PER_SEC), (long)(timeout_ns % NSEC_PER_SEC) };
	int rc = rota__fault(ROTA__FAULT_ENTER);

	if (rc == 0 && !rota__load(&coarse, RELAXED)) { /* orders nothing */
		rc = rota__sys_result(syscall(SYS_epoll_pwait2, epoll_fd, events, room,
					      timeout_ns == UINT64_MAX ? NULL : &ts, NULL, 0));
		if (rc == -ENOSYS || rc == -EPERM)
			rota__store(&coarse, 1, RELAXED);
	}
	if (rota__load(&coarse, RELAXED))
		rc = wait_coarsely(epoll_fd, events, room, timeout_ns);
	return rc < 0 ? 0 : rc; /* EINTR: whoever waits comes again */
}
