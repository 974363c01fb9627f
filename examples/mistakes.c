/* SPDX-License-Identifier: MIT */
/*
 * Three mistakes that everybody makes once, each beside its remedy: a wait whose result is dropped (the compiler warns: here
 * it had to be silenced); blocking inside a task (a report on standard error names the task and where it was spawned, which
 * addr2line turns into a line; with the current-thread flavour there is no other thread that could tell); and waits one
 * after the other that were meant to be at the same time.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <rota.h>

enum { BLOCKED_MS = 300, TICK_MS = 5, PAUSE_MS = 50 };

/* --- a wait whose result is dropped --------------------------------------------------------------------------------------- */

/* The channel held one value and is closed. */
static int dropped(struct rota_channel *channel)
{
	int value = 0;

	for (int i = 0; i < 2; i++) {
		int silenced = rota_channel_recv(channel, &value); /* without the variable: -Wunused-result */

		(void)silenced;
		printf("result dropped: received %d\n", value);
	}
	return 0;
}

static int checked(struct rota_channel *channel)
{
	int value, rc;

	while ((rc = rota_channel_recv(channel, &value)) == 0)
		printf("result checked: received %d\n", value);
	printf("result checked: %s\n", strerror(-rc));
	return rc == -EPIPE ? 0 : rc;
}

static int with_one_value(int (*receive)(struct rota_channel *channel))
{
	struct rota_channel channel;
	int value = 7, rc = rota_channel_init(&channel, sizeof(value), 1);

	if (rc < 0)
		return rc;
	rc = rota_channel_send(&channel, &value);
	rota_channel_close(&channel);
	if (rc == 0)
		rc = receive(&channel);
	rota_channel_deinit(&channel);
	return rc;
}

/* --- blocking inside a task ----------------------------------------------------------------------------------------------- */

static int block(void *arg)
{
	static const struct timespec pause = { .tv_nsec = BLOCKED_MS * 1000 * 1000 };

	(void)arg;
	nanosleep(&pause, NULL); /* blocks the thread; cut short by a signal it does no harm */
	return 0;
}

static int block_elsewhere(void *arg)
{
	return rota_offload(block, arg); /* on a thread of the pool; the task waits, and its worker runs others */
}

struct ticker {
	atomic_bool stop;
	uint64_t worst_ns;
};

static int tick(void *arg)
{
	struct ticker *t = arg;
	int rc = 0;

	while (!atomic_load(&t->stop) && rc == 0) {
		uint64_t due = rota_now() + ROTA_MS(TICK_MS), late;

		rc = rota_sleep_until(due);
		late = rota_now() - due;
		t->worst_ns = late > t->worst_ns ? late : t->worst_ns;
	}
	return rc;
}

/* How late a ticker comes while fn runs in another task. */
static int beside_ticker(const char *name, rota_fn *fn)
{
	const struct rota_task_attr attr = { .name = name };
	struct ticker ticker = { .stop = false };
	struct rota_scope scope;
	rota_task *task;
	int closed, rc = rota_scope_open(&scope, 0);

	if (rc < 0)
		return rc;
	rc = rota_scope_spawn(&scope, NULL, tick, &ticker);
	if (rc == 0)
		rc = rota_scope_spawn_with(&scope, &task, &attr, fn, NULL);
	if (rc == 0) {
		rc = rota_join(task, NULL);
		if (rc < 0) /* the handle is still ours; the task is the scope's */
			rota_detach(task);
	}
	atomic_store(&ticker.stop, true);
	closed = rota_scope_close(&scope);
	if (rc == 0 && closed == 0)
		printf("%s: a task of 5 ms ticks was late by %.1f ms at most\n", name, (double)ticker.worst_ns / 1e6);
	return rc < 0 ? rc : closed;
}

/* --- waits that were meant to be at the same time ------------------------------------------------------------------------- */

static int pause_a_while(void *arg)
{
	(void)arg;
	return rota_sleep(ROTA_MS(PAUSE_MS));
}

static int one_after_the_other(void)
{
	int rc = pause_a_while(NULL); /* a call: nothing of the next begins before it has returned */

	return rc < 0 ? rc : pause_a_while(NULL);
}

static int at_the_same_time(void)
{
	struct rota_scope scope;
	int closed, rc = rota_scope_open(&scope, 0);

	if (rc < 0)
		return rc;
	rc = rota_scope_spawn(&scope, NULL, pause_a_while, NULL);
	if (rc == 0)
		rc = rota_scope_spawn(&scope, NULL, pause_a_while, NULL);
	closed = rota_scope_close(&scope);
	return rc < 0 ? rc : closed;
}

static int timed(const char *how, int (*fn)(void))
{
	uint64_t start = rota_now();
	int rc = fn();

	if (rc == 0)
		printf("two waits of %d ms, %s: %" PRIu64 " ms\n", PAUSE_MS, how, (rota_now() - start) / ROTA_MS(1));
	return rc;
}

static int async_main(void *arg)
{
	int rc = with_one_value(dropped);

	(void)arg;
	rc = rc < 0 ? rc : with_one_value(checked);
	fflush(stdout);
	rc = rc < 0 ? rc : beside_ticker("blocks", block);
	rc = rc < 0 ? rc : beside_ticker("offloads", block_elsewhere);
	rc = rc < 0 ? rc : timed("called", one_after_the_other);
	return rc < 0 ? rc : timed("spawned", at_the_same_time);
}

int main(void)
{
	const struct rota_config config = { .workers = 1, .stall_report = ROTA_STALL_REPORT_BRIEF };
	rota_runtime *rt;
	int rc = rota_runtime_new(&rt, &config);

	if (rc == 0) {
		rc = rota_block_on(rt, async_main, NULL);
		rota_runtime_free(rt);
	}
	if (rc >= 0 && fflush(stdout) != 0)
		rc = -errno;
	if (rc < 0)
		fprintf(stderr, "mistakes: %s\n", strerror(-rc));
	return rc < 0 ? 1 : 0;
}
