/* SPDX-License-Identifier: MIT */
#include "park_internal.h"

#include <pthread.h>

#include "after_fork_internal.h"
#include "alloc_internal.h"
#include "opaque_internal.h"
#include "spin_internal.h"
#include "sys_internal.h"
#include "waker_internal.h"

enum { EMPTY, PARKED, NOTIFIED };

static struct rota_atomic_u32 free_lock;
static struct rota__parker *free_list;
static pthread_key_t exit_key;
static bool has_exit_key; /* else parkers of threads that end are lost */
static pthread_once_t exit_once = PTHREAD_ONCE_INIT;
static _Thread_local struct rota__parker *self;

/* Serves every thread for which there was no memory: then a park is a nap, after which the waiter looks again. */
static struct rota__parker emergency;
#define EMERGENCY_NAP_NS 1000000u

static ROTA__OPAQUE void give_back(void *arg)
{
	struct rota__parker *parker = arg;

	rota__spin_lock(&free_lock);
	self = NULL;
	parker->next_free = free_list;
	free_list = parker;
	rota__spin_unlock(&free_lock);
}

void rota__parkers_forked(void)
{
	if (!rota__spin_trylock(&free_lock)) /* by a thread that is not here: the list may be half changed */
		free_list = NULL;
	rota__spin_unlock(&free_lock);
}

static void make_exit_key(void)
{
	rota__after_fork_install();
	has_exit_key = pthread_key_create(&exit_key, give_back) == 0;
}

static ROTA__OPAQUE struct rota__parker *parker_new(void)
{
	struct rota__parker *parker;

	pthread_once(&exit_once, make_exit_key);
	rota__spin_lock(&free_lock);
	parker = free_list;
	if (parker != NULL)
		free_list = parker->next_free;
	rota__spin_unlock(&free_lock);
	if (parker == NULL)
		parker = rota__alloc(sizeof(*parker), ROTA__CACHE_LINE);
	if (parker == NULL)
		return self = &emergency; /* for good: wakers that point to it are out */
	rota__store(&parker->state, EMPTY, RELAXED);
	if (has_exit_key)
		pthread_setspecific(exit_key, parker);
	self = parker;
	return parker;
}

ROTA__OPAQUE struct rota__parker *rota__parker_self(void)
{
	return self != NULL ? self : parker_new();
}

void rota__parker_park(struct rota__parker *parker, uint64_t timeout_ns)
{
	uint32_t state = EMPTY;

	if (parker == &emergency) {
		struct rota_atomic_u32 never = { 0 };

		rota__sys_futex_wait(&never, 0, EMERGENCY_NAP_NS);
		return;
	}
	parker->parks++;
	/* ACQUIRE on every way out pairs with the RELEASE of claim: the waker's news is seen. */
	if (rota__cas_strong(&parker->state, &state, PARKED, ACQ_REL))
		rota__sys_futex_wait(&parker->state, PARKED, timeout_ns);
	rota__swap(&parker->state, EMPTY, ACQ_REL);
}

bool rota__parker_claim(struct rota__parker *parker)
{
	return rota__swap(&parker->state, NOTIFIED, ACQ_REL) == PARKED;
}

void rota__parker_unpark(struct rota__parker *parker)
{
	rota__sys_futex_wake(&parker->state, 1);
}

struct rota_waker rota_thread_waker(void)
{
	return (struct rota_waker){ &rota__thread_waker_ops, rota__parker_self() };
}

void rota_thread_park(void)
{
	rota__parker_park(rota__parker_self(), UINT64_MAX);
}

static void thread_wake(void *data)
{
	if (rota__parker_claim(data))
		rota__parker_unpark(data);
}

const struct rota_waker_ops rota__thread_waker_ops = {
	.clone = rota__waker_clone_uncounted,
	.wake = thread_wake,
	.wake_by_ref = thread_wake,
	.drop = rota__waker_drop_uncounted,
};
