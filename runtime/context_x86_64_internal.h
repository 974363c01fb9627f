/* SPDX-License-Identifier: MIT */
/* context_internal.h says what this does. On the stack of who is switched away from, from the saved pointer up: where to
 * go on, rbp, and 128 bytes that belong to the compiler (the red zone). */
#ifndef ROTA_RUNTIME_CONTEXT_X86_64_INTERNAL_H
#define ROTA_RUNTIME_CONTEXT_X86_64_INTERNAL_H

#include <stdint.h>

#ifdef __AVX512F__
#define ROTA__AVX512_CLOBBERS \
	, "xmm16", "xmm17", "xmm18", "xmm19", "xmm20", "xmm21", "xmm22", "xmm23", "xmm24", "xmm25", "xmm26", "xmm27", \
		"xmm28", "xmm29", "xmm30", "xmm31", "k1", "k2", "k3", "k4", "k5", "k6", "k7"
#else
#define ROTA__AVX512_CLOBBERS
#endif

static inline __attribute__((always_inline)) void rota__context_switch(void **save_sp, void *sp)
{
	__asm__ volatile("leaq -128(%%rsp), %%rsp\n\t"
			 "pushq %%rbp\n\t"
			 "leaq 1f(%%rip), %%rax\n\t"
			 "pushq %%rax\n\t"
			 "movq %%rsp, (%%rdi)\n\t"
			 "movq %%rsi, %%rsp\n\t"
			 "popq %%rax\n\t"
			 "jmpq *%%rax\n"
			 "1:\n\t"
			 "popq %%rbp\n\t"
			 "leaq 128(%%rsp), %%rsp"
			 : "+D"(save_sp), "+S"(sp)
			 :
			 : "rax", "rbx", "rcx", "rdx", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "xmm0",
			   "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11",
			   "xmm12", "xmm13", "xmm14", "xmm15", "memory", "cc" ROTA__AVX512_CLOBBERS);
}

#if !defined(ROTA__MODEL) && !defined(ROTA__ASAN) && !defined(ROTA__TSAN)
/* A function that takes and returns what the one does that it calls: hence no type of its own. */
extern const unsigned char rota__come_back[] __attribute__((visibility("hidden")));

#define ROTA__COME_BACK1(fn, a) \
	((__typeof__(fn(a))(*)(__typeof__(&fn), __typeof__(a)))(uintptr_t)rota__come_back)(&fn, (a))
#define ROTA__COME_BACK2(fn, a, b) \
	((__typeof__(fn(a, b))(*)(__typeof__(&fn), __typeof__(a), __typeof__(b)))(uintptr_t)rota__come_back)(&fn, (a), \
													     (b))
#define ROTA__COME_BACK3(fn, a, b, c) \
	((__typeof__(fn(a, b, c))(*)(__typeof__(&fn), __typeof__(a), __typeof__(b), __typeof__(c)))( \
		uintptr_t)rota__come_back)(&fn, (a), (b), (c))
#endif

#define ROTA__THREAD_WORD(name, ret_word) \
	__asm__ volatile("movq " #name "@gottpoff(%%rip), %0\n\t" \
			 "movq %%fs:(%0), %0" \
			 : "=r"(ret_word))

static inline __attribute__((always_inline)) void *rota__thread_self(void)
{
	void *self;

	__asm__ volatile("movq %%fs:0, %0" : "=r"(self));
	return self;
}

#endif
