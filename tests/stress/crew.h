/* SPDX-License-Identifier: MIT */
/*
 * A crew: fibers, blocking jobs and plain threads that do the same work together, on a runtime of random shape. Each
 * member has random numbers of its own, and waits for futures in a random way: awaits, lets a stackless task carry them,
 * blocks; and now and then changes its mind and cancels.
 */
#ifndef TESTS_STRESS_CREW_H
#define TESTS_STRESS_CREW_H

#include <errno.h>

#include "runtime_report.h"
#include "stress.h"

enum member_kind { MEMBER_FIBER, MEMBER_JOB, MEMBER_THREAD, MEMBER_KINDS };

struct member {
	struct crew *crew;
	unsigned number;
	enum member_kind kind;
	struct stress_random random;
	rota_task *task;
	pthread_t thread;
};

struct crew {
	rota_runtime *rt;
	struct rota_config config;
	void (*work)(struct member *member);
	void *data; /* the program's own */
	unsigned n;
	struct member *members;
};

static struct rota_atomic_ptr crew_now; /* for the watchdog */

/* For stress_start: what a hang leaves to be seen. */
static inline void crew_report(void)
{
	const struct crew *crew = rota__load(&crew_now, ACQUIRE);

	if (crew == NULL)
		return;
	fprintf(stderr, "%u members, %u workers, flavor %d, ring of %u\n", crew->n, crew->config.workers,
		(int)crew->config.flavor, crew->config.ring_entries);
	runtime_report(crew->rt);
}

/* --- waiting ------------------------------------------------------------------------------------------------------- */

/* A future around another, which it cancels: as soon as it has to wait, or when a timer fires. */
struct fickle {
	struct rota_future future;
	struct rota_future *child;
	struct stress_random *random;
	struct rota_timer timer;
	bool timed, timer_ended, told;
};

static inline rota_poll fickle_tell(struct fickle *fickle, struct rota_context *cx)
{
	if (!fickle->timed)
		stress_pause(fickle->random);
	fickle->told = true;
	rota_future_cancel(fickle->child);
	if (stress_one_in(fickle->random, 8))
		rota_future_cancel(fickle->child);
	return rota_future_poll(fickle->child, cx);
}

static inline rota_poll fickle_poll(struct rota_future *self, struct rota_context *cx)
{
	struct fickle *fickle = (struct fickle *)(void *)self;
	rota_poll polled = rota_future_poll(fickle->child, cx);

	if (polled == ROTA_PENDING && fickle->timed && !fickle->timer_ended)
		fickle->timer_ended = rota_future_poll(&fickle->timer.future, cx) == ROTA_READY;
	if (polled == ROTA_PENDING && !fickle->told && (!fickle->timed || fickle->timer_ended))
		polled = fickle_tell(fickle, cx);
	if (polled == ROTA_PENDING)
		return ROTA_PENDING;
	if (fickle->timed && !fickle->timer_ended) {
		rota_future_cancel(&fickle->timer.future);
		expect(rota_future_poll(&fickle->timer.future, cx), ==, ROTA_READY);
	}
	self->status = fickle->child->status;
	return ROTA_READY;
}

static const struct rota_future_ops fickle_ops = { .poll = fickle_poll };

/* Waits for a future as the dice say. An operation of I/O needs the runtime. */
static inline int member_wait(struct member *member, struct rota_future *future)
{
	rota_task *task;
	int status;

	if (member->kind == MEMBER_THREAD)
		return rota_block_on_future(member->crew->rt, future);
	if (stress_below(&member->random, 4) > 0)
		return rota_await(future);
	expect(rota_spawn_future(&task, future), ==, 0);
	expect(rota_join(task, &status), ==, 0);
	return status;
}

/* The same, but may cancel: then -ECANCELED may be the result, or what the future had. */
static inline int member_wait_maybe(struct member *member, struct rota_future *future)
{
	struct fickle fickle = { .child = future, .random = &member->random };

	rota_future_init(&fickle.future, &fickle_ops);
	fickle.timed = stress_one_in(&member->random, 2);
	if (fickle.timed)
		rota_timer_init(&fickle.timer, rota_now() + ROTA_US(stress_below(&member->random, 300)));
	if (stress_one_in(&member->random, 16))
		rota_future_cancel(future); /* before it has begun */
	return member_wait(member, &fickle.future);
}

/* --- the crew ------------------------------------------------------------------------------------------------------ */

static inline int crew_task(void *arg)
{
	struct member *member = arg;

	member->crew->work(member);
	return 0;
}

static inline void *crew_thread(void *arg)
{
	crew_task(arg);
	return NULL;
}

static inline int crew_join_threads(void *arg)
{
	struct crew *crew = arg;

	for (unsigned i = 0; i < crew->n; i++) {
		if (crew->members[i].kind == MEMBER_THREAD)
			pthread_join(crew->members[i].thread, NULL);
	}
	return 0;
}

/* Ends last: with the current-thread flavour nobody else keeps the runtime going. */
static inline int crew_boss(void *arg)
{
	struct crew *crew = arg;

	for (unsigned i = 0; i < crew->n; i++) {
		struct member *member = &crew->members[i];

		if (member->kind == MEMBER_FIBER)
			expect(rota_spawn(&member->task, crew_task, member), ==, 0);
		else if (member->kind == MEMBER_JOB)
			expect(rota_spawn_blocking(&member->task, crew_task, member), ==, 0);
	}
	for (unsigned i = 0; i < crew->n; i++) {
		if (crew->members[i].kind != MEMBER_THREAD)
			expect(rota_join(crew->members[i].task, NULL), ==, 0);
	}
	return rota_offload(crew_join_threads, crew);
}

/* Most of them are fibers. */
static inline void crew_init(struct crew *crew, unsigned n, struct stress_random *random)
{
	static const unsigned rings[] = { 1, 2, 4, 16, 256 };

	*crew = (struct crew){
		.config = {
			.workers = 1 + stress_below(random, 4),
			.flavor = stress_one_in(random, 4) ? ROTA_FLAVOR_CURRENT_THREAD : ROTA_FLAVOR_MULTI_THREAD,
			.ring_entries = rings[stress_below(random, 5)],
		},
		.n = n,
	};
	crew->members = calloc(n, sizeof(*crew->members));
	for (unsigned i = 0; i < n; i++) {
		uint32_t dice = stress_below(random, 8);

		crew->members[i] = (struct member){
			.crew = crew,
			.number = i,
			.kind = dice < 4   ? MEMBER_FIBER
				: dice < 6 ? MEMBER_JOB
					   : MEMBER_THREAD,
			.random = { stress_next(random) },
		};
	}
	expect(rota_runtime_new(&crew->rt, &crew->config), ==, 0);
	rota__store(&crew_now, crew, RELEASE);
}

/* Sets the members to work and waits until all are done. */
static inline void crew_work(struct crew *crew, void (*work)(struct member *member), void *data)
{
	crew->work = work;
	crew->data = data;
	for (unsigned i = 0; i < crew->n; i++) {
		if (crew->members[i].kind == MEMBER_THREAD)
			expect(pthread_create(&crew->members[i].thread, NULL, crew_thread, &crew->members[i]), ==, 0);
	}
	expect(rota_block_on(crew->rt, crew_boss, crew), ==, 0);
}

static inline void crew_free(struct crew *crew)
{
	expect(rota_runtime_shutdown(crew->rt, ROTA_NEVER), ==, 0);
	rota__store(&crew_now, NULL, RELEASE);
	rota_runtime_free(crew->rt);
	free(crew->members);
}

#endif
