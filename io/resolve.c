/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "resolve_internal.h"

#include <errno.h>

#include "../runtime/blocking.h"
#include "sys_internal.h"

struct query {
	const char *host, *port;
	int flags;
	struct addrinfo *list;
};

/* The asker waits for the job even when it is cancelled, so the query may live on its stack. */
static int ask(void *arg)
{
	struct query *query = arg;

	return rota__sys_resolve(query->host, query->port, query->flags, &query->list);
}

int rota__resolve(const char *host, const char *port, int flags, struct addrinfo **ret)
{
	struct query query = { .host = host, .port = port, .flags = flags };
	int rc;

	if (port == NULL)
		return -EINVAL;
	if (rota__sys_resolve(host, port, flags | AI_NUMERICHOST | AI_NUMERICSERV, ret) == 0)
		return 0;
	rc = rota_offload(ask, &query);
	if (rc == 0)
		*ret = query.list;
	return rc;
}
