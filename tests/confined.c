/* SPDX-License-Identifier: MIT */
/*
 * Runs a program as a container may run it: confined eperm|enosys PROGRAM... without io_uring, whose calls then fail with
 * that error; confined nofile N PROGRAM... with so many descriptors.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

static int forbid_io_uring(unsigned error)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_io_uring_setup, 2, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_io_uring_enter, 1, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_io_uring_register, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { sizeof(filter) / sizeof(filter[0]), filter };

	setenv("ROTA_TEST_ON", "epoll", 1); /* what the tests expect to be chosen */
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -1;
	return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

static int limit_descriptors(const char *number)
{
	const rlim_t n = strtoul(number, NULL, 10);

	return setrlimit(RLIMIT_NOFILE, &(struct rlimit){ n, n });
}

int main(int argc, char **argv)
{
	int rc = -1, program = 2;

	if (argc > 2 && strcmp(argv[1], "eperm") == 0)
		rc = forbid_io_uring(EPERM);
	else if (argc > 2 && strcmp(argv[1], "enosys") == 0)
		rc = forbid_io_uring(ENOSYS);
	else if (argc > 3 && strcmp(argv[1], "nofile") == 0)
		rc = limit_descriptors(argv[program++]);
	else
		fprintf(stderr, "usage: confined eperm|enosys PROGRAM... | confined nofile N PROGRAM...\n");
	if (rc == 0)
		execv(argv[program], argv + program);
	perror("confined");
	return 1;
}
