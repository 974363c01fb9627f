/* SPDX-License-Identifier: MIT */
#include "poller_internal.h"

#include <errno.h>
#include <sys/epoll.h>

#include "../runtime/runtime_internal.h"
#include "../runtime/sys_internal.h"
#include "op_list_internal.h"
#include "poller_pool_internal.h"
#include "sys_internal.h"

struct rota__poller_bucket {
	struct rota_atomic_u32 lock;
	struct rota_atomic_u32 closing; /* under way, and WAITS for each that may still wait for calls */
	struct rota_atomic_u32 calls;   /* being made on its numbers */
	struct rota__op_list waiting;
};

/* In `closing`: of a number that has the list for itself, before close(2) is called. */
#define WAITS ((uint32_t)1 << 16)

#define BUCKETS_SIZE (ROTA__POLLER_BUCKETS * sizeof(struct rota__poller_bucket))

static struct rota__poller_bucket *bucket_of(struct rota__poller *poller, int fd)
{
	return &poller->buckets[(unsigned)fd % ROTA__POLLER_BUCKETS];
}

/* Its close waits for calls that were cut off, or is about to be made. Certain for who began when that was so. */
static bool is_closing(struct rota__poller *poller, int fd)
{
	return (unsigned)fd < ROTA__POLLER_BUCKETS &&
	       rota__load(&bucket_of(poller, fd)->closing, ACQUIRE) >= WAITS; /* partner: rota__poller_close_end */
}

bool rota__poller_call_begin(struct rota__poller *poller, int fd, uint16_t closes)
{
	rota__fetch_add(&bucket_of(poller, fd)->calls, 1, SEQ_CST); /* partner: rota__poller_close_end, which reads it */
	if ((unsigned)fd >= ROTA__POLLER_BUCKETS)
		return true;
	if (rota__fd_closes(fd) == closes && !is_closing(poller, fd))
		return true;
	rota__poller_call_end(poller, fd);
	return false;
}

void rota__poller_call_end(struct rota__poller *poller, int fd)
{
	rota__fetch_sub(&bucket_of(poller, fd)->calls, 1, RELEASE); /* partner: rota__poller_close_end */
}

/* --- beginning and end -------------------------------------------------------------------------------------------- */

int rota__poller_init(struct rota__poller *poller, rota_runtime *rt)
{
	void *buckets;
	int rc = rota__sys_map(&buckets, BUCKETS_SIZE);

	if (rc < 0)
		return rc;
	poller->rt = rt;
	poller->buckets = buckets;
	poller->nap_until = ROTA_NEVER;
	rota__interrupts_init(&poller->interrupts);
	rc = rota__poll_set_init(&poller->set, poller);
	if (rc < 0)
		rota__sys_unmap(buckets, BUCKETS_SIZE);
	return rc;
}

void rota__poller_deinit(struct rota__poller *poller)
{
	rota__poll_set_deinit(&poller->set);
	rota__sys_unmap(poller->buckets, BUCKETS_SIZE);
}

/* --- waiting for a descriptor --------------------------------------------------------------------------------------- */

static uint16_t events_of(const struct rota_op *op)
{
	return op->opcode_ == IORING_OP_POLL_ADD ? (uint16_t)op->flags_ : (uint16_t)rota__sys_call(op)->events;
}

/* Tells the kernel all that the list's operations wait for on the descriptor in this set. With the lock held. */
static int arm(struct rota__poll_set *set, const struct rota__poller_bucket *bucket, int fd, bool again)
{
	uint32_t events = 0;
	bool any = false;

	for (const struct rota_op *op = bucket->waiting.first; op != NULL; op = op->mail_next_) {
		if (op->fd_ != fd || rota__poll_set_of(op) != set)
			continue;
		events |= events_of(op);
		any = true;
	}
	if (!any)
		return 0;
	rota__store(&set->used, 1, RELAXED); /* a hint: rota__poll_set_turn */
	return rota__sys_epoll_arm(set->epoll_fd, fd, events, again);
}

/* With the lock held. */
static int wait_in(struct rota__poller *poller, struct rota__poller_bucket *bucket, struct rota_op *op,
		   const struct rota_waker *waker, bool again)
{
	int rc;

	if (rota__op_was_closed(op) || is_closing(poller, op->fd_))
		return -ECANCELED;
	if (rota__load(&bucket->closing, ACQUIRE) != 0) /* partner: the decrement in close_end */
		return -EAGAIN;
	rota__op_list_leave(&bucket->waiting, op, ROTA__PLACE_DESCRIPTOR, waker);
	rc = arm(rota__poll_set_of(op), bucket, op->fd_, again);
	if (rc < 0)
		rota__op_list_take_back(&bucket->waiting, op);
	return rc;
}

int rota__poller_wait(struct rota__poller *poller, struct rota_op *op, const struct rota_waker *waker, bool again)
{
	struct rota__poller_bucket *bucket = bucket_of(poller, op->fd_);
	const bool pair = op->pair_;
	int rc;

	if (pair) { /* SEQ_CST, before it looks whether the second was closed; who finds it there looks whether it waits yet */
		op->mail_next_ = op;
		rota__pairs_add(&poller->pairs, op);
	}
	rota__spin_lock(&bucket->lock);
	rc = wait_in(poller, bucket, op, waker, again);
	rota__spin_unlock(&bucket->lock);
	if (rc < 0 && pair)
		rota__pairs_remove(&poller->pairs, op);
	return rc;
}

/* Fires what waits in this set for one of the events on the descriptor, and counts it. With the lock held. false: the batch is
 * full. */
static bool fire(const struct rota__poll_set *set, struct rota__poller_bucket *bucket, int fd, uint32_t events,
		 struct rota__wake_batch *batch, unsigned *count)
{
	struct rota_op *op, *next;

	for (op = bucket->waiting.first; op != NULL; op = next) {
		next = op->mail_next_;
		if (op->fd_ != fd || rota__poll_set_of(op) != set ||
		    (events & (events_of(op) | EPOLLERR | EPOLLHUP)) == 0)
			continue;
		if (rota__wake_batch_full(batch))
			return false;
		rota__op_list_end(&bucket->waiting, op, ROTA__OP_RESUME, batch);
		++*count;
	}
	return true;
}

unsigned rota__poller_report(struct rota__poll_set *set, int fd, uint32_t events, struct rota__wake_batch *batch)
{
	struct rota__poller_bucket *bucket = bucket_of(set->poller, fd);
	unsigned count = 0;
	bool done;

	do {
		rota__spin_lock(&bucket->lock);
		done = fire(set, bucket, fd, events, batch, &count);
		if (done && arm(set, bucket, fd, false) < 0)
			done = fire(set, bucket, fd, UINT32_MAX, batch, &count); /* each finds out by itself why */
		rota__spin_unlock(&bucket->lock);
		if (!done)
			rota__wake_batch_submit(batch);
	} while (!done);
	return count;
}

/* Ends a wait before its time. */
static void end_early(struct rota__op_list *list, struct rota_op *op, struct rota__wake_batch *batch)
{
	rota__accept_turn_pass(op);
	if (op->pair_)
		op->cancelled_ = 1; /* its owner has to take it out of `pairs` */
	rota__op_list_end(list, op, op->pair_ ? ROTA__OP_RESUME : -ECANCELED, batch);
}

/* Ends, with -ECANCELED, what waits in the list for this descriptor. With its lock held. false: the batch is full, come
 * again. */
static bool cancel_all(struct rota__op_list *list, int fd, struct rota__wake_batch *batch)
{
	struct rota_op *op, *next;

	for (op = list->first; op != NULL; op = next) {
		next = op->mail_next_;
		if (!rota__op_is_about(op, fd))
			continue;
		if (rota__wake_batch_full(batch))
			return false;
		end_early(list, op, batch);
	}
	return true;
}

static void cancel_in(struct rota__op_list *list, struct rota_atomic_u32 *lock, int fd)
{
	struct rota__wake_batch batch;
	bool done;

	rota__wake_batch_init(&batch);
	do {
		rota__spin_lock(lock);
		done = cancel_all(list, fd, &batch);
		rota__spin_unlock(lock);
		rota__wake_batch_submit(&batch);
	} while (!done);
}

/* The same, of pairs whose second descriptor it is. With their lock held. false: the batch is full, come again. */
static bool cancel_seconds(struct rota__poller *poller, int fd, struct rota__wake_batch *batch)
{
	for (struct rota_op *op = rota__pairs_polls(&poller->pairs, fd); op != NULL; op = rota__pairs_next(op)) {
		struct rota__poller_bucket *bucket = bucket_of(poller, op->fd_);

		if (op->second_fd_ != fd)
			continue;
		if (rota__wake_batch_full(batch))
			return false;
		rota__spin_lock(&bucket->lock);
		if (rota__op_is_listed(op))
			end_early(&bucket->waiting, op, batch);
		rota__spin_unlock(&bucket->lock);
	}
	return true;
}

static void cancel_pairs(struct rota__poller *poller, int fd)
{
	struct rota__wake_batch batch;
	bool done;

	if (!rota__pairs_any(&poller->pairs))
		return; /* who adds one now sees the close: rota__poller_wait */
	rota__wake_batch_init(&batch);
	do {
		rota__spin_lock(&poller->pairs.lock);
		done = cancel_seconds(poller, fd, &batch);
		rota__spin_unlock(&poller->pairs.lock);
		rota__wake_batch_submit(&batch);
	} while (!done);
}

/* With the list's lock held. */
static bool is_in(const struct rota__op_list *list, int fd)
{
	const struct rota_op *op = list->first;

	while (op != NULL && !rota__op_is_about(op, fd))
		op = op->mail_next_;
	return op != NULL;
}

static bool is_second_of_any(struct rota__poller *poller, int fd)
{
	struct rota_op *op;

	rota__spin_lock(&poller->pairs.lock);
	op = rota__pairs_polls(&poller->pairs, fd);
	while (op != NULL && op->second_fd_ != fd)
		op = rota__pairs_next(op);
	rota__spin_unlock(&poller->pairs.lock);
	return op != NULL;
}

/* A thread of the pool or beside it has it, or will; or it waits for a moment. */
static bool is_elsewhere(struct rota__poller *poller, int fd)
{
	bool is;

	rota__spin_lock(&poller->lock);
	is = is_in(&poller->naps, fd) || is_in(&poller->for_pool, fd) || is_in(&poller->for_beside, fd) ||
	     rota__interrupts_any(&poller->interrupts, fd, false);
	rota__spin_unlock(&poller->lock);
	return is;
}

bool rota__poller_waited_for(struct rota__poller *poller, int fd)
{
	struct rota__poller_bucket *bucket = bucket_of(poller, fd);
	bool waits;

	rota__spin_lock(&bucket->lock);
	waits = is_in(&bucket->waiting, fd);
	rota__spin_unlock(&bucket->lock);
	return waits || is_second_of_any(poller, fd) || is_elsewhere(poller, fd) ||
	       rota__load(&bucket->calls, SEQ_CST) != 0; /* partner: rota__poller_call_begin */
}

bool rota__poller_close_begin(struct rota__poller *poller, struct rota_op *closer, const struct rota_waker *waker)
{
	const int fd = closer->fd_;
	const bool alone = (unsigned)fd < ROTA__POLLER_BUCKETS;
	struct rota__poller_bucket *bucket = bucket_of(poller, fd);

	if (fd < 0)
		return false;
	rota__spin_lock(&bucket->lock);
	rota__fetch_add(&bucket->closing, alone ? 1 + WAITS : 1, RELAXED); /* under the lock */
	rota__fd_count_close(fd); /* whoever takes this one down sees the above. Partner: rota__poller_call_begin */
	rota__spin_unlock(&bucket->lock);
	cancel_in(&bucket->waiting, &bucket->lock, fd);
	cancel_pairs(poller, fd);
	cancel_in(&poller->naps, &poller->lock, fd);
	cancel_in(&poller->for_pool, &poller->lock, fd);
	cancel_in(&poller->for_beside, &poller->lock, fd);
	return rota__poller_cut_off(poller, closer, waker);
}

int rota__poller_close_end(struct rota__poller *poller, const struct rota_op *closer)
{
	struct rota__poller_bucket *bucket = bucket_of(poller, closer->fd_);
	unsigned spins = 0;
	int rc;

	if (closer->fd_ < 0)
		return -EBADF;
	while (rota__load(&bucket->calls, SEQ_CST) != 0) /* partner: rota__poller_call_begin */
		rota__spin_pause(&spins);
	/* From here on the number may be somebody else's. Partner: is_closing. */
	if ((unsigned)closer->fd_ < ROTA__POLLER_BUCKETS)
		rota__fetch_sub(&bucket->closing, WAITS, RELEASE);
	rc = rota__sys_call(closer)->make(closer, false);
	rota__fetch_sub(&bucket->closing, 1, RELEASE); /* partner: rota__poller_wait */
	return rc;
}

/* --- waiting for a moment ------------------------------------------------------------------------------------------- */

int rota__poller_nap(struct rota__poller *poller, struct rota_op *op, const struct rota_waker *waker)
{
	bool first;

	rota__spin_lock(&poller->lock);
	if (rota__op_was_closed(op)) {
		rota__spin_unlock(&poller->lock);
		return -ECANCELED;
	}
	first = poller->naps.first == NULL;
	if (first)
		poller->nap_until = rota__sys_clock() + ROTA__NAP_NS;
	rota__op_list_leave(&poller->naps, op, ROTA__PLACE_NAP, waker);
	rota__spin_unlock(&poller->lock);
	if (first)
		rota__poller_wake(poller);
	return 0;
}

/* How long until the next nap is over, or a call is to be interrupted again; at most timeout_ns. */
static uint64_t until_nap_ends(struct rota__poller *poller, uint64_t timeout_ns)
{
	uint64_t now, until;

	rota__spin_lock(&poller->lock);
	until = poller->nap_until < poller->interrupts.again ? poller->nap_until : poller->interrupts.again;
	rota__spin_unlock(&poller->lock);
	if (until == ROTA_NEVER)
		return timeout_ns;
	now = rota__sys_clock();
	until = until > now ? until - now : 0;
	return until < timeout_ns ? until : timeout_ns;
}

static void end_naps(struct rota__poller *poller, struct rota__wake_batch *batch)
{
	rota__spin_lock(&poller->lock);
	if (poller->nap_until != ROTA_NEVER && rota__sys_clock() >= poller->nap_until) {
		while (poller->naps.first != NULL && !rota__wake_batch_full(batch))
			rota__op_list_end(&poller->naps, poller->naps.first, ROTA__OP_RESUME, batch);
		if (poller->naps.first == NULL)
			poller->nap_until = ROTA_NEVER;
	}
	rota__interrupts_repeat(&poller->interrupts);
	rota__spin_unlock(&poller->lock);
}

/* --- cancelling ----------------------------------------------------------------------------------------------------- */

bool rota__poller_cancel(struct rota__poller *poller, struct rota_op *op)
{
	struct rota_atomic_u32 *lock = &poller->lock;
	struct rota__op_list *list = op->mail_ == ROTA__PLACE_BESIDE ? &poller->for_beside : &poller->for_pool;
	struct rota__wake_batch batch;
	bool interrupted = false;
	bool listed;

	if (op->mail_ == ROTA__PLACE_DESCRIPTOR) {
		lock = &bucket_of(poller, op->fd_)->lock;
		list = &bucket_of(poller, op->fd_)->waiting;
	} else if (op->mail_ == ROTA__PLACE_NAP) {
		list = &poller->naps;
	}
	rota__wake_batch_init(&batch);
	rota__spin_lock(lock);
	listed = rota__op_is_listed(op);
	if (listed)
		end_early(list, op, &batch);
	else if (op->mail_ == ROTA__PLACE_LONG_CALL || op->mail_ == ROTA__PLACE_BESIDE)
		interrupted = rota__interrupts_ask(&poller->interrupts, op);
	rota__spin_unlock(lock);
	rota__wake_batch_submit(&batch);
	if (interrupted)
		rota__poller_wake(poller); /* who sends the signal again */
	return listed;
}

/* --- the reactor's turn --------------------------------------------------------------------------------------------- */

unsigned rota__poller_turn(struct rota__poller *poller, uint64_t timeout_ns)
{
	struct rota__wake_batch batch;

	rota__poll_set_turn(&poller->set, until_nap_ends(poller, timeout_ns));
	rota__wake_batch_init(&batch);
	end_naps(poller, &batch);
	rota__wake_batch_submit(&batch);
	return (unsigned)rota__swap(&poller->ended, 0, RELAXED); /* a count */
}
