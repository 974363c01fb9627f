/* SPDX-License-Identifier: MIT */
/*
 * Restartable sequences (rseq(2)): a look at a word and a store to it, which the kernel cuts off between the two if the
 * thread is preempted, moved, or gets a signal there, or if another asks for it by rota__sys_cut_sequences. No locked
 * instruction, so it is only for a word that no other thread changes, or changes only as bias_internal.h says.
 */
#ifndef ROTA_RUNTIME_RSEQ_INTERNAL_H
#define ROTA_RUNTIME_RSEQ_INTERNAL_H

#include "atomic_internal.h"

/* bool rota__replace(word, expected, desired): stores `desired` if the word is `expected`, as RELEASE and ACQUIRE. false: it
 * is not, or the thread was cut off. Only where rota__sys_has_sequences said so; elsewhere ROTA__REPLACES is not defined. */
#if defined(ROTA__MODEL) /* tests/model/memory.c */
#define ROTA__REPLACES 1
bool model_replace(uint64_t *word, uint64_t expected, uint64_t desired);
#define rota__replace(word, expected, desired) model_replace(&(word)->value, (expected), (desired))

/* The thread sanitizer would not see the store. */
#elif defined(__x86_64__) && defined(__has_include) && !defined(ROTA__TSAN)
#if __has_include(<sys/rseq.h>) /* glibc 2.35, which registers each thread */
#include <sys/rseq.h>

#define ROTA__REPLACES 1
static inline __attribute__((always_inline)) bool rota__replace(struct rota_atomic_u64 *word, uint64_t expected,
								uint64_t desired)
{
	/* 1 to 2 is the sequence, 3 what tells the kernel of it, 4 where it goes on when it was cut off; before that stands
	 * the signature that the thread was registered with, as part of an instruction that nobody executes: in a section that
	 * the compiler puts nothing into, so that nobody comes by. */
	__asm__ goto(
		".pushsection __rseq_cs, \"aw\"\n\t"
		".balign 32\n"
		"3:\n\t"
		".long 0, 0\n\t"
		".quad 1f, 2f - 1f, 4f\n\t"
		".popsection\n\t"
		".pushsection rota_cut_off, \"ax\"\n\t"
		".byte 0x0f, 0xb9, 0x3d\n\t" /* ud1 SIGNATURE(%%rip), %%edi */
		".long %c[signature]\n"
		"4:\n\t"
		"jmp %l[differs]\n\t"
		".popsection\n\t"
		"leaq 3b(%%rip), %%rax\n\t"
		"movq %%rax, %%fs:%c[sequence](%[thread])\n"
		"1:\n\t"
		"cmpq %[expected], %[word]\n\t"
		"jne %l[differs]\n\t"
		"movq %[desired], %[word]\n"
		"2:"
		:
		: [thread] "r"(__rseq_offset), [sequence] "i"(offsetof(struct rseq, rseq_cs)),
		  [signature] "i"(RSEQ_SIG), [word] "m"(word->value), [expected] "r"(expected), [desired] "r"(desired)
		: "rax", "memory", "cc"
		: differs);
	return true;
differs:
	return false;
}

extern const struct rseq_cs rota__sequences[] __asm__("__start___rseq_cs") __attribute__((visibility("hidden"), weak));
extern const struct rseq_cs rota__sequences_end[] __asm__("__stop___rseq_cs")
	__attribute__((visibility("hidden"), weak));

#endif
#endif

/* Where a thread was that a signal finds at `pc`: if it was cut off, that is in no function any more, and not to be unwound. */
static inline uintptr_t rota__replace_interrupted(uintptr_t pc)
{
#if defined(ROTA__REPLACES) && !defined(ROTA__MODEL)
	for (const struct rseq_cs *sequence = rota__sequences; sequence != rota__sequences_end; sequence++) {
		if (sequence->abort_ip == pc)
			return (uintptr_t)sequence->start_ip;
	}
#endif
	return pc;
}

/* Whether the calling thread is registered, so that the kernel cuts off its sequences. */
static inline bool rota__replaces_here(void)
{
#if defined(ROTA__MODEL)
	return true;
#elif defined(ROTA__REPLACES)
	const struct rseq *area = (const void *)((const char *)__builtin_thread_pointer() + __rseq_offset);

	return __rseq_size != 0 && (int32_t)area->cpu_id >= 0;
#else
	return false;
#endif
}

#endif
