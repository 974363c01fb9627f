/* SPDX-License-Identifier: MIT */
/*
 * Three tasks that take 3 s, 1 s and 2 s, and are taken in the order in which they end: by a select over their handles,
 * and by a scope, which is the shorter way.
 *
 *   completion_order [--unit-ms N]     default 1000: what a second of theirs takes
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rota.h>

enum { TASKS = 3, DEFAULT_UNIT_MS = 1000, MAX_UNIT_MS = 100000 };

static const unsigned units[TASKS] = { 3, 1, 2 };

struct work {
	uint64_t start;
	uint64_t unit_ms;
	unsigned units;
};

static int sleep_for(void *arg)
{
	const struct work *work = arg;
	int rc = rota_sleep_until(work->start + ROTA_MS(work->unit_ms * work->units));

	return rc < 0 ? rc : (int)work->units;
}

static void prepare(struct work *work, uint64_t unit_ms)
{
	uint64_t start = rota_now();

	for (int i = 0; i < TASKS; i++)
		work[i] = (struct work){ start, unit_ms, units[i] };
}

static int tell(const char *how, int result, const struct work *work)
{
	printf("%s: the task of %" PRIu64 " ms after %" PRIu64 " ms\n", how, (uint64_t)result * work->unit_ms,
	       (rota_now() - work->start) / ROTA_MS(1));
	return fflush(stdout) != 0 ? -errno : 0;
}

/* --- select over handles ---------------------------------------------------------------------------------------------- */

/* The next of the handles to end. A select cancels the joins that lose, which leaves their handles as they were. */
static int next_to_end(rota_task **tasks, size_t n, size_t *ret_index)
{
	struct rota_join_op ops[TASKS];
	struct rota_future *futures[TASKS];

	for (size_t i = 0; i < n; i++) {
		rota_join_init(&ops[i], tasks[i]);
		futures[i] = &ops[i].future;
	}
	return rota_await_any(futures, n, ret_index);
}

/* They use the caller's stack: none may be left, even when the caller is cancelled. */
static void end_all(rota_task **tasks, size_t n)
{
	rota_shield_enter();
	for (size_t i = 0; i < n; i++) {
		rota_cancel(tasks[i]);
		rota_join(tasks[i], NULL);
	}
	rota_shield_leave();
}

static int by_select(uint64_t unit_ms)
{
	struct work work[TASKS];
	rota_task *tasks[TASKS];
	size_t which, left = 0;
	int status, rc = 0;

	prepare(work, unit_ms);
	while (left < TASKS && rc == 0) {
		rc = rota_spawn(&tasks[left], sleep_for, &work[left]);
		left += rc == 0;
	}
	while (left > 0 && rc == 0) {
		rc = next_to_end(tasks, left, &which);
		if (rc == 0)
			rc = rota_join(tasks[which], &status);
		if (rc < 0)
			break;
		tasks[which] = tasks[--left];
		rc = status < 0 ? status : 0;
		if (rc == 0)
			rc = tell("select", status, work);
	}
	end_all(tasks, left);
	return rc;
}

/* --- a scope as join set ------------------------------------------------------------------------------------------------ */

static int by_scope(uint64_t unit_ms)
{
	struct work work[TASKS];
	struct rota_scope scope;
	int status, closed, rc = rota_scope_open(&scope, 0);

	if (rc < 0)
		return rc;
	prepare(work, unit_ms);
	for (int i = 0; i < TASKS && rc == 0; i++)
		rc = rota_scope_spawn(&scope, NULL, sleep_for, &work[i]);
	if (rc < 0)
		rota_scope_cancel(&scope);
	while (rc == 0 && rota_scope_next(&scope, &status) == 0 && status >= 0)
		rc = tell("scope", status, work);
	closed = rota_scope_close(&scope); /* all are gone now, whatever happened */
	return rc < 0 ? rc : closed;
}

static int async_main(int argc, char **argv)
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
	rc = by_select(unit_ms);
	rc = rc < 0 ? rc : by_scope(unit_ms);
	if (rc >= 0 && fflush(stdout) != 0)
		rc = -errno;
	if (rc < 0)
		fprintf(stderr, "completion_order: %s\n", strerror(-rc));
	return rc < 0 ? 1 : 0;
}

int main(int argc, char **argv)
{
	return rota_run(async_main, argc, argv);
}
