/* SPDX-License-Identifier: MIT */
/*
 * Signals as streams.
 *
 * The handler runs wherever the kernel likes, so it does what is allowed everywhere: it sets `arrived[signo]`, counts
 * `bell` up, and wakes the futex of the one thread, which is a bare system call; errno is saved. All atomics here are free
 * of locks. The thread wakes, takes what has arrived, counts each signal's `generation` up, and grants one waiter of each
 * of its streams. A stream whose `seen_` is not the generation has a signal that nobody has taken: a count per signal and
 * a number per stream are the whole queue, which is why many arrivals are one.
 *
 * Why not signalfd: it reads what is blocked in every thread, and a library cannot see to that. Why not an eventfd that a
 * task reads: after a fork both processes have it, and a signal of the child's would wake the parent; and it would need a
 * runtime, which streams can do without. Why a thread: it is also the one place where the signals are surely not blocked.
 *
 * `lock` guards streams, generations, the count of streams and whether there is a thread. A plain mutex keeps open and
 * close, which change dispositions, apart from each other, and from a fork. The thread leaves when it finds no stream.
 *
 * In a child of fork(2) the parent's streams are closed: what the program had said about their signals holds again. One
 * that is sent to the child before that was put back must not meet the handler, which it would find there but no thread: so
 * the thread that forks blocks these signals for the time.
 */
#define _GNU_SOURCE
#include "../io/signal.h" /* not the one of the system */

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>

#include "../runtime/sys_internal.h"
#include "../runtime/waitlist_internal.h"
#include "after_fork_internal.h"
#include "outside_internal.h"
#include "sys_process_internal.h"

#define SIGNALS 65 /* of Linux, and 0, which is none */

enum { TAG_SIGNAL, TAG_CLOSED };

static struct {
	struct rota_atomic_u32 lock;
	struct rota_signal *streams[SIGNALS];
	uint32_t generation[SIGNALS];
	unsigned open;
	bool thread;
	/* written by the handler */
	struct rota_atomic_u32 arrived[SIGNALS];
	struct rota_atomic_u32 bell; /* futex of the thread */
	/* written by the thread */
	struct rota_atomic_u32 seen; /* what the bell said when it last looked; futex of who closes */
} signals;

static pthread_mutex_t opening = PTHREAD_MUTEX_INITIALIZER;
static struct sigaction former[SIGNALS]; /* guarded by `opening` */
static sigset_t mask_of_forker;          /* the same */

static void lock(void)
{
	rota__spin_lock(&signals.lock);
}

static void unlock(void)
{
	rota__spin_unlock(&signals.lock);
}

/* --- the handler ------------------------------------------------------------------------------------------------ */

/* Returns what the bell says afterwards. */
static uint32_t ring(void)
{
	uint32_t bell = rota__fetch_add(&signals.bell, 1, SEQ_CST) + 1;

	rota__sys_futex_wake(&signals.bell, 1);
	return bell;
}

void rota__signal_arrived(int signo)
{
	rota__store(&signals.arrived[signo], 1, SEQ_CST);
	ring();
}

/* --- the thread ------------------------------------------------------------------------------------------------- */

/* A stream that has a waiter and a signal for it. With the lock held. */
static struct rota_signal *find_due(int signo)
{
	struct rota_signal *stream = signals.streams[signo];

	while (stream != NULL && (stream->seen_ == signals.generation[signo] || rota__waitlist_empty(&stream->waiters_)))
		stream = stream->next_;
	return stream;
}

static void deliver(int signo)
{
	struct rota__wake_batch batch;
	struct rota_signal *stream;

	rota__wake_batch_init(&batch);
	rota__outside_begin();
	lock();
	signals.generation[signo]++;
	while ((stream = find_due(signo)) != NULL) {
		stream->seen_ = signals.generation[signo];
		rota__waitlist_grant(&stream->waiters_, TAG_SIGNAL, &batch);
		if (rota__wake_batch_full(&batch)) {
			unlock();
			rota__wake_batch_submit(&batch);
			lock();
		}
	}
	unlock();
	rota__wake_batch_submit(&batch);
	rota__outside_end();
}

/* Lets through what there are streams for, beside what rota's threads all do. false: there are none, and the thread is to
 * leave. */
static bool let_through(const sigset_t *blocked)
{
	sigset_t set = *blocked;
	bool stay;

	lock();
	stay = signals.open > 0;
	for (int signo = 1; signo < SIGNALS; signo++) {
		if (signals.streams[signo] != NULL)
			sigdelset(&set, signo);
	}
	unlock();
	pthread_sigmask(SIG_SETMASK, &set, NULL);
	if (stay)
		return true;
	lock();
	stay = signals.open > 0; /* again: then the bell has been rung, too */
	signals.thread = stay;
	unlock();
	return stay;
}

/* The thread has looked at what there was when the bell said so. It may be one that leaves while the next is there
 * already: the number does not go back. */
static void saw(uint32_t bell)
{
	uint32_t seen = rota__load(&signals.seen, SEQ_CST);

	while ((int32_t)(bell - seen) > 0 && !rota__cas(&signals.seen, &seen, bell, SEQ_CST)) {
	}
	rota__sys_futex_wake(&signals.seen, INT32_MAX);
}

/* A moment: the thread does nothing that takes long. One that leaves reads the bell after it was struck out, so it has
 * heard this one, or is found to be gone. */
static void until_seen(uint32_t bell)
{
	for (;;) {
		uint32_t seen = rota__load(&signals.seen, SEQ_CST);
		bool there;

		lock();
		there = signals.thread;
		unlock();
		if (!there || (int32_t)(seen - bell) >= 0)
			return;
		rota__sys_futex_wait(&signals.seen, seen, UINT64_MAX);
	}
}

static void *thread_main(void *arg)
{
	sigset_t blocked;
	bool stay;

	(void)arg;
	pthread_sigmask(SIG_BLOCK, NULL, &blocked);
	for (;;) {
		uint32_t bell = rota__load(&signals.bell, SEQ_CST);

		stay = let_through(&blocked);
		saw(stay ? bell : rota__load(&signals.bell, SEQ_CST));
		if (!stay)
			return NULL;
		for (int signo = 1; signo < SIGNALS; signo++) {
			if (rota__load(&signals.arrived[signo], RELAXED) != 0 && /* partner: none, the swap orders */
			    rota__swap(&signals.arrived[signo], 0, SEQ_CST) != 0)
				deliver(signo);
		}
		rota__sys_futex_wait(&signals.bell, bell, UINT64_MAX);
	}
}

/* With `opening` held, after the stream was counted. */
static int need_thread(void)
{
	pthread_t thread;
	bool there;
	int rc;

	lock();
	there = signals.thread;
	signals.thread = true;
	unlock();
	if (there) {
		ring(); /* another signal to let through */
		return 0;
	}
	rc = rota__sys_thread(&thread, "rota-signal", thread_main, NULL);
	if (rc == 0) {
		pthread_detach(thread);
		return 0;
	}
	lock();
	signals.thread = false;
	unlock();
	return rc;
}

/* --- open and close --------------------------------------------------------------------------------------------- */

static bool can_wait_for(int signo)
{
	switch (signo) {
	case SIGKILL:
	case SIGSTOP:
	case SIGSEGV:
	case SIGBUS:
	case SIGFPE:
	case SIGILL:
	case SIGTRAP:
	case SIGABRT:
	case SIGSYS:
		return false;
	default:
		/* Between the two kinds lie those that the C library keeps for itself. */
		return (signo >= 1 && signo < 32) || (signo >= SIGRTMIN && signo <= SIGRTMAX);
	}
}

static void enlist(struct rota_signal *stream)
{
	lock();
	stream->seen_ = signals.generation[stream->signo_];
	stream->next_ = signals.streams[stream->signo_];
	signals.streams[stream->signo_] = stream;
	signals.open++;
	unlock();
}

/* Whether it was the last one for its signal. */
static bool strike_out(struct rota_signal *stream)
{
	struct rota_signal **link = &signals.streams[stream->signo_];
	bool last;

	lock();
	while (*link != stream)
		link = &(*link)->next_;
	*link = stream->next_;
	last = signals.streams[stream->signo_] == NULL;
	signals.open--;
	unlock();
	return last;
}

int rota_signal_open(struct rota_signal *stream, int signo)
{
	bool first;
	int rc = 0;

	if (!can_wait_for(signo))
		return -EINVAL;
	*stream = (struct rota_signal){ .signo_ = signo };
	rota__io_after_fork_install();
	pthread_mutex_lock(&opening);
	first = signals.streams[signo] == NULL; /* written with `opening` held only */
	if (first)
		rota__store(&signals.arrived[signo], 0, SEQ_CST); /* left from the last stream that there was */
	enlist(stream);
	/* The handler is there before the thread lets the signal through, and goes after that was undone: what is pending
	 * because the program blocks it must not meet the default action. */
	if (first)
		rc = rota__sys_signal_take(signo, &former[signo]);
	if (rc == 0) {
		rc = need_thread();
		if (rc < 0 && first)
			rota__sys_signal_give_back(signo, &former[signo]);
	}
	if (rc < 0) {
		strike_out(stream);
		stream->signo_ = 0;
		ring();
	}
	pthread_mutex_unlock(&opening);
	return rc;
}

/* Those who wait are told. */
static void dismiss(struct rota_signal *stream)
{
	struct rota__wake_batch batch;

	rota__wake_batch_init(&batch);
	lock();
	stream->signo_ = 0;
	while (!rota__waitlist_empty(&stream->waiters_)) {
		rota__waitlist_grant(&stream->waiters_, TAG_CLOSED, &batch);
		if (rota__wake_batch_full(&batch)) {
			unlock();
			rota__wake_batch_submit(&batch);
			lock();
		}
	}
	unlock();
	rota__wake_batch_submit(&batch);
}

void rota_signal_close(struct rota_signal *stream)
{
	const int signo = stream->signo_;
	bool last;

	if (signo == 0)
		return;
	pthread_mutex_lock(&opening);
	last = strike_out(stream);
	until_seen(ring()); /* a signal less to let through; or nothing more to do */
	if (last)
		rota__sys_signal_give_back(signo, &former[signo]);
	pthread_mutex_unlock(&opening);
	dismiss(stream);
}

/* --- fork ------------------------------------------------------------------------------------------------------- */

void rota__signals_fork_begin(void)
{
	sigset_t set;

	sigemptyset(&set);
	pthread_mutex_lock(&opening);
	for (int signo = 1; signo < SIGNALS; signo++) {
		if (signals.streams[signo] != NULL) /* written with `opening` held only */
			sigaddset(&set, signo);
	}
	pthread_sigmask(SIG_BLOCK, &set, &mask_of_forker);
}

void rota__signals_fork_end(void)
{
	const sigset_t mask = mask_of_forker;

	pthread_mutex_unlock(&opening);
	pthread_sigmask(SIG_SETMASK, &mask, NULL);
}

/* Whoever waits does so in the parent. */
void rota__signals_forked(void)
{
	for (int signo = 1; signo < SIGNALS; signo++) {
		struct rota_signal *next = signals.streams[signo];

		if (next != NULL)
			rota__sys_signal_give_back(signo, &former[signo]);
		while (next != NULL) {
			struct rota_signal *stream = next;

			next = stream->next_;
			*stream = (struct rota_signal){ 0 };
		}
	}
	memset(&signals, 0, sizeof(signals));
	rota__signals_fork_end();
}

/* --- waiting ---------------------------------------------------------------------------------------------------- */

static struct rota_signal_op *op_of(struct rota_future *future)
{
	return (struct rota_signal_op *)(void *)future;
}

static rota_poll wait_poll(struct rota_future *self, struct rota_context *cx)
{
	struct rota_signal_op *op = op_of(self);
	struct rota_signal *stream = op->stream_;
	rota_poll ready = ROTA_READY;

	lock();
	if (rota__waiter_granted(&op->waiter_)) { /* the stream may be gone */
		self->status = op->waiter_.tag_ == TAG_CLOSED ? -ECANCELED : 0;
	} else if (op->cancelled_) {
		self->status = -ECANCELED;
		if (rota__waiter_queued(&op->waiter_))
			rota__waitlist_remove(&stream->waiters_, &op->waiter_);
	} else if (stream->signo_ == 0) {
		self->status = -EBADF;
	} else if (!rota__waiter_queued(&op->waiter_) && stream->seen_ != signals.generation[stream->signo_]) {
		stream->seen_ = signals.generation[stream->signo_];
	} else {
		rota__waitlist_wait(&stream->waiters_, &op->waiter_, cx->waker, false);
		ready = ROTA_PENDING;
	}
	unlock();
	return ready;
}

static void wait_cancel(struct rota_future *self)
{
	op_of(self)->cancelled_ = true;
}

static const struct rota_future_ops wait_ops = { .poll = wait_poll, .cancel = wait_cancel, .name = "signal" };

void rota_signal_wait_init(struct rota_signal_op *op, struct rota_signal *stream)
{
	*op = (struct rota_signal_op){ .stream_ = stream };
	rota_future_init(&op->future, &wait_ops);
}

int rota_signal_wait(struct rota_signal *stream)
{
	struct rota_signal_op op;

	rota_signal_wait_init(&op, stream);
	return rota_await(&op.future);
}
