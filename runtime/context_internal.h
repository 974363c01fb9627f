/* SPDX-License-Identifier: MIT */
/*
 * The switch between two stacks, in assembly (context_x86_64.S, context_aarch64.S). It saves what the C calling
 * convention makes the callee save, general (and on aarch64 floating-point) registers; the floating-point control
 * words are not saved: they belong to the thread, and a fiber that changes them must restore them before it waits.
 */
#ifndef ROTA_RUNTIME_CONTEXT_INTERNAL_H
#define ROTA_RUNTIME_CONTEXT_INTERNAL_H

/* Saves the caller's registers on its stack and the stack pointer in *save_sp, then continues at `sp`, which an
 * earlier switch saved or rota__context_make made. */
void rota__context_switch(void **save_sp, void *sp);

/* A context on the empty stack that ends below `top` (aligned to 16): its first switch calls entry(arg), which must
 * not return. Returns its stack pointer. */
void *rota__context_make(void *top, void (*entry)(void *arg), void *arg);

/* Where rota__context_make lets a context begin: calls the entry with its argument. */
void rota__context_start(void);

#endif
