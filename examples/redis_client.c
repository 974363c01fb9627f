/* SPDX-License-Identifier: MIT */
/*
 * A Redis client: SET foo bar, GET foo; then many tasks that count up the same number, all over one connection. hiredis
 * writes the commands and reads the replies: see adapters/rota_redis.h.
 *
 *   redis_client [host port | /path/to/socket]     default 127.0.0.1 6379
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <rota.h>

#include "adapters/rota_redis.h"

enum { TASKS = 100, INCREMENTS = 100 };

#define COUNTER "rota:counter" /* is removed first: nobody else's */

/* A reply that is an error is ours, too. */
static int check(const redisReply *reply)
{
	if (reply->type != REDIS_REPLY_ERROR)
		return 0;
	fprintf(stderr, "redis: %s\n", reply->str);
	return -EIO;
}

static int set(struct rota_redis *redis, const char *key, const char *value)
{
	redisReply *reply;
	int rc = rota_redis_command(redis, &reply, "SET %s %s", key, value);

	if (rc < 0)
		return rc;
	rc = check(reply);
	if (rc == 0)
		printf("SET %s %s: %s\n", key, value, reply->str);
	freeReplyObject(reply);
	return rc;
}

static int get(struct rota_redis *redis, const char *key)
{
	redisReply *reply;
	int rc = rota_redis_command(redis, &reply, "GET %s", key);

	if (rc < 0)
		return rc;
	rc = check(reply);
	if (rc == 0)
		printf("GET %s: %s\n", key, reply->type == REDIS_REPLY_NIL ? "(there is none)" : reply->str);
	freeReplyObject(reply);
	return rc;
}

/* *ret_number: what the reply to a command about the counter says. */
static int ask_number(struct rota_redis *redis, const char *command, long long *ret_number)
{
	redisReply *reply;
	int rc = rota_redis_command(redis, &reply, "%s " COUNTER, command);

	if (rc < 0)
		return rc;
	rc = check(reply);
	if (rc == 0)
		*ret_number = reply->integer;
	freeReplyObject(reply);
	return rc;
}

static int count_up(void *arg)
{
	long long number;
	int rc = 0;

	for (int i = 0; i < INCREMENTS && rc == 0; i++)
		rc = ask_number(arg, "INCR", &number);
	return rc;
}

static int count_from_many(struct rota_redis *redis)
{
	struct rota_scope scope;
	long long number = 0;
	uint64_t start = rota_now();
	int closed, rc = ask_number(redis, "DEL", &number);

	if (rc == 0)
		rc = rota_scope_open(&scope, 0);
	if (rc < 0)
		return rc;
	for (int i = 0; i < TASKS && rc == 0; i++)
		rc = rota_scope_spawn(&scope, NULL, count_up, redis);
	closed = rota_scope_close(&scope);
	rc = rc < 0 ? rc : closed;
	if (rc == 0)
		rc = ask_number(redis, "INCR", &number);
	if (rc == 0 && number != TASKS * INCREMENTS + 1)
		rc = -EPROTO;
	if (rc == 0)
		printf("%d tasks counted to %lld over one connection, in %.0f ms\n", TASKS, number - 1,
		       (double)(rota_now() - start) / 1e6);
	return rc;
}

static int async_main(int argc, char **argv)
{
	struct rota_redis *redis = NULL;
	int rc;

	if (argc > 3 || (argc == 2 && argv[1][0] != '/') || (argc == 3 && argv[1][0] == '-')) {
		fprintf(stderr, "usage: %s [host port | /path/to/socket]\n", argv[0]);
		return 2;
	}
	rc = argc == 2 ? rota_redis_connect_unix(&redis, argv[1])
		       : rota_redis_connect(&redis, argc == 3 ? argv[1] : "127.0.0.1", argc == 3 ? argv[2] : "6379");
	if (rc == 0)
		rc = set(redis, "foo", "bar");
	if (rc == 0)
		rc = get(redis, "foo");
	if (rc == 0)
		rc = count_from_many(redis);
	rota_redis_close(redis);
	if (rc >= 0 && fflush(stdout) != 0)
		rc = -errno;
	if (rc < 0)
		fprintf(stderr, "redis_client: %s\n", strerror(-rc));
	return rc < 0 ? 1 : 0;
}

int main(int argc, char **argv)
{
	return rota_run(async_main, argc, argv);
}
