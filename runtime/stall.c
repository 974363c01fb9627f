/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "stall_internal.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <ucontext.h>

#include "log_internal.h"
#include "place_internal.h"
#include "rseq_internal.h"
#include "runtime_internal.h"
#include "sys_internal.h"

#if defined(__has_include)
#if __has_include(<execinfo.h>)
#include <execinfo.h>
#define HAVE_BACKTRACE 1
#endif
#endif

#define SECOND_NS 1000000000u
#define PATIENCE_NS 100000000u /* for the stuck thread to take the signal: it may have to wait for a CPU */

/* --- the handler ------------------------------------------------------------------------------------------------ */

static struct sigaction former;
static pthread_once_t once = PTHREAD_ONCE_INIT;

#if defined(__x86_64__)
#define PC gregs[REG_RIP]
#else
#define PC pc
#endif

/* The frames from the interrupted instruction outwards; those of the handler itself are left out. */
static void capture_frames(struct rota__capture *capture, void *at)
{
	int skip = 0;

	capture->count = 0;
#ifdef HAVE_BACKTRACE
	capture->count = backtrace(capture->frames, ROTA__STALL_FRAMES);
	while (skip < capture->count && capture->frames[skip] != at)
		skip++;
#endif
	if (skip == capture->count) {
		capture->frames[0] = at;
		capture->count = 1;
		return;
	}
	capture->count -= skip;
	memmove(capture->frames, capture->frames + skip, (size_t)capture->count * sizeof(capture->frames[0]));
}

/* The unwinder goes by the context, too. */
static void capture_stack(struct rota__capture *capture, ucontext_t *context)
{
	const __typeof__(context->uc_mcontext.PC) pc = context->uc_mcontext.PC;
	const uintptr_t at = rota__replace_interrupted((uintptr_t)pc);

	context->uc_mcontext.PC = (__typeof__(pc))at;
	capture_frames(capture, (void *)at);
	context->uc_mcontext.PC = pc;
}

static void on_signal(int number, siginfo_t *info, void *context)
{
	struct rota__worker *worker = rota__worker_self();
	uint32_t wanted = ROTA__CAPTURE_WANTED;

	if (worker != NULL &&
	    rota__cas_strong(&worker->capture.state, &wanted, ROTA__CAPTURE_BUSY, ACQUIRE)) { /* partner: ask */
		capture_stack(&worker->capture, context);
		rota__store(&worker->capture.state, ROTA__CAPTURE_TAKEN, RELEASE); /* partner: rota__stall_flush */
	} else if (former.sa_flags & SA_SIGINFO) {
		former.sa_sigaction(number, info, context);
	} else if (former.sa_handler != SIG_DFL && former.sa_handler != SIG_IGN) {
		former.sa_handler(number);
	}
}

static void install(void)
{
	struct sigaction action = { .sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART };

#ifdef HAVE_BACKTRACE
	void *frame;

	backtrace(&frame, 1); /* loads the unwinder */
#endif
	sigemptyset(&action.sa_mask);
	sigaction(SIGURG, &action, &former);
}

static bool wants_stacks(const rota_runtime *rt)
{
	return rt->config.stall_report == ROTA_STALL_REPORT_STACK && rt->config.flavor != ROTA_FLAVOR_CURRENT_THREAD;
}

void rota__stall_install(const rota_runtime *rt)
{
	if (wants_stacks(rt))
		pthread_once(&once, install);
}

void rota__stall_thread_start(const rota_runtime *rt)
{
	sigset_t set;

	if (!wants_stacks(rt))
		return;
	sigemptyset(&set);
	sigaddset(&set, SIGURG);
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

/* --- how often -------------------------------------------------------------------------------------------------- */

bool rota__stall_admit(struct rota__stall_sites *sites, const void *place, uint64_t now, unsigned *ret_unreported)
{
	unsigned oldest = 0;

	for (unsigned i = 0; i < ROTA__STALL_SITES; i++) {
		if (sites->site[i].at != 0 && sites->site[i].place == place) {
			oldest = i;
			break;
		}
		if (sites->site[i].at < sites->site[oldest].at)
			oldest = i;
	}
	if (sites->site[oldest].at != 0 && now < sites->site[oldest].at + SECOND_NS) {
		sites->site[oldest].unreported += sites->site[oldest].place == place;
		return false; /* more places than this in a second are left out */
	}
	*ret_unreported = sites->site[oldest].place == place ? sites->site[oldest].unreported : 0;
	sites->site[oldest].place = place;
	sites->site[oldest].at = now;
	sites->site[oldest].unreported = 0;
	return true;
}

bool rota__stall_blames(const struct rota__stall *stall, uint64_t report_ns)
{
	return stall->state != 'R' || stall->cpu_ns >= report_ns / 2;
}

/* --- what is stuck ---------------------------------------------------------------------------------------------- */

/* Its thread's; and the state of that, if `ret_state` is not NULL. */
static struct rota__thread_times times_of(rota_runtime *rt, struct rota__worker *worker, char *ret_state)
{
	struct rota__thread_times times = { .cpu_ns = 0 };

	if (ret_state != NULL)
		*ret_state = '?';
	pthread_mutex_lock(&rt->spares.lock); /* while it is not closed, no worker's thread is joined */
	if (!rt->spares.closed) {
		times = rota__sys_thread_times(worker->self);
		if (ret_state != NULL)
			*ret_state = rota__sys_thread_state(worker->self).state;
	}
	pthread_mutex_unlock(&rt->spares.lock);
	return times;
}

/* Reads the task that the worker is in. false: it is in none any more. */
static bool identify(rota_runtime *rt, struct rota__worker *worker, struct rota__stall *stall)
{
	rota_task *task = rota__task_pool_ref(&rt->tasks, &worker->running);

	if (task == NULL)
		return false;
	stall->task = task->id;
	stall->kind = rota__task_kind_name(task);
	stall->spawned_at = task->spawned_at;
	memcpy(stall->name, rota__task_name(task), strlen(rota__task_name(task)) + 1);
	rota__task_unref(task);
	return true;
}

/* Asks the stuck thread for its stack. false: it cannot be asked. */
static bool ask(rota_runtime *rt, struct rota__worker *worker)
{
	uint32_t idle = ROTA__CAPTURE_IDLE;
	bool sent = false;

	if (!wants_stacks(rt) ||
	    !rota__cas_strong(&worker->capture.state, &idle, ROTA__CAPTURE_WANTED, RELEASE)) /* partner: on_signal */
		return false;
	pthread_mutex_lock(&rt->spares.lock);
	if (!rt->spares.closed)
		sent = pthread_kill(worker->self, SIGURG) == 0;
	pthread_mutex_unlock(&rt->spares.lock);
	if (!sent)
		rota__store(&worker->capture.state, ROTA__CAPTURE_IDLE, RELAXED); /* no signal is on its way */
	return sent;
}

/* --- saying so -------------------------------------------------------------------------------------------------- */

/* What a thread is that has been long in a task: at work, in want of a CPU, or in wait for something else. */
static const char *name_state(char state)
{
	switch (state) {
	case 'R':
		return ", ready now";
	case 'S':
	case 'D':
		return ", blocked now";
	default:
		return "";
	}
}

static void say(rota_runtime *rt, const struct rota__worker *worker, const struct rota__stall *stall)
{
	char place[ROTA__PLACE_MAX], more[48] = "";

	rota__count(&rt->monitor.stall_reports, 1);
	if (stall->unreported > 0)
		snprintf(more, sizeof(more), "; %u more since the last report", stall->unreported);
	rota__log("stall: %s %llu \"%s\" has run for %llu ms (%llu ms on a CPU, %llu ms in wait for one%s) on worker "
		  "%u while others wait; spawned at %s%s",
		  stall->kind, (unsigned long long)stall->task, stall->name, (unsigned long long)(stall->ns / 1000000),
		  (unsigned long long)(stall->cpu_ns / 1000000), (unsigned long long)(stall->ready_ns / 1000000),
		  name_state(stall->state), worker->index, rota__name_place(place, stall->spawned_at, true), more);
}

static void say_stack(const struct rota__capture *capture)
{
	char place[ROTA__PLACE_MAX];

	for (int i = 0; i < capture->count; i++)
		rota__log("stall:   at %s", rota__name_place(place, capture->frames[i], i > 0));
}

void rota__stall_moved(struct rota__stall_watch *watch, uint64_t now)
{
	watch->since = now;
	watch->stuck = false;
	watch->behind = false;
}

void rota__stall_stuck(rota_runtime *rt, struct rota__worker *worker, struct rota__stall_watch *watch, bool behind,
		       uint64_t now)
{
	struct rota__stall *stall = &watch->stall;
	struct rota__thread_times times;

	if (rt->config.stall_report == ROTA_STALL_REPORT_OFF)
		return;
	if (!watch->stuck) {
		watch->stuck = true;
		times = times_of(rt, worker, NULL);
		watch->cpu_since = times.cpu_ns;
		watch->ready_since = times.ready_ns;
	}
	watch->behind |= behind;
	if (!watch->behind || watch->wanted_at != 0 || now - watch->since < rt->config.stall_report_ns)
		return;
	stall->ns = now - watch->since;
	times = times_of(rt, worker, &stall->state);
	stall->cpu_ns = times.cpu_ns - watch->cpu_since;
	stall->ready_ns = times.ready_ns - watch->ready_since;
	if (!rota__stall_blames(stall, rt->config.stall_report_ns) || !identify(rt, worker, stall) ||
	    !rota__stall_admit(&rt->monitor.sites, stall->spawned_at, now, &stall->unreported))
		return;
	if (ask(rt, worker))
		watch->wanted_at = now;
	else
		say(rt, worker, stall);
}

void rota__stall_flush(rota_runtime *rt, struct rota__worker *worker, struct rota__stall_watch *watch, uint64_t now)
{
	uint32_t wanted = ROTA__CAPTURE_WANTED;

	if (watch->wanted_at == 0)
		return;
	if (rota__load(&worker->capture.state, ACQUIRE) == ROTA__CAPTURE_TAKEN) { /* partner: on_signal */
		say(rt, worker, &watch->stall);
		say_stack(&worker->capture);
		rota__store(&worker->capture.state, ROTA__CAPTURE_IDLE, RELAXED); /* the next ask publishes it */
	} else if (now - watch->wanted_at < PATIENCE_NS ||
		   !rota__cas_strong(&worker->capture.state, &wanted, ROTA__CAPTURE_IDLE, RELAXED)) {
		return; /* it may yet come */
	} else {
		say(rt, worker, &watch->stall);
	}
	watch->wanted_at = 0;
}
