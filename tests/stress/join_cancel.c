/* SPDX-License-Identifier: MIT */
/*
 * Cancels that race with whatever ends a wait: a post, a timer, the end of a joined task, the task's own end. Victims
 * wait in turn for all of these; from other tasks and from plain threads they are cancelled, woken by wakers that were
 * cloned, joined, joined in vain by a joiner that is cancelled itself, and let go. Each victim ends, tells its true
 * status, no post is lost, and nothing that was let go is left.
 */
#define _GNU_SOURCE
#include "runtime_report.h"
#include "semaphore.h"

#define GROUPS 4u
#define VICTIMS 10u              /* of a group, at a time */
#define TURNS STRESS_FEWER(150u) /* of a group, in a round */

static rota_runtime *runtime_now;
static struct rota_atomic_u32 ended_well, ended_cancelled;

static void report(void)
{
	if (runtime_now != NULL)
		runtime_report(runtime_now);
}

/* --- victims ---------------------------------------------------------------------------------------------------------- */

struct group;

struct victim {
	struct group *group;
	struct stress_random random;
	rota_task *task;
	struct rota_timer timer; /* of a stackless victim */
	struct semaphore_wait wait;
	bool stackless;
	bool detached;
};

struct group {
	struct stress_random random;
	struct semaphore posts, ended;
	struct rota_atomic_u32 taken; /* posts that victims got */
	struct victim victims[VICTIMS];
	struct rota_atomic_ptr waker; /* of some victim: a struct rota_waker on the heap */
};

/* Keeps a clone of the present waker for somebody to fire, perhaps long after the end of its task. */
struct keep {
	struct rota_future future;
	struct group *group;
	bool kept;
};

static void fire_kept(struct group *group)
{
	struct rota_waker *kept = rota__swap(&group->waker, NULL, ACQ_REL);

	if (kept == NULL)
		return;
	rota_wake(kept);
	free(kept);
}

static rota_poll keep_poll(struct rota_future *self, struct rota_context *cx)
{
	struct keep *keep = (struct keep *)(void *)self;
	struct rota_waker *mine, *former;

	self->status = 0;
	if (keep->kept)
		return ROTA_READY;
	keep->kept = true;
	mine = malloc(sizeof(*mine));
	*mine = rota_context_waker(cx);
	rota_wake_by_ref(mine);
	former = rota__swap(&keep->group->waker, mine, ACQ_REL);
	if (former != NULL) {
		rota_waker_drop(former);
		free(former);
	}
	return ROTA_PENDING;
}

static const struct rota_future_ops keep_ops = { .poll = keep_poll };

static int leave_a_waker(struct group *group)
{
	struct keep keep = { .group = group };

	rota_future_init(&keep.future, &keep_ops);
	return rota_await(&keep.future);
}

static int nap(void *arg)
{
	return rota_sleep((uintptr_t)arg);
}

static int join_a_napper(struct victim *victim)
{
	rota_task *task;
	int status, rc;

	expect(rota_spawn(&task, nap, (void *)(uintptr_t)stress_below(&victim->random, 100000)), ==, 0);
	rc = rota_join(task, &status);
	if (rc == 0) {
		expect(status, ==, 0);
		return 0;
	}
	/* Cancelled meanwhile: the handle is still ours. */
	expect(rc, ==, -ECANCELED);
	if (stress_one_in(&victim->random, 2)) {
		rota_detach(task);
		return rc;
	}
	rota_cancel(task);
	rota_shield_enter();
	expect(rota_join(task, &status), ==, 0);
	rota_shield_leave();
	expect(status == 0 || status == -ECANCELED, ==, 1);
	return rc;
}

static int wait_somehow(struct victim *victim)
{
	int rc;

	switch (stress_below(&victim->random, 6)) {
	case 0:
		return rota_sleep(stress_below(&victim->random, 150000));
	case 1:
		return join_a_napper(victim);
	case 2:
		return rota_yield();
	case 3:
		leave_a_waker(victim->group);
		return rota_cancelled() ? -ECANCELED : 0;
	default:
		rc = semaphore_down(&victim->group->posts);
		if (rc == 0)
			rota__fetch_add(&victim->group->taken, 1, SEQ_CST);
		return rc;
	}
}

static int suffer(void *arg)
{
	struct victim *victim = arg;
	struct group *group = victim->group;
	int rc = 0;

	for (unsigned waits = 1 + stress_below(&victim->random, 6); waits > 0 && rc == 0; waits--)
		rc = wait_somehow(victim);
	if (rc < 0) {
		expect(rc, ==, -ECANCELED);
		expect(rota_cancelled(), ==, true);
	}
	rota__fetch_add(rc == 0 ? &ended_well : &ended_cancelled, 1, RELAXED);
	semaphore_up(&group->ended);
	return rc;
}

static void spawn_victim(struct group *group, struct victim *victim)
{
	victim->group = group;
	victim->random = stress_random_new(stress_next(&group->random));
	victim->detached = false;
	victim->stackless = stress_one_in(&group->random, 3);
	if (!victim->stackless) {
		if (stress_one_in(&group->random, 4))
			expect(rota_spawn_local(&victim->task, suffer, victim), ==, 0);
		else
			expect(rota_spawn(&victim->task, suffer, victim), ==, 0);
	} else if (stress_one_in(&group->random, 2)) {
		rota_timer_init(&victim->timer, rota_now() + stress_below(&group->random, 150000));
		expect(rota_spawn_future(&victim->task, &victim->timer.future), ==, 0);
	} else {
		semaphore_wait_init(&victim->wait, &group->posts);
		expect(rota_spawn_future(&victim->task, &victim->wait.future), ==, 0);
	}
}

/* --- tormentors --------------------------------------------------------------------------------------------------------- */

static int join_it(void *task)
{
	int status, rc = rota_join(task, &status);

	return rc == 0 ? 0 : rc;
}

/* Something unpleasant for one victim, whose handle stays. */
static void torment(struct group *group, struct stress_random *random, struct victim *victim)
{
	rota_task *joiner;
	int status;

	switch (stress_below(random, 8)) {
	case 0:
		fire_kept(group);
		break;
	case 1:
	case 2:
	case 3:
		expect(rota_cancel(victim->task), ==, 0);
		break;
	case 4:
	case 5:
		semaphore_up(&group->posts);
		break;
	case 6:
		/* A joiner that is cancelled: it may have been too late, and then the handle is gone. */
		expect(rota_spawn(&joiner, join_it, victim->task), ==, 0);
		stress_pause(random);
		rota_cancel(joiner);
		expect(rota_join(joiner, &status), ==, 0);
		expect(status == 0 || status == -ECANCELED, ==, 1);
		if (status == 0)
			victim->task = NULL;
		break;
	default:
		rota_yield();
	}
}

/* Every victim must end, with a little help. */
static void finish(struct group *group, struct stress_random *random, struct victim *victim)
{
	int status = 1;

	if (victim->task == NULL)
		return;
	if (stress_one_in(random, 5) && !victim->stackless) {
		rota_cancel(victim->task);
		rota_detach(victim->task);
		victim->task = NULL;
		return;
	}
	rota_cancel(victim->task);
	expect(rota_join(victim->task, &status), ==, 0);
	expect(status == 0 || status == -ECANCELED, ==, 1);
	victim->task = NULL;
	/* Stackless ones count themselves by their status. */
	if (victim->stackless && victim->wait.semaphore == &group->posts && status == 0)
		rota__fetch_add(&group->taken, 1, SEQ_CST);
	stress_moved();
}

static int lead(void *arg)
{
	struct group *group = arg;
	struct stress_random *random = &group->random;

	for (unsigned turn = 0; turn < TURNS; turn++) {
		unsigned fibers = 0;

		memset(group->victims, 0, sizeof(group->victims));
		for (unsigned i = 0; i < VICTIMS; i++) {
			spawn_victim(group, &group->victims[i]);
			fibers += !group->victims[i].stackless;
		}
		for (unsigned n = stress_below(random, 4 * VICTIMS); n > 0; n--) {
			struct victim *victim = &group->victims[stress_below(random, VICTIMS)];

			if (victim->task != NULL && !victim->stackless)
				torment(group, random, victim);
			else if (victim->task != NULL)
				rota_cancel(victim->task);
			stress_pause(random);
		}
		for (unsigned i = 0; i < VICTIMS; i++)
			finish(group, random, &group->victims[i]);
		/* Their memory is used again: all of them must have ended, those that were let go too. */
		for (; fibers > 0; fibers--)
			expect(semaphore_down(&group->ended), ==, 0);
		expect(rota__waitlist_empty(&group->posts.waiters), ==, true);
	}
	fire_kept(group);
	return 0;
}

/* From plain threads: posts, and wakers that were left behind. */
struct outsider {
	struct group *groups;
	struct stress_random random;
	struct rota_atomic_u32 over, posts;
};

static void *interfere(void *arg)
{
	struct outsider *outsider = arg;

	while (rota__load(&outsider->over, RELAXED) == 0) {
		struct group *group = &outsider->groups[stress_below(&outsider->random, GROUPS)];

		if (stress_one_in(&outsider->random, 2))
			fire_kept(group);
		else
			semaphore_up(&group->posts);
		stress_pause(&outsider->random);
		if (stress_one_in(&outsider->random, 4))
			usleep(stress_below(&outsider->random, 300));
	}
	return NULL;
}

static int lead_all(void *arg)
{
	struct group *groups = arg;
	rota_task *leaders[GROUPS];

	for (unsigned i = 0; i < GROUPS; i++)
		expect(rota_spawn(&leaders[i], lead, &groups[i]), ==, 0);
	for (unsigned i = 0; i < GROUPS; i++)
		expect(rota_join(leaders[i], NULL), ==, 0);
	return 0;
}

static void round_of(struct stress_random *random, enum rota_flavor flavor, unsigned workers)
{
	const struct rota_config config = { .workers = workers, .flavor = flavor };
	static struct group groups[GROUPS];
	struct outsider outsider = { .groups = groups, .random = stress_random_new(stress_next(random)) };
	struct stress_threads threads = { .n = 0 };
	rota_runtime *rt;

	expect(rota_runtime_new(&rt, &config), ==, 0);
	runtime_now = rt;
	memset(groups, 0, sizeof(groups));
	for (unsigned i = 0; i < GROUPS; i++)
		groups[i].random = stress_random_new(stress_next(random));
	stress_thread(&threads, interfere, &outsider);
	expect(rota_block_on(rt, lead_all, groups), ==, 0);
	rota__store(&outsider.over, 1, RELAXED);
	stress_join(&threads);
	for (unsigned i = 0; i < GROUPS; i++)
		fire_kept(&groups[i]);
	expect(rota_runtime_shutdown(rt, ROTA_NEVER), ==, 0);
	expect(rota__runtime_alive(rt), ==, 0);
	runtime_now = NULL;
	rota_runtime_free(rt);
}

int main(int argc, char **argv)
{
	struct stress_random random;

	unsetenv("ROTA_FLAVOR");
	stress_start(argc, argv, report);
	random = stress_random_new(0);
	for (unsigned i = 0; i < 2 * stress_scale; i++) {
		for (unsigned workers = 1; workers <= 4; workers++)
			round_of(&random, ROTA_FLAVOR_MULTI_THREAD, workers);
		round_of(&random, ROTA_FLAVOR_CURRENT_THREAD, 1);
	}
	printf("%u victims ended well, %u cancelled\n", rota__load(&ended_well, RELAXED),
	       rota__load(&ended_cancelled, RELAXED));
	return 0;
}
