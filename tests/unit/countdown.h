/* SPDX-License-Identifier: MIT */
/* A future written by hand, for tests: ready at its n-th poll. */
#ifndef TESTS_UNIT_COUNTDOWN_H
#define TESTS_UNIT_COUNTDOWN_H

#include "unit.h"

/* A future that is ready with `status` at its n-th poll. It keeps its own waker, and wakes itself when told to. */
struct countdown {
	struct rota_future future;
	unsigned polls, ready_at;
	int status;
	bool wakes_itself;
	unsigned cancels;
	bool obeys; /* a cancel makes it ready */
	struct rota_waker waker;
	struct rota_atomic_u32 pending; /* it waits: its waker may be taken */
};

static inline rota_poll countdown_poll(struct rota_future *self, struct rota_context *cx)
{
	struct countdown *c = (struct countdown *)(void *)self;
	struct rota_waker waker;

	c->polls++;
	if (c->polls >= c->ready_at || (c->cancels > 0 && c->obeys)) {
		self->status = c->cancels > 0 && c->obeys ? -ECANCELED : c->status;
		return ROTA_READY;
	}
	waker = rota_context_waker(cx);
	if (c->wakes_itself) {
		rota_wake(&waker);
	} else {
		c->waker = waker;
		rota__store(&c->pending, 1, SEQ_CST);
	}
	return ROTA_PENDING;
}

static inline void countdown_cancel(struct rota_future *self)
{
	((struct countdown *)(void *)self)->cancels++;
}

static const struct rota_future_ops countdown_ops = { .poll = countdown_poll, .cancel = countdown_cancel };

static inline struct countdown countdown(unsigned ready_at, int status, bool wakes_itself)
{
	struct countdown c = { .ready_at = ready_at, .status = status, .wakes_itself = wakes_itself };

	rota_future_init(&c.future, &countdown_ops);
	return c;
}

static inline void until_pending(struct countdown *c)
{
	const time_t start = expect_seconds_();

	while (rota__load(&c->pending, SEQ_CST) == 0) {
		expect(expect_seconds_() - start, <=, EXPECT_HANG_S);
		rota_yield();
	}
	rota__store(&c->pending, 0, SEQ_CST);
}

#endif
