/* SPDX-License-Identifier: MIT */
/*
 * From a name to a socket, with a resolver of the test's own: what it says becomes which error, that it may block without
 * anybody noticing, that every address is tried in turn, that a cancelled question leaves nothing.
 */
#define _GNU_SOURCE
#include "../../io/tcp.h"
#include "../../runtime/sys_internal.h"
#include "places.h"
#include "plain.h"
#include "resolver.h"

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

UNIT_TEST(tcp_op, errors)
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

UNIT_TEST(tcp_op, addresses_are_tried_in_turn)
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

UNIT_TEST(tcp_op, listens_at_the_first_that_can_be_bound)
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

UNIT_TEST(tcp_op, socket_faults)
{
	everyhow(no_socket_script);
}

/* --- a slow resolver ------------------------------------------------------------------------------------------------- */

/* Another name each time: who asks for one that is being answered to somebody else asks nobody. */
static int connect_slowly(void *arg)
{
	static unsigned asked;
	char name[32];

	snprintf(name, sizeof(name), "name-%u.test", ++asked);
	int fd = rota_tcp_connect(name, arg);

	if (fd >= 0)
		close(fd);
	return fd;
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
	resolver_until_asked(1);
	resolver_open_gate();
	expect(rota_join(task, &status), ==, 0);
	expect(status, >=, 0);
	resolver_set(0, NULL);
	close(listener);
}

UNIT_TEST(tcp_op, does_not_hold_up_the_worker)
{
	in_fibers(slow_script, 0);
}

/* Cancelled while the resolver is at it: the task goes on at once, and what is found later is given back. */
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
		resolver_until_asked(1);
		expect(rota_cancel(task), ==, 0);
		expect(rota_join(task, &status), ==, 0);
		expect(status, ==, -ECANCELED);
		expect(resolver.answered, ==, 0);
		resolver_open_gate();
		expect_eventually(resolver_done(1));
		resolver_set(0, NULL);
	}
}

UNIT_TEST(tcp_op, cancelled_while_it_resolves)
{
	in_fibers(cancel_script, 0);
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
	}
	expect(connected + cancelled, ==, 120);
	expect_eventually(resolver_done(resolver_asked()));
	resolver_set(0, NULL);
	close(listener);
}

UNIT_TEST(tcp_op, cancelled_at_any_point)
{
	in_fibers(any_point_script, 0);
	in_fibers(any_point_script, 1);
}
