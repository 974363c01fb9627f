/* SPDX-License-Identifier: MIT */
/*
 * Going to sleep in the ring, and what is learned on the way: how long tasks take, and that two workers should be one.
 *
 * Gathering. Two workers that play ping-pong across two CPUs spend their time waking each other: 5 to 35 us for a task of 1
 * us. Operations complete where they were submitted, so nothing would ever bring the two tasks together. Therefore each
 * worker counts wakes that found less work than the wake costs, and one that has seen many in a row hands what it woke
 * up for to another of the same kind, of lower index, that is asleep. The tasks then submit there. When there is too
 * much work for one, rota__worker_worth spreads it again.
 */
#include "worker_parts_internal.h"

#include "cost_internal.h"
#include "runtime_internal.h"
#include "sys_internal.h"

#define POLL_TARGET_NS 100000u /* what the tasks between two polls should take at most (ROTA__POLL_INTERVAL) */
#define LOOK_TARGET_NS 10000u  /* the same for a look at the mail and the injection queue: no call of the kernel */
#define TRIAL_RUNS 8u
#define SPARSE_WAKES 16u /* so many wakes in a row for next to nothing: two such workers become one */

/* So many tasks take about `target`, but not more than fit between two polls. */
static unsigned tasks_in(uint64_t target, uint64_t mean)
{
	return mean * ROTA__POLL_INTERVAL <= target ? ROTA__POLL_INTERVAL : (unsigned)(target / mean) + 1;
}

/*
 * Tasks are on trial that a thief leaves together: whether they take less now. What they took before, and until the trial
 * began, is of no account. (`mean` is what decides, see keeps in worker_queue.c.)
 */
static void follow_trial(struct rota__worker *worker, uint64_t runs, uint64_t mean, uint64_t sample)
{
	const uint64_t until = rota__load(&worker->keeps_until, RELAXED);

	if (worker->on_trial)
		rota__store(&worker->mean, rota__sample_limited(mean, sample), RELAXED);
	worker->on_trial = worker->keeps_seen != until;
	worker->keeps_seen = until;
	if (worker->on_trial)
		rota__worker_poll_after(worker, runs, TRIAL_RUNS);
}

void rota__worker_account(struct rota__worker *worker, uint64_t now)
{
	const uint64_t runs = rota__load(&worker->runs, RELAXED);
	const uint64_t since = runs - worker->polled_runs;
	const uint64_t mean_before = rota__load(&worker->mean, RELAXED);
	uint64_t mean, sample = 0;

	if (since > 0) {
		sample = (now - worker->polled_at) / since;
		rota__store(&worker->mean, rota__moving_mean(mean_before, sample), RELAXED);
		if (worker->fresh_runs > 0)
			rota__store(&worker->fresh_mean,
				    rota__moving_mean(rota__load(&worker->fresh_mean, RELAXED), sample), RELAXED);
		if (rota__deque_length(&worker->deque) == 0)
			rota__store(&worker->fresh, 0, RELAXED); /* what was stolen is gone, too */
	}
	mean = rota__load(&worker->mean, RELAXED);
	worker->shares_next = worker->has_sequences && mean < ROTA__STEAL_COST_NS ? 0 : ROTA__NEXT_SHARED;
	worker->poll_at = runs + tasks_in(POLL_TARGET_NS, mean);
	worker->look_every = tasks_in(LOOK_TARGET_NS, mean);
	worker->look_at = runs + worker->look_every;
	if (since > 0 && (worker->on_trial || worker->keeps_seen != rota__load(&worker->keeps_until, RELAXED)))
		follow_trial(worker, runs, mean_before, sample);
	rota__worker_disturb(worker);
	worker->polled_runs = runs;
	worker->fresh_runs = 0;
	worker->polled_at = now;
}

static void count_sparse(struct rota__worker *worker, uint64_t now)
{
	uint32_t sparse = rota__load(&worker->sparse, RELAXED);

	if (rota__load(&worker->runs, RELAXED) == worker->woke_runs)
		return; /* woken for nothing at all */
	if (now - worker->woke_at >= ROTA__PEER_COST_NS)
		sparse = 0;
	else if (sparse < SPARSE_WAKES)
		sparse++;
	rota__store(&worker->sparse, sparse, RELAXED); /* a hint for the others */
}

static bool is_sparse(const struct rota__worker *worker)
{
	return rota__load(&worker->sparse, RELAXED) >= SPARSE_WAKES;
}

static void gather(struct rota__worker *worker)
{
	rota_runtime *rt = worker->rt;
	struct rota__worker *host = NULL;
	rota_task *task;

	for (unsigned i = 0; i < worker->index && i < rt->worker_count && host == NULL; i++) {
		if (is_sparse(&rt->workers[i]) && rota__load(&rt->workers[i].asleep, RELAXED))
			host = &rt->workers[i];
	}
	if (host == NULL)
		return;
	while ((task = rota__deque_pop(&worker->deque)) != NULL)
		rota__worker_send_mail(host, task);
}

/* After a park, or what is like one. */
static void arise(struct rota__worker *worker)
{
	uint64_t now = rota__sys_clock();

	worker->polled_at = now;
	worker->woke_at = now;
	worker->woke_runs = rota__load(&worker->runs, RELAXED);
	rota__wheel_expire(&worker->wheel, now);
}

/* What the worker keeps for itself goes, too, when it has nothing to do. Once it is seen to be asleep. */
static void follow_trims(struct rota__worker *worker)
{
	const uint32_t trims = rota__load(&worker->rt->trims, RELAXED);

	if (__builtin_expect(worker->trims == trims, 1))
		return;
	worker->trims = trims;
	rota__worker_deinit(worker);
	rota__runtime_trim_pools(worker->rt);
}

/* To who counts sparse wakes it is one: what the kernel takes is not work that the last one has found. */
void rota__worker_submit(struct rota__worker *worker)
{
	const uint64_t now = rota__sys_clock();

	rota__worker_account(worker, now);
	count_sparse(worker, now);
	rota__count(&worker->operations, worker->rt->driver->turn(worker, 0));
	rota__store(&worker->submits, rota__load(&worker->submits, RELAXED) + 1, RELAXED); /* a hint for thieves */
	arise(worker);
	rota__worker_take_mail(worker);
}

void rota__worker_park(struct rota__worker *worker, uint64_t deadline)
{
	rota_runtime *rt = worker->rt;
	uint64_t now = rota__sys_clock();
	uint64_t timeout = 0;

	rota__worker_account(worker, now);
	count_sparse(worker, now);
	if (worker->searching) {
		worker->searching = false;
		rota__idle_stop_search(&rt->idle);
	}
	rota__store(&worker->asleep, 1, RELAXED); /* the fence in idle_sleep orders it */
	rota__idle_sleep(&rt->idle, worker->index);
	follow_trims(worker);
	if (!rota__load(&rt->stopping, RELAXED) && !rota__worker_work_visible(worker)) {
		timeout = rota__wheel_wait(&worker->wheel, now, deadline);
		rota__count(&worker->parks, 1);
	}
	rota__count(&worker->operations, rt->driver->turn(worker, timeout));
	rota__store(&worker->asleep, 0, RELAXED);
	worker->fork_refused = false;
	rota__monitor_rouse(rt);
	if (rota__idle_awake(&rt->idle, worker->index))
		worker->searching = true;
	arise(worker);
	if (is_sparse(worker))
		gather(worker);
	rota__worker_take_mail(worker);
}

void rota__worker_park_aside(struct rota__worker *worker)
{
	rota_runtime *rt = worker->rt;
	uint64_t now = rota__sys_clock();
	uint64_t timeout = 0;

	rota__worker_account(worker, now);
	rota__store(&worker->asleep, 1, RELAXED);
	rota__fence(SEQ_CST); /* partners: those in rota__worker_send_mail and rota_runtime_trim */
	follow_trims(worker);
	if (rota__load(&worker->mail, RELAXED) == NULL) {
		timeout = rota__wheel_wait(&worker->wheel, now, ROTA_NEVER);
		rota__count(&worker->parks, 1);
	}
	rota__count(&worker->operations, rt->driver->turn(worker, timeout));
	rota__store(&worker->asleep, 0, RELAXED);
	rota__monitor_rouse(rt);
	arise(worker);
	rota__worker_take_mail(worker);
}
