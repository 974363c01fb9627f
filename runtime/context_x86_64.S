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

	.section .note.GNU-stack, "", @progbits
