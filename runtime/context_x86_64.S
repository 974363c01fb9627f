/* SPDX-License-Identifier: MIT */
/* How a context begins; context_x86_64_internal.h has the switch. A new stack holds, from the saved pointer up: the
 * address of context_start, the entry, its argument. The entry is not called, since it does not return: the processor would
 * expect a return for the call, and mispredict those of whoever runs next (a task spawned and joined took 92 ns, then 76). */

	.text
	.globl	rota__context_make
	.hidden	rota__context_make
	.type	rota__context_make, @function
	.p2align 4
rota__context_make:
	.cfi_startproc
	leaq	-32(%rdi), %rax
	leaq	context_start(%rip), %rcx
	movq	%rcx, 0(%rax)
	movq	%rsi, 8(%rax)
	movq	%rdx, 16(%rax)
	movq	$0, 24(%rax)
	ret
	.cfi_endproc
	.size	rota__context_make, . - rota__context_make

	.type	context_start, @function
	.p2align 4
context_start:
	.cfi_startproc
	.cfi_undefined rip			/* unwinding ends here */
	popq	%rax
	popq	%rdi
	addq	$8, %rsp			/* to `top`, which is aligned */
	xorl	%ebp, %ebp			/* ends the chain of frames */
	leaq	1f(%rip), %rcx
	pushq	%rcx
	jmpq	*%rax
1:	ud2
	.cfi_endproc
	.size	context_start, . - context_start

/* int rota__come_back(fn, a, b, c): context_internal.h. `left_by` is the address to which the call returns that was the last
 * one here on this thread. */
	.section .tbss, "awT", @nobits
	.p2align 3
	.type	left_by, @object
	.size	left_by, 8
left_by:
	.zero	8

	.text
	.globl	rota__come_back
	.hidden	rota__come_back
	.type	rota__come_back, @function
	.p2align 4
rota__come_back:
	.cfi_startproc
	pushq	%rbp
	.cfi_def_cfa_offset 16
	.cfi_offset rbp, -16
	movq	%rsp, %rbp
	.cfi_def_cfa_register rbp
	movq	8(%rbp), %rax
	movq	left_by@gottpoff(%rip), %r10
	movq	%rax, %fs:(%r10)
	movq	%rdi, %rax
	movq	%rsi, %rdi
	movq	%rdx, %rsi
	movq	%rcx, %rdx
	callq	*%rax
	popq	%rbp
	.cfi_def_cfa rsp, 8
	.cfi_same_value rbp
	movq	left_by@gottpoff(%rip), %r10
	movq	(%rsp), %rcx
	cmpq	%fs:(%r10), %rcx
	jne	1f
	ret
1:	addq	$8, %rsp
	.cfi_def_cfa_offset 0
	.cfi_register rip, rcx
	jmpq	*%rcx
	.cfi_endproc
	.size	rota__come_back, . - rota__come_back

	.section .note.GNU-stack, "", @progbits
