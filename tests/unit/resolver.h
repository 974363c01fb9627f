/* SPDX-License-Identifier: MIT */
/*
 * A resolver of the test's own in place of the C library's, for names that end in ".test". It may be slow; what it gives
 * out is counted.
 */
#ifndef TESTS_UNIT_RESOLVER_H
#define TESTS_UNIT_RESOLVER_H

#include <dlfcn.h>
#include <netdb.h>

#include "unit.h"

static struct {
	int answer;                     /* for a name; 0: the addresses below */
	const char *const *addresses;   /* numbers; NULL ends them */
	int system_error;               /* with EAI_SYSTEM */
	bool slow;                      /* waits for the gate */
	unsigned gate, asked, answered; /* atomic */
	int lists;                      /* atomic: given out and not freed */
} resolver;

typedef int getaddrinfo_fn(const char *, const char *, const struct addrinfo *, struct addrinfo **);
typedef void freeaddrinfo_fn(struct addrinfo *);

static int real_getaddrinfo(const char *host, const char *port, const struct addrinfo *hints, struct addrinfo **ret)
{
	getaddrinfo_fn *real = (getaddrinfo_fn *)(uintptr_t)dlsym(RTLD_NEXT, "getaddrinfo");

	return real(host, port, hints, ret);
}

static void chain_addresses(const char *port, const struct addrinfo *hints, struct addrinfo **ret)
{
	for (unsigned i = 0; resolver.addresses[i] != NULL; i++) {
		expect(real_getaddrinfo(resolver.addresses[i], port, hints, ret), ==, 0);
		expect_pointer((*ret)->ai_next, ==, NULL);
		ret = &(*ret)->ai_next;
	}
}

static int answer_name(const char *port, const struct addrinfo *hints, struct addrinfo **ret)
{
	__atomic_fetch_add(&resolver.asked, 1, __ATOMIC_RELEASE);
	while (resolver.slow && __atomic_load_n(&resolver.gate, __ATOMIC_ACQUIRE) == 0)
		sched_yield();
	if (resolver.answer == 0) {
		chain_addresses(port, hints, ret);
		__atomic_fetch_add(&resolver.lists, 1, __ATOMIC_RELAXED);
	}
	errno = resolver.system_error;
	__atomic_fetch_add(&resolver.answered, 1, __ATOMIC_RELEASE);
	return resolver.answer;
}

/* Takes the C library's place. */
int getaddrinfo(const char *restrict host, const char *restrict port, const struct addrinfo *restrict hints,
		struct addrinfo **restrict ret)
{
	const char *suffix = host != NULL ? strrchr(host, '.') : NULL;
	int rc;

	if (suffix != NULL && strcmp(suffix, ".test") == 0 && !(hints->ai_flags & AI_NUMERICHOST))
		return answer_name(port, hints, ret);
	rc = real_getaddrinfo(host, port, hints, ret);
	if (rc == 0)
		__atomic_fetch_add(&resolver.lists, 1, __ATOMIC_RELAXED);
	return rc;
}

void freeaddrinfo(struct addrinfo *list)
{
	freeaddrinfo_fn *real = (freeaddrinfo_fn *)(uintptr_t)dlsym(RTLD_NEXT, "freeaddrinfo");

	real(list);
	__atomic_fetch_sub(&resolver.lists, 1, __ATOMIC_RELEASE);
}

static inline void resolver_set(int answer, const char *const *addresses)
{
	expect(__atomic_load_n(&resolver.lists, __ATOMIC_ACQUIRE), ==, 0);
	memset(&resolver, 0, sizeof(resolver));
	resolver.answer = answer;
	resolver.addresses = addresses;
}

static inline void resolver_open_gate(void)
{
	__atomic_store_n(&resolver.gate, 1, __ATOMIC_RELEASE);
}

static inline unsigned resolver_asked(void)
{
	return __atomic_load_n(&resolver.asked, __ATOMIC_ACQUIRE);
}

/* Whoever asked may be gone: each answer was given, and what it held given back. */
static inline bool resolver_done(unsigned asked)
{
	return __atomic_load_n(&resolver.answered, __ATOMIC_ACQUIRE) == asked &&
	       __atomic_load_n(&resolver.lists, __ATOMIC_ACQUIRE) == 0;
}

static inline void resolver_until_asked(unsigned n)
{
	while (resolver_asked() < n)
		rota_sleep(ROTA_US(100));
}

#endif
