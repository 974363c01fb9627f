/* SPDX-License-Identifier: MIT */
/*
 * One measurement: all pieces of one kind in one way, in a process of its own, so that CPU time, peak memory and context
 * switches are what the kernel counted for it and for nobody else. The child tells its status and its time through a pipe;
 * the rest comes with its end. A signal that tells the program to stop ends the child, too.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cpu_vs_io.h"

static volatile sig_atomic_t told_to_stop;

static void note(int signo)
{
	told_to_stop = signo;
}

void measure_until_told(void)
{
	const struct sigaction action = { .sa_handler = note }; /* no SA_RESTART: a read is cut short */

	sigaction(SIGINT, &action, NULL); /* cannot fail with these arguments */
	sigaction(SIGTERM, &action, NULL);
}

void measure_be_child(void)
{
	signal(SIGINT, SIG_DFL);
	signal(SIGTERM, SIG_DFL);
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* cannot fail, either */
}

struct told {
	int status;
	uint64_t ns;
	long processes_kib;
};

static int do_pieces(const struct job *job, const struct kind *kind, const struct way *way, long *ret_processes_kib)
{
	struct pieces p = { .count = kind->pieces, .each = calloc(kind->pieces, sizeof(*p.each)) };
	int rc;

	if (!p.each)
		return -ENOMEM;
	for (size_t i = 0; i < p.count; i++)
		p.each[i] = (struct piece){ .job = job, .work = kind->work, .number = i };
	rc = way->run(&p);
	*ret_processes_kib = p.processes_kib;
	free(p.each);
	return rc;
}

static void child_main(const struct job *job, const struct kind *kind, const struct way *way, int fd)
{
	struct told told = { .status = 0 };
	uint64_t start = rota_now();

	measure_be_child();
	told.status = do_pieces(job, kind, way, &told.processes_kib);
	told.ns = rota_now() - start;
	_exit(write(fd, &told, sizeof(told)) == sizeof(told) ? 0 : 1);
}

static double seconds(struct timeval t)
{
	return (double)t.tv_sec + (double)t.tv_usec / 1e6;
}

/* Reads what the child told and waits for its end. Its usage contains that of the processes it has waited for, save peak
 * memory, of which there is only the largest. */
static int child_result(pid_t pid, int fd, struct figures *ret)
{
	struct told told = { .status = 0 };
	struct rusage usage;
	int status;
	bool heard = read(fd, &told, sizeof(told)) == sizeof(told);

	if (told_to_stop)
		kill(pid, SIGKILL); /* it is not yet waited for */
	while (wait4(pid, &status, 0, &usage) < 0)
		if (errno != EINTR)
			return -errno;
	if (told_to_stop)
		return -EINTR;
	if (!heard || !WIFEXITED(status) || WEXITSTATUS(status) != 0)
		return -ECHILD;
	if (told.status < 0)
		return told.status;
	ret->wall = (double)told.ns / 1e9;
	ret->cpu = seconds(usage.ru_utime) + seconds(usage.ru_stime);
	ret->peak_kib = told.processes_kib > 0 ? told.processes_kib : usage.ru_maxrss;
	ret->switches = usage.ru_nvcsw + usage.ru_nivcsw;
	return 0;
}

int measure(const struct job *job, const struct kind *kind, const struct way *way, struct figures *ret)
{
	int rc = 0, fds[2];
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC) < 0)
		return -errno;
	fflush(NULL);
	pid = fork();
	if (pid == 0)
		child_main(job, kind, way, fds[1]);
	if (pid < 0)
		rc = -errno;
	close(fds[1]);
	if (pid > 0)
		rc = child_result(pid, fds[0], ret);
	close(fds[0]);
	return rc;
}
