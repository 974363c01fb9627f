/* SPDX-License-Identifier: MIT */
/*
 * Waits as link-time optimisation sees them: variables that no address is taken of must be read anew after each, and what the
 * library knows of a thread must be the new thread's. A wait that takes too much for constant never ends here (the runner has
 * a limit), or ends with the wrong value. C11, compiled by lto.sh.
 */
#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>

#include <rota.h>

#define TURNS 2000
#define TASKS 8

/* Not volatile, not atomic, their addresses taken nowhere: on one thread that is right. */
static int turn, slept, noted, sent, left;

static int other(void *arg)
{
	struct rota_notify *n = (struct rota_notify *)arg;

	turn = 1;
	rota_yield();
	turn = 2;
	rota_yield();
	slept = 1;
	noted = 1;
	rota_notify_one(n);
	rota_yield();
	sent = 1;
	return 0;
}

/* Each value is stored by the other task while this one waits. */
static int waits(void *arg)
{
	struct rota_notify n = ROTA_NOTIFY_INIT;
	rota_task *task;
	int seen = 0, status = -1, rc;

	(void)arg;
	if (turn != 0 || slept != 0 || noted != 0 || sent != 0)
		return -EINVAL;
	rc = rota_spawn(&task, other, &n);
	if (rc < 0)
		return rc;
	while (turn == 0)
		rota_yield();
	seen += turn >= 1;
	while (turn == 1)
		rota_yield();
	seen += turn == 2;
	while (slept == 0)
		rota_sleep(ROTA_US(10));
	seen += slept;
	rc = rota_notify_wait(&n);
	seen += noted;
	if (rc == 0)
		rc = rota_join(task, &status);
	seen += sent;
	if (rc < 0)
		return rc;
	return status == 0 && seen == 5 ? 0 : -EBADMSG;
}

/* Two calls that fail, each in its own way, on whichever thread the task is by then. */
static int fails(void *arg)
{
	struct rota_mutex *m = (struct rota_mutex *)arg;

	for (int i = 0; i < TURNS; i++) {
		if (rota_unix_listen("/nowhere/at/all", SOCK_STREAM, 1) != -ENOENT)
			return -EBADMSG;
		rota_yield();
		if (rota_tcp_listen("192.0.2.1", "0", 1) != -EADDRNOTAVAIL)
			return -EBADMSG;
		rota_mutex_lock(m);
		left++;
		if (i % 16 == 0)
			rota_sleep(ROTA_US(1));
		else
			rota_yield();
		left--;
		rota_mutex_unlock(m);
	}
	return 0;
}

static int fail_together(void *arg)
{
	struct rota_mutex m = ROTA_MUTEX_INIT;
	struct rota_scope scope;
	int rc = rota_scope_open(&scope, 0);

	(void)arg;
	for (int i = 0; i < TASKS && rc == 0; i++)
		rc = rota_scope_spawn(&scope, NULL, fails, &m);
	if (rc == 0)
		rc = rota_scope_close(&scope);
	return rc == 0 && left != 0 ? -EBADMSG : rc;
}

static int run(const char *name, enum rota_flavor flavor, rota_fn *fn)
{
	const struct rota_config config = { .workers = flavor == ROTA_FLAVOR_MULTI_THREAD ? 2 : 0, .flavor = flavor };
	rota_runtime *rt;
	int rc = rota_runtime_new(&rt, &config);

	if (rc == 0) {
		rc = rota_block_on(rt, fn, NULL);
		rota_runtime_shutdown(rt, ROTA_SECONDS(10));
		rota_runtime_free(rt);
	}
	if (rc < 0)
		fprintf(stderr, "%s: %d\n", name, rc);
	return rc;
}

int main(void)
{
	int rc = run("one thread", ROTA_FLAVOR_CURRENT_THREAD, waits);

	if (rc == 0)
		rc = run("two workers", ROTA_FLAVOR_MULTI_THREAD, fail_together);
	return rc != 0;
}
