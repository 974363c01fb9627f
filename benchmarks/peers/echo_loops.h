/* SPDX-License-Identifier: MIT */
/*
 * TCP echo by hand: --loops threads (default 1) own both ends of their share of the connections each. What a loop does is in
 * one file for each way to wait: epoll_echo.c, uring_echo.c.
 *
 *   PEER echo [--clients N] [--loops N] [--bytes N] [--warmup-ms N] [--round-ms N]
 *
 * Prints lines of `name value unit`, as every peer of the benchmarks does; clients 0 means 1, 100 and 1000 in turn.
 * Exit code 77: no such workload here.
 */
#ifndef BENCHMARKS_PEERS_ECHO_LOOPS_H
#define BENCHMARKS_PEERS_ECHO_LOOPS_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One end of a connection. A message may come in parts; the next one starts when the last byte has come back. */
struct end {
	int fd;
	bool is_client;
	size_t received;        /* client: of the answer that is awaited */
	unsigned char *buffers; /* for who wants some: two of a message */
};

struct loop {
	int epoll; /* of epoll_echo.c */
	size_t bytes;
	struct end *ends;
	size_t end_count;
	unsigned char *buffer;
	_Atomic uint64_t trips; /* written by the loop's thread, read by main */
	atomic_bool *stop;
	pthread_t thread;
	int status;
};

/* Of who waits. */
extern const char loop_about[];
int loop_init(struct loop *loop);
int loop_watch(struct loop *loop, struct end *end); /* before the thread runs */
int loop_run(struct loop *loop);                    /* in its thread, until *loop->stop */

/* A whole answer has come to a client: counts it, and is true, when these were its last bytes. */
bool end_has_answer(struct loop *loop, struct end *end, size_t n);

#endif
