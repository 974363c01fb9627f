/* SPDX-License-Identifier: MIT */
/*
 * A condition variable, a mutex and a stop flag: one side updates a value, the other prints it, until it is told to stop.
 * First between two threads, outside of any runtime, then between two tasks: the same two functions.
 *
 *   condition [--unit-ms N]     default 100: the updater's pause
 */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rota.h>

enum { DEFAULT_UNIT_MS = 100, MAX_UNIT_MS = 100000 };

struct shared {
	struct rota_mutex lock; /* guards what follows */
	struct rota_cond changed;
	bool value, fresh, stop;
	uint64_t pause_ns;
};

/* Waits stand in loops around what they wait for: a signal says "look", and one that comes before the wait is not lost. */
static int receive(void *arg)
{
	struct shared *s = arg;
	int rc = 0;

	rota_mutex_lock(&s->lock);
	for (;;) {
		while (!s->fresh && !s->stop && rc == 0)
			rc = rota_cond_wait(&s->changed, &s->lock);
		if (rc < 0 || !s->fresh)
			break;
		s->fresh = false;
		printf("Received value: %s\n", s->value ? "true" : "false");
		rota_cond_broadcast(&s->changed);
	}
	rota_mutex_unlock(&s->lock);
	return rc;
}

/* Until the last value was taken. With the mutex. */
static int wait_until_taken(struct shared *s)
{
	int rc = 0;

	while (s->fresh && rc == 0)
		rc = rota_cond_wait(&s->changed, &s->lock);
	return rc;
}

static int update(void *arg)
{
	static const bool values[] = { false, true, false, true };
	struct shared *s = arg;
	int rc = 0;

	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]) && rc == 0; i++) {
		rota_mutex_lock(&s->lock);
		rc = wait_until_taken(s);
		if (rc == 0) {
			s->value = values[i];
			s->fresh = true;
			rota_cond_broadcast(&s->changed);
		}
		rota_mutex_unlock(&s->lock);
		if (rc == 0)
			rc = rota_sleep(s->pause_ns);
	}
	rota_mutex_lock(&s->lock);
	s->stop = true; /* whatever happened, and after the last value */
	rota_cond_broadcast(&s->changed);
	rota_mutex_unlock(&s->lock);
	return rc;
}

/* --- between two threads -------------------------------------------------------------------------------------------------- */

static void *receive_in_thread(void *arg)
{
	return (void *)(intptr_t)receive(arg);
}

static int by_threads(struct shared *s)
{
	pthread_t receiver;
	void *received;
	int rc = -pthread_create(&receiver, NULL, receive_in_thread, s);

	if (rc < 0)
		return rc;
	rc = update(s);
	pthread_join(receiver, &received);
	return rc < 0 ? rc : (int)(intptr_t)received;
}

/* --- between two tasks ---------------------------------------------------------------------------------------------------- */

static int by_tasks(void *arg)
{
	struct rota_scope scope;
	int closed, rc = rota_scope_open(&scope, 0);

	if (rc < 0)
		return rc;
	rc = rota_scope_spawn(&scope, NULL, receive, arg);
	if (rc == 0)
		rc = rota_scope_spawn(&scope, NULL, update, arg);
	if (rc < 0)
		rota_scope_cancel(&scope);
	closed = rota_scope_close(&scope);
	return rc < 0 ? rc : closed;
}

static int run_tasks(struct shared *s)
{
	rota_runtime *rt;
	int rc = rota_runtime_new(&rt, NULL);

	if (rc == 0) {
		rc = rota_block_on(rt, by_tasks, s);
		rota_runtime_free(rt);
	}
	return rc;
}

static int run(const char *title, int (*fn)(struct shared *s), uint64_t pause_ns)
{
	struct shared s = { .lock = ROTA_MUTEX_INIT, .changed = ROTA_COND_INIT, .pause_ns = pause_ns };

	printf("%s\n", title);
	fflush(stdout);
	return fn(&s);
}

int main(int argc, char **argv)
{
	unsigned long unit_ms = DEFAULT_UNIT_MS;
	char *end = "";
	int rc;

	if (argc == 3 && strcmp(argv[1], "--unit-ms") == 0)
		unit_ms = strtoul(argv[2], &end, 10);
	else if (argc > 1)
		unit_ms = 0;
	if (*end != '\0' || unit_ms == 0 || unit_ms > MAX_UNIT_MS) {
		fprintf(stderr, "usage: %s [--unit-ms N]\n", argv[0]);
		return 2;
	}
	rc = run("two threads", by_threads, ROTA_MS(unit_ms));
	rc = rc < 0 ? rc : run("two tasks", run_tasks, ROTA_MS(unit_ms));
	if (rc >= 0 && fflush(stdout) != 0)
		rc = -errno;
	if (rc < 0)
		fprintf(stderr, "condition: %s\n", strerror(-rc));
	return rc < 0 ? 1 : 0;
}
