/* SPDX-License-Identifier: MIT */
/* What every public header needs: visibility, attributes, the opaque types, words for atomic access. */
#ifndef ROTA_RUNTIME_TYPES_H
#define ROTA_RUNTIME_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define ROTA_API __attribute__((visibility("default")))
#define ROTA_MUST_USE __attribute__((warn_unused_result))

#ifdef __cplusplus
#define ROTA_BEGIN_DECLS extern "C" {
#define ROTA_END_DECLS }
#else
#define ROTA_BEGIN_DECLS
#define ROTA_END_DECLS
#endif

typedef struct rota_runtime rota_runtime;
typedef struct rota_task rota_task;

/* The body of a task. Its status is >= 0, or a negative errno, as with thrd_start_t. */
typedef int rota_fn(void *arg);

/* Words that several threads touch. They are structs so that nobody reads one by accident without saying
 * in which order; rota's sources go through runtime/atomic_internal.h, programs never touch them. */
struct rota_atomic_u32 {
	uint32_t value;
};
struct rota_atomic_u64 {
	uint64_t value;
};
struct rota_atomic_ptr {
	void *value;
};

#endif
