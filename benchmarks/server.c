/* SPDX-License-Identifier: MIT */
/* See server.h. */
#define _GNU_SOURCE
#include "server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "harness.h"

enum { ARGS_MAX = 32, START_MS = 10000, PATIENCE_MS = 2000, NOT_THERE = 77 };

static void sleep_ms(long ms)
{
	struct timespec ts = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 };

	while (clock_nanosleep(CLOCK_MONOTONIC, 0, &ts, &ts) == EINTR)
		;
}

/* A port that nobody has at the moment. */
static int free_port(void)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(address);
	int rc, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	if (bind(fd, (struct sockaddr *)&address, len) < 0 || getsockname(fd, (struct sockaddr *)&address, &len) < 0)
		rc = -errno;
	else
		rc = ntohs(address.sin_port);
	close(fd);
	return rc;
}

static bool listens(int port)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_port = htons((uint16_t)port),
				       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool connected = fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0;

	if (fd >= 0)
		close(fd);
	return connected;
}

static int beside_this_program(const char *name, char *path, size_t room)
{
	char own[4096];
	ssize_t n = readlink("/proc/self/exe", own, sizeof(own) - 1);
	char *slash;

	if (n < 0)
		return -errno;
	own[n] = '\0';
	slash = strrchr(own, '/');
	if (!slash || snprintf(path, room, "%.*s/%s", (int)(slash - own), own, name) >= (int)room)
		return -ENAMETOOLONG;
	return 0;
}

/* What it prints goes to standard error: standard output is for results. */
static void exec_server(char *const argv[], int port)
{
	char path[4096], port_text[16], workers[24];
	char *args[ARGS_MAX + 5];
	int n = 0;

	while (argv[n] && n < ARGS_MAX) {
		args[n] = argv[n];
		n++;
	}
	snprintf(port_text, sizeof(port_text), "%d", port);
	snprintf(workers, sizeof(workers), "%" PRIu64, bench_param("workers"));
	args[n++] = "--port";
	args[n++] = port_text;
	args[n++] = "--workers";
	args[n++] = workers;
	args[n] = NULL;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (dup2(STDERR_FILENO, STDOUT_FILENO) < 0)
		_exit(1);
	if (!strchr(args[0], '/') && beside_this_program(args[0], path, sizeof(path)) == 0)
		args[0] = path;
	execv(args[0], args);
	_exit(errno == ENOENT ? NOT_THERE : 1);
}

static int await_server(struct bench_server *server)
{
	for (int ms = 0; ms < START_MS; ms += 5) {
		int status;

		if (listens(server->port))
			return 0;
		if (waitpid(server->pid, &status, WNOHANG) == server->pid)
			return WIFEXITED(status) && WEXITSTATUS(status) == NOT_THERE ? -ENOENT : -EPROTO;
		sleep_ms(5);
	}
	bench_server_stop(server);
	return -ETIMEDOUT;
}

int bench_server_start(struct bench_server *server, char *const argv[])
{
	int port = free_port();

	if (port < 0)
		return port;
	fflush(NULL);
	*server = (struct bench_server){ .port = port, .pid = fork() };
	if (server->pid == 0)
		exec_server(argv, port);
	return server->pid < 0 ? -errno : await_server(server);
}

static uint64_t process_cpu_ns(pid_t pid)
{
	struct timespec ts;
	clockid_t clock;

	if (clock_getcpuclockid(pid, &clock) != 0 || clock_gettime(clock, &ts) < 0)
		return 0;
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

uint64_t bench_server_cpu_ns(const struct bench_server *server)
{
	uint64_t sum = process_cpu_ns(server->pid);
	char path[64];
	int child;
	FILE *children;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)server->pid, (int)server->pid);
	children = fopen(path, "re");
	if (!children)
		return sum;
	while (fscanf(children, "%d", &child) == 1)
		sum += process_cpu_ns(child);
	fclose(children);
	return sum;
}

void bench_server_stop(struct bench_server *server)
{
	int status;

	kill(server->pid, SIGTERM);
	for (int ms = 0; ms < PATIENCE_MS; ms += 5) {
		if (waitpid(server->pid, &status, WNOHANG) != 0)
			return;
		sleep_ms(5);
	}
	kill(server->pid, SIGKILL);
	waitpid(server->pid, &status, 0);
}
