/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server.h"
#include "session.h"

enum { REFUSALS = 16 }; /* clients at once that are told that the server is full */

struct server {
	struct rota_scope sessions;
	struct chat_groups groups;
	unsigned limit;
	uint64_t patience;
	uint64_t started, collected;
	atomic_uint_fast64_t ended;
	atomic_uint serving; /* those that are not refused */
};

struct guest {
	struct server *server;
	int fd;
	bool refused;
	struct chat_session session;
};

static int receive_guest(void *arg)
{
	struct guest *g = arg;
	struct server *server = g->server;

	if (g->refused) {
		chat_session_refuse(g->fd);
	} else {
		chat_session_run(&g->session, g->fd);
		server->serving--;
	}
	free(g);
	server->ended++;
	return 0;
}

/* Tasks that have ended are known to their scope until they are asked for. When there is no room to refuse one more client,
 * this waits until one has gone, and the others wait in the listener's backlog. */
static int collect(struct server *server)
{
	int rc = 0;

	while (rc == 0 && (server->collected < server->ended ||
			   server->started - server->collected >= (uint64_t)server->limit + REFUSALS)) {
		rc = rota_scope_next(&server->sessions, NULL);
		server->collected += rc == 0;
	}
	return rc;
}

static struct guest *guest_new(struct server *server, int fd)
{
	struct guest *g = calloc(1, sizeof(*g));

	if (g != NULL) {
		g->server = server;
		g->fd = fd;
		g->refused = server->serving >= server->limit;
		g->session.number = server->started + 1;
		g->session.patience = server->patience;
		g->session.groups = &server->groups;
	}
	return g;
}

static int start_guest(struct server *server, int fd)
{
	int rc = collect(server);
	struct guest *g = rc < 0 ? NULL : guest_new(server, fd);
	const bool serves = g != NULL && !g->refused; /* once it runs, it may end and be freed at any time */

	server->serving += serves;
	if (rc >= 0)
		rc = g != NULL ? rota_scope_spawn(&server->sessions, NULL, receive_guest, g) : -ENOMEM;
	if (rc < 0) {
		server->serving -= serves;
		free(g);
		rota_close(fd);
		return rc;
	}
	server->started++;
	return 0;
}

/* Whether accept may succeed later: the peer is gone already, or descriptors or memory are short for now. */
static bool is_passing(int rc)
{
	return rc == -ECONNABORTED || rc == -EMFILE || rc == -ENFILE || rc == -ENOBUFS || rc == -ENOMEM;
}

static int accept_all(struct server *server, int listener)
{
	for (;;) {
		int rc = rota_accept(listener, NULL, NULL);

		if (rc >= 0)
			rc = start_guest(server, rc);
		if (rc < 0 && is_passing(rc)) {
			fprintf(stderr, "chat: a client cannot be served now: %s\n", strerror(-rc));
			rc = rota_sleep(ROTA_MS(100));
		}
		if (rc < 0)
			return rc;
	}
}

int chat_serve(int listener, unsigned clients, uint64_t patience)
{
	const struct rota_scope_attr attr = { .flags = ROTA_SCOPE_INDEPENDENT };
	struct server server = { .groups = CHAT_GROUPS_INIT, .limit = clients, .patience = patience };
	int rc = rota_scope_open_with(&server.sessions, &attr);

	if (rc < 0)
		return rc;
	rc = accept_all(&server, listener);
	rota_scope_cancel(&server.sessions);
	rota_scope_close(&server.sessions);
	return rc;
}
