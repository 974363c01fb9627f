/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "sys_process_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../runtime/opaque_internal.h"
#include "../runtime/sys_internal.h"

/* --- descriptors of pipes and terminals -------------------------------------------------------------------------- */

int rota__sys_pipe(int ret_fds[2])
{
	int rc = rota__fault(ROTA__FAULT_SOCKET);

	return rc < 0 ? rc : rota__sys_result(pipe2(ret_fds, O_CLOEXEC));
}

int rota__sys_pipe_size(int fd)
{
	return rota__sys_result(fcntl(fd, F_GETPIPE_SZ));
}

int rota__sys_pipe_resize(int fd, int bytes)
{
	return rota__sys_result(fcntl(fd, F_SETPIPE_SZ, bytes));
}

int rota__sys_dup_above(int fd, int least)
{
	int rc = rota__fault(ROTA__FAULT_SOCKET);

	if (rc == 0)
		rc = rota__sys_result(fcntl(fd, F_DUPFD_CLOEXEC, least));
	return rc == -EINVAL ? -EMFILE : rc; /* `least` is more than this process may have */
}

/* One that can be opened again: the other side of a pseudo-terminal would be another one's, each time. */
static bool is_terminal(int fd, const struct stat *status)
{
	unsigned number;

	return S_ISCHR(status->st_mode) && isatty(fd) && ioctl(fd, TIOCGPTN, &number) < 0;
}

int rota__sys_reopen(int fd)
{
	const int kept = O_ACCMODE | O_APPEND | O_DIRECT;
	char path[32];
	struct stat status;
	int flags = fcntl(fd, F_GETFL);
	int own;

	if (flags < 0 || fstat(fd, &status) < 0)
		return -rota__sys_errno();
	if (!S_ISFIFO(status.st_mode) && !is_terminal(fd, &status))
		return -ENOTTY;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	own = open(path, (flags & kept) | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (own < 0)
		return -rota__sys_errno();
	if (own > STDERR_FILENO)
		return own;
	fd = rota__sys_dup_above(own, STDERR_FILENO + 1); /* the program goes without some of the three */
	close(own);
	return fd;
}

/* --- signals ------------------------------------------------------------------------------------------------------ */

static ROTA__OPAQUE void handle_signal(int signo)
{
	const int saved = errno;

	rota__signal_arrived(signo);
	errno = saved;
}

int rota__sys_signal_take(int signo, struct sigaction *ret_former)
{
	struct sigaction action = { .sa_handler = handle_signal, .sa_flags = SA_RESTART | SA_ONSTACK };

	sigfillset(&action.sa_mask);
	if (sigaction(signo, NULL, ret_former) < 0)
		return -rota__sys_errno();
	/* Children that nobody wants to wait for still leave nothing behind. */
	if (signo == SIGCHLD && (ret_former->sa_handler == SIG_IGN || ret_former->sa_flags & SA_NOCLDWAIT))
		action.sa_flags |= SA_NOCLDWAIT;
	return rota__sys_result(sigaction(signo, &action, NULL));
}

void rota__sys_signal_give_back(int signo, const struct sigaction *former)
{
	struct sigaction now;

	if (sigaction(signo, NULL, &now) == 0 && now.sa_handler == handle_signal)
		sigaction(signo, former, NULL);
}

/* --- processes ---------------------------------------------------------------------------------------------------- */

int rota__sys_pidfd(pid_t pid)
{
	int rc = rota__fault(ROTA__FAULT_PIDFD);

	return rc < 0 ? rc : rota__sys_above_standard(rota__sys_result(syscall(SYS_pidfd_open, pid, 0)));
}

static int wait_status(const siginfo_t *info)
{
	if (info->si_code == CLD_EXITED)
		return (info->si_status & 0xff) << 8;
	return info->si_code == CLD_DUMPED ? info->si_status | 0x80 : info->si_status;
}

/* By the pidfd where there is one, since the number may have become another child's. */
static int look_for_end(pid_t pid, int pidfd, siginfo_t *ret_info, int flags)
{
	int rc = -EINVAL;

	if (pidfd >= 0)
		rc = rota__sys_result(waitid(P_PIDFD, (id_t)pidfd, ret_info, WEXITED | WNOHANG | flags));
	if (rc == -EINVAL) /* also a kernel that knows pidfds, but not to wait by them */
		rc = rota__sys_result(waitid(P_PID, (id_t)pid, ret_info, WEXITED | WNOHANG | flags));
	return rc;
}

int rota__sys_reap(pid_t pid, int pidfd, int *ret_status)
{
	siginfo_t info = { .si_pid = 0 };
	int rc = look_for_end(pid, pidfd, &info, 0);

	if (rc < 0)
		return rc;
	if (info.si_pid == 0)
		return 0;
	*ret_status = wait_status(&info);
	return 1;
}

bool rota__sys_is_child(pid_t pid, int pidfd)
{
	siginfo_t info;

	return look_for_end(pid, pidfd, &info, WNOWAIT) == 0;
}

int rota__sys_kill(pid_t pid, int pidfd, bool group, int signo)
{
	int rc = -ENOSYS;

	if (group)
		return rota__sys_result(kill(-pid, signo));
	if (pidfd >= 0)
		rc = rota__sys_result(syscall(SYS_pidfd_send_signal, pidfd, signo, NULL, 0));
	return rc == -ENOSYS ? rota__sys_result(kill(pid, signo)) : rc;
}

bool rota__sys_poll_any(const int *fds, unsigned n, int timeout_ms)
{
	struct pollfd polled[ROTA__SYS_POLL_MAX];
	uint64_t rung;
	int ready;

	for (unsigned i = 0; i < n; i++)
		polled[i] = (struct pollfd){ .fd = fds[i], .events = POLLIN };
	ready = poll(polled, n, timeout_ms);
	if (ready <= 0)
		return false;
	if (polled[0].revents == 0)
		return true;
	if (read(fds[0], &rung, sizeof(rung)) < 0)
		return false; /* somebody else has emptied it */
	return ready > 1;
}
