/* SPDX-License-Identifier: MIT */
/*
 * Typed fork and join: functions that the compiler knows, so that a fork costs a few stores and a join a direct call.
 *
 *	ROTA_FORK_DEFINE_1(long, fib, long, n)
 *	{
 *		struct fib_frame other;
 *
 *		if (n < 2)
 *			return n;
 *		ROTA_FORK(fib, &other, n - 1);
 *		long result = ROTA_FORK_CALL(fib, n - 2);
 *		return result + ROTA_FORK_JOIN(fib, &other);
 *	}
 *
 * defines the function `long fib(long n)`, static, to be called from anywhere, and struct fib_frame for its forks.
 * Within the body of a forked function, of this or of another name:
 *
 *	ROTA_FORK(name, frame, arguments...)    forks name(arguments...)
 *	ROTA_FORK_JOIN(name, frame)             joins it: its result; zero if it was given up (rota_cancelled() tells)
 *	ROTA_FORK_CALL(name, arguments...)      a direct call, which saves looking up the calling fiber
 *
 * Elsewhere a variable that the three use must come first: ROTA_FORK_HERE; declares it.
 * Arguments are copied into the frame. The rules of fork.h hold.
 */
#ifndef ROTA_RUNTIME_FORK_TASK_H
#define ROTA_RUNTIME_FORK_TASK_H

#include "fork.h"

#define ROTA_FORK_HERE struct rota_forks *const rota_forks_ = rota_forks_self()
#define ROTA_FORK(name, frame, ...) name##_fork_(rota_forks_, (frame), __VA_ARGS__)
#define ROTA_FORK_JOIN(name, frame) name##_join_(rota_forks_, (frame))
#define ROTA_FORK_CALL(name, ...) name##_body_(rota_forks_, __VA_ARGS__)

/* Types and names of parameters cannot stand in parentheses. NOLINTBEGIN(bugprone-macro-parentheses) */
#define ROTA_FORK_DEFINE_1(R, name, T1, a1) \
	ROTA_FORK_DEFINE_(R, name, (T1 a1), (a1), ROTA_FORK_FIELDS_1_(T1), (frame_->a1_ = a1), (frame_->a1_))
#define ROTA_FORK_DEFINE_2(R, name, T1, a1, T2, a2) \
	ROTA_FORK_DEFINE_(R, name, (T1 a1, T2 a2), (a1, a2), ROTA_FORK_FIELDS_1_(T1) ROTA_FORK_FIELD_(T2, a2_), \
			  (frame_->a1_ = a1, frame_->a2_ = a2), (frame_->a1_, frame_->a2_))
#define ROTA_FORK_DEFINE_3(R, name, T1, a1, T2, a2, T3, a3) \
	ROTA_FORK_DEFINE_(R, name, (T1 a1, T2 a2, T3 a3), (a1, a2, a3), \
			  ROTA_FORK_FIELDS_1_(T1) ROTA_FORK_FIELD_(T2, a2_) ROTA_FORK_FIELD_(T3, a3_), \
			  (frame_->a1_ = a1, frame_->a2_ = a2, frame_->a3_ = a3), \
			  (frame_->a1_, frame_->a2_, frame_->a3_))
#define ROTA_FORK_DEFINE_4(R, name, T1, a1, T2, a2, T3, a3, T4, a4) \
	ROTA_FORK_DEFINE_(R, name, (T1 a1, T2 a2, T3 a3, T4 a4), (a1, a2, a3, a4), \
			  ROTA_FORK_FIELDS_1_(T1) ROTA_FORK_FIELD_(T2, a2_) ROTA_FORK_FIELD_(T3, a3_) \
				  ROTA_FORK_FIELD_(T4, a4_), \
			  (frame_->a1_ = a1, frame_->a2_ = a2, frame_->a3_ = a3, frame_->a4_ = a4), \
			  (frame_->a1_, frame_->a2_, frame_->a3_, frame_->a4_))

#define ROTA_FORK_UNUSED_ __attribute__((unused))
#define ROTA_FORK_FIELD_(T, field) T field;
#define ROTA_FORK_FIELDS_1_(T1) ROTA_FORK_FIELD_(T1, a1_)
#define ROTA_FORK_LIST_(...) __VA_ARGS__

/* A list in parentheses is handed on as one argument, and opened where it stands behind another. */
#define ROTA_FORK_DEFINE_(R, name, params, names, fields, store, args) \
	struct name##_frame { \
		struct rota_fork_base base_; \
		R result_; \
		fields \
	}; \
	static R name##_body_(struct rota_forks *rota_forks_, ROTA_FORK_LIST_ params); \
	ROTA_FORK_UNUSED_ static void name##_run_(struct rota_forks *rota_forks_, struct rota_fork_base *base) \
	{ \
		struct name##_frame *frame_ = (struct name##_frame *)(void *)base; \
		frame_->result_ = name##_body_(rota_forks_, ROTA_FORK_LIST_ args); \
	} \
	ROTA_FORK_UNUSED_ static inline void name##_fork_(struct rota_forks *rota_forks_, struct name##_frame *frame_, \
							  ROTA_FORK_LIST_ params) \
	{ \
		(void)store; \
		rota_fork_push(rota_forks_, &frame_->base_, name##_run_); \
	} \
	ROTA_FORK_UNUSED_ static inline R name##_join_(struct rota_forks *rota_forks_, struct name##_frame *frame_) \
	{ \
		enum rota_fork_outcome outcome_ = rota_fork_pop(rota_forks_, &frame_->base_); \
		if (__builtin_expect(outcome_ == ROTA_FORK_RUN, 1)) \
			return name##_body_(rota_forks_, ROTA_FORK_LIST_ args); \
		if (outcome_ == ROTA_FORK_SKIPPED) { \
			R none = { 0 }; \
			return none; \
		} \
		return frame_->result_; \
	} \
	ROTA_FORK_UNUSED_ static inline R name(ROTA_FORK_LIST_ params) \
	{ \
		return name##_body_(rota_forks_self(), ROTA_FORK_LIST_ names); \
	} \
	static R name##_body_(ROTA_FORK_UNUSED_ struct rota_forks *rota_forks_, ROTA_FORK_LIST_ params)
/* NOLINTEND(bugprone-macro-parentheses) */

#endif
