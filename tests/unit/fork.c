/* SPDX-License-Identifier: MIT */
/*
 * Fork and join: results and order in every place; frames that others take, that wait, that are run while their forker
 * waits; what a cancelled task's frames come to; polls; depth; misuse; no memory.
 */
#define _GNU_SOURCE
#include <sys/socket.h>

#include "../../runtime/runtime_internal.h"
#include "../../runtime/sys_internal.h"
#include "places.h"

/* --- results --------------------------------------------------------------------------------------------------------- */

ROTA_FORK_DEFINE_1(long, fib, long, n)
{
	struct fib_frame other;

	if (n < 2)
		return n;
	ROTA_FORK(fib, &other, n - 1);
	long result = ROTA_FORK_CALL(fib, n - 2);
	return result + ROTA_FORK_JOIN(fib, &other);
}

static int fib_untyped(void *arg)
{
	const intptr_t n = (intptr_t)arg;
	struct rota_frame other;
	int sum;

	if (n < 2)
		return (int)n;
	rota_fork(&other, fib_untyped, (void *)(n - 1));
	sum = fib_untyped((void *)(n - 2));
	return sum + rota_fork_join(&other);
}

ROTA_FORK_DEFINE_4(double, weigh, double, a, int, b, const char *, text, uint64_t, d)
{
	return a + b + (double)strlen(text) + (double)d;
}

static int number(void *arg)
{
	return (int)(intptr_t)arg;
}

#define MANY 100

static void results_script(const struct place *place)
{
	struct rota_frame frames[MANY];
	struct weigh_frame weight;
	ROTA_FORK_HERE;

	(void)place;
	expect(fib(22), ==, 17711);
	expect(fib_untyped((void *)20), ==, 6765);
	ROTA_FORK(weigh, &weight, 0.5, 2, "four", 8);
	for (intptr_t i = 0; i < MANY; i++)
		rota_fork(&frames[i], number, (void *)(i - 50)); /* a negative status is a result too */
	for (int i = MANY; i-- > 0;)
		expect(rota_fork_join(&frames[i]), ==, i - 50);
	expect(ROTA_FORK_JOIN(weigh, &weight) == 14.5, ==, 1);
}

UNIT_TEST(fork, frames_bring_their_results_everywhere)
{
	everywhere(results_script);
}

static rota_poll fork_in_poll(struct rota_future *self, struct rota_context *cx)
{
	(void)cx;
	self->status = (int)fib(20) + fib_untyped((void *)18);
	return ROTA_READY;
}

static const struct rota_future_ops fork_in_poll_ops = { .poll = fork_in_poll };

static void poll_script(const struct place *place)
{
	struct rota_future futures[8];

	for (int i = 0; i < 8; i++) {
		rota_future_init(&futures[i], &fork_in_poll_ops);
		expect(place->carry(place, &futures[i]), ==, 6765 + 2584);
	}
}

UNIT_TEST(fork, polls_may_fork)
{
	everyhow(poll_script);
}

/* --- frames that somebody takes --------------------------------------------------------------------------------------- */

struct taken {
	struct rota_atomic_u32 begun; /* 1: it runs */
	struct rota_atomic_u32 go;
	uint64_t task; /* the task that ran it */
	int status;    /* what it found out */
};

/* Forks until somebody has come and taken an older frame. Needs a second worker. */
static void fork_until_begun(struct taken *taken)
{
	const time_t start = expect_seconds_();
	struct rota_frame frame;

	while (rota__load(&taken->begun, ACQUIRE) == 0) {
		rota_fork(&frame, number, (void *)7);
		expect(rota_fork_join(&frame), ==, 7);
		expect(expect_seconds_() - start, <=, EXPECT_HANG_S);
	}
}

static int begin(struct taken *taken)
{
	taken->task = rota_task_id();
	rota__store(&taken->begun, 1, RELEASE);
	return 0;
}

static int tell_and_nap(void *arg)
{
	begin(arg);
	return rota_sleep(ROTA_MS(2)) == 0 ? 42 : -EIO;
}

static int taken_fn(void *arg)
{
	struct taken taken = { .task = 0 };
	struct rota_frame frame;

	(void)arg;
	rota_fork(&frame, tell_and_nap, &taken);
	fork_until_begun(&taken);
	expect(rota_fork_join(&frame), ==, 42);
	expect(taken.task, !=, rota_task_id());
	return 0;
}

static void on_flavor(enum rota_flavor flavor, unsigned workers, rota_fn *fn)
{
	const struct rota_config config = { .flavor = flavor, .workers = workers };
	rota_runtime *rt;

	unsetenv("ROTA_FLAVOR");
	expect(rota_runtime_new(&rt, &config), ==, 0);
	expect(rota_block_on(rt, fn, NULL), ==, 0);
	expect(rota_runtime_shutdown(rt, ROTA_NEVER), ==, 0);
	rota_runtime_free(rt);
}

static void on_workers(unsigned workers, rota_fn *fn)
{
	on_flavor(ROTA_FLAVOR_MULTI_THREAD, workers, fn);
}

UNIT_TEST(fork, a_frame_that_was_taken_may_wait)
{
	on_workers(2, taken_fn);
	on_workers(4, taken_fn);
}

/* The forker waits: others come for its frames, and on a single worker that one does. */
TASK_TEST(fork, frames_run_while_their_forker_waits)
{
	struct taken taken = { .task = 0 };
	struct rota_frame frame;
	const time_t start = expect_seconds_();

	rota_fork(&frame, tell_and_nap, &taken);
	while (rota__load(&taken.begun, ACQUIRE) == 0) {
		expect(rota_sleep(ROTA_US(100)), ==, 0);
		expect(expect_seconds_() - start, <=, EXPECT_HANG_S);
	}
	expect(rota_fork_join(&frame), ==, 42);
	expect(taken.task, !=, rota_task_id());
}

TASK_TEST(fork, frames_run_while_their_forker_yields)
{
	struct taken taken[MANY];
	struct rota_frame frames[MANY];

	memset(taken, 0, sizeof(taken));
	for (int i = 0; i < MANY; i++)
		rota_fork(&frames[i], tell_and_nap, &taken[i]);
	for (int i = 0; i < 100; i++)
		expect(rota_yield(), ==, 0);
	for (int i = MANY; i-- > 0;)
		expect(rota_fork_join(&frames[i]), ==, 42);
}

/* A tree whose leaves wait now and then: joins help, suspend, migrate. */
ROTA_FORK_DEFINE_2(unsigned, leaves, unsigned, depth, unsigned, number)
{
	struct leaves_frame frames[3];
	unsigned sum = 0;

	if (depth == 0) {
		if (number % 7 == 0)
			expect(rota_sleep(ROTA_US(20)), ==, 0);
		else if (number % 3 == 0)
			expect(rota_yield(), ==, 0);
		return 1;
	}
	for (unsigned i = 0; i < 3; i++)
		ROTA_FORK(leaves, &frames[i], depth - 1, 3 * number + i);
	for (unsigned i = 3; i-- > 0;)
		sum += ROTA_FORK_JOIN(leaves, &frames[i]);
	return sum;
}

TASK_TEST(fork, waits_at_every_depth)
{
	expect(leaves(7, 1), ==, 2187);
}

static int note_thread(void *arg)
{
	*(pthread_t *)arg = pthread_self();
	return 0;
}

static int fork_locally(void *arg)
{
	struct rota_frame frames[3];
	pthread_t threads[3];

	(void)arg;
	for (int round = 0; round < 300; round++) {
		for (int i = 0; i < 3; i++)
			rota_fork(&frames[i], note_thread, &threads[i]);
		expect(rota_sleep(ROTA_US(10)), ==, 0);
		for (int i = 3; i-- > 0;) {
			expect(rota_fork_join(&frames[i]), ==, 0);
			expect(pthread_equal(threads[i], pthread_self()), !=, 0);
		}
	}
	return 0;
}

TASK_TEST(fork, frames_of_a_local_task_stay_on_its_thread)
{
	rota_task *task;

	expect(rota_spawn_local(&task, fork_locally, NULL), ==, 0);
	unit_expect_join(task, 0);
}

/* --- cancellation ------------------------------------------------------------------------------------------------------ */

struct cancelled {
	struct unit_event started;
	bool waits; /* in the middle: private frames are shared */
	bool shield;
};

static int must_not_run(void *arg)
{
	(void)arg;
	expect_failed_(__FILE__, __LINE__, "a frame that was given up runs", 0, 1);
	return 0;
}

static int give_up(void *arg)
{
	struct cancelled *c = arg;
	struct rota_frame older[MANY], newer;
	struct fib_frame typed;
	ROTA_FORK_HERE;

	rota_fork(&newer, number, (void *)1);
	expect(rota_fork_join(&newer), ==, 1);
	unit_event_set(&c->started);
	while (!rota_cancelled())
		rota_yield();
	for (int i = 0; i < MANY; i++)
		rota_fork(&older[i], must_not_run, NULL);
	if (c->waits)
		expect(rota_sleep(ROTA_NEVER), ==, -ECANCELED);
	ROTA_FORK(fib, &typed, 30);
	expect(ROTA_FORK_JOIN(fib, &typed), ==, 0);
	if (c->shield) {
		rota_shield_enter();
		rota_fork(&newer, number, (void *)5);
		if (c->waits)
			expect(rota_sleep(ROTA_US(50)), ==, 0);
		expect(rota_fork_join(&newer), ==, 5);
		expect(fib(10), ==, 55);
		rota_shield_leave();
	}
	for (int i = MANY; i-- > 0;)
		expect(rota_fork_join(&older[i]), ==, -ECANCELED);
	return 77;
}

TASK_TEST(fork, a_cancelled_task_gives_up_what_has_not_started)
{
	for (unsigned variant = 0; variant < 4; variant++) {
		struct cancelled c = { .waits = variant & 1, .shield = variant & 2 };
		rota_task *task = unit_spawn(give_up, &c);

		expect(unit_event_wait(&c.started), ==, 0);
		expect(rota_cancel(task), ==, 0);
		unit_expect_join(task, 77);
	}
}

/* What was forked outside of the scope is not concerned. */
TASK_TEST(fork, a_scope_gives_up_what_was_forked_inside)
{
	struct rota_frame outside[3], inside[3];
	struct rota_scope scope;

	for (int variant = 0; variant < 3; variant++) {
		for (intptr_t i = 0; i < 3; i++)
			rota_fork(&outside[i], number, (void *)(10 + i));
		expect(rota_scope_open(&scope, variant == 1 ? 1 : 0), ==, 0);
		if (variant == 2)
			rota_scope_cancel(&scope);
		expect(rota_sleep(variant == 0 ? 1000 : ROTA_NEVER), ==,
		       variant == 0   ? 0
		       : variant == 1 ? -ETIMEDOUT
				      : -ECANCELED);
		for (intptr_t i = 0; i < 3; i++)
			rota_fork(&inside[i], variant == 0 ? number : must_not_run, (void *)i);
		for (int i = 3; i-- > 0;) {
			if (i == 0)
				rota_shield_enter(); /* later than it was given up */
			expect(rota_fork_join(&inside[i]), ==,
			       variant == 0   ? i
			       : variant == 1 ? -ETIMEDOUT
					      : -ECANCELED);
		}
		rota_shield_leave();
		expect(rota_scope_close(&scope), ==, variant == 1 ? -ETIMEDOUT : 0);
		for (int i = 3; i-- > 0;)
			expect(rota_fork_join(&outside[i]), ==, 10 + i);
	}
}

static int wait_for_ever(void *arg)
{
	begin(arg);
	return rota_sleep(ROTA_NEVER);
}

static int forker_of_waiting(void *arg)
{
	struct taken *taken = arg;
	struct rota_frame frame;

	rota_fork(&frame, wait_for_ever, taken);
	while (rota__load(&taken->begun, ACQUIRE) == 0) {
		rota_shield_enter();
		rota_sleep(ROTA_US(50)); /* tasks come before frames: so that there is none */
		rota_shield_leave();
	}
	return rota_fork_join(&frame);
}

/* Cancelling the forker ends the wait of a frame that somebody else runs. */
TASK_TEST(fork, cancellation_reaches_frames_that_were_taken)
{
	struct taken taken = { .task = 0 };
	rota_task *task = unit_spawn(forker_of_waiting, &taken);

	while (rota__load(&taken.begun, ACQUIRE) == 0)
		rota_sleep(ROTA_US(50));
	unit_until_resting(task);
	expect(rota_cancel(task), ==, 0);
	unit_expect_join(task, -ECANCELED);
}

static int spin_until_cancelled(void *arg)
{
	const time_t start = expect_seconds_();

	begin(arg);
	while (!rota_cancelled())
		expect(expect_seconds_() - start, <=, EXPECT_HANG_S);
	return -ECANCELED;
}

static int forker_that_forks_on(void *arg)
{
	struct taken *taken = arg;
	struct rota_frame first, next;
	int rc;

	rota_fork(&first, spin_until_cancelled, taken);
	fork_until_begun(taken);
	rota__store(&taken->go, 1, RELEASE);
	do {
		rota_fork(&next, number, (void *)3);
		rc = rota_fork_join(&next);
	} while (rc == 3);
	expect(rc, ==, -ECANCELED);
	return rota_fork_join(&first);
}

static int cancel_between_forks(void *arg)
{
	struct taken taken = { .task = 0 };
	rota_task *task = unit_spawn(forker_that_forks_on, &taken);

	(void)arg;
	while (rota__load(&taken.go, ACQUIRE) == 0)
		rota_sleep(ROTA_US(100));
	expect(rota_cancel(task), ==, 0);
	unit_expect_join(task, -ECANCELED);
	return 0;
}

UNIT_TEST(fork, cancellation_is_seen_at_forks)
{
	on_workers(4, cancel_between_forks);
}

/* --- depth ---------------------------------------------------------------------------------------------------------------- */

#define DEEP 17844u

ROTA_FORK_DEFINE_1(unsigned, dive, unsigned, depth)
{
	struct dive_frame here;
	unsigned below;

	if (depth == 0)
		return 0;
	ROTA_FORK(dive, &here, 0);
	below = ROTA_FORK_CALL(dive, depth - 1);
	return below + 1 + ROTA_FORK_JOIN(dive, &here);
}

/* The recursion goes through joins: frames that somebody took carry the depth to other stacks. */
ROTA_FORK_DEFINE_1(unsigned, sink, unsigned, depth)
{
	struct sink_frame below, idle;

	if (depth == 0)
		return 0;
	ROTA_FORK(sink, &below, depth - 1);
	ROTA_FORK(sink, &idle, 0);
	unsigned none = ROTA_FORK_JOIN(sink, &idle);
	return none + 1 + ROTA_FORK_JOIN(sink, &below);
}

static int go_deep(void *arg)
{
	(void)arg;
	expect(dive(DEEP), ==, DEEP);
	expect(sink(DEEP), ==, DEEP);
	return 0;
}

TASK_TEST(fork, depth_is_a_matter_of_the_stack_size)
{
	const struct rota_task_attr attr = { .name = "deep", .stack_size = 64 * 1024 * 1024 };
	rota_task *task;

	expect(rota_spawn_with(&task, &attr, go_deep, NULL), ==, 0);
	unit_expect_join(task, 0);
}

static int too_deep(void *arg)
{
	(void)arg;
	return (int)dive(1000000);
}

static void overflow(void *arg)
{
	const struct rota_config config = { .workers = 2 };
	rota_runtime *rt;

	(void)arg;
	unsetenv("ROTA_FLAVOR");
	expect(rota_runtime_new(&rt, &config), ==, 0);
	rota_block_on(rt, too_deep, NULL);
}

UNIT_TEST(fork, an_overflow_is_reported, .disabled = UNIT_SANITIZED)
{
	static struct unit_child child;

	unit_child_run(&child, overflow, NULL);
	expect(WIFSIGNALED(child.status), ==, 1);
	expect_contains(child.text, "rota: stack overflow in task ");
}

/* --- what others wait for meanwhile ----------------------------------------------------------------------------------- */

struct exchange {
	struct rota_atomic_u32 over;
	int fds[2];
};

/* Forks without end, and so keeps the other worker at it too. Never waits nor yields. */
static int fork_until_over(void *arg)
{
	struct exchange *exchange = arg;

	while (!rota__load(&exchange->over, ACQUIRE))
		expect(fib(16), ==, 987);
	return 0;
}

static int answer(void *arg)
{
	struct exchange *exchange = arg;
	char byte;

	while (rota_recv(exchange->fds[1], &byte, 1, 0) == 1)
		expect(rota_send(exchange->fds[1], &byte, 1, 0), ==, 1);
	return 0;
}

static int exchange_beside_forks(void *arg)
{
	struct exchange exchange = { .over = { 0 } };
	rota_task *forker, *answerer;

	(void)arg;
	expect(socketpair(AF_UNIX, SOCK_STREAM, 0, exchange.fds), ==, 0);
	expect(rota_spawn(&answerer, answer, &exchange), ==, 0);
	expect(rota_spawn(&forker, fork_until_over, &exchange), ==, 0);
	for (char i = 0; i < 100; i++) {
		char byte = i;

		expect(rota_send(exchange.fds[0], &byte, 1, 0), ==, 1);
		byte = 0;
		expect(rota_recv(exchange.fds[0], &byte, 1, 0), ==, 1);
		expect(byte, ==, i);
		if (i % 10 == 0)
			expect(rota_sleep(ROTA_US(100)), ==, 0);
	}
	rota__store(&exchange.over, 1, RELEASE);
	unit_expect_join(forker, 0);
	expect(rota_close(exchange.fds[0]), ==, 0);
	unit_expect_join(answerer, 0);
	expect(rota_close(exchange.fds[1]), ==, 0);
	return 0;
}

UNIT_TEST(fork, completions_arrive_while_all_workers_fork)
{
	/* Nobody else is there: the forker itself must see that there is something to do. */
	on_flavor(ROTA_FLAVOR_CURRENT_THREAD, 0, exchange_beside_forks);
	on_workers(1, exchange_beside_forks);
	on_workers(2, exchange_beside_forks);
}

/* --- misuse --------------------------------------------------------------------------------------------------------------- */

static int out_of_order(void *arg)
{
	struct rota_frame first, second;

	(void)arg;
	rota_fork(&first, number, (void *)1);
	rota_fork(&second, number, (void *)2);
	expect(rota_fork_join(&first), ==, -EINVAL);
	expect(rota_fork_join(&second), ==, 2);
	expect(rota_fork_join(&first), ==, 1);
	return 0;
}

static struct rota_frame left_behind;

static int leave_one(void *arg)
{
	(void)arg;
	rota_fork(&left_behind, number, (void *)1);
	return 0;
}

static int wait_in_frame(void *arg)
{
	(void)arg;
	return rota_sleep(1);
}

static rota_poll wait_in_poll(struct rota_future *self, struct rota_context *cx)
{
	struct rota_frame frame;

	(void)cx;
	rota_fork(&frame, wait_in_frame, NULL);
	self->status = rota_fork_join(&frame);
	return ROTA_READY;
}

static const struct rota_future_ops wait_in_poll_ops = { .poll = wait_in_poll };

static int wait_below_poll(void *arg)
{
	struct rota_future future;
	rota_task *task;

	(void)arg;
	rota_future_init(&future, &wait_in_poll_ops);
	task = unit_spawn_future(&future);
	unit_expect_join(task, -EDEADLK);
	return 0;
}

#ifdef ROTA_DEBUG
static int fork_nothing(void *arg)
{
	struct rota_frame frame;

	(void)arg;
	rota_fork(&frame, NULL, NULL);
	return 0;
}
#endif

static void misuse(void *arg)
{
	rota_fn *const *fn = arg;

	on_workers(1, *fn);
}

static void expect_misuse(rota_fn *fn, const char *message)
{
	static struct unit_child child;

	unit_child_run(&child, misuse, &fn);
	expect(WIFSIGNALED(child.status) ? WTERMSIG(child.status) : 0, ==, UNIT_MISUSE_SIGNAL);
	expect_contains(child.text, message);
}

UNIT_TEST(fork, misuse_is_reported)
{
	expect_misuse(out_of_order, "is joined out of order");
	expect_misuse(leave_one, "ended with frames that were forked and not joined");
	expect_misuse(wait_below_poll, "would block its worker");
#ifdef ROTA_DEBUG
	expect_misuse(fork_nothing, "of no function (task ");
#endif
}

/* --- no memory ------------------------------------------------------------------------------------------------------------ */

static int without_memory(void *arg)
{
	(void)arg;
	rota__fault_arm(ROTA__FAULT_ALLOC, 1, -ENOMEM);
	expect(fib(15), ==, 610);
	rota__fault_arm(ROTA__FAULT_ALLOC, 0, 0);
	expect(fib_untyped((void *)15), ==, 610);
	expect(rota_yield(), ==, 0);
	expect(fib(15), ==, 610);
	return 0;
}

UNIT_TEST(fork, without_memory_everything_runs_at_its_join)
{
	on_workers(1, without_memory);
}

static int lack(void *arg)
{
	struct taken taken = { .task = 0 };
	struct rota_frame frame;

	(void)arg;
	for (uint32_t nth = 1; nth < 6; nth++) {
		memset(&taken, 0, sizeof(taken));
		rota_fork(&frame, tell_and_nap, &taken);
		rota__fault_arm(ROTA__FAULT_ALLOC, nth, -ENOMEM);
		expect(rota_sleep(ROTA_US(300)), ==, 0);
		rota__fault_arm(ROTA__FAULT_ALLOC, 0, 0);
		expect(rota_fork_join(&frame), ==, 42);
	}
	return 0;
}

UNIT_TEST(fork, a_thief_without_memory_leaves_the_frame)
{
	on_workers(1, lack);
	on_workers(2, lack);
}

/* --- scopes of the forker ---------------------------------------------------------------------------------------------- */

struct crowd {
	struct rota_scope scope;
	struct rota_atomic_u32 here, ran;
};

static int count_one(void *arg)
{
	rota__fetch_add(&((struct crowd *)arg)->ran, 1, SEQ_CST);
	return 0;
}

/* Together, if another worker has come for it by then. */
static int spawn_together(size_t begin, size_t end, void *arg)
{
	struct crowd *crowd = arg;
	const uint64_t until = rota_now() + ROTA_MS(2);

	(void)begin, (void)end;
	rota__fetch_add(&crowd->here, 1, SEQ_CST);
	while (rota__load(&crowd->here, SEQ_CST) < 2 && rota_now() < until)
		;
	return rota_scope_spawn(&crowd->scope, NULL, count_one, crowd);
}

static int spawn_from_frames(void *arg)
{
	(void)arg;
	for (int i = 0; i < 1000; i++) {
		struct crowd crowd = { .here = { 0 } };

		expect(rota_scope_open(&crowd.scope, ROTA_SECONDS(1000)), ==, 0);
		expect(rota_parallel_for(0, 2, 1, spawn_together, &crowd), ==, 0);
		expect(rota_scope_close(&crowd.scope), ==, 0);
		expect(rota__load(&crowd.ran, SEQ_CST), ==, 2);
	}
	return 0;
}

/* Its first child, with which its time limit is filed, may come from a frame that another worker has taken. */
UNIT_TEST(fork, frames_may_spawn_into_a_scope_of_their_forker)
{
	on_workers(3, spawn_from_frames);
}
