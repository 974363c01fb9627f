/* SPDX-License-Identifier: MIT */
/*
 * Children whose handles are gone. One thread of the process waits for them, while there are any; it belongs to no
 * runtime, since a child may well outlive each of them.
 *
 * `arrived` is what was left since the thread looked last, under the lock; `waited` is the thread's own. It polls their
 * pidfds and one eventfd, on which a newcomer is announced. A child without a pidfd, one that a debugger has, or one too
 * many for a poll, makes it look again and again instead. Should there be no thread, whoever leaves the next child tries
 * again.
 */
#include <pthread.h>

#include "../runtime/alloc_internal.h"
#include "../runtime/spin_internal.h"
#include "../runtime/sys_internal.h"
#include "after_fork_internal.h"
#include "process_internal.h"
#include "sys_process_internal.h"

#define POLLED_MAX 64
#define LOOK_AGAIN_MS 20

static struct {
	struct rota_atomic_u32 lock;
	struct rota__orphan *arrived;
	bool thread;
	int bell; /* an eventfd while there is a thread; -1: none could be had */
} reaper = { .bell = -1 };

struct rota__orphan *rota__orphan_new(void)
{
	return rota__alloc(sizeof(struct rota__orphan), _Alignof(struct rota__orphan));
}

void rota__orphan_free(struct rota__orphan *orphan)
{
	rota__free(orphan, sizeof(*orphan), _Alignof(struct rota__orphan));
}

static void bury(struct rota__orphan *orphan)
{
	rota__sys_close(orphan->pidfd);
	rota__orphan_free(orphan);
}

/* With the lock held: there is no thread any more. Returns what it was rung by, to be closed without the lock. */
static int strike_out(void)
{
	const int bell = reaper.bell;

	reaper.thread = false;
	reaper.bell = -1;
	return bell;
}

/* Takes what has arrived. false: there is nothing to wait for, and the thread has been struck out. */
static bool take_arrived(struct rota__orphan **waited)
{
	struct rota__orphan *orphan;
	int bell = -1;
	bool stay;

	rota__spin_lock(&reaper.lock);
	while ((orphan = reaper.arrived) != NULL) {
		reaper.arrived = orphan->next;
		orphan->next = *waited;
		*waited = orphan;
	}
	stay = *waited != NULL;
	if (!stay)
		bell = strike_out();
	rota__spin_unlock(&reaper.lock);
	rota__sys_close(bell);
	return stay;
}

/* Those that have ended, or are nobody's any more, are taken out. Returns how many `fds` there are to poll for the others;
 * *ret_blind: some cannot be polled for. `seen` says that the last poll was of use: if none has ended all the same, a
 * debugger has one, and would have it in the next poll, too. */
static unsigned look(struct rota__orphan **waited, int *fds, bool seen, bool *ret_blind)
{
	unsigned n = 0;
	int status;

	*ret_blind = false;
	while (*waited != NULL) {
		struct rota__orphan *orphan = *waited;

		if (rota__sys_reap(orphan->pid, orphan->pidfd, &status) != 0) {
			*waited = orphan->next;
			bury(orphan);
			seen = false;
			continue;
		}
		if (orphan->pidfd >= 0 && n < POLLED_MAX)
			fds[n++] = orphan->pidfd;
		else
			*ret_blind = true;
		waited = &orphan->next;
	}
	if (seen)
		*ret_blind = true;
	return seen ? 0 : n;
}

static void *reaper_main(void *arg)
{
	struct rota__orphan *waited = NULL;
	int fds[POLLED_MAX + 1];
	bool blind, seen = false;

	(void)arg;
	while (take_arrived(&waited)) {
		unsigned n = look(&waited, fds + 1, seen, &blind);

		/* The thread's own until it is struck out. */
		fds[0] = reaper.bell;
		seen = false;
		if (waited != NULL)
			seen = rota__sys_poll_any(fds, n + 1, blind || fds[0] < 0 ? LOOK_AGAIN_MS : -1);
	}
	return NULL;
}

void rota__orphan_leave(struct rota__orphan *orphan)
{
	int bell = rota__sys_eventfd(); /* before the lock: a thread may have to be made */
	pthread_t thread;
	bool make;

	rota__io_after_fork_install();
	rota__spin_lock(&reaper.lock);
	orphan->next = reaper.arrived;
	reaper.arrived = orphan;
	make = !reaper.thread;
	if (make) {
		reaper.thread = true;
		reaper.bell = bell;
		bell = -1;
	} else if (reaper.bell >= 0) {
		rota__sys_eventfd_write(reaper.bell); /* under the lock: it is closed by who strikes the thread out */
	}
	rota__spin_unlock(&reaper.lock);
	rota__sys_close(bell);
	if (!make)
		return;
	if (rota__sys_thread(&thread, "rota-reaper", reaper_main, NULL) == 0) {
		pthread_detach(thread);
		return;
	}
	rota__spin_lock(&reaper.lock);
	bell = strike_out();
	rota__spin_unlock(&reaper.lock);
	rota__sys_close(bell);
}

/* What was left is the parent's to wait for. */
void rota__reaper_forked(void)
{
	rota__sys_close(strike_out());
	rota__store(&reaper.lock, 0, RELAXED);
	reaper.arrived = NULL;
}
