/* SPDX-License-Identifier: MIT */
/*
 * Where a call may come from: a fiber of either flavour, a blocking job, a plain thread outside of any runtime; and
 * where a future may be carried out: awaited in each of these, polled by a stackless task, blocked on by a plain
 * thread and served by the reactor. A script is run in each place and says where it is when something fails.
 */
#ifndef TESTS_UNIT_PLACES_H
#define TESTS_UNIT_PLACES_H

#include <pthread.h>
#include <sched.h>

#include "unit.h"

struct place {
	const char *name;
	rota_runtime *rt; /* NULL: none */
	/* Waits for a future, in the way that this place is about. Its status. */
	int (*carry)(const struct place *place, struct rota_future *future);
	const void *data; /* the test's own */
};

typedef void place_script(const struct place *place);

enum place_host { HOST_FIBER, HOST_JOB, HOST_THREAD };

struct place_kind {
	const char *name;
	enum place_host host;
	bool runtime; /* false: none */
	enum rota_flavor flavor;
	int (*carry)(const struct place *place, struct rota_future *future);
};

static int carry_await(const struct place *place, struct rota_future *future)
{
	(void)place;
	return rota_await(future);
}

static int carry_task(const struct place *place, struct rota_future *future)
{
	rota_task *task;
	int status = 0;

	expect(rota_spawn_future_on(place->rt, &task, future), ==, 0);
	expect(rota_join(task, &status), ==, 0);
	return status;
}

static int carry_block_on(const struct place *place, struct rota_future *future)
{
	return rota_block_on_future(place->rt, future);
}

/* The first ones are for calls too, the others only differ in how a future is carried. */
static const struct place_kind place_kinds[] = {
	{ "a thread without a runtime", HOST_THREAD, false, ROTA_FLAVOR_MULTI_THREAD, carry_await },
	{ "a fiber", HOST_FIBER, true, ROTA_FLAVOR_MULTI_THREAD, carry_await },
	{ "a fiber of a current-thread runtime", HOST_FIBER, true, ROTA_FLAVOR_CURRENT_THREAD, carry_await },
	{ "a blocking job", HOST_JOB, true, ROTA_FLAVOR_MULTI_THREAD, carry_await },
	{ "a blocking job of a current-thread runtime", HOST_JOB, true, ROTA_FLAVOR_CURRENT_THREAD, carry_await },
	{ "a stackless task", HOST_FIBER, true, ROTA_FLAVOR_MULTI_THREAD, carry_task },
	{ "a stackless task of a current-thread runtime", HOST_FIBER, true, ROTA_FLAVOR_CURRENT_THREAD, carry_task },
	{ "rota_block_on_future", HOST_THREAD, true, ROTA_FLAVOR_MULTI_THREAD, carry_block_on },
	{ "rota_block_on_future of a current-thread runtime", HOST_THREAD, true, ROTA_FLAVOR_CURRENT_THREAD,
	  carry_block_on },
};

enum {
	PLACES_FOR_CALLS = 5,
	PLACES = sizeof(place_kinds) / sizeof(place_kinds[0]),
};

/* Polls another future once, and is ready. */
struct poll_once {
	struct rota_future future;
	struct rota_future *child;
};

static inline rota_poll poll_once(struct rota_future *self, struct rota_context *cx)
{
	self->status = rota_future_poll(((struct poll_once *)(void *)self)->child, cx);
	return ROTA_READY;
}

static const struct rota_future_ops poll_once_ops __attribute__((unused)) = { .poll = poll_once };

static inline rota_runtime *place_runtime_of(unsigned workers, enum rota_flavor flavor, unsigned ring_entries)
{
	const struct rota_config config = { .workers = workers, .flavor = flavor, .ring_entries = ring_entries };
	rota_runtime *rt = NULL;

	rota_thread_waker(); /* its memory is there before a script makes allocations fail */
	unsetenv("ROTA_FLAVOR");
	expect(rota_runtime_new(&rt, &config), ==, 0);
	hang_runtime = rt;
	return rt;
}

static inline void place_runtime_free(rota_runtime *rt)
{
	expect(rota_runtime_shutdown(rt, ROTA_NEVER), ==, 0);
	hang_runtime = NULL;
	rota_runtime_free(rt);
}

/* A runtime of two workers, however many CPUs there are. */
static inline rota_runtime *place_runtime(enum rota_flavor flavor, unsigned ring_entries)
{
	return place_runtime_of(2, flavor, ring_entries);
}

struct place_visit {
	struct place place;
	place_script *script;
};

static int place_visit(void *arg)
{
	struct place_visit *visit = arg;

	visit->script(&visit->place);
	return 0;
}

static int place_visit_as_job(void *arg)
{
	rota_task *job;
	int status = -1;

	expect(rota_spawn_blocking(&job, place_visit, arg), ==, 0);
	expect(rota_join(job, &status), ==, 0);
	return status;
}

static inline void place_run_of(unsigned workers, const struct place_kind *kind, unsigned ring_entries,
				place_script *script, const void *data)
{
	struct place_visit visit = { { kind->name, NULL, kind->carry, data }, script };
	const unsigned before = unit_descriptors();
	int status;

	expect_about = kind->name;
	if (kind->runtime)
		visit.place.rt = place_runtime_of(workers, kind->flavor, ring_entries);
	if (kind->host == HOST_THREAD)
		status = place_visit(&visit);
	else
		status = rota_block_on(visit.place.rt, kind->host == HOST_JOB ? place_visit_as_job : place_visit,
				       &visit);
	expect(status, ==, 0);
	if (kind->runtime)
		place_runtime_free(visit.place.rt);
	expect_eventually(unit_descriptors() == before); /* the reaper, a thread of the process, may close its own late */
	expect_about = NULL;
}

static inline void place_run(const struct place_kind *kind, unsigned ring_entries, place_script *script,
			     const void *data)
{
	place_run_of(2, kind, ring_entries, script, data);
}

/* Runs the script wherever a call may come from. */
static inline void everywhere(place_script *script)
{
	for (unsigned i = 0; i < PLACES_FOR_CALLS; i++)
		place_run(&place_kinds[i], 0, script, NULL);
}

/* Runs the script wherever a future may be carried out. */
static inline void everyhow(place_script *script)
{
	for (unsigned i = 0; i < PLACES; i++)
		place_run(&place_kinds[i], 0, script, NULL);
}

/* The same, save outside of a runtime, where an operation cannot be cancelled. */
static inline void everyhow_inside(place_script *script, unsigned ring_entries)
{
	for (unsigned i = 1; i < PLACES; i++)
		place_run(&place_kinds[i], ring_entries, script, NULL);
}

/* A script in fibers of both flavours. */
static inline void in_fibers(place_script *script, unsigned ring_entries)
{
	place_run(&place_kinds[1], ring_entries, script, NULL);
	place_run(&place_kinds[2], ring_entries, script, NULL);
}

/*
 * The other party of a conversation: a plain thread that makes plain system calls. It starts once the test has said
 * that it is about to wait, and lets it go first, as a rule; a test may not depend on that.
 */
struct party {
	pthread_t thread;
	void (*body)(void *arg);
	void *arg;
	unsigned go; /* atomic */
};

static void *party_main(void *arg)
{
	struct party *party = arg;

	while (__atomic_load_n(&party->go, __ATOMIC_ACQUIRE) == 0)
		sched_yield();
	for (int i = 0; i < 20; i++)
		sched_yield();
	party->body(party->arg);
	return NULL;
}

static inline void party_start(struct party *party, void (*body)(void *arg), void *arg)
{
	*party = (struct party){ .body = body, .arg = arg };
	expect(pthread_create(&party->thread, NULL, party_main, party), ==, 0);
}

/* Just before the test waits for the party. */
static inline void party_go(struct party *party)
{
	__atomic_store_n(&party->go, 1, __ATOMIC_RELEASE);
}

static inline void party_join(struct party *party)
{
	party_go(party);
	pthread_join(party->thread, NULL);
}

#endif
