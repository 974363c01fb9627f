/* SPDX-License-Identifier: MIT */
/* A server of the test's own, for what a real one seldom does: a task for each connection, which is handed the descriptor. */
#ifndef TESTS_EXAMPLES_OWN_SERVER_H
#define TESTS_EXAMPLES_OWN_SERVER_H

#include <stdatomic.h>

#include <rota.h>

#include "../expect.h"

struct own_server {
	rota_fn *serve; /* its argument: the descriptor, as intptr_t */
	int listener, port;
	atomic_uint connections; /* accepted so far */
	rota_task *task;
};

static int own_server_accept_all(void *arg)
{
	struct own_server *server = arg;
	int fd;

	while ((fd = rota_accept(server->listener, NULL, NULL)) >= 0) {
		atomic_fetch_add(&server->connections, 1);
		expect(rota_spawn(NULL, server->serve, (void *)(intptr_t)fd), ==, 0);
	}
	return 0;
}

static inline void own_server_start(struct own_server *server, rota_fn *serve)
{
	server->serve = serve;
	server->listener = rota_tcp_listen("127.0.0.1", "0", 0);
	expect(server->listener, >=, 0);
	server->port = rota_local_port(server->listener);
	expect(server->port, >, 0);
	expect(rota_spawn(&server->task, own_server_accept_all, server), ==, 0);
}

static inline void own_server_stop(struct own_server *server)
{
	rota_cancel(server->task);
	expect(rota_join(server->task, NULL), ==, 0);
	rota_close(server->listener);
}

#endif
