/* SPDX-License-Identifier: MIT */
/*
 *   stage  IDLE    no operation is under way.
 *          ARMED   a multishot accept is (multishot_internal.h).
 *          SINGLE  a plain accept is, for one connection; between two waits never.
 *          PAUSED  there was no descriptor left; the timer runs, and between two waits stands still.
 */
#define _GNU_SOURCE
#include "accept_stream.h"

#include <errno.h>
#include <string.h>

#include "../runtime/alloc_internal.h"
#include "../runtime/log_internal.h"
#include "../runtime/runtime.h"
#include "../runtime/sys_internal.h"
#include "../runtime/task.h"
#include "fd_hint_internal.h"
#include "multishot_internal.h"

enum stage { STAGE_IDLE, STAGE_ARMED, STAGE_SINGLE, STAGE_PAUSED };

#define CAPACITY 64u
#define PAUSE_FIRST ROTA_MS(10)
#define PAUSE_LAST ROTA_SECONDS(1)
#define TELL_AGAIN ROTA_SECONDS(1) /* at the limit a shortage follows the other, one for each connection that ends */

static struct rota_accept_stream *stream_of(struct rota_future *future)
{
	return (struct rota_accept_stream *)(void *)future;
}

/* --- the queue: a ring of descriptors that grows --------------------------------------------------------------------- */

static bool make_room(struct rota_accept_stream *s, unsigned room)
{
	int *fds = rota__alloc(room * sizeof(*fds), sizeof(*fds));

	if (fds == NULL)
		return false;
	for (unsigned i = 0; i < s->count_; i++)
		fds[i] = s->fds_[(s->head_ + i) % s->room_];
	rota__free(s->fds_, s->room_ * sizeof(*fds), sizeof(*fds));
	s->fds_ = fds;
	s->room_ = room;
	s->head_ = 0;
	return true;
}

static void put(struct rota_accept_stream *s, int fd)
{
	if (s->count_ == s->room_ && !make_room(s, s->room_ * 2)) {
		rota__sys_close(fd);
		s->dropped++;
		return;
	}
	s->fds_[(s->head_ + s->count_++) % s->room_] = fd;
}

static int get(struct rota_accept_stream *s)
{
	int fd = s->fds_[s->head_];

	s->head_ = (s->head_ + 1) % s->room_;
	s->count_--;
	return fd;
}

bool rota__accept_stream_take(struct rota_op *op, int *res, bool last)
{
	struct rota_accept_stream *s =
		(struct rota_accept_stream *)(void *)((char *)op - offsetof(struct rota_accept_stream, op_));

	if (*res >= 0) {
		rota__fd_connected(*res);
		put(s, *res);
		if (last)
			*res = ROTA__MULTISHOT_GOES_ON;
	}
	return s->count_ >= s->capacity_;
}

/* --- the wait for the next -------------------------------------------------------------------------------------------- */

static rota_poll finish(struct rota_accept_stream *s, int status)
{
	s->future.status = status;
	if (status >= 0)
		s->pause_ = 0; /* the shortage is over */
	return ROTA_READY;
}

/* The peer has left before it was accepted, or its packets met an error on the way: accept(2) says so for a connection that
 * is none any more. */
static bool is_of_peer(int rc)
{
	switch (rc) {
	case -ECONNABORTED:
	case -EPROTO:
	case -ENOPROTOOPT:
	case -ENETDOWN:
	case -ENETUNREACH:
	case -EHOSTDOWN:
	case -EHOSTUNREACH:
	case -ENONET:
		return true;
	default:
		return false;
	}
}

static bool is_shortage(int rc)
{
	return rc == -EMFILE || rc == -ENFILE || rc == -ENOBUFS || rc == -ENOMEM;
}

static void begin_pause(struct rota_accept_stream *s, int rc)
{
	const uint64_t now = rota_now();

	s->exhausted++;
	s->untold_ = s->untold_ || s->pause_ == 0;
	if (s->untold_ && (s->told_ == 0 || now - s->told_ >= TELL_AGAIN)) {
		s->untold_ = false;
		s->told_ = now;
		rota__log("accept on descriptor %d: %s: connections wait until that changes", s->fd_, strerror(-rc));
	}
	s->pause_ = s->pause_ == 0 ? PAUSE_FIRST : s->pause_ * 2;
	if (s->pause_ > PAUSE_LAST)
		s->pause_ = PAUSE_LAST;
	rota_timer_init(&s->timer_, now + s->pause_);
	s->stage_ = STAGE_PAUSED;
}

/* What an operation ended with. PENDING: look again. */
static rota_poll ended(struct rota_accept_stream *s, int rc, bool multishot)
{
	s->stage_ = STAGE_IDLE;
	if (!multishot && rc >= 0)
		return finish(s, rc);
	if (rc >= 0 || is_of_peer(rc))
		return ROTA_PENDING;
	if (is_shortage(rc)) {
		begin_pause(s, rc);
		return ROTA_PENDING;
	}
	if (multishot && rc == -ECANCELED) {
		if (!s->op_.cancelled_)
			s->stopped_ = true; /* the descriptor was closed */
		return ROTA_PENDING;        /* else it was enough, or is to stop */
	}
	if (multishot && rc == -EINVAL) {
		s->single_ = true; /* the kernel may not know it; if it is the socket, accept says so */
		return ROTA_PENDING;
	}
	return finish(s, rc);
}

static void start(struct rota_accept_stream *s)
{
	const bool multishot = !s->single_ && s->capacity_ > 1 && rota__multishot_here() &&
			       (s->room_ > 0 || make_room(s, s->capacity_));

	rota_op_accept(&s->op_, s->fd_, NULL, NULL);
	if (multishot) {
		s->op_.ioprio_ = IORING_ACCEPT_MULTISHOT;
		s->op_.more_ = ROTA__MORE_ACCEPT;
	}
	rota__op_goes_on(&s->op_, s->closes_);
	s->stage_ = multishot ? STAGE_ARMED : STAGE_SINGLE;
}

static rota_poll poll_idle(struct rota_accept_stream *s, struct rota_context *cx)
{
	if (s->count_ > 0)
		return finish(s, get(s));
	if (s->cancelled_ || s->stopped_)
		return finish(s, -ECANCELED);
	start(s);
	/* Handed to the ring, which ends it there only if the descriptor was closed. */
	if (s->stage_ == STAGE_ARMED && rota_future_poll(&s->op_.future, cx) == ROTA_READY)
		return ended(s, s->op_.future.status, true);
	return ROTA_PENDING;
}

/* *ret_wait: nothing to do until woken. */
static rota_poll poll_armed(struct rota_accept_stream *s, struct rota_context *cx, bool *ret_wait)
{
	if (rota__multishot_lock(&s->op_))
		return s->count_ > 0 ? finish(s, get(s)) : ended(s, s->op_.future.status, true);
	if (s->count_ > 0 || s->cancelled_) {
		int status = s->count_ > 0 ? get(s) : -ECANCELED;

		rota__multishot_leave(&s->op_);
		return finish(s, status);
	}
	rota__multishot_wait(&s->op_, cx->waker);
	*ret_wait = true;
	return ROTA_PENDING;
}

static rota_poll poll_paused(struct rota_accept_stream *s, struct rota_context *cx, bool *ret_wait)
{
	if (rota_runtime_current() == NULL)
		rota_sleep(s->pause_); /* there are no timers */
	else if (rota_future_poll(&s->timer_.future, cx) == ROTA_PENDING)
		*ret_wait = true;
	if (!*ret_wait)
		s->stage_ = STAGE_IDLE;
	return ROTA_PENDING;
}

static rota_poll next_poll(struct rota_future *self, struct rota_context *cx)
{
	struct rota_accept_stream *s = stream_of(self);
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
		case STAGE_SINGLE:
			wait = rota_future_poll(&s->op_.future, cx) == ROTA_PENDING;
			if (!wait)
				polled = ended(s, s->op_.future.status, false);
			break;
		case STAGE_PAUSED:
			polled = poll_paused(s, cx, &wait);
			break;
		}
	}
	return polled;
}

static void next_cancel(struct rota_future *self)
{
	struct rota_accept_stream *s = stream_of(self);

	s->cancelled_ = true;
	if (s->stage_ == STAGE_SINGLE)
		rota_future_cancel(&s->op_.future);
	else if (s->stage_ == STAGE_PAUSED)
		rota_future_cancel(&s->timer_.future);
}

static const struct rota_future_ops next_ops = { .poll = next_poll, .cancel = next_cancel, .name = "accept stream" };

void rota_accept_stream_init(struct rota_accept_stream *stream, int fd, unsigned capacity)
{
	*stream = (struct rota_accept_stream){
		.fd_ = fd,
		.capacity_ = capacity > 0 ? capacity : CAPACITY,
		.closes_ = rota__fd_closes(fd),
	};
}

void rota_accept_stream_next_init(struct rota_accept_stream *stream)
{
	rota_future_init(&stream->future, &next_ops);
	stream->cancelled_ = false;
}

int rota_accept_stream_next(struct rota_accept_stream *stream)
{
	rota_accept_stream_next_init(stream);
	return rota_await(&stream->future);
}

/* --- the end ------------------------------------------------------------------------------------------------------------ */

static rota_poll stop_poll(struct rota_future *self, struct rota_context *cx)
{
	struct rota_accept_stream *s = stream_of(self);

	s->stopped_ = true;
	if (s->stage_ == STAGE_ARMED && rota__multishot_stop(&s->op_, cx) == ROTA_PENDING)
		return ROTA_PENDING;
	s->stage_ = STAGE_IDLE;
	self->status = 0;
	return ROTA_READY;
}

static const struct rota_future_ops stop_ops = { .poll = stop_poll, .name = "accept stream's end" };

void rota_accept_stream_stop_init(struct rota_accept_stream *stream)
{
	rota_future_init(&stream->future, &stop_ops);
}

void rota_accept_stream_stop(struct rota_accept_stream *stream)
{
	rota_accept_stream_stop_init(stream);
	rota_shield_enter();
	rota_await(&stream->future);
	rota_shield_leave();
}

void rota_accept_stream_close(struct rota_accept_stream *stream)
{
	while (stream->count_ > 0)
		rota__sys_close(get(stream));
	rota__free(stream->fds_, stream->room_ * sizeof(*stream->fds_), sizeof(*stream->fds_));
	stream->fds_ = NULL;
	stream->room_ = 0;
}
