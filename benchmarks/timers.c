/* SPDX-License-Identifier: MIT */
/*
 * Timers. start_cancel: started and cancelled at once, by a stackless task, with a deadline that is known (libuv counts from
 * the time that its loop has noted, too); now_start_cancel: the same with a deadline that is counted from now each time, so
 * that the clock is read. Then a million stackless tasks that each await a timer, with deadlines spread evenly over a
 * second: CPU time per task all told, from spawn to join, and how late they ran.
 */
#include <errno.h>
#include <stdlib.h>

#include "harness.h"
#include "measure.h"

enum { BATCH = 1000 };

static struct bench_param params[] = {
	{ "timers", 1000000, 10000, "timers that come due" },
	{ "lead-ms", 5000, 100, "from the first spawn to the first deadline: time to start them all" },
	{ "spread-ms", 1000, 100, "from the first deadline to the last" },
	{ NULL, 0, 0, NULL },
};

/* ---- started and cancelled ---- */

/* A future that starts BATCH timers, one after the other, and cancels each. */
struct canceller {
	struct rota_future future;
	struct rota_timer timer;
	unsigned left;
	uint64_t deadline; /* 0: counted from now, for each */
	bool cancelled;    /* the timer was, and is still to come to its end */
};

static rota_poll canceller_poll(struct rota_future *self, struct rota_context *cx)
{
	struct canceller *c = (struct canceller *)self; /* its first member */

	while (c->left > 0) {
		if (!c->cancelled) {
			rota_timer_init(&c->timer, c->deadline ? c->deadline : rota_now() + ROTA_SECONDS(3600));
			if (rota_future_poll(&c->timer.future, cx) == ROTA_READY) {
				c->future.status = -ETIME;
				return ROTA_READY;
			}
			rota_future_cancel(&c->timer.future);
			c->cancelled = true;
		}
		if (rota_future_poll(&c->timer.future, cx) == ROTA_PENDING)
			return ROTA_PENDING;
		c->cancelled = false;
		c->left--;
	}
	c->future.status = 0;
	return ROTA_READY;
}

static const struct rota_future_ops canceller_ops = { .poll = canceller_poll };

static int start_cancel_step(void *arg)
{
	struct canceller c = { .left = BATCH };
	bool *known = arg;

	if (*known)
		c.deadline = rota_now() + ROTA_SECONDS(3600);
	rota_future_init(&c.future, &canceller_ops);
	return rota_await(&c.future);
}

/* ---- coming due ---- */

/* A task that sleeps and notes how late it ran. */
struct sleeper {
	struct rota_future future;
	struct rota_timer timer;
	uint64_t deadline;
	uint64_t late;
	rota_task *task;
};

static rota_poll sleeper_poll(struct rota_future *self, struct rota_context *cx)
{
	struct sleeper *s = (struct sleeper *)self; /* its first member */

	if (rota_future_poll(&s->timer.future, cx) == ROTA_PENDING)
		return ROTA_PENDING;
	s->late = rota_now() - s->deadline;
	s->future.status = s->timer.future.status;
	return ROTA_READY;
}

static void sleeper_cancel(struct rota_future *self)
{
	rota_future_cancel(&((struct sleeper *)self)->timer.future);
}

static const struct rota_future_ops sleeper_ops = { .poll = sleeper_poll, .cancel = sleeper_cancel };

static int sleeper_start(struct sleeper *s, uint64_t deadline)
{
	s->deadline = deadline;
	rota_future_init(&s->future, &sleeper_ops);
	rota_timer_init(&s->timer, deadline);
	return rota_spawn_future(&s->task, &s->future);
}

static int start_sleepers(struct sleeper *sleepers, size_t count, size_t *started)
{
	uint64_t first = rota_now() + ROTA_MS(bench_param("lead-ms"));
	uint64_t spread = ROTA_MS(bench_param("spread-ms")), state = 1;
	int rc = 0;

	for (; *started < count && rc == 0; *started += rc == 0)
		rc = sleeper_start(&sleepers[*started], first + bench_random(&state) % spread);
	if (rota_now() > first)
		bench_note("not all timers were started in time: raise --lead-ms");
	return rc;
}

static int join_sleepers(struct sleeper *sleepers, size_t count, int rc)
{
	for (size_t i = 0; i < count; i++) {
		int status = 0, joined;

		if (rc < 0)
			rota_cancel(sleepers[i].task); /* cannot fail with a handle */
		joined = rota_join(sleepers[i].task, &status);
		joined = joined < 0 ? joined : status;
		rc = rc < 0 ? rc : joined;
	}
	return rc;
}

static int come_due(struct sleeper *sleepers, size_t count)
{
	struct bench_histogram *late;
	uint64_t cpu = bench_cpu_ns();
	size_t started = 0;
	int rc = start_sleepers(sleepers, count, &started);

	rc = join_sleepers(sleepers, started, rc);
	if (rc < 0)
		return rc;
	cpu = bench_cpu_ns() - cpu;
	late = calloc(1, sizeof(*late));
	if (!late)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++)
		bench_histogram_add(late, sleepers[i].late);
	bench_report("timer_cpu", (double)cpu / 1e3 / (double)count, "us");
	bench_report("timer_late_p50", (double)bench_histogram_quantile(late, 0.50) / 1e3, "us");
	bench_report("timer_late_p99", (double)bench_histogram_quantile(late, 0.99) / 1e3, "us");
	free(late);
	return 0;
}

static int inside(void *arg)
{
	size_t count = (size_t)bench_param("timers");
	struct sleeper *sleepers;
	bool known = true;
	int rc = bench_time_each("timer_start_cancel", start_cancel_step, &known, BATCH);

	(void)arg;
	known = false;
	if (rc == 0)
		rc = bench_time_each("timer_now_start_cancel", start_cancel_step, &known, BATCH);
	if (rc < 0)
		return rc;
	sleepers = calloc(count, sizeof(*sleepers));
	if (!sleepers)
		return -ENOMEM;
	rc = come_due(sleepers, count);
	free(sleepers);
	return rc;
}

static int round_of_timers(void)
{
	if (bench_param("timers") == 0 || bench_param("spread-ms") == 0)
		return -EINVAL;
	return bench_run(inside, NULL);
}

static const struct bench bench = {
	.name = "timers",
	.about = "timers: started and cancelled; a million that come due within a second",
	.round = round_of_timers,
	.params = params,
	.rounds = 3,
};

int main(int argc, char **argv)
{
	return bench_main(&bench, argc, argv);
}
