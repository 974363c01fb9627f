/* SPDX-License-Identifier: MIT */
/*
 * One owner and several thieves on one run queue, its indices about to wrap: each task is taken exactly once, whoever
 * takes it and however (pop, overflow, steal half, steal one), while the ring grows and some are put back ahead of the
 * others and the head is its owner's now and then, and tasks of one thief's haul come in order.
 */
#define _GNU_SOURCE
#include "../../runtime/deque_internal.h"

#include "../../runtime/sys_internal.h"
#include "../../runtime/task_internal.h"
#include "stress.h"

#define TASKS 20000u
#define THIEVES 3
#define ROUNDS 120

static struct rota__deque deque;
static rota_task tasks[TASKS];
static struct rota_atomic_u32 taken[TASKS];
static struct rota_atomic_u32 taken_count, stolen_count, overflow_count, grown_count, ahead_count, own_count;

static void reset(struct rota__deque *d, uint32_t start)
{
	rota__deque_deinit(d);
	memset(d, 0, sizeof(*d));
	rota__store(&d->head, start, RELAXED);
	rota__store(&d->tail, start, RELAXED);
}

static void take(const rota_task *task)
{
	const ptrdiff_t i = task - tasks;

	expect(i, >=, 0);
	expect(i, <, TASKS);
	expect(rota__fetch_add(&taken[i], 1, RELAXED), ==, 0);
	rota__fetch_add(&taken_count, 1, RELAXED);
}

/* --- thieves -------------------------------------------------------------------------------------------------------- */

struct thief {
	struct rota__deque own;
	struct stress_random random;
};

/* What was stolen lies in the thief's own queue in the order in which it was pushed; the last one was returned. */
static void consume_haul(struct thief *thief, rota_task *last, unsigned moved)
{
	const rota_task *task, *before = NULL;
	unsigned n = 1;

	while ((task = rota__deque_pop(&thief->own)) != NULL) {
		if (before != NULL)
			expect(task - tasks, >, before - tasks);
		take(task);
		before = task;
		n++;
	}
	if (before != NULL)
		expect(last - tasks, >, before - tasks);
	take(last);
	expect(n, ==, moved);
	rota__fetch_add(&stolen_count, n, RELAXED);
}

static void *steal(void *arg)
{
	struct thief *thief = arg;

	while (rota__load(&taken_count, RELAXED) < TASKS) {
		unsigned moved = 0;
		rota_task *task;

		task = rota__deque_steal(&deque, &thief->own, &moved);
		if (task != NULL)
			consume_haul(thief, task, moved);
		stress_pause(&thief->random);
	}
	return NULL;
}

/* --- the owner -------------------------------------------------------------------------------------------------------- */

/* The owner's pushes are in order of number, so that order can be checked; what overflows is taken at once. */
static void push(rota_task *task, struct stress_random *random)
{
	rota_task *first = NULL, *last = NULL;
	unsigned n;

	while (!rota__deque_push(&deque, task)) {
		if (stress_one_in(random, 3) && rota__deque_grow(&deque)) {
			rota__fetch_add(&grown_count, 1, RELAXED);
			continue;
		}
		n = rota__deque_overflow(&deque, &first, &last);
		if (n == 0)
			continue; /* a thief is at work */
		rota__fetch_add(&overflow_count, n, RELAXED);
		for (; first != NULL; n--) {
			if (first->queue_next == NULL)
				expect_pointer(first, ==, last);
			take(first);
			first = first->queue_next;
		}
		expect(n, ==, 0);
	}
}

/* Some are popped and put back in their order; or taken, when that cannot be. Returns one more than the last one taken. */
static uint32_t put_back_ahead(uint32_t n, uint32_t last_popped)
{
	rota_task *first = NULL, **end = &first, *task;
	uint32_t popped = 0;

	for (; popped < n && (task = rota__deque_pop(&deque)) != NULL; popped++) {
		*end = task;
		end = &task->queue_next;
	}
	*end = NULL;
	if (popped == 0)
		return last_popped;
	if (rota__deque_push_ahead(&deque, first, popped)) {
		rota__fetch_add(&ahead_count, popped, RELAXED);
		return last_popped;
	}
	for (; first != NULL; first = first->queue_next) {
		expect(first - tasks + 1, >, last_popped);
		last_popped = (uint32_t)(first - tasks + 1);
		take(first);
	}
	return last_popped;
}

/* The next pop makes the head the owner's, if nobody steals just then. */
static void have_enough_of_sharing(void)
{
	if (!(rota__load(&deque.head, RELAXED) & ROTA__DEQUE_OWNED))
		deque.shared_pops = UINT32_MAX / 2;
	else
		rota__fetch_add(&own_count, 1, RELAXED);
}

static void own(struct stress_random *random)
{
	uint32_t next = 0, last_popped = 0;
	rota_task *task;

	while (next < TASKS) {
		uint32_t pushes = stress_below(random, 40);
		uint32_t pops = stress_below(random, stress_one_in(random, 20) ? 400 : 30);

		for (; pushes > 0 && next < TASKS; pushes--)
			push(&tasks[next++], random);
		for (; pops > 0 && (task = rota__deque_pop(&deque)) != NULL; pops--) {
			expect(task - tasks + 1, >, last_popped);
			last_popped = (uint32_t)(task - tasks + 1);
			take(task);
		}
		if (stress_one_in(random, 4))
			have_enough_of_sharing();
		if (stress_one_in(random, 4))
			rota__deque_trim(&deque);
		if (stress_one_in(random, 2))
			last_popped = put_back_ahead(stress_below(random, 20), last_popped);
		stress_pause(random);
	}
	while ((task = rota__deque_pop(&deque)) != NULL)
		take(task);
}

static void round_of(struct stress_random *random)
{
	static struct thief thieves[THIEVES];
	struct stress_threads threads = { .n = 0 };

	memset(taken, 0, sizeof(taken));
	rota__store(&taken_count, 0, RELAXED);
	/* Half of the rounds cross the wrap somewhere. */
	reset(&deque, stress_one_in(random, 2) ? (uint32_t)stress_next(random) : 0u - stress_below(random, TASKS));
	rota__deque_enter(&deque, stress_one_in(random, 2) && rota__sys_has_sequences());
	for (unsigned i = 0; i < THIEVES; i++) {
		reset(&thieves[i].own, 0u - stress_below(random, 300));
		thieves[i].random = stress_random_new(stress_next(random));
		stress_thread(&threads, steal, &thieves[i]);
	}
	own(random);
	stress_join(&threads);
	expect(rota__load(&taken_count, RELAXED), ==, TASKS);
	expect(rota__deque_length(&deque), ==, 0);
	for (uint32_t i = 0; i < TASKS; i++)
		expect(rota__load(&taken[i], RELAXED), ==, 1);
	stress_moved();
}

int main(int argc, char **argv)
{
	struct stress_random random;

	stress_start(argc, argv, NULL);
	random = stress_random_new(0);
	for (unsigned round = 0; round < ROUNDS * stress_scale; round++)
		round_of(&random);
	printf("%u tasks: %u stolen, %u overflowed, %u put ahead, grown %u times, seen the owner's %u times\n",
	       ROUNDS * stress_scale * TASKS, rota__load(&stolen_count, RELAXED), rota__load(&overflow_count, RELAXED),
	       rota__load(&ahead_count, RELAXED), rota__load(&grown_count, RELAXED), rota__load(&own_count, RELAXED));
	return 0;
}
