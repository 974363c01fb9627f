/* SPDX-License-Identifier: MIT */
/*
 * Trees of tasks of every kind, grown at random from several threads at once: fibers, fibers that stay where they are,
 * fibers with stacks of their own, stackless tasks, blocking jobs; joined in any order or detached. Each runs once, each
 * join gets the status of just that task, and none is left in the end.
 */
#define _GNU_SOURCE
#include "runtime_report.h"
#include "stress.h"

#define BUDGET STRESS_FEWER(40000) /* tasks of a round */
#define ALIVE STRESS_FEWER(3000)   /* at once; the thread sanitizer knows no more than 8,000 */
#define CHILDREN 12u
#define PLANTERS 3u

static rota_runtime *runtime_now;
static struct rota_atomic_u32 budget; /* tasks that may still be made; wraps below zero */
static struct rota_atomic_u32 made, ran, ended;

static void report(void)
{
	dprintf(expect_output_, "%u made, %u ran\n", rota__load(&made, RELAXED), rota__load(&ran, RELAXED));
	if (runtime_now != NULL)
		runtime_report(runtime_now);
}

static bool may_make(void)
{
	if ((int32_t)(rota__load(&made, RELAXED) - rota__load(&ended, RELAXED)) >= ALIVE)
		return false;
	if ((int32_t)rota__fetch_sub(&budget, 1, RELAXED) <= 0)
		return false;
	rota__fetch_add(&made, 1, RELAXED);
	return true;
}

static void count_run(void)
{
	rota__fetch_add(&ran, 1, RELAXED);
	stress_moved();
}

static void count_end(void)
{
	rota__fetch_add(&ended, 1, RELAXED);
}

/* A stackless leaf: wakes itself a few times, then waits for a timer. */
struct leaf {
	struct rota_future future;
	struct rota_timer timer;
	unsigned steps;
	int status;
};

static rota_poll leaf_poll(struct rota_future *self, struct rota_context *cx)
{
	struct leaf *leaf = (struct leaf *)(void *)self;

	if (leaf->steps > 0) {
		leaf->steps--;
		rota_wake_by_ref(cx->waker);
		return ROTA_PENDING;
	}
	if (rota_future_poll(&leaf->timer.future, cx) == ROTA_PENDING)
		return ROTA_PENDING;
	count_run();
	count_end();
	self->status = leaf->status;
	return ROTA_READY;
}

static const struct rota_future_ops leaf_ops = { .poll = leaf_poll };

static int job(void *arg)
{
	count_run();
	count_end();
	return (int)(intptr_t)arg;
}

static int tree(void *arg);

struct child {
	rota_task *task;
	int expected;
	struct leaf leaf;
};

/* The argument of a task is its number, which is its status and the seed of what it does. */
static void spawn_child(struct stress_random *random, struct child *child)
{
	const struct rota_task_attr attr = {
		.name = "branch",
		.stack_size = 16 * 1024 + stress_below(random, 50000),
	};
	void *arg;

	child->expected = (int)(stress_next(random) >> 34);
	arg = (void *)(intptr_t)child->expected;
	switch (stress_below(random, 16)) {
	case 0:
		expect(rota_spawn_with(&child->task, &attr, tree, arg), ==, 0);
		break;
	case 1:
	case 2:
		expect(rota_spawn_local(&child->task, tree, arg), ==, 0);
		break;
	case 3:
		expect(rota_spawn_blocking(&child->task, job, arg), ==, 0);
		break;
	case 4:
	case 5:
	case 6:
		rota_future_init(&child->leaf.future, &leaf_ops);
		rota_timer_init(&child->leaf.timer, rota_now() + stress_below(random, 100000));
		child->leaf.steps = stress_below(random, 5);
		child->leaf.status = child->expected;
		expect(rota_spawn_future(&child->task, &child->leaf.future), ==, 0);
		break;
	case 7:
		expect(rota_spawn_on(rota_runtime_current(), &child->task, tree, arg), ==, 0);
		break;
	default:
		expect(rota_spawn(&child->task, tree, arg), ==, 0);
	}
}

/* A child whose memory is not of its parent's stack may be let go. */
static bool let_go(struct stress_random *random)
{
	if (!stress_one_in(random, 6) || !may_make())
		return false;
	expect(rota_spawn(NULL, tree, (void *)(intptr_t)(stress_next(random) >> 34)), ==, 0);
	return true;
}

static void join_child(struct child *child)
{
	int status = -1;

	expect(rota_join(child->task, &status), ==, 0);
	expect(status, ==, child->expected);
}

static int tree(void *arg)
{
	struct stress_random random = stress_random_new((uintptr_t)arg);
	const unsigned most = stress_below(&random, CHILDREN + 1);
	struct child children[CHILDREN];
	unsigned n = 0, order;

	count_run();
	while (n < most && !let_go(&random) && may_make())
		spawn_child(&random, &children[n++]);
	for (unsigned yields = stress_below(&random, 3); yields > 0; yields--)
		expect(rota_yield(), ==, 0);
	/* From somewhere in the middle, round. */
	order = n > 0 ? stress_below(&random, n) : 0;
	for (unsigned i = 0; i < n; i++)
		join_child(&children[(order + i) % n]);
	count_end();
	return (int)(intptr_t)arg;
}

/* Plants trees until nothing may be made any more. */
struct planter {
	rota_runtime *rt;
	struct stress_random random;
};

static void *plant(void *arg)
{
	struct planter *planter = arg;

	while ((int32_t)rota__load(&budget, RELAXED) > 0) {
		const int number = (int)(stress_next(&planter->random) >> 34);
		rota_task *task;
		int status = -1;

		rota__fetch_add(&made, 1, RELAXED);
		if (stress_one_in(&planter->random, 4)) {
			expect(rota_spawn_on(planter->rt, &task, tree, (void *)(intptr_t)number), ==, 0);
			expect(rota_join(task, &status), ==, 0);
		} else {
			status = rota_block_on(planter->rt, tree, (void *)(intptr_t)number);
		}
		expect(status, ==, number);
	}
	return NULL;
}

static int plant_alone(void *arg)
{
	struct planter *planter = arg;

	while ((int32_t)rota__load(&budget, RELAXED) > 0) {
		rota__fetch_add(&made, 1, RELAXED);
		tree((void *)(intptr_t)(stress_next(&planter->random) >> 34));
		rota_yield();
	}
	return 0;
}

static void until_none_is_left(rota_runtime *rt)
{
	expect_eventually(rota__runtime_alive(rt) == 0);
	expect(rota__load(&ran, SEQ_CST), ==, rota__load(&made, SEQ_CST));
}

static int yield_until_alone(void *arg)
{
	while (rota__runtime_alive(arg) > 1)
		rota_yield();
	return 0;
}

static void round_of(struct stress_random *random, enum rota_flavor flavor, unsigned workers)
{
	const struct rota_config config = { .workers = workers, .flavor = flavor, .stack_size = 32 * 1024 };
	struct planter planters[PLANTERS];
	struct stress_threads threads = { .n = 0 };
	rota_runtime *rt;

	expect(rota_runtime_new(&rt, &config), ==, 0);
	runtime_now = rt;
	rota__store(&budget, BUDGET, SEQ_CST);
	for (unsigned i = 0; i < PLANTERS; i++)
		planters[i] = (struct planter){ rt, stress_random_new(stress_next(random)) };
	if (flavor == ROTA_FLAVOR_CURRENT_THREAD) {
		expect(rota_block_on(rt, plant_alone, &planters[0]), ==, 0);
		expect(rota_block_on(rt, yield_until_alone, rt), ==, 0);
	} else {
		for (unsigned i = 0; i < PLANTERS; i++)
			stress_thread(&threads, plant, &planters[i]);
		stress_join(&threads);
	}
	until_none_is_left(rt);
	expect(rota_runtime_shutdown(rt, ROTA_NEVER), ==, 0);
	runtime_now = NULL;
	rota_runtime_free(rt);
}

int main(int argc, char **argv)
{
	struct stress_random random;

	unsetenv("ROTA_FLAVOR");
	stress_start(argc, argv, report);
	random = stress_random_new(0);
	for (unsigned i = 0; i < stress_scale; i++) {
		for (unsigned workers = 1; workers <= 4; workers++)
			round_of(&random, ROTA_FLAVOR_MULTI_THREAD, workers);
		round_of(&random, ROTA_FLAVOR_CURRENT_THREAD, 1);
	}
	printf("%u tasks\n", rota__load(&ran, SEQ_CST));
	return 0;
}
