/* SPDX-License-Identifier: MIT */
#include "monitor_internal.h"

#include <errno.h>

#include "alloc_internal.h"
#include "runtime_internal.h"
#include "sys_internal.h"
#include "turns_internal.h"

/* Looks in a row at which some worker was free, before the spares go: steps of a few ms, which let a worker look around
 * in between, must not send them away. */
#define CALM_LOOKS 10u

/* A look is a wake-up, some 30 us of CPU with what it takes from others' caches. While no worker is inside a task, none can
 * have been stuck for long by the next look, and the pauses double, up to so many times stall_ns. */
#define LONGEST_PAUSE 4u

/* A look that is late by this: the process was stopped, as likely as not, and no task is to blame for the time. */
#define STOPPED_NS 100000000u

/* Looks at which a spare that only lacks a CPU keeps what it has: tasks, completions, timers. It goes on soon; what is taken
 * from it wakes up on another CPU, with all that the kernel has of its connections. */
#define PATIENCE 4u

/* What the monitor remembers of a worker. */
struct rota__watch {
	uint64_t moves;   /* tasks run, and looks around, at the last look */
	uint64_t counted; /* `runs` of the last stall that was counted */
	uint64_t cpu;     /* of a spare on duty: its CPU time at the last look */
	unsigned starved; /* of a spare on duty: looks at which it lacked a CPU, since it has moved */
	struct rota__stall_watch stall;
};

/* What one look has seen. */
struct sight {
	bool moved;       /* somebody has begun a task since the last look */
	bool free;        /* a configured worker that moves, or sleeps */
	bool asleep;      /* a configured worker that sleeps */
	bool spare_idle;  /* a spare on duty that sleeps */
	bool waiting;     /* something waits behind who is stuck */
	bool hurried;     /* somebody may be stuck by the next look, or is */
	unsigned blocked; /* workers in rota_block_in_place */
};

static size_t watch_size(const rota_runtime *rt)
{
	return rt->worker_places * sizeof(struct rota__watch);
}

/* What was seen before a sleep says nothing after it: all count as having moved. */
static void forget(rota_runtime *rt)
{
	for (unsigned i = 0; i < rt->worker_places; i++)
		rt->monitor.watch[i].moves = UINT64_MAX;
}

int rota__monitor_init(rota_runtime *rt)
{
	rt->monitor.watch = rota__alloc(watch_size(rt), ROTA__CACHE_LINE);
	rota__store(&rt->monitor.dormant, 1, RELAXED);
	rt->monitor.pause = 1;
	if (rt->monitor.watch == NULL)
		return -ENOMEM;
	forget(rt);
	return 0;
}

void rota__monitor_deinit(rota_runtime *rt)
{
	rota__free(rt->monitor.watch, watch_size(rt), ROTA__CACHE_LINE);
	rt->monitor.watch = NULL;
}

static bool enabled(const rota_runtime *rt)
{
	return rt->config.flavor != ROTA_FLAVOR_CURRENT_THREAD;
}

static bool asleep(const struct rota__worker *worker)
{
	/* Against sleeping: ordered by the fences. ACQUIRE: partner is rota__worker_enter, which publishes worker->io. */
	return rota__load(&worker->asleep, ACQUIRE) != 0;
}

static bool all_asleep(rota_runtime *rt)
{
	const unsigned total = rota__worker_total(rt);

	for (unsigned i = 0; i < total; i++) {
		if (!asleep(&rt->workers[i]))
			return false;
	}
	return true;
}

static bool any_behind(rota_runtime *rt, struct rota__worker *worker)
{
	return rota__deque_length(&worker->deque) > 0 || rota__next_waits(&worker->next) ||
	       rota__inject_length(&rt->inject) > 0;
}

/* What waits behind a worker that does not move is taken over: completions and timers become tasks in the injection
 * queue; queued tasks become worth stealing. Returns whether there was anything. */
static bool help(rota_runtime *rt, struct rota__worker *worker, uint64_t runs, uint64_t now)
{
	struct rota__forks *forks = rota__load(&worker->forks, ACQUIRE); /* partner: forks_attach, resume */
	bool behind = any_behind(rt, worker);

	rota__store(&worker->stalled_at, runs, RELAXED); /* a hint: rota__worker_worth, rota__worker_stalled */
	if (rota__worker_forward_mail(worker))
		behind = true;
	if (rt->driver->rescue(worker))
		behind = true;
	if (rota__wheel_expire(&worker->wheel, now) > 0)
		behind = true;
	if (forks != NULL)
		rota__fork_hurry(forks);
	/* Frames are for who has nothing to do: a spare would not take them. */
	if (behind || (forks != NULL && rota__fork_any(forks)))
		rota__idle_wake_one(rt);
	return behind;
}

/* Somebody may steal what is worth it, as from any worker. Returns whether there is anything. */
static bool leave(rota_runtime *rt, struct rota__worker *worker)
{
	const bool behind = any_behind(rt, worker);

	if (behind)
		rota__idle_wake_one(rt);
	return behind;
}

static void count_stall(rota_runtime *rt, struct rota__watch *watch, uint64_t runs)
{
	if (watch->counted == runs)
		return;
	watch->counted = runs;
	rota__count(&rt->monitor.stalls, 1);
}

/* Then those who wait do not wait behind anybody. */
static bool spares_serve(const rota_runtime *rt)
{
	return rota__load(&rt->spares.on_duty, RELAXED) > 0;
}

/* A spare that does not move, but is ready: it has not had a CPU since the last look, or for a moment only. */
static bool is_ready(rota_runtime *rt, const struct rota__worker *spare, const struct rota__watch *watch, int *ret_cpu)
{
	struct rota__thread_state state = { .state = '?', .cpu = -1 };

	pthread_mutex_lock(&rt->spares.lock); /* while it is not closed, no worker's thread is joined */
	if (!rt->spares.closed && rota__sys_thread_cpu(spare->self) - watch->cpu < rt->config.stall_ns / 2)
		state = rota__sys_thread_state(spare->self);
	pthread_mutex_unlock(&rt->spares.lock);
	*ret_cpu = state.cpu;
	return state.state == 'R';
}

/* A spare that does not move may only lack a CPU: then it would go on. Returns whether it is so. Most have given theirs away,
 * which they say; the kernel is asked of the others only, since that takes it as long as all the rest of a look. */
static bool let_in(rota_runtime *rt, const struct rota__worker *spare, const struct rota__watch *watch)
{
	int cpu = rota__turns_given(spare);

	if (cpu < 0 && !is_ready(rt, spare, watch, &cpu))
		return false;
	rota__turns_look_from(cpu);
	return true;
}

static void note_cpu_time(rota_runtime *rt, const struct rota__worker *spare, struct rota__watch *watch)
{
	pthread_mutex_lock(&rt->spares.lock);
	if (!rt->spares.closed)
		watch->cpu = rota__sys_thread_cpu(spare->self);
	pthread_mutex_unlock(&rt->spares.lock);
}

static void look_at(rota_runtime *rt, unsigned i, uint64_t now, bool only_blocked, struct sight *sight)
{
	struct rota__worker *worker = &rt->workers[i];
	struct rota__watch *watch = &rt->monitor.watch[i];
	const bool spare = worker->spare;
	const uint64_t runs = rota__load(&worker->runs, RELAXED);
	const uint64_t moves = runs + rota__load(&worker->looks, RELAXED);
	const bool blocked = rota__load(&worker->blocked, ACQUIRE); /* partner: rota_block_in_place */
	const bool moved = moves != watch->moves || only_blocked;

	if (asleep(worker)) {
		sight->asleep |= !spare;
		sight->free |= !spare;
		sight->spare_idle |= spare && rota__spare_serves(worker);
	} else if (blocked || !moved) {
		const bool starved = spare && rota__spare_serves(worker) && !blocked && let_in(rt, worker, watch);
		const bool behind =
			starved && watch->starved < PATIENCE ? leave(rt, worker) : help(rt, worker, runs, now);

		watch->starved += starved;
		sight->hurried = true;
		sight->blocked += blocked;
		sight->waiting |= behind;
		if (behind && !blocked && !starved)
			count_stall(rt, watch, runs);
		if (!blocked && !starved) /* what lacks a CPU is not to blame, and would be looked up for nothing */
			rota__stall_stuck(rt, worker, &watch->stall, behind || spares_serve(rt), now);
	} else {
		sight->free |= !spare;
		sight->hurried |= rota__load(&worker->running, RELAXED) != NULL; /* a hint */
	}
	if (only_blocked)
		return;
	if (spare && rota__spare_serves(worker) && !asleep(worker))
		note_cpu_time(rt, worker, watch);
	if (moved || blocked) {
		watch->starved = 0;
		rota__stall_moved(&watch->stall, now);
	}
	rota__stall_flush(rt, worker, &watch->stall, now);
	sight->moved |= moved;
	watch->moves = moves;
}

static struct sight look_around(rota_runtime *rt, uint64_t now, bool only_blocked)
{
	const unsigned total = rota__worker_total(rt);
	struct sight sight = { .moved = false };

	for (unsigned i = 0; i < total; i++)
		look_at(rt, i, now, only_blocked, &sight);
	return sight;
}

/* A worker that has said that it blocks is replaced as soon as something waits; one that computes, when all do. */
static bool spare_needed(const rota_runtime *rt, const struct sight *sight)
{
	if (sight->blocked > 0 && !sight->asleep)
		return rota__load(&rt->spares.on_duty, RELAXED) < sight->blocked || !sight->free;
	return !sight->free;
}

static void mind_spares(rota_runtime *rt, uint64_t now, const struct sight *sight)
{
	struct rota__monitor *monitor = &rt->monitor;

	if (spare_needed(rt, sight)) {
		monitor->calm = 0;
		if (sight->waiting && !sight->spare_idle)
			rota__spares_call(rt, rt->worker_count + sight->blocked, now);
	} else if (sight->blocked == 0 || sight->asleep) {
		if (++monitor->calm >= CALM_LOOKS)
			rota__spares_dismiss(rt);
	}
}

/* How long they have been in their tasks is counted from here on. */
static void excuse(rota_runtime *rt, uint64_t now)
{
	for (unsigned i = 0; i < rt->worker_places; i++)
		rota__stall_moved(&rt->monitor.watch[i].stall, now);
}

/* Nobody has moved, and all sleep: until somebody wakes. */
static bool go_dormant(rota_runtime *rt)
{
	struct rota__monitor *monitor = &rt->monitor;

	rota__spares_dismiss(rt);
	rota__store(&monitor->dormant, 1, RELAXED);
	rota__fence(SEQ_CST); /* partner: rota__monitor_rouse */
	if (!all_asleep(rt) || rota__load(&rt->spares.on_duty, RELAXED) > 0 || rota__load(&rt->blocking.left, RELAXED)) {
		rota__store(&monitor->dormant, 0, RELAXED);
		return false;
	}
	forget(rt);
	return true;
}

/* When to look again after a look at `now`. */
static uint64_t next_look(rota_runtime *rt, uint64_t now, bool hurried)
{
	struct rota__monitor *monitor = &rt->monitor;

	if (hurried || spares_serve(rt))
		monitor->pause = 1;
	monitor->due = now + monitor->pause * rt->config.stall_ns;
	if (monitor->pause < LONGEST_PAUSE)
		monitor->pause *= 2;
	return monitor->due;
}

/* In the current-thread flavour: the pool, and nothing else. */
static uint64_t look_at_pool(rota_runtime *rt, uint64_t now)
{
	struct rota__monitor *monitor = &rt->monitor;

	if (now < monitor->due)
		return rota__load(&rt->blocking.left, RELAXED) ? monitor->due : ROTA_NEVER;
	if (!rota__blocking_look(rt)) {
		monitor->pause = 1;
		return ROTA_NEVER;
	}
	return next_look(rt, now, false);
}

uint64_t rota__monitor_look(rota_runtime *rt, uint64_t now)
{
	struct rota__monitor *monitor = &rt->monitor;
	struct sight sight;

	if (!enabled(rt))
		return look_at_pool(rt, now);
	if (rota__load(&monitor->dormant, ACQUIRE))
		return ROTA_NEVER;
	if (rota__load(&monitor->urgent, RELAXED) && rota__swap(&monitor->urgent, 0, ACQ_REL)) {
		sight = look_around(rt, now, true);
		mind_spares(rt, now, &sight);
	}
	if (now < monitor->due)
		return monitor->due;
	if (now - monitor->due >= STOPPED_NS)
		excuse(rt, now);
	sight = look_around(rt, now, false);
	if (rota__blocking_look(rt))
		sight.moved = sight.hurried = true;
	mind_spares(rt, now, &sight);
	if (!sight.moved && all_asleep(rt) && go_dormant(rt)) {
		next_look(rt, now, true);
		return ROTA_NEVER;
	}
	return next_look(rt, now, sight.hurried);
}

void rota__monitor_rouse(rota_runtime *rt)
{
	rota__fence(SEQ_CST); /* partner: the fence in go_dormant */
	if (rota__load(&rt->monitor.dormant, RELAXED) && rota__swap(&rt->monitor.dormant, 0, ACQ_REL) && enabled(rt))
		rt->driver->wake_reactor(rt);
}

void rota__monitor_mind_pool(rota_runtime *rt)
{
	if (enabled(rt))
		rota__monitor_rouse(rt);
	else
		rt->driver->wake_reactor(rt);
}

void rota__monitor_alert(rota_runtime *rt)
{
	rota__store(&rt->monitor.urgent, 1, RELEASE); /* partner: the swap in rota__monitor_look */
	rt->driver->wake_reactor(rt);
}
