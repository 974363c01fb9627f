/* SPDX-License-Identifier: MIT */
/*
 * The same program with worker threads and without. The flavour is named by the configuration, or, where that does not
 * choose, by the environment: ROTA_FLAVOR=current_thread flavors.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <rota.h>

enum { TASKS = 8 };

static atomic_uint on_main_thread;

static int where(void *arg)
{
	int rc = rota_yield();

	(void)arg;
	atomic_fetch_add(&on_main_thread, gettid() == getpid());
	return rc;
}

static int spawn_all(void *arg)
{
	struct rota_scope scope;
	int closed, rc = rota_scope_open(&scope, 0);

	if (rc < 0)
		return rc;
	for (int i = 0; i < TASKS && rc == 0; i++)
		rc = rota_scope_spawn(&scope, NULL, where, arg);
	closed = rota_scope_close(&scope);
	return rc < 0 ? rc : closed;
}

static int run(const char *who, const struct rota_config *config)
{
	struct rota_metrics metrics;
	rota_runtime *rt;
	int rc = rota_runtime_new(&rt, config);

	if (rc < 0)
		return rc;
	atomic_store(&on_main_thread, 0);
	rc = rota_block_on(rt, spawn_all, NULL);
	rota_runtime_metrics(rt, &metrics);
	rota_runtime_free(rt);
	if (rc == 0)
		printf("%s: %d tasks, %u of them on the main thread, %u workers\n", who, TASKS,
		       atomic_load(&on_main_thread), metrics.workers);
	return rc;
}

int main(void)
{
	const struct rota_config current_thread = { .flavor = ROTA_FLAVOR_CURRENT_THREAD };
	const char *flavor = getenv("ROTA_FLAVOR");
	int rc = run("configured as current_thread", &current_thread);

	if (rc == 0) {
		printf("ROTA_FLAVOR is %s\n", flavor != NULL ? flavor : "not set");
		rc = run("as the environment says", NULL);
	}
	if (rc >= 0 && fflush(stdout) != 0)
		rc = -errno;
	if (rc < 0)
		fprintf(stderr, "flavors: %s\n", strerror(-rc));
	return rc < 0 ? 1 : 0;
}
