/* SPDX-License-Identifier: MIT */
/* The seam to the system for pipes, standard streams, signals, processes; see sys_internal.h. */
#ifndef ROTA_IO_SYS_PROCESS_INTERNAL_H
#define ROTA_IO_SYS_PROCESS_INTERNAL_H

#include <sys/types.h>

#include "../runtime/types.h"

int rota__sys_pipe(int ret_fds[2]);
int rota__sys_pipe_size(int fd);
int rota__sys_pipe_resize(int fd, int bytes);

/* Another close-on-exec descriptor of the same open file, numbered `least` or above. */
int rota__sys_dup_above(int fd, int least);

/* Opens the same pipe or terminal once more, non-blocking, above the standard three. Other things: -ENOTTY. */
int rota__sys_reopen(int fd);

/* In signal.c: what the handler calls. May run in any thread, in the middle of anything. */
void rota__signal_arrived(int signo);

/* Installs the handler, which puts errno aside meanwhile. What held before goes to *ret_former, and is put back as long as
 * nobody else has installed something. */
struct sigaction;
int rota__sys_signal_take(int signo, struct sigaction *ret_former);
void rota__sys_signal_give_back(int signo, const struct sigaction *former);

/* A pidfd of a child, or a negative errno. */
int rota__sys_pidfd(pid_t pid);

/* 1: the child has ended, it was waited for, and *ret_status is as of waitpid(2). 0: it runs. -ECHILD. */
int rota__sys_reap(pid_t pid, int pidfd, int *ret_status);

/* Whether it has ended or not, nobody has taken its status, so that the number is not another's. */
bool rota__sys_is_child(pid_t pid, int pidfd);

/* To the child, or to the group that it leads. */
int rota__sys_kill(pid_t pid, int pidfd, bool group, int signo);

/* Waits until one of n descriptors is readable, of which the first is an eventfd, which is emptied, or -1; at most
 * timeout_ms (-1: no limit). Returns early now and then. Whether one of the others is readable. */
#define ROTA__SYS_POLL_MAX 65
bool rota__sys_poll_any(const int *fds, unsigned n, int timeout_ms);

#endif
