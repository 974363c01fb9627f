/* SPDX-License-Identifier: MIT */
/*
 * An epoll instance and the thread that waits in it: each worker has one, in which its tasks wait for their descriptors, and
 * the reactor has one for everybody else. So a worker that runs out of tasks finds those that are ready by itself, and hands
 * nothing from thread to thread; as with a ring of its own. While it computes, its reports wait for its next look, or for
 * the reactor, which looks in the place of one that is stuck.
 *
 * A descriptor may be registered with several, since its operations may wait in several: each set reports to its own. It is for
 * one report each time (poller_internal.h); what is reported and finds nobody does no harm.
 */
#ifndef ROTA_IO_POLL_SET_INTERNAL_H
#define ROTA_IO_POLL_SET_INTERNAL_H

#include "carrier_internal.h"

struct rota__poller;

struct rota__poll_set {
	struct rota__carrier carrier; /* first: rt->io, worker->io */
	struct rota__poller *poller;  /* of the runtime */
	int epoll_fd, wake_fd;
	/* anybody */
	__attribute__((aligned(ROTA__CACHE_LINE))) struct rota_atomic_u32 notified; /* a wake is on its way */
	struct rota_atomic_u32 used; /* a descriptor was registered: there may be something to report */
};

/* Where an operation of this back end waits for its descriptor, if it has to. */
static inline struct rota__poll_set *rota__poll_set_of(const struct rota_op *op)
{
	return rota__load(&op->carrier_, RELAXED); /* its owner's, while it waits nowhere */
}

/* 0, or a negative errno. */
int rota__poll_set_init(struct rota__poll_set *set, struct rota__poller *poller);
void rota__poll_set_deinit(struct rota__poll_set *set);

/* Waits for reports, or a wake, at most timeout_ns (UINT64_MAX: no limit), and resumes what waited for them. Returns how many
 * operations that were. The thread whose set it is. */
unsigned rota__poll_set_turn(struct rota__poll_set *set, uint64_t timeout_ns);

/* The same in its place, without waiting. A wake that is on its way stays so. Any thread. */
unsigned rota__poll_set_rescue(struct rota__poll_set *set);

/* Whether a turn is likely to resume something. */
bool rota__poll_set_has_reports(const struct rota__poll_set *set);

/* Ends the present turn, or the next. Any thread. */
void rota__poll_set_wake(struct rota__poll_set *set);

#endif
