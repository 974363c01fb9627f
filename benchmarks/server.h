/* SPDX-License-Identifier: MIT */
/* A server in a process of its own, whose CPU time is looked at from outside. */
#ifndef BENCHMARKS_SERVER_H
#define BENCHMARKS_SERVER_H

#include <stdint.h>
#include <sys/types.h>

struct bench_server {
	pid_t pid;
	int port; /* of 127.0.0.1 */
};

/* Starts `argv --port N --workers N`, with N a port that is free and the parameter workers, and waits until it listens there.
 * argv[0] without a slash is looked for beside this program. -ENOENT: no such program. */
int bench_server_start(struct bench_server *server, char *const argv[]);

/* User and system time so far of the server and of its children. */
uint64_t bench_server_cpu_ns(const struct bench_server *server);

void bench_server_stop(struct bench_server *server);

#endif
