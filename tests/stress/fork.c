/* SPDX-License-Identifier: MIT */
/*
 * Fork and join: random trees whose frames wait, yield, spawn and are cancelled, on one to four workers and on the
 * caller. Each node knows from its number alone what it does and what its status is, so every join can be checked:
 * a frame runs once, or, below a task that was cancelled, not at all. After the trees a ladder is climbed down, each rung
 * of which is there to be taken. How often a frame was taken is printed for each depth, and must not be never for a
 * depth of the ladder.
 */
#define _GNU_SOURCE
#include <errno.h>

#include "../../runtime/runtime_internal.h"
#include "runtime_report.h"
#include "stress.h"

#define CHILDREN 6
#define TREES STRESS_FEWER(160)
#define PLANTERS 3
#define RUNGS 40u
#define RUNG_TRIES 1000 /* sleeps until a rung is taken */

static rota_runtime *runtime_now;
static struct rota_atomic_u64 steals;
static struct rota_atomic_u64 taken_from_trees[8], taken_from_ladders[RUNGS + 1];

/* A frame runs in its forker's fiber, or it was taken. */
static void note_taken(struct rota_atomic_u64 counts[], unsigned depth, uint64_t forker)
{
	if (rota_task_id() != forker)
		rota__fetch_add(&counts[depth], 1, RELAXED);
}

static void report(void)
{
	if (runtime_now != NULL)
		runtime_report(runtime_now);
}

/* How many nodes a tree has depends on its number too. */
struct node {
	uint64_t number;
	unsigned depth; /* how much deeper it goes */
	unsigned level; /* how deep it is */
	uint64_t forker;
	bool cancels; /* the tree may be cancelled */
	uint32_t runs;
	uint64_t sum;
};

static uint64_t mix(uint64_t x)
{
	struct stress_random random = { x };

	return stress_next(&random);
}

static unsigned children_of(const struct node *node)
{
	return node->depth == 0 ? 0 : (unsigned)(mix(node->number) % (CHILDREN + 1));
}

static struct node child_of(const struct node *node, unsigned i)
{
	return (struct node){
		.number = mix(node->number + i + 1),
		.depth = node->depth - 1,
		.level = node->level + 1,
		.cancels = node->cancels,
	};
}

/* What a tree adds up to, without any forks. */
static uint64_t expected_sum(const struct node *node)
{
	uint64_t sum = node->number;

	for (unsigned i = children_of(node); i-- > 0;) {
		struct node child = child_of(node, i);

		sum += expected_sum(&child);
	}
	return sum;
}

static int nothing(void *arg)
{
	(void)arg;
	return 0;
}

/* Lets time pass, in one of the ways that there are; -ECANCELED is fine in a tree that may be. */
static void pass_time(struct node *node, struct stress_random *random)
{
	rota_task *task;
	int rc = 0;

	switch (stress_below(random, 40)) {
	case 0:
		rc = rota_sleep(stress_below(random, 50000));
		break;
	case 1:
	case 2:
		rc = rota_yield();
		break;
	case 3:
		rota_shield_enter();
		expect(rota_spawn(&task, nothing, NULL), ==, 0);
		expect(rota_join(task, NULL), ==, 0);
		rota_shield_leave();
		break;
	case 4:
	case 5:
	case 6:
		for (unsigned n = stress_below(random, 3000); n > 0; n--)
			rota__cpu_relax();
		break;
	default:
		break;
	}
	if (rc != 0) {
		expect(rc, ==, -ECANCELED);
		expect(node->cancels, ==, 1);
	}
}

static int status_of(const struct node *node)
{
	return (int)(node->number >> 40) - (1 << 22);
}

static int grow_untyped(void *arg);

ROTA_FORK_DEFINE_1(int, grow, struct node *, node)
{
	struct stress_random random = { node->number ^ stress_seed };
	const unsigned n = children_of(node);
	struct node children[CHILDREN];
	struct grow_frame typed[CHILDREN];
	struct rota_frame untyped[CHILDREN];
	bool is_typed[CHILDREN];

	if (node->level > 0)
		note_taken(taken_from_trees, node->level, node->forker);
	node->runs++;
	node->sum = node->number;
	for (unsigned i = 0; i < n; i++) {
		children[i] = child_of(node, i);
		children[i].forker = rota_task_id();
		is_typed[i] = stress_one_in(&random, 2);
		if (is_typed[i])
			ROTA_FORK(grow, &typed[i], &children[i]);
		else
			rota_fork(&untyped[i], grow_untyped, &children[i]);
		pass_time(node, &random);
	}
	for (unsigned i = n; i-- > 0;) {
		int status = is_typed[i] ? ROTA_FORK_JOIN(grow, &typed[i]) : rota_fork_join(&untyped[i]);

		if (children[i].runs == 0) {
			expect(node->cancels, ==, 1);
			expect(status, ==, is_typed[i] ? 0 : -ECANCELED);
		} else {
			expect(children[i].runs, ==, 1);
			expect(status, ==, status_of(&children[i]));
			node->sum += children[i].sum;
		}
		if (stress_one_in(&random, 4))
			pass_time(node, &random);
	}
	stress_moved();
	return status_of(node);
}

static int grow_untyped(void *arg)
{
	return grow(arg);
}

/* A tree in the poll of a stackless task, whose frames may not wait. */
ROTA_FORK_DEFINE_1(uint64_t, grow_in_poll, const struct node *, node)
{
	const unsigned n = children_of(node);
	struct grow_in_poll_frame frames[CHILDREN];
	struct node children[CHILDREN];
	uint64_t sum = node->number;

	for (unsigned i = 0; i < n; i++) {
		children[i] = child_of(node, i);
		ROTA_FORK(grow_in_poll, &frames[i], &children[i]);
	}
	for (unsigned i = n; i-- > 0;)
		sum += ROTA_FORK_JOIN(grow_in_poll, &frames[i]);
	stress_moved();
	return sum;
}

struct polled {
	struct rota_future future;
	struct node node;
	unsigned again;
};

static rota_poll polled_poll(struct rota_future *self, struct rota_context *cx)
{
	struct polled *polled = (struct polled *)(void *)self;

	expect(grow_in_poll(&polled->node), ==, expected_sum(&polled->node));
	if (polled->again-- > 0) {
		rota_wake_by_ref(cx->waker);
		return ROTA_PENDING;
	}
	return ROTA_READY;
}

static const struct rota_future_ops polled_ops = { .poll = polled_poll };

static void plant_polled(struct stress_random *random)
{
	struct polled polled = { .node = { .number = stress_next(random), .depth = 4 }, .again = 2 };
	rota_task *task;

	rota_future_init(&polled.future, &polled_ops);
	expect(rota_spawn_future(&task, &polled.future), ==, 0);
	expect(rota_join(task, NULL), ==, 0);
}

static void plant_one(struct stress_random *random)
{
	const struct rota_task_attr attr = {
		.name = "tree",
		.stack_size = stress_one_in(random, 4) ? 100000 : 0,
	};
	struct node node = {
		.number = stress_next(random),
		.depth = 3 + stress_below(random, 4),
		.cancels = stress_one_in(random, 3),
	};
	rota_task *task;
	int status;

	expect(rota_spawn_with(&task, &attr, grow_untyped, &node), ==, 0);
	if (node.cancels) {
		expect(rota_sleep(stress_below(random, 300000)), ==, 0);
		expect(rota_cancel(task), ==, 0);
	}
	expect(rota_join(task, &status), ==, 0);
	expect(status, ==, status_of(&node));
	if (!node.cancels)
		expect(node.sum, ==, expected_sum(&node));
}

struct rung {
	unsigned depth;
	uint64_t forker;
	struct rota_atomic_u32 begun;
};

/* Its frame is the only thing to do while it sleeps, for this worker too. */
ROTA_FORK_DEFINE_1(int, climb, struct rung *, rung)
{
	struct rung next = { .depth = rung->depth + 1, .forker = rota_task_id() };
	struct climb_frame frame;

	if (rung->depth > 0)
		note_taken(taken_from_ladders, rung->depth, rung->forker);
	rota__store(&rung->begun, 1, RELAXED);
	stress_moved();
	if (rung->depth == RUNGS)
		return 1;
	ROTA_FORK(climb, &frame, &next);
	for (int i = 0; i < RUNG_TRIES && !rota__load(&next.begun, RELAXED); i++)
		expect(rota_sleep(ROTA_US(10)), ==, 0);
	return 1 + ROTA_FORK_JOIN(climb, &frame);
}

static int climb_down(void *arg)
{
	struct rung top = { 0 };

	(void)arg;
	expect(climb(&top), ==, RUNGS + 1);
	return 0;
}

static int plant(void *arg)
{
	struct stress_random random = stress_random_new((uintptr_t)arg);

	for (unsigned i = 0; i < TREES; i++) {
		if (stress_one_in(&random, 8))
			plant_polled(&random);
		else
			plant_one(&random);
	}
	return 0;
}

static int planters(void *arg)
{
	rota_task *tasks[PLANTERS];

	for (uintptr_t i = 0; i < PLANTERS; i++)
		expect(rota_spawn(&tasks[i], plant, (void *)((uintptr_t)arg + i)), ==, 0);
	for (unsigned i = 0; i < PLANTERS; i++)
		expect(rota_join(tasks[i], NULL), ==, 0);
	return 0;
}

static void round_of(struct stress_random *random, enum rota_flavor flavor, unsigned workers)
{
	const struct rota_config config = { .workers = workers, .flavor = flavor };
	struct rota_metrics metrics;
	rota_runtime *rt;

	expect(rota_runtime_new(&rt, &config), ==, 0);
	runtime_now = rt;
	expect(rota_block_on(rt, planters, (void *)(uintptr_t)(stress_next(random) >> 8)), ==, 0);
	expect(rota_block_on(rt, climb_down, NULL), ==, 0);
	rota_runtime_metrics(rt, &metrics);
	rota__fetch_add(&steals, metrics.steals, RELAXED);
	expect(rota_runtime_shutdown(rt, ROTA_NEVER), ==, 0);
	runtime_now = NULL;
	rota_runtime_free(rt);
}

static void print_taken(const char *from, const struct rota_atomic_u64 counts[], unsigned deepest)
{
	printf("taken from %s, by depth:", from);
	for (unsigned depth = 1; depth <= deepest; depth++)
		printf(" %" PRIu64, rota__load(&counts[depth], RELAXED));
	printf("\n");
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
	printf("%llu steals\n", (unsigned long long)rota__load(&steals, RELAXED));
	print_taken("trees", taken_from_trees, 6);
	print_taken("ladders", taken_from_ladders, RUNGS);
	for (unsigned depth = 1; depth <= RUNGS; depth++)
		expect(rota__load(&taken_from_ladders[depth], RELAXED), >, 0);
	return 0;
}
