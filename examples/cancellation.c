/* SPDX-License-Identifier: MIT */
/*
 * Stopping what waits: a task that is cancelled between its pauses and cleans up in peace; a scope that runs out of time
 * and takes its tasks with it; a single wait with a deadline.
 *
 *   cancellation [--unit-ms N]     default 100: what a pause takes
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rota.h>

enum { DEFAULT_UNIT_MS = 100, MAX_UNIT_MS = 100000 };

struct worker {
	const char *name;
	uint64_t unit_ns;
	int pauses; /* how many it would make */
};

/* "Cancelled" is an error like others: it comes back from every wait, now and later, until the task has ended. Only
 * behind a shield may the cleanup wait. */
static int work(void *arg)
{
	const struct worker *w = arg;
	int cleaned, rc = 0;

	for (int i = 0; i < w->pauses && rc == 0; i++)
		rc = rota_sleep(w->unit_ns);
	if (rc == 0) {
		printf("%s: done\n", w->name);
		return 0;
	}
	rota_shield_enter();
	cleaned = rota_sleep(w->unit_ns / 10);
	rota_shield_leave();
	printf("%s: %s, cleaned up: %s\n", w->name, strerror(-rc), cleaned == 0 ? "yes" : "no");
	return rc;
}

static int by_cancel(uint64_t unit_ns)
{
	struct worker endless = { "endless", unit_ns, 1000000 };
	rota_task *task;
	int status = 0, joined, rc = rota_spawn(&task, work, &endless);

	if (rc < 0)
		return rc;
	rc = rota_sleep(5 * unit_ns / 2);
	rota_cancel(task);   /* a request: it returns at once */
	rota_shield_enter(); /* the task uses this stack, so this wait is to end only when it has */
	joined = rota_join(task, &status);
	rota_shield_leave();
	if (rc == 0 && joined == 0)
		printf("cancelled: %s\n", strerror(-status));
	return rc < 0 ? rc : joined < 0 ? joined : status == -ECANCELED ? 0 : -EPROTO;
}

/* The time limit holds for everything that waits inside, also for calls that know nothing of it. */
static int by_timeout(uint64_t unit_ns)
{
	struct worker quick = { "quick", unit_ns, 1 }, slow = { "slow", unit_ns, 20 };
	struct rota_scope scope;
	int closed, rc = rota_scope_open(&scope, 7 * unit_ns / 2);

	if (rc < 0)
		return rc;
	rc = rota_scope_spawn(&scope, NULL, work, &quick);
	if (rc == 0)
		rc = rota_scope_spawn(&scope, NULL, work, &slow);
	closed = rota_scope_close(&scope); /* when it returns, both are gone */
	printf("scope: %s\n", strerror(-closed));
	return rc < 0 ? rc : closed == -ETIMEDOUT ? 0 : -EPROTO;
}

/* For one wait: a deadline, which costs no scope. */
static int by_deadline(uint64_t unit_ns)
{
	struct rota_channel empty;
	int value, rc = rota_channel_init(&empty, sizeof(value), 1);

	if (rc < 0)
		return rc;
	rc = rota_channel_recv_until(&empty, &value, rota_now() + unit_ns);
	printf("deadline: %s\n", strerror(-rc));
	rota_channel_deinit(&empty);
	return rc == -ETIMEDOUT ? 0 : -EPROTO;
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
	rc = by_cancel(ROTA_MS(unit_ms));
	rc = rc < 0 ? rc : by_timeout(ROTA_MS(unit_ms));
	rc = rc < 0 ? rc : by_deadline(ROTA_MS(unit_ms));
	if (rc >= 0 && fflush(stdout) != 0)
		rc = -errno;
	if (rc < 0)
		fprintf(stderr, "cancellation: %s\n", strerror(-rc));
	return rc < 0 ? 1 : 0;
}

int main(int argc, char **argv)
{
	return rota_run(async_main, argc, argv);
}
