/* SPDX-License-Identifier: MIT */
/*
 *   stage  IDLE     no operation is under way.
 *          ARMED    a multishot receive is (multishot_internal.h), into buffers of its ring's stock.
 *          POLLING  the stream waits for the socket to have something, to take a buffer then; between two waits never.
 *          STARVED  the stock was used up: the stream waits among its waiters; between two waits never.
 *
 * The queue is a chain through the notes of the stock's buffers. A stream is armed again only when its queue is empty, so
 * that all in it are of one stock.
 *
 * Without a stock, a buffer that was waited for and not taken yet is held by the stream itself (`holds_`), which is IDLE.
 *
 * A stream ends one operation and begins another. It takes down how often the number was closed when it is initialised, in the
 * operation's `closes_`, and begins nothing on a number that was closed since.
 *
 * Programs hold a stream for each idle connection, so it is small: what is not needed at the same time shares its place.
 */
#define _GNU_SOURCE
#include "recv_stream.h"

#include <errno.h>
#include <poll.h>

#include "../runtime/alloc_internal.h"
#include "../runtime/runtime_internal.h"
#include "../runtime/task.h"
#include "buffers_internal.h"
#include "carrier_internal.h"
#include "multishot_internal.h"
#include "ring_internal.h"
#include "sys_internal.h"
#include "sys_net_internal.h"

enum stage { STAGE_IDLE, STAGE_ARMED, STAGE_POLLING, STAGE_STARVED };

#define ALONE ((uintptr_t)1) /* in rota_buffer's home_: of no stock */

#define QUEUE_MAX 16u /* buffers that wait in one stream before the kernel is told to stop */

static struct rota_recv_stream *stream_of(struct rota_future *future)
{
	return (struct rota_recv_stream *)(void *)future;
}

/* The stock of a stream that is armed, has a queue, or was granted a buffer. */
static struct rota__buffers *stock_of(const struct rota_recv_stream *s)
{
	const struct rota__ring *ring = rota__load(&s->wait_.op.carrier_, RELAXED); /* this kind stays with its ring */

	return ring->buffers;
}

/* --- the queue ---------------------------------------------------------------------------------------------------------- */

static void put(struct rota_recv_stream *s, struct rota__buffers *buffers, uint32_t id, int len)
{
	buffers->notes[id].len = (uint32_t)len;
	if (s->count_++ == 0)
		s->first_ = (uint16_t)id;
	else
		buffers->notes[s->last_].next = (uint16_t)id;
	s->last_ = (uint16_t)id;
}

static uint32_t get(struct rota_recv_stream *s)
{
	const struct rota__buffers *buffers = stock_of(s);
	const uint32_t id = s->first_;

	s->first_ = buffers->notes[id].next;
	s->count_--;
	return id;
}

bool rota__recv_stream_take(struct rota_op *op, struct rota__buffers *buffers, int *res, unsigned flags, bool last)
{
	struct rota_recv_stream *s =
		(struct rota_recv_stream *)(void *)((char *)op - offsetof(struct rota_recv_stream, wait_.op));
	const uint32_t id = flags >> IORING_CQE_BUFFER_SHIFT;

	if (!(flags & IORING_CQE_F_BUFFER))
		return false;
	rota__fetch_sub(&buffers->available, 1,
			RELAXED); /* who waits looks under the lock, and is woken by who gives back */
	if (*res <= 0) {
		rota__buffers_put_back(buffers, id); /* there was nothing to put into it; `ended` passes it on */
		return false;
	}
	put(s, buffers, id, *res);
	if (last)
		*res = ROTA__MULTISHOT_GOES_ON;
	return s->count_ >= QUEUE_MAX;
}

/* --- the wait for the next ------------------------------------------------------------------------------------------------ */

static rota_poll finish(struct rota_recv_stream *s, int status)
{
	s->future.status = status;
	return ROTA_READY;
}

/* The first of the queue. */
static rota_poll deliver(struct rota_recv_stream *s)
{
	struct rota__buffers *buffers = stock_of(s);
	struct rota_buffer *ret = s->ret_;
	uint32_t id;

	if (ret == NULL)
		return finish(s, (int)buffers->notes[s->first_].len);
	id = get(s);
	*ret = (struct rota_buffer){
		.data = buffers->memory + (size_t)id * buffers->size,
		.len = buffers->notes[id].len,
		.home_ = (uintptr_t)&buffers->notes[id],
	};
	return finish(s, (int)ret->len);
}

/* What was received without a stock: the buffer takes the operation's place, until it is taken. */
static void hold(struct rota_recv_stream *s, struct rota_buffer buffer)
{
	const int fd = s->wait_.op.fd_;
	const uint16_t closes = s->wait_.op.closes_;

	s->wait_.held.buffer = buffer;
	s->wait_.held.fd = fd;
	s->wait_.held.closes = closes;
	s->holds_ = true;
}

static struct rota_buffer hold_no_more(struct rota_recv_stream *s)
{
	const struct rota_buffer buffer = s->wait_.held.buffer;
	const int fd = s->wait_.held.fd;
	const uint16_t closes = s->wait_.held.closes;

	s->wait_.op.fd_ = fd;
	s->wait_.op.closes_ = closes;
	s->holds_ = false;
	return buffer;
}

static rota_poll deliver_held(struct rota_recv_stream *s)
{
	const int len = (int)s->wait_.held.buffer.len;

	if (s->ret_ != NULL)
		*s->ret_ = hold_no_more(s);
	return finish(s, len);
}

/* Whether the calling worker's ring has a stock. */
static bool has_stock(void)
{
	struct rota__worker *worker = rota__worker_self();

	return worker != NULL && rota__multishot_here() && rota__ring_buffers(worker->io, &worker->rt->config) != NULL;
}

static void prepare(struct rota_recv_stream *s, bool multishot)
{
	struct rota_op *op = &s->wait_.op;

	if (!multishot) {
		rota_op_poll(op, op->fd_, POLLIN);
	} else {
		rota_op_recv(op, op->fd_, NULL, 0, 0);
		op->ioprio_ = IORING_RECV_MULTISHOT;
		op->entry_flags_ = IOSQE_BUFFER_SELECT;
		op->more_ = ROTA__MORE_RECV;
		rota__store(&op->carrier_, rota__worker_self()->io, RELAXED); /* for stock_of, if it is refused, too */
	}
	rota__op_goes_on(op, op->closes_);
	s->stage_ = multishot ? STAGE_ARMED : STAGE_POLLING;
}

/* The waiter takes the operation's place. */
static void starve(struct rota_recv_stream *s)
{
	void *ring = rota__op_carrier(&s->wait_.op);
	const int fd = s->wait_.op.fd_;
	const uint16_t closes = s->wait_.op.closes_;

	rota__waiter_init(&s->wait_.starving.waiter);
	s->wait_.starving.ring = ring;
	s->wait_.starving.fd = fd;
	s->wait_.starving.closes = closes;
	s->stage_ = STAGE_STARVED;
}

static void starve_no_more(struct rota_recv_stream *s)
{
	void *ring = s->wait_.starving.ring;
	const int fd = s->wait_.starving.fd;
	const uint16_t closes = s->wait_.starving.closes;

	rota__store(&s->wait_.op.carrier_, ring, RELAXED); /* the stream's own by now */
	s->wait_.op.fd_ = fd;
	s->wait_.op.closes_ = closes;
	s->stage_ = STAGE_IDLE;
}

/* Nothing was received: the end of a connection, or an empty datagram, after which others come. */
static void note_nothing(struct rota_recv_stream *s)
{
	s->ended_ = rota__sys_is_connection(s->wait_.op.fd_);
}

/* A multishot receive is over and its queue is empty. PENDING: look again. */
static rota_poll ended(struct rota_recv_stream *s, int rc)
{
	s->stage_ = STAGE_IDLE;
	if (rc == -ENOBUFS) {
		starve(s);
		return ROTA_PENDING;
	}
	if (rc <= 0)
		rota__buffers_pass_on(stock_of(s)); /* it may have been woken for a buffer that it did not take */
	if (rc == 0)
		note_nothing(s);
	if (rc == -ECANCELED && !s->wait_.op.cancelled_)
		s->stopped_ = true; /* the descriptor was closed */
	if (rc > 0 || rc == -ECANCELED)
		return ROTA_PENDING; /* it goes on, it was enough, or is to stop */
	if (rc == -EINVAL && !s->single_) {
		s->single_ = true; /* the kernel may not know it; if it is the socket, the plain call says so */
		return ROTA_PENDING;
	}
	return finish(s, rc);
}

/* Before the first wait for readiness, for which what cannot receive (no socket, one that listens) would have no end. */
static int look(struct rota_recv_stream *s)
{
	int rc;

	if (!rota__call_begin(s->wait_.op.fd_, s->wait_.op.closes_))
		return -ECANCELED;
	rc = rota__sys_recv_error(s->wait_.op.fd_);
	rota__call_end(s->wait_.op.fd_);
	s->tried_ = rc == 0;
	return rc;
}

static rota_poll start(struct rota_recv_stream *s, struct rota_context *cx)
{
	const bool multishot = !s->single_ && has_stock();
	struct rota_op *op = &s->wait_.op;

	if (s->granted_ && (!multishot || rota__op_carrier(op) != rota__worker_self()->io))
		rota__buffers_pass_on(stock_of(s)); /* the task has moved to another worker, whose stock is another */
	s->granted_ = false;
	if (!multishot && !s->tried_) {
		const int rc = look(s);

		if (rc < 0)
			return finish(s, rc);
	}
	prepare(s, multishot);
	/* Handed to the ring, which ends it there only if the descriptor was closed. */
	if (multishot && rota_future_poll(&op->future, cx) == ROTA_READY)
		return ended(s, op->future.status);
	return ROTA_PENDING;
}

static rota_poll poll_idle(struct rota_recv_stream *s, struct rota_context *cx)
{
	if (s->count_ > 0)
		return deliver(s);
	if (s->holds_)
		return deliver_held(s);
	if (s->ended_)
		return finish(s, 0);
	if (s->cancelled_ || s->stopped_)
		return finish(s, -ECANCELED);
	return start(s, cx);
}

/* *ret_wait: nothing to do until woken. */
static rota_poll poll_armed(struct rota_recv_stream *s, struct rota_context *cx, bool *ret_wait)
{
	struct rota_op *op = &s->wait_.op;

	if (rota__multishot_lock(op))
		return s->count_ > 0 ? deliver(s) : ended(s, op->future.status);
	if (s->count_ > 0 || s->cancelled_) {
		rota_poll polled = s->count_ > 0 ? deliver(s) : finish(s, -ECANCELED);

		rota__multishot_leave(op);
		return polled;
	}
	rota__multishot_wait(op, cx->waker);
	*ret_wait = true;
	return ROTA_PENDING;
}

/* There is something to be received: now it needs a buffer, of its own. */
static rota_poll receive(struct rota_recv_stream *s)
{
	rota_runtime *rt = rota__runtime_self();
	const size_t size = rt != NULL ? rota__buffer_size(&rt->config) : ROTA__BUFFER_SIZE;
	unsigned char *data = rota__alloc(size, ROTA__CACHE_LINE);
	int rc;

	if (data == NULL)
		return finish(s, -ENOMEM);
	rc = -ECANCELED;
	if (rota__call_begin(s->wait_.op.fd_, s->wait_.op.closes_)) {
		rc = rota__sys_recv_nowait(s->wait_.op.fd_, data, size);
		rota__call_end(s->wait_.op.fd_);
	}
	if (rc > 0) {
		hold(s, (struct rota_buffer){ .data = data, .len = (size_t)rc, .home_ = size << 1 | ALONE });
		return deliver_held(s);
	}
	rota__free(data, size, ROTA__CACHE_LINE);
	if (rc == 0)
		note_nothing(s);
	return rc == -EAGAIN ? ROTA_PENDING : finish(s, rc);
}

static rota_poll poll_polling(struct rota_recv_stream *s, struct rota_context *cx, bool *ret_wait)
{
	*ret_wait = rota_future_poll(&s->wait_.op.future, cx) == ROTA_PENDING;
	if (*ret_wait)
		return ROTA_PENDING;
	s->stage_ = STAGE_IDLE;
	if (s->wait_.op.future.status < 0)
		return finish(s, s->wait_.op.future.status);
	return receive(s);
}

static rota_poll poll_starved(struct rota_recv_stream *s, struct rota_context *cx, bool *ret_wait)
{
	struct rota__buffers *buffers = ((struct rota__ring *)s->wait_.starving.ring)->buffers;
	struct rota_waiter *waiter = &s->wait_.starving.waiter;
	bool granted;

	rota__waitlist_lock(&buffers->waiters);
	granted = rota__waiter_granted(waiter);
	if (granted || s->cancelled_ || s->stopped_) {
		if (rota__waiter_queued(waiter))
			rota__waitlist_remove(&buffers->waiters, waiter);
		starve_no_more(s);
	} else if (!rota__waiter_queued(waiter) && rota__load(&buffers->available, RELAXED) > 0) {
		starve_no_more(s);
	} else {
		rota__waitlist_wait(&buffers->waiters, waiter, cx->waker, false);
		*ret_wait = true;
	}
	rota__waitlist_unlock(&buffers->waiters);
	if (granted && (s->cancelled_ || s->stopped_))
		rota__buffers_pass_on(buffers);
	else
		s->granted_ = granted;
	return ROTA_PENDING;
}

static rota_poll next_poll(struct rota_future *self, struct rota_context *cx)
{
	struct rota_recv_stream *s = stream_of(self);
	rota_poll polled = ROTA_PENDING;
	bool wait = false;

	while (polled == ROTA_PENDING && !wait) {
		switch ((enum stage)s->stage_) {
		case STAGE_IDLE:
			polled = poll_idle(s, cx);
			break;
		case STAGE_ARMED:
			polled = poll_armed(s, cx, &wait);
			break;
		case STAGE_POLLING:
			polled = poll_polling(s, cx, &wait);
			break;
		case STAGE_STARVED:
			polled = poll_starved(s, cx, &wait);
			break;
		}
	}
	return polled;
}

static void next_cancel(struct rota_future *self)
{
	struct rota_recv_stream *s = stream_of(self);

	s->cancelled_ = true;
	if (s->stage_ == STAGE_POLLING)
		rota_future_cancel(&s->wait_.op.future);
}

static const struct rota_future_ops next_ops = { .poll = next_poll, .cancel = next_cancel, .name = "recv stream" };

void rota_recv_stream_init(struct rota_recv_stream *stream, int fd)
{
	*stream = (struct rota_recv_stream){ .wait_.op = { .fd_ = fd, .closes_ = rota__fd_closes(fd) } };
}

void rota_recv_stream_next_init(struct rota_recv_stream *stream, struct rota_buffer *ret)
{
	rota_future_init(&stream->future, &next_ops);
	stream->ret_ = ret;
	stream->cancelled_ = false;
}

ssize_t rota_recv_stream_next(struct rota_recv_stream *stream, struct rota_buffer *ret)
{
	rota_recv_stream_next_init(stream, ret);
	return rota_await(&stream->future);
}

void rota_buffer_release(struct rota_buffer *buffer)
{
	const struct rota__buffer_note *note = (const struct rota__buffer_note *)buffer->home_;

	if (buffer->home_ & ALONE)
		rota__free(buffer->data, buffer->home_ >> 1, ROTA__CACHE_LINE);
	else if (note != NULL)
		rota__buffers_give_back(rota__buffers_of(note), note->id);
	*buffer = (struct rota_buffer){ .data = NULL };
}

/* --- the end -------------------------------------------------------------------------------------------------------------- */

static rota_poll stop_poll(struct rota_future *self, struct rota_context *cx)
{
	struct rota_recv_stream *s = stream_of(self);

	s->stopped_ = true;
	if (s->stage_ == STAGE_ARMED) {
		if (rota__multishot_stop(&s->wait_.op, cx) == ROTA_PENDING)
			return ROTA_PENDING;
		if (s->wait_.op.future.status == 0)
			note_nothing(s);
		rota__buffers_pass_on(stock_of(s));
	}
	s->stage_ = STAGE_IDLE;
	self->status = 0;
	return ROTA_READY;
}

static const struct rota_future_ops stop_ops = { .poll = stop_poll, .name = "recv stream's end" };

void rota_recv_stream_stop_init(struct rota_recv_stream *stream)
{
	rota_future_init(&stream->future, &stop_ops);
}

void rota_recv_stream_stop(struct rota_recv_stream *stream)
{
	rota_recv_stream_stop_init(stream);
	rota_shield_enter();
	rota_await(&stream->future);
	rota_shield_leave();
}

void rota_recv_stream_close(struct rota_recv_stream *stream)
{
	if (stream->holds_) {
		struct rota_buffer buffer = hold_no_more(stream);

		rota_buffer_release(&buffer);
	}
	while (stream->count_ > 0)
		rota__buffers_give_back(stock_of(stream), get(stream));
}
