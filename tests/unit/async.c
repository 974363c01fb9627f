/* SPDX-License-Identifier: MIT */
/* Async functions: loops, switches, early returns, errors, functions that await functions, cancel and shield, yields. */
#define _GNU_SOURCE
#include <sys/socket.h>

#include "countdown.h"
#include "places.h"

/* --- control flow ------------------------------------------------------------------------------------------------------- */

struct counter {
	struct rota_async async;
	struct rota_yield_op yield;
	unsigned yields, turns, sum;
};

static rota_poll counter_poll(struct rota_future *self, struct rota_context *cx)
{
	struct counter *s = (struct counter *)(void *)self;

	ROTA_ASYNC_BEGIN(s);
	for (s->turns = 0; s->turns < s->yields; s->turns++) {
		switch (s->turns % 3) {
		case 0:
			rota_yield_init(&s->yield);
			ROTA_AWAIT(s, cx, &s->yield.future);
			s->sum += 1;
			break;
		case 1:
			continue;
		default:
			rota_yield_init(&s->yield);
			ROTA_AWAIT(s, cx, &s->yield.future);
			s->sum += 100;
			break;
		}
		if (s->yields == 1000 && s->turns == 500)
			ROTA_ASYNC_RETURN(s, -ERANGE);
	}
	s->async.future.status = (int)s->sum;
	ROTA_ASYNC_END(s);
}

static const struct rota_future_ops counter_ops = ROTA_ASYNC_OPS(counter_poll, "counter");

static void counter_init(struct counter *s, unsigned yields)
{
	*s = (struct counter){ .yields = yields };
	rota_async_init(&s->async, &counter_ops);
}

static void flow_script(const struct place *place)
{
	struct counter s;

	counter_init(&s, 9);
	expect(place->carry(place, &s.async.future), ==, 303);
	expect(s.turns, ==, 9);
	counter_init(&s, 1000);
	expect(place->carry(place, &s.async.future), ==, -ERANGE);
	expect(s.turns, ==, 500);
	counter_init(&s, 0);
	expect(place->carry(place, &s.async.future), ==, 0);
}

UNIT_TEST(async, loops_switches_and_early_returns)
{
	everyhow(flow_script);
}

/* --- functions that await functions ------------------------------------------------------------------------------------- */

struct pair {
	struct rota_async async;
	struct counter counter;
	struct rota_any_op any;
	struct rota_timer timer;
	struct rota_future *arms[2];
};

static rota_poll pair_poll(struct rota_future *self, struct rota_context *cx)
{
	struct pair *s = (struct pair *)(void *)self;

	ROTA_ASYNC_BEGIN(s);
	counter_init(&s->counter, 6);
	ROTA_AWAIT(s, cx, &s->counter.async.future);
	if (s->counter.async.future.status != 202)
		ROTA_ASYNC_RETURN(s, -EPROTO);
	/* A select inside. */
	counter_init(&s->counter, 30);
	rota_timer_init(&s->timer, ROTA_NEVER);
	s->arms[0] = &s->timer.future;
	s->arms[1] = &s->counter.async.future;
	rota_any_init(&s->any, s->arms, 2);
	ROTA_AWAIT(s, cx, &s->any.future);
	if (s->any.index != 1)
		ROTA_ASYNC_RETURN(s, -EPROTO);
	ROTA_ASYNC_RETURN(s, s->any.future.status);
	ROTA_ASYNC_END(s);
}

static const struct rota_future_ops pair_ops = ROTA_ASYNC_OPS(pair_poll, "pair");

TASK_TEST(async, functions_await_functions)
{
	struct pair s;

	rota_async_init(&s.async, &pair_ops);
	unit_expect_join(unit_spawn_future(&s.async.future), 1010);
}

/* --- every kind of wait ------------------------------------------------------------------------------------------------- */

struct everything {
	struct rota_async async;
	struct rota_op op;
	struct rota_transfer_op transfer;
	struct rota_timer timer;
	struct rota_join_op join;
	struct rota_offload_op offload;
	struct rota_mutex *mutex;
	struct rota_mutex_lock_op lock;
	struct rota_channel *channel;
	struct rota_channel_op message;
	struct rota_notify *notify;
	struct rota_notify_op notified;
	struct rota_oneshot *oneshot;
	struct rota_oneshot_op value;
	rota_task *task;
	int fds[2];
	int got, status;
	char buf[8];
};

static int nine(void *arg)
{
	(void)arg;
	return 9;
}

#define REQUIRE(condition) \
	if (!(condition)) \
	ROTA_ASYNC_RETURN(s, -__LINE__)

static rota_poll everything_poll(struct rota_future *self, struct rota_context *cx)
{
	struct everything *s = (struct everything *)(void *)self;

	ROTA_ASYNC_BEGIN(s);
	rota_op_write_all(&s->transfer, s->fds[1], "12345", 5);
	ROTA_AWAIT(s, cx, &s->transfer.future);
	REQUIRE(s->transfer.done == 5);
	rota_op_recv(&s->op, s->fds[0], s->buf, sizeof(s->buf), 0);
	ROTA_AWAIT(s, cx, &s->op.future);
	REQUIRE(s->op.future.status == 5);
	rota_timer_init(&s->timer, rota_now() + ROTA_US(300));
	ROTA_AWAIT(s, cx, &s->timer.future);
	REQUIRE(s->timer.future.status == 0);
	REQUIRE(rota_spawn(&s->task, nine, NULL) == 0);
	rota_join_init(&s->join, s->task);
	ROTA_AWAIT(s, cx, &s->join.future);
	REQUIRE(rota_join(s->task, &s->status) == 0 && s->status == 9);
	rota_offload_init(&s->offload, nine, NULL);
	ROTA_AWAIT(s, cx, &s->offload.future);
	REQUIRE(s->offload.future.status == 9);
	rota_mutex_lock_init(&s->lock, s->mutex);
	ROTA_AWAIT(s, cx, &s->lock.future);
	REQUIRE(s->lock.future.status == 0 && rota_mutex_trylock(s->mutex) == -EBUSY);
	rota_mutex_unlock(s->mutex);
	rota_channel_send_init(&s->message, s->channel, &(int){ 4 });
	ROTA_AWAIT(s, cx, &s->message.future);
	rota_channel_recv_init(&s->message, s->channel, &s->got);
	ROTA_AWAIT(s, cx, &s->message.future);
	REQUIRE(s->got == 4);
	rota_notify_one(s->notify);
	rota_notify_wait_init(&s->notified, s->notify);
	ROTA_AWAIT(s, cx, &s->notified.future);
	REQUIRE(s->notified.future.status == 0);
	REQUIRE(rota_oneshot_send(s->oneshot, s) == 0);
	rota_oneshot_recv_init(&s->value, s->oneshot);
	ROTA_AWAIT(s, cx, &s->value.future);
	REQUIRE(s->value.value == s);
	ROTA_ASYNC_END(s);
}

static const struct rota_future_ops everything_ops = ROTA_ASYNC_OPS(everything_poll, "everything");

TASK_TEST(async, awaits_every_kind_of_wait)
{
	struct rota_mutex mutex = ROTA_MUTEX_INIT;
	struct rota_notify notify = ROTA_NOTIFY_INIT;
	struct rota_oneshot oneshot = ROTA_ONESHOT_INIT;
	struct rota_channel channel;
	struct everything s = { .mutex = &mutex, .notify = &notify, .oneshot = &oneshot, .channel = &channel };

	expect(rota_channel_init(&channel, sizeof(int), 1), ==, 0);
	expect(socketpair(AF_UNIX, SOCK_STREAM, 0, s.fds), ==, 0);
	rota_async_init(&s.async, &everything_ops);
	unit_expect_join(unit_spawn_future(&s.async.future), 0);
	rota_channel_deinit(&channel);
	close(s.fds[0]);
	close(s.fds[1]);
}

/* --- cancel and shield -------------------------------------------------------------------------------------------------- */

struct sleeper {
	struct rota_async async;
	struct rota_timer timer;
	struct countdown cleanup;
	int first, second, third;
};

static rota_poll sleeper_poll(struct rota_future *self, struct rota_context *cx)
{
	struct sleeper *s = (struct sleeper *)(void *)self;

	ROTA_ASYNC_BEGIN(s);
	rota_timer_init(&s->timer, ROTA_NEVER);
	ROTA_AWAIT(s, cx, &s->timer.future);
	s->first = s->timer.future.status;
	/* Sticky: the next wait ends as well. */
	rota_timer_init(&s->timer, ROTA_NEVER);
	ROTA_AWAIT(s, cx, &s->timer.future);
	s->second = s->timer.future.status;
	s->cleanup = countdown(5, 55, true);
	s->cleanup.obeys = true;
	ROTA_AWAIT_SHIELDED(s, cx, &s->cleanup.future);
	s->third = s->cleanup.future.status;
	ROTA_ASYNC_RETURN(s, rota_async_cancelled(&s->async) ? s->first : -EPROTO);
	ROTA_ASYNC_END(s);
}

static const struct rota_future_ops sleeper_ops = ROTA_ASYNC_OPS(sleeper_poll, "sleeper");

TASK_TEST(async, cancel_is_sticky_and_a_shield_holds)
{
	struct sleeper s;

	rota_async_init(&s.async, &sleeper_ops);
	rota_task *task = unit_spawn_future(&s.async.future);
	unit_until_resting(task);
	expect(rota_cancel(task), ==, 0);
	unit_expect_join(task, -ECANCELED);
	expect(s.first, ==, -ECANCELED);
	expect(s.second, ==, -ECANCELED);
	expect(s.third, ==, 55);
	expect(s.cleanup.cancels, ==, 0);
}

struct cleaner {
	struct rota_async async;
	struct countdown cleanup;
	struct rota_timer timer;
};

static rota_poll cleaner_poll(struct rota_future *self, struct rota_context *cx)
{
	struct cleaner *s = (struct cleaner *)(void *)self;

	ROTA_ASYNC_BEGIN(s);
	ROTA_AWAIT_SHIELDED(s, cx, &s->cleanup.future);
	rota_timer_init(&s->timer, ROTA_NEVER);
	ROTA_AWAIT(s, cx, &s->timer.future);
	ROTA_ASYNC_RETURN(s, s->timer.future.status);
	ROTA_ASYNC_END(s);
}

static const struct rota_future_ops cleaner_ops = ROTA_ASYNC_OPS(cleaner_poll, "cleaner");

TASK_TEST(async, a_cancel_during_a_shielded_wait_is_kept_for_the_next)
{
	struct cleaner s = { .cleanup = countdown(3, 55, false) };
	struct rota_waker first;
	rota_task *task;

	s.cleanup.obeys = true;
	rota_async_init(&s.async, &cleaner_ops);
	task = unit_spawn_future(&s.async.future);
	until_pending(&s.cleanup);
	first = s.cleanup.waker;
	expect(rota_cancel(task), ==, 0);
	until_pending(&s.cleanup); /* a cancel wakes, and it goes on waiting */
	rota_waker_drop(&first);
	rota_wake(&s.cleanup.waker);
	unit_expect_join(task, -ECANCELED);
	expect(s.cleanup.cancels, ==, 0);
	expect(s.cleanup.future.status, ==, 55);
}

TASK_TEST(async, cancelled_before_it_began)
{
	struct sleeper s;
	struct rota_timer timer;
	size_t which = 9;

	rota_async_init(&s.async, &sleeper_ops);
	rota_timer_init(&timer, 0);
	expect(ROTA_AWAIT_ANY_BIASED(&which, &timer.future, &s.async.future), ==, 0);
	expect(s.async.future.status, ==, -ECANCELED);
	expect(s.third, ==, 55);
}

/* --- a wait that would block -------------------------------------------------------------------------------------------- */

struct blocker {
	struct rota_async async;
};

static rota_poll blocker_poll(struct rota_future *self, struct rota_context *cx)
{
	struct blocker *s = (struct blocker *)(void *)self;

	(void)cx;
	ROTA_ASYNC_BEGIN(s);
	ROTA_ASYNC_RETURN(s, rota_sleep(ROTA_MS(1)));
	ROTA_ASYNC_END(s);
}

static const struct rota_future_ops blocker_ops = ROTA_ASYNC_OPS(blocker_poll, "blocker");

TASK_TEST(async, may_not_wait_as_a_fiber_does, .signal = UNIT_MISUSE_SIGNAL)
{
	struct blocker s;

	rota_async_init(&s.async, &blocker_ops);
	unit_expect_join(unit_spawn_future(&s.async.future), -EDEADLK);
}

/* --- yields ------------------------------------------------------------------------------------------------------------- */

struct turns {
	struct rota_async async;
	struct rota_yield_op yield;
	unsigned *log, *logged;
	unsigned me, i;
};

static rota_poll turns_poll(struct rota_future *self, struct rota_context *cx)
{
	struct turns *s = (struct turns *)(void *)self;

	ROTA_ASYNC_BEGIN(s);
	for (s->i = 0; s->i < 10; s->i++) {
		s->log[(*s->logged)++] = s->me;
		if (s->me == 0) {
			ROTA_YIELD(s, cx);
		} else {
			rota_yield_init(&s->yield);
			ROTA_AWAIT(s, cx, &s->yield.future);
		}
	}
	ROTA_ASYNC_END(s);
}

static const struct rota_future_ops turns_ops = ROTA_ASYNC_OPS(turns_poll, "turns");

static int take_turns(void *arg)
{
	unsigned log[30], logged = 0;
	struct turns turns[3];
	rota_task *tasks[3];

	(void)arg;
	for (unsigned i = 0; i < 3; i++) {
		turns[i] = (struct turns){ .log = log, .logged = &logged, .me = i };
		rota_async_init(&turns[i].async, &turns_ops);
		tasks[i] = unit_spawn_future(&turns[i].async.future);
	}
	for (unsigned i = 0; i < 3; i++)
		unit_expect_join(tasks[i], 0);
	expect(logged, ==, 30);
	for (unsigned i = 0; i < 30; i++)
		expect(log[i], ==, i % 3);
	return 0;
}

/* Strictly in turn, on one thread. */
UNIT_TEST(async, a_yield_lets_all_others_run)
{
	const struct rota_config config = { .flavor = ROTA_FLAVOR_CURRENT_THREAD };
	rota_runtime *rt;

	unsetenv("ROTA_FLAVOR");
	expect(rota_runtime_new(&rt, &config), ==, 0);
	expect(rota_block_on(rt, take_turns, NULL), ==, 0);
	rota_runtime_free(rt);
}

struct spinner {
	struct rota_async async;
	unsigned turns;
};

/* Alone on its worker, and never waits. */
static rota_poll spinner_poll(struct rota_future *self, struct rota_context *cx)
{
	struct spinner *s = (struct spinner *)(void *)self;

	ROTA_ASYNC_BEGIN(s);
	while (!rota_async_cancelled(&s->async)) {
		s->turns++;
		ROTA_YIELD(s, cx);
	}
	ROTA_ASYNC_RETURN(s, -ECANCELED);
	ROTA_ASYNC_END(s);
}

static const struct rota_future_ops spinner_ops = ROTA_ASYNC_OPS(spinner_poll, "spinner");

struct shielding {
	struct rota_async async;
	struct rota_timer timer;
	int first;
};

static rota_poll shielding_poll(struct rota_future *self, struct rota_context *cx)
{
	struct shielding *s = (struct shielding *)(void *)self;

	ROTA_ASYNC_BEGIN(s);
	rota_shield_enter();
	rota_timer_init(&s->timer, rota_now() + ROTA_MS(10));
	ROTA_AWAIT(s, cx, &s->timer.future);
	s->first = s->timer.future.status;
	rota_shield_leave();
	rota_timer_init(&s->timer, ROTA_NEVER);
	ROTA_AWAIT(s, cx, &s->timer.future);
	ROTA_ASYNC_RETURN(s, s->timer.future.status);
	ROTA_ASYNC_END(s);
}

/* Nothing else has it polled again, where the cancel came before the time was over. */
TASK_TEST(async, what_comes_behind_a_shield_is_told_when_that_is_left)
{
	static const struct rota_future_ops ops = ROTA_ASYNC_OPS(shielding_poll, "shielding");
	struct shielding s;
	rota_task *task;

	rota_async_init(&s.async, &ops);
	task = unit_spawn_future(&s.async.future);
	expect(rota_sleep(ROTA_MS(1)), ==, 0); /* as a rule it has begun */
	expect(rota_cancel(task), ==, 0);
	unit_expect_join(task, -ECANCELED);
	expect(s.first, <=, 0); /* cancelled by then, if it had not begun */
}

static int spin_alone(void *arg)
{
	struct spinner s = { .turns = 0 };
	rota_task *task;

	(void)arg;
	rota_async_init(&s.async, &spinner_ops);
	task = unit_spawn_future(&s.async.future);
	do { /* while it spins the timer fires, and this fiber comes back */
		expect(rota_sleep(ROTA_MS(2)), ==, 0);
	} while (s.turns <= 61); /* more than one look at timers and queues lies between */
	expect(rota_cancel(task), ==, 0);
	unit_expect_join(task, -ECANCELED);
	return 0;
}

/* A task that yields alone runs again without a queue: timers and others must come to their turn all the same. */
UNIT_TEST(async, who_yields_alone_does_not_shut_out_the_others)
{
	const struct rota_config config = { .flavor = ROTA_FLAVOR_CURRENT_THREAD };
	rota_runtime *rt;

	unsetenv("ROTA_FLAVOR");
	expect(rota_runtime_new(&rt, &config), ==, 0);
	expect(rota_block_on(rt, spin_alone, NULL), ==, 0);
	rota_runtime_free(rt);
}
