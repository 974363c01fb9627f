/* SPDX-License-Identifier: MIT */
/*
 * The state word of one task between several wakers and several workers. A waker publishes a piece of news and wakes;
 * whoever is told to submits the task to a queue, from which a worker takes it, reads the news and lets it rest. No two
 * run it at once, the last news is always read, a cancel is always seen, and the last reference is dropped once, with a
 * walker of all tasks trying to get hold of it.
 *
 * Then the end of one task after the other, and a joiner who comes, goes, comes with another waker and parks: it is always
 * woken, sees the status, and its wakers are given back.
 */
#define _GNU_SOURCE
#include "../../runtime/task_state_internal.h"

#include <semaphore.h>

#include "../../runtime/park_internal.h"
#include "../../runtime/waker_internal.h"
#include "stress.h"

#define WAKERS 3u
#define WORKERS 2u
#define NEWS 3000u /* of each waker */
#define ROUNDS 50

static struct {
	struct rota_atomic_u64 state;
	unsigned long runs;          /* only touched by who runs the task: the sanitizer sees whoever else does */
	struct rota_atomic_u32 news; /* published */
	struct rota_atomic_u32 read; /* of them, read by the task at its latest run */
	struct rota_atomic_u32 freed;
	struct rota_atomic_u32 cancel_seen;
	unsigned cancel_at; /* the number of the news with which the first waker cancels */
} task;

static sem_t queue; /* how often the task is in the queue: once at most */
static struct rota_atomic_u32 queued, over;

static void submit(void)
{
	expect(rota__fetch_add(&queued, 1, SEQ_CST), ==, 0);
	sem_post(&queue);
}

static void dropped(enum rota__drop drop)
{
	if (drop == ROTA__DROP_FREE)
		expect(rota__fetch_add(&task.freed, 1, SEQ_CST), ==, 0);
}

struct party {
	unsigned number;
	struct stress_random random;
};

/* Each waker has a reference, as a cloned waker has. */
static void *wake(void *arg)
{
	struct party *me = arg;

	for (unsigned i = 0; i < NEWS; i++) {
		const bool cancel = me->number == 0 && i == task.cancel_at;
		enum rota__wake told;

		rota__fetch_add(&task.news, 1, RELAXED); /* ordered by the wake alone */
		told = cancel ? rota__state_cancel(&task.state) : rota__state_wake(&task.state);
		if (told == ROTA__WAKE_SUBMIT)
			submit();
		stress_pause(&me->random);
	}
	dropped(rota__state_unref(&task.state));
	return NULL;
}

/* What the task does when it runs: true when it has ended. */
static bool run(struct party *me)
{
	uint32_t news;

	task.runs++;
	if (stress_one_in(&me->random, 4))
		stress_pause(&me->random);
	if (rota__state_cancelled(&task.state))
		rota__store(&task.cancel_seen, 1, RELAXED);
	news = rota__load(&task.news, RELAXED);
	rota__store(&task.read, news, RELAXED);
	stress_pause(&me->random);
	task.runs++;
	return news == WAKERS * NEWS;
}

static void *work(void *arg)
{
	struct party *me = arg;

	for (;;) {
		while (sem_wait(&queue) < 0) {
		}
		if (rota__load(&over, SEQ_CST))
			return NULL;
		expect(rota__fetch_sub(&queued, 1, SEQ_CST), ==, 1);
		if (run(me)) {
			rota__store(&over, 1, SEQ_CST);
			dropped(rota__state_finish(&task.state));
			for (unsigned i = 0; i < WORKERS; i++)
				sem_post(&queue);
			return NULL;
		}
		if (rota__state_rest(&task.state) == ROTA__REST_AGAIN)
			submit();
		stress_moved();
	}
}

static void *walk(void *arg)
{
	struct party *me = arg;

	while (!rota__load(&over, SEQ_CST)) {
		if (rota__state_try_ref(&task.state)) {
			expect(rota__load(&task.freed, SEQ_CST), ==, 0);
			stress_pause(&me->random);
			expect(rota__load(&task.freed, SEQ_CST), ==, 0);
			dropped(rota__state_unref(&task.state));
		}
		stress_pause(&me->random);
	}
	return NULL;
}

static void report(void)
{
	dprintf(expect_output_, "state %llx, %u news, %u read, %u queued\n",
		(unsigned long long)rota__load(&task.state, SEQ_CST), rota__load(&task.news, SEQ_CST),
		rota__load(&task.read, SEQ_CST), rota__load(&queued, SEQ_CST));
}

static void round_of(struct stress_random *random)
{
	struct party parties[WAKERS + WORKERS + 1];
	struct stress_threads threads = { .n = 0 };

	memset(&task, 0, sizeof(task));
	task.cancel_at = stress_below(random, NEWS);
	rota__store(&over, 0, SEQ_CST);
	rota__store(&queued, 0, SEQ_CST);
	sem_init(&queue, 0, 0);
	rota__state_init(&task.state, 1 + WAKERS);
	submit();
	for (unsigned i = 0; i < WAKERS + WORKERS + 1; i++) {
		parties[i].number = i;
		parties[i].random = stress_random_new(stress_next(random));
		stress_thread(&threads, i < WAKERS ? wake : i < WAKERS + WORKERS ? work : walk, &parties[i]);
	}
	stress_join(&threads);
	expect(rota__load(&task.read, SEQ_CST), ==, WAKERS * NEWS);
	expect(rota__load(&task.cancel_seen, SEQ_CST), ==, 1);
	expect(rota__load(&task.freed, SEQ_CST), ==, 1);
	expect(rota__load(&task.state, SEQ_CST) & ROTA__REF_MASK, ==, 0);
	expect(task.runs % 2, ==, 0);
}

/* --- the end and the joiner ---------------------------------------------------------------------------------------------- */

#define ENDS 20000u

/* A foreign executor's waker: a parker, and a count of what is out. */
struct executor {
	struct rota__parker parker;
	struct rota_atomic_u32 out;
};

static void *executor_clone(void *data)
{
	rota__fetch_add(&((struct executor *)data)->out, 1, SEQ_CST);
	return data;
}

static void executor_wake_by_ref(void *data)
{
	struct executor *executor = data;

	if (rota__parker_claim(&executor->parker))
		rota__parker_unpark(&executor->parker);
}

static void executor_drop(void *data)
{
	rota__fetch_sub(&((struct executor *)data)->out, 1, SEQ_CST);
}

static void executor_wake(void *data)
{
	executor_wake_by_ref(data);
	executor_drop(data);
}

static const struct rota_waker_ops executor_ops = {
	.clone = executor_clone,
	.wake = executor_wake,
	.wake_by_ref = executor_wake_by_ref,
	.drop = executor_drop,
};

/* What of a task its end and its joiner need. */
static struct {
	struct rota_atomic_u64 state;
	struct rota_waker waker;
	uint32_t status;
	struct rota_atomic_u32 turn; /* the number of the task that may end */
	struct rota_atomic_u32 freed;
	struct executor executors[2];
} ending;

static void free_ending(enum rota__drop drop)
{
	if (drop == ROTA__DROP_FREE)
		expect(rota__fetch_add(&ending.freed, 1, SEQ_CST), ==, 0);
}

static void *end(void *arg)
{
	struct party *me = arg;
	struct rota__wake_batch batch;

	for (uint32_t i = 1; i <= ENDS * stress_scale; i++) {
		enum rota__drop drop;
		unsigned spins = 0;

		while (rota__load(&ending.turn, ACQUIRE) != i)
			rota__spin_pause(&spins);
		stress_pause(&me->random);
		ending.status = i;
		if (rota__state_finish_unjoined(&ending.state, &drop)) {
			free_ending(drop);
			continue;
		}
		rota__wake_batch_init(&batch);
		rota__wake_batch_add(&batch, &ending.waker);
		free_ending(rota__state_finish(&ending.state));
		rota__wake_batch_submit(&batch);
	}
	return NULL;
}

/* One look: true when it has ended. `joined` as it is now. */
static bool join_once(struct stress_random *random, bool *joined)
{
	struct executor *executor = &ending.executors[stress_below(random, 2)];
	const struct rota_waker waker = { &executor_ops, executor };

	if (*joined ? rota__state_ended_or_firing(&ending.state) : rota__state_ended(&ending.state))
		return true;
	if (*joined) {
		if (rota__state_unjoin(&ending.state) == ROTA_READY)
			return true;
		rota__waker_release(&ending.waker);
		*joined = false;
		if (stress_one_in(random, 3))
			return false; /* gone, to come again */
	}
	rota__waker_hold(&ending.waker, &waker);
	if (rota__state_join(&ending.state) == ROTA_READY) {
		rota__waker_release(&ending.waker);
		return true;
	}
	*joined = true;
	if (stress_one_in(random, 2))
		return false; /* again at once, perhaps with the other waker */
	stress_pause(random);
	rota__parker_park(&executor->parker, UINT64_MAX);
	return false;
}

static void join_all(struct stress_random *random)
{
	for (uint32_t i = 1; i <= ENDS * stress_scale; i++) {
		bool joined = false;

		rota__store(&ending.freed, 0, SEQ_CST);
		rota__state_init(&ending.state, 2);
		rota__store(&ending.turn, i, RELEASE);
		stress_pause(random);
		while (!join_once(random, &joined)) {
		}
		expect(ending.status, ==, i);
		free_ending(rota__state_unref_ended(&ending.state));
		expect(rota__load(&ending.freed, SEQ_CST), ==, 1);
		stress_moved();
	}
}

static void ends(struct stress_random *random)
{
	struct party party = { .random = stress_random_new(stress_next(random)) };
	struct stress_threads threads = { .n = 0 };

	stress_thread(&threads, end, &party);
	join_all(random);
	stress_join(&threads);
	for (unsigned i = 0; i < 2; i++)
		expect(rota__load(&ending.executors[i].out, SEQ_CST), ==, 0);
}

int main(int argc, char **argv)
{
	struct stress_random random;

	stress_start(argc, argv, report);
	random = stress_random_new(0);
	for (unsigned round = 0; round < ROUNDS * stress_scale; round++)
		round_of(&random);
	ends(&random);
	printf("%u wakes, %u ends\n", ROUNDS * stress_scale * WAKERS * NEWS, ENDS * stress_scale);
	return 0;
}
