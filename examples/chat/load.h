/* SPDX-License-Identifier: MIT */
/* The parts of the chat's load: the server's process (load_server.c) and the clients (load_client.c). */
#ifndef CHAT_LOAD_H
#define CHAT_LOAD_H

#include <stdatomic.h>

#include <rota.h>

#include "wire.h"

/* --- the server, a process of its own ----------------------------------------------------------------------------------- */

struct load_server {
	struct rota_process process;
	char port[16];
};

struct load_memory {
	long now_kib, peak_kib;
};

/* Starts `program` for so many clients, and learns its port. */
int load_server_start(struct load_server *server, const char *program, unsigned clients);

/* Memory of the process that is resident now, and was at most. */
int load_server_memory(const struct load_server *server, struct load_memory *ret);

/* Asks it to end, and waits. -EPROTO: it ended in another way than well. */
int load_server_stop(struct load_server *server);

/* --- a client ----------------------------------------------------------------------------------------------------------- */

enum { LOAD_GROUPS = 16 }; /* that a client is in at most */

/* How long deliveries took, in the order in which they came. */
struct load_samples {
	uint64_t *ns;
	size_t size;
	atomic_size_t count;
};

struct load_client {
	struct chat_wire wire;
	rota_task *reader;
	unsigned groups[LOAD_GROUPS], group_count;
	uint64_t received, missed;
};

/* Connects and joins its groups; when this returns it is in all of them. A dead one asks the kernel for as little room as
 * there is for what it does not read. On failure nothing is open. */
int load_client_connect(struct load_client *client, const char *port, bool dead);

/* Posts `bytes` of text that say when it was due. */
int load_client_post(struct load_client *client, unsigned group, uint64_t due, size_t bytes);

/* Asks to leave all groups: the answers come when all that was posted has been sent, or reported as missed. */
int load_client_leave(struct load_client *client);

/* Reads until it has left its groups, and counts. What was due at `from` or later counts as a sample. -EPROTO: the
 * server said what it should not. */
int load_client_read(struct load_client *client, struct load_samples *samples, uint64_t from);

void load_client_close(struct load_client *client);

#endif
