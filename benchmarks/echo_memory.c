/* SPDX-License-Identifier: MIT */
/*
 * What an echo connection costs as an async function: task, state, operations and a buffer of 1 KiB, each connection having
 * served one message of that size. Resident memory, the benchmark's own arrays included; the sockets are the kernel's. The
 * peers are plain sockets of this process. As many as were asked for, or as descriptors allow.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "harness.h"
#include "measure.h"

static struct bench_param params[] = {
	{ "connections", 8000, 200, "at most so many" },
	{ NULL, 0, 0, NULL },
};

enum { BUFFER = 1024 };

struct echo {
	struct rota_async async;
	union {
		struct rota_op recv;
		struct rota_transfer_op send;
	};
	int fd;
	char buffer[BUFFER];
};

struct crowd {
	size_t wanted, made;
	struct echo *echoes;
	rota_task **tasks;
	int *peers;
};

static rota_poll echo_poll(struct rota_future *self, struct rota_context *cx)
{
	struct echo *echo = (struct echo *)(void *)self;

	ROTA_ASYNC_BEGIN(echo);
	for (;;) {
		rota_op_recv(&echo->recv, echo->fd, echo->buffer, BUFFER, 0);
		ROTA_AWAIT(echo, cx, &echo->recv.future);
		if (echo->recv.future.status <= 0)
			ROTA_ASYNC_RETURN(echo, echo->recv.future.status);
		rota_op_write_all(&echo->send, echo->fd, echo->buffer, (size_t)echo->recv.future.status);
		ROTA_AWAIT(echo, cx, &echo->send.future);
		if (echo->send.future.status < 0)
			ROTA_ASYNC_RETURN(echo, echo->send.future.status);
	}
	ROTA_ASYNC_END(echo);
}

static const struct rota_future_ops echo_ops = ROTA_ASYNC_OPS(echo_poll, "echo");

static int make_sockets(struct crowd *crowd)
{
	for (; crowd->made < crowd->wanted; crowd->made++) {
		int pair[2];

		if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
			return -errno;
		crowd->peers[crowd->made] = pair[0];
		crowd->tasks[crowd->made] = NULL;
		crowd->echoes[crowd->made].fd = pair[1];
	}
	return 0;
}

static int serve_one(struct crowd *crowd, size_t i)
{
	char message[BUFFER], answer[BUFFER] = { 0 };
	int rc;

	rota_async_init(&crowd->echoes[i].async, &echo_ops);
	rc = rota_spawn_future(&crowd->tasks[i], &crowd->echoes[i].async.future);
	if (rc < 0)
		return rc;
	memset(message, 'a' + (int)(i % 26), sizeof(message));
	if (rota_write_all(crowd->peers[i], message, BUFFER) != BUFFER ||
	    rota_read_exact(crowd->peers[i], answer, BUFFER) != BUFFER || memcmp(message, answer, BUFFER) != 0)
		return -EPROTO;
	return 0;
}

static int end_all(struct crowd *crowd)
{
	int rc = 0;

	for (size_t i = 0; i < crowd->made; i++) {
		int status = 0, joined;

		close(crowd->peers[i]);
		joined = crowd->tasks[i] ? rota_join(crowd->tasks[i], &status) : 0;
		rc = rc < 0 ? rc : joined < 0 ? joined : status;
		close(crowd->echoes[i].fd);
	}
	return rc;
}

static int serve(void *arg)
{
	struct crowd *crowd = arg;
	uint64_t before, after;
	int rc, ended;

	before = bench_rss_bytes();
	rc = make_sockets(crowd);
	for (size_t i = 0; i < crowd->made && rc == 0; i++)
		rc = serve_one(crowd, i);
	after = bench_rss_bytes();
	ended = end_all(crowd);
	if (rc < 0 || ended < 0)
		return rc < 0 ? rc : ended;
	bench_report("rss", (double)(after - before) / (double)crowd->made, "B");
	bench_report("state", (double)sizeof(struct echo), "B");
	return 0;
}

static int round_of_echoes(void)
{
	struct crowd crowd = { .wanted = bench_connections_allowed((size_t)bench_param("connections")) };
	int rc = -ENOMEM;

	if (crowd.wanted == 0)
		return -EMFILE;
	crowd.echoes = malloc(crowd.wanted * sizeof(*crowd.echoes));
	crowd.tasks = calloc(crowd.wanted, sizeof(*crowd.tasks));
	crowd.peers = calloc(crowd.wanted, sizeof(*crowd.peers));
	if (crowd.echoes && crowd.tasks && crowd.peers)
		rc = bench_run(serve, &crowd);
	free(crowd.echoes);
	free(crowd.tasks);
	free(crowd.peers);
	return rc;
}

static const struct bench bench = {
	.name = "echo_memory",
	.about = "memory of an echo connection as an async function with a buffer of 1 KiB",
	.round = round_of_echoes,
	.params = params,
	.rounds = 3,
};

int main(int argc, char **argv)
{
	return bench_main(&bench, argc, argv);
}
