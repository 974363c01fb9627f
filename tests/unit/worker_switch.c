/* SPDX-License-Identifier: MIT */
/*
 * Fibers that give way to each other without the worker's loop: whatever kind of task comes before or after, each keeps its
 * stack and its result, what it needed is given back, and nothing runs once the loop is to stop.
 */
#define _GNU_SOURCE
#include "../../runtime/runtime_internal.h"
#include "fall.h"
#include "unit.h"

#include <time.h>

/* --- kinds of tasks ------------------------------------------------------------------------------------------------------ */

enum { KIND_FIBER, KIND_OWN_STACK, KIND_LOCAL, KIND_FORKS, KIND_NAMED, KIND_FUTURE, KINDS };

struct player {
	struct rota_yield_op yield;
	struct rota_future future;
	unsigned kind, yields, number;
	rota_task *task;
};

static int count_range(size_t begin, size_t end, void *arg)
{
	struct rota_atomic_u64 *sum = arg;

	rota__fetch_add(sum, end - begin, RELAXED);
	return 0;
}

static int play(void *arg)
{
	struct player *player = arg;
	unsigned char bytes[1000];

	memset(bytes, (int)player->number, sizeof(bytes));
	for (unsigned i = 0; i < player->yields; i++) {
		struct rota_atomic_u64 sum = { 0 };

		if (player->kind == KIND_FORKS)
			expect(rota_parallel_for(0, 100, 10, count_range, &sum), ==, 0);
		expect(rota__load(&sum, RELAXED), ==, player->kind == KIND_FORKS ? 100 : 0);
		expect(rota_yield(), ==, 0);
		for (size_t at = 0; at < sizeof(bytes); at += 97)
			expect(bytes[at], ==, (unsigned char)player->number);
	}
	return (int)player->number;
}

static rota_poll play_poll(struct rota_future *self, struct rota_context *cx)
{
	struct player *player = (struct player *)(void *)((char *)self - offsetof(struct player, future));

	while (player->yields > 0) {
		if (rota_future_poll(&player->yield.future, cx) == ROTA_PENDING)
			return ROTA_PENDING;
		player->yields--;
		rota_yield_init(&player->yield);
	}
	self->status = (int)player->number;
	return ROTA_READY;
}

static const struct rota_future_ops play_ops = { .poll = play_poll };

static int start(struct player *player)
{
	const struct rota_task_attr own_stack = { .stack_size = 128 * 1024 };
	const struct rota_task_attr named = { .name = "named" };

	switch (player->kind) {
	case KIND_OWN_STACK:
		return rota_spawn_with(&player->task, &own_stack, play, player);
	case KIND_NAMED:
		return rota_spawn_with(&player->task, &named, play, player);
	case KIND_LOCAL:
		return rota_spawn_local(&player->task, play, player);
	case KIND_FUTURE:
		rota_yield_init(&player->yield);
		rota_future_init(&player->future, &play_ops);
		return rota_spawn_future(&player->task, &player->future);
	default:
		return rota_spawn(&player->task, play, player);
	}
}

#define PLAYERS 200
#define ROUNDS 50

static int kinds_in_any_order(void *arg)
{
	static struct player players[PLAYERS];
	unsigned seed = *(unsigned *)arg;

	for (unsigned round = 0; round < ROUNDS; round++) {
		for (unsigned i = 0; i < PLAYERS; i++) {
			struct player *player = &players[i];

			player->number = i;
			player->kind = (unsigned)rand_r(&seed) % KINDS;
			player->yields = (unsigned)rand_r(&seed) % 4;
			expect(start(player), ==, 0);
			if (rand_r(&seed) % 8 == 0)
				expect(rota_yield(), ==, 0);
		}
		for (unsigned i = 0; i < PLAYERS; i++)
			unit_expect_join(players[i].task, (int)i);
	}
	return 0;
}

static void with_a_seed(enum rota_flavor flavor, unsigned workers)
{
	const struct rota_config config = { .workers = workers, .flavor = flavor };
	unsigned seed = (unsigned)time(NULL);
	rota_runtime *rt = NULL;

	printf("seed %u\n", seed);
	expect(rota_runtime_new(&rt, &config), ==, 0);
	expect(rota_block_on(rt, kinds_in_any_order, &seed), ==, 0);
	rota_runtime_free(rt);
}

UNIT_TEST(worker_switch, kinds_of_tasks_follow_each_other_on_caller)
{
	with_a_seed(ROTA_FLAVOR_CURRENT_THREAD, 1);
}

UNIT_TEST(worker_switch, kinds_of_tasks_follow_each_other_on_one_worker)
{
	with_a_seed(ROTA_FLAVOR_MULTI_THREAD, 1);
}

UNIT_TEST(worker_switch, kinds_of_tasks_follow_each_other_on_workers)
{
	with_a_seed(ROTA_FLAVOR_MULTI_THREAD, UNIT_WORKERS);
}

/* --- stacks -------------------------------------------------------------------------------------------------------------- */

static int nothing(void *arg)
{
	(void)arg;
	return 0;
}

/* Stacks that are set aside for fibers. On the only worker. */
static size_t reserved(void)
{
	struct rota__worker *worker = rota__worker_self();

	return worker->rt->stacks.reserved - worker->stacks.credit;
}

static int end_in_a_row(void *arg)
{
	const size_t before = reserved();

	(void)arg;
	for (int round = 0; round < 100; round++) {
		rota_task *tasks[50];

		for (int i = 0; i < 50; i++)
			tasks[i] = unit_spawn(nothing, NULL);
		expect(reserved(), ==, before + 50);
		for (int i = 0; i < 50; i++)
			unit_expect_join(tasks[i], 0);
		expect(reserved(), ==, before);
	}
	return 0;
}

UNIT_TEST(worker_switch, a_stack_that_is_handed_on_stays_reserved_for_one)
{
	rota_runtime *rt = unit_runtime(ROTA_FLAVOR_CURRENT_THREAD);

	expect(rota_block_on(rt, end_in_a_row, NULL), ==, 0);
	rota_runtime_free(rt);
}

static int fall_second(void *arg)
{
	const struct rota_task_attr first = { .name = "the first" }, second = { .name = "the second" };
	rota_task *tasks[2];

	(void)arg;
	expect(rota_spawn_with(&tasks[0], &first, nothing, NULL), ==, 0);
	expect(rota_spawn_with(&tasks[1], &second, fall_for_ever, NULL), ==, 0);
	return rota_join(tasks[1], NULL);
}

static void run_fall_second(void *arg)
{
	(void)arg;
	rota_block_on(unit_runtime(ROTA_FLAVOR_CURRENT_THREAD), fall_second, NULL);
}

UNIT_TEST(worker_switch, an_overflow_is_that_of_whoever_has_the_stack)
{
	static struct unit_child child;

	unit_child_run(&child, run_fall_second, NULL);
	expect(WIFSIGNALED(child.status), ==, 1);
	expect_contains(child.text, "\"the second\"");
}

/* --- what runs at the end of a task ---------------------------------------------------------------------------------------- */

#define ENDERS 100u

static struct rota_atomic_u64 begun_at_ends, dropped;

static int count_begun(void *arg)
{
	(void)arg;
	rota__fetch_add(&begun_at_ends, 1, RELAXED);
	return 0;
}

/* Does in the task, whose body has returned, what moves it to another worker, and gives it forks. */
static void drop_busily(void *value)
{
	struct rota_atomic_u64 sum = { 0 };
	rota_task *task;

	expect(rota_spawn(&task, count_begun, NULL), ==, 0);
	expect(rota_yield(), ==, 0);
	expect(rota_parallel_for(0, 100, 10, count_range, &sum), ==, 0);
	expect(rota__load(&sum, RELAXED), ==, 100);
	unit_expect_join(task, 0);
	rota__fetch_add(&dropped, (uintptr_t)value, RELAXED);
}

static const struct rota_local_key busy_key = { NULL, drop_busily };

static int end_busily(void *arg)
{
	struct player *player = arg;

	expect(rota_local_set(&busy_key, (void *)(uintptr_t)1), ==, 0);
	return player->yields > 0 ? rota_yield() : 0;
}

static void *same_data(void *data)
{
	return data;
}

/* The waker of an executor of the program's own. It runs at the end of the task that it waits for, where there is no task. */
static void spawn_one(void *data)
{
	expect(rota_spawn(NULL, count_begun, NULL), ==, 0);
	rota__fetch_add((struct rota_atomic_u64 *)data, 1, RELEASE); /* partner: the wait for it */
}

static void drop_none(void *data)
{
	(void)data;
}

static const struct rota_waker_ops spawning_ops = { same_data, spawn_one, spawn_one, drop_none };

static int end_in_all_ways(void *arg)
{
	static struct player players[ENDERS];
	static struct rota_join_op joins[ENDERS];
	struct rota_atomic_u64 woken = { 0 };
	const struct rota_waker waker = { &spawning_ops, &woken };
	struct rota_context cx = { &waker };
	const struct rota_task_attr own_stack = { .stack_size = 128 * 1024 };
	bool pending[ENDERS];
	uint64_t waited_for = 0;

	(void)arg;
	for (unsigned i = 0; i < ENDERS; i++) {
		players[i].yields = i % 2;
		expect(rota_spawn_with(&players[i].task, i % 3 == 0 ? &own_stack : NULL, end_busily, &players[i]), ==,
		       0);
	}
	for (unsigned i = 0; i < ENDERS; i++) {
		rota_join_init(&joins[i], players[i].task);
		pending[i] = rota_future_poll(&joins[i].future, &cx) == ROTA_PENDING;
		waited_for += pending[i];
	}
	while (rota__load(&woken, ACQUIRE) < waited_for || rota__load(&begun_at_ends, RELAXED) < ENDERS + waited_for)
		expect(rota_yield(), ==, 0);
	for (unsigned i = 0; i < ENDERS; i++) {
		if (pending[i]) /* it was woken, a moment before the task has ended */
			expect(rota_future_poll(&joins[i].future, &cx), ==, ROTA_READY);
		unit_expect_join(players[i].task, 0);
	}
	expect(rota__load(&begun_at_ends, RELAXED), ==, ENDERS + waited_for);
	expect(rota__load(&dropped, RELAXED), ==, ENDERS);
	return 0;
}

static void end_on(enum rota_flavor flavor, unsigned workers)
{
	const struct rota_config config = { .workers = workers, .flavor = flavor };
	rota_runtime *rt = NULL;

	expect(rota_runtime_new(&rt, &config), ==, 0);
	for (int round = 0; round < 20; round++) {
		rota__store(&begun_at_ends, 0, RELAXED);
		rota__store(&dropped, 0, RELAXED);
		expect(rota_block_on(rt, end_in_all_ways, NULL), ==, 0);
	}
	rota_runtime_free(rt);
}

UNIT_TEST(worker_switch, a_task_may_wait_and_spawn_at_its_end_on_caller)
{
	end_on(ROTA_FLAVOR_CURRENT_THREAD, 1);
}

UNIT_TEST(worker_switch, a_task_may_wait_and_spawn_at_its_end_on_workers)
{
	end_on(ROTA_FLAVOR_MULTI_THREAD, UNIT_WORKERS);
}

/* --- the end of the loop ------------------------------------------------------------------------------------------------- */

static unsigned links;
static bool enough;

/* Each is spawned by the one before. */
static int go_on(void *arg)
{
	links++;
	return enough ? 0 : rota_spawn(NULL, go_on, arg);
}

static int end_beside_a_chain(void *arg)
{
	unsigned *at_end = arg;

	expect(rota_spawn(NULL, go_on, NULL), ==, 0);
	while (links < 1000)
		expect(rota_yield(), ==, 0);
	*at_end = links;
	return 0;
}

UNIT_TEST(worker_switch, nothing_runs_after_the_task_that_is_waited_for)
{
	rota_runtime *rt = unit_runtime(ROTA_FLAVOR_CURRENT_THREAD);
	unsigned at_end = 0;

	for (int round = 0; round < 100; round++) {
		links = 0;
		enough = false;
		expect(rota_block_on(rt, end_beside_a_chain, &at_end), ==, 0);
		expect(links, ==, at_end);
		enough = true;
		expect(rota_block_on(rt, nothing, NULL), ==, 0);
	}
	rota_runtime_free(rt);
}

/* --- coming back from a wait ---------------------------------------------------------------------------------------------- */

static uint64_t far[3]; /* what a call was given */

static __attribute__((noinline)) int wait_one(struct rota_notify *n)
{
	return rota_notify_wait(n);
}

static __attribute__((noinline)) int64_t wait_two(struct rota_notify *n, uint64_t second)
{
	far[1] = second;
	return rota_notify_wait(n) == 0 ? INT64_MIN : 0;
}

static __attribute__((noinline)) bool wait_three(struct rota_notify *n, bool second, uint64_t third)
{
	far[1] = second;
	far[2] = third;
	return rota_notify_wait(n) == 0;
}

struct corner {
	struct rota_notify here, *there;
	unsigned turns;
};

static int come_back_from_one(void *arg)
{
	struct corner *corner = arg;

	for (; corner->turns > 0; corner->turns--) {
		expect(ROTA__COME_BACK1(wait_one, &corner->here), ==, 0);
		rota_notify_one(corner->there);
	}
	return 0;
}

/* From other places, of which two follow each other. */
static int come_back_from_others(void *arg)
{
	struct corner *corner = arg;

	for (; corner->turns > 0; corner->turns--) {
		const uint64_t turn = (uint64_t)corner->turns << 40;

		rota_notify_one(corner->there);
		if (corner->turns % 3 > 0) {
			expect(ROTA__COME_BACK2(wait_two, &corner->here, turn), ==, INT64_MIN);
			expect(far[1], ==, turn);
		} else {
			expect(ROTA__COME_BACK3(wait_three, &corner->here, true, turn), ==, true);
			expect(far[1], ==, true);
			expect(far[2], ==, turn);
		}
	}
	return 0;
}

UNIT_TEST(worker_switch, waits_come_back_to_where_they_were_called_with_what_was_returned)
{
	const struct rota_config config = { .workers = 1 };
	struct corner one = { .turns = 1000 }, other = { .there = &one.here, .turns = 1000 };
	rota_runtime *rt = NULL;
	rota_task *tasks[2];

	one.there = &other.here;
	expect(rota_runtime_new(&rt, &config), ==, 0);
	unit_no_more_spares(rt); /* what is returned is kept in one place */
	expect(rota_spawn_on(rt, &tasks[0], come_back_from_one, &one), ==, 0);
	expect(rota_spawn_on(rt, &tasks[1], come_back_from_others, &other), ==, 0);
	unit_expect_join(tasks[0], 0);
	unit_expect_join(tasks[1], 0);
	rota_runtime_free(rt);
}
