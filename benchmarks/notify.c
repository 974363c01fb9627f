/* SPDX-License-Identifier: MIT */
/* Notifications: one that is kept and taken, a round trip between two tasks, one to all of several or of many, and each
 * to one of these (with tokio's sync_notify). */
#include <errno.h>
#include <stdatomic.h>

#include "crowd.h"
#include "harness.h"
#include "measure.h"

static struct bench_param params[] = {
	{ "waiters", 8, 8, "tasks that all are notified, at most 1,000" },
	{ "turns", 1000, 100, "notifications at a time" },
	{ NULL, 0, 0, NULL },
};

struct works {
	struct rota_notify there, back;
	_Atomic uint64_t heard;
	const char *name;
	uint64_t turns;
	size_t waiters;
};

static int keep_and_take(void *arg)
{
	struct works *works = arg;
	const uint64_t turns = works->turns; /* beside what all of them write */
	int rc = 0;

	for (uint64_t i = 0; i < turns && rc == 0; i++) {
		rota_notify_one(&works->there);
		rc = rota_notify_wait(&works->there);
	}
	return rc;
}

static int answer(void *arg)
{
	struct works *works = arg;
	const uint64_t turns = works->turns; /* beside what all of them write */
	int rc = 0;

	for (uint64_t i = 0; i < turns && rc == 0; i++) {
		rc = rota_notify_wait(&works->there);
		rota_notify_one(&works->back);
	}
	return rc;
}

static int ask(void *arg)
{
	struct works *works = arg;
	const uint64_t turns = works->turns; /* beside what all of them write */
	int rc = 0;

	for (uint64_t i = 0; i < turns && rc == 0; i++) {
		rota_notify_one(&works->there);
		rc = rota_notify_wait(&works->back);
	}
	return rc;
}

static int round_trip_step(void *arg)
{
	return crowd_run(1, answer, ask, arg);
}

/* Counts each notification until it is cancelled. */
static int hear(void *arg)
{
	struct works *works = arg;
	int rc = 0;

	while (rc == 0) {
		rc = rota_notify_wait(&works->there);
		if (rc == 0)
			atomic_fetch_add(&works->heard, 1);
	}
	return rc == -ECANCELED ? 0 : rc;
}

/* Until the waiters were woken so often, together. */
static int tell(struct works *works, uint64_t wanted, void (*notify)(struct rota_notify *n))
{
	int rc = 0;

	while (atomic_load(&works->heard) < wanted && rc == 0) {
		notify(&works->there);
		rc = rota_yield();
	}
	return rc < 0 ? rc : -EINTR; /* the waiters are to be cancelled */
}

static int tell_all(void *arg)
{
	struct works *works = arg;

	return tell(works, works->turns * works->waiters, rota_notify_all);
}

static int tell_one(void *arg)
{
	struct works *works = arg;

	return tell(works, works->turns, rota_notify_one);
}

static int tell_step(struct works *works, rota_fn *tell_them)
{
	int rc;

	atomic_store(&works->heard, 0);
	rc = crowd_run(works->waiters, hear, tell_them, works);
	return rc == -EINTR ? 0 : rc;
}

static int all_step(void *arg)
{
	return tell_step(arg, tell_all);
}

static int one_step(void *arg)
{
	return tell_step(arg, tell_one);
}

/* ---- many waiters: so many are spawned once, before the time is taken ---- */

/* What is heard too much counts for the next step. */
static int tell_many(struct works *works, void (*notify)(struct rota_notify *n))
{
	int rc = tell(works, works->turns, notify);

	atomic_fetch_sub(&works->heard, works->turns);
	return rc == -EINTR ? 0 : rc;
}

static int all_of_many_step(void *arg)
{
	return tell_many(arg, rota_notify_all);
}

static int one_of_many_step(void *arg)
{
	return tell_many(arg, rota_notify_one);
}

static int measure_all_of_many(void *arg)
{
	struct works *works = arg;
	int rc = bench_time_each(works->name, all_of_many_step, works, works->turns);

	return rc < 0 ? rc : -EINTR;
}

static int measure_one_of_many(void *arg)
{
	struct works *works = arg;
	int rc = bench_time_each(works->name, one_of_many_step, works, works->turns);

	return rc < 0 ? rc : -EINTR;
}

static int measure_many(const struct works *works)
{
	static const struct {
		const char *name;
		size_t waiters;
		rota_fn *measure;
	} rows[] = {
		{ "notify_all_100", 100, measure_all_of_many },
		{ "notify_all_500", 500, measure_all_of_many },
		{ "notify_one_of_100", 100, measure_one_of_many },
		{ "notify_one_of_500", 500, measure_one_of_many },
	};
	int rc = 0;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]) && rc == 0; i++) {
		struct works many = {
			.there = ROTA_NOTIFY_INIT,
			.name = rows[i].name,
			.turns = works->turns,
			.waiters = rows[i].waiters,
		};

		rc = tell_step(&many, rows[i].measure);
	}
	return rc;
}

static int inside(void *arg)
{
	struct works *works = arg;
	int rc = bench_time_each("notify_kept", keep_and_take, works, works->turns);

	if (rc == 0)
		rc = bench_time_each("notify_round_trip", round_trip_step, works, works->turns);
	if (rc < 0 || bench_plain()) /* those below are cancelled in the end, which threads are not */
		return rc;
	rc = bench_time_each("notify_all", all_step, works, works->turns * works->waiters);
	if (rc == 0)
		rc = bench_time_each("notify_one_of_many", one_step, works, works->turns);
	return rc < 0 ? rc : measure_many(works);
}

static int round_of_notify(void)
{
	struct works works = {
		.there = ROTA_NOTIFY_INIT,
		.back = ROTA_NOTIFY_INIT,
		.turns = bench_param("turns"),
		.waiters = (size_t)bench_param("waiters"),
	};

	if (works.waiters == 0 || works.waiters > CROWD_MAX || works.turns == 0)
		return -EINVAL;
	return bench_run(inside, &works);
}

static const struct bench bench = {
	.name = "notify",
	.about = "a notification that is kept and taken, a round trip of two, and one to all of 8, 100, 500, per "
		 "waiter, and each to one of these",
	.round = round_of_notify,
	.params = params,
	.plain = true,
};

int main(int argc, char **argv)
{
	return bench_main(&bench, argc, argv);
}
