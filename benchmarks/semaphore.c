/* SPDX-License-Identifier: MIT */
/*
 * A semaphore: taken and given back by one task, by as many as there are permits, and by many that want more than there
 * are. And as tokio's sync_semaphore does it: once by each of 6 tasks or futures, from 10 permits and from 5.
 */
#include <errno.h>

#include "crowd.h"
#include "harness.h"
#include "measure.h"

enum { PERMITS = 5, PLENTY = 10, TAKERS = 6 };

static struct bench_param params[] = {
	{ "tasks", 64, 64, "tasks that share the permits, at most 1,000" },
	{ "turns", 1000, 100, "times that each of them takes one, at a time" },
	{ NULL, 0, 0, NULL },
};

struct works {
	struct rota_semaphore semaphore, plenty;
	uint64_t turns;
	size_t tasks;
};

static int take_turns(void *arg)
{
	struct works *works = arg;
	const uint64_t turns = works->turns; /* beside what all of them write */
	int rc = 0;

	for (uint64_t i = 0; i < turns && rc == 0; i++) {
		rc = rota_semaphore_acquire(&works->semaphore, 1);
		if (rc == 0)
			rc = rota_semaphore_release(&works->semaphore, 1);
	}
	return rc;
}

/* Each stays inside for a turn of the others, so that the permits are used up. */
static int take_turns_and_yield(void *arg)
{
	struct works *works = arg;
	const uint64_t turns = works->turns; /* beside what all of them write */
	int rc = 0;

	for (uint64_t i = 0; i < turns && rc == 0; i++) {
		rc = rota_semaphore_acquire(&works->semaphore, 1);
		if (rc == 0)
			rc = rota_yield();
		if (rc == 0)
			rc = rota_semaphore_release(&works->semaphore, 1);
	}
	return rc;
}

static int shared_step(void *arg)
{
	return crowd_run(PERMITS, take_turns, NULL, arg);
}

static int contended_step(void *arg)
{
	struct works *works = arg;

	return crowd_run(works->tasks, take_turns_and_yield, NULL, works);
}

/* ---- a few tasks are spawned that take a permit once ---- */

static int take_once(void *arg)
{
	struct rota_semaphore *semaphore = arg;
	int rc = rota_semaphore_acquire(semaphore, 1);

	return rc < 0 ? rc : rota_semaphore_release(semaphore, 1);
}

static int spawned_step(void *arg)
{
	return crowd_run(TAKERS, take_once, NULL, arg);
}

/* ---- a few futures of one task that take a permit once ---- */

struct taker {
	struct rota_async async;
	struct rota_semaphore_op op;
	struct rota_semaphore *semaphore;
};

static rota_poll taker_poll(struct rota_future *self, struct rota_context *cx)
{
	struct taker *taker = (struct taker *)(void *)self;

	ROTA_ASYNC_BEGIN(taker);
	rota_semaphore_acquire_init(&taker->op, taker->semaphore, 1);
	ROTA_AWAIT(taker, cx, &taker->op.future);
	if (taker->op.future.status < 0)
		ROTA_ASYNC_RETURN(taker, taker->op.future.status);
	ROTA_ASYNC_RETURN(taker, rota_semaphore_release(taker->semaphore, 1));
	ROTA_ASYNC_END(taker);
}

static const struct rota_future_ops taker_ops = ROTA_ASYNC_OPS(taker_poll, "taker");

static int joined_step(void *arg)
{
	struct taker takers[TAKERS];
	struct rota_future *futures[TAKERS];

	for (size_t i = 0; i < TAKERS; i++) {
		rota_async_init(&takers[i].async, &taker_ops);
		takers[i].semaphore = arg;
		futures[i] = &takers[i].async.future;
	}
	return rota_await_all(futures, TAKERS);
}

static int measure_few(struct works *works)
{
	int rc = bench_time_each("semaphore_spawned", spawned_step, &works->plenty, TAKERS);

	if (rc == 0)
		rc = bench_time_each("semaphore_spawned_5", spawned_step, &works->semaphore, TAKERS);
	if (rc < 0 || bench_plain()) /* futures are awaited by tasks */
		return rc;
	rc = bench_time_each("semaphore_joined", joined_step, &works->plenty, TAKERS);
	return rc < 0 ? rc : bench_time_each("semaphore_joined_5", joined_step, &works->semaphore, TAKERS);
}

static int inside(void *arg)
{
	struct works *works = arg;
	int rc = bench_time_each("semaphore_uncontended", take_turns, works, works->turns);

	if (rc == 0)
		rc = bench_time_each("semaphore_shared", shared_step, works, PERMITS * works->turns);
	if (rc == 0)
		rc = bench_time_each("semaphore_contended", contended_step, works, works->tasks * works->turns);
	return rc < 0 ? rc : measure_few(works);
}

static int round_of_semaphore(void)
{
	struct works works = {
		.semaphore = ROTA_SEMAPHORE_INIT(PERMITS),
		.plenty = ROTA_SEMAPHORE_INIT(PLENTY),
		.turns = bench_param("turns"),
		.tasks = (size_t)bench_param("tasks"),
	};

	if (works.tasks == 0 || works.tasks > CROWD_MAX || works.turns == 0)
		return -EINVAL;
	return bench_run(inside, &works);
}

static const struct bench bench = {
	.name = "semaphore",
	.about = "a semaphore of 5 permits, by one task, by 5, and by 64 that yield inside; once by 6 tasks or "
		 "futures; per acquire "
		 "and release",
	.round = round_of_semaphore,
	.params = params,
	.plain = true,
};

int main(int argc, char **argv)
{
	return bench_main(&bench, argc, argv);
}
