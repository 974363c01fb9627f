/* SPDX-License-Identifier: MIT */
/*
 * Several producers push lists of tasks into one injection queue, several consumers pop lists: each task comes out
 * exactly once, those of one producer in the order in which they went in, and the length is right in the end.
 */
#define _GNU_SOURCE
#include "../../runtime/inject_internal.h"

#include "../../runtime/task_internal.h"
#include "stress.h"

#define PRODUCERS 3u
#define CONSUMERS 3u
#define TASKS 20000u /* of each producer */
#define ROUNDS 40

static struct rota__inject inject;
static rota_task tasks[PRODUCERS][TASKS];
static struct rota_atomic_u32 taken[PRODUCERS][TASKS];
static struct rota_atomic_u32 taken_count, longest;

struct party {
	unsigned number;
	struct stress_random random;
};

static void *produce(void *arg)
{
	struct party *me = arg;
	rota_task *mine = tasks[me->number];
	uint32_t next = 0;

	while (next < TASKS) {
		uint32_t n = stress_one_in(&me->random, 8) ? 1 + stress_below(&me->random, 128) : 1;

		if (n > TASKS - next)
			n = TASKS - next;
		for (uint32_t i = next; i + 1 < next + n; i++)
			mine[i].queue_next = &mine[i + 1];
		rota__inject_push(&inject, &mine[next], &mine[next + n - 1], n);
		next += n;
		stress_pause(&me->random);
	}
	return NULL;
}

/* Where a task is from, and which of its producer's it is. */
static unsigned producer_of(const rota_task *task)
{
	return (unsigned)((task - &tasks[0][0]) / TASKS);
}

static uint32_t number_of(const rota_task *task)
{
	return (uint32_t)((task - &tasks[0][0]) % TASKS);
}

static void *consume(void *arg)
{
	struct party *me = arg;
	uint32_t last[PRODUCERS] = { 0 }; /* number + 1 of the latest of each */

	while (rota__load(&taken_count, RELAXED) < PRODUCERS * TASKS) {
		const unsigned most = stress_one_in(&me->random, 3) ? stress_below(&me->random, 129) : 1;
		const rota_task *task = rota__inject_pop(&inject, most);
		const uint32_t length = rota__inject_length(&inject);
		unsigned n = 0;

		if (length > rota__load(&longest, RELAXED))
			rota__store(&longest, length, RELAXED);
		for (; task != NULL; task = task->queue_next, n++) {
			expect(number_of(task) + 1, >, last[producer_of(task)]);
			last[producer_of(task)] = number_of(task) + 1;
			expect(rota__fetch_add(&taken[producer_of(task)][number_of(task)], 1, RELAXED), ==, 0);
		}
		expect(n, <=, most);
		rota__fetch_add(&taken_count, n, RELAXED);
		stress_pause(&me->random);
	}
	return NULL;
}

static void round_of(struct stress_random *random)
{
	struct party parties[PRODUCERS + CONSUMERS];
	struct stress_threads threads = { .n = 0 };

	memset(taken, 0, sizeof(taken));
	rota__store(&taken_count, 0, RELAXED);
	for (unsigned i = 0; i < PRODUCERS + CONSUMERS; i++) {
		parties[i].number = i % PRODUCERS;
		parties[i].random = stress_random_new(stress_next(random));
		stress_thread(&threads, i < PRODUCERS ? produce : consume, &parties[i]);
	}
	stress_join(&threads);
	expect(rota__load(&taken_count, RELAXED), ==, PRODUCERS * TASKS);
	expect(rota__inject_length(&inject), ==, 0);
	expect_pointer(rota__inject_pop(&inject, 1), ==, NULL);
	expect_pointer(inject.first, ==, NULL);
	expect_pointer(inject.last, ==, NULL);
	stress_moved();
}

int main(int argc, char **argv)
{
	struct stress_random random;

	stress_start(argc, argv, NULL);
	random = stress_random_new(0);
	for (unsigned round = 0; round < ROUNDS * stress_scale; round++)
		round_of(&random);
	printf("%u tasks, at most %u at once\n", ROUNDS * stress_scale * PRODUCERS * TASKS,
	       rota__load(&longest, RELAXED));
	return 0;
}
