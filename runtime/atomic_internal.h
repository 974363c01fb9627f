/* SPDX-License-Identifier: MIT */
/*
 * The only door to atomic operations, so that thread-sanitizer and model-checking builds can swap them.
 * `order` is RELAXED, ACQUIRE, RELEASE, ACQ_REL or SEQ_CST. Whatever is weaker than SEQ_CST names its partner in a
 * comment where it is used.
 */
#ifndef ROTA_RUNTIME_ATOMIC_INTERNAL_H
#define ROTA_RUNTIME_ATOMIC_INTERNAL_H

#include "types.h"

#define ROTA__CACHE_LINE 64

#define rota__load(a, order) __atomic_load_n(&(a)->value, __ATOMIC_##order)
#define rota__store(a, v, order) __atomic_store_n(&(a)->value, (v), __ATOMIC_##order)
#define rota__swap(a, v, order) __atomic_exchange_n(&(a)->value, (v), __ATOMIC_##order)
#define rota__fetch_add(a, v, order) __atomic_fetch_add(&(a)->value, (v), __ATOMIC_##order)
#define rota__fetch_sub(a, v, order) __atomic_fetch_sub(&(a)->value, (v), __ATOMIC_##order)
#define rota__fetch_or(a, v, order) __atomic_fetch_or(&(a)->value, (v), __ATOMIC_##order)
#define rota__fetch_and(a, v, order) __atomic_fetch_and(&(a)->value, (v), __ATOMIC_##order)

/* Weak compare-and-swap: *expected is updated on failure, which may be spurious. Failure order is RELAXED. */
#define rota__cas(a, expected, desired, order) \
	__atomic_compare_exchange_n(&(a)->value, (expected), (desired), true, __ATOMIC_##order, __ATOMIC_RELAXED)

/* Fails only when the value differs. */
#define rota__cas_strong(a, expected, desired, order) \
	__atomic_compare_exchange_n(&(a)->value, (expected), (desired), false, __ATOMIC_##order, __ATOMIC_RELAXED)

/* Adds to a counter that one thread writes and any may read: no locked instruction. */
#define rota__count(a, n) rota__store((a), rota__load((a), RELAXED) + (n), RELAXED)

#if defined(ROTA__MODEL) /* tests/model: compiled as for the thread sanitizer, checked by another */
#elif defined(__SANITIZE_THREAD__)
#define ROTA__TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define ROTA__TSAN 1
#endif
#endif

#if defined(__SANITIZE_ADDRESS__)
#define ROTA__ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ROTA__ASAN 1
#endif
#endif

/* The thread sanitizer does not model stand-alone fences: there a fence is a read-modify-write of one word. */
#ifdef ROTA__TSAN
extern struct rota_atomic_u32 rota__tsan_fence_word;
#define rota__fence(order) ((void)rota__fetch_add(&rota__tsan_fence_word, 0, SEQ_CST))
#else
#define rota__fence(order) __atomic_thread_fence(__ATOMIC_##order)
#endif

static inline void rota__cpu_relax(void)
{
#if defined(__x86_64__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("isb" ::: "memory");
#endif
}

#endif
