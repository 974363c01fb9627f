/* SPDX-License-Identifier: MIT */
/* How a context begins; context_aarch64_internal.h has the switch. A new stack holds, from the saved pointer up: 0 for
 * x29, the address of context_start, the entry, its argument. The entry is not called, since it does not return: the
 * processor would expect a return for the call, and mispredict those of whoever runs next. */

	.text
	.globl	rota__context_make
	.hidden	rota__context_make
	.type	rota__context_make, %function
	.p2align 4
rota__context_make:
	.cfi_startproc
	sub	x0, x0, #32
	adr	x9, context_start
	stp	xzr, x9, [x0, #0]
	stp	x1, x2, [x0, #16]
	ret
	.cfi_endproc
	.size	rota__context_make, . - rota__context_make

	.type	context_start, %function
	.p2align 4
context_start:
	.cfi_startproc
	.cfi_undefined x30			/* unwinding ends here */
	ldp	x16, x0, [sp], #16
	mov	x29, xzr			/* ends the chain of frames */
	adr	x30, 1f
	br	x16				/* x16: where a landing pad for calls is asked for */
1:	brk	#1
	.cfi_endproc
	.size	context_start, . - context_start

	.section .note.GNU-stack, "", %progbits
