/* SPDX-License-Identifier: MIT */
/* context_internal.h says what these do. Frame, from the saved stack pointer up: r15 r14 r13 r12 rbx rbp rip. */

	.text
	.globl	rota__context_switch
	.hidden	rota__context_switch
	.type	rota__context_switch, @function
	.p2align 4
rota__context_switch:
	.cfi_startproc
	pushq	%rbp
	pushq	%rbx
	pushq	%r12
	pushq	%r13
	pushq	%r14
	pushq	%r15
	movq	%rsp, (%rdi)
	movq	%rsi, %rsp
	popq	%r15
	popq	%r14
	popq	%r13
	popq	%r12
	popq	%rbx
	popq	%rbp
	/* Not ret: the return predictor would guess the caller on the stack that was left. */
	popq	%rcx
	jmpq	*%rcx
	.cfi_endproc
	.size	rota__context_switch, . - rota__context_switch

	.globl	rota__context_make
	.hidden	rota__context_make
	.type	rota__context_make, @function
	.p2align 4
rota__context_make:
	.cfi_startproc
	leaq	-72(%rdi), %rax			/* so that the entry's call finds an aligned stack */
	movq	$0, 0(%rax)			/* r15 */
	movq	$0, 8(%rax)			/* r14 */
	movq	%rsi, 16(%rax)			/* r13: entry */
	movq	%rdx, 24(%rax)			/* r12: its argument */
	movq	$0, 32(%rax)			/* rbx */
	movq	$0, 40(%rax)			/* rbp: ends the chain of frames */
	leaq	rota__context_start(%rip), %rcx
	movq	%rcx, 48(%rax)
	movq	$0, 56(%rax)
	ret
	.cfi_endproc
	.size	rota__context_make, . - rota__context_make

	.globl	rota__context_start
	.hidden	rota__context_start
	.type	rota__context_start, @function
	.p2align 4
rota__context_start:
	.cfi_startproc
	.cfi_undefined rip			/* unwinding ends here */
	movq	%r12, %rdi
	callq	*%r13
	ud2
	.cfi_endproc
	.size	rota__context_start, . - rota__context_start

	.section .note.GNU-stack, "", @progbits
