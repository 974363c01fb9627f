/* SPDX-License-Identifier: MIT */
/* context_internal.h says what these do. Frame, from the saved stack pointer up: x19-x30, d8-d15. */

	.text
	.globl	rota__context_switch
	.hidden	rota__context_switch
	.type	rota__context_switch, %function
	.p2align 4
rota__context_switch:
	.cfi_startproc
	sub	sp, sp, #160
	stp	x19, x20, [sp, #0]
	stp	x21, x22, [sp, #16]
	stp	x23, x24, [sp, #32]
	stp	x25, x26, [sp, #48]
	stp	x27, x28, [sp, #64]
	stp	x29, x30, [sp, #80]
	stp	d8, d9, [sp, #96]
	stp	d10, d11, [sp, #112]
	stp	d12, d13, [sp, #128]
	stp	d14, d15, [sp, #144]
	mov	x9, sp
	str	x9, [x0]
	mov	sp, x1
	ldp	x19, x20, [sp, #0]
	ldp	x21, x22, [sp, #16]
	ldp	x23, x24, [sp, #32]
	ldp	x25, x26, [sp, #48]
	ldp	x27, x28, [sp, #64]
	ldp	x29, x30, [sp, #80]
	ldp	d8, d9, [sp, #96]
	ldp	d10, d11, [sp, #112]
	ldp	d12, d13, [sp, #128]
	ldp	d14, d15, [sp, #144]
	add	sp, sp, #160
	/* Not ret: the return predictor would guess the caller on the stack that was left. */
	br	x30
	.cfi_endproc
	.size	rota__context_switch, . - rota__context_switch

	.globl	rota__context_make
	.hidden	rota__context_make
	.type	rota__context_make, %function
	.p2align 4
rota__context_make:
	.cfi_startproc
	sub	x0, x0, #160
	stp	x1, x2, [x0, #0]		/* x19: entry; x20: its argument */
	stp	xzr, xzr, [x0, #16]
	stp	xzr, xzr, [x0, #32]
	stp	xzr, xzr, [x0, #48]
	stp	xzr, xzr, [x0, #64]
	adrp	x9, rota__context_start
	add	x9, x9, :lo12:rota__context_start
	stp	xzr, x9, [x0, #80]		/* x29: ends the chain of frames; x30 */
	stp	xzr, xzr, [x0, #96]
	stp	xzr, xzr, [x0, #112]
	stp	xzr, xzr, [x0, #128]
	stp	xzr, xzr, [x0, #144]
	ret
	.cfi_endproc
	.size	rota__context_make, . - rota__context_make

	.globl	rota__context_start
	.hidden	rota__context_start
	.type	rota__context_start, %function
	.p2align 4
rota__context_start:
	.cfi_startproc
	.cfi_undefined x30			/* unwinding ends here */
	mov	x0, x20
	blr	x19
	brk	#1
	.cfi_endproc
	.size	rota__context_start, . - rota__context_start

	.section .note.GNU-stack, "", %progbits
