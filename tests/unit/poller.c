/* SPDX-License-Identifier: MIT */
/*
 * The epoll back end and closes, step by step: what naps, or is left to the pool, ends before its descriptor is closed;
 * and an operation whose descriptor was closed between a call and the wait after it does not wait for what the number
 * means now. Each of these moments is a few instructions long, so the steps are made here, in the place of the operation's
 * owner.
 */
#define _GNU_SOURCE
#include <poll.h>

#include "../../io/after_fork_internal.h"
#include "../../io/file.h"
#include "../../io/poller_pool_internal.h"
#include "../../io/sys_internal.h"
#include "../../runtime/blocking_internal.h"
#include "../../runtime/runtime_internal.h"
#include "../../runtime/slot_internal.h"
#include "../../runtime/sys_internal.h"
#include "epoll_here.h"
#include "places.h"
#include "plain.h"

static void in_fiber_with(unsigned workers, enum rota_flavor flavor, rota_fn *fn)
{
	const struct rota_config config = {
		.workers = workers,
		.flavor = flavor,
		.backend = ROTA_BACKEND_EPOLL,
		.max_blocking_threads = 1,
		.blocking_idle_ns = ROTA_NEVER,
	};
	rota_runtime *rt;

	rota_thread_waker();
	expect(rota_runtime_new(&rt, &config), ==, 0);
	expect(rota_block_on(rt, fn, NULL), ==, 0);
	expect(rota_runtime_shutdown(rt, ROTA_NEVER), ==, 0);
	rota_runtime_free(rt);
}

static void in_fiber_of(enum rota_flavor flavor, rota_fn *fn)
{
	in_fiber_with(2, flavor, fn);
}

static void in_fiber(rota_fn *fn)
{
	in_fiber_of(ROTA_FLAVOR_MULTI_THREAD, fn);
}

/* A read as it is after its first poll has begun. */
static void begin(struct rota_op *op, int fd, char *byte)
{
	rota_op_read(op, fd, byte, 1, -1);
	op->stage_ = ROTA__OP_STARTED;
	rota__store(&op->carrier_, poller_here(), RELAXED);
	op->closes_ = rota__fd_closes(fd);
}

/* --- what a close ends -------------------------------------------------------------------------------------------- */

enum { ROUNDS = 20 };

/* The nap may be over before the close comes: then it has ended, too. */
static int nap_and_close(void *arg)
{
	const struct rota_waker waker = rota_thread_waker();
	struct rota_op op;
	int fds[2];
	char byte;

	for (int round = 0; round < ROUNDS; round++) {
		plain_pipe(fds);
		begin(&op, fds[0], &byte);
		expect(rota__poller_nap(poller_here(), &op, &waker), ==, 0);
		expect(rota_close(fds[0]), ==, 0);
		expect(rota__slot_fired(&op.state_), ==, true);
		expect((op.future.status == -ECANCELED) + (op.future.status == ROTA__OP_RESUME), ==, 1);
		close(fds[1]);
	}
	(void)arg;
	return 0;
}

UNIT_TEST(poller, close_ends_what_naps)
{
	in_fiber(nap_and_close);
}

struct pool_holder {
	unsigned here, free; /* atomic */
};

static int hold_pool(void *arg)
{
	struct pool_holder *holder = arg;

	__atomic_store_n(&holder->here, 1, __ATOMIC_RELEASE);
	expect_eventually(__atomic_load_n(&holder->free, __ATOMIC_ACQUIRE) != 0);
	return 0;
}

static rota_task *take_pool(struct pool_holder *holder)
{
	rota_task *job;

	expect(rota_spawn_blocking(&job, hold_pool, holder), ==, 0);
	expect_eventually(__atomic_load_n(&holder->here, __ATOMIC_ACQUIRE) != 0);
	return job;
}

static void give_pool_back(struct pool_holder *holder, rota_task *job)
{
	__atomic_store_n(&holder->free, 1, __ATOMIC_RELEASE);
	expect(rota_join(job, NULL), ==, 0);
}

static int sync_file(void *arg)
{
	return rota_fsync(*(int *)arg);
}

/* The one thread of the pool has something else to do: neither who closes waits for it, nor who waits for his turn. */
static int queue_and_close(void *arg)
{
	int fd = memfd_create("file", MFD_CLOEXEC);
	struct pool_holder holder = { 0 };
	rota_task *job = take_pool(&holder);
	rota_task *task = unit_spawn(sync_file, &fd);

	unit_until_resting(task);
	expect(rota_close(fd), ==, 0);
	unit_expect_join(task, -ECANCELED);
	give_pool_back(&holder, job);
	(void)arg;
	return 0;
}

UNIT_TEST(poller, close_ends_what_waits_for_the_pool)
{
	in_fiber(queue_and_close);
}

/* What waits for no pair does not wait for those that look after pairs either. */
static int close_beside_the_pairs(void *arg)
{
	int fds[2];

	plain_pipe(fds);
	rota__spin_lock(&poller_here()->pairs.lock);
	expect(rota_close(fds[0]), ==, 0);
	rota__spin_unlock(&poller_here()->pairs.lock);
	close(fds[1]);
	(void)arg;
	return 0;
}

UNIT_TEST(poller, close_takes_no_lock_of_pairs)
{
	in_fiber(close_beside_the_pairs);
}

/* --- what begins while a close waits -------------------------------------------------------------------------------- */

static void close_begin(struct rota_op *closer, int fd)
{
	const struct rota_waker waker = rota_thread_waker();

	rota_op_close(closer, fd);
	closer->stage_ = ROTA__OP_STARTED;
	rota__store(&closer->carrier_, poller_here(), RELAXED);
	expect(rota__poller_close_begin(poller_here(), closer, &waker), ==, false); /* as if it had waited */
}

static int read_closing(void *arg)
{
	struct rota_op closer;
	int fds[2];
	char byte;

	plain_pipe(fds);
	close_begin(&closer, fds[0]);
	expect(rota_read(fds[0], &byte, 1), ==, -ECANCELED);
	expect(write(fds[1], "a", 1), ==, 1);
	expect(rota_read(fds[0], &byte, 1), ==, -ECANCELED);
	expect(rota_poll_fd(fds[0], POLLIN), ==, -ECANCELED);
	expect(rota__poller_close_end(poller_here(), &closer), ==, 0);
	close(fds[1]);
	/* It has no effect on who gets the number next. */
	plain_pipe(fds);
	expect(write(fds[1], "a", 1), ==, 1);
	expect(rota_read(fds[0], &byte, 1), ==, 1);
	plain_close(fds);
	(void)arg;
	return 0;
}

UNIT_TEST(poller, what_begins_while_a_close_waits_ends)
{
	in_fiber(read_closing);
	in_fiber_of(ROTA_FLAVOR_CURRENT_THREAD, read_closing);
}

static int read_one(void *arg)
{
	char byte;

	return (int)rota_read(*(int *)arg, &byte, 1);
}

/* Another number, of the same list, is being closed: its close may wait, and so may the others. */
static int read_beside(void *arg)
{
	struct rota_op closer;
	rota_task *task;
	int fds[2];

	plain_pipe(fds);
	close_begin(&closer, fds[0] + (int)ROTA__POLLER_BUCKETS);
	task = unit_spawn(read_one, &fds[0]);
	unit_until_resting(task);
	rota_cancel(task);
	unit_expect_join(task, -ECANCELED);
	task = unit_spawn(read_one, &fds[0]);
	unit_until_resting(task);
	expect(write(fds[1], "a", 1), ==, 1);
	unit_expect_join(task, 1);
	expect(rota__poller_close_end(poller_here(), &closer), ==, -EBADF);
	plain_close(fds);
	(void)arg;
	return 0;
}

UNIT_TEST(poller, no_wait_is_spun_away_beside_a_close)
{
	in_fiber(read_beside);
	in_fiber_of(ROTA_FLAVOR_CURRENT_THREAD, read_beside);
}

/* --- who closes while a call is under way ---------------------------------------------------------------------------- */

enum { CLOSERS = 40 }; /* more than a batch has room for */

static void *same(void *data)
{
	return data;
}

static void note(void *data)
{
	++*(unsigned *)data;
}

static void ignore(void *data)
{
	(void)data;
}

/* The call that they wait for is over, and the next one that ends, whichever that is, resumes them. */
static int close_by_many(void *arg)
{
	static const struct rota_waker_ops ops = { .clone = same, .wake = note, .wake_by_ref = note, .drop = ignore };
	unsigned woken = 0;
	const struct rota_waker waker = { &ops, &woken };
	struct rota__poller *poller = poller_here();
	static struct rota_op closers[CLOSERS];
	unsigned ended = 0;
	const struct rota_waker ended_waker = { &ops, &ended };
	struct rota__interruptible call;
	struct rota_op op, other;
	int fds[2], others[2];
	char byte;

	plain_pipe(fds);
	plain_pipe(others);
	begin(&op, fds[0], &byte);
	rota__interrupts_prepare();
	rota__spin_lock(&poller->lock);
	rota__interrupts_enter(&poller->interrupts, &call, &op);
	rota__spin_unlock(&poller->lock);
	for (unsigned i = 0; i < CLOSERS; i++) {
		rota_op_close(&closers[i], fds[0]);
		closers[i].stage_ = ROTA__OP_STARTED;
		rota__store(&closers[i].carrier_, poller, RELAXED);
		expect(rota__poller_close_begin(poller, &closers[i], &waker), ==, true);
	}
	rota__spin_lock(&poller->lock);
	rota__interrupts_leave(&poller->interrupts, &call);
	rota__spin_unlock(&poller->lock);
	begin(&other, others[0], &byte);
	expect(write(others[1], "a", 1), ==, 1);
	rota__spin_lock(&poller->lock);
	rota__op_list_leave(&poller->for_pool, &other, ROTA__PLACE_LONG_CALL, &ended_waker);
	rota__spin_unlock(&poller->lock);
	rota__poller_errand(poller);
	expect(other.future.status, ==, 1);
	expect(ended, ==, 1);
	expect(woken, ==, CLOSERS);
	for (unsigned i = 0; i < CLOSERS; i++) {
		expect(rota__slot_fired(&closers[i].state_), ==, true);
		expect(rota__poller_close_end(poller, &closers[i]), ==, i == 0 ? 0 : -EBADF);
	}
	plain_close(others);
	close(fds[1]);
	(void)arg;
	return 0;
}

UNIT_TEST(poller, many_closes_of_a_call_under_way)
{
	in_fiber(close_by_many);
}

/* --- turns --------------------------------------------------------------------------------------------------------- */

static int accept_one(void *arg)
{
	return rota_accept(*(const int *)arg, NULL, NULL);
}

/* Who has to wait for its turn at a blocking listener keeps neither its worker nor who accepts elsewhere. */
static int accept_out_of_turn(void *arg)
{
	int ports[2], clients[2], listeners[2], fd;
	rota_task *task;

	for (unsigned i = 0; i < 2; i++) {
		listeners[i] = plain_listen(4, &ports[i]);
		clients[i] = plain_connect(ports[i]);
	}
	listeners[1] = plain_at(listeners[1], 200);
	listeners[0] = plain_at(listeners[0], 200 + 64);
	expect(rota__accept_turn_begin(listeners[0]), ==, true);
	expect(rota__accept_turn_begin(listeners[0]), ==, false);
	task = unit_spawn(accept_one, &listeners[0]);
	unit_until_resting(task);
	fd = rota_accept(listeners[1], NULL, NULL);
	expect(fd, >=, 0);
	close(fd);
	rota__accept_turn_end(listeners[0]);
	expect(rota_join(task, &fd), ==, 0);
	expect(fd, >=, 0);
	close(fd);
	for (unsigned i = 0; i < 2; i++) {
		close(listeners[i]);
		close(clients[i]);
	}
	(void)arg;
	return 0;
}

UNIT_TEST(poller, nobody_spins_for_a_turn_to_accept)
{
	in_fiber(accept_out_of_turn);
	in_fiber_of(ROTA_FLAVOR_CURRENT_THREAD, accept_out_of_turn);
}

/* One may last for as long as nobody connects: no other number may have to wait for it. */
UNIT_TEST(poller, turns_to_accept_are_not_shared)
{
	const int numbers[] = { 200, 200 + (1 << 16), 200 + (1 << 20), INT32_MAX };
	const unsigned n = sizeof(numbers) / sizeof(numbers[0]);

	for (unsigned i = 0; i < n; i++)
		expect(rota__accept_turn_begin(numbers[i]), ==, true);
	for (unsigned i = 0; i < n; i++)
		rota__accept_turn_end(numbers[i]);
	expect(rota__accept_turn_begin(200), ==, true);
	rota__accept_turn_end(200);
}

/* --- accepts on a blocking listener ---------------------------------------------------------------------------------- */

struct guest {
	int listener, port, client;
};

static struct guest guest_new(void)
{
	struct guest guest;

	guest.listener = plain_far(plain_listen(4, &guest.port));
	guest.client = plain_connect(guest.port);
	return guest;
}

static void guest_serve(const struct guest *guest)
{
	int fd = rota_accept(guest->listener, NULL, NULL);

	expect(fd, >=, 0);
	close(fd);
}

static void guest_free(const struct guest *guest)
{
	close(guest->client);
	close(guest->listener);
}

/* The one thread of the pool has something else to do, perhaps for ever. */
static int accept_beside_jobs(void *arg)
{
	struct pool_holder holder = { 0, 0 };
	rota_task *job = take_pool(&holder);
	const struct guest guest = guest_new();

	guest_serve(&guest);
	guest_free(&guest);
	give_pool_back(&holder, job);
	(void)arg;
	return 0;
}

UNIT_TEST(poller, an_accept_waits_for_no_job)
{
	in_fiber(accept_beside_jobs);
	in_fiber_of(ROTA_FLAVOR_CURRENT_THREAD, accept_beside_jobs);
}

static int accept_without_threads(void *arg)
{
	const struct guest guest = guest_new();

	rota__fault_arm(ROTA__FAULT_THREAD, 1, -EAGAIN);
	guest_serve(&guest);
	rota__fault_arm(ROTA__FAULT_THREAD, 0, 0);
	guest_free(&guest);
	(void)arg;
	return 0;
}

UNIT_TEST(poller, an_accept_needs_no_thread)
{
	in_fiber(accept_without_threads);
	in_fiber_of(ROTA_FLAVOR_CURRENT_THREAD, accept_without_threads);
}

/* One stays for all, and is free when the task goes on. None of the pool has anything to do. */
static int accept_again(void *arg)
{
	rota_runtime *rt = rota_runtime_current();

	for (int round = 0; round < ROUNDS; round++) {
		const struct guest guest = guest_new();

		guest_serve(&guest);
		guest_free(&guest);
		expect(rota__blocking_threads(rt), ==, 1);
		expect(rt->blocking.beside, ==, 1);
		expect(rt->blocking.taken, ==, 0);
	}
	(void)arg;
	return 0;
}

UNIT_TEST(poller, accepts_take_one_thread_beside_the_pool)
{
	in_fiber(accept_again);
	in_fiber_of(ROTA_FLAVOR_CURRENT_THREAD, accept_again);
}

/* --- the same where somebody else was quicker ------------------------------------------------------------------------- */

/* An accept that has found a connection, and has the turn; then the connection is gone, as by another process. */
static void begin_robbed(struct rota_op *op, struct guest *guest)
{
	*guest = guest_new();
	rota_op_accept(op, guest->listener, NULL, NULL);
	op->stage_ = ROTA__OP_STARTED;
	rota__store(&op->carrier_, poller_here(), RELAXED);
	op->closes_ = rota__fd_closes(guest->listener);
	rota__io_after_fork_install();
	expect(rota__sys_call(op)->make(op, true), ==, ROTA__CALL_UNSURE);
	op->has_turn_ = 1;
	close(accept(guest->listener, NULL, NULL));
}

static bool is_in_call(const struct rota_op *op)
{
	struct rota__poller *poller = poller_here();
	const struct rota__interruptible *call;

	rota__spin_lock(&poller->lock);
	for (call = poller->interrupts.first; call != NULL && call->op != op;)
		call = call->next;
	rota__spin_unlock(&poller->lock);
	return call != NULL;
}

/* A waker that looks whether the turn is over. */
struct witness {
	int listener;
	bool turn_over, looked; /* looked: atomic */
};

static void look(void *data)
{
	struct witness *witness = data;

	witness->turn_over = rota__accept_turn_begin(witness->listener);
	rota__accept_turn_end(witness->listener);
	__atomic_store_n(&witness->looked, true, __ATOMIC_RELEASE);
}

enum robbed { SERVED, CANCELLED, CLOSED, LEFT, LEFT_AND_CLOSED };

/* Its call waits for another connection, on a thread that nobody needs. It has no turn any more when its owner hears of it. */
static void be_robbed(enum robbed what)
{
	static const struct rota_waker_ops ops = { .clone = same, .wake = look, .wake_by_ref = look, .drop = ignore };
	struct witness witness = { .turn_over = false };
	const struct rota_waker waker = { &ops, &witness };
	int file = memfd_create("file", MFD_CLOEXEC), client = -1;
	struct guest guest;
	struct rota_op op;

	begin_robbed(&op, &guest);
	witness.listener = guest.listener;
	if (what == LEFT || what == LEFT_AND_CLOSED) { /* as before its thread comes */
		rota__spin_lock(&poller_here()->lock);
		rota__op_list_leave(&poller_here()->for_beside, &op, ROTA__PLACE_BESIDE, &waker);
		rota__spin_unlock(&poller_here()->lock);
	} else {
		expect(rota__poller_beside(poller_here(), &op, &waker), ==, 0);
		expect_eventually(is_in_call(&op));
	}
	expect(rota__accept_turn_begin(guest.listener), ==, false);
	expect(rota__poller_waited_for(poller_here(), guest.listener), ==, true);
	expect(rota_fsync(file), ==, 0);
	if (what == SERVED)
		client = plain_connect(guest.port);
	else if (what == CLOSED || what == LEFT_AND_CLOSED)
		expect(rota_close(guest.listener), ==, 0);
	else
		expect(rota__poller_cancel(poller_here(), &op), ==, what == LEFT);
	expect_eventually(rota__slot_fired(&op.state_));
	expect_eventually(__atomic_load_n(&witness.looked, __ATOMIC_ACQUIRE));
	expect(witness.turn_over, ==, true);
	if (what == SERVED)
		expect(op.future.status, >=, 0);
	else
		expect(op.future.status, ==, -ECANCELED);
	if (what == SERVED)
		close(op.future.status);
	close(client);
	close(file);
	close(guest.client);
	if (what != CLOSED && what != LEFT_AND_CLOSED)
		close(guest.listener);
}

static int accept_among_thieves(void *arg)
{
	(void)arg;
	for (unsigned round = 0; round < ROUNDS; round++) {
		be_robbed(SERVED);
		be_robbed(CANCELLED);
		be_robbed(CLOSED);
		be_robbed(LEFT);
		be_robbed(LEFT_AND_CLOSED);
	}
	return 0;
}

UNIT_TEST(poller, an_accept_whose_connection_another_process_takes)
{
	in_fiber(accept_among_thieves);
	in_fiber_of(ROTA_FLAVOR_CURRENT_THREAD, accept_among_thieves);
}

/* Its thread may come when all is over, and has nothing to do then but to leave. */
static int cancel_and_end(void *arg)
{
	const struct rota_waker waker = rota_thread_waker();
	struct guest guest;
	struct rota_op op;

	begin_robbed(&op, &guest);
	expect(rota__poller_beside(poller_here(), &op, &waker), ==, 0);
	rota__poller_cancel(poller_here(), &op);
	expect_eventually(rota__slot_fired(&op.state_));
	expect(op.future.status, ==, -ECANCELED);
	guest_free(&guest);
	(void)arg;
	return 0;
}

UNIT_TEST(poller, a_thread_beside_the_pool_that_comes_too_late)
{
	for (unsigned round = 0; round < ROUNDS; round++)
		in_fiber(cancel_and_end);
}

/* Others want to accept there meanwhile, and their worker, of which there is one, has time for more. */
static int accept_behind_a_robbed_one(void *arg)
{
	const struct rota_waker waker = rota_thread_waker();
	struct guest guest;
	rota_task *task;
	struct rota_op op;
	int clients[2], fd;

	begin_robbed(&op, &guest);
	expect(rota__poller_beside(poller_here(), &op, &waker), ==, 0);
	expect_eventually(is_in_call(&op));
	task = unit_spawn(accept_one, &guest.listener);
	unit_until_resting(task);
	for (unsigned i = 0; i < 2; i++)
		clients[i] = plain_connect(guest.port);
	expect(rota_join(task, &fd), ==, 0);
	expect(fd, >=, 0);
	expect_eventually(rota__slot_fired(&op.state_));
	expect(op.future.status, >=, 0);
	close(op.future.status);
	close(fd);
	for (unsigned i = 0; i < 2; i++)
		close(clients[i]);
	guest_free(&guest);
	(void)arg;
	return 0;
}

UNIT_TEST(poller, an_accept_behind_one_that_waits_for_ever)
{
	in_fiber_with(1, ROTA_FLAVOR_MULTI_THREAD, accept_behind_a_robbed_one);
	in_fiber_with(1, ROTA_FLAVOR_CURRENT_THREAD, accept_behind_a_robbed_one);
}

/* Where there is no thread for it, it keeps the one that asked for a moment only. */
static int be_robbed_in_place(void *arg)
{
	struct guest guest;
	struct rota_op op;
	int client;

	(void)arg;
	for (unsigned round = 0; round < ROUNDS; round++) {
		begin_robbed(&op, &guest);
		expect(rota__poller_in_place(poller_here(), &op), ==, ROTA__CALL_TAKEN);
		expect(is_in_call(&op), ==, false);
		expect(rota__sys_call(&op)->make(&op, true), ==, -EAGAIN); /* which takes the turn to look */
		client = plain_connect(guest.port);
		expect(rota__sys_call(&op)->make(&op, true), ==, ROTA__CALL_UNSURE);
		op.has_turn_ = 1;
		op.future.status = rota__poller_in_place(poller_here(), &op);
		expect(op.future.status, >=, 0);
		close(op.future.status);
		close(client);
		guest_free(&guest);
	}
	return 0;
}

UNIT_TEST(poller, an_accept_in_place_whose_connection_another_process_takes)
{
	in_fiber_with(1, ROTA_FLAVOR_MULTI_THREAD, be_robbed_in_place);
	in_fiber_with(1, ROTA_FLAVOR_CURRENT_THREAD, be_robbed_in_place);
}

struct thief {
	int listener;
	unsigned over; /* atomic */
};

/* Sees a connection when the reactor does, and is quicker now and then. */
static void *steal(void *arg)
{
	struct thief *thief = arg;
	struct pollfd pfd = { .fd = thief->listener, .events = POLLIN };

	for (unsigned i = 0; __atomic_load_n(&thief->over, __ATOMIC_ACQUIRE) == 0; i++) {
		expect(poll(&pfd, 1, -1), ==, 1);
		for (unsigned pauses = 0; pauses < i % 64 * 32; pauses++)
			rota__cpu_relax();
		close(accept(thief->listener, NULL, NULL));
	}
	return NULL;
}

static int accept_all(void *arg)
{
	const struct guest *guest = arg;
	int fd;

	while ((fd = rota_accept(guest->listener, NULL, NULL)) >= 0)
		close(fd);
	return fd;
}

static int cancel_a_robbed_one(void *arg)
{
	struct guest guest = { .client = -1 };
	struct thief thief = { .over = 0 };
	pthread_t thread;
	rota_task *task;

	(void)arg;
	guest.listener = plain_listen(128, &guest.port);
	thief.listener = guest.listener;
	expect(pthread_create(&thread, NULL, steal, &thief), ==, 0);
	rota__fault_arm(ROTA__FAULT_THREAD, ROTA__FAULT_EACH, -EAGAIN);
	task = unit_spawn(accept_all, &guest);
	for (unsigned i = 0; i < 100 * ROUNDS; i++) {
		close(plain_connect(guest.port));
		unit_until_resting(task);
	}
	expect(rota_cancel(task), ==, 0);
	unit_expect_join(task, -ECANCELED);
	rota__fault_arm(ROTA__FAULT_THREAD, 0, 0);
	__atomic_store_n(&thief.over, 1, __ATOMIC_RELEASE);
	close(plain_connect(guest.port));
	pthread_join(thread, NULL);
	guest_free(&guest);
	return 0;
}

UNIT_TEST(poller, an_accept_in_place_among_thieves_is_cancelled)
{
	in_fiber_with(1, ROTA_FLAVOR_MULTI_THREAD, cancel_a_robbed_one);
	in_fiber_with(1, ROTA_FLAVOR_CURRENT_THREAD, cancel_a_robbed_one);
}

/* --- what sees that it was closed --------------------------------------------------------------------------------- */

/* A read of the first pipe that begins, and whose number means the second by now. */
static void begin_and_close(struct rota_op *op, char *byte, int fds[2], int again[2])
{
	plain_pipe(fds);
	fds[0] = plain_far(fds[0]);
	begin(op, fds[0], byte);
	expect(rota_close(fds[0]), ==, 0);
	plain_pipe(again);
	again[0] = plain_at(again[0], fds[0]);
}

static int wait_too_late(void *arg)
{
	const struct rota_waker waker = rota_thread_waker();
	int fds[2], again[2];
	struct rota_op op;
	char byte;

	begin_and_close(&op, &byte, fds, again);
	expect(rota__poller_wait(poller_here(), &op, &waker, false), ==, -ECANCELED);
	expect(rota__poller_nap(poller_here(), &op, &waker), ==, -ECANCELED);
	expect(rota__poller_call_begin(poller_here(), op.fd_, op.closes_), ==, false);
	/* Nothing of it was left behind. */
	expect(rota_close(again[0]), ==, 0);
	expect(rota__slot_fired(&op.state_), ==, false);
	close(again[1]);
	close(fds[1]);
	(void)arg;
	return 0;
}

UNIT_TEST(poller, no_wait_for_what_was_closed)
{
	in_fiber(wait_too_late);
}

static int perform_too_late(void *arg)
{
	const struct rota_waker waker = rota_thread_waker();
	int fds[2], again[2];
	struct rota_op op;
	char byte;

	begin_and_close(&op, &byte, fds, again);
	expect(write(again[1], "a", 1), ==, 1);
	expect(rota__poller_to_pool(poller_here(), &op, &waker), ==, 0);
	expect_eventually(rota__slot_fired(&op.state_));
	expect(op.future.status, ==, -ECANCELED);
	expect(plain_waiting(again[0]), ==, 1);
	plain_close(again);
	close(fds[1]);
	(void)arg;
	return 0;
}

UNIT_TEST(poller, no_call_of_the_pool_on_what_was_closed)
{
	in_fiber(perform_too_late);
}
