/* SPDX-License-Identifier: MIT */
/*
 * The protocol. The scope's lock (of opener_waits_) guards its lists and counts.
 *
 * A child is counted from rota__scope_enter until rota__scope_ended, which is the last thing of its rota__task_finish that
 * touches the scope; then its header, kept by the scope's reference, waits in the list of ended ones until the opener takes
 * its status. The opener's close returns when no child is counted, and the timer neither is filed nor runs: so a child,
 * whoever finds one listed, and the timer may use the scope. The opener counts those that it spawns in a word of its own
 * (`spawned_`), and adds them when it looks whether any is left: until then `children_` may be below 0, and nobody minds.
 *
 * To cancel: store the reason; set ASKED in the state of the opener and of each child in the list, which wakes them. A task
 * that finds ASKED looks through its open scopes and the one it is a child of for a reason: it reads them while they
 * stand, its own because it closes them itself, its parent because that waits for it. The opener clears ASKED when it
 * closes a scope, then looks again: whoever cancels an outer scope stores the reason first and sets the bit after it, so
 * one of the two sees the other. Behind a shield a task looks through the scopes alone that it opened behind it as well:
 * each knows how many shields are around it, at most as many as around one further in. ASKED stays as long as there is any
 * reason, seen or not. Jobs of the blocking pool are taken out of its queue, without the lock; children that
 * were told stand at the list's end.
 *
 * The list is there to tell those that wait. So a child is spawned UNLISTED and with ASKED set: its first look for a
 * reason, which stands before each wait, lists it under the lock, if there is none yet, and takes ASKED back as above. Who
 * never waits is spawned without the lock and takes it once, at its end. A job is listed when it is spawned.
 *
 * While the opener closes the scope there is no news in a child's end before it is the last: nobody asks for its status. So a
 * child that has not failed, is UNLISTED and in no scope with a limit is only counted by the worker on which it ends, without
 * the lock (`ended_in`, `ended`), and others that end there after it with it. The worker takes these off `children_` before it
 * runs any task but one more child of this scope, searches, sleeps or leaves its loop. So the opener never waits for a
 * worker that does something else, and the scope stays, since its children that have ended so are counted in it.
 *
 * A timer is filed when it can first matter: when the opener is about to wait, or spawns the first child. What ends before
 * that never touches the wheel. Its waker is not a task's but the scope itself (timer_waker_ops): it cancels, also while
 * the opener computes. It counts as somebody inside: close waits for one that has fired and not yet come to its end.
 *
 * `shared_`, which the opener alone writes, tells whether a child or the timer ever knew the scope. If not, and if nobody has
 * cancelled it, close need not take the lock; else it must, since who is inside may not have left it yet.
 */
#ifndef ROTA_RUNTIME_SCOPE_INTERNAL_H
#define ROTA_RUNTIME_SCOPE_INTERNAL_H

#include "extra_internal.h"
#include "waitlist_internal.h"

static inline void rota__scope_lock(struct rota_scope *scope)
{
	rota__waitlist_lock_shared(&scope->opener_waits_);
}

static inline void rota__scope_unlock(struct rota_scope *scope)
{
	rota__waitlist_unlock_shared(&scope->opener_waits_);
}

/* 0, or the negative errno that waits inside end with. */
static inline int rota__scope_reason(const struct rota_scope *scope)
{
	return -(int)rota__load(&scope->reason_, ACQUIRE); /* partner: the store in scope.c's stop */
}

/* With a limit: waits for a place for one more child. 0, or an error. */
int rota__scope_reserve_place(struct rota_scope *scope);

static inline int rota__scope_reserve(struct rota_scope *scope)
{
	return scope->limit_ == 0 ? 0 : rota__scope_reserve_place(scope);
}

void rota__scope_unreserve(struct rota_scope *scope);

/* Makes a task that nobody else knows yet, and that has a reference for the scope, a child. An error: the scope was
 * cancelled, and the task is not to be started. */
int rota__scope_enter(struct rota_scope *scope, rota_task *task);

/* Others are about to get frames that the task has forked, and may be the first to spawn into its scopes. By the task, or in its
 * place while it is off its stack. */
void rota__scope_share_all(rota_task *task);

/* Takes back what rota__scope_enter and rota__scope_reserve did: the task is not to be started after all. */
void rota__scope_leave(rota_task *task);

/* The child of `scope` has ended; the scope may now. Takes the scope's reference over. */
void rota__scope_ended(struct rota_scope *scope, rota_task *task);

/* Before the waits of a cancelled task end: its open scopes end too, those that no shield is between. */
void rota__scope_pass_on(rota_task *task);

/* The task has left a shield: the scopes that it opened behind it, and has not closed, are behind it no more. */
void rota__scope_unshield(rota_task *task);

/* The task has left a scope that was cancelled: it need not look for a reason any more, unless there is another. */
void rota__scope_forget_reason(rota_task *task);

/* The fiber has returned and left scopes open. */
_Noreturn void rota__scope_left_open(const rota_task *task);

/* With the lock held: a child's place is free, and the first who waits for one gets it. */
void rota__scope_free_place(struct rota_scope *scope, struct rota__wake_batch *batch);

/* With the lock held. */
void rota__scope_wake_opener(struct rota_scope *scope, struct rota__wake_batch *batch);

/* All waits inside end with the reason. By somebody inside, or while the opener keeps the scope open. */
void rota__scope_stop(struct rota_scope *scope, int reason);

/* By the opener, as it opens the scope: notes the time limit, which is not 0. The task's are filed by rota__scope_file_timers. */
void rota__scope_set_timer(struct rota_scope *scope, uint64_t timeout_ns);

/* With the lock held. Whether the timer is neither filed nor running any more. */
bool rota__scope_stop_timer(struct rota_scope *scope);

#endif
