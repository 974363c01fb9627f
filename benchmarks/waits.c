/* SPDX-License-Identifier: MIT */
/*
 * What it costs to wait in a structured way: for any and for all of two futures that are ready, in a scope of eight children
 * beside eight spawns that are joined one by one, under a timeout around something that completes at once, and the
 * yield of a stackless task.
 */
#include <errno.h>
#include <stdlib.h>

#include "harness.h"
#include "measure.h"

#define SCOPES 125u /* a step */
#define CHILDREN 8u
#define TURNS (SCOPES * CHILDREN)

static struct bench_param params[] = {
	{ NULL, 0, 0, NULL },
};

/* --- futures that are ready ---------------------------------------------------------------------------------------- */

static rota_poll ready_poll(struct rota_future *self, struct rota_context *cx)
{
	(void)self;
	(void)cx;
	return ROTA_READY;
}

static const struct rota_future_ops ready_ops = { .poll = ready_poll, .name = "ready" };

/* A future that a cancel ends, as every one of rota's. */
struct idle {
	struct rota_future future;
	int cancelled;
};

static rota_poll idle_poll(struct rota_future *self, struct rota_context *cx)
{
	(void)cx;
	self->status = ((struct idle *)(void *)self)->cancelled ? -ECANCELED : 0;
	return ROTA_READY;
}

static void idle_cancel(struct rota_future *self)
{
	((struct idle *)(void *)self)->cancelled = 1;
}

static const struct rota_future_ops idle_ops = { idle_poll, idle_cancel, "idle" };

static int any_step(void *arg)
{
	(void)arg;
	for (unsigned i = 0; i < TURNS; i++) {
		struct idle a = { .cancelled = 0 }, b = { .cancelled = 0 };
		struct rota_future *const futures[] = { &a.future, &b.future };
		size_t which;

		rota_future_init(&a.future, &idle_ops);
		rota_future_init(&b.future, &idle_ops);
		if (rota_await_any(futures, 2, &which) != 0)
			return -EPROTO;
	}
	return 0;
}

static int all_step(void *arg)
{
	(void)arg;
	for (unsigned i = 0; i < TURNS; i++) {
		struct rota_future a, b;
		struct rota_future *const futures[] = { &a, &b };

		rota_future_init(&a, &ready_ops);
		rota_future_init(&b, &ready_ops);
		if (rota_await_all(futures, 2) != 0)
			return -EPROTO;
	}
	return 0;
}

/* --- scopes ---------------------------------------------------------------------------------------------------------- */

static int child(void *arg)
{
	(void)arg;
	return 0;
}

static int scope_step(void *arg)
{
	int rc = 0;

	(void)arg;
	for (unsigned i = 0; i < SCOPES && rc == 0; i++) {
		struct rota_scope scope;

		rc = rota_scope_open(&scope, 0);
		if (rc < 0)
			return rc;
		for (unsigned k = 0; k < CHILDREN && rc == 0; k++)
			rc = rota_scope_spawn(&scope, NULL, child, NULL);
		rc = rota_scope_close(&scope);
	}
	return rc;
}

static int spawns_step(void *arg)
{
	rota_task *tasks[CHILDREN];
	int rc = 0;

	(void)arg;
	for (unsigned i = 0; i < SCOPES && rc == 0; i++) {
		unsigned spawned = 0;

		while (spawned < CHILDREN && rc == 0) {
			rc = rota_spawn(&tasks[spawned], child, NULL);
			spawned += rc == 0;
		}
		for (unsigned k = 0; k < spawned; k++) {
			int joined = rota_join(tasks[k], NULL);

			rc = rc < 0 ? rc : joined;
		}
	}
	return rc;
}

static int timeout_step(void *arg)
{
	int rc = 0;

	(void)arg;
	for (unsigned i = 0; i < TURNS && rc == 0; i++) {
		struct rota_future ready;
		struct rota_scope scope;

		rc = rota_scope_open(&scope, ROTA_SECONDS(10));
		if (rc < 0)
			return rc;
		rota_future_init(&ready, &ready_ops);
		rota_await(&ready);
		rc = rota_scope_close(&scope);
	}
	return rc;
}

static int bare_step(void *arg)
{
	(void)arg;
	for (unsigned i = 0; i < TURNS; i++) {
		struct rota_future ready;

		rota_future_init(&ready, &ready_ops);
		if (rota_await(&ready) != 0)
			return -EPROTO;
	}
	return 0;
}

/* --- a stackless task that yields -------------------------------------------------------------------------------------- */

struct yielder {
	struct rota_async async;
	unsigned i;
};

static rota_poll yielder_poll(struct rota_future *self, struct rota_context *cx)
{
	struct yielder *yielder = (struct yielder *)(void *)self;

	ROTA_ASYNC_BEGIN(yielder);
	for (yielder->i = 0; yielder->i < 100 * TURNS; yielder->i++)
		ROTA_YIELD(yielder, cx);
	ROTA_ASYNC_END(yielder);
}

static const struct rota_future_ops yielder_ops = ROTA_ASYNC_OPS(yielder_poll, "yielder");

static int yield_step(void *arg)
{
	struct yielder yielder;
	rota_task *task;
	int rc;

	(void)arg;
	rota_async_init(&yielder.async, &yielder_ops);
	rc = rota_spawn_future(&task, &yielder.async.future);
	return rc < 0 ? rc : rota_join(task, NULL);
}

/* --- the rows ---------------------------------------------------------------------------------------------------------- */

/* One has a goal that the other one is part of. */
static int measure_scope(void)
{
	static rota_fn *const steps[2] = { spawns_step, scope_step };
	double ns[2] = { 0, 0 };
	int rc = bench_time_both(steps, NULL, ns);

	if (rc < 0)
		return rc;
	bench_report("8_spawns_and_joins", ns[0] / SCOPES, "ns");
	bench_report("scope_of_8", ns[1] / SCOPES, "ns");
	return 0;
}

static int inside(void *arg)
{
	static const struct {
		const char *name;
		rota_fn *step;
		unsigned per_step;
	} rows[] = {
		{ "await_ready", bare_step, TURNS },
		{ "await_any_of_2_ready", any_step, TURNS },
		{ "await_all_of_2_ready", all_step, TURNS },
		{ "timeout_around_ready", timeout_step, TURNS },
		{ "stackless_yield", yield_step, 100 * TURNS },
	};
	int rc = 0;

	(void)arg;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]) && rc == 0; i++)
		rc = bench_time_each(rows[i].name, rows[i].step, NULL, rows[i].per_step);
	return rc < 0 ? rc : measure_scope();
}

static int round_of_waits(void)
{
	return bench_run(inside, NULL);
}

static const struct bench bench = {
	.name = "waits",
	.about = "select, scopes, timeouts, and the yield of a stackless task",
	.round = round_of_waits,
	.params = params,
	.round_ms = 200,
};

int main(int argc, char **argv)
{
	return bench_main(&bench, argc, argv);
}
