/* SPDX-License-Identifier: MIT */
/*
 * Who does what. A caller puts its command into `filling` and a struct call at the end of the list, rings, and waits for the
 * call's answer. The writer swaps the two buffers and writes one out while the other fills. The reader takes replies off
 * the connection; Redis answers in order, so each belongs to the first call of the list.
 *
 * The lock guards the list, `filling` and `error`; nobody waits for the connection with it held. A call is freed by its
 * caller, unless that has left (it was cancelled): then it is `abandoned`, and whoever takes it off the list frees it.
 */
#include "rota_redis.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <rota.h>

enum { READ_BYTES = 16 * 1024, FIRST_SIZE = 4 * 1024 };

struct call {
	struct call *next;
	struct rota_oneshot answer; /* a redisReply; closed without one: the connection has ended */
	bool listed, abandoned;
};

struct buffer {
	char *bytes;
	size_t len, size;
};

struct rota_redis {
	int fd;
	redisReader *parser; /* of the reader */
	rota_task *reader, *writer;
	struct rota_notify filled;
	struct rota_mutex lock;
	struct call *first, *last;
	struct buffer filling, leaving;
	int error; /* 0 as long as there is a connection */
};

/* --- the list; with the lock held --------------------------------------------------------------------------------- */

static void append(struct rota_redis *redis, struct call *call)
{
	if (redis->last != NULL)
		redis->last->next = call;
	else
		redis->first = call;
	redis->last = call;
	call->listed = true;
}

/* Takes the first call off the list and gives it its reply; NULL: there will be none. */
static void complete_first(struct rota_redis *redis, redisReply *reply)
{
	struct call *call = redis->first;

	redis->first = call->next;
	if (call->next == NULL)
		redis->last = NULL;
	call->listed = false;
	if (call->abandoned) {
		freeReplyObject(reply);
		free(call);
	} else if (reply == NULL) {
		rota_oneshot_close(&call->answer);
	} else if (rota_oneshot_send(&call->answer, reply) < 0) {
		freeReplyObject(reply);
	}
}

static int add_bytes(struct buffer *b, const char *bytes, size_t len)
{
	size_t size = b->size != 0 ? b->size : FIRST_SIZE;
	char *larger;

	while (size - b->len < len)
		size *= 2;
	if (size != b->size) {
		larger = realloc(b->bytes, size);
		if (larger == NULL)
			return -ENOMEM;
		b->bytes = larger;
		b->size = size;
	}
	memcpy(b->bytes + b->len, bytes, len);
	b->len += len;
	return 0;
}

/* --- the two tasks ------------------------------------------------------------------------------------------------ */

/* The first error counts. The other task then ends too: the reader finds the end, the writer is told. */
static void end_connection(struct rota_redis *redis, int error)
{
	rota_mutex_lock(&redis->lock);
	if (redis->error == 0)
		redis->error = error;
	while (redis->first != NULL)
		complete_first(redis, NULL);
	rota_mutex_unlock(&redis->lock);
	rota_shutdown(redis->fd, SHUT_RDWR);
	rota_notify_one(&redis->filled);
}

static int deliver(struct rota_redis *redis)
{
	void *reply;

	for (;;) {
		if (redisReaderGetReply(redis->parser, &reply) != REDIS_OK)
			return redis->parser->err == REDIS_ERR_OOM ? -ENOMEM : -EPROTO;
		if (reply == NULL)
			return 0; /* not all of it is here */
		rota_mutex_lock(&redis->lock);
		if (redis->first == NULL) {
			rota_mutex_unlock(&redis->lock);
			freeReplyObject(reply);
			return -EPROTO; /* to no question */
		}
		complete_first(redis, reply);
		rota_mutex_unlock(&redis->lock);
	}
}

static int read_replies(void *arg)
{
	struct rota_redis *redis = arg;
	char bytes[READ_BYTES];
	int rc = 0;

	while (rc == 0) {
		ssize_t n = rota_recv(redis->fd, bytes, sizeof(bytes), 0);

		if (n <= 0)
			rc = n < 0 ? (int)n : -EPIPE;
		else if (redisReaderFeed(redis->parser, bytes, (size_t)n) != REDIS_OK)
			rc = -ENOMEM;
		else
			rc = deliver(redis);
	}
	end_connection(redis, rc);
	return 0;
}

/* Takes what is to be written; the error when there is no connection any more. */
static int swap_buffers(struct rota_redis *redis)
{
	struct buffer empty = redis->leaving;
	int error;

	empty.len = 0;
	rota_mutex_lock(&redis->lock);
	redis->leaving = redis->filling;
	redis->filling = empty;
	error = redis->error;
	rota_mutex_unlock(&redis->lock);
	return error;
}

static int write_commands(void *arg)
{
	struct rota_redis *redis = arg;
	int rc;

	while ((rc = rota_notify_wait(&redis->filled)) == 0 && (rc = swap_buffers(redis)) == 0) {
		size_t len = redis->leaving.len;
		ssize_t n = rota_write_all(redis->fd, redis->leaving.bytes, len);

		if (n != (ssize_t)len) {
			rc = n < 0 ? (int)n : -EPIPE;
			break;
		}
	}
	end_connection(redis, rc);
	return 0;
}

/* --- commands ----------------------------------------------------------------------------------------------------- */

static int submit(struct rota_redis *redis, struct call *call, const char *bytes, size_t len)
{
	int rc;

	rota_mutex_lock(&redis->lock);
	rc = redis->error != 0 ? redis->error : add_bytes(&redis->filling, bytes, len);
	if (rc == 0)
		append(redis, call);
	rota_mutex_unlock(&redis->lock);
	if (rc == 0)
		rota_notify_one(&redis->filled);
	return rc;
}

/* The lock is taken also after an answer: whoever gave it has then let go of the call. */
static int wait_for_reply(struct rota_redis *redis, struct call *call, redisReply **ret_reply)
{
	void *reply = NULL;
	int rc = rota_oneshot_recv(&call->answer, &reply);

	rota_mutex_lock(&redis->lock);
	if (rc == -EPIPE)
		rc = redis->error;
	else if (rc < 0 && call->listed)
		call->abandoned = true;
	else if (rc < 0 && rota_oneshot_try_recv(&call->answer, &reply) == 0)
		freeReplyObject(reply); /* it came just now */
	if (!call->listed)
		free(call);
	rota_mutex_unlock(&redis->lock);
	if (rc == 0)
		*ret_reply = reply;
	return rc;
}

static int send_and_wait(struct rota_redis *redis, redisReply **ret_reply, const char *bytes, size_t len)
{
	struct call *call = malloc(sizeof(*call));
	int rc;

	if (call == NULL)
		return -ENOMEM;
	*call = (struct call){ .answer = ROTA_ONESHOT_INIT };
	rc = submit(redis, call, bytes, len);
	if (rc < 0) {
		free(call);
		return rc;
	}
	return wait_for_reply(redis, call, ret_reply);
}

int rota_redis_command(struct rota_redis *redis, redisReply **ret_reply, const char *format, ...)
{
	char *bytes;
	va_list ap;
	int len, rc;

	va_start(ap, format);
	len = redisvFormatCommand(&bytes, format, ap);
	va_end(ap);
	if (len < 0)
		return len == -1 ? -ENOMEM : -EINVAL;
	rc = send_and_wait(redis, ret_reply, bytes, (size_t)len);
	free(bytes);
	return rc;
}

/* --- beginning and end -------------------------------------------------------------------------------------------- */

/* The two tasks have ended, or never began. */
static void free_connection(struct rota_redis *redis)
{
	rota_close(redis->fd);
	if (redis->parser != NULL)
		redisReaderFree(redis->parser);
	free(redis->filling.bytes);
	free(redis->leaving.bytes);
	free(redis);
}

static void end_task(rota_task *task)
{
	rota_cancel(task);
	rota_shield_enter(); /* it uses what we are about to free */
	rota_join(task, NULL);
	rota_shield_leave();
}

/* Owns fd, whatever the result. */
static int begin(struct rota_redis **ret, int fd)
{
	struct rota_redis *redis = calloc(1, sizeof(*redis));
	int rc = -ENOMEM;

	if (redis == NULL) {
		rota_close(fd);
		return rc;
	}
	redis->fd = fd;
	redis->parser = redisReaderCreate();
	if (redis->parser == NULL)
		goto free_connection;
	rc = rota_spawn(&redis->reader, read_replies, redis);
	if (rc < 0)
		goto free_connection;
	rc = rota_spawn(&redis->writer, write_commands, redis);
	if (rc < 0)
		goto end_reader;
	*ret = redis;
	return 0;

end_reader:
	end_task(redis->reader);
free_connection:
	free_connection(redis);
	return rc;
}

int rota_redis_connect(struct rota_redis **ret, const char *host, const char *port)
{
	int fd = rota_tcp_connect(host, port);

	return fd < 0 ? fd : begin(ret, fd);
}

int rota_redis_connect_unix(struct rota_redis **ret, const char *path)
{
	int fd = rota_unix_connect(path, SOCK_STREAM);

	return fd < 0 ? fd : begin(ret, fd);
}

void rota_redis_close(struct rota_redis *redis)
{
	if (redis == NULL)
		return;
	end_task(redis->reader);
	end_task(redis->writer);
	free_connection(redis);
}
