/* SPDX-License-Identifier: MIT */
/*
 * The next slot of a worker: one owner and several thieves, and so few tasks that the same one comes by again while a thief is
 * still about it. Each task that is put there is had by one, however it may be taken.
 */
#define _GNU_SOURCE
#include "../../runtime/next_internal.h"

#include "../../runtime/task_internal.h"
#include "stress.h"

#define TASKS 3u
#define THIEVES 3u
#define PUTS STRESS_FEWER(400000u)

static struct rota__next slot;
static struct rota_atomic_u32 marking;
static rota_task tasks[TASKS];
static struct rota_atomic_u32 waits[TASKS]; /* the task is in the slot, or is about to be */
static struct rota_atomic_u32 over;
static unsigned long had, stolen[THIEVES];

/* Nobody else has it: `id` is plain. */
static void have(rota_task *task)
{
	const ptrdiff_t i = task - tasks;

	expect(i, >=, 0);
	expect(i, <, TASKS);
	task->id++;
	expect(rota__swap(&waits[i], 0, RELEASE), ==, 1); /* partner: put */
}

static void *steal(void *arg)
{
	unsigned long *mine = arg;
	struct stress_random random = stress_random_new((uint64_t)(mine - stolen) + 1);

	while (!rota__load(&over, RELAXED)) {
		rota_task *task = rota__next_steal(&slot, &marking);

		if (task != NULL) {
			have(task);
			++*mine;
		}
		if (stress_one_in(&random, 8))
			stress_pause(&random);
	}
	return NULL;
}

static bool put(uint32_t i, uint64_t shared)
{
	rota_task *old;

	if (rota__load(&waits[i], ACQUIRE)) /* partner: have */
		return false;
	rota__store(&waits[i], 1, RELAXED); /* the slot orders it */
	tasks[i].id++;
	old = rota__next_push(&slot, &tasks[i], shared);
	if (old != NULL) {
		have(old);
		had++;
	}
	return true;
}

static void take(void)
{
	rota_task *task = rota__next_take(&slot);

	if (task != NULL) {
		have(task);
		had++;
	}
}

int main(int argc, char **argv)
{
	struct stress_threads threads = { .n = 0 };
	struct stress_random random;
	unsigned long puts = 0, all = 0, moves = 0;
	uint64_t own;

	stress_start(argc, argv, NULL);
	own = rota__sys_has_sequences() ? 0 : ROTA__NEXT_SHARED;
	random = stress_random_new(0);
	for (unsigned i = 0; i < THIEVES; i++)
		stress_thread(&threads, steal, &stolen[i]);
	while (puts < (unsigned long)PUTS * stress_scale) {
		puts += put(stress_below(&random, TASKS), stress_one_in(&random, 4) ? ROTA__NEXT_SHARED : own);
		if (!stress_one_in(&random, 4))
			take();
		if (stress_one_in(&random, 16))
			stress_pause(&random);
		if (++moves % 1024 == 0)
			stress_moved();
	}
	rota__store(&over, 1, RELAXED);
	stress_join(&threads);
	take();
	expect(rota__next_waits(&slot), ==, false);
	for (unsigned i = 0; i < THIEVES; i++)
		all += stolen[i];
	for (unsigned i = 0; i < TASKS; i++)
		expect(rota__load(&waits[i], RELAXED), ==, 0);
	expect(had + all, ==, puts);
	expect(tasks[0].id + tasks[1].id + tasks[2].id, ==, 2 * puts);
	printf("%lu tasks put there, %lu stolen\n", puts, all);
	return 0;
}
