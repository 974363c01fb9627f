/* SPDX-License-Identifier: MIT */
/*
 * The adapter for hiredis, against a server in the same program that can do what a real one seldom does: keep a reply back,
 * end in the middle, talk nonsense. The real one is met by redis_client.py.
 */
#include <errno.h>
#include <stdatomic.h>

#include <rota.h>

#include "../expect.h"
#include "own_server.h"
#include "rota_redis.h"

enum { TASKS = 50, COMMANDS = 50, LARGE = 1000000 };

static char port[12];
static struct rota_notify released = ROTA_NOTIFY_INIT;
static atomic_uint held;

/* --- the server: ECHO, ERROR, HOLD (its reply comes when it is released), NONSENSE, QUIT ---------------------------- */

static size_t read_number(struct rota_stream *s, char mark)
{
	char line[32];

	if (rota_stream_read_line(s, line, sizeof(line), NULL) <= 0)
		return 0;
	expect(line[0], ==, mark);
	return strtoul(line + 1, NULL, 10);
}

/* The words of a command; how many, 0 at the end. */
static size_t read_command(struct rota_stream *s, char *words[2], size_t len[2])
{
	size_t n = read_number(s, '*');

	expect(n, <=, 2);
	for (size_t i = 0; i < n; i++) {
		len[i] = read_number(s, '$');
		words[i] = malloc(len[i] + 2);
		expect(rota_stream_read_exact(s, words[i], len[i] + 2), ==, (ssize_t)len[i] + 2);
		words[i][len[i]] = '\0';
	}
	return n;
}

/* < 0: that was all. */
static int reply(struct rota_stream *s, const char *command, const char *argument, size_t len)
{
	if (strcmp(command, "ECHO") == 0) {
		expect(rota_stream_printf(s, "$%zu\r\n", len), >, 0);
		expect(rota_stream_write_all(s, argument, len), ==, (ssize_t)len);
		return rota_stream_printf(s, "\r\n");
	}
	if (strcmp(command, "ERROR") == 0)
		return rota_stream_printf(s, "-ERR as you like it\r\n");
	if (strcmp(command, "NONSENSE") == 0)
		return rota_stream_printf(s, "what?\r\n");
	if (strcmp(command, "HOLD") == 0) {
		atomic_fetch_add(&held, 1);
		expect(rota_notify_wait(&released), ==, 0);
		return rota_stream_printf(s, "+held\r\n");
	}
	return -EPIPE;
}

static int serve(void *arg)
{
	struct rota_stream s;
	char *words[2];
	size_t len[2], n;
	int rc = rota_stream_init_fd(&s, (int)(intptr_t)arg, NULL);

	expect(rc, ==, 0);
	while (rc >= 0 && (n = read_command(&s, words, len)) > 0) {
		rc = reply(&s, words[0], n == 2 ? words[1] : "", n == 2 ? len[1] : 0);
		if (rc >= 0)
			rc = rota_stream_flush(&s);
		while (n > 0)
			free(words[--n]);
	}
	rota_stream_close(&s);
	return 0;
}

/* --- the client ---------------------------------------------------------------------------------------------------- */

static struct rota_redis *connect_to_server(void)
{
	struct rota_redis *redis = NULL;

	expect(rota_redis_connect(&redis, "127.0.0.1", port), ==, 0);
	return redis;
}

static void expect_echo(struct rota_redis *redis, const char *text)
{
	redisReply *answer;

	expect(rota_redis_command(redis, &answer, "ECHO %s", text), ==, 0);
	expect(answer->type, ==, REDIS_REPLY_STRING);
	expect_text(answer->str, text);
	freeReplyObject(answer);
}

static void wait_until_held(unsigned n)
{
	while (atomic_load(&held) < n)
		expect(rota_sleep(ROTA_MS(1)), ==, 0);
}

static void replies(void)
{
	struct rota_redis *redis = connect_to_server();
	char *large = calloc(1, LARGE);
	redisReply *answer;

	expect_echo(redis, "hello");
	expect(rota_redis_command(redis, &answer, "ECHO %b", large, (size_t)LARGE), ==, 0);
	expect(answer->len, ==, LARGE);
	freeReplyObject(answer);
	expect(rota_redis_command(redis, &answer, "ERROR"), ==, 0);
	expect(answer->type, ==, REDIS_REPLY_ERROR);
	expect_text(answer->str, "ERR as you like it");
	freeReplyObject(answer);
	expect(rota_redis_command(redis, &answer, "ECHO %z", 1), ==, -EINVAL);
	expect_echo(redis, "and on");
	free(large);
	rota_redis_close(redis);
	rota_redis_close(NULL);
}

/* A caller that left does not get in the way of those behind it. */
static void left_behind(void)
{
	struct rota_redis *redis = connect_to_server();
	struct rota_scope scope;
	redisReply *answer;

	for (unsigned round = 1; round <= 3; round++) {
		expect(rota_scope_open(&scope, ROTA_MS(20)), ==, 0);
		expect(rota_redis_command(redis, &answer, "HOLD"), ==, -ETIMEDOUT);
		expect(rota_redis_command(redis, &answer, "ECHO late"), ==, -ETIMEDOUT);
		expect(rota_scope_close(&scope), ==, -ETIMEDOUT);
		wait_until_held(round);
		rota_notify_one(&released);
		expect_echo(redis, "behind it");
	}
	rota_redis_close(redis);
}

static int hold(void *arg)
{
	redisReply *answer;
	int rc = rota_redis_command(arg, &answer, "HOLD");

	if (rc == 0)
		freeReplyObject(answer);
	return rc;
}

static void closed_while_held(void)
{
	struct rota_redis *redis = connect_to_server();
	unsigned before = atomic_load(&held);
	rota_task *task;
	int status;

	expect(rota_spawn(&task, hold, redis), ==, 0);
	wait_until_held(before + 1);
	expect(rota_cancel(task), ==, 0);
	expect(rota_join(task, &status), ==, 0);
	expect(status, ==, -ECANCELED);
	rota_redis_close(redis); /* its reply will never come */
	rota_notify_one(&released);
}

static void endings(void)
{
	struct rota_redis *redis = connect_to_server();
	unsigned before = atomic_load(&held);
	rota_task *task;
	redisReply *answer;
	int status;

	/* All that wait hear of it: the one behind the end, too. */
	expect(rota_spawn(&task, hold, redis), ==, 0);
	wait_until_held(before + 1);
	rota_notify_one(&released);
	expect(rota_redis_command(redis, &answer, "QUIT"), ==, -EPIPE);
	expect(rota_join(task, &status), ==, 0);
	expect(rota_redis_command(redis, &answer, "ECHO too late"), ==, -EPIPE);
	rota_redis_close(redis);

	redis = connect_to_server();
	expect(rota_redis_command(redis, &answer, "NONSENSE"), ==, -EPROTO);
	expect(rota_redis_command(redis, &answer, "ECHO too late"), ==, -EPROTO);
	rota_redis_close(redis);
	expect(rota_redis_connect(&redis, "127.0.0.1", "1"), ==, -ECONNREFUSED);
	expect(rota_redis_connect_unix(&redis, "/nowhere/at/all"), ==, -ENOENT);
}

static int echo_many(void *arg)
{
	char text[64];

	for (int i = 0; i < COMMANDS; i++) {
		snprintf(text, sizeof(text), "%d of task %llu", i, (unsigned long long)rota_task_id());
		expect_echo(arg, text);
	}
	return 0;
}

/* Each gets what it asked for. */
static void many(void)
{
	struct rota_redis *redis = connect_to_server();
	struct rota_scope scope;

	expect(rota_scope_open(&scope, 0), ==, 0);
	for (int i = 0; i < TASKS; i++)
		expect(rota_scope_spawn(&scope, NULL, echo_many, redis), ==, 0);
	expect(rota_scope_close(&scope), ==, 0);
	rota_redis_close(redis);
}

static int async_main(int argc, char **argv)
{
	struct own_server server = { 0 };

	(void)argc;
	(void)argv;
	own_server_start(&server, serve);
	snprintf(port, sizeof(port), "%d", server.port);
	replies();
	left_behind();
	closed_while_held();
	endings();
	many();
	own_server_stop(&server);
	return 0;
}

int main(int argc, char **argv)
{
	return rota_run(async_main, argc, argv);
}
