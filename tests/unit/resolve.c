/* SPDX-License-Identifier: MIT */
/*
 * Name resolution, with a resolver of the test's own in place of the C library's: what it says becomes which error, that
 * it may block without anybody noticing, that every address is tried in turn, that a cancelled question leaves nothing.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <netdb.h>

#include "../../io/tcp.h"
#include "../../runtime/sys_internal.h"
#include "places.h"
#include "plain.h"

/* --- the resolver ------------------------------------------------------------------------------------------------------ */

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
	if (resolver.answer == 0)
		chain_addresses(port, hints, ret);
	errno = resolver.system_error;
	__atomic_fetch_add(&resolver.answered, 1, __ATOMIC_RELEASE);
	return resolver.answer;
}

/* Takes the C library's place. */
int getaddrinfo(const char *restrict host, const char *restrict port, const struct addrinfo *restrict hints,
		struct addrinfo **restrict ret)
{
	int rc;

	if (host != NULL && strcmp(host, "name.test") == 0 && !(hints->ai_flags & AI_NUMERICHOST))
		rc = answer_name(port, hints, ret);
	else
		rc = real_getaddrinfo(host, port, hints, ret);
	if (rc == 0)
		__atomic_fetch_add(&resolver.lists, 1, __ATOMIC_RELAXED);
	return rc;
}

void freeaddrinfo(struct addrinfo *list)
{
	freeaddrinfo_fn *real = (freeaddrinfo_fn *)(uintptr_t)dlsym(RTLD_NEXT, "freeaddrinfo");

	__atomic_fetch_sub(&resolver.lists, 1, __ATOMIC_RELAXED);
	real(list);
}

static void resolver_set(int answer, const char *const *addresses)
{
	expect(resolver.lists, ==, 0);
	memset(&resolver, 0, sizeof(resolver));
	resolver.answer = answer;
	resolver.addresses = addresses;
}

static const char *port_text(int port)
{
	static char text[16];

	snprintf(text, sizeof(text), "%d", port);
	return text;
}

static int connect_name(const struct place *place, const char *port)
{
	struct rota_tcp_op op;

	rota_op_tcp_connect(&op, "name.test", port);
	return place->carry(place, &op.future);
}

/* --- answers --------------------------------------------------------------------------------------------------------- */

static void errors_script(const struct place *place)
{
	static const struct {
		int answer, system_error, status;
	} cases[] = {
		{ EAI_NONAME, 0, -ENOENT },     { EAI_NODATA, 0, -ENOENT },        { EAI_SERVICE, 0, -ENOENT },
		{ EAI_ADDRFAMILY, 0, -ENOENT }, { EAI_AGAIN, 0, -EAGAIN },         { EAI_MEMORY, 0, -ENOMEM },
		{ EAI_FAIL, 0, -EIO },          { EAI_SYSTEM, EMFILE, -EMFILE },   { EAI_SYSTEM, 0, -EIO },
		{ EAI_FAMILY, 0, -EINVAL },     { EAI_BADFLAGS, EMFILE, -EINVAL },
	};

	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		resolver_set(cases[i].answer, NULL);
		resolver.system_error = cases[i].system_error;
		expect(connect_name(place, "1"), ==, cases[i].status);
		expect(resolver.asked, ==, 1);
	}
	resolver_set(0, NULL);
}

UNIT_TEST(resolve, errors)
{
	everyhow(errors_script);
}

/* Nobody listens at the first ones. */
static void in_turn_script(const struct place *place)
{
	static const char *const addresses[] = { "127.0.0.2", "127.0.0.3", "127.0.0.1", "127.0.0.4", NULL };
	static const char *const wrong[] = { "127.0.0.2", "127.0.0.3", NULL };
	struct sockaddr_in address;
	socklen_t len = sizeof(address);
	int port;
	int listener = plain_listen(5, &port);

	resolver_set(0, addresses);
	int fd = connect_name(place, port_text(port));
	expect(fd, >=, 0);
	expect(getpeername(fd, (struct sockaddr *)&address, &len), ==, 0);
	expect(ntohl(address.sin_addr.s_addr), ==, INADDR_LOOPBACK);
	close(fd);
	resolver_set(0, wrong);
	expect(connect_name(place, port_text(port)), ==, -ECONNREFUSED);
	resolver_set(0, NULL);
	close(listener);
}

UNIT_TEST(resolve, addresses_are_tried_in_turn)
{
	everyhow(in_turn_script);
}

/* The first address that can be bound. */
static void listen_script(const struct place *place)
{
	static const char *const addresses[] = { "192.0.2.1", "127.0.0.1", NULL };
	static const char *const wrong[] = { "127.0.0.1", "192.0.2.1", NULL };
	struct rota_tcp_op op;

	resolver_set(0, addresses);
	rota_op_tcp_listen(&op, "name.test", "0", 1);
	int fd = place->carry(place, &op.future);
	expect(fd, >=, 0);
	const char *port = port_text(rota_local_port(fd));
	resolver_set(0, wrong);
	rota_op_tcp_listen(&op, "name.test", port, 1);
	expect(place->carry(place, &op.future), ==, -EADDRNOTAVAIL); /* the last error */
	close(fd);
	resolver_set(0, NULL);
}

UNIT_TEST(resolve, listens_at_the_first_that_can_be_bound)
{
	everyhow(listen_script);
}

/* A socket that cannot be made is as good as an address that does not answer. */
static void no_socket_script(const struct place *place)
{
	static const char *const addresses[] = { "127.0.0.1", "127.0.0.1", NULL };
	int port;
	int listener = plain_listen(5, &port);

	/* Asked twice, for a number and for a name; then the two sockets. */
	for (uint32_t nth = 1; nth <= 4; nth++) {
		resolver_set(0, addresses);
		rota__fault_arm(ROTA__FAULT_SOCKET, nth, -ENFILE);
		int fd = connect_name(place, port_text(port));
		rota__fault_arm(ROTA__FAULT_SOCKET, 0, 0);
		if (nth == 2)
			expect(fd, ==, -ENFILE);
		else
			expect(fd, >=, 0);
		close(fd);
	}
	resolver_set(0, NULL);
	close(listener);
}

UNIT_TEST(resolve, socket_faults)
{
	everyhow(no_socket_script);
}

/* --- a slow resolver ------------------------------------------------------------------------------------------------- */

static int connect_slowly(void *arg)
{
	int fd = rota_tcp_connect("name.test", arg);

	if (fd >= 0)
		close(fd);
	return fd;
}

static void wait_until_asked(void)
{
	while (__atomic_load_n(&resolver.asked, __ATOMIC_ACQUIRE) == 0)
		rota_sleep(ROTA_US(100));
}

/* The worker goes on: here it is the one who opens the gate. Numbers need no resolver. */
static void slow_script(const struct place *place)
{
	static const char *const addresses[] = { "127.0.0.1", NULL };
	struct rota_metrics metrics;
	rota_task *task;
	int status, port;
	int listener = plain_listen(5, &port);

	resolver_set(0, addresses);
	resolver.slow = true;
	int fd = rota_tcp_connect("127.0.0.1", port_text(port));
	expect(fd, >=, 0);
	close(fd);
	rota_runtime_metrics(place->rt, &metrics);
	expect(metrics.blocking_threads, ==, 0);
	expect(rota_spawn(&task, connect_slowly, (void *)(uintptr_t)port_text(port)), ==, 0);
	wait_until_asked();
	__atomic_store_n(&resolver.gate, 1, __ATOMIC_RELEASE);
	expect(rota_join(task, &status), ==, 0);
	expect(status, >=, 0);
	resolver_set(0, NULL);
	close(listener);
}

UNIT_TEST(resolve, does_not_hold_up_the_worker)
{
	in_fibers(slow_script, 0);
}

/* Cancelled while the resolver is at it: it is waited for, and what it found is given back. */
static void cancel_script(const struct place *place)
{
	static const char *const addresses[] = { "127.0.0.1", NULL };
	rota_task *task;
	int status;

	(void)place;
	for (int answer = 0; answer < 2; answer++) {
		resolver_set(answer == 0 ? 0 : EAI_NONAME, addresses);
		resolver.slow = true;
		expect(rota_spawn(&task, connect_slowly, "1"), ==, 0);
		wait_until_asked();
		expect(rota_cancel(task), ==, 0);
		rota_sleep(ROTA_MS(1));
		expect(resolver.answered, ==, 0);
		__atomic_store_n(&resolver.gate, 1, __ATOMIC_RELEASE);
		expect(rota_join(task, &status), ==, 0);
		expect(resolver.answered, ==, 1);
		expect(status, ==, answer == 0 ? -ECANCELED : -ENOENT);
		resolver_set(0, NULL);
	}
}

UNIT_TEST(resolve, cancelled_while_it_resolves)
{
	in_fibers(cancel_script, 0);
}

static int hold_thread(void *arg)
{
	unsigned *let_go = arg;

	__atomic_store_n(&let_go[0], 1, __ATOMIC_RELEASE);
	while (__atomic_load_n(&let_go[1], __ATOMIC_ACQUIRE) == 0)
		sched_yield();
	return 0;
}

static int cancel_queued(void *arg)
{
	unsigned let_go[2] = { 0, 0 };
	rota_task *job, *task;
	int status;

	(void)arg;
	expect(rota_spawn_blocking(&job, hold_thread, let_go), ==, 0);
	while (__atomic_load_n(&let_go[0], __ATOMIC_ACQUIRE) == 0)
		rota_sleep(ROTA_US(100));
	expect(rota_spawn(&task, connect_slowly, "1"), ==, 0);
	rota_sleep(ROTA_MS(1));
	expect(rota_cancel(task), ==, 0);
	expect(rota_join(task, &status), ==, 0); /* though the only thread is busy */
	expect(status, ==, -ECANCELED);
	expect(resolver.asked, ==, 0);
	__atomic_store_n(&let_go[1], 1, __ATOMIC_RELEASE);
	expect(rota_join(job, NULL), ==, 0);
	return 0;
}

UNIT_TEST(resolve, cancelled_while_it_waits_for_a_thread)
{
	static const enum rota_flavor flavors[] = { ROTA_FLAVOR_MULTI_THREAD, ROTA_FLAVOR_CURRENT_THREAD };

	for (int i = 0; i < 2; i++) {
		const struct rota_config config = {
			.workers = 2,
			.max_blocking_threads = 1,
			.flavor = flavors[i],
		};
		rota_runtime *rt;

		resolver_set(0, NULL);
		expect(rota_runtime_new(&rt, &config), ==, 0);
		expect(rota_block_on(rt, cancel_queued, NULL), ==, 0);
		place_runtime_free(rt);
	}
}

/* Cancelled as a future at any point: a descriptor is the result, or none is left behind. */
static void any_point_script(const struct place *place)
{
	static const char *const addresses[] = { "127.0.0.2", "127.0.0.1", NULL };
	int port, connected = 0, cancelled = 0;
	int listener = plain_listen(128, &port);

	(void)place;
	resolver_set(0, addresses);
	for (int i = 0; i < 120; i++) {
		rota_task *task;
		int status;

		expect(rota_spawn(&task, connect_slowly, (void *)(uintptr_t)port_text(port)), ==, 0);
		rota_sleep((uint64_t)(i % 12) * ROTA_US(30));
		expect(rota_cancel(task), ==, 0);
		expect(rota_join(task, &status), ==, 0);
		if (status < 0)
			expect(status, ==, -ECANCELED);
		connected += status >= 0;
		cancelled += status < 0;
		expect(resolver.lists, ==, 0);
	}
	expect(connected + cancelled, ==, 120);
	resolver_set(0, NULL);
	close(listener);
}

UNIT_TEST(resolve, cancelled_at_any_point)
{
	in_fibers(any_point_script, 0);
	in_fibers(any_point_script, 1);
}
