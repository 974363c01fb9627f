/* SPDX-License-Identifier: MIT */
#include "spare_internal.h"

#include <stdio.h>
#include <string.h>

#include "log_internal.h"
#include "runtime_internal.h"
#include "sys_internal.h"
#include "turns_internal.h"

#define RETRY_NS 1000000000u

void rota__spares_init(rota_runtime *rt)
{
	pthread_mutex_init(&rt->spares.lock, NULL);
}

void rota__spares_deinit(rota_runtime *rt)
{
	pthread_mutex_destroy(&rt->spares.lock);
}

static bool stopping(const rota_runtime *rt)
{
	return rota__load(&rt->stopping, RELAXED) != 0; /* set before the wake that ends a park */
}

static bool on_duty(const struct rota__worker *worker)
{
	return rota__load(&worker->on_duty, RELAXED) != 0; /* the same */
}

static bool on_duty_no_more(void *arg)
{
	const struct rota__worker *worker = arg;

	return !on_duty(worker) || stopping(worker->rt);
}

static bool on_stand_by_no_more(void *arg)
{
	const struct rota__worker *worker = arg;

	return on_duty(worker) || stopping(worker->rt);
}

/* What a spare needs that may not be there. */
static int set_up(struct rota__worker *worker)
{
	rota_runtime *rt = worker->rt;
	int rc = rota__stack_pool_add_cache(&rt->stacks);

	if (rc < 0)
		return rc;
	rc = rt->driver->worker_start(worker, false);
	if (rc < 0)
		rota__stack_pool_drop_cache(&rt->stacks);
	return rc;
}

static void *spare_main(void *arg)
{
	struct rota__worker *worker = arg;
	rota_runtime *rt = worker->rt;
	int rc = set_up(worker);

	if (rc < 0) {
		rota__store(&rt->spares.error, (uint32_t)-rc, RELEASE); /* partner: reap_failure */
		return NULL;
	}
	rota__turns_join();
	rota__worker_enter(worker);
	rota__store(&rt->spares.ready, worker->index - rt->worker_count + 1, SEQ_CST);
	rota__fence(SEQ_CST); /* partner: workers_stop, which sets `stopping` before it reads `ready` */
	while (!stopping(rt)) {
		rota__worker_run(worker, on_duty_no_more, worker, ROTA_NEVER);
		rota__worker_deinit(worker); /* its caches: nothing is made here for a while */
		rota__worker_stand_by(worker, on_stand_by_no_more, worker);
	}
	rota__worker_leave(worker);
	rt->driver->worker_leave(worker);
	return NULL;
}

/* The launch that is under way has failed: its place is free again. */
static void reap_failure(rota_runtime *rt, uint64_t now)
{
	struct rota__spares *spares = &rt->spares;
	uint32_t error = rota__load(&spares->error, ACQUIRE); /* partner: spare_main */

	if (error == 0)
		return;
	rota__store(&spares->error, 0, RELAXED);
	pthread_mutex_lock(&spares->lock);
	if (!spares->closed) { /* else the stopper joins it */
		struct rota__worker *worker = &rt->workers[rt->worker_count + spares->launched - 1];

		pthread_join(worker->thread, NULL);
		worker->has_thread = false;
		spares->launched--;
		rota__count(&spares->on_duty, -1u);
	}
	pthread_mutex_unlock(&spares->lock);
	spares->retry_at = now + RETRY_NS;
	rota__log("no spare worker while all are stuck: %s", strerror((int)error));
}

/* Before it comes: whoever is served by it finds it counted. */
static void count_call(struct rota__spares *spares)
{
	rota__count(&spares->on_duty, 1);
	rota__count(&spares->calls, 1);
}

static void count_no_call(struct rota__spares *spares)
{
	rota__count(&spares->on_duty, -1u);
	rota__count(&spares->calls, UINT64_MAX);
}

static void launch(rota_runtime *rt, uint64_t now)
{
	struct rota__spares *spares = &rt->spares;
	struct rota__worker *worker;
	char name[32];
	int rc = -1;

	pthread_mutex_lock(&spares->lock);
	if (!spares->closed) {
		worker = &rt->workers[rt->worker_count + spares->launched];
		rota__worker_init(worker, rt, rt->worker_count + spares->launched);
		rota__store(&worker->on_duty, 1, RELAXED); /* the new thread sees it */
		snprintf(name, sizeof(name), "rota-spare-%u", spares->launched);
		count_call(spares);
		rc = rota__sys_thread(&worker->thread, name, spare_main, worker);
		if (rc == 0) {
			worker->has_thread = true;
			spares->launched++;
		} else {
			count_no_call(spares);
		}
	}
	pthread_mutex_unlock(&spares->lock);
	if (rc < 0)
		spares->retry_at = now + RETRY_NS;
}

static bool recall(rota_runtime *rt)
{
	const unsigned total = rota__worker_total(rt);

	for (unsigned i = rt->worker_count; i < total; i++) {
		struct rota__worker *worker = &rt->workers[i];

		/* One that is stuck itself would be no help. */
		if (on_duty(worker) || !rota__load(&worker->asleep, RELAXED))
			continue;
		count_call(&rt->spares);
		rota__store(&worker->on_duty, 1, RELAXED); /* the wake publishes it */
		rt->driver->wake(worker);
		return true;
	}
	return false;
}

void rota__spares_call(rota_runtime *rt, unsigned most, uint64_t now)
{
	struct rota__spares *spares = &rt->spares;

	reap_failure(rt, now);
	if (rota__load(&spares->on_duty, RELAXED) >= most)
		return;
	if (recall(rt) || rota__load(&spares->ready, RELAXED) < spares->launched)
		return; /* one comes, or is about to */
	if (rt->worker_count + spares->launched < rt->worker_places && now >= spares->retry_at)
		launch(rt, now);
}

void rota__spares_dismiss(rota_runtime *rt)
{
	const unsigned total = rota__worker_total(rt);

	for (unsigned i = rt->worker_count; i < total; i++) {
		struct rota__worker *worker = &rt->workers[i];

		if (!on_duty(worker))
			continue;
		rota__store(&worker->on_duty, 0, RELAXED); /* the wake publishes it */
		rt->driver->wake(worker);
		rota__count(&rt->spares.on_duty, -1u);
	}
}

bool rota__spare_serves(const struct rota__worker *worker)
{
	return !worker->spare || on_duty(worker);
}

void rota__spares_close(rota_runtime *rt)
{
	pthread_mutex_lock(&rt->spares.lock);
	rt->spares.closed = true;
	pthread_mutex_unlock(&rt->spares.lock);
}
