/* SPDX-License-Identifier: MIT */
/*
 * The protocol. A way is guarded by the lock of its list of readers, also its list of writers. Who finds nothing to do is
 * queued under the lock; who changes something grants the other side's waiter under it and wakes it afterwards. A grant
 * means "look again". A waiter is its end's own: it is queued only while its future is pending.
 */
#include "duplex.h"

#include <errno.h>
#include <string.h>

#include "../runtime/alloc_internal.h"
#include "../runtime/waitlist_internal.h"

#define ALIGN 64u

static void lock(struct rota_duplex_way *way)
{
	rota__waitlist_lock(&way->readers_);
}

static void unlock(struct rota_duplex_way *way)
{
	rota__waitlist_unlock(&way->readers_);
}

/* With the lock held. */
static void grant(struct rota_waitlist *list, struct rota__wake_batch *batch)
{
	if (!rota__waitlist_empty(list))
		rota__waitlist_grant(list, 0, batch);
}

/* --- bytes; with the lock held -------------------------------------------------------------------------------- */

static size_t take(struct rota_duplex_way *way, unsigned char *bytes, size_t len)
{
	size_t n = len < way->count_ ? len : way->count_;
	size_t straight = way->capacity_ - way->first_;

	if (straight > n)
		straight = n;
	memcpy(bytes, way->bytes_ + way->first_, straight);
	memcpy(bytes + straight, way->bytes_, n - straight);
	way->first_ = (way->first_ + n) % way->capacity_;
	way->count_ -= n;
	return n;
}

static size_t give(struct rota_duplex_way *way, const unsigned char *bytes, size_t len)
{
	size_t room = way->capacity_ - way->count_;
	size_t n = len < room ? len : room;
	size_t at = (way->first_ + way->count_) % way->capacity_;
	size_t straight = way->capacity_ - at;

	if (straight > n)
		straight = n;
	memcpy(way->bytes_ + at, bytes, straight);
	memcpy(way->bytes_, bytes + straight, n - straight);
	way->count_ += n;
	return n;
}

/* --- the functions of the stream ------------------------------------------------------------------------------- */

/* Ends a turn with the lock held: PENDING, queued; or READY, not queued, and no longer cancelled. */
static rota_poll settle(struct rota_waitlist *list, struct rota_waiter *waiter, bool *cancelled,
			const struct rota_context *cx, ssize_t *n)
{
	if (rota__waiter_granted(waiter))
		rota__waiter_init(waiter);
	if (*n == -EAGAIN && !*cancelled) {
		rota__waitlist_wait(list, waiter, cx->waker, false);
		return ROTA_PENDING;
	}
	if (rota__waiter_queued(waiter))
		rota__waitlist_remove(list, waiter);
	if (*n == -EAGAIN)
		*n = -ECANCELED;
	*cancelled = false;
	return ROTA_READY;
}

static rota_poll duplex_read(void *source, struct rota_context *cx, void *buf, size_t len, ssize_t *ret)
{
	struct rota_duplex_end *end = source;
	struct rota_duplex_way *way = end->in_;
	struct rota__wake_batch batch;
	ssize_t n = -EAGAIN;
	rota_poll polled;

	rota__wake_batch_init(&batch);
	lock(way);
	if (way->count_ > 0) {
		n = (ssize_t)take(way, buf, len);
		grant(&way->writers_, &batch);
	} else if (way->ended_ || way->broken_) {
		n = 0;
	}
	polled = settle(&way->readers_, &end->reader_, &end->read_cancelled_, cx, &n);
	unlock(way);
	rota__wake_batch_submit(&batch);
	if (polled == ROTA_READY)
		*ret = n;
	return polled;
}

static rota_poll duplex_write(void *source, struct rota_context *cx, const void *buf, size_t len, ssize_t *ret)
{
	struct rota_duplex_end *end = source;
	struct rota_duplex_way *way = end->out_;
	struct rota__wake_batch batch;
	ssize_t n = -EAGAIN;
	rota_poll polled;

	rota__wake_batch_init(&batch);
	lock(way);
	if (way->ended_ || way->broken_) {
		n = -EPIPE;
	} else if (way->count_ < way->capacity_) {
		n = (ssize_t)give(way, buf, len);
		grant(&way->readers_, &batch);
	}
	polled = settle(&way->writers_, &end->writer_, &end->write_cancelled_, cx, &n);
	unlock(way);
	rota__wake_batch_submit(&batch);
	if (polled == ROTA_READY)
		*ret = n;
	return polled;
}

/* By the task that waits: its next poll is to end. */
static void duplex_cancel(void *source, bool writes)
{
	struct rota_duplex_end *end = source;

	if (writes)
		end->write_cancelled_ = true;
	else
		end->read_cancelled_ = true;
}

static void finish(struct rota_duplex_way *way, bool broken)
{
	struct rota__wake_batch batch;

	rota__wake_batch_init(&batch);
	lock(way);
	way->ended_ = way->ended_ || !broken;
	way->broken_ = way->broken_ || broken;
	grant(&way->readers_, &batch);
	grant(&way->writers_, &batch);
	unlock(way);
	rota__wake_batch_submit(&batch);
}

static rota_poll duplex_shutdown(void *source, struct rota_context *cx, int *ret)
{
	(void)cx;
	finish(((struct rota_duplex_end *)source)->out_, false);
	*ret = 0;
	return ROTA_READY;
}

static rota_poll duplex_close(void *source, struct rota_context *cx, int *ret)
{
	finish(((struct rota_duplex_end *)source)->in_, true);
	return duplex_shutdown(source, cx, ret);
}

const struct rota_stream_ops rota_duplex_ops = {
	.read = duplex_read,
	.write = duplex_write,
	.cancel = duplex_cancel,
	.shutdown = duplex_shutdown,
	.close = duplex_close,
};

/* --- life ---------------------------------------------------------------------------------------------------------- */

int rota_duplex_init(struct rota_duplex *duplex, size_t capacity)
{
	*duplex = (struct rota_duplex){ .ways_ = { { .first_ = 0 } } };
	for (int i = 0; i < 2; i++) {
		struct rota_duplex_way *way = &duplex->ways_[i];

		duplex->ends[i].out_ = way;
		duplex->ends[1 - i].in_ = way;
		way->capacity_ = capacity > 0 ? capacity : ROTA_STREAM_BUFFER;
		way->bytes_ = rota__alloc(way->capacity_, ALIGN);
		if (way->bytes_ == NULL) {
			rota_duplex_deinit(duplex);
			return -ENOMEM;
		}
	}
	return 0;
}

void rota_duplex_deinit(struct rota_duplex *duplex)
{
	for (int i = 0; i < 2; i++) {
		rota__free(duplex->ways_[i].bytes_, duplex->ways_[i].capacity_, ALIGN);
		duplex->ways_[i].bytes_ = NULL;
	}
}
