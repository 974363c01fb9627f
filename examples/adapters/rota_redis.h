/* SPDX-License-Identifier: MIT */
/*
 * hiredis in tasks: a command to Redis is a call that waits for its reply. Any number of tasks share a connection: what they
 * ask meanwhile goes out together, and is answered in order.
 *
 *	struct rota_redis *redis;
 *	redisReply *reply;
 *
 *	rc = rota_redis_connect(&redis, "localhost", "6379");
 *	if (rc < 0)
 *		return rc;
 *	rc = rota_redis_command(redis, &reply, "SET %s %s", "foo", "bar");
 *	if (rc == 0)
 *		freeReplyObject(reply);
 *	rota_redis_close(redis);
 *
 * Of hiredis it uses what writes commands and what reads replies; the connection is rota's. hiredis's own connections would
 * block to look up a name, raise SIGPIPE, and free the reply of an asynchronous command before its task could run.
 * Two tasks of the adapter's own move the bytes.
 */
#ifndef ROTA_REDIS_H
#define ROTA_REDIS_H

#include <hiredis/hiredis.h>

#ifdef __cplusplus
extern "C" {
#endif

struct rota_redis;

/*
 * Connects; from a task, and all that use the connection are tasks of the same runtime. 0, or the error of rota_tcp_connect
 * or rota_unix_connect, -ENOMEM, -ESHUTDOWN: then there is nothing to close. Waits.
 */
int rota_redis_connect(struct rota_redis **ret, const char *host, const char *port);
int rota_redis_connect_unix(struct rota_redis **ret, const char *path);

/*
 * Sends a command, written as for redisCommand, and waits for its reply. 0: *ret_reply is the caller's, for freeReplyObject;
 * an error that Redis tells of is a reply as well (REDIS_REPLY_ERROR). -EINVAL: the format makes no sense. -ENOMEM.
 * -ECANCELED, -ETIMEDOUT (of a scope): the command may be carried out or not; its reply is dropped when it comes, the
 * connection goes on. Any other error is the end of the connection: -EPIPE when Redis closed it, -EPROTO when it sent
 * what is no reply, that of a read or a write; all commands that wait get it, and all that follow. Not for SUBSCRIBE,
 * MONITOR and the like, which have more than one reply.
 */
int rota_redis_command(struct rota_redis *redis, redisReply **ret_reply, const char *format, ...);

/* Closes. Nobody may be inside of rota_redis_command. Waits for the two tasks, whether the caller was cancelled or not.
 * NULL does nothing. */
void rota_redis_close(struct rota_redis *redis);

#ifdef __cplusplus
}
#endif

#endif
