/* SPDX-License-Identifier: MIT */
/*
 * What a compiler must not see through, though link-time optimisation shows it the library and the program as one.
 *
 * A fiber changes threads while it waits, and others run meanwhile. The compiler knows neither: to it the switch is a
 * statement that stands in the way of nothing but memory whose address somebody has. So it would keep, from before a wait to
 * after it, where a thread-local variable lies, what __errno_location returned (it is declared const), and, gcc, what a
 * static variable of the program's holds whose address is never taken. Therefore
 *
 * - a function that names a thread-local variable, or errno, is ROTA__OPAQUE: it is neither inlined nor looked into, and it
 *   waits for nothing itself; or the variable is read in assembly (context_internal.h). tests/api/rules.sh sees to that;
 * - there is a call of a ROTA__OPAQUE function on each way to a switch, though it is seldom made: whoever calls what may
 *   switch has to expect of it what he expects of a function that he cannot see. tests/api/lto.sh looks whether it helps.
 */
#ifndef ROTA_RUNTIME_OPAQUE_INTERNAL_H
#define ROTA_RUNTIME_OPAQUE_INTERNAL_H

/* clang has no such attribute. It calls such a function each time, since it takes the switch for a call of something unknown;
 * but an address that the function returns it would know from its body (rota__of_this_thread). */
#if defined(__has_attribute) && !defined(__clang__)
#if __has_attribute(noipa)
#define ROTA__OPAQUE __attribute__((noipa))
#endif
#endif
#ifndef ROTA__OPAQUE
#define ROTA__OPAQUE __attribute__((noinline))
#endif

/* The address of a thread-local variable, to be returned by an opaque function. */
static inline void *rota__of_this_thread(void *address)
{
	__asm__ volatile("" : "+r"(address));
	return address;
}

/* A pointer to an object of the program's, of which the compiler no longer knows how large it is. It is as large as the
 * program has said elsewhere, where the compiler does not see it, so that it would warn of code for other sizes. */
static inline void *rota__unsized(const void *object)
{
	void *same;

	__asm__("" : "=r"(same) : "0"(object));
	return same;
}

#endif
