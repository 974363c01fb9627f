/* SPDX-License-Identifier: MIT */
/*
 * An async function that awaits one future after the other, and a fiber that gives what each waits for, once the function
 * rests: so each is awaited in earnest, and nothing but what was given wakes it.
 */
#ifndef TESTS_UNIT_ASYNC_STEPS_H
#define TESTS_UNIT_ASYNC_STEPS_H

#include "unit.h"

struct step {
	const char *name;
	struct rota_future *(*begin)(void);
	void (*give)(void);  /* NULL: it comes by itself, maybe at once */
	int status;          /* what it ends with; ANY_STATUS: 0 or more */
	void (*check)(void); /* in the async function, afterwards; may be NULL */
};

#define ANY_STATUS INT32_MIN

struct walker {
	struct rota_async async;
	const struct step *steps;
	size_t n, i;
	struct rota_future *child;
	struct rota_atomic_u32 at; /* steps that were begun */
};

static inline rota_poll walker_poll(struct rota_future *self, struct rota_context *cx)
{
	struct walker *w = (struct walker *)(void *)self;

	ROTA_ASYNC_BEGIN(w);
	for (w->i = 0; w->i < w->n; w->i++) {
		expect_about = w->steps[w->i].name;
		w->child = w->steps[w->i].begin();
		rota__store(&w->at, (uint32_t)w->i + 1, SEQ_CST);
		ROTA_AWAIT(w, cx, w->child);
		if (w->steps[w->i].status == ANY_STATUS)
			expect(w->child->status, >=, 0);
		else
			expect(w->child->status, ==, w->steps[w->i].status);
		if (w->steps[w->i].check != NULL)
			w->steps[w->i].check();
	}
	expect_about = NULL;
	ROTA_ASYNC_END(w);
}

static const struct rota_future_ops walker_ops = ROTA_ASYNC_OPS(walker_poll, "walker");

static inline void walker_init(struct walker *w, const struct step steps[], size_t n)
{
	*w = (struct walker){ .steps = steps, .n = n };
	rota_async_init(&w->async, &walker_ops);
}

/* In a fiber: has a stackless task go through the steps. */
static inline void walk(const struct step steps[], size_t n)
{
	struct walker w;
	rota_task *task;

	walker_init(&w, steps, n);
	task = unit_spawn_future(&w.async.future);
	for (uint32_t i = 0; i < n; i++) {
		const time_t start = expect_seconds_();

		while (rota__load(&w.at, SEQ_CST) <= i) {
			expect(expect_seconds_() - start, <=, EXPECT_HANG_S);
			rota_yield();
		}
		if (steps[i].give == NULL)
			continue;
		unit_until_resting(task);
		expect(rota__load(&w.at, SEQ_CST), ==, i + 1); /* it waits */
		steps[i].give();
	}
	unit_expect_join(task, 0);
}

#endif
