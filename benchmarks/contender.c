/* SPDX-License-Identifier: MIT */
/*
 * See contender.h. A round is the leader of a process group, so that what it has started (a server, a generator of load)
 * goes with it. Three signals of this process kill the group: SIGALRM, which is the time limit, SIGINT and SIGTERM.
 */
#define _GNU_SOURCE
#include "contender.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static volatile sig_atomic_t running; /* the process group of the round; 0: none */
static volatile sig_atomic_t late;

static void on_signal(int signal)
{
	if (running > 0)
		kill(-running, SIGKILL);
	if (signal != SIGALRM)
		_exit(128 + signal);
	late = 1;
}

static void catch_signals(void)
{
	struct sigaction action = { .sa_handler = on_signal, .sa_flags = SA_RESTART };

	sigaction(SIGALRM, &action, NULL);
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
}

static void exec_round(struct contender *c, int output)
{
	setpgid(0, 0);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (dup2(output, STDOUT_FILENO) < 0)
		_exit(1);
	execvp(c->argv[0], c->argv);
	_exit(errno == ENOENT ? BENCH_EXIT_SKIPPED : 1);
}

static int read_lines(struct figures *figures, unsigned index, int fd)
{
	char line[512];
	int rc = 0;
	FILE *lines = fdopen(fd, "r");

	if (!lines) {
		rc = -errno;
		close(fd);
		return rc;
	}
	while (rc == 0 && fgets(line, sizeof(line), lines))
		rc = figures_take_line(figures, index, line);
	fclose(lines);
	return rc;
}

/* Waits for the round's process, kills what is left of its group, and only then gives its id back to the system. */
static int await_end(pid_t pid, int *ret_status)
{
	siginfo_t info;

	while (waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT) < 0)
		if (errno != EINTR)
			return -errno;
	alarm(0);
	kill(-pid, SIGKILL);
	running = 0;
	while (waitpid(pid, ret_status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	return 0;
}

/* What the end of a round's process means; `rc` is that of reading its lines. */
static void judge(struct contender *c, struct figures *figures, unsigned index, int status, int rc)
{
	char *error = figures->errors[index];
	const size_t room = sizeof(figures->errors[index]);

	if (WIFEXITED(status) && WEXITSTATUS(status) == 0 && rc == 0 && !late)
		return;
	c->out = true;
	if (WIFEXITED(status) && WEXITSTATUS(status) == BENCH_EXIT_SKIPPED) {
		figures_note(figures, index, "skipped: not there, or has no such workload");
		return;
	}
	c->failed = true;
	if (late)
		snprintf(error, room, "a round took too long and was killed");
	else if (rc < 0)
		snprintf(error, room, "cannot read a round's results: %s", strerror(-rc));
	else if (WIFEXITED(status))
		snprintf(error, room, "a round failed with exit code %d", WEXITSTATUS(status));
	else
		snprintf(error, room, "a round ended by signal %d", WTERMSIG(status));
	fprintf(stderr, "%s: %s: %s\n", figures->bench->name, figures->names[index], error);
}

int contender_round(struct contender *c, struct figures *figures, unsigned index, unsigned timeout_s)
{
	int rc, ended, status = 0, fds[2];
	pid_t pid;

	catch_signals();
	if (pipe2(fds, O_CLOEXEC) < 0)
		return -errno;
	fflush(NULL);
	late = 0;
	pid = fork();
	if (pid == 0)
		exec_round(c, fds[1]);
	rc = pid < 0 ? -errno : 0;
	close(fds[1]);
	if (rc < 0) {
		close(fds[0]);
		return rc;
	}
	setpgid(pid, pid); /* here too: whoever is first */
	running = pid;
	alarm(timeout_s);
	rc = read_lines(figures, index, fds[0]);
	ended = await_end(pid, &status);
	if (ended < 0)
		return ended;
	judge(c, figures, index, status, rc);
	return 0;
}
