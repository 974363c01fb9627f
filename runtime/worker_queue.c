/* SPDX-License-Identifier: MIT */
/*
 * Where a task goes that is to run: the next slot, the run queue, the list of pinned tasks, a worker's mail, the injection
 * queue. And what waits in a worker's queue is worth to others.
 */
#include "worker_parts_internal.h"

#include "cost_internal.h"
#include "runtime_internal.h"

#define NEXT_STREAK_MAX 3u
#define AHEAD_FROM 256u /* so many tasks wait: else the cache holds them all, and each is served the sooner in turn */
#define AHEAD_STREAK_MAX 7u /* polls in a row whose tasks go ahead of those: about two round trips */
#define AHEAD_MAX 128u      /* tasks, not more */
#define HAND_COST_NS 200u   /* a new task that is shorter runs sooner where it is than it gets elsewhere */

/* Whether the run queue is full of new tasks that are not worth the way to another worker. One that turns out to be
 * long is found by the monitor. Any thread; a hint. */
static bool stays_here(const struct rota__worker *worker)
{
	return rota__load(&worker->fresh, RELAXED) > 0 && rota__load(&worker->fresh_mean, RELAXED) < HAND_COST_NS;
}

/* Whether thieves have found that its tasks are better left together (worker_search.c). */
static bool keeps(const struct rota__worker *worker, uint64_t runs)
{
	return runs < rota__load(&worker->keeps_until, RELAXED) &&
	       rota__load(&worker->mean, RELAXED) < rota__load(&worker->keeps_below, RELAXED);
}

void rota__worker_push_full(struct rota__worker *worker, rota_task *task)
{
	rota_task *first, *last;
	unsigned n;

	while (!rota__deque_push(&worker->deque, task)) {
		if (rota__deque_grow(&worker->deque))
			continue;
		n = rota__deque_overflow(&worker->deque, &first, &last);
		if (n == 0) { /* a thief is at work: nobody knows for how long */
			rota__inject_push(&worker->rt->inject, task, task, 1);
			return;
		}
		rota__inject_push(&worker->rt->inject, first, last, n);
		if (!stays_here(worker))
			rota__idle_wake_one(worker->rt);
	}
}

void rota__worker_push_list(struct rota__worker *worker, rota_task *first)
{
	for (rota_task *task = first, *next; task != NULL; task = next) {
		next = task->queue_next;
		rota__worker_push_back(worker, task);
	}
}

/* The owner is the only one who fills the slot; thieves only empty it. */
static void push_next(struct rota__worker *worker, rota_task *task)
{
	rota_task *old;

	if (worker->next_streak >= NEXT_STREAK_MAX) {
		rota__worker_push_back(worker, task);
		return;
	}
	rota__worker_disturb(worker);
	old = rota__next_push(&worker->next, task, worker->shares_next);
	if (old != NULL)
		rota__worker_push_back(worker, old);
}

static void push_pinned(struct rota__worker *worker, rota_task *task)
{
	rota__worker_disturb(worker);
	rota__tasks_append(&worker->pinned_first, &worker->pinned_last, task);
}

void rota__worker_requeue(struct rota__worker *worker, rota_task *task)
{
	if (task->flags & ROTA__TASK_PINNED)
		push_pinned(worker, task);
	else
		rota__worker_push_back(worker, task);
}

void rota__worker_send_mail(struct rota__worker *to, rota_task *task)
{
	void *head = rota__load(&to->mail, RELAXED);

	do {
		task->queue_next = head;
	} while (!rota__cas(&to->mail, &head, task, RELEASE)); /* partner: the swap in take_mail */
	rota__fence(SEQ_CST);                                  /* partner: the one before a park's last look */
	if (rota__load(&to->asleep, RELAXED))
		to->rt->driver->wake(to);
}

/* Empties the mail: a list, the oldest first. */
static rota_task *open_mail(struct rota__worker *worker)
{
	rota_task *in_order = NULL;
	rota_task *task;

	if (rota__load(&worker->mail, RELAXED) == NULL)
		return NULL;
	task = rota__swap(&worker->mail, NULL, ACQUIRE); /* partner: send_mail */
	while (task != NULL) {                           /* the stack has the latest first */
		rota_task *next = task->queue_next;

		task->queue_next = in_order;
		in_order = task;
		task = next;
	}
	return in_order;
}

void rota__worker_take_mail(struct rota__worker *worker)
{
	rota_task *task = open_mail(worker);

	while (task != NULL) {
		rota_task *next = task->queue_next;

		rota__worker_requeue(worker, task);
		task = next;
	}
}

bool rota__worker_forward_mail(struct rota__worker *worker)
{
	rota_task *task = open_mail(worker);
	bool any = false;

	while (task != NULL) {
		rota_task *next = task->queue_next;

		if (task->flags & ROTA__TASK_PINNED) {
			rota__worker_send_mail(worker, task);
		} else {
			rota__inject_push(&worker->rt->inject, task, task, 1);
			any = true;
		}
		task = next;
	}
	return any;
}

static void publish(rota_runtime *rt, rota_task *task)
{
	if (task->flags & ROTA__TASK_PINNED) {
		rota__worker_send_mail(&rt->workers[task->home], task);
	} else {
		rota__inject_push(&rt->inject, task, task, 1);
		rota__idle_wake_one(rt);
	}
}

/* By a thread that is none of the workers. Once the task is published it may run and end, and the runtime, which nothing
 * else keeps, be freed: shutdown waits until this thread has left, too. In a child of fork(2) there is nobody to run it, and
 * what wakes a worker is the parent's. */
static void publish_from_outside(rota_runtime *rt, rota_task *task)
{
	if (rota__runtime_is_parents(rt))
		return;
	rota__fetch_add(&rt->visitors, 1, RELAXED); /* the publication orders it */
	publish(rt, task);
	rota__fetch_sub(&rt->visitors, 1, RELEASE); /* partner: shutdown; the last touch of the runtime */
}

/* `behind`: to the end of the run queue, also if a task wakes it. Returns whether the task may run after others of this
 * worker's, not pinned nor another runtime's. */
static inline bool submit(struct rota__worker *worker, rota_task *task, bool behind)
{
	rota_runtime *rt = task->rt;

	if (__builtin_expect(worker == NULL || worker->rt != rt, 0)) {
		publish_from_outside(rt, task);
		return false;
	}
	if (task->flags & ROTA__TASK_PINNED) {
		struct rota__worker *home = &rt->workers[task->home];

		if (home == worker)
			push_pinned(worker, task);
		else
			rota__worker_send_mail(home, task);
		return false;
	}
	/* A task that wakes another is about to wait for it; what I/O and timers wake queues up. */
	if (worker->current != NULL && !behind)
		push_next(worker, task);
	else
		rota__worker_push_back(worker, task);
	return true;
}

/* Apart, so that the way of most saves no registers. */
static __attribute__((noinline)) void submit_carefully(struct rota__worker *worker, rota_task *task)
{
	submit(worker, task, false);
}

void rota__task_submit(rota_task *task)
{
	struct rota__worker *worker = rota__worker_self();

	if (__builtin_expect(worker == NULL || worker->rt != task->rt || worker->current == NULL, 0) ||
	    task->flags & ROTA__TASK_PINNED || worker->next_streak >= NEXT_STREAK_MAX ||
	    rota__next_waits(&worker->next)) {
		submit_carefully(worker, task);
		return;
	}
	rota__worker_disturb(worker);
	rota__next_fill(&worker->next, task, worker->shares_next);
}

/* The first one woken runs first: the others would only push each other out of the next slot. */
void rota__tasks_submit(rota_task *first)
{
	struct rota__worker *worker = rota__worker_self();
	bool behind = false;

	for (rota_task *task = first, *next; task != NULL; task = next) {
		next = task->queue_next;
		behind |= submit(worker, task, behind);
	}
}

/* --- ahead of the run queue ---------------------------------------------------------------------------------------- */

/*
 * What has just come is in the cache, and so are the buffers and the sockets that it came through. With a thousand
 * connections they are not any more when all that waits has run. So it goes ahead of that, what is sent then is received
 * ahead, too, and a small group of tasks is served out of the cache. But only seven times in a row: then the group goes
 * behind what waits, the head of which is the next group.
 */

/* A list of tasks in the order in which they are to run. */
struct row {
	rota_task *first, **end;
	uint32_t n;
};

static void append(struct row *row, rota_task *task)
{
	*row->end = task;
	row->end = &task->queue_next;
	task->queue_next = NULL;
	row->n++;
}

/* What is left of the group. Thieves may have been there: then some of what waits behind it comes along. */
static void take_group(struct rota__worker *worker, struct row *row)
{
	rota_task *task;

	for (; worker->ahead > 0 && (task = rota__deque_pop(&worker->deque)) != NULL; worker->ahead--)
		append(row, task);
	worker->ahead = 0;
}

/* Tasks that may not be stolen, or are another runtime's, go where they always go. */
static void sort_into(struct rota__worker *worker, struct row *row, rota_task *first)
{
	for (rota_task *task = first, *next; task != NULL; task = next) {
		next = task->queue_next;
		if (task->rt == worker->rt && !(task->flags & ROTA__TASK_PINNED))
			append(row, task);
		else
			submit(worker, task, true);
	}
}

void rota__tasks_submit_ahead(rota_task *first)
{
	struct rota__worker *worker = rota__worker_self();
	struct row row = { NULL, &row.first, 0 };

	if (worker == NULL || worker->current != NULL) {
		rota__tasks_submit(first);
		return;
	}
	take_group(worker, &row);
	sort_into(worker, &row, first);
	if (row.n == 0)
		return;
	if (rota__deque_length(&worker->deque) >= AHEAD_FROM && worker->ahead_streak < AHEAD_STREAK_MAX &&
	    row.n <= AHEAD_MAX && rota__deque_push_ahead(&worker->deque, row.first, row.n)) {
		worker->ahead = row.n;
		worker->ahead_streak++;
		return;
	}
	worker->ahead_streak = 0;
	rota__worker_push_list(worker, row.first);
}

void rota__worker_spawned(struct rota__worker *worker, rota_task *task)
{
	if (task->flags & ROTA__TASK_PINNED) {
		push_pinned(worker, task);
		return;
	}
	rota__worker_disturb(worker);
	/* The first that a task spawns runs when that waits or ends, before what queues: its memory is in the cache,
	 * and a task that waits for its child soon gives its stack back. Those after it queue, so they run in the order
	 * of the spawns. */
	if (worker->next_streak < NEXT_STREAK_MAX && !rota__next_waits(&worker->next))
		rota__next_fill(&worker->next, task, worker->shares_next);
	else
		rota__worker_push_back(worker, task);
	rota__count(&worker->fresh, 1);
	if (rota__idle_wakeable(&worker->rt->idle) && !stays_here(worker) &&
	    !keeps(worker, rota__load(&worker->runs, RELAXED)) &&
	    rota__load(&worker->fresh, RELAXED) * rota__load(&worker->fresh_mean, RELAXED) >= ROTA__PEER_COST_NS)
		rota__idle_wake_one(worker->rt);
}

bool rota__worker_worth(const struct rota__worker *worker, uint64_t cost)
{
	const uint64_t waiting = rota__deque_length(&worker->deque) + rota__next_waits(&worker->next);
	const uint64_t runs = rota__load(&worker->runs, RELAXED);

	if (waiting == 0)
		return false;
	if (rota__load(&worker->stalled_at, RELAXED) == runs)
		return true;
	return !stays_here(worker) && !keeps(worker, runs) && waiting * rota__load(&worker->mean, RELAXED) >= cost;
}
