/* SPDX-License-Identifier: MIT */
/* context_internal.h says what this does. On the stack of who is switched away from, from the saved pointer up: x29,
 * where to go on. */
#ifndef ROTA_RUNTIME_CONTEXT_AARCH64_INTERNAL_H
#define ROTA_RUNTIME_CONTEXT_AARCH64_INTERNAL_H

#include <stdint.h>

static inline __attribute__((always_inline)) void rota__context_switch(void **save_sp, void *sp)
{
	register void **to_save __asm__("x0") = save_sp;
	register void *to_load __asm__("x1") = sp;

	__asm__ volatile("adr x9, 1f\n\t"
			 "stp x29, x9, [sp, #-16]!\n\t"
			 "mov x9, sp\n\t"
			 "str x9, [x0]\n\t"
			 "mov sp, x1\n\t"
			 "ldp x29, x9, [sp], #16\n\t"
			 "br x9\n"
			 "1:"
			 : "+r"(to_save), "+r"(to_load)
			 :
			 : "x2", "x3", "x4", "x5", "x6", "x7", "x8", "x9", "x10", "x11", "x12", "x13", "x14", "x15",
			   "x16", "x17", "x18", "x19", "x20", "x21", "x22", "x23", "x24", "x25", "x26", "x27", "x28",
			   "x30", "v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7", "v8", "v9", "v10", "v11", "v12",
			   "v13", "v14", "v15", "v16", "v17", "v18", "v19", "v20", "v21", "v22", "v23", "v24", "v25",
			   "v26", "v27", "v28", "v29", "v30", "v31", "memory", "cc");
}

#define ROTA__THREAD_WORD(name, ret_word) \
	do { \
		uintptr_t scratch_; \
		__asm__ volatile("mrs %0, tpidr_el0\n\t" \
				 "adrp %1, :gottprel:" #name "\n\t" \
				 "ldr %1, [%1, :gottprel_lo12:" #name "]\n\t" \
				 "ldr %0, [%0, %1]" \
				 : "=&r"(ret_word), "=&r"(scratch_)); \
	} while (0)

static inline __attribute__((always_inline)) void *rota__thread_self(void)
{
	void *self;

	__asm__ volatile("mrs %0, tpidr_el0" : "=r"(self));
	return self;
}

#endif
