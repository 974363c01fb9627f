/* SPDX-License-Identifier: MIT */
/* What a worker without tasks looks at: the injection queue, others' queues, frames. idle_internal.h has the protocol. */
#include "worker_parts_internal.h"

#include "cost_internal.h"
#include "runtime_internal.h"
#include "sys_internal.h"

#define INJECTED_MAX 128u /* tasks that are taken from the injection queue at a time */
#define LOOT_RUNS 4u      /* a stolen task that has run so often has paid for its way */
#define KEEP_RUNS 256u    /* one that has not: so many runs before it is tried again */
#define WEIGH_RUNS 8u     /* after so many runs of thief and victim each it is seen whether they do more than one did */
#define WEIGH_MAX_NS 32000u /* tasks that take longer are not left where they were */
#define APART_NS 10000000u  /* what gains nothing by being shared stays together for so long before it is tried again */

rota_task *rota__worker_take_injected(struct rota__worker *worker)
{
	struct rota__inject *inject = &worker->rt->inject;
	unsigned share = rota__inject_length(inject) / worker->rt->worker_count + 1;
	unsigned room = rota__deque_room(&worker->deque);
	rota_task *task;

	if (share > INJECTED_MAX)
		share = INJECTED_MAX;
	/* One more than there is room for: it runs at once. */
	task = rota__inject_pop(inject, share < room + 1 ? share : room + 1);
	if (task != NULL)
		rota__worker_push_list(worker, task->queue_next);
	return task;
}

/* For so many runs of the victim's, while these take less than `below` ns. */
static void leave_together(struct rota__worker *from, uint64_t runs, uint32_t below)
{
	rota__store(&from->keeps_below, below, RELAXED);
	rota__store(&from->keeps_until, rota__load(&from->runs, RELAXED) + runs, RELAXED);
}

/*
 * What was stolen last is gone. Tasks that were short, and have run about once since, were woken again where they came from, as
 * when one task wakes a crowd again and again: to fetch them each time costs more than they take. So there they stay for a
 * while, after which it is tried again, since by then they may be such as stay where they are brought.
 */
static void judge(struct rota__worker *worker)
{
	struct rota__loot *const loot = &worker->loot;
	struct rota__worker *const from = loot->from;
	const uint64_t ran = rota__load(&worker->runs, RELAXED) - loot->runs;
	const uint64_t finished = rota__load(&worker->finished, RELAXED) - loot->finished;

	loot->from = NULL;
	if (finished > ran / 2)
		return; /* new tasks, which have ended: they were not woken elsewhere */
	if (ran < (uint64_t)loot->tasks * LOOT_RUNS && rota__sys_clock() - loot->at < 2 * ran * ROTA__FETCH_COST_NS)
		leave_together(from, (uint64_t)loot->tasks * KEEP_RUNS, ROTA__FETCH_COST_NS);
}

/* Whether thief and victim, each of which was busy with tasks all the while, have run less than half of the tasks since the
 * theft that the victim would have run alone. Of new tasks, which have ended, nobody knows how long they would have been. */
static bool hinder_each_other(const struct rota__worker *worker, uint64_t elapsed, uint64_t ran, uint64_t from_ran)
{
	const struct rota__loot *const loot = &worker->loot;

	return !loot->from->spare && rota__load(&worker->finished, RELAXED) - loot->finished <= ran / 2 &&
	       rota__load(&worker->parks, RELAXED) == loot->parks &&
	       rota__load(&loot->from->parks, RELAXED) == loot->from_parks &&
	       rota__load(&worker->submits, RELAXED) == loot->submits &&
	       rota__load(&loot->from->submits, RELAXED) == loot->from_submits && elapsed < ran * WEIGH_MAX_NS &&
	       elapsed < from_ran * WEIGH_MAX_NS && loot->from_mean > 0 &&
	       2 * (ran + from_ran) * loot->from_mean < elapsed;
}

/*
 * Tasks that write the same memory all the time, as senders of one channel do, hinder each other on two workers: each
 * runs several times as long as it did when one worker ran them all. And the longer they run, the more they seem to be worth
 * a thief. So a thief looks whether far less gets done than before; then it gives back as many as it took, which stay
 * together for a while. That shows whether it was the sharing: those that take as long when they are alone may be stolen again
 * (follow_trial in worker_park.c). The victim's mean is again what it was before the theft: a sample that is of the time with
 * the thief in part at most doubles it (rota__moving_mean), so it stays below what two workers took for each until the trial
 * tells.
 */
void rota__worker_weigh_loot(struct rota__worker *worker, uint64_t now)
{
	struct rota__loot *const loot = &worker->loot;
	struct rota__worker *const from = loot->from;
	const uint64_t ran = rota__load(&worker->runs, RELAXED) - loot->runs;
	const uint64_t from_ran = rota__load(&from->runs, RELAXED) - loot->from_runs;
	const uint64_t way = (uint64_t)loot->tasks * ROTA__FETCH_COST_NS; /* once, which is no hindrance */
	const uint64_t elapsed = now - loot->at < way ? 0 : now - loot->at - way;
	rota_task *task;

	if (loot->weighed || ran < WEIGH_RUNS || ran < loot->tasks || from_ran < WEIGH_RUNS)
		return;
	loot->weighed = true;
	if (!hinder_each_other(worker, elapsed, ran, from_ran))
		return;
	loot->from = NULL;
	rota__store(&from->mean, loot->from_mean, RELAXED);
	leave_together(from, APART_NS / (loot->from_mean + 1), (uint32_t)(elapsed / (ran + from_ran)));
	for (unsigned left = loot->tasks; left > 0 && (task = rota__deque_pop(&worker->deque)) != NULL; left--)
		rota__worker_send_mail(from, task);
}

static rota_task *steal_from(struct rota__worker *worker, struct rota__worker *victim)
{
	unsigned moved = 1;
	rota_task *task;

	if (!rota__worker_worth(victim, ROTA__STEAL_COST_NS))
		return NULL;
	task = rota__deque_steal(&victim->deque, &worker->deque, &moved);
	if (task == NULL && rota__worker_worth(victim, ROTA__STEAL_COST_NS)) /* still, and alone */
		task = rota__next_steal(&victim->next, &victim->marking);
	if (task == NULL)
		return NULL;
	rota__count(&worker->steals, moved);
	worker->loot = (struct rota__loot){
		.from = victim,
		.tasks = moved,
		.at = rota__sys_clock(),
		.runs = rota__load(&worker->runs, RELAXED),
		.finished = rota__load(&worker->finished, RELAXED),
		.parks = rota__load(&worker->parks, RELAXED),
		.from_mean = rota__load(&victim->mean, RELAXED),
		.from_runs = rota__load(&victim->runs, RELAXED),
		.from_parks = rota__load(&victim->parks, RELAXED),
		.submits = rota__load(&worker->submits, RELAXED),
		.from_submits = rota__load(&victim->submits, RELAXED),
	};
	rota__worker_poll_after(worker, worker->loot.runs, WEIGH_RUNS); /* which weighs it */
	return task;
}

static uint64_t next_random(struct rota__worker *worker)
{
	worker->random ^= worker->random << 13; /* xorshift */
	worker->random ^= worker->random >> 7;
	worker->random ^= worker->random << 17;
	return worker->random;
}

static rota_task *steal(struct rota__worker *worker)
{
	rota_runtime *rt = worker->rt;
	unsigned total = rota__worker_total(rt);
	unsigned start = (unsigned)(next_random(worker) % total);

	if (worker->loot.from != NULL)
		judge(worker);
	for (unsigned i = 0; i < total; i++) {
		struct rota__worker *victim = &rt->workers[(start + i) % total];
		rota_task *task = victim != worker ? steal_from(worker, victim) : NULL;

		if (task != NULL)
			return task;
	}
	return NULL;
}

bool rota__worker_work_visible(struct rota__worker *worker)
{
	rota_runtime *rt = worker->rt;
	unsigned total = rota__worker_total(rt);

	if (rota__inject_length(&rt->inject) > 0 || rota__load(&worker->mail, RELAXED) != NULL)
		return true;
	for (unsigned i = 0; i < total; i++) {
		if (&rt->workers[i] != worker && rota__worker_worth(&rt->workers[i], ROTA__PEER_COST_NS))
			return true;
	}
	return rota__fork_visible(worker);
}

void rota__worker_found(struct rota__worker *worker)
{
	if (!worker->searching)
		return;
	worker->searching = false;
	if (!rota__idle_stop_search(&worker->rt->idle))
		return;
	rota__fence(SEQ_CST); /* partner: the one in rota__idle_wake_one */
	if (rota__worker_work_visible(worker))
		rota__idle_wake_one(worker->rt);
}

rota_task *rota__worker_search(struct rota__worker *worker)
{
	rota_runtime *rt = worker->rt;
	const unsigned total = rota__worker_total(rt);
	rota_task *task = rota__worker_take_injected(worker);

	if (task == NULL && total > 1) {
		if (!worker->searching)
			worker->searching = rota__idle_start_search(&rt->idle, total);
		if (worker->searching)
			task = steal(worker);
	}
	return task != NULL ? task : rota__fork_steal(worker);
}
