/* SPDX-License-Identifier: MIT */
/*
 * Random cancels: what the programs cancel*.c share. Leaders, which are fibers, spawn one victim after the other, which
 * waits once. Whether what it waits for comes, and when, is left to chance, as is the moment of the cancel and who
 * cancels: the leader, or a plain thread. However the two meet, the victim's status tells the truth: what it says that it
 * took is gone, and everything else is still there. Each program has its kinds of wait, and says what is still there.
 */
#ifndef TESTS_STRESS_TORMENT_H
#define TESTS_STRESS_TORMENT_H

#include <errno.h>
#include <sys/ioctl.h>

#include "runtime_report.h"
#include "stress.h"

#define TORMENT_LEADERS 6u
#define TORMENT_ROUNDS 4u /* two, three, four workers, and the current-thread flavour */

struct leader; /* the program's; begins with a struct torment */

/*
 * One kind of wait. The victim is a fiber, `suffer`, whose result is > 0: it has what it waited for; 0: there was nothing to
 * have; -ECANCELED. Or a stackless task, which carries `carry`: any count, and 0, is to have it. NULL: nothing to do.
 */
struct torment_kind {
	void (*prepare)(struct leader *l);
	int (*suffer)(struct leader *l);
	struct rota_future *(*carry)(struct leader *l);
	void (*bring)(struct leader *l);              /* what it waits for comes; does not wait */
	void (*settle)(struct leader *l, bool taken); /* what is still there of it, once the victim has ended */
	uint32_t one_in;                              /* so often of the times that it was chosen; 0: always */
};

struct torment {
	struct stress_random random;
	const struct torment_kind *kind;
	uint32_t dice; /* of this victim */
	bool come;     /* what it waits for has come, or will */
	unsigned number;
	/* a plain thread may take the handle to cancel it, and says when it is done */
	struct rota_atomic_ptr offered;
	struct rota_atomic_u32 done;
};

struct torment_plan {
	const struct torment_kind *kinds;
	uint32_t kind_count;
	unsigned cancels;            /* all together */
	unsigned max_blocking_queue; /* of the runtimes; 0: the default */
	size_t leader_size;
	/* outside of the runtime; all zero before */
	void (*init)(struct leader *l);
	void (*deinit)(struct leader *l);
	/* in the leader's fiber, after its last victim; may be NULL */
	void (*finish)(struct leader *l);
};

static rota_runtime *torment_runtime;
static const struct torment_plan *torment_plan;
static struct rota_atomic_u64 torment_well, torment_cancelled;

static unsigned char *torment_leaders_now; /* for the watchdog */

static inline struct torment *torment_at(unsigned char *leaders, unsigned i)
{
	return (struct torment *)(void *)(leaders + i * torment_plan->leader_size);
}

/* Which kind of wait each leader is at, by its number in the program's list, and by what addr2line can name. */
static inline void torment_report(void)
{
	char place[ROTA__PLACE_MAX];

	for (unsigned i = 0; torment_leaders_now != NULL && i < TORMENT_LEADERS; i++) {
		const struct torment *t = torment_at(torment_leaders_now, i);

		if (t->kind != NULL)
			dprintf(expect_output_, "leader %u: kind %td, %s, dice %u, %s\n", i,
				t->kind - torment_plan->kinds,
				rota__name_place(place,
						 t->kind->suffer != NULL ? (const void *)t->kind->suffer
									 : (const void *)t->kind->carry,
						 false),
				t->dice, t->come ? "comes" : "does not come");
	}
	if (torment_runtime != NULL)
		runtime_report(torment_runtime);
}

/* For waits whose success is 0. */
static inline int one_if(int rc)
{
	return rc == 0 ? 1 : rc;
}

/* A descriptor is the victim's to close, whatever comes. */
static inline void close_shielded(int fd)
{
	rota_shield_enter();
	expect(rota_close(fd), ==, 0);
	rota_shield_leave();
}

/* For waits whose success is a descriptor. */
static inline int take_descriptor(int fd)
{
	if (fd < 0)
		return fd;
	close_shielded(fd);
	return 1;
}

/* How many bytes there are to be read. */
static inline uint64_t bytes_in(int fd)
{
	int n = -1;

	expect(ioctl(fd, FIONREAD, &n), ==, 0);
	return (uint64_t)n;
}

/* --- one victim ---------------------------------------------------------------------------------------------------- */

static int torment_suffer(void *arg)
{
	const struct torment *t = arg;

	return t->kind->suffer(arg);
}

static inline void torment_dawdle(struct stress_random *random)
{
	for (uint32_t n = stress_below(random, 4); n > 0; n--) {
		if (stress_one_in(random, 2))
			rota_yield();
		else
			stress_pause(random);
	}
}

/* Lets a plain thread cancel the victim, for a while; then nobody but the leader does. */
static inline void torment_offer(struct torment *t, rota_task *task)
{
	rota__store(&t->done, 0, SEQ_CST);
	rota__store(&t->offered, task, SEQ_CST);
	torment_dawdle(&t->random);
	if (rota__swap(&t->offered, NULL, SEQ_CST) != NULL) {
		expect(rota_cancel(task), ==, 0);
		return;
	}
	while (rota__load(&t->done, SEQ_CST) == 0)
		rota_yield();
}

static inline void torment_choose(struct torment *t)
{
	const struct torment_kind *kind;

	do {
		kind = &torment_plan->kinds[stress_below(&t->random, torment_plan->kind_count)];
	} while (kind->one_in > 1 && !stress_one_in(&t->random, kind->one_in));
	t->kind = kind;
	t->dice = stress_below(&t->random, 100000);
	t->come = kind->bring != NULL && stress_one_in(&t->random, 2);
}

static inline rota_task *torment_spawn(struct leader *l, const struct torment_kind *kind)
{
	rota_task *task = NULL;

	if (kind->carry != NULL)
		expect(rota_spawn_future(&task, kind->carry(l)), ==, 0);
	else
		expect(rota_spawn(&task, torment_suffer, l), ==, 0);
	return task;
}

static inline void torment_one(struct leader *l)
{
	enum { BEFORE, BETWEEN, AFTER, NEVER } when;
	struct torment *t = (struct torment *)(void *)l;
	const struct torment_kind *kind;
	rota_task *task;
	int status = 12345;

	torment_choose(t);
	kind = t->kind;
	when = t->come ? stress_below(&t->random, NEVER) : NEVER;
	if (kind->prepare != NULL)
		kind->prepare(l);
	if (when == BEFORE)
		kind->bring(l);
	task = torment_spawn(l, kind);
	torment_dawdle(&t->random);
	if (when == BETWEEN)
		kind->bring(l);
	torment_dawdle(&t->random);
	if (stress_one_in(&t->random, 2))
		torment_offer(t, task);
	else
		expect(rota_cancel(task), ==, 0);
	if (when == AFTER)
		kind->bring(l);
	expect(rota_join(task, &status), ==, 0);
	if (status != -ECANCELED)
		expect(status, >=, 0);
	if (kind->settle != NULL)
		kind->settle(l, kind->carry != NULL ? status >= 0 : status > 0);
	rota__count(status >= 0 ? &torment_well : &torment_cancelled, 1); /* not exact, and need not be */
	stress_moved();
}

/* --- plain threads that cancel --------------------------------------------------------------------------------------- */

struct torment_canceller {
	unsigned char *leaders;
	struct stress_random random;
	struct rota_atomic_u32 over;
};

static void *torment_cancel_what_is_offered(void *arg)
{
	struct torment_canceller *c = arg;

	while (rota__load(&c->over, RELAXED) == 0) {
		struct torment *t = torment_at(c->leaders, stress_below(&c->random, TORMENT_LEADERS));
		rota_task *task =
			rota__load(&t->offered, RELAXED) != NULL ? rota__swap(&t->offered, NULL, SEQ_CST) : NULL;

		if (task == NULL) {
			stress_pause(&c->random);
			continue;
		}
		expect(rota_cancel(task), ==, 0);
		rota__store(&t->done, 1, SEQ_CST);
	}
	return NULL;
}

/* --- a round ----------------------------------------------------------------------------------------------------------- */

static int torment_lead(void *arg)
{
	struct leader *l = arg;

	for (unsigned n = torment_plan->cancels / TORMENT_ROUNDS / TORMENT_LEADERS + 1; n > 0; n--)
		torment_one(l);
	if (torment_plan->finish != NULL)
		torment_plan->finish(l);
	return 0;
}

static int torment_lead_all(void *leaders)
{
	struct rota_scope scope;

	expect(rota_scope_open(&scope, 0), ==, 0);
	for (unsigned i = 0; i < TORMENT_LEADERS; i++)
		expect(rota_scope_spawn(&scope, NULL, torment_lead, torment_at(leaders, i)), ==, 0);
	return rota_scope_close(&scope);
}

static inline unsigned char *torment_leaders(struct stress_random *random)
{
	unsigned char *leaders = calloc(TORMENT_LEADERS, torment_plan->leader_size);

	for (unsigned i = 0; i < TORMENT_LEADERS; i++) {
		struct torment *t = torment_at(leaders, i);

		t->random = stress_random_new(stress_next(random));
		t->number = i;
		torment_plan->init((struct leader *)(void *)t);
	}
	return leaders;
}

static inline void torment_round(struct stress_random *random, enum rota_flavor flavor, unsigned workers)
{
	const struct rota_config config = {
		.workers = workers,
		.flavor = flavor,
		.max_blocking_threads = 2,
		.max_blocking_queue = torment_plan->max_blocking_queue,
	};
	struct torment_canceller canceller = { .random = stress_random_new(stress_next(random)) };
	struct stress_threads threads = { .n = 0 };

	expect(rota_runtime_new(&torment_runtime, &config), ==, 0);
	canceller.leaders = torment_leaders(random);
	torment_leaders_now = canceller.leaders;
	stress_thread(&threads, torment_cancel_what_is_offered, &canceller);
	expect(rota_block_on(torment_runtime, torment_lead_all, canceller.leaders), ==, 0);
	rota__store(&canceller.over, 1, RELAXED);
	stress_join(&threads);
	expect(rota_runtime_shutdown(torment_runtime, ROTA_NEVER), ==, 0);
	expect(rota__runtime_alive(torment_runtime), ==, 0);
	rota_runtime_free(torment_runtime);
	torment_runtime = NULL;
	torment_leaders_now = NULL;
	for (unsigned i = 0; i < TORMENT_LEADERS; i++)
		torment_plan->deinit((struct leader *)(void *)torment_at(canceller.leaders, i));
	free(canceller.leaders);
}

/* What a process has once, for signals and names, stays after the first round. */
static inline void torment_rounds(void)
{
	struct stress_random random = stress_random_new(0);
	unsigned before = 0;

	for (unsigned i = 0; i < TORMENT_ROUNDS * stress_scale; i++) {
		const unsigned workers = 2 + i % TORMENT_ROUNDS;

		if (workers <= TORMENT_ROUNDS)
			torment_round(&random, ROTA_FLAVOR_MULTI_THREAD, workers);
		else
			torment_round(&random, ROTA_FLAVOR_CURRENT_THREAD, 1);
		if (i == 0)
			before = stress_descriptors();
		expect(stress_descriptors(), ==, before);
	}
}

static inline int torment_main(int argc, char **argv, const struct torment_plan *plan)
{
	unsetenv("ROTA_FLAVOR");
	torment_plan = plan;
	stress_start(argc, argv, torment_report);
	torment_rounds();
	printf("%u cancels or more: %llu victims ended well, %llu cancelled\n", plan->cancels * stress_scale,
	       (unsigned long long)rota__load(&torment_well, RELAXED),
	       (unsigned long long)rota__load(&torment_cancelled, RELAXED));
	return 0;
}

#endif
