/* SPDX-License-Identifier: MIT */
/* What the library asks of the system and of the parts that a model leaves out. */
#ifndef TESTS_MODEL_SEAMS_H
#define TESTS_MODEL_SEAMS_H

#include "../../runtime/bias_internal.h"
#include "../../runtime/park_internal.h"
#include "../../runtime/task_internal.h"
#include "../../runtime/waitlist.h"
#include "model.h"

/* A task with a queue of its own, which is a word: 1 while it is submitted and nobody has taken it. */
struct model_task {
	struct rota_task task;
	struct rota_atomic_u32 queued;
	unsigned freed; /* how often it was given back to the pool; to touch it then ends the search */
	bool stays;     /* unless a walker of all tasks may look at its state */
};

/* As spawned, ACTIVE and not queued: the thread that calls model_task_run has it. */
void model_task_init(struct model_task *task, bool handle);

/* The calling thread is the worker that the task runs on: polls until ready, rests between, finishes it. */
void model_task_run(struct model_task *task, struct rota_future *future);

/* Waits in the queue for a task that rests; then it is the caller's. */
void model_task_take(struct model_task *task);

/* Set by setup: what is reported as misuse is also answered, by an error code. */
extern bool model_misuse_expected;

/* What the system does at the end of a thread that has parked: its parker is free for the next one. */
void model_thread_ends(void);

/* As bits: threads that have a number, so that words can be biased to them. The setup says. */
extern unsigned model_owners;

/* What has been changed by several already. */
static inline void model_share(struct rota_atomic_u64 *word)
{
	word->value |= ROTA__SHARED;
}

/* The same of a waiter queue's lock; list_lock.c has its other modes. */
static inline void model_share_list(struct rota_waitlist *list)
{
	model_share(&list->lock_);
	list->mode_.value = ROTA_WAITLIST_SHARED_;
}

#endif
