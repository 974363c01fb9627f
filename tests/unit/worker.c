/* SPDX-License-Identifier: MIT */
/*
 * In which order tasks run, and that each gets its turn: whatever the others do, and whoever stands in its way. A task
 * that starves makes a test hang.
 */
#define _GNU_SOURCE
#include <sys/socket.h>

#include "../../runtime/bias_internal.h"
#include "../../runtime/cost_internal.h"
#include "../../runtime/runtime_internal.h"
#include "../../runtime/sys_internal.h"
#include "../../runtime/worker_parts_internal.h"
#include "unit.h"

static struct rota_atomic_u32 done;

static bool is_done(void)
{
	return rota__load(&done, SEQ_CST) != 0;
}

static int set_done(void *arg)
{
	rota__store(&done, 1, SEQ_CST);
	return (int)(intptr_t)arg;
}

static int arg_is_status(void *arg)
{
	return (int)(intptr_t)arg;
}

static int sleep_and_set_done(void *arg)
{
	expect(rota_sleep(ROTA_MS(1)), ==, 0);
	return set_done(arg);
}

UNIT_TEST(worker, steals_in_an_order_that_the_seed_says)
{
	rota_runtime rt = { .config = { .seed = 5 } };
	struct rota__worker worker = { .index = 0 }, again = { .index = 0 }, other = { .index = 0 };

	rota__worker_init(&worker, &rt, 1);
	rota__worker_init(&again, &rt, 1);
	rota__worker_init(&other, &rt, 2);
	expect(worker.random, ==, again.random);
	expect(worker.random, !=, other.random);
	rt.config.seed = 6;
	rota__worker_init(&again, &rt, 1);
	expect(worker.random, !=, again.random);
}

/* A runtime with one worker, which is a thread or the caller. It is not taken for one that is stuck where it has no CPU. */
static rota_runtime *alone(enum rota_flavor flavor)
{
	const struct rota_config config = { .workers = 1, .flavor = flavor, .stall_ns = ROTA_SECONDS(1000) };
	rota_runtime *rt = NULL;

	expect(rota_runtime_new(&rt, &config), ==, 0);
	return rt;
}

/* ALONE_TEST(name) { ... }: the body of a fiber that has the only worker. */
#define ALONE_TEST(name) \
	static void name(void); \
	static int name##_fn(void *arg) \
	{ \
		(void)arg; \
		name(); \
		return 0; \
	} \
	UNIT_TEST(worker, name##_on_one_worker) \
	{ \
		rota_runtime *rt = alone(ROTA_FLAVOR_MULTI_THREAD); \
\
		expect(rota_block_on(rt, name##_fn, NULL), ==, 0); \
		rota_runtime_free(rt); \
	} \
	UNIT_TEST(worker, name##_on_caller) \
	{ \
		rota_runtime *rt = alone(ROTA_FLAVOR_CURRENT_THREAD); \
\
		expect(rota_block_on(rt, name##_fn, NULL), ==, 0); \
		rota_runtime_free(rt); \
	} \
	static void name(void)

/* --- the next slot ------------------------------------------------------------------------------------------------------- */

/* Puts a task there that it may take without a locked instruction, and does not move before that has run. */
static int stuck_before_its_next_task(void *arg)
{
	struct rota__worker *worker = rota__worker_self();
	const uint64_t shared = worker->has_sequences ? 0 : ROTA__NEXT_SHARED;
	rota_task *task;

	(void)arg;
	worker->shares_next = shared;
	worker->next_streak = 0;
	task = unit_spawn(set_done, (void *)(intptr_t)5);
	while (!is_done())
		;
	unit_expect_join(task, 5);
	return 0;
}

UNIT_TEST(worker, has_its_next_task_stolen_while_it_is_stuck)
{
	const struct rota_config config = { .workers = 2 };
	rota_runtime *rt;

	expect(rota_runtime_new(&rt, &config), ==, 0);
	expect(rota_block_on(rt, stuck_before_its_next_task, NULL), ==, 0);
	rota_runtime_free(rt);
}

/* What no thief would want alone is the worker's own. */
UNIT_TEST(worker, shares_its_next_task_while_tasks_are_long)
{
	rota_runtime rt = { .config = { .seed = 5 } };
	struct rota__worker worker = { .index = 0 };

	rota__worker_init(&worker, &rt, 1);
	expect(worker.shares_next, ==, ROTA__NEXT_SHARED);
	for (unsigned has = 0; has < 2; has++) {
		worker.has_sequences = has;
		rota__store(&worker.mean, ROTA__STEAL_COST_NS - 1, RELAXED);
		rota__worker_account(&worker, 1);
		expect(worker.shares_next, ==, has ? 0 : ROTA__NEXT_SHARED);
		rota__store(&worker.mean, ROTA__STEAL_COST_NS, RELAXED);
		rota__worker_account(&worker, 2);
		expect(worker.shares_next, ==, ROTA__NEXT_SHARED);
	}
}

/* --- order ---------------------------------------------------------------------------------------------------------------- */

static unsigned char journal[1000];
static unsigned entries;

static int write_journal(void *arg)
{
	for (int i = 0; i < 10; i++) {
		journal[entries++] = (unsigned char)(uintptr_t)arg;
		expect(rota_yield(), ==, 0);
	}
	return 0;
}

ALONE_TEST(tasks_start_in_the_order_of_their_spawns_and_yield_in_turn)
{
	rota_task *tasks[5];

	for (uintptr_t i = 0; i < 5; i++)
		tasks[i] = unit_spawn(write_journal, (void *)i);
	for (int i = 0; i < 5; i++)
		unit_expect_join(tasks[i], 0);
	expect(entries, ==, 50);
	for (unsigned i = 0; i < 50; i++)
		expect(journal[i], ==, i % 5);
}

ALONE_TEST(local_tasks_take_turns_with_the_others)
{
	rota_task *tasks[4];
	unsigned seen[4] = { 0 };

	for (uintptr_t i = 0; i < 4; i++) {
		if (i % 2)
			expect(rota_spawn_local(&tasks[i], write_journal, (void *)i), ==, 0);
		else
			tasks[i] = unit_spawn(write_journal, (void *)i);
	}
	for (int i = 0; i < 4; i++)
		unit_expect_join(tasks[i], 0);
	/* None is done before another has begun. */
	for (unsigned i = 0; i < entries; i++) {
		seen[journal[i]]++;
		if (seen[journal[i]] == 10) {
			for (int other = 0; other < 4; other++)
				expect(seen[other], >=, 1);
		}
	}
	expect(entries, ==, 40);
}

/* --- who yields alone, and then is so no more -------------------------------------------------------------------------- */

#define LONG_ALONE 40 /* yields; a poll comes between now and then */

#define WAYS 4u
#define LOCAL_WAY 2u

static unsigned came;

static int come(void *arg)
{
	(void)arg;
	came++;
	return 0;
}

static int come_when_posted(void *arg)
{
	struct rota_semaphore *semaphore = arg;

	expect(rota_semaphore_acquire(semaphore, 1), ==, 0);
	return come(NULL);
}

/* A way for tasks to come. How many come. */
static unsigned bring(unsigned way, rota_task *tasks[2], struct rota_semaphore *semaphore)
{
	switch (way) {
	case 0:
		tasks[0] = unit_spawn(come, NULL);
		return 1;
	case 1:
		tasks[0] = unit_spawn(come, NULL);
		tasks[1] = unit_spawn(come, NULL);
		return 2;
	case LOCAL_WAY:
		expect(rota_spawn_local(&tasks[0], come, NULL), ==, 0);
		return 1;
	default:
		expect(rota_semaphore_release(semaphore, 1), ==, 0);
		return 1;
	}
}

/* The very next yield is theirs. Local tasks take turns with the others: there it is one of the next two. */
ALONE_TEST(who_yielded_alone_gives_way_to_whoever_comes)
{
	for (unsigned round = 0; round < 50 * WAYS; round++) {
		struct rota_semaphore semaphore = ROTA_SEMAPHORE_INIT(0);
		const unsigned way = round % WAYS;
		rota_task *tasks[2];
		unsigned n;

		if (way == 3) {
			tasks[0] = unit_spawn(come_when_posted, &semaphore);
			expect(rota_yield(), ==, 0);
		}
		for (unsigned i = 0; i < LONG_ALONE + round; i++)
			expect(rota_yield(), ==, 0);
		came = 0;
		n = bring(way, tasks, &semaphore);
		expect(rota_yield(), ==, 0);
		if (way == LOCAL_WAY)
			expect(rota_yield(), ==, 0);
		expect(came, ==, n);
		while (n > 0)
			unit_expect_join(tasks[--n], 0);
	}
}

static int come_from_outside(void *rt)
{
	/* A thread of the pool, which is none of the workers. */
	expect(rota_spawn_on(rt, NULL, come, NULL), ==, 0);
	return set_done(NULL);
}

/* Longer than a look at what others have left may be put off. */
static void compute(void)
{
	const uint64_t until = rota_now() + ROTA_US(50);

	while (rota_now() < until)
		;
}

/* Then each yield is a look. */
ALONE_TEST(who_computes_between_its_yields_gives_way_to_whoever_comes_from_outside)
{
	came = 0;
	for (unsigned round = 1; round <= 50; round++) {
		rota_task *job = NULL;

		for (unsigned i = 0; i < 10 + round % 7; i++) {
			compute();
			expect(rota_yield(), ==, 0);
		}
		rota__store(&done, 0, SEQ_CST);
		expect(rota_spawn_blocking(&job, come_from_outside, rota_runtime_current()), ==, 0);
		while (!is_done())
			compute();
		expect(rota_yield(), ==, 0);
		expect(came, ==, round);
		unit_expect_join(job, 0);
	}
}

struct stepper {
	struct rota_async async;
	struct rota_semaphore semaphore;
	unsigned round, i, n;
	rota_task *tasks[2];
};

static rota_poll stepper_poll(struct rota_future *self, struct rota_context *cx)
{
	struct stepper *s = (struct stepper *)(void *)self;

	ROTA_ASYNC_BEGIN(s);
	for (s->round = 0; s->round < 50 * WAYS; s->round++) {
		if (s->round % WAYS == 3) {
			s->tasks[0] = unit_spawn(come_when_posted, &s->semaphore);
			ROTA_YIELD(s, cx);
		}
		for (s->i = 0; s->i < LONG_ALONE + s->round; s->i++)
			ROTA_YIELD(s, cx);
		came = 0;
		s->n = bring(s->round % WAYS, s->tasks, &s->semaphore);
		ROTA_YIELD(s, cx);
		if (s->round % WAYS == LOCAL_WAY)
			ROTA_YIELD(s, cx);
		expect(came, ==, s->n);
		while (s->n > 0)
			rota_detach(s->tasks[--s->n]);
	}
	ROTA_ASYNC_END(s);
}

ALONE_TEST(who_yielded_alone_without_a_stack_gives_way_to_whoever_comes)
{
	static const struct rota_future_ops ops = ROTA_ASYNC_OPS(stepper_poll, "stepper");
	struct stepper stepper = { .semaphore = ROTA_SEMAPHORE_INIT(0) };
	rota_task *task;

	rota_async_init(&stepper.async, &ops);
	expect(rota_spawn_future(&task, &stepper.async.future), ==, 0);
	unit_expect_join(task, 0);
}

/* --- a task that never has to wait ------------------------------------------------------------------------------------------ */

static int always_ready(void *arg)
{
	(void)arg;
	while (!is_done())
		expect(rota_sleep_until(0), ==, 0);
	return 0;
}

ALONE_TEST(whose_waits_are_always_over_still_lets_others_run)
{
	rota_task *greedy = unit_spawn(always_ready, NULL), *modest = unit_spawn(set_done, NULL);

	unit_expect_join(greedy, 0);
	unit_expect_join(modest, 0);
}

ALONE_TEST(whose_waits_are_always_over_still_lets_timers_fire)
{
	rota_task *modest = unit_spawn(sleep_and_set_done, NULL), *greedy = unit_spawn(always_ready, NULL);

	unit_expect_join(greedy, 0);
	unit_expect_join(modest, 0);
}

static int join_finished_ones(void *arg)
{
	(void)arg;
	while (!is_done()) {
		rota_task *task = NULL;

		/* Of a pool thread, so that nobody has to run here for it. */
		expect(rota_spawn_blocking(&task, (rota_fn *)set_done, NULL), ==, 0);
		unit_expect_join(task, 0);
	}
	return 0;
}

ALONE_TEST(whose_joins_come_late_lets_others_run)
{
	unit_expect_join(unit_spawn(join_finished_ones, NULL), 0);
}

/* --- what has just come goes ahead ----------------------------------------------------------------------------------------- */

static void put_ahead(rota_task *tasks, unsigned first, unsigned n)
{
	for (unsigned i = first; i < first + n; i++)
		tasks[i].queue_next = i + 1 < first + n ? &tasks[i + 1] : NULL;
	rota__tasks_submit_ahead(&tasks[first]);
}

/* What waits is taken in turn only, or others go ahead of it. */
#define FEW 253u
#define MANY 300u
#define END (~0u)

/*
 * This thread is a worker with `waiting` tasks in its run queue. What A to A + 7 wait for is over, two at a time: `times`
 * times, then some tasks are taken, then once more. Then `order` is taken, where 0 is all that had waited.
 */
enum { A = MANY };

static void expect_order_after(unsigned waiting, unsigned times, unsigned taken, const unsigned *order)
{
	static struct rota__worker worker;
	static rota_task tasks[MANY + 16];
	rota_runtime rt = { .worker_count = 1 };
	rota_task *task;

	memset(&worker, 0, sizeof(worker));
	rota__worker_init(&worker, &rt, 0);
	for (unsigned i = 0; i < MANY + 16; i++)
		tasks[i] = (rota_task){ .rt = &rt };
	for (unsigned i = 0; i < waiting; i++)
		rota__worker_push_back(&worker, &tasks[i]);
	rota__worker_tls = &worker;
	for (unsigned i = 0; i < times; i++)
		put_ahead(tasks, A + 2 * i, 2);
	for (unsigned i = 0; i < taken; i++)
		expect_pointer(rota__worker_take_local(&worker), !=, NULL);
	put_ahead(tasks, A + 2 * times, 2);
	while ((task = rota__worker_take_local(&worker)) != NULL) {
		expect(task - tasks, ==, *order);
		for (unsigned i = 1; i < waiting && *order == 0; i++)
			expect(rota__worker_take_local(&worker) - tasks, ==, i);
		order++;
	}
	expect(*order, ==, END);
	rota__worker_tls = NULL;
	rota__deque_deinit(&worker.deque);
}

UNIT_TEST(worker, whose_io_is_over_runs_ahead_of_many_behind_those_before)
{
	expect_order_after(MANY, 0, 0, (unsigned[]){ A, A + 1, 0, END });
	expect_order_after(MANY, 1, 0, (unsigned[]){ A, A + 1, A + 2, A + 3, 0, END });
	expect_order_after(MANY, 1, 1, (unsigned[]){ A + 1, A + 2, A + 3, 0, END });
	expect_order_after(MANY, 2, 3, (unsigned[]){ A + 3, A + 4, A + 5, 0, END });
}

UNIT_TEST(worker, whose_io_is_over_goes_behind_when_some_went_ahead_seven_times)
{
	expect_order_after(MANY, 6, 12, (unsigned[]){ A + 12, A + 13, 0, END });
	expect_order_after(MANY, 7, 13, (unsigned[]){ 0, A + 13, A + 14, A + 15, END });
}

UNIT_TEST(worker, whose_io_is_over_goes_behind_a_few)
{
	expect_order_after(FEW, 0, 0, (unsigned[]){ 0, A, A + 1, END });
	expect_order_after(FEW, 1, 0, (unsigned[]){ 0, A, A + 1, A + 2, A + 3, END });
}

static int write_until_done(void *arg)
{
	while (!is_done())
		expect(rota_write((int)(intptr_t)arg, "x", 1), ==, 1);
	return 0;
}

static int yield_often(void *arg)
{
	for (int i = 0; i < 50; i++)
		expect(rota_yield(), ==, 0);
	return set_done(arg);
}

#define WRITERS 500

/* Each of these operations is over when it is submitted, and there are more than are submitted at once. */
ALONE_TEST(who_does_io_all_the_time_lets_others_run)
{
	rota_task *writers[WRITERS], *modest;
	int fd = rota_open("/dev/null", O_WRONLY | O_CLOEXEC, 0);

	expect(fd, >=, 0);
	for (int i = 0; i < WRITERS; i++)
		writers[i] = unit_spawn(write_until_done, (void *)(intptr_t)fd);
	modest = unit_spawn(yield_often, NULL);
	unit_expect_join(modest, 0);
	for (int i = 0; i < WRITERS; i++)
		unit_expect_join(writers[i], 0);
	expect(rota_close(fd), ==, 0);
}

/* --- very many that always run ------------------------------------------------------------------------------------------------ */

static int yield_until_done(void *arg)
{
	while (!is_done())
		expect(rota_yield(), ==, 0);
	return (int)(intptr_t)arg;
}

#define CROWD 1000 /* more than the run queue holds */

static rota_task *crowd[CROWD];

static void gather_crowd(unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		crowd[i] = unit_spawn(yield_until_done, NULL);
}

static void dismiss_crowd(unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		unit_expect_join(crowd[i], 0);
}

static const unsigned crowds[] = { 1, 100, 254, 255, 256, 257, 300, CROWD };

#define EACH_CROWD(n) for (size_t at_ = 0; at_ < sizeof(crowds) / sizeof(crowds[0]) && ((n) = crowds[at_], true); at_++)

ALONE_TEST(a_crowd_does_not_starve_a_sleeper)
{
	unsigned n;

	EACH_CROWD(n)
	{
		rota__store(&done, 0, SEQ_CST);
		gather_crowd(n);
		unit_expect_join(unit_spawn(sleep_and_set_done, NULL), 0);
		dismiss_crowd(n);
	}
}

static int spawn_from_outside(void *rt)
{
	/* A thread of the pool, which is none of the workers. */
	return rota_spawn_on(rt, NULL, set_done, NULL);
}

ALONE_TEST(a_crowd_does_not_starve_what_comes_from_outside)
{
	unsigned n;

	EACH_CROWD(n)
	{
		rota_task *job = NULL;

		rota__store(&done, 0, SEQ_CST);
		gather_crowd(n);
		for (int i = 0; i < 50; i++)
			rota_yield(); /* all are on their way */
		expect(rota_spawn_blocking(&job, spawn_from_outside, rota_runtime_current()), ==, 0);
		unit_expect_join(job, 0);
		dismiss_crowd(n);
	}
}

ALONE_TEST(a_crowd_does_not_starve_a_local_task)
{
	unsigned n;

	EACH_CROWD(n)
	{
		rota_task *local = NULL;

		rota__store(&done, 0, SEQ_CST);
		gather_crowd(n);
		expect(rota_spawn_local(&local, set_done, NULL), ==, 0);
		dismiss_crowd(n);
		unit_expect_join(local, 0);
	}
}

ALONE_TEST(local_tasks_do_not_starve_the_others)
{
	for (int i = 0; i < 100; i++)
		expect(rota_spawn_local(&crowd[i], yield_until_done, NULL), ==, 0);
	unit_expect_join(unit_spawn(sleep_and_set_done, NULL), 0);
	dismiss_crowd(100);
}

static int spawn_until_done(void *arg)
{
	while (!is_done())
		unit_expect_join(unit_spawn(arg_is_status, arg), 0);
	return 0;
}

/* Its child comes from the next slot, so that each turn of it is two runs: whoever counts runs to know whose turn it is finds
 * the same each time. */
ALONE_TEST(a_local_task_that_spawns_does_not_starve_the_others)
{
	for (int odd = 0; odd < 2; odd++) {
		rota_task *local = NULL, *first, *other;

		rota__store(&done, 0, SEQ_CST);
		if (odd)
			rota_yield();
		expect(rota_spawn_local(&local, spawn_until_done, NULL), ==, 0);
		first = unit_spawn(arg_is_status, NULL); /* to the next slot */
		other = unit_spawn(set_done, NULL);      /* to the run queue */
		unit_expect_join(local, 0);
		unit_expect_join(first, 0);
		unit_expect_join(other, 0);
	}
}

/* --- two that wake each other ------------------------------------------------------------------------------------------------------ */

/* A ball that is always with one of two tasks; whoever gets it passes it on. */
struct player {
	struct unit_event ball;
	struct player *other;
	rota_task *task;
};

static int play(void *arg)
{
	struct player *me = arg;

	while (!is_done()) {
		expect(unit_event_wait(&me->ball), ==, 0);
		me->ball = (struct unit_event){ 0 };
		unit_event_set(&me->other->ball);
	}
	return 0;
}

ALONE_TEST(two_that_wake_each_other_do_not_starve_a_third)
{
	static struct player players[2];

	for (int i = 0; i < 2; i++) {
		players[i] = (struct player){ .other = &players[1 - i] };
		players[i].task = unit_spawn(play, &players[i]);
	}
	unit_event_set(&players[0].ball);
	unit_expect_join(unit_spawn(sleep_and_set_done, NULL), 0);
	for (int i = 0; i < 2; i++)
		unit_expect_join(players[i].task, 0);
}

/* --- a task that does not let go of its worker --------------------------------------------------------------------------------------- */

static void compute_until_done(void)
{
	while (!is_done())
		rota__cpu_relax();
}

/* What another worker has to take over, and how the task that computes gets it into its own queues. */
static int hog_with_spawned(void *arg)
{
	rota_task *task = unit_spawn(set_done, arg);

	compute_until_done();
	unit_expect_join(task, 0);
	return 0;
}

static int wait_and_set_done(void *event)
{
	expect(unit_event_wait(event), ==, 0);
	return set_done(NULL);
}

static int hog_with_woken(void *arg)
{
	struct unit_event event = { 0 };
	rota_task *task = unit_spawn(wait_and_set_done, &event);

	(void)arg;
	unit_until_resting(task);
	unit_event_set(&event);
	compute_until_done();
	unit_expect_join(task, 0);
	return 0;
}

static int hog_with_timer(void *arg)
{
	rota_task *task = unit_spawn(sleep_and_set_done, arg);

	unit_until_resting(task);
	compute_until_done();
	unit_expect_join(task, 0);
	return 0;
}

static void expect_rescue(rota_fn *hog)
{
	rota_runtime *rt = unit_runtime(ROTA_FLAVOR_MULTI_THREAD);

	for (int round = 0; round < 20; round++) {
		rota__store(&done, 0, SEQ_CST);
		expect(rota_block_on(rt, hog, NULL), ==, 0);
	}
	rota_runtime_free(rt);
}

UNIT_TEST(worker, what_is_queued_behind_a_computation_is_taken_over)
{
	expect_rescue(hog_with_spawned);
}

UNIT_TEST(worker, what_is_woken_by_a_computation_is_taken_over)
{
	expect_rescue(hog_with_woken);
}

UNIT_TEST(worker, timers_behind_a_computation_are_taken_over)
{
	expect_rescue(hog_with_timer);
}

/* --- beside two tasks whose operations are over as soon as they are submitted --- */

static int sockets[2];
static struct rota_atomic_u32 silent;

/* Sends a byte to the other one and waits for one from him, until both are to fall silent. */
static int talk(void *arg)
{
	const int fd = sockets[(intptr_t)arg];
	char byte = 'x';

	while (rota__load(&silent, SEQ_CST) == 0 && rota_send(fd, &byte, 1, 0) == 1 && rota_recv(fd, &byte, 1, 0) == 1)
		;
	shutdown(fd, SHUT_RDWR);
	return 0;
}

static rota_task *talkers[2];

static int begin_to_talk(void *arg)
{
	(void)arg;
	expect(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, sockets), ==, 0);
	for (intptr_t i = 0; i < 2; i++)
		talkers[i] = unit_spawn(talk, (void *)i);
	return 0;
}

static int end_the_talk(void *arg)
{
	(void)arg;
	rota__store(&silent, 1, SEQ_CST);
	for (unsigned i = 0; i < 2; i++)
		unit_expect_join(talkers[i], 0);
	for (unsigned i = 0; i < 2; i++)
		expect(rota_close(sockets[i]), ==, 0);
	return 0;
}

/* Runs fn(NULL), which comes from outside, several times beside two that talk. */
static void expect_a_turn_beside_talk(rota_fn *fn)
{
	const struct rota_config config = { .workers = 2 };
	rota_runtime *rt = NULL;

	expect(rota_runtime_new(&rt, &config), ==, 0);
	rota__store(&silent, 0, SEQ_CST);
	expect(rota_block_on(rt, begin_to_talk, NULL), ==, 0);
	for (int round = 0; round < 20; round++) {
		rota__store(&done, 0, SEQ_CST);
		expect(rota_block_on(rt, fn, NULL), ==, 0);
		expect(is_done(), ==, true);
	}
	expect(rota_block_on(rt, end_the_talk, NULL), ==, 0);
	rota_runtime_free(rt);
}

/* A byte goes through a pipe and back to the task, which is the only one: there is always room, and then something to read. It
 * injects tasks itself, so that nobody else has to be waited for. Without bounds it goes on tens of thousands of times. */
static int talk_to_oneself(void *arg)
{
	const struct rota_task_attr attr = { .name = "injected" };
	unsigned late = 0;
	rota_task *task;
	int ends[2];
	char byte = 'x';

	expect(rota_pipe(ends), ==, 0);
	for (int round = 0; round < 300; round++) {
		struct rota__worker *worker = rota__worker_self();

		rota__store(&done, 0, SEQ_CST);
		expect(rota__spawn_make(&task, worker, &attr, set_done), ==, 0);
		task->arg = NULL;
		rota__inject_push(&worker->rt->inject, task, task, 1);
		for (late = 0; !is_done(); late++) {
			expect(rota_write(ends[1], &byte, 1), ==, 1);
			expect(rota_read(ends[0], &byte, 1), ==, 1);
			expect(late, <, 20000);
		}
	}
	expect(rota_close(ends[0]), ==, 0);
	expect(rota_close(ends[1]), ==, 0);
	return (int)(intptr_t)arg;
}

UNIT_TEST(worker, what_is_injected_runs_beside_one_whose_operations_are_over_at_once)
{
	rota_runtime *rt = alone(ROTA_FLAVOR_MULTI_THREAD);

	expect(rota_block_on(rt, talk_to_oneself, NULL), ==, 0);
	rota_runtime_free(rt);
}

UNIT_TEST(worker, what_is_queued_behind_a_computation_is_taken_by_a_worker_whose_tasks_talk)
{
	expect_a_turn_beside_talk(hog_with_spawned);
}
